// SPDX-License-Identifier: Apache-2.0
/*
 * The tables of a qcow2 image. The two upper ones (L1 and the reference count table) are in memory
 * and were checked when the image was opened; of the lower ones a fixed number of pages is, and
 * what they say is checked by who asks. A changed page is written by qcow2_commit() alone, which
 * keeps the order that qcow2.h promises.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk_io.h"
#include "qcow2_meta.h"

/* Fields of the header that are written: the count table's offset and its clusters. */
#define HEADER_COUNTS 48

static uint64_t per_block(const struct bawn_qcow2 *q)
{
    return qcow2_cluster_size(q) * 8 >> q->count_order;
}

static uint64_t per_table(const struct bawn_qcow2 *q)
{
    return qcow2_cluster_size(q) / sizeof(uint64_t);
}

static uint64_t page_size(const struct bawn_qcow2 *q)
{
    return qcow2_cluster_size(q) < QCOW2_PAGE ? qcow2_cluster_size(q) : QCOW2_PAGE;
}

static bool write_at(struct bawn_qcow2 *q, uint64_t at, void *data, size_t len)
{
    return !q->failed && bawn_io_write(q->file.fd, &(struct iovec){ data, len }, 1, at);
}

bool qcow2_is_meta(const struct bawn_qcow2 *q, uint64_t cluster)
{
    return q->is_meta[cluster / 8] & 1u << cluster % 8;
}

void qcow2_set_meta(struct bawn_qcow2 *q, uint64_t cluster, bool is)
{
    uint8_t bit = (uint8_t)(1u << cluster % 8);

    q->is_meta[cluster / 8] = is ? q->is_meta[cluster / 8] | bit : q->is_meta[cluster / 8] & ~bit;
}

/* ---- Pages ---- */

static struct qcow2_page *find_page(struct bawn_qcow2 *q, uint64_t at)
{
    if (q->page[q->last_page].at == at)
        return &q->page[q->last_page];
    for (unsigned i = 0; i < QCOW2_PAGES; i++) {
        if (q->page[i].at == at) {
            q->last_page = i;
            return &q->page[i];
        }
    }
    return NULL;
}

/* The one that was not used for the longest time, of those whose content is in the file. */
static struct qcow2_page *oldest_page(struct bawn_qcow2 *q)
{
    struct qcow2_page *oldest = NULL;

    for (unsigned i = 0; i < QCOW2_PAGES; i++) {
        struct qcow2_page *p = &q->page[i];

        if (!p->dirty && (!oldest || p->used < oldest->used))
            oldest = p;
    }
    return oldest;
}

/* The page that has the byte at this offset of the file, until the next call; or NULL. */
static struct qcow2_page *get_page(struct bawn_qcow2 *q, uint64_t at, enum qcow2_kind kind)
{
    uint64_t start = at & ~(page_size(q) - 1);
    struct qcow2_page *p = find_page(q, start);

    if (!p) {
        p = oldest_page(q);
        if (!p && qcow2_commit(q))
            p = oldest_page(q);
        if (!p)
            return NULL;
        p->at = 0;
        if (!bawn_io_read(q->file.fd, &(struct iovec){ p->data, page_size(q) }, 1, start, true))
            return NULL;
        p->at = start;
        p->kind = kind;
    }
    p->used = ++q->uses;
    return p;
}

static void dirty_page(struct bawn_qcow2 *q, struct qcow2_page *p)
{
    q->nr_dirty += !p->dirty;
    p->dirty = true;
}

/* A cluster becomes a table: none of its old content may be found in memory. */
static void forget_pages(struct bawn_qcow2 *q, uint64_t cluster)
{
    for (unsigned i = 0; i < QCOW2_PAGES; i++) {
        struct qcow2_page *p = &q->page[i];

        if (p->at >> q->cluster_bits != cluster)
            continue;
        q->nr_dirty -= p->dirty;
        *p = (struct qcow2_page){ .data = p->data };
    }
}

static void dirty_entry(struct qcow2_table *t, uint32_t i)
{
    if (t->dirty_from == t->dirty_to) {
        t->dirty_from = i;
        t->dirty_to = i + 1;
    } else if (i < t->dirty_from) {
        t->dirty_from = i;
    } else if (i >= t->dirty_to) {
        t->dirty_to = i + 1;
    }
}

static bool table_dirty(const struct qcow2_table *t)
{
    return t->dirty_from != t->dirty_to;
}

/* ---- Commit ---- */

static bool write_pages(struct bawn_qcow2 *q, enum qcow2_kind kind)
{
    for (unsigned i = 0; i < QCOW2_PAGES; i++) {
        struct qcow2_page *p = &q->page[i];

        if (!p->dirty || p->kind != kind)
            continue;
        if (!write_at(q, p->at, p->data, page_size(q)))
            return false;
        p->dirty = false;
        q->nr_dirty--;
    }
    return true;
}

static bool write_entries(struct bawn_qcow2 *q, uint64_t at, const uint64_t *entry, uint32_t nr)
{
    uint64_t part[512];

    for (uint32_t i = 0; i < nr; i++) {
        part[i % 512] = htobe64(entry[i]);
        if ((i % 512 == 511 || i + 1 == nr) &&
            !write_at(q, at + 8ull * (i - i % 512), part, 8ul * (i % 512 + 1)))
            return false;
    }
    return true;
}

static bool write_table(struct bawn_qcow2 *q, struct qcow2_table *t)
{
    uint32_t from = t->dirty_from;

    if (!write_entries(q, t->at + 8ull * from, t->entry + from, t->dirty_to - from))
        return false;
    t->dirty_from = t->dirty_to = 0;
    return true;
}

static bool sync_file(const struct bawn_qcow2 *q)
{
    return !fdatasync(q->file.fd);
}

/* Counts first, so that at worst a cluster is lost that nothing refers to. */
static bool write_in_order(struct bawn_qcow2 *q)
{
    if (!write_pages(q, QCOW2_COUNTS) || !sync_file(q))
        return false;
    if (table_dirty(&q->counts) && (!write_table(q, &q->counts) || !sync_file(q)))
        return false;
    if (q->nr_dirty && (!write_pages(q, QCOW2_MAP) || !sync_file(q)))
        return false;
    return !table_dirty(&q->l1) || (write_table(q, &q->l1) && sync_file(q));
}

static bool set_count(struct bawn_qcow2 *q, uint64_t cluster, uint64_t count);

/* Of as many clusters as there is room for changed pages. */
static void drop_lost(struct bawn_qcow2 *q)
{
    unsigned n = 0;

    for (; n < q->nr_durable && q->nr_dirty < QCOW2_PAGES / 2; n++) {
        uint64_t cluster = q->lost[n], count;

        if (!qcow2_count(q, cluster, &count) || !count || !set_count(q, cluster, count - 1))
            continue; /* at worst it stays allocated */
        if (count > 1)
            continue;
        qcow2_set_meta(q, cluster, false);
        forget_pages(q, cluster);
        bawn_io_punch(q->file.fd, cluster << q->cluster_bits, qcow2_cluster_size(q));
        if (cluster < q->next_free)
            q->next_free = cluster;
    }
    q->nr_lost -= n;
    q->nr_durable -= n;
    memmove(q->lost, q->lost + n, q->nr_lost * sizeof(q->lost[0]));
}

bool qcow2_commit(struct bawn_qcow2 *q)
{
    if (q->file.readonly)
        return true;
    if (q->failed)
        return false;
    if (!write_in_order(q)) {
        /* What the kernel still had may be gone, and a later sync would not say so. */
        q->failed = true;
        return false;
    }
    q->nr_durable = q->nr_lost;
    drop_lost(q);
    return true;
}

/* ---- Counts ---- */

/* Where the count is: in the file, and from which bit on. */
static uint64_t count_at(const struct bawn_qcow2 *q, uint64_t cluster, unsigned *bit)
{
    uint64_t bits = cluster % per_block(q) << q->count_order;

    *bit = bits % 8;
    return q->counts.entry[cluster / per_block(q)] + bits / 8;
}

/* Big-endian; those that share a byte begin at its low end. */
static uint64_t load_count(const uint8_t *from, unsigned order, unsigned bit)
{
    uint64_t n = 0;

    if (order < 3)
        return *from >> bit & ((1u << (1u << order)) - 1);
    for (unsigned i = 0; i < 1u << (order - 3); i++)
        n = n << 8 | from[i];
    return n;
}

static void store_count(uint8_t *to, unsigned order, unsigned bit, uint64_t n)
{
    unsigned mask;

    if (order < 3) {
        mask = ((1u << (1u << order)) - 1) << bit;
        *to = (uint8_t)((*to & ~mask) | (n << bit & mask));
        return;
    }
    for (unsigned i = 1u << (order - 3); i--; n >>= 8)
        to[i] = (uint8_t)n;
}

static struct qcow2_page *count_page(struct bawn_qcow2 *q, uint64_t cluster, uint64_t *off,
                                     unsigned *bit)
{
    uint64_t at = count_at(q, cluster, bit);

    *off = at & (page_size(q) - 1);
    return get_page(q, at, QCOW2_COUNTS);
}

static bool has_block(const struct bawn_qcow2 *q, uint64_t cluster)
{
    return cluster / per_block(q) < q->counts.nr && q->counts.entry[cluster / per_block(q)];
}

bool qcow2_count(struct bawn_qcow2 *q, uint64_t cluster, uint64_t *count)
{
    struct qcow2_page *p;
    uint64_t off;
    unsigned bit;

    *count = 0;
    if (!has_block(q, cluster))
        return true;
    p = count_page(q, cluster, &off, &bit);
    if (p)
        *count = load_count(p->data + off, q->count_order, bit);
    return p;
}

/* The cluster has a block of counts. */
static bool set_count(struct bawn_qcow2 *q, uint64_t cluster, uint64_t count)
{
    struct qcow2_page *p;
    uint64_t off;
    unsigned bit;

    if (!has_block(q, cluster))
        return false;
    p = count_page(q, cluster, &off, &bit);
    if (!p)
        return false;
    store_count(p->data + off, q->count_order, bit, count);
    dirty_page(q, p);
    return true;
}

static bool zero_cluster(struct bawn_qcow2 *q, uint64_t cluster)
{
    forget_pages(q, cluster);
    memset(q->bounce, 0, qcow2_cluster_size(q));
    return write_at(q, cluster << q->cluster_bits, q->bounce, qcow2_cluster_size(q));
}

static void use_cluster(struct bawn_qcow2 *q, uint64_t cluster)
{
    if (cluster >= q->end)
        q->end = cluster + 1;
}

/* The first cluster that a missing block is to count becomes the block. */
static bool add_block(struct bawn_qcow2 *q, uint64_t cluster)
{
    uint32_t i = (uint32_t)(cluster / per_block(q));

    if (qcow2_is_meta(q, cluster) || !zero_cluster(q, cluster))
        return false;
    use_cluster(q, cluster);
    qcow2_set_meta(q, cluster, true);
    q->counts.entry[i] = cluster << q->cluster_bits;
    dirty_entry(&q->counts, i);
    return set_count(q, cluster, 1);
}

/* Writes the larger table and a block that counts both, from cluster first on, and moves to it. */
static bool move_counts(struct bawn_qcow2 *q, uint64_t first, const struct qcow2_table *to,
                        uint32_t clusters)
{
    struct {
        uint64_t at;
        uint32_t clusters;
    } __attribute__((packed)) header = { htobe64(to->at), htobe32(clusters) };

    memset(q->bounce, 0, qcow2_cluster_size(q));
    for (unsigned i = 0; i <= clusters; i++)
        store_count(q->bounce + (i << q->count_order) / 8, q->count_order,
                    (i << q->count_order) % 8, 1);
    forget_pages(q, first);
    return write_at(q, first << q->cluster_bits, q->bounce, qcow2_cluster_size(q)) &&
           write_entries(q, to->at, to->entry, to->nr) && sync_file(q) &&
           write_at(q, HEADER_COUNTS, &header, sizeof(header)) && sync_file(q);
}

/* The table has no entry for more clusters: a larger one is made where those begin. */
static bool grow_counts(struct bawn_qcow2 *q)
{
    uint64_t old = q->counts.nr / per_table(q), clusters = 2 * old;
    uint64_t first = q->counts.nr * per_block(q), old_first = q->counts.at >> q->cluster_bits;
    struct qcow2_table to;

    if (!clusters || clusters >= per_block(q) || clusters * per_table(q) > QCOW2_TABLE_MAX ||
        first + clusters >= QCOW2_CLUSTERS_MAX || !qcow2_commit(q))
        return false;
    for (uint64_t i = 0; i <= clusters; i++)
        if (qcow2_is_meta(q, first + i))
            return false;
    to = (struct qcow2_table){ .at = (first + 1) << q->cluster_bits,
                               .nr = (uint32_t)(clusters * per_table(q)) };
    to.entry = calloc(to.nr, sizeof(to.entry[0]));
    if (!to.entry)
        return false;
    memcpy(to.entry, q->counts.entry, q->counts.nr * sizeof(to.entry[0]));
    to.entry[q->counts.nr] = first << q->cluster_bits;
    if (!move_counts(q, first, &to, (uint32_t)clusters)) {
        free(to.entry);
        q->failed = true; /* the file may have either table */
        return false;
    }
    free(q->counts.entry);
    q->counts = to;
    for (uint64_t i = 0; i <= clusters; i++)
        qcow2_set_meta(q, first + i, true);
    use_cluster(q, first + clusters);
    for (uint64_t i = 0; i < old; i++)
        qcow2_lose(q, old_first + i);
    return true;
}

bool qcow2_alloc(struct bawn_qcow2 *q, uint64_t *cluster)
{
    for (uint64_t c = q->next_free; c < QCOW2_CLUSTERS_MAX; c++) {
        uint64_t count;

        if (c / per_block(q) >= q->counts.nr && !grow_counts(q))
            return false;
        if (!has_block(q, c)) {
            if (!add_block(q, c))
                return false;
            continue;
        }
        if (!qcow2_count(q, c, &count))
            return false;
        if (count || qcow2_is_meta(q, c))
            continue;
        if (!set_count(q, c, 1))
            return false;
        q->next_free = c + 1;
        *cluster = c;
        return true;
    }
    return false;
}

void qcow2_unalloc(struct bawn_qcow2 *q, uint64_t cluster)
{
    if (set_count(q, cluster, 0) && cluster < q->next_free)
        q->next_free = cluster;
}

bool qcow2_lose(struct bawn_qcow2 *q, uint64_t cluster)
{
    if (q->nr_lost == QCOW2_FREES && (!qcow2_commit(q) || q->nr_lost == QCOW2_FREES))
        return false;
    q->lost[q->nr_lost++] = cluster;
    return true;
}

/* ---- The map ---- */

static struct qcow2_page *map_page(struct bawn_qcow2 *q, uint64_t guest, uint64_t *off)
{
    uint64_t table = q->l1.entry[guest / per_table(q)] & QCOW2_OFFSET;
    uint64_t at = table + guest % per_table(q) * sizeof(uint64_t);

    *off = at & (page_size(q) - 1);
    return get_page(q, at, QCOW2_MAP);
}

bool qcow2_map_get(struct bawn_qcow2 *q, uint64_t guest, uint64_t *entry)
{
    struct qcow2_page *p;
    uint64_t off;

    *entry = 0;
    if (!q->l1.entry[guest / per_table(q)])
        return true;
    p = map_page(q, guest, &off);
    if (!p)
        return false;
    memcpy(entry, p->data + off, sizeof(*entry));
    *entry = be64toh(*entry);
    return true;
}

/* A table of ours alone: a new one, or a copy of one that a snapshot has too. */
static bool own_table(struct bawn_qcow2 *q, uint32_t i)
{
    uint64_t old = q->l1.entry[i] & QCOW2_OFFSET, cluster;
    struct iovec all = { q->bounce, qcow2_cluster_size(q) };
    bool ok;

    /* No page of a shared table is dirty, so what the file has is what it is. */
    if (!qcow2_alloc(q, &cluster))
        return false;
    use_cluster(q, cluster);
    if (!old)
        ok = zero_cluster(q, cluster);
    else
        ok = bawn_io_read(q->file.fd, &all, 1, old, true) &&
             write_at(q, cluster << q->cluster_bits, q->bounce, qcow2_cluster_size(q));
    if (!ok || (old && !qcow2_lose(q, old >> q->cluster_bits))) {
        qcow2_unalloc(q, cluster);
        return false;
    }
    forget_pages(q, cluster);
    qcow2_set_meta(q, cluster, true);
    q->l1.entry[i] = cluster << q->cluster_bits | QCOW2_COPIED;
    dirty_entry(&q->l1, i);
    return true;
}

bool qcow2_map_set(struct bawn_qcow2 *q, uint64_t guest, uint64_t entry)
{
    uint32_t i = (uint32_t)(guest / per_table(q));
    struct qcow2_page *p;
    uint64_t off;

    if (!(q->l1.entry[i] & QCOW2_COPIED) && !own_table(q, i))
        return false;
    p = map_page(q, guest, &off);
    if (!p)
        return false;
    entry = htobe64(entry);
    memcpy(p->data + off, &entry, sizeof(entry));
    dirty_page(q, p);
    return true;
}
