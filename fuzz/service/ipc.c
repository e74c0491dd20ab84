// SPDX-License-Identifier: Apache-2.0
/* Input: what a process that was taken over writes to its socket. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attest/service/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2];
    struct bawn_error err;
    struct ipc_msg msg;
    struct ipc *ipc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        abort();
    ipc = ipc_create(ends[0]);
    (void)!send(ends[1], data, size, MSG_DONTWAIT);
    close(ends[1]);
    (void)ipc_read(ipc, &err);
    while (ipc_next(ipc, &msg)) {
        if (msg.op == IPC_PEER && msg.fd < 0)
            __builtin_trap();
        ipc_msg_clear(&msg);
    }
    ipc_destroy(ipc);
    return 0;
}
