// SPDX-License-Identifier: Apache-2.0
/*
 * Judges a TPM 2.0 quote: that a TPM made it, that the attestation key signed it, which PCRs it
 * covers and whether the values given are those. Message, signature, key and values are
 * hostile; what they say is claimed, and true only with the verdict.
 */
#include "attest/lib/chain.h"
#include "attest/lib/tpm.h"

#include <string.h>

#define CERTIFICATES_TRIED 64 /* for the key that signed, when none is given by itself */

static const struct check quote_form = {
    .name = "tpm.quote",
    .claim = "tpm.quote",
    .source = "TPM 2.0 Library Part 2, 10.12, TPMS_ATTEST and TPMS_QUOTE_INFO",
    .how = "the message is one whole TPMS_ATTEST of type quote",
    .advice = "give the message as TPM2_Quote returned it",
};

static const struct check quote_magic = {
    .name = "tpm.magic",
    .claim = "tpm.quote",
    .source = "TPM 2.0 Library Part 2, 6.2, TPM_GENERATED",
    .how = "the message begins with TPM_GENERATED_VALUE, which a restricted key signs only when "
           "the TPM wrote it",
    .advice = "data that a TPM did not make proves nothing: give the message as TPM2_Quote "
              "returned it",
};

static const struct check signature_form = {
    .name = "tpm.signature-form",
    .claim = "tpm.signature",
    .source = "TPM 2.0 Library Part 2, 11.3, TPMT_SIGNATURE",
    .how = "the signature is one whole TPMT_SIGNATURE, or as long as an RSA key",
    .advice = "give the signature as TPM2_Quote returned it, of RSASSA, RSAPSS or ECDSA with "
              "SHA-256, SHA-384 or SHA-512",
};

static const struct check signature_hash = {
    .name = "tpm.signature-hash",
    .claim = "tpm.signature_algorithm",
    .source = "NIST SP 800-131A rev 2, section 9",
    .how = "the signature is over SHA-256, SHA-384 or SHA-512",
    .advice = "SHA-1 signatures can be forged: have the guest make an attestation key with "
              "SHA-256 and quote its SHA-256 bank",
};

static const struct check ak_form = {
    .name = "tpm.ak-form",
    .claim = "tpm.ak",
    .source = "RFC 5280, 4.1; TPM 2.0 Library Part 2, 12.2, TPMT_PUBLIC",
    .how = "the attestation key is a public key as SPKI, TPMT_PUBLIC or in a certificate",
    .advice = "give the attestation key: its certificate, its TPM2B_PUBLIC or its PEM",
};

static const struct check quote_signature = {
    .name = "tpm.signature",
    .claim = "tpm.signature",
    .source = "TPM 2.0 Library Part 3, TPM2_Quote; Part 1, annexes B and C",
    .how = "the signature over the message verifies with the attestation key",
    .advice = "the quote was altered or another key signed it: ask the guest for a new one with "
              "the key's certificate",
    .proof = PROOF_TPM_QUOTE,
};

static const struct check keys_tried = {
    .name = "tpm.signature",
    .claim = "tpm.signature",
    .source = "TPM 2.0 Library Part 3, TPM2_Quote; Part 1, annexes B and C",
    .advice = "give the attestation key or its certificate, without the certificates of others",
};

static const struct check pcr_bank = {
    .name = "tpm.pcr-bank",
    .claim = "tpm.pcr_bank",
    .source = "NIST SP 800-131A rev 2, section 9; TCG PC Client Platform TPM Profile, PCR banks",
    .how = "the banks quoted are of SHA-256, SHA-384 or SHA-512",
    .advice = "values in a SHA-1 bank can be forged by collision: have the guest quote its "
              "SHA-256 bank",
};

static const struct check pcr_selection = {
    .name = "tpm.pcr-selection",
    .claim = "tpm.pcr_selection",
    .source = "TPM 2.0 Library Part 2, 10.9, TPML_PCR_SELECTION",
    .how = "the quote covers at least one PCR",
    .advice = "a quote of no PCR says nothing of what was booted: have the guest select PCRs",
};

static const struct check pcr_values = {
    .name = "tpm.pcr-values",
    .claim = "tpm.pcr",
    .source = "TPM 2.0 Library Part 2, 10.12, TPMS_QUOTE_INFO",
    .how = "each PCR that the quote selects has its value beside the quote",
    .advice = "give the values of the selected PCRs (tpm2_quote --pcr, tpm2_pcrread -o)",
};

static const struct check pcr_digest = {
    .name = "tpm.pcr-digest",
    .claim = "tpm.pcr_digest",
    .source = "TPM 2.0 Library Part 1, 17, Attesting to PCR; Part 2, 10.12, TPMS_QUOTE_INFO",
    .how = "the digest of the values given, in the order of the selection, is the quote's",
    .advice = "the values are not those that were quoted: read them again in the same boot, "
              "between two quotes that agree",
};

/* ---- Message ---- */

static bool message_verify(struct verification *v, struct tpm_attest *a)
{
    struct bawn_error err = { "" };

    switch (tpm_attest_parse(a, v->ev.tpm_message, &err)) {
    case BAWN_OK:
        check_passed(v->r, &quote_magic);
        return check_passed(v->r, &quote_form);
    case BAWN_E_DENIED:
        return check_refused(v->r, &quote_magic, NULL, NULL, "no TPM made this message: %s",
                             err.msg);
    case BAWN_E_UNSUPPORTED:
        return check_refused(v->r, &quote_form, "quote", tpm_attest_name(a->type),
                             "the message is no quote: %s", err.msg);
    default:
        return check_missing(v->r, &quote_form, NULL, NULL, "the message cannot be read: %s",
                             err.msg);
    }
}

static void message_claims(struct bawn_attest_result *r, const struct tpm_attest *a)
{
    claim_bytes(r, "tpm.nonce", a->extra_data.data, a->extra_data.len);
    claim_bytes(r, "tpm.qualified_signer", a->qualified_signer.data, a->qualified_signer.len);
    claim_uint(r, "tpm.firmware_version", a->firmware_version);
    claim_uint(r, "tpm.clock", a->clock);
    claim_uint(r, "tpm.reset_count", a->reset_count);
    claim_uint(r, "tpm.restart_count", a->restart_count);
    claim_bool(r, "tpm.clock_safe", a->safe);
    claim_bytes(r, "tpm.pcr_digest", a->pcr_digest.data, a->pcr_digest.len);
}

/* ---- Signature ---- */

/* r and s have the length of the curve's order for OpenSSL; a TPM may leave out zeros. */
static bool pad(uint8_t *out, size_t size, struct bawn_bytes n)
{
    if (!n.len || n.len > size)
        return false;
    memset(out, 0, size - n.len);
    memcpy(out + size - n.len, n.data, n.len);
    return true;
}

static bool signature_holds(struct verification *v, const struct pubkey *key,
                            const struct tpm_signature *sig)
{
    enum { ORDER_MAX = 66 }; /* P-521 */
    size_t size = (key->bits + 7) / 8;
    uint8_t r[ORDER_MAX], s[ORDER_MAX];

    if ((key->type == KEY_RSA) != (sig->alg.scheme != SIG_ECDSA))
        return false;
    if (key->type == KEY_RSA)
        return sig->rsa.len == size &&
               sig_verify_once(v->cache, key, &sig->alg, v->ev.tpm_message, sig->rsa);
    return size <= ORDER_MAX && pad(r, size, sig->r) && pad(s, size, sig->s) &&
           sig_verify_raw(v->cache, key, sig->alg.hash, v->ev.tpm_message, r, s);
}

/* The signature with its header, or one that is no more than as many bytes as an RSA key has:
 * then RSASSA with SHA-256, as Azure's agents give it. */
static bool signature_read(struct verification *v, struct tpm_signature *sig)
{
    struct bawn_bytes blob = v->ev.tpm_signature;
    struct bawn_error err = { "" };
    enum bawn_status st;

    if (!blob.len)
        return check_missing(v->r, &signature_form, NULL, NULL, "the quote has no signature");
    st = tpm_signature_parse(sig, blob, &err);
    if (st == BAWN_OK)
        return check_passed(v->r, &signature_form);
    if (blob.len == 256 || blob.len == 384 || blob.len == 512) {
        *sig = (struct tpm_signature){
            .id = TPM_ALG_RSASSA,
            .hash_id = TPM_ALG_SHA256,
            .alg = { .scheme = SIG_RSA_PKCS1, .hash = HASH_SHA256 },
            .rsa = blob,
        };
        return check_passed(v->r, &signature_form);
    }
    if (st == BAWN_E_UNSUPPORTED)
        return check_refused(v->r, &signature_form, "RSASSA, RSAPSS or ECDSA", NULL,
                             "the signature cannot be accepted: %s", err.msg);
    return check_missing(v->r, &signature_form, NULL, NULL, "the signature cannot be read: %s",
                         err.msg);
}

/* Without a key beside the quote: that of the trust or of one of the first certificates with
 * which the signature verifies. Says how many were tried and how many were not. */
static bool key_find(struct verification *v, const struct tpm_signature *sig, struct tpm_ak *ak,
                     size_t *tried, size_t *left)
{
    size_t of_certs = 0;

    const struct x509 *certs = v->end.certs.items;

    for (size_t i = 0; i < v->trust->nr_keys; i++) {
        const struct trust_key *k = &v->trust->keys[i];

        *ak = (struct tpm_ak){ .spki = k->spki, .key = k->key };
        ++*tried;
        if (signature_holds(v, &k->key, sig))
            return true;
    }
    for (size_t i = 0; i < v->end.certs.n; i++) {
        if (certs[i].is_ca)
            continue;
        if (of_certs == CERTIFICATES_TRIED) {
            ++*left;
            continue;
        }
        *ak = (struct tpm_ak){ .spki = certs[i].spki, .key = certs[i].key };
        of_certs++;
        ++*tried;
        if (signature_holds(v, &certs[i].key, sig))
            return true;
    }
    return false;
}

/* Finds the key and checks the signature. False: no key to go on with. */
static bool signature_verify(struct verification *v, const struct tpm_signature *sig,
                             struct tpm_ak *ak)
{
    struct bawn_error err = { "" };
    enum bawn_status st;
    size_t tried = 0, left = 0;

    if (!v->ev.ak_public.len) {
        if (key_find(v, sig, ak, &tried, &left))
            return check_passed(v->r, &quote_signature);
        if (!tried)
            return check_missing(v->r, &ak_form, NULL, NULL, "the attestation key is not given");
        if (left)
            return check_missing(v->r, &keys_tried,
                                 arena_text(v->arena, "at most %d certificates that are no CA's",
                                            CERTIFICATES_TRIED),
                                 arena_text(v->arena, "%zu", CERTIFICATES_TRIED + left),
                                 "the signature does not verify with the first %zu keys, and the "
                                 "others were not tried",
                                 tried);
        return check_refused(v->r, &quote_signature, NULL, NULL,
                             "the signature does not verify with any of the %zu keys at hand",
                             tried);
    }
    st = tpm_ak_parse(v, ak, v->ev.ak_public, &err);
    if (st == BAWN_E_UNSUPPORTED)
        return check_refused(v->r, &ak_form, NULL, NULL,
                             "the attestation key cannot be accepted: %s", err.msg);
    if (st != BAWN_OK)
        return check_missing(v->r, &ak_form, NULL, NULL, "the attestation key cannot be read: %s",
                             err.msg);
    check_passed(v->r, &ak_form);
    if (signature_holds(v, &ak->key, sig))
        return check_passed(v->r, &quote_signature);
    check_refused(v->r, &quote_signature, NULL, NULL,
                  "the signature does not verify with the attestation key");
    return true;
}

/* "RSASSA with SHA-256". A SHA-1 signature is not looked at further. */
static bool signature_policy(struct verification *v, const struct tpm_signature *sig)
{
    const char *name =
        arena_text(v->arena, "%s with %s", tpm_alg_name(sig->id), tpm_alg_name(sig->hash_id));

    claim_text(v->r, "tpm.signature_algorithm", name);
    if (sig->alg.hash != HASH_SHA1)
        return check_passed(v->r, &signature_hash);
    return check_refused(v->r, &signature_hash, "SHA-256, SHA-384 or SHA-512", "SHA-1",
                         "the quote is signed over SHA-1");
}

/* ---- PCRs ---- */

static const char *bank_label(struct verification *v, const struct tpm_pcr_selection *s)
{
    if (s->bank != HASH_NONE)
        return hash_name(s->bank);
    return arena_text(v->arena, "%#06x", s->id);
}

/* "sha256:0,1,7+sha384:7", as tpm2-tools take it. */
static const char *selection_text(struct verification *v, const struct tpm_attest *a)
{
    const char *text = "";

    for (unsigned i = 0; i < a->nr_select; i++) {
        const struct tpm_pcr_selection *s = &a->select[i];
        char list[TPM_PCRS * sizeof("23,")], *p = list;

        if (!s->mask)
            continue;
        for (unsigned n = 0; n < TPM_PCRS; n++)
            if (s->mask >> n & 1)
                p +=
                    snprintf(p, (size_t)(list + sizeof(list) - p), "%s%u", p == list ? "" : ",", n);
        text = arena_text(v->arena, "%s%s%s:%s", text, *text ? "+" : "", bank_label(v, s), list);
    }
    return text;
}

/* Which banks are quoted: SHA-1 and unknown ones are not taken. False: go no further. */
static bool banks_verify(struct verification *v, const struct tpm_attest *a)
{
    const struct tpm_pcr_selection *first = NULL;
    bool ok = true;

    for (unsigned i = 0; i < a->nr_select; i++) {
        const struct tpm_pcr_selection *s = &a->select[i];

        if (!s->mask)
            continue;
        first = first ? first : s;
        if (s->bank == HASH_SHA1)
            ok = check_refused(v->r, &pcr_bank, "sha256, sha384 or sha512", "sha1",
                               "the quote is of the SHA-1 bank");
        else if (s->bank == HASH_NONE)
            ok = check_missing(v->r, &pcr_bank, "sha256, sha384 or sha512", bank_label(v, s),
                               "the quote is of a bank whose hash is not served here");
    }
    if (!first) {
        check_warned(v->r, &pcr_selection, NULL, NULL, "the quote covers no PCR");
        return true;
    }
    claim_text(v->r, "tpm.pcr_bank", bank_label(v, first));
    claim_text(v->r, "tpm.pcr_selection", selection_text(v, a));
    check_passed(v->r, &pcr_selection);
    return ok && check_passed(v->r, &pcr_bank);
}

static bool bank_given(const struct pcr_bank *b)
{
    for (unsigned n = 0; n < TPM_PCRS; n++)
        if (b->value[n].len)
            return true;
    return false;
}

static bool values_given(const struct evidence *ev)
{
    bool given = bank_given(&ev->pcrs);

    for (size_t i = 0; i < TPM_MORE_BANKS; i++)
        given |= bank_given(&ev->more_pcrs[i]);
    return given;
}

/* The values of one bank, appended to *at in the order of the PCRs. */
static bool bank_gather(struct verification *v, const struct tpm_pcr_selection *s, uint8_t **at)
{
    const struct pcr_bank *b = tpm_pcr_bank(&v->ev, s->bank, false);

    for (unsigned n = 0; n < TPM_PCRS; n++) {
        if (!(s->mask >> n & 1))
            continue;
        if (!b || !b->value[n].len)
            return check_missing(v->r, &pcr_values, NULL, NULL,
                                 "the quote covers PCR %u of bank %s, whose value is not given", n,
                                 bank_label(v, s));
        if (b->value[n].len != hash_size(s->bank))
            return check_refused(
                v->r, &pcr_values, arena_text(v->arena, "%zu bytes", hash_size(s->bank)),
                arena_text(v->arena, "%zu bytes", b->value[n].len),
                "the value given for PCR %u is not of bank %s", n, bank_label(v, s));
        memcpy(*at, b->value[n].data, b->value[n].len);
        *at += b->value[n].len;
    }
    return true;
}

/* Claims the values under the digest. The first bank is tpm.pcr, others have their name in. */
static void pcr_claims(struct verification *v, const struct tpm_attest *a)
{
    const char *name = NULL;

    for (unsigned i = 0; i < a->nr_select; i++) {
        const struct tpm_pcr_selection *s = &a->select[i];
        const struct pcr_bank *b = s->mask ? tpm_pcr_bank(&v->ev, s->bank, false) : NULL;

        if (!b)
            continue;
        name = name ? arena_text(v->arena, "tpm.%s.pcr", bank_label(v, s)) : "tpm.pcr";
        for (unsigned n = 0; n < TPM_PCRS; n++)
            if (s->mask >> n & 1)
                claim_bytes_at(v->r, name, (int)n, b->value[n].data, b->value[n].len);
        if (b == &v->ev.pcrs)
            v->ev.pcrs_quoted = s->mask;
    }
}

/* A bank of values that does not say of which hash is that of the quote's first bank. */
static void bank_default(struct verification *v, const struct tpm_attest *a)
{
    if (v->ev.pcrs.alg != HASH_NONE)
        return;
    for (unsigned i = 0; i < a->nr_select; i++) {
        if (!a->select[i].mask)
            continue;
        v->ev.pcrs.alg = a->select[i].bank;
        return;
    }
}

static bool pcrs_verify(struct verification *v, const struct tpm_attest *a, enum hash_alg hash)
{
    uint8_t digest[HASH_MAX], *all, *at;
    size_t total = 0;

    bank_default(v, a);
    for (unsigned i = 0; i < a->nr_select; i++)
        total += (size_t)__builtin_popcount(a->select[i].mask) * hash_size(a->select[i].bank);
    if (total && !values_given(&v->ev))
        return check_warned(v->r, &pcr_values, NULL, NULL, "PCRs are known only by their digest");
    all = at = arena_alloc(v->arena, total);
    for (unsigned i = 0; at && i < a->nr_select; i++)
        if (!bank_gather(v, &a->select[i], &at))
            return false;
    if (!all || !hash_bytes(hash, all, total, digest))
        return check_missing(v->r, &pcr_digest, NULL, NULL, "the PCR values could not be hashed");
    if (a->pcr_digest.len != hash_size(hash) || memcmp(digest, a->pcr_digest.data, hash_size(hash)))
        return check_refused(v->r, &pcr_digest, arena_hex(v->arena, a->pcr_digest),
                             arena_hex(v->arena, (struct bawn_bytes){ digest, hash_size(hash) }),
                             "the PCR values given are not those that were quoted");
    if (total)
        check_passed(v->r, &pcr_values);
    pcr_claims(v, a);
    return check_passed(v->r, &pcr_digest);
}

void tpm_verify(struct verification *v)
{
    struct tpm_signature sig = { .id = TPM_ALG_NULL };
    struct tpm_attest attest;
    struct tpm_ak ak = { .has_public = false };

    if (!v->ev.snp_report.len && !v->ev.quote.len && !v->ev.hcl_report.len)
        v->r->subject = "TPM 2.0 quote";
    if (!message_verify(v, &attest))
        return;
    message_claims(v->r, &attest);
    if (!signature_read(v, &sig))
        return;
    if (signature_policy(v, &sig) && signature_verify(v, &sig, &ak))
        tpm_ak_verify(v, &ak);
    if (banks_verify(v, &attest))
        pcrs_verify(v, &attest, sig.alg.hash);
}

/* ---- Endorsements ---- */

/* The values alone, in the order of the selection, as tpm2_quote --pcrs_format=values writes
 * them: known by their digest in the quote that is judged. */
static bool bare_values_add(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    struct evidence with = v->ev;
    struct tpm_attest a;
    uint8_t digest[HASH_MAX];
    enum hash_alg hash;

    if (tpm_attest_parse(&a, v->input->evidence, NULL) != BAWN_OK)
        return false;
    for (hash = HASH_SHA256; hash < HASH_ALGS && hash_size(hash) != a.pcr_digest.len;)
        hash++;
    if (hash == HASH_ALGS || !hash_bytes(hash, blob.data, blob.len, digest) ||
        memcmp(digest, a.pcr_digest.data, a.pcr_digest.len) != 0)
        return false;
    for (unsigned i = 0; i < a.nr_select; i++) {
        const struct tpm_pcr_selection *s = &a.select[i];
        struct pcr_bank *b = s->mask ? tpm_pcr_bank(&with, s->bank, true) : NULL;

        if (s->mask && (!b || s->bank == HASH_NONE))
            return false;
        for (unsigned n = 0; n < TPM_PCRS; n++)
            if (s->mask >> n & 1)
                b->value[n] = (struct bawn_bytes){ bawn_cursor_take(&c, hash_size(s->bank)),
                                                   hash_size(s->bank) };
    }
    if (c.failed || bawn_cursor_left(&c))
        return false;
    v->ev = with;
    return true;
}

/* An RSA signature and nothing else: as long as a key, beside evidence that needs one. */
static bool bare_signature(const struct verification *v, struct bawn_bytes blob)
{
    struct bawn_bytes evidence = v->input->evidence;

    return (blob.len == 256 || blob.len == 384 || blob.len == 512) &&
           (tpm_quote_recognise(evidence) || azure_hcl_recognise(evidence));
}

bool tpm_endorsement_add(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_bytes *slot = NULL;

    if (tpm_quote_recognise(blob))
        slot = &v->ev.tpm_message;
    else if (azure_hcl_recognise(blob))
        slot = &v->ev.hcl_report;
    else if (tpm_public_recognise(blob))
        slot = &v->ev.ak_public;
    else if (tpm_signature_recognise(blob))
        slot = &v->ev.tpm_signature;
    else if (tpm_pcr_file_parse(&v->ev, blob) || bare_values_add(v, blob))
        return true;
    else if (bare_signature(v, blob))
        slot = &v->ev.tpm_signature;
    if (slot && !slot->len)
        *slot = blob;
    return slot;
}
