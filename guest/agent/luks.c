// SPDX-License-Identifier: Apache-2.0
/*
 * The header of a LUKS volume on a disk of the host's. Nothing in it is authenticated: with a
 * cipher of the host's choice ("cipher_null") any key opens it, and what the guest writes then is
 * in clear, or what it reads is the host's (CVE-2025-59054). So the header is copied to memory,
 * where the host does not change it any more, ciphers other than those below are refused, and
 * cryptsetup is given the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attest/jose/jose.h"
#include "guest/agent/agent.h"

/* LUKS1 On-Disk Format Specification 1.2.3, figure 1; LUKS2 On-Disk Format Specification 1.1.1,
 * sections 2.1 and 2.2. */
enum {
    MAGIC = 6,
    V1_CIPHER_AT = 8,
    V1_MODE_AT = 40,
    V1_NAME = 32,
    V1_PAYLOAD_AT = 104,
    V1_HEADER = 592,
    V2_SIZE_AT = 8,
    V2_JSON_AT = 4096,
    V2_SIZE_MIN = 16 << 10,
    V2_SIZE_MAX = 4 << 20,
    HEADER_MAX = 64 << 20, /* with the keyslots */
};

static const uint8_t first_magic[MAGIC] = "LUKS\xba\xbe", second_magic[MAGIC] = "SKUL\xba\xbe";

/* Weak modes too would be the host's choice, under the true key. */
static bool good_cipher(const char *cipher)
{
    static const char *const good[] = {
        "aes-xts-plain64",     "aes-cbc-essiv:sha256", "serpent-xts-plain64",
        "twofish-xts-plain64", "camellia-xts-plain64", "aes-gcm-random",
        "aegis128-random",
    };

    for (size_t i = 0; cipher && i < sizeof(good) / sizeof(good[0]); i++)
        if (!strcmp(cipher, good[i]))
            return true;
    return false;
}

static uint64_t big_endian(const uint8_t *data, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | data[i];
    return value;
}

static enum bawn_status refuse(struct bawn_error *err, const char *what, const char *found)
{
    return bawn_fail(err, BAWN_E_DENIED, "the LUKS volume is not opened: its %s is %.60s", what,
                     found ? found : "missing");
}

static enum bawn_status check_v1(const uint8_t *data, size_t len, uint64_t *size,
                                 struct bawn_error *err)
{
    char cipher[2 * V1_NAME + 2];

    if (len < V1_HEADER)
        return refuse(err, "header", "too short");
    snprintf(cipher, sizeof(cipher), "%.*s-%.*s", V1_NAME, (const char *)data + V1_CIPHER_AT,
             V1_NAME, (const char *)data + V1_MODE_AT);
    *size = big_endian(data + V1_PAYLOAD_AT, 4) * 512;
    return good_cipher(cipher) ? BAWN_OK : refuse(err, "cipher", cipher);
}

static enum bawn_status check_keyslots(const json_t *root, struct bawn_error *err)
{
    json_t *slots = json_object_get(root, "keyslots"), *slot;
    const char *name;

    json_object_foreach(slots, name, slot)
    {
        const json_t *area = json_object_get(slot, "area");
        const char *type = json_string_value(json_object_get(slot, "type"));
        const char *cipher = json_string_value(json_object_get(area, "encryption"));

        if (!type || strcmp(type, "luks2") != 0)
            return refuse(err, "keyslot", type);
        if (!good_cipher(cipher))
            return refuse(err, "keyslot's cipher", cipher);
    }
    return BAWN_OK;
}

static enum bawn_status check_segments(const json_t *root, uint64_t *size, struct bawn_error *err)
{
    json_t *segments = json_object_get(root, "segments"), *segment;
    const char *name;

    *size = HEADER_MAX + 1;
    json_object_foreach(segments, name, segment)
    {
        const char *type = json_string_value(json_object_get(segment, "type"));
        const char *cipher = json_string_value(json_object_get(segment, "encryption"));
        const char *offset = json_string_value(json_object_get(segment, "offset"));
        uint64_t at = offset ? strtoull(offset, NULL, 10) : 0;

        if (!type || strcmp(type, "crypt") != 0)
            return refuse(err, "segment", type);
        if (!good_cipher(cipher))
            return refuse(err, "cipher", cipher);
        if (at < *size)
            *size = at;
    }
    return BAWN_OK;
}

static enum bawn_status check_v2(const uint8_t *data, size_t len, uint64_t *size,
                                 struct bawn_error *err)
{
    uint64_t own = len < V2_JSON_AT ? 0 : big_endian(data + V2_SIZE_AT, 8);
    json_t *root = NULL;
    const json_t *required;
    enum bawn_status status;

    if (own < V2_SIZE_MIN || own > V2_SIZE_MAX || own > len)
        return refuse(err, "header", "of an impossible size");
    status =
        json_read((struct bawn_bytes){ data + V2_JSON_AT, strnlen((const char *)data + V2_JSON_AT,
                                                                  (size_t)own - V2_JSON_AT) },
                  &root, NULL);
    if (status != BAWN_OK)
        return refuse(err, "metadata", "not JSON");
    required = json_object_get(json_object_get(json_object_get(root, "config"), "requirements"),
                               "mandatory");
    status = json_array_size(required) ? refuse(err, "state", "one that needs more (reencryption)")
                                       : check_keyslots(root, err);
    if (status == BAWN_OK)
        status = check_segments(root, size, err);
    json_decref(root);
    return status;
}

enum bawn_status luks_check(uint8_t *data, size_t len, size_t *size, struct bawn_error *err)
{
    uint64_t end = 0;
    uint16_t version = len < V1_HEADER || memcmp(data, first_magic, MAGIC) != 0
                           ? 0
                           : (uint16_t)big_endian(data + MAGIC, 2);
    enum bawn_status status = version == 1   ? check_v1(data, len, &end, err)
                              : version == 2 ? check_v2(data, len, &end, err)
                                             : refuse(err, "header", "no LUKS header");

    if (status != BAWN_OK)
        return status;
    if (end < V1_HEADER || end > HEADER_MAX || end > len)
        return refuse(err, "data", "not behind a header of up to 64 MiB");
    /* The second header would be taken where the first one's checksum is wrong: it was not looked
     * at. It is at a power of two (2.1). */
    for (size_t at = V2_SIZE_MIN; version == 2 && at <= V2_SIZE_MAX && at + MAGIC <= end; at *= 2)
        if (!memcmp(data + at, second_magic, MAGIC))
            memset(data + at, 0, MAGIC);
    *size = (size_t)end;
    return BAWN_OK;
}

/* Up to that many bytes in all, or as many as there are. */
static enum bawn_status read_up_to(int fd, uint8_t *data, size_t max, size_t *len,
                                   struct bawn_error *err)
{
    ssize_t n = 1;

    while (n > 0 && *len < max) {
        n = read(fd, data + *len, max - *len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            *len += (size_t)n;
    }
    return n < 0 ? bawn_fail(err, BAWN_E_IO, "cannot read the LUKS volume: %m") : BAWN_OK;
}

/* No more of the disk than the header needs, which is 16 MiB at most as a rule. */
static enum bawn_status read_header(const char *device, uint8_t *data, size_t *size,
                                    struct bawn_error *err)
{
    static const size_t steps[] = { V2_SIZE_MAX, 16 << 20, HEADER_MAX };
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    enum bawn_status status = BAWN_E_DENIED;
    size_t len = 0;

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %.300s: %m", device);
    for (size_t i = 0; status == BAWN_E_DENIED && i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (len < (i ? steps[i - 1] : 0))
            break; /* that was all */
        status = read_up_to(fd, data, steps[i], &len, err);
        if (status == BAWN_OK)
            status = luks_check(data, len, size, err);
    }
    close(fd);
    return status;
}

enum bawn_status luks_header(const char *device, int *header, struct bawn_error *err)
{
    uint8_t *data =
        mmap(NULL, HEADER_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t size = 0, done = 0;
    enum bawn_status status;

    *header = -1;
    if (data == MAP_FAILED)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the volume's header");
    status = read_header(device, data, &size, err);
    if (status == BAWN_OK && (*header = memfd_create("luks", 0)) < 0)
        status = bawn_fail(err, BAWN_E_IO, "cannot keep the volume's header: %m");
    while (status == BAWN_OK && done < size) {
        ssize_t n = write(*header, data + done, size - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            status = bawn_fail(err, BAWN_E_IO, "cannot keep the volume's header: %m");
    }
    munmap(data, HEADER_MAX);
    if (status != BAWN_OK && *header >= 0) {
        close(*header);
        *header = -1;
    }
    return status;
}
