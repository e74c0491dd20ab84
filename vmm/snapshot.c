// SPDX-License-Identifier: Apache-2.0
/*
 * Writes and reads what stands in a snapshot's image. Guest memory is looked at, and never
 * believed.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "snapshot.h"

#define VERSION 2
#define PAGE 4096u
#define WORD_PAGES 64u    /* that a word of the map stands for */
#define PIECE 512u        /* words that are read at once, 128 MiB */
#define TELL_EVERY 16384u /* pages */

/* ---- writing ---- */

static bool is_zero(const uint8_t *page)
{
    return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* Marks the pages that are not zero, of all or of those of a map. Holes are not read: that would
 * fill them. */
static uint64_t map_range(const struct bawn_mem_range *r, const uint64_t *among, uint64_t *map)
{
    uint64_t pages = 0;
    off_t end, at = lseek(r->fd, 0, SEEK_DATA);

    if (at < 0 && errno != ENXIO)
        at = 0; /* a file of a kind that knows no holes */
    for (; at >= 0 && (uint64_t)at < r->size; at = lseek(r->fd, end, SEEK_DATA)) {
        end = lseek(r->fd, at, SEEK_HOLE);
        if (end <= at || (uint64_t)end > r->size)
            end = (off_t)r->size;
        for (uint64_t page = (uint64_t)at / PAGE; page < (uint64_t)end / PAGE; page++) {
            if ((among && !(among[page / WORD_PAGES] >> page % WORD_PAGES & 1)) ||
                is_zero(r->host + page * PAGE))
                continue;
            map[page / WORD_PAGES] |= 1ull << page % WORD_PAGES;
            pages++;
        }
    }
    return pages;
}

static uint64_t words(uint64_t size)
{
    return size / PAGE / WORD_PAGES;
}

struct walk {
    const struct bawn_progress *progress;
    uint64_t done, all; /* pages */
};

static void step(struct walk *w)
{
    w->done++;
    if (w->progress->tell && (w->done % TELL_EVERY == 0 || w->done == w->all))
        w->progress->tell(w->progress->opaque, w->done * PAGE, w->all * PAGE);
}

static enum bawn_status put_pages(struct bawn_image *image, const struct bawn_mem_range *r,
                                  const uint64_t *map, struct walk *w, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (uint64_t i = 0; !st && i < words(r->size); i++) {
        for (uint64_t bits = map[i]; !st && bits; bits &= bits - 1) {
            uint64_t page = i * WORD_PAGES + (unsigned)__builtin_ctzll(bits);

            st = bawn_image_put(image, r->host + page * PAGE, PAGE, err);
            step(w);
        }
    }
    return st;
}

static enum bawn_status put_memory(struct bawn_image *image, const struct bawn_mem *mem, bool based,
                                   const struct bawn_progress *progress, struct bawn_error *err)
{
    uint64_t *map[BAWN_MEM_MAX_RANGES] = { NULL };
    struct walk w = { .progress = progress };
    enum bawn_status st = BAWN_OK;

    for (unsigned i = 0; !st && i < mem->nr; i++) {
        map[i] = calloc(words(mem->range[i].size), sizeof(*map[i]));
        if (!map[i])
            st = bawn_fail(err, BAWN_E_NOMEM, "no memory for the map of the guest's");
        else
            w.all += map_range(&mem->range[i], based ? mem->dirty.map[i] : NULL, map[i]);
    }
    for (unsigned i = 0; !st && i < mem->nr; i++)
        st = bawn_image_put(image, map[i], words(mem->range[i].size) * sizeof(*map[i]), err);
    for (unsigned i = 0; !st && based && i < mem->nr; i++)
        st = bawn_image_put(image, mem->dirty.map[i], words(mem->range[i].size) * sizeof(*map[i]),
                            err);
    for (unsigned i = 0; !st && i < mem->nr; i++)
        st = put_pages(image, &mem->range[i], map[i], &w, err);
    for (unsigned i = 0; i < mem->nr; i++)
        free(map[i]);
    return st;
}

enum bawn_status bawn_snapshot_write(struct bawn_image *image, const char *config,
                                     const struct bawn_state *state, size_t state_len,
                                     const struct bawn_mem *mem,
                                     const struct bawn_snapshot_base *base,
                                     const struct bawn_progress *progress, struct bawn_error *err)
{
    size_t base_len = base ? strlen(base->path) : 0;
    struct bawn_snapshot_head head = {
        .version = htole32(VERSION),
        .nr_ram = htole32(mem->nr),
        .time = htole64((uint64_t)time(NULL)),
        .config_len = htole64(strlen(config)),
        .state_len = htole64(state_len),
        .base_len = htole64(base_len),
    };
    enum bawn_status st;

    if (base)
        head.base = base->id;
    for (unsigned i = 0; i < mem->nr; i++)
        head.ram[i] = (struct bawn_ram){ htole64(mem->range[i].gpa), htole64(mem->range[i].size) };
    st = bawn_image_put(image, &head, sizeof(head), err);
    if (!st)
        st = bawn_image_put(image, config, strlen(config), err);
    if (!st)
        st = bawn_image_put(image, state, state_len, err);
    if (!st && base)
        st = bawn_image_put(image, base->path, base_len, err);
    if (!st)
        st = put_memory(image, mem, base, progress, err);
    return st ? st : bawn_image_finish(image, err);
}

/* ---- reading ---- */

static enum bawn_status nonsense(const char *what, struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_FORMAT, "the snapshot's %s make no sense", what);
}

static enum bawn_status check_head(struct bawn_snapshot *s, struct bawn_error *err)
{
    struct bawn_snapshot_head *head = &s->head;
    uint64_t maps = 0;

    if (le32toh(head->version) != VERSION)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the snapshot's content is of version %u: this bawn reads version %u",
                         le32toh(head->version), VERSION);
    head->nr_ram = le32toh(head->nr_ram);
    head->config_len = le64toh(head->config_len);
    head->state_len = le64toh(head->state_len);
    head->base_len = le64toh(head->base_len);
    if (!head->nr_ram || head->nr_ram > BAWN_MEM_MAX_RANGES)
        return nonsense("ranges of memory", err);
    for (unsigned i = 0; i < head->nr_ram; i++) {
        head->ram[i] = (struct bawn_ram){ le64toh(head->ram[i].gpa), le64toh(head->ram[i].size) };
        if (!head->ram[i].size || head->ram[i].size > BAWN_MEM_MAX ||
            head->ram[i].size % BAWN_MEM_ALIGN)
            return nonsense("ranges of memory", err);
        maps += words(head->ram[i].size) * sizeof(uint64_t);
    }
    if (head->config_len > BAWN_SNAPSHOT_CONFIG_MAX ||
        head->state_len > sizeof(struct bawn_state) || head->base_len >= BAWN_SNAPSHOT_NAME)
        return nonsense("lengths", err);
    s->state_at = sizeof(*head) + head->config_len;
    s->maps_at = s->state_at + head->state_len + head->base_len;
    s->changed_at = s->maps_at + maps;
    s->pages_at = s->changed_at + (head->base_len ? maps : 0);
    return BAWN_OK;
}

/* len bytes as a text of its own. */
static enum bawn_status get_text(struct bawn_snapshot *s, uint64_t at, uint64_t len, char **text,
                                 struct bawn_error *err)
{
    enum bawn_status st;

    *text = calloc(1, len + 1);
    if (!*text)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the snapshot's texts");
    st = bawn_image_get(&s->image, at, *text, len, err);
    return st || strlen(*text) == len ? st : nonsense("texts", err);
}

enum bawn_status bawn_snapshot_open(struct bawn_snapshot *s, int fd,
                                    const struct bawn_image_key *key, struct bawn_error *err)
{
    enum bawn_status st;

    memset(s, 0, sizeof(*s));
    s->fd = -1;
    st = bawn_image_open(&s->image, fd, key, err);
    if (!st)
        st = bawn_image_get(&s->image, 0, &s->head, sizeof(s->head), err);
    if (!st)
        st = check_head(s, err);
    if (st)
        return st;
    st = get_text(s, sizeof(s->head), s->head.config_len, &s->config, err);
    return st || !s->head.base_len
               ? st
               : get_text(s, s->state_at + s->head.state_len, s->head.base_len, &s->base_path, err);
}

static bool same_layout(const struct bawn_snapshot_head *a, const struct bawn_snapshot_head *b)
{
    bool same = a->nr_ram == b->nr_ram;

    for (unsigned i = 0; same && i < a->nr_ram; i++)
        same = a->ram[i].gpa == b->ram[i].gpa && a->ram[i].size == b->ram[i].size;
    return same;
}

/* One that moved together with what is based on it is next to that. */
static int open_base(const char *beside, const char *path)
{
    const char *slash = strrchr(beside, '/'), *name = strrchr(path, '/');
    char there[PATH_MAX];
    int fd = -1;

    if (snprintf(there, sizeof(there), "%.*s%s", slash ? (int)(slash - beside) + 1 : 0, beside,
                 name ? name + 1 : path) < (int)sizeof(there))
        fd = open(there, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static enum bawn_status check_base(const struct bawn_snapshot *s, struct bawn_error *err)
{
    const struct bawn_image_id *is = &s->base->image.id;

    if (memcmp(is, &s->head.base, sizeof(*is)))
        return bawn_fail(err, BAWN_E_DENIED,
                         "the snapshot's base %s is not the file that it was: another snapshot, or "
                         "changed since",
                         s->base_path);
    return same_layout(&s->head, &s->base->head) ? BAWN_OK : nonsense("ranges of memory", err);
}

enum bawn_status bawn_snapshot_open_bases(struct bawn_snapshot *s, const char *path,
                                          const struct bawn_image_key *key, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (unsigned n = 1; !st && s->base_path; s = s->base) {
        struct bawn_error why = { .msg = "" };
        int fd;

        if (n++ == BAWN_SNAPSHOT_CHAIN)
            return bawn_fail(err, BAWN_E_UNSUPPORTED,
                             "more than %u snapshots, each based on the next", BAWN_SNAPSHOT_CHAIN);
        fd = open_base(path, s->base_path);
        if (fd < 0)
            return bawn_fail(err, BAWN_E_IO, "the snapshot's base %s cannot be opened: %m",
                             s->base_path);
        s->base = calloc(1, sizeof(*s->base));
        if (!s->base) {
            close(fd);
            return bawn_fail(err, BAWN_E_NOMEM, "no memory for the snapshot's base");
        }
        st = bawn_snapshot_open(s->base, fd, key, &why);
        s->base->fd = fd;
        st = st ? bawn_fail(err, st, "the snapshot's base %s: %.200s", s->base_path, why.msg)
                : check_base(s, err);
    }
    return st;
}

void bawn_snapshot_close(struct bawn_snapshot *s)
{
    struct bawn_snapshot *base = s->base, *next;

    s->base = NULL;
    bawn_image_close(&s->image);
    free(s->config);
    free(s->base_path);
    s->config = s->base_path = NULL;
    for (; base; base = next) {
        next = base->base;
        base->base = NULL;
        if (base->fd >= 0)
            close(base->fd);
        bawn_snapshot_close(base);
        free(base);
    }
}

enum bawn_status bawn_state_check(const struct bawn_state *state, size_t len, unsigned vcpus,
                                  struct bawn_error *err)
{
    if (len < offsetof(struct bawn_state, vcpu))
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot's state is too short");
    if (state->version != BAWN_STATE_VERSION)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the snapshot's state is of version %u: this bawn loads version %u",
                         state->version, BAWN_STATE_VERSION);
    if (state->nr_vcpus != vcpus || state->size != BAWN_STATE_SIZE(vcpus) || len != state->size)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "the snapshot's state of %u vCPUs, %zu bytes, is not one of %u vCPUs",
                         state->nr_vcpus, len, vcpus);
    return BAWN_OK;
}

enum bawn_status bawn_snapshot_state(struct bawn_snapshot *s, struct bawn_state *state,
                                     unsigned vcpus, struct bawn_error *err)
{
    enum bawn_status st = bawn_image_get(&s->image, s->state_at, state, s->head.state_len, err);

    return st ? st : bawn_state_check(state, s->head.state_len, vcpus, err);
}

struct cursor {
    uint64_t map, changed, page; /* where the next of each is, in the image */
};

/* PIECE words of both maps: with a base, a page that stands in the image was changed. */
static enum bawn_status get_maps(struct bawn_snapshot *s, struct cursor *at, unsigned nr,
                                 uint64_t *map, uint64_t *changed, struct bawn_error *err)
{
    enum bawn_status st = bawn_image_get(&s->image, at->map, map, nr * sizeof(map[0]), err);

    at->map += nr * sizeof(map[0]);
    if (st || !s->base) {
        memset(changed, 0, nr * sizeof(changed[0]));
        return st;
    }
    st = bawn_image_get(&s->image, at->changed, changed, nr * sizeof(changed[0]), err);
    at->changed += nr * sizeof(changed[0]);
    for (unsigned i = 0; !st && i < nr; i++) {
        if (map[i] & ~changed[i])
            st = nonsense("pages", err);
    }
    return st;
}

/* What PIECE words of the maps say, from a page of the range on. */
static enum bawn_status get_piece(struct bawn_snapshot *s, struct cursor *at, uint8_t *host,
                                  unsigned nr, struct walk *w, struct bawn_error *err)
{
    uint64_t map[PIECE], changed[PIECE];
    enum bawn_status st = get_maps(s, at, nr, map, changed, err);

    for (unsigned i = 0; !st && i < nr; i++) {
        for (uint64_t bits = map[i] | changed[i]; !st && bits; bits &= bits - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(bits);
            uint64_t page = (uint64_t)i * WORD_PAGES + bit;

            if (!(map[i] >> bit & 1)) {
                memset(host + page * PAGE, 0, PAGE);
                continue;
            }
            st = bawn_image_get(&s->image, at->page, host + page * PAGE, PAGE, err);
            at->page += PAGE;
            step(w);
        }
    }
    return st;
}

enum bawn_status bawn_snapshot_fits(const struct bawn_snapshot *s, const struct bawn_mem *mem,
                                    uint64_t *pages, struct bawn_error *err)
{
    struct bawn_snapshot_head layout = { .nr_ram = mem->nr };

    for (unsigned i = 0; i < mem->nr; i++)
        layout.ram[i] = (struct bawn_ram){ mem->range[i].gpa, mem->range[i].size };
    if (!same_layout(&s->head, &layout))
        return bawn_fail(err, BAWN_E_CONFIG, "the snapshot's memory is not the machine's");
    if (s->image.size < s->pages_at || (s->image.size - s->pages_at) % PAGE)
        return nonsense("pages", err);
    if (s->base_path && !s->base)
        return bawn_fail(err, BAWN_E_INTERNAL, "the snapshot's base is not open");
    *pages = (s->image.size - s->pages_at) / PAGE;
    return BAWN_OK;
}

static enum bawn_status get_memory(struct bawn_snapshot *s, const struct bawn_mem *mem,
                                   struct walk *w, struct bawn_error *err)
{
    struct cursor at = { s->maps_at, s->changed_at, s->pages_at };
    enum bawn_status st = BAWN_OK;

    for (unsigned i = 0; !st && i < mem->nr; i++) {
        uint64_t left = words(mem->range[i].size);

        for (uint8_t *host = mem->range[i].host; !st && left;) {
            unsigned nr = left < PIECE ? (unsigned)left : PIECE;

            st = get_piece(s, &at, host, nr, w, err);
            host += (size_t)nr * WORD_PAGES * PAGE;
            left -= nr;
        }
    }
    return st || at.page == s->image.size ? st : nonsense("pages", err);
}

enum bawn_status bawn_snapshot_memory(struct bawn_snapshot *s, const struct bawn_mem *mem,
                                      const struct bawn_progress *progress, struct bawn_error *err)
{
    struct bawn_snapshot *chain[BAWN_SNAPSHOT_CHAIN];
    struct walk w = { .progress = progress };
    enum bawn_status st = BAWN_OK;
    unsigned nr = 0;

    for (; !st && s; s = s->base) {
        uint64_t pages = 0;

        if (nr == BAWN_SNAPSHOT_CHAIN)
            return nonsense("bases", err);
        st = bawn_snapshot_fits(s, mem, &pages, err);
        w.all += pages;
        chain[nr++] = s;
    }
    while (!st && nr) /* the oldest first */
        st = get_memory(chain[--nr], mem, &w, err);
    return st;
}
