// SPDX-License-Identifier: Apache-2.0
/*
 * CoRIM and the CoMIDs in it (draft-ietf-rats-corim, sections 4 and 5): what their reference
 * triples say, as named sets of values. Tags of other kinds, and other triples, are passed over:
 * nothing here would be judged by them.
 */
#include "attest/corim/corim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* CBOR tags */
#define TAG_SIGN1 18
#define TAG_CORIM 501
#define TAG_COMID 506
#define TAG_SVN 552
#define TAG_MIN_SVN 553
#define TAG_RAW 560
#define TAG_TIME 1
/* Older drafts */
#define TAG_CORIM_CHOICE 500
#define TAG_SIGNED_CORIM 502

#define NAME_SIZE 256
#define VALUE_MAX 1024

struct reading {
    corim_value_fn fn;
    void *context;
    struct bawn_error *err;
    int64_t now, expires;
    char environment[NAME_SIZE]; /* "vendor/model" */
    char set[NAME_SIZE];
    enum bawn_status st;
};

/* ---- Maps: a table says which keys are read ---- */

typedef void member_fn(struct reading *r, struct bawn_cursor *c);

struct member {
    int64_t key;
    member_fn *take;
};

static void read_map(struct reading *r, struct bawn_cursor *c, const struct member *members,
                     size_t n)
{
    struct cbor_item map;
    uint64_t seen = 0;

    cbor_expect(c, CBOR_MAP, &map);
    for (uint64_t i = 0; !c->failed && r->st == BAWN_OK && i < map.value; i++) {
        int major = cbor_peek(c);
        int64_t key = INT64_MIN;
        size_t k = 0;

        if (major == CBOR_UINT || major == CBOR_NEGATIVE)
            cbor_int(c, &key);
        else
            cbor_skip(c);
        while (k < n && members[k].key != key)
            k++;
        if (k == n) {
            cbor_skip(c);
        } else if (seen & (uint64_t)1 << k) {
            c->failed = true;
        } else {
            seen |= (uint64_t)1 << k;
            members[k].take(r, c);
        }
    }
}

#define READ_MAP(r, c, members) read_map(r, c, members, sizeof(members) / sizeof((members)[0]))

static void each_of_array(struct reading *r, struct bawn_cursor *c, member_fn *take)
{
    struct cbor_item array;

    cbor_expect(c, CBOR_ARRAY, &array);
    for (uint64_t i = 0; !c->failed && r->st == BAWN_OK && i < array.value; i++)
        take(r, c);
}

/* ---- Values ---- */

static void give(struct reading *r, const char *value)
{
    if (!*r->set)
        r->st = bawn_fail(r->err, BAWN_E_UNSUPPORTED,
                          "a reference value has neither a key (mkey) nor a vendor or model, so "
                          "that no policy could name it");
    else
        r->st = r->fn(r->context, r->set, value, r->expires, r->err);
}

static void give_bytes(struct reading *r, struct bawn_bytes bytes)
{
    char hex[2 * VALUE_MAX + 1] = "";

    if (bytes.len > VALUE_MAX) {
        r->st = bawn_fail(r->err, BAWN_E_UNSUPPORTED, "a value of %zu bytes; at most %d", bytes.len,
                          VALUE_MAX);
        return;
    }
    for (size_t i = 0; i < bytes.len; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes.data[i]);
    give(r, hex);
}

/* [algorithm, bytes]; the length says which it is to those who compare. */
static void take_digest(struct reading *r, struct bawn_cursor *c)
{
    struct cbor_item array, bytes;

    if (!cbor_expect(c, CBOR_ARRAY, &array) || array.value != 2) {
        c->failed = true;
        return;
    }
    cbor_skip(c);
    if (cbor_expect(c, CBOR_BYTES, &bytes))
        give_bytes(r, bytes.bytes);
}

static void take_digests(struct reading *r, struct bawn_cursor *c)
{
    each_of_array(r, c, take_digest);
}

static void take_svn(struct reading *r, struct bawn_cursor *c)
{
    struct cbor_item item;
    char text[24];

    cbor_next(c, &item);
    if (!c->failed && item.major == CBOR_TAG && item.value == TAG_MIN_SVN) {
        r->st = bawn_fail(r->err, BAWN_E_UNSUPPORTED,
                          "%s: a least security version is a policy's matter (\"at-least\"), not a "
                          "reference value",
                          r->set);
        return;
    }
    if (!c->failed && item.major == CBOR_TAG && item.value == TAG_SVN)
        cbor_next(c, &item);
    if (c->failed || item.major != CBOR_UINT) {
        c->failed = true;
        return;
    }
    snprintf(text, sizeof(text), "%" PRIu64, item.value);
    give(r, text);
}

static void take_raw(struct reading *r, struct bawn_cursor *c)
{
    struct cbor_item item;

    cbor_next(c, &item);
    if (!c->failed && item.major == CBOR_TAG && item.value == TAG_RAW)
        cbor_next(c, &item);
    if (c->failed || item.major != CBOR_BYTES)
        c->failed = true;
    else
        give_bytes(r, item.bytes);
}

static void take_mask(struct reading *r, struct bawn_cursor *c)
{
    (void)c;
    r->st =
        bawn_fail(r->err, BAWN_E_UNSUPPORTED,
                  "%s: a value with a mask is a policy's matter (\"bits-set\"), not a reference "
                  "value",
                  r->set);
}

/* {register: digests} */
static void take_registers(struct reading *r, struct bawn_cursor *c)
{
    size_t len = strlen(r->set);
    struct cbor_item map, item;

    cbor_expect(c, CBOR_MAP, &map);
    for (uint64_t i = 0; !c->failed && r->st == BAWN_OK && i < map.value; i++) {
        cbor_next(c, &item);
        if (!c->failed && item.major == CBOR_UINT)
            snprintf(r->set + len, sizeof(r->set) - len, "[%" PRIu64 "]", item.value);
        else if (!c->failed && item.major == CBOR_TEXT && item.bytes.len < 64)
            snprintf(r->set + len, sizeof(r->set) - len, "[%.*s]", (int)item.bytes.len,
                     (const char *)item.bytes.data);
        else
            c->failed = true;
        if (!c->failed)
            take_digests(r, c);
        r->set[len] = '\0';
    }
}

/* ---- Names ---- */

static bool printable(struct bawn_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e)
            return false;
    return text.len && text.len < 96;
}

static void append(char *name, struct bawn_bytes text)
{
    size_t len = strlen(name);

    snprintf(name + len, NAME_SIZE - len, "%s%.*s", len ? "/" : "", (int)text.len,
             (const char *)text.data);
}

static void take_environment_text(struct reading *r, struct bawn_cursor *c)
{
    struct cbor_item item;

    if (!cbor_expect(c, CBOR_TEXT, &item))
        return;
    if (printable(item.bytes))
        append(r->environment, item.bytes);
}

static void take_class(struct reading *r, struct bawn_cursor *c)
{
    static const struct member members[] = { { 1, take_environment_text },   /* vendor */
                                             { 2, take_environment_text } }; /* model */

    READ_MAP(r, c, members);
}

static void take_key(struct reading *r, struct bawn_cursor *c)
{
    struct cbor_item item;
    char number[24];

    if (cbor_peek(c) != CBOR_TEXT && cbor_peek(c) != CBOR_UINT) { /* UUID, OID */
        cbor_skip(c);
        return;
    }
    cbor_next(c, &item);
    if (c->failed)
        return;
    if (item.major == CBOR_TEXT && printable(item.bytes)) {
        *r->set = '\0';
        append(r->set, item.bytes);
    } else if (item.major == CBOR_TEXT) {
        c->failed = true;
    } else {
        int n = snprintf(number, sizeof(number), "%" PRIu64, item.value);

        append(r->set, (struct bawn_bytes){ (const uint8_t *)number, (size_t)n });
    }
}

/* ---- Triples ---- */

/* measurement-values-map */
static void take_values(struct reading *r, struct bawn_cursor *c)
{
    static const struct member members[] = {
        { 1, take_svn },  { 2, take_digests },    { 4, take_raw },
        { 5, take_mask }, { 14, take_registers },
    };

    READ_MAP(r, c, members);
}

static void take_measurement(struct reading *r, struct bawn_cursor *c)
{
    static const struct member key[] = { { 0, take_key } }, value[] = { { 1, take_values } };
    struct bawn_cursor again = *c;

    /* The key names the values, whichever comes first. */
    snprintf(r->set, sizeof(r->set), "%s", r->environment);
    READ_MAP(r, &again, key);
    if (again.failed)
        c->failed = true;
    else
        READ_MAP(r, c, value);
}

static void take_reference_triple(struct reading *r, struct bawn_cursor *c)
{
    static const struct member environment[] = { { 0, take_class } };
    struct cbor_item array;

    if (!cbor_expect(c, CBOR_ARRAY, &array) || array.value != 2) {
        c->failed = true;
        return;
    }
    *r->environment = '\0';
    READ_MAP(r, c, environment);
    if (!c->failed && cbor_peek(c) == CBOR_ARRAY)
        each_of_array(r, c, take_measurement);
    else if (!c->failed) /* older drafts have one measurement without an array */
        take_measurement(r, c);
}

static void take_references(struct reading *r, struct bawn_cursor *c)
{
    each_of_array(r, c, take_reference_triple);
}

static void take_triples(struct reading *r, struct bawn_cursor *c)
{
    static const struct member members[] = { { 0, take_references } };

    READ_MAP(r, c, members);
}

/* ---- CoRIM ---- */

static void take_tag(struct reading *r, struct bawn_cursor *c)
{
    static const struct member comid[] = { { 4, take_triples } };
    struct cbor_item item;
    struct bawn_cursor inner;

    cbor_next(c, &item);
    if (c->failed || item.major != CBOR_TAG) {
        c->failed = true;
        return;
    }
    if (item.value != TAG_COMID) {
        cbor_skip(c);
        return;
    }
    if (!cbor_expect(c, CBOR_BYTES, &item))
        return;
    inner = bawn_cursor_over(item.bytes.data, item.bytes.len);
    READ_MAP(r, &inner, comid);
    if (r->st == BAWN_OK && (inner.failed || bawn_cursor_left(&inner)))
        c->failed = true;
}

static void take_tags(struct reading *r, struct bawn_cursor *c)
{
    each_of_array(r, c, take_tag);
}

static bool take_time(struct bawn_cursor *c, int64_t *t)
{
    struct cbor_item tag;

    if (cbor_peek(c) == CBOR_TAG && (!cbor_next(c, &tag) || tag.value != TAG_TIME))
        c->failed = true;
    return cbor_int(c, t);
}

static void take_not_before(struct reading *r, struct bawn_cursor *c)
{
    int64_t t;

    if (take_time(c, &t) && t > r->now)
        r->st = bawn_fail(r->err, BAWN_E_DENIED, "the CoRIM is not valid yet");
}

static void take_not_after(struct reading *r, struct bawn_cursor *c)
{
    if (take_time(c, &r->expires) && r->expires <= r->now)
        r->st = bawn_fail(r->err, BAWN_E_DENIED, "the CoRIM is no longer valid");
}

static void take_validity(struct reading *r, struct bawn_cursor *c)
{
    static const struct member members[] = { { 0, take_not_before }, { 1, take_not_after } };

    READ_MAP(r, c, members);
}

/* Its validity first, for the values carry it. */
static enum bawn_status read_corim(struct reading *r, struct bawn_cursor *c)
{
    static const struct member validity[] = { { 4, take_validity } }, tags[] = { { 1, take_tags } };
    struct bawn_cursor again;
    struct cbor_item tag;

    if (!cbor_expect(c, CBOR_TAG, &tag) || tag.value != TAG_CORIM)
        return bawn_fail(r->err, BAWN_E_FORMAT, "this is no CoRIM (CBOR tag 501)");
    again = *c;
    READ_MAP(r, &again, validity);
    if (r->st == BAWN_OK && !again.failed)
        READ_MAP(r, c, tags);
    if (r->st == BAWN_OK && (again.failed || c->failed || bawn_cursor_left(c)))
        return bawn_fail(r->err, BAWN_E_FORMAT,
                         "the CoRIM is malformed near byte %zu (lengths must be definite)",
                         (size_t)(c->pos - c->start));
    return r->st;
}

enum bawn_status corim_read(struct bawn_bytes file, EVP_PKEY *const *keys, size_t n, int64_t now,
                            corim_value_fn fn, void *context, struct bawn_error *err)
{
    struct reading r = { .fn = fn, .context = context, .err = err, .now = now };
    struct bawn_cursor c = bawn_cursor_over(file.data, file.len), start = c;
    struct cose_sign1 sign1;
    struct cbor_item tag;
    enum bawn_status st;

    if (file.len > CORIM_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "a CoRIM of %zu bytes; at most %u", file.len,
                         CORIM_MAX);
    do {
        start = c;
        if (!cbor_expect(&c, CBOR_TAG, &tag))
            return bawn_fail(err, BAWN_E_FORMAT, "this is no CoRIM: it begins with no CBOR tag");
    } while (tag.value == TAG_CORIM_CHOICE || tag.value == TAG_SIGNED_CORIM);
    if (tag.value != TAG_SIGN1) {
        if (keys)
            return bawn_fail(err, BAWN_E_DENIED, "the CoRIM is not signed (COSE_Sign1)");
        return read_corim(&r, &start);
    }
    st = cose_sign1_read(&c, &sign1, err);
    if (st == BAWN_OK && bawn_cursor_left(&c))
        st = bawn_fail(err, BAWN_E_FORMAT, "bytes follow the signed CoRIM");
    if (st == BAWN_OK && keys)
        st = cose_sign1_verify(&sign1, keys, n, err);
    if (st != BAWN_OK)
        return st;
    c = bawn_cursor_over(sign1.payload.data, sign1.payload.len);
    return read_corim(&r, &c);
}
