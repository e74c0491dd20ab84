/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of decisions: entries in a hash chain and in a Merkle tree (RFC 9162, 2.1), its heads
 * signed as checkpoints (signed notes with Ed25519, as C2SP's tlog-checkpoint has them). Who keeps
 * one checkpoint can later tell a rewritten or shortened log.
 *
 * An entry is a canonical JSON object (RFC 8785) on one line. log_append adds "seq" (from 0),
 * "time" (RFC 3339, UTC, milliseconds) and "prev" (hex SHA-256 of the entry before, 64 zeros for
 * the first) to the caller's members. Leaf hash: SHA-256(0x00 || entry's bytes without line end).
 */
#ifndef BAWN_LOG_H
#define BAWN_LOG_H

#include <jansson.h>
#include <openssl/evp.h>

#include <bawn/status.h>

#include "attest/store/db.h"

#define LOG_HASH 32
#define LOG_LEVELS 64
#define LOG_PROOF_MAX (LOG_LEVELS * 2) /* hashes in a proof */
#define LOG_ENTRY_MAX (1u << 20)       /* bytes; log_append refuses larger ones */
#define LOG_NOTE_MAX (1u << 14)        /* bytes of a checkpoint */
#define LOG_ORIGIN_MAX 255

/* ---- The tree, pure ---- */

/* Roots of the complete subtrees, largest first: all that appending needs. */
struct log_tree {
    uint64_t size;
    uint8_t node[LOG_LEVELS][LOG_HASH]; /* [i]: the subtree of 2^i leaves, where size has bit i */
};

void log_leaf(const void *entry, size_t len, uint8_t hash[LOG_HASH]);
void log_tree_add(struct log_tree *tree, const uint8_t leaf[LOG_HASH]);
void log_tree_root(const struct log_tree *tree, uint8_t root[LOG_HASH]);

/* Proofs over all leaf hashes (n * LOG_HASH bytes). proof has room for LOG_LEVELS * 2 hashes;
 * returns how many. Verification is as in RFC 9162, 2.1.3.2 and 2.1.4.2. */
size_t log_prove_inclusion(const uint8_t *leaves, uint64_t n, uint64_t index, uint8_t *proof);
size_t log_prove_consistency(const uint8_t *leaves, uint64_t n, uint64_t old, uint8_t *proof);
/* What the hashes of such a proof are the roots of: leaves [from, to), in the proof's order.
 * ranges has room for LOG_PROOF_MAX. So a proof takes one pass over a log of any length. */
struct log_range {
    uint64_t from, to;
};
size_t log_plan_inclusion(uint64_t index, uint64_t size, struct log_range *ranges);
size_t log_plan_consistency(uint64_t old, uint64_t size, struct log_range *ranges);
bool log_check_inclusion(const uint8_t leaf[LOG_HASH], uint64_t index, uint64_t size,
                         const uint8_t *proof, size_t len, const uint8_t root[LOG_HASH]);
bool log_check_consistency(uint64_t old, const uint8_t old_root[LOG_HASH], uint64_t size,
                           const uint8_t root[LOG_HASH], const uint8_t *proof, size_t len);

/* ---- Checkpoints ---- */

/* "origin\nsize\nbase64(root)\n\n— origin base64(key id || signature)\n"; a new string. */
enum bawn_status log_checkpoint_sign(EVP_PKEY *ed25519, const char *origin,
                                     const struct log_tree *tree, char **note,
                                     struct bawn_error *err);
/* origin may be NULL: any, whose signature line has the same name. Signatures by others (witnesses)
 * may be there and are ignored, as are extension lines. BAWN_E_FORMAT: no such thing as a
 * checkpoint, or of another origin; BAWN_E_DENIED: no signature by this key, or a false one. */
enum bawn_status log_checkpoint_verify(EVP_PKEY *ed25519, const char *origin, const char *note,
                                       size_t len, uint64_t *size, uint8_t root[LOG_HASH],
                                       struct bawn_error *err);
/* The same without looking at signatures; *origin (may be NULL) is a new string. */
enum bawn_status log_checkpoint_read(const char *note, size_t len, char **origin, uint64_t *size,
                                     uint8_t root[LOG_HASH], struct bawn_error *err);
/* The signing key's public part as people pass it on, "origin+keyid+base64(type || key)"
 * (golang.org/x/mod/sumdb/note calls it a verifier key). A new string; NULL: not Ed25519, or no
 * memory. */
char *log_key_text(EVP_PKEY *ed25519, const char *origin);
/* *origin is a new string. BAWN_E_FORMAT. */
enum bawn_status log_key_read(const char *text, char **origin, EVP_PKEY **key,
                              struct bawn_error *err);

/* ---- The log in the database ---- */

/* In a transaction of the caller's: takes the head's lock (replicas queue here), appends, and
 * gives the entry's number. entry's members are borrowed. Entries of one transaction share it. */
enum bawn_status log_append(struct db *db, const json_t *entry, int64_t now_ms, uint64_t *seq,
                            struct bawn_error *err);
/* Signs the present head and stores the checkpoint, if there is something new; own transaction.
 * The vault calls it every few seconds and before it ends. */
enum bawn_status log_checkpoint(struct db *db, EVP_PKEY *ed25519, const char *origin,
                                struct bawn_error *err);
/* The last checkpoint's note (a new string, NULL before the first). */
enum bawn_status log_last_checkpoint(struct db *db, char **note, struct bawn_error *err);
/* The checkpoints of sizes [from, to), in order. */
typedef bool (*log_checkpoint_fn)(void *context, uint64_t size, struct bawn_bytes note);
enum bawn_status log_checkpoints(struct db *db, uint64_t from, uint64_t to, log_checkpoint_fn fn,
                                 void *context, struct bawn_error *err);
/* The key that last signed, as log_key_text() has it (a new string, NULL before the first
 * checkpoint). It is in the database for show: whoever can rewrite the log can rewrite it. */
enum bawn_status log_last_key(struct db *db, char **key, struct bawn_error *err);
/* Entries [from, to), as text, in order. */
typedef bool (*log_entry_fn)(void *context, uint64_t seq, struct bawn_bytes entry);
enum bawn_status log_read(struct db *db, uint64_t from, uint64_t to, log_entry_fn fn, void *context,
                          struct bawn_error *err);
enum bawn_status log_size(struct db *db, uint64_t *size, struct bawn_error *err);

#endif
