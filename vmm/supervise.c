// SPDX-License-Identifier: Apache-2.0
/*
 * Forks a machine's processes, hears them and ends them. What they say is not trusted: a guest that
 * took one over must not reach the person at the terminal, nor other processes.
 */
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

#define STARTS_MAX 16  /* of a device's process in one boot */
#define GRACE 2        /* seconds that processes may take to end */
#define DRAIN_MAX 1024 /* messages: more than a socket holds */
#define ORDER_LIMIT 15 /* and to do what they are told: a disk's flush may be under way */

/* ---- children ---- */

/* What fork() gave. The child ends with this process. */
static pid_t begin_child(pid_t pid, pid_t parent, const char *name, bool apart)
{
    char comm[16];

    if (pid)
        return pid;
    bawn_term_forget();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!apart && getppid() != parent) /* in a namespace of its own it sees none */
        _exit(1);
    snprintf(comm, sizeof(comm), "bawn:%s", name);
    prctl(PR_SET_NAME, comm);
    return 0;
}

static pid_t spawn(const char *name, bool *apart)
{
    pid_t parent = getpid(), pid = bawn_sandbox_fork(apart);

    return begin_child(pid, parent, name, *apart);
}

pid_t bawn_boot_spawn(const char *name)
{
    bool apart;

    return spawn(name, &apart);
}

pid_t bawn_boot_spawn_here(const char *name)
{
    pid_t parent = getpid();

    return begin_child(fork(), parent, name, false);
}

/* In a child. Without the pager it would take memory that is not there yet for zero. */
static void join_pager(const struct bawn_boot *b)
{
    if (b->pager_pid && !bawn_pager_join(&b->pager))
        _exit(1);
}

static bool start_pager(struct bawn_boot *b)
{
    if (!b->pager.snapshot)
        return true;
    b->pager_pid = bawn_boot_spawn("pager");
    if (!b->pager_pid)
        bawn_pager_run(&b->pager, &b->shared->why);
    if (b->pager_pid < 0) {
        b->pager_pid = 0;
        return false;
    }
    close(b->pager.link[0]); /* when it ends, who writes to it notices */
    b->pager.link[0] = -1;
    return true;
}

static void reap_pager(struct bawn_boot *b)
{
    int status;

    if (!b->pager_pid || waitpid(b->pager_pid, &status, WNOHANG) <= 0)
        return;
    b->pager_pid = 0;
    if (WIFEXITED(status) && !WEXITSTATUS(status)) {
        bawn_pager_close(&b->pager);
        return;
    }
    bawn_boot_clean(b->shared->why.msg, sizeof(b->shared->why.msg));
    bawn_boot_end(b, BAWN_END_FAILED, "the guest's memory cannot be read: %.200s",
                  WIFEXITED(status) ? b->shared->why.msg : "the pager's process was killed");
}

bool bawn_boot_start(struct bawn_boot *b, unsigned i)
{
    struct bawn_device *dev = &b->devices.dev[i];
    bool apart;
    pid_t pid;

    b->child[i].starts++;
    b->child[i].distrust[0] = '\0';
    pid = spawn(dev->name, &apart);
    if (!pid) {
        join_pager(b);
        munmap(b->shared,
               sizeof(*b->shared)); /* the machine's registers are no device's business */
        bawn_device_run(dev);
    }
    b->child[i].pid = pid > 0 ? pid : 0;
    return pid > 0;
}

static bool start_machine(struct bawn_boot *b)
{
    bool apart;

    b->machine = spawn("machine", &apart);
    if (!b->machine)
        join_pager(b);
    if (!b->machine)
        bawn_machine_run(&b->parts, b->control[1], apart ? 0 : BAWN_LACKS_NAMESPACES, b->stats);
    if (b->machine > 0)
        return true;
    b->machine = 0;
    return false;
}

static bool any_left(const struct bawn_boot *b)
{
    for (unsigned i = 0; i < b->devices.nr; i++) {
        if (b->child[i].pid)
            return true;
    }
    return b->machine;
}

/* In words, for a person. */
static void say_status(char *to, size_t room, int status)
{
    if (WIFEXITED(status))
        snprintf(to, room, "ended with status %d", WEXITSTATUS(status));
    else if (WTERMSIG(status) == SIGSYS)
        snprintf(to, room, "was killed: it made a system call that its policy forbids");
    else
        snprintf(to, room, "was killed by signal %d", WTERMSIG(status));
}

/* ---- the end ---- */

static void set_timer(int fd, unsigned seconds)
{
    const struct itimerspec when = { .it_value.tv_sec = seconds };

    timerfd_settime(fd, 0, &when, NULL);
}

static void end_devices(struct bawn_boot *b)
{
    for (unsigned i = 0; i < b->devices.nr; i++) {
        /* One that does not read hears nothing: its time is limited. */
        if (b->child[i].pid)
            bawn_link_tell(b->devices.dev[i].link[0], BAWN_LINK_EXIT);
    }
    set_timer(b->grace_fd, GRACE);
}

static bool tell_machine(struct bawn_boot *b, enum bawn_order order)
{
    char byte = (char)order;

    return write(b->control[0], &byte, 1) == 1;
}

/* The machine first: its guest may be waiting for its devices. */
static void begin_end(struct bawn_boot *b)
{
    /* A time limit is the guest's, which has not begun. */
    if (b->ending || (b->end == BAWN_END_TIMEOUT && b->machine && !b->launched))
        return;
    b->ending = true;
    if (b->machine)
        tell_machine(b, BAWN_ORDER_END);
    set_timer(b->grace_fd, GRACE);
}

static void on_grace(void *opaque)
{
    struct bawn_boot *b = opaque;
    uint64_t ignored;

    (void)!read(b->grace_fd, &ignored, sizeof(ignored));
    if (b->machine) {
        kill(b->machine, SIGKILL);
        return;
    }
    for (unsigned i = 0; i < b->devices.nr; i++) {
        if (b->child[i].pid)
            kill(b->child[i].pid, SIGKILL);
    }
}

void bawn_boot_end(struct bawn_boot *b, enum bawn_end why, const char *fmt, ...)
{
    va_list ap;

    if (b->end == BAWN_END_NONE) {
        b->end = why;
        va_start(ap, fmt);
        vsnprintf(b->end_msg, sizeof(b->end_msg), fmt, ap);
        va_end(ap);
    }
    begin_end(b);
}

/* ---- orders ---- */

bool bawn_boot_obeys(const struct bawn_boot *b)
{
    return b->launched && !b->ending && b->order == BAWN_ORDER_END;
}

bool bawn_boot_give(struct bawn_boot *b, const struct bawn_order_msg *msg, size_t len)
{
    if (!bawn_boot_obeys(b) || write(b->control[0], msg, len) != (ssize_t)len)
        return false;
    b->order = msg->order;
    b->order_device = msg->device;
    set_timer(b->order_fd, ORDER_LIMIT);
    return true;
}

unsigned bawn_boot_devices(const struct bawn_boot *b)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < b->devices.nr; i++)
        nr += b->devices.dev[i].present;
    return nr;
}

bool bawn_boot_order(struct bawn_boot *b, enum bawn_order order)
{
    return bawn_boot_give(b, &(struct bawn_order_msg){ .order = (uint8_t)order }, 1);
}

bool bawn_boot_configure(struct bawn_boot *b, const struct bawn_vdev *dev, const void *config,
                         unsigned len)
{
    struct bawn_order_msg msg = { .order = BAWN_ORDER_CONFIG, .config_len = (uint16_t)len };

    while (msg.device < b->devices.nr && b->devices.dev[msg.device].vdev != dev)
        msg.device++;
    if (msg.device == b->devices.nr || len > sizeof(msg.config))
        return false;
    memcpy(msg.config, config, len);
    return bawn_boot_give(b, &msg, sizeof(msg));
}

void bawn_boot_ordered(struct bawn_boot *b, const char *why)
{
    enum bawn_order order = b->order;

    set_timer(b->order_fd, 0);
    b->order = BAWN_ORDER_END;
    if (!*why && (order == BAWN_ORDER_PAUSE || order == BAWN_ORDER_RESUME))
        b->paused = order == BAWN_ORDER_PAUSE;
    if (!*why && (order == BAWN_ORDER_TRACK || order == BAWN_ORDER_LEAVE))
        b->tracked.on = order == BAWN_ORDER_TRACK;
    if (*why && order == BAWN_ORDER_PLUG)
        bawn_plug_retract(b, b->order_device);
    if (!bawn_save_ordered(b, order, why) && !bawn_leave_ordered(b, order, why))
        b->ops.ordered(b->ops.opaque, order, why);
}

static void on_order_limit(void *opaque)
{
    struct bawn_boot *b = opaque;
    char why[96];
    uint64_t ignored;

    (void)!read(b->order_fd, &ignored, sizeof(ignored));
    if (b->order == BAWN_ORDER_END)
        return;
    if (b->order == BAWN_ORDER_UNPLUG && !bawn_plug_give_up(b))
        return;
    if (b->order == BAWN_ORDER_PAUSE)
        tell_machine(b, BAWN_ORDER_RESUME); /* its answer is nobody's */
    if (b->order == BAWN_ORDER_CPUS)
        tell_machine(b, BAWN_ORDER_CPUS);
    snprintf(why, sizeof(why),
             b->order == BAWN_ORDER_UNPLUG
                 ? "the guest has not let go of it within %d seconds: it stays until it does"
             : b->order == BAWN_ORDER_CPUS
                 ? "the guest has not let go of all of them within %d seconds: what is left stays "
                   "until it does"
                 : "a process did not answer within %d seconds",
             ORDER_LIMIT);
    bawn_boot_ordered(b, why);
}

/* ---- what the machine says ---- */

void bawn_boot_clean(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (; *text; text++) {
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            *text = '?';
    }
}

static void on_refused(struct bawn_boot *b, struct bawn_tell *msg)
{
    if (b->status || msg->value == BAWN_OK || msg->value > BAWN_E_INTERNAL)
        return;
    b->status = msg->value;
    memcpy(b->err.msg, msg->text, sizeof(b->err.msg));
    begin_end(b);
}

static void on_distrust(struct bawn_boot *b, struct bawn_tell *msg)
{
    unsigned i = msg->value;

    if (i >= b->devices.nr)
        return;
    if (!b->devices.dev[i].present)
        return;
    if (b->child[i].pid) {
        snprintf(b->child[i].distrust, sizeof(b->child[i].distrust), "%.60s", msg->text);
        kill(b->child[i].pid, SIGKILL);
    } else {
        /* There will be no other: let the guest's driver go on without. */
        bawn_link_tell(b->devices.dev[i].link[1], BAWN_LINK_HELLO);
    }
}

/* Whether there was something to hear. */
static bool hear(struct bawn_boot *b)
{
    struct bawn_tell msg;
    ssize_t n = read(b->control[0], &msg, sizeof(msg));

    if (n != sizeof(msg))
        return n >= 0;
    bawn_boot_clean(msg.text, sizeof(msg.text));
    switch (msg.kind) {
    case BAWN_TELL_LAUNCHED:
        memcpy(b->digest, msg.digest, sizeof(b->digest));
        if (b->launched)
            break;
        b->lacks = msg.value;
        b->launched = true;
        b->paused = b->parts.hold;
        b->ops.launched(b->ops.opaque);
        if (b->end != BAWN_END_NONE)
            begin_end(b);
        break;
    case BAWN_TELL_REFUSED:
        on_refused(b, &msg);
        break;
    case BAWN_TELL_END:
        if (msg.value > BAWN_END_NONE && msg.value <= BAWN_END_FAILED)
            bawn_boot_end(b, msg.value, "%.200s", msg.text);
        break;
    case BAWN_TELL_DISTRUST:
        on_distrust(b, &msg);
        break;
    case BAWN_TELL_GONE:
        bawn_plug_gone(b, msg.value);
        break;
    case BAWN_TELL_DONE:
        if (msg.value == b->order && b->order != BAWN_ORDER_END)
            bawn_boot_ordered(b, msg.text);
        break;
    }
    return true;
}

static void on_tell(void *opaque)
{
    hear(opaque);
}

/* ---- processes that end ---- */

void bawn_boot_drain(struct bawn_boot *b, unsigned i)
{
    struct bawn_link_msg msg;

    /* Who goes on saying more is not waited for. */
    for (unsigned n = 0; n < DRAIN_MAX && bawn_link_receive(b->devices.dev[i].link[1], &msg) > 0;
         n++)
        ;
}

static void device_ended(struct bawn_boot *b, unsigned i, int status)
{
    const char *why = b->child[i].distrust;
    char text[80];
    bool again = false;

    b->child[i].pid = 0;
    if (b->ending || bawn_plug_ended(b, i))
        return;
    say_status(text, sizeof(text), status);
    if (b->child[i].starts < STARTS_MAX) {
        bawn_boot_drain(b, i);
        again = bawn_boot_start(b, i);
        why = *why ? why : text;
    }
    if (!again)
        bawn_link_tell(b->devices.dev[i].link[1], BAWN_LINK_BROKEN);
    b->ops.device_ended(b->ops.opaque, b->devices.dev[i].name, *why ? why : text, again);
}

static void machine_ended(struct bawn_boot *b, int status)
{
    char text[80];

    b->machine = 0;
    while (hear(b)) /* its last words may still be there */
        ;
    say_status(text, sizeof(text), status);
    if (!b->ending)
        bawn_boot_end(b, BAWN_END_FAILED, "the machine's process %s", text);
    end_devices(b);
}

void bawn_boot_reap(struct bawn_boot *b)
{
    int status;

    if (b->machine && waitpid(b->machine, &status, WNOHANG) > 0)
        machine_ended(b, status);
    for (unsigned i = 0; i < b->devices.nr; i++) {
        if (b->child[i].pid && waitpid(b->child[i].pid, &status, WNOHANG) > 0)
            device_ended(b, i, status);
    }
    bawn_save_reap(b);
    bawn_leave_reap(b);
    reap_pager(b);
    if (!any_left(b))
        bawn_loop_stop(&b->loop);
}

/* ---- life ---- */

/* What the guest of a machine from elsewhere was asked to let go of there. */
static void still_asked(struct bawn_boot *b)
{
    uint32_t asked = b->parts.from ? b->parts.from->slots.bank[0].asked : 0;

    for (unsigned i = 0; i < b->devices.nr; i++) {
        const struct bawn_device *dev = &b->devices.dev[i];

        b->child[i].asked = dev->pluggable && dev->present && asked & 1u << dev->slot;
    }
}

static enum bawn_status make_memory(struct bawn_boot *b, const struct bawn_from *from,
                                    struct bawn_error *err)
{
    const struct bawn_launch_plan *plan = b->parts.plan;
    const struct bawn_snp_input *snp = b->parts.snp;

    if (from && from->mem) {
        b->mem = *from->mem;
        *from->mem = (struct bawn_mem){ .faults = -1 };
        return BAWN_OK;
    }
    /* Of a confidential guest most is private, and the module's. */
    return snp ? bawn_mem_create(&b->mem, snp->launch.ram, snp->launch.nr_ram, false, err)
               : bawn_mem_create(&b->mem, plan->ram, plan->nr_ram, bawn_mem_pages_of(b->parts.cfg),
                                 err);
}

/* They outlive the processes that count, which are not trusted to count right. */
static enum bawn_status make_counters(struct bawn_boot *b, struct bawn_error *err)
{
    b->counters =
        mmap(NULL, sizeof(*b->counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b->counters == MAP_FAILED) {
        b->counters = NULL;
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for counters");
    }
    b->parts.counters = b->counters;
    return BAWN_OK;
}

/* Where a snapshot's state stands, and for a machine from one its memory. */
static enum bawn_status make_state(struct bawn_boot *b, const struct bawn_from *from,
                                   struct bawn_error *err)
{
    enum bawn_status st;

    b->shared =
        mmap(NULL, sizeof(*b->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b->shared == MAP_FAILED) {
        b->shared = NULL;
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the machine's state");
    }
    b->parts.save = &b->shared->state;
    b->parts.from = from ? &b->shared->state : NULL;
    if (from && from->state)
        memcpy(&b->shared->state, from->state, from->state->size);
    if (!from || from->state)
        return BAWN_OK;
    st = bawn_snapshot_state(from->snapshot, &b->shared->state,
                             bawn_vm_config_max_vcpus(b->parts.cfg), err);
    if (st)
        return st;
    if (!from->read_first && !b->parts.cfg->hugepages && bawn_pager_open(&b->pager))
        return bawn_pager_prepare(&b->pager, from->snapshot, &b->mem, err);
    return bawn_snapshot_memory(from->snapshot, &b->mem, &from->progress, err);
}

static enum bawn_status make_wires(struct bawn_boot *b, struct bawn_error *err)
{
    int rc = bawn_loop_init(&b->loop, &b->lock);

    if (rc)
        return bawn_fail(err, BAWN_E_IO, "eventfd: %s", strerror(-rc));
    b->grace_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    b->order_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (b->grace_fd < 0 || b->order_fd < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, b->control))
        return bawn_fail(err, BAWN_E_IO, "cannot reach the machine's process: %m");
    bawn_loop_watch(&b->loop, b->grace_fd, true, on_grace, b);
    bawn_loop_watch(&b->loop, b->order_fd, true, on_order_limit, b);
    bawn_loop_watch(&b->loop, b->control[0], true, on_tell, b);
    return BAWN_OK;
}

static enum bawn_status start_all(struct bawn_boot *b, struct bawn_error *err)
{
    bool all = start_pager(b) && start_machine(b);

    if (all) { /* what it is built from is the machine's alone now */
        bawn_images_forget(b->parts.images);
        bawn_launch_plan_free(b->parts.plan);
        bawn_trim();
    }
    for (unsigned i = 0; all && i < b->devices.nr; i++)
        all = !b->devices.dev[i].present || bawn_boot_start(b, i);
    if (all)
        return BAWN_OK;
    bawn_fail(err, BAWN_E_IO, "cannot make a process: %m");
    if (b->machine && !kill(b->machine, SIGKILL))
        waitpid(b->machine, NULL, 0);
    for (unsigned i = 0; i < b->devices.nr; i++) {
        if (b->child[i].pid && !kill(b->child[i].pid, SIGKILL))
            waitpid(b->child[i].pid, NULL, 0);
    }
    return BAWN_E_IO;
}

enum bawn_status bawn_boot_create(struct bawn_boot *b, const struct bawn_vm_parts *parts,
                                  const struct bawn_backends *backends, bool stats,
                                  const struct bawn_boot_ops *ops, const struct bawn_from *from,
                                  struct bawn_error *err)
{
    enum bawn_status st;
    int rc;

    if (b->parts.cfg) /* else it is zero, and most of it no memory yet */
        memset(b, 0, offsetof(struct bawn_boot, devices));
    b->parts = *parts;
    b->parts.mem = &b->mem;
    b->parts.devices = &b->devices;
    b->backends = backends;
    b->ops = *ops;
    b->stats = stats;
    b->pager.device = b->pager.link[0] = b->pager.link[1] = -1;
    b->loop.wake_fd = b->grace_fd = b->order_fd = b->control[0] = b->control[1] = -1;
    pthread_mutex_init(&b->lock, NULL);
    st = make_wires(b, err);
    if (!st) /* of a machine that was sent away they may be another's */
        st = bawn_leave_lock(b, true, err);
    if (!st)
        st = make_memory(b, from, err);
    if (!st)
        st = make_counters(b, err);
    if (!st)
        st = make_state(b, from, err);
    if (!st && parts->cfg->tpm)
        st = bawn_swtpm_reset(backends->swtpm, err);
    rc = st ? 0 : bawn_devices_create(&b->devices, parts->cfg, &b->mem, backends);
    if (rc)
        st = bawn_fail(err, BAWN_E_IO, "cannot create the devices: %s", strerror(-rc));
    for (unsigned i = 0; i < b->devices.nr; i++) {
        if (b->devices.dev[i].vdev)
            b->devices.dev[i].vdev->count = &b->counters->device[i];
    }
    still_asked(b);
    if (!st)
        st = start_all(b, err);
    if (st)
        bawn_boot_destroy(b);
    return st;
}

void bawn_boot_run(struct bawn_boot *b)
{
    bawn_boot_reap(b); /* what ended before somebody listened */
    bawn_loop_run(&b->loop);
}

void bawn_boot_destroy(struct bawn_boot *b)
{
    bawn_save_cancel(b);
    bawn_leave_cancel(b);
    if (b->pager_pid && !kill(b->pager_pid, SIGKILL))
        waitpid(b->pager_pid, NULL, 0);
    bawn_pager_close(&b->pager);
    if (b->shared)
        munmap(b->shared, sizeof(*b->shared));
    bawn_devices_destroy(&b->devices);
    bawn_mem_destroy(&b->mem);
    for (unsigned i = 0; i < 2; i++) {
        if (b->control[i] >= 0)
            close(b->control[i]);
    }
    if (b->grace_fd >= 0)
        close(b->grace_fd);
    if (b->order_fd >= 0)
        close(b->order_fd);
    if (b->counters)
        munmap(b->counters, sizeof(*b->counters));
    bawn_loop_destroy(&b->loop);
    pthread_mutex_destroy(&b->lock);
}
