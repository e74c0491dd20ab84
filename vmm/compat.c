// SPDX-License-Identifier: Apache-2.0
/*
 * What managers of machines pass on the command line: where the API and the events are, and how
 * much to tell. The machine itself comes through the API; with options for it, bawn run is to be
 * used.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compat.h"
#include "options.h"

#define PROGRAM "cloud-hypervisor"

struct args {
    char **to; /* bawn run's */
    int n;
};

static bool pass(struct args *a, const char *name, char *value)
{
    a->to[a->n++] = (char *)name;
    a->to[a->n++] = value;
    return true;
}

static bool set_log(struct args *a, const char *name, char *value)
{
    int fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0600);

    (void)a, (void)name;
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
        fprintf(stderr, PROGRAM ": cannot open %s: %m\n", value);
        return false;
    }
    close(fd);
    return true;
}

/* "false" and "log" would take a wall away, for debugging that one. */
static bool set_seccomp(struct args *a, const char *name, char *value)
{
    (void)a, (void)name;
    if (strcmp(value, "true"))
        fprintf(stderr, PROGRAM ": --seccomp %s: the filters stay\n", value);
    return true;
}

static const struct {
    const char *name;
    bool (*set)(struct args *a, const char *name, char *value);
} options[] = {
    { "--api-socket", pass },
    { "--event-monitor", pass },
    { "--log-file", set_log },
    { "--seccomp", set_seccomp },
};

#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

bool bawn_compat_asked(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;

    return argc && (!strcmp(slash ? slash + 1 : argv[0], PROGRAM) ||
                    (argc > 1 && !strncmp(argv[1], "--api-socket", 12)));
}

/* Who manages machines this way knows of no keys: whoever set it up does. Without a word of theirs
 * there are no snapshots. */
static void pass_key(struct args *a)
{
    char *key = getenv("BAWN_SNAPSHOT_KEY");

    if (key && !strcmp(key, "none"))
        a->to[a->n++] = (char *)"--no-encryption";
    else if (key && *key)
        pass(a, "--key", key);
}

static int say(const char *what)
{
    if (!strcmp(what, "--version") || !strcmp(what, "-V"))
        puts(PROGRAM " v" BAWN_CH_VERSION);
    else
        puts("Usage: " PROGRAM " --api-socket path=PATH|fd=N [--event-monitor path=PATH|fd=N]\n"
             "           [--log-file FILE] [--seccomp true] [-v]...\n\n"
             "This is bawn " BAWN_VERSION ", which speaks that program's API; see bawn(1).");
    return 0;
}

/* One option, and its value: how many arguments; 0: a message was printed. */
static int take(struct args *a, int argc, char **argv)
{
    size_t len = strcspn(argv[0], "=");
    char *value = argv[0][len] ? argv[0] + len + 1 : argc > 1 ? argv[1] : NULL;

    if (argv[0][0] == '-' && argv[0][1] == 'v' && strspn(argv[0] + 1, "v") == strlen(argv[0] + 1))
        return 1;
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        if (strlen(options[i].name) != len || memcmp(options[i].name, argv[0], len))
            continue;
        if (!value) {
            fprintf(stderr, PROGRAM ": %s needs a value\n", argv[0]);
            return 0;
        }
        return options[i].set(a, options[i].name, value) ? 1 + !argv[0][len] : 0;
    }
    fprintf(stderr, PROGRAM ": %s is not served here; see bawn run --help\n", argv[0]);
    return 0;
}

int bawn_compat_run(int argc, char **argv)
{
    static const char *const always[] = {
        "--until-unmonitored", /* who manages machines gives one up by removing what it made for it,
                                */
        "--read-first",        /* and may want one that came from a snapshot saved at once */
    };
    const int more = sizeof(always) / sizeof(always[0]);
    struct args a = { .to = calloc(2 * (size_t)argc + (size_t)more + 3, sizeof(char *)) };
    int code = 2;

    if (!a.to)
        return 1;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--version") || !strcmp(argv[i], "-V") || !strcmp(argv[i], "--help")) {
            free(a.to);
            return say(argv[i]);
        }
    }
    for (int used; argc; argc -= used, argv += used) {
        used = take(&a, argc, argv);
        if (!used)
            break;
    }
    if (!argc && !a.n)
        fprintf(stderr, PROGRAM ": --api-socket is needed\n");
    if (!argc && a.n) {
        pass_key(&a);
        for (int i = 0; i < more; i++)
            a.to[a.n++] = (char *)always[i];
        code = bawn_run(a.n, a.to);
    }
    free(a.to);
    return code;
}
