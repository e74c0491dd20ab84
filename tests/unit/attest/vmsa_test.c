// SPDX-License-Identifier: Apache-2.0
/*
 * A vCPU's first state: the bytes that each VMM leaves, at the offsets of APM vol. 2, table B-4;
 * and the CPU models.
 */
#include "tests/unit/attest/measure_fixtures.h"

#include <jansson.h>

static uint64_t field(const struct bawn_vmsa *v, size_t off, unsigned n)
{
    const uint8_t *p = (const uint8_t *)v + off;
    uint64_t value = 0;

    while (n--)
        value = value << 8 | p[n];
    return value;
}

static void qemu(void **state)
{
    static const struct {
        size_t off;
        unsigned n;
        uint64_t value;
    } want[] = {
        { 0x000, 8, 0x0000ffff00930000 }, /* ES */
        { 0x010, 8, 0x0000ffff009bf000 }, /* CS */
        { 0x018, 8, 0x00800000 },
        { 0x020, 8, 0x0000ffff00930000 }, /* SS */
        { 0x060, 8, 0x0000ffff00000000 }, /* GDTR */
        { 0x070, 8, 0x0000ffff00820000 }, /* LDTR */
        { 0x080, 8, 0x0000ffff00000000 }, /* IDTR */
        { 0x090, 8, 0x0000ffff008b0000 }, /* TR */
        { 0x0d0, 8, 0x1000 },             /* EFER */
        { 0x148, 8, 0x40 },               /* CR4 */
        { 0x158, 8, 0x10 },               /* CR0 */
        { 0x160, 8, 0x400 },              /* DR7 */
        { 0x168, 8, 0xffff0ff0 },         /* DR6 */
        { 0x170, 8, 2 },                  /* RFLAGS */
        { 0x178, 8, 0xb004 },             /* RIP */
        { 0x268, 8, 0x7040600070406 },    /* PAT */
        { 0x310, 8, 0xa00f11 },           /* RDX */
        { 0x3b0, 8, 0x21 },               /* SEV_FEATURES */
        { 0x3e8, 8, 1 },                  /* XCR0 */
        { 0x408, 4, 0x1f80 },             /* MXCSR */
        { 0x410, 2, 0x37f },              /* x87 FCW */
    };
    struct bawn_vmsa v;

    (void)state;
    bawn_vmsa_init(&v, BAWN_VMM_QEMU, 0x80b004, 0xa00f11, 0x21);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        assert_int_equal(field(&v, want[i].off, want[i].n), want[i].value);
    bawn_vmsa_init(&v, BAWN_VMM_QEMU, BAWN_RESET_EIP, 0, 0);
    assert_int_equal(field(&v, 0x018, 8), 0xffff0000);
    assert_int_equal(field(&v, 0x178, 8), 0xfff0);
}

static void others(void **state)
{
    struct bawn_vmsa boot, ap;

    (void)state;
    bawn_vmsa_init(&boot, BAWN_VMM_EC2, BAWN_RESET_EIP, 0xa00f11, 1);
    bawn_vmsa_init(&ap, BAWN_VMM_EC2, 0x80b004, 0xa00f11, 1);
    assert_int_equal(field(&boot, 0x012, 2), 0x9a);
    assert_int_equal(field(&ap, 0x012, 2), 0x9b);
    assert_int_equal(field(&boot, 0x022, 2), 0x92);
    assert_int_equal(field(&boot, 0x092, 2), 0x83);
    assert_int_equal(field(&boot, 0x310, 8), 0x600);
    bawn_vmsa_init(&ap, BAWN_VMM_KRUN, 0x80b004, 0xa00f11, 1);
    assert_int_equal(field(&ap, 0x012, 2), 0x9a);
    assert_int_equal(field(&ap, 0x310, 8), 0);
    assert_int_equal(field(&ap, 0x408, 4), 0);
    bawn_vmsa_init(&boot, BAWN_VMM_GCE, BAWN_RESET_EIP, 0xa00f11, 1);
    assert_int_equal(field(&boot, 0x268, 8), 0x70106);
    assert_int_equal(field(&boot, 0x310, 8), 0x600);
}

static void names(void **state)
{
    enum bawn_vmm vmm = BAWN_VMMS;

    (void)state;
    assert_true(bawn_vmm_find("Ec2", &vmm));
    assert_int_equal(vmm, BAWN_VMM_EC2);
    assert_true(bawn_vmm_find("krun", &vmm));
    assert_int_equal(vmm, BAWN_VMM_KRUN);
    assert_false(bawn_vmm_find("xen", &vmm));
    assert_false(bawn_vmm_find("", &vmm));
    assert_string_equal(bawn_vmm_name(BAWN_VMM_GCE), "gce");
    assert_string_equal(bawn_vmm_name(BAWN_VMMS), "unknown");
}

static void models(void **state)
{
    json_t *root = json_load_file(UPSTREAM "launch_digest_vectors.json", 0, NULL), *value;
    unsigned checked = 0;
    const char *model;
    uint32_t signature;

    (void)state;
    assert_non_null(root);
    json_object_foreach(json_object_get(root, "cpu_sigs"), model, value)
    {
        signature = 0;
        assert_true(bawn_cpu_find(model, &signature));
        assert_int_equal(signature, json_integer_value(value));
        checked++;
    }
    json_decref(root);
    assert_int_equal(checked, 16);
    assert_int_equal(bawn_cpu_signature(23, 1, 2), 0x800f12);
    assert_int_equal(bawn_cpu_signature(6, 0x55, 7), 0x50657);
    assert_false(bawn_cpu_find("EPYC-", &signature));
    assert_string_equal(bawn_cpu_model(0), "EPYC");
    assert_null(bawn_cpu_model(1000));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(qemu),
        cmocka_unit_test(others),
        cmocka_unit_test(names),
        cmocka_unit_test(models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
