// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-pci: common configuration, notifications, MSI-X and INTx. Every register value is
 * the guest's. A driver that breaks the rules gets DEVICE_NEEDS_RESET, never more.
 * The caller holds the machine's lock.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

/* The entry or its mask changed. A masked vector keeps its route: nothing signals it. */
static void msix_update(struct bawn_virtio *v, unsigned n)
{
    if (!msix_on(v) || msix_masked(v, n))
        return;
    v->host.wires->ops->route(v->host.wires->opaque, v->gsi + n, true, v->msix[n].addr,
                              v->msix[n].data);
    if (v->msix_pending & 1u << n) {
        v->msix_pending &= ~(1u << n);
        (void)!eventfd_write(v->call_fd[n], 1);
    }
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
            (void)!eventfd_write(v->call_fd[vector], 1);
    }
}

/* ---- queues ---- */

static void needs_reset(struct bawn_virtio *v)
{
    if (v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
        return;
    v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt(v, v->config_vector, ISR_CONFIG);
}

bool bawn_virtio_running(const struct bawn_virtio *v)
{
    return (v->status & VIRTIO_CONFIG_S_DRIVER_OK) && !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

bool bawn_virtio_take(struct bawn_virtio *v, unsigned queue, struct bawn_virtq_chain *chain)
{
    enum bawn_virtq_result res;

    if (!bawn_virtio_running(v))
        return false;
    res = bawn_virtq_pop(&v->vq[queue], chain);
    if (res == BAWN_VIRTQ_BROKEN)
        needs_reset(v);
    return res == BAWN_VIRTQ_CHAIN;
}

void bawn_virtio_untake(struct bawn_virtio *v, unsigned queue)
{
    bawn_virtq_unpop(&v->vq[queue]);
}

void bawn_virtio_again(struct bawn_virtio *v, unsigned queue)
{
    (void)!eventfd_write(v->bell[queue].fd, 1);
}

void bawn_virtio_give(struct bawn_virtio *v, unsigned queue, const struct bawn_virtq_chain *chain,
                      uint32_t written)
{
    bawn_virtq_push(&v->vq[queue], chain, written);
    if (bawn_virtq_wants_irq(&v->vq[queue]))
        interrupt(v, v->queue_vector[queue], ISR_QUEUE);
}

void bawn_virtio_kick(struct bawn_virtio *v, unsigned queue)
{
    struct bawn_virtq_chain chain;
    bool used = false;
    unsigned i;

    if (queue >= v->ops->nr_queues || !bawn_virtio_running(v))
        return;
    if (v->ops->input_queues & 1u << queue) {
        v->ops->ready(v->opaque, queue);
        return;
    }
    for (i = 0; i < v->ops->queue_size && bawn_virtio_take(v, queue, &chain); i++) {
        bawn_virtq_push(&v->vq[queue], &chain, v->ops->serve(v->opaque, queue, &chain));
        used = true;
    }
    if (used && bawn_virtq_wants_irq(&v->vq[queue]))
        interrupt(v, v->queue_vector[queue], ISR_QUEUE);
    if (i == v->ops->queue_size) /* let others have their turn, then go on */
        bawn_virtio_again(v, queue);
}

static void on_doorbell(void *opaque)
{
    struct bawn_virtio_doorbell *bell = opaque;
    eventfd_t ignored;

    if (!eventfd_read(bell->fd, &ignored))
        bawn_virtio_kick(bell->dev, bell - bell->dev->bell);
}

static void reset(struct bawn_virtio *v)
{
    v->device_feature_select = v->driver_feature_select = 0;
    v->driver_features = 0;
    v->status = v->isr = 0;
    v->queue_select = 0;
    v->config_vector = NO_VECTOR;
    for (unsigned i = 0; i < BAWN_VIRTIO_QUEUES; i++) {
        v->queue_vector[i] = NO_VECTOR;
        v->vq[i] = (struct bawn_virtq){ .mem = v->host.mem, .size = v->ops->queue_size };
    }
    set_intx(v);
    if (v->ops->reset)
        v->ops->reset(v->opaque);
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

static struct bawn_virtq *selected(struct bawn_virtio *v)
{
    return v->queue_select < v->ops->nr_queues ? &v->vq[v->queue_select] : NULL;
}

static uint64_t common_read(struct bawn_virtio *v, uint64_t off, unsigned len)
{
    const struct bawn_virtq *q = selected(v);
    struct virtio_pci_common_cfg c = {
        .device_feature_select = htole32(v->device_feature_select),
        .guest_feature_select = htole32(v->driver_feature_select),
        .msix_config = htole16(v->config_vector),
        .num_queues = htole16(v->ops->nr_queues),
        .device_status = v->status,
        .queue_select = htole16(v->queue_select),
        .queue_msix_vector = htole16(NO_VECTOR),
    };
    uint64_t val = 0;

    if (v->device_feature_select < 2)
        c.device_feature = htole32(offered_features(v) >> (32 * v->device_feature_select));
    if (v->driver_feature_select < 2)
        c.guest_feature = htole32(v->driver_features >> (32 * v->driver_feature_select));
    if (q) {
        c.queue_size = htole16(q->size);
        c.queue_msix_vector = htole16(v->queue_vector[v->queue_select]);
        c.queue_enable = htole16(q->enabled);
        c.queue_notify_off = htole16(v->queue_select);
        c.queue_desc_lo = htole32(q->desc_gpa);
        c.queue_desc_hi = htole32(q->desc_gpa >> 32);
        c.queue_avail_lo = htole32(q->avail_gpa);
        c.queue_avail_hi = htole32(q->avail_gpa >> 32);
        c.queue_used_lo = htole32(q->used_gpa);
        c.queue_used_hi = htole32(q->used_gpa >> 32);
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
}

static uint16_t checked_vector(const struct bawn_virtio *v, uint32_t val)
{
    return val < v->nr_vectors ? val : NO_VECTOR;
}

/* The registers of the selected queue; its layout is fixed once it is enabled. */
static void write_queue(struct bawn_virtio *v, unsigned off, uint32_t val)
{
    struct bawn_virtq *q = selected(v);
    uint64_t *addr;

    if (!q)
        return;
    if (off == VIRTIO_PCI_COMMON_Q_MSIX)
        v->queue_vector[v->queue_select] = checked_vector(v, val);
    if (q->enabled)
        return;
    if (off == VIRTIO_PCI_COMMON_Q_SIZE && val <= v->ops->queue_size) {
        q->size = val;
    } else if (off == VIRTIO_PCI_COMMON_Q_ENABLE) {
        q->features = v->driver_features;
        if (val == 1 && (v->status & VIRTIO_CONFIG_S_FEATURES_OK) && !bawn_virtq_enable(q))
            needs_reset(v);
    } else if (off >= VIRTIO_PCI_COMMON_Q_DESCLO) {
        addr = off < VIRTIO_PCI_COMMON_Q_AVAILLO  ? &q->desc_gpa
               : off < VIRTIO_PCI_COMMON_Q_USEDLO ? &q->avail_gpa
                                                  : &q->used_gpa;
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

    if (off >= sizeof(width) || len != width[off])
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
        memcpy(&val, (const uint8_t *)v->config + off, len);
    return le64toh(val);
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

    if (off >= BAR0_NOTIFY)
        bawn_virtio_kick(v, (off - BAR0_NOTIFY) / NOTIFY_STEP);
    else
        common_write(v, off, len, val);
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
                                      v->bell[i].fd, on);
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

static int make_eventfds(struct bawn_virtio *v)
{
    int rc;

    for (unsigned i = 0; i < v->nr_vectors; i++) {
        v->msix[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
        v->call_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (v->call_fd[i] < 0)
            return -errno;
        rc = v->host.wires->ops->irqfd(v->host.wires->opaque, v->gsi + i, v->call_fd[i]);
        if (rc)
            return rc;
    }
    for (unsigned i = 0; i < v->ops->nr_queues; i++) {
        v->bell[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (v->bell[i].fd < 0)
            return -errno;
        rc = bawn_loop_watch(v->host.loop, v->bell[i].fd, true, on_doorbell, &v->bell[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int bawn_virtio_init(struct bawn_virtio *v, const struct bawn_virtio_ops *ops, void *opaque,
                     const struct bawn_virtio_host *host, unsigned slot)
{
    const struct bawn_pci_id id = {
        .vendor = VENDOR,
        .device = DEVICE_BASE + ops->id,
        .subsystem = DEVICE_BASE, /* section 4.1.2.1: 0x40 or higher */
        .revision = 1,
        .class = ops->class,
    };
    int rc;

    memset(v, 0, sizeof(*v));
    v->ops = ops;
    v->opaque = opaque;
    v->host = *host;
    for (unsigned i = 0; i < BAWN_VIRTIO_VECTORS; i++)
        v->call_fd[i] = -1;
    for (unsigned i = 0; i < BAWN_VIRTIO_QUEUES; i++)
        v->bell[i] = (struct bawn_virtio_doorbell){ v, -1 };
    v->nr_vectors = ops->nr_queues + 1;
    v->gsi = host->wires->next_gsi;
    if (v->gsi + v->nr_vectors > BAWN_MAX_GSI)
        return -ENOSPC;
    host->wires->next_gsi += v->nr_vectors;

    bawn_pci_dev_init(&v->pci, &id, &pci_ops, v);
    v->pci.cfg[PCI_INTERRUPT_PIN] = 1; /* INTA */
    bawn_pci_dev_bar(&v->pci, 0, BAR0_SIZE, &bar0_ops);
    bawn_pci_dev_bar(&v->pci, 1, BAR1_SIZE, &bar1_ops);
    add_caps(v);
    rc = make_eventfds(v);
    if (rc)
        return rc;
    rc = bawn_pci_plug(host->pci, &v->pci, slot);
    if (!rc)
        reset(v);
    return rc;
}

void bawn_virtio_offer(struct bawn_virtio *v, uint64_t features, const void *config, unsigned len)
{
    v->features = features;
    v->config = config;
    v->config_len = len;
}

void bawn_virtio_destroy(struct bawn_virtio *v)
{
    if (!v->ops)
        return;
    for (unsigned i = 0; i < BAWN_VIRTIO_VECTORS; i++) {
        if (v->call_fd[i] >= 0)
            close(v->call_fd[i]);
    }
    for (unsigned i = 0; i < BAWN_VIRTIO_QUEUES; i++) {
        if (v->bell[i].fd >= 0)
            close(v->bell[i].fd);
    }
}
