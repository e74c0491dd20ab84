// SPDX-License-Identifier: Apache-2.0
/*
 * Input: lines of "name=value", claims as a log has them, of any kind; decided by a policy that has
 * every requirement and group.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/policy/common.h"

#define RULE(id, body) "{\"id\":\"" id "\",\"reason\":\"w\"," body "}"

static const char text[] =
    "{\"bawn_policy\":1,\"id\":\"p\",\"version\":\"1\",\"evidence\":[\"snp\",\"tdx\"],"
    "\"test_roots\":true,\"rules\":[" RULE("a", "\"claim\":\"snp.vmpl\",\"at_least\":1,\"trust\":{"
                                                "\"claim\":\"hardware\"}") "," RULE("b", "\"claim\""
                                                                                         ":\"snp."
                                                                                         "measureme"
                                                                                         "nt\","
                                                                                         "\"one_"
                                                                                         "of\":["
                                                                                         "\"00ff\","
                                                                                         "\"11\"]") "," RULE("c", "\"claim\":\"snp.reported_tcb\",\"at_least\":\"0102030405060708\"") "," RULE(
        "d",
        "\"any\":[{\"id\":\"d1\",\"claim\":\"tdx.tcb_date\",\"at_most\":"
        "\"2024-01-01T00:00:00Z\"},{\"id\":\"d2\",\"not\":{\"id\":\"d3\",\"claim\":"
        "\"snp.policy\",\"bits_set\":\"0x80000\"}}]") "," RULE("e",
                                                               "\"claim\":\"tdx.rtmr[*]\",\"bits_"
                                                               "clear\":\"80\"") "," RULE("f", "\"c"
                                                                                               "lai"
                                                                                               "m\""
                                                                                               ":\""
                                                                                               "hcl"
                                                                                               ".vm"
                                                                                               "_co"
                                                                                               "nfi"
                                                                                               "gur"
                                                                                               "ati"
                                                                                               "on."
                                                                                               "x\""
                                                                                               ",\""
                                                                                               "equ"
                                                                                               "als"
                                                                                               "\":"
                                                                                               "tru"
                                                                                               "e") "," RULE("g",
                                                                                                             "\"claim\":\"tpm.pcr[7]\",\"in_reference\":\"s\"") "," RULE("h",
                                                                                                                                                                         "\"claim\":\"snp.policy.debug\",\"equals\":false") "," RULE("i",
                                                                                                                                                                                                                                     "\"not\":{\"id\":\"i1\",\"claim\":\"launch.cmdline\",\"absent\":true}") "]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bawn_policy *p;
    static struct bawn_claims *claims;
    const struct bawn_claim *list;
    struct bawn_error err;
    char *lines, *next;
    size_t n;

    if (!p) {
        claims = bawn_claims_create();
        if (!claims ||
            bawn_policy_create(&p, "p", (struct bawn_bytes){ (const uint8_t *)text, strlen(text) },
                               NULL, NULL, &err))
            __builtin_trap();
    }
    bawn_claims_reset(claims);
    lines = strndup((const char *)data, size);
    if (!lines)
        return 0;
    for (char *line = lines; line; line = next) {
        char *eq;

        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        eq = strchr(line, '=');
        if (!eq)
            continue;
        *eq = 0;
        bawn_claims_add(claims, line, eq + 1, &err);
    }
    n = bawn_claims_list(claims, &list);
    fuzz_decide_on(p, list, n);
    free(lines);
    return 0;
}
