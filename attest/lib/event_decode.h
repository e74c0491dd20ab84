/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event says: whether its digest is that of its data, its data for a person, and the
 * structures in it that claims are made from. The data is the log's word until the digest was
 * compared; the type and what only describes are never measured.
 */
#ifndef BAWN_ATTEST_EVENT_DECODE_H
#define BAWN_ATTEST_EVENT_DECODE_H

#include "attest/lib/eventlog.h"
#include "attest/lib/result.h"

/* Text under construction: printable, bounded; what does not fit is cut with "...". */
struct event_text {
    char buf[512];
    size_t len;
    bool cut;
};

__attribute__((format(printf, 2, 3))) void text_add(struct event_text *t, const char *fmt, ...);
void text_hex(struct event_text *t, struct bawn_bytes bytes);
/* Bytes as ASCII, others escaped as \xNN; one NUL at the end is left out. */
void text_ascii(struct event_text *t, struct bawn_bytes bytes);
/* UTF-16LE up to a NUL or the end, others than ASCII escaped as \uNNNN. */
void text_utf16(struct event_text *t, struct bawn_bytes bytes);
void text_guid(struct event_text *t, struct bawn_bytes guid);
/* ASCII or UTF-16 if it is that, else hex. */
void text_guess(struct event_text *t, struct bawn_bytes bytes);

/* The next n bytes; empty (and c failed) when there are fewer. */
struct bawn_bytes event_take(struct bawn_cursor *c, uint64_t n);
/* Whether the data begins with the text. */
bool event_begins(struct bawn_bytes data, const char *text);

enum event_match {
    EVENT_NO_MATCH,
    EVENT_MATCH, /* the digest is that of the data, or of the part the specification names */
    EVENT_SIGNALS_ERROR, /* EV_SEPARATOR: the digest is that of the error number */
};

/* Compares the digest with the data. measured: the part of the data that the digest covers. */
enum event_match event_match(const struct eventlog_event *ev, enum hash_alg alg,
                             struct bawn_bytes digest, struct bawn_bytes *measured);
/* Whether the specification says that the digest is that of the data. */
bool event_must_match(const struct eventlog_event *ev);

const char *event_type_name(uint32_t type);
/* The data for a person; static or of the arena. */
const char *event_describe(struct arena *a, const struct eventlog_event *ev);

/* ---- UEFI structures: event_efi.c ---- */

/* UEFI_VARIABLE_DATA, PFP 10.2.6. */
struct efi_variable {
    struct bawn_bytes guid, name, data; /* name: UTF-16 without terminator */
};
bool efi_variable_parse(struct bawn_bytes bytes, struct efi_variable *out);
bool efi_name_is(struct bawn_bytes name, const char *ascii);

/* One entry of a signature database, UEFI 2.10, 32.4.1. */
struct efi_signature {
    struct bawn_bytes type, owner, data;
};
struct efi_siglist {
    struct bawn_cursor lists, entries;
    struct bawn_bytes type;
    uint32_t entry_size;
};
struct efi_siglist efi_siglist_start(struct bawn_bytes database);
/* False at the end, or when the database is malformed: then list->lists.failed. */
bool efi_siglist_next(struct efi_siglist *list, struct efi_signature *out);
bool efi_signature_is_x509(const struct efi_signature *s);
bool efi_signature_is_sha256(const struct efi_signature *s);

extern const uint8_t efi_global_guid[16];   /* UEFI 2.10, 3.3: SecureBoot, PK, KEK, Boot#### */
extern const uint8_t efi_security_guid[16]; /* UEFI 2.10, 32.6.1: db, dbx */

void event_text_variable(struct event_text *t, struct bawn_bytes data);
void event_text_authority(struct event_text *t, struct bawn_bytes data);
void event_text_image(struct event_text *t, struct bawn_bytes data);
void event_text_gpt(struct event_text *t, struct bawn_bytes data);
void event_text_blob(struct event_text *t, struct bawn_bytes data);
void event_text_blob2(struct event_text *t, struct bawn_bytes data);
void event_text_tables(struct event_text *t, struct bawn_bytes data);
void event_text_tables2(struct event_text *t, struct bawn_bytes data);

/* event_device_path.c: UEFI 2.10, chapter 10. */
void event_text_device_path(struct event_text *t, struct bawn_bytes path);

#endif
