// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2 images: opening and checking one, and the guest's reads and writes. Nothing of the file is
 * trusted. Offsets are those of host clusters below QCOW2_CLUSTERS_MAX, none of which is a table's;
 * what a table says is checked where it is read, for the file may change.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "disk_io.h"
#include "qcow2_meta.h"

#define MAGIC 0x514649fbu
#define MIN_CLUSTER_BITS 9
#define MAX_CLUSTER_BITS 21
#define V2_LENGTH 72
#define MAX_COUNT_ORDER 6
#define HEADER_AUTOCLEAR 88
#define SNAPSHOTS_MAX 65536
#define PARTS_MAX 128 /* buffers of a read or write */

#define FEATURE_DIRTY 1u
#define FEATURE_CORRUPT 2u

struct header {
    uint32_t magic, version;
    uint64_t backing_offset;
    uint32_t backing_size, cluster_bits;
    uint64_t size;
    uint32_t crypt_method, l1_size;
    uint64_t l1_offset, counts_offset;
    uint32_t counts_clusters, snapshots;
    uint64_t snapshots_offset;
    /* version 3 */
    uint64_t incompatible, compatible, autoclear;
    uint32_t count_order, length;
} __attribute__((packed));

_Static_assert(sizeof(struct header) == 104, "as the format has it");

/* Where a piece of the disk is. */
enum place { PLACE_NOWHERE, PLACE_ZERO, PLACE_FILE };

struct extent {
    enum place place;
    bool in_place;    /* it may be written where it is */
    uint64_t cluster; /* host cluster, also of a zeroed one that has one; 0: none */
    uint64_t at;      /* offset in the file */
    uint64_t len;
};

/* ---- Opening ---- */

static enum bawn_status read_header(const struct bawn_qcow2_file *f, struct header *h,
                                    struct bawn_error *err)
{
    memset(h, 0, sizeof(*h));
    if (pread(f->fd, h, sizeof(*h), 0) < V2_LENGTH)
        return bawn_fail(err, BAWN_E_FORMAT, "disk %s: too short for a qcow2 image", f->path);
    h->version = be32toh(h->version);
    if (be32toh(h->magic) != MAGIC || (h->version != 2 && h->version != 3))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "disk %s: is not a qcow2 image of version 2 or 3; a raw image needs "
                         "format=raw",
                         f->path);
    h->backing_offset = be64toh(h->backing_offset);
    h->cluster_bits = be32toh(h->cluster_bits);
    h->size = be64toh(h->size);
    h->crypt_method = be32toh(h->crypt_method);
    h->l1_size = be32toh(h->l1_size);
    h->l1_offset = be64toh(h->l1_offset);
    h->counts_offset = be64toh(h->counts_offset);
    h->counts_clusters = be32toh(h->counts_clusters);
    h->snapshots = be32toh(h->snapshots);
    if (h->version == 2) {
        h->incompatible = h->autoclear = 0;
        h->count_order = 4;
        return BAWN_OK;
    }
    h->incompatible = be64toh(h->incompatible);
    h->autoclear = be64toh(h->autoclear);
    h->count_order = be32toh(h->count_order);
    return BAWN_OK;
}

/* Features that are not served, in plain words. */
static enum bawn_status check_features(const struct bawn_qcow2_file *f, const struct header *h,
                                       struct bawn_error *err)
{
    static const char *const names[] = { "", "", "external data file", "compression type",
                                         "extended L2 entries" };
    uint64_t rest = h->incompatible & ~(uint64_t)(FEATURE_DIRTY | FEATURE_CORRUPT);
    unsigned bit = rest ? (unsigned)__builtin_ctzll(rest) : 0;

    if (rest)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "disk %s: has a qcow2 feature that is not served (bit %u%s%s); convert it "
                         "with qemu-img convert",
                         f->path, bit, bit < 5 ? ", " : "", bit < 5 ? names[bit] : "");
    if (h->incompatible)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "disk %s: was not closed properly or is corrupt; repair it with qemu-img "
                         "check -r all",
                         f->path);
    if (h->crypt_method)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "disk %s: is encrypted by qcow2; encrypt in the guest instead", f->path);
    if (h->backing_offset && !f->backing)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "disk %s: has a backing file, which must be named by backing=FILE",
                         f->path);
    if (!h->backing_offset && f->backing)
        return bawn_fail(err, BAWN_E_CONFIG, "disk %s: has no backing file, but one is named",
                         f->path);
    return BAWN_OK;
}

static enum bawn_status corrupt(const struct bawn_qcow2 *q, const char *what, uint64_t at,
                                struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_FORMAT,
                     "disk %s: corrupt qcow2 image: %s (0x%" PRIx64 "); qemu-img check says more",
                     q->file.path, what, at);
}

static bool aligned(const struct bawn_qcow2 *q, uint64_t at)
{
    return !(at & (qcow2_cluster_size(q) - 1)) && at >> q->cluster_bits &&
           at >> q->cluster_bits < QCOW2_CLUSTERS_MAX;
}

/* Marks n clusters from at on as a table's. false: they are not there, or are one's already. */
static bool claim(struct bawn_qcow2 *q, uint64_t at, uint64_t n)
{
    uint64_t first = at >> q->cluster_bits;

    if (!aligned(q, at) || n > QCOW2_CLUSTERS_MAX - first)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (qcow2_is_meta(q, first + i))
            return false;
        qcow2_set_meta(q, first + i, true);
    }
    return true;
}

static bool load_table(const struct bawn_qcow2 *q, struct qcow2_table *t)
{
    struct iovec v;

    t->entry = malloc(t->nr * sizeof(t->entry[0]));
    v = (struct iovec){ t->entry, t->nr * sizeof(t->entry[0]) };
    if (!t->entry || !bawn_io_read(q->file.fd, &v, 1, t->at, true))
        return false;
    for (uint32_t i = 0; i < t->nr; i++)
        t->entry[i] = be64toh(t->entry[i]);
    return true;
}

static enum bawn_status check_shape(struct bawn_qcow2 *q, const struct header *h,
                                    struct bawn_error *err)
{
    uint64_t entries, cluster;

    if (h->cluster_bits < MIN_CLUSTER_BITS || h->cluster_bits > MAX_CLUSTER_BITS)
        return corrupt(q, "cluster_bits must be 9 to 21", h->cluster_bits, err);
    if (h->count_order > MAX_COUNT_ORDER)
        return corrupt(q, "refcount_order must be at most 6", h->count_order, err);
    q->version = h->version;
    q->cluster_bits = h->cluster_bits;
    q->count_order = h->count_order;
    q->size = h->size;
    cluster = qcow2_cluster_size(q);
    if (!q->size || q->size % BAWN_SECTOR || q->size > QCOW2_CLUSTERS_MAX << q->cluster_bits)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "disk %s: has %" PRIu64
                         " bytes: must be a multiple of 512, at most 2^27 clusters",
                         q->file.path, q->size);
    entries = ((q->size - 1) >> q->cluster_bits) / (cluster / 8) + 1;
    if (entries > QCOW2_TABLE_MAX || h->l1_size < entries || h->l1_size > QCOW2_TABLE_MAX)
        return corrupt(q, "the L1 table's size is wrong", h->l1_size, err);
    if (!h->counts_clusters || h->counts_clusters * (cluster / 8) > QCOW2_TABLE_MAX)
        return corrupt(q, "the refcount table's size is wrong", h->counts_clusters, err);
    if (h->snapshots > SNAPSHOTS_MAX)
        return corrupt(q, "too many snapshots", h->snapshots, err);
    q->l1 = (struct qcow2_table){ .at = h->l1_offset, .nr = (uint32_t)entries };
    q->counts = (struct qcow2_table){ .at = h->counts_offset,
                                      .nr = (uint32_t)(h->counts_clusters * (cluster / 8)) };
    return BAWN_OK;
}

static enum bawn_status get_memory(struct bawn_qcow2 *q, struct bawn_error *err)
{
    void *map = mmap(NULL, QCOW2_CLUSTERS_MAX / 8, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    q->is_meta = map == MAP_FAILED ? NULL : map;
    q->bounce = malloc(qcow2_cluster_size(q));
    q->pages = malloc((size_t)QCOW2_PAGES * QCOW2_PAGE);
    if (!q->is_meta || !q->bounce || !q->pages)
        return bawn_fail(err, BAWN_E_NOMEM, "disk %s: out of memory", q->file.path);
    for (unsigned i = 0; i < QCOW2_PAGES; i++)
        q->page[i].data = q->pages + (size_t)i * QCOW2_PAGE;
    return BAWN_OK;
}

/* The upper tables, and that no two tables are in one place. */
static enum bawn_status load_tables(struct bawn_qcow2 *q, const struct header *h,
                                    struct bawn_error *err)
{
    uint64_t mask = qcow2_cluster_size(q) - 1;
    uint64_t l1_clusters = (8ull * h->l1_size + mask) >> q->cluster_bits;

    qcow2_set_meta(q, 0, true);
    if (!claim(q, q->l1.at, l1_clusters))
        return corrupt(q, "the L1 table is in a wrong place", q->l1.at, err);
    if (!claim(q, q->counts.at, h->counts_clusters))
        return corrupt(q, "the refcount table is in a wrong place", q->counts.at, err);
    if (!load_table(q, &q->l1) || !load_table(q, &q->counts))
        return bawn_fail(err, BAWN_E_IO, "disk %s: cannot read its tables: %m", q->file.path);
    for (uint32_t i = 0; i < q->counts.nr; i++)
        if (q->counts.entry[i] && !claim(q, q->counts.entry[i], 1))
            return corrupt(q, "a refcount block is in a wrong place", q->counts.entry[i], err);
    for (uint32_t i = 0; i < q->l1.nr; i++) {
        uint64_t e = q->l1.entry[i];

        if (e && ((e & ~(QCOW2_COPIED | QCOW2_OFFSET)) || !claim(q, e & QCOW2_OFFSET, 1)))
            return corrupt(q, "an L2 table is in a wrong place", e, err);
    }
    return BAWN_OK;
}

/* What an entry of the map says; false: nothing that can be. */
static bool decode(const struct bawn_qcow2 *q, uint64_t entry, struct extent *e)
{
    uint64_t known = QCOW2_COPIED | QCOW2_OFFSET | (q->version > 2 ? QCOW2_ZERO : 0);
    uint64_t at = entry & QCOW2_OFFSET;

    *e = (struct extent){ .place = entry & QCOW2_ZERO ? PLACE_ZERO : PLACE_NOWHERE };
    if ((entry & ~known) || (at && (!aligned(q, at) || qcow2_is_meta(q, at >> q->cluster_bits))))
        return false;
    e->cluster = at >> q->cluster_bits;
    if (!at || (entry & QCOW2_ZERO))
        return true;
    e->place = PLACE_FILE;
    e->at = at;
    e->in_place = entry & QCOW2_COPIED;
    return true;
}

/* A host cluster that is referred to: it is counted, and only once if it may be written. */
static const char *check_reference(struct bawn_qcow2 *q, uint64_t cluster, bool copied,
                                   uint8_t *seen)
{
    uint8_t bit = (uint8_t)(1u << cluster % 8);
    uint64_t count;

    if (!qcow2_count(q, cluster, &count))
        return "its counts cannot be read";
    if (!count || (copied && count != 1))
        return "a cluster is used, and its refcount says otherwise";
    if (copied && (seen[cluster / 8] & bit))
        return "a cluster is used twice";
    if (copied)
        seen[cluster / 8] |= bit;
    return NULL;
}

static enum bawn_status check_l2(struct bawn_qcow2 *q, uint64_t l1_entry, uint8_t *seen,
                                 struct bawn_error *err)
{
    uint64_t n = qcow2_cluster_size(q) / 8, at = l1_entry & QCOW2_OFFSET;
    struct iovec v = { q->bounce, qcow2_cluster_size(q) };
    const char *what = check_reference(q, at >> q->cluster_bits, l1_entry & QCOW2_COPIED, seen);

    if (what)
        return corrupt(q, what, at, err);
    if (!bawn_io_read(q->file.fd, &v, 1, at, true))
        return bawn_fail(err, BAWN_E_IO, "disk %s: cannot read its tables: %m", q->file.path);
    for (uint64_t i = 0; i < n; i++) {
        struct extent e;
        uint64_t entry;

        memcpy(&entry, q->bounce + 8 * i, sizeof(entry));
        entry = be64toh(entry);
        if (entry & QCOW2_COMPRESSED)
            return bawn_fail(err, BAWN_E_UNSUPPORTED,
                             "disk %s: has compressed clusters, which are not served; convert it "
                             "with qemu-img convert",
                             q->file.path);
        if (!decode(q, entry, &e))
            return corrupt(q, "an L2 entry is wrong", entry, err);
        what = e.cluster ? check_reference(q, e.cluster, entry & QCOW2_COPIED, seen) : NULL;
        if (what)
            return corrupt(q, what, entry & QCOW2_OFFSET, err);
    }
    return BAWN_OK;
}

static enum bawn_status check_map(struct bawn_qcow2 *q, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    uint8_t *seen = mmap(NULL, QCOW2_CLUSTERS_MAX / 8, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (seen == MAP_FAILED)
        return bawn_fail(err, BAWN_E_NOMEM, "disk %s: out of memory", q->file.path);
    for (uint32_t i = 0; !st && i < q->l1.nr; i++)
        if (q->l1.entry[i])
            st = check_l2(q, q->l1.entry[i], seen, err);
    munmap(seen, QCOW2_CLUSTERS_MAX / 8);
    return st;
}

/* Features that are only right as long as nobody writes who does not know them. */
static enum bawn_status clear_autoclear(struct bawn_qcow2 *q, const struct header *h,
                                        struct bawn_error *err)
{
    uint64_t none = 0;

    if (q->file.readonly || !h->autoclear)
        return BAWN_OK;
    if (!bawn_io_write(q->file.fd, &(struct iovec){ &none, sizeof(none) }, 1, HEADER_AUTOCLEAR) ||
        fdatasync(q->file.fd))
        return bawn_fail(err, BAWN_E_IO, "disk %s: cannot write its header: %m", q->file.path);
    return BAWN_OK;
}

static enum bawn_status load(struct bawn_qcow2 *q, struct bawn_error *err)
{
    struct header h;
    struct stat st;
    enum bawn_status rc = read_header(&q->file, &h, err);

    if (!rc)
        rc = check_features(&q->file, &h, err);
    if (!rc)
        rc = check_shape(q, &h, err);
    if (!rc)
        rc = get_memory(q, err);
    if (!rc)
        rc = load_tables(q, &h, err);
    if (!rc)
        rc = check_map(q, err);
    if (!rc && fstat(q->file.fd, &st))
        rc = bawn_fail(err, BAWN_E_IO, "cannot stat disk %s: %m", q->file.path);
    if (rc)
        return rc;
    /* A block device's size says nothing of what was used: nothing counts as fresh there. */
    q->end = S_ISREG(st.st_mode)
                 ? ((uint64_t)st.st_size + qcow2_cluster_size(q) - 1) >> q->cluster_bits
                 : QCOW2_CLUSTERS_MAX;
    return clear_autoclear(q, &h, err);
}

static void release(struct bawn_qcow2 *q)
{
    if (q->is_meta)
        munmap(q->is_meta, QCOW2_CLUSTERS_MAX / 8);
    free(q->l1.entry);
    free(q->counts.entry);
    free(q->pages);
    free(q->bounce);
    free(q);
}

enum bawn_status bawn_qcow2_open(struct bawn_qcow2 **q, const struct bawn_qcow2_file *file,
                                 struct bawn_error *err)
{
    struct bawn_qcow2 *new = calloc(1, sizeof(*new));
    enum bawn_status st;

    *q = NULL;
    if (!new)
        return bawn_fail(err, BAWN_E_NOMEM, "disk %s: out of memory", file->path);
    new->file = *file;
    st = load(new, err);
    new->file.path = NULL;
    if (st)
        release(new);
    else
        *q = new;
    return st;
}

bool bawn_qcow2_settle(struct bawn_qcow2 *q)
{
    bool ok;

    /* The counts that fall when a commit is done are written by the next one. */
    do
        ok = qcow2_commit(q);
    while (ok && (q->nr_dirty || q->nr_lost));
    return ok;
}

enum bawn_status bawn_qcow2_peek(const struct bawn_qcow2_file *file, uint64_t *size,
                                 struct bawn_error *err)
{
    struct bawn_qcow2 q = { .file = *file };
    struct header h;
    enum bawn_status st = read_header(file, &h, err);

    if (!st)
        st = check_features(file, &h, err);
    if (!st)
        st = check_shape(&q, &h, err);
    *size = q.size;
    return st;
}

void bawn_qcow2_close(struct bawn_qcow2 *q)
{
    if (!q)
        return;
    bawn_qcow2_settle(q);
    release(q);
}

uint64_t bawn_qcow2_size(const struct bawn_qcow2 *q)
{
    return q->size;
}

/* ---- Reading ---- */

/* What is at pos, up to the end of its cluster. */
static bool extent_at(struct bawn_qcow2 *q, uint64_t pos, struct extent *e)
{
    uint64_t in = pos & (qcow2_cluster_size(q) - 1), entry;

    if (!qcow2_map_get(q, pos >> q->cluster_bits, &entry) || !decode(q, entry, e))
        return false;
    e->at += in;
    e->len = qcow2_cluster_size(q) - in;
    return true;
}

static bool goes_on(const struct extent *e, const struct extent *next)
{
    return e->place == next->place && e->in_place == next->in_place &&
           (e->place != PLACE_FILE || e->at + e->len == next->at);
}

/* The same, and what goes on behind it in the same way, at most max bytes. */
static bool long_extent(struct bawn_qcow2 *q, uint64_t pos, uint64_t max, struct extent *e)
{
    if (!extent_at(q, pos, e))
        return false;
    while (e->len < max) {
        struct extent next;

        if (!extent_at(q, pos + e->len, &next) || !goes_on(e, &next))
            break;
        e->len += next.len;
    }
    if (e->len > max)
        e->len = max;
    return true;
}

static bool read_backing(const struct bawn_disk *disk, uint64_t pos, struct iovec *v, unsigned nr)
{
    uint64_t size = disk->sectors * BAWN_SECTOR;
    struct iovec part[PARTS_MAX];

    while (nr) {
        unsigned n;

        if (pos >= size) { /* it may be shorter than the image on it */
            memset(v->iov_base, 0, v->iov_len);
            bawn_iov_advance(&v, &nr, v->iov_len);
            continue;
        }
        n = bawn_iov_take(&v, &nr, size - pos, part);
        if (!bawn_disk_read(disk, pos / BAWN_SECTOR, part, n))
            return false;
        pos = size;
    }
    return true;
}

static bool read_extent(struct bawn_qcow2 *q, const struct extent *e, uint64_t pos, struct iovec *v,
                        unsigned nr)
{
    if (e->place == PLACE_FILE)
        return bawn_io_read(q->file.fd, v, nr, e->at, true);
    if (e->place == PLACE_NOWHERE && q->file.backing)
        return read_backing(q->file.backing, pos, v, nr);
    for (unsigned i = 0; i < nr; i++)
        memset(v[i].iov_base, 0, v[i].iov_len);
    return true;
}

static uint64_t length(const struct iovec *v, unsigned nr)
{
    uint64_t len = 0;

    for (unsigned i = 0; i < nr; i++)
        len += v[i].iov_len;
    return len;
}

bool bawn_qcow2_read(struct bawn_qcow2 *q, uint64_t pos, struct iovec *v, unsigned nr)
{
    uint64_t left = length(v, nr);

    while (left) {
        struct iovec part[PARTS_MAX];
        struct extent e;

        if (nr > PARTS_MAX || !long_extent(q, pos, left, &e) ||
            !read_extent(q, &e, pos, part, bawn_iov_take(&v, &nr, e.len, part)))
            return false;
        pos += e.len;
        left -= e.len;
    }
    return true;
}

/* ---- Writing ---- */

static bool reads_as_zero(const struct bawn_qcow2 *q, const struct extent *e)
{
    return e->place == PLACE_ZERO || (e->place == PLACE_NOWHERE && !q->file.backing);
}

/* The cluster's new content in its new place: what is written over what was there. */
static bool fill_cluster(struct bawn_qcow2 *q, uint64_t cluster, bool fresh, uint64_t pos,
                         uint64_t len, struct iovec *v, unsigned nr)
{
    uint64_t size = qcow2_cluster_size(q), in = pos & (size - 1), to = cluster << q->cluster_bits;
    struct iovec all = { q->bounce, size };
    struct extent old;

    if (!extent_at(q, pos - in, &old))
        return false;
    if (len == size || (fresh && reads_as_zero(q, &old)))
        return bawn_io_write(q->file.fd, v, nr, to + in);
    if (!read_extent(q, &old, pos - in, &all, 1))
        return false;
    for (uint8_t *at = q->bounce + in; nr; at += v->iov_len, v++, nr--)
        memcpy(at, v->iov_base, v->iov_len);
    all = (struct iovec){ q->bounce, size };
    return bawn_io_write(q->file.fd, &all, 1, to);
}

/* Data of one cluster that has no place of its own yet. */
static bool write_new(struct bawn_qcow2 *q, uint64_t pos, const struct extent *old, struct iovec *v,
                      unsigned nr)
{
    uint64_t cluster;
    bool fresh;

    if (!qcow2_alloc(q, &cluster))
        return false;
    fresh = cluster >= q->end;
    if (fresh)
        q->end = cluster + 1;
    if (!fill_cluster(q, cluster, fresh, pos, old->len, v, nr) ||
        !qcow2_map_set(q, pos >> q->cluster_bits, cluster << q->cluster_bits | QCOW2_COPIED)) {
        qcow2_unalloc(q, cluster);
        return false;
    }
    return !old->cluster || qcow2_lose(q, old->cluster);
}

bool bawn_qcow2_write(struct bawn_qcow2 *q, uint64_t pos, struct iovec *v, unsigned nr)
{
    uint64_t left = length(v, nr);

    if (q->failed || q->file.readonly || nr > PARTS_MAX)
        return false;
    while (left) {
        struct iovec part[PARTS_MAX];
        struct extent e;
        unsigned n;

        if (!extent_at(q, pos, &e) || (e.in_place && !long_extent(q, pos, left, &e)))
            return false;
        if (e.len > left)
            e.len = left;
        n = bawn_iov_take(&v, &nr, e.len, part);
        if (e.in_place ? !bawn_io_write(q->file.fd, part, n, e.at)
                       : !write_new(q, pos, &e, part, n))
            return false;
        pos += e.len;
        left -= e.len;
    }
    return true;
}

/* A cluster as a whole. */
static bool zero_cluster(struct bawn_qcow2 *q, uint64_t pos, const struct extent *e)
{
    if (!e->cluster && reads_as_zero(q, e))
        return true;
    return qcow2_map_set(q, pos >> q->cluster_bits, q->version > 2 ? QCOW2_ZERO : 0) &&
           (!e->cluster || qcow2_lose(q, e->cluster));
}

static bool write_zeroes(struct bawn_qcow2 *q, uint64_t pos, uint64_t len)
{
    static uint8_t zeroes[65536];

    while (len) {
        struct iovec v = { zeroes, len < sizeof(zeroes) ? len : sizeof(zeroes) };
        uint64_t now = v.iov_len;

        if (!bawn_qcow2_write(q, pos, &v, 1))
            return false;
        pos += now;
        len -= now;
    }
    return true;
}

bool bawn_qcow2_zero(struct bawn_qcow2 *q, uint64_t pos, uint64_t len, bool discard)
{
    /* Version 2 cannot say that a cluster is zero, only that it is not there. */
    bool whole = q->version > 2 || !q->file.backing;

    if (q->failed || q->file.readonly)
        return false;
    while (len) {
        uint64_t now;
        struct extent e;
        bool ok = true;

        if (!extent_at(q, pos, &e))
            return false;
        now = e.len < len ? e.len : len;
        if (whole && (now == qcow2_cluster_size(q) ||
                      (!(pos & (qcow2_cluster_size(q) - 1)) && pos + now == q->size)))
            ok = zero_cluster(q, pos, &e);
        else if (!discard && !reads_as_zero(q, &e))
            ok = write_zeroes(q, pos, now);
        if (!ok)
            return false;
        pos += now;
        len -= now;
    }
    return true;
}

bool bawn_qcow2_flush(struct bawn_qcow2 *q)
{
    return qcow2_commit(q);
}
