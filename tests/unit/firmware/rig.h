/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the secure processor's model: what stands around it. A memory of pages and the
 * kernel module's side of the protocol, driven by the table in bawn/platform.h alone; a guest's
 * driver, which encrypts and checks as Linux's does. Whatever these cannot do fails the test.
 */
#ifndef TESTS_UNIT_FIRMWARE_RIG_H
#define TESTS_UNIT_FIRMWARE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/firmware/psp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW 1748736000 /* 2025-06-01 */

/* ---- The kernel module ---- */

#define RIG_PAGES 1200
#define RIG_BASE 0x100000000ull

struct rig {
    struct psp *psp; /* NULL: the messages go over fd */
    int fd;
    uint8_t (*memory)[BAWN_PSP_PAGE_SIZE];
    uint64_t gpa[RIG_PAGES];
    uint8_t *request, *reply;
    size_t reply_len;
    uint64_t id;
    uint8_t host_data[32];  /* of a launch */
    uint32_t pages_changed; /* by the last command */
    /* What the daemon would write down, after each command. */
    void (*save)(struct rig *rig, const struct psp_record *record);
};

/* An identity with keys short enough to make in a moment. */
struct psp_identity *rig_identity(enum psp_product product);
void rig_create(struct rig *rig, enum psp_product product, const struct psp_config *config);
/* The same over a socket. */
void rig_connect(struct rig *rig, int fd);
void rig_destroy(struct rig *rig);

/* Address of the n-th page, and its bytes. */
uint64_t page(unsigned n);
uint8_t *bytes(struct rig *rig, unsigned n);

/* Puts a command into rig->request as the kernel module would; its length. */
size_t rig_message(struct rig *rig, uint32_t command, const void *buffer, size_t len);
/* Sends it and takes the reply, whose form is checked. */
uint32_t rig_send(struct rig *rig, size_t len);
uint32_t rig_command(struct rig *rig, uint32_t command, const void *buffer, size_t len);
uint32_t rig_hello(struct rig *rig, uint32_t flags, const uint64_t *contexts, uint32_t n);

/* ---- A launch ---- */

#define POLICY (BAWN_SNP_POLICY_ONE | BAWN_SNP_POLICY_SMT)
#define GCTX 1u /* pages */
#define SECRETS 2u
#define REQUEST 3u
#define RESPONSE 4u
#define STATUS 5u
#define SCRATCH 6u

/* HELLO with a reset, INIT. */
void rig_init(struct rig *rig);
uint32_t gctx_create(struct rig *rig, unsigned gctx);
uint32_t launch_start(struct rig *rig, unsigned gctx, uint64_t policy);
uint32_t activate(struct rig *rig, unsigned gctx, uint32_t asid);
uint32_t launch_update(struct rig *rig, unsigned gctx, uint32_t type, unsigned n, uint64_t gpa);
uint32_t launch_finish(struct rig *rig, unsigned gctx);
uint32_t decommission(struct rig *rig, unsigned gctx);
uint32_t guest_state(struct rig *rig, unsigned gctx);
uint32_t guest_count(struct rig *rig);
/* From GCTX_CREATE to LAUNCH_FINISH, with a page of code, a secrets page and a VMSA. The
 * secrets page is number SECRETS. */
void rig_launch(struct rig *rig, unsigned gctx, uint32_t asid);

/* ---- The guest's driver ---- */

struct driver {
    struct rig *rig;
    unsigned gctx;
    uint8_t vmpck; /* which one */
    uint8_t key[BAWN_PSP_VMPCK_SIZE];
    uint64_t seqno; /* of the last message */
};

void driver_create(struct driver *d, struct rig *rig, unsigned gctx, uint8_t vmpck);
/* Encrypts a request into the page REQUEST. */
void driver_seal(struct driver *d, uint8_t type, uint8_t version, const void *payload, size_t len);
/* Encrypts again what a test has made of the header. */
void driver_seal_as(struct driver *d, struct bawn_psp_msg_header *h, const void *payload);
uint32_t driver_send(struct driver *d);
/* Decrypts and checks the page RESPONSE; the payload's length. Moves the sequence number on. */
size_t driver_open(struct driver *d, uint8_t type, uint8_t version, uint8_t *payload);
/* All of it; fails the test unless the command succeeds. */
size_t driver_ask(struct driver *d, uint8_t type, uint8_t version, const void *payload, size_t len,
                  uint8_t *response);
/* A report for that VMPL; the status in the response. */
uint32_t driver_report(struct driver *d, uint32_t vmpl, struct bawn_snp_report *report);

#endif
