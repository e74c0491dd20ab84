/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GHCB changes while it is served. First at the moment that a guest would choose, while the
 * VMM works on the exit; then at any moment, by another vCPU that never stops writing. What is
 * answered is what was asked before or what was asked after, never a mixture, and no data goes
 * where neither pointed to.
 */
#define _GNU_SOURCE
#include "snp_agent.h"

#include <linux/kvm_para.h>

#define SVM_CPUID 0x72
#define SVM_IOIO 0x7b
#define SVM_MSR 0x7c
#define MMIO_READ 0x80000001
#define MMIO_WRITE 0x80000002
#define PSC 0x80000010
#define HV_FEATURES 0x8000fffd
#define UNDEFINED 0x8000fff0
#define SCRATCH (AGENT_GHCB + GHCB_BUFFER)
#define BEYOND 0x40000000ull
#define PORT 0x80
#define IO(size) ((uint64_t)PORT << 16 | (uint64_t)(size) << 4)
#define IN 1u
#define STRING 4u
#define PSC_ERROR_HEADER (BIT(32) | 1)
#define ROUNDS 300       /* of each race: enough for both meanings, and then some */
#define ROUNDS_MOST 5000 /* by then both meanings have come, or something is wrong */

/* ---- While the VMM has the exit ---- */

/* Every field means something else now. */
static void rewrite(const struct snp_guest *g)
{
    uint8_t *page = ghcb_at(g, AGENT_GHCB);
    uint16_t version = 77;

    memset(page, 0xff, GHCB_BITMAP);
    ghcb_set(g, GHCB_CODE, UNDEFINED);
    ghcb_set(g, GHCB_INFO1, IO(4) | STRING);
    ghcb_set(g, GHCB_INFO2, ~0ull);
    ghcb_set(g, GHCB_SCRATCH, AGENT_DATA + PAGE);
    memset(page + GHCB_BUFFER, 0x77, GHCB_BUFFER_END - GHCB_BUFFER);
    memcpy(page + GHCB_VERSION, &version, sizeof(version));
}

static bool all_are(const struct snp_guest *g, uint64_t gpa, uint8_t byte, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ghcb_at(g, gpa)[i] != byte)
            return false;
    return true;
}

static uint8_t *exit_data(const struct snp_guest *g)
{
    return (uint8_t *)g->v->run + g->v->run->io.data_offset;
}

static void test_strings_in(void)
{
    struct snp_guest g = agent_create(1);

    memset(ghcb_at(&g, AGENT_DATA), 0, 3 * PAGE);
    ghcb_begin(&g);
    ghcb_set(&g, GHCB_SCRATCH, AGENT_DATA + 8);
    ASSERT_EQ(ghcb_ask(&g, SVM_IOIO, IO(2) | STRING | IN, 16), KVM_EXIT_IO);
    EXPECT_EQ(g.v->run->io.size, 2);
    EXPECT_EQ(g.v->run->io.count, 16);
    memset(exit_data(&g), 0xab, PAGE);
    rewrite(&g);
    /* What the VMM writes there is not taken back either. */
    g.v->run->io.size = 4;
    g.v->run->io.count = 1000;
    g.v->run->io.data_offset = ~0ull;
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT(all_are(&g, AGENT_DATA, 0, 8));
    EXPECT(all_are(&g, AGENT_DATA + 8, 0xab, 32));
    EXPECT(all_are(&g, AGENT_DATA + 40, 0, 3 * PAGE - 40));
}

static void test_port_in(void)
{
    struct snp_guest g = agent_create(1);

    ghcb_begin(&g);
    ASSERT_EQ(ghcb_ask(&g, SVM_IOIO, IO(1) | IN, 0), KVM_EXIT_IO);
    memset(exit_data(&g), 0xab, 8);
    rewrite(&g);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT(ghcb_answered(&g, GHCB_RAX));
    EXPECT_EQ(ghcb_get(&g, GHCB_RAX), 0xab); /* one byte, as was asked */
}

/* A read that is turned into a write while userspace has it is a read. */
static void test_msr(void)
{
    struct snp_guest g = agent_create(1);
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
                                  .args = { KVM_MSR_EXIT_REASON_UNKNOWN } };

    ASSERT_EQ(kvm_call(g.vm->fd, KVM_ENABLE_CAP, &cap), 0);
    ghcb_begin(&g);
    ghcb_set(&g, GHCB_RCX, 0x12345678);
    ASSERT_EQ(ghcb_ask(&g, SVM_MSR, 0, 0), KVM_EXIT_X86_RDMSR);
    g.v->run->msr.data = 0x1122334455667788;
    rewrite(&g);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT(ghcb_answered(&g, GHCB_RAX) && ghcb_answered(&g, GHCB_RDX));
    EXPECT_EQ(ghcb_get(&g, GHCB_RAX), 0x55667788);
    EXPECT_EQ(ghcb_get(&g, GHCB_RDX), 0x11223344);
}

static void test_mmio(void)
{
    struct snp_guest g = agent_create(1);

    memset(ghcb_at(&g, AGENT_DATA), 0, 3 * PAGE);
    ghcb_begin(&g);
    ghcb_set(&g, GHCB_SCRATCH, AGENT_DATA);
    ASSERT_EQ(ghcb_ask(&g, MMIO_READ, BEYOND, 2), KVM_EXIT_MMIO);
    EXPECT_EQ(g.v->run->mmio.len, 2);
    memset(g.v->run->mmio.data, 0xab, 8);
    g.v->run->mmio.len = 255;
    rewrite(&g);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT(all_are(&g, AGENT_DATA, 0xab, 2));
    EXPECT(all_are(&g, AGENT_DATA + 2, 0, 3 * PAGE - 2));
}

/* The page goes to the guest, or away, before it is answered: no answer, or the guest's end; and
 * what is private now is not written to. */
static void test_page_gone(void)
{
    struct snp_guest g = agent_create(1);
    struct kvm_userspace_memory_region2 none = { .slot = SNP_SLOT };
    int r;

    ghcb_begin(&g);
    ASSERT_EQ(ghcb_ask(&g, SVM_IOIO, IO(1) | IN, 0), KVM_EXIT_IO);
    ASSERT_EQ(snp_attributes(&g, AGENT_GHCB, PAGE, true), 0);
    r = agent_go(&g);
    if (r != AGENT_OK) {
        agent_expect_ended(&g, r, 0x100);
        EXPECT_EQ(agent_go(&g), AGENT_OK);
    }
    agent_validate(&g, AGENT_GHCB);
    EXPECT_EQ(agent_load(&g, AGENT_GHCB + GHCB_BITMAP), 0);
    EXPECT_EQ(agent_step(&g, AGENT_PVALIDATE, AGENT_GHCB, 0, 0), AGENT_OK);
    ASSERT_EQ(snp_attributes(&g, AGENT_GHCB, PAGE, false), 0);

    ghcb_begin(&g);
    ASSERT_EQ(ghcb_ask(&g, SVM_IOIO, IO(1) | IN, 0), KVM_EXIT_IO);
    ASSERT_EQ(kvm_call(g.vm->fd, KVM_SET_USER_MEMORY_REGION2, &none), 0);
    agent_expect_ended(&g, agent_go(&g), 0x100);
}

struct psc {
    uint16_t current, end;
    uint32_t reserved;
    uint64_t entries[253];
};
#define ENTRY(gpa) ((gpa) | 2ull << 52)

/* A list that is another one after each entry: the entries are those that were copied. */
static void test_list(void)
{
    struct snp_guest g = agent_create(1);
    struct psc *list = (void *)ghcb_at(&g, SCRATCH);
    int r;

    memset(ghcb_at(&g, AGENT_DATA), 0x5a, 8 * PAGE);
    ghcb_begin(&g);
    ghcb_set(&g, GHCB_SCRATCH, SCRATCH);
    list->end = 3;
    for (unsigned i = 0; i < 4; i++)
        list->entries[i] = ENTRY(AGENT_DATA + 2 * i * PAGE);
    r = ghcb_ask(&g, PSC, 0, 0);
    for (unsigned i = 0; i < 4; i++, r = agent_go(&g)) {
        ASSERT_EQ(r, KVM_EXIT_HYPERCALL);
        EXPECT_EQ(g.v->run->hypercall.args[0], AGENT_DATA + 2 * i * PAGE);
        EXPECT_EQ(g.v->run->hypercall.args[1], 1);
        rewrite(&g);
        list->current = 0;
        list->end = 0xffff;
        g.v->run->hypercall.args[0] = ~0ull;
        g.v->run->hypercall.args[1] = ~0ull;
    }
    EXPECT_EQ(r, AGENT_OK);
    EXPECT_ANSWER(&g, 0, 0);
    EXPECT_EQ(list->current, 4);
    EXPECT_EQ(list->end, 3);
    EXPECT(all_are(&g, AGENT_DATA, 0x5a, 8 * PAGE));
}

/* ---- At any moment ---- */

/* The other vCPU has its turn before and, where the VMM has an exit, in between. */
static int race_ask(struct snp_guest *g, uint64_t code, uint64_t info1, uint64_t info2)
{
    ghcb_set(g, GHCB_CODE, code);
    ghcb_set(g, GHCB_INFO1, info1);
    ghcb_set(g, GHCB_INFO2, info2);
    usleep(1);
    return agent_step(g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0);
}

static int race_go(struct snp_guest *g)
{
    usleep(1);
    return agent_go(g);
}

/* A race between two values of one quadword of shared memory. What comes of a round is of the
 * first or of the second, or the test fails; both must come. */
enum meaning { NEITHER, FIRST, SECOND };

struct race {
    const char *name;
    uint64_t at, values[2];
    /* One VMGEXIT, and what it was taken for. */
    enum meaning (*round)(struct snp_guest *g);
};

static enum meaning code_round(struct snp_guest *g)
{
    int r;

    ghcb_set(g, GHCB_RAX, 0x80000000);
    ghcb_set(g, GHCB_RCX, 0);
    r = race_ask(g, HV_FEATURES, 0, 0);
    if (r != AGENT_OK || ghcb_get(g, GHCB_INFO1))
        return NEITHER;
    if (ghcb_get(g, GHCB_INFO2) == 3) /* features, and no registers */
        return ghcb_answered(g, GHCB_RAX) || ghcb_answered(g, GHCB_RBX) ? NEITHER : FIRST;
    if (ghcb_get(g, GHCB_INFO2) || !ghcb_answered(g, GHCB_RAX) || !ghcb_answered(g, GHCB_RBX))
        return NEITHER;
    return SECOND;
}

static enum meaning undefined_round(struct snp_guest *g)
{
    int r = race_ask(g, HV_FEATURES, 0, 0);

    if (r != AGENT_OK)
        return NEITHER;
    if (!ghcb_get(g, GHCB_INFO1) && ghcb_get(g, GHCB_INFO2) == 3)
        return FIRST;
    if (ghcb_get(g, GHCB_INFO1) == GHCB_REFUSED && ghcb_get(g, GHCB_INFO2) == GHCB_ERR_EVENT)
        return SECOND;
    return NEITHER;
}

/* OUTS of 4 bytes from the buffer, or of so many that they wrap. */
static enum meaning count_round(struct snp_guest *g)
{
    int r;

    memset(ghcb_at(g, SCRATCH), 0xab, 8);
    ghcb_set(g, GHCB_SCRATCH, SCRATCH);
    r = race_ask(g, SVM_IOIO, IO(4) | STRING, 1);
    if (r == KVM_EXIT_IO) {
        bool right = g->v->run->io.size == 4 && g->v->run->io.count == 1 &&
                     !memcmp(exit_data(g), "\xab\xab\xab\xab", 4);

        return race_go(g) == AGENT_OK && right ? FIRST : NEITHER;
    }
    /* Why, the other vCPU may have overwritten already. */
    return r == AGENT_OK && ghcb_get(g, GHCB_INFO1) == GHCB_REFUSED ? SECOND : NEITHER;
}

/* OUT of 1 byte or of 4. */
static enum meaning size_round(struct snp_guest *g)
{
    uint32_t data = 0;
    unsigned size;

    ghcb_set(g, GHCB_RAX, 0x11223344);
    if (race_ask(g, SVM_IOIO, IO(1), 0) != KVM_EXIT_IO)
        return NEITHER;
    size = g->v->run->io.size;
    memcpy(&data, exit_data(g), size <= 4 ? size : 0);
    if (g->v->run->io.count != 1 || race_go(g) != AGENT_OK)
        return NEITHER;
    if (size == 1 && data == 0x44)
        return FIRST;
    return size == 4 && data == 0x11223344 ? SECOND : NEITHER;
}

/* A write of 8 bytes from the buffer, or from private memory. */
static enum meaning scratch_round(struct snp_guest *g)
{
    int r;

    memset(ghcb_at(g, SCRATCH), 0xab, 8);
    ghcb_set(g, GHCB_SCRATCH, SCRATCH);
    r = race_ask(g, MMIO_WRITE, BEYOND, 8);
    if (r == KVM_EXIT_MMIO) {
        bool right = !memcmp(g->v->run->mmio.data, "\xab\xab\xab\xab\xab\xab\xab\xab", 8);

        return race_go(g) == AGENT_OK && right ? FIRST : NEITHER;
    }
    if (r == AGENT_OK && ghcb_get(g, GHCB_INFO1) == GHCB_REFUSED &&
        ghcb_get(g, GHCB_INFO2) == GHCB_ERR_SCRATCH)
        return SECOND;
    return NEITHER;
}

/* A list of 1 entry, or one that is longer than the buffer. */
static enum meaning list_round(struct snp_guest *g)
{
    struct psc *list = (void *)ghcb_at(g, SCRATCH);
    int r;

    list->entries[0] = ENTRY(AGENT_DATA);
    list->entries[1] = ENTRY(AGENT_PRIVATE);
    ghcb_set(g, GHCB_SCRATCH, SCRATCH);
    r = race_ask(g, PSC, 0, 0);
    if (r == KVM_EXIT_HYPERCALL) {
        bool right =
            g->v->run->hypercall.args[0] == AGENT_DATA && g->v->run->hypercall.args[1] == 1;

        r = race_go(g);
        return right && r == AGENT_OK && !ghcb_get(g, GHCB_INFO1) && !ghcb_get(g, GHCB_INFO2)
                   ? FIRST
                   : NEITHER;
    }
    if (r == AGENT_OK && !ghcb_get(g, GHCB_INFO1) && ghcb_get(g, GHCB_INFO2) == PSC_ERROR_HEADER)
        return SECOND;
    return NEITHER;
}

/* An entry's address: shared, or beyond the address space. */
static enum meaning entry_round(struct snp_guest *g)
{
    struct psc *list = (void *)ghcb_at(g, SCRATCH);
    int r;

    memset(list, 0, 8);
    list->entries[0] = ENTRY(AGENT_DATA);
    ghcb_set(g, GHCB_SCRATCH, SCRATCH);
    r = race_ask(g, PSC, 0, 0);
    if (r == KVM_EXIT_HYPERCALL) {
        bool right =
            g->v->run->hypercall.args[0] == AGENT_DATA && g->v->run->hypercall.args[1] == 1;

        return race_go(g) == AGENT_OK && right && !ghcb_get(g, GHCB_INFO2) ? FIRST : NEITHER;
    }
    if (r == AGENT_OK && ghcb_get(g, GHCB_INFO2) == (BIT(32) | 2))
        return SECOND;
    return NEITHER;
}

/* Until it is kicked. KVM_RUN may come back before, without a signal. */
static void *flip_thread(void *arg)
{
    struct vcpu *v = arg;

    do
        v->result = vcpu_run(v);
    while (!v->stop && v->result == -EINTR);
    return NULL;
}

static void start_flip(struct vcpu *v)
{
    v->stop = false;
    ASSERT_EQ(pthread_create(&v->thread, NULL, flip_thread, v), 0);
    v->threaded = true;
}

static void run_race(const struct race *race)
{
    struct snp_guest g = agent_create(2);
    struct snp_flip *flip = agent_flip(&g);
    unsigned seen[3] = { 0 }, rounds = 0;
    enum meaning meaning;

    lab_row(race->name);
    flip->address = SNP_SHARED + race->at;
    memcpy(flip->values, race->values, sizeof(flip->values));
    start_flip(g.vm->vcpu[1]);
    EXPECT(WAIT_FOR(flip->count > 0));
    while (rounds < ROUNDS_MOST && !seen[NEITHER] &&
           (rounds < ROUNDS || !seen[FIRST] || !seen[SECOND])) {
        ghcb_begin(&g);
        meaning = race->round(&g);
        seen[meaning]++;
        rounds++;
        if (meaning == NEITHER)
            printf("# answer %#llx, %#llx; exit %u\n", (unsigned long long)ghcb_get(&g, GHCB_INFO1),
                   (unsigned long long)ghcb_get(&g, GHCB_INFO2), g.v->run->exit_reason);
    }
    vcpu_kick(g.vm->vcpu[1]);
    EXPECT_EQ(g.vm->vcpu[1]->result, -EINTR);
    EXPECT_EQ(seen[NEITHER], 0);
    EXPECT(seen[FIRST] && seen[SECOND]);
    printf("# %s: %u and %u of %u, %llu writes\n", race->name, seen[FIRST], seen[SECOND], rounds,
           (unsigned long long)flip->count);
    agent_expect_alive(&g);
    snp_destroy(&g);
    lab_row(NULL);
}

static void test_races(void)
{
    static const struct race races[] = {
        { "exit code", AGENT_GHCB + GHCB_CODE, { HV_FEATURES, SVM_CPUID }, code_round },
        { "exit code, undefined",
          AGENT_GHCB + GHCB_CODE,
          { HV_FEATURES, UNDEFINED },
          undefined_round },
        { "size", AGENT_GHCB + GHCB_INFO1, { IO(1), IO(4) }, size_round },
        { "count", AGENT_GHCB + GHCB_INFO2, { 1, BIT(62) | 1 }, count_round },
        { "scratch", AGENT_GHCB + GHCB_SCRATCH, { SCRATCH, AGENT_PRIVATE }, scratch_round },
        { "list's length", SCRATCH, { 0, 0xffff0000 }, list_round },
        { "list's entry", SCRATCH + 8, { ENTRY(AGENT_DATA), ENTRY(BIT(51)) }, entry_round },
    };

    for (size_t i = 0; i < ARRAY_SIZE(races); i++)
        run_race(&races[i]);
}

static const struct lab_test tests[] = {
    { "rewritten during a string input", test_strings_in },
    { "rewritten during an input", test_port_in },
    { "rewritten during a read of an MSR", test_msr },
    { "rewritten during a read of a device", test_mmio },
    { "the page goes away before its answer", test_page_gone },
    { "rewritten during a page state change", test_list },
    { "rewritten by another vCPU", test_races },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
