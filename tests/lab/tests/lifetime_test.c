/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lives of the objects: descriptors closed in any order, VMMs killed with running vCPUs, VMs
 * kept alive by others; after each of them the module's use count is what it was before. The
 * module cannot be removed while a VM lives.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void test_counted(void)
{
    int before = lab_users();
    struct vm *vm = vm_split();
    struct vcpu *v = vcpu_new(vm, 0);

    EXPECT(lab_users() > before);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
    vm_destroy(vm);
    EXPECT(WAIT_FOR(lab_users() == before));
}

static void test_close_order(void)
{
    int before = lab_users();

    for (unsigned order = 0; order < 6; order++) {
        struct vm *vm = vm_split();
        struct vcpu *v = vcpu_new(vm, 0);
        int dup_vcpu = dup(v->fd), stats = kvm_callv(v->fd, KVM_GET_STATS_FD, 0);

        EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
        if (order & 1) { /* a vCPU runs on without the VM's descriptor */
            close(vm->fd);
            vm->fd = -1;
            EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
        }
        if (order & 2) { /* the mapping outlives the descriptors */
            close(v->fd);
            close(dup_vcpu);
            v->fd = dup_vcpu = -1;
            v->run->immediate_exit = 1;
        }
        vm_destroy(vm);
        close(dup_vcpu);
        if (stats >= 0) {
            char byte;

            EXPECT_EQ(pread(stats, &byte, 1, 0), 1);
            close(stats);
        }
        EXPECT(WAIT_FOR(lab_users() == before));
    }
}

static void test_device_closed(void)
{
    int device = lab_kvm, before, own;

    own = open(lab_dev, O_RDWR | O_CLOEXEC);
    ASSERT(own >= 0);
    before = lab_users();
    lab_kvm = own;
    vm_bare();
    close(own);
    lab_kvm = device;
    EXPECT(lab_users() >= before); /* the VM holds the module by itself */
}

static void test_eventfds_outlive(void)
{
    struct kvm_irq_routing_entry entry = { .gsi = 5,
                                           .type = KVM_IRQ_ROUTING_MSI,
                                           .u.msi = { .address_lo = 0xfee00000, .data = 0x40 } };
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry e;
    } routing = { .head.nr = 1, .e = entry };
    int before = lab_users(), fd = eventfd(0, EFD_NONBLOCK), pio = eventfd(0, EFD_NONBLOCK);
    const uint64_t one = 1;
    struct vm *vm = vm_split();
    struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = 5 };
    struct kvm_ioeventfd ioeventfd = {
        .addr = 0x500, .len = 2, .fd = pio, .flags = KVM_IOEVENTFD_FLAG_PIO
    };

    vcpu_new(vm, 0);
    ASSERT_EQ(kvm_call(vm->fd, KVM_SET_GSI_ROUTING, &routing), 0);
    ASSERT_EQ(kvm_call(vm->fd, KVM_IRQFD, &irqfd), 0);
    ASSERT_EQ(kvm_call(vm->fd, KVM_IOEVENTFD, &ioeventfd), 0);
    vm_destroy(vm);
    EXPECT(WAIT_FOR(lab_users() == before));
    EXPECT_EQ(write(fd, &one, sizeof(one)), 8); /* nobody listens any more */
    close(fd);
    close(pio);
}

/* ---- killed VMMs ---- */

static bool forever(struct vcpu *v, int reason)
{
    (void)v;
    return reason >= 0;
}

/* In a child: vCPUs that spin, sleep, count and wait; then tells that it is busy. */
static _Noreturn void busy_vmm(int ready)
{
    struct vm *vm = vm_split();
    struct vcpu *v[3];

    for (unsigned i = 0; i < 3; i++)
        v[i] = vcpu_new(vm, i);
    guest_prepare(v[0], GUEST_ADDR(spin), 0, 0, 0, 0);
    guest_prepare(v[1], GUEST_ADDR(counter), GUEST_DATA, 0, 0, 0);
    guest_prepare(v[2], GUEST_ADDR(hlt), 0, 0, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        vcpu_start(v[i], forever);
    vcpu_start(vcpu_raw(vm, 3), forever); /* waits for INIT */
    if (!WAIT_FOR(*(volatile uint32_t *)(vm->mem + GUEST_DATA) > 0) || write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void test_killed(void)
{
    int before = lab_users();

    for (unsigned i = 0; i < 5; i++) {
        int ready[2], status = 0;
        pid_t child;
        char c;

        ASSERT_EQ(pipe(ready), 0);
        child = fork();
        ASSERT(child >= 0);
        if (!child) {
            close(ready[0]);
            busy_vmm(ready[1]);
        }
        close(ready[1]);
        EXPECT_EQ(read(ready[0], &c, 1), 1);
        close(ready[0]);
        EXPECT(lab_users() > before);
        usleep(i * 1000);
        kill(child, SIGKILL);
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT(WIFSIGNALED(status));
        EXPECT(WAIT_FOR(lab_users() == before));
    }
}

static void test_inherited(void)
{
    int before = lab_users(), status = 0, gone[2];
    struct vm *vm = vm_split();
    pid_t child;
    char c;

    /* A child that holds the descriptors keeps the objects, and cannot use them. */
    vcpu_new(vm, 0);
    ASSERT_EQ(pipe(gone), 0);
    child = fork();
    ASSERT(child >= 0);
    if (!child) {
        struct kvm_regs r;

        close(gone[1]);
        if (read(gone[0], &c, 1) != 0)
            _exit(1);
        _exit(kvm_call(vm->vcpu[0]->fd, KVM_GET_REGS, &r) == -EIO ? 0 : 2);
    }
    close(gone[0]);
    vm_destroy(vm);
    EXPECT(lab_users() > before);
    close(gone[1]);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT(WAIT_FOR(lab_users() == before));
}

/* ---- many of them ---- */

static long free_kib(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    long kib = 0;

    ASSERT(f);
    while (fgets(line, sizeof(line), f))
        if (!strncmp(line, "MemFree:", 8))
            kib = atol(line + 8);
    fclose(f);
    return kib;
}

static void churn(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct vm *vm = vm_split();

        for (unsigned id = 0; id < 2; id++) {
            struct vcpu *v = vcpu_new(vm, id);

            EXPECT_EQ(guest_call(v, store32, GUEST_DATA, i, 0, 0), GUEST_DONE);
        }
        vm_destroy(vm);
    }
}

static void test_no_leak(void)
{
    int before = lab_users();
    long kib;

    if (!access("/sys/kernel/debug/kmemleak", F_OK))
        lab_skip("KASAN keeps what is freed for a while; the lab asks kmemleak and page owners");
    churn(10); /* warms up the kernel's caches */
    usleep(100000);
    kib = free_kib();
    churn(60);
    EXPECT(WAIT_FOR(lab_users() == before));
    usleep(100000);
    kib -= free_kib();
    if (kib > 3072) /* 60 VMs: one page each would be 240 KiB, a VM's memory 120 MiB */
        lab_fail(__FILE__, __LINE__, "%ld KiB are missing after 60 VMs", kib);
}

static void test_module_stays(void)
{
    vm_bare();
    EXPECT_EQ(syscall(SYS_delete_module, lab_module(), O_NONBLOCK) ? -errno : 0, -EWOULDBLOCK);
    EXPECT(lab_users() > 0);
}

static const struct lab_test tests[] = {
    { "VM and vCPU count as users", test_counted },
    { "descriptors closed in any order", test_close_order },
    { "device closed before the VM", test_device_closed },
    { "eventfds outlive the VM", test_eventfds_outlive },
    { "VMM killed with running vCPUs", test_killed },
    { "descriptors inherited by a child", test_inherited },
    { "60 VMs leave no memory behind", test_no_leak },
    { "module cannot be removed under a VM", test_module_stays },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
