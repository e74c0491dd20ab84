// SPDX-License-Identifier: Apache-2.0
/*
 * SNP reports as JSON objects: every field is put back in its place, and all are needed.
 */
#include "tests/unit/attest/evidence_bench.h"

/* ---- SNP reports as JSON objects, as two generations of virtee/sev write them ---- */

static uint64_t le(struct bawn_bytes b, size_t off, unsigned n)
{
    uint64_t value = 0;

    while (n--)
        value = value << 8 | b.data[off + n];
    return value;
}

static void put_array(FILE *f, const char *name, struct bawn_bytes b, size_t off, size_t n)
{
    fprintf(f, "\"%s\":[", name);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s%u", i ? "," : "", b.data[off + i]);
    fprintf(f, "],");
}

static void put_tcb(FILE *f, const char *name, struct bawn_bytes b, size_t off, bool turin)
{
    const uint8_t *t = b.data + off;

    if (turin)
        fprintf(f, "\"%s\":{\"fmc\":%u,\"bootloader\":%u,\"tee\":%u,\"snp\":%u,\"microcode\":%u},",
                name, t[0], t[1], t[2], t[3], t[7]);
    else
        fprintf(f,
                "\"%s\":{\"fmc\":null,\"bootloader\":%u,\"tee\":%u,\"snp\":%u,\"microcode\":%u},",
                name, t[0], t[1], t[6], t[7]);
}

static struct bawn_bytes report_object(struct bawn_bytes r, bool old, const char *without)
{
    bool turin = r.data[0] >= 3 && r.data[0x188] >= 0x1a;
    char *s = NULL, *p;
    size_t n = 0;
    FILE *f = open_memstream(&s, &n);
    struct bawn_bytes out;

    assert_non_null(f);
    fprintf(f, "{\"version\":%u,\"guest_svn\":%u,\"policy\":%lu,", (unsigned)le(r, 0, 4),
            (unsigned)le(r, 4, 4), le(r, 8, 8));
    put_array(f, "family_id", r, 0x10, 16);
    put_array(f, "image_id", r, 0x20, 16);
    fprintf(f, "\"vmpl\":%u,\"sig_algo\":%u,", (unsigned)le(r, 0x30, 4), (unsigned)le(r, 0x34, 4));
    put_tcb(f, "current_tcb", r, 0x38, turin);
    fprintf(f, "\"plat_info\":%lu,\"%s\":%u,", le(r, 0x40, 8), old ? "_author_key_en" : "key_info",
            (unsigned)le(r, 0x48, 4));
    put_array(f, "report_data", r, 0x50, 64);
    put_array(f, "measurement", r, 0x90, 48);
    put_array(f, "host_data", r, 0xc0, 32);
    put_array(f, "id_key_digest", r, 0xe0, 48);
    put_array(f, "author_key_digest", r, 0x110, 48);
    put_array(f, "report_id", r, 0x140, 32);
    put_array(f, "report_id_ma", r, 0x160, 32);
    put_tcb(f, "reported_tcb", r, 0x180, turin);
    if (r.data[0] >= 3)
        fprintf(f, "\"cpuid_fam_id\":%u,\"cpuid_mod_id\":%u,\"cpuid_step\":%u,", r.data[0x188],
                r.data[0x189], r.data[0x18a]);
    put_array(f, "chip_id", r, 0x1a0, 64);
    put_tcb(f, "committed_tcb", r, 0x1e0, turin);
    if (old)
        fprintf(f,
                "\"current_build\":%u,\"current_minor\":%u,\"current_major\":%u,"
                "\"committed_build\":%u,\"committed_minor\":%u,\"committed_major\":%u,",
                r.data[0x1e8], r.data[0x1e9], r.data[0x1ea], r.data[0x1ec], r.data[0x1ed],
                r.data[0x1ee]);
    else
        fprintf(f,
                "\"current\":{\"build\":%u,\"minor\":%u,\"major\":%u},"
                "\"committed\":{\"build\":%u,\"minor\":%u,\"major\":%u},",
                r.data[0x1e8], r.data[0x1e9], r.data[0x1ea], r.data[0x1ec], r.data[0x1ed],
                r.data[0x1ee]);
    put_tcb(f, "launch_tcb", r, 0x1f0, turin);
    if (r.data[0] >= 5)
        fprintf(f, "\"launch_mit_vector\":%lu,\"current_mit_vector\":%lu,", le(r, 0x1f8, 8),
                le(r, 0x200, 8));
    fprintf(f, "\"signature\":{");
    put_array(f, "r", r, 0x2a0, 72);
    put_array(f, "s", r, 0x2e8, 72);
    fprintf(f, "\"end\":0}}");
    fclose(f);
    p = without ? strstr(s, without) : NULL;
    if (p)
        p[1] = 'X'; /* another name */
    out = json("{\"attestation_report\":%s,\"cert_chain\":null}", s);
    free(s);
    return out;
}

static void report_objects(void **state)
{
    static const char *const paths[] = {
        SNP,
        SNP_TURIN,
        VECTORS "snp/milan-v2-vcek-7c614616.report.bin",
        VECTORS "snp/genoa-v5-vcek-7ea4daeb.report.bin",
        VECTORS "snp/milan-v3-vlek-decdab94.report.bin",
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(paths) / sizeof(paths[0]); i++) {
        struct bawn_bytes report = file(paths[i / 2]);
        struct bawn_bytes object = report_object(report, i % 2, NULL);

        if (!unpack(object))
            fail_msg("%s: %s", paths[i / 2], finding(BAWN_FINDING_MISSING)->text);
        same(v.ev.snp_report, report);
        drop(report), drop(object);
    }
}

/* Every field is needed, since every byte is signed. */
static void report_object_without(void **state)
{
    static const char *const names[] = {
        "guest_svn",   "policy",    "family_id", "current_tcb", "plat_info",  "key_info",
        "measurement", "host_data", "report_id", "chip_id",     "launch_tcb", "signature",
    };
    struct bawn_bytes report = file(SNP);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char quoted[32];

        snprintf(quoted, sizeof(quoted), "\"%s\"", names[i]);
        refused(report_object(report, false, quoted), "evidence.snp-fields", names[i]);
    }
    drop(report);
}

static void report_object_of_two_products(void **state)
{
    struct bawn_bytes report = file(SNP), object = report_object(report, false, NULL);
    char *s = strndup((const char *)object.data, object.len);
    char *fam = strstr(s, "\"cpuid_fam_id\":25");

    (void)state;
    assert_non_null(fam);
    fam[strlen("\"cpuid_fam_id\":2")] = '6'; /* 26: Turin, with Milan's TCB */
    refused(text(s), "evidence.snp-fields", "processor family");
    free(s);
    drop(report), drop(object);
}

static void report_with_chain(void **state)
{
    struct bawn_bytes report = file(SNP), cert = file(SNP_CERT), evidence;
    const struct x509 *parsed;
    char *r = base64(report), *s = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&s, &n);

    (void)state;
    fprintf(f, "{\"attestation_report\":\"%s\",\"cert_chain\":[{", r);
    put_array(f, "data", cert, 0, cert.len);
    fprintf(f, "\"cert_type\":\"VCEK\"}]}");
    fclose(f);
    evidence = text(s);
    assert_true(unpack(evidence));
    same(v.ev.snp_report, report);
    assert_int_equal(v.end.certs.n, 1);
    parsed = v.end.certs.items;
    same(parsed->der, cert);
    free(r), free(s);
    drop(report), drop(cert), drop(evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_objects),
        cmocka_unit_test(report_object_without),
        cmocka_unit_test(report_object_of_two_products),
        cmocka_unit_test(report_with_chain),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
