// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile qcow2 image, opened and worked on. Input: a byte that says how many steps there are,
 * the steps (kind, position, length: four bytes), and the image: pieces of an offset in 64 bytes
 * (two bytes), a length in bytes (one) and so many bytes. Smoke: 4000 runs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "disk.h"

#define STEP 4
#define LENGTH_MAX 65536u

static void put_image(int fd, const uint8_t *data, size_t size)
{
    FUZZ_MUST(!ftruncate(fd, 0));
    while (size > 3) {
        off_t at = 64 * (data[0] | data[1] << 8);
        size_t len = data[2];

        data += 3;
        size -= 3;
        len = len < size ? len : size;
        FUZZ_MUST(pwrite(fd, data, len, at) == (ssize_t)len);
        data += len;
        size -= len;
    }
}

static void step(struct bawn_disk *disk, const uint8_t *s)
{
    static uint8_t buf[LENGTH_MAX];
    uint64_t sector = (uint64_t)(s[1] | s[2] << 8) * 3 % disk->sectors;
    uint64_t len = (1 + s[3] % 128) * (uint64_t)BAWN_SECTOR;
    struct iovec v[2] = { { buf, 100 }, { buf + 100, len - 100 } };

    if (s[0] & 0x80)
        sector = disk->sectors - 1 - sector;
    if (!bawn_disk_has(disk, sector, len))
        return;
    if (s[0] % 8 == 0)
        bawn_disk_flush(disk);
    else if (s[0] % 8 == 1)
        bawn_disk_zero(disk, sector, len, s[0] & 8);
    else if (s[0] % 8 == 2)
        bawn_disk_discard(disk, sector, len);
    else if (s[0] % 8 < 5)
        bawn_disk_read(disk, sector, v, 2);
    else
        bawn_disk_write(disk, sector, v, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct bawn_disk_config cfg = { .path = path, .format = BAWN_DISK_QCOW2 };
    struct bawn_error err;
    struct bawn_disk disk;
    const uint8_t *steps = data + 1;
    unsigned n;

    if (fd < 0) {
        fd = memfd_create("image", MFD_CLOEXEC);
        FUZZ_MUST(fd >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    if (size < 1 || size < 1u + data[0] % 32 * STEP)
        return 0;
    n = data[0] % 32;
    put_image(fd, steps + n * STEP, size - 1 - n * STEP);
    cfg.readonly = data[0] & 0x80;
    if (bawn_disk_open(&disk, &cfg, &err))
        return 0;
    for (unsigned i = 0; i < n; i++)
        step(&disk, steps + i * STEP);
    bawn_disk_close(&disk);
    return 0;
}
