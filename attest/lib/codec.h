/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text encodings: hex, base64 (standard and URL alphabets, padding optional) and PEM armour.
 * Strict: whitespace only where said, no bits left over, no foreign characters.
 */
#ifndef BAWN_ATTEST_CODEC_H
#define BAWN_ATTEST_CODEC_H

#include "attest/lib/result.h"

/* Decodes all of text into the arena; spaces and line ends between digits (hex) or groups
 * (base64) are skipped. False: not that encoding, or empty. */
bool hex_decode(struct arena *a, struct bawn_bytes text, struct bawn_bytes *out);
bool base64_decode(struct arena *a, struct bawn_bytes text, struct bawn_bytes *out);

/* PEM as the PCS sends it in headers has %XX for blanks and line ends: text that has such PEM in
 * it decoded, other text as it is. */
struct bawn_bytes percent_decode(struct arena *a, struct bawn_bytes text);

/* Finds the next PEM block in *text, moves *text past it. label borrows from text ("X509 CRL"),
 * der is decoded into the arena. False: no more blocks. A block that is broken gives der.len 0. */
bool pem_next(struct arena *a, struct bawn_bytes *text, struct bawn_bytes *label,
              struct bawn_bytes *der);

bool bytes_equal(struct bawn_bytes a, struct bawn_bytes b); /* not for secrets */
bool bytes_are(struct bawn_bytes a, const char *text);
bool bytes_zero(const void *data, size_t len);

#endif
