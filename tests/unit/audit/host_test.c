// SPDX-License-Identifier: Apache-2.0
/*
 * attest/audit/host_read.c and host_check.c on trees of files, good ones and hostile ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attest/audit/host.h"

static char tree[64];

/* ---- A tree ---- */

static void make_dirs(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        assert_true(!mkdir(path, 0755) || errno == EEXIST);
        *p = '/';
    }
}

static void full(char *out, size_t size, const char *path)
{
    assert_true((size_t)snprintf(out, size, "%s/%s", tree, path) < size);
    make_dirs(out);
}

static void put_bytes(const char *path, const void *data, size_t len)
{
    char name[512];
    FILE *file;

    full(name, sizeof(name), path);
    file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

static int drop_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int new_tree(void **state)
{
    (void)state;
    strcpy(tree, "/tmp/bawn-host-XXXXXX");
    return mkdtemp(tree) ? 0 : -1;
}

static int drop_tree(void **state)
{
    (void)state;
    return nftw(tree, drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- What is found ---- */

static struct {
    char id[128], found[256], advice[256];
    enum host_state state;
} got[256];
static unsigned nr_got;

static void take(void *context, const struct host_finding *f)
{
    (void)context;
    assert_true(nr_got < 256);
    assert_true(strlen(f->found) < sizeof(got->found) && strlen(f->id) < sizeof(got->id));
    for (const char *c = f->found; *c; c++)
        assert_true(*c >= ' ' && *c <= '~');
    for (const char *c = f->id; *c; c++)
        assert_true(*c >= ' ' && *c <= '~');
    assert_true((f->state == HOST_WARN || f->state == HOST_FAIL) == (*f->advice != '\0'));
    strcpy(got[nr_got].id, f->id);
    strcpy(got[nr_got].found, f->found);
    got[nr_got++].state = f->state;
}

static void examine(const char *exposure)
{
    static struct host_facts facts;
    struct bawn_error err;

    nr_got = 0;
    assert_int_equal(host_read(&facts, tree, exposure, &err), BAWN_OK);
    host_check(&facts, take, NULL);
    host_free(&facts);
}

static void expect(const char *id, enum host_state state, const char *found)
{
    for (unsigned i = 0; i < nr_got; i++) {
        if (strcmp(got[i].id, id) != 0)
            continue;
        if (got[i].state != state || !strstr(got[i].found, found))
            fail_msg("%s: %s, \"%s\"", id, host_state_names[got[i].state], got[i].found);
        return;
    }
    fail_msg("no %s", id);
}

/* ---- Tests ---- */

static void test_nothing(void **state)
{
    (void)state;
    examine(NULL);
    for (unsigned i = 0; i < nr_got; i++)
        if (got[i].state == HOST_OK)
            assert_string_equal(got[i].id, "bawn.software-platform");
    expect("unit.exposure", HOST_NONE, "not asked");
    expect("device.bawn", HOST_NONE, "/dev/bawn");
}

/* A file with this text gives this. */
static const struct {
    enum host_fact fact;
    const char *text, *id, *found;
    enum host_state state;
} facts[] = {
    { FACT_LOCKDOWN, "none [integrity] confidentiality\n", "kernel.lockdown", "integrity",
      HOST_OK },
    { FACT_LOCKDOWN, "[none] integrity confidentiality\n", "kernel.lockdown", "none", HOST_WARN },
    { FACT_LOCKDOWN, "none [integrity]", "kernel.kexec", "signed", HOST_OK },
    { FACT_RELEASE, "6.12.9-amd64\n", "kernel.release", "6.12.9-amd64", HOST_OK },
    { FACT_RELEASE, "6.1.0-30\n", "kernel.release", "6.1.0", HOST_FAIL },
    { FACT_RELEASE, "7.0\n", "kernel.release", "7.0", HOST_OK },
    { FACT_RELEASE, "new\n", "kernel.release", "unknown", HOST_WARN },
    { FACT_CMDLINE, "ro quiet\n", "kernel.command-line", "nothing", HOST_OK },
    { FACT_CMDLINE, "mitigations=off ro\n", "kernel.command-line", "mitigations=off", HOST_FAIL },
    { FACT_CMDLINE, "ro iommu=pt\n", "kernel.command-line", "iommu=pt", HOST_WARN },
    { FACT_CMDLINE, "xmitigations=off iommu=ptx\n", "kernel.command-line", "nothing", HOST_OK },
    { FACT_TAINT, "0\n", "kernel.taint", "0", HOST_OK },
    { FACT_TAINT, "4096\n", "kernel.taint", "4096", HOST_OK },
    { FACT_TAINT, "8192\n", "kernel.taint", "unsigned", HOST_FAIL },
    { FACT_TAINT, "262144\n", "kernel.taint", "software platform", HOST_FAIL },
    { FACT_TAINT, "512\n", "kernel.taint", "warning", HOST_WARN },
    { FACT_TAINT, "-1\n", "kernel.taint", "unknown", HOST_WARN },
    { FACT_TAINT, "1 2\n", "kernel.taint", "unknown", HOST_WARN },
    { FACT_SIG_ENFORCE, "Y\n", "kernel.module-signatures", "enforced", HOST_OK },
    { FACT_SIG_ENFORCE, "N\n", "kernel.module-signatures", "not enforced", HOST_WARN },
    { FACT_KEXEC_OFF, "1\n", "kernel.kexec", "signed", HOST_OK },
    { FACT_CRASH_KERNEL, "1\n", "dumps.kernel", "loaded", HOST_WARN },
    { FACT_CRASH_KERNEL, "0\n", "dumps.kernel", "no crash", HOST_OK },
    { FACT_CPUINFO, "flags\t\t: fpu svm npt sev sev_snp\n", "tee.svm", "svm", HOST_OK },
    { FACT_CPUINFO, "flags\t\t: fpu svm\n", "tee.svm", "without npt", HOST_FAIL },
    { FACT_CPUINFO, "flags\t\t: fpu vmx svmx\n", "tee.svm", "no svm", HOST_FAIL },
    { FACT_CPUINFO, "flags\t: sev_snp\n", "tee.snp", "kvm_amd is not", HOST_OK },
    { FACT_CPUINFO, "flags\t: sev_snp\n", "tee.snp-firmware", "not asked", HOST_WARN },
    { FACT_CPUINFO, "microcode\t: 0x1\nx\nmicrocode\t: 0x1\n", "cpu.microcode", "0x1 on all",
      HOST_OK },
    { FACT_CPUINFO, "microcode\t: 0x1\nmicrocode\t: 0x2", "cpu.microcode", "0x1 and 0x2",
      HOST_FAIL },
    { FACT_CPUINFO, "microcode", "cpu.microcode", "", HOST_NONE },
    { FACT_SMT, "1\n", "cpu.smt", "share", HOST_WARN },
    { FACT_SMT, "0\n", "cpu.smt", "off", HOST_OK },
    { FACT_KVM_INTEL_TDX, "Y\n", "tee.tdx", "Y", HOST_OK },
    { FACT_KVM_INTEL_TDX, "N\n", "tee.tdx", "N", HOST_WARN },
    { FACT_BAWN_TAINT, "O\n", "bawn.module", "taint O", HOST_OK },
    { FACT_BAWN_TAINT, "OE\n", "bawn.module", "taint OE", HOST_FAIL },
    { FACT_PLATFORM, "live\n", "bawn.software-platform", "loaded", HOST_FAIL },
    { FACT_TPM, "2\n", "boot.tpm", "2.0", HOST_OK },
    { FACT_TPM, "1\n", "boot.tpm", "not 2.0", HOST_WARN },
    { FACT_SWAPS, "Filename Type\n", "memory.swap", "none", HOST_OK },
    { FACT_SWAPS, "Filename Type\n/dev/sda2 partition\n", "memory.swap", "/dev/sda2", HOST_WARN },
    { FACT_KSM, "1\n", "memory.ksm", "merges", HOST_FAIL },
    { FACT_KSM, "2\n", "memory.ksm", "off", HOST_OK },
    { FACT_THP, "always madvise [never]\n", "memory.huge-pages", "never", HOST_WARN },
    { FACT_THP, "always [madvise] never\n", "memory.huge-pages", "madvise", HOST_OK },
    { FACT_CORE_PATTERN, "|/bin/false\n", "dumps.core", "false", HOST_OK },
    { FACT_CORE_PATTERN, "core\n", "dumps.core", "core", HOST_WARN },
    { FACT_CORE_PATTERN, "\n", "dumps.core", "empty", HOST_OK },
    { FACT_KPTR, "0\n", "sysctl.kernel.kptr_restrict", "0", HOST_WARN },
    { FACT_PERF, "3\n", "sysctl.kernel.perf_event_paranoid", "3", HOST_OK },
};

static void test_facts(void **state)
{
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        put(host_fact_path(facts[i].fact), facts[i].text);
        examine(NULL);
        expect(facts[i].id, facts[i].state, facts[i].found);
        assert_int_equal(drop_tree(state), 0);
        assert_int_equal(new_tree(state), 0);
    }
}

static void test_two_facts(void **state)
{
    (void)state;
    put(host_fact_path(FACT_CPUINFO), "flags\t: sev_snp\n");
    put(host_fact_path(FACT_KVM_AMD_SNP), "N\n");
    put(host_fact_path(FACT_CORE_PATTERN), "|/bin/false\n");
    put(host_fact_path(FACT_SUID_DUMPABLE), "1\n");
    put(host_fact_path(FACT_SIG_ENFORCE), "N\n");
    put(host_fact_path(FACT_LOCKDOWN), "none integrity [confidentiality]\n");
    put("sys/class/iommu/ivhd0", "");
    put_bytes(host_fact_path(FACT_SECURE_BOOT), "\x06\0\0\0\x01", 5);
    examine(NULL);
    expect("tee.snp", HOST_WARN, "N");
    expect("dumps.core", HOST_FAIL, "suid_dumpable 1");
    expect("kernel.module-signatures", HOST_OK, "enforced");
    expect("iommu.active", HOST_OK, "1");
    expect("boot.secure-boot", HOST_OK, "on");
    put_bytes(host_fact_path(FACT_SECURE_BOOT), "\x06\0\0\0\0", 5);
    examine(NULL);
    expect("boot.secure-boot", HOST_WARN, "off");
}

static void test_vulnerabilities(void **state)
{
    (void)state;
    put("sys/devices/system/cpu/vulnerabilities/b", "Mitigation: all; SMT vulnerable\n");
    put("sys/devices/system/cpu/vulnerabilities/a", "Vulnerable: no microcode\n");
    put("sys/devices/system/cpu/vulnerabilities/c", "Not affected\n");
    put("sys/devices/system/cpu/vulnerabilities/d", "Unknown: no\n");
    put("sys/devices/system/cpu/vulnerabilities/e\033[31m", "Not \033[31maffected\n");
    examine(NULL);
    expect("cpu.vulnerability.a", HOST_FAIL, "no microcode");
    expect("cpu.vulnerability.b", HOST_WARN, "SMT");
    expect("cpu.vulnerability.c", HOST_OK, "Not affected");
    expect("cpu.vulnerability.d", HOST_WARN, "Unknown");
    expect("cpu.vulnerability.e [31m", HOST_OK, "Not [31maffected");
}

/* The answer of SNP_PLATFORM_STATUS as a file: version, state, RMP, build, masks, guests, TCBs. */
static void test_firmware(void **state)
{
    uint8_t status[32] = { 1, 55, 1, 1 };
    const char *path = host_fact_path(FACT_SNP_STATUS);

    (void)state;
    status[16] = status[24] = 4;
    put_bytes(path, status, sizeof(status));
    examine(NULL);
    expect("tee.snp-firmware", HOST_OK, "ABI 1.55, TCB current 0000000000000004");
    status[24] = 3;
    put_bytes(path, status, sizeof(status));
    examine(NULL);
    expect("tee.snp-firmware", HOST_WARN, "reported 0000000000000003");
    status[8] = 2;
    put_bytes(path, status, sizeof(status));
    examine(NULL);
    expect("tee.snp-firmware", HOST_WARN, "RMP initialised");
    status[1] = 49;
    put_bytes(path, status, sizeof(status));
    examine(NULL);
    expect("tee.snp-firmware", HOST_FAIL, "ABI 1.49");
    status[3] = 0;
    put_bytes(path, status, sizeof(status));
    examine(NULL);
    expect("tee.snp-firmware", HOST_FAIL, "no RMP");
    put_bytes(path, status, 31);
    examine(NULL);
    expect("tee.snp-firmware", HOST_NONE, "not asked");
}

static void test_nodes(void **state)
{
    char name[512];

    (void)state;
    put("dev/bawn", "");
    full(name, sizeof(name), "dev/bawn");
    assert_int_equal(chmod(name, 0666), 0);
    examine(NULL);
    expect("device.bawn", HOST_FAIL, "0666");
    assert_int_equal(chmod(name, 0660), 0);
    examine(NULL);
    expect("device.bawn", getuid() ? HOST_WARN : HOST_OK, "0660");
}

static void test_units(void **state)
{
    char path[512];

    (void)state;
    full(path, sizeof(path), "units");
    put("units", "[{\"unit\":\"bawn-attestd.service\",\"exposure\":\"1.3\"},"
                 "{\"unit\":\"bawn-b.service\",\"exposure\":4.2},"
                 "{\"unit\":\"bawn-c.service\",\"exposure\":\"9.6\"},"
                 "{\"unit\":\"bawn-d.service\",\"exposure\":\"much\"},"
                 "{\"unit\":\"cron.service\",\"exposure\":\"9.6\"}, 7, {\"unit\":[]}]");
    examine(path);
    expect("unit.bawn-attestd.service", HOST_OK, "1.3");
    expect("unit.bawn-b.service", HOST_WARN, "4.2");
    expect("unit.bawn-c.service", HOST_FAIL, "9.6");
    expect("unit.bawn-d.service", HOST_WARN, "no exposure");
    for (unsigned i = 0; i < nr_got; i++)
        assert_null(strstr(got[i].id, "cron"));
    put("units", "[{\"unit\":\"bawn-a\",");
    examine(path);
    expect("unit.exposure", HOST_WARN, "not what");
    put("units", "{}");
    examine(path);
    expect("unit.exposure", HOST_WARN, "not what");
}

/* What must not be followed, waited for or believed. */
static void test_hostile(void **state)
{
    char name[512], *large = malloc(5 << 20);

    (void)state;
    full(name, sizeof(name), host_fact_path(FACT_RELEASE));
    assert_int_equal(mkfifo(name, 0600), 0); /* nobody writes there */
    full(name, sizeof(name), host_fact_path(FACT_CMDLINE));
    assert_int_equal(symlink("/etc/passwd", name), 0); /* below the root there is none */
    full(name, sizeof(name), host_fact_path(FACT_TAINT));
    assert_int_equal(symlink("../../../../../../../../etc/passwd", name), 0);
    full(name, sizeof(name), host_fact_path(FACT_SWAPS));
    assert_int_equal(mkdir(name, 0755), 0);
    assert_non_null(large);
    memset(large, 'x', 5 << 20);
    put_bytes(host_fact_path(FACT_CPUINFO), large, 5 << 20);
    put_bytes(host_fact_path(FACT_LOCKDOWN), large, 1 << 20);
    put_bytes(host_fact_path(FACT_THP), "\xff\xfe\0\x1b[2J", 7);
    free(large);
    examine(NULL);
    expect("kernel.release", HOST_WARN, "unknown");
    expect("kernel.command-line", HOST_WARN, "unknown");
    expect("kernel.taint", HOST_WARN, "unknown");
    expect("memory.swap", HOST_WARN, "unknown");
    expect("cpu.microcode", HOST_NONE, "nothing");
    expect("kernel.lockdown", HOST_WARN, "xxxx");
    expect("memory.huge-pages", HOST_WARN, "[2J");
}

static void test_no_root(void **state)
{
    static struct host_facts none;
    struct bawn_error err;

    (void)state;
    assert_int_equal(host_read(&none, "/nowhere/at/all", NULL, &err), BAWN_E_IO);
    host_free(&none);
    assert_int_equal(host_read(&none, tree, "/nowhere/at/all", &err), BAWN_E_IO);
    host_free(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_facts, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_two_facts, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_vulnerabilities, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_firmware, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_nodes, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_units, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_hostile, new_tree, drop_tree),
        cmocka_unit_test_setup_teardown(test_no_root, new_tree, drop_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
