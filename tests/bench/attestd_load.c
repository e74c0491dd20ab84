// SPDX-License-Identifier: Apache-2.0
/*
 * Load for bawn-attestd: guests that attest themselves as fast as the service lets them, from
 * several threads. For benchmarks it says how fast that was, for fault tests (--acks) each answer
 * that a guest has got, which is what the service may not forget.
 */
#include "tests/bench/attestd.h"

#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256
#define PAUSE_US 20000 /* after an answer that says "try again", or none */

static struct {
    const char *identity, *host, *ca, *path, *tenant;
    unsigned port, threads, clients_reconnect;
    unsigned long sessions;
    bool resume, acks, hold, prepared, replay, root_only;
} opt = { .host = "127.0.0.1", .tenant = "", .threads = 4 };

struct worker {
    pthread_t thread;
    struct guest *guest;
    struct client client;
    uint32_t *us; /* of each attestation that was answered */
    size_t nr_us, room;
    uint64_t allowed, denied, unavailable, unanswered, released;
    /* --prepared: sessions and their evidence, made before the clock runs. */
    struct ready {
        char cookie[512], id[64];
        char *body;
    } * ready;
    size_t nr_ready;
    struct client *held;
    size_t nr_held;
};

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t start;
static unsigned long begun;
static volatile bool stop;

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- What a guest was told ---- */

static void told(const char *what, const char *id, int status)
{
    if (!opt.acks)
        return;
    pthread_mutex_lock(&output);
    printf("%s %s %d\n", what, id, status);
    fflush(stdout);
    pthread_mutex_unlock(&output);
}

static void keep_time(struct worker *w, uint64_t us)
{
    if (w->nr_us == w->room) {
        w->room = w->room ? 2 * w->room : 4096;
        w->us = realloc(w->us, w->room * sizeof(*w->us));
        if (!w->us)
            die("no memory");
    }
    w->us[w->nr_us++] = (uint32_t)us;
}

/* ---- One session ---- */

static const char *url(const char *what)
{
    static __thread char path[512];

    snprintf(path, sizeof(path), "%s/kbs/v0/%s", opt.tenant, what);
    return path;
}

/* The same request until something else is answered than "try again"; 0: the run ended before. */
static int insist(struct worker *w, const char *method, const char *path, const char *cookie,
                  const char *body, struct answer *a)
{
    while (!stop) {
        if (opt.clients_reconnect)
            client_close(&w->client);
        if (client_ask(&w->client, method, path, cookie, body, a)) {
            if (a->status != 503)
                return a->status;
            w->unavailable++;
            answer_clear(a);
            told("again", "-", 503);
        } else {
            w->unanswered++;
            told("again", "-", 0);
        }
        usleep(PAUSE_US);
    }
    return 0;
}

/* The session's number, from the cookie "name=number.expiry.mac". */
static void number_of(const char *cookie, char id[64])
{
    const char *value = strchr(cookie, '=');

    snprintf(id, 64, "%.*s", value ? (int)strcspn(value + 1, ".") : 0, value ? value + 1 : "");
}

static bool begin_session(struct worker *w, struct ready *r)
{
    struct answer a;
    char nonce[128];
    int status =
        insist(w, "POST", url("auth"), NULL, "{\"version\":\"0.4.0\",\"tee\":\"snp\"}", &a);
    bool ok = status == 200 && answer_text(&a, "nonce", nonce, sizeof(nonce)) && *a.cookie;

    if (status && !ok)
        die("POST auth was answered %d: %s", status, a.body ? a.body : "");
    if (ok) {
        snprintf(r->cookie, sizeof(r->cookie), "%s", a.cookie);
        number_of(a.cookie, r->id);
        r->body = guest_evidence(w->guest, nonce);
    }
    if (status)
        answer_clear(&a);
    return ok;
}

static bool attest(struct worker *w, const struct ready *r)
{
    uint64_t began = now_us();
    struct answer a;
    int status = insist(w, "POST", url("attest"), r->cookie, r->body, &a);

    if (!status)
        return false;
    keep_time(w, now_us() - began);
    w->allowed += status == 200;
    w->denied += status == 401;
    if (status != 200 && status != 401)
        die("POST attest was answered %d: %s", status, a.body ? a.body : "");
    told("attest", r->id, status);
    answer_clear(&a);
    return status == 200;
}

static void fetch(struct worker *w, const struct ready *r)
{
    char path[256];
    struct answer a;
    int status;

    snprintf(path, sizeof(path), "resource/%s", opt.path);
    status = insist(w, "GET", url(path), r->cookie, NULL, &a);
    if (!status)
        return;
    w->released += status == 200;
    told("release", r->id, status);
    answer_clear(&a);
}

static void replay(struct worker *w, const struct ready *r)
{
    struct answer a;
    int status = insist(w, "POST", url("attest"), r->cookie, r->body, &a);

    if (!status)
        return;
    told("replay", r->id, status);
    answer_clear(&a);
}

static bool one_more(void)
{
    return !stop && (!opt.sessions || __sync_fetch_and_add(&begun, 1) < opt.sessions);
}

static void hold(struct worker *w)
{
    w->held = realloc(w->held, (w->nr_held + 1) * sizeof(*w->held));
    if (!w->held)
        die("no memory");
    w->held[w->nr_held++] = w->client;
    w->client.ssl = NULL;
    w->client.ticket = NULL;
}

static void whole_sessions(struct worker *w)
{
    while (one_more()) {
        struct ready r = { .body = NULL };

        if (begin_session(w, &r) && attest(w, &r)) {
            if (opt.path)
                fetch(w, &r);
            if (opt.replay)
                replay(w, &r);
        }
        free(r.body);
        if (opt.hold)
            hold(w);
        else
            client_close(&w->client);
    }
}

/* ---- Attestations alone ---- */

static void prepare(struct worker *w)
{
    unsigned again = opt.clients_reconnect;

    opt.clients_reconnect = 0;
    while (one_more()) {
        w->ready = realloc(w->ready, (w->nr_ready + 1) * sizeof(*w->ready));
        if (!w->ready)
            die("no memory");
        if (begin_session(w, &w->ready[w->nr_ready]))
            w->nr_ready++;
    }
    client_close(&w->client);
    w->unavailable = w->unanswered = 0;
    opt.clients_reconnect = again;
}

static void *work(void *context)
{
    struct worker *w = context;

    if (opt.prepared)
        prepare(w);
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&start);
    if (!opt.prepared)
        whole_sessions(w);
    for (size_t i = 0; i < w->nr_ready && !stop; i++) {
        attest(w, &w->ready[i]);
        client_close(&w->client);
    }
    return NULL;
}

/* ---- Results ---- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(struct worker *workers, double seconds)
{
    struct worker sum = { .us = NULL };
    uint64_t resumed = 0;

    for (unsigned i = 0; i < opt.threads; i++) {
        struct worker *w = &workers[i];

        for (size_t k = 0; k < w->nr_us; k++)
            keep_time(&sum, w->us[k]);
        sum.allowed += w->allowed;
        sum.denied += w->denied;
        sum.unavailable += w->unavailable;
        sum.unanswered += w->unanswered;
        sum.released += w->released;
        resumed += w->client.resumed;
    }
    if (sum.nr_us)
        qsort(sum.us, sum.nr_us, sizeof(*sum.us), compare);
    printf("{\"seconds\": %.3f, \"attested\": %zu, \"allowed\": %llu, \"denied\": %llu, "
           "\"released\": %llu, \"unavailable\": %llu, \"unanswered\": %llu, \"resumed\": %llu, "
           "\"per_second\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f}\n",
           seconds, sum.nr_us, (unsigned long long)sum.allowed, (unsigned long long)sum.denied,
           (unsigned long long)sum.released, (unsigned long long)sum.unavailable,
           (unsigned long long)sum.unanswered, (unsigned long long)resumed,
           (double)sum.nr_us / seconds, sum.nr_us ? sum.us[sum.nr_us / 2] / 1e3 : 0,
           sum.nr_us ? sum.us[sum.nr_us * 99 / 100] / 1e3 : 0);
    fflush(stdout);
    free(sum.us);
}

/* ---- Start ---- */

static const struct option options[] = {
    { "identity", required_argument, NULL, 'i' }, { "port", required_argument, NULL, 'p' },
    { "ca", required_argument, NULL, 'c' },       { "threads", required_argument, NULL, 't' },
    { "sessions", required_argument, NULL, 'n' }, { "resource", required_argument, NULL, 'r' },
    { "tenant", required_argument, NULL, 'T' },   { "resume", no_argument, NULL, 'R' },
    { "acks", no_argument, NULL, 'a' },           { "prepared", no_argument, NULL, 'P' },
    { "hold", no_argument, NULL, 'H' },           { "replay", no_argument, NULL, 'y' },
    { "reconnect", no_argument, NULL, 'x' },      { "make-identity", no_argument, NULL, 'm' },
    { "help", no_argument, NULL, 'h' },           { NULL, 0, NULL, 0 },
};

static void usage(FILE *to)
{
    fputs("Usage: attestd-load --identity DIR --port PORT --ca FILE [OPTION]...\n"
          "Sessions with bawn-attestd until standard input ends.\n\n"
          "  --identity DIR   of the platform; made when it is not there, root.pem is its root\n"
          "  --make-identity  nothing else\n"
          "  --port PORT      of the service, on 127.0.0.1\n"
          "  --ca FILE        that the service's certificate is trusted by\n"
          "  --threads N      guests at once (4)\n"
          "  --sessions N     end after so many\n"
          "  --tenant /t/NAME another tenant than the default one\n"
          "  --resource PATH  fetch it in each session\n"
          "  --replay         then send the evidence again\n"
          "  --reconnect      a connection for each request, not for each session\n"
          "  --resume         resume TLS sessions\n"
          "  --prepared       time attestations only, each over a new connection\n"
          "  --hold           keep connections open until standard input ends\n"
          "  --acks           print what was answered: attest|release|replay SESSION STATUS,\n"
          "                   and again - 503|0 when it must be asked again\n",
          to);
}

static void set_option(int letter)
{
    const struct {
        int letter;
        bool *flag;
    } flags[] = { { 'R', &opt.resume }, { 'a', &opt.acks },   { 'P', &opt.prepared },
                  { 'H', &opt.hold },   { 'y', &opt.replay }, { 'm', &opt.root_only } };
    const struct {
        int letter;
        const char **text;
    } texts[] = {
        { 'i', &opt.identity }, { 'c', &opt.ca }, { 'r', &opt.path }, { 'T', &opt.tenant }
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (flags[i].letter == letter)
            *flags[i].flag = true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].letter == letter)
            *texts[i].text = optarg;
    if (letter == 'p')
        opt.port = (unsigned)strtoul(optarg, NULL, 10);
    if (letter == 't')
        opt.threads = (unsigned)strtoul(optarg, NULL, 10);
    if (letter == 'n')
        opt.sessions = strtoul(optarg, NULL, 10);
    if (letter == 'x')
        opt.clients_reconnect = 1;
}

static void *watch_input(void *context)
{
    char byte[64];

    while (read(STDIN_FILENO, byte, sizeof(byte)) > 0)
        ;
    stop = true;
    return context;
}

static void run(struct worker *workers)
{
    pthread_t watcher;
    uint64_t began;

    if (pthread_barrier_init(&start, NULL, opt.threads + 1))
        die("no barrier");
    for (unsigned i = 0; i < opt.threads; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            die("no thread");
    if (pthread_create(&watcher, NULL, watch_input, NULL))
        die("no thread");
    pthread_barrier_wait(&start);
    if (opt.prepared) {
        puts("prepared");
        fflush(stdout);
    }
    began = now_us();
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < opt.threads; i++)
        pthread_join(workers[i].thread, NULL);
    report(workers, (double)(now_us() - began) / 1e6);
    if (opt.hold)
        pthread_join(watcher, NULL);
    for (unsigned i = 0; i < opt.threads; i++)
        for (size_t k = 0; k < workers[i].nr_held; k++)
            client_close(&workers[i].held[k]);
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS_MAX];
    int letter;

    while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (letter == 'h' || letter == '?') {
            usage(letter == 'h' ? stdout : stderr);
            return letter == 'h' ? 0 : 64;
        }
        set_option(letter);
    }
    if (!opt.identity || !opt.threads || opt.threads > THREADS_MAX ||
        (!opt.root_only && (!opt.port || !opt.ca))) {
        usage(stderr);
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    if (opt.root_only) {
        guest_create(opt.identity);
        return 0;
    }
    for (unsigned i = 0; i < opt.threads; i++) {
        workers[i].guest = guest_create(opt.identity);
        client_init(&workers[i].client, opt.host, opt.port, opt.ca, opt.resume);
    }
    run(workers);
    return 0;
}
