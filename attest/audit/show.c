// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit show: one entry, for a person. The entry may be anybody's: each member is printed
 * when it has the type that the service writes, and left out otherwise.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attest/audit/audit.h"

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void line(const char *label, const char *text)
{
    if (!text)
        return;
    printf("%-14s ", label);
    audit_print(text);
    putchar('\n');
}

/* ---- What was decided ---- */

static const struct {
    const char *type, *what;
} types[] = {
    { "attest", "a guest's evidence was judged" },
    { "release", "a resource was asked for" },
    { "admin", "an administrator changed something" },
    { "denials", "more was denied than is written out" },
    { "revoke", "something was revoked" },
    { "service", "the service itself" },
};

static void show_decision(const json_t *e)
{
    const json_t *allowed = json_object_get(e, "allowed"), *reasons = json_object_get(e, "reasons");
    const char *type = audit_type(e), *what = NULL;
    size_t i;

    for (i = 0; type && i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(type, types[i].type))
            what = types[i].what;
    printf("%-14s ", "What");
    audit_print(type ? type : "(no type)");
    printf("%s%s\n", what ? ": " : "", what ? what : "");
    if (json_is_boolean(allowed))
        printf("%-14s %s\n", "Decision", json_is_true(allowed) ? "ALLOWED" : "DENIED");
    if (json_is_integer(json_object_get(e, "more")))
        printf("%-14s DENIED %lld more times\n", "Decision",
               (long long)json_integer_value(json_object_get(e, "more")));
    line("Of type", text_of(e, "what"));
    line("Verdict", text_of(e, "verdict"));
    for (i = 0; i < json_array_size(reasons); i++)
        line(i ? "" : "Why", json_string_value(json_array_get(reasons, i)));
}

static void show_who(const json_t *e)
{
    static const char *const members[][2] = {
        { "tenant", "Tenant" },
        { "name", "Administrator" },
        { "identity", "Certificate" },
        { "action", "Action" },
        { "resource", "Resource" },
        { "path", "Resource" },
        { "subject", "Subject" },
        { "tee", "TEE" },
        { "evidence_sha384", "Evidence hash" },
        { "foreign_root", "Foreign root" },
        { "status", "Status" },
        { "client", "Client" },
        { "example", "For example" },
        { "session", "Session" },
        { "jti", "Token" },
    };

    /* With a type, kind is the evidence's. */
    if (text_of(e, "type"))
        line("Evidence", text_of(e, "kind"));
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        line(members[i][1], text_of(e, members[i][0]));
}

static void show_policy(const json_t *policy)
{
    const char *id = text_of(policy, "id"), *version = text_of(policy, "version");

    if (!id)
        return;
    printf("%-14s ", "Policy");
    audit_print(id);
    if (version) {
        printf(", version ");
        audit_print(version);
    }
    putchar('\n');
    line("Policy hash", text_of(policy, "sha256"));
}

/* ---- Rule by rule ---- */

static void show_rule(const json_t *rule)
{
    const char *outcome = text_of(rule, "outcome"), *claim = text_of(rule, "claim");
    const char *group = text_of(rule, "group"), *reason = text_of(rule, "reason");
    const char *requirement = text_of(rule, "requirement"), *found = text_of(rule, "found");
    json_int_t depth = json_integer_value(json_object_get(rule, "depth"));
    bool failed = outcome && !strcmp(outcome, "failed");
    const json_t *controls = json_object_get(rule, "controls");

    printf("  %-8s", outcome && strlen(outcome) < 8 ? outcome : "");
    for (json_int_t d = 0; d < depth && d < 16; d++)
        printf("  ");
    audit_print(text_of(rule, "rule"));
    printf(": ");
    if (group && *group)
        printf("%s of the following", !strcmp(group, "all")   ? "all"
                                      : !strcmp(group, "any") ? "any"
                                                              : "none");
    audit_print(claim);
    if (requirement && *requirement) {
        putchar(' ');
        audit_print(requirement);
    }
    if (found && *found) {
        printf("; found ");
        audit_print(found);
    }
    if (failed && reason && *reason) {
        printf(" (");
        audit_print(reason);
        for (size_t i = 0; i < json_array_size(controls); i++) {
            printf("%s", i ? ", " : "; ");
            audit_print(json_string_value(json_array_get(controls, i)));
        }
        putchar(')');
    }
    putchar('\n');
}

/* What the verification of the evidence said, before any policy. */
static void show_findings(const json_t *findings)
{
    if (json_array_size(findings))
        printf("\nFindings on the evidence\n");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *f = json_array_get(findings, i);

        printf("  ");
        audit_print(text_of(f, "level"));
        printf(" ");
        audit_print(text_of(f, "check"));
        printf(": ");
        audit_print(text_of(f, "text"));
        if (text_of(f, "advice") && *text_of(f, "advice")) {
            printf(" (");
            audit_print(text_of(f, "advice"));
            putchar(')');
        }
        putchar('\n');
    }
}

static void show_pairs(const char *title, const json_t *object)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object) || !json_object_size(object))
        return;
    printf("\n%s\n", title);
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        char *other = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

        printf("  ");
        audit_print(name);
        printf(" = ");
        audit_print(json_is_string(value) ? json_string_value(value) : other);
        putchar('\n');
        free(other);
    }
}

/* Members that a newer service added are not kept from the reader. */
static void show_rest(const json_t *e)
{
    static const char *const shown[] = {
        "seq",          "kind",
        "time",         "prev",
        "type",         "allowed",
        "verdict",      "reasons",
        "tenant",       "name",
        "action",       "identity",
        "path",         "resource",
        "subject",      "tee",
        "status",       "jti",
        "session",      "policy",
        "trace",        "claims",
        "findings",     "vector",
        "foreign_root", "evidence_sha384",
    };
    json_t *rest = json_copy((json_t *)(uintptr_t)e);

    for (size_t i = 0; rest && i < sizeof(shown) / sizeof(shown[0]); i++)
        json_object_del(rest, shown[i]);
    show_pairs("Also in the entry", rest);
    json_decref(rest);
}

static void explain(const struct log_entry *entry)
{
    const json_t *e = entry->json, *trace = json_object_get(e, "trace");

    printf("%-14s %" PRIu64 "\n", "Entry", entry->seq);
    line("When", text_of(e, "time"));
    show_decision(e);
    show_who(e);
    show_policy(json_object_get(e, "policy"));
    if (json_array_size(trace))
        printf("\nRules, in the policy's order\n");
    for (size_t i = 0; i < json_array_size(trace); i++)
        show_rule(json_array_get(trace, i));
    show_findings(json_object_get(e, "findings"));
    show_pairs("Claims", json_object_get(e, "claims"));
    show_pairs("Trust vector (AR4SI)", json_object_get(e, "vector"));
    show_rest(e);
    line("\nBefore it", text_of(e, "prev"));
}

/* ---- The command ---- */

struct wanted {
    const struct audit_options *o;
    uint64_t seq;
    bool found;
    enum bawn_status st;
    struct bawn_error *err;
};

static bool take_item(void *context, uint64_t seq, const struct log_item *item)
{
    struct wanted *w = context;
    struct log_entry entry;

    if (item->kind != LOG_ITEM_ENTRY || seq != w->seq)
        return true;
    w->found = true;
    w->st = log_entry_read(item->text, &entry, w->err);
    if (w->st != BAWN_OK)
        return false;
    if (entry.seq != seq)
        w->st = bawn_fail(w->err, BAWN_E_FORMAT,
                          "entry %" PRIu64 " stands where entry %" PRIu64
                          " must be; bawn-audit verify says more",
                          entry.seq, seq);
    else if (w->o->json)
        printf("%.*s\n", (int)item->text.len, item->text.data);
    else
        explain(&entry);
    log_entry_clear(&entry);
    return false;
}

int audit_show(struct audit *a, struct bawn_error *err)
{
    struct wanted w = { .o = a->o, .err = err };
    enum bawn_status st;

    if (!audit_number(a->o->arg[1], &w.seq)) {
        bawn_fail(err, BAWN_E_USAGE, "%s: must be an entry's number", a->o->arg[1]);
        return -1;
    }
    st = audit_each(&a->log, a->log.db ? w.seq : 0, take_item, &w, err);
    if (st == BAWN_OK)
        st = w.st;
    if (st == BAWN_OK && !w.found)
        st = bawn_fail(err, BAWN_E_USAGE, "no entry %" PRIu64 ": the log has %" PRIu64, w.seq,
                       a->log.claimed);
    if (st == BAWN_E_FORMAT) {
        fprintf(stderr, "bawn-audit: %s\n", err->msg);
        return AUDIT_BAD;
    }
    return st == BAWN_OK ? AUDIT_GOOD : -1;
}
