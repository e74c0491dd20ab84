// SPDX-License-Identifier: Apache-2.0
/*
 * Event logs: the real ones replay to the known values, broken ones are refused.
 */
#include "tests/unit/attest/eventlog_vectors.h"

#include <jansson.h>

#include "attest/lib/codec.h"

static enum bawn_status open_log(struct eventlog *log, struct bawn_bytes bytes, bool cc)
{
    struct bawn_error err = { "" };
    enum bawn_status st = eventlog_open(log, bytes, cc, &err);

    if (st != BAWN_OK)
        assert_int_not_equal(err.msg[0], 0);
    return st;
}

/* ---- The vectors ---- */

static void check_bank(const struct eventlog *log, const char *bank, json_t *registers)
{
    struct eventlog_replay replay;
    enum hash_alg alg = HASH_NONE;
    struct bawn_error err;
    const char *key;
    json_t *value;
    uint32_t seen = 0;

    for (enum hash_alg a = HASH_SHA1; a < HASH_ALGS; a++) {
        if (!strcmp(hash_name(a), bank))
            alg = a;
    }
    assert_int_not_equal(alg, HASH_NONE);
    assert_int_equal(eventlog_replay(log, alg, &replay, &err), BAWN_OK);
    json_object_foreach(registers, key, value)
    {
        unsigned n = (unsigned)atoi(key);
        uint8_t want[HASH_MAX];

        assert_true(n < EVENTLOG_REGISTERS);
        from_hex(json_string_value(value), want, hash_size(alg));
        if (memcmp(want, replay.value[n], hash_size(alg)) != 0)
            fail_msg("register %u of bank %s differs", n, bank);
        seen |= 1u << n;
    }
    assert_int_equal(seen, replay.extended);
}

static void check_vector(json_t *entry)
{
    const char *file = json_string_value(json_object_get(entry, "file"));
    bool want_cc = json_is_true(json_object_get(entry, "cc")), cc = !want_cc;
    json_t *registers = json_object_get(entry, "registers"), *bank;
    struct eventlog log;
    struct bawn_bytes bytes;
    const char *name;
    char path[128];
    unsigned banks = 0;

    print_message("%s\n", file);
    snprintf(path, sizeof(path), "eventlog/%s", file);
    bytes = load(path);
    if (json_is_true(json_object_get(entry, "refused"))) {
        assert_int_equal(open_log(&log, bytes, false), BAWN_E_FORMAT);
        assert_int_equal(open_log(&log, bytes, true), BAWN_E_FORMAT);
        unload(bytes);
        return;
    }
    assert_true(eventlog_recognise(bytes, &cc));
    assert_int_equal(cc, want_cc);
    assert_int_equal(open_log(&log, bytes, cc), BAWN_OK);
    assert_int_equal(log.nr_events, json_integer_value(json_object_get(entry, "events")));
    assert_int_equal(log.padding, json_integer_value(json_object_get(entry, "padding")));
    assert_int_equal(log.bytes.len + log.padding, bytes.len);
    json_object_foreach(registers, name, bank)
    {
        check_bank(&log, name, bank);
        banks++;
    }
    assert_int_equal(banks, log.nr_algs);
    assert_false(eventlog_has_bank(&log, HASH_SHA512));
    unload(bytes);
}

static void vectors(void **state)
{
    json_error_t error;
    json_t *root = json_load_file(VECTORS "eventlog/expected.json", 0, &error), *entry;
    size_t i;

    (void)state;
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "logs")), 18);
    json_array_foreach(json_object_get(root, "logs"), i, entry) check_vector(entry);
    json_decref(root);
}

/* A log of the SHA-1 form with the PCRs of the machine beside it. */
static void windows(void **state)
{
    json_error_t error;
    json_t *root = json_load_file(VECTORS "tpm/windows_gcp_shielded_vm.json", 0, &error);
    json_t *log_json = json_object_get(root, "Log"), *pcr;
    const char *raw = json_string_value(json_object_get(log_json, "Raw"));
    struct arena a = { 0 };
    struct eventlog_replay replay;
    struct bawn_bytes bytes, digest;
    struct eventlog log;
    struct bawn_error err;
    bool cc;
    size_t i;

    (void)state;
    assert_non_null(raw);
    assert_true(
        base64_decode(&a, (struct bawn_bytes){ (const uint8_t *)raw, strlen(raw) }, &bytes));
    assert_true(eventlog_recognise(bytes, &cc));
    assert_false(cc);
    assert_int_equal(open_log(&log, bytes, false), BAWN_OK);
    assert_false(log.agile);
    assert_int_equal(eventlog_replay(&log, HASH_SHA256, &replay, &err), BAWN_E_UNSUPPORTED);
    assert_int_equal(eventlog_replay(&log, HASH_SHA1, &replay, &err), BAWN_OK);
    assert_int_equal(replay.extended, 0x78b1);
    assert_int_equal(json_array_size(json_object_get(log_json, "PCRs")), 24);
    json_array_foreach(json_object_get(log_json, "PCRs"), i, pcr)
    {
        const char *text = json_string_value(json_object_get(pcr, "Digest"));
        size_t n = (size_t)json_integer_value(json_object_get(pcr, "Index"));

        assert_true(
            base64_decode(&a, (struct bawn_bytes){ (const uint8_t *)text, strlen(text) }, &digest));
        assert_int_equal(digest.len, 20);
        assert_memory_equal(digest.data, replay.value[n], 20);
    }
    arena_free(&a);
    json_decref(root);
}

static void ccel_table(void **state)
{
    struct bawn_bytes table = load("eventlog/ccel_table.dat");
    uint64_t address, size;
    bool cc;

    (void)state;
    assert_true(eventlog_ccel_table(table, &address, &size));
    assert_int_equal(size, 0x40000);
    assert_int_equal(address, 0xbedbf000);
    assert_true(eventlog_recognise(table, &cc));
    assert_true(cc);
    table.len--;
    assert_false(eventlog_ccel_table(table, &address, &size));
    assert_false(eventlog_recognise(table, &cc));
    unload(table);
}

/* What is no log is not taken for one, whatever else of the evidence it is. */
static void not_logs(void **state)
{
    static const char *const files[] = {
        "eventlog/binary_bios_measurements-bogus",
        "eventlog/binary_bios_measurements-empty",
        "eventlog/cos-113-tdx-quote.dat",
        "tpm/akpub.pem",
        "tpm/quote.out",
        "tpm/quotepcr.out",
        "tpm/quotesig.out",
        "tpm/tpm_evidence.json",
        "tpm/gce-cos-85-no-nonce.pb",
        "tpm/windows_gcp_shielded_vm.json",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct bawn_bytes bytes = load(files[i]);
        bool cc;

        if (eventlog_recognise(bytes, &cc))
            fail_msg("%s is taken for an event log", files[i]);
        unload(bytes);
    }
}

/* What tells a CC log from a TPM's with SHA-384 alone. */
static void which_log(void **state)
{
    static const struct {
        uint16_t alg, size;
        uint32_t header, index; /* index 99: no event */
        bool cc;
    } cases[] = {
        { 0x0c, 48, 1, 2, true },  { 0x0c, 48, 0, 2, true },   { 0x0c, 48, 1, 0, true },
        { 0x0c, 48, 1, 5, false }, { 0x0c, 48, 0, 0, false },  { 0x0c, 48, 0, 7, false },
        { 0x0c, 48, 1, 99, true }, { 0x0c, 48, 0, 99, false }, { 0x0b, 32, 1, 2, false },
    };
    static const uint8_t digest[48] = { 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint16_t algs[][2] = { { cases[i].alg, cases[i].size } };
        struct maker m = { 0 };
        struct bawn_bytes bytes;
        bool cc = !cases[i].cc;

        put_spec_id(&m, algs, 1, cases[i].header);
        if (cases[i].index != 99) {
            put_le(&m, cases[i].index, 4);
            put_le(&m, EV_SEPARATOR, 4);
            put_le(&m, 1, 4);
            put_le(&m, cases[i].alg, 2);
            put(&m, digest, cases[i].size);
            put_le(&m, 0, 4);
        }
        bytes = made(&m);
        assert_true(eventlog_recognise(bytes, &cc));
        if (cc != cases[i].cc)
            fail_msg("case %zu", i);
        unload(bytes);
    }
}

/* The old form says its version too. */
static void old_spec_id(void **state)
{
    static const uint8_t zero[20];
    struct maker m = { 0 };
    struct bawn_bytes bytes;
    struct eventlog log;
    bool cc;

    (void)state;
    put_le(&m, 0, 4);
    put_le(&m, EV_NO_ACTION, 4);
    put(&m, zero, sizeof(zero));
    put_le(&m, 25, 4);
    put(&m,
        "Spec ID Event02\0"
        "\0\0\0\0"
        "\2\1\3\2\0",
        25);
    put_le(&m, 7, 4);
    put_le(&m, EV_SEPARATOR, 4);
    put(&m, zero, sizeof(zero));
    put_le(&m, 0, 4);
    bytes = made(&m);
    assert_true(eventlog_recognise(bytes, &cc));
    assert_false(cc);
    assert_int_equal(open_log(&log, bytes, false), BAWN_OK);
    assert_false(log.agile);
    assert_true(log.has_version);
    assert_int_equal(log.major, 1);
    assert_int_equal(log.minor, 2);
    assert_int_equal(log.errata, 3);
    assert_int_equal(log.nr_events, 2);
    assert_int_equal(log.padding, 0);
    unload(bytes);
}

/* ---- Rules of replay ---- */

static void replay_pcr0(struct bawn_bytes bytes, uint8_t *out)
{
    struct eventlog_replay replay;
    struct eventlog log;
    struct bawn_error err;

    assert_int_equal(open_log(&log, bytes, false), BAWN_OK);
    assert_int_equal(eventlog_replay(&log, HASH_SHA256, &replay, &err), BAWN_OK);
    memcpy(out, replay.value[0], 32);
}

/* PCR 0 from its initial value with these digests; independent of the code under test. */
static void pcr0_of(uint8_t initial, const uint8_t *digests, size_t n, uint8_t *out)
{
    uint8_t step[64] = { 0 };

    step[31] = initial;
    for (size_t i = 0; i < n; i++) {
        memcpy(step + 32, digests + 32 * i, 32);
        assert_true(hash_bytes(HASH_SHA256, step, 64, out));
        memcpy(step, out, 32);
    }
}

static void startup(void **state)
{
    static const struct {
        bool event, hcrtm, hcrtm_late;
        uint8_t locality, initial;
    } cases[] = {
        { false, false, false, 0, 0 }, { true, false, false, 0, 0 }, { true, false, false, 3, 3 },
        { true, true, false, 4, 4 },   { false, true, false, 0, 4 }, { true, true, false, 3, 4 },
        { true, false, true, 3, 3 },
    };
    uint8_t digests[3 * 32], want[32], got[32];

    (void)state;
    for (size_t i = 0; i < sizeof(digests); i++)
        digests[i] = (uint8_t)(i / 32 + 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maker m = { 0 };
        struct bawn_bytes bytes;
        char text[18] = "StartupLocality";

        text[16] = (char)cases[i].locality;
        put_sha256_header(&m);
        if (cases[i].event)
            put_event(&m, 0, EV_NO_ACTION, NULL, text, 17);
        put_event(&m, 0, cases[i].hcrtm ? EV_EFI_HCRTM_EVENT : EV_POST_CODE, digests, "HCRTM", 5);
        put_event(&m, 0, cases[i].hcrtm_late ? EV_EFI_HCRTM_EVENT : EV_POST_CODE, digests + 32, "x",
                  1);
        put_event(&m, 0, EV_POST_CODE, digests + 64, "x", 1);
        bytes = made(&m);
        replay_pcr0(bytes, got);
        pcr0_of(cases[i].initial, digests, 3, want);
        assert_memory_equal(got, want, 32);
        unload(bytes);
    }
}

static void bad_startup(void **state)
{
    struct eventlog log;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct maker m = { 0 };
        struct bawn_bytes bytes;
        char text[18] = "StartupLocality";

        text[16] = i == 0 ? 3 : i == 1 ? 5 : 1;
        put_sha256_header(&m);
        put_event(&m, 0, EV_NO_ACTION, NULL, text, 17);
        if (i == 0)
            put_event(&m, 0, EV_NO_ACTION, NULL, text, 17);
        bytes = made(&m);
        assert_int_equal(open_log(&log, bytes, false), BAWN_E_FORMAT);
        unload(bytes);
    }
}

/* PCRs of dynamic launch start as ones; what is not extended keeps its initial value. */
static void initial_values(void **state)
{
    uint8_t step[64], want[32];
    struct eventlog_replay replay;
    struct maker m = { 0 };
    struct bawn_bytes bytes;
    struct eventlog log;
    struct bawn_error err;

    (void)state;
    put_sha256_header(&m);
    put_event(&m, 17, EV_COMPACT_HASH, NULL, "abc", 3);
    bytes = made(&m);
    assert_int_equal(open_log(&log, bytes, false), BAWN_OK);
    assert_int_equal(eventlog_replay(&log, HASH_SHA256, &replay, &err), BAWN_OK);
    assert_int_equal(replay.extended, 1u << 17);
    memset(step, 0xff, 32);
    assert_true(hash_bytes(HASH_SHA256, "abc", 3, step + 32));
    assert_true(hash_bytes(HASH_SHA256, step, 64, want));
    assert_memory_equal(replay.value[17], want, 32);
    for (unsigned n = 0; n < EVENTLOG_REGISTERS; n++) {
        uint8_t fill[32];

        memset(fill, n >= 17 && n <= 22 ? 0xff : 0, sizeof(fill));
        if (n != 17)
            assert_memory_equal(replay.value[n], fill, 32);
    }
    unload(bytes);
}

/* An event without a digest of the bank makes that bank unknown, and no other. */
static void missing_digest(void **state)
{
    static const uint16_t algs[][2] = { { 0x0004, 20 }, { 0x000b, 32 } };
    struct eventlog_replay replay;
    struct maker m = { 0 };
    struct bawn_bytes bytes;
    struct eventlog log;
    struct bawn_error err;

    (void)state;
    put_spec_id(&m, algs, 2, 0);
    put_event(&m, 4, EV_EFI_ACTION, NULL, "abc", 3);
    bytes = made(&m);
    assert_int_equal(open_log(&log, bytes, false), BAWN_OK);
    assert_int_equal(eventlog_replay(&log, HASH_SHA256, &replay, &err), BAWN_OK);
    assert_int_equal(eventlog_replay(&log, HASH_SHA1, &replay, &err), BAWN_E_FORMAT);
    assert_int_equal(eventlog_replay(&log, HASH_NONE, &replay, &err), BAWN_E_UNSUPPORTED);
    unload(bytes);
}

/* ---- Hostile logs ---- */

static enum bawn_status open_made(struct maker *m)
{
    struct bawn_bytes bytes = made(m);
    struct eventlog log;
    enum bawn_status st;
    bool cc;

    st = open_log(&log, bytes, false);
    eventlog_recognise(bytes, &cc);
    unload(bytes);
    return st;
}

static void algorithm_tables(void **state)
{
    static const struct {
        uint16_t algs[2][2];
        uint32_t n;
        enum bawn_status st;
    } cases[] = {
        { { { 0x0b, 32 }, { 0x0c, 48 } }, 2, BAWN_OK },
        { { { 0x0b, 32 }, { 0x12, 32 } }, 2, BAWN_OK },  /* SM3 */
        { { { 0x0b, 32 }, { 0x7777, 5 } }, 2, BAWN_OK }, /* unknown: skipped by its size */
        { { { 0x0b, 20 }, { 0x0c, 48 } }, 2, BAWN_E_FORMAT },
        { { { 0x0b, 32 }, { 0x0c, 47 } }, 2, BAWN_E_FORMAT },
        { { { 0x0b, 32 }, { 0x12, 33 } }, 2, BAWN_E_FORMAT },
        { { { 0x0b, 32 }, { 0x0b, 32 } }, 2, BAWN_E_FORMAT },
        { { { 0x0b, 32 }, { 0x7777, 0 } }, 2, BAWN_E_FORMAT },
        { { { 0x0b, 32 }, { 0x7777, 0xffff } }, 2, BAWN_E_FORMAT },
        { { { 0x0b, 32 }, { 0 } }, 0, BAWN_E_FORMAT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maker m = { 0 };

        put_spec_id(&m, cases[i].algs, cases[i].n, 0);
        if (open_made(&m) != cases[i].st)
            fail_msg("algorithm table %zu", i);
    }
}

static void unknown_algorithm(void **state)
{
    static const uint16_t algs[][2] = { { 0x7777, 5 }, { 0x000b, 32 } };
    uint8_t digest[32] = { 7 };
    struct maker m = { 0 };
    struct eventlog_event ev = { 0 };
    struct bawn_cursor at;
    struct bawn_bytes bytes, got;
    struct eventlog log;

    (void)state;
    put_spec_id(&m, algs, 2, 0);
    put_le(&m, 3, 4);
    put_le(&m, EV_ACTION, 4);
    put_le(&m, 2, 4);
    put_le(&m, 0x7777, 2);
    put(&m, "12345", 5);
    put_le(&m, 0x000b, 2);
    put(&m, digest, 32);
    put_le(&m, 2, 4);
    put(&m, "hi", 2);
    bytes = made(&m);
    assert_int_equal(open_log(&log, bytes, false), BAWN_OK);
    at = eventlog_start(&log);
    assert_true(eventlog_next(&log, &at, &ev));
    assert_int_equal(ev.type, EV_NO_ACTION);
    assert_int_equal(ev.number, 0);
    assert_true(eventlog_next(&log, &at, &ev));
    assert_int_equal(ev.number, 1);
    assert_int_equal(ev.data.len, 2);
    got = eventlog_digest(&log, &ev, HASH_SHA256);
    assert_int_equal(got.len, 32);
    assert_memory_equal(got.data, digest, 32);
    assert_int_equal(eventlog_digest(&log, &ev, HASH_SHA1).len, 0);
    assert_int_equal(eventlog_digest(&log, &ev, HASH_NONE).len, 0);
    assert_false(eventlog_next(&log, &at, &ev));
    unload(bytes);
}

/* One event after the header, in parts that are each made wrong. */
static void bad_events(void **state)
{
    static const struct {
        uint32_t index, type, count;
        uint16_t alg;
        uint32_t size; /* as written; the data is 4 bytes */
        enum bawn_status st;
    } cases[] = {
        { 23, EV_ACTION, 1, 0x0b, 4, BAWN_OK },
        { 24, EV_ACTION, 1, 0x0b, 4, BAWN_E_FORMAT },
        { 0xffffffff, EV_NO_ACTION, 1, 0x0b, 4, BAWN_OK },
        { 0xffffffff, EV_ACTION, 1, 0x0b, 4, BAWN_E_FORMAT },
        { 0, EV_ACTION, 0, 0x0b, 4, BAWN_E_FORMAT },
        { 0, EV_ACTION, 2, 0x0b, 4, BAWN_E_FORMAT },
        { 0, EV_ACTION, 0xffffffff, 0x0b, 4, BAWN_E_FORMAT },
        { 0, EV_ACTION, 1, 0x0c, 4, BAWN_E_FORMAT },
        { 0, EV_ACTION, 1, 0x0b, 5, BAWN_E_FORMAT },
        { 0, EV_ACTION, 1, 0x0b, 3, BAWN_E_FORMAT },
        { 0, EV_ACTION, 1, 0x0b, 0xffffffff, BAWN_E_FORMAT },
        { 0, EV_ACTION, 1, 0x0b, 0xfffffffc, BAWN_E_FORMAT },
    };
    static const uint8_t digest[32] = { 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maker m = { 0 };

        put_sha256_header(&m);
        put_le(&m, cases[i].index, 4);
        put_le(&m, cases[i].type, 4);
        put_le(&m, cases[i].count, 4);
        put_le(&m, cases[i].alg, 2);
        put(&m, digest, 32);
        put_le(&m, cases[i].size, 4);
        put(&m, "abcd", 4);
        if (open_made(&m) != cases[i].st)
            fail_msg("event %zu", i);
    }
}

static void two_digests_of_one_algorithm(void **state)
{
    static const uint16_t algs[][2] = { { 0x0004, 20 }, { 0x000b, 32 } };
    static const uint8_t digest[32] = { 1 };

    (void)state;
    for (uint16_t second = 0x04; second <= 0x0b; second += 7) {
        struct maker m = { 0 };

        put_spec_id(&m, algs, 2, 0);
        put_le(&m, 0, 4);
        put_le(&m, EV_ACTION, 4);
        put_le(&m, 2, 4);
        put_le(&m, 0x000b, 2);
        put(&m, digest, 32);
        put_le(&m, second, 2);
        put(&m, digest, second == 4 ? 20 : 32);
        put_le(&m, 0, 4);
        assert_int_equal(open_made(&m), second == 4 ? BAWN_OK : BAWN_E_FORMAT);
    }
}

static void padding(void **state)
{
    static const struct {
        uint8_t fill[3];
        size_t n;
        enum bawn_status st;
    } cases[] = {
        { { 0, 0, 0 }, 3, BAWN_OK },
        { { 0xff, 0xff, 0xff }, 3, BAWN_OK },
        { { 0, 0, 0xff }, 3, BAWN_E_FORMAT },
        { { 0xff, 0xff, 0 }, 3, BAWN_E_FORMAT },
        { { 0x20, 0x20, 0x20 }, 3, BAWN_E_FORMAT },
        { { 0, 0, 1 }, 3, BAWN_E_FORMAT },
        { { 0 }, 1, BAWN_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maker m = { 0 };
        uint8_t area[100];

        put_sha256_header(&m);
        put_event(&m, 7, EV_SEPARATOR, NULL, "\0\0\0", 4);
        memset(area, cases[i].fill[0], sizeof(area));
        put(&m, area, cases[i].n > 1 ? sizeof(area) : 0);
        put(&m, cases[i].fill, cases[i].n);
        if (open_made(&m) != cases[i].st)
            fail_msg("padding %zu", i);
    }
    for (int fill = 0; fill <= 0xff; fill += 0xff) {
        struct maker m = { 0 };
        uint8_t area[64];

        memset(area, fill, sizeof(area));
        put(&m, area, sizeof(area));
        assert_int_equal(open_made(&m), BAWN_E_FORMAT); /* padding alone is no log */
    }
}

/* A header that is not the Spec ID event, or has something after it. */
static void bad_headers(void **state)
{
    struct bawn_bytes real = load("eventlog/cos-85-amd-sev.bin");
    static const size_t header = 32 + 41;
    struct eventlog log;
    uint8_t *b = writable(real);

    (void)state;
    assert_int_equal(open_log(&log, real, true), BAWN_E_FORMAT); /* PCRs above 4 */
    b[8] = 1;                                                    /* its digest is not zero */
    assert_int_equal(open_log(&log, real, false), BAWN_E_FORMAT);
    b[8] = 0;
    b[header - 1] = 1; /* vendorInfo beyond the event */
    assert_int_equal(open_log(&log, real, false), BAWN_E_FORMAT);
    b[header - 1] = 0;
    b[32 + 24] = 2; /* fewer algorithms than are there */
    assert_int_equal(open_log(&log, real, false), BAWN_E_FORMAT);
    b[32 + 24] = 4;
    assert_int_equal(open_log(&log, real, false), BAWN_E_FORMAT);
    b[32 + 27] = 0x80;
    assert_int_equal(open_log(&log, real, false), BAWN_E_FORMAT);
    b[32 + 24] = 3;
    b[32 + 27] = 0;
    assert_int_equal(open_log(&log, real, false), BAWN_OK);
    unload(real);
}

/* Cut anywhere: refused, or (between two events) a shorter log. */
static void cut(const char *file, size_t step, bool cc)
{
    struct bawn_bytes whole = load(file);
    struct eventlog log;
    size_t events, at_boundary = 0;

    assert_int_equal(open_log(&log, whole, cc), BAWN_OK);
    events = log.nr_events;
    whole.len = log.bytes.len;
    for (size_t len = 0; len < whole.len; len += step) {
        uint8_t *copy = malloc(len + !len);
        struct bawn_bytes part = { copy, len };
        bool is_cc;

        assert_non_null(copy);
        memcpy(copy, whole.data, len);
        eventlog_recognise(part, &is_cc);
        if (open_log(&log, part, cc) == BAWN_OK) {
            assert_true(log.nr_events < events);
            assert_true(log.padding <= 4); /* a PCR index of zero that was left */
            at_boundary++;
        }
        free(copy);
    }
    if (step == 1)
        assert_true(at_boundary >= events - 1);
    unload(whole);
}

static void truncated(void **state)
{
    (void)state;
    cut("eventlog/debian-10.bin", 1, false);
    cut("eventlog/glinux-alex.bin", 1, false);
    cut("eventlog/ccel_data.dat", 1, true);
    cut("eventlog/gdc-host.bin", 31, false);
    cut("eventlog/ubuntu-2404-amd-sevsnp.bin", 37, false);
}

/* Each bit flipped in a digest or a register's index changes the replay, or the log is refused. */
static void flipped(void **state)
{
    struct bawn_bytes bytes = load("eventlog/cos-85-amd-sev.bin");
    struct eventlog_replay good, bad;
    struct eventlog_event ev = { 0 };
    struct eventlog log, copy;
    struct bawn_cursor at;
    struct bawn_error err;
    unsigned flips = 0;

    (void)state;
    assert_int_equal(open_log(&log, bytes, false), BAWN_OK);
    assert_int_equal(eventlog_replay(&log, HASH_SHA256, &good, &err), BAWN_OK);
    at = eventlog_start(&log);
    while (eventlog_next(&log, &at, &ev)) {
        struct bawn_bytes digest = eventlog_digest(&log, &ev, HASH_SHA256);
        size_t from = digest.len ? (size_t)(digest.data - bytes.data) : ev.offset;

        if (ev.type == EV_NO_ACTION)
            continue;
        for (size_t i = 0; i < 36; i++) {
            size_t where = i < 4 ? ev.offset + i : from + i - 4;

            writable(bytes)[where] ^= (uint8_t)(1u << (i % 8));
            if (open_log(&copy, bytes, false) == BAWN_OK &&
                eventlog_replay(&copy, HASH_SHA256, &bad, &err) == BAWN_OK)
                assert_memory_not_equal(&good.value, &bad.value, sizeof(good.value));
            writable(bytes)[where] ^= (uint8_t)(1u << (i % 8));
            flips++;
        }
    }
    assert_int_equal(flips, 36 * (log.nr_events - 1));
    unload(bytes);
}

/* A register above RTMR3 is refused; one for MRTD is a note and extends nothing. */
static void cc_registers(void **state)
{
    static const uint16_t algs[][2] = { { 0x000b, 32 } };

    (void)state;
    for (uint32_t index = 0; index < 6; index++) {
        struct maker m = { 0 };
        struct bawn_bytes bytes;
        struct eventlog log;

        put_spec_id(&m, algs, 1, 1);
        put_event(&m, index, EV_EFI_ACTION, NULL, "abc", 3);
        bytes = made(&m);
        assert_int_equal(open_log(&log, bytes, true), index < 5 ? BAWN_OK : BAWN_E_FORMAT);
        if (index < 5)
            assert_int_equal(log.extended, index ? 1u << index : 0);
        unload(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),          cmocka_unit_test(windows),
        cmocka_unit_test(ccel_table),       cmocka_unit_test(not_logs),
        cmocka_unit_test(which_log),        cmocka_unit_test(old_spec_id),
        cmocka_unit_test(startup),          cmocka_unit_test(bad_startup),
        cmocka_unit_test(initial_values),   cmocka_unit_test(missing_digest),
        cmocka_unit_test(algorithm_tables), cmocka_unit_test(unknown_algorithm),
        cmocka_unit_test(bad_events),       cmocka_unit_test(two_digests_of_one_algorithm),
        cmocka_unit_test(padding),          cmocka_unit_test(bad_headers),
        cmocka_unit_test(truncated),        cmocka_unit_test(flipped),
        cmocka_unit_test(cc_registers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
