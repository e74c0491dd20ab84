/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets of libbawn-policy share.
 */
#ifndef BAWN_FUZZ_POLICY_COMMON_H
#define BAWN_FUZZ_POLICY_COMMON_H

#include <bawn/policy.h>

/* libFuzzer's entry point. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Evaluates over no claims and some, for every kind of evidence and verdict, and checks what must
 * always hold. */
void fuzz_decide(const struct bawn_policy *p);
/* The same over these. */
void fuzz_decide_on(const struct bawn_policy *p, const struct bawn_claim *claims, size_t n);

#endif
