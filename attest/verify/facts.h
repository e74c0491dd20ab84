/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the many claims a person wants to see first, in the order of printing. Those that
 * the evidence does not have are not printed; --list-claims and --json print all.
 */
#ifndef BAWN_VERIFY_FACTS_H
#define BAWN_VERIFY_FACTS_H

#include <stddef.h>

enum {
    FACT_HEX = 1 << 0,   /* a number that is a set of bits */
    FACT_PARTS = 1 << 1, /* also those of the claims below it that are numbers or true */
    FACT_LIST = 1 << 2,  /* an indexed claim on one line */
    FACT_SET = 1 << 3,   /* only when it is not all zeros */
};

struct verify_fact {
    const char *label, *claim;
    unsigned show;
};

extern const struct verify_fact verify_facts[];
extern const size_t verify_nr_facts;

#endif
