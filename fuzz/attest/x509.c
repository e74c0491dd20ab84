// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a certificate, a CRL or a public key in DER, chosen by the first byte. What parses
 * must parse again from its own bytes, and its signature can be tried.
 */
#include "fuzz/attest/common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_bytes der = { data + 1, size - 1 };
    struct bawn_bytes serial;
    struct x509_crl crl;
    struct bawn_error err;
    struct pubkey key;
    struct x509 cert;
    int64_t since;

    if (!size)
        return 0;
    switch (data[0] % 3) {
    case 0:
        if (x509_parse(&cert, der, &err) == BAWN_OK) {
            if (x509_parse(&cert, cert.der, &err) != BAWN_OK)
                __builtin_trap();
            sig_verify(NULL, &cert.key, &cert.alg, cert.tbs, cert.signature);
        }
        break;
    case 1:
        serial = (struct bawn_bytes){ data, size < 8 ? size : 8 };
        if (x509_crl_parse(&crl, der, &err) == BAWN_OK)
            x509_crl_lists(&crl, serial, &since);
        break;
    default:
        pubkey_parse(&key, der, &err);
    }
    return 0;
}
