// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate table, which is the host's, on its way into evidence: entries that lie in it are
 * taken, and nothing else is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bawn/snp.h>

#include "guest/agent/agent.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { ENTRY = sizeof(struct bawn_snp_table_entry) };

static size_t chain_of(const void *table, size_t len, char *first, size_t size)
{
    uint8_t *copy = memcpy(malloc(len + !len), table, len);
    json_t *json, *chain;
    size_t n;

    assert_int_equal(evidence_snp_json((struct bawn_bytes){ (const uint8_t *)"report", 6 },
                                       (struct bawn_bytes){ copy, len }, &json, NULL),
                     BAWN_OK);
    assert_string_equal(json_string_value(json_object_get(json, "attestation_report")), "cmVwb3J0");
    chain = json_object_get(json, "cert_chain");
    assert_true(!chain || json_array_size(chain));
    n = json_array_size(chain);
    if (n)
        snprintf(first, size, "%s %s",
                 json_string_value(json_object_get(json_array_get(chain, 0), "cert_type")),
                 json_string_value(json_object_get(json_array_get(chain, 0), "data")));
    json_decref(json);
    free(copy);
    return n;
}

static const struct bawn_snp_table_entry vcek = { BAWN_SNP_GUID_VCEK, 3 * ENTRY, 4 };
static const struct bawn_snp_table_entry ark = { BAWN_SNP_GUID_ARK, 3 * ENTRY + 1, 2 };

static void taken(void **state)
{
    uint8_t table[3 * ENTRY + 4] = { 0 };
    char first[64];

    (void)state;
    memcpy(table, &vcek, ENTRY);
    memcpy(table + ENTRY, &ark, ENTRY);
    memcpy(table + 3 * ENTRY, "cert", 4);
    assert_int_equal(chain_of(table, sizeof(table), first, sizeof(first)), 2);
    assert_string_equal(first, "VCEK Y2VydA==");
    assert_int_equal(chain_of("", 0, first, sizeof(first)), 0);
    /* What lies behind the last entry is none. */
    memset(table, 0, ENTRY);
    assert_int_equal(chain_of(table, sizeof(table), first, sizeof(first)), 0);
}

static void hostile(void **state)
{
    static const uint32_t places[][2] = {
        { 0, 0 },
        { 3 * ENTRY, 5 },
        { 3 * ENTRY + 4, 1 },
        { UINT32_MAX, 1 },
        { UINT32_MAX, UINT32_MAX },
        { 1, UINT32_MAX },
        { 3 * ENTRY, UINT32_MAX - 3 * ENTRY + 1 },
    };
    char first[64];

    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        uint8_t table[3 * ENTRY + 4] = { 0 };
        struct bawn_snp_table_entry bad = vcek;

        bad.offset = places[i][0];
        bad.length = places[i][1];
        memcpy(table, &bad, ENTRY);
        memcpy(table + ENTRY, &ark, ENTRY);
        assert_int_equal(chain_of(table, sizeof(table), first, sizeof(first)), 1);
    }
}

/* No last entry, entries cut, GUIDs that nobody knows. */
static void cut(void **state)
{
    uint8_t table[4 * ENTRY];
    char first[64];

    (void)state;
    memset(table, 0xaa, sizeof(table));
    for (size_t n = 0; n <= sizeof(table); n++)
        assert_int_equal(chain_of(table, n, first, sizeof(first)), 0);
    memcpy(table, &vcek, ENTRY);
    for (size_t n = 0; n < 3 * ENTRY + 4; n++)
        assert_int_equal(chain_of(table, n, first, sizeof(first)), 0);
    assert_int_equal(chain_of(table, 3 * ENTRY + 4, first, sizeof(first)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),
        cmocka_unit_test(hostile),
        cmocka_unit_test(cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
