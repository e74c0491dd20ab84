// SPDX-License-Identifier: Apache-2.0
/*
 * The data of events: what real ones say, and that broken structures are bounded.
 */
#include "tests/unit/attest/eventlog_vectors.h"

/* What a person is shown of data of that type, given in memory of exactly its size. */
static const char *shown(struct arena *a, uint32_t type, const void *data, size_t len)
{
    uint8_t *copy = malloc(len + !len);
    struct eventlog_event ev = { .type = type, .data = { copy, len } };
    const char *text;

    assert_non_null(copy);
    if (len)
        memcpy(copy, data, len);
    text = event_describe(a, &ev);
    assert_non_null(text);
    assert_true(strlen(text) < 512);
    for (const char *p = text; *p; p++)
        assert_true(*p >= ' ' && *p < 0x7f);
    free(copy);
    return text;
}

static void check_shown(uint32_t type, const void *data, size_t len, const char *want)
{
    struct arena a = { 0 };

    assert_string_equal(shown(&a, type, data, len), want);
    arena_free(&a);
}

/* ---- Real events ---- */

static void real_events(void **state)
{
    static const struct {
        const char *file;
        size_t number;
        const char *text;
    } cases[] = {
        { "binary_bios_measurements", 1, "startup locality 3" },
        { "binary_bios_measurements", 4, "22992 bytes at 0xfff00000" },
        { "binary_bios_measurements", 16,
          "dbx (image security), 23956 bytes: 2 certificates, 458 SHA-256 hashes" },
        { "binary_bios_measurements", 17, "separator" },
        { "binary_bios_measurements", 28,
          "Boot0000 (global), 118 bytes: \"Fedora\" attributes 0x1 "
          "HD(1,GPT,b8f6bee9-bc10-4c72-b34a-6db8fd8f772c,0x800,0x80000)/"
          "\\EFI\\fedora\\shimx64.efi" },
        { "binary_bios_measurements", 49,
          "1 configuration tables: f2fd1544-9794-4a2c-992e-e5bbcf20e394 at 0x8fcb0000" },
        { "binary_bios_measurements", 52,
          "image of 949424 bytes at 0x897ab018 from PciRoot(0x0)/Pci(0x6,0x0)/Pci(0x0,0x0)/"
          "NVMe(0x1,002538b221d13750)/HD(1,GPT,b8f6bee9-bc10-4c72-b34a-6db8fd8f772c,0x800,0x80000)/"
          "\\EFI\\fedora\\shimx64.efi" },
        { "binary_bios_measurements", 55,
          "SbatLevel (605dab50-e046-4300-abb6-3dd810dd8b23), 18 bytes: sbat,1,2021030218\\n" },
        { "binary_bios_measurements", 51,
          "GPT of disk 79ac79fb-f286-4728-8e0d-68114f67364a, 3 partitions: "
          "b8f6bee9-bc10-4c72-b34a-6db8fd8f772c EFI System Partition, "
          "7452f29b-9375-4f2c-b5d4-83953209b089 , b0acfea3-1f4e-4296-8f73-869a68926849 " },
        { "ccel_data.dat", 1,
          "TdxTable: 1 configuration tables: 93bb96af-b9f2-4eb8-9462-e0ba74564236 at 0x809000" },
        { "ccel_data.dat", 2,
          "Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0): 131072 bytes at 0xffe00000" },
        { "ccel_data.dat", 12, "BootOrder (global), 4 bytes: Boot0001 Boot0000" },
        { "eventlogwithsp800155.bin", 2,
          "SP800-155 Event3: vendor 0x2b79, reference manifest "
          "a00597d0-4c5e-4738-8032-6f958ca92fad,"
          " platform Google, Inc., model Google Compute Engine, firmware by Google, Inc., firmware"
          " version 2.7, at https://storage.googleapis.com/gce_tcb_integrity/ovmf_x64_csm/"
          "ed6ebf6065569c5ec4c313a62c600f9ed9d3616611c7995784a583794c6faee081190b6564a915952204d63d"
          "57"
          "df2250.fd.signed" },
        { "eventlogwithsp800155.bin", 25,
          "db (image security), 1069 bytes: certificate of UEFI DB Key v20250203, owner "
          "d281fad2-8d88-47a4-9792-5baa47bb1b89" },
        { "ubuntu-2404-amd-sevsnp.bin", 2,
          "GCE NonHostInfo, confidential technology 4 (AMD SEV-SNP)" },
        { "cos-85-amd-sev.bin", 23, "image of 0 bytes at 0x0, malformed device path" },
    };
    struct arena a = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct eventlog_event ev = { 0 };
        struct bawn_bytes bytes;
        struct bawn_cursor at;
        struct eventlog log;
        char path[64];

        snprintf(path, sizeof(path), "eventlog/%s", cases[i].file);
        bytes = load(path);
        assert_int_equal(eventlog_open(&log, bytes, false, NULL), BAWN_OK);
        at = eventlog_start(&log);
        while (eventlog_next(&log, &at, &ev) && ev.number != cases[i].number)
            ;
        assert_string_equal(event_describe(&a, &ev), cases[i].text);
        unload(bytes);
    }
    arena_free(&a);
}

static void linux_tags(void **state)
{
    (void)state;
    check_shown(EV_EVENT_TAG, "\xec\x22\x3b\x8f\x0d\0\0\0Linux initrd", 21,
                "tag 0x8f3b22ec (Linux initrd): Linux initrd");
    check_shown(EV_EVENT_TAG, "\xed\x22\x3b\x8f\x02\0\0\0hi", 10,
                "tag 0x8f3b22ed (Linux load options): hi");
    check_shown(EV_EVENT_TAG, "\xed\x22\x3b\x8f\x03\0\0\0hi", 10,
                "malformed tagged event: ed223b8f030000006869");
    check_shown(EV_EVENT_TAG, "abc", 3, "malformed tagged event: abc");
}

static void separators(void **state)
{
    (void)state;
    check_shown(EV_SEPARATOR, "\0\0\0\0", 4, "separator");
    check_shown(EV_SEPARATOR, "\xff\xff\xff\xff", 4, "separator (0xffffffff)");
    check_shown(EV_SEPARATOR, "WBCL", 4, "separator: WBCL");
    check_shown(EV_SEPARATOR, "\0\0\0", 3, "separator: 000000");
}

/* Control characters, escape sequences and foreign letters never reach a terminal. */
static void text_is_printable(void **state)
{
    (void)state;
    check_shown(EV_ACTION, "a\x1b[31m", 6, "611b5b33316d");
    check_shown(EV_ACTION, "a\nb", 4, "a\\nb");
    check_shown(EV_ACTION, "h\0i\0\0\0", 6, "hi");
    check_shown(EV_ACTION, "h\0\xe9\0", 4, "6800e900");
    check_shown(EV_ACTION, "", 0, "");
    check_shown(EV_ACTION, "\0", 1, "00");
    check_shown(0x12345678, "abc", 4, "abc");
    assert_string_equal(event_type_name(0x12345678), "unknown event type");
    assert_string_equal(event_type_name(EV_EFI_GPT_EVENT), "EV_EFI_GPT_EVENT");
}

static void long_text_is_cut(void **state)
{
    struct arena a = { 0 };
    char data[3000];
    const char *text;

    (void)state;
    memset(data, 'x', sizeof(data));
    text = shown(&a, EV_ACTION, data, sizeof(data));
    assert_int_equal(strlen(text), 511);
    assert_string_equal(text + 508, "...");
    memset(data, 0xee, sizeof(data));
    text = shown(&a, EV_ACTION, data, sizeof(data));
    assert_non_null(strstr(text, "(3000 bytes)"));
    arena_free(&a);
}

/* ---- Variables ---- */

static void variables(void **state)
{
    struct efi_variable var;
    uint8_t data[64] = { 0 };
    struct bawn_bytes bytes = { data, 32 + 4 + 3 };

    (void)state;
    data[16] = 2; /* two characters */
    data[24] = 3; /* bytes */
    data[32] = 'd';
    data[34] = 'b';
    assert_true(efi_variable_parse(bytes, &var));
    assert_int_equal(var.name.len, 4);
    assert_int_equal(var.data.len, 3);
    assert_true(efi_name_is(var.name, "db"));
    assert_false(efi_name_is(var.name, "dbx"));
    assert_false(efi_name_is(var.name, "d"));
    data[35] = 1;
    assert_false(efi_name_is(var.name, "db"));
    for (size_t len = 0; len < 48; len++) {
        uint8_t *copy = malloc(len + 1);
        struct bawn_bytes part = { copy + 1, len };

        assert_non_null(copy);
        memcpy(copy + 1, data, len);
        assert_int_equal(efi_variable_parse(part, &var), len == bytes.len);
        free(copy);
    }
    for (int i = 17; i < 24; i++) { /* lengths that overflow when doubled or added */
        data[i] = 0x80;
        assert_false(efi_variable_parse(bytes, &var));
        data[i] = 0;
    }
    memset(data + 16, 0xff, 16);
    assert_false(efi_variable_parse(bytes, &var));
}

/* A Boot#### variable whose description has no end. */
static void unterminated_name(void **state)
{
    struct maker m = { 0 };
    struct bawn_bytes data;

    (void)state;
    put(&m, efi_global_guid, 16);
    put_le(&m, 8, 8);
    put_le(&m, 12, 8);
    put(&m,
        "B\0o\0o\0t\0"
        "0\0000\0000\0001\0",
        16);
    put_le(&m, 1, 4);
    put_le(&m, 0, 2);
    put(&m, "a\0b\0c\0", 6);
    data = made(&m);
    check_shown(EV_EFI_VARIABLE_BOOT, data.data, data.len,
                "Boot0001 (global), 12 bytes: malformed load option");
    unload(data);
}

/* ---- Signature databases ---- */

static size_t count_signatures(const struct maker *m, bool *failed)
{
    struct efi_siglist list = efi_siglist_start((struct bawn_bytes){ m->data, m->len });
    struct efi_signature s;
    size_t n = 0;

    while (efi_siglist_next(&list, &s)) {
        assert_int_equal(s.owner.len, 16);
        n++;
    }
    *failed = list.lists.failed;
    return n;
}

static void signature_lists(void **state)
{
    static const struct {
        uint32_t list_size, header_size, entry_size;
        size_t n;
        bool failed;
    } cases[] = {
        { 28 + 2 * 48, 0, 48, 2, false },
        { 28 + 4 + 48, 4, 48, 1, false },
        { 28, 0, 48, 0, false },
        { 27, 0, 48, 0, true },
        { 0, 0, 48, 0, true },
        { 28 + 48, 0, 0, 0, true },
        { 28 + 48, 0, 16, 0, true },
        { 28 + 48, 0, 47, 0, true },
        { 28 + 48, 49, 48, 0, true },
        { 28 + 48, 0xffffffff, 48, 0, true },
        { 0xffffffff, 0, 48, 0, true },
        { 28 + 3 * 48, 0, 48, 0, true }, /* more than is there */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const uint8_t body[2 * 48] = { 1 };
        struct maker m = { 0 };
        bool failed;

        put(&m, body, 16);
        put_le(&m, cases[i].list_size, 4);
        put_le(&m, cases[i].header_size, 4);
        put_le(&m, cases[i].entry_size, 4);
        put(&m, body, i == 0 || cases[i].list_size > 1000 ? 96 : i == 1 ? 52 : i == 2 ? 0 : 48);
        if (count_signatures(&m, &failed) != cases[i].n || failed != cases[i].failed)
            fail_msg("signature list %zu", i);
        free(m.data);
    }
}

/* A partition table whose entries are too small, or are not there. */
static void bad_gpt(void **state)
{
    static const struct {
        uint32_t entry_size;
        uint64_t n;
        bool good;
    } cases[] = {
        { 128, 1, true },  { 256, 1, false }, { 127, 1, false },          { 0, 1, false },
        { 128, 2, false }, { 128, 0, true },  { 128, 1ull << 57, false },
    };
    struct arena a = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t data[92 + 8 + 128] = { 0 };

        for (int b = 0; b < 4; b++)
            data[84 + b] = (uint8_t)(cases[i].entry_size >> (8 * b));
        for (int b = 0; b < 8; b++)
            data[92 + b] = (uint8_t)(cases[i].n >> (8 * b));
        assert_int_equal(strncmp(shown(&a, EV_EFI_GPT_EVENT, data, sizeof(data)), "malformed", 9) !=
                             0,
                         cases[i].good);
    }
    arena_free(&a);
}

/* ---- Device paths ---- */

static void check_path(const void *path, size_t len, const char *want)
{
    uint8_t *copy = malloc(len + !len);
    struct event_text t = { .len = 0 };

    assert_non_null(copy);
    memcpy(copy, path, len);
    event_text_device_path(&t, (struct bawn_bytes){ copy, len });
    t.buf[t.len] = '\0';
    assert_string_equal(t.buf, want);
    free(copy);
}

static void device_paths(void **state)
{
    (void)state;
    check_path("\x01\x01\x06\0\x02\x1f\x7f\xff\x04\0", 10, "Pci(0x1f,0x2)");
    check_path("\x03\x12\x0a\0\1\0\xff\xff\0\0\x7f\xff\x04\0", 14, "Sata(0x1,0xffff,0x0)");
    check_path("\x03\x05\x06\0\1\2\x03\x02\x08\0\1\0\2\0", 14, "USB(0x1,0x2)/Scsi(0x1,0x2)");
    check_path("\x01\x01\x06\0\0\1\x7f\x01\x04\0\x01\x01\x06\0\0\2\x7f\xff\x04\0", 20,
               "Pci(0x1,0x0),Pci(0x2,0x0)");
    check_path("\x09\x09\x05\0x\x7f\xff\x04\0", 9, "Path(9,9,1 bytes)");
    check_path("\x04\x04\x08\0a\0b\0", 8, "ab"); /* no terminator, no end node */
    check_path("\x04\x02\x08\0\x05\0\0\0", 8, "CDROM(5)");
    check_path("\x01\x03\x18\0\x02\0\0\0\0\x10\0\0\0\0\0\0\xff\x1f\0\0\0\0\0\0", 24,
               "MemoryMapped(0x2,0x1000,0x1fff)");
    check_path("\x04\x01\x2a\0\x01\0\0\0\0\x08\0\0\0\0\0\0\0\x10\0\0\0\0\0\0"
               "\xde\xad\xbe\xef\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01",
               42, "HD(1,MBR,deadbeef,0x800,0x1000)");
    /* Nodes that do not move on, are cut, or are too short for what they are. */
    check_path("\x01\x01\0\0\x01\x01\0\0", 8, "(malformed device path)");
    check_path("\x01\x01\x03\0\x01\x01", 6, "(malformed device path)");
    check_path("\x01\x01\x06\0\x01", 5, "(malformed device path)");
    check_path("\x01\x01", 2, "(malformed device path)");
    check_path("\x01\x01\xff\xff\x01\x01", 6, "(malformed device path)");
    check_path("\x01\x01\x04\0\x7f\xff\x04\0", 8, "Pci(0x0,0x0)(malformed)");
    check_path("", 0, "");
}

/* Very many smallest nodes: the text is bounded, and so is the walk. */
static void long_device_path(void **state)
{
    enum { NODES = 100000 };
    struct event_text t = { .len = 0 };
    uint8_t *path = calloc(NODES, 4);

    (void)state;
    assert_non_null(path);
    for (size_t i = 0; i < NODES; i++) {
        path[4 * i] = 1;
        path[4 * i + 2] = 4;
    }
    event_text_device_path(&t, (struct bawn_bytes){ path, (size_t)NODES * 4 });
    assert_true(t.cut);
    assert_int_equal(t.len, sizeof(t.buf) - 1);
    free(path);
}

/* ---- What the digest is of ---- */

static void matches(void **state)
{
    static const struct {
        uint32_t type;
        const char *data;
        size_t len;
        size_t head, tail; /* measured: the data without these */
        enum event_match match;
    } cases[] = {
        { EV_ACTION, "abc", 3, 0, 0, EVENT_MATCH },
        { EV_ACTION, "abc\0", 4, 0, 1, EVENT_NO_MATCH },
        { EV_IPL, "abc\0", 4, 0, 0, EVENT_MATCH },
        { EV_IPL, "abc\0", 4, 0, 1, EVENT_MATCH },
        { EV_IPL, "abcd", 4, 0, 1, EVENT_NO_MATCH },
        { EV_IPL, "grub_cmd: ls\0", 13, 10, 1, EVENT_MATCH },
        { EV_IPL, "grub_cmd ls\0", 12, 9, 0, EVENT_MATCH },
        { EV_IPL, "something: ls\0", 14, 11, 1, EVENT_NO_MATCH },
        { EV_EFI_VARIABLE_AUTHORITY, "abcd", 4, 0, 1, EVENT_MATCH },
        { EV_EFI_VARIABLE_AUTHORITY, "abcd", 4, 0, 2, EVENT_NO_MATCH },
        { EV_EFI_VARIABLE_DRIVER_CONFIG, "abcd", 4, 0, 1, EVENT_NO_MATCH },
        { EV_EFI_BOOT_SERVICES_APPLICATION, "abcd", 4, 0, 0, EVENT_NO_MATCH },
        { EV_SEPARATOR, "\0\0\0\0", 4, 0, 0, EVENT_MATCH },
        { EV_SEPARATOR, "\1\0\0\0", 4, 0, 0, EVENT_SIGNALS_ERROR },
        { EV_IPL, "", 0, 0, 0, EVENT_MATCH },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint8_t *data = (const uint8_t *)cases[i].data;
        struct eventlog_event ev = { .type = cases[i].type, .data = { data, cases[i].len } };
        struct bawn_bytes measured;
        uint8_t digest[32];

        assert_true(hash_bytes(HASH_SHA256, data + cases[i].head,
                               cases[i].len - cases[i].head - cases[i].tail, digest));
        if (event_match(&ev, HASH_SHA256, (struct bawn_bytes){ digest, 32 }, &measured) !=
            cases[i].match)
            fail_msg("match %zu", i);
        if (cases[i].match == EVENT_MATCH)
            assert_int_equal(measured.len, cases[i].len - cases[i].head - cases[i].tail);
        else
            assert_int_equal(measured.len, 0);
        digest[31] ^= 1;
        assert_int_equal(
            event_match(&ev, HASH_SHA256, (struct bawn_bytes){ digest, 32 }, &measured),
            EVENT_NO_MATCH);
    }
}

/* Each type's decoder on noise and on nothing much: bounded, printable. */
static void noise(void **state)
{
    static const uint32_t bases[] = { 0, 0x80000000u, 0x800000d0u };
    struct arena a = { 0 };
    uint32_t seed = 1;

    (void)state;
    for (size_t b = 0; b < sizeof(bases) / sizeof(bases[0]); b++) {
        for (uint32_t type = bases[b]; type < bases[b] + 0x16; type++) {
            for (size_t len = 0; len < 200; len += 1 + len / 40) {
                uint8_t data[200];

                for (size_t i = 0; i < len; i++) {
                    seed = seed * 1664525 + 1013904223;
                    data[i] = (seed >> 24) & (seed & 0x300 ? 0x0f : 0xff);
                }
                shown(&a, type, data, len);
                memset(data, len % 2 ? 0xff : 0, sizeof(data));
                shown(&a, type, data, len);
            }
            arena_reset(&a);
        }
    }
    arena_free(&a);
}

/* SP800-155 events cut anywhere. */
static void cut_manifest(void **state)
{
    static const char data[] = "SP800-155 Event3\1\0\0\0"
                               "0123456789abcdef"
                               "\2A\0\2B\0\2C\0\2D\0"
                               "\1\0\0\0\2E\0\1\0\0\0\3\0\0\0u:v";
    struct arena a = { 0 };

    (void)state;
    check_shown(EV_NO_ACTION, data, sizeof(data) - 1,
                "SP800-155 Event3: vendor 0x1, reference manifest "
                "33323130-3534-3736-3839-616263646566, platform A, model B, version C, firmware by "
                "D, firmware version E, at u:v");
    for (size_t len = 0; len < sizeof(data) - 1; len++)
        shown(&a, EV_NO_ACTION, data, len);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_events),
        cmocka_unit_test(linux_tags),
        cmocka_unit_test(separators),
        cmocka_unit_test(text_is_printable),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(variables),
        cmocka_unit_test(unterminated_name),
        cmocka_unit_test(signature_lists),
        cmocka_unit_test(bad_gpt),
        cmocka_unit_test(device_paths),
        cmocka_unit_test(long_device_path),
        cmocka_unit_test(matches),
        cmocka_unit_test(noise),
        cmocka_unit_test(cut_manifest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
