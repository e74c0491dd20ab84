// SPDX-License-Identifier: Apache-2.0
/* State there and back; see the header. Documented differences (docs/kvm-api.md) are left out. */
#include "common.h"

#include <errno.h>
#include <string.h>

#include "fuzz/sim/sim.h"

#define MSRS_MAX 160
#define MSR_TSC 0x10
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_MCG_CAP 0x179

/* Of the local APIC's page. */
#define APIC_IRR 0x200
#define APIC_LVTT 0x320
#define APIC_TMICT 0x380
#define APIC_TMCCT 0x390

struct msr_list {
    struct kvm_msrs head;
    struct kvm_msr_entry entry[MSRS_MAX];
};

struct state {
    struct kvm_mp_state mp;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_sregs2 sregs2;
    struct kvm_fpu fpu;
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debugregs;
    struct kvm_vcpu_events events;
    struct kvm_lapic_state lapic;
    struct offered_cpuid cpuid;
    struct msr_list msrs;
    uint64_t mcg_cap;
    long khz;
};

static uint32_t msr_index[MSRS_MAX];
static uint32_t msrs;
static uint64_t scratch;

static long call(int fd, unsigned long request, void *argument, size_t n)
{
    long r;

    if (!sim_poke(scratch, argument, n))
        return -EFAULT;
    r = sim_ioctl(fd, request, scratch);
    sim_peek(scratch, argument, n);
    return r;
}

/* ---- Get ---- */

/* All that can be read. */
static bool get_msrs(int fd, struct msr_list *list)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = { .head.nmsrs = 1 };

    list->head.nmsrs = 0;
    for (uint32_t i = 0; i < msrs; i++) {
        long r;

        one.entry = (struct kvm_msr_entry){ .index = msr_index[i] };
        r = call(fd, KVM_GET_MSRS, &one, sizeof(one));
        if (r < 0)
            return false;
        if (r == 1)
            list->entry[list->head.nmsrs++] = one.entry;
    }
    return true;
}

#define GET(name, request) (call(fd, request, &s->name, sizeof(s->name)) >= 0)

static bool get(int fd, const struct vm_info *vm, struct state *s)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } cap = { .head.nmsrs = 1, .entry.index = MSR_MCG_CAP };

    memset(s, 0, sizeof(*s));
    s->cpuid.head.nent = CPUID_MAX;
    /* First: it takes in what waits to change the rest. */
    if (!GET(mp, KVM_GET_MP_STATE) || !GET(cpuid, KVM_GET_CPUID2) ||
        call(fd, KVM_GET_MSRS, &cap, sizeof(cap)) != 1)
        return false;
    s->mcg_cap = cap.entry.data;
    s->khz = sim_ioctl(fd, KVM_GET_TSC_KHZ, 0);
    return GET(events, KVM_GET_VCPU_EVENTS) && GET(regs, KVM_GET_REGS) &&
           GET(sregs, KVM_GET_SREGS) && GET(sregs2, KVM_GET_SREGS2) && GET(fpu, KVM_GET_FPU) &&
           GET(xsave, KVM_GET_XSAVE) && GET(xcrs, KVM_GET_XCRS) &&
           GET(debugregs, KVM_GET_DEBUGREGS) && (!vm->irqchip || GET(lapic, KVM_GET_LAPIC)) &&
           get_msrs(fd, &s->msrs);
}

/* ---- Set ---- */

static void set(int fd, unsigned long request, const void *argument, size_t n, const char *what)
{
    long r = -EFAULT;

    if (sim_poke(scratch, argument, n))
        r = sim_ioctl(fd, request, scratch);
    if (r < 0)
        sim_fault(SIM_STATE, "%s refuses with %ld what was read", what, r);
}

static void set_msrs(int fd, const struct msr_list *list)
{
    size_t n = sizeof(list->head) + list->head.nmsrs * sizeof(list->entry[0]);
    long r = -EFAULT;

    if (sim_poke(scratch, list, n))
        r = sim_ioctl(fd, KVM_SET_MSRS, scratch);
    if (r >= 0 && r < (long)list->head.nmsrs)
        sim_fault(SIM_STATE, "KVM_SET_MSRS refuses %#x with %#llx, which was read",
                  list->entry[r].index, (unsigned long long)list->entry[r].data);
    if (r < 0)
        sim_fault(SIM_STATE, "KVM_SET_MSRS: %ld", r);
}

#define SET(name, request) set(fd, request, &s->name, sizeof(s->name), #request)

static void put(int fd, const struct vm_info *vm, const struct state *s)
{
    if (s->cpuid.head.nent)
        SET(cpuid, KVM_SET_CPUID2);
    if (s->mcg_cap)
        SET(mcg_cap, KVM_X86_SETUP_MCE);
    if (s->khz > 0 && sim_ioctl(fd, KVM_SET_TSC_KHZ, (uint64_t)s->khz))
        sim_fault(SIM_STATE, "KVM_SET_TSC_KHZ refuses %ld, which was read", s->khz);
    SET(sregs, KVM_SET_SREGS);
    SET(xcrs, KVM_SET_XCRS);
    SET(xsave, KVM_SET_XSAVE);
    set_msrs(fd, &s->msrs);
    if (vm->irqchip)
        SET(lapic, KVM_SET_LAPIC);
    SET(regs, KVM_SET_REGS);
    SET(debugregs, KVM_SET_DEBUGREGS);
    SET(events, KVM_SET_VCPU_EVENTS);
    SET(mp, KVM_SET_MP_STATE);
}

/* ---- Compare ---- */

static void same(const char *what, const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            sim_fault(SIM_STATE, "%s: byte %#zx was %#x and is %#x", what, i, x[i], y[i]);
}

static uint32_t *apic(struct state *s, unsigned reg)
{
    return (uint32_t *)(void *)(s->lapic.regs + reg);
}

/* Time went on. */
static void forget_time(struct state *s)
{
    uint32_t vector = *apic(s, APIC_LVTT) & 0xff;

    *apic(s, APIC_TMCCT) = 0;
    *apic(s, APIC_IRR + vector / 32 * 16) &= ~(1u << vector % 32);
    for (uint32_t i = 0; i < s->msrs.head.nmsrs; i++)
        if (s->msrs.entry[i].index == MSR_TSC || s->msrs.entry[i].index == MSR_TSC_DEADLINE)
            s->msrs.entry[i].data = 0;
}

static void same_msrs(const struct msr_list *a, const struct msr_list *b)
{
    for (uint32_t i = 0; i < a->head.nmsrs; i++)
        if (i >= b->head.nmsrs || a->entry[i].index != b->entry[i].index ||
            a->entry[i].data != b->entry[i].data)
            sim_fault(SIM_STATE, "MSR %#x was %#llx and is %#llx", a->entry[i].index,
                      (unsigned long long)a->entry[i].data, (unsigned long long)b->entry[i].data);
}

#define SAME(name) same(#name, &a->name, &b->name, sizeof(a->name))

static void compare(struct state *a, struct state *b)
{
    forget_time(a);
    forget_time(b);
    SAME(mp);
    SAME(cpuid);
    SAME(events);
    SAME(regs);
    SAME(sregs);
    SAME(sregs2);
    SAME(xcrs);
    SAME(fpu);
    SAME(xsave);
    SAME(debugregs);
    SAME(lapic);
    same_msrs(&a->msrs, &b->msrs);
}

/* ---- The other VM ---- */

static int make_vm(int dev, const struct vm_info *vm)
{
    struct kvm_enable_cap chip = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { vm->pins } };
    struct kvm_enable_cap x2apic = { .cap = KVM_CAP_X2APIC_API, .args = { 1 } };
    int fd = (int)sim_ioctl(dev, KVM_CREATE_VM, vm->type);

    if (fd < 0)
        return fd;
    if (vm->irqchip)
        set(fd, KVM_ENABLE_CAP, &chip, sizeof(chip), "KVM_CAP_SPLIT_IRQCHIP");
    if (vm->x2apic)
        set(fd, KVM_ENABLE_CAP, &x2apic, sizeof(x2apic), "KVM_CAP_X2APIC_API");
    if (sim_ioctl(fd, KVM_SET_BOOT_CPU_ID, vm->boot))
        sim_fault(SIM_STATE, "KVM_SET_BOOT_CPU_ID is refused");
    return fd;
}

void snapshot_check(int dev, int vcpu, const struct vm_info *vm, const struct vcpu_info *info,
                    uint64_t at)
{
    static struct state before, after;
    int vm_fd, fd;

    scratch = at;
    if (dev < 0 || !get(vcpu, vm, &before))
        return;
    vm_fd = make_vm(dev, vm);
    fd = vm_fd < 0 ? -1 : (int)sim_ioctl(vm_fd, KVM_CREATE_VCPU, info->id);
    if (fd >= 0) {
        put(fd, vm, &before);
        if (!get(fd, vm, &after))
            sim_fault(SIM_STATE, "what was set cannot be read");
        compare(&before, &after);
    }
    sim_close(fd);
    sim_close(vm_fd);
}

void snapshot_start(struct offered_cpuid *offered)
{
    static struct {
        struct kvm_msr_list head;
        uint32_t index[MSRS_MAX];
    } list = { .head.nmsrs = MSRS_MAX };
    int dev = sim_open();

    scratch = sim_map(0x10000);
    offered->head.nent = CPUID_MAX;
    if (call(dev, KVM_GET_SUPPORTED_CPUID, offered, sizeof(*offered)) ||
        call(dev, KVM_GET_MSR_INDEX_LIST, &list, sizeof(list)))
        sim_fault(SIM_STATE, "the device does not say what it offers");
    msrs = list.head.nmsrs;
    memcpy(msr_index, list.index, msrs * sizeof(msr_index[0]));
}
