// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-pci: common configuration, notifications, MSI-X and INTx. Every register value is
 * the guest's. A driver that breaks the rules gets DEVICE_NEEDS_RESET, never more. The device
 * is not trusted either: all it can do is to say so and to ask for interrupts.
 * The caller holds the machine's lock.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "virtio.h"

#define VENDOR 0x1af4 /* section 4.1.2 */
#define DEVICE_BASE 0x1040
#define NO_VECTOR VIRTIO_MSI_NO_VECTOR
#define ISR_QUEUE 0x1
#define ISR_CONFIG 0x2

/* BAR 0: one page for each structure; BAR 1: the MSI-X table and its pending bits. */
#define BAR0_SIZE 0x4000
#define BAR0_COMMON 0x0000
#define BAR0_ISR 0x1000
#define BAR0_DEVICE 0x2000
#define BAR0_NOTIFY 0x3000
#define NOTIFY_STEP 4
#define BAR1_SIZE 0x1000
#define BAR1_PENDING 0x800

/* ---- interrupts ---- */

static uint16_t msix_flags(const struct bawn_virtio *v)
{
    return bawn_pci_get(&v->pci, v->msix_cap + PCI_MSIX_FLAGS, 2);
}

static bool msix_on(const struct bawn_virtio *v)
{
    return msix_flags(v) & PCI_MSIX_FLAGS_ENABLE;
}

static bool msix_masked(const struct bawn_virtio *v, unsigned n)
{
    return (msix_flags(v) & PCI_MSIX_FLAGS_MASKALL) ||
           (v->msix[n].control & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* Where a queue's calls go now: to the module while its vector can fire, else to on_call(). */
static void route_call(struct bawn_virtio *v, unsigned queue)
{
    const struct bawn_wires_ops *wires = v->host.wires->ops;
    struct bawn_virtio_call *c = &v->call[queue];
    uint16_t n = v->queue_vector[queue];
    bool direct = msix_on(v) && n < v->nr_vectors && !msix_masked(v, n);

    if (direct)
        wires->route(v->host.wires->opaque, v->gsi + queue, true, v->msix[n].addr, v->msix[n].data);
    if (direct == c->direct)
        return;
    /* Without an irqfd, which the module refuses only when it is out of memory, on_call() goes on
     * to serve. */
    if (wires->irqfd(v->host.wires->opaque, v->gsi + queue, c->fd, direct))
        return;
    c->direct = direct;
    bawn_loop_set(v->host.loop, c->watch, !direct);
}

/* An entry or its mask changed, or the whole table's. */
static void msix_update(struct bawn_virtio *v, unsigned n)
{
    for (unsigned i = 0; i < v->ops->nr_queues; i++) {
        if (v->queue_vector[i] == n)
            route_call(v, i);
    }
    if (!msix_on(v) || msix_masked(v, n) || !(v->msix_pending & 1u << n))
        return;
    v->msix_pending &= ~(1u << n);
    v->host.wires->ops->msi(v->host.wires->opaque, v->msix[n].addr, v->msix[n].data);
}

static void set_intx(struct bawn_virtio *v)
{
    uint16_t cmd = bawn_pci_get(&v->pci, PCI_COMMAND, 2);
    bool level = v->isr && !msix_on(v) && !(cmd & PCI_COMMAND_INTX_DISABLE);

    bawn_ioapic_set(v->host.ioapic, BAWN_PCI_GSI(v->pci.slot, 0), bawn_pci_intx(&v->pci, level));
}

static void interrupt(struct bawn_virtio *v, uint16_t vector, uint8_t isr)
{
    if (!msix_on(v)) {
        v->isr |= isr;
        set_intx(v);
    } else if (vector < v->nr_vectors) {
        if (msix_masked(v, vector))
            v->msix_pending |= 1u << vector;
        else
            v->host.wires->ops->msi(v->host.wires->opaque, v->msix[vector].addr,
                                    v->msix[vector].data);
    }
}

/* The device asks for a queue's interrupt, and no irqfd takes it. */
static void on_call(void *opaque)
{
    struct bawn_virtio_call *c = opaque;
    struct bawn_virtio *v = c->dev;
    eventfd_t ignored;

    if (!eventfd_read(c->fd, &ignored) && (v->status & VIRTIO_CONFIG_S_DRIVER_OK))
        interrupt(v, v->queue_vector[c - v->call], ISR_QUEUE);
}

/* ---- the device ---- */

void bawn_virtio_broken(struct bawn_virtio *v)
{
    if (v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
        return;
    v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt(v, v->config_vector, ISR_CONFIG);
}

/* The driver's part of the configuration, to whoever follows it. */
static void tell_settable(const struct bawn_virtio *v)
{
    if (v->follow)
        memcpy(v->follow, v->config + v->ops->settable, v->ops->settable_len);
}

void bawn_virtio_config(struct bawn_virtio *v, const void *config, unsigned len)
{
    uint8_t drivers[BAWN_VIRTIO_CONFIG_MAX];

    if (len != v->config_len)
        return;
    memcpy(drivers, v->config + v->ops->settable, v->ops->settable_len);
    memcpy(v->config, config, len);
    memcpy(v->config + v->ops->settable, drivers, v->ops->settable_len);
    v->config_generation++;
    if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt(v, v->config_vector, ISR_CONFIG);
}

static void clear_registers(struct bawn_virtio *v)
{
    v->device_feature_select = v->driver_feature_select = 0;
    v->driver_features = 0;
    v->status = v->isr = 0;
    v->queue_select = 0;
    v->config_vector = NO_VECTOR;
    memset(&v->set, 0, sizeof(v->set));
    for (unsigned i = 0; i < v->ops->nr_queues; i++) {
        v->queue_vector[i] = NO_VECTOR;
        v->set.queue[i].size = v->ops->queue_size;
        route_call(v, i);
    }
    set_intx(v);
}

void bawn_virtio_stopped(struct bawn_virtio *v)
{
    if (!v->stopping)
        return;
    v->stopping = v->started = false;
    clear_registers(v);
}

void bawn_virtio_reborn(struct bawn_virtio *v)
{
    if (v->stopping)
        bawn_virtio_stopped(v);
    else if (v->started)
        bawn_virtio_broken(v);
}

/* Until the device has stopped the status reads as before, and the driver waits. */
static void reset(struct bawn_virtio *v)
{
    v->stopping = true;
    if (v->started)
        v->down->stop(v->down_opaque);
    else
        bawn_virtio_stopped(v);
}

/* ---- common configuration (section 4.1.4.3) ---- */

/* What the driver must take (section 6.1). */
static uint64_t required_features(const struct bawn_virtio *v)
{
    return 1ull << VIRTIO_F_VERSION_1 |
           (v->host.access_platform ? 1ull << VIRTIO_F_ACCESS_PLATFORM : 0);
}

static uint64_t offered_features(const struct bawn_virtio *v)
{
    return required_features(v) | BAWN_VIRTQ_FEATURES | v->features;
}

static bool features_fit(const struct bawn_virtio *v)
{
    uint64_t required = required_features(v);

    return (v->driver_features & required) == required &&
           !(v->driver_features & ~offered_features(v));
}

static uint64_t common_read(struct bawn_virtio *v, uint64_t off, unsigned len)
{
    unsigned q = v->queue_select;
    struct virtio_pci_common_cfg c = {
        .device_feature_select = htole32(v->device_feature_select),
        .guest_feature_select = htole32(v->driver_feature_select),
        .msix_config = htole16(v->config_vector),
        .num_queues = htole16(v->ops->nr_queues),
        .device_status = v->status,
        .config_generation = v->config_generation,
        .queue_select = htole16(v->queue_select),
        .queue_msix_vector = htole16(NO_VECTOR),
    };
    uint64_t val = 0;

    if (v->stopping && v->down->stopping)
        v->down->stopping(v->down_opaque);
    if (v->device_feature_select < 2)
        c.device_feature = htole32(offered_features(v) >> (32 * v->device_feature_select));
    if (v->driver_feature_select < 2)
        c.guest_feature = htole32(v->driver_features >> (32 * v->driver_feature_select));
    if (q < v->ops->nr_queues) {
        c.queue_size = htole16(v->set.queue[q].size);
        c.queue_msix_vector = htole16(v->queue_vector[q]);
        c.queue_enable = htole16(v->set.queue[q].enabled);
        c.queue_notify_off = htole16(v->queue_select);
        c.queue_desc_lo = htole32(v->set.queue[q].desc);
        c.queue_desc_hi = htole32(v->set.queue[q].desc >> 32);
        c.queue_avail_lo = htole32(v->set.queue[q].avail);
        c.queue_avail_hi = htole32(v->set.queue[q].avail >> 32);
        c.queue_used_lo = htole32(v->set.queue[q].used);
        c.queue_used_hi = htole32(v->set.queue[q].used >> 32);
    }
    if (off + len <= sizeof(c))
        memcpy(&val, (const uint8_t *)&c + off, len);
    return le64toh(val);
}

static void write_driver_features(struct bawn_virtio *v, uint32_t val)
{
    unsigned shift = 32 * v->driver_feature_select;

    if (v->driver_feature_select > 1 || (v->status & VIRTIO_CONFIG_S_FEATURES_OK))
        return;
    v->driver_features &= ~(0xffffffffull << shift);
    v->driver_features |= (uint64_t)val << shift;
}

static void write_status(struct bawn_virtio *v, uint8_t val)
{
    if (!val) {
        reset(v);
        return;
    }
    /* Features are accepted once and as a whole (section 2.2.2). */
    if (!features_fit(v))
        val &= ~VIRTIO_CONFIG_S_FEATURES_OK;
    if (!((v->status | val) & VIRTIO_CONFIG_S_FEATURES_OK))
        val &= ~VIRTIO_CONFIG_S_DRIVER_OK;
    v->status |= val & ~VIRTIO_CONFIG_S_NEEDS_RESET;
    if (v->started || !(v->status & VIRTIO_CONFIG_S_DRIVER_OK))
        return;
    v->started = true;
    v->set.features = v->driver_features;
    v->down->start(v->down_opaque, &v->set);
}

static uint16_t checked_vector(const struct bawn_virtio *v, uint32_t val)
{
    return val < v->nr_vectors ? val : NO_VECTOR;
}

/* The registers of the selected queue; its layout is fixed once it is enabled. What of it is wrong
 * the device finds when it starts. */
static void write_queue(struct bawn_virtio *v, unsigned off, uint32_t val)
{
    unsigned n = v->queue_select;
    uint64_t *addr;

    if (n >= v->ops->nr_queues)
        return;
    if (off == VIRTIO_PCI_COMMON_Q_MSIX) {
        v->queue_vector[n] = checked_vector(v, val);
        route_call(v, n);
    }
    if (v->set.queue[n].enabled || v->started)
        return;
    if (off == VIRTIO_PCI_COMMON_Q_SIZE && val <= v->ops->queue_size) {
        v->set.queue[n].size = val;
    } else if (off == VIRTIO_PCI_COMMON_Q_ENABLE) {
        v->set.queue[n].enabled = val == 1 && (v->status & VIRTIO_CONFIG_S_FEATURES_OK);
    } else if (off >= VIRTIO_PCI_COMMON_Q_DESCLO) {
        addr = off < VIRTIO_PCI_COMMON_Q_AVAILLO  ? &v->set.queue[n].desc
               : off < VIRTIO_PCI_COMMON_Q_USEDLO ? &v->set.queue[n].avail
                                                  : &v->set.queue[n].used;
        *addr = off % 8 ? (uint32_t)*addr | (uint64_t)val << 32 : (*addr >> 32 << 32) | val;
    }
}

/* Fields are written whole (section 4.1.3.1); 64-bit ones as two halves. */
static void common_write(struct bawn_virtio *v, unsigned off, unsigned len, uint32_t val)
{
    static const uint8_t width[sizeof(struct virtio_pci_common_cfg)] = {
        [VIRTIO_PCI_COMMON_DFSELECT] = 4,  [VIRTIO_PCI_COMMON_GFSELECT] = 4,
        [VIRTIO_PCI_COMMON_GF] = 4,        [VIRTIO_PCI_COMMON_MSIX] = 2,
        [VIRTIO_PCI_COMMON_STATUS] = 1,    [VIRTIO_PCI_COMMON_Q_SELECT] = 2,
        [VIRTIO_PCI_COMMON_Q_SIZE] = 2,    [VIRTIO_PCI_COMMON_Q_MSIX] = 2,
        [VIRTIO_PCI_COMMON_Q_ENABLE] = 2,  [VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
        [VIRTIO_PCI_COMMON_Q_DESCHI] = 4,  [VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
        [VIRTIO_PCI_COMMON_Q_AVAILHI] = 4, [VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
        [VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
    };

    if (v->stopping || off >= sizeof(width) || len != width[off])
        return;
    if (off == VIRTIO_PCI_COMMON_DFSELECT)
        v->device_feature_select = val;
    else if (off == VIRTIO_PCI_COMMON_GFSELECT)
        v->driver_feature_select = val;
    else if (off == VIRTIO_PCI_COMMON_GF)
        write_driver_features(v, val);
    else if (off == VIRTIO_PCI_COMMON_MSIX)
        v->config_vector = checked_vector(v, val);
    else if (off == VIRTIO_PCI_COMMON_STATUS)
        write_status(v, val);
    else if (off == VIRTIO_PCI_COMMON_Q_SELECT)
        v->queue_select = val;
    else
        write_queue(v, off, val);
}

/* ---- BARs ---- */

static uint64_t config_read(const struct bawn_virtio *v, uint64_t off, unsigned len)
{
    uint64_t val = 0;

    if (off + len <= v->config_len)
        memcpy(&val, v->config + off, len);
    return le64toh(val);
}

static void config_write(struct bawn_virtio *v, uint64_t off, unsigned len, uint64_t val)
{
    unsigned first = v->ops->settable, behind = first + v->ops->settable_len;

    if (off < first || off + len > behind || behind > v->config_len)
        return;
    val = htole64(val);
    memcpy(v->config + off, &val, len);
    tell_settable(v);
}

static uint64_t bar0_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_virtio *v = opaque;
    uint8_t isr = v->isr;

    if (off < BAR0_ISR)
        return common_read(v, off, len);
    if (off >= BAR0_DEVICE && off < BAR0_NOTIFY)
        return config_read(v, off - BAR0_DEVICE, len);
    if (off != BAR0_ISR)
        return 0;
    v->isr = 0; /* section 4.1.4.5: reading acknowledges */
    set_intx(v);
    return isr;
}

static void bar0_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_virtio *v = opaque;

    unsigned queue = (off - BAR0_NOTIFY) / NOTIFY_STEP;

    if (off >= BAR0_DEVICE && off < BAR0_NOTIFY)
        config_write(v, off - BAR0_DEVICE, len, val);
    else if (off < BAR0_NOTIFY)
        common_write(v, off, len, val);
    else if (queue < v->ops->nr_queues)
        (void)!eventfd_write(v->bell_fd[queue], 1);
}

static uint64_t bar1_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_virtio *v = opaque;
    uint64_t val = 0;

    if (off >= BAR1_PENDING)
        return off == BAR1_PENDING ? v->msix_pending : 0;
    if (off + len <= v->nr_vectors * sizeof(v->msix[0]))
        memcpy(&val, (const uint8_t *)v->msix + off, len);
    return val;
}

static void bar1_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_virtio *v = opaque;

    /* PCI 3.0, section 6.8.2: aligned 4- or 8-byte accesses only */
    if ((len != 4 && len != 8) || off % len || off + len > v->nr_vectors * sizeof(v->msix[0]))
        return;
    memcpy((uint8_t *)v->msix + off, &val, len);
    msix_update(v, off / sizeof(v->msix[0]));
}

static const struct bawn_bus_ops bar0_ops = { bar0_read, bar0_write };
static const struct bawn_bus_ops bar1_ops = { bar1_read, bar1_write };

/* ---- PCI ---- */

static void bar_moved(struct bawn_pci_dev *dev, unsigned bar, uint64_t gpa, bool on)
{
    struct bawn_virtio *v = dev->opaque;

    /* Without an ioeventfd the notification is an exit to bar0_write(): slower, no worse. */
    for (unsigned i = 0; bar == 0 && i < v->ops->nr_queues; i++)
        v->host.wires->ops->ioeventfd(v->host.wires->opaque, gpa + BAR0_NOTIFY + i * NOTIFY_STEP,
                                      v->bell_fd[i], on);
}

static void cfg_written(struct bawn_pci_dev *dev)
{
    struct bawn_virtio *v = dev->opaque;

    /* The command register or the MSI-X control may be what changed. */
    for (unsigned i = 0; i < v->nr_vectors; i++)
        msix_update(v, i);
    set_intx(v);
}

static const struct bawn_pci_ops pci_ops = { bar_moved, cfg_written };

static void add_caps(struct bawn_virtio *v)
{
    static const struct {
        uint8_t type;
        uint32_t off, len;
    } parts[] = {
        { VIRTIO_PCI_CAP_COMMON_CFG, BAR0_COMMON, sizeof(struct virtio_pci_common_cfg) },
        { VIRTIO_PCI_CAP_ISR_CFG, BAR0_ISR, 1 },
        { VIRTIO_PCI_CAP_DEVICE_CFG, BAR0_DEVICE, 0x1000 },
        { VIRTIO_PCI_CAP_NOTIFY_CFG, BAR0_NOTIFY, BAWN_VIRTIO_QUEUES * NOTIFY_STEP },
    };
    uint8_t msix[PCI_CAP_MSIX_SIZEOF] = { PCI_CAP_ID_MSIX };

    msix[PCI_MSIX_FLAGS] = v->nr_vectors - 1;
    msix[PCI_MSIX_TABLE] = 1; /* BAR 1, offset 0 */
    msix[PCI_MSIX_PBA] = 1 | (BAR1_PENDING & 0xff);
    msix[PCI_MSIX_PBA + 1] = BAR1_PENDING >> 8;
    v->msix_cap = bawn_pci_dev_cap(&v->pci, msix, sizeof(msix));
    bawn_pci_dev_allow(&v->pci, v->msix_cap + PCI_MSIX_FLAGS, 2,
                       PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);

    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct virtio_pci_notify_cap cap = {
            .cap = { .cap_vndr = PCI_CAP_ID_VNDR,
                     .cap_len = sizeof(struct virtio_pci_cap),
                     .cfg_type = parts[i].type,
                     .offset = htole32(parts[i].off),
                     .length = htole32(parts[i].len) },
        };

        if (parts[i].type == VIRTIO_PCI_CAP_NOTIFY_CFG) { /* the kind with one more field */
            cap.notify_off_multiplier = htole32(NOTIFY_STEP);
            cap.cap.cap_len = sizeof(cap);
        }
        bawn_pci_dev_cap(&v->pci, &cap, cap.cap.cap_len);
    }
}

static int watch_calls(struct bawn_virtio *v, const struct bawn_vdev *dev)
{
    for (unsigned i = 0; i < v->ops->nr_queues; i++) {
        struct bawn_virtio_call *c = &v->call[i];

        v->bell_fd[i] = dev->bell[i].fd;
        *c = (struct bawn_virtio_call){ .dev = v, .fd = dev->call_fd[i] };
        c->watch = bawn_loop_watch(v->host.loop, c->fd, true, on_call, c);
        if (c->watch < 0)
            return c->watch;
    }
    return 0;
}

/* What the device is, as a driver finds it: configuration space, features, configuration. */
static void set_up(struct bawn_virtio *v, const struct bawn_vdev *dev)
{
    const struct bawn_pci_id id = {
        .vendor = VENDOR,
        .device = DEVICE_BASE + dev->ops->id,
        .subsystem = DEVICE_BASE, /* section 4.1.2.1: 0x40 or higher */
        .revision = 1,
        .class = dev->ops->class,
    };

    v->ops = dev->ops;
    v->nr_vectors = dev->ops->nr_queues + 1;
    memset(v->msix, 0, sizeof(v->msix));
    for (unsigned i = 0; i < v->nr_vectors; i++)
        v->msix[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    v->msix_pending = 0;
    v->features = dev->offered;
    v->config_len = dev->config_len;
    if (dev->config_len)
        memcpy(v->config, dev->config, dev->config_len);
    bawn_pci_dev_init(&v->pci, &id, &pci_ops, v);
    v->pci.cfg[PCI_INTERRUPT_PIN] = 1; /* INTA */
    bawn_pci_dev_bar(&v->pci, 0, BAR0_SIZE, &bar0_ops);
    bawn_pci_dev_bar(&v->pci, 1, BAR1_SIZE, &bar1_ops);
    add_caps(v);
}

static int plug(struct bawn_virtio *v, unsigned slot)
{
    int rc = bawn_pci_plug(v->host.pci, &v->pci, slot);

    if (!rc)
        clear_registers(v);
    return rc;
}

int bawn_virtio_init(struct bawn_virtio *v, const struct bawn_vdev *dev,
                     const struct bawn_virtio_host *host, unsigned slot)
{
    int rc;

    memset(v, 0, sizeof(*v));
    v->host = *host;
    v->nr_calls = dev->ops->nr_queues;
    v->gsi = host->wires->next_gsi;
    if (v->gsi + v->nr_calls > BAWN_MAX_GSI || dev->config_len > BAWN_VIRTIO_CONFIG_MAX)
        return -ENOSPC;
    host->wires->next_gsi += v->nr_calls;
    set_up(v, dev);
    rc = watch_calls(v, dev);
    return rc ? rc : plug(v, slot);
}

int bawn_virtio_replug(struct bawn_virtio *v, const struct bawn_vdev *dev)
{
    unsigned slot = v->pci.slot;

    if (v->host.pci->slot[slot])
        return -EBUSY;
    if (dev->ops->nr_queues > v->nr_calls || dev->config_len > BAWN_VIRTIO_CONFIG_MAX)
        return -ENOSPC;
    set_up(v, dev);
    return plug(v, slot);
}

void bawn_virtio_unplug(struct bawn_virtio *v)
{
    bawn_pci_unplug(&v->pci);
    v->started = v->stopping = false;
    clear_registers(v);
}

void bawn_virtio_connect(struct bawn_virtio *v, const struct bawn_virtio_down *down, void *opaque)
{
    v->down = down;
    v->down_opaque = opaque;
}

/* ---- snapshots ---- */

void bawn_virtio_paused(struct bawn_virtio *v, const struct bawn_vdev_start *indices)
{
    if (!v->started)
        return;
    v->set.resume = true;
    for (unsigned i = 0; i < v->ops->nr_queues; i++) {
        v->set.queue[i].avail_idx = indices->queue[i].avail_idx;
        v->set.queue[i].used_idx = indices->queue[i].used_idx;
    }
}

bool bawn_virtio_save(const struct bawn_virtio *v, struct bawn_virtio_state *state)
{
    memset(state, 0, sizeof(*state));
    memcpy(state->pci, v->pci.cfg, sizeof(state->pci));
    memcpy(state->config, v->config, sizeof(state->config));
    state->config_len = v->config_len;
    state->device_feature_select = v->device_feature_select;
    state->driver_feature_select = v->driver_feature_select;
    state->driver_features = v->driver_features;
    state->queue_select = v->queue_select;
    state->config_vector = v->config_vector;
    memcpy(state->queue_vector, v->queue_vector, sizeof(state->queue_vector));
    state->config_generation = v->config_generation;
    state->status = v->status;
    state->isr = v->isr;
    state->msix_pending = v->msix_pending;
    state->set = v->set;
    memcpy(state->msix, v->msix, sizeof(state->msix));
    return !v->stopping;
}

/* What the driver's writes could have led to. */
static bool possible(struct bawn_virtio *v, const struct bawn_virtio_state *state)
{
    unsigned status = state->status;

    v->driver_features = state->driver_features;
    if (state->config_len != v->config_len ||
        ((status & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_FEATURES_OK)) ||
        ((status & VIRTIO_CONFIG_S_FEATURES_OK) && !features_fit(v)))
        return false;
    for (unsigned i = 0; i < v->ops->nr_queues; i++) {
        if (state->set.queue[i].size > v->ops->queue_size)
            return false;
    }
    return true;
}

static void load_registers(struct bawn_virtio *v, const struct bawn_virtio_state *state)
{
    memcpy(v->config, state->config, v->config_len);
    v->device_feature_select = state->device_feature_select;
    v->driver_feature_select = state->driver_feature_select;
    v->queue_select = state->queue_select;
    v->config_vector = checked_vector(v, state->config_vector);
    v->config_generation = state->config_generation;
    v->status = state->status;
    v->started = v->status & VIRTIO_CONFIG_S_DRIVER_OK;
    v->isr = state->isr;
    v->set = state->set;
    v->set.features = v->started ? v->driver_features : 0;
    for (unsigned i = 0; i < v->nr_vectors; i++)
        v->msix[i] = state->msix[i];
    v->msix_pending = state->msix_pending & ((1u << v->nr_vectors) - 1);
    for (unsigned i = 0; i < v->ops->nr_queues; i++) {
        v->set.queue[i].enabled = v->set.queue[i].enabled == 1;
        v->queue_vector[i] = checked_vector(v, state->queue_vector[i]);
    }
}

bool bawn_virtio_load(struct bawn_virtio *v, const struct bawn_virtio_state *state)
{
    if (!possible(v, state))
        return false;
    load_registers(v, state);
    tell_settable(v);
    bawn_pci_dev_load(&v->pci, state->pci);
    if (!v->started || (v->status & VIRTIO_CONFIG_S_NEEDS_RESET))
        return true;
    /* An interrupt may have been on its way; one too many does no harm. */
    for (unsigned i = 0; i < v->ops->nr_queues; i++)
        (void)!eventfd_write(v->call[i].fd, 1);
    v->down->start(v->down_opaque, &v->set);
    return true;
}
