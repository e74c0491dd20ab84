// SPDX-License-Identifier: Apache-2.0
/*
 * SEV and SEV-ES launch digests against those of sev-snp-measure.
 */
#include "tests/unit/attest/measure_fixtures.h"

#include <endian.h>
#include <jansson.h>

#define UPSTREAM_SEV 6 /* of its 25; the other 19 are in measure_snp_test.c */

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static void upstream(void **state)
{
    json_t *root = json_load_file(UPSTREAM "launch_digest_vectors.json", 0, NULL), *vector;
    unsigned checked = 0, es = 0, all = 0;
    size_t i;

    (void)state;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        const json_t *in = json_object_get(vector, "input");
        const char *mode = text_of(in, "mode"), *file = text_of(in, "ovmf_file");
        const char *base = strrchr(file, '/');
        struct bawn_sev_launch launch = { .sev_features = 0x21 }; /* must not matter */
        uint8_t digest[BAWN_SEV_DIGEST_SIZE];
        struct bawn_error err = { "" };
        struct bawn_sev_hashes hashes;
        char path[256];

        all++;
        if (strcmp(mode, "SEV") != 0 && strcmp(mode, "SEV_ES") != 0)
            continue;
        snprintf(path, sizeof(path), UPSTREAM "tests/fixtures/%s", base ? base + 1 : file);
        launch.firmware = must_read(path);
        if (json_is_string(json_object_get(in, "kernel"))) {
            hashes_of(&hashes, text_of(in, "append"));
            launch.hashes = &hashes;
        }
        launch.vcpus = (uint32_t)json_integer_value(json_object_get(in, "vcpus"));
        launch.vcpu_signature = (uint32_t)json_integer_value(json_object_get(in, "vcpu_sig"));
        if (bawn_sev_measure(&launch, !strcmp(mode, "SEV_ES"), NULL, digest, &err) != BAWN_OK)
            fail_msg("%s", err.msg);
        assert_string_equal(hex_of(digest, sizeof(digest)), text_of(vector, "digest"));
        drop(launch.firmware);
        checked++;
        es += !strcmp(mode, "SEV_ES");
    }
    json_decref(root);
    assert_int_equal(all, 25);
    assert_int_equal(checked, UPSTREAM_SEV);
    assert_int_equal(es, 3);
}

static void refusals(void **state)
{
    static const uint8_t start[48];
    struct bawn_bytes ovmf = must_read(AMDSEV), x64 = must_read(OVMFX64);
    struct bawn_sev_hashes hashes = { { 0 }, { 0 }, { 0 } };
    struct bawn_sev_launch launch = { .firmware = x64, .hashes = &hashes, .vcpus = 1 };
    struct bawn_error err = { "" };
    struct bawn_vmsa vmsa[2];
    uint8_t digest[32];

    (void)state;
    assert_int_equal(bawn_sev_measure(&launch, false, NULL, digest, &err), BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "AmdSev"));
    launch.hashes = NULL;
    launch.vcpus = 0;
    assert_int_equal(bawn_sev_measure(&launch, true, NULL, digest, &err), BAWN_E_USAGE);
    assert_int_equal(bawn_sev_measure(&launch, false, NULL, digest, &err), BAWN_OK);
    launch.vcpus = 2;
    assert_int_equal(bawn_sev_measure(&launch, true, vmsa, digest, &err), BAWN_OK);
    assert_int_equal(le64toh(vmsa[0].rip), 0xfff0);
    assert_int_equal(le64toh(vmsa[1].rip), 0xb004);
    assert_int_equal(vmsa[1].sev_features, 0);
    launch.firmware = ovmf;
    launch.firmware_digest = start;
    assert_int_equal(bawn_sev_measure(&launch, false, NULL, digest, &err), BAWN_E_USAGE);
    launch.firmware_digest = NULL;
    launch.firmware.len--;
    assert_int_equal(bawn_sev_measure(&launch, false, NULL, digest, &err), BAWN_E_FORMAT);
    drop(ovmf);
    drop(x64);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(upstream),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
