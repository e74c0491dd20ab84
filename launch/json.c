// SPDX-License-Identifier: Apache-2.0
/*
 * Structures from and to JSON objects. The text is a user's or an API client's: nothing of it is
 * trusted, and each message has the path of the key that it is about.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "launch/json.h"

/* ---- What is read ---- */

struct reader {
    char path[160];
    size_t len;
    struct bawn_error *err;
};

/* A name from outside, as text for a terminal and for JSON. */
static void clean(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            *text = '?';
}

/* Goes down to a key or entry; returns what reader_up() takes. */
__attribute__((format(printf, 2, 3))) static size_t go_down(struct reader *r, const char *fmt, ...)
{
    size_t was = r->len, room = sizeof(r->path) - r->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(r->path + r->len, room, fmt, ap);
    va_end(ap);
    clean(r->path + r->len);
    r->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    return was;
}

static size_t go_to_key(struct reader *r, const char *name)
{
    return go_down(r, "%s%.40s", r->len ? "." : "", name);
}

static void go_up(struct reader *r, size_t was)
{
    r->len = was;
    r->path[was] = '\0';
}

__attribute__((format(printf, 2, 3))) static enum bawn_status refuse(const struct reader *r,
                                                                     const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return bawn_fail(r->err, BAWN_E_CONFIG, "%s%s%s", r->path, r->len ? ": " : "", text);
}

static enum bawn_status no_memory(const struct reader *r)
{
    return bawn_fail(r->err, BAWN_E_NOMEM, "out of memory");
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    return names[json_typeof(value)];
}

void bawn_json_say(const json_t *value, char *to, size_t room)
{
    char *text = json_is_object(value) || json_is_array(value)
                     ? NULL
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    size_t len = text ? strlen(text) : 0;

    if (len && len < room)
        memcpy(to, text, len + 1);
    else
        snprintf(to, room, "%s", len ? "what is there" : type_name(value));
    free(text);
}

static enum bawn_status wrong_type(const struct reader *r, const char *want, const json_t *value)
{
    return refuse(r, "must be %s, not %s", want, type_name(value));
}

static enum bawn_status not_served(const struct reader *r, const struct bawn_json_field *f,
                                   const json_t *value)
{
    char said[60];

    bawn_json_say(value, said, sizeof(said));
    return refuse(r, "%s is not served: %s", said, f->why);
}

/* Index of text in "word|word", or -1. */
static int find_word(const char *text, const char *words)
{
    size_t len = strlen(text);

    for (int i = 0; words; i++) {
        size_t n = strcspn(words, "|");

        if (n == len && !memcmp(words, text, n))
            return i;
        words = words[n] ? words + n + 1 : NULL;
    }
    return -1;
}

/* "a, b and c" of "a|b|c"; empty ones are "" there. */
static void list_words(const char *words, char *to, size_t room)
{
    size_t at = 0;

    for (bool first = true; words; first = false) {
        size_t n = strcspn(words, "|");
        const char *next = words[n] ? words + n + 1 : NULL;
        int wrote = snprintf(to + at, room - at, "%s%.*s",
                             first  ? ""
                             : next ? ", "
                                    : " or ",
                             n ? (int)n : 2, n ? words : "\"\"");

        at += wrote > 0 && (size_t)wrote < room - at ? (size_t)wrote : 0;
        words = next;
    }
}

static void set_number(void *object, const struct bawn_json_field *f, uint64_t n)
{
    if (f->at != BAWN_JSON_NOWHERE) /* a little-endian machine: the low bytes come first */
        memcpy((char *)object + f->at, &n, f->width);
}

static uint64_t get_number(const void *object, const struct bawn_json_field *f)
{
    uint64_t n = 0;

    memcpy(&n, (const char *)object + f->at, f->width);
    return n;
}

static uint64_t largest(const struct bawn_json_field *f)
{
    uint64_t most =
        f->at == BAWN_JSON_NOWHERE || f->width >= 8 ? INT64_MAX : (1ull << 8 * f->width) - 1;

    return f->max && f->max < most ? f->max : most;
}

static enum bawn_status read_string(struct reader *r, const struct bawn_json_field *f, void *object,
                                    const json_t *value)
{
    char *copy, **to = (char **)((char *)object + f->at);
    size_t len = json_string_length(value);

    if (!json_is_string(value))
        return wrong_type(r, "a string", value);
    if (len < f->min)
        return refuse(r, "must not be empty");
    if (f->max && len > f->max)
        return refuse(r, "has %zu bytes: at most %" PRIu64, len, f->max);
    if (f->at == BAWN_JSON_NOWHERE)
        return BAWN_OK;
    copy = strdup(json_string_value(value));
    if (!copy)
        return no_memory(r);
    free(*to);
    *to = copy;
    return BAWN_OK;
}

static enum bawn_status read_bool(struct reader *r, const struct bawn_json_field *f, void *object,
                                  const json_t *value)
{
    if (!json_is_boolean(value))
        return wrong_type(r, "true or false", value);
    set_number(object, f, json_is_true(value));
    return BAWN_OK;
}

static enum bawn_status read_number(struct reader *r, const struct bawn_json_field *f, void *object,
                                    const json_t *value)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value))
        return wrong_type(r, "a whole number", value);
    if (n < 0 || (uint64_t)n < f->min || (uint64_t)n > largest(f))
        return refuse(r,
                      "%" JSON_INTEGER_FORMAT " is out of range: must be %" PRIu64 " to %" PRIu64,
                      n, f->min, largest(f));
    set_number(object, f, (uint64_t)n);
    return BAWN_OK;
}

static enum bawn_status read_name(struct reader *r, const struct bawn_json_field *f, void *object,
                                  const json_t *value)
{
    const char *text = json_string_value(value);
    char known[160], said[60];
    int n;

    if (!text)
        return wrong_type(r, "a string", value);
    n = find_word(text, f->words);
    if (n >= 0) {
        set_number(object, f, (uint64_t)n);
        return BAWN_OK;
    }
    if (find_word(text, f->refused) >= 0)
        return not_served(r, f, value);
    list_words(f->words, known, sizeof(known));
    bawn_json_say(value, said, sizeof(said));
    return refuse(r, "is %s: must be %s", said, known);
}

static enum bawn_status read_other(struct reader *r, const struct bawn_json_field *f, void *object,
                                   const json_t *value)
{
    const char *wrong = f->get(object, value);

    return wrong ? refuse(r, "%s", wrong) : BAWN_OK;
}

static enum bawn_status read_fixed(struct reader *r, const struct bawn_json_field *f, void *object,
                                   const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    int n = text ? find_word(text, f->words) : -1;

    (void)object;
    free(text);
    return n < 0 ? not_served(r, f, value) : BAWN_OK;
}

static enum bawn_status read_table(struct reader *r, const struct bawn_json_table *table,
                                   void *object, const json_t *value);

static enum bawn_status read_object(struct reader *r, const struct bawn_json_field *f, void *object,
                                    const json_t *value)
{
    return read_table(r, f->table, (char *)object + f->at, value);
}

static enum bawn_status read_list(struct reader *r, const struct bawn_json_field *f, void *object,
                                  const json_t *value)
{
    unsigned *count = (unsigned *)((char *)object + f->count);
    enum bawn_status st = BAWN_OK;

    if (!json_is_array(value))
        return wrong_type(r, "an array", value);
    for (size_t i = 0; st == BAWN_OK && i < json_array_size(value); i++) {
        size_t was = go_down(r, "[%zu]", i);

        if (*count >= f->max)
            return refuse(r, "is one too many: at most %" PRIu64 " are served", f->max);
        memset((char *)object + f->at + *count * f->table->size, 0, f->table->size);
        (*count)++; /* what was set of it is freed with the others */
        st = read_table(r, f->table, (char *)object + f->at + (*count - 1) * f->table->size,
                        json_array_get(value, i));
        go_up(r, was);
    }
    return st;
}

static const struct {
    enum bawn_status (*read)(struct reader *r, const struct bawn_json_field *f, void *object,
                             const json_t *value);
} kinds[] = {
    [BAWN_JSON_STRING] = { read_string }, [BAWN_JSON_BOOL] = { read_bool },
    [BAWN_JSON_NUMBER] = { read_number }, [BAWN_JSON_NAME] = { read_name },
    [BAWN_JSON_OBJECT] = { read_object }, [BAWN_JSON_LIST] = { read_list },
    [BAWN_JSON_OTHER] = { read_other },   [BAWN_JSON_FIXED] = { read_fixed },
};

const struct bawn_json_field *bawn_json_find(const struct bawn_json_table *table, const char *name)
{
    for (size_t i = 0; i < table->n; i++)
        if (!strcmp(table->field[i].name, name))
            return &table->field[i];
    return NULL;
}

static enum bawn_status unknown_key(struct reader *r, const struct bawn_json_table *table,
                                    const char *name)
{
    char known[300] = "";
    size_t at = 0;

    for (size_t i = 0; i < table->n; i++) {
        if (table->field[i].kind == BAWN_JSON_FIXED)
            continue;
        at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", at ? ", " : "",
                               table->field[i].name);
        if (at >= sizeof(known))
            break;
    }
    go_to_key(r, name);
    return refuse(r, "unknown key; known are %s", known);
}

static enum bawn_status read_table(struct reader *r, const struct bawn_json_table *table,
                                   void *object, const json_t *value)
{
    enum bawn_status st = BAWN_OK;
    const char *name;
    json_t *one;

    if (!json_is_object(value))
        return r->len ? wrong_type(r, "an object", value)
                      : refuse(r, "line 1: must be an object, not %s", type_name(value));
    json_object_foreach((json_t *)value, name,
                        one) if (!bawn_json_find(table, name)) return unknown_key(r, table, name);
    if (table->begin)
        table->begin(object);
    /* In the table's order, so that a field may ask for what an earlier one has set. */
    for (size_t i = 0; st == BAWN_OK && i < table->n; i++) {
        const struct bawn_json_field *f = &table->field[i];
        size_t was;

        one = json_object_get(value, f->name);
        if (!one || json_is_null(one)) {
            if (f->needed)
                return refuse(r, "%s is missing", f->name);
            continue;
        }
        was = go_to_key(r, f->name);
        st = kinds[f->kind].read(r, f, object, one);
        go_up(r, was);
    }
    return st;
}

enum bawn_status bawn_json_read(const struct bawn_json_table *table, void *object, const char *path,
                                const json_t *value, struct bawn_error *err)
{
    struct reader r = { .err = err };

    if (path)
        go_down(&r, "%s", path);
    return read_table(&r, table, object, value);
}

/* jansson's own bound, 2048, is more stack than a thread may have. */
static bool too_deep(const char *text, size_t len)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && (text[i] == '}' || text[i] == ']') && depth)
            depth--;
        if (depth > BAWN_JSON_DEPTH_MAX)
            return true;
    }
    return false;
}

enum bawn_status bawn_json_load(json_t **value, const char *text, size_t len,
                                struct bawn_error *err)
{
    json_error_t je;

    *value = NULL;
    if (len > BAWN_JSON_TEXT_MAX)
        return bawn_fail(err, BAWN_E_CONFIG, "the JSON text has %zu bytes: at most %u", len,
                         BAWN_JSON_TEXT_MAX);
    if (too_deep(text, len))
        return bawn_fail(err, BAWN_E_CONFIG, "the JSON text is deeper than %d levels",
                         BAWN_JSON_DEPTH_MAX);
    *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
    if (*value)
        return BAWN_OK;
    clean(je.text);
    return bawn_fail(err, BAWN_E_CONFIG, "line %d: %s", je.line > 0 ? je.line : 1, je.text);
}

/* ---- What is written ---- */

static bool add(json_t *to, const char *name, json_t *value)
{
    return value && !json_object_set_new(to, name, value);
}

static json_t *write_name(uint64_t n, const char *words)
{
    for (; n && words[strcspn(words, "|")]; n--)
        words += strcspn(words, "|") + 1;
    return json_stringn(words, strcspn(words, "|"));
}

static json_t *write_list(const struct bawn_json_field *f, const char *object)
{
    unsigned count = *(const unsigned *)(object + f->count);
    json_t *list = json_array();

    for (unsigned i = 0; list && i < count; i++) {
        if (json_array_append_new(list,
                                  bawn_json_write(f->table, object + f->at + i * f->table->size))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* *value: NULL if there is nothing to say. */
static bool write_field(const struct bawn_json_field *f, const char *object, json_t **value)
{
    const char *text;
    uint64_t n;

    *value = NULL;
    if (f->kind == BAWN_JSON_FIXED || f->at == BAWN_JSON_NOWHERE)
        return true;
    if (f->kind == BAWN_JSON_OTHER)
        return f->put(object, value);
    if (f->kind == BAWN_JSON_OBJECT) {
        if (f->table->there && !f->table->there(object + f->at))
            return true;
        *value = bawn_json_write(f->table, object + f->at);
        if (*value && !json_object_size(*value)) {
            json_decref(*value);
            *value = NULL;
            return true;
        }
        return *value;
    }
    if (f->kind == BAWN_JSON_LIST) {
        if (*(const unsigned *)(object + f->count))
            *value = write_list(f, object);
        return *value || !*(const unsigned *)(object + f->count);
    }
    if (f->kind == BAWN_JSON_STRING) {
        text = *(char *const *)(object + f->at);
        if (text)
            *value = json_string(text);
        return *value || !text;
    }
    n = get_number(object, f);
    if (!n && f->hidden_if_zero)
        return true;
    *value = f->kind == BAWN_JSON_BOOL   ? json_boolean(n)
             : f->kind == BAWN_JSON_NAME ? write_name(n, f->words)
                                         : json_integer((json_int_t)n);
    return *value;
}

json_t *bawn_json_write(const struct bawn_json_table *table, const void *object)
{
    json_t *out = json_object();
    bool ok = out;

    for (size_t i = 0; ok && i < table->n; i++) {
        json_t *value;

        ok = write_field(&table->field[i], object, &value) &&
             (!value || add(out, table->field[i].name, value));
    }
    if (ok)
        return out;
    json_decref(out);
    return NULL;
}

/* ---- The schema ---- */

static json_t *words_schema(const char *words, bool json)
{
    json_t *list = json_array(), *one;

    while (list && words) {
        size_t n = strcspn(words, "|");

        one = json ? json_loadb(words, n, JSON_DECODE_ANY, NULL) : json_stringn(words, n);
        if (json_array_append_new(list, one)) {
            json_decref(list);
            return NULL;
        }
        words = words[n] ? words + n + 1 : NULL;
    }
    return json_pack("{s:o}", "enum", list);
}

static json_t *field_schema(const struct bawn_json_field *f)
{
    json_t *out;

    switch (f->kind) {
    case BAWN_JSON_STRING:
        out = json_pack("{s:s}", "type", "string");
        if (out && f->min)
            json_object_set_new(out, "minLength", json_integer((json_int_t)f->min));
        if (out && f->max)
            json_object_set_new(out, "maxLength", json_integer((json_int_t)f->max));
        return out;
    case BAWN_JSON_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case BAWN_JSON_NUMBER:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)f->min,
                         "maximum", (json_int_t)largest(f));
    case BAWN_JSON_NAME:
        return words_schema(f->words, false);
    case BAWN_JSON_FIXED:
        return words_schema(f->words, true);
    case BAWN_JSON_OTHER:
        return json_loads(f->words, 0, NULL);
    case BAWN_JSON_OBJECT:
        return bawn_json_schema(f->table);
    case BAWN_JSON_LIST:
        return json_pack("{s:s, s:I, s:o}", "type", "array", "maxItems", (json_int_t)f->max,
                         "items", bawn_json_schema(f->table));
    }
    return NULL;
}

/* Of the field's schema, one that takes null too. */
static json_t *or_null(json_t *schema)
{
    return schema ? json_pack("{s:[{s:s}, o]}", "anyOf", "type", "null", schema) : NULL;
}

json_t *bawn_json_schema(const struct bawn_json_table *table)
{
    json_t *keys = json_object(), *needed = json_array();
    bool ok = keys && needed;

    for (size_t i = 0; ok && i < table->n; i++) {
        const struct bawn_json_field *f = &table->field[i];
        json_t *one = field_schema(f);

        if (f->needed)
            ok = !json_array_append_new(needed, json_string(f->name));
        else
            one = or_null(one);
        ok = add(keys, f->name, one) && ok;
        if (ok && (f->help || f->why))
            ok = add(one, "description", json_string(f->help ? f->help : f->why));
    }
    if (!ok) {
        json_decref(keys);
        json_decref(needed);
        return NULL;
    }
    if (!json_array_size(needed)) {
        json_decref(needed);
        return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", keys,
                         "additionalProperties", 0);
    }
    return json_pack("{s:s, s:o, s:b, s:o}", "type", "object", "properties", keys,
                     "additionalProperties", 0, "required", needed);
}
