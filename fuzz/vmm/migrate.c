// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile source of a migration, whose certificate was good. Input: a byte that says how, then
 * its stream. Bit 0: as it is; else in steps of a kind, a length of two bytes (0xffff: what the
 * kind has) and data. Bit 1: after a greeting, configuration and facts that are sound. Bits 2 to 7:
 * in pieces of so many bytes. The destination agrees to all that it is asked. Smoke: 5000 runs
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "frame.h"

#define SIZE (2u << 20)
#define CANARY 0x5a

static struct bawn_arrival arrival;
static struct bawn_inflow in;
static uint8_t memory[2][SIZE + 4096];
static struct bawn_mem mem = { .nr = 2,
                               .range = { { .size = SIZE, .host = memory[0] },
                                          { BAWN_HIGH_RAM, .size = SIZE, .host = memory[1] } } };
static size_t piece;

static bool feed(const uint8_t *data, size_t size)
{
    while (size) {
        size_t n = piece && piece < size ? piece : size;
        enum bawn_inflow_stage before = in.stage;

        if (bawn_frames_feed(&in.frames, data, n, NULL))
            return false;
        data += n;
        size -= n;
        FUZZ_MUST(in.stage >= before);
        FUZZ_MUST(in.text <= sizeof(arrival.config) && in.state <= sizeof(arrival.state));
        if (in.stage == BAWN_INFLOW_ASKED) {
            FUZZ_MUST(strlen(arrival.config) == arrival.hello.config_len);
            bawn_inflow_ready(&in, &mem);
        } else if (in.stage == BAWN_INFLOW_ENDED) {
            FUZZ_MUST(in.state == arrival.hello.state_len);
            bawn_inflow_held(&in);
        }
    }
    return true;
}

static bool frame(uint32_t kind, const void *data, size_t size)
{
    static uint8_t out[sizeof(struct bawn_frame_head) + 0x10000];
    const struct bawn_frame_head head = { htole32(kind), htole32((uint32_t)size) };

    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), data, size);
    return feed(out, sizeof(head) + size);
}

static void greet(void)
{
    struct bawn_frame_hello hello;

    bawn_frame_hello_init(&hello, &mem, 2, BAWN_STATE_SIZE(1));
    FUZZ_MUST(frame(BAWN_FRAME_HELLO, &hello, sizeof(hello)));
    FUZZ_MUST(frame(BAWN_FRAME_TEXT, "{}", 2));
    FUZZ_MUST(frame(BAWN_FRAME_FACTS, memory[0], BAWN_STATE_FACTS));
    FUZZ_MUST(in.stage == BAWN_INFLOW_MEMORY);
}

/* What a frame of this kind has to be as long as, where that is one length. */
static size_t right(uint8_t kind)
{
    switch (kind) {
    case BAWN_FRAME_HELLO:
        return sizeof(struct bawn_frame_hello);
    case BAWN_FRAME_FACTS:
        return BAWN_STATE_FACTS;
    case BAWN_FRAME_PAGES_ARE:
        return sizeof(uint64_t) + BAWN_MEM_PAGE;
    case BAWN_FRAME_ZEROES:
        return 2 * sizeof(uint64_t);
    case BAWN_FRAME_STATE:
        return BAWN_STATE_SIZE(1);
    default:
        return 0;
    }
}

static void steps(const uint8_t *data, size_t size)
{
    static uint8_t body[0x10000];

    while (size >= 3) {
        size_t len = data[1] | data[2] << 8, n;
        uint8_t kind = data[0] % 16;

        data += 3;
        size -= 3;
        len = len == 0xffff ? right(kind) : len;
        n = len < size ? len : size;
        n = n < 64 ? n : 64;
        memset(body, 0, sizeof(body));
        memcpy(body, data, n);
        data += n;
        size -= n;
        if (!frame(kind, body, len))
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    for (unsigned i = 0; i < 2; i++)
        memset(memory[i] + SIZE, CANARY, sizeof(memory[i]) - SIZE);
    memset(&arrival.hello, 0, sizeof(arrival.hello));
    bawn_inflow_init(&in, &arrival);
    piece = data[0] >> 2;
    if (data[0] & 2)
        greet();
    if (data[0] & 1)
        feed(data + 1, size - 1);
    else
        steps(data + 1, size - 1);
    for (unsigned i = 0; i < 2; i++)
        FUZZ_MUST(memory[i][SIZE] == CANARY && memory[i][sizeof(memory[i]) - 1] == CANARY);
    return 0;
}
