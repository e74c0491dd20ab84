/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands for machines that run: each asks a machine's supervisor through its API.
 */
#ifndef BAWN_VMM_CLIENT_H
#define BAWN_VMM_CLIENT_H

#include <stddef.h>
#include <stdio.h>

/* argv[0] is the command's name. Returns the exit code; -1: there is no such command. */
int bawn_client(int argc, char **argv);
/* A line for each command. */
void bawn_client_help(FILE *out);

#endif
