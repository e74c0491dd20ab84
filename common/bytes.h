/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hexadecimal text, and bounded reading. Trusts neither text nor what a descriptor gives.
 */
#ifndef BAWN_COMMON_BYTES_H
#define BAWN_COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bawn/attest.h>

/* Of either case; -1: none. */
static inline int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* 2 * len digits of text, which may end before them (and is then wrong) or go on behind them. */
static inline bool hex_parse(const char *text, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Lower case; text has room for 2 * len + 1. */
static inline void hex_print(const uint8_t *bytes, size_t len, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
}

/* Reads to the end into memory of malloc. BAWN_E_IO: "cannot read NAME: ..."; BAWN_E_FORMAT: there
 * are more than `most` bytes, "NAME: larger than N bytes"; BAWN_E_NOMEM. */
enum bawn_status bytes_read(int fd, const char *name, size_t most, struct bawn_bytes *out,
                            struct bawn_error *err);

#endif
