/* SPDX-License-Identifier: Apache-2.0 */
/* Memory slots that come, go and move under running vCPUs; the dirty log. */
#include "memory.h"

GUEST_FN(rep_insb);

/* ---- slots under running guests ---- */

static void test_delete(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *one = memory_new(4 * PAGE), *two = memory_new(4 * PAGE);

    memory_fill(one, 4 * PAGE, 0x11111111);
    memory_fill(two, 4 * PAGE, 0x22222222);
    vm_slot(vm, 1, 0, HIGH, 4 * PAGE, one);
    memory_mirror(v, HIGH + PAGE, NULL);
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x11111111));
    vm_slot(vm, 1, 0, 0, 0, NULL);
    vcpu_join(v); /* the next read finds nothing */
    EXPECT_EQ(v->result, KVM_EXIT_MMIO);
    EXPECT_EQ(v->run->mmio.phys_addr, HIGH + PAGE);
    EXPECT_EQ(v->run->mmio.is_write, 0);
    vm_slot(vm, 1, 0, HIGH, 4 * PAGE, two);
    vcpu_start(v, NULL);
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x22222222));
    vcpu_kick(v);
}

static void test_move(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(4 * PAGE);

    memory_fill(mem, 4 * PAGE, 0x33333333);
    vm_slot(vm, 1, 0, HIGH, 4 * PAGE, mem);
    EXPECT_EQ(guest_load32(v, HIGH), 0x33333333);
    vm_slot(vm, 1, 0, HIGH + 2 * PAGE, 4 * PAGE, mem);
    EXPECT_EQ(guest_call(v, load32, HIGH, 0, 0, 0), KVM_EXIT_MMIO);
    guest_resume(v);
    EXPECT_EQ(guest_load32(v, HIGH + 5 * PAGE), 0x33333333);
    guest_store32(v, HIGH + 2 * PAGE, 0x44444444);
    EXPECT_EQ(*(uint32_t *)mem, 0x44444444);
}

static bool go_on(struct vcpu *v, int reason)
{
    (void)v;
    return reason == KVM_EXIT_MMIO;
}

static void test_churn(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v[2] = { vcpu_new(vm, 0), vcpu_new(vm, 1) };
    uint8_t *mem[2] = { memory_new(16 * PAGE), memory_new(16 * PAGE) };
    volatile uint32_t *count = (volatile uint32_t *)(vm->mem + COPY + 0x100);

    memory_fill(mem[0], 16 * PAGE, 0x10);
    memory_fill(mem[1], 16 * PAGE, 0x20);
    memory_mirror(v[0], HIGH + 3 * PAGE, go_on);
    guest_prepare(v[1], GUEST_ADDR(write_loop), HIGH + 5 * PAGE, COPY + 0x100, 0, 0);
    vcpu_start(v[1], go_on);
    for (unsigned i = 0; i < 60; i++) {
        vm_slot(vm, 1, 0, HIGH, 16 * PAGE, mem[i & 1]);
        if (i % 10 == 9) {
            uint32_t before = *count;

            EXPECT(WAIT_FOR(*memory_copy(v[0]) == (i & 1 ? 0x20 : 0x10)));
            EXPECT(WAIT_FOR(*count != before));
        }
        vm_slot(vm, 1, 0, 0, 0, NULL);
    }
    for (unsigned i = 0; i < 2; i++) {
        vcpu_kick(v[i]);
        EXPECT_EQ(v[i]->result < 0 ? v[i]->result : -EINTR, -EINTR);
    }
}

static void test_freed_memory(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(16 * PAGE);

    /* After the deletion the guest must not reach the pages by an old translation. */
    for (unsigned i = 0; i < 20; i++) {
        vm_slot(vm, 1, 0, HIGH, 16 * PAGE, mem);
        EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + 16 * PAGE, PAGE, 0x55), GUEST_DONE);
        vm_slot(vm, 1, 0, 0, 0, NULL);
        memory_fill(mem, 16 * PAGE, 0);
        EXPECT_EQ(guest_call(v, store32, HIGH + 7 * PAGE, 0x66, 0, 0), KVM_EXIT_MMIO);
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        EXPECT_EQ(mem[7 * PAGE], 0);
    }
}

static void test_shared_memory(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(2 * PAGE);

    /* One piece of memory in two slots, side by side. */
    vm_slot(vm, 1, 0, HIGH, 2 * PAGE, mem);
    vm_slot(vm, 2, 0, HIGH + 2 * PAGE, 2 * PAGE, mem);
    guest_store32(v, HIGH + 8, 0x77);
    EXPECT_EQ(guest_load32(v, HIGH + 2 * PAGE + 8), 0x77);
    guest_store32(v, HIGH + 3 * PAGE, 0x88);
    EXPECT_EQ(guest_load32(v, HIGH + PAGE), 0x88);
}

static void test_many(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(200 * PAGE);

    /* Backwards and with holes: lookups must not depend on the order of creation. */
    for (unsigned i = 200; i-- > 0;) {
        *(uint32_t *)(mem + i * PAGE) = 0x5000 + i;
        vm_slot(vm, 1 + i, 0, HIGH + i * 2 * PAGE, PAGE, mem + i * PAGE);
    }
    for (unsigned i = 0; i < 200; i += 7) {
        EXPECT_EQ(guest_load32(v, HIGH + i * 2 * PAGE), 0x5000 + i);
        EXPECT_EQ(guest_call(v, load32, HIGH + (i * 2 + 1) * PAGE, 0, 0, 0), KVM_EXIT_MMIO);
        guest_resume(v);
    }
}

/* ---- dirty log ---- */

#define LOG_PAGES 128u
#define LOG_WORDS (LOG_PAGES / 64)

static int get_log(struct vm *vm, uint32_t slot, uint64_t *bitmap)
{
    struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

    return kvm_call(vm->fd, KVM_GET_DIRTY_LOG, &log);
}

static int clear_log(struct vm *vm, uint32_t slot, uint64_t first, uint32_t nr, uint64_t *bitmap)
{
    struct kvm_clear_dirty_log log = {
        .slot = slot, .first_page = first, .num_pages = nr, .dirty_bitmap = bitmap
    };

    return kvm_call(vm->fd, KVM_CLEAR_DIRTY_LOG, &log);
}

static void expect_log(struct vm *vm, uint64_t low, uint64_t high)
{
    uint64_t bitmap[LOG_WORDS] = { ~0ull, ~0ull };

    ASSERT_EQ(get_log(vm, 1, bitmap), 0);
    EXPECT_EQ(bitmap[0], low);
    EXPECT_EQ(bitmap[1], high);
}

static void touch_page(struct vcpu *v, unsigned page)
{
    EXPECT_EQ(guest_call(v, store8, HIGH + page * PAGE + 17, 1, 0, 0), GUEST_DONE);
}

static void test_dirty_log(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(LOG_PAGES * PAGE);
    int how;

    memory_fill(mem, LOG_PAGES * PAGE, 1);
    vm_slot(vm, 1, 0, HIGH, LOG_PAGES * PAGE, mem);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + LOG_PAGES * PAGE, PAGE, 1), GUEST_DONE);
    EXPECT_EQ(get_log(vm, 1, (uint64_t[2]){ 0 }), -ENOENT); /* not logging */
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, LOG_PAGES * PAGE, mem);
    expect_log(vm, 0, 0);
    touch_page(v, 3);
    touch_page(v, 64);
    touch_page(v, 127);
    expect_log(vm, BIT(3), BIT(0) | BIT(63));
    expect_log(vm, 0, 0); /* reading it clears it */
    touch_page(v, 3);     /* and write-protects again */
    expect_log(vm, BIT(3), 0);
    /* Reads do not make dirty, nor does the VMM itself. */
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + LOG_PAGES * PAGE, PAGE, 0), GUEST_DONE);
    mem[5 * PAGE] = 9;
    expect_log(vm, 0, 0);
    /* What the module writes for the guest does. */
    guest_prepare(v, GUEST_ADDR(rep_insb), HIGH + 6 * PAGE - 2, 0, 0x1230, 4);
    for (how = guest_resume(v); how == KVM_EXIT_IO; how = guest_resume(v))
        ;
    EXPECT_EQ(how, GUEST_DONE);
    expect_log(vm, BIT(5) | BIT(6), 0);
    vm_slot(vm, 1, 0, HIGH, LOG_PAGES * PAGE, mem);
    EXPECT_EQ(get_log(vm, 1, (uint64_t[2]){ 0 }), -ENOENT);
    touch_page(v, 1);
}

static void test_dirty_log_huge(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(HUGE);
    uint64_t bitmap[8], expected[8] = { 0 };

    madvise(mem, HUGE, MADV_HUGEPAGE);
    memory_fill(mem, HUGE, 0);
    vm_slot(vm, 1, 0, HIGH, HUGE, mem);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + HUGE, 8 * PAGE, 1), GUEST_DONE);
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, HUGE, mem);
    touch_page(v, 200);
    touch_page(v, 511);
    expected[200 / 64] |= BIT(200 % 64);
    expected[511 / 64] |= BIT(511 % 64);
    ASSERT_EQ(get_log(vm, 1, bitmap), 0);
    EXPECT_EQ(memcmp(bitmap, expected, sizeof(bitmap)), 0);
    EXPECT_EQ(mem[200 * PAGE + 17], 1);
}

static void test_dirty_log_running(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(LOG_PAGES * PAGE);
    uint64_t bitmap[LOG_WORDS];
    unsigned seen = 0;

    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, LOG_PAGES * PAGE, mem);
    guest_prepare(v, GUEST_ADDR(write_loop), HIGH + 9 * PAGE, COPY, 0, 0);
    vcpu_start(v, NULL);
    for (unsigned i = 0; i < 50; i++) {
        uint32_t before = *memory_copy(v);

        EXPECT(WAIT_FOR(*memory_copy(v) != before));
        ASSERT_EQ(get_log(vm, 1, bitmap), 0);
        EXPECT_EQ(bitmap[0] & ~BIT(9), 0);
        seen += bitmap[0] == BIT(9);
    }
    EXPECT(seen >= 25); /* it goes on writing, so it goes on being dirty */
    vcpu_kick(v);
}

static void test_dirty_log_manual(void)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                                  .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE } };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(LOG_PAGES * PAGE);
    uint64_t bits[LOG_WORDS] = { BIT(3), 0 };

    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, LOG_PAGES * PAGE, mem);
    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), 0);
    touch_page(v, 3);
    touch_page(v, 4);
    touch_page(v, 70);
    expect_log(vm, BIT(3) | BIT(4), BIT(6));
    expect_log(vm, BIT(3) | BIT(4), BIT(6)); /* reading leaves it alone */
    ASSERT_EQ(clear_log(vm, 1, 0, 64, bits), 0);
    expect_log(vm, BIT(4), BIT(6));
    touch_page(v, 3);
    expect_log(vm, BIT(3) | BIT(4), BIT(6));
    bits[0] = BIT(6);
    ASSERT_EQ(clear_log(vm, 1, 64, 64, bits), 0); /* the bitmap starts at first_page */
    expect_log(vm, BIT(3) | BIT(4), 0);

    EXPECT_EQ(clear_log(vm, 1, 1, 64, bits), -EINVAL);
    EXPECT_EQ(clear_log(vm, 1, 0, 63, bits), -EINVAL);
    EXPECT_EQ(clear_log(vm, 1, 64, 128, bits), -EINVAL);
    EXPECT_EQ(clear_log(vm, 1, 0, 0x7fffffc0, bits), -EINVAL);
    EXPECT_EQ(clear_log(vm, 1, ~63ull, 64, bits), -EINVAL);
    EXPECT_EQ(clear_log(vm, 2, 0, 64, bits), -ENOENT);
    EXPECT_EQ(clear_log(vm, 1, 0, 64, NULL), -EFAULT);
    cap.args[0] = 0x80;
    EXPECT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), -EINVAL);
}

static void test_dirty_log_initially_set(void)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                                  .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
                                            KVM_DIRTY_LOG_INITIALLY_SET } };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(LOG_PAGES * PAGE);
    uint64_t all[LOG_WORDS] = { ~0ull, ~0ull };

    if (!(kvm_cap(lab_kvm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & KVM_DIRTY_LOG_INITIALLY_SET))
        lab_skip("not offered");
    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), 0);
    vm_slot(vm, 1, 0, HIGH, LOG_PAGES * PAGE, mem);
    touch_page(v, 9);
    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, LOG_PAGES * PAGE, mem);
    expect_log(vm, ~0ull, ~0ull);
    ASSERT_EQ(clear_log(vm, 1, 0, LOG_PAGES, all), 0);
    expect_log(vm, 0, 0);
    touch_page(v, 9);
    expect_log(vm, BIT(9), 0);
}

static void test_dirty_log_refused(void)
{
    struct vm *vm = vm_bare();
    uint8_t *mem = memory_new(LOG_PAGES * PAGE);
    uint64_t bitmap[LOG_WORDS];

    vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, LOG_PAGES * PAGE, mem);
    EXPECT_EQ(get_log(vm, 7, bitmap), -ENOENT);
    EXPECT_EQ(get_log(vm, 0, bitmap), -ENOENT);
    EXPECT_EQ(get_log(vm, 40000, bitmap), -EINVAL);
    EXPECT_EQ(get_log(vm, 7 << 16 | 1, bitmap), -EINVAL);
    EXPECT_EQ(get_log(vm, 1, NULL), -EFAULT);
}

static const struct lab_test tests[] = {
    { "slot deleted and replaced under a vCPU", test_delete },
    { "slot moved", test_move },
    { "slots come and go under two vCPUs", test_churn },
    { "no way to a deleted slot's memory", test_freed_memory },
    { "the same memory in two slots", test_shared_memory },
    { "200 slots", test_many },
    { "dirty log", test_dirty_log },
    { "dirty log splits huge pages", test_dirty_log_huge },
    { "dirty log of a running guest", test_dirty_log_running },
    { "dirty log cleared by hand", test_dirty_log_manual },
    { "dirty log set at the start", test_dirty_log_initially_set },
    { "dirty log refused", test_dirty_log_refused },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
