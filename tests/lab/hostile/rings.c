// SPDX-License-Identifier: Apache-2.0
/*
 * Attacks on rings: where they are, what descriptors say, and what the buffers hold. What a device
 * writes goes to the arena or to where it must not.
 */
#include "hostile.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define SPLIT F_INDIRECT

static const uint64_t nowhere[] = {
    RAM_END,    RAM_END - 1,  RAM_END - 8, PCI_WINDOW,  ECAM,
    0xfec00000, 0xfee00000,   0xfffffff0,  0x100000000, 0x7ffffffffffffff0,
    1ull << 63, ~0ull - 4095, ~0ull - 15,  ~0ull,       ARENA + 1,
};

/* After each wrong thing: the device may do it, refuse it or ask for its reset. */
static void settle(const struct dev *d, unsigned q)
{
    answered(d, q, rings[q].avail.idx, 40);
    if (r8(d->bar[0] + COMMON_STATUS) & NEEDS_RESET)
        start(d, SPLIT);
}

static void ring_places(const struct dev *d)
{
    for (unsigned i = 0; i < LEN(nowhere) * 3; i++) {
        uint64_t at[3] = { (uint64_t)rings[0].desc, (uint64_t)&rings[0].avail,
                           (uint64_t)&rings[0].used };

        negotiate(d, i % 2 ? F_PACKED : 0);
        at[i % 3] = nowhere[i / 3];
        for (unsigned q = 0; q < d->nr_queues; q++)
            set_queue(d, q, at[0], at[1], at[2]);
        set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        offer(d, 0, 0);
        kick(d, d->nr_queues - 1);
    }
}

static void ring_overlaps(const struct dev *d)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        negotiate(d, packed ? F_PACKED : 0);
        for (unsigned q = 0; q < d->nr_queues; q++) /* all in one place, and every queue's there */
            set_queue(d, q, ARENA, ARENA, ARENA);
        set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        for (unsigned i = 0; i < 50; i++) {
            for (unsigned word = 0; word < 128; word++)
                w32(ARENA + 4 * word, i % 2 ? random32() : random32() & 0x80870007);
            kick(d, i % d->nr_queues);
        }
    }
}

static void ring_sizes(const struct dev *d)
{
    static const uint16_t sizes[] = { 0, 1, 2, 3, 15, 255, 256, 257, 0x8000, 0x8001, 0xffff };

    for (unsigned i = 0; i < 2 * LEN(sizes); i++) {
        negotiate(d, i % 2 ? F_PACKED : 0);
        for (unsigned q = 0; q < QUEUES; q++) {
            w16(d->bar[0] + COMMON_Q_SELECT, q);
            w16(d->bar[0] + COMMON_Q_SIZE, sizes[i / 2]);
            for (unsigned at = COMMON_Q_DESC; at < COMMON_END; at += 8)
                w32(d->bar[0] + at, RAM_END - 4096);
            w16(d->bar[0] + COMMON_Q_ENABLE, 1);
        }
        set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        kick(d, 0);
    }
}

static void indices(const struct dev *d)
{
    static const uint16_t jumps[] = { RING + 1, 0x7fff, 0x8000, 0xffff };

    for (unsigned i = 0; i < LEN(jumps); i++) {
        start(d, i % 2 ? F_EVENT_IDX : 0);
        rings[0].avail.idx = jumps[i];
        kick(d, 0);
        start(d, 0);
        rings[0].desc[RING - 1] = (struct desc){ ARENA, 64, WRITE, 0 };
        offer(d, 0, RING + i);
        settle(d, 0);
        start(d, 0);
        offer(d, 0, jumps[i]);
        settle(d, 0);
        rings[0].avail.idx--; /* and back */
        kick(d, 0);
    }
}

static void loops(const struct dev *d)
{
    start(d, SPLIT);
    for (unsigned length = 1; length <= RING; length++) {
        for (unsigned i = 0; i < length; i++)
            rings[0].desc[i] =
                (struct desc){ ARENA, 16, NEXT | (i & 1 ? WRITE : 0), (i + 1) % length };
        offer(d, 0, 0);
        settle(d, 0);
    }
    rings[0].desc[0] = (struct desc){ ARENA, 16, NEXT, RING };
    offer(d, 0, 0);
    settle(d, 0);
    rings[0].desc[0] = (struct desc){ ARENA, 16, NEXT | WRITE, 0xffff };
    offer(d, 0, 0);
    settle(d, 0);
}

static void buffers(const struct dev *d)
{
    static const uint32_t lens[] = { 0, 1, 16, 4096, 0x7fffffff, 0x80000000, ~0u };

    start(d, SPLIT);
    for (unsigned i = 0; i < LEN(nowhere) * LEN(lens); i++) {
        struct desc *table = rings[0].desc;
        uint64_t at = nowhere[i / LEN(lens)];
        uint32_t len = lens[i % LEN(lens)];

        if (at == ARENA + 1 && len > ARENA_END - at)
            len = 0x10000;
        table[0] = (struct desc){ ARENA, 16, NEXT, 1 };
        table[1] = (struct desc){ at, len, NEXT | (i & 1 ? WRITE : 0), 2 };
        table[2] = (struct desc){ i & 2 ? at : ARENA, len > 16 ? 16 : len, WRITE, 0 };
        offer(d, 0, i % 3);
        settle(d, 0);
    }
}

static void ring_as_buffer(const struct dev *d)
{
    start(d, SPLIT);
    for (unsigned i = 0; i < 12; i++) {
        static const uint16_t flags[] = { WRITE, NEXT | WRITE, NEXT };

        rings[0].desc[1] = (struct desc){ (uint64_t)&rings[0], sizeof(rings[0]), WRITE, 0 };
        rings[0].desc[0] = (struct desc){ (uint64_t)&rings[0].used, 4096, flags[i % 3], 1 };
        offer(d, 0, i % 2);
        settle(d, 0);
        start(d, SPLIT);
    }
}

static void order(const struct dev *d)
{
    start(d, SPLIT);
    for (unsigned mask = 0; mask < 64; mask++) { /* which of six are for the device to write */
        for (unsigned i = 0; i < 6; i++)
            rings[0].desc[i] =
                (struct desc){ ARENA + 64 * i, mask & 32 ? 1 : 512,
                               (i < 5 ? NEXT : 0) | (mask >> i & 1 ? WRITE : 0), i + 1 };
        offer(d, 0, 0);
        settle(d, 0);
    }
}

static void indirect(const struct dev *d)
{
    static const uint32_t lens[] = { 0, 1, 8, 16, 17, 32, 0x1000, 0x100000, 0xfffffff0, ~0u };
    struct desc *table = rings[0].indirect;

    for (unsigned i = 0; i < LEN(lens) * 6; i++) {
        uint64_t at = (uint64_t)table;
        uint16_t flags = INDIRECT;

        start(d, i % 5 ? F_INDIRECT : 0); /* and once where it was not agreed on */
        for (unsigned n = 0; n < RING; n++)
            table[n] = (struct desc){ ARENA, 16, NEXT, n + 1 };
        switch (i / LEN(lens)) {
        case 0:
            break;
        case 1: /* one that is its own */
            table[0] = (struct desc){ at, 64, INDIRECT, 0 };
            break;
        case 2:
            table[1].next = 0;
            break;
        case 3:
            flags |= NEXT | WRITE;
            break;
        case 4:
            at = nowhere[i % LEN(nowhere)];
            break;
        default:
            table[0].next = 0xffff;
        }
        rings[0].desc[0] = (struct desc){ at, lens[i % LEN(lens)], flags, 0 };
        offer(d, 0, 0);
        settle(d, 0);
    }
}

/* A descriptor at random, of which some part is mostly right. */
static struct desc any(void)
{
    uint32_t pick = random32();
    struct desc made = { ARENA + random32() % (ARENA_END - ARENA - 0x20000), random32() % 0x10000,
                         pick & 7, pick >> 8 & 31 };

    if (pick >> 16 & 7)
        return made;
    if (pick >> 20 & 1)
        made.addr = nowhere[random32() % LEN(nowhere)] & ~0xfffull;
    else
        made.next = random32();
    if (made.addr >= RAM_END)
        made.len = random32();
    return made;
}

static void split_random(const struct dev *d)
{
    start(d, SPLIT);
    for (unsigned i = 0; i < 150; i++) {
        unsigned q = random32() % d->nr_queues;

        for (unsigned n = 0; n < RING; n++)
            rings[q].desc[n] = any(), rings[q].indirect[n] = any();
        rings[q].desc[0].addr = (uint64_t)rings[q].indirect;
        rings[q].avail.flags = i;
        offer(d, q, random32() % (RING + 1));
        if (r8(d->bar[0] + COMMON_STATUS) & NEEDS_RESET)
            start(d, SPLIT | (i % 2 ? F_EVENT_IDX : 0));
    }
}

static void packed_random(const struct dev *d)
{
    start(d, SPLIT | F_PACKED);
    for (unsigned i = 0; i < 150; i++) {
        unsigned q = random32() % d->nr_queues;

        for (unsigned n = 0; n < RING; n++) {
            struct desc made = any();

            rings[q].desc[n] = (struct desc){ made.addr, made.len, made.next,
                                              (made.flags & 7) | (random32() & (AVAIL | USED)) };
            if (i % 2) /* the first turn's: all are there */
                rings[q].desc[n].next = (made.flags & 7) | AVAIL;
        }
        rings[q].avail.idx = random32(); /* the driver's event suppression */
        kick(d, q);
        if (r8(d->bar[0] + COMMON_STATUS) & NEEDS_RESET)
            start(d, SPLIT | F_PACKED | (i % 4 ? 0 : F_EVENT_IDX));
    }
}

/* Descriptors change while the device reads them. */
static void changing(const struct dev *d)
{
    for (unsigned round = 0; round < 4; round++) {
        start(d, SPLIT);
        for (unsigned i = 0; i < 4000; i++) {
            volatile struct desc *at = &rings[0].desc[i % 3];

            at->flags = NEXT | (i & 4 ? WRITE : 0);
            at->next = i & 8 ? 0xffff : (i + 1) % RING;
            at->addr = i & 16 ? ~0ull : ARENA;
            at->len = i & 32 ? ~0u : 16;
            if (i % 16 == 0)
                offer(d, 0, 0);
        }
    }
}

/* Requests that are well-formed chains of nonsense: disks' heads, packets, pages for the balloon.
 */
static void contents(const struct dev *d)
{
    static const uint32_t lens[] = { 1, 8, 15, 16, 17, 44, 513, 4096 };

    start(d, SPLIT);
    for (unsigned i = 0; i < 200; i++) {
        struct desc *table = rings[i % d->nr_queues].desc;

        for (unsigned word = 0; word < 16; word++)
            w32(ARENA + 4 * word, i % 3 ? random32() % 20 : random32());
        if (d->id == ID_BALLOON) /* pages that this guest does not need, and some that are not */
            for (unsigned word = 0; word < 1024; word++)
                w32(ARENA + 4 * word, i % 2 ? ~(random32() % 16) : 0x2000 + random32() % 0x1000);
        table[0] = (struct desc){ ARENA, lens[i % 8], NEXT, 1 };
        table[1] =
            (struct desc){ ARENA + 0x10000, lens[random32() % 8], NEXT | (random32() & WRITE), 2 };
        table[2] = (struct desc){ ARENA + 0x20000, i % 5 != 0, WRITE, 0 };
        offer(d, i % d->nr_queues, i % 4 == 3);
        settle(d, i % d->nr_queues);
    }
}

const struct attack ring_attacks[] = {
    { "rings in MMIO and outside memory", ring_places },
    { "rings over each other", ring_overlaps },
    { "rings of every size", ring_sizes },
    { "indices that jump", indices },
    { "chains that are loops", loops },
    { "buffers in MMIO, outside memory and of every length", buffers },
    { "rings as buffers", ring_as_buffer },
    { "buffers in every order", order },
    { "indirect tables of every kind", indirect },
    { "split rings at random", split_random },
    { "packed rings at random", packed_random },
    { "descriptors that change meanwhile", changing },
    { "requests without sense", contents },
    { 0, 0 },
};
