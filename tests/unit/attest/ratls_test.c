// SPDX-License-Identifier: Apache-2.0
/*
 * RA-TLS certificates as bawn-agent made them (tests/vectors/ratls): trusted as they are, and not
 * with any bit of theirs another, nor cut anywhere. What they say wrongly when their maker lies is
 * in tests/attest/ratls-cli.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bawn/attest.h>

#include "attest/lib/codec.h"

#define VECTORS "tests/vectors/ratls/"

enum { AT = 1795400000 }; /* when they are valid */

static const struct {
    const char *certificate, *root, *subject;
} made[] = {
    { VECTORS "snp.pem", VECTORS "snp-root.pem", "AMD SEV-SNP attestation report" },
    { VECTORS "tpm.pem", VECTORS "tpm-ak.pem", "TPM 2.0 quote" },
};

struct scene {
    struct bawn_trust *trust;
    struct bawn_attest_result *result;
    struct bawn_attest_cache *cache;
    struct arena arena;
    struct bawn_bytes pem, der;
};

static struct bawn_bytes file(const char *path)
{
    static uint8_t buffer[1 << 16];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        fail_msg("cannot open %s", path);
    n = fread(buffer, 1, sizeof(buffer), f);
    fclose(f);
    return (struct bawn_bytes){ memcpy(malloc(n), buffer, n), n };
}

static struct scene scene(size_t i)
{
    struct bawn_bytes root = file(made[i].root), text, label;
    struct scene s = { .pem = file(made[i].certificate) };

    assert_int_equal(bawn_trust_create(&s.trust, &root, 1, NULL), BAWN_OK);
    free((void *)(uintptr_t)root.data);
    s.result = bawn_attest_result_create();
    s.cache = bawn_attest_cache_create(64);
    text = s.pem;
    assert_true(pem_next(&s.arena, &text, &label, &s.der));
    return s;
}

static void end(struct scene *s)
{
    bawn_trust_destroy(s->trust);
    bawn_attest_result_destroy(s->result);
    bawn_attest_cache_destroy(s->cache);
    arena_free(&s->arena);
    free((void *)(uintptr_t)s->pem.data);
}

/* The bytes are copied, so that a read beyond them shows. */
static enum bawn_verdict judge(struct scene *s, const void *data, size_t len, int64_t at,
                               enum bawn_evidence_kind kind)
{
    uint8_t *copy = memcpy(malloc(len + !len), data, len);
    struct bawn_attest_input input = {
        .evidence = { copy, len },
        .kind = kind,
        .at = at,
    };
    enum bawn_verdict verdict = bawn_attest_verify(s->trust, s->cache, &input, s->result);

    free(copy);
    return verdict;
}

static void trusted(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s = scene(i);

        assert_int_equal(judge(&s, s.pem.data, s.pem.len, AT, BAWN_EVIDENCE_RATLS), BAWN_TRUSTED);
        assert_int_equal(judge(&s, s.der.data, s.der.len, AT, BAWN_EVIDENCE_RATLS), BAWN_TRUSTED);
        assert_non_null(
            strstr(bawn_attest_result_subject(s.result), "RA-TLS certificate of db.test: "));
        assert_non_null(strstr(bawn_attest_result_subject(s.result), made[i].subject));
        assert_int_equal(judge(&s, s.der.data, s.der.len, AT - 2 * 86400, BAWN_EVIDENCE_RATLS),
                         BAWN_NOT_TRUSTED);
        assert_int_equal(judge(&s, s.der.data, s.der.len, AT + 40 * 86400, BAWN_EVIDENCE_RATLS),
                         BAWN_NOT_TRUSTED);
        /* Nobody gets a certificate judged who did not ask for that: what it is bound to would not
         * be compared with anything of theirs. */
        assert_int_equal(judge(&s, s.der.data, s.der.len, AT, BAWN_EVIDENCE_ANY),
                         BAWN_CANNOT_JUDGE);
        assert_int_equal(judge(&s, s.pem.data, s.pem.len, AT, BAWN_EVIDENCE_JSON),
                         BAWN_CANNOT_JUDGE);
        end(&s);
    }
}

static void altered(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s = scene(i);
        uint8_t *cert = memcpy(malloc(s.der.len), s.der.data, s.der.len);

        for (size_t at = 0; at < s.der.len; at++) {
            cert[at] ^= (uint8_t)(1 << at % 8);
            assert_int_not_equal(judge(&s, cert, s.der.len, AT, BAWN_EVIDENCE_RATLS), BAWN_TRUSTED);
            cert[at] ^= (uint8_t)(1 << at % 8);
        }
        assert_int_equal(judge(&s, cert, s.der.len, AT, BAWN_EVIDENCE_RATLS), BAWN_TRUSTED);
        free(cert);
        end(&s);
    }
}

static void cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s = scene(i);

        for (size_t len = 0; len < s.der.len; len++)
            assert_int_equal(judge(&s, s.der.data, len, AT, BAWN_EVIDENCE_RATLS),
                             BAWN_CANNOT_JUDGE);
        /* The last line's end is no part of PEM. */
        for (size_t len = 0; len + 1 < s.pem.len; len += 7)
            assert_int_equal(judge(&s, s.pem.data, len, AT, BAWN_EVIDENCE_RATLS),
                             BAWN_CANNOT_JUDGE);
        end(&s);
    }
}

/* Each under the other's root: genuine, and nobody that is trusted. */
static void another_root(void **state)
{
    struct scene snp = scene(0), tpm = scene(1);

    (void)state;
    assert_int_not_equal(judge(&tpm, snp.der.data, snp.der.len, AT, BAWN_EVIDENCE_RATLS),
                         BAWN_TRUSTED);
    assert_int_not_equal(judge(&snp, tpm.der.data, tpm.der.len, AT, BAWN_EVIDENCE_RATLS),
                         BAWN_TRUSTED);
    end(&snp);
    end(&tpm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusted),
        cmocka_unit_test(altered),
        cmocka_unit_test(cut),
        cmocka_unit_test(another_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
