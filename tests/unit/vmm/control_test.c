// SPDX-License-Identifier: Apache-2.0
// libs: -Wl,--wrap=bawn_boot_spawn
/*
 * vmm/control.c: what the supervisor makes of the API's process's messages in each state of a
 * machine, right and wrong ones. This test is that process, and the machine's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_wires.h"

#include "calls.h"
#include "run.h"
#include "runtime.h"

static struct bawn_run *r;
static struct bawn_loop loop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int api_fd, machine_fd;
static struct bawn_api_answer answer;
static size_t answer_len;

static int setup(void **state)
{
    int pair[2];

    (void)state;
    r = calloc(1, sizeof(*r));
    r->events.fd = r->boot.order_fd = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, r->control.link), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    r->boot.control[0] = pair[0];
    machine_fd = pair[1];
    api_fd = r->control.link[1];
    r->control.listen_fd = eventfd(0, EFD_NONBLOCK); /* nobody connects */
    assert_int_equal(bawn_loop_init(&loop, &lock), 0);
    r->boot.loop.wake_fd = -1;
    r->loop = &loop;
    r->accel.fd = r->socket.fd = -1;
    for (unsigned i = 0; i < BAWN_MAX_DISKS; i++)
        r->disk[i].fd = -1;
    r->opt.snapshot_fd = -1;
    bawn_control_watch(r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < r->opt.cfg.nr_nets; i++) {
        for (unsigned k = 0; k < r->opt.cfg.net[i].nr_fds; k++)
            close(r->opt.cfg.net[i].fd[k]);
    }
    bawn_options_free(&r->opt);
    bawn_control_close(r);
    close(machine_fd);
    close(r->boot.control[0]);
    bawn_loop_destroy(&loop);
    free(r);
    return 0;
}

/* A request, as the process sends it. Returns the answer's status; 0: there is none yet. */
static unsigned ask_with(enum bawn_api_call call, const char *body, const int *fds, unsigned nr)
{
    static struct bawn_api_request req;
    char control[CMSG_SPACE(BAWN_API_FDS * sizeof(int))] = { 0 };
    struct iovec v = { &req, offsetof(struct bawn_api_request, body) + strlen(body) };
    struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };
    ssize_t n;

    req.id++;
    req.call = call;
    memcpy(req.body, body, strlen(body));
    if (nr) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
        *CMSG_FIRSTHDR(&msg) =
            (struct cmsghdr){ CMSG_LEN(nr * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, nr * sizeof(int));
    }
    assert_true(sendmsg(api_fd, &msg, 0) > 0);
    turn_loop(&loop);
    n = recv(api_fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n < 0)
        return 0;
    assert_int_equal(answer.id, req.id);
    answer_len = (size_t)n - offsetof(struct bawn_api_answer, body);
    answer.body[answer_len] = '\0';
    return answer.status;
}

static unsigned ask(enum bawn_api_call call, const char *body)
{
    return ask_with(call, body, NULL, 0);
}

static unsigned late_answer(void)
{
    ssize_t n = recv(api_fd, &answer, sizeof(answer), MSG_DONTWAIT);

    if (n < 0)
        return 0;
    answer.body[(size_t)n - offsetof(struct bawn_api_answer, body)] = '\0';
    return answer.status;
}

#define CONFIG "{\"payload\":{\"kernel\":\"/k\"},\"disks\":[{\"path\":\"/d\",\"id\":\"d\"}]}"

static void test_configuration(void **state)
{
    int fd[BAWN_NET_PAIRS + 1] = { 0 };

    (void)state;
    assert_int_equal(ask(BAWN_API_PING, ""), 200);
    assert_int_equal(ask(BAWN_API_INFO, ""), 404);
    for (unsigned call = BAWN_API_DELETE; call <= BAWN_API_SNAPSHOT; call++)
        assert_int_equal(ask(call, ""), 404);
    assert_int_equal(ask(BAWN_API_CREATE, "{"), 400);
    assert_int_equal(ask(BAWN_API_CREATE, "{}"), 400);
    assert_int_equal(
        ask(BAWN_API_CREATE, "{\"payload\":{\"kernel\":\"/k\"},\"net\":[{\"fds\":[3]}]}"), 400);
    assert_int_equal(ask(BAWN_API_CREATE, CONFIG), 204);
    assert_int_equal(answer_len, 0);
    assert_int_equal(ask(BAWN_API_CREATE, CONFIG), 500);
    assert_int_equal(ask(BAWN_API_ADD_NET, "{\"id\":\"a\"}"), 400);
    assert_int_equal(ask(BAWN_API_ADD_NET, "{\"id\":\"a\",\"fds\":[0]}"),
                     400); /* a number is none */
    assert_int_equal(ask_with(BAWN_API_ADD_NET, "{\"id\":\"a\"}", fd, BAWN_NET_PAIRS + 1), 400);
    assert_int_equal(ask_with(BAWN_API_ADD_NET, "{\"id\":1}", fd, 1), 400);
    assert_int_equal(r->opt.cfg.nr_nets, 0);
    assert_int_equal(ask_with(BAWN_API_ADD_NET, "{\"id\":\"a\"}", fd, 2), 204);
    assert_int_equal(r->opt.cfg.net[0].nr_fds, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_true(r->opt.cfg.net[0].fd[i] > STDERR_FILENO);
    assert_int_equal(ask(BAWN_API_ADD_DISK, "{\"path\":\"/e\",\"id\":\"e\"}"), 204);
    assert_int_equal(ask(BAWN_API_ADD_DISK, "{\"id\":\"f\"}"), 400);
    assert_int_equal(r->opt.cfg.nr_disks, 2);
    assert_int_equal(ask(BAWN_API_REMOVE, "{\"id\":\"x\"}"), 400);
    assert_int_equal(ask(BAWN_API_REMOVE, "{\"id\":7}"), 400);
    assert_int_equal(ask(BAWN_API_REMOVE, "[]"), 400);
    assert_int_equal(ask(BAWN_API_REMOVE, "{\"id\":\"d\"}"), 204);
    assert_string_equal(r->opt.cfg.disk[0].path, "/e");
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_vcpus\":5,\"desired_ram\":67108864}"), 204);
    assert_int_equal(r->opt.cfg.vcpus, 5);
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_vcpus\":65}"), 400);
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_ram\":1}"), 400);
    assert_int_equal(ask(BAWN_API_INFO, ""), 200);
    assert_non_null(strstr(answer.body, "\"state\":\"Created\",\"memory_actual_size\":67108864}"));
    assert_int_equal(ask(BAWN_API_PAUSE, ""), 500);
    assert_int_equal(ask(BAWN_API_DELETE, ""), 204);
    assert_int_equal(ask(BAWN_API_INFO, ""), 404);
    assert_int_equal(ask(BAWN_API_RESTORE, "{\"source_url\":\"http://x\"}"), 400);
    assert_true(ask(BAWN_API_RESTORE, "{\"source_url\":\"file:///none\"}") >= 400);
    assert_int_equal(ask(BAWN_API_QUIT, ""), 204);
    assert_int_equal(r->next, BAWN_NEXT_QUIT);
    assert_true(loop.stop);
}

/* What the machine's process was told. */
static int told(void)
{
    char order;

    return read(machine_fd, &order, 1) == 1 ? order : -1;
}

static void test_orders(void **state)
{
    struct bawn_counters *counters = calloc(1, sizeof(*counters));

    (void)state;
    assert_int_equal(ask(BAWN_API_CREATE, CONFIG), 204);
    assert_int_equal(ask(BAWN_API_BOOT, ""), 0);
    assert_int_equal(r->next, BAWN_NEXT_BOOT);
    r->running = r->open = true;
    r->boot.counters = counters;
    bawn_control_launched(r);
    assert_int_equal(late_answer(), 204);
    assert_int_equal(ask(BAWN_API_PAUSE, ""), 500); /* it is not launched, whatever was said */
    r->boot.launched = true;
    assert_int_equal(ask(BAWN_API_BOOT, ""), 500);
    r->boot.paused = true;
    assert_int_equal(ask(BAWN_API_ADD_DISK, "{\"path\":\"/e\"}"), 500);
    assert_non_null(strstr(answer.body, "is Paused: it can be changed"));
    r->boot.paused = false;
    assert_int_equal(ask(BAWN_API_PAUSE, ""), 0);
    assert_int_equal(told(), BAWN_ORDER_PAUSE);
    r->boot.order = BAWN_ORDER_END;
    r->boot.paused = true;
    bawn_control_ordered(r, BAWN_ORDER_BUTTON, ""); /* another's */
    assert_int_equal(late_answer(), 0);
    bawn_control_ordered(r, BAWN_ORDER_PAUSE, "a \"vCPU\" does not stop");
    assert_int_equal(late_answer(), 500);
    assert_string_equal(answer.body, "[\"vm.pause\",\"a \\\"vCPU\\\" does not stop\"]");
    assert_int_equal(ask(BAWN_API_INFO, ""), 200);
    assert_non_null(strstr(answer.body, "\"Paused\""));
    counters->balloon = htole32(32 << 8); /* 32 MiB */
    assert_int_equal(ask(BAWN_API_INFO, ""), 200);
    assert_non_null(strstr(answer.body, "\"memory_actual_size\":503316480}"));
    counters->balloon = UINT32_MAX;
    assert_int_equal(ask(BAWN_API_INFO, ""), 200);
    assert_non_null(strstr(answer.body, "\"memory_actual_size\":0}"));
    counters->exits[0][KVM_EXIT_IO] = UINT64_MAX;
    assert_int_equal(ask(BAWN_API_COUNTERS, ""), 200);
    assert_string_equal(answer.body, "{\"vcpu0\":{\"exits_io\":18446744073709551615}}");
    assert_int_equal(ask(BAWN_API_RESUME, ""), 0);
    assert_int_equal(told(), BAWN_ORDER_RESUME);
    bawn_control_ended(r, "the guest powered off");
    assert_int_equal(late_answer(), 500);
    r->running = r->boot.launched = r->open = false;
    free(counters);
}

/* What the machine's process was told, whole. */
static struct bawn_order_msg told_all(void)
{
    struct bawn_order_msg msg = { 0 };

    assert_true(read(machine_fd, &msg, sizeof(msg)) > 0);
    return msg;
}

static bool refused(enum bawn_api_call call, const char *body, const char *why)
{
    return ask(call, body) == 400 && strstr(answer.body, why);
}

/* Memory of a machine that runs is its balloon's to change, and that of one that has one. */
static void test_resize(void **state)
{
    struct virtio_balloon_config config;
    struct bawn_order_msg msg;

    (void)state;
    assert_int_equal(ask(BAWN_API_CREATE, CONFIG), 204);
    r->running = r->open = r->boot.launched = true;
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_vcpus\":1,\"desired_ram\":536870912}"), 204);
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_vcpus\":2}", "started with 1 vCPUs"));
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_ram\":1073741824}", "with 512 MiB: more"));
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_balloon\":4096}", "has no balloon"));
    r->opt.cfg.balloon.on = true;
    r->boot.devices.nr = 3;
    r->boot.devices.dev[2].vdev = &r->boot.devices.balloon.vdev;
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_balloon\":4097}", "multiple of 4096"));
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_balloon\":536870912}", "must be smaller"));
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_ram\":0}", "must be smaller"));
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_ram\":67108864,\"desired_balloon\":4096}",
                        "disagree"));
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_ram\":134217728}"), 0);
    msg = told_all();
    assert_int_equal(msg.order, BAWN_ORDER_CONFIG);
    assert_int_equal(msg.device, 2);
    assert_int_equal(msg.config_len, sizeof(config));
    memcpy(&config, msg.config, sizeof(config));
    assert_int_equal(config.num_pages, (512 - 128) << 8);
    r->boot.order = BAWN_ORDER_END;
    bawn_control_ordered(r, BAWN_ORDER_CONFIG, "");
    assert_int_equal(late_answer(), 204);
    assert_int_equal(r->opt.cfg.balloon.size, 384 << 20);
    /* Nothing is one, too. And what was not done is not remembered. */
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_balloon\":0}"), 0);
    assert_int_equal(told_all().config[1], 0);
    r->boot.order = BAWN_ORDER_END;
    bawn_control_ordered(r, BAWN_ORDER_CONFIG, "a process did not answer");
    assert_int_equal(late_answer(), 500);
    assert_int_equal(r->opt.cfg.balloon.size, 384 << 20);
    r->boot.paused = true;
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_balloon\":0}"), 500);
    r->running = r->boot.launched = r->open = r->boot.paused = false;
}

/* As many as there is room for, by the machine's process, which says how many there are. */
static void test_vcpus(void **state)
{
    struct bawn_counters *counters = calloc(1, sizeof(*counters));
    struct bawn_order_msg msg;

    (void)state;
    assert_int_equal(ask(BAWN_API_CREATE, CONFIG), 204);
    r->boot.counters = counters;
    counters->vcpus = 1;
    r->running = r->open = r->boot.launched = true;
    r->opt.cfg.max_vcpus = 4;
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_vcpus\":5}", "1 to 4 vCPUs"));
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_vcpus\":0}", "1 to 4 vCPUs"));
    r->opt.cfg.balloon.on = true;
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_vcpus\":2,\"desired_balloon\":4096}",
                        "one after the other"));
    r->opt.cfg.hotplug = BAWN_HOTPLUG_OFF;
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_vcpus\":2}", "not with room for more"));
    r->opt.cfg.hotplug = BAWN_HOTPLUG_ON;
    r->opt.cfg.snp.on = true;
    assert_true(refused(BAWN_API_RESIZE, "{\"desired_vcpus\":2}", "were measured"));
    r->opt.cfg.snp.on = false;
    r->opt.policy = "policy";
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_vcpus\":2}"), 500);
    assert_non_null(strstr(answer.body, "judged by a launch policy, with the vCPUs"));
    r->opt.policy = NULL;

    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_vcpus\":3}"), 0);
    msg = told_all();
    assert_int_equal(msg.order, BAWN_ORDER_CPUS);
    assert_int_equal(msg.device, 3);
    counters->vcpus = 0x7;
    r->boot.order = BAWN_ORDER_END;
    bawn_control_ordered(r, BAWN_ORDER_CPUS, "");
    assert_int_equal(late_answer(), 204);
    assert_int_equal(r->parts.vcpus, 3); /* if it resets itself */
    assert_int_equal(ask(BAWN_API_INFO, ""), 200);
    assert_non_null(strstr(answer.body, "\"boot_vcpus\": 3"));
    assert_non_null(strstr(answer.body, "\"max_vcpus\": 4"));
    assert_int_equal(r->opt.cfg.vcpus, 1); /* as the launch digest has it */
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_vcpus\":3}"), 204);
    assert_int_equal(ask(BAWN_API_RESIZE, "{\"desired_vcpus\":1}"), 0);
    assert_int_equal(told_all().device, 1);
    counters->vcpus = 0x5;
    r->boot.order = BAWN_ORDER_END;
    bawn_control_ordered(r, BAWN_ORDER_CPUS, "the guest has not let go");
    assert_int_equal(late_answer(), 500);
    assert_int_equal(bawn_run_vcpus(r), 2);
    counters->vcpus = ~0ull; /* nobody's number */
    assert_int_equal(bawn_run_vcpus(r), 4);
    counters->vcpus = 0;
    assert_int_equal(bawn_run_vcpus(r), 1);
    r->running = r->boot.launched = r->open = false;
    r->boot.counters = NULL;
    r->parts.vcpus = 0;
    free(counters);
}

/* What does not come to the guest is not in the configuration either; supervise_test.c has what
 * does.
 */
static void test_hotplug(void **state)
{
    char path[] = "/tmp/bawn-control-test.XXXXXX", body[64];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    snprintf(body, sizeof(body), "{\"path\":\"%s\",\"id\":\"new\"}", path);
    assert_int_equal(ask(BAWN_API_CREATE, CONFIG), 204);
    assert_int_equal(bawn_vm_config_place(&r->opt.cfg, NULL), BAWN_OK);
    r->running = r->open = r->boot.launched = true;
    assert_true(refused(BAWN_API_REMOVE, "{\"id\":\"x\"}", "no disk or network device"));
    assert_true(refused(BAWN_API_REMOVE, "{\"id\":\"d\"}", "no device is there"));
    assert_true(refused(BAWN_API_ADD_DISK, "{\"path\":\"/e\",\"id\":\"d\"}", "the id"));
    assert_true(refused(BAWN_API_ADD_DISK, "{\"path\":\"/e\",\"pci_device_id\":4}", "two devices"));
    assert_true(refused(BAWN_API_ADD_DISK, "{\"path\":\"/e\",\"pci_device_id\":12}", "4 to 11"));
    assert_int_equal(ask(BAWN_API_ADD_DISK, "{\"path\":\"/nonexistent/e\"}"), 500);
    assert_int_equal(ask(BAWN_API_ADD_DISK, body), 500); /* this machine has no places */
    assert_non_null(strstr(answer.body, "busy"));
    assert_int_equal(r->opt.cfg.nr_disks, 1);
    for (unsigned i = 0; i < BAWN_MAX_DISKS; i++)
        assert_int_equal(r->disk[i].fd, -1);
    r->opt.policy = "what is allowed";
    assert_int_equal(ask(BAWN_API_ADD_DISK, body), 500);
    assert_non_null(strstr(answer.body, "launch policy"));
    r->opt.policy = NULL;
    r->opt.cfg.snp.on = true;
    assert_true(refused(BAWN_API_ADD_DISK, body, "the launch digest"));
    assert_true(refused(BAWN_API_REMOVE, "{\"id\":\"d\"}", "the launch digest"));
    assert_int_equal(r->opt.cfg.nr_disks, 1);
    r->running = r->boot.launched = r->open = false;
    close(fd);
    unlink(path);
}

static unsigned open_files(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void write_snapshot(const char *path, const char *config)
{
    static const struct bawn_progress nobody;
    static const struct bawn_image_key none;
    static struct bawn_state state;
    const struct bawn_ram ram = { 0, 2 << 20 };
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct bawn_image image;
    struct bawn_mem mem;

    assert_true(fd >= 0);
    assert_int_equal(bawn_mem_create(&mem, &ram, 1, BAWN_PAGES_SMALL, NULL), BAWN_OK);
    assert_int_equal(bawn_image_create(&image, fd, &none, NULL), BAWN_OK);
    assert_int_equal(
        bawn_snapshot_write(&image, config, &state, BAWN_STATE_SIZE(1), &mem, NULL, &nobody, NULL),
        BAWN_OK);
    bawn_image_close(&image);
    bawn_mem_destroy(&mem);
    close(fd);
}

/* Descriptors that come with a snapshot that needs another number of them are closed. */
static void test_restore_files(void **state)
{
    char path[] = "/tmp/bawn-control-test.XXXXXX", body[80];
    int fds[] = { 0, 1, 2 }, fd = mkstemp(path);
    unsigned before;

    (void)state;
    close(fd);
    write_snapshot(path, "{\"payload\":{\"kernel\":\"/k\"},\"net\":[{\"fds\":[7,8]}]}");
    snprintf(body, sizeof(body), "{\"source_url\":\"file://%s\"}", path);
    r->opt.no_encryption = true;
    before = open_files();
    for (unsigned n = 0; n <= 3; n++) {
        if (n == 2)
            continue;
        assert_int_equal(ask_with(BAWN_API_RESTORE, body, fds, n), 400);
        assert_non_null(strstr(answer.body, "needs 2"));
        assert_int_equal(open_files(), before);
    }
    assert_int_equal(ask_with(BAWN_API_RESTORE, body, fds, 2), 0);
    assert_int_equal(r->opt.cfg.net[0].nr_fds, 2);
    for (unsigned k = 0; k < 2; k++)
        assert_true(r->opt.cfg.net[0].fd[k] > STDERR_FILENO);
    unlink(path);
}

pid_t __wrap_bawn_boot_spawn(const char *name);
pid_t __wrap_bawn_boot_spawn(const char *name)
{
    assert_string_equal(name, "api");
    errno = EAGAIN;
    return -1;
}

/* A host that has no process for it now may have one for the next client; none is left waiting. */
static void test_no_process(void **state)
{
    char path[] = "/tmp/bawn-control-test.XXXXXX", byte;
    int fd = mkstemp(path);

    (void)state;
    close(fd);
    unlink(path);
    close(r->control.listen_fd);
    r->control.listen_fd = bawn_socket_listen(path, NULL);
    bawn_loop_forget(&loop, r->control.listen_watch);
    bawn_control_watch(r);
    for (unsigned i = 0; i < 3; i++) {
        int client = bawn_socket_connect(path);

        assert_true(client >= 0);
        turn_loop(&loop);
        assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), 0);
        close(client);
    }
    unlink(path);
}

/* The process was taken over, or is another one. */
static void test_hostile(void **state)
{
    static struct bawn_api_request req;
    uint32_t seed = 7;

    (void)state;
    assert_int_equal(ask(BAWN_API_CREATE, CONFIG), 204);
    for (unsigned i = 0; i < 3000; i++) {
        size_t len = (seed = seed * 1664525 + 1013904223) >> 16 & 0x3f;

        req.id = i;
        req.call = seed >> 24 & 1 ? seed : BAWN_API_CALLS + i;
        if (req.call == BAWN_API_QUIT || req.call == BAWN_API_BOOT)
            req.call = BAWN_API_CALLS;
        memset(req.body, (int)(seed >> 8), 64);
        (void)!send(api_fd, &req, len, MSG_DONTWAIT);
        turn_loop(&loop);
        while (recv(api_fd, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
            ;
    }
    assert_int_equal(ask(BAWN_API_INFO, ""), 200);
    /* A second request while an answer is due. */
    assert_int_equal(ask(BAWN_API_BOOT, ""), 0);
    assert_int_equal(ask(BAWN_API_INFO, ""), 0);
    bawn_control_ended(r, "no");
    assert_int_equal(late_answer(), 500);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(test_configuration), TEST(test_orders),
                                        TEST(test_resize),        TEST(test_vcpus),
                                        TEST(test_hotplug),       TEST(test_restore_files),
                                        TEST(test_no_process),    TEST(test_hostile) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
