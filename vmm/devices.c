// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the devices of a configuration, and is what each one's process does. Takes no input itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"
#include "images.h"

#define SLOT_CONSOLE 1
#define SLOT_RNG 2
#define SLOT_VSOCK 3
#define SLOT_DISK 4 /* and those after it */
#define SLOT_NET (SLOT_DISK + BAWN_MAX_DISKS)
#define SLOT_BALLOON (SLOT_NET + BAWN_MAX_NETS)

/* In the console's process. */
static void console_quit(void *opaque)
{
    const struct bawn_device *dev = opaque;

    bawn_link_tell(dev->link[1], BAWN_LINK_QUIT);
}

/* The next device, with a loop for it. */
static int add(struct bawn_devices *d, const char *name, enum bawn_role role, unsigned slot,
               struct bawn_vdev *vdev)
{
    struct bawn_device *dev = &d->dev[d->nr++];
    int rc;

    snprintf(dev->name, sizeof(dev->name), "%s", name);
    dev->role = role;
    dev->slot = slot;
    dev->vdev = vdev;
    dev->link[0] = dev->link[1] = -1;
    pthread_mutex_init(&dev->lock, NULL);
    rc = bawn_loop_init(&dev->loop, &dev->lock);
    return rc ? rc : bawn_link_pair(dev->link);
}

static struct bawn_vdev_host host_of(const struct bawn_devices *d, const struct bawn_mem *mem)
{
    /* The last one's loop, which its model watches. */
    return (struct bawn_vdev_host){ mem, (struct bawn_loop *)&d->dev[d->nr - 1].loop };
}

static int add_disk(struct bawn_devices *d, const struct bawn_mem *mem, struct bawn_disk *disk,
                    unsigned i)
{
    struct bawn_vdev_host host;
    char name[16];
    int rc;

    snprintf(name, sizeof(name), "disk%u", i);
    rc = add(d, name, BAWN_ROLE_DISK, SLOT_DISK + i, &d->blk[i].vdev);
    host = host_of(d, mem);
    return rc ? rc : bawn_virtio_blk_init(&d->blk[i], &host, disk);
}

static int add_net(struct bawn_devices *d, const struct bawn_mem *mem, struct bawn_net *net,
                   unsigned i)
{
    struct bawn_vdev_host host;
    char name[16];
    int rc;

    snprintf(name, sizeof(name), "net%u", i);
    rc = add(d, name, BAWN_ROLE_NET, SLOT_NET + i, &d->net[i].vdev);
    host = host_of(d, mem);
    return rc ? rc : bawn_virtio_net_init(&d->net[i], &host, net);
}

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
    for (unsigned i = 0; !rc && i < cfg->nr_disks; i++)
        rc = add_disk(d, mem, &backends->disk[i], i);
    for (unsigned i = 0; !rc && i < cfg->nr_nets; i++)
        rc = add_net(d, mem, &backends->net[i], i);
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

    memset(d, 0, sizeof(*d));
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
    bawn_trim();
    return st ? st : bawn_sandbox_filter(role, &lacks, err);
}

/* A disk's and a network's kicks are to cost little; the others toggle what they watch. A ring
 * takes another filter. */
static bool seal(struct bawn_device *dev, enum bawn_role *role)
{
    const struct bawn_vdev *d = dev->vdev;
    int files[BAWN_VIRTIO_QUEUES + 1], rc;
    unsigned n = 0;

    if (dev->role != BAWN_ROLE_DISK && dev->role != BAWN_ROLE_NET)
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
