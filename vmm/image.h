/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's file: bytes in chunks, each encrypted and authenticated with AES-256-GCM. A chunk's
 * place and whether it is the last are in its nonce, and each image has keys of its own: chunks
 * that were changed, moved, left out, cut off or taken from another image are refused. What was
 * read is what whoever has the key wrote, as one image; whether it is the newest one nobody can
 * tell.
 *
 * Without a key the keys follow from the file itself: damage is found, forgery is not, and anybody
 * can read it.
 */
#ifndef BAWN_VMM_IMAGE_H
#define BAWN_VMM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bawn/status.h"

#define BAWN_IMAGE_CHUNK 65536u /* bytes of content */
#define BAWN_IMAGE_KEY_SIZE 32

struct bawn_image_key {
    bool secret; /* false: there is none */
    uint8_t key[BAWN_IMAGE_KEY_SIZE];
};

/* From a file of exactly 32 bytes, or of 64 hexadecimal digits and perhaps an end of line; or
 * "tpm:HANDLE" or "tpm:HANDLE@PATH", what a TPM has sealed there. */
enum bawn_status bawn_image_key_read(struct bawn_image_key *key, const char *path,
                                     struct bawn_error *err);

/* key_tpm.c: the latter, without its "tpm:". BAWN_E_DENIED: the TPM does not give it. */
enum bawn_status bawn_image_key_unseal(struct bawn_image_key *key, const char *where,
                                       struct bawn_error *err);

/* How one image is told from all others, and from itself when it was changed: what its header's
 * key shows, the last chunk's tag, how much there is. Of no use to who has no key. */
struct bawn_image_id {
    uint8_t check[32];
    uint8_t last[16];
    uint64_t size; /* of the content, little-endian */
};

struct bawn_image {
    int fd;                  /* borrowed */
    void *cipher;            /* owned */
    uint8_t *room;           /* owned: a chunk and its tag */
    size_t fill;             /* content in room */
    uint64_t held;           /* the chunk in room, when reading */
    uint64_t size;           /* of the content */
    struct bawn_image_id id; /* of one that was opened, or finished */
};

/* Begins an image in an empty file that is open for writing. */
enum bawn_status bawn_image_create(struct bawn_image *image, int fd,
                                   const struct bawn_image_key *key, struct bawn_error *err);
enum bawn_status bawn_image_put(struct bawn_image *image, const void *data, size_t len,
                                struct bawn_error *err);
/* Writes what is left, and waits for the disk to have all. */
enum bawn_status bawn_image_finish(struct bawn_image *image, struct bawn_error *err);

/* Opens the image in a regular file for reading. BAWN_E_FORMAT: none, or cut off or damaged where
 * it begins or ends; BAWN_E_DENIED: the key is not this image's. */
enum bawn_status bawn_image_open(struct bawn_image *image, int fd, const struct bawn_image_key *key,
                                 struct bawn_error *err);
/* Content, from anywhere. BAWN_E_FORMAT: it is damaged there, or there is not so much. Then nothing
 * of data means anything. */
enum bawn_status bawn_image_get(struct bawn_image *image, uint64_t at, void *data, size_t len,
                                struct bawn_error *err);

/* After either, and also after a failure of it. Keys are wiped. */
void bawn_image_close(struct bawn_image *image);

#endif
