// SPDX-License-Identifier: Apache-2.0
/*
 * Why a guest had itself ended, in words. The codes come from the guest.
 */
#include "bawn/shim.h"
#include "snp.h"

/* AMD 56421, table 3, and Linux's own set (arch/x86/include/asm/sev-common.h). */
static const struct {
    unsigned set, code;
    const char *text;
} reasons[] = {
    { 0, 0, "it asked for it without a reason" },
    { 0, 1, "the host's GHCB protocol version is not in the guest's range" },
    { 0, 2, "the host lacks an SNP feature that the guest needs" },
    { 1, 0, "Linux: the host does not take the GHCB's address" },
    { 1, 1, "Linux: the host refuses a page state change" },
    { 1, 2, "Linux: a page cannot be validated" },
    { 1, 3, "Linux: the guest does not run at VMPL 0" },
    { 1, 4, "Linux: the CPUID page is not valid" },
    { 1, 5, "Linux: the host does not answer a CPUID request" },
    { 1, 6, "Linux: the secrets page is not there" },
    { 1, 7, "Linux: there is no SVSM" },
    { 1, 8, "Linux: the SVSM does not run at VMPL 0" },
    { 1, 9, "Linux: the SVSM's calling area is not aligned" },
};

const char *bawn_snp_reason(unsigned set, unsigned code)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].set == set && reasons[i].code == code)
            return reasons[i].text;
    }
    return bawn_shim_reason_text(set, code);
}
