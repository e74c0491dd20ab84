/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the judge of TPM quotes: a PKI with two keys, and quotes made with them.
 */
#ifndef TESTS_ATTEST_TPM_MADE_H
#define TESTS_ATTEST_TPM_MADE_H

#include "tests/unit/attest/tpm_make.h"

static EVP_PKEY *rsa, *p256;

static inline int setup(void **state)
{
    pki_setup(state);
    rsa = pki_key(pki, "RSA-2048");
    p256 = pki_key(pki, "P-256");
    return 0;
}

static inline int teardown(void **state)
{
    return pki_teardown(state);
}

struct made {
    struct out message, signature, public;
    uint8_t values[64 * 8];
};

/* PCR 0, 7 and 23 of the bank, with the digest of them in the hash of the signature. */
static inline void make_quote(struct scene *s, struct made *m, EVP_PKEY *key, uint16_t scheme,
                              enum hash_alg hash, enum hash_alg bank)
{
    static const unsigned pcrs[] = { 0, 7, 23 };
    struct quote_spec q = { .select = { { id_of(bank), bank, 0x800081 } }, .nr_select = 1 };
    size_t size = hash_size(bank);

    scene_again(s);
    for (size_t i = 0; i < sizeof(m->values); i++)
        m->values[i] = (uint8_t)(i * 7 + 1);
    q.digest = digest_of(s->v.arena, hash, m->values, 3 * size);
    quote_write(&m->message, &q);
    signature_write(&m->signature, key, scheme, hash, out_bytes(&m->message));
    public_write(&m->public, key, GOOD_AK);
    s->v.ev.kind = BAWN_EVIDENCE_TPM;
    s->v.ev.tpm_message = out_bytes(&m->message);
    s->v.ev.tpm_signature = out_bytes(&m->signature);
    s->v.ev.ak_public = out_bytes(&m->public);
    s->v.ev.pcrs.alg = bank;
    for (size_t i = 0; i < 3; i++)
        s->v.ev.pcrs.value[pcrs[i]] = (struct bawn_bytes){ m->values + i * size, size };
}

/* A scene that trusts both keys. */
static inline void open_trusting(struct scene *s)
{
    struct bawn_bytes roots[] = { pki_spki(pki, rsa), pki_spki(pki, p256) };

    scene_open(s, roots, 2);
}

#endif
