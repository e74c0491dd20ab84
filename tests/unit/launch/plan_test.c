// SPDX-License-Identifier: Apache-2.0
/*
 * Plans over the whole range of sizes and vCPU counts, and the predicted measurement: the same
 * from the same inputs, another after any change of one.
 */
#include <openssl/evp.h>

#include "tests/unit/launch/images.h"

#define MIB (1ull << 20)

struct inputs {
    struct bawn_vm_config cfg;
    uint8_t *kernel, *initrd;
    size_t kernel_len, initrd_len;
};

static struct inputs make_inputs(bool elf)
{
    struct inputs in = { .cfg = make_config(128 * MIB, 2) };

    in.kernel = elf ? make_elf() : make_bzimage();
    in.kernel_len = elf ? ELF_SIZE : BZ_SIZE;
    in.initrd_len = 5000;
    in.initrd = malloc(in.initrd_len);
    assert_non_null(in.initrd);
    for (size_t i = 0; i < in.initrd_len; i++)
        in.initrd[i] = (uint8_t)i;
    return in;
}

static void free_inputs(struct inputs *in)
{
    bawn_vm_config_free(&in->cfg);
    free(in->kernel);
    free(in->initrd);
}

struct digest {
    uint8_t bytes[BAWN_MEASURE_DIGEST_SIZE];
};

static struct digest digest_of(const struct inputs *in)
{
    struct bawn_launch_plan plan;
    struct bawn_measure_log log;
    struct bawn_error err = { "" };
    struct digest d;

    if (bawn_launch_plan(&plan, &in->cfg, in->kernel, in->kernel_len, in->initrd, in->initrd_len,
                         &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    check_plan(&plan, &in->cfg);
    assert_int_equal(bawn_launch_measure(&in->cfg, &plan, &log, &err), BAWN_OK);
    assert_int_equal(log.nr_events, 1 + plan.nr_ram + plan.nr_regions + in->cfg.vcpus);
    memcpy(d.bytes, log.digest, sizeof(d.bytes));
    bawn_measure_log_free(&log);
    bawn_launch_plan_free(&plan);
    return d;
}

static bool same(const struct digest *a, const struct digest *b)
{
    return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static void all_sizes(void **state)
{
    static const uint64_t mib[] = { 64,   66,   128,  1024, 2046, 2048,  2050,
                                    3070, 3072, 3074, 4096, 8192, 32768, 65536 };

    (void)state;
    for (unsigned elf = 0; elf < 2; elf++) {
        struct inputs in = make_inputs(elf);

        for (size_t i = 0; i < ARRAY_SIZE(mib); i++) {
            struct bawn_launch_plan plan;
            const struct bawn_region *initrd;

            in.cfg.memory = mib[i] * MIB;
            in.cfg.vcpus = 1 + (unsigned)i % BAWN_MAX_VCPUS;
            digest_of(&in);
            assert_int_equal(bawn_launch_plan(&plan, &in.cfg, in.kernel, in.kernel_len, in.initrd,
                                              in.initrd_len, NULL),
                             BAWN_OK);
            assert_int_equal(plan.nr_ram, mib[i] > 3072 ? 2 : 1);
            initrd = find_region(&plan, BAWN_MEASURE_INITRD);
            assert_non_null(initrd);
            if (!elf)
                assert_true(initrd->gpa + initrd->size <= 0x80000000);
            bawn_launch_plan_free(&plan);
        }
        free_inputs(&in);
    }
}

static void all_vcpus(void **state)
{
    struct inputs in = make_inputs(false);
    struct digest last = { { 0 } };

    (void)state;
    for (in.cfg.vcpus = 1; in.cfg.vcpus <= BAWN_MAX_VCPUS; in.cfg.vcpus++) {
        struct digest d = digest_of(&in);

        assert_false(same(&d, &last));
        last = d;
    }
    free_inputs(&in);
}

/* RAM in the boot information is the RAM of the plan, and nothing the tables stand in. */
static void memory_map(void **state)
{
    static const uint64_t mib[] = { 64, 3072, 4096, 65536 };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mib); i++) {
        struct inputs in = make_inputs(false);
        struct bawn_launch_plan plan;
        const uint8_t *bp;
        uint64_t ram = 0, from = 0;

        in.cfg.memory = mib[i] * MIB;
        assert_int_equal(bawn_launch_plan(&plan, &in.cfg, in.kernel, in.kernel_len, in.initrd,
                                          in.initrd_len, NULL),
                         BAWN_OK);
        bp = find_region(&plan, BAWN_MEASURE_BOOT_INFO)->data;
        for (unsigned e = 0; e < bp[0x1e8]; e++) {
            uint64_t start = get_le(bp + 0x2d0 + 20 * e, 8);
            uint64_t size = get_le(bp + 0x2d8 + 20 * e, 8);

            assert_true(start >= from);
            from = start + size;
            if (get_le(bp + 0x2e0 + 20 * e, 4) == 1) {
                ram += size;
                assert_false(start < 0x100000 && from > LOW_RAM_END);
                assert_false(start < BAWN_HIGH_RAM && from > BAWN_HOLE_START);
            }
        }
        assert_int_equal(ram + (HIGH_START - LOW_RAM_END), in.cfg.memory);
        bawn_launch_plan_free(&plan);
        free_inputs(&in);
    }
}

static void deterministic(void **state)
{
    (void)state;
    for (unsigned elf = 0; elf < 2; elf++) {
        struct inputs a = make_inputs(elf), b = make_inputs(elf);
        struct digest da = digest_of(&a), db = digest_of(&b);

        assert_true(same(&da, &db));
        /* Where output goes and whether there is an rng is not part of the launch. */
        b.cfg.serial.mode = BAWN_STREAM_NULL;
        b.cfg.console.mode = BAWN_STREAM_NULL;
        b.cfg.rng = false;
        db = digest_of(&b);
        assert_true(same(&da, &db));
        free_inputs(&a);
        free_inputs(&b);
    }
}

/* Any byte of what is loaded: first, last, and a stride between. */
static void each_byte(struct inputs *in, uint8_t *bytes, size_t from, size_t len)
{
    struct digest good = digest_of(in);

    for (size_t i = from; i < len; i += i + 1 < len && i + 101 >= len ? len - 1 - i : 101) {
        struct digest d;

        bytes[i] ^= 1;
        d = digest_of(in);
        bytes[i] ^= 1;
        assert_false(same(&d, &good));
    }
}

static void sensitive(void **state)
{
    (void)state;
    for (unsigned elf = 0; elf < 2; elf++) {
        struct inputs in = make_inputs(elf);
        struct digest good = digest_of(&in), d;
        char *cmdline = in.cfg.cmdline;
        char longer[64];

        each_byte(&in, in.kernel, elf ? ELF_TEXT_AT : BZ_SETUP, elf ? ELF_SIZE : BZ_SIZE);
        each_byte(&in, in.initrd, 0, in.initrd_len);
        each_byte(&in, (uint8_t *)cmdline, 0, strlen(cmdline));
        snprintf(longer, sizeof(longer), "%s ", cmdline);
        in.cfg.cmdline = longer;
        d = digest_of(&in);
        assert_false(same(&d, &good));
        in.cfg.cmdline = cmdline;
        in.initrd_len--;
        d = digest_of(&in);
        assert_false(same(&d, &good));
        in.initrd_len++;
        in.cfg.memory += 2 * MIB;
        d = digest_of(&in);
        assert_false(same(&d, &good));
        in.cfg.memory -= 2 * MIB;
        in.cfg.serial.mode = BAWN_STREAM_OFF; /* no COM1 in the tables */
        d = digest_of(&in);
        assert_false(same(&d, &good));
        free_inputs(&in);
    }
}

static void sha384(const void *p, size_t n, uint8_t out[BAWN_MEASURE_DIGEST_SIZE])
{
    assert_int_equal(EVP_Digest(p, n, out, NULL, EVP_sha384(), NULL), 1);
}

/* The encoding, spelled out here a second time from docs/measured-launch.md. */
static void encoding(void **state)
{
    struct inputs in = make_inputs(false);
    uint8_t chain[BAWN_MEASURE_DIGEST_SIZE + 72], want[BAWN_MEASURE_DIGEST_SIZE];
    uint8_t config[48] = { 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1 };
    uint8_t ap[416] = { 1, 0, 0, 0, 1 }; /* id 1, KVM_MP_STATE_UNINITIALIZED */
    struct bawn_launch_plan plan;
    struct bawn_measure_log log;
    uint8_t *page = calloc(1, 4096);

    (void)state;
    assert_non_null(page);
    assert_int_equal(sizeof(struct bawn_measure_event), 72);
    assert_int_equal(sizeof(struct bawn_measure_config), sizeof(config));
    assert_int_equal(sizeof(struct bawn_measure_vcpu), 8 + 16 * 8 + 7 * 8 + 8 * 16 + 2 * 8 + 2 * 4);
    assert_int_equal(
        bawn_launch_plan(&plan, &in.cfg, in.kernel, in.kernel_len, in.initrd, in.initrd_len, NULL),
        BAWN_OK);
    assert_int_equal(bawn_launch_measure(&in.cfg, &plan, &log, NULL), BAWN_OK);
    sha384(config, sizeof(config), want);
    assert_memory_equal(log.events[0].digest, want, sizeof(want));
    sha384(ap, sizeof(struct bawn_measure_vcpu), want);
    assert_memory_equal(log.events[log.nr_events - 1].digest, want, sizeof(want));
    memcpy(page, in.cfg.cmdline, strlen(in.cfg.cmdline));
    sha384(page, 4096, want);
    for (unsigned i = 0; i < log.nr_events; i++)
        if (log.events[i].type == BAWN_MEASURE_CMDLINE)
            assert_memory_equal(log.events[i].digest, want, sizeof(want));
    sha384("bawn-measure-v1", 16, chain);
    for (unsigned i = 0; i < log.nr_events; i++) {
        memcpy(chain + BAWN_MEASURE_DIGEST_SIZE, &log.events[i], 72);
        sha384(chain, sizeof(chain), want);
        memcpy(chain, want, sizeof(want));
    }
    assert_memory_equal(chain, log.digest, sizeof(log.digest));
    bawn_measure_log_free(&log);
    bawn_launch_plan_free(&plan);
    free_inputs(&in);
    free(page);
}

/* What does not fit is refused with the numbers. */
static void too_big(void **state)
{
    struct inputs in = make_inputs(false);
    struct bawn_launch_plan plan;
    struct bawn_error err;
    char *longest = malloc(LOW_CMDLINE_MAX + 2);

    (void)state;
    assert_non_null(longest);
    memset(longest, 'x', LOW_CMDLINE_MAX + 1);
    longest[LOW_CMDLINE_MAX + 1] = '\0';
    free(in.cfg.cmdline);
    in.cfg.cmdline = longest;
    assert_int_equal(bawn_launch_plan(&plan, &in.cfg, in.kernel, in.kernel_len, NULL, 0, &err),
                     BAWN_E_CONFIG);
    longest[2048] = '\0';
    assert_int_equal(bawn_launch_plan(&plan, &in.cfg, in.kernel, in.kernel_len, NULL, 0, &err),
                     BAWN_E_CONFIG);
    longest[2047] = '\0';
    /* The length alone must be enough to refuse: nothing of the initrd is read. */
    assert_int_equal(
        bawn_launch_plan(&plan, &in.cfg, in.kernel, in.kernel_len, in.initrd, SIZE_MAX, &err),
        BAWN_E_CONFIG);
    assert_int_equal(bawn_launch_plan(&plan, &in.cfg, in.kernel, in.kernel_len, NULL, 0, &err),
                     BAWN_OK);
    assert_null(find_region(&plan, BAWN_MEASURE_INITRD));
    bawn_launch_plan_free(&plan);
    free_inputs(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sizes),     cmocka_unit_test(all_vcpus), cmocka_unit_test(memory_map),
        cmocka_unit_test(deterministic), cmocka_unit_test(sensitive), cmocka_unit_test(encoding),
        cmocka_unit_test(too_big),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
