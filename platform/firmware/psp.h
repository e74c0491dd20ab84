/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of AMD's secure processor as bawn-platformd runs it: SEV-SNP firmware commands in,
 * status codes and changed pages out. Pure: no files, no clock, no device; randomness and
 * cryptography are OpenSSL's. What comes from the kernel module and from guests is hostile.
 * It models the architecture and keeps no secret from the host that it runs on; its keys are
 * test keys, and its certificates say so.
 *
 * One struct psp belongs to one thread.
 */
#ifndef BAWN_FIRMWARE_PSP_H
#define BAWN_FIRMWARE_PSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bawn/platform.h>
#include <bawn/psp.h>
#include <bawn/snp.h>
#include <bawn/status.h>

/* ---- Products ---- */

enum psp_product { PSP_MILAN, PSP_GENOA, PSP_TURIN, PSP_PRODUCTS };

const char *psp_product_name(enum psp_product product); /* "Milan" */
bool psp_product_find(const char *name, enum psp_product *product);

/* ---- Bytes that the caller frees with psp_blob_free(), which wipes them ---- */

struct psp_blob {
    uint8_t *data;
    size_t len;
};

void psp_blob_free(struct psp_blob *blob);

/* ---- Identity: the chip, its secret, and the keys above it ---- */

struct psp_identity;

/* What an identity consists of, each a file. */
enum psp_identity_part {
    PSP_CHIP,    /* product, chip ID, secret; secret */
    PSP_ARK_KEY, /* PEM; secret */
    PSP_ASK_KEY, /* PEM; secret */
    PSP_ARK,     /* PEM */
    PSP_ASK,     /* PEM */
    PSP_IDENTITY_PARTS,
};

struct psp_file {
    const char *name;
    bool secret;
};

extern const struct psp_file psp_identity_files[PSP_IDENTITY_PARTS];

/* AMD's keys have 4096 bits. now: seconds since 1970. */
enum bawn_status psp_identity_create(struct psp_identity **identity, enum psp_product product,
                                     unsigned rsa_bits, int64_t now, struct bawn_error *err);
enum bawn_status psp_identity_export(const struct psp_identity *identity,
                                     enum psp_identity_part part, struct psp_blob *out,
                                     struct bawn_error *err);
enum bawn_status psp_identity_import(struct psp_identity **identity,
                                     const struct psp_blob parts[PSP_IDENTITY_PARTS],
                                     struct bawn_error *err);
enum psp_product psp_identity_product(const struct psp_identity *identity);
void psp_identity_destroy(struct psp_identity *identity);

/* ---- The processor ---- */

enum psp_fault {
    PSP_FAULT_WRONG_TCB = 1 << 0,         /* reports name another TCB than the VCEK's */
    PSP_FAULT_REVOKED_VCEK = 1 << 1,      /* the CRL lists the ASK that issued the VCEK */
    PSP_FAULT_STALE_CRL = 1 << 2,         /* the CRL was to be replaced yesterday */
    PSP_FAULT_BUSY = 1 << 3,              /* the first two tries of a guest's request are busy */
    PSP_FAULT_INVALID_SIGNATURE = 1 << 4, /* of reports */
    PSP_FAULT_LOST_COMMAND = 1 << 5,      /* a guest's request is never answered */
};

struct psp_fault_name {
    const char *name; /* "wrong-tcb" */
    enum psp_fault fault;
};

#define PSP_FAULTS 6
extern const struct psp_fault_name psp_faults[PSP_FAULTS];

struct psp_config {
    uint32_t report_version; /* BAWN_SNP_REPORT_V2, V3 or V5; 0: V5 */
    unsigned faults;         /* enum psp_fault */
    bool smt_disabled;       /* else the platform has SMT on, and policies must allow it */
    uint32_t nr_asids;       /* until HELLO says another number; 0: 511 */
    /* What the processor offers, for the check of CPUID pages: copied. Of leaves that are not
     * here any values are taken. */
    const struct bawn_psp_cpuid_function *offer;
    size_t nr_offer;
};

#define PSP_ASIDS_MAX 511u

struct psp;

/* Takes the identity, also when it fails. */
enum bawn_status psp_create(struct psp **psp, struct psp_identity *identity,
                            const struct psp_config *config, struct bawn_error *err);
void psp_destroy(struct psp *psp);

/* ---- Commands ---- */

struct psp_page {
    uint64_t paddr, gpa;
    uint32_t flags;    /* BAWN_PLATFORM_PAGE_* */
    const uint8_t *in; /* 4096 bytes when the flags have _IN, else NULL */
    uint8_t *out;      /* 4096 bytes when the flags have _OUT, else NULL; may be in */
    bool changed;      /* out was written */
};

/* One command; the pages stand as in a message (platform.h). */
struct psp_call {
    uint32_t command;
    const uint8_t *buffer;
    size_t buffer_len;
    struct psp_page *pages;
    size_t nr_pages;
};

/* The firmware's status, or BAWN_PLATFORM_BUSY. */
uint32_t psp_command(struct psp *psp, struct psp_call *call);

/* ---- Messages ---- */

enum psp_served {
    PSP_REPLY,
    PSP_NO_REPLY,  /* PSP_FAULT_LOST_COMMAND */
    PSP_MALFORMED, /* this is no request: the two sides disagree about the protocol */
};

/* Serves a request of platform.h. The reply has room for BAWN_PLATFORM_MESSAGE_MAX bytes. Before
 * it is sent, what psp_unsaved() gives is to be saved. */
enum psp_served psp_serve(struct psp *psp, const uint8_t *request, size_t len, uint8_t *reply,
                          size_t *reply_len, struct bawn_error *err);

/* ---- State that outlives the process ---- */

#define PSP_RECORD_NAME 24
#define PSP_RECORD_MAX 1024

struct psp_record {
    char name[PSP_RECORD_NAME]; /* "platform", "guest-0123456789abcdef" */
    uint8_t data[PSP_RECORD_MAX];
    size_t len; /* 0: the record is to be removed, and wiped */
};

/* What has changed since it was last given out. False: nothing. The record holds secrets: wipe
 * it after use. */
bool psp_unsaved(struct psp *psp, struct psp_record *record);
/* Before a clean end: launches that are under way can then go on. (A launch is lost when the
 * process ends otherwise; guests that run are not.) */
void psp_park(struct psp *psp);
/* Takes a record that was saved; BAWN_E_FORMAT: it is broken, or of another chip. */
enum bawn_status psp_restore(struct psp *psp, const char *name, const uint8_t *data, size_t len,
                             struct bawn_error *err);

/* ---- Endorsements: what a verifier needs, each a file ---- */

enum psp_endorsement {
    PSP_VCEK,       /* PEM, for the chip and its reported TCB */
    PSP_CERT_CHAIN, /* PEM of ASK and ARK, as AMD's key server gives them */
    PSP_CERTS,      /* the table that an extended guest request returns */
    PSP_CRL,        /* DER, of the ARK */
    PSP_ENDORSEMENTS,
};

extern const struct psp_file psp_endorsement_files[PSP_ENDORSEMENTS];

/* Makes them for the reported TCB of this moment. */
enum bawn_status psp_endorse(struct psp *psp, int64_t now, struct psp_blob out[PSP_ENDORSEMENTS],
                             struct bawn_error *err);
/* Whether the reported TCB is another than at the last psp_endorse(). */
bool psp_endorsements_stale(const struct psp *psp);

#endif
