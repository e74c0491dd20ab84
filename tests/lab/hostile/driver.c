// SPDX-License-Identifier: Apache-2.0
/*
 * As much of a virtio driver as shows that a device serves, and as sets one up to be attacked.
 * Waits for no device for ever.
 */
#include "hostile.h"

#define SERIAL 0x3f8
#define SERIAL_STATUS (SERIAL + 5)
#define SERIAL_EMPTY 0x20
#define PATIENCE 20000 /* looks at a register, each an exit */
#define SECTOR 512
#define F_BLK_RO 0x20

struct ring rings[QUEUES];
struct dev devs[SLOTS];
unsigned nr_devs;

uint32_t random32(void)
{
    static uint64_t x = 0x2545f4914f6cdd1d;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x >> 16;
}

void say(const char *text)
{
    for (; *text; text++) {
        while (!(in8(SERIAL_STATUS) & SERIAL_EMPTY))
            ;
        out8(SERIAL, *text);
    }
}

void say_number(uint64_t val)
{
    char text[20], *p = text + sizeof(text);

    *--p = 0;
    do
        *--p = '0' + val % 10;
    while (val /= 10);
    say(p);
}

void put_back(const struct dev *d)
{
    w32(d->cfg + 0x10, d->bar[0]);
    w32(d->cfg + 0x14, d->bar[1]);
    w16(d->cfg + 0x04, 6); /* memory, bus master */
}

void put_all_back(void)
{
    for (unsigned i = 0; i < nr_devs; i++)
        w16(devs[i].cfg + 0x04, 0); /* none lies where another was */
    for (unsigned i = 0; i < nr_devs; i++)
        put_back(&devs[i]);
}

void find_devices(void)
{
    for (unsigned slot = 1; slot < SLOTS; slot++) {
        struct dev *d = &devs[nr_devs];

        d->cfg = ECAM + (slot << 15);
        if (r16(d->cfg) != 0x1af4)
            continue;
        d->slot = slot;
        d->id = r16(d->cfg + 2);
        d->bar[0] = r32(d->cfg + 0x10);
        d->bar[1] = r32(d->cfg + 0x14);
        put_back(d);
        d->nr_queues = r16(d->bar[0] + COMMON_NR_QUEUES);
        if (d->nr_queues > QUEUES)
            d->nr_queues = QUEUES;
        nr_devs++;
    }
}

void set_status(const struct dev *d, uint8_t status)
{
    w8(d->bar[0] + COMMON_STATUS, status);
}

bool reset(const struct dev *d)
{
    set_status(d, 0);
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (!r8(d->bar[0] + COMMON_STATUS))
            return true;
    }
    return false;
}

void set_queue(const struct dev *d, unsigned q, uint64_t desc, uint64_t avail, uint64_t used)
{
    uint64_t at = d->bar[0];

    w16(at + COMMON_Q_SELECT, q);
    w16(at + COMMON_Q_SIZE, RING);
    for (unsigned half = 0; half < 2; half++) {
        w32(at + COMMON_Q_DESC + 4 * half, desc >> 32 * half);
        w32(at + COMMON_Q_AVAIL + 4 * half, avail >> 32 * half);
        w32(at + COMMON_Q_USED + 4 * half, used >> 32 * half);
    }
    w16(at + COMMON_Q_ENABLE, 1);
}

void negotiate(const struct dev *d, uint64_t features)
{
    uint64_t at = d->bar[0];

    __builtin_memset(rings, 0, sizeof(rings));
    reset(d);
    set_status(d, ACKNOWLEDGE | DRIVER);
    for (unsigned half = 0; half < 2; half++) {
        w32(at + COMMON_DF_SELECT, half);
        w32(at + COMMON_GF_SELECT, half);
        w32(at + COMMON_GF,
            r32(at + COMMON_DF) & (uint32_t)((features | F_VERSION_1) >> 32 * half));
    }
    set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

void start(const struct dev *d, uint64_t features)
{
    negotiate(d, features);
    for (unsigned q = 0; q < d->nr_queues; q++)
        set_queue(d, q, (uint64_t)rings[q].desc, (uint64_t)&rings[q].avail,
                  (uint64_t)&rings[q].used);
    set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

void kick(const struct dev *d, unsigned q)
{
    w16(d->bar[0] + BAR0_NOTIFY + 4 * q, q);
}

void offer(const struct dev *d, unsigned q, uint16_t head)
{
    struct ring *r = &rings[q];

    r->avail.ring[r->avail.idx % RING] = head;
    __asm__ volatile("" ::: "memory");
    r->avail.idx++;
    kick(d, q);
}

bool answered(const struct dev *d, unsigned q, uint16_t used, unsigned looks)
{
    volatile uint16_t *idx = &rings[q].used.idx;

    for (unsigned i = 0; i < looks; i++) {
        if (*idx == used || (r8(d->bar[0] + COMMON_STATUS) & NEEDS_RESET))
            return true;
    }
    return false;
}

static bool gives_random(const struct dev *d)
{
    start(d, 0);
    rings[0].desc[0] = (struct desc){ ARENA, 64, WRITE, 0 };
    offer(d, 0, 0);
    return answered(d, 0, 1, PATIENCE) && rings[0].used.idx == 1 && rings[0].used.ring[0].len == 64;
}

static bool request(const struct dev *d, uint32_t type, uint64_t sector, uint64_t data)
{
    volatile struct {
        uint32_t type, reserved;
        uint64_t sector;
        uint8_t status;
    } *head = (void *)(ARENA + 0x1000);

    start(d, 0);
    head->type = type;
    head->reserved = 0;
    head->sector = sector;
    head->status = 0xff;
    rings[0].desc[0] = (struct desc){ (uint64_t)head, 16, NEXT, 1 };
    rings[0].desc[1] = (struct desc){ data, SECTOR, NEXT | (type ? 0 : WRITE), 2 };
    rings[0].desc[2] = (struct desc){ (uint64_t)&head->status, 1, WRITE, 0 };
    offer(d, 0, 0);
    return answered(d, 0, 1, PATIENCE) && rings[0].used.idx == 1 && !head->status;
}

static bool read_only(const struct dev *d)
{
    w32(d->bar[0] + COMMON_DF_SELECT, 0);
    return r32(d->bar[0] + COMMON_DF) & F_BLK_RO;
}

/* What is written is read again; a disk that may only be read refuses the one and does the other.
 */
static bool keeps_data(const struct dev *d)
{
    uint64_t *out = (uint64_t *)(ARENA + 0x2000), *in = (uint64_t *)(ARENA + 0x3000);
    uint32_t sector = 1 + random32() % 100;

    for (unsigned i = 0; i < SECTOR / 8; i++)
        out[i] = random32(), in[i] = 0;
    if (read_only(d))
        return !request(d, 1, sector, (uint64_t)out) && request(d, 0, sector, (uint64_t)in);
    if (!request(d, 1, sector, (uint64_t)out) || !request(d, 0, sector, (uint64_t)in))
        return false;
    for (unsigned i = 0; i < SECTOR / 8; i++) {
        if (in[i] != out[i])
            return false;
    }
    return true;
}

bool serves(const struct dev *d)
{
    if (!reset(d))
        return false;
    return d->id == ID_RNG ? gives_random(d) : d->id == ID_BLK ? keeps_data(d) : true;
}
