/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a qcow2 image: reference counts, and what guest clusters are kept where. Behind
 * qcow2.h; the only other user is qcow2.c.
 */
#ifndef BAWN_VMM_QCOW2_META_H
#define BAWN_VMM_QCOW2_META_H

#include "qcow2.h"

/* Host clusters: bounds the map of them, and with it the size of an image (8 TiB of 64 KiB). */
#define QCOW2_CLUSTERS_MAX (1ull << 27)
#define QCOW2_TABLE_MAX (1u << 19) /* entries of a table that is kept in memory */
#define QCOW2_PAGE 4096u
#define QCOW2_PAGES 96
#define QCOW2_FREES 512

#define QCOW2_COPIED (1ull << 63) /* the count is one: it may be written in place */
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO 1ull
#define QCOW2_OFFSET 0x00fffffffffffe00ull

enum qcow2_kind { QCOW2_COUNTS, QCOW2_MAP };

/* Part of a block of counts or of a table of the map. */
struct qcow2_page {
    uint64_t at; /* in the file; 0: none */
    uint64_t used;
    uint8_t *data; /* big-endian, as in the file */
    enum qcow2_kind kind;
    bool dirty;
};

/* A table that is kept in memory as a whole. */
struct qcow2_table {
    uint64_t at;
    uint64_t *entry;
    uint32_t nr;
    uint32_t dirty_from, dirty_to; /* the entries that are to be written */
};

struct bawn_qcow2 {
    struct bawn_qcow2_file file;
    unsigned version;
    unsigned cluster_bits;
    unsigned count_order; /* a count has 1 << this bits */
    uint64_t size;
    struct qcow2_table l1, counts;
    uint8_t *is_meta;        /* a bit for each host cluster that tables are kept in; a mapping */
    uint64_t next_free, end; /* clusters: none is free before; none was used from there on */
    struct qcow2_page page[QCOW2_PAGES];
    unsigned last_page;
    uint64_t uses;
    unsigned nr_dirty;
    uint8_t *pages; /* their memory, as one piece */
    /* Clusters that lost a reference: the first nr_durable of them durably. */
    uint64_t lost[QCOW2_FREES];
    unsigned nr_lost, nr_durable;
    uint8_t *bounce; /* a cluster */
    bool failed;
};

static inline uint64_t qcow2_cluster_size(const struct bawn_qcow2 *q)
{
    return 1ull << q->cluster_bits;
}

bool qcow2_is_meta(const struct bawn_qcow2 *q, uint64_t cluster);
void qcow2_set_meta(struct bawn_qcow2 *q, uint64_t cluster, bool is);

bool qcow2_count(struct bawn_qcow2 *q, uint64_t cluster, uint64_t *count);
/* A cluster that nobody uses, with a count of one from now on. */
bool qcow2_alloc(struct bawn_qcow2 *q, uint64_t *cluster);
/* Takes that back: nothing refers to it, or ever did. */
void qcow2_unalloc(struct bawn_qcow2 *q, uint64_t cluster);
/* A table does not refer to it any more. */
bool qcow2_lose(struct bawn_qcow2 *q, uint64_t cluster);

/* The entry of a guest cluster: 0 where there is no table. */
bool qcow2_map_get(struct bawn_qcow2 *q, uint64_t guest, uint64_t *entry);
bool qcow2_map_set(struct bawn_qcow2 *q, uint64_t guest, uint64_t entry);

bool qcow2_commit(struct bawn_qcow2 *q);

#endif
