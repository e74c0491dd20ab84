// SPDX-License-Identifier: Apache-2.0
/*
 * Writes and reads what stands in a snapshot's image. Guest memory is looked at, and never
 * believed.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "snapshot.h"

#define VERSION 1
#define PAGE 4096u
#define WORD_PAGES 64u    /* that a word of the map stands for */
#define PIECE 512u        /* words that are read at once, 128 MiB */
#define TELL_EVERY 16384u /* pages */

/* ---- writing ---- */

static bool is_zero(const uint8_t *page)
{
    return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* Marks the pages that are not zero. Holes are not read: that would fill them. */
static uint64_t map_range(const struct bawn_mem_range *r, uint64_t *map)
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
            if (is_zero(r->host + page * PAGE))
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

static enum bawn_status put_memory(struct bawn_image *image, const struct bawn_mem *mem,
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
            w.all += map_range(&mem->range[i], map[i]);
    }
    for (unsigned i = 0; !st && i < mem->nr; i++)
        st = bawn_image_put(image, map[i], words(mem->range[i].size) * sizeof(*map[i]), err);
    for (unsigned i = 0; !st && i < mem->nr; i++)
        st = put_pages(image, &mem->range[i], map[i], &w, err);
    for (unsigned i = 0; i < mem->nr; i++)
        free(map[i]);
    return st;
}

enum bawn_status bawn_snapshot_write(struct bawn_image *image, const char *config,
                                     const struct bawn_state *state, size_t state_len,
                                     const struct bawn_mem *mem,
                                     const struct bawn_progress *progress, struct bawn_error *err)
{
    struct bawn_snapshot_head head = {
        .version = htole32(VERSION),
        .nr_ram = htole32(mem->nr),
        .time = htole64((uint64_t)time(NULL)),
        .config_len = htole64(strlen(config)),
        .state_len = htole64(state_len),
    };
    enum bawn_status st;

    for (unsigned i = 0; i < mem->nr; i++)
        head.ram[i] = (struct bawn_ram){ htole64(mem->range[i].gpa), htole64(mem->range[i].size) };
    st = bawn_image_put(image, &head, sizeof(head), err);
    if (!st)
        st = bawn_image_put(image, config, strlen(config), err);
    if (!st)
        st = bawn_image_put(image, state, state_len, err);
    if (!st)
        st = put_memory(image, mem, progress, err);
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
    if (!head->nr_ram || head->nr_ram > BAWN_MEM_MAX_RANGES)
        return nonsense("ranges of memory", err);
    for (unsigned i = 0; i < head->nr_ram; i++) {
        head->ram[i] = (struct bawn_ram){ le64toh(head->ram[i].gpa), le64toh(head->ram[i].size) };
        if (!head->ram[i].size || head->ram[i].size > BAWN_MEM_MAX ||
            head->ram[i].size % BAWN_MEM_ALIGN)
            return nonsense("ranges of memory", err);
        maps += words(head->ram[i].size) * sizeof(uint64_t);
    }
    if (head->config_len > BAWN_SNAPSHOT_CONFIG_MAX || head->state_len > sizeof(struct bawn_state))
        return nonsense("lengths", err);
    s->state_at = sizeof(*head) + head->config_len;
    s->maps_at = s->state_at + head->state_len;
    s->pages_at = s->maps_at + maps;
    return BAWN_OK;
}

enum bawn_status bawn_snapshot_open(struct bawn_snapshot *s, int fd,
                                    const struct bawn_image_key *key, struct bawn_error *err)
{
    enum bawn_status st;

    memset(s, 0, sizeof(*s));
    st = bawn_image_open(&s->image, fd, key, err);
    if (!st)
        st = bawn_image_get(&s->image, 0, &s->head, sizeof(s->head), err);
    if (!st)
        st = check_head(s, err);
    if (st)
        return st;
    s->config = calloc(1, s->head.config_len + 1);
    if (!s->config)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the snapshot's configuration");
    st = bawn_image_get(&s->image, sizeof(s->head), s->config, s->head.config_len, err);
    return st || strlen(s->config) == s->head.config_len ? st : nonsense("texts", err);
}

void bawn_snapshot_close(struct bawn_snapshot *s)
{
    bawn_image_close(&s->image);
    free(s->config);
    s->config = NULL;
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
    uint64_t map, page; /* where the next of each is, in the image */
};

/* What PIECE words of the map say, from a page of the range on. */
static enum bawn_status get_piece(struct bawn_snapshot *s, struct cursor *at, uint8_t *host,
                                  unsigned nr, struct walk *w, struct bawn_error *err)
{
    uint64_t map[PIECE];
    enum bawn_status st = bawn_image_get(&s->image, at->map, map, nr * sizeof(map[0]), err);

    at->map += nr * sizeof(map[0]);
    for (unsigned i = 0; !st && i < nr; i++) {
        for (uint64_t bits = map[i]; !st && bits; bits &= bits - 1) {
            uint64_t page = i * WORD_PAGES + (unsigned)__builtin_ctzll(bits);

            st = bawn_image_get(&s->image, at->page, host + page * PAGE, PAGE, err);
            at->page += PAGE;
            step(w);
        }
    }
    return st;
}

static bool same_layout(const struct bawn_snapshot *s, const struct bawn_mem *mem)
{
    bool same = s->head.nr_ram == mem->nr;

    for (unsigned i = 0; same && i < mem->nr; i++)
        same = s->head.ram[i].gpa == mem->range[i].gpa && s->head.ram[i].size == mem->range[i].size;
    return same;
}

enum bawn_status bawn_snapshot_fits(const struct bawn_snapshot *s, const struct bawn_mem *mem,
                                    uint64_t *pages, struct bawn_error *err)
{
    if (!same_layout(s, mem))
        return bawn_fail(err, BAWN_E_CONFIG, "the snapshot's memory is not the machine's");
    if (s->image.size < s->pages_at || (s->image.size - s->pages_at) % PAGE)
        return nonsense("pages", err);
    *pages = (s->image.size - s->pages_at) / PAGE;
    return BAWN_OK;
}

enum bawn_status bawn_snapshot_memory(struct bawn_snapshot *s, const struct bawn_mem *mem,
                                      const struct bawn_progress *progress, struct bawn_error *err)
{
    struct cursor at = { s->maps_at, s->pages_at };
    struct walk w = { .progress = progress };
    enum bawn_status st = bawn_snapshot_fits(s, mem, &w.all, err);

    for (unsigned i = 0; !st && i < mem->nr; i++) {
        uint64_t left = words(mem->range[i].size);

        for (uint8_t *host = mem->range[i].host; !st && left;) {
            unsigned nr = left < PIECE ? (unsigned)left : PIECE;

            st = get_piece(s, &at, host, nr, &w, err);
            host += (size_t)nr * WORD_PAGES * PAGE;
            left -= nr;
        }
    }
    return st || w.done == w.all ? st : nonsense("pages", err);
}
