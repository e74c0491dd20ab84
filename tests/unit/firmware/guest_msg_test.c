// SPDX-License-Identifier: Apache-2.0
/*
 * Guest messages: the form of the header, sequence numbers, tags, and what each request is
 * answered. What is refused leaves the sequence where it was.
 */
#include "tests/unit/firmware/rig.h"

struct fixture {
    struct rig rig;
    struct driver d[4]; /* by VMPCK */
};

static void create(struct fixture *f, const struct psp_config *config)
{
    rig_create(&f->rig, PSP_MILAN, config);
    rig_init(&f->rig);
    rig_launch(&f->rig, GCTX, 1);
    for (uint8_t i = 0; i < 4; i++)
        driver_create(&f->d[i], &f->rig, GCTX, i);
}

static void destroy(struct fixture *f)
{
    rig_destroy(&f->rig);
}

static const struct bawn_psp_msg_header good_header = {
    .seqno = 1,
    .algo = 1,
    .header_version = 1,
    .header_size = 0x60,
    .type = BAWN_PSP_MSG_REPORT_REQ,
    .version = 1,
    .size = sizeof(struct bawn_psp_report_req),
};

/* Each change to a header that is then sealed again, so that only that is wrong. */
static void header_forms(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        uint32_t expected;
    } cases[] = {
        { 0x28, 1, BAWN_PSP_INVALID_PARAM }, /* reserved */
        { 0x2f, 1, BAWN_PSP_INVALID_PARAM },
        { 0x30, 0, BAWN_PSP_INVALID_PARAM }, /* algorithm */
        { 0x30, 2, BAWN_PSP_INVALID_PARAM },
        { 0x31, 0, BAWN_PSP_INVALID_PARAM }, /* header version */
        { 0x31, 2, BAWN_PSP_INVALID_PARAM },
        { 0x32, 0x5f, BAWN_PSP_INVALID_PARAM }, /* header size */
        { 0x33, 1, BAWN_PSP_INVALID_PARAM },
        { 0x34, 0, BAWN_PSP_INVALID_PARAM }, /* type */
        { 0x34, BAWN_PSP_MSG_CPUID_RSP, BAWN_PSP_INVALID_PARAM },
        { 0x34, BAWN_PSP_MSG_REPORT_RSP, BAWN_PSP_INVALID_PARAM },
        { 0x34, 19, BAWN_PSP_INVALID_PARAM },
        { 0x34, 255, BAWN_PSP_INVALID_PARAM },
        { 0x34, BAWN_PSP_MSG_EXPORT_REQ, BAWN_PSP_UNSUPPORTED },
        { 0x34, BAWN_PSP_MSG_IMPORT_REQ, BAWN_PSP_UNSUPPORTED },
        { 0x34, BAWN_PSP_MSG_ABSORB_REQ, BAWN_PSP_UNSUPPORTED },
        { 0x34, BAWN_PSP_MSG_VMRK_REQ, BAWN_PSP_UNSUPPORTED },
        { 0x34, BAWN_PSP_MSG_ABSORB_NOMA_REQ, BAWN_PSP_UNSUPPORTED },
        { 0x35, 0, BAWN_PSP_BAD_VERSION },
        { 0x35, 2, BAWN_PSP_BAD_VERSION },
        { 0x36, 95, BAWN_PSP_INVALID_LENGTH },
        { 0x36, 97, BAWN_PSP_INVALID_LENGTH },
        { 0x37, 0x10, BAWN_PSP_INVALID_LENGTH }, /* 4192 bytes */
        { 0x38, 1, BAWN_PSP_INVALID_PARAM },
        { 0x3c, 4, BAWN_PSP_INVALID_PARAM }, /* VMPCK */
        { 0x3c, 255, BAWN_PSP_INVALID_PARAM },
        { 0x3d, 1, BAWN_PSP_INVALID_PARAM },
        { 0x5f, 1, BAWN_PSP_INVALID_PARAM },
    };
    struct bawn_snp_report report;
    struct fixture f;

    (void)state;
    create(&f, NULL);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct bawn_psp_msg_header h = good_header;

        ((uint8_t *)&h)[cases[i].at] = cases[i].value;
        driver_seal_as(&f.d[0], &h, NULL);
        if (driver_send(&f.d[0]) != cases[i].expected)
            fail_msg("case %u", i);
        /* Nothing but zeros, which say nothing, may be in the answer. */
        for (unsigned k = 0; k < 4096; k++)
            assert_int_equal(bytes(&f.rig, RESPONSE)[k], 0);
    }
    assert_int_equal(driver_report(&f.d[0], 0, &report), BAWN_PSP_SUCCESS);
    destroy(&f);
}

static uint32_t flipped(struct fixture *f, unsigned at, uint8_t bits)
{
    const struct bawn_psp_report_req in = { .vmpl = 0 };

    driver_seal(&f->d[0], BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in));
    bytes(&f->rig, REQUEST)[at] ^= bits;
    return driver_send(&f->d[0]);
}

static void tags(void **state)
{
    struct bawn_snp_report report;
    struct fixture f;

    (void)state;
    create(&f, NULL);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(flipped(&f, i, 0x80), BAWN_PSP_BAD_MEASUREMENT);
    for (unsigned i = 16; i < 32; i++)
        assert_int_equal(flipped(&f, i, 1), BAWN_PSP_INVALID_PARAM);
    for (unsigned i = 0; i < 96; i++)
        assert_int_equal(flipped(&f, 0x60 + i, 1), BAWN_PSP_BAD_MEASUREMENT);
    /* Another guest's key, and another VMPCK of the same guest. */
    f.d[0].key[0] ^= 1;
    assert_int_equal(flipped(&f, 0x200, 0), BAWN_PSP_BAD_MEASUREMENT);
    f.d[0].key[0] ^= 1;
    assert_int_equal(flipped(&f, 0x3c, 1), BAWN_PSP_BAD_MEASUREMENT);
    assert_int_equal(driver_report(&f.d[0], 0, &report), BAWN_PSP_SUCCESS);
    destroy(&f);
}

static uint32_t with_seqno(struct fixture *f, uint64_t seqno)
{
    struct bawn_psp_msg_header h = good_header;

    h.seqno = seqno;
    driver_seal_as(&f->d[0], &h, NULL);
    return driver_send(&f->d[0]);
}

static void sequence(void **state)
{
    const struct bawn_psp_report_req in = { .vmpl = 3 };
    struct bawn_snp_report report;
    uint8_t old[4096];
    struct fixture f;

    (void)state;
    create(&f, NULL);
    assert_int_equal(with_seqno(&f, 0), BAWN_PSP_AEAD_OFLOW);
    assert_int_equal(with_seqno(&f, 2), BAWN_PSP_AEAD_OFLOW);
    assert_int_equal(with_seqno(&f, UINT64_MAX), BAWN_PSP_AEAD_OFLOW);
    driver_seal(&f.d[0], BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in));
    memcpy(old, bytes(&f.rig, REQUEST), sizeof(old));
    assert_int_equal(driver_send(&f.d[0]), BAWN_PSP_SUCCESS);
    /* The same again, at once and later: not a second time. */
    assert_int_equal(driver_send(&f.d[0]), BAWN_PSP_AEAD_OFLOW);
    f.d[0].seqno += 2;
    assert_int_equal(driver_report(&f.d[0], 0, &report), BAWN_PSP_SUCCESS);
    memcpy(bytes(&f.rig, REQUEST), old, sizeof(old));
    assert_int_equal(driver_send(&f.d[0]), BAWN_PSP_AEAD_OFLOW);
    /* Another number written over it does not fit the tag. */
    bytes(&f.rig, REQUEST)[0x20] = (uint8_t)(f.d[0].seqno + 1);
    assert_int_equal(driver_send(&f.d[0]), BAWN_PSP_BAD_MEASUREMENT);
    /* Each key counts by itself. */
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(driver_report(&f.d[i], i, &report), BAWN_PSP_SUCCESS);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(driver_report(&f.d[i], 3, &report), BAWN_PSP_SUCCESS);
    assert_int_equal(f.d[0].seqno, 6);
    assert_int_equal(f.d[3].seqno, 4);
    destroy(&f);
}

static void report_vmpl(void **state)
{
    struct bawn_snp_report report;
    struct fixture f;

    (void)state;
    create(&f, NULL);
    for (unsigned key = 0; key < 4; key++) {
        for (uint32_t vmpl = 0; vmpl < 6; vmpl++) {
            uint32_t expected = vmpl >= key && vmpl < 4 ? BAWN_PSP_SUCCESS : BAWN_PSP_INVALID_PARAM;

            assert_int_equal(driver_report(&f.d[key], vmpl, &report), expected);
            if (expected == BAWN_PSP_SUCCESS)
                assert_int_equal(report.vmpl, vmpl);
        }
        assert_int_equal(driver_report(&f.d[key], UINT32_MAX, &report), BAWN_PSP_INVALID_PARAM);
    }
    destroy(&f);
}

static uint32_t report_with(struct fixture *f, size_t at, uint8_t value)
{
    struct bawn_psp_report_req in = { .vmpl = 0 };
    uint8_t out[BAWN_PSP_MSG_MAX];
    uint32_t status;

    ((uint8_t *)&in)[at] = value;
    driver_ask(&f->d[0], BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in), out);
    memcpy(&status, out, sizeof(status));
    return status;
}

static void report_keys(void **state)
{
    const size_t key_sel = offsetof(struct bawn_psp_report_req, key_sel);
    struct bawn_psp_launch_finish in = { .gctx_paddr = page(GCTX),
                                         .flags = BAWN_PSP_FINISH_VCEK_DIS };
    struct bawn_snp_report report;
    struct fixture f;

    (void)state;
    create(&f, NULL);
    assert_int_equal(report_with(&f, key_sel, BAWN_PSP_KEY_SEL_VCEK), BAWN_PSP_SUCCESS);
    assert_int_equal(report_with(&f, key_sel, BAWN_PSP_KEY_SEL_VLEK), BAWN_PSP_INVALID_KEY);
    assert_int_equal(report_with(&f, key_sel, 3), BAWN_PSP_INVALID_PARAM);
    assert_int_equal(report_with(&f, key_sel, 4), BAWN_PSP_INVALID_PARAM);
    for (size_t at = key_sel + 4; at < sizeof(struct bawn_psp_report_req); at++)
        assert_int_equal(report_with(&f, at, 1), BAWN_PSP_INVALID_PARAM);
    /* A guest that may not use the VCEK gets no report, there being no VLEK. */
    assert_int_equal(decommission(&f.rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(gctx_create(&f.rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(&f.rig, GCTX, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&f.rig, GCTX, 2), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_update(&f.rig, GCTX, BAWN_PSP_PAGE_SECRETS, SECRETS, 0),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&f.rig, BAWN_PSP_SNP_LAUNCH_FINISH, &in, sizeof(in)),
                     BAWN_PSP_SUCCESS);
    driver_create(&f.d[0], &f.rig, GCTX, 0);
    assert_int_equal(driver_report(&f.d[0], 0, &report), BAWN_PSP_INVALID_KEY);
    destroy(&f);
}

/* ---- Derived keys ---- */

static struct bawn_psp_key_rsp key_of(struct fixture *f, unsigned vmpck, uint8_t version,
                                      const struct bawn_psp_key_req *in)
{
    uint8_t out[BAWN_PSP_MSG_MAX];
    struct bawn_psp_key_rsp rsp;
    size_t len = driver_ask(&f->d[vmpck], BAWN_PSP_MSG_KEY_REQ, version, in,
                            version > 1 ? BAWN_PSP_KEY_REQ_V2_SIZE : BAWN_PSP_KEY_REQ_V1_SIZE, out);

    assert_int_equal(len, sizeof(rsp));
    memcpy(&rsp, out, sizeof(rsp));
    return rsp;
}

static void derived_keys(void **state)
{
    const struct bawn_psp_key_req cases[] = {
        { .vmpl = 0 },
        { .vmpl = 1 },
        { .key_sel = BAWN_PSP_KEY_ROOT_VMRK },
        { .field_sel = BAWN_PSP_MIX_POLICY },
        { .field_sel = BAWN_PSP_MIX_IMAGE_ID },
        { .field_sel = BAWN_PSP_MIX_FAMILY_ID },
        { .field_sel = BAWN_PSP_MIX_MEASUREMENT },
        { .field_sel = BAWN_PSP_MIX_GUEST_SVN },
        { .field_sel = BAWN_PSP_MIX_TCB },
        { .field_sel = BAWN_PSP_MIX_TCB, .tcb_version = 1 },
    };
    struct bawn_psp_key_rsp keys[COUNT(cases)], again;
    struct fixture f;

    (void)state;
    create(&f, NULL);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        keys[i] = key_of(&f, 0, 1, &cases[i]);
        assert_int_equal(keys[i].status, BAWN_PSP_SUCCESS);
        for (unsigned k = 0; k < sizeof(keys[i].reserved); k++)
            assert_int_equal(keys[i].reserved[k], 0);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(keys[i].key, keys[k].key, 32);
    }
    /* The same question has the same answer, by version 2 also, and for a less privileged
     * level that asks for itself. */
    again = key_of(&f, 0, 2, &cases[0]);
    assert_memory_equal(again.key, keys[0].key, 32);
    again = key_of(&f, 1, 1, &cases[1]);
    assert_memory_equal(again.key, keys[1].key, 32);
    /* After a launch of the same: the chip's key is the same, the VMRK's is not. */
    assert_int_equal(decommission(&f.rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(&f.rig, BAWN_PSP_SNP_DF_FLUSH, NULL, 0), BAWN_PSP_SUCCESS);
    rig_launch(&f.rig, GCTX, 1);
    driver_create(&f.d[0], &f.rig, GCTX, 0);
    again = key_of(&f, 0, 1, &cases[6]);
    assert_memory_equal(again.key, keys[6].key, 32);
    again = key_of(&f, 0, 1, &cases[2]);
    assert_memory_not_equal(again.key, keys[2].key, 32);
    destroy(&f);
}

static void derived_keys_refused(void **state)
{
    static const struct {
        unsigned vmpck;
        uint8_t version;
        struct bawn_psp_key_req in;
        uint32_t expected;
    } cases[] = {
        { 1, 1, { .vmpl = 0 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .vmpl = 4 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .reserved = 1 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .key_sel = 8 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .key_sel = BAWN_PSP_KEY_SEL_VLEK << 1 }, BAWN_PSP_INVALID_KEY },
        { 0, 1, { .key_sel = 3 << 1 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .field_sel = BAWN_PSP_MIX_MIT_VECTOR }, BAWN_PSP_INVALID_PARAM },
        { 0, 2, { .field_sel = BAWN_PSP_MIX_MIT_VECTOR }, BAWN_PSP_SUCCESS },
        { 0, 2, { .field_sel = 1ull << 7 }, BAWN_PSP_INVALID_PARAM },
        { 0, 2, { .field_sel = 1ull << 63 }, BAWN_PSP_INVALID_PARAM },
        { 0, 2, { .launch_mit_vector = 1 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .guest_svn = 1 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .tcb_version = 5 }, BAWN_PSP_INVALID_PARAM }, /* boot loader 4 is there */
        { 0, 1, { .tcb_version = 0xdb18000000000004 }, BAWN_PSP_SUCCESS },
        { 0, 1, { .tcb_version = 0xdc18000000000004 }, BAWN_PSP_INVALID_PARAM },
        { 0, 1, { .tcb_version = 0x0000010000000000 }, BAWN_PSP_INVALID_PARAM },
    };
    static const uint8_t none[32];
    struct fixture f;

    (void)state;
    create(&f, NULL);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct bawn_psp_key_rsp rsp = key_of(&f, cases[i].vmpck, cases[i].version, &cases[i].in);

        if (rsp.status != cases[i].expected)
            fail_msg("case %u: 0x%x", i, rsp.status);
        if (rsp.status != BAWN_PSP_SUCCESS)
            assert_memory_equal(rsp.key, none, 32);
    }
    destroy(&f);
}

/* ---- The TSC, CPUID ---- */

static void tsc_info(void **state)
{
    struct bawn_psp_tsc_info_req in = { { 0 } };
    uint8_t out[BAWN_PSP_MSG_MAX];
    struct bawn_psp_tsc_info_rsp rsp;
    struct fixture f;

    (void)state;
    create(&f, NULL);
    assert_int_equal(driver_ask(&f.d[0], BAWN_PSP_MSG_TSC_INFO_REQ, 1, &in, sizeof(in), out),
                     sizeof(rsp));
    memcpy(&rsp, out, sizeof(rsp));
    assert_int_equal(rsp.status, BAWN_PSP_SUCCESS);
    assert_true(rsp.tsc_scale == 1ull << 32);
    assert_int_equal(rsp.tsc_offset, 0);
    in.reserved[127] = 1;
    driver_ask(&f.d[0], BAWN_PSP_MSG_TSC_INFO_REQ, 1, &in, sizeof(in), out);
    assert_int_equal(out[0], BAWN_PSP_INVALID_PARAM);
    destroy(&f);
}

static void cpuid(void **state)
{
    static const struct bawn_psp_cpuid_function offer = { .eax_in = 7, .ebx = 0xf0 };
    const struct psp_config config = { .offer = &offer, .nr_offer = 1 };
    struct {
        struct bawn_psp_cpuid_req head;
        struct bawn_psp_cpuid_function f[64];
    } in = { .head.count = 2 };
    struct bawn_psp_cpuid_function back;
    uint8_t out[BAWN_PSP_MSG_MAX];
    struct bawn_psp_cpuid_rsp rsp;
    struct fixture f;

    (void)state;
    create(&f, &config);
    in.f[0] = (struct bawn_psp_cpuid_function){ .eax_in = 7, .ebx = 0x70 };
    assert_int_equal(driver_ask(&f.d[0], BAWN_PSP_MSG_CPUID_REQ, 1, &in, 16 + 2 * 48, out),
                     16 + 2 * 48);
    memcpy(&rsp, out, sizeof(rsp));
    assert_int_equal(rsp.status, BAWN_PSP_SUCCESS);
    assert_int_equal(rsp.count, 2);
    in.f[0].ebx = 0xff;
    driver_ask(&f.d[0], BAWN_PSP_MSG_CPUID_REQ, 1, &in, 16 + 2 * 48, out);
    memcpy(&rsp, out, sizeof(rsp));
    memcpy(&back, out + sizeof(rsp), sizeof(back));
    assert_int_equal(rsp.status, BAWN_PSP_INVALID_PARAM);
    assert_int_equal(back.ebx, 0xf0);
    /* Counts and lengths that disagree. */
    for (unsigned i = 0; i < 4; i++) {
        static const struct {
            uint32_t count;
            size_t len;
            uint32_t expected;
        } cases[] = {
            { 3, 16 + 2 * 48, BAWN_PSP_INVALID_LENGTH },
            { 1, 16 + 2 * 48, BAWN_PSP_INVALID_LENGTH },
            { 65, 16 + 64 * 48, BAWN_PSP_INVALID_PARAM },
            { 0, 15, BAWN_PSP_INVALID_LENGTH },
        };

        in.head.count = cases[i].count;
        driver_seal(&f.d[0], BAWN_PSP_MSG_CPUID_REQ, 1, &in, cases[i].len);
        assert_int_equal(driver_send(&f.d[0]), cases[i].expected);
    }
    in.head.count = 64;
    assert_int_equal(driver_ask(&f.d[0], BAWN_PSP_MSG_CPUID_REQ, 1, &in, 16 + 64 * 48, out),
                     16 + 64 * 48);
    destroy(&f);
}

/* ---- Addresses, faults ---- */

static void addresses(void **state)
{
    const struct bawn_psp_guest_request cases[] = {
        { page(GCTX), page(REQUEST) + 8, page(RESPONSE) },
        { page(GCTX), page(REQUEST), page(RESPONSE) + 1 },
        { page(GCTX), page(REQUEST), page(REQUEST) },
        { page(GCTX), 0, page(RESPONSE) },
        { page(GCTX), page(REQUEST), 0 },
        { page(GCTX), UINT64_MAX, page(RESPONSE) },
    };
    struct fixture f;

    (void)state;
    create(&f, NULL);
    for (unsigned i = 0; i < COUNT(cases); i++)
        assert_int_equal(
            rig_command(&f.rig, BAWN_PSP_SNP_GUEST_REQUEST, &cases[i], sizeof(cases[i])),
            BAWN_PSP_INVALID_ADDRESS);
    destroy(&f);
}

static void busy(void **state)
{
    const struct psp_config config = { .faults = PSP_FAULT_BUSY };
    const struct bawn_psp_report_req in = { .vmpl = 0 };
    uint8_t out[BAWN_PSP_MSG_MAX];
    struct fixture f;

    (void)state;
    create(&f, &config);
    for (unsigned i = 0; i < 2; i++) {
        driver_seal(&f.d[0], BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in));
        for (unsigned k = 0; k < 2; k++) {
            assert_true(driver_send(&f.d[0]) == BAWN_PLATFORM_BUSY);
            assert_int_equal(f.rig.pages_changed, 0);
        }
        assert_int_equal(driver_send(&f.d[0]), BAWN_PSP_SUCCESS);
        driver_open(&f.d[0], BAWN_PSP_MSG_REPORT_REQ, 1, out);
    }
    destroy(&f);
}

static void lost_command(void **state)
{
    const struct psp_config config = { .faults = PSP_FAULT_LOST_COMMAND };
    const struct bawn_psp_guest_request in = { page(GCTX), page(REQUEST), page(RESPONSE) };
    struct bawn_error err = { "" };
    struct fixture f;
    size_t len;

    (void)state;
    create(&f, &config);
    driver_seal(&f.d[0], BAWN_PSP_MSG_TSC_INFO_REQ, 1, NULL, 128);
    len = rig_message(&f.rig, BAWN_PSP_SNP_GUEST_REQUEST, &in, sizeof(in));
    assert_int_equal(psp_serve(f.rig.psp, f.rig.request, len, f.rig.reply, &f.rig.reply_len, &err),
                     PSP_NO_REPLY);
    assert_int_equal(guest_state(&f.rig, GCTX), BAWN_PSP_GUEST_RUNNING);
    destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_forms),
        cmocka_unit_test(tags),
        cmocka_unit_test(sequence),
        cmocka_unit_test(report_vmpl),
        cmocka_unit_test(report_keys),
        cmocka_unit_test(derived_keys),
        cmocka_unit_test(derived_keys_refused),
        cmocka_unit_test(tsc_info),
        cmocka_unit_test(cpuid),
        cmocka_unit_test(addresses),
        cmocka_unit_test(busy),
        cmocka_unit_test(lost_command),
    };

    return cmocka_run_group_tests_name("firmware: guest messages", tests, NULL, NULL);
}
