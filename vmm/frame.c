// SPDX-License-Identifier: Apache-2.0
/*
 * Frames, and what a machine that arrives makes of them. Each byte is a peer's: kinds and lengths
 * are compared with what may come before anything is kept, and memory is written inside the
 * machine's ranges only.
 */
#include <endian.h>
#include <string.h>

#include "frame.h"

#define BIT(kind) (1u << (kind))

static const char magic[8] = "BAWNMOVE";

/* What a frame of each kind may be as long as. */
static const struct {
    size_t min, max;
} lengths[] = {
    [BAWN_FRAME_HELLO] = { sizeof(struct bawn_frame_hello), sizeof(struct bawn_frame_hello) },
    [BAWN_FRAME_TEXT] = { 1, BAWN_FRAME_MAX },
    [BAWN_FRAME_FACTS] = { BAWN_STATE_FACTS, BAWN_STATE_FACTS },
    [BAWN_FRAME_PAGES_ARE] = { sizeof(uint64_t) + BAWN_MEM_PAGE, BAWN_FRAME_MAX },
    [BAWN_FRAME_ZEROES] = { 2 * sizeof(uint64_t), 2 * sizeof(uint64_t) },
    [BAWN_FRAME_STATE] = { 1, BAWN_FRAME_MAX },
    [BAWN_FRAME_END] = { 0, 0 },
    [BAWN_FRAME_GO] = { 0, 0 },
    [BAWN_FRAME_READY] = { 0, 0 },
    [BAWN_FRAME_HOLDS] = { 0, 0 },
    [BAWN_FRAME_RUNS] = { 0, 0 },
    [BAWN_FRAME_REFUSE] = { 1, sizeof(((struct bawn_error *)0)->msg) - 1 },
};

_Static_assert(BAWN_STATE_FACTS <= BAWN_FRAME_MAX, "facts are one frame");

void bawn_frame_hello_init(struct bawn_frame_hello *hello, const struct bawn_mem *mem,
                           size_t config_len, size_t state_len)
{
    *hello = (struct bawn_frame_hello){
        .version = htole32(BAWN_FRAME_VERSION),
        .nr_ram = htole32(mem->nr),
        .config_len = htole32((uint32_t)config_len),
        .state_len = htole32((uint32_t)state_len),
    };
    memcpy(hello->magic, magic, sizeof(magic));
    for (unsigned i = 0; i < mem->nr; i++)
        hello->ram[i] =
            (struct bawn_ram){ htole64(mem->range[i].gpa), htole64(mem->range[i].size) };
}

static enum bawn_status nonsense(struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_FORMAT, "the other side sent what makes no sense");
}

static bool may_come(const struct bawn_frames *f, uint32_t kind, uint32_t len)
{
    return kind < sizeof(lengths) / sizeof(lengths[0]) && (f->allowed & BIT(kind)) &&
           len >= lengths[kind].min && len <= lengths[kind].max;
}

enum bawn_status bawn_frames_feed(struct bawn_frames *f, const uint8_t *data, size_t len,
                                  struct bawn_error *err)
{
    for (;;) {
        uint32_t kind, need;
        enum bawn_status st;
        size_t n;

        if (f->have < sizeof(f->head)) {
            n = sizeof(f->head) - f->have < len ? sizeof(f->head) - f->have : len;
            memcpy((uint8_t *)&f->head + f->have, data, n);
            f->have += n;
            data += n;
            len -= n;
            if (f->have < sizeof(f->head))
                return BAWN_OK;
        }
        kind = le32toh(f->head.kind);
        need = le32toh(f->head.len);
        if (!may_come(f, kind, need))
            return nonsense(err);
        n = sizeof(f->head) + need - f->have;
        n = n < len ? n : len;
        memcpy(f->room + f->have - sizeof(f->head), data, n);
        f->have += n;
        data += n;
        len -= n;
        if (f->have < sizeof(f->head) + need)
            return BAWN_OK;
        f->have = 0;
        st = f->take(f->opaque, (enum bawn_frame_kind)kind, f->room, need, err);
        if (st)
            return st;
    }
}

/* ---- the machine that arrives ---- */

static const unsigned may[] = {
    [BAWN_INFLOW_HELLO] = BIT(BAWN_FRAME_HELLO),
    [BAWN_INFLOW_TEXT] = BIT(BAWN_FRAME_TEXT) | BIT(BAWN_FRAME_FACTS),
    [BAWN_INFLOW_ASKED] = 0,
    [BAWN_INFLOW_MEMORY] =
        BIT(BAWN_FRAME_PAGES_ARE) | BIT(BAWN_FRAME_ZEROES) | BIT(BAWN_FRAME_STATE),
    [BAWN_INFLOW_STATE] = BIT(BAWN_FRAME_STATE) | BIT(BAWN_FRAME_END),
    [BAWN_INFLOW_ENDED] = 0,
    [BAWN_INFLOW_HELD] = BIT(BAWN_FRAME_GO),
    [BAWN_INFLOW_GONE] = 0,
};

static void enter(struct bawn_inflow *in, enum bawn_inflow_stage stage)
{
    in->stage = stage;
    in->frames.allowed = may[stage];
}

static enum bawn_status take_hello(struct bawn_inflow *in, const uint8_t *data, size_t len,
                                   struct bawn_error *err)
{
    struct bawn_frame_hello *hello = &in->arrival->hello;

    memcpy(hello, data, len);
    if (memcmp(hello->magic, magic, sizeof(magic)))
        return nonsense(err);
    if (le32toh(hello->version) != BAWN_FRAME_VERSION)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the source migrates by version %u: this bawn by version %u",
                         le32toh(hello->version), BAWN_FRAME_VERSION);
    hello->nr_ram = le32toh(hello->nr_ram);
    hello->config_len = le32toh(hello->config_len);
    hello->state_len = le32toh(hello->state_len);
    for (unsigned i = 0; i < BAWN_MEM_MAX_RANGES; i++)
        hello->ram[i] =
            (struct bawn_ram){ le64toh(hello->ram[i].gpa), le64toh(hello->ram[i].size) };
    for (unsigned i = 0; i < BAWN_MAX_DISKS; i++)
        hello->sectors[i] = le64toh(hello->sectors[i]);
    if (hello->nr_ram > BAWN_MEM_MAX_RANGES || !hello->config_len ||
        hello->config_len >= sizeof(in->arrival->config) || hello->state_len < BAWN_STATE_SIZE(1) ||
        hello->state_len > sizeof(struct bawn_state))
        return nonsense(err);
    enter(in, BAWN_INFLOW_TEXT);
    return BAWN_OK;
}

/* Appends to what is max bytes long when it is whole. */
static enum bawn_status append(void *to, size_t *have, size_t max, const uint8_t *data, size_t len,
                               struct bawn_error *err)
{
    if (len > max - *have)
        return nonsense(err);
    memcpy((uint8_t *)to + *have, data, len);
    *have += len;
    return BAWN_OK;
}

static enum bawn_status take_facts(struct bawn_inflow *in, const uint8_t *data, size_t len,
                                   struct bawn_error *err)
{
    struct bawn_arrival *a = in->arrival;

    if (in->text != a->hello.config_len || memchr(a->config, '\0', in->text))
        return nonsense(err);
    a->config[in->text] = '\0';
    memcpy(&a->state, data, len);
    enter(in, BAWN_INFLOW_ASKED);
    return BAWN_OK;
}

static enum bawn_status take_pages(struct bawn_inflow *in, const uint8_t *data, size_t len,
                                   bool zero, struct bawn_error *err)
{
    uint64_t gpa, pages;
    size_t size = len - sizeof(gpa);
    void *to;

    memcpy(&gpa, data, sizeof(gpa));
    gpa = le64toh(gpa);
    data += sizeof(gpa);
    if (zero) {
        memcpy(&pages, data, sizeof(pages));
        pages = le64toh(pages);
        if (!pages || pages > BAWN_MEM_MAX / BAWN_MEM_PAGE)
            return nonsense(err);
        size = pages * BAWN_MEM_PAGE;
    }
    to = gpa % BAWN_MEM_PAGE || size % BAWN_MEM_PAGE ? NULL : bawn_mem_at(in->mem, gpa, size);
    if (!to)
        return nonsense(err);
    if (zero)
        memset(to, 0, size);
    else
        memcpy(to, data, size);
    in->arrival->received += size;
    return BAWN_OK;
}

static enum bawn_status take(void *opaque, enum bawn_frame_kind kind, const uint8_t *data,
                             size_t len, struct bawn_error *err)
{
    struct bawn_inflow *in = opaque;
    struct bawn_arrival *a = in->arrival;

    switch (kind) {
    case BAWN_FRAME_HELLO:
        return take_hello(in, data, len, err);
    case BAWN_FRAME_TEXT:
        return append(a->config, &in->text, a->hello.config_len, data, len, err);
    case BAWN_FRAME_FACTS:
        return take_facts(in, data, len, err);
    case BAWN_FRAME_PAGES_ARE:
    case BAWN_FRAME_ZEROES:
        return take_pages(in, data, len, kind == BAWN_FRAME_ZEROES, err);
    case BAWN_FRAME_STATE:
        enter(in, BAWN_INFLOW_STATE);
        return append(&a->state, &in->state, a->hello.state_len, data, len, err);
    case BAWN_FRAME_END:
        if (in->state != a->hello.state_len)
            return nonsense(err);
        enter(in, BAWN_INFLOW_ENDED);
        return BAWN_OK;
    default: /* GO: nothing else may come */
        enter(in, BAWN_INFLOW_GONE);
        return BAWN_OK;
    }
}

void bawn_inflow_init(struct bawn_inflow *in, struct bawn_arrival *arrival)
{
    memset(in, 0, sizeof(*in));
    in->arrival = arrival;
    in->frames.take = take;
    in->frames.opaque = in;
    enter(in, BAWN_INFLOW_HELLO);
}

void bawn_inflow_ready(struct bawn_inflow *in, const struct bawn_mem *mem)
{
    in->mem = mem;
    enter(in, BAWN_INFLOW_MEMORY);
}

void bawn_inflow_held(struct bawn_inflow *in)
{
    enter(in, BAWN_INFLOW_HELD);
}
