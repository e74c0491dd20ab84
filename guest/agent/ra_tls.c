// SPDX-License-Identifier: Apache-2.0
/*
 * RA-TLS: a key pair of the guest's, and a self-signed certificate for it which carries the
 * evidence, so that who connects to a service in the guest can judge the guest by the certificate
 * alone.
 *
 * The evidence's report data is the SHA-512 of the certificate's SubjectPublicKeyInfo (DER). The
 * extension is id-pe-cmw (RATS conceptual message wrapper, not critical) in its JSON choice: a
 * UTF8String of the record [media type, value in base64url, 4]; 4 says that it is evidence. The
 * value is {"evidence": <tee-evidence.primary_evidence of the KBS protocol>, "tee": "snp"},
 * canonical.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "attest/jose/jose.h"
#include "guest/agent/agent.h"

#define EVIDENCE_OID "1.3.6.1.5.5.7.1.35" /* id-pe-cmw */
#define EVIDENCE_TYPE "application/vnd.bawn.kbs-evidence+json"

enum { CMW_EVIDENCE = 4 };

static enum bawn_status evidence_text(const struct agent_options *o, EVP_PKEY *key, char **text,
                                      size_t *len, struct bawn_error *err)
{
    uint8_t data[SHA512_DIGEST_LENGTH], *spki = NULL;
    int spki_len = i2d_PUBKEY(key, &spki);
    struct evidence ev;
    enum bawn_status status;
    json_t *all, *record;
    char *value;

    if (spki_len <= 0)
        return bawn_fail(err, BAWN_E_INTERNAL, "cannot encode the key");
    SHA512(spki, (size_t)spki_len, data);
    OPENSSL_free(spki);
    status = evidence_get(o, data, &ev, err);
    if (status != BAWN_OK)
        return status;
    all = json_pack("{s:o,s:s}", "evidence", ev.json, "tee", ev.tee);
    status = json_canonical(all, text, len, err);
    json_decref(all);
    if (status != BAWN_OK)
        return status;
    value = b64url_encode(*text, *len);
    free(*text);
    *text = NULL;
    record = value ? json_pack("[s,s,i]", EVIDENCE_TYPE, value, CMW_EVIDENCE) : NULL;
    free(value);
    if (!record)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    status = json_canonical(record, text, len, err);
    json_decref(record);
    return status;
}

static bool add_evidence(X509 *cert, const char *text, size_t len)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(EVIDENCE_OID, 1);
    ASN1_UTF8STRING *utf8 = ASN1_UTF8STRING_new();
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext = NULL;
    uint8_t *der = NULL;
    int der_len = -1;
    bool good = false;

    if (oid && utf8 && value && ASN1_STRING_set(utf8, text, (int)len))
        der_len = i2d_ASN1_UTF8STRING(utf8, &der);
    if (der_len > 0 && ASN1_OCTET_STRING_set(value, der, der_len) &&
        (ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value)))
        good = X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    OPENSSL_free(der);
    ASN1_OCTET_STRING_free(value);
    ASN1_UTF8STRING_free(utf8);
    ASN1_OBJECT_free(oid);
    return good;
}

static bool add_standard(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool good = ext && X509_add_ext(cert, ext, -1) == 1;

    X509_EXTENSION_free(ext);
    return good;
}

static bool set_serial(X509 *cert)
{
    uint8_t octets[16];
    BIGNUM *bn;
    bool good;

    if (RAND_bytes(octets, sizeof(octets)) != 1)
        return false;
    octets[0] &= 0x7f; /* RFC 5280, 4.1.2.2: positive */
    octets[0] |= 0x40;
    bn = BN_bin2bn(octets, sizeof(octets), NULL);
    good = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
    BN_free(bn);
    return good;
}

static X509 *make_cert(const struct agent_options *o, EVP_PKEY *key, const char *text, size_t len)
{
    X509 *cert = X509_new();
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
    char san[300];

    snprintf(san, sizeof(san), "DNS:%s", o->cn);
    if (name && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
        X509_time_adj_ex(X509_getm_notAfter(cert), (int)o->days, 0, NULL) &&
        X509_set_pubkey(cert, key) &&
        X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const uint8_t *)o->cn, -1,
                                   -1, 0) &&
        X509_set_issuer_name(cert, name) &&
        add_standard(cert, NID_basic_constraints, "critical,CA:FALSE") &&
        add_standard(cert, NID_key_usage, "critical,digitalSignature") &&
        add_standard(cert, NID_subject_alt_name, san) && add_evidence(cert, text, len) &&
        X509_sign(cert, key, EVP_sha256()))
        return cert;
    X509_free(cert);
    return NULL;
}

static enum bawn_status write_pem(const struct agent_options *o, const char *path, BIO *pem,
                                  struct bawn_error *err)
{
    struct agent_options to = *o;
    char *data;
    long len = BIO_get_mem_data(pem, &data);

    to.output = path;
    return deliver_output(&to, data, (size_t)len, err);
}

enum bawn_status ra_tls_make(const struct agent_options *o, struct bawn_error *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *key_pem = BIO_new(BIO_s_secmem()), *cert_pem = BIO_new(BIO_s_mem());
    X509 *cert = NULL;
    char *text = NULL;
    size_t len = 0;
    enum bawn_status status = BAWN_OK;

    if (!key || !key_pem || !cert_pem)
        status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (status == BAWN_OK)
        status = evidence_text(o, key, &text, &len, err);
    if (status == BAWN_OK &&
        (!(cert = make_cert(o, key, text, len)) || !PEM_write_bio_X509(cert_pem, cert) ||
         !PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL)))
        status = bawn_fail(err, BAWN_E_INTERNAL, "cannot make the certificate");
    if (status == BAWN_OK)
        status = write_pem(o, o->key, key_pem, err);
    if (status == BAWN_OK)
        status = write_pem(o, o->cert, cert_pem, err);
    X509_free(cert);
    free(text);
    BIO_free(key_pem);
    BIO_free(cert_pem);
    EVP_PKEY_free(key);
    return status;
}
