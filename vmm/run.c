// SPDX-License-Identifier: Apache-2.0
/*
 * Runs virtual machines from one configuration until one ends for good: opens every file,
 * computes the plan, and has a machine built from it for each boot. The supervisor's process.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "apart.h"
#include "common/confine.h"
#include "policy.h"
#include "calls.h"

#define EXIT_SIGNAL 128 /* a signal's number is added */

static const struct {
    const char *name;
    int code;
} ends[] = {
    [BAWN_END_NONE] = { "none", 1 },   [BAWN_END_POWEROFF] = { "poweroff", 0 },
    [BAWN_END_RESET] = { "reset", 0 }, [BAWN_END_PANIC] = { "panic", 3 },
    [BAWN_END_CRASH] = { "crash", 4 }, [BAWN_END_TIMEOUT] = { "timeout", 5 },
    [BAWN_END_QUIT] = { "quit", 0 },   [BAWN_END_FAILED] = { "failed", 1 },
    [BAWN_END_MOVED] = { "moved", 0 },
};

static void on_signal(void *opaque)
{
    struct signalfd_siginfo info;
    struct bawn_run *r = opaque;

    if (read(r->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD) {
        if (r->running)
            bawn_boot_reap(&r->boot);
        bawn_control_reap(r);
        bawn_arrive_reap(r);
        return;
    }
    r->signal = info.ssi_signo;
    r->next = BAWN_NEXT_QUIT;
    if (r->running)
        bawn_boot_end(&r->boot, BAWN_END_QUIT, "stopped by signal %d", r->signal);
    else
        bawn_loop_stop(r->loop);
}

static void on_timeout(void *opaque)
{
    struct bawn_run *r = opaque;
    uint64_t ignored;

    (void)!read(r->timer_fd, &ignored, sizeof(ignored));
    bawn_boot_end(&r->boot, BAWN_END_TIMEOUT, "the guest still ran after %u seconds",
                  r->opt.timeout);
}

static enum bawn_status open_events(struct bawn_run *r, struct bawn_error *err)
{
    struct itimerspec when = { .it_value.tv_sec = r->opt.timeout };
    sigset_t set;

    if (r->signal_fd >= 0)
        return BAWN_OK;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* the other processes inherit it: they are told */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (r->signal_fd < 0 || r->timer_fd < 0 || timerfd_settime(r->timer_fd, 0, &when, NULL))
        return bawn_fail(err, BAWN_E_IO, "cannot watch signals and time: %m");
    return BAWN_OK;
}

static enum bawn_status plan_plain(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    const struct bawn_file *kernel = &r->images.kernel, *initrd = &r->images.initrd;
    enum bawn_status st =
        bawn_launch_plan(&r->plan, cfg, kernel->data, kernel->len, initrd->data, initrd->len, err);

    if (!st)
        st = bawn_apart_measure(cfg, &r->plan, &r->predicted, err);
    if (!st)
        memcpy(r->digest, r->predicted.digest, sizeof(r->digest));
    if (!st && r->opt.expect.given && memcmp(r->digest, r->opt.expect.digest, sizeof(r->digest)))
        st =
            bawn_fail(err, BAWN_E_DENIED, "the launch digest would be %s, and is expected to be %s",
                      bawn_digest_hex(r->digest).text, bawn_digest_hex(r->opt.expect.digest).text);
    return st;
}

static enum bawn_status plan_snp(struct bawn_run *r, struct bawn_error *err)
{
    enum bawn_status st =
        bawn_snp_prepare(&r->snp, &r->opt.cfg, &r->images.kernel, &r->images.initrd,
                         r->opt.expect.given ? r->opt.expect.digest : NULL, err);

    memcpy(r->digest, r->snp.launch.digest, sizeof(r->digest));
    r->parts.snp = &r->snp;
    return st;
}

static enum bawn_status plan(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    enum bawn_status st = bawn_images_read(&r->images, cfg, err);

    if (!st)
        st = cfg->snp.on ? plan_snp(r, err) : plan_plain(r, err);
    r->planned = !st;
    return st;
}

/* Gives back what a guest that runs has no use for. */
static void unplan(struct bawn_run *r)
{
    bawn_snp_input_free(&r->snp);
    bawn_measure_log_free(&r->predicted);
    bawn_launch_plan_free(&r->plan);
    bawn_images_forget(&r->images);
    r->parts.snp = NULL;
    r->planned = false;
}

/* For a guest that resets itself: it boots what it booted before, or nothing. */
static enum bawn_status plan_again(struct bawn_run *r, struct bawn_error *err)
{
    uint8_t before[sizeof(r->digest)];
    enum bawn_status st;

    memcpy(before, r->digest, sizeof(before));
    st = plan(r, err);
    if (!st && memcmp(before, r->digest, sizeof(before)))
        st = bawn_fail(err, BAWN_E_DENIED,
                       "kernel, initrd or firmware are not what they were when the machine was "
                       "started: it cannot be reset; run it again");
    return st;
}

/* The launch that a snapshot's guest had, and not the one that it would have now. */
static enum bawn_status compare_launch(struct bawn_run *r, const struct bawn_state *state,
                                       struct bawn_error *err)
{
    if (r->opt.expect.given &&
        (!state->measured || memcmp(state->digest, r->opt.expect.digest, sizeof(state->digest))))
        return bawn_fail(err, BAWN_E_DENIED,
                         "the %s guest was launched %s%s, and is expected to be %s",
                         r->opt.restore ? "snapshot's" : "migrated",
                         state->measured ? "as " : "without being measured",
                         state->measured ? bawn_digest_hex(state->digest).text : "",
                         bawn_digest_hex(r->opt.expect.digest).text);
    r->restored_measured = state->measured;
    return BAWN_OK;
}

static enum bawn_status check_launch(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_state *state;
    enum bawn_status st;

    if (r->arrive.active)
        return compare_launch(r, r->arrive.state, err);
    state = malloc(sizeof(*state));
    if (!state)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the snapshot's state");
    st = bawn_snapshot_state(&r->opt.snapshot, state, bawn_vm_config_max_vcpus(&r->opt.cfg), err);
    if (!st)
        st = compare_launch(r, state, err);
    free(state);
    return st;
}

/* The kernel is for when the guest resets itself, and may be gone by now. */
static enum bawn_status plan_restored(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_error why;
    enum bawn_status st = check_launch(r, err);

    if (!st)
        st = bawn_state_supported(&r->opt.cfg, err);
    if (st)
        return st;
    if (r->opt.policy || r->opt.policy_key)
        return bawn_fail(err, BAWN_E_USAGE,
                         "a launch policy judges kernels, and a guest that goes on boots none: "
                         "--expect-measurement says which guest may go on");
    if (!plan(r, &why))
        return BAWN_OK;
    if (!r->opt.quiet && !r->opt.no_reboot)
        fprintf(stderr, "bawn: %s: the guest can go on, and not reset itself\n", why.msg);
    r->opt.no_reboot = true;
    bawn_launch_plan_free(&r->plan);
    bawn_launch_plan_ram(&r->plan, &r->opt.cfg);
    return BAWN_OK;
}

static enum bawn_status judge(void *opaque, struct bawn_error *err)
{
    const struct bawn_run *r = opaque;
    const struct bawn_options *opt = &r->opt;
    const struct bawn_launch_facts facts = {
        .cfg = &opt->cfg,
        .kernel = &r->images.kernel,
        .initrd = &r->images.initrd,
        .shim = opt->cfg.snp.on ? &r->snp.shim : NULL,
        .digest = r->digest,
    };

    return bawn_launch_policy_check(opt->policy, opt->policy_key, &facts, time(NULL), err);
}

/* A key without a policy is a mistake that would let anything run. */
static enum bawn_status check_policy(struct bawn_run *r, struct bawn_error *err)
{
    if (r->opt.policy || !r->opt.policy_key)
        return r->opt.policy ? bawn_apart(judge, r, err) : BAWN_OK;
    return bawn_fail(err, BAWN_E_USAGE, "--policy-key needs --policy: what may run");
}

/* Tells of the terminal that was made, and has the configuration know it. */
static enum bawn_status tell_pty(const struct bawn_run *r, const char *id,
                                 const struct bawn_stream *s, struct bawn_stream_config *cfg,
                                 struct bawn_error *err)
{
    if (!s->pty[0])
        return BAWN_OK;
    free(cfg->path);
    cfg->path = strdup(s->pty);
    if (!cfg->path)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (r->opt.json)
        fprintf(stderr, "{\"event\":\"pty\",\"device\":\"%s\",\"path\":\"%s\"}\n", id, s->pty);
    else if (!r->opt.quiet)
        fprintf(stderr, "bawn: %s: %s\n", id, s->pty);
    return BAWN_OK;
}

/* A descriptor that was given stays the configuration's, for another boot. */
static enum bawn_status open_net(struct bawn_net *net, struct bawn_net_config cfg,
                                 struct bawn_error *err)
{
    for (unsigned i = 0; i < cfg.nr_fds; i++)
        cfg.fd[i] = fcntl(cfg.fd[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return bawn_net_open(net, &cfg, err);
}

enum bawn_status bawn_run_open_disk(struct bawn_run *r, unsigned i, struct bawn_error *err)
{
    const struct bawn_disk_config *cfg = &r->opt.cfg.disk[i];
    struct bawn_disk *disk = &r->disk[cfg->slot - BAWN_SLOT_DISK];

    return r->arrive.active ? bawn_disk_open_early(disk, cfg, err) : bawn_disk_open(disk, cfg, err);
}

enum bawn_status bawn_run_open_net(struct bawn_run *r, unsigned i, struct bawn_error *err)
{
    const struct bawn_net_config *cfg = &r->opt.cfg.net[i];

    return open_net(&r->net[cfg->slot - BAWN_SLOT_NET], *cfg, err);
}

void bawn_run_close_slot(struct bawn_run *r, unsigned slot)
{
    if (slot < BAWN_SLOT_NET)
        bawn_disk_close(&r->disk[slot - BAWN_SLOT_DISK]);
    else
        bawn_net_close(&r->net[slot - BAWN_SLOT_NET]);
}

static enum bawn_status open_devices(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    enum bawn_status st = bawn_stream_open(&r->serial, &cfg->serial, "serial port", err);

    if (!st)
        st = tell_pty(r, "serial", &r->serial, &cfg->serial, err);
    if (!st)
        st = bawn_stream_open(&r->console, &cfg->console, "console", err);
    if (!st)
        st = tell_pty(r, "console", &r->console, &cfg->console, err);
    for (unsigned i = 0; !st && i < cfg->nr_disks; i++)
        st = bawn_run_open_disk(r, i, err);
    for (unsigned i = 0; !st && i < cfg->nr_nets; i++)
        st = bawn_run_open_net(r, i, err);
    if (!st && cfg->vsock.cid)
        st = bawn_vsock_socket_open(&r->socket, cfg->vsock.socket, err);
    if (!st && cfg->tpm)
        st = bawn_swtpm_open(&r->swtpm, cfg->tpm, err);
    return st;
}

/* Everything that is opened by name is opened here, before a guest runs. */
enum bawn_status bawn_run_prepare(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    enum bawn_status st = bawn_vm_config_check(cfg, err);

    if (!st)
        st = bawn_vm_config_place(&r->opt.cfg, err);
    if (!st)
        st = r->opt.restore || r->arrive.active ? plan_restored(r, err) : plan(r, err);
    if (!st)
        st = check_policy(r, err);
    if (!st)
        st = bawn_accel_open(&r->accel, r->opt.accel, r->opt.device, bawn_vm_config_max_vcpus(cfg),
                             err);
    if (!st && cfg->snp.on)
        st = bawn_snp_check(r->accel.path, r->accel.fd, r->accel.measures, err);
    if (!st)
        st = open_devices(r, err);
    if (!st)
        st = open_events(r, err);
    if (!st && (r->serial.raw || r->console.raw))
        st = bawn_term_raw(err);
    if (!st) {
        bawn_mem_huge_prepare();
        st = confine_privileges(err);
    }
    return st ? st : confine_capabilities(err);
}

void bawn_run_close(struct bawn_run *r)
{
    bawn_term_restore();
    bawn_swtpm_close(&r->swtpm);
    bawn_vsock_socket_close(&r->socket);
    for (unsigned i = 0; i < BAWN_MAX_DISKS; i++)
        bawn_disk_close(&r->disk[i]);
    for (unsigned i = 0; i < BAWN_MAX_NETS; i++)
        bawn_net_close(&r->net[i]);
    bawn_stream_close(&r->console);
    bawn_stream_close(&r->serial);
    bawn_accel_close(&r->accel);
    unplan(r);
    bawn_images_close(&r->images);
    r->open = false;
}

static void clean_up(struct bawn_run *r)
{
    bawn_run_close(r);
    if (r->signal_fd >= 0)
        close(r->signal_fd);
    if (r->timer_fd >= 0)
        close(r->timer_fd);
    bawn_options_free(&r->opt);
}

static void print_measurement(struct bawn_run *r)
{
    bool restored = r->boot.parts.from;
    bool measured = restored ? r->restored_measured : r->accel.measures || r->opt.cfg.snp.on;
    const uint8_t *digest = measured ? r->boot.digest : r->digest;

    if (r->opt.json)
        fprintf(stderr, "{\"event\":\"%s\",\"tee\":\"%s\",\"measured\":%s,\"%s\":\"%s\"}\n",
                restored ? "restore" : "launch", r->opt.cfg.snp.on ? "sev-snp" : "none",
                measured ? "true" : "false", measured ? "digest" : "predicted",
                bawn_digest_hex(digest).text);
    else if (measured && !r->opt.quiet)
        fprintf(stderr, "launch digest: %s\n", bawn_digest_hex(digest).text);
    if (!r->opt.print_measurement)
        return;
    fprintf(stderr, "predicted:     %s%s\n", bawn_digest_hex(r->digest).text,
            measured ? "" : " (this module does not measure)");
    if (r->opt.cfg.snp.on)
        bawn_snp_launch_print(stderr, &r->snp.launch);
    else
        bawn_measure_log_print(stderr, &r->predicted);
}

/* A guest without a pvpanic driver tells of its panic on its console only, and then resets,
 * or hangs until something else stops it. */
static enum bawn_end refine(struct bawn_run *r, enum bawn_end why)
{
    if (why == BAWN_END_POWEROFF || why == BAWN_END_FAILED || why == BAWN_END_PANIC)
        return why;
    if (!bawn_stream_panicked(&r->serial) && !bawn_stream_panicked(&r->console))
        return why;
    snprintf(r->boot.end_msg, sizeof(r->boot.end_msg), "the guest panicked (its console says so)");
    return BAWN_END_PANIC;
}

/* A host that gives less than all of the sandbox. */
static void print_lacks(const struct bawn_run *r)
{
    static const struct {
        unsigned bit;
        const char *name, *text;
    } parts[] = {
        { BAWN_LACKS_NAMESPACES, "namespaces",
          "this host permits no user namespaces (sysctl user.max_user_namespaces, "
          "kernel.unprivileged_userns_clone, a container's rules)" },
        { BAWN_LACKS_LANDLOCK, "landlock",
          "this host's kernel has no Landlock, or was not started with it" },
        { BAWN_LACKS_SECCOMP, "seccomp", "this host's kernel has no seccomp filters" },
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!(r->boot.lacks & parts[i].bit))
            continue;
        if (r->opt.json)
            fprintf(stderr, "{\"event\":\"sandbox\",\"lacks\":\"%s\"}\n", parts[i].name);
        else if (!r->opt.quiet)
            fprintf(stderr, "bawn: %s: the machine's processes are locked in without\n",
                    parts[i].text);
    }
}

static void launched(void *opaque)
{
    struct bawn_run *r = opaque;

    print_measurement(r);
    if (!r->launches++)
        print_lacks(r);
    if (r->arrive.active)
        bawn_arrive_launched(r);
    else
        bawn_control_launched(r);
    unplan(r);
    bawn_trim();
}

static void device_ended(void *opaque, const char *device, const char *why, bool again)
{
    const struct bawn_run *r = opaque;

    if (r->opt.json)
        fprintf(stderr,
                "{\"event\":\"device\",\"device\":\"%s\",\"message\":\"%s\",\"restarted\":%s}\n",
                device, why, again ? "true" : "false");
    else
        fprintf(stderr, "bawn: %s's process %s; %s\n", device, why,
                again ? "there is another now, and the guest must reset the device"
                      : "the guest goes on without it");
}

#define BAR 40 /* columns */

static void progress(void *opaque, uint64_t done, uint64_t all)
{
    static const char full[] = "########################################";
    struct bawn_run *r = opaque;
    int n = all ? (int)(done * BAR / all) : BAR;

    if (r->opt.json)
        fprintf(stderr, "{\"event\":\"progress\",\"done\":%llu,\"all\":%llu}\n",
                (unsigned long long)done, (unsigned long long)all);
    else if (!r->opt.quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\rrestoring [%.*s%*s] %llu of %llu MiB%s", n, full, BAR - n, "",
                (unsigned long long)(done >> 20), (unsigned long long)(all >> 20),
                done == all ? "\n" : "");
}

static void saved(void *opaque, const char *path, const char *why)
{
    (void)path;
    bawn_control_saved(opaque, why);
}

static void unplugged(void *opaque, unsigned slot)
{
    bawn_run_close_slot(opaque, slot);
    bawn_config_drop(&((struct bawn_run *)opaque)->opt.cfg, slot);
}

static void ordered(void *opaque, enum bawn_order order, const char *why)
{
    if (order != BAWN_ORDER_RESUME || !bawn_arrive_ordered(opaque, why))
        bawn_control_ordered(opaque, order, why);
}

/* What is said of machines that move, on standard error. */
static void say_moved(const struct bawn_run *r, const char *event, const char *text,
                      const char *why)
{
    if (r->opt.json)
        fprintf(stderr, "{\"event\":\"%s\",\"message\":\"%s\"}\n", event, why);
    else if (!r->opt.quiet || *why)
        fprintf(stderr, "bawn: %s%s%s\n", text, *why ? ": " : "", why);
}

static void left(void *opaque, const char *why)
{
    struct bawn_run *r = opaque;

    if (*why)
        say_moved(r, "migration-failed", "the machine was not migrated", why);
    bawn_control_left(r, why);
}

void bawn_run_stranger(struct bawn_run *r, char *why)
{
    char text[128];

    snprintf(text, sizeof(text), "%.127s", why);
    bawn_boot_clean(text, sizeof(text));
    say_moved(r, "stranger", "somebody was turned away", text);
}

void bawn_run_arrived(struct bawn_run *r, const char *why)
{
    say_moved(r, *why ? "migration-failed" : "arrived",
              *why ? "no machine has arrived" : "the machine has arrived", why);
    bawn_control_arrived(r, why);
    if (!*why)
        return;
    if (!r->running)
        bawn_run_close(r);
    bawn_arrive_close(r);
    r->created = false;
    if (r->opt.incoming) { /* it was what this was for */
        r->failed = true;
        r->next = BAWN_NEXT_QUIT;
        bawn_loop_stop(r->loop);
    } else {
        bawn_vm_config_free(&r->opt.cfg);
        bawn_vm_config_init(&r->opt.cfg);
    }
}

static void on_monitor(void *opaque)
{
    struct bawn_run *r = opaque;

    if (!bawn_events_gone(&r->events))
        return;
    r->next = BAWN_NEXT_QUIT;
    if (r->running)
        bawn_boot_end(&r->boot, BAWN_END_QUIT, "its event monitor was removed");
    else
        bawn_loop_stop(r->loop);
}

/* A loop's signals, and the API. */
static void serve(struct bawn_run *r, struct bawn_loop *loop)
{
    r->loop = loop;
    bawn_loop_watch(loop, r->signal_fd, true, on_signal, r);
    if (r->events.gone_fd >= 0)
        bawn_loop_watch(loop, r->events.gone_fd, true, on_monitor, r);
    if (r->serial.relay)
        bawn_relay_serve(r->serial.relay, loop);
    if (r->console.relay)
        bawn_relay_serve(r->console.relay, loop);
    bawn_control_watch(r);
    bawn_arrive_watch(r);
    bawn_arrive_reap(r);
    bawn_control_reap(r); /* what ended while nobody listened */
}

/* Nothing runs until somebody says what is next. */
static enum bawn_status wait_for_orders(struct bawn_run *r, struct bawn_error *err)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct bawn_loop loop;
    int rc = bawn_loop_init(&loop, &lock);

    if (rc)
        return bawn_fail(err, BAWN_E_IO, "eventfd: %s", strerror(-rc));
    serve(r, &loop);
    bawn_loop_run(&loop);
    bawn_loop_destroy(&loop);
    return BAWN_OK;
}

static enum bawn_status boot_once(struct bawn_run *r, enum bawn_end *why, struct bawn_error *err)
{
    const struct bawn_boot_ops ops = { launched, device_ended, ordered, saved, unplugged, left, r };
    const struct bawn_from from = {
        .snapshot = r->arrive.active ? NULL : &r->opt.snapshot,
        .state = r->arrive.active ? r->arrive.state : NULL,
        .mem = r->arrive.active ? &r->arrive.mem : NULL,
        .read_first = r->opt.read_first,
        .progress = { progress, r },
    };
    bool restore = (r->opt.restore || r->arrive.active) && !r->launches;
    struct bawn_boot *b = &r->boot;
    enum bawn_status st;

    r->parts.hold = r->arrive.active;
    st = bawn_boot_create(b, &r->parts, &r->backends, r->opt.stats, &ops, restore ? &from : NULL,
                          err);

    if (st)
        return st;
    r->planned = false;
    r->running = true;
    serve(r, &b->loop);
    bawn_loop_watch(&b->loop, r->timer_fd, true, on_timeout, r);
    bawn_boot_run(b);
    r->running = false;
    st = b->status;
    if (st)
        *err = b->err;
    else
        *why = refine(r, b->end);
    bawn_boot_destroy(b);
    return st;
}

static int report(struct bawn_run *r, enum bawn_end why)
{
    int code = r->signal ? EXIT_SIGNAL + r->signal : ends[why].code;

    bawn_term_restore();
    if (r->opt.json)
        /* None of the messages has a character that JSON would have escaped. */
        fprintf(stderr, "{\"event\":\"end\",\"reason\":\"%s\",\"code\":%d,\"message\":\"%s\"}\n",
                ends[why].name, code, r->boot.end_msg);
    else if (!r->opt.quiet || ends[why].code)
        fprintf(stderr, "bawn: %s\n", r->boot.end_msg);
    return code;
}

static int dump_config(struct bawn_run *r)
{
    char *text = bawn_vm_config_print(&r->opt.cfg);
    bool ok = text && puts(text) >= 0 && !fflush(stdout);

    if (!ok)
        fprintf(stderr, "bawn: cannot print the configuration: %m\n");
    free(text);
    return !ok;
}

/* One boot, and what is next. Returns the exit code, if nothing is. */
static int boot(struct bawn_run *r)
{
    enum bawn_end why = BAWN_END_NONE;
    struct bawn_error err;
    enum bawn_status st = BAWN_OK;
    int code = 0;

    r->next = BAWN_NEXT_QUIT;
    if (!r->open)
        st = bawn_run_prepare(r, &err);
    else if (!r->planned && !r->arrive.active)
        st = plan_again(r, &err);
    r->open = !st;
    if (!st) {
        bawn_event(&r->events, "vm", r->reboot ? "rebooting" : "booting");
        st = boot_once(r, &why, &err);
    }
    if (st) {
        bawn_term_restore();
        fprintf(stderr, "bawn: %s\n", err.msg);
        bawn_arrive_failed(r, err.msg);
        if (r->control.pending) /* who asked for it may ask again */
            r->next = BAWN_NEXT_WAIT;
        bawn_run_close(r);
        r->reboot = false;
        bawn_control_ended(r, err.msg);
        return st == BAWN_E_USAGE || st == BAWN_E_CONFIG ? 2 : 1;
    }
    if (why == BAWN_END_RESET && r->next == BAWN_NEXT_QUIT && !r->opt.no_reboot && !r->signal) {
        r->reboot = true;
        r->next = BAWN_NEXT_BOOT;
    }
    if (r->next == BAWN_NEXT_QUIT && !r->boot.launched && r->control.pending && !r->signal)
        r->next = BAWN_NEXT_WAIT; /* the same */
    if (r->next != BAWN_NEXT_BOOT)
        bawn_event(&r->events, "vm", "shutdown");
    if (r->next == BAWN_NEXT_QUIT)
        code = report(r, why);
    bawn_arrive_failed(r, r->boot.end_msg);
    bawn_control_ended(r, r->boot.end_msg);
    return code;
}

static void init(struct bawn_run *r)
{
    r->images.kernel_fd = r->images.initrd_fd = -1;
    r->accel.fd = r->signal_fd = r->timer_fd = r->socket.fd = r->events.fd = r->events.gone_fd = -1;
    r->arrive.link = r->arrive.watch = r->arrive.mem.faults = -1;
    r->control.listen_fd = r->control.link[0] = r->control.link[1] = -1;
    r->swtpm.control_fd = r->swtpm.data_fd = -1;
    for (unsigned i = 0; i < BAWN_MAX_DISKS; i++)
        r->disk[i].fd = -1;
    r->parts = (struct bawn_vm_parts){
        .cfg = &r->opt.cfg,
        .plan = &r->plan,
        .predicted = &r->predicted,
        .images = &r->images,
        .accel = &r->accel,
        .serial = &r->serial,
    };
    r->backends = (struct bawn_backends){
        &r->console, r->disk, r->net, &r->socket, &r->swtpm,
    };
}

static int run_all(struct bawn_run *r)
{
    struct bawn_error err;
    enum bawn_status st = bawn_control_open(r, &err);
    int code = 0;

    r->created = !r->opt.incoming && (r->opt.cfg.kernel || r->opt.restore || !r->opt.api_socket);
    if (!st && r->opt.incoming)
        st = open_events(r, &err);
    if (!st && r->opt.incoming)
        st = bawn_arrive_begin(r, r->opt.incoming, &r->opt.migration, &err);
    r->next = r->created ? BAWN_NEXT_BOOT : BAWN_NEXT_WAIT;
    while (!st && r->next != BAWN_NEXT_QUIT) {
        if (r->next == BAWN_NEXT_BOOT) {
            code = boot(r);
            continue;
        }
        st = open_events(r, &err);
        if (!st)
            st = wait_for_orders(r, &err);
        code = r->signal ? EXIT_SIGNAL + r->signal : r->failed;
    }
    r->loop = NULL;
    bawn_arrive_close(r);
    bawn_control_close(r);
    if (!st)
        return code;
    fprintf(stderr, "bawn: %s\n", err.msg);
    return st == BAWN_E_USAGE || st == BAWN_E_CONFIG ? 2 : 1;
}

int bawn_run(int argc, char **argv)
{
    static struct bawn_run run; /* most of it is never touched, and no memory */
    struct bawn_run *r = &run;
    struct bawn_error err;
    enum bawn_status st;
    int code = 0;

    umask(077);
    init(r);
    st = bawn_options_parse(&r->opt, argc, argv, &err);
    if (st) {
        fprintf(stderr, "bawn: %s\n", err.msg);
        code = st == BAWN_E_USAGE || st == BAWN_E_CONFIG ? 2 : 1;
    } else if (r->opt.help) {
        bawn_options_help();
    } else if (r->opt.dump_config) {
        code = dump_config(r);
    } else {
        code = run_all(r);
    }
    clean_up(r);
    return code;
}
