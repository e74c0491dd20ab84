// SPDX-License-Identifier: Apache-2.0
/*
 * What binds evidence to a KBS session and to the guest's key. Client and service share it, so that
 * they cannot come to differ.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/jose/internal.h"

enum { REPORT_DATA = 64 };

enum bawn_status kbs_report_data(const json_t *runtime_data, const char *additional,
                                 const char *hash, uint8_t report_data[REPORT_DATA],
                                 struct bawn_error *err)
{
    static const char *const hashes[] = { "sha256", "sha384", "sha512" };
    const char *nonce = jose_text(runtime_data, "nonce");
    json_t *key = json_object_get(runtime_data, "tee-pubkey"), *bound;
    const EVP_MD *md = NULL;
    enum bawn_status status;
    char *text = NULL;
    size_t len;

    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
        if (!strcmp(hashes[i], hash))
            md = EVP_get_digestbyname(hash);
    if (!md)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "no hash for runtime data: it is not sha256, "
                         "sha384 or sha512");
    if (!nonce || !json_is_object(key))
        return bawn_fail(err, BAWN_E_FORMAT, "runtime data without \"nonce\" or \"tee-pubkey\"");
    bound = json_pack("{s:s,s:s,s:O}", "additional-evidence", additional, "nonce", nonce,
                      "tee-pubkey", key);
    if (!bound)
        return bawn_fail(err, BAWN_E_FORMAT, "additional evidence that is not UTF-8");
    status = json_canonical(bound, &text, &len, err);
    json_decref(bound);
    if (status != BAWN_OK)
        return status;
    memset(report_data, 0, REPORT_DATA);
    if (!EVP_Digest(text, len, report_data, NULL, md, NULL))
        status = bawn_fail(err, BAWN_E_INTERNAL, "hashing failed");
    free(text);
    return status;
}
