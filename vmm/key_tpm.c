// SPDX-License-Identifier: Apache-2.0
/*
 * A snapshot's key out of a TPM 2.0: one TPM2_Unseal (Part 3, 12.7) of an object that stands under
 * a persistent handle and asks for no password. The answer is bounded, and any 32 bytes are a key.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "image.h"
#include "runtime.h"

#define DEVICE "/dev/tpmrm0"
#define PATIENCE 30 /* seconds */
#define ST_SESSIONS 0x8002u
#define CC_UNSEAL 0x15eu
#define RS_PW 0x40000009u /* by password: an empty one */
#define ANSWER 256u

struct command {
    uint16_t tag;
    uint32_t size, code, handle, auth_size, auth;
    uint16_t nonce_len;
    uint8_t attributes;
    uint16_t password_len;
} __attribute__((packed));

struct answer {
    uint16_t tag;
    uint32_t size, code, parameter_size;
    uint16_t len;
    uint8_t data[ANSWER];
} __attribute__((packed));

/* "HANDLE" or "HANDLE@PATH": a device, or a socket on which a TPM answers. */
static enum bawn_status open_tpm(const char *where, uint32_t *handle, int *fd,
                                 struct bawn_error *err)
{
    const struct timeval patience = { .tv_sec = PATIENCE };
    unsigned long number;
    const char *path;
    struct stat s;
    char *rest;

    number = strtoul(where, &rest, 16);
    if (rest == where || (*rest && *rest != '@') || number >> 24 != 0x81)
        return bawn_fail(
            err, BAWN_E_USAGE,
            "--key tpm:%.40s: a persistent handle is needed, 0x81000000 to 0x81ffffff, and "
            "perhaps @PATH of the TPM",
            where);
    *handle = (uint32_t)number;
    path = *rest ? rest + 1 : DEVICE;
    *fd = !stat(path, &s) && S_ISSOCK(s.st_mode) ? bawn_socket_connect(path)
                                                 : open(path, O_RDWR | O_CLOEXEC);
    if (*fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open the TPM %s: %m", path);
    setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)); /* if it is one */
    return BAWN_OK;
}

/* A device gives the answer at once, a socket perhaps in pieces. */
static size_t read_answer(int fd, struct answer *a)
{
    size_t have = 0;
    ssize_t n;

    do {
        n = read(fd, (uint8_t *)a + have, sizeof(*a) - have);
        have += n > 0 ? (size_t)n : 0;
    } while (n > 0 && (have < 6 || have < be32toh(a->size)) && have < sizeof(*a));
    return have >= 10 && have == be32toh(a->size) ? have : 0;
}

enum bawn_status bawn_image_key_unseal(struct bawn_image_key *key, const char *where,
                                       struct bawn_error *err)
{
    struct command c = {
        .tag = htobe16(ST_SESSIONS),
        .size = htobe32(sizeof(c)),
        .code = htobe32(CC_UNSEAL),
        .auth_size = htobe32(9),
        .auth = htobe32(RS_PW),
    };
    struct answer a = { 0 };
    uint32_t handle = 0;
    size_t n = 0;
    int fd = -1;
    enum bawn_status st = open_tpm(where, &handle, &fd, err);

    if (st)
        return st;
    c.handle = htobe32(handle);
    if (write(fd, &c, sizeof(c)) == sizeof(c))
        n = read_answer(fd, &a);
    close(fd);
    if (!n)
        st = bawn_fail(err, BAWN_E_IO, "the TPM does not answer");
    else if (a.code)
        st = bawn_fail(err, BAWN_E_DENIED,
                       "the TPM does not unseal 0x%x: its answer is 0x%x (there is nothing under "
                       "the handle, or it needs more than an empty password)",
                       handle, be32toh(a.code));
    else if (n < sizeof(a) - sizeof(a.data) + BAWN_IMAGE_KEY_SIZE ||
             be16toh(a.len) != BAWN_IMAGE_KEY_SIZE)
        st = bawn_fail(err, BAWN_E_FORMAT, "what the TPM unseals is no key of 32 bytes");
    else
        memcpy(key->key, a.data, sizeof(key->key));
    explicit_bzero(&a, sizeof(a));
    return st;
}
