/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subcommands of bawn-measure share: options as tables, inputs and outputs, and the
 * sandboxed process in which hostile bytes are parsed. Trusts the command line; no file's bytes.
 */
#ifndef BAWN_MEASURE_COMMAND_H
#define BAWN_MEASURE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bawn/attest.h>
#include <bawn/status.h>

#include "common/options.h"

/* ---- Subcommands ---- */

struct command {
    const char *name;
    const char *summary; /* what it prints, one line */
    enum bawn_status (*run)(const struct command *self, int argc, char **argv,
                            struct bawn_error *err);
    unsigned mode; /* of a file that serves several */
};

extern const struct command plain_command, snp_command, snp_firmware_command, sev_command,
    seves_command, tdx_command;

/* ---- Options ---- */

/* Of an option_table. */
enum bawn_status unknown_option(const char *text, const char *command, struct bawn_error *err);

struct number {
    bool given;
    uint64_t value;
};

/* A struct number: decimal, or hexadecimal after 0x. */
option_set_fn set_number;
/* As --output-format takes it; the field is a bool, true for base64. */
option_set_fn set_format;
/* A struct bawn_vm_config, which a file fills; and fields of one. */
option_set_fn set_config, set_cpus, set_memory, set_serial, set_hotplug;
/* Exactly len bytes of hexadecimal. */
enum bawn_status parse_hex(const char *option, const char *value, uint8_t *out, size_t len,
                           struct bawn_error *err);

/* ---- Files. /dev/null and pipes will do. ---- */

struct input {
    uint8_t *data;
    size_t len;
};

enum bawn_status input_read(struct input *in, const char *path, size_t max, struct bawn_error *err);
void input_free(struct input *in); /* overwrites: it may be a private key */
/* The digest by that name ("SHA256") of the whole file, and its size. */
enum bawn_status input_digest(const char *path, const char *name, uint8_t *digest, uint64_t *size,
                              struct bawn_error *err);
enum bawn_status digest_bytes(const char *name, const void *data, size_t len, uint8_t *digest,
                              struct bawn_error *err);
enum bawn_status output_write(const char *path, const void *data, size_t len,
                              struct bawn_error *err);
/* As base64, with a line end. */
enum bawn_status output_base64(const char *path, const void *data, size_t len,
                               struct bawn_error *err);
/* Ends a command: whether all of stdout was written. */
enum bawn_status output_end(struct bawn_error *err);

struct digest_text {
    char text[2 * 48 + 1];
};
/* len is at most 48. */
struct digest_text digest_text(const uint8_t *digest, size_t len, bool base64);

/* ---- The sandbox ---- */

/* Locks this process in (attest/common/sandbox.h). Afterwards it can only compute and print. */
enum bawn_status confine(struct bawn_error *err);

/* Runs parse(in, out) in a child process that is locked in and can do nothing but fill out
 * (out_size bytes); so the parent, which writes files, reads no hostile byte but those. */
typedef enum bawn_status parse_fn(const void *in, void *out, struct bawn_error *err);
enum bawn_status parse_apart(parse_fn *parse, const void *in, void *out, size_t out_size,
                             struct bawn_error *err);

#endif
