/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of the guest that is told what to do (snp_agent.h). */
#define _GNU_SOURCE
#include "snp_agent.h"

#include <linux/kvm_para.h>

#define STATE "/sys/kernel/debug/bawn_platform/state"
#define PATIENCE 100 /* tenths of a second */
#define REGISTER 0x012

static int run(struct snp_guest *g)
{
    struct kvm_run *run = g->v->run;
    int r;

    do /* without a signal: this thread has work to do elsewhere (docs/kvm-api.md) */
        r = vcpu_run(g->v);
    while (r == -EINTR);
    if (r == KVM_EXIT_HYPERCALL && run->hypercall.nr == KVM_HC_MAP_GPA_RANGE &&
        run->hypercall.args[0] == AGENT_READY)
        return AGENT_OK;
    return r;
}

int agent_go(struct snp_guest *g)
{
    return run(g);
}

static uint8_t *mailbox(const struct snp_guest *g)
{
    return g->vm->mem + GUEST_MBOX;
}

struct snp_flip *agent_flip(const struct snp_guest *g)
{
    return (struct snp_flip *)(void *)(mailbox(g) + AGENT_FLIP);
}

struct snp_guest agent_prepare(unsigned vcpus)
{
    struct kvm_enable_cap hypercalls = { .cap = KVM_CAP_EXIT_HYPERCALL,
                                         .args = { BIT(KVM_HC_MAP_GPA_RANGE) } };
    struct snp_guest g = snp_create();

    ASSERT_EQ(kvm_call(g.vm->fd, KVM_ENABLE_CAP, &hypercalls), 0);
    snp_set_state(&g, GUEST_ADDR(snp_agent), 0, 0, 0);
    if (vcpus > 1) {
        struct vcpu *v = vcpu_raw(g.vm, 1);

        vcpu_set_cpuid(v);
        snp_set_vcpu_state(v, g.cbit, GUEST_ADDR(snp_flip), SNP_SHARED + GUEST_MBOX + AGENT_FLIP, 0,
                           0);
    }
    ASSERT_EQ(snp_attributes(&g, AGENT_SHARED, AGENT_PRIVATE - AGENT_SHARED, false), 0);
    return g;
}

void agent_launch(struct snp_guest *g)
{
    snp_launch(g);
    ASSERT_EQ(run(g), AGENT_OK);
    ghcb_register(g, AGENT_GHCB);
}

struct snp_guest agent_create(unsigned vcpus)
{
    struct snp_guest g = agent_prepare(vcpus);

    agent_launch(&g);
    return g;
}

int agent_step(struct snp_guest *g, unsigned step, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t args[] = { a, b, c }, none[2] = { 0 };
    uint32_t word = step;

    memset(mailbox(g), 0, SNP_FIXUP);
    memcpy(mailbox(g) + AGENT_STEP, &word, sizeof(word));
    memcpy(mailbox(g) + AGENT_ARG, args, sizeof(args));
    memcpy(mailbox(g) + AGENT_RESULT, none, sizeof(none));
    g->v->run->hypercall.ret = 0;
    return run(g);
}

uint64_t agent_result(const struct snp_guest *g, unsigned n)
{
    return snp_mbox(g, AGENT_RESULT + 8 * n);
}

bool agent_vc(const struct snp_guest *g, uint64_t error)
{
    return snp_exceptions(g) == 1 && snp_vector(g) == 29 && snp_mbox(g, SNP_ERROR) == error;
}

void agent_validate(struct snp_guest *g, uint64_t gpa)
{
    ASSERT_EQ(agent_step(g, AGENT_PVALIDATE, gpa, 0, 1), AGENT_OK);
    EXPECT_EQ(agent_result(g, 0), 0);
    EXPECT_EQ(agent_result(g, 1), 0); /* it was not validated before */
    EXPECT_EQ(snp_exceptions(g), 0);
}

void agent_store(struct snp_guest *g, uint64_t gpa, uint64_t value)
{
    ASSERT_EQ(agent_step(g, AGENT_STORE, gpa, value, 0), AGENT_OK);
    EXPECT_EQ(snp_exceptions(g), 0);
}

uint64_t agent_load(struct snp_guest *g, uint64_t gpa)
{
    ASSERT_EQ(agent_step(g, AGENT_LOAD, gpa, 0, 0), AGENT_OK);
    EXPECT_EQ(snp_exceptions(g), 0);
    return agent_result(g, 0);
}

/* ---- The GHCB ---- */

uint8_t *ghcb_at(const struct snp_guest *g, uint64_t gpa)
{
    return g->vm->mem + gpa;
}

void ghcb_begin(const struct snp_guest *g)
{
    uint16_t version = 2;

    memset(ghcb_at(g, AGENT_GHCB), 0, PAGE);
    memcpy(ghcb_at(g, AGENT_GHCB) + GHCB_VERSION, &version, sizeof(version));
}

void ghcb_set(const struct snp_guest *g, unsigned field, uint64_t value)
{
    uint8_t *page = ghcb_at(g, AGENT_GHCB);

    memcpy(page + field, &value, field == GHCB_CPL ? 1 : 8);
    page[GHCB_BITMAP + field / 64] |= (uint8_t)(1 << field / 8 % 8);
}

uint64_t ghcb_get(const struct snp_guest *g, unsigned field)
{
    uint64_t value;

    memcpy(&value, ghcb_at(g, AGENT_GHCB) + field, sizeof(value));
    return value;
}

bool ghcb_answered(const struct snp_guest *g, unsigned field)
{
    return ghcb_at(g, AGENT_GHCB)[GHCB_BITMAP + field / 64] >> field / 8 % 8 & 1;
}

int ghcb_ask(struct snp_guest *g, uint64_t code, uint64_t info1, uint64_t info2)
{
    ghcb_set(g, GHCB_CODE, code);
    ghcb_set(g, GHCB_INFO1, info1);
    ghcb_set(g, GHCB_INFO2, info2);
    return agent_step(g, AGENT_VMGEXIT, AGENT_GHCB, 0, 0);
}

void ghcb_register(struct snp_guest *g, uint64_t gpa)
{
    ASSERT_EQ(agent_step(g, AGENT_VMGEXIT, gpa | REGISTER, 0, 0), AGENT_OK);
    ASSERT_EQ(agent_result(g, 0), gpa | 0x013);
}

/* ---- Checks ---- */

void agent_expect_alive(struct snp_guest *g)
{
    EXPECT_EQ(agent_step(g, AGENT_LOAD, GUEST_GDT + SEL_CODE64, 0, 0), AGENT_OK);
    EXPECT_EQ(agent_result(g, 0), 0x00af9b000000ffffull);
    EXPECT_EQ(snp_exceptions(g), 0);
}

void agent_expect_ended(struct snp_guest *g, int r, uint64_t request)
{
    const struct kvm_run *run = g->v->run;

    EXPECT_EQ(r, KVM_EXIT_SYSTEM_EVENT);
    if (r != KVM_EXIT_SYSTEM_EVENT)
        return;
    EXPECT_EQ(run->system_event.type, KVM_SYSTEM_EVENT_SEV_TERM);
    EXPECT_EQ(run->system_event.ndata, 1);
    EXPECT_EQ(run->system_event.data[0], request);
}

void platform_state(char state[4096])
{
    FILE *file = fopen(STATE, "r");
    size_t n;

    ASSERT(file);
    n = fread(state, 1, 4095, file);
    state[n] = 0;
    fclose(file);
}

void platform_expect(const char *state)
{
    char now[4096];

    for (int i = 0; i < PATIENCE; i++) {
        platform_state(now);
        if (!strcmp(now, state))
            return;
        usleep(100000);
    }
    lab_fail(__FILE__, __LINE__, "what exists is not what it was");
    for (char *line = strtok(now, "\n"); line; line = strtok(NULL, "\n"))
        printf("# now %s\n", line);
}
