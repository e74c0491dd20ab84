// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-blk on a disk of 64 sectors, under a hostile driver: common.h has the steps. HOST x makes
 * the disk read-only (odd) or writable.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

#define SECTORS 64

static struct bawn_disk disk = { .fd = -1, .sectors = SECTORS };
static struct bawn_virtio_blk blk;
static uint8_t image[SECTORS * BAWN_SECTOR];

static void host(uint8_t what, uint8_t how)
{
    (void)how;
    disk.readonly = what & 1;
}

/* The disk is as before, and no larger. */
static void clear(void)
{
    FUZZ_MUST(lseek(disk.fd, 0, SEEK_END) == (off_t)sizeof(image));
    FUZZ_MUST(pwrite(disk.fd, image, sizeof(image), 0) == (ssize_t)sizeof(image));
    disk.readonly = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (disk.fd < 0) {
        struct bawn_vdev_host machine = fuzz_machine();

        for (unsigned i = 0; i < sizeof(image); i++)
            image[i] = (uint8_t)(i / BAWN_SECTOR);
        disk.fd = memfd_create("disk", MFD_CLOEXEC);
        FUZZ_MUST(disk.fd >= 0 && !ftruncate(disk.fd, sizeof(image)));
        clear();
        FUZZ_MUST(!bawn_virtio_blk_init(&blk, &machine, &disk));
        fuzz_plugged(&(struct fuzz_device){
            .vdev = &blk.vdev, .host = host, .clear = clear, .state = &blk, .size = sizeof(blk) });
    }
    fuzz_steps(data, size);
    return 0;
}
