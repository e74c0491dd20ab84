// SPDX-License-Identifier: Apache-2.0
/*
 * Input: the body of POST attest. It is judged whole; nothing in it can be allowed, for no report
 * can be signed here.
 */
#include "attest/service/judge/judge.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct judge *make(void)
{
    static const char policy[] =
        "{\"bawn_policy\":1,\"id\":\"p\",\"version\":\"1\",\"evidence\":[\"snp\",\"tdx\",\"tpm\","
        "\"azure-snp\",\"azure-tdx\"],\"rules\":[{\"id\":\"r\",\"claim\":\"snp.policy.debug\","
        "\"equals\":false,\"reason\":\"r\"}]}";
    json_t *state =
        json_pack("{s:{s:{s:{s:s, s:s}}}}", "tenants", "t", "policy", "name", "p", "text", policy);
    char *text = json_dumps(state, JSON_COMPACT);
    json_t *snapshot = json_pack("{s:I}", "state", (json_int_t)strlen(text));
    struct judge *judge = judge_create();
    struct bawn_error err = { "" };

    if (!judge ||
        judge_take_snapshot(judge, snapshot, (uint8_t *)text, strlen(text), &err) != BAWN_OK)
        __builtin_trap();
    json_decref(state);
    json_decref(snapshot);
    return judge;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct judge *judge;
    struct bawn_error err = { "" };
    json_t *decision = NULL;

    if (!judge)
        judge = make();
    if (judge_body(judge, "t", "c", (struct bawn_bytes){ data, size }, 1700000000, &decision,
                   &err) == BAWN_OK) {
        if (!decision || json_is_true(json_object_get(decision, "allowed")) ||
            !json_array_size(json_object_get(decision, "reasons")))
            __builtin_trap();
    } else if (!*err.msg || decision) {
        __builtin_trap();
    }
    json_decref(decision);
    return 0;
}
