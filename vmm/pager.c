// SPDX-License-Identifier: Apache-2.0
/*
 * Memory on demand (Linux, Documentation/admin-guide/mm/userfaultfd.rst). Guest memory is a file
 * that several processes map, each with a userfaultfd of its own: a page that was put into the file
 * for one of them is there for all, and who else waits for it is woken. A process keeps its own
 * userfaultfd open, so that without a pager it waits rather than read zeroes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pager.h"
#include "sandbox.h"

#define PAGE 4096u
#define WORD_PAGES 64u
#define FAULTS 16 /* that are read at once */
#define AROUND 16 /* pages that come with one: a chunk of the image has as many */

/* ---- a process's own faults ---- */

static int new_source(int device)
{
    struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
    int fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
        close(fd);
        return -1;
    }
    return fd;
}

bool bawn_pager_open(struct bawn_pager *p)
{
    int fd;

    *p = (struct bawn_pager){ .link = { -1, -1 } };
    p->device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    fd = p->device < 0 ? -1 : new_source(p->device);
    if (fd >= 0)
        close(fd);
    else
        bawn_pager_close(p);
    return fd >= 0;
}

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

static bool send_source(int to, int fd)
{
    union control control = {
        .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS },
    };
    char c = 0;
    struct iovec byte = { &c, 1 };
    struct msghdr msg = { .msg_iov = &byte,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof(control) };

    memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
    return sendmsg(to, &msg, MSG_NOSIGNAL) == 1;
}

bool bawn_pager_join(const struct bawn_pager *p)
{
    int fd = new_source(p->device);
    bool ended;

    for (unsigned i = 0; fd >= 0 && i < p->mem->nr; i++) {
        const struct bawn_mem_range *r = &p->mem->range[i];
        struct uffdio_register all = { .range = { (uintptr_t)r->host, r->size },
                                       .mode = UFFDIO_REGISTER_MODE_MISSING };

        if (ioctl(fd, UFFDIO_REGISTER, &all))
            return false;
    }
    if (fd < 0)
        return false;
    if (send_source(p->link[1], fd)) {
        p->mem->faults = fd;
        return true;
    }
    ended = errno == EPIPE;
    close(fd); /* if the pager has ended all memory is there; the faults go with their descriptor */
    return ended;
}

/* ---- what the images have ---- */

static enum bawn_status get_map(struct bawn_pager_layer *l, uint64_t at, uint64_t words,
                                uint64_t **map, struct bawn_error *err)
{
    *map = calloc(words, sizeof(**map));
    if (!*map)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the map of the guest's");
    return bawn_image_get(&l->snapshot->image, at, *map, words * sizeof(uint64_t), err);
}

/* at: how far into the maps. */
static enum bawn_status read_maps(struct bawn_pager_layer *l, unsigned i, uint64_t words,
                                  uint64_t at, struct bawn_error *err)
{
    const struct bawn_snapshot *s = l->snapshot;
    enum bawn_status st = get_map(l, s->maps_at + at, words, &l->range[i].map, err);

    if (!st && s->base)
        st = get_map(l, s->changed_at + at, words, &l->range[i].changed, err);
    l->range[i].rank = calloc(words, sizeof(*l->range[i].rank));
    if (!l->range[i].rank)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the map of the guest's");
    l->range[i].base = l->pages;
    for (uint64_t word = 0; !st && word < words; word++) {
        uint64_t map = l->range[i].map[word];

        if (l->range[i].changed && map & ~l->range[i].changed[word])
            st = bawn_fail(err, BAWN_E_FORMAT, "the snapshot's pages make no sense");
        l->range[i].rank[word] = (uint32_t)(l->pages - l->range[i].base);
        l->pages += (unsigned)__builtin_popcountll(map);
    }
    return st;
}

static enum bawn_status read_layer(struct bawn_pager_layer *l, struct bawn_snapshot *s,
                                   const struct bawn_mem *mem, struct bawn_error *err)
{
    uint64_t at = 0, pages = 0;
    enum bawn_status st = bawn_snapshot_fits(s, mem, &pages, err);

    l->snapshot = s;
    for (unsigned i = 0; !st && i < mem->nr; i++) {
        uint64_t words = mem->range[i].size / PAGE / WORD_PAGES;

        st = read_maps(l, i, words, at, err);
        at += words * sizeof(uint64_t);
    }
    if (!st && l->pages != pages)
        st = bawn_fail(err, BAWN_E_FORMAT, "the snapshot's pages make no sense");
    return st;
}

enum bawn_status bawn_pager_prepare(struct bawn_pager *p, struct bawn_snapshot *s,
                                    struct bawn_mem *mem, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    p->snapshot = s;
    p->mem = mem;
    p->layer = calloc(BAWN_SNAPSHOT_CHAIN, sizeof(*p->layer));
    if (!p->layer)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the snapshot's maps");
    for (; !st && s && p->nr_layers < BAWN_SNAPSHOT_CHAIN; s = s->base)
        st = read_layer(&p->layer[p->nr_layers++], s, mem, err);
    if (!st && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->link))
        st = bawn_fail(err, BAWN_E_IO, "cannot reach the pager's process: %m");
    return st;
}

void bawn_pager_close(struct bawn_pager *p)
{
    const int fds[] = { p->device, p->link[0], p->link[1] };

    for (unsigned i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    for (unsigned n = 0; n < p->nr_layers; n++) {
        for (unsigned i = 0; i < BAWN_MEM_MAX_RANGES; i++) {
            free(p->layer[n].range[i].map);
            free(p->layer[n].range[i].changed);
            free(p->layer[n].range[i].rank);
        }
    }
    free(p->layer);
    *p = (struct bawn_pager){ .device = -1, .link = { -1, -1 } };
}

/* ---- the pager's process ---- */

static bool marked(const uint64_t *map, uint64_t page)
{
    return map[page / WORD_PAGES] >> page % WORD_PAGES & 1;
}

/* The image that has this page; NULL: it is zero. */
static struct bawn_pager_layer *holder(const struct bawn_pager *p, unsigned i, uint64_t page)
{
    struct bawn_pager_layer *l = p->layer;

    while (l->range[i].changed && !marked(l->range[i].changed, page))
        l++; /* there is one: the last has no base */
    return marked(l->range[i].map, page) ? l : NULL;
}

/* Where in that image. */
static uint64_t place(const struct bawn_pager_layer *l, unsigned i, uint64_t page)
{
    uint64_t word = page / WORD_PAGES,
             below = l->range[i].map[word] & ((1ull << page % WORD_PAGES) - 1),
             n = l->range[i].base + l->range[i].rank[word] + (unsigned)__builtin_popcountll(below);

    return l->snapshot->pages_at + n * PAGE;
}

/* Whether it costs a copy alone: all of it was decrypted already. */
static bool at_hand(const struct bawn_pager *p, unsigned i, uint64_t page)
{
    const struct bawn_pager_layer *l = holder(p, i, page);
    uint64_t at = l ? place(l, i, page) : 0;

    return l && at / BAWN_IMAGE_CHUNK == l->snapshot->image.held &&
           (at + PAGE - 1) / BAWN_IMAGE_CHUNK == l->snapshot->image.held;
}

/* Reads what a page is. */
static enum bawn_status get_page(struct bawn_pager *p, unsigned i, uint64_t page, uint8_t *to,
                                 struct bawn_error *err)
{
    struct bawn_pager_layer *l = holder(p, i, page);

    memset(to, 0, PAGE);
    return l ? bawn_image_get(&l->snapshot->image, place(l, i, page), to, PAGE, err) : BAWN_OK;
}

/* Puts it there, if it is not there already, and wakes who waits for it at this source. False: its
 * process is gone; or there is no memory for it, and st says so: who waits would wait for ever. */
static bool put_page(int source, const uint8_t *host, const uint8_t *from, enum bawn_status *st,
                     struct bawn_error *err)
{
    struct uffdio_copy copy = { .dst = (uintptr_t)host, .src = (uintptr_t)from, .len = PAGE };
    struct uffdio_range range = { (uintptr_t)host, PAGE };

    while (ioctl(source, UFFDIO_COPY, &copy)) {
        if (errno == EEXIST)
            return !ioctl(source, UFFDIO_WAKE, &range);
        if (errno == ENOMEM)
            *st = bawn_fail(err, BAWN_E_NOMEM, "this host has no more memory for it");
        if (errno != EAGAIN) /* its mappings change just now */
            return false;
    }
    return true;
}

static void drop_source(struct bawn_pager *p, unsigned i)
{
    p->source[i] = p->source[--p->nr_sources]; /* it stays open until the end */
}

/* A page, and what stands around it as far as that is at hand: who needs the one may soon need the
 * others, and each time that somebody waits costs far more. */
static bool give(struct bawn_pager *p, int source, unsigned i, uint64_t page, enum bawn_status *st,
                 struct bawn_error *err)
{
    static uint8_t content[PAGE];
    uint64_t pages = p->mem->range[i].size / PAGE, from = page < AROUND ? 0 : page - AROUND;
    const uint8_t *host = p->mem->range[i].host;
    bool there;

    *st = get_page(p, i, page, content, err);
    there = !*st && put_page(source, host + page * PAGE, content, st, err);
    for (uint64_t n = from; there && !*st && n < pages && n < page + AROUND; n++) {
        if (n == page || !at_hand(p, i, n))
            continue;
        *st = get_page(p, i, n, content, err);
        there = !*st && put_page(source, host + n * PAGE, content, st, err);
    }
    return there;
}

static bool serve_one(struct bawn_pager *p, int source, const struct uffd_msg *msg,
                      enum bawn_status *st, struct bawn_error *err)
{
    for (unsigned i = 0; msg->event == UFFD_EVENT_PAGEFAULT && i < p->mem->nr; i++) {
        uint64_t off = msg->arg.pagefault.address - (uintptr_t)p->mem->range[i].host;

        if (off < p->mem->range[i].size)
            return give(p, source, i, off / PAGE, st, err);
    }
    return true;
}

/* The faults of a process: each of its threads may have one. False: it is gone. */
static bool serve(struct bawn_pager *p, int source, enum bawn_status *st, struct bawn_error *err)
{
    struct uffd_msg msg[FAULTS];
    ssize_t n = read(source, msg, sizeof(msg));
    bool there = true;

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    for (size_t i = 0; there && i < (size_t)n / sizeof(msg[0]); i++)
        there = serve_one(p, source, &msg[i], st, err);
    return there;
}

/* Another process's faults. False: there are no others. */
static bool add_source(struct bawn_pager *p)
{
    union control control;
    char c;
    struct iovec byte = { &c, 1 };
    struct msghdr msg = { .msg_iov = &byte,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof(control) };

    if (recvmsg(p->link[0], &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
        return false;
    if (p->nr_sources < BAWN_PAGER_SOURCES && msg.msg_controllen >= CMSG_LEN(sizeof(int)) &&
        control.head.cmsg_type == SCM_RIGHTS)
        memcpy(&p->source[p->nr_sources++], CMSG_DATA(&control.head), sizeof(int));
    return true;
}

static enum bawn_status serve_all(struct bawn_pager *p, bool wait, struct bawn_error *err)
{
    struct pollfd fds[1 + BAWN_PAGER_SOURCES] = { { p->link[0], POLLIN, 0 } };
    const struct timespec now = { 0 };
    enum bawn_status st = BAWN_OK;
    unsigned nr = p->nr_sources;

    for (unsigned i = 0; i < nr; i++)
        fds[1 + i] = (struct pollfd){ p->source[i], POLLIN, 0 };
    if (ppoll(fds, 1 + nr, wait ? NULL : &now, NULL) <= 0)
        return BAWN_OK;
    for (unsigned i = nr; !st && i-- > 0;) {
        if (fds[1 + i].revents && !serve(p, p->source[i], &st, err))
            drop_source(p, i);
    }
    if (fds[0].revents)
        add_source(p);
    return st;
}

/* All pages of a range that nobody has asked for, a chunk of the image at a time. */
static enum bawn_status fill(struct bawn_pager *p, unsigned i, struct bawn_error *err)
{
    static uint8_t content[PAGE];
    uint64_t pages = p->mem->range[i].size / PAGE;
    enum bawn_status st = BAWN_OK;

    for (uint64_t page = 0; !st && page < pages; page++) {
        if (!holder(p, i, page))
            continue;
        if (!at_hand(p, i, page)) /* before a chunk that nobody waits for, who waits */
            st = serve_all(p, false, err);
        if (!st)
            st = get_page(p, i, page, content, err);
        while (!st && !(p->nr_sources && put_page(p->source[0], p->mem->range[i].host + page * PAGE,
                                                  content, &st, err))) {
            if (p->nr_sources)
                drop_source(p, 0);
            else
                st = serve_all(p, true, err);
        }
    }
    return st;
}

/* From here on a page that is not there is zero. */
static void let_go(struct bawn_pager *p)
{
    shutdown(p->link[0], SHUT_RD); /* who comes now needs no pager */
    while (add_source(p))
        ;
    for (unsigned s = 0; s < p->nr_sources; s++) {
        for (unsigned i = 0; i < p->mem->nr; i++) {
            struct uffdio_range all = { (uintptr_t)p->mem->range[i].host, p->mem->range[i].size };

            ioctl(p->source[s], UFFDIO_UNREGISTER, &all);
        }
    }
}

_Noreturn void bawn_pager_run(struct bawn_pager *p, struct bawn_error *err)
{
    struct bawn_sandbox_files files = { .nr = 0 };
    unsigned lacks = 0; /* the machine's process says it for all */
    enum bawn_status st;

    for (unsigned i = 0; i < p->nr_layers; i++)
        bawn_sandbox_keep(&files, p->layer[i].snapshot->image.fd);
    bawn_sandbox_keep(&files, p->link[0]);
    st = bawn_sandbox_enter(BAWN_ROLE_PAGER, &files, &lacks, err);
    if (!st)
        st = bawn_sandbox_filter(BAWN_ROLE_PAGER, &lacks, err);
    for (unsigned i = 0; !st && i < p->mem->nr; i++)
        st = fill(p, i, err);
    if (!st)
        let_go(p);
    _exit(st ? 1 : 0);
}
