// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile snapshot. Input: a byte that says what it is, then its bytes. 0: a file. 1: what stands
 * in one without a key, which the target seals. 2: the same, with a sound state behind the first 8
 * bytes of configuration: their lengths are put right, and maps and pages follow. Smoke: 3000 runs
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "snapshot.h"

#define SIZE (2u << 20)
#define CONFIG 8

static const struct bawn_image_key none;
static struct bawn_state state;
static uint8_t memory[2][SIZE];
static struct bawn_mem mem = { .nr = 2,
                               .range = { { .size = SIZE, .host = memory[0] },
                                          { BAWN_HIGH_RAM, .size = SIZE, .host = memory[1] } } };

static void seal(int fd, const uint8_t *data, size_t size, bool sound)
{
    struct bawn_snapshot_head head = { 0 };
    size_t n = size < sizeof(head) ? size : sizeof(head);
    struct bawn_image image;

    FUZZ_MUST(!bawn_image_create(&image, fd, &none, NULL));
    memcpy(&head, data, n);
    if (sound) {
        head.config_len = CONFIG;
        head.state_len = BAWN_STATE_SIZE(1);
    }
    FUZZ_MUST(!bawn_image_put(&image, &head, sizeof(head), NULL));
    data += n;
    size -= n;
    if (sound) {
        state.version = BAWN_STATE_VERSION;
        state.nr_vcpus = 1;
        state.size = BAWN_STATE_SIZE(1);
        FUZZ_MUST(!bawn_image_put(&image, "{      }", CONFIG, NULL));
        FUZZ_MUST(!bawn_image_put(&image, &state, state.size, NULL));
    }
    FUZZ_MUST(!bawn_image_put(&image, data, size, NULL));
    FUZZ_MUST(!bawn_image_finish(&image, NULL));
    bawn_image_close(&image);
}

static void read_it(int fd)
{
    static const struct bawn_progress nobody;
    struct bawn_snapshot s;

    if (!bawn_snapshot_open(&s, fd, &none, NULL)) {
        FUZZ_MUST(strlen(s.config) == s.head.config_len);
        if (!bawn_snapshot_state(&s, &state, 1, NULL))
            FUZZ_MUST(state.size == BAWN_STATE_SIZE(1));
        if (!bawn_snapshot_memory(&s, &mem, &nobody, NULL))
            FUZZ_MUST(s.pages_at <= s.image.size);
    }
    bawn_snapshot_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;

    if (!size)
        return 0;
    fd = memfd_create("snapshot", MFD_CLOEXEC);
    FUZZ_MUST(fd >= 0);
    if (data[0] % 3 == 0)
        FUZZ_MUST(write(fd, data + 1, size - 1) == (ssize_t)size - 1);
    else
        seal(fd, data + 1, size - 1, data[0] % 3 == 2);
    read_it(fd);
    close(fd);
    return 0;
}
