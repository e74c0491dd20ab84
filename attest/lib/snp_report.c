// SPDX-License-Identifier: Apache-2.0
/*
 * The SNP attestation report: its form, and what it says of itself. All of it is hostile here;
 * whether AMD's key signed it is judged in snp_endorse.c.
 */
#include "attest/lib/snp.h"

#include <string.h>

#define SPEC_REPORT "AMD 56860 rev 1.58, 7.3, ATTESTATION_REPORT"
#define SPEC_POLICY "AMD 56860 rev 1.58, 4.3, guest policy"
#define SPEC_TCB "AMD 56860 rev 1.58, 2.2, TCB_VERSION"

static const struct check size_check = {
    .name = "snp.size",
    .source = SPEC_REPORT,
    .how = "a report is 1184 bytes long",
    .advice = "give the report whole and alone, or followed by its certificate table",
};

static const struct check version_check = {
    .name = "snp.version",
    .claim = "snp.version",
    .source = SPEC_REPORT,
    .how = "the report has a version that this tool knows",
    .advice = "use a newer version of this tool for reports of newer firmware",
};

static const struct check product_check = {
    .name = "snp.product",
    .claim = "snp.cpuid_fam_id",
    .source = "AMD 57230 rev 1.00, determining the product name",
    .how = "the processor's family and model are of a known product",
    .advice = "use a newer version of this tool for newer processors",
};

static const struct check reserved_check = {
    .name = "snp.reserved",
    .source = SPEC_REPORT,
    .how = "reserved fields are zero",
    .advice = "the report was altered, or is of firmware newer than this tool: ask the guest for "
              "a new one",
};

static const struct check signature_form = {
    .name = "snp.signature-format",
    .claim = "snp.signature.r",
    .source = "AMD 56860 rev 1.58, chapter 10, ECDSA P-384 with SHA-384",
    .how = "the signature's numbers are of P-384's size and the bytes around them zero",
    .advice = "the report was altered: ask the guest for a new one",
};

static const struct check algorithm_check = {
    .name = "snp.signature-algorithm",
    .claim = "snp.signature_algo",
    .source = "AMD 56860 rev 1.58, chapter 10",
    .how = "the report says that it is signed with ECDSA P-384 and SHA-384",
    .advice = "the report was altered, or is of firmware newer than this tool: ask the guest for "
              "a new one",
};

static const struct check policy_check = {
    .name = "snp.policy",
    .claim = "snp.policy",
    .source = SPEC_POLICY,
    .how = "reserved bits of the policy are as they must be",
    .advice = "the report was altered, or is of firmware newer than this tool: ask the guest for "
              "a new one",
};

static const struct check debug_check = {
    .name = "snp.debug",
    .claim = "snp.policy.debug",
    .source = SPEC_POLICY,
    .how = "the policy forbids debugging",
    .advice = "the host can read and change this guest: launch it with a policy without DEBUG "
              "(bit 19)",
};

static const struct check migration_check = {
    .name = "snp.migration",
    .claim = "snp.policy.migrate_ma",
    .source = SPEC_POLICY,
    .how = "the policy forbids a migration agent",
    .advice = "the guest's migration agent can move it to other machines and must be trusted as "
              "it is: launch without MIGRATE_MA (bit 18), or attest the agent too",
};

static const struct check vmpl_check = {
    .name = "snp.vmpl",
    .claim = "snp.vmpl",
    .source = SPEC_REPORT,
    .how = "the report was asked for by the guest, at a VMPL from 0 to 3",
    .advice = "ask the guest for a report: what the host asks for proves nothing about who holds "
              "the report data",
};

static const struct check key_info_check = {
    .name = "snp.key-info",
    .claim = "snp.signing_key",
    .source = SPEC_REPORT,
    .how = "the signing key is VCEK, VLEK or none, and reserved bits are zero",
    .advice = "the report was altered, or is of firmware newer than this tool: ask the guest for "
              "a new one",
};

static const struct check platform_check = {
    .name = "snp.platform-info",
    .claim = "snp.platform_info",
    .source = SPEC_REPORT,
    .how = "the platform information has no bits that this tool does not know",
    .advice = "use a newer version of this tool to know what the bits mean",
};

static const struct check alias_check = {
    .name = "snp.alias-check",
    .claim = "snp.platform_info.alias_check_complete",
    .source = "AMD 56860 rev 1.58, 7.3, PLATFORM_INFO; AMD-SB-3015",
    .how = "the platform has checked its memory for aliases since the last reset",
    .advice = "memory modules that lie about their size (BadRAM) were not looked for: ask the "
              "host for firmware 1.55.31 or later and a boot loader that runs the check",
};

static const struct check order_check = {
    .name = "snp.tcb-order",
    .claim = "snp.reported_tcb",
    .source = SPEC_TCB,
    .how = "the reported and committed TCB are not above the current one",
    .advice = "no firmware reports this: the report was altered, ask the guest for a new one",
};

static const struct check committed_check = {
    .name = "snp.tcb-committed",
    .claim = "snp.reported_tcb",
    .source = "AMD 56860 rev 1.58, SNP_CONFIG",
    .how = "the reported TCB is not above the committed one",
    .advice = "the platform reports a TCB that its firmware can still be rolled back from: ask "
              "the host to commit its firmware (SNP_COMMIT)",
};

static const struct check launch_check = {
    .name = "snp.tcb-launch",
    .claim = "snp.launch_tcb",
    .source = SPEC_TCB,
    .how = "the TCB at launch is not above the current one",
    .advice = "the platform's firmware was rolled back after this guest was launched: ask the "
              "host why, and launch the guest anew",
};

static const struct check provisional_check = {
    .name = "snp.provisional",
    .claim = "snp.committed_tcb",
    .source = "AMD 56860 rev 1.58, SNP_COMMIT",
    .how = "the current firmware is committed",
    .advice = "the firmware is provisional and can be rolled back to the committed one: ask the "
              "host to commit it (SNP_COMMIT)",
};

bool snp_signature_read(struct bawn_cursor *c, uint8_t r[BAWN_SNP_P384_SIZE],
                        uint8_t s[BAWN_SNP_P384_SIZE])
{
    uint8_t *const out[] = { r, s };
    bool good = true;

    for (unsigned n = 0; n < 2; n++) {
        const uint8_t *number = bawn_cursor_take(c, BAWN_SNP_P384_SIZE);

        for (unsigned i = 0; number && i < BAWN_SNP_P384_SIZE; i++)
            out[n][BAWN_SNP_P384_SIZE - 1 - i] = number[i];
        good &= bawn_cursor_zeros(c, BAWN_SNP_NUMBER_SIZE - BAWN_SNP_P384_SIZE);
    }
    good &= bawn_cursor_zeros(c, sizeof(((struct bawn_snp_signature *)0)->reserved));
    return good && !c->failed;
}

/* ---- Form ---- */

/* All fields in order; the length was checked. */
static void read_fields(struct bawn_cursor *c, struct snp_report *out)
{
    out->version = bawn_cursor_u32(c);
    out->guest_svn = bawn_cursor_u32(c);
    out->policy = bawn_cursor_u64(c);
    out->family_id = bawn_cursor_take(c, 16);
    out->image_id = bawn_cursor_take(c, 16);
    out->vmpl = bawn_cursor_u32(c);
    out->signature_algo = bawn_cursor_u32(c);
    out->current_tcb = bawn_cursor_take(c, BAWN_SNP_TCB_SIZE);
    out->platform_info = bawn_cursor_u64(c);
    out->key_info = bawn_cursor_u32(c);
    bawn_cursor_seek(c, offsetof(struct bawn_snp_report, measurement));
    out->measurement = bawn_cursor_take(c, BAWN_SNP_DIGEST_SIZE);
    bawn_cursor_seek(c, offsetof(struct bawn_snp_report, id_key_digest));
    out->id_key_digest = bawn_cursor_take(c, BAWN_SNP_DIGEST_SIZE);
    out->author_key_digest = bawn_cursor_take(c, BAWN_SNP_DIGEST_SIZE);
    bawn_cursor_seek(c, offsetof(struct bawn_snp_report, reported_tcb));
    out->reported_tcb = bawn_cursor_take(c, BAWN_SNP_TCB_SIZE);
    out->cpuid_fam_id = bawn_cursor_u8(c);
    out->cpuid_mod_id = bawn_cursor_u8(c);
    bawn_cursor_seek(c, offsetof(struct bawn_snp_report, chip_id));
    out->chip_id = bawn_cursor_take(c, BAWN_SNP_CHIP_ID_SIZE);
    out->committed_tcb = bawn_cursor_take(c, BAWN_SNP_TCB_SIZE);
    for (unsigned i = 0; i < 3; i++)
        out->current_version[i] = bawn_cursor_u8(c);
    bawn_cursor_u8(c);
    for (unsigned i = 0; i < 3; i++)
        out->committed_version[i] = bawn_cursor_u8(c);
    bawn_cursor_u8(c);
    out->launch_tcb = bawn_cursor_take(c, BAWN_SNP_TCB_SIZE);
    bawn_cursor_seek(c, offsetof(struct bawn_snp_report, signature));
}

/* Reserved bytes, and the versions in which they are. Version 4 has no public layout: what it
 * may have in place of the mitigation vectors is not judged. */
static const struct {
    uint16_t offset, len;
    uint8_t first, last;
} reserved_fields[] = {
    { 0x04c, 4, 2, 5 }, { 0x188, 3, 2, 2 },  { 0x18b, 21, 2, 5 },  { 0x1eb, 1, 2, 5 },
    { 0x1ef, 1, 2, 5 }, { 0x1f8, 16, 2, 3 }, { 0x208, 152, 2, 5 },
};

static void judge_reserved(struct verification *v, const struct snp_report *report)
{
    struct bawn_cursor c = bawn_cursor_over(report->whole.data, report->whole.len);
    bool good = true;

    for (size_t i = 0; i < sizeof(reserved_fields) / sizeof(reserved_fields[0]); i++) {
        unsigned offset = reserved_fields[i].offset, len = reserved_fields[i].len;
        struct bawn_cursor field = bawn_cursor_slice(&c, offset, len);

        if (report->version < reserved_fields[i].first || report->version > reserved_fields[i].last)
            continue;
        if (bawn_cursor_zeros(&field, len))
            continue;
        good = check_refused(v->r, &reserved_check, "zero",
                             arena_hex(v->arena, (struct bawn_bytes){ field.start, len }),
                             "the %u reserved bytes at 0x%x are not zero", len, offset);
    }
    if (good)
        check_passed(v->r, &reserved_check);
}

/* What CPUID_* name. Without them the chip ID tells Turin by its length: the first Turin
 * firmware made version 2. */
static void read_product(struct snp_report *report)
{
    struct bawn_cursor id = bawn_cursor_over(report->chip_id, BAWN_SNP_CHIP_ID_SIZE);

    if (report->version >= BAWN_SNP_REPORT_V3) {
        report->line = snp_line_by_cpuid(report->cpuid_fam_id, report->cpuid_mod_id);
        report->turin = report->line == SNP_TURIN;
    } else {
        report->turin = !bawn_cursor_zeros(&id, BAWN_SNP_CHIP_ID_TURIN_SIZE) &&
                        bawn_cursor_zeros(&id, bawn_cursor_left(&id));
    }
}

bool snp_product_judge(struct verification *v, const struct snp_report *report)
{
    if (report->version < BAWN_SNP_REPORT_V3)
        return true;
    if (report->line != SNP_LINE_UNKNOWN)
        return check_passed(v->r, &product_check);
    return check_missing(v->r, &product_check, "EPYC Milan, Genoa, Bergamo, Siena or Turin",
                         arena_text(v->arena, "family %02xh model %02xh", report->cpuid_fam_id,
                                    report->cpuid_mod_id),
                         "this tool does not know the processor that made the report");
}

bool snp_report_parse(struct verification *v, struct bawn_bytes bytes, struct snp_report *out)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);

    *out = (struct snp_report){ .whole = bytes,
                                .to_be_signed = { bytes.data, BAWN_SNP_REPORT_SIGNED } };
    if (bytes.len != BAWN_SNP_REPORT_SIZE)
        return check_missing(v->r, &size_check, "1184 bytes",
                             arena_text(v->arena, "%zu bytes", bytes.len),
                             "this is not one whole SNP attestation report");
    check_passed(v->r, &size_check);
    read_fields(&c, out);
    if (out->version < BAWN_SNP_REPORT_V2 || out->version > BAWN_SNP_REPORT_V5)
        return check_missing(v->r, &version_check, "2 to 5",
                             arena_text(v->arena, "%u", out->version),
                             "this tool knows SNP reports of versions 2 to 5");
    check_passed(v->r, &version_check);
    judge_reserved(v, out);
    if (!snp_signature_read(&c, out->r, out->s))
        check_refused(v->r, &signature_form, NULL, NULL,
                      "the report's signature does not have the form of an ECDSA P-384 signature");
    else
        out->has_signature = check_passed(v->r, &signature_form);
    read_product(out);
    return true;
}

/* ---- Content ---- */

static void judge_policy(struct verification *v, const struct snp_report *report)
{
    uint64_t policy = report->policy;
    const char *found;

    if ((policy & (BAWN_SNP_POLICY_RESERVED | BAWN_SNP_POLICY_ONE)) != BAWN_SNP_POLICY_ONE) {
        found = arena_text(v->arena, "0x%llx", (unsigned long long)policy);
        check_refused(v->r, &policy_check, "bit 17 one, bits 26 to 63 zero", found,
                      "the policy has reserved bits that are not as they must be");
    } else {
        check_passed(v->r, &policy_check);
    }
    if (policy & BAWN_SNP_POLICY_DEBUG)
        check_refused(v->r, &debug_check, "false", "true",
                      "the guest's policy lets the host debug it");
    else
        check_passed(v->r, &debug_check);
    if (policy & BAWN_SNP_POLICY_MIGRATE_MA)
        check_warned(v->r, &migration_check, "false", "true",
                     "the guest's policy allows a migration agent");
    else
        check_passed(v->r, &migration_check);
}

static void judge_origin(struct verification *v, const struct snp_report *report)
{
    unsigned key = snp_signing_key(report);

    if (report->vmpl == BAWN_SNP_VMPL_HOST)
        check_warned(v->r, &vmpl_check, "0 to 3", "0xffffffff",
                     "the report was asked for by the host, not by the guest");
    else if (report->vmpl > BAWN_SNP_VMPL_MAX)
        check_refused(v->r, &vmpl_check, "0 to 3", arena_text(v->arena, "%u", report->vmpl),
                      "the report's VMPL does not exist");
    else
        check_passed(v->r, &vmpl_check);
    if ((report->key_info & BAWN_SNP_KEY_RESERVED) ||
        (key > BAWN_SNP_SIGNED_BY_VLEK && key != BAWN_SNP_SIGNED_BY_NONE))
        check_refused(v->r, &key_info_check, "VCEK (0), VLEK (1) or none (7), and no other bits",
                      arena_text(v->arena, "0x%x", report->key_info),
                      "the report's key information has reserved values");
    else
        check_passed(v->r, &key_info_check);
    if (report->signature_algo != BAWN_SNP_ALGO_ECDSA_P384_SHA384)
        check_refused(v->r, &algorithm_check, "1",
                      arena_text(v->arena, "%u", report->signature_algo),
                      "the report's signature algorithm is not ECDSA P-384 with SHA-384");
    else
        check_passed(v->r, &algorithm_check);
}

static void judge_platform(struct verification *v, const struct snp_report *report)
{
    if (report->platform_info & BAWN_SNP_PLATFORM_RESERVED)
        check_warned(v->r, &platform_check, "bits 0 to 7",
                     arena_text(v->arena, "0x%llx", (unsigned long long)report->platform_info),
                     "the platform information has bits that this tool does not know");
    else
        check_passed(v->r, &platform_check);
    if (report->version < BAWN_SNP_REPORT_V3)
        return;
    if (report->platform_info & BAWN_SNP_PLATFORM_ALIAS_CHECK_COMPLETE)
        check_passed(v->r, &alias_check);
    else
        check_warned(v->r, &alias_check, "true", "false",
                     "the platform has not checked its memory for aliases");
}

/* Whether every component of a is at most that of b. The layouts are the same. */
static bool tcb_at_most(const uint8_t *a, const uint8_t *b)
{
    bool yes = true;

    for (unsigned i = 0; i < BAWN_SNP_TCB_SIZE; i++)
        yes &= a[i] <= b[i];
    return yes;
}

/* Build, minor, major as one number. */
static unsigned version_number(const uint8_t version[3])
{
    return version[0] | (unsigned)version[1] << 8 | (unsigned)version[2] << 16;
}

static const char *tcb_text(struct verification *v, const uint8_t *tcb)
{
    return arena_hex(v->arena, (struct bawn_bytes){ tcb, BAWN_SNP_TCB_SIZE });
}

static void judge_tcb_reserved(struct verification *v, const struct snp_report *report)
{
    const struct snp_tcb_part *part = snp_tcb_layout(report->turin);
    const uint8_t *const tcbs[] = { report->current_tcb, report->reported_tcb,
                                    report->committed_tcb, report->launch_tcb };
    static const char *const names[] = { "current", "reported", "committed", "launch" };

    for (unsigned t = 0; t < 4; t++) {
        uint8_t any = 0;

        for (unsigned i = SNP_TCB_NAMED; i < SNP_TCB_PARTS; i++)
            if (part[i].arc)
                any |= tcbs[t][part[i].byte];
        if (any)
            check_refused(v->r, &reserved_check, "zero", tcb_text(v, tcbs[t]),
                          "the %s TCB has reserved bytes that are not zero", names[t]);
    }
}

static void judge_tcb(struct verification *v, const struct snp_report *report)
{
    unsigned current = version_number(report->current_version);
    unsigned committed = version_number(report->committed_version);
    const char *now = NULL;

    judge_tcb_reserved(v, report);
    if (!tcb_at_most(report->reported_tcb, report->current_tcb))
        now = "reported";
    else if (!tcb_at_most(report->committed_tcb, report->current_tcb) || committed > current)
        now = "committed";
    if (now)
        check_refused(v->r, &order_check,
                      arena_text(v->arena, "at most %s", tcb_text(v, report->current_tcb)),
                      tcb_text(v, *now == 'r' ? report->reported_tcb : report->committed_tcb),
                      "the %s TCB or firmware version is above the current one", now);
    else
        check_passed(v->r, &order_check);
    if (!tcb_at_most(report->reported_tcb, report->committed_tcb))
        check_warned(v->r, &committed_check,
                     arena_text(v->arena, "at most %s", tcb_text(v, report->committed_tcb)),
                     tcb_text(v, report->reported_tcb),
                     "the reported TCB is above the committed one");
    else
        check_passed(v->r, &committed_check);
    if (!tcb_at_most(report->launch_tcb, report->current_tcb))
        check_warned(v->r, &launch_check,
                     arena_text(v->arena, "at most %s", tcb_text(v, report->current_tcb)),
                     tcb_text(v, report->launch_tcb), "the TCB at launch is above the current one");
    else
        check_passed(v->r, &launch_check);
    if (memcmp(report->committed_tcb, report->current_tcb, BAWN_SNP_TCB_SIZE) != 0 ||
        committed != current)
        check_warned(v->r, &provisional_check,
                     arena_text(v->arena, "%s, firmware %u.%u.%u", tcb_text(v, report->current_tcb),
                                report->current_version[2], report->current_version[1],
                                report->current_version[0]),
                     arena_text(v->arena, "%s, firmware %u.%u.%u",
                                tcb_text(v, report->committed_tcb), report->committed_version[2],
                                report->committed_version[1], report->committed_version[0]),
                     "the platform runs firmware that is not committed");
    else
        check_passed(v->r, &provisional_check);
}

void snp_report_judge(struct verification *v, const struct snp_report *report)
{
    judge_origin(v, report);
    judge_policy(v, report);
    judge_tcb(v, report);
    judge_platform(v, report);
}
