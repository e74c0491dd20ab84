// SPDX-License-Identifier: Apache-2.0
/*
 * Checkpoints: signed notes as C2SP's signed-note and tlog-checkpoint define them, with Ed25519.
 * A note comes from anyone; nothing in it counts until a signature by the key that was given
 * has verified over its text.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "attest/log/log.h"

#define EM_DASH "\xe2\x80\x94 " /* U+2014 and a space begin a signature line */
#define SIGNATURE_TYPE 0x01     /* signed-note: Ed25519 */
#define KEY_ID 4
#define KEY_SIZE 32
#define SIGNATURE_SIZE 64
#define SIGNATURES_MAX 64 /* signed-note asks for 16 at least */

/* ---- base64, RFC 4648 section 4 ---- */

static void encode(const void *data, size_t len, char *text)
{
    EVP_EncodeBlock((unsigned char *)text, data, (int)len);
}

/* Exactly len bytes, in the one way to write them. */
static bool decode(struct bawn_bytes text, uint8_t *data, size_t len)
{
    uint8_t raw[128];
    char again[176];
    size_t groups = (len + 2) / 3;
    int n;

    if (text.len != 4 * groups || 3 * groups > sizeof(raw))
        return false;
    n = EVP_DecodeBlock(raw, text.data, (int)text.len);
    if (n < 0 || (size_t)n != 3 * groups)
        return false;
    encode(raw, len, again);
    if (memcmp(again, text.data, text.len) != 0)
        return false;
    memcpy(data, raw, len);
    return true;
}

/* ---- Keys ---- */

/* signed-note: SHA-256(key name || 0x0A || signature type || public key)[:4] */
static bool key_id(EVP_PKEY *key, const char *name, size_t name_len, uint8_t id[KEY_ID],
                   uint8_t public[KEY_SIZE])
{
    uint8_t text[LOG_ORIGIN_MAX + 2 + KEY_SIZE], hash[EVP_MAX_MD_SIZE];
    size_t len = KEY_SIZE;

    if (name_len > LOG_ORIGIN_MAX || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key, public, &len) != 1 || len != KEY_SIZE)
        return false;
    memcpy(text, name, name_len);
    text[name_len] = '\n';
    text[name_len + 1] = SIGNATURE_TYPE;
    memcpy(text + name_len + 2, public, KEY_SIZE);
    if (EVP_Digest(text, name_len + 2 + KEY_SIZE, hash, NULL, EVP_sha256(), NULL) != 1)
        return false;
    memcpy(id, hash, KEY_ID);
    return true;
}

/* A key name in signed-note; ASCII only, so that it looks like what it is. */
static bool good_origin(const char *text, size_t len)
{
    if (!len || len > LOG_ORIGIN_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '+')
            return false;
    return true;
}

char *log_key_text(EVP_PKEY *key, const char *origin)
{
    uint8_t id[KEY_ID], tagged[1 + KEY_SIZE] = { SIGNATURE_TYPE };
    char base64[48], *text;

    if (!good_origin(origin, strlen(origin)) ||
        !key_id(key, origin, strlen(origin), id, tagged + 1))
        return NULL;
    encode(tagged, sizeof(tagged), base64);
    if (asprintf(&text, "%s+%02x%02x%02x%02x+%s", origin, id[0], id[1], id[2], id[3], base64) < 0)
        return NULL;
    return text;
}

enum bawn_status log_key_read(const char *text, char **origin, EVP_PKEY **key,
                              struct bawn_error *err)
{
    size_t name = strcspn(text, "+"), id_len = 0;
    uint8_t tagged[1 + KEY_SIZE];
    char *again = NULL;

    *origin = NULL;
    *key = NULL;
    if (text[name])
        id_len = strcspn(text + name + 1, "+");
    /* name+8 digits+base64 */
    if (good_origin(text, name) && id_len == 2 * KEY_ID && text[name + 1 + id_len]) {
        const char *base64 = text + name + 1 + id_len + 1;

        if (decode((struct bawn_bytes){ (const uint8_t *)base64, strlen(base64) }, tagged,
                   sizeof(tagged)) &&
            tagged[0] == SIGNATURE_TYPE)
            *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, tagged + 1, KEY_SIZE);
    }
    if (*key)
        *origin = strndup(text, name);
    if (*origin)
        again = log_key_text(*key, *origin);
    if (again && !strcmp(again, text)) { /* the key id is right, too */
        free(again);
        return BAWN_OK;
    }
    free(again);
    free(*origin);
    EVP_PKEY_free(*key);
    *origin = NULL;
    *key = NULL;
    return bawn_fail(err, BAWN_E_FORMAT,
                     "no log key: must be NAME+KEYID+BASE64 of an Ed25519 key, as bawn-audit key "
                     "prints it");
}

/* ---- Signing ---- */

static bool sign(EVP_PKEY *key, const char *text, uint8_t signature[SIGNATURE_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = SIGNATURE_SIZE;
    bool ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(ctx, signature, &len, (const uint8_t *)text, strlen(text)) == 1 &&
              len == SIGNATURE_SIZE;

    EVP_MD_CTX_free(ctx);
    return ok;
}

enum bawn_status log_checkpoint_sign(EVP_PKEY *key, const char *origin, const struct log_tree *tree,
                                     char **note, struct bawn_error *err)
{
    uint8_t root[LOG_HASH], public[KEY_SIZE], signature[KEY_ID + SIGNATURE_SIZE];
    char base64[96], *text;

    *note = NULL;
    if (!good_origin(origin, strlen(origin)))
        return bawn_fail(err, BAWN_E_CONFIG,
                         "the log's origin \"%s\" must be 1 to %d printable ASCII characters "
                         "without space and plus, such as example.com/attest",
                         origin, LOG_ORIGIN_MAX);
    if (!key_id(key, origin, strlen(origin), signature, public))
        return bawn_fail(err, BAWN_E_CONFIG, "the log's key must be Ed25519");
    log_tree_root(tree, root);
    encode(root, sizeof(root), base64);
    if (asprintf(&text, "%s\n%" PRIu64 "\n%s\n", origin, tree->size, base64) < 0)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (!sign(key, text, signature + KEY_ID)) {
        free(text);
        return bawn_fail(err, BAWN_E_INTERNAL, "cannot sign a checkpoint");
    }
    encode(signature, sizeof(signature), base64);
    if (asprintf(note, "%s\n" EM_DASH "%s %s\n", text, origin, base64) < 0)
        *note = NULL;
    free(text);
    return *note ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory");
}

/* ---- Reading ---- */

struct note {
    struct bawn_bytes text;       /* what is signed */
    struct bawn_bytes signatures; /* lines, each with its end */
    struct bawn_bytes origin;
    uint64_t size;
    uint8_t root[LOG_HASH];
};

/* Takes a line without its end. False: none is left, or the last has no end. */
static bool next_line(struct bawn_bytes *rest, struct bawn_bytes *line)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    if (!end)
        return false;
    *line = (struct bawn_bytes){ rest->data, (size_t)(end - rest->data) };
    rest->len -= line->len + 1;
    rest->data = end + 1;
    return true;
}

static bool read_size(struct bawn_bytes text, uint64_t *size)
{
    *size = 0;
    if (!text.len || (text.len > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(*size, (uint64_t)10, size) ||
            __builtin_add_overflow(*size, (uint64_t)(text.data[i] - '0'), size))
            return false;
    return *size <= INT64_MAX;
}

/* The signatures stand behind the last empty line. */
static bool split_note(struct bawn_bytes all, struct note *note)
{
    if (!all.len || all.len > LOG_NOTE_MAX || all.data[all.len - 1] != '\n')
        return false;
    for (size_t i = 0; i < all.len; i++)
        if ((all.data[i] < ' ' && all.data[i] != '\n') || all.data[i] == 0x7f)
            return false;
    for (size_t i = all.len - 1; i >= 2; i--) {
        if (all.data[i - 1] != '\n' || all.data[i - 2] != '\n')
            continue;
        note->text = (struct bawn_bytes){ all.data, i - 1 };
        note->signatures = (struct bawn_bytes){ all.data + i, all.len - i };
        return true;
    }
    return false;
}

static enum bawn_status read_note(const char *data, size_t len, struct note *note,
                                  struct bawn_error *err)
{
    struct bawn_bytes rest, size, root, line;

    *note = (struct note){ .size = 0 };
    if (!split_note((struct bawn_bytes){ (const uint8_t *)data, len }, note))
        return bawn_fail(err, BAWN_E_FORMAT, "not a checkpoint: no signed note of at most %u bytes",
                         LOG_NOTE_MAX);
    rest = note->text;
    if (!next_line(&rest, &note->origin) || !next_line(&rest, &size) || !next_line(&rest, &root))
        return bawn_fail(err, BAWN_E_FORMAT, "not a checkpoint: fewer than three lines");
    if (!good_origin((const char *)note->origin.data, note->origin.len))
        return bawn_fail(err, BAWN_E_FORMAT, "not a checkpoint: line 1 is no log's name");
    if (!read_size(size, &note->size))
        return bawn_fail(err, BAWN_E_FORMAT, "not a checkpoint: line 2 is no number of entries");
    if (!decode(root, note->root, LOG_HASH))
        return bawn_fail(err, BAWN_E_FORMAT, "not a checkpoint: line 3 is not 32 bytes in base64");
    while (next_line(&rest, &line))
        if (!line.len)
            return bawn_fail(err, BAWN_E_FORMAT, "not a checkpoint: an empty extension line");
    return BAWN_OK;
}

static bool verify(EVP_PKEY *key, struct bawn_bytes text, const uint8_t *signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestVerify(ctx, signature, SIGNATURE_SIZE, text.data, text.len) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

/* A line of the log's own name, by this key, decoded. Others' lines are none of our business. */
static bool our_signature(const struct note *note, struct bawn_bytes line, const uint8_t id[KEY_ID],
                          uint8_t signature[KEY_ID + SIGNATURE_SIZE])
{
    size_t before = strlen(EM_DASH) + note->origin.len + 1;

    return line.len > before && !memcmp(line.data, EM_DASH, strlen(EM_DASH)) &&
           !memcmp(line.data + strlen(EM_DASH), note->origin.data, note->origin.len) &&
           line.data[before - 1] == ' ' &&
           decode((struct bawn_bytes){ line.data + before, line.len - before }, signature,
                  KEY_ID + SIGNATURE_SIZE) &&
           !memcmp(signature, id, KEY_ID);
}

static enum bawn_status check_signatures(EVP_PKEY *key, const struct note *note,
                                         struct bawn_error *err)
{
    uint8_t id[KEY_ID], public[KEY_SIZE], signature[KEY_ID + SIGNATURE_SIZE];
    struct bawn_bytes rest = note->signatures, line;
    bool good = false;

    if (!key_id(key, (const char *)note->origin.data, note->origin.len, id, public))
        return bawn_fail(err, BAWN_E_CONFIG, "the log's key must be Ed25519");
    for (unsigned n = 0; next_line(&rest, &line); n++) {
        if (n == SIGNATURES_MAX || line.len <= strlen(EM_DASH) ||
            memcmp(line.data, EM_DASH, strlen(EM_DASH)) != 0)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "not a checkpoint: line %u behind the text is no "
                             "signature",
                             n + 1);
        if (!our_signature(note, line, id, signature))
            continue;
        if (!verify(key, note->text, signature + KEY_ID))
            return bawn_fail(err, BAWN_E_DENIED,
                             "the checkpoint's signature is false: it was changed or forged");
        good = true;
    }
    return good ? BAWN_OK
                : bawn_fail(err, BAWN_E_DENIED,
                            "the checkpoint is not signed by this key (id %02x%02x%02x%02x)", id[0],
                            id[1], id[2], id[3]);
}

enum bawn_status log_checkpoint_verify(EVP_PKEY *key, const char *origin, const char *data,
                                       size_t len, uint64_t *size, uint8_t root[LOG_HASH],
                                       struct bawn_error *err)
{
    struct note note;
    enum bawn_status st = read_note(data, len, &note, err);

    *size = 0;
    memset(root, 0, LOG_HASH);
    if (st == BAWN_OK && origin &&
        (note.origin.len != strlen(origin) ||
         memcmp(note.origin.data, origin, note.origin.len) != 0))
        st = bawn_fail(err, BAWN_E_FORMAT, "the checkpoint is of the log %.*s, not of %s",
                       (int)note.origin.len, note.origin.data, origin);
    if (st == BAWN_OK)
        st = check_signatures(key, &note, err);
    if (st != BAWN_OK)
        return st;
    *size = note.size;
    memcpy(root, note.root, LOG_HASH);
    return BAWN_OK;
}

enum bawn_status log_checkpoint_read(const char *data, size_t len, char **origin, uint64_t *size,
                                     uint8_t root[LOG_HASH], struct bawn_error *err)
{
    struct note note;
    enum bawn_status st = read_note(data, len, &note, err);

    if (origin)
        *origin = NULL;
    if (st != BAWN_OK)
        return st;
    *size = note.size;
    memcpy(root, note.root, LOG_HASH);
    if (origin && (!note.origin.data ||
                   !(*origin = strndup((const char *)note.origin.data, note.origin.len))))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    return BAWN_OK;
}
