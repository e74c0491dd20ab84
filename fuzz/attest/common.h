/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets of libbawn-attest share. Signatures can be made to count as good
 * (crypto.c's functions are wrapped at link time), so that parsers behind them are reached.
 */
#ifndef BAWN_FUZZ_ATTEST_COMMON_H
#define BAWN_FUZZ_ATTEST_COMMON_H

#include <bawn/attest.h>

#include "attest/lib/verify.h"

/* libFuzzer's entry points. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From now on every signature is good. */
void fuzz_accept_signatures(void);

/* A file below tests/vectors/ (run from the repository root); kept to the end of the process. */
struct bawn_bytes fuzz_vector(const char *name);

/* Judges, prints every claim and finding into nothing, and checks what must always hold. */
enum bawn_verdict fuzz_verify(enum bawn_evidence_kind kind, struct bawn_bytes evidence,
                              const struct bawn_bytes *endorsements, size_t n, int64_t at);

/* A verification as a judge sees it, with the compiled-in roots; used by one input. */
struct verification *fuzz_verification(int64_t at);

#endif
