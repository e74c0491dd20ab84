// SPDX-License-Identifier: Apache-2.0
/*
 * Event logs against signed registers: what is refused, what is believed, which claims are made.
 */
#include "tests/unit/attest/eventlog_bench.h"

#include <time.h>

static void alone(void **state)
{
    struct bawn_bytes log = load("eventlog/cos-85-amd-sev.bin");
    const struct bawn_event *events;
    struct bench b;

    (void)state;
    begin(&b);
    b.v.ev.kind = BAWN_EVIDENCE_LOG;
    b.v.ev.event_log = log;
    eventlog_verify(&b.v);
    assert_int_equal(find(&b, "eventlog.covered", BAWN_FINDING_MISSING)->level,
                     BAWN_FINDING_MISSING);
    assert_string_equal(bawn_attest_result_subject(b.r), "TCG event log alone");
    assert_text(&b, "eventlog.format", "crypto-agile");
    assert_text(&b, "eventlog.bank", "sha256");
    assert_text(&b, "eventlog.algorithms[2]", "sha384");
    assert_null(claim(&b, "eventlog.algorithms[3]"));
    assert_text(&b, "eventlog.spec_version", "2.0 errata 0");
    assert_text(&b, "eventlog.firmware_version", "GCE Virtual Firmware v1");
    assert_uint(&b, "eventlog.count", 46);
    assert_uint(&b, "eventlog.gce_technology", 1);
    assert_uint(&b, "eventlog.dbx_count", 4);
    assert_bool(&b, "eventlog.secure_boot", true);
    assert_bool(&b, "eventlog.exit_boot_services", true);
    assert_text(&b, "eventlog.db[0]",
                "x509 a7b8c851deb2acba7c7d0e6ec091c93440f942c65d776fdcb58016f8fd1674b0 "
                "UEFI DB Key v10");
    assert_int_equal(claim(&b, "eventlog.replayed_pcr[9]")->bytes.len, 32);
    assert_null(claim(&b, "eventlog.replayed_pcr[10]"));
    assert_int_equal(bawn_attest_result_events(b.r, &events), 46);
    assert_string_equal(events[3].type_name, "EV_EFI_VARIABLE_DRIVER_CONFIG");
    assert_string_equal(events[3].text, "SecureBoot (global), 1 bytes: 01");
    assert_true(events[3].digest_is_of_data);
    assert_int_equal(events[3].digest.len, 32);
    assert_int_equal(events[0].digest.len, 0);
    assert_false(events[0].digest_is_of_data);
    end(&b);
    unload(log);
}

/* The whole command line, which is longer than what is shown of the event. */
static void kernel_cmdline(void **state)
{
    struct bawn_bytes log = load("eventlog/cos-101-amd-sev.bin");
    const struct bawn_event *events;
    const char *text;
    struct bench b;

    (void)state;
    begin(&b);
    b.v.ev.event_log = log;
    eventlog_verify(&b.v);
    text = claim(&b, "eventlog.kernel_cmdline")->text;
    assert_int_equal(strncmp(text, "/syslinux/vmlinuz.A init=", 25), 0);
    assert_int_equal(strlen(text), 722 - strlen("kernel_cmdline: ") - 1);
    assert_int_equal(bawn_attest_result_events(b.r, &events), 49);
    end(&b);
    unload(log);
}

static void covered(void **state)
{
    struct bawn_bytes log = load("eventlog/ubuntu-2404-amd-sevsnp.bin");

    (void)state;
    for (enum hash_alg bank = HASH_SHA1; bank <= HASH_SHA384; bank++) {
        struct bench b;

        begin(&b);
        b.v.ev.event_log = log;
        quote(&b, log, bank, 0xffffff);
        eventlog_verify(&b.v);
        assert_true(result_clean(b.r));
        assert_int_equal(find(&b, "eventlog.pcr", BAWN_FINDING_PASS)->level, BAWN_FINDING_PASS);
        assert_text(&b, "eventlog.bank", hash_name(bank));
        assert_int_equal(claim(&b, "eventlog.replayed_pcr[4]")->bytes.len, hash_size(bank));
        assert_non_null(claim(&b, "eventlog.secure_boot"));
        assert_non_null(claim(&b, "eventlog.kernel_cmdline"));
        end(&b);
    }
    unload(log);
}

/* Another value of any signed PCR that the log has events for refuses, and takes the claims
 * that came from it. */
static void mismatch(void **state)
{
    static const char *const claims[] = { [0] = "eventlog.firmware_version",
                                          [5] = "eventlog.exit_boot_services",
                                          [7] = "eventlog.secure_boot",
                                          [8] = "eventlog.kernel_cmdline" };
    struct bawn_bytes log = load("eventlog/cos-85-amd-sev.bin");

    (void)state;
    for (int n = 0; n < 24; n++) {
        const struct bawn_finding *f;
        struct bench b;
        char name[32];

        begin(&b);
        b.v.ev.event_log = log;
        quote(&b, log, HASH_SHA256, 0xffffff);
        disturb(&b, n);
        eventlog_verify(&b.v);
        f = find(&b, "eventlog.pcr", BAWN_FINDING_REFUSED);
        if (n < 10) { /* PCR 10 and up: no events in this log, and the system's */
            assert_non_null(f);
            snprintf(name, sizeof(name), "tpm.pcr[%d]", n);
            assert_string_equal(f->claim, name);
            assert_int_equal(strlen(f->expected), 64);
            assert_int_equal(strlen(f->found), 64);
            assert_string_not_equal(f->expected, f->found);
            assert_non_null(strstr(f->advice, n < 8 ? "same boot" : "0 to 7"));
        } else {
            assert_null(f);
        }
        for (int i = 0; i <= 8; i++) {
            if (claims[i])
                assert_int_equal(claim(&b, claims[i]) != NULL, i != n);
        }
        end(&b);
    }
    unload(log);
}

/* A quote of some PCRs: what the log says of others is not believed. */
static void partly_covered(void **state)
{
    struct bawn_bytes log = load("eventlog/cos-85-amd-sev.bin");
    struct bench b;

    (void)state;
    begin(&b);
    b.v.ev.event_log = log;
    quote(&b, log, HASH_SHA256, 1u << 4 | 1u << 8);
    eventlog_verify(&b.v);
    assert_true(result_clean(b.r));
    assert_null(find(&b, "eventlog.covered", BAWN_FINDING_WARNING));
    assert_null(claim(&b, "eventlog.secure_boot"));
    assert_null(claim(&b, "eventlog.db_count"));
    assert_null(claim(&b, "eventlog.exit_boot_services"));
    assert_null(claim(&b, "eventlog.firmware_version"));
    assert_null(claim(&b, "eventlog.gce_technology"));
    assert_null(claim(&b, "eventlog.replayed_pcr[7]"));
    assert_non_null(claim(&b, "eventlog.replayed_pcr[4]"));
    assert_non_null(claim(&b, "eventlog.kernel_cmdline"));
    end(&b);

    begin(&b); /* only registers without events */
    b.v.ev.event_log = log;
    quote(&b, log, HASH_SHA256, 1u << 15 | 1u << 22);
    eventlog_verify(&b.v);
    assert_true(result_clean(b.r));
    assert_int_equal(find(&b, "eventlog.covered", BAWN_FINDING_PASS)->level, BAWN_FINDING_WARNING);
    assert_null(claim(&b, "eventlog.secure_boot"));
    assert_null(claim(&b, "eventlog.kernel_cmdline"));
    assert_null(claim(&b, "eventlog.replayed_pcr[7]"));
    end(&b);

    begin(&b); /* evidence of another kind */
    b.v.ev.event_log = log;
    b.v.ev.snp_report = log;
    eventlog_verify(&b.v);
    assert_true(result_clean(b.r));
    assert_int_equal(find(&b, "eventlog.covered", BAWN_FINDING_PASS)->level, BAWN_FINDING_WARNING);
    assert_null(claim(&b, "eventlog.secure_boot"));
    end(&b);
    unload(log);
}

/* PCR values that are only given are compared, and prove nothing. */
static void given_values(void **state)
{
    struct bawn_bytes log_bytes = load("eventlog/cos-85-amd-sev.bin");
    struct eventlog_replay replay;
    struct bawn_error err;
    struct eventlog log;

    (void)state;
    assert_int_equal(eventlog_open(&log, log_bytes, false, &err), BAWN_OK);
    assert_int_equal(eventlog_replay(&log, HASH_SHA384, &replay, &err), BAWN_OK);
    for (int wrong = 0; wrong < 2; wrong++) {
        struct bench b;

        begin(&b);
        b.v.ev.event_log = log_bytes;
        b.v.ev.pcrs.alg = HASH_SHA384;
        replay.value[7][0] ^= (uint8_t)wrong;
        for (int n = 0; n < 10; n++)
            b.v.ev.pcrs.value[n] = (struct bawn_bytes){ replay.value[n], 48 };
        eventlog_verify(&b.v);
        assert_non_null(find(&b, "eventlog.covered", BAWN_FINDING_MISSING));
        assert_int_equal(find(&b, "eventlog.pcr", BAWN_FINDING_REFUSED) != NULL, wrong);
        assert_text(&b, "eventlog.bank", "sha384");
        end(&b);
    }
    unload(log_bytes);
}

/* The log without the events of one PCR. */
static struct bawn_bytes strip(struct bawn_bytes bytes, uint32_t index)
{
    struct eventlog_event ev = { 0 };
    struct bawn_cursor at;
    struct maker m = { 0 };
    struct eventlog log;
    size_t from = 0;

    assert_int_equal(eventlog_open(&log, bytes, false, NULL), BAWN_OK);
    at = eventlog_start(&log);
    while (eventlog_next(&log, &at, &ev)) {
        size_t to = log.bytes.len - bawn_cursor_left(&at);

        if (ev.index != index || ev.type == EV_NO_ACTION)
            put(&m, bytes.data + from, to - from);
        from = to;
    }
    return made(&m);
}

/* To leave out a firmware register's events does not hide them; the system's may be left out. */
static void stripped(void **state)
{
    struct bawn_bytes log = load("eventlog/cos-85-amd-sev.bin");

    (void)state;
    for (uint32_t n = 0; n < 10; n++) {
        struct bawn_bytes less = strip(log, n);
        const struct bawn_finding *f;
        struct bench b;

        begin(&b);
        b.v.ev.event_log = less;
        quote(&b, log, HASH_SHA256, 0xffffff);
        eventlog_verify(&b.v);
        f = find(&b, "eventlog.pcr", BAWN_FINDING_REFUSED);
        assert_int_equal(f != NULL, n < 8);
        if (n == 7)
            assert_null(claim(&b, "eventlog.secure_boot"));
        if (n == 8)
            assert_null(claim(&b, "eventlog.kernel_cmdline"));
        end(&b);
        unload(less);
    }
    unload(log);
}

/* The quote is of a bank that the log does not have. */
static void other_bank(void **state)
{
    struct bawn_bytes agile = load("eventlog/ubuntu-2404-amd-sevsnp.bin");
    struct bawn_bytes sha1 = load("eventlog/debian-10.bin");
    struct bench b;

    (void)state;
    begin(&b);
    b.v.ev.event_log = sha1;
    quote(&b, agile, HASH_SHA256, 0xff);
    eventlog_verify(&b.v);
    assert_non_null(find(&b, "eventlog.bank", BAWN_FINDING_MISSING));
    assert_null(claim(&b, "eventlog.secure_boot"));
    end(&b);
    unload(agile);
    unload(sha1);
}

static void ccel(void **state)
{
    struct bawn_bytes log = load("eventlog/ccel_data.dat");
    struct bawn_bytes td_quote = load("eventlog/cos-113-tdx-quote.dat");

    (void)state;
    for (int wrong = -1; wrong < 4; wrong++) {
        const struct bawn_finding *f;
        struct bench b;
        char name[32];

        if (wrong >= 0)
            writable(td_quote)[48 + 328 + 48 * wrong] ^= 1;
        begin(&b);
        b.v.ev.cc_log = log;
        quote_rtmrs(&b, td_quote);
        eventlog_verify(&b.v);
        f = find(&b, "eventlog.rtmr", BAWN_FINDING_REFUSED);
        snprintf(name, sizeof(name), "tdx.rtmr[%d]", wrong);
        if (wrong >= 0 && wrong < 3)
            assert_string_equal(f->claim, name);
        else /* the log does not reach to RTMR3, which is the system's */
            assert_null(f);
        assert_int_equal(claim(&b, "ccel.secure_boot") != NULL, wrong != 0);
        assert_int_equal(claim(&b, "ccel.exit_boot_services") != NULL, wrong != 1);
        /* GRUB measures files beside it, and their content could be another line. */
        assert_null(claim(&b, "ccel.kernel_cmdline"));
        if (wrong == -1) {
            assert_bool(&b, "ccel.secure_boot", false);
            assert_bool(&b, "ccel.exit_boot_services", true);
            assert_int_equal(claim(&b, "ccel.rtmr[2]")->bytes.len, 48);
            assert_null(claim(&b, "ccel.rtmr[3]"));
            assert_null(find(&b, "eventlog.data", BAWN_FINDING_WARNING));
        }
        end(&b);
        if (wrong >= 0)
            writable(td_quote)[48 + 328 + 48 * wrong] ^= 1;
    }
    unload(log);
    unload(td_quote);
}

static void table_is_no_log(void **state)
{
    struct bawn_bytes table = load("eventlog/ccel_table.dat");
    struct bench b;

    (void)state;
    begin(&b);
    b.v.ev.cc_log = table;
    eventlog_verify(&b.v);
    assert_non_null(strstr(find(&b, "eventlog.format", BAWN_FINDING_MISSING)->text, "ACPI table"));
    assert_non_null(strstr(find(&b, "eventlog.format", BAWN_FINDING_MISSING)->text, "0xbedbf000"));
    end(&b);
    begin(&b);
    assert_true(eventlog_endorsement_add(&b.v, table));
    assert_int_equal(b.v.ev.cc_log.len, 0);
    assert_int_equal(find(&b, "eventlog.format", BAWN_FINDING_PASS)->level, BAWN_FINDING_WARNING);
    end(&b);
    unload(table);
}

static void unparsable(void **state)
{
    struct bawn_bytes bogus = load("eventlog/binary_bios_measurements-bogus");
    struct bench b;

    (void)state;
    begin(&b);
    b.v.ev.kind = BAWN_EVIDENCE_LOG;
    b.v.ev.event_log = bogus;
    eventlog_verify(&b.v);
    assert_non_null(find(&b, "eventlog.format", BAWN_FINDING_MISSING));
    assert_null(claim(&b, "eventlog.format"));
    end(&b);
    begin(&b);
    b.v.ev.kind = BAWN_EVIDENCE_LOG;
    eventlog_verify(&b.v);
    assert_non_null(strstr(find(&b, "eventlog.format", BAWN_FINDING_MISSING)->text, "empty"));
    end(&b);
    unload(bogus);
}

static void endorsements(void **state)
{
    struct bawn_bytes tcg = load("eventlog/debian-10.bin"), cc = load("eventlog/ccel_data.dat");
    struct bawn_bytes second = load("eventlog/rhel8-uefi.bin"), key = load("tpm/akpub.pem");
    struct bench b;

    (void)state;
    begin(&b);
    assert_false(eventlog_endorsement_add(&b.v, key));
    assert_true(eventlog_endorsement_add(&b.v, tcg));
    assert_true(eventlog_endorsement_add(&b.v, cc));
    assert_true(eventlog_endorsement_add(&b.v, tcg)); /* the same again is no matter */
    assert_int_equal(b.r->findings.n, 0);
    assert_true(eventlog_endorsement_add(&b.v, second));
    assert_int_equal(find(&b, "endorsement.event-log", BAWN_FINDING_PASS)->level,
                     BAWN_FINDING_WARNING);
    assert_ptr_equal(b.v.ev.event_log.data, tcg.data);
    assert_ptr_equal(b.v.ev.cc_log.data, cc.data);
    end(&b);
    unload(tcg);
    unload(cc);
    unload(second);
    unload(key);
}

/* ---- Whole evidence ---- */

/* go-tpm-tools' message: quotes of three banks and the log. */
static void whole_evidence(void **state)
{
    struct bawn_bytes pb = load("tpm/gce-cos-85-nonce9009.pb");
    struct bawn_attest_input input = { .evidence = pb, .flags = BAWN_ATTEST_EXPLAIN };
    struct bawn_trust *trust;
    struct bawn_error err;
    struct bench b;
    const uint8_t *log = memmem(pb.data, pb.len, "Spec ID Event03", 16);

    (void)state;
    assert_non_null(log);
    assert_int_equal(bawn_trust_create(&trust, NULL, 0, &err), BAWN_OK);
    for (int flipped = 0; flipped < 2; flipped++) {
        begin(&b);
        writable(pb)[log - pb.data + 41 + 4 + 4 + 4 + 2 + 7] ^= (uint8_t)flipped; /* SHA-1 */
        writable(pb)[log - pb.data + 41 + 4 + 4 + 4 + 22 + 34 + 9] ^= (uint8_t)flipped;
        bawn_attest_verify(trust, NULL, &input, b.r);
        assert_int_equal(find(&b, "eventlog.pcr", BAWN_FINDING_PASS)->level,
                         flipped ? BAWN_FINDING_REFUSED : BAWN_FINDING_PASS);
        assert_int_equal(claim(&b, "eventlog.firmware_version") != NULL, !flipped);
        assert_bool(&b, "eventlog.secure_boot", true);
        end(&b);
    }
    bawn_trust_destroy(trust);
    unload(pb);
}

/* A log alone is shown and never trusted, in every form it is given. */
static void log_alone(void **state)
{
    static const char *const files[] = { "eventlog/debian-10.bin", "eventlog/ccel_data.dat",
                                         "eventlog/ccel_table.dat",
                                         "eventlog/binary_bios_measurements-bogus",
                                         "eventlog/binary_bios_measurements-empty" };
    struct bawn_trust *trust;
    struct bawn_error err;

    (void)state;
    assert_int_equal(bawn_trust_create(&trust, NULL, 0, &err), BAWN_OK);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        for (int known = 0; known < 2; known++) {
            struct bawn_bytes log = load(files[i]);
            struct bawn_attest_input input = {
                .evidence = log,
                .kind = known ? BAWN_EVIDENCE_LOG : BAWN_EVIDENCE_ANY,
            };
            struct bench b;

            begin(&b);
            assert_int_equal(bawn_attest_verify(trust, NULL, &input, b.r), BAWN_CANNOT_JUDGE);
            end(&b);
            unload(log);
        }
    }
    bawn_trust_destroy(trust);
}

/* ---- Hostile logs ---- */

static void judge_all(struct bawn_bytes bytes, bool cc)
{
    struct bench b;

    begin(&b);
    *(cc ? &b.v.ev.cc_log : &b.v.ev.event_log) = bytes;
    eventlog_verify(&b.v);
    assert_false(b.r->arena.failed);
    assert_false(result_clean(b.r));
    end(&b);
}

/* Every part of every structure wrong somewhere: decoded or refused, never a crash. */
static void flipped(void **state)
{
    static const struct {
        const char *file;
        bool cc;
        size_t step;
    } logs[] = { { "eventlog/eventlogwithsp800155.bin", false, 13 },
                 { "eventlog/ccel_data.dat", true, 17 },
                 { "eventlog/glinux-alex.bin", false, 11 },
                 { "eventlog/debian-10.bin", false, 29 } };

    (void)state;
    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        struct bawn_bytes log = load(logs[i].file);
        struct eventlog parsed;

        assert_int_equal(eventlog_open(&parsed, log, logs[i].cc, NULL), BAWN_OK);
        log.len = parsed.bytes.len;
        for (size_t at = 0; at < log.len; at += logs[i].step) {
            uint8_t was = log.data[at];

            writable(log)[at] = (uint8_t)~was;
            judge_all(log, logs[i].cc);
            writable(log)[at] = was;
        }
        unload(log);
    }
}

/* Many events that say nothing: time and memory in proportion. */
static void many_events(void **state)
{
    enum { EVENTS = 100000 };
    const struct bawn_event *events;
    struct maker m = { 0 };
    struct bawn_bytes log;
    struct bench b;
    clock_t start;

    (void)state;
    put_sha256_header(&m);
    for (int i = 0; i < EVENTS; i++)
        put_event(&m, (uint32_t)i % 24, EV_SEPARATOR, NULL, "", 0);
    log = made(&m);
    begin(&b);
    b.v.ev.event_log = log;
    start = clock();
    eventlog_verify(&b.v);
    assert_true(clock() - start < 4 * CLOCKS_PER_SEC);
    assert_int_equal(bawn_attest_result_events(b.r, &events), EVENTS + 1);
    assert_true(b.r->events.room <= 4 * EVENTS);
    assert_uint(&b, "eventlog.count", EVENTS + 1);
    end(&b);
    unload(log);
}

/* Where the padding begins is not sought at every event that could be its first byte. */
static void zero_events(void **state)
{
    enum { EVENTS = 200000 };
    static const uint8_t event[32];
    struct maker m = { 0 };
    struct bawn_bytes bytes;
    struct eventlog log;
    clock_t start;

    (void)state;
    for (int i = 0; i < EVENTS; i++)
        put(&m, event, sizeof(event)); /* of the SHA-1 form: PCR 0, EV_PREBOOT_CERT, no data */
    put(&m, "\1", 1);
    put(&m, event, sizeof(event) - 1);
    bytes = made(&m);
    start = clock();
    assert_int_equal(eventlog_open(&log, bytes, false, NULL), BAWN_OK);
    assert_int_equal(log.nr_events, EVENTS + 1);
    assert_true(clock() - start < 4 * CLOCKS_PER_SEC);
    unload(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone),          cmocka_unit_test(kernel_cmdline),
        cmocka_unit_test(covered),        cmocka_unit_test(mismatch),
        cmocka_unit_test(partly_covered), cmocka_unit_test(given_values),
        cmocka_unit_test(stripped),       cmocka_unit_test(other_bank),
        cmocka_unit_test(ccel),           cmocka_unit_test(table_is_no_log),
        cmocka_unit_test(unparsable),     cmocka_unit_test(endorsements),
        cmocka_unit_test(whole_evidence), cmocka_unit_test(log_alone),
        cmocka_unit_test(flipped),        cmocka_unit_test(many_events),
        cmocka_unit_test(zero_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
