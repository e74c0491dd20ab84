// SPDX-License-Identifier: Apache-2.0
/*
 * The machine's process. What the supervisor says is trusted, what devices say is not (link.c).
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "track.h"

static struct bawn_vm vm;

static void tell(int fd, enum bawn_tell_kind kind, uint32_t value, const char *text)
{
    struct bawn_tell msg = { .kind = kind, .value = value };

    memcpy(msg.digest, vm.digest, sizeof(msg.digest));
    if (text) /* no printf, whose code nothing else here needs from here on */
        memcpy(msg.text, text, strnlen(text, sizeof(msg.text) - 1));
    /* A supervisor that is gone takes this process with it. */
    (void)!write(fd, &msg, sizeof(msg));
}

static enum bawn_status save(struct bawn_error *err)
{
    enum bawn_status st;

    if (!vm.paused)
        return bawn_fail(err, BAWN_E_IO, "it is not paused");
    for (unsigned i = 0; i < vm.parts->devices->nr; i++) {
        if (vm.link[i].lacks)
            return bawn_fail(err, BAWN_E_IO,
                             "not all that the guest wrote to %s is on its storage, which is full, "
                             "or fails",
                             vm.parts->devices->dev[i].name);
    }
    st = bawn_state_save(&vm, vm.parts->save, err);
    return st ? st : bawn_track_harvest(&vm, err);
}

/* What needs no more than a word of how it went. */
static void carry_out(int fd, enum bawn_order order)
{
    static struct bawn_error err;
    enum bawn_status st = order == BAWN_ORDER_SAVE ? save(&err)
                          : order == BAWN_ORDER_TAKE
                              ? bawn_track_harvest(&vm, &err)
                              : bawn_track(&vm, order == BAWN_ORDER_TRACK, &err);

    if (order == BAWN_ORDER_TRACK)
        bawn_state_facts(&vm, vm.parts->save);
    tell(fd, BAWN_TELL_DONE, order, st ? err.msg : "");
}

static const char *plug(const struct bawn_order_msg *msg)
{
    struct bawn_vdev dev = { .offered = msg->features, .config = msg->config };
    int rc;

    dev.config_len = msg->config_len;
    rc = bawn_vm_plug(&vm, msg->device, &msg->ops, &dev);
    return rc ? strerror(-rc) : "";
}

static void on_order(void *opaque)
{
    int fd = *(const int *)opaque;
    struct bawn_order_msg msg = { .order = BAWN_ORDER_END }; /* as is the supervisor's end */

    (void)!read(fd, &msg, sizeof(msg));
    switch (msg.order) {
    case BAWN_ORDER_PAUSE:
        if (!bawn_vm_pause(&vm))
            tell(fd, BAWN_TELL_DONE, BAWN_ORDER_PAUSE, "a vCPU does not stop");
        return;
    case BAWN_ORDER_RESUME:
        bawn_vm_resume(&vm);
        break;
    case BAWN_ORDER_BUTTON:
        bawn_vm_press(&vm);
        break;
    case BAWN_ORDER_CONFIG:
        bawn_virtio_config(&vm.virtio[msg.device], msg.config, msg.config_len);
        break;
    case BAWN_ORDER_PLUG:
        tell(fd, BAWN_TELL_DONE, msg.order, plug(&msg));
        return;
    case BAWN_ORDER_UNPLUG:
    case BAWN_ORDER_KEEP:
        bawn_vm_unplug(&vm, msg.device, msg.order == BAWN_ORDER_UNPLUG);
        return;
    case BAWN_ORDER_CPUS:
        if (!bawn_vm_cpus(&vm, msg.device))
            return; /* the guest decides when */
        break;
    case BAWN_ORDER_SAVE:
    case BAWN_ORDER_TRACK:
    case BAWN_ORDER_TAKE:
    case BAWN_ORDER_LEAVE:
        carry_out(fd, (enum bawn_order)msg.order);
        return;
    default:
        bawn_vm_end(&vm, BAWN_END_QUIT, "the supervisor ended it");
        return;
    }
    tell(fd, BAWN_TELL_DONE, msg.order, "");
}

static void paused(void *opaque)
{
    tell(*(const int *)opaque, BAWN_TELL_DONE, BAWN_ORDER_PAUSE, "");
}

static void gone(void *opaque, unsigned device)
{
    tell(*(const int *)opaque, BAWN_TELL_GONE, device, "");
}

static void resized(void *opaque)
{
    tell(*(const int *)opaque, BAWN_TELL_DONE, BAWN_ORDER_CPUS, "");
}

static void distrust(void *opaque, unsigned device, const char *why)
{
    tell(*(const int *)opaque, BAWN_TELL_DISTRUST, device, why);
}

/* What the guest cannot influence comes first: to build the machine takes more than to run it. */
static enum bawn_status prepare(const struct bawn_vm_parts *parts, int *fd, unsigned *lacks,
                                struct bawn_error *err)
{
    struct bawn_sandbox_files files = { .stdio[STDERR_FILENO] = true };
    const struct bawn_vm_ops ops = { distrust, paused, gone, resized, fd };
    enum bawn_status st = bawn_vm_create(&vm, parts, &ops, err);
    int rc = st ? 0 : bawn_loop_watch(&vm.loop, *fd, true, on_order, fd);

    if (rc < 0)
        st = bawn_fail(err, BAWN_E_INTERNAL, "too many devices: %s", strerror(-rc));
    if (st)
        return st;
    tzset(); /* the clock's first use would read files */
    bawn_vm_keep_files(&vm, &files);
    bawn_sandbox_keep(&files, *fd);
    st = bawn_sandbox_enter(BAWN_ROLE_MACHINE, &files, lacks, err);
    if (!st)
        st = bawn_vm_start(&vm, err);
    bawn_images_forget(parts->images);
    bawn_launch_plan_free(parts->plan);
    bawn_trim();
    return st ? st : bawn_sandbox_filter(BAWN_ROLE_MACHINE, lacks, err);
}

_Noreturn void bawn_machine_run(const struct bawn_vm_parts *parts, int fd, unsigned lacks,
                                bool stats)
{
    struct bawn_error err;
    enum bawn_status st = prepare(parts, &fd, &lacks, &err);
    enum bawn_end why;

    if (st) {
        tell(fd, BAWN_TELL_REFUSED, st, err.msg);
        _exit(1);
    }
    tell(fd, BAWN_TELL_LAUNCHED, lacks, NULL);
    why = bawn_vm_run(&vm);
    if (stats)
        bawn_stats_print(&vm);
    tell(fd, BAWN_TELL_END, why, vm.end_msg);
    _exit(0);
}
