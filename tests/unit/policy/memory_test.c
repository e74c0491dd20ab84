// SPDX-License-Identifier: Apache-2.0
// libs: -lcrypto -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
/*
 * Without memory: whichever allocation fails, a policy is not made, nothing is allowed, nothing
 * leaks; and evaluation allocates nothing after the first time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bawn/policy.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static size_t allocations;
static size_t fail_at = SIZE_MAX; /* from this one on there is no memory */

void *__wrap_malloc(size_t n)
{
    return ++allocations > fail_at ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return ++allocations > fail_at ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return ++allocations > fail_at ? NULL : __real_realloc(p, n);
}

/* Large enough that the arenas need several blocks. */
static struct bawn_bytes big_policy(void)
{
    static char text[128 << 10];
    char *p = text;

    p += sprintf(p, "{\"bawn_policy\":1,\"id\":\"p\",\"version\":\"1\",\"evidence\":[\"snp\"],"
                    "\"rules\":[");
    for (unsigned i = 0; i < 400; i++)
        p += sprintf(p,
                     "%s\n{\"id\":\"r%u\",\"reason\":\"a reason of some length, with an escape "
                     "\\u00e9\",\"any\":[{\"id\":\"s%u\",\"claim\":\"snp.measurement\",\"one_of\":["
                     "\"%08x\",\"00\"],\"controls\":[\"C-%u\"]}]}",
                     i ? "," : "", i, i, i, i);
    p += sprintf(p, "]}");
    return (struct bawn_bytes){ (uint8_t *)text, (size_t)(p - text) };
}

static void policy_without_memory(void **state)
{
    struct bawn_bytes text = big_policy();
    struct bawn_policy *p = NULL;
    enum bawn_status st = BAWN_E_NOMEM;
    struct bawn_error err;
    size_t tried = 0;

    (void)state;
    for (; st != BAWN_OK && tried < 1000; tried++) {
        allocations = 0;
        fail_at = tried;
        st = bawn_policy_create(&p, "p", text, NULL, NULL, &err);
        fail_at = SIZE_MAX;
        if (st != BAWN_OK) {
            assert_int_equal(st, BAWN_E_NOMEM);
            assert_null(p);
        }
    }
    assert_true(tried > 5 && tried < 1000);
    bawn_policy_destroy(p);
}

static void evaluation_without_memory(void **state)
{
    static const struct bawn_claim c = { .name = "snp.measurement",
                                         .index = -1,
                                         .kind = BAWN_CLAIM_BYTES,
                                         .bytes = { (const uint8_t *)"abcd", 4 } };
    const struct bawn_policy_input in = {
        .evidence = "snp", .verdict = BAWN_TRUSTED, .claims = &c, .nr_claims = 1
    };
    const char *const *reasons;
    struct bawn_policy *p;
    struct bawn_error err;
    size_t tried = 0, n = 1;

    (void)state;
    assert_int_equal(bawn_policy_create(&p, "p", big_policy(), NULL, NULL, &err), BAWN_OK);
    for (; n == 1 && tried < 1000; tried++) {
        struct bawn_policy_result *r = bawn_policy_result_create();

        assert_non_null(r);
        allocations = 0;
        fail_at = tried;
        assert_false(bawn_policy_evaluate(p, &in, r));
        fail_at = SIZE_MAX;
        n = bawn_policy_result_reasons(r, &reasons);
        if (n == 1)
            assert_string_equal(reasons[0], "There was no memory to judge the evidence.");
        /* It can be used again. */
        assert_false(bawn_policy_evaluate(p, &in, r));
        assert_int_equal(bawn_policy_result_reasons(r, &reasons), 400);
        allocations = 0;
        assert_false(bawn_policy_evaluate(p, &in, r));
        assert_int_equal(allocations, 0);
        bawn_policy_result_destroy(r);
    }
    assert_true(tried > 1 && tried < 1000);
    bawn_policy_destroy(p);
}

static void references_without_memory(void **state)
{
    struct bawn_error err;

    (void)state;
    for (size_t at = 0; at < 7; at++) {
        struct bawn_refs *refs = bawn_refs_create();
        struct bawn_claims *claims = bawn_claims_create();
        enum bawn_status st = BAWN_OK;
        char text[300];

        assert_non_null(refs);
        assert_non_null(claims);
        allocations = 0;
        fail_at = at;
        for (unsigned i = 0; st == BAWN_OK && i < 2000; i++) {
            snprintf(text, sizeof(text), "%0250u", i);
            st = bawn_refs_add(refs, "s", text, 0, &err);
        }
        allocations = 0;
        if (st == BAWN_E_NOMEM && at > 1) {
            fail_at = at - 1;
            st = BAWN_OK;
            for (unsigned i = 0; st == BAWN_OK && i < 20000; i++)
                st = bawn_claims_add(claims, "snp.measurement", text, &err);
        }
        fail_at = SIZE_MAX;
        assert_int_equal(st, BAWN_E_NOMEM);
        bawn_refs_destroy(refs);
        bawn_claims_destroy(claims);
    }
    fail_at = 0;
    allocations = 0;
    assert_null(bawn_refs_create());
    assert_null(bawn_claims_create());
    assert_null(bawn_policy_result_create());
    fail_at = SIZE_MAX;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_without_memory),
        cmocka_unit_test(evaluation_without_memory),
        cmocka_unit_test(references_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
