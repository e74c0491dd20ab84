// SPDX-License-Identifier: Apache-2.0
/*
 * --dev: makes what a configuration needs, each file once, for a machine where somebody tries
 * things out. The CA is this directory's own and trusted by nobody else; the policy takes evidence
 * of test platforms too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "attest/service/supervisor.h"

#define DAYS 825

/* The shipped policy, as it is. */
extern const char dev_policy[], dev_policy_end[];
__asm__(".section .rodata\n"
        ".global dev_policy, dev_policy_end\n"
        "dev_policy:\n"
        ".incbin \"policy/shipped/development.json\"\n"
        "dev_policy_end:\n"
        ".byte 0\n"
        ".previous\n");

struct dev {
    const char *dir;
    struct bawn_error *err;
};

static void path_of(const struct dev *d, const char *name, char path[4096])
{
    snprintf(path, 4096, "%s/%s", d->dir, name);
}

static bool exists(const struct dev *d, const char *name)
{
    char path[4096];

    path_of(d, name, path);
    return !access(path, F_OK);
}

static enum bawn_status write_file(const struct dev *d, const char *name, const void *data,
                                   size_t len)
{
    char path[4096];
    const char *p = data;
    int fd;

    path_of(d, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return bawn_fail(d->err, BAWN_E_IO, "cannot make %s: %m", path);
    while (len) {
        ssize_t n = write(fd, p, len);

        if (n < 0) {
            bawn_fail(d->err, BAWN_E_IO, "cannot write %s: %m", path);
            close(fd);
            return BAWN_E_IO;
        }
        p += n;
        len -= (size_t)n;
    }
    close(fd);
    return BAWN_OK;
}

/* ---- Keys and certificates ---- */

static enum bawn_status save_pem(const struct dev *d, const char *name, X509 *cert, EVP_PKEY *key)
{
    char file[64];
    enum bawn_status st = BAWN_E_NOMEM;

    for (int i = 0; i < 2; i++) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL;
        int ok = bio && (i ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                           : PEM_write_bio_X509(bio, cert));
        long len = ok ? BIO_get_mem_data(bio, &text) : 0;

        snprintf(file, sizeof(file), "%s.%s", name, i ? "key" : "pem");
        st = ok ? write_file(d, file, text, (size_t)len)
                : bawn_fail(d->err, BAWN_E_NOMEM, "no memory");
        if (text)
            OPENSSL_cleanse(text, (size_t)len);
        BIO_free(bio);
        if (st != BAWN_OK)
            break;
    }
    return st;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

struct profile {
    const char *name, *common_name, *basic, *usage, *extended, *alt;
};
static const struct profile profiles[] = {
    { "ca", "bawn-attestd development CA", "critical,CA:TRUE,pathlen:0", "critical,keyCertSign",
      NULL, NULL },
    { "server", "localhost", "critical,CA:FALSE", "critical,digitalSignature", "serverAuth",
      "DNS:localhost,IP:127.0.0.1,IP:::1" },
    { "admin", "development administrator", "critical,CA:FALSE", "critical,digitalSignature",
      "clientAuth", NULL },
};

/* issuer NULL: signed by itself. */
static X509 *make_certificate(const struct profile *p, EVP_PKEY *key, X509 *issuer,
                              EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    unsigned char serial[16] = { 0 };
    BIGNUM *number = NULL;
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
    bool ok = name && RAND_bytes(serial, sizeof(serial)) == 1;

    serial[0] &= 0x7f;
    ok = ok && (number = BN_bin2bn(serial, sizeof(serial), NULL)) &&
         BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) && X509_set_version(cert, 2) &&
         X509_gmtime_adj(X509_getm_notBefore(cert), -300) &&
         X509_time_adj_ex(X509_getm_notAfter(cert), DAYS, 0, NULL) && X509_set_pubkey(cert, key) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    (const unsigned char *)p->common_name, -1, -1, 0) &&
         X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name) &&
         add_extension(cert, issuer ? issuer : cert, NID_basic_constraints, p->basic) &&
         add_extension(cert, issuer ? issuer : cert, NID_key_usage, p->usage) &&
         add_extension(cert, issuer ? issuer : cert, NID_subject_key_identifier, "hash") &&
         (!p->extended || add_extension(cert, issuer, NID_ext_key_usage, p->extended)) &&
         (!p->alt || add_extension(cert, issuer, NID_subject_alt_name, p->alt)) &&
         (!issuer || add_extension(cert, issuer, NID_authority_key_identifier, "keyid")) &&
         X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256());
    BN_free(number);
    if (!ok) {
        X509_free(cert);
        cert = NULL;
    }
    return cert;
}

/* All three at once: the CA's key is needed for the others and not kept afterwards. */
static enum bawn_status make_pki(const struct dev *d)
{
    enum { N = sizeof(profiles) / sizeof(profiles[0]) };
    EVP_PKEY *key[N] = { NULL };
    X509 *cert[N] = { NULL };
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < N; i++) {
        key[i] = EVP_EC_gen("P-256");
        if (key[i])
            cert[i] = make_certificate(&profiles[i], key[i], i ? cert[0] : NULL, i ? key[0] : NULL);
        st = cert[i] ? save_pem(d, profiles[i].name, cert[i], key[i])
                     : bawn_fail(d->err, BAWN_E_INTERNAL, "cannot make a certificate for %s",
                                 profiles[i].name);
    }
    for (size_t i = 0; i < N; i++) {
        X509_free(cert[i]);
        EVP_PKEY_free(key[i]);
    }
    return st;
}

static bool fingerprint(const struct dev *d, const char *name, char hex[65])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char path[4096];
    X509 *cert = NULL;
    BIO *bio;

    path_of(d, name, path);
    bio = BIO_new_file(path, "r");
    if (bio)
        cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (cert && X509_digest(cert, EVP_sha256(), hash, &len) == 1)
        for (unsigned i = 0; i < len && i < 32; i++)
            snprintf(hex + 2 * (size_t)i, 3, "%02x", hash[i]);
    X509_free(cert);
    BIO_free(bio);
    return len == 32;
}

/* ---- The rest ---- */

static enum bawn_status make_storage_key(const struct dev *d)
{
    unsigned char key[32];
    enum bawn_status st;

    if (RAND_bytes(key, sizeof(key)) != 1)
        return bawn_fail(d->err, BAWN_E_INTERNAL, "no random numbers");
    st = write_file(d, "storage.key", key, sizeof(key));
    OPENSSL_cleanse(key, sizeof(key));
    return st;
}

static enum bawn_status make_config(const struct dev *d, unsigned port)
{
    char admin[65] = "", text[2048];
    int n;

    if (!fingerprint(d, "admin.pem", admin))
        return bawn_fail(d->err, BAWN_E_CONFIG, "%s/admin.pem: no certificate", d->dir);
    n = snprintf(text, sizeof(text),
                 "{\n"
                 "  \"listen\": [\"tcp:127.0.0.1:%u\"],\n"
                 "  \"tls\": {\"certificate\": \"server.pem\", \"key\": \"server.key\"},\n"
                 "  \"admin\": {\"listen\": [\"tcp:127.0.0.1:%u\"], \"client_ca\": \"ca.pem\"},\n"
                 "  \"status\": {\"listen\": [\"tcp:127.0.0.1:%u\"]},\n"
                 "  \"database\": \"sqlite:attestd.db\",\n"
                 "  \"keys\": {\"storage\": {\"file\": \"storage.key\"}},\n"
                 "  \"tenants\": {\n"
                 "    \"default\": {\n"
                 "      \"policy\": \"policy.json\",\n"
                 "      \"test_roots\": true,\n"
                 "      \"admins\": [{\n"
                 "        \"name\": \"developer\",\n"
                 "        \"certificate\": \"%s\",\n"
                 "        \"roles\": [\"policy\", \"secrets\", \"auditor\"]\n"
                 "      }]\n"
                 "    }\n"
                 "  }\n"
                 "}\n",
                 port, port + 1, port + 2, admin);
    return write_file(d, "attestd.json", text, (size_t)n);
}

static void say(const char *dir, unsigned port)
{
    printf("Set up in %s; SIGINT (Ctrl-C) ends the service.\n\n"
           "  for guests          https://127.0.0.1:%u, trust %s/ca.pem\n"
           "  for administrators  https://127.0.0.1:%u, certificate %s/admin.pem and .key\n"
           "  status page         http://127.0.0.1:%u/\n"
           "  configuration       %s/attestd.json\n\n"
           "Store a secret, as administrator:\n"
           "  curl --cacert %s/ca.pem --cert %s/admin.pem --key %s/admin.key \\\n"
           "    --data-binary @FILE https://127.0.0.1:%u/kbs/v0/resource/default/key/disk\n"
           "A guest of a test platform needs that platform's root: name it in "
           "tenants.default.roots.\n\n",
           dir, port, dir, port + 1, dir, port + 2, dir, dir, dir, dir, port + 1);
    fflush(stdout);
}

enum bawn_status dev_set_up(const struct options *o, char **config, struct bawn_error *err)
{
    struct dev d = { o->dir, err };
    enum bawn_status st = BAWN_OK;
    bool made;

    if (mkdir(o->dir, 0700) && errno != EEXIST)
        return bawn_fail(err, BAWN_E_IO, "cannot make %s: %m", o->dir);
    made = !exists(&d, "attestd.json");
    if (!exists(&d, "server.pem"))
        st = make_pki(&d);
    if (st == BAWN_OK && !exists(&d, "storage.key"))
        st = make_storage_key(&d);
    if (st == BAWN_OK && !exists(&d, "policy.json"))
        /* cppcheck-suppress comparePointers ; two ends of one file that the assembler took in */
        st = write_file(&d, "policy.json", dev_policy, (size_t)(dev_policy_end - dev_policy));
    if (st == BAWN_OK && made)
        st = make_config(&d, o->port);
    if (st == BAWN_OK && asprintf(config, "%s/attestd.json", o->dir) < 0)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (st == BAWN_OK && made)
        say(o->dir, o->port);
    else if (st == BAWN_OK)
        printf("Runs with %s, which was there.\n", *config);
    fflush(stdout);
    return st;
}
