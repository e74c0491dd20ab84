/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that breaks the GHCB protocol in every way that has a name: each is answered by the
 * protocol's own error, or by the guest's end where there is no page to answer in; the guest can
 * go on, and so can its host. AMD 56421 rev 2.03.
 */
#define _GNU_SOURCE
#include "snp_agent.h"

#include <linux/kvm_para.h>

#define OTHER_GHCB (AGENT_SHARED + 2 * PAGE)
#define BEYOND 0x40000000ull /* within the address space, and no memory */
#define CBIT BIT(47)
#define END_PROTOCOL 0x100ull /* the request to terminate: general reason */
#define SVM_RDTSC 0x6e
#define SVM_CPUID 0x72
#define SVM_INVD 0x76
#define SVM_IOIO 0x7b
#define SVM_MSR 0x7c
#define SVM_VMMCALL 0x81
#define SVM_RDTSCP 0x87
#define SVM_MONITOR 0x8a
#define SVM_MWAIT 0x8b
#define SVM_RDPMC 0x6f
#define SVM_WBINVD 0x89
#define SVM_HLT 0x78
#define SVM_READ_DR7 0x27
#define SVM_WRITE_DR7 0x37
#define MMIO_READ 0x80000001
#define MMIO_WRITE 0x80000002
#define NMI_COMPLETE 0x80000003
#define AP_HLT_LOOP 0x80000004
#define PSC 0x80000010
#define GUEST_REQUEST 0x80000011
#define EXT_GUEST_REQUEST 0x80000012
#define HV_FEATURES 0x8000fffd
#define TERM_REQUEST 0x8000fffe
#define UNSUPPORTED 0x8000ffff
#define AP_CREATION 0x80000013

#define SCRATCH (AGENT_GHCB + GHCB_BUFFER)

/* What VMGEXIT with this value in the MSR ends in: an end by `request`, or an answer in the MSR. */
static void expect_end(struct snp_guest *g, uint64_t msr, uint64_t request)
{
    agent_expect_ended(g, agent_step(g, AGENT_VMGEXIT, msr, 0, 0), request);
    EXPECT_EQ(agent_go(g), AGENT_OK);
    agent_expect_alive(g);
}

static void set_features_request(struct snp_guest *g)
{
    ghcb_begin(g);
    ghcb_set(g, GHCB_CODE, HV_FEATURES);
    ghcb_set(g, GHCB_INFO1, 0);
    ghcb_set(g, GHCB_INFO2, 0);
}

/* ---- The page itself ---- */

static void test_page(void)
{
    struct snp_guest g = agent_create(1);
    const struct {
        const char *name;
        uint64_t msr;
    } rows[] = {
        { "not registered", OTHER_GHCB },
        { "private", AGENT_PRIVATE },
        { "page 0", 0 },
        { "beyond memory", BEYOND },
        { "with the C-bit", AGENT_GHCB | CBIT },
        { "above the address space", AGENT_GHCB | BIT(52) },
        { "the last page", ~(PAGE - 1) },
        { "not aligned", AGENT_GHCB + 8 },
        { "not aligned, by half", AGENT_GHCB + 0x800 },
    };

    set_features_request(&g);
    memcpy(ghcb_at(&g, OTHER_GHCB), ghcb_at(&g, AGENT_GHCB), PAGE);
    memcpy(ghcb_at(&g, AGENT_PRIVATE), ghcb_at(&g, AGENT_GHCB), PAGE);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        expect_end(&g, rows[i].msr, END_PROTOCOL);
        EXPECT_EQ(ghcb_get(&g, GHCB_INFO2), 0); /* no answer anywhere */
    }
    lab_row(NULL);
    EXPECT_EQ(agent_step(&g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0), AGENT_OK);
    EXPECT_EQ(ghcb_get(&g, GHCB_INFO2), 3);
}

/* Registration is of an address; what counts is what the page is when it is used. */
static void test_registration(void)
{
    struct snp_guest g = agent_create(1);
    const uint64_t refused[] = { 0, CBIT | AGENT_GHCB, BIT(52), ~(PAGE - 1) };

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        ASSERT_EQ(agent_step(&g, AGENT_VMGEXIT, refused[i] | 0x012, 0, 0), AGENT_OK);
        EXPECT_EQ(agent_result(&g, 0), ~0xfffull | 0x013);
    }
    set_features_request(&g); /* what was registered before, is */
    EXPECT_EQ(agent_step(&g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0), AGENT_OK);
    EXPECT_EQ(ghcb_get(&g, GHCB_INFO2), 3);

    agent_validate(&g, AGENT_PRIVATE);
    ghcb_register(&g, AGENT_PRIVATE);
    expect_end(&g, AGENT_PRIVATE, END_PROTOCOL);
    ghcb_register(&g, BEYOND);
    expect_end(&g, BEYOND, END_PROTOCOL);
    ghcb_register(&g, OTHER_GHCB);
    expect_end(&g, AGENT_GHCB, END_PROTOCOL); /* one at a time */
    ghcb_register(&g, AGENT_GHCB);
    /* Made private after it was registered. */
    ASSERT_EQ(snp_attributes(&g, AGENT_GHCB, PAGE, true), 0);
    expect_end(&g, AGENT_GHCB, END_PROTOCOL);
    ASSERT_EQ(snp_attributes(&g, AGENT_GHCB, PAGE, false), 0);
    ghcb_begin(&g);
    EXPECT_EQ(ghcb_ask(&g, HV_FEATURES, 0, 0), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 3);
}

/* VMGEXIT again without a word: nothing in the page is valid any more. */
static void test_stale(void)
{
    struct snp_guest g = agent_create(1);

    ghcb_begin(&g);
    ghcb_set(&g, GHCB_RAX, 0x8000001f);
    ghcb_set(&g, GHCB_RCX, 0);
    ASSERT_EQ(ghcb_ask(&g, SVM_CPUID, 0, 0), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT(ghcb_answered(&g, GHCB_RAX) && ghcb_answered(&g, GHCB_RDX));
    EXPECT(!ghcb_answered(&g, GHCB_CODE));
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(agent_step(&g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0), AGENT_OK);
        EXPECT_REFUSED(&g, MISSING);
        EXPECT(!ghcb_answered(&g, GHCB_RAX));
    }
    /* Only the code is new: its operands are not there, whatever the fields still hold. */
    ASSERT_EQ(ghcb_ask(&g, SVM_CPUID, 0, 0), AGENT_OK);
    EXPECT_REFUSED(&g, MISSING);
    memset(ghcb_at(&g, AGENT_GHCB) + GHCB_BITMAP, 0, 16);
    ASSERT_EQ(agent_step(&g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0), AGENT_OK);
    EXPECT_REFUSED(&g, MISSING);
}

static void test_head(void)
{
    struct snp_guest g = agent_create(1);
    const uint32_t usages[] = { 1, 0x80000000, ~0u };
    const uint16_t versions[] = { 0, 3, 0x200, 0xffff };
    const unsigned musts[] = { GHCB_CODE, GHCB_INFO1, GHCB_INFO2 };

    for (size_t i = 0; i < ARRAY_SIZE(usages); i++) {
        set_features_request(&g);
        memcpy(ghcb_at(&g, AGENT_GHCB) + GHCB_USAGE, &usages[i], 4);
        ASSERT_EQ(agent_step(&g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0), AGENT_OK);
        EXPECT_REFUSED(&g, USAGE);
    }
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        set_features_request(&g);
        memcpy(ghcb_at(&g, AGENT_GHCB) + GHCB_VERSION, &versions[i], 2);
        ASSERT_EQ(agent_step(&g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0), AGENT_OK);
        EXPECT_REFUSED(&g, INPUT);
    }
    for (size_t i = 0; i < ARRAY_SIZE(musts); i++) {
        set_features_request(&g);
        ghcb_at(&g, AGENT_GHCB)[GHCB_BITMAP + musts[i] / 64] &= (uint8_t) ~(1 << musts[i] / 8 % 8);
        ASSERT_EQ(agent_step(&g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0), AGENT_OK);
        EXPECT_REFUSED(&g, MISSING);
    }
}

/* ---- Exit codes ---- */

static bool defined(uint64_t code)
{
    static const uint32_t codes[] = {
        SVM_RDTSC,         SVM_RDPMC,    SVM_CPUID,    SVM_INVD,      SVM_IOIO,
        SVM_MSR,           SVM_VMMCALL,  SVM_RDTSCP,   SVM_WBINVD,    SVM_MONITOR,
        SVM_MWAIT,         SVM_HLT,      SVM_READ_DR7, SVM_WRITE_DR7, MMIO_READ,
        MMIO_WRITE,        NMI_COMPLETE, AP_HLT_LOOP,  PSC,           GUEST_REQUEST,
        EXT_GUEST_REQUEST, AP_CREATION,  HV_FEATURES,  TERM_REQUEST,  UNSUPPORTED,
    };

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (codes[i] == code)
            return true;
    return false;
}

static void expect_undefined(struct snp_guest *g, uint64_t code)
{
    ghcb_begin(g);
    ghcb_set(g, GHCB_RAX, ~0ull);
    ghcb_set(g, GHCB_SCRATCH, SCRATCH);
    ASSERT_EQ(ghcb_ask(g, code, ~0ull, ~0ull), AGENT_OK);
    if (ghcb_get(g, GHCB_INFO1) != GHCB_REFUSED || ghcb_get(g, GHCB_INFO2) != GHCB_ERR_EVENT)
        lab_fail(__FILE__, __LINE__, "exit code %#llx: %llu, %llu", (unsigned long long)code,
                 (unsigned long long)ghcb_get(g, GHCB_INFO1),
                 (unsigned long long)ghcb_get(g, GHCB_INFO2));
}

static void test_codes(void)
{
    struct snp_guest g = agent_create(1);
    const struct {
        uint64_t first, last;
    } ranges[] = {
        { 0, 0x420 },
        { 0x7ffffff0, 0x80000040 },
        { 0x8000fff0, 0x80010010 },
        { 0xfffffff0, 0x100000010 },
        { ~0xfull, ~0ull - 1 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        for (uint64_t code = ranges[i].first; code <= ranges[i].last; code++)
            if (!defined(code))
                expect_undefined(&g, code);
    /* What is defined, with one bit of the upper half set. */
    for (unsigned bit = 32; bit < 64; bit++) {
        expect_undefined(&g, BIT(bit) | SVM_CPUID);
        expect_undefined(&g, BIT(bit) | PSC);
    }
    agent_expect_alive(&g);
}

/* ---- Events with impossible arguments ---- */

struct field {
    unsigned at;
    uint64_t value;
};

struct event {
    const char *name;
    uint64_t code, info1, info2;
    struct field fields[3];
    uint64_t want1, want2;
};

static void run_events(struct snp_guest *g, const struct event *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &rows[i];

        lab_row(e->name);
        ghcb_begin(g);
        for (size_t k = 0; k < ARRAY_SIZE(e->fields) && e->fields[k].at; k++)
            ghcb_set(g, e->fields[k].at, e->fields[k].value);
        EXPECT_EQ(ghcb_ask(g, e->code, e->info1, e->info2), AGENT_OK);
        EXPECT_ANSWER(g, e->want1, e->want2);
    }
    lab_row(NULL);
    agent_expect_alive(g);
}

#define REFUSED(why) GHCB_REFUSED, GHCB_ERR_##why
#define IO(port, size) ((uint64_t)(port) << 16 | (uint64_t)(size) << 4)
#define IN 1u
#define STRING 4u

static void test_events(void)
{
    static const struct event rows[] = {
        { "CPUID without RCX", SVM_CPUID, 0, 0, { { GHCB_RAX, 0 } }, REFUSED(MISSING) },
        { "CPUID without RAX", SVM_CPUID, 0, 0, { { GHCB_RCX, 0 } }, REFUSED(MISSING) },
        { "CPUID 0xd without XCR0",
          SVM_CPUID,
          0,
          0,
          { { GHCB_RAX, 0xd }, { GHCB_RCX, 0 } },
          REFUSED(MISSING) },
        { "CPUID 0xd, XCR0 without x87",
          SVM_CPUID,
          0,
          0,
          { { GHCB_RAX, 0xd }, { GHCB_RCX, 0 }, { GHCB_XCR0, 6 } },
          REFUSED(INPUT) },
        { "CPUID 0xd, all of XCR0",
          SVM_CPUID,
          0,
          0,
          { { GHCB_RAX, 0xd }, { GHCB_RCX, 0 }, { GHCB_XCR0, ~0ull } },
          REFUSED(INPUT) },
        { "I/O without size", SVM_IOIO, IO(0x80, 0), 0, { { GHCB_RAX, 0 } }, REFUSED(INPUT) },
        { "I/O of two sizes", SVM_IOIO, IO(0x80, 3), 0, { { GHCB_RAX, 0 } }, REFUSED(INPUT) },
        { "I/O of three sizes", SVM_IOIO, IO(0x80, 7), 0, { { GHCB_RAX, 0 } }, REFUSED(INPUT) },
        { "I/O with high bits",
          SVM_IOIO,
          BIT(32) | IO(0x80, 1),
          0,
          { { GHCB_RAX, 0 } },
          REFUSED(INPUT) },
        { "I/O of all bits", SVM_IOIO, ~0ull, ~0ull, { { GHCB_RAX, 0 } }, REFUSED(INPUT) },
        { "OUT without RAX", SVM_IOIO, IO(0x80, 1), 0, { { 0 } }, REFUSED(MISSING) },
        { "OUTS without scratch", SVM_IOIO, IO(0x80, 1) | STRING, 1, { { 0 } }, REFUSED(MISSING) },
        { "OUTS of none", SVM_IOIO, IO(0x80, 1) | STRING, 0, { { GHCB_SCRATCH, SCRATCH } }, 0, 0 },
        { "OUTS of more than a page",
          SVM_IOIO,
          IO(0x80, 1) | STRING,
          4097,
          { { GHCB_SCRATCH, AGENT_DATA } },
          REFUSED(SCRATCH) },
        { "OUTS of more than the buffer",
          SVM_IOIO,
          IO(0x80, 1) | STRING,
          2033,
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(SCRATCH) },
        { "OUTS whose bytes wrap",
          SVM_IOIO,
          IO(0x80, 4) | STRING,
          BIT(62),
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(SCRATCH) },
        { "OUTS of all ones",
          SVM_IOIO,
          IO(0x80, 4) | STRING,
          ~0ull,
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(SCRATCH) },
        { "RDMSR without RCX", SVM_MSR, 0, 0, { { 0 } }, REFUSED(MISSING) },
        { "WRMSR without RDX",
          SVM_MSR,
          1,
          0,
          { { GHCB_RCX, 0x10 }, { GHCB_RAX, 0 } },
          REFUSED(MISSING) },
        { "MSR, neither read nor written", SVM_MSR, 2, 0, { { GHCB_RCX, 0x10 } }, REFUSED(INPUT) },
        { "MSR, all bits", SVM_MSR, ~0ull, 0, { { GHCB_RCX, 0x10 } }, REFUSED(INPUT) },
        { "no MSR", SVM_MSR, 0, 0, { { GHCB_RCX, 0x12345678 } }, GHCB_RAISED, GHCB_GP },
        { "the guest's EFER", SVM_MSR, 0, 0, { { GHCB_RCX, 0xc0000080 } }, GHCB_RAISED, GHCB_GP },
        { "the GHCB MSR", SVM_MSR, 0, 0, { { GHCB_RCX, 0xc0010130 } }, GHCB_RAISED, GHCB_GP },
        { "the host's VM_HSAVE_PA",
          SVM_MSR,
          1,
          0,
          { { GHCB_RCX, 0xc0010117 }, { GHCB_RAX, 0x1000 }, { GHCB_RDX, 0 } },
          GHCB_RAISED,
          GHCB_GP },
        { "RDPMC without RCX", SVM_RDPMC, 0, 0, { { 0 } }, REFUSED(MISSING) },
        { "RDPMC", SVM_RDPMC, 0, 0, { { GHCB_RCX, ~0ull } }, GHCB_RAISED, GHCB_GP },
        { "VMMCALL without CPL", SVM_VMMCALL, 0, 0, { { GHCB_RAX, 0 } }, REFUSED(MISSING) },
        { "VMMCALL", SVM_VMMCALL, 0, 0, { { GHCB_RAX, 0 }, { GHCB_CPL, 0xff } }, 0, 0 },
        { "MONITOR without RDX",
          SVM_MONITOR,
          0,
          0,
          { { GHCB_RAX, 0 }, { GHCB_RCX, 0 } },
          REFUSED(MISSING) },
        { "MWAIT without RCX", SVM_MWAIT, 0, 0, { { GHCB_RAX, 0 } }, REFUSED(MISSING) },
        { "DR7 without RAX", SVM_WRITE_DR7, 0, 0, { { 0 } }, REFUSED(MISSING) },
        { "DR7 with high bits",
          SVM_WRITE_DR7,
          0,
          0,
          { { GHCB_RAX, BIT(32) } },
          GHCB_RAISED,
          GHCB_GP },
        { "NMI complete without NMI", NMI_COMPLETE, ~0ull, ~0ull, { { 0 } }, 0, 0 },
    };
    struct snp_guest g = agent_create(1);

    run_events(&g, rows, ARRAY_SIZE(rows));
}

/* ---- Scratch areas ---- */

static void test_scratch(void)
{
    static const struct {
        const char *name;
        uint64_t scratch;
        bool taken; /* for 8 bytes */
    } rows[] = {
        { "begin of the buffer", SCRATCH, true },
        { "end of the buffer", AGENT_GHCB + GHCB_BUFFER_END - 8, true },
        { "one byte too far", AGENT_GHCB + GHCB_BUFFER_END - 7, false },
        { "behind the buffer", AGENT_GHCB + GHCB_BUFFER_END, false },
        { "the usage field", AGENT_GHCB + GHCB_USAGE, false },
        { "before the buffer", SCRATCH - 1, false },
        { "the save area", AGENT_GHCB + GHCB_CODE, false },
        { "the bitmap", AGENT_GHCB + GHCB_BITMAP, false },
        { "the page's begin", AGENT_GHCB, false },
        { "into the page", AGENT_GHCB - 4, false },
        { "out of the page", AGENT_GHCB + PAGE - 4, false },
        { "other shared memory", AGENT_DATA + 0x123, true },
        { "across two shared pages", AGENT_DATA + PAGE - 4, true },
        { "into private memory", AGENT_PRIVATE - 4, false },
        { "private memory", AGENT_PRIVATE, false },
        { "out of private memory", AGENT_SHARED - 4, false },
        { "address 0", 0, false },
        { "beyond memory", BEYOND, false },
        { "out of memory's end", GUEST_MEM - 4, false },
        { "with the C-bit", AGENT_DATA | CBIT, false },
        { "at the C-bit", CBIT - 4, false },
        { "above the address space", AGENT_DATA | BIT(60), false },
        { "wrapping", ~3ull, false },
        { "the last byte", ~0ull, false },
    };
    static const uint64_t codes[] = { MMIO_READ, MMIO_WRITE, SVM_IOIO };
    struct snp_guest g = agent_create(1);

    for (size_t i = 0; i < 3 * ARRAY_SIZE(rows); i++) {
        uint64_t code = codes[i % 3], scratch = rows[i / 3].scratch;
        int r;

        lab_row(rows[i / 3].name);
        ghcb_begin(&g);
        ghcb_set(&g, GHCB_SCRATCH, scratch);
        r = code == SVM_IOIO ? ghcb_ask(&g, code, IO(0x80, 1) | STRING, 8)
                             : ghcb_ask(&g, code, BEYOND, 8);
        if (rows[i / 3].taken) {
            EXPECT_EQ(r, code == SVM_IOIO ? KVM_EXIT_IO : KVM_EXIT_MMIO);
            EXPECT_EQ(agent_go(&g), AGENT_OK);
            EXPECT_ANSWER(&g, 0, 0);
        } else if (r == KVM_EXIT_MMIO) {
            /* There is no memory: that is known only when the answer is to be written. */
            EXPECT(code == MMIO_READ);
            EXPECT_EQ(agent_go(&g), AGENT_OK);
            EXPECT_REFUSED(&g, SCRATCH);
        } else {
            EXPECT_EQ(r, AGENT_OK);
            EXPECT_REFUSED(&g, SCRATCH);
        }
    }
    lab_row(NULL);
    agent_expect_alive(&g);
}

static void test_mmio(void)
{
    static const struct event rows[] = {
        { "no scratch", MMIO_READ, BEYOND, 4, { { 0 } }, REFUSED(MISSING) },
        { "length 0", MMIO_READ, BEYOND, 0, { { GHCB_SCRATCH, SCRATCH } }, REFUSED(INPUT) },
        { "length 3", MMIO_WRITE, BEYOND, 3, { { GHCB_SCRATCH, SCRATCH } }, REFUSED(INPUT) },
        { "length 9", MMIO_READ, BEYOND, 9, { { GHCB_SCRATCH, SCRATCH } }, REFUSED(INPUT) },
        { "length 16", MMIO_READ, BEYOND, 16, { { GHCB_SCRATCH, SCRATCH } }, REFUSED(INPUT) },
        { "length of high bits",
          MMIO_WRITE,
          BEYOND,
          BIT(32) | 4,
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(INPUT) },
        { "length of all bits",
          MMIO_WRITE,
          BEYOND,
          ~0ull,
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(INPUT) },
        { "across pages",
          MMIO_READ,
          BEYOND + 0xffc,
          8,
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(INPUT) },
        { "with the C-bit",
          MMIO_READ,
          BEYOND | CBIT,
          4,
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(INPUT) },
        { "above the address space",
          MMIO_WRITE,
          BIT(52),
          4,
          { { GHCB_SCRATCH, SCRATCH } },
          REFUSED(INPUT) },
        { "the last bytes", MMIO_READ, ~7ull, 8, { { GHCB_SCRATCH, SCRATCH } }, REFUSED(INPUT) },
    };
    struct snp_guest g = agent_create(1);

    run_events(&g, rows, ARRAY_SIZE(rows));
}

/* ---- The MSR protocol ---- */

static void test_msr_protocol(void)
{
    static const uint64_t answered[] = { 0x002, 0x004, 0x006, 0x010, 0x012, 0x014, 0x080, 0x100 };
    struct snp_guest g = agent_create(1);
    const struct {
        uint64_t request, answer;
    } page_states[] = {
        { 0, 0 },                                 /* operation 0 */
        { 3ull << 52 | AGENT_DATA, 0 },           /* none that is known */
        { 15ull << 52 | AGENT_DATA, 0 },          /* the highest */
        { BIT(56) | 2ull << 52 | AGENT_DATA, 0 }, /* reserved bits */
        { BIT(63) | 1ull << 52 | AGENT_DATA, 0 }, /* as the error's answer */
        { 2ull << 52 | CBIT | AGENT_DATA, 0 },    /* the C-bit */
        { 1ull << 52 | BIT(51) | AGENT_DATA, 0 }, /* beyond the address space */
        { 1ull << 52 | (BIT(52) - PAGE), 0 },     /* the last page */
    };

    for (uint64_t code = 1; code < 0x1000; code += code < 0x120 ? 1 : 0x51) {
        bool known = false;

        for (size_t i = 0; i < ARRAY_SIZE(answered); i++)
            known = known || answered[i] == code;
        if (!known)
            expect_end(&g, ~0xfffull | code, END_PROTOCOL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(page_states); i++) {
        ASSERT_EQ(agent_step(&g, AGENT_VMGEXIT, page_states[i].request | 0x014, 0, 0), AGENT_OK);
        EXPECT_EQ(agent_result(&g, 0), BIT(63) | 0x015);
    }
    /* The VMM refuses. */
    EXPECT_EQ(agent_step(&g, AGENT_VMGEXIT, 2ull << 52 | AGENT_DATA | 0x014, 0, 0),
              KVM_EXIT_HYPERCALL);
    g.v->run->hypercall.ret = ~0ull;
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_EQ(agent_result(&g, 0), BIT(63) | 0x015);
    expect_end(&g, ~0xfffull | 0x100, ~0xfffull | 0x100); /* as it was asked */
}

/* A request to terminate in the page, and its like. */
static void test_ends(void)
{
    struct snp_guest g = agent_create(1);

    ghcb_begin(&g);
    agent_expect_ended(&g, ghcb_ask(&g, TERM_REQUEST, ~0ull, 0), 0x100 | 0xfffull << 12);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    ghcb_begin(&g);
    agent_expect_ended(&g, ghcb_ask(&g, UNSUPPORTED, ~0ull, ~0ull), END_PROTOCOL);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    agent_expect_alive(&g);
}

static const struct lab_test tests[] = {
    { "a GHCB that is none", test_page },
    { "a GHCB registered, and what it is then", test_registration },
    { "a stale GHCB", test_stale },
    { "usage, version and what must be valid", test_head },
    { "undefined exit codes", test_codes },
    { "events with impossible arguments", test_events },
    { "scratch areas", test_scratch },
    { "MMIO with impossible arguments", test_mmio },
    { "the MSR protocol", test_msr_protocol },
    { "requests to terminate", test_ends },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
