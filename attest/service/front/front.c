// SPDX-License-Identifier: Apache-2.0
/*
 * A front's process: its event loop, its start and its end. There is a public one, and one for
 * administrators if they have an address.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "attest/service/front/front.h"

#define TICK_SECONDS 15 /* between heartbeats of server-sent events */

int64_t front_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void front_fail(struct front *f, const char *what)
{
    if (!f->stopping)
        journal("error", "ends", "{s:s}", "reason", what);
    f->exit_status = f->stopping ? 0 : 1;
    event_base_loopbreak(f->base);
}

void front_maybe_end(struct front *f)
{
    if (f->stopping && !f->nr_connections)
        event_base_loopbreak(f->base);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    events_send(context, NULL);
}

static void on_watch(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    backend_watch(context);
}

static enum bawn_status add_door(struct front *f, enum door_kind kind, int fd,
                                 struct bawn_error *err)
{
    struct door *door = &f->doors[f->nr_doors];

    *door = (struct door){ .front = f, .kind = kind, .fd = fd };
    door->event = event_new(f->base, fd, EV_READ | EV_PERSIST, conn_accept, door);
    if (!door->event || event_add(door->event, NULL))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a listening socket");
    f->nr_doors++;
    return BAWN_OK;
}

static enum bawn_status open_doors(struct front *f, const struct service_fds *fds,
                                   struct bawn_error *err)
{
    bool admin = f->role == ROLE_ADMIN;
    const struct config_listens *listens = admin ? &f->config->admin.listen : &f->config->listen;
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < listens->n; i++)
        st = add_door(f, admin ? DOOR_ADMIN : DOOR_PUBLIC, fds->listen[i], err);
    for (size_t i = 0; st == BAWN_OK && admin && i < f->config->status.n; i++)
        st = add_door(f, DOOR_STATUS, fds->status[i], err);
    return st;
}

/* Descriptors are never copies of one another, which is what the list of changes asks for; it saves
 * most of the calls of epoll_ctl. */
static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && !event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST))
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

static enum bawn_status start(struct front *f, const struct service_fds *fds,
                              struct bawn_error *err)
{
    const struct timeval tick = { TICK_SECONDS, 0 }, second = { 1, 0 };
    uint8_t random[16];
    enum bawn_status st = BAWN_OK;

    TAILQ_INIT(&f->quiet);
    TAILQ_INIT(&f->handshakes);
    TAILQ_INIT(&f->others);
    f->base = make_base();
    if (!f->base || RAND_bytes(random, sizeof(random)) != 1 || !(f->limits = limits_create(random)))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    /* An administrator's front may be there for the status page alone. */
    if (f->role == ROLE_FRONT || f->config->admin.listen.n)
        st = tls_context(&f->tls, f->config, f->role, NULL, err);
    if (st == BAWN_OK)
        st = backend_start(f, fds, err);
    if (st != BAWN_OK)
        return st;
    f->tick = event_new(f->base, -1, EV_PERSIST, on_tick, f);
    f->watch = event_new(f->base, -1, EV_PERSIST, on_watch, f);
    if (!f->tick || event_add(f->tick, &tick) || !f->watch || event_add(f->watch, &second))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    return open_doors(f, fds, err);
}

static void end(struct front *f)
{
    struct conn_list *const lists[] = { &f->quiet, &f->handshakes, &f->others };
    struct conn *c;

    for (size_t i = 0; f->base && i < 3; i++)
        while ((c = TAILQ_FIRST(lists[i])))
            conn_close(c);
    backend_end(f);
    for (size_t i = 0; i < f->nr_doors; i++)
        event_free(f->doors[i].event);
    if (f->tick)
        event_free(f->tick);
    if (f->watch)
        event_free(f->watch);
    SSL_CTX_free(f->tls);
    limits_destroy(f->limits);
    if (f->base)
        event_base_free(f->base);
    config_destroy(f->config);
    free(f);
}

int front_main(struct service_config *config, enum service_role role, const struct service_fds *fds)
{
    struct front *f = calloc(1, sizeof(*f));
    struct bawn_error err = { "" };
    enum bawn_status st;
    int status;

    signal(SIGPIPE, SIG_IGN);
    if (!f)
        return 1;
    f->config = config;
    f->role = role;
    f->all_metrics = fds->metrics;
    f->metrics = &fds->metrics[role == ROLE_ADMIN];
    st = start(f, fds, &err);
    if (st == BAWN_OK)
        st = service_confine(config, role, &err);
    if (st == BAWN_OK) {
        backend_ready(f);
        event_base_dispatch(f->base);
    } else {
        journal("error", "cannot start", "{s:s}", "reason", err.msg);
        f->exit_status = 1;
    }
    status = f->exit_status;
    end(f);
    return status;
}
