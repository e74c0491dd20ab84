/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in a snapshot's image (image.h): configuration as JSON, state (state.h), which pages
 * of memory are not zero, and those pages. Reading trusts nothing of it, since an image may be
 * without a key.
 */
#ifndef BAWN_VMM_SNAPSHOT_H
#define BAWN_VMM_SNAPSHOT_H

#include "image.h"
#include "memory.h"
#include "state.h"

#define BAWN_SNAPSHOT_CONFIG_MAX (1u << 20)
#define BAWN_SNAPSHOT_CHAIN 16 /* at most so many, each of what changed since the one before */
#define BAWN_SNAPSHOT_NAME 4096

struct bawn_snapshot_head { /* little-endian */
    uint32_t version, nr_ram;
    uint64_t time; /* when it was made, seconds since 1970 */
    uint64_t config_len, state_len;
    uint64_t base_len;         /* of the base's file name; 0: it has all of the memory itself */
    struct bawn_image_id base; /* the image that has the pages that did not change */
    struct bawn_ram ram[BAWN_MEM_MAX_RANGES];
};

struct bawn_snapshot_base {
    struct bawn_image_id id;
    const char *path; /* borrowed */
};

/* Is told now and then how many bytes of memory are done. */
struct bawn_progress {
    void (*tell)(void *opaque, uint64_t done, uint64_t all); /* NULL: nobody is */
    void *opaque;                                            /* borrowed */
};

/* Writes all of it into an image that was created, and finishes that. Nobody changes the memory
 * meanwhile. base: NULL, or the image that has what was not noted as written since. */
enum bawn_status bawn_snapshot_write(struct bawn_image *image, const char *config,
                                     const struct bawn_state *state, size_t state_len,
                                     const struct bawn_mem *mem,
                                     const struct bawn_snapshot_base *base,
                                     const struct bawn_progress *progress, struct bawn_error *err);

struct bawn_snapshot {
    struct bawn_image image;
    struct bawn_snapshot_head head;
    char *config;        /* owned text */
    char *base_path;     /* the same; NULL: it has all of the memory */
    int fd;              /* owned: of a base; -1: the file is somebody's */
    uint64_t state_at;   /* in the image, as are the next */
    uint64_t maps_at;    /* a bit for each page that stands in it */
    uint64_t changed_at; /* with a base: one for each page that is not the base's */
    uint64_t pages_at;
    struct bawn_snapshot *base; /* owned */
};

/* Opens the one in a file, which is borrowed. Closing is due in any case. */
enum bawn_status bawn_snapshot_open(struct bawn_snapshot *s, int fd,
                                    const struct bawn_image_key *key, struct bawn_error *err);
/* Then its base, and that one's: by its name in the directory of path, where s is, or where it was.
 * BAWN_E_DENIED: one is not what it was when the next was made. */
enum bawn_status bawn_snapshot_open_bases(struct bawn_snapshot *s, const char *path,
                                          const struct bawn_image_key *key, struct bawn_error *err);
void bawn_snapshot_close(struct bawn_snapshot *s);
/* Whether len bytes are a state of this many vCPUs. */
enum bawn_status bawn_state_check(const struct bawn_state *state, size_t len, unsigned vcpus,
                                  struct bawn_error *err);
/* The state, so checked. */
enum bawn_status bawn_snapshot_state(struct bawn_snapshot *s, struct bawn_state *state,
                                     unsigned vcpus, struct bawn_error *err);
/* How many pages stand in the image, of its bases nothing. BAWN_E_CONFIG: the memory is laid out in
 * another way. */
enum bawn_status bawn_snapshot_fits(const struct bawn_snapshot *s, const struct bawn_mem *mem,
                                    uint64_t *pages, struct bawn_error *err);
/* Fills memory, which is all zero. */
enum bawn_status bawn_snapshot_memory(struct bawn_snapshot *s, const struct bawn_mem *mem,
                                      const struct bawn_progress *progress, struct bawn_error *err);

#endif
