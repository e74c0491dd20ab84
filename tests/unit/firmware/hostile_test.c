// SPDX-License-Identifier: Apache-2.0
/*
 * Command buffers and messages that are wrong: every length, every byte, every reserved field,
 * pages that are missing or too many. Nothing may crash, and nothing wrong may succeed.
 */
#include "tests/unit/firmware/rig.h"

#include <openssl/rand.h>

/* ---- Commands ---- */

/* A buffer of each command with which it succeeds in a platform with a guest at GCTX that
 * launches, or runs. */
struct sample {
    uint32_t command;
    bool running;
    uint8_t buffer[64];
    size_t len;
};

#define SAMPLES 13

static void make_samples(struct sample s[SAMPLES])
{
    const struct bawn_psp_addr status = { page(STATUS) }, other = { page(400) };
    const struct bawn_psp_addr gctx = { page(GCTX) };
    const struct bawn_psp_shutdown_ex down = { .length = sizeof(down) };
    const struct bawn_psp_activate act = { page(GCTX), 3 };
    const struct bawn_psp_guest_status_cmd gs = { page(GCTX), page(STATUS) };
    const struct bawn_psp_launch_start start = { .gctx_paddr = page(GCTX), .policy = POLICY };
    const struct bawn_psp_launch_update update = {
        .gctx_paddr = page(GCTX),
        .page = BAWN_PSP_PAGE_NORMAL << 1,
        .page_paddr = page(SCRATCH),
    };
    const struct bawn_psp_launch_finish finish = { .gctx_paddr = page(GCTX) };
    const struct bawn_psp_guest_request request = { page(GCTX), page(REQUEST), page(RESPONSE) };
    const struct bawn_psp_config config = { .reported_tcb = 0 };
    const struct bawn_psp_commit commit = { sizeof(commit) };
    const struct bawn_psp_init_ex init = { .flags = 1 };
    size_t n = 0;

#define ADD(cmd, run, from)                                         \
    do {                                                            \
        s[n] = (struct sample){ .command = (cmd), .running = run }; \
        memcpy(s[n].buffer, &(from), sizeof(from));                 \
        s[n++].len = sizeof(from);                                  \
    } while (0)
    ADD(BAWN_PSP_SNP_PLATFORM_STATUS, false, status);
    ADD(BAWN_PSP_SNP_GCTX_CREATE, false, other);
    ADD(BAWN_PSP_SNP_SHUTDOWN_EX, false, down);
    ADD(BAWN_PSP_SNP_ACTIVATE, false, act);
    ADD(BAWN_PSP_SNP_GUEST_STATUS, false, gs);
    ADD(BAWN_PSP_SNP_LAUNCH_START, false, start);
    ADD(BAWN_PSP_SNP_LAUNCH_UPDATE, false, update);
    ADD(BAWN_PSP_SNP_LAUNCH_FINISH, false, finish);
    ADD(BAWN_PSP_SNP_GUEST_REQUEST, true, request);
    ADD(BAWN_PSP_SNP_CONFIG, false, config);
    ADD(BAWN_PSP_SNP_COMMIT, false, commit);
    ADD(BAWN_PSP_SNP_DECOMMISSION, false, gctx);
    ADD(BAWN_PSP_SNP_INIT_EX, false, init);
#undef ADD
    assert_int_equal(n, SAMPLES);
}

static void prepare(struct rig *rig, const struct sample *s)
{
    struct driver d;

    rig_init(rig);
    if (s->command == BAWN_PSP_SNP_INIT_EX)
        assert_int_equal(rig_command(rig, BAWN_PSP_SNP_SHUTDOWN, NULL, 0), BAWN_PSP_SUCCESS);
    if (s->running) {
        rig_launch(rig, GCTX, 1);
        driver_create(&d, rig, GCTX, 0);
        driver_seal(&d, BAWN_PSP_MSG_TSC_INFO_REQ, 1, NULL, 128);
    } else if (s->command != BAWN_PSP_SNP_INIT_EX && s->command != BAWN_PSP_SNP_SHUTDOWN_EX) {
        assert_int_equal(gctx_create(rig, GCTX), BAWN_PSP_SUCCESS);
        if (s->command == BAWN_PSP_SNP_LAUNCH_START)
            return;
        assert_int_equal(launch_start(rig, GCTX, POLICY), BAWN_PSP_SUCCESS);
        if (s->command != BAWN_PSP_SNP_ACTIVATE)
            assert_int_equal(activate(rig, GCTX, 1), BAWN_PSP_SUCCESS);
    }
}

static void every_length(void **state)
{
    struct sample s[SAMPLES];
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    make_samples(s);
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint8_t longer[72] = { 0 };

        prepare(&rig, &s[i]);
        for (size_t len = 0; len < s[i].len; len++)
            assert_int_equal(rig_command(&rig, s[i].command, s[i].buffer, len),
                             BAWN_PSP_INVALID_LENGTH);
        memcpy(longer, s[i].buffer, s[i].len);
        assert_int_equal(rig_command(&rig, s[i].command, longer, s[i].len + 1),
                         BAWN_PSP_INVALID_LENGTH);
        if (rig_command(&rig, s[i].command, s[i].buffer, s[i].len) != BAWN_PSP_SUCCESS)
            fail_msg("command 0x%x does not succeed as it is", s[i].command);
    }
    rig_destroy(&rig);
}

/* Bytes that must be zero, by command. */
static void reserved_fields(void **state)
{
    static const struct {
        uint32_t command;
        size_t from, to;
    } reserved[] = {
        { BAWN_PSP_SNP_INIT_EX, 1, 8 },
        { BAWN_PSP_SNP_INIT_EX, 16, 64 },
        { BAWN_PSP_SNP_SHUTDOWN_EX, 5, 8 },
        { BAWN_PSP_SNP_LAUNCH_START, 0x19, 0x1c },
        { BAWN_PSP_SNP_LAUNCH_UPDATE, 9, 16 },
        { BAWN_PSP_SNP_LAUNCH_UPDATE, 0x18, 0x19 },
        { BAWN_PSP_SNP_LAUNCH_UPDATE, 0x1c, 0x20 },
        { BAWN_PSP_SNP_LAUNCH_FINISH, 0x19, 0x20 },
        { BAWN_PSP_SNP_CONFIG, 9, 64 },
    };
    struct sample s[SAMPLES];
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    make_samples(s);
    for (unsigned i = 0; i < SAMPLES; i++) {
        for (unsigned r = 0; r < COUNT(reserved); r++) {
            if (reserved[r].command != s[i].command)
                continue;
            prepare(&rig, &s[i]);
            for (size_t at = reserved[r].from; at < reserved[r].to; at++) {
                struct sample bad = s[i];

                bad.buffer[at] |= 0x80;
                if (rig_command(&rig, bad.command, bad.buffer, bad.len) != BAWN_PSP_INVALID_PARAM)
                    fail_msg("command 0x%x takes byte %zu", bad.command, at);
            }
        }
    }
    rig_destroy(&rig);
}

/* Every byte with several values: no crash, and addresses that are none are refused. */
static void every_byte(void **state)
{
    static const uint8_t values[] = { 0x01, 0x80, 0xff };
    struct sample s[SAMPLES];
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    make_samples(s);
    for (unsigned i = 0; i < SAMPLES; i++) {
        for (size_t at = 0; at < s[i].len; at++) {
            for (unsigned k = 0; k < COUNT(values); k++) {
                struct sample bad = s[i];

                if (!(at % 16) || bad.command == BAWN_PSP_SNP_LAUNCH_START)
                    prepare(&rig, &bad);
                bad.buffer[at] ^= values[k];
                rig_command(&rig, bad.command, bad.buffer, bad.len);
                if (at == 5 && bad.command != BAWN_PSP_SNP_INIT_EX &&
                    bad.command != BAWN_PSP_SNP_CONFIG && bad.command != BAWN_PSP_SNP_GCTX_CREATE)
                    assert_int_not_equal(rig_command(&rig, bad.command, bad.buffer, bad.len),
                                         BAWN_PSP_SUCCESS);
            }
        }
    }
    rig_destroy(&rig);
}

static void launch_update_types(void **state)
{
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    assert_int_equal(gctx_create(&rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(&rig, GCTX, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, GCTX, 1), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_update(&rig, GCTX, 0, SCRATCH, 0), BAWN_PSP_INVALID_PARAM);
    assert_int_equal(launch_update(&rig, GCTX, 7, SCRATCH, 0), BAWN_PSP_INVALID_PARAM);
    assert_int_equal(launch_update(&rig, GCTX, BAWN_PSP_PAGE_NORMAL, SCRATCH, 0x123),
                     BAWN_PSP_INVALID_ADDRESS);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_VLEK_LOAD,
                                 &(struct bawn_psp_vlek_load){ 16, 0, { 0 }, page(SCRATCH) },
                                 sizeof(struct bawn_psp_vlek_load)),
                     BAWN_PSP_UNSUPPORTED);
    rig_destroy(&rig);
}

static void reclaim_addresses(void **state)
{
    static const struct {
        uint64_t paddr;
        uint32_t expected;
    } cases[] = {
        { RIG_BASE, BAWN_PSP_SUCCESS },
        { RIG_BASE | 1, BAWN_PSP_SUCCESS },
        { RIG_BASE | 2, BAWN_PSP_INVALID_ADDRESS },
        { RIG_BASE | 0x1000, BAWN_PSP_SUCCESS },
        { RIG_BASE | 0x1001, BAWN_PSP_INVALID_ADDRESS },
    };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        const struct bawn_psp_addr in = { cases[i].paddr };

        assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_PAGE_RECLAIM, &in, sizeof(in)),
                         cases[i].expected);
        assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_PAGE_UNSMASH, &in, sizeof(in)),
                         cases[i].expected);
    }
    rig_destroy(&rig);
}

/* ---- Messages ---- */

static enum psp_served serve(struct rig *rig, size_t len)
{
    struct bawn_error err = { "" };
    uint8_t *exact = malloc(len ? len : 1); /* so that a read past it is seen */
    enum psp_served served;

    assert_non_null(exact);
    memcpy(exact, rig->request, len);
    served = psp_serve(rig->psp, exact, len, rig->reply, &rig->reply_len, &err);
    if (served == PSP_MALFORMED)
        assert_true(err.msg[0]);
    free(exact);
    return served;
}

static size_t request_message(struct rig *rig, struct driver *d)
{
    const struct bawn_psp_guest_request in = { page(GCTX), page(REQUEST), page(RESPONSE) };

    driver_seal(d, BAWN_PSP_MSG_TSC_INFO_REQ, 1, NULL, 128);
    return rig_message(rig, BAWN_PSP_SNP_GUEST_REQUEST, &in, sizeof(in));
}

static void truncated_messages(void **state)
{
    struct bawn_platform_header h;
    struct driver d;
    struct rig rig;
    size_t len;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    rig_launch(&rig, GCTX, 1);
    driver_create(&d, &rig, GCTX, 0);
    len = request_message(&rig, &d);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(serve(&rig, n), PSP_MALFORMED);
    /* With a size that fits the truncation. */
    memcpy(&h, rig.request, sizeof(h));
    for (size_t n = sizeof(h); n < len; n++) {
        h.size = (uint32_t)n;
        memcpy(rig.request, &h, sizeof(h));
        assert_int_equal(serve(&rig, n), PSP_MALFORMED);
    }
    h.size = (uint32_t)len + 8;
    memcpy(rig.request, &h, sizeof(h));
    memset(rig.request + len, 0, 8);
    assert_int_equal(serve(&rig, len + 8), PSP_MALFORMED);
    rig_destroy(&rig);
}

/* Each byte of header, buffer and page records. */
static void altered_messages(void **state)
{
    const size_t heads =
        sizeof(struct bawn_platform_header) + 24 + sizeof(struct bawn_platform_page);
    struct driver d;
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    rig_launch(&rig, GCTX, 1);
    driver_create(&d, &rig, GCTX, 0);
    for (size_t at = 0; at < heads; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            size_t len = request_message(&rig, &d);
            struct bawn_platform_header h;

            rig.request[at] ^= (uint8_t)(1u << bit);
            if (serve(&rig, len) != PSP_REPLY)
                continue;
            memcpy(&h, rig.reply, sizeof(h));
            if (h.status == BAWN_PSP_SUCCESS)
                d.seqno += 2;
            /* Only the id and the GPA may be another; and that the request's page may be
             * written too does no harm. */
            if (h.status == BAWN_PSP_SUCCESS && !(at >= 8 && at < 16) && !(at >= 56 && at < 64) &&
                !(at == 72 && bit == 1) && h.command == BAWN_PSP_SNP_GUEST_REQUEST)
                fail_msg("byte %zu, bit %u", at, bit);
            if (h.command != BAWN_PSP_SNP_GUEST_REQUEST) { /* may be any other command */
                rig_init(&rig);
                rig_launch(&rig, GCTX, 1);
                driver_create(&d, &rig, GCTX, 0);
            }
        }
    }
    rig_destroy(&rig);
}

/* Pages that a command names and the message does not have, or with other flags. */
static void pages_of_another_kind(void **state)
{
    struct bawn_platform_header h;
    struct driver d;
    struct rig rig;
    size_t len;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    rig_launch(&rig, GCTX, 1);
    driver_create(&d, &rig, GCTX, 0);
    /* None at all. */
    request_message(&rig, &d);
    memcpy(&h, rig.request, sizeof(h));
    h.nr_pages = 0;
    h.size = sizeof(h) + 24;
    memcpy(rig.request, &h, sizeof(h));
    assert_int_equal(serve(&rig, h.size), PSP_REPLY);
    memcpy(&h, rig.reply, sizeof(h));
    assert_int_equal(h.status, BAWN_PSP_INVALID_ADDRESS);
    /* Too many. */
    len = request_message(&rig, &d);
    memcpy(&h, rig.request, sizeof(h));
    h.nr_pages = BAWN_PLATFORM_PAGES_MAX + 1;
    memcpy(rig.request, &h, sizeof(h));
    assert_int_equal(serve(&rig, len), PSP_MALFORMED);
    h.nr_pages = UINT32_MAX;
    memcpy(rig.request, &h, sizeof(h));
    assert_int_equal(serve(&rig, len), PSP_MALFORMED);
    h.nr_pages = 2;
    h.buffer_len = UINT32_MAX;
    memcpy(rig.request, &h, sizeof(h));
    assert_int_equal(serve(&rig, len), PSP_MALFORMED);
    rig_destroy(&rig);
}

/* One record more than there may be, all of them there. */
static void too_many_pages(void **state)
{
    const struct bawn_platform_page record = { .paddr = RIG_BASE };
    struct bawn_platform_header h = {
        .version = BAWN_PLATFORM_VERSION,
        .command = BAWN_PSP_SNP_DF_FLUSH,
    };
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    for (unsigned more = 0; more < 2; more++) {
        size_t at = sizeof(h);

        h.nr_pages = BAWN_PLATFORM_PAGES_MAX + more;
        for (unsigned i = 0; i < h.nr_pages; i++, at += sizeof(record))
            memcpy(rig.request + at, &record, sizeof(record));
        h.size = (uint32_t)at;
        memcpy(rig.request, &h, sizeof(h));
        assert_int_equal(serve(&rig, at), more ? PSP_MALFORMED : PSP_REPLY);
    }
    rig_destroy(&rig);
}

static void hellos(void **state)
{
    static const struct {
        struct bawn_platform_hello hello;
        uint32_t expected;
    } cases[] = {
        { { 1, 0, 511, 51, 0, 0 }, BAWN_PSP_SUCCESS },
        { { 0, 0, 511, 51, 0, 0 }, BAWN_PSP_UNSUPPORTED },
        { { 2, 0, 511, 51, 0, 0 }, BAWN_PSP_UNSUPPORTED },
        { { 1, 2, 511, 51, 0, 0 }, BAWN_PSP_INVALID_PARAM },
        { { 1, 0, 0, 51, 0, 0 }, BAWN_PSP_INVALID_PARAM },
        { { 1, 0, 512, 51, 0, 0 }, BAWN_PSP_INVALID_PARAM },
        { { 1, 0, 511, 64, 0, 0 }, BAWN_PSP_INVALID_PARAM },
        { { 1, 0, 511, 51, 1, 0 }, BAWN_PSP_INVALID_LENGTH },
        { { 1, 0, 511, 51, UINT32_MAX, 0 }, BAWN_PSP_INVALID_LENGTH },
        { { 1, 0, 511, 51, 0, 1 }, BAWN_PSP_INVALID_PARAM },
    };
    struct bawn_platform_welcome w;
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_GENOA, &(struct psp_config){ .report_version = 3 });
    rig_init(&rig);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        assert_int_equal(gctx_create(&rig, GCTX), BAWN_PSP_SUCCESS);
        if (rig_command(&rig, BAWN_PLATFORM_HELLO, &cases[i].hello, sizeof(cases[i].hello)) !=
            cases[i].expected)
            fail_msg("case %u", i);
        /* A refused one changes nothing; a good one that names no context ends them. */
        assert_int_equal(guest_count(&rig), cases[i].expected != BAWN_PSP_SUCCESS);
        if (guest_count(&rig))
            assert_int_equal(decommission(&rig, GCTX), BAWN_PSP_SUCCESS);
    }
    for (size_t len = 0; len < sizeof(struct bawn_platform_hello); len++)
        assert_int_not_equal(rig_command(&rig, BAWN_PLATFORM_HELLO, &cases[0].hello, len),
                             BAWN_PSP_SUCCESS);
    assert_int_equal(rig_hello(&rig, 0, NULL, 0), BAWN_PSP_SUCCESS);
    memcpy(&w, rig.reply + sizeof(struct bawn_platform_header), sizeof(w));
    assert_int_equal(w.version, 1);
    assert_int_equal(w.report_version, 3);
    assert_int_equal(w.fms, 0x00a10f11);
    assert_string_equal(w.product, "Genoa");
    rig_destroy(&rig);
}

/* A context that the module still has stays; the others go. */
static void hello_forgets(void **state)
{
    const uint64_t kept[] = { page(101), page(777) };
    struct bawn_snp_report report;
    struct driver d;
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_MILAN, NULL);
    rig_init(&rig);
    for (unsigned i = 0; i < 3; i++) {
        rig_launch(&rig, 100 + i, i + 1);
        if (i == 1)
            driver_create(&d, &rig, 101, 0);
    }
    assert_int_equal(rig_hello(&rig, 0, kept, COUNT(kept)), BAWN_PSP_SUCCESS);
    assert_int_equal(guest_count(&rig), 1);
    assert_int_equal(driver_report(&d, 0, &report), BAWN_PSP_SUCCESS);
    assert_int_equal(guest_state(&rig, 100), UINT32_MAX);
    /* Their ASIDs want a flush as after DECOMMISSION. */
    assert_int_equal(gctx_create(&rig, 100), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(&rig, 100, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, 100, 1), BAWN_PSP_DFFLUSH_REQUIRED);
    rig_destroy(&rig);
}

/* Messages of random commands with random buffers: no crash, and always an answer. */
static void random_commands(void **state)
{
    uint8_t buffer[80];
    struct rig rig;

    (void)state;
    rig_create(&rig, PSP_TURIN, NULL);
    rig_init(&rig);
    rig_launch(&rig, GCTX, 1);
    for (unsigned i = 0; i < 4000; i++) {
        uint64_t address;

        assert_int_equal(RAND_bytes(buffer, sizeof(buffer)), 1);
        address = page(buffer[79] % 8) | (buffer[78] & 1);
        if (buffer[77] & 1)
            memcpy(buffer, &address, sizeof(address));
        if (buffer[77] & 2)
            memcpy(buffer + 16, &address, sizeof(address));
        rig_command(&rig, 0x80 + buffer[76] % 0x50, buffer, buffer[75] % 72);
    }
    rig_destroy(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length),      cmocka_unit_test(reserved_fields),
        cmocka_unit_test(every_byte),        cmocka_unit_test(launch_update_types),
        cmocka_unit_test(reclaim_addresses), cmocka_unit_test(truncated_messages),
        cmocka_unit_test(altered_messages),  cmocka_unit_test(pages_of_another_kind),
        cmocka_unit_test(too_many_pages),    cmocka_unit_test(hellos),
        cmocka_unit_test(hello_forgets),     cmocka_unit_test(random_commands),
    };

    return cmocka_run_group_tests_name("firmware: hostile input", tests, NULL, NULL);
}
