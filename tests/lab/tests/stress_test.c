/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many VMs one after the other, at once, killed, with slots that come, go and move, and one that is
 * large; afterwards the host has what it had before: the module's users, files, pins, tables,
 * memory.
 *
 * stress DEVICE [NAME=NUMBER]...: how much of each (struct sizes), and the seed of what is random.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static struct {
    const char *name;
    unsigned long value;
} sizes[] = {
    { "cycles", 80 },    /* create, run, destroy */
    { "vms", 8 },        /* at once */
    { "kills", 12 },     /* VMMs killed at any moment */
    { "slots", 150 },    /* changes of slots under four vCPUs */
    { "touched", 2048 }, /* pages of the large guest, of 64 GiB */
    { "seconds", 40 },   /* for each */
    { "seed", 1 },
};
enum { CYCLES, VMS, KILLS, SLOTS, TOUCHED, SECONDS, SEED };

static uint64_t random_state;

static unsigned long below(unsigned long n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned long)(random_state % n);
}

/* ---- what the host has ---- */

struct have {
    long users, files, pins, tables, free_kib;
};

/* With what each CPU has at hand, large pages among it. */
static long free_kib(void)
{
    FILE *f = fopen("/proc/zoneinfo", "r");
    long pages = 0, n;
    char line[128];

    memory_set("/proc/sys/vm/drop_caches", "3");
    ASSERT(f);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, " pages free %ld", &n) == 1 || sscanf(line, " count: %ld", &n) == 1)
            pages += n;
    fclose(f);
    return pages * 4;
}

static struct have have(void)
{
    return (struct have){
        .users = lab_users(),
        .files = memory_get("/proc/sys/fs/file-nr", NULL),
        .pins = memory_get("/proc/vmstat", "nr_foll_pin_acquired ") -
                memory_get("/proc/vmstat", "nr_foll_pin_released "),
        .tables = memory_get("/proc/vmstat", "nr_sec_page_table_pages "),
        .free_kib = free_kib(),
    };
}

/* What a sanitized host keeps of freed memory, to see who touches it (KASAN's quarantine). */
static long quarantine_kib(void)
{
    return lab_slower() > 1 ? memory_get("/proc/meminfo", "MemTotal: ") / 32 : 0;
}

/* Files go with a delay; of memory, other parts of the host may take or give something. */
static void expect_same(const struct have *before, long kib)
{
    struct have after;

    kib += quarantine_kib();
    EXPECT(WAIT_FOR(lab_users() == before->users));
    EXPECT(WAIT_FOR((after = have()).free_kib >= before->free_kib - kib &&
                    after.tables <= before->tables &&
                    after.files <= before->files + 64)); /* counted in batches for each CPU */
    EXPECT_EQ(after.pins, before->pins);
    printf("# %.1f s: users %ld files %ld tables %ld, %ld KiB less\n", (double)lab_now() / 1e9,
           after.users, after.files, after.tables, before->free_kib - after.free_kib);
}

/* ---- one after the other ---- */

static void cycle(unsigned long n)
{
    struct vm *vm = n % 2 ? vm_split() : vm_bare();

    for (unsigned id = 0; id <= n % 3; id++) {
        struct vcpu *v = vcpu_new(vm, id);

        EXPECT_EQ(guest_call(v, store32, GUEST_DATA, n, 0, 0), GUEST_DONE);
    }
    EXPECT_EQ(*(volatile uint32_t *)(vm->mem + GUEST_DATA), (uint32_t)n);
    vm_destroy(vm);
}

static void test_cycles(void)
{
    unsigned long n = sizes[CYCLES].value;
    struct have before;

    for (unsigned long i = 0; i < 10; i++) /* the kernel's caches are warm then */
        cycle(i);
    usleep(200000);
    before = have();
    for (unsigned long i = 0; i < n && !lab_failed(); i++) {
        cycle(i);
        if (i % 1000 == 999)
            printf("# %lu\n", i + 1);
    }
    expect_same(&before, 256 + (long)n); /* a page each would be 4 KiB */
}

/* ---- at once ---- */

static void at_once(void)
{
    unsigned long n = sizes[VMS].value;
    struct vcpu *v[64];

    ASSERT(n <= ARRAY_SIZE(v));
    for (unsigned long i = 0; i < n; i++) {
        v[i] = vcpu_new(vm_split(), 0);
        guest_prepare(v[i], GUEST_ADDR(counter), GUEST_DATA, 0, 0, 0);
        vcpu_start(v[i], NULL);
    }
    for (unsigned long i = 0; i < n; i++) {
        volatile uint32_t *count = (volatile uint32_t *)(v[i]->vm->mem + GUEST_DATA);
        uint32_t seen = *count;

        EXPECT(WAIT_FOR(*count != seen));
    }
    for (unsigned long i = 0; i < n; i++)
        vm_destroy(v[i]->vm);
}

static void test_at_once(void)
{
    struct have before;

    at_once(); /* this process has threads' stacks then */
    before = have();
    at_once();
    expect_same(&before, 512);
}

/* ---- slots ---- */

#define WINDOW (64 * PAGE)
#define PLACES 4u

static bool any_exit(struct vcpu *v, int reason)
{
    (void)v;
    return reason == KVM_EXIT_MMIO; /* there is nothing just now */
}

/*
 * Four vCPUs write and read all over four places, between which two slots move. What they write
 * arrives in the memory of the slots and nowhere else.
 */
static void test_slots(void)
{
    uint8_t *mem = memory_new(4 * WINDOW);
    struct vm *vm = vm_bare();
    int place[2] = { -1, -1 }; /* of slots 1 and 2 */
    struct vcpu *v[4];

    memory_fill(mem, 4 * WINDOW, 0x77777777); /* the slots have its second and third quarter */
    for (unsigned i = 0; i < 4; i++) {
        v[i] = vcpu_new(vm, i);
        guest_prepare(v[i], i % 2 ? GUEST_ADDR(scatter) : GUEST_ADDR(mirror),
                      HIGH + (i % 2 ? 0 : i * WINDOW), i % 2 ? 5 + i : COPY + 0x400 + i * 0x100,
                      PLACES * WINDOW, COPY + i * 0x100);
        vcpu_start(v[i], any_exit);
    }
    for (unsigned long i = 0; i < sizes[SLOTS].value; i++) {
        unsigned slot = (unsigned)below(2), to = (unsigned)below(PLACES);
        unsigned flags = below(3) ? 0 : KVM_MEM_LOG_DIRTY_PAGES;

        if (place[slot] >= 0 && below(3) == 0) {
            vm_slot(vm, 1 + slot, 0, 0, 0, NULL);
            place[slot] = -1;
        } else if (place[!slot] != (int)to) {
            vm_slot(vm, 1 + slot, flags, HIGH + to * WINDOW, WINDOW, mem + (1 + slot) * WINDOW);
            place[slot] = (int)to;
        }
        if (below(4) == 0)
            madvise(mem + (1 + slot) * WINDOW, below(64) * PAGE, MADV_DONTNEED);
        if (below(4) == 0)
            usleep((unsigned)below(3000));
    }
    for (unsigned i = 0; i < 4; i++) {
        vcpu_kick(v[i]);
        EXPECT_EQ(v[i]->result < 0 ? v[i]->result : -EINTR, -EINTR);
    }
    for (size_t i = 0; i < WINDOW; i += 4) {
        EXPECT(*(uint32_t *)(mem + i) == 0x77777777);
        EXPECT(*(uint32_t *)(mem + 3 * WINDOW + i) == 0x77777777);
        if (lab_failed())
            break;
    }
}

/* ---- killed ---- */

/* In a child: does what VMMs do, until it is killed. */
static _Noreturn void hostile_vmm(uint64_t seed)
{
    random_state = seed;
    for (;;) {
        struct vm *vm = below(2) ? vm_split() : vm_bare();
        unsigned nr = 1 + (unsigned)below(3);
        uint8_t *mem = memory_new(2 * HUGE);
        uint64_t bitmap[16];
        struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };

        vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, 2 * HUGE, mem);
        for (unsigned i = 0; i < nr; i++) {
            struct vcpu *v = vcpu_new(vm, i);

            guest_prepare(v, GUEST_ADDR(scatter), HIGH, 77 + i, 2 * HUGE, COPY + i * 0x100);
            vcpu_start(v, any_exit);
        }
        for (unsigned i = 0; i < 20; i++) {
            if (below(2))
                kvm_call(vm->fd, KVM_GET_DIRTY_LOG, &log);
            if (below(3) == 0)
                madvise(mem, below(1024) * PAGE, MADV_DONTNEED);
            if (below(6) == 0) {
                vm_slot(vm, 1, 0, 0, 0, NULL);
                vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, 2 * HUGE, mem);
            }
            usleep((unsigned)below(1000));
        }
        vm_destroy(vm);
        munmap(mem, 2 * HUGE);
    }
}

static void kill_two(void)
{
    pid_t child[2];
    int status = 0;

    for (unsigned c = 0; c < 2; c++) {
        child[c] = fork();
        ASSERT(child[c] >= 0);
        if (!child[c])
            hostile_vmm(random_state + c + 1);
    }
    usleep((unsigned)below(60000));
    for (unsigned c = 0; c < 2; c++) {
        kill(child[c], SIGKILL);
        ASSERT_EQ(waitpid(child[c], &status, 0), child[c]);
        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

static void test_killed(void)
{
    struct have before;

    for (unsigned i = 0; i < 4; i++)
        kill_two();
    usleep(200000);
    before = have();
    for (unsigned long i = 0; i < sizes[KILLS].value; i += 2)
        kill_two();
    expect_same(&before, 512);
}

/* ---- large ---- */

#define LARGE (64ull << 30)

/* Ends by its slot's deletion, by munmap() under it, by the VM's end or its VMM's death. */
static void large_vmm(unsigned how)
{
    uint64_t step = LARGE / sizes[TOUCHED].value;
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(LARGE);

    madvise(mem, LARGE, MADV_NOHUGEPAGE);
    vm_slot(vm, 1, 0, HIGH, LARGE, mem);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + LARGE, step, 1), GUEST_DONE);
    EXPECT(memory_stat(vm, "pages_4k") >= sizes[TOUCHED].value);
    if (how == 0)
        vm_slot(vm, 1, 0, 0, 0, NULL);
    else if (how == 1)
        munmap(mem, LARGE);
    else if (how == 2)
        vm_destroy(vm);
    if (how < 2)
        EXPECT(memory_stat(vm, "pages_4k") < 64);
    _exit(lab_failed());
}

static void test_large(void)
{
    struct have before;

    for (unsigned how = 0; how < 4; how++) {
        int status = 0;
        pid_t child = fork();

        ASSERT(child >= 0);
        if (!child)
            large_vmm(how);
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
        if (!how)
            before = have();
    }
    expect_same(&before, 1024);
}

static const struct lab_test tests[] = {
    { "VMs come and go", test_cycles },
    { "VMs at once", test_at_once },
    { "slots come, go and move under four vCPUs", test_slots },
    { "VMMs killed at any moment", test_killed },
    { "64 GiB in many places, ended in four ways", test_large },
};

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        size_t n = equals ? (size_t)(equals - argv[i]) : 0, s = 0;

        while (s < ARRAY_SIZE(sizes) && (strncmp(sizes[s].name, argv[i], n) || sizes[s].name[n]))
            s++;
        if (!n || s == ARRAY_SIZE(sizes)) {
            printf("Bail out! unknown size %s\n", argv[i]);
            return 2;
        }
        sizes[s].value = strtoul(equals + 1, NULL, 0);
    }
    lab_seconds = (unsigned)sizes[SECONDS].value;
    random_state = 88172645463325252ull + sizes[SEED].value;
    return lab_main(argc > 2 ? 2 : argc, argv, tests, ARRAY_SIZE(tests));
}
