// SPDX-License-Identifier: Apache-2.0
/*
 * The host: what machines need of it and what makes them better locked in. Reads what any user may
 * read; trusts the kernel.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sandbox.h"
#include "snp.h"

#define LINE 512

/* Whether word is one of text's, which are apart by spaces or lines. */
static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = text; (p = strstr(p, word)); p += len)
        if ((p == text || strchr(" \t\n", p[-1])) && (!p[len] || strchr(" \t\n", p[len])))
            return true;
    return false;
}

/* The file is there and begins so. */
static bool file_is(const struct bawn_checks *c, const char *path, const char *start)
{
    char text[LINE];

    return bawn_check_read(c, path, text, sizeof(text)) && !strncmp(text, start, strlen(start));
}

/* ---- The processor ---- */

/* The flags of the first processor; empty: they are not told. */
static void read_flags(const struct bawn_checks *c, char *flags, size_t room)
{
    char text[8192];
    char *line;

    flags[0] = '\0';
    if (!bawn_check_read(c, "/proc/cpuinfo", text, sizeof(text)))
        return;
    line = strstr(text, "\nflags");
    if (line)
        snprintf(flags, room, "%.*s", (int)strcspn(line + 1, "\n"), line + 1);
}

static void check_cpu(struct bawn_checks *c)
{
    char flags[4096];

    read_flags(c, flags, sizeof(flags));
    if (has_word(flags, "svm") && has_word(flags, "npt"))
        bawn_check_add(c, "cpu", BAWN_CHECK_OK, NULL, "AMD SVM with nested paging");
    else if (has_word(flags, "svm"))
        bawn_check_add(c, "cpu", BAWN_CHECK_FIX,
                       "use a processor with nested paging, or give it to this virtual machine",
                       "AMD SVM without nested paging");
    else if (has_word(flags, "vmx"))
        bawn_check_add(c, "cpu", BAWN_CHECK_NOTE, NULL,
                       "Intel VT-x: machines run on /dev/kvm (kvm_intel); bawn.ko drives AMD SVM");
    else if (c->served)
        bawn_check_add(c, "cpu", BAWN_CHECK_NOTE, NULL,
                       "its flags show no virtualisation, and yet a module serves machines");
    else if (has_word(flags, "hypervisor"))
        bawn_check_add(
            c, "cpu", BAWN_CHECK_FIX,
            "switch nested virtualisation on where this virtual machine runs (with QEMU: "
            "-cpu host, and nested=1 of kvm_amd or kvm_intel)",
            "this is a virtual machine without virtualisation of its own");
    else
        bawn_check_add(c, "cpu", BAWN_CHECK_FIX,
                       "switch SVM (AMD) or VT-x (Intel) on in the firmware's setup",
                       "the processor shows no virtualisation: neither svm nor vmx is among its "
                       "flags");
}

/* ---- The module ---- */

/* The word in brackets of a file that lists what there is to choose from. */
static void read_choice(const struct bawn_checks *c, const char *path, char *choice, size_t room)
{
    char text[LINE];
    const char *at = bawn_check_read(c, path, text, sizeof(text)) ? strchr(text, '[') : NULL;

    snprintf(choice, room, "%.*s", at ? (int)strcspn(at + 1, "]") : 4, at ? at + 1 : "none");
}

/* Why this kernel might not load bawn.ko; NULL: nothing is known. */
static const char *why_no_module(const struct bawn_checks *c, const char *lockdown)
{
    if (file_is(c, "/proc/sys/kernel/modules_disabled", "1"))
        return "this kernel loads no more modules (kernel.modules_disabled): reboot, and load it "
               "earlier";
    if (strcmp(lockdown, "none") != 0)
        return "the kernel is locked down and loads signed modules only: sign bawn.ko with a key "
               "that it trusts (mokutil --import)";
    if (file_is(c, "/sys/module/module/parameters/sig_enforce", "Y"))
        return "the kernel loads signed modules only: sign bawn.ko with a key that it trusts "
               "(mokutil --import)";
    return NULL;
}

static void check_module(struct bawn_checks *c)
{
    char version[64], taint[LINE], lockdown[24];
    bool loaded = bawn_check_access(c, "/sys/module/bawn", F_OK);
    const char *why;

    read_choice(c, "/sys/kernel/security/lockdown", lockdown, sizeof(lockdown));
    why = why_no_module(c, lockdown);
    if (!loaded) {
        bawn_check_add(c, "module", BAWN_CHECK_NOTE,
                       why ? why : "insmod bawn.ko, as root, to have launches measured",
                       "bawn.ko is not loaded (lockdown: %s)", lockdown);
        return;
    }
    if (!bawn_check_read(c, "/sys/module/bawn/version", version, sizeof(version)))
        snprintf(version, sizeof(version), "of no version");
    if (bawn_check_read(c, "/sys/module/bawn/taint", taint, sizeof(taint)) && strchr(taint, 'E'))
        bawn_check_add(c, "module", BAWN_CHECK_NOTE,
                       "sign it, if this host is to say that it runs what its owner signed",
                       "bawn.ko %s is loaded, unsigned (lockdown: %s)", version, lockdown);
    else
        bawn_check_add(c, "module", BAWN_CHECK_OK, NULL, "bawn.ko %s is loaded (lockdown: %s)",
                       version, lockdown);
}

/* What somebody without the right to open it does. */
static void say_rights(const char *path, char *fix, size_t room)
{
    const struct group *group;
    struct stat st;

    if (stat(path, &st) || (st.st_mode & 060) != 060 || !st.st_gid) {
        snprintf(fix, room,
                 "as root: chgrp kvm %.99s && chmod 660 %.99s, and usermod -aG kvm %.40s", path,
                 path, getenv("USER") ? getenv("USER") : "you");
        return;
    }
    group = getgrgid(st.st_gid);
    snprintf(fix, room, "as root: usermod -aG %s %s, and log in again",
             group ? group->gr_name : "its-group", getenv("USER") ? getenv("USER") : "you");
}

/* The node that bawn run would open. */
static const char *device_path(const struct bawn_checks *c)
{
    if (c->opt->device)
        return c->opt->device;
    if (c->opt->accel == BAWN_ACCEL_KVM || !bawn_check_access(c, "/dev/bawn", F_OK))
        return "/dev/kvm";
    return "/dev/bawn";
}

static void check_snp(struct bawn_checks *c, const struct bawn_accel *accel)
{
    struct bawn_error err = { "" };
    bool on = c->opt->cfg.snp.on;

    if (bawn_snp_check(accel->path, accel->fd, accel->measures, &err))
        bawn_check_add(c, "snp", on ? BAWN_CHECK_FIX : BAWN_CHECK_NOTE, NULL, "%s", err.msg);
    else if (bawn_check_access(c, "/sys/module/bawn_platform", F_OK))
        bawn_check_add(c, "snp", BAWN_CHECK_NOTE, "for secrets, use an EPYC with SEV-SNP",
                       "confidential machines run on the software platform: nothing of them is "
                       "secret from this host");
    else
        bawn_check_add(c, "snp", BAWN_CHECK_OK, NULL, "%s runs SEV-SNP machines", accel->path);
}

static void check_device(struct bawn_checks *c)
{
    const char *path = device_path(c);
    struct bawn_error err = { "" };
    struct bawn_accel accel;
    char fix[LINE], whole[LINE];

    snprintf(whole, sizeof(whole), "%s%s", c->root, path);
    if (access(whole, F_OK)) {
        bawn_check_add(c, "device", BAWN_CHECK_FIX,
                       "as root: insmod bawn.ko, or modprobe kvm_amd (kvm_intel on Intel)",
                       c->opt->device || c->opt->accel == BAWN_ACCEL_KVM
                           ? "there is no %s"
                           : "there is no /dev/bawn, and no %s",
                       path);
        return;
    }
    if (access(whole, R_OK | W_OK)) {
        say_rights(whole, fix, sizeof(fix));
        bawn_check_add(c, "device", BAWN_CHECK_FIX, fix, "you may not open %s: %s", path,
                       strerror(errno));
        return;
    }
    if (bawn_accel_open(&accel, c->opt->accel, whole, bawn_vm_config_max_vcpus(&c->opt->cfg),
                        &err)) {
        bawn_check_add(c, "device", BAWN_CHECK_FIX, NULL, "%s", err.msg);
        return;
    }
    c->served = true;
    if (accel.measures)
        bawn_check_add(c, "device", BAWN_CHECK_OK, NULL, "%s is bawn.ko's: launches are measured",
                       path);
    else
        bawn_check_add(c, "device",
                       c->opt->accel == BAWN_ACCEL_KVM ? BAWN_CHECK_OK : BAWN_CHECK_NOTE, NULL,
                       "%s is another KVM's: machines run, and launches are not measured", path);
    check_snp(c, &accel);
    bawn_accel_close(&accel);
}

/* ---- What the processes are locked in with ---- */

static void check_namespaces(struct bawn_checks *c)
{
    static const struct {
        const char *path, *value, *fix;
    } reasons[] = {
        { "/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000" },
        { "/proc/sys/kernel/unprivileged_userns_clone", "0",
          "sysctl kernel.unprivileged_userns_clone=1" },
        { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
          "give bawn an AppArmor profile with userns, or sysctl "
          "kernel.apparmor_restrict_unprivileged_userns=0" },
    };
    const char *fix = "a container's or a service's rules may forbid them; allow clone() there";
    bool apart = false;
    pid_t pid = bawn_sandbox_fork(&apart);

    if (!pid)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (apart) {
        bawn_check_add(c, "namespaces", BAWN_CHECK_OK, NULL,
                       "each process gets user, mount, network, pid and ipc namespaces");
        return;
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (file_is(c, reasons[i].path, reasons[i].value))
            fix = reasons[i].fix;
    bawn_check_add(c, "namespaces", BAWN_CHECK_NOTE, fix,
                   "this host permits no user namespaces: machines run without that part of their "
                   "lock-in");
}

static void check_landlock(struct bawn_checks *c)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi > 0)
        bawn_check_add(c, "landlock", BAWN_CHECK_OK, NULL,
                       "Landlock, ABI %ld%s: no process of a machine opens a file", abi,
                       abi < 4 ? " (files only; from 4 on, Linux 6.7, the network too)" : "");
    else
        bawn_check_add(c, "landlock", BAWN_CHECK_NOTE,
                       errno == EOPNOTSUPP ? "add landlock to lsm= on this host's kernel command "
                                             "line"
                                           : "use a kernel with CONFIG_SECURITY_LANDLOCK",
                       "no Landlock: machines run without that part of their lock-in");
}

static void check_seccomp(struct bawn_checks *c)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;

    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
        bawn_check_add(c, "seccomp", BAWN_CHECK_NOTE, "use a kernel with CONFIG_SECCOMP_FILTER",
                       "no seccomp filters: machines run without that part of their lock-in");
    else
        bawn_check_add(c, "seccomp", BAWN_CHECK_OK, NULL,
                       "each process has a filter of system calls");
}

/* ---- Memory ---- */

static void check_memlock(struct bawn_checks *c)
{
    struct rlimit limit = { 0, 0 };
    char text[2048], *first;

    getrlimit(RLIMIT_MEMLOCK, &limit);
    first = bawn_check_read(c, "/proc/swaps", text, sizeof(text)) ? strchr(text, '\n') : NULL;
    if (first)
        bawn_check_add(c, "memlock", BAWN_CHECK_NOTE,
                       "encrypt swap, or swapoff -a, if guests have secrets",
                       "guest memory is not locked, and can reach swap on %.*s",
                       (int)strcspn(first + 1, " \t\n"), first + 1);
    else
        bawn_check_add(c, "memlock", BAWN_CHECK_OK, NULL,
                       "nothing has to be locked in memory (limit: %lld KiB), and there is no swap",
                       limit.rlim_cur == RLIM_INFINITY ? -1ll : (long long)(limit.rlim_cur >> 10));
}

static void check_hugepages(struct bawn_checks *c)
{
    const struct bawn_vm_config *cfg = &c->opt->cfg;
    uint64_t size = cfg->hugepage_size ? cfg->hugepage_size : 2u << 20, want = cfg->memory / size;
    char dir[64], path[128], text[64], fix[160];

    if (!cfg->hugepages)
        return;
    snprintf(dir, sizeof(dir), "/sys/kernel/mm/hugepages/hugepages-%llukB",
             (unsigned long long)size >> 10);
    snprintf(path, sizeof(path), "%s/free_hugepages", dir);
    if (!bawn_check_read(c, path, text, sizeof(text))) {
        bawn_check_add(c, "hugepages", BAWN_CHECK_FIX,
                       "use a size that /sys/kernel/mm/hugepages has, or leave hugepages out",
                       "this host has no huge pages of %llu KiB", (unsigned long long)size >> 10);
        return;
    }
    snprintf(fix, sizeof(fix), "as root: echo %llu >%s/nr_hugepages", (unsigned long long)want,
             dir);
    if (strtoull(text, NULL, 10) < want)
        bawn_check_add(c, "hugepages", BAWN_CHECK_FIX, fix,
                       "%s huge pages of %llu KiB are free, and the machine needs %llu", text,
                       (unsigned long long)size >> 10, (unsigned long long)want);
    else
        bawn_check_add(c, "hugepages", BAWN_CHECK_OK, NULL,
                       "%s huge pages of %llu KiB are free, of which the machine takes %llu", text,
                       (unsigned long long)size >> 10, (unsigned long long)want);
}

static void check_thp(struct bawn_checks *c)
{
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    char choice[24];

    if (c->opt->cfg.hugepages || !c->opt->cfg.thp)
        return;
    read_choice(c, path, choice, sizeof(choice));
    if (!bawn_check_access(c, path, R_OK))
        bawn_check_add(c, "thp", BAWN_CHECK_NOTE, "use a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
                       "no transparent huge pages: guests are slower where they use much memory");
    else if (!strcmp(choice, "deny"))
        bawn_check_add(c, "thp", BAWN_CHECK_NOTE,
                       "as root: echo never >/sys/kernel/mm/transparent_hugepage/shmem_enabled "
                       "(bawn asks for its own files)",
                       "transparent huge pages of files are denied to all");
    else
        bawn_check_add(c, "thp", BAWN_CHECK_OK, NULL,
                       "plain machines get transparent huge pages, where namespaces are permitted");
}

static void check_ksm(struct bawn_checks *c)
{
    if (file_is(c, "/sys/kernel/mm/ksm/run", "1"))
        bawn_check_add(
            c, "ksm", BAWN_CHECK_NOTE,
            "as root: echo 2 >/sys/kernel/mm/ksm/run, unless another program needs it",
            "KSM merges equal pages of programs that ask for it; bawn's machines do not, "
            "since merged pages tell guests of one another");
    else
        bawn_check_add(c, "ksm", BAWN_CHECK_OK, NULL, "no pages are merged");
}

/* ---- The processor's faults ---- */

static void check_faults(struct bawn_checks *c)
{
    static const char dir[] = "/sys/devices/system/cpu/vulnerabilities";
    char path[LINE], text[LINE], names[300] = "";
    const struct dirent *entry;
    size_t at = 0;
    DIR *d;

    snprintf(path, sizeof(path), "%s%s", c->root, dir);
    d = opendir(path);
    while (d && (entry = readdir(d))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%.200s", dir, entry->d_name);
        if (bawn_check_read(c, path, text, sizeof(text)) && !strncmp(text, "Vulnerable", 10) &&
            at + strlen(entry->d_name) + 3 < sizeof(names))
            at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
                                   entry->d_name);
    }
    if (d)
        closedir(d);
    if (at)
        bawn_check_add(c, "faults", BAWN_CHECK_NOTE,
                       "update the processor's microcode and this kernel, and boot without "
                       "mitigations=off",
                       "guests may read what is not theirs: the kernel does not mitigate %s",
                       names);
    else
        bawn_check_add(c, "faults", BAWN_CHECK_OK, NULL,
                       d ? "the kernel mitigates the processor's known faults"
                         : "the kernel tells of no faults of the processor");
}

void bawn_check_host(struct bawn_checks *c)
{
    static void (*const checks[])(struct bawn_checks *) = {
        check_module,  check_device,    check_cpu, check_namespaces, check_landlock, check_seccomp,
        check_memlock, check_hugepages, check_thp, check_ksm,        check_faults,
    };

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        checks[i](c);
}
