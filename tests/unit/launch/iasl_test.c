// SPDX-License-Identifier: Apache-2.0
/*
 * The ACPI tables as ACPICA's compiler reads them: disassembled and compiled again, it has nothing
 * to remark, and what it makes of them is what they were. Skipped without iasl.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/launch/images.h"

#define ACPI_AT 0xe0000
#define AREA 0x10000

static char folder[] = "/tmp/bawn-acpi-test.XXXXXX";

__attribute__((format(printf, 1, 2))) static int command(const char *fmt, ...)
{
    char text[512], whole[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof(whole), "cd %s && { %s; } </dev/null >/dev/null 2>&1", folder, text);
    return WEXITSTATUS(system(whole));
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return command("rm -rf %s", folder);
}

static void check_table(const char *name, const uint8_t *data, size_t len)
{
    char path[128];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s.dat", folder, name);
    out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(command("iasl -d %s.dat", name), 0);
    /* -we: warnings are errors. */
    assert_int_equal(command("iasl -we -oa -p again %s.dsl >log 2>&1", name), 0);
    assert_int_equal(command("grep '0 Errors, 0 Warnings, 0 Remarks' log"), 0);
    if (!strcmp(name, "DSDT")) {
        /* It writes some lengths shorter: what it reads of that is the same. */
        assert_int_equal(command("iasl -d again.aml && grep -v '^ [*]' DSDT.dsl >a && "
                                 "grep -v '^ [*]' again.dsl >b && cmp a b"),
                         0);
        return;
    }
    assert_int_equal(command("! grep -Ei 'error|warning|remark|invalid|unknown' %s.dsl", name), 0);
    /* The compiler's id and revision in the header, and so the sum, are iasl's own. */
    assert_int_equal(command("tail -c +37 %s.dat >a && tail -c +37 again.aml >b && cmp a b", name),
                     0);
}

static void check_all(const struct bawn_vm_config *cfg)
{
    uint8_t *area = calloc(1, AREA);
    const uint8_t *xsdt;
    size_t len = 0;

    assert_non_null(area);
    assert_int_equal(acpi_build(area, AREA, ACPI_AT, cfg, &len, NULL), BAWN_OK);
    xsdt = area + get_le(area + 24, 8) - ACPI_AT;
    check_table("XSDT", xsdt, get_le(xsdt + 4, 4));
    for (uint64_t at = 36; at < get_le(xsdt + 4, 4); at += 8) {
        const uint8_t *table = area + get_le(xsdt + at, 8) - ACPI_AT;
        char name[5] = "";

        memcpy(name, table, 4);
        check_table(name, table, get_le(table + 4, 4));
        if (!strcmp(name, "FACP")) {
            table = area + get_le(table + 140, 8) - ACPI_AT;
            check_table("DSDT", table, get_le(table + 4, 4));
        }
    }
    free(area);
}

static void tables(void **state)
{
    struct bawn_vm_config cfg;
    char path[] = "tpm";

    (void)state;
    if (system("iasl -v >/dev/null 2>&1") != 0)
        skip();
    bawn_vm_config_init(&cfg);
    check_all(&cfg);
    cfg.max_vcpus = 2;
    check_all(&cfg);
    cfg.max_vcpus = BAWN_MAX_VCPUS;
    check_all(&cfg);
    cfg.hotplug = BAWN_HOTPLUG_OFF;
    cfg.vcpus = BAWN_MAX_VCPUS;
    cfg.serial.mode = BAWN_STREAM_OFF;
    cfg.tpm = path;
    check_all(&cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables, make_folder, remove_folder),
    };

    return cmocka_run_group_tests_name("launch/acpi by iasl", tests, NULL, NULL);
}
