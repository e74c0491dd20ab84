// SPDX-License-Identifier: Apache-2.0
/*
 * State that outlives the process: what is written down after each command is enough for a new
 * processor to go on; a launch that was cut off is lost and only that; broken records are
 * refused.
 */
#include "tests/unit/firmware/rig.h"

#define RECORDS 32

static struct psp_record disk[RECORDS];
static unsigned writes, removals;

static struct psp_record *find(const char *name)
{
    for (unsigned i = 0; i < RECORDS; i++)
        if (!strcmp(disk[i].name, name))
            return &disk[i];
    return NULL;
}

static void save(struct rig *rig, const struct psp_record *record)
{
    struct psp_record *at = find(record->name);

    (void)rig;
    if (!at)
        at = find("");
    assert_non_null(at);
    *at = *record;
    writes++;
    if (!record->len) {
        memset(at, 0, sizeof(*at));
        removals++;
    }
}

static void create(struct rig *rig)
{
    memset(disk, 0, sizeof(disk));
    writes = removals = 0;
    rig_create(rig, PSP_MILAN, NULL);
    rig->save = save;
    rig_init(rig);
}

/* Another process in the old one's place. parked: that one ended cleanly. */
static void restart(struct rig *rig, bool parked)
{
    const struct psp_config config = { 0 };
    struct bawn_error err = { "" };
    struct psp_record record;

    if (parked) {
        psp_park(rig->psp);
        while (psp_unsaved(rig->psp, &record))
            save(rig, &record);
    }
    psp_destroy(rig->psp);
    assert_int_equal(psp_create(&rig->psp, rig_identity(PSP_MILAN), &config, &err), BAWN_OK);
    for (unsigned i = 0; i < RECORDS; i++)
        if (disk[i].name[0] &&
            psp_restore(rig->psp, disk[i].name, disk[i].data, disk[i].len, &err) != BAWN_OK)
            fail_msg("%s", err.msg);
}

static void running_guests(void **state)
{
    const uint64_t contexts[] = { page(100), page(101), page(102) };
    struct bawn_snp_report before[3], after;
    struct driver d[3];
    struct rig rig;

    (void)state;
    create(&rig);
    for (unsigned i = 0; i < 3; i++) {
        rig_launch(&rig, 100 + i, i + 1);
        driver_create(&d[i], &rig, 100 + i, (uint8_t)i);
        assert_int_equal(driver_report(&d[i], 3, &before[i]), BAWN_PSP_SUCCESS);
    }
    for (unsigned round = 0; round < 4; round++) {
        restart(&rig, round & 1);
        assert_int_equal(rig_hello(&rig, 0, contexts, COUNT(contexts)), BAWN_PSP_SUCCESS);
        assert_int_equal(guest_count(&rig), 3);
        for (unsigned i = 0; i < 3; i++) {
            /* An old message is old, also for a new process. */
            assert_int_equal(guest_state(&rig, 100 + i), BAWN_PSP_GUEST_RUNNING);
            assert_int_equal(driver_report(&d[i], 3, &after), BAWN_PSP_SUCCESS);
            assert_memory_equal(&before[i], &after, BAWN_SNP_REPORT_SIGNED);
            assert_int_equal(driver_send(&d[i]), BAWN_PSP_AEAD_OFLOW);
        }
    }
    assert_int_equal(decommission(&rig, 101), BAWN_PSP_SUCCESS);
    restart(&rig, false);
    assert_int_equal(guest_count(&rig), 2);
    assert_int_equal(guest_state(&rig, 101), UINT32_MAX);
    /* That its ASID wants a flush is not forgotten either. */
    assert_int_equal(gctx_create(&rig, 101), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(&rig, 101, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, 101, 2), BAWN_PSP_DFFLUSH_REQUIRED);
    assert_int_equal(activate(&rig, 101, 1), BAWN_PSP_ASID_OWNED);
    rig_destroy(&rig);
}

static void decommission_removes(void **state)
{
    struct rig rig;

    (void)state;
    create(&rig);
    rig_launch(&rig, 100, 1);
    assert_non_null(find("guest-0000000100064000"));
    assert_int_equal(decommission(&rig, 100), BAWN_PSP_SUCCESS);
    assert_int_equal(removals, 1);
    assert_null(find("guest-0000000100064000"));
    /* The same address again before its record is removed: the record is the new one's. */
    rig.save = NULL;
    rig_launch(&rig, 100, 2);
    assert_int_equal(decommission(&rig, 100), BAWN_PSP_SUCCESS);
    rig.save = save;
    assert_int_equal(gctx_create(&rig, 100), BAWN_PSP_SUCCESS);
    assert_non_null(find("guest-0000000100064000"));
    restart(&rig, false);
    assert_int_equal(guest_state(&rig, 100), BAWN_PSP_GUEST_INIT);
    rig_destroy(&rig);
}

/* A launch of many pages is not written down page by page. */
static void launches(void **state)
{
    struct rig rig;
    unsigned n;

    (void)state;
    for (unsigned parked = 0; parked < 2; parked++) {
        struct bawn_snp_report report;
        struct driver d;

        create(&rig);
        assert_int_equal(gctx_create(&rig, 100), BAWN_PSP_SUCCESS);
        assert_int_equal(launch_start(&rig, 100, POLICY), BAWN_PSP_SUCCESS);
        assert_int_equal(activate(&rig, 100, 1), BAWN_PSP_SUCCESS);
        assert_int_equal(launch_update(&rig, 100, BAWN_PSP_PAGE_SECRETS, SECRETS, 0),
                         BAWN_PSP_SUCCESS);
        driver_create(&d, &rig, 100, 0);
        n = writes;
        for (unsigned i = 0; i < 50; i++)
            assert_int_equal(launch_update(&rig, 100, BAWN_PSP_PAGE_NORMAL, SCRATCH, i << 12),
                             BAWN_PSP_SUCCESS);
        assert_int_equal(writes, n);
        restart(&rig, parked);
        assert_int_equal(guest_state(&rig, 100), BAWN_PSP_GUEST_LAUNCH);
        if (!parked) {
            assert_int_equal(launch_update(&rig, 100, BAWN_PSP_PAGE_NORMAL, SCRATCH, 0),
                             BAWN_PSP_INVALID_GUEST_STATE);
            assert_int_equal(launch_finish(&rig, 100), BAWN_PSP_INVALID_GUEST_STATE);
            assert_int_equal(activate(&rig, 100, 2), BAWN_PSP_INVALID_GUEST_STATE);
            /* Still lost after a clean end. */
            restart(&rig, true);
            assert_int_equal(launch_finish(&rig, 100), BAWN_PSP_INVALID_GUEST_STATE);
            assert_int_equal(decommission(&rig, 100), BAWN_PSP_SUCCESS);
            assert_int_equal(guest_count(&rig), 0);
        } else {
            /* The next page makes the record wrong again, and says so. */
            n = writes;
            assert_int_equal(launch_update(&rig, 100, BAWN_PSP_PAGE_NORMAL, SCRATCH, 50 << 12),
                             BAWN_PSP_SUCCESS);
            assert_int_equal(writes, n + 1);
            assert_int_equal(launch_finish(&rig, 100), BAWN_PSP_SUCCESS);
            assert_int_equal(driver_report(&d, 0, &report), BAWN_PSP_SUCCESS);
        }
        rig_destroy(&rig);
    }
}

static void parked_and_cut_off(void **state)
{
    struct rig rig;

    (void)state;
    create(&rig);
    assert_int_equal(gctx_create(&rig, 100), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(&rig, 100, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(&rig, 100, 1), BAWN_PSP_SUCCESS);
    restart(&rig, true);
    assert_int_equal(launch_update(&rig, 100, BAWN_PSP_PAGE_NORMAL, SCRATCH, 0), BAWN_PSP_SUCCESS);
    restart(&rig, false);
    assert_int_equal(launch_update(&rig, 100, BAWN_PSP_PAGE_NORMAL, SCRATCH, 0),
                     BAWN_PSP_INVALID_GUEST_STATE);
    rig_destroy(&rig);
}

static void platform(void **state)
{
    const struct bawn_psp_config config = { .reported_tcb = 0xda18000000000004, .flags = 3 };
    struct bawn_psp_platform_status status;
    struct rig rig;

    (void)state;
    create(&rig);
    assert_int_equal(rig_command(&rig, BAWN_PSP_SNP_CONFIG, &config, sizeof(config)),
                     BAWN_PSP_SUCCESS);
    restart(&rig, false);
    assert_int_equal(guest_count(&rig), 0);
    memcpy(&status, bytes(&rig, STATUS), sizeof(status));
    assert_int_equal(status.state, BAWN_PSP_PLATFORM_INIT);
    assert_int_equal(status.flags, 3);
    assert_true(status.reported_tcb == 0xda18000000000004);
    assert_true(status.current_tcb == 0xdb18000000000004);
    assert_int_equal(status.api_major, 1);
    assert_int_equal(status.api_minor, 58);
    rig_destroy(&rig);
}

static void broken_records(void **state)
{
    struct psp_identity *identity;
    struct bawn_error err = { "" };
    struct psp *fresh, *other;
    struct rig rig;

    (void)state;
    create(&rig);
    rig_launch(&rig, 100, 1);
    assert_int_equal(psp_create(&fresh, rig_identity(PSP_MILAN), &(struct psp_config){ 0 }, &err),
                     BAWN_OK);
    assert_int_equal(psp_identity_create(&identity, PSP_MILAN, 2048, NOW, &err), BAWN_OK);
    assert_int_equal(psp_create(&other, identity, &(struct psp_config){ 0 }, &err), BAWN_OK);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct psp_record *r = &disk[i];

        if (!r->name[0])
            continue;
        for (size_t n = 0; n < r->len; n++)
            assert_int_equal(psp_restore(fresh, r->name, r->data, n, &err), BAWN_E_FORMAT);
        for (size_t at = 0; at < r->len; at++) {
            r->data[at] ^= 0x10;
            assert_int_equal(psp_restore(fresh, r->name, r->data, r->len, &err), BAWN_E_FORMAT);
            r->data[at] ^= 0x10;
        }
        assert_int_equal(psp_restore(fresh, "guest-0000000000000000", r->data, r->len, &err),
                         BAWN_E_FORMAT);
        assert_int_equal(psp_restore(other, r->name, r->data, r->len, &err), BAWN_E_FORMAT);
        assert_int_equal(psp_restore(fresh, r->name, r->data, r->len, &err), BAWN_OK);
    }
    /* A guest twice. */
    assert_int_equal(psp_restore(fresh, "guest-0000000100064000",
                                 find("guest-0000000100064000")->data,
                                 find("guest-0000000100064000")->len, &err),
                     BAWN_E_FORMAT);
    psp_destroy(fresh);
    psp_destroy(other);
    rig_destroy(&rig);
}

/* Identity files that are truncated, empty or exchanged. */
static void broken_identity(void **state)
{
    struct psp_identity *identity = rig_identity(PSP_GENOA), *again, *stranger;
    struct psp_blob parts[PSP_IDENTITY_PARTS], strange;
    struct bawn_error err = { "" };

    (void)state;
    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++)
        assert_int_equal(psp_identity_export(identity, (enum psp_identity_part)i, &parts[i], &err),
                         BAWN_OK);
    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++) {
        size_t len = parts[i].len;

        for (unsigned k = 0; k < 4; k++) {
            parts[i].len = len * k / 4;
            assert_int_equal(psp_identity_import(&again, parts, &err), BAWN_E_FORMAT);
            assert_non_null(strstr(err.msg, psp_identity_files[i].name));
            assert_null(again);
        }
        parts[i].len = len;
    }
    assert_int_equal(psp_identity_create(&stranger, PSP_GENOA, 2048, NOW, &err), BAWN_OK);
    assert_int_equal(psp_identity_export(stranger, PSP_ASK_KEY, &strange, &err), BAWN_OK);
    {
        struct psp_blob mixed[PSP_IDENTITY_PARTS];

        memcpy(mixed, parts, sizeof(mixed));
        mixed[PSP_ASK_KEY] = strange;
        assert_int_equal(psp_identity_import(&again, mixed, &err), BAWN_E_FORMAT);
    }
    assert_int_equal(psp_identity_import(&again, parts, &err), BAWN_OK);
    assert_int_equal(psp_identity_product(again), PSP_GENOA);
    psp_identity_destroy(again);
    psp_identity_destroy(stranger);
    psp_identity_destroy(identity);
    psp_blob_free(&strange);
    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++)
        psp_blob_free(&parts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_guests),  cmocka_unit_test(decommission_removes),
        cmocka_unit_test(launches),        cmocka_unit_test(parked_and_cut_off),
        cmocka_unit_test(platform),        cmocka_unit_test(broken_records),
        cmocka_unit_test(broken_identity),
    };

    return cmocka_run_group_tests_name("firmware: state", tests, NULL, NULL);
}
