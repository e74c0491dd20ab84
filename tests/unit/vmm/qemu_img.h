/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of disk images: a folder of their own, qemu-img as the other side, and a disk's content
 * as the test keeps it, sector by sector.
 */
#ifndef BAWN_TEST_QEMU_IMG_H
#define BAWN_TEST_QEMU_IMG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk.h"
#include "tests/unit/temporary.h"

static char folder[64];

static inline const char *in_folder(const char *name)
{
    static char path[4][128];
    static unsigned n;

    n = (n + 1) % 4;
    snprintf(path[n], sizeof(path[n]), "%s/%s", folder, name);
    return path[n];
}

/* A shell command inside the folder, quiet; its exit code. */
__attribute__((format(printf, 1, 2))) static inline int command(const char *fmt, ...)
{
    char text[512], whole[700];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof(whole), "cd %s && { %s; } >/dev/null 2>&1", folder, text);
    return WEXITSTATUS(system(whole));
}

static inline bool have_qemu_img(void)
{
    return system("qemu-img --version >/dev/null 2>&1") == 0;
}

static inline int make_folder(void **state)
{
    (void)state;
    return mkdtemp(temporary(folder, sizeof(folder), "qcow2")) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    return command("rm -rf %s", folder);
}

static inline enum bawn_status open_image(struct bawn_disk *disk, const char *name,
                                          const char *backing, bool readonly,
                                          struct bawn_error *err)
{
    struct bawn_disk_config cfg = { .path = (char *)in_folder(name),
                                    .format = BAWN_DISK_QCOW2,
                                    .readonly = readonly };

    if (backing)
        cfg.backing = (char *)in_folder(backing);
    return bawn_disk_open(disk, &cfg, err);
}

/* The tag stands in the whole sector; 0: zeroes. */
static inline void fill_sector(uint8_t *sector, uint32_t tag)
{
    for (unsigned i = 0; i < BAWN_SECTOR; i += 4)
        memcpy(sector + i, &tag, 4);
}

static inline bool write_tags(const struct bawn_disk *disk, uint64_t sector, unsigned n,
                              uint32_t tag)
{
    uint8_t *data = malloc((size_t)n * BAWN_SECTOR);
    struct iovec v[2] = { { data, BAWN_SECTOR / 2 },
                          { data + BAWN_SECTOR / 2, (size_t)n * BAWN_SECTOR - BAWN_SECTOR / 2 } };
    bool ok;

    for (unsigned i = 0; i < n; i++)
        fill_sector(data + i * BAWN_SECTOR, tag);
    ok = bawn_disk_write(disk, sector, v, 2);
    free(data);
    return ok;
}

static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

#endif
