// SPDX-License-Identifier: Apache-2.0
/*
 * Saves and loads a machine's state, by tables of the module's calls. What is loaded comes from a
 * file: counts are checked here, registers by the module, devices by their own rooms.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "state.h"
#include "vm.h"

#define MSR_TSC 0x10
#define MSR_TSC_DEADLINE 0x6e0

/* Beside what the module lists: mainline KVM's list is without the MTRRs (SDM vol. 4, table 2-2).
 */
static const struct {
    uint32_t first, last;
} more_msrs[] = {
    { 0x200, 0x20f }, { 0x250, 0x250 }, { 0x258, 0x259 }, { 0x268, 0x26f }, { 0x2ff, 0x2ff },
};

/* In the order of loading: modes before what depends on them, events last. */
static const struct {
    const char *name;
    unsigned long get, set;
    size_t at;
} calls[] = {
    { "MP_STATE", KVM_GET_MP_STATE, KVM_SET_MP_STATE, offsetof(struct bawn_state_vcpu, mp_state) },
    { "SREGS", KVM_GET_SREGS, KVM_SET_SREGS, offsetof(struct bawn_state_vcpu, sregs) },
    { "REGS", KVM_GET_REGS, KVM_SET_REGS, offsetof(struct bawn_state_vcpu, regs) },
    { "XCRS", KVM_GET_XCRS, KVM_SET_XCRS, offsetof(struct bawn_state_vcpu, xcrs) },
    { "XSAVE", KVM_GET_XSAVE, KVM_SET_XSAVE, offsetof(struct bawn_state_vcpu, xsave) },
    { "DEBUGREGS", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS,
      offsetof(struct bawn_state_vcpu, debugregs) },
    { "LAPIC", KVM_GET_LAPIC, KVM_SET_LAPIC, offsetof(struct bawn_state_vcpu, lapic) },
    { "VCPU_EVENTS", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
      offsetof(struct bawn_state_vcpu, events) },
};

#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

struct msrs {
    struct kvm_msrs head;
    struct kvm_msr_entry entry[BAWN_STATE_MSRS];
};

enum bawn_status bawn_state_supported(const struct bawn_vm_config *cfg, struct bawn_error *err)
{
    if (cfg->tpm)
        return bawn_fail(
            err, BAWN_E_UNSUPPORTED,
            "a machine with a TPM has no snapshots: what the TPM holds is swtpm's, and "
            "must not be there twice");
    if (!cfg->snp.on)
        return BAWN_OK;
    return bawn_fail(
        err, BAWN_E_UNSUPPORTED,
        "a confidential machine has no snapshots: its memory and registers are "
        "encrypted with a key that never leaves the processor, so that the host cannot "
        "read them, nor another processor use them");
}

/* The guest compares its two clocks, and distrusts one that jumped. They are read one right after
 * the other, and set in the same way: what passes between the two calls is the same both times. */
static bool both_clocks(struct bawn_vm *vm, bool set, struct kvm_clock_data *clock, uint64_t *tsc)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } msr = { .head.nmsrs = 1, .entry = { .index = MSR_TSC, .data = *tsc } };
    bool ok = !ioctl(vm->fd, set ? KVM_SET_CLOCK : KVM_GET_CLOCK, clock) &&
              ioctl(vm->vcpu[0].fd, set ? KVM_SET_MSRS : KVM_GET_MSRS, &msr) == 1;

    *tsc = msr.entry.data;
    return ok;
}

/* ---- saving ---- */

static void add_msr(struct bawn_vm *vm, uint32_t index)
{
    for (unsigned i = 0; i < vm->nr_msrs; i++) {
        if (vm->msr[i] == index)
            return;
    }
    if (vm->nr_msrs < BAWN_STATE_MSRS - 1)
        vm->msr[vm->nr_msrs++] = index;
}

enum bawn_status bawn_state_prepare(struct bawn_vm *vm, struct bawn_error *err)
{
    struct {
        struct kvm_msr_list head;
        uint32_t index[BAWN_STATE_MSRS];
    } list = { .head.nmsrs = BAWN_STATE_MSRS };

    if (ioctl(vm->parts->accel->fd, KVM_GET_MSR_INDEX_LIST, &list))
        return bawn_fail(err, BAWN_E_IO, "KVM_GET_MSR_INDEX_LIST: %m");
    for (unsigned i = 0; i < list.head.nmsrs; i++) {
        if (list.index[i] != MSR_TSC_DEADLINE)
            add_msr(vm, list.index[i]);
    }
    for (size_t i = 0; i < sizeof(more_msrs) / sizeof(more_msrs[0]); i++) {
        for (uint32_t index = more_msrs[i].first; index <= more_msrs[i].last; index++)
            add_msr(vm, index);
    }
    vm->msr[vm->nr_msrs++] = MSR_TSC_DEADLINE; /* what it means depends on the TSC: last */
    return BAWN_OK;
}

/* Of those in the list the ones that this guest has. */
static uint32_t save_msrs(const struct bawn_vcpu *vcpu, struct kvm_msr_entry *to)
{
    static struct msrs msrs; /* a machine is saved by one thread */
    unsigned at = 0;
    uint32_t nr = 0;

    while (at < vcpu->vm->nr_msrs) {
        unsigned n = vcpu->vm->nr_msrs - at;
        int done;

        msrs.head.nmsrs = n;
        for (unsigned i = 0; i < n; i++)
            msrs.entry[i] = (struct kvm_msr_entry){ .index = vcpu->vm->msr[at + i] };
        done = ioctl(vcpu->fd, KVM_GET_MSRS, &msrs);
        if (done < 0 || (unsigned)done > n)
            done = 0;
        memcpy(to + nr, msrs.entry, (unsigned)done * sizeof(msrs.entry[0]));
        nr += (unsigned)done;
        at += (unsigned)done + 1; /* and the one where it stopped */
    }
    return nr;
}

static enum bawn_status save_vcpu(const struct bawn_vcpu *vcpu, struct bawn_state_vcpu *to,
                                  struct bawn_error *err)
{
    for (size_t i = 0; i < NR_CALLS; i++) {
        if (ioctl(vcpu->fd, calls[i].get, (uint8_t *)to + calls[i].at))
            return bawn_fail(err, BAWN_E_IO, "vCPU %u: KVM_GET_%s: %m", vcpu->id, calls[i].name);
    }
    to->nr_msrs = save_msrs(vcpu, to->msr);
    return BAWN_OK;
}

static enum bawn_status save_devices(const struct bawn_vm *vm, struct bawn_state *state,
                                     struct bawn_error *err)
{
    const struct bawn_devices *devices = vm->parts->devices;

    for (unsigned i = 0; i < devices->nr; i++) {
        struct bawn_state_device *to = &state->device[state->nr_devices];

        if (!(vm->here & 1u << i))
            continue;
        memcpy(to->name, devices->dev[i].name, sizeof(to->name));
        if (!bawn_virtio_save(&vm->virtio[i], &to->virtio))
            return bawn_fail(err, BAWN_E_IO, "%s is just being reset: try again",
                             devices->dev[i].name);
        state->nr_devices++;
    }
    bawn_slots_save(&vm->slots, &state->slots);
    bawn_ioapic_save(&vm->ioapic, &state->ioapic);
    bawn_serial_save(&vm->serial, &state->serial);
    bawn_platform_save(&vm->platform, &state->platform);
    return BAWN_OK;
}

void bawn_state_facts(const struct bawn_vm *vm, struct bawn_state *state)
{
    memset(state, 0, BAWN_STATE_SIZE(vm->nr_vcpus));
    state->version = BAWN_STATE_VERSION;
    state->size = BAWN_STATE_SIZE(vm->nr_vcpus);
    state->nr_vcpus = vm->nr_vcpus;
    state->measured = vm->measured;
    memcpy(state->digest, vm->digest, sizeof(state->digest));
    state->cpuid = vm->cpuid;
}

enum bawn_status bawn_state_save(struct bawn_vm *vm, struct bawn_state *state,
                                 struct bawn_error *err)
{
    enum bawn_status st = bawn_state_supported(vm->parts->cfg, err);

    if (st)
        return st;
    bawn_state_facts(vm, state);
    if (!both_clocks(vm, false, &state->clock, &state->tsc))
        return bawn_fail(err, BAWN_E_IO, "cannot read the guest's clocks: %m");
    st = save_devices(vm, state, err);
    for (unsigned i = 0; !st && i < vm->nr_vcpus; i++)
        st = save_vcpu(&vm->vcpu[i], &state->vcpu[i], err);
    return st;
}

/* ---- loading ---- */

/* One that cannot be set is as good if it already has the value. */
static bool has_value(const struct bawn_vcpu *vcpu, const struct kvm_msr_entry *want)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = { .head.nmsrs = 1, .entry.index = want->index };

    return ioctl(vcpu->fd, KVM_GET_MSRS, &one) == 1 && one.entry.data == want->data;
}

static enum bawn_status load_msrs(const struct bawn_vcpu *vcpu, const struct bawn_state_vcpu *from,
                                  struct bawn_error *err)
{
    static struct msrs msrs; /* vCPUs are made one by one */
    unsigned at = 0;

    while (at < from->nr_msrs) {
        unsigned n = from->nr_msrs - at;
        int done;

        msrs.head.nmsrs = n;
        memcpy(msrs.entry, from->msr + at, n * sizeof(msrs.entry[0]));
        done = ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
        if (done < 0 || (unsigned)done > n)
            return bawn_fail(err, BAWN_E_IO, "vCPU %u: KVM_SET_MSRS: %m", vcpu->id);
        at += (unsigned)done;
        if (at < from->nr_msrs && !has_value(vcpu, &from->msr[at]))
            return bawn_fail(err, BAWN_E_UNSUPPORTED,
                             "vCPU %u: this host's module refuses %#llx for the guest's MSR %#x",
                             vcpu->id, (unsigned long long)from->msr[at].data, from->msr[at].index);
        at++;
    }
    return BAWN_OK;
}

/* The guest counts time with it. */
static enum bawn_status load_tsc_khz(const struct bawn_vcpu *vcpu, uint32_t khz,
                                     struct bawn_error *err)
{
    int host = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, NULL);

    if (!khz || host < 0 || (uint32_t)host == khz ||
        !ioctl(vcpu->fd, KVM_SET_TSC_KHZ, (unsigned long)khz))
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_UNSUPPORTED,
                     "the guest's clock counts %u kHz: this host's counts %d, and cannot be scaled",
                     khz, host);
}

enum bawn_status bawn_state_load_vcpu(struct bawn_vcpu *vcpu, const struct bawn_state *state,
                                      struct bawn_error *err)
{
    const struct bawn_state_vcpu *from = &state->vcpu[vcpu->id];
    /* The guest's time stood still; the module takes nothing else of it. */
    struct kvm_clock_data clock = { .clock = state->clock.clock };
    uint64_t tsc = state->tsc;
    enum bawn_status st;

    if (from->nr_msrs > BAWN_STATE_MSRS)
        return bawn_fail(err, BAWN_E_FORMAT, "vCPU %u: the snapshot has %u MSRs", vcpu->id,
                         from->nr_msrs);
    st = load_tsc_khz(vcpu, state->cpuid.tsc_khz, err);
    if (!st && !vcpu->id && !both_clocks(vcpu->vm, true, &clock, &tsc))
        st = bawn_fail(err, BAWN_E_IO, "cannot set the guest's clocks: %m");
    for (size_t i = 0; !st && i < NR_CALLS; i++) {
        /* MSRs stand between: the deadline needs the local APIC's mode. */
        if (calls[i].set == KVM_SET_VCPU_EVENTS)
            st = load_msrs(vcpu, from, err);
        if (!st && ioctl(vcpu->fd, calls[i].set, (const uint8_t *)from + calls[i].at))
            st = bawn_fail(err, BAWN_E_UNSUPPORTED,
                           "vCPU %u: this host's module refuses the guest's state: KVM_SET_%s: %m",
                           vcpu->id, calls[i].name);
    }
    return st;
}

/* A disk of another size is another disk. */
static bool same_disk(const struct bawn_device *dev, const struct bawn_state_device *from)
{
    const struct virtio_blk_config *now = dev->vdev->config;

    return dev->role != BAWN_ROLE_DISK ||
           !memcmp(from->virtio.config, &now->capacity, sizeof(now->capacity));
}

static enum bawn_status load_device(struct bawn_vm *vm, unsigned i,
                                    const struct bawn_state_device *from, struct bawn_error *err)
{
    const struct bawn_device *dev = &vm->parts->devices->dev[i];

    if (memcmp(from->name, dev->name, sizeof(from->name)))
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot has not %s where the machine has it",
                         dev->name);
    if (!same_disk(dev, from))
        return bawn_fail(err, BAWN_E_CONFIG,
                         "%s is not as large as it was when the snapshot was made", dev->name);
    if (!bawn_virtio_load(&vm->virtio[i], &from->virtio))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "%s cannot be as the snapshot has it: its other side may offer less "
                         "than it did",
                         dev->name);
    return BAWN_OK;
}

enum bawn_status bawn_state_load(struct bawn_vm *vm, const struct bawn_state *state,
                                 struct bawn_error *err)
{
    const struct bawn_devices *devices = vm->parts->devices;
    enum bawn_status st = BAWN_OK;
    unsigned n = 0;

    if (state->nr_devices != (unsigned)__builtin_popcount(vm->here))
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot has %u virtio devices, the machine %d",
                         state->nr_devices, __builtin_popcount(vm->here));
    for (unsigned i = 0; !st && i < devices->nr; i++) {
        if (vm->here & 1u << i)
            st = load_device(vm, i, &state->device[n++], err);
    }
    if (st)
        return st;
    if (!bawn_serial_load(&vm->serial, &state->serial))
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot's serial port makes no sense");
    bawn_platform_load(&vm->platform, &state->platform);
    bawn_ioapic_load(&vm->ioapic, &state->ioapic);
    if (!bawn_vm_slots_load(vm, &state->slots))
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot's vCPUs make no sense");
    vm->measured = state->measured;
    memcpy(vm->digest, state->digest, sizeof(vm->digest));
    return BAWN_OK;
}
