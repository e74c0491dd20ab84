/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness of the lab's test programs (harness.h). Trusts nothing of the device under test
 * to come back: every test has a deadline, after which it is failed and its VMs are closed.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

#include "bawn/uapi.h"

#define KICK SIGUSR1

int lab_kvm = -1;
const char *lab_dev = "/dev/bawn";
bool lab_is_bawn;
unsigned lab_seconds = 40;

static pid_t runner;
static struct vm *vms;
static sigjmp_buf test_end;
static bool test_failed;
static const char *test_skipped, *test_row;
static int run_size;
static struct kvm_cpuid2 *cpuid_list;

/* ---- TAP ---- */

void lab_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    test_failed = true;
    flockfile(stdout);
    printf("# %s:%d: %s%s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line,
           test_row ? test_row : "", test_row ? ": " : "");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    funlockfile(stdout);
}

bool lab_failed(void)
{
    return test_failed;
}

void lab_abort(void)
{
    if (getpid() != runner) /* a test's child must not go on as a second runner */
        _exit(1);
    siglongjmp(test_end, 1);
}

void lab_skip(const char *why)
{
    test_skipped = why;
    lab_abort();
}

void lab_row(const char *name)
{
    test_row = name;
}

uint64_t lab_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

unsigned lab_slower(void)
{
    const char *slower = getenv("LAB_SLOWER");

    return slower ? (unsigned)atoi(slower) : 1;
}

static int test_seconds(void)
{
    return (int)lab_seconds * (int)lab_slower();
}

static void on_deadline(int sig)
{
    static bool again;

    (void)sig;
    if (again) { /* even closing the VMs hangs */
        static const char msg[] = "Bail out! the device does not let go of a VM\n";

        _exit(write(STDOUT_FILENO, msg, sizeof(msg) - 1) < 0 ? 2 : 1);
    }
    again = true;
    lab_fail(__FILE__, __LINE__, "not finished after %d s", test_seconds());
    lab_abort();
}

static void on_kick(int sig)
{
    (void)sig;
}

const char *lab_module(void)
{
    return lab_is_bawn ? "bawn" : access("/sys/module/kvm_amd", F_OK) ? "kvm_intel" : "kvm_amd";
}

int lab_users(void)
{
    char path[64], text[16] = "";
    int fd;

    snprintf(path, sizeof(path), "/sys/module/%s/refcnt", lab_module());
    fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        lab_skip("the module's use count cannot be read");
    close(fd);
    return atoi(text);
}

static timer_t deadline_create(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
    struct sigaction alarm_action = { .sa_handler = on_deadline };
    struct sigaction kick_action = { .sa_handler = on_kick };
    timer_t timer;

    ev._sigev_un._tid = (int)syscall(SYS_gettid);
    sigaction(SIGALRM, &alarm_action, NULL);
    sigaction(KICK, &kick_action, NULL);
    if (timer_create(CLOCK_MONOTONIC, &ev, &timer)) {
        perror("timer_create");
        exit(2);
    }
    return timer;
}

static void run_test(const struct lab_test *test, unsigned n, timer_t timer)
{
    struct itimerspec limit = { .it_value.tv_sec = test_seconds(),
                                .it_interval.tv_sec = test_seconds() };

    test_failed = false;
    test_skipped = test_row = NULL;
    timer_settime(timer, 0, &limit, NULL);
    if (!sigsetjmp(test_end, 1))
        test->run();
    if (!sigsetjmp(test_end, 1))
        while (vms)
            vm_destroy(vms);
    vms = NULL;
    limit = (struct itimerspec){ 0 };
    timer_settime(timer, 0, &limit, NULL);
    printf("%sok %u - %s%s%s\n", test_failed ? "not " : "", n, test->name,
           test_skipped ? " # SKIP " : "", test_skipped ? test_skipped : "");
}

int lab_main(int argc, char **argv, const struct lab_test *tests, size_t nr)
{
    const char *filter = argc > 2 ? argv[2] : NULL;
    unsigned n = 0, failed = 0;
    timer_t timer;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        lab_dev = argv[1];
    else if (getenv("BAWN_DEV"))
        lab_dev = getenv("BAWN_DEV");
    lab_kvm = open(lab_dev, O_RDWR | O_CLOEXEC);
    if (lab_kvm < 0) {
        printf("Bail out! cannot open %s: %s\n", lab_dev, strerror(errno));
        return 1;
    }
    lab_is_bawn = kvm_cap(lab_kvm, KVM_CAP_BAWN_MEASURE) > 0;
    run_size = kvm_callv(lab_kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (run_size < (int)sizeof(struct kvm_run)) {
        printf("Bail out! KVM_GET_VCPU_MMAP_SIZE answers %d\n", run_size);
        return 1;
    }
    runner = getpid();
    timer = deadline_create();
    for (size_t i = 0; i < nr; i++) {
        if (filter && !strstr(tests[i].name, filter))
            continue;
        run_test(&tests[i], ++n, timer);
        failed += test_failed;
    }
    printf("1..%u\n", n);
    return failed ? 1 : 0;
}

/* ---- VMs ---- */

int kvm_callv(int fd, unsigned long nr, unsigned long arg)
{
    int ret = ioctl(fd, nr, arg);

    return ret < 0 ? -errno : ret;
}

int kvm_cap(int fd, long cap)
{
    return kvm_callv(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);
}

struct vm *vm_typed(unsigned long type)
{
    struct vm *vm = calloc(1, sizeof(*vm));

    ASSERT(vm);
    vm->fd = kvm_callv(lab_kvm, KVM_CREATE_VM, type);
    vm->next = vms;
    vms = vm;
    ASSERT(vm->fd >= 0);
    return vm;
}

struct vm *vm_new(void)
{
    return vm_typed(0);
}

void vm_slot(struct vm *vm, unsigned slot, unsigned flags, uint64_t gpa, uint64_t size, void *mem)
{
    struct kvm_userspace_memory_region r = {
        .slot = slot,
        .flags = flags,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uint64_t)mem,
    };

    ASSERT_EQ(kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &r), 0);
}

static void load_guest(struct vm *vm)
{
    static const uint64_t gdt[] = {
        0,
        0x00af9b000000ffff,                   /* SEL_CODE64 */
        0x00cf93000000ffff,                   /* SEL_DATA */
        0x00008b0000000067 | GUEST_TSS << 16, /* SEL_TSS */
        0,
        0x00cf9b000000ffff, /* SEL_CODE32 */
        0x00009b010000ffff, /* SEL_CODE16: base GUEST_CODE */
        0x000093000000ffff, /* SEL_DATA16 */
    };
    uint64_t *pml4 = (uint64_t *)(vm->mem + GUEST_PML4);
    uint64_t *pdpt = (uint64_t *)(vm->mem + GUEST_PDPT);
    uint64_t *idt = (uint64_t *)(vm->mem + GUEST_IDT);

    memcpy(vm->mem + GUEST_GDT, gdt, sizeof(gdt));
    memcpy(vm->mem + GUEST_CODE, __start_guest, (size_t)(__stop_guest - __start_guest));
    for (unsigned i = 0; i < 256; i++) {
        uint64_t handler = GUEST_ADDR(vectors) + i * 16;

        idt[2 * i] = (handler & 0xffff) | SEL_CODE64 << 16 | 0x8e00ull << 32 |
                     (handler >> 16 & 0xffff) << 48;
        idt[2 * i + 1] = 0;
    }
    pml4[0] = GUEST_PDPT | 3;
    for (uint64_t i = 0; i < 512; i++)
        pdpt[i] = i << 30 | 0x83;
}

void vm_add_memory(struct vm *vm)
{
    vm->mem = mmap(NULL, GUEST_MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(vm->mem != MAP_FAILED);
    vm_slot(vm, 0, 0, 0, GUEST_MEM, vm->mem);
    load_guest(vm);
}

struct vm *vm_bare(void)
{
    struct vm *vm = vm_new();

    vm_add_memory(vm);
    return vm;
}

struct vm *vm_split(void)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    struct vm *vm = vm_bare();

    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), 0);
    return vm;
}

void vm_destroy(struct vm *vm)
{
    struct vm **link = &vms;

    for (unsigned i = 0; i < MAX_VCPUS; i++) {
        struct vcpu *v = vm->vcpu[i];

        if (!v)
            continue;
        if (v->threaded)
            vcpu_kick(v);
        if (v->run)
            munmap(v->run, (size_t)run_size);
        if (v->fd >= 0)
            close(v->fd);
        free(v);
    }
    while (*link != vm)
        link = &(*link)->next;
    *link = vm->next;
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->mem && vm->mem != MAP_FAILED)
        munmap(vm->mem, GUEST_MEM);
    free(vm);
}

/* ---- vCPUs ---- */

const struct kvm_cpuid2 *lab_cpuid(void)
{
    const size_t nent = 256;

    if (cpuid_list)
        return cpuid_list;
    cpuid_list = calloc(1, sizeof(*cpuid_list) + nent * sizeof(cpuid_list->entries[0]));
    ASSERT(cpuid_list);
    cpuid_list->nent = nent;
    ASSERT_EQ(kvm_call(lab_kvm, KVM_GET_SUPPORTED_CPUID, cpuid_list), 0);
    for (unsigned i = 0; i < cpuid_list->nent; i++)
        if (cpuid_list->entries[i].function == 1) /* TSC deadline: offered by a capability */
            cpuid_list->entries[i].ecx |= 1u << 24;
    return cpuid_list;
}

const struct kvm_cpuid_entry2 *lab_cpuid_find(uint32_t leaf, uint32_t subleaf)
{
    const struct kvm_cpuid2 *list = lab_cpuid();

    for (unsigned i = 0; i < list->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &list->entries[i];

        if (e->function == leaf &&
            (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf))
            return e;
    }
    return NULL;
}

struct vcpu *vcpu_raw(struct vm *vm, unsigned id)
{
    struct vcpu *v = calloc(1, sizeof(*v));
    void *run;

    ASSERT(v && id < MAX_VCPUS);
    *v = (struct vcpu){ .vm = vm, .id = id, .rflags = 2, .fd = -1 };
    vm->vcpu[id] = v;
    v->fd = kvm_callv(vm->fd, KVM_CREATE_VCPU, id);
    ASSERT(v->fd >= 0);
    run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    ASSERT(run != MAP_FAILED);
    v->run = run;
    return v;
}

void vcpu_set_cpuid(struct vcpu *v)
{
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_CPUID2, lab_cpuid()), 0);
}

struct vcpu *vcpu_new(struct vm *vm, unsigned id)
{
    struct vcpu *v = vcpu_raw(vm, id);
    struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };

    vcpu_set_cpuid(v);
    vcpu_long_mode(v);
    if (id)
        ASSERT_EQ(kvm_call(v->fd, KVM_SET_MP_STATE, &runnable), 0);
    return v;
}

struct kvm_sregs vcpu_sregs(struct vcpu *v)
{
    struct kvm_sregs s;

    ASSERT_EQ(kvm_call(v->fd, KVM_GET_SREGS, &s), 0);
    return s;
}

int vcpu_set_sregs(struct vcpu *v, const struct kvm_sregs *sregs)
{
    return kvm_call(v->fd, KVM_SET_SREGS, sregs);
}

struct kvm_regs vcpu_regs(struct vcpu *v)
{
    struct kvm_regs r;

    ASSERT_EQ(kvm_call(v->fd, KVM_GET_REGS, &r), 0);
    return r;
}

void vcpu_set_regs(struct vcpu *v, const struct kvm_regs *regs)
{
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_REGS, regs), 0);
}

static struct kvm_segment data_segment(uint16_t selector)
{
    return (struct kvm_segment){
        .limit = ~0u, .selector = selector, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1
    };
}

static void set_data_segments(struct kvm_sregs *s, struct kvm_segment seg)
{
    s->ds = s->es = s->fs = s->gs = s->ss = seg;
}

void vcpu_long_mode(struct vcpu *v)
{
    struct kvm_sregs s = vcpu_sregs(v);

    s.cs = (struct kvm_segment){
        .limit = ~0u, .selector = SEL_CODE64, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
    };
    set_data_segments(&s, data_segment(SEL_DATA));
    s.gs.base = GUEST_MBOX + v->id * GUEST_MBOX_SIZE;
    s.tr = (struct kvm_segment){
        .base = GUEST_TSS, .limit = 0x67, .selector = SEL_TSS, .type = 11, .present = 1
    };
    s.ldt = (struct kvm_segment){ .unusable = 1 };
    s.gdt = (struct kvm_dtable){ .base = GUEST_GDT, .limit = 0x3f };
    s.idt = (struct kvm_dtable){ .base = GUEST_IDT, .limit = 0xfff };
    s.cr0 = 0x80010033;
    s.cr3 = GUEST_PML4;
    s.cr4 = 0x620;  /* PAE, OSFXSR, OSXMMEXCPT */
    s.efer = 0xd00; /* LME, LMA, NXE */
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
}

void vcpu_prot_mode(struct vcpu *v)
{
    struct kvm_sregs s = vcpu_sregs(v);

    s.cs = (struct kvm_segment){
        .limit = ~0u, .selector = SEL_CODE32, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1
    };
    set_data_segments(&s, data_segment(SEL_DATA));
    s.gdt = (struct kvm_dtable){ .base = GUEST_GDT, .limit = 0x3f };
    s.idt = (struct kvm_dtable){ 0 };
    s.cr0 = 0x11;
    s.cr3 = s.cr4 = s.efer = 0;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
}

void vcpu_real_mode(struct vcpu *v)
{
    struct kvm_sregs s = vcpu_sregs(v);
    struct kvm_segment seg = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 };

    set_data_segments(&s, seg);
    s.cs = seg;
    s.cs.type = 11;
    s.cs.base = GUEST_CODE;
    s.cs.selector = GUEST_CODE >> 4;
    s.idt = (struct kvm_dtable){ .base = 0, .limit = 0x3ff };
    s.cr0 = 0x10;
    s.cr3 = s.cr4 = s.efer = 0;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
}

uint64_t vcpu_get_msr(struct vcpu *v, uint32_t index)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = { .head.nmsrs = 1, .entry.index = index };

    EXPECT_EQ(kvm_call(v->fd, KVM_GET_MSRS, &m), 1);
    return m.entry.data;
}

int vcpu_set_msr(struct vcpu *v, uint32_t index, uint64_t value)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

    return kvm_call(v->fd, KVM_SET_MSRS, &m);
}

int vcpu_run(struct vcpu *v)
{
    int ret = kvm_callv(v->fd, KVM_RUN, 0);

    return ret < 0 ? ret : (int)v->run->exit_reason;
}

struct start {
    struct vcpu *v;
    bool (*on_exit)(struct vcpu *v, int reason);
};

static void *vcpu_thread(void *arg)
{
    struct start start = *(struct start *)arg;
    struct vcpu *v = start.v;

    free(arg);
    do {
        int result;

        do /* EAGAIN: woken by INIT or SIPI; EINTR: so that the thread's own work gets done */
            result = vcpu_run(v);
        while ((result == -EAGAIN || result == -EINTR) && !v->stop);
        v->result = result;
    } while (!v->stop && v->result >= 0 && start.on_exit && start.on_exit(v, v->result));
    return NULL;
}

void vcpu_start(struct vcpu *v, bool (*on_exit)(struct vcpu *v, int reason))
{
    struct start *start = malloc(sizeof(*start));

    ASSERT(start);
    *start = (struct start){ v, on_exit };
    v->stop = false;
    v->run->immediate_exit = 0;
    v->result = 0;
    ASSERT_EQ(pthread_create(&v->thread, NULL, vcpu_thread, start), 0);
    v->threaded = true;
}

void vcpu_join(struct vcpu *v)
{
    pthread_join(v->thread, NULL);
    v->threaded = false;
}

void vcpu_kick(struct vcpu *v)
{
    v->stop = true;
    v->run->immediate_exit = 1;
    pthread_kill(v->thread, KICK);
    vcpu_join(v);
    v->run->immediate_exit = 0;
}

/* ---- guest code ---- */

void guest_prepare(struct vcpu *v, uint64_t rip, uint64_t rdi, uint64_t rsi, uint64_t rdx,
                   uint64_t rcx)
{
    struct kvm_regs r = {
        .rip = rip,
        .rdi = rdi,
        .rsi = rsi,
        .rdx = rdx,
        .rcx = rcx,
        .rsp = GUEST_STACK + (v->id + 1) * 0x1000,
        .rflags = v->rflags,
    };

    vcpu_set_regs(v, &r);
}

int guest_resume(struct vcpu *v)
{
    int reason;

    do
        reason = vcpu_run(v);
    while (reason == -EINTR && !v->run->immediate_exit);
    v->regs = vcpu_regs(v);
    if (reason != KVM_EXIT_IO || v->run->io.direction != KVM_EXIT_IO_OUT)
        return reason;
    switch (v->run->io.port) {
    case PORT_DONE:
        return GUEST_DONE;
    case PORT_FAULT:
        return GUEST_FAULT;
    case PORT_IRQ:
        return GUEST_IRQ;
    case PORT_STEP:
        return GUEST_STEP;
    default:
        return reason;
    }
}

int guest_wrmsr(struct vcpu *v, uint32_t index, uint64_t value)
{
    return guest_call(v, wrmsr, value, 0, 0, index);
}

int guest_rdmsr(struct vcpu *v, uint32_t index, uint64_t *value)
{
    int how = guest_call(v, rdmsr, 0, 0, 0, index);

    *value = v->regs.rax;
    return how;
}

void guest_store32(struct vcpu *v, uint64_t addr, uint32_t value)
{
    EXPECT_EQ(guest_call(v, store32, addr, value, 0, 0), GUEST_DONE);
}

uint32_t guest_load32(struct vcpu *v, uint64_t addr)
{
    EXPECT_EQ(guest_call(v, load32, addr, 0, 0, 0), GUEST_DONE);
    return (uint32_t)v->regs.rax;
}

void mbox_clear(struct vcpu *v)
{
    memset(mbox(v, 0), 0, GUEST_MBOX_SIZE);
}
