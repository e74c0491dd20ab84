/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three large services of the GHCB page, misused by a guest: lists of page state changes,
 * guest requests, and vCPUs that are to run from save areas of its own making. AMD 56421 rev
 * 2.03; for save areas AMD APM vol. 2, 15.5.1 and 15.36.12.
 */
#define _GNU_SOURCE
#include "snp_agent.h"

#include "bawn/psp.h"
#include "bawn/uapi.h"
#include "bawn/vmsa.h"

#include <linux/kvm_para.h>

#define PSC 0x80000010
#define GUEST_REQUEST 0x80000011
#define EXT_GUEST_REQUEST 0x80000012
#define AP_CREATION 0x80000013
#define SCRATCH (AGENT_GHCB + GHCB_BUFFER)
#define BEYOND 0x40000000ull
#define CBIT BIT(47)
#define REFUSED(why) GHCB_REFUSED, GHCB_ERR_##why

/* ---- Page state changes ---- */

#define PSC_PRIVATE 1ull
#define PSC_SHARED 2ull
#define PSC_ERROR_HEADER (BIT(32) | 1)
#define PSC_ERROR_ENTRY (BIT(32) | 2)
#define PSC_ERROR_GENERIC (0x100ull << 32)
#define PSC_MOST 253

struct psc {
    uint16_t current, end;
    uint32_t reserved;
    uint64_t entries[PSC_MOST];
};

#define ENTRY(gpa, op) ((gpa) | (uint64_t)(op) << 52)
#define LARGE BIT(56)

static struct psc *psc_at(const struct snp_guest *g, uint64_t gpa)
{
    return (struct psc *)(void *)ghcb_at(g, gpa);
}

static int psc_ask(struct snp_guest *g, uint64_t scratch)
{
    ghcb_set(g, GHCB_SCRATCH, scratch);
    return ghcb_ask(g, PSC, 0, 0);
}

static void test_psc_header(void)
{
    static const struct {
        const char *name;
        uint16_t current, end;
        uint32_t reserved, offset;
        uint64_t want2;
    } rows[] = {
        { "one entry too many", 0, PSC_MOST, 0, 0, PSC_ERROR_HEADER },
        { "all entries", 0, 0xffff, 0, 0, PSC_ERROR_HEADER },
        { "begun behind an end that is too far", 0xffff, PSC_MOST, 0, 0, PSC_ERROR_HEADER },
        { "reserved bits", 0, 0, 1, 0, PSC_ERROR_HEADER },
        { "all reserved bits", 0, 0, ~0u, 0, PSC_ERROR_HEADER },
        { "further in the buffer, too long", 0, PSC_MOST - 1, 0, 8, PSC_ERROR_HEADER },
        { "no room for one entry", 0, 0, 0, GHCB_BUFFER_END - GHCB_BUFFER - 8, PSC_ERROR_HEADER },
        { "begun behind its end", 1, 0, 0, 0, 0 }, /* done already */
        { "begun far behind its end", 0xffff, 0, 0, 0, 0 },
        { "begun behind the longest list", PSC_MOST, PSC_MOST - 1, 0, 0, 0 },
    };
    struct snp_guest g = agent_create(1);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct psc head = { .current = rows[i].current,
                            .end = rows[i].end,
                            .reserved = rows[i].reserved };

        lab_row(rows[i].name);
        ghcb_begin(&g);
        memcpy(ghcb_at(&g, SCRATCH + rows[i].offset), &head, 8);
        EXPECT_EQ(psc_ask(&g, SCRATCH + rows[i].offset), AGENT_OK);
        EXPECT_ANSWER(&g, 0, rows[i].want2);
        EXPECT_EQ(memcmp(ghcb_at(&g, SCRATCH + rows[i].offset), &head, 8), 0);
    }
    lab_row(NULL);
    agent_expect_alive(&g);
}

/* The list must stand whole in the page's own buffer, wherever else there is memory. */
static void test_psc_scratch(void)
{
    static const uint64_t wrong[] = { AGENT_GHCB + GHCB_BUFFER_END - 7,
                                      AGENT_GHCB + GHCB_BUFFER_END,
                                      SCRATCH - 1,
                                      AGENT_GHCB,
                                      AGENT_DATA,
                                      AGENT_PRIVATE,
                                      0,
                                      BEYOND,
                                      SCRATCH | CBIT,
                                      SCRATCH | BIT(63),
                                      ~0ull };
    struct snp_guest g = agent_create(1);

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        ghcb_begin(&g);
        EXPECT_EQ(psc_ask(&g, wrong[i]), AGENT_OK);
        EXPECT_REFUSED(&g, SCRATCH);
    }
    ghcb_begin(&g);
    EXPECT_EQ(ghcb_ask(&g, PSC, 0, 0), AGENT_OK);
    EXPECT_REFUSED(&g, MISSING);
    /* At any byte of it, as long as it fits. */
    ghcb_begin(&g);
    memcpy(ghcb_at(&g, SCRATCH + 3) + 8, &(uint64_t){ ENTRY(AGENT_DATA, PSC_SHARED) }, 8);
    EXPECT_EQ(psc_ask(&g, SCRATCH + 3), KVM_EXIT_HYPERCALL);
    EXPECT_EQ(g.v->run->hypercall.args[0], AGENT_DATA);
    EXPECT_EQ(g.v->run->hypercall.args[1], 1);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
}

/* An entry that is refused: after the one before it, which is done, and before the next. */
static void test_psc_entries(void)
{
    static const struct {
        const char *name;
        uint64_t entry;
    } rows[] = {
        { "operation 0", ENTRY(AGENT_DATA, 0) },
        { "operation 5", ENTRY(AGENT_DATA, 5) },
        { "operation 15", ENTRY(AGENT_DATA, 15) },
        { "reserved bit 57", ENTRY(AGENT_DATA, PSC_SHARED) | BIT(57) },
        { "reserved bit 63", ENTRY(AGENT_DATA, PSC_SHARED) | BIT(63) },
        { "further than its page", ENTRY(AGENT_DATA, PSC_SHARED) | 2 },
        { "further than its large page", ENTRY(0, PSC_SHARED) | LARGE | 513 },
        { "as far as can be", ENTRY(AGENT_DATA, PSC_SHARED) | 0xfff },
        { "a large page not aligned", ENTRY(AGENT_DATA, PSC_SHARED) | LARGE },
        { "a large page off by one", ENTRY(PAGE, PSC_PRIVATE) | LARGE },
        { "the C-bit", ENTRY(CBIT | AGENT_DATA, PSC_SHARED) },
        { "the highest address bit", ENTRY(BIT(51), PSC_PRIVATE) },
        { "the last page", ENTRY(BIT(52) - PAGE, PSC_PRIVATE) },
        { "the last large page", ENTRY(BIT(52) - (2 << 20), PSC_PRIVATE) | LARGE },
        { "all ones", ~0ull },
    };
    struct snp_guest g = agent_create(1);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct psc *list = psc_at(&g, SCRATCH);

        lab_row(rows[i].name);
        ghcb_begin(&g);
        list->end = 2;
        list->entries[0] = ENTRY(AGENT_DATA - PAGE, PSC_SHARED);
        list->entries[1] = rows[i].entry;
        list->entries[2] = ENTRY(AGENT_DATA + PAGE, PSC_SHARED);
        EXPECT_EQ(psc_ask(&g, SCRATCH), KVM_EXIT_HYPERCALL);
        EXPECT_EQ(g.v->run->hypercall.args[0], AGENT_DATA - PAGE);
        EXPECT_EQ(g.v->run->hypercall.args[1], 1);
        EXPECT_EQ(agent_go(&g), AGENT_OK);
        EXPECT_ANSWER(&g, 0, PSC_ERROR_ENTRY);
        EXPECT_EQ(list->current, 1);
        EXPECT_EQ(list->entries[0], ENTRY(AGENT_DATA - PAGE, PSC_SHARED) | 1);
        EXPECT_EQ(list->entries[1], rows[i].entry);
        EXPECT_EQ(list->entries[2], ENTRY(AGENT_DATA + PAGE, PSC_SHARED));
    }
    lab_row(NULL);
    agent_expect_alive(&g);
}

/* The longest list, of pages that have no order and of one page many times; then the VMM that
 * refuses in the middle of it. */
static void test_psc_longest(void)
{
    struct snp_guest g = agent_create(1);
    struct psc *list = psc_at(&g, SCRATCH);
    unsigned exits = 0, pages = 0;
    int r;

    ghcb_begin(&g);
    list->end = PSC_MOST - 1;
    for (unsigned i = 0; i < PSC_MOST; i++)
        list->entries[i] = ENTRY(AGENT_DATA + i * 5 % 7 * PAGE, PSC_SHARED);
    for (r = psc_ask(&g, SCRATCH); r == KVM_EXIT_HYPERCALL; r = agent_go(&g), exits++)
        pages += (unsigned)g.v->run->hypercall.args[1];
    EXPECT_EQ(r, AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT_EQ(pages, PSC_MOST);
    EXPECT_EQ(list->current, PSC_MOST);
    EXPECT(exits <= PSC_MOST);

    ghcb_begin(&g);
    list->end = 9;
    for (unsigned i = 0; i < 10; i++)
        list->entries[i] = ENTRY(AGENT_DATA + i * 2 * PAGE, PSC_SHARED);
    EXPECT_EQ(psc_ask(&g, SCRATCH), KVM_EXIT_HYPERCALL);
    EXPECT_EQ(agent_go(&g), KVM_EXIT_HYPERCALL);
    g.v->run->hypercall.ret = 1;
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_ANSWER(&g, 0, PSC_ERROR_GENERIC);
    EXPECT_EQ(list->current, 1);
}

/* ---- Guest requests ---- */

#define REQUEST AGENT_DATA
#define RESPONSE (AGENT_DATA + PAGE)
#define CERTS (AGENT_DATA + 4 * PAGE)
#define LEN_INVALID BIT(32)

static void put_message(struct snp_guest *g, uint8_t type)
{
    struct bawn_psp_msg_header *head = (void *)ghcb_at(g, REQUEST);

    memset(ghcb_at(g, REQUEST), 0, PAGE);
    memset(ghcb_at(g, RESPONSE), 0x5a, PAGE);
    head->type = type;
    head->algo = BAWN_PSP_MSG_ALGO_AES256_GCM;
    head->header_version = BAWN_PSP_MSG_HEADER_VERSION;
}

static bool untouched(const struct snp_guest *g, uint64_t gpa)
{
    for (unsigned i = 0; i < PAGE; i++)
        if (ghcb_at(g, gpa)[i] != 0x5a)
            return false;
    return true;
}

static void test_request_pages(void)
{
    static const struct {
        const char *name;
        uint64_t request, response;
    } rows[] = {
        { "one page for both", REQUEST, REQUEST },
        { "request not aligned", REQUEST + 8, RESPONSE },
        { "response not aligned", REQUEST, RESPONSE + 1 },
        { "request private", AGENT_PRIVATE, RESPONSE },
        { "response private", REQUEST, AGENT_PRIVATE },
        { "request is the code", GUEST_CODE, RESPONSE },
        { "response over the page tables", REQUEST, GUEST_PML4 },
        { "request beyond memory", BEYOND, RESPONSE },
        { "request with the C-bit", REQUEST | CBIT, RESPONSE },
        { "response with the C-bit", REQUEST, RESPONSE | CBIT },
        { "request above the address space", REQUEST | BIT(52), RESPONSE },
        { "response in the last page", REQUEST, ~(PAGE - 1) },
        { "both all ones", ~0ull, ~0ull },
    };
    struct snp_guest g = agent_create(1);

    for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
        lab_row(rows[i / 2].name);
        put_message(&g, BAWN_PSP_MSG_REPORT_REQ);
        memset(ghcb_at(&g, CERTS), 0x5a, PAGE);
        ghcb_begin(&g);
        ghcb_set(&g, GHCB_RAX, CERTS);
        ghcb_set(&g, GHCB_RBX, 4);
        EXPECT_EQ(ghcb_ask(&g, i & 1 ? EXT_GUEST_REQUEST : GUEST_REQUEST, rows[i / 2].request,
                           rows[i / 2].response),
                  AGENT_OK);
        EXPECT_REFUSED(&g, INPUT);
        EXPECT(untouched(&g, RESPONSE));
        EXPECT(untouched(&g, CERTS));
    }
    lab_row(NULL);
    agent_expect_alive(&g);
}

/* The firmware's own refusal is its status, in the lower half; no answer is written then. */
static void expect_firmware_refused(struct snp_guest *g)
{
    EXPECT_EQ(ghcb_get(g, GHCB_INFO1), 0);
    EXPECT(ghcb_get(g, GHCB_INFO2) > 0);
    EXPECT_EQ(ghcb_get(g, GHCB_INFO2) >> 32, 0);
    EXPECT(untouched(g, RESPONSE));
}

static void test_request_messages(void)
{
    struct snp_guest g = agent_create(1);

    for (unsigned type = 0; type < 256; type += type < 16 ? 1 : 48) {
        put_message(&g, (uint8_t)type);
        ghcb_begin(&g);
        EXPECT_EQ(ghcb_ask(&g, GUEST_REQUEST, REQUEST, RESPONSE), AGENT_OK);
        expect_firmware_refused(&g);
    }
    memset(ghcb_at(&g, REQUEST), 0xff, PAGE);
    ghcb_begin(&g);
    EXPECT_EQ(ghcb_ask(&g, GUEST_REQUEST, REQUEST, RESPONSE), AGENT_OK);
    expect_firmware_refused(&g);
    /* Response beyond memory: shared, as far as anyone has said. The firmware refuses first. */
    put_message(&g, BAWN_PSP_MSG_REPORT_REQ);
    ghcb_begin(&g);
    EXPECT_EQ(ghcb_ask(&g, GUEST_REQUEST, REQUEST, BEYOND), AGENT_OK);
    expect_firmware_refused(&g);
}

static void test_request_certs(void)
{
    static const struct {
        const char *name;
        uint64_t address, pages;
        uint64_t want1, want2; /* ~0: the firmware's refusal */
        uint64_t rbx;
    } rows[] = {
        { "no pages", CERTS, 0, 0, LEN_INVALID, 2 },
        { "too few pages", CERTS, 1, 0, LEN_INVALID, 2 },
        { "no pages, nowhere", ~0ull, 0, 0, LEN_INVALID, 2 },
        { "enough", CERTS, 2, 0, ~0ull, 0 },
        { "2^52 pages", CERTS, BIT(52), 0, ~0ull, 0 },
        { "all ones", CERTS, ~0ull, 0, ~0ull, 0 },
        { "not aligned", CERTS + 1, 2, REFUSED(INPUT), 0 },
        { "private", AGENT_PRIVATE, 2, REFUSED(INPUT), 0 },
        { "into private memory", AGENT_PRIVATE - PAGE, 2, REFUSED(INPUT), 0 },
        { "beyond memory", BEYOND, 2, REFUSED(INPUT), 0 },
        { "with the C-bit", CERTS | CBIT, 2, REFUSED(INPUT), 0 },
        { "to the C-bit", CBIT - PAGE, 2, REFUSED(INPUT), 0 },
        { "the last page", ~(PAGE - 1), ~0ull, REFUSED(INPUT), 0 },
    };
    struct snp_guest g = agent_create(1);
    static uint8_t blob[PAGE + 1];
    struct bawn_snp_certs certs = { .addr = (uint64_t)(uintptr_t)blob, .size = sizeof(blob) };

    memset(blob, 0xc5, sizeof(blob));
    ASSERT_EQ(kvm_call(g.vm->fd, BAWN_SNP_SET_CERTS, &certs), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        put_message(&g, BAWN_PSP_MSG_REPORT_REQ);
        memset(ghcb_at(&g, CERTS), 0x5a, 3 * PAGE);
        ghcb_begin(&g);
        ghcb_set(&g, GHCB_RAX, rows[i].address);
        ghcb_set(&g, GHCB_RBX, rows[i].pages);
        EXPECT_EQ(ghcb_ask(&g, EXT_GUEST_REQUEST, REQUEST, RESPONSE), AGENT_OK);
        EXPECT(untouched(&g, CERTS + 2 * PAGE));
        if (rows[i].want2 == ~0ull) {
            expect_firmware_refused(&g);
            EXPECT_EQ(memcmp(ghcb_at(&g, CERTS), blob, sizeof(blob)), 0);
            EXPECT_EQ(ghcb_at(&g, CERTS)[sizeof(blob)], 0x5a);
            continue;
        }
        EXPECT_ANSWER(&g, rows[i].want1, rows[i].want2);
        EXPECT(untouched(&g, CERTS));
        EXPECT_EQ(ghcb_answered(&g, GHCB_RBX), rows[i].rbx != 0);
        if (rows[i].rbx)
            EXPECT_EQ(ghcb_get(&g, GHCB_RBX), rows[i].rbx);
    }
    lab_row("without addresses");
    put_message(&g, BAWN_PSP_MSG_REPORT_REQ);
    ghcb_begin(&g);
    ghcb_set(&g, GHCB_RAX, CERTS);
    EXPECT_EQ(ghcb_ask(&g, EXT_GUEST_REQUEST, REQUEST, RESPONSE), AGENT_OK);
    EXPECT_REFUSED(&g, MISSING);
    /* Of other messages than reports the addresses are not looked at. */
    lab_row("no report");
    put_message(&g, BAWN_PSP_MSG_KEY_REQ);
    ghcb_begin(&g);
    ghcb_set(&g, GHCB_RAX, AGENT_PRIVATE);
    ghcb_set(&g, GHCB_RBX, 0);
    EXPECT_EQ(ghcb_ask(&g, EXT_GUEST_REQUEST, REQUEST, RESPONSE), AGENT_OK);
    expect_firmware_refused(&g);
    lab_row(NULL);
}

/* ---- AP creation ---- */

#define ON_INIT 0ull
#define CREATE 1ull
#define DESTROY 2ull
#define AP_ID 1ull
#define REQUEST_OF(what) ((what) | AP_ID << 32)
#define VMSA_PAGE (AGENT_PRIVATE + PAGE)
#define RMPADJUST_VMSA (1ull | BIT(16))
#define TOKEN 0x70cea11ull
#define TOKEN_AT (AGENT_DATA + 0x100)

static struct bawn_vmsa_segment segment(uint16_t selector, uint16_t attributes, uint64_t base,
                                        uint32_t limit)
{
    return (struct bawn_vmsa_segment){
        .selector = selector, .attrib = attributes, .base = base, .limit = limit
    };
}

static void fill_vmsa(struct snp_guest *g, struct bawn_vmsa *v)
{
    struct bawn_vmsa_segment data = segment(SEL_DATA, 0xc93, 0, ~0u);

    memset(v, 0, sizeof(*v));
    v->cs = segment(SEL_CODE64, 0xa9b, 0, ~0u);
    v->ds = v->es = v->ss = v->fs = v->gs = data;
    v->tr = segment(SEL_TSS, 0x8b, GUEST_TSS, 0x67);
    v->gdtr = segment(0, 0, GUEST_GDT, 0x37);
    v->idtr = segment(0, 0, GUEST_IDT, 0xfff);
    v->efer = 0x1500;
    v->cr0 = 0x80000031;
    v->cr3 = GUEST_PML4 | 1ull << g->cbit;
    v->cr4 = 0x20;
    v->dr6 = 0xffff0ff0;
    v->dr7 = 0x400;
    v->rflags = 2;
    v->rip = GUEST_ADDR(snp_token);
    v->rdi = SNP_SHARED + TOKEN_AT;
    v->rsi = TOKEN;
    v->rsp = GUEST_STACK + 0x4000;
    v->g_pat = 0x0007040600070406ull;
    v->sev_features = BAWN_SEV_SNP_ACTIVE;
    v->xcr0 = 1;
    v->mxcsr = 0x1f80;
    v->x87_fcw = 0x37f;
}

static int ap_ask(struct snp_guest *g, uint64_t info1, uint64_t info2, uint64_t features)
{
    ghcb_begin(g);
    ghcb_set(g, GHCB_RAX, features);
    return ghcb_ask(g, AP_CREATION, info1, info2);
}

/* Does the second vCPU take what it was given? KVM_RUN that ends before the guest would begin. */
static bool ap_starts(struct snp_guest *g)
{
    struct vcpu *ap = g->vm->vcpu[1];
    struct kvm_mp_state state = { .mp_state = ~0u };

    ap->run->immediate_exit = 1;
    EXPECT_EQ(vcpu_run(ap), -EINTR);
    ap->run->immediate_exit = 0;
    EXPECT_EQ(kvm_call(ap->fd, KVM_GET_MP_STATE, &state), 0);
    return state.mp_state == KVM_MP_STATE_RUNNABLE;
}

/* The guest puts a save area into the private page. */
static void give_vmsa(struct snp_guest *g, const struct bawn_vmsa *v)
{
    memcpy(ghcb_at(g, AGENT_DATA + PAGE), v, PAGE);
    ASSERT_EQ(agent_step(g, AGENT_RMPADJUST, VMSA_PAGE, 0, 1), AGENT_OK);
    ASSERT_EQ(agent_step(g, AGENT_COPY, VMSA_PAGE, SNP_SHARED + AGENT_DATA + PAGE, 0), AGENT_OK);
    ASSERT_EQ(agent_step(g, AGENT_RMPADJUST, VMSA_PAGE, 0, RMPADJUST_VMSA), AGENT_OK);
    ASSERT_EQ(agent_result(g, 0), 0);
}

/* The AP runs, from the save area and with nothing of another. */
static void expect_ap_runs(struct snp_guest *g)
{
    uint64_t token = 0;

    memcpy(ghcb_at(g, TOKEN_AT), &token, 8);
    EXPECT_EQ(vcpu_run(g->vm->vcpu[1]), KVM_EXIT_HLT);
    memcpy(&token, ghcb_at(g, TOKEN_AT), 8);
    EXPECT_EQ(token, TOKEN);
}

static struct snp_guest with_ap(struct bawn_vmsa *v)
{
    struct snp_guest g = agent_create(2);

    fill_vmsa(&g, v);
    agent_validate(&g, VMSA_PAGE);
    give_vmsa(&g, v);
    return g;
}

static void test_ap_arguments(void)
{
    static const struct {
        const char *name;
        uint64_t info1, info2, features;
    } rows[] = {
        { "no such vCPU", CREATE | 7ull << 32, VMSA_PAGE, 1 },
        { "the highest vCPU", CREATE | 0xffffffffull << 32, VMSA_PAGE, 1 },
        { "VMPL 1", REQUEST_OF(CREATE | 1 << 16), VMSA_PAGE, 1 },
        { "VMPL 15", REQUEST_OF(CREATE | 15 << 16), VMSA_PAGE, 1 },
        { "reserved bits", REQUEST_OF(CREATE | 1 << 20), VMSA_PAGE, 1 },
        { "the highest reserved bit", REQUEST_OF(CREATE) | BIT(31), VMSA_PAGE, 1 },
        { "request 3", REQUEST_OF(3), VMSA_PAGE, 1 },
        { "request 0xffff", REQUEST_OF(0xffff), VMSA_PAGE, 1 },
        { "features 0", REQUEST_OF(CREATE), VMSA_PAGE, 0 },
        { "features the VM has not", REQUEST_OF(CREATE), VMSA_PAGE, 3 },
        { "all features", REQUEST_OF(ON_INIT), VMSA_PAGE, ~0ull },
        { "not aligned", REQUEST_OF(CREATE), VMSA_PAGE + 8, 1 },
        { "page 0", REQUEST_OF(CREATE), 0, 1 },
        { "shared", REQUEST_OF(CREATE), AGENT_DATA, 1 },
        { "shared, on INIT", REQUEST_OF(ON_INIT), AGENT_DATA, 1 },
        { "start of 2 MiB", REQUEST_OF(CREATE), 2 << 20, 1 },
        { "with the C-bit", REQUEST_OF(CREATE), VMSA_PAGE | CBIT, 1 },
        { "above the address space", REQUEST_OF(CREATE), VMSA_PAGE | BIT(52), 1 },
        { "beyond memory", REQUEST_OF(CREATE), BEYOND + PAGE, 1 },
        { "the last page", REQUEST_OF(CREATE), ~(PAGE - 1), 1 },
    };
    struct bawn_vmsa v;
    struct snp_guest g = with_ap(&v);

    ASSERT_EQ(snp_attributes(&g, 2 << 20, PAGE, true), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(ap_ask(&g, rows[i].info1, rows[i].info2, rows[i].features), AGENT_OK);
        EXPECT_REFUSED(&g, INPUT);
    }
    lab_row(NULL);
    ghcb_begin(&g);
    EXPECT_EQ(ghcb_ask(&g, AP_CREATION, REQUEST_OF(CREATE), VMSA_PAGE), AGENT_OK);
    EXPECT_REFUSED(&g, MISSING); /* no features */
    /* Nothing of this had an effect: the vCPU is in the code that it was launched with. */
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    expect_ap_runs(&g);
}

/* Pages that are no save area: taken note of, and then the vCPU does not start. */
static void test_ap_pages(void)
{
    struct bawn_vmsa v;
    struct snp_guest g = with_ap(&v);
    uint64_t plain = AGENT_PRIVATE + 3 * PAGE, unvalidated = AGENT_PRIVATE + 5 * PAGE;
    uint64_t pages[] = { plain, unvalidated, GUEST_STACK, GUEST_MEM - PAGE };

    agent_validate(&g, plain);
    ASSERT_EQ(agent_step(&g, AGENT_COPY, plain, VMSA_PAGE, 0), AGENT_OK);
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), pages[i], 1), AGENT_OK);
        EXPECT_ANSWER(&g, 0, 0);
        EXPECT(!ap_starts(&g));
    }
    /* A save area once, given back to the host before the vCPU looks. */
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    ASSERT_EQ(snp_attributes(&g, VMSA_PAGE, PAGE, false), 0);
    EXPECT(!ap_starts(&g));
    ASSERT_EQ(snp_attributes(&g, VMSA_PAGE, PAGE, true), 0);
    /* ... and rescinded by the guest: its mark has gone with its validation. */
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    ASSERT_EQ(agent_step(&g, AGENT_PVALIDATE, VMSA_PAGE, 0, 0), AGENT_OK);
    agent_validate(&g, VMSA_PAGE);
    EXPECT(!ap_starts(&g));
    give_vmsa(&g, &v);
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    EXPECT(ap_starts(&g));
    expect_ap_runs(&g);
    /* In use: what runs is a copy, and it may be started from there again; then destroyed. */
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    expect_ap_runs(&g);
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(DESTROY), ~0ull, ~0ull), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT(!ap_starts(&g));
    agent_expect_alive(&g);
}

/* The host says that the vCPU may run. */
static int run_all_the_same(struct snp_guest *g)
{
    struct vcpu *ap = g->vm->vcpu[1];
    struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };

    EXPECT_EQ(kvm_call(ap->fd, KVM_SET_MP_STATE, &runnable), 0);
    memset(ghcb_at(g, TOKEN_AT), 0, 8);
    return vcpu_run(ap);
}

/* A vCPU that its guest has ended does not go on, nor one that has half of a save area. */
static void test_ap_ended(void)
{
    struct bawn_vmsa v;
    struct snp_guest g = with_ap(&v);
    uint64_t token = ~0ull;

    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    EXPECT(ap_starts(&g));
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(DESTROY), 0, 0), AGENT_OK);
    EXPECT(!ap_starts(&g));
    EXPECT(run_all_the_same(&g) < 0);
    memcpy(&token, ghcb_at(&g, TOKEN_AT), 8);
    EXPECT_EQ(token, 0);
    v.xcr0 = ~0ull;
    give_vmsa(&g, &v);
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    EXPECT(!ap_starts(&g));
    EXPECT(run_all_the_same(&g) < 0);
    memcpy(&token, ghcb_at(&g, TOKEN_AT), 8);
    EXPECT_EQ(token, 0);
    v.xcr0 = 1;
    give_vmsa(&g, &v);
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    expect_ap_runs(&g);
}

/* Save areas that VMRUN would refuse, or that ask for more than the guest has. */
static void test_ap_states(void)
{
    static const struct {
        const char *name;
        size_t at, size;
        uint64_t value;
    } rows[] = {
#define ROW(name, field, value) \
    { name, offsetof(struct bawn_vmsa, field), sizeof(((struct bawn_vmsa *)0)->field), value }
        ROW("EFER without SVME", efer, 0x500),
        ROW("EFER with reserved bits", efer, 0x1500 | BIT(16)),
        ROW("EFER of all ones", efer, ~0ull),
        ROW("VMPL 1", vmpl, 1),
        ROW("VMPL 255", vmpl, 255),
        ROW("CPL 4", cpl, 4),
        ROW("no features", sev_features, 0),
        ROW("vTOM", sev_features, BAWN_SEV_SNP_ACTIVE | BAWN_SEV_VTOM),
        ROW("reflected #VC", sev_features, BAWN_SEV_SNP_ACTIVE | BAWN_SEV_REFLECT_VC),
        ROW("secure TSC", sev_features, BAWN_SEV_SNP_ACTIVE | BAWN_SEV_SECURE_TSC),
        ROW("all features", sev_features, ~0ull),
        ROW("CR0 of paging without protection", cr0, 0x80000010),
        ROW("CR0 with high bits", cr0, BIT(32) | 0x80000031),
        ROW("CR0 of NW without CD", cr0, 0xa0000031),
        ROW("CR3 with reserved bits", cr3, BIT(63)),
        ROW("CR4 without PAE", cr4, 0),
        ROW("CR4 with reserved bits", cr4, BIT(63) | 0x20),
        ROW("CR4 of all ones", cr4, ~0ull),
        ROW("DR6 with high bits", dr6, BIT(32)),
        ROW("DR7 with high bits", dr7, BIT(63) | 0x400),
        ROW("XSS", xss, 1),
        ROW("XCR0 without x87", xcr0, 2),
        ROW("XCR0 of all ones", xcr0, ~0ull),
        ROW("PAT of no type", g_pat, 0x0202020202020202ull),
        ROW("MXCSR with reserved bits", mxcsr, ~0u),
        ROW("CS of 64 and 32 bits", cs.attrib, 0xe9b),
#undef ROW
    };
    struct bawn_vmsa good;
    struct snp_guest g = with_ap(&good);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bawn_vmsa bad = good;

        lab_row(rows[i].name);
        memcpy((uint8_t *)&bad + rows[i].at, &rows[i].value, rows[i].size);
        give_vmsa(&g, &bad);
        EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
        EXPECT_ANSWER(&g, 0, 0);
        EXPECT(!ap_starts(&g));
    }
    lab_row(NULL);
    give_vmsa(&g, &good);
    EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
    expect_ap_runs(&g);
    agent_expect_alive(&g);
}

/* Some of it runs in circles; a little of that is enough. */
static void run_nonsense(struct vcpu *ap, unsigned seed)
{
    int r;

    vcpu_start(ap, NULL);
    for (int i = 0; i < 20 && !ap->result; i++)
        usleep(500);
    vcpu_kick(ap);
    r = ap->result;
    if (r != KVM_EXIT_HLT && r != KVM_EXIT_SHUTDOWN && r != KVM_EXIT_FAIL_ENTRY &&
        r != KVM_EXIT_INTERNAL_ERROR && r != KVM_EXIT_SYSTEM_EVENT && r != KVM_EXIT_HYPERCALL &&
        r != -EFAULT && r != -EINTR)
        lab_fail(__FILE__, __LINE__, "save area %u ends in %d", seed, r);
}

/* What may stand in a save area and makes no sense: the vCPU ends, in its own way, alone. */
static void test_ap_nonsense(void)
{
    struct bawn_vmsa good;
    struct snp_guest g = with_ap(&good);

    for (unsigned seed = 1; seed < 64; seed++) {
        struct bawn_vmsa bad = good;
        uint32_t x = seed * 2654435761u;
        struct vcpu *ap = g.vm->vcpu[1];
        uint8_t *bytes = (uint8_t *)&bad;

        /* Up to the registers: all but what the checks above are for. */
        for (unsigned k = 0; k < 24; k++) {
            x = x * 1664525 + 1013904223;
            if (x >> 16 & 1)
                bytes[(x >> 8) % offsetof(struct bawn_vmsa, pl_ssp)] = (uint8_t)(x >> 24);
        }
        if (seed & 1)
            bad.rip = x | (uint64_t)x << 32;
        if (seed & 2)
            bad.rflags = x;
        give_vmsa(&g, &bad);
        EXPECT_EQ(ap_ask(&g, REQUEST_OF(CREATE), VMSA_PAGE, 1), AGENT_OK);
        if (ap_starts(&g))
            run_nonsense(ap, seed);
        agent_expect_alive(&g);
    }
}

static const struct lab_test tests[] = {
    { "page state change: headers", test_psc_header },
    { "page state change: where the list is", test_psc_scratch },
    { "page state change: entries", test_psc_entries },
    { "page state change: the longest list", test_psc_longest },
    { "guest requests: wrong pages", test_request_pages },
    { "guest requests: messages that are none", test_request_messages },
    { "guest requests: room for certificates", test_request_certs },
    { "AP creation: arguments", test_ap_arguments },
    { "AP creation: pages that are no save area", test_ap_pages },
    { "AP creation: a vCPU that was ended", test_ap_ended },
    { "AP creation: states that VMRUN refuses", test_ap_states },
    { "AP creation: nonsense", test_ap_nonsense },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
