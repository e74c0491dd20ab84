// SPDX-License-Identifier: Apache-2.0
/*
 * The claims of a quote, and what its attributes forbid. The bytes are those of a quote that
 * was taken apart, not yet of one whose signature holds.
 */
#include "attest/lib/quote.h"

#include <stddef.h>

enum field_kind { FIELD_BYTES, FIELD_UINT, FIELD_RESERVED };

/* A field of a body or header. */
struct field {
    const char *claim;
    uint16_t offset, size;
    enum field_kind kind;
};

#define FIELD(type, member, name, how)                                                   \
    {                                                                                    \
        (name), offsetof(struct type, member), sizeof(((struct type *)0)->member), (how) \
    }

static const struct field header_fields[] = {
    FIELD(bawn_quote_header, version, "quote.version", FIELD_UINT),
    FIELD(bawn_quote_header, key_type, "quote.attestation_key_type", FIELD_UINT),
    FIELD(bawn_quote_header, tee_type, "quote.tee_type", FIELD_UINT),
    FIELD(bawn_quote_header, qe_svn, "quote.qe_svn", FIELD_UINT),
    FIELD(bawn_quote_header, pce_svn, "quote.pce_svn", FIELD_UINT),
    FIELD(bawn_quote_header, qe_vendor_id, "quote.qe_vendor_id", FIELD_BYTES),
    FIELD(bawn_quote_header, user_data, "quote.user_data", FIELD_BYTES),
};

#define SGX(member, name, how) FIELD(bawn_enclave_report, member, "sgx." name, how)

static const struct field sgx_fields[] = {
    SGX(cpu_svn, "cpu_svn", FIELD_BYTES),
    SGX(misc_select, "misc_select", FIELD_UINT),
    SGX(reserved1, "reserved", FIELD_RESERVED),
    SGX(isv_ext_prod_id, "isvextprodid", FIELD_BYTES),
    SGX(attributes, "attributes", FIELD_BYTES),
    SGX(mr_enclave, "mrenclave", FIELD_BYTES),
    SGX(reserved2, "reserved", FIELD_RESERVED),
    SGX(mr_signer, "mrsigner", FIELD_BYTES),
    SGX(reserved3, "reserved", FIELD_RESERVED),
    SGX(config_id, "config_id", FIELD_BYTES),
    SGX(isv_prod_id, "isvprodid", FIELD_UINT),
    SGX(isv_svn, "isvsvn", FIELD_UINT),
    SGX(config_svn, "config_svn", FIELD_UINT),
    SGX(reserved4, "reserved", FIELD_RESERVED),
    SGX(isv_family_id, "isvfamilyid", FIELD_BYTES),
    SGX(report_data, "report_data", FIELD_BYTES),
};

/* The quoting enclave's own report. */
#define QE(member, name, how) FIELD(bawn_enclave_report, member, "qe." name, how)

static const struct field qe_fields[] = {
    QE(cpu_svn, "cpu_svn", FIELD_BYTES),       QE(misc_select, "misc_select", FIELD_UINT),
    QE(reserved1, "reserved", FIELD_RESERVED), QE(attributes, "attributes", FIELD_BYTES),
    QE(mr_enclave, "mrenclave", FIELD_BYTES),  QE(reserved2, "reserved", FIELD_RESERVED),
    QE(mr_signer, "mrsigner", FIELD_BYTES),    QE(reserved3, "reserved", FIELD_RESERVED),
    QE(isv_prod_id, "isvprodid", FIELD_UINT),  QE(isv_svn, "isvsvn", FIELD_UINT),
    QE(reserved4, "reserved", FIELD_RESERVED),
};

#define TD(member, name, how) FIELD(bawn_td_report10, member, "tdx." name, how)

static const struct field td_fields[] = {
    TD(tee_tcb_svn, "tee_tcb_svn", FIELD_BYTES),
    TD(mr_seam, "mr_seam", FIELD_BYTES),
    TD(mrsigner_seam, "mrsigner_seam", FIELD_BYTES),
    TD(seam_attributes, "seam_attributes", FIELD_BYTES),
    TD(td_attributes, "td_attributes", FIELD_BYTES),
    TD(xfam, "xfam", FIELD_BYTES),
    TD(mr_td, "mrtd", FIELD_BYTES),
    TD(mr_config_id, "mr_config_id", FIELD_BYTES),
    TD(mr_owner, "mr_owner", FIELD_BYTES),
    TD(mr_owner_config, "mr_owner_config", FIELD_BYTES),
    TD(report_data, "report_data", FIELD_BYTES),
};

static const struct field td15_fields[] = {
    FIELD(bawn_td_report15, tee_tcb_svn_2, "tdx.tee_tcb_svn_2", FIELD_BYTES),
    FIELD(bawn_td_report15, mr_service_td, "tdx.mr_service_td", FIELD_BYTES),
};

/* A named bit, or set of bits that only mean something together. */
struct bit {
    const char *claim;
    uint64_t mask;
};

static const struct bit td_attribute_bits[] = {
    { "tdx.td_attributes.debug", BAWN_TDX_ATTR_DEBUG },
    { "tdx.td_attributes.hgs_plus_prof", BAWN_TDX_ATTR_HGS_PLUS_PROF },
    { "tdx.td_attributes.perf_prof", BAWN_TDX_ATTR_PERF_PROF },
    { "tdx.td_attributes.pmt_prof", BAWN_TDX_ATTR_PMT_PROF },
    { "tdx.td_attributes.icssd", BAWN_TDX_ATTR_ICSSD },
    { "tdx.td_attributes.lass", BAWN_TDX_ATTR_LASS },
    { "tdx.td_attributes.sept_ve_disable", BAWN_TDX_ATTR_SEPT_VE_DISABLE },
    { "tdx.td_attributes.migratable", BAWN_TDX_ATTR_MIGRATABLE },
    { "tdx.td_attributes.pks", BAWN_TDX_ATTR_PKS },
    { "tdx.td_attributes.kl", BAWN_TDX_ATTR_KL },
    { "tdx.td_attributes.tpa", BAWN_TDX_ATTR_TPA },
    { "tdx.td_attributes.perfmon", BAWN_TDX_ATTR_PERFMON },
};

static const struct bit xfam_bits[] = {
    { "tdx.xfam.x87", BAWN_TDX_XFAM_X87 },     { "tdx.xfam.sse", BAWN_TDX_XFAM_SSE },
    { "tdx.xfam.avx", BAWN_TDX_XFAM_AVX },     { "tdx.xfam.avx512", BAWN_TDX_XFAM_AVX512 },
    { "tdx.xfam.pt", BAWN_TDX_XFAM_PT },       { "tdx.xfam.pku", BAWN_TDX_XFAM_PKU },
    { "tdx.xfam.pasid", BAWN_TDX_XFAM_PASID }, { "tdx.xfam.cet", BAWN_TDX_XFAM_CET },
    { "tdx.xfam.uintr", BAWN_TDX_XFAM_UINTR }, { "tdx.xfam.lbr", BAWN_TDX_XFAM_LBR },
    { "tdx.xfam.hwp", BAWN_TDX_XFAM_HWP },     { "tdx.xfam.amx", BAWN_TDX_XFAM_AMX },
    { "tdx.xfam.apx", BAWN_TDX_XFAM_APX },
};

static const struct bit sgx_attribute_bits[] = {
    { "sgx.attributes.init", BAWN_SGX_ATTR_INIT },
    { "sgx.attributes.debug", BAWN_SGX_ATTR_DEBUG },
    { "sgx.attributes.mode64bit", BAWN_SGX_ATTR_MODE64BIT },
    { "sgx.attributes.provision_key", BAWN_SGX_ATTR_PROVISIONKEY },
    { "sgx.attributes.einittoken_key", BAWN_SGX_ATTR_EINITTOKENKEY },
    { "sgx.attributes.cet", BAWN_SGX_ATTR_CET },
    { "sgx.attributes.kss", BAWN_SGX_ATTR_KSS },
    { "sgx.attributes.aex_notify", BAWN_SGX_ATTR_AEXNOTIFY },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- Claims ---- */

static void claim_fields(struct bawn_attest_result *r, const void *base, const struct field *f,
                         size_t n)
{
    for (; n; n--, f++) {
        const uint8_t *p = (const uint8_t *)base + f->offset;

        if (f->kind == FIELD_BYTES)
            claim_bytes(r, f->claim, p, f->size);
        else if (f->kind == FIELD_UINT)
            claim_uint(r, f->claim, le_uint(p, f->size));
    }
}

static void claim_bits(struct bawn_attest_result *r, uint64_t value, const struct bit *b, size_t n)
{
    for (; n; n--, b++)
        claim_bool(r, b->claim, (value & b->mask) == b->mask);
}

static uint64_t sgx_flags(const struct bawn_enclave_report *e)
{
    return le_uint(e->attributes, 8);
}

static const char *subject(const struct quote *q)
{
    if (q->td15)
        return "Intel TDX quote, version 5, TDX 1.5";
    if (q->tdx)
        return q->version == BAWN_QUOTE_V4 ? "Intel TDX quote, version 4, TDX 1.0"
                                           : "Intel TDX quote, version 5, TDX 1.0";
    switch (q->version) {
    case BAWN_QUOTE_V3:
        return "Intel SGX quote, version 3";
    case BAWN_QUOTE_V4:
        return "Intel SGX quote, version 4";
    default:
        return "Intel SGX quote, version 5";
    }
}

void quote_claims(struct bawn_attest_result *r, const struct quote *q)
{
    r->subject = subject(q);
    claim_text(r, "quote.tee", q->tdx ? "TDX" : "SGX");
    claim_fields(r, q->header, header_fields, COUNT(header_fields));
    if (q->enclave) {
        claim_fields(r, q->enclave, sgx_fields, COUNT(sgx_fields));
        claim_bits(r, sgx_flags(q->enclave), sgx_attribute_bits, COUNT(sgx_attribute_bits));
    }
    if (q->td) {
        claim_fields(r, q->td, td_fields, COUNT(td_fields));
        for (int i = 0; i < BAWN_TDX_RTMRS; i++)
            claim_bytes_at(r, "tdx.rtmr", i, q->td->rtmr[i], sizeof(q->td->rtmr[i]));
        claim_bits(r, LE_FIELD(q->td->td_attributes), td_attribute_bits, COUNT(td_attribute_bits));
        claim_bits(r, LE_FIELD(q->td->xfam), xfam_bits, COUNT(xfam_bits));
    }
    if (q->td15)
        claim_fields(r, q->td15, td15_fields, COUNT(td15_fields));
    claim_fields(r, q->qe, qe_fields, COUNT(qe_fields));
}

/* ---- What the attributes forbid ---- */

static const struct check vendor = {
    .name = "quote.qe-vendor",
    .claim = "quote.qe_vendor_id",
    .source = "DCAP Quoting Library API, A.3.1",
    .how = "the quoting enclave's vendor must be Intel",
    .advice = "quotes of other vendors' enclaves cannot be judged by Intel's collateral",
};

static const struct check reserved = {
    .name = "quote.reserved",
    .source = "SDM vol. 3D, table 39-21",
    .how = "reserved bytes of the SGX reports must be zero",
    .advice = "ask for a newer bawn-verify if this processor is newer than it",
};

static const struct check sgx_debug = {
    .name = "sgx.debug",
    .claim = "sgx.attributes.debug",
    .source = "SDM vol. 3D, table 36-3",
    .how = "the enclave must not be a debug enclave",
    .advice = "the host can read a debug enclave: build and start it for production",
};

static const struct check td_debug = {
    .name = "tdx.debug",
    .claim = "tdx.td_attributes.debug",
    .source = "TDX Module ABI, 3.4.1",
    .how = "no bit of the TD-under-debug group (0 to 7) may be set",
    .advice = "the host can read a TD under debug: launch it without debug and profiling",
};

static const struct check td_reserved = {
    .name = "tdx.td-attributes",
    .claim = "tdx.td_attributes",
    .source = "TDX Module ABI, 3.4.1",
    .how = "reserved bits of the TD's attributes must be zero",
    .advice = "ask for a newer bawn-verify if the TDX module is newer than it",
};

static const struct check td_sept_ve = {
    .name = "tdx.sept-ve-disable",
    .claim = "tdx.td_attributes.sept_ve_disable",
    .source = "TDX Module ABI, 3.4.1; Linux Documentation/arch/x86/tdx.rst",
    .how = "the host must not be able to inject #VE by taking pages away",
    .advice = "launch the TD with SEPT_VE_DISABLE, unless its kernel turns such #VE off itself",
};

static const struct check td_migratable = {
    .name = "tdx.migratable",
    .claim = "tdx.td_attributes.migratable",
    .source = "TDX Module ABI, 3.4.1",
    .how = "the TD must stay on the platform that was judged",
    .advice = "launch the TD without MIGRATABLE, or judge its migration TD (tdx.mr_service_td) too",
};

static bool fields_zero(const void *base, const struct field *f, size_t n)
{
    bool zero = true;

    for (; n; n--, f++)
        if (f->kind == FIELD_RESERVED)
            zero &= bytes_zero((const uint8_t *)base + f->offset, f->size);
    return zero;
}

static void judge_td(struct bawn_attest_result *r, const struct bawn_td_report10 *td)
{
    uint64_t attributes = LE_FIELD(td->td_attributes);
    struct bawn_bytes raw = { td->td_attributes, sizeof(td->td_attributes) };

    if (attributes & BAWN_TDX_ATTR_TUD)
        check_refused(r, &td_debug, "false", attributes & BAWN_TDX_ATTR_DEBUG ? "true" : NULL,
                      "the TD is under debug: attributes %s", arena_hex(&r->arena, raw));
    else
        check_passed(r, &td_debug);
    if (attributes & ~(BAWN_TDX_ATTR_KNOWN | BAWN_TDX_ATTR_TUD))
        check_refused(r, &td_reserved, "reserved bits zero", arena_hex(&r->arena, raw),
                      "the TD's attributes have reserved bits set");
    else
        check_passed(r, &td_reserved);
    if (!(attributes & BAWN_TDX_ATTR_SEPT_VE_DISABLE))
        check_warned(r, &td_sept_ve, "true", "false",
                     "the host can inject #VE into the TD by taking pages away");
    else
        check_passed(r, &td_sept_ve);
    if (attributes & BAWN_TDX_ATTR_MIGRATABLE)
        check_warned(r, &td_migratable, "false", "true",
                     "the TD may be migrated to a platform that was not judged");
    else
        check_passed(r, &td_migratable);
}

void quote_attributes_judge(struct bawn_attest_result *r, const struct quote *q)
{
    static const uint8_t intel[16] = BAWN_QUOTE_VENDOR_INTEL;
    struct bawn_bytes want = { intel, sizeof(intel) };
    struct bawn_bytes have = { q->header->qe_vendor_id, sizeof(q->header->qe_vendor_id) };

    if (!bytes_equal(have, want))
        check_refused(r, &vendor, arena_hex(&r->arena, want), arena_hex(&r->arena, have),
                      "the quoting enclave's vendor is not Intel");
    else
        check_passed(r, &vendor);
    if (!fields_zero(q->qe, qe_fields, COUNT(qe_fields)) ||
        (q->enclave && !fields_zero(q->enclave, sgx_fields, COUNT(sgx_fields))))
        check_refused(r, &reserved, "zero", NULL, "reserved bytes of an SGX report are not zero");
    else
        check_passed(r, &reserved);
    if (q->td)
        judge_td(r, q->td);
    else if (sgx_flags(q->enclave) & BAWN_SGX_ATTR_DEBUG)
        check_refused(r, &sgx_debug, "false", "true", "the enclave is a debug enclave");
    else
        check_passed(r, &sgx_debug);
}
