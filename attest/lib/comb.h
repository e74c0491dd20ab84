/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECDSA on P-384 under a public key that is met often, as a chip's is: multiples of the key and of
 * the curve's base point are worked out once (Lim and Lee's comb), which leaves a seventh of the
 * doublings of a check. Points and numbers are OpenSSL's; all of them are public, so nothing here
 * needs to take the same time for each.
 */
#ifndef BAWN_ATTEST_COMB_H
#define BAWN_ATTEST_COMB_H

#include <stdbool.h>
#include <stdint.h>

#include <bawn/attest.h>

#define COMB_NUMBER 48 /* bytes of a coordinate, a digest, r and s */

/* What all keys share. Not for two threads at once. */
struct comb;
/* A key's multiples, some 50 KiB. */
struct comb_key;

struct comb *comb_create(void); /* NULL: no memory */
void comb_destroy(struct comb *comb);
/* Of 04 || x || y. Takes as long as some ten checks. NULL: no point on the curve, or no memory. */
struct comb_key *comb_key_create(struct comb *comb, struct bawn_bytes point);
void comb_key_destroy(struct comb_key *key);
/* Whether (r, s) is the key's signature over the digest. False also when OpenSSL fails, so that a
 * no is worth a second question. */
bool comb_verify(struct comb *comb, const struct comb_key *key, const uint8_t digest[COMB_NUMBER],
                 const uint8_t r[COMB_NUMBER], const uint8_t s[COMB_NUMBER]);

#endif
