// SPDX-License-Identifier: Apache-2.0
/*
 * The processor that executes programs on the simulated machine: instructions of the table alone,
 * in 64-bit code of CPL 0, with the intercepts that the VMCB asks for; the rest it does by itself,
 * exceptions through the IDT too. In the module's language. Trusts the program, which is ours.
 */
#include "core/bawn.h"
#include "svm/svm.h"

#include "fuzz/sim/sim.h"
#include "fuzz/sim/svm.h"
#include "fuzz/sim/vm.h"

#include "machine.h"

#define NPF_FINAL (1ull << 32) /* EXITINFO1: the translation of the guest's own address */
#define NPF_WRITE 2u
#define NPF_USER 4u
#define NPF_FETCH 16u
#define IO_IN 1u
#define IO_SIZE_SHIFT 4
#define IO_ADDRESS_64 (1u << 9)
#define CR0_NATIVE 0xaull /* MP and TS: other changes exit */

struct cpu {
    struct sim_entry *entry;
    struct sim_svm_state s;
    struct sim_svm_exit x;
    const struct replay_insn *insn;
};

static bool intercepted(const struct cpu *c, unsigned int bit)
{
    return test_bit(bit, (const unsigned long *)c->entry->vmcb->control.intercepts);
}

/* Leaves with the code; true always. */
static bool leave(struct cpu *c, u32 code, u64 info1, u64 info2)
{
    c->x.code = code;
    c->x.info1 = info1;
    c->x.info2 = info2;
    c->x.next_rip = c->s.rip + (c->insn ? c->insn->n : 0);
    return true;
}

static bool go_on(struct cpu *c)
{
    c->s.rip += c->insn->n;
    c->s.shadow = false;
    return false;
}

/* ---- Exceptions ---- */

static bool has_error(u8 vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* AMD APM vol. 2, 8.9: the frame, then the gate's address. True: the stack is not there yet. */
static bool deliver(struct cpu *c, u8 vector, u32 error, u32 event)
{
    u64 frame[6] = { error,
                     c->s.rip,
                     REPLAY_CODE_SELECTOR,
                     c->s.rflags | (vector == 1 || vector == 3 ? 0 : X86_EFLAGS_RF),
                     c->s.rsp,
                     REPLAY_DATA_SELECTOR };
    int first = has_error(vector) ? 0 : 1, i;
    u64 sp = (c->s.rsp & ~15ull) - 8ull * (unsigned int)(6 - first);

    if (!sim_guest(c->entry->vcpu, sp, true, false)) {
        c->x.event = event;
        c->x.event_error = error;
        return leave(c, SVM_EXIT_NPF, NPF_FINAL | NPF_USER | NPF_WRITE, sp);
    }
    for (i = first; i < 6; i++)
        memcpy(sim_guest(c->entry->vcpu, sp + 8ull * (unsigned int)(i - first), true, false),
               &frame[i], sizeof(frame[i]));
    c->s.rsp = sp;
    c->s.rip = REPLAY_HANDLERS + vector;
    c->s.rflags &= ~(u64)(X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_RF | X86_EFLAGS_NT);
    return false;
}

static bool raise(struct cpu *c, u8 vector)
{
    u32 event = SIM_EVENT_VALID | SIM_EVENT_EXCEPTION | vector;

    return deliver(c, vector, 0, event | (has_error(vector) ? SIM_EVENT_HAS_ERROR : 0));
}

/* ---- Instructions: true when they leave ---- */

static bool ud(struct cpu *c)
{
    return raise(c, 6);
}

static bool io(struct cpu *c, u16 port, unsigned int size, bool in)
{
    u64 info = (u64)port << 16 | IO_ADDRESS_64 | size << IO_SIZE_SHIFT | (in ? IO_IN : 0);

    return leave(c, SVM_EXIT_IOIO, info, c->s.rip + c->insn->n);
}

static bool device(struct cpu *c, bool write)
{
    return leave(c, SVM_EXIT_NPF, NPF_FINAL | NPF_USER | (write ? NPF_WRITE : 0),
                 c->entry->gpr[VCPU_RBX]);
}

static bool read_cr0(struct cpu *c)
{
    if (intercepted(c, INTERCEPT_CR0_READ))
        return leave(c, SVM_EXIT_READ_CR0, 0, 0);
    c->s.rax = c->s.cr0;
    return go_on(c);
}

static bool write_cr0(struct cpu *c)
{
    if (intercepted(c, INTERCEPT_CR0_WRITE))
        return leave(c, SVM_EXIT_WRITE_CR0, 0, 0);
    if ((c->s.rax ^ c->s.cr0) & ~(CR0_NATIVE | X86_CR0_ET))
        return leave(c, SVM_EXIT_CR0_SEL_WRITE, 0, 0);
    c->s.cr0 = c->s.rax | X86_CR0_ET;
    return go_on(c);
}

static bool set_xcr(struct cpu *c)
{
    return c->s.cr4 & X86_CR4_OSXSAVE ? leave(c, SVM_EXIT_XSETBV, 0, 0) : ud(c);
}

/* A trap; but it has not ended when its frame cannot be written yet. */
static bool int3(struct cpu *c)
{
    u64 rip = c->s.rip;

    c->s.rip += c->insn->n;
    if (!raise(c, 3))
        return false;
    c->s.rip = rip;
    return true;
}

static bool execute(struct cpu *c, enum replay_op op)
{
    u16 dx = (u16)c->entry->gpr[VCPU_RDX];

    switch (op) {
    case REPLAY_CPUID:
        return leave(c, SVM_EXIT_CPUID, 0, 0);
    case REPLAY_RDMSR:
        return leave(c, SVM_EXIT_MSR, 0, 0);
    case REPLAY_WRMSR:
        return leave(c, SVM_EXIT_MSR, 1, 0);
    case REPLAY_IN8:
        return io(c, 0x60, 1, true);
    case REPLAY_IN16:
        return io(c, dx, 2, true);
    case REPLAY_IN32:
        return io(c, dx, 4, true);
    case REPLAY_OUT8:
        return io(c, 0x80, 1, false);
    case REPLAY_OUT32:
        return io(c, dx, 4, false);
    case REPLAY_HLT:
        return leave(c, SVM_EXIT_HLT, 0, 0);
    case REPLAY_LOAD8:
    case REPLAY_LOAD32:
    case REPLAY_LOAD64:
    case REPLAY_LOADZ:
        return device(c, false);
    case REPLAY_STORE8:
    case REPLAY_STORE16:
    case REPLAY_STORE64:
    case REPLAY_OR:
        return device(c, true);
    case REPLAY_READ_CR0:
        return read_cr0(c);
    case REPLAY_WRITE_CR0:
        return write_cr0(c);
    case REPLAY_WRITE_CR4:
        return leave(c, SVM_EXIT_WRITE_CR4, 0, 0);
    case REPLAY_WRITE_CR8:
        return leave(c, SVM_EXIT_WRITE_CR8, 0, 0);
    case REPLAY_READ_DR0:
        return leave(c, SVM_EXIT_READ_DR0, 0, 0);
    case REPLAY_READ_DR6:
        return leave(c, SVM_EXIT_READ_DR6, 0, 0);
    case REPLAY_READ_DR7:
        return leave(c, SVM_EXIT_READ_DR7, 0, 0);
    case REPLAY_WRITE_DR0:
        return leave(c, SVM_EXIT_WRITE_DR0, 0, 0);
    case REPLAY_WRITE_DR7:
        return leave(c, SVM_EXIT_WRITE_DR7, 0, 0);
    case REPLAY_VMMCALL:
        return leave(c, SVM_EXIT_VMMCALL, 0, 0);
    case REPLAY_XSETBV:
        return set_xcr(c);
    case REPLAY_INT3:
        return int3(c);
    case REPLAY_PAUSE: /* the filter counts many of them */
        return go_on(c);
    case REPLAY_WBINVD:
        return leave(c, SVM_EXIT_WBINVD, 0, 0);
    case REPLAY_RDPMC:
        return leave(c, SVM_EXIT_RDPMC, 0, 0);
    default: /* VMCALL is Intel's, UD2 is none */
        return ud(c);
    }
}

static bool step(struct cpu *c)
{
    const u8 *code = sim_guest(c->entry->vcpu, c->s.rip, false, false);
    unsigned int op;

    c->insn = NULL;
    if (!code)
        return leave(c, SVM_EXIT_NPF, NPF_FINAL | NPF_USER | NPF_FETCH, c->s.rip);
    for (op = 0; op < REPLAY_OPS; op++) {
        c->insn = &replay_insns[op];
        if (!memcmp(code, c->insn->bytes, c->insn->n))
            return execute(c, op);
    }
    sim_fault(SIM_STATE, "no instruction of a program at %#llx: %02x", (u64)c->s.rip, *code);
}

static void run(void *context, struct sim_entry *entry)
{
    struct cpu c = { .entry = entry };
    u32 event = sim_svm_injected(entry);
    bool left = false;

    (void)context;
    sim_svm_get(entry, &c.s);
    if (event)
        left = deliver(&c, (u8)event, sim_svm_injected_error(entry), event);
    while (!left)
        left = step(&c);
    sim_svm_set(entry, &c.s);
    sim_svm_leave(entry, &c.x);
}

/* ---- The machine ---- */

static struct sim_vm vm;

static long do_call(void *context, bool of_vcpu, unsigned long request, void *argument, size_t n)
{
    int fd = of_vcpu ? vm.vcpu[0] : vm.fd;

    (void)context;
    return n ? sim_vm_call(&vm, fd, request, argument, n) : sim_ioctl(fd, request, 0);
}

static void do_write(void *context, uint64_t gpa, const void *from, size_t n)
{
    (void)context;
    sim_vm_put(&vm, gpa, from, n);
}

static void do_read(void *context, uint64_t gpa, void *to, size_t n)
{
    (void)context;
    sim_peek(vm.memory + gpa, to, n);
}

void replay_start(void)
{
    static const struct sim_options options = { .backend = SIM_SVM };

    sim_start(&options);
}

bool replay_program(unsigned int n, FILE *out)
{
    struct replay_machine machine = { .call = do_call, .write = do_write, .read = do_read };
    bool ok = sim_vm_create(&vm, KVM_X86_DEFAULT_VM) && sim_vm_add_vcpu(&vm);

    if (ok) {
        machine.run = vm.run[0];
        machine.pio = vm.pio[0];
        sim_set_guest(run, NULL);
        ok = replay_run(&machine, n, out);
    }
    sim_reset();
    return ok;
}
