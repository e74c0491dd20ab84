// SPDX-License-Identifier: Apache-2.0
/*
 * The CPU: CPUID of an EPYC of the 4th generation, the MSRs that the module may touch, XCR0 and the
 * FPU, and the neutral backend: exits come from the target, decoded. Trusts the module with
 * nothing: an MSR that is not there, or host state that is not put back, is a finding.
 */

#include <stdlib.h>

#include "core/bawn.h"
#include "internal.h"

#define HOST_XCR0 0x2e7ull /* x87, SSE, AVX, AVX-512, PKRU */
#define USER_XSAVE_SIZE 2440u

struct cpuinfo_x86 boot_cpu_data;
u64 x86_spec_ctrl_current;
bool x86_ibpb_exit_to_user;
bool sim_ipi_pending;
const struct bawn_cpu_ops *sim_backend_ops = &sim_neutral_ops;

static sim_guest_fn guest;
static void *guest_context;
static u64 xcr0 = HOST_XCR0;

/* ---- CPUID ---- */

static const struct {
    u32 leaf, subleaf;
    bool indexed;
    u32 regs[4];
} leaves[] = {
    { 0x0, 0, false, { 0x10, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 0x1, 0, false, { 0x00a10f11, 0x00800800, 0x7efa320b, 0x178bfbff } },
    { 0x5, 0, false, { 0x40, 0x40, 0x3, 0x11 } },
    { 0x6, 0, false, { 0x4, 0x0, 0x1, 0x0 } },
    { 0x7, 0, true, { 0x1, 0xf1bf97a9, 0x00405fce, 0x10000010 } },
    { 0x7, 1, true, { 0x20, 0, 0, 0 } },
    { 0xd, 0, true, { (u32)HOST_XCR0, USER_XSAVE_SIZE, USER_XSAVE_SIZE, 0 } },
    { 0xd, 1, true, { 0xf, USER_XSAVE_SIZE, 0x1800, 0 } },
    { 0xd, 2, true, { 256, 576, 0, 0 } },
    { 0xd, 5, true, { 64, 832, 0, 0 } },
    { 0xd, 6, true, { 512, 896, 0, 0 } },
    { 0xd, 7, true, { 1024, 1408, 0, 0 } },
    { 0xd, 9, true, { 8, 2432, 0, 0 } },
    { 0x80000000, 0, false, { 0x80000028, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 0x80000001, 0, false, { 0x00a10f11, 0x40000000, 0x75c237ff, 0x2fd3fbff } },
    { 0x80000002, 0, false, { 0x756d6953, 0x6574616c, 0x50452064, 0x00004359 } },
    { 0x80000005, 0, false, { 0xff48ff40, 0xff48ff40, 0x20080140, 0x20080140 } },
    { 0x80000006, 0, false, { 0x5c002200, 0x6c004200, 0x04006140, 0x01009140 } },
    { 0x80000007, 0, false, { 0, 0x3b, 0, 0x6799 } },
    { 0x80000008, 0, false, { 0x00003034, 0x791ef257, 0x00007005, 0x00010000 } },
    { 0x8000000a, 0, false, { 0x1, 0x208, 0, 0x1ebfbcff } },
    { 0x80000019, 0, false, { 0xf048f040, 0xf0400000, 0, 0 } },
    { 0x8000001a, 0, false, { 0x6, 0, 0, 0 } },
    { 0x8000001d, 0, true, { 0x4121, 0x01c0003f, 0x3f, 0 } },
    { 0x8000001d, 1, true, { 0x4122, 0x01c0003f, 0x3f, 0 } },
    { 0x8000001d, 2, true, { 0x4143, 0x01c0003f, 0x7ff, 2 } },
    { 0x8000001d, 3, true, { 0x3c163, 0x03c0003f, 0x7fff, 1 } },
    { 0x8000001f, 0, false, { 0x0101fd3f, 0x00004173, 0x1fd, 0x9 } },
    { 0x80000021, 0, false, { 0x62fcf, 0x15c, 0, 0 } },
};

/* Where the words of x86_capability come from. */
static const struct {
    u8 word, reg;
    u8 subleaf;
    u32 leaf;
} words[] = {
    { CPUID_1_EDX, 3, 0, 1 },
    { CPUID_1_ECX, 2, 0, 1 },
    { CPUID_7_0_EBX, 1, 0, 7 },
    { CPUID_7_ECX, 2, 0, 7 },
    { CPUID_7_EDX, 3, 0, 7 },
    { CPUID_7_1_EAX, 0, 1, 7 },
    { CPUID_D_1_EAX, 0, 1, 0xd },
    { CPUID_6_EAX, 0, 0, 6 },
    { CPUID_8000_0001_ECX, 2, 0, 0x80000001 },
    { CPUID_8000_0001_EDX, 3, 0, 0x80000001 },
    { CPUID_8000_0007_EBX, 1, 0, 0x80000007 },
    { CPUID_8000_0008_EBX, 1, 0, 0x80000008 },
    { CPUID_8000_000A_EDX, 3, 0, 0x8000000a },
    { CPUID_8000_001F_EAX, 0, 0, 0x8000001f },
    { CPUID_8000_0021_EAX, 0, 0, 0x80000021 },
};

/* What Linux makes out by itself. */
static const u32 synthetic[] = { X86_FEATURE_CONSTANT_TSC, X86_FEATURE_MSR_SPEC_CTRL,
                                 X86_FEATURE_OSXSAVE };

void cpuid_count(u32 leaf, u32 subleaf, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
    size_t i;

    *eax = *ebx = *ecx = *edx = 0;
    for (i = 0; i < ARRAY_SIZE(leaves); i++) {
        if (leaves[i].leaf != leaf || (leaves[i].indexed && leaves[i].subleaf != subleaf))
            continue;
        *eax = leaves[i].regs[0];
        *ebx = leaves[i].regs[1];
        *ecx = leaves[i].regs[2];
        *edx = leaves[i].regs[3];
        return;
    }
}

static void find_features(void)
{
    size_t i;
    u32 regs[4];

    memset(&boot_cpu_data, 0, sizeof(boot_cpu_data));
    boot_cpu_data.x86_phys_bits = 48;
    for (i = 0; i < ARRAY_SIZE(words); i++) {
        cpuid_count(words[i].leaf, words[i].subleaf, &regs[0], &regs[1], &regs[2], &regs[3]);
        boot_cpu_data.x86_capability[words[i].word] = regs[words[i].reg];
    }
    for (i = 0; i < ARRAY_SIZE(synthetic); i++)
        boot_cpu_data.x86_capability[synthetic[i] / 32] |= 1u << (synthetic[i] % 32);
}

bool cc_platform_has(int attr)
{
    return attr == CC_ATTR_HOST_SEV_SNP && sim_options.snp;
}

/* ---- MSRs ---- */

static struct sim_msr {
    u32 index;
    bool writable;
    u64 start;
    u64 value;
} msrs[] = {
    { MSR_EFER, true, EFER_SCE | EFER_LME | EFER_LMA | EFER_NX, 0 },
    { MSR_VM_CR, false, 0, 0 },
    { MSR_VM_HSAVE_PA, true, 0, 0 },
    { MSR_AMD64_TSC_RATIO, true, 1ull << 32, 0 },
    { MSR_TSC_AUX, true, 0, 0 },
    { MSR_IA32_PRED_CMD, true, 0, 0 },
    { MSR_IA32_SPEC_CTRL, true, 0, 0 },
    { MSR_IA32_UCODE_REV, false, 0x0a101148, 0 },
    { MSR_IA32_XSS, true, 0, 0 },
    { MSR_AMD64_SYSCFG, false, 0, 0 },
    { MSR_IA32_SYSENTER_CS, true, 0, 0 },
};

static struct sim_msr *find_msr(u32 index)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(msrs); i++)
        if (msrs[i].index == index)
            return &msrs[i];
    return NULL;
}

u64 sim_rdmsr(u32 index)
{
    struct sim_msr *m = find_msr(index);

    if (!m)
        sim_fault(SIM_HARDWARE, "RDMSR %#x, which does not exist", index);
    return m->value;
}

int sim_rdmsr_safe(u32 index, u64 *value)
{
    struct sim_msr *m = find_msr(index);

    *value = m ? m->value : 0;
    return m ? 0 : -EIO;
}

void sim_wrmsr(u32 index, u64 value)
{
    struct sim_msr *m = find_msr(index);

    if (!m || !m->writable)
        sim_fault(SIM_HARDWARE, "WRMSR %#x, which cannot be written", index);
    if (sim_hooks.check_msr)
        sim_hooks.check_msr(index, value);
    m->value = value;
}

/* ---- FPU ---- */

u64 xgetbv(u32 index)
{
    WARN_ON(index);
    return xcr0;
}

void xsetbv(u32 index, u64 value)
{
    if (index || !(value & 1) || value & ~HOST_XCR0 || (value & 6) == 4 ||
        ((value & 0xe0) && (value & 0xe6) != 0xe6))
        sim_fault(SIM_HARDWARE, "XSETBV %u with %#llx, which faults", index, value);
    xcr0 = value;
}

bool fpu_alloc_guest_fpstate(struct fpu_guest *gfpu)
{
    struct fpstate *fps = kzalloc(sizeof(*fps), GFP_KERNEL);

    if (!fps)
        return false;
    fps->size = fps->user_size = USER_XSAVE_SIZE;
    fps->xfeatures = fps->user_xfeatures = HOST_XCR0;
    fps->is_guest = true;
    fps->regs.fxsave.cwd = 0x37f;
    fps->regs.fxsave.mxcsr = 0x1f80;
    gfpu->fpstate = fps;
    gfpu->xfeatures = HOST_XCR0;
    gfpu->perm = HOST_XCR0;
    gfpu->uabi_size = PAGE_SIZE;
    return true;
}

void fpu_free_guest_fpstate(struct fpu_guest *gfpu)
{
    if (gfpu->fpstate && gfpu->fpstate->in_use)
        sim_fault(SIM_STATE, "FPU state is freed while it is in the registers");
    kfree(gfpu->fpstate);
    gfpu->fpstate = NULL;
}

int fpu_swap_kvm_fpstate(struct fpu_guest *gfpu, bool enter)
{
    if (gfpu->fpstate->in_use == enter)
        sim_fault(SIM_STATE, "FPU state is %s twice", enter ? "loaded" : "saved");
    gfpu->fpstate->in_use = enter;
    return 0;
}

void switch_fpu_return(void)
{
    clear_bit(TIF_NEED_FPU_LOAD, &current->thread_flags);
}

void fpu_copy_guest_fpstate_to_uabi(struct fpu_guest *gfpu, void *buf, unsigned int size,
                                    u64 xfeatures, u32 pkru)
{
    struct xregs_state *to = buf;

    (void)pkru;
    memset(buf, 0, size);
    memcpy(buf, &gfpu->fpstate->regs.xsave, USER_XSAVE_SIZE);
    to->header.xfeatures &= xfeatures;
}

int fpu_copy_uabi_to_guest_fpstate(struct fpu_guest *gfpu, const void *buf, u64 allowed, u32 *pkru)
{
    const struct xregs_state *from = buf;

    if (from->header.xfeatures & ~allowed || from->header.xcomp_bv ||
        memchr_inv(from->header.reserved, 0, sizeof(from->header.reserved)) ||
        from->i387.mxcsr & ~0xffffu)
        return -EINVAL;
    memcpy(&gfpu->fpstate->regs.xsave, buf, USER_XSAVE_SIZE);
    *pkru = 0;
    return 0;
}

u32 read_pkru(void)
{
    return 0;
}

/* ---- What the host would do ---- */

void set_debugreg(unsigned long value, int nr)
{
    (void)value;
    WARN_ON(nr < 0 || nr > 7);
}

bool hw_breakpoint_active(void)
{
    return false;
}

void hw_breakpoint_restore(void)
{
}

void do_machine_check(struct pt_regs *regs)
{
    (void)regs;
}

static void (*emergency)(void);

void cpu_emergency_register_virt_callback(void (*fn)(void))
{
    WARN_ON(emergency);
    emergency = fn;
}

void cpu_emergency_unregister_virt_callback(void (*fn)(void))
{
    WARN_ON(emergency != fn);
    emergency = NULL;
}

void sim_svm_emergency(void)
{
    emergency();
}

static struct {
    int (*up)(unsigned int);
    int (*down)(unsigned int);
} hotplug;

int cpuhp_setup_state(int state, const char *name, int (*up)(unsigned int),
                      int (*down)(unsigned int))
{
    int r;

    (void)state;
    (void)name;
    /* The hotplug thread is bound to its CPU. */
    preempt_disable();
    r = up(0);
    preempt_enable();
    if (!r) {
        hotplug.up = up;
        hotplug.down = down;
    }
    return r;
}

void cpuhp_remove_state(int state)
{
    (void)state;
    preempt_disable();
    hotplug.down(0);
    preempt_enable();
    hotplug.up = NULL;
    hotplug.down = NULL;
}

void register_syscore_ops(struct syscore_ops *ops)
{
    (void)ops;
}

void unregister_syscore_ops(struct syscore_ops *ops)
{
    (void)ops;
}

/* ---- The guest ---- */

void sim_set_guest(sim_guest_fn fn, void *context)
{
    guest = fn;
    guest_context = context;
}

bool sim_enter_guest(struct sim_entry *entry)
{
    sim_counts.exits++;
    if (!irqs_disabled() || !in_atomic())
        sim_fault(SIM_HARDWARE, "the guest is entered with interrupts or preemption on");
    if (test_thread_flag(TIF_NEED_FPU_LOAD))
        sim_fault(SIM_STATE, "the guest is entered with another task's FPU registers");
    if (!entry->vcpu->fpu.fpstate->in_use)
        sim_fault(SIM_STATE, "the guest is entered without its FPU registers");
    if (!sim_guest_starts())
        return false;
    if (guest)
        guest(guest_context, entry);
    return guest;
}

/* ---- The neutral backend ---- */

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

static void n_vcpu_reset(struct bawn_vcpu *vcpu, bool init)
{
    struct neutral *n = state(vcpu);

    n->shadow = 0;
    n->nmi_masked = n->irq_window = n->nmi_window = n->event = false;
    if (!init)
        memset(n->msr, 0, sizeof(n->msr));
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
    if (n->nmi_window) {
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

    memset(&n->exit, 0, sizeof(n->exit));
    n->exit.kind = BAWN_EXIT_INTR;
    if (!window(vcpu) && sim_enter_guest(&entry))
        n->shadow = 0;
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

static u64 *msr_slot(struct bawn_vcpu *vcpu, u32 index)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(backend_msrs); i++)
        if (backend_msrs[i] == index)
            return &state(vcpu)->msr[i];
    return NULL;
}

static int n_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value)
{
    u64 *slot = msr_slot(vcpu, index);

    if (!slot)
        return 1;
    *value = *slot;
    return 0;
}

static int n_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value)
{
    u64 *slot = msr_slot(vcpu, index);

    if (!slot)
        return 1;
    *slot = value;
    return 0;
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

static bool n_has_tsc_scaling(void)
{
    return true;
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
    .exit_irqoff = n_vcpu,
    .decode = n_decode,
    .get_segment = n_get_segment,
    .set_segment = n_set_segment,
    .get_table = n_get_table,
    .set_table = n_set_table,
    .cpl = n_cpl,
    .load_cr0 = n_vcpu,
    .load_cr3 = n_vcpu,
    .load_cr4 = n_vcpu,
    .load_efer = n_vcpu,
    .load_debug = n_vcpu,
    .load_tsc = n_vcpu,
    .get_msr = n_get_msr,
    .set_msr = n_set_msr,
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
    .has_tsc_scaling = n_has_tsc_scaling,
    .tsc_ratio = n_tsc_ratio,
};

/* ---- Life ---- */

void sim_cpu_start(void)
{
    size_t i;

    find_features();
    for (i = 0; i < ARRAY_SIZE(msrs); i++)
        msrs[i].value = msrs[i].start;
    sim_cpu_reset();
}

void sim_cpu_reset(void)
{
    sim_set_guest(NULL, NULL);
    sim_ipi_pending = false;
    xcr0 = HOST_XCR0;
}

void sim_cpu_balance(void)
{
    if (xcr0 != HOST_XCR0)
        sim_fault(SIM_STATE, "XCR0 is %#llx on return to userspace: the guest's", xcr0);
}
