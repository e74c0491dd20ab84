// SPDX-License-Identifier: Apache-2.0
/*
 * The calls of /dev/bawn: sequences over several descriptors and tasks, on a machine whose guests
 * leave neutral exits. Trusts nothing: what userspace must not be able to do is a finding.
 *
 * Input: u8 machine (MACHINE_*), u8 n and n bytes that decide where tasks are switched, then steps
 * until it ends. A step's first byte: below FIRST_STEP a call, the byte modulo the length of
 * calls[] (ioctl_table.h); from there on a step of steps[], numbered from FIRST_STEP on.
 *   a call: u8 file, then its argument by its style. file: FILE_INDEX which one of the object's
 *     descriptors (modulo how many), FILE_WRONG another object's, FILE_PLACE where the argument
 *     stands, FILE_OTHER by a process with another address space.
 *   the other steps: at their functions.
 * A guest's script is a part of the input, given when KVM_RUN is called: bytes as guest() says.
 * Smoke: 5000 runs.
 */
#include <string.h>

#include "fuzz/sim/neutral.h"
#include "fuzz/sim/sim.h"
#include "fuzz/sim/vm.h"

#include "common.h"
#include "ioctl_table.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MACHINE_MADE 0x03 /* nothing, a VM, a VM with one vCPU, with two */
#define MACHINE_IRQCHIP 0x04
#define MACHINE_LONG 0x08
#define MACHINE_PROTECTED 0x10 /* else as after reset */
#define MACHINE_PRIVATE 0x20   /* KVM_X86_SW_PROTECTED_VM */
#define MACHINE_X2APIC 0x40
#define MACHINE_MEASURED 0x80

#define FIRST_STEP 0xb0

#define FILE_INDEX 0x07
#define FILE_WRONG 0x08
#define FILE_PLACE 0x70
#define FILE_OTHER 0x80
#define PLACE(file) (((file)&FILE_PLACE) >> 4)

#define FILES_MAX 8u /* of one object; then the oldest is forgotten */
#define FDS_MAX 256
#define VMS_MAX 32u
#define VCPUS_MAX 64u
#define STEPS_MAX 300u
#define TASKS_MAX 4
#define SCRATCH 0x10000u
#define HOLE 0x7f0000000ull /* where nothing is mapped */
#define KERNEL 0xffff888000000000ull

/* ---- What there is ---- */

static struct {
    int fd[FILES_MAX];
    unsigned made; /* the last FILES_MAX of them are known */
} files[OBJECTS];

static struct vm_info vms[VMS_MAX];
static unsigned vms_made;
static struct vcpu_file {
    uint64_t run; /* the shared page */
    struct vcpu_info info;
    unsigned vm;
    bool touched; /* some state was set, or it ran */
} vcpus[VCPUS_MAX];
static unsigned vcpus_made;
/* By descriptor, of which several may be one vCPU's. */
static unsigned vcpu_of[FDS_MAX], vm_of[FDS_MAX];

struct task {
    struct sim_input in, script;
    uint64_t scratch;
};
static struct task tasks[TASKS_MAX], spawned[TASKS_MAX];
static unsigned nr_spawned;
static struct sim_vm vm; /* the prepared one */
static uint64_t second, read_only, buffers, read_only_buffer;
static unsigned steps_done;
static struct offered_cpuid offered;

static struct task *me(void)
{
    return &tasks[sim_task()];
}

static void keep(enum object object, int fd)
{
    if (fd >= 0)
        files[object].fd[files[object].made++ % FILES_MAX] = fd;
}

static int file_of(enum object object, unsigned i)
{
    unsigned n = files[object].made < FILES_MAX ? files[object].made : FILES_MAX;

    return n ? files[object].fd[i % n] : -1;
}

static struct vcpu_file *vcpu_at(int fd)
{
    return &vcpus[fd >= 0 && fd < FDS_MAX ? vcpu_of[fd] : 0];
}

/* ---- Values ---- */

static uint64_t raw(struct sim_input *in, unsigned size)
{
    uint64_t v = 0;

    sim_bytes(in, &v, size < sizeof(v) ? size : sizeof(v));
    return v;
}

static uint64_t user_address(uint8_t which)
{
    const uint64_t at[] = { vm.memory,
                            second,
                            vm.memory + 0x1000,
                            vm.memory + 0x100000,
                            second + 0x1ff000,
                            read_only,
                            vcpu_at(file_of(VCPU, 0))->run,
                            HOLE,
                            0,
                            vm.memory + 0x1ff000,
                            vm.memory + 0x800,
                            KERNEL,
                            1ull << 46,
                            0x7fffffe00000 };

    return at[which % NELEM(at)];
}

/* Never in an argument, which must not be read twice. */
static uint64_t buffer_address(uint8_t which)
{
    const uint64_t at[] = { buffers,
                            buffers + SCRATCH - 8,
                            buffers + SCRATCH - 64,
                            read_only_buffer,
                            vm.memory,
                            HOLE,
                            0,
                            KERNEL };

    return at[which % NELEM(at)];
}

static bool an_argument(uint64_t address)
{
    for (unsigned i = 0; i < TASKS_MAX; i++)
        if (tasks[i].scratch && address + SCRATCH - tasks[i].scratch < 2 * SCRATCH)
            return true;
    return address - read_only < 0x1000;
}

static uint64_t value(struct sim_input *in, enum kind kind, unsigned size)
{
    uint8_t b;

    if (kind == K_RAW)
        return raw(in, size);
    b = sim_u8(in);
    if (kind == K_EVENTFD)
        return b & 0x80 ? b - 0xf0u : (uint64_t)(int64_t)file_of(EVENTFD, b);
    if (kind == K_GMEM)
        return b & 0x80 ? b - 0xf0u : (uint64_t)(int64_t)file_of(GMEM, b);
    if (b >= 0xf0) {
        uint64_t v = raw(in, size);

        return kind == K_BUFFER && an_argument(v) ? buffers : v;
    }
    if (kind == K_USER)
        return user_address(b);
    if (kind == K_BUFFER)
        return buffer_address(b);
    return kind != K_SMALL ? pools[kind].value[b % pools[kind].n] : b;
}

static void put_field(struct sim_input *in, const struct field *f, uint8_t *to)
{
    uint64_t v = value(in, f->kind, f->size);

    memcpy(to + f->at, &v, f->size < sizeof(v) ? f->size : sizeof(v));
}

static void patch(struct sim_input *in, const struct field *fields, size_t n, uint8_t *to)
{
    unsigned patches;

    for (patches = n ? sim_u8(in) % 8 : 0; patches; patches--)
        put_field(in, &fields[sim_u8(in) % n], to);
}

/* ---- Arguments ---- */

static uint8_t arguments[TASKS_MAX][SCRATCH / 2];

static size_t list_argument(struct sim_input *in, const struct call *c, uint8_t *to)
{
    uint32_t n = sim_u8(in) % 32;
    uint8_t count;

    for (uint32_t i = 0; i < n; i++)
        for (size_t f = 0; f < c->fields; f++)
            put_field(in, &c->field[f], to + c->head + i * c->size);
    count = sim_u8(in);
    if (count >= 0xf0)
        n = sim_u32(in);
    memcpy(to, &n, sizeof(n));
    return c->head + 32u * c->size;
}

static size_t cpuid_argument(struct sim_input *in, const struct call *c, uint8_t *to)
{
    memcpy(to, &offered, sizeof(offered));
    for (unsigned n = sim_u8(in) % 8; n; n--) {
        unsigned entry = sim_u8(in) % offered.head.nent;

        put_field(in, &c->field[sim_u8(in) % c->fields], to + c->head + entry * c->size);
    }
    return sizeof(offered);
}

static bool fetch(int fd, unsigned long request, uint8_t *to, size_t n)
{
    return sim_ioctl(fd, request, me()->scratch) >= 0 && sim_peek(me()->scratch, to, n);
}

/* The argument in to; how long it is. */
static size_t build_argument(struct sim_input *in, const struct call *c, int fd, uint8_t *to)
{
    memset(to, 0, sizeof(arguments[0]));
    switch ((enum style)c->style) {
    case LIST:
        return list_argument(in, c, to);
    case CPUID:
        return cpuid_argument(in, c, to);
    case PATCH:
        if (c->get && !fetch(fd, c->get, to, c->size))
            memset(to, 0, c->size);
        patch(in, c->field, c->fields, to);
        return c->size;
    default:
        for (size_t f = 0; f < c->fields; f++)
            put_field(in, &c->field[f], to);
        return c->size;
    }
}

static uint64_t place(uint8_t file, size_t n)
{
    uint64_t end = me()->scratch + SCRATCH;

    switch (PLACE(file)) {
    case 2:
        return end - n;
    case 3:
        return end - n + 1;
    case 4:
        return read_only;
    case 5:
        return HOLE;
    case 6:
        return KERNEL;
    case 7:
        return me()->scratch + 0x1000 - 4; /* across a page's border */
    default:
        return me()->scratch;
    }
}

/* ---- What calls change of what there is ---- */

static void made_vm(int fd, uint64_t type)
{
    vm_of[fd] = vms_made++ % VMS_MAX;
    vms[vm_of[fd]] = (struct vm_info){ .type = (unsigned)type };
    keep(VM, fd);
}

static void made_vcpu(int vm_fd, int fd, uint64_t id)
{
    vcpu_of[fd] = vcpus_made++ % VCPUS_MAX;
    vcpus[vcpu_of[fd]] = (struct vcpu_file){ .info.id = (uint32_t)id, .vm = vm_of[vm_fd] };
    keep(VCPU, fd);
}

static void enabled(struct vm_info *info, const struct kvm_enable_cap *cap)
{
    if (cap->cap == KVM_CAP_SPLIT_IRQCHIP) {
        info->irqchip = true;
        info->pins = cap->args[0];
    } else if (cap->cap == KVM_CAP_X2APIC_API) {
        info->x2apic |= cap->args[0];
    }
}

/* What is taken is a range, not what is left of one that wraps. */
static void judge_attributes(const uint8_t *argument)
{
    struct kvm_memory_attributes a;

    memcpy(&a, argument, sizeof(a));
    if (!a.size || a.address + a.size < a.address)
        sim_fault(SIM_STATE, "KVM_SET_MEMORY_ATTRIBUTES takes %#llx bytes from %#llx on",
                  (unsigned long long)a.size, (unsigned long long)a.address);
}

static void note_vm(const struct call *c, int fd, const uint8_t *argument, uint64_t number, long r)
{
    struct kvm_enable_cap cap;

    switch (c->request) {
    case KVM_CREATE_VCPU:
        made_vcpu(fd, (int)r, number);
        break;
    case KVM_ENABLE_CAP:
        memcpy(&cap, argument, sizeof(cap));
        enabled(&vms[vm_of[fd]], &cap);
        break;
    case KVM_SET_BOOT_CPU_ID:
        vms[vm_of[fd]].boot = (uint32_t)number;
        break;
    case KVM_CREATE_GUEST_MEMFD:
        keep(GMEM, (int)r);
        break;
    case KVM_GET_STATS_FD:
        keep(STATS, (int)r);
        break;
    case KVM_SET_MEMORY_ATTRIBUTES:
        judge_attributes(argument);
        break;
    default:
        break;
    }
}

static void note_vcpu(const struct call *c, int fd, long r)
{
    struct vcpu_file *v = vcpu_at(fd);

    if (c->request == KVM_GET_STATS_FD)
        keep(STATS, (int)r);
    else if (c->request == KVM_SET_CPUID2)
        v->info.odd |= v->touched; /* what was set before may not fit it */
    else if (c->style == PATCH || c->request == KVM_SET_MSRS)
        v->touched = true;
}

/* ---- Calls ---- */

/* u8 n: as many bytes are the script of the guest, at most what is left. */
static void take_script(void)
{
    struct task *t = me();
    size_t n = sim_u8(&t->in), left = t->in.len - t->in.at;

    if (n > left)
        n = left;
    t->script = (struct sim_input){ t->in.data + t->in.at, n, 0 };
    t->in.at += n;
}

static void note(const struct call *c, int fd, const uint8_t *argument, uint64_t number, long r)
{
    if (r < 0 || fd < 0 || fd >= FDS_MAX)
        return;
    if (c->request == KVM_CREATE_VM)
        made_vm((int)r, number);
    else if (c->object == VM)
        note_vm(c, fd, argument, number, r);
    else if (c->object == VCPU)
        note_vcpu(c, fd, r);
}

/*
 * A page that the log has before KVM_GET_DIRTY_LOG and not behind it is one that userspace was told
 * of. Other tasks may be told of it too.
 */
#define LOG_WORDS (SIM_VM_MEMORY / 0x1000 / 64)
static void get_dirty_log(int fd, uint64_t at)
{
    static uint64_t before[LOG_WORDS], after[LOG_WORDS], told[LOG_WORDS];
    struct kvm_dirty_log log;
    size_t n = 0;
    long r;

    memset(&log, 0, sizeof(log));
    if (!nr_spawned && sim_peek(at, &log, sizeof(log)))
        n = sim_dirty_log(fd, log.slot, before, LOG_WORDS);
    r = sim_ioctl(fd, KVM_GET_DIRTY_LOG, at);
    if (r || !n || sim_dirty_log(fd, log.slot, after, LOG_WORDS) != n ||
        !sim_peek((uintptr_t)log.dirty_bitmap, told, n * sizeof(told[0])))
        return;
    for (size_t i = 0; i < n; i++)
        if (before[i] & ~after[i] & ~told[i])
            sim_fault(SIM_STATE, "pages %#llx from %#zx on are lost from the dirty log",
                      (unsigned long long)(before[i] & ~after[i] & ~told[i]), i * 64);
}

static void call(uint8_t which)
{
    const struct call *c = &calls[which % NELEM(calls)];
    struct task *t = me();
    uint8_t file = sim_u8(&t->in), *argument = arguments[sim_task()];
    int right = file_of(c->object, file & FILE_INDEX), fd = right;
    uint64_t at;
    size_t n;
    long r;

    if (file & FILE_WRONG)
        fd = file_of((c->object + 1 + (file & FILE_INDEX)) % OBJECTS, 0);
    if (c->style == NUMBER) {
        at = value(&t->in, c->field[0].kind, c->field[0].size);
        if (c->request == KVM_RUN) {
            take_script();
            vcpu_at(fd)->touched = true;
        }
    } else {
        n = build_argument(&t->in, c, fd, argument);
        at = place(file, n);
        sim_poke(at, argument, n);
    }
    if (c->request == KVM_GET_DIRTY_LOG && !(file & FILE_OTHER)) {
        get_dirty_log(fd, at);
        return;
    }
    sim_other_process(file & FILE_OTHER);
    r = sim_ioctl(fd, c->request, at);
    sim_other_process(false);
    if (fd == right)
        note(c, fd, argument, at, r);
}

/* ---- Other steps; each takes what its comment says ---- */

/* u8: object, index << 3. */
static int some_file(struct sim_input *in)
{
    uint8_t b = sim_u8(in);

    return file_of((b & 7) % OBJECTS, b >> 3);
}

/* The file; u8 bit 0: by the other process. */
static void step_close(struct sim_input *in)
{
    int fd = some_file(in);

    sim_other_process(sim_u8(in) & 1);
    sim_close(fd);
    sim_other_process(false);
}

static void step_dup(struct sim_input *in)
{
    uint8_t b = sim_u8(in);
    enum object object = (b & 7) % OBJECTS;
    int fd = file_of(object, b >> 3), copy = sim_dup(fd);

    if (copy < 0)
        return;
    vcpu_of[copy] = vcpu_of[fd];
    vm_of[copy] = vm_of[fd];
    keep(object, copy);
}

/* u8: which vCPU; u8: pages | offset << 4. */
static void step_mmap(struct sim_input *in)
{
    int fd = file_of(VCPU, sim_u8(in));
    uint8_t b = sim_u8(in);
    uint64_t at = sim_mmap(fd, ((b & 15u) + 1) * 0x1000, (uint64_t)(b >> 4) * 0x1000);

    if (at && b == 1)
        vcpu_at(fd)->run = at;
}

/* u8: which vCPU; patches of run_fields[]. */
static void step_run_page(struct sim_input *in)
{
    struct vcpu_file *v = vcpu_at(file_of(VCPU, sim_u8(in)));
    unsigned patches;

    for (patches = sim_u8(in) % 8; patches; patches--) {
        const struct field *f = &run_fields[sim_u8(in) % NELEM(run_fields)];
        uint64_t x = value(in, f->kind, f->size);

        v->touched = true;
        sim_poke(v->run + f->at, &x, f->size < sizeof(x) ? f->size : sizeof(x));
    }
}

/* u8: index of K_USER, u8: of K_SIZE. */
static void step_unmap(struct sim_input *in)
{
    uint64_t at = value(in, K_USER, 8), size = value(in, K_SIZE, 8);

    if (!((at | size) & 0xfff))
        sim_unmap(at, size);
}

static void step_map(struct sim_input *in)
{
    uint64_t at = value(in, K_USER, 8), size = value(in, K_SIZE, 8);

    if (!((at | size) & 0xfff))
        sim_map_at(at, size);
}

static void step_protect(struct sim_input *in)
{
    uint64_t at = value(in, K_USER, 8), size = value(in, K_SIZE, 8);
    bool writable = sim_u8(in) & 1;

    if (!((at | size) & 0xfff))
        sim_protect(at, size, writable);
}

/* u8: page of the memory. */
static void step_migrate(struct sim_input *in)
{
    sim_migrate(vm.memory + sim_u8(in) * 0x1000ull);
}

/* u8: index of K_USER. */
static void step_collapse(struct sim_input *in)
{
    sim_collapse(value(in, K_USER, 8));
}

/* u8: index of K_USER, u8: of K_SIZE; u8: how. */
static void step_age(struct sim_input *in)
{
    uint64_t at = value(in, K_USER, 8), size = value(in, K_SIZE, 8);

    sim_age(at, size, sim_u8(in) % (SIM_AGE_CLEAR_FLUSH + 1));
}

static void step_fail_alloc(struct sim_input *in)
{
    sim_fail_alloc(sim_u8(in));
}

static void step_fail_copy(struct sim_input *in)
{
    sim_fail_copy(sim_u16(in));
}

static void step_time(struct sim_input *in)
{
    uint64_t ns = value(in, K_TIME, 4);

    sim_advance(ns < 10000000000ull ? ns : 10000000000ull);
}

static void step_eventfd(struct sim_input *in)
{
    keep(EVENTFD, sim_eventfd(sim_u8(in) & 3));
}

static void step_write(struct sim_input *in)
{
    int fd = file_of(EVENTFD, sim_u8(in));
    uint64_t count = value(in, K_TIME, 8);

    sim_write(fd, &count, sizeof(count));
}

/* The file; u16: how much. */
static void step_read(struct sim_input *in)
{
    static uint8_t to[0x2000];
    int fd = some_file(in);

    sim_read(fd, to, sim_u16(in) % sizeof(to));
}

/* u8: which guest_memfd; u8: mode; offset and size by K_GPA and K_SIZE. */
static void step_fallocate(struct sim_input *in)
{
    int fd = file_of(GMEM, sim_u8(in)), mode = sim_u8(in) & 7;
    uint64_t offset = value(in, K_GPA, 8), size = value(in, K_SIZE, 8);

    sim_fallocate(fd, mode, offset, size);
}

static void step_poll(struct sim_input *in)
{
    sim_poll(some_file(in));
}

static void steps(struct sim_input *in);

static void task_main(void *argument)
{
    struct task *t = me();

    *t = *(struct task *)argument;
    t->scratch = sim_map(SCRATCH);
    steps(&t->in);
}

/* u8 n: n bytes are the steps of another task; at most TASKS_MAX - 1 of them in all. */
static void step_spawn(struct sim_input *in)
{
    size_t n = sim_u8(in), left = in->len - in->at;
    struct task *t = &spawned[nr_spawned];

    if (n > left)
        n = left;
    t->in = (struct sim_input){ in->data + in->at, n, 0 };
    in->at += n;
    if (nr_spawned < TASKS_MAX - 1 && sim_spawn(task_main, t) > 0)
        nr_spawned++;
}

static void step_join(struct sim_input *in)
{
    (void)in;
    if (sim_task() == 0)
        sim_join_all();
}

static void step_signal(struct sim_input *in)
{
    sim_signal(sim_u8(in) % TASKS_MAX);
}

static void step_yield(struct sim_input *in)
{
    (void)in;
    sim_yield();
}

/* u8: which vCPU. Its state, in a new vCPU of another VM, is the same. */
static void step_snapshot(struct sim_input *in)
{
    int fd = file_of(VCPU, sim_u8(in));
    struct vcpu_file *v = vcpu_at(fd);

    if (sim_task() != 0 || fd < 0 || v->info.odd)
        return;
    sim_join_all();
    sim_fail_alloc(UINT32_MAX);
    sim_fail_copy(UINT32_MAX);
    snapshot_check(file_of(DEV, 0), fd, &vms[v->vm], &v->info, me()->scratch);
}

/* u16: where in the memory; u8 n % 65 bytes. */
static void step_memory(struct sim_input *in)
{
    uint8_t bytes[64];
    uint64_t at = vm.memory + sim_u16(in) * 0x20ull;
    unsigned n = sim_u8(in) % 65;

    sim_bytes(in, bytes, n);
    sim_poke(at, bytes, n);
}

static void step_open(struct sim_input *in)
{
    (void)in;
    keep(DEV, sim_open());
}

static void (*const other_steps[])(struct sim_input *in) = {
    step_close, step_dup,        step_mmap,      step_run_page, step_unmap,
    step_map,   step_protect,    step_migrate,   step_time,     step_eventfd,
    step_write, step_read,       step_fallocate, step_poll,     step_spawn,
    step_join,  step_signal,     step_yield,     step_snapshot, step_memory,
    step_open,  step_fail_alloc, step_fail_copy, step_collapse, step_age,
};

static void steps(struct sim_input *in)
{
    while (sim_more(in) && steps_done < STEPS_MAX) {
        uint8_t b = sim_u8(in);

        steps_done++;
        if (b < FIRST_STEP)
            call(b);
        else
            other_steps[(b - FIRST_STEP) % NELEM(other_steps)](in);
    }
}

/* ---- The guest ---- */

static void set_gpr(struct sim_entry *entry, struct sim_input *in, unsigned i)
{
    entry->gpr[i & 15] = value(in, K_VALUE, 8);
}

/* u8: an instruction; where it stands the guest's code is, as the process has it. */
static uint8_t put_instruction(struct sim_entry *entry, struct sim_input *in)
{
    unsigned i = sim_u8(in) % NELEM(instructions);
    struct sim_neutral_state s;

    sim_neutral_get(entry, &s);
    sim_poke(vm.memory + (s.rip & (SIM_VM_MEMORY - 1)), instructions[i].bytes, instructions[i].n);
    return instructions[i].n;
}

/* After the kind, by kind: as read here. */
static void leave(struct sim_entry *entry, struct sim_input *in, uint8_t kind)
{
    struct sim_neutral_exit x = { .kind = kind, .len = 2 };

    switch ((enum sim_neutral_kind)kind) {
    case SIM_N_CPUID:
        entry->gpr[0] = sim_u8(in) | (sim_u8(in) & 0xc0ull) << 24;
        entry->gpr[1] = sim_u8(in);
        break;
    case SIM_N_MSR:
        entry->gpr[1] = value(in, K_MSR, 4);
        x.what = sim_u8(in);
        if (x.what & 1) {
            set_gpr(entry, in, 0);
            entry->gpr[2] = x.what & 2 ? sim_u32(in) : 0;
        }
        break;
    case SIM_N_IO:
        x.address = value(in, K_PORT, 2);
        x.what = sim_u8(in);
        x.flags = sim_u8(in);
        if (x.what & 0x80)
            entry->gpr[1] = sim_u8(in);
        break;
    case SIM_N_NPF:
        x.address = value(in, K_GPA, 8);
        x.flags = sim_u8(in);
        if (x.flags & 0x80)
            put_instruction(entry, in);
        if (x.flags & 0x40)
            entry->gpr[3] = x.address;
        break;
    case SIM_N_EXCEPTION:
        x.what = sim_u8(in);
        x.flags = sim_u8(in);
        x.value = sim_u8(in);
        x.address = value(in, K_VALUE, 8);
        break;
    case SIM_N_CR:
        x.what = sim_u8(in);
        x.flags = sim_u8(in);
        x.value = value(in, (x.what & 15) == 0 ? K_CR0 : (x.what & 15) == 4 ? K_CR4 : K_VALUE, 8);
        break;
    case SIM_N_DR:
        x.what = sim_u8(in);
        x.flags = sim_u8(in);
        break;
    case SIM_N_XSETBV:
        entry->gpr[0] = value(in, K_XCR0, 8);
        entry->gpr[1] = sim_u8(in);
        entry->gpr[2] = 0;
        break;
    default:
        break;
    }
    sim_neutral_leave(entry, &x);
}

enum { G_GPR = SIM_N_KINDS, G_RIP, G_FLAGS, G_WRITE, G_TIME, G_SIGNAL, G_NOTHING, G_OPS = 32 };

static void set_state(struct sim_entry *entry, struct sim_input *in, uint8_t op)
{
    struct sim_neutral_state s;

    sim_neutral_get(entry, &s);
    if (op == G_RIP) {
        s.rip = value(in, K_RIP, 8);
    } else {
        s.rflags = value(in, K_FLAGS, 4);
        s.shadow = sim_u8(in) & 1;
    }
    sim_neutral_set(entry, &s);
}

static void write_guest(struct sim_entry *entry, struct sim_input *in)
{
    uint64_t gpa = value(in, K_GPA, 8);
    uint8_t *to = sim_guest(entry->vcpu, gpa, true, false);

    if (to)
        *to = sim_u8(in);
}

/* A byte: modulo G_OPS an exit, or what a guest does without one. The end: a signal to the VMM. */
static void guest(void *context, struct sim_entry *entry)
{
    struct sim_input *in = &me()->script;

    (void)context;
    while (sim_more(in)) {
        uint8_t op = sim_u8(in) % G_OPS;

        if (op < SIM_N_KINDS) {
            leave(entry, in, op);
            return;
        }
        if (op == G_GPR)
            set_gpr(entry, in, sim_u8(in));
        else if (op == G_RIP || op == G_FLAGS)
            set_state(entry, in, op);
        else if (op == G_WRITE)
            write_guest(entry, in);
        else if (op == G_TIME)
            sim_advance(sim_u16(in) * 100ull);
        else if (op == G_SIGNAL)
            sim_signal(sim_u8(in) % TASKS_MAX);
    }
    sim_signal(sim_task());
}

/* ---- The machine ---- */

static bool prepare_vm(uint8_t machine)
{
    struct kvm_enable_cap x2apic = { .cap = KVM_CAP_X2APIC_API, .args = { 3 } };
    struct kvm_enable_cap measure = { .cap = KVM_CAP_BAWN_MEASURE };
    unsigned type = machine & MACHINE_PRIVATE ? KVM_X86_SW_PROTECTED_VM : KVM_X86_DEFAULT_VM;
    struct vm_info *info;

    if (!sim_vm_create(&vm, type))
        return false;
    keep(DEV, vm.dev);
    made_vm(vm.fd, type);
    info = &vms[vm_of[vm.fd]];
    if (machine & MACHINE_IRQCHIP && sim_vm_irqchip(&vm)) {
        info->irqchip = true;
        info->pins = 24;
    }
    if (machine & MACHINE_X2APIC)
        info->x2apic = !sim_vm_call(&vm, vm.fd, KVM_ENABLE_CAP, &x2apic, sizeof(x2apic));
    if (machine & MACHINE_MEASURED)
        sim_vm_call(&vm, vm.fd, KVM_ENABLE_CAP, &measure, sizeof(measure));
    return true;
}

static bool prepare(uint8_t machine)
{
    unsigned made = machine & MACHINE_MADE, i;

    if (!made) {
        vm = (struct sim_vm){ .memory = sim_map(SIM_VM_MEMORY) };
        keep(DEV, sim_open());
        return vm.memory;
    }
    if (!prepare_vm(machine))
        return false;
    for (i = 0; i + 1 < made; i++) {
        struct vcpu_file *v;

        if (!sim_vm_add_vcpu(&vm))
            return false;
        made_vcpu(vm.fd, vm.vcpu[i], i);
        v = vcpu_at(vm.vcpu[i]);
        v->run = sim_mmap(vm.vcpu[i], 0x2000, 0);
        v->touched = i == 0 && machine & (MACHINE_LONG | MACHINE_PROTECTED);
    }
    if (made > 1 && machine & MACHINE_LONG)
        return sim_vm_long_mode(&vm, 0);
    return !(made > 1 && machine & MACHINE_PROTECTED) || sim_vm_protected_mode(&vm, 0);
}

static void take_schedule(struct sim_input *in)
{
    size_t n = sim_u8(in), left = in->len - in->at;

    if (n > left)
        n = left;
    sim_schedule(in->data + in->at, n);
    in->at += n;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct sim_options options = { .backend = SIM_NEUTRAL };

    (void)argc, (void)argv;
    sim_start(&options);
    snapshot_start(&offered);
    sim_reset();
    sim_vm_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t machine;

    memset(files, 0, sizeof(files));
    memset(tasks, 0, sizeof(tasks));
    vms_made = vcpus_made = steps_done = nr_spawned = 0;
    memset(vcpus, 0, sizeof(vcpus));
    memset(vcpu_of, 0, sizeof(vcpu_of));
    tasks[0].in = (struct sim_input){ data, size, 0 };
    tasks[0].scratch = sim_map(SCRATCH);
    second = sim_map(SIM_VM_MEMORY);
    read_only = sim_map(0x1000);
    sim_protect(read_only, 0x1000, false);
    buffers = sim_map(SCRATCH);
    read_only_buffer = sim_map(0x1000);
    sim_protect(read_only_buffer, 0x1000, false);
    sim_set_guest(guest, NULL);
    machine = sim_u8(&tasks[0].in);
    if (prepare(machine)) {
        sim_check_always(true);
        take_schedule(&tasks[0].in);
        steps(&tasks[0].in);
        sim_join_all();
    }
    sim_reset();
    return 0;
}
