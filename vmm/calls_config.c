// SPDX-License-Identifier: Apache-2.0
/*
 * The calls that make and change a machine's configuration. What a body says is checked like a
 * configuration file, and nothing is changed unless the whole of it holds.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"

/* A number in the text would be one of ours. */
static enum bawn_status refuse_numbers(const struct bawn_vm_config *cfg, unsigned from,
                                       struct bawn_error *err)
{
    for (unsigned i = from; i < cfg->nr_nets; i++) {
        if (cfg->net[i].nr_fds)
            return bawn_fail(err, BAWN_E_CONFIG,
                             "net[%u].fds: descriptors come with vm.add-net, not as numbers", i);
    }
    return BAWN_OK;
}

enum bawn_status bawn_call_create(struct bawn_run *r, struct bawn_error *err)
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
    bawn_control_answer(r, 204, "");
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

    while (n->nr_fds)
        close(n->fd[--n->nr_fds]);
    free(n->tap);
    free(n->socket);
    free(n->id);
    memmove(n, n + 1, (--cfg->nr_nets - i) * sizeof(*n));
}

void bawn_config_drop(struct bawn_vm_config *cfg, unsigned slot)
{
    for (unsigned i = cfg->nr_disks; i-- > 0;) {
        if (cfg->disk[i].slot == slot)
            drop_disk(cfg, i);
    }
    for (unsigned i = cfg->nr_nets; i-- > 0;) {
        if (cfg->net[i].slot == slot)
            drop_net(cfg, i);
    }
}

enum bawn_status bawn_call_add_disk(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned nr = cfg->nr_disks;
    enum bawn_status st =
        bawn_vm_config_parse_device(cfg, "disks", r->control.body, r->control.len, err);

    if (!st)
        st = bawn_vm_config_check(cfg, err);
    if (!st && r->running)
        st = bawn_running_add(r, true, err);
    while (st && cfg->nr_disks > nr)
        drop_disk(cfg, nr);
    if (!st && !r->running)
        bawn_control_answer(r, 204, "");
    return st;
}

enum bawn_status bawn_call_add_net(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_control *c = &r->control;
    struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned nr = cfg->nr_nets;
    enum bawn_status st = bawn_vm_config_parse_device(cfg, "net", c->body, c->len, err);

    for (unsigned i = nr; i < cfg->nr_nets; i++)
        cfg->net[i].nr_fds = 0; /* numbers mean nothing here */
    if (!st && c->nr_fds > BAWN_NET_PAIRS)
        st = bawn_fail(err, BAWN_E_CONFIG, "%u descriptors came, and a device has %u queue pairs",
                       c->nr_fds, BAWN_NET_PAIRS);
    if (!st) {
        memcpy(cfg->net[nr].fd, c->fds, c->nr_fds * sizeof(c->fds[0]));
        cfg->net[nr].nr_fds = c->nr_fds;
        c->nr_fds = 0;
    }
    if (!st)
        st = bawn_vm_config_check(cfg, err);
    if (!st && r->running)
        st = bawn_running_add(r, false, err);
    while (st && cfg->nr_nets > nr)
        drop_net(cfg, nr);
    if (!st && !r->running)
        bawn_control_answer(r, 204, "");
    return st;
}

static const struct bawn_json_field remove_keys[] = {
    BAWN_WISH("id", BAWN_JSON_STRING, id, .needed = true),
};
static const struct bawn_json_field resize_keys[] = {
    BAWN_WISH("desired_vcpus", BAWN_JSON_NUMBER, vcpus, ),
    BAWN_WISH("desired_ram", BAWN_JSON_NUMBER, ram, ),
    BAWN_WISH("desired_balloon", BAWN_JSON_NUMBER, balloon, ),
};
static bool id_is(const char *id, const char *want)
{
    return id && !strcmp(id, want);
}

/* Before the first boot: neither slots nor all ids are given yet. */
static enum bawn_status remove_config(struct bawn_run *r, const char *id, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned left = cfg->nr_disks + cfg->nr_nets;

    for (unsigned i = cfg->nr_disks; i-- > 0;) {
        if (id_is(cfg->disk[i].id, id))
            drop_disk(cfg, i);
    }
    for (unsigned i = cfg->nr_nets; i-- > 0;) {
        if (id_is(cfg->net[i].id, id))
            drop_net(cfg, i);
    }
    if (left == cfg->nr_disks + cfg->nr_nets)
        return bawn_fail(err, BAWN_E_CONFIG, "there is no disk or network device of this id");
    bawn_control_answer(r, 204, "");
    return BAWN_OK;
}

static unsigned slot_of(const struct bawn_vm_config *cfg, const char *id)
{
    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        if (id_is(cfg->disk[i].id, id))
            return cfg->disk[i].slot;
    }
    for (unsigned i = 0; i < cfg->nr_nets; i++) {
        if (id_is(cfg->net[i].id, id))
            return cfg->net[i].slot;
    }
    return 0;
}

enum bawn_status bawn_call_remove(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_wish w;
    enum bawn_status st = BAWN_READ_WISH(&w, remove_keys);

    if (!st)
        st = r->running ? bawn_running_remove(r, slot_of(&r->opt.cfg, w.id), err)
                        : remove_config(r, w.id, err);
    bawn_wish_free(&w);
    return st;
}

static enum bawn_status resize_config(struct bawn_run *r, const struct bawn_wish *w,
                                      struct bawn_error *err)
{
    struct bawn_vm_config next = r->opt.cfg;
    enum bawn_status st;

    next.vcpus = w->vcpus != BAWN_NO_WISH ? (unsigned)w->vcpus : next.vcpus;
    next.memory = w->ram != BAWN_NO_WISH ? w->ram : next.memory;
    next.balloon.size = w->balloon != BAWN_NO_WISH ? w->balloon : next.balloon.size;
    if (w->vcpus != BAWN_NO_WISH && w->vcpus > BAWN_MAX_VCPUS)
        return bawn_fail(err, BAWN_E_CONFIG, "a machine has at most %d vCPUs", BAWN_MAX_VCPUS);
    if (w->balloon != BAWN_NO_WISH && !next.balloon.on)
        return bawn_fail(err, BAWN_E_CONFIG, "this machine has no balloon");
    st = bawn_vm_config_check(&next, err);
    if (st)
        return st;
    r->opt.cfg = next;
    bawn_control_answer(r, 204, "");
    return BAWN_OK;
}

enum bawn_status bawn_call_resize(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_wish w;
    enum bawn_status st = BAWN_READ_WISH(&w, resize_keys);

    if (!st)
        st = r->running ? bawn_running_resize(r, &w, err) : resize_config(r, &w, err);
    return st;
}

void bawn_run_forget(struct bawn_run *r)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;

    r->opt.restore = NULL;
    r->parts.vcpus = 0;
    while (cfg->nr_nets)
        drop_net(cfg, 0);
    bawn_run_close(r);
    bawn_options_free(&r->opt);
    r->created = false;
    bawn_event(&r->events, "vm", "deleted");
}
