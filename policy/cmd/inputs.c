// SPDX-License-Identifier: Apache-2.0
/*
 * Reading. Names are the user's; an included policy's name is its author's, and can be no path.
 */
#include "policy/cmd/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/bytes.h"

#define LOG_MAX ((size_t)256 << 20)
#define REFERENCES_MAX ((size_t)64 << 20)

enum bawn_status input_read(const char *path, size_t max, struct bawn_bytes *out,
                            struct bawn_error *err)
{
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    enum bawn_status st;

    *out = (struct bawn_bytes){ NULL, 0 };
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    st = bytes_read(fd, path, max, out, err);
    if (fd != STDIN_FILENO)
        close(fd);
    return st;
}

void input_free(struct bawn_bytes *bytes)
{
    free((void *)(uintptr_t)bytes->data);
    *bytes = (struct bawn_bytes){ NULL, 0 };
}

/* ---- Policies ---- */

struct beside {
    const char *path; /* of the outermost policy */
    struct bawn_bytes text[BAWN_POLICY_INCLUDES_MAX];
    size_t n;
};

static enum bawn_status load_beside(void *context, const char *name, struct bawn_bytes *text,
                                    struct bawn_error *err)
{
    struct beside *b = context;
    const char *slash = strrchr(b->path, '/');
    int directory = slash ? (int)(slash - b->path) + 1 : 0;
    enum bawn_status st;
    char *path;

    if (b->n == BAWN_POLICY_INCLUDES_MAX)
        return bawn_fail(err, BAWN_E_INTERNAL, "too many includes");
    if (asprintf(&path, "%.*s%s", directory, b->path, name) < 0)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    st = input_read(path, BAWN_POLICY_TEXT_MAX, text, err);
    free(path);
    if (st == BAWN_OK)
        b->text[b->n++] = *text;
    return st;
}

enum bawn_status input_policy(const char *path, struct bawn_policy **policy, struct bawn_error *err)
{
    struct beside beside = { .path = path };
    struct bawn_bytes text;
    enum bawn_status st = input_read(path, BAWN_POLICY_TEXT_MAX, &text, err);

    *policy = NULL;
    if (st == BAWN_OK)
        st = bawn_policy_create(policy, path, text, load_beside, &beside, err);
    for (size_t i = 0; i < beside.n; i++)
        input_free(&beside.text[i]);
    input_free(&text);
    return st;
}

/* ---- Reference values ---- */

static enum bawn_status add_reference(struct bawn_refs *refs, const char *path, const char *set,
                                      json_t *item, struct bawn_error *err)
{
    json_t *value = json_is_object(item) ? json_object_get(item, "value") : item;
    const char *expires = json_string_value(json_object_get(item, "expires"));
    int64_t until = 0;

    if (!json_is_string(value) || (json_is_object(item) && json_object_get(item, "expires") &&
                                   (!expires || !verify_time_parse(expires, &until))))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "%s: set %s: a value must be a string, or {\"value\": \"...\", "
                         "\"expires\": \"2026-01-02T03:04:05Z\"}",
                         path, set);
    return bawn_refs_add(refs, set, json_string_value(value), until, err);
}

enum bawn_status input_references(const char *path, struct bawn_refs **refs, struct bawn_error *err)
{
    json_t *root = NULL, *values, *item;
    struct bawn_bytes text;
    json_error_t je;
    const char *set;
    size_t i;
    enum bawn_status st = input_read(path, REFERENCES_MAX, &text, err);

    *refs = bawn_refs_create();
    if (st == BAWN_OK && !*refs)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (st == BAWN_OK) {
        root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &je);
        if (!root)
            st = bawn_fail(err, BAWN_E_FORMAT, "%s:%d:%d: %s", path, je.line, je.column, je.text);
        else if (!json_is_object(root))
            st = bawn_fail(err, BAWN_E_FORMAT, "%s: must be an object of sets", path);
    }
    json_object_foreach(root, set, values)
    {
        if (st == BAWN_OK && !json_is_array(values))
            st = bawn_fail(err, BAWN_E_FORMAT, "%s: set %s must be an array", path, set);
        json_array_foreach(values, i, item)
        {
            if (st == BAWN_OK)
                st = add_reference(*refs, path, set, item, err);
        }
    }
    json_decref(root);
    input_free(&text);
    return st;
}

/* ---- All ---- */

static enum bawn_status read_evidence(struct case_inputs *in, const struct policy_options *o,
                                      size_t from, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    in->nr_evidence = o->files.n - from;
    in->evidence = calloc(in->nr_evidence + 1, sizeof(*in->evidence));
    in->name = calloc(in->nr_evidence + 1, sizeof(*in->name));
    if (!in->evidence || !in->name)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    for (size_t i = 0; st == BAWN_OK && i < in->nr_evidence; i++) {
        in->name[i] = o->files.text[from + i];
        st = input_read(in->name[i], FILE_MAX, &in->evidence[i], err);
    }
    return st;
}

static enum bawn_status read_logs(struct case_inputs *in, const struct policy_options *o,
                                  struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    in->nr_logs = o->logs.n;
    in->log_name = o->logs.text;
    in->log = calloc(in->nr_logs + 1, sizeof(*in->log));
    if (!in->log)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    for (size_t i = 0; st == BAWN_OK && i < in->nr_logs; i++)
        st = input_read(in->log_name[i], LOG_MAX, &in->log[i], err);
    return st;
}

/* Endorsements and roots, as bawn-verify reads them. */
static enum bawn_status read_endorsements(struct case_inputs *in, const struct policy_options *o,
                                          struct bawn_error *err)
{
    const struct verify_options v = { .evidence = "/dev/null",
                                      .endorsements = o->endorsements,
                                      .roots = o->roots };

    return verify_inputs_read(&in->verify, &v, err);
}

enum bawn_status inputs_read(struct case_inputs *in, const struct policy_options *o,
                             size_t nr_policies, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    *in = (struct case_inputs){ .nr_policies = nr_policies };
    for (size_t i = 0; st == BAWN_OK && i < nr_policies; i++)
        st = input_policy(o->files.text[i], &in->policy[i], err);
    if (st == BAWN_OK && o->references)
        st = input_references(o->references, &in->refs, err);
    if (st == BAWN_OK)
        st = read_evidence(in, o, nr_policies, err);
    if (st == BAWN_OK)
        st = read_logs(in, o, err);
    if (st == BAWN_OK)
        st = read_endorsements(in, o, err);
    if (st == BAWN_OK && !in->nr_evidence && !in->nr_logs)
        st = bawn_fail(err, BAWN_E_USAGE, "which evidence? Give files, or --log FILE");
    return st;
}

void inputs_free(struct case_inputs *in)
{
    for (size_t i = 0; i < in->nr_policies; i++)
        bawn_policy_destroy(in->policy[i]);
    bawn_refs_destroy(in->refs);
    for (size_t i = 0; in->evidence && i < in->nr_evidence; i++)
        input_free(&in->evidence[i]);
    for (size_t i = 0; in->log && i < in->nr_logs; i++)
        input_free(&in->log[i]);
    free(in->evidence);
    free(in->name);
    free(in->log);
    verify_inputs_free(&in->verify);
}
