/* SPDX-License-Identifier: Apache-2.0 */
/* The launch of the lab's SNP guests (snp_guest.h). */
#define _GNU_SOURCE
#include "snp_guest.h"

#include <asm/kvm.h>
#include <fcntl.h>
#include <linux/kvm_para.h>

#define PAGE 0x1000ull
#define PTE_BITS 0x7ull /* present, writable, user */
#define PTE_LARGE 0x80ull
#define CR0_PE 1u
#define CR0_NE 0x20u
#define CR0_PG 0x80000000u
#define CR4_PAE 0x20u
#define EFER_LONG 0x500u /* LME, LMA */
#define GATE_INTERRUPT 0x8e00u
#define IST_VC 1

int snp_call(struct snp_guest *g, uint32_t id, void *data)
{
    struct kvm_sev_cmd cmd = { .id = id, .data = (uint64_t)(uintptr_t)data };
    int r = kvm_call(g->vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

    g->fw_error = cmd.error;
    return r;
}

int snp_update(struct snp_guest *g, uint64_t gpa, const void *from, uint64_t len, uint8_t type)
{
    struct kvm_sev_snp_launch_update update = {
        .gfn_start = gpa / PAGE,
        .uaddr = (uint64_t)(uintptr_t)from,
        .len = len,
        .type = type,
    };
    int r;

    /* Done in part is no error: the call has moved the fields on. */
    do {
        r = snp_call(g, KVM_SEV_SNP_LAUNCH_UPDATE, &update);
    } while (!r && update.len);
    return r;
}

int snp_attributes(struct snp_guest *g, uint64_t gpa, uint64_t size, bool private)
{
    struct kvm_memory_attributes args = {
        .address = gpa,
        .size = size,
        .attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
    };

    return kvm_call(g->vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &args);
}

/* An open file of private memory holds its VM: the last one is closed when it has a successor. */
static int last_gmem = -1;

static void keep_gmem(int fd)
{
    if (last_gmem >= 0)
        close(last_gmem);
    last_gmem = fd;
}

void snp_destroy(struct snp_guest *g)
{
    vm_destroy(g->vm);
    if (g->gmem == last_gmem)
        keep_gmem(-1);
    free(g->image);
    g->image = NULL;
}

static void add_memory(struct snp_guest *g)
{
    struct kvm_create_guest_memfd create = { .size = GUEST_MEM };
    struct kvm_userspace_memory_region2 slot = {
        .slot = SNP_SLOT,
        .flags = KVM_MEM_GUEST_MEMFD,
        .memory_size = GUEST_MEM,
    };

    g->vm->mem = mmap(NULL, GUEST_MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(g->vm->mem != MAP_FAILED);
    g->gmem = kvm_call(g->vm->fd, KVM_CREATE_GUEST_MEMFD, &create);
    ASSERT(g->gmem >= 0);
    keep_gmem(g->gmem);
    slot.userspace_addr = (uint64_t)(uintptr_t)g->vm->mem;
    slot.guest_memfd = (uint32_t)g->gmem;
    ASSERT_EQ(kvm_call(g->vm->fd, KVM_SET_USER_MEMORY_REGION2, &slot), 0);
    ASSERT_EQ(snp_attributes(g, 0, GUEST_MEM, true), 0);
    ASSERT_EQ(snp_attributes(g, GUEST_MBOX, PAGE, false), 0);
}

static void put64(struct snp_guest *g, uint64_t at, uint64_t value)
{
    memcpy(g->image + at, &value, sizeof(value));
}

static void put_gate(struct snp_guest *g, unsigned vector, uint64_t handler, unsigned ist)
{
    put64(g, GUEST_IDT + vector * 16,
          (handler & 0xffff) | SEL_CODE64 << 16 | (uint64_t)(GATE_INTERRUPT | ist) << 32 |
              (handler >> 16) << 48);
}

/* The kernel shows the flag if it uses five levels. */
static bool host_has_la57(void)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[4096];
    bool found = false;

    ASSERT(file);
    while (!found && fgets(line, sizeof(line), file))
        found = strstr(line, " la57");
    fclose(file);
    return found;
}

/* The C-bit is where CPUID says. The software platform has it at bit 51 where the nested page
 * tables have five levels, as the host's own then have, else at 47. */
static unsigned find_cbit(void)
{
    const struct kvm_cpuid_entry2 *e = lab_cpuid_find(0x8000001f, 0);

    if (e && e->ebx & 0x3f)
        return e->ebx & 0x3f;
    return host_has_la57() ? 51 : 47;
}

static void make_image(struct snp_guest *g)
{
    uint64_t c = 1ull << g->cbit;

    g->image = aligned_alloc(PAGE, SNP_LAUNCHED);
    ASSERT(g->image);
    memset(g->image, 0, SNP_LAUNCHED);
    put64(g, GUEST_GDT + SEL_CODE64, 0x00af9b000000ffffull);
    put64(g, GUEST_GDT + SEL_DATA, 0x00cf93000000ffffull);
    put64(g, GUEST_GDT + SEL_TSS, 0x0000890018000067ull);
    put64(g, GUEST_GDT + SNP_SEL_USER, 0x00affb000000ffffull);
    put64(g, GUEST_GDT + SNP_SEL_USER_DATA, 0x00cff3000000ffffull);
    memset(g->image + GUEST_TSS, 0, 0x68);
    memcpy(g->image + GUEST_TSS + 4, &(uint64_t){ GUEST_STACK + 0x1000 }, 8);
    memcpy(g->image + GUEST_TSS + 0x24, &(uint64_t){ GUEST_STACK + 0x2000 }, 8);
    put_gate(g, 6, GUEST_ADDR(snp_exception_6), 0);
    put_gate(g, 8, GUEST_ADDR(snp_exception_8), 0);
    put_gate(g, 13, GUEST_ADDR(snp_exception_13), 0);
    put_gate(g, 14, GUEST_ADDR(snp_exception_14), 0);
    put_gate(g, 29, GUEST_ADDR(snp_exception_29), IST_VC);
    put64(g, GUEST_PML4, GUEST_PDPT | c | PTE_BITS);
    put64(g, GUEST_PDPT, SNP_PD_PRIVATE | c | PTE_BITS);
    put64(g, GUEST_PDPT + 8, SNP_PD_SHARED | c | PTE_BITS);
    for (uint64_t i = 0; i < 512; i++) {
        put64(g, SNP_PD_PRIVATE + i * 8, i << 21 | c | PTE_LARGE | PTE_BITS);
        put64(g, SNP_PD_SHARED + i * 8, i << 21 | PTE_LARGE | PTE_BITS);
    }
    memcpy(g->image + GUEST_CODE, __start_guest, (size_t)(__stop_guest - __start_guest));
    ASSERT(GUEST_CODE + (__stop_guest - __start_guest) <= SNP_LAUNCHED);
}

int snp_init2(struct snp_guest *g)
{
    struct kvm_sev_init init = { 0 };

    return snp_call(g, KVM_SEV_INIT2, &init);
}

int snp_start(struct snp_guest *g)
{
    struct kvm_sev_snp_launch_start args = { .policy = SNP_POLICY };

    return snp_call(g, KVM_SEV_SNP_LAUNCH_START, &args);
}

static struct snp_guest create(bool apic)
{
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    struct snp_guest g = { .gmem = -1 };

    if (!(kvm_cap(lab_kvm, KVM_CAP_VM_TYPES) & BIT(KVM_X86_SNP_VM)))
        lab_skip("no SNP guests here");
    g.vm = vm_typed(KVM_X86_SNP_VM);
    if (apic)
        ASSERT_EQ(kvm_call(g.vm->fd, KVM_ENABLE_CAP, &split), 0);
    g.cbit = find_cbit();
    ASSERT_EQ(snp_init2(&g), 0);
    add_memory(&g);
    make_image(&g);
    g.v = vcpu_raw(g.vm, 0);
    vcpu_set_cpuid(g.v);
    ASSERT_EQ(snp_start(&g), 0);
    return g;
}

struct snp_guest snp_create(void)
{
    return create(false);
}

struct snp_guest snp_create_apic(void)
{
    return create(true);
}

void snp_set_vcpu_state(struct vcpu *v, unsigned cbit, uint64_t rip, uint64_t rdi, uint64_t rsi,
                        uint64_t rdx)
{
    struct kvm_sregs s = vcpu_sregs(v);
    struct kvm_segment code = {
        .limit = ~0u, .selector = SEL_CODE64, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
    };
    struct kvm_segment data = {
        .limit = ~0u, .selector = SEL_DATA, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
    };
    struct kvm_segment tss = {
        .base = GUEST_TSS, .limit = 0x67, .selector = SEL_TSS, .type = 11, .present = 1
    };
    struct kvm_regs regs = { .rip = rip,
                             .rdi = rdi,
                             .rsi = rsi,
                             .rdx = rdx,
                             .rflags = 2,
                             .rsp = GUEST_STACK + 0x1000,
                             .r15 = SNP_SHARED + GUEST_MBOX + v->id * GUEST_MBOX_SIZE };

    s.cs = code;
    s.ds = s.es = s.ss = s.fs = s.gs = data;
    s.tr = tss;
    s.gdt = (struct kvm_dtable){ .base = GUEST_GDT, .limit = 0x37 };
    s.idt = (struct kvm_dtable){ .base = GUEST_IDT, .limit = 0xfff };
    s.cr0 = CR0_PE | CR0_NE | CR0_PG;
    s.cr3 = GUEST_PML4 | 1ull << cbit;
    s.cr4 = CR4_PAE;
    s.efer = EFER_LONG;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    vcpu_set_regs(v, &regs);
}

void snp_set_state(struct snp_guest *g, uint64_t rip, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
    snp_set_vcpu_state(g->v, g->cbit, rip, rdi, rsi, rdx);
}

void snp_add_ghcb(struct snp_guest *g, unsigned id)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_HYPERCALL,
                                  .args = { 1 << KVM_HC_MAP_GPA_RANGE } };

    ASSERT_EQ(kvm_call(g->vm->fd, KVM_ENABLE_CAP, &cap), 0);
    ASSERT_EQ(snp_attributes(g, SNP_GHCB_PAGE(id), SNP_PAGES, false), 0);
}

bool snp_served(struct snp_guest *g, struct vcpu *v, int reason)
{
    uint64_t gpa = v->run->hypercall.args[0], size = v->run->hypercall.args[1] * PAGE;
    bool private = v->run->hypercall.args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED;

    if (reason == KVM_EXIT_IO)
        return v->run->io.port == PORT_STEP;
    if (reason != KVM_EXIT_HYPERCALL || v->run->hypercall.nr != KVM_HC_MAP_GPA_RANGE ||
        snp_attributes(g, gpa, size, private))
        return false;
    if (!private &&
        fallocate(g->gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)gpa, (off_t)size))
        return false;
    v->run->hypercall.ret = 0;
    return true;
}

void snp_launch(struct snp_guest *g)
{
    struct kvm_sev_snp_launch_finish finish = { 0 };

    ASSERT_EQ(snp_update(g, 0, g->image, GUEST_MBOX, KVM_SEV_SNP_PAGE_TYPE_NORMAL), 0);
    ASSERT_EQ(snp_update(g, GUEST_MBOX + PAGE, g->image + GUEST_MBOX + PAGE,
                         SNP_LAUNCHED - GUEST_MBOX - PAGE, KVM_SEV_SNP_PAGE_TYPE_NORMAL),
              0);
    ASSERT_EQ(snp_call(g, KVM_SEV_SNP_LAUNCH_FINISH, &finish), 0);
    free(g->image);
    g->image = NULL;
}

struct snp_guest snp_prepare(uint64_t rip, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
    struct snp_guest g = snp_create();

    snp_set_state(&g, rip, rdi, rsi, rdx);
    snp_launch(&g);
    return g;
}

int snp_run(struct snp_guest *g)
{
    struct kvm_run *run = g->v->run;
    int r;

    do /* without a signal: this thread has work to do elsewhere (docs/kvm-api.md) */
        r = vcpu_run(g->v);
    while (r == -EINTR);
    if (r == KVM_EXIT_SYSTEM_EVENT && run->system_event.type == KVM_SYSTEM_EVENT_SEV_TERM &&
        run->system_event.data[0] == (0x100 | 1 << 12 | SNP_END << 16))
        return GUEST_DONE;
    if (r == KVM_EXIT_SYSTEM_EVENT)
        printf("# stopped by system event %u: %#llx\n", run->system_event.type,
               run->system_event.data[0]);
    return r;
}
