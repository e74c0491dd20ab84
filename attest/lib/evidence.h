/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking evidence apart, the parts of it: which binary form some bytes are, and the forms that
 * carry several of them (JSON, protobuf). Nothing here judges; the judges parse again and
 * strictly what is only recognised here. A fixed number of layers, no recursion.
 */
#ifndef BAWN_ATTEST_EVIDENCE_H
#define BAWN_ATTEST_EVIDENCE_H

#include "attest/lib/json.h"
#include "attest/lib/verify.h"

enum taken {
    TAKEN_NONE,   /* not this form; nothing was found or noted */
    TAKEN,        /* its parts are in v->ev */
    TAKEN_INNER,  /* it only wrapped other evidence, which is in *inner */
    TAKEN_BROKEN, /* a finding says why */
};

/* evidence.c: one of the binary forms. Fills v->ev; a part that is there already is a finding. */
enum taken evidence_take_binary(struct verification *v, struct bawn_bytes data);
/* Puts bytes into one part of v->ev, once. False: a finding says that it was there. */
bool evidence_put(struct verification *v, struct bawn_bytes *part, const char *what,
                  struct bawn_bytes data);

/* evidence_json.c: text that begins like a JSON object. */
enum taken evidence_take_json(struct verification *v, struct bawn_bytes text,
                              struct bawn_bytes *inner);
/* The bytes that a JSON value stands for: a string of hex or base64, or an array of numbers
 * up to 255. False: none of these. */
bool evidence_json_bytes(const struct js *j, uint32_t value, struct bawn_bytes *out);

/* evidence_report.c: an SNP report written as a JSON object of its fields, put back into its
 * binary form. False: a finding says which field is missing or ambiguous. */
bool evidence_report_from_json(struct verification *v, const struct js *j, uint32_t object,
                               struct bawn_bytes *report);

/* evidence_pb.c: go-tpm-tools' attestation message (protobuf). */
enum taken evidence_take_protobuf(struct verification *v, struct bawn_bytes data);

/* How each bank ranks when evidence has several: 0 is not known. */
unsigned evidence_bank_rank(enum hash_alg alg);
/* The bank whose values have this length, or HASH_NONE. */
enum hash_alg evidence_bank_of_size(size_t len);

/* Refuses to look further: what should be evidence is an endorsement. Always false. */
bool evidence_is_endorsement(struct verification *v, const char *what);

extern const struct check evidence_form; /* "evidence.form" */

#endif
