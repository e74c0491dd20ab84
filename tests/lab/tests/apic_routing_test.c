/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts and notifications by file descriptor and by table: KVM_SIGNAL_MSI,
 * KVM_SET_GSI_ROUTING, KVM_IRQ_LINE, KVM_IRQFD, KVM_IOEVENTFD, KVM_EXIT_IOAPIC_EOI.
 */
#include "apic.h"

#include <sys/eventfd.h>

GUEST_FN(outb);
GUEST_FN(outw);
GUEST_FN(outl);

#define GSI 9
#define NOTIFY_PORT 0x510
#define NOTIFY_MMIO 0xd0001000ull
#define MSI_LEVEL 0xc000u /* level-triggered, asserted */

struct routing {
    struct kvm_irq_routing head;
    struct kvm_irq_routing_entry entry[4];
};

static struct kvm_irq_routing_entry msi_route(uint32_t gsi, uint32_t dest, uint32_t data)
{
    return (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = { .address_lo = APIC_PAGE | dest << 12, .data = data },
    };
}

static void route(struct vm *vm, uint32_t gsi, uint32_t dest, uint32_t data)
{
    struct routing r = { .head.nr = 1, .entry = { msi_route(gsi, dest, data) } };

    ASSERT_EQ(kvm_call(vm->fd, KVM_SET_GSI_ROUTING, &r), 0);
}

static int new_eventfd(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    ASSERT(fd >= 0);
    return fd;
}

static void signal_eventfd(int fd)
{
    const uint64_t one = 1;

    EXPECT_EQ(write(fd, &one, sizeof(one)), (ssize_t)sizeof(one));
}

static uint64_t read_eventfd(int fd)
{
    uint64_t n = 0;

    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* ---- messages and routes ---- */

static void test_msi_refused(void)
{
    struct vm *vm = vm_split(), *bare = vm_bare();
    struct kvm_msi msi = { .address_lo = APIC_PAGE, .data = 0x40 };

    vcpu_new(vm, 0);
    EXPECT_EQ(kvm_call(bare->fd, KVM_SIGNAL_MSI, &msi), -EINVAL);
    EXPECT_EQ(kvm_call(vm->fd, KVM_SIGNAL_MSI, NULL), -EFAULT);
    msi.flags = 0x80;
    EXPECT_EQ(kvm_call(vm->fd, KVM_SIGNAL_MSI, &msi), -EINVAL);
}

static void test_routing_refused(void)
{
    const struct {
        const char *name;
        struct routing r;
        int want;
    } rows[] = {
        { "flags",
          { .head = { .nr = 1, .flags = 1 }, .entry = { msi_route(1, 0, 0x40) } },
          -EINVAL },
        { "too many", { .head.nr = 5000 }, -EINVAL },
        { "gsi too high", { .head.nr = 1, .entry = { msi_route(5000, 0, 0x40) } }, -EINVAL },
        { "unknown type", { .head.nr = 1, .entry = { { .gsi = 1, .type = 77 } } }, -EINVAL },
        { "a pin of an irqchip that is not in the kernel",
          { .head.nr = 1,
            .entry = { { .gsi = 1,
                         .type = KVM_IRQ_ROUTING_IRQCHIP,
                         .u.irqchip = { KVM_IRQCHIP_IOAPIC, 1 } } } },
          -EINVAL },
        { "entry flags",
          { .head.nr = 1, .entry = { { .gsi = 1, .type = KVM_IRQ_ROUTING_MSI, .flags = 0x80 } } },
          -EINVAL },
        { "two messages for one gsi",
          { .head.nr = 2, .entry = { msi_route(1, 0, 0x40), msi_route(1, 0, 0x41) } },
          -EINVAL },
        { "none", { .head.nr = 0 }, 0 },
        { "highest gsi", { .head.nr = 1, .entry = { msi_route(4095, 0, 0x40) } }, 0 },
    };
    struct vm *vm = vm_split();

    vcpu_new(vm, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(kvm_call(vm->fd, KVM_SET_GSI_ROUTING, &rows[i].r), rows[i].want);
    }
    lab_row(NULL);
    EXPECT_EQ(kvm_call(vm->fd, KVM_SET_GSI_ROUTING, NULL), -EFAULT);
}

static void test_irq_line(void)
{
    struct vm *vm = vm_split(), *bare = vm_bare();
    struct vcpu *v = apic_vcpu(vm, 0, true);
    struct kvm_irq_level line = { .irq = GSI, .level = 1 };

    EXPECT_EQ(kvm_call(bare->fd, KVM_IRQ_LINE, &line), -ENXIO);
    EXPECT_EQ(kvm_call(vm->fd, KVM_IRQ_LINE, NULL), -EFAULT);
    route(vm, GSI, 0, 0x47);
    EXPECT_EQ(kvm_call(vm->fd, KVM_IRQ_LINE, &line), 0);
    EXPECT_EQ(apic_window(v), 1);
    EXPECT_EQ(mbox_logged(v, 0), 0x47);
    line.level = 0;
    EXPECT_EQ(kvm_call(vm->fd, KVM_IRQ_LINE, &line), 0);
    EXPECT_EQ(apic_window(v), 0);
    line.level = 1;
    EXPECT_EQ(kvm_call(vm->fd, KVM_IRQ_LINE_STATUS, &line), 0);
    EXPECT_EQ(line.status, 1); /* delivered to one vCPU */
    EXPECT_EQ(apic_window(v), 1);
    line.irq = 4000; /* no route */
    line.level = 1;
    EXPECT_EQ(kvm_call(vm->fd, KVM_IRQ_LINE, &line), 0);
    EXPECT_EQ(apic_window(v), 0);
}

/* ---- EOI exits ---- */

static void eoi_exit(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    route(vm, GSI, 0, 0x48 | MSI_LEVEL);
    EXPECT_EQ(apic_msi(vm, 0, 0x48 | MSI_LEVEL), 1);
    EXPECT_EQ(guest_call(v, window, 0, 0, 0, 0), KVM_EXIT_IOAPIC_EOI);
    EXPECT_EQ(v->run->eoi.vector, 0x48);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(*mbox32(v, MBOX_COUNT), 1);
    EXPECT_EQ(apic_vector(v, APIC_ISR, 0x48), 0);
    /* Another vector, and the same one edge-triggered: userspace does not hear of these. */
    apic_msi(vm, 0, 0x49 | MSI_LEVEL);
    EXPECT_EQ(apic_window(v), 1);
    route(vm, GSI, 0, 0x48);
    apic_msi(vm, 0, 0x48);
    EXPECT_EQ(apic_window(v), 1);
    vm_destroy(vm);
}

static void test_eoi_exit(void)
{
    apic_both(eoi_exit);
}

static void test_eoi_of_pending(void)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, true);

    /* The route goes away while its interrupt is in service: the EOI is still told. */
    route(vm, GSI, 0, 0x48 | MSI_LEVEL);
    *mbox32(v, MBOX_IRQ_MODE) |= IRQ_EXIT;
    apic_msi(vm, 0, 0x48 | MSI_LEVEL);
    ASSERT_EQ(guest_call(v, window, 0, 0, 0, 0), GUEST_IRQ);
    route(vm, GSI, 1, 0x48 | MSI_LEVEL);
    EXPECT_EQ(guest_resume(v), KVM_EXIT_IOAPIC_EOI);
    EXPECT_EQ(v->run->eoi.vector, 0x48);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
}

/* ---- irqfd ---- */

static int irqfd(struct vm *vm, int fd, uint32_t gsi, uint32_t flags)
{
    struct kvm_irqfd args = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags };

    return kvm_call(vm->fd, KVM_IRQFD, &args);
}

static void test_irqfd(void)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, true);
    int fd = new_eventfd();

    route(vm, GSI, 0, 0x4a);
    ASSERT_EQ(irqfd(vm, fd, GSI, 0), 0);
    for (unsigned i = 1; i <= 3; i++) {
        signal_eventfd(fd);
        EXPECT_EQ(apic_window(v), 1);
        EXPECT_EQ(mbox_logged(v, i - 1), 0x4a);
    }
    EXPECT_EQ(read_eventfd(fd), 0); /* taken */
    /* It follows the routing table. */
    route(vm, GSI, 0, 0x4b);
    signal_eventfd(fd);
    EXPECT_EQ(apic_window(v), 1);
    EXPECT_EQ(mbox_logged(v, 3), 0x4b);
    route(vm, GSI + 1, 0, 0x4b);
    signal_eventfd(fd);
    EXPECT_EQ(apic_window(v), 0);
    route(vm, GSI, 0, 0x4b);
    ASSERT_EQ(irqfd(vm, fd, GSI, KVM_IRQFD_FLAG_DEASSIGN), 0);
    read_eventfd(fd);
    signal_eventfd(fd);
    EXPECT_EQ(apic_window(v), 0);
    EXPECT_EQ(read_eventfd(fd), 1);
    /* One that is signalled when it is assigned. */
    signal_eventfd(fd);
    ASSERT_EQ(irqfd(vm, fd, GSI, 0), 0);
    EXPECT(WAIT_FOR(apic_vector(v, APIC_IRR, 0x4b)));
    EXPECT_EQ(apic_window(v), 1);
    close(fd); /* the last reference: unassigned by itself */
    usleep(20000);
    EXPECT_EQ(apic_window(v), 0);
}

static void test_irqfd_wakes(void)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, true);
    int fd = new_eventfd();

    route(vm, GSI, 0, 0x4a);
    ASSERT_EQ(irqfd(vm, fd, GSI, 0), 0);
    for (unsigned i = 1; i <= 5; i++) {
        guest_prepare(v, GUEST_ADDR(hlt_irq), 0, 0, 0, 0);
        vcpu_start(v, NULL);
        usleep(5000);
        signal_eventfd(fd);
        vcpu_join(v);
        EXPECT_EQ(v->result, KVM_EXIT_IO);
        EXPECT_EQ(*mbox32(v, MBOX_COUNT), i);
    }
    close(fd);
}

static void test_irqfd_refused(void)
{
    struct vm *vm = vm_split(), *bare = vm_bare();
    int fd = new_eventfd();

    vcpu_new(vm, 0);
    EXPECT_EQ(irqfd(bare, fd, GSI, 0), -EINVAL);
    EXPECT_EQ(irqfd(vm, -1, GSI, 0), -EBADF);
    EXPECT_EQ(irqfd(vm, lab_kvm, GSI, 0), -EINVAL);
    EXPECT_EQ(irqfd(vm, fd, GSI, 0x80), -EINVAL);
    EXPECT_EQ(irqfd(vm, fd, GSI, KVM_IRQFD_FLAG_RESAMPLE), -EINVAL); /* needs an irqchip */
    EXPECT_EQ(kvm_call(vm->fd, KVM_IRQFD, NULL), -EFAULT);
    EXPECT_EQ(irqfd(vm, fd, GSI, 0), 0);
    EXPECT_EQ(irqfd(vm, fd, GSI, 0), -EBUSY);
    EXPECT_EQ(irqfd(vm, fd, GSI + 1, 0), -EBUSY);
    EXPECT_EQ(irqfd(vm, fd, GSI, KVM_IRQFD_FLAG_DEASSIGN), 0);
    EXPECT_EQ(irqfd(vm, fd, GSI, KVM_IRQFD_FLAG_DEASSIGN), 0); /* nothing to do */
    EXPECT_EQ(irqfd(vm, -1, GSI, KVM_IRQFD_FLAG_DEASSIGN), -EBADF);
    close(fd);
}

/* ---- ioeventfd ---- */

static int ioeventfd(struct vm *vm, int fd, uint64_t addr, uint32_t len, uint32_t flags,
                     uint64_t datamatch)
{
    struct kvm_ioeventfd args = {
        .fd = fd, .addr = addr, .len = len, .flags = flags, .datamatch = datamatch
    };

    return kvm_call(vm->fd, KVM_IOEVENTFD, &args);
}

static int do_outl(struct vcpu *v, uint32_t value)
{
    return guest_call(v, outl, value, 0, NOTIFY_PORT, 0);
}

static int do_outb(struct vcpu *v, uint32_t value)
{
    return guest_call(v, outb, value, 0, NOTIFY_PORT, 0);
}

static int do_store32(struct vcpu *v, uint32_t value)
{
    return guest_call(v, store32, NOTIFY_MMIO, value, 0, 0);
}

static int do_store8(struct vcpu *v, uint32_t value)
{
    return guest_call(v, store8, NOTIFY_MMIO, value, 0, 0);
}

static void ioeventfd_rows(bool pio)
{
    const uint32_t kind = pio ? KVM_IOEVENTFD_FLAG_PIO : 0;
    const uint64_t addr = pio ? NOTIFY_PORT : NOTIFY_MMIO;
    const uint32_t match = KVM_IOEVENTFD_FLAG_DATAMATCH;
    int (*const wide)(struct vcpu *, uint32_t) = pio ? do_outl : do_store32;
    int (*const narrow)(struct vcpu *, uint32_t) = pio ? do_outb : do_store8;
    const struct {
        const char *name;
        uint32_t len, flags;
        uint64_t datamatch;
        int (*access)(struct vcpu *, uint32_t);
        uint32_t value;
        bool hit;
    } rows[] = {
        { "same length", 4, 0, 0, wide, 0x1234, true },
        { "other length", 4, 0, 0, narrow, 0x12, false },
        { "length 1", 1, 0, 0, narrow, 0x12, true },
        { "any length, wide", 0, 0, 0, wide, 0x1234, true },
        { "any length, narrow", 0, 0, 0, narrow, 0x12, true },
        { "data as expected", 4, match, 0x1234, wide, 0x1234, true },
        { "other data", 4, match, 0x1234, wide, 0x1235, false },
        { "data of one byte", 1, match, 0x34, narrow, 0x34, true },
    };
    struct vm *vm = vm_split();
    struct vcpu *v = vcpu_new(vm, 0);
    int miss = pio ? KVM_EXIT_IO : KVM_EXIT_MMIO;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t flags = kind | rows[i].flags;
        int fd = new_eventfd();

        lab_row(rows[i].name);
        ASSERT_EQ(ioeventfd(vm, fd, addr, rows[i].len, flags, rows[i].datamatch), 0);
        EXPECT_EQ(rows[i].access(v, rows[i].value), rows[i].hit ? GUEST_DONE : miss);
        if (!rows[i].hit)
            EXPECT_EQ(guest_resume(v), GUEST_DONE);
        EXPECT_EQ(read_eventfd(fd), rows[i].hit);
        ASSERT_EQ(ioeventfd(vm, fd, addr, rows[i].len, flags | KVM_IOEVENTFD_FLAG_DEASSIGN,
                            rows[i].datamatch),
                  0);
        EXPECT_EQ(rows[i].access(v, rows[i].value), miss);
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        EXPECT_EQ(read_eventfd(fd), 0);
        close(fd);
    }
}

static void test_ioeventfd_pio(void)
{
    ioeventfd_rows(true);
}

static void test_ioeventfd_mmio(void)
{
    ioeventfd_rows(false);
}

static void test_ioeventfd_several(void)
{
    const uint32_t flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH;
    struct vcpu *v = vcpu_new(vm_split(), 0);
    int fd[3];

    /* One port, a queue's number as data: the virtio pattern. */
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = new_eventfd();
        ASSERT_EQ(ioeventfd(v->vm, fd[i], NOTIFY_PORT, 2, flags, i), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(guest_call(v, outw, i, 0, NOTIFY_PORT, 0), GUEST_DONE);
        for (unsigned k = 0; k < 3; k++)
            EXPECT_EQ(read_eventfd(fd[k]), k == i);
    }
    EXPECT_EQ(guest_call(v, outw, 3, 0, NOTIFY_PORT, 0), KVM_EXIT_IO);
    for (unsigned i = 0; i < 3; i++)
        close(fd[i]);
}

static void test_ioeventfd_refused(void)
{
    const uint32_t pio = KVM_IOEVENTFD_FLAG_PIO, match = KVM_IOEVENTFD_FLAG_DATAMATCH;
    const struct {
        const char *name;
        uint64_t addr;
        uint32_t len, flags;
        int want;
    } rows[] = {
        { "length 3", NOTIFY_PORT, 3, pio, -EINVAL },
        { "length 16", NOTIFY_PORT, 16, pio, -EINVAL },
        { "unknown flag", NOTIFY_PORT, 4, pio | 0x80, -EINVAL },
        { "end of the address space", ~0ull - 1, 4, 0, -EINVAL },
        { "data without length", NOTIFY_MMIO, 0, match, -EINVAL },
        { "not there", NOTIFY_MMIO, 4, KVM_IOEVENTFD_FLAG_DEASSIGN, -ENOENT },
    };
    struct vm *vm = vm_split();
    int fd = new_eventfd();

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(ioeventfd(vm, fd, rows[i].addr, rows[i].len, rows[i].flags, 0), rows[i].want);
    }
    lab_row(NULL);
    EXPECT_EQ(ioeventfd(vm, -1, NOTIFY_PORT, 4, pio, 0), -EBADF);
    EXPECT_EQ(ioeventfd(vm, lab_kvm, NOTIFY_PORT, 4, pio, 0), -EINVAL);
    EXPECT_EQ(kvm_call(vm->fd, KVM_IOEVENTFD, NULL), -EFAULT);
    EXPECT_EQ(ioeventfd(vm, fd, NOTIFY_PORT, 4, pio, 0), 0);
    EXPECT_EQ(ioeventfd(vm, fd, NOTIFY_PORT, 4, pio, 0), -EEXIST);
    EXPECT_EQ(ioeventfd(vm, fd, NOTIFY_PORT, 4, pio | match, 7), -EEXIST); /* it has all data */
    EXPECT_EQ(ioeventfd(vm, fd, NOTIFY_PORT, 2, pio, 0), 0);
    EXPECT_EQ(ioeventfd(vm, fd, NOTIFY_PORT, 4, pio | match | KVM_IOEVENTFD_FLAG_DEASSIGN, 7),
              -ENOENT);
    EXPECT_EQ(ioeventfd(vm, fd, NOTIFY_PORT, 4, pio | KVM_IOEVENTFD_FLAG_DEASSIGN, 0), 0);
    EXPECT_EQ(ioeventfd(vm, fd, NOTIFY_PORT, 4, pio | KVM_IOEVENTFD_FLAG_DEASSIGN, 0), -ENOENT);
    close(fd);
}

static const struct lab_test tests[] = {
    { "KVM_SIGNAL_MSI refused", test_msi_refused },
    { "KVM_SET_GSI_ROUTING refused", test_routing_refused },
    { "KVM_IRQ_LINE to a message", test_irq_line },
    { "EOI exit of a routed vector", test_eoi_exit },
    { "EOI exit after a change of routes", test_eoi_of_pending },
    { "irqfd", test_irqfd },
    { "irqfd ends HLT", test_irqfd_wakes },
    { "irqfd refused", test_irqfd_refused },
    { "ioeventfd on a port", test_ioeventfd_pio },
    { "ioeventfd on memory", test_ioeventfd_mmio },
    { "several ioeventfds on a port", test_ioeventfd_several },
    { "ioeventfd refused", test_ioeventfd_refused },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
