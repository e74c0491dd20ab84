// SPDX-License-Identifier: Apache-2.0
/*
 * What is claimed from an event log and what is not: data that is not what was measured, types
 * that are nobody's word, and firmware that says it is in trouble.
 */
#include "tests/unit/attest/eventlog_bench.h"

/* The event with this number: where its data is. */
static size_t data_at(struct bawn_bytes bytes, size_t number)
{
    struct eventlog_event ev = { 0 };
    struct bawn_cursor at;
    struct eventlog log;

    assert_int_equal(eventlog_open(&log, bytes, false, NULL), BAWN_OK);
    at = eventlog_start(&log);
    while (eventlog_next(&log, &at, &ev) && ev.number != number)
        ;
    assert_int_equal(ev.number, number);
    return (size_t)(ev.data.data - bytes.data);
}

static void altered_data(void **state)
{
    struct bawn_bytes log = load("eventlog/ubuntu-2104-no-secure-boot.bin");
    size_t value = data_at(log, 3) + 52; /* of the variable SecureBoot */

    (void)state;
    for (int altered = 0; altered < 2; altered++) {
        const struct bawn_event *events;
        struct bench b;

        writable(log)[value] = (uint8_t)altered;
        begin(&b);
        b.v.ev.event_log = log;
        quote(&b, log, HASH_SHA256, 0xffffff);
        eventlog_verify(&b.v);
        bawn_attest_result_events(b.r, &events);
        assert_int_equal(events[3].digest_is_of_data, !altered);
        assert_int_equal(find(&b, "eventlog.data", BAWN_FINDING_WARNING) != NULL, altered);
        if (altered)
            assert_null(claim(&b, "eventlog.secure_boot"));
        else
            assert_bool(&b, "eventlog.secure_boot", false);
        end(&b);
    }
    unload(log);
}

static void put_variable(struct maker *m, const uint8_t *guid, const char *name, uint8_t value)
{
    put(m, guid, 16);
    put_le(m, strlen(name), 8);
    put_le(m, 1, 8);
    for (; *name; name++)
        put_le(m, (unsigned char)*name, 2);
    put_le(m, value, 1);
}

static void put_secure_boot(struct maker *log, uint32_t pcr, uint8_t value)
{
    struct maker m = { 0 };
    struct bawn_bytes data;

    put_variable(&m, efi_global_guid, "SecureBoot", value);
    data = made(&m);
    put_event(log, pcr, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, data.data, data.len);
    unload(data);
}

/* Only the firmware's measurement counts: before the separator, in PCR 7, without contradiction. */
static void secure_boot_rules(void **state)
{
    static const struct {
        int before, again, after; /* -1: not measured */
        uint32_t pcr;
        int claim;
        bool warned;
    } cases[] = {
        { 1, -1, -1, 7, 1, false },  { 0, -1, -1, 7, 0, false }, { 0, -1, 1, 7, 0, false },
        { -1, -1, 1, 7, -1, false }, { 1, 1, -1, 7, 1, false },  { 0, 1, -1, 7, -1, true },
        { 1, -1, -1, 6, -1, false }, { 2, -1, -1, 7, -1, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maker m = { 0 };
        struct bawn_bytes log;
        struct bench b;

        put_sha256_header(&m);
        if (cases[i].before >= 0)
            put_secure_boot(&m, cases[i].pcr, (uint8_t)cases[i].before);
        if (cases[i].again >= 0)
            put_secure_boot(&m, cases[i].pcr, (uint8_t)cases[i].again);
        put_event(&m, cases[i].pcr, EV_SEPARATOR, NULL, "\0\0\0", 4);
        if (cases[i].after >= 0)
            put_secure_boot(&m, cases[i].pcr, (uint8_t)cases[i].after);
        log = made(&m);
        begin(&b);
        b.v.ev.event_log = log;
        quote(&b, log, HASH_SHA256, 0xffffff);
        eventlog_verify(&b.v);
        assert_true(result_clean(b.r));
        if (cases[i].claim < 0)
            assert_null(claim(&b, "eventlog.secure_boot"));
        else
            assert_bool(&b, "eventlog.secure_boot", cases[i].claim);
        assert_int_equal(find(&b, "eventlog.secure-boot", BAWN_FINDING_WARNING) != NULL,
                         cases[i].warned);
        end(&b);
        unload(log);
    }
}

/* The types in a log are not measured: a system that was booted without secure boot cannot hide
 * the firmware's word and the separator under other types and then measure its own. */
static void secure_boot_relabelled(void **state)
{
    struct maker m = { 0 }, off = { 0 };
    struct bawn_bytes log, data;
    struct bench b;

    (void)state;
    put_variable(&off, efi_global_guid, "SecureBoot", 0);
    data = made(&off);
    put_sha256_header(&m);
    put_event(&m, 7, EV_EVENT_TAG, NULL, data.data, data.len);
    put_event(&m, 7, EV_EVENT_TAG, NULL, "\0\0\0", 4);
    put_secure_boot(&m, 7, 1);
    log = made(&m);
    begin(&b);
    b.v.ev.event_log = log;
    quote(&b, log, HASH_SHA256, 0xffffff);
    eventlog_verify(&b.v);
    assert_null(claim(&b, "eventlog.secure_boot"));
    end(&b);
    unload(log);
    unload(data);
}

/* GRUB's label is not measured: a command relabelled as the kernel's line is not believed. */
static void cmdline_rules(void **state)
{
    static const struct {
        const char *data[2];
        const char *measured[2];
        const char *claim;
        bool warned;
    } cases[] = {
        { { "kernel_cmdline: /vmlinuz a=b" }, { "/vmlinuz a=b" }, "/vmlinuz a=b", false },
        { { "grub_kernel_cmdline (hd0)/k x" }, { "(hd0)/k x" }, "(hd0)/k x", false },
        { { "kernel_cmdline: /vmlinuz a=b" }, { "/vmlinuz a=c" }, NULL, false },
        { { "kernel_cmdline: echo root=evil" }, { "echo root=evil" }, NULL, false },
        { { "grub_cmd: /vmlinuz a=b" }, { "/vmlinuz a=b" }, NULL, false },
        { { "kernel_cmdline: /a", "kernel_cmdline: /a" }, { "/a", "/a" }, "/a", false },
        { { "kernel_cmdline: /a", "kernel_cmdline: /b" }, { "/a", "/b" }, NULL, true },
        { { "kernel_cmdline: /a\x1b[2J" }, { "/a\x1b[2J" }, NULL, true },
        /* The true line under another label or left out, and one that the system measured. */
        { { "grub_cmd: /a evil", "kernel_cmdline: /a" }, { "/a evil", "/a" }, NULL, true },
        { { "grub_cmd: something", "kernel_cmdline: /a" }, { "/a evil", "/a" }, NULL, false },
        { { "grub_cmd: linux /a", "kernel_cmdline: /a" }, { "linux /a", "/a" }, "/a", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maker m = { 0 };
        struct bawn_bytes log;
        struct bench b;

        put_sha256_header(&m);
        for (int j = 0; j < 2 && cases[i].data[j]; j++) {
            uint8_t digest[32];

            assert_true(hash_bytes(HASH_SHA256, cases[i].measured[j], strlen(cases[i].measured[j]),
                                   digest));
            put_event(&m, 8, EV_IPL, digest, cases[i].data[j], strlen(cases[i].data[j]) + 1);
        }
        log = made(&m);
        begin(&b);
        b.v.ev.event_log = log;
        quote(&b, log, HASH_SHA256, 0x100);
        eventlog_verify(&b.v);
        assert_true(result_clean(b.r));
        if (cases[i].claim)
            assert_text(&b, "eventlog.kernel_cmdline", cases[i].claim);
        else
            assert_null(claim(&b, "eventlog.kernel_cmdline"));
        assert_int_equal(find(&b, "eventlog.kernel-cmdline", BAWN_FINDING_WARNING) != NULL,
                         cases[i].warned);
        end(&b);
        unload(log);
    }
}

/* systemd-stub's line, in PCR 12 as UTF-16. */
static void wide_cmdline(void **state)
{
    static const char data[] = "r\0o\0=\0"
                               "1\0\0";
    struct maker m = { 0 };
    struct bawn_bytes log;
    struct bench b;

    (void)state;
    put_sha256_header(&m);
    put_event(&m, 12, EV_IPL, NULL, data, sizeof(data));
    log = made(&m);
    begin(&b);
    b.v.ev.event_log = log;
    quote(&b, log, HASH_SHA256, 1u << 12);
    eventlog_verify(&b.v);
    assert_text(&b, "eventlog.kernel_cmdline", "ro=1");
    end(&b);
    unload(log);
}

static void troubles(void **state)
{
    static const struct {
        uint32_t type;
        const char *measured;
        size_t len;
        bool warned;
    } cases[] = {
        { EV_SEPARATOR, "\1\0\0\0", 4, true },
        { EV_SEPARATOR, "\0\0\0\0", 4, false },
        { EV_SEPARATOR, "\xff\xff\xff\xff", 4, false },
        { EV_EFI_ACTION, "UEFI Debug Mode", 15, true },
        { EV_POST_CODE, "UEFI Debug Mode", 15, true }, /* relabelled to hide it */
        { EV_EFI_ACTION, "DMA Protection Disabled", 23, true },
        { EV_EFI_VARIABLE_BOOT, "\1\0\0\0", 4, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int hidden = 0; hidden < 2; hidden++) {
            uint8_t digest[32];
            struct maker m = { 0 };
            struct bawn_bytes log;
            struct bench b;

            assert_true(hash_bytes(HASH_SHA256, cases[i].measured, cases[i].len, digest));
            put_sha256_header(&m);
            put_event(&m, 7, cases[i].type, digest, hidden ? "error" : cases[i].measured,
                      hidden ? 5 : cases[i].len);
            log = made(&m);
            begin(&b);
            b.v.ev.event_log = log;
            quote(&b, log, HASH_SHA256, 0xff);
            eventlog_verify(&b.v);
            if ((find(&b, "eventlog.firmware-state", BAWN_FINDING_WARNING) != NULL) !=
                cases[i].warned)
                fail_msg("case %zu", i);
            end(&b);
            unload(log);
        }
    }
}

/* Which logs of real machines have data that is not what was measured, or trouble. */
static void real_warnings(void **state)
{
    static const struct {
        const char *file;
        bool data, trouble;
    } logs[] = {
        { "eventlog/binary_bios_measurements", false, false },
        { "eventlog/binary_bios_measurements-secureboot", false, false },
        { "eventlog/cos-101-amd-sev.bin", false, false },
        { "eventlog/cos-85-amd-sev.bin", false, false },
        { "eventlog/cos-93-amd-sev.bin", false, false },
        { "eventlog/debian-10.bin", false, false },
        { "eventlog/eventlogwithsp800155.bin", false, false },
        { "eventlog/gdc-host.bin", true, true }, /* its S-CRTM version; no DMA protection */
        { "eventlog/glinux-alex.bin", false, false },
        { "eventlog/rhel8-uefi.bin", false, false },
        { "eventlog/ubuntu-1804-amd-sev.bin", false, false },
        { "eventlog/ubuntu-2104-no-dbx.bin", false, false },
        { "eventlog/ubuntu-2104-no-secure-boot.bin", false, false },
        { "eventlog/ubuntu-2404-amd-sevsnp.bin", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        struct bawn_bytes log = load(logs[i].file);
        struct bench b;

        begin(&b);
        b.v.ev.event_log = log;
        eventlog_verify(&b.v);
        if ((find(&b, "eventlog.data", BAWN_FINDING_WARNING) != NULL) != logs[i].data ||
            (find(&b, "eventlog.firmware-state", BAWN_FINDING_WARNING) != NULL) != logs[i].trouble)
            fail_msg("%s", logs[i].file);
        assert_non_null(claim(&b, "eventlog.secure_boot"));
        end(&b);
        unload(log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(altered_data),
        cmocka_unit_test(secure_boot_rules),
        cmocka_unit_test(cmdline_rules),
        cmocka_unit_test(wide_cmdline),
        cmocka_unit_test(troubles),
        cmocka_unit_test(real_warnings),
        cmocka_unit_test(secure_boot_relabelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
