// SPDX-License-Identifier: Apache-2.0
/*
 * base64url without padding (RFC 4648, section 5; RFC 7515, section 2), and how JSON members hold
 * it. Decoding takes exactly one text per value, so that nothing has two encodings.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/jose/internal.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *b64url_encode(const void *data, size_t len)
{
    const uint8_t *in = data;
    size_t at = 0;
    char *text;

    if (len > SIZE_MAX / 4 * 3 - 8)
        return NULL;
    text = malloc(len / 3 * 4 + 5);
    if (!text)
        return NULL;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)in[i] << 16;

        if (n > 1)
            v |= (uint32_t)in[i + 1] << 8;
        if (n > 2)
            v |= in[i + 2];
        for (size_t c = 0; c <= n; c++)
            text[at++] = alphabet[v >> (18 - 6 * c) & 63];
    }
    text[at] = '\0';
    return text;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

enum bawn_status b64url_decode(const char *text, size_t text_len, uint8_t **out, size_t *len,
                               struct bawn_error *err)
{
    uint8_t *data;
    uint32_t bits = 0;
    size_t n = 0;

    if (text_len % 4 == 1)
        return bawn_fail(err, BAWN_E_FORMAT, "base64url of an impossible length, %zu", text_len);
    data = malloc(text_len / 4 * 3 + 3);
    if (!data)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    for (size_t i = 0; i < text_len; i++) {
        int d = digit(text[i]);

        if (d < 0) {
            free(data);
            return bawn_fail(err, BAWN_E_FORMAT,
                             "byte %zu of a base64url text is not of its alphabet", i);
        }
        bits = bits << 6 | (uint32_t)d;
        if (i % 4)
            data[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    /* RFC 4648, section 3.5: bits that are left over are zero. */
    if ((text_len % 4 == 2 && bits & 15) || (text_len % 4 == 3 && bits & 3)) {
        free(data);
        return bawn_fail(err, BAWN_E_FORMAT, "base64url with bits left over at its end");
    }
    *out = data;
    *len = n;
    return BAWN_OK;
}

/* ---- Members ---- */

const char *jose_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    /* A NUL within would make two texts equal that are not. */
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return NULL;
    return json_string_value(value);
}

enum bawn_status jose_member(const json_t *object, const char *name, uint8_t **out, size_t *len,
                             struct bawn_error *err)
{
    const char *text = jose_text(object, name);

    *out = NULL;
    if (!text)
        return bawn_fail(err, BAWN_E_FORMAT, "the member \"%s\" is missing or not a string", name);
    if (b64url_decode(text, strlen(text), out, len, NULL) != BAWN_OK)
        return bawn_fail(err, BAWN_E_FORMAT, "the member \"%s\" is not base64url", name);
    return BAWN_OK;
}

json_t *jose_b64(const void *data, size_t len)
{
    char *text = b64url_encode(data, len);
    json_t *value = text ? json_string_nocheck(text) : NULL;

    free(text);
    return value;
}

char *jose_b64_json(const json_t *value)
{
    char *text, *encoded;
    size_t len;

    if (json_canonical(value, &text, &len, NULL) != BAWN_OK)
        return NULL;
    encoded = b64url_encode(text, len);
    free(text);
    return encoded;
}
