// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/link.c: a driver's steps with transport and device at the two ends of a link, each with its
 * own loop; a device in a process of its own that dies and comes back; and ends that send what they
 * must not.
 */
#include "driver.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "devices.h"

#define DATA 0x100000ull
#define V1 (1ull << 32)

static struct bawn_devices devices;
static struct bawn_device *dev;
static struct bawn_link l;
static unsigned nr_quits, nr_distrusts, nr_quiets;
static const char *why;

static void quit(void *opaque)
{
    (void)opaque;
    nr_quits++;
}

static void distrust(void *opaque, unsigned device, const char *text)
{
    (void)opaque;
    assert_int_equal(device, 3);
    nr_distrusts++;
    why = text;
}

static void quiet(void *opaque)
{
    (void)opaque;
    nr_quiets++;
}

static int setup(void **state)
{
    const struct bawn_virtio_host host = { &m.wires, &m.ioapic, &m.loop, &m.pci, false };
    const struct bawn_link_owner owner = { .distrust = distrust, .quiet = quiet };
    const struct bawn_vm_config cfg = { .rng = true, .hotplug = BAWN_HOTPLUG_OFF };
    const struct bawn_backends none = { 0 };

    (void)state;
    machine_create();
    nr_quits = nr_distrusts = nr_quiets = 0;
    assert_int_equal(bawn_devices_create(&devices, &cfg, &m.mem, &none), 0);
    assert_int_equal(devices.nr, 1);
    dev = &devices.dev[0];
    assert_string_equal(dev->name, "rng");
    assert_int_equal(bawn_virtio_init(&m.virtio, dev->vdev, &host, SLOT), 0);
    assert_int_equal(bawn_link_init(&l, dev->link[0], 3, &m.virtio, &owner), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_devices_destroy(&devices);
    machine_destroy();
    return 0;
}

/* Both sides' turn. */
static void turn(void)
{
    turn_loop(&m.loop);
    turn_loop(&dev->loop);
    turn_loop(&m.loop);
}

static void ask(void)
{
    memset(ram(DATA), 0, 32);
    offer(0, &(struct part){ DATA, 32, true }, 1);
    reg(0x3000, 2, 0);
}

static bool is_zero(void)
{
    static const uint8_t zero[32];

    return !memcmp(ram(DATA), zero, sizeof(zero));
}

static int serve(int fd, struct bawn_vdev *dev)
{
    int rc = bawn_link_serve(fd, dev);

    return rc || bawn_link_tell(fd, BAWN_LINK_HELLO) ? rc : -1;
}

/* A device is started, whenever its process comes, serves and stops. */
static void test_steps(void **state)
{
    uint32_t len = 0;

    (void)state;
    assert_int_equal(driver_start(1, V1), 15);
    ask(); /* before there is anybody */
    assert_false(bawn_vdev_running(dev->vdev));
    assert_int_equal(serve(dev->link[1], dev->vdev), 0);
    turn();
    assert_true(bawn_vdev_running(dev->vdev));
    turn();
    assert_int_equal(used(0, &len), 1);
    assert_int_equal(len, 32);
    assert_false(is_zero());
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    assert_int_equal(device_status(), 15);
    turn();
    assert_false(bawn_vdev_running(dev->vdev));
    assert_int_equal(device_status(), 0);
    assert_int_equal(nr_distrusts, 0);
    /* A buffer outside RAM. */
    assert_int_equal(driver_start(1, V1), 15);
    offer(0, &(struct part){ RAM_SIZE, 32, true }, 1);
    reg(0x3000, 2, 0);
    turn();
    turn();
    assert_true(device_status() & NEEDS_RESET);
}

/* What is in memory outlives the machine. */
static void new_machine(const struct bawn_virtio_state *state, bool good)
{
    uint8_t *memory = malloc(RAM_SIZE);
    uint16_t next = m.next_desc[0], seen = m.seen[0];
    uint64_t bar = m.bar;

    memcpy(memory, ram(0), RAM_SIZE);
    teardown(NULL);
    setup(NULL);
    memcpy(ram(0), memory, RAM_SIZE);
    free(memory);
    m.next_desc[0] = next;
    m.seen[0] = seen;
    m.bar = bar;
    assert_int_equal(bawn_virtio_load(&m.virtio, state), good);
    m.ioapic.lines = 0;
    serve(dev->link[1], dev->vdev);
}

static void ask_and_turn(void)
{
    ask();
    turn();
    turn();
}

/* Another machine's device goes on where this one's was paused. */
static void snapshot_of(uint64_t features)
{
    struct bawn_virtio_state state;
    uint32_t len = 0;

    driver_start(1, features);
    serve(dev->link[1], dev->vdev);
    for (unsigned i = 0; i < 3; i++)
        ask_and_turn();
    assert_int_equal(used(0, NULL), 3);
    bawn_link_pause(&l);
    turn();
    ask(); /* it stays in the queue */
    turn();
    assert_true(bawn_virtio_save(&m.virtio, &state));
    assert_int_equal(state.set.queue[0].avail_idx, 3);
    assert_int_equal(state.set.queue[0].used_idx, 3);
    assert_true(state.set.resume);
    new_machine(&state, true);
    assert_int_equal(device_status(), 15);
    turn();
    turn();
    assert_int_equal(used(0, &len), 1);
    assert_int_equal(len, 32);
    assert_false(is_zero());
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    turn();
    assert_int_equal(device_status(), 0);
    assert_int_equal(driver_start(1, features), 15); /* from the beginning */
    ask_and_turn();
    assert_int_equal(used(0, &len), 1);
    assert_int_equal(nr_distrusts, 0);
}

static void test_snapshot(void **state)
{
    (void)state;
    snapshot_of(V1);
    teardown(NULL);
    setup(NULL);
    snapshot_of(V1 | 1ull << VIRTIO_RING_F_EVENT_IDX);
}

/* A machine that was saved before its driver came, and one that was before its device did. */
static void test_snapshot_early(void **opaque)
{
    struct bawn_virtio_state state;

    (void)opaque;
    serve(dev->link[1], dev->vdev);
    turn();
    bawn_link_pause(&l);
    turn();
    assert_true(bawn_virtio_save(&m.virtio, &state));
    new_machine(&state, true);
    turn();
    assert_int_equal(driver_start(1, V1), 15);
    ask_and_turn();
    assert_int_equal(used(0, NULL), 1);

    teardown(NULL);
    setup(NULL);
    assert_int_equal(driver_start(1, V1), 15);
    bawn_link_pause(&l);
    ask();
    assert_true(bawn_virtio_save(&m.virtio, &state));
    assert_false(state.set.resume);
    new_machine(&state, true);
    turn();
    turn();
    assert_int_equal(used(0, NULL), 1);
}

/* No driver's writes lead there. */
static void test_impossible_states(void **opaque)
{
    struct bawn_virtio_state good, bad;

    (void)opaque;
    driver_start(1, V1);
    serve(dev->link[1], dev->vdev);
    turn();
    bawn_link_pause(&l);
    turn();
    assert_true(bawn_virtio_save(&m.virtio, &good));
    bad = good;
    bad.config_len++;
    new_machine(&bad, false);
    bad = good;
    bad.status &= ~8; /* DRIVER_OK without FEATURES_OK */
    new_machine(&bad, false);
    bad = good;
    bad.driver_features |= 1ull << 20;
    new_machine(&bad, false);
    bad = good;
    bad.driver_features = 0;
    new_machine(&bad, false);
    bad = good;
    bad.set.queue[0].size = BAWN_VIRTQ_MAX + 1;
    new_machine(&bad, false);
    bad = good; /* the device finds this: as ever */
    bad.set.queue[0].desc = RAM_SIZE;
    new_machine(&bad, true);
    turn();
    turn();
    assert_true(device_status() & NEEDS_RESET);
    memset(&bad, 0xff, sizeof(bad)); /* what is no register of this device is dropped */
    bad.config_len = 0;
    bad.driver_features = V1;
    bad.set.queue[0].size = 16;
    bad.set.queue[1].size = bad.set.queue[2].size = 0;
    new_machine(&bad, true);
    turn();
    assert_int_equal(bawn_bus_read(&m.mmio, CFG, 2), 0x1af4);
    assert_in_range(m.virtio.msix_pending, 0, 3);
}

/* While it is paused a device serves nothing and forgets nothing. */
static void test_pause(void **state)
{
    uint32_t len = 0;

    (void)state;
    driver_start(1, V1);
    serve(dev->link[1], dev->vdev);
    turn();
    bawn_link_pause(&l);
    assert_false(bawn_link_quiet(&l));
    turn();
    assert_true(bawn_link_quiet(&l));
    assert_int_equal(nr_quiets, 1);
    ask();
    turn();
    turn();
    assert_true(is_zero());
    bawn_link_resume(&l);
    turn();
    turn();
    assert_int_equal(used(0, &len), 1);
    assert_false(is_zero());
    bawn_link_pause(&l); /* one that is taken back */
    bawn_link_resume(&l);
    turn();
    assert_int_equal(nr_quiets, 1);
    assert_true(bawn_link_quiet(&l));
    assert_int_equal(nr_distrusts, 0);
}

static bool cannot_settle(void *opaque)
{
    (void)opaque;
    return false;
}

/* From what it has left another could not go on. */
static void test_pause_lacks(void **state)
{
    struct bawn_vdev_ops ops = *dev->vdev->ops;

    (void)state;
    ops.paused = cannot_settle;
    dev->vdev->ops = &ops;
    driver_start(1, V1);
    serve(dev->link[1], dev->vdev);
    turn();
    bawn_link_pause(&l);
    assert_false(l.lacks);
    turn();
    assert_true(bawn_link_quiet(&l) && l.lacks);
    bawn_link_resume(&l);
    turn();
    assert_false(l.lacks);
    dev->vdev->ops = m.virtio.ops;
}

/* A process that begins while all else is paused is started when the pause ends. */
static void test_pause_before_hello(void **state)
{
    (void)state;
    bawn_link_pause(&l);
    assert_true(bawn_link_quiet(&l));
    driver_start(1, V1);
    assert_int_equal(serve(dev->link[1], dev->vdev), 0);
    turn();
    assert_int_equal(nr_quiets, 1);
    assert_false(bawn_vdev_running(dev->vdev));
    bawn_link_resume(&l);
    turn();
    assert_true(bawn_vdev_running(dev->vdev));
}

/* A start that no process heard is taken back. */
static void test_stop_before_hello(void **state)
{
    (void)state;
    driver_start(1, V1);
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    assert_int_equal(device_status(), 0);
    assert_int_equal(serve(dev->link[1], dev->vdev), 0);
    turn();
    assert_false(bawn_vdev_running(dev->vdev));
}

/* ---- a process ---- */

static pid_t start_process(void)
{
    pid_t pid = fork();

    if (!pid) {
        alarm(60);
        /* As bawn_device_run() does it, but for the sandbox, in which sanitizers do not live. */
        if (serve(dev->link[1], dev->vdev))
            _exit(1);
        bawn_loop_run(&dev->loop);
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

/* Turns our loop until the condition holds. */
#define UNTIL(condition)                                    \
    do {                                                    \
        unsigned tries = 0;                                 \
        bool holds;                                         \
                                                            \
        while (!(holds = (condition)) && tries++ < 10000) { \
            usleep(1000);                                   \
            turn_loop(&m.loop);                             \
        }                                                   \
        assert_true(holds);                                 \
    } while (0)

static void test_process(void **state)
{
    pid_t pid = start_process();
    int status;

    (void)state;
    assert_int_equal(driver_start(1, V1), 15);
    ask();
    UNTIL(used(0, NULL));
    assert_false(is_zero());
    assert_false(bawn_vdev_running(dev->vdev)); /* it is not here that it ran */
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    ask();
    assert_false(device_status() & NEEDS_RESET);
    pid = start_process();
    UNTIL(device_status() & NEEDS_RESET);
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    UNTIL(!device_status());
    assert_int_equal(driver_start(1, V1), 15);
    ask();
    UNTIL(used(0, NULL));
    assert_int_equal(nr_distrusts, 0);
    assert_true(bawn_link_tell(dev->link[0], BAWN_LINK_EXIT));
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* It dies while the driver waits for its reset. */
static void test_dies_while_stopping(void **state)
{
    pid_t pid = start_process();

    (void)state;
    driver_start(1, V1);
    UNTIL(l.ready);
    kill(pid, SIGSTOP);
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    assert_int_equal(device_status(), 15);
    l.stop_by.tv_sec = 0; /* long ago */
    device_status();
    device_status();
    assert_int_equal(nr_distrusts, 1);
    assert_string_equal(why, "does not stop");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    pid = start_process();
    UNTIL(!device_status());
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* ---- ends that cannot be trusted ---- */

static void expect_distrust(const void *data, size_t len)
{
    unsigned before = nr_distrusts;

    l.ready = true;
    l.told = false;
    assert_int_equal(write(dev->link[1], data, len), len);
    turn_loop(&m.loop);
    assert_int_equal(nr_distrusts, before + 1);
    assert_false(l.ready);
}

static void test_hostile_device(void **state)
{
    struct bawn_link_msg msg = { .kind = 0 };
    uint8_t big[sizeof(msg) + 1] = { BAWN_LINK_STOPPED };
    static const uint32_t kinds[] = {
        0, BAWN_LINK_START, BAWN_LINK_STOP, BAWN_LINK_EXIT, BAWN_LINK_QUIT, 99, ~0u
    };

    (void)state;
    driver_start(1, V1);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        msg.kind = kinds[i];
        expect_distrust(&msg, sizeof(msg));
    }
    expect_distrust(&msg, sizeof(msg) - 1);
    expect_distrust(big, sizeof(big));
    expect_distrust(&msg, 1);
    /* What it may say changes nothing that it may not change. */
    assert_int_equal(nr_quits, 0);
    l.ready = true;
    assert_true(bawn_link_tell(dev->link[1], BAWN_LINK_STOPPED));
    turn_loop(&m.loop);
    assert_int_equal(device_status(), 15);
    l.owner.quit = quit;
    assert_true(bawn_link_tell(dev->link[1], BAWN_LINK_QUIT));
    turn_loop(&m.loop);
    assert_int_equal(nr_quits, 1);
    /* Once distrusted it is not heard. */
    l.ready = false;
    assert_true(bawn_link_tell(dev->link[1], BAWN_LINK_BROKEN));
    turn_loop(&m.loop);
    assert_int_equal(device_status(), 15);
}

/* One that does not read. */
static void test_deaf_device(void **state)
{
    (void)state;
    l.ready = true;
    while (bawn_link_tell(l.fd, BAWN_LINK_STOP))
        ;
    driver_start(1, V1);
    assert_int_equal(nr_distrusts, 1);
    assert_string_equal(why, "takes no messages");
}

static void test_hostile_machine(void **state)
{
    struct bawn_link_msg msg = { .kind = BAWN_LINK_START };
    uint32_t seed = 3;

    (void)state;
    assert_int_equal(serve(dev->link[1], dev->vdev), 0);
    for (unsigned i = 0; i < 5000; i++) {
        for (size_t at = 0; at < sizeof(msg.start); at += 4) {
            seed = seed * 1664525 + 1013904223;
            if (seed >> 30)
                memcpy((uint8_t *)&msg.start + at, &seed, 4);
        }
        msg.start.queue[0].size = (uint16_t)(1u << seed % 17);
        msg.start.queue[0].desc &= 0x7ffff0;
        msg.start.queue[0].avail &= 0x7ffffe;
        msg.start.queue[0].used &= 0x7ffffc;
        msg.start.queue[0].enabled |= 1;
        assert_true(bawn_link_send(l.fd, &msg));
        turn();
        assert_true(bawn_link_tell(l.fd, BAWN_LINK_STOP));
        turn();
        assert_false(bawn_vdev_running(dev->vdev));
    }
    assert_false(dev->loop.stop);
    assert_true(bawn_link_tell(l.fd, BAWN_LINK_STOPPED));
    turn_loop(&dev->loop);
    assert_true(dev->loop.stop);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_steps),
        TEST(test_stop_before_hello),
        TEST(test_pause),
        TEST(test_pause_before_hello),
        TEST(test_pause_lacks),
        TEST(test_process),
        TEST(test_dies_while_stopping),
        TEST(test_hostile_device),
        TEST(test_deaf_device),
        TEST(test_hostile_machine),
        TEST(test_snapshot),
        TEST(test_snapshot_early),
        TEST(test_impossible_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
