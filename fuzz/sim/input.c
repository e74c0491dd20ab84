// SPDX-License-Identifier: Apache-2.0
/* The target's input; see sim.h. The lab's form of a target has it too. Trusts the target. */
#include <string.h>

#include "fuzz/sim/sim.h"

void sim_bytes(struct sim_input *in, void *to, size_t n)
{
    size_t left = in->len - in->at, have = n < left ? n : left;

    memset(to, 0, n);
    if (have)
        memcpy(to, in->data + in->at, have);
    in->at += have;
}

uint8_t sim_u8(struct sim_input *in)
{
    return in->at < in->len ? in->data[in->at++] : 0;
}

uint16_t sim_u16(struct sim_input *in)
{
    uint16_t v;

    sim_bytes(in, &v, sizeof(v));
    return v;
}

uint32_t sim_u32(struct sim_input *in)
{
    uint32_t v;

    sim_bytes(in, &v, sizeof(v));
    return v;
}

uint64_t sim_u64(struct sim_input *in)
{
    uint64_t v;

    sim_bytes(in, &v, sizeof(v));
    return v;
}
