// SPDX-License-Identifier: Apache-2.0
/* bawn-attestd: options, configuration, and then the supervisor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "attest/service/supervisor.h"

#define EXIT_USAGE 64 /* sysexits.h, EX_USAGE */

static int fail(enum bawn_status st, const struct bawn_error *err)
{
    fprintf(stderr, "bawn-attestd: %s%s\n", err->msg,
            st == BAWN_E_USAGE ? "; see bawn-attestd --help" : "");
    return st == BAWN_E_USAGE    ? EXIT_USAGE
           : st == BAWN_E_CONFIG ? SERVICE_EXIT_CONFIG
                                 : EXIT_FAILURE;
}

/* As each process will read them. */
static enum bawn_status check_files(struct service_config *config, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (int role = 0; st == BAWN_OK && role < ROLES; role++)
        if ((role != ROLE_ADMIN || config->admin.listen.n) &&
            (role != ROLE_FETCH || config->collateral.mirror))
            st = config_read_files(config, (enum service_role)role, err);
    return st;
}

int main(int argc, char **argv)
{
    struct service_config *config = NULL;
    struct bawn_error err = { "" };
    char *dev_config = NULL;
    struct options o;
    enum bawn_status st = options_parse(&o, argc, argv, &err);

    if (st == BAWN_OK && (o.help || o.version)) {
        if (o.help)
            options_help();
        else
            printf("bawn-attestd %s\n", bawn_attest_version());
        return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    umask(077);
    if (st == BAWN_OK && o.dev)
        st = dev_set_up(&o, &dev_config, &err);
    if (st == BAWN_OK)
        st = config_load(&config, dev_config ? dev_config : o.config, &err);
    free(dev_config);
    if (st == BAWN_OK && o.check) {
        st = check_files(config, &err);
        config_destroy(config);
        if (st == BAWN_OK)
            puts("The configuration is in order.");
        return st == BAWN_OK ? EXIT_SUCCESS : fail(st, &err);
    }
    if (st == BAWN_OK && o.accept_state) {
        st = config_read_files(config, ROLE_VAULT, &err);
        if (st == BAWN_OK)
            st = service_accept_state(config, &err);
        config_destroy(config);
        if (st == BAWN_OK)
            puts("What the database has is accepted, and the log says so.");
        return st == BAWN_OK ? EXIT_SUCCESS : fail(st, &err);
    }
    return st == BAWN_OK ? supervisor_run(config) : fail(st, &err);
}
