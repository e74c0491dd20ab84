// SPDX-License-Identifier: Apache-2.0
/*
 * The first state of a vCPU as each VMM leaves it, and the CPU models that QEMU names. VMMs
 * start from the state after INIT (AMD APM vol. 2, table 14-1) and differ in small things that
 * the launch digest shows.
 */
#include "attest/lib/measure.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static_assert(sizeof(struct bawn_vmsa) == BAWN_VMSA_SIZE, "APM vol. 2, table B-4");
static_assert(offsetof(struct bawn_vmsa, efer) == 0x0d0, "");
static_assert(offsetof(struct bawn_vmsa, dr7) == 0x160, "");
static_assert(offsetof(struct bawn_vmsa, rsp) == 0x1d8, "");
static_assert(offsetof(struct bawn_vmsa, g_pat) == 0x268, "");
static_assert(offsetof(struct bawn_vmsa, pkru) == 0x2e8, "");
static_assert(offsetof(struct bawn_vmsa, rdx) == 0x310, "");
static_assert(offsetof(struct bawn_vmsa, sev_features) == 0x3b0, "");
static_assert(offsetof(struct bawn_vmsa, xcr0) == 0x3e8, "");
static_assert(offsetof(struct bawn_vmsa, x87_fcw) == 0x410, "");
static_assert(offsetof(struct bawn_vmsa, x87_significand) == 0x420, "");
static_assert(offsetof(struct bawn_vmsa, x87_sign_exponent) == 0x460, "");
static_assert(offsetof(struct bawn_vmsa, rest) == 0x670, "");

/* ---- VMMs ---- */

/* Segment attributes: type, S, DPL, P as in bits 47:40 of a descriptor. */
#define ATTR_DATA 0x93       /* read/write, accessed */
#define ATTR_DATA_FRESH 0x92 /* not accessed */
#define ATTR_CODE 0x9b       /* execute/read, accessed */
#define ATTR_CODE_FRESH 0x9a
#define ATTR_LDT 0x82
#define ATTR_TSS 0x8b /* busy 32-bit */
#define ATTR_TSS_16 0x83

/* KVM: EFER.SVME and CR4.MCE are set for the guest. */
#define EFER_SVME 0x1000
#define CR4_MCE 0x40
#define CR0_ET 0x10
#define DR6_INIT 0xffff0ff0u
#define DR7_INIT 0x400
#define RFLAGS_INIT 0x2
#define XCR0_X87 0x1
#define PAT_INIT 0x0007040600070406ull /* APM vol. 2, 7.8.2 */
#define PAT_GCE 0x00070106
#define MXCSR_INIT 0x1f80
#define X87_FCW_INIT 0x37f
#define RDX_INIT 0x600 /* KVM's, for a vCPU whose CPUID is not set yet */

/* Seen in launches by each: virtee/sev-snp-measure, vmsa.py; virtee/sev, vmsa.rs (KRUN). */
static const struct vmm {
    const char *name;
    uint16_t boot_code, ap_code, stack, task; /* segment attributes */
    bool signature_in_rdx;
    uint16_t rdx; /* else */
    uint32_t mxcsr;
    uint16_t fcw;
    uint64_t pat;
} vmms[BAWN_VMMS] = {
    [BAWN_VMM_QEMU] = { "QEMU", ATTR_CODE, ATTR_CODE, ATTR_DATA, ATTR_TSS, true, 0, MXCSR_INIT,
                        X87_FCW_INIT, PAT_INIT },
    [BAWN_VMM_EC2] = { "ec2", ATTR_CODE_FRESH, ATTR_CODE, ATTR_DATA_FRESH, ATTR_TSS_16, false,
                       RDX_INIT, 0, 0, PAT_INIT },
    [BAWN_VMM_KRUN] = { "KRUN", ATTR_CODE_FRESH, ATTR_CODE_FRESH, ATTR_DATA_FRESH, ATTR_TSS_16,
                        false, 0, 0, 0, PAT_INIT },
    [BAWN_VMM_GCE] = { "gce", ATTR_CODE, ATTR_CODE, ATTR_DATA, ATTR_TSS, false, RDX_INIT, 0, 0,
                       PAT_GCE },
};

const char *bawn_vmm_name(enum bawn_vmm vmm)
{
    return (unsigned)vmm < BAWN_VMMS ? vmms[vmm].name : "unknown";
}

bool bawn_vmm_find(const char *name, enum bawn_vmm *vmm)
{
    for (unsigned i = 0; i < BAWN_VMMS; i++) {
        if (!strcasecmp(name, vmms[i].name)) {
            *vmm = (enum bawn_vmm)i;
            return true;
        }
    }
    return false;
}

static struct bawn_vmsa_segment segment(uint16_t selector, uint16_t attrib, uint64_t base)
{
    return (struct bawn_vmsa_segment){
        .selector = htole16(selector),
        .attrib = htole16(attrib),
        .limit = htole32(0xffff),
        .base = htole64(base),
    };
}

void bawn_vmsa_init(struct bawn_vmsa *vmsa, enum bawn_vmm vmm, uint32_t eip,
                    uint32_t vcpu_signature, uint64_t sev_features)
{
    const struct vmm *v = &vmms[(unsigned)vmm < BAWN_VMMS ? vmm : BAWN_VMM_QEMU];

    memset(vmsa, 0, sizeof(*vmsa));
    vmsa->es = vmsa->ds = vmsa->fs = vmsa->gs = segment(0, ATTR_DATA, 0);
    vmsa->cs = segment(0xf000, eip == BAWN_RESET_EIP ? v->boot_code : v->ap_code, eip & 0xffff0000);
    vmsa->ss = segment(0, v->stack, 0);
    vmsa->gdtr = vmsa->idtr = segment(0, 0, 0);
    vmsa->ldtr = segment(0, ATTR_LDT, 0);
    vmsa->tr = segment(0, v->task, 0);
    vmsa->efer = htole64(EFER_SVME);
    vmsa->cr4 = htole64(CR4_MCE);
    vmsa->cr0 = htole64(CR0_ET);
    vmsa->dr7 = htole64(DR7_INIT);
    vmsa->dr6 = htole64(DR6_INIT);
    vmsa->rflags = htole64(RFLAGS_INIT);
    vmsa->rip = htole64(eip & 0xffff);
    vmsa->g_pat = htole64(v->pat);
    vmsa->rdx = htole64(v->signature_in_rdx ? vcpu_signature : v->rdx);
    vmsa->sev_features = htole64(sev_features);
    vmsa->xcr0 = htole64(XCR0_X87);
    vmsa->mxcsr = htole32(v->mxcsr);
    vmsa->x87_fcw = htole16(v->fcw);
}

enum bawn_status sev_vmsas(const struct bawn_sev_launch *launch, const struct ovmf *o,
                           uint64_t sev_features, struct bawn_vmsa vmsa[2], struct bawn_error *err)
{
    uint32_t ap_eip = o->has_reset_eip ? o->reset_eip : 0;

    if ((unsigned)launch->vmm >= BAWN_VMMS)
        return bawn_fail(err, BAWN_E_USAGE, "VMM %u is unknown", (unsigned)launch->vmm);
    if (launch->vcpus < 1 || launch->vcpus > BAWN_SNP_VCPUS_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "%u vCPUs: must be from 1 to %d", launch->vcpus,
                         BAWN_SNP_VCPUS_MAX);
    if (launch->vcpus > 1 && !ap_eip)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "firmware: no SEV-ES reset block, so it cannot start %u vCPUs; must be an "
                         "OVMF built for SEV-ES",
                         launch->vcpus);
    bawn_vmsa_init(&vmsa[0], launch->vmm, BAWN_RESET_EIP, launch->vcpu_signature, sev_features);
    bawn_vmsa_init(&vmsa[1], launch->vmm, ap_eip, launch->vcpu_signature, sev_features);
    return BAWN_OK;
}

/* ---- CPU models ---- */

/* QEMU, target/i386/cpu.c, builtin_x86_defs: the AMD models with SEV. All versions of a model
 * have its numbers; newer versions come without a change here. */
static const struct cpu {
    const char *model;
    uint8_t family, model_number, stepping;
} cpus[] = {
    { "EPYC", 23, 1, 2 },           { "EPYC-v1", 23, 1, 2 },        { "EPYC-v2", 23, 1, 2 },
    { "EPYC-IBPB", 23, 1, 2 },      { "EPYC-v3", 23, 1, 2 },        { "EPYC-v4", 23, 1, 2 },
    { "EPYC-v5", 23, 1, 2 },        { "EPYC-Rome", 23, 49, 0 },     { "EPYC-Rome-v1", 23, 49, 0 },
    { "EPYC-Rome-v2", 23, 49, 0 },  { "EPYC-Rome-v3", 23, 49, 0 },  { "EPYC-Rome-v4", 23, 49, 0 },
    { "EPYC-Rome-v5", 23, 49, 0 },  { "EPYC-Milan", 25, 1, 1 },     { "EPYC-Milan-v1", 25, 1, 1 },
    { "EPYC-Milan-v2", 25, 1, 1 },  { "EPYC-Milan-v3", 25, 1, 1 },  { "EPYC-Genoa", 25, 17, 0 },
    { "EPYC-Genoa-v1", 25, 17, 0 }, { "EPYC-Genoa-v2", 25, 17, 0 }, { "EPYC-Turin", 26, 0, 0 },
    { "EPYC-Turin-v1", 26, 0, 0 },
};

#define NR_CPUS (sizeof(cpus) / sizeof(cpus[0]))

/* APM vol. 3, E.3.2, CPUID Fn0000_0001_EAX. */
uint32_t bawn_cpu_signature(unsigned family, unsigned model, unsigned stepping)
{
    unsigned base = family < 0xf ? family : 0xf;

    return (((family - base) & 0xff) << 20) | (((model >> 4) & 0xf) << 16) | (base << 8) |
           ((model & 0xf) << 4) | (stepping & 0xf);
}

const char *bawn_cpu_model(unsigned i)
{
    return i < NR_CPUS ? cpus[i].model : NULL;
}

bool bawn_cpu_find(const char *model, uint32_t *signature)
{
    for (unsigned i = 0; i < NR_CPUS; i++) {
        if (!strcasecmp(model, cpus[i].model)) {
            *signature = bawn_cpu_signature(cpus[i].family, cpus[i].model_number, cpus[i].stepping);
            return true;
        }
    }
    return false;
}
