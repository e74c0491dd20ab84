// SPDX-License-Identifier: Apache-2.0
/*
 * The TPM's registers and its command buffer. Trusts neither the guest nor the process that has the
 * TPM; the caller holds the machine's lock. No write waits for the TPM: the guest polls the start
 * register.
 */
#include <endian.h>
#include <string.h>

#include "launch.h"
#include "tpm.h"

/* PTP 1.06, table 26 and those after it. */
enum {
    LOC_STATE = 0x00,
    LOC_CTRL = 0x08,
    LOC_STS = 0x0c,
    INTF_ID = 0x30,
    CTRL_REQ = 0x40,
    CTRL_STS = 0x44,
    CTRL_CANCEL = 0x48,
    CTRL_START = 0x4c,
    CMD_SIZE = 0x58,
    CMD_LADDR = 0x5c,
    RSP_SIZE = 0x64,
    RSP_LADDR = 0x68,
    DATA = 0x80,
};

#define STATE_VALID (1u << 7)
#define STATE_ASSIGNED (1u << 1)
#define LOC_REQUEST (1u << 0)
#define LOC_RELINQUISH (1u << 1)
#define STS_GRANTED (1u << 0)
#define REQ_READY (1u << 0)
#define REQ_IDLE (1u << 1)
#define STS_IDLE (1u << 1)
/* CRB, version 1, transfers of 64 bytes, CRB selected, and no other can be. */
#define INTF_CRB (1u | 1u << 4 | 3u << 11 | 1u << 14 | 1u << 17 | 1u << 19)

_Static_assert(DATA + BAWN_TPM_BUFFER == BAWN_TPM_SIZE, "registers and buffer fill the page");

void bawn_tpm_put_error(uint8_t answer[BAWN_TPM_HEADER], uint32_t rc)
{
    uint32_t words[2] = { htobe32(BAWN_TPM_HEADER), htobe32(rc) };
    uint16_t tag = htobe16(0x8001); /* TPM_ST_NO_SESSIONS */

    memcpy(answer, &tag, sizeof(tag));
    memcpy(answer + sizeof(tag), words, sizeof(words));
}

uint32_t bawn_tpm_length(const uint8_t *header)
{
    uint32_t len;

    memcpy(&len, header + 2, sizeof(len));
    return be32toh(len);
}

static void complete(struct bawn_tpm *t, const uint8_t *answer, uint32_t len)
{
    memset(t->data, 0, sizeof(t->data));
    memcpy(t->data, answer, len);
    t->sent = false;
    t->state = BAWN_TPM_COMPLETE;
}

static void fail(struct bawn_tpm *t, uint32_t rc)
{
    uint8_t answer[BAWN_TPM_HEADER];

    bawn_tpm_put_error(answer, rc);
    complete(t, answer, sizeof(answer));
}

/* ---- the other process ---- */

static void distrust(struct bawn_tpm *t, const char *why)
{
    if (t->state == BAWN_TPM_EXECUTES)
        fail(t, BAWN_TPM_RC_FAILURE);
    t->ready = false;
    if (t->told)
        return;
    t->told = true;
    t->owner.distrust(t->owner.opaque, t->device, why);
}

static void send_command(struct bawn_tpm *t)
{
    struct bawn_link_msg msg = { .kind = BAWN_LINK_COMMAND, .len = bawn_tpm_length(t->data) };

    msg.tpm.number = t->number;
    memcpy(msg.tpm.data, t->data, msg.len);
    t->sent = true;
    if (!bawn_link_send(t->fd, &msg))
        distrust(t, "takes no messages");
}

static bool take(struct bawn_tpm *t, const struct bawn_link_msg *msg)
{
    if (msg->kind == BAWN_LINK_HELLO) {
        t->ready = true;
        t->told = false;
        if (t->state != BAWN_TPM_EXECUTES)
            return true;
        /* Nobody knows what became of what the one before was sent. */
        if (t->sent)
            fail(t, BAWN_TPM_RC_FAILURE);
        else
            send_command(t);
        return true;
    }
    if (msg->kind == BAWN_LINK_BROKEN) { /* the supervisor's word */
        t->gone = true;
        if (t->state == BAWN_TPM_EXECUTES)
            fail(t, BAWN_TPM_RC_FAILURE);
        return true;
    }
    if (!t->ready)
        return true;
    if (msg->kind != BAWN_LINK_ANSWER || msg->len > sizeof(t->data))
        return false;
    if (t->state == BAWN_TPM_EXECUTES && msg->tpm.number == t->number)
        complete(t, msg->tpm.data, msg->len);
    return true;
}

static void on_message(void *opaque)
{
    struct bawn_tpm *t = opaque;
    struct bawn_link_msg msg;
    int n = bawn_link_receive(t->fd, &msg);

    if (n < 0 || (n > 0 && !take(t, &msg)))
        distrust(t, "sent a message that makes no sense");
}

/* ---- registers ---- */

static uint32_t get_reg(const struct bawn_tpm *t, uint64_t off)
{
    uint64_t buffer = BAWN_TPM_BASE + DATA;

    switch (off) {
    case LOC_STATE:
        return STATE_VALID | (t->assigned ? STATE_ASSIGNED : 0);
    case LOC_STS:
        return t->assigned ? STS_GRANTED : 0;
    case INTF_ID:
        return INTF_CRB;
    case CTRL_STS:
        return t->state == BAWN_TPM_IDLE ? STS_IDLE : 0;
    case CTRL_CANCEL:
        return t->cancel;
    case CTRL_START:
        return t->state == BAWN_TPM_EXECUTES;
    case CMD_SIZE:
    case RSP_SIZE:
        return BAWN_TPM_BUFFER;
    case CMD_LADDR:
    case RSP_LADDR:
        return (uint32_t)buffer;
    default:
        return 0;
    }
}

static uint64_t read_tpm(void *opaque, uint64_t off, unsigned len)
{
    const struct bawn_tpm *t = opaque;
    uint64_t val = 0;

    for (unsigned i = 0; i < len; i++, off++) {
        uint8_t byte = off >= DATA ? t->data[off - DATA]
                                   : (uint8_t)(get_reg(t, off & ~3ull) >> (8 * (off & 3)));

        val |= (uint64_t)byte << (8 * i);
    }
    return val;
}

static void start(struct bawn_tpm *t)
{
    uint32_t len = bawn_tpm_length(t->data);

    t->state = BAWN_TPM_EXECUTES;
    t->number++;
    if (len < BAWN_TPM_HEADER || len > sizeof(t->data))
        fail(t, BAWN_TPM_RC_COMMAND_SIZE);
    else if (t->gone)
        fail(t, BAWN_TPM_RC_FAILURE);
    else if (t->ready)
        send_command(t);
}

static void cancel(struct bawn_tpm *t, uint32_t val)
{
    struct bawn_link_msg msg = { .kind = BAWN_LINK_CANCEL };

    t->cancel = val & 1;
    if (!t->cancel || t->state != BAWN_TPM_EXECUTES)
        return;
    msg.tpm.number = t->number;
    if (!t->sent)
        fail(t, BAWN_TPM_RC_CANCELED);
    else if (!bawn_link_send(t->fd, &msg))
        distrust(t, "takes no messages");
}

static void request(struct bawn_tpm *t, uint32_t val)
{
    if (t->state == BAWN_TPM_EXECUTES)
        return;
    if (val & REQ_IDLE)
        t->state = BAWN_TPM_IDLE;
    else if (val & REQ_READY)
        t->state = BAWN_TPM_READY;
}

static void set_reg(struct bawn_tpm *t, uint64_t off, uint32_t val)
{
    switch (off) {
    case LOC_CTRL:
        if (val & LOC_RELINQUISH)
            t->assigned = false;
        else if (val & LOC_REQUEST)
            t->assigned = true;
        break;
    case CTRL_REQ:
        if (t->assigned)
            request(t, val);
        break;
    case CTRL_CANCEL:
        if (t->assigned)
            cancel(t, val);
        break;
    case CTRL_START:
        if (t->assigned && val & 1 && (t->state == BAWN_TPM_READY || t->state == BAWN_TPM_COMPLETE))
            start(t);
        break;
    }
}

static void write_tpm(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_tpm *t = opaque;

    if (off < DATA) {
        if (len == 4)
            set_reg(t, off, (uint32_t)val);
        return;
    }
    if (!t->assigned || (t->state != BAWN_TPM_READY && t->state != BAWN_TPM_COMPLETE))
        return;
    for (unsigned i = 0; i < len; i++)
        t->data[off - DATA + i] = (uint8_t)(val >> (8 * i));
}

static const struct bawn_bus_ops tpm_ops = { read_tpm, write_tpm };

int bawn_tpm_init(struct bawn_tpm *t, struct bawn_bus *mmio, struct bawn_loop *loop, int fd,
                  unsigned device, const struct bawn_link_owner *owner)
{
    int rc = bawn_bus_add(mmio, BAWN_TPM_BASE, BAWN_TPM_SIZE, &tpm_ops, t);

    memset(t, 0, sizeof(*t));
    t->fd = fd;
    t->device = device;
    t->owner = *owner;
    if (!rc)
        rc = bawn_loop_watch(loop, fd, true, on_message, t);
    return rc < 0 ? rc : 0;
}
