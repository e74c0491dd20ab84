/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest that is told step by step what to do (guests/snp_agent.S), as tests of attacks use
 * it: the test program is at once the guest's author and its host. What it writes into the GHCB
 * here is as if the guest had written it, for that page is shared.
 *
 * Its memory beside what snp_guest.h says: pages of AGENT_PRIVATE are validated one by one by
 * who needs them; the pages from AGENT_SHARED on, to AGENT_PRIVATE, are shared.
 */
#ifndef BAWN_TEST_SNP_AGENT_H
#define BAWN_TEST_SNP_AGENT_H

#include "snp_guest.h"

#define PAGE 0x1000ull
#define AGENT_SHARED 0x40000ull
#define AGENT_PRIVATE 0x80000ull /* to GUEST_MEM */
#define AGENT_GHCB AGENT_SHARED  /* registered */
#define AGENT_DATA (AGENT_SHARED + 0x10000)
#define AGENT_OK 0x2000 /* the step was done, or ended by an exception */

/* Fields of the GHCB, by their offsets (AMD 56421, table 3). */
enum {
    GHCB_CPL = 0xcb,
    GHCB_RAX = 0x1f8,
    GHCB_RCX = 0x308,
    GHCB_RDX = 0x310,
    GHCB_RBX = 0x318,
    GHCB_CODE = 0x390,
    GHCB_INFO1 = 0x398,
    GHCB_INFO2 = 0x3a0,
    GHCB_SCRATCH = 0x3a8,
    GHCB_XCR0 = 0x3e8,
    GHCB_BITMAP = 0x3f0,
    GHCB_BUFFER = 0x800,
    GHCB_BUFFER_END = 0xff0,
    GHCB_VERSION = 0xffa,
    GHCB_USAGE = 0xffc,
};

/* SW_EXITINFO1 of a request that was not understood, and why, in SW_EXITINFO2. */
#define GHCB_REFUSED 2
enum {
    GHCB_ERR_NOT_REGISTERED = 1,
    GHCB_ERR_USAGE,
    GHCB_ERR_SCRATCH,
    GHCB_ERR_MISSING,
    GHCB_ERR_INPUT,
    GHCB_ERR_EVENT,
};
#define GHCB_RAISED 1 /* SW_EXITINFO1: an exception, in SW_EXITINFO2 */
#define GHCB_GP (0x80000b00ull | 13)

struct snp_flip {
    uint64_t address, values[2];
    volatile uint64_t count;
};

GUEST_FN(snp_agent);
GUEST_FN(snp_flip);
GUEST_FN(snp_token);

/* A launched guest that waits for its first step. With two vCPUs the second is in snp_flip, not
 * yet run. */
struct snp_guest agent_create(unsigned vcpus);
/* The same in two steps, for what is to happen before the launch. */
struct snp_guest agent_prepare(unsigned vcpus);
void agent_launch(struct snp_guest *g);
struct snp_flip *agent_flip(const struct snp_guest *g);

/* One step. AGENT_OK; another exit: its reason or negative errno, and agent_go() goes on. */
int agent_step(struct snp_guest *g, unsigned step, uint64_t a, uint64_t b, uint64_t c);
int agent_go(struct snp_guest *g);
/* The step's result; its exception, 0 for none. */
uint64_t agent_result(const struct snp_guest *g, unsigned n);
bool agent_vc(const struct snp_guest *g, uint64_t error); /* it ended in that #VC */

/* Steps that must succeed; gpa is of private memory. */
void agent_validate(struct snp_guest *g, uint64_t gpa);
void agent_store(struct snp_guest *g, uint64_t gpa, uint64_t value);
uint64_t agent_load(struct snp_guest *g, uint64_t gpa);

/* The GHCB at a shared address: emptied; one field, made valid; a field that was answered. */
uint8_t *ghcb_at(const struct snp_guest *g, uint64_t gpa);
void ghcb_begin(const struct snp_guest *g);
void ghcb_set(const struct snp_guest *g, unsigned field, uint64_t value);
uint64_t ghcb_get(const struct snp_guest *g, unsigned field);
bool ghcb_answered(const struct snp_guest *g, unsigned field);
/* VMGEXIT with what was set, and these. */
int ghcb_ask(struct snp_guest *g, uint64_t code, uint64_t info1, uint64_t info2);
/* Registers the page with the vCPU. */
void ghcb_register(struct snp_guest *g, uint64_t gpa);

#define EXPECT_ANSWER(g, info1, info2)             \
    do {                                           \
        EXPECT_EQ(ghcb_get(g, GHCB_INFO1), info1); \
        EXPECT_EQ(ghcb_get(g, GHCB_INFO2), info2); \
        EXPECT(ghcb_answered(g, GHCB_INFO1));      \
        EXPECT(ghcb_answered(g, GHCB_INFO2));      \
    } while (0)

#define EXPECT_REFUSED(g, why) EXPECT_ANSWER(g, GHCB_REFUSED, GHCB_ERR_##why)

/* The guest is there, and does what it is told. */
void agent_expect_alive(struct snp_guest *g);
/* The last exit is the guest's end by that request of the GHCB MSR; it can be run on all the same.
 */
void agent_expect_ended(struct snp_guest *g, int r, uint64_t request);

/* The platform's counters of what exists, as it tells them (4 KiB); and that they are these again,
 * at last: what is closed goes a little later. */
void platform_state(char state[4096]);
void platform_expect(const char *state);

#endif
