// SPDX-License-Identifier: Apache-2.0
/* See the header. PKCS #11 2.40, and of NSS that C_Initialize takes a text in place of pReserved.
 */
#include "tests/unit/vault/nss.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include <p11-kit-1/p11-kit/pkcs11.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static EVP_PKEY *public_key(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    uint8_t n[256], e[8];
    CK_ATTRIBUTE want[] = { { CKA_MODULUS, n, sizeof(n) }, { CKA_PUBLIC_EXPONENT, e, sizeof(e) } };
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params;
    BIGNUM *bn_n, *bn_e;

    assert_int_equal(p11->C_GetAttributeValue(session, key, want, 2), CKR_OK);
    bn_n = BN_bin2bn(n, (int)want[0].ulValueLen, NULL);
    bn_e = BN_bin2bn(e, (int)want[1].ulValueLen, NULL);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn_n);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, bn_e);
    params = OSSL_PARAM_BLD_to_param(build);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_free(bn_n);
    BN_free(bn_e);
    return pkey;
}

EVP_PKEY *nss_token(const char *dir, const char *label, const char *key, const char *pin,
                    char args[NSS_ARGS_SIZE])
{
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG bits = 2048;
    CK_BYTE exponent[] = { 1, 0, 1 };
    CK_ATTRIBUTE public[] = { { CKA_TOKEN, &yes, sizeof(yes) },
                              { CKA_MODULUS_BITS, &bits, sizeof(bits) },
                              { CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent) },
                              { CKA_ENCRYPT, &yes, sizeof(yes) } };
    CK_ATTRIBUTE private[] = { { CKA_TOKEN, &yes, sizeof(yes) },
                               { CKA_PRIVATE, &yes, sizeof(yes) },
                               { CKA_DECRYPT, &yes, sizeof(yes) },
                               { CKA_LABEL, (void *)(uintptr_t)key, strlen(key) } };
    CK_MECHANISM rsa = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
    struct {
        CK_C_INITIALIZE_ARGS standard;
        void *none;
    } start = { { .flags = CKF_OS_LOCKING_OK, .pReserved = args }, NULL };
    /* It and NSPR never free some of what they make once, and stay so that this is no leak. */
    void *module = dlopen(NSS_MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    CK_OBJECT_HANDLE keys[2];
    CK_SESSION_HANDLE session;
    CK_FUNCTION_LIST *p11;
    CK_SLOT_ID slots[8];
    CK_ULONG n = COUNT(slots);
    CK_C_GetFunctionList list;
    EVP_PKEY *pkey;

    snprintf(args, NSS_ARGS_SIZE,
             "configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' "
             "dbTokenDescription='%s'",
             dir, label);
    if (!module)
        fail_msg("%s (Debian: libnss3)", dlerror());
    *(void **)&list = dlsym(module, "C_GetFunctionList");
    assert_int_equal(list(&p11), CKR_OK);
    assert_int_equal(p11->C_Initialize(&start), CKR_OK);
    assert_int_equal(p11->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    assert_int_equal(n, 2); /* mechanisms without storage, and the folder */
    assert_int_equal(
        p11->C_OpenSession(slots[1], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
        CKR_OK);
    assert_int_equal(p11->C_Login(session, CKU_SO, NULL, 0), CKR_OK);
    assert_int_equal(p11->C_InitPIN(session, (CK_BYTE *)(uintptr_t)pin, strlen(pin)), CKR_OK);
    assert_int_equal(p11->C_Logout(session), CKR_OK);
    assert_int_equal(p11->C_Login(session, CKU_USER, (CK_BYTE *)(uintptr_t)pin, strlen(pin)),
                     CKR_OK);
    assert_int_equal(p11->C_GenerateKeyPair(session, &rsa, public, COUNT(public), private,
                                            COUNT(private), &keys[0], &keys[1]),
                     CKR_OK);
    pkey = public_key(p11, session, keys[0]);
    assert_int_equal(p11->C_Finalize(NULL), CKR_OK);
    dlclose(module);
    return pkey;
}
