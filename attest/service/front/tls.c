// SPDX-License-Identifier: Apache-2.0
/* TLS 1.3 and nothing older; administrators must show a certificate of their CA. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "attest/service/front/front.h"

static enum bawn_status tls_fail(struct bawn_error *err, const char *path, const char *what)
{
    unsigned long e = ERR_peek_last_error();

    bawn_fail(err, BAWN_E_CONFIG, "%s: %s%s%s", path, what, e ? ": " : "",
              e ? ERR_reason_error_string(e) : "");
    ERR_clear_error();
    return BAWN_E_CONFIG;
}

/* No pass phrases: a service that starts by itself has nobody to ask. */
static int no_pass_phrase(char *buf, int size, int rwflag, void *u)
{
    (void)buf, (void)size, (void)rwflag, (void)u;
    return -1;
}

/* The leaf first, the rest of its chain after it. */
static enum bawn_status use_chain(SSL_CTX *ctx, const struct config_file *file,
                                  struct bawn_error *err)
{
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
    enum bawn_status st = BAWN_OK;
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL) : NULL;

    if (!cert || SSL_CTX_use_certificate(ctx, cert) != 1)
        st = tls_fail(err, file->path, "no certificate in PEM");
    X509_free(cert);
    while (st == BAWN_OK && (cert = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL))) {
        if (SSL_CTX_add0_chain_cert(ctx, cert) == 1)
            continue;
        X509_free(cert);
        st = tls_fail(err, file->path, "a certificate of the chain cannot be used");
    }
    ERR_clear_error(); /* the end of the file is an error to PEM_read_bio_X509() */
    BIO_free(bio);
    return st;
}

static enum bawn_status use_key(SSL_CTX *ctx, const struct config_file *file,
                                struct bawn_error *err)
{
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;
    enum bawn_status st = BAWN_OK;

    if (!key)
        st = tls_fail(err, file->path, "no private key in PEM without a pass phrase");
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        st = tls_fail(err, file->path, "not the key of the certificate");
    EVP_PKEY_free(key);
    BIO_free(bio);
    return st;
}

static enum bawn_status use_client_ca(SSL_CTX *ctx, const struct config_file *file,
                                      struct bawn_error *err)
{
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    enum bawn_status st = BAWN_OK;
    unsigned n = 0;
    X509 *cert;

    while (st == BAWN_OK && bio && (cert = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL))) {
        if (X509_STORE_add_cert(store, cert) != 1 || SSL_CTX_add_client_CA(ctx, cert) != 1)
            st = tls_fail(err, file->path, "a CA certificate cannot be used");
        X509_free(cert);
        n++;
    }
    if (st == BAWN_OK && !n)
        st = tls_fail(err, file->path, "no certificate in PEM");
    ERR_clear_error();
    BIO_free(bio);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(ctx, 4);
    return st;
}

/* Clients that offer protocols must offer HTTP/1.1 (RFC 7301, 3.2). */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char http_1_1[] = "\x08http/1.1";

    (void)ssl, (void)arg;
    /* The selected name points into one of the two lists, which is why out loses its const. */
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, http_1_1,
                              sizeof(http_1_1) - 1, in, in_len) == OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* So that a reload does not end what clients can resume. */
static void keep_ticket_keys(SSL_CTX *ctx, SSL_CTX *old)
{
    unsigned char keys[80]; /* name, HMAC key, AES key: what OpenSSL 3.0 has */

    if (SSL_CTX_get_tlsext_ticket_keys(old, NULL, 0) != (long)sizeof(keys))
        return;
    if (SSL_CTX_get_tlsext_ticket_keys(old, keys, sizeof(keys)) == 1)
        SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof(keys));
    OPENSSL_cleanse(keys, sizeof(keys));
}

enum bawn_status tls_context(SSL_CTX **out, const struct service_config *config,
                             enum service_role role, SSL_CTX *old, struct bawn_error *err)
{
    bool own = role == ROLE_ADMIN && config->admin.tls.certificate.path;
    const struct config_tls *tls = own ? &config->admin.tls : &config->tls;
    bool tickets = role == ROLE_FRONT && config->limits.session_tickets;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    enum bawn_status st;

    *out = NULL;
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return bawn_fail(err, BAWN_E_INTERNAL, "cannot start TLS 1.3");
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* idle connections keep no buffers */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"bawn", 4);
    SSL_CTX_set_num_tickets(ctx, tickets ? 1 : 0);
    if (!tickets)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    if (old && tickets)
        keep_ticket_keys(ctx, old);
    st = use_chain(ctx, &tls->certificate, err);
    if (st == BAWN_OK)
        st = use_key(ctx, &tls->key, err);
    if (st == BAWN_OK && role == ROLE_ADMIN)
        st = use_client_ca(ctx, &config->admin.client_ca, err);
    if (st == BAWN_OK)
        *out = ctx;
    else
        SSL_CTX_free(ctx);
    return st;
}

bool tls_is_for(const SSL *ssl, const char *host)
{
    X509 *cert = SSL_get_certificate(ssl);

    return cert && (X509_check_host(cert, host, strlen(host), 0, NULL) == 1 ||
                    X509_check_ip_asc(cert, host, 0) == 1);
}

bool tls_identity(const SSL *ssl, char identity[65])
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!cert || X509_digest(cert, EVP_sha256(), hash, &len) != 1 || len != 32)
        return false;
    for (unsigned i = 0; i < len; i++)
        snprintf(identity + 2 * i, 3, "%02x", hash[i]);
    return true;
}
