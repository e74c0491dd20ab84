// SPDX-License-Identifier: Apache-2.0
/* For tests of the service: nss-token DIR LABEL KEY PIN makes a token of NSS in the folder, and
 * prints its RSA key's public part (PEM). */
#include "tests/unit/vault/nss.h"

#include <stdio.h>

#include <openssl/pem.h>

int main(int argc, char **argv)
{
    char args[NSS_ARGS_SIZE];
    EVP_PKEY *pkey;
    int ok;

    if (argc != 5)
        return 64;
    pkey = nss_token(argv[1], argv[2], argv[3], argv[4], args);
    ok = PEM_write_PUBKEY(stdout, pkey);
    EVP_PKEY_free(pkey);
    return !ok;
}
