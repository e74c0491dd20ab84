// SPDX-License-Identifier: Apache-2.0
/*
 * What findings call a certificate. Names are hostile text: what is shown of one is bounded and
 * printable, and nothing is decided by it.
 */
#include "attest/lib/chain.h"
#include "attest/lib/x509_parts.h"

#define ATTRIBUTES_SHOWN 4

/* RFC 4514, section 3, and X.520 below 2.5.4: how people write the types. */
static const struct {
    uint8_t oid[10], len;
    const char *text;
} types[] = {
    { { 0x55, 0x04, 0x03 }, 3, "CN" },
    { { 0x55, 0x04, 0x05 }, 3, "serialNumber" },
    { { 0x55, 0x04, 0x06 }, 3, "C" },
    { { 0x55, 0x04, 0x07 }, 3, "L" },
    { { 0x55, 0x04, 0x08 }, 3, "ST" },
    { { 0x55, 0x04, 0x0a }, 3, "O" },
    { { 0x55, 0x04, 0x0b }, 3, "OU" },
    { { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19 }, 10, "DC" },
};

static const char *type_text(struct arena *a, struct bawn_bytes oid)
{
    char dotted[64];

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (der_oid_is(oid, types[i].oid, types[i].len))
            return types[i].text;
    return arena_text(a, "%s", der_oid_text(oid, dotted, sizeof(dotted)));
}

/* "O=Example, C=DE": the first attributes of a name, which was checked when it was parsed. */
static const char *attributes(struct arena *a, struct bawn_bytes name)
{
    struct bawn_cursor all = bawn_cursor_over(name.data, name.len);
    struct bawn_cursor rdns = der_enter(&all, DER_SEQUENCE);
    const char *text = "";

    for (unsigned n = 0; bawn_cursor_left(&rdns) && n < ATTRIBUTES_SHOWN; n++) {
        struct bawn_cursor rdn = der_enter(&rdns, DER_SET);
        struct bawn_cursor pair = der_enter(&rdn, DER_SEQUENCE);
        struct bawn_bytes type = der_content(&pair, DER_OID), value = der_any(&pair, NULL, NULL);

        if (pair.failed)
            break;
        text = arena_text(a, "%s%s%s=%s", text, n ? ", " : "", type_text(a, type),
                          arena_printable(a, value));
    }
    return text;
}

const char *x509_name_text(struct arena *a, struct bawn_bytes name)
{
    struct bawn_cursor c = bawn_cursor_over(name.data, name.len);
    struct bawn_bytes whole, cn = { NULL, 0 };
    const char *text;

    if (x509_name(&c, &whole, &cn) && cn.len)
        return arena_printable(a, cn);
    text = attributes(a, name);
    return *text ? text : "a certificate without a name";
}

const char *x509_label(struct verification *v, const struct x509 *cert)
{
    return arena_text(v->arena, "%s, serial %s",
                      cert->common_name.len ? arena_printable(v->arena, cert->common_name)
                                            : x509_name_text(v->arena, cert->subject),
                      arena_hex(v->arena, cert->serial));
}
