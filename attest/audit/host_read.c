// SPDX-License-Identifier: Apache-2.0
/*
 * Reads what a host says of itself, below a root: no path leads out of it, nothing but ordinary
 * files is read, nothing without a limit. Trusts the command line alone.
 */
#include "attest/audit/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"

#define FACT_MAX ((size_t)4 << 20) /* cpuinfo of some thousand processors */
#define UNITS_MAX ((size_t)1 << 20)
#define ANALYZE "/usr/bin/systemd-analyze"
#define ANALYZE_MS 20000

static const char *const paths[FACTS] = {
    [FACT_LOCKDOWN] = "sys/kernel/security/lockdown",
    [FACT_RELEASE] = "proc/sys/kernel/osrelease",
    [FACT_CMDLINE] = "proc/cmdline",
    [FACT_TAINT] = "proc/sys/kernel/tainted",
    [FACT_SIG_ENFORCE] = "sys/module/module/parameters/sig_enforce",
    [FACT_KEXEC_OFF] = "proc/sys/kernel/kexec_load_disabled",
    [FACT_CRASH_KERNEL] = "sys/kernel/kexec_crash_loaded",
    [FACT_CPUINFO] = "proc/cpuinfo",
    [FACT_SMT] = "sys/devices/system/cpu/smt/active",
    [FACT_KVM_AMD_SNP] = "sys/module/kvm_amd/parameters/sev_snp",
    [FACT_KVM_INTEL_TDX] = "sys/module/kvm_intel/parameters/tdx",
    [FACT_BAWN_TAINT] = "sys/module/bawn/taint",
    [FACT_BAWN_VERSION] = "sys/module/bawn/srcversion",
    [FACT_PLATFORM] = "sys/module/bawn_platform/initstate",
    [FACT_SECURE_BOOT] = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    [FACT_TPM] = "sys/class/tpm/tpm0/tpm_version_major",
    [FACT_SWAPS] = "proc/swaps",
    [FACT_KSM] = "sys/kernel/mm/ksm/run",
    [FACT_THP] = "sys/kernel/mm/transparent_hugepage/enabled",
    [FACT_CORE_PATTERN] = "proc/sys/kernel/core_pattern",
    [FACT_SUID_DUMPABLE] = "proc/sys/fs/suid_dumpable",
    [FACT_KPTR] = "proc/sys/kernel/kptr_restrict",
    [FACT_DMESG] = "proc/sys/kernel/dmesg_restrict",
    [FACT_PTRACE] = "proc/sys/kernel/yama/ptrace_scope",
    [FACT_BPF] = "proc/sys/kernel/unprivileged_bpf_disabled",
    [FACT_PERF] = "proc/sys/kernel/perf_event_paranoid",
    [FACT_SNP_STATUS] = "dev/sev",
};

const char *host_fact_path(enum host_fact fact)
{
    return (unsigned)fact < FACTS ? paths[fact] : NULL;
}

/* ---- Files below the root ---- */

static int open_below(int root, const char *path, int flags)
{
    struct open_how how = { .flags = (unsigned)(flags | O_CLOEXEC),
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* Nothing where there is nothing, or too much. */
static void read_text(int fd, struct bawn_bytes *out)
{
    struct bawn_error err;

    if (bytes_read(fd, "", FACT_MAX, out, &err) != BAWN_OK)
        *out = (struct bawn_bytes){ NULL, 0 };
}

static bool is_file(int fd)
{
    struct stat stat;

    return !fstat(fd, &stat) && S_ISREG(stat.st_mode);
}

static void read_below(int root, const char *path, struct bawn_bytes *out)
{
    int fd = open_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return;
    if (is_file(fd))
        read_text(fd, out);
    close(fd);
}

static DIR *list_below(int root, const char *path)
{
    int fd = open_below(root, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (fd >= 0 && !dir)
        close(fd);
    return dir;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct host_named *)a)->name, ((const struct host_named *)b)->name);
}

static void read_vulnerabilities(struct host_facts *f, int root)
{
    DIR *dir = list_below(root, "sys/devices/system/cpu/vulnerabilities");
    const struct dirent *e;

    while (dir && f->nr_vulnerabilities < HOST_NAMED_MAX && (e = readdir(dir))) {
        struct host_named *v = &f->vulnerability[f->nr_vulnerabilities];
        int fd;

        if (e->d_name[0] == '.' || strlen(e->d_name) >= sizeof(v->name))
            continue;
        fd = open_below(dirfd(dir), e->d_name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
            continue;
        memcpy(v->name, e->d_name, strlen(e->d_name) + 1);
        if (is_file(fd))
            read_text(fd, &v->text);
        f->nr_vulnerabilities += v->text.data != NULL;
        close(fd);
    }
    if (dir)
        closedir(dir);
    qsort(f->vulnerability, f->nr_vulnerabilities, sizeof(f->vulnerability[0]), by_name);
}

static unsigned count_below(int root, const char *path)
{
    DIR *dir = list_below(root, path);
    const struct dirent *e;
    unsigned n = 0;

    while (dir && n < 4096 && (e = readdir(dir)))
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

static void look_at(int root, struct host_node *node)
{
    int fd = open_below(root, node->path, O_PATH);
    struct stat stat;

    if (fd < 0)
        return;
    if (!fstat(fd, &stat)) {
        node->there = true;
        node->mode = stat.st_mode;
        node->uid = stat.st_uid;
        node->gid = stat.st_gid;
    }
    close(fd);
}

/* ---- What is asked, not read ---- */

/* Linux's uapi/linux/psp-sev.h: struct sev_issue_cmd, SEV_ISSUE_CMD, SNP_PLATFORM_STATUS. */
struct sev_command {
    uint32_t cmd;
    uint64_t data;
    uint32_t error;
} __attribute__((packed));
#define SEV_COMMAND _IOWR('S', 0, struct sev_command)
#define SNP_PLATFORM_STATUS 9
#define SNP_STATUS_SIZE 32 /* AMD 56860, 8.3 */

static void ask_firmware(int root, struct bawn_bytes *out)
{
    int fd = open_below(root, paths[FACT_SNP_STATUS], O_RDWR);
    uint8_t *status = calloc(1, SNP_STATUS_SIZE);
    struct sev_command command = { .cmd = SNP_PLATFORM_STATUS, .data = (uintptr_t)status };
    struct stat stat;

    if (fd >= 0 && status && !fstat(fd, &stat) && S_ISCHR(stat.st_mode) &&
        !ioctl(fd, SEV_COMMAND, &command)) {
        *out = (struct bawn_bytes){ status, SNP_STATUS_SIZE };
        status = NULL;
    }
    free(status);
    if (fd >= 0)
        close(fd);
}

/* Until the end of what a child says, its limit or the time's. */
static size_t hear(int fd, uint8_t *text, size_t most)
{
    struct pollfd in = { .fd = fd, .events = POLLIN };
    struct timespec now;
    size_t len = 0;
    ssize_t n = 1;
    int64_t end, left;

    clock_gettime(CLOCK_MONOTONIC, &now);
    end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ANALYZE_MS;
    while (n > 0 && len < most) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        left = end - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
        n = left > 0 && poll(&in, 1, (int)left) == 1 ? read(fd, text + len, most - len) : -1;
        len += n > 0 ? (size_t)n : 0;
    }
    return n ? 0 : len;
}

static void ask_systemd(struct bawn_bytes *out)
{
    static char *const argv[] = { (char *)ANALYZE, (char *)"security", (char *)"--json=short",
                                  (char *)"--no-pager", NULL };
    static char *const env[] = { (char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL };
    uint8_t *text = malloc(UNITS_MAX);
    int pipe_fd[2];
    pid_t pid;

    if (!text || pipe2(pipe_fd, O_CLOEXEC)) {
        free(text);
        return;
    }
    pid = fork();
    if (!pid) {
        int null = open("/dev/null", O_RDWR);

        if (null >= 0 && dup2(null, 0) == 0 && dup2(pipe_fd[1], 1) == 1 && dup2(null, 2) == 2)
            execve(argv[0], argv, env);
        _exit(1);
    }
    close(pipe_fd[1]);
    out->len = pid > 0 ? hear(pipe_fd[0], text, UNITS_MAX) : 0;
    close(pipe_fd[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    out->data = out->len ? text : NULL;
    if (!out->len)
        free(text);
}

/* ---- All ---- */

static enum bawn_status read_exposure(const char *path, struct bawn_bytes *out,
                                      struct bawn_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum bawn_status st;

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", path);
    st = bytes_read(fd, path, UNITS_MAX, out, err);
    close(fd);
    return st == BAWN_E_FORMAT ? BAWN_E_IO : st;
}

enum bawn_status host_read(struct host_facts *f, const char *root, const char *exposure,
                           struct bawn_error *err)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    enum bawn_status st = BAWN_OK;
    bool own = !strcmp(root, "/");

    *f = (struct host_facts){ .root = root,
                              .node = { { .path = "dev/bawn" }, { .path = "dev/kvm" } } };
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open the directory %s: %m", root);
    for (unsigned i = 0; i < FACTS; i++)
        read_below(fd, paths[i], &f->fact[i]);
    if (own)
        ask_firmware(fd, &f->fact[FACT_SNP_STATUS]);
    read_vulnerabilities(f, fd);
    f->nr_iommus = count_below(fd, "sys/class/iommu");
    for (unsigned i = 0; i < 2; i++)
        look_at(fd, &f->node[i]);
    if (exposure)
        st = read_exposure(exposure, &f->units, err);
    else if (own && !access("/run/systemd/system", F_OK) && !access(ANALYZE, X_OK))
        ask_systemd(&f->units);
    close(fd);
    return st;
}

void host_free(struct host_facts *f)
{
    for (unsigned i = 0; i < FACTS; i++)
        free((void *)(uintptr_t)f->fact[i].data);
    for (size_t i = 0; i < f->nr_vulnerabilities; i++)
        free((void *)(uintptr_t)f->vulnerability[i].text.data);
    free((void *)(uintptr_t)f->units.data);
}
