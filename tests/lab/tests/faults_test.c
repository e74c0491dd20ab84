/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's life in which allocations and copies to and from userspace fail: each by itself, one life
 * after the other, and at random. A call then answers ENOMEM or EFAULT and nothing else, leaves
 * things so that the same call works, and nothing stays. Needs a kernel with fault injection;
 * failures are asked for by /proc/thread-self/fail-nth and the knobs in debugfs, for what the
 * module's code calls.
 *
 * faults DEVICE [TEST [LIVES PERCENT INTERVAL]]: of the test "at random", how many lives, and of
 * which part of every INTERVALth operation.
 */
#define _GNU_SOURCE
#include "snp_guest.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <asm/kvm.h>

#define DEBUGFS "/sys/kernel/debug/"
#define LIVES_MAX 3000u /* more operations than a life has */
#define PAGE 4096u
#define LOGGED_SLOT 1
#define LOGGED_GPA GUEST_MEM

static const char *const injections[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

static unsigned lives = 100, percent = 10, interval = 7;

/* What an undisturbed VM gave: its memory and a vCPU's state. */
static struct {
    struct vm *vm;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_fpu fpu;
    struct kvm_xsave xsave;
    struct kvm_lapic_state lapic;
    struct kvm_vcpu_events events;
    uint8_t *logged, *image; /* the second of a confidential guest */
    int irq, io;
} ref;

static struct {
    bool once; /* one failure in this life: the call after it must work */
    unsigned failed;
} life;

/* ---- Knobs ---- */

static bool put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    close(fd);
    return good;
}

static unsigned long get(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    ASSERT(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 0);
}

static void knob(const char *name, const char *value, bool needed)
{
    for (unsigned i = 0; i < ARRAY_SIZE(injections); i++) {
        char path[96];

        snprintf(path, sizeof(path), DEBUGFS "%s/%s", injections[i], name);
        if (!put(path, value) && (needed || !access(path, F_OK)))
            lab_fail(__FILE__, __LINE__, "cannot write %s to %s", value, path);
    }
}

/* The module's place in memory. */
static void module_range(unsigned long *start, unsigned long *end)
{
    FILE *f = fopen("/proc/modules", "re");
    char line[256];
    unsigned long size;

    *start = *end = 0;
    ASSERT(f);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "bawn %lu %*s %*s %*s 0x%lx", &size, start) == 2)
            *end = *start + size;
    fclose(f);
    ASSERT(*start);
}

static void aim(void)
{
    unsigned long start, end;
    char text[32];

    if (access("/proc/thread-self/fail-nth", W_OK))
        lab_skip("this kernel has no fault injection");
    printf("# allocations are made to fail\n");
    module_range(&start, &end);
    snprintf(text, sizeof(text), "%#lx", start);
    knob("require-start", text, true);
    snprintf(text, sizeof(text), "%#lx", end);
    knob("require-end", text, true);
    knob("stacktrace-depth", "32", true);
    knob("verbose", "0", true);
    knob("probability", "0", true);
    knob("task-filter", "Y", true);
    knob("times", "-1", true);
    knob("ignore-gfp-wait", "N", false);
    knob("ignore-gfp-highmem", "N", false);
    knob("min-order", "0", false);
}

static unsigned users(void)
{
    return (unsigned)get("/sys/module/bawn/refcnt");
}

/* ---- A life ---- */

static bool injected(long r)
{
    return r == -ENOMEM || r == -EFAULT;
}

static long judge(const char *what, long r)
{
    /* At random, what failed before explains what follows. */
    if (r < 0 && !injected(r) && (life.once || !life.failed))
        lab_fail(__FILE__, __LINE__, "%s answers %ld", what, r);
    life.failed += r < 0;
    return r;
}

/* The call; where one failure is to come, again after it. */
#define OP(call)                                                                     \
    ({                                                                               \
        long r_ = judge(#call, call);                                                \
                                                                                     \
        if (r_ < 0 && life.once) {                                                   \
            r_ = call;                                                               \
            if (r_ < 0)                                                              \
                lab_fail(__FILE__, __LINE__, "%s answers %ld once more", #call, r_); \
        }                                                                            \
        r_;                                                                          \
    })

static void add_devices(int vm)
{
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry e;
    } routing = { .head.nr = 1,
                  .e = { .gsi = 5,
                         .type = KVM_IRQ_ROUTING_MSI,
                         .u.msi = { .address_lo = 0xfee00000, .data = 0x40 } } };
    struct kvm_irqfd irqfd = { .fd = (uint32_t)ref.irq, .gsi = 5 };
    struct kvm_ioeventfd ioeventfd = {
        .addr = 0x500, .len = 2, .fd = ref.io, .flags = KVM_IOEVENTFD_FLAG_PIO
    };

    if (OP(kvm_call(vm, KVM_ENABLE_CAP, &split)) < 0)
        return;
    OP(kvm_call(vm, KVM_SET_GSI_ROUTING, &routing));
    OP(kvm_call(vm, KVM_IRQFD, &irqfd));
    OP(kvm_call(vm, KVM_IOEVENTFD, &ioeventfd));
}

static void add_memory(int vm)
{
    struct kvm_userspace_memory_region image = { .memory_size = GUEST_MEM,
                                                 .userspace_addr = (uint64_t)ref.vm->mem };
    struct kvm_userspace_memory_region logged = { .slot = LOGGED_SLOT,
                                                  .flags = KVM_MEM_LOG_DIRTY_PAGES,
                                                  .guest_phys_addr = LOGGED_GPA,
                                                  .memory_size = 16 * PAGE,
                                                  .userspace_addr = (uint64_t)ref.logged };
    struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
    uint8_t bitmap = 0xff;

    filter.ranges[0] = (struct kvm_msr_filter_range){
        .flags = KVM_MSR_FILTER_READ, .nmsrs = 8, .base = 0x10, .bitmap = &bitmap
    };
    OP(kvm_call(vm, KVM_SET_USER_MEMORY_REGION, &image));
    OP(kvm_call(vm, KVM_SET_USER_MEMORY_REGION, &logged));
    OP(kvm_call(vm, KVM_X86_SET_MSR_FILTER, &filter));
}

static void set_state(int v)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry e[2];
    } msrs = { .head.nmsrs = 2, .e = { { .index = 0xc0000081 }, { .index = 0xc0000082 } } };
    struct kvm_xsave xsave;
    struct kvm_lapic_state lapic;

    OP(kvm_call(v, KVM_SET_CPUID2, lab_cpuid()));
    OP(kvm_call(v, KVM_SET_SREGS, &ref.sregs));
    OP(kvm_call(v, KVM_SET_REGS, &ref.regs));
    OP(kvm_call(v, KVM_SET_FPU, &ref.fpu));
    OP(kvm_call(v, KVM_SET_XSAVE, &ref.xsave));
    OP(kvm_call(v, KVM_GET_XSAVE, &xsave));
    OP(kvm_call(v, KVM_SET_LAPIC, &ref.lapic));
    OP(kvm_call(v, KVM_GET_LAPIC, &lapic));
    OP(kvm_call(v, KVM_SET_VCPU_EVENTS, &ref.events));
    OP(kvm_call(v, KVM_SET_MSRS, &msrs));
}

static long run_once(int v, struct kvm_run *run)
{
    long r = kvm_callv(v, KVM_RUN, 0);

    return r < 0 ? r : run->exit_reason == KVM_EXIT_IO ? 0 : -(long)run->exit_reason - 1000;
}

static void run(int v)
{
    struct kvm_run *run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, v, 0);

    if (run == MAP_FAILED && life.once)
        run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, v, 0);
    if (run == MAP_FAILED)
        return;
    OP(run_once(v, run));
    munmap(run, PAGE);
}

static void look(int vm)
{
    uint64_t bits = 0;
    struct kvm_dirty_log log = { .slot = LOGGED_SLOT, .dirty_bitmap = &bits };
    struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };
    long fd = OP(kvm_callv(vm, KVM_GET_STATS_FD, 0));
    char text[64];

    OP(kvm_call(vm, KVM_SIGNAL_MSI, &msi));
    OP(kvm_call(vm, KVM_GET_DIRTY_LOG, &log));
    if (fd < 0)
        return;
    OP(pread((int)fd, text, sizeof(text), 0) < 0 ? -errno : 0);
    close((int)fd);
}

static void live(void)
{
    struct kvm_userspace_memory_region none = { .slot = LOGGED_SLOT };
    int vm = (int)OP(kvm_callv(lab_kvm, KVM_CREATE_VM, 0)), v;

    if (vm < 0)
        return;
    add_memory(vm);
    add_devices(vm);
    v = (int)OP(kvm_callv(vm, KVM_CREATE_VCPU, 0));
    if (v >= 0) {
        set_state(v);
        /* At random more than one may have failed: then the guest need not be able to run. */
        if (life.once || !life.failed)
            run(v);
        close(v);
    }
    look(vm);
    OP(kvm_call(vm, KVM_SET_USER_MEMORY_REGION, &none));
    close(vm);
}

/* ---- A confidential guest's ---- */

static long update(struct snp_guest *g, struct kvm_sev_snp_launch_update *u)
{
    long r;

    do {
        r = snp_call(g, KVM_SEV_SNP_LAUNCH_UPDATE, u);
    } while (!r && u->len);
    return r;
}

static void launch(struct snp_guest *g)
{
    struct kvm_sev_snp_launch_start start = { .policy = 0x30000 };
    struct kvm_sev_snp_launch_finish finish = { 0 };
    struct kvm_sev_snp_launch_update low = { .uaddr = (uint64_t)ref.image,
                                             .len = GUEST_MBOX,
                                             .type = KVM_SEV_SNP_PAGE_TYPE_NORMAL };
    struct kvm_sev_snp_launch_update high = { .gfn_start = GUEST_MBOX / PAGE + 1,
                                              .uaddr = (uint64_t)ref.image + GUEST_MBOX + PAGE,
                                              .len = SNP_LAUNCHED - GUEST_MBOX - PAGE,
                                              .type = KVM_SEV_SNP_PAGE_TYPE_NORMAL };

    if (OP(snp_call(g, KVM_SEV_SNP_LAUNCH_START, &start)) < 0 || OP(update(g, &low)) < 0 ||
        OP(update(g, &high)) < 0)
        return;
    OP(snp_call(g, KVM_SEV_SNP_LAUNCH_FINISH, &finish));
}

static void private_memory(struct snp_guest *g)
{
    struct kvm_create_guest_memfd create = { .size = GUEST_MEM };
    struct kvm_userspace_memory_region2 slot = { .slot = SNP_SLOT,
                                                 .flags = KVM_MEM_GUEST_MEMFD,
                                                 .memory_size = GUEST_MEM,
                                                 .userspace_addr = (uint64_t)ref.vm->mem };

    g->gmem = (int)OP(kvm_call(g->vm->fd, KVM_CREATE_GUEST_MEMFD, &create));
    if (g->gmem < 0)
        return;
    slot.guest_memfd = (uint32_t)g->gmem;
    OP(kvm_call(g->vm->fd, KVM_SET_USER_MEMORY_REGION2, &slot));
    OP(snp_attributes(g, 0, GUEST_MEM, true));
    OP(snp_attributes(g, GUEST_MBOX, PAGE, false));
}

static long run_snp(struct snp_guest *g)
{
    long r = snp_run(g);

    return r == GUEST_DONE ? 0 : r < 0 ? r : -r - 1000;
}

static void live_snp(void)
{
    struct kvm_sev_init init = { 0 };
    struct vm vm = { .fd = (int)OP(kvm_callv(lab_kvm, KVM_CREATE_VM, KVM_X86_SNP_VM)) };
    struct vcpu v = { .vm = &vm, .fd = -1 };
    struct snp_guest g = { .vm = &vm, .v = &v, .gmem = -1 };

    if (vm.fd < 0)
        return;
    OP(snp_call(&g, KVM_SEV_INIT2, &init));
    private_memory(&g);
    v.fd = (int)OP(kvm_callv(vm.fd, KVM_CREATE_VCPU, 0));
    if (v.fd >= 0) {
        OP(kvm_call(v.fd, KVM_SET_CPUID2, lab_cpuid()));
        OP(kvm_call(v.fd, KVM_SET_SREGS, &ref.sregs));
        OP(kvm_call(v.fd, KVM_SET_REGS, &ref.regs));
        launch(&g);
        v.run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, v.fd, 0);
        if (v.run != MAP_FAILED) {
            OP(run_snp(&g));
            munmap(v.run, PAGE);
        }
        close(v.fd);
    }
    if (g.gmem >= 0)
        close(g.gmem);
    close(vm.fd);
}

static void undisturbed_snp(void)
{
    struct snp_guest g = snp_create();

    ref.vm = g.vm;
    ref.image = g.image;
    snp_set_state(&g, GUEST_ADDR(snp_status), 0, 0, 0);
    ref.regs = vcpu_regs(g.v);
    ref.sregs = vcpu_sregs(g.v);
    lab_cpuid();
}

static void undisturbed(void)
{
    struct vm *vm = vm_split();
    struct vcpu *v = vcpu_new(vm, 0);

    ref.vm = vm;
    ref.irq = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ref.io = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ref.logged = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(ref.irq >= 0 && ref.io >= 0 && ref.logged != MAP_FAILED);
    guest_prepare(v, GUEST_ADDR(nop), 0, 0, 0, 0);
    ref.regs = vcpu_regs(v);
    ref.sregs = vcpu_sregs(v);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_FPU, &ref.fpu), 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_XSAVE, &ref.xsave), 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_LAPIC, &ref.lapic), 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_VCPU_EVENTS, &ref.events), 0);
    lab_cpuid();
}

/* ---- Tests ---- */

static void fail_each(void (*one_life)(void), unsigned least)
{
    unsigned n = 0, before = users(), failed = 0;
    char text[16];

    life.once = true;
    do {
        snprintf(text, sizeof(text), "%u", ++n);
        ASSERT(put("/proc/thread-self/fail-nth", text));
        life.failed = 0;
        one_life();
        failed += life.failed;
        if (n % 10 == 0)
            printf("# %u lives\n", n);
        if (!WAIT_FOR(users() == before))
            lab_fail(__FILE__, __LINE__, "after failure %u something stays", n);
    } while (!get("/proc/thread-self/fail-nth") && n < LIVES_MAX);
    put("/proc/thread-self/fail-nth", "0");
    printf("# %u operations can fail, %u calls did\n", n - 1, failed);
    EXPECT(n < LIVES_MAX);
    EXPECT(failed >= least);
}

static void test_each(void)
{
    aim();
    undisturbed();
    fail_each(live, 40); /* more than one for each call */
}

static void test_each_snp(void)
{
    aim();
    undisturbed_snp();
    fail_each(live_snp, 20);
}

static void test_random(void)
{
    unsigned before, failed = 0;
    char text[16];

    aim();
    undisturbed();
    before = users();
    life.once = false;
    snprintf(text, sizeof(text), "%u", interval);
    knob("interval", text, true);
    ASSERT(put("/proc/self/make-it-fail", "1"));
    snprintf(text, sizeof(text), "%u", percent);
    knob("probability", text, true);
    for (unsigned i = 0; i < lives; i++) {
        life.failed = 0;
        live();
        failed += life.failed;
    }
    knob("probability", "0", true);
    ASSERT(put("/proc/self/make-it-fail", "0"));
    printf("# %u lives, %u calls failed\n", lives, failed);
    EXPECT(failed > lives / 20);
    EXPECT(WAIT_FOR(users() == before));
}

int main(int argc, char **argv)
{
    static const struct lab_test tests[] = {
        { "each failure by itself", test_each },
        { "failures at random", test_random },
        { "each in a confidential guest's life", test_each_snp },
    };

    if (argc > 5) {
        lives = (unsigned)atoi(argv[3]);
        percent = (unsigned)atoi(argv[4]);
        interval = (unsigned)atoi(argv[5]);
    }
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
