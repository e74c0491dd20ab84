/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of the API, as the supervisor does them: a table, and what its files share. A call's
 * body is text that a client wrote.
 */
#ifndef BAWN_VMM_CALLS_H
#define BAWN_VMM_CALLS_H

#include "launch/json.h"
#include "run.h"

/* A short body: what the caller of a call wishes. */
#define BAWN_NO_WISH UINT64_MAX
struct bawn_wish {
    char *id, *url; /* owned */
    char *base;     /* the same */
    bool track;
    char *cert, *key, *ca; /* the same as base */
    uint64_t bandwidth, downtime, timeout;
    uint64_t vcpus, ram, balloon;
};

/* States of a machine, as a set. */
enum {
    BAWN_IS_NONE = 1 << 0,
    BAWN_IS_CREATED = 1 << 1,
    BAWN_IS_RUNNING = 1 << 2,
    BAWN_IS_PAUSED = 1 << 3,
    BAWN_IS_SHUTDOWN = 1 << 4,
    BAWN_IS_BOOTING = 1 << 5,
    BAWN_IS_MOVING = 1 << 6 /* to another host, or from one */
};

/* One of them. */
unsigned bawn_run_state(const struct bawn_run *r);
const char *bawn_run_state_name(unsigned state);

struct bawn_call {
    /* Answers, or sees to it that the answer comes, or fails and has not answered. */
    enum bawn_status (*run)(struct bawn_run *r, struct bawn_error *err);
    unsigned states;       /* in which it is allowed */
    enum bawn_order order; /* that it gives */
    const char *refused;   /* what to do in other states */
    const char *event;     /* when it is begun */
};
extern const struct bawn_call bawn_calls[BAWN_API_CALLS];

/* How many vCPUs there are, for the guest. */
unsigned bawn_run_vcpus(const struct bawn_run *r);

/* The configuration's calls (calls_config.c). */
enum bawn_status bawn_call_create(struct bawn_run *r, struct bawn_error *err);
enum bawn_status bawn_call_add_disk(struct bawn_run *r, struct bawn_error *err);
enum bawn_status bawn_call_add_net(struct bawn_run *r, struct bawn_error *err);
enum bawn_status bawn_call_remove(struct bawn_run *r, struct bawn_error *err);
enum bawn_status bawn_call_resize(struct bawn_run *r, struct bawn_error *err);

/* Those of migration (calls_move.c). */
enum bawn_status bawn_call_send(struct bawn_run *r, struct bawn_error *err);
enum bawn_status bawn_call_receive(struct bawn_run *r, struct bawn_error *err);

/* Forgets the configuration with all that it owns; nothing may run. */
void bawn_run_forget(struct bawn_run *r);

/* Takes the device of this slot out of a configuration. */
void bawn_config_drop(struct bawn_vm_config *cfg, unsigned slot);

/* The same of a machine that runs (calls_running.c). The device that the configuration has since
 * this call, the last of its kind; after a failure the caller takes it out. */
enum bawn_status bawn_running_add(struct bawn_run *r, bool disk, struct bawn_error *err);
/* slot: 0: no device has this id. */
enum bawn_status bawn_running_remove(struct bawn_run *r, unsigned slot, struct bawn_error *err);
enum bawn_status bawn_running_resize(struct bawn_run *r, const struct bawn_wish *w,
                                     struct bawn_error *err);
/* The order that they gave was carried out; or was not: why. */
void bawn_running_ordered(struct bawn_run *r, enum bawn_order order, const char *why);
#define BAWN_WISH(key, kind_, member, ...)                                                        \
    {                                                                                             \
        .name = (key), .kind = (kind_), BAWN_JSON_AT(struct bawn_wish, member), .max = INT64_MAX, \
        __VA_ARGS__                                                                               \
    }
/* Reads the request's body; to be freed, whatever it returns. */
enum bawn_status bawn_wish_read(struct bawn_run *r, struct bawn_wish *w,
                                const struct bawn_json_field *keys, size_t n,
                                struct bawn_error *err);
#define BAWN_READ_WISH(w, keys) \
    bawn_wish_read(r, (w), (keys), sizeof(keys) / sizeof((keys)[0]), err)
void bawn_wish_free(struct bawn_wish *w);

#endif
