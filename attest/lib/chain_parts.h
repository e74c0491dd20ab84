/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What chain.c and crl.c share: the parts of judging one chain.
 */
#ifndef BAWN_ATTEST_CHAIN_PARTS_H
#define BAWN_ATTEST_CHAIN_PARTS_H

#include "attest/lib/chain.h"

/* "the VCEK (SEV-VCEK, serial 00)" for the leaf, else "SEV-Milan, serial 010001". */
const char *chain_name(struct verification *v, const struct chain_rules *rules,
                       const struct chain *chain, const struct x509 *cert);
/* Whether a link or CRL may be signed so. Never with SHA-1. */
bool chain_alg_fits(const struct chain_rules *rules, const struct sig_alg *alg);
/* crl.c: whether none of the chain is revoked, as far as the CRLs at hand say and must say. */
bool chain_revocation(struct verification *v, const struct chain_rules *rules,
                      const struct chain *chain);

#endif
