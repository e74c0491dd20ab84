// SPDX-License-Identifier: Apache-2.0
/*
 * Takes collateral in: Intel's TCB info and QE identity as the PCS serves them, bundles of
 * everything in one JSON object, as other tools keep them, and AMD's certificates as Azure does.
 * Sorts and decodes; believes nothing. A signed body is kept as the bytes that were signed.
 */
#include "attest/lib/json.h"
#include "attest/lib/verify.h"

#include <string.h>

static const struct check collateral_form = {
    .name = "endorsement.collateral",
    .claim = "collateral",
    .source = "Intel PCS API v4",
    .how = "each part of the collateral can be read",
    .advice = "fetch the collateral anew from Intel's PCS or the platform's PCCS",
};

/* ---- Bundle keys ---- */

enum role {
    ROLE_NONE,
    ROLE_TCB_INFO,
    ROLE_TCB_SIGNATURE,
    ROLE_QE_IDENTITY,
    ROLE_QE_SIGNATURE,
    ROLE_SIGNATURE, /* of the one body beside it */
    ROLE_CRL,
    ROLE_CERTIFICATES,
    ROLE_VCEK,
    ROLES,
};

/* Keys as they are in use, without '_' and '-' and in lower case: tcb_info, tcbInfo, TcbInfo. */
static const struct {
    const char *key;
    enum role role;
} roles[] = {
    { "tcbinfo", ROLE_TCB_INFO },
    { "tcbinfosignature", ROLE_TCB_SIGNATURE },
    { "qeidentity", ROLE_QE_IDENTITY },
    { "enclaveidentity", ROLE_QE_IDENTITY },
    { "qeidentitysignature", ROLE_QE_SIGNATURE },
    { "enclaveidentitysignature", ROLE_QE_SIGNATURE },
    { "signature", ROLE_SIGNATURE },
    { "pckcrl", ROLE_CRL },
    { "rootcacrl", ROLE_CRL },
    { "rootcrl", ROLE_CRL },
    { "pckcrlissuerchain", ROLE_CERTIFICATES },
    { "tcbinfoissuerchain", ROLE_CERTIFICATES },
    { "qeidentityissuerchain", ROLE_CERTIFICATES },
    { "enclaveidentityissuerchain", ROLE_CERTIFICATES },
    { "sgxenclaveidentityissuerchain", ROLE_CERTIFICATES },
    { "sgxtcbinfoissuerchain", ROLE_CERTIFICATES },
    { "tcbsigningchain", ROLE_CERTIFICATES },
    { "tcbsigningca", ROLE_CERTIFICATES },
    { "rootca", ROLE_CERTIFICATES },
    { "pckcertchain", ROLE_CERTIFICATES },
    { "pckcertificatechain", ROLE_CERTIFICATES },
    { "pckcertificate", ROLE_CERTIFICATES },
    { "pckcertificateissuerchain", ROLE_CERTIFICATES },
    /* Azure's THIM, /metadata/THIM/amd/certification */
    { "vcekcert", ROLE_VCEK },
    { "certificatechain", ROLE_CERTIFICATES },
};

static bool key_is(struct bawn_bytes key, const char *want)
{
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.data[i];

        if (c == '_' || c == '-')
            continue;
        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c - 'A' + 'a');
        if (c != (uint8_t)*want++ || !c)
            return false;
    }
    return !*want;
}

static enum role role_of(struct bawn_bytes key)
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (key_is(key, roles[i].key))
            return roles[i].role;
    return ROLE_NONE;
}

/* The values of an object by role: the first of each that may stand only once. */
struct parts {
    uint32_t value[ROLES];
    bool any; /* one that only collateral has */
};

static struct parts find_parts(const struct js *j, uint32_t object)
{
    struct parts p = { .any = false };

    for (int i = 0; i < ROLES; i++)
        p.value[i] = JS_ABSENT;
    if (js_type(j, object) != JS_OBJECT)
        return p;
    for (uint32_t k = js_first(j, object); k != JS_ABSENT; k = js_next(j, object, k)) {
        struct bawn_bytes key;
        enum role role = js_string(j, k, &key) ? role_of(key) : ROLE_NONE;

        if (p.value[role] == JS_ABSENT)
            p.value[role] = js_value(j, k);
        p.any |= role == ROLE_TCB_INFO || role == ROLE_QE_IDENTITY || role == ROLE_CRL ||
                 role == ROLE_VCEK;
    }
    return p;
}

/* ---- Signed bodies ---- */

#define SIGNATURE_SIZE 64 /* r || s of ECDSA P-256 */

static bool signature_decode(struct verification *v, const struct js *j, uint32_t value,
                             struct bawn_bytes *out)
{
    struct bawn_bytes text;

    if (js_hex(j, value, out) && out->len == SIGNATURE_SIZE)
        return true;
    return js_string(j, value, &text) && base64_decode(v->arena, text, out) &&
           out->len == SIGNATURE_SIZE;
}

static void keep(struct verification *v, enum role role, struct bawn_bytes body,
                 struct bawn_bytes signature)
{
    struct list *l = role == ROLE_TCB_INFO ? &v->end.tcb_infos : &v->end.qe_identities;
    struct signed_json *s = list_add(v->arena, l, sizeof(*s));

    if (s)
        *s = (struct signed_json){ .body = body, .signature = signature };
}

/* The body and the signature that is with it. A response of the PCS may stand whole in the
 * body's place: as an object, or as text. */
static bool add_body(struct verification *v, const struct js *j, enum role role, uint32_t body,
                     uint32_t signature)
{
    struct bawn_bytes text, sig;
    struct js inner;
    struct parts p;

    if (js_string(j, body, &text)) {
        if (signature_decode(v, j, signature, &sig)) {
            keep(v, role, text, sig);
            return true;
        }
        if (!js_parse(&inner, v->arena, text))
            return false;
        j = &inner;
        body = 0;
    }
    p = find_parts(j, body);
    if (p.value[role] != JS_ABSENT) {
        body = p.value[role];
        signature = p.value[ROLE_SIGNATURE];
    }
    if (js_type(j, body) != JS_OBJECT || !signature_decode(v, j, signature, &sig))
        return false;
    keep(v, role, js_raw(j, body), sig);
    return true;
}

static void add_signed(struct verification *v, const struct js *j, const struct parts *p,
                       enum role role, enum role signature, const char *what)
{
    uint32_t sig = p->value[signature];

    if (p->value[role] == JS_ABSENT)
        return;
    if (sig == JS_ABSENT)
        sig = p->value[ROLE_SIGNATURE];
    if (!add_body(v, j, role, p->value[role], sig))
        check_warned(v->r, &collateral_form, NULL, NULL,
                     "%s in the collateral has no signature of 64 bytes or is not JSON", what);
}

/* ---- Certificates and CRLs ---- */

static void add_der(struct verification *v, bool crl, struct bawn_bytes der)
{
    if (crl)
        endorsement_add_crl(v, der, "collateral");
    else
        endorsement_add_cert(v, der, "collateral");
}

/* PEM, or DER in hex or base64. */
static bool add_text(struct verification *v, bool crl, struct bawn_bytes text)
{
    static const char begin[] = "-----BEGIN ";
    struct bawn_bytes label, der;
    bool any = false;

    text = percent_decode(v->arena, text);
    if (text.len < sizeof(begin) - 1 || memcmp(text.data, begin, sizeof(begin) - 1) != 0) {
        any = hex_decode(v->arena, text, &der) || base64_decode(v->arena, text, &der);
        if (any)
            add_der(v, crl, der);
        return any;
    }
    while (pem_next(v->arena, &text, &label, &der)) {
        any = true;
        add_der(v, bytes_are(label, "X509 CRL"), der);
    }
    return any;
}

/* A string, or a list of strings. */
static void add_value(struct verification *v, const struct js *j, bool crl, uint32_t value)
{
    struct bawn_bytes text;
    bool list = js_type(j, value) == JS_ARRAY;
    uint32_t e = list ? js_first(j, value) : value;

    for (; e != JS_ABSENT; e = list ? js_next(j, value, e) : JS_ABSENT)
        if (!js_string(j, e, &text) || !add_text(v, crl, text))
            check_warned(v->r, &collateral_form, NULL, NULL,
                         "%s in the collateral is neither PEM nor hex or base64 of DER",
                         crl ? "a CRL" : "a certificate");
}

/* The texts read so far, as many as a bundle has: the issuer chains of TCB info and QE identity
 * mostly are one, and decoding costs more than looking. */
struct texts {
    struct bawn_bytes text[8];
    unsigned n;
};

static bool seen_before(struct texts *seen, struct bawn_bytes text)
{
    for (unsigned i = 0; i < seen->n; i++)
        if (bytes_equal(seen->text[i], text))
            return true;
    if (seen->n < sizeof(seen->text) / sizeof(seen->text[0]))
        seen->text[seen->n++] = text;
    return false;
}

static void add_certificates(struct verification *v, const struct js *j, uint32_t object)
{
    struct texts seen = { .n = 0 };

    for (uint32_t k = js_first(j, object); k != JS_ABSENT; k = js_next(j, object, k)) {
        struct bawn_bytes key;
        enum role role = js_string(j, k, &key) ? role_of(key) : ROLE_NONE;

        if ((role == ROLE_CRL || role == ROLE_CERTIFICATES || role == ROLE_VCEK) &&
            !seen_before(&seen, js_raw(j, js_value(j, k))))
            add_value(v, j, role == ROLE_CRL, js_value(j, k));
    }
}

/* The object that holds the parts: the whole, or its member of that name. */
static struct parts find_bundle(const struct js *j, uint32_t *object)
{
    struct parts p = find_parts(j, *object = 0);

    return p.any ? p : find_parts(j, *object = js_get(j, 0, "collateral"));
}

bool collateral_recognise(const struct js *j)
{
    uint32_t object;

    return find_bundle(j, &object).any;
}

bool collateral_add(struct verification *v, const struct js *j)
{
    uint32_t object;
    struct parts p = find_bundle(j, &object);

    if (!p.any)
        return false;
    add_signed(v, j, &p, ROLE_TCB_INFO, ROLE_TCB_SIGNATURE, "TCB info");
    add_signed(v, j, &p, ROLE_QE_IDENTITY, ROLE_QE_SIGNATURE, "QE identity");
    add_certificates(v, j, object);
    return true;
}
