// SPDX-License-Identifier: Apache-2.0
/*
 * A machine with one virtio device and a hostile driver. Nothing of the input is trusted, and the
 * device must stand all of it.
 */
#include "common.h"
#include "tests/unit/vmm/join.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#define LOW_RAM 0xa000u
#define HIGH_RAM 0x1000u
#define SLOT 4
#define CFG (BAWN_ECAM_BASE + SLOT * 0x8000)
#define NOTIFY 0x3000u
#define QUEUES BAWN_VIRTIO_QUEUES
#define STEPS_MAX 400
#define CHUNK 64u /* that memory is compared by */
#define PARTS_MAX 8
/* Of queue q: three rings and an indirect table, then room for buffers; behind it more rings. */
#define DESC_AT(q) (((q) < 3 ? (q) : (q) + 5) * 0x1000u)
#define AVAIL_AT(q) (DESC_AT(q) + 0x800u)
#define USED_AT(q) (DESC_AT(q) + 0xa00u)
#define TABLES_AT(q) (0x3000u + (q)*0x100u)
#define BUFFERS_AT 0x4000u
#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED (1u << VRING_PACKED_DESC_F_USED)

static struct {
    struct bawn_bus mmio;
    struct bawn_wires wires;
    struct bawn_ioapic ioapic;
    struct bawn_loop loop;
    struct bawn_pci pci;
    struct bawn_virtio virtio;
    uint64_t bar0, bar1;
    uint16_t next_desc[QUEUES];
    unsigned race_in; /* look-ups until it happens; 0: none */
    uint8_t race_add;
    bool raced;
} m, clean;
static struct bawn_mem mem;
static struct fuzz_device device;
static unsigned queue_count; /* that inputs name */
static void *clean_state;
static struct bawn_loop_watch clean_watch[BAWN_LOOP_MAX];
static uint8_t *before; /* guest memory as the driver left it */

/* ---- Input ---- */

uint8_t steps_u8(struct fuzz_steps *s)
{
    if (!s->len)
        return 0;
    s->len--;
    return *s->data++;
}

uint16_t steps_u16(struct fuzz_steps *s)
{
    uint16_t low = steps_u8(s);

    return (uint16_t)(low | steps_u8(s) << 8);
}

uint32_t steps_u32(struct fuzz_steps *s)
{
    uint32_t low = steps_u16(s);

    return low | (uint32_t)steps_u16(s) << 16;
}

/* ---- Memory ---- */

void *__real_bawn_mem_at(const struct bawn_mem *guest, uint64_t gpa, uint64_t len);

static uint8_t *low(uint32_t gpa)
{
    return mem.range[0].host + gpa % LOW_RAM;
}

void *__wrap_bawn_mem_at(const struct bawn_mem *guest, uint64_t gpa, uint64_t len);

/* The other CPU of the guest has its turn where the device has just looked something up. */
void *__wrap_bawn_mem_at(const struct bawn_mem *guest, uint64_t gpa, uint64_t len)
{
    if (m.race_in && !--m.race_in) {
        m.raced = true;
        *low(DESC_AT(0) + m.race_add * 8u % 0x1000u) ^= m.race_add | 1;
    }
    return __real_bawn_mem_at(guest, gpa, len);
}

/* ---- Who may write where ---- */

static void allow(uint8_t *mask, uint64_t gpa, uint64_t len)
{
    if (gpa < LOW_RAM)
        memset(mask + gpa, 1, len < LOW_RAM - gpa ? len : LOW_RAM - gpa);
    else if (gpa >= BAWN_HIGH_RAM && gpa < BAWN_HIGH_RAM + HIGH_RAM) {
        gpa -= BAWN_HIGH_RAM;
        memset(mask + LOW_RAM + gpa, 1, len < HIGH_RAM - gpa ? len : HIGH_RAM - gpa);
    }
}

static bool packed(const struct bawn_virtq *q)
{
    return q->features & 1ull << VIRTIO_F_RING_PACKED;
}

/* A descriptor of either kind; of a packed one, next is the id. */
static struct vring_desc read_desc(const struct bawn_virtq *q, const uint8_t *from)
{
    struct vring_desc d;
    uint16_t flags;

    memcpy(&d, from, sizeof(d));
    if (packed(q)) {
        flags = d.next;
        d.next = d.flags;
        d.flags = flags;
    }
    return d;
}

/* What of the driver's memory a ring stood in before the step. */
static const uint8_t *was(const uint8_t *now)
{
    const uint8_t *high = mem.range[1].host;

    if (now >= high && now < high + HIGH_RAM)
        return before + LOW_RAM + (now - high);
    return before + (now - mem.range[0].host);
}

/* The device may write where a table says so. */
static void allow_table(uint8_t *mask, const struct bawn_virtq *q, const uint8_t *table, unsigned n,
                        bool inner)
{
    for (unsigned i = 0; i < n; i++) {
        struct vring_desc d = read_desc(q, table + i * sizeof(d));
        const uint8_t *at;

        if (!(d.flags & VRING_DESC_F_INDIRECT) || inner) {
            if (d.flags & VRING_DESC_F_WRITE)
                allow(mask, d.addr, d.len);
            continue;
        }
        at = __real_bawn_mem_at(&mem, d.addr, d.len);
        if (at)
            allow_table(mask, q, was(at), d.len / sizeof(d), true);
    }
}

static void allow_queue(uint8_t *mask, const struct bawn_virtq *q)
{
    unsigned event = q->features & 1ull << VIRTIO_RING_F_EVENT_IDX ? 2 : 0;

    allow_table(mask, q, was(q->desc), q->size, false);
    if (!packed(q)) {
        allow(mask, q->used_gpa, 4 + 8ull * q->size + event);
        return;
    }
    allow(mask, q->used_gpa, 2 * event);
    for (unsigned i = 0; i < q->size; i++) /* all but the address */
        allow(mask, q->desc_gpa + 16 * i + 8, 8);
}

/* A driver that lets the device write over the rings makes new ones in mid-step. */
static bool rings_may_change(const uint8_t *mask, const struct bawn_virtq *q)
{
    for (unsigned i = 0; i < q->size; i++) {
        const uint8_t *then = was(q->desc) + 16ul * i;
        struct vring_desc d = read_desc(q, then);
        const uint8_t *inner =
            d.flags & VRING_DESC_F_INDIRECT ? __real_bawn_mem_at(&mem, d.addr, d.len) : NULL;

        if (memchr(mask + (then - before), 1, packed(q) ? 8 : 16) ||
            (inner && memchr(mask + (was(inner) - before), 1, d.len)))
            return true;
    }
    return memchr(mask + (was(q->avail) - before), 1, packed(q) ? 4 : 4 + 2ul * q->size);
}

/* The queues before the step, which may have ended them, and after it. */
static struct bawn_virtq queues[2 * QUEUES];

static void keep_memory(void)
{
    memcpy(queues, device.vdev->vq, sizeof(device.vdev->vq));
    memcpy(before, mem.range[0].host, LOW_RAM);
    memcpy(before + LOW_RAM, mem.range[1].host, HIGH_RAM);
}

static void check_range(const uint8_t *mask, const uint8_t *then, const uint8_t *now, unsigned n)
{
    for (unsigned at = 0; at < n; at += CHUNK) {
        if (!memcmp(then + at, now + at, CHUNK))
            continue;
        for (unsigned i = at; i < at + CHUNK; i++) {
            if (now[i] == then[i] || mask[i])
                continue;
            fprintf(stderr, "vmm: the device wrote at 0x%x, where it must not\n", i);
            abort();
        }
    }
}

static void check_memory(void)
{
    static uint8_t mask[LOW_RAM + HIGH_RAM];
    const uint8_t *now[] = { mem.range[0].host, mem.range[1].host };

    if (m.raced ||
        (!memcmp(before, now[0], LOW_RAM) && !memcmp(before + LOW_RAM, now[1], HIGH_RAM)))
        return;
    memset(mask, 0, sizeof(mask));
    memcpy(queues + QUEUES, device.vdev->vq, sizeof(device.vdev->vq));
    for (unsigned i = 0; i < 2 * QUEUES; i++)
        if (queues[i].enabled)
            allow_queue(mask, &queues[i]);
    for (unsigned i = 0; i < 2 * QUEUES; i++)
        if (queues[i].enabled && rings_may_change(mask, &queues[i]))
            return;
    check_range(mask, before, now[0], LOW_RAM);
    check_range(mask + LOW_RAM, before + LOW_RAM, now[1], HIGH_RAM);
}

/* ---- Steps ---- */

static void reg(unsigned off, unsigned len, uint32_t val)
{
    bawn_bus_write(&m.mmio, m.bar0 + off, len, val);
}

static void find_bars(void)
{
    m.bar0 = bawn_bus_read(&m.mmio, CFG + PCI_BASE_ADDRESS_0, 4) & ~0xfull;
    m.bar1 = bawn_bus_read(&m.mmio, CFG + PCI_BASE_ADDRESS_1, 4) & ~0xfull;
}

static void start(uint8_t features, uint8_t size)
{
    uint32_t queue_size = 1u << size % 8;

    bawn_bus_write(&m.mmio, CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    find_bars();
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 3);
    reg(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    reg(VIRTIO_PCI_COMMON_GF, 4,
        features & 1 ? (uint32_t)device.vdev->offered | (features & 6u) << 27
                     : features >> 1 & 0x3f);
    reg(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    reg(VIRTIO_PCI_COMMON_GF, 4, features & 0x80 ? 5 : 1);
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 11);
    for (unsigned q = 0; q < device.vdev->ops->nr_queues; q++) {
        m.next_desc[q] = 0;
        reg(VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
        reg(VIRTIO_PCI_COMMON_Q_SIZE, 2, queue_size);
        reg(VIRTIO_PCI_COMMON_Q_DESCLO, 4, DESC_AT(q));
        reg(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, AVAIL_AT(q));
        reg(VIRTIO_PCI_COMMON_Q_USEDLO, 4, USED_AT(q));
        reg(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    }
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static void make_available(unsigned q, uint16_t head)
{
    uint16_t size = device.vdev->vq[q].size ? device.vdev->vq[q].size : 1;
    uint16_t *avail = (uint16_t *)(void *)low(AVAIL_AT(q));

    avail[2 + avail[1] % size] = head;
    avail[1]++;
}

/* The flags by which descriptor number n of a packed ring, counted on and on, is available. */
static uint16_t packed_flags(const struct bawn_virtq *q, unsigned n)
{
    return n / q->size % 2 ? PACKED_USED : PACKED_AVAIL;
}

static void put_desc(uint8_t *to, const struct bawn_virtq *q, struct vring_desc d)
{
    if (packed(q)) {
        uint16_t flags = d.flags;

        d.flags = d.next; /* the id */
        d.next = flags;
    }
    memcpy(to, &d, sizeof(d));
}

static struct vring_desc part(struct fuzz_steps *s)
{
    uint8_t where = steps_u8(s);
    uint16_t len = steps_u16(s);
    uint8_t flags = steps_u8(s);

    return (struct vring_desc){
        .addr = (flags & 2   ? BAWN_HIGH_RAM
                 : flags & 4 ? 0
                             : BUFFERS_AT) +
                where * 0x40u,
        .len = len,
        .flags = flags & 1 ? VRING_DESC_F_WRITE : 0,
    };
}

static void fill_part(struct fuzz_steps *s, uint64_t gpa)
{
    uint8_t *to = gpa >= BAWN_HIGH_RAM ? mem.range[1].host + (gpa - BAWN_HIGH_RAM) % 0xfc0
                                       : low((uint32_t)gpa);

    for (unsigned b = steps_u8(s) % 64; b; b--)
        *to++ = steps_u8(s);
}

/* flags: 1 the device writes, 2 in the upper memory, 4 the address is not changed to fit. */
static void chain(struct fuzz_steps *s)
{
    unsigned nr = steps_u8(s) % queue_count, count = steps_u8(s), n = 1 + count % PARTS_MAX;
    const struct bawn_virtq *q = &device.vdev->vq[nr];
    bool indirect = count & 0x80;
    uint16_t size = q->size ? q->size : 1;
    unsigned first = m.next_desc[nr];

    for (unsigned i = 0; i < n; i++) {
        struct vring_desc d = part(s);
        unsigned at = indirect ? i : m.next_desc[nr]++;

        if (i + 1 < n)
            d.flags |= VRING_DESC_F_NEXT;
        d.next = (uint16_t)(indirect ? i + 1 : packed(q) ? first % size : (at + 1) % size);
        if (packed(q) && !indirect && q->size)
            d.flags |= packed_flags(q, at);
        put_desc(low(indirect ? TABLES_AT(nr) + 16 * at : DESC_AT(nr) + 16 * (at % size)), q, d);
        if (!i)
            fill_part(s, d.addr);
    }
    if (indirect) {
        unsigned at = m.next_desc[nr]++;
        struct vring_desc d = {
            .addr = TABLES_AT(nr),
            .len = 16 * n,
            .flags = VRING_DESC_F_INDIRECT,
            .next = (uint16_t)(at % size),
        };

        if (packed(q) && q->size)
            d.flags |= packed_flags(q, at);
        put_desc(low(DESC_AT(nr) + 16 * (at % size)), q, d);
    }
    if (!packed(q))
        make_available(nr, (uint16_t)(first % size));
}

/* What is under way may write at any time. */
static void settle(void)
{
    m.raced |= device.settle && device.settle();
}

static void turn_loop(void)
{
    struct pollfd fds[BAWN_LOOP_MAX];
    unsigned nr = m.loop.nr;

    settle();
    for (unsigned i = 0; i < nr; i++)
        fds[i] = (struct pollfd){ m.loop.watch[i].on ? m.loop.watch[i].fd : -1, POLLIN, 0 };
    if (poll(fds, nr, 0) <= 0)
        return;
    for (unsigned i = 0; i < nr; i++)
        if (fds[i].revents && m.loop.watch[i].on)
            bawn_loop_call(&m.loop, i);
    settle();
}

static void step_start(struct fuzz_steps *s)
{
    uint8_t features = steps_u8(s);

    start(features, steps_u8(s));
}

static void step_reg(struct fuzz_steps *s)
{
    uint16_t off = steps_u16(s);
    unsigned len = 1u << steps_u8(s) % 4;

    bawn_bus_write(&m.mmio, m.bar0 + off % 0x4000, len, steps_u32(s));
}

static void step_read(struct fuzz_steps *s)
{
    uint16_t off = steps_u16(s);

    bawn_bus_read(&m.mmio, m.bar0 + off % 0x4000, 1u << steps_u8(s) % 4);
    bawn_bus_read(&m.mmio, m.bar1 + off % 0x1000, 1u << off % 4);
}

static void step_msix(struct fuzz_steps *s)
{
    uint8_t off = steps_u8(s), len = steps_u8(s);

    bawn_bus_write(&m.mmio, m.bar1 + off, len & 1 ? 4 : 8, steps_u32(s));
}

static void step_cfg(struct fuzz_steps *s)
{
    uint8_t off = steps_u8(s), len = steps_u8(s);

    bawn_bus_write(&m.mmio, CFG + off, 1u << len % 3, steps_u32(s));
    bawn_bus_read(&m.mmio, CFG + off, 1u << len % 3);
    find_bars();
}

static void step_poke(struct fuzz_steps *s)
{
    uint16_t at = steps_u16(s);

    for (unsigned n = steps_u8(s) % 64; n; n--)
        *low(at++) = steps_u8(s);
}

static void step_desc(struct fuzz_steps *s)
{
    unsigned q = steps_u8(s) % queue_count, i = steps_u8(s) % BAWN_VIRTQ_MAX;
    uint8_t *to = low(DESC_AT(q) + i * 16);

    for (unsigned n = 0; n < 16; n++)
        to[n] = steps_u8(s);
}

static void step_avail(struct fuzz_steps *s)
{
    unsigned q = steps_u8(s) % queue_count, i = steps_u8(s) % BAWN_VIRTQ_MAX;
    uint16_t *avail = (uint16_t *)(void *)low(AVAIL_AT(q)), val = steps_u16(s);

    if (packed(&device.vdev->vq[q])) {
        memcpy(low(DESC_AT(q) + i * 16 + 14), &val, sizeof(val));
        return;
    }
    avail[2 + i] = val;
    avail[1]++;
}

static void step_bell(struct fuzz_steps *s)
{
    uint8_t q = steps_u8(s);

    reg(NOTIFY + q % (queue_count + 1) * 4u, 2, q);
    turn_loop();
}

static void step_host(struct fuzz_steps *s)
{
    uint8_t what = steps_u8(s), how = steps_u8(s);

    if (device.host)
        device.host(what, how);
    turn_loop();
}

static void step_race(struct fuzz_steps *s)
{
    m.race_in = steps_u8(s);
    m.race_add = steps_u8(s);
}

static void step_link(struct fuzz_steps *s)
{
    unsigned q = steps_u8(s) % queue_count, i = steps_u8(s) % BAWN_VIRTQ_MAX;
    struct vring_desc *desc = (struct vring_desc *)(void *)low(DESC_AT(q));

    desc[i].flags |= VRING_DESC_F_NEXT;
    desc[i].next = steps_u8(s);
}

static const struct {
    void (*carry_out)(struct fuzz_steps *s);
    bool device; /* it may work on its queues then: that is checked */
} steps[] = {
    { step_start, true },  { step_reg, true },   { step_read, true }, { step_msix, true },
    { step_cfg, true },    { step_poke, false }, { chain, false },    { step_desc, false },
    { step_avail, false }, { step_bell, true },  { step_host, true }, { step_race, false },
    { step_link, false },
};

/* ---- The machine ---- */

static void drop_msi(void *opaque, uint64_t addr, uint32_t data)
{
    (void)opaque, (void)addr, (void)data;
}

static void drop_route(void *opaque, unsigned gsi, bool on, uint64_t addr, uint32_t data)
{
    (void)opaque, (void)on, (void)addr, (void)data;
    FUZZ_MUST(gsi < BAWN_MAX_GSI);
}

static int take_irqfd(void *opaque, unsigned gsi, int fd, bool on)
{
    (void)opaque, (void)fd, (void)on;
    FUZZ_MUST(gsi < BAWN_MAX_GSI);
    return 0;
}

static int take_ioeventfd(void *opaque, uint64_t gpa, int fd, bool on)
{
    (void)opaque, (void)gpa, (void)fd, (void)on;
    return 0;
}

const struct bawn_wires_ops fuzz_wires = { drop_msi, drop_route, take_irqfd, take_ioeventfd };

struct bawn_vdev_host fuzz_machine(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    mem.nr = 2;
    /* Of malloc's, so that a byte beside them is seen. */
    mem.range[0] = (struct bawn_mem_range){ .size = LOW_RAM, .host = calloc(1, LOW_RAM) };
    mem.range[1] = (struct bawn_mem_range){ .gpa = BAWN_HIGH_RAM,
                                            .size = HIGH_RAM,
                                            .host = calloc(1, HIGH_RAM) };
    before = malloc(LOW_RAM + HIGH_RAM);
    FUZZ_MUST(mem.range[0].host && mem.range[1].host && before);
    m.wires = (struct bawn_wires){ &fuzz_wires, NULL, BAWN_IOAPIC_PINS };
    bawn_ioapic_init(&m.ioapic, &m.wires);
    FUZZ_MUST(!bawn_loop_init(&m.loop, &lock) && !bawn_pci_init(&m.pci, &m.mmio));
    return (struct bawn_vdev_host){ &mem, &m.loop };
}

void fuzz_plugged(const struct fuzz_device *d)
{
    const struct bawn_virtio_host host = { &m.wires, &m.ioapic, &m.loop, &m.pci, false };

    device = *d;
    queue_count = d->vdev->ops->nr_queues < 3 ? 3 : d->vdev->ops->nr_queues;
    FUZZ_MUST(queue_count <= 5);
    FUZZ_MUST(!bawn_virtio_init(&m.virtio, d->vdev, &host, SLOT));
    if (d->plug)
        d->plug(&m.virtio);
    else
        join(&m.virtio, d->vdev);
    clean = m;
    memcpy(clean_watch, m.loop.watch, m.loop.nr * sizeof(clean_watch[0]));
    clean_state = malloc(d->size);
    FUZZ_MUST(clean_state);
    memcpy(clean_state, d->state, d->size);
}

static void put_back(void)
{
    eventfd_t ignored;

    find_bars();
    bawn_bus_write(&m.mmio, CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    find_bars();
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    if (device.clear)
        device.clear();
    for (unsigned i = 0; i < device.vdev->ops->nr_queues; i++) {
        (void)!eventfd_read(device.vdev->bell[i].fd, &ignored);
        (void)!eventfd_read(device.vdev->call_fd[i], &ignored);
    }
    (void)!eventfd_read(m.loop.wake_fd, &ignored);
    m = clean;
    memcpy(m.loop.watch, clean_watch, m.loop.nr * sizeof(clean_watch[0]));
    memcpy(device.state, clean_state, device.size);
    memset(mem.range[0].host, 0, LOW_RAM);
    memset(mem.range[1].host, 0, HIGH_RAM);
}

void fuzz_steps(const uint8_t *data, size_t len)
{
    struct fuzz_steps s = { data, len };

    find_bars();
    for (unsigned i = 0; s.len && i < STEPS_MAX; i++) {
        unsigned n = steps_u8(&s) % (sizeof(steps) / sizeof(steps[0]));

        if (steps[n].device)
            keep_memory();
        steps[n].carry_out(&s);
        if (steps[n].device)
            check_memory();
    }
    put_back();
}
