/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Numbers of TPM 2.0 (Trusted Platform Module Library, part 2: Structures; TCG PC Client
 * Platform TPM Profile) under the specification's names. The kernel has some of them in
 * <linux/tpm.h>: include one of the two. All integers of a TPM are big-endian.
 */
#ifndef BAWN_TPM_H
#define BAWN_TPM_H

/* Part 2, 6.2, TPM_GENERATED: the first field of what the TPM itself made. */
#define TPM_GENERATED_VALUE 0xff544347u

/* Part 2, 6.3 (and TCG Algorithm Registry), TPM_ALG_ID. */
#define TPM_ALG_RSA 0x0001
#define TPM_ALG_SHA1 0x0004
#define TPM_ALG_HMAC 0x0005
#define TPM_ALG_AES 0x0006
#define TPM_ALG_MGF1 0x0007
#define TPM_ALG_KEYEDHASH 0x0008
#define TPM_ALG_XOR 0x000a
#define TPM_ALG_SHA256 0x000b
#define TPM_ALG_SHA384 0x000c
#define TPM_ALG_SHA512 0x000d
#define TPM_ALG_NULL 0x0010
#define TPM_ALG_SM3_256 0x0012
#define TPM_ALG_SM4 0x0013
#define TPM_ALG_RSASSA 0x0014
#define TPM_ALG_RSAES 0x0015
#define TPM_ALG_RSAPSS 0x0016
#define TPM_ALG_OAEP 0x0017
#define TPM_ALG_ECDSA 0x0018
#define TPM_ALG_ECDH 0x0019
#define TPM_ALG_ECDAA 0x001a
#define TPM_ALG_SM2 0x001b
#define TPM_ALG_ECSCHNORR 0x001c
#define TPM_ALG_ECMQV 0x001d
#define TPM_ALG_KDF1_SP800_56A 0x0020
#define TPM_ALG_KDF2 0x0021
#define TPM_ALG_KDF1_SP800_108 0x0022
#define TPM_ALG_ECC 0x0023
#define TPM_ALG_SYMCIPHER 0x0025
#define TPM_ALG_CAMELLIA 0x0026
#define TPM_ALG_SHA3_256 0x0027
#define TPM_ALG_SHA3_384 0x0028
#define TPM_ALG_SHA3_512 0x0029

/* TCG Algorithm Registry, TPM_ECC_CURVE. */
#define TPM_ECC_NIST_P256 0x0003
#define TPM_ECC_NIST_P384 0x0004
#define TPM_ECC_NIST_P521 0x0005

/* Part 2, 6.9, TPM_ST: what an attestation is of. */
#define TPM_ST_ATTEST_NV 0x8014
#define TPM_ST_ATTEST_COMMAND_AUDIT 0x8015
#define TPM_ST_ATTEST_SESSION_AUDIT 0x8016
#define TPM_ST_ATTEST_CERTIFY 0x8017
#define TPM_ST_ATTEST_QUOTE 0x8018
#define TPM_ST_ATTEST_TIME 0x8019
#define TPM_ST_ATTEST_CREATION 0x801a
#define TPM_ST_ATTEST_NV_DIGEST 0x801c

/* Part 2, 8.3, TPMA_OBJECT. */
#define TPMA_OBJECT_FIXEDTPM (1u << 1)
#define TPMA_OBJECT_STCLEAR (1u << 2)
#define TPMA_OBJECT_FIXEDPARENT (1u << 4)
#define TPMA_OBJECT_SENSITIVEDATAORIGIN (1u << 5)
#define TPMA_OBJECT_USERWITHAUTH (1u << 6)
#define TPMA_OBJECT_ADMINWITHPOLICY (1u << 7)
#define TPMA_OBJECT_NODA (1u << 10)
#define TPMA_OBJECT_ENCRYPTEDDUPLICATION (1u << 11)
#define TPMA_OBJECT_RESTRICTED (1u << 16)
#define TPMA_OBJECT_DECRYPT (1u << 17)
#define TPMA_OBJECT_SIGN_ENCRYPT (1u << 18)
#define TPMA_OBJECT_X509SIGN (1u << 19)

/* Part 2, 6.x and annex A: limits that the structures' sizes rest on. */
#define TPM_MAX_PCR_BANKS 16 /* HASH_COUNT of TPML_PCR_SELECTION */
#define TPM_PCR_SELECT_MIN 3 /* PC Client: 24 PCRs */
#define TPM_PCR_SELECT_MAX 4
#define TPM_MAX_DIGEST 64 /* SHA-512 */
#define TPM_MAX_HA 66     /* TPMT_HA: algorithm and digest; bounds names and extraData */
#define TPM_MAX_RSA_KEY_BYTES 512
#define TPM_MAX_ECC_KEY_BYTES 128

#endif
