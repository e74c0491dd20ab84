// SPDX-License-Identifier: Apache-2.0
/*
 * The CPU: CPUID of an EPYC of the 4th generation, the MSRs that the module may touch, XCR0 and the
 * FPU. Trusts the module with nothing: an MSR that is not there, or host state that is not put
 * back, is a finding.
 */

#include <stdlib.h>

#include "core/bawn.h"
#include "internal.h"

#define HOST_XCR0 0x2e7ull /* x87, SSE, AVX, AVX-512, PKRU */
#define USER_XSAVE_SIZE 2440u

struct cpuinfo_x86 boot_cpu_data;
u64 x86_spec_ctrl_current;
bool x86_ibpb_exit_to_user;
static bool entered; /* since the last return to userspace */
static struct {
    bool in_force;
    u64 value;
} guest_ssbd;
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
static const u32 synthetic[] = { X86_FEATURE_CONSTANT_TSC,     X86_FEATURE_MSR_SPEC_CTRL,
                                 X86_FEATURE_OSXSAVE,          X86_FEATURE_LS_CFG_SSBD,
                                 X86_FEATURE_IBPB_BRTYPE,      X86_FEATURE_VERW_CLEAR,
                                 X86_FEATURE_IBPB_EXIT_TO_USER };

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
    /* What the module read for the exit before, it may read for the next one. */
    sim_self->nr_read = 0;
    if (!sim_guest_starts())
        return false;
    if (guest)
        guest(guest_context, entry);
    return guest;
}

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
    entered = x86_ibpb_exit_to_user = guest_ssbd.in_force = false;
}

/* ---- Speculation controls: whose turn it is ---- */

void sim_cpu_entered(void)
{
    entered = true;
}

void x86_virt_spec_ctrl(u64 guest, bool set_guest)
{
    if (guest_ssbd.in_force == set_guest || (!set_guest && guest != guest_ssbd.value))
        sim_fault(SIM_STATE, "VIRT_SPEC_CTRL switched to what is in force, or from what is not");
    guest_ssbd.in_force = set_guest;
    guest_ssbd.value = guest;
}

/* Plain guests: the processors that run the others have SSBD in SPEC_CTRL. */
void sim_cpu_ssbd(u64 guest)
{
    if (!guest_ssbd.in_force || guest_ssbd.value != guest)
        sim_fault(SIM_STATE, "a guest runs without the SSBD that it chose");
}

/* VMSCAPE: what a guest taught the branch predictors must not steer its VMM. */
void sim_cpu_balance(void)
{
    if (xcr0 != HOST_XCR0)
        sim_fault(SIM_STATE, "XCR0 is %#llx on return to userspace: the guest's", xcr0);
    if (guest_ssbd.in_force)
        sim_fault(SIM_STATE, "the guest's SSBD is in force on return to userspace");
    if (entered && !x86_ibpb_exit_to_user)
        sim_fault(SIM_STATE, "a guest ran, and userspace follows without a barrier (IBPB)");
    entered = x86_ibpb_exit_to_user = false;
}
