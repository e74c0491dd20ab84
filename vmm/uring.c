// SPDX-License-Identifier: Apache-2.0
/*
 * io_uring, without a library (linux/io_uring.h). A host's kernel has had its worst holes there:
 * the ring is restricted for good to descriptors that the process has anyway and to reads, writes,
 * flushes and polls of them (IORING_REGISTER_RESTRICTIONS), registers nothing later, and a filter
 * of system calls lets its process do nothing but submit. Trusts the kernel.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring.h"

/* One thread submits and reaps, so that nothing interrupts it; successes may be silent. */
#define SETUP (IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
#define NEEDED (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP)
#define WORKERS 2 /* threads of the kernel for what blocks, of either kind */

static const uint8_t ops[] = { IORING_OP_READ,   IORING_OP_WRITE, IORING_OP_READV,
                               IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_POLL_ADD };
#define OPS (sizeof(ops) / sizeof(ops[0]))

static int do_register(const struct bawn_uring *u, unsigned what, const void *arg, unsigned nr)
{
    return syscall(SYS_io_uring_register, u->fd, what, arg, nr) < 0 ? -errno : 0;
}

/* The last registrations that there are; then it is in force. */
static int restrict_ring(const struct bawn_uring *u)
{
    struct io_uring_restriction r[OPS + 2];
    unsigned workers[2] = { WORKERS, WORKERS };
    int rc;

    memset(r, 0, sizeof(r));
    for (size_t i = 0; i < OPS; i++) {
        r[i].opcode = IORING_RESTRICTION_SQE_OP;
        r[i].sqe_op = ops[i];
    }
    r[OPS].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
    r[OPS].sqe_flags = IOSQE_FIXED_FILE;
    r[OPS + 1].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    r[OPS + 1].sqe_flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    rc = do_register(u, IORING_REGISTER_FILES, u->file, u->nr_files);
    if (!rc)
        rc = do_register(u, IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2);
    if (!rc)
        rc = do_register(u, IORING_REGISTER_RESTRICTIONS, r, OPS + 2);
    return rc ? rc : do_register(u, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static size_t rings_size(const struct io_uring_params *p)
{
    size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);

    return sq > cq ? sq : cq;
}

static int map_ring(struct bawn_uring *u, const struct io_uring_params *p)
{
    int prot = PROT_READ | PROT_WRITE;
    void *rings, *sqes;
    unsigned *array;

    u->rings_size = rings_size(p);
    u->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
    rings = mmap(NULL, u->rings_size, prot, MAP_SHARED, u->fd, IORING_OFF_SQ_RING);
    sqes = mmap(NULL, u->sqes_size, prot, MAP_SHARED, u->fd, IORING_OFF_SQES);
    u->rings = rings == MAP_FAILED ? NULL : rings;
    u->sqes = sqes == MAP_FAILED ? NULL : sqes;
    if (!u->rings || !u->sqes)
        return -ENOMEM;
    u->sq_tail = (unsigned *)(void *)(u->rings + p->sq_off.tail);
    u->cq_head = (unsigned *)(void *)(u->rings + p->cq_off.head);
    u->cq_tail = (unsigned *)(void *)(u->rings + p->cq_off.tail);
    u->sq_mask = p->sq_entries - 1;
    u->cq_mask = p->cq_entries - 1;
    u->cqes = (struct io_uring_cqe *)(void *)(u->rings + p->cq_off.cqes);
    array = (unsigned *)(void *)(u->rings + p->sq_off.array);
    for (unsigned i = 0; i < p->sq_entries; i++)
        array[i] = i;
    return 0;
}

int bawn_uring_init(struct bawn_uring *u, const int *files, unsigned nr)
{
    struct io_uring_params p = { .flags = SETUP };
    int rc;

    *u = (struct bawn_uring){ .fd = -1, .nr_files = nr };
    if (nr > BAWN_URING_FILES)
        return -EINVAL;
    memcpy(u->file, files, nr * sizeof(*files));
    u->fd = (int)syscall(SYS_io_uring_setup, BAWN_URING_ENTRIES, &p);
    if (u->fd < 0)
        return -errno;
    rc = (p.features & NEEDED) == NEEDED ? map_ring(u, &p) : -EOPNOTSUPP;
    if (!rc)
        rc = restrict_ring(u);
    if (rc)
        bawn_uring_destroy(u);
    return rc;
}

void bawn_uring_destroy(struct bawn_uring *u)
{
    if (u->rings)
        munmap(u->rings, u->rings_size);
    if (u->sqes)
        munmap(u->sqes, u->sqes_size);
    if (u->fd >= 0)
        close(u->fd);
    *u = (struct bawn_uring){ .fd = -1 };
}

struct io_uring_sqe *bawn_uring_next(struct bawn_uring *u, uint8_t op, int fd, uint64_t user)
{
    struct io_uring_sqe *e;
    unsigned tail, file = 0;

    while (file < u->nr_files && u->file[file] != fd)
        file++;
    if (file == u->nr_files)
        return NULL;
    while (u->queued == BAWN_URING_ENTRIES)
        bawn_uring_enter(u, false);
    tail = *u->sq_tail;
    e = &u->sqes[tail & u->sq_mask];
    memset(e, 0, sizeof(*e));
    e->opcode = op;
    e->flags = IOSQE_FIXED_FILE;
    e->fd = (int)file;
    e->user_data = user;
    /* Read when it is submitted, by this thread's own call: the caller may go on to fill it. */
    __atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
    u->queued++;
    return e;
}

void bawn_uring_enter(struct bawn_uring *u, bool wait)
{
    long n = syscall(SYS_io_uring_enter, u->fd, u->queued, wait, IORING_ENTER_GETEVENTS, NULL, 0);

    /* EINTR, EAGAIN, EBUSY pass: what was not submitted is the next time. */
    if (n > 0)
        u->queued -= (unsigned)n;
}

bool bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res)
{
    unsigned head = *u->cq_head;
    const struct io_uring_cqe *c = &u->cqes[head & u->cq_mask];

    if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
        return false;
    *user = c->user_data;
    *res = c->res;
    __atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
    return true;
}
