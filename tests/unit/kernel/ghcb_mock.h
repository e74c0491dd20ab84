/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SNP vCPU with its GHCB in shared memory and a firmware that answers, for the tests of the
 * GHCB server. The vCPU's own registers must survive every service untouched: vmgexit() looks.
 */
#ifndef GHCB_MOCK_H
#define GHCB_MOCK_H

#define MOCK_EXECUTION
#include <linux/psp-sev.h>

#include "fuzz/sim/internal.h"
#include "guest_mock.h"
#include "snp/ghcb.h"
#include "bawn/psp.h"

/* Of each 32 pages 16 to 31 are private: as far as NR_PAGES. */
#define NR_PAGES 0x1000
#define PAGE(gfn) ((gpa_t)(gfn) << 12)
#define GHCB_PAGE PAGE(2)
#define OTHER PAGE(4) /* shared memory */
#define BUFFER (GHCB_PAGE + offsetof(struct ghcb, shared_buffer))
#define PRIVATE PAGE(16)
#define ROM PAGE(0xf0 & ~16)
#define APIC_ID 7
#define GPA_END BIT_ULL(47)
#define FEATURES 0x1ull

static struct bawn_snp_vm snp_vm;
static struct bawn_snp_vcpu snp, target_snp;
static struct bawn_vcpu target;
static u8 ghcb_copy[PAGE_SIZE];
static struct page *context, *request_page, *response_page;
static u64 msr_value; /* GHCB MSR */
static u64 gpr_before[VCPU_NR_GPR];
static struct {
    enum bawn_msr_result result;
    bool denied;
    u64 written;
    int accesses, commands, requests, nmi;
    int command_result;
    u32 fw_error;
    u64 xcr0;
} host;

/* ---- The kernel around it ---- */

u64 bawn_gpa_end(struct bawn_vm *vm)
{
    return GPA_END;
}

void bawn_cpuid(struct bawn_vcpu *vcpu, u32 leaf, u32 subleaf, u32 regs[4])
{
    for (int i = 0; i < 4; i++)
        regs[i] = leaf << 16 | subleaf << 8 | (u32)i;
    if (leaf == 0xd)
        host.xcr0 = vcpu->xcr0;
}

void bawn_cpuid_runtime_update(struct bawn_vcpu *vcpu)
{
}

int bawn_set_xcr(struct bawn_vcpu *vcpu, u32 index, u64 value)
{
    if (index || value & ~7ull || !(value & 1))
        return 1;
    vcpu->xcr0 = value;
    return 0;
}

bool bawn_msr_allowed(struct bawn_vm *vm, u32 index, bool write)
{
    return !host.denied;
}

enum bawn_msr_result bawn_msr_access(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool write,
                                     bool for_host)
{
    assert_false(for_host);
    host.accesses++;
    if (write)
        host.written = *value;
    else
        *value = 0x1111222233334444;
    return host.result;
}

u64 bawn_read_guest_tsc(struct bawn_vcpu *vcpu, u64 host_tsc)
{
    return 0x500000000 + host_tsc;
}

void bawn_vcpu_request(struct bawn_vcpu *vcpu, int req)
{
    assert_ptr_equal(vcpu, &target);
    assert_false(mutex_is_locked(&target_snp.ap_lock));
    host.requests++;
}

static inline void set_nmi_mask(struct bawn_vcpu *vcpu, bool masked)
{
    assert_false(masked);
    host.nmi++;
}

static unsigned int cbit(void)
{
    return 51;
}

static inline u64 ops_get(struct bawn_vcpu *vcpu)
{
    return msr_value;
}

static inline void ops_set(struct bawn_vcpu *vcpu, u64 value)
{
    msr_value = value;
}

static inline int command(int cmd, void *buf, u32 len, u32 *fw_error)
{
    struct sev_data_snp_guest_request *r = buf;

    assert_int_equal(cmd, 0x94);
    assert_int_equal(len, sizeof(*r));
    assert_int_equal(r->gctx_paddr, page_to_phys(snp_vm.context));
    assert_true(lockdep_is_held(&snp_vm.request_lock));
    host.commands++;
    *fw_error = host.fw_error;
    if (!host.command_result)
        for (unsigned int i = 0; i < PAGE_SIZE; i++)
            ((u8 *)__va(r->res_paddr))[i] = ((u8 *)__va(r->req_paddr))[i] ^ 0x5a;
    return host.command_result;
}

static const struct bawn_snp_ops snp_ops = {
    .name = "mock", .command = command, .cbit = cbit, .ghcb_get = ops_get, .ghcb_set = ops_set
};

static inline struct ghcb *page(void)
{
    return (struct ghcb *)(mock.memory + GHCB_PAGE);
}

/* Once: a kernel, its pages and what is private. */
static inline void start(struct xarray *attributes)
{
    static const struct sim_options small = { .memory = 2 << 20 };

    sim_bare(&small);
    context = alloc_page(GFP_KERNEL | __GFP_ZERO);
    request_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
    response_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
    xa_init(attributes);
    for (gfn_t gfn = 0; gfn < NR_PAGES; gfn++)
        if (gfn & 16)
            xa_store(attributes, gfn, xa_mk_value(KVM_MEMORY_ATTRIBUTE_PRIVATE), GFP_KERNEL);
}

static inline struct bawn_vcpu *reset(void)
{
    static struct bawn_cpu_ops cpu_ops;
    static struct xarray attributes;
    struct bawn_vcpu *vcpu = mock_reset();

    if (!context)
        start(&attributes);

    cpu_ops = mock_ops;
    cpu_ops.set_nmi_mask = set_nmi_mask;
    bawn_cpu = &cpu_ops;
    memset(&host, 0, sizeof(host));
    memset(ghcb_copy, 0xee, sizeof(ghcb_copy));
    snp_vm = (struct bawn_snp_vm){ .ops = &snp_ops,
                                   .vmsa_features = FEATURES,
                                   .ghcb_version = 2,
                                   .context = context,
                                   .request_page = request_page,
                                   .response_page = response_page };
    mutex_init(&snp_vm.request_lock);
    snp = (struct bawn_snp_vcpu){ .ghcb = ghcb_copy, .ghcb_gpa = GHCB_PAGE };
    mutex_init(&snp.ap_lock);
    target_snp = (struct bawn_snp_vcpu){ .ap_vmsa_gpa = INVALID_GPA };
    mutex_init(&target_snp.ap_lock);
    target = (struct bawn_vcpu){ .vm = &mock.vm, .id = APIC_ID, .snp = &target_snp };
    mock.vm.type = 4; /* KVM_X86_SNP_VM */
    mock.vm.snp = &snp_vm;
    mock.vm.attributes = attributes;
    mock.vm.hypercall_exits = BIT_ULL(KVM_HC_MAP_GPA_RANGE);
    mock.vm.by_id[APIC_ID] = &target;
    mock.rom_from = ROM;
    vcpu->snp = &snp;
    vcpu->xcr0 = 1;
    vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
    for (int i = 0; i < VCPU_NR_GPR; i++)
        vcpu->gpr[i] = gpr_before[i] = 0xdead000000000000 + (u64)i;
    msr_value = GHCB_PAGE;
    page()->protocol_version = 2;
    return vcpu;
}

static inline void set(enum ghcb_field field, u64 value)
{
    memcpy((u8 *)page() + 8 * field, &value, 8);
    page()->save.valid_bitmap[field / 8] |= (u8)(1 << field % 8);
}

static inline void ask(u64 code, u64 info1, u64 info2)
{
    memset(page()->save.valid_bitmap, 0, sizeof(page()->save.valid_bitmap));
    set(GHCB_EXIT_CODE, code);
    set(GHCB_INFO1, info1);
    set(GHCB_INFO2, info2);
}

static inline int vmgexit(struct bawn_vcpu *vcpu)
{
    int r;

    vcpu->complete = NULL;
    memset(&mock.run, 0xaa, sizeof(mock.run));
    r = bawn_snp_vmgexit(vcpu, NULL);
    assert_memory_equal(vcpu->gpr, gpr_before, sizeof(gpr_before));
    assert_false(mutex_is_locked(&snp_vm.request_lock));
    assert_true(r == 0 || r == 1);
    return r;
}

static inline int complete(struct bawn_vcpu *vcpu)
{
    int (*fn)(struct bawn_vcpu *) = vcpu->complete;

    assert_non_null(fn);
    vcpu->complete = NULL;
    return fn(vcpu);
}

/* Exactly these fields are valid beside SW_EXITINFO1 and 2. */
static inline void expect_valid(u32 rax, u32 rbx, u32 rcx, u32 rdx)
{
    u8 want[16] = { 0 };
    const unsigned int bits[] = { GHCB_INFO1,
                                  GHCB_INFO2,
                                  rax ? GHCB_RAX : GHCB_INFO1,
                                  rbx ? GHCB_RBX : GHCB_INFO1,
                                  rcx ? GHCB_RCX : GHCB_INFO1,
                                  rdx ? GHCB_RDX : GHCB_INFO1 };

    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        want[bits[i] / 8] |= (u8)(1 << bits[i] % 8);
    assert_memory_equal(page()->save.valid_bitmap, want, sizeof(want));
}

static inline void expect_answer(int r, u64 info1, u64 info2)
{
    assert_int_equal(r, 1);
    assert_int_equal(page()->save.sw_exit_info_1, info1);
    assert_int_equal(page()->save.sw_exit_info_2, info2);
}

static inline void expect_refused(int r, u64 reason)
{
    expect_answer(r, 2, reason);
    expect_valid(0, 0, 0, 0);
}

static inline void expect_terminated(int r, u64 request)
{
    assert_int_equal(r, 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_SYSTEM_EVENT);
    assert_int_equal(mock.run.system_event.type, 6);
    assert_int_equal(mock.run.system_event.ndata, 1);
    assert_int_equal(mock.run.system_event.data[0], request);
}

static inline void expect_map(int r, gpa_t gpa, u64 pages, bool private, bool large)
{
    assert_int_equal(r, 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_HYPERCALL);
    assert_int_equal(mock.run.hypercall.nr, 12);
    assert_int_equal(mock.run.hypercall.args[0], gpa);
    assert_int_equal(mock.run.hypercall.args[1], pages);
    assert_int_equal(mock.run.hypercall.args[2], (private ? 16 : 0) | large);
    assert_int_equal(mock.run.hypercall.ret, 0);
}

#define EVENT_GP (BIT_ULL(31) | BIT_ULL(11) | 3 << 8 | 13)

#define IO(port, size, flags) ((u64)(port) << 16 | (u64)(size) << 4 | (flags))
#define IN 1
#define STRING 4

static inline struct psc_hdr *psc_header(void)
{
    return (struct psc_hdr *)page()->shared_buffer;
}

static inline struct psc_entry *psc(u32 i)
{
    return (struct psc_entry *)(page()->shared_buffer + 8) + i;
}

#endif
