// SPDX-License-Identifier: Apache-2.0
/*
 * Split virtqueues. Nothing in the rings or descriptors is trusted: every index is reduced
 * or compared, every address goes through bawn_mem_at(), and the number of descriptors in
 * a chain is bounded by the queue's size, which ends loops.
 */
#include <string.h>

#include <linux/virtio_ring.h>

#include "virtq.h"

#define AVAIL_FLAGS 0
#define AVAIL_IDX 2
#define AVAIL_RING 4
#define USED_IDX 2
#define USED_RING 4

#define KNOWN_FLAGS (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)

static bool fail(struct bawn_virtq *q)
{
    q->broken = true;
    return false;
}

static uint16_t load16(const uint8_t *p)
{
    return __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

static void store16(uint8_t *p, uint16_t val)
{
    __atomic_store_n((uint16_t *)(void *)p, val, __ATOMIC_RELEASE);
}

static void store32(uint8_t *p, uint32_t val)
{
    __atomic_store_n((uint32_t *)(void *)p, val, __ATOMIC_RELAXED);
}

bool bawn_virtq_enable(struct bawn_virtq *q)
{
    uint32_t n = q->size;

    if (!n || n > BAWN_VIRTQ_MAX || (n & (n - 1)))
        return fail(q);
    if (q->desc_gpa % 16 || q->avail_gpa % 2 || q->used_gpa % 4)
        return fail(q);
    q->desc = bawn_mem_at(q->mem, q->desc_gpa, n * sizeof(struct vring_desc));
    q->avail = bawn_mem_at(q->mem, q->avail_gpa, AVAIL_RING + 2 * n);
    q->used = bawn_mem_at(q->mem, q->used_gpa, USED_RING + n * sizeof(struct vring_used_elem));
    if (!q->desc || !q->avail || !q->used)
        return fail(q);
    q->avail_idx = q->used_idx = 0;
    q->enabled = true;
    return true;
}

/* Adds one descriptor's buffer to the chain. */
static bool add_buffer(struct bawn_virtq *q, struct bawn_virtq_chain *c, const struct vring_desc *d)
{
    bool write = d->flags & VRING_DESC_F_WRITE;
    uint32_t *sum = write ? &c->write_len : &c->read_len;
    void *base = bawn_mem_at(q->mem, d->addr, d->len);

    if (!base || !d->len || (d->flags & ~KNOWN_FLAGS))
        return false;
    if (!write && c->nr_write) /* section 2.7.4.2: what the device reads comes first */
        return false;
    if (__builtin_add_overflow(*sum, d->len, sum))
        return false;
    c->iov[c->nr_read + c->nr_write] = (struct iovec){ base, d->len };
    if (write)
        c->nr_write++;
    else
        c->nr_read++;
    return true;
}

static bool walk(struct bawn_virtq *q, struct bawn_virtq_chain *c)
{
    uint16_t next = c->head;

    for (unsigned i = 0; i < q->size; i++) {
        struct vring_desc d;

        if (next >= q->size)
            return false;
        memcpy(&d, q->desc + next * sizeof(d), sizeof(d));
        /* Keeps the compiler from reading a field again from the guest's memory. */
        __asm__ volatile("" : "+m"(d));
        if (!add_buffer(q, c, &d))
            return false;
        if (!(d.flags & VRING_DESC_F_NEXT))
            return true;
        next = d.next;
    }
    return false; /* longer than the queue: a loop */
}

enum bawn_virtq_result bawn_virtq_pop(struct bawn_virtq *q, struct bawn_virtq_chain *chain)
{
    uint16_t waiting;

    if (q->broken)
        return BAWN_VIRTQ_BROKEN;
    if (!q->enabled)
        return BAWN_VIRTQ_EMPTY;
    waiting = load16(q->avail + AVAIL_IDX) - q->avail_idx;
    if (!waiting)
        return BAWN_VIRTQ_EMPTY;
    chain->head = load16(q->avail + AVAIL_RING + 2 * (q->avail_idx % q->size));
    chain->nr_read = chain->nr_write = 0;
    chain->read_len = chain->write_len = 0;
    if (waiting > q->size || !walk(q, chain)) {
        fail(q);
        return BAWN_VIRTQ_BROKEN;
    }
    q->avail_idx++;
    return BAWN_VIRTQ_CHAIN;
}

void bawn_virtq_unpop(struct bawn_virtq *q)
{
    q->avail_idx--;
}

void bawn_virtq_push(struct bawn_virtq *q, const struct bawn_virtq_chain *chain, uint32_t written)
{
    uint8_t *elem = q->used + USED_RING + (q->used_idx % q->size) * sizeof(struct vring_used_elem);

    store32(elem, chain->head);
    store32(elem + 4, written < chain->write_len ? written : chain->write_len);
    store16(q->used + USED_IDX, ++q->used_idx);
}

bool bawn_virtq_wants_irq(const struct bawn_virtq *q)
{
    /* The used index must be visible before the flag is read (section 2.7.7.1). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !(load16(q->avail + AVAIL_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
}
