// SPDX-License-Identifier: Apache-2.0
/*
 * vCPU threads: initial state, the run loop and one handler for each exit reason.
 * The module fills the run page; what it passes on of the guest's is not trusted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vm.h"

/* Registers that a machine without firmware must set itself. */
static const struct kvm_msr_entry initial_msrs[] = {
    { .index = 0x2ff, .data = 0x806 }, /* IA32_MTRR_DEF_TYPE: enabled, write-back */
};

#define NR_MSRS (sizeof(initial_msrs) / sizeof(initial_msrs[0]))

static enum bawn_status set_state(struct bawn_vcpu *vcpu, struct bawn_error *err)
{
    const struct bawn_launch_plan *plan = vcpu->vm->parts->plan;
    const struct bawn_snp_input *snp = vcpu->vm->parts->snp;
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry[NR_MSRS];
    } msrs = { .head.nmsrs = NR_MSRS };
    enum bawn_status st = bawn_cpuid_set(vcpu, err);
    int n;

    if (st)
        return st;
    if (vcpu->vm->parts->from)
        return bawn_state_load_vcpu(vcpu, vcpu->vm->parts->from, err);
    memcpy(msrs.entry, initial_msrs, sizeof(initial_msrs));
    n = ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
    if (n != (int)NR_MSRS)
        return bawn_fail(err, BAWN_E_IO, "vCPU %u: KVM_SET_MSRS refuses MSR %#x", vcpu->id,
                         initial_msrs[n < 0 ? 0 : n].index);
    if (snp)
        return bawn_snp_set_vcpu(vcpu, err);
    if (vcpu->id)
        return BAWN_OK; /* waits for INIT and SIPI, as the module made it */
    if (ioctl(vcpu->fd, KVM_SET_SREGS, &plan->sregs))
        return bawn_fail(err, BAWN_E_IO, "vCPU 0: KVM_SET_SREGS: %m");
    if (ioctl(vcpu->fd, KVM_SET_REGS, &plan->regs))
        return bawn_fail(err, BAWN_E_IO, "vCPU 0: KVM_SET_REGS: %m");
    return BAWN_OK;
}

enum bawn_status bawn_vcpu_create(struct bawn_vcpu *vcpu, struct bawn_vm *vm, unsigned id,
                                  struct bawn_error *err)
{
    vcpu->vm = vm;
    vcpu->id = id;
    vcpu->exits = vm->parts->counters->exits[id];
    vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
    if (vcpu->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot create vCPU %u: %m", id);
    vcpu->run =
        mmap(NULL, vm->parts->accel->vcpu_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED) {
        vcpu->run = NULL;
        return bawn_fail(err, BAWN_E_IO, "cannot map vCPU %u's run page: %m", id);
    }
    return set_state(vcpu, err);
}

/* ---- exits ---- */

static void exit_io(struct bawn_vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    unsigned size = run->io.size;
    uint64_t total = (uint64_t)size * run->io.count;
    uint8_t *p = (uint8_t *)run + run->io.data_offset;
    struct bawn_vm *vm = vcpu->vm;

    if (size > 4 || run->io.data_offset + total > (uint64_t)vm->parts->accel->vcpu_size) {
        bawn_vm_end(vm, BAWN_END_FAILED, "vCPU %u: I/O exit with size %u, count %u", vcpu->id, size,
                    run->io.count);
        return;
    }
    pthread_mutex_lock(&vm->lock);
    for (uint32_t i = 0; i < run->io.count; i++, p += size) {
        uint64_t val = 0;

        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&val, p, size);
            bawn_bus_write(&vm->pio, run->io.port, size, val);
        } else {
            val = bawn_bus_read(&vm->pio, run->io.port, size);
            memcpy(p, &val, size);
        }
    }
    pthread_mutex_unlock(&vm->lock);
}

static void exit_mmio(struct bawn_vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    unsigned len = run->mmio.len;
    struct bawn_vm *vm = vcpu->vm;
    uint64_t val = 0;

    if (len > sizeof(run->mmio.data)) {
        bawn_vm_end(vm, BAWN_END_FAILED, "vCPU %u: MMIO exit of %u bytes", vcpu->id, len);
        return;
    }
    pthread_mutex_lock(&vm->lock);
    if (run->mmio.is_write) {
        memcpy(&val, run->mmio.data, len);
        bawn_bus_write(&vm->mmio, run->mmio.phys_addr, len, val);
    } else {
        val = bawn_bus_read(&vm->mmio, run->mmio.phys_addr, len);
        memcpy(run->mmio.data, &val, len);
    }
    pthread_mutex_unlock(&vm->lock);
}

static void exit_ioapic_eoi(struct bawn_vcpu *vcpu)
{
    struct bawn_vm *vm = vcpu->vm;

    pthread_mutex_lock(&vm->lock);
    bawn_ioapic_eoi(&vm->ioapic, vcpu->run->eoi.vector);
    pthread_mutex_unlock(&vm->lock);
}

static void exit_again(struct bawn_vcpu *vcpu)
{
    (void)vcpu; /* an interrupted or idle run: the loop runs it again */
}

/* A kernel told to reboot by triple fault means a reset; for any other it is a crash. */
static void exit_shutdown(struct bawn_vcpu *vcpu)
{
    if (bawn_reset_by_triple_fault(vcpu->vm->parts->cfg->cmdline))
        bawn_vm_end(vcpu->vm, BAWN_END_RESET, "the guest reset itself by triple fault");
    else
        bawn_vm_end(vcpu->vm, BAWN_END_CRASH, "vCPU %u: triple fault", vcpu->id);
}

static void exit_system_event(struct bawn_vcpu *vcpu)
{
    switch (vcpu->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        bawn_vm_end(vcpu->vm, BAWN_END_POWEROFF, "the guest powered off");
        break;
    case KVM_SYSTEM_EVENT_RESET:
        bawn_vm_end(vcpu->vm, BAWN_END_RESET, "the guest reset itself");
        break;
    case KVM_SYSTEM_EVENT_SEV_TERM:
        bawn_snp_terminated(vcpu);
        break;
    default:
        bawn_vm_end(vcpu->vm, BAWN_END_CRASH, "the guest crashed (system event %u)",
                    vcpu->run->system_event.type);
    }
}

static void exit_fail_entry(struct bawn_vcpu *vcpu)
{
    bawn_vm_end(vcpu->vm, BAWN_END_CRASH,
                "vCPU %u: the CPU refuses the guest's state, reason %#llx", vcpu->id,
                (unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason);
}

static void exit_memory_fault(struct bawn_vcpu *vcpu)
{
    if (vcpu->vm->parts->snp) {
        bawn_snp_memory_fault(vcpu);
        return;
    }
    bawn_vm_end(vcpu->vm, BAWN_END_CRASH,
                "vCPU %u: no memory for %#llx bytes at %#llx, flags %#llx", vcpu->id,
                (unsigned long long)vcpu->run->memory_fault.size,
                (unsigned long long)vcpu->run->memory_fault.gpa,
                (unsigned long long)vcpu->run->memory_fault.flags);
}

/* The instruction that the module could not emulate, if it says which. */
static void exit_internal_error(struct bawn_vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    struct kvm_regs regs = { 0 };
    char bytes[3 * 15 + 1] = "";

    ioctl(vcpu->fd, KVM_GET_REGS, &regs);
    if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && run->internal.ndata >= 3 &&
        (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        for (unsigned i = 0; i < run->emulation_failure.insn_size && i < 15; i++)
            snprintf(bytes + 3 * i, 4, " %02x", run->emulation_failure.insn_bytes[i]);
    }
    bawn_vm_end(vcpu->vm, BAWN_END_CRASH, "vCPU %u: internal error %u at rip %#llx%s%s", vcpu->id,
                run->internal.suberror, (unsigned long long)regs.rip, *bytes ? ", instruction" : "",
                bytes);
}

static const struct {
    const char *name;
    void (*handle)(struct bawn_vcpu *vcpu);
} exits[BAWN_NR_EXITS] = {
    [KVM_EXIT_IO] = { "io", exit_io },
    [KVM_EXIT_MMIO] = { "mmio", exit_mmio },
    [KVM_EXIT_HYPERCALL] = { "hypercall", bawn_snp_hypercall },
    [KVM_EXIT_IOAPIC_EOI] = { "ioapic_eoi", exit_ioapic_eoi },
    [KVM_EXIT_INTR] = { "intr", exit_again },
    [KVM_EXIT_IRQ_WINDOW_OPEN] = { "irq_window", exit_again },
    [KVM_EXIT_HLT] = { "hlt", exit_again },
    [KVM_EXIT_SHUTDOWN] = { "shutdown", exit_shutdown },
    [KVM_EXIT_SYSTEM_EVENT] = { "system_event", exit_system_event },
    [KVM_EXIT_FAIL_ENTRY] = { "fail_entry", exit_fail_entry },
    [KVM_EXIT_INTERNAL_ERROR] = { "internal_error", exit_internal_error },
    [KVM_EXIT_MEMORY_FAULT] = { "memory_fault", exit_memory_fault },
};

const char *bawn_exit_name(unsigned reason)
{
    return reason < BAWN_NR_EXITS && exits[reason].name ? exits[reason].name : "unknown";
}

static void run_once(struct bawn_vcpu *vcpu)
{
    unsigned reason;

    if (ioctl(vcpu->fd, KVM_RUN, 0)) {
        if (errno == EINTR || errno == EAGAIN) {
            /* The last exit is complete: its result stands in the vCPU's registers. */
            if (__atomic_load_n(&vcpu->vm->pause, __ATOMIC_SEQ_CST) ||
                __atomic_load_n(&vcpu->away, __ATOMIC_SEQ_CST))
                bawn_vm_park(vcpu);
            return;
        }
        if (errno != EFAULT || vcpu->run->exit_reason != KVM_EXIT_MEMORY_FAULT) {
            bawn_vm_end(vcpu->vm, BAWN_END_FAILED, "vCPU %u: KVM_RUN: %m", vcpu->id);
            return;
        }
    }
    reason = vcpu->run->exit_reason;
    if (reason >= BAWN_NR_EXITS || !exits[reason].handle) {
        bawn_vm_end(vcpu->vm, BAWN_END_FAILED, "vCPU %u: unknown exit reason %u", vcpu->id, reason);
        return;
    }
    vcpu->exits[reason]++;
    exits[reason].handle(vcpu);
}

void *bawn_vcpu_thread(void *opaque)
{
    struct bawn_vcpu *vcpu = opaque;

    while (__atomic_load_n(&vcpu->vm->end, __ATOMIC_SEQ_CST) == BAWN_END_NONE)
        run_once(vcpu);
    return NULL;
}
