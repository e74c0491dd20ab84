/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dirty log as migration uses it: whoever copies the pages that it tells ends with the guest's
 * memory, whatever the guest and the host do meanwhile.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <sched.h>

#define PAGES 512u
#define SIZE (PAGES * PAGE)
#define WORDS (PAGES / 64)

static int get_log(struct vm *vm, uint64_t *bitmap)
{
    struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };

    return kvm_call(vm->fd, KVM_GET_DIRTY_LOG, &log);
}

static int clear_log(struct vm *vm, uint64_t first, uint32_t nr, const uint64_t *bitmap)
{
    struct kvm_clear_dirty_log log = {
        .slot = 1, .first_page = first, .num_pages = nr, .dirty_bitmap = (void *)bitmap
    };

    return kvm_call(vm->fd, KVM_CLEAR_DIRTY_LOG, &log);
}

static void manual(struct vm *vm)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                                  .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE } };

    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), 0);
}

/* ---- a copy that follows the guest ---- */

static unsigned copy_pages(uint8_t *to, const uint8_t *from, uint64_t bits, unsigned first)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (!(bits >> i & 1))
            continue;
        memcpy(to + (first + i) * PAGE, from + (first + i) * PAGE, PAGE);
        n++;
    }
    return n;
}

/* One round: takes the log, then copies what it told. The answer is how many pages. */
static unsigned copy_round(struct vm *vm, uint8_t *to, const uint8_t *from, bool by_hand)
{
    uint64_t bitmap[WORDS];
    unsigned n = 0;

    ASSERT_EQ(get_log(vm, bitmap), 0);
    for (unsigned i = 0; i < WORDS; i++) {
        if (by_hand && bitmap[i])
            ASSERT_EQ(clear_log(vm, i * 64, 64, &bitmap[i]), 0);
        n += copy_pages(to, from, bitmap[i], i * 64);
    }
    return n;
}

/* What the host does to the memory meanwhile; none of it changes the content. */
static void disturb(uint8_t *mem, unsigned round)
{
    uint8_t *part = mem + (round * 37 % (PAGES - 64)) * PAGE;

    switch (round % 5) {
    case 0:
        mprotect(part, 64 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
        break;
    case 1:
        madvise(part, 64 * PAGE, MADV_COLD);
        break;
    case 2:
        madvise(mem, SIZE, MADV_COLLAPSE);
        break;
    case 3:
        mprotect(mem, SIZE, PROT_READ | PROT_WRITE);
        break;
    default:
        break;
    }
}

static void follow(bool by_hand)
{
    struct vm *vm = vm_bare();
    struct vcpu *v[2] = { vcpu_new(vm, 0), vcpu_new(vm, 1) };
    uint8_t *mem = memory_new(SIZE), *copy = memory_new(SIZE);
    volatile uint32_t *count = memory_copy(v[0]);
    unsigned copied = 0, differ = 0;

    madvise(mem, SIZE, MADV_HUGEPAGE);
    memory_fill(mem, SIZE, 0x11111111);
    if (by_hand)
        manual(vm);
    vm_slot(vm, 1, 0, HIGH, SIZE, mem);
    for (unsigned i = 0; i < 2; i++) {
        guest_prepare(v[i], GUEST_ADDR(scatter), HIGH, 88172645463325252ull + i, SIZE,
                      COPY + i * 0x100);
        vcpu_start(v[i], NULL);
    }
    EXPECT(WAIT_FOR(count[0] > 100 && count[0x40] > 100)); /* large pages are in use by now */
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, SIZE, mem);
    memcpy(copy, mem, SIZE);
    for (unsigned round = 0; round < 25; round++) {
        uint32_t before = count[0] + count[0x40];

        EXPECT(WAIT_FOR(count[0] + count[0x40] > before + 20));
        disturb(mem, round);
        copied += copy_round(vm, copy, mem, by_hand);
    }
    EXPECT(copied > 100);
    for (unsigned i = 0; i < 2; i++)
        vcpu_kick(v[i]);
    copy_round(vm, copy, mem, by_hand);
    for (unsigned i = 0; i < PAGES; i++)
        differ += memcmp(mem + i * PAGE, copy + i * PAGE, PAGE) != 0;
    EXPECT_EQ(differ, 0);
    EXPECT_EQ(copy_round(vm, copy, mem, by_hand), 0);
}

static void test_follow(void)
{
    follow(false);
}

static void test_follow_manual(void)
{
    follow(true);
}

/* ---- what must not be lost ---- */

static void expect_pages(struct vm *vm, uint64_t first_word)
{
    uint64_t bitmap[WORDS] = { 0 }, rest = 0;

    ASSERT_EQ(get_log(vm, bitmap), 0);
    EXPECT_EQ(bitmap[0], first_word);
    for (unsigned i = 1; i < WORDS; i++)
        rest |= bitmap[i];
    EXPECT_EQ(rest, 0);
}

static void test_moved(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(SIZE);

    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, SIZE, mem);
    guest_store32(v, HIGH + 3 * PAGE, 1);
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, 2 * HIGH, SIZE, mem);
    guest_store32(v, 2 * HIGH + 5 * PAGE, 1);
    expect_pages(vm, BIT(3) | BIT(5));
    expect_pages(vm, 0);
    /* A move can also end the log, or begin one. */
    guest_store32(v, 2 * HIGH, 1);
    vm_slot(vm, 1, 0, HIGH, SIZE, mem);
    EXPECT_EQ(get_log(vm, (uint64_t[WORDS]){ 0 }), -ENOENT);
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, 2 * HIGH, SIZE, mem);
    expect_pages(vm, 0);
    guest_store32(v, 2 * HIGH, 1);
    expect_pages(vm, BIT(0));
}

static void test_move_refused(void)
{
    struct kvm_userspace_memory_region onto = {
        .slot = 1, .flags = KVM_MEM_LOG_DIRTY_PAGES, .guest_phys_addr = 0, .memory_size = SIZE
    };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(SIZE);

    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, SIZE, mem);
    guest_store32(v, HIGH + 7 * PAGE, 1);
    onto.userspace_addr = (uint64_t)mem;
    EXPECT_EQ(kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &onto), -EEXIST);
    guest_store32(v, HIGH + 9 * PAGE, 1);
    expect_pages(vm, BIT(7) | BIT(9));
}

/* Content and log of a page that the guest writes are there even if the host dropped the mapping.
 */
static void test_remapped(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(SIZE);

    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, SIZE, mem);
    guest_store32(v, HIGH + PAGE, 1);
    ASSERT_EQ(madvise(mem, SIZE, MADV_DONTNEED), 0);
    expect_pages(vm, BIT(1)); /* stays dirty */
    EXPECT_EQ(guest_load32(v, HIGH + PAGE), 0);
    expect_pages(vm, 0);
    guest_store32(v, HIGH + PAGE, 2);
    expect_pages(vm, BIT(1));
}

static void test_odd_size(void)
{
    const uint64_t pages = 64 + 7;
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(SIZE);
    uint64_t bitmap[3] = { 0, 0, 0x5a5a }, all[2] = { ~0ull, ~0ull };

    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, pages * PAGE, mem);
    vm_slot(vm, 2, 0, HIGH + pages * PAGE, PAGE, mem + pages * PAGE);
    manual(vm);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + (pages + 1) * PAGE, PAGE, 1), GUEST_DONE);
    ASSERT_EQ(get_log(vm, bitmap), 0);
    EXPECT_EQ(bitmap[0], ~0ull);
    EXPECT_EQ(bitmap[1], BIT(7) - 1);
    EXPECT_EQ(bitmap[2], 0x5a5a); /* no more was written than the slot has words */
    ASSERT_EQ(clear_log(vm, 64, 7, all), 0);
    ASSERT_EQ(get_log(vm, bitmap), 0);
    EXPECT_EQ(bitmap[0], ~0ull);
    EXPECT_EQ(bitmap[1], 0);
    EXPECT_EQ(clear_log(vm, 64, 8, all), -EINVAL);
}

/* Its log is taken in bounded steps. */
static void test_terabyte(void)
{
    const uint64_t pages = BIT(28), words = pages / 64;
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t *bitmap = mmap(NULL, words * 8, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ASSERT(mem != MAP_FAILED && bitmap != MAP_FAILED);
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, pages * PAGE, mem);
    guest_store32(v, HIGH + PAGE, 1);
    guest_store32(v, BIT(38), 1);
    ASSERT_EQ(get_log(vm, bitmap), 0);
    EXPECT_EQ(bitmap[0], BIT(1));
    EXPECT_EQ(bitmap[(BIT(38) - HIGH) / PAGE / 64], 1);
    vm_slot(vm, 1, 0, 0, 0, NULL);
    munmap(bitmap, words * 8);
    munmap(mem, pages * PAGE);
}

static const struct lab_test tests[] = {
    { "a copy follows two writing vCPUs", test_follow },
    { "a copy follows them, cleared by hand", test_follow_manual },
    { "a slot that moves keeps its log", test_moved },
    { "a slot that may not move keeps its log", test_move_refused },
    { "pages replaced by the host", test_remapped },
    { "a slot of 71 pages", test_odd_size },
    { "a slot of 1 TiB", test_terabyte },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
