/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge: reads what guests send to POST attest, verifies the evidence and evaluates the
 * tenant's policy. The bodies are hostile. The vault's snapshots are trusted in what they say
 * (policies, roots) and checked in form. Pure computation between two sockets; the process is
 * judge_main() of service.h.
 */
#ifndef BAWN_ATTESTD_JUDGE_H
#define BAWN_ATTESTD_JUDGE_H

#include <stdbool.h>

#include <jansson.h>

#include <bawn/attest.h>
#include <bawn/policy.h>

/* ---- What it does, without sockets ---- */

struct judge;

struct judge *judge_create(void); /* NULL: no memory */
void judge_destroy(struct judge *judge);

/* Takes a SNAPSHOT (README.md) in place of the one before, which stays on failure. Takes over
 * blobs (malloc'ed) in every case. */
enum bawn_status judge_take_snapshot(struct judge *judge, const json_t *snapshot, uint8_t *blobs,
                                     size_t len, struct bawn_error *err);
bool judge_is_ready(const struct judge *judge); /* has a snapshot */

/* Judges the body of a POST attest. BAWN_OK: *decision is the message DECIDE, whatever the
 * verdict. BAWN_E_FORMAT: the body is no such thing; err is for the client. */
enum bawn_status judge_body(struct judge *judge, const char *tenant, const char *cookie,
                            struct bawn_bytes body, int64_t now, json_t **decision,
                            struct bawn_error *err);

/* ---- Parts ---- */

/* One attestation request, read. Everything is owned or borrowed by `root`. */
struct judge_request {
    json_t *root;
    const json_t *runtime_data;
    const char *nonce;
    const json_t *tee_pubkey;
    const json_t *init_data; /* NULL: absent */
    const char *init_format, *init_body;
    size_t init_len;
    char *runtime_text; /* canonical */
    size_t runtime_len;
    uint8_t *evidence; /* JSON or binary */
    size_t evidence_len;
    enum bawn_evidence_kind kind;
    uint8_t **given; /* endorsements in the request; each with its length */
    size_t *given_len;
    size_t nr_given;
    const char *additional_text; /* that evidence as 0.4.0 sends it; NULL: in another form */
    bool additional;             /* evidence of further devices, which is not judged */
};

enum bawn_status judge_request_read(struct judge_request *request, struct bawn_bytes body,
                                    struct bawn_error *err);
void judge_request_clear(struct judge_request *request);

/* What a tenant's evidence is judged by. */
struct judge_tenant {
    char *name;
    struct bawn_policy *policy; /* NULL: none; everything is denied */
    char *policy_name;
    struct bawn_refs *refs;
    /* The tenant's own roots; NULL: only those compiled in. For more than TPM keys (allowed) they
     * stand with the compiled-in ones, else alone. */
    struct bawn_trust *foreign;
    bool foreign_allowed;
};

struct judge_blob {
    const char *tenant; /* whose it is; its length 0: all tenants' */
    size_t tenant_len;
    const char *name; /* "vcek/<chip id in hex>/..." belongs to one chip, others to all */
    struct bawn_bytes data;
};

struct judge_snapshot {
    json_t *list; /* of the blobs, with their names */
    uint8_t *blobs;
    struct judge_tenant *tenants;
    size_t nr_tenants;
    struct judge_blob *blob;
    size_t nr_blobs;
};

enum bawn_status judge_snapshot_read(struct judge_snapshot **snapshot, const json_t *json,
                                     uint8_t *blobs, size_t len, struct bawn_error *err);
void judge_snapshot_destroy(struct judge_snapshot *snapshot);
const struct judge_tenant *judge_snapshot_tenant(const struct judge_snapshot *snapshot,
                                                 const char *name);

/* How the evidence is bound to the runtime data and the init data. */
struct judge_binding {
    const char *hash;      /* "sha384": of the runtime data, as found; NULL: not bound */
    const char *init_hash; /* of the init data; NULL: none given, or not bound */
    char init_digest[129];
    char why[256]; /* not empty: the binding is broken, for a person */
};

void judge_bind(const struct judge_request *request, const char *evidence,
                const struct bawn_attest_result *result, struct judge_binding *binding);

/* "snp" for "snp", "az-snp-vtpm" for "azure-snp"; NULL for NULL or what no client calls itself. */
const char *judge_tee_of(const char *evidence);

#endif
