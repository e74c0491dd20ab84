// SPDX-License-Identifier: Apache-2.0
/*
 * Reads and replays event logs. Trusts no byte of them: whoever sends the quote wrote the log.
 */
#include "attest/lib/eventlog.h"

#include <string.h>

#include "attest/lib/codec.h"

enum {
    SHA1_SIZE = 20,
    SIGNATURE_SIZE = 16,    /* PFP 10.4.5: the text that begins a special EV_NO_ACTION event */
    DIGEST_SIZE_MAX = 1024, /* of an algorithm not known here; none comes near it */
    LOCALITY_HCRTM = 4,
};

/* TCG Algorithm Registry 1.34, table 3: TPM_ALG_ID. */
static const struct eventlog_alg known_algs[] = {
    { 0x0004, 20, HASH_SHA1 },
    { 0x000b, 32, HASH_SHA256 },
    { 0x000c, 48, HASH_SHA384 },
    { 0x000d, 64, HASH_SHA512 },
    { 0x0012, 32, HASH_NONE } /* SM3 */,
    { 0x0027, 32, HASH_NONE } /* SHA3-256 */,
    { 0x0028, 48, HASH_NONE } /* SHA3-384 */,
    { 0x0029, 64, HASH_NONE } /* SHA3-512 */,
};

static const struct eventlog_alg *known_alg(uint16_t id)
{
    for (size_t i = 0; i < sizeof(known_algs) / sizeof(known_algs[0]); i++) {
        if (known_algs[i].id == id)
            return &known_algs[i];
    }
    return NULL;
}

static bool begins(struct bawn_bytes data, const char *signature)
{
    return data.len >= SIGNATURE_SIZE && !memcmp(data.data, signature, strlen(signature) + 1);
}

static struct bawn_bytes take(struct bawn_cursor *c, uint64_t n)
{
    const uint8_t *p = bawn_cursor_take(c, n);

    return (struct bawn_bytes){ p, p ? (size_t)n : 0 };
}

/* PFP 10.2.1. */
static void read_sha1_event(struct bawn_cursor *c, struct eventlog_event *ev)
{
    ev->index = bawn_cursor_u32(c);
    ev->type = bawn_cursor_u32(c);
    ev->nr_digests = 1;
    ev->digests = take(c, SHA1_SIZE);
    ev->data = take(c, bawn_cursor_u32(c));
}

static const struct eventlog_alg *log_alg(const struct eventlog *log, uint16_t id, unsigned *bit)
{
    for (unsigned i = 0; i < log->nr_algs; i++) {
        if (log->algs[i].id == id) {
            *bit = 1u << i;
            return &log->algs[i];
        }
    }
    return NULL;
}

/* PFP 10.2.2. The reason when it is not a well-formed event, else NULL. */
static const char *read_agile_event(const struct eventlog *log, struct bawn_cursor *c,
                                    struct eventlog_event *ev)
{
    struct bawn_cursor digests;
    unsigned seen = 0;

    ev->index = bawn_cursor_u32(c);
    ev->type = bawn_cursor_u32(c);
    ev->nr_digests = bawn_cursor_u32(c);
    if (c->failed)
        return "is cut short";
    if (ev->nr_digests == 0)
        return "has no digest";
    if (ev->nr_digests > log->nr_algs)
        return "has more digests than the log has algorithms";
    digests = *c;
    for (unsigned i = 0; i < ev->nr_digests; i++) {
        unsigned bit = 0;
        uint16_t id = bawn_cursor_u16(c);
        const struct eventlog_alg *alg = log_alg(log, id, &bit);

        if (c->failed)
            return "is cut short";
        if (!alg)
            return "has a digest of an algorithm that the log does not list";
        if (seen & bit)
            return "has two digests of one algorithm";
        seen |= bit;
        bawn_cursor_take(c, alg->size);
    }
    if (c->failed)
        return "is cut short";
    ev->digests = take(&digests, bawn_cursor_left(&digests) - bawn_cursor_left(c));
    ev->data = take(c, bawn_cursor_u32(c));
    return c->failed ? "is cut short" : NULL;
}

/* The rest of the log is what the area held before: all 0x00 or all 0xff. Says where that run
 * begins, sought once and from the end, since a hostile log has many places where one could. */
static const uint8_t *padding_of(struct bawn_bytes bytes)
{
    const uint8_t *start = bytes.data, *p = start + bytes.len;
    uint8_t filler = bytes.len ? p[-1] : 0x01;

    if (filler != 0x00 && filler != 0xff)
        return p;
    while (p > start && p[-1] == filler)
        p--;
    return p;
}

/* PFP 10.4.5.1, Specification ID Version Event; the fields before the algorithms are those of
 * the older events too (TCG EFI Platform 1.22, 7.4; PC Client Conventional BIOS 1.21, 11.3.4). */
static void read_version(struct eventlog *log, struct bawn_cursor *c)
{
    bawn_cursor_take(c, SIGNATURE_SIZE);
    bawn_cursor_u32(c); /* platformClass */
    log->minor = bawn_cursor_u8(c);
    log->major = bawn_cursor_u8(c);
    log->errata = bawn_cursor_u8(c);
    bawn_cursor_u8(c); /* uintnSize */
    log->has_version = !c->failed;
}

static const char *read_algorithms(struct eventlog *log, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint32_t n;

    read_version(log, &c);
    n = bawn_cursor_u32(&c);
    if (c.failed)
        return "is cut short";
    if (n == 0 || n > EVENTLOG_ALGS)
        return "lists no algorithm, or more than 16";
    for (uint32_t i = 0; i < n; i++) {
        struct eventlog_alg *alg = &log->algs[i];
        const struct eventlog_alg *known;
        unsigned bit;

        alg->id = bawn_cursor_u16(&c);
        alg->size = bawn_cursor_u16(&c);
        if (c.failed)
            return "is cut short";
        if (log_alg(log, alg->id, &bit))
            return "lists an algorithm twice";
        known = known_alg(alg->id);
        if (known ? alg->size != known->size : !alg->size || alg->size > DIGEST_SIZE_MAX)
            return "gives an algorithm a wrong digest size";
        alg->hash = known ? known->hash : HASH_NONE;
        log->nr_algs = i + 1;
    }
    bawn_cursor_take(&c, bawn_cursor_u8(&c)); /* vendorInfo */
    if (c.failed)
        return "is cut short";
    return bawn_cursor_left(&c) ? "has bytes after its end" : NULL;
}

/* The first event says which form the rest has. */
static enum bawn_status read_header(struct eventlog *log, struct bawn_cursor *c,
                                    struct bawn_error *err)
{
    struct bawn_cursor peek = *c;
    struct eventlog_event ev;
    const char *wrong;

    read_sha1_event(&peek, &ev);
    if (peek.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "the first event is cut short: this is no event log");
    log->agile = ev.type == EV_NO_ACTION && begins(ev.data, "Spec ID Event03");
    if (!log->agile) {
        struct bawn_cursor data = bawn_cursor_over(ev.data.data, ev.data.len);

        if (log->cc)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "the first event is not a Spec ID Event03, as a CC log begins");
        if (ev.type == EV_NO_ACTION &&
            (begins(ev.data, "Spec ID Event02") || begins(ev.data, "Spec ID Event00")))
            read_version(log, &data);
        log->algs[0] = known_algs[0];
        log->nr_algs = 1;
        return BAWN_OK;
    }
    if (!bytes_zero(ev.digests.data, ev.digests.len))
        return bawn_fail(err, BAWN_E_FORMAT, "the Spec ID event has a digest that is not zero");
    wrong = read_algorithms(log, ev.data);
    if (wrong)
        return bawn_fail(err, BAWN_E_FORMAT, "the Spec ID event %s", wrong);
    return BAWN_OK;
}

/* PFP 10.4.5.3, Startup Locality Event; 3.3.2: when an H-CRTM measured first, PCR 0 started as
 * for locality 4, whatever locality TPM2_Startup came from later. */
static const char *note_locality(struct eventlog *log, const struct eventlog_event *ev)
{
    static const char text[] = "StartupLocality";
    uint8_t locality;

    if (log->cc)
        return NULL;
    if (ev->type == EV_EFI_HCRTM_EVENT && ev->index == 0 && !(log->extended & 1))
        log->hcrtm = true;
    if (ev->type != EV_NO_ACTION || ev->data.len != sizeof(text) + 1 || !begins(ev->data, text))
        return NULL;
    locality = ev->data.data[sizeof(text)];
    if (locality != 0 && locality != 3 && locality != LOCALITY_HCRTM)
        return "gives a startup locality that is not 0, 3 or 4";
    if (log->has_locality)
        return "gives a second startup locality";
    log->has_locality = true;
    log->locality = locality;
    return NULL;
}

static const char *check_event(struct eventlog *log, const struct eventlog_event *ev)
{
    const char *wrong = note_locality(log, ev);

    if (wrong || ev->type == EV_NO_ACTION)
        return wrong;
    if (log->cc && ev->index >= EVENTLOG_CC_REGISTERS)
        return "is for a measurement register above RTMR3";
    if (ev->index >= EVENTLOG_REGISTERS)
        return "is for a PCR above 23";
    if (eventlog_extends(log, ev))
        log->extended |= 1u << ev->index;
    return NULL;
}

static const char *read_event(const struct eventlog *log, struct bawn_cursor *c,
                              struct eventlog_event *ev)
{
    ev->offset = (size_t)(c->pos - c->start);
    if (log->agile && ev->offset)
        return read_agile_event(log, c, ev);
    read_sha1_event(c, ev);
    if (log->agile) { /* the Spec ID event: in the old form, and it has no digest */
        ev->nr_digests = 0;
        ev->digests.len = 0;
    }
    return c->failed ? "is cut short" : NULL;
}

enum bawn_status eventlog_open(struct eventlog *log, struct bawn_bytes bytes, bool cc,
                               struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);
    const uint8_t *padding = padding_of(bytes);
    enum bawn_status st;

    *log = (struct eventlog){ .cc = cc };
    if (!bytes.len)
        return bawn_fail(err, BAWN_E_FORMAT, "the event log is empty");
    st = read_header(log, &c, err);
    if (st != BAWN_OK)
        return st;
    while (bawn_cursor_left(&c) && c.pos < padding) {
        struct eventlog_event ev = { .number = log->nr_events };
        const char *wrong = read_event(log, &c, &ev);

        if (!wrong)
            wrong = check_event(log, &ev);
        if (wrong)
            return bawn_fail(err, BAWN_E_FORMAT, "event %zu at offset 0x%zx of the log %s",
                             ev.number, ev.offset, wrong);
        log->nr_events++;
    }
    if (!log->nr_events)
        return bawn_fail(err, BAWN_E_FORMAT, "the event log has no event, only padding");
    log->padding = bawn_cursor_left(&c);
    log->bytes = (struct bawn_bytes){ bytes.data, bytes.len - log->padding };
    return BAWN_OK;
}

struct bawn_cursor eventlog_start(const struct eventlog *log)
{
    return bawn_cursor_over(log->bytes.data, log->bytes.len);
}

bool eventlog_next(const struct eventlog *log, struct bawn_cursor *at, struct eventlog_event *ev)
{
    size_t number = ev->number;

    if (!bawn_cursor_left(at))
        return false;
    number = at->pos == at->start ? 0 : number + 1;
    *ev = (struct eventlog_event){ .number = number };
    return !read_event(log, at, ev);
}

struct bawn_bytes eventlog_digest(const struct eventlog *log, const struct eventlog_event *ev,
                                  enum hash_alg alg)
{
    struct bawn_cursor c = bawn_cursor_over(ev->digests.data, ev->digests.len);
    struct bawn_bytes none = { NULL, 0 };

    if (!log->agile)
        return alg == HASH_SHA1 ? ev->digests : none;
    while (bawn_cursor_left(&c)) {
        unsigned bit;
        const struct eventlog_alg *a = log_alg(log, bawn_cursor_u16(&c), &bit);
        struct bawn_bytes digest = take(&c, a ? a->size : UINT64_MAX);

        if (digest.data && a && a->hash == alg && alg != HASH_NONE)
            return digest;
    }
    return none;
}

bool eventlog_extends(const struct eventlog *log, const struct eventlog_event *ev)
{
    /* MRTD is closed when the guest starts; an event for it is only a note. */
    return ev->type != EV_NO_ACTION && !(log->cc && ev->index == 0);
}

bool eventlog_has_bank(const struct eventlog *log, enum hash_alg alg)
{
    for (unsigned i = 0; i < log->nr_algs; i++) {
        if (log->algs[i].hash == alg && alg != HASH_NONE)
            return true;
    }
    return false;
}

/* TPM 2.0 library, part 1, 34.4, and PC Client Platform TPM Profile 1.05, 4.6.2: the PCRs of
 * dynamic launch start as ones, all others as zeros; RTMRs as zeros. */
static void initial_values(const struct eventlog *log, struct eventlog_replay *out)
{
    memset(out->value, 0, sizeof(out->value));
    if (log->cc)
        return;
    for (unsigned i = 17; i <= 22; i++)
        memset(out->value[i], 0xff, hash_size(out->alg));
    out->value[0][hash_size(out->alg) - 1] = log->hcrtm ? LOCALITY_HCRTM : log->locality;
}

enum bawn_status eventlog_replay(const struct eventlog *log, enum hash_alg alg,
                                 struct eventlog_replay *out, struct bawn_error *err)
{
    struct bawn_cursor at = eventlog_start(log);
    struct eventlog_event ev = { 0 };
    size_t size = hash_size(alg);

    if (!eventlog_has_bank(log, alg))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "the event log has no %s digests",
                         hash_name(alg));
    out->alg = alg;
    out->extended = log->extended;
    initial_values(log, out);
    while (eventlog_next(log, &at, &ev)) {
        struct bawn_bytes digest, old;
        uint8_t next[HASH_MAX];

        if (!eventlog_extends(log, &ev))
            continue;
        digest = eventlog_digest(log, &ev, alg);
        if (digest.len != size)
            return bawn_fail(err, BAWN_E_FORMAT, "event %zu at offset 0x%zx has no %s digest",
                             ev.number, ev.offset, hash_name(alg));
        old = (struct bawn_bytes){ out->value[ev.index], size };
        if (!hash_two(alg, old, digest, next))
            return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not compute %s", hash_name(alg));
        memcpy(out->value[ev.index], next, size);
    }
    return BAWN_OK;
}

bool eventlog_ccel_table(struct bawn_bytes blob, uint64_t *address, uint64_t *size)
{
    /* ACPI 6.5, 5.2.34: header of 36 bytes, CC type and subtype, reserved, length, address. */
    enum { TABLE_SIZE = 56, HEADER_REST = 28 };
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    const uint8_t *signature = bawn_cursor_take(&c, 4);

    if (blob.len != TABLE_SIZE || !signature || memcmp(signature, "CCEL", 4) ||
        bawn_cursor_u32(&c) != TABLE_SIZE)
        return false;
    bawn_cursor_take(&c, HEADER_REST);
    bawn_cursor_u32(&c); /* type, subtype, reserved */
    *size = bawn_cursor_u64(&c);
    *address = bawn_cursor_u64(&c);
    return !c.failed;
}

/* A CC log keeps SHA-384 digests only, and every index in it is of RTMR0..3 (or MRTD, for notes).
 * The firmware of a TD writes its Spec ID event with the index of RTMR0; a log that does not is
 * told from a TPM's by what it has no events for. */
static bool looks_cc(const struct eventlog *log)
{
    const uint32_t rtmrs = (1u << EVENTLOG_CC_REGISTERS) - 2, mrtd = 1;
    struct bawn_cursor c = eventlog_start(log);

    if (!log->agile || log->nr_algs != 1 || log->algs[0].hash != HASH_SHA384)
        return false;
    if (bawn_cursor_u32(&c) == 1)
        return !(log->extended & ~(rtmrs | mrtd));
    return log->extended && !(log->extended & ~rtmrs);
}

/* Whether it begins as a SHA-1 log: all of it, or at least three events, are of known types and
 * registers. The form has no magic number. */
static bool begins_sha1_log(struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    const uint8_t *padding = padding_of(blob);
    unsigned n = 0;

    while (bawn_cursor_left(&c) && n < 3 && !(n && c.pos >= padding)) {
        struct eventlog_event ev;

        read_sha1_event(&c, &ev);
        if (c.failed || ev.index >= EVENTLOG_REGISTERS || ev.type == EV_PREBOOT_CERT ||
            (ev.type > EV_POST_CODE2 &&
             (ev.type < EV_EFI_VARIABLE_DRIVER_CONFIG || ev.type > EV_EFI_SPDM_DEVICE_AUTHORITY)))
            return false;
        n++;
    }
    return n > 0;
}

bool eventlog_recognise(struct bawn_bytes blob, bool *cc)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    struct eventlog_event ev;
    uint64_t address, size;
    struct eventlog log;

    *cc = true;
    if (eventlog_ccel_table(blob, &address, &size))
        return true;
    *cc = false;
    read_sha1_event(&c, &ev);
    if (c.failed)
        return false;
    if (ev.type != EV_NO_ACTION || !begins(ev.data, "Spec ID Event03"))
        return begins_sha1_log(blob);
    if (eventlog_open(&log, blob, false, NULL) == BAWN_OK)
        *cc = looks_cc(&log);
    else
        *cc = ev.index == 1;
    return true;
}
