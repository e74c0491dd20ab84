// SPDX-License-Identifier: Apache-2.0
/*
 * Quotes taken apart: every version and body, real and made, cut at every length, with every
 * length field wrong.
 */
#include "attest/lib/quote.h"
#include "tests/unit/attest/quote_made.h"

#define TDX4 "tests/vectors/tdx/tdx-v4-00806f050000-c39a3a25.quote.bin"
#define TDX5 "tests/vectors/tdx/tdx-v5-90c06f000000-cf77a6e9.quote.bin"
#define SGX3 "tests/vectors/tdx/sgx-v3-00606a000000-77bcbdfa.quote.bin"
#define PADDED "tests/vectors/eventlog/cos-113-tdx-quote.dat"

static enum bawn_status parse(struct quote *q, const void *data, size_t len, struct bawn_error *err)
{
    err->msg[0] = 0;
    return quote_parse(q, (struct bawn_bytes){ data, len }, err);
}

static void real_quotes(void **state)
{
    static const struct {
        const char *path;
        unsigned version;
        bool tdx, td15;
    } cases[] = {
        { SGX3, 3, false, false },
        { TDX4, 4, true, false },
        { TDX5, 5, true, true },
        { PADDED, 4, true, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct blob b = file_read(cases[i].path);
        struct bawn_error err;
        struct quote q;

        assert_int_equal(parse(&q, b.data, b.len, &err), BAWN_OK);
        assert_int_equal(q.version, cases[i].version);
        assert_int_equal(q.tdx, cases[i].tdx);
        assert_int_equal(!q.td, !cases[i].tdx);
        assert_int_equal(!q.enclave, cases[i].tdx);
        assert_int_equal(!q.td15, !cases[i].td15);
        assert_int_equal(q.cert_type, BAWN_QUOTE_CERT_PCK_CHAIN);
        assert_memory_equal(q.cert_data.data, "-----BEGIN CERTIFICATE-----", 27);
        assert_int_equal(q.qe_auth.len, 32);
        blob_free(&b);
    }
}

/* Cut at every length, in a block of that size: never a quote, never a read past the end. */
static void truncated(void **state)
{
    static const char *const paths[] = { SGX3, TDX4, TDX5 };

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct blob b = file_read(paths[i]);

        for (size_t n = 0; n < b.len; n++) {
            struct blob cut = blob_of(b.data, n);
            struct bawn_error err;
            struct quote q;

            assert_int_equal(parse(&q, cut.data, cut.len, &err), BAWN_E_FORMAT);
            assert_true(err.msg[0]);
            blob_free(&cut);
        }
        blob_free(&b);
    }
}

static void padding(void **state)
{
    struct blob b = file_read(PADDED);
    size_t quote = 4935;
    struct bawn_error err;
    struct quote q;

    (void)state;
    assert_int_equal(b.len, 8000);
    assert_int_equal(parse(&q, b.data, quote, &err), BAWN_OK);
    assert_int_equal(parse(&q, b.data, quote - 1, &err), BAWN_E_FORMAT);
    b.data[b.len - 1] = 1;
    assert_int_equal(parse(&q, b.data, b.len, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "not zero"));
    blob_free(&b);
}

/* Sets n little-endian bytes at that offset of a real quote. */
static void refused_with(const char *path, size_t offset, size_t n, uint64_t value,
                         enum bawn_status want, const char *words)
{
    struct blob b = file_read(path);
    struct bawn_error err;
    struct quote q;

    for (size_t i = 0; i < n; i++)
        b.data[offset + i] = (uint8_t)(value >> (8 * i));
    assert_int_equal(parse(&q, b.data, b.len, &err), want);
    if (!strstr(err.msg, words))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    blob_free(&b);
}

static void wrong_fields(void **state)
{
    enum {
        V4_SIZE = 48 + 584,
        V4_TYPE = V4_SIZE + 4 + 128,
        V4_QE = V4_TYPE + 6,
        V4_AUTH = V4_QE + 384 + 64,
        V4_CERT = V4_AUTH + 2 + 32,
        V3_CERT = 48 + 384 + 4 + 128 + 384 + 64 + 2 + 32,
    };

    (void)state;
    refused_with(TDX4, 0, 2, 2, BAWN_E_UNSUPPORTED, "version is 2");
    refused_with(TDX4, 0, 2, 6, BAWN_E_UNSUPPORTED, "version is 6");
    refused_with(TDX4, 0, 2, 3, BAWN_E_FORMAT, "TEE type of a version 3 quote is 0x81");
    refused_with(TDX4, 2, 2, 3, BAWN_E_UNSUPPORTED, "ECDSA with P-384");
    refused_with(TDX4, 2, 2, 0, BAWN_E_UNSUPPORTED, "type is 0: must be 2");
    refused_with(TDX4, 4, 4, 1, BAWN_E_FORMAT, "TEE type of a version 4 quote is 0x1");
    refused_with(TDX5, 48, 2, 4, BAWN_E_UNSUPPORTED, "body type is 4");
    refused_with(TDX5, 48, 2, 2, BAWN_E_FORMAT, "has 648 bytes: must be 584");
    refused_with(TDX5, 48, 2, 1, BAWN_E_FORMAT, "has 648 bytes: must be 384");
    refused_with(TDX5, 50, 4, 649, BAWN_E_FORMAT, "has 649 bytes");
    refused_with(TDX5, 4, 4, 0, BAWN_E_FORMAT, "body type is 3 in an SGX quote");
    refused_with(TDX4, V4_SIZE, 4, UINT32_MAX, BAWN_E_FORMAT, "has 4294967295 bytes");
    refused_with(TDX4, V4_SIZE, 4, 100, BAWN_E_FORMAT, "ends inside its signature data");
    refused_with(TDX4, V4_SIZE, 4, 4298, BAWN_E_FORMAT, "ends inside its signature data");
    refused_with(TDX4, V4_TYPE, 2, 5, BAWN_E_UNSUPPORTED, "type of a version 4 quote is 5");
    refused_with(TDX4, V4_TYPE + 2, 4, UINT32_MAX, BAWN_E_FORMAT, "ends inside");
    refused_with(TDX4, V4_TYPE + 2, 4, 4164, BAWN_E_FORMAT, "1 bytes follow the QE report");
    refused_with(TDX4, V4_AUTH, 2, UINT16_MAX, BAWN_E_FORMAT, "inside the QE report");
    refused_with(TDX4, V4_AUTH, 2, 31, BAWN_E_FORMAT, "");
    refused_with(TDX4, V4_CERT, 2, 6, BAWN_E_UNSUPPORTED, "type is 6: must be 1 to 5");
    refused_with(TDX4, V4_CERT, 2, 0, BAWN_E_UNSUPPORTED, "type is 0: must be 1 to 5");
    refused_with(TDX4, V4_CERT + 2, 4, 3676, BAWN_E_FORMAT, "1 bytes follow the certification");
    refused_with(TDX4, V4_CERT + 2, 4, UINT32_MAX, BAWN_E_FORMAT, "inside the QE report");
    refused_with(SGX3, V3_CERT, 2, 7, BAWN_E_UNSUPPORTED, "type is 7");
    refused_with(SGX3, V3_CERT + 2, 4, 1, BAWN_E_FORMAT, "follow the certification data");
}

/* A v5 quote may hold the bodies of TDX 1.0 and SGX; v4 that of SGX. */
static void made_quotes(void **state)
{
    struct pki *pki = *state;

    for (int kind = 0; kind < MADE_KINDS; kind++) {
        struct made_spec spec;
        struct bawn_error err;
        struct made m;
        struct quote q;

        made_default(&spec, (enum made_kind)kind);
        made_build(pki, &spec, &m);
        assert_int_equal(parse(&q, m.quote.data, m.quote.len, &err), BAWN_OK);
        assert_int_equal(!q.td, kind < MADE_TDX4);
        assert_int_equal(!q.td15, kind != MADE_TDX5_15);
        for (size_t n = 0; n < m.quote.len; n++)
            assert_int_not_equal(parse(&q, m.quote.data, n, &err), BAWN_OK);
    }
}

static int setup(void **state)
{
    *state = pki_create();
    return 0;
}

static int teardown(void **state)
{
    pki_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_quotes),  cmocka_unit_test(truncated),   cmocka_unit_test(padding),
        cmocka_unit_test(wrong_fields), cmocka_unit_test(made_quotes),
    };

    return cmocka_run_group_tests_name("attest/quote", tests, setup, teardown);
}
