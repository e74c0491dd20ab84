/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bawn-audit report: evidence for auditors, made of what a build left. One process reads files
 * and hashes them; a second, locked in and without the signing key, parses them and writes the
 * documents into a pipe; the first stores and signs them. Files are hostile to the second.
 */
#ifndef BAWN_AUDIT_REPORT_H
#define BAWN_AUDIT_REPORT_H

#include "attest/audit/audit.h"

#define REPORT_HASH 32
#define REPORT_FILES_MAX 512
#define REPORT_UUID 37 /* with its end */

/* ---- What there is (report_read.c) ---- */

enum report_kind {
    REPORT_THREATS,  /* docs/threat-model/threats.json */
    REPORT_CONTROLS, /* docs/audit/controls.json */
    REPORT_BUILT,    /* programs, libraries, modules, packages, bills of material: hashed alone */
    REPORT_COUNTS,   /* build/results/x: "passed failed" */
    REPORT_LOG,      /* build/log/x.log */
    REPORT_FUZZ,     /* what bawn-fuzz report made */
    REPORT_SCORE,    /* what fuzz/score made */
    REPORT_POLICY,
    REPORT_HOST,   /* what bawn-audit host --json said */
    REPORT_LEDGER, /* an exported log of decisions */
};

struct report_file {
    enum report_kind kind;
    char *name;             /* owned; below the tree, or as it was given */
    struct bawn_bytes text; /* owned; none of REPORT_BUILT */
    uint64_t size;
    int64_t mtime; /* seconds */
    uint8_t sha256[REPORT_HASH];
};

struct report_files {
    struct report_file file[REPORT_FILES_MAX]; /* by kind, then name */
    size_t n;
    uint64_t total; /* bytes of texts */
};

/* BAWN_E_IO: what must be there is not, or there is too much. report_files_free() in any case. */
enum bawn_status report_read(struct report_files *files, const struct audit_options *o,
                             struct bawn_error *err);
void report_files_free(struct report_files *files);
bool report_sha256(const void *data, size_t len, uint8_t hash[REPORT_HASH]);

/* ---- What it says (report_judge.c), inside the sandbox ---- */

enum report_state { REPORT_PASSED, REPORT_FAILED, REPORT_NOT_RUN };
extern const char *const report_state_names[];

struct report_ran { /* a test by the name its runner printed */
    char *name;
    bool failed;
    const struct report_file *log;
};

struct report_item { /* a piece of evidence that a threat or control names */
    const char *id;
    enum report_state state;
    const struct report_file *file; /* that shows it; NULL: none */
};

struct report {
    const struct report_files *files;
    const char *revision;             /* or NULL */
    char time[32];                    /* of the evidence, RFC 3339 */
    char digest[2 * REPORT_HASH + 1]; /* over all inputs */
    json_t *threats, *controls;
    json_t *fuzz, *score, *host; /* or NULL */
    struct report_ran *ran;      /* by name */
    size_t nr_ran;
    struct report_item *item; /* by id */
    size_t nr_items;
    struct log_summary ledger;      /* of a log of decisions, if there is one */
    bool ledger_there, ledger_good; /* findings of it are not kept */
};

/* Parses everything. BAWN_E_FORMAT says which file is wrong. report_free() in any case. */
enum bawn_status report_judge(struct report *r, struct audit *a, const struct report_files *files,
                              struct bawn_error *err);
void report_free(struct report *r);

const struct report_item *report_find(const struct report *r, const char *id);
/* A threat of the model, or NULL. */
const json_t *report_threat(const struct report *r, const char *id);
/* Whether all that shows a control has run and passed; seeded and soak evidence, which has runs of
 * its own, counts when it ran; and no check of a host that it names has failed. failed: whether
 * something failed. */
bool report_satisfied(const struct report *r, const json_t *control, bool *failed);
void report_host_checks(const struct report *r, const json_t *control, unsigned *fail,
                        unsigned *warn);
/* A member that report_judge() made sure of; "" for others. */
const char *report_text(const json_t *object, const char *key);
const char *report_entry(const json_t *entry); /* the same of an array's entry */

/* ---- Documents ---- */

/* RFC 4122, 4.3, version 5: the same for the same kind and text, in every run. */
void report_uuid(char uuid[REPORT_UUID], const char *kind, const char *text);
json_t *report_component_definition(const struct report *r);
json_t *report_assessment_results(const struct report *r);
/* The readable one; false: it could not be written. */
bool report_html(const struct report *r, FILE *to);

#endif
