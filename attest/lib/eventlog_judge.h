/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event log under judgement: shared by eventlog_verify.c (does it lead to the signed
 * values?) and eventlog_claims.c (what does it say?).
 */
#ifndef BAWN_ATTEST_EVENTLOG_JUDGE_H
#define BAWN_ATTEST_EVENTLOG_JUDGE_H

#include "attest/lib/event_decode.h"
#include "attest/lib/verify.h"

struct log_judge {
    struct verification *v;
    const struct eventlog *log;
    struct eventlog_replay replay;
    struct bawn_bytes want[EVENTLOG_REGISTERS]; /* values to compare with; empty: none */
    uint32_t compared;                          /* bit n: there is a value for register n */
    uint32_t covered;                           /* bit n: that value is signed */
    uint32_t refused;                           /* bit n: the replay does not lead to that value */
    /* Bit n: claims may be made from events of register n. Those whose replay equals a signed
     * value; or, when the log is alone and the verdict cannot be "trusted" anyway, all. */
    uint32_t believed;
};

/* The register that holds what the PC Client profile puts into that PCR: the PCR itself, or in a
 * CC log the measurement register (UEFI 2.10, 38.4.1, table for TDX). */
unsigned eventlog_register(const struct eventlog *log, unsigned pcr);

/* Lists all events in the result, warns of those whose data is not what was measured, and makes
 * claims from those that can be believed. */
void eventlog_claims(struct log_judge *j);

#endif
