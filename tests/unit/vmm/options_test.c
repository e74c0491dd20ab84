// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/options.c: right and wrong command lines, and that flags override the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "options.h"

#define MAX_ARGS 32

/* Splits line at spaces and parses it. */
static enum bawn_status parse(struct bawn_options *opt, const char *line, struct bawn_error *err)
{
    static char text[512];
    char *argv[MAX_ARGS];
    int argc = 0;

    assert_true(strlen(line) < sizeof(text));
    strncpy(text, line, sizeof(text) - 1);
    for (char *p = strtok(text, " "); p && argc < MAX_ARGS; p = strtok(NULL, " "))
        argv[argc++] = p;
    return bawn_options_parse(opt, argc, argv, err);
}

static void test_values(void **state)
{
    struct bawn_options opt;

    (void)state;
    assert_int_equal(
        parse(&opt, "--kernel=k --cpus 64 --memory 2G --serial file=/a=b --rng off", NULL),
        BAWN_OK);
    assert_string_equal(opt.cfg.kernel, "k");
    assert_int_equal(opt.cfg.vcpus, 64);
    assert_int_equal(opt.cfg.memory, 2ull << 30);
    assert_int_equal(opt.cfg.serial.mode, BAWN_STREAM_FILE);
    assert_string_equal(opt.cfg.serial.path, "/a=b");
    assert_false(opt.cfg.rng);
    assert_false(opt.quiet);
    bawn_vm_config_free(&opt.cfg);
    assert_int_equal(parse(&opt, "--kernel=k --cpus boot=2,max=64", NULL), BAWN_OK);
    assert_int_equal(opt.cfg.vcpus, 2);
    assert_int_equal(bawn_vm_config_max_vcpus(&opt.cfg), 64);
    bawn_vm_config_free(&opt.cfg);

    assert_int_equal(
        parse(&opt,
              "--tee snp --disk path=/a --disk path=/b,readonly=on "
              "--disk path=/c,format=qcow2,backing=/d,backing-format=qcow2,bandwidth=10M,ops=300 "
              "--net tap=t0,mac=02:00:00:00:00:01,mtu=1400,num_queues=4 --net socket=/n --net fd=5 "
              "--balloon size=64M,reporting=on --snp-policy 0xb0000 "
              "--vsock cid=0x10,socket=/v --tpm socket=/t,x --firmware /s --id-block /i --certs /c",
              NULL),
        BAWN_OK);
    assert_true(opt.cfg.snp.on);
    assert_int_equal(opt.cfg.nr_disks, 3);
    assert_string_equal(opt.cfg.disk[0].path, "/a");
    assert_false(opt.cfg.disk[0].readonly);
    assert_true(opt.cfg.disk[1].readonly);
    assert_int_equal(opt.cfg.disk[1].format, BAWN_DISK_RAW);
    assert_int_equal(opt.cfg.disk[2].format, BAWN_DISK_QCOW2);
    assert_string_equal(opt.cfg.disk[2].backing, "/d");
    assert_int_equal(opt.cfg.disk[2].backing_format, BAWN_DISK_QCOW2);
    assert_int_equal(opt.cfg.disk[2].bytes.size, 10ull << 20);
    assert_int_equal(opt.cfg.disk[2].bytes.refill, 1000);
    assert_int_equal(opt.cfg.disk[2].ops.size, 300);
    assert_int_equal(opt.cfg.balloon.size, 64 << 20);
    assert_true(opt.cfg.balloon.on && opt.cfg.balloon.reporting);
    assert_int_equal(opt.cfg.nr_nets, 3);
    assert_string_equal(opt.cfg.net[0].tap, "t0");
    assert_int_equal(opt.cfg.net[0].mtu, 1400);
    assert_int_equal(opt.cfg.net[0].mac[5], 1);
    assert_string_equal(opt.cfg.net[1].socket, "/n");
    assert_int_equal(opt.cfg.net[0].queues, 4);
    assert_int_equal(opt.cfg.net[1].nr_fds, 0);
    assert_int_equal(opt.cfg.net[2].nr_fds, 1);
    assert_int_equal(opt.cfg.net[2].fd[0], 5);
    assert_int_equal(opt.cfg.snp.policy, 0xb0000);
    assert_int_equal(opt.cfg.vsock.cid, 16);
    assert_string_equal(opt.cfg.vsock.socket, "/v");
    assert_string_equal(opt.cfg.tpm, "/t,x");
    assert_string_equal(opt.cfg.firmware, "/s");
    assert_string_equal(opt.cfg.snp.id_block, "/i");
    assert_string_equal(opt.cfg.snp.certs, "/c");
    assert_false(opt.expect.given);
    bawn_vm_config_free(&opt.cfg);

    assert_int_equal(parse(&opt,
                           "--hugepages 1G --thp off --console pty --dump-config "
                           "--disk path=/a,id=d --net tap=t,id=n",
                           NULL),
                     BAWN_OK);
    assert_true(opt.cfg.hugepages && !opt.cfg.thp && opt.dump_config);
    assert_int_equal(opt.cfg.hugepage_size, 1u << 30);
    assert_int_equal(opt.cfg.console.mode, BAWN_STREAM_PTY);
    assert_string_equal(opt.cfg.disk[0].id, "d");
    assert_string_equal(opt.cfg.net[0].id, "n");
    bawn_vm_config_free(&opt.cfg);

    assert_int_equal(parse(&opt, "--hugepages on --hugepages off", NULL), BAWN_OK);
    assert_true(!opt.cfg.hugepages && opt.cfg.thp);
    bawn_vm_config_free(&opt.cfg);

    assert_int_equal(parse(&opt, "--accel bawn --timeout 7 --quiet --console null", NULL), BAWN_OK);
    assert_int_equal(opt.accel, BAWN_ACCEL_BAWN);
    assert_int_equal(opt.timeout, 7);
    assert_int_equal(opt.cfg.console.mode, BAWN_STREAM_NULL);
    assert_true(opt.quiet);
    assert_true(opt.cfg.rng);
    bawn_vm_config_free(&opt.cfg);
}

static void test_refused(void **state)
{
    static const struct {
        const char *line;
        const char *says;
    } bad[] = {
        { "--cpus 0", "--cpus 0: 1..64" },
        { "--cpus 65", "1..64" },
        { "--cpus -1", "1..64" },
        { "--cpus 2x", "1..64" },
        { "--cpus 99999999999999999999", "1..64" },
        { "--cpus", "needs a value" },
        { "--cpus boot=2", "boot=N,max=N" },
        { "--cpus max=2", "boot=N,max=N" },
        { "--cpus boot=2,max=1", "boot=N,max=N" },
        { "--cpus boot=2,max=65", "boot=N,max=N" },
        { "--cpus boot=0,max=1", "boot=N,max=N" },
        { "--cpus boot=1,max=2,", "boot=N,max=N" },
        { "--memory 65G", "64M..64G" },
        { "--memory 17179869185G", "64M..64G" },
        { "--memory 1T", "64M..64G" },
        { "--serial on", "--serial on: off|null|tty|pty|file=PATH" },
        { "--serial file", "file=PATH" },
        { "--hugepages 4K", "off|on|2M|1G" },
        { "--disk path=/a,id=", "path=FILE" },
        { "--serial file=", "file=PATH" },
        { "--rng yes", "on|off" },
        { "--disk /a", "path=FILE" },
        { "--disk path=", "path=FILE" },
        { "--disk path=/a,readonly=yes", "path=FILE" },
        { "--disk path=/a,direct=on", "path=FILE" },
        { "--disk path=/a,readonly=on,x=y", "path=FILE" },
        { "--disk readonly=on", "path=FILE" },
        { "--balloon on", "reporting=on" },
        { "--balloon size=x", "reporting=on" },
        { "--balloon size=1M,reporting=yes", "reporting=on" },
        { "--balloon size=1M,x=on", "reporting=on" },
        { "--net mac=02:00:00:00:00:01", "tap=NAME" },
        { "--net tap=", "tap=NAME" },
        { "--net tap=a,socket=/b", "tap=NAME" },
        { "--net tap=a,mac=02", "tap=NAME" },
        { "--net tap=a,mtu=67", "tap=NAME" },
        { "--net tap=a,mtu=65536", "tap=NAME" },
        { "--net fd=-1", "tap=NAME" },
        { "--net fd=9999999999", "tap=NAME" },
        { "--net tap=t,num_queues=3", "tap=NAME" },
        { "--net tap=t,num_queues=10", "tap=NAME" },
        { "--net tap=a,x=1", "tap=NAME" },
        { "--disk path=/a,format=vhd", "path=FILE" },
        { "--disk path=/a,format=qcow2,backing=", "path=FILE" },
        { "--disk path=/a,ops=0", "path=FILE" },
        { "--disk path=/a,bandwidth=2048G", "path=FILE" },
        { "--disk path=/a,bandwidth=1T", "path=FILE" },
        { "--vsock cid=2,socket=/v", "cid=N,socket=PATH" },
        { "--vsock cid=3", "cid=N,socket=PATH" },
        { "--tpm socket=", "socket=PATH" },
        { "--tpm /t", "socket=PATH" },
        { "--vsock cid=3,socket=/v,x=1", "cid=N,socket=PATH" },
        { "--vsock cid=4294967295,socket=/v", "cid=N,socket=PATH" },
        { "--tee tdx", "none|snp" },
        { "--snp-policy 0x", "NUMBER" },
        { "--host-data 00", "64 digits" },
        { "--expect-measurement zz", "96 digits" },
        { "--accel tcg", "auto|bawn|kvm" },
        { "--timeout 0", "--timeout 0" },
        { "--quiet=1", "takes no value" },
        { "--kern x", "unknown option --kern" },
        { "kernel", "unknown option kernel" },
        { "--", "unknown option --" },
        { "--=x", "unknown option --=x" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bawn_options opt;
        struct bawn_error err = { "" };

        assert_int_equal(parse(&opt, bad[i].line, &err), BAWN_E_USAGE);
        assert_non_null(strstr(err.msg, bad[i].says));
        bawn_vm_config_free(&opt.cfg);
    }
}

static void test_flags_override_the_file(void **state)
{
    static const char json[] = "{\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":2},"
                               "\"memory\":{\"size\":134217728}}";
    char path[] = "/tmp/bawn-options-XXXXXX";
    struct bawn_error err = { "" };
    struct bawn_options opt;
    char line[128];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, json, sizeof(json) - 1), sizeof(json) - 1);
    close(fd);
    snprintf(line, sizeof(line), "--cpus 3 --config %s", path);
    assert_int_equal(parse(&opt, line, NULL), BAWN_OK);
    assert_int_equal(opt.cfg.vcpus, 3);
    assert_int_equal(opt.cfg.memory, 128ull << 20);
    bawn_vm_config_free(&opt.cfg);
    assert_int_equal(truncate(path, 9), 0);
    assert_int_equal(parse(&opt, line, &err), BAWN_E_CONFIG);
    assert_non_null(strstr(err.msg, path)); /* names the file, and the line */
    assert_non_null(strstr(err.msg, ": line 1: "));
    bawn_vm_config_free(&opt.cfg);
    unlink(path);
    assert_int_equal(parse(&opt, line, NULL), BAWN_E_IO);
    bawn_vm_config_free(&opt.cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_flags_override_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
