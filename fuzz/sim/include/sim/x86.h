/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor and the kernel's dealings with it: cpu.c is the model. The architecture's constants
 * are the real headers'. Trusts its callers.
 */
#ifndef SIM_X86_H
#define SIM_X86_H

#include <asm/cpufeatures.h>
#include <asm/fpu/types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <sim/mm.h>

/* The words of x86_capability: asm/cpufeature.h, which cannot be included, has this order. */
enum cpuid_leafs {
    CPUID_1_EDX,
    CPUID_8000_0001_EDX,
    CPUID_8086_0001_EDX,
    CPUID_LNX_1,
    CPUID_1_ECX,
    CPUID_C000_0001_EDX,
    CPUID_8000_0001_ECX,
    CPUID_LNX_2,
    CPUID_LNX_3,
    CPUID_7_0_EBX,
    CPUID_D_1_EAX,
    CPUID_LNX_4,
    CPUID_7_1_EAX,
    CPUID_8000_0008_EBX,
    CPUID_6_EAX,
    CPUID_8000_000A_EDX,
    CPUID_7_ECX,
    CPUID_8000_0007_EBX,
    CPUID_7_EDX,
    CPUID_8000_001F_EAX,
    CPUID_8000_0021_EAX,
    CPUID_LNX_5,
};

struct cpuinfo_x86 {
    u32 x86_capability[NCAPINTS + 1];
    u8 x86_phys_bits;
};
extern struct cpuinfo_x86 boot_cpu_data;
#define boot_cpu_has(f) (boot_cpu_data.x86_capability[(f) / 32] >> ((f) % 32) & 1)
#define cpu_feature_enabled boot_cpu_has

/* ---- CPUID and MSRs ---- */

void cpuid_count(u32 leaf, u32 subleaf, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
#define cpuid(leaf, a, b, c, d) cpuid_count(leaf, 0, a, b, c, d)
static inline u32 cpuid_eax(u32 leaf)
{
    u32 a, b, c, d;

    cpuid_count(leaf, 0, &a, &b, &c, &d);
    return a;
}
u64 sim_rdmsr(u32 index); /* SIM_HARDWARE when there is none */
void sim_wrmsr(u32 index, u64 value);
int sim_rdmsr_safe(u32 index, u64 *value);
#define rdmsrl(index, v) ((void)((v) = sim_rdmsr(index)))
#define wrmsrl(index, v) sim_wrmsr(index, v)
#define rdmsrl_safe(index, p) sim_rdmsr_safe(index, p)

/* ---- FPU and XCR0 ---- */

#define XCR_XFEATURE_ENABLED_MASK 0
u64 xgetbv(u32 index);
void xsetbv(u32 index, u64 value);
bool fpu_alloc_guest_fpstate(struct fpu_guest *gfpu);
void fpu_free_guest_fpstate(struct fpu_guest *gfpu);
int fpu_swap_kvm_fpstate(struct fpu_guest *gfpu, bool enter);
void switch_fpu_return(void);
void fpu_copy_guest_fpstate_to_uabi(struct fpu_guest *gfpu, void *buf, unsigned int size,
                                    u64 xfeatures, u32 pkru);
int fpu_copy_uabi_to_guest_fpstate(struct fpu_guest *gfpu, const void *buf, u64 xcr0, u32 *pkru);
u32 read_pkru(void);

/* ---- Debug registers ---- */

void set_debugreg(unsigned long value, int nr);
bool hw_breakpoint_active(void);
void hw_breakpoint_restore(void);

/* ---- The rest of what a backend touches ---- */

#define CC_ATTR_GUEST_MEM_ENCRYPT 1
#define CC_ATTR_HOST_SEV_SNP 2
static inline void msr_set_bit(u32 msr, u8 bit)
{
    (void)msr;
    (void)bit;
}
static inline void msr_clear_bit(u32 msr, u8 bit)
{
    (void)msr;
    (void)bit;
}
bool cc_platform_has(int attr);
void cpu_emergency_register_virt_callback(void (*fn)(void));
void cpu_emergency_unregister_virt_callback(void (*fn)(void));
extern bool sim_ibpb;
#define indirect_branch_prediction_barrier() ((void)(sim_ibpb = true))
#define amd_clear_divider() barrier()
#define vdso_encode_cpunode(cpu, node) ((unsigned long)(cpu) | (unsigned long)(node) << 12)
#define cr4_read_shadow() ((unsigned long)X86_CR4_MCE)
extern u64 x86_spec_ctrl_current;
extern bool x86_ibpb_exit_to_user;
void x86_virt_spec_ctrl(u64 guest, bool set_guest);
struct pt_regs {
    unsigned long cs, flags;
};
void do_machine_check(struct pt_regs *regs);

/* ---- Leaving and entering: who accounts, who watches ---- */

#define vtime_account_guest_enter() ((void)0)
#define vtime_account_guest_exit() ((void)0)
#define instrumentation_begin() ((void)0)
#define instrumentation_end() ((void)0)
#define trace_hardirqs_on_prepare() ((void)0)
#define trace_hardirqs_off_finish() ((void)0)
#define lockdep_hardirqs_on_prepare() ((void)0)
#define lockdep_hardirqs_on(ip) ((void)(ip))
#define lockdep_hardirqs_off(ip) ((void)(ip))
#define context_tracking_guest_enter() false
#define context_tracking_guest_exit() ((void)0)
#define rcu_virt_note_context_switch() ((void)0)

/* asm/mce.h */
#define MCG_BANKCNT_MASK 0xff
#define MCG_CTL_P BIT_ULL(8)
#define MCG_SER_P BIT_ULL(24)

#endif
