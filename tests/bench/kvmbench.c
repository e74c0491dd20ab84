// SPDX-License-Identifier: Apache-2.0
/*
 * kvmbench DEVICE [N [NAME]]: what operations of the KVM API cost, in ticks of the time-stamp
 * counter. Under an emulator that counts instructions as ticks the figures are path lengths and
 * repeat exactly. Prints "RESULT name value ..." lines, then BENCH_DONE. With NAME it measures that
 * alone, marked for the emulator's plugin (count.c). Trusts the device it measures.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MEMORY (96u << 20)
#define SMALL_MEMORY (1u << 20)
#define CODE 0x1000      /* guest code; its handler is at HANDLER, its counters at COUNTERS */
#define HANDLER 0x2000
#define COUNTERS 0x3000
#define PORT_END 0x10    /* the guest code writes here when it has finished */
#define PORT_EVENT 0x12  /* an ioeventfd */
#define MMIO_EVENT 0xe1000000u
#define TOUCH_START 0x1000000u /* the nested faults are taken from 16 MiB up */
#define TOUCH_PAGES 8192
#define NR_CPUID 256

struct machine {
    int vm;
    int vcpu;
    uint8_t *memory;
    struct kvm_run *run;
};

enum { SPLIT_IRQCHIP = 1, CPUID = 2 };

static int device;
static size_t run_size;
static bool amd;
static long rounds = 2000;
static const char *only; /* NULL: measure everything */
static long marked;      /* rounds between marks */

static inline uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return low | (uint64_t)high << 32;
}

/* What count.c looks for. */
static void mark_begin(long n)
{
    marked += n;
    __asm__ volatile(".byte 0x66, 0x87, 0xdb" ::: "memory");
}

static void mark_end(void)
{
    __asm__ volatile(".byte 0x66, 0x87, 0xc9" ::: "memory");
}

static bool wanted(const char *name)
{
    return !only || !strcmp(only, name);
}

static uint64_t cpu_nanoseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
    int error = errno;
    va_list ap;

    va_start(ap, fmt);
    printf("FAIL ");
    vprintf(fmt, ap);
    printf(": %s\n", strerror(error));
    va_end(ap);
    exit(1);
}

static void report(const char *name, double value)
{
    printf("RESULT %-28s %8.1f\n", name, value);
}

static int must(int fd, unsigned long request, void *argument, const char *what)
{
    int ret = ioctl(fd, request, argument);

    if (ret < 0)
        die("%s", what);
    return ret;
}

static uint8_t *map_memory(size_t size, int flags)
{
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        die("cannot map %zu bytes", size);
    return p;
}

static void set_cpuid(struct machine *m)
{
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + NR_CPUID * sizeof(struct kvm_cpuid_entry2));

    if (!cpuid)
        die("cannot allocate");
    cpuid->nent = NR_CPUID;
    must(device, KVM_GET_SUPPORTED_CPUID, cpuid, "KVM_GET_SUPPORTED_CPUID");
    must(m->vcpu, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2");
    free(cpuid);
}

static void create(struct machine *m, uint8_t *memory, size_t size, int flags)
{
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    struct kvm_userspace_memory_region slot = { .memory_size = size,
                                                .userspace_addr = (uintptr_t)memory };

    m->memory = memory;
    m->vm = must(device, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
    if (flags & SPLIT_IRQCHIP)
        must(m->vm, KVM_ENABLE_CAP, &split, "KVM_CAP_SPLIT_IRQCHIP");
    must(m->vm, KVM_SET_USER_MEMORY_REGION, &slot, "KVM_SET_USER_MEMORY_REGION");
    m->vcpu = must(m->vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
    m->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
    if (m->run == MAP_FAILED)
        die("cannot map the run page");
    if (flags & CPUID)
        set_cpuid(m);
}

static void destroy(struct machine *m)
{
    munmap(m->run, run_size);
    close(m->vcpu);
    close(m->vm);
}

enum mode { REAL_MODE, FLAT_32 };

/* Sets the vCPU at CODE, with the loop counter in edi. */
static void place(struct machine *m, enum mode mode, uint64_t counter, bool x2apic)
{
    struct kvm_regs regs = { .rip = CODE, .rflags = 2, .rsp = 0x8000, .rdi = counter };
    struct kvm_sregs sregs;

    must(m->vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    if (mode == FLAT_32) {
        struct kvm_segment flat = { .limit = ~0u, .selector = 8, .type = 11, .present = 1,
                                    .db = 1, .s = 1, .g = 1 };

        sregs.cr0 |= 1;
        sregs.cs = flat;
        flat.selector = 16;
        flat.type = 3;
        sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
    }
    if (x2apic)
        sregs.apic_base |= 0xc00;
    must(m->vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
    must(m->vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

/* Runs until the guest writes PORT_END; its other port and MMIO writes are let pass. */
static bool run_to_end(struct machine *m, const char *name)
{
    for (;;) {
        if (ioctl(m->vcpu, KVM_RUN, NULL)) {
            printf("RESULT %s FAILED errno=%d\n", name, errno);
            return false;
        }
        if (m->run->exit_reason == KVM_EXIT_IO && m->run->io.port == PORT_END)
            return true;
        if (m->run->exit_reason != KVM_EXIT_IO && m->run->exit_reason != KVM_EXIT_MMIO) {
            printf("RESULT %s FAILED exit=%u\n", name, m->run->exit_reason);
            return false;
        }
    }
}

struct loop {
    const char *name;
    uint8_t body[12];
    uint8_t length;
    uint8_t times; /* multiplies the rounds */
};

/* Ticks for one round of a loop body in 32-bit code; the best of three runs. */
static void measure_loop(struct machine *m, const struct loop *loop)
{
    const uint8_t end[] = { 0x4f, 0x75, 0, 0xe6, PORT_END, 0xf4 }; /* dec edi; jnz; out; hlt */
    long n = rounds * loop->times;
    uint64_t best = UINT64_MAX;

    if (!wanted(loop->name))
        return;
    memcpy(m->memory + CODE, loop->body, loop->length);
    memcpy(m->memory + CODE + loop->length, end, sizeof(end));
    m->memory[CODE + loop->length + 2] = (uint8_t)-(loop->length + 3);
    for (int i = 0; i < 3; i++) {
        uint64_t t;

        place(m, FLAT_32, (uint64_t)n, false);
        mark_begin(n);
        t = ticks();
        if (!run_to_end(m, loop->name))
            return;
        t = ticks() - t;
        mark_end();
        if (t < best)
            best = t;
    }
    report(loop->name, (double)best / (double)n);
}

static void measure_exits(struct machine *m)
{
    static const struct loop loops[] = {
        { "noexit_nop_loop", { 0x90 }, 1, 10 },
        { "exit_cpuid_inkernel", { 0x31, 0xc0, 0x0f, 0xa2 }, 4, 1 },
        { "exit_rdmsr_apicbase", { 0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32 }, 7, 1 },
        { "exit_rdmsr_tsc", { 0xb9, 0x10, 0, 0, 0, 0x0f, 0x32 }, 7, 1 },
        { "exit_mov_cr0", { 0x0f, 0x20, 0xc0, 0x0f, 0x22, 0xc0 }, 6, 1 },
        { "exit_wbinvd", { 0x0f, 0x09 }, 2, 1 },
        { "exit_out_userspace", { 0xe6, 0x11 }, 2, 1 },
        { "exit_mmio_write_userspace", { 0xa3, 0, 0, 0, 0xe0 }, 5, 1 },
    };
    /* mov eax, an unknown hypercall; vmmcall or vmcall */
    struct loop hypercall = { "exit_hypercall_inkernel",
                              { 0xb8, 0xff, 0xff, 0, 0, 0x0f, 0x01, amd ? 0xd9 : 0xc1 }, 8, 1 };

    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        measure_loop(m, &loops[i]);
        if (i == 1)
            measure_loop(m, &hypercall);
    }
}

static void measure_ioeventfds(struct machine *m)
{
    static const struct loop out = { "exit_out_ioeventfd", { 0xe6, PORT_EVENT }, 2, 1 };
    static const struct loop mmio = { "exit_mmio_ioeventfd", { 0xa3, 0, 0, 0, 0xe1 }, 5, 1 };
    int fd = eventfd(0, EFD_NONBLOCK);
    struct kvm_ioeventfd port = { .addr = PORT_EVENT, .len = 1, .fd = fd,
                                  .flags = KVM_IOEVENTFD_FLAG_PIO };
    struct kvm_ioeventfd memory = { .addr = MMIO_EVENT, .len = 4, .fd = fd };

    if (!ioctl(m->vm, KVM_IOEVENTFD, &port))
        measure_loop(m, &out);
    if (!ioctl(m->vm, KVM_IOEVENTFD, &memory))
        measure_loop(m, &mmio);
}

static void measure_ioctl(const char *name, int fd, unsigned long request, void *argument)
{
    uint64_t t;

    if (!wanted(name))
        return;
    mark_begin(rounds);
    t = ticks();
    for (long i = 0; i < rounds; i++)
        ioctl(fd, request, argument);
    t = ticks() - t;
    mark_end();
    report(name, (double)t / (double)rounds);
}

static void measure_vcpu_ioctls(struct machine *m)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    m->run->immediate_exit = 1;
    measure_ioctl("kvm_run_immediate_exit", m->vcpu, KVM_RUN, NULL);
    m->run->immediate_exit = 0;
    measure_ioctl("get_regs", m->vcpu, KVM_GET_REGS, &regs);
    measure_ioctl("get_sregs", m->vcpu, KVM_GET_SREGS, &sregs);
    measure_ioctl("set_sregs", m->vcpu, KVM_SET_SREGS, &sregs);
}

static void touch_code(uint8_t *memory, uint32_t start)
{
    /* mov ebx, start; next: mov [ebx], eax; add ebx, 4096; dec edi; jnz next; out; hlt */
    static const uint8_t code[] = { 0xbb, 0, 0, 0, 0, 0x89, 0x03, 0x81, 0xc3, 0, 0x10, 0, 0,
                                    0x4f, 0x75, 0xf5, 0xe6, PORT_END, 0xf4 };

    memcpy(memory + CODE, code, sizeof(code));
    memcpy(memory + CODE + 1, &start, sizeof(start));
}

struct faults {
    const char *name;
    int advice;
    bool populated;
};

/* Nested page faults: the first write to each page, and a second pass without faults. */
static void measure_faults(const struct faults *f)
{
    const size_t size = 64u << 20, huge = 2u << 20;
    uint8_t *mapping, *memory;
    struct machine m;
    uint64_t t;

    if (!wanted(f->name))
        return;
    mapping = map_memory(MEMORY, MAP_PRIVATE);
    memory = (uint8_t *)(((uintptr_t)mapping + huge - 1) & ~(huge - 1));
    madvise(mapping, MEMORY, f->advice);
    memset(memory, 1, f->populated ? size : 1u << 16);
    create(&m, memory, size, CPUID);
    touch_code(memory, TOUCH_START);
    place(&m, FLAT_32, 1, false);
    run_to_end(&m, "warm up");
    touch_code(memory, TOUCH_START + 0x2000);
    for (int pass = 0; pass < 2; pass++) {
        place(&m, FLAT_32, TOUCH_PAGES, false);
        if (!pass)
            mark_begin(TOUCH_PAGES);
        t = ticks();
        run_to_end(&m, f->name);
        t = ticks() - t;
        mark_end();
        report(pass ? "  second_pass_per_page" : f->name, (double)t / TOUCH_PAGES);
    }
    destroy(&m);
    munmap(mapping, MEMORY);
}

/* HLT to userspace and KVM_INTERRUPT back: needs a KVM that works without an irqchip. */
static void measure_interrupt(uint8_t *memory)
{
    static const uint8_t code[] = { 0xfb, 0xf4, 0xeb, 0xfc };                /* sti; hlt; loop */
    static const uint8_t handler[] = { 0x66, 0xff, 0x06, 0, 0x30, 0xcf };    /* count; iret */
    const char *name = "hlt_exit+KVM_INTERRUPT";
    struct kvm_interrupt interrupt = { .irq = 0x20 };
    struct machine m;
    uint32_t count;
    uint64_t t;

    if (!wanted(name))
        return;
    create(&m, memory, SMALL_MEMORY, CPUID);
    memset(memory, 0, CODE);
    memcpy(memory + CODE, code, sizeof(code));
    memcpy(memory + HANDLER, handler, sizeof(handler));
    memset(memory + COUNTERS, 0, 8);
    memory[interrupt.irq * 4 + 1] = HANDLER >> 8;
    place(&m, REAL_MODE, 0, false);
    if (ioctl(m.vcpu, KVM_RUN, NULL) || m.run->exit_reason != KVM_EXIT_HLT ||
        ioctl(m.vcpu, KVM_INTERRUPT, &interrupt)) {
        printf("RESULT %-28s not offered\n", name);
        destroy(&m);
        return;
    }
    t = ticks();
    for (long i = 0; i < rounds; i++) {
        if (i && ioctl(m.vcpu, KVM_INTERRUPT, &interrupt))
            die("KVM_INTERRUPT");
        if (ioctl(m.vcpu, KVM_RUN, NULL) || m.run->exit_reason != KVM_EXIT_HLT)
            die("%s: exit %u", name, m.run->exit_reason);
    }
    t = ticks() - t;
    memcpy(&count, memory + COUNTERS, sizeof(count));
    printf("RESULT %-28s %8.1f (isr=%u)\n", name, (double)t / (double)rounds, count);
    destroy(&m);
}

static atomic_bool stop;

static void ignore(int signal)
{
    (void)signal;
}

static void *run_vcpu(void *opaque)
{
    struct machine *m = opaque;

    while (!atomic_load(&stop) && (!ioctl(m->vcpu, KVM_RUN, NULL) || errno == EINTR))
        if (m->run->exit_reason != KVM_EXIT_INTR && !atomic_load(&stop)) {
            printf("RESULT the vCPU's thread FAILED exit=%u\n", m->run->exit_reason);
            break;
        }
    return NULL;
}

static bool yield_until_changed(volatile uint32_t *counter, uint32_t old)
{
    for (long i = 0; i < 1000000; i++) {
        if (*counter != old)
            return true;
        sched_yield();
    }
    return false;
}

/* HLT in the kernel, woken by an MSI from another thread; the guest ends it in x2APIC mode. */
static void measure_msi_wake(uint8_t *memory)
{
    /* SVR = 0x1ff by x2APIC MSR; [ready]++; sti; hlt; loop */
    static const uint8_t code[] = { 0x66, 0xb9, 0x0f, 0x08, 0, 0, 0x66, 0xb8, 0xff, 0x01, 0, 0,
                                    0x66, 0x31, 0xd2, 0x0f, 0x30, 0x66, 0xff, 0x06, 0x04, 0x30,
                                    0xfb, 0xf4, 0xeb, 0xfc };
    /* EOI by x2APIC MSR; [count]++; iret */
    static const uint8_t handler[] = { 0x66, 0xb9, 0x0b, 0x08, 0, 0, 0x66, 0x31, 0xc0, 0x66,
                                       0x31, 0xd2, 0x0f, 0x30, 0x66, 0xff, 0x06, 0, 0x30, 0xcf };
    struct machine m;
    struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x30 };
    struct sigaction kick = { .sa_handler = ignore };
    volatile uint32_t *counters = (volatile uint32_t *)(memory + COUNTERS);
    const char *name = "hlt_wake_split_msi_rt";
    pthread_t thread;
    uint64_t t;

    if (!wanted(name))
        return;
    create(&m, memory, SMALL_MEMORY, SPLIT_IRQCHIP | CPUID);
    memset(memory, 0, CODE);
    memcpy(memory + CODE, code, sizeof(code));
    memcpy(memory + HANDLER, handler, sizeof(handler));
    memset(memory + COUNTERS, 0, 8);
    memory[msi.data * 4 + 1] = HANDLER >> 8;
    place(&m, REAL_MODE, 0, true);
    sigaction(SIGUSR1, &kick, NULL);
    if (pthread_create(&thread, NULL, run_vcpu, &m))
        die("cannot start a thread");
    yield_until_changed(&counters[1], 0);
    for (int i = 0; i < 200; i++)
        sched_yield();
    mark_begin(rounds);
    t = ticks();
    for (long i = 0; i < rounds; i++) {
        uint32_t old = counters[0];

        must(m.vm, KVM_SIGNAL_MSI, &msi, "KVM_SIGNAL_MSI");
        if (!yield_until_changed(&counters[0], old)) {
            printf("RESULT %s FAILED stuck at %ld\n", name, i);
            break;
        }
    }
    t = ticks() - t;
    mark_end();
    printf("RESULT %-28s %8.1f (isr=%u)\n", name, (double)t / (double)rounds, counters[0]);
    atomic_store(&stop, true);
    m.run->immediate_exit = 1;
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    destroy(&m);
}

/* mode 0: the VM alone; 1: with memory and a vCPU; 2: that with a split irqchip. */
static void measure_lifetime(uint8_t *memory, int mode)
{
    static const char *const names[] = { "vm_create_destroy", "vm+mem+vcpu_create_destroy",
                                         "same_split_irqchip" };
    const int n = 20;
    uint64_t creating = 0, destroying = 0, begin = ticks(), cpu = cpu_nanoseconds(), t;

    if (!wanted(names[mode]))
        return;
    mark_begin(n);
    for (int i = 0; i < n; i++) {
        struct machine m;

        t = ticks();
        if (mode == 0)
            m.vm = must(device, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
        else
            create(&m, memory, SMALL_MEMORY, mode == 2 ? SPLIT_IRQCHIP : 0);
        creating += ticks() - t;
        t = ticks();
        if (mode == 0)
            close(m.vm);
        else
            destroy(&m);
        destroying += ticks() - t;
    }
    mark_end();
    printf("RESULT %-28s %8.0f elapsed, cpu %8.0f, create %8.0f destroy %8.0f\n", names[mode],
           (double)(ticks() - begin) / n, (double)(cpu_nanoseconds() - cpu) / n,
           (double)creating / n, (double)destroying / n);
}

#define GROUP "/tmp/cgroup/kvmbench"

static bool put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return ok;
}

/* From here on the kernel's memory that this process causes is counted by a control group. */
static bool enter_group(void)
{
    mkdir("/tmp/cgroup", 0700);
    mount("none", "/tmp/cgroup", "cgroup2", 0, NULL);
    mkdir(GROUP, 0700);
    return put("/tmp/cgroup/cgroup.subtree_control", "+memory") && put(GROUP "/cgroup.procs", "0");
}

static double kernel_memory(void)
{
    char line[128];
    long value = -1;
    FILE *file = fopen(GROUP "/memory.stat", "r");

    while (file && value < 0 && fgets(line, sizeof(line), file))
        if (sscanf(line, "kernel %ld", &value) != 1)
            value = -1;
    if (file)
        fclose(file);
    return (double)value;
}

/* vcpus: at most 4. What a VM and its vCPUs hold of the kernel's memory, before a guest runs. */
static void measure_memory(uint8_t *memory, int vcpus)
{
    enum { MACHINES = 32, MOST = 4 };
    static struct machine m[MACHINES];
    static int fds[MACHINES][MOST];
    double used = kernel_memory();
    char name[32];

    snprintf(name, sizeof(name), "kernel_bytes_vm_%d_vcpu", vcpus);
    if (!wanted(name))
        return;
    for (int i = 0; i < MACHINES; i++) {
        create(&m[i], memory, SMALL_MEMORY, SPLIT_IRQCHIP | CPUID);
        for (long id = 1; id < vcpus; id++)
            if ((fds[i][id] = ioctl(m[i].vm, KVM_CREATE_VCPU, id)) < 0)
                die("KVM_CREATE_VCPU");
    }
    report(name, (kernel_memory() - used) / MACHINES);
    for (int i = 0; i < MACHINES; i++) {
        for (int id = 1; id < vcpus; id++)
            close(fds[i][id]);
        destroy(&m[i]);
    }
}

static void detect_vendor(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    __get_cpuid(0, &a, &b, &c, &d);
    amd = !memcmp(&c, "cAMD", 4);
}

int main(int argc, char **argv)
{
    static const struct faults faults[] = {
        { "npt_fault_4k_populated", MADV_NOHUGEPAGE, true },
        { "npt_fault_4k_unpopulated", MADV_NOHUGEPAGE, false },
        { "npt_fault_thp_per4k", MADV_HUGEPAGE, true },
    };
    struct machine m;
    uint8_t *memory;
    uint64_t t;

    if (argc < 2 || argc > 4 || (argc >= 3 && (rounds = strtol(argv[2], NULL, 10)) < 1)) {
        fprintf(stderr, "usage: kvmbench DEVICE [ROUNDS [NAME]]; ROUNDS is at least 1\n");
        return 2;
    }
    only = argc == 4 ? argv[3] : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    detect_vendor();
    device = open(argv[1], O_RDWR | O_CLOEXEC);
    if (device < 0)
        die("%s", argv[1]);
    run_size = (size_t)must(device, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
    memory = map_memory(MEMORY, MAP_SHARED);
    madvise(memory, MEMORY, MADV_NOHUGEPAGE);
    memset(memory, 0, SMALL_MEMORY);

    t = ticks();
    printf("RESULT rdtsc_overhead %llu amd=%d N=%ld\n", (unsigned long long)(ticks() - t), amd, rounds);
    measure_ioctl("ioctl_get_api_version", device, KVM_GET_API_VERSION, NULL);
    create(&m, memory, MEMORY, CPUID);
    measure_exits(&m);
    measure_ioeventfds(&m);
    measure_vcpu_ioctls(&m);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        measure_faults(&faults[i]);
    destroy(&m);
    measure_interrupt(memory);
    measure_msi_wake(memory);
    for (int mode = 0; mode < 3; mode++)
        measure_lifetime(memory, mode);
    if (enter_group()) {
        measure_memory(memory, 1);
        measure_memory(memory, 4);
    }
    if (only)
        printf("RESULT %s rounds=%ld\n", only, marked);
    printf("BENCH_DONE\n");
    return 0;
}
