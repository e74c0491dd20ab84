// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates, CRLs and keys made up part by part: a plain good one, and what one part in
 * another form makes of it. Whatever is accepted OpenSSL parses too.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/lib/x509.h"

#include <openssl/x509.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- A notation for DER ----
 *
 * Hex digits are bytes; "(" and ")" enclose the content of the tag before them and stand for its
 * length, which "<" and ">" write with an octet too many; "*n{" and "}" repeat n times. Spaces
 * mean nothing.
 */

struct out {
    uint8_t b[70000];
    size_t n;
};

static void put_length(struct out *o, size_t at, unsigned more)
{
    size_t len = o->n - at;
    unsigned octets = (len < 128 ? 0 : len < 256 ? 1 : len < 65536 ? 2 : 3) + more;

    memmove(o->b + at + 1 + octets, o->b + at, len);
    o->b[at] = (uint8_t)(octets ? 0x80 + octets : len);
    for (unsigned i = 0; i < octets; i++)
        o->b[at + 1 + i] = (uint8_t)(len >> (8 * (octets - 1 - i)));
    o->n += 1 + octets;
}

static unsigned hex_value(char ch)
{
    assert_true(isxdigit((unsigned char)ch));
    return isdigit((unsigned char)ch) ? (unsigned)(ch - '0') : (unsigned)(tolower(ch) - 'a') + 10;
}

static void write_der(struct out *o, const char *text)
{
    size_t open[16], depth = 0;
    const char *from = NULL;
    unsigned long again = 0;

    o->n = 0;
    for (const char *p = text; *p; p++) {
        if (*p == ' ')
            continue;
        if (*p == '(' || *p == '<') {
            open[depth++] = o->n;
        } else if (*p == ')' || *p == '>') {
            put_length(o, open[--depth], *p == '>');
        } else if (*p == '*') {
            char *end;

            again = strtoul(p + 1, &end, 10);
            from = p = end;
        } else if (*p == '}') {
            if (--again)
                p = from;
        } else {
            o->b[o->n++] = (uint8_t)(hex_value(p[0]) << 4 | hex_value(p[1]));
            p++;
        }
        assert_true(o->n < sizeof(o->b) - 8 && depth < ARRAY_SIZE(open));
    }
    assert_int_equal(depth, 0);
}

/* ---- The good one ---- */

#define PKCS1(arc) "06(2a864886f70d0101" arc ")"
#define ECDSA(arc) "06(2a8648ce3d04" arc ")"
#define SHA384 "30(06(608648016503040202) 0500)"
#define PSS(sha, salt, more) \
    "30(" PKCS1("0a") "30(a0(" sha ") a1(30(" PKCS1("08") sha ")) a2(02(" salt "))" more "))"
#define NAME(cn) "30(31(30(06(550403) 0c(" cn "))))"
#define P256 "30(06(2a8648ce3d0201) 06(2a8648ce3d030107))"
#define P384 "30(06(2a8648ce3d0201) 06(2b81040022))"
#define P521 "30(06(2a8648ce3d0201) 06(2b81040023))"
#define RSA_ALG "30(" PKCS1("01") "0500)"
/* n has its first and last byte, and what is between. */
#define RSA_KEY(n, e) "30(" RSA_ALG "03(00 30(02(" n ") 02(" e "))))"
#define EXT(ce, value) "30(06(551d" ce ") 04(" value "))"
#define CRITICAL(ce, value) "30(06(551d" ce ") 0101ff 04(" value "))"
#define EXTS(list) "a3(30(" list "))"

enum part {
    VERSION,
    SERIAL,
    ALG, /* inside, and outside unless OUTER_ALG is replaced */
    ISSUER,
    VALIDITY,
    SUBJECT,
    KEY,
    UNIQUE, /* unique identifiers */
    EXTENSIONS,
    OUTER_ALG,
    SIGNATURE,
    TRAILING,
    PARTS,
    CERTIFICATE, /* all of it: the text has % where the to-be-signed part stands, & for the rest */
};

static const char *const good[PARTS] = {
    [VERSION] = "a0(020102)",
    [SERIAL] = "02(0a)",
    [ALG] = "30(" ECDSA("0302") ")",
    [ISSUER] = NAME("41"),
    [VALIDITY] = "30(17(3236303831393134303930315a) 17(3236313030343030303030305a))",
    [SUBJECT] = NAME("42"),
    [KEY] = "30(" P256 "03(00 04 *64{5a}))",
    [UNIQUE] = "",
    [EXTENSIONS] = EXTS(CRITICAL("13", "30(0101ff 020100)") CRITICAL("0f", "03020106")),
    [OUTER_ALG] = NULL,
    [SIGNATURE] = "03(00 3006020101020101)",
    [TRAILING] = "",
};

/* Puts the certificate together with one part replaced, at the end of a heap block. */
static struct bawn_bytes assemble(enum part part, const char *replacement)
{
    static struct out o;
    const char *p[PARTS];
    char text[8192], tbs[4096], rest[1024];
    uint8_t *exact;

    memcpy(p, good, sizeof(p));
    if (part < PARTS)
        p[part] = replacement;
    if (!p[OUTER_ALG])
        p[OUTER_ALG] = p[ALG];
    snprintf(tbs, sizeof(tbs), "%s%s%s%s%s%s%s%s%s", p[VERSION], p[SERIAL], p[ALG], p[ISSUER],
             p[VALIDITY], p[SUBJECT], p[KEY], p[UNIQUE], p[EXTENSIONS]);
    snprintf(rest, sizeof(rest), "%s%s", p[OUTER_ALG], p[SIGNATURE]);
    if (part == CERTIFICATE) {
        size_t n = 0;

        for (const char *r = replacement; *r; r++) {
            if (*r == '%' || *r == '&')
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", *r == '%' ? tbs : rest);
            else
                text[n++] = *r;
        }
        text[n] = '\0';
    } else {
        snprintf(text, sizeof(text), "30(30(%s)%s)%s", tbs, rest, p[TRAILING]);
    }
    assert_true(strlen(text) < sizeof(text) - 1 && strlen(tbs) < sizeof(tbs) - 1);
    write_der(&o, text);
    exact = malloc(o.n);
    assert_non_null(exact);
    memcpy(exact, o.b, o.n);
    return (struct bawn_bytes){ exact, o.n };
}

/* ---- Certificates ---- */

struct certificate_case {
    const char *name;
    enum part part;
    const char *der;
    const char *words; /* of the refusal; NULL: accepted */
};

#define NOT_DER "not one certificate in DER"
#define TIMES(a, b) "30(" a b ")"
#define NOON "17(3236303831393134303930315a)"

static const struct certificate_case certificate_cases[] = {
    { "the good one", TRAILING, "", NULL },

    { "a byte behind", TRAILING, "00", NOT_DER },
    { "another certificate behind", TRAILING, "3000", NOT_DER },
    { "indefinite length", CERTIFICATE, "3080 30(%) & 0000", NOT_DER },
    { "indefinite length inside", CERTIFICATE, "30(3080 % 0000 &)", NOT_DER },
    { "length in three octets for two", CERTIFICATE, "30<30(%) &>", NOT_DER },
    { "the same inside", CERTIFICATE, "30(30<%> &)", NOT_DER },
    { "the same, of the signature", SIGNATURE, "03<00 3006020101020101>", NOT_DER },
    { "primitive SEQUENCE", CERTIFICATE, "10(30(%) &)", NOT_DER },
    { "SET for SEQUENCE", CERTIFICATE, "31(30(%) &)", NOT_DER },
    { "something behind the signature", CERTIFICATE, "30(30(%) & 0500)", NOT_DER },
    { "no signature", SIGNATURE, "", NOT_DER },
    { "signature with unused bits", SIGNATURE, "03(01 80)", NOT_DER },
    { "signature as OCTET STRING", SIGNATURE, "04(00 30)", NOT_DER },
    { "signature in pieces", SIGNATURE, "23(030200ff 030200ff)", NOT_DER },

    { "version 1", VERSION, "", "version 1" },
    { "version 1 said", VERSION, "a0(020100)", "not of version 3" },
    { "version 2", VERSION, "a0(020101)", "not of version 3" },
    { "version 4", VERSION, "a0(020103)", "not of version 3" },
    { "two versions", VERSION, "a0(020102 020102)", "not of version 3" },
    { "version in two bytes", VERSION, "a0(02020002)", "not of version 3" },

    { "serial 0", SERIAL, "020100", NULL },
    { "serial of 160 bits", SERIAL, "02(00 *20{ff})", NULL },
    { "negative serial", SERIAL, "020180", "serial number" },
    { "serial of 161 bits", SERIAL, "02(01 *20{ff})", "serial number" },
    { "serial with a zero too many", SERIAL, "0202007f", "serial number" },
    { "serial with ones too many", SERIAL, "0202ff80", "serial number" },
    { "serial with a long length", SERIAL, "02<0a>", "serial number" },
    { "empty serial", SERIAL, "0200", "serial number" },
    { "serial as ENUMERATED", SERIAL, "0a010a", "serial number" },

    { "RSA-PSS with trailerField", ALG, PSS(SHA384, "30", "a3(020101)"), NULL },
    { "RSA-PSS without", ALG, PSS(SHA384, "30", ""), NULL },
    { "RSA-PSS, trailer 2", ALG, PSS(SHA384, "30", "a3(020102)"), "or its parameters" },
    { "RSA-PSS, salt 32", ALG, PSS(SHA384, "20", ""), "or its parameters" },
    { "RSA-PSS, salt 0", ALG, PSS(SHA384, "00", ""), "or its parameters" },
    { "RSA-PSS with SHA-1", ALG, PSS("30(06(2b0e03021a) 0500)", "30", ""), "or its parameters" },
    { "RSA-PSS, all default: SHA-1", ALG, "30(" PKCS1("0a") "3000)", "or its parameters" },
    { "RSA-PSS, no parameters", ALG, "30(" PKCS1("0a") ")", "1.2.840.113549.1.1.10" },
    { "RSA with SHA-256", ALG, "30(" PKCS1("0b") "0500)", NULL },
    { "RSA with SHA-384", ALG, "30(" PKCS1("0c") "0500)", NULL },
    { "RSA with SHA-512", ALG, "30(" PKCS1("0d") "0500)", NULL },
    { "RSA with SHA-1", ALG, "30(" PKCS1("05") "0500)", "SHA-1 is not accepted" },
    { "RSA with MD5", ALG, "30(" PKCS1("04") "0500)", "1.2.840.113549.1.1.4" },
    { "ECDSA with SHA-1", ALG, "30(" ECDSA("01") ")", "SHA-1 is not accepted" },
    { "ECDSA with SHA-384", ALG, "30(" ECDSA("0303") ")", NULL },
    { "ECDSA with SHA-512", ALG, "30(" ECDSA("0304") ")", NULL },
    { "ECDSA with SHA-224", ALG, "30(" ECDSA("0301") ")", "1.2.840.10045.4.3.1" },
    { "ECDSA with parameters", ALG, "30(" ECDSA("0302") "0500)", "or its parameters" },
    { "Ed25519", ALG, "30(06(2b6570))", "1.3.101.112" },
    { "no algorithm", ALG, "3000", "not an identifier" },
    { "another algorithm outside", OUTER_ALG, "30(" ECDSA("0303") ")", "differs from" },
    { "parameters only outside", OUTER_ALG, "30(" ECDSA("0302") "0500)", "differs from" },

    { "empty issuer", ISSUER, "3000", "issuer is not a name" },
    { "empty subject", SUBJECT, "3000", NULL },
    { "no set", SUBJECT, "30(30(06(550403) 0c(42)))", "subject is not a name" },
    { "empty set", SUBJECT, "30(3100)", "subject is not a name" },
    { "attribute without value", SUBJECT, "30(31(30(06(550403))))", "subject is not a name" },
    { "attribute with two values", SUBJECT, "30(31(30(06(550403) 0c(42) 0c(43))))",
      "subject is not a name" },
    { "a set out of order", SUBJECT, "30(31(30(06(550406) 13(4141)) 30(06(550403) 0c(42))))",
      NULL },
    { "UTF-8, two to four bytes", SUBJECT, NAME("c3a4 e282ac f09f9880"), NULL },
    { "UTF-8 too long", SUBJECT, NAME("c081"), "subject is not a name" },
    { "UTF-8 too long, three bytes", SUBJECT, NAME("e08081"), "subject is not a name" },
    { "UTF-8 surrogate", SUBJECT, NAME("eda080"), "subject is not a name" },
    { "UTF-8 above 10ffff", SUBJECT, NAME("f4908080"), "subject is not a name" },
    { "UTF-8 cut short", SUBJECT, NAME("e282"), "subject is not a name" },
    { "UTF-8 tail alone", SUBJECT, NAME("80"), "subject is not a name" },
    { "PrintableString of eight bits", SUBJECT, "30(31(30(06(550403) 13(ff))))",
      "subject is not a name" },
    { "TeletexString", SUBJECT, "30(31(30(06(550403) 14(ff))))", NULL },
    { "name of an INTEGER", SUBJECT, "30(31(30(06(550403) 020101)))", "subject is not a name" },
    { "OID that does not end", SUBJECT, "30(31(30(06(558403 80) 0c(42))))",
      "subject is not a name" },

    { "13th month", VALIDITY, TIMES(NOON, "17(3236313330343030303030305a)"), "validity" },
    { "February 30", VALIDITY, TIMES("17(3236303233303030303030305a)", NOON), "validity" },
    { "February 29, 2026", VALIDITY, TIMES("17(3236303232393030303030305a)", NOON), "validity" },
    { "February 29, 2028", VALIDITY, TIMES(NOON, "17(3238303232393030303030305a)"), NULL },
    { "no Z", VALIDITY, TIMES(NOON, "17(323631303034303030303030)"), "validity" },
    { "an offset", VALIDITY, TIMES(NOON, "17(3236313030343030303030302b30303030)"), "validity" },
    { "24 o'clock", VALIDITY, TIMES(NOON, "17(3236313030343234303030305a)"), "validity" },
    { "the year 9999", VALIDITY, TIMES(NOON, "18(39393939313233313233353935395a)"), NULL },
    { "one time", VALIDITY, TIMES(NOON, ""), "validity" },
    { "three times", VALIDITY, TIMES(NOON NOON, NOON), "validity" },

    { "P-384", KEY, "30(" P384 "03(00 04 *96{5a}))", NULL },
    { "P-521", KEY, "30(" P521 "03(00 04 *132{01}))", NULL },
    { "compressed point", KEY, "30(" P256 "03(00 02 *32{5a}))", "uncompressed point of P-256" },
    { "hybrid point", KEY, "30(" P256 "03(00 06 *64{5a}))", "uncompressed point of P-256" },
    { "point at infinity", KEY, "30(" P256 "03(00 00))", "uncompressed point of P-256" },
    { "no point", KEY, "30(" P256 "03(00))", "it has 0 bytes" },
    { "point too short", KEY, "30(" P256 "03(00 04 *63{5a}))", "has 64 bytes and must have 65" },
    { "point too long", KEY, "30(" P256 "03(00 04 *65{5a}))", "has 66 bytes and must have 65" },
    { "point of the other curve", KEY, "30(" P384 "03(00 04 *64{5a}))", "of P-384" },
    { "secp256k1", KEY, "30(30(06(2a8648ce3d0201) 06(2b8104000a)) 03(00 04 *64{5a}))",
      "curve 1.3.132.0.10" },
    { "explicit curve", KEY, "30(30(06(2a8648ce3d0201) 30(020101)) 03(00 04 *64{5a}))",
      "does not name its curve" },
    { "no curve", KEY, "30(30(06(2a8648ce3d0201)) 03(00 04 *64{5a}))", "does not name its curve" },
    { "two curves", KEY,
      "30(30(06(2a8648ce3d0201) 06(2b81040022) 06(2b81040022)) 03(00 04 *96{5a}))",
      "does not name its curve" },
    { "RSA-2048", KEY, RSA_KEY("00 80 *254{5a} 01", "010001"), NULL },
    { "RSA-8192", KEY, RSA_KEY("00 80 *1022{5a} 01", "010001"), NULL },
    { "RSA, exponent of 64 bits", KEY, RSA_KEY("00 80 *254{5a} 01", "00 *8{ff}"), NULL },
    { "RSA-2047", KEY, RSA_KEY("7f *254{5a} 01", "010001"), "RSA modulus" },
    { "RSA-1024", KEY, RSA_KEY("00 80 *126{5a} 01", "010001"), "RSA modulus has 128 bytes" },
    { "RSA-8193", KEY, RSA_KEY("01 *1023{5a} 01", "010001"), "RSA modulus has 1025 bytes" },
    { "RSA, even modulus", KEY, RSA_KEY("00 80 *254{5a} 02", "010001"), "RSA modulus" },
    { "RSA, negative modulus", KEY, RSA_KEY("80 *254{5a} 01", "010001"), "non-negative" },
    { "RSA, e = 1", KEY, RSA_KEY("00 80 *254{5a} 01", "01"), "RSA exponent" },
    { "RSA, e = 3", KEY, RSA_KEY("00 80 *254{5a} 01", "03"), "RSA exponent" },
    { "RSA, e = 65535", KEY, RSA_KEY("00 80 *254{5a} 01", "00ffff"), "RSA exponent" },
    { "RSA, even e", KEY, RSA_KEY("00 80 *254{5a} 01", "010002"), "RSA exponent" },
    { "RSA, negative e", KEY, RSA_KEY("00 80 *254{5a} 01", "ff0001"), "RSA exponent" },
    { "RSA, e of 65 bits", KEY, RSA_KEY("00 80 *254{5a} 01", "01 *8{ff}"), "RSA exponent" },
    { "RSA, e with a zero too many", KEY, RSA_KEY("00 80 *254{5a} 01", "00010001"),
      "RSA exponent" },
    { "RSA, a third number", KEY, RSA_KEY("00 80 *254{5a} 01", "010001) 02(01"), "RSA exponent" },
    { "RSA without NULL", KEY,
      "30(30(" PKCS1("01") ") 03(00 30(02(00 80 *254{5a} 01) 02(010001))))", "not NULL" },
    { "RSA, something behind the key", KEY,
      "30(" RSA_ALG "03(00 30(02(00 80 *254{5a} 01) 02(010001)) 00))", "two non-negative" },
    { "RSA key for PSS alone", KEY,
      "30(30(" PKCS1("0a") ") 03(00 30(02(00 80 *254{5a} 01) 02(010001))))", "of type 1.2.840" },
    { "key with unused bits", KEY, "30(" P256 "03(01 04 *64{5a}))", "not a SubjectPublicKeyInfo" },
    { "a third part of the key", KEY, "30(" P256 "03(00 04 *64{5a}) 0500)",
      "not a SubjectPublicKeyInfo" },

    { "issuer unique identifier", UNIQUE, "81(00 ff)", "not just the extensions" },
    { "subject unique identifier", UNIQUE, "82(00 ff)", "not just the extensions" },
    { "no extensions", EXTENSIONS, "", NULL },
    { "empty extensions", EXTENSIONS, "a3(3000)", "not a list in DER" },
    { "extensions twice", EXTENSIONS, EXTS(EXT("0e", "0401aa")) EXTS(EXT("0e", "0401aa")),
      "not just the extensions" },
    { "two lists", EXTENSIONS, "a3(30(" EXT("0e", "0401aa") ") 3000)", "not just the extensions" },
    { "duplicate extension", EXTENSIONS, EXTS(EXT("0e", "0401aa") EXT("0e", "0401aa")),
      "extension 2.5.29.14 occurs twice" },
    { "duplicate extension, apart", EXTENSIONS,
      EXTS("30(06(2a0304) 0400)" EXT("0e", "0401aa") "30(06(2a0305) 0400) 30(06(2a0304) 0401aa)"),
      "extension 1.2.3.4 occurs twice" },
    { "unknown extension", EXTENSIONS, EXTS("30(06(2a0304) 0400)"), NULL },
    { "unknown critical extension", EXTENSIONS, EXTS("30(06(2a0304) 0101ff 0400)"),
      "extension 1.2.3.4 limits what this certificate" },
    { "critical FALSE said", EXTENSIONS, EXTS("30(06(2a0304) 010100 0400)"), NULL },
    { "critical 01", EXTENSIONS, EXTS("30(06(2a0304) 010101 0400)"), "not a list in DER" },
    { "extension without value", EXTENSIONS, EXTS("30(06(2a0304))"), "not a list in DER" },
    { "extension with two values", EXTENSIONS, EXTS("30(06(2a0304) 0400 0400)"),
      "not a list in DER" },
    { "empty OID", EXTENSIONS, EXTS("30(0600 0400)"), "not a list in DER" },

    { "basicConstraints, FALSE", EXTENSIONS, EXTS(CRITICAL("13", "3000")), NULL },
    { "basicConstraints, FALSE said", EXTENSIONS, EXTS(CRITICAL("13", "30(010100)")), NULL },
    { "basicConstraints, TRUE as 01", EXTENSIONS, EXTS(CRITICAL("13", "30(010101)")),
      "basicConstraints is malformed" },
    { "path length of no CA", EXTENSIONS, EXTS(CRITICAL("13", "30(020100)")),
      "basicConstraints is malformed" },
    { "negative path length", EXTENSIONS, EXTS(CRITICAL("13", "30(0101ff 0201ff)")),
      "basicConstraints is malformed" },
    { "huge path length", EXTENSIONS, EXTS(CRITICAL("13", "30(0101ff 02050080000000)")),
      "basicConstraints is malformed" },
    { "basicConstraints, trailing", EXTENSIONS, EXTS(CRITICAL("13", "3000 00")),
      "basicConstraints is malformed" },
    { "keyUsage, nine bits", EXTENSIONS, EXTS(CRITICAL("0f", "0303070080")), NULL },
    { "keyUsage, none", EXTENSIONS, EXTS(CRITICAL("0f", "030100")), "keyUsage is malformed" },
    { "keyUsage, none of eight", EXTENSIONS, EXTS(CRITICAL("0f", "03020000")),
      "keyUsage is malformed" },
    { "keyUsage, ten bits", EXTENSIONS, EXTS(CRITICAL("0f", "0303068040")),
      "keyUsage is malformed" },
    { "keyUsage, three bytes", EXTENSIONS, EXTS(CRITICAL("0f", "030400808000")),
      "keyUsage is malformed" },
    { "keyUsage, unused bits set", EXTENSIONS, EXTS(CRITICAL("0f", "03020183")),
      "keyUsage is malformed" },
    { "subject key, empty", EXTENSIONS, EXTS(EXT("0e", "0400")), "subjectKeyIdentifier" },
    { "issuer's key", EXTENSIONS, EXTS(EXT("23", "30(80(aa) a1(a400) 82(01))")), NULL },
    { "issuer's key, none", EXTENSIONS, EXTS(EXT("23", "3000")), NULL },
    { "issuer's key, empty", EXTENSIONS, EXTS(EXT("23", "30(8000)")), "authorityKeyIdentifier" },
    { "issuer's key, more", EXTENSIONS, EXTS(EXT("23", "30(80(aa) 83(01))")),
      "authorityKeyIdentifier" },
    { "extKeyUsage for the web", EXTENSIONS, EXTS(EXT("25", "30(06(2b06010505070301))")), NULL },
    { "critical extKeyUsage for the web", EXTENSIONS,
      EXTS(CRITICAL("25", "30(06(2b06010505070301))")), "extension 2.5.29.37 limits" },
    { "critical extKeyUsage for attestation keys", EXTENSIONS,
      EXTS(CRITICAL("25", "30(06(2b06010505070301) 06(6781050803))")), NULL },
    { "critical extKeyUsage for anything", EXTENSIONS, EXTS(CRITICAL("25", "30(06(551d2500))")),
      NULL },
    { "extKeyUsage, empty", EXTENSIONS, EXTS(EXT("25", "3000")), "extKeyUsage is malformed" },
    { "critical alternative name", EXTENSIONS, EXTS(CRITICAL("11", "30(82(61))")), NULL },
    { "critical policies", EXTENSIONS, EXTS(CRITICAL("20", "30(30(06(2a0304)))")), NULL },
    { "policies, empty", EXTENSIONS, EXTS(CRITICAL("20", "3000")), "certificatePolicies" },
    { "critical policy constraints", EXTENSIONS, EXTS(CRITICAL("24", "30(800100)")),
      "extension 2.5.29.36 limits" },
    { "critical name constraints", EXTENSIONS, EXTS(CRITICAL("1e", "30(a0(30(82(61))))")),
      "extension 2.5.29.30 limits" },
    { "critical inhibitAnyPolicy", EXTENSIONS, EXTS(CRITICAL("36", "020100")),
      "extension 2.5.29.54 limits" },
    { "critical distribution points", EXTENSIONS, EXTS(CRITICAL("1f", "30(30(820105))")),
      "extension 2.5.29.31 limits" },
};

static void certificates(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(certificate_cases); i++) {
        const struct certificate_case *t = &certificate_cases[i];
        struct bawn_bytes der = assemble(t->part, t->der);
        struct bawn_error err = { "" };
        struct x509 cert;
        bool ok = x509_parse(&cert, der, &err) == BAWN_OK;

        if (ok) {
            const unsigned char *p = der.data;
            X509 *x = d2i_X509(NULL, &p, (long)der.len);

            if (!x)
                print_error("%s: not taken by OpenSSL\n", t->name);
            wrong += !x;
            X509_free(x);
        }
        if (ok != !t->words || (t->words && !strstr(err.msg, t->words))) {
            print_error("%s: %s\n", t->name, ok ? "accepted" : err.msg);
            wrong++;
        }
        free((void *)der.data);
    }
    assert_int_equal(wrong, 0);
}

/* As many extensions as fit, and one more. */
static void extension_limit(void **state)
{
    (void)state;
    for (int n = 1; n <= 66; n++) {
        char text[4096] = "a3(30(";
        struct bawn_error err;
        struct bawn_bytes der;
        struct x509 cert;
        enum bawn_status st;

        for (int i = 0; i < n; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "30(06(2a03%02x) 0400)", i);
        strcat(text, "))");
        der = assemble(EXTENSIONS, text);
        st = x509_parse(&cert, der, &err);
        assert_int_equal(st, n <= 64 ? BAWN_OK : BAWN_E_UNSUPPORTED);
        if (st != BAWN_OK)
            assert_non_null(strstr(err.msg, "more than 64 extensions"));
        free((void *)der.data);
    }
}

/* What the good one says. */
static void meaning(void **state)
{
    struct bawn_bytes der = assemble(TRAILING, ""), value;
    struct x509 cert;

    (void)state;
    assert_int_equal(x509_parse(&cert, der, NULL), BAWN_OK);
    assert_true(cert.is_ca && cert.has_key_usage);
    assert_int_equal(cert.path_len, 0);
    assert_int_equal(cert.key_usage, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(cert.not_before, 1787148541);
    assert_int_equal(cert.not_after, 1791072000);
    assert_true(cert.common_name.len == 1 && cert.common_name.data[0] == 0x42);
    assert_true(x509_extension(&cert, "\x55\x1d\x0f", 3, &value));
    assert_true(value.len == 4 && value.data[3] == 0x06);
    assert_false(x509_extension(&cert, "\x55\x1d", 2, &value));
    free((void *)der.data);

    /* Of several common names the last, which is the most specific. */
    der = assemble(SUBJECT, "30(31(30(06(550403) 0c(61))) 31(30(06(550403) 0c(62))))");
    assert_int_equal(x509_parse(&cert, der, NULL), BAWN_OK);
    assert_true(cert.common_name.len == 1 && cert.common_name.data[0] == 'b');
    free((void *)der.data);

    /* Without extensions: no CA, no limit. */
    der = assemble(EXTENSIONS, "");
    assert_int_equal(x509_parse(&cert, der, NULL), BAWN_OK);
    assert_false(cert.is_ca || cert.has_key_usage || x509_extension(&cert, "\x2a", 1, &value));
    assert_int_equal(cert.path_len, -1);
    free((void *)der.data);
}

/* ---- CRLs ---- */

#define CRL(version, times, rest)                                  \
    "30(30(" version "30(" ECDSA("0302") ")" NAME("41") times rest \
        ") 30(" ECDSA("0302") ")"                                  \
                              "03(00 3006020101020101))"
#define V2 "020101"
#define ENTRY(serial, more) "30(02(" serial ")" NOON more ")"
#define NUMBER "a0(30(" EXT("14", "020101") "))"

static const struct {
    const char *name, *der, *words;
} crl_cases[] = {
    { "empty", CRL(V2, NOON NOON, NUMBER), NULL },
    { "no extensions", CRL(V2, NOON NOON, ""), NULL },
    { "no next update", CRL(V2, NOON, NUMBER), NULL },
    { "an empty list", CRL(V2, NOON NOON, "3000" NUMBER), NULL },
    { "two entries", CRL(V2, NOON NOON, "30(" ENTRY("01", "") ENTRY("02", "") ")" NUMBER), NULL },
    { "entry with reason", CRL(V2, NOON NOON, "30(" ENTRY("01", "30(" EXT("15", "0a0101") ")") ")"),
      NULL },
    { "version 1", CRL("", NOON NOON, ""), "not of version 2" },
    { "version 1 said", CRL("020100", NOON NOON, ""), "not of version 2" },
    { "version 3", CRL("020102", NOON NOON, ""), "not of version 2" },
    { "empty issuer",
      "30(30(" V2 "30(" ECDSA("0302") ") 3000" NOON ") 30(" ECDSA("0302") ") 030100)",
      "issuer is not a name" },
    { "something behind the signature",
      "30(30(" V2 "30(" ECDSA("0302") ")" NAME("41") NOON ") 30(" ECDSA("0302") ") 030100 0500)",
      "not one CRL" },
    { "two lists of extensions", CRL(V2, NOON NOON, "a0(30(" EXT("14", "020101") ") 3000)"),
      "not entries and extensions" },
    { "no times", CRL(V2, "", ""), "update times" },
    { "bad next update", CRL(V2, NOON "17(3236313330343030303030305a)", ""), "update times" },
    { "three times", CRL(V2, NOON NOON NOON, ""), "not entries and extensions" },
    { "two lists", CRL(V2, NOON NOON, "3000 3000"), "not entries and extensions" },
    { "extensions before entries", CRL(V2, NOON NOON, NUMBER "3000"),
      "not entries and extensions" },
    { "extensions as in a certificate", CRL(V2, NOON NOON, "a3(30(" EXT("14", "020101") "))"),
      "not entries and extensions" },
    { "negative serial", CRL(V2, NOON NOON, "30(" ENTRY("ff", "") ")"), "an entry is not" },
    { "long serial", CRL(V2, NOON NOON, "30(" ENTRY("01 *20{ff}", "") ")"), "an entry is not" },
    { "entry without time", CRL(V2, NOON NOON, "30(30(020101))"), "an entry is not" },
    { "entry is no sequence", CRL(V2, NOON NOON, "30(020101)"), "an entry is not" },
    { "second entry is bad", CRL(V2, NOON NOON, "30(" ENTRY("01", "") "3000)"), "an entry is not" },
    { "something behind entry extensions",
      CRL(V2, NOON NOON, "30(" ENTRY("01", "30(" EXT("15", "0a0101") ") 0500") ")"),
      "an entry is not" },
    { "entry with empty extensions", CRL(V2, NOON NOON, "30(" ENTRY("01", "3000") ")"),
      "not a list in DER" },
    { "entry with critical extension",
      CRL(V2, NOON NOON, "30(" ENTRY("01", "30(" CRITICAL("15", "0a0101") ")") ")"),
      "extension 2.5.29.21 limits what this CRL" },
    { "entry of another issuer",
      CRL(V2, NOON NOON, "30(" ENTRY("01", "30(" EXT("1d", "30(a400)") ")") ")"),
      "extension 2.5.29.29 limits" },
    { "delta", CRL(V2, NOON NOON, "a0(30(" CRITICAL("1b", "020101") "))"), "2.5.29.27 limits" },
    { "delta, not critical", CRL(V2, NOON NOON, "a0(30(" EXT("1b", "020101") "))"),
      "2.5.29.27 limits" },
    { "partial", CRL(V2, NOON NOON, "a0(30(" CRITICAL("1c", "30(8101ff)") "))"),
      "2.5.29.28 limits" },
    { "partial, not critical", CRL(V2, NOON NOON, "a0(30(" EXT("1c", "30(8101ff)") "))"),
      "2.5.29.28 limits" },
    { "unknown critical extension", CRL(V2, NOON NOON, "a0(30(30(06(2a0304) 0101ff 0400)))"),
      "1.2.3.4 limits" },
    { "unknown extension", CRL(V2, NOON NOON, "a0(30(30(06(2a0304) 0400)))"), NULL },
    { "duplicate extension",
      CRL(V2, NOON NOON, "a0(30(" EXT("14", "020101") EXT("14", "020101") "))"), "occurs twice" },
    { "negative CRL number", CRL(V2, NOON NOON, "a0(30(" EXT("14", "0201ff") "))"),
      "CRL number is malformed" },
    { "long CRL number", CRL(V2, NOON NOON, "a0(30(" EXT("14", "02(01 *20{ff})") "))"),
      "CRL number is malformed" },
    { "trailing", CRL(V2, NOON NOON, "") "00", "not one CRL" },
    { "indefinite length", "3080 30(" V2 ") 0000", "not one CRL" },
    { "empty", "3000", "not one CRL" },
};

static void crls(void **state)
{
    static struct out o;
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(crl_cases); i++) {
        struct bawn_error err = { "" };
        struct bawn_bytes der;
        struct x509_crl crl;
        uint8_t *exact;
        bool ok;

        write_der(&o, crl_cases[i].der);
        exact = malloc(o.n);
        assert_non_null(exact);
        memcpy(exact, o.b, o.n);
        der = (struct bawn_bytes){ exact, o.n };
        ok = x509_crl_parse(&crl, der, &err) == BAWN_OK;
        if (ok) {
            const unsigned char *p = exact;
            X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)o.n);

            if (!x)
                print_error("%s: not taken by OpenSSL\n", crl_cases[i].name);
            wrong += !x;
            X509_CRL_free(x);
        }
        if (ok != !crl_cases[i].words || (!ok && !strstr(err.msg, crl_cases[i].words))) {
            print_error("%s: %s\n", crl_cases[i].name, ok ? "accepted" : err.msg);
            wrong++;
        }
        free(exact);
    }
    assert_int_equal(wrong, 0);
}

/* The algorithms inside and outside of a CRL are one, as in a certificate. */
static void crl_algorithms(void **state)
{
    static struct out o;
    struct bawn_error err;
    struct x509_crl crl;

    (void)state;
    write_der(&o, CRL(V2, NOON NOON, ""));
    for (size_t i = 0; i + 8 < o.n; i++) {
        if (memcmp(o.b + i, "\x2a\x86\x48\xce\x3d\x04\x03\x02", 8) != 0)
            continue;
        o.b[i + 7] = 3;
        assert_int_equal(x509_crl_parse(&crl, (struct bawn_bytes){ o.b, o.n }, &err),
                         BAWN_E_FORMAT);
        assert_non_null(strstr(err.msg, "differs from the one outside"));
        o.b[i + 7] = 2;
    }
    assert_int_equal(x509_crl_parse(&crl, (struct bawn_bytes){ o.b, o.n }, &err), BAWN_OK);
    assert_true(crl.next_update > crl.this_update - 1);
    write_der(&o, CRL(V2, NOON, ""));
    assert_int_equal(x509_crl_parse(&crl, (struct bawn_bytes){ o.b, o.n }, &err), BAWN_OK);
    assert_true(crl.next_update == INT64_MAX);
}

/* A serial is listed by its number, wherever it stands. */
static void crl_search(void **state)
{
    static struct out o;
    struct x509_crl crl;
    int64_t since = 0;

    (void)state;
    write_der(&o, CRL(V2, NOON NOON,
                      "30(" ENTRY("00", "") ENTRY("0080", "") ENTRY("0100", "")
                          ENTRY("00 *20{ff}", "30(" EXT("15", "0a0101") ")") ")"));
    assert_int_equal(x509_crl_parse(&crl, (struct bawn_bytes){ o.b, o.n }, NULL), BAWN_OK);
    for (unsigned v = 0; v < 1024; v++) {
        const uint8_t b[] = { (uint8_t)(v >> 8), (uint8_t)v };
        struct bawn_bytes serial = { v < 256 ? b + 1 : b, v < 256 ? 1 : 2 };

        since = 0;
        assert_int_equal(x509_crl_lists(&crl, serial, &since), v == 0 || v == 0x80 || v == 0x100);
        assert_int_equal(since, v == 0 || v == 0x80 || v == 0x100 ? 1787148541 : 0);
    }
    assert_true(x509_crl_lists(
        &crl,
        (struct bawn_bytes){ (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                              "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                             20 },
        &since));
}

/* A key alone, and what is not just that. */
static void keys(void **state)
{
    static struct out o;
    struct bawn_error err;
    struct pubkey key;

    (void)state;
    write_der(&o, "30(" P256 "03(00 04 *64{5a}))");
    assert_int_equal(pubkey_parse(&key, (struct bawn_bytes){ o.b, o.n }, &err), BAWN_OK);
    assert_int_equal(key.type, KEY_P256);
    assert_int_equal(key.bits, 256);
    assert_int_equal(key.point.len, 65);
    o.b[o.n] = 0;
    assert_int_equal(pubkey_parse(&key, (struct bawn_bytes){ o.b, o.n + 1 }, &err), BAWN_E_FORMAT);
    write_der(&o, RSA_KEY("00 ff *254{5a} 01", "010001"));
    assert_int_equal(pubkey_parse(&key, (struct bawn_bytes){ o.b, o.n }, &err), BAWN_OK);
    assert_int_equal(key.type, KEY_RSA);
    assert_int_equal(key.bits, 2048);
    assert_int_equal(key.n.len, 256);
    assert_int_equal(key.e.len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates),   cmocka_unit_test(extension_limit),
        cmocka_unit_test(meaning),        cmocka_unit_test(crls),
        cmocka_unit_test(crl_algorithms), cmocka_unit_test(crl_search),
        cmocka_unit_test(keys),
    };

    return cmocka_run_group_tests_name("attest/x509_hostile", tests, NULL, NULL);
}
