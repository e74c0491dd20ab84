// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor: starts the processes, each with its sockets and nothing else, starts again what
 * ended, and ends all in order. It keeps the rights it was started with and for that takes nothing
 * from anybody: it reads signals, exit statuses, its configuration, and from its children that
 * they are ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "attest/service/front/metrics.h"
#include "attest/service/ipc.h"
#include "attest/service/supervisor.h"
#include "common/confine.h"

#define CORE 3 /* vault, front, admin: children[] in this order */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
#define STEADY_MS 10000     /* who lived that long did not fail at its start */
#define FRONTS_END_MS 35000 /* more than a front waits for its backends */
#define VAULT_END_MS 10000

struct child {
    enum service_role role;
    pid_t pid;           /* 0: not running */
    struct ipc *control; /* of CORE */
    bool wanted, ready;
    int64_t started, start_at; /* ms */
    unsigned backoff;          /* ms */
};

struct supervisor {
    struct service_config *config;
    int signals;
    int listen[SERVICE_LISTEN_MAX], admin_listen[SERVICE_LISTEN_MAX], status[SERVICE_LISTEN_MAX];
    struct front_metrics *metrics;
    struct child core[CORE], judges[SERVICE_WORKERS_MAX], fetch;
    unsigned nr_judges;
    int64_t restart_at; /* ms, of everything; 0: running */
    unsigned backoff;
    bool stop, was_ready, failed;
    bool unusable;       /* the vault cannot start with this configuration */
    bool fetch_replaced; /* it was ended, for a new configuration */
};

static const enum service_role core_roles[CORE] = { ROLE_VAULT, ROLE_FRONT, ROLE_ADMIN };

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* sd_notify(3): a datagram to the socket that systemd names. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    size_t len = path ? strlen(path) : 0;
    int fd;

    if (len < 2 || len >= sizeof(sun.sun_path))
        return;
    memcpy(sun.sun_path, path, len);
    if (sun.sun_path[0] == '@')
        sun.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&sun,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

/* ---- Starting a process ---- */

static void keep_only(const struct supervisor *s, enum service_role role,
                      const struct service_fds *fds)
{
    int keep[4 + 2 * SERVICE_LISTEN_MAX];
    size_t n = 0;
    const struct config_listens *listens =
        role == ROLE_ADMIN ? &s->config->admin.listen : &s->config->listen;
    const int named[] = { fds->control, fds->vault, fds->front, fds->admin };

    for (size_t i = 0; i < 4; i++)
        if (named[i] >= 0)
            keep[n++] = named[i];
    if (role == ROLE_FRONT || role == ROLE_ADMIN)
        for (size_t i = 0; i < listens->n; i++)
            keep[n++] = fds->listen[i];
    for (size_t i = 0; role == ROLE_ADMIN && i < s->config->status.n; i++)
        keep[n++] = fds->status[i];
    confine_descriptors(keep, n);
}

static int run_role(struct service_config *config, enum service_role role,
                    const struct service_fds *fds)
{
    struct bawn_error err = { "" };
    enum bawn_status st = BAWN_OK;

    if (role != ROLE_ADMIN || config->admin.listen.n)
        st = config_read_files(config, role, &err);
    if (st == BAWN_OK)
        st = service_drop_user(config, role, &err);
    if (st != BAWN_OK) {
        journal("error", "cannot start", "{s:s}", "reason", err.msg);
        return 1;
    }
    if (role == ROLE_VAULT)
        return vault_main(config, fds);
    if (role == ROLE_JUDGE)
        return judge_main(config, fds);
    if (role == ROLE_FETCH)
        return fetch_main(config, fds);
    return front_main(config, role, fds);
}

static void start(struct supervisor *s, struct child *child, const struct service_fds *fds)
{
    sigset_t none;
    char name[16];

    child->started = now_ms();
    child->ready = false;
    child->pid = fork();
    if (child->pid < 0) {
        journal("error", "cannot start a process", "{s:s}", "reason", strerror(errno));
        child->pid = 0;
    }
    if (child->pid != 0)
        return;
    journal_start(child->role);
    snprintf(name, sizeof(name), "attestd-%s", service_role_names[child->role]);
    prctl(PR_SET_NAME, name, 0, 0, 0); /* what ps and top show */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    keep_only(s, child->role, fds);
    /* Not exit(): what the parent has registered is not this process's. */
    _exit(run_role(s->config, child->role, fds));
}

static bool pair(int ends[2])
{
    return !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

static void close_pair(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

/* A judge's two sockets: one end of each is its own, the others go to front and vault. */
static void start_judge(struct supervisor *s, unsigned n)
{
    struct child *child = &s->judges[n];
    const struct bawn_bytes none = { NULL, 0 };
    int front[2], vault[2];
    struct service_fds fds = { .control = -1, .admin = -1, .number = n };
    json_t *number = json_pack("{s:i}", "judge", (int)n);

    if (!number || !pair(front)) {
        json_decref(number);
        child->start_at = now_ms() + BACKOFF_MAX_MS;
        return;
    }
    if (pair(vault)) {
        fds.front = front[0];
        fds.vault = vault[0];
        start(s, child, &fds);
        /* The vault first, so that it knows who decides before there is anything to decide. */
        ipc_send(s->core[0].control, IPC_PEER, 0, number, none, vault[1], NULL);
        ipc_flush(s->core[0].control, NULL);
        ipc_send(s->core[1].control, IPC_PEER, 0, number, none, front[1], NULL);
        ipc_flush(s->core[1].control, NULL);
        close_pair(vault);
    }
    close_pair(front);
    json_decref(number);
    child->start_at = 0;
}

/* A socket to the vault is all that it has. */
static void start_fetch(struct supervisor *s)
{
    const struct bawn_bytes none = { NULL, 0 };
    struct service_fds fds = { .control = -1, .front = -1, .admin = -1 };
    json_t *what = json_pack("{s:b}", "fetch", 1);
    int vault[2];

    s->fetch.start_at = now_ms() + BACKOFF_MAX_MS;
    if (what && pair(vault)) {
        fds.vault = vault[0];
        start(s, &s->fetch, &fds);
        ipc_send(s->core[0].control, IPC_PEER, 0, what, none, vault[1], NULL);
        ipc_flush(s->core[0].control, NULL);
        close_pair(vault);
        s->fetch.start_at = 0;
    }
    json_decref(what);
}

/* One of vault, front, admin, with a control socket of its own. */
static bool start_core(struct supervisor *s, size_t i, struct service_fds fds)
{
    struct child *child = &s->core[i];
    int control[2];

    if (!pair(control))
        return false;
    child->control = ipc_create(control[0]);
    if (!child->control) {
        close_pair(control);
        return false;
    }
    child->role = core_roles[i];
    fds.control = control[1];
    start(s, child, &fds);
    close(control[1]);
    return child->pid > 0;
}

static void start_all(struct supervisor *s)
{
    struct service_fds fds = { .control = -1, .vault = -1, .front = -1, .admin = -1 };
    struct service_fds front = fds;
    int to_front[2] = { -1, -1 }, to_admin[2] = { -1, -1 };
    bool ok = pair(to_front) && (!s->core[2].wanted || pair(to_admin));

    front.metrics = s->metrics;
    memset(s->metrics, 0, METRICS_FRONTS * sizeof(*s->metrics));
    if (ok) {
        fds.front = to_front[0];
        fds.admin = to_admin[0];
        ok = start_core(s, 0, fds);
    }
    if (ok) {
        front.vault = to_front[1];
        front.number = 1;
        memcpy(front.listen, s->listen, sizeof(front.listen));
        ok = start_core(s, 1, front);
    }
    if (ok && s->core[2].wanted) {
        front.vault = to_admin[1];
        front.number = 2;
        memcpy(front.listen, s->admin_listen, sizeof(front.listen));
        memcpy(front.status, s->status, sizeof(front.status));
        ok = start_core(s, 2, front);
    }
    for (int i = 0; i < 2; i++) {
        if (to_front[i] >= 0)
            close(to_front[i]);
        if (to_admin[i] >= 0)
            close(to_admin[i]);
    }
    for (unsigned i = 0; ok && i < s->nr_judges; i++)
        start_judge(s, i);
    s->restart_at = 0;
    s->failed = !ok;
}

/* ---- Ends ---- */

static struct child *find_child(struct supervisor *s, pid_t pid)
{
    for (size_t i = 0; i < CORE; i++)
        if (s->core[i].pid == pid)
            return &s->core[i];
    for (unsigned i = 0; i < s->nr_judges; i++)
        if (s->judges[i].pid == pid)
            return &s->judges[i];
    return s->fetch.pid == pid ? &s->fetch : NULL;
}

static unsigned next_backoff(unsigned *backoff, int64_t lived)
{
    if (lived >= STEADY_MS || !*backoff)
        *backoff = BACKOFF_FIRST_MS;
    else
        *backoff = *backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : *backoff * 2;
    return *backoff;
}

static void ended(struct supervisor *s, struct child *child, int status)
{
    int64_t now = now_ms(), lived = now - child->started;
    bool replaced = child->role == ROLE_FETCH && s->fetch_replaced;
    bool orderly = replaced || (s->stop && WIFEXITED(status) && !WEXITSTATUS(status));

    if (child->role == ROLE_FETCH)
        s->fetch_replaced = false;
    child->pid = 0;
    if (!orderly)
        journal(s->stop ? "warning" : "error", "a process ended", "{s:s,s:s,s:i}", "role",
                service_role_names[child->role], "by",
                WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit", "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (child->role == ROLE_JUDGE || child->role == ROLE_FETCH)
        child->start_at = now + next_backoff(&child->backoff, lived);
    else if (!s->stop)
        s->failed = true;
    /* Starting it again and again would, by a wrong PIN, lock a token. */
    s->unusable |= child->role == ROLE_VAULT && WIFEXITED(status) &&
                   WEXITSTATUS(status) == SERVICE_EXIT_CONFIG;
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *child = find_child(s, pid);

        if (child)
            ended(s, child, status);
    }
}

static unsigned running(const struct supervisor *s, bool fronts_only)
{
    unsigned n = 0;

    for (size_t i = fronts_only ? 1 : 0; i < CORE; i++)
        n += s->core[i].pid > 0;
    for (unsigned i = 0; !fronts_only && i < s->nr_judges; i++)
        n += s->judges[i].pid > 0;
    return n + (!fronts_only && s->fetch.pid > 0);
}

/* Reaps until the fronts, or all, have ended, or the time is over. */
static void wait_for(struct supervisor *s, bool fronts_only, int64_t ms)
{
    int64_t until = now_ms() + ms;

    while (running(s, fronts_only) && now_ms() < until) {
        struct pollfd p = { s->signals, POLLIN, 0 };
        struct signalfd_siginfo info;

        poll(&p, 1, 100);
        (void)!read(s->signals, &info, sizeof(info));
        reap(s);
    }
}

static void kill_all(struct supervisor *s)
{
    for (size_t i = 0; i < CORE; i++)
        if (s->core[i].pid > 0)
            kill(s->core[i].pid, SIGKILL);
    for (unsigned i = 0; i < s->nr_judges; i++)
        if (s->judges[i].pid > 0)
            kill(s->judges[i].pid, SIGKILL);
    if (s->fetch.pid > 0)
        kill(s->fetch.pid, SIGKILL);
}

static void tell(struct child *child, enum ipc_op op)
{
    const struct bawn_bytes none = { NULL, 0 };

    if (!child->control || child->pid <= 0)
        return;
    ipc_send(child->control, op, 0, NULL, none, -1, NULL);
    ipc_flush(child->control, NULL);
}

/* Fronts first, with their requests, then the vault, which has heard all of them by then; judges
 * see the end of both. in_order false: something failed, and nobody waits for it long. */
static void end_all(struct supervisor *s, bool in_order)
{
    s->stop = true;
    tell(&s->core[1], IPC_STOP);
    tell(&s->core[2], IPC_STOP);
    wait_for(s, true, in_order ? FRONTS_END_MS : 1000);
    tell(&s->core[0], IPC_STOP);
    wait_for(s, false, in_order ? VAULT_END_MS : 3000);
    kill_all(s);
    wait_for(s, false, VAULT_END_MS);
    for (size_t i = 0; i < CORE; i++) {
        ipc_destroy(s->core[i].control);
        s->core[i].control = NULL;
    }
}

/* ---- Running ---- */

static enum bawn_status pack_role(const struct supervisor *s, enum service_role role, json_t **json,
                                  uint8_t **blob, size_t *len, struct bawn_error *err)
{
    struct service_config *config;
    enum bawn_status st = config_load(&config, s->config->path, err);

    if (st == BAWN_OK && (role != ROLE_ADMIN || config->admin.listen.n))
        st = config_read_files(config, role, err);
    if (st == BAWN_OK)
        st = config_pack(config, role, json, blob, len, err);
    config_destroy(config);
    return st;
}

/* All is read before anybody is told, so that a mistake changes nothing. */
static void reload(struct supervisor *s)
{
    struct service_config *config = NULL;
    struct bawn_error err = { "" };
    json_t *json[CORE] = { NULL };
    uint8_t *blob[CORE] = { NULL };
    size_t len[CORE] = { 0 };
    char state[64];
    enum bawn_status st = config_load(&config, s->config->path, &err);

    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now_ms() * 1000);
    notify(state);
    for (size_t i = 0; st == BAWN_OK && i < CORE; i++)
        if (s->core[i].wanted)
            st = pack_role(s, core_roles[i], &json[i], &blob[i], &len[i], &err);
    for (size_t i = 0; st == BAWN_OK && i < CORE; i++) {
        const struct bawn_bytes bytes = { blob[i], len[i] };

        if (!json[i] || !s->core[i].control)
            continue;
        ipc_send(s->core[i].control, IPC_RELOAD, 0, json[i], bytes, -1, NULL);
        ipc_flush(s->core[i].control, NULL);
    }
    if (st == BAWN_OK) {
        config_destroy(s->config);
        s->config = config;
        journal("info", "reload", NULL);
        if (s->fetch.pid > 0) { /* it keeps nothing, and comes again with the new configuration */
            s->fetch_replaced = true;
            kill(s->fetch.pid, SIGKILL);
        }
    } else {
        config_destroy(config);
        journal("error", "the configuration was not taken", "{s:s}", "reason", err.msg);
    }
    for (size_t i = 0; i < CORE; i++) {
        if (blob[i])
            OPENSSL_cleanse(blob[i], len[i]);
        free(blob[i]);
        json_decref(json[i]);
    }
    notify("READY=1");
}

/* A front can ask for no more than what a crash does anyway: the judge comes again. */
static void end_hung(struct supervisor *s, const json_t *json)
{
    json_int_t n = json_integer_value(json_object_get(json, "judge"));

    if (!json || n < 0 || n >= s->nr_judges || s->judges[n].pid <= 0)
        return;
    journal("error", "a judge is ended: it does not answer", "{s:i,s:i}", "judge", (int)n, "pid",
            (int)s->judges[n].pid);
    kill(s->judges[n].pid, SIGKILL);
}

static void read_control(struct supervisor *s, struct child *child)
{
    struct bawn_error err;
    struct ipc_msg msg;

    if (ipc_read(child->control, &err) != BAWN_OK) {
        ipc_destroy(child->control); /* its exit status comes by SIGCHLD */
        child->control = NULL;
        return;
    }
    while (ipc_next(child->control, &msg)) {
        child->ready |= msg.op == IPC_READY;
        if (msg.op == IPC_HUNG && child->role == ROLE_FRONT)
            end_hung(s, msg.json);
        ipc_msg_clear(&msg);
    }
    for (size_t i = 0; i < CORE; i++)
        if (s->core[i].wanted && !s->core[i].ready)
            return;
    if (s->was_ready)
        return;
    s->was_ready = true;
    journal("info", "ready", "{s:s,s:i}", "version", bawn_attest_version(), "judges",
            (int)s->nr_judges);
    notify("READY=1\nSTATUS=Serving.");
}

static void take_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP)
            reload(s);
        else if (info.ssi_signo != SIGCHLD)
            s->stop = true;
    }
    reap(s);
}

/* What is due; returns the milliseconds to the next. */
static int run_due(struct supervisor *s)
{
    int64_t now = now_ms(), next = now + 60000;

    if (s->restart_at && now >= s->restart_at)
        start_all(s);
    if (s->restart_at)
        return (int)(s->restart_at - now);
    for (unsigned i = 0; i < s->nr_judges; i++) {
        struct child *judge = &s->judges[i];

        if (judge->pid || s->failed)
            continue;
        if (judge->start_at <= now)
            start_judge(s, i);
        else if (judge->start_at < next)
            next = judge->start_at;
    }
    if (s->config->collateral.mirror && !s->fetch.pid && !s->failed) {
        if (s->fetch.start_at <= now)
            start_fetch(s);
        else if (s->fetch.start_at < next)
            next = s->fetch.start_at;
    }
    return (int)(next - now);
}

/* Vault or front ended: the others are of no use without it. */
static bool restart_all(struct supervisor *s)
{
    int64_t lived = now_ms() - s->core[0].started;

    end_all(s, false);
    s->stop = false;
    s->failed = false;
    if (!s->was_ready || s->unusable)
        return false; /* it never worked, or will not: an operator has to look */
    s->restart_at = now_ms() + next_backoff(&s->backoff, lived);
    return true;
}

static int serve(struct supervisor *s)
{
    start_all(s);
    while (!s->stop) {
        struct pollfd polls[1 + CORE] = { { s->signals, POLLIN, 0 } };
        int timeout;

        if (s->failed && !restart_all(s))
            return s->unusable ? SERVICE_EXIT_CONFIG : EXIT_FAILURE;
        timeout = run_due(s);
        for (size_t i = 0; i < CORE; i++)
            polls[1 + i] =
                (struct pollfd){ s->core[i].control ? ipc_fd(s->core[i].control) : -1, POLLIN, 0 };
        if (poll(polls, 1 + CORE, timeout) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        for (size_t i = 0; i < CORE; i++)
            if (polls[1 + i].revents && s->core[i].control)
                read_control(s, &s->core[i]);
        if (polls[0].revents)
            take_signals(s);
    }
    notify("STOPPING=1");
    journal("info", "ends", NULL);
    end_all(s, true);
    return EXIT_SUCCESS;
}

/* ---- Start ---- */

static enum bawn_status prepare(struct supervisor *s, struct bawn_error *err)
{
    struct rlimit files;
    sigset_t set;
    int null;
    enum bawn_status st;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->metrics = mmap(NULL, METRICS_FRONTS * sizeof(*s->metrics), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->signals < 0 || s->metrics == MAP_FAILED)
        return bawn_fail(err, BAWN_E_IO, "cannot start: %m");
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        if (files.rlim_cur < s->config->limits.connections + 256)
            journal("warning", "fewer descriptors than limits.connections", "{s:I}", "descriptors",
                    (json_int_t)files.rlim_cur);
    }
    st = listen_open(&s->config->listen, s->listen, err);
    if (st == BAWN_OK)
        st = listen_open(&s->config->admin.listen, s->admin_listen, err);
    if (st == BAWN_OK)
        st = listen_open(&s->config->status, s->status, err);
    return st;
}

int supervisor_run(struct service_config *config)
{
    struct supervisor *s = calloc(1, sizeof(*s));
    struct bawn_error err = { "" };
    int status = EXIT_FAILURE;

    if (!s)
        return EXIT_FAILURE;
    s->config = config;
    s->nr_judges = config->workers;
    s->fetch.role = ROLE_FETCH;
    for (unsigned i = 0; i < s->nr_judges; i++)
        s->judges[i].role = ROLE_JUDGE;
    s->core[0].wanted = s->core[1].wanted = true;
    s->core[2].wanted = config->admin.listen.n || config->status.n;
    if (prepare(s, &err) == BAWN_OK)
        status = serve(s);
    else
        fprintf(stderr, "bawn-attestd: %s\n", err.msg);
    config_destroy(s->config);
    free(s);
    return status;
}
