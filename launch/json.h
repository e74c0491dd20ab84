/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structures as JSON objects, by a table of their keys: the table reads, prints, names the known
 * keys to who wrote an unknown one, and makes the JSON schema. Trusts the table; nothing of the
 * text.
 */
#ifndef BAWN_JSON_H
#define BAWN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "bawn/status.h"

#define BAWN_JSON_TEXT_MAX (1u << 18) /* room for every served key many times over */
#define BAWN_JSON_DEPTH_MAX 16        /* and for objects in objects */

enum bawn_json_kind {
    BAWN_JSON_STRING, /* char *, owned; min to max bytes */
    BAWN_JSON_BOOL,
    BAWN_JSON_NUMBER, /* unsigned, of any width; min to max */
    BAWN_JSON_NAME,   /* a number: which of words ("Off|Null") it is; refused ones have a why */
    BAWN_JSON_OBJECT, /* at: where the table's structure begins */
    BAWN_JSON_LIST,   /* at: an array of the table's structures; count: their number; at most max */
    BAWN_JSON_OTHER,  /* get and put; words: its schema */
    BAWN_JSON_FIXED,  /* words: the JSON values that change nothing ("0|null"); others have a why */
};

#define BAWN_JSON_NOWHERE SIZE_MAX /* at: checked, and then of no consequence */

struct bawn_json_table;

struct bawn_json_field {
    const char *name;
    size_t at, width;
    uint64_t min, max; /* max 0: none, but the width's */
    const char *words, *refused, *why;
    const struct bawn_json_table *table;
    size_t count; /* an unsigned */
    enum bawn_json_kind kind;
    bool needed;
    bool hidden_if_zero; /* a number or bool that is not printed when it is 0 */
    const char *help;    /* the schema's description; NULL: none */
    /* Sets the structure, or says in a few words what the value must be: "must be ...". */
    const char *(*get)(void *object, const json_t *value);
    /* *value: new, or NULL if the key is to be left out. False: no memory. */
    bool (*put)(const void *object, json_t **value);
};

struct bawn_json_table {
    const struct bawn_json_field *field;
    size_t n, size;
    void (*begin)(void *object);       /* before keys are read; an entry of a list is zeroed */
    bool (*there)(const void *object); /* whether it is printed; NULL: when it has any keys */
};

#define BAWN_JSON_TABLE(array) .field = (array), .n = sizeof(array) / sizeof((array)[0])
#define BAWN_JSON_AT(type, member) \
    .at = offsetof(type, member), .width = sizeof(((type *)NULL)->member)

/* Text as an object, which the caller releases. BAWN_E_CONFIG: "line N: ...". */
enum bawn_status bawn_json_load(json_t **value, const char *text, size_t len,
                                struct bawn_error *err);
/* Sets what the value has over what the object holds; null counts as not there. path: what the
 * value is called in messages, NULL for the root. BAWN_E_CONFIG: "disks[0].pth: unknown key; ...".
 */
enum bawn_status bawn_json_read(const struct bawn_json_table *table, void *object, const char *path,
                                const json_t *value, struct bawn_error *err);
/* New; NULL: no memory. What read takes and sets to the same. */
json_t *bawn_json_write(const struct bawn_json_table *table, const void *object);
/* JSON Schema, draft 2020-12, of what read takes. New; NULL: no memory. */
json_t *bawn_json_schema(const struct bawn_json_table *table);

/* The field of this name; NULL: there is none. */
const struct bawn_json_field *bawn_json_find(const struct bawn_json_table *table, const char *name);

/* Copies what a value is, for messages, without anything that a terminal would obey. */
void bawn_json_say(const json_t *value, char *to, size_t room);

#endif
