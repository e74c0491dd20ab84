// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates and CRLs against OpenSSL: every one in tests/vectors, wherever it is hidden, and
 * what single changed bytes make of them. What is accepted here OpenSSL parses too, and reads
 * the same in it. Hostile ones made up on purpose are in x509_hostile_test.c.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "attest/lib/codec.h"
#include "attest/lib/x509.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
/* OpenSSL has macros of these names, with the bits in another order. */
#undef KU_KEY_CERT_SIGN
#undef KU_CRL_SIGN

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define VECTORS "tests/vectors"

/* ---- What there is to parse ---- */

enum item_kind { CERT, CRL, KEY };

struct item {
    enum item_kind kind;
    bool profile; /* of AMD, Intel or a TPM's vendor: must be accepted */
    char name[96];
    struct bawn_bytes der; /* an exact heap block, so that reading past it shows */
};

static struct item items[512];
static size_t nr_items;

/* One that is met again keeps the first name, in the order of the alphabet. */
static void add_item(enum item_kind kind, bool profile, const char *path, struct bawn_bytes der)
{
    struct item *it = NULL;
    uint8_t *exact;

    path += strlen(VECTORS) + 1;
    for (size_t i = 0; i < nr_items && !it; i++) {
        if (bytes_equal(items[i].der, der))
            it = &items[i];
    }
    if (!it) {
        assert_true(nr_items < ARRAY_SIZE(items));
        it = &items[nr_items++];
        exact = malloc(der.len);
        assert_non_null(exact);
        memcpy(exact, der.data, der.len);
        *it = (struct item){ .kind = kind, .der = { exact, der.len } };
    }
    it->profile = it->profile || profile;
    if (!it->name[0] || strcmp(path, it->name) < 0)
        snprintf(it->name, sizeof(it->name), "%s", path);
}

/* PEM blocks; in JSON their line ends are written \n. */
static void find_pem(const char *path, const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    struct bawn_bytes rest, label, der;
    struct arena a = { 0 };
    size_t n = 0;

    assert_non_null(text);
    for (size_t i = 0; i < len; i++) {
        bool escaped = i + 1 < len && data[i] == '\\' && data[i + 1] == 'n';

        text[n++] = escaped ? '\n' : (char)data[i];
        i += escaped;
    }
    rest = (struct bawn_bytes){ (uint8_t *)text, n };
    while (pem_next(&a, &rest, &label, &der)) {
        if (!der.len)
            continue;
        add_item(bytes_are(label, "CERTIFICATE") ? CERT
                 : bytes_are(label, "X509 CRL")  ? CRL
                                                 : KEY,
                 true, path, der);
    }
    arena_free(&a);
    free(text);
}

/* CRLs in collateral: strings of hex digits that begin a long SEQUENCE. */
static void find_hex(const char *path, const uint8_t *data, size_t len)
{
    struct arena a = { 0 };
    const uint8_t *end = data + len, *at = data;
    static const char mark[] = "crl\": \"30";

    while ((at = memmem(at, (size_t)(end - at), mark, strlen(mark)))) {
        const uint8_t *hex = at + strlen(mark) - 2, *quote = memchr(hex, '"', (size_t)(end - hex));
        struct bawn_bytes der;

        assert_non_null(quote);
        assert_true(hex_decode(&a, (struct bawn_bytes){ hex, (size_t)(quote - hex) }, &der));
        add_item(CRL, true, path, der);
        at = quote;
    }
    arena_free(&a);
}

/* Certificates in event logs and other binaries: of any profile. */
static void find_raw(const char *path, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i + 8 < len; i++) {
        size_t n = 4u + data[i + 2] * 256u + data[i + 3];
        const unsigned char *p = data + i;
        X509 *x;

        if (data[i] != 0x30 || data[i + 1] != 0x82 || data[i + 4] != 0x30 || i + n > len)
            continue;
        x = d2i_X509(NULL, &p, (long)n);
        if (x && p == data + i + n)
            add_item(CERT, i == 0 && n == len, path, (struct bawn_bytes){ data + i, n });
        X509_free(x);
    }
    ERR_clear_error();
}

static int collect(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    uint8_t *data;
    size_t len;
    FILE *f;

    (void)ftw;
    if (type != FTW_F || !st->st_size)
        return 0;
    len = (size_t)st->st_size;
    data = malloc(len);
    f = fopen(path, "rb");
    assert_true(data && f && fread(data, 1, len, f) == len);
    fclose(f);
    find_pem(path, data, len);
    find_hex(path, data, len);
    if (strstr(path, ".crl.der"))
        add_item(CRL, true, path, (struct bawn_bytes){ data, len });
    else
        find_raw(path, data, len);
    free(data);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order)
        return order;
    order = (x->der.len > y->der.len) - (x->der.len < y->der.len);
    return order ? order : memcmp(x->der.data, y->der.data, x->der.len);
}

static int setup(void **state)
{
    (void)state;
    if (nftw(VECTORS, collect, 16, FTW_PHYS) != 0)
        return -1;
    qsort(items, nr_items, sizeof(items[0]), by_name);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < nr_items; i++)
        free((void *)items[i].der.data);
    return 0;
}

/* ---- Comparison with OpenSSL ---- */

/* What is compared now, for messages. */
static const char *what;

#define CHECK(ok)                                                 \
    do {                                                          \
        if (!(ok))                                                \
            fail_msg("%s: line %d: not %s", what, __LINE__, #ok); \
    } while (0)

static bool same(struct bawn_bytes ours, const void *data, size_t len)
{
    return bytes_equal(ours, (struct bawn_bytes){ data, len });
}

/* ours, and what an i2d function made. */
static bool same_der(struct bawn_bytes ours, unsigned char *der, int len)
{
    bool ok = len > 0 && same(ours, der, (size_t)len);

    OPENSSL_free(der);
    return ok;
}

#define SAME_DER(ours, i2d, object)        \
    do {                                   \
        unsigned char *der_ = NULL;        \
        int len_ = i2d(object, &der_);     \
        CHECK(same_der(ours, der_, len_)); \
    } while (0)

static bool same_time(int64_t ours, const ASN1_TIME *theirs)
{
    struct tm tm;

    return ASN1_TIME_to_tm(theirs, &tm) && timegm(&tm) == ours;
}

/* A magnitude, where zero is one byte. */
static bool same_number(struct bawn_bytes ours, const BIGNUM *theirs)
{
    uint8_t b[2048];
    size_t n = (size_t)BN_num_bytes(theirs);

    if (n > sizeof(b) || BN_is_negative(theirs))
        return false;
    BN_bn2bin(theirs, b);
    return n ? same(ours, b, n) : same(ours, "", 1);
}

static bool same_integer(struct bawn_bytes ours, const ASN1_INTEGER *theirs)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(theirs, NULL);
    bool ok = n && same_number(ours, n);

    BN_free(n);
    return ok;
}

static void same_alg(const struct sig_alg *ours, const X509_ALGOR *theirs)
{
    static const struct {
        int nid;
        enum sig_scheme scheme;
        enum hash_alg hash;
    } algs[] = {
        { NID_ecdsa_with_SHA256, SIG_ECDSA, HASH_SHA256 },
        { NID_ecdsa_with_SHA384, SIG_ECDSA, HASH_SHA384 },
        { NID_ecdsa_with_SHA512, SIG_ECDSA, HASH_SHA512 },
        { NID_sha256WithRSAEncryption, SIG_RSA_PKCS1, HASH_SHA256 },
        { NID_sha384WithRSAEncryption, SIG_RSA_PKCS1, HASH_SHA384 },
        { NID_sha512WithRSAEncryption, SIG_RSA_PKCS1, HASH_SHA512 },
        { NID_rsassaPss, SIG_RSA_PSS, HASH_SHA384 },
    };
    const ASN1_OBJECT *oid;
    const void *params;
    int type, nid;

    X509_ALGOR_get0(&oid, &type, &params, theirs);
    nid = OBJ_obj2nid(oid);
    for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
        if (algs[i].nid == nid) {
            CHECK(ours->scheme == algs[i].scheme && ours->hash == algs[i].hash);
            if (nid == NID_rsassaPss) {
                RSA_PSS_PARAMS *pss =
                    ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), theirs->parameter);

                CHECK(pss && OBJ_obj2nid(pss->hashAlgorithm->algorithm) == NID_sha384);
                CHECK(ASN1_INTEGER_get(pss->saltLength) == ours->salt);
                RSA_PSS_PARAMS_free(pss);
            }
            return;
        }
    }
    fail_msg("%s: signature algorithm %s accepted", what, OBJ_nid2sn(nid));
}

static void same_key(const struct pubkey *ours, X509_PUBKEY *theirs)
{
    EVP_PKEY *key = X509_PUBKEY_get0(theirs);
    const unsigned char *point;
    char group[32] = "";
    BIGNUM *n = NULL, *e = NULL;
    int len;

    if (ours->type != KEY_RSA) {
        CHECK(X509_PUBKEY_get0_param(NULL, &point, &len, NULL, theirs));
        CHECK(same(ours->point, point, (size_t)len));
        if (!key)
            return; /* a changed point is not on the curve, which is not judged here */
        CHECK(EVP_PKEY_get_group_name(key, group, sizeof(group), NULL));
        CHECK(!strcmp(group, ours->type == KEY_P256   ? SN_X9_62_prime256v1
                             : ours->type == KEY_P384 ? SN_secp384r1
                                                      : SN_secp521r1));
    } else {
        CHECK(key && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e));
        CHECK(same_number(ours->n, n) && same_number(ours->e, e));
        BN_free(n);
        BN_free(e);
    }
    CHECK(ours->bits == (unsigned)EVP_PKEY_get_bits(key));
}

static void same_common_name(struct bawn_bytes ours, X509_NAME *name)
{
    const ASN1_STRING *text;
    int at, last = -1;

    for (at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;)
        last = at;
    CHECK(last >= 0 || !ours.len);
    if (last < 0)
        return;
    text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
    CHECK(same(ours, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)));
}

static bool same_string(struct bawn_bytes ours, const ASN1_STRING *theirs)
{
    return theirs ? same(ours, ASN1_STRING_get0_data(theirs), (size_t)ASN1_STRING_length(theirs))
                  : !ours.len;
}

static void same_extensions(const struct x509 *ours, const X509 *x)
{
    BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(x, NID_basic_constraints, NULL, NULL);
    ASN1_BIT_STRING *ku = X509_get_ext_d2i(x, NID_key_usage, NULL, NULL);
    ASN1_OCTET_STRING *skid = X509_get_ext_d2i(x, NID_subject_key_identifier, NULL, NULL);
    AUTHORITY_KEYID *akid = X509_get_ext_d2i(x, NID_authority_key_identifier, NULL, NULL);
    struct bawn_bytes value;

    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *ext = X509_get_ext(x, i);
        const ASN1_OBJECT *oid = X509_EXTENSION_get_object(ext);

        CHECK(x509_extension(ours, OBJ_get0_data(oid), OBJ_length(oid), &value));
        CHECK(same_string(value, X509_EXTENSION_get_data(ext)) && value.data);
    }
    CHECK(!x509_extension(ours, "\x55\x1d\x63", 3, &value) && !value.data);
    CHECK(ours->is_ca == (bc && bc->ca));
    CHECK(ours->path_len == (bc && bc->pathlen ? ASN1_INTEGER_get(bc->pathlen) : -1));
    CHECK(ours->has_key_usage == !!ku);
    for (int i = 0; ku && i < 16; i++)
        CHECK((ours->key_usage >> i & 1) == (unsigned)ASN1_BIT_STRING_get_bit(ku, i));
    CHECK(same_string(ours->subject_key_id, skid));
    CHECK(same_string(ours->authority_key_id, akid ? akid->keyid : NULL));
    BASIC_CONSTRAINTS_free(bc);
    ASN1_BIT_STRING_free(ku);
    ASN1_OCTET_STRING_free(skid);
    AUTHORITY_KEYID_free(akid);
}

/* deep: also the key, which costs OpenSSL most of the time. */
static void same_cert(const struct x509 *ours, struct bawn_bytes der, bool deep)
{
    const unsigned char *p = der.data;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    const ASN1_BIT_STRING *sig;
    const X509_ALGOR *alg;

    CHECK(x && p == der.data + der.len);
    CHECK(X509_get_version(x) == X509_VERSION_3);
    X509_get0_signature(&sig, &alg, x);
    CHECK(same_string(ours->signature, sig));
    same_alg(&ours->alg, alg);
    CHECK(same(ours->der, der.data, der.len));
    SAME_DER(ours->tbs, i2d_re_X509_tbs, x);
    SAME_DER(ours->issuer, i2d_X509_NAME, X509_get_issuer_name(x));
    SAME_DER(ours->subject, i2d_X509_NAME, X509_get_subject_name(x));
    CHECK(same_integer(ours->serial, X509_get0_serialNumber(x)));
    same_common_name(ours->common_name, X509_get_subject_name(x));
    CHECK(same_time(ours->not_before, X509_get0_notBefore(x)));
    CHECK(same_time(ours->not_after, X509_get0_notAfter(x)));
    if (deep) {
        SAME_DER(ours->spki, i2d_X509_PUBKEY, X509_get_X509_PUBKEY(x));
        same_key(&ours->key, X509_get_X509_PUBKEY(x));
    }
    same_extensions(ours, x);
    X509_free(x);
}

static void same_crl(const struct x509_crl *ours, struct bawn_bytes der)
{
    const unsigned char *p = der.data;
    X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)der.len);
    AUTHORITY_KEYID *akid;
    STACK_OF(X509_REVOKED) * revoked;
    const ASN1_BIT_STRING *sig;
    const X509_ALGOR *alg;
    int64_t since = 0;

    CHECK(x && p == der.data + der.len);
    X509_CRL_get0_signature(x, &sig, &alg);
    CHECK(same_string(ours->signature, sig));
    same_alg(&ours->alg, alg);
    CHECK(same(ours->der, der.data, der.len));
    SAME_DER(ours->tbs, i2d_re_X509_CRL_tbs, x);
    SAME_DER(ours->issuer, i2d_X509_NAME, X509_CRL_get_issuer(x));
    CHECK(same_time(ours->this_update, X509_CRL_get0_lastUpdate(x)));
    CHECK(X509_CRL_get0_nextUpdate(x) ? same_time(ours->next_update, X509_CRL_get0_nextUpdate(x))
                                      : ours->next_update == INT64_MAX);
    akid = X509_CRL_get_ext_d2i(x, NID_authority_key_identifier, NULL, NULL);
    CHECK(same_string(ours->authority_key_id, akid ? akid->keyid : NULL));
    AUTHORITY_KEYID_free(akid);
    revoked = X509_CRL_get_REVOKED(x);
    for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++) {
        const X509_REVOKED *r = sk_X509_REVOKED_value(revoked, i);
        BIGNUM *n = ASN1_INTEGER_to_BN(X509_REVOKED_get0_serialNumber(r), NULL);
        ASN1_INTEGER *other;
        X509_REVOKED *found;
        uint8_t b[64] = { 0 };
        int len = BN_bn2bin(n, b);
        struct bawn_bytes serial = { b, len ? (size_t)len : 1 };

        CHECK(x509_crl_lists(ours, serial, &since));
        CHECK(same_time(since, X509_REVOKED_get0_revocationDate(r)));
        /* A neighbour is listed only if it is. */
        b[serial.len - 1] ^= 1;
        BN_bin2bn(b, (int)serial.len, n);
        other = BN_to_ASN1_INTEGER(n, NULL);
        CHECK(x509_crl_lists(ours, serial, &since) ==
              (X509_CRL_get0_by_serial(x, &found, other) > 0));
        ASN1_INTEGER_free(other);
        BN_free(n);
    }
    X509_CRL_free(x);
}

/* ---- The tests ---- */

/* Each is as OpenSSL says; each that a verifier will meet is accepted. */
static void agree(void **state)
{
    size_t accepted[3] = { 0 }, strangers = 0;

    (void)state;
    for (size_t i = 0; i < nr_items; i++) {
        const struct item *it = &items[i];
        struct bawn_error err = { "" };
        enum bawn_status st;
        struct x509_crl crl;
        struct pubkey key;
        struct x509 cert;

        what = it->name;
        if (it->kind == KEY) {
            const unsigned char *p = it->der.data;
            X509_PUBKEY *theirs = d2i_X509_PUBKEY(NULL, &p, (long)it->der.len);

            st = pubkey_parse(&key, it->der, &err);
            if (st == BAWN_OK)
                same_key(&key, theirs);
            X509_PUBKEY_free(theirs);
        } else if (it->kind == CRL) {
            st = x509_crl_parse(&crl, it->der, &err);
            if (st == BAWN_OK)
                same_crl(&crl, it->der);
        } else {
            st = x509_parse(&cert, it->der, &err);
            if (st == BAWN_OK)
                same_cert(&cert, it->der, true);
        }
        if (st != BAWN_OK && it->profile)
            fail_msg("%s: refused: %s", what, err.msg);
        if (st == BAWN_OK)
            accepted[it->kind]++;
        else
            strangers++;
    }
    /* 16 VCEKs and VLEK, 9 CAs of AMD, 24 certificates of Intel, 1 AK, and those in logs */
    assert_true(accepted[CERT] >= 50);
    assert_true(accepted[CRL] >= 15);
    assert_true(accepted[KEY] >= 1);
    print_message("%zu certificates, %zu CRLs, %zu keys accepted, %zu of other profiles refused\n",
                  accepted[CERT], accepted[CRL], accepted[KEY], strangers);
}

/* Cut short at any length, and with anything behind, it is refused. What is parsed lies at the
 * end of its block, where a read too far shows. */
static void cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < nr_items; i++) {
        const struct item *it = &items[i];
        uint8_t *block = malloc(it->der.len + 1);
        struct x509_crl crl;
        struct pubkey key;
        struct x509 cert;

        assert_non_null(block);
        what = it->name;
        for (size_t n = 0; n <= it->der.len + 1; n++) {
            uint8_t *at = block + it->der.len + 1 - n;
            struct bawn_bytes der = { at, n };

            if (n == it->der.len)
                continue;
            at[n - 1] = 0;
            memcpy(at, it->der.data, n < it->der.len ? n : it->der.len);
            CHECK(x509_parse(&cert, der, NULL) != BAWN_OK);
            CHECK(x509_crl_parse(&crl, der, NULL) != BAWN_OK);
            CHECK(pubkey_parse(&key, der, NULL) != BAWN_OK);
        }
        free(block);
    }
}

/* The first of each kind that matters: certificates by whom they are for (Google's has an empty
 * subject), CRLs by issuer, keys. */
static bool is_typical(const struct item *it)
{
    static const char *const names[] = {
        "SEV-VCEK",
        "SEV-VLEK",
        "SEV-Milan",
        "ARK-Turin",
        "Intel SGX PCK Certificate",
        "Intel SGX PCK Platform CA",
        "Intel SGX Root CA",
        "Intel SGX TCB Signing",
        "",
    };
    static const struct item *first[ARRAY_SIZE(names) + 16];
    struct x509_crl crl, other;
    struct x509 cert;

    if (it->kind == KEY)
        return true;
    if (it->kind == CRL) {
        assert_int_equal(x509_crl_parse(&crl, it->der, NULL), BAWN_OK);
        for (size_t i = ARRAY_SIZE(names); i < ARRAY_SIZE(first); i++) {
            if (!first[i])
                first[i] = it;
            assert_int_equal(x509_crl_parse(&other, first[i]->der, NULL), BAWN_OK);
            if (bytes_equal(crl.issuer, other.issuer))
                return first[i] == it;
        }
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (x509_parse(&cert, it->der, NULL) == BAWN_OK && bytes_are(cert.common_name, names[i]) &&
            (names[i][0] || !strncmp(it->name, "tpm/", 4))) {
            if (!first[i])
                first[i] = it;
            return first[i] == it;
        }
    }
    return false;
}

static size_t change(const struct item *it, size_t at, uint8_t mask)
{
    uint8_t *b = (uint8_t *)it->der.data;
    struct x509_crl crl;
    struct pubkey key;
    struct x509 cert;
    bool ok = false;

    b[at] ^= mask;
    if (it->kind == KEY) {
        ok = pubkey_parse(&key, it->der, NULL) == BAWN_OK;
    } else if (it->kind == CRL) {
        ok = x509_crl_parse(&crl, it->der, NULL) == BAWN_OK;
        if (ok)
            same_crl(&crl, it->der);
    } else {
        ok = x509_parse(&cert, it->der, NULL) == BAWN_OK;
        if (ok) {
            bool in_key = b + at >= cert.spki.data && b + at < cert.spki.data + cert.spki.len;

            same_cert(&cert, it->der, in_key && at % 8 == 0);
        }
    }
    b[at] ^= mask;
    return ok;
}

/* Any byte changed: refused, or read as OpenSSL reads it. */
static void changed(void **state)
{
    static const uint8_t masks[] = { 0x01, 0x80, 0xff, 0x20 };
    size_t accepted = 0, all = 0, typical = 0;

    (void)state;
    for (size_t i = 0; i < nr_items; i++) {
        if (!is_typical(&items[i]))
            continue;
        typical++;
        what = items[i].name;
        for (size_t at = 0; at < items[i].der.len; at++) {
            accepted += change(&items[i], at, masks[(at + i) % ARRAY_SIZE(masks)]);
            all++;
        }
    }
    assert_int_equal(typical, 9 + 6 + 2); /* certificates, lists, keys */
    assert_true(accepted && accepted < all);
    print_message("%zu of %zu changes accepted, all read as by OpenSSL\n", accepted, all);
}

/* The facts that other rooms rely on, written down. */
static void facts(void **state)
{
    static const uint8_t genoa_ask[] = { 0x02, 0x00, 0x01 }, other[] = { 0x02, 0x00, 0x02 };
    static const uint8_t hwid_oid[] = { 0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 4 };
    struct bawn_bytes value;
    size_t seen = 0;
    int64_t since;

    (void)state;
    for (size_t i = 0; i < nr_items; i++) {
        struct x509_crl crl;
        struct x509 cert;

        if (!strcmp(items[i].name, "snp/milan-v2-vcek-120d77b2.vcek.der")) {
            assert_int_equal(x509_parse(&cert, items[i].der, NULL), BAWN_OK);
            assert_true(bytes_are(cert.common_name, "SEV-VCEK"));
            assert_true(cert.serial.len == 1 && cert.serial.data[0] == 0);
            assert_int_equal(cert.alg.scheme, SIG_RSA_PSS);
            assert_int_equal(cert.alg.salt, 48);
            assert_int_equal(cert.key.type, KEY_P384);
            assert_int_equal(cert.not_before, 1680549823);
            assert_int_equal(cert.not_after, 1901474623);
            assert_false(cert.is_ca || cert.has_key_usage);
            assert_true(x509_extension(&cert, hwid_oid, sizeof(hwid_oid), &value));
            assert_int_equal(value.len, 64);
            seen++;
        } else if (!strcmp(items[i].name, "snp/crl/genoa.crl.der")) {
            assert_int_equal(x509_crl_parse(&crl, items[i].der, NULL), BAWN_OK);
            assert_true(x509_crl_lists(&crl, (struct bawn_bytes){ genoa_ask, 3 }, &since));
            assert_int_equal(since, 1667217600);
            assert_false(x509_crl_lists(&crl, (struct bawn_bytes){ other, 3 }, &since));
            assert_false(x509_crl_lists(&crl, (struct bawn_bytes){ genoa_ask, 2 }, &since));
            assert_false(x509_crl_lists(&crl, (struct bawn_bytes){ NULL, 0 }, &since));
            seen++;
        } else if (items[i].kind == CERT && x509_parse(&cert, items[i].der, NULL) == BAWN_OK &&
                   bytes_are(cert.common_name, "Intel SGX Root CA")) {
            assert_true(cert.is_ca && cert.has_key_usage);
            assert_int_equal(cert.path_len, 1);
            assert_int_equal(cert.key_usage, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
            assert_int_equal(cert.serial.len, 20);
            assert_true(bytes_equal(cert.issuer, cert.subject));
            seen++;
        }
    }
    assert_int_equal(seen, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree),
        cmocka_unit_test(cut),
        cmocka_unit_test(changed),
        cmocka_unit_test(facts),
    };

    return cmocka_run_group_tests_name("attest/x509", tests, setup, teardown);
}
