// SPDX-License-Identifier: Apache-2.0
/*
 * Reads and writes the chunks of a snapshot's file. Each byte of the file is hostile; nothing of it
 * is used before its chunk was authenticated, but the header's numbers, which are compared.
 *
 * The file: header, then chunks of 65536 bytes (the last: 1 to 65536) with a tag of 16 bytes each.
 * Keys: HKDF-SHA-256 (RFC 5869) of the key and the header's salt, with the rest of the header as
 * info. Nonces: the chunk's number, and 1 for the last one (as STREAM has it: Hoang, Reyhanitabar,
 * Rogaway, Vizar 2015); they are not used twice, for no other image has this salt.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "common/bytes.h"
#include "image.h"

#define VERSION 1
#define FLAG_SECRET 1u
#define TAG 16
#define NONCE 12
#define SEALED (BAWN_IMAGE_CHUNK + TAG)
#define NONE UINT64_MAX /* no chunk */

struct head {
    char magic[8];
    uint32_t version, flags, chunk, zero; /* little-endian */
    uint8_t salt[32];
    uint8_t check[32]; /* follows from key and what stands before */
};

static const char magic[8] = "BAWNSNAP";

/* ---- keys ---- */

static enum bawn_status read_file(struct bawn_image_key *key, const char *path,
                                  struct bawn_error *err)
{
    uint8_t text[2 * BAWN_IMAGE_KEY_SIZE + 2];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    enum bawn_status st = BAWN_OK;

    if (n < 0)
        st = bawn_fail(err, BAWN_E_IO, "cannot read the key %s: %m", path);
    else if (n == BAWN_IMAGE_KEY_SIZE)
        memcpy(key->key, text, sizeof(key->key));
    else if ((n != 2 * BAWN_IMAGE_KEY_SIZE &&
              (n != 2 * BAWN_IMAGE_KEY_SIZE + 1 || text[n - 1] != '\n')) ||
             !hex_parse((const char *)text, key->key, sizeof(key->key)))
        st = bawn_fail(err, BAWN_E_FORMAT,
                       "%s: a key is 32 bytes or 64 hexadecimal digits (head -c 32 /dev/urandom "
                       ">FILE makes one)",
                       path);
    explicit_bzero(text, sizeof(text));
    if (fd >= 0)
        close(fd);
    return st;
}

enum bawn_status bawn_image_key_read(struct bawn_image_key *key, const char *path,
                                     struct bawn_error *err)
{
    key->secret = true;
    return strncmp(path, "tpm:", 4) ? read_file(key, path, err)
                                    : bawn_image_key_unseal(key, path + 4, err);
}

/* The chunks' key, and what shows that it is the right one. */
static bool derive(const struct bawn_image_key *key, const struct head *head, uint8_t out[64])
{
    static const uint8_t none[BAWN_IMAGE_KEY_SIZE];
    const uint8_t *from = key->secret ? key->key : none;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)from,
                                          BAWN_IMAGE_KEY_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)head->salt,
                                          sizeof(head->salt)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)head,
                                          offsetof(struct head, salt)),
        OSSL_PARAM_construct_end(),
    };
    bool ok = ctx && EVP_KDF_derive(ctx, out, 64, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

/* Sets the cipher up; check: the header's, to write or to compare with. */
static enum bawn_status begin(struct bawn_image *image, int fd, const struct bawn_image_key *key,
                              const struct head *head, uint8_t check[32], struct bawn_error *err)
{
    uint8_t keys[64];
    bool ok = derive(key, head, keys);

    image->fd = fd;
    image->room = malloc(SEALED);
    image->cipher = EVP_CIPHER_CTX_new();
    ok = ok && image->room && image->cipher &&
         EVP_CipherInit_ex(image->cipher, EVP_aes_256_gcm(), NULL, keys, NULL, -1) == 1;
    memcpy(check, keys + 32, 32);
    explicit_bzero(keys, sizeof(keys));
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_INTERNAL, "cannot set up AES-256-GCM");
}

static bool set_nonce(struct bawn_image *image, uint64_t chunk, bool last, int encrypt)
{
    uint8_t nonce[NONCE] = { 0 };
    uint64_t number = htole64(chunk);

    memcpy(nonce, &number, sizeof(number));
    nonce[NONCE - 1] = last;
    return EVP_CipherInit_ex(image->cipher, NULL, NULL, NULL, nonce, encrypt) == 1;
}

/* ---- writing ---- */

static bool write_all(int fd, const void *data, size_t len)
{
    for (const uint8_t *p = data; len;) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static enum bawn_status write_failed(struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_IO, "cannot write the snapshot: %m");
}

enum bawn_status bawn_image_create(struct bawn_image *image, int fd,
                                   const struct bawn_image_key *key, struct bawn_error *err)
{
    struct head head = { .version = htole32(VERSION),
                         .flags = htole32(key->secret ? FLAG_SECRET : 0),
                         .chunk = htole32(BAWN_IMAGE_CHUNK) };
    enum bawn_status st;

    *image = (struct bawn_image){ .fd = fd };
    memcpy(head.magic, magic, sizeof(head.magic));
    if (RAND_bytes(head.salt, sizeof(head.salt)) != 1)
        return bawn_fail(err, BAWN_E_INTERNAL, "no random numbers for the snapshot's salt");
    st = begin(image, fd, key, &head, head.check, err);
    memcpy(image->id.check, head.check, sizeof(image->id.check));
    return st || write_all(fd, &head, sizeof(head)) ? st : write_failed(err);
}

/* Encrypts what is in room, and writes it. */
static enum bawn_status write_chunk(struct bawn_image *image, bool last, struct bawn_error *err)
{
    uint64_t chunk = (image->size - 1) / BAWN_IMAGE_CHUNK;
    int len = (int)image->fill, ignored;

    if (!set_nonce(image, chunk, last, 1) ||
        EVP_CipherUpdate(image->cipher, image->room, &len, image->room, len) != 1 ||
        EVP_CipherFinal_ex(image->cipher, image->room + len, &ignored) != 1 ||
        EVP_CIPHER_CTX_ctrl(image->cipher, EVP_CTRL_AEAD_GET_TAG, TAG, image->room + len) != 1)
        return bawn_fail(err, BAWN_E_INTERNAL, "cannot encrypt the snapshot");
    image->fill = 0;
    if (last) {
        memcpy(image->id.last, image->room + len, TAG);
        image->id.size = htole64(image->size);
    }
    return write_all(image->fd, image->room, (size_t)len + TAG) ? BAWN_OK : write_failed(err);
}

enum bawn_status bawn_image_put(struct bawn_image *image, const void *data, size_t len,
                                struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (const uint8_t *p = data; len && !st;) {
        size_t n;

        /* A full one waits until it is known not to be the last. */
        if (image->fill == BAWN_IMAGE_CHUNK)
            st = write_chunk(image, false, err);
        n = BAWN_IMAGE_CHUNK - image->fill;
        n = len < n ? len : n;
        memcpy(image->room + image->fill, p, n);
        image->fill += n;
        image->size += n;
        p += n;
        len -= n;
    }
    return st;
}

enum bawn_status bawn_image_finish(struct bawn_image *image, struct bawn_error *err)
{
    enum bawn_status st = image->fill ? write_chunk(image, true, err)
                                      : bawn_fail(err, BAWN_E_INTERNAL, "an empty snapshot");

    return st || !fsync(image->fd) ? st : write_failed(err);
}

/* ---- reading ---- */

static enum bawn_status damaged(struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_FORMAT, "the snapshot is damaged, or was cut off");
}

/* False: the file ends before, or cannot be read. */
static bool read_all(int fd, void *data, size_t len, uint64_t at)
{
    for (uint8_t *p = data; len;) {
        ssize_t n = pread(fd, p, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

static enum bawn_status read_chunk(struct bawn_image *image, uint64_t chunk, struct bawn_error *err)
{
    uint64_t from = chunk * BAWN_IMAGE_CHUNK, left = image->size - from;
    bool last = left <= BAWN_IMAGE_CHUNK;
    int len = last ? (int)left : (int)BAWN_IMAGE_CHUNK, ignored;

    if (image->held == chunk)
        return BAWN_OK;
    image->held = NONE;
    if (!read_all(image->fd, image->room, (size_t)len + TAG,
                  sizeof(struct head) + chunk * SEALED) ||
        !set_nonce(image, chunk, last, 0) ||
        EVP_CIPHER_CTX_ctrl(image->cipher, EVP_CTRL_AEAD_SET_TAG, TAG, image->room + len) != 1 ||
        EVP_CipherUpdate(image->cipher, image->room, &len, image->room, len) != 1 ||
        EVP_CipherFinal_ex(image->cipher, image->room + len, &ignored) != 1)
        return damaged(err);
    image->held = chunk;
    return BAWN_OK;
}

static enum bawn_status check_head(const struct head *head, const struct bawn_image_key *key,
                                   struct bawn_error *err)
{
    if (memcmp(head->magic, magic, sizeof(magic)))
        return bawn_fail(err, BAWN_E_FORMAT, "no snapshot of Bawn's");
    if (le32toh(head->version) != VERSION)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "a snapshot of version %u: this bawn reads version %u",
                         le32toh(head->version), VERSION);
    if ((le32toh(head->flags) & ~FLAG_SECRET) || le32toh(head->chunk) != BAWN_IMAGE_CHUNK ||
        head->zero)
        return damaged(err);
    if (!(head->flags & htole32(FLAG_SECRET)) == !key->secret)
        return BAWN_OK;
    return key->secret
               ? bawn_fail(err, BAWN_E_DENIED,
                           "the snapshot was made without a key: --key cannot vouch for it; "
                           "--no-encryption reads it, and trusts whoever could write it")
               : bawn_fail(err, BAWN_E_DENIED, "the snapshot is encrypted: --key is needed");
}

enum bawn_status bawn_image_open(struct bawn_image *image, int fd, const struct bawn_image_key *key,
                                 struct bawn_error *err)
{
    struct head head;
    struct stat file;
    uint8_t check[32];
    uint64_t body;
    enum bawn_status st;

    *image = (struct bawn_image){ .fd = fd, .held = NONE };
    if (fstat(fd, &file) || !S_ISREG(file.st_mode))
        return bawn_fail(err, BAWN_E_IO, "a snapshot is a regular file");
    if ((uint64_t)file.st_size < sizeof(head) || !read_all(fd, &head, sizeof(head), 0))
        return bawn_fail(err, BAWN_E_FORMAT, "no snapshot of Bawn's: too short");
    st = check_head(&head, key, err);
    if (!st)
        st = begin(image, fd, key, &head, check, err);
    if (st)
        return st;
    if (CRYPTO_memcmp(check, head.check, sizeof(check)))
        return key->secret ? bawn_fail(err, BAWN_E_DENIED,
                                       "the key is not the one that the snapshot was made with")
                           : damaged(err);
    body = (uint64_t)file.st_size - sizeof(head);
    if (!body || (body % SEALED && body % SEALED <= TAG))
        return damaged(err);
    image->size = body - TAG * ((body + SEALED - 1) / SEALED);
    st = read_chunk(image, (image->size - 1) / BAWN_IMAGE_CHUNK, err);
    if (st)
        return st;
    memcpy(image->id.check, head.check, sizeof(image->id.check));
    memcpy(image->id.last, image->room + (image->size - 1) % BAWN_IMAGE_CHUNK + 1, TAG);
    image->id.size = htole64(image->size);
    return BAWN_OK;
}

enum bawn_status bawn_image_get(struct bawn_image *image, uint64_t at, void *data, size_t len,
                                struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    if (at > image->size || len > image->size - at)
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot ends too soon");
    for (uint8_t *p = data; len && !st;) {
        size_t off = at % BAWN_IMAGE_CHUNK, n = BAWN_IMAGE_CHUNK - off;

        st = read_chunk(image, at / BAWN_IMAGE_CHUNK, err);
        if (st)
            break;
        n = len < n ? len : n;
        memcpy(p, image->room + off, n);
        p += n;
        at += n;
        len -= n;
    }
    return st;
}

void bawn_image_close(struct bawn_image *image)
{
    if (image->cipher)
        EVP_CIPHER_CTX_free(image->cipher); /* wipes its key */
    if (image->room)
        explicit_bzero(image->room, SEALED);
    free(image->room);
    *image = (struct bawn_image){ .fd = -1 };
}
