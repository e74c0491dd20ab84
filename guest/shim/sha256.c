// SPDX-License-Identifier: Apache-2.0
/*
 * SHA-256 (FIPS 180-4, 6.2). Tens of MiB are hashed at each start, so the rounds are unrolled
 * by 16 over a message schedule of 16 words, and the eight variables are renamed, not moved.
 */
#include <string.h>

#include "guest/shim/sha256.h"

#define BLOCK 64
#define LENGTH_AT 56

/* FIPS 180-4, 4.2.2 */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t ror(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static inline uint32_t big_endian(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static inline uint32_t expand(const uint32_t w[16], unsigned i)
{
    uint32_t w15 = w[(i + 1) & 15], w2 = w[(i + 14) & 15];

    return w[i & 15] + w[(i + 9) & 15] + (ror(w15, 7) ^ ror(w15, 18) ^ w15 >> 3) +
           (ror(w2, 17) ^ ror(w2, 19) ^ w2 >> 10);
}

/* One round. What FIPS calls h is a on return and d has grown; the caller renames. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                          \
    do {                                                                                          \
        uint32_t w_ = t ? expand(w, i) : big_endian(data + (size_t)(i)*4);                        \
        uint32_t t_ = (h) + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((g) ^ ((e) & ((f) ^ (g)))) + \
                      k[t + (i)] + w_;                                                            \
                                                                                                  \
        w[i] = w_;                                                                                \
        (d) += t_;                                                                                \
        (h) = t_ + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + (((a) & (b)) | ((c) & ((a) | (b))));   \
    } while (0)

static void compress(uint32_t state[8], const uint8_t *data, uint64_t blocks)
{
    uint32_t w[16] = { 0 };

    for (; blocks; blocks--, data += BLOCK) {
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

        for (unsigned t = 0; t < 64; t += 16) {
            ROUND(a, b, c, d, e, f, g, h, 0);
            ROUND(h, a, b, c, d, e, f, g, 1);
            ROUND(g, h, a, b, c, d, e, f, 2);
            ROUND(f, g, h, a, b, c, d, e, 3);
            ROUND(e, f, g, h, a, b, c, d, 4);
            ROUND(d, e, f, g, h, a, b, c, 5);
            ROUND(c, d, e, f, g, h, a, b, 6);
            ROUND(b, c, d, e, f, g, h, a, 7);
            ROUND(a, b, c, d, e, f, g, h, 8);
            ROUND(h, a, b, c, d, e, f, g, 9);
            ROUND(g, h, a, b, c, d, e, f, 10);
            ROUND(f, g, h, a, b, c, d, e, 11);
            ROUND(e, f, g, h, a, b, c, d, 12);
            ROUND(d, e, f, g, h, a, b, c, 13);
            ROUND(c, d, e, f, g, h, a, b, 14);
            ROUND(b, c, d, e, f, g, h, a, 15);
        }
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
        state[5] += f;
        state[6] += g;
        state[7] += h;
    }
}

void shim_sha256(const uint8_t *data, uint64_t len, uint8_t digest[SHIM_SHA256_SIZE])
{
    /* FIPS 180-4, 5.3.3 */
    uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    uint8_t last[2 * BLOCK] = { 0 };
    uint64_t whole = len / BLOCK, rest = len % BLOCK;
    uint64_t last_blocks = rest < LENGTH_AT ? 1 : 2;
    uint64_t bits = __builtin_bswap64(len * 8);

    compress(state, data, whole);
    if (rest)
        memcpy(last, data + whole * BLOCK, rest);
    last[rest] = 0x80;
    memcpy(last + last_blocks * BLOCK - sizeof(bits), &bits, sizeof(bits));
    compress(state, last, last_blocks);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t v = __builtin_bswap32(state[i]);

        memcpy(digest + (size_t)i * 4, &v, sizeof(v));
    }
}

bool shim_sha256_equal(const uint8_t a[SHIM_SHA256_SIZE], const uint8_t b[SHIM_SHA256_SIZE])
{
    volatile uint8_t differ = 0;

    for (unsigned i = 0; i < SHIM_SHA256_SIZE; i++)
        differ |= a[i] ^ b[i];
    return !differ;
}
