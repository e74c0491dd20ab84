// SPDX-License-Identifier: Apache-2.0
/*
 * One request at a time: a table says which calls a machine's state allows, and who answers them.
 * Some are answered when the machine's processes have done their part.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/json.h"
#include "run.h"
#include "runtime.h"

#define LAST_WORDS 2 /* seconds that the API's process may take for its last answer */

enum {
    NONE = 1 << 0,
    CREATED = 1 << 1,
    RUNNING = 1 << 2,
    PAUSED = 1 << 3,
    SHUTDOWN = 1 << 4,
    BOOTING = 1 << 5
};
#define ALIVE (RUNNING | PAUSED)
#define DEAD (CREATED | SHUTDOWN)
#define ANY (NONE | ALIVE | DEAD | BOOTING)

static unsigned state_of(const struct bawn_run *r)
{
    if (!r->created)
        return NONE;
    if (r->running)
        return !r->boot.launched ? BOOTING : r->boot.paused ? PAUSED : RUNNING;
    return r->open ? SHUTDOWN : CREATED;
}

static const char *state_name(unsigned state)
{
    static const char *const names[] = { "none",   "Created",  "Running",
                                         "Paused", "Shutdown", "Created" };

    return names[__builtin_ctz(state)];
}

/* ---- answers ---- */

static void reply(struct bawn_run *r, unsigned status, const char *body)
{
    static struct bawn_api_answer a;
    struct bawn_control *c = &r->control;
    size_t len = strlen(body);

    if (!c->pending)
        return;
    c->pending = false;
    if (len > sizeof(a.body))
        status = 500, body = "[\"the answer is too long\"]", len = strlen(body);
    a.id = c->id;
    a.status = status;
    memcpy(a.body, body, len);
    /* A process that is gone, or does not read, has no client that waits. */
    (void)!send(c->link[0], &a, offsetof(struct bawn_api_answer, body) + len, MSG_DONTWAIT);
}

static void reply_error(struct bawn_run *r, unsigned status, const char *why)
{
    json_t *messages = json_pack("[ss]", bawn_api_name(r->control.call), why);
    char *text = messages ? json_dumps(messages, JSON_COMPACT) : NULL;

    reply(r, status, text ? text : "[\"an error whose text cannot be shown\"]");
    free(text);
    json_decref(messages);
}

/* Done, or not: why. */
static void conclude(struct bawn_run *r, const char *why)
{
    if (*why)
        reply_error(r, 500, why);
    else
        reply(r, 204, "");
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
        reply(r, 200, t->at);
    else
        reply_error(r, 500, "no memory");
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

static enum bawn_status do_info(struct bawn_run *r, struct bawn_error *err)
{
    char *config = bawn_vm_config_print(&r->opt.cfg);
    struct text t;

    if (!config || !text_begin(&t)) {
        free(config);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    fprintf(t.out, "{\"config\":%s,\"state\":\"%s\",\"memory_actual_size\":%llu}", config,
            state_name(state_of(r)), (unsigned long long)r->opt.cfg.memory);
    free(config);
    text_reply(r, &t);
    return BAWN_OK;
}

/* The machine's processes wrote the numbers: any number is one. */
static enum bawn_status do_counters(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_counters *counters = r->boot.counters;
    struct text t;

    if (!text_begin(&t))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    for (unsigned i = 0; i < r->opt.cfg.vcpus; i++) {
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

/* ---- configuration ---- */

/* A number in the text would be one of ours. */
static enum bawn_status refuse_numbers(const struct bawn_vm_config *cfg, unsigned from,
                                       struct bawn_error *err)
{
    for (unsigned i = from; i < cfg->nr_nets; i++) {
        if (cfg->net[i].fd >= 0)
            return bawn_fail(err, BAWN_E_CONFIG,
                             "net[%u].fds: descriptors come with vm.add-net, not as numbers", i);
    }
    return BAWN_OK;
}

static enum bawn_status do_create(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config cfg;
    enum bawn_status st;

    bawn_vm_config_init(&cfg);
    cfg.serial.mode = BAWN_STREAM_NULL; /* there is no terminal */
    st = bawn_vm_config_parse(&cfg, r->control.body, r->control.len, err);
    if (!st)
        st = refuse_numbers(&cfg, 0, err);
    if (!st)
        st = bawn_vm_config_check(&cfg, err);
    if (st) {
        bawn_vm_config_free(&cfg);
        return st;
    }
    r->opt.cfg = cfg;
    r->created = true;
    reply(r, 204, "");
    return BAWN_OK;
}

static void drop_disk(struct bawn_vm_config *cfg, unsigned i)
{
    struct bawn_disk_config *d = &cfg->disk[i];

    free(d->path);
    free(d->backing);
    free(d->id);
    memmove(d, d + 1, (--cfg->nr_disks - i) * sizeof(*d));
}

static void drop_net(struct bawn_vm_config *cfg, unsigned i)
{
    struct bawn_net_config *n = &cfg->net[i];

    if (n->fd >= 0)
        close(n->fd);
    free(n->tap);
    free(n->socket);
    free(n->id);
    memmove(n, n + 1, (--cfg->nr_nets - i) * sizeof(*n));
}

static enum bawn_status do_add_disk(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned nr = cfg->nr_disks;
    enum bawn_status st =
        bawn_vm_config_parse_device(cfg, "disks", r->control.body, r->control.len, err);

    if (!st)
        st = bawn_vm_config_check(cfg, err);
    while (st && cfg->nr_disks > nr)
        drop_disk(cfg, nr);
    if (!st)
        reply(r, 204, "");
    return st;
}

static enum bawn_status do_add_net(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_control *c = &r->control;
    struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned nr = cfg->nr_nets;
    enum bawn_status st = bawn_vm_config_parse_device(cfg, "net", c->body, c->len, err);

    for (unsigned i = nr; i < cfg->nr_nets; i++)
        cfg->net[i].fd = -1; /* numbers mean nothing here */
    if (!st && c->nr_fds > 1)
        st = bawn_fail(err, BAWN_E_CONFIG, "%u descriptors came, and a device has one queue pair",
                       c->nr_fds);
    if (!st && c->nr_fds)
        cfg->net[nr].fd = c->fds[--c->nr_fds];
    if (!st)
        st = bawn_vm_config_check(cfg, err);
    while (st && cfg->nr_nets > nr)
        drop_net(cfg, nr);
    if (!st)
        reply(r, 204, "");
    return st;
}

struct wish {
    char *id, *url;
    uint64_t vcpus, ram, balloon;
};

#define WISH(key, kind_, member, ...)                                                        \
    {                                                                                        \
        .name = (key), .kind = (kind_), BAWN_JSON_AT(struct wish, member), .max = INT64_MAX, \
        __VA_ARGS__                                                                          \
    }
static const struct bawn_json_field remove_keys[] = {
    WISH("id", BAWN_JSON_STRING, id, .needed = true),
};
static const struct bawn_json_field resize_keys[] = {
    WISH("desired_vcpus", BAWN_JSON_NUMBER, vcpus, ),
    WISH("desired_ram", BAWN_JSON_NUMBER, ram, ),
    WISH("desired_balloon", BAWN_JSON_NUMBER, balloon, ),
};
static const struct bawn_json_field snapshot_keys[] = {
    WISH("destination_url", BAWN_JSON_STRING, url, .needed = true),
};

static enum bawn_status read_wish(struct bawn_run *r, struct wish *w,
                                  const struct bawn_json_field *keys, size_t n,
                                  struct bawn_error *err)
{
    const struct bawn_json_table table = { .field = keys, .n = n, .size = sizeof(*w) };
    json_t *value = NULL;
    enum bawn_status st = bawn_json_load(&value, r->control.body, r->control.len, err);

    *w = (struct wish){ 0 };
    if (!st)
        st = bawn_json_read(&table, w, NULL, value, err);
    json_decref(value);
    return st;
}
#define READ_WISH(w, keys) read_wish(r, (w), (keys), sizeof(keys) / sizeof((keys)[0]), err)

static void free_wish(struct wish *w)
{
    free(w->id);
    free(w->url);
}

static bool id_is(const char *id, const char *want)
{
    return id && !strcmp(id, want);
}

static enum bawn_status do_remove(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned left = cfg->nr_disks + cfg->nr_nets;
    struct wish w;
    enum bawn_status st = READ_WISH(&w, remove_keys);

    for (unsigned i = cfg->nr_disks; !st && i-- > 0;) {
        if (id_is(cfg->disk[i].id, w.id))
            drop_disk(cfg, i);
    }
    for (unsigned i = cfg->nr_nets; !st && i-- > 0;) {
        if (id_is(cfg->net[i].id, w.id))
            drop_net(cfg, i);
    }
    if (!st && left == cfg->nr_disks + cfg->nr_nets)
        st = bawn_fail(err, BAWN_E_CONFIG, "there is no disk or network device of this id");
    if (!st)
        reply(r, 204, "");
    free_wish(&w);
    return st;
}

static enum bawn_status do_resize(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config next = r->opt.cfg;
    struct wish w;
    enum bawn_status st = READ_WISH(&w, resize_keys);

    next.vcpus = w.vcpus ? (unsigned)w.vcpus : next.vcpus;
    next.memory = w.ram ? w.ram : next.memory;
    next.balloon.size = w.balloon ? w.balloon : next.balloon.size;
    if (!st && w.vcpus > BAWN_MAX_VCPUS)
        st = bawn_fail(err, BAWN_E_CONFIG, "a machine has at most %d vCPUs", BAWN_MAX_VCPUS);
    if (!st && w.balloon && !next.balloon.on)
        st = bawn_fail(err, BAWN_E_CONFIG, "this machine has no balloon");
    if (!st)
        st = bawn_vm_config_check(&next, err);
    if (!st) {
        r->opt.cfg = next;
        reply(r, 204, "");
    }
    return st;
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

static void forget(struct bawn_run *r)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;

    r->opt.restore = NULL;

    while (cfg->nr_nets)
        drop_net(cfg, 0);
    bawn_run_close(r);
    bawn_options_free(&r->opt);
    r->created = false;
    bawn_event(&r->events, "vm", "deleted");
}

static enum bawn_status do_delete(struct bawn_run *r, struct bawn_error *err)
{
    if (r->running)
        return do_shutdown(r, err);
    forget(r);
    reply(r, 204, "");
    return BAWN_OK;
}

static enum bawn_status do_quit(struct bawn_run *r, struct bawn_error *err)
{
    (void)err;
    reply(r, 204, "");
    r->next = BAWN_NEXT_QUIT;
    if (r->running)
        bawn_boot_end(&r->boot, BAWN_END_QUIT, "ended from outside");
    else
        bawn_loop_stop(r->loop);
    return BAWN_OK;
}

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
    char path[PATH_MAX];
    struct wish w;
    enum bawn_status st = READ_WISH(&w, snapshot_keys);

    if (!st)
        st = snapshot_path(w.url, path, sizeof(path), err);
    if (!st)
        st = bawn_options_key(&r->opt, &key, err);
    if (!st)
        st = bawn_save_begin(&r->boot, path, &key, err);
    explicit_bzero(&key, sizeof(key));
    if (!st)
        bawn_event(&r->events, "vm", "snapshotting");
    free_wish(&w);
    return st;
}

static const char *skip(void *object, const json_t *value)
{
    (void)object, (void)value;
    return NULL;
}

static const struct bawn_json_field restore_keys[] = {
    WISH("source_url", BAWN_JSON_STRING, url, .needed = true),
    { .name = "net_fds", .kind = BAWN_JSON_OTHER, .get = skip }, /* they come in order */
    { .name = "prefault", .kind = BAWN_JSON_FIXED, .words = "false" },
};

/* In the place of those that network devices had. */
static enum bawn_status give_files(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    struct bawn_control *c = &r->control;
    unsigned need = 0, had = c->nr_fds;

    for (unsigned i = 0; i < cfg->nr_nets; i++) {
        if (cfg->net[i].fd < 0)
            continue;
        cfg->net[i].fd = need < had ? dup(c->fds[need]) : -1;
        need++;
    }
    return need == had
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_CONFIG,
                           "%u descriptors came, and the snapshot's machine needs %u", had, need);
}

/* It goes on paused (bawn_control_launched()). */
static enum bawn_status do_restore(struct bawn_run *r, struct bawn_error *err)
{
    struct wish w;
    enum bawn_status st = READ_WISH(&w, restore_keys);

    if (!st)
        st = snapshot_path(w.url, r->restore, sizeof(r->restore), err);
    free_wish(&w);
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

/* ---- requests ---- */

static enum bawn_status do_order(struct bawn_run *r, struct bawn_error *err);

static const struct {
    enum bawn_status (*run)(struct bawn_run *r, struct bawn_error *err);
    unsigned states;
    enum bawn_order order;
    const char *refused; /* what to do in others */
    const char *event;
} calls[BAWN_API_CALLS] = {
    [BAWN_API_PING] = { do_ping, ANY, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_INFO] = { do_info, ANY & ~NONE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_COUNTERS] = { do_counters, ALIVE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_QUIT] = { do_quit, ANY, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_CREATE] = { do_create, NONE, BAWN_ORDER_END, "there is a machine already", NULL },
    [BAWN_API_DELETE] = { do_delete, ANY & ~NONE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_BOOT] = { do_boot, DEAD, BAWN_ORDER_END, "it was booted already", NULL },
    [BAWN_API_PAUSE] = { do_order, RUNNING, BAWN_ORDER_PAUSE, NULL, "pausing" },
    [BAWN_API_RESUME] = { do_order, PAUSED, BAWN_ORDER_RESUME, NULL, "resuming" },
    [BAWN_API_REBOOT] = { do_reboot, ALIVE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_SHUTDOWN] = { do_shutdown, ALIVE | BOOTING, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_BUTTON] = { do_order, RUNNING, BAWN_ORDER_BUTTON, NULL, NULL },
#define NO_HOTPLUG "devices, vCPUs and memory can be changed before the first boot only"
    [BAWN_API_ADD_NET] = { do_add_net, CREATED, BAWN_ORDER_END, NO_HOTPLUG, NULL },
    [BAWN_API_ADD_DISK] = { do_add_disk, CREATED, BAWN_ORDER_END, NO_HOTPLUG, NULL },
    [BAWN_API_REMOVE] = { do_remove, CREATED, BAWN_ORDER_END, NO_HOTPLUG, NULL },
    [BAWN_API_RESIZE] = { do_resize, CREATED, BAWN_ORDER_END, NO_HOTPLUG, NULL },
    [BAWN_API_SNAPSHOT] = { do_snapshot, ALIVE, BAWN_ORDER_END, NULL, NULL },
    [BAWN_API_RESTORE] = { do_restore, NONE, BAWN_ORDER_END, "there is a machine already", NULL },
};

static enum bawn_status do_order(struct bawn_run *r, struct bawn_error *err)
{
    enum bawn_api_call call = r->control.call;

    if (!bawn_boot_order(&r->boot, calls[call].order))
        return bawn_fail(err, BAWN_E_IO,
                         "the machine is busy: it ends, or does as it was told before");
    if (calls[call].event)
        bawn_event(&r->events, "vm", calls[call].event);
    return BAWN_OK;
}

static void handle(struct bawn_run *r)
{
    enum bawn_api_call call = r->control.call;
    unsigned state = state_of(r);
    struct bawn_error err = { .msg = "" };

    if (!(calls[call].states & state)) {
        if (calls[call].refused && state != NONE)
            snprintf(err.msg, sizeof(err.msg), "the machine is %s: %s", state_name(state),
                     calls[call].refused);
        else
            snprintf(err.msg, sizeof(err.msg), "%s%s",
                     state == NONE ? "there is no machine" : "the machine is ",
                     state == NONE ? ": vm.create makes one" : state_name(state));
        reply_error(r, state == NONE ? 404 : 500, err.msg);
    } else {
        enum bawn_status st = calls[call].run(r, &err);

        if (st)
            reply_error(r, st == BAWN_E_CONFIG ? 400 : 500, err.msg);
    }
}

static void drop_files(struct bawn_control *c)
{
    while (c->nr_fds)
        close(c->fds[--c->nr_fds]);
}

static void take_files(struct bawn_control *c, struct msghdr *msg)
{
    struct cmsghdr *h = CMSG_FIRSTHDR(msg);

    c->nr_fds = 0;
    if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
        return;
    c->nr_fds = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(c->fds, CMSG_DATA(h), c->nr_fds * sizeof(int));
}

static void on_request(void *opaque)
{
    static struct bawn_api_request req;
    struct bawn_run *r = opaque;
    struct bawn_control *c = &r->control;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(BAWN_API_FDS * sizeof(int))];
    } files;
    struct iovec v = { &req, sizeof(req) };
    struct msghdr msg = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &files, .msg_controllen = sizeof(files)
    };
    ssize_t n = recvmsg(c->link[0], &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    size_t head = offsetof(struct bawn_api_request, body);

    if (n < 0)
        return;
    take_files(c, &msg);
    if ((size_t)n < head || c->pending || req.call >= BAWN_API_CALLS) {
        if (c->pid)
            kill(c->pid, SIGKILL); /* it is no API any more */
    } else {
        c->pending = true;
        c->id = req.id;
        c->call = req.call;
        c->body = req.body;
        c->len = (size_t)n - head;
        handle(r);
    }
    drop_files(c);
}

/* ---- what comes of orders ---- */

void bawn_control_launched(struct bawn_run *r)
{
    bool restored = r->control.pending && r->control.call == BAWN_API_RESTORE;

    bawn_event(&r->events, "vm", restored ? "restored" : r->reboot ? "rebooted" : "booted");
    r->reboot = false;
    if (restored && !bawn_boot_order(&r->boot, BAWN_ORDER_PAUSE))
        conclude(r, "it goes on, and cannot be paused");
    if (r->control.call == BAWN_API_BOOT || r->control.call == BAWN_API_REBOOT)
        conclude(r, "");
}

void bawn_control_ended(struct bawn_run *r, const char *why)
{
    enum bawn_api_call call = r->control.call;

    if (r->control.pending && call == BAWN_API_DELETE)
        forget(r);
    if (call == BAWN_API_SHUTDOWN || call == BAWN_API_DELETE)
        conclude(r, "");
    else if (call != BAWN_API_REBOOT || !r->reboot)
        conclude(r, why);
}

void bawn_control_ordered(struct bawn_run *r, enum bawn_order what, const char *why)
{
    if (!*why && what == BAWN_ORDER_PAUSE)
        bawn_event(&r->events, "vm", "paused");
    if (!*why && what == BAWN_ORDER_RESUME)
        bawn_event(&r->events, "vm", "resumed");
    /* Not of a request whose process is gone, if there is another by now. */
    if (calls[r->control.call].order == what || r->control.call == BAWN_API_RESTORE)
        conclude(r, why);
}

void bawn_control_saved(struct bawn_run *r, const char *why)
{
    if (!*why)
        bawn_event(&r->events, "vm", "snapshotted");
    if (r->control.call == BAWN_API_SNAPSHOT)
        conclude(r, why);
}

/* ---- the process ---- */

/* Somebody connects, and there is no process to hear them. */
static void on_client(void *opaque)
{
    struct bawn_run *r = opaque;
    struct bawn_control *c = &r->control;
    char rest[16];
    pid_t pid;

    /* What was said to the one before is not meant for this one. */
    while (recv(c->link[1], rest, sizeof(rest), MSG_DONTWAIT) > 0)
        ;
    pid = bawn_boot_spawn("api");
    if (!pid) {
        /* It has nothing to do with the guest. */
        if (r->running) {
            munmap(r->boot.shared, sizeof(*r->boot.shared));
            bawn_mem_destroy(&r->boot.mem);
        }
        bawn_api_run(c->listen_fd, c->link[1]);
    }
    c->pid = pid > 0 ? pid : 0;
    bawn_loop_set(r->loop, c->listen_watch, false); /* until a process ends */
    if (pid < 0)
        fprintf(stderr, "bawn: cannot make the API's process: %m\n");
}

void bawn_control_watch(struct bawn_run *r)
{
    struct bawn_control *c = &r->control;

    if (c->listen_fd < 0)
        return;
    bawn_loop_watch(r->loop, c->link[0], true, on_request, r);
    c->listen_watch = bawn_loop_watch(r->loop, c->listen_fd, !c->pid, on_client, r);
}

void bawn_control_reap(struct bawn_run *r)
{
    struct bawn_control *c = &r->control;
    int status;

    if (c->listen_fd < 0 || (c->pid && waitpid(c->pid, &status, WNOHANG) != c->pid))
        return;
    if (c->pid && (!WIFEXITED(status) || WEXITSTATUS(status)))
        fprintf(stderr,
                "bawn: the API's process ended by itself (status %#x); the machine goes on, "
                "and the next client gets another\n",
                (unsigned)status);
    c->pid = 0;
    c->pending = false;
    bawn_loop_set(r->loop, c->listen_watch, true);
}

/* ---- life ---- */

static enum bawn_status listen_somewhere(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_options *opt = &r->opt;
    struct bawn_control *c = &r->control;
    const char *where = opt->api_socket;
    char name[BAWN_NAME_MAX + 1];
    enum bawn_status st;

    if (where) {
        c->listen_fd = bawn_runtime_fd(&where);
        if (c->listen_fd >= 0)
            return fcntl(c->listen_fd, F_SETFL, O_NONBLOCK) ||
                           fcntl(c->listen_fd, F_SETFD, FD_CLOEXEC)
                       ? bawn_fail(err, BAWN_E_IO, "--api-socket %s: %m", opt->api_socket)
                       : BAWN_OK;
        if ((size_t)snprintf(c->path, sizeof(c->path), "%s", where) >= sizeof(c->path)) {
            c->path[0] = '\0';
            return bawn_fail(err, BAWN_E_USAGE, "--api-socket: the path is too long");
        }
    } else {
        snprintf(name, sizeof(name), "vm-%d", getpid());
        st = bawn_runtime_path(opt->name ? opt->name : name, c->path, sizeof(c->path), true, err);
        if (st) {
            c->path[0] = '\0';
            return opt->name ? st : BAWN_OK;
        }
    }
    c->listen_fd = bawn_socket_listen(c->path, err);
    if (c->listen_fd >= 0)
        return BAWN_OK;
    c->path[0] = '\0'; /* another's */
    return where || opt->name ? BAWN_E_IO : BAWN_OK;
}

enum bawn_status bawn_control_open(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_control *c = &r->control;
    enum bawn_status st = bawn_events_open(&r->events, r->opt.event_monitor, err);

    if (!st && r->opt.name && !bawn_name_valid(r->opt.name))
        st = bawn_fail(err, BAWN_E_USAGE, "--name %s: letters, digits, \".\", \"_\" and \"-\"",
                       r->opt.name);
    if (!st)
        st = listen_somewhere(r, err);
    if (!st && c->listen_fd >= 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, c->link))
        st = bawn_fail(err, BAWN_E_IO, "cannot reach the API's process: %m");
    if (!st)
        bawn_event(&r->events, "vmm", "starting");
    return st;
}

/* Its last answer may still be under way. */
static void end_process(pid_t pid)
{
    const struct timespec limit = { .tv_sec = LAST_WORDS };
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (!waitpid(pid, NULL, WNOHANG) && sigtimedwait(&child, NULL, &limit) < 0)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void bawn_control_close(struct bawn_run *r)
{
    struct bawn_control *c = &r->control;

    bawn_event(&r->events, "vmm", "shutdown");
    bawn_events_close(&r->events);
    if (c->listen_fd >= 0)
        close(c->listen_fd);
    if (*c->path)
        unlink(c->path);
    for (unsigned i = 0; i < 2; i++) {
        if (c->link[i] >= 0)
            close(c->link[i]);
    }
    if (c->pid)
        end_process(c->pid);
}
