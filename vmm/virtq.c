// SPDX-License-Identifier: Apache-2.0
/*
 * Split and packed virtqueues. Nothing in the rings or descriptors is trusted: every index is
 * reduced or compared, every address goes through bawn_mem_at(), and the number of buffers in a
 * chain is bounded by its table's size and BAWN_VIRTQ_MAX, which ends loops.
 */
#include <string.h>

#include "virtq.h"

#define AVAIL_FLAGS 0
#define AVAIL_IDX 2
#define AVAIL_RING 4
#define USED_IDX 2
#define USED_RING 4
/* After each ring of a split queue: the other side's event index. */
#define EVENT 2

/* A packed queue's event suppression (section 2.8.14). */
#define EVENT_POSITION 0
#define EVENT_FLAGS 2
#define EVENT_SIZE 4
/* A packed descriptor (section 2.8.13). */
#define PACKED_LEN 8
#define PACKED_ID 12
#define PACKED_FLAGS 14
#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED (1u << VRING_PACKED_DESC_F_USED)

#define WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define DESC_SIZE sizeof(struct vring_desc)
#define CHAIN_FLAGS (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)

static bool fail(struct bawn_virtq *q)
{
    q->broken = true;
    return false;
}

static bool has(const struct bawn_virtq *q, unsigned feature)
{
    return q->features & 1ull << feature;
}

static bool packed(const struct bawn_virtq *q)
{
    return has(q, VIRTIO_F_RING_PACKED);
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

/* ---- Positions in a packed ring ---- */

static unsigned slot(uint16_t at)
{
    return at & ~WRAP;
}

/* n entries further, at most the ring's size. */
static uint16_t further(const struct bawn_virtq *q, uint16_t at, unsigned n)
{
    unsigned to = slot(at) + n;

    return to < q->size ? (at & WRAP) | to : ((at ^ WRAP) & WRAP) | (to - q->size);
}

static uint8_t *packed_at(const struct bawn_virtq *q, uint16_t at)
{
    return q->desc + slot(at) * DESC_SIZE;
}

/* ---- Start ---- */

static bool map_split(struct bawn_virtq *q)
{
    uint32_t n = q->size;
    unsigned event = has(q, VIRTIO_RING_F_EVENT_IDX) ? EVENT : 0;

    if ((n & (n - 1)) || q->avail_gpa % 2)
        return false;
    q->avail = bawn_mem_at(q->mem, q->avail_gpa, AVAIL_RING + 2 * n + event);
    q->used =
        bawn_mem_at(q->mem, q->used_gpa, USED_RING + n * sizeof(struct vring_used_elem) + event);
    return true;
}

static bool map_packed(struct bawn_virtq *q)
{
    if (q->avail_gpa % 4)
        return false;
    q->avail = bawn_mem_at(q->mem, q->avail_gpa, EVENT_SIZE);
    q->used = bawn_mem_at(q->mem, q->used_gpa, EVENT_SIZE);
    return true;
}

bool bawn_virtq_resume(struct bawn_virtq *q, uint16_t avail_idx, uint16_t used_idx)
{
    if (!q->size || q->size > BAWN_VIRTQ_MAX || q->desc_gpa % 16 || q->used_gpa % 4)
        return fail(q);
    if (!(packed(q) ? map_packed(q) : map_split(q)))
        return fail(q);
    if (packed(q) && (slot(avail_idx) >= q->size || slot(used_idx) >= q->size))
        return fail(q);
    q->desc = bawn_mem_at(q->mem, q->desc_gpa, q->size * DESC_SIZE);
    if (!q->desc || !q->avail || !q->used)
        return fail(q);
    q->avail_idx = avail_idx;
    q->used_idx = q->asked_idx = used_idx;
    q->enabled = true;
    return true;
}

bool bawn_virtq_enable(struct bawn_virtq *q)
{
    uint16_t first = packed(q) ? WRAP : 0; /* section 2.8.1: the counters begin with 1 */

    return bawn_virtq_resume(q, first, first);
}

/* ---- Chains ---- */

/* Adds one descriptor's buffer to the chain. */
static bool add_buffer(struct bawn_virtq *q, struct bawn_virtq_chain *c, const struct vring_desc *d)
{
    bool write = d->flags & VRING_DESC_F_WRITE;
    uint32_t *sum = write ? &c->write_len : &c->read_len;
    void *base = bawn_mem_at(q->mem, d->addr, d->len);

    if (!base || !d->len || c->nr_read + c->nr_write == BAWN_VIRTQ_MAX)
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

static void read_desc(struct vring_desc *d, const uint8_t *from)
{
    memcpy(d, from, sizeof(*d));
    /* Keeps the compiler from reading a field again from the guest's memory. */
    __asm__ volatile("" : "+m"(*d));
}

/* A packed descriptor, whose fields stand in another order. */
static void read_packed(struct vring_desc *d, const uint8_t *from)
{
    uint16_t id;

    read_desc(d, from);
    id = d->flags;
    d->flags = d->next & ~(PACKED_AVAIL | PACKED_USED);
    d->next = id;
}

/* The table of n descriptors that an indirect one stands for. Each is 16 bytes in both kinds. */
static const uint8_t *indirect_table(const struct bawn_virtq *q, const struct vring_desc *d,
                                     unsigned *n)
{
    /* Section 2.7.5.3.1: nothing follows it. Its write flag is to be ignored. */
    if (!has(q, VIRTIO_RING_F_INDIRECT_DESC) || (d->flags & VRING_DESC_F_NEXT) ||
        (d->flags & ~(CHAIN_FLAGS | VRING_DESC_F_INDIRECT)) || !d->len || d->len % DESC_SIZE)
        return NULL;
    *n = d->len / DESC_SIZE;
    return bawn_mem_at(q->mem, d->addr, d->len);
}

/* A chain by next, whose last descriptor may stand for a table in which it goes on. */
static bool walk_split(struct bawn_virtq *q, struct bawn_virtq_chain *c)
{
    const uint8_t *table = q->desc;
    unsigned n = q->size, at = c->head;
    bool inner = false;

    for (unsigned left = n; left; left--) {
        struct vring_desc d;

        if (at >= n)
            return false;
        read_desc(&d, table + at * DESC_SIZE);
        if (d.flags & VRING_DESC_F_INDIRECT) {
            table = inner ? NULL : indirect_table(q, &d, &n);
            if (!table)
                return false;
            inner = true;
            at = 0;
            left = n + 1;
            continue;
        }
        if ((d.flags & ~CHAIN_FLAGS) || !add_buffer(q, c, &d))
            return false;
        if (!(d.flags & VRING_DESC_F_NEXT))
            return true;
        at = d.next;
    }
    return false; /* longer than its table: a loop */
}

/* Section 2.8.7: all entries, one after the other; of their flags, only one means something. */
static bool walk_packed_table(struct bawn_virtq *q, struct bawn_virtq_chain *c,
                              const struct vring_desc *outer)
{
    unsigned n;
    const uint8_t *table = indirect_table(q, outer, &n);

    for (unsigned i = 0; table && i < n; i++) {
        struct vring_desc d;

        read_packed(&d, table + i * DESC_SIZE);
        if (!add_buffer(q, c, &d))
            return false;
    }
    return table;
}

/* Section 2.8.1: the driver's bit is as its wrap counter, the device's is not. */
static bool packed_available(const struct bawn_virtq *q, uint16_t at)
{
    uint16_t flags = load16(packed_at(q, at) + PACKED_FLAGS);
    bool wrap = at & WRAP;

    return !!(flags & PACKED_AVAIL) == wrap && !!(flags & PACKED_USED) != wrap;
}

static bool walk_packed(struct bawn_virtq *q, struct bawn_virtq_chain *c)
{
    uint16_t at = q->avail_idx;

    for (c->slots = 1; c->slots <= q->size; c->slots++) {
        struct vring_desc d;

        if (!packed_available(q, at))
            return false;
        read_packed(&d, packed_at(q, at));
        c->head = d.next; /* of a list, the last one's counts */
        if (d.flags & VRING_DESC_F_INDIRECT)
            return walk_packed_table(q, c, &d);
        if ((d.flags & ~CHAIN_FLAGS) || !add_buffer(q, c, &d))
            return false;
        if (!(d.flags & VRING_DESC_F_NEXT))
            return true;
        at = further(q, at, 1);
    }
    return false;
}

/* ---- What is written, for who copies the guest's memory meanwhile ---- */

/* After a fence: what was written before tracking began is seen by who began it. */
static void note_ring(const struct bawn_virtq *q)
{
    if (!bawn_dirty_tracked(q->mem))
        return;
    if (packed(q))
        bawn_dirty_note(q->mem, q->desc, q->size * DESC_SIZE);
    bawn_dirty_note(q->mem, q->used,
                    packed(q) ? EVENT_SIZE
                              : USED_RING + q->size * sizeof(struct vring_used_elem) + EVENT);
}

void bawn_virtq_note(const struct bawn_virtq *q, const struct iovec *v, unsigned nr)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned i = 0; bawn_dirty_tracked(q->mem) && i < nr; i++)
        bawn_dirty_note(q->mem, v[i].iov_base, v[i].iov_len);
}

/* ---- Taking ---- */

static bool any_waits(const struct bawn_virtq *q)
{
    return packed(q) ? packed_available(q, q->avail_idx)
                     : load16(q->avail + AVAIL_IDX) != q->avail_idx;
}

/* The driver is to notify of the next chain. One may have come before it could know. */
static bool any_waits_still(const struct bawn_virtq *q)
{
    if (!has(q, VIRTIO_RING_F_EVENT_IDX))
        return false; /* it always notifies */
    if (packed(q)) {
        store16(q->used + EVENT_POSITION, q->avail_idx);
        store16(q->used + EVENT_FLAGS, VRING_PACKED_EVENT_FLAG_DESC);
    } else {
        store16(q->used + USED_RING + q->size * sizeof(struct vring_used_elem), q->avail_idx);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    note_ring(q);
    return any_waits(q);
}

static bool pop_split(struct bawn_virtq *q, struct bawn_virtq_chain *c)
{
    if ((uint16_t)(load16(q->avail + AVAIL_IDX) - q->avail_idx) > q->size)
        return false;
    c->head = load16(q->avail + AVAIL_RING + 2 * (q->avail_idx % q->size));
    c->slots = 1;
    if (!walk_split(q, c))
        return false;
    q->avail_idx++;
    return true;
}

static bool pop_packed(struct bawn_virtq *q, struct bawn_virtq_chain *c)
{
    if (!walk_packed(q, c))
        return false;
    q->avail_idx = further(q, q->avail_idx, c->slots);
    return true;
}

enum bawn_virtq_result bawn_virtq_pop(struct bawn_virtq *q, struct bawn_virtq_chain *chain)
{
    if (q->broken)
        return BAWN_VIRTQ_BROKEN;
    if (!q->enabled || (!any_waits(q) && !any_waits_still(q)))
        return BAWN_VIRTQ_EMPTY;
    chain->nr_read = chain->nr_write = 0;
    chain->read_len = chain->write_len = 0;
    if (!(packed(q) ? pop_packed(q, chain) : pop_split(q, chain))) {
        fail(q);
        return BAWN_VIRTQ_BROKEN;
    }
    return BAWN_VIRTQ_CHAIN;
}

void bawn_virtq_rewind(struct bawn_virtq *q, uint16_t avail_idx)
{
    q->avail_idx = avail_idx;
}

/* ---- Giving back ---- */

/* The first one's flags come last: the driver looks no further before it sees them. */
static void push_packed(struct bawn_virtq *q, const struct bawn_virtq_used *used, unsigned n)
{
    uint16_t at = q->used_idx, first = 0;

    for (unsigned i = 0; i < n; i++) {
        uint8_t *d = packed_at(q, at);
        uint16_t flags =
            (at & WRAP ? PACKED_AVAIL | PACKED_USED : 0) | (used[i].len ? VRING_DESC_F_WRITE : 0);

        store32(d + PACKED_LEN, used[i].len);
        store16(d + PACKED_ID, used[i].head);
        if (i)
            store16(d + PACKED_FLAGS, flags);
        else
            first = flags;
        at = further(q, at, used[i].slots);
    }
    store16(packed_at(q, q->used_idx) + PACKED_FLAGS, first);
    q->used_idx = at;
}

static void push_split(struct bawn_virtq *q, const struct bawn_virtq_used *used, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *elem =
            q->used + USED_RING + (q->used_idx++ % q->size) * sizeof(struct vring_used_elem);

        store32(elem, used[i].head);
        store32(elem + 4, used[i].len);
    }
    store16(q->used + USED_IDX, q->used_idx);
}

struct bawn_virtq_used bawn_virtq_used(const struct bawn_virtq_chain *chain, uint32_t written)
{
    return (struct bawn_virtq_used){ chain->head, chain->slots,
                                     written < chain->write_len ? written : chain->write_len,
                                     chain->read_len };
}

void bawn_virtq_push(struct bawn_virtq *q, const struct bawn_virtq_used *used, unsigned n)
{
    if (packed(q))
        push_packed(q, used, n);
    else
        push_split(q, used, n);
}

/* Section 2.7.10: whether used entry event is among those from old up to now. */
static bool passed(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

static bool split_wants_irq(const struct bawn_virtq *q)
{
    if (has(q, VIRTIO_RING_F_EVENT_IDX))
        return passed(load16(q->avail + AVAIL_RING + 2 * q->size), q->used_idx, q->asked_idx);
    return !(load16(q->avail + AVAIL_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* A position before the ring's present round, as one that is a round smaller. */
static uint16_t unwrapped(const struct bawn_virtq *q, uint16_t at)
{
    return slot(at) - ((at ^ q->used_idx) & WRAP ? q->size : 0);
}

static bool packed_wants_irq(const struct bawn_virtq *q)
{
    uint16_t flags = load16(q->avail + EVENT_FLAGS);

    if (flags == VRING_PACKED_EVENT_FLAG_DESC && has(q, VIRTIO_RING_F_EVENT_IDX))
        return passed(unwrapped(q, load16(q->avail + EVENT_POSITION)), slot(q->used_idx),
                      unwrapped(q, q->asked_idx));
    return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
}

bool bawn_virtq_wants_irq(struct bawn_virtq *q)
{
    bool wanted;

    /* What is used must be visible before the driver's wish is read (section 2.7.7.1). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    note_ring(q);
    wanted = packed(q) ? packed_wants_irq(q) : split_wants_irq(q);
    q->asked_idx = q->used_idx;
    return wanted;
}
