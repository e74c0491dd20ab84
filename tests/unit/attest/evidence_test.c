// SPDX-License-Identifier: Apache-2.0
/*
 * Which evidence is recognised, and where its parts end up: every vector in every form that it
 * can be wrapped in, and what is refused with which words.
 */
#include "tests/unit/attest/evidence_bench.h"

/* ---- Binary forms, and text of them ---- */

static const struct {
    const char *path;
    enum bawn_evidence_kind kind;
    size_t part; /* offset in struct evidence */
} raw_vectors[] = {
    { SNP, BAWN_EVIDENCE_SNP, offsetof(struct evidence, snp_report) },
    { SNP_TURIN, BAWN_EVIDENCE_SNP, offsetof(struct evidence, snp_report) },
    { VECTORS "snp/milan-v2-vcek-7c614616.report.bin", BAWN_EVIDENCE_SNP,
      offsetof(struct evidence, snp_report) },
    { TDX, BAWN_EVIDENCE_QUOTE, offsetof(struct evidence, quote) },
    { VECTORS "tdx/tdx-v5-90c06f000000-4c453ea4.quote.bin", BAWN_EVIDENCE_QUOTE,
      offsetof(struct evidence, quote) },
    { VECTORS "tdx/sgx-v3-00606a000000-268c0681.quote.bin", BAWN_EVIDENCE_QUOTE,
      offsetof(struct evidence, quote) },
    { VECTORS "azure/hcl-report.bin", BAWN_EVIDENCE_HCL, offsetof(struct evidence, hcl_report) },
    { VECTORS "azure/tpm-quote.msg", BAWN_EVIDENCE_TPM, offsetof(struct evidence, tpm_message) },
    { VECTORS "tpm/quote.out", BAWN_EVIDENCE_TPM, offsetof(struct evidence, tpm_message) },
    { VECTORS "eventlog/debian-10.bin", BAWN_EVIDENCE_LOG, offsetof(struct evidence, event_log) },
    { VECTORS "eventlog/binary_bios_measurements", BAWN_EVIDENCE_LOG,
      offsetof(struct evidence, event_log) },
    { VECTORS "eventlog/ccel_data.dat", BAWN_EVIDENCE_LOG, offsetof(struct evidence, cc_log) },
};

#define RAW_VECTORS (sizeof(raw_vectors) / sizeof(raw_vectors[0]))

static const struct bawn_bytes *part_at(size_t offset)
{
    return (const struct bawn_bytes *)(const void *)((const char *)&v.ev + offset);
}

static void binary_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAW_VECTORS; i++) {
        struct bawn_bytes data = file(raw_vectors[i].path);

        if (!unpack(data))
            fail_msg("%s is not recognised", raw_vectors[i].path);
        assert_int_equal(v.ev.kind, raw_vectors[i].kind);
        same(*part_at(raw_vectors[i].part), data);
        assert_int_equal(result->findings.n, 0);
        drop(data);
    }
}

static void text_of_binary_forms(void **state)
{
    static char *(*const encoders[])(struct bawn_bytes) = { hex, base64, base64url };

    (void)state;
    for (size_t i = 0; i < RAW_VECTORS; i++) {
        struct bawn_bytes data = file(raw_vectors[i].path);

        for (size_t e = 0; e < sizeof(encoders) / sizeof(encoders[0]); e++) {
            char *encoded = encoders[e](data);
            struct bawn_bytes wrapped = json("%s\n", encoded);

            if (!unpack(wrapped))
                fail_msg("%s in encoding %zu is not recognised", raw_vectors[i].path, e);
            assert_int_equal(v.ev.kind, raw_vectors[i].kind);
            same(*part_at(raw_vectors[i].part), data);
            free(encoded);
            drop(wrapped);
        }
        drop(data);
    }
}

/* Configfs and ioctl buffers are larger than what is in them. */
static void padded(void **state)
{
    static const uint8_t zeros[4096];
    struct bawn_bytes report = file(SNP), quote = file(TDX);
    struct bawn_bytes more = joined(report, (struct bawn_bytes){ zeros, 64 });
    struct bawn_bytes padded_quote = joined(quote, (struct bawn_bytes){ zeros, sizeof(zeros) });
    uint8_t header[0x20] = { [4] = 0xa0, [5] = 0x04 };
    struct bawn_bytes response = joined((struct bawn_bytes){ header, sizeof(header) }, more);

    (void)state;
    assert_true(unpack(more));
    same(v.ev.snp_report, report);
    assert_true(unpack(response));
    same(v.ev.snp_report, report);
    assert_true(unpack(padded_quote));
    same(v.ev.quote, padded_quote); /* where it ends is the judge's to say */
    drop(report), drop(quote), drop(more), drop(padded_quote), drop(response);
}

static void failed_response(void **state)
{
    uint8_t response[0x20 + 1184] = { 0x16, [4] = 0xa0, [5] = 0x04, [0x20] = 2 };

    (void)state;
    refused(copy(response, sizeof(response)), "evidence.form", "not recognised");
}

/* AMD 56421, 4.1.8.1: entries of GUID, offset, length; an entry of zeros; the certificates. */
static struct bawn_bytes table_of(struct bawn_bytes cert)
{
    static const uint8_t vcek_guid[16] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                           0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd };
    uint8_t entries[48] = { 0 };
    struct bawn_bytes head = { entries, sizeof(entries) };

    memcpy(entries, vcek_guid, sizeof(vcek_guid));
    entries[16] = sizeof(entries);
    entries[20] = (uint8_t)cert.len;
    entries[21] = (uint8_t)(cert.len >> 8);
    return joined(head, cert);
}

static void report_with_table(void **state)
{
    struct bawn_bytes report = file(SNP), cert = file(SNP_CERT), table = table_of(cert);
    struct bawn_bytes both = joined(report, table);
    const struct x509 *parsed;

    (void)state;
    assert_true(unpack(both));
    same(v.ev.snp_report, report);
    assert_int_equal(v.end.certs.n, 1);
    parsed = v.end.certs.items;
    same(parsed->der, cert);
    drop(report), drop(cert), drop(table), drop(both);
}

static void report_with_garbage(void **state)
{
    struct bawn_bytes report = file(SNP);

    (void)state;
    refused(joined(report, (struct bawn_bytes){ (const uint8_t *)"garbage", 7 }),
            "evidence.certificate-table", "7 bytes after the report");
    drop(report);
}

/* ---- JSON ---- */

static void azure_forms(void **state)
{
    static const struct {
        const char *path;
        bool td_quote;
        size_t certs;
    } forms[] = {
        { VECTORS "azure/evidence-genoa.json", false, 1 },
        { VECTORS "azure/evidence-v1.json", false, 1 },
        { VECTORS "azure/evidence-tdx-v1.json", true, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct bawn_bytes data = file(forms[i].path);

        if (!unpack(data))
            fail_msg("%s: %s", forms[i].path, finding(BAWN_FINDING_MISSING)->text);
        assert_int_equal(v.ev.kind, BAWN_EVIDENCE_JSON);
        assert_int_equal(v.ev.hcl_report.len, 2600);
        assert_memory_equal(v.ev.hcl_report.data, "HCLA", 4);
        assert_memory_equal(v.ev.tpm_message.data, "\xff\x54\x43\x47", 4);
        assert_int_equal(v.ev.tpm_signature.len, 256);
        assert_int_equal(v.ev.pcrs.alg, HASH_SHA256);
        for (unsigned p = 0; p < TPM_PCRS; p++)
            assert_int_equal(v.ev.pcrs.value[p].len, 32);
        assert_int_equal(v.ev.quote.len > 0, forms[i].td_quote);
        assert_int_equal(v.end.certs.n, forms[i].certs);
        drop(data);
    }
}

static void tpm_json(void **state)
{
    struct bawn_bytes data = file(VECTORS "tpm/tpm_evidence.json");

    (void)state;
    assert_true(unpack(data));
    assert_memory_equal(v.ev.tpm_message.data, "\xff\x54\x43\x47", 4);
    assert_int_equal(v.ev.tpm_signature.len, 262); /* TPMT_SIGNATURE of RSA 2048 */
    assert_memory_equal(v.ev.tpm_signature.data, "\x00\x14\x00\x0b\x01\x00", 6);
    assert_memory_equal(v.ev.ak_public.data, "\x30\x82", 2); /* SubjectPublicKeyInfo */
    assert_int_equal(v.ev.pcrs.alg, HASH_SHA256);
    drop(data);
}

static void go_attestation(void **state)
{
    struct bawn_bytes data = file(VECTORS "tpm/windows_gcp_shielded_vm.json");
    static const uint8_t pcr14[] = { 0x27, 0x5a, 0x68, 0x9f };

    (void)state;
    assert_true(unpack(data));
    assert_memory_equal(v.ev.tpm_message.data, "\xff\x54\x43\x47", 4);
    assert_memory_equal(v.ev.tpm_signature.data, "\x00\x14\x00\x04", 4);
    assert_memory_equal(v.ev.ak_public.data, "\x00\x01\x00\x0b", 4); /* TPMT_PUBLIC */
    assert_int_equal(v.ev.pcrs.alg, HASH_SHA1);
    assert_int_equal(v.ev.pcrs.value[23].len, 20);
    assert_memory_equal(v.ev.pcrs.value[14].data, pcr14, sizeof(pcr14));
    assert_true(v.ev.event_log.len > 40000);
    drop(data);
}

static void tdx_json(void **state)
{
    struct bawn_bytes quote = file(TDX), log = file(VECTORS "eventlog/ccel_data.dat");
    char *q = base64(quote), *l = base64(log);
    struct bawn_bytes with = json("{\"cc_eventlog\":\"%s\",\"quote\":\"%s\"}", l, q);
    struct bawn_bytes without = json("{\"cc_eventlog\":null,\"quote\":\"%s\"}", q);
    struct bawn_bytes twice = json("{\"td_quote\":\"%s\",\"quote\":\"%s\"}", q, q);

    (void)state;
    assert_true(unpack(with));
    same(v.ev.quote, quote);
    same(v.ev.cc_log, log);
    assert_true(unpack(without));
    same(v.ev.quote, quote);
    assert_int_equal(v.ev.cc_log.len, 0);
    refused(twice, "evidence.doubled", "two of: SGX or TDX quote");
    free(q), free(l);
    drop(quote), drop(log), drop(with), drop(without);
}

/* ---- Wrappings ---- */

static void request_wrappers(void **state)
{
    struct bawn_bytes report = file(SNP), inner, kbs, service, outer;
    char *r = base64(report), *i, *o;

    (void)state;
    inner = json("{\"attestation_report\":\"%s\"}", r);
    kbs = json("{\"tee-evidence\":{\"primary_evidence\":{\"attestation_report\":\"%s\"},"
               "\"additional_evidence\":\"{}\"}}",
               r);
    assert_true(unpack(kbs));
    same(v.ev.snp_report, report);
    i = base64url(inner);
    service = json("{\"tee\":\"snp\",\"evidence\":\"%s\"}", i);
    assert_true(unpack(service));
    same(v.ev.snp_report, report);
    o = base64(service);
    outer = text(o);
    assert_true(unpack(outer));
    same(v.ev.snp_report, report);
    free(r), free(i), free(o);
    drop(report), drop(inner), drop(kbs), drop(service), drop(outer);
}

static void wrapped_too_often(void **state)
{
    struct bawn_bytes report = file(SNP), wrapped = report;

    (void)state;
    for (int i = 0; i < 7; i++) {
        char *encoded = base64(wrapped);

        drop(wrapped);
        wrapped = text(encoded);
        free(encoded);
    }
    refused(wrapped, "evidence.form", "wrapped more than");
}

/* ---- Protobuf ---- */

static void protobuf(void **state)
{
    struct bawn_bytes data = file(VECTORS "tpm/gce-cos-85-nonce9009.pb");
    const struct bawn_claim *banks;

    (void)state;
    assert_true(unpack(data));
    assert_int_equal(v.ev.kind, BAWN_EVIDENCE_TPM);
    assert_memory_equal(v.ev.tpm_message.data, "\xff\x54\x43\x47", 4);
    assert_memory_equal(v.ev.ak_public.data, "\x00\x01\x00\x0b", 4);
    assert_true(v.ev.tpm_signature.len > 256);
    assert_true(evidence_bank_rank(v.ev.pcrs.alg) >= evidence_bank_rank(HASH_SHA256));
    assert_int_equal(v.ev.pcrs.value[0].len, hash_size(v.ev.pcrs.alg));
    assert_true(v.ev.event_log.len > 10000);
    banks = bawn_attest_result_claim(result, "tpm.banks_quoted");
    assert_non_null(banks);
    assert_int_equal(banks->uint, 3);
    assert_string_equal(finding(BAWN_FINDING_PASS)->check, "evidence.bank");
    drop(data);
}

/* A message that ends early is none: never a part of its quotes without the rest. */
static void protobuf_truncated(void **state)
{
    struct bawn_bytes data = file(VECTORS "tpm/gce-cos-85-nonce9009.pb");

    (void)state;
    for (size_t len = 1; len < data.len; len += len < 6000 ? 1 : 97) {
        struct bawn_bytes cut = copy(data.data, len);

        /* Cut between two fields it is whole, if there was a quote. */
        if (unpack(cut))
            assert_true(v.ev.tpm_message.len && v.ev.ak_public.len);
        else
            assert_non_null(finding(BAWN_FINDING_MISSING));
        drop(cut);
    }
    drop(data);
}

/* A length beyond the message, one of ten bytes and more, a group, field 0, a PCR that is not. */
static void protobuf_hostile(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "\x0a\x7f\x01", 3 },
        { "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
        { "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 },
        { "\x0a\x01\x01\x0b\x01\x0c", 6 },
        { "\x0a\x01\x01\x02\x00", 5 },
        { "\x0a\x01\x01\x12\x08\x1a\x06\x12\x04\x08\x18\x12\x00", 13 },
        { "\x0a\x01\x01\x12\x00", 5 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refused(copy(cases[i].bytes, cases[i].len), "evidence.form", "not recognised");
}

/* ---- What is not recognised ---- */

static void unknown(void **state)
{
    (void)state;
    refused(text(""), "evidence.form", "empty");
    refused(copy("\x00\x01\x02\x03", 4), "evidence.form", "4 bytes that begin with 00010203");
    refused(text("no evidence at all!"), "evidence.form",
            "19 bytes that begin with 6e6f2065766964656e636520617420");
    refused(text("00112233"), "evidence.form", "4 bytes (decoded from text) that begin with 00112");
    refused(text("-----BEGIN RSA KEY-----\nAAAA\n-----END RSA KEY-----\n"), "evidence.form", "PEM");
    refused(file(VECTORS "eventlog/binary_bios_measurements-empty"), "evidence.form", "empty");
}

static void unknown_json(void **state)
{
    (void)state;
    refused(text("{\"a\":1,\n\"b\"}"), "evidence.json", "line 2");
    refused(text("{\"ab\\u0001\":1}"), "evidence.json", "line 1");
    refused(text("{}"), "evidence.form", "no members");
    refused(text("{\"colour\":1,\"size\":2}"), "evidence.form", "colour, size");
    refused(text("{\"quote\":17}"), "evidence.json", "the member quote is");
    refused(text("{\"quote\":\"!!\"}"), "evidence.json", "the member quote is");
    refused(text("{\"quote\":\"00112233\"}"), "evidence.json", "the member quote is");
    refused(text("{\"quote\":[1,2,256]}"), "evidence.json", "the member quote is");
    refused(text("{\"tpm_quote\":{\"pcrs\":[\"00\"]}}"), "evidence.json", "tpm_quote.pcrs");
    refused(text("{\"tpm_quote\":{\"pcrs\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}}"),
            "evidence.json", "tpm_quote.pcrs");
    refused(text("{\"Log\":{\"PCRs\":[{\"Index\":24,\"Digest\":\"AAAA\"}]}}"), "evidence.json",
            "Log.PCRs");
}

/* ---- The kind as given ---- */

static void given_kind(void **state)
{
    struct bawn_bytes report = file(SNP), quote = file(TDX);

    (void)state;
    assert_true(unpack_as(report, BAWN_EVIDENCE_SNP));
    assert_false(unpack_as(quote, BAWN_EVIDENCE_SNP));
    assert_string_equal(finding(BAWN_FINDING_MISSING)->expected, "SEV-SNP report");
    assert_string_equal(finding(BAWN_FINDING_MISSING)->found, "SGX or TDX quote");
    /* What does not look like it goes to its judge all the same. */
    report.len = 100;
    assert_true(unpack_as(report, BAWN_EVIDENCE_SNP));
    assert_int_equal(v.ev.snp_report.len, 100);
    assert_int_equal(v.ev.kind, BAWN_EVIDENCE_SNP);
    drop(report), drop(quote);
}

/* ---- Parts given beside the evidence ---- */

static bool unpack_beside(struct bawn_bytes evidence, const struct evidence *given)
{
    result_reset(result);
    input = (struct bawn_attest_input){ .evidence = evidence };
    v = (struct verification){
        .input = &input, .r = result, .arena = &result->arena, .ev = *given
    };
    return evidence_unpack(&v);
}

static void parts_beside(void **state)
{
    struct bawn_bytes message = file(VECTORS "tpm/quote.out"), full, other;
    struct evidence given = { .kind = BAWN_EVIDENCE_ANY };

    (void)state;
    full = file(VECTORS "tpm/tpm_evidence.json");
    other = text("other");
    given.tpm_signature = other;
    assert_true(unpack_beside(message, &given));
    same(v.ev.tpm_message, message);
    same(v.ev.tpm_signature, other);
    assert_null(finding(BAWN_FINDING_WARNING));
    /* The evidence's own signature counts. */
    assert_true(unpack_beside(full, &given));
    assert_int_equal(v.ev.tpm_signature.len, 262);
    assert_string_equal(finding(BAWN_FINDING_WARNING)->check, "evidence.doubled");
    drop(message), drop(full), drop(other);
}

/* ---- Mutations ---- */

static void mutations(void **state)
{
    static const char *const paths[] = {
        VECTORS "tpm/tpm_evidence.json",
        VECTORS "azure/evidence-v1.json",
        VECTORS "azure/hcl-report.bin",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct bawn_bytes data = file(paths[i]), cut;
        uint8_t *bytes = (uint8_t *)(uintptr_t)data.data;

        for (size_t n = 0; n < data.len; n += 3) {
            bytes[n] ^= 0xff;
            unpack(data);
            bytes[n] ^= 0xff ^ 1;
            unpack(data);
            bytes[n] ^= 1;
            cut = copy(data.data, n);
            if (!unpack(cut))
                assert_non_null(finding(BAWN_FINDING_MISSING));
            drop(cut);
        }
        drop(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_forms),
        cmocka_unit_test(text_of_binary_forms),
        cmocka_unit_test(padded),
        cmocka_unit_test(failed_response),
        cmocka_unit_test(report_with_table),
        cmocka_unit_test(report_with_garbage),
        cmocka_unit_test(azure_forms),
        cmocka_unit_test(tpm_json),
        cmocka_unit_test(go_attestation),
        cmocka_unit_test(tdx_json),
        cmocka_unit_test(request_wrappers),
        cmocka_unit_test(wrapped_too_often),
        cmocka_unit_test(protobuf),
        cmocka_unit_test(protobuf_truncated),
        cmocka_unit_test(protobuf_hostile),
        cmocka_unit_test(unknown),
        cmocka_unit_test(unknown_json),
        cmocka_unit_test(given_kind),
        cmocka_unit_test(parts_beside),
        cmocka_unit_test(mutations),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
