// SPDX-License-Identifier: Apache-2.0
/*
 * The bawn command: finds the subcommand in a table.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bawn/version.h"
#include "check.h"
#include "client.h"
#include "compat.h"
#include "options.h"

static int help(int argc, char **argv);
static int version(int argc, char **argv);
static int restore(int argc, char **argv);
static int receive(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "run", bawn_run, "run a virtual machine" },
    { "restore", restore, "have the machine of a snapshot go on" },
    { "receive", receive, "have a machine of another host go on" },
    { "check", bawn_check, "say what a host or configuration lacks, and what to do" },
    { "--help", help, "print this help" },
    { "--version", version, "print the version" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("Usage: bawn COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-14s%s\n", commands[i].name, commands[i].help);
    bawn_client_help(stdout);
    printf("\nbawn COMMAND --help lists a command's options.\n");
    return 0;
}

static int version(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("bawn %s\n", BAWN_VERSION);
    return 0;
}

static const char restore_help[] =
    "Usage: bawn restore FILE --key FILE|--no-encryption [OPTION]...\n\n"
    "Has the machine of a snapshot go on. The options are those of bawn run, over the\n"
    "configuration that the snapshot has (bawn run --help).\n";
static const char receive_help[] =
    "Usage: bawn receive tls:HOST:PORT --migration-cert FILE --migration-key FILE\n"
    "                    --migration-ca FILE [OPTION]...\n\n"
    "Waits for a machine that bawn migrate sends, and has it go on. The options are those\n"
    "of bawn run, over the configuration that comes with it (bawn run --help).\n";

/* bawn run with one option more, whose value comes first. */
static int run_with(const char *option, const char *help, int argc, char **argv)
{
    char **args = calloc((size_t)argc + 2, sizeof(*args));
    int code = 2;

    if (argc < 1 || !strcmp(argv[0], "--help") || argv[0][0] == '-') {
        fputs(help, argc && !strcmp(argv[0], "--help") ? stdout : stderr);
        code = argc && !strcmp(argv[0], "--help") ? 0 : 2;
    } else if (args) {
        args[0] = (char *)(uintptr_t)option;
        memcpy(args + 1, argv, (size_t)argc * sizeof(*args));
        code = bawn_run(argc + 1, args);
    }
    free(args);
    return code;
}

static int restore(int argc, char **argv)
{
    return run_with("--restore", restore_help, argc, argv);
}

static int receive(int argc, char **argv)
{
    return run_with("--incoming", receive_help, argc, argv);
}

/* Descriptors 0 to 2 must exist, or a file opened later is taken for the terminal. */
static bool have_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd > STDERR_FILENO && !close(fd);
}

int main(int argc, char **argv)
{
    int code;

    if (!have_stdio())
        return 1;
    if (bawn_compat_asked(argc, argv))
        return bawn_compat_run(argc - 1, argv + 1);
    for (size_t i = 0; argc > 1 && i < COMMANDS; i++) {
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 2, argv + 2);
    }
    code = argc > 1 ? bawn_client(argc - 1, argv + 1) : -1;
    if (code >= 0)
        return code;
    fprintf(stderr, "bawn: %s%s; see bawn --help\n",
            argc > 1 ? "unknown command " : "a command is needed", argc > 1 ? argv[1] : "");
    return 2;
}
