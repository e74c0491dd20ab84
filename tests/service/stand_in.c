// SPDX-License-Identifier: Apache-2.0
/*
 * A vault and judges for the tests of the fronts alone: they answer with what they were asked, so
 * that a test sees what the front passed on. What the real ones do has tests of its own.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attest/service/ipc.h"
#include "attest/service/service.h"

#define PEERS 80

static struct ipc *peers[PEERS];
static bool stop;

static void reply(struct ipc *to, uint64_t id, int status, const char *cookie, const json_t *what)
{
    char *body = json_dumps(what, JSON_COMPACT | JSON_SORT_KEYS);
    json_t *json =
        json_pack("{s:i,s:s,s:s*}", "status", status, "type", "application/json", "cookie", cookie);
    const struct bawn_bytes blob = { (const uint8_t *)body, body ? strlen(body) : 0 };

    ipc_send(to, IPC_REPLY, id, json, blob, -1, NULL);
    ipc_flush(to, NULL);
    json_decref(json);
    free(body);
}

/* Texts that the page has to escape. */
static json_t *status(void)
{
    static const char text[] =
        "{'log':{'size':3,'checkpoint':'origin\\n2\\nAA==\\n','checkpoint_size':2,"
        "'checkpoint_time':1700000000},'judges':1,'decisions':{'allowed':2,'denied':1,'released':4,"
        "'by_check':{'snp.\\\"signature':1}},'recent':[{'seq':2,'time':1700000000,"
        "'tenant':'default','kind':'snp','subject':'<script>alert(1)</script>','allowed':false,"
        "'policy':'strict','reasons':['a & b \\\"twice\\\"']}],'tcb':[{'claim':"
        "'snp.reported_tcb.microcode','found':'208','minimum':'at least 209','ok':false,'seq':2}],"
        "'tenants':[{'name':'default','policy':{'id':'strict','version':'1.0','sha256':'00'},"
        "'secrets':1,'references':2}],'collateral':[{'name':'crl','kind':'of all','expires':1}],"
        "'warnings':['the CRL <crl> has expired']}";
    char copy[sizeof(text)];

    for (size_t i = 0; i < sizeof(text); i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return json_loads(copy, 0, NULL);
}

static void vault_message(struct ipc *from, struct ipc_msg *msg)
{
    json_t *what;

    if (msg->op == IPC_PEER) {
        for (size_t i = 0; i < PEERS; i++) {
            if (peers[i])
                continue;
            peers[i] = ipc_create(msg->fd);
            msg->fd = -1;
            break;
        }
    } else if (msg->op == IPC_STOP) {
        stop = true;
    } else if (msg->op == IPC_STATUS) {
        what = status();
        reply(from, msg->id, 200, NULL, what);
        json_decref(what);
    } else if (msg->op == IPC_SESSION_NEW) {
        reply(from, msg->id, 200, "abc.123.def", msg->json);
    } else if (msg->op == IPC_DECIDE) { /* from a judge: to the front, which is the first peer */
        if (peers[1])
            reply(peers[1], msg->id, 200, NULL, msg->json);
    } else if (msg->op != IPC_RELOAD) {
        what = json_pack("{s:O,s:i}", "asked", msg->json, "body", (int)msg->blob_len);
        reply(from, msg->id, 200, NULL, what);
        json_decref(what);
        if (msg->op == IPC_ADMIN) { /* and everybody hears of it */
            what = json_pack("{s:s,s:s,s:{s:i,s:s}}", "event", "revoked", "tenant", "default",
                             "data", "n", 1, "reason", "told");
            for (size_t i = 1; i < 3 && peers[i]; i++) {
                ipc_send(peers[i], IPC_EVENT, 0, what, (struct bawn_bytes){ NULL, 0 }, -1, NULL);
                ipc_flush(peers[i], NULL);
            }
            json_decref(what);
        }
    }
}

/* A body "kill" ends the judge, "stay" keeps it from answering; "bad" is refused, "slow" takes its
 * time. */
static void judge_message(struct ipc *from, struct ipc_msg *msg)
{
    json_t *what;

    if (msg->op == IPC_PING) {
        ipc_send(from, IPC_PING, 0, NULL, (struct bawn_bytes){ NULL, 0 }, -1, NULL);
        ipc_flush(from, NULL);
        return;
    }
    what = json_pack("{s:O,s:i}", "asked", msg->json, "body", (int)msg->blob_len);
    if (msg->op == IPC_JUDGE && msg->blob_len == 4 && !memcmp(msg->blob, "loop", 4))
        for (;;) /* a bug in a parser */
            ;
    if (msg->op == IPC_JUDGE && msg->blob_len == 4 && !memcmp(msg->blob, "kill", 4))
        _exit(3);
    if (msg->op == IPC_JUDGE && msg->blob_len == 4 && !memcmp(msg->blob, "slow", 4))
        poll(NULL, 0, 1200);
    if (msg->op == IPC_JUDGE && msg->blob_len == 3 && !memcmp(msg->blob, "bad", 3)) {
        reply(from, msg->id, 400, NULL, what);
    } else if (msg->op == IPC_JUDGE && !(msg->blob_len == 4 && !memcmp(msg->blob, "stay", 4))) {
        ipc_send(peers[1], IPC_DECIDE, msg->id, what, (struct bawn_bytes){ NULL, 0 }, -1, NULL);
        ipc_flush(peers[1], NULL);
    }
    json_decref(what);
}

/* Peers 0 to essential - 1 are those without which there is nothing to do. */
static int serve(size_t essential, void (*message)(struct ipc *, struct ipc_msg *))
{
    while (!stop) {
        struct pollfd p[PEERS];

        for (size_t i = 0; i < PEERS; i++)
            p[i] = (struct pollfd){ peers[i] ? ipc_fd(peers[i]) : -1, POLLIN, 0 };
        if (poll(p, PEERS, 1000) < 0)
            return 1;
        for (size_t i = 0; i < PEERS && !stop; i++) {
            struct bawn_error err;
            struct ipc_msg msg;
            enum bawn_status st;

            if (!p[i].revents)
                continue;
            st = ipc_read(peers[i], &err);
            while (ipc_next(peers[i], &msg)) {
                message(peers[i], &msg);
                ipc_msg_clear(&msg);
            }
            if (st == BAWN_OK || !peers[i])
                continue;
            if (i < essential)
                return 0;
            ipc_destroy(peers[i]);
            peers[i] = NULL;
        }
    }
    return 0;
}

int vault_main(struct service_config *config, const struct service_fds *fds)
{
    struct bawn_error err = { "" };

    peers[0] = ipc_create(fds->control);
    peers[1] = ipc_create(fds->front);
    if (fds->admin >= 0)
        peers[2] = ipc_create(fds->admin);
    if (service_confine(config, ROLE_VAULT, &err) != BAWN_OK)
        return 1;
    ipc_send(peers[0], IPC_READY, 0, NULL, (struct bawn_bytes){ NULL, 0 }, -1, NULL);
    ipc_flush(peers[0], NULL);
    return serve(1, vault_message);
}

enum bawn_status service_accept_state(struct service_config *config, struct bawn_error *err)
{
    (void)config;
    return bawn_fail(err, BAWN_E_UNSUPPORTED, "there is no vault here");
}

int judge_main(struct service_config *config, const struct service_fds *fds)
{
    struct bawn_error err = { "" };

    peers[0] = ipc_create(fds->front);
    peers[1] = ipc_create(fds->vault);
    if (service_confine(config, ROLE_JUDGE, &err) != BAWN_OK)
        return 1;
    return serve(2, judge_message);
}
