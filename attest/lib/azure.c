// SPDX-License-Identifier: Apache-2.0
/*
 * Azure's report of a confidential VM with a virtual TPM, as its host compatibility layer (HCL,
 * the paravisor) leaves it in NV index 0x01400001: a hardware report, and runtime data whose
 * hash the hardware report carries. The runtime data names the TPM's attestation key. Only the
 * hardware report is signed: everything else is bound through it or checked here.
 */
#include "attest/lib/json.h"
#include "attest/lib/tpm.h"

#include <stddef.h>
#include <string.h>

#include <bawn/tdx.h>

/* Microsoft, "Guest attestation for confidential VMs" (Azure documentation) and OpenHCL's
 * attestation protocol (igvm_attest::get). All little-endian. */
enum {
    HCL_SIGNATURE = 0x414c4348, /* "HCLA" */
    HCL_VERSION_MIN = 1,
    HCL_VERSION_MAX = 2,
    HCL_REQUEST_AK_CERT = 2,
    HCL_RESERVED_SIZE = 12,
    HCL_REPORT_OFFSET = 0x20,
    HCL_REPORT_SIZE = 0x4a0, /* as long as an SNP report */
    HCL_DATA_OFFSET = HCL_REPORT_OFFSET + HCL_REPORT_SIZE,
    HCL_DATA_HEADER = 20,
    HCL_DATA_VERSION = 1,
};

enum hcl_report_type { HCL_VBS = 1, HCL_SNP = 2, HCL_TVM = 3, HCL_TDX = 4 };
enum hcl_hash_type { HCL_SHA256 = 1, HCL_SHA384 = 2, HCL_SHA512 = 3 };

/* SNP report, AMD 56860 rev 1.58, 7.3, ATTESTATION_REPORT. */
enum { SNP_VMPL = 0x30, SNP_REPORT_DATA = 0x50, REPORT_DATA_SIZE = 64 };

static const char source[] = "Microsoft Azure, guest attestation of confidential VMs, HCL report";

static const struct check hcl_form = {
    .name = "hcl.form",
    .claim = "hcl.report",
    .source = source,
    .how = "header, hardware report and runtime data fill the report, and zeros follow",
    .advice = "read NV index 0x01400001 of the virtual TPM again, whole",
};

static const struct check hcl_hardware = {
    .name = "hcl.hardware-report",
    .claim = "hcl.report_type",
    .source = source,
    .how = "the report holds one of SNP or TDX",
    .advice = "without a hardware report nothing vouches for the VM: use a confidential VM",
};

static const struct check hcl_vmpl = {
    .name = "hcl.vmpl",
    .claim = "snp.vmpl",
    .source = "AMD 56860 rev 1.58, 7.3, MSG_REPORT_REQ, VMPL",
    .how = "the SNP report was asked for at VMPL 0, where only the HCL runs",
    .advice = "a report of another VMPL may be made by the guest itself and proves no key of the "
              "virtual TPM: do not trust it",
};

static const struct check hcl_report_data = {
    .name = "hcl.report-data",
    .claim = "hcl.runtime_data",
    .source = source,
    .how = "the hardware report's REPORT_DATA is the hash of the runtime data, then zeros",
    .advice = "the runtime data is not what the HCL had signed: read the report again",
    .proof = PROOF_HCL,
};

static const struct check hcl_td_quote = {
    .name = "hcl.td-quote",
    .claim = "tdx.quote",
    .source = "Intel TDX Module 1.5 ABI, TDREPORT_STRUCT; TDX DCAP Quote Generation, A.3",
    .how = "the quote beside the report has the fields of its TD report",
    .advice = "give the TD quote that Azure's metadata service made of this very report "
              "(/acc/tdquote)",
};

static const struct check hcl_runtime = {
    .name = "hcl.runtime-data",
    .claim = "hcl.runtime_data",
    .source = "RFC 8259; RFC 7517, 5",
    .how = "the runtime data is one JSON object with a set of keys",
    .advice = "read NV index 0x01400001 of the virtual TPM again, whole",
};

static const struct check hcl_ak = {
    .name = "hcl.ak",
    .claim = "tpm.ak",
    .source = "RFC 7518, 6.3.1; Microsoft Azure, HCL report, HCLAkPub",
    .how = "the runtime data names one RSA key HCLAkPub, and no other key is given for the quote",
    .advice = "the quote must be of the virtual TPM's own attestation key (handle 0x81000003)",
};

struct hcl {
    uint32_t version, request_type, status;
    uint32_t report_type, hash_type;
    struct bawn_bytes hardware; /* the area of the hardware report, whole */
    struct bawn_bytes claims;   /* runtime data: JSON */
};

static struct bawn_bytes take(struct bawn_cursor *c, uint64_t n)
{
    const uint8_t *p = bawn_cursor_take(c, n);

    return p ? (struct bawn_bytes){ p, n } : (struct bawn_bytes){ 0 };
}

/* ---- The report taken apart ---- */

bool azure_hcl_recognise(struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);

    return blob.len >= HCL_DATA_OFFSET + HCL_DATA_HEADER && bawn_cursor_u32(&c) == HCL_SIGNATURE;
}

/* NULL, or what is wrong. */
static const char *hcl_parse(struct hcl *h, struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    uint64_t report_size, data_size, version, claims_size;
    bool reserved;

    if (!azure_hcl_recognise(blob))
        return "it is too short, or does not begin with \"HCLA\"";
    bawn_cursor_u32(&c);
    h->version = bawn_cursor_u32(&c);
    report_size = bawn_cursor_u32(&c);
    h->request_type = bawn_cursor_u32(&c);
    h->status = bawn_cursor_u32(&c);
    reserved = bawn_cursor_zeros(&c, HCL_RESERVED_SIZE);
    h->hardware = take(&c, HCL_REPORT_SIZE);
    data_size = bawn_cursor_u32(&c);
    version = bawn_cursor_u32(&c);
    h->report_type = bawn_cursor_u32(&c);
    h->hash_type = bawn_cursor_u32(&c);
    claims_size = bawn_cursor_u32(&c);
    h->claims = take(&c, claims_size);
    if (h->version < HCL_VERSION_MIN || h->version > HCL_VERSION_MAX)
        return "its header's version is neither 1 nor 2";
    if (h->request_type != HCL_REQUEST_AK_CERT || h->status || !reserved)
        return "its header is not that of a guest's report: request type 2, status 0, zeros";
    if (version != HCL_DATA_VERSION)
        return "its runtime data's version is not 1";
    if (c.failed)
        return "its runtime data ends past the report";
    if (data_size != HCL_DATA_HEADER + claims_size || report_size != HCL_DATA_OFFSET + data_size)
        return "its sizes do not agree";
    if (!bawn_cursor_zeros(&c, bawn_cursor_left(&c)))
        return "other bytes than zeros follow its runtime data";
    return NULL;
}

/* ---- Binding by the hardware ---- */

/* REPORT_DATA is the hash of the runtime data, then zeros. */
static bool report_data_verify(struct verification *v, const struct hcl *h,
                               struct bawn_bytes report_data)
{
    static const enum hash_alg hashes[] = {
        [HCL_SHA256] = HASH_SHA256,
        [HCL_SHA384] = HASH_SHA384,
        [HCL_SHA512] = HASH_SHA512,
    };
    _Static_assert(REPORT_DATA_SIZE == HASH_MAX, "SHA-512 fills REPORT_DATA");
    uint8_t want[REPORT_DATA_SIZE] = { 0 };

    if (h->hash_type < HCL_SHA256 || h->hash_type > HCL_SHA512)
        return check_missing(v->r, &hcl_report_data, "1, 2 or 3",
                             arena_text(v->arena, "%u", h->hash_type),
                             "the runtime data's hash is of an unknown kind");
    if (!hash_bytes(hashes[h->hash_type], h->claims.data, h->claims.len, want))
        return check_missing(v->r, &hcl_report_data, NULL, NULL,
                             "the runtime data could not be hashed");
    if (report_data.len != sizeof(want) || memcmp(report_data.data, want, sizeof(want)) != 0)
        return check_refused(v->r, &hcl_report_data,
                             arena_hex(v->arena, (struct bawn_bytes){ want, sizeof(want) }),
                             arena_hex(v->arena, report_data),
                             "the hardware report is not bound to the runtime data");
    return check_passed(v->r, &hcl_report_data);
}

static void snp_bind(struct verification *v, const struct hcl *h)
{
    struct bawn_cursor c = bawn_cursor_over(h->hardware.data, h->hardware.len);
    uint32_t vmpl;

    if (v->ev.snp_report.len && !bytes_equal(v->ev.snp_report, h->hardware))
        check_refused(v->r, &hcl_hardware, NULL, NULL,
                      "the SNP report beside the HCL report is another than the one in it");
    v->ev.snp_report = h->hardware;
    v->ev.snp_in_hcl = true;
    bawn_cursor_seek(&c, SNP_VMPL);
    vmpl = bawn_cursor_u32(&c);
    if (vmpl)
        check_refused(v->r, &hcl_vmpl, "0", arena_text(v->arena, "%u", vmpl),
                      "the SNP report was not asked for by the HCL");
    else
        check_passed(v->r, &hcl_vmpl);
    bawn_cursor_seek(&c, SNP_REPORT_DATA);
    report_data_verify(v, h, take(&c, REPORT_DATA_SIZE));
}

/* What a TD report and the body of a quote made of it have in common. */
#define IN_REPORT(field) \
    offsetof(struct bawn_tdreport, field), sizeof(((struct bawn_tdreport *)0)->field)
#define IN_BODY(field) offsetof(struct bawn_td_report10, field)
static const struct td_field {
    const char *name;
    uint16_t report, len, body; /* offset, size, offset */
} td_fields[] = {
    { "tdx.tee_tcb_svn", IN_REPORT(tcb.tee_tcb_svn), IN_BODY(tee_tcb_svn) },
    { "tdx.mr_seam", IN_REPORT(tcb.mr_seam), IN_BODY(mr_seam) },
    { "tdx.mrsigner_seam", IN_REPORT(tcb.mrsigner_seam), IN_BODY(mrsigner_seam) },
    { "tdx.seam_attributes", IN_REPORT(tcb.attributes), IN_BODY(seam_attributes) },
    { "tdx.td_attributes", IN_REPORT(td.td_attributes), IN_BODY(td_attributes) },
    { "tdx.xfam", IN_REPORT(td.xfam), IN_BODY(xfam) },
    { "tdx.mrtd", IN_REPORT(td.mr_td), IN_BODY(mr_td) },
    { "tdx.mr_config_id", IN_REPORT(td.mr_config_id), IN_BODY(mr_config_id) },
    { "tdx.mr_owner", IN_REPORT(td.mr_owner), IN_BODY(mr_owner) },
    { "tdx.mr_owner_config", IN_REPORT(td.mr_owner_config), IN_BODY(mr_owner_config) },
    { "tdx.rtmr[0]", IN_REPORT(td.rtmr[0]), IN_BODY(rtmr[0]) },
    { "tdx.rtmr[1]", IN_REPORT(td.rtmr[1]), IN_BODY(rtmr[1]) },
    { "tdx.rtmr[2]", IN_REPORT(td.rtmr[2]), IN_BODY(rtmr[2]) },
    { "tdx.rtmr[3]", IN_REPORT(td.rtmr[3]), IN_BODY(rtmr[3]) },
    { "tdx.report_data", IN_REPORT(mac.report_data), IN_BODY(report_data) },
};

/* The body of the TD quote; empty when it is not one. Whether it is genuine is judged in
 * quote_verify.c. */
static struct bawn_bytes quote_body(struct bawn_bytes quote)
{
    struct bawn_cursor c = bawn_cursor_over(quote.data, quote.len);
    unsigned version = bawn_cursor_u16(&c);

    bawn_cursor_seek(&c, offsetof(struct bawn_quote_header, tee_type));
    if (bawn_cursor_u32(&c) != BAWN_QUOTE_TEE_TDX)
        return (struct bawn_bytes){ 0 };
    bawn_cursor_seek(&c, sizeof(struct bawn_quote_header));
    if (version == BAWN_QUOTE_V5)
        bawn_cursor_take(&c, sizeof(struct bawn_quote_body_descriptor));
    return take(&c, sizeof(struct bawn_td_report10));
}

static bool td_report_compare(struct verification *v, struct bawn_bytes report,
                              struct bawn_bytes body)
{
    struct bawn_cursor r = bawn_cursor_over(report.data, report.len);
    struct bawn_cursor b = bawn_cursor_over(body.data, body.len);
    bool ok = true;

    for (size_t i = 0; i < sizeof(td_fields) / sizeof(td_fields[0]); i++) {
        const struct td_field *f = &td_fields[i];
        struct bawn_bytes in_report, in_quote;

        bawn_cursor_seek(&r, f->report);
        bawn_cursor_seek(&b, f->body);
        in_report = take(&r, f->len);
        in_quote = take(&b, f->len);
        if (!in_report.len || !bytes_equal(in_report, in_quote))
            ok = check_refused(v->r, &hcl_td_quote, arena_hex(v->arena, in_report),
                               arena_hex(v->arena, in_quote),
                               "the quote is not of the HCL's TD report: %s differs", f->name);
    }
    return ok && check_passed(v->r, &hcl_td_quote);
}

/* A TD report is authenticated by a MAC that only its own platform can check; the quote made of
 * it says the same under a signature. */
static void td_bind(struct verification *v, const struct hcl *h)
{
    struct bawn_cursor c = bawn_cursor_over(h->hardware.data, h->hardware.len);
    struct bawn_bytes report = take(&c, sizeof(struct bawn_tdreport)),
                      body = quote_body(v->ev.quote);
    bool rest = bawn_cursor_zeros(&c, bawn_cursor_left(&c));

    c = bawn_cursor_over(report.data, report.len);
    if (bawn_cursor_u8(&c) != BAWN_TDREPORT_TYPE_TDX || !rest) {
        check_missing(v->r, &hcl_form, NULL, NULL,
                      "the HCL report holds no TD report of type 81, or more than one");
        return;
    }
    if (!body.len) {
        check_missing(v->r, &hcl_td_quote, NULL, NULL,
                      "the TD report in the HCL report cannot be checked without a TD quote");
        return;
    }
    v->ev.quote_of_hcl = td_report_compare(v, report, body);
    c = bawn_cursor_over(body.data, body.len);
    bawn_cursor_seek(&c, IN_BODY(report_data));
    report_data_verify(v, h, take(&c, REPORT_DATA_SIZE));
}

static void hardware_bind(struct verification *v, const struct hcl *h)
{
    static const char *const names[] = {
        [HCL_VBS] = "VBS", [HCL_SNP] = "SNP", [HCL_TVM] = "TVM", [HCL_TDX] = "TDX"
    };
    const char *name = arena_text(v->arena, "%u", h->report_type);

    if (h->report_type >= HCL_VBS && h->report_type <= HCL_TDX)
        name = names[h->report_type];
    claim_text(v->r, "hcl.report_type", name);
    if (h->report_type == HCL_SNP)
        snp_bind(v, h);
    else if (h->report_type == HCL_TDX)
        td_bind(v, h);
    else
        check_missing(v->r, &hcl_hardware, "SNP or TDX", name,
                      "the HCL report holds no report signed by hardware");
}

/* ---- Runtime data ---- */

/* The attestation key. The quote's key, if given apart, must be this one. */
static void ak_take(struct verification *v, struct bawn_bytes spki)
{
    struct tpm_ak given, named;

    if (v->ev.ak_public.len &&
        (tpm_ak_parse(v, &given, v->ev.ak_public, NULL) != BAWN_OK ||
         tpm_ak_parse(v, &named, spki, NULL) != BAWN_OK || !pubkey_equal(&given.key, &named.key)))
        check_refused(v->r, &hcl_ak, NULL, NULL,
                      "the attestation key given is not the one in the HCL's runtime data");
    else
        check_passed(v->r, &hcl_ak);
    v->ev.ak_public = spki;
    v->ev.ak_from_hcl = true;
}

static void keys_take(struct verification *v, const struct js *j)
{
    uint32_t keys = js_get(j, 0, "keys"), ak = JS_ABSENT;
    struct bawn_bytes n, e, spki = { 0 };

    for (uint32_t k = js_first(j, keys); k != JS_ABSENT; k = js_next(j, keys, k)) {
        if (!js_string_is(j, js_get(j, k, "kid"), "HCLAkPub"))
            continue;
        if (ak != JS_ABSENT) {
            check_refused(v->r, &hcl_ak, "1", "2 or more",
                          "the HCL's runtime data names several attestation keys");
            return;
        }
        ak = k;
    }
    if (js_string_is(j, js_get(j, ak, "kty"), "RSA") && js_string(j, js_get(j, ak, "n"), &n) &&
        js_string(j, js_get(j, ak, "e"), &e) && base64_decode(v->arena, n, &n) &&
        base64_decode(v->arena, e, &e))
        spki = spki_of_rsa(v->arena, n, e);
    if (spki.len)
        ak_take(v, spki);
    else
        check_missing(v->r, &hcl_ak, NULL, NULL,
                      "the HCL's runtime data names no attestation key that can be read");
}

/* "vmUniqueId" and "secure-boot" as parts of a claim's name: "vm_unique_id", "secure_boot".
 * NULL: not such a name. */
static const char *claim_part(struct arena *a, struct bawn_bytes key)
{
    enum { LONGEST = 64 };
    char text[2 * LONGEST + 1], *p = text;

    if (!key.len || key.len > LONGEST)
        return NULL;
    for (size_t i = 0; i < key.len; i++) {
        char c = (char)key.data[i];

        if (c >= 'A' && c <= 'Z') {
            if (i)
                *p++ = '_';
            *p++ = (char)(c - 'A' + 'a');
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_') {
            *p++ = c;
        } else if (c == '-') {
            *p++ = '_';
        } else {
            return NULL;
        }
    }
    *p = 0;
    return arena_text(a, "hcl.vm_configuration.%s", text);
}

static void configuration_claims(struct verification *v, const struct js *j)
{
    uint32_t config = js_get(j, 0, "vm-configuration");

    if (js_type(j, config) != JS_OBJECT)
        return;
    for (uint32_t k = js_first(j, config); k != JS_ABSENT; k = js_next(j, config, k)) {
        uint32_t value = js_value(j, k);
        struct bawn_bytes key, text;
        const char *name;
        uint64_t number;

        name = js_string(j, k, &key) ? claim_part(v->arena, key) : NULL;
        if (!name)
            continue;
        if (js_type(j, value) == JS_TRUE || js_type(j, value) == JS_FALSE)
            claim_bool(v->r, name, js_type(j, value) == JS_TRUE);
        else if (js_uint(j, value, &number))
            claim_uint(v->r, name, number);
        else if (js_string(j, value, &text))
            claim_text(v->r, name, arena_printable(v->arena, text));
    }
}

static void runtime_take(struct verification *v, const struct hcl *h)
{
    struct bawn_bytes user_data;
    struct js j;

    if (!js_parse(&j, v->arena, h->claims) || js_type(&j, 0) != JS_OBJECT) {
        check_missing(v->r, &hcl_runtime, NULL, NULL, "the HCL's runtime data cannot be read: %s",
                      j.error ? j.error : "it is no JSON object");
        return;
    }
    check_passed(v->r, &hcl_runtime);
    configuration_claims(v, &j);
    if (js_hex(&j, js_get(&j, 0, "user-data"), &user_data))
        claim_bytes(v->r, "hcl.user_data", user_data.data, user_data.len);
    keys_take(v, &j);
}

void azure_verify(struct verification *v)
{
    struct hcl h = { 0 };
    const char *error = hcl_parse(&h, v->ev.hcl_report);

    if (error) {
        check_missing(v->r, &hcl_form, NULL, NULL, "the HCL report cannot be read: %s", error);
        return;
    }
    check_passed(v->r, &hcl_form);
    v->r->subject = "Azure report of a confidential VM with a virtual TPM";
    claim_uint(v->r, "hcl.version", h.version);
    hardware_bind(v, &h);
    runtime_take(v, &h);
}
