/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GHCB MSR protocol (AMD 56421 rev 2.03, 2.3.1): how requests are written and answers read.
 * Answers come from the host, which nobody trusts: a false one may end the guest, no more.
 */
#ifndef SHIM_GHCB_H
#define SHIM_GHCB_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/shim/layout.h"

#define SHIM_GHCB_SEV_INFO 0x001 /* answer */
#define SHIM_GHCB_SEV_INFO_REQUEST 0x002
#define SHIM_GHCB_REGISTER_REQUEST 0x012
#define SHIM_GHCB_REGISTER 0x013
#define SHIM_GHCB_PAGE_STATE_REQUEST 0x014
#define SHIM_GHCB_PAGE_STATE 0x015
#define SHIM_GHCB_FEATURES_REQUEST 0x080
#define SHIM_GHCB_FEATURES 0x081

#define SHIM_GHCB_CODE 0xfffull
#define SHIM_GHCB_GFN_BITS 0x000ffffffffff000ull /* 51:12 of a page state change */
#define SHIM_GHCB_PROTOCOL 2

enum shim_page_state { SHIM_PRIVATE = 1, SHIM_SHARED = 2 };

/* Hypervisor features (4.1.13, table 8) */
#define SHIM_FEATURE_SNP (1ull << 0)
#define SHIM_FEATURE_AP_CREATION (1ull << 1)

static inline uint64_t shim_ghcb_terminate(unsigned set, unsigned code)
{
    return SHIM_GHCB_TERMINATE | (uint64_t)(set & 0xf) << SHIM_GHCB_TERMINATE_SET_SHIFT |
           (uint64_t)(code & 0xff) << SHIM_GHCB_TERMINATE_CODE_SHIFT;
}

static inline uint64_t shim_ghcb_page_state(uint64_t gpa, enum shim_page_state state)
{
    return SHIM_GHCB_PAGE_STATE_REQUEST | (gpa & SHIM_GHCB_GFN_BITS) | (uint64_t)state << 52;
}

/* Whether the answer is one, and the host's versions include ours. */
static inline bool shim_ghcb_version_fits(uint64_t answer)
{
    return (answer & SHIM_GHCB_CODE) == SHIM_GHCB_SEV_INFO &&
           (answer >> 48 & 0xffff) >= SHIM_GHCB_PROTOCOL &&
           (answer >> 32 & 0xffff) <= SHIM_GHCB_PROTOCOL;
}

static inline bool shim_ghcb_features_fit(uint64_t answer, uint64_t wanted)
{
    return (answer & SHIM_GHCB_CODE) == SHIM_GHCB_FEATURES && (answer >> 12 & wanted) == wanted;
}

static inline bool shim_ghcb_registered(uint64_t answer, uint64_t gpa)
{
    return answer == ((gpa & ~SHIM_GHCB_CODE) | SHIM_GHCB_REGISTER);
}

/* Bits 63:32 are the error, 31:12 reserved. */
static inline bool shim_ghcb_page_state_done(uint64_t answer)
{
    return answer == SHIM_GHCB_PAGE_STATE;
}

/* Versions and features; more than one vCPU needs AP creation. */
void shim_ghcb_negotiate(unsigned vcpus);

/*
 * The GHCB page: registered and shared, and given back. The shim needs no service that the MSR
 * protocol does not give it; but Linux does, and it cannot say much when the first one fails.
 * Here a host that does not change page states ends with a reason. pte is the page's entry in
 * the tables in use, cbit the mask.
 */
void shim_ghcb_open(uint64_t *pte, uint64_t cbit);
void shim_ghcb_close(uint64_t *pte, uint64_t cbit);

#endif
