/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel and initrd that a machine boots. They are in memory while a boot is planned and begun,
 * and not while a guest runs: what was read is read again when the guest resets itself.
 */
#ifndef BAWN_VMM_IMAGES_H
#define BAWN_VMM_IMAGES_H

#include "launch.h"

struct bawn_images {
    struct bawn_file kernel, initrd;
    int kernel_fd, initrd_fd; /* owned; -1: not opened yet, or there is none */
};

/* Reads them; opens them the first time. After a failure bawn_images_close() is still due. */
enum bawn_status bawn_images_read(struct bawn_images *images, const struct bawn_vm_config *cfg,
                                  struct bawn_error *err);
/* Gives the memory back: what was planned from them does not hold any more. NULL: nothing. */
void bawn_images_forget(struct bawn_images *images);
void bawn_images_close(struct bawn_images *images);

/* Gives back memory that is free, and what can be read again where it is next needed: code that
 * only ran at the start. */
void bawn_trim(void);
/* The same, without the memory; for who is forked by one that has trimmed itself, and writes
 * nothing. */
void bawn_trim_code(void);

#endif
