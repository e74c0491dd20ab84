/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) of one piece of memory, without vector registers.
 */
#ifndef SHIM_SHA256_H
#define SHIM_SHA256_H

#include <stdbool.h>
#include <stdint.h>

#define SHIM_SHA256_SIZE 32

void shim_sha256(const uint8_t *data, uint64_t len, uint8_t digest[SHIM_SHA256_SIZE]);

/* In a time that does not depend on where they differ. */
bool shim_sha256_equal(const uint8_t a[SHIM_SHA256_SIZE], const uint8_t b[SHIM_SHA256_SIZE]);

#endif
