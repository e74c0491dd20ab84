/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM 2.0 with the command response buffer interface (TCG PC Client Platform TPM Profile 1.06,
 * 6.5), of locality 0 alone. The machine's process has the registers; a process of its own carries
 * commands to swtpm, whose control channel is the supervisor's: who took that process over can send
 * the TPM commands, as the guest can, and cannot reset it.
 */
#ifndef BAWN_VMM_TPM_H
#define BAWN_VMM_TPM_H

#include <stdbool.h>
#include <stdint.h>

#include "bawn/status.h"
#include "bus.h"
#include "link.h"

/* ---- swtpm, as the supervisor has it ---- */

/* What is under way, in memory that processes forked later share: the next one goes on. */
struct bawn_tpm_flow {
    bool owed; /* swtpm has a command that it has not answered */
    uint32_t in_len;
    uint8_t in[BAWN_TPM_BUFFER];
};

struct bawn_swtpm {
    int control_fd, data_fd; /* owned; -1: not open */
    struct bawn_tpm_flow *flow;
};

/* Connects to swtpm's control socket (swtpm socket --ctrl type=unixio,path=PATH) and gives it the
 * other end of a data channel. */
enum bawn_status bawn_swtpm_open(struct bawn_swtpm *s, const char *path, struct bawn_error *err);
/* Power off and on: before each boot. */
enum bawn_status bawn_swtpm_reset(const struct bawn_swtpm *s, struct bawn_error *err);
void bawn_swtpm_close(struct bawn_swtpm *s);

/* ---- the TPM's process ---- */

struct bawn_tpm_bridge {
    const struct bawn_swtpm *swtpm; /* borrowed */
    struct bawn_loop *loop;         /* borrowed */
    int link_fd;                    /* borrowed */
    int timer_fd;                   /* owned */
    int data_watch;
    bool waiting;        /* the guest waits for an answer */
    bool gone;           /* no answer will come any more */
    uint32_t number;     /* of the command */
    uint32_t late;       /* the answer if time runs out */
    unsigned patience;   /* seconds that a command may take */
    unsigned cancelling; /* and after it was cancelled */
};

/* 0 or -errno; after a failure bawn_tpm_bridge_destroy() is still due. */
int bawn_tpm_bridge_init(struct bawn_tpm_bridge *b, const struct bawn_swtpm *swtpm,
                         struct bawn_loop *loop);
void bawn_tpm_bridge_destroy(struct bawn_tpm_bridge *b);
/* As bawn_link_serve(). */
int bawn_tpm_bridge_serve(struct bawn_tpm_bridge *b, int link_fd);

/* ---- the machine's process ---- */

struct bawn_tpm {
    int fd; /* borrowed: to the TPM's process */
    unsigned device;
    struct bawn_link_owner owner;
    bool ready;    /* that process has said hello */
    bool told;     /* distrust, until it says hello again */
    bool sent;     /* it was sent the command that is executed */
    bool gone;     /* it has ended, and there will be no other */
    bool assigned; /* the locality is the driver's */
    enum { BAWN_TPM_IDLE, BAWN_TPM_READY, BAWN_TPM_EXECUTES, BAWN_TPM_COMPLETE } state;
    uint32_t cancel;
    uint32_t number; /* of the command that is executed */
    uint8_t data[BAWN_TPM_BUFFER];
};

/* Puts the TPM on the bus, connected to the process behind fd. 0 or -errno. */
int bawn_tpm_init(struct bawn_tpm *t, struct bawn_bus *mmio, struct bawn_loop *loop, int fd,
                  unsigned device, const struct bawn_link_owner *owner);

/* The answer of a TPM that has only a return code to give (TPM 2.0 part 1, 18.4). */
#define BAWN_TPM_HEADER 10u
void bawn_tpm_put_error(uint8_t answer[BAWN_TPM_HEADER], uint32_t rc);
/* The length that a command or an answer says it has. */
uint32_t bawn_tpm_length(const uint8_t *header);

#define BAWN_TPM_RC_FAILURE 0x101u
#define BAWN_TPM_RC_COMMAND_SIZE 0x142u
#define BAWN_TPM_RC_CANCELED 0x909u
#define BAWN_TPM_RC_RETRY 0x922u

#endif
