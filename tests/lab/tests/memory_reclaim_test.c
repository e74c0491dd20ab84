/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host takes pages from a guest and gives them back: swap, same-page merging, a control group's
 * limit, compaction, migration between nodes, writing back to a file. The guest's content stays.
 * Run by reclaim.sh, which prepares swap on zram0, /run/disk and /run/cgroup.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SIZE (4ul << 20)
#define GROUP "/run/cgroup/vmm/"
#define VMSTAT(key) memory_get("/proc/vmstat", key " ")

/* A VM with a slot of small pages, which the guest has filled. */
static struct vcpu *filled_vm(uint8_t **mem, uint64_t size)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);

    *mem = memory_new(size);
    madvise(*mem, size, MADV_NOHUGEPAGE);
    vm_slot(vm, 1, 0, HIGH, size, *mem);
    EXPECT_EQ(guest_call(v, fill, HIGH, HIGH + size, 0, 0), GUEST_DONE);
    return v;
}

static void expect_filled(struct vcpu *v, uint64_t size)
{
    EXPECT_EQ(guest_call(v, verify, HIGH, HIGH + size, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0);
}

/* Two vCPUs write until write_end(): each has a half of the slot, and its quarters stay alike. */
static void write_begin(struct vcpu *v[2], uint8_t **mem)
{
    struct vm *vm = vm_bare();

    *mem = memory_new(SIZE);
    vm_slot(vm, 1, 0, HIGH, SIZE, *mem);
    for (unsigned i = 0; i < 2; i++) {
        v[i] = vcpu_new(vm, i);
        guest_prepare(v[i], GUEST_ADDR(twice), HIGH + i * (SIZE / 2), 88172645463325252ull + i,
                      SIZE / 4, COPY + i * 0x100);
        vcpu_start(v[i], NULL);
    }
}

/* Both have gone on by a few words since the last call. */
static void write_goes_on(struct vcpu *v[2])
{
    for (unsigned i = 0; i < 2; i++) {
        volatile uint32_t *count = memory_copy(v[0]) + i * 0x40;
        uint32_t before = *count;

        EXPECT(WAIT_FOR(*count > before + 50));
    }
}

static void write_end(struct vcpu *v[2], const uint8_t *mem)
{
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t *once = (const uint64_t *)(mem + i * (SIZE / 2));
        const uint64_t *again = once + SIZE / 4 / 8;
        unsigned differ = 0;

        vcpu_kick(v[i]);
        EXPECT_EQ(v[i]->result, -EINTR);
        for (size_t w = 0; w < SIZE / 4 / 8; w++)
            differ += once[w] != again[w];
        EXPECT(differ <= 1); /* it may have been stopped between the two */
    }
}

/* ---- swap ---- */

static void test_swap(void)
{
    uint8_t *mem;
    struct vcpu *v = filled_vm(&mem, SIZE);
    long before = VMSTAT("pswpout");

    ASSERT_EQ(madvise(mem, SIZE, MADV_PAGEOUT), 0);
    EXPECT(VMSTAT("pswpout") >= before + (long)(SIZE / PAGE) / 2);
    expect_filled(v, SIZE);
    /* Read back, then written: the second way out must not lose the new content. */
    EXPECT_EQ(guest_call(v, fill, HIGH, HIGH + SIZE / 2, 0, 0), GUEST_DONE);
    ASSERT_EQ(madvise(mem, SIZE, MADV_PAGEOUT), 0);
    EXPECT_EQ(guest_call(v, fill, HIGH + SIZE / 2, HIGH + SIZE, 8, 0), GUEST_DONE);
    expect_filled(v, SIZE / 2);
    EXPECT_EQ(guest_call(v, verify, HIGH + SIZE / 2, HIGH + SIZE, 8, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0);
}

static void test_swap_writing(void)
{
    struct vcpu *v[2];
    uint8_t *mem;

    write_begin(v, &mem);
    for (unsigned i = 0; i < 7; i++) {
        write_goes_on(v);
        madvise(mem + (i % 4) * (SIZE / 4), SIZE / 4, i % 3 ? MADV_PAGEOUT : MADV_COLD);
    }
    write_end(v, mem);
}

/* Pages that the guest wrote after MADV_FREE are not free. */
static void test_lazy_free(void)
{
    uint8_t *mem;
    struct vcpu *v = filled_vm(&mem, SIZE);

    ASSERT_EQ(madvise(mem, SIZE, MADV_FREE), 0);
    EXPECT_EQ(guest_call(v, fill, HIGH, HIGH + SIZE, 0, 0), GUEST_DONE);
    ASSERT_EQ(madvise(mem, SIZE, MADV_PAGEOUT), 0);
    expect_filled(v, SIZE);
}

/* ---- pressure: a control group's limit ---- */

/* Runs body in a child that is alone in the group, with this limit. */
static void in_group(const char *limit, void (*body)(void))
{
    int status = -1;
    pid_t child;

    if (mkdir("/run/cgroup/vmm", 0700) && errno != EEXIST)
        lab_skip("no control groups");
    ASSERT(memory_set(GROUP "memory.max", limit));
    child = fork();
    ASSERT(child >= 0);
    if (!child) {
        alarm(lab_seconds - 5);
        if (!memory_set(GROUP "cgroup.procs", "0"))
            _exit(2);
        body();
        _exit(lab_failed());
    }
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT(WAIT_FOR(rmdir("/run/cgroup/vmm") == 0 || errno == ENOENT));
}

static void pressure(void)
{
    uint8_t *mem;
    struct vcpu *v = filled_vm(&mem, 3 * SIZE);

    expect_filled(v, 3 * SIZE);
    EXPECT_EQ(guest_call(v, fill, HIGH + SIZE, HIGH + 2 * SIZE, 0, 0), GUEST_DONE);
    expect_filled(v, 3 * SIZE);
}

static void test_pressure(void)
{
    long before = VMSTAT("pswpout");

    in_group("6M", pressure);
    EXPECT(VMSTAT("pswpout") > before + 500);
}

/* ---- what the control group is charged ---- */

#define SPREAD 600ul

static long charged(const char *key)
{
    return memory_get(GROUP "memory.stat", key);
}

/* What is charged beyond before goes; but for what each CPU keeps at hand. */
static void expect_uncharged(long before)
{
    if (!WAIT_FOR(charged("kernel ") - before < 256 * 1024))
        lab_fail(__FILE__, __LINE__, "%ld bytes stay charged", charged("kernel ") - before);
}

static void tables_charged(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(SPREAD * HUGE);
    long before, with;

    /* The host's own tables and pages first; then the guest's tables alone are new. */
    madvise(mem, SPREAD * HUGE, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < SPREAD; i++)
        mem[i * HUGE] = 1;
    vm_slot(vm, 1, 0, HIGH, SPREAD * HUGE, mem);
    before = charged("kernel ");
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + SPREAD * HUGE, HUGE, 2), GUEST_DONE);
    with = charged("kernel ");
    if (with - before < (long)(SPREAD * PAGE * 9 / 10))
        lab_fail(__FILE__, __LINE__, "%lu tables cost the group %ld bytes", SPREAD, with - before);
    vm_slot(vm, 1, 0, 0, 0, NULL);
    expect_uncharged(before);
}

static void vms_charged(void)
{
    long before = charged("kernel "), with;
    struct vm *vm[4];

    for (unsigned i = 0; i < ARRAY_SIZE(vm); i++) {
        vm[i] = vm_split();
        for (unsigned id = 0; id < MAX_VCPUS; id++)
            vcpu_new(vm[i], id);
    }
    with = charged("kernel ");
    /* A vCPU has its run page, its control block and a page of its APIC at least. */
    if (with - before < (long)(ARRAY_SIZE(vm) * MAX_VCPUS * 3 * PAGE))
        lab_fail(__FILE__, __LINE__, "32 vCPUs cost the group %ld bytes", with - before);
    for (unsigned i = 0; i < ARRAY_SIZE(vm); i++)
        vm_destroy(vm[i]);
    expect_uncharged(before);
}

static void test_tables_charged(void)
{
    in_group("max", tables_charged);
}

static void test_vms_charged(void)
{
    in_group("max", vms_charged);
}

/* No page is pinned or locked, and so none is needed of RLIMIT_MEMLOCK. */
static void unprivileged(void)
{
    struct rlimit none = { 0, 0 };
    uint8_t *mem;
    struct vcpu *v;

    ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    ASSERT_EQ(setuid(65534), 0);
    v = filled_vm(&mem, SIZE);
    expect_filled(v, SIZE);
    EXPECT_EQ(memory_get("/proc/self/status", "VmLck:"), 0);
    EXPECT_EQ(memory_get("/proc/self/status", "VmPin:"), 0);
}

static void test_unprivileged(void)
{
    in_group("max", unprivileged);
}

/* ---- same-page merging ---- */

#define KSM "/sys/kernel/mm/ksm/"

static void test_merged(void)
{
    uint8_t *mem;
    struct vcpu *v = filled_vm(&mem, SIZE);
    const long pages = 250; /* a page is shared by 256 at most */

    if (!memory_set(KSM "run", "2")) /* unmerges all */
        lab_skip("no KSM");
    for (long i = 0; i < pages; i++) /* all alike */
        memset(mem + i * (long)PAGE, 0x5a, PAGE);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + pages * PAGE, PAGE, 0), GUEST_DONE);
    memory_set(KSM "sleep_millisecs", "1");
    memory_set(KSM "pages_to_scan", "4000");
    memory_set(KSM "run", "1");
    ASSERT_EQ(madvise(mem, pages * PAGE, MADV_MERGEABLE), 0);
    EXPECT(WAIT_FOR(memory_get(KSM "pages_sharing", NULL) >= pages * 9 / 10));
    /* A read maps the one page that all share; a write must get a page of its own. */
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + pages * PAGE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0x5a * pages);
    guest_store32(v, HIGH + 3 * PAGE, 0x11223344);
    EXPECT_EQ(guest_load32(v, HIGH + 4 * PAGE), 0x5a5a5a5a);
    EXPECT_EQ(*(uint32_t *)(mem + 3 * PAGE), 0x11223344);
    EXPECT_EQ(*(uint32_t *)(mem + 2 * PAGE), 0x5a5a5a5a);
    /* A write without a read before it, too. */
    guest_store32(v, HIGH + 9 * PAGE, 0x55667788);
    EXPECT_EQ(guest_load32(v, HIGH + 10 * PAGE), 0x5a5a5a5a);
    memory_set(KSM "run", "2");
    EXPECT_EQ(memory_get(KSM "pages_sharing", NULL), 0);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + pages * PAGE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0x5a * (pages - 2) + 0x44 + 0x88);
    memory_set(KSM "run", "0");
}

static void test_merged_writing(void)
{
    struct vcpu *v[2];
    uint8_t *mem;

    if (!memory_set(KSM "run", "1"))
        lab_skip("no KSM");
    write_begin(v, &mem);
    madvise(mem, SIZE, MADV_MERGEABLE);
    for (unsigned i = 0; i < 6; i++) {
        write_goes_on(v);
        if (i == 3)
            madvise(mem, SIZE, MADV_UNMERGEABLE);
    }
    write_end(v, mem);
    memory_set(KSM "run", "0");
}

/* ---- pages that move ---- */

static void test_compaction(void)
{
    enum { OTHER = 16 * SIZE, STEP = 9, LEAST = 4 };
    struct vcpu *v[2];
    uint8_t *mem, *other = memory_new(OTHER);
    long before;

    madvise(other, OTHER, MADV_NOHUGEPAGE);
    memset(other, 1, OTHER);
    write_begin(v, &mem);
    madvise(mem, SIZE, MADV_NOHUGEPAGE);
    before = VMSTAT("pgmigrate_success");
    /* The first holes may stay with the CPU that made them, where compaction sees none. */
    for (unsigned i = 0; i < STEP && (i < LEAST || VMSTAT("pgmigrate_success") == before); i++) {
        for (size_t at = i * PAGE; at < OTHER; at += STEP * PAGE) /* holes for it to fill */
            madvise(other + at, PAGE, MADV_DONTNEED);
        memory_set("/proc/sys/vm/compact_memory", "1");
        write_goes_on(v);
    }
    EXPECT(VMSTAT("pgmigrate_success") > before);
    write_end(v, mem);
}

static void test_nodes(void)
{
    enum { PAGES = 256 }; /* of the first vCPU's */
    void *pages[PAGES];
    int node[PAGES], status[PAGES];
    struct vcpu *v[2];
    unsigned moved = 0;
    uint8_t *mem;

    if (access("/sys/devices/system/node/node1", F_OK))
        lab_skip("the host has one node");
    write_begin(v, &mem);
    for (int i = 0; i < 6; i++) {
        write_goes_on(v);
        for (int p = 0; p < PAGES; p++) {
            pages[p] = mem + (size_t)p * PAGE;
            node[p] = (2 * p / PAGES + i) % 2;
        }
        syscall(SYS_move_pages, 0, PAGES, pages, node, status, 2);
        for (unsigned p = 0; p < PAGES; p++)
            moved += status[p] == node[p];
    }
    EXPECT(moved > PAGES);
    write_end(v, mem);
}

#define BALANCING "/sys/kernel/debug/sched/numa_balancing/"

static bool go_on_reading(struct vcpu *v, int reason)
{
    guest_prepare(v, GUEST_ADDR(read_all), HIGH, HIGH + SIZE / 2, PAGE, 0);
    return reason >= 0;
}

/* Balancing takes rights away to see who uses a page: a guest that only reads is seen as well. */
static void test_balancing(void)
{
    uint8_t *mem;
    struct vcpu *v;
    long before;

    if (access("/sys/devices/system/node/node1", F_OK))
        lab_skip("the host has one node");
    memory_set(BALANCING "scan_delay_ms", "10");
    memory_set(BALANCING "scan_period_min_ms", "20");
    memory_set(BALANCING "scan_period_max_ms", "20");
    v = filled_vm(&mem, SIZE);
    before = VMSTAT("numa_hint_faults");
    go_on_reading(v, 0);
    vcpu_start(v, go_on_reading);
    EXPECT(WAIT_FOR(VMSTAT("numa_hint_faults") > before + 600));
    vcpu_kick(v);
    expect_filled(v, SIZE);
}

/* ---- a file's pages ---- */

/* What the guest wrote is in the file after each fsync(), and the next write is written as well. */
static void test_written_back(void)
{
    int fd = open("/run/disk/ram", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem;

    if (fd < 0 || access("/dev/zram1", F_OK))
        lab_skip("no file system");
    ASSERT_EQ(ftruncate(fd, (off_t)SIZE), 0);
    mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT(mem != MAP_FAILED);
    vm_slot(vm, 1, 0, HIGH, SIZE, mem);
    for (unsigned i = 1; i <= 4; i++) {
        uint64_t word = 0;

        EXPECT_EQ(guest_call(v, fill, HIGH, HIGH + SIZE, i, 0), GUEST_DONE);
        ASSERT_EQ(fsync(fd), 0);
        if (i % 2) { /* the page cache goes; what the file has comes back */
            ASSERT_EQ(madvise(mem, SIZE, MADV_DONTNEED), 0);
            ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
            memory_set("/proc/sys/vm/drop_caches", "1");
        }
        EXPECT_EQ(guest_call(v, verify, HIGH, HIGH + SIZE, i, 0), GUEST_DONE);
        EXPECT_EQ(v->regs.rax, 0);
        EXPECT_EQ(pread(fd, &word, 8, 5 * (off_t)PAGE), 8);
        EXPECT_EQ(word, HIGH + 5 * PAGE + i);
    }
    munmap(mem, SIZE);
    close(fd);
    unlink("/run/disk/ram");
}

/* ---- pages that the guest uses are kept ---- */

static unsigned long swapped(const uint8_t *mem, size_t size)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    unsigned long n = 0;

    ASSERT(fd >= 0);
    for (size_t at = 0; at < size; at += PAGE) {
        uint64_t entry = 0;

        ASSERT_EQ(pread(fd, &entry, 8, (off_t)((uintptr_t)(mem + at) / PAGE * 8)), 8);
        n += entry >> 62 & 1; /* Documentation/admin-guide/mm/pagemap.rst */
    }
    close(fd);
    return n;
}

static void used_pages(void)
{
    const uint64_t half = 3 * SIZE;
    unsigned long used, unused;
    uint8_t *mem;
    struct vcpu *v = filled_vm(&mem, 2 * half);

    /* The host sees none of the guest's accesses but in the nested table's accessed bits. */
    for (unsigned i = 0; i < 7; i++) { /* in all less than what is not in use */
        EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + half, PAGE, 0), GUEST_DONE);
        memory_set(GROUP "memory.reclaim", "1M");
    }
    used = swapped(mem, half);
    unused = swapped(mem + half, half);
    printf("# swapped: %lu pages in use, %lu others\n", used, unused);
    EXPECT(unused > 500);
    EXPECT(used < unused / 2);
}

static void test_used(void)
{
    in_group("max", used_pages);
}

static const struct lab_test tests[] = {
    { "swapped and read back", test_swap },
    { "swapped while two vCPUs write", test_swap_writing },
    { "MADV_FREE, then written", test_lazy_free },
    { "more memory than the group may have", test_pressure },
    { "nested tables are charged to the group", test_tables_charged },
    { "VMs and vCPUs are charged to the group", test_vms_charged },
    { "nothing locked, no privilege", test_unprivileged },
    { "same pages merged and unmerged", test_merged },
    { "merged while two vCPUs write", test_merged_writing },
    { "compaction while two vCPUs write", test_compaction },
    { "moved between nodes while two vCPUs write", test_nodes },
    { "a guest's reads count in balancing nodes", test_balancing },
    { "written back to a file", test_written_back },
    { "pages in use are reclaimed last", test_used },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
