// SPDX-License-Identifier: Apache-2.0
/*
 * Takes a machine in. What the process that receives has shared is copied before it is looked at,
 * and believed no more than a snapshot without a key.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arrive.h"
#include "run.h"

#define LAST_WORDS 100 /* times 20 ms */

/* The source may still be told why, or that all is well. */
static void end_process(const struct bawn_arrive *a)
{
    const struct timespec moment = { .tv_nsec = 20000000 };
    int left = *a->why || (a->mine && !a->active) ? LAST_WORDS : 0;

    while (!waitpid(a->pid, NULL, WNOHANG)) {
        if (left-- > 0) {
            nanosleep(&moment, NULL);
            continue;
        }
        kill(a->pid, SIGKILL);
        waitpid(a->pid, NULL, 0);
        return;
    }
}

void bawn_arrive_close(struct bawn_run *r)
{
    struct bawn_arrive *a = &r->arrive;

    if (a->pid) {
        end_process(a);
        a->pid = 0;
    }
    if (a->watch >= 0 && r->loop)
        bawn_loop_forget(r->loop, a->watch);
    if (a->link >= 0)
        close(a->link);
    if (a->shared)
        munmap(a->shared, sizeof(*a->shared));
    bawn_mem_destroy(&a->mem);
    free(a->state);
    *a = (struct bawn_arrive){ .link = -1, .watch = -1, .mem.faults = -1 };
}

/* It may have ended, and what it said last still be there. */
static void distrust(const struct bawn_arrive *a)
{
    if (a->pid)
        kill(a->pid, SIGKILL);
}

/* The source hears why, if it still listens; the process ends then, and bawn_arrive_reap() sees. */
static void refuse(struct bawn_run *r, const char *why)
{
    struct bawn_arrive *a = &r->arrive;

    snprintf(a->why, sizeof(a->why), "%.400s", why);
    if (!a->pid || a->mine)
        return;
    snprintf(a->shared->why.msg, sizeof(a->shared->why.msg), "%.400s", why);
    if (!bawn_move_tell(a->link, BAWN_MOVE_REFUSE))
        distrust(a);
}

/* ---- before the source stops ---- */

/* The configuration, and over it what this side's command line says. */
static enum bawn_status take_config(struct bawn_run *r, const struct bawn_frame_hello *hello,
                                    struct bawn_error *err)
{
    struct bawn_options *opt = &r->opt;
    char *text = calloc(1, hello->config_len + 1);
    enum bawn_status st;

    if (!text)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the configuration");
    memcpy(text, r->arrive.shared->config, hello->config_len);
    bawn_vm_config_free(&opt->cfg);
    bawn_vm_config_init(&opt->cfg);
    st = bawn_vm_config_parse(&opt->cfg, text, strlen(text), err);
    free(text);
    for (unsigned i = 0; !st && i < opt->cfg.nr_nets; i++) {
        if (opt->cfg.net[i].nr_fds) /* here it is another file, or none */
            st = bawn_fail(err, BAWN_E_UNSUPPORTED,
                           "network device %u was given as a descriptor, which cannot move", i);
    }
    return st ? st : bawn_options_over(opt, err);
}

static struct bawn_disk *disk_of(struct bawn_run *r, unsigned i)
{
    return &r->disk[r->opt.cfg.disk[i].slot - BAWN_SLOT_DISK];
}

static enum bawn_status compare(struct bawn_run *r, const struct bawn_frame_hello *hello,
                                const struct bawn_state *facts, struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned vcpus = bawn_vm_config_max_vcpus(cfg);
    bool same = hello->nr_ram == r->plan.nr_ram;

    for (unsigned i = 0; same && i < hello->nr_ram; i++)
        same = hello->ram[i].gpa == r->plan.ram[i].gpa && hello->ram[i].size == r->plan.ram[i].size;
    if (!same)
        return bawn_fail(err, BAWN_E_CONFIG, "its memory is not that of its configuration");
    if (facts->version != BAWN_STATE_VERSION)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "its state is of version %u: this bawn loads version %u", facts->version,
                         BAWN_STATE_VERSION);
    if (facts->nr_vcpus != vcpus || facts->size != BAWN_STATE_SIZE(vcpus) ||
        hello->state_len != facts->size)
        return bawn_fail(err, BAWN_E_CONFIG, "its state is not that of its configuration");
    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        if (hello->sectors[i] != disk_of(r, i)->sectors)
            return bawn_fail(err, BAWN_E_CONFIG,
                             "disk %s has %llu sectors here, and %llu at the source",
                             cfg->disk[i].path, (unsigned long long)disk_of(r, i)->sectors,
                             (unsigned long long)hello->sectors[i]);
    }
    return bawn_cpuid_fits(&r->accel, vcpus, &facts->cpuid, err);
}

/* All that can be refused is refused now. */
static enum bawn_status take_in(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_arrive *a = &r->arrive;
    struct bawn_frame_hello hello = a->shared->hello;
    struct bawn_state *facts = calloc(1, sizeof(*facts));
    enum bawn_status st;

    if (!facts)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the machine's state");
    a->state = facts;
    memcpy(facts, &a->shared->state, BAWN_STATE_FACTS);
    if (hello.config_len >= BAWN_FRAME_CONFIG_MAX || hello.nr_ram > BAWN_MEM_MAX_RANGES)
        return bawn_fail(err, BAWN_E_INTERNAL, "the process that receives makes no sense");
    st = take_config(r, &hello, err);
    if (!st)
        st = bawn_run_prepare(r, err);
    if (!st)
        st = compare(r, &hello, facts, err);
    if (!st)
        st = bawn_mem_create(&a->mem, r->plan.ram, r->plan.nr_ram, bawn_mem_pages_of(&r->opt.cfg),
                             err);
    return st;
}

/* ---- after it has ---- */

static enum bawn_status take_state(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_arrive *a = &r->arrive;
    struct bawn_state *facts = malloc(sizeof(*facts));
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    enum bawn_status st = BAWN_OK;

    if (!facts)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the machine's state");
    memcpy(facts, a->state, BAWN_STATE_FACTS);
    memcpy(a->state, &a->shared->state, sizeof(*a->state));
    facts->nr_devices = a->state->nr_devices; /* counted when they are saved, judged when loaded */
    if (memcmp(facts, a->state, BAWN_STATE_FACTS)) /* what was judged before */
        st = bawn_fail(err, BAWN_E_FORMAT, "its state is not the one that was told before");
    free(facts);
    if (!st)
        st = bawn_state_check(a->state, a->state->size, bawn_vm_config_max_vcpus(cfg), err);
    for (unsigned i = 0; !st && i < cfg->nr_disks; i++)
        st = bawn_disk_take_over(disk_of(r, i), &cfg->disk[i], err);
    return st;
}

/* Anybody on the network may be one, as often as they like; and nobody may read of it. */
static void tell_stranger(struct bawn_run *r)
{
    struct pollfd log = { STDERR_FILENO, POLLOUT, 0 };
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != r->arrive.told && poll(&log, 1, 0) == 1 && log.revents == POLLOUT)
        bawn_run_stranger(r, r->arrive.shared->why.msg);
    r->arrive.told = now.tv_sec;
}

static void on_message(void *opaque)
{
    struct bawn_run *r = opaque;
    struct bawn_arrive *a = &r->arrive;
    struct bawn_error err = { .msg = "" };
    struct bawn_move_msg msg = { 0 };
    ssize_t n = recv(a->link, &msg, sizeof(msg), MSG_DONTWAIT);
    enum bawn_status st = BAWN_OK;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != sizeof(msg)) {
        bawn_loop_set(r->loop, a->watch, false); /* it ends: bawn_arrive_reap() */
        return;
    }
    if (*a->why) {
        distrust(a); /* nothing comes from one that was refused */
    } else if (msg.kind == BAWN_MOVE_STRANGER) {
        tell_stranger(r);
    } else if (msg.kind == BAWN_MOVE_ASKED && !a->state) {
        st = take_in(r, &err);
        if (!st && !bawn_move_give_memory(a->link, &a->mem))
            st = bawn_fail(&err, BAWN_E_IO, "the process that receives has ended");
    } else if (msg.kind == BAWN_MOVE_ENDED && a->mem.nr && !r->running) {
        st = take_state(r, &err);
        if (!st) {
            r->created = r->open = true;
            r->next = BAWN_NEXT_BOOT;
            bawn_loop_stop(r->loop);
        }
    } else if (msg.kind == BAWN_MOVE_RUN && a->built && !a->mine) {
        a->mine = true;
        if (!bawn_boot_order(&r->boot, BAWN_ORDER_RESUME))
            bawn_boot_end(&r->boot, BAWN_END_FAILED, "it arrived, and takes no orders");
    } else {
        distrust(a);
    }
    if (st)
        refuse(r, err.msg);
}

/* ---- what becomes of it ---- */

void bawn_arrive_launched(struct bawn_run *r)
{
    struct bawn_arrive *a = &r->arrive;

    if (!a->active)
        return;
    a->built = true;
    if (!bawn_move_tell(a->link, BAWN_MOVE_HOLDS))
        distrust(a);
}

bool bawn_arrive_ordered(struct bawn_run *r, const char *why)
{
    struct bawn_arrive *a = &r->arrive;

    if (!a->active)
        return false;
    if (*why) {
        bawn_boot_end(&r->boot, BAWN_END_FAILED, "it arrived, and does not go on: %.200s", why);
        return true;
    }
    bawn_move_tell(a->link, BAWN_MOVE_RUNS);
    a->active = false; /* it is a machine like others; the process ends by itself */
    bawn_run_arrived(r, "");
    return true;
}

void bawn_arrive_failed(struct bawn_run *r, const char *why)
{
    if (r->arrive.active)
        refuse(r, why);
}

void bawn_arrive_reap(struct bawn_run *r)
{
    struct bawn_arrive *a = &r->arrive;
    int status;

    if (!a->pid || waitpid(a->pid, &status, WNOHANG) <= 0)
        return;
    a->pid = 0;
    if (!a->active || a->mine) { /* it has done what it was for */
        if (!a->active)
            bawn_arrive_close(r);
        return;
    }
    if (!*a->why) {
        bawn_boot_clean(a->shared->why.msg, sizeof(a->shared->why.msg));
        snprintf(a->why, sizeof(a->why), "%.400s",
                 WIFEXITED(status) ? a->shared->why.msg : "the process that receives was killed");
    }
    if (r->running) {
        bawn_boot_end(&r->boot, BAWN_END_FAILED, "it has not arrived: %.200s", a->why);
        return;
    }
    bawn_run_arrived(r, a->why);
}

enum bawn_status bawn_arrive_begin(struct bawn_run *r, const char *url,
                                   const struct bawn_tls_files *files, struct bawn_error *err)
{
    struct bawn_arrive *a = &r->arrive;
    struct bawn_receive receive = { .files = *files, .listen_fd = bawn_tls_listen(url, err) };
    int pair[2];

    if (receive.listen_fd < 0)
        return BAWN_E_IO;
    *a = (struct bawn_arrive){ .link = -1, .watch = -1, .mem.faults = -1 };
    a->shared =
        mmap(NULL, sizeof(*a->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (a->shared == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        a->shared = a->shared == MAP_FAILED ? NULL : a->shared;
        close(receive.listen_fd);
        return bawn_fail(err, BAWN_E_IO, "cannot reach the process that receives: %m");
    }
    a->link = pair[0];
    receive.arrival = a->shared;
    receive.link = pair[1];
    a->pid = bawn_boot_spawn("receive");
    if (!a->pid) {
        close(pair[0]);
        bawn_receive_run(&receive);
    }
    close(pair[1]);
    close(receive.listen_fd);
    a->active = a->pid > 0;
    if (a->active)
        return BAWN_OK;
    a->pid = 0;
    return bawn_fail(err, BAWN_E_IO, "cannot make a process: %m");
}

void bawn_arrive_watch(struct bawn_run *r)
{
    if (r->arrive.link >= 0)
        r->arrive.watch = bawn_loop_watch(r->loop, r->arrive.link, true, on_message, r);
}
