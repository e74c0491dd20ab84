/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of bawn-platformd share: options, the state directory, the sandbox, and the
 * loop. The state directory is trusted (it is the daemon's alone), the device's messages are
 * not.
 */
#ifndef BAWN_PLATFORMD_H
#define BAWN_PLATFORMD_H

#include "platform/firmware/psp.h"

/* ---- Options (options.c) ---- */

struct options {
    const char *state;
    const char *device; /* a path, or "fd:N" */
    bool has_product;   /* else the state directory's, or Milan */
    enum psp_product product;
    uint32_t report_version;
    unsigned faults;
    bool no_smt, foreground, setup, help, version;
};

enum bawn_status options_parse(struct options *o, int argc, char **argv, struct bawn_error *err);
void options_help(void);

/* ---- The state directory (store.c) ---- */

struct store {
    const char *path;
    int dir, lock;
};

/* Makes the directory when it is not there, takes it for this process alone, and removes what an
 * earlier one did not write to its end. */
enum bawn_status store_open(struct store *store, const char *path, struct bawn_error *err);
/* Writes down whose it is; after the last fork. */
void store_claim(const struct store *store);
void store_close(struct store *store);
/* Opens the log, to which is added. */
enum bawn_status store_log(const struct store *store, int *fd, struct bawn_error *err);

/* *out: {NULL, 0} when there is no such file. */
enum bawn_status store_read(const struct store *store, const char *name, struct psp_blob *out,
                            struct bawn_error *err);
/* Whole or not at all, and on the medium when it returns. */
enum bawn_status store_write(const struct store *store, const char *name, const uint8_t *data,
                             size_t len, struct bawn_error *err);
/* Overwrites the file, then removes it; no other start finds it half overwritten. */
enum bawn_status store_wipe(const struct store *store, const char *name, struct bawn_error *err);
/* Calls back for each file whose name has that prefix. */
enum bawn_status store_list(const struct store *store, const char *prefix,
                            enum bawn_status (*each)(void *arg, const char *name,
                                                     struct bawn_error *err),
                            void *arg, struct bawn_error *err);

/* ---- The processor in the state directory (state.c) ---- */

/* Keys made or read, records restored. */
enum bawn_status state_load(struct psp **psp, const struct store *store, const struct options *o,
                            struct bawn_error *err);
/* Writes what has changed. */
enum bawn_status state_save(struct psp *psp, const struct store *store, struct bawn_error *err);
/* Writes the certificates for the reported TCB. */
enum bawn_status state_endorse(struct psp *psp, const struct store *store, struct bawn_error *err);

/* ---- CPUID of the processor that this runs on (cpuid.c) ---- */

#define HOST_CPUID_MAX 64
size_t host_cpuid(struct bawn_psp_cpuid_function out[HOST_CPUID_MAX]);

/* ---- The sandbox (sandbox.c) ---- */

/* From here on: the descriptors that are open, files in the state directory, nothing else.
 * *seccomp and *landlock say which of the two this kernel gave. */
enum bawn_status sandbox_enter(const struct store *store, bool *seccomp, bool *landlock,
                               struct bawn_error *err);

/* ---- The loop (serve.c) ---- */

/* Until a signal on signal_fd, or the device's end. */
enum bawn_status serve(struct psp *psp, const struct store *store, int device, int signal_fd,
                       struct bawn_error *err);

#endif
