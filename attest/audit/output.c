// SPDX-License-Identifier: Apache-2.0
/*
 * Printing what a log says. Its texts may be a forger's, who would like to speak to the terminal.
 */
#include "attest/audit/audit.h"

#include <stdlib.h>
#include <string.h>

/* The code point at p; jansson made sure of valid UTF-8. */
static unsigned code_point(const unsigned char *p, size_t *len)
{
    static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    unsigned c;

    *len = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    c = *p & masks[*len];
    for (size_t i = 1; i < *len; i++) {
        if ((p[i] & 0xc0) != 0x80) { /* not UTF-8 after all */
            *len = i;
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    return c;
}

/* Control characters (C0, DEL, C1), line separators, and what turns the direction of writing. */
static bool steers(unsigned c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x061c ||
           c == 0xfeff;
}

void audit_print(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t len;

    for (; p && *p; p += len) {
        unsigned c = code_point(p, &len);

        if (steers(c))
            printf("\\u%04x", c);
        else
            fwrite(p, 1, len, stdout);
    }
}

const char *audit_type(const json_t *entry)
{
    const char *type = json_string_value(json_object_get(entry, "type"));

    return type ? type : json_string_value(json_object_get(entry, "kind"));
}

void audit_print_json(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    if (text)
        puts(text);
    else
        abort(); /* no memory: an answer must not look complete without being it */
    free(text);
    json_decref(value);
}

json_t *audit_base64(const uint8_t *data, size_t len)
{
    char text[64];

    if (len > 32)
        return NULL;
    EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    return json_string(text);
}
