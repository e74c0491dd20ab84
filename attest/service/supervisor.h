/* SPDX-License-Identifier: Apache-2.0 */
/* Between main.c and what it runs. */
#ifndef BAWN_ATTESTD_SUPERVISOR_H
#define BAWN_ATTESTD_SUPERVISOR_H

#include "attest/service/service.h"

struct options {
    const char *config, *dir;
    unsigned port; /* --dev: of the public address; the administrators' is the next, then status */
    bool dev, check, accept_state, help, version;
};

/* BAWN_E_USAGE. */
enum bawn_status options_parse(struct options *o, int argc, char **argv, struct bawn_error *err);
void options_help(void);

/* Makes what is missing in the directory (CA, certificates, storage key, configuration), says what
 * a user needs, and gives the configuration's path (malloc'ed). */
enum bawn_status dev_set_up(const struct options *o, char **config, struct bawn_error *err);

/* Opens all of them. fds has room for SERVICE_LISTEN_MAX. */
enum bawn_status listen_open(const struct config_listens *listens, int *fds,
                             struct bawn_error *err);

/* Runs the service until SIGTERM or SIGINT; takes the configuration. Returns the exit status. */
int supervisor_run(struct service_config *config);

#endif
