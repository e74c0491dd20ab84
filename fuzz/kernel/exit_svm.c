// SPDX-License-Identifier: Apache-2.0
/*
 * Exits of a plain guest on SVM, every field of them the input's: kernel/svm's decoding and core's
 * handlers on a live VM with local APIC, timers and one or two vCPUs.
 *
 * Input: one byte for the machine (MACHINE_*), then steps until it ends. A step's first byte has
 * the kind in its low 3 bits; VMM_STEP says whose it is.
 *
 * - GUEST_EXIT: code u8 (0xb0 and above: a nested fault; 0xa6 to 0xaf: a u16 follows), flags u8
 *   (EXIT_*), then in this order what the flags announce: info1 u64 (else u8), info2 u64 (else u8;
 *   of a nested fault an offset u16 follows, into the range that the u8 names), event u32 and error
 *   u32, RAX u64, RCX u32, RDX u64, RIP u32, instruction n u8 and n bytes.
 * - GUEST_STATE: 8 bytes of the save area at a u16. GUEST_WRITE: address u32, n u8 and n bytes.
 *   GUEST_GPR: number u8, u64. GUEST_FLAGS: RFLAGS u32, shadow u8. GUEST_TIME: microseconds u16.
 * - VMM_CALL: index u8 into calls[], vCPU u8, then n u8 and changes of n bytes of its argument
 *   (offset u16, value u8), or the number u32 that is the argument.
 * - VMM_*: runs a vCPU u8, writes the run page, lets time pass, fails an allocation or a copy,
 *   protects or migrates a page.
 */
#include <string.h>

#include <linux/kvm.h>

#include "fuzz/sim/sim.h"
#include "fuzz/sim/svm.h"
#include "fuzz/sim/vm.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MACHINE_IRQCHIP 0x01
#define MACHINE_LONG 0x02
#define MACHINE_PROTECTED 0x04 /* else as after reset */
#define MACHINE_FILTER 0x08    /* every MSR access exits */
#define MACHINE_READ_ONLY 0x10 /* a second slot that guests cannot write */
#define MACHINE_SECOND 0x20    /* a second vCPU */

#define VMM_STEP 0x80
enum guest_step {
    GUEST_EXIT,
    GUEST_EXIT_2,
    GUEST_EXIT_3,
    GUEST_STATE,
    GUEST_WRITE,
    GUEST_GPR,
    GUEST_FLAGS,
    GUEST_TIME
};
enum vmm_step {
    VMM_CALL,
    VMM_RUN,
    VMM_RUN_PAGE,
    VMM_TIME,
    VMM_FAIL_ALLOC,
    VMM_FAIL_COPY,
    VMM_PROTECT,
    VMM_MIGRATE
};

#define EXIT_INFO1 0x01
#define EXIT_INFO2 0x02
#define EXIT_EVENT 0x04
#define EXIT_RETURNED 0x08 /* the injected event's delivery was interrupted */
#define EXIT_GPRS 0x10
#define EXIT_RIP 0x20
#define EXIT_INSN 0x40
#define EXIT_NRIP 0x80 /* RIP plus the instruction's length */

#define READ_ONLY_GPA 0x400000ull
#define STEPS_MAX 200u /* of a guest in one run */

static struct sim_input in;
static struct sim_vm vm;
static unsigned steps;

/* ---- The guest ---- */

static uint64_t fault_address(uint8_t which)
{
    static const uint64_t base[] = { 0x8000,   0xfee00000,   0x80000000, READ_ONLY_GPA,
                                     0x1ff000, 0xfffffff000, 0xc0000,    0xfec00000 };

    return base[which % 8] + sim_u16(&in);
}

static void registers(struct sim_entry *entry, uint8_t flags, struct sim_svm_state *s)
{
    if (flags & EXIT_GPRS) {
        s->rax = sim_u64(&in);
        entry->gpr[1] = sim_u32(&in);
        entry->gpr[2] = sim_u64(&in);
    }
    if (flags & EXIT_RIP)
        s->rip = sim_u32(&in);
}

static void instruction(struct sim_svm_exit *x, uint64_t rip)
{
    x->insn_len = sim_u8(&in) % 16;
    sim_bytes(&in, x->insn, x->insn_len);
    sim_vm_put(&vm, rip & (SIM_VM_MEMORY - 1), x->insn, x->insn_len);
}

static void leave(struct sim_entry *entry)
{
    struct sim_svm_exit x = { .code = sim_u8(&in) };
    uint8_t flags = sim_u8(&in), small;
    struct sim_svm_state s;

    if (x.code >= 0xb0)
        x.code = SIM_EXIT_NPF;
    else if (x.code >= 0xa6)
        x.code = (uint32_t)(int16_t)sim_u16(&in);
    x.info1 = flags & EXIT_INFO1 ? sim_u64(&in) : sim_u8(&in);
    small = flags & EXIT_INFO2 ? 0 : sim_u8(&in);
    x.info2 = flags & EXIT_INFO2       ? sim_u64(&in)
              : x.code == SIM_EXIT_NPF ? fault_address(small)
                                       : small;
    if (flags & EXIT_EVENT) {
        x.event = sim_u32(&in);
        x.event_error = sim_u32(&in);
    } else if (flags & EXIT_RETURNED) {
        x.event = sim_svm_injected(entry);
        x.event_error = sim_svm_injected_error(entry);
    }
    sim_svm_get(entry, &s);
    registers(entry, flags, &s);
    if (flags & EXIT_INSN)
        instruction(&x, s.rip);
    if (flags & EXIT_NRIP)
        x.next_rip = s.rip + (x.insn_len ? x.insn_len : 2);
    if (x.code == SIM_EXIT_IOIO && !(flags & EXIT_INFO2))
        x.info2 = s.rip + (x.insn_len ? x.insn_len : 1);
    sim_svm_set(entry, &s);
    sim_svm_leave(entry, &x);
}

static void scribble(struct sim_entry *entry)
{
    uint16_t at = sim_u16(&in) % (SIM_SVM_SAVE_SIZE - 8);

    sim_bytes(&in, sim_svm_save_area(entry) + at, 8);
}

static void write_memory(void)
{
    uint64_t gpa = sim_u32(&in) & (SIM_VM_MEMORY - 1);
    uint8_t bytes[64], n = sim_u8(&in) % 65;

    sim_bytes(&in, bytes, n);
    sim_vm_put(&vm, gpa, bytes, n);
}

static void set_flags(struct sim_entry *entry)
{
    struct sim_svm_state s;

    sim_svm_get(entry, &s);
    s.rflags = sim_u32(&in);
    s.shadow = sim_u8(&in) & 1;
    sim_svm_set(entry, &s);
}

/* One step; false: it was no exit, the guest goes on. */
static bool guest_step(struct sim_entry *entry, uint8_t kind)
{
    switch (kind & 7) {
    case GUEST_STATE:
        scribble(entry);
        return false;
    case GUEST_WRITE:
        write_memory();
        return false;
    case GUEST_GPR:
        kind = sim_u8(&in);
        entry->gpr[kind & 15] = sim_u64(&in);
        return false;
    case GUEST_FLAGS:
        set_flags(entry);
        return false;
    case GUEST_TIME:
        sim_advance(sim_u16(&in) * 1000ull);
        return false;
    default:
        leave(entry);
        return true;
    }
}

static void guest(void *context, struct sim_entry *entry)
{
    (void)context;
    while (sim_more(&in) && !(in.data[in.at] & VMM_STEP) && steps < STEPS_MAX) {
        steps++;
        if (guest_step(entry, sim_u8(&in)))
            return;
    }
    /* The VMM's turn. */
    sim_signal(0);
}

/* ---- The VMM ---- */

static const struct {
    unsigned long request;
    uint16_t size; /* 0: the argument is a number */
    bool of_vm;
} calls[] = {
    { KVM_NMI, 0, false },
    { KVM_SET_REGS, sizeof(struct kvm_regs), false },
    { KVM_GET_REGS, sizeof(struct kvm_regs), false },
    { KVM_SET_SREGS, sizeof(struct kvm_sregs), false },
    { KVM_GET_SREGS, sizeof(struct kvm_sregs), false },
    { KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), false },
    { KVM_GET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), false },
    { KVM_SET_GUEST_DEBUG, sizeof(struct kvm_guest_debug), false },
    { KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs), false },
    { KVM_SET_MP_STATE, sizeof(struct kvm_mp_state), false },
    { KVM_SET_LAPIC, sizeof(struct kvm_lapic_state), false },
    { KVM_SET_MSRS, sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry), false },
    { KVM_GET_MSRS, sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry), false },
    { KVM_SET_XCRS, sizeof(struct kvm_xcrs), false },
    { KVM_SET_TSC_KHZ, 0, false },
    { KVM_KVMCLOCK_CTRL, 0, false },
    { KVM_X86_SETUP_MCE, 8, false },
    { KVM_SIGNAL_MSI, sizeof(struct kvm_msi), true },
    { KVM_SET_CLOCK, sizeof(struct kvm_clock_data), true },
    { KVM_SET_USER_MEMORY_REGION, sizeof(struct kvm_userspace_memory_region), true },
};

static void call(void)
{
    static uint8_t argument[2048];
    unsigned i = sim_u8(&in) % (sizeof(calls) / sizeof(calls[0]));
    unsigned vcpu = sim_u8(&in) % vm.vcpus;
    int fd = calls[i].of_vm ? vm.fd : vm.vcpu[vcpu];

    if (!calls[i].size) {
        sim_ioctl(fd, calls[i].request, sim_u32(&in));
        return;
    }
    memset(argument, 0, sizeof(argument));
    /* As it is, with a part changed: most of these are refused for one wrong byte. */
    if (calls[i].request == KVM_SET_SREGS)
        sim_vm_call(&vm, fd, KVM_GET_SREGS, argument, calls[i].size);
    if (calls[i].request == KVM_SET_LAPIC)
        sim_vm_call(&vm, fd, KVM_GET_LAPIC, argument, calls[i].size);
    for (unsigned n = sim_u8(&in) % 16; n; n--) {
        unsigned at = sim_u16(&in) % calls[i].size;

        argument[at] = sim_u8(&in);
    }
    sim_vm_call(&vm, fd, calls[i].request, argument, calls[i].size);
}

static void run_page(void)
{
    unsigned vcpu = sim_u8(&in) % vm.vcpus;
    uint16_t at = sim_u8(&in);

    /* Most of what counts is where an exit says what it is about. */
    if (at >= 0xe0)
        at = sim_u16(&in) % sizeof(struct kvm_run);
    else if (at >= 0x40)
        at = offsetof(struct kvm_run, io) + at % 32;
    ((uint8_t *)vm.run[vcpu])[at] = sim_u8(&in);
    sim_bytes(&in, vm.pio[vcpu], 16);
}

static void vmm_step(uint8_t kind)
{
    switch (kind & 7) {
    case VMM_CALL:
        call();
        break;
    case VMM_RUN:
        steps = 0;
        sim_vm_run(&vm, sim_u8(&in) % vm.vcpus);
        break;
    case VMM_RUN_PAGE:
        run_page();
        break;
    case VMM_TIME:
        sim_advance(sim_u32(&in));
        break;
    case VMM_FAIL_ALLOC:
        sim_fail_alloc(sim_u8(&in));
        break;
    case VMM_FAIL_COPY:
        sim_fail_copy(sim_u16(&in));
        break;
    case VMM_PROTECT:
        kind = sim_u8(&in);
        sim_protect(vm.memory + (kind & 0x7fu) * 0x1000ull, 0x1000, kind >> 7);
        break;
    case VMM_MIGRATE:
        sim_migrate(vm.memory + sim_u8(&in) * 0x1000ull);
        break;
    }
}

/* ---- The machine ---- */

static bool read_only_slot(void)
{
    struct kvm_userspace_memory_region region = { .slot = 1,
                                                  .flags = KVM_MEM_READONLY,
                                                  .guest_phys_addr = READ_ONLY_GPA,
                                                  .memory_size = 0x10000,
                                                  .userspace_addr = vm.memory };

    return !sim_vm_call(&vm, vm.fd, KVM_SET_USER_MEMORY_REGION, &region, sizeof(region));
}

static bool filter_msrs(void)
{
    static uint8_t bitmap[0x100];
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { 7 } };
    struct kvm_msr_filter filter = { .flags = 0 }; /* others are allowed */
    uint64_t at = vm.scratch + 0x8000;

    filter.ranges[0] =
        (struct kvm_msr_filter_range){ .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
                                       .nmsrs = 0x800,
                                       .base = 0xc0000000,
                                       .bitmap = (uint8_t *)(uintptr_t)at };
    return sim_poke(at, bitmap, sizeof(bitmap)) &&
           !sim_vm_call(&vm, vm.fd, KVM_ENABLE_CAP, &cap, sizeof(cap)) &&
           !sim_vm_call(&vm, vm.fd, KVM_X86_SET_MSR_FILTER, &filter, sizeof(filter));
}

static bool build(uint8_t machine)
{
    if (!sim_vm_create(&vm, KVM_X86_DEFAULT_VM) ||
        (machine & MACHINE_IRQCHIP && !sim_vm_irqchip(&vm)))
        return false;
    if (!sim_vm_add_vcpu(&vm) || (machine & MACHINE_SECOND && !sim_vm_add_vcpu(&vm)))
        return false;
    if (machine & MACHINE_LONG && !sim_vm_long_mode(&vm, 0))
        return false;
    if (!(machine & MACHINE_LONG) && machine & MACHINE_PROTECTED && !sim_vm_protected_mode(&vm, 0))
        return false;
    return (!(machine & MACHINE_FILTER) || filter_msrs()) &&
           (!(machine & MACHINE_READ_ONLY) || read_only_slot());
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct sim_options options = { .backend = SIM_SVM };

    (void)argc, (void)argv;
    sim_start(&options);
    sim_vm_start();
    return 0;
}

/* A vCPU that cannot run takes no step: the input goes on all the same. */
static void run(void)
{
    size_t at = in.at;

    steps = 0;
    sim_vm_run(&vm, 0);
    if (in.at == at)
        sim_u8(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = (struct sim_input){ data, size, 0 };
    sim_set_guest(guest, NULL);
    sim_check_always(true);
    if (build(sim_u8(&in))) {
        while (sim_more(&in)) {
            if (in.data[in.at] & VMM_STEP)
                vmm_step(sim_u8(&in));
            else
                run();
        }
    }
    sim_check();
    sim_reset();
    return 0;
}
