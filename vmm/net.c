// SPDX-License-Identifier: Apache-2.0
/*
 * Taps and stream sockets. Who is behind the socket is not trusted with more than frames: a length
 * that no frame has ends the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "net.h"

#define TUN_DEVICE "/dev/net/tun"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
#define PREFIX_AT (BAWN_NET_HEADER - BAWN_NET_PREFIX) /* of flow->in */

/* ---- Opening ---- */

static enum bawn_status make_flow(struct bawn_net *net, struct bawn_error *err)
{
    void *map = mmap(NULL, net->pairs * sizeof(*net->flow), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return bawn_fail(err, BAWN_E_NOMEM, "net: out of memory");
    net->flow = map;
    return BAWN_OK;
}

/* A frame is to come with the header that the guest knows, too. */
static enum bawn_status set_up_tap(struct bawn_net *net, int fd, const char *name,
                                   struct bawn_error *err)
{
    struct ifreq ifr;
    int size = BAWN_NET_HEADER;

    net->tap = true;
    if (ioctl(fd, TUNGETIFF, &ifr))
        return bawn_fail(err, BAWN_E_IO, "net %s: is not a tap: %m", name);
    if ((ifr.ifr_flags & TAP_FLAGS) != TAP_FLAGS)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "net %s: the descriptor must be a tap's with IFF_NO_PI and IFF_VNET_HDR",
                         name);
    if (ioctl(fd, TUNSETVNETHDRSZ, &size) || ioctl(fd, TUNSETOFFLOAD, 0))
        return bawn_fail(err, BAWN_E_IO, "net %s: cannot set up the tap: %m", name);
    return BAWN_OK;
}

static enum bawn_status open_tap(struct bawn_net *net, const char *name, unsigned pairs,
                                 struct bawn_error *err)
{
    const char *many = pairs > 1 ? " multi_queue" : "";
    struct ifreq ifr = { .ifr_flags = (short)(TAP_FLAGS | (pairs > 1 ? IFF_MULTI_QUEUE : 0)) };
    enum bawn_status st = BAWN_OK;

    if (strlen(name) >= sizeof(ifr.ifr_name))
        return bawn_fail(err, BAWN_E_CONFIG, "net tap=%s: a name has at most %zu characters", name,
                         sizeof(ifr.ifr_name) - 1);
    memcpy(ifr.ifr_name, name, strlen(name));
    for (unsigned i = 0; !st && i < pairs; i++) {
        net->fd[i] = open(TUN_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (net->fd[i] < 0)
            return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", TUN_DEVICE);
        net->pairs = i + 1;
        if (ioctl(net->fd[i], TUNSETIFF, &ifr))
            return bawn_fail(err, BAWN_E_IO,
                             "net tap=%s: %m; make it with ip tuntap add %s mode tap%s user USER",
                             name, name, many);
        st = set_up_tap(net, net->fd[i], name, err);
    }
    return st;
}

static enum bawn_status take_fds(struct bawn_net *net, const struct bawn_net_config *cfg,
                                 struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    char name[32];

    for (unsigned i = 0; !st && i < cfg->nr_fds; i++) {
        int fd = cfg->fd[i], flags = fcntl(fd, F_GETFL);

        snprintf(name, sizeof(name), "fd=%d", fd);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
            return bawn_fail(err, BAWN_E_IO, "net %s: %m", name);
        net->fd[i] = fd;
        net->pairs = i + 1;
        st = set_up_tap(net, fd, name, err);
    }
    return st;
}

enum bawn_status bawn_net_stream(struct bawn_net *net, int fd, struct bawn_error *err)
{
    net->fd[0] = fd;
    net->pairs = 1;
    net->tap = false;
    return make_flow(net, err);
}

static enum bawn_status connect_to(struct bawn_net *net, const char *path, struct bawn_error *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(to.sun_path))
        return bawn_fail(err, BAWN_E_CONFIG, "net socket=%s: a path has at most %zu characters",
                         path, sizeof(to.sun_path) - 1);
    memcpy(to.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "net: cannot make a socket: %m");
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        bawn_fail(err, BAWN_E_IO, "net socket=%s: cannot connect: %m", path);
        close(fd);
        return BAWN_E_IO;
    }
    return bawn_net_stream(net, fd, err);
}

/* An address of our own making: locally administered, one station's (IEEE 802, 8.4). */
static bool random_mac(uint8_t *mac)
{
    bool ok = getrandom(mac, 6, 0) == 6;

    mac[0] = (uint8_t)((mac[0] & ~1u) | 2u);
    return ok;
}

/* A hint asks for as many queues as there are two for each pair. */
static unsigned wanted_pairs(const struct bawn_net_config *cfg)
{
    unsigned pairs = cfg->queues / 2;

    return pairs < 1 ? 1 : pairs > BAWN_NET_PAIRS ? BAWN_NET_PAIRS : pairs;
}

enum bawn_status bawn_net_open(struct bawn_net *net, const struct bawn_net_config *cfg,
                               struct bawn_error *err)
{
    enum bawn_status st;

    *net = (struct bawn_net){ .mtu = cfg->mtu };
    memcpy(net->mac, cfg->mac, sizeof(net->mac));
    if (!cfg->has_mac && !random_mac(net->mac))
        return bawn_fail(err, BAWN_E_IO, "net: no random numbers for an address: %m");
    if (cfg->tap)
        st = open_tap(net, cfg->tap, wanted_pairs(cfg), err);
    else if (cfg->socket)
        st = connect_to(net, cfg->socket, err);
    else
        st = take_fds(net, cfg, err);
    if (!st && !net->flow)
        st = make_flow(net, err);
    if (st)
        bawn_net_close(net);
    return st;
}

void bawn_net_close(struct bawn_net *net)
{
    for (unsigned i = 0; i < net->pairs; i++) {
        if (net->fd[i] >= 0)
            close(net->fd[i]);
    }
    if (net->flow)
        munmap(net->flow, net->pairs * sizeof(*net->flow));
    *net = (struct bawn_net){ .pairs = 0 };
}

/* ---- Offloads ---- */

/* What a tap's host may leave undone in frames to the guest, by the feature that permits it. */
static const struct {
    unsigned feature;
    unsigned offload;
} to_guest[] = {
    { VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM },
    { VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4 },
    { VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6 },
    { VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN },
};
#define TO_GUEST (sizeof(to_guest) / sizeof(to_guest[0]))

uint64_t bawn_net_features(const struct bawn_net *net)
{
    uint64_t features = 1ull << VIRTIO_NET_F_MRG_RXBUF;

    if (!net->tap) /* a socket's other side takes and sends whole frames */
        return features;
    /* The kernel finishes what the guest leaves out. */
    features |= 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |
                1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_HOST_ECN;
    for (size_t i = 0; i < TO_GUEST; i++)
        features |= 1ull << to_guest[i].feature;
    return features;
}

void bawn_net_take_features(struct bawn_net *net, uint64_t features)
{
    unsigned long offload = 0;

    for (size_t i = 0; i < TO_GUEST; i++)
        if (features & 1ull << to_guest[i].feature)
            offload |= to_guest[i].offload;
    if (!(offload & TUN_F_CSUM)) /* section 5.1.3.1: the others need it */
        offload = 0;
    if (!(offload & (TUN_F_TSO4 | TUN_F_TSO6)))
        offload &= ~(unsigned long)TUN_F_TSO_ECN;
    /* It is the interface's, for all of its queues. Without it, frames come whole: slower, no
     * worse. */
    if (net->tap && ioctl(net->fd[0], TUNSETOFFLOAD, offload))
        (void)!ioctl(net->fd[0], TUNSETOFFLOAD, 0);
}

/* ---- Frames ---- */

/* The other side has gone or broke the rules: there is no network from now on. */
static void hang_up(struct bawn_net *net, const char *why)
{
    fprintf(stderr, "bawn: net: %s: the guest's network is cut off\n", why);
    close(net->fd[0]);
    net->fd[0] = -1;
    net->flow->in_len = net->flow->out_len = net->flow->out_at = net->flow->held = 0;
}

/* What the buffers have no room for goes to its place in flow->in, and what they got after it. */
static ssize_t receive_tap(struct bawn_net *net, unsigned queue, struct bawn_bufs *to)
{
    const uint16_t one = 1;
    struct bawn_net_flow *flow = &net->flow[queue];
    struct bawn_bufs count = *to;
    struct iovec v[BAWN_VIRTQ_MAX + 1];
    size_t room = to->len < sizeof(flow->in) ? to->len : sizeof(flow->in);
    int nr = (int)to->nr;
    ssize_t n;

    memcpy(v, to->v, to->nr * sizeof(v[0]));
    if (room < sizeof(flow->in))
        v[nr++] = (struct iovec){ flow->in + room, sizeof(flow->in) - room };
    n = readv(net->fd[queue], v, nr);
    if (n <= 0)
        return 0;
    if ((size_t)n < BAWN_NET_HEADER + BAWN_NET_FRAME_MIN || (size_t)n > sizeof(flow->in))
        return -1;
    if ((size_t)n > room) {
        bawn_bufs_get(to, flow->in, room);
        flow->held = (size_t)n;
        return n;
    }
    bawn_bufs_skip(&count, offsetof(struct virtio_net_hdr_v1, num_buffers));
    bawn_bufs_put(&count, &one, sizeof(one));
    return n;
}

static uint32_t prefix(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* Reads on to so many bytes; whether they are there. */
static bool fill_in(struct bawn_net *net, size_t want)
{
    while (net->fd[0] >= 0 && net->flow->in_len < want) {
        ssize_t n = recv(net->fd[0], net->flow->in + PREFIX_AT + net->flow->in_len,
                         want - net->flow->in_len, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        if (n <= 0)
            hang_up(net, "the other side closed its socket");
        else
            net->flow->in_len += (size_t)n;
    }
    return net->fd[0] >= 0;
}

static ssize_t receive_stream(struct bawn_net *net)
{
    struct bawn_net_flow *flow = net->flow;
    uint32_t len;

    if (!fill_in(net, BAWN_NET_PREFIX))
        return 0;
    len = prefix(flow->in + PREFIX_AT);
    if (len < BAWN_NET_FRAME_MIN || len > BAWN_NET_FRAME_MAX) {
        hang_up(net, "the other side sent a frame of no possible length");
        return 0;
    }
    if (!fill_in(net, BAWN_NET_PREFIX + len))
        return 0;
    flow->in_len = 0;
    memset(flow->in, 0, BAWN_NET_HEADER);
    flow->held = BAWN_NET_HEADER + len;
    return (ssize_t)flow->held;
}

ssize_t bawn_net_receive(struct bawn_net *net, unsigned queue, struct bawn_bufs *to)
{
    if (net->fd[queue] < 0)
        return 0;
    return net->tap ? receive_tap(net, queue, to) : receive_stream(net);
}

static void send_tap(int fd, const struct virtio_net_hdr_v1 *h, const struct bawn_bufs *from)
{
    struct iovec v[BAWN_VIRTQ_MAX + 1] = { { (void *)(uintptr_t)h, sizeof(*h) } };

    memcpy(v + 1, from->v, from->nr * sizeof(v[0]));
    /* One that the interface does not take is lost, as on any wire. */
    (void)!writev(fd, v, (int)from->nr + 1);
}

bool bawn_net_idle(struct bawn_net *net, unsigned queue)
{
    if (net->tap || queue)
        return true;
    while (net->fd[0] >= 0 && net->flow->out_at < net->flow->out_len) {
        ssize_t n = send(net->fd[0], net->flow->out + net->flow->out_at,
                         net->flow->out_len - net->flow->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        if (n < 0)
            hang_up(net, "the other side closed its socket");
        else
            net->flow->out_at += (size_t)n;
    }
    net->flow->out_at = net->flow->out_len = 0;
    return true;
}

/* The frame is copied, for what is sent of it later must be what its length was said to be. */
static void send_stream(struct bawn_net *net, struct bawn_bufs *from)
{
    size_t len = from->len;

    for (unsigned i = 0; i < BAWN_NET_PREFIX; i++)
        net->flow->out[i] = (uint8_t)(len >> 8 * (BAWN_NET_PREFIX - 1 - i));
    bawn_bufs_get(from, net->flow->out + BAWN_NET_PREFIX, len);
    net->flow->out_at = 0;
    net->flow->out_len = BAWN_NET_PREFIX + len;
    bawn_net_idle(net, 0);
}

void bawn_net_send(struct bawn_net *net, unsigned queue, const struct virtio_net_hdr_v1 *h,
                   struct bawn_bufs *from)
{
    if (net->fd[queue] < 0 || from->len < BAWN_NET_FRAME_MIN || from->len > BAWN_NET_FRAME_MAX)
        return;
    if (net->tap)
        send_tap(net->fd[queue], h, from);
    else
        send_stream(net, from);
}
