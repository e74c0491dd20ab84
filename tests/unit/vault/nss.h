/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: a token in a folder, by NSS's PKCS#11 module (Debian: libnss3). */
#ifndef TESTS_UNIT_VAULT_NSS_H
#define TESTS_UNIT_VAULT_NSS_H

#include <openssl/evp.h>

#define NSS_MODULE "libsoftokn3.so"
#define NSS_ARGS_SIZE 512

/* Makes the token with that label and PIN in the folder, which exists and is empty, and in it an
 * RSA key with that label; its public key is the caller's. args: what C_Initialize wants
 * (pReserved). */
EVP_PKEY *nss_token(const char *dir, const char *label, const char *key, const char *pin,
                    char args[NSS_ARGS_SIZE]);

#endif
