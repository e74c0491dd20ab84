// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates as AMD issues them, in form: ARK, ASK, VCEK, the ARK's CRL, and the table of them
 * that an extended guest request returns. Their names say that they are tests. AMD 57230 rev
 * 1.00 (VCEK certificate and KDS interface); AMD 56421 rev 2.03, 4.1.8.1 (table).
 */
#include "platform/firmware/parts.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

const struct psp_file psp_endorsement_files[PSP_ENDORSEMENTS] = {
    [PSP_VCEK] = { "vcek.pem", false },
    [PSP_CERT_CHAIN] = { "cert_chain.pem", false },
    [PSP_CERTS] = { "certs.bin", false },
    [PSP_CRL] = { "crl.der", false },
};

#define DAY ((int64_t)24 * 60 * 60)
#define YEAR (365 * DAY)

/* The CAs' time does not depend on the clock of the machine that made them: laboratories begin
 * their time where they like. 2020-01-01 to 2045-01-01. */
#define CA_BEGIN 1577836800
#define CA_END 2366841600

/* AMD's serial numbers. */
#define SERIAL_ARK 0x10000
#define SERIAL_ASK 0x10001
#define SERIAL_VCEK 0

#define PSS_SALT 48

/* ---- Parts ---- */

static X509_NAME *make_name(const char *cn)
{
    static const struct {
        const char *field, *value;
    } parts[] = {
        { "OU", "Engineering" },
        { "C", "US" },
        { "L", "Nowhere" },
        { "ST", "CA" },
        { "O", "TEST ONLY Bawn software platform" },
    };
    X509_NAME *name = X509_NAME_new();
    bool ok = name;

    for (size_t i = 0; ok && i < PSP_COUNT(parts); i++)
        ok = X509_NAME_add_entry_by_txt(name, parts[i].field, MBSTRING_UTF8,
                                        (const uint8_t *)parts[i].value, -1, -1, 0) == 1;
    if (ok &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0) == 1)
        return name;
    X509_NAME_free(name);
    return NULL;
}

/* RSA-PSS with SHA-384 and a salt of 48 bytes. */
static EVP_MD_CTX *signer(EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey = NULL;

    if (ctx && EVP_DigestSignInit(ctx, &pkey, EVP_sha384(), NULL, key) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) > 0 &&
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, PSS_SALT) > 0 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(pkey, EVP_sha384()) > 0)
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

static bool add_standard(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *ext;
    X509V3_CTX ctx;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

/* An extension below 1.3.6.1.4.1.3704.1, whose OCTET STRING holds these bytes. */
static bool add_amd(X509 *cert, const char *arcs, const uint8_t *data, size_t len)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext = NULL;
    ASN1_OBJECT *oid;
    char dotted[64];
    bool ok;

    snprintf(dotted, sizeof(dotted), "1.3.6.1.4.1.3704.1.%s", arcs);
    oid = OBJ_txt2obj(dotted, 1);
    if (oid && value && ASN1_OCTET_STRING_set(value, data, (int)len) == 1)
        ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
    ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(value);
    return ok;
}

static bool add_amd_level(X509 *cert, const char *arcs, uint8_t level)
{
    const uint8_t small[] = { V_ASN1_INTEGER, 1, level };
    const uint8_t large[] = { V_ASN1_INTEGER, 2, 0, level };

    return level < 0x80 ? add_amd(cert, arcs, small, sizeof(small))
                        : add_amd(cert, arcs, large, sizeof(large));
}

static bool add_amd_text(X509 *cert, const char *arcs, const char *text)
{
    uint8_t der[64] = { V_ASN1_IA5STRING, (uint8_t)strlen(text) };
    const size_t head = 2;

    if (strlen(text) > sizeof(der) - head)
        return false;
    for (size_t i = 0; text[i]; i++)
        der[head + i] = (uint8_t)text[i];
    return add_amd(cert, arcs, der, head + strlen(text));
}

struct particulars {
    const char *cn;
    long serial;
    int64_t begin, end;
    EVP_PKEY *key;
};

/* All but the extensions. issuer NULL: self-signed. */
static X509 *begin_cert(const struct particulars *p, const X509 *issuer)
{
    X509_NAME *name = make_name(p->cn);
    X509 *cert = X509_new();

    if (cert && name && X509_set_version(cert, X509_VERSION_3) == 1 &&
        ASN1_INTEGER_set(X509_get_serialNumber(cert), p->serial) == 1 &&
        X509_set_subject_name(cert, name) == 1 &&
        X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name) == 1 &&
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)p->begin) &&
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)p->end) &&
        X509_set_pubkey(cert, p->key) == 1) {
        X509_NAME_free(name);
        return cert;
    }
    X509_NAME_free(name);
    X509_free(cert);
    return NULL;
}

/* Takes the certificate: signed, or NULL. */
static X509 *end_cert(X509 *cert, bool ok, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = ok ? signer(key) : NULL;

    if (ctx && X509_sign_ctx(cert, ctx) > 0) {
        EVP_MD_CTX_free(ctx);
        return cert;
    }
    EVP_MD_CTX_free(ctx);
    X509_free(cert);
    return NULL;
}

/* ---- ARK and ASK ---- */

static X509 *make_ark(const struct psp_identity *identity)
{
    struct particulars p = { .serial = SERIAL_ARK, .begin = CA_BEGIN, .end = CA_END };
    char cn[64];
    X509 *cert;
    bool ok;

    snprintf(cn, sizeof(cn), "ARK-%s", psp_product_name(identity->product));
    p.cn = cn;
    p.key = identity->ark_key;
    cert = begin_cert(&p, NULL);
    ok = cert && add_standard(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
         add_standard(cert, cert, NID_subject_key_identifier, "hash") &&
         add_standard(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    return end_cert(cert, ok, identity->ark_key);
}

static X509 *make_ask(const struct psp_identity *identity)
{
    struct particulars p = { .serial = SERIAL_ASK, .begin = CA_BEGIN, .end = CA_END };
    char cn[64];
    X509 *cert;
    bool ok;

    snprintf(cn, sizeof(cn), "SEV-%s", psp_product_name(identity->product));
    p.cn = cn;
    p.key = identity->ask_key;
    cert = begin_cert(&p, identity->ark);
    ok = cert && add_standard(cert, identity->ark, NID_subject_key_identifier, "hash") &&
         add_standard(cert, identity->ark, NID_authority_key_identifier, "keyid:always") &&
         add_standard(cert, identity->ark, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add_standard(cert, identity->ark, NID_key_usage, "critical,keyCertSign");
    return end_cert(cert, ok, identity->ark_key);
}

enum bawn_status psp_ca_create(struct psp_identity *identity, int64_t now, struct bawn_error *err)
{
    if (now < CA_BEGIN || now > CA_END - 8 * YEAR)
        return bawn_fail(err, BAWN_E_USAGE,
                         "the clock says %jd seconds since 1970, must be from "
                         "2020 to 2036: set the time",
                         (intmax_t)now);
    identity->ark = make_ark(identity);
    if (identity->ark)
        identity->ask = make_ask(identity);
    if (!identity->ask)
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot make the CA certificates");
    return BAWN_OK;
}

/* ---- VCEK ---- */

/* AMD 57230 rev 1.00, table of extensions; the order is that of AMD's certificates. */
static bool add_levels(X509 *cert, const struct psp_model *model, const uint8_t *tcb)
{
    if (model->turin)
        return add_amd_level(cert, "3.9", tcb[BAWN_SNP_TCB_TURIN_FMC]) &&
               add_amd_level(cert, "3.1", tcb[BAWN_SNP_TCB_TURIN_BOOT_LOADER]) &&
               add_amd_level(cert, "3.2", tcb[BAWN_SNP_TCB_TURIN_TEE]) &&
               add_amd_level(cert, "3.3", tcb[BAWN_SNP_TCB_TURIN_SNP]) &&
               add_amd_level(cert, "3.5", 0) && add_amd_level(cert, "3.6", 0) &&
               add_amd_level(cert, "3.7", 0) &&
               add_amd_level(cert, "3.8", tcb[BAWN_SNP_TCB_TURIN_MICROCODE]);
    return add_amd_level(cert, "3.1", tcb[BAWN_SNP_TCB_BOOT_LOADER]) &&
           add_amd_level(cert, "3.2", tcb[BAWN_SNP_TCB_TEE]) && add_amd_level(cert, "3.4", 0) &&
           add_amd_level(cert, "3.5", 0) && add_amd_level(cert, "3.6", 0) &&
           add_amd_level(cert, "3.7", 0) && add_amd_level(cert, "3.3", tcb[BAWN_SNP_TCB_SNP]) &&
           add_amd_level(cert, "3.8", tcb[BAWN_SNP_TCB_MICROCODE]);
}

static X509 *make_vcek(const struct psp *psp, int64_t now)
{
    const struct psp_identity *identity = psp->identity;
    struct particulars p = {
        .cn = "SEV-VCEK", .serial = SERIAL_VCEK, .begin = now - DAY, .end = now + 7 * YEAR
    };
    X509 *cert;
    bool ok;

    p.key = psp_vcek(identity, psp->reported_tcb);
    cert = p.key ? begin_cert(&p, identity->ask) : NULL;
    EVP_PKEY_free(p.key);
    ok = cert && add_amd_level(cert, "1", psp->model->turin) &&
         add_amd_text(cert, "2", psp->model->cert_name) &&
         add_levels(cert, psp->model, psp->reported_tcb) &&
         add_amd(cert, "4", identity->chip_id,
                 psp->model->turin ? BAWN_SNP_CHIP_ID_TURIN_SIZE : BAWN_SNP_CHIP_ID_SIZE);
    return end_cert(cert, ok, identity->ask_key);
}

/* ---- CRL ---- */

static bool revoke(X509_CRL *crl, const X509 *cert, const ASN1_TIME *since)
{
    X509_REVOKED *entry = X509_REVOKED_new();

    if (entry &&
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber((X509 *)(uintptr_t)cert)) == 1 &&
        X509_REVOKED_set_revocationDate(entry, (ASN1_TIME *)(uintptr_t)since) == 1 &&
        X509_CRL_add0_revoked(crl, entry) == 1)
        return true;
    X509_REVOKED_free(entry);
    return false;
}

static bool add_crl_standard(X509_CRL *crl, X509 *issuer)
{
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    X509_EXTENSION *ext;
    X509V3_CTX ctx;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    ok = ext && X509_CRL_add_ext(crl, ext, -1) == 1 && number && ASN1_INTEGER_set(number, 1) == 1 &&
         X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1;
    X509_EXTENSION_free(ext);
    ASN1_INTEGER_free(number);
    return ok;
}

/* As AMD does it, the ARK's CRL lists an ASK, and with it all that the ASK issued. Nobody
 * renews this CRL, so it lasts as long as the VCEK's certificate. */
static X509_CRL *make_crl(const struct psp *psp, int64_t now)
{
    const struct psp_identity *identity = psp->identity;
    bool stale = psp->faults & PSP_FAULT_STALE_CRL;
    ASN1_TIME *last = ASN1_TIME_set(NULL, (time_t)(now - 2 * DAY));
    ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)(stale ? now - DAY : now + 7 * YEAR));
    X509_CRL *crl = X509_CRL_new();
    EVP_MD_CTX *ctx = NULL;
    bool ok;

    ok = crl && last && next && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
         X509_CRL_set_issuer_name(crl, X509_get_subject_name(identity->ark)) == 1 &&
         X509_CRL_set1_lastUpdate(crl, last) == 1 && X509_CRL_set1_nextUpdate(crl, next) == 1 &&
         add_crl_standard(crl, identity->ark);
    if (ok && (psp->faults & PSP_FAULT_REVOKED_VCEK))
        ok = revoke(crl, identity->ask, last);
    if (ok)
        ctx = signer(identity->ark_key);
    ok = ctx && X509_CRL_sign_ctx(crl, ctx) > 0;
    EVP_MD_CTX_free(ctx);
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    if (ok)
        return crl;
    X509_CRL_free(crl);
    return NULL;
}

/* ---- Files ---- */

static bool take_bytes(const void *bytes, long len, struct psp_blob *out)
{
    if (!bytes || len <= 0)
        return false;
    out->data = malloc((size_t)len);
    if (!out->data)
        return false;
    memcpy(out->data, bytes, (size_t)len);
    out->len = (size_t)len;
    return true;
}

static bool cert_der(const X509 *cert, struct psp_blob *out)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);
    bool ok = take_bytes(der, len, out);

    OPENSSL_free(der);
    return ok;
}

static bool crl_der(const X509_CRL *crl, struct psp_blob *out)
{
    uint8_t *der = NULL;
    int len = i2d_X509_CRL(crl, &der);
    bool ok = take_bytes(der, len, out);

    OPENSSL_free(der);
    return ok;
}

static bool certs_pem(X509 *const *certs, size_t n, struct psp_blob *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    bool ok = bio;

    for (size_t i = 0; ok && i < n; i++)
        ok = PEM_write_bio_X509(bio, certs[i]) == 1;
    if (ok) {
        long len = BIO_get_mem_data(bio, &data);

        ok = take_bytes(data, len, out);
    }
    BIO_free(bio);
    return ok;
}

static const uint8_t table_guids[][BAWN_SNP_GUID_SIZE] = {
    BAWN_SNP_GUID_VCEK,
    BAWN_SNP_GUID_ASK,
    BAWN_SNP_GUID_ARK,
    BAWN_SNP_GUID_CRL,
};

/* The entries, one of zeros, then what they name; whole pages, as the guest's buffer is. */
static bool make_table(const struct psp_blob parts[PSP_COUNT(table_guids)], struct psp_blob *out)
{
    struct bawn_snp_table_entry entry;
    size_t len = (PSP_COUNT(table_guids) + 1) * sizeof(entry), at = len;

    for (size_t i = 0; i < PSP_COUNT(table_guids); i++)
        len += parts[i].len;
    len = (len + PSP_PAGE_MASK) & ~PSP_PAGE_MASK;
    out->data = calloc(1, len);
    if (!out->data)
        return false;
    out->len = len;
    for (size_t i = 0; i < PSP_COUNT(table_guids); i++) {
        memcpy(entry.guid, table_guids[i], sizeof(entry.guid));
        entry.offset = (uint32_t)at;
        entry.length = (uint32_t)parts[i].len;
        memcpy(out->data + i * sizeof(entry), &entry, sizeof(entry));
        memcpy(out->data + at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    return true;
}

static bool encode(const struct psp *psp, X509 *vcek, const X509_CRL *crl,
                   struct psp_blob out[PSP_ENDORSEMENTS])
{
    X509 *const chain[] = { psp->identity->ask, psp->identity->ark };
    struct psp_blob parts[PSP_COUNT(table_guids)] = { { NULL, 0 } };
    bool ok;

    ok = certs_pem(&vcek, 1, &out[PSP_VCEK]) &&
         certs_pem(chain, PSP_COUNT(chain), &out[PSP_CERT_CHAIN]) && crl_der(crl, &out[PSP_CRL]) &&
         cert_der(vcek, &parts[0]) && cert_der(psp->identity->ask, &parts[1]) &&
         cert_der(psp->identity->ark, &parts[2]) && crl_der(crl, &parts[3]) &&
         make_table(parts, &out[PSP_CERTS]);
    for (size_t i = 0; i < PSP_COUNT(parts); i++)
        psp_blob_free(&parts[i]);
    return ok;
}

enum bawn_status psp_endorse(struct psp *psp, int64_t now, struct psp_blob out[PSP_ENDORSEMENTS],
                             struct bawn_error *err)
{
    X509 *vcek = make_vcek(psp, now);
    X509_CRL *crl = vcek ? make_crl(psp, now) : NULL;
    bool ok;

    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++)
        out[i] = (struct psp_blob){ NULL, 0 };
    ok = crl && encode(psp, vcek, crl, out);
    X509_free(vcek);
    X509_CRL_free(crl);
    if (ok) {
        memcpy(psp->endorsed_tcb, psp->reported_tcb, sizeof(psp->endorsed_tcb));
        psp->endorsed = true;
        return BAWN_OK;
    }
    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++)
        psp_blob_free(&out[i]);
    return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot make the VCEK's certificate");
}

bool psp_endorsements_stale(const struct psp *psp)
{
    return !psp->endorsed ||
           memcmp(psp->endorsed_tcb, psp->reported_tcb, sizeof(psp->endorsed_tcb)) != 0;
}
