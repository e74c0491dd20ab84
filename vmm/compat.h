/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of cloud-hypervisor, under which name libvirt and Kata start the program.
 */
#ifndef BAWN_VMM_COMPAT_H
#define BAWN_VMM_COMPAT_H

#include <stdbool.h>

/* Whether the program was started under that name; or without a command, with the API's socket
 * first, as by managers that follow a link to the file. */
bool bawn_compat_asked(int argc, char **argv);
/* argv[0] is the first argument. Returns the exit code. */
int bawn_compat_run(int argc, char **argv);

#endif
