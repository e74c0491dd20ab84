// SPDX-License-Identifier: Apache-2.0
/*
 * Entries as an auditor reads them: hostile text that must be exactly what log_append writes.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/jose/jose.h"
#include "attest/log/reader.h"

static bool read_hex(const char *text, uint8_t *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < 2 * len; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

        if (!digit)
            return false;
        data[i / 2] = (uint8_t)(data[i / 2] << 4 | (digit - digits));
    }
    return !text[2 * len];
}

/* Days from 1970-01-01 in the Gregorian calendar; a year begins in March here, so that the leap
 * day is its last. */
static int64_t days_of(int year, int month, int day)
{
    int y = year - (month < 3), m = (month + 9) % 12;

    return (int64_t)365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* "2026-01-02T03:04:05.678Z" and no other form. */
static bool read_time(const char *text, int64_t *ms)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int v[7] = { 0 }, field = 0;
    bool leap;

    for (size_t i = 0; i < sizeof(form); i++) {
        if (form[i] != 'd') {
            if (text[i] != form[i])
                return false;
            field += field < 6;
        } else if (text[i] < '0' || text[i] > '9') {
            return false;
        } else {
            v[field] = v[field] * 10 + text[i] - '0';
        }
    }
    leap = (v[0] % 4 == 0 && v[0] % 100 != 0) || v[0] % 400 == 0;
    if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
        v[2] > days[v[1] - 1] + (v[1] == 2 && leap) || v[3] > 23 || v[4] > 59 || v[5] > 59)
        return false;
    *ms = (((days_of(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000 + v[6];
    return true;
}

/* The one way to write it: two readers must not see two entries in the same bytes. */
static enum bawn_status check_canonical(struct bawn_bytes text, const json_t *json,
                                        struct bawn_error *err)
{
    char *again = NULL;
    size_t len = 0;
    enum bawn_status st = json_canonical(json, &again, &len, err);

    if (st == BAWN_OK && (len != text.len || memcmp(again, text.data, len) != 0))
        st = bawn_fail(err, BAWN_E_FORMAT, "not in canonical form (RFC 8785)");
    free(again);
    return st;
}

enum bawn_status log_entry_read(struct bawn_bytes text, struct log_entry *entry,
                                struct bawn_error *err)
{
    const char *time, *prev;
    const json_t *seq;
    enum bawn_status st;

    *entry = (struct log_entry){ .json = NULL };
    if (text.len > LOG_ENTRY_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "longer than %u bytes", LOG_ENTRY_MAX);
    st = json_read(text, &entry->json, err);
    if (st != BAWN_OK)
        return st;
    st = check_canonical(text, entry->json, err);
    seq = json_object_get(entry->json, "seq");
    time = json_string_value(json_object_get(entry->json, "time"));
    prev = json_string_value(json_object_get(entry->json, "prev"));
    if (st == BAWN_OK && (!json_is_integer(seq) || json_integer_value(seq) < 0))
        st = bawn_fail(err, BAWN_E_FORMAT, "its \"seq\" must be a number from 0");
    if (st == BAWN_OK && (!time || !read_time(time, &entry->time_ms)))
        st = bawn_fail(err, BAWN_E_FORMAT, "its \"time\" must be like 2026-01-02T03:04:05.678Z");
    if (st == BAWN_OK && (!prev || !read_hex(prev, entry->prev, LOG_HASH)))
        st = bawn_fail(err, BAWN_E_FORMAT, "its \"prev\" must be 64 hexadecimal digits");
    if (st != BAWN_OK) {
        log_entry_clear(entry);
        return st;
    }
    entry->seq = (uint64_t)json_integer_value(seq);
    return BAWN_OK;
}

void log_entry_clear(struct log_entry *entry)
{
    json_decref(entry->json);
    entry->json = NULL;
}
