/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large pages: the nested table has them where the host's own does, gives them up when the log, the
 * protection or the host's tables ask for small ones, and gets them back afterwards.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>

#define GIGA (1ul << 30)
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#define MAP_HUGE_1GB (30 << 26)
#endif
#define POOL "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages"

static void touch_all(struct vcpu *v, uint64_t size, uint64_t step)
{
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + size, step, 1), GUEST_DONE);
}

/* A slot of two large pages that are filled and mapped. */
static struct vcpu *huge_vm(uint8_t **mem)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);

    *mem = memory_new(2 * HUGE);
    madvise(*mem, 2 * HUGE, MADV_HUGEPAGE);
    memory_fill(*mem, 2 * HUGE, 0x01010101);
    vm_slot(vm, 1, 0, HIGH, 2 * HUGE, *mem);
    touch_all(v, 2 * HUGE, HUGE);
    if (memory_stat(vm, "pages_2m") < 2)
        lab_skip("the host gave no large pages");
    return v;
}

/* The VM's first slot may be mapped by a large page as well: what counts is the difference. */
static void expect_large(struct vcpu *v, uint64_t base, uint64_t n)
{
    EXPECT_EQ(memory_stat(v->vm, "pages_2m") - base, n);
}

static void expect_sum(struct vcpu *v, uint64_t sum)
{
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + 2 * HUGE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, sum);
}

static void test_log_ends(void)
{
    uint8_t *mem;
    struct vcpu *v = huge_vm(&mem);
    uint64_t base = memory_stat(v->vm, "pages_2m") - 2, bitmap[16];
    struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };

    for (unsigned i = 0; i < 2; i++) {
        vm_slot(v->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, 2 * HUGE, mem);
        touch_all(v, 2 * HUGE, 16 * PAGE);
        expect_large(v, base, 0);
        ASSERT_EQ(kvm_call(v->vm->fd, KVM_GET_DIRTY_LOG, &log), 0);
        EXPECT_EQ(bitmap[0], 0x0001000100010001);
        vm_slot(v->vm, 1, 0, HIGH, 2 * HUGE, mem);
        touch_all(v, 2 * HUGE, 16 * PAGE);
        expect_large(v, base, 2);
    }
    expect_sum(v, 2 * HUGE / PAGE);
}

static void test_protected(void)
{
    uint8_t *mem;
    struct vcpu *v = huge_vm(&mem);
    uint64_t base = memory_stat(v->vm, "pages_2m") - 2;

    ASSERT_EQ(mprotect(mem + 5 * PAGE, PAGE, PROT_READ), 0);
    expect_sum(v, 2 * HUGE / PAGE);
    expect_large(v, base, 1);
    EXPECT_EQ(guest_call(v, store8, HIGH + 5 * PAGE, 9, 0, 0), -EFAULT);
    guest_store32(v, HIGH + 6 * PAGE, 0x01010101);
    ASSERT_EQ(mprotect(mem + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
    touch_all(v, 2 * HUGE, PAGE);
    expect_large(v, base, 1); /* the host's table is still one of small pages */
    ASSERT_EQ(madvise(mem, HUGE, MADV_COLLAPSE), 0);
    touch_all(v, 2 * HUGE, PAGE);
    expect_large(v, base, 2);
    expect_sum(v, 2 * HUGE / PAGE);
}

static void test_collapse(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(2 * HUGE);
    uint64_t base;

    madvise(mem, 2 * HUGE, MADV_NOHUGEPAGE);
    memory_fill(mem, 2 * HUGE, 0x01010101);
    vm_slot(vm, 1, 0, HIGH, 2 * HUGE, mem);
    touch_all(v, 2 * HUGE, 4 * PAGE);
    base = memory_stat(vm, "pages_2m");
    madvise(mem, 2 * HUGE, MADV_HUGEPAGE);
    for (unsigned i = 0; i < 2; i++) {
        ASSERT_EQ(madvise(mem, 2 * HUGE, MADV_COLLAPSE), 0);
        touch_all(v, 2 * HUGE, 4 * PAGE);
        expect_large(v, base, 2);
        expect_sum(v, 2 * HUGE / PAGE - i);
        /* And apart again: a page goes. */
        ASSERT_EQ(madvise(mem + (7 + i) * PAGE, PAGE, MADV_DONTNEED), 0);
        expect_sum(v, 2 * HUGE / PAGE - 1 - i);
        expect_large(v, base, 1);
    }
}

/* The storm of test_collapse with a guest that writes all the time. */
static void test_collapse_running(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(2 * HUGE);
    volatile uint32_t *word = (volatile uint32_t *)(mem + 9 * PAGE);

    madvise(mem, 2 * HUGE, MADV_HUGEPAGE);
    memory_fill(mem, 2 * HUGE, 0x01010101);
    vm_slot(vm, 1, 0, HIGH, 2 * HUGE, mem);
    guest_prepare(v, GUEST_ADDR(write_loop), HIGH + 9 * PAGE, COPY, 0, 0);
    vcpu_start(v, NULL);
    EXPECT(WAIT_FOR(*word != 0x01010101));
    for (unsigned i = 0; i < 40; i++) {
        uint32_t before;

        if (i % 4 == 0)
            madvise(mem, HUGE, MADV_COLLAPSE); /* fails while a fault holds a page */
        else
            mprotect(mem + 10 * PAGE, PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE);
        before = *word;
        EXPECT(WAIT_FOR(*word > before)); /* what it writes is what the process sees */
    }
    vcpu_kick(v);
    EXPECT_EQ(v->result, -EINTR);
    EXPECT_EQ(mem[8 * PAGE], 1);
    EXPECT_EQ(mem[10 * PAGE], 1);
}

/* ---- pages of a fixed size ---- */

static long pool_had;

/* From the pool, which is asked for one; skips where the host cannot have any. */
static uint8_t *pool_page(size_t size)
{
    int flags = size == GIGA ? MAP_HUGE_1GB : MAP_HUGE_2MB;
    char path[128];
    void *mem;

    snprintf(path, sizeof(path), POOL, size / 1024);
    pool_had = memory_get(path, NULL);
    if (pool_had == 0)
        memory_set(path, "1");
    mem = memory_get(path, NULL) < 1
              ? MAP_FAILED
              : mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0);
    if (mem == MAP_FAILED)
        lab_skip("the host cannot reserve such a page");
    return mem;
}

static void pool_put(uint8_t *mem, size_t size)
{
    char path[128];

    munmap(mem, size);
    snprintf(path, sizeof(path), POOL, size / 1024);
    if (pool_had)
        return;
    memory_set(path, "0");
    EXPECT_EQ(memory_get(path, NULL), 0); /* nobody holds it any more */
}

static void pool_test(size_t size, const char *stat)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = pool_page(size);
    uint64_t base;

    mem[size - PAGE] = 7;
    vm_slot(vm, 1, 0, HIGH, size, mem);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE); /* the guest's own slot is in use */
    base = memory_stat(vm, stat);
    EXPECT_EQ(guest_call(v, load8, HIGH + size - PAGE, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax & 0xff, 7);
    guest_store32(v, HIGH + 16, 0x1234);
    EXPECT_EQ(memory_stat(vm, stat) - base, 1);
    EXPECT_EQ(*(uint32_t *)(mem + 16), 0x1234);
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, size, mem);
    guest_store32(v, HIGH + 20, 0x5678);
    EXPECT_EQ(memory_stat(vm, stat) - base, 0);
    vm_slot(vm, 1, 0, HIGH, size, mem);
    guest_store32(v, HIGH + 24, 0x9abc);
    EXPECT_EQ(memory_stat(vm, stat) - base, 1);
    EXPECT_EQ(*(uint32_t *)(mem + 20), 0x5678);
    EXPECT_EQ(*(uint32_t *)(mem + 24), 0x9abc);
    /* A slot that holds but a part of it gets smaller ones, and no more than the slot. */
    vm_slot(vm, 1, 0, 0, 0, NULL);
    vm_slot(vm, 1, 0, HIGH, size / 2, mem);
    guest_store32(v, HIGH + size / 2 - 8, 1);
    EXPECT_EQ(memory_stat(vm, stat) - base, 0);
    EXPECT_EQ(guest_call(v, load32, HIGH + size / 2, 0, 0, 0), KVM_EXIT_MMIO);
    pool_put(mem, size);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(guest_call(v, load32, HIGH, 0, 0, 0), -EFAULT);
}

static void test_pool_2m(void)
{
    pool_test(HUGE, "pages_2m");
}

/* A shared file of such pages: punched, cut and grown under the guest. */
static void test_pool_file(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    int fd = memfd_create("guest", MFD_CLOEXEC | MFD_HUGETLB | (unsigned)MAP_HUGE_2MB);
    uint8_t *mem;

    ASSERT(fd >= 0 && ftruncate(fd, HUGE) == 0);
    munmap(pool_page(HUGE), HUGE);
    mem = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT(mem != MAP_FAILED);
    vm_slot(vm, 1, 0, HIGH, HUGE, mem);
    guest_store32(v, HIGH + 77 * PAGE, 0x1234);
    EXPECT_EQ(*(uint32_t *)(mem + 77 * PAGE), 0x1234);
    ASSERT_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE), 0);
    EXPECT_EQ(guest_load32(v, HIGH + 77 * PAGE), 0);
    guest_store32(v, HIGH + 78 * PAGE, 0x5678);
    EXPECT_EQ(*(uint32_t *)(mem + 78 * PAGE), 0x5678);
    ASSERT_EQ(ftruncate(fd, 0), 0);
    EXPECT_EQ(guest_call(v, load32, HIGH, 0, 0, 0), -EFAULT);
    ASSERT_EQ(ftruncate(fd, HUGE), 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ((uint32_t)v->regs.rax, 0);
    close(fd);
    pool_put(mem, HUGE);
}

static void test_pool_1g(void)
{
    pool_test(GIGA, "pages_1g");
}

static const struct lab_test tests[] = {
    { "a log comes and goes", test_log_ends },
    { "protection of one page comes and goes", test_protected },
    { "the host collapses and splits", test_collapse },
    { "it does under a writing guest", test_collapse_running },
    { "hugetlb, 2 MiB", test_pool_2m },
    { "hugetlb, a shared file", test_pool_file },
    { "hugetlb, 1 GiB", test_pool_1g },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
