// SPDX-License-Identifier: Apache-2.0
/*
 * Judges an event log by the signed registers: the replay must equal each of them that the log
 * has events for. Trusts what tpm.c and the quote's judge found signed, nothing in the log.
 */
#include "attest/lib/eventlog_judge.h"

#include <string.h>

#include "attest/lib/codec.h"

#define PFP "TCG PC Client Platform Firmware Profile 1.06"

enum {
    FIRMWARE_PCRS = 8, /* PFP 3.3.4: PCRs 0 to 7 are the firmware's, the rest the system's */
    FIRMWARE_CC = 3,   /* MRTD, RTMR0 and RTMR1 */
};

static const struct check log_format = {
    .name = "eventlog.format",
    .claim = "eventlog.format",
    .source = PFP ", 10.2 and 10.4.5.1",
    .how = "every length, count and algorithm of every event, to the end of the log",
    .advice = "read the log again, whole and as bytes, from /sys/kernel/security/tpm0/"
              "binary_bios_measurements (or, for a TD, /sys/firmware/acpi/tables/data/CCEL)",
};

static const struct check log_bank = {
    .name = "eventlog.bank",
    .claim = "eventlog.bank",
    .source = PFP ", 10.2.2",
    .how = "every event that extends a register has a digest of the bank",
    .advice = "quote a PCR bank that the firmware logs, SHA-256 if it has it",
};

static const struct check log_covered = {
    .name = "eventlog.covered",
    .claim = "eventlog.covered",
    .source = PFP ", 10.1; RFC 9334, section 9",
    .how = "a signed register value stands behind the log",
    .advice = "give the quote that covers these registers, made with the same boot of the guest",
};

static const struct check log_pcr = {
    .name = "eventlog.pcr",
    .claim = "tpm.pcr",
    .source = PFP ", 3.3.4 and 10.1",
    .how = "the log, replayed, gives each signed PCR that it has events for",
    .advice =
        "take log and quote from the same boot of the guest; if they are, the log was altered",
};

static const struct check log_system_pcr = {
    .name = "eventlog.pcr",
    .claim = "tpm.pcr",
    .source = PFP ", 3.3.4 and 10.1",
    .advice = "the system extends this PCR after the log ends: quote only the PCRs that the log "
              "reaches to (0 to 7), or give a log as late as the quote",
};

static const struct check log_rtmr = {
    .name = "eventlog.rtmr",
    .claim = "tdx.rtmr",
    .source = "UEFI 2.10, 38.4.1; Intel TDX Module 1.5 ABI, TDG.MR.RTMR.EXTEND",
    .how = "the log, replayed, gives each RTMR that it has events for",
    .advice = "take log and quote from the same boot of the guest, and the quote before the system "
              "extends its RTMRs further; otherwise the log was altered",
};

unsigned eventlog_register(const struct eventlog *log, unsigned pcr)
{
    if (!log->cc)
        return pcr;
    if (pcr == 0)
        return 0; /* MRTD */
    if (pcr == 1 || pcr == 7)
        return 1; /* RTMR0 */
    return pcr < FIRMWARE_PCRS ? 2 : 3;
}

static enum hash_alg bank_of_name(const char *name)
{
    for (enum hash_alg alg = HASH_SHA1; alg < HASH_ALGS; alg++) {
        if (!strcmp(name, hash_name(alg)))
            return alg;
    }
    return HASH_NONE;
}

static void want(struct log_judge *j, unsigned n, struct bawn_bytes value)
{
    j->want[n] = value;
    j->compared |= 1u << n;
}

/* The values that tpm.c found under the quote's digest, which are claims of the first quoted
 * bank; without any, the values that were only given, to compare and not to believe. */
static enum hash_alg want_pcrs(struct log_judge *j)
{
    const struct pcr_bank *given = &j->v->ev.pcrs;
    const struct bawn_claim *claims = j->v->r->claims.items;
    enum hash_alg bank = HASH_NONE;

    for (size_t i = 0; i < j->v->r->claims.n; i++) {
        const struct bawn_claim *c = &claims[i];

        if (!strcmp(c->name, "tpm.pcr_bank") && c->kind == BAWN_CLAIM_TEXT)
            bank = bank_of_name(c->text);
        else if (!strcmp(c->name, "tpm.pcr") && c->kind == BAWN_CLAIM_BYTES && c->index >= 0 &&
                 c->index < EVENTLOG_REGISTERS)
            want(j, (unsigned)c->index, c->bytes);
    }
    j->covered = j->compared;
    if (j->covered)
        return bank;
    for (unsigned i = 0; i < TPM_PCRS && given->alg != HASH_NONE; i++) {
        if (given->value[i].len)
            want(j, i, given->value[i]);
    }
    return given->alg;
}

static void want_rtmrs(struct log_judge *j)
{
    const struct bawn_claim *claims = j->v->r->claims.items;

    for (size_t i = 0; i < j->v->r->claims.n; i++) {
        const struct bawn_claim *c = &claims[i];

        if (strcmp(c->name, "tdx.rtmr") != 0 || c->kind != BAWN_CLAIM_BYTES || c->index < 0 ||
            c->index >= EVENTLOG_CC_REGISTERS - 1)
            continue;
        want(j, (unsigned)c->index + 1, c->bytes);
    }
    j->covered = j->compared;
}

/* The bank that is compared with, else the first of these that the log has. */
static enum hash_alg choose_bank(struct log_judge *j)
{
    static const enum hash_alg order[] = { HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_SHA1 };
    enum hash_alg bank;

    if (j->log->cc) {
        want_rtmrs(j);
        return HASH_SHA384;
    }
    bank = want_pcrs(j);
    if (j->compared)
        return bank;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (eventlog_has_bank(j->log, order[i]))
            return order[i];
    }
    return HASH_SHA1;
}

static void refuse_register(struct log_judge *j, unsigned n, const char *why)
{
    struct bawn_attest_result *r = j->v->r;
    bool system = !j->log->cc && n >= FIRMWARE_PCRS;
    struct check c = j->log->cc ? log_rtmr : system ? log_system_pcr : log_pcr;
    struct bawn_bytes replayed = { j->replay.value[n], hash_size(j->replay.alg) };
    const char *what = j->log->cc ? "RTMR" : "PCR ";
    unsigned shown = j->log->cc ? n - 1 : n;

    c.claim = arena_text(j->v->arena, "%s[%u]", c.claim, shown);
    check_refused(r, &c, arena_hex(j->v->arena, j->want[n]), arena_hex(j->v->arena, replayed),
                  "%s %s%u", why, what, shown);
}

/* A log that was cut down to fewer registers proves as little as one that was altered: the
 * firmware logs all that it extends, so its registers must be accounted for. What the system
 * extends later (PCR 10 by IMA, RTMR3) need not be in the firmware's log; but where the log has
 * events, they must lead to the signed value, or the events are not what was measured. */
static void compare(struct log_judge *j)
{
    unsigned first = j->log->cc ? 1 : 0;
    unsigned registers = j->log->cc ? EVENTLOG_CC_REGISTERS : EVENTLOG_REGISTERS;
    unsigned firmware = j->log->cc ? FIRMWARE_CC : FIRMWARE_PCRS;
    size_t size = hash_size(j->replay.alg);

    for (unsigned n = first; n < registers; n++) {
        uint32_t bit = 1u << n;

        if (!(j->compared & bit))
            continue;
        if (bytes_equal(j->want[n], (struct bawn_bytes){ j->replay.value[n], size })) {
            j->believed |= j->covered & bit;
            continue;
        }
        if (n >= firmware && !(j->replay.extended & bit))
            continue;
        j->refused |= bit;
        refuse_register(j, n,
                        j->replay.extended & bit ? "the event log does not lead to the value of"
                                                 : "the event log has no event for");
    }
}

static bool has_other_evidence(const struct verification *v)
{
    return v->ev.snp_report.len || v->ev.quote.len || v->ev.tpm_message.len || v->ev.hcl_report.len;
}

/* Says so when nothing signed stands behind the log. */
static void judge_coverage(struct log_judge *j)
{
    struct bawn_attest_result *r = j->v->r;

    if (j->covered & j->replay.extended) {
        if (j->believed)
            check_passed(r, j->log->cc ? &log_rtmr : &log_pcr);
        return;
    }
    if (has_other_evidence(j->v)) {
        check_warned(r, &log_covered, NULL, NULL,
                     "the evidence signs no register that the event log has events for, so nothing "
                     "in the log is believed");
        return;
    }
    j->believed = UINT32_MAX; /* to be shown; the verdict cannot be "trusted" */
    check_missing(r, &log_covered, NULL, NULL,
                  "an event log by itself proves nothing: the quote that covers it is not given");
}

static void judge_log(struct verification *v, struct bawn_bytes bytes, bool cc)
{
    struct eventlog log;
    struct log_judge *j = arena_alloc(v->arena, sizeof(*j));
    uint64_t address, size;
    struct bawn_error err;

    if (!j)
        return;
    if (eventlog_ccel_table(bytes, &address, &size)) {
        check_missing(v->r, &log_format, NULL, NULL,
                      "this is the ACPI table CCEL, which says that the log of %llu bytes is at "
                      "0x%llx in the guest, not the log",
                      (unsigned long long)size, (unsigned long long)address);
        return;
    }
    if (eventlog_open(&log, bytes, cc, &err) != BAWN_OK) {
        check_missing(v->r, &log_format, NULL, NULL, "%s", err.msg);
        return;
    }
    check_passed(v->r, &log_format);
    if (!has_other_evidence(v))
        v->r->subject = cc ? "CC event log (CCEL) alone" : "TCG event log alone";
    j->v = v;
    j->log = &log;
    if (eventlog_replay(&log, choose_bank(j), &j->replay, &err) != BAWN_OK) {
        check_missing(v->r, &log_bank, NULL, NULL, "%s", err.msg);
        return;
    }
    compare(j);
    judge_coverage(j);
    eventlog_claims(j);
}

void eventlog_verify(struct verification *v)
{
    if (!v->ev.event_log.len && !v->ev.cc_log.len && v->ev.kind == BAWN_EVIDENCE_LOG)
        check_missing(v->r, &log_format, NULL, NULL, "the event log is empty");
    if (v->ev.event_log.len)
        judge_log(v, v->ev.event_log, false);
    if (v->ev.cc_log.len)
        judge_log(v, v->ev.cc_log, true);
}

bool eventlog_endorsement_add(struct verification *v, struct bawn_bytes blob)
{
    static const struct check given_twice = {
        .name = "endorsement.event-log",
        .claim = "eventlog.format",
        .advice = "give one event log",
    };
    struct bawn_bytes *place;
    uint64_t address, size;
    bool cc;

    if (!eventlog_recognise(blob, &cc))
        return false;
    if (eventlog_ccel_table(blob, &address, &size)) {
        check_warned(v->r, &log_format, NULL, NULL,
                     "one of the files is the ACPI table CCEL, which only says where the log is");
        return true;
    }
    place = cc ? &v->ev.cc_log : &v->ev.event_log;
    if (place->len && !bytes_equal(*place, blob))
        check_warned(v->r, &given_twice, NULL, NULL,
                     "a second event log is given; only the first is judged");
    else
        *place = blob;
    return true;
}
