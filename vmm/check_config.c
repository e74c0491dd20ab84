// SPDX-License-Identifier: Apache-2.0
/*
 * A machine before it is run: its configuration as a whole, the files that it names, and whether
 * the host has what it asks for. Trusts the paths, which are the user's; nothing of what the files
 * hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "disk.h"
#include "net.h"
#include "uring.h"
#include "policy.h"
#include "snp.h"

/* ---- What is launched ---- */

struct launch {
    struct bawn_file kernel, initrd;
    struct bawn_launch_plan plan;
    struct bawn_measure_log log;
    struct bawn_snp_input snp;
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE];
};

static enum bawn_status plan(struct launch *l, const struct bawn_options *opt,
                             struct bawn_error *err)
{
    const uint8_t *expected = opt->expect.given ? opt->expect.digest : NULL;
    const struct bawn_vm_config *cfg = &opt->cfg;
    enum bawn_status st;

    if (cfg->snp.on) {
        st = bawn_snp_prepare(&l->snp, cfg, &l->kernel, &l->initrd, expected, err);
        memcpy(l->digest, l->snp.launch.digest, sizeof(l->digest));
        return st;
    }
    st = bawn_launch_plan(&l->plan, cfg, l->kernel.data, l->kernel.len, l->initrd.data,
                          l->initrd.len, err);
    if (!st)
        st = bawn_launch_measure(cfg, &l->plan, &l->log, err);
    if (!st)
        memcpy(l->digest, l->log.digest, sizeof(l->digest));
    if (!st && expected && memcmp(l->digest, expected, sizeof(l->digest)) != 0)
        st =
            bawn_fail(err, BAWN_E_DENIED, "the launch digest would be %s, and is expected to be %s",
                      bawn_digest_hex(l->digest).text, bawn_digest_hex(expected).text);
    return st;
}

static void check_policy(struct bawn_checks *c, const struct launch *l)
{
    const struct bawn_options *opt = c->opt;
    const struct bawn_launch_facts facts = {
        .cfg = &opt->cfg,
        .kernel = &l->kernel,
        .initrd = &l->initrd,
        .shim = opt->cfg.snp.on ? &l->snp.shim : NULL,
        .digest = l->digest,
    };
    struct bawn_error err = { "" };

    if (!opt->policy)
        return;
    if (bawn_launch_policy_check(opt->policy, opt->policy_key, &facts, time(NULL), &err))
        bawn_check_add(c, "policy", BAWN_CHECK_FIX, NULL, "%s", err.msg);
    else
        bawn_check_add(c, "policy", BAWN_CHECK_OK, NULL, "%s allows this machine", opt->policy);
}

static void check_launch(struct bawn_checks *c)
{
    const struct bawn_vm_config *cfg = &c->opt->cfg;
    struct bawn_error err = { "" };
    struct launch l = { 0 };

    if (bawn_file_read(&l.kernel, cfg->kernel, BAWN_KERNEL_MAX, &err) ||
        (cfg->initrd && bawn_file_read(&l.initrd, cfg->initrd, BAWN_INITRD_MAX, &err))) {
        bawn_check_add(c, "kernel", BAWN_CHECK_FIX,
                       "correct the path, or make the file readable for you", "%s", err.msg);
    } else if (plan(&l, c->opt, &err)) {
        bawn_check_add(c, "kernel", BAWN_CHECK_FIX, NULL, "%s", err.msg);
    } else {
        bawn_check_add(c, "kernel", BAWN_CHECK_OK, NULL, "%s can be booted; launch digest %s",
                       cfg->kernel, bawn_digest_hex(l.digest).text);
        check_policy(c, &l);
    }
    bawn_snp_input_free(&l.snp);
    bawn_measure_log_free(&l.log);
    bawn_launch_plan_free(&l.plan);
    bawn_file_free(&l.initrd);
    bawn_file_free(&l.kernel);
}

/* ---- What it takes of the host ---- */

/* A line's number of /proc/meminfo, in bytes; 0: there is none. */
static uint64_t meminfo(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

static void check_memory(struct bawn_checks *c)
{
    uint64_t want = c->opt->cfg.memory, total, available;
    char text[4096];

    if (c->opt->cfg.hugepages || !bawn_check_read(c, "/proc/meminfo", text, sizeof(text)))
        return;
    total = meminfo(text, "MemTotal:") + meminfo(text, "SwapTotal:");
    available = meminfo(text, "MemAvailable:");
    if (want > total)
        bawn_check_add(c, "memory", BAWN_CHECK_FIX, "make memory.size (--memory) smaller",
                       "the machine has %" PRIu64 " MiB, and this host %" PRIu64 " MiB with swap",
                       want >> 20, total >> 20);
    else if (want > available)
        bawn_check_add(c, "memory", BAWN_CHECK_NOTE,
                       "make memory.size (--memory) smaller, or end other programs",
                       "the machine has %" PRIu64 " MiB, and %" PRIu64
                       " MiB are available: when the guest uses all of it, something is killed",
                       want >> 20, available >> 20);
    else
        bawn_check_add(c, "memory", BAWN_CHECK_OK, NULL,
                       "the machine has %" PRIu64 " MiB, and %" PRIu64 " MiB are available",
                       want >> 20, available >> 20);
}

static void check_vcpus(struct bawn_checks *c)
{
    long host = sysconf(_SC_NPROCESSORS_ONLN);

    if (c->opt->cfg.max_vcpus > bawn_vm_config_max_vcpus(&c->opt->cfg))
        bawn_check_add(c, "max-cpus", BAWN_CHECK_NOTE, NULL, "cpus.max_vcpus has no effect: %s",
                       c->opt->cfg.snp.on ? "the vCPUs of a confidential machine are measured"
                                          : "the machine has no hot-plug");
    if ((long)c->opt->cfg.vcpus > host)
        bawn_check_add(c, "cpus", BAWN_CHECK_NOTE, "make cpus.boot_vcpus (--cpus) smaller",
                       "%u vCPUs share %ld processors", c->opt->cfg.vcpus, host);
    else
        bawn_check_add(c, "cpus", BAWN_CHECK_OK, NULL, "%u vCPU%s on %ld processor%s",
                       c->opt->cfg.vcpus, c->opt->cfg.vcpus > 1 ? "s" : "", host,
                       host > 1 ? "s" : "");
}

/* ---- Devices ---- */

/* Whether files can be made and removed beside this one. */
static bool dir_is_writable(const char *path)
{
    char *copy = strdup(path);
    bool ok = copy && !access(dirname(copy), W_OK | X_OK);

    free(copy);
    return ok;
}

static void check_stream(struct bawn_checks *c, const char *id, const struct bawn_stream_config *s)
{
    if (s->mode == BAWN_STREAM_SOCKET && !dir_is_writable(s->socket))
        bawn_check_add(c, id, BAWN_CHECK_FIX, "name one in a directory where you may make files",
                       "the socket %s cannot be made: %s", s->socket, strerror(errno));
    if (s->mode != BAWN_STREAM_FILE)
        return;
    if (access(s->path, F_OK) ? !dir_is_writable(s->path) : access(s->path, W_OK) != 0)
        bawn_check_add(c, id, BAWN_CHECK_FIX, "name a file that you may write",
                       "%s cannot be written: %s", s->path, strerror(errno));
    else if (!access(s->path, F_OK))
        bawn_check_add(c, id, BAWN_CHECK_NOTE, NULL, "%s is there, and will be emptied", s->path);
    else
        bawn_check_add(c, id, BAWN_CHECK_OK, NULL, "output goes to %s", s->path);
}

static const char *disk_fix(const struct bawn_disk_config *cfg)
{
    if (access(cfg->path, F_OK))
        return "correct the path, or make it: truncate -s 8G FILE, or qemu-img create -f qcow2 "
               "FILE 8G";
    if (access(cfg->path, R_OK))
        return "make it readable for you";
    if (!cfg->readonly && access(cfg->path, W_OK))
        return "make it writable for you, or say readonly";
    return NULL;
}

/* Without one the disk goes on: slower, no worse. */
static void check_ring(struct bawn_checks *c, const char *id, int fd)
{
    struct bawn_uring ring;
    int rc = bawn_uring_init(&ring, &fd, 1);

    if (rc)
        bawn_check_add(c, id, BAWN_CHECK_NOTE,
                       "as root: sysctl kernel.io_uring_disabled=0; or leave io_uring=on out",
                       "this host has no io_uring for it (%s): it goes on without", strerror(-rc));
    else
        bawn_uring_destroy(&ring);
}

/* All of them are open at the same time, as they will be: one that is there twice shows. */
static void check_disks(struct bawn_checks *c)
{
    const struct bawn_vm_config *cfg = &c->opt->cfg;
    struct bawn_disk disk[BAWN_MAX_DISKS];
    struct bawn_error err = { "" };
    char id[16];

    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        snprintf(id, sizeof(id), "disk%u", i);
        if (bawn_disk_open(&disk[i], &cfg->disk[i], &err))
            bawn_check_add(c, id, BAWN_CHECK_FIX, disk_fix(&cfg->disk[i]), "%s", err.msg);
        else
            bawn_check_add(c, id, BAWN_CHECK_OK, NULL, "%s: %" PRIu64 " MiB, %s, %s",
                           cfg->disk[i].path, disk[i].sectors * BAWN_SECTOR >> 20,
                           cfg->disk[i].format == BAWN_DISK_QCOW2 ? "qcow2" : "raw",
                           cfg->disk[i].readonly ? "read-only" : "read-write");
        if (cfg->disk[i].uring && disk[i].fd >= 0)
            check_ring(c, id, disk[i].fd);
    }
    for (unsigned i = 0; i < cfg->nr_disks; i++)
        bawn_disk_close(&disk[i]);
}

static void check_tap(struct bawn_checks *c, const char *id, const struct bawn_net_config *cfg)
{
    char path[128], flags[32], fix[512];
    struct bawn_error err = { "" };
    struct bawn_net net;

    snprintf(path, sizeof(path), "/sys/class/net/%.15s/tun_flags", cfg->tap);
    if (!bawn_check_access(c, path, F_OK)) { /* opening would make it, for who may */
        snprintf(fix, sizeof(fix),
                 "as root: ip tuntap add %.15s mode tap user %s && ip link set %.15s up", cfg->tap,
                 getenv("USER") ? getenv("USER") : "YOU", cfg->tap);
        bawn_check_add(c, id, BAWN_CHECK_FIX, fix, "there is no tap %s", cfg->tap);
        return;
    }
    if (bawn_net_open(&net, cfg, &err)) {
        bawn_check_add(c, id, BAWN_CHECK_FIX,
                       "give it to you, or end who has it: ip tuntap list shows both", "%s",
                       err.msg);
        return;
    }
    bawn_net_close(&net);
    snprintf(path, sizeof(path), "/sys/class/net/%.15s/flags", cfg->tap);
    snprintf(fix, sizeof(fix), "as root: ip link set %.15s up", cfg->tap);
    if (bawn_check_read(c, path, flags, sizeof(flags)) && !(strtoul(flags, NULL, 16) & 1))
        bawn_check_add(c, id, BAWN_CHECK_NOTE, fix, "tap %s is down: no frame passes", cfg->tap);
    else
        bawn_check_add(c, id, BAWN_CHECK_OK, NULL, "tap %s is yours and up", cfg->tap);
}

/* A server's socket, which is not connected to: some serve one connection and end. */
static void check_server(struct bawn_checks *c, const char *id, const char *path, const char *who)
{
    struct stat st;
    char fix[512];

    snprintf(fix, sizeof(fix), "start %s there first", who);
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        bawn_check_add(c, id, BAWN_CHECK_FIX, "use a shorter path",
                       "%s is longer than a socket's path may be", path);
    else if (stat(path, &st))
        bawn_check_add(c, id, BAWN_CHECK_FIX, fix, "nobody serves %s: %s", path, strerror(errno));
    else if (!S_ISSOCK(st.st_mode))
        bawn_check_add(c, id, BAWN_CHECK_FIX, fix, "%s is not a socket", path);
    else if (access(path, W_OK))
        bawn_check_add(c, id, BAWN_CHECK_FIX, "make it writable for you", "%s: %s", path,
                       strerror(errno));
    else
        bawn_check_add(c, id, BAWN_CHECK_OK, NULL, "%s is a socket", path);
}

static void check_fds(struct bawn_checks *c, const char *id, const struct bawn_net_config *cfg)
{
    for (unsigned i = 0; i < cfg->nr_fds; i++) {
        if (fcntl(cfg->fd[i], F_GETFD) < 0)
            bawn_check_add(c, id, BAWN_CHECK_FIX, "open it in who starts bawn",
                           "descriptor %d is not open", cfg->fd[i]);
        else
            bawn_check_add(c, id, BAWN_CHECK_OK, NULL, "descriptor %d is open", cfg->fd[i]);
    }
}

static void check_nets(struct bawn_checks *c)
{
    const struct bawn_vm_config *cfg = &c->opt->cfg;
    char id[16];

    for (unsigned i = 0; i < cfg->nr_nets; i++) {
        snprintf(id, sizeof(id), "net%u", i);
        if (cfg->net[i].tap)
            check_tap(c, id, &cfg->net[i]);
        else if (cfg->net[i].socket)
            check_server(c, id, cfg->net[i].socket, "passt --socket");
        else
            check_fds(c, id, &cfg->net[i]);
    }
}

static void check_vsock(struct bawn_checks *c)
{
    const char *path = c->opt->cfg.vsock.socket;
    char fix[512];

    if (!c->opt->cfg.vsock.cid)
        return;
    snprintf(fix, sizeof(fix), "rm %s, if no machine has it", path);
    /* A guest's connections go to PATH_PORT, of at most ten digits. */
    if (strlen(path) + 11 >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        bawn_check_add(c, "vsock", BAWN_CHECK_FIX, "use a shorter path",
                       "%s, with a port behind it, is longer than a socket's path may be", path);
    else if (!access(path, F_OK))
        bawn_check_add(c, "vsock", BAWN_CHECK_FIX, fix, "%s is there already", path);
    else if (!dir_is_writable(path))
        bawn_check_add(c, "vsock", BAWN_CHECK_FIX, "name a path where you may write",
                       "%s cannot be made: %s", path, strerror(errno));
    else
        bawn_check_add(c, "vsock", BAWN_CHECK_OK, NULL, "%s can be made", path);
}

void bawn_check_config(struct bawn_checks *c)
{
    const struct bawn_vm_config *cfg = &c->opt->cfg;
    struct bawn_error err = { "" };

    if (bawn_vm_config_check(cfg, &err)) {
        bawn_check_add(c, "config", BAWN_CHECK_FIX, NULL, "%s", err.msg);
        return; /* what is wrong in itself is not looked for on the host */
    }
    bawn_check_add(c, "config", BAWN_CHECK_OK, NULL, "the configuration is right in itself");
    check_launch(c);
    check_memory(c);
    check_vcpus(c);
    check_stream(c, "serial", &cfg->serial);
    check_stream(c, "console", &cfg->console);
    check_disks(c);
    check_nets(c);
    check_vsock(c);
    if (cfg->tpm)
        check_server(c, "tpm", cfg->tpm, "swtpm");
}
