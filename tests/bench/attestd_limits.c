// SPDX-License-Identifier: Apache-2.0
/*
 * What this machine allows at most, in CPU time of one core, with OpenSSL alone: what a server
 * spends on a TLS 1.3 handshake as bawn-attestd makes it (full, resumed) and on a check of a P-384
 * signature, and, for those who want to know where time goes, on the signature under a token.
 */
#include "tests/bench/attestd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/x509.h>

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median of rounds is what a machine does that is not disturbed. */
#define ROUNDS_MAX 10000
static double samples[ROUNDS_MAX];

static double median(unsigned n)
{
    qsort(samples, n, sizeof(*samples), compare);
    return samples[n / 2];
}

/* ---- Handshakes ---- */

static SSL_SESSION *ticket;

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = session;
    return 1;
}

static SSL_CTX *server_context(const char *certificate, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_file(ctx, certificate, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        die("%s, %s: cannot be used", certificate, key);
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"bawn", 4);
    SSL_CTX_set_num_tickets(ctx, 1);
    return ctx;
}

static SSL_CTX *client_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx)
        die("no TLS");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_ticket);
    return ctx;
}

/* The server's part of one handshake, in ns. */
static double handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, bool resume)
{
    SSL *client = SSL_new(client_ctx);
    BIO *a, *b;
    uint64_t spent = cpu_ns(), from;
    SSL *server = SSL_new(server_ctx);
    char byte = 0;

    if (!client || !server || BIO_new_bio_pair(&a, 1 << 16, &b, 1 << 16) != 1)
        die("no TLS");
    SSL_set_bio(server, a, a);
    SSL_set_bio(client, b, b);
    SSL_set_accept_state(server);
    spent = cpu_ns() - spent;
    SSL_set_connect_state(client);
    if (resume && ticket)
        SSL_set_session(client, ticket);
    while (!SSL_is_init_finished(server) || !SSL_is_init_finished(client)) {
        SSL_do_handshake(client);
        from = cpu_ns();
        SSL_do_handshake(server);
        spent += cpu_ns() - from;
    }
    if (resume && ticket && !SSL_session_reused(server))
        die("a TLS session was not resumed");
    SSL_write(server, "x", 1);
    SSL_read(client, &byte, 1); /* with it the ticket */
    SSL_shutdown(client);
    SSL_free(client);
    from = cpu_ns();
    SSL_free(server);
    return (double)(spent + cpu_ns() - from);
}

static double handshakes(SSL_CTX *server, SSL_CTX *client, bool resume, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        samples[i] = handshake(server, client, resume);
    return median(n);
}

/* ---- Signatures ---- */

static double sign_or_verify(EVP_PKEY *key, bool sign, unsigned n)
{
    EVP_PKEY_CTX *signer = EVP_PKEY_CTX_new(key, NULL), *verifier = EVP_PKEY_CTX_new(key, NULL);
    uint8_t digest[48] = { 1, 2, 3 }, sig[256];
    size_t len = sizeof(sig);

    if (!signer || !verifier || EVP_PKEY_sign_init(signer) != 1 ||
        EVP_PKEY_verify_init(verifier) != 1)
        die("no ECDSA");
    for (unsigned i = 0; i < n; i++) {
        uint64_t from = cpu_ns();

        if (sign || !i) {
            len = sizeof(sig);
            if (EVP_PKEY_sign(signer, sig, &len, digest, sizeof(digest)) != 1)
                die("no signature");
        }
        if (!sign) {
            from = cpu_ns();
            if (EVP_PKEY_verify(verifier, sig, len, digest, sizeof(digest)) != 1)
                die("a signature was not accepted");
        }
        samples[i] = (double)(cpu_ns() - from);
    }
    EVP_PKEY_CTX_free(signer);
    EVP_PKEY_CTX_free(verifier);
    return median(n);
}

int main(int argc, char **argv)
{
    unsigned n = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    SSL_CTX *server, *client;
    double full, resumed;

    if (!n || n > ROUNDS_MAX || !p384) {
        fputs("Usage: attestd-limits CERTIFICATE KEY ROUNDS\n", stderr);
        return 64;
    }
    server = server_context(argv[1], argv[2]);
    client = client_context();
    full = handshakes(server, client, false, n);
    resumed = handshakes(server, client, true, n);
    printf("{\"handshake_us\": %.1f, \"resumed_us\": %.1f, \"p384_verify_us\": %.1f, "
           "\"p384_sign_us\": %.1f}\n",
           full / 1e3, resumed / 1e3, sign_or_verify(p384, false, n) / 1e3,
           sign_or_verify(p384, true, n) / 1e3);
    return 0;
}
