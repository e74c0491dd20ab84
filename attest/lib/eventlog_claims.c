// SPDX-License-Identifier: Apache-2.0
/*
 * What an event log says, as events for a person and as claims. A claim is made only from data
 * whose digest is in a register that can be believed, and only where no other event of that
 * register can be passed off as this one: the log's types, names outside the measured bytes and
 * descriptions are a forger's to choose.
 */
#include "attest/lib/eventlog_judge.h"

#include <string.h>

#include "attest/lib/codec.h"

enum name {
    N_FORMAT,
    N_BANK,
    N_COUNT,
    N_ALGORITHMS,
    N_SPEC_VERSION,
    N_STARTUP_LOCALITY,
    N_REPLAYED,
    N_SECURE_BOOT,
    N_EXIT_BOOT_SERVICES,
    N_KERNEL_CMDLINE,
    N_FIRMWARE_VERSION,
    N_GCE_TECHNOLOGY,
    N_PK,
    N_KEK,
    N_DB,
    N_DBX,
    N_PK_COUNT,
    N_KEK_COUNT,
    N_DB_COUNT,
    N_DBX_COUNT,
    NAMES,
};

#define BOTH(x)                  \
    {                            \
        "eventlog." x, "ccel." x \
    }

static const char *const names[NAMES][2] = {
    [N_FORMAT] = BOTH("format"),
    [N_BANK] = BOTH("bank"),
    [N_COUNT] = BOTH("count"),
    [N_ALGORITHMS] = BOTH("algorithms"),
    [N_SPEC_VERSION] = BOTH("spec_version"),
    [N_STARTUP_LOCALITY] = BOTH("startup_locality"),
    [N_REPLAYED] = { "eventlog.replayed_pcr", "ccel.rtmr" },
    [N_SECURE_BOOT] = BOTH("secure_boot"),
    [N_EXIT_BOOT_SERVICES] = BOTH("exit_boot_services"),
    [N_KERNEL_CMDLINE] = BOTH("kernel_cmdline"),
    [N_FIRMWARE_VERSION] = BOTH("firmware_version"),
    [N_GCE_TECHNOLOGY] = BOTH("gce_technology"),
    [N_PK] = BOTH("pk"),
    [N_KEK] = BOTH("kek"),
    [N_DB] = BOTH("db"),
    [N_DBX] = BOTH("dbx"),
    [N_PK_COUNT] = BOTH("pk_count"),
    [N_KEK_COUNT] = BOTH("kek_count"),
    [N_DB_COUNT] = BOTH("db_count"),
    [N_DBX_COUNT] = BOTH("dbx_count"),
};

static const struct check log_data = {
    .name = "eventlog.data",
    .claim = "eventlog.data",
    .source = "TCG PC Client Platform Firmware Profile 1.06, 10.4.1",
    .how = "the digest of each event that must be that of its data is",
    .advice = "do not believe what these events say, only their digests; ask the firmware's vendor",
};

static const struct check log_secure_boot = {
    .name = "eventlog.secure-boot",
    .claim = "eventlog.secure_boot",
    .source = "TCG PC Client Platform Firmware Profile 1.06, 3.3.4.8",
    .how = "the variable SecureBoot is measured once, before the separator",
    .advice = "do not rely on secure boot for this guest",
};

static const struct check log_cmdline = {
    .name = "eventlog.kernel-cmdline",
    .claim = "eventlog.kernel_cmdline",
    .source = "GRUB manual, Measured Boot; systemd-stub(7)",
    .advice = "decide by the register's value instead of the command line",
};

static const struct check log_weak = {
    .name = "eventlog.firmware-state",
    .claim = "eventlog.firmware_state",
    .source = "TCG PC Client Platform Firmware Profile 1.06, 3.3.4.8 and 10.4.1",
    .how = "no register holds the digest by which firmware says that it failed or is debugged",
    .advice = "mend the firmware's settings",
};

/* What ends the firmware's measurements into a register: PFP 10.4.1, EV_SEPARATOR, the error
 * number among them. */
static const char separators[][4] = { { 0, 0, 0, 0 }, { -1, -1, -1, -1 }, { 1, 0, 0, 0 } };

/* Digests that mean trouble wherever they are extended, whatever the log says of the event. */
static const struct {
    const char *text;
    const char *meaning;
} troubles[] = {
    { "UEFI Debug Mode", "the firmware runs in its debug mode" },
    { "DMA Protection Disabled", "the firmware ran without protection from device DMA" },
};

enum { TROUBLES = sizeof(troubles) / sizeof(troubles[0]) };

struct facts {
    struct log_judge *j;
    /* Of each register, the number of the event that separates the firmware's measurements from
     * the system's; 0: none does, and nothing is known to be the firmware's. */
    size_t separator[EVENTLOG_REGISTERS];
    uint32_t databases; /* bit n: names[N_PK + n] was given */
    uint8_t trouble[TROUBLES][HASH_MAX];
    unsigned troubled; /* bit n: troubles[n] was reported */
    int secure_boot;   /* -1 not seen, -2 contradictory */
    bool boot_services_exited;
    struct bawn_bytes cmdline;
    bool cmdline_wide;     /* UTF-16 */
    bool cmdline_labelled; /* the log says that it is one */
    bool cmdline_hidden;   /* something measured among them is not in the log */
    unsigned cmdlines;     /* different ones */
    size_t mismatches, first_mismatch;
    uint32_t mismatch_type;
};

static const char *name_of(const struct log_judge *j, enum name n)
{
    return names[n][j->log->cc];
}

static bool about(const struct facts *f, const struct eventlog_event *ev, unsigned pcr)
{
    return ev->index == eventlog_register(f->j->log, pcr) && (f->j->believed & 1u << ev->index);
}

/* ---- Single events ---- */

static void claim_signature(struct log_judge *j, const char *name, int index,
                            const struct efi_signature *s)
{
    struct arena *a = j->v->arena;
    uint8_t hash[HASH_MAX];
    struct x509 cert;
    const char *text;

    if (efi_signature_is_sha256(s)) {
        text = arena_text(a, "sha256 %s", arena_hex(a, s->data));
    } else if (efi_signature_is_x509(s) &&
               hash_bytes(HASH_SHA256, s->data.data, s->data.len, hash)) {
        struct bawn_bytes none = { NULL, 0 };
        bool parsed = x509_parse(&cert, s->data, NULL) == BAWN_OK;

        text = arena_text(a, "x509 %s %s", arena_hex(a, (struct bawn_bytes){ hash, 32 }),
                          arena_printable(a, parsed ? cert.common_name : none));
    } else {
        text = arena_text(a, "other, %zu bytes", s->data.len);
    }
    claim_text_at(j->v->r, name, index, text);
}

static void claim_database(struct log_judge *j, unsigned which, struct bawn_bytes data)
{
    struct efi_siglist list = efi_siglist_start(data);
    struct efi_signature s;
    int n = 0;

    while (efi_siglist_next(&list, &s) && n < INT32_MAX)
        n++;
    if (list.lists.failed)
        return;
    claim_uint(j->v->r, name_of(j, N_PK_COUNT + which), (unsigned)n);
    list = efi_siglist_start(data);
    for (int i = 0; i < n && efi_siglist_next(&list, &s); i++)
        claim_signature(j, name_of(j, N_PK + which), i, &s);
}

/* The secure boot policy: measured before the separator, so by the firmware. */
static void note_policy(struct facts *f, struct bawn_bytes measured)
{
    static const struct {
        const char *name;
        const uint8_t *guid;
    } databases[] = {
        { "PK", efi_global_guid },
        { "KEK", efi_global_guid },
        { "db", efi_security_guid },
        { "dbx", efi_security_guid },
    };
    struct efi_variable var;

    if (!efi_variable_parse(measured, &var))
        return;
    if (efi_name_is(var.name, "SecureBoot") && !memcmp(var.guid.data, efi_global_guid, 16) &&
        var.data.len == 1) {
        int value = var.data.data[0];

        f->secure_boot = f->secure_boot == -1 || f->secure_boot == value ? value : -2;
        return;
    }
    for (unsigned i = 0; i < sizeof(databases) / sizeof(databases[0]); i++) {
        if (!efi_name_is(var.name, databases[i].name) ||
            memcmp(var.guid.data, databases[i].guid, 16) != 0 || (f->databases & 1u << i))
            continue;
        f->databases |= 1u << i;
        claim_database(f->j, i, var.data);
    }
}

/* GRUB's label "kernel_cmdline: " is not measured, nor is the event's type: the line could bear
 * another label while a later event, of the system itself, bears this one. Of what GRUB measures
 * into this PCR only the kernel's line begins with a path, and is counted whatever the log calls
 * it. systemd-stub measures the line as UTF-16, and nothing else in that form. */
static void note_cmdline(struct facts *f, const struct eventlog_event *ev,
                         struct bawn_bytes measured)
{
    bool labelled = event_begins(ev->data, "kernel_cmdline: ") ||
                    event_begins(ev->data, "grub_kernel_cmdline ");
    bool wide = !labelled && measured.len == ev->data.len && measured.len >= 4 &&
                measured.len % 2 == 0 && measured.data[0] && !measured.data[1] &&
                !measured.data[measured.len - 1] && !measured.data[measured.len - 2];
    struct bawn_bytes line = measured;

    if (wide)
        line.len -= 2;
    else if (!event_begins(line, "/") && !event_begins(line, "("))
        return;
    if (line.len && !line.data[line.len - 1] && !wide)
        line.len--;
    f->cmdline_labelled |= labelled || wide;
    if (f->cmdlines && f->cmdline_wide == wide && bytes_equal(line, f->cmdline))
        return;
    f->cmdlines++;
    f->cmdline = line;
    f->cmdline_wide = wide;
}

static void note_version(struct facts *f, struct bawn_bytes measured)
{
    struct event_text t = { .len = 0 };

    text_guess(&t, measured);
    t.buf[t.len] = '\0';
    claim_text(f->j->v->r, name_of(f->j, N_FIRMWARE_VERSION),
               arena_text(f->j->v->arena, "%s", t.buf));
}

static void note_nonhost(struct facts *f, struct bawn_bytes measured)
{
    static const char signature[] = "GCE NonHostInfo";
    struct bawn_cursor c = bawn_cursor_over(measured.data, measured.len);
    uint8_t technology;

    if (!event_begins(measured, signature))
        return;
    bawn_cursor_take(&c, sizeof(signature));
    technology = bawn_cursor_u8(&c);
    if (!c.failed)
        claim_uint(f->j->v->r, name_of(f->j, N_GCE_TECHNOLOGY), technology);
}

/* Whether the firmware measured it, before anything else could. */
static bool by_firmware(const struct facts *f, const struct eventlog_event *ev)
{
    return ev->number < f->separator[ev->index];
}

static void note_fact(struct facts *f, const struct eventlog_event *ev, struct bawn_bytes measured)
{
    if (about(f, ev, 8) || about(f, ev, 12))
        note_cmdline(f, ev, measured);
    if (ev->type == EV_EFI_VARIABLE_DRIVER_CONFIG && about(f, ev, 7) && by_firmware(f, ev))
        note_policy(f, measured);
    else if (ev->type == EV_EFI_ACTION && about(f, ev, 5) &&
             bytes_are(measured, "Exit Boot Services Returned with Success"))
        f->boot_services_exited = true;
    else if (ev->type == EV_S_CRTM_VERSION && about(f, ev, 0) && by_firmware(f, ev))
        note_version(f, measured);
    else if (ev->type == EV_NONHOST_INFO && about(f, ev, 0) && by_firmware(f, ev))
        note_nonhost(f, measured);
}

static void note_trouble(struct facts *f, const struct eventlog_event *ev, struct bawn_bytes digest)
{
    for (unsigned i = 0; i < TROUBLES; i++) {
        if ((f->troubled & 1u << i) || memcmp(digest.data, f->trouble[i], digest.len) != 0)
            continue;
        f->troubled |= 1u << i;
        check_warned(f->j->v->r, &log_weak, NULL, NULL, "%s, by event %zu", troubles[i].meaning,
                     ev->number);
    }
}

static void one_event(struct facts *f, const struct eventlog_event *ev)
{
    struct log_judge *j = f->j;
    bool extends = eventlog_extends(j->log, ev);
    enum event_match match = EVENT_NO_MATCH;
    struct bawn_bytes digest = { NULL, 0 }, measured = { NULL, 0 };
    struct bawn_event *out;

    if (extends) {
        digest = eventlog_digest(j->log, ev, j->replay.alg);
        match = event_match(ev, j->replay.alg, digest, &measured);
        note_trouble(f, ev, digest);
    }
    if (match == EVENT_SIGNALS_ERROR) {
        check_warned(j->v->r, &log_weak, NULL, NULL,
                     "the firmware met an error while it measured, by event %zu", ev->number);
    } else if (match == EVENT_MATCH) {
        note_fact(f, ev, measured);
    } else if (extends && event_must_match(ev)) {
        if (!f->mismatches++) {
            f->first_mismatch = ev->number;
            f->mismatch_type = ev->type;
        }
    }
    /* A log alone is only shown, and nobody trusts the line. */
    if (j->covered && extends && match != EVENT_MATCH && (about(f, ev, 8) || about(f, ev, 12)))
        f->cmdline_hidden = true;
    out = list_add(j->v->arena, &j->v->r->events, sizeof(*out));
    if (!out)
        return;
    *out = (struct bawn_event){
        .index = ev->index,
        .type = ev->type,
        .type_name = event_type_name(ev->type),
        .digest = digest,
        .data = ev->data,
        .text = event_describe(j->v->arena, ev),
        .digest_is_of_data = match == EVENT_MATCH,
    };
}

/* ---- The whole log ---- */

static void claim_header(struct log_judge *j)
{
    struct bawn_attest_result *r = j->v->r;
    const struct eventlog *log = j->log;

    claim_text(r, name_of(j, N_FORMAT), log->agile ? "crypto-agile" : "sha1");
    claim_text(r, name_of(j, N_BANK), hash_name(j->replay.alg));
    claim_uint(r, name_of(j, N_COUNT), log->nr_events);
    for (unsigned i = 0; i < log->nr_algs; i++) {
        const char *text = log->algs[i].hash != HASH_NONE
                               ? hash_name(log->algs[i].hash)
                               : arena_text(j->v->arena, "0x%04x", log->algs[i].id);

        claim_text_at(r, name_of(j, N_ALGORITHMS), (int)i, text);
    }
    if (log->has_version)
        claim_text(r, name_of(j, N_SPEC_VERSION),
                   arena_text(j->v->arena, "%u.%u errata %u", log->major, log->minor, log->errata));
}

/* What the log leads to, where a signed value equals it or refuses the evidence; not where the
 * verdict could be "trusted" without anything signed behind the log's value. */
static void claim_registers(struct log_judge *j)
{
    size_t size = hash_size(j->replay.alg);

    for (unsigned n = 0; n < EVENTLOG_REGISTERS; n++) {
        struct bawn_bytes copy;

        if (!(j->replay.extended & 1u << n) || !((j->believed | j->refused) & 1u << n))
            continue;
        copy = arena_copy(j->v->arena, j->replay.value[n], size);
        claim_bytes_at(j->v->r, name_of(j, N_REPLAYED), (int)(j->log->cc ? n - 1 : n), copy.data,
                       copy.len);
    }
    if (j->log->has_locality && (j->believed & 1))
        claim_uint(j->v->r, name_of(j, N_STARTUP_LOCALITY), j->log->locality);
}

/* The whole line: a claim that is compared must not be cut or escaped. */
static void claim_cmdline(struct facts *f)
{
    struct bawn_cursor c = bawn_cursor_over(f->cmdline.data, f->cmdline.len);
    unsigned width = f->cmdline_wide ? 2 : 1;
    char *text = arena_alloc(f->j->v->arena, f->cmdline.len / width + 1);
    size_t n = 0;

    while (text && bawn_cursor_left(&c)) {
        uint64_t ch = bawn_cursor_le(&c, width);

        if (ch < ' ' || ch > '~') {
            check_warned(f->j->v->r, &log_cmdline, NULL, NULL,
                         "the kernel command line has characters that are not printable ASCII");
            return;
        }
        text[n++] = (char)ch;
    }
    if (text)
        claim_text(f->j->v->r, name_of(f->j, N_KERNEL_CMDLINE), text);
}

static void claim_facts(struct facts *f)
{
    struct log_judge *j = f->j;
    struct bawn_attest_result *r = j->v->r;

    if (f->secure_boot >= 0 && f->secure_boot <= 1)
        claim_bool(r, name_of(j, N_SECURE_BOOT), f->secure_boot);
    else if (f->secure_boot != -1)
        check_warned(r, &log_secure_boot, "0 or 1, once", NULL,
                     "the firmware measured contradictory or odd values of SecureBoot");
    if (j->believed & 1u << eventlog_register(j->log, 5) &&
        j->replay.extended & 1u << eventlog_register(j->log, 5))
        claim_bool(r, name_of(j, N_EXIT_BOOT_SERVICES), f->boot_services_exited);
    if (f->cmdlines > 1)
        check_warned(r, &log_cmdline, "1", arena_text(j->v->arena, "%u", f->cmdlines),
                     "more than one kernel command line was measured");
    if (f->cmdlines == 1 && f->cmdline_labelled && !f->cmdline_hidden)
        claim_cmdline(f);
}

/* By digest: the type that the log gives is not measured. */
static bool find_separators(struct facts *f)
{
    enum { FORMS = sizeof(separators) / sizeof(separators[0]) };
    const struct log_judge *j = f->j;
    struct bawn_cursor at = eventlog_start(j->log);
    struct eventlog_event ev = { 0 };
    uint8_t want[FORMS][HASH_MAX];

    for (unsigned i = 0; i < FORMS; i++)
        if (!hash_bytes(j->replay.alg, separators[i], sizeof(separators[i]), want[i]))
            return false;
    while (eventlog_next(j->log, &at, &ev)) {
        struct bawn_bytes digest = eventlog_digest(j->log, &ev, j->replay.alg);

        if (!eventlog_extends(j->log, &ev) || f->separator[ev.index])
            continue;
        for (unsigned i = 0; i < FORMS; i++)
            if (!memcmp(digest.data, want[i], digest.len))
                f->separator[ev.index] = ev.number;
    }
    return true;
}

void eventlog_claims(struct log_judge *j)
{
    struct facts f = { .j = j, .secure_boot = -1 };
    struct bawn_cursor at = eventlog_start(j->log);
    struct eventlog_event ev = { 0 };

    for (unsigned i = 0; i < TROUBLES; i++) {
        if (!hash_bytes(j->replay.alg, troubles[i].text, strlen(troubles[i].text), f.trouble[i]))
            return;
    }
    if (!find_separators(&f))
        return;
    claim_header(j);
    claim_registers(j);
    while (eventlog_next(j->log, &at, &ev))
        one_event(&f, &ev);
    claim_facts(&f);
    if (f.mismatches)
        check_warned(j->v->r, &log_data, NULL, NULL,
                     "the data of %zu event%s is not what was measured, first of event %zu (%s)",
                     f.mismatches, f.mismatches == 1 ? "" : "s", f.first_mismatch,
                     event_type_name(f.mismatch_type));
    else
        check_passed(j->v->r, &log_data);
}
