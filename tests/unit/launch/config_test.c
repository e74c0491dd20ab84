// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration: what is taken, and what is refused with which line and words.
 */
#include "tests/unit/launch/images.h"

static enum bawn_status parse(struct bawn_vm_config *cfg, const char *json, struct bawn_error *err)
{
    /* Without the NUL, so that a read past the text shows. */
    char *exact = (char *)copy_exact((const uint8_t *)json, strlen(json));
    enum bawn_status st;

    bawn_vm_config_init(cfg);
    err->msg[0] = '\0';
    st = bawn_vm_config_parse(cfg, exact, strlen(json), err);
    free(exact);
    return st;
}

static void full_body(void **state)
{
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    assert_int_equal(
        parse(&cfg,
              "{\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":2},"
              "\"memory\":{\"size\":268435456},"
              "\"payload\":{\"kernel\":\"/k\",\"initramfs\":\"/i\",\"cmdline\":\"c d\"},"
              "\"serial\":{\"mode\":\"File\",\"file\":\"/s\"},"
              "\"console\":{\"mode\":\"Null\"},\"rng\":{\"src\":\"/dev/urandom\"}}",
              &err),
        BAWN_OK);
    assert_int_equal(cfg.vcpus, 2);
    assert_int_equal(cfg.memory, 268435456);
    assert_string_equal(cfg.kernel, "/k");
    assert_string_equal(cfg.initrd, "/i");
    assert_string_equal(cfg.cmdline, "c d");
    assert_int_equal(cfg.serial.mode, BAWN_STREAM_FILE);
    assert_string_equal(cfg.serial.path, "/s");
    assert_int_equal(cfg.console.mode, BAWN_STREAM_NULL);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_OK);
    bawn_vm_config_free(&cfg);
}

static void defaults(void **state)
{
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    assert_int_equal(parse(&cfg, "{}", &err), BAWN_OK);
    assert_int_equal(cfg.vcpus, 1);
    assert_int_equal(cfg.memory, 512u << 20);
    assert_int_equal(cfg.serial.mode, BAWN_STREAM_TTY);
    assert_int_equal(cfg.console.mode, BAWN_STREAM_OFF);
    assert_true(cfg.rng);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    assert_non_null(strstr(err.msg, "payload.kernel"));
    bawn_vm_config_free(&cfg);
}

/* A later text is laid over an earlier one. */
static void overlay(void **state)
{
    static const char second[] = "{\"payload\":{\"kernel\":\"/b\"}}";
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    assert_int_equal(parse(&cfg, "{\"payload\":{\"kernel\":\"/a\",\"cmdline\":\"x\"}}", &err),
                     BAWN_OK);
    assert_int_equal(bawn_vm_config_parse(&cfg, second, strlen(second), &err), BAWN_OK);
    assert_string_equal(cfg.kernel, "/b");
    assert_string_equal(cfg.cmdline, "x");
    bawn_vm_config_free(&cfg);
}

static void refusals(void **state)
{
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        { "", "line 1: " },
        { "[]", "line 1: the configuration must be an object" },
        { "{\n\"cpus\":\n{\"boot_vcpus\":1,}}", "line 3: " },
        { "{\"cpus\":{\"boot_vcpus\":1}} x", "line 1: " },
        { "{\"cpus\":{},\n\"cpus\":{}}", "line 2: " },
        { "{\n\n\"numa\":[]}", "line 3: numa is not a known section" },
        { "{\n\"disks\":{}}", "line 2: disks must be an array" },
        { "{\n\"disks\":[1]}", "line 2: disks must be an object" },
        { "{\"disks\":[{\"readonly\":1}]}", "disks.readonly must be true or false" },
        { "{\"disks\":[{\"direct\":true}]}", "disks.direct is not a known key" },
        { "{\"disks\":[{},{},{},{},{},{},{},{},{}]}", "at most 8 are served" },
        { "{\"disks\":[{\"image_type\":\"vhd\"}]}", "disks.image_type must be" },
        { "{\"disks\":[{\"rate_limiter_config\":1}]}", "must be an object" },
        { "{\"disks\":[{\"rate_limiter_config\":{\"x\":{}}}]}", "unknown key x" },
        { "{\"disks\":[{\"rate_limiter_config\":{\"ops\":1}}]}", "object as its ops" },
        { "{\"disks\":[{\"rate_limiter_config\":{\"ops\":{\"x\":1}}}]}", "unknown key ops.x" },
        { "{\"disks\":[{\"rate_limiter_config\":{\"ops\":{\"size\":-1}}}]}", "as its ops.size" },
        { "{\"disks\":[{\"rate_limiter_config\":{\"ops\":{\"size\":1}}}]}", "ops.refill_time" },
        { "{\"net\":{}}", "net must be an array" },
        { "{\"net\":[{},{},{},{},{}]}", "at most 4 are served" },
        { "{\"net\":[{\"mac\":\"02:00:00:00:00\"}]}", "net.mac must be" },
        { "{\"net\":[{\"mac\":\"02:00:00:00:00:0g\"}]}", "net.mac must be" },
        { "{\"net\":[{\"mac\":\"02:00:00:00:00:001\"}]}", "net.mac must be" },
        { "{\"net\":[{\"mac\":\"01:00:00:00:00:01\"}]}", "net.mac must be" },
        { "{\"net\":[{\"mac\":\"00:00:00:00:00:00\"}]}", "net.mac must be" },
        { "{\"net\":[{\"mac\":\"\"}]}", "net.mac must be" },
        { "{\"net\":[{\"mtu\":67}]}", "net.mtu must be" },
        { "{\"net\":[{\"mtu\":65536}]}", "net.mtu must be" },
        { "{\"net\":[{\"fds\":[1,2]}]}", "net.fds must be" },
        { "{\"net\":[{\"fds\":-1}]}", "net.fds must be" },
        { "{\"balloon\":{\"size\":-1}}", "balloon.size must be" },
        { "{\"balloon\":{\"free_page_reporting\":1}}", "must be true or false" },
        { "{\"vsock\":{\"cid\":2}}", "vsock.cid must be a number from 3" },
        { "{\"vsock\":{\"cid\":4294967295}}", "vsock.cid must be a number from 3" },
        { "{\"platform\":{\"sev_snp\":\"yes\"}}", "platform.sev_snp must be true or false" },
        { "{\"platform\":{\"snp_policy\":-1}}", "platform.snp_policy must be a number" },
        { "{\"platform\":{\"snp_policy\":\"0xg\"}}", "platform.snp_policy must be a number" },
        { "{\"payload\":{\"host_data\":\"00\"}}", "payload.host_data must be 64 hex" },
        { "{\"cpus\":{\n\"boot_vcpu\":1}}", "line 2: cpus.boot_vcpu is not a known key" },
        /* The same key elsewhere, and the same text as a value, are not it. */
        { "{\"serial\":{\"mode\":\"file\"},\n\"memory\":{\"size\":1,\n\"mode\":\"Tty\"}}",
          "line 1: serial.mode is \"file\": must be Off, Null, Tty or File" },
        { "{\"payload\":{\"cmdline\":\"nope\",\n\"nope\":1}}", "line 2: payload.nope is not" },
        { "{\"payload\":{\"cmdline\":\"a\\\"{[\",\n\"nope\":1}}", "line 2: payload.nope is not" },
        { "{\"payload\":\n{\"n\\u006fpe\":1}}", "line 1: payload.nope is not" },
        { "{\"payload\":{\"kernel\":1}}", "line 1: payload.kernel must be a string" },
        { "{\"payload\":{\"kernel\":\"a\\u0000b\"}}", "line 1: " },
        { "{\"payload\":null}", "line 1: payload must be an object" },
        { "{\"cpus\":{\"boot_vcpus\":0}}", "cpus.boot_vcpus is 0: must be 1 to 64" },
        { "{\"cpus\":{\"boot_vcpus\":65}}", "is 65: must be 1 to 64" },
        { "{\"cpus\":{\"boot_vcpus\":-1}}", "is -1: must be 1 to 64" },
        { "{\"cpus\":{\"boot_vcpus\":1.5}}", "must be an integer" },
        { "{\"cpus\":{\"boot_vcpus\":2,\n\"max_vcpus\":4}}",
          "line 2: cpus.max_vcpus is 4: must equal boot_vcpus, 2" },
        { "{\"cpus\":{\"boot_vcpus\":99999999999999999999}}", "line 1: " },
        { "{\"memory\":{\"size\":-1}}", "memory.size must be a number of bytes" },
        { "{\"memory\":{\"size\":\"512M\"}}", "memory.size must be a number of bytes" },
        { "{\"serial\":{\"mode\":\"Pty\"}}", "serial.mode is \"Pty\"" },
        { "{\"console\":{\"mode\":3}}", "console.mode must be a string" },
        { "{\"rng\":{\"src\":\"/dev/random\"}}", "rng.src must be \"/dev/urandom\"" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bawn_vm_config cfg;
        struct bawn_error err;

        assert_int_equal(parse(&cfg, cases[i].json, &err), BAWN_E_CONFIG);
        if (!strstr(err.msg, cases[i].words))
            fail_msg("%s: got \"%s\", want \"%s\"", cases[i].json, err.msg, cases[i].words);
        bawn_vm_config_free(&cfg);
    }
}

/* Every prefix of a good text, and each of its bytes made another. */
static void damaged(void **state)
{
    static const char good[] = "{\"cpus\":{\"boot_vcpus\":2},\n\"payload\":{\"kernel\":\"/k\"}}";
    struct bawn_vm_config cfg;
    struct bawn_error err;
    char text[sizeof(good)];

    (void)state;
    for (size_t n = 0; n < strlen(good); n++) {
        memcpy(text, good, n);
        text[n] = '\0';
        assert_int_equal(parse(&cfg, text, &err), BAWN_E_CONFIG);
        bawn_vm_config_free(&cfg);
    }
    for (size_t n = 0; n < strlen(good); n++) {
        for (int c = 1; c < 256; c++) {
            memcpy(text, good, sizeof(good));
            text[n] = (char)c;
            if (parse(&cfg, text, &err) != BAWN_OK)
                assert_true(strlen(err.msg) > 0);
            bawn_vm_config_free(&cfg);
        }
    }
}

static void checks(void **state)
{
    struct bawn_error err;

    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        struct bawn_vm_config cfg = make_config(BAWN_MEM_MIN, 1);

        switch (i) {
        case 0:
            cfg.vcpus = 0;
            break;
        case 1:
            cfg.vcpus = BAWN_MAX_VCPUS + 1;
            break;
        case 2:
            cfg.memory = BAWN_MEM_MIN - BAWN_MEM_ALIGN;
            break;
        case 3:
            cfg.memory = BAWN_MEM_MAX + BAWN_MEM_ALIGN;
            break;
        case 4:
            cfg.memory = BAWN_MEM_MIN + 4096;
            break;
        case 5:
            cfg.serial.mode = BAWN_STREAM_FILE;
            break;
        case 6:
            cfg.kernel[0] = '\0';
            break;
        }
        assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
        bawn_vm_config_free(&cfg);
    }
}

static void sizes(void **state)
{
    static const char *const bad[] = { "",
                                       "M",
                                       "-1",
                                       "1T",
                                       "1MB",
                                       "0x10",
                                       " 1",
                                       "1 M",
                                       "18446744073709551616",
                                       "18014398509481984K" };
    uint64_t n = 0;

    (void)state;
    assert_int_equal(bawn_size_parse("512M", &n, NULL), BAWN_OK);
    assert_int_equal(n, 512u << 20);
    assert_int_equal(bawn_size_parse("64G", &n, NULL), BAWN_OK);
    assert_int_equal(n, 64ull << 30);
    assert_int_equal(bawn_size_parse("4096", &n, NULL), BAWN_OK);
    assert_int_equal(n, 4096);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(bawn_size_parse(bad[i], &n, NULL), BAWN_E_USAGE);
}

static void devices_and_snp(void **state)
{
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    assert_int_equal(
        parse(&cfg,
              "{\"payload\":{\"kernel\":\"/k\",\"firmware\":\"/shim\",\"host_data\":"
              "\"ff000000000000000000000000000000000000000000000000000000000000Ab\"},"
              "\"disks\":[{\"path\":\"/a\"},{\"path\":\"/"
              "b\",\"readonly\":true,\"image_type\":\"Qcow2\","
              "\"backing\":\"/c\",\"rate_limiter_config\":{\"bandwidth\":{\"size\":5,"
              "\"one_time_burst\":6,\"refill_time\":7},\"ops\":{\"size\":8,\"refill_time\":9}}}],"
              "\"net\":[{\"tap\":\"tap0\",\"mac\":\"02:0a:00:00:00:Ff\",\"mtu\":9000},"
              "{\"fds\":[7]}],"
              "\"vsock\":{\"cid\":3,\"socket\":\"/v\"},"
              "\"platform\":{\"sev_snp\":true,\"snp_policy\":\"0xb0000\",\"snp_id_block\":\"/id\","
              "\"snp_id_auth\":\"/auth\",\"snp_certs\":\"/certs\"}}",
              &err),
        BAWN_OK);
    assert_int_equal(cfg.nr_disks, 2);
    assert_string_equal(cfg.disk[0].path, "/a");
    assert_false(cfg.disk[0].readonly);
    assert_string_equal(cfg.disk[1].path, "/b");
    assert_true(cfg.disk[1].readonly);
    assert_int_equal(cfg.disk[0].format, BAWN_DISK_RAW);
    assert_int_equal(cfg.disk[1].format, BAWN_DISK_QCOW2);
    assert_int_equal(cfg.disk[1].backing_format, BAWN_DISK_RAW);
    assert_string_equal(cfg.disk[1].backing, "/c");
    assert_int_equal(cfg.disk[1].bytes.size, 5);
    assert_int_equal(cfg.disk[1].bytes.burst, 6);
    assert_int_equal(cfg.disk[1].bytes.refill, 7);
    assert_int_equal(cfg.disk[1].ops.size, 8);
    assert_int_equal(cfg.disk[0].ops.size, 0);
    assert_int_equal(cfg.nr_nets, 2);
    assert_string_equal(cfg.net[0].tap, "tap0");
    assert_int_equal(cfg.net[0].fd, -1);
    assert_true(cfg.net[0].has_mac);
    assert_memory_equal(cfg.net[0].mac, "\x02\x0a\x00\x00\x00\xff", 6);
    assert_int_equal(cfg.net[0].mtu, 9000);
    assert_int_equal(cfg.net[1].fd, 7);
    assert_int_equal(cfg.vsock.cid, 3);
    assert_string_equal(cfg.vsock.socket, "/v");
    assert_true(cfg.snp.on);
    assert_int_equal(cfg.snp.policy, 0xb0000);
    assert_int_equal(cfg.snp.host_data[0], 0xff);
    assert_int_equal(cfg.snp.host_data[31], 0xab);
    assert_string_equal(cfg.firmware, "/shim");
    assert_string_equal(cfg.snp.id_block, "/id");
    assert_string_equal(cfg.snp.id_auth, "/auth");
    assert_string_equal(cfg.snp.certs, "/certs");
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_OK);
    cfg.snp.policy = 0x10000; /* bit 17 must be one */
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    cfg.snp.policy = 0x30000 | 1ull << 26;
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    cfg.snp.on = false; /* and then a shim has no use */
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    bawn_vm_config_free(&cfg);
    assert_int_equal(parse(&cfg, "{\"payload\":{\"kernel\":\"/k\"},\"disks\":[{}]}", &err),
                     BAWN_OK);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    bawn_vm_config_free(&cfg);
    assert_int_equal(parse(&cfg,
                           "{\"payload\":{\"kernel\":\"/k\"},\"disks\":[{\"path\":\"/a\","
                           "\"backing\":\"/b\"}]}",
                           &err),
                     BAWN_OK);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    bawn_vm_config_free(&cfg);
    assert_int_equal(
        parse(&cfg, "{\"payload\":{\"kernel\":\"/k\"},\"net\":[{\"mtu\":1500}]}", &err), BAWN_OK);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    bawn_vm_config_free(&cfg);
    assert_int_equal(parse(&cfg,
                           "{\"payload\":{\"kernel\":\"/k\"},\"balloon\":{\"size\":4096,"
                           "\"free_page_reporting\":true}}",
                           &err),
                     BAWN_OK);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_OK);
    assert_true(cfg.balloon.on && cfg.balloon.reporting);
    cfg.balloon.size = cfg.memory; /* nothing would be left */
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    cfg.balloon.size = 512;
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    cfg.balloon.size = 0;
    cfg.snp.on = true;
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    bawn_vm_config_free(&cfg);
    assert_int_equal(parse(&cfg, "{\"payload\":{\"kernel\":\"/k\"},\"vsock\":{\"cid\":3}}", &err),
                     BAWN_OK);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    bawn_vm_config_free(&cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_body), cmocka_unit_test(defaults),        cmocka_unit_test(overlay),
        cmocka_unit_test(refusals),  cmocka_unit_test(damaged),         cmocka_unit_test(checks),
        cmocka_unit_test(sizes),     cmocka_unit_test(devices_and_snp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
