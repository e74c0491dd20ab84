// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz-replay: runs programs on the simulated machine and prints what userspace saw; or one input
 * of a fuzz target, by the target's own program beside it. Trusts its arguments.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

static const char help[] =
    "Usage: fuzz-replay program N|all    what userspace sees of a program, simulated; all of them\n"
    "                                    are tests/lab/tests/replay_expected.txt\n"
    "       fuzz-replay TARGET FILE...   runs inputs of a fuzz target (kernel-...)\n"
    "Ends with 0; 1 when a machine cannot be set up; 2 for wrong arguments.\n";

static int usage(const char *what, const char *with)
{
    fprintf(stderr, "fuzz-replay: %s: '%s'; see --help\n", what, with);
    return 2;
}

static int print_one(unsigned int n)
{
    if (replay_program(n, stdout))
        return 0;
    fprintf(stderr, "fuzz-replay: program %u: its machine cannot be set up\n", n);
    return 1;
}

static int print_all(void)
{
    int status = 0;

    for (unsigned int n = 0; n < REPLAY_PROGRAMS && !status; n++)
        status = print_one(n);
    return status;
}

static int run_target(char **argv)
{
    char self[PATH_MAX], path[PATH_MAX + 256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0 || strchr(argv[0], '/') || strlen(argv[0]) > 200)
        return usage("no such target", argv[0]);
    self[n] = 0;
    snprintf(path, sizeof(path), "%s/%s", dirname(self), argv[0]);
    execv(path, argv);
    fprintf(stderr, "fuzz-replay: %s: %s; is it built (make fuzz-programs)?\n", path,
            strerror(errno));
    return 2;
}

static int run_programs(const char *which)
{
    char *end;
    unsigned long n = strtoul(which, &end, 10);

    if (strcmp(which, "all") && (*end || !*which || n >= REPLAY_PROGRAMS))
        return usage("no such program", which);
    replay_start();
    return strcmp(which, "all") ? print_one((unsigned int)n) : print_all();
}

int main(int argc, char **argv)
{
    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(help, stdout);
        return 0;
    }
    if (argc < 3)
        return usage("what to run", argc < 2 ? "" : argv[1]);
    return strcmp(argv[1], "program") ? run_target(argv + 1) : run_programs(argv[2]);
}
