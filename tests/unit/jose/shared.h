/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of JOSE share.
 */
#ifndef BAWN_TEST_JOSE_SHARED_H
#define BAWN_TEST_JOSE_SHARED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "attest/jose/jose.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline EVP_PKEY *private_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(key);
    return key;
}

static inline json_t *json_of(const char *text)
{
    json_t *value;

    assert_int_equal(
        json_read((struct bawn_bytes){ (const uint8_t *)text, strlen(text) }, &value, NULL),
        BAWN_OK);
    return value;
}

#endif
