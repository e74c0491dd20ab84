// SPDX-License-Identifier: Apache-2.0
/*
 * The neutral backend: a CPU that keeps what core gives it, and whose exits come from the target,
 * decoded. Trusts the target to leave an exit, and core with nothing: two events at one entry are
 * a finding.
 */
#include <asm/msr-index.h>

#include "core/bawn.h"
#include "internal.h"

static const u32 backend_msrs[] = {
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
    MSR_STAR,
    MSR_LSTAR,
    MSR_CSTAR,
    MSR_SYSCALL_MASK,
    MSR_IA32_SYSENTER_CS,
    MSR_IA32_SYSENTER_ESP,
    MSR_IA32_SYSENTER_EIP,
    MSR_IA32_CR_PAT,
};

struct neutral {
    struct kvm_segment segment[VCPU_NR_SREG];
    struct kvm_dtable table[2];
    u64 msr[ARRAY_SIZE(backend_msrs)];
    struct bawn_exit exit;
    u32 shadow;
    bool nmi_masked, irq_window, nmi_window, event;
};

static struct neutral *state(struct bawn_vcpu *vcpu)
{
    return vcpu->backend;
}

static int n_ok(void)
{
    return 0;
}

static void n_nothing(void)
{
}

static int n_vcpu_create(struct bawn_vcpu *vcpu)
{
    vcpu->backend = kzalloc(sizeof(struct neutral), GFP_KERNEL_ACCOUNT);
    return vcpu->backend ? 0 : -ENOMEM;
}

static void n_vcpu_destroy(struct bawn_vcpu *vcpu)
{
    kfree(vcpu->backend);
    vcpu->backend = NULL;
}

static void n_vcpu_reset(struct bawn_vcpu *vcpu)
{
    struct neutral *n = state(vcpu);

    n->shadow = 0;
    n->nmi_masked = n->irq_window = n->nmi_window = n->event = false;
}

static void n_vcpu_load(struct bawn_vcpu *vcpu, int cpu)
{
    (void)vcpu;
    WARN_ON(cpu);
}

static void n_vcpu(struct bawn_vcpu *vcpu)
{
    WARN_ON(!vcpu->backend);
}

/* A window that is open ends the run before anything else does. */
static bool window(struct bawn_vcpu *vcpu)
{
    struct neutral *n = state(vcpu);

    if (n->event)
        return false;
    if (n->nmi_window && !n->shadow) {
        n->nmi_window = n->nmi_masked = false;
        n->exit.kind = BAWN_EXIT_NMI_WINDOW;
        return true;
    }
    if (n->irq_window && vcpu->rflags & X86_EFLAGS_IF && !n->shadow) {
        n->irq_window = false;
        n->exit.kind = BAWN_EXIT_IRQ_WINDOW;
        return true;
    }
    return false;
}

static void n_run(struct bawn_vcpu *vcpu)
{
    struct neutral *n = state(vcpu);
    struct sim_entry entry = { .vcpu = vcpu, .exit = &n->exit, .gpr = (uint64_t *)vcpu->gpr };
    u32 shadow = n->shadow;

    memset(&n->exit, 0, sizeof(n->exit));
    n->exit.kind = BAWN_EXIT_INTR;
    if (!window(vcpu)) {
        n->shadow = 0; /* unless the guest's last instruction begins one */
        if (!sim_enter_guest(&entry))
            n->shadow = shadow;
    }
    n->event = false;
    if ((unsigned int)n->exit.kind >= BAWN_EXIT_NR)
        sim_fault(SIM_STATE, "the target left no exit");
}

static void n_decode(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
    *exit = state(vcpu)->exit;
    /* What was injected was delivered. */
    vcpu->ex.injected = vcpu->irq.injected = vcpu->nmi_injected = false;
}

static bool n_decode_fast(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
    switch (state(vcpu)->exit.kind) {
    case BAWN_EXIT_IO:
        if (state(vcpu)->exit.io.string)
            return false;
        break;
    case BAWN_EXIT_CPUID:
    case BAWN_EXIT_HYPERCALL:
    case BAWN_EXIT_HLT:
    case BAWN_EXIT_NOP:
    case BAWN_EXIT_IRQ_WINDOW:
    case BAWN_EXIT_MSR:
        break;
    default:
        return false;
    }
    n_decode(vcpu, exit);
    return true;
}

static void n_get_segment(struct bawn_vcpu *vcpu, int sreg, struct kvm_segment *seg)
{
    *seg = state(vcpu)->segment[sreg];
}

static void n_set_segment(struct bawn_vcpu *vcpu, int sreg, const struct kvm_segment *seg)
{
    state(vcpu)->segment[sreg] = *seg;
}

static void n_get_table(struct bawn_vcpu *vcpu, bool idt, struct kvm_dtable *dt)
{
    *dt = state(vcpu)->table[idt];
}

static void n_set_table(struct bawn_vcpu *vcpu, bool idt, const struct kvm_dtable *dt)
{
    state(vcpu)->table[idt] = *dt;
    memset(state(vcpu)->table[idt].padding, 0, sizeof(dt->padding));
}

static int n_cpl(struct bawn_vcpu *vcpu)
{
    return state(vcpu)->segment[VCPU_SREG_SS].dpl & 3;
}

static int n_code_size(struct bawn_vcpu *vcpu)
{
    const struct kvm_segment *cs = &state(vcpu)->segment[VCPU_SREG_CS];

    return vcpu->efer & EFER_LMA && cs->l ? 8 : cs->db ? 4 : 2;
}

static void n_code_segment(struct bawn_vcpu *vcpu, u64 *base, u32 *limit)
{
    *base = state(vcpu)->segment[VCPU_SREG_CS].base;
    *limit = state(vcpu)->segment[VCPU_SREG_CS].limit;
}

static void n_advance(struct bawn_vcpu *vcpu, unsigned int len)
{
    vcpu->rip += len;
    if (n_code_size(vcpu) != 8)
        vcpu->rip = (u32)vcpu->rip;
    state(vcpu)->shadow = 0;
}

static u64 *n_msr(struct bawn_vcpu *vcpu, u32 index)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(backend_msrs); i++)
        if (backend_msrs[i] == index)
            return &state(vcpu)->msr[i];
    sim_fault(SIM_HARDWARE, "MSR %#x is not the backend's", index);
}

static bool n_irq_allowed(struct bawn_vcpu *vcpu)
{
    return vcpu->rflags & X86_EFLAGS_IF && !state(vcpu)->shadow;
}

static bool n_nmi_allowed(struct bawn_vcpu *vcpu)
{
    return !state(vcpu)->nmi_masked && !state(vcpu)->shadow;
}

static bool n_get_nmi_mask(struct bawn_vcpu *vcpu)
{
    return state(vcpu)->nmi_masked;
}

static void n_set_nmi_mask(struct bawn_vcpu *vcpu, bool masked)
{
    state(vcpu)->nmi_masked = masked;
}

static u32 n_get_shadow(struct bawn_vcpu *vcpu)
{
    return state(vcpu)->shadow;
}

static void n_set_shadow(struct bawn_vcpu *vcpu, u32 shadow)
{
    state(vcpu)->shadow = shadow & (KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS);
}

/* One event at an entry. */
static void inject(struct bawn_vcpu *vcpu)
{
    if (state(vcpu)->event)
        sim_fault(SIM_HARDWARE, "two events are injected at one entry");
    state(vcpu)->event = true;
}

static void n_inject_irq(struct bawn_vcpu *vcpu)
{
    inject(vcpu);
    WARN_ON(!vcpu->irq.injected);
}

static void n_inject_nmi(struct bawn_vcpu *vcpu)
{
    inject(vcpu);
    state(vcpu)->nmi_masked = true;
}

static void n_inject_exception(struct bawn_vcpu *vcpu)
{
    inject(vcpu);
    if (vcpu->ex.vector > 31)
        sim_fault(SIM_HARDWARE, "exception %u is injected", vcpu->ex.vector);
}

static void n_open_irq_window(struct bawn_vcpu *vcpu)
{
    state(vcpu)->irq_window = true;
}

static void n_open_nmi_window(struct bawn_vcpu *vcpu)
{
    state(vcpu)->nmi_window = true;
}

static u64 n_scale_tsc(u64 ratio, u64 tsc)
{
    return ratio ? mul_u64_u64_shr(tsc, ratio, 32) : tsc;
}

static u64 n_tsc_ratio(u32 guest_khz)
{
    return mul_u64_u32_div(1ull << 32, guest_khz, tsc_khz);
}

const struct bawn_cpu_ops sim_neutral_ops = {
    .name = "neutral",
    .setup = n_ok,
    .teardown = n_nothing,
    .enable = n_ok,
    .disable = n_nothing,
    .vcpu_create = n_vcpu_create,
    .vcpu_destroy = n_vcpu_destroy,
    .vcpu_reset = n_vcpu_reset,
    .vcpu_load = n_vcpu_load,
    .vcpu_put = n_vcpu,
    .prepare_switch = n_vcpu,
    .run = n_run,
    .decode_fast = n_decode_fast,
    .exit_irqoff = n_vcpu,
    .decode = n_decode,
    .get_segment = n_get_segment,
    .set_segment = n_set_segment,
    .get_table = n_get_table,
    .set_table = n_set_table,
    .cpl = n_cpl,
    .code_size = n_code_size,
    .code_segment = n_code_segment,
    .advance = n_advance,
    .load_control = n_vcpu,
    .load_debug = n_vcpu,
    .load_tsc = n_vcpu,
    .msr = n_msr,
    .irq_allowed = n_irq_allowed,
    .nmi_allowed = n_nmi_allowed,
    .get_nmi_mask = n_get_nmi_mask,
    .set_nmi_mask = n_set_nmi_mask,
    .get_shadow = n_get_shadow,
    .set_shadow = n_set_shadow,
    .inject_irq = n_inject_irq,
    .inject_nmi = n_inject_nmi,
    .inject_exception = n_inject_exception,
    .open_irq_window = n_open_irq_window,
    .open_nmi_window = n_open_nmi_window,
    .flush_tlb = n_vcpu,
    .scale_tsc = n_scale_tsc,
    .tsc_ratio = n_tsc_ratio,
};
