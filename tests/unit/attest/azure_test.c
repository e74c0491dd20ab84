// SPDX-License-Identifier: Apache-2.0
/*
 * The judgement of Azure's report: real ones with their quotes, and made ones whose parts do
 * not belong together. Whether the SNP report or TD quote is genuine is for other tests.
 */
#include <bawn/tdx.h>

#include "tests/unit/attest/tpm_make.h"

#define AZURE "tests/vectors/azure/"

enum { /* offsets in the HCL report */
       HARDWARE = 0x20,
       VMPL = HARDWARE + 0x30,
       REPORT_DATA = HARDWARE + 0x50,
       DATA = 0x4c0,
       REPORT_TYPE = DATA + 8,
       HASH_TYPE = DATA + 12,
       CLAIMS_SIZE = DATA + 16,
       CLAIMS = DATA + 20,
};

struct parts {
    struct blob hcl, message, signature, quote;
    struct pcr_bank pcrs;
    struct arena arena;
};

static struct parts milan(void)
{
    return (struct parts){ .hcl = file_read(AZURE "hcl-report.bin"),
                           .message = file_read(AZURE "tpm-quote.msg"),
                           .signature = file_read(AZURE "tpm-quote.sig") };
}

static struct parts genoa(void)
{
    static const char path[] = AZURE "evidence-genoa.json";
    struct parts p = { .hcl = json_member(path, NULL, "report"),
                       .message = json_member(path, "quote", "message"),
                       .signature = json_member(path, "quote", "signature") };

    json_pcrs(&p.arena, path, "quote", &p.pcrs);
    return p;
}

static struct parts version1(const char *path, bool tdx)
{
    struct parts p = { .hcl = json_member(path, NULL, "hcl_report"),
                       .message = json_member(path, "tpm_quote", "message"),
                       .signature = json_member(path, "tpm_quote", "signature") };

    if (tdx)
        p.quote = json_member(path, NULL, "td_quote");
    json_pcrs(&p.arena, path, "tpm_quote", &p.pcrs);
    return p;
}

static struct parts snp_v1(void)
{
    return version1(AZURE "evidence-v1.json", false);
}

static struct parts tdx_v1(void)
{
    return version1(AZURE "evidence-tdx-v1.json", true);
}

static void parts_free(struct parts *p)
{
    blob_free(&p->hcl);
    blob_free(&p->message);
    blob_free(&p->signature);
    blob_free(&p->quote);
    arena_free(&p->arena);
}

static void judge(struct scene *s, const struct parts *p)
{
    scene_again(s);
    s->v.ev.hcl_report = bytes_of(&p->hcl);
    s->v.ev.quote = bytes_of(&p->quote);
    s->v.ev.tpm_message = bytes_of(&p->message);
    s->v.ev.tpm_signature = bytes_of(&p->signature);
    s->v.ev.pcrs = p->pcrs;
    azure_verify(&s->v);
    tpm_verify(&s->v);
}

/* ---- Real reports ---- */

static void real_reports(void **state)
{
    struct parts all[] = { genoa(), snp_v1(), tdx_v1() };
    static const char *const types[] = { "SNP", "SNP", "TDX" }, *const versions[] = { "2", "1",
                                                                                      "2" };
    static const char *const ids[] = { "390CBCF5-6C67-4D9B-98EF-C3F1699CC8FC",
                                       "26F8BC30-774E-4290-8E7A-535F3B672AEE",
                                       "6332533D-5649-4D02-8AA7-8F64B7C3EE21" };
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (size_t i = 0; i < 3; i++) {
        judge(&s, &all[i]);
        expect_verdict(&s, BAWN_TRUSTED);
        expect_claim(s.r, "hcl.report_type", types[i]);
        expect_claim(s.r, "hcl.version", versions[i]);
        expect_claim(s.r, "hcl.vm_configuration.vm_unique_id", ids[i]);
        expect_claim(s.r, "hcl.vm_configuration.secure_boot", "true");
        expect_claim(s.r, "hcl.vm_configuration.tpm_enabled", "true");
        expect_claim(s.r, "hcl.vm_configuration.console_enabled", "true");
        assert_int_equal(bawn_attest_result_claim(s.r, "hcl.user_data")->bytes.len, 64);
        expect_claim(s.r, "tpm.ak_binding", "HCL runtime data");
        assert_non_null(bawn_attest_result_claim(s.r, "tpm.pcr[0]"));
        expect_finding(s.r, "hcl.report-data", BAWN_FINDING_PASS, "");
        assert_null(s.r->foreign_root);
        assert_true(s.v.ev.ak_from_hcl);
        if (types[i][0] == 'S')
            assert_ptr_equal(s.v.ev.snp_report.data, all[i].hcl.data + HARDWARE);
        else
            assert_null(s.v.ev.snp_report.data);
    }
    expect_claim(s.r, "tpm.nonce", "6368616c6c656e6765"); /* "challenge" */
    expect_claim(s.r, "hcl.vm_configuration.root_cert_thumbprint",
                 "6nZZnYaJc4KqUZ_yvA-mucFdYNouvlPnITnNMXsHl-0");
    scene_close(&s);
    for (size_t i = 0; i < 3; i++)
        parts_free(&all[i]);
}

/* A quote by another key than the one in the runtime data. */
static void foreign_key(void **state)
{
    struct parts p = milan(), other = snp_v1();
    struct blob was;
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    judge(&s, &p);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.signature", BAWN_FINDING_REFUSED,
                   "does not verify with the attestation key");
    expect_finding(s.r, "hcl.report-data", BAWN_FINDING_PASS, "");
    was = p.hcl;
    p.hcl = other.hcl;
    other.hcl = was;
    judge(&s, &p);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    judge(&s, &other);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    scene_close(&s);
    parts_free(&p);
    parts_free(&other);
}

/* Without a quote the report's own binding is still judged, and the SNP report handed on. */
static void report_alone(void **state)
{
    struct parts p = milan();
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    scene_again(&s);
    s.v.ev.hcl_report = bytes_of(&p.hcl);
    azure_verify(&s.v);
    expect_verdict(&s, BAWN_TRUSTED);
    assert_int_equal(s.v.ev.snp_report.len, 1184);
    assert_true(s.v.ev.ak_public.len > 256);
    scene_close(&s);
    parts_free(&p);
}

/* ---- Changes ---- */

static void flip_all(struct scene *s, struct parts *p, struct blob *b, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        b->data[i] ^= 0xff;
        judge(s, p);
        if (scene_verdict(s) == BAWN_TRUSTED)
            fail_msg("byte %zu of %zu changed and it is trusted", i, b->len);
        b->data[i] ^= 0xff;
    }
}

static void changed_bytes_are_never_trusted(void **state)
{
    struct parts all[] = { genoa(), tdx_v1() };
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        struct parts *p = &all[i];

        flip_all(&s, p, &p->hcl, 0, HARDWARE);
        flip_all(&s, p, &p->hcl, DATA, p->hcl.len);
        flip_all(&s, p, &p->message, 0, p->message.len);
        flip_all(&s, p, &p->signature, 0, p->signature.len);
        judge(&s, p);
        expect_verdict(&s, BAWN_TRUSTED);
    }
    flip_all(&s, &all[0], &all[0].hcl, VMPL, VMPL + 4);
    flip_all(&s, &all[0], &all[0].hcl, REPORT_DATA, REPORT_DATA + 64);
    flip_all(&s, &all[1], &all[1].hcl, HARDWARE, HARDWARE + 1);
    flip_all(&s, &all[1], &all[1].hcl, HARDWARE + sizeof(struct bawn_tdreport), DATA);
    scene_close(&s);
    parts_free(&all[0]);
    parts_free(&all[1]);
}

/* What the TD report and the quote have in common, on either side. */
static void td_report_and_quote_agree(void **state)
{
    static const struct {
        const char *name;
        size_t report, body, len;
    } fields[] = {
        { "tdx.tee_tcb_svn", 264, 0, 16 },    { "tdx.mr_seam", 280, 16, 48 },
        { "tdx.mrsigner_seam", 328, 64, 48 }, { "tdx.seam_attributes", 376, 112, 8 },
        { "tdx.td_attributes", 512, 120, 8 }, { "tdx.xfam", 520, 128, 8 },
        { "tdx.mrtd", 528, 136, 48 },         { "tdx.mr_config_id", 576, 184, 48 },
        { "tdx.mr_owner", 624, 232, 48 },     { "tdx.mr_owner_config", 672, 280, 48 },
        { "tdx.rtmr[0]", 720, 328, 48 },      { "tdx.rtmr[1]", 768, 376, 48 },
        { "tdx.rtmr[2]", 816, 424, 48 },      { "tdx.rtmr[3]", 864, 472, 48 },
        { "tdx.report_data", 128, 520, 64 },
    };
    struct parts p = tdx_v1();
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        for (size_t k = 0; k < fields[i].len; k++)
            for (int side = 0; side < 2; side++) {
                uint8_t *byte = side ? p.quote.data + 48 + fields[i].body + k
                                     : p.hcl.data + HARDWARE + fields[i].report + k;

                *byte ^= 1;
                judge(&s, &p);
                expect_verdict(&s, BAWN_NOT_TRUSTED);
                expect_finding(s.r, "hcl.td-quote", BAWN_FINDING_REFUSED, fields[i].name);
                *byte ^= 1;
            }
    scene_close(&s);
    parts_free(&p);
}

static void td_quotes(void **state)
{
    struct parts p = tdx_v1();
    struct blob v4 = p.quote, v5 = { calloc(1, v4.len + 6), v4.len + 6 };
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    p.quote = (struct blob){ NULL, 0 };
    judge(&s, &p);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "hcl.td-quote", BAWN_FINDING_MISSING, "without a TD quote");
    memcpy(v5.data, v4.data, 48);
    v5.data[0] = 5;
    v5.data[48] = BAWN_QUOTE_BODY_TD10;
    memcpy(v5.data + 54, v4.data + 48, v4.len - 48);
    p.quote = v5;
    judge(&s, &p);
    expect_verdict(&s, BAWN_TRUSTED);
    p.quote.len = 54 + 583; /* one byte short of its body */
    judge(&s, &p);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    p.quote = v4;
    v4.data[4] = 0; /* of an SGX enclave */
    judge(&s, &p);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    blob_free(&v5);
    scene_close(&s);
    parts_free(&p);
}

static void every_length(void **state)
{
    struct parts p = genoa();
    struct blob whole = p.hcl;
    size_t filled = DATA + 0x4c4;
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (size_t len = 0; len <= whole.len; len++) {
        p.hcl = blob_of(whole.data, len);
        judge(&s, &p);
        /* What follows the runtime data is padding and may be left out. */
        assert_int_equal(scene_verdict(&s) == BAWN_TRUSTED, len >= filled);
        blob_free(&p.hcl);
    }
    p.hcl = whole;
    scene_close(&s);
    parts_free(&p);
}

/* ---- Made reports ---- */

static void put_le32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* An HCL report with that runtime data, bound to an SNP report by that hash. */
static struct blob make_hcl(const char *json, size_t len, uint32_t hash_type)
{
    static const enum hash_alg hashes[] = { HASH_SHA256, HASH_SHA256, HASH_SHA384, HASH_SHA512,
                                            HASH_SHA256 };
    struct blob b = { calloc(1, CLAIMS + len), CLAIMS + len };

    memcpy(b.data, "HCLA", 4);
    put_le32(b.data + 4, 2);
    put_le32(b.data + 8, (uint32_t)b.len);
    put_le32(b.data + 12, 2);
    put_le32(b.data + DATA, (uint32_t)(20 + len));
    put_le32(b.data + DATA + 4, 1);
    put_le32(b.data + REPORT_TYPE, 2);
    put_le32(b.data + HASH_TYPE, hash_type);
    put_le32(b.data + CLAIMS_SIZE, (uint32_t)len);
    memcpy(b.data + CLAIMS, json, len);
    assert_true(hash_bytes(hashes[hash_type], json, len, b.data + REPORT_DATA));
    return b;
}

/* Judges a report made of that runtime data. */
static enum bawn_verdict judge_json(struct scene *s, const char *json, size_t len)
{
    struct blob hcl = make_hcl(json, len, 1);
    enum bawn_verdict verdict;

    scene_again(s);
    s->v.ev.hcl_report = bytes_of(&hcl);
    azure_verify(&s->v);
    verdict = scene_verdict(s);
    /* Claims outlive it here only to be looked at: what they borrow is the report. */
    s->v.ev.hcl_report = arena_copy(s->v.arena, hcl.data, hcl.len);
    blob_free(&hcl);
    return verdict;
}

/* 256 bytes with the top bit set, in base64url. */
#define N64 "gYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGB"
#define N256 N64 N64 N64 N64 N64 "gYGBgYGBgYGBgYGBgYGBgYGB"
#define AK_WITH(n, e) "{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"" e "\",\"n\":\"" n "\"}"
#define AK AK_WITH(N256, "AQAB")

static void hash_types(void **state)
{
    static const char json[] = "{\"keys\":[" AK "]}";
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (uint32_t type = 0; type <= 4; type++) {
        static const size_t sizes[] = { 32, 32, 48, 64, 32 };
        struct blob hcl = make_hcl(json, sizeof(json) - 1, type);
        bool served = type >= 1 && type <= 3;

        scene_again(&s);
        s.v.ev.hcl_report = bytes_of(&hcl);
        azure_verify(&s.v);
        expect_verdict(&s, served ? BAWN_TRUSTED : BAWN_CANNOT_JUDGE);
        /* The rest of REPORT_DATA is zero. */
        if (served && sizes[type] < 64) {
            hcl.data[REPORT_DATA + sizes[type]] = 1;
            scene_again(&s);
            s.v.ev.hcl_report = bytes_of(&hcl);
            azure_verify(&s.v);
            expect_verdict(&s, BAWN_NOT_TRUSTED);
            expect_finding(s.r, "hcl.report-data", BAWN_FINDING_REFUSED, "not bound");
        }
        blob_free(&hcl);
    }
    scene_close(&s);
}

/* A guest may ask for SNP reports at its own VMPL, with any report data. */
static void report_of_the_guest_itself(void **state)
{
    static const char json[] = "{\"keys\":[" AK "]}";
    struct blob hcl = make_hcl(json, sizeof(json) - 1, 1);
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (uint8_t vmpl = 1; vmpl < 4; vmpl++) {
        hcl.data[VMPL] = vmpl;
        scene_again(&s);
        s.v.ev.hcl_report = bytes_of(&hcl);
        azure_verify(&s.v);
        expect_verdict(&s, BAWN_NOT_TRUSTED);
        expect_finding(s.r, "hcl.vmpl", BAWN_FINDING_REFUSED, "not asked for by the HCL");
    }
    scene_close(&s);
    blob_free(&hcl);
}

static void no_hardware_report(void **state)
{
    static const uint32_t types[] = { 0, 1, 3, 5, 0xffffffff };
    struct parts p = genoa();
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        put_le32(p.hcl.data + REPORT_TYPE, types[i]);
        judge(&s, &p);
        expect_verdict(&s, BAWN_CANNOT_JUDGE);
        expect_finding(s.r, "hcl.hardware-report", BAWN_FINDING_MISSING, "no report signed");
    }
    put_le32(p.hcl.data + REPORT_TYPE, 4); /* an SNP report given out for a TD report */
    judge(&s, &p);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "hcl.form", BAWN_FINDING_MISSING, "no TD report");
    scene_close(&s);
    parts_free(&p);
}

static void sizes_that_disagree(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } edits[] = {
        { 8, 0 },
        { 8, 2437 },
        { 8, 0xffffffff },
        { DATA, 0 },
        { DATA, 0x4c5 },
        { DATA, 0xffffffff },
        { CLAIMS_SIZE, 0 },
        { CLAIMS_SIZE, 0x4b1 },
        { CLAIMS_SIZE, 0xffffffff },
        { CLAIMS_SIZE, 0xffffffec },
    };
    struct parts p = genoa();
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        uint8_t was[4];

        memcpy(was, p.hcl.data + edits[i].at, 4);
        put_le32(p.hcl.data + edits[i].at, edits[i].value);
        judge(&s, &p);
        expect_verdict(&s, BAWN_CANNOT_JUDGE);
        expect_finding(s.r, "hcl.form", BAWN_FINDING_MISSING, "cannot be read");
        memcpy(p.hcl.data + edits[i].at, was, 4);
    }
    scene_close(&s);
    parts_free(&p);
}

/* ---- Runtime data ---- */

static void good_runtime_data(void **state)
{
    static const char json[] =
        "{\"keys\":[{\"kid\":\"Other\"}," AK ",7,null,[]],"
        "\"vm-configuration\":{\"current-time\":1700000000,\"vmUniqueId\":\"a\\u0001b\","
        "\"tpm-enabled\":false,\"nested\":{\"a\":1},\"neg\":-1,\"\":true,\"bad name\":true,"
        "\"dot.ted\":true,\"fran\xc3\xa7"
        "ais\":true},\"user-data\":\"00ff\"}";
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    judge_json(&s, json, sizeof(json) - 1);
    expect_verdict(&s, BAWN_TRUSTED);
    expect_claim(s.r, "hcl.vm_configuration.current_time", "1700000000");
    expect_claim(s.r, "hcl.vm_configuration.vm_unique_id", "a\\x01b");
    expect_claim(s.r, "hcl.vm_configuration.tpm_enabled", "false");
    expect_claim(s.r, "hcl.user_data", "00ff");
    assert_int_equal(s.r->claims.n, 6); /* those, the version and the type */
    scene_close(&s);
}

static void hostile_runtime_data(void **state)
{
    static const struct {
        const char *json, *check;
        enum bawn_verdict verdict;
    } cases[] = {
        { "", "hcl.runtime-data", BAWN_CANNOT_JUDGE },
        { "[]", "hcl.runtime-data", BAWN_CANNOT_JUDGE },
        { "7", "hcl.runtime-data", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK "]", "hcl.runtime-data", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK "]} x", "hcl.runtime-data", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK "],\"keys\":[]}", "hcl.runtime-data", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK "],\"x\":\"\xff\"}", "hcl.runtime-data", BAWN_CANNOT_JUDGE },
        { "{}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":7}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":\"HCLAkPub\"}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":" AK "}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[]}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK "," AK "]}", "hcl.ak", BAWN_NOT_TRUSTED },
        { "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"e\":\"AQAB\",\"n\":\"" N256 "\"}]}",
          "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\"}]}", "hcl.ak",
          BAWN_CANNOT_JUDGE },
        { "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":3,\"n\":[1]}]}", "hcl.ak",
          BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK_WITH("", "AQAB") "]}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK_WITH("A", "AQAB") "]}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK_WITH("*!", "AQAB") "]}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK_WITH("AAAA", "AQAB") "]}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK_WITH(N256 N256 N256, "AQAB") "]}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK_WITH(N256, "") "]}", "hcl.ak", BAWN_CANNOT_JUDGE },
        { "{\"keys\":[" AK_WITH(N256, "AQAAAAAAAAAAAAAB") "]}", "hcl.ak", BAWN_CANNOT_JUDGE },
    };
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum bawn_verdict verdict = judge_json(&s, cases[i].json, strlen(cases[i].json));

        if (verdict != cases[i].verdict || s.v.ev.ak_from_hcl)
            fail_msg("case %zu: verdict %d", i, verdict);
        expect_finding(s.r, cases[i].check,
                       verdict == BAWN_NOT_TRUSTED ? BAWN_FINDING_REFUSED : BAWN_FINDING_MISSING,
                       "runtime data");
    }
    assert_int_equal(judge_json(&s, "{\"keys\":[" AK "]}", strlen("{\"keys\":[" AK "]}")),
                     BAWN_TRUSTED);
    scene_close(&s);
}

/* Much of everything: deep, wide, and long names. */
static void large_runtime_data(void **state)
{
    enum { SIZE = 200000 };
    char *json = malloc(SIZE);
    struct scene s;
    size_t n;

    (void)state;
    scene_open(&s, NULL, 0);
    memset(json, '[', SIZE);
    assert_int_equal(judge_json(&s, json, SIZE), BAWN_CANNOT_JUDGE);
    n = (size_t)sprintf(json, "{\"keys\":[" AK "],\"vm-configuration\":{\"");
    memset(json + n, 'A', SIZE - n);
    memcpy(json + SIZE - 8, "\":true}}", 8);
    assert_int_equal(judge_json(&s, json, SIZE), BAWN_TRUSTED);
    assert_int_equal(s.r->claims.n, 2);
    n = (size_t)sprintf(json, "{\"keys\":[" AK "],\"vm-configuration\":{\"a\":1");
    for (unsigned i = 0; n < SIZE - 64; i++)
        n += (size_t)sprintf(json + n, ",\"k%u\":\"v%u\"", i, i);
    n += (size_t)sprintf(json + n, "}}");
    assert_int_equal(judge_json(&s, json, n), BAWN_TRUSTED);
    assert_true(s.r->claims.n > 1000);
    scene_close(&s);
    free(json);
}

/* ---- Parts given beside the report ---- */

static void keys_given_beside(void **state)
{
    struct parts p = genoa();
    struct blob ours = file_read("tests/vectors/tpm/akpub.pem");
    static const uint8_t junk[] = "no key";
    struct bawn_bytes spki;
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    judge(&s, &p);
    spki = s.v.ev.ak_public;
    for (int i = 0; i < 3; i++) {
        struct blob same = blob_of(spki.data, spki.len);

        scene_again(&s);
        s.v.ev.hcl_report = bytes_of(&p.hcl);
        s.v.ev.ak_public = i == 0   ? bytes_of(&same)
                           : i == 1 ? bytes_of(&ours)
                                    : (struct bawn_bytes){ junk, sizeof(junk) };
        azure_verify(&s.v);
        expect_verdict(&s, i ? BAWN_NOT_TRUSTED : BAWN_TRUSTED);
        if (i)
            expect_finding(s.r, "hcl.ak", BAWN_FINDING_REFUSED, "is not the one in the HCL's");
        spki = s.v.ev.ak_public;
        blob_free(&same);
    }
    scene_close(&s);
    blob_free(&ours);
    parts_free(&p);
}

static void snp_report_given_beside(void **state)
{
    struct parts p = genoa();
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    for (int other = 0; other < 2; other++) {
        struct blob report = blob_of(p.hcl.data + HARDWARE, DATA - HARDWARE);

        report.data[100] ^= (uint8_t)other;
        scene_again(&s);
        s.v.ev.hcl_report = bytes_of(&p.hcl);
        s.v.ev.snp_report = bytes_of(&report);
        azure_verify(&s.v);
        expect_verdict(&s, other ? BAWN_NOT_TRUSTED : BAWN_TRUSTED);
        blob_free(&report);
    }
    scene_close(&s);
    parts_free(&p);
}

/* ---- The whole way, as bawn-verify goes ---- */

enum { IN_2025 = 1748736000 }; /* the VCEKs are from January 2025 */

static void vectors_as_given(void **state)
{
    static const struct {
        const char *file;
        enum bawn_verdict verdict;
    } cases[] = {
        { AZURE "evidence-genoa.json", BAWN_TRUSTED },
        { AZURE "evidence-v1.json", BAWN_TRUSTED },
        { AZURE "evidence-tdx-v1.json", BAWN_CANNOT_JUDGE }, /* no collateral */
        { AZURE "hcl-report.bin", BAWN_CANNOT_JUDGE },       /* no VCEK */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct blob evidence = file_read(cases[i].file);
        struct bawn_attest_input input = { .evidence = bytes_of(&evidence), .at = IN_2025 };
        struct bawn_attest_result *r;

        if (whole_verdict(&r, NULL, 0, &input) != cases[i].verdict) {
            show_findings(r);
            fail_msg("%s", cases[i].file);
        }
        assert_null(bawn_attest_result_foreign_root(r));
        assert_null(result_finding(r, "hcl.form", BAWN_FINDING_MISSING));
        bawn_attest_result_destroy(r);
        blob_free(&evidence);
    }
}

/* Azure's metadata service gives the TD quote apart: without collateral it cannot be judged, but
 * it is found, and is of that TD report. Beside other evidence a quote means nothing. */
static void td_quote_beside(void **state)
{
    struct blob hcl = json_member(AZURE "evidence-tdx-v1.json", NULL, "hcl_report");
    struct blob quote = json_member(AZURE "evidence-tdx-v1.json", NULL, "td_quote");
    struct bawn_bytes beside = bytes_of(&quote);
    struct bawn_attest_input input = {
        .evidence = bytes_of(&hcl), .endorsements = &beside, .nr_endorsements = 1, .at = IN_2025
    };
    struct bawn_attest_result *r;

    (void)state;
    input.flags = BAWN_ATTEST_EXPLAIN;
    assert_int_equal(whole_verdict(&r, NULL, 0, &input), BAWN_CANNOT_JUDGE);
    expect_finding(r, "hcl.td-quote", BAWN_FINDING_PASS, "");
    expect_finding(r, "hcl.report-data", BAWN_FINDING_PASS, "");
    expect_finding(r, "quote.signature", BAWN_FINDING_PASS, "");
    assert_null(result_finding(r, "evidence.one-guest", BAWN_FINDING_REFUSED));
    bawn_attest_result_destroy(r);
    blob_free(&hcl);
    blob_free(&quote);
}

static void foreign_key_as_given(void **state)
{
    struct parts p = milan();
    const struct bawn_bytes all[] = { bytes_of(&p.hcl), bytes_of(&p.message),
                                      bytes_of(&p.signature) };
    static const unsigned orders[][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 1, 2, 0 } };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bawn_bytes beside[] = { all[orders[i][1]], all[orders[i][2]] };
        struct bawn_attest_input input = {
            .evidence = all[orders[i][0]],
            .endorsements = beside,
            .nr_endorsements = 2,
            .at = IN_2025,
        };
        struct bawn_attest_result *r;

        assert_int_equal(whole_verdict(&r, NULL, 0, &input), BAWN_NOT_TRUSTED);
        expect_finding(r, "tpm.signature", BAWN_FINDING_REFUSED, "does not verify");
        bawn_attest_result_destroy(r);
    }
    parts_free(&p);
}

/* With the certificate beside it, no byte of the report may change: none is unsigned but the
 * signature's own padding, which must be zero. */
static void whole_report_changed(void **state)
{
    struct parts p = genoa();
    struct blob file = file_read(AZURE "evidence-genoa.json");
    struct arena a = { 0 };
    struct bawn_bytes vcek, beside[3];
    struct bawn_attest_input input = { .nr_endorsements = 3, .at = IN_2025 };
    struct js j;

    (void)state;
    assert_true(js_parse(&j, &a, bytes_of(&file)));
    assert_true(js_string(&j, js_get(&j, 0, "vcek"), &vcek));
    beside[0] = vcek;
    beside[1] = bytes_of(&p.message);
    beside[2] = bytes_of(&p.signature);
    input.endorsements = beside;
    input.evidence = bytes_of(&p.hcl);
    for (size_t i = 0; i <= p.hcl.len; i += 13) {
        struct bawn_attest_result *r;
        enum bawn_verdict verdict;

        if (i)
            p.hcl.data[i - 1] ^= 0x80;
        verdict = whole_verdict(&r, NULL, 0, &input);
        if ((verdict == BAWN_TRUSTED) != (i == 0)) {
            show_findings(r);
            fail_msg("byte %zu: verdict %d", i - 1, verdict);
        }
        bawn_attest_result_destroy(r);
        if (i)
            p.hcl.data[i - 1] ^= 0x80;
    }
    arena_free(&a);
    blob_free(&file);
    parts_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_reports),
        cmocka_unit_test(foreign_key),
        cmocka_unit_test(report_alone),
        cmocka_unit_test(changed_bytes_are_never_trusted),
        cmocka_unit_test(td_report_and_quote_agree),
        cmocka_unit_test(td_quotes),
        cmocka_unit_test(every_length),
        cmocka_unit_test(hash_types),
        cmocka_unit_test(report_of_the_guest_itself),
        cmocka_unit_test(no_hardware_report),
        cmocka_unit_test(sizes_that_disagree),
        cmocka_unit_test(good_runtime_data),
        cmocka_unit_test(hostile_runtime_data),
        cmocka_unit_test(large_runtime_data),
        cmocka_unit_test(keys_given_beside),
        cmocka_unit_test(snp_report_given_beside),
        cmocka_unit_test(vectors_as_given),
        cmocka_unit_test(td_quote_beside),
        cmocka_unit_test(foreign_key_as_given),
        cmocka_unit_test(whole_report_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
