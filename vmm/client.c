// SPDX-License-Identifier: Apache-2.0
/*
 * Finds machines in the runtime directory, asks them, and says for a person or as JSON what they
 * answer. A supervisor is its owner's, and still its answers are bounded and parsed with care.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "api.h"
#include "client.h"
#include "launch.h"
#include "runtime.h"
#include "save.h"
#include "stream.h"

#define ANSWER_MAX (BAWN_HTTP_ANSWER_HEAD + BAWN_API_ANSWER_MAX)
#define NAMES_MAX 1024
#define DETACH 'd'
#define ESCAPE 1 /* Ctrl-A */

/* One call's circumstances. */
struct ask {
    const struct command *command;
    const char *name, *socket, *argument;
    bool json;
    bool progress;       /* the call takes its time: the other side says how far it is */
    json_t *wish;        /* owned: what options say, as the call's body has it; NULL: nothing */
    int fd;              /* to send along; -1: none */
    char path[PATH_MAX]; /* of the socket */
    char text[ANSWER_MAX + 1];
    json_t *value; /* the answer; NULL: it has none */
    int status;    /* of HTTP */
};

struct command {
    const char *name, *argument, *help;
    int (*run)(struct ask *a);
    const char *call; /* NULL: run decides */
    const char *done; /* what has happened then */
};

/* ---- HTTP ---- */

static int fail(const struct ask *a, const char *why)
{
    json_t *text = a->json ? json_pack("{ss}", "error", why) : NULL;

    if (text)
        json_dumpf(text, stdout, JSON_COMPACT), puts("");
    else
        fprintf(stderr, "bawn: %s%s%s\n", a->name ? a->name : "", a->name ? ": " : "", why);
    json_decref(text);
    return 1;
}

static bool send_request(const struct ask *a, int to, const char *text, size_t len)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } file = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec v = { (char *)text, len };
    struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

    if (a->fd >= 0) {
        memcpy(CMSG_DATA(&file.head), &a->fd, sizeof(int));
        msg.msg_control = &file;
        msg.msg_controllen = sizeof(file);
    }
    return sendmsg(to, &msg, MSG_NOSIGNAL) == (ssize_t)len;
}

#define BAR 40 /* columns */

/* One message from the pipe. False: there is nobody at its other end. */
static bool show_progress(const struct ask *a, int from, bool *shown)
{
    static const char full[] = "########################################";
    struct bawn_save_progress p;
    ssize_t got = read(from, &p, sizeof(p));
    int n;

    if (got != sizeof(p))
        return got < 0 && errno == EAGAIN;
    if (p.done > p.all)
        p.done = p.all;
    n = p.all ? (int)((double)p.done / (double)p.all * BAR) : BAR;
    *shown = !a->json && isatty(STDERR_FILENO);
    if (a->json)
        fprintf(stderr, "{\"event\":\"progress\",\"done\":%llu,\"all\":%llu}\n",
                (unsigned long long)p.done, (unsigned long long)p.all);
    else if (*shown)
        fprintf(stderr, "\r%s [%.*s%*s] %llu of %llu MiB ", a->name, n, full, BAR - n, "",
                (unsigned long long)(p.done >> 20), (unsigned long long)(p.all >> 20));
    return true;
}

/* Until the answer begins to come. */
static void wait_for_answer(const struct ask *a, int from, int pipe)
{
    struct pollfd fds[] = { { from, POLLIN, 0 }, { pipe, POLLIN, 0 } };
    bool shown = false;

    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        if (fds[1].revents && !show_progress(a, pipe, &shown))
            fds[1].fd = -1;
        else if (!fds[1].revents && fds[0].revents)
            break;
    }
    if (shown)
        fputs("\n", stderr);
}

/* The answer up to the connection's end. */
static bool read_answer(struct ask *a, int from, int pipe)
{
    const char *body;
    size_t len = 0;
    ssize_t n;

    if (pipe >= 0)
        wait_for_answer(a, from, pipe);
    while (len < ANSWER_MAX && (n = read(from, a->text + len, ANSWER_MAX - len)) > 0)
        len += (size_t)n;
    a->text[len] = '\0';
    body = strstr(a->text, "\r\n\r\n");
    if (!body || strncmp(a->text, "HTTP/1.1 ", 9))
        return false;
    a->status = (int)strtol(a->text + 9, NULL, 10);
    json_decref(a->value);
    a->value = json_loads(body + 4, 0, NULL);
    return true;
}

/* 0, or the exit code after a message. body: NULL: none. */
static int call(struct ask *a, const char *what, const char *body)
{
    bool get =
        !strcmp(what, "vm.info") || !strcmp(what, "vm.counters") || !strcmp(what, "vmm.ping");
    int to = bawn_socket_connect(a->path), n, ends[2] = { -1, -1 };
    char *text = NULL;
    bool ok;

    if (to < 0)
        return fail(a, errno == ENOENT || errno == ECONNREFUSED ? "no such machine runs (bawn ps)"
                                                                : strerror(errno));
    n = asprintf(&text,
                 "%s " BAWN_API_ROOT "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 get ? "GET" : "PUT", what, body ? strlen(body) : 0, body ? body : "");
    if (a->progress && !pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        a->fd = ends[1];
    ok = n > 0 && send_request(a, to, text, (size_t)n);
    if (ends[1] >= 0)
        close(ends[1]);
    ok = ok && read_answer(a, to, ends[0]);
    if (ends[0] >= 0)
        close(ends[0]);
    free(text);
    close(to);
    if (!ok)
        return fail(a, "it does not answer");
    if (a->status == 200 || a->status == 204)
        return 0;
    /* What it was about, and why. */
    return fail(a, json_array_size(a->value)
                       ? json_string_value(json_array_get(a->value, json_array_size(a->value) - 1))
                       : "it refuses");
}

/* ---- commands ---- */

static int do_call(struct ask *a)
{
    int code = call(a, a->command->call, NULL);

    if (!code && a->json)
        puts("{}");
    else if (!code)
        printf("%s: %s\n", a->name, a->command->done);
    return code;
}

static const char *text_at(json_t *value, const char *key)
{
    const char *text = json_string_value(json_object_get(value, key));

    return text ? text : "";
}

static void print_size(uint64_t bytes)
{
    printf("%llu MiB", (unsigned long long)(bytes >> 20));
}

static void print_devices(json_t *config, const char *section, const char *key)
{
    json_t *list = json_object_get(config, section);

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);

        printf("%-10s%s%s%s\n", section, text_at(one, key), *text_at(one, "id") ? ", id " : "",
               text_at(one, "id"));
    }
}

/* All of the answer, where that is wanted. */
static bool shown_whole(const struct ask *a)
{
    if (!a->json)
        return false;
    json_dumpf(a->value, stdout, JSON_INDENT(2));
    puts("");
    return true;
}

static json_int_t vcpus_of(json_t *info, const char *key)
{
    json_t *cpus = json_object_get(json_object_get(info, "config"), "cpus");

    return json_integer_value(json_object_get(cpus, key));
}

/* How many there are and, if there may be more, how many. */
static void say_vcpus(json_t *info, const char *of, char *to, size_t room)
{
    json_int_t now = vcpus_of(info, "boot_vcpus"), max = vcpus_of(info, "max_vcpus");

    if (max > now)
        snprintf(to, room, "%lld%s%lld", now, of, max);
    else
        snprintf(to, room, "%lld", now);
}

static int do_info(struct ask *a)
{
    int code = call(a, "vm.info", NULL);
    json_t *config = json_object_get(a->value, "config");
    char vcpus[48];

    if (code || shown_whole(a))
        return code;
    say_vcpus(a->value, " of ", vcpus, sizeof(vcpus));
    printf("state     %s\nvCPUs     %s\nmemory    ", text_at(a->value, "state"), vcpus);
    print_size((uint64_t)json_integer_value(json_object_get(a->value, "memory_actual_size")));
    printf("\nkernel    %s\n", text_at(json_object_get(config, "payload"), "kernel"));
    print_devices(config, "disks", "path");
    print_devices(config, "net", "tap");
    for (unsigned i = 0; i < 2; i++) {
        const char *port = i ? "console" : "serial";
        json_t *value = json_object_get(config, port);

        printf("%-10s%s %s\n", port, text_at(value, "mode"), text_at(value, "file"));
    }
    return 0;
}

static int do_stats(struct ask *a)
{
    int code = call(a, "vm.counters", NULL);

    if (code || shown_whole(a))
        return code;
    for (void *of = json_object_iter(a->value); of; of = json_object_iter_next(a->value, of)) {
        json_t *counters = json_object_iter_value(of);

        for (void *n = json_object_iter(counters); n; n = json_object_iter_next(counters, n))
            printf("%-10s%-24s%20lld\n", json_object_iter_key(of), json_object_iter_key(n),
                   json_integer_value(json_object_iter_value(n)));
    }
    return 0;
}

/* What is wrong with the argument; NULL. */
static json_t *wrong(const struct ask *a, json_t *object, const char *part, const char *why)
{
    char text[256];

    snprintf(text, sizeof(text), "%.100s: %s: %s", part, why, a->command->argument);
    fail(a, text);
    json_decref(object);
    return NULL;
}

/* "key=value,key=value" as a JSON object: on and off, numbers, sizes of the given key, text. NULL:
 * it is none, which was said. */
static json_t *object_of(struct ask *a)
{
    json_t *object = json_object();
    char *copy = strdup(a->argument), *next = copy, *part;

    while (copy && object && (part = strsep(&next, ","))) {
        char *value = strchr(part, '='), *end;
        bool on;

        if (!value) { /* what would be left out might be "readonly" */
            object = wrong(a, object, part, "KEY=VALUE is needed");
            break;
        }
        *value++ = '\0';
        on = !strcmp(value, "on");
        if (on || !strcmp(value, "off"))
            json_object_set_new(object, part, json_boolean(on));
        else if (!strcmp(part, "fd"))
            a->fd = (int)strtol(value, NULL, 10);
        else if (*value && (strtoll(value, &end, 10), !*end))
            json_object_set_new(object, part, json_integer(strtoll(value, NULL, 10)));
        else
            json_object_set_new(object, part, json_string(value));
    }
    free(copy);
    return object;
}

static int send_object(struct ask *a, json_t *object)
{
    char *body = object ? json_dumps(object, JSON_COMPACT) : NULL;
    int code = body ? call(a, a->command->call, body) : fail(a, "no memory");

    free(body);
    json_decref(object);
    if (!code && a->json)
        a->status == 200 ? (json_dumpf(a->value, stdout, JSON_COMPACT), puts("")) : puts("{}");
    else if (!code && a->status == 200) /* a device that came to a machine that runs */
        printf("%s: %s: %s, %s\n", a->name, a->command->done, text_at(a->value, "id"),
               text_at(a->value, "bdf"));
    else if (!code)
        printf("%s: %s\n", a->name, a->command->done);
    return code;
}

static int do_add(struct ask *a)
{
    json_t *object = object_of(a);

    return object ? send_object(a, object) : 2;
}

static int do_remove(struct ask *a)
{
    return send_object(a, json_pack("{ss}", "id", a->argument));
}

/* A number or size of this key, as the call has it. NULL: it is none. */
static json_t *size_of(const char *key, json_t *value, const char **name)
{
    static const char *const keys[][2] = { { "cpus", "desired_vcpus" },
                                           { "memory", "desired_ram" },
                                           { "balloon", "desired_balloon" } };
    uint64_t n = (uint64_t)json_integer_value(value);

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        *name = keys[i][1];
        if (strcmp(keys[i][0], key) != 0)
            continue;
        if (json_is_integer(value) ||
            (i && json_is_string(value) && !bawn_size_parse(json_string_value(value), &n, NULL)))
            return json_integer((json_int_t)n);
    }
    return NULL;
}

static int do_resize(struct ask *a)
{
    json_t *wish = object_of(a), *object = wish ? json_object() : NULL;

    for (void *i = json_object_iter(wish); i && object; i = json_object_iter_next(wish, i)) {
        const char *key = json_object_iter_key(i), *name;
        json_t *n = size_of(key, json_object_iter_value(i), &name);

        if (n)
            json_object_set_new(object, name, n);
        else
            object = wrong(a, object, key, "one of these is needed");
    }
    json_decref(wish);
    return object ? send_object(a, object) : 2;
}

/* A file's name, as another process understands it, behind a few letters. */
static json_t *path_of(const char *before, const char *name)
{
    char *here = *name == '/' ? NULL : realpath(".", NULL);
    json_t *path = json_sprintf("%s%s%s%s", before, here ? here : "", here ? "/" : "", name);

    free(here);
    return path;
}

static int do_snapshot(struct ask *a)
{
    json_t *object = a->wish ? json_incref(a->wish) : json_object();

    a->progress = true;
    json_object_set_new(object, "destination_url", path_of("file://", a->argument));
    return send_object(a, object);
}

static int do_migrate(struct ask *a)
{
    json_t *object = a->wish ? json_incref(a->wish) : json_object();

    a->progress = true;
    json_object_set_new(object, "destination_url", json_string(a->argument));
    return send_object(a, object);
}

/* ---- console ---- */

/* Copies until the person detaches or the machine ends. */
static int attach(struct ask *a, int port)
{
    struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 }, { port, POLLIN, 0 } };
    bool escape = false;
    char buf[4096];
    ssize_t n;

    while (poll(fds, 2, -1) > 0 || errno == EINTR) {
        if (fds[1].revents) {
            n = read(port, buf, sizeof(buf));
            if (n <= 0)
                return fail(a, "\r\nthe machine has ended");
            (void)!write(STDOUT_FILENO, buf, (size_t)n);
        }
        if (!fds[0].revents)
            continue;
        n = read(STDIN_FILENO, buf, 1);
        if (n <= 0 || (escape && *buf == DETACH))
            return 0;
        if (!escape && *buf == ESCAPE) {
            escape = true;
            continue;
        }
        escape = false;
        (void)!write(port, buf, 1);
    }
    return 0;
}

static int do_console(struct ask *a)
{
    int code = call(a, "vm.info", NULL), port = -1;
    json_t *config = json_object_get(a->value, "config");
    const char *path = "";
    struct bawn_error err;
    bool socket = false;

    if (code)
        return code;
    for (unsigned i = 0; i < 2 && !*path; i++) {
        json_t *value = json_object_get(config, i ? "console" : "serial");

        socket = !strcmp(text_at(value, "mode"), "Socket");
        if (socket || !strcmp(text_at(value, "mode"), "Pty"))
            path = text_at(value, socket ? "socket" : "file");
    }
    if (!*path)
        return fail(a, "neither its serial port nor its console is a pty or a socket "
                       "(--serial pty)");
    port = socket ? bawn_socket_connect(path) : open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (port < 0)
        return fail(a, strerror(errno));
    fprintf(stderr, "bawn: attached to %s; Ctrl-A d detaches\r\n", path);
    if (isatty(STDIN_FILENO) && bawn_term_raw(&err))
        fprintf(stderr, "bawn: %s\n", err.msg);
    code = attach(a, port);
    bawn_term_restore();
    close(port);
    return code;
}

/* ---- ps ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What the directory has; freed by the caller. */
static size_t names_of(const char *dir, char **names)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    size_t n = 0;

    while (d && n < NAMES_MAX && (e = readdir(d))) {
        size_t len = strlen(e->d_name);

        if (len > 5 && !strcmp(e->d_name + len - 5, ".sock") &&
            (names[n] = strndup(e->d_name, len - 5)))
            n++;
    }
    if (d)
        closedir(d);
    qsort(names, n, sizeof(*names), by_name);
    return n;
}

/* One machine's line; one that is gone is removed. */
static void print_machine(struct ask *a, json_t *all)
{
    int to = bawn_socket_connect(a->path);
    json_t *info;
    long long pid;
    char vcpus[48];

    if (to < 0 && errno == ECONNREFUSED)
        unlink(a->path);
    if (to < 0)
        return;
    close(to);
    if (call(a, "vmm.ping", NULL))
        return;
    pid = json_integer_value(json_object_get(a->value, "pid"));
    if (call(a, "vm.info", NULL))
        return;
    info = a->value;
    if (a->json) {
        json_array_append_new(
            all, json_pack("{sssIsssIsIsI}", "name", a->name, "pid", (json_int_t)pid, "state",
                           text_at(info, "state"), "vcpus", vcpus_of(info, "boot_vcpus"),
                           "max_vcpus", vcpus_of(info, "max_vcpus"), "memory",
                           json_integer_value(json_object_get(info, "memory_actual_size"))));
        return;
    }
    say_vcpus(info, "/", vcpus, sizeof(vcpus));
    printf("%-24s%-10lld%-10s%-7s", a->name, pid, text_at(info, "state"), vcpus);
    print_size((uint64_t)json_integer_value(json_object_get(info, "memory_actual_size")));
    puts("");
}

static int do_ps(struct ask *a)
{
    char *names[NAMES_MAX];
    char dir[PATH_MAX / 2];
    struct bawn_error err;
    json_t *all = json_array();
    size_t n;

    if (bawn_runtime_dir(dir, sizeof(dir), false, &err))
        return fail(a, err.msg);
    n = names_of(dir, names);
    if (!a->json)
        printf("%-24s%-10s%-10s%-7s%s\n", "NAME", "PID", "STATE", "VCPUS", "MEMORY");
    for (size_t i = 0; i < n; i++) {
        a->name = names[i];
        snprintf(a->path, sizeof(a->path), "%s/%s.sock", dir, names[i]);
        print_machine(a, all);
        free(names[i]);
    }
    if (a->json)
        json_dumpf(all, stdout, JSON_COMPACT), puts("");
    json_decref(all);
    return 0;
}

/* ---- the command line ---- */

static const struct command commands[] = {
    { "ps", NULL, "list the machines that run", do_ps, NULL, NULL },
    { "info", NULL, "a machine's state and configuration", do_info, NULL, NULL },
    { "stats", NULL, "what its vCPUs and devices have done", do_stats, NULL, NULL },
    { "console", NULL, "attach to its serial port or console; Ctrl-A d detaches", do_console, NULL,
      NULL },
    { "pause", NULL, "stop its vCPUs and devices", do_call, "vm.pause", "paused" },
    { "resume", NULL, "have them go on", do_call, "vm.resume", "resumed" },
    { "power-button", NULL, "press it: the guest is asked to power off", do_call, "vm.power-button",
      "the power button was pressed" },
    { "reboot", NULL, "reset it, whatever the guest does", do_call, "vm.reboot", "rebooted" },
    { "shutdown", NULL, "end it, whatever the guest does", do_call, "vmm.shutdown", "ended" },
    { "snapshot", "PATH", "save it; bawn restore PATH has it go on", do_snapshot, "vm.snapshot",
      "saved" },
    { "migrate", "tls:HOST:PORT", "have it go on at another host, where bawn receive waits",
      do_migrate, "vm.send-migration", "it runs there now" },
    { "add-disk", "path=FILE[,KEY=VALUE]...", "give it a disk", do_add, "vm.add-disk", "added" },
    { "add-net", "tap=NAME|socket=PATH|fd=N[,KEY=VALUE]...", "give it a network device", do_add,
      "vm.add-net", "added" },
    { "remove", "ID", "take a disk or network device away, when the guest lets go of it", do_remove,
      "vm.remove-device", "removed" },
    { "resize", "cpus=N,memory=SIZE,balloon=SIZE",
      "change its vCPUs, or what the guest gives up of its memory; before its first boot memory",
      do_resize, "vm.resize", "resized" },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void bawn_client_help(FILE *out)
{
    for (size_t i = 0; i < NR_COMMANDS; i++)
        fprintf(out, "  %-14s%s\n", commands[i].name, commands[i].help);
}

static const struct {
    const char *command, *name, *argument, *key, *help;
    enum { FLAG, FILE_NAME, FILE_URL, NUMBER, MIB } kind;
} options[] = {
    { "snapshot", "--track", NULL, "track", "note what changes, for the next to be based on it",
      FLAG },
    { "snapshot", "--base", "FILE", "base_url", "only what changed since this one; and --track",
      FILE_URL },
    { "migrate", "--cert", "FILE", "cert", "this host's certificate (PEM)", FILE_NAME },
    { "migrate", "--key", "FILE", "key", "its private key (PEM)", FILE_NAME },
    { "migrate", "--ca", "FILE", "ca", "the CA that the other host's is of (PEM)", FILE_NAME },
    { "migrate", "--bandwidth", "MIB", "bandwidth", "at most so many MiB a second", MIB },
    { "migrate", "--downtime", "MS", "downtime_ms", "how long it may stand still (300)", NUMBER },
    { "migrate", "--timeout", "SECONDS", "timeout_s", "give up and go on here after (600)",
      NUMBER },
};

#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

/* One option of the command's own and its value: how many words; 0: there is none such. */
static int take_option(struct ask *a, int argc, char **argv)
{
    long long n = 0;
    char *end;
    size_t i = 0;
    json_t *value;

    while (i < NR_OPTIONS && (strcmp(options[i].command, a->command->name) != 0 ||
                              strcmp(options[i].name, argv[0]) != 0))
        i++;
    if (i == NR_OPTIONS || (options[i].kind != FLAG && argc < 2))
        return 0;
    if (options[i].kind >= NUMBER) {
        n = strtoll(argv[1], &end, 10);
        if (*argv[1] < '0' || *argv[1] > '9' || *end || n < 1 || n > INT_MAX)
            return 0;
        n *= options[i].kind == MIB ? 1 << 20 : 1;
    }
    value = options[i].kind == FLAG       ? json_true()
            : options[i].kind >= NUMBER   ? json_integer(n)
            : options[i].kind == FILE_URL ? path_of("file://", argv[1])
                                          : path_of("", argv[1]);
    if (!a->wish)
        a->wish = json_object();
    json_object_set_new(a->wish, options[i].key, value);
    return options[i].kind == FLAG ? 1 : 2;
}

static int usage(const struct command *c, FILE *out)
{
    fprintf(out, "Usage: bawn %s%s%s%s [OPTION]...\n\n%s\n\n", c->name,
            c->run == do_ps ? "" : " NAME", c->argument ? " " : "", c->argument ? c->argument : "",
            c->help);
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        if (!strcmp(options[i].command, c->name))
            fprintf(out, "  %s %-*s  %s\n", options[i].name, 16 - (int)strlen(options[i].name),
                    options[i].argument ? options[i].argument : "", options[i].help);
    }
    if (c->run != do_ps)
        fputs("  --api-socket PATH  the machine whose socket is there, in place of its name\n",
              out);
    fputs("  --json             answer in JSON\n", out);
    return out == stdout ? 0 : 2;
}

static int find_socket(struct ask *a)
{
    struct bawn_error err;

    if (a->command->run == do_ps)
        return 0;
    if (a->socket)
        snprintf(a->path, sizeof(a->path), "%s",
                 strncmp(a->socket, "path=", 5) ? a->socket : a->socket + 5);
    else if (bawn_runtime_path(a->name, a->path, sizeof(a->path), false, &err))
        return fail(a, err.msg);
    if (!a->name)
        a->name = a->path;
    return 0;
}

int bawn_client(int argc, char **argv)
{
    static struct ask a; /* no initial value: 128 KiB of the program's file */
    const char *words[2] = { NULL, NULL };
    int nr = 0, code, used;

    a.fd = -1;
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        if (!strcmp(argv[0], commands[i].name))
            a.command = &commands[i];
    }
    if (!a.command)
        return -1;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help"))
            return usage(a.command, stdout);
        if (!strcmp(argv[i], "--json"))
            a.json = true;
        else if (!strcmp(argv[i], "--api-socket") && i + 1 < argc)
            a.socket = argv[++i];
        else if ((used = take_option(&a, argc - i, argv + i)))
            i += used - 1;
        else if (*argv[i] == '-' || nr == 2)
            return usage(a.command, stderr);
        else
            words[nr++] = argv[i];
    }
    if (nr != (a.command->run != do_ps && !a.socket) + !!a.command->argument)
        return usage(a.command, stderr);
    a.name = a.socket ? NULL : words[0];
    a.argument = a.socket ? words[0] : words[1];
    code = find_socket(&a);
    if (!code)
        code = a.command->run(&a);
    json_decref(a.value);
    json_decref(a.wish);
    return code;
}
