// SPDX-License-Identifier: Apache-2.0
/*
 * Launches: the digest against the one that libbawn-attest predicts, every command in every
 * wrong state, policies, ASIDs, and the pages that firmware fills.
 */
#include "tests/unit/firmware/rig.h"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <bawn/measure_launch.h>

/* ---- The digest ---- */

/* Reproducible and different in each bit that matters. */
static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void launch_digest(struct rig *rig, unsigned gctx, uint8_t digest[48])
{
    struct bawn_snp_report report;
    struct driver d;

    driver_create(&d, rig, gctx, 0);
    assert_int_equal(driver_report(&d, 0, &report), BAWN_PSP_SUCCESS);
    memcpy(digest, report.measurement, 48);
}

#define LOADS 24

static void one_sequence(struct rig *rig, uint32_t seed)
{
    static const enum bawn_snp_page types[] = { BAWN_SNP_NORMAL, BAWN_SNP_VMSA, BAWN_SNP_ZERO,
                                                BAWN_SNP_UNMEASURED };
    uint8_t predicted[48], measured[48];
    struct bawn_snp_load loads[LOADS];
    struct bawn_error err = { "" };

    assert_int_equal(gctx_create(rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(rig, GCTX, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(rig, GCTX, 1), BAWN_PSP_SUCCESS);
    for (unsigned i = 0; i < LOADS; i++) {
        unsigned n = 10 + i;
        struct bawn_snp_load *load = &loads[i];

        *load = (struct bawn_snp_load){ .type = types[draw(&seed) % COUNT(types)],
                                        .gpa = (uint64_t)draw(&seed) << 12,
                                        .size = 4096 };
        if (i == LOADS - 1) /* so that the guest can be asked */
            load->type = BAWN_SNP_SECRETS;
        for (unsigned k = 0; k < 4096; k++)
            bytes(rig, n)[k] = (uint8_t)draw(&seed);
        if (load->type == BAWN_SNP_NORMAL || load->type == BAWN_SNP_VMSA)
            load->data = (struct bawn_bytes){ bytes(rig, n), 4096 };
        if (load->type == BAWN_SNP_VMSA)
            load->gpa = 0;
        assert_int_equal(launch_update(rig, GCTX, load->type, n,
                                       load->type == BAWN_SNP_VMSA ? BAWN_PSP_VMSA_GPA : load->gpa),
                         BAWN_PSP_SUCCESS);
    }
    memcpy(bytes(rig, SECRETS), bytes(rig, 10 + LOADS - 1), 4096);
    assert_int_equal(launch_finish(rig, GCTX), BAWN_PSP_SUCCESS);
    launch_digest(rig, GCTX, measured);
    assert_int_equal(bawn_snp_digest(NULL, loads, LOADS, predicted, &err), BAWN_OK);
    assert_memory_equal(measured, predicted, 48);
    assert_int_equal(decommission(rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(rig, BAWN_PSP_SNP_DF_FLUSH, NULL, 0), BAWN_PSP_SUCCESS);
}

static void digest_is_the_predicted_one(void **state)
{
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    for (uint32_t seed = 1; seed <= 6; seed++)
        one_sequence(&rig, seed);
    rig_destroy(&rig);
}

/* A 2 MiB page counts as its 512 pages. */
static void large_page_digest(void **state)
{
    struct bawn_psp_launch_update in = {
        .gctx_paddr = page(GCTX),
        .page = BAWN_PSP_PAGE_LARGE | BAWN_PSP_PAGE_NORMAL << BAWN_PSP_PAGE_TYPE_SHIFT,
        .page_paddr = page(512),
    };
    struct bawn_snp_load loads[2] = {
        { .type = BAWN_SNP_NORMAL, .gpa = 0x200000, .size = 0x200000 },
        { .type = BAWN_SNP_SECRETS, .gpa = 0x21000, .size = 4096 },
    };
    uint8_t predicted[48], measured[48];
    struct bawn_error err = { "" };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    assert_int_equal(gctx_create(&rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(&rig, GCTX, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, GCTX, 1), BAWN_PSP_SUCCESS);
    for (unsigned i = 0; i < 512; i++) {
        rig.gpa[512 + i] = 0x200000 + i * 4096ull;
        memset(bytes(&rig, 512 + i), (int)i, 4096);
    }
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_UPDATE, &in, sizeof(in)),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(launch_update(&rig, GCTX, BAWN_PSP_PAGE_SECRETS, SECRETS, 0x21000),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(launch_finish(&rig, GCTX), BAWN_PSP_SUCCESS);
    launch_digest(&rig, GCTX, measured);
    loads[0].data = (struct bawn_bytes){ bytes(&rig, 512), 0x200000 };
    assert_int_equal(bawn_snp_digest(NULL, loads, 2, predicted, &err), BAWN_OK);
    assert_memory_equal(measured, predicted, 48);

    /* 2 MiB of zeros come back as zeros. */
    assert_int_equal(gctx_create(&rig, SCRATCH), BAWN_PSP_SUCCESS);
    in.gctx_paddr = page(SCRATCH);
    assert_int_equal(launch_start(&rig, SCRATCH, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, SCRATCH, 2), BAWN_PSP_SUCCESS);
    in.page = BAWN_PSP_PAGE_LARGE | BAWN_PSP_PAGE_ZERO << BAWN_PSP_PAGE_TYPE_SHIFT;
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_UPDATE, &in, sizeof(in)),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(rig.pages_changed, 512);
    for (unsigned i = 0; i < 512; i++)
        for (unsigned k = 0; k < 4096; k += 8)
            assert_int_equal(bytes(&rig, 512 + i)[k], 0);
    /* Only pages that have no structure may be that large. */
    for (uint32_t type = 0; type < 8; type++) {
        in.page = BAWN_PSP_PAGE_LARGE | type << BAWN_PSP_PAGE_TYPE_SHIFT;
        if (type == BAWN_PSP_PAGE_VMSA || type == BAWN_PSP_PAGE_SECRETS ||
            type == BAWN_PSP_PAGE_CPUID)
            assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_UPDATE, &in, sizeof(in)),
                             BAWN_PSP_INVALID_PAGE_SIZE);
    }
    rig_destroy(&rig);
}

/* Each field of PAGE_INFO that the host chooses is in the digest. */
static void digest_has_every_field(void **state)
{
    struct bawn_psp_launch_update in[] = {
        { .page = BAWN_PSP_PAGE_NORMAL << 1 },
        { .page = BAWN_PSP_PAGE_NORMAL << 1, .vmpl1_perms = 1 },
        { .page = BAWN_PSP_PAGE_NORMAL << 1, .vmpl2_perms = 1 },
        { .page = BAWN_PSP_PAGE_NORMAL << 1, .vmpl3_perms = 1 },
        { .page = BAWN_PSP_PAGE_VMSA << 1 },
        { .page = BAWN_PSP_PAGE_UNMEASURED << 1 },
        { .page = BAWN_PSP_PAGE_CPUID << 1 },
    };
    uint8_t digest[COUNT(in)][48];
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    for (unsigned i = 0; i < COUNT(in); i++) {
        unsigned gctx = 100 + i;

        assert_int_equal(gctx_create(&rig, gctx), BAWN_PSP_SUCCESS);
        assert_int_equal(launch_start(&rig, gctx, POLICY), BAWN_PSP_SUCCESS);
        assert_int_equal(activate(&rig, gctx, i + 1), BAWN_PSP_SUCCESS);
        in[i].gctx_paddr = page(gctx);
        in[i].page_paddr = page(200);
        assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_UPDATE, &in[i], sizeof(in[i])),
                         BAWN_PSP_SUCCESS);
        assert_int_equal(launch_update(&rig, gctx, BAWN_PSP_PAGE_SECRETS, SECRETS, 0),
                         BAWN_PSP_SUCCESS);
        assert_int_equal(launch_finish(&rig, gctx), BAWN_PSP_SUCCESS);
        launch_digest(&rig, gctx, digest[i]);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(digest[i], digest[k], 48);
    }
    rig_destroy(&rig);
}

/* ---- States ---- */

/* A guest in each state, in an initialised platform: 0 none, 1 INIT, 2 LAUNCH without an ASID,
 * 3 LAUNCH, 4 RUNNING. */
enum { NO_GUEST, CREATED, INACTIVE, LAUNCHING, RUNNING, STATES };

static void make_guest(struct rig *rig, unsigned state)
{
    if (state >= CREATED)
        assert_int_equal(gctx_create(rig, GCTX), BAWN_PSP_SUCCESS);
    if (state >= INACTIVE)
        assert_int_equal(launch_start(rig, GCTX, POLICY), BAWN_PSP_SUCCESS);
    if (state >= LAUNCHING)
        assert_int_equal(activate(rig, GCTX, 1), BAWN_PSP_SUCCESS);
    if (state >= LAUNCHING)
        assert_int_equal(launch_update(rig, GCTX, BAWN_PSP_PAGE_SECRETS, SECRETS, 0),
                         BAWN_PSP_SUCCESS);
    if (state >= RUNNING)
        assert_int_equal(launch_finish(rig, GCTX), BAWN_PSP_SUCCESS);
}

static uint32_t do_start(struct rig *rig)
{
    return launch_start(rig, GCTX, POLICY);
}

static uint32_t do_activate(struct rig *rig)
{
    return activate(rig, GCTX, 2);
}

static uint32_t do_update(struct rig *rig)
{
    return launch_update(rig, GCTX, BAWN_PSP_PAGE_ZERO, SCRATCH, 0x1000);
}

static uint32_t do_finish(struct rig *rig)
{
    return launch_finish(rig, GCTX);
}

static uint32_t do_request(struct rig *rig)
{
    struct bawn_psp_report_req in = { .vmpl = 0 };
    struct driver d;

    driver_create(&d, rig, GCTX, 0);
    driver_seal(&d, BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in));
    return driver_send(&d);
}

static uint32_t do_status(struct rig *rig)
{
    return guest_state(rig, GCTX) == UINT32_MAX ? BAWN_PSP_INVALID_GUEST : BAWN_PSP_SUCCESS;
}

static uint32_t do_create(struct rig *rig)
{
    return gctx_create(rig, GCTX);
}

static uint32_t do_decommission(struct rig *rig)
{
    return decommission(rig, GCTX);
}

static void every_command_in_every_state(void **state)
{
    enum {
        OK = BAWN_PSP_SUCCESS,
        GUEST = BAWN_PSP_INVALID_GUEST,
        STATE = BAWN_PSP_INVALID_GUEST_STATE,
    };
    static const struct {
        uint32_t (*run)(struct rig *rig);
        uint32_t expected[STATES];
    } commands[] = {
        { do_create,
          { OK, BAWN_PSP_INVALID_PAGE_STATE, BAWN_PSP_INVALID_PAGE_STATE,
            BAWN_PSP_INVALID_PAGE_STATE, BAWN_PSP_INVALID_PAGE_STATE } },
        { do_start, { GUEST, OK, STATE, STATE, STATE } },
        { do_activate, { GUEST, STATE, OK, BAWN_PSP_ACTIVE, BAWN_PSP_ACTIVE } },
        { do_update, { GUEST, STATE, BAWN_PSP_INACTIVE, OK, STATE } },
        { do_finish, { GUEST, STATE, OK, OK, STATE } },
        { do_request, { GUEST, STATE, STATE, STATE, OK } },
        { do_status, { GUEST, OK, OK, OK, OK } },
        { do_decommission, { GUEST, OK, OK, OK, OK } },
    };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_GENOA, NULL);
    for (unsigned i = 0; i < COUNT(commands); i++) {
        for (unsigned s = 0; s < STATES; s++) {
            rig_init(&rig);
            make_guest(&rig, s);
            if (commands[i].run(&rig) != commands[i].expected[s])
                fail_msg("command %u in state %u", i, s);
        }
        /* Before INIT nothing of a guest is to be had. */
        assert_int_equal(rig_hello(&rig, BAWN_PLATFORM_HELLO_RESET, NULL, 0), OK);
        if (commands[i].run != do_status)
            assert_int_equal(commands[i].run(&rig), BAWN_PSP_INVALID_PLATFORM_STATE);
    }
    rig_destroy(&rig);
}

static void platform_states(void **state)
{
    static const uint32_t plain[] = { BAWN_PSP_SNP_DF_FLUSH };
    const struct bawn_psp_shutdown_ex down = { .length = sizeof(down) };
    const struct bawn_psp_init_ex init = { .flags = BAWN_PSP_INIT_EX_INIT_RMP };
    const struct bawn_psp_commit commit = { sizeof(commit) };
    const struct bawn_psp_config config = { .flags = 0 };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    assert_int_equal(rig_hello(&rig, BAWN_PLATFORM_HELLO_RESET, NULL, 0), BAWN_PSP_SUCCESS);
    for (unsigned i = 0; i < COUNT(plain); i++)
        assert_int_equal(rig_command(&rig, plain[i], NULL, 0), BAWN_PSP_INVALID_PLATFORM_STATE);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_COMMIT, &commit, sizeof(commit)),
                     BAWN_PSP_INVALID_PLATFORM_STATE);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_CONFIG, &config, sizeof(config)),
                     BAWN_PSP_INVALID_PLATFORM_STATE);
    assert_int_equal(guest_count(&rig), 0);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_SHUTDOWN, NULL, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_INIT, NULL, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_INIT, NULL, 0),
                     BAWN_PSP_INVALID_PLATFORM_STATE);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_INIT_EX, &init, sizeof(init)),
                     BAWN_PSP_INVALID_PLATFORM_STATE);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_COMMIT, &commit, sizeof(commit)),
                     BAWN_PSP_SUCCESS);
    /* A guest keeps the platform up, and its ASID wants a flush. */
    rig_launch(&rig, GCTX, 1);
    assert_int_equal(guest_count(&rig), 1);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_SHUTDOWN_EX, &down, sizeof(down)),
                     BAWN_PSP_ACTIVE);
    assert_int_equal(decommission(&rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(guest_count(&rig), 0);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_SHUTDOWN_EX, &down, sizeof(down)),
                     BAWN_PSP_DFFLUSH_REQUIRED);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_DF_FLUSH, NULL, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_SHUTDOWN_EX, &down, sizeof(down)),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&rig, 0x99, NULL, 0), BAWN_PSP_INVALID_COMMAND);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_INIT, NULL, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&rig, 0xb0, NULL, 0), BAWN_PSP_INVALID_COMMAND);
    rig_destroy(&rig);
}

static void asids(void **state)
{
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(gctx_create(&rig, 100 + i), BAWN_PSP_SUCCESS);
        assert_int_equal(launch_start(&rig, 100 + i, POLICY), BAWN_PSP_SUCCESS);
    }
    assert_int_equal(activate(&rig, 100, 0), BAWN_PSP_INVALID_ASID);
    assert_int_equal(activate(&rig, 100, 17), BAWN_PSP_INVALID_ASID); /* HELLO said 16 */
    assert_int_equal(activate(&rig, 100, UINT32_MAX), BAWN_PSP_INVALID_ASID);
    assert_int_equal(activate(&rig, 100, 16), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, 101, 16), BAWN_PSP_ASID_OWNED);
    assert_int_equal(decommission(&rig, 100), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, 101, 16), BAWN_PSP_DFFLUSH_REQUIRED);
    assert_int_equal(activate(&rig, 102, 15), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_DF_FLUSH, NULL, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, 101, 16), BAWN_PSP_SUCCESS);
    /* As many contexts as there can be. */
    for (uint64_t i = 2; i < BAWN_PLATFORM_CONTEXTS_MAX; i++) {
        const struct bawn_psp_addr in = { 0x900000000ull + (i << 12) };

        assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_GCTX_CREATE, &in, sizeof(in)),
                         BAWN_PSP_SUCCESS);
    }
    assert_int_equal(gctx_create(&rig, 103), BAWN_PSP_RESOURCE_LIMIT);
    rig_destroy(&rig);
}

/* ---- Policy ---- */

static void policies(void **state)
{
    static const struct {
        uint64_t policy;
        bool smt;
        uint32_t expected;
    } cases[] = {
        { POLICY, true, BAWN_PSP_SUCCESS },
        { POLICY | 1 << 8 | 58, true, BAWN_PSP_SUCCESS },
        { POLICY | 1 << 8 | 59, true, BAWN_PSP_POLICY_FAILURE },
        { POLICY | 2 << 8, true, BAWN_PSP_POLICY_FAILURE },
        { POLICY | 255, true, BAWN_PSP_SUCCESS }, /* 0.255 is before 1.0 */
        { BAWN_SNP_POLICY_ONE, true, BAWN_PSP_POLICY_FAILURE },
        { BAWN_SNP_POLICY_ONE, false, BAWN_PSP_SUCCESS },
        { BAWN_SNP_POLICY_SMT, true, BAWN_PSP_INVALID_PARAM },
        { POLICY | BAWN_SNP_POLICY_DEBUG, true, BAWN_PSP_SUCCESS },
        { POLICY | BAWN_SNP_POLICY_SINGLE_SOCKET, true, BAWN_PSP_SUCCESS },
        { POLICY | BAWN_SNP_POLICY_MIGRATE_MA, true, BAWN_PSP_SUCCESS },
        { POLICY | BAWN_SNP_POLICY_CXL_ALLOW, true, BAWN_PSP_SUCCESS },
        { POLICY | BAWN_SNP_POLICY_MEM_AES_256_XTS, true, BAWN_PSP_POLICY_FAILURE },
        { POLICY | BAWN_SNP_POLICY_RAPL_DIS, true, BAWN_PSP_POLICY_FAILURE },
        { POLICY | BAWN_SNP_POLICY_CIPHERTEXT_HIDING_DRAM, true, BAWN_PSP_POLICY_FAILURE },
        { POLICY | BAWN_SNP_POLICY_PAGE_SWAP_DISABLE, true, BAWN_PSP_SUCCESS },
        { POLICY | 1ull << 26, true, BAWN_PSP_INVALID_PARAM },
        { POLICY | 1ull << 63, true, BAWN_PSP_INVALID_PARAM },
    };
    struct rig rigs[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        rig_create(&rigs[i], PSP_MILAN, &(struct psp_config){ .smt_disabled = !i });
        rig_init(&rigs[i]);
    }
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct rig *rig = &rigs[cases[i].smt];

        assert_int_equal(gctx_create(rig, GCTX), BAWN_PSP_SUCCESS);
        if (launch_start(rig, GCTX, cases[i].policy) != cases[i].expected)
            fail_msg("policy %u", i);
        /* What was refused can be tried again. */
        if (cases[i].expected != BAWN_PSP_SUCCESS)
            assert_int_equal(launch_start(rig, GCTX, POLICY), BAWN_PSP_SUCCESS);
        assert_int_equal(decommission(rig, GCTX), BAWN_PSP_SUCCESS);
    }
    rig_destroy(&rigs[0]);
    rig_destroy(&rigs[1]);
}

static void no_migration(void **state)
{
    struct bawn_psp_launch_start in = { .gctx_paddr = page(GCTX), .policy = POLICY };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    assert_int_equal(gctx_create(&rig, GCTX), BAWN_PSP_SUCCESS);
    in.flags = BAWN_PSP_LAUNCH_MA_EN;
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_START, &in, sizeof(in)),
                     BAWN_PSP_POLICY_FAILURE);
    in.policy |= BAWN_SNP_POLICY_MIGRATE_MA;
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_START, &in, sizeof(in)),
                     BAWN_PSP_UNSUPPORTED);
    in.flags = BAWN_PSP_LAUNCH_IMI_EN;
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_START, &in, sizeof(in)),
                     BAWN_PSP_UNSUPPORTED);
    in.flags = 1u << 2;
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_START, &in, sizeof(in)),
                     BAWN_PSP_INVALID_PARAM);
    rig_destroy(&rig);
}

/* ---- Pages that firmware fills ---- */

static void secrets_page(void **state)
{
    struct bawn_psp_secrets s[2];
    const uint8_t *p = (const uint8_t *)&s[0];
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    for (unsigned i = 0; i < 2; i++) {
        memset(bytes(&rig, SECRETS), 0xff, 4096);
        rig_launch(&rig, 100 + i, i + 1);
        memcpy(&s[i], bytes(&rig, SECRETS), 4096);
    }
    assert_int_equal(s[0].version, 3);
    assert_int_equal(s[0].flags, 0);
    assert_int_equal(s[0].fms, 0x00a00f11);
    assert_memory_equal(s[0].gosvw, "\1\2\3\0", 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_memory_not_equal(s[0].vmpck[i], s[1].vmpck[i], 32);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(s[0].vmpck[i], s[0].vmpck[k], 32);
    }
    for (unsigned i = 0xa0; i < 4096; i++)
        assert_int_equal(p[i], 0);
    rig_destroy(&rig);
}

static void zero_and_unmeasured_pages(void **state)
{
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    make_guest(&rig, LAUNCHING);
    memset(bytes(&rig, SCRATCH), 0xab, 4096);
    assert_int_equal(launch_update(&rig, GCTX, BAWN_PSP_PAGE_UNMEASURED, SCRATCH, 0),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(rig.pages_changed, 0);
    assert_int_equal(bytes(&rig, SCRATCH)[4095], 0xab);
    assert_int_equal(launch_update(&rig, GCTX, BAWN_PSP_PAGE_NORMAL, SCRATCH, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(rig.pages_changed, 0);
    assert_int_equal(launch_update(&rig, GCTX, BAWN_PSP_PAGE_ZERO, SCRATCH, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(rig.pages_changed, 1);
    for (unsigned i = 0; i < 4096; i++)
        assert_int_equal(bytes(&rig, SCRATCH)[i], 0);
    rig_destroy(&rig);
}

static const struct bawn_psp_cpuid_function offer[] = {
    { .eax_in = 0, .eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65 },
    { .eax_in = 1, .eax = 0xa00f11, .ecx = 0x7e9a3203, .edx = 0x178bfbff },
    { .eax_in = 7, .ecx_in = 0, .ebx = 0x219c91a9 },
    { .eax_in = 0xd, .ecx_in = 0, .eax = 7, .ecx = 0x340 },
    { .eax_in = 0xd, .ecx_in = 1, .eax = 0xf },
};

static uint32_t cpuid_page(struct rig *rig, const struct bawn_psp_cpuid_page *in)
{
    memcpy(bytes(rig, SCRATCH), in, sizeof(*in));
    return launch_update(rig, GCTX, BAWN_PSP_PAGE_CPUID, SCRATCH, 0x22000);
}

static void cpuid(void **state)
{
    const struct psp_config config = { .offer = offer, .nr_offer = COUNT(offer) };
    struct bawn_psp_cpuid_page good = { .count = COUNT(offer) + 2 }, bad, out;
    static const struct {
        unsigned function, reg; /* eax, ebx, ecx, edx */
        uint32_t set, corrected;
    } cases[] = {
        { 0, 0, 0x20, 0x10 },                          /* highest leaf */
        { 0, 1, 0x756e6547, 0x68747541 },              /* another vendor */
        { 1, 2, 0xffffffff, 0x7e9a3203 | 0x89200000 }, /* features; a hypervisor's own stay */
        { 2, 1, 0x219c91aa, 0x219c91a8 },
        { 3, 0, 0xe7, 7 }, /* XCR0 */
        { 4, 0, 0x1f, 0xf },
        { 5, 0, 0, 0x1a }, /* leaf 0x8000001f must show SEV-SNP */
        { 5, 1, 51, 47 },  /* and the C-bit where it is */
        { 5, 0, 0x4001a, 0x1a },
    };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, &config);
    rig_init(&rig);
    make_guest(&rig, LAUNCHING);
    memcpy(good.function, offer, sizeof(offer));
    good.function[1].ecx |= 1u << 31; /* hypervisor */
    good.function[5] =
        (struct bawn_psp_cpuid_function){ .eax_in = 0x8000001f, .eax = 0x1a, .ebx = 47 };
    good.function[6] = (struct bawn_psp_cpuid_function){ .eax_in = 0x80000008, .eax = 0x3030 };
    assert_int_equal(cpuid_page(&rig, &good), BAWN_PSP_SUCCESS);
    assert_memory_equal(bytes(&rig, SCRATCH), &good, sizeof(good));
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct bawn_psp_cpuid_function *f = &bad.function[cases[i].function];
        uint32_t reg[4];

        bad = good;
        memcpy(reg, &f->eax, sizeof(reg));
        reg[cases[i].reg] = cases[i].set;
        memcpy((uint8_t *)f + offsetof(struct bawn_psp_cpuid_function, eax), reg, sizeof(reg));
        assert_int_equal(cpuid_page(&rig, &bad), BAWN_PSP_INVALID_PARAM);
        memcpy(&out, bytes(&rig, SCRATCH), sizeof(out));
        memcpy(reg,
               (uint8_t *)&out.function[cases[i].function] +
                   offsetof(struct bawn_psp_cpuid_function, eax),
               sizeof(reg));
        if (reg[cases[i].reg] != cases[i].corrected)
            fail_msg("case %u: 0x%x", i, reg[cases[i].reg]);
        /* What was corrected is taken. */
        assert_int_equal(cpuid_page(&rig, &out), BAWN_PSP_SUCCESS);
    }
    bad = good;
    bad.count = 65;
    assert_int_equal(cpuid_page(&rig, &bad), BAWN_PSP_INVALID_PARAM);
    bad.count = UINT32_MAX;
    assert_int_equal(cpuid_page(&rig, &bad), BAWN_PSP_INVALID_PARAM);
    bad = good;
    bad.reserved_04 = 1;
    assert_int_equal(cpuid_page(&rig, &bad), BAWN_PSP_INVALID_PARAM);
    bad = good;
    bad.function[0].reserved = 1;
    assert_int_equal(cpuid_page(&rig, &bad), BAWN_PSP_INVALID_PARAM);
    bad = good;
    bad.rest[1007] = 1;
    assert_int_equal(cpuid_page(&rig, &bad), BAWN_PSP_SUCCESS);
    assert_int_equal(bytes(&rig, SCRATCH)[4095], 0);
    rig_destroy(&rig);
}

/* ---- The ID block ---- */

static struct bawn_bytes new_pem(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-384");
    BIO *bio = BIO_new(BIO_s_mem());
    uint8_t *copy;
    char *data;
    long len;

    assert_true(key && bio);
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(bio, &data);
    copy = malloc((size_t)len);
    assert_non_null(copy);
    memcpy(copy, data, (size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return (struct bawn_bytes){ copy, (size_t)len };
}

/* The ID block lies in the middle of a page, as a kernel's allocator may have it. */
#define BLOCK 300u
#define AUTH 301u
#define BLOCK_OFFSET 0x340u

static uint32_t finish_with(struct rig *rig, const struct bawn_snp_id_signed *id, uint64_t flags)
{
    struct bawn_psp_launch_finish in = {
        .gctx_paddr = page(GCTX),
        .id_block_paddr = page(BLOCK) + BLOCK_OFFSET,
        .id_auth_paddr = page(AUTH),
        .flags = flags,
    };

    memcpy(bytes(rig, BLOCK) + BLOCK_OFFSET, id->block, sizeof(id->block));
    memcpy(bytes(rig, AUTH), id->auth, sizeof(id->auth));
    return rig_command(rig, BAWN_PSP_SNP_LAUNCH_FINISH, &in, sizeof(in));
}

static void sign(const struct bawn_snp_id *id, struct bawn_bytes key, struct bawn_bytes author,
                 struct bawn_snp_id_signed *out)
{
    struct bawn_error err = { "" };

    assert_int_equal(bawn_snp_id_sign(id, key, author, out, &err), BAWN_OK);
}

static void id_block(void **state)
{
    const uint64_t id_only = BAWN_PSP_FINISH_ID_BLOCK_EN;
    const uint64_t both = id_only | BAWN_PSP_FINISH_AUTH_KEY_EN;
    struct bawn_bytes key = new_pem(), author = new_pem();
    const struct bawn_snp_load load = { .type = BAWN_SNP_SECRETS, .gpa = 0, .size = 4096 };
    struct bawn_snp_id id = {
        .guest_svn = 7, .policy = POLICY, .family_id = "family", .image_id = "image"
    };
    struct bawn_snp_id_signed good, bad;
    struct bawn_snp_report report;
    struct bawn_error err = { "" };
    struct driver d;
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    make_guest(&rig, LAUNCHING);
    assert_int_equal(bawn_snp_digest(NULL, &load, 1, id.launch_digest, &err), BAWN_OK);
    sign(&id, key, author, &good);

    /* Every byte counts: of the block, of the authentication (a sample), of its reserved parts. */
    for (unsigned i = 0; i < sizeof(good.block); i++) {
        bad = good;
        bad.block[i] ^= 1;
        assert_int_not_equal(finish_with(&rig, &bad, both), BAWN_PSP_SUCCESS);
    }
    for (unsigned i = 0; i < sizeof(good.auth); i += 23) {
        bad = good;
        bad.auth[i] ^= 1;
        assert_int_not_equal(finish_with(&rig, &bad, both), BAWN_PSP_SUCCESS);
    }
    bad = good;
    bad.block[0x50] = 2; /* version */
    assert_int_equal(finish_with(&rig, &bad, both), BAWN_PSP_INVALID_PARAM);
    bad = good;
    bad.auth[0] = 2; /* algorithm */
    assert_int_equal(finish_with(&rig, &bad, both), BAWN_PSP_INVALID_PARAM);
    bad = good;
    bad.auth[0x40] ^= 1; /* r of the block's signature */
    assert_int_equal(finish_with(&rig, &bad, both), BAWN_PSP_BAD_SIGNATURE);
    bad = good;
    bad.auth[0x680] ^= 1; /* r of the author's signature */
    assert_int_equal(finish_with(&rig, &bad, both), BAWN_PSP_BAD_SIGNATURE);
    memset(bad.auth + 0x244, 0, 144); /* a key that is no point */
    assert_int_equal(finish_with(&rig, &bad, both), BAWN_PSP_BAD_SIGNATURE);
    id.launch_digest[0] ^= 1;
    sign(&id, key, author, &bad);
    assert_int_equal(finish_with(&rig, &bad, both), BAWN_PSP_BAD_MEASUREMENT);
    id.launch_digest[0] ^= 1;
    id.policy |= BAWN_SNP_POLICY_DEBUG;
    sign(&id, key, author, &bad);
    assert_int_equal(finish_with(&rig, &bad, both), BAWN_PSP_POLICY_FAILURE);
    assert_int_equal(finish_with(&rig, &good, BAWN_PSP_FINISH_AUTH_KEY_EN), BAWN_PSP_INVALID_PARAM);
    assert_int_equal(finish_with(&rig, &good, both | 8), BAWN_PSP_INVALID_PARAM);
    assert_int_equal(guest_state(&rig, GCTX), BAWN_PSP_GUEST_LAUNCH);

    assert_int_equal(finish_with(&rig, &good, both), BAWN_PSP_SUCCESS);
    driver_create(&d, &rig, GCTX, 0);
    assert_int_equal(driver_report(&d, 0, &report), BAWN_PSP_SUCCESS);
    assert_memory_equal(report.id_key_digest, good.id_key_digest, 48);
    assert_memory_equal(report.author_key_digest, good.author_key_digest, 48);
    assert_memory_equal(report.family_id, "family", 7);
    assert_memory_equal(report.image_id, "image", 6);
    assert_int_equal(report.guest_svn, 7);
    assert_int_equal(report.key_info & BAWN_SNP_KEY_AUTHOR_KEY_EN, 1);

    /* Without an author; what stands in the author's place is not looked at. */
    assert_int_equal(decommission(&rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_DF_FLUSH, NULL, 0), BAWN_PSP_SUCCESS);
    make_guest(&rig, LAUNCHING);
    good.auth[0x680] ^= 1;
    assert_int_equal(finish_with(&rig, &good, id_only), BAWN_PSP_SUCCESS);
    driver_create(&d, &rig, GCTX, 0);
    assert_int_equal(driver_report(&d, 0, &report), BAWN_PSP_SUCCESS);
    assert_memory_equal(report.id_key_digest, good.id_key_digest, 48);
    assert_int_equal(report.author_key_digest[0] | report.author_key_digest[47], 0);
    assert_int_equal(report.key_info & BAWN_SNP_KEY_AUTHOR_KEY_EN, 0);
    free((void *)(uintptr_t)key.data);
    free((void *)(uintptr_t)author.data);
    rig_destroy(&rig);
}

/* A structure that runs over its page's end is not read. */
static void id_block_across_pages(void **state)
{
    struct bawn_psp_launch_finish in = {
        .gctx_paddr = page(GCTX),
        .id_block_paddr = page(BLOCK) + 4096 - 95,
        .id_auth_paddr = page(AUTH),
        .flags = BAWN_PSP_FINISH_ID_BLOCK_EN,
    };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    make_guest(&rig, LAUNCHING);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_FINISH, &in, sizeof(in)),
                     BAWN_PSP_INVALID_ADDRESS);
    in.id_block_paddr = page(BLOCK);
    in.id_auth_paddr = page(AUTH) + 8;
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_FINISH, &in, sizeof(in)),
                     BAWN_PSP_INVALID_ADDRESS);
    in.id_auth_paddr = 0;
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_LAUNCH_FINISH, &in, sizeof(in)),
                     BAWN_PSP_INVALID_ADDRESS);
    rig_destroy(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_is_the_predicted_one),
        cmocka_unit_test(large_page_digest),
        cmocka_unit_test(digest_has_every_field),
        cmocka_unit_test(every_command_in_every_state),
        cmocka_unit_test(platform_states),
        cmocka_unit_test(asids),
        cmocka_unit_test(policies),
        cmocka_unit_test(no_migration),
        cmocka_unit_test(secrets_page),
        cmocka_unit_test(zero_and_unmeasured_pages),
        cmocka_unit_test(cpuid),
        cmocka_unit_test(id_block),
        cmocka_unit_test(id_block_across_pages),
    };

    return cmocka_run_group_tests_name("firmware: launch", tests, NULL, NULL);
}
