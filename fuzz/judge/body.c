// SPDX-License-Identifier: Apache-2.0
/*
 * Input: the body of POST attest. It is judged whole, by a snapshot as the vault would send it:
 * tenants with and without roots, policy and reference values, collateral of all and of one. The
 * clock is at a time when recorded evidence is genuine. Nothing can be allowed all the same: what
 * is genuine answers another nonce, and nothing can be signed here.
 */
#include "attest/service/judge/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/service/judge/claims.h"

/* Of the report beside the VCEK. */
#define CHIP                                                           \
    "66a5a7b4403a3006ca734aa36a76dd3061d56f398e1e73b0be683ecd2eede9e7" \
    "0811c677abf8d9c9251b52baafbdc97b8121ec0c75661ffba636073b09fa563a"
#define AT 1749670034 /* tests/vectors/tdx/expected.json */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EMBED(name, path)                                          \
    extern const uint8_t name[], name##_end[];                     \
    __asm__(".section .rodata\n"                                   \
            ".global " #name ", " #name "_end\n" #name ":\n"       \
            ".incbin \"tests/vectors/" path "\"\n" #name "_end:\n" \
            ".byte 0\n"                                            \
            ".previous\n")
#define LENGTH(name) ((size_t)((uintptr_t)name##_end - (uintptr_t)(name)))
EMBED(body_tcb, "tdx/tdx-v4-00806f050000-a187b0da.collateral-2025-05-27.json");
EMBED(body_vcek, "snp/milan-v3-vcek-05b7438a.vcek.der");
EMBED(body_crl, "snp/crl/milan.crl.der");
EMBED(body_tpm, "tpm/tpm_evidence.json");

static const char policy[] =
    "{\"bawn_policy\":1,\"id\":\"p\",\"version\":\"1\",\"test_roots\":true,\"evidence\":[\"snp\","
    "\"tdx\",\"sgx\",\"tpm\",\"azure-snp\",\"azure-tdx\"],\"include\":[],\"rules\":["
    "{\"id\":\"a\",\"evidence\":[\"snp\",\"azure-snp\"],\"claim\":\"snp.policy.debug\",\"equals\":"
    "false,\"reason\":\"a\",\"controls\":[\"X:1\"],\"trust\":{\"claim\":\"hardware\",\"pass\":2,"
    "\"fail\":96}},"
    "{\"id\":\"b\",\"evidence\":[\"tdx\",\"azure-tdx\"],\"claim\":\"tdx.mrtd\",\"in_reference\":"
    "\"td\",\"reason\":\"b\"},"
    "{\"id\":\"c\",\"evidence\":[\"tpm\"],\"any\":[{\"id\":\"d\",\"claim\":\"tpm.pcr[7]\","
    "\"present\":true,\"reason\":\"d\"},{\"id\":\"e\",\"claim\":\"tpm.nonce\",\"present\":true,"
    "\"reason\":\"e\"}],\"reason\":\"c\"}]}";
static const char *const tenants[] = { "plain", "tpm", "test", "none" };
static struct judge *judge;

/* ---- The snapshot ---- */

struct blobs {
    json_t *list;
    uint8_t *data;
    size_t len;
};

static void add(struct blobs *b, const char *name, const uint8_t *data, size_t len)
{
    b->data = realloc(b->data, b->len + len);
    if (!b->data)
        abort();
    memcpy(b->data + b->len, data, len);
    b->len += len;
    json_array_append_new(b->list, json_pack("{s:s, s:I}", "name", name, "len", (json_int_t)len));
}

/* The key of a recorded TPM, as an administrator would name it. */
static json_t *root_of_tpm(void)
{
    json_t *evidence = json_loadb((const char *)body_tpm, LENGTH(body_tpm), 0, NULL);
    json_t *root = json_sprintf("-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n",
                                json_string_value(json_object_get(evidence, "ak_public")));

    json_decref(evidence);
    return root;
}

static json_t *state_of(json_t *list)
{
    json_t *p = json_pack("{s:s, s:s, s:{}}", "name", "p", "text", policy, "includes");
    json_t *root = root_of_tpm();

    return json_pack(
        "{s:{s:{s:O, s:[[s,s,I]]}, s:{s:O, s:[O]}, s:{s:o, s:[o], s:b}, s:{}}, s:O}", "tenants",
        "plain", "policy", p, "references", "td",
        "024a32b070383331181619fa387cb4d55d1e38879f989933055ccad5bc2db795d1737b66205949d1"
        "5469dc8c1ba7ab7b",
        (json_int_t)2000000000, "tpm", "policy", p, "roots", root, "test", "policy", p, "roots",
        root, "foreign_roots_allowed", 1, "none", "blobs", list);
}

static struct judge *make(void)
{
    struct blobs b = { .list = json_array() };
    struct judge *made = judge_create();
    struct bawn_error err = { "" };
    json_t *state, *snapshot;
    uint8_t *whole;
    char *text;
    size_t len;

    add(&b, "tdx/00806f050000", body_tcb, LENGTH(body_tcb));
    /* Of the chip that the report beside it names, and of another. */
    add(&b, "vcek/" CHIP "/x.der", body_vcek, LENGTH(body_vcek));
    add(&b, "vcek/00112233445566778899aabbccddeeff/x.der", body_vcek, 16);
    add(&b, "plain:crl/Milan.crl", body_crl, LENGTH(body_crl));
    state = state_of(b.list);
    text = json_dumps(state, JSON_COMPACT);
    len = strlen(text);
    whole = malloc(len + b.len);
    if (!made || !whole)
        abort();
    memcpy(whole, text, len);
    memcpy(whole + len, b.data, b.len);
    snapshot = json_pack("{s:I}", "state", (json_int_t)len);
    if (judge_take_snapshot(made, snapshot, whole, len + b.len, &err) != BAWN_OK)
        abort();
    json_decref(state);
    json_decref(snapshot);
    json_decref(b.list);
    free(b.data);
    free(text);
    return made;
}

/* ---- What must hold of every decision ---- */

/* The vault reads claims from their texts (dry runs, resource policies): they are what they were.
 */
static void check_claims(const json_t *claims, const json_t *kinds)
{
    static char name[256], text[16384];
    struct claim_set set;
    struct bawn_error err;

    if (claims_read(&set, claims, kinds, NULL, &err) != BAWN_OK ||
        set.n != json_object_size(claims))
        abort();
    for (size_t i = 0; i < set.n; i++) {
        const struct bawn_claim *c = &set.claims[i];
        const char *was;

        if (c->index >= 0)
            snprintf(name, sizeof(name), "%s[%d]", c->name, c->index);
        else
            snprintf(name, sizeof(name), "%s", c->name);
        was = json_string_value(json_object_get(claims, name));
        if (!was || bawn_claim_print(c, text, sizeof(text)) >= sizeof(text) ||
            strcmp(was, text) != 0)
            abort();
    }
    claims_clear(&set);
}

static void check(const json_t *decision)
{
    const char *verdict = json_string_value(json_object_get(decision, "verdict"));

    if (!verdict || json_is_true(json_object_get(decision, "allowed")) ||
        !json_array_size(json_object_get(decision, "reasons")))
        abort();
    if (!strcmp(verdict, "trusted"))
        abort(); /* it would be bound */
    check_claims(json_object_get(decision, "claims"), json_object_get(decision, "claim_kinds"));
}

/* ---- The same input is the same run each time ---- */

/* Signatures that an input before had are no matter of this one: each verification has a cache of
 * its own. */
enum bawn_verdict __real_bawn_attest_verify(const struct bawn_trust *trust,
                                            struct bawn_attest_cache *cache,
                                            const struct bawn_attest_input *input,
                                            struct bawn_attest_result *result);
enum bawn_verdict __wrap_bawn_attest_verify(const struct bawn_trust *trust,
                                            struct bawn_attest_cache *cache,
                                            const struct bawn_attest_input *input,
                                            struct bawn_attest_result *result);
enum bawn_verdict __wrap_bawn_attest_verify(const struct bawn_trust *trust,
                                            struct bawn_attest_cache *cache,
                                            const struct bawn_attest_input *input,
                                            struct bawn_attest_result *result)
{
    (void)cache;
    return __real_bawn_attest_verify(trust, NULL, input, result);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char warm[] = "{}";

    (void)argc, (void)argv;
    judge = make();
    return LLVMFuzzerTestOneInput((const uint8_t *)warm, sizeof(warm) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_error err = { "" };
    json_t *decision = NULL;

    if (judge_body(judge, tenants[size % 4], "c", (struct bawn_bytes){ data, size }, AT, &decision,
                   &err) == BAWN_OK) {
        if (!decision)
            abort();
        check(decision);
    } else if (!*err.msg || decision) {
        abort();
    }
    json_decref(decision);
    return 0;
}
