// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-blk by an io_uring beside virtio-blk without one. Input: the steps of common.h, which are
 * carried out three times: without a ring; with one that works on a request at a time, where guest
 * memory and image must end as they did without; and with as many at once as there are slots.
 * HOST x y, with x % 8: 0, 1: the disk is writable, read-only; 2: its file has y % 65 sectors; 3:
 * completion 1 + y % 8 says that less was done, or nothing (y & 8); 4: what the next turn begins is
 * under way until one after it; 5: the device is paused. Where the host refuses an io_uring, it
 * says so and there is the first round alone. Smoke: 4000 runs
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

#define SECTORS 64
#define IMAGE (SECTORS * BAWN_SECTOR)

static struct bawn_disk disk = { .fd = -1, .sectors = SECTORS, .uring = true };
static struct bawn_virtio_blk blk;
static struct bawn_vdev_host machine;
static struct bawn_uring ring = { .fd = -1 };
static pid_t ring_of; /* the process that it works for */
static uint8_t image[IMAGE];

static enum { WITHOUT, SERIAL, PARALLEL } round;
static unsigned short_in; /* completions until one that is changed; 0: none */
static uint8_t short_how;
static bool later;

/* What the first round left. */
static struct {
    uint8_t *memory[BAWN_MEM_MAX_RANGES], image[IMAGE];
    size_t size;
} left;

/* ---- Between ring and device ---- */

bool __real_bawn_vdev_take(struct bawn_vdev *d, unsigned queue, struct bawn_virtq_chain *chain);
bool __wrap_bawn_vdev_take(struct bawn_vdev *d, unsigned queue, struct bawn_virtq_chain *chain);

/* One at a time: what is under way ends before the next is looked at. */
bool __wrap_bawn_vdev_take(struct bawn_vdev *d, unsigned queue, struct bawn_virtq_chain *chain)
{
    while (round == SERIAL && blk.busy)
        bawn_loop_complete(machine.loop, true);
    return __real_bawn_vdev_take(d, queue, chain);
}

bool __real_bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res);
bool __wrap_bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res);

/* What was done is done again, which changes nothing. */
bool __wrap_bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res)
{
    if (!__real_bawn_uring_take(u, user, res))
        return false;
    if (short_in && !--short_in && *res >= 0)
        *res = short_how & 1 || !*res ? -EAGAIN : 1 + short_how * 37 % *res;
    return true;
}

static bool settle(void)
{
    if (round == WITHOUT)
        return false;
    bawn_loop_complete(machine.loop, false);
    while (blk.busy && !(later && round == PARALLEL))
        bawn_loop_complete(machine.loop, true);
    later = false;
    return blk.busy;
}

/* ---- What comes from outside ---- */

static void host(uint8_t what, uint8_t how)
{
    switch (what % 8) {
    case 2:
        FUZZ_MUST(!ftruncate(disk.fd, how % (SECTORS + 1) * BAWN_SECTOR));
        break;
    case 3:
        short_in = 1 + how % 8;
        short_how = how / 8;
        break;
    case 4:
        later = true;
        break;
    case 5:
        blk.vdev.ops->paused(&blk);
        FUZZ_MUST(!blk.busy);
        break;
    default:
        disk.readonly = what & 1;
    }
}

/* ---- Rounds ---- */

static void same(const char *what, const uint8_t *then, const uint8_t *now, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (then[i] == now[i])
            continue;
        fprintf(stderr, "vmm: %s differs at 0x%zx with a ring: 0x%02x, not 0x%02x\n", what, i,
                now[i], then[i]);
        abort();
    }
}

/* Memory and image: kept, or compared with what was kept. */
static void look(void)
{
    uint8_t now[IMAGE] = { 0 };
    ssize_t size = lseek(disk.fd, 0, SEEK_END);

    FUZZ_MUST(size >= 0 && size <= IMAGE && pread(disk.fd, now, IMAGE, 0) == size);
    for (unsigned i = 0; i < machine.mem->nr; i++) {
        const struct bawn_mem_range *r = &machine.mem->range[i];

        if (round == WITHOUT)
            memcpy(left.memory[i], r->host, r->size);
        else if (round == SERIAL)
            same("guest memory", left.memory[i], r->host, r->size);
    }
    if (round == WITHOUT) {
        left.size = (size_t)size;
        memcpy(left.image, now, IMAGE);
    } else if (round == SERIAL) {
        FUZZ_MUST(left.size == (size_t)size);
        same("the image", left.image, now, IMAGE);
    }
}

static void clear(void)
{
    FUZZ_MUST(!blk.busy);
    look();
    while (round != WITHOUT && machine.loop->ring.queued)
        bawn_loop_complete(machine.loop, false);
    FUZZ_MUST(!ftruncate(disk.fd, IMAGE) && pwrite(disk.fd, image, IMAGE, 0) == IMAGE);
    disk.readonly = later = false;
    short_in = 0;
}

/* It is known to one thread: each process that AFL++ forks has its own. */
static void make_ring(void)
{
    const int files[] = { blk.vdev.call_fd[0], blk.vdev.bell[0].fd, disk.fd };
    int rc = bawn_uring_init(&ring, files, 3);

    if (rc)
        fprintf(stderr, "vmm: no io_uring here (%s): nothing is compared\n", strerror(-rc));
    ring_of = getpid();
}

static void make_machine(void)
{
    machine = fuzz_machine();
    for (unsigned i = 0; i < machine.mem->nr; i++)
        left.memory[i] = malloc(machine.mem->range[i].size);
    for (unsigned i = 0; i < IMAGE; i++)
        image[i] = (uint8_t)(i / BAWN_SECTOR + i);
    disk.fd = memfd_create("disk", MFD_CLOEXEC);
    FUZZ_MUST(left.memory[0] && left.memory[1] && disk.fd >= 0);
    FUZZ_MUST(!ftruncate(disk.fd, IMAGE) && pwrite(disk.fd, image, IMAGE, 0) == IMAGE);
    FUZZ_MUST(!bawn_virtio_blk_init(&blk, &machine, &disk));
    fuzz_plugged(&(struct fuzz_device){ .vdev = &blk.vdev,
                                        .host = host,
                                        .settle = settle,
                                        .clear = clear,
                                        .state = &blk,
                                        .size = sizeof(blk) });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct bawn_uring none = { .fd = -1 };

    if (disk.fd < 0)
        make_machine();
    if (ring_of != getpid())
        make_ring();
    for (round = WITHOUT; round <= (ring.fd < 0 ? WITHOUT : PARALLEL); round++) {
        machine.loop->ring = round == WITHOUT ? none : ring;
        fuzz_steps(data, size);
    }
    return 0;
}
