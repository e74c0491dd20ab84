// SPDX-License-Identifier: Apache-2.0
/*
 * TPM 2.0 commands and answers (TPM 2.0 Library, part 2: structures, part 3: commands). Nothing
 * that goes to the TPM is secret, and what comes is signed by it or checked by the verifier, so
 * sessions are passwords that are empty. The answers are the host's word.
 */
#include "guest/agent/tpm.h"

#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include <bawn/cursor.h>
#include <bawn/tpm.h>

/* Part 2, 6.5.2, TPM_CC; 6.9, TPM_ST; 7.4, TPM_RH; 6.6, TPM_RC */
enum {
    CC_CREATE_PRIMARY = 0x131,
    CC_QUOTE = 0x158,
    CC_FLUSH_CONTEXT = 0x165,
    CC_READ_PUBLIC = 0x173,
    CC_PCR_READ = 0x17e,
    ST_NO_SESSIONS = 0x8001,
    ST_SESSIONS = 0x8002,
    ST_RSP_COMMAND = 0x00c4, /* how a TPM 1.2 refuses */
    RH_ENDORSEMENT = 0x4000000b,
    RS_PW = 0x40000009,
    RC_SIZE_P1 = 0x1d5, /* TPM_RC_SIZE of the first parameter */
};

enum {
    HEADER = 10, /* tag, size, code */
    COMMAND_MAX = 256,
    SELECT_SIZE = TPM_PCRS / 8,
    SELECT_ALL = (1 << TPM_PCRS) - 1,
    PCR_READ_MAX = 8, /* TPML_DIGEST has room for no more: part 2, 10.9.4 */
    QUOTE_TRIES = 4,
    COMMAND_TRIES = 100,
};

/* ---- Writing ---- */

struct command {
    uint8_t data[COMMAND_MAX];
    size_t len;
    bool full;
};

static void put(struct command *c, const void *data, size_t len)
{
    if (len > sizeof(c->data) - c->len) {
        c->full = true;
        return;
    }
    if (len)
        memcpy(c->data + c->len, data, len);
    c->len += len;
}

static void put_be(struct command *c, uint32_t value, unsigned size)
{
    uint8_t octets[4];

    for (unsigned i = 0; i < size; i++)
        octets[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    put(c, octets, size);
}

static struct command command(uint16_t tag, uint32_t code)
{
    struct command c = { .len = 0 };

    put_be(&c, tag, 2);
    put_be(&c, 0, 4); /* the size, when it is known */
    put_be(&c, code, 4);
    return c;
}

/* TPMS_AUTH_COMMAND of the empty password, behind its size (part 1, 18.4 and 19.4). */
static void put_password(struct command *c)
{
    put_be(c, 9, 4);
    put_be(c, RS_PW, 4);
    put_be(c, 0, 2); /* no nonce */
    put_be(c, 0, 1); /* no attributes */
    put_be(c, 0, 2); /* no password */
}

/* TPML_PCR_SELECTION of one bank. */
static void put_selection(struct command *c, uint16_t bank, uint32_t mask)
{
    put_be(c, 1, 4);
    put_be(c, bank, 2);
    put_be(c, SELECT_SIZE, 1);
    for (unsigned i = 0; i < SELECT_SIZE; i++)
        put_be(c, mask >> (8 * i) & 0xff, 1);
}

/* ---- Answers ---- */

struct answer {
    uint8_t data[TPM_ANSWER_MAX];
    uint32_t handle;
    struct bawn_cursor parameters;
};

static uint16_t be16(struct bawn_cursor *c)
{
    return (uint16_t)bawn_cursor_be(c, 2);
}

static uint32_t be32(struct bawn_cursor *c)
{
    return (uint32_t)bawn_cursor_be(c, 4);
}

/* TPM2B of at most max bytes. */
static struct bawn_bytes sized(struct bawn_cursor *c, size_t max)
{
    size_t len = be16(c);

    if (len > max)
        c->failed = true;
    return (struct bawn_bytes){ bawn_cursor_take(c, len), c->failed ? 0 : len };
}

static bool ends(const struct bawn_cursor *c)
{
    return !c->failed && !bawn_cursor_left(c);
}

static enum bawn_status malformed(const char *what, struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_FORMAT, "%s: the TPM's answer is malformed", what);
}

static const struct {
    uint32_t rc;
    const char *text;
} reasons[] = {
    { 0x100, " (it was not started: TPM2_Startup)" },
    { 0x101, " (it is in failure mode)" },
    { 0x120, " (the hierarchy or command is disabled)" },
    { 0x143, " (it does not have this command)" },
    { 0x185, " (the endorsement hierarchy is disabled)" },
    { 0x18b, " (there is no key with this handle)" },
    { 0x902, " (it has no room for another key: is this /dev/tpmrm0?)" },
    { 0x910, " (there is no key with this handle)" },
    { 0x921, " (it is locked after wrong passwords)" },
    { 0x922, " (it is busy)" },
    { 0x98e, " (it wants a password, which is not served)" },
    { 0x9a2, " (it wants a password, which is not served)" },
};

static enum bawn_status refused(const char *what, uint32_t rc, struct bawn_error *err)
{
    const char *text = "";

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].rc == rc)
            text = reasons[i].text;
    return bawn_fail(err, BAWN_E_CONFIG, "%s: the TPM answered %#x%s", what, rc, text);
}

/* What stands behind the parameters of an answer with a session (part 1, 18.9). */
static bool password_ends(struct bawn_cursor *c)
{
    sized(c, TPM_MAX_HA);
    bawn_cursor_u8(c);
    sized(c, 0);
    return ends(c);
}

static enum bawn_status read_answer(struct tpm *t, const char *what, uint16_t tag, bool with_handle,
                                    size_t len, struct answer *a, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(a->data, len);
    uint16_t got = be16(&c);
    uint32_t size = be32(&c);
    const uint8_t *parameters;

    t->rc = be32(&c);
    if (c.failed || size != len)
        return malformed(what, err);
    if (got == ST_RSP_COMMAND)
        return bawn_fail(err, BAWN_E_CONFIG, "%s: this is a TPM 1.2, and must be a 2.0", what);
    if (t->rc)
        return got == ST_NO_SESSIONS && len == HEADER ? refused(what, t->rc, err)
                                                      : malformed(what, err);
    if (got != tag)
        return malformed(what, err);
    a->handle = with_handle ? be32(&c) : 0;
    if (tag == ST_NO_SESSIONS) {
        a->parameters = bawn_cursor_over(c.pos, bawn_cursor_left(&c));
        a->parameters.failed = c.failed;
        return BAWN_OK;
    }
    size = be32(&c);
    parameters = bawn_cursor_take(&c, size);
    if (!parameters || !password_ends(&c))
        return malformed(what, err);
    a->parameters = bawn_cursor_over(parameters, size);
    return BAWN_OK;
}

/* Part 2, 6.6.3: warnings that ask for the same command again, as while algorithms are tested. */
static bool wants_again(uint32_t rc)
{
    enum { RC_YIELDED = 0x908, RC_TESTING = 0x90a, RC_RETRY = 0x922 };

    return rc == RC_YIELDED || rc == RC_TESTING || rc == RC_RETRY;
}

/* One command and the parameters of its answer, which borrow from *a. */
static enum bawn_status run(struct tpm *t, const char *what, struct command *c, bool with_handle,
                            struct answer *a, struct bawn_error *err)
{
    const struct timespec pause = { .tv_nsec = 20000000 };
    uint16_t tag = (uint16_t)(c->data[0] << 8 | c->data[1]);
    struct command size = { .len = 0 };
    enum bawn_status status = BAWN_E_INTERNAL;

    a->parameters = (struct bawn_cursor){ .failed = true };
    if (c->full)
        return bawn_fail(err, BAWN_E_INTERNAL, "%s: the command is too long", what);
    put_be(&size, (uint32_t)c->len, 4);
    memcpy(c->data + 2, size.data, 4);
    for (unsigned tries = 0; tries < COMMAND_TRIES; tries++) {
        size_t len = 0;

        if (tries)
            nanosleep(&pause, NULL);
        t->rc = 0;
        status = t->talk(t->to, c->data, c->len, a->data, &len, err);
        if (status == BAWN_OK)
            status = read_answer(t, what, tag, with_handle, len, a, err);
        if (status == BAWN_OK || !wants_again(t->rc))
            break;
    }
    return status;
}

/* ---- Keys ---- */

/* Part 2, 11.2.1.5 and 11.2.2.5: a scheme, with its hash unless it is none. */
static uint16_t signing_scheme(struct bawn_cursor *c)
{
    uint16_t scheme = be16(c);

    if (scheme != TPM_ALG_NULL)
        be16(c);
    if (scheme == TPM_ALG_ECDAA)
        be16(c);
    return scheme;
}

static void read_rsa(struct bawn_cursor *c, struct tpm_key *key)
{
    key->scheme = signing_scheme(c);
    be16(c); /* bits, which the modulus shows */
    key->exponent = be32(c);
    key->n = sized(c, TPM_MAX_RSA_KEY_BYTES);
}

static void read_ecc(struct bawn_cursor *c, struct tpm_key *key)
{
    key->scheme = signing_scheme(c);
    key->curve = be16(c);
    if (be16(c) != TPM_ALG_NULL) /* key derivation */
        be16(c);
    key->x = sized(c, TPM_MAX_ECC_KEY_BYTES);
    key->y = sized(c, TPM_MAX_ECC_KEY_BYTES);
}

/* What the verifier would refuse later with less to say. */
static enum bawn_status check_key(const struct tpm_key *key, uint32_t attributes,
                                  struct bawn_error *err)
{
    enum {
        NEEDED = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_RESTRICTED |
                 TPMA_OBJECT_SIGN_ENCRYPT,
    };
    bool rsa = key->type == TPM_ALG_RSA;

    if ((attributes & NEEDED) != NEEDED || attributes & TPMA_OBJECT_DECRYPT)
        return bawn_fail(
            err, BAWN_E_CONFIG,
            "the TPM's key %#x is no attestation key: it must be fixedTPM, fixedParent, "
            "restricted and sign, and not decrypt; its attributes are %#x",
            key->handle, attributes);
    if (key->scheme != TPM_ALG_NULL && key->scheme != TPM_ALG_ECDSA &&
        key->scheme != TPM_ALG_RSASSA && key->scheme != TPM_ALG_RSAPSS)
        return bawn_fail(
            err, BAWN_E_CONFIG,
            "the TPM's key %#x signs by scheme %#x: it must be RSASSA, RSAPSS or ECDSA",
            key->handle, key->scheme);
    if (key->scheme != TPM_ALG_NULL && rsa != (key->scheme != TPM_ALG_ECDSA))
        return bawn_fail(err, BAWN_E_FORMAT, "the TPM's key %#x has another key's scheme",
                         key->handle);
    return BAWN_OK;
}

/* TPM2B_PUBLIC, as far as it is needed. */
static enum bawn_status read_public(struct bawn_cursor *from, const char *what, struct tpm_key *key,
                                    struct bawn_error *err)
{
    struct bawn_bytes public = sized(from, sizeof(key->public));
    struct bawn_cursor c;
    uint32_t attributes;

    if (from->failed || !public.len)
        return malformed(what, err);
    memcpy(key->public, public.data, public.len);
    key->public_len = public.len;
    c = bawn_cursor_over(key->public, key->public_len);
    key->type = be16(&c);
    be16(&c); /* the hash of its name */
    attributes = be32(&c);
    sized(&c, TPM_MAX_DIGEST);      /* policy */
    if (be16(&c) != TPM_ALG_NULL) { /* a symmetric algorithm, with bits and mode: of storage keys */
        be16(&c);
        be16(&c);
    }
    if (key->type == TPM_ALG_RSA)
        read_rsa(&c, key);
    else if (key->type == TPM_ALG_ECC)
        read_ecc(&c, key);
    else
        return bawn_fail(err, BAWN_E_CONFIG, "the TPM's key %#x is neither RSA nor ECC",
                         key->handle);
    if (!ends(&c))
        return malformed(what, err);
    return check_key(key, attributes, err);
}

/* Restricted to sign, P-256, ECDSA with SHA-256. Derived from the endorsement seed it is the same
 * after TPM2_Clear and each start. bawn-agent(1) has the same as a command of tpm2-tools: a change
 * here makes every enrolled key another one. */
static void put_template(struct command *c)
{
    struct command p = { .len = 0 };

    put_be(&p, TPM_ALG_ECC, 2);
    put_be(&p, TPM_ALG_SHA256, 2);
    put_be(&p,
           TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
               TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
               TPMA_OBJECT_SIGN_ENCRYPT,
           4);
    put_be(&p, 0, 2); /* no policy */
    put_be(&p, TPM_ALG_NULL, 2);
    put_be(&p, TPM_ALG_ECDSA, 2);
    put_be(&p, TPM_ALG_SHA256, 2);
    put_be(&p, TPM_ECC_NIST_P256, 2);
    put_be(&p, TPM_ALG_NULL, 2);
    put_be(&p, 0, 2); /* unique: x */
    put_be(&p, 0, 2); /* y */
    put_be(c, (uint32_t)p.len, 2);
    put(c, p.data, p.len);
}

static void flush(struct tpm *t, uint32_t handle)
{
    struct command c = command(ST_NO_SESSIONS, CC_FLUSH_CONTEXT);
    struct answer a;

    put_be(&c, handle, 4);
    run(t, "TPM2_FlushContext", &c, false, &a, NULL);
}

static enum bawn_status make_key(struct tpm *t, struct tpm_key *key, struct bawn_error *err)
{
    static const char what[] = "TPM2_CreatePrimary";
    struct command c = command(ST_SESSIONS, CC_CREATE_PRIMARY);
    struct answer a;
    enum bawn_status status;

    put_be(&c, RH_ENDORSEMENT, 4);
    put_password(&c);
    put_be(&c, 4, 2); /* TPM2B_SENSITIVE_CREATE: no password, no data */
    put_be(&c, 0, 2);
    put_be(&c, 0, 2);
    put_template(&c);
    put_be(&c, 0, 2); /* outsideInfo */
    put_be(&c, 0, 4); /* creationPCR */
    status = run(t, what, &c, true, &a, err);
    if (status != BAWN_OK)
        return status;
    key->handle = a.handle;
    key->made = true;
    status = read_public(&a.parameters, what, key, err);
    sized(&a.parameters, TPM_ANSWER_MAX); /* creation data and its digest */
    sized(&a.parameters, TPM_MAX_DIGEST);
    be16(&a.parameters); /* ticket */
    be32(&a.parameters);
    sized(&a.parameters, TPM_MAX_DIGEST);
    sized(&a.parameters, TPM_MAX_HA); /* name */
    if (status == BAWN_OK && !ends(&a.parameters))
        status = malformed(what, err);
    if (status != BAWN_OK)
        tpm_key_close(t, key);
    return status;
}

enum bawn_status tpm_key_open(struct tpm *t, uint32_t handle, struct tpm_key *key,
                              struct bawn_error *err)
{
    static const char what[] = "TPM2_ReadPublic";
    struct command c = command(ST_NO_SESSIONS, CC_READ_PUBLIC);
    struct answer a;
    enum bawn_status status;

    *key = (struct tpm_key){ .handle = handle };
    if (!handle)
        return make_key(t, key, err);
    put_be(&c, handle, 4);
    status = run(t, what, &c, false, &a, err);
    if (status == BAWN_OK)
        status = read_public(&a.parameters, what, key, err);
    sized(&a.parameters, TPM_MAX_HA); /* name, qualified name */
    sized(&a.parameters, TPM_MAX_HA);
    if (status == BAWN_OK && !ends(&a.parameters))
        status = malformed(what, err);
    return status;
}

void tpm_key_close(struct tpm *t, struct tpm_key *key)
{
    uint32_t rc = t->rc;

    if (key->made)
        flush(t, key->handle);
    key->made = false;
    t->rc = rc;
}

/* ---- PCRs ---- */

static const struct bank {
    uint16_t id;
    size_t size;
    const char *name;
} banks[] = {
    { TPM_ALG_SHA256, 32, "SHA256" },
    { TPM_ALG_SHA384, 48, "SHA384" },
    { TPM_ALG_SHA512, 64, "SHA512" }, /* not quoted, but for signatures */
};

enum { BANKS_QUOTED = 2 };

/* TPML_PCR_SELECTION of that bank alone. A TPM may leave out a bank that it does not have. */
static uint32_t read_selection(struct bawn_cursor *c, uint16_t bank)
{
    uint32_t count = be32(c);
    uint64_t mask;
    unsigned size;

    if (!count)
        return 0;
    if (count != 1 || be16(c) != bank)
        c->failed = true;
    size = bawn_cursor_u8(c);
    if (size < TPM_PCR_SELECT_MIN || size > TPM_PCR_SELECT_MAX)
        c->failed = true;
    mask = bawn_cursor_le(c, size > TPM_PCR_SELECT_MAX ? 0 : size);
    if (mask > SELECT_ALL)
        c->failed = true;
    return c->failed ? 0 : (uint32_t)mask;
}

/* Reads some of the wanted PCRs, as many as the TPM gives at once; *got says which. */
static enum bawn_status read_some(struct tpm *t, const struct bank *bank, uint32_t wanted,
                                  uint32_t *got, struct tpm_quote *q, struct bawn_error *err)
{
    static const char what[] = "TPM2_PCR_Read";
    struct command c = command(ST_NO_SESSIONS, CC_PCR_READ);
    struct answer a;
    enum bawn_status status;
    uint32_t n;

    put_selection(&c, bank->id, wanted);
    status = run(t, what, &c, false, &a, err);
    if (status != BAWN_OK)
        return status;
    be32(&a.parameters); /* the counter of changes: the quote's digest says more */
    *got = read_selection(&a.parameters, bank->id);
    n = be32(&a.parameters);
    if (n > PCR_READ_MAX || n != (uint32_t)__builtin_popcount(*got) || *got & ~wanted)
        return malformed(what, err);
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct bawn_bytes value;

        if (!(*got >> i & 1))
            continue;
        value = sized(&a.parameters, bank->size);
        if (value.len != bank->size)
            return malformed(what, err);
        memcpy(q->pcr[i], value.data, value.len);
    }
    return ends(&a.parameters) ? BAWN_OK : malformed(what, err);
}

/* BAWN_E_UNSUPPORTED: the TPM has no such bank. */
static enum bawn_status read_pcrs(struct tpm *t, const struct bank *bank, struct tpm_quote *q,
                                  struct bawn_error *err)
{
    uint32_t left = SELECT_ALL, got = 0;

    q->pcr_len = bank->size;
    while (left) {
        enum bawn_status status = read_some(t, bank, left, &got, q, err);

        if (status != BAWN_OK)
            return status;
        if (!got)
            return bawn_fail(err, left == SELECT_ALL ? BAWN_E_UNSUPPORTED : BAWN_E_FORMAT,
                             "the TPM has no %s bank of 24 PCRs", bank->name);
        left &= ~got;
    }
    return BAWN_OK;
}

/* ---- Quotes ---- */

/* What is quoted must be what was asked for: else the verifier's reason would be another one. */
struct quoted {
    struct bawn_bytes digest; /* of the PCRs */
    uint16_t hash;            /* of the signature, and so of the digest */
};

static bool read_attest(struct bawn_bytes message, const struct bank *bank, struct bawn_bytes data,
                        struct quoted *out)
{
    enum { CLOCK_INFO = 17, FIRMWARE_VERSION = 8 }; /* part 2, 10.11.1 and 10.12.8 */
    struct bawn_cursor c = bawn_cursor_over(message.data, message.len);
    struct bawn_bytes extra;

    if (be32(&c) != TPM_GENERATED_VALUE || be16(&c) != TPM_ST_ATTEST_QUOTE)
        return false;
    sized(&c, TPM_MAX_HA); /* signer */
    extra = sized(&c, TPM_MAX_HA);
    bawn_cursor_take(&c, CLOCK_INFO + FIRMWARE_VERSION);
    if (read_selection(&c, bank->id) != SELECT_ALL)
        return false;
    out->digest = sized(&c, TPM_MAX_DIGEST);
    return ends(&c) && extra.len == data.len && !memcmp(extra.data, data.data, data.len);
}

static bool read_signature(struct bawn_bytes signature, bool rsa, struct quoted *out)
{
    struct bawn_cursor c = bawn_cursor_over(signature.data, signature.len);
    uint16_t scheme = be16(&c);

    out->hash = be16(&c);
    if (rsa) {
        sized(&c, TPM_MAX_RSA_KEY_BYTES);
        return ends(&c) && (scheme == TPM_ALG_RSASSA || scheme == TPM_ALG_RSAPSS);
    }
    sized(&c, TPM_MAX_ECC_KEY_BYTES);
    sized(&c, TPM_MAX_ECC_KEY_BYTES);
    return ends(&c) && scheme == TPM_ALG_ECDSA;
}

static const struct bank *bank_of(uint16_t hash)
{
    for (size_t i = 0; i < sizeof(banks) / sizeof(banks[0]); i++)
        if (banks[i].id == hash)
            return &banks[i];
    return NULL;
}

/* Whether the values are those that were quoted: somebody may extend a PCR between the two. */
static bool values_are(const struct tpm_quote *q, const struct quoted *quoted)
{
    uint8_t all[TPM_PCRS * TPM_DIGEST_MAX], digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    for (size_t i = 0; i < TPM_PCRS; i++)
        memcpy(all + i * q->pcr_len, q->pcr[i], q->pcr_len);
    return EVP_Digest(all, TPM_PCRS * q->pcr_len, digest, &len,
                      EVP_get_digestbyname(bank_of(quoted->hash)->name), NULL) == 1 &&
           len == quoted->digest.len && !memcmp(digest, quoted->digest.data, len);
}

static enum bawn_status quote_once(struct tpm *t, const struct tpm_key *key,
                                   const struct bank *bank, struct bawn_bytes data,
                                   struct tpm_quote *q, struct quoted *quoted,
                                   struct bawn_error *err)
{
    static const char what[] = "TPM2_Quote";
    struct command c = command(ST_SESSIONS, CC_QUOTE);
    bool rsa = key->type == TPM_ALG_RSA;
    struct bawn_bytes message, signature;
    struct answer a;
    enum bawn_status status;

    put_be(&c, key->handle, 4);
    put_password(&c);
    put_be(&c, (uint32_t)data.len, 2);
    put(&c, data.data, data.len);
    if (key->scheme == TPM_ALG_NULL) { /* a key that leaves it to us */
        put_be(&c, rsa ? TPM_ALG_RSASSA : TPM_ALG_ECDSA, 2);
        put_be(&c, TPM_ALG_SHA256, 2);
    } else {
        put_be(&c, TPM_ALG_NULL, 2);
    }
    put_selection(&c, bank->id, SELECT_ALL);
    status = run(t, what, &c, false, &a, err);
    if (status != BAWN_OK)
        return status;
    message = sized(&a.parameters, sizeof(q->message));
    signature.len = bawn_cursor_left(&a.parameters);
    signature.data = bawn_cursor_take(&a.parameters, signature.len);
    if (a.parameters.failed || signature.len > sizeof(q->signature) ||
        !read_signature(signature, rsa, quoted))
        return malformed(what, err);
    if (!bank_of(quoted->hash))
        return bawn_fail(err, BAWN_E_CONFIG,
                         "the TPM's key %#x signs over hash %#x: it must be SHA-256, SHA-384 or "
                         "SHA-512",
                         key->handle, quoted->hash);
    if (message.len)
        memcpy(q->message, message.data, message.len);
    memcpy(q->signature, signature.data, signature.len);
    q->message_len = message.len;
    q->signature_len = signature.len;
    message.data = q->message;
    if (!read_attest(message, bank, data, quoted))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "%s: the TPM's quote is not about what it was asked for", what);
    return BAWN_OK;
}

/* TPM2B_DATA has room for the largest digest that the TPM knows (part 2, 10.4.3), which may be
 * SHA-256's. */
static bool shorten(struct bawn_bytes *data)
{
    static const size_t shorter[] = { 48, 32 };
    size_t len = data->len;

    while (len && !data->data[len - 1])
        len--;
    for (size_t i = 0; i < sizeof(shorter) / sizeof(shorter[0]); i++)
        if (data->len > shorter[i] && len <= shorter[i]) {
            data->len = shorter[i];
            return true;
        }
    return false;
}

static enum bawn_status quote_bank(struct tpm *t, const struct tpm_key *key,
                                   const struct bank *bank, struct bawn_bytes data,
                                   struct tpm_quote *q, struct bawn_error *err)
{
    struct quoted quoted;

    for (unsigned tries = 0; tries < QUOTE_TRIES; tries++) {
        enum bawn_status status = read_pcrs(t, bank, q, err);

        if (status != BAWN_OK)
            return status;
        do
            status = quote_once(t, key, bank, data, q, &quoted, err);
        while (status != BAWN_OK && t->rc == RC_SIZE_P1 && shorten(&data));
        if (status != BAWN_OK)
            return status;
        if (values_are(q, &quoted))
            return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_IO,
                     "the TPM's PCRs are not those that it quotes: do they change?");
}

enum bawn_status tpm_quote_make(struct tpm *t, const struct tpm_key *key, struct bawn_bytes data,
                                struct tpm_quote *quote, struct bawn_error *err)
{
    enum bawn_status status = BAWN_E_UNSUPPORTED;

    for (size_t i = 0; i < BANKS_QUOTED && status == BAWN_E_UNSUPPORTED; i++) {
        memset(quote, 0, sizeof(*quote));
        status = quote_bank(t, key, &banks[i], data, quote, err);
    }
    if (status == BAWN_E_UNSUPPORTED)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "the TPM has neither a SHA-256 nor a SHA-384 bank of PCRs");
    return status;
}
