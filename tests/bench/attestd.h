/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For load and fault tests of bawn-attestd: guests whose secure processor is the model of
 * platform/firmware, and clients that speak KBS over TLS 1.3. One guest and one client belong to
 * one thread. Programs end at what cannot go wrong in a working test.
 */
#ifndef TESTS_BENCH_ATTESTD_H
#define TESTS_BENCH_ATTESTD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *fmt, ...);

/* ---- Guests (attestd_guest.c) ---- */

struct guest;

/* The platform's identity is in dir, made there when it is not; "root.pem" there is its root. Not
 * from several threads at once. */
struct guest *guest_create(const char *dir);
/* The body of POST attest for that nonce (base64), with the key of the guest; a new string. */
char *guest_evidence(struct guest *g, const char *nonce);

/* ---- Clients (attestd_client.c) ---- */

struct client {
    const char *host;
    unsigned port;
    SSL_CTX *tls;
    bool resume;
    SSL_SESSION *ticket; /* the newest */
    SSL *ssl;            /* NULL: not connected */
    uint64_t resumed;    /* handshakes that were */
};

struct answer {
    int status; /* 0: the connection ended before the answer did */
    char cookie[512];
    char *body; /* NULL: none; a new string */
    size_t len;
};

void client_init(struct client *c, const char *host, unsigned port, const char *ca, bool resume);
bool client_connect(struct client *c); /* nothing to do when it is */
void client_close(struct client *c);
/* One request; cookie NULL: none. False: no answer, and the connection is closed. */
bool client_ask(struct client *c, const char *method, const char *path, const char *cookie,
                const char *body, struct answer *a);
void answer_clear(struct answer *a);
/* The value of a text in a flat JSON object that needs no unescaping; false: not there. */
bool answer_text(const struct answer *a, const char *name, char *out, size_t size);

#endif
