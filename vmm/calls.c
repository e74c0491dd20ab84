// SPDX-License-Identifier: Apache-2.0
/*
 * What each call of the API does, and in which states of a machine. The API's process checked that
 * a body is JSON text of bounded size; what is in it is checked here.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"

#define ALIVE (BAWN_IS_RUNNING | BAWN_IS_PAUSED)
#define DEAD (BAWN_IS_CREATED | BAWN_IS_SHUTDOWN)
#define ANY (BAWN_IS_NONE | ALIVE | DEAD | BAWN_IS_BOOTING | BAWN_IS_MOVING)

unsigned bawn_run_state(const struct bawn_run *r)
{
    if (r->arrive.active || (r->running && r->boot.leave.active))
        return BAWN_IS_MOVING;
    if (!r->created)
        return BAWN_IS_NONE;
    if (r->running)
        return !r->boot.launched ? BAWN_IS_BOOTING
               : r->boot.paused  ? BAWN_IS_PAUSED
                                 : BAWN_IS_RUNNING;
    return r->open ? BAWN_IS_SHUTDOWN : BAWN_IS_CREATED;
}

const char *bawn_run_state_name(unsigned state)
{
    static const char *const names[] = { "none",     "Created", "Running",       "Paused",
                                         "Shutdown", "Created", "being migrated" };

    return names[__builtin_ctz(state)];
}

/* ---- what is known ---- */

struct text {
    char *at;
    size_t len;
    FILE *out;
};

static bool text_begin(struct text *t)
{
    *t = (struct text){ 0 };
    t->out = open_memstream(&t->at, &t->len);
    return t->out;
}

static void text_reply(struct bawn_run *r, struct text *t)
{
    if (!fclose(t->out) && t->at)
        bawn_control_answer(r, 200, t->at);
    else
        bawn_control_refuse(r, 500, "no memory");
    free(t->at);
}

static enum bawn_status do_ping(struct bawn_run *r, struct bawn_error *err)
{
    struct text t;

    if (!text_begin(&t))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    fprintf(t.out, "{\"build_version\":\"bawn %s\",\"version\":\"%s\",\"pid\":%d,\"features\":[]}",
            BAWN_VERSION, BAWN_CH_VERSION ".0", getpid());
    text_reply(r, &t);
    return BAWN_OK;
}

/* Without what the guest says that it has given up; any number is one. */
static uint64_t actual_memory(const struct bawn_run *r)
{
    const struct bawn_counters *counters = r->running ? r->boot.counters : NULL;
    uint64_t memory = r->opt.cfg.memory,
             balloon = counters ? (uint64_t)le32toh(counters->balloon) << 12 : 0;

    return balloon < memory ? memory - balloon : 0;
}

/* By the machine's process: any number is one. */
unsigned bawn_run_vcpus(const struct bawn_run *r)
{
    unsigned max = bawn_vm_config_max_vcpus(&r->opt.cfg), n = 0;

    if (r->running && r->boot.counters)
        n = (unsigned)__builtin_popcountll(r->boot.counters->vcpus & (~0ull >> (64 - max)));
    return n ? n : r->opt.cfg.vcpus;
}

/* Its vCPUs are those that there are, as Cloud Hypervisor has it. */
static enum bawn_status do_info(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config now = r->opt.cfg;
    unsigned state = bawn_run_state(r);
    struct text t;
    char *config;

    now.vcpus = bawn_run_vcpus(r);
    now.max_vcpus = bawn_vm_config_max_vcpus(&r->opt.cfg);
    config = bawn_vm_config_print(&now);

    if (!config || !text_begin(&t)) {
        free(config);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    fprintf(t.out, "{\"config\":%s,\"state\":\"%s\",\"memory_actual_size\":%llu}", config,
            state == BAWN_IS_MOVING ? "Running" : bawn_run_state_name(state),
            (unsigned long long)actual_memory(r));
    free(config);
    text_reply(r, &t);
    return BAWN_OK;
}

/* The machine's processes wrote the numbers: any number is one. */
static enum bawn_status do_counters(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_counters *counters = r->boot.counters;
    struct text t;

    if (!r->running)
        return bawn_fail(err, BAWN_E_IO, "the machine has not arrived yet");
    if (!text_begin(&t))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    for (unsigned i = 0; i < bawn_vm_config_max_vcpus(&r->opt.cfg); i++) {
        const char *comma = "";

        fprintf(t.out, "%s\"vcpu%u\":{", i ? "," : "{", i);
        for (unsigned n = 0; n < BAWN_NR_EXITS; n++) {
            if (!counters->exits[i][n])
                continue;
            fprintf(t.out, "%s\"exits_%s\":%llu", comma, bawn_exit_name(n),
                    (unsigned long long)counters->exits[i][n]);
            comma = ",";
        }
        fputs("}", t.out);
    }
    for (unsigned i = 0; i < r->boot.devices.nr; i++) {
        const struct bawn_vdev_count *c = &counters->device[i];

        if (!r->boot.devices.dev[i].present)
            continue;
        fprintf(t.out,
                ",\"%s\":{\"requests\":%llu,\"bytes_to_guest\":%llu,\"bytes_from_guest\":%llu,"
                "\"interrupts\":%llu}",
                r->boot.devices.dev[i].name, (unsigned long long)c->requests,
                (unsigned long long)c->bytes_in, (unsigned long long)c->bytes_out,
                (unsigned long long)c->interrupts);
    }
    fputs("}", t.out);
    text_reply(r, &t);
    return BAWN_OK;
}

/* ---- short bodies ---- */

enum bawn_status bawn_wish_read(struct bawn_run *r, struct bawn_wish *w,
                                const struct bawn_json_field *keys, size_t n,
                                struct bawn_error *err)
{
    const struct bawn_json_table table = { .field = keys, .n = n, .size = sizeof(*w) };
    json_t *value = NULL;
    enum bawn_status st = bawn_json_load(&value, r->control.body, r->control.len, err);

    *w = (struct bawn_wish){ .vcpus = BAWN_NO_WISH, .ram = BAWN_NO_WISH, .balloon = BAWN_NO_WISH };
    if (!st)
        st = bawn_json_read(&table, w, NULL, value, err);
    json_decref(value);
    return st;
}

void bawn_wish_free(struct bawn_wish *w)
{
    free(w->id);
    free(w->url);
    free(w->base);
    free(w->cert);
    free(w->key);
    free(w->ca);
}

/* ---- orders ---- */

static enum bawn_status do_boot(struct bawn_run *r, struct bawn_error *err)
{
    (void)err;
    r->next = BAWN_NEXT_BOOT;
    bawn_loop_stop(r->loop);
    return BAWN_OK;
}

static enum bawn_status do_reboot(struct bawn_run *r, struct bawn_error *err)
{
    (void)err;
    r->reboot = true;
    r->next = BAWN_NEXT_BOOT;
    bawn_boot_end(&r->boot, BAWN_END_QUIT, "rebooted from outside");
    return BAWN_OK;
}

static enum bawn_status do_shutdown(struct bawn_run *r, struct bawn_error *err)
{
    (void)err;
    r->next = BAWN_NEXT_WAIT;
    bawn_boot_end(&r->boot, BAWN_END_QUIT, "shut down from outside");
    return BAWN_OK;
}

static enum bawn_status do_delete(struct bawn_run *r, struct bawn_error *err)
{
    if (r->running)
        return do_shutdown(r, err);
    bawn_run_forget(r);
    bawn_control_answer(r, 204, "");
    return BAWN_OK;
}

static enum bawn_status do_quit(struct bawn_run *r, struct bawn_error *err)
{
    (void)err;
    bawn_control_answer(r, 204, "");
    r->next = BAWN_NEXT_QUIT;
    if (r->running)
        bawn_boot_end(&r->boot, BAWN_END_QUIT, "ended from outside");
    else
        bawn_loop_stop(r->loop);
    return BAWN_OK;
}

static const struct bawn_json_field snapshot_keys[] = {
    BAWN_WISH("destination_url", BAWN_JSON_STRING, url, .needed = true),
    BAWN_WISH("base_url", BAWN_JSON_STRING, base),
    BAWN_WISH("track", BAWN_JSON_BOOL, track),
};

/* "file:///PATH"; in a directory, a file of its own. */
static enum bawn_status snapshot_path(const char *url, char *path, size_t room,
                                      struct bawn_error *err)
{
    struct stat s;

    if (strncmp(url, "file:///", 8))
        return bawn_fail(err, BAWN_E_CONFIG, "the URL must begin with file:///");
    url += 7;
    if ((size_t)snprintf(path, room, "%s%s", url,
                         !stat(url, &s) && S_ISDIR(s.st_mode) ? "/snapshot.bawn" : "") >= room)
        return bawn_fail(err, BAWN_E_CONFIG, "the path is too long");
    return BAWN_OK;
}

static enum bawn_status do_snapshot(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_image_key key;
    char path[PATH_MAX], base[PATH_MAX];
    const struct bawn_control *c = &r->control;
    struct bawn_save_wish wish = { .path = path, .progress = c->nr_fds ? c->fds[0] : -1 };
    struct bawn_wish w;
    enum bawn_status st = BAWN_READ_WISH(&w, snapshot_keys);

    wish.track = w.track;
    wish.base = w.base ? base : NULL;
    if (!st)
        st = snapshot_path(w.url, path, sizeof(path), err);
    if (!st && w.base)
        st = snapshot_path(w.base, base, sizeof(base), err);
    if (!st)
        st = bawn_options_key(&r->opt, &key, err);
    if (!st)
        st = bawn_save_begin(&r->boot, &wish, &key, err);
    explicit_bzero(&key, sizeof(key));
    if (!st)
        bawn_event(&r->events, "vm", "snapshotting");
    bawn_wish_free(&w);
    return st;
}

static const char *skip(void *object, const json_t *value)
{
    (void)object, (void)value;
    return NULL;
}

static const struct bawn_json_field restore_keys[] = {
    BAWN_WISH("source_url", BAWN_JSON_STRING, url, .needed = true),
    { .name = "net_fds", .kind = BAWN_JSON_OTHER, .get = skip }, /* they come in order */
    { .name = "prefault", .kind = BAWN_JSON_FIXED, .words = "false" },
};

/* In the place of those that network devices had. */
static enum bawn_status give_files(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    struct bawn_control *c = &r->control;
    unsigned need = 0, n = 0;

    for (unsigned i = 0; i < cfg->nr_nets; i++)
        need += cfg->net[i].nr_fds;
    if (need != c->nr_fds)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "%u descriptors came, and the snapshot's machine needs %u", c->nr_fds,
                         need);
    for (unsigned i = 0; i < cfg->nr_nets; i++) {
        for (unsigned k = 0; k < cfg->net[i].nr_fds; k++)
            cfg->net[i].fd[k] = fcntl(c->fds[n++], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    }
    return BAWN_OK;
}

/* It goes on paused (bawn_control_launched()). */
static enum bawn_status do_restore(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_wish w;
    enum bawn_status st = BAWN_READ_WISH(&w, restore_keys);

    if (!st)
        st = snapshot_path(w.url, r->restore, sizeof(r->restore), err);
    bawn_wish_free(&w);
    if (st)
        return st;
    bawn_options_free(&r->opt); /* of a machine before */
    r->opt.restore = r->restore;
    st = bawn_options_restore(&r->opt, err);
    if (!st)
        st = give_files(r, err);
    if (st) {
        r->opt.restore = NULL;
        bawn_options_free(&r->opt);
        return st;
    }
    r->launches = 0;
    r->created = true;
    bawn_event(&r->events, "vm", "restoring");
    return do_boot(r, err);
}

static enum bawn_status do_order(struct bawn_run *r, struct bawn_error *err)
{
    enum bawn_api_call call = r->control.call;

    if (call == BAWN_API_RESUME && bawn_leave_return(&r->boot, err))
        return BAWN_E_IO;
    if (!bawn_boot_order(&r->boot, bawn_calls[call].order))
        return bawn_fail(err, BAWN_E_IO,
                         "the machine is busy: it ends, or does as it was told before");
    if (bawn_calls[call].event)
        bawn_event(&r->events, "vm", bawn_calls[call].event);
    return BAWN_OK;
}

const struct bawn_call bawn_calls[BAWN_API_CALLS] = {
    [BAWN_API_PING] = { do_ping, ANY, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_INFO] = { do_info, ANY & ~BAWN_IS_NONE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_COUNTERS] = { do_counters, ALIVE | BAWN_IS_MOVING, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_QUIT] = { do_quit, ANY, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_CREATE] = { bawn_call_create, BAWN_IS_NONE, BAWN_ORDER_END,
                          "there is a machine already", NULL },
    [BAWN_API_DELETE] = { do_delete, ALIVE | DEAD | BAWN_IS_BOOTING, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_BOOT] = { do_boot, DEAD, BAWN_ORDER_END, "it was booted already", NULL },
    [BAWN_API_PAUSE] = { do_order, BAWN_IS_RUNNING, BAWN_ORDER_PAUSE, NULL, "pausing" },
    [BAWN_API_RESUME] = { do_order, BAWN_IS_PAUSED, BAWN_ORDER_RESUME, NULL, "resuming" },
    [BAWN_API_REBOOT] = { do_reboot, ALIVE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_SHUTDOWN] = { do_shutdown, ALIVE | BAWN_IS_BOOTING, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_BUTTON] = { do_order, BAWN_IS_RUNNING, BAWN_ORDER_BUTTON, NULL, NULL },
#define CHANGE (BAWN_IS_CREATED | BAWN_IS_RUNNING)
#define NO_CHANGE "it can be changed before its first boot, and while it runs"
    [BAWN_API_ADD_NET] = { bawn_call_add_net, CHANGE, BAWN_ORDER_PLUG, NO_CHANGE, NULL },
    [BAWN_API_ADD_DISK] = { bawn_call_add_disk, CHANGE, BAWN_ORDER_PLUG, NO_CHANGE, NULL },
    [BAWN_API_REMOVE] = { bawn_call_remove, CHANGE, BAWN_ORDER_UNPLUG, NO_CHANGE, NULL },
    [BAWN_API_RESIZE] = { bawn_call_resize, CHANGE, BAWN_ORDER_CONFIG, NO_CHANGE, NULL },
    [BAWN_API_SNAPSHOT] = { do_snapshot, ALIVE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_SEND] = { bawn_call_send, BAWN_IS_RUNNING, BAWN_ORDER_END, NULL,
                        "migration-started" },
    [BAWN_API_RECEIVE] = { bawn_call_receive, BAWN_IS_NONE, BAWN_ORDER_END,
                           "there is a machine already", NULL },
    [BAWN_API_RESTORE] = { do_restore, BAWN_IS_NONE, BAWN_ORDER_END, "there is a machine already",
                           NULL },
};
