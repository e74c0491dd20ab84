/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processor's side of an SNP guest costs, in ticks of the time-stamp counter: in a
 * deterministic boot (`make bench-snp`) these are instructions. It cannot fail but by not running.
 */
#define _GNU_SOURCE
#include "snp_guest.h"

#define TIMES 2000

static void test_costs(void)
{
    const struct {
        const char *name;
        uint64_t code;
    } rows[] = {
        { "nothing", GUEST_ADDR(snp_cost_nothing) },
        { "RDMSR of EFER, in the module", GUEST_ADDR(snp_cost_efer) },
        { "VMGEXIT, GHCB MSR protocol", GUEST_ADDR(snp_cost_vmgexit) },
        { "PVALIDATE, 4 KiB", GUEST_ADDR(snp_cost_pvalidate) },
        { "CPUID by #VC and GHCB MSR", GUEST_ADDR(snp_cost_cpuid) },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_guest g = snp_prepare(rows[i].code, TIMES, SNP_LAUNCHED, 0);

        lab_row(rows[i].name);
        EXPECT_EQ(snp_run(&g), GUEST_DONE);
        printf("# %-32s %8llu\n", rows[i].name, (unsigned long long)snp_result(&g, 0) / TIMES);
        snp_destroy(&g);
    }
}

static const struct lab_test tests[] = { { "costs", test_costs } };

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
