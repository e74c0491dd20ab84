// SPDX-License-Identifier: Apache-2.0
/*
 * Exported logs: lines of JSON (docs/log.md). The file is hostile.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attest/jose/jose.h"
#include "attest/log/reader.h"

#define VERSION 1
#define CHECKPOINT "{\"checkpoint\":"

/* A line without its end. False: nothing is left. */
static bool next_line(struct log_export *x, struct bawn_bytes *line, struct bawn_error *err,
                      enum bawn_status *st)
{
    size_t most = x->rest.len < LOG_ENTRY_MAX + 1 ? x->rest.len : LOG_ENTRY_MAX + 1;
    const uint8_t *end;

    *st = BAWN_OK;
    if (!x->rest.len)
        return false;
    x->line++;
    end = memchr(x->rest.data, '\n', most);
    if (!end && most > LOG_ENTRY_MAX)
        *st = bawn_fail(err, BAWN_E_FORMAT, "line %" PRIu64 " is longer than %u bytes", x->line,
                        LOG_ENTRY_MAX);
    else if (!end)
        *st = bawn_fail(err, BAWN_E_FORMAT, "line %" PRIu64 " has no end: the file was cut there",
                        x->line);
    if (!end)
        return false;
    *line = (struct bawn_bytes){ x->rest.data, (size_t)(end - x->rest.data) };
    x->rest.data = end + 1;
    x->rest.len -= line->len + 1;
    return true;
}

static enum bawn_status read_head(struct log_export *x, const json_t *head, struct bawn_error *err)
{
    const json_t *version = json_object_get(head, "bawn_log");
    const json_t *entries = json_object_get(head, "entries"), *key = json_object_get(head, "key");

    if (!json_is_integer(version) || !json_is_integer(entries) || json_integer_value(entries) < 0)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "not an exported log: line 1 must be {\"bawn_log\":%d,\"entries\":...}",
                         VERSION);
    if (json_integer_value(version) != VERSION)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "an exported log of version %" JSON_INTEGER_FORMAT
                         "; this program reads %d",
                         json_integer_value(version), VERSION);
    x->entries = (uint64_t)json_integer_value(entries);
    if (json_is_string(key) && !(x->key = strdup(json_string_value(key))))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    return BAWN_OK;
}

enum bawn_status log_export_open(struct log_export *x, struct bawn_bytes file,
                                 struct bawn_error *err)
{
    struct bawn_bytes line;
    enum bawn_status st;
    json_t *head = NULL;

    *x = (struct log_export){ .rest = file };
    if (!next_line(x, &line, err, &st))
        return st == BAWN_OK ? bawn_fail(err, BAWN_E_FORMAT, "not an exported log: it is empty")
                             : st;
    if (line.len > LOG_NOTE_MAX || json_read(line, &head, err) != BAWN_OK)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "not an exported log: line 1 must be {\"bawn_log\":%d,\"entries\":...}",
                         VERSION);
    st = read_head(x, head, err);
    json_decref(head);
    return st;
}

/* A line that looks like a checkpoint. One with more members is an entry. */
static enum bawn_status read_checkpoint(struct log_export *x, struct bawn_bytes line,
                                        struct log_item *item, struct bawn_error *err)
{
    const json_t *note;
    json_t *json = NULL;

    if (json_read(line, &json, NULL) != BAWN_OK || json_object_size(json) != 1) {
        json_decref(json);
        return BAWN_OK;
    }
    free(x->note);
    x->note = NULL;
    note = json_object_get(json, "checkpoint");
    if (json_is_string(note) && json_string_length(note) <= LOG_NOTE_MAX)
        x->note = strndup(json_string_value(note), json_string_length(note));
    json_decref(json);
    if (!x->note)
        return bawn_fail(err, BAWN_E_FORMAT, "line %" PRIu64 ": no checkpoint of at most %u bytes",
                         x->line, LOG_NOTE_MAX);
    *item = (struct log_item){ LOG_ITEM_CHECKPOINT, { (uint8_t *)x->note, strlen(x->note) } };
    return BAWN_OK;
}

enum bawn_status log_export_next(struct log_export *x, struct log_item *item,
                                 struct bawn_error *err)
{
    struct bawn_bytes line;
    enum bawn_status st;

    *item = (struct log_item){ .kind = LOG_ITEM_END };
    if (!next_line(x, &line, err, &st))
        return st;
    *item = (struct log_item){ LOG_ITEM_ENTRY, line };
    if (line.len > strlen(CHECKPOINT) && !memcmp(line.data, CHECKPOINT, strlen(CHECKPOINT)))
        return read_checkpoint(x, line, item, err);
    return BAWN_OK;
}

void log_export_close(struct log_export *x)
{
    free(x->key);
    free(x->note);
    x->key = x->note = NULL;
}

/* ---- Writing ---- */

/* Takes the value. */
static char *line_of(json_t *value)
{
    char *text = NULL, *line = NULL;
    size_t len;

    if (value && json_canonical(value, &text, &len, NULL) == BAWN_OK &&
        asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    json_decref(value);
    return line;
}

char *log_export_head(uint64_t entries, const char *key)
{
    return line_of(json_pack("{s:i, s:I, s:s*}", "bawn_log", VERSION, "entries",
                             (json_int_t)entries, "key", key));
}

char *log_export_checkpoint(struct bawn_bytes note)
{
    return line_of(json_pack("{s:s%}", "checkpoint", (const char *)note.data, note.len));
}
