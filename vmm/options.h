/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bawn run`: its command line, and from there to an exit code.
 */
#ifndef BAWN_VMM_OPTIONS_H
#define BAWN_VMM_OPTIONS_H

#include <stdbool.h>

#include "accel.h"
#include "launch.h"
#include "snapshot.h"
#include "tls.h"

#ifndef BAWN_VERSION
#define BAWN_VERSION "0.1"
#endif
/* Whose API it is. */
#define BAWN_CH_VERSION "48.0"

struct bawn_options {
    struct bawn_vm_config cfg;
    const char *device;              /* the pointers are borrowed from argv */
    const char *policy, *policy_key; /* launch policy and who may sign it */
    enum bawn_accel_kind accel;
    unsigned timeout; /* seconds; 0: none */
    struct {
        bool given;
        uint8_t digest[BAWN_MEASURE_DIGEST_SIZE];
    } expect;
    const char *name, *api_socket, *event_monitor;
    const char *restore, *key; /* a snapshot to go on from; its key's file */
    bool no_encryption, read_first;
    const char *incoming; /* where to wait for a machine of another host */
    struct bawn_tls_files migration;
    int argc; /* borrowed: the command line itself */
    char **argv;
    struct bawn_snapshot snapshot; /* open if restore is not NULL */
    int snapshot_fd;               /* owned: its file */
    bool until_unmonitored;        /* the end of the event monitor's FIFO is the machine's */
    bool stats, print_measurement, quiet, json, no_reboot, dump_config, help;
};

/* Fills the options: the file of --config first, the other flags over it. argv[0] is the
 * first argument after `run`. With a snapshot the configuration is the one in there, and the other
 * flags over it. bawn_options_free() is due in any case. */
enum bawn_status bawn_options_parse(struct bawn_options *opt, int argc, char **argv,
                                    struct bawn_error *err);
void bawn_options_free(struct bawn_options *opt);
void bawn_options_help(void);
/* Opens the snapshot of opt->restore, whose configuration is the one then. */
enum bawn_status bawn_options_restore(struct bawn_options *opt, struct bawn_error *err);
/* The key that snapshots have. BAWN_E_USAGE: it was not said which, nor that there is none. */
enum bawn_status bawn_options_key(const struct bawn_options *opt, struct bawn_image_key *key,
                                  struct bawn_error *err);

/* What the command line says, once more, over another configuration. */
enum bawn_status bawn_options_over(struct bawn_options *opt, struct bawn_error *err);

/* argv as above. Returns the process's exit code. */
int bawn_run(int argc, char **argv);

#endif
