/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of cloud-hypervisor, under which name libvirt and Kata start the program.
 */
#ifndef BAWN_VMM_COMPAT_H
#define BAWN_VMM_COMPAT_H

#include <stdbool.h>

/* Whether the program was started under that name. */
bool bawn_compat_name(const char *argv0);
/* argv[0] is the first argument. Returns the exit code. */
int bawn_compat_run(int argc, char **argv);

#endif
