// SPDX-License-Identifier: Apache-2.0
/*
 * SEV-SNP launch digests against those that others computed, and the model against the
 * specification's structure.
 */
#include "tests/unit/attest/measure_fixtures.h"

#include <jansson.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

/* ---- Vectors of sev-snp-measure ---- */

#define UPSTREAM_SNP 19     /* of its 25, those of SEV-SNP */
#define UPSTREAM_FIRMWARE 2 /* those of the firmware alone, two of the 19 */

static void check_upstream_snp(const json_t *in, const char *want)
{
    const char *file = text_of(in, "ovmf_file"), *base = strrchr(file, '/');
    struct bawn_sev_launch launch = { .vmm = BAWN_VMM_QEMU };
    const char *given = text_of(in, "snp_ovmf_hash_str");
    uint8_t digest[BAWN_SNP_DIGEST_SIZE], start[BAWN_SNP_DIGEST_SIZE];
    struct bawn_error err = { "" };
    struct bawn_sev_hashes hashes;
    char path[256];

    snprintf(path, sizeof(path), UPSTREAM "tests/fixtures/%s", base ? base + 1 : file);
    launch.firmware = must_read(path);
    if (!strcmp(text_of(in, "op"), "snp_ovmf_hash")) {
        assert_int_equal(bawn_snp_firmware_digest(launch.firmware, digest, &err), BAWN_OK);
    } else {
        if (json_is_string(json_object_get(in, "kernel"))) {
            assert_string_equal(text_of(in, "kernel"), "/dev/null");
            hashes_of(&hashes, text_of(in, "append"));
            launch.hashes = &hashes;
        }
        if (*given) {
            from_hex(given, start, sizeof(start));
            launch.firmware_digest = start;
        }
        launch.vcpus = (uint32_t)json_integer_value(json_object_get(in, "vcpus"));
        launch.vcpu_signature = (uint32_t)json_integer_value(json_object_get(in, "vcpu_sig"));
        launch.sev_features = (uint64_t)json_integer_value(json_object_get(in, "guest_features"));
        assert_true(bawn_vmm_find(text_of(in, "vmm_type"), &launch.vmm));
        if (bawn_snp_measure(&launch, digest, &err) != BAWN_OK)
            fail_msg("%s", err.msg);
    }
    assert_string_equal(hex_of(digest, sizeof(digest)), want);
    drop(launch.firmware);
}

static void upstream(void **state)
{
    json_t *root = json_load_file(UPSTREAM "launch_digest_vectors.json", 0, NULL), *vector;
    unsigned checked = 0, firmware = 0;
    size_t i;

    (void)state;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        const json_t *in = json_object_get(vector, "input");
        bool alone = !strcmp(text_of(in, "op"), "snp_ovmf_hash");

        if (!alone && strcmp(text_of(in, "mode"), "SEV_SNP") != 0)
            continue;
        check_upstream_snp(in, text_of(vector, "digest"));
        checked++;
        firmware += alone;
    }
    json_decref(root);
    assert_int_equal(checked, UPSTREAM_SNP);
    assert_int_equal(firmware, UPSTREAM_FIRMWARE);
}

/* ---- Vectors for Debian's OVMF ---- */

#define DEBIAN_VECTORS 49

static void debian(void **state)
{
    json_t *root = json_load_file(LAUNCH_VECTORS "snp_launch_digests.json", 0, NULL), *vector;
    struct bawn_sev_launch launch = { .firmware_digest = NULL };
    unsigned checked = 0;
    size_t i;

    (void)state;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        uint8_t digest[BAWN_SNP_DIGEST_SIZE];
        struct bawn_error err = { "" };

        if (!launch.firmware.data)
            launch.firmware = debian_ovmf(text_of(vector, "firmware_sha256"));
        if (!launch.firmware.data) {
            json_decref(root);
            print_message("# the ovmf package of the vectors is not installed\n");
            skip();
        }
        if (json_object_get(vector, "snp_ovmf_hash")) {
            assert_int_equal(bawn_snp_firmware_digest(launch.firmware, digest, &err), BAWN_OK);
            assert_string_equal(hex_of(digest, 48), text_of(vector, "snp_ovmf_hash"));
        } else {
            launch.vcpus = (uint32_t)json_integer_value(json_object_get(vector, "vcpus"));
            launch.vcpu_signature = (uint32_t)strtoul(text_of(vector, "cpuid_sig"), NULL, 0);
            launch.sev_features = strtoull(text_of(vector, "sev_features"), NULL, 0);
            assert_true(bawn_vmm_find(text_of(vector, "vmm"), &launch.vmm));
            assert_int_equal(bawn_snp_measure(&launch, digest, &err), BAWN_OK);
            assert_string_equal(hex_of(digest, 48), text_of(vector, "snp_launch_digest"));
        }
        checked++;
    }
    json_decref(root);
    drop(launch.firmware);
    assert_int_equal(checked, DEBIAN_VECTORS);
}

/* ---- The model ---- */

/* PAGE_INFO written out by hand: AMD 56860 rev 1.58, SNP_LAUNCH_UPDATE. */
static void chain(uint8_t *digest, unsigned type, uint64_t gpa, const uint8_t *contents)
{
    uint8_t info[0x70] = { 0 };

    memcpy(info, digest, 48);
    if (contents)
        digest_of("SHA384", contents, 4096, info + 0x30);
    info[0x60] = 0x70;
    info[0x62] = (uint8_t)type;
    put_le(info + 0x68, gpa, 8);
    digest_of("SHA384", info, sizeof(info), digest);
}

static void page_types(void **state)
{
    uint8_t page[2][4096] = { { 1 }, { 0 } }, want[48] = { 0 }, have[48];
    const struct bawn_snp_load loads[] = {
        { BAWN_SNP_NORMAL, 0x1000, 0x2000, { page[0], 1 }, 0 },
        { BAWN_SNP_VMSA, 0, 0x1000, { page[0], 4096 }, 2 },
        { BAWN_SNP_ZERO, 0x5000, 0x1000, { NULL, 0 }, 1 },
        { BAWN_SNP_UNMEASURED, 0x6000, 0x2000, { NULL, 0 }, 0 },
        { BAWN_SNP_SECRETS, 0x8000, 0x1000, { NULL, 0 }, 0 },
        { BAWN_SNP_CPUID, 0x123456789000, 0x1000, { NULL, 0 }, 0 },
    };
    struct bawn_error err;

    (void)state;
    chain(want, 1, 0x1000, page[0]);
    chain(want, 1, 0x2000, page[1]);
    chain(want, 2, 0xfffffffff000, page[0]);
    chain(want, 2, 0xfffffffff000, page[0]);
    chain(want, 3, 0x5000, NULL);
    chain(want, 4, 0x6000, NULL);
    chain(want, 4, 0x7000, NULL);
    chain(want, 5, 0x8000, NULL);
    chain(want, 6, 0x123456789000, NULL);
    assert_int_equal(bawn_snp_digest(NULL, loads, 6, have, &err), BAWN_OK);
    assert_memory_equal(have, want, 48);
    /* In two parts. */
    assert_int_equal(bawn_snp_digest(NULL, loads, 2, have, &err), BAWN_OK);
    assert_int_equal(bawn_snp_digest(have, loads + 2, 4, have, &err), BAWN_OK);
    assert_memory_equal(have, want, 48);
    /* Nothing loaded. */
    assert_int_equal(bawn_snp_digest(NULL, NULL, 0, have, &err), BAWN_OK);
    assert_memory_equal(have, (uint8_t[48]){ 0 }, 48);
}

static void bad_loads(void **state)
{
    static const uint8_t data[8192];
    static const struct {
        struct bawn_snp_load load;
        enum bawn_status status;
        const char *word;
    } bad[] = {
        { { BAWN_SNP_ZERO, 0x1000, 0, { NULL, 0 }, 0 }, BAWN_E_FORMAT, "whole pages" },
        { { BAWN_SNP_ZERO, 0x1001, 0x1000, { NULL, 0 }, 0 }, BAWN_E_FORMAT, "whole pages" },
        { { BAWN_SNP_ZERO, 0x1000, 0x1fff, { NULL, 0 }, 0 }, BAWN_E_FORMAT, "whole pages" },
        { { BAWN_SNP_ZERO, UINT64_MAX - 0xfff, 0x2000, { NULL, 0 }, 0 }, BAWN_E_FORMAT, "past" },
        { { BAWN_SNP_ZERO, 0, UINT64_MAX - 0xfff, { NULL, 0 }, 0 }, BAWN_E_UNSUPPORTED, "4 GiB" },
        { { BAWN_SNP_ZERO, 0, (1ull << 32) + 4096, { NULL, 0 }, 0 }, BAWN_E_UNSUPPORTED, "4 GiB" },
        { { (enum bawn_snp_page)0, 0, 4096, { NULL, 0 }, 0 }, BAWN_E_FORMAT, "page type 0" },
        { { (enum bawn_snp_page)7, 0, 4096, { NULL, 0 }, 0 }, BAWN_E_FORMAT, "page type 7" },
        { { BAWN_SNP_NORMAL, 0, 4096, { data, 4097 }, 0 }, BAWN_E_FORMAT, "4097 bytes" },
        { { BAWN_SNP_ZERO, 0, 4096, { data, 1 }, 0 }, BAWN_E_FORMAT, "no contents" },
        { { BAWN_SNP_NORMAL, 0, 4096, { data, 1 }, 2 }, BAWN_E_FORMAT, "2 times" },
        { { BAWN_SNP_VMSA, 0, 8192, { data, 8192 }, 1 }, BAWN_E_FORMAT, "one page" },
        { { BAWN_SNP_VMSA, 0, 4096, { data, 4096 }, 513 }, BAWN_E_FORMAT, "513 times" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bawn_error err = { "" };
        uint8_t digest[48];

        assert_int_equal(bawn_snp_digest(NULL, &bad[i].load, 1, digest, &err), bad[i].status);
        if (!strstr(err.msg, bad[i].word))
            fail_msg("case %zu: %s", i, err.msg);
    }
}

/* The bound is on the sum. */
static void bound_of_all(void **state)
{
    struct bawn_snp_load loads[3] = {
        { BAWN_SNP_ZERO, 0, 1ull << 31, { NULL, 0 }, 0 },
        { BAWN_SNP_ZERO, 1ull << 31, 1ull << 31, { NULL, 0 }, 0 },
        { BAWN_SNP_ZERO, 1ull << 32, 4096, { NULL, 0 }, 0 },
    };
    uint8_t digest[48];

    (void)state;
    assert_int_equal(bawn_snp_digest(NULL, loads, 3, digest, NULL), BAWN_E_UNSUPPORTED);
}

/* ---- The list for OVMF ---- */

static struct bawn_sev_launch amdsev(void)
{
    return (struct bawn_sev_launch){
        .firmware = must_read(AMDSEV),
        .vmm = BAWN_VMM_QEMU,
        .vcpus = 1,
        .vcpu_signature = 0x800f12,
        .sev_features = BAWN_SEV_SNP_ACTIVE,
    };
}

static void plan_of_amdsev(void **state)
{
    static const struct {
        enum bawn_snp_page type;
        uint64_t gpa, size;
    } want[] = {
        { BAWN_SNP_NORMAL, 0xfffff000, 0x1000 },
        { BAWN_SNP_ZERO, 0x800000, 0x9000 },
        { BAWN_SNP_ZERO, 0x80a000, 0x3000 },
        { BAWN_SNP_SECRETS, 0x80d000, 0x1000 },
        { BAWN_SNP_CPUID, 0x80e000, 0x1000 },
        { BAWN_SNP_ZERO, 0x80f000, 0x1000 },
        { BAWN_SNP_NORMAL, 0x810000, 0x1000 },
        { BAWN_SNP_ZERO, 0x811000, 0xf000 },
        { BAWN_SNP_VMSA, 0, 0x1000 },
        { BAWN_SNP_VMSA, 0, 0x1000 },
    };
    struct bawn_sev_launch launch = amdsev();
    struct bawn_sev_hashes hashes;
    struct bawn_snp_plan plan;
    struct bawn_error err;

    (void)state;
    hashes_of(&hashes, "console=ttyS0");
    launch.hashes = &hashes;
    launch.vcpus = 512;
    assert_int_equal(bawn_snp_plan(&launch, &plan, &err), BAWN_OK);
    assert_int_equal(plan.n, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < plan.n; i++) {
        assert_int_equal(plan.loads[i].type, want[i].type);
        assert_int_equal(plan.loads[i].gpa, want[i].gpa);
        assert_int_equal(plan.loads[i].size, want[i].size);
    }
    assert_int_equal(plan.loads[8].repeat, 1);
    assert_int_equal(plan.loads[9].repeat, 511);
    /* The table stands at 0x810c00, kernel last. */
    assert_memory_equal(plan.hashes + 0xc00 + 18 + 18, hashes.cmdline, 32);
    assert_memory_equal(plan.hashes + 0xc00 + 18 + 50 + 18, hashes.initrd, 32);
    assert_memory_equal(plan.hashes + 0xc00 + 18 + 100 + 18, hashes.kernel, 32);
    drop(launch.firmware);
}

static void differences(void **state)
{
    struct bawn_sev_launch launch = amdsev();
    uint8_t base[48], other[48];
    struct bawn_sev_hashes hashes;

    (void)state;
    hashes_of(&hashes, "");
    assert_int_equal(bawn_snp_measure(&launch, base, NULL), BAWN_OK);
    for (unsigned i = 0; i < 6; i++) {
        struct bawn_sev_launch l = launch;

        l.vcpus += i == 0;
        l.vcpu_signature ^= i == 1;
        l.sev_features ^= (uint64_t)(i == 2) << 5;
        l.vmm = i == 3 ? BAWN_VMM_KRUN : l.vmm;
        l.hashes = i == 4 ? &hashes : NULL;
        l.firmware_digest = i == 5 ? base : NULL;
        assert_int_equal(bawn_snp_measure(&l, other, NULL), BAWN_OK);
        assert_memory_not_equal(base, other, 48);
    }
    drop(launch.firmware);
}

static void refusals(void **state)
{
    struct bawn_bytes ovmf = must_read(AMDSEV), x64 = must_read(OVMFX64);
    struct bawn_sev_hashes hashes = { { 0 }, { 0 }, { 0 } };
    const struct {
        struct bawn_bytes firmware;
        const struct bawn_sev_hashes *hashes;
        uint32_t vcpus;
        unsigned vmm;
        enum bawn_status status;
        const char *word;
    } cases[] = {
        { ovmf, NULL, 0, 0, BAWN_E_USAGE, "from 1 to 512" },
        { ovmf, NULL, 513, 0, BAWN_E_USAGE, "from 1 to 512" },
        { ovmf, NULL, 1, BAWN_VMMS, BAWN_E_USAGE, "unknown" },
        { x64, &hashes, 1, 0, BAWN_E_UNSUPPORTED, "AmdSev" },
        { { ovmf.data, 4095 }, NULL, 1, 0, BAWN_E_FORMAT, "multiple of 4096" },
        { { NULL, 0 }, NULL, 1, 0, BAWN_E_FORMAT, "multiple of 4096" },
        { { ovmf.data, (16 << 20) + 4096 }, NULL, 1, 0, BAWN_E_FORMAT, "16 MiB" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_sev_launch launch = {
            .firmware = cases[i].firmware,
            .hashes = cases[i].hashes,
            .vcpus = cases[i].vcpus,
            .vmm = (enum bawn_vmm)cases[i].vmm,
        };
        struct bawn_error err = { "" };
        uint8_t digest[48];

        assert_int_equal(bawn_snp_measure(&launch, digest, &err), cases[i].status);
        if (!strstr(err.msg, cases[i].word))
            fail_msg("case %zu: %s", i, err.msg);
    }
    drop(ovmf);
    drop(x64);
}

/* Each changed byte of the firmware changes the digest, or the firmware is refused. */
static void changed_firmware(void **state)
{
    struct bawn_sev_launch launch = amdsev();
    uint8_t *image = (uint8_t *)(uintptr_t)launch.firmware.data, base[48], other[48];
    unsigned refused = 0;

    (void)state;
    assert_int_equal(bawn_snp_measure(&launch, base, NULL), BAWN_OK);
    for (size_t i = 0; i < launch.firmware.len; i++) {
        image[i] ^= 0x04; /* sizes of sections stay small */
        if (bawn_snp_measure(&launch, other, NULL) == BAWN_OK)
            assert_memory_not_equal(base, other, 48);
        else
            refused++;
        image[i] ^= 0x04;
    }
    /* The table's lengths and footer, the list's header, and numbers that cannot be. */
    assert_in_range(refused, 40, 400);
    drop(launch.firmware);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(upstream),         cmocka_unit_test(debian),
        cmocka_unit_test(page_types),       cmocka_unit_test(bad_loads),
        cmocka_unit_test(bound_of_all),     cmocka_unit_test(plan_of_amdsev),
        cmocka_unit_test(differences),      cmocka_unit_test(refusals),
        cmocka_unit_test(changed_firmware),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
