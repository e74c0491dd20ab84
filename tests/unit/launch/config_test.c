// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration: what is taken, and what is refused with which line and words.
 */
#include "tests/unit/launch/images.h"

#include <jansson.h>

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

/* A host's processors are more than a machine can have. */
static void more_vcpus(void **state)
{
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    assert_int_equal(parse(&cfg, "{\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":500}}", &err), BAWN_OK);
    assert_int_equal(bawn_vm_config_max_vcpus(&cfg), BAWN_MAX_VCPUS);
    cfg.max_vcpus = 5;
    assert_int_equal(bawn_vm_config_max_vcpus(&cfg), 5);
    cfg.vcpus = 6; /* an option, or vm.resize, said so later */
    assert_int_equal(bawn_vm_config_max_vcpus(&cfg), 6);
    cfg.vcpus = 2;
    cfg.hotplug = BAWN_HOTPLUG_OFF;
    assert_int_equal(bawn_vm_config_max_vcpus(&cfg), 2);
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
        { "[]", "line 1: must be an object, not an array" },
        { "{\n\"cpus\":\n{\"boot_vcpus\":1,}}", "line 3: " },
        { "{\"cpus\":{\"boot_vcpus\":1}} x", "line 1: " },
        { "{\"cpus\":{},\n\"cpus\":{}}", "line 2: " },
        { "{\"payloads\":{}}",
          "payloads: unknown key; known are payload, cpus, memory, disks, net," },
        { "{\"numa\":[{\"guest_numa_id\":0}]}",
          "numa: an array is not served: guest memory is one node" },
        { "{\"disks\":{}}", "disks: must be an array, not an object" },
        { "{\"disks\":[1]}", "disks[0]: must be an object, not a number" },
        { "{\"disks\":[{\"path\":\"/a\"},{\"pth\":\"/b\"}]}",
          "disks[1].pth: unknown key; known are path, readonly, " },
        { "{\"disks\":[{\"path\":\"/a\",\"readonly\":1}]}",
          "disks[0].readonly: must be true or false, not a number" },
        { "{\"disks\":[{\"path\":\"/a\",\"direct\":true}]}",
          "disks[0].direct: true is not served: the host's page" },
        { "{\"disks\":[{\"path\":\"/a\",\"num_queues\":0}]}",
          "disks[0].num_queues: 0 is out of range: must be 1 to 64" },
        { "{\"disks\":[{\"path\":\"/a\",\"vhost_user\":true}]}", "vhost-user devices are not" },
        { "{\"disks\":[{\"path\":\"\"}]}", "disks[0].path: must not be empty" },
        { "{\"disks\":[{}]}", "disks[0]: path is missing" },
        { "{\"disks\":[{\"path\":null}]}", "disks[0]: path is missing" },
        { "{\"disks\":[{\"path\":\"/a\"},{\"path\":\"/a\"},{\"path\":\"/a\"},{\"path\":\"/"
          "a\"},{\"path\":\"/a\"},{\"path\":\"/a\"},{\"path\":\"/a\"},{\"path\":\"/"
          "a\"},{\"path\":\"/a\"}]}",
          "disks[8]: is one too many: at most 8 are served" },
        { "{\"disks\":[{\"path\":\"/a\",\"image_type\":\"vhd\"}]}",
          "image_type: is \"vhd\": must be Raw or Qcow2" },
        { "{\"disks\":[{\"path\":\"/a\",\"image_type\":\"Vhdx\"}]}",
          "\"Vhdx\" is not served: Raw and Qcow2 are; qemu-img" },
        { "{\"disks\":[{\"path\":\"/a\",\"rate_limiter_config\":1}]}",
          "rate_limiter_config: must be an object" },
        { "{\"disks\":[{\"path\":\"/a\",\"rate_limiter_config\":{\"x\":{}}}]}",
          "rate_limiter_config.x: unknown key" },
        { "{\"disks\":[{\"path\":\"/a\",\"rate_limiter_config\":{\"ops\":1}}]}",
          "config.ops: must be an object" },
        { "{\"disks\":[{\"path\":\"/"
          "a\",\"rate_limiter_config\":{\"ops\":{\"size\":-1,\"refill_time\":1}}}]}",
          "ops.size: -1 is out of range" },
        { "{\"disks\":[{\"path\":\"/a\",\"rate_limiter_config\":{\"ops\":{\"size\":1}}}]}",
          "config.ops: refill_time is missing" },
        { "{\"net\":{}}", "net: must be an array" },
        { "{\"net\":[{},{},{},{},{}]}", "net[4]: is one too many: at most 4" },
        { "{\"net\":[{\"mac\":\"02:00:00:00:00\"}]}", "net[0].mac: must be" },
        { "{\"net\":[{\"mac\":\"02:00:00:00:00:0g\"}]}", "net[0].mac: must be" },
        { "{\"net\":[{\"mac\":\"02:00:00:00:00:001\"}]}", "net[0].mac: must be" },
        { "{\"net\":[{\"mac\":\"01:00:00:00:00:01\"}]}", "net[0].mac: must be" },
        { "{\"net\":[{\"mac\":\"00:00:00:00:00:00\"}]}", "net[0].mac: must be" },
        { "{\"net\":[{\"mac\":\"\"}]}", "net[0].mac: must be" },
        { "{\"net\":[{\"mtu\":67}]}", "net[0].mtu: 67 is out of range: must be 68 to 65535" },
        { "{\"net\":[{\"mtu\":65536}]}", "net[0].mtu: 65536 is out of range" },
        { "{\"net\":[{\"fds\":[1,2,3,4,5]}]}", "net[0].fds: must be" },
        { "{\"net\":[{\"fds\":[]}]}", "net[0].fds: must be" },
        { "{\"net\":[{\"fds\":-1}]}", "net[0].fds: must be" },
        { "{\"net\":[{\"tap\":\"a-name-of-16-byt\"}]}", "net[0].tap: has 16 bytes: at most 15" },
        { "{\"net\":[{\"ip\":\"10.0.0.1\"}]}",
          "net[0].ip: \"10.0.0.1\" is not served: the host's side" },
        { "{\"balloon\":{\"size\":-1}}", "balloon.size: -1 is out of range" },
        { "{\"balloon\":{\"free_page_reporting\":true}}", "balloon: size is missing" },
        { "{\"balloon\":{\"size\":0,\"free_page_reporting\":1}}", "must be true or false" },
        { "{\"vsock\":{\"cid\":2,\"socket\":\"/v\"}}",
          "vsock.cid: 2 is out of range: must be 3 to" },
        { "{\"vsock\":{\"cid\":4294967295,\"socket\":\"/v\"}}",
          "vsock.cid: 4294967295 is out of range" },
        { "{\"vsock\":{\"cid\":3}}", "vsock: socket is missing" },
        { "{\"platform\":{\"sev_snp\":\"yes\"}}",
          "platform.sev_snp: must be true or false, not a string" },
        { "{\"platform\":{\"tdx\":true}}",
          "platform.tdx: true is not served: confidential machines are SEV-SNP" },
        { "{\"platform\":{\"uuid\":\"1\"}}",
          "platform.uuid: \"1\" is not served: the machine has no SMBIOS" },
        { "{\"platform\":{\"snp_policy\":-1}}", "platform.snp_policy: must be a number" },
        { "{\"platform\":{\"snp_policy\":\"0xg\"}}", "platform.snp_policy: must be a number" },
        { "{\"payload\":{\"host_data\":\"00\"}}", "payload.host_data: must be 64 hex" },
        { "{\"payload\":{\"igvm\":\"/i\"}}",
          "payload.igvm: \"/i\" is not served: IGVM files are not read; name kernel" },
        { "{\"cpus\":{\"boot_vcpu\":1}}",
          "cpus.boot_vcpu: unknown key; known are boot_vcpus, max_vcpus, topology" },
        { "{\"payload\":{\"n\\u006fpe\\n\\u001b[m\":1}}", "payload.nope?\?[m: unknown key" },
        { "{\"payload\":{\"kernel\":1}}", "payload.kernel: must be a string, not a number" },
        { "{\"payload\":{\"kernel\":\"a\\u0000b\"}}", "line 1: " },
        { "{\"payload\":[]}", "payload: must be an object, not an array" },
        { "{\"cpus\":{\"boot_vcpus\":0}}", "cpus.boot_vcpus: 0 is out of range: must be 1 to 64" },
        { "{\"cpus\":{\"boot_vcpus\":65}}", "65 is out of range: must be 1 to 64" },
        { "{\"cpus\":{\"boot_vcpus\":-1}}", "-1 is out of range: must be 1 to 64" },
        { "{\"cpus\":{\"boot_vcpus\":1.5}}", "must be a whole number, not a fraction" },
        { "{\"cpus\":{\"max_vcpus\":1,\"boot_vcpus\":2}}",
          "cpus.max_vcpus: must be a number, boot_vcpus or more" },
        { "{\"cpus\":{\"boot_vcpus\":99999999999999999999}}", "line 1: " },
        { "{\"cpus\":{\"kvm_hyperv\":true}}",
          "cpus.kvm_hyperv: true is not served: there are no Hyper-V" },
        { "{\"memory\":{\"size\":-1}}", "memory.size: -1 is out of range" },
        { "{\"memory\":{\"size\":\"512M\"}}", "memory.size: must be a whole number, not a string" },
        { "{\"memory\":{\"hotplugged_size\":1}}",
          "memory.hotplugged_size: 1 is not served: memory is not added" },
        { "{\"cpus\":{\"max_phys_bits\":37}}",
          "cpus.max_phys_bits: 37 is out of range: must be 38 to 64" },
        { "{\"serial\":{\"mode\":\"file\"}}",
          "serial.mode: is \"file\": must be Off, Null, Tty, File, Pty or Socket" },
        { "{\"serial\":{}}", "serial: mode is missing" },
        { "{\"serial\":{\"mode\":\"Socket\",\"socket\":\"\"}}",
          "serial.socket: must not be empty" },
        { "{\"serial\":{\"mode\":\"Off\",\"iommu\":true}}", "serial.iommu: true is not served" },
        { "{\"console\":{\"mode\":3}}", "console.mode: must be a string" },
        { "{\"rng\":{\"src\":\"/dev/random\"}}",
          "rng.src: \"/dev/random\" is not served: entropy is" },
        { "{\"rng\":{\"src\":\"x\"}}", "rng.src: is \"x\": must be \"\" or /dev/urandom" },
        { "{\"landlock_rules\":[{\"path\":\"/\",\"access\":\"rw\"}]}",
          "landlock_rules: an array is not served: none is needed" },
        { "[[[[[[[[[[[[[[[[[", "deeper than 16 levels" },
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
    assert_int_equal(cfg.net[0].nr_fds, 0);
    assert_true(cfg.net[0].has_mac);
    assert_memory_equal(cfg.net[0].mac, "\x02\x0a\x00\x00\x00\xff", 6);
    assert_int_equal(cfg.net[0].mtu, 9000);
    assert_int_equal(cfg.net[1].nr_fds, 1);
    assert_int_equal(cfg.net[1].fd[0], 7);
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
}

static void ring_for_plain_images(void **state)
{
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    assert_int_equal(parse(&cfg,
                           "{\"payload\":{\"kernel\":\"/k\"},\"disks\":[{\"path\":\"/a\","
                           "\"io_uring\":true}]}",
                           &err),
                     BAWN_OK);
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_OK);
    cfg.disk[0].format = BAWN_DISK_QCOW2;
    assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
    assert_non_null(strstr(err.msg, "plain images"));
    bawn_vm_config_free(&cfg);
}

/* Of what is printed, each key that a configuration can have. */
static const char everything[] =
    "{\"payload\":{\"kernel\":\"/k\",\"initramfs\":\"/i\",\"cmdline\":\"a\\\"b\",\"firmware\":\"/"
    "f\","
    "\"host_data\":\"00000000000000000000000000000000000000000000000000000000000000ff\"},"
    "\"cpus\":{\"boot_vcpus\":3,\"max_vcpus\":3,\"nested\":true,\"affinity\":[]},"
    "\"memory\":{\"size\":1073741824,\"hugepages\":true,\"hugepage_size\":2097152,\"thp\":false,"
    "\"shared\":true,\"hotplug_method\":\"Acpi\",\"hotplug_size\":0},"
    "\"disks\":[{\"path\":\"/a\"},{\"path\":\"/b\",\"readonly\":true,\"image_type\":\"Qcow2\","
    "\"backing\":\"/c\",\"backing_type\":\"Qcow2\",\"id\":\"d\",\"iommu\":false,"
    "\"rate_limiter_config\":{\"bandwidth\":{\"size\":5,\"one_time_burst\":6,\"refill_time\":7},"
    "\"ops\":{\"size\":8,\"refill_time\":9}}}],"
    "\"net\":[{\"tap\":\"t\",\"mac\":\"02:0a:00:00:00:ff\",\"mtu\":9000,\"id\":\"n\"},{\"fds\":[7]}"
    ","
    "{\"socket\":\"/n\",\"ip\":\"192.168.249.1\",\"mask\":\"255.255.255.0\"}],"
    "\"rng\":{\"src\":\"/dev/urandom\",\"id\":\"r\"},\"balloon\":{\"size\":4096,\"id\":\"b\","
    "\"free_page_reporting\":true,\"deflate_on_oom\":true},"
    "\"vsock\":{\"cid\":3,\"socket\":\"/v\",\"id\":\"v\"},\"serial\":{\"mode\":\"Pty\"},"
    "\"console\":{\"mode\":\"File\",\"file\":\"/c\",\"id\":\"c\"},\"tpm\":{\"socket\":\"/t\"},"
    "\"platform\":{\"sev_snp\":true,\"snp_policy\":\"0xb0000\",\"snp_id_block\":\"/x\","
    "\"snp_id_auth\":\"/y\",\"snp_certs\":\"/z\",\"num_pci_segments\":1},\"landlock_enable\":true,"
    "\"debug_console\":{\"mode\":\"Off\"},\"fs\":null,\"watchdog\":false}";

static void prints_what_it_parses(void **state)
{
    static const char *const texts[] = {
        everything,
        "{}",
        "{\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":5}}",
        "{\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":500}}",
        "{\"payload\":{\"kernel\":\"/k\"}}",
        "{\"rng\":{\"src\":\"\"},\"serial\":{\"mode\":\"File\",\"file\":\"/s\"}}",
        "{\"balloon\":{\"size\":0},\"memory\":{\"size\":67108864}}",
        "{\"serial\":{\"mode\":\"Socket\",\"socket\":\"/s\"},\"console\":{\"mode\":\"Pty\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct bawn_vm_config first, second;
        struct bawn_error err;
        char *once, *twice;

        assert_int_equal(parse(&first, texts[i], &err), BAWN_OK);
        once = bawn_vm_config_print(&first);
        assert_non_null(once);
        if (parse(&second, once, &err) != BAWN_OK)
            fail_msg("%s: %s", once, err.msg);
        twice = bawn_vm_config_print(&second);
        assert_string_equal(once, twice);
        /* What holds no pointers is the same, byte by byte. */
        assert_int_equal(first.memory, second.memory);
        assert_int_equal(first.vcpus, second.vcpus);
        assert_int_equal(bawn_vm_config_max_vcpus(&first), bawn_vm_config_max_vcpus(&second));
        assert_int_equal(first.nr_disks, second.nr_disks);
        assert_int_equal(first.rng, second.rng);
        assert_int_equal(first.balloon.on, second.balloon.on);
        assert_memory_equal(first.snp.host_data, second.snp.host_data, 32);
        assert_int_equal(first.snp.policy, second.snp.policy);
        free(once);
        free(twice);
        bawn_vm_config_free(&first);
        bawn_vm_config_free(&second);
    }
}

/* The keys that a text has in common with what is printed of it, and how. */
static void prints_every_key(void **state)
{
    static const char *const has[] = {
        "\"kernel\": \"/k\"",
        "\"initramfs\": \"/i\"",
        "\"cmdline\": \"a\\\"b\"",
        "\"firmware\": \"/f\"",
        "0000ff\"",
        "\"boot_vcpus\": 3",
        "\"max_vcpus\": 3",
        "\"size\": 1073741824",
        "\"hugepages\": true",
        "\"hugepage_size\"",
        "\"thp\": false",
        "\"readonly\": true",
        "\"image_type\": \"Qcow2\"",
        "\"image_type\": \"Raw\"",
        "\"backing\": \"/c\"",
        "\"backing_type\"",
        "\"id\": \"d\"",
        "\"one_time_burst\": 6",
        "\"refill_time\": 9",
        "\"tap\": \"t\"",
        "\"02:0a:00:00:00:ff\"",
        "\"mtu\": 9000",
        "\"id\": \"n\"",
        "\"fds\"",
        "\"socket\": \"/n\"",
        "\"id\": \"r\"",
        "\"id\": \"b\"",
        "\"free_page_reporting\"",
        "\"cid\": 3",
        "\"id\": \"v\"",
        "\"mode\": \"Pty\"",
        "\"file\": \"/c\"",
        "\"socket\": \"/t\"",
        "\"snp_policy\": \"0xb0000\"",
        "\"snp_id_block\"",
        "\"snp_id_auth\"",
        "\"snp_certs\"",
        "\"sev_snp\": true",
    };
    struct bawn_vm_config cfg;
    struct bawn_error err;
    char *text;

    (void)state;
    assert_int_equal(parse(&cfg, everything, &err), BAWN_OK);
    text = bawn_vm_config_print(&cfg);
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_SIZE(has); i++)
        if (!strstr(text, has[i]))
            fail_msg("%s is not in %s", has[i], text);
    free(text);
    bawn_vm_config_free(&cfg);
}

/* As an API call adds one. */
static void one_device(void **state)
{
    static const struct {
        const char *section, *json, *says;
    } cases[] = {
        { "disks", "{\"path\":\"/a\",\"id\":\"x\"}", NULL },
        { "net", "{\"mac\":\"02:00:00:00:00:01\",\"num_queues\":2,\"queue_size\":256}", NULL },
        { "vsock", "{\"cid\":3,\"socket\":\"/v\"}", NULL },
        { "disks", "{\"pat\":\"/a\"}", "disks[0].pat: unknown key" },
        { "fs", "{\"tag\":\"/a\"}", "fs: an object is not served" },
        { "nothing", "{}", "nothing: unknown key" },
        { "disks", "{", "line 1: " },
        { "disks", "[]", "disks[0]: must be an object" },
    };
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    bawn_vm_config_init(&cfg);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        enum bawn_status st = bawn_vm_config_parse_device(&cfg, cases[i].section, cases[i].json,
                                                          strlen(cases[i].json), &err);

        assert_int_equal(st, cases[i].says ? BAWN_E_CONFIG : BAWN_OK);
        if (cases[i].says && !strstr(err.msg, cases[i].says))
            fail_msg("%s: got \"%s\"", cases[i].json, err.msg);
    }
    assert_string_equal(cfg.disk[0].id, "x");
    assert_int_equal(cfg.net[0].nr_fds, 0);
    assert_true(cfg.net[0].has_mac);
    assert_int_equal(cfg.vsock.cid, 3);
    bawn_vm_config_free(&cfg);
}

/* What clients of Cloud Hypervisor send: libvirt's ch driver, and a generated client that writes
 * each default of the OpenAPI file. */
static void clients(void **state)
{
    static const char *const bodies[] = {
        "{\"serial\":{\"mode\":\"Pty\"},\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":2},"
        "\"memory\":{\"size\":268435456},\"payload\":{\"kernel\":\"/k\",\"cmdline\":\"c\","
        "\"initramfs\":\"/i\"},\"disks\":[{\"path\":\"/d\"}]}",
        "{\"cpus\":{\"boot_vcpus\":1,\"max_vcpus\":1,\"kvm_hyperv\":false,\"nested\":true,"
        "\"topology\":{\"threads_per_core\":1,\"cores_per_die\":1,\"dies_per_package\":1,"
        "\"packages\":1}},\"memory\":{\"size\":2147483648,\"mergeable\":false,\"shared\":true,"
        "\"hotplug_method\":\"Acpi\",\"hugepages\":false,\"prefault\":false,\"reserve\":false,"
        "\"thp\":true},\"payload\":{\"kernel\":\"/k\",\"cmdline\":\"c\"},\"disks\":[{\"path\":\"/"
        "d\","
        "\"readonly\":true,\"direct\":false,\"iommu\":false,\"num_queues\":1,\"queue_size\":1024,"
        "\"vhost_user\":false,\"backing_files\":false,\"sparse\":true,"
        "\"lock_granularity\":\"ByteRange\"}],\"net\":[{\"ip\":\"192.168.249.1\","
        "\"mask\":\"255.255.255.0\",\"mac\":\"02:00:00:00:00:01\",\"tap\":\"t\",\"iommu\":false,"
        "\"num_queues\":2,\"queue_size\":256,\"vhost_user\":false,\"vhost_mode\":\"Client\","
        "\"offload_tso\":true,\"offload_ufo\":true,\"offload_csum\":true}],"
        "\"rng\":{\"src\":\"/dev/urandom\",\"iommu\":false},\"serial\":{\"mode\":\"Off\"},"
        "\"balloon\":{\"size\":0,\"deflate_on_oom\":false,\"free_page_reporting\":false},"
        "\"console\":{\"mode\":\"Off\",\"iommu\":false},\"vsock\":{\"cid\":3,\"socket\":\"/v\","
        "\"iommu\":false},\"platform\":{\"tdx\":false,\"sev_snp\":false,\"iommufd\":false,"
        "\"vfio_p2p_dma\":true},\"iommu\":false,\"watchdog\":false,\"pvpanic\":false,"
        "\"landlock_enable\":false}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct bawn_vm_config cfg;
        struct bawn_error err;

        if (parse(&cfg, bodies[i], &err) || bawn_vm_config_check(&cfg, &err))
            fail_msg("%zu: %s", i, err.msg);
        bawn_vm_config_free(&cfg);
    }
}

static size_t left; /* allocations that jansson is granted */

static void *grant(size_t size)
{
    if (!left)
        return NULL;
    left--;
    return malloc(size);
}

/* Whichever allocation fails: an error, and nothing leaks. */
static void out_of_memory(void **state)
{
    bool all = false;
    char *text;

    (void)state;
    json_set_alloc_funcs(grant, free);
    for (size_t n = 0; !all; n++) {
        struct bawn_vm_config cfg;
        struct bawn_error err;

        text = NULL;
        left = n;
        if (parse(&cfg, everything, &err) == BAWN_OK)
            text = bawn_vm_config_print(&cfg);
        else
            assert_true(err.msg[0]);
        all = text;
        free(text);
        bawn_vm_config_free(&cfg);
    }
    for (size_t n = 0; n < 4000; n += 7) {
        left = n;
        free(bawn_vm_config_schema());
    }
    left = SIZE_MAX;
    text = bawn_vm_config_schema();
    assert_non_null(text);
    assert_non_null(strstr(text, "\"$schema\""));
    free(text);
    json_set_alloc_funcs(malloc, free);
}

/* What only the whole shows to be wrong. */
static void belongs_together(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        { "\"memory\":{\"size\":67108864,\"hugepage_size\":2097152}", "needs memory.hugepages" },
        { "\"memory\":{\"size\":67108864,\"hugepages\":true,\"hugepage_size\":4096}",
          "must be 2097152 or" },
        { "\"memory\":{\"size\":67108864,\"hugepages\":true,\"hugepage_size\":1073741824}",
          "must be a multiple of memory.hugepage_size" },
        { "\"disks\":[{\"path\":\"/a\",\"id\":\"x\"},{\"path\":\"/b\",\"id\":\"x\"}]",
          "two devices have the id \"x\"" },
        { "\"rng\":{\"src\":\"\",\"id\":\"x\"},\"net\":[{\"tap\":\"t\",\"id\":\"x\"}]",
          "two devices have the id \"x\"" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bawn_vm_config cfg;
        struct bawn_error err;
        char text[256];

        snprintf(text, sizeof(text), "{\"payload\":{\"kernel\":\"/k\"},%s}", cases[i].json);
        assert_int_equal(parse(&cfg, text, &err), BAWN_OK);
        assert_int_equal(bawn_vm_config_check(&cfg, &err), BAWN_E_CONFIG);
        assert_non_null(strstr(err.msg, cases[i].says));
        bawn_vm_config_free(&cfg);
    }
}

/* Slots that were not chosen are the first that are free; names are nobody's yet. */
static void places(void **state)
{
    struct bawn_vm_config cfg;
    struct bawn_error err;

    (void)state;
    assert_int_equal(parse(&cfg,
                           "{\"disks\":[{\"path\":\"/a\"},{\"path\":\"/b\",\"pci_device_id\":4},"
                           "{\"path\":\"/c\",\"id\":\"_net0\"},{\"path\":\"/d\"}],"
                           "\"net\":[{\"tap\":\"t\"},{\"tap\":\"u\"}],"
                           "\"platform\":{\"hotplug\":false}}",
                           &err),
                     BAWN_OK);
    assert_int_equal(cfg.hotplug, BAWN_HOTPLUG_OFF);
    assert_int_equal(bawn_vm_config_place(&cfg, &err), BAWN_OK);
    assert_int_equal(cfg.disk[0].slot, 5);
    assert_int_equal(cfg.disk[1].slot, 4);
    assert_int_equal(cfg.disk[2].slot, 6);
    assert_int_equal(cfg.net[0].slot, 12);
    assert_int_equal(cfg.net[1].slot, 13);
    assert_string_equal(cfg.disk[0].id, "_disk1");
    assert_string_equal(cfg.disk[1].id, "_disk0");
    assert_string_equal(cfg.disk[3].id, "_disk3");
    assert_string_equal(cfg.net[0].id, "_net1");
    assert_string_equal(cfg.net[1].id, "_net2");
    /* Again nothing moves. */
    assert_int_equal(bawn_vm_config_place(&cfg, &err), BAWN_OK);
    assert_int_equal(cfg.disk[0].slot, 5);
    bawn_vm_config_free(&cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_body),
        cmocka_unit_test(defaults),
        cmocka_unit_test(more_vcpus),
        cmocka_unit_test(overlay),
        cmocka_unit_test(refusals),
        cmocka_unit_test(damaged),
        cmocka_unit_test(checks),
        cmocka_unit_test(sizes),
        cmocka_unit_test(devices_and_snp),
        cmocka_unit_test(ring_for_plain_images),
        cmocka_unit_test(prints_what_it_parses),
        cmocka_unit_test(prints_every_key),
        cmocka_unit_test(one_device),
        cmocka_unit_test(belongs_together),
        cmocka_unit_test(clients),
        cmocka_unit_test(places),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
