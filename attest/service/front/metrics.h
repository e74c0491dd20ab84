/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fronts count. Each writes its own part of memory that they share, so that one page shows
 * both; a front that was taken over can lie about itself and no more.
 */
#ifndef BAWN_FRONT_METRICS_H
#define BAWN_FRONT_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include <event2/buffer.h>
#include <jansson.h>

#define METRICS_ROUTES 24
#define METRICS_FRONTS 2
#define METRICS_JUDGES 64
#define METRICS_BUCKETS 12

enum metrics_status {
    STATUS_2XX,
    STATUS_400,
    STATUS_401,
    STATUS_403,
    STATUS_404,
    STATUS_413,
    STATUS_429,
    STATUS_4XX,
    STATUS_503,
    STATUS_5XX,
    STATUS_KINDS
};

struct front_metrics {
    atomic_ullong requests[METRICS_ROUTES][STATUS_KINDS];
    atomic_ullong latency[METRICS_ROUTES][METRICS_BUCKETS]; /* by bucket, not yet summed up */
    atomic_ullong latency_us[METRICS_ROUTES];
    atomic_ullong tls_failures, tls_resumed, tls_full;
    atomic_ullong accepted, refused, evicted, timeouts, rate_limited;
    atomic_uint connections, subscribers, jobs[METRICS_JUDGES], nr_judges;
};

void metrics_request(struct front_metrics *m, unsigned route, int status, uint64_t microseconds);
/* Prometheus text, exposition format 0.0.4: of both fronts, and of the vault's status. */
void metrics_print(struct evbuffer *out, const struct front_metrics fronts[METRICS_FRONTS],
                   const json_t *status);

#endif
