/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259) read into a flat array of tokens: no recursion, depth at most 32, memory in
 * proportion to the text. Strict: UTF-8, no duplicate keys in one object, nothing after the
 * value. Strings are unescaped only when asked for.
 */
#ifndef BAWN_ATTEST_JSON_H
#define BAWN_ATTEST_JSON_H

#include "attest/lib/result.h"

enum json_type { JSON_NONE, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE,
                 JSON_FALSE, JSON_NULL };

struct json_token {
    enum json_type type;
    uint32_t start, end; /* of the text: a string without its quotes, a container with braces */
    uint32_t next;       /* index of the token after this value and all inside it */
    uint32_t n;          /* members or elements */
    bool escaped;        /* the string holds a backslash */
};

struct json {
    struct bawn_bytes text;
    const struct json_token *tokens; /* tokens[0] is the whole value */
    size_t n;
    struct arena *arena;
    uint32_t line, column; /* of the error, from 1 */
    const char *error;     /* static text, NULL when parsed */
};

/* At most 16 MiB of text. False: j->error, line and column say why. */
bool json_parse(struct json *j, struct arena *a, struct bawn_bytes text);

/* A value in the document; 0 is the whole, JSON_ABSENT none. Every accessor takes JSON_ABSENT
 * and wrong types, and says absent or false. */
#define JSON_ABSENT UINT32_MAX
enum json_type json_type(const struct json *j, uint32_t v);
uint32_t json_get(const struct json *j, uint32_t object, const char *key);
/* Elements in order: for (e = json_first(j, a); e != JSON_ABSENT; e = json_next(j, a, e)).
 * For an object these are keys; the member's value is json_value(j, key). */
uint32_t json_first(const struct json *j, uint32_t container);
uint32_t json_next(const struct json *j, uint32_t container, uint32_t element);
uint32_t json_value(const struct json *j, uint32_t key);
size_t json_count(const struct json *j, uint32_t container);
/* Unescaped content; borrows from the text when nothing is escaped, else from the arena. */
bool json_string(const struct json *j, uint32_t v, struct bawn_bytes *out);
bool json_string_is(const struct json *j, uint32_t v, const char *text);
bool json_uint(const struct json *j, uint32_t v, uint64_t *out); /* no sign, fraction, exponent */
bool json_hex(const struct json *j, uint32_t v, struct bawn_bytes *out);
/* The value's own bytes in the text, for signatures over them. */
struct bawn_bytes json_raw(const struct json *j, uint32_t v);

#endif
