/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A public-key infrastructure made for a test: keys, certificates, CRLs and signatures, right
 * or wrong in any way that a test names. A member of a specification that is left 0 gets a
 * sensible value. Whatever cannot be made aborts the test program. All that is handed out
 * belongs to the struct pki and lives as long as it.
 *
 *     struct pki *pki = pki_create();
 *     const struct pki_cert *root = pki_issue(pki, &(struct pki_spec){ .cn = "Root", .ca = true });
 *     const struct pki_cert *leaf = pki_issue(pki, &(struct pki_spec){ .cn = "Leaf", .by = root });
 *     struct bawn_bytes crl = pki_crl(pki, &(struct pki_crl_spec){ .by = root });
 *     ... leaf->der, leaf->key ...
 *     pki_destroy(pki);
 */
#ifndef TESTS_UNIT_ATTEST_PKI_H
#define TESTS_UNIT_ATTEST_PKI_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <bawn/attest.h>

#define PKI_BEGIN 1577836800 /* 2020-01-01T00:00:00Z: not_before and this_update when 0 */
#define PKI_NOW 1748736000   /* 2025-06-01T00:00:00Z: a time at which all of it is valid */
#define PKI_END 2208988800   /* 2040-01-01T00:00:00Z: not_after and next_update when 0 */

struct pki;
struct pki *pki_create(void);
void pki_destroy(struct pki *pki);

/* ---- Keys: "P-256" (also NULL), "P-384", "P-521", "RSA-2048" or another length ---- */
EVP_PKEY *pki_key(struct pki *pki, const char *kind);
/* SubjectPublicKeyInfo, DER. */
struct bawn_bytes pki_spki(struct pki *pki, EVP_PKEY *key);
/* EC: x || y, big-endian, without the 04 before it. */
struct bawn_bytes pki_point(struct pki *pki, EVP_PKEY *key);

/* ---- Signatures ---- */
enum pki_sig {
    PKI_SIG_DEFAULT, /* EC key: ECDSA with SHA-256; RSA key: PSS with SHA-384, salt 48 (AMD's) */
    PKI_ECDSA_SHA1,
    PKI_ECDSA_SHA256,
    PKI_ECDSA_SHA384,
    PKI_ECDSA_SHA512,
    PKI_PSS_SHA256, /* salt as long as the digest */
    PKI_PSS_SHA384,
    PKI_PSS_SHA384_SALT20, /* the salt length that AMD's profile does not allow */
    PKI_RSA_SHA256,        /* PKCS #1 version 1.5 */
    PKI_RSA_SHA384,
    PKI_RSA_SHA1,
};

/* ECDSA: the DER sequence. */
struct bawn_bytes pki_sign(struct pki *pki, EVP_PKEY *key, enum pki_sig sig,
                           struct bawn_bytes message);
/* ECDSA as r || s, big-endian, each as long as the curve's order. */
struct bawn_bytes pki_sign_raw(struct pki *pki, EVP_PKEY *key, enum pki_sig sig,
                               struct bawn_bytes message);

/* ---- Bytes and DER, for extensions and other structures ---- */
struct bawn_bytes pki_bytes(struct pki *pki, const void *data, size_t len); /* a copy */
struct bawn_bytes pki_cat(struct pki *pki, const struct bawn_bytes *parts, size_t n);
#define PKI_CAT(pki, ...)                              \
    pki_cat(pki, (struct bawn_bytes[]){ __VA_ARGS__ }, \
            sizeof((struct bawn_bytes[]){ __VA_ARGS__ }) / sizeof(struct bawn_bytes))
struct bawn_bytes pki_tlv(struct pki *pki, uint8_t tag, struct bawn_bytes content);
#define PKI_SEQUENCE(pki, ...) pki_tlv(pki, 0x30, PKI_CAT(pki, __VA_ARGS__))
struct bawn_bytes pki_oid(struct pki *pki, const char *dotted); /* with its header */
struct bawn_bytes pki_uint(struct pki *pki, uint64_t value);    /* INTEGER */
struct bawn_bytes pki_octets(struct pki *pki, const void *data, size_t len);
struct bawn_bytes pki_text(struct pki *pki, uint8_t tag, const char *text);
/* "CERTIFICATE", "X509 CRL", "PUBLIC KEY" */
struct bawn_bytes pki_pem(struct pki *pki, const char *label, struct bawn_bytes der);

/* ---- Certificates ---- */

/* An extension; value is what the OCTET STRING holds. */
struct pki_ext {
    const char *oid; /* dotted; NULL ends a list */
    bool critical;
    struct bawn_bytes value;
};

#define PKI_EXTS 16

struct pki_cert {
    struct bawn_bytes der;
    EVP_PKEY *key;
    X509 *x509;
};

enum {                     /* struct pki_spec.key_usage: RFC 5280, 4.2.1.3, bit n as 1 << n */
       PKI_KU_DEFAULT = 0, /* CA: certificates and CRLs; leaf: no such extension */
       PKI_KU_DIGITAL_SIGNATURE = 1 << 0,
       PKI_KU_CERT_SIGN = 1 << 5,
       PKI_KU_CRL_SIGN = 1 << 6,
       PKI_KU_NONE = 1 << 16, /* a CA without the extension */
};

struct pki_spec {
    const char *cn;            /* subject; NULL "Test" */
    EVP_PKEY *key;             /* NULL: a new one, of the kind below */
    const char *kind;          /* as for pki_key */
    const struct pki_cert *by; /* issuer; NULL: self-signed */
    const char *issuer_cn;     /* another issuer name than the issuer's subject */
    EVP_PKEY *sign_with;       /* another key than the issuer's */
    enum pki_sig sig;
    int64_t not_before, not_after;
    uint64_t serial;  /* 0: counted up from 0x1000 */
    bool serial_zero; /* serial 0, as AMD's VCEKs have */
    bool ca;
    bool path_limited;
    unsigned path_len; /* when path_limited */
    unsigned key_usage;
    bool no_key_ids; /* without subject and authority key identifiers */
    struct pki_ext exts[PKI_EXTS];
    /* Changes the structure before it is encoded. */
    void (*change)(X509 *cert, void *arg);
    /* Gives another TBSCertificate to be signed in place of that one: for what OpenSSL would not
     * encode. */
    struct bawn_bytes (*patch)(struct pki *pki, struct bawn_bytes tbs, void *arg);
    void *arg;
};

const struct pki_cert *pki_issue(struct pki *pki, const struct pki_spec *spec);

/* Signs a TBSCertificate or TBSCertList (changed by hand) again: the whole structure. */
struct bawn_bytes pki_seal(struct pki *pki, struct bawn_bytes tbs, EVP_PKEY *key, enum pki_sig sig);

/* ---- CRLs ---- */
#define PKI_REVOKED 8

struct pki_crl_spec {
    const struct pki_cert *by;
    EVP_PKEY *sign_with; /* another key than the issuer's */
    enum pki_sig sig;
    int64_t this_update, next_update;
    const struct pki_cert *revoked[PKI_REVOKED];
    int64_t revoked_at; /* of all; 0: PKI_BEGIN */
    bool no_key_id;
    struct bawn_bytes (*patch)(struct pki *pki, struct bawn_bytes tbs, void *arg);
    void *arg;
};

struct bawn_bytes pki_crl(struct pki *pki, const struct pki_crl_spec *spec);

/* ---- Vendors' extensions, to be put into struct pki_spec.exts ---- */

/* AMD 57230 (VCEK certificate and KDS interface), table 8: a VCEK's with hwid, a VLEK's with
 * csp_id. Fills out[0..], returns how many. */
struct pki_amd {
    const char *product; /* "Milan-B0" */
    uint8_t boot_loader, tee, snp, microcode;
    bool has_fmc; /* Turin */
    uint8_t fmc;
    struct bawn_bytes hwid; /* 64 bytes, Turin 8 */
    const char *csp_id;
};

size_t pki_amd_exts(struct pki *pki, const struct pki_amd *amd, struct pki_ext out[PKI_EXTS]);

/* Intel SGX PCK Certificate and CRL profile, 1.3.5: extension 1.2.840.113741.1.13.1. */
struct pki_sgx {
    uint8_t ppid[16];
    uint8_t tcb[16]; /* SGX TCB Comp01..16 SVN */
    uint16_t pcesvn;
    uint8_t cpusvn[16];
    uint8_t pceid[2];
    uint8_t fmspc[6];
    unsigned sgx_type; /* 0 standard, 1 scalable */
    bool platform;     /* with platform instance and configuration (platform CA) */
    uint8_t platform_instance[16];
    bool dynamic_platform, cached_keys, smt_enabled;
};

struct pki_ext pki_sgx_ext(struct pki *pki, const struct pki_sgx *sgx);

/* One for all tests of a program. */
extern struct pki *pki;
int pki_setup(void **state);
int pki_teardown(void **state);

#endif
