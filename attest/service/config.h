/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that read the configuration: config*.c. */
#ifndef BAWN_ATTESTD_CONFIG_H
#define BAWN_ATTESTD_CONFIG_H

#include "attest/service/service.h"

/* Where a value is: its key, or its index in an array, and the value that holds it. */
struct config_at {
    const struct config_at *up; /* NULL: the whole document */
    const char *key;            /* NULL: an array's element */
    size_t index;
};

struct config_reader {
    const char *path, *text;
    size_t len;
    struct bawn_error *err;
};

/* Line and column, from 1, of a value in a text that is known to be JSON; of the innermost value
 * that is there when it is not. */
void config_position(const char *text, size_t len, const struct config_at *at, unsigned *line,
                     unsigned *column);
/* "path:line:column: tenants.default.policy: message"; returns BAWN_E_CONFIG. */
__attribute__((format(printf, 3, 4))) enum bawn_status config_fail(const struct config_reader *r,
                                                                   const struct config_at *at,
                                                                   const char *fmt, ...);

/* Reads file->path. secret: refuses a file that others may read or write. */
enum bawn_status config_file_read(struct config_file *file, size_t max, bool secret,
                                  struct bawn_error *err);
void config_file_clear(struct config_file *file); /* wipes */

/* "tcp:ADDR:PORT", "unix:PATH", "vsock:CID:PORT". False: *why says what is wrong. */
bool config_listen_parse(const char *text, struct config_listen *listen, const char **why);
bool config_listen_is_local(const struct config_listen *listen); /* loopback or unix */

/* Where a mirror is. */
struct config_mirror {
    bool tls;
    char host[256], port[6], base[512]; /* base: "" or "/path" without '/' at its end */
};

/* False: *why says what is wrong. */
bool config_mirror_parse(const char *url, struct config_mirror *mirror, const char **why);

#endif
