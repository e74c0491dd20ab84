// SPDX-License-Identifier: Apache-2.0
/*
 * The TPM: a driver's steps on its registers, the bridge at the other end of the link, and behind
 * that swtpm, or somebody who is none.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tpm.h"

#define DEVICE 5
#define IDLE 2u /* of the status register */
#define PCR_SIZE 32

static char folder[] = "/tmp/bawn-tpm-test.XXXXXX";
static char path[64];
static pid_t swtpm_pid;

static struct {
    struct bawn_bus mmio;
    pthread_mutex_t lock;
    struct bawn_loop loop, device_loop;
    int link[2];
    struct bawn_tpm tpm;
    struct bawn_swtpm swtpm;
    struct bawn_tpm_bridge bridge;
    int other; /* in place of swtpm: the other end of the data channel */
    unsigned nr_distrusts;
} m;

static const uint8_t startup[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0 };
static const uint8_t get_random[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 16 };
static const uint8_t read_pcr[] = { 0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e,
                                    0,    0, 0, 1, 0, 11, 3, 0, 0, 1 }; /* SHA-256, PCR 16 */
static const uint8_t extend_pcr[] = {
    0x80, 2, 0, 0, 0,    65, 0,   0,   1,   0x82, 0, 0, 0, 16, /* PCR 16 */
    0,    0, 0, 9, 0x40, 0,  0,   9,   0,   0,    0, 0, 0,     /* an empty password */
    0,    0, 0, 1, 0,    11, 'a', 'b', 'c',
};

/* ---- the driver ---- */

static uint32_t reg(unsigned off)
{
    return (uint32_t)bawn_bus_read(&m.mmio, BAWN_TPM_BASE + off, 4);
}

static void set_reg(unsigned off, uint32_t val)
{
    bawn_bus_write(&m.mmio, BAWN_TPM_BASE + off, 4, val);
}

static void put(const uint8_t *command, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bawn_bus_write(&m.mmio, BAWN_TPM_BASE + 0x80 + i, 1, command[i]);
}

static void begin(void)
{
    set_reg(0x08, 1);
    assert_int_equal(reg(0x00), 0x82);
    assert_int_equal(reg(0x0c), 1);
    set_reg(0x40, 1);
    assert_int_equal(reg(0x40), 0);
    assert_int_equal(reg(0x44), 0);
}

static void start(const uint8_t *command, size_t len)
{
    begin();
    put(command, len);
    set_reg(0x4c, 1);
}

static void turn_one(struct bawn_loop *loop)
{
    struct pollfd fds[8];

    for (unsigned i = 0; i < loop->nr; i++)
        fds[i] = (struct pollfd){ loop->watch[i].on ? loop->watch[i].fd : -1, POLLIN, 0 };
    if (poll(fds, loop->nr, 5) <= 0)
        return;
    for (unsigned i = 0; i < loop->nr; i++)
        if (fds[i].revents && loop->watch[i].on)
            bawn_loop_call(loop, i);
}

static void turn(void)
{
    turn_one(&m.loop);
    turn_one(&m.device_loop);
    turn_one(&m.loop);
}

/* The answer's return code; a test that waits for ever is ended by alarm(). */
static uint32_t wait_for(void)
{
    while (reg(0x4c))
        turn();
    assert_in_range(bawn_tpm_length(m.tpm.data), BAWN_TPM_HEADER, BAWN_TPM_BUFFER);
    return (uint32_t)m.tpm.data[6] << 24 | m.tpm.data[7] << 16 | m.tpm.data[8] << 8 | m.tpm.data[9];
}

static uint32_t run(const uint8_t *command, size_t len)
{
    start(command, len);
    return wait_for();
}

#define RUN(command) run(command, sizeof(command))

/* ---- setup ---- */

static void distrust(void *opaque, unsigned device, const char *why)
{
    (void)opaque;
    assert_int_equal(device, DEVICE);
    assert_non_null(why);
    m.nr_distrusts++;
}

static void start_swtpm(void)
{
    char state[64], control[96];

    snprintf(path, sizeof(path), "%s/sock", folder);
    unlink(path);
    swtpm_pid = fork();
    if (!swtpm_pid) {
        snprintf(state, sizeof(state), "dir=%s", folder);
        snprintf(control, sizeof(control), "type=unixio,path=%s", path);
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--ctrl", control, NULL);
        _exit(127);
    }
    while (access(path, F_OK)) {
        assert_int_equal(waitpid(swtpm_pid, NULL, WNOHANG), 0);
        usleep(10000);
    }
}

static void end_swtpm(void)
{
    if (swtpm_pid) {
        kill(swtpm_pid, SIGKILL);
        waitpid(swtpm_pid, NULL, 0);
    }
    swtpm_pid = 0;
}

static bool have_swtpm(void)
{
    return system("swtpm --version >/dev/null 2>&1") == 0;
}

static void machine(void)
{
    const struct bawn_link_owner owner = { .distrust = distrust };

    alarm(120);
    pthread_mutex_init(&m.lock, NULL);
    assert_int_equal(bawn_loop_init(&m.loop, &m.lock), 0);
    assert_int_equal(bawn_loop_init(&m.device_loop, &m.lock), 0);
    assert_int_equal(bawn_link_pair(m.link), 0);
    assert_int_equal(bawn_tpm_init(&m.tpm, &m.mmio, &m.loop, m.link[0], DEVICE, &owner), 0);
    assert_int_equal(bawn_tpm_bridge_init(&m.bridge, &m.swtpm, &m.device_loop), 0);
    assert_int_equal(m.bridge.patience, 300);
    m.bridge.patience = m.bridge.cancelling = 1;
}

static int setup_swtpm(void **state)
{
    struct bawn_error err;

    (void)state;
    memset(&m, 0, sizeof(m));
    m.other = -1;
    m.swtpm.control_fd = m.swtpm.data_fd = -1;
    if (!have_swtpm())
        return 0;
    assert_non_null(mkdtemp(folder));
    start_swtpm();
    if (bawn_swtpm_open(&m.swtpm, path, &err) || bawn_swtpm_reset(&m.swtpm, &err))
        fail_msg("%s", err.msg);
    machine();
    assert_int_equal(bawn_tpm_bridge_serve(&m.bridge, m.link[1]), 0);
    turn();
    return 0;
}

static int setup_other(void **state)
{
    static struct bawn_tpm_flow flow;
    int pair[2];

    (void)state;
    memset(&m, 0, sizeof(m));
    memset(&flow, 0, sizeof(flow));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    m.swtpm = (struct bawn_swtpm){ -1, pair[0], &flow };
    m.other = pair[1];
    machine();
    assert_int_equal(bawn_tpm_bridge_serve(&m.bridge, m.link[1]), 0);
    turn();
    return 0;
}

static int teardown(void **state)
{
    char text[96];

    (void)state;
    if (m.loop.lock) {
        bawn_tpm_bridge_destroy(&m.bridge);
        bawn_loop_destroy(&m.loop);
        bawn_loop_destroy(&m.device_loop);
        close(m.link[0]);
        close(m.link[1]);
    }
    if (m.other >= 0) {
        close(m.other);
        close(m.swtpm.data_fd);
    } else {
        bawn_swtpm_close(&m.swtpm);
        end_swtpm();
        snprintf(text, sizeof(text), "rm -rf %s", folder);
        (void)!system(text);
        memset(folder + strlen(folder) - 6, 'X', 6);
    }
    return 0;
}

#define NEEDS_SWTPM()      \
    do {                   \
        if (!have_swtpm()) \
            skip();        \
    } while (0)

/* ---- with swtpm ---- */

static void test_commands(void **state)
{
    static const uint8_t zero[PCR_SIZE];
    uint8_t command[sizeof(extend_pcr) + PCR_SIZE] = { 0 }, value[PCR_SIZE];
    struct bawn_error err;

    (void)state;
    NEEDS_SWTPM();
    memcpy(command, extend_pcr, sizeof(extend_pcr));
    command[5] = (uint8_t)(sizeof(extend_pcr) - 3 + PCR_SIZE);
    assert_int_equal(RUN(get_random), 0x100); /* TPM_RC_INITIALIZE */
    assert_int_equal(RUN(startup), 0);
    assert_int_equal(RUN(get_random), 0);
    assert_int_equal(bawn_tpm_length(m.tpm.data), 12 + 16);
    assert_int_equal(run(command, command[5]), 0);
    assert_int_equal(RUN(read_pcr), 0);
    memcpy(value, m.tpm.data + bawn_tpm_length(m.tpm.data) - PCR_SIZE, PCR_SIZE);
    assert_memory_not_equal(value, zero, PCR_SIZE);
    set_reg(0x40, 2);
    assert_int_equal(reg(0x44), IDLE);
    set_reg(0x08, 2);
    assert_int_equal(reg(0x00), 0x80);
    /* Another boot. */
    if (bawn_swtpm_reset(&m.swtpm, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(RUN(startup), 0);
    assert_int_equal(RUN(read_pcr), 0);
    assert_memory_equal(m.tpm.data + bawn_tpm_length(m.tpm.data) - PCR_SIZE, zero, PCR_SIZE);
    assert_int_equal(m.nr_distrusts, 0);
}

static void test_swtpm_hangs(void **state)
{
    (void)state;
    NEEDS_SWTPM();
    assert_int_equal(RUN(startup), 0);
    kill(swtpm_pid, SIGSTOP);
    assert_int_equal(RUN(get_random), BAWN_TPM_RC_FAILURE);
    assert_int_equal(RUN(get_random), BAWN_TPM_RC_RETRY);
    kill(swtpm_pid, SIGCONT);
    while (m.swtpm.flow->owed)
        turn();
    assert_int_equal(RUN(get_random), 0);
    /* Cancelled. */
    kill(swtpm_pid, SIGSTOP);
    m.bridge.patience = 1000;
    start(get_random, sizeof(get_random));
    turn();
    assert_int_equal(reg(0x4c), 1);
    set_reg(0x48, 1);
    assert_int_equal(wait_for(), BAWN_TPM_RC_CANCELED);
    set_reg(0x48, 0);
    kill(swtpm_pid, SIGCONT);
    while (m.swtpm.flow->owed)
        turn();
    assert_int_equal(RUN(get_random), 0);
}

static void test_swtpm_dies(void **state)
{
    struct bawn_error err;

    (void)state;
    NEEDS_SWTPM();
    assert_int_equal(RUN(startup), 0);
    kill(swtpm_pid, SIGSTOP);
    start(get_random, sizeof(get_random));
    turn();
    end_swtpm();
    assert_int_equal(wait_for(), BAWN_TPM_RC_FAILURE);
    assert_int_equal(RUN(get_random), BAWN_TPM_RC_FAILURE);
    assert_int_not_equal(bawn_swtpm_reset(&m.swtpm, &err), BAWN_OK);
    assert_non_null(strstr(err.msg, "swtpm does not answer"));
    bawn_swtpm_close(&m.swtpm);
    assert_int_not_equal(bawn_swtpm_open(&m.swtpm, path, &err), BAWN_OK);
    assert_non_null(strstr(err.msg, "cannot connect"));
    assert_int_equal(m.swtpm.control_fd, -1);
}

/* ---- with somebody else ---- */

static void test_registers(void **state)
{
    const uint8_t text[] = "text";

    (void)state;
    assert_int_equal(reg(0x00), 0x80);
    assert_int_equal(reg(0x30) & 0xf, 1);
    assert_int_equal(reg(0x44), IDLE);
    assert_int_equal(reg(0x58), BAWN_TPM_BUFFER);
    assert_int_equal(reg(0x64), BAWN_TPM_BUFFER);
    assert_int_equal(reg(0x5c), BAWN_TPM_BASE + 0x80);
    assert_int_equal(bawn_bus_read(&m.mmio, BAWN_TPM_BASE + 0x68, 8), BAWN_TPM_BASE + 0x80);
    assert_int_equal(bawn_bus_read(&m.mmio, BAWN_TPM_BASE + 0x5d, 1), 0x00);
    assert_int_equal(bawn_bus_read(&m.mmio, BAWN_TPM_BASE + 0x5e, 2), 0xfed4);
    /* Nothing without the locality, and nothing but request while it is idle. */
    set_reg(0x40, 1);
    set_reg(0x4c, 1);
    put(text, 4);
    assert_int_equal(reg(0x44), IDLE);
    set_reg(0x08, 1);
    put(text, 4);
    set_reg(0x4c, 1);
    assert_int_equal(reg(0x4c), 0);
    assert_int_equal(reg(0x80), 0);
    begin();
    put(text, 4);
    assert_memory_equal(m.tpm.data, text, 4);
    /* The last bytes, and those that are not there. */
    bawn_bus_write(&m.mmio, BAWN_TPM_BASE + 0xff8, 8, 0x1122334455667788);
    bawn_bus_write(&m.mmio, BAWN_TPM_BASE + 0xffc, 8, 0);
    assert_int_equal(bawn_bus_read(&m.mmio, BAWN_TPM_BASE + 0xff8, 8), 0x1122334455667788);
    /* Across the registers' end; and no register has an effect by half. */
    assert_int_equal(bawn_bus_read(&m.mmio, BAWN_TPM_BASE + 0x7c, 8) >> 32, reg(0x80));
    bawn_bus_write(&m.mmio, BAWN_TPM_BASE + 0x40, 1, 2);
    bawn_bus_write(&m.mmio, BAWN_TPM_BASE + 0x7c, 8, ~0ull);
    assert_int_equal(reg(0x44), 0);
    assert_memory_equal(m.tpm.data, text, 4);
}

static void test_lengths(void **state)
{
    static const uint32_t lengths[] = { 0, 9, BAWN_TPM_BUFFER + 1, 0x80000000, 0xffffffff };
    uint8_t command[12], byte;

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memcpy(command, get_random, sizeof(command));
        for (unsigned b = 0; b < 4; b++)
            command[2 + b] = (uint8_t)(lengths[i] >> (24 - 8 * b));
        start(command, sizeof(command));
        assert_int_equal(reg(0x4c), 0);
        assert_int_equal(wait_for(), BAWN_TPM_RC_COMMAND_SIZE);
    }
    turn();
    assert_int_equal(read(m.other, &byte, 1), -1);
}

/* What swtpm sent, piece by piece. */
static void say(const uint8_t *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;

        assert_int_equal(write(m.other, data + at, n), n);
        turn();
    }
}

static void test_answers(void **state)
{
    uint8_t whole[BAWN_TPM_BUFFER] = { 0x80, 1, 0, 0, 0x0f, 0x80 }, heard[64];

    (void)state;
    start(get_random, sizeof(get_random));
    turn();
    assert_int_equal(read(m.other, heard, sizeof(heard)), sizeof(get_random));
    assert_memory_equal(heard, get_random, sizeof(get_random));
    /* Meanwhile the buffer is not the guest's, nor is its state. */
    put(heard, 4);
    set_reg(0x40, 2);
    set_reg(0x4c, 1);
    assert_int_equal(reg(0x4c), 1);
    memset(whole + 10, 0x5a, sizeof(whole) - 10);
    say(whole, 14, 1);
    assert_int_equal(reg(0x4c), 1);
    say(whole + 14, sizeof(whole) - 14, 1000);
    assert_int_equal(wait_for(), 0);
    assert_memory_equal(m.tpm.data, whole, sizeof(whole));
    /* A short one leaves nothing of the long one. */
    start(get_random, sizeof(get_random));
    turn();
    whole[4] = 0;
    whole[5] = 10;
    say(whole, 10, 10);
    assert_int_equal(wait_for(), 0);
    assert_int_equal(m.tpm.data[10], 0);
}

static void bad_answer(uint32_t len)
{
    uint8_t head[10] = {
        0x80, 1, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len
    };

    start(get_random, sizeof(get_random));
    turn();
    say(head, sizeof(head), sizeof(head));
    assert_int_equal(wait_for(), BAWN_TPM_RC_FAILURE);
    assert_int_equal(RUN(get_random), BAWN_TPM_RC_FAILURE);
    assert_int_equal(m.nr_distrusts, 0);
}

static void test_answer_too_short(void **state)
{
    (void)state;
    bad_answer(9);
}

static void test_answer_too_long(void **state)
{
    (void)state;
    bad_answer(BAWN_TPM_BUFFER + 1);
}

static void test_answer_unasked(void **state)
{
    uint8_t head[10] = { 0x80, 1, 0, 0, 0, 10 };

    (void)state;
    say(head, sizeof(head), sizeof(head));
    assert_int_equal(RUN(get_random), BAWN_TPM_RC_FAILURE);
}

/* The machine's end, when what it hears makes no sense. */
static void test_distrust(void **state)
{
    struct bawn_link_msg msg = { .kind = BAWN_LINK_ANSWER, .len = BAWN_TPM_BUFFER + 1 };

    (void)state;
    start(get_random, sizeof(get_random));
    assert_true(bawn_link_send(m.link[1], &msg));
    turn_one(&m.loop);
    assert_int_equal(m.nr_distrusts, 1);
    assert_int_equal(wait_for(), BAWN_TPM_RC_FAILURE);
    msg.len = 10;
    assert_true(bawn_link_send(m.link[1], &msg));
    turn_one(&m.loop);
    assert_int_equal(m.nr_distrusts, 1);
    /* The next one's hello; a command that waited for it, one of before, and late answers. */
    start(get_random, sizeof(get_random));
    assert_false(m.tpm.sent);
    assert_true(bawn_link_tell(m.link[1], BAWN_LINK_HELLO));
    turn_one(&m.loop);
    assert_true(m.tpm.sent);
    msg.tpm.number = m.tpm.number - 1;
    assert_true(bawn_link_send(m.link[1], &msg));
    turn_one(&m.loop);
    assert_int_equal(reg(0x4c), 1);
    assert_true(bawn_link_tell(m.link[1], BAWN_LINK_HELLO));
    turn_one(&m.loop);
    assert_int_equal(wait_for(), BAWN_TPM_RC_FAILURE);
    assert_true(bawn_link_tell(m.link[1], BAWN_LINK_STOPPED));
    turn_one(&m.loop);
    assert_int_equal(m.nr_distrusts, 2);
}

static void test_process_gone(void **state)
{
    (void)state;
    start(get_random, sizeof(get_random));
    assert_true(bawn_link_tell(m.link[1], BAWN_LINK_BROKEN));
    turn_one(&m.loop);
    assert_int_equal(wait_for(), BAWN_TPM_RC_FAILURE);
    start(get_random, sizeof(get_random));
    assert_int_equal(reg(0x4c), 0);
    assert_int_equal(m.nr_distrusts, 0);
}

static void test_cancel_before_hello(void **state)
{
    (void)state;
    m.tpm.ready = false;
    start(get_random, sizeof(get_random));
    set_reg(0x48, 1);
    assert_int_equal(wait_for(), BAWN_TPM_RC_CANCELED);
}

/* The bridge ends when the machine's process sends what it must not. */
static void test_bad_orders(void **state)
{
    struct bawn_link_msg msg = { .kind = BAWN_LINK_COMMAND, .len = 12 };
    static const uint32_t lens[] = { 0, 9, 13, BAWN_TPM_BUFFER + 1, 0xffffffff };
    uint8_t byte;

    (void)state;
    memcpy(msg.tpm.data, get_random, sizeof(get_random));
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        msg.len = lens[i];
        m.device_loop.stop = false;
        assert_true(bawn_link_send(m.link[0], &msg));
        turn_one(&m.device_loop);
        assert_true(m.device_loop.stop);
    }
    m.device_loop.stop = false;
    assert_true(bawn_link_tell(m.link[0], BAWN_LINK_START));
    turn_one(&m.device_loop);
    assert_true(m.device_loop.stop);
    assert_int_equal(read(m.other, &byte, 1), -1);
}

/* A process that begins while swtpm still owes the one before an answer drops that. */
static void test_next_process(void **state)
{
    uint8_t head[10] = { 0x80, 1, 0, 0, 0, 10, 0, 0, 0, 7 };

    (void)state;
    m.swtpm.flow->owed = true;
    memcpy(m.swtpm.flow->in, head, 4);
    m.swtpm.flow->in_len = 4;
    assert_int_equal(RUN(get_random), BAWN_TPM_RC_RETRY);
    say(head + 4, 6, 3);
    assert_false(m.swtpm.flow->owed);
    start(get_random, sizeof(get_random));
    turn();
    head[9] = 8;
    say(head, sizeof(head), sizeof(head));
    assert_int_equal(wait_for(), 8);
}

static void test_open(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char text[200];
    struct bawn_error err;
    struct bawn_swtpm s;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(bawn_swtpm_open(&s, text, &err), BAWN_E_CONFIG);
    assert_non_null(mkdtemp(folder));
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/none", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    if (!fork()) { /* an error, then an end */
        const uint8_t no[4] = { 0, 0, 0, 9 };
        int one = accept(fd, NULL, NULL);

        _exit(read(one, text, 4) != 4 || write(one, no, 4) != 4);
    }
    assert_int_equal(bawn_swtpm_open(&s, at.sun_path, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "refuses command 16: 0x9"));
    wait(NULL);
    if (!fork())
        _exit(close(accept(fd, NULL, NULL)));
    assert_int_equal(bawn_swtpm_open(&s, at.sun_path, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "does not answer"));
    wait(NULL);
    close(fd);
    snprintf(text, sizeof(text), "rm -rf %s", folder);
    assert_int_equal(system(text), 0);
    memset(folder + strlen(folder) - 6, 'X', 6);
}

#define WITH(test, who) cmocka_unit_test_setup_teardown(test, setup_##who, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_commands, swtpm),         WITH(test_swtpm_hangs, swtpm),
        WITH(test_swtpm_dies, swtpm),       WITH(test_registers, other),
        WITH(test_lengths, other),          WITH(test_answers, other),
        WITH(test_answer_too_short, other), WITH(test_answer_too_long, other),
        WITH(test_answer_unasked, other),   WITH(test_distrust, other),
        WITH(test_process_gone, other),     WITH(test_cancel_before_hello, other),
        WITH(test_bad_orders, other),       WITH(test_next_process, other),
        cmocka_unit_test(test_open),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("vmm/tpm", tests, NULL, NULL);
}
