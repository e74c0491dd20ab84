// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-measure: computes offline what the hardware, or bawn.ko, will report of a launch. Runs
 * nothing; trusts none of its inputs, which it parses in a sandbox.
 */
#include "attest/measure/measure.h"

#include <stdio.h>
#include <string.h>

#include "bawn/version.h"

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct command *const commands[] = {
    &plain_command, &snp_command, &snp_firmware_command, &sev_command, &seves_command, &tdx_command,
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
    printf("Usage: bawn-measure COMMAND [OPTION]...\n\n"
           "Computes offline the launch digest of a virtual machine.\n\n");
    for (size_t i = 0; i < NR_COMMANDS; i++)
        printf("  %-13s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n"
           "bawn-measure COMMAND --help prints a command's options.\n"
           "\n"
           "Examples:\n"
           "  bawn-measure plain --kernel vmlinuz --initrd initrd.img --memory 1G\n"
           "  bawn-measure snp --vcpus 4 --vcpu-type EPYC-v4 --ovmf OVMF.fd\n"
           "  bawn-measure tdx --firmware OVMF.fd --kernel vmlinuz --cmdline console=ttyS0\n"
           "\n"
           "Exit status: 0 done, 1 failure, 2 usage.\n");
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        if (!strcmp(name, commands[i]->name))
            return commands[i];
    }
    return NULL;
}

static enum bawn_status no_command(const char *given, struct bawn_error *err)
{
    char names[128] = "";
    size_t len = 0;

    for (size_t i = 0; i < NR_COMMANDS && len < sizeof(names); i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
                                commands[i]->name);
    if (given && !strncmp(given, "--", 2))
        return bawn_fail(err, BAWN_E_USAGE, "%s: the first argument must be a command: %s", given,
                         names);
    if (given)
        return bawn_fail(err, BAWN_E_USAGE, "%s is not a command: must be one of %s", given, names);
    return bawn_fail(err, BAWN_E_USAGE, "the first argument must be a command: %s", names);
}

int main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    struct bawn_error err = { "" };
    enum bawn_status st = BAWN_OK;

    if (command)
        st = command->run(command, argc - 1, argv + 1, &err);
    else if (argc == 2 && !strcmp(argv[1], "--help"))
        print_help();
    else if (argc == 2 && !strcmp(argv[1], "--version"))
        puts("bawn-measure " BAWN_VERSION);
    else
        st = no_command(argc > 1 ? argv[1] : NULL, &err);
    if (st == BAWN_OK)
        st = output_end(&err);
    if (st == BAWN_OK)
        return EXIT_OK;
    fprintf(stderr, "bawn-measure: %s\n", err.msg);
    return st == BAWN_E_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
