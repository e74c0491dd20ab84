// SPDX-License-Identifier: Apache-2.0
/*
 * The API's calls of migration, under the names that Cloud Hypervisor has for them. Files are named
 * as everywhere in the API: who can connect uses them as their owner.
 */
#include <limits.h>
#include <string.h>

#include "calls.h"

#define DOWNTIME 300 /* ms */
#define TIMEOUT 600  /* seconds */

/* What the body does not say is what the command line said. */
static struct bawn_tls_files files_of(const struct bawn_run *r, const struct bawn_wish *w)
{
    const struct bawn_tls_files *own = &r->opt.migration;

    return (struct bawn_tls_files){
        .cert = w->cert ? w->cert : own->cert,
        .key = w->key ? w->key : own->key,
        .ca = w->ca ? w->ca : own->ca,
    };
}

static enum bawn_status check(const char *url, const struct bawn_tls_files *f,
                              struct bawn_error *err)
{
    char host[256], port[8];

    if (!bawn_tls_where(url, host, port))
        return bawn_fail(err, BAWN_E_CONFIG, "the URL must be tls:HOST:PORT");
    if (!f->cert || !f->key || !f->ca)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "a certificate, its key and the CA's certificate are needed (cert, key, "
                         "ca; or --migration-cert, --migration-key and --migration-ca of bawn "
                         "run): both sides must show who they are");
    return BAWN_OK;
}

#define FILES                                                                           \
    BAWN_WISH("cert", BAWN_JSON_STRING, cert), BAWN_WISH("key", BAWN_JSON_STRING, key), \
        BAWN_WISH("ca", BAWN_JSON_STRING, ca)

static const struct bawn_json_field send_keys[] = {
    BAWN_WISH("destination_url", BAWN_JSON_STRING, url, .needed = true),
    FILES,
    BAWN_WISH("bandwidth", BAWN_JSON_NUMBER, bandwidth),
    BAWN_WISH("downtime_ms", BAWN_JSON_NUMBER, downtime),
    BAWN_WISH("timeout_s", BAWN_JSON_NUMBER, timeout),
};

static unsigned number(uint64_t value, unsigned otherwise)
{
    return !value ? otherwise : value < INT_MAX ? (unsigned)value : INT_MAX;
}

enum bawn_status bawn_call_send(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_control *c = &r->control;
    struct bawn_move_wish wish;
    struct bawn_wish w;
    enum bawn_status st = BAWN_READ_WISH(&w, send_keys);

    wish = (struct bawn_move_wish){
        .url = w.url,
        .files = files_of(r, &w),
        .bandwidth = w.bandwidth,
        .downtime = number(w.downtime, DOWNTIME),
        .timeout = number(w.timeout, TIMEOUT),
        .progress = c->nr_fds ? c->fds[0] : -1,
    };
    if (!st)
        st = check(w.url, &wish.files, err);
    if (!st)
        st = bawn_leave_begin(&r->boot, &wish, err);
    if (!st)
        bawn_event(&r->events, "vm", "migration-started");
    bawn_wish_free(&w);
    return st;
}

static const struct bawn_json_field receive_keys[] = {
    BAWN_WISH("receiver_url", BAWN_JSON_STRING, url, .needed = true),
    FILES,
};

enum bawn_status bawn_call_receive(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_tls_files files;
    struct bawn_wish w;
    enum bawn_status st = BAWN_READ_WISH(&w, receive_keys);

    files = files_of(r, &w);
    if (!st)
        st = check(w.url, &files, err);
    if (!st)
        st = bawn_arrive_begin(r, w.url, &files, err);
    if (!st) {
        r->launches = 0;
        bawn_arrive_watch(r);
        bawn_event(&r->events, "vm", "migration-receive-started");
    } else {
        bawn_arrive_close(r);
    }
    bawn_wish_free(&w);
    return st;
}
