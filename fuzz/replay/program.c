// SPDX-License-Identifier: Apache-2.0
/* Programs and their text; see the header. In userspace's C, for the lab too. */
#include "program.h"

#include <string.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define EXITS_MAX 6          /* of one instruction */
#define RFLAGS_RF 0x10000ull /* emulators differ in whether a fault's frame has it */

const struct replay_insn replay_insns[REPLAY_OPS] = {
    [REPLAY_CPUID] = { "cpuid", 2, { 0x0f, 0xa2 } },
    [REPLAY_RDMSR] = { "rdmsr", 2, { 0x0f, 0x32 } },
    [REPLAY_WRMSR] = { "wrmsr", 2, { 0x0f, 0x30 } },
    [REPLAY_IN8] = { "in al, 0x60", 2, { 0xe4, 0x60 } },
    [REPLAY_IN16] = { "in ax, dx", 2, { 0x66, 0xed } },
    [REPLAY_IN32] = { "in eax, dx", 1, { 0xed } },
    [REPLAY_OUT8] = { "out 0x80, al", 2, { 0xe6, 0x80 } },
    [REPLAY_OUT32] = { "out dx, eax", 1, { 0xef } },
    [REPLAY_HLT] = { "hlt", 1, { 0xf4 } },
    [REPLAY_LOAD8] = { "mov al, [rbx]", 2, { 0x8a, 0x03 } },
    [REPLAY_LOAD32] = { "mov eax, [rbx]", 2, { 0x8b, 0x03 } },
    [REPLAY_LOAD64] = { "mov rax, [rbx]", 3, { 0x48, 0x8b, 0x03 } },
    [REPLAY_LOADZ] = { "movzx eax, byte [rbx]", 3, { 0x0f, 0xb6, 0x03 } },
    [REPLAY_STORE8] = { "mov [rbx], al", 2, { 0x88, 0x03 } },
    [REPLAY_STORE16] = { "mov [rbx], ax", 3, { 0x66, 0x89, 0x03 } },
    [REPLAY_STORE64] = { "mov [rbx], rax", 3, { 0x48, 0x89, 0x03 } },
    [REPLAY_OR] = { "or [rbx], eax", 2, { 0x09, 0x03 } },
    [REPLAY_READ_CR0] = { "mov rax, cr0", 3, { 0x0f, 0x20, 0xc0 } },
    [REPLAY_WRITE_CR0] = { "mov cr0, rax", 3, { 0x0f, 0x22, 0xc0 } },
    [REPLAY_WRITE_CR4] = { "mov cr4, rax", 3, { 0x0f, 0x22, 0xe0 } },
    [REPLAY_WRITE_CR8] = { "mov cr8, rax", 4, { 0x44, 0x0f, 0x22, 0xc0 } },
    [REPLAY_READ_DR6] = { "mov rax, dr6", 3, { 0x0f, 0x21, 0xf0 } },
    [REPLAY_READ_DR7] = { "mov rax, dr7", 3, { 0x0f, 0x21, 0xf8 } },
    [REPLAY_WRITE_DR7] = { "mov dr7, rax", 3, { 0x0f, 0x23, 0xf8 } },
    [REPLAY_WRITE_DR0] = { "mov dr0, rax", 3, { 0x0f, 0x23, 0xc0 } },
    [REPLAY_READ_DR0] = { "mov rax, dr0", 3, { 0x0f, 0x21, 0xc0 } },
    [REPLAY_VMCALL] = { "vmcall", 3, { 0x0f, 0x01, 0xc1 } },
    [REPLAY_VMMCALL] = { "vmmcall", 3, { 0x0f, 0x01, 0xd9 } },
    [REPLAY_XSETBV] = { "xsetbv", 3, { 0x0f, 0x01, 0xd1 } },
    [REPLAY_INT3] = { "int3", 1, { 0xcc } },
    [REPLAY_UD2] = { "ud2", 2, { 0x0f, 0x0b } },
    [REPLAY_PAUSE] = { "pause", 2, { 0xf3, 0x90 } },
    [REPLAY_WBINVD] = { "wbinvd", 2, { 0x0f, 0x09 } },
    [REPLAY_RDPMC] = { "rdpmc", 2, { 0x0f, 0x33 } },
};

/* ---- Values ---- */

static uint64_t state;

static uint32_t draw(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16) % n;
}

#define PICK(...)                                      \
    ({                                                 \
        static const uint64_t of_[] = { __VA_ARGS__ }; \
        of_[draw(NELEM(of_))];                         \
    })

static uint64_t any(void)
{
    return PICK(0, 1, 0x7f, 0x80, 0x12345678, 0x80000000, 0xffffffff, 0x123456789abcdef0, ~0ull);
}

/* Of those that exit, and whose values are the same on every machine. */
static uint64_t msr(void)
{
    return PICK(0x1b, 0x8b, 0xfe, 0x179, 0x17b, 0x1a0, 0x200, 0x201, 0x250, 0x277, 0x2ff, 0xce,
                0x12345, 0x802, 0xc0000080, 0xc0010015, 0xc0010114, 0x40000000);
}

static uint64_t cr0(void)
{
    return PICK(0x80010033, 0x8001003b, 0x80010031, 0x80000033, 0x80050033, 0xc0010033, 0xe0010033,
                0xa0010033, 0x10033, 0x80010032);
}

/* By operation: what RAX, RCX, RDX and RBX are. */
static void draw_registers(enum replay_op op, struct kvm_regs *r)
{
    *r = (struct kvm_regs){ .rip = REPLAY_CODE, .rsp = REPLAY_STACK, .rflags = 2 };
    r->rax = any();
    r->rcx = any();
    r->rdx = any();
    r->rbx = REPLAY_DEVICE + 8 * draw(4) + draw(2);
    switch (op) {
    case REPLAY_CPUID:
        r->rax = PICK(0, 1, 7, 0x40000000, 0x80000000, 0x80000001, 0x80000008, 0x12345678);
        r->rcx = draw(2);
        break;
    case REPLAY_RDMSR:
    case REPLAY_WRMSR:
        r->rcx = msr();
        r->rax = PICK(0, 1, 0x900, 0xd00, 0xd01, 0x500, 0x06060606, 0xfee00900, 0xfee00800,
                      0x01070406, ~0u);
        r->rdx = PICK(0, 0, 0, 1, 0x01070406, ~0u);
        break;
    case REPLAY_IN16:
    case REPLAY_IN32:
    case REPLAY_OUT32:
        r->rdx = PICK(0, 0x60, 0x3f8, 0xcfc, 0xffff);
        break;
    case REPLAY_WRITE_CR0:
        r->rax = cr0();
        break;
    case REPLAY_WRITE_CR4:
        r->rax = PICK(0x620, 0x40620, 0x600, 0x6a0, 0x20, 0x100000620, 0x80000620, 0x40660);
        break;
    case REPLAY_WRITE_CR8:
        r->rax = PICK(0, 5, 15, 16, ~0ull);
        break;
    case REPLAY_WRITE_DR7:
        r->rax = PICK(0x400, 0, 0x700, 0xfffffff0 & ~0x2000u & ~0xffu);
        break;
    case REPLAY_WRITE_DR0:
        r->rax = PICK(0, 0x1234, 0x7fffffffffff, ~0ull);
        break;
    case REPLAY_XSETBV:
        r->rcx = draw(8) == 0;
        r->rax = PICK(1, 3, 7, 0, 2, 5, 0x80000000);
        r->rdx = draw(8) == 0;
        break;
    default:
        break;
    }
}

/* ---- The machine ---- */

static long call(const struct replay_machine *m, unsigned long request, void *argument, size_t n)
{
    return m->call(m->context, true, request, argument, n);
}

static void write64(const struct replay_machine *m, uint64_t gpa, uint64_t value)
{
    m->write(m->context, gpa, &value, sizeof(value));
}

static uint64_t read64(const struct replay_machine *m, uint64_t gpa)
{
    uint64_t value = 0;

    m->read(m->context, gpa, &value, sizeof(value));
    return value;
}

static void fill_memory(const struct replay_machine *m)
{
    uint8_t halts[32];

    memset(halts, 0xf4, sizeof(halts));
    m->write(m->context, REPLAY_HANDLERS, halts, sizeof(halts));
    write64(m, REPLAY_GDT + REPLAY_CODE_SELECTOR, 0x00af9b000000ffff);
    write64(m, REPLAY_GDT + REPLAY_DATA_SELECTOR, 0x00cf93000000ffff);
    for (unsigned i = 0; i < 32; i++) {
        uint64_t to = REPLAY_HANDLERS + i;

        /* An interrupt gate: AMD APM vol. 2, 4.8.4. */
        write64(m, REPLAY_IDT + 16 * i,
                (to & 0xffff) | REPLAY_CODE_SELECTOR << 16 | 0x8e00ull << 32 | (to >> 16) << 48);
        write64(m, REPLAY_IDT + 16 * i + 8, 0);
    }
    write64(m, REPLAY_PML4, REPLAY_PDPT | 7);
    for (uint64_t i = 0; i < 4; i++)
        write64(m, REPLAY_PDPT + 8 * i, i << 30 | 0x87);
}

static bool set_sregs(const struct replay_machine *m)
{
    struct kvm_segment code = { .limit = ~0u,
                                .selector = REPLAY_CODE_SELECTOR,
                                .type = 11,
                                .present = 1,
                                .s = 1,
                                .l = 1,
                                .g = 1 };
    struct kvm_segment data = { .limit = ~0u,
                                .selector = REPLAY_DATA_SELECTOR,
                                .type = 3,
                                .present = 1,
                                .s = 1,
                                .db = 1,
                                .g = 1 };
    struct kvm_sregs s;

    memset(&s, 0, sizeof(s));
    if (call(m, KVM_GET_SREGS, &s, sizeof(s)))
        return false;
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.gdt = (struct kvm_dtable){ .base = REPLAY_GDT, .limit = 0x17 };
    s.idt = (struct kvm_dtable){ .base = REPLAY_IDT, .limit = 0x1ff };
    s.cr0 = 0x80010033;
    s.cr3 = REPLAY_PML4;
    s.cr4 = 0x620;
    s.efer = 0xd00;
    return !call(m, KVM_SET_SREGS, &s, sizeof(s));
}

static bool set_cpuid(const struct replay_machine *m)
{
    static const struct kvm_cpuid_entry2 entries[] = {
        { .function = 0, .eax = 0xd, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65 },
        { .function = 1, .eax = 0x00a10f11, .ecx = 0x06f83203, .edx = 0x178bfbff },
        { .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
        { .function = 0xd, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 7, .ecx = 832 },
        { .function = 0x80000000, .eax = 0x80000008 },
        { .function = 0x80000001, .eax = 0x00a10f11, .edx = 0x2e500800 },
        { .function = 0x80000008, .eax = 0x3028 },
    };
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[NELEM(entries)];
    } c = { .head.nent = NELEM(entries) };

    memcpy(c.entry, entries, sizeof(entries));
    return !call(m, KVM_SET_CPUID2, &c, sizeof(c));
}

static bool set_up(const struct replay_machine *m, bool msr_exits)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { 7 } };

    fill_memory(m);
    return (!msr_exits || !m->call(m->context, false, KVM_ENABLE_CAP, &cap, sizeof(cap))) &&
           set_cpuid(m) && set_sregs(m);
}

/* ---- What userspace sees ---- */

static uint64_t bytes_of(const void *from, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, from, n < sizeof(v) ? n : sizeof(v));
    return v;
}

static void answer_io(const struct replay_machine *m, FILE *out)
{
    static const uint8_t answer[] = { 0xa1, 0xb2, 0xc3, 0xd4 };
    const struct kvm_run *run = m->run;
    uint8_t *data = m->pio + run->io.data_offset % 0x1000;

    fprintf(out, "; io %s port 0x%x size %u count %u", run->io.direction ? "out" : "in",
            run->io.port, run->io.size, run->io.count);
    if (run->io.direction)
        fprintf(out, " data 0x%llx", (unsigned long long)bytes_of(data, run->io.size));
    else
        memcpy(data, answer, run->io.size);
}

static void answer_mmio(const struct replay_machine *m, FILE *out)
{
    static const uint8_t answer[] = { 0x11, 0x22, 0x33, 0x84, 0x55, 0x66, 0x77, 0x88 };
    struct kvm_run *run = m->run;

    fprintf(out, "; mmio %s 0x%llx length %u", run->mmio.is_write ? "write" : "read",
            run->mmio.phys_addr, run->mmio.len);
    if (run->mmio.is_write)
        fprintf(out, " data 0x%llx", (unsigned long long)bytes_of(run->mmio.data, run->mmio.len));
    else
        memcpy(run->mmio.data, answer, sizeof(answer));
}

static void answer_msr(const struct replay_machine *m, FILE *out)
{
    struct kvm_run *run = m->run;
    bool write = run->exit_reason == KVM_EXIT_X86_WRMSR;

    fprintf(out, "; %s 0x%x reason %u", write ? "wrmsr" : "rdmsr", run->msr.index, run->msr.reason);
    if (write)
        fprintf(out, " data 0x%llx", run->msr.data);
    run->msr.error = run->msr.index & 1;
    if (!write)
        run->msr.data = 0x1122334455667788;
}

/* An exception has a handler, which halts: which one it was, and its frame. */
static void print_halt(const struct replay_machine *m, const struct kvm_regs *r, FILE *out)
{
    unsigned vector = (unsigned)r->rip - 1 - REPLAY_HANDLERS;
    bool error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;

    if (r->rip <= REPLAY_HANDLERS || vector >= 32) {
        fprintf(out, "; halt");
        return;
    }
    fprintf(out, "; exception %u", vector);
    if (error)
        fprintf(out, " error 0x%llx", (unsigned long long)read64(m, r->rsp));
    fprintf(out, " at +%llu flags 0x%llx",
            (unsigned long long)read64(m, r->rsp + 8 * error) - REPLAY_CODE,
            (unsigned long long)read64(m, r->rsp + 8 * error + 16) & ~RFLAGS_RF);
}

struct seen {
    struct kvm_regs r;
    struct kvm_sregs s;
    struct kvm_debugregs d;
};

static void see_state(const struct replay_machine *m, struct seen *now)
{
    memset(now, 0, sizeof(*now));
    call(m, KVM_GET_REGS, &now->r, sizeof(now->r));
    call(m, KVM_GET_SREGS, &now->s, sizeof(now->s));
    call(m, KVM_GET_DEBUGREGS, &now->d, sizeof(now->d));
}

static void print_changed(const char *name, uint64_t before, uint64_t now, FILE *out)
{
    if (before != now)
        fprintf(out, " %s 0x%llx", name, (unsigned long long)now);
}

/* What is another value than before the instruction. */
static void print_state(const struct replay_machine *m, const struct seen *b, FILE *out)
{
    struct kvm_vcpu_events e;
    struct seen n;

    see_state(m, &n);
    memset(&e, 0, sizeof(e));
    call(m, KVM_GET_VCPU_EVENTS, &e, sizeof(e));
    if (m->run->exit_reason == KVM_EXIT_HLT)
        print_halt(m, &n.r, out);
    fprintf(out, "; rip 0x%llx", n.r.rip);
    print_changed("rax", b->r.rax, n.r.rax, out);
    print_changed("rbx", b->r.rbx, n.r.rbx, out);
    print_changed("rcx", b->r.rcx, n.r.rcx, out);
    print_changed("rdx", b->r.rdx, n.r.rdx, out);
    print_changed("rsi", b->r.rsi, n.r.rsi, out);
    print_changed("rdi", b->r.rdi, n.r.rdi, out);
    print_changed("rsp", b->r.rsp, n.r.rsp, out);
    print_changed("rflags", b->r.rflags, n.r.rflags, out);
    print_changed("cr0", b->s.cr0, n.s.cr0, out);
    print_changed("cr2", b->s.cr2, n.s.cr2, out);
    print_changed("cr3", b->s.cr3, n.s.cr3, out);
    print_changed("cr4", b->s.cr4, n.s.cr4, out);
    print_changed("cr8", b->s.cr8, n.s.cr8, out);
    print_changed("efer", b->s.efer, n.s.efer, out);
    print_changed("cs", b->s.cs.selector, n.s.cs.selector, out);
    print_changed("dr0", b->d.db[0], n.d.db[0], out);
    print_changed("dr6", b->d.dr6, n.d.dr6, out);
    print_changed("dr7", b->d.dr7, n.d.dr7, out);
    if (e.exception.injected || e.nmi.injected || e.interrupt.injected || e.interrupt.shadow)
        fprintf(out, "; events %u/%u %u %u shadow %u", e.exception.injected, e.exception.nr,
                e.nmi.injected, e.interrupt.injected, e.interrupt.shadow);
}

/* One exit; true: the instruction goes on. */
static bool see_exit(const struct replay_machine *m, FILE *out)
{
    const struct kvm_run *run = m->run;

    switch (run->exit_reason) {
    case KVM_EXIT_HLT:
        return false;
    case KVM_EXIT_IO:
        answer_io(m, out);
        return true;
    case KVM_EXIT_MMIO:
        answer_mmio(m, out);
        return true;
    case KVM_EXIT_X86_RDMSR:
    case KVM_EXIT_X86_WRMSR:
        answer_msr(m, out);
        return true;
    case KVM_EXIT_INTERNAL_ERROR:
        fprintf(out, "; internal error %u", run->internal.suberror);
        return false;
    default:
        fprintf(out, "; exit %u", run->exit_reason);
        return false;
    }
}

static void run_insn(const struct replay_machine *m, enum replay_op op, FILE *out)
{
    const struct replay_insn *insn = &replay_insns[op];
    uint8_t code[8] = { 0 };
    struct seen before;
    struct kvm_regs r;
    long result = 0;

    draw_registers(op, &r);
    memcpy(code, insn->bytes, insn->n);
    code[insn->n] = 0xf4; /* HLT: it has ended */
    m->write(m->context, REPLAY_CODE, code, sizeof(code));
    fprintf(out, "%s: rax 0x%llx rbx 0x%llx rcx 0x%llx rdx 0x%llx", insn->name, r.rax, r.rbx, r.rcx,
            r.rdx);
    if (call(m, KVM_SET_REGS, &r, sizeof(r))) {
        fputc('\n', out);
        return;
    }
    see_state(m, &before);
    for (unsigned i = 0; i < EXITS_MAX; i++) {
        result = call(m, KVM_RUN, NULL, 0);
        if (result || !see_exit(m, out))
            break;
    }
    if (result)
        fprintf(out, "; KVM_RUN: %ld", result);
    print_state(m, &before, out);
    fputc('\n', out);
}

bool replay_run(const struct replay_machine *machine, unsigned n, FILE *out)
{
    bool msr_exits;

    state = 0x9e3779b97f4a7c15 * (n + 1);
    msr_exits = draw(2);
    if (!set_up(machine, msr_exits))
        return false;
    fprintf(out, "program %u%s\n", n, msr_exits ? ", MSRs to userspace" : "");
    for (unsigned i = 8 + draw(8); i; i--)
        run_insn(machine, draw(REPLAY_OPS), out);
    return true;
}
