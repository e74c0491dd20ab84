/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bawn-audit: what its parts share. The command line is the user's and trusted; logs, checkpoints
 * and proofs are not, databases are as far as their engine goes.
 */
#ifndef BAWN_AUDIT_H
#define BAWN_AUDIT_H

#include "attest/log/reader.h"
#include "common/bytes.h"

enum audit_exit {
    AUDIT_GOOD = 0,
    AUDIT_BAD = 1,   /* the log or the proof is not what it should be */
    AUDIT_USAGE = 2, /* the command line, or the system refused */
};

/* ---- Options ---- */

#define AUDIT_FILES_MAX LOG_KEPT_MAX

struct audit_texts {
    const char *text[AUDIT_FILES_MAX]; /* borrowed from argv */
    size_t n;
};

struct audit_options {
    const struct audit_command *command;
    const char *arg[3];
    int nr_args;
    struct audit_texts keys, pins, checkpoints, policies;
    const char *tenant, *kind, *verdict, *allowed;
    const char *root, *exposure;
    const char *tree, *build, *sign, *host, *log, *revision;
    int64_t from_ms, until_ms; /* INT64_MIN, INT64_MAX: open */
    uint64_t lines;
    bool json, follow, consistency, strict, help, version;
};

enum bawn_status audit_options_parse(struct audit_options *o, int argc, char **argv,
                                     struct bawn_error *err);
void audit_help(void);

/* ---- Inputs ---- */

struct audit_file {
    const char *name;
    struct bawn_bytes bytes; /* owned */
};

/* A log: an exported file, mapped into memory, or a database. */
struct audit_source {
    const char *name;
    struct db *db;         /* or NULL */
    struct bawn_bytes map; /* the file */
    uint64_t claimed;      /* how many entries the log says it has */
    bool no_checkpoint;    /* when it was opened; the first is left for the next reading */
    char *key;             /* that the log names, or NULL */
};

struct audit_key {
    char *origin; /* or NULL */
    EVP_PKEY *key;
};

struct audit {
    const struct audit_options *o;
    struct audit_source log;
    struct audit_key keys[LOG_KEYS_MAX];
    size_t nr_keys;
    bool key_from_log; /* nobody gave one */
    struct audit_file checkpoints[AUDIT_FILES_MAX];
    size_t nr_checkpoints;
    struct audit_file proof;
    bool sandboxed;
};

/* Opens what the command names, then locks the process in when nothing but memory is needed from
 * there on. audit_close() in any case. */
enum bawn_status audit_open(struct audit *a, const struct audit_options *o, struct bawn_error *err);
void audit_close(struct audit *a);
/* Parts of it, for commands that open themselves what they need: keys and kept checkpoints, ... */
enum bawn_status audit_read_keys(struct audit *a, struct bawn_error *err);
/* ... and what the first line of an exported log says. */
enum bawn_status audit_read_head(struct audit_source *log, struct bawn_error *err);
/* Locks the process in: from here on it computes and prints. */
enum bawn_status audit_lock_in(struct audit *a, struct bawn_error *err);

/* Each entry and checkpoint in order, a checkpoint behind the entries that it is of. seq: how many
 * entries came before. False ends it. */
typedef bool (*audit_item_fn)(void *context, uint64_t seq, const struct log_item *item);
enum bawn_status audit_each(struct audit_source *log, uint64_t from, audit_item_fn fn,
                            void *context, struct bawn_error *err);
/* A checkpoint by any of the keys. */
enum bawn_status audit_check_note(const struct audit *a, struct bawn_bytes note, uint64_t *size,
                                  uint8_t root[LOG_HASH], struct bawn_error *err);

/* ---- Commands ---- */

struct audit_command {
    const char *name, *args, *help;
    int min_args, max_args;
    int (*run)(struct audit *a, struct bawn_error *err); /* enum audit_exit, or -1 with err */
};

extern const struct audit_command audit_commands[];
extern const size_t nr_audit_commands;

int audit_verify(struct audit *a, struct bawn_error *err);
int audit_show(struct audit *a, struct bawn_error *err);
int audit_list(struct audit *a, struct bawn_error *err);
int audit_tail(struct audit *a, struct bawn_error *err);
int audit_prove(struct audit *a, struct bawn_error *err);
int audit_check_proof(struct audit *a, struct bawn_error *err);
int audit_export(struct audit *a, struct bawn_error *err);
int audit_show_key(struct audit *a, struct bawn_error *err);
int audit_host(struct audit *a, struct bawn_error *err);
int audit_report(struct audit *a, struct bawn_error *err);
int audit_check_report(struct audit *a, struct bawn_error *err);

/* Verifies an exported log that a->log holds. The summary has no findings. BAWN_E_FORMAT: it is
 * no log. */
enum bawn_status audit_judge_file(struct audit *a, struct log_summary *s, struct bawn_error *err);

/* ---- Output ---- */

/* Text from a log, with what would steer a terminal written as escapes. NULL prints nothing. */
void audit_print(const char *text);
/* Takes the value; one line. */
void audit_print_json(json_t *value);
/* What an entry is of: its "type", or in logs that have none its "kind". May be NULL. */
const char *audit_type(const json_t *entry);
bool audit_number(const char *text, uint64_t *number);
json_t *audit_base64(const uint8_t *data, size_t len);

#endif
