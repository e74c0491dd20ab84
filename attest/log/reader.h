/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading logs that others wrote: entries, exported files (docs/log.md), and the verification of
 * both. All of it is hostile: lengths are bounded, JSON is strict, and nothing is believed but
 * what a trusted key has signed.
 */
#ifndef BAWN_LOG_READER_H
#define BAWN_LOG_READER_H

#include "attest/log/log.h"

/* ---- Entries ---- */

struct log_entry {
    uint64_t seq;
    int64_t time_ms;
    uint8_t prev[LOG_HASH];
    json_t *json; /* owned */
};

/* BAWN_E_FORMAT: not canonical JSON of at most LOG_ENTRY_MAX bytes, or without seq, time and prev
 * as log_append writes them. */
enum bawn_status log_entry_read(struct bawn_bytes text, struct log_entry *entry,
                                struct bawn_error *err);
void log_entry_clear(struct log_entry *entry);

/* ---- Exported files ---- */

enum log_item_kind { LOG_ITEM_END, LOG_ITEM_ENTRY, LOG_ITEM_CHECKPOINT };

struct log_item {
    enum log_item_kind kind;
    struct bawn_bytes text; /* an entry's line or a checkpoint's note; until the next is read */
};

struct log_export {
    struct bawn_bytes rest;
    uint64_t line;
    uint64_t entries; /* as the first line says */
    char *key;        /* the same, or NULL; nothing to be trusted */
    char *note;       /* the last checkpoint's */
};

/* file is borrowed until log_export_close, which is called in any case. BAWN_E_FORMAT. */
enum bawn_status log_export_open(struct log_export *x, struct bawn_bytes file,
                                 struct bawn_error *err);
enum bawn_status log_export_next(struct log_export *x, struct log_item *item,
                                 struct bawn_error *err);
void log_export_close(struct log_export *x);
/* The lines, with their ends; new strings. NULL: no memory. */
char *log_export_head(uint64_t entries, const char *key);
char *log_export_checkpoint(struct bawn_bytes note);

/* ---- Verification ---- */

enum log_finding_kind {
    LOG_FORMAT,    /* an entry or checkpoint that is none */
    LOG_SEQUENCE,  /* entries missing, moved or twice */
    LOG_CHAIN,     /* an entry that does not follow from the one before */
    LOG_TRUNCATED, /* entries missing at the end */
    LOG_REWRITTEN, /* entries are not those that were signed */
    LOG_FORK,      /* the key signed two histories */
    LOG_SIGNATURE, /* a checkpoint with a false signature, or by a key that is not trusted */
    LOG_TIME,      /* a clock that went back */
    LOG_UNSIGNED,  /* entries behind the last checkpoint */
    LOG_FINDING_KINDS,
};
extern const char *const log_finding_names[LOG_FINDING_KINDS];

struct log_finding {
    enum log_finding_kind kind;
    bool notice;  /* worth knowing, and no fault of the log */
    uint64_t seq; /* the entry, or for checkpoints the number of entries */
    char text[640];
};

#define LOG_FINDINGS_MAX 100 /* that are kept; more are counted */
#define LOG_KEYS_MAX 16
#define LOG_KEPT_MAX 1024

struct log_verifier;

struct log_verifier *log_verifier_create(void); /* NULL: no memory */
void log_verifier_destroy(struct log_verifier *v);
/* A key to be trusted; takes a reference. origin may be NULL: any. BAWN_E_USAGE: too many. */
enum bawn_status log_verifier_key(struct log_verifier *v, const char *origin, EVP_PKEY *key,
                                  struct bawn_error *err);
/* A checkpoint that the auditor kept; before entries. name is for messages, and borrowed. One that
 * is false becomes a finding. */
enum bawn_status log_verifier_kept(struct log_verifier *v, const char *name, struct bawn_bytes note,
                                   struct bawn_error *err);
/* The log, in order: each checkpoint directly behind the entries that it is of. What is wrong
 * becomes a finding. */
void log_verifier_entry(struct log_verifier *v, struct bawn_bytes text);
void log_verifier_checkpoint(struct log_verifier *v, struct bawn_bytes note);
/* claimed: how many entries the log says it has. */
void log_verifier_end(struct log_verifier *v, uint64_t claimed);
/* Something that the reader of the log found. */
void log_verifier_report(struct log_verifier *v, enum log_finding_kind kind, uint64_t seq,
                         const char *text);

struct log_summary {
    uint64_t entries, checkpoints; /* checkpoints: those that verified */
    uint64_t signed_entries;       /* covered by the last of them */
    uint64_t kept;                 /* the auditor's that the log is consistent with */
    uint8_t root[LOG_HASH];
    uint64_t faults, notices; /* in all */
    const struct log_finding *findings;
    size_t nr_findings;
};
/* Borrows from v. The log is good when faults is 0. */
void log_verifier_summary(const struct log_verifier *v, struct log_summary *summary);

#endif
