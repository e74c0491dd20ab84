// SPDX-License-Identifier: Apache-2.0
/*
 * From a policy's text to a policy: its header, what it includes, its rules. Included texts are
 * used only when their hash is the one that is pinned, so who signs or publishes the outermost
 * text has vouched for all of them.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "policy/lib/text.h"

static const char *const policy_members[] = {
    "bawn_policy", "id",      "version", "description", "evidence",
    "test_roots",  "include", "rules",   "$schema",
};
#define NR(a) (sizeof(a) / sizeof((a)[0]))

/* FNV-1a; the names hashed are the policy author's, who gains nothing from a slow policy. */
uint32_t name_hash(const char *name, size_t len)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h ^ h >> 15;
}

uint32_t policy_slot(const struct bawn_policy *p, const char *name, size_t len)
{
    uint32_t h = name_hash(name, len), i = p->bucket[h % SLOT_BUCKETS];

    while (i != SLOT_NONE && (p->slots[i].hash != h || p->slots[i].len != len ||
                              memcmp(p->slots[i].name, name, len) != 0))
        i = p->slots[i].next;
    return i;
}

static bool read_text(struct builder *b, struct bawn_bytes bytes, const struct text *outer,
                      const char *name);

/* ---- Includes ---- */

static bool digest_of(struct bawn_bytes text, uint8_t hash[BAWN_POLICY_HASH_SIZE])
{
    return EVP_Digest(text.data, text.len, hash, NULL, EVP_sha256(), NULL) == 1;
}

static bool load(struct text *t, uint32_t v, const char *name, struct bawn_bytes *out)
{
    struct bawn_error err = { "" };
    struct builder *b = t->b;
    enum bawn_status st;

    if (!b->load)
        return text_fail(t, v, "includes are not served here, and \"%s\" is one", name);
    st = b->load(b->context, name, out, &err);
    if (st == BAWN_OK)
        return true;
    text_fail(t, v, "cannot include \"%s\": %s", name, err.msg);
    b->status = st;
    return false;
}

/* One of "include": its pin, its text, its rules. */
static bool read_include(struct text *t, uint32_t v)
{
    static const char *const members[] = { "name", "sha256" };
    static const struct string_rule name_form = { "name", 128, true, true };
    uint8_t hash[BAWN_POLICY_HASH_SIZE];
    struct bawn_bytes pin, text = { NULL, 0 };
    const char *name;
    uint32_t sha256;

    if (!text_members(t, v, "an include", members, NR(members)) ||
        !text_string(t, v, &name_form, &name))
        return false;
    sha256 = js_get(&t->j, v, "sha256");
    if (name[0] == '.')
        return text_fail(t, js_get(&t->j, v, "name"), "\"name\" must not begin with a dot");
    if (!js_hex(&t->j, sha256, &pin) || pin.len != sizeof(hash))
        return text_fail(t, sha256 == JS_ABSENT ? v : sha256,
                         "\"sha256\" must be the 64 hex digits of the included text's SHA-256 "
                         "(sha256sum %s)",
                         name);
    if (t->depth == POLICY_INCLUDE_DEPTH_MAX)
        return text_fail(t, v, "includes in includes are deeper than %u", POLICY_INCLUDE_DEPTH_MAX);
    if (t->b->nr_includes++ == BAWN_POLICY_INCLUDES_MAX)
        return text_fail(t, v, "more than %d texts are included", BAWN_POLICY_INCLUDES_MAX);
    if (!load(t, v, name, &text))
        return false;
    if (!digest_of(text, hash))
        return text_no_memory(t->b);
    if (memcmp(hash, pin.data, sizeof(hash)) != 0)
        return text_fail(t, sha256, "\"%s\" has the SHA-256 %s, which is not what is pinned", name,
                         arena_hex(&t->b->scratch, (struct bawn_bytes){ hash, sizeof(hash) }));
    return read_text(t->b, text, t, name);
}

static bool read_includes(struct text *t, uint32_t array)
{
    if (array == JS_ABSENT)
        return true;
    if (js_type(&t->j, array) != JS_ARRAY)
        return text_fail(t, array, "\"include\" must be an array");
    for (uint32_t e = js_first(&t->j, array); e != JS_ABSENT; e = js_next(&t->j, array, e))
        if (!read_include(t, e))
            return false;
    return true;
}

/* ---- One text ---- */

static bool read_header(struct text *t, const char **id, const char **version,
                        const char **description)
{
    static const struct string_rule id_form = { "id", POLICY_ID_MAX, true, true },
                                    version_form = { "version", POLICY_ID_MAX, true, true },
                                    description_form = { "description", 4096, false, false };
    uint32_t language = js_get(&t->j, 0, "bawn_policy");
    uint32_t test_roots = js_get(&t->j, 0, "test_roots");
    uint32_t evidence = js_get(&t->j, 0, "evidence");
    uint64_t n;

    if (!text_members(t, 0, "a policy", policy_members, NR(policy_members)))
        return false;
    if (language == JS_ABSENT)
        return text_fail(t, 0, "\"bawn_policy\" is missing: the version of the language, %u",
                         POLICY_LANGUAGE);
    if (!js_uint(&t->j, language, &n) || n != POLICY_LANGUAGE)
        return text_fail(t, language,
                         "\"bawn_policy\" must be %u, not %s: this program reads no "
                         "other version of the language",
                         POLICY_LANGUAGE, text_show(t, language));
    if (!text_string(t, 0, &id_form, id) || !text_string(t, 0, &version_form, version) ||
        !text_string(t, 0, &description_form, description))
        return false;
    if (evidence == JS_ABSENT)
        return text_fail(t, 0, "\"evidence\" is missing: the kinds of evidence that are accepted");
    if (!text_evidence(t, evidence, &t->own))
        return false;
    if (test_roots != JS_ABSENT && js_type(&t->j, test_roots) != JS_TRUE &&
        js_type(&t->j, test_roots) != JS_FALSE)
        return text_fail(t, test_roots, "\"test_roots\" must be true or false, not %s",
                         text_show(t, test_roots));
    return true;
}

static bool read_text(struct builder *b, struct bawn_bytes bytes, const struct text *outer,
                      const char *name)
{
    struct text t = { .b = b, .name = name, .prefix = "", .line = 1 };
    const char *id = NULL, *version = NULL, *description = NULL;

    if (bytes.len > BAWN_POLICY_TEXT_MAX) {
        t.j = (struct js){ .text = bytes };
        return text_fail(&t, JS_ABSENT, "longer than %u bytes", BAWN_POLICY_TEXT_MAX);
    }
    if (!js_parse(&t.j, &b->scratch, bytes)) {
        if (b->scratch.failed)
            return text_no_memory(b);
        b->status =
            bawn_fail(b->err, BAWN_E_FORMAT, "%s:%u:%u: %s", name, t.j.line, t.j.column, t.j.error);
        return false;
    }
    if (!read_header(&t, &id, &version, &description))
        return false;
    t.evidence = t.own;
    if (outer) {
        t.evidence &= outer->evidence;
        t.depth = outer->depth + 1;
        t.prefix = arena_text(&b->p->arena, "%s%s/", outer->prefix, id);
    } else {
        b->p->id = id;
        b->p->version = version;
        b->p->description = description;
        b->p->evidence = t.own;
        /* Only the outermost text can accept test roots: what it includes cannot widen it. */
        b->p->test_roots = js_type(&t.j, js_get(&t.j, 0, "test_roots")) == JS_TRUE;
    }
    return read_includes(&t, js_get(&t.j, 0, "include")) &&
           rules_read(&t, js_get(&t.j, 0, "rules"));
}

/* ---- The whole ---- */

static void *keep(struct arena *a, const struct list *l, size_t size)
{
    void *copy = arena_array(a, l->n + 1, size);

    if (copy && l->n)
        memcpy(copy, l->items, l->n * size);
    return copy;
}

/* Moves what was read from scratch memory into the policy. */
static bool finish(struct builder *b)
{
    struct bawn_policy *p = b->p;

    p->rules = keep(&p->arena, &b->rules, sizeof(struct rule));
    p->trace = keep(&p->arena, &b->trace, sizeof(struct bawn_trace));
    p->slots = keep(&p->arena, &b->slots, sizeof(struct slot));
    if (p->arena.failed || b->scratch.failed)
        return text_no_memory(b);
    p->nr_rules = b->rules.n;
    p->nr_slots = b->slots.n;
    for (unsigned i = 0; i < SLOT_BUCKETS; i++)
        p->bucket[i] = SLOT_NONE;
    for (uint32_t i = 0; i < p->nr_slots; i++) {
        uint32_t *bucket = &p->bucket[p->slots[i].hash % SLOT_BUCKETS];

        p->slots[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

enum bawn_status bawn_policy_create(struct bawn_policy **policy, const char *name,
                                    struct bawn_bytes text, bawn_policy_load_fn load_fn,
                                    void *context, struct bawn_error *err)
{
    struct builder b = { .p = calloc(1, sizeof(*b.p)),
                         .load = load_fn,
                         .context = context,
                         .err = err,
                         .status = BAWN_OK };
    bool ok;

    *policy = NULL;
    if (!b.p)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the policy");
    ok = read_text(&b, text, NULL, name) && finish(&b) &&
         (digest_of(text, b.p->hash) || text_no_memory(&b));
    /* Without memory, texts are empty, and what is said of them is not so. */
    if (!ok && (b.scratch.failed || b.p->arena.failed))
        text_no_memory(&b);
    arena_free(&b.scratch);
    if (ok) {
        *policy = b.p;
        return BAWN_OK;
    }
    bawn_policy_destroy(b.p);
    return b.status;
}

void bawn_policy_destroy(struct bawn_policy *policy)
{
    if (!policy)
        return;
    arena_free(&policy->arena);
    free(policy);
}

const uint8_t *bawn_policy_hash(const struct bawn_policy *policy)
{
    return policy->hash;
}

const char *bawn_policy_id(const struct bawn_policy *policy)
{
    return policy->id;
}

const char *bawn_policy_version(const struct bawn_policy *policy)
{
    return policy->version;
}

size_t bawn_policy_rules(const struct bawn_policy *policy)
{
    return policy->nr_rules;
}
