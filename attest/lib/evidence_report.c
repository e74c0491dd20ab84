// SPDX-License-Identifier: Apache-2.0
/*
 * An SEV-SNP report that was written as a JSON object of its fields (as the Rust types of
 * virtee/sev serialise), put back into the 1184 bytes that were signed. Every field must be
 * there; where the layout differs between products, the object must say which it is. A wrong
 * guess could not be trusted in any case: the signature is over the bytes.
 */
#include <string.h>

#include "attest/lib/evidence.h"

#define REPORT_SIZE 1184
#define SIGNATURE_R 0x2a0
#define SIGNATURE_S 0x2e8
#define SIGNATURE_PART 72
#define FAMILY_TURIN 0x1a /* the TCB version has FMC from family 1Ah on */

static const struct check report_fields = {
    .name = "evidence.snp-fields",
    .claim = "evidence.form",
    .source = "AMD 56860 rev 1.58, 7.3, ATTESTATION_REPORT",
    .how = "the report's fields are all in the JSON object, so that the signed bytes are known",
    .advice = "give the report as its 1184 bytes, raw or in base64",
};

enum field_kind { NUMBER, BYTES };

enum field_need {
    ALWAYS,
    OPTIONAL, /* absent in reports of a version that does not have it: zero */
};

/* Integers are little-endian. Two names: as older and newer releases write it. */
static const struct field {
    const char *name[2];
    enum field_kind kind;
    enum field_need need;
    uint16_t offset, size;
} fields[] = {
    { { "version" }, NUMBER, ALWAYS, 0x00, 4 },
    { { "guest_svn" }, NUMBER, ALWAYS, 0x04, 4 },
    { { "policy" }, NUMBER, ALWAYS, 0x08, 8 },
    { { "family_id" }, BYTES, ALWAYS, 0x10, 16 },
    { { "image_id" }, BYTES, ALWAYS, 0x20, 16 },
    { { "vmpl" }, NUMBER, ALWAYS, 0x30, 4 },
    { { "sig_algo" }, NUMBER, ALWAYS, 0x34, 4 },
    { { "plat_info" }, NUMBER, ALWAYS, 0x40, 8 },
    { { "key_info", "_author_key_en" }, NUMBER, ALWAYS, 0x48, 4 },
    { { "report_data" }, BYTES, ALWAYS, 0x50, 64 },
    { { "measurement" }, BYTES, ALWAYS, 0x90, 48 },
    { { "host_data" }, BYTES, ALWAYS, 0xc0, 32 },
    { { "id_key_digest" }, BYTES, ALWAYS, 0xe0, 48 },
    { { "author_key_digest" }, BYTES, ALWAYS, 0x110, 48 },
    { { "report_id" }, BYTES, ALWAYS, 0x140, 32 },
    { { "report_id_ma" }, BYTES, ALWAYS, 0x160, 32 },
    { { "cpuid_fam_id" }, NUMBER, OPTIONAL, 0x188, 1 },
    { { "cpuid_mod_id" }, NUMBER, OPTIONAL, 0x189, 1 },
    { { "cpuid_step" }, NUMBER, OPTIONAL, 0x18a, 1 },
    { { "chip_id" }, BYTES, ALWAYS, 0x1a0, 64 },
    { { "launch_mit_vector" }, NUMBER, OPTIONAL, 0x1f8, 8 },
    { { "current_mit_vector" }, NUMBER, OPTIONAL, 0x200, 8 },
};

/* Fields that are objects, or that older releases wrote as three. */
static const struct version_field {
    const char *object;
    const char *member[3], *flat[3]; /* build, minor, major */
    uint16_t offset;
} versions[] = {
    { "current",
      { "build", "minor", "major" },
      { "current_build", "current_minor", "current_major" },
      0x1e8 },
    { "committed",
      { "build", "minor", "major" },
      { "committed_build", "committed_minor", "committed_major" },
      0x1ec },
};

static const struct tcb_field {
    const char *name;
    uint16_t offset;
} tcbs[] = {
    { "current_tcb", 0x38 },
    { "reported_tcb", 0x180 },
    { "committed_tcb", 0x1e0 },
    { "launch_tcb", 0x1f0 },
};

/* AMD 56860 rev 1.58, 2.2, TCB_VERSION: the byte of each component; -1 is not there. */
static const struct tcb_part {
    const char *name;
    int8_t legacy, turin;
} tcb_parts[] = {
    { "fmc", -1, 0 }, { "bootloader", 0, 1 }, { "tee", 1, 2 },
    { "snp", 6, 3 },  { "microcode", 7, 7 },
};

struct builder {
    struct verification *v;
    const struct js *j;
    uint32_t object;
    uint8_t *report;
    bool turin;
};

static bool bad_field(struct builder *b, const char *name, const char *expected)
{
    return check_missing(b->v->r, &report_fields, expected, NULL,
                         "the field %s of the report is absent or something else", name);
}

static void put_number(struct builder *b, unsigned offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        b->report[offset + i] = (uint8_t)(value >> (8 * i));
}

static bool get_number(struct builder *b, uint32_t value, unsigned size, uint64_t *out)
{
    return js_uint(b->j, value, out) && (size == 8 || !(*out >> (8 * size)));
}

static bool put_bytes(struct builder *b, uint32_t value, unsigned offset, size_t size)
{
    struct bawn_bytes bytes;

    if (!evidence_json_bytes(b->j, value, &bytes) || bytes.len != size)
        return false;
    memcpy(b->report + offset, bytes.data, size);
    return true;
}

static bool put_field(struct builder *b, const struct field *f)
{
    uint32_t value = js_get(b->j, b->object, f->name[0]);
    enum js_type type;
    uint64_t number;

    if (value == JS_ABSENT && f->name[1])
        value = js_get(b->j, b->object, f->name[1]);
    type = js_type(b->j, value);
    if (f->need == OPTIONAL && (type == JS_NONE || type == JS_NULL))
        return true;
    if (f->kind == BYTES)
        return put_bytes(b, value, f->offset, f->size) || bad_field(b, f->name[0], "bytes");
    if (!get_number(b, value, f->size, &number))
        return bad_field(b, f->name[0], "a number");
    put_number(b, f->offset, f->size, number);
    return true;
}

static bool put_version(struct builder *b, const struct version_field *f)
{
    uint32_t object = js_get(b->j, b->object, f->object);

    for (unsigned i = 0; i < 3; i++) {
        uint32_t value = object == JS_ABSENT ? js_get(b->j, b->object, f->flat[i])
                                             : js_get(b->j, object, f->member[i]);
        uint64_t number;

        if (!get_number(b, value, 1, &number))
            return bad_field(b, f->flat[i], "a number up to 255");
        put_number(b, f->offset + i, 1, number);
    }
    return true;
}

static bool put_tcb(struct builder *b, const struct tcb_field *f)
{
    uint32_t object = js_get(b->j, b->object, f->name);

    for (size_t i = 0; i < sizeof(tcb_parts) / sizeof(tcb_parts[0]); i++) {
        uint32_t value = js_get(b->j, object, tcb_parts[i].name);
        int at = b->turin ? tcb_parts[i].turin : tcb_parts[i].legacy;
        uint64_t number;

        if (at < 0)
            continue;
        if (!get_number(b, value, 1, &number))
            return bad_field(b, f->name, "an object of bootloader, tee, snp, microcode (and fmc)");
        put_number(b, f->offset + (unsigned)at, 1, number);
    }
    return true;
}

/* Which layout the TCB versions have: that with FMC if the object gives one. A family in the
 * report must agree. */
static bool find_layout(struct builder *b)
{
    uint32_t fmc = js_get(b->j, js_get(b->j, b->object, "reported_tcb"), "fmc");
    uint32_t fam = js_get(b->j, b->object, "cpuid_fam_id");
    uint64_t family;

    b->turin = js_type(b->j, fmc) == JS_NUMBER;
    if (js_uint(b->j, fam, &family) && b->turin != (family >= FAMILY_TURIN))
        return check_missing(b->v->r, &report_fields, NULL, NULL,
                             "the report's TCB versions do not have the components of its "
                             "processor family");
    return true;
}

static bool put_signature(struct builder *b)
{
    uint32_t signature = js_get(b->j, b->object, "signature");

    return (put_bytes(b, js_get(b->j, signature, "r"), SIGNATURE_R, SIGNATURE_PART) &&
            put_bytes(b, js_get(b->j, signature, "s"), SIGNATURE_S, SIGNATURE_PART)) ||
           bad_field(b, "signature", "r and s of 72 bytes");
}

bool evidence_report_from_json(struct verification *v, const struct js *j, uint32_t object,
                               struct bawn_bytes *report)
{
    struct builder b = { .v = v, .j = j, .object = object };

    b.report = arena_alloc(v->arena, REPORT_SIZE);
    if (!b.report || !find_layout(&b))
        return false;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (!put_field(&b, &fields[i]))
            return false;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (!put_version(&b, &versions[i]))
            return false;
    for (size_t i = 0; i < sizeof(tcbs) / sizeof(tcbs[0]); i++)
        if (!put_tcb(&b, &tcbs[i]))
            return false;
    *report = (struct bawn_bytes){ b.report, REPORT_SIZE };
    return put_signature(&b);
}
