// SPDX-License-Identifier: Apache-2.0
/* SNP evidence for tests; see the header. */
#include "tests/unit/attest/snp_made.h"

#include <stdio.h>

/* ---- Files ---- */

struct bawn_bytes snp_file_read(const char *path)
{
    enum { MAX = 1 << 16 };
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(MAX);
    size_t len;

    if (!f || !data)
        fail_msg("cannot read %s", path);
    len = fread(data, 1, MAX, f);
    assert_true(len > 0 && len < MAX);
    fclose(f);
    return (struct bawn_bytes){ realloc(data, len), len };
}

struct bawn_bytes snp_vector_read(const char *name, const char *suffix)
{
    char path[256];

    snprintf(path, sizeof(path), SNP_VECTORS "%s%s", name, suffix);
    return snp_file_read(path);
}

/* ---- Judging ---- */

void snp_judge_create(struct snp_judge *j, struct bawn_bytes root)
{
    struct bawn_error err;

    *j = (struct snp_judge){ .at = PKI_NOW };
    assert_int_equal(bawn_trust_create(&j->trust, &root, root.len ? 1 : 0, &err), BAWN_OK);
    j->cache = bawn_attest_cache_create(64);
    j->result = bawn_attest_result_create();
    assert_non_null(j->cache);
    assert_non_null(j->result);
}

void snp_judge_destroy(struct snp_judge *j)
{
    bawn_attest_result_destroy(j->result);
    bawn_attest_cache_destroy(j->cache);
    bawn_trust_destroy(j->trust);
}

enum bawn_verdict snp_judge(struct snp_judge *j, struct bawn_bytes report,
                            const struct bawn_bytes *endorsements, size_t n)
{
    const struct bawn_attest_input input = {
        .evidence = report,
        .kind = BAWN_EVIDENCE_SNP,
        .endorsements = endorsements,
        .nr_endorsements = n,
        .at = j->at,
        .flags = j->flags,
    };

    return bawn_attest_verify(j->trust, j->cache, &input, j->result);
}

unsigned snp_findings(const struct bawn_attest_result *r, enum bawn_finding_level level,
                      const char *check, const char *claim)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);
    unsigned count = 0;

    for (size_t i = 0; i < n; i++)
        count += f[i].level == level && !strcmp(f[i].check, check) &&
                 (!claim || !strcmp(f[i].claim, claim));
    return count;
}

static void print_findings(const struct bawn_attest_result *r)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);

    for (size_t i = 0; i < n; i++)
        print_message("  level %d %s (%s): %s; expected %s, found %s\n", f[i].level, f[i].check,
                      f[i].claim, f[i].text, f[i].expected, f[i].found);
}

void assert_snp_finding(const struct bawn_attest_result *r, enum bawn_finding_level level,
                        const char *check, const char *claim)
{
    if (snp_findings(r, level, check, claim) == 1)
        return;
    print_findings(r);
    fail_msg("no one finding of level %d by %s (%s)", level, check, claim ? claim : "any");
}

void assert_snp_only(const struct bawn_attest_result *r, enum bawn_finding_level level,
                     const char *check)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);

    for (size_t i = 0; i < n; i++) {
        if (f[i].level < level || !strcmp(f[i].check, check))
            continue;
        print_findings(r);
        fail_msg("a finding by %s", f[i].check);
    }
}

const char *snp_claim_text(const struct bawn_attest_result *r, const char *name)
{
    static char text[512];
    const struct bawn_claim *claim = bawn_attest_result_claim(r, name);

    if (!claim)
        fail_msg("no claim %s", name);
    assert_true(bawn_claim_print(claim, text, sizeof(text)) < sizeof(text));
    return text;
}

/* ---- A platform made up ---- */

static const struct pki_cert *make_ca(struct snp_made *m, const char *prefix, const char *line,
                                      const struct pki_cert *by)
{
    char cn[64];

    snprintf(cn, sizeof(cn), "%s%s", prefix, line);
    return pki_issue(m->pki,
                     &(struct pki_spec){ .cn = cn, .ca = true, .by = by, .kind = "RSA-2048" });
}

void snp_made_create(struct snp_made *m, const char *line)
{
    m->pki = pki_create();
    m->ark = make_ca(m, "ARK-", line, NULL);
    m->ask = make_ca(m, "SEV-", line, m->ark);
    m->asvk = make_ca(m, "SEV-VLEK-", line, m->ark);
    m->key = pki_key(m->pki, "P-384");
    snp_judge_create(&m->judge, m->ark->der);
}

void snp_made_destroy(struct snp_made *m)
{
    snp_judge_destroy(&m->judge);
    pki_destroy(m->pki);
}

struct bawn_snp_report snp_made_report(uint32_t version, const char *line)
{
    static const uint8_t tcb[8] = { 4, 1, 0, 0, 0, 0, 24, 219 };
    static const uint8_t turin_tcb[8] = { 2, 4, 1, 24, 0, 0, 0, 219 };
    bool turin = !strcmp(line, "Turin");
    struct bawn_snp_report r = {
        .version = version,
        .guest_svn = 7,
        .policy = 0x3001f,
        .signature_algo = 1,
        .platform_info = 0x25,
        .current_build = 29,
        .current_minor = 55,
        .current_major = 1,
        .committed_build = 29,
        .committed_minor = 55,
        .committed_major = 1,
    };

    memset(r.report_data, 0xd1, sizeof(r.report_data));
    memset(r.measurement, 0x4e, sizeof(r.measurement));
    memset(r.report_id_ma, 0xff, sizeof(r.report_id_ma));
    memset(r.chip_id, 0xc1, turin ? 8 : sizeof(r.chip_id));
    memcpy(r.current_tcb, turin ? turin_tcb : tcb, 8);
    memcpy(r.reported_tcb, r.current_tcb, 8);
    memcpy(r.committed_tcb, r.current_tcb, 8);
    memcpy(r.launch_tcb, r.current_tcb, 8);
    if (version >= 3) {
        r.cpuid_fam_id = turin ? 0x1a : 0x19;
        r.cpuid_mod_id = turin ? 0x02 : !strcmp(line, "Genoa") ? 0x11 : 0x01;
        r.cpuid_step = 1;
    }
    if (version >= 5) {
        r.launch_mit_vector = 0xb;
        r.current_mit_vector = 0xf;
    }
    return r;
}

struct pki_amd snp_made_amd(struct snp_made *m, const struct bawn_snp_report *report)
{
    bool turin = report->chip_id[0] && !report->chip_id[8];
    const uint8_t *tcb = report->reported_tcb;
    struct pki_amd amd = {
        .product = turin                          ? "Turin"
                   : report->cpuid_mod_id == 0x11 ? "Genoa"
                                                  : "Milan-B0",
        .boot_loader = tcb[turin ? 1 : 0],
        .tee = tcb[turin ? 2 : 1],
        .snp = tcb[turin ? 3 : 6],
        .microcode = tcb[7],
        .has_fmc = turin,
        .fmc = turin ? tcb[0] : 0,
        .hwid = pki_bytes(m->pki, report->chip_id, turin ? 8 : 64),
    };

    return amd;
}

const struct pki_cert *snp_made_cert_as(struct snp_made *m, const struct pki_amd *amd,
                                        const struct pki_spec *spec)
{
    struct pki_spec s = *spec;

    if (!s.cn)
        s.cn = amd->csp_id ? "SEV-VLEK" : "SEV-VCEK";
    if (!s.by)
        s.by = amd->csp_id ? m->asvk : m->ask;
    if (!s.key && !s.kind)
        s.key = m->key;
    s.serial_zero = !s.serial;
    s.no_key_ids = true;
    pki_amd_exts(m->pki, amd, s.exts);
    return pki_issue(m->pki, &s);
}

const struct pki_cert *snp_made_cert(struct snp_made *m, const struct pki_amd *amd)
{
    return snp_made_cert_as(m, amd, &(struct pki_spec){ 0 });
}

const struct pki_cert *snp_made_cert_but(struct snp_made *m, const struct pki_amd *amd,
                                         const char *arcs, struct bawn_bytes value)
{
    struct pki_spec spec = { .cn = amd->csp_id ? "SEV-VLEK" : "SEV-VCEK",
                             .by = amd->csp_id ? m->asvk : m->ask,
                             .key = m->key,
                             .no_key_ids = true };
    struct pki_ext all[PKI_EXTS] = { 0 };
    size_t n = pki_amd_exts(m->pki, amd, all), kept = 0;
    char oid[64];

    snprintf(oid, sizeof(oid), "1.3.6.1.4.1.3704.1.%s", arcs);
    for (size_t i = 0; i < n; i++) {
        bool this = !strcmp(all[i].oid, oid);

        if (this && !value.len)
            continue;
        spec.exts[kept] = all[i];
        if (this)
            spec.exts[kept].value = value;
        kept++;
    }
    return pki_issue(m->pki, &spec);
}

static void reverse(uint8_t *out, const uint8_t *number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = number[len - 1 - i];
}

void snp_made_signature(struct snp_made *m, EVP_PKEY *key, struct bawn_bytes message,
                        struct bawn_snp_signature *out)
{
    struct bawn_bytes raw = pki_sign_raw(m->pki, key, PKI_ECDSA_SHA384, message);
    size_t n = raw.len / 2;

    memset(out, 0, sizeof(*out));
    reverse(out->r, raw.data, n);
    reverse(out->s, raw.data + n, n);
}

void snp_made_public_key(struct snp_made *m, EVP_PKEY *key, struct bawn_snp_public_key *out)
{
    struct bawn_bytes point = pki_point(m->pki, key);

    assert_int_equal(point.len, 96);
    memset(out, 0, sizeof(*out));
    out->curve = BAWN_SNP_CURVE_P384;
    reverse(out->qx, point.data, 48);
    reverse(out->qy, point.data + 48, 48);
}

void snp_made_sign(struct snp_made *m, struct bawn_snp_report *report, EVP_PKEY *key)
{
    snp_made_signature(m, key,
                       (struct bawn_bytes){ (const uint8_t *)report, BAWN_SNP_REPORT_SIGNED },
                       &report->signature);
}

enum bawn_verdict snp_made_judge(struct snp_made *m, struct bawn_snp_report *report,
                                 const struct pki_cert *cert)
{
    const struct bawn_bytes endorsements[] = { m->ask->der, m->asvk->der, cert->der };

    snp_made_sign(m, report, m->key);
    return snp_judge(&m->judge, (struct bawn_bytes){ (const uint8_t *)report, sizeof(*report) },
                     endorsements, COUNT(endorsements));
}
