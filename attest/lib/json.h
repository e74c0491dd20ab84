/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259) read into a flat array of tokens: no recursion, depth at most 32, memory in
 * proportion to the text. Strict: UTF-8, no duplicate keys in one object, nothing after the
 * value. Strings are unescaped only when asked for. (Named js_, since json_ is jansson's.)
 */
#ifndef BAWN_ATTEST_JSON_H
#define BAWN_ATTEST_JSON_H

#include "attest/lib/result.h"

enum js_type { JS_NONE, JS_OBJECT, JS_ARRAY, JS_STRING, JS_NUMBER, JS_TRUE, JS_FALSE, JS_NULL };

struct js_token {
    enum js_type type;
    uint32_t start, end; /* of the text: a string without its quotes, a container with braces */
    uint32_t next;       /* index of the token after this value and all inside it */
    uint32_t n;          /* members or elements */
    bool escaped;        /* the string holds a backslash */
};

struct js {
    struct bawn_bytes text;
    const struct js_token *tokens; /* tokens[0] is the whole value */
    size_t n;
    struct arena *arena;
    uint32_t line, column; /* of the error, from 1 */
    const char *error;     /* static text, NULL when parsed */
};

/* At most 16 MiB of text. False: j->error, line and column say why. */
bool js_parse(struct js *j, struct arena *a, struct bawn_bytes text);

/* A value in the document; 0 is the whole, JS_ABSENT none. Every accessor takes JS_ABSENT
 * and wrong types, and says absent or false. */
#define JS_ABSENT UINT32_MAX
enum js_type js_type(const struct js *j, uint32_t v);
uint32_t js_get(const struct js *j, uint32_t object, const char *key);
/* Elements in order: for (e = js_first(j, a); e != JS_ABSENT; e = js_next(j, a, e)).
 * For an object these are keys; the member's value is js_value(j, key). */
uint32_t js_first(const struct js *j, uint32_t container);
uint32_t js_next(const struct js *j, uint32_t container, uint32_t element);
uint32_t js_value(const struct js *j, uint32_t key);
size_t js_count(const struct js *j, uint32_t container);
/* Unescaped content; borrows from the text when nothing is escaped, else from the arena. */
bool js_string(const struct js *j, uint32_t v, struct bawn_bytes *out);
bool js_string_is(const struct js *j, uint32_t v, const char *text);
bool js_uint(const struct js *j, uint32_t v, uint64_t *out); /* no sign, fraction, exponent */
bool js_hex(const struct js *j, uint32_t v, struct bawn_bytes *out);
/* The value's own bytes in the text, for signatures over them. */
struct bawn_bytes js_raw(const struct js *j, uint32_t v);

#endif
