// SPDX-License-Identifier: Apache-2.0
/*
 * What the target's guest does, as code: the simulation is told an exit, a real guest has to run
 * the instruction that leaves it. Registers are loaded before each, by the code too. Where the
 * guest is elsewhere than the vCPU's RIP says (paging, a segment's base), something else runs,
 * which is as good.
 * Two things of the target's machine are made fit for real guests: see begin().
 */
#include <string.h>
#include <sys/ioctl.h>

#include <linux/kvm.h>

#include "fuzz/sim/neutral.h"
#include "fuzz/sim/vm.h"

#include "lab.h"

#define EXITS_MAX 16
#define GPRS 16
#define INSN_MAX 10

static sim_guest_fn guest_fn;
static void *guest_context;
static uint64_t memory, memory_size;

/* Of the calling thread, while its guest is asked. */
struct work {
    struct sim_entry entry; /* first: of which the target has the address */
    uint64_t gpr[GPRS], loaded[GPRS];
    struct kvm_regs regs;
    unsigned bits; /* 16, 32, 64 */
    bool left;
    size_t n;
    uint8_t code[1024];
};

void sim_set_guest(sim_guest_fn fn, void *context)
{
    guest_fn = fn;
    guest_context = context;
}

void lab_guest_memory(uint64_t address, uint64_t size)
{
    memory = address;
    memory_size = size;
}

void *sim_guest(struct bawn_vcpu *vcpu, uint64_t gpa, bool write, bool private)
{
    (void)vcpu;
    if (private || gpa >= memory_size || !lab_mapped(memory + gpa, 1, write))
        return NULL;
    return sim_user(memory + gpa);
}

static struct work *work_of(const struct sim_entry *entry)
{
    return (struct work *)(uintptr_t)entry;
}

/* In the order in which instructions number them. */
static __u64 *reg(struct kvm_regs *r, unsigned i)
{
    __u64 *const at[GPRS] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp,
                              &r->rsi, &r->rdi, &r->r8,  &r->r9,  &r->r10, &r->r11,
                              &r->r12, &r->r13, &r->r14, &r->r15 };

    return at[i];
}

/* ---- Code ---- */

static void emit(struct work *w, const void *bytes, size_t n)
{
    if (n > sizeof(w->code) - 1 - w->n)
        return;
    memcpy(w->code + w->n, bytes, n);
    w->n += n;
}

#define EMIT(w, ...) \
    emit(w, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* mov $value, %register */
static void load(struct work *w, unsigned i, uint64_t value)
{
    uint8_t insn[INSN_MAX];
    size_t n = 0;

    if (w->bits < 64 && i >= 8)
        return;
    if (w->bits == 16)
        insn[n++] = 0x66;
    if (w->bits == 64)
        insn[n++] = (uint8_t)(0x48 | (i >> 3));
    insn[n++] = (uint8_t)(0xb8 | (i & 7));
    memcpy(insn + n, &value, w->bits == 64 ? 8 : 4);
    emit(w, insn, n + (w->bits == 64 ? 8 : 4));
}

static void load_changed(struct work *w)
{
    for (unsigned i = 0; i < GPRS; i++)
        if (w->gpr[i] != w->loaded[i]) {
            load(w, i, w->gpr[i]);
            w->loaded[i] = w->gpr[i];
        }
}

static void emit_io(struct work *w, const struct sim_neutral_exit *x)
{
    unsigned size = x->what % 3;
    uint8_t op = x->flags & SIM_N_STRING ? 0x6c : 0xec;

    if (!(x->flags & SIM_N_IN))
        op |= 2;
    w->gpr[2] = x->address & 0xffff;
    load_changed(w);
    if (x->flags & SIM_N_STRING && x->flags & SIM_N_REP)
        EMIT(w, 0xf3);
    if ((size == 1) == (w->bits != 16) && size)
        EMIT(w, 0x66);
    EMIT(w, (uint8_t)(op | (size != 0)));
}

/* The instruction stands where the code goes on, if flags have bit 7; else a plain access. */
static void emit_access(struct work *w, const struct sim_neutral_exit *x)
{
    uint8_t insn[INSN_MAX] = { 0x8b, 0x03 };
    uint64_t rip = (w->regs.rip + w->n) & (memory_size - 1);
    size_t n = 2;

    if (x->flags & 0x80 && sim_peek(memory + rip, insn, sizeof(insn)))
        n = sizeof(insn);
    w->gpr[3] = x->address;
    load_changed(w);
    emit(w, insn, n);
}

static void emit_register(struct work *w, const struct sim_neutral_exit *x, bool debug)
{
    unsigned from = x->flags >> 1 & 7;

    if (x->flags & 1) {
        w->gpr[from] = x->value;
        load_changed(w);
    }
    EMIT(w, 0x0f, (uint8_t)(0x20 | debug | (x->flags & 1) << 1),
         (uint8_t)(0xc0 | (x->what & 7) << 3 | from));
}

/* Those that are the same bytes each time. */
static const struct {
    uint8_t n, bytes[4];
} plain[SIM_N_KINDS] = {
    [SIM_N_INTR] = { 2, { 0xeb, 0xfe } }, /* on the spot, until somebody comes */
    [SIM_N_NMI] = { 1, { 0xcf } },        /* iret */
    [SIM_N_HANDLED] = { 1, { 0x90 } },
    [SIM_N_CPUID] = { 2, { 0x0f, 0xa2 } },
    [SIM_N_HLT] = { 1, { 0xf4 } },
    [SIM_N_HYPERCALL] = { 3, { 0x0f, 0x01, 0xd9 } },
    [SIM_N_PAUSE] = { 2, { 0xf3, 0x90 } },
    [SIM_N_IRQ_WINDOW] = { 2, { 0xfb, 0x90 } }, /* sti */
    [SIM_N_NMI_WINDOW] = { 1, { 0xcf } },
    [SIM_N_XSETBV] = { 3, { 0x0f, 0x01, 0xd1 } },
    [SIM_N_NOP] = { 2, { 0x0f, 0x08 } },      /* invd */
    [SIM_N_UD] = { 3, { 0x0f, 0x01, 0xd8 } }, /* vmrun */
    [SIM_N_GP] = { 3, { 0x0f, 0x01, 0xda } }, /* vmload */
    [SIM_N_VMGEXIT] = { 4, { 0xf3, 0x0f, 0x01, 0xd9 } },
    [SIM_N_SHUTDOWN] = { 3, { 0x0f, 0x01, 0x1b } }, /* lidt (%rbx) */
    [SIM_N_FAIL_ENTRY] = { 2, { 0x0f, 0x09 } },     /* wbinvd */
    [SIM_N_UNKNOWN] = { 2, { 0x0f, 0xaa } },        /* rsm */
};

void sim_neutral_leave(struct sim_entry *entry, const struct sim_neutral_exit *x)
{
    struct work *w = work_of(entry);

    w->left = true;
    switch ((enum sim_neutral_kind)x->kind) {
    case SIM_N_IO:
        emit_io(w, x);
        return;
    case SIM_N_NPF:
        emit_access(w, x);
        return;
    case SIM_N_CR:
    case SIM_N_DR:
        emit_register(w, x, x->kind == SIM_N_DR);
        return;
    case SIM_N_MSR:
        load_changed(w);
        EMIT(w, 0x0f, x->what & 1 ? 0x30 : 0x32);
        return;
    case SIM_N_EXCEPTION:
        load_changed(w);
        if (x->what % 32 == 6)
            EMIT(w, 0x0f, 0x0b); /* ud2 */
        else
            EMIT(w, 0xcd, x->what); /* int */
        return;
    default:
        load_changed(w);
        if (x->kind < SIM_N_KINDS)
            emit(w, plain[x->kind].bytes, plain[x->kind].n);
    }
}

/* ---- State without an exit ---- */

void sim_neutral_get(const struct sim_entry *entry, struct sim_neutral_state *state)
{
    const struct work *w = work_of(entry);

    *state = (struct sim_neutral_state){ .rip = w->regs.rip + w->n, .rflags = w->regs.rflags };
}

/* RIP before any code alone: after it, the code is where the guest is. */
void sim_neutral_set(struct sim_entry *entry, const struct sim_neutral_state *state)
{
    struct work *w = work_of(entry);
    uint32_t flags = (uint32_t)state->rflags;

    if (!w->n) {
        w->regs.rip = state->rip;
        w->regs.rflags = state->rflags;
    } else if (state->rflags != w->regs.rflags) {
        EMIT(w, 0x68, (uint8_t)flags, (uint8_t)(flags >> 8), (uint8_t)(flags >> 16),
             (uint8_t)(flags >> 24), 0x9d); /* push, popf */
    }
    if (state->shadow)
        EMIT(w, 0xfb); /* sti */
}

/* ---- The whole ---- */

/* sim_vm_long_mode() maps the first 2 MiB, for the simulation looks at no tables. Here: 4 GiB, so
 * that what is a device's is reached. */
static void map_devices(void)
{
    const uint64_t directory = memory + SIM_VM_TABLES + 0x2000, pointers = directory - 0x1000;
    uint64_t entry[512];

    if (memory_size < SIM_VM_MEMORY || !sim_peek(directory, entry, sizeof(entry)) ||
        entry[0] != 0x87 || entry[1])
        return;
    for (uint64_t i = 0; i < 512; i++)
        entry[i] = i << 21 | 0x87;
    sim_poke(directory, entry, sizeof(entry));
    for (uint64_t i = 1; i < 4; i++)
        entry[i] = i << 30 | 0x87;
    sim_poke(pointers + sizeof(entry[0]), &entry[1], 3 * sizeof(entry[0]));
}

/* After reset there is nothing where the first instruction is fetched from. */
static void leave_reset(const struct work *w, int vcpu, struct kvm_sregs *s)
{
    if (w->bits != 16 || s->cs.base + w->regs.rip < memory_size)
        return;
    s->cs.base = 0;
    s->cs.selector = 0;
    ioctl(vcpu, KVM_SET_SREGS, s);
}

static bool begin(struct work *w, int vcpu)
{
    struct kvm_sregs s;

    memset(w, 0, sizeof(*w));
    if (ioctl(vcpu, KVM_GET_REGS, &w->regs) || ioctl(vcpu, KVM_GET_SREGS, &s))
        return false;
    w->bits = s.efer & 0x400 && s.cs.l ? 64 : s.cr0 & 1 && s.cs.db ? 32 : 16;
    leave_reset(w, vcpu, &s);
    if (w->bits == 64)
        map_devices();
    for (unsigned i = 0; i < GPRS; i++)
        w->gpr[i] = w->loaded[i] = *reg(&w->regs, i);
    w->entry.gpr = w->gpr;
    return true;
}

void lab_guest_code(int vcpu)
{
    struct work w;
    struct kvm_regs before;
    unsigned exits;

    if (!guest_fn || !memory || !begin(&w, vcpu))
        return;
    before = w.regs;
    for (exits = 0; exits < EXITS_MAX; exits++) {
        w.left = false;
        guest_fn(guest_context, &w.entry);
        if (!w.left)
            break;
    }
    if (!w.n)
        return; /* it runs what is there */
    w.code[w.n++] = 0xf4;
    sim_poke(memory + (w.regs.rip & (memory_size - 1)), w.code, w.n);
    if (memcmp(&before, &w.regs, sizeof(before)))
        ioctl(vcpu, KVM_SET_REGS, &w.regs);
}
