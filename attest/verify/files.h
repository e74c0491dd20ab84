/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads all that bawn-verify was given into memory, before the sandbox. Bounded: a file of
 * 16 MiB, 1024 endorsements, 64 MiB of them.
 */
#ifndef BAWN_VERIFY_FILES_H
#define BAWN_VERIFY_FILES_H

#include "attest/verify/options.h"

#define FILE_MAX ((size_t)16 << 20)
#define ENDORSEMENTS_MAX 1024
#define TOTAL_MAX ((size_t)64 << 20)

struct file_list {
    struct bawn_bytes *file;
    char **name; /* of each, for people: with its directory */
    size_t n, total;
};

struct verify_inputs {
    struct bawn_bytes evidence;
    struct file_list endorsements, roots;
};

/* *in must be freed either way. */
enum bawn_status verify_inputs_read(struct verify_inputs *in, const struct verify_options *o,
                                    struct bawn_error *err);
void verify_inputs_free(struct verify_inputs *in);

#endif
