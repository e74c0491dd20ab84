// SPDX-License-Identifier: Apache-2.0
/* Counters, and the text that Prometheus reads. Names end as its conventions want it. */
#include "attest/service/front/metrics.h"

#include "attest/service/front/front.h"

static const char *const status_names[STATUS_KINDS] = { "2xx", "400", "401", "403", "404",
                                                        "413", "429", "4xx", "503", "5xx" };
/* Upper bounds in microseconds; the last bucket has none. */
static const uint64_t bounds_us[METRICS_BUCKETS - 1] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000,
};
static const char *const bounds_text[METRICS_BUCKETS] = {
    "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "1", "5", "+Inf",
};

static enum metrics_status kind_of(int status)
{
    static const struct {
        int status;
        enum metrics_status kind;
    } kinds[] = {
        { 400, STATUS_400 }, { 401, STATUS_401 }, { 403, STATUS_403 }, { 404, STATUS_404 },
        { 413, STATUS_413 }, { 429, STATUS_429 }, { 503, STATUS_503 },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].status == status)
            return kinds[i].kind;
    return status < 400 ? STATUS_2XX : status < 500 ? STATUS_4XX : STATUS_5XX;
}

void metrics_request(struct front_metrics *m, unsigned route, int status, uint64_t microseconds)
{
    size_t b = 0;

    while (b < METRICS_BUCKETS - 1 && microseconds > bounds_us[b])
        b++;
    m->requests[route][kind_of(status)]++;
    m->latency[route][b]++;
    m->latency_us[route] += microseconds;
}

/* ---- Text ---- */

static void head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
    evbuffer_add_printf(out, "# HELP bawn_attestd_%s %s\n# TYPE bawn_attestd_%s %s\n", name, help,
                        name, type);
}

static const char *front_name(size_t i)
{
    return i ? "admin" : "public";
}

static void print_requests(struct evbuffer *out, const struct front_metrics *fronts)
{
    head(out, "requests_total", "counter", "Requests by front, route and status.");
    for (size_t i = 0; i < METRICS_FRONTS; i++)
        for (unsigned r = 0; r <= nr_routes; r++)
            for (size_t s = 0; s < STATUS_KINDS; s++)
                if (fronts[i].requests[r][s])
                    evbuffer_add_printf(
                        out,
                        "bawn_attestd_requests_total{front=\"%s\",route=\"%s\",status=\"%s\"} "
                        "%llu\n",
                        front_name(i), r < nr_routes ? routes[r].name : "none", status_names[s],
                        fronts[i].requests[r][s]);
}

static void print_latency(struct evbuffer *out, const struct front_metrics *fronts)
{
    head(out, "request_seconds", "histogram", "Time from a request's first byte to its answer.");
    for (size_t i = 0; i < METRICS_FRONTS; i++) {
        for (unsigned r = 0; r < nr_routes; r++) {
            const char *f = front_name(i), *name = routes[r].name;
            unsigned long long sum = 0;

            for (size_t b = 0; b < METRICS_BUCKETS; b++)
                sum += fronts[i].latency[r][b];
            if (!sum)
                continue;
            sum = 0;
            for (size_t b = 0; b < METRICS_BUCKETS; b++) {
                sum += fronts[i].latency[r][b];
                evbuffer_add_printf(
                    out,
                    "bawn_attestd_request_seconds_bucket{front=\"%s\",route=\"%s\",le=\"%s\"} "
                    "%llu\n",
                    f, name, bounds_text[b], sum);
            }
            evbuffer_add_printf(
                out,
                "bawn_attestd_request_seconds_sum{front=\"%s\",route=\"%s\"} %.6f\n"
                "bawn_attestd_request_seconds_count{front=\"%s\",route=\"%s\"} %llu\n",
                f, name, (double)fronts[i].latency_us[r] / 1e6, f, name, sum);
        }
    }
}

#define EACH_FRONT(type, name, help, member)                                                      \
    do {                                                                                          \
        head(out, name, type, help);                                                              \
        for (size_t i = 0; i < METRICS_FRONTS; i++)                                               \
            evbuffer_add_printf(out, "bawn_attestd_" name "{front=\"%s\"} %llu\n", front_name(i), \
                                (unsigned long long)fronts[i].member);                            \
    } while (0)

static void print_fronts(struct evbuffer *out, const struct front_metrics *fronts)
{
    EACH_FRONT("counter", "connections_accepted_total", "Connections taken.", accepted);
    EACH_FRONT("counter", "connections_refused_total", "Closed at once: a limit.", refused);
    EACH_FRONT("counter", "connections_evicted_total", "Half-open ones that made room.", evicted);
    EACH_FRONT("counter", "timeouts_total", "Connections that were too slow.", timeouts);
    EACH_FRONT("counter", "rate_limited_total", "Requests answered with 429.", rate_limited);
    EACH_FRONT("counter", "tls_failures_total", "Handshakes that failed.", tls_failures);
    EACH_FRONT("counter", "tls_full_handshakes_total", "Handshakes with signatures.", tls_full);
    EACH_FRONT("counter", "tls_resumed_total", "Handshakes with tickets.", tls_resumed);
    EACH_FRONT("gauge", "connections", "Open now.", connections);
    EACH_FRONT("gauge", "subscribers", "Of server-sent events, now.", subscribers);
    head(out, "judge_queue", "gauge", "Jobs that each judge has, now.");
    for (size_t j = 0; j < METRICS_JUDGES && j < fronts[0].nr_judges; j++)
        evbuffer_add_printf(out, "bawn_attestd_judge_queue{judge=\"%zu\"} %u\n", j,
                            fronts[0].jobs[j]);
}

/* A label's value: backslash, quote and line feed escaped. */
static void label(struct evbuffer *out, const char *text)
{
    for (; text && *text; text++) {
        if (*text == '\n')
            evbuffer_add(out, "\\n", 2);
        else if (*text == '"' || *text == '\\')
            evbuffer_add_printf(out, "\\%c", *text);
        else
            evbuffer_add(out, text, 1);
    }
}

static long long integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_vault(struct evbuffer *out, const json_t *status)
{
    static const char *const events[] = { "sessions", "released", "refused",
                                          "admin",    "errors",   "summed" };
    const json_t *decisions = json_object_get(status, "decisions"), *log, *entry;
    json_t *checks = json_object_get(decisions, "by_check"), *count;
    const char *check;
    size_t i;

    head(out, "decisions_total", "counter", "Decisions since the vault's start.");
    evbuffer_add_printf(out,
                        "bawn_attestd_decisions_total{verdict=\"allowed\"} %lld\n"
                        "bawn_attestd_decisions_total{verdict=\"denied\"} %lld\n",
                        integer(decisions, "allowed"), integer(decisions, "denied"));
    head(out, "events_total", "counter", "What else the vault did since its start.");
    for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        evbuffer_add_printf(out, "bawn_attestd_events_total{event=\"%s\"} %lld\n", events[i],
                            integer(decisions, events[i]));
    head(out, "denials_total", "counter", "Denials by the check or rule that decided so.");
    json_object_foreach(checks, check, count)
    {
        evbuffer_add_printf(out, "bawn_attestd_denials_total{check=\"");
        label(out, check);
        evbuffer_add_printf(out, "\"} %lld\n", (long long)json_integer_value(count));
    }
    log = json_object_get(status, "log");
    head(out, "log_entries", "gauge", "Entries of the log.");
    evbuffer_add_printf(out, "bawn_attestd_log_entries %lld\n", integer(log, "size"));
    head(out, "log_checkpoint_entries", "gauge", "Entries under the last checkpoint.");
    evbuffer_add_printf(out, "bawn_attestd_log_checkpoint_entries %lld\n",
                        integer(log, "checkpoint_size"));
    head(out, "collateral_expires_seconds", "gauge", "When a piece expires, seconds since 1970.");
    json_array_foreach(json_object_get(status, "collateral"), i, entry)
    {
        evbuffer_add_printf(out, "bawn_attestd_collateral_expires_seconds{name=\"");
        label(out, json_string_value(json_object_get(entry, "name")));
        evbuffer_add_printf(out, "\"} %lld\n", integer(entry, "expires"));
    }
}

void metrics_print(struct evbuffer *out, const struct front_metrics fronts[METRICS_FRONTS],
                   const json_t *status)
{
    print_requests(out, fronts);
    print_latency(out, fronts);
    print_fronts(out, fronts);
    print_vault(out, status);
}
