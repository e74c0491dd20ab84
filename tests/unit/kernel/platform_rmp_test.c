/* SPDX-License-Identifier: Apache-2.0 */
// sources: platform/kmod/rmp.c
/*
 * The reverse map table's rules: every way from state to state that RMPUPDATE, PSMASH, PVALIDATE,
 * RMPADJUST and the firmware have, each refusal's own code, and which accesses a guest is granted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bawn/psp.h"
#include "rmp.h"

#define GPA 0x40000000ull
#define ASID 7

static struct rmp_entry table[RMP_PER_LARGE];

static const struct rmp_update to_guest = { .gpa = GPA, .asid = ASID, .assigned = true };
static const struct rmp_update to_pre_guest = {
    .gpa = GPA, .asid = ASID, .assigned = true, .immutable = true
};
static const struct rmp_update to_firmware = { .assigned = true, .immutable = true };
static const struct rmp_update to_hypervisor;
static const struct rmp_update to_large = {
    .gpa = GPA, .asid = ASID, .assigned = true, .large = true
};

static int setup(void **state)
{
    (void)state;
    memset(table, 0, sizeof(table));
    return 0;
}

static void update(unsigned int i, const struct rmp_update *new)
{
    assert_int_equal(rmp_rule_update(table, i, new), RMP_OK);
}

static void expect_zero(const struct rmp_entry *e)
{
    static const struct rmp_entry zero;

    assert_memory_equal(e, &zero, sizeof(zero));
}

static void test_states(void **state)
{
    static const u8 perms[] = { 1, 2, 3 };

    (void)state;
    assert_int_equal(rmp_state(&table[0]), RMP_HYPERVISOR);
    update(0, &to_guest);
    assert_int_equal(rmp_state(&table[0]), RMP_GUEST_INVALID);
    assert_true(rmp_rule_validate(&table[0], true));
    assert_int_equal(rmp_state(&table[0]), RMP_GUEST_VALID);
    update(1, &to_pre_guest);
    assert_int_equal(rmp_state(&table[1]), RMP_PRE_GUEST);
    rmp_rule_launch_done(&table[1], true, perms);
    assert_int_equal(rmp_state(&table[1]), RMP_GUEST_VALID);
    assert_true(table[1].flags & RMP_VMSA);
    assert_memory_equal(table[1].perms, perms, 3);
    update(2, &to_firmware);
    assert_int_equal(rmp_state(&table[2]), RMP_FIRMWARE);
    table[2].flags |= RMP_CONTEXT;
    assert_int_equal(rmp_state(&table[2]), RMP_GUEST_CONTEXT);
    update(3, &to_firmware);
    assert_int_equal(rmp_rule_reclaim(table, 3, false), BAWN_PSP_SUCCESS);
    assert_int_equal(rmp_state(&table[3]), RMP_RECLAIM);
    update(3, &to_hypervisor);
    expect_zero(&table[3]);
}

static void test_update_refused(void **state)
{
    struct rmp_update bad;

    (void)state;
    bad = to_guest;
    bad.gpa += 1;
    assert_int_equal(rmp_rule_update(table, 0, &bad), RMP_FAIL_INPUT);
    bad.gpa = 1ull << 52;
    assert_int_equal(rmp_rule_update(table, 0, &bad), RMP_FAIL_INPUT);
    bad = to_large;
    bad.gpa += 0x1000;
    assert_int_equal(rmp_rule_update(table, 0, &bad), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_update(table, 1, &to_large), RMP_FAIL_INPUT);
    bad = to_hypervisor;
    bad.asid = ASID;
    assert_int_equal(rmp_rule_update(table, 0, &bad), RMP_FAIL_INPUT);
    expect_zero(&table[0]);

    update(5, &to_pre_guest);
    assert_int_equal(rmp_rule_update(table, 5, &to_hypervisor), RMP_FAIL_PERMISSION);
    assert_int_equal(rmp_rule_update(table, 5, &to_guest), RMP_FAIL_PERMISSION);
    assert_int_equal(rmp_rule_update(table, 0, &to_large), RMP_FAIL_PERMISSION);
    setup(NULL);
    update(5, &to_guest);
    assert_int_equal(rmp_rule_update(table, 0, &to_large), RMP_FAIL_OVERLAP);
    expect_zero(&table[0]);
    table[5].flags |= RMP_BUSY;
    assert_int_equal(rmp_rule_update(table, 5, &to_hypervisor), RMP_FAIL_INUSE);
    setup(NULL);
    update(0, &to_large);
    assert_int_equal(rmp_rule_update(table, 5, &to_guest), RMP_FAIL_OVERLAP);
    assert_int_equal(rmp_rule_update(table, 5, &to_hypervisor), RMP_FAIL_OVERLAP);
}

/* The same again keeps the page's validation; anything else takes it. */
static void test_update_again(void **state)
{
    struct rmp_update other = to_guest;

    (void)state;
    update(0, &to_guest);
    rmp_rule_validate(&table[0], true);
    update(0, &to_guest);
    assert_int_equal(rmp_state(&table[0]), RMP_GUEST_VALID);
    other.gpa += 0x1000; /* moved by the host */
    update(0, &other);
    assert_int_equal(rmp_state(&table[0]), RMP_GUEST_INVALID);
    rmp_rule_validate(&table[0], true);
    other.asid++; /* given to another guest */
    update(0, &other);
    assert_int_equal(rmp_state(&table[0]), RMP_GUEST_INVALID);
    rmp_rule_validate(&table[0], true);
    update(0, &to_hypervisor); /* taken and given back */
    update(0, &other);
    assert_int_equal(rmp_state(&table[0]), RMP_GUEST_INVALID);
}

static void test_large(void **state)
{
    (void)state;
    update(0, &to_large);
    for (unsigned int i = 0; i < RMP_PER_LARGE; i++) {
        assert_int_equal(table[i].gpa, GPA + i * 0x1000ull);
        assert_true(table[i].flags & RMP_LARGE);
        rmp_rule_validate(&table[i], true);
    }
    assert_int_equal(rmp_rule_psmash(table, 1), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_psmash(table, 0), RMP_OK);
    assert_false(table[0].flags & RMP_LARGE || table[511].flags & RMP_LARGE);
    assert_int_equal(rmp_state(&table[511]), RMP_GUEST_VALID);
    assert_int_equal(rmp_rule_psmash(table, 0), RMP_FAIL_INPUT);
    update(511, &to_hypervisor);
    expect_zero(&table[511]);
    assert_int_equal(rmp_state(&table[510]), RMP_GUEST_VALID);
}

static void test_psmash_refused(void **state)
{
    struct rmp_update fixed = to_large;

    (void)state;
    assert_int_equal(rmp_rule_psmash(table, 0), RMP_FAIL_INPUT);
    update(0, &to_guest);
    assert_int_equal(rmp_rule_psmash(table, 0), RMP_FAIL_INPUT);
    setup(NULL);
    fixed.immutable = true;
    update(0, &fixed);
    assert_int_equal(rmp_rule_psmash(table, 0), RMP_FAIL_PERMISSION);
    setup(NULL);
    update(0, &to_large);
    table[100].flags |= RMP_BUSY;
    assert_int_equal(rmp_rule_psmash(table, 0), RMP_FAIL_INUSE);
}

static void test_access(void **state)
{
    const struct rmp_entry *e = &table[0];

    (void)state;
    assert_int_equal(rmp_rule_access(e, GPA, ASID), RMP_ACCESS_FAULT); /* the host's */
    assert_int_equal(rmp_rule_access(e, 0, 0), RMP_ACCESS_FAULT);
    update(0, &to_guest);
    assert_int_equal(rmp_rule_access(e, GPA, ASID), RMP_ACCESS_NOT_VALIDATED);
    rmp_rule_validate(&table[0], true);
    assert_int_equal(rmp_rule_access(e, GPA, ASID), RMP_ACCESS_OK);
    assert_int_equal(rmp_rule_access(e, GPA + 0xfff, ASID), RMP_ACCESS_OK);
    assert_int_equal(rmp_rule_access(e, GPA + 0x1000, ASID), RMP_ACCESS_FAULT); /* remapped */
    assert_int_equal(rmp_rule_access(e, GPA, ASID + 1), RMP_ACCESS_FAULT);      /* another guest */
    update(1, &to_pre_guest);
    assert_int_equal(rmp_rule_access(&table[1], GPA, ASID), RMP_ACCESS_FAULT);
}

static void test_validate(void **state)
{
    (void)state;
    update(0, &to_guest);
    assert_false(rmp_rule_validate(&table[0], false));
    assert_true(rmp_rule_validate(&table[0], true));
    assert_false(rmp_rule_validate(&table[0], true));
    table[0].flags |= RMP_VMSA;
    table[0].perms[0] = RMP_PERMS_ALL;
    assert_true(rmp_rule_validate(&table[0], false));
    assert_int_equal(rmp_state(&table[0]), RMP_GUEST_INVALID);
    assert_false(table[0].flags & RMP_VMSA);
    assert_int_equal(table[0].perms[0], 0);
}

static void test_pvalidate_input(void **state)
{
    (void)state;
    assert_int_equal(rmp_rule_pvalidate_input(0x3000, false), RMP_OK);
    assert_int_equal(rmp_rule_pvalidate_input(0x200000, true), RMP_OK);
    assert_int_equal(rmp_rule_pvalidate_input(0x3001, false), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_pvalidate_input(0x201000, true), RMP_FAIL_INPUT);
}

static void test_adjust(void **state)
{
    struct rmp_adjust a;

    (void)state;
    assert_int_equal(rmp_rule_adjust_input(0x3000, 0, 1, &a), RMP_OK);
    assert_int_equal(rmp_rule_adjust_input(0x3000, 0, 0, &a), RMP_FAIL_PERMISSION); /* VMPL 0 */
    assert_int_equal(rmp_rule_adjust_input(0x3000, 0, 4, &a), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_adjust_input(0x3000, 0, 1 | 0x20 << 8, &a), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_adjust_input(0x3000, 0, 1 | 1 << 17, &a), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_adjust_input(0x3008, 0, 1, &a), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_adjust_input(0x200000, 1, 1 | 1 << 16, &a), RMP_FAIL_INPUT);
    assert_int_equal(rmp_rule_adjust_input(0x3000, 0, 3 | 0x1f << 8 | 1 << 16, &a), RMP_OK);
    update(0, &to_guest);
    rmp_rule_validate(&table[0], true);
    assert_int_equal(rmp_rule_adjust(&table[0], &a), RMP_OK);
    assert_true(table[0].flags & RMP_VMSA);
    assert_int_equal(table[0].perms[2], 0x1f);
    assert_int_equal(rmp_rule_adjust_input(0x3000, 0, 3, &a), RMP_OK);
    assert_int_equal(rmp_rule_adjust(&table[0], &a), RMP_OK);
    assert_false(table[0].flags & RMP_VMSA);
    assert_int_equal(table[0].perms[2], 0);
    table[0].flags |= RMP_BUSY;
    assert_int_equal(rmp_rule_adjust(&table[0], &a), RMP_FAIL_INUSE);
}

static void test_launch(void **state)
{
    (void)state;
    assert_int_equal(rmp_rule_launch_check(&table[0], ASID, false), BAWN_PSP_INVALID_PAGE_STATE);
    update(0, &to_guest);
    assert_int_equal(rmp_rule_launch_check(&table[0], ASID, false), BAWN_PSP_INVALID_PAGE_STATE);
    update(0, &to_pre_guest);
    assert_int_equal(rmp_rule_launch_check(&table[0], ASID, false), BAWN_PSP_SUCCESS);
    assert_int_equal(rmp_rule_launch_check(&table[0], ASID, true), BAWN_PSP_INVALID_PAGE_SIZE);
    assert_int_equal(rmp_rule_launch_check(&table[0], ASID + 1, false),
                     BAWN_PSP_INVALID_PAGE_OWNER);
    assert_int_equal(rmp_rule_launch_check(&table[0], 0, false), BAWN_PSP_INVALID_PAGE_OWNER);
}

static void test_reclaim(void **state)
{
    struct rmp_update large = to_large;

    (void)state;
    assert_int_equal(rmp_rule_reclaim(table, 0, false), BAWN_PSP_INVALID_PAGE_STATE);
    update(0, &to_guest);
    assert_int_equal(rmp_rule_reclaim(table, 0, false), BAWN_PSP_INVALID_PAGE_STATE);
    update(1, &to_firmware);
    table[1].flags |= RMP_CONTEXT;
    assert_int_equal(rmp_rule_reclaim(table, 1, false), BAWN_PSP_INVALID_PAGE_STATE);
    update(2, &to_pre_guest);
    table[2].flags |= RMP_BUSY;
    assert_int_equal(rmp_rule_reclaim(table, 2, false), BAWN_PSP_INVALID_PAGE_STATE);
    table[2].flags &= ~RMP_BUSY;
    assert_int_equal(rmp_rule_reclaim(table, 2, true), BAWN_PSP_INVALID_ADDRESS);
    assert_int_equal(rmp_rule_reclaim(table, 2, false), BAWN_PSP_SUCCESS);
    assert_int_equal(rmp_state(&table[2]), RMP_RECLAIM);
    setup(NULL);
    large.immutable = true;
    update(0, &large);
    assert_int_equal(rmp_rule_reclaim(table, 0, false), BAWN_PSP_INVALID_PAGE_SIZE);
    assert_int_equal(rmp_rule_reclaim(table, 0, true), BAWN_PSP_SUCCESS);
    assert_int_equal(rmp_state(&table[511]), RMP_RECLAIM);
    large = to_hypervisor;
    large.large = true;
    update(0, &large);
    expect_zero(&table[511]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_states, setup),
        cmocka_unit_test_setup(test_update_refused, setup),
        cmocka_unit_test_setup(test_update_again, setup),
        cmocka_unit_test_setup(test_large, setup),
        cmocka_unit_test_setup(test_psmash_refused, setup),
        cmocka_unit_test_setup(test_access, setup),
        cmocka_unit_test_setup(test_validate, setup),
        cmocka_unit_test_setup(test_pvalidate_input, setup),
        cmocka_unit_test_setup(test_adjust, setup),
        cmocka_unit_test_setup(test_launch, setup),
        cmocka_unit_test_setup(test_reclaim, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
