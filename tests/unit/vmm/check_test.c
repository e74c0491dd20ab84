// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/check*.c: what is said of hosts made of files in a folder, and of configurations whose files
 * are there or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "check.h"
#include "disk.h"
#include "tests/unit/launch/images.h"

struct host {
    char root[64];
    struct bawn_options opt;
    struct bawn_checks checks;
};

/* A file of the host, with the folders above it. */
static void put(const struct host *h, const char *path, const char *text)
{
    char whole[256];
    FILE *f;

    snprintf(whole, sizeof(whole), "%s%s", h->root, path);
    for (char *p = whole + strlen(h->root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(whole, 0700);
        *p = '/';
    }
    f = fopen(whole, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static const char *in(const struct host *h, const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", h->root, name);
    return path;
}

static int set_up(void **state)
{
    struct host *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    strcpy(h->root, "/tmp/bawn-check-XXXXXX");
    assert_non_null(mkdtemp(h->root));
    bawn_vm_config_init(&h->opt.cfg);
    h->checks.root = h->root;
    h->checks.opt = &h->opt;
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    struct host *h = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", h->root);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
    bawn_vm_config_free(&h->opt.cfg);
    free(h);
    return 0;
}

/* The check was made with this result, and says this and, if not NULL, to do that. */
static void says(const struct host *h, const char *id, enum bawn_check_result result,
                 const char *text, const char *fix)
{
    for (unsigned i = 0; i < h->checks.nr; i++) {
        const struct bawn_check_line *l = &h->checks.line[i];

        if (strcmp(l->id, id) != 0)
            continue;
        if (l->result != result || !strstr(l->text, text) || (fix && !strstr(l->fix, fix)))
            fail_msg("%s: %d: %s -> %s", l->id, l->result, l->text, l->fix);
        return;
    }
    fail_msg("nothing is said of %s", id);
}

static bool silent(const struct host *h, const char *id)
{
    for (unsigned i = 0; i < h->checks.nr; i++)
        if (!strcmp(h->checks.line[i].id, id))
            return false;
    return true;
}

static void check_host(struct host *h)
{
    h->checks.nr = 0;
    h->checks.served = false;
    bawn_check_host(&h->checks);
}

static void check_config(struct host *h)
{
    h->checks.nr = 0;
    bawn_check_config(&h->checks);
}

/* ---- The host ---- */

static void nothing_there(void **state)
{
    struct host *h = *state;

    check_host(h);
    says(h, "cpu", BAWN_CHECK_FIX, "no virtualisation", "firmware");
    says(h, "module", BAWN_CHECK_NOTE, "not loaded", "insmod bawn.ko");
    says(h, "device", BAWN_CHECK_FIX, "there is no /dev/bawn, and no /dev/kvm", "insmod bawn.ko");
    says(h, "thp", BAWN_CHECK_NOTE, "no transparent huge pages", "CONFIG_TRANSPARENT");
    says(h, "ksm", BAWN_CHECK_OK, "no pages are merged", NULL);
    says(h, "faults", BAWN_CHECK_OK, "tells of no faults", NULL);
    says(h, "memlock", BAWN_CHECK_OK, "no swap", NULL);
    assert_false(silent(h, "namespaces") || silent(h, "landlock") || silent(h, "seccomp"));
    assert_true(silent(h, "snp") && silent(h, "hugepages"));
    h->opt.device = "/dev/other";
    check_host(h);
    says(h, "device", BAWN_CHECK_FIX, "there is no /dev/other", "insmod");
}

static void processors(void **state)
{
    static const struct {
        const char *flags;
        enum bawn_check_result result;
        const char *text, *fix;
    } cases[] = {
        { "fpu svm npt lm", BAWN_CHECK_OK, "AMD SVM with nested paging", NULL },
        { "fpu svm lm", BAWN_CHECK_FIX, "without nested paging", "nested paging" },
        { "fpu vmx", BAWN_CHECK_NOTE, "Intel VT-x", NULL },
        { "fpu hypervisor", BAWN_CHECK_FIX, "a virtual machine", "-cpu host" },
        { "fpu svm_lock xsvm npt", BAWN_CHECK_FIX, "neither svm nor vmx", "firmware" },
    };
    struct host *h = *state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[200];

        snprintf(text, sizeof(text), "processor\t: 0\nflags\t\t: %s\nbugs\t\t: svm npt\n",
                 cases[i].flags);
        put(h, "/proc/cpuinfo", text);
        check_host(h);
        says(h, "cpu", cases[i].result, cases[i].text, cases[i].fix);
    }
}

static void modules(void **state)
{
    struct host *h = *state;

    put(h, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    check_host(h);
    says(h, "module", BAWN_CHECK_NOTE, "(lockdown: integrity)", "sign bawn.ko");
    put(h, "/proc/sys/kernel/modules_disabled", "1\n");
    check_host(h);
    says(h, "module", BAWN_CHECK_NOTE, "not loaded", "reboot");
    put(h, "/proc/sys/kernel/modules_disabled", "0\n");
    put(h, "/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    put(h, "/sys/module/module/parameters/sig_enforce", "Y\n");
    check_host(h);
    says(h, "module", BAWN_CHECK_NOTE, "(lockdown: none)", "loads signed modules only");
    put(h, "/sys/module/bawn/version", "0.1.0\n");
    check_host(h);
    says(h, "module", BAWN_CHECK_OK, "bawn.ko 0.1.0 is loaded", NULL);
    put(h, "/sys/module/bawn/taint", "OE\n");
    check_host(h);
    says(h, "module", BAWN_CHECK_NOTE, "unsigned", "sign it");
}

static void nodes(void **state)
{
    struct host *h = *state;

    put(h, "/dev/kvm", ""); /* a file answers no ioctl */
    check_host(h);
    says(h, "device", BAWN_CHECK_FIX, "KVM API version", NULL);
    put(h, "/dev/bawn", "");
    if (geteuid()) { /* root may open everything */
        assert_int_equal(chmod(in(h, "dev/bawn"), 0), 0);
        check_host(h);
        says(h, "device", BAWN_CHECK_FIX, "you may not open /dev/bawn", "chgrp kvm");
    }
    h->opt.accel = BAWN_ACCEL_KVM;
    check_host(h);
    says(h, "device", BAWN_CHECK_FIX, "/dev/kvm answers", NULL);
}

static void memory_of_the_host(void **state)
{
    struct host *h = *state;

    put(h, "/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n");
    put(h, "/sys/kernel/mm/ksm/run", "1\n");
    put(h, "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always advise never [deny]\n");
    put(h, "/sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n");
    put(h, "/sys/devices/system/cpu/vulnerabilities/retbleed", "Vulnerable: no microcode\n");
    check_host(h);
    says(h, "memlock", BAWN_CHECK_NOTE, "swap on /dev/sda2", "swapoff");
    says(h, "ksm", BAWN_CHECK_NOTE, "KSM merges", "ksm/run");
    says(h, "thp", BAWN_CHECK_NOTE, "denied", "shmem_enabled");
    says(h, "faults", BAWN_CHECK_NOTE, "does not mitigate retbleed", "microcode");
    put(h, "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always advise [never] deny\n");
    put(h, "/sys/devices/system/cpu/vulnerabilities/retbleed", "Mitigation: untrained\n");
    put(h, "/proc/swaps", "Filename Type Size Used Priority\n");
    check_host(h);
    says(h, "thp", BAWN_CHECK_OK, "", NULL);
    says(h, "faults", BAWN_CHECK_OK, "mitigates", NULL);
    says(h, "memlock", BAWN_CHECK_OK, "no swap", NULL);
    h->opt.cfg.thp = false;
    check_host(h);
    assert_true(silent(h, "thp"));
}

static void huge_pages(void **state)
{
    struct host *h = *state;

    h->opt.cfg.hugepages = true; /* 512 MiB */
    check_host(h);
    says(h, "hugepages", BAWN_CHECK_FIX, "no huge pages of 2048 KiB", "leave hugepages out");
    assert_true(silent(h, "thp"));
    put(h, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "255\n");
    check_host(h);
    says(h, "hugepages", BAWN_CHECK_FIX, "255 huge pages of 2048 KiB are free", "echo 256");
    put(h, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256\n");
    check_host(h);
    says(h, "hugepages", BAWN_CHECK_OK, "takes 256", NULL);
    h->opt.cfg.hugepage_size = 1u << 30;
    h->opt.cfg.memory = 2ull << 30;
    put(h, "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
    check_host(h);
    says(h, "hugepages", BAWN_CHECK_FIX, "needs 2", "hugepages-1048576kB/nr_hugepages");
}

/* ---- The configuration ---- */

static void put_kernel(struct host *h)
{
    uint8_t *image = make_bzimage();
    FILE *f = fopen(in(h, "kernel"), "w");

    assert_non_null(f);
    assert_int_equal(fwrite(image, BZ_SIZE, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    free(image);
    h->opt.cfg.kernel = strdup(in(h, "kernel"));
    assert_non_null(h->opt.cfg.kernel);
}

static void kernels(void **state)
{
    struct host *h = *state;

    check_config(h);
    says(h, "config", BAWN_CHECK_FIX, "payload.kernel is missing", NULL);
    assert_int_equal(h->checks.nr, 1); /* no more is looked for */
    h->opt.cfg.kernel = strdup("/nonexistent/kernel");
    check_config(h);
    says(h, "kernel", BAWN_CHECK_FIX, "/nonexistent/kernel", "correct the path");
    free(h->opt.cfg.kernel);
    put_kernel(h);
    check_config(h);
    says(h, "kernel", BAWN_CHECK_OK, "can be booted; launch digest ", NULL);
    h->opt.expect.given = true;
    check_config(h);
    says(h, "kernel", BAWN_CHECK_FIX, "is expected to be 0000", NULL);
    h->opt.expect.given = false;
    h->opt.policy = in(h, "policy");
    check_config(h);
    says(h, "policy", BAWN_CHECK_FIX, "", NULL);
    put(h, "/kernel", "no kernel at all");
    check_config(h);
    says(h, "kernel", BAWN_CHECK_FIX, "kernel", NULL);
    assert_true(silent(h, "policy"));
}

static void sizes_of_the_host(void **state)
{
    struct host *h = *state;

    put_kernel(h);
    h->opt.cfg.vcpus = BAWN_MAX_VCPUS;
    put(h, "/proc/meminfo", "MemTotal: 400000 kB\nMemAvailable: 300000 kB\nSwapTotal: 100000 kB\n");
    check_config(h);
    says(h, "memory", BAWN_CHECK_FIX, "the machine has 512 MiB", "smaller");
    h->opt.cfg.memory = 448ull << 20;
    check_config(h);
    says(h, "memory", BAWN_CHECK_NOTE, "292 MiB are available", "smaller");
    h->opt.cfg.memory = 256ull << 20;
    check_config(h);
    says(h, "memory", BAWN_CHECK_OK, "the machine has 256 MiB", NULL);
    if (sysconf(_SC_NPROCESSORS_ONLN) < BAWN_MAX_VCPUS)
        says(h, "cpus", BAWN_CHECK_NOTE, "64 vCPUs share", "smaller");
    h->opt.cfg.vcpus = 1;
    check_config(h);
    says(h, "cpus", BAWN_CHECK_OK, "1 vCPU on", NULL);
}

static void add_disk(struct host *h, const char *name, bool readonly)
{
    assert_int_equal(bawn_vm_config_add_disk(&h->opt.cfg, in(h, name), NULL), BAWN_OK);
    h->opt.cfg.disk[h->opt.cfg.nr_disks - 1].readonly = readonly;
}

static void disks(void **state)
{
    struct bawn_disk held;
    struct host *h = *state;

    put_kernel(h);
    put(h, "/a", "");
    put(h, "/odd", "x");
    assert_int_equal(truncate(in(h, "a"), 4 << 20), 0);
    add_disk(h, "a", false);
    add_disk(h, "none", false);
    add_disk(h, "odd", false);
    add_disk(h, "a", true); /* twice */
    h->opt.cfg.disk[0].uring = true; /* a host without a ring is told of, and no more */
    check_config(h);
    says(h, "disk0", BAWN_CHECK_OK, "4 MiB, raw, read-write", NULL);
    says(h, "disk1", BAWN_CHECK_FIX, "cannot open disk", "qemu-img create");
    says(h, "disk2", BAWN_CHECK_FIX, "must be a multiple of 512", NULL);
    says(h, "disk3", BAWN_CHECK_FIX, "in use", NULL);
    /* Another machine has it. */
    assert_int_equal(bawn_disk_open(&held, &h->opt.cfg.disk[0], NULL), BAWN_OK);
    check_config(h);
    says(h, "disk0", BAWN_CHECK_FIX, "in use by another machine", NULL);
    bawn_disk_close(&held);
    h->opt.cfg.disk[0].uring = false;
    h->opt.cfg.disk[0].format = BAWN_DISK_QCOW2;
    check_config(h);
    says(h, "disk0", BAWN_CHECK_FIX, "", NULL);
}

static void streams(void **state)
{
    struct host *h = *state;
    struct bawn_stream_config *s = &h->opt.cfg.serial;

    put_kernel(h);
    s->mode = BAWN_STREAM_FILE;
    s->path = strdup(in(h, "log"));
    check_config(h);
    says(h, "serial", BAWN_CHECK_OK, "output goes to", NULL);
    assert_int_not_equal(access(s->path, F_OK), 0); /* nothing was made */
    put(h, "/log", "old");
    check_config(h);
    says(h, "serial", BAWN_CHECK_NOTE, "will be emptied", NULL);
    free(s->path);
    s->path = strdup("/nonexistent/\033[2Jlog");
    check_config(h);
    says(h, "serial", BAWN_CHECK_FIX, "/nonexistent/?[2Jlog cannot be written", "may write");
}

static int serve(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void networks(void **state)
{
    struct host *h = *state;
    struct bawn_net_config *net = h->opt.cfg.net;
    int fd;

    put_kernel(h);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(bawn_vm_config_add_net(&h->opt.cfg, NULL), BAWN_OK);
    net[0].tap = strdup("bawnnone0");
    net[1].socket = strdup(in(h, "passt"));
    net[2].fd[0] = 1000;
    net[2].nr_fds = 1;
    check_config(h);
    says(h, "net0", BAWN_CHECK_FIX, "there is no tap bawnnone0", "ip tuntap add bawnnone0");
    says(h, "net1", BAWN_CHECK_FIX, "nobody serves", "passt");
    says(h, "net2", BAWN_CHECK_FIX, "descriptor 1000 is not open", NULL);
    fd = serve(net[1].socket);
    net[2].fd[0] = fd;
    check_config(h);
    says(h, "net1", BAWN_CHECK_OK, "is a socket", NULL);
    says(h, "net2", BAWN_CHECK_OK, "is open", NULL);
    close(fd);
    put(h, "/file", "");
    free(net[1].socket);
    net[1].socket = strdup(in(h, "file"));
    check_config(h);
    says(h, "net1", BAWN_CHECK_FIX, "is not a socket", NULL);
}

static void sockets(void **state)
{
    struct host *h = *state;
    char *long_path;

    put_kernel(h);
    h->opt.cfg.vsock.cid = 3;
    h->opt.cfg.vsock.socket = strdup(in(h, "vsock"));
    h->opt.cfg.tpm = strdup(in(h, "tpm"));
    check_config(h);
    says(h, "vsock", BAWN_CHECK_OK, "can be made", NULL);
    says(h, "tpm", BAWN_CHECK_FIX, "nobody serves", "swtpm");
    put(h, "/vsock", "");
    check_config(h);
    says(h, "vsock", BAWN_CHECK_FIX, "is there already", "rm ");
    free(h->opt.cfg.vsock.socket);
    long_path = malloc(100);
    assert_non_null(long_path);
    memset(long_path, 'a', 99);
    long_path[99] = '\0';
    h->opt.cfg.vsock.socket = long_path;
    check_config(h);
    says(h, "vsock", BAWN_CHECK_FIX, "longer than a socket's path", "shorter");
}

static void no_more_than_there_is_room_for(void **state)
{
    struct host *h = *state;

    h->checks.nr = 0;
    for (unsigned i = 0; i < 2 * BAWN_CHECK_MAX; i++)
        bawn_check_add(&h->checks, "an-id-of-many-characters", BAWN_CHECK_OK, NULL, "%u", i);
    assert_int_equal(h->checks.nr, BAWN_CHECK_MAX);
    assert_string_equal(h->checks.line[0].id, "an-id-of-many-c");
}

#define CHECK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(nothing_there),
        CHECK_TEST(processors),
        CHECK_TEST(modules),
        CHECK_TEST(nodes),
        CHECK_TEST(memory_of_the_host),
        CHECK_TEST(huge_pages),
        CHECK_TEST(kernels),
        CHECK_TEST(sizes_of_the_host),
        CHECK_TEST(disks),
        CHECK_TEST(streams),
        CHECK_TEST(networks),
        CHECK_TEST(sockets),
        CHECK_TEST(no_more_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
