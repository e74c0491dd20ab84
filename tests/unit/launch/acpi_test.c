// SPDX-License-Identifier: Apache-2.0
/*
 * The ACPI tables: checksums, pointers, and the fields that a guest depends on; the AML read back
 * by a small walker of lengths.
 */
#include <stdio.h>

#include "tests/unit/launch/images.h"

struct tables {
    struct bawn_vm_config cfg;
    struct bawn_launch_plan plan;
    struct bawn_region area;
};

static bool tpm, hotplug; /* the next tables are to have them */
static unsigned max_cpus; /* and so many processors */

static struct tables make_tables(unsigned vcpus, enum bawn_stream_mode serial)
{
    struct tables t = { .cfg = make_config(128ull << 20, vcpus) };
    uint8_t *kernel = make_bzimage();

    t.cfg.serial.mode = serial;
    t.cfg.tpm = tpm ? strdup("tpm") : NULL;
    t.cfg.hotplug = hotplug ? BAWN_HOTPLUG_ON : BAWN_HOTPLUG_OFF;
    t.cfg.max_vcpus = max_cpus;
    assert_int_equal(bawn_launch_plan(&t.plan, &t.cfg, kernel, BZ_SIZE, NULL, 0, NULL), BAWN_OK);
    assert_non_null(find_region(&t.plan, BAWN_MEASURE_ACPI));
    t.area = *find_region(&t.plan, BAWN_MEASURE_ACPI);
    free(kernel);
    return t;
}

static void free_tables(struct tables *t)
{
    bawn_launch_plan_free(&t->plan);
    bawn_vm_config_free(&t->cfg);
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--)
        s = (uint8_t)(s + *p++);
    return s;
}

/* The table at this guest address; its length is inside the area and its sum is zero. */
static const uint8_t *table_at(const struct tables *t, uint64_t gpa, const char *signature)
{
    const uint8_t *p = t->area.data + (gpa - t->area.gpa);
    uint64_t len;

    assert_true(gpa >= t->area.gpa && gpa + 36 <= t->area.gpa + t->area.data_len);
    len = get_le(p + 4, 4);
    assert_true(len >= 36 && gpa + len <= t->area.gpa + t->area.data_len);
    assert_int_equal(sum(p, len), 0);
    assert_memory_equal(p, signature, 4);
    return p;
}

static const uint8_t *find_table(const struct tables *t, const char *signature)
{
    const uint8_t *rsdp = t->area.data;
    const uint8_t *xsdt;

    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(rsdp[15], 2);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    xsdt = table_at(t, get_le(rsdp + 24, 8), "XSDT");
    for (uint64_t at = 36; at < get_le(xsdt + 4, 4); at += 8) {
        uint64_t gpa = get_le(xsdt + at, 8);

        if (!memcmp(t->area.data + (gpa - t->area.gpa), signature, 4))
            return table_at(t, gpa, signature);
    }
    fail_msg("no %s", signature);
    return NULL;
}

static void fadt(void **state)
{
    struct tables t = make_tables(1, BAWN_STREAM_TTY);
    const uint8_t *p = find_table(&t, "FACP");
    uint64_t flags = get_le(p + 112, 4);

    (void)state;
    assert_int_equal(get_le(p + 4, 4), 276);
    assert_int_equal(flags >> 20 & 1, 1);
    assert_int_equal(flags >> 10 & 1, 1);
    assert_int_equal(get_le(p + 116, 1), 1);
    assert_int_equal(get_le(p + 120, 8), BAWN_RESET_PORT);
    assert_int_equal(p[128], BAWN_RESET_VALUE);
    assert_int_equal(get_le(p + 244, 1), 1);
    assert_int_equal(get_le(p + 248, 8), BAWN_POWER_PORT);
    assert_int_equal(get_le(p + 260, 8), BAWN_POWER_STATUS_PORT);
    assert_int_equal(get_le(p + 40, 4), get_le(p + 140, 8));
    table_at(&t, get_le(p + 140, 8), "DSDT");
    free_tables(&t);
}

static void madt(void **state)
{
    (void)state;
    for (unsigned vcpus = 1; vcpus <= BAWN_MAX_VCPUS; vcpus++) {
        struct tables t = make_tables(vcpus, BAWN_STREAM_TTY);
        const uint8_t *p = find_table(&t, "APIC");
        unsigned lapics = 0, ioapics = 0;
        uint64_t len = get_le(p + 4, 4);

        assert_int_equal(get_le(p + 36, 4), BAWN_LAPIC_BASE);
        for (uint64_t at = 44; at < len; at += p[at + 1]) {
            assert_true(p[at + 1] >= 2 && at + p[at + 1] <= len);
            if (p[at] == 0) {
                assert_int_equal(p[at + 3], lapics++);
                assert_int_equal(get_le(p + at + 4, 4), 1);
            } else if (p[at] == 1) {
                assert_int_equal(get_le(p + at + 4, 4), BAWN_IOAPIC_BASE);
                assert_int_equal(get_le(p + at + 8, 4), 0);
                ioapics++;
            }
        }
        assert_int_equal(lapics, vcpus);
        assert_int_equal(ioapics, 1);
        free_tables(&t);
    }
}

/* Those that may come are there and not enabled; where none can come they are not. */
static void madt_later(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct tables t = (hotplug = i, max_cpus = 40, make_tables(2, BAWN_STREAM_TTY));
        const uint8_t *p = find_table(&t, "APIC");

        for (unsigned cpu = 0; cpu < (hotplug ? 40 : 2); cpu++) {
            assert_int_equal(p[44 + 8 * cpu], 0);
            assert_int_equal(p[44 + 8 * cpu + 3], cpu);
            assert_int_equal(get_le(p + 44 + 8 * cpu + 4, 4), cpu < 2 ? 1 : 2);
        }
        assert_int_equal(p[44 + 8 * (hotplug ? 40 : 2)], 1);
        free_tables(&t);
    }
    hotplug = false;
    max_cpus = 0;
}

/* What the launch digest is made of, where nothing is new. */
static void same_without(void **state)
{
    struct tables before, after;

    (void)state;
    hotplug = true;
    before = make_tables(3, BAWN_STREAM_TTY);
    for (max_cpus = 1; max_cpus <= 3; max_cpus++) {
        after = make_tables(3, BAWN_STREAM_TTY);
        assert_int_equal(after.area.data_len, before.area.data_len);
        assert_memory_equal(after.area.data, before.area.data, before.area.data_len);
        free_tables(&after);
    }
    free_tables(&before);
    hotplug = false;
    max_cpus = 0;
}

static void mcfg(void **state)
{
    struct tables t = make_tables(1, BAWN_STREAM_TTY);
    const uint8_t *p = find_table(&t, "MCFG");

    (void)state;
    assert_int_equal(get_le(p + 4, 4), 60);
    assert_int_equal(get_le(p + 44, 8), BAWN_ECAM_BASE);
    assert_int_equal(p[54], 0);
    assert_int_equal(p[55], 0);
    free_tables(&t);
}

/* PkgLength: its value, and where its own bytes end. */
static size_t package_length(const uint8_t *p, size_t *bytes)
{
    *bytes = 1 + (p[0] >> 6);
    if (*bytes == 1)
        return p[0] & 0x3f;
    return (p[0] & 0xf) | get_le(p + 1, (unsigned)*bytes - 1) << 4;
}

/* Length of the data object at p: the few kinds that the tables have. */
static size_t object_length(const uint8_t *p)
{
    size_t bytes;

    switch (p[0]) {
    case 0x00:
    case 0x01:
        return 1;
    case 0x0a:
        return 2;
    case 0x0b:
        return 3;
    case 0x0c:
        return 5;
    case 0x0d:
        return 2 + strlen((const char *)p + 1);
    case 0x11:
    case 0x12:
        return 1 + package_length(p + 1, &bytes);
    default:
        fail_msg("object 0x%x", p[0]);
        return 0;
    }
}

/* A resource template ends in an end tag exactly where its buffer does. */
static void check_resources(const uint8_t *p)
{
    size_t bytes, total = package_length(p + 1, &bytes);
    const uint8_t *end = p + 1 + total;
    const uint8_t *r = p + 1 + bytes;

    assert_int_equal(r[0], 0x0b);
    assert_int_equal(get_le(r + 1, 2), end - (r + 3));
    r += 3;
    while (r < end && r[0] != 0x79)
        r += r[0] & 0x80 ? 3 + get_le(r + 1, 2) : 1u + (r[0] & 7);
    assert_ptr_equal(r + 2, end);
}

static void check_prt(const uint8_t *p)
{
    size_t bytes, total = package_length(p + 1, &bytes);
    const uint8_t *end = p + 1 + total;
    const uint8_t *e = p + 1 + bytes;
    unsigned n = 0;

    assert_int_equal(e[0], 128);
    for (e++; e < end; e += object_length(e), n++) {
        const uint8_t *f = e + 1;

        package_length(f, &bytes);
        f += bytes;
        assert_int_equal(f[0], 4);
        f += 1 + object_length(f + 1); /* the slot */
        f += object_length(f);         /* the pin */
        assert_int_equal(f[0], 0);
        assert_int_equal(f[1], 0x0a);
        assert_int_equal(f[2], 16 + (n / 4 + n % 4) % 4);
    }
    assert_ptr_equal(e, end);
    assert_int_equal(n, 128);
}

/* The button's event, where it is the only one; _EJ0 says which slot or processor. */
static const uint8_t *walk_method(const uint8_t *p, char *list, size_t size)
{
    static const uint8_t button[] = "_EVT\x01\x86PWRB\x0a\x80";
    size_t bytes, length = package_length(p + 1, &bytes);
    const uint8_t *body = p + 1 + bytes;

    snprintf(list + strlen(list), size - strlen(list), "%.4s ", (const char *)body);
    if (!memcmp(body, "_EVT", 4) && length - bytes == sizeof(button) - 1)
        assert_memory_equal(body, button, sizeof(button) - 1);
    else if (!memcmp(body, "_EJ0", 4))
        assert_memory_equal(p + 1 + length - 4, strstr(list, "CPUS") ? "CGN0" : "SGON", 4);
    else
        assert_true(hotplug);
    return p + 1 + length;
}

/* Names and devices in [p, end), each ending where it says; devices' names go into list. */
static void walk(const uint8_t *p, const uint8_t *end, char *list, size_t size)
{
    while (p < end) {
        if (p[0] == 0x08) {
            const uint8_t *value = p + 5;

            if (!memcmp(p + 1, "_CRS", 4))
                check_resources(value);
            if (!memcmp(p + 1, "_PRT", 4))
                check_prt(value);
            p = value + object_length(value);
        } else if (p[0] == 0x14) {
            p = walk_method(p, list, size);
        } else if (p[0] == 0x5b && p[1] == 0x80) { /* ports: which, and how many */
            bool cpus = !memcmp(p + 2, "CREG", 4);

            assert_int_equal(p[6], 1);
            assert_int_equal(p[7], 0x0b);
            assert_int_equal(get_le(p + 8, 2),
                             BAWN_HOTPLUG_PORT + (cpus ? BAWN_HOTPLUG_BANK : 0));
            assert_int_equal(p[10], 0x0a);
            assert_int_equal(p[11], cpus ? 2 * BAWN_HOTPLUG_BANK : BAWN_HOTPLUG_SIZE);
            p += 12;
        } else if (p[0] == 0x5b && p[1] == 0x81) { /* what stands there */
            p += 2 + package_length(p + 2, &(size_t){ 0 });
        } else {
            size_t head = p[0] == 0x5b ? 2 : 1, bytes;
            const uint8_t *next = p + head + package_length(p + head, &bytes);

            assert_true(p[0] == 0x10 || (p[0] == 0x5b && p[1] == 0x82));
            assert_true(next <= end);
            p += head + bytes + (p[0] == 0x10 ? 1 : 0); /* the scope's root character */
            snprintf(list + strlen(list), size - strlen(list), "%.4s ", (const char *)p);
            walk(p + 4, next, list, size);
            p = next;
        }
    }
    assert_ptr_equal(p, end);
}

static void dsdt(void **state)
{
    static const struct {
        enum bawn_stream_mode serial;
        bool hotplug;
        unsigned max_cpus;
        const char *devices;
    } cases[] = {
        { BAWN_STREAM_TTY, false, 1, "_SB_ PCI0 MBRD COM1 RTC_ PEVT PWRB GED_ _EVT " },
        { BAWN_STREAM_NULL, false, 3, "_SB_ PCI0 MBRD COM1 RTC_ PEVT PWRB GED_ _EVT " },
        { BAWN_STREAM_OFF, false, 0, "_SB_ PCI0 MBRD RTC_ PEVT PWRB GED_ _EVT " },
        { BAWN_STREAM_OFF, true, 1,
          "_SB_ PCI0 S04_ _EJ0 S05_ _EJ0 S06_ _EJ0 S07_ _EJ0 S08_ _EJ0 S09_ _EJ0 S0A_ _EJ0 "
          "S0B_ _EJ0 S0C_ _EJ0 S0D_ _EJ0 S0E_ _EJ0 S0F_ _EJ0 SCAN MBRD RTC_ PEVT PWRB GED_ "
          "_EVT " },
        { BAWN_STREAM_OFF, true, 3,
          "_SB_ PCI0 S04_ _EJ0 S05_ _EJ0 S06_ _EJ0 S07_ _EJ0 S08_ _EJ0 S09_ _EJ0 S0A_ _EJ0 "
          "S0B_ _EJ0 S0C_ _EJ0 S0D_ _EJ0 S0E_ _EJ0 S0F_ _EJ0 SCAN "
          "CPUS C00_ _STA C01_ _STA _EJ0 C02_ _STA _EJ0 SCAN MBRD RTC_ PEVT PWRB GED_ _EVT " },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct tables t = (hotplug = cases[i].hotplug, max_cpus = cases[i].max_cpus,
                           make_tables(1, cases[i].serial));
        const uint8_t *p = table_at(&t, get_le(find_table(&t, "FACP") + 140, 8), "DSDT");
        char list[320] = "";

        walk(p + 36, p + get_le(p + 4, 4), list, sizeof(list));
        assert_string_equal(list, cases[i].devices);
        free_tables(&t);
    }
    hotplug = false;
    max_cpus = 0;
}

/* Of themselves confidential machines have none: their tables are those without. */
static void hotplug_by_default(void **state)
{
    struct bawn_vm_config cfg = { .hotplug = BAWN_HOTPLUG_AUTO };

    (void)state;
    assert_true(bawn_vm_config_hotplug(&cfg));
    cfg.snp.on = true;
    assert_false(bawn_vm_config_hotplug(&cfg));
    cfg.hotplug = BAWN_HOTPLUG_ON;
    assert_true(bawn_vm_config_hotplug(&cfg));
    cfg.vcpus = 2;
    cfg.max_vcpus = 4;
    assert_int_equal(bawn_vm_config_max_vcpus(&cfg), 2); /* which are measured */
    cfg.snp.on = false;
    assert_int_equal(bawn_vm_config_max_vcpus(&cfg), 4);
    cfg.hotplug = BAWN_HOTPLUG_OFF;
    assert_int_equal(bawn_vm_config_max_vcpus(&cfg), 2);
}

static void tpm2(void **state)
{
    struct tables t = make_tables(1, BAWN_STREAM_TTY);
    size_t without = t.area.data_len;
    const uint8_t *p;

    (void)state;
    free_tables(&t);
    tpm = true;
    t = make_tables(1, BAWN_STREAM_TTY);
    tpm = false;
    assert_true(t.area.data_len > without);
    p = find_table(&t, "TPM2");
    assert_int_equal(get_le(p + 4, 4), 76);
    assert_int_equal(get_le(p + 40, 8), BAWN_TPM_BASE + BAWN_TPM_CONTROL);
    assert_int_equal(get_le(p + 48, 4), 7);
    free_tables(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fadt), cmocka_unit_test(madt), cmocka_unit_test(mcfg),
        cmocka_unit_test(dsdt), cmocka_unit_test(tpm2), cmocka_unit_test(hotplug_by_default),
        cmocka_unit_test(madt_later), cmocka_unit_test(same_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
