// SPDX-License-Identifier: Apache-2.0
/*
 * The made platform: everything that a quote's judgement rests on, signed with keys of the
 * test PKI.
 */
#include "tests/unit/attest/quote_made.h"

#include <openssl/sha.h>

#define SVN 5 /* of every component and module, and what the newest levels ask for */

static void put(uint8_t *field, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++)
        field[i] = (uint8_t)(i < 8 ? value >> (8 * i) : 0);
}

#define PUT(field, value) put((field), sizeof(field), (value))

static bool is_tdx(enum made_kind kind)
{
    return kind >= MADE_TDX4;
}

static unsigned version_of(enum made_kind kind)
{
    static const unsigned versions[] = { 3, 4, 5, 4, 5, 5 };

    return versions[kind];
}

/* ---- The right values ---- */

static void default_header(struct made_spec *s)
{
    static const uint8_t intel[16] = BAWN_QUOTE_VENDOR_INTEL;

    PUT(s->header.version, version_of(s->kind));
    PUT(s->header.key_type, BAWN_QUOTE_KEY_ECDSA_P256);
    PUT(s->header.tee_type, is_tdx(s->kind) ? BAWN_QUOTE_TEE_TDX : BAWN_QUOTE_TEE_SGX);
    memcpy(s->header.qe_vendor_id, intel, sizeof(intel));
}

static void default_level(struct made_level *l, uint8_t svn, const char *status)
{
    l->status = status;
    memset(l->sgx, svn, sizeof(l->sgx));
    memset(l->tdx, svn, sizeof(l->tdx));
    l->pce_svn = svn;
    l->svn = svn;
}

void made_default(struct made_spec *s, enum made_kind kind)
{
    *s = (struct made_spec){ .kind = kind, .module_version = 1 };
    default_header(s);
    PUT(s->enclave.attributes, BAWN_SGX_ATTR_INIT | BAWN_SGX_ATTR_MODE64BIT);
    memset(s->enclave.mr_enclave, 0xe1, sizeof(s->enclave.mr_enclave));
    memset(s->enclave.report_data, 0xd1, sizeof(s->enclave.report_data));
    memset(s->td.base.tee_tcb_svn, SVN, sizeof(s->td.base.tee_tcb_svn));
    s->td.base.tee_tcb_svn[1] = 1;
    memcpy(s->td.tee_tcb_svn_2, s->td.base.tee_tcb_svn, 16);
    PUT(s->td.base.td_attributes, BAWN_TDX_ATTR_SEPT_VE_DISABLE);
    PUT(s->td.base.xfam, BAWN_TDX_XFAM_X87 | BAWN_TDX_XFAM_SSE);
    memset(s->td.base.mr_td, 0xa1, sizeof(s->td.base.mr_td));
    memset(s->td.base.mrsigner_seam, 0x51, sizeof(s->td.base.mrsigner_seam));
    for (int i = 0; i < BAWN_TDX_RTMRS; i++)
        memset(s->td.base.rtmr[i], 0xb0 + i, sizeof(s->td.base.rtmr[i]));

    PUT(s->qe.attributes, BAWN_SGX_ATTR_INIT | BAWN_SGX_ATTR_PROVISIONKEY);
    memset(s->qe.mr_signer, 0x5e, sizeof(s->qe.mr_signer));
    PUT(s->qe.isv_prod_id, 2);
    PUT(s->qe.isv_svn, SVN);

    memset(s->sgx.ppid, 0x99, sizeof(s->sgx.ppid));
    memset(s->sgx.tcb, SVN, sizeof(s->sgx.tcb));
    memset(s->sgx.cpusvn, SVN, sizeof(s->sgx.cpusvn));
    memcpy(s->sgx.fmspc, "\x00\x80\x6f\x05\x00\x00", 6);
    s->sgx.pcesvn = SVN;
    s->sgx.sgx_type = 1;
    s->sgx.platform = true;

    s->tcb_version = 3;
    default_level(&s->levels[0], SVN, "UpToDate");
    default_level(&s->levels[1], SVN - 1, "OutOfDate");
    s->levels[1].advisory = "INTEL-SA-00001";
    default_level(&s->module.levels[0], SVN, "UpToDate");
    default_level(&s->module.levels[1], SVN - 1, "OutOfDate");
    s->module.levels[1].advisory = "INTEL-SA-00002";
    memset(s->module.mrsigner, 0x51, sizeof(s->module.mrsigner));
    memset(s->module.attributes_mask, 0xff, sizeof(s->module.attributes_mask));

    s->qe_identity.version = 2;
    s->qe_identity.prod_id = 2;
    memset(s->qe_identity.mrsigner, 0x5e, 32);
    memcpy(s->qe_identity.attributes, s->qe.attributes, 16);
    memset(s->qe_identity.attributes_mask, 0xff, 16);
    s->qe_identity.attributes_mask[0] = 0xfb; /* MODE64BIT aside, as Intel's */
    memset(s->qe_identity.misc_mask, 0xff, 4);
    default_level(&s->qe_identity.levels[0], SVN, "UpToDate");
    default_level(&s->qe_identity.levels[1], SVN - 1, "OutOfDate");
    s->qe_identity.levels[1].advisory = "INTEL-SA-00003";
}

/* ---- JSON ---- */

struct text {
    char data[32768];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->data + t->len, sizeof(t->data) - t->len, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && (size_t)n < sizeof(t->data) - t->len);
    t->len += (size_t)n;
}

static void say_hex(struct text *t, const char *key, const uint8_t *bytes, size_t n)
{
    say(t, "\"%s\":\"", key);
    for (size_t i = 0; i < n; i++)
        say(t, "%02X", bytes[i]);
    say(t, "\",");
}

static void say_components(struct text *t, const char *name, const uint8_t *svn)
{
    say(t, "\"%s\":[", name);
    for (int i = 0; i < 16; i++)
        say(t, "%s{\"svn\":%u,\"category\":\"BIOS\",\"type\":\"Part %d\"}", i ? "," : "", svn[i],
            i + 1);
    say(t, "],");
}

static void say_platform_tcb(struct text *t, const struct made_spec *s, const struct made_level *l)
{
    if (s->tcb_v2) {
        for (int i = 0; i < 16; i++)
            say(t, "\"sgxtcbcomp%02dsvn\":%u,", i + 1, l->sgx[i]);
    } else {
        say_components(t, "sgxtcbcomponents", l->sgx);
        if (is_tdx(s->kind))
            say_components(t, "tdxtcbcomponents", l->tdx);
    }
    say(t, "\"pcesvn\":%u", l->pce_svn);
}

static void say_levels(struct text *t, const struct made_spec *s, const struct made_level *l,
                       bool platform)
{
    say(t, "\"tcbLevels\":[");
    for (int i = 0; i < MADE_LEVELS && l[i].status; i++) {
        say(t, "%s{\"tcb\":{", i ? "," : "");
        if (platform)
            say_platform_tcb(t, s, &l[i]);
        else
            say(t, "\"isvsvn\":%u", l[i].svn);
        say(t, "},\"tcbDate\":\"2024-0%d-01T00:00:00Z\",\"tcbStatus\":\"%s\"", 9 - i, l[i].status);
        if (l[i].advisory)
            say(t, ",\"advisoryIDs\":[\"%s\",\"INTEL-SA-00000\"]", l[i].advisory);
        say(t, "}");
    }
    say(t, "]");
}

static void say_dates(struct text *t, const struct made_spec *s)
{
    say(t, "\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",\"tcbEvaluationDataNumber\":17,",
        s->issued ? s->issued : "2025-05-20T00:00:00Z",
        s->next_update ? s->next_update : "2025-06-20T00:00:00Z");
}

static void say_module(struct text *t, const struct made_spec *s)
{
    const struct made_identity *m = &s->module;

    say(t, "\"tdxModule\":{");
    say_hex(t, "mrsigner", m->mrsigner, 48);
    say_hex(t, "attributesMask", m->attributes_mask, 8);
    say_hex(t, "attributes", m->attributes, 8);
    say(t, "\"x\":0},\"tdxModuleIdentities\":[{\"id\":\"TDX_%02X\",", s->module_version);
    say_hex(t, "mrsigner", m->mrsigner, 48);
    say_hex(t, "attributesMask", m->attributes_mask, 8);
    say_hex(t, "attributes", m->attributes, 8);
    say_levels(t, s, m->levels, false);
    say(t, "}],");
}

static void say_tcb_info(struct text *t, const struct made_spec *s)
{
    say(t, "{");
    if (!s->tcb_v2)
        say(t, "\"id\":\"%s\",", s->id ? s->id : is_tdx(s->kind) ? "TDX" : "SGX");
    say(t, "\"version\":%u,", s->tcb_v2 ? 2 : s->tcb_version);
    say_dates(t, s);
    if (s->fmspc)
        say(t, "\"fmspc\":\"%s\",", s->fmspc);
    else
        say_hex(t, "fmspc", s->sgx.fmspc, 6);
    say(t, "\"pceId\":\"0000\",\"tcbType\":%u,", s->tcb_type);
    if (is_tdx(s->kind))
        say_module(t, s);
    say_levels(t, s, s->levels, true);
    say(t, "}");
}

static void say_qe_identity(struct text *t, const struct made_spec *s)
{
    const struct made_identity *q = &s->qe_identity;

    say(t, "{\"id\":\"%s\",\"version\":%u,",
        s->qe_id          ? s->qe_id
        : is_tdx(s->kind) ? "TD_QE"
                          : "QE",
        q->version);
    say_dates(t, s);
    say_hex(t, "miscselect", q->misc_select, 4);
    say_hex(t, "miscselectMask", q->misc_mask, 4);
    say_hex(t, "attributes", q->attributes, 16);
    say_hex(t, "attributesMask", q->attributes_mask, 16);
    say_hex(t, "mrsigner", q->mrsigner, 32);
    say(t, "\"isvprodid\":%u,", q->prod_id);
    say_levels(t, s, q->levels, false);
    say(t, "}");
}

static void edit(struct text *t, const struct made_spec *s)
{
    struct text out = { .len = 0 };
    const char *at = s->edit ? strstr(t->data, s->edit) : NULL;

    if (!at)
        return;
    say(&out, "%.*s%s%s", (int)(at - t->data), t->data, s->edit_to, at + strlen(s->edit));
    *t = out;
}

/* {"tcbInfo":{...},"signature":"..."} */
static struct bawn_bytes response(struct pki *pki, const char *key, const struct text *body,
                                  EVP_PKEY *signer)
{
    struct bawn_bytes message = { (const uint8_t *)body->data, body->len };
    struct bawn_bytes sig = pki_sign_raw(pki, signer, PKI_ECDSA_SHA256, message);
    struct text t = { .len = 0 };

    say(&t, "{\"%s\":%.*s,\"signature\":\"", key, (int)body->len, body->data);
    for (size_t i = 0; i < sig.len; i++)
        say(&t, "%02x", sig.data[i]);
    say(&t, "\"}");
    return pki_bytes(pki, t.data, t.len);
}

/* ---- The quote ---- */

static struct bawn_bytes le(struct pki *pki, uint64_t value, size_t n)
{
    uint8_t b[8];

    put(b, sizeof(b), value);
    return pki_bytes(pki, b, n);
}

static struct bawn_bytes body_of(struct pki *pki, const struct made_spec *s)
{
    if (!is_tdx(s->kind))
        return pki_bytes(pki, &s->enclave, sizeof(s->enclave));
    return pki_bytes(pki, &s->td,
                     s->kind == MADE_TDX5_15 ? sizeof(s->td) : sizeof(struct bawn_td_report10));
}

static struct bawn_bytes signed_part(struct pki *pki, const struct made_spec *s)
{
    struct bawn_bytes header = pki_bytes(pki, &s->header, sizeof(s->header)),
                      body = body_of(pki, s);
    unsigned type = !is_tdx(s->kind)          ? BAWN_QUOTE_BODY_SGX
                    : s->kind == MADE_TDX5_15 ? BAWN_QUOTE_BODY_TD15
                                              : BAWN_QUOTE_BODY_TD10;

    if (version_of(s->kind) != BAWN_QUOTE_V5)
        return PKI_CAT(pki, header, body);
    return PKI_CAT(pki, header, le(pki, type, 2), le(pki, body.len, 4), body);
}

static struct bawn_bytes qe_part(struct pki *pki, const struct made_spec *s, const struct made *m,
                                 struct bawn_bytes key)
{
    static const uint8_t auth_bytes[32] = { 0xaa, 0xbb };
    struct bawn_bytes auth = { auth_bytes, sizeof(auth_bytes) };
    struct bawn_bytes bound = PKI_CAT(pki, key, auth), report, sig, certs;
    struct bawn_enclave_report qe = s->qe;
    unsigned type = s->cert_type ? s->cert_type : BAWN_QUOTE_CERT_PCK_CHAIN;

    if (!s->qe_data_given)
        SHA256(bound.data, bound.len, qe.report_data);
    report = pki_bytes(pki, &qe, sizeof(qe));
    /* A PCK on another curve cannot sign it. */
    sig =
        pki_sign_raw(pki, s->pck.kind ? pki_key(pki, NULL) : m->pck->key, PKI_ECDSA_SHA256, report);
    if (type == BAWN_QUOTE_CERT_PCK_CHAIN)
        certs =
            PKI_CAT(pki, pki_pem(pki, "CERTIFICATE", m->pck->der),
                    pki_pem(pki, "CERTIFICATE", m->ca->der), pki_pem(pki, "CERTIFICATE", m->root));
    else if (type == BAWN_QUOTE_CERT_PCK)
        certs = pki_pem(pki, "CERTIFICATE", m->pck->der);
    else
        certs = pki_bytes(pki, s->sgx.ppid, sizeof(s->sgx.ppid));
    return PKI_CAT(pki, report, sig, le(pki, auth.len, 2), auth, le(pki, type, 2),
                   le(pki, certs.len, 4), certs);
}

static struct bawn_bytes quote_of(struct pki *pki, const struct made_spec *s, const struct made *m)
{
    EVP_PKEY *key = pki_key(pki, NULL);
    struct bawn_bytes point = s->key.len ? s->key : pki_point(pki, key);
    struct bawn_bytes head = signed_part(pki, s), qe = qe_part(pki, s, m, point), sig, data;

    sig = pki_sign_raw(pki, key, PKI_ECDSA_SHA256, head);
    if (version_of(s->kind) == BAWN_QUOTE_V3)
        data = PKI_CAT(pki, sig, point, qe);
    else
        data =
            PKI_CAT(pki, sig, point, le(pki, BAWN_QUOTE_CERT_QE_REPORT, 2), le(pki, qe.len, 4), qe);
    return PKI_CAT(pki, head, le(pki, data.len, 4), data);
}

/* ---- All of it ---- */

static void issue(struct pki *pki, const struct made_spec *s, struct made *m)
{
    struct pki_spec ca = s->ca, pck = s->pck, signer = s->signer;

    m->root_cert = pki_issue(pki, &(struct pki_spec){ .cn = "Intel SGX Root CA", .ca = true });
    m->root = m->root_cert->der;
    ca.ca = true;
    ca.cn = ca.cn ? ca.cn : "Intel SGX PCK Platform CA";
    ca.by = ca.by ? ca.by : m->root_cert;
    m->ca = pki_issue(pki, &ca);
    pck.cn = pck.cn ? pck.cn : "Intel SGX PCK Certificate";
    pck.by = s->pck_by_root ? m->root_cert : m->ca;
    if (!s->bare_pck)
        pck.exts[0] = pki_sgx_ext(pki, &s->sgx);
    m->pck = pki_issue(pki, &pck);
    signer.cn = signer.cn ? signer.cn : "Intel SGX TCB Signing";
    signer.by = s->signer_by_ca ? m->ca : m->root_cert;
    m->signer = pki_issue(pki, &signer);
}

static void add(struct made *m, struct bawn_bytes endorsement)
{
    assert_true(m->nr_endorsements < 8);
    m->endorsements[m->nr_endorsements++] = endorsement;
}

static void add_crls(struct pki *pki, const struct made_spec *s, struct made *m)
{
    struct pki_crl_spec root = { .by = m->root_cert }, ca = { .by = m->ca };

    root.revoked[0] = s->revoke & MADE_CA ? m->ca : s->revoke & MADE_SIGNER ? m->signer : NULL;
    ca.revoked[0] = s->revoke & MADE_PCK ? m->pck : NULL;
    if (!(s->omit & MADE_ROOT_CRL))
        add(m, pki_crl(pki, &root));
    if (!(s->omit & MADE_PCK_CRL))
        add(m, pki_crl(pki, &ca));
}

void made_build(struct pki *pki, const struct made_spec *s, struct made *m)
{
    struct text tcb_info = { .len = 0 }, qe_identity = { .len = 0 };
    EVP_PKEY *key;

    *m = (struct made){ .nr_endorsements = 0 };
    issue(pki, s, m);
    m->quote = quote_of(pki, s, m);
    key = s->json_key ? s->json_key : m->signer->key;
    say_tcb_info(&tcb_info, s);
    say_qe_identity(&qe_identity, s);
    edit(&tcb_info, s);
    edit(&qe_identity, s);
    m->tcb_info = response(pki, "tcbInfo", &tcb_info, key);
    m->qe_identity = response(pki, "enclaveIdentity", &qe_identity, key);
    add_crls(pki, s, m);
    if (!(s->omit & MADE_SIGNER))
        add(m, m->signer->der);
    if (!(s->omit & MADE_TCB_INFO))
        add(m, m->tcb_info);
    if (!(s->omit & MADE_QE_IDENTITY))
        add(m, m->qe_identity);
}

struct bawn_attest_result *made_judge(const struct made *m)
{
    struct bawn_attest_input input = {
        .evidence = m->quote,
        .kind = BAWN_EVIDENCE_QUOTE,
        .endorsements = m->endorsements,
        .nr_endorsements = m->nr_endorsements,
        .at = PKI_NOW,
    };
    struct bawn_attest_result *r = bawn_attest_result_create();
    struct bawn_trust *trust;
    struct bawn_error err;

    assert_non_null(r);
    assert_int_equal(bawn_trust_create(&trust, &m->root, 1, &err), BAWN_OK);
    bawn_attest_verify(trust, NULL, &input, r);
    assert_string_equal(bawn_attest_result_foreign_root(r) ? bawn_attest_result_foreign_root(r)
                                                           : "Intel SGX Root CA",
                        "Intel SGX Root CA");
    bawn_trust_destroy(trust);
    return r;
}

struct bawn_attest_result *made_expect(struct pki *pki, const struct made_spec *s,
                                       enum bawn_verdict want)
{
    struct bawn_attest_result *r;
    struct made m;

    made_build(pki, s, &m);
    r = made_judge(&m);
    if (bawn_attest_result_verdict(r) != want) {
        show_findings(r);
        fail_msg("verdict %d, not %d", bawn_attest_result_verdict(r), want);
    }
    return r;
}
