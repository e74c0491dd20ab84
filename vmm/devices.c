// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the devices of a configuration, and is what each one's process does. Takes no input itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices.h"
#include "images.h"

#define SLOT_CONSOLE 1
#define SLOT_RNG 2
#define SLOT_VSOCK 3
#define SLOT_BALLOON BAWN_SLOT_END

/* In the console's process. */
static void console_quit(void *opaque)
{
    const struct bawn_device *dev = opaque;

    bawn_link_tell(dev->link[1], BAWN_LINK_QUIT);
}

static struct bawn_device *next(struct bawn_devices *d, const char *name, enum bawn_role role,
                                unsigned slot)
{
    struct bawn_device *dev = &d->dev[d->nr++];

    snprintf(dev->name, sizeof(dev->name), "%s", name);
    dev->role = role;
    dev->slot = slot;
    dev->link[0] = dev->link[1] = -1;
    dev->loop.wake_fd = dev->loop.epoll_fd = dev->loop.ring.fd = -1;
    for (unsigned q = 0; q < BAWN_DEVICE_SPARE; q++)
        dev->bell[q] = dev->call[q] = -1;
    pthread_mutex_init(&dev->lock, NULL);
    return dev;
}

/* The next device, with a loop for it. */
static int add(struct bawn_devices *d, const char *name, enum bawn_role role, unsigned slot,
               struct bawn_vdev *vdev)
{
    struct bawn_device *dev = next(d, name, role, slot);
    int rc;

    dev->vdev = vdev;
    dev->present = true;
    rc = bawn_loop_init(&dev->loop, &dev->lock);
    return rc ? rc : bawn_link_pair(dev->link);
}

static struct bawn_vdev_host host_of(const struct bawn_devices *d, const struct bawn_mem *mem)
{
    /* The last one's loop, which its model watches. */
    return (struct bawn_vdev_host){ mem, (struct bawn_loop *)&d->dev[d->nr - 1].loop };
}

/* ---- places ---- */

/* How many queues what comes there has. */
static unsigned spare(const struct bawn_device *dev)
{
    return dev->role == BAWN_ROLE_DISK ? 1 : BAWN_DEVICE_SPARE;
}

static int make_model(struct bawn_devices *d, struct bawn_device *dev, const struct bawn_mem *mem,
                      const struct bawn_backends *backends)
{
    const struct bawn_vdev_host host = { mem, &dev->loop };
    unsigned n = dev->slot - (dev->role == BAWN_ROLE_DISK ? BAWN_SLOT_DISK : BAWN_SLOT_NET);

    if (dev->role == BAWN_ROLE_DISK) {
        dev->vdev = &d->blk[n].vdev;
        return bawn_virtio_blk_init(&d->blk[n], &host, &backends->disk[n]);
    }
    dev->vdev = &d->net[n].vdev;
    return bawn_virtio_net_init(&d->net[n], &host, &backends->net[n]);
}

/* The place keeps what the first device was made with. */
static int keep_ends(struct bawn_device *dev)
{
    for (unsigned q = 0; q < spare(dev) && q < dev->vdev->ops->nr_queues; q++) {
        dev->bell[q] = fcntl(dev->vdev->bell[q].fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        dev->call[q] = fcntl(dev->vdev->call_fd[q], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (dev->bell[q] < 0 || dev->call[q] < 0)
            return -errno;
    }
    return 0;
}

/* In the place of those that the model was made with. What was rung before was for another. */
static int take_ends(struct bawn_device *dev)
{
    eventfd_t ignored;

    if (dev->vdev->ops->nr_queues > spare(dev))
        return -ENOSPC;
    for (unsigned q = 0; q < dev->vdev->ops->nr_queues; q++) {
        (void)!eventfd_read(dev->bell[q], &ignored);
        (void)!eventfd_read(dev->call[q], &ignored);
        if (dup3(dev->bell[q], dev->vdev->bell[q].fd, O_CLOEXEC) < 0 ||
            dup3(dev->call[q], dev->vdev->call_fd[q], O_CLOEXEC) < 0)
            return -errno;
    }
    return 0;
}

static int make_ends(struct bawn_device *dev)
{
    dev->pluggable = true;
    for (unsigned q = 0; q < spare(dev); q++) {
        dev->bell[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        dev->call[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (dev->bell[q] < 0 || dev->call[q] < 0)
            return -errno;
    }
    return bawn_link_pair(dev->link);
}

int bawn_devices_place(const struct bawn_devices *d, unsigned slot)
{
    for (unsigned i = 0; i < d->nr; i++) {
        if (d->dev[i].pluggable && d->dev[i].slot == slot)
            return (int)i;
    }
    return -1;
}

int bawn_devices_plug(struct bawn_devices *d, unsigned place, const struct bawn_mem *mem,
                      const struct bawn_backends *backends)
{
    struct bawn_device *dev = &d->dev[place];
    int rc = bawn_loop_init(&dev->loop, &dev->lock);

    if (!rc)
        rc = make_model(d, dev, mem, backends);
    if (!rc)
        rc = take_ends(dev);
    dev->present = !rc;
    if (rc)
        bawn_devices_unplug(d, place);
    return rc;
}

void bawn_devices_unplug(struct bawn_devices *d, unsigned place)
{
    struct bawn_device *dev = &d->dev[place];
    unsigned n = dev->slot - (dev->role == BAWN_ROLE_DISK ? BAWN_SLOT_DISK : BAWN_SLOT_NET);

    if (dev->role == BAWN_ROLE_DISK) {
        bawn_virtio_blk_destroy(&d->blk[n]);
        memset(&d->blk[n], 0, sizeof(d->blk[n]));
    } else {
        bawn_virtio_net_destroy(&d->net[n]);
        memset(&d->net[n], 0, sizeof(d->net[n]));
    }
    bawn_loop_destroy(&dev->loop);
    dev->vdev = NULL;
    dev->present = false;
}

/* A disk or a network device, or with hot-plug a place for one. */
static int add_place(struct bawn_devices *d, const struct bawn_mem *mem, bool present, bool hotplug,
                     unsigned slot, const struct bawn_backends *backends)
{
    bool disk = slot < BAWN_SLOT_NET;
    enum bawn_role role = disk ? BAWN_ROLE_DISK : BAWN_ROLE_NET;
    char name[16];
    int rc;

    snprintf(name, sizeof(name), "%s%u", disk ? "disk" : "net",
             slot - (disk ? BAWN_SLOT_DISK : BAWN_SLOT_NET));
    if (!present)
        return hotplug ? make_ends(next(d, name, role, slot)) : 0;
    rc = add(d, name, role, slot, NULL);
    d->dev[d->nr - 1].pluggable = hotplug;
    if (!rc)
        rc = make_model(d, &d->dev[d->nr - 1], mem, backends);
    return rc || !hotplug ? rc : keep_ends(&d->dev[d->nr - 1]);
}

/* One that has not been given its slot has the one of its number. */
static bool has_slot(const struct bawn_vm_config *cfg, unsigned slot)
{
    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        if ((cfg->disk[i].slot ? cfg->disk[i].slot : BAWN_SLOT_DISK + i) == slot)
            return true;
    }
    for (unsigned i = 0; i < cfg->nr_nets; i++) {
        if ((cfg->net[i].slot ? cfg->net[i].slot : BAWN_SLOT_NET + i) == slot)
            return true;
    }
    return false;
}

/* ---- all ---- */

static int add_balloon(struct bawn_devices *d, const struct bawn_mem *mem,
                       const struct bawn_balloon_config *cfg)
{
    int rc = add(d, "balloon", BAWN_ROLE_BALLOON, SLOT_BALLOON, &d->balloon.vdev);
    struct bawn_vdev_host host = host_of(d, mem);

    return rc ? rc : bawn_virtio_balloon_init(&d->balloon, &host, cfg);
}

static int add_tpm(struct bawn_devices *d, const struct bawn_swtpm *swtpm)
{
    int rc = add(d, "tpm", BAWN_ROLE_TPM, 0, NULL);

    d->dev[d->nr - 1].tpm = &d->tpm;
    return rc ? rc : bawn_tpm_bridge_init(&d->tpm, swtpm, &d->dev[d->nr - 1].loop);
}

static int add_all(struct bawn_devices *d, const struct bawn_vm_config *cfg,
                   const struct bawn_mem *mem, const struct bawn_backends *backends)
{
    struct bawn_vdev_host host;
    int rc = 0;

    if (cfg->console.mode != BAWN_STREAM_OFF) {
        rc = add(d, "console", BAWN_ROLE_CONSOLE, SLOT_CONSOLE, &d->console.vdev);
        host = host_of(d, mem);
        if (!rc)
            rc = bawn_virtio_console_init(&d->console, &host, backends->console, console_quit,
                                          &d->dev[d->nr - 1]);
    }
    if (!rc && cfg->rng) {
        rc = add(d, "rng", BAWN_ROLE_RNG, SLOT_RNG, &d->rng);
        host = host_of(d, mem);
        if (!rc)
            rc = bawn_virtio_rng_init(&d->rng, &host);
    }
    if (!rc && cfg->vsock.cid) {
        rc = add(d, "vsock", BAWN_ROLE_VSOCK, SLOT_VSOCK, &d->vsock.vdev);
        host = host_of(d, mem);
        if (!rc)
            rc = bawn_virtio_vsock_init(&d->vsock, &host, backends->socket, cfg->vsock.cid);
    }
    for (unsigned slot = BAWN_SLOT_DISK; !rc && slot < BAWN_SLOT_END; slot++)
        rc = add_place(d, mem, has_slot(cfg, slot), bawn_vm_config_hotplug(cfg), slot, backends);
    if (!rc && cfg->balloon.on)
        rc = add_balloon(d, mem, &cfg->balloon);
    if (!rc && cfg->tpm)
        rc = add_tpm(d, backends->swtpm);
    return rc;
}

int bawn_devices_create(struct bawn_devices *d, const struct bawn_vm_config *cfg,
                        const struct bawn_mem *mem, const struct bawn_backends *backends)
{
    int rc;

    rc = add_all(d, cfg, mem, backends);
    if (rc)
        bawn_devices_destroy(d);
    return rc;
}

void bawn_devices_destroy(struct bawn_devices *d)
{
    for (unsigned i = 0; i < BAWN_MAX_DISKS; i++)
        bawn_virtio_blk_destroy(&d->blk[i]);
    for (unsigned i = 0; i < BAWN_MAX_NETS; i++)
        bawn_virtio_net_destroy(&d->net[i]);
    bawn_tpm_bridge_destroy(&d->tpm);
    bawn_vdev_destroy(&d->balloon.vdev);
    bawn_virtio_vsock_destroy(&d->vsock);
    bawn_vdev_destroy(&d->rng);
    bawn_vdev_destroy(&d->console.vdev);
    for (unsigned i = 0; i < d->nr; i++) {
        struct bawn_device *dev = &d->dev[i];

        bawn_loop_destroy(&dev->loop);
        pthread_mutex_destroy(&dev->lock);
        for (unsigned end = 0; end < 2; end++) {
            if (dev->link[end] >= 0)
                close(dev->link[end]);
        }
        for (unsigned q = 0; q < BAWN_DEVICE_SPARE; q++) {
            if (dev->bell[q] >= 0)
                close(dev->bell[q]);
            if (dev->call[q] >= 0)
                close(dev->call[q]);
        }
    }
    memset(d, 0, sizeof(*d));
}

static void keep_files(const struct bawn_device *dev, struct bawn_sandbox_files *files)
{
    bawn_sandbox_keep(files, dev->link[1]);
    bawn_sandbox_keep(files, dev->loop.wake_fd);
    bawn_sandbox_keep(files, dev->loop.epoll_fd);
    bawn_sandbox_keep(files, dev->loop.ring.fd);
    if (dev->vdev)
        bawn_sandbox_keep(files, dev->vdev->host.mem->faults);
    for (unsigned i = 0; i < dev->loop.nr; i++)
        bawn_sandbox_keep(files, dev->loop.watch[i].fd);
    for (unsigned i = 0; dev->vdev && i < BAWN_VDEV_KEEP; i++)
        bawn_sandbox_keep(files, dev->vdev->keep_fd[i]);
    for (unsigned i = 0; dev->vdev && i < BAWN_VIRTIO_QUEUES; i++)
        bawn_sandbox_keep(files, dev->vdev->call_fd[i]);
}

static enum bawn_status lock_in(const struct bawn_device *dev, enum bawn_role role,
                                struct bawn_error *err)
{
    /* A network or a TPM that ends is told of. */
    struct bawn_sandbox_files files = {
        .stdio[STDERR_FILENO] = role == BAWN_ROLE_NET || role == BAWN_ROLE_TPM,
    };
    unsigned lacks = 0; /* the machine's process says it for all */
    enum bawn_status st;

    keep_files(dev, &files);
    st = bawn_sandbox_enter(role, &files, &lacks, err);
    bawn_trim_code();
    return st ? st : bawn_sandbox_filter(role, &lacks, err);
}

/* A disk's and a network's kicks are to cost little; the others toggle what they watch. A ring
 * takes another filter. */
static bool seal(struct bawn_device *dev, enum bawn_role *role)
{
    const struct bawn_vdev *d = dev->vdev;
    int files[BAWN_VIRTIO_QUEUES + 1], rc;
    unsigned n = 0;

    if (!d || (dev->role != BAWN_ROLE_DISK && dev->role != BAWN_ROLE_NET))
        return true;
    for (unsigned i = 0; i < d->ops->nr_queues; i++)
        files[n++] = d->call_fd[i];
    files[n++] = d->keep_fd[0];
    rc = d->ring ? bawn_loop_seal_ring(&dev->loop, files, n) : -ENOSYS;
    if (!rc)
        *role = BAWN_ROLE_DISK_URING;
    else if (d->ring)
        fprintf(stderr, "bawn: %s: this host has no io_uring for it (%s): it goes on without\n",
                dev->name, strerror(-rc));
    return !rc || !bawn_loop_seal(&dev->loop);
}

_Noreturn void bawn_device_run(struct bawn_device *dev)
{
    static const struct bawn_vdev_ops none;
    const struct bawn_vdev_ops *ops = dev->vdev ? dev->vdev->ops : &none;
    void *opaque = dev->vdev ? dev->vdev->opaque : NULL;
    enum bawn_role role = dev->role;
    struct bawn_error err;

    if ((ops->begin && ops->begin(opaque)) ||
        (dev->vdev && bawn_link_serve(dev->link[1], dev->vdev)) || !seal(dev, &role))
        _exit(1);
    if (lock_in(dev, role, &err)) {
        fprintf(stderr, "bawn: %s: %s\n", dev->name, err.msg);
        _exit(1);
    }
    if (dev->vdev ? !bawn_link_tell(dev->link[1], BAWN_LINK_HELLO)
                  : bawn_tpm_bridge_serve(dev->tpm, dev->link[1]))
        _exit(1);
    bawn_loop_run(&dev->loop);
    if (ops->end)
        ops->end(opaque);
    _exit(0);
}
