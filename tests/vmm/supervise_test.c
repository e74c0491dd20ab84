// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/supervise.c with real processes: the devices' are as always, the machine's does what a test
 * says, which may be what one would do that a guest took over.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervise.h"
#include "tests/unit/temporary.h"

static struct bawn_boot boot;
static int signal_fd;
static unsigned nr_launched, nr_ended, nr_again;
static char last_why[128];
static void (*machine)(const struct bawn_vm_parts *parts, int fd);
static bool end_when_launched, order_when_launched;
static unsigned nr_ordered;

/* ---- snapshots ---- */

#define PAGE 4096

static const struct bawn_image_key key = { true, "the key of all these tests: 32 b" };
static const char *save_to;
static bool refuse_to_save, device_left;
static char saved_why[128];

/* ---- the machine's process ---- */

_Noreturn void __wrap_bawn_machine_run(const struct bawn_vm_parts *parts, int fd, unsigned lacks,
                                       bool stats);
_Noreturn void __wrap_bawn_machine_run(const struct bawn_vm_parts *parts, int fd, unsigned lacks,
                                       bool stats)
{
    (void)lacks, (void)stats;
    alarm(60);
    machine(parts, fd);
    _exit(0);
}

static bool says_more; /* to a device, and never ends */

int __real_bawn_link_receive(int fd, struct bawn_link_msg *msg);
int __wrap_bawn_link_receive(int fd, struct bawn_link_msg *msg);
int __wrap_bawn_link_receive(int fd, struct bawn_link_msg *msg)
{
    return says_more ? 1 : __real_bawn_link_receive(fd, msg);
}

static void tell(int fd, uint32_t kind, uint32_t value, const char *text)
{
    struct bawn_tell msg = { .kind = kind, .value = value };

    memset(msg.text, 0xff, sizeof(msg.text)); /* it does not end by itself */
    memcpy(msg.text, text, strlen(text) + 1);
    while (write(fd, &msg, sizeof(msg)) != sizeof(msg))
        usleep(1000);
}

static void wait_for(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };

    poll(&p, 1, 20000);
}

static void refuses(const struct bawn_vm_parts *parts, int fd)
{
    (void)parts;
    tell(fd, BAWN_TELL_REFUSED, BAWN_OK, "nothing");
    tell(fd, BAWN_TELL_REFUSED, 99, "nothing");
    tell(fd, BAWN_TELL_REFUSED, BAWN_E_DENIED, "not \033[31mthis\" one\\\n");
    tell(fd, BAWN_TELL_REFUSED, BAWN_E_IO, "another");
}

static void powers_off(const struct bawn_vm_parts *parts, int fd)
{
    (void)parts;
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    tell(fd, BAWN_TELL_END, BAWN_END_POWEROFF, "the guest powered off");
    tell(fd, BAWN_TELL_END, BAWN_END_PANIC, "the second reason");
}

static void crashes(const struct bawn_vm_parts *parts, int fd)
{
    (void)parts;
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV); /* of no effect on the first process of a namespace, so */
    *(volatile int *)NULL = 0;
}

static void hangs(const struct bawn_vm_parts *parts, int fd)
{
    (void)parts;
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    for (;;)
        pause();
}

static void is_slow(const struct bawn_vm_parts *parts, int fd)
{
    (void)parts;
    usleep(100000);
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    wait_for(fd);
    tell(fd, BAWN_TELL_END, BAWN_END_QUIT, "the supervisor ended it");
}

static void babbles(const struct bawn_vm_parts *parts, int fd)
{
    struct bawn_tell msg;
    uint32_t seed = 5;

    (void)parts;
    for (unsigned i = 0; i < 500; i++) {
        seed = seed * 1664525 + 1013904223;
        memset(&msg, (int)(seed >> 24), sizeof(msg));
        msg.kind = seed >> 16 & 7;
        if (msg.kind == BAWN_TELL_REFUSED)
            msg.kind = 99;
        while (write(fd, &msg, seed & 1 ? sizeof(msg) : seed >> 8 & 0xff) < 0)
            usleep(1000);
    }
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    tell(fd, BAWN_TELL_DISTRUST, 99, "no such device");
    tell(fd, BAWN_TELL_END, BAWN_END_NONE, "no reason");
    tell(fd, BAWN_TELL_END, BAWN_END_FAILED + 1, "no reason");
    tell(fd, BAWN_TELL_END, BAWN_END_RESET, "a \"reset\"");
}

/* Has the device's process ended again and again, each time when it has said hello. */
static void distrusts(const struct bawn_vm_parts *parts, int fd)
{
    const struct bawn_device *dev = &parts->devices->dev[0];
    struct bawn_link_msg msg;

    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    do {
        wait_for(dev->link[0]);
        if (bawn_link_receive(dev->link[0], &msg) == 1 && msg.kind == BAWN_LINK_HELLO)
            tell(fd, BAWN_TELL_DISTRUST, 0, "did\033 not stop");
    } while (msg.kind != BAWN_LINK_BROKEN);
    /* There is none any more: a hello is given all the same, or the guest would wait for ever. */
    tell(fd, BAWN_TELL_DISTRUST, 0, "again");
    wait_for(dev->link[0]);
    if (bawn_link_receive(dev->link[0], &msg) == 1 && msg.kind == BAWN_LINK_HELLO)
        tell(fd, BAWN_TELL_END, BAWN_END_POWEROFF, "all is well");
}

/* Twice, and then no more. What it says unasked is not heard. */
static void obeys(const struct bawn_vm_parts *parts, int fd)
{
    char order = BAWN_ORDER_PAUSE;

    (void)parts;
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    for (unsigned i = 0; order != BAWN_ORDER_END; i++) {
        wait_for(fd);
        if (read(fd, &order, 1) != 1)
            continue;
        tell(fd, BAWN_TELL_DONE, BAWN_ORDER_BUTTON, "");
        tell(fd, BAWN_TELL_DONE, BAWN_ORDER_END, "");
        tell(fd, BAWN_TELL_DONE, (uint32_t)order, i < 2 ? "" : "does not\n");
    }
}

/* Says its state; or that it cannot. */
static void is_saved(const struct bawn_vm_parts *parts, int fd)
{
    char order = BAWN_ORDER_PAUSE;

    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    while (order != BAWN_ORDER_END) {
        wait_for(fd);
        if (read(fd, &order, 1) != 1)
            continue;
        if (order == BAWN_ORDER_SAVE) {
            parts->save->vcpu[0].regs.rip = 0x1234;
            parts->save->nr_devices = !device_left;
        }
        tell(fd, BAWN_TELL_DONE, (uint32_t)order,
             order == BAWN_ORDER_SAVE && refuse_to_save ? "not \"now\"" : "");
    }
}

/* ---- hot-plug: a machine whose guest obeys, or does not ---- */

#define SLOT (BAWN_SLOT_DISK + 2)
#define NO_PLACE 200u

static unsigned place_of(const struct bawn_vm_parts *parts, unsigned slot)
{
    return (unsigned)bawn_devices_place(parts->devices, slot);
}

/* The process that was forked for it says hello over the link that was there before. */
static bool has_come(const struct bawn_vm_parts *parts, const struct bawn_order_msg *order)
{
    const struct bawn_device *dev = &parts->devices->dev[order->device];
    struct bawn_link_msg msg;

    wait_for(dev->link[0]);
    return bawn_link_receive(dev->link[0], &msg) == 1 && msg.kind == BAWN_LINK_HELLO &&
           order->ops.id == 2 && order->ops.nr_queues == 1 && order->config_len > 8 &&
           order->config[0] == 16 && dev->bell[0] >= 0 && dev->slot == SLOT;
}

static void is_plugged(const struct bawn_vm_parts *parts, int fd)
{
    struct bawn_order_msg order = { .order = BAWN_ORDER_PLUG };
    unsigned nr = 0;

    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    tell(fd, BAWN_TELL_GONE, place_of(parts, SLOT), ""); /* nobody asked */
    tell(fd, BAWN_TELL_GONE, NO_PLACE, "");
    while (order.order != BAWN_ORDER_END) {
        wait_for(fd);
        if (read(fd, &order, sizeof(order)) < 1)
            continue;
        nr += order.order == BAWN_ORDER_UNPLUG;
        if (order.order == BAWN_ORDER_PLUG)
            tell(fd, BAWN_TELL_DONE, BAWN_ORDER_PLUG,
                 nr == 3                   ? "no room"
                 : has_come(parts, &order) ? ""
                                           : "nobody came");
        else if ((order.order == BAWN_ORDER_UNPLUG && nr != 2) || order.order == BAWN_ORDER_KEEP)
            tell(fd, BAWN_TELL_GONE, order.device, ""); /* the second is late, and heard */
    }
}

/* A guest that was asked before it came here. */
static void lets_go_late(const struct bawn_vm_parts *parts, int fd)
{
    tell(fd, BAWN_TELL_LAUNCHED, 0, "");
    tell(fd, BAWN_TELL_GONE, place_of(parts, SLOT), "");
    tell(fd, BAWN_TELL_END, BAWN_END_POWEROFF, "enough");
}

/* More vCPUs are there at once; none goes, and it is told when nobody waits for that any longer. */
static void is_resized(const struct bawn_vm_parts *parts, int fd)
{
    struct bawn_order_msg order = { .device = 1 };

    (void)parts;
    for (; order.device; wait_for(fd), order.device = 0, (void)!read(fd, &order, sizeof(order)))
        tell(fd, order.device == 5 ? BAWN_TELL_DONE : BAWN_TELL_LAUNCHED, BAWN_ORDER_CPUS, "");
    tell(fd, BAWN_TELL_END, BAWN_END_POWEROFF, "they stay");
}

/* ---- the supervisor ---- */

static enum bawn_status begin_to_save(void)
{
    const struct bawn_save_wish wish = { .path = save_to, .progress = -1 };

    return bawn_save_begin(&boot, &wish, &key, NULL);
}

static const char *leave_by; /* the certificate that a machine is to be sent with */
static char left_why[512];

static void left(void *opaque, const char *why)
{
    (void)opaque;
    assert_false(boot.paused);
    snprintf(left_why, sizeof(left_why), "%s", why);
    bawn_boot_end(&boot, BAWN_END_QUIT, "enough");
}

static void begin_to_leave(void)
{
    const struct bawn_move_wish wish = { .url = "tls:127.0.0.1:1",
                                         .files = { leave_by, leave_by, leave_by },
                                         .timeout = 10,
                                         .progress = -1 };
    struct bawn_error err;

    assert_int_equal(bawn_leave_begin(&boot, &wish, &err), BAWN_OK);
    assert_int_equal(bawn_leave_begin(&boot, &wish, &err), BAWN_E_IO); /* one at a time */
    assert_int_equal(begin_to_save(), BAWN_E_IO);
}

static void launched(void *opaque)
{
    (void)opaque;
    nr_launched++;
    if (end_when_launched)
        bawn_boot_end(&boot, BAWN_END_QUIT, "enough");
    if (save_to) {
        assert_int_equal(begin_to_save(), BAWN_OK);
        assert_int_equal(begin_to_save(), BAWN_E_IO);
    }
    if (leave_by)
        begin_to_leave();
    if (order_when_launched) {
        assert_true(bawn_boot_order(&boot, BAWN_ORDER_PAUSE));
        assert_false(bawn_boot_order(&boot, BAWN_ORDER_RESUME)); /* one at a time */
    }
}

static void saved(void *opaque, const char *path, const char *why)
{
    (void)opaque;
    assert_string_equal(path, save_to);
    assert_false(boot.paused); /* it goes on */
    snprintf(saved_why, sizeof(saved_why), "%s", why);
    bawn_boot_end(&boot, BAWN_END_QUIT, "enough");
}

static void ordered(void *opaque, enum bawn_order order, const char *why)
{
    static const enum bawn_order next[] = { BAWN_ORDER_PAUSE, BAWN_ORDER_RESUME, BAWN_ORDER_PAUSE };

    (void)opaque;
    assert_int_equal(order, next[nr_ordered]);
    assert_int_equal(boot.paused, nr_ordered == 0);
    assert_string_equal(why, nr_ordered == 2 ? "does not?" : "");
    if (nr_ordered++ < 2)
        assert_true(bawn_boot_order(&boot, next[nr_ordered]));
    else
        bawn_boot_end(&boot, BAWN_END_QUIT, "enough");
}

/* It comes, goes, comes again, stays when it is asked to go, goes all the same, comes, goes, and is
 * refused at last. */
static const struct {
    enum bawn_order order;
    const char *why;
    unsigned unplugged; /* so far */
} steps[] = {
    { BAWN_ORDER_PLUG, "", 0 },
    { BAWN_ORDER_UNPLUG, "", 1 },
    { BAWN_ORDER_PLUG, "", 1 },
    { BAWN_ORDER_UNPLUG, "the guest has not let go of it within 15 seconds: it stays until it does",
      1 },
    { BAWN_ORDER_PLUG, "", 2 },
    { BAWN_ORDER_UNPLUG, "", 3 },
    { BAWN_ORDER_PLUG, "no room", 3 },
};
#define NR_STEPS (sizeof(steps) / sizeof(steps[0]))
static unsigned step, nr_unplugged;

static void next_step(void)
{
    const struct itimerspec now = { .it_value.tv_nsec = 1 };
    bool plug = steps[step].order == BAWN_ORDER_PLUG;
    struct bawn_error err;

    assert_int_equal(plug ? bawn_boot_plug(&boot, SLOT, &err) : bawn_boot_unplug(&boot, SLOT, &err),
                     BAWN_OK);
    assert_int_equal(bawn_boot_plug(&boot, SLOT + 1, &err), BAWN_E_IO); /* one at a time */
    if (!plug && *steps[step].why)
        timerfd_settime(boot.order_fd, 0, &now, NULL);
}

static void launched_to_plug(void *opaque)
{
    struct bawn_error err;

    (void)opaque;
    assert_int_equal(bawn_boot_plug(&boot, 1, &err), BAWN_E_IO); /* no place */
    assert_int_equal(bawn_boot_unplug(&boot, SLOT, &err), BAWN_E_CONFIG);
    next_step();
}

static void plug_ordered(void *opaque, enum bawn_order order, const char *why)
{
    const struct bawn_device *dev = &boot.devices.dev[bawn_devices_place(&boot.devices, SLOT)];

    (void)opaque;
    assert_true(step < NR_STEPS);
    assert_int_equal(order, steps[step].order);
    assert_string_equal(why, steps[step].why);
    assert_int_equal(nr_unplugged, steps[step].unplugged);
    assert_int_equal(dev->present, order == BAWN_ORDER_PLUG || *why);
    step++;
    if (*why)
        return; /* unplugged() comes */
    next_step();
}

static void unplugged(void *opaque, unsigned slot)
{
    (void)opaque;
    assert_int_equal(slot, SLOT);
    nr_unplugged++;
    if (step == NR_STEPS)
        bawn_boot_end(&boot, BAWN_END_QUIT, "enough");
    else if (*steps[step - 1].why)
        next_step();
}

static void resize(void *opaque)
{
    (void)opaque;
    assert_int_equal(bawn_boot_cpus(&boot, nr_ordered ? 1 : 5, NULL), BAWN_OK);
}

static void resized(void *opaque, enum bawn_order order, const char *why)
{
    assert_true(order == BAWN_ORDER_CPUS && (nr_ordered ? !!strstr(why, "of all of") : !*why));
    if (nr_ordered++)
        return;
    resize(opaque);
    timerfd_settime(boot.order_fd, 0, &(struct itimerspec){ .it_value.tv_nsec = 1 }, NULL);
}

static void launched_and_saved(void *opaque)
{
    (void)opaque;
    assert_int_equal(begin_to_save(), BAWN_OK);
    bawn_boot_end(&boot, BAWN_END_QUIT, "enough");
}

static void device_ended(void *opaque, const char *device, const char *why, bool again)
{
    (void)opaque;
    assert_string_equal(device, "rng");
    nr_ended++;
    nr_again += again;
    snprintf(last_why, sizeof(last_why), "%s", why);
}

static void on_child(void *opaque)
{
    struct signalfd_siginfo info;

    (void)opaque;
    assert_int_equal(read(signal_fd, &info, sizeof(info)), sizeof(info));
    bawn_boot_reap(&boot);
}

static struct bawn_disk disk[BAWN_MAX_DISKS];
static const struct bawn_from *goes_on_from;

static void create_with(void (*what)(const struct bawn_vm_parts *parts, int fd),
                        const struct bawn_vm_config *cfg)
{
    struct bawn_launch_plan plan = { .ram[0] = { 0, 4 << 20 }, .nr_ram = 1 };
    const struct bawn_vm_parts parts = { .cfg = cfg, .plan = &plan };
    static const struct bawn_backends backends = { .disk = disk };
    const struct bawn_boot_ops ops = { launched, device_ended, ordered, saved, NULL, left, NULL };

    machine = what;
    nr_launched = nr_ordered = nr_ended = nr_again = 0;
    assert_int_equal(bawn_boot_create(&boot, &parts, &backends, false, &ops, goes_on_from, NULL),
                     BAWN_OK);
    memset(boot.mem.range[0].host + PAGE, 0x5a, PAGE);
    assert_true(bawn_loop_watch(&boot.loop, signal_fd, true, on_child, NULL) >= 0);
}

static void create(void (*what)(const struct bawn_vm_parts *parts, int fd))
{
    static const struct bawn_vm_config cfg = { .rng = true,
                                               .vcpus = 1,
                                               .hotplug = BAWN_HOTPLUG_OFF };

    create_with(what, &cfg);
}

/* Until the end; nobody is left then. */
static void finish(void)
{
    bawn_boot_run(&boot);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    bawn_boot_destroy(&boot);
}

static void run(void (*what)(const struct bawn_vm_parts *parts, int fd))
{
    create(what);
    finish();
}

static void test_refused(void **state)
{
    (void)state;
    run(refuses);
    assert_int_equal(boot.status, BAWN_E_DENIED);
    assert_string_equal(boot.err.msg, "not ?[31mthis? one??");
    assert_int_equal(nr_launched, 0);
}

static void test_end(void **state)
{
    (void)state;
    run(powers_off);
    assert_int_equal(boot.status, BAWN_OK);
    assert_int_equal(boot.end, BAWN_END_POWEROFF);
    assert_string_equal(boot.end_msg, "the guest powered off");
    assert_int_equal(nr_launched, 1);
    assert_int_equal(nr_ended, 0);
}

static void test_crash(void **state)
{
    (void)state;
    run(crashes);
    assert_int_equal(boot.end, BAWN_END_FAILED);
    assert_string_equal(boot.end_msg, "the machine's process was killed by signal 11");
}

static void test_hang(void **state)
{
    (void)state;
    end_when_launched = true;
    run(hangs);
    end_when_launched = false;
    assert_int_equal(boot.end, BAWN_END_QUIT);
    assert_string_equal(boot.end_msg, "enough");
}

static void test_order(void **state)
{
    (void)state;
    order_when_launched = true;
    run(obeys);
    order_when_launched = false;
    assert_int_equal(nr_ordered, 3);
    assert_string_equal(boot.end_msg, "enough");
    assert_false(bawn_boot_order(&boot, BAWN_ORDER_PAUSE));
}

/* A time limit that ends before the launch: the launch is still told. */
static void test_time_limit(void **state)
{
    (void)state;
    create(is_slow);
    bawn_boot_end(&boot, BAWN_END_TIMEOUT, "too long");
    finish();
    assert_int_equal(nr_launched, 1);
    assert_int_equal(boot.end, BAWN_END_TIMEOUT);
}

static void test_babble(void **state)
{
    (void)state;
    run(babbles);
    assert_int_equal(nr_launched, 1);
    assert_true(boot.end > BAWN_END_NONE && boot.end <= BAWN_END_FAILED);
    for (const char *c = boot.end_msg; *c; c++)
        assert_true(*c >= ' ' && *c <= '~' && *c != '"' && *c != '\\');
}

static void test_distrust(void **state)
{
    (void)state;
    run(distrusts);
    assert_int_equal(boot.end, BAWN_END_POWEROFF);
    assert_string_equal(boot.end_msg, "all is well");
    assert_in_range(nr_ended, 2, 100);
    assert_int_equal(nr_again, nr_ended - 1);
    assert_string_equal(last_why, "did? not stop");
}

/* A machine's process that goes on talking to a device that has ended holds nobody up. */
static void test_drain(void **state)
{
    static struct bawn_boot b;

    (void)state;
    says_more = true;
    bawn_boot_drain(&b, 0);
    says_more = false;
}

static void check_saved(const char *path)
{
    static struct bawn_state state;
    struct bawn_snapshot s;
    uint8_t page[PAGE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(bawn_snapshot_open(&s, fd, &key, NULL), BAWN_OK);
    assert_non_null(strstr(s.config, "rng"));
    assert_int_equal(bawn_image_get(&s.image, s.state_at, &state, s.head.state_len, NULL), BAWN_OK);
    assert_int_equal(state.vcpu[0].regs.rip, 0x1234);
    assert_int_equal(s.image.size, s.pages_at + PAGE);
    assert_int_equal(bawn_image_get(&s.image, s.pages_at, page, PAGE, NULL), BAWN_OK);
    assert_int_equal(page[PAGE - 1], 0x5a);
    bawn_snapshot_close(&s);
    close(fd);
}

/* A real process writes the image; a file is there with all of it, or not at all. */
static void test_save(void **state)
{
    char dir[64], path[80];

    (void)state;
    assert_non_null(mkdtemp(temporary(dir, sizeof(dir), "save")));
    snprintf(path, sizeof(path), "%s/image", dir);
    save_to = path;
    refuse_to_save = true;
    run(is_saved);
    assert_string_equal(saved_why, "not ?now?");
    assert_int_equal(rmdir(dir), 0); /* nothing is left there */
    assert_int_equal(mkdir(dir, 0700), 0);
    refuse_to_save = false;
    device_left = true; /* with the configuration, which has it, nobody could go on */
    run(is_saved);
    assert_string_equal(saved_why, "a device has just left the machine: try again");
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    device_left = false;
    run(is_saved);
    assert_string_equal(saved_why, "");
    check_saved(path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    save_to = NULL;
}

/* A machine that cannot be sent goes on as if nothing had been. */
static void test_not_sent(void **state)
{
    (void)state;
    leave_by = "/nonexistent/cert.pem";
    run(is_slow);
    leave_by = NULL;
    assert_non_null(strstr(left_why, "/nonexistent/cert.pem"));
    assert_int_equal(boot.end, BAWN_END_QUIT);
}

/* Refused before anything is opened. */
static void test_save_refused(void **state)
{
    static const struct bawn_vm_config confidential = { .snp.on = true }, plain;
    static struct bawn_boot b;
    struct bawn_save_wish nowhere = { .path = "/nonexistent/x", .progress = -1 };
    struct bawn_error err;

    (void)state;
    b.parts.cfg = &confidential;
    assert_int_equal(bawn_save_begin(&b, &nowhere, &key, &err), BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "confidential machine"));
    b.parts.cfg = &plain;
    b.pager_pid = 1; /* memory that is not there yet would be saved as zero */
    assert_int_equal(bawn_save_begin(&b, &nowhere, &key, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "still being read"));
    b.pager_pid = 0;
    assert_int_equal(bawn_save_begin(&b, &nowhere, &key, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "/nonexistent/x"));
    nowhere.base = "/nonexistent/base";
    assert_int_equal(bawn_save_begin(&b, &nowhere, &key, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "/nonexistent/base"));
}

/* The machine ends first, whatever the snapshot has come to. */
static void test_save_and_end(void **state)
{
    char dir[64], path[80];

    (void)state;
    assert_non_null(mkdtemp(temporary(dir, sizeof(dir), "save")));
    snprintf(path, sizeof(path), "%s/image", dir);
    save_to = path;
    end_when_launched = true;
    create(hangs);
    boot.ops.launched = launched_and_saved;
    finish();
    assert_string_equal(saved_why, "the machine ended");
    assert_int_equal(rmdir(dir), 0);
    end_when_launched = false;
    save_to = NULL;
}

static void test_plug(void **state)
{
    static const struct bawn_vm_config cfg = { .vcpus = 1 };

    (void)state;
    disk[SLOT - BAWN_SLOT_DISK].fd = memfd_create("disk", MFD_CLOEXEC);
    assert_true(disk[SLOT - BAWN_SLOT_DISK].fd >= 0);
    disk[SLOT - BAWN_SLOT_DISK].sectors = 16;
    create_with(is_plugged, &cfg);
    boot.ops.launched = launched_to_plug;
    boot.ops.ordered = plug_ordered;
    boot.ops.unplugged = unplugged;
    finish();
    assert_int_equal(step, NR_STEPS);
    assert_int_equal(nr_unplugged, 4);
    assert_int_equal(nr_ended, 0);
    assert_string_equal(boot.end_msg, "enough");
    close(disk[SLOT - BAWN_SLOT_DISK].fd);
}

/* The guest lets go of what it was asked for before it was saved, and of nothing else. */
static void test_asked_before(void **state)
{
    struct bawn_disk_config one = { .path = (char *)"disk", .slot = SLOT };
    struct bawn_vm_config cfg = { .vcpus = 1, .nr_disks = 1 };
    static struct bawn_state saved = { .size = sizeof(saved) };
    const struct bawn_from from = { .state = &saved };

    (void)state;
    cfg.disk[0] = one;
    disk[SLOT - BAWN_SLOT_DISK].fd = memfd_create("disk", MFD_CLOEXEC);
    disk[SLOT - BAWN_SLOT_DISK].sectors = 16;
    goes_on_from = &from;
    for (unsigned asked = 0; asked < 2; asked++) {
        saved.slots.bank[0].asked = asked ? 1u << SLOT : 1u << (SLOT + 1) | 1;
        create_with(lets_go_late, &cfg);
        boot.ops.unplugged = NULL;
        finish();
        assert_int_equal(boot.child[SLOT - BAWN_SLOT_DISK].gone, asked);
    }
    goes_on_from = NULL;
    close(disk[SLOT - BAWN_SLOT_DISK].fd);
}

static void retracted(void *opaque, unsigned slot)
{
    (void)opaque;
    assert_int_equal(slot, SLOT);
    nr_unplugged++;
}

/* One whose process has ended already, and whom the machine refuses. */
static void test_retract(void **state)
{
    static const struct bawn_ram ram = { 0, 2 << 20 };
    static const struct bawn_backends backends = { .disk = disk };
    const struct bawn_vm_config cfg = { .vcpus = 1 };
    static struct bawn_boot b;
    int place;

    (void)state;
    nr_unplugged = 0;
    b.ops.unplugged = retracted;
    disk[SLOT - BAWN_SLOT_DISK].fd = memfd_create("disk", MFD_CLOEXEC);
    disk[SLOT - BAWN_SLOT_DISK].sectors = 16;
    assert_int_equal(bawn_mem_create(&b.mem, &ram, 1, BAWN_PAGES_SMALL, NULL), BAWN_OK);
    assert_int_equal(bawn_devices_create(&b.devices, &cfg, &b.mem, &backends), 0);
    place = bawn_devices_place(&b.devices, SLOT);
    assert_true(place >= 0);
    assert_int_equal(bawn_devices_plug(&b.devices, (unsigned)place, &b.mem, &backends), 0);
    bawn_plug_retract(&b, (unsigned)place);
    assert_int_equal(nr_unplugged, 1);
    assert_false(b.devices.dev[place].present);
    bawn_devices_destroy(&b.devices);
    bawn_mem_destroy(&b.mem);
    close(disk[SLOT - BAWN_SLOT_DISK].fd);
}

static void test_vcpus(void **state)
{
    (void)state;
    create(is_resized);
    boot.ops.launched = resize;
    boot.ops.ordered = resized;
    finish();
    assert_string_equal(boot.end_msg, "they stay");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_end),
        cmocka_unit_test(test_crash),        cmocka_unit_test(test_hang),
        cmocka_unit_test(test_time_limit),   cmocka_unit_test(test_babble),
        cmocka_unit_test(test_distrust),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_save),         cmocka_unit_test(test_save_and_end),
        cmocka_unit_test(test_not_sent),     cmocka_unit_test(test_save_refused),
        cmocka_unit_test(test_drain),        cmocka_unit_test(test_plug),
        cmocka_unit_test(test_asked_before), cmocka_unit_test(test_retract),
        cmocka_unit_test(test_vcpus),
    };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
