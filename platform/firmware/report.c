// SPDX-License-Identifier: Apache-2.0
/*
 * The attestation report: what the guest is and what it runs on, signed by the VCEK of the
 * reported TCB. The request is hostile. AMD 56860 rev 1.58, 7.3 and chapter 10.
 */
#include "platform/firmware/parts.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

/* ---- Signing ---- */

bool psp_sign(EVP_PKEY *key, const void *message, size_t len, struct bawn_snp_signature *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[160];
    const uint8_t *pos = der;
    size_t der_len = sizeof(der);
    ECDSA_SIG *sig = NULL;
    bool ok;

    memset(out, 0, sizeof(*out));
    ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL) == 1 &&
         EVP_DigestSign(ctx, der, &der_len, message, len) == 1;
    if (ok)
        sig = d2i_ECDSA_SIG(NULL, &pos, (long)der_len);
    ok = sig && BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), out->r, sizeof(out->r)) > 0 &&
         BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), out->s, sizeof(out->s)) > 0;
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool sign_report(const struct psp *psp, struct bawn_snp_report *report)
{
    EVP_PKEY *vcek = psp_vcek(psp->identity, psp->reported_tcb);
    bool ok = vcek && psp_sign(vcek, report, BAWN_SNP_REPORT_SIGNED, &report->signature);

    EVP_PKEY_free(vcek);
    if (psp->faults & PSP_FAULT_INVALID_SIGNATURE)
        report->signature.s[0] ^= 1;
    return ok;
}

/* ---- What it says ---- */

static void put_guest(const struct guest *guest, struct bawn_snp_report *report)
{
    report->guest_svn = guest->guest_svn;
    report->policy = guest->policy;
    memcpy(report->family_id, guest->family_id, sizeof(report->family_id));
    memcpy(report->image_id, guest->image_id, sizeof(report->image_id));
    memcpy(report->measurement, guest->ld, sizeof(report->measurement));
    memcpy(report->host_data, guest->host_data, sizeof(report->host_data));
    memcpy(report->id_key_digest, guest->id_key_digest, sizeof(report->id_key_digest));
    memcpy(report->author_key_digest, guest->author_key_digest, sizeof(report->author_key_digest));
    memcpy(report->report_id, guest->report_id, sizeof(report->report_id));
    memset(report->report_id_ma, 0xff, sizeof(report->report_id_ma)); /* no migration agent */
    memcpy(report->launch_tcb, guest->launch_tcb, sizeof(report->launch_tcb));
    if (guest->author_key_en)
        report->key_info |= BAWN_SNP_KEY_AUTHOR_KEY_EN;
}

static void put_platform(const struct psp *psp, struct bawn_snp_report *report)
{
    uint8_t version[3];

    psp_api_version(psp, version);
    report->version = psp->report_version;
    report->signature_algo = BAWN_SNP_ALGO_ECDSA_P384_SHA384;
    report->platform_info = psp->smt ? BAWN_SNP_PLATFORM_SMT_EN : 0;
    memcpy(report->current_tcb, psp->current_tcb, sizeof(report->current_tcb));
    memcpy(report->reported_tcb, psp->reported_tcb, sizeof(report->reported_tcb));
    memcpy(report->committed_tcb, psp->committed_tcb, sizeof(report->committed_tcb));
    report->current_build = report->committed_build = version[0];
    report->current_minor = report->committed_minor = version[1];
    report->current_major = report->committed_major = version[2];
    if (!(psp->config & BAWN_PSP_CONFIG_MASK_CHIP_ID))
        memcpy(report->chip_id, psp->identity->chip_id, sizeof(report->chip_id));
    if (psp->report_version >= BAWN_SNP_REPORT_V3) {
        report->platform_info |= BAWN_SNP_PLATFORM_ALIAS_CHECK_COMPLETE;
        report->cpuid_fam_id = psp->model->family;
        report->cpuid_mod_id = psp->model->model;
        report->cpuid_step = psp->model->stepping;
    }
    if (psp->faults & PSP_FAULT_WRONG_TCB)
        report->reported_tcb[BAWN_SNP_TCB_MICROCODE]--; /* at the same place on Turin */
}

static bool make_report(const struct request *r, const struct bawn_psp_report_req *in,
                        struct bawn_snp_report *report)
{
    const struct psp *psp = r->psp;

    memset(report, 0, sizeof(*report));
    put_guest(r->guest, report);
    put_platform(psp, report);
    if (psp->report_version >= BAWN_SNP_REPORT_V5)
        report->launch_mit_vector = r->guest->launch_mit_vector;
    report->vmpl = in->vmpl;
    memcpy(report->report_data, in->report_data, sizeof(report->report_data));
    if (psp->config & BAWN_PSP_CONFIG_MASK_CHIP_KEY) {
        report->key_info |= BAWN_SNP_KEY_MASK_CHIP_KEY | BAWN_SNP_SIGNED_BY_NONE
                                                             << BAWN_SNP_KEY_SIGNING_KEY_SHIFT;
        return true;
    }
    return sign_report(psp, report);
}

/* ---- MSG_REPORT_REQ ---- */

/* A report may be for the VMPL of the key that the request came with, or a less privileged one. */
static uint32_t check_request(const struct request *r, const struct bawn_psp_report_req *in)
{
    if (in->vmpl > BAWN_SNP_VMPL_MAX || in->vmpl < r->vmpl ||
        (in->key_sel & ~BAWN_PSP_KEY_SEL_MASK) || !psp_all_zero(in->reserved, sizeof(in->reserved)))
        return BAWN_PSP_INVALID_PARAM;
    return psp_key_select(r->guest, in->key_sel);
}

uint32_t psp_report_request(struct request *r)
{
    struct bawn_psp_report_rsp out = { 0 };
    struct bawn_psp_report_req in;
    struct bawn_snp_report report;

    memcpy(&in, r->payload, sizeof(in));
    r->response_len = sizeof(out);
    out.status = check_request(r, &in);
    if (out.status == BAWN_PSP_SUCCESS) {
        if (!make_report(r, &in, &report))
            return BAWN_PSP_HWERROR_PLATFORM;
        out.report_size = sizeof(report);
        memcpy(r->response + sizeof(out), &report, sizeof(report));
        r->response_len += sizeof(report);
    }
    memcpy(r->response, &out, sizeof(out));
    return BAWN_PSP_SUCCESS;
}
