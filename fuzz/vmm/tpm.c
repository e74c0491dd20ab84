// SPDX-License-Identifier: Apache-2.0
/*
 * The TPM's registers and its bridge, under a hostile driver, a hostile swtpm and two processes
 * that cannot be trusted. The input is a list of steps, a byte each and what the step takes:
 *
 *   WRITE o o l v*4   a write of 1 << l bytes at o
 *   READ o o l        a read
 *   FILL o o n b*n    bytes at o, one by one
 *   SAY n b*n         bytes from swtpm, then both loops turn
 *   TURN              both loops turn; what swtpm gets is a whole command
 *   LATE              a command's time is over
 *   ANSWER k l l n    a message of kind k to the machine, of length l, for command n
 *   ORDER k l l n     the same to the bridge
 *   END               swtpm has gone
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common.h"
#include "tpm.h"

#define STEPS_MAX 400

static struct {
    struct bawn_bus mmio;
    struct bawn_loop loop, device_loop;
    struct bawn_tpm tpm;
    struct bawn_tpm_bridge bridge;
    struct bawn_tpm_flow flow;
    struct bawn_swtpm swtpm;
    bool ended;
} s, clean;
static struct bawn_loop_watch clean_watch[2][8]; /* of loop and device_loop */
static int link_fd[2], other = -1;

static void distrust(void *opaque, unsigned device, const char *why)
{
    (void)opaque, (void)why;
    FUZZ_MUST(device == 3);
    FUZZ_MUST(!s.tpm.ready);
}

/* ---- Steps ---- */

static void turn_one(struct bawn_loop *loop)
{
    struct pollfd fds[4];

    for (unsigned i = 0; i < loop->nr; i++)
        fds[i] = (struct pollfd){ loop->watch[i].on ? loop->watch[i].fd : -1, POLLIN, 0 };
    if (poll(fds, loop->nr, 0) <= 0)
        return;
    for (unsigned i = 0; i < loop->nr; i++)
        if (fds[i].revents && loop->watch[i].on)
            bawn_loop_call(loop, i);
}

static void step_turn(struct fuzz_steps *in)
{
    uint8_t command[BAWN_TPM_BUFFER + 1];
    ssize_t n;

    (void)in;
    turn_one(&s.loop);
    turn_one(&s.device_loop);
    n = read(other, command, sizeof(command));
    FUZZ_MUST(n <= 0 || (n >= (ssize_t)BAWN_TPM_HEADER && n <= (ssize_t)BAWN_TPM_BUFFER &&
                         bawn_tpm_length(command) == (uint32_t)n && s.flow.owed));
    turn_one(&s.loop);
}

static void step_write(struct fuzz_steps *in)
{
    uint16_t off = steps_u16(in);
    unsigned len = 1u << steps_u8(in) % 4;

    bawn_bus_write(&s.mmio, BAWN_TPM_BASE + off % 0x1010, len, steps_u32(in));
}

static void step_read(struct fuzz_steps *in)
{
    uint16_t off = steps_u16(in);

    bawn_bus_read(&s.mmio, BAWN_TPM_BASE + off % 0x1010, 1u << steps_u8(in) % 4);
}

static void step_fill(struct fuzz_steps *in)
{
    uint16_t off = steps_u16(in);

    for (unsigned n = steps_u8(in); n; n--)
        bawn_bus_write(&s.mmio, BAWN_TPM_BASE + off++ % 0x1000, 1, steps_u8(in));
}

static void step_say(struct fuzz_steps *in)
{
    uint8_t data[255];
    unsigned n = steps_u8(in);

    for (unsigned i = 0; i < n; i++)
        data[i] = steps_u8(in);
    (void)!write(other, data, n);
    step_turn(in);
}

static void step_late(struct fuzz_steps *in)
{
    const struct itimerspec now = { .it_value.tv_nsec = 1 };

    (void)in;
    timerfd_settime(s.bridge.timer_fd, 0, &now, NULL);
}

static void message(struct fuzz_steps *in, int fd)
{
    struct bawn_link_msg msg = { .kind = steps_u8(in) };

    msg.len = steps_u16(in);
    msg.tpm.number = s.tpm.number + steps_u8(in) % 4;
    memcpy(msg.tpm.data, s.tpm.data, sizeof(msg.tpm.data));
    bawn_link_send(fd, &msg);
}

static void step_answer(struct fuzz_steps *in)
{
    message(in, link_fd[1]);
}

static void step_order(struct fuzz_steps *in)
{
    message(in, link_fd[0]);
}

static void step_end(struct fuzz_steps *in)
{
    (void)in;
    s.ended = true;
    shutdown(other, SHUT_WR);
}

static void (*const steps[])(struct fuzz_steps *in) = {
    step_write, step_read,   step_fill,  step_say, step_turn,
    step_late,  step_answer, step_order, step_end,
};

/* ---- The machine ---- */

static void new_swtpm(void)
{
    int pair[2];

    FUZZ_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
    if (other < 0) {
        s.swtpm.data_fd = pair[0];
        other = pair[1];
        return;
    }
    FUZZ_MUST(dup2(pair[0], s.swtpm.data_fd) >= 0 && dup2(pair[1], other) >= 0);
    close(pair[0]);
    close(pair[1]);
}

static void make(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const struct bawn_link_owner owner = { .distrust = distrust };

    signal(SIGPIPE, SIG_IGN); /* as bawn run has it */
    new_swtpm();
    s.swtpm.flow = &s.flow;
    FUZZ_MUST(!bawn_loop_init(&s.loop, &lock) && !bawn_loop_init(&s.device_loop, &lock));
    FUZZ_MUST(!bawn_link_pair(link_fd));
    FUZZ_MUST(!bawn_tpm_init(&s.tpm, &s.mmio, &s.loop, link_fd[0], 3, &owner));
    FUZZ_MUST(!bawn_tpm_bridge_init(&s.bridge, &s.swtpm, &s.device_loop));
    FUZZ_MUST(!bawn_tpm_bridge_serve(&s.bridge, link_fd[1]));
    step_turn(NULL);
    FUZZ_MUST(s.tpm.ready);
    clean = s;
    FUZZ_MUST(s.loop.nr <= 8 && s.device_loop.nr <= 8);
    memcpy(clean_watch[0], s.loop.watch, s.loop.nr * sizeof(clean_watch[0][0]));
    memcpy(clean_watch[1], s.device_loop.watch, s.device_loop.nr * sizeof(clean_watch[1][0]));
}

static void put_back(void)
{
    const struct itimerspec never = { 0 };
    uint8_t rest[sizeof(struct bawn_link_msg)];
    int fds[] = { link_fd[0],      link_fd[1],     other,
                  s.swtpm.data_fd, s.loop.wake_fd, s.device_loop.wake_fd };

    timerfd_settime(s.bridge.timer_fd, 0, &never, NULL);
    if (s.ended)
        new_swtpm();
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        while (read(fds[i], rest, sizeof(rest)) > 0)
            ;
    s = clean;
    memcpy(s.loop.watch, clean_watch[0], s.loop.nr * sizeof(clean_watch[0][0]));
    memcpy(s.device_loop.watch, clean_watch[1], s.device_loop.nr * sizeof(clean_watch[1][0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_steps in = { data, size };

    if (other < 0)
        make();
    for (unsigned i = 0; in.len && i < STEPS_MAX; i++)
        steps[steps_u8(&in) % (sizeof(steps) / sizeof(steps[0]))](&in);
    put_back();
    return 0;
}
