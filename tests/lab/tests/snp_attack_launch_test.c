/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VMM that misuses the launch of an SNP guest: each call in each state that it is not for, of
 * wrong size, with ranges that are none, from another process, and two at once. What is refused
 * changes nothing, by the platform's own count of contexts, ASIDs and pages; and in the end all
 * of them are what they were before.
 */
#define _GNU_SOURCE
#include "snp_agent.h"

#include <asm/kvm.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/wait.h>

#include "bawn/uapi.h"

#define FREE (GUEST_MEM - 64 * PAGE) /* private, and nobody's yet */
#define BEYOND 0x40000000ull
#define BAD_POINTER 0x10ull
#define ZERO KVM_SEV_SNP_PAGE_TYPE_ZERO
#define NORMAL KVM_SEV_SNP_PAGE_TYPE_NORMAL

static char before[4096];

/* ---- Guests in each state ---- */

enum state { NONE, INIT, LAUNCHING, RUNNING, BROKEN, STATES };
static const char *const state_names[STATES] = { "none", "init", "launching", "running", "broken" };

static int update(struct snp_guest *g)
{
    return snp_update(g, FREE, NULL, PAGE, ZERO);
}

static int finish(struct snp_guest *g)
{
    struct kvm_sev_snp_launch_finish args = { 0 };

    return snp_call(g, KVM_SEV_SNP_LAUNCH_FINISH, &args);
}

/* An ID block that is of no guest. */
static int finish_badly(struct snp_guest *g)
{
    static uint8_t zeros[KVM_SEV_SNP_ID_AUTH_SIZE];
    struct kvm_sev_snp_launch_finish args = { .id_block_en = 1,
                                              .id_block_uaddr = (uint64_t)(uintptr_t)zeros,
                                              .id_auth_uaddr = (uint64_t)(uintptr_t)zeros };

    return snp_call(g, KVM_SEV_SNP_LAUNCH_FINISH, &args);
}

static struct snp_guest guest_in(enum state state)
{
    struct snp_guest g = { .gmem = -1 };

    if (state == RUNNING)
        return agent_create(1);
    if (state == LAUNCHING || state == BROKEN) {
        g = snp_create();
        snp_set_state(&g, GUEST_ADDR(snp_status), 0, 0, 0);
        if (state == BROKEN)
            ASSERT(finish_badly(&g) < 0);
        return g;
    }
    if (!(kvm_cap(lab_kvm, KVM_CAP_VM_TYPES) & BIT(KVM_X86_SNP_VM)))
        lab_skip("no SNP guests here");
    g.vm = vm_typed(KVM_X86_SNP_VM);
    if (state == INIT)
        ASSERT_EQ(snp_init2(&g), 0);
    return g;
}

/* The guest is what it should be at the end of its state: it can be launched, or it runs. */
static void expect_unharmed(struct snp_guest *g, enum state state)
{
    if (state == LAUNCHING) {
        snp_launch(g);
        EXPECT_EQ(snp_run(g), GUEST_DONE);
    } else if (state == RUNNING) {
        agent_expect_alive(g);
    } else if (state == NONE) {
        EXPECT_EQ(snp_init2(g), 0);
    } else if (state == INIT) {
        EXPECT_EQ(snp_start(g), 0);
    }
}

/* ---- Each call in each state that it is not for ---- */

static int run_vcpu(struct snp_guest *g)
{
    return g->v ? vcpu_run(g->v) : -EINVAL;
}

static int another_vcpu(struct snp_guest *g)
{
    int fd = kvm_callv(g->vm->fd, KVM_CREATE_VCPU, 5);

    if (fd >= 0)
        close(fd);
    return fd;
}

static int vcpu_call(struct snp_guest *g, unsigned long nr)
{
    static uint8_t arg[0x4000];

    memset(arg, 0, sizeof(arg));
    return g->v ? kvm_call(g->v->fd, nr, arg) : -EINVAL;
}

static int measure(struct snp_guest *g)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_BAWN_MEASURE };

    return g->v ? kvm_call(g->vm->fd, KVM_ENABLE_CAP, &cap) : -EINVAL;
}

static int irqchip(struct snp_guest *g)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };

    return g->v ? kvm_call(g->vm->fd, KVM_ENABLE_CAP, &cap) : -EINVAL;
}

#define VCPU_CALL(nr)                       \
    static int do_##nr(struct snp_guest *g) \
    {                                       \
        return vcpu_call(g, nr);            \
    }
VCPU_CALL(KVM_GET_REGS)
VCPU_CALL(KVM_SET_REGS)
VCPU_CALL(KVM_GET_SREGS)
VCPU_CALL(KVM_SET_SREGS)
VCPU_CALL(KVM_SET_SREGS2)
VCPU_CALL(KVM_GET_FPU)
VCPU_CALL(KVM_SET_FPU)
VCPU_CALL(KVM_GET_XSAVE)
VCPU_CALL(KVM_SET_XSAVE)
VCPU_CALL(KVM_SET_XCRS)
VCPU_CALL(KVM_GET_DEBUGREGS)
VCPU_CALL(KVM_SET_DEBUGREGS)
VCPU_CALL(KVM_SET_GUEST_DEBUG)

#define IN(state) (1u << (state))
#define CLOSED (IN(NONE) | IN(INIT) | IN(LAUNCHING))

static void test_states(void)
{
    static const struct {
        const char *name;
        int (*fn)(struct snp_guest *g);
        unsigned allowed; /* in these states */
    } calls[] = {
        { "INIT2", snp_init2, IN(NONE) },
        { "LAUNCH_START", snp_start, IN(INIT) },
        { "LAUNCH_UPDATE", update, IN(LAUNCHING) },
        { "LAUNCH_FINISH", finish, IN(LAUNCHING) },
        { "LAUNCH_FINISH, wrong", finish_badly, IN(LAUNCHING) },
        { "KVM_RUN", run_vcpu, IN(RUNNING) },
        { "CREATE_VCPU", another_vcpu, CLOSED },
        { "measurement", measure, 0 },
        { "split irqchip", irqchip, 0 },
        { "GET_REGS", do_KVM_GET_REGS, CLOSED },
        { "SET_REGS", do_KVM_SET_REGS, CLOSED },
        { "GET_SREGS", do_KVM_GET_SREGS, CLOSED },
        { "SET_SREGS", do_KVM_SET_SREGS, CLOSED },
        { "SET_SREGS2", do_KVM_SET_SREGS2, CLOSED },
        { "GET_FPU", do_KVM_GET_FPU, CLOSED },
        { "SET_FPU", do_KVM_SET_FPU, CLOSED },
        { "GET_XSAVE", do_KVM_GET_XSAVE, CLOSED },
        { "SET_XSAVE", do_KVM_SET_XSAVE, CLOSED },
        { "SET_XCRS", do_KVM_SET_XCRS, CLOSED },
        { "GET_DEBUGREGS", do_KVM_GET_DEBUGREGS, CLOSED },
        { "SET_DEBUGREGS", do_KVM_SET_DEBUGREGS, CLOSED },
        { "SET_GUEST_DEBUG", do_KVM_SET_GUEST_DEBUG, CLOSED },
    };

    for (enum state state = NONE; state < STATES; state++) {
        struct snp_guest g = guest_in(state);
        char now[4096];

        lab_row(state_names[state]);
        platform_state(now);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
            if (calls[i].allowed & IN(state))
                continue;
            if (calls[i].fn(&g) >= 0)
                lab_fail(__FILE__, __LINE__, "%s is not refused", calls[i].name);
        }
        platform_expect(now);
        expect_unharmed(&g, state);
        snp_destroy(&g);
    }
    lab_row(NULL);
    platform_expect(before);
}

/* ---- Sizes ---- */

#define SIZED(nr, size) _IOC(_IOC_DIR(nr), _IOC_TYPE(nr), _IOC_NR(nr), size)

static void test_sizes(void)
{
    static const unsigned long numbers[] = {
        KVM_MEMORY_ENCRYPT_OP,       KVM_CREATE_GUEST_MEMFD, KVM_SET_MEMORY_ATTRIBUTES,
        KVM_SET_USER_MEMORY_REGION2, BAWN_SNP_SET_CERTS,
    };
    struct snp_guest g = guest_in(LAUNCHING);
    static uint8_t arg[0x4000];

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        unsigned right = _IOC_SIZE(numbers[i]);
        const unsigned sizes[] = { 0, 1, right - 1, right + 1, right + 8, 0x3fff };

        for (size_t k = 0; k < ARRAY_SIZE(sizes); k++)
            if (sizes[k] != right)
                EXPECT(kvm_call(g.vm->fd, SIZED(numbers[i], sizes[k]), arg) < 0);
    }
    expect_unharmed(&g, LAUNCHING);
    snp_destroy(&g);
    platform_expect(before);
}

/* Structures of which the last byte is not there. */
static void test_cut(void)
{
    uint8_t *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const struct {
        uint32_t id;
        size_t size;
        enum state state;
    } rows[] = {
        { KVM_SEV_INIT2, sizeof(struct kvm_sev_init), NONE },
        { KVM_SEV_SNP_LAUNCH_START, sizeof(struct kvm_sev_snp_launch_start), INIT },
        { KVM_SEV_SNP_LAUNCH_UPDATE, sizeof(struct kvm_sev_snp_launch_update), LAUNCHING },
        { KVM_SEV_SNP_LAUNCH_FINISH, sizeof(struct kvm_sev_snp_launch_finish), LAUNCHING },
    };

    ASSERT(two != MAP_FAILED);
    ASSERT_EQ(mprotect(two + PAGE, PAGE, PROT_NONE), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_guest g = guest_in(rows[i].state);
        struct kvm_sev_cmd cmd = { .id = rows[i].id };

        EXPECT_EQ(snp_call(&g, rows[i].id, two + PAGE - rows[i].size + 1), -EFAULT);
        EXPECT_EQ(snp_call(&g, rows[i].id, (void *)BAD_POINTER), -EFAULT);
        EXPECT_EQ(snp_call(&g, rows[i].id, NULL), -EFAULT);
        memcpy(two + PAGE - 8, &cmd, 8);
        EXPECT_EQ(kvm_call(g.vm->fd, KVM_MEMORY_ENCRYPT_OP, two + PAGE - 8), -EFAULT);
        expect_unharmed(&g, rows[i].state);
        snp_destroy(&g);
    }
    munmap(two, 2 * PAGE);
    platform_expect(before);
}

/* ---- Ranges ---- */

static void test_update_ranges(void)
{
    static const struct {
        const char *name;
        uint64_t gfn, len;
        uint64_t offset; /* of the source */
    } rows[] = {
        { "empty", FREE / PAGE, 0, 0 },
        { "one byte", FREE / PAGE, 1, 0 },
        { "not quite a page", FREE / PAGE, PAGE - 1, 0 },
        { "a page and a byte", FREE / PAGE, PAGE + 1, 0 },
        { "all ones", FREE / PAGE, ~0ull, 0 },
        { "source not aligned", FREE / PAGE, PAGE, 8 },
        { "the mailbox, which is shared", GUEST_MBOX / PAGE, PAGE, 0 },
        { "behind memory", GUEST_MEM / PAGE, PAGE, 0 },
        { "beyond memory", BEYOND / PAGE, PAGE, 0 },
        { "the C-bit", (FREE | BIT(47)) / PAGE, PAGE, 0 },
        { "wrapping as an address", BIT(52) | FREE / PAGE, PAGE, 0 },
        { "wrapping as a frame", ~0ull, 2 * PAGE, 0 },
        { "the last frame", ~0ull, PAGE, 0 },
        { "an address instead of a frame", FREE, PAGE, 0 },
    };
    struct snp_guest g = guest_in(LAUNCHING);
    static uint8_t source[4 * PAGE] __attribute__((aligned(4096)));
    char now[4096];

    platform_state(now);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct kvm_sev_snp_launch_update args = {
            .gfn_start = rows[i].gfn,
            .uaddr = (uint64_t)(uintptr_t)source + rows[i].offset,
            .len = rows[i].len,
            .type = NORMAL,
        };

        lab_row(rows[i].name);
        EXPECT(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args) < 0);
        EXPECT_EQ(args.len, rows[i].len);
        platform_expect(now);
    }
    lab_row(NULL);
    expect_unharmed(&g, LAUNCHING);
    snp_destroy(&g);
    platform_expect(before);
}

static unsigned pages_valid(void)
{
    char now[4096];
    const char *at;

    platform_state(now);
    at = strstr(now, "rmp_guest_valid ");
    ASSERT(at);
    return (unsigned)atoi(at + strlen("rmp_guest_valid "));
}

/* Into what was launched already, out of the slot's end, and into shared memory: as far as told,
 * and not one page further. */
static void test_update_overlaps(void)
{
    static const struct {
        const char *name;
        uint64_t gpa, pages, done;
    } rows[] = {
        { "over a page in the middle", FREE, 5, 2 },
        { "over the same page alone", FREE + 2 * PAGE, 1, 0 },
        { "out of memory's end", GUEST_MEM - PAGE, 3, 1 },
        { "out of memory's end, very far", GUEST_MEM - 2 * PAGE, 1ull << 40, 1 },
        { "into shared memory", GUEST_MBOX - PAGE, 3, 1 },
    };
    struct snp_guest g = guest_in(LAUNCHING);
    unsigned valid = pages_valid();

    EXPECT_EQ(snp_update(&g, FREE + 2 * PAGE, NULL, PAGE, ZERO), 0);
    EXPECT_EQ(pages_valid(), valid + 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct kvm_sev_snp_launch_update args = { .gfn_start = rows[i].gpa / PAGE,
                                                  .len = rows[i].pages * PAGE,
                                                  .type = ZERO };

        lab_row(rows[i].name);
        valid = pages_valid();
        /* The second of the two rows at memory's end has one page before what the first did. */
        snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args);
        EXPECT_EQ(args.len, (rows[i].pages - rows[i].done) * PAGE);
        EXPECT_EQ(pages_valid(), valid + rows[i].done);
    }
    lab_row(NULL);
    snp_destroy(&g);
    platform_expect(before);
}

static void test_attribute_ranges(void)
{
    static const struct kvm_memory_attributes bad[] = {
        { .address = FREE, .size = 0 },
        { .address = FREE + 1, .size = PAGE },
        { .address = FREE, .size = PAGE + 1 },
        { .address = FREE, .size = ~0ull },
        { .address = FREE, .size = ~(PAGE - 1) },
        { .address = ~(PAGE - 1), .size = PAGE },
        { .address = ~(PAGE - 1), .size = 2 * PAGE },
        { .address = BIT(47), .size = PAGE },
        { .address = BIT(47) - PAGE, .size = 2 * PAGE },
        { .address = 0, .size = BIT(63) },
        { .address = FREE, .size = PAGE, .attributes = 1 },
        { .address = FREE, .size = PAGE, .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE | BIT(4) },
        { .address = FREE, .size = PAGE, .attributes = ~0ull },
        { .address = FREE, .size = PAGE, .flags = 1 },
        { .address = 0, .size = GUEST_MEM, .flags = BIT(63) },
    };
    struct snp_guest g = guest_in(RUNNING);

    agent_validate(&g, FREE);
    agent_store(&g, FREE, 77);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct kvm_memory_attributes args = bad[i];

        EXPECT(kvm_call(g.vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &args) < 0);
        EXPECT_EQ(agent_load(&g, FREE), 77);
    }
    snp_destroy(&g);
    platform_expect(before);
}

static void test_slot_ranges(void)
{
    struct snp_guest g = guest_in(RUNNING), other = guest_in(LAUNCHING);
    uint64_t at = (uint64_t)(uintptr_t)g.vm->mem;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct kvm_create_guest_memfd create = { .size = 16 * PAGE };
    int file = kvm_call(g.vm->fd, KVM_CREATE_GUEST_MEMFD, &create);
    struct kvm_create_guest_memfd sizes[] = {
        { .size = 0 },
        { .size = 1 },
        { .size = PAGE + 1 },
        { .size = ~0ull },
        { .size = ~(PAGE - 1) },
        { .size = BIT(63) },
        { .size = PAGE, .flags = 1 },
        { .size = PAGE, .flags = BIT(63) },
    };
    const struct kvm_userspace_memory_region2 bad[] = {
        { .guest_phys_addr = BEYOND, .memory_size = PAGE, .guest_memfd_offset = 8 },
        { .guest_phys_addr = BEYOND, .memory_size = PAGE, .guest_memfd_offset = 16 * PAGE },
        { .guest_phys_addr = BEYOND, .memory_size = PAGE, .guest_memfd_offset = ~(PAGE - 1) },
        { .guest_phys_addr = BEYOND, .memory_size = 17 * PAGE },
        { .guest_phys_addr = BEYOND, .memory_size = 2 * PAGE, .guest_memfd_offset = 15 * PAGE },
        { .guest_phys_addr = BEYOND, .memory_size = BIT(44) },
        { .guest_phys_addr = GUEST_MEM - PAGE, .memory_size = PAGE },
        { .guest_phys_addr = 0, .memory_size = 16 * PAGE },
        { .guest_phys_addr = BIT(47) - PAGE, .memory_size = 2 * PAGE },
        { .guest_phys_addr = BIT(47), .memory_size = PAGE },
        { .guest_phys_addr = ~(PAGE - 1), .memory_size = PAGE },
        { .guest_phys_addr = BEYOND + 8, .memory_size = PAGE },
        { .guest_phys_addr = BEYOND, .memory_size = 8 },
        { .slot = 0x10009, .guest_phys_addr = BEYOND, .memory_size = PAGE },
        { .slot = ~0u - 7, .guest_phys_addr = BEYOND, .memory_size = PAGE },
        { .flags = KVM_MEM_LOG_DIRTY_PAGES, .guest_phys_addr = BEYOND, .memory_size = PAGE },
        { .flags = KVM_MEM_READONLY, .guest_phys_addr = BEYOND, .memory_size = PAGE },
        { .flags = 1u << 31, .guest_phys_addr = BEYOND, .memory_size = PAGE },
    };
    const int files[] = { -1, 0x7fffffff, null, g.vm->fd, g.v->fd, other.gmem };

    ASSERT(file >= 0 && null >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        EXPECT(kvm_call(g.vm->fd, KVM_CREATE_GUEST_MEMFD, &sizes[i]) < 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct kvm_userspace_memory_region2 r = bad[i];

        r.slot += 7;
        r.flags |= KVM_MEM_GUEST_MEMFD;
        r.userspace_addr = at;
        r.guest_memfd = (uint32_t)file;
        if (kvm_call(g.vm->fd, KVM_SET_USER_MEMORY_REGION2, &r) >= 0)
            lab_fail(__FILE__, __LINE__, "slot %zu is taken", i);
    }
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct kvm_userspace_memory_region2 r = { .slot = 7,
                                                  .flags = KVM_MEM_GUEST_MEMFD,
                                                  .guest_phys_addr = BEYOND,
                                                  .memory_size = PAGE,
                                                  .userspace_addr = at,
                                                  .guest_memfd = (uint32_t)files[i] };

        if (kvm_call(g.vm->fd, KVM_SET_USER_MEMORY_REGION2, &r) >= 0)
            lab_fail(__FILE__, __LINE__, "file %zu is taken", i);
    }
    agent_expect_alive(&g);
    close(null);
    close(file);
    expect_unharmed(&other, LAUNCHING);
    snp_destroy(&g);
    snp_destroy(&other);
    platform_expect(before);
}

/* Holes that lie nowhere; the guest's pages stay. */
static void test_hole_ranges(void)
{
    static const struct {
        long long offset, len;
    } rows[] = {
        { -1, PAGE },
        { FREE + 1, PAGE },
        { FREE, PAGE - 1 },
        { FREE, 0 },
        { FREE, -4096 },
        { 0x7ffffffffffff000ll, PAGE },
        { 0x7ffffffffffff000ll, 0x7ffffffffffff000ll },
    };
    struct snp_guest g = guest_in(RUNNING);

    agent_validate(&g, FREE);
    agent_store(&g, FREE, 77);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        EXPECT(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, rows[i].offset,
                         rows[i].len) < 0);
        EXPECT(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE, rows[i].offset, rows[i].len) < 0);
        EXPECT_EQ(agent_load(&g, FREE), 77);
    }
    /* Behind the file there is nothing, which can be taken away. */
    fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, GUEST_MEM, 16 * PAGE);
    fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, GUEST_MEM,
              (off_t)(BIT(62) - GUEST_MEM));
    EXPECT(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE, GUEST_MEM, PAGE) < 0);
    EXPECT_EQ(agent_load(&g, FREE), 77);
    snp_destroy(&g);
    platform_expect(before);
}

/* ---- Another process ---- */

/* Whoever inherits the files cannot launch, run or feed the guest. */
static void test_other_process(void)
{
    struct snp_guest g = guest_in(LAUNCHING);
    int status = -1;
    pid_t pid = fork();

    ASSERT(pid >= 0);
    if (!pid)
        _exit((update(&g) >= 0) | (finish(&g) >= 0) << 1 | (run_vcpu(&g) >= 0) << 2 |
              (another_vcpu(&g) >= 0) << 3 | (snp_attributes(&g, FREE, PAGE, false) >= 0) << 4);
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    expect_unharmed(&g, LAUNCHING);
    snp_destroy(&g);
    platform_expect(before);
}

/* ---- Two threads at once ---- */

#define REPEATS 16

struct duel {
    struct snp_guest g;
    pthread_barrier_t begin;
    unsigned round;
};

static void duel_update(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    snp_update(g, FREE + i % 4 * PAGE, NULL, 2 * PAGE, ZERO);
}

static void duel_finish(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    if (i == REPEATS / 2)
        finish(g);
}

static void duel_vcpu(struct duel *d, struct snp_guest *g, unsigned i)
{
    int fd = kvm_callv(g->vm->fd, KVM_CREATE_VCPU, 1 + i);

    (void)d;
    if (fd >= 0)
        close(fd);
}

static void duel_begin(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    if (i & 1)
        snp_init2(g);
    else
        snp_start(g);
}

static void duel_run(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    (void)i;
    g->v->run->immediate_exit = 1; /* a guest of which half is missing may never end */
    vcpu_run(g->v);
}

static void duel_registers(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    (void)i;
    vcpu_call(g, KVM_GET_SREGS);
    vcpu_call(g, KVM_SET_REGS);
}

static void duel_punch(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    fallocate(g->gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              (off_t)(FREE + (i + 1) % 4 * PAGE), (off_t)(2 * PAGE));
}

static void duel_attributes(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    snp_attributes(g, FREE + i % 4 * PAGE, 2 * PAGE, i & 1);
}

static void duel_slot(struct duel *d, struct snp_guest *g, unsigned i)
{
    struct kvm_userspace_memory_region2 r = {
        .slot = SNP_SLOT,
        .flags = KVM_MEM_GUEST_MEMFD,
        .memory_size = i & 1 ? GUEST_MEM : 0,
        .userspace_addr = (uint64_t)(uintptr_t)g->vm->mem,
        .guest_memfd = (uint32_t)g->gmem,
    };

    (void)d;
    kvm_call(g->vm->fd, KVM_SET_USER_MEMORY_REGION2, &r);
}

/* The VM's file and its first vCPU's: whoever is inside a call holds them still. */
static void duel_close(struct duel *d, struct snp_guest *g, unsigned i)
{
    if (i != REPEATS / 2)
        return;
    close(g->vm->fd);
    close(g->v->fd);
    d->g.vm->fd = d->g.v->fd = -1;
}

static void duel_close_memory(struct duel *d, struct snp_guest *g, unsigned i)
{
    (void)d;
    if (i == REPEATS / 2)
        EXPECT_EQ(dup2(lab_kvm, g->gmem), g->gmem); /* closed, and the number is in use */
}

static const struct {
    const char *name;
    void (*fn)(struct duel *d, struct snp_guest *g, unsigned i);
} duellists[] = {
    { "update", duel_update },
    { "finish", duel_finish },
    { "vCPU", duel_vcpu },
    { "begin", duel_begin },
    { "run", duel_run },
    { "registers", duel_registers },
    { "punch", duel_punch },
    { "attributes", duel_attributes },
    { "slot", duel_slot },
    { "close", duel_close },
    { "close memory", duel_close_memory },
};

struct side {
    struct duel *d;
    unsigned what;
};

static void *duel_side(void *arg)
{
    struct side *s = arg;
    struct snp_guest g = s->d->g; /* fw_error is this thread's */
    struct vm vm = *g.vm;
    struct vcpu v = *g.v;

    /* So are the numbers of the files: what the other has closed stays closed to this one. */
    g.vm = &vm;
    g.v = &v;
    pthread_barrier_wait(&s->d->begin);
    for (unsigned i = 0; i < REPEATS; i++)
        duellists[s->what].fn(s->d, &g, i);
    return NULL;
}

static void duel(unsigned a, unsigned b)
{
    struct duel d = { .g = snp_create() };
    struct side sides[] = { { &d, a }, { &d, b } };
    pthread_t thread;

    pthread_barrier_init(&d.begin, NULL, 2);
    ASSERT_EQ(pthread_create(&thread, NULL, duel_side, &sides[0]), 0);
    duel_side(&sides[1]);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&d.begin);
    snp_destroy(&d.g);
}

/* Each pair, themselves included. */
static void test_duels(void)
{
    for (unsigned a = 0; a < ARRAY_SIZE(duellists); a++) {
        lab_row(duellists[a].name);
        for (unsigned b = a; b < ARRAY_SIZE(duellists); b++)
            duel(a, b);
        platform_expect(before);
    }
    lab_row(NULL);
    agent_create(1); /* and a guest still runs */
}

static const struct lab_test tests[] = {
    { "each call in each wrong state", test_states },
    { "calls of wrong size", test_sizes },
    { "structures that end too early", test_cut },
    { "LAUNCH_UPDATE of ranges that are none", test_update_ranges },
    { "LAUNCH_UPDATE over what is there", test_update_overlaps },
    { "attributes of ranges that are none", test_attribute_ranges },
    { "slots and files that are none", test_slot_ranges },
    { "holes that are none", test_hole_ranges },
    { "another process", test_other_process },
    { "two threads, each pair of calls", test_duels },
};

int main(int argc, char **argv)
{
    platform_state(before);
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
