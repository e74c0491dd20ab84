/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator of stream.h. Opcodes are those of the AMD APM vol. 3, appendix A. Left out is
 * what the devices are meant to do differently (docs/kvm-api.md), what shows the time, and what
 * would end the stream: a new stack, page tables or descriptor tables.
 */
#include "stream.h"

#include <stddef.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RSP 4

struct gen {
    struct stream_rng *r;
    uint8_t *at;
    unsigned slot;
    bool code64;
};

uint64_t stream_random(struct stream_rng *r)
{
    /* splitmix64 */
    uint64_t z = r->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint32_t below(struct gen *g, uint32_t n)
{
    return stream_below(g->r, n);
}

static void byte(struct gen *g, unsigned b)
{
    *g->at++ = (uint8_t)b;
}

static void bytes(struct gen *g, const void *data, size_t n)
{
    memcpy(g->at, data, n);
    g->at += n;
}

#define CODE(g, ...)                                    \
    do {                                                \
        static const uint8_t code_[] = { __VA_ARGS__ }; \
        bytes(g, code_, sizeof(code_));                 \
    } while (0)

static void imm32(struct gen *g, uint32_t v)
{
    bytes(g, &v, 4);
}

/* Any register but RSP. */
static unsigned reg(struct gen *g)
{
    unsigned n = below(g, g->code64 ? 15 : 7);

    return n + (n >= RSP);
}

static unsigned xmm(struct gen *g)
{
    return below(g, g->code64 ? 16 : 8);
}

static uint32_t data_address(struct gen *g)
{
    return STREAM_DATA + 0x100 + below(g, 0xfe00);
}

/* Values at which arithmetic changes its mind, and others. */
static uint64_t value(struct gen *g)
{
    static const uint64_t edges[] = { 0,
                                      1,
                                      2,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      0x7fff,
                                      0x8000,
                                      0xffff,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x7fffffffffffffff,
                                      1ull << 63,
                                      ~0ull };

    return below(g, 2) ? edges[below(g, ARRAY_SIZE(edges))] : stream_random(g->r);
}

/* Prefixes and an opcode of one or two bytes (0x0fxx); size: 1, 2, 4 or 8 bytes. */
static void opcode(struct gen *g, unsigned size, unsigned op, unsigned r, unsigned b)
{
    if (size == 2)
        byte(g, 0x66);
    /* In 64-bit code always a REX prefix: SPL to DIL instead of AH to BH. */
    if (g->code64)
        byte(g, 0x40 | (size == 8) << 3 | (r >> 3) << 2 | b >> 3);
    if (op > 0xff)
        byte(g, op >> 8);
    byte(g, op);
}

static void rr(struct gen *g, unsigned size, unsigned op, unsigned r, unsigned b)
{
    opcode(g, size, op, r, b);
    byte(g, 0xc0 | (r & 7) << 3 | (b & 7));
}

static void at_address(struct gen *g, unsigned size, unsigned op, unsigned r, uint32_t address)
{
    opcode(g, size, op, r, 0);
    byte(g, (r & 7) << 3 | 4);
    byte(g, 0x25);
    imm32(g, address);
}

/* The other operand: a register, or memory in half of the cases. */
static void rm(struct gen *g, unsigned size, unsigned op, unsigned r)
{
    if (below(g, 2))
        rr(g, size, op, r, reg(g));
    else
        at_address(g, size, op, r, data_address(g));
}

/* A size, and the opcode of byte or larger operands that goes with it. */
static unsigned size_of(struct gen *g)
{
    return 1u << below(g, 4);
}
static unsigned wide(unsigned size, unsigned op)
{
    return op | (size > 1);
}

static void immediate(struct gen *g, unsigned size)
{
    uint64_t v = value(g);

    bytes(g, &v, size > 4 ? 4 : size);
}

/* MOV r, value, with all 64 bits where there are so many. */
static void load(struct gen *g, unsigned r, uint64_t v)
{
    if (g->code64)
        byte(g, 0x48 | r >> 3);
    byte(g, 0xb8 | (r & 7));
    bytes(g, &v, g->code64 ? 8 : 4);
}

static void load32(struct gen *g, unsigned r, uint32_t v) /* EAX to EDI */
{
    byte(g, 0xb8 | r);
    imm32(g, v);
}

/* ---- Instructions ---- */

static void alu(struct gen *g)
{
    unsigned size = size_of(g), op = below(g, 8) << 3;

    switch (below(g, 3)) {
    case 0:
        rm(g, size, wide(size, op), reg(g));
        break;
    case 1:
        rm(g, size, wide(size, op | 2), reg(g));
        break;
    default:
        rm(g, size, wide(size, 0x80), op >> 3);
        immediate(g, size);
    }
}

static void locked(struct gen *g)
{
    static const unsigned ops[] = {
        0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x86, 0x0fb0, 0x0fc0
    };
    unsigned size = size_of(g);

    byte(g, 0xf0);
    if (below(g, 8))
        at_address(g, size, wide(size, ops[below(g, ARRAY_SIZE(ops))]), reg(g), data_address(g));
    else /* #UD: LOCK without memory */
        rr(g, size, wide(size, 0), reg(g), reg(g));
}

static void shift(struct gen *g)
{
    static const unsigned ops[] = { 0xc0, 0xd0, 0xd2 };
    unsigned size = size_of(g), which = below(g, 3), kind = below(g, 7);

    rm(g, size, wide(size, ops[which]), kind + (kind == 6)); /* 6 is an alias */
    if (!which)
        byte(g, below(g, 256));
}

static void muldiv(struct gen *g)
{
    static const unsigned kinds[] = { 2, 3, 4, 5, 6, 7 };
    unsigned size = size_of(g);

    if (below(g, 2)) /* else #DE is all that comes of a division */
        CODE(g, 0x31, 0xd2);
    rm(g, size, wide(size, 0xf6), kinds[below(g, 6)]);
}

static void imul(struct gen *g)
{
    unsigned size = 2u << below(g, 3);

    if (below(g, 2)) {
        rm(g, size, 0x0faf, reg(g));
    } else {
        rm(g, size, 0x69, reg(g));
        immediate(g, size);
    }
}

static void incdec(struct gen *g)
{
    unsigned size = size_of(g);

    rm(g, size, wide(size, 0xfe), below(g, 2));
}

static void mov(struct gen *g)
{
    unsigned size = size_of(g);

    switch (below(g, 4)) {
    case 0:
        load(g, reg(g), value(g));
        break;
    case 1:
        rm(g, size, wide(size, 0x88), reg(g));
        break;
    case 2:
        rm(g, size, wide(size, 0x8a), reg(g));
        break;
    default:
        rm(g, size, wide(size, 0xc6), 0);
        immediate(g, size);
    }
}

static void extend(struct gen *g)
{
    static const unsigned ops[] = { 0x0fb6, 0x0fb7, 0x0fbe, 0x0fbf, 0x63 };

    rm(g, 2u << below(g, 3), ops[below(g, 5)], reg(g));
}

static void bits(struct gen *g)
{
    static const unsigned ops[] = { 0x0fa3, 0x0fab, 0x0fb3, 0x0fbb };
    unsigned size = 2u << below(g, 3);

    switch (below(g, 3)) {
    case 0:
        rr(g, size, ops[below(g, 4)], reg(g), reg(g));
        break;
    case 1:
        rm(g, size, 0x0fba, 4 + below(g, 4));
        byte(g, below(g, 256));
        break;
    default:
        rm(g, size, 0x0fbc + below(g, 2), reg(g));
    }
}

static void conditional(struct gen *g)
{
    if (below(g, 2))
        rm(g, 1, 0x0f90 + below(g, 16), 0);
    else
        rm(g, 2u << below(g, 3), 0x0f40 + below(g, 16), reg(g));
}

static void exchange(struct gen *g)
{
    static const unsigned ops[] = { 0x0fb0, 0x0fc0, 0x86 };
    unsigned size = size_of(g);

    if (below(g, 6))
        rm(g, size, wide(size, ops[below(g, 3)]), reg(g));
    else /* CMPXCHG8B, or of 16 bytes: #GP when not aligned */
        at_address(g, 4 + 4 * below(g, 2), 0x0fc7, 1, data_address(g) & ~15u);
}

static void flags(struct gen *g)
{
    static const uint8_t ops[] = { 0x9e, 0x9f, 0xf5, 0xf8, 0xf9, 0xfc, 0xfd, 0x98, 0x99 };

    byte(g, ops[below(g, sizeof(ops))]);
}

static void popf(struct gen *g)
{
    byte(g, 0x68);
    imm32(g, (uint32_t)stream_random(g->r) & (below(g, 3) ? 0x240cd5 : 0x277fd5));
    if (!below(g, 8))
        byte(g, 0x66); /* POPFW takes two bytes: the rest stays on the stack */
    byte(g, 0x9d);
}

static void stack(struct gen *g)
{
    unsigned r = reg(g);

    switch (below(g, 4)) {
    case 0:
        if (g->code64)
            byte(g, 0x40 | r >> 3);
        byte(g, 0x50 | (r & 7));
        break;
    case 1:
        if (g->code64)
            byte(g, 0x40 | r >> 3);
        byte(g, 0x58 | (r & 7));
        break;
    case 2: /* PUSHF; without RF, which KVM leaves set after what it does for the guest */
        CODE(g, 0x9c, 0x81, 0x24, 0x24, 0xff, 0xff, 0xfe, 0xff);
        break;
    default: /* PUSH or POP memory */
        if (below(g, 2))
            at_address(g, 4, 0xff, 6, data_address(g));
        else
            at_address(g, 4, 0x8f, 0, data_address(g));
    }
}

static void string(struct gen *g)
{
    static const uint8_t ops[] = { 0xa4, 0xa6, 0xaa, 0xac, 0xae };
    static const uint8_t reps[] = { 0, 0xf2, 0xf3, 0xf3 };
    unsigned size = below(g, g->code64 ? 4 : 3), rep = reps[below(g, 4)];

    load32(g, 6, data_address(g));
    load32(g, 7, data_address(g));
    load32(g, 1, below(g, 20));
    if (rep)
        byte(g, rep);
    if (size == 1)
        byte(g, 0x66);
    if (size == 3)
        byte(g, 0x48);
    byte(g, ops[below(g, sizeof(ops))] | (size > 0));
}

/* Relative to the instruction's end: a slot further on. */
static void slot_distance(struct gen *g, uint8_t *start, unsigned width)
{
    int32_t d = (int32_t)(start + (1 + below(g, 3)) * STREAM_SLOT - (g->at + width));

    bytes(g, &d, width);
}

static void branch(struct gen *g)
{
    uint8_t *start = g->at;

    switch (below(g, 5)) {
    case 0:
    case 1:
        byte(g, 0x70 + below(g, 16));
        slot_distance(g, start, 1);
        break;
    case 2:
        byte(g, 0xe0 + below(g, 4)); /* LOOPNE, LOOPE, LOOP, JRCXZ */
        slot_distance(g, start, 1);
        break;
    case 3:
        CODE(g, 0x0f);
        byte(g, 0x80 + below(g, 16));
        slot_distance(g, start, 4);
        break;
    default:
        byte(g, below(g, 2) ? 0xe8 : 0xe9);
        slot_distance(g, start, 4);
    }
}

static void sse(struct gen *g)
{
    static const uint8_t packed[] = { 0x10, 0x28, 0x14, 0x15, 0x51, 0x54, 0x57, 0x58, 0x59, 0x5c,
                                      0x5d, 0x5e, 0x5f, 0x60, 0x6f, 0x74, 0xd4, 0xd5, 0xdb, 0xef,
                                      0xf4, 0xfc, 0xfe, 0x2a, 0x2d, 0x5a, 0x5b, 0x11, 0x29, 0x7f };
    static const uint8_t prefixes[] = { 0x66, 0x66, 0xf2, 0xf3 };
    unsigned op = packed[below(g, sizeof(packed))], r;

    if (below(g, 4) || op == 0x6f || op == 0x7f) /* without: MMX's registers, or single precision */
        byte(g, prefixes[below(g, 4)]);
    r = op == 0x2d ? reg(g) : xmm(g); /* CVTSS2SI and its like write general registers */
    if (below(g, 2))
        rr(g, 4, 0x0f00 | op, r, xmm(g));
    else
        at_address(g, 4, 0x0f00 | op, r, data_address(g) & (below(g, 4) ? ~15u : ~0u));
}

static void x87(struct gen *g)
{
    static const uint8_t loads[] = { 0xd9, 0xdb, 0xdd, 0xdf };

    switch (below(g, 4)) {
    case 0:
        CODE(g, 0xdb, 0xe3); /* FNINIT */
        break;
    case 1: /* FLD, FILD; FSTP, FISTP */
        byte(g, loads[below(g, 4)]);
        byte(g, below(g, 2) ? 0x04 : 0x1c);
        byte(g, 0x25);
        imm32(g, data_address(g));
        break;
    case 2: /* arithmetic with ST(i) */
        byte(g, below(g, 2) ? 0xd8 : 0xdc);
        byte(g, 0xc0 | below(g, 64));
        break;
    default: /* constants, FCHS, FABS, FXAM, FXCH */
        byte(g, 0xd9);
        byte(g, 0xc8 + below(g, 0x28));
    }
}

static void segment(struct gen *g)
{
    static const uint16_t selectors[] = { 0,          0,       SEL_DATA,   SEL_DATA,
                                          SEL_DATA,   0x4b,    SEL_CODE64, SEL_CODE32,
                                          SEL_DATA16, SEL_TSS, 0x1234,     0xfff8 };
    static const uint8_t sregs[] = { 0, 3, 4, 5 };
    /* QEMU checks neither limits nor null selectors, so 32-bit code keeps its DS and ES. */
    unsigned sreg = sregs[g->code64 ? below(g, 4) : 2 + below(g, 2)];

    if (below(g, 3)) {
        load32(g, 0, selectors[below(g, ARRAY_SIZE(selectors))]);
        CODE(g, 0x8e);
        byte(g, 0xc0 | sreg << 3);
    } else {
        CODE(g, 0x8c);
        byte(g, 0xc0 | below(g, 6) << 3);
    }
}

static void cpuid(struct gen *g)
{
    static const uint32_t leaves[] = {
        0, 1, 7, 0xd, 0x80000000, 0x80000001, 0x80000008, 0x12345678
    };

    load32(g, 0, leaves[below(g, ARRAY_SIZE(leaves))]);
    load32(g, 1, below(g, 4));
    CODE(g, 0x0f, 0xa2);
}

static void port(struct gen *g)
{
    static const uint8_t fixed[] = { 0xe4, 0xe5, 0xe6, 0xe7 }, by_dx[] = { 0xec, 0xed, 0xee, 0xef };
    static const uint8_t strings[] = { 0x6c, 0x6d, 0x6e, 0x6f };

    switch (below(g, 3)) {
    case 0:
        if (below(g, 3) == 0)
            byte(g, 0x66);
        byte(g, fixed[below(g, 4)]);
        byte(g, 0x50 + below(g, 16));
        return;
    case 1:
        load32(g, 2, STREAM_PORT + below(g, 16));
        if (below(g, 3) == 0)
            byte(g, 0x66);
        byte(g, by_dx[below(g, 4)]);
        return;
    default:
        load32(g, 2, STREAM_PORT + below(g, 16));
        load32(g, 6, data_address(g));
        load32(g, 7, data_address(g));
        load32(g, 1, below(g, 5));
        if (below(g, 2))
            byte(g, 0xf3);
        if (below(g, 3) == 0)
            byte(g, 0x66);
        byte(g, strings[below(g, 4)]);
    }
}

static void msr(struct gen *g)
{
    static const uint32_t index[] = { 0x174,      0x175,      0x176,      0x277,      0x2ff,
                                      0x200,      0x250,      0xfe,       0xc0000080, 0xc0000081,
                                      0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
                                      0xc0000102, 0xc0000103, 0x1b,       0x802,      0xdead };
    uint32_t i = index[below(g, ARRAY_SIZE(index))];

    load32(g, 1, i);
    if (below(g, 2) || i == 0x1b || i == 0xc0000080) { /* these stay as they are */
        CODE(g, 0x0f, 0x32);
        return;
    }
    load32(g, 0, i == 0x277 ? 0x00070406 : (uint32_t)value(g));
    /* Of SYSENTER's QEMU keeps the upper half, which does not exist. */
    load32(g, 2, below(g, 2) || i <= 0x176 ? 0 : (uint32_t)value(g));
    CODE(g, 0x0f, 0x30);
}

/* The forms that bawn.ko decodes. */
static void mmio(struct gen *g)
{
    uint32_t address = STREAM_MMIO + (below(g, 0x100) & ~7u);
    unsigned size = size_of(g);

    switch (below(g, 5)) {
    case 0:
        at_address(g, size, wide(size, 0x88), reg(g), address);
        break;
    case 1:
        at_address(g, size, wide(size, 0x8a), reg(g), address);
        break;
    case 2:
        at_address(g, size, wide(size, 0xc6), 0, address);
        immediate(g, size);
        break;
    case 3:
        at_address(g, 2u << below(g, 3), below(g, 2) ? 0x0fb6 : 0x0fb7, reg(g), address);
        break;
    default: /* ADD to XOR, to and from memory */
        at_address(g, size, wide(size, below(g, 7) << 3 | below(g, 2) << 1), reg(g), address);
    }
}

/* An interrupt from the own APIC: at once, at STI, or out of HLT. */
static void interrupt(struct gen *g)
{
    unsigned how = below(g, 3);

    if (how)
        byte(g, 0xfa);
    load32(g, 1, 0x83f); /* SELF IPI */
    load32(g, 0, 0x30 + below(g, 0x40));
    CODE(g, 0x31, 0xd2, 0x0f, 0x30);
    if (how)
        byte(g, 0xfb);
    if (how == 2)
        CODE(g, 0xf4, 0xfa);
    else
        byte(g, 0x90);
}

static void trap(struct gen *g)
{
    static const uint8_t vectors[] = { 3, 4, 0x21, 0x40, 0xff };

    switch (below(g, 4)) {
    case 0:
        byte(g, 0xcc);
        break;
    case 1:
        CODE(g, 0x0f, 0x0b);
        break;
    case 2:
        byte(g, 0xcd);
        byte(g, vectors[below(g, sizeof(vectors))]);
        break;
    default: /* some that do not exist in 64-bit code */
        byte(g, (const uint8_t[]){ 0x06, 0x27, 0x37, 0x60, 0xd4, 0xce }[below(g, 6)]);
    }
}

static void bad_address(struct gen *g)
{
    static const uint64_t addresses[] = { 1ull << 40, 1ull << 47, 1ull << 63, ~0xfffull,
                                          0x8000000000 };

    if (!g->code64)
        return; /* it has none */
    load(g, 3, addresses[below(g, ARRAY_SIZE(addresses))] + below(g, 0x1000));
    byte(g, 0x48);
    byte(g, wide(2, below(g, 2) ? 0x88 : 0x8a));
    byte(g, 0x03 | below(g, 3) << 3);
}

/* Bits of CR0 and CR4 that change the others' work: WP, AM, TS, MP; TSD, DE, PGE, OSXSAVE. */
static void control(struct gen *g)
{
    static const uint32_t cr0[] = { 1 << 16, 1 << 18, 8, 2, 0 },
                          cr4[] = { 4, 8, 1 << 7, 1 << 18, 0 };
    static const uint8_t read[] = { 0, 2, 3, 4 };

    switch (below(g, 7)) {
    case 0:
        CODE(g, 0x0f, 0x20, 0xc0, 0x35); /* MOV RAX, CR0; XOR EAX, ... */
        imm32(g, cr0[below(g, 5)]);
        CODE(g, 0x0f, 0x22, 0xc0);
        break;
    case 1:
        CODE(g, 0x0f, 0x20, 0xe0, 0x35);
        imm32(g, cr4[below(g, 5)]);
        CODE(g, 0x0f, 0x22, 0xe0);
        break;
    case 2:
        CODE(g, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8); /* CR3 */
        break;
    case 3:
        CODE(g, 0x0f, 0x22, 0xd3); /* MOV CR2, RBX */
        break;
    case 4:
        CODE(g, 0x0f, 0x06); /* CLTS */
        break;
    case 5: /* bits that do not exist */
        load(g, 0, below(g, 2) ? 1ull << 31 | 0x620 : 1ull << 40);
        CODE(g, 0x0f, 0x22, 0xe0);
        break;
    default:
        CODE(g, 0x0f, 0x20);
        byte(g, 0xc0 | read[below(g, 4)] << 3 | (reg(g) & 3));
    }
}

static void debug(struct gen *g)
{
    unsigned n = below(g, 4);

    switch (below(g, 4)) {
    case 0: /* somewhere ahead in the code */
        load32(g, 0, STREAM_CODE + (g->slot + below(g, 10)) * STREAM_SLOT);
        CODE(g, 0x0f, 0x23);
        byte(g, 0xc0 | n << 3);
        break;
    case 1: /* instruction breakpoints alone */
        load32(g, 0, 0x400 | below(g, 256));
        CODE(g, 0x0f, 0x23, 0xf8);
        break;
    case 2:
        load32(g, 0, (uint32_t)value(g) & ~0x1000u); /* QEMU keeps the bit that is not there */
        CODE(g, 0x0f, 0x23, 0xf0);                   /* DR6 */
        break;
    default:
        CODE(g, 0x0f, 0x21);
        byte(g, 0xc0 | (const uint8_t[]){ 0, 1, 2, 3, 4, 6, 7 }[below(g, 7)] << 3 | (reg(g) & 3));
    }
}

static void privileged(struct gen *g)
{
    switch (below(g, 12)) {
    case 0:
        CODE(g, 0x0f, 0x09); /* WBINVD */
        break;
    case 1:
        CODE(g, 0xf3, 0x90); /* PAUSE */
        break;
    case 2: /* VMMCALL, of a number that nobody serves */
        load32(g, 0, 1000 + below(g, 1000));
        CODE(g, 0x0f, 0x01, 0xd9);
        break;
    case 3:
        CODE(g, 0x0f, 0x01, 0xf8); /* SWAPGS */
        break;
    case 4: /* SGDT, SIDT */
        at_address(g, 4, 0x0f01, below(g, 2), data_address(g));
        break;
    case 5: /* SLDT, STR, VERR, VERW */
        rr(g, 4, 0x0f00, (const uint8_t[]){ 0, 1, 4, 5 }[below(g, 4)], reg(g));
        break;
    case 6: /* LAR, LSL */
        rr(g, 4, 0x0f02 + below(g, 2), reg(g), reg(g));
        break;
    case 7:
        at_address(g, 4, 0x0f01, 7, data_address(g)); /* INVLPG */
        break;
    case 8:
        rr(g, 4, 0x0f01, 4, reg(g)); /* SMSW */
        break;
    case 9:
        CODE(g, 0x0f, 0xae, 0xf0); /* MFENCE */
        break;
    case 10: /* XGETBV, XSETBV; without CR4.OSXSAVE QEMU lets it exit before #UD */
        CODE(g, 0x0f, 0x20, 0xe0, 0x0d, 0, 0, 4, 0, 0x0f, 0x22, 0xe0);
        load32(g, 0, (const uint8_t[]){ 1, 3, 7, 2, 0 }[below(g, 5)]);
        load32(g, 1, below(g, 8) == 0);
        CODE(g, 0x31, 0xd2, 0x0f, 0x01);
        byte(g, 0xd0 + below(g, 2));
        break;
    default: /* SVM's own: #UD without EFER.SVME */
        CODE(g, 0x0f, 0x01);
        byte(g, (const uint8_t[]){ 0xd8, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf }[below(g, 7)]);
    }
}

static const struct {
    void (*make)(struct gen *g);
    unsigned weight;
} kinds[] = {
    { alu, 10 },        { locked, 3 },  { shift, 6 },  { muldiv, 5 },     { imul, 2 },
    { incdec, 2 },      { mov, 12 },    { extend, 3 }, { bits, 4 },       { conditional, 4 },
    { exchange, 4 },    { flags, 4 },   { popf, 4 },   { stack, 5 },      { string, 6 },
    { branch, 6 },      { sse, 8 },     { x87, 5 },    { segment, 4 },    { cpuid, 3 },
    { port, 6 },        { msr, 6 },     { mmio, 8 },   { interrupt, 4 },  { trap, 4 },
    { bad_address, 3 }, { control, 4 }, { debug, 3 },  { privileged, 5 },
};

void stream_generate(struct stream_rng *r, uint8_t *code, unsigned nr, bool code64)
{
    unsigned total = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        total += kinds[i].weight;
    for (unsigned slot = 0; slot < nr; slot++) {
        uint8_t *at = code + slot * STREAM_SLOT;
        struct gen g = { .r = r, .at = at, .slot = slot, .code64 = code64 };
        uint32_t pick = stream_below(r, total);
        unsigned k = 0;

        while (pick >= kinds[k].weight)
            pick -= kinds[k++].weight;
        memset(at, 0x90, STREAM_SLOT);
        kinds[k].make(&g);
    }
    for (unsigned slot = nr; slot < nr + 4; slot++) {
        uint8_t *at = code + slot * STREAM_SLOT;

        memset(at, 0x90, STREAM_SLOT);
        at[0] = 0xcd;
        at[1] = STREAM_END;
    }
}
