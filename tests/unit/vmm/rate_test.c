// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/rate.c in virtual time: over any stretch no more happens than the bucket allows, no less
 * where more is wanted, and nothing overflows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rate.h"

#define SECOND 1000000000ull

static const struct bawn_rate_config none;

/* Does operations of n bytes as soon as they may begin, until the time. How many. */
static uint64_t work(struct bawn_rate *r, uint64_t *now, uint64_t until, uint64_t n)
{
    uint64_t done = 0;

    for (;;) {
        uint64_t wait = bawn_rate_wait(r, *now);

        if (wait >= until - *now)
            break;
        *now += wait;
        if (wait)
            assert_int_equal(bawn_rate_wait(r, *now), 0); /* as it said */
        bawn_rate_take(r, n);
        done++;
    }
    *now = until;
    return done;
}

static void test_operations(void **state)
{
    const struct bawn_rate_config ops = { .size = 100, .refill = 1000 };
    uint64_t now = 5 * SECOND;
    struct bawn_rate r;

    (void)state;
    bawn_rate_init(&r, &none, &ops, now);
    assert_true(bawn_rate_limited(&r));
    assert_int_equal(work(&r, &now, 15 * SECOND, 1), 100 + 999); /* a full bucket, and the rest */
    /* What was not used is not saved up beyond the bucket. */
    now += 1000 * SECOND;
    assert_int_equal(work(&r, &now, now + SECOND / 100, 1), 100);
}

static void test_bytes(void **state)
{
    const struct bawn_rate_config bytes = { .size = 1 << 20, .refill = 100 };
    uint64_t now = 0, done;
    struct bawn_rate r;

    (void)state;
    bawn_rate_init(&r, &bytes, &none, now);
    done = work(&r, &now, 10 * SECOND, 4096);
    assert_in_range(done, 25600 + 250, 25600 + 257);
    /* One that is larger than the bucket happens, and is paid for. */
    now += SECOND;
    assert_int_equal(bawn_rate_wait(&r, now), 0);
    bawn_rate_take(&r, 10 << 20);
    assert_in_range(bawn_rate_wait(&r, now), 900000000, 900001000);
    assert_in_range(bawn_rate_wait(&r, now + SECOND / 2), 400000000, 400001000);
    assert_int_equal(bawn_rate_wait(&r, now + SECOND), 0);
}

static void test_burst(void **state)
{
    const struct bawn_rate_config ops = { .size = 10, .burst = 50, .refill = 1000 };
    uint64_t now = 0;
    struct bawn_rate r;

    (void)state;
    bawn_rate_init(&r, &none, &ops, now);
    assert_int_equal(work(&r, &now, 1000, 1), 60);
    now += 100 * SECOND;
    assert_int_equal(work(&r, &now, now + 1000, 1), 10); /* it was for once */
}

/* Often looked at, no part of a token's time is lost. */
static void test_small_steps(void **state)
{
    const struct bawn_rate_config ops = { .size = 3, .refill = 7 };
    uint64_t now = 0, done = 0;
    struct bawn_rate r;

    (void)state;
    bawn_rate_init(&r, &none, &ops, now);
    for (; now < SECOND; now += 1001) {
        if (bawn_rate_wait(&r, now))
            continue;
        bawn_rate_take(&r, 1);
        done++;
    }
    assert_in_range(done, 3 * 1000 / 7, 3 * 1000 / 7 + 4);
}

static void test_extremes(void **state)
{
    const struct bawn_rate_config most = { BAWN_RATE_MAX, BAWN_RATE_MAX, BAWN_RATE_MAX };
    const struct bawn_rate_config least = { 1, 0, 1 }, slow = { 1, 0, BAWN_RATE_MAX };
    struct bawn_rate r;

    (void)state;
    bawn_rate_init(&r, &most, &least, 0);
    for (uint64_t now = 0; now < UINT64_MAX / 2; now = 3 * now + 1) {
        bawn_rate_wait(&r, now);
        bawn_rate_take(&r, UINT32_MAX);
    }
    bawn_rate_init(&r, &slow, &none, 0);
    bawn_rate_take(&r, 1ull << 40);
    assert_int_equal(bawn_rate_wait(&r, 1), UINT64_MAX);
    bawn_rate_init(&r, &none, &none, 0);
    assert_false(bawn_rate_limited(&r));
    bawn_rate_take(&r, UINT64_MAX);
    assert_int_equal(bawn_rate_wait(&r, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_burst),      cmocka_unit_test(test_small_steps),
        cmocka_unit_test(test_extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
