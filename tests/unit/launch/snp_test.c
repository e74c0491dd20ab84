// SPDX-License-Identifier: Apache-2.0
/*
 * launch/snp*.c: the pages of an SNP launch against the shim's own check of its parameters, the
 * vCPUs' state, what the digest depends on, and hostile kernels, initrds and sizes.
 */
#include "bawn/shim.h"
#include "bawn/snp.h"
#include "guest/shim/params.c"
#include "launch/snp.h"
#include "tests/unit/launch/images.h"

#include <openssl/evp.h>

#define MEMORY (256ull << 20)
#define SHIM_SIZE 9000
#define INITRD_SIZE 5000
#define C_BIT 47
#define CMDLINE_SIZE_AT 0x238 /* of the kernel's header */

static uint8_t shim[SHIM_SIZE], initrd[INITRD_SIZE];

static const struct bawn_snp_region *find(const struct bawn_snp_launch *plan, uint64_t gpa)
{
    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_snp_region *r = &plan->region[i];

        if (gpa >= r->gpa && gpa - r->gpa < r->size)
            return r;
    }
    return NULL;
}

/* The bytes of a blob stand where the parameters say, and hash to what they say. */
static void check_blob(const struct bawn_snp_launch *plan, const struct bawn_shim_blob *b)
{
    const struct bawn_snp_region *r = find(plan, b->gpa);
    uint8_t hash[32];

    assert_non_null(r);
    assert_int_equal(r->type, BAWN_SNP_UNMEASURED);
    assert_int_equal(r->gpa + r->data_at, b->gpa);
    assert_int_equal(r->data_len, b->size);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, r->data, r->data_len, hash, NULL), 1);
    assert_memory_equal(hash, b->sha256, sizeof(hash));
}

/* What holds for every plan, whatever it was made from: the shim would take it, and all that the
 * shim takes for launched is launched. */
static void check_snp_plan(const struct bawn_snp_launch *plan, const struct bawn_vm_config *cfg)
{
    const struct bawn_snp_region *r = find(plan, BAWN_SHIM_PARAMS);
    const struct bawn_shim_params *p = (const struct bawn_shim_params *)r->data;
    struct shim_launched launched;
    uint64_t pages = 0, said = 0;

    assert_int_equal(r->type, BAWN_SNP_NORMAL);
    assert_int_equal(shim_params_check(p, SHIM_SIZE, C_BIT, &launched), 0);
    assert_int_equal(p->vcpus, cfg->vcpus);
    for (unsigned i = 0; i < launched.count; i++) {
        for (uint64_t at = 0; at < launched.range[i].size; at += PAGE)
            assert_non_null(find(plan, launched.range[i].gpa + at));
        said += launched.range[i].size;
    }
    for (unsigned i = 0; i < plan->nr_regions; i++) {
        assert_int_equal(plan->region[i].gpa % PAGE, 0);
        assert_int_equal(plan->region[i].size % PAGE, 0);
        assert_true(plan->region[i].data_at + plan->region[i].data_len <= plan->region[i].size);
        pages += plan->region[i].size;
    }
    assert_int_equal(pages, said);
    check_blob(plan, &p->kernel);
    check_blob(plan, &p->cmdline);
    if (p->initrd.size)
        check_blob(plan, &p->initrd);
}

struct input {
    struct bawn_vm_config cfg;
    struct bawn_snp_files files;
};

static struct input make_input(void)
{
    struct input in = {
        .cfg = make_config(MEMORY, 2),
        .files = {
            .shim = { shim, sizeof(shim) },
            .kernel = { make_bzimage(), BZ_SIZE },
            .initrd = { initrd, sizeof(initrd) },
        },
    };

    in.cfg.snp.on = true;
    return in;
}

static void free_input(struct input *in)
{
    free((void *)in->files.kernel.data);
    bawn_vm_config_free(&in->cfg);
}

static enum bawn_status plan_of(struct input *in, struct bawn_snp_launch *plan,
                                struct bawn_error *err)
{
    enum bawn_status st = bawn_snp_launch_plan(plan, &in->cfg, &in->files, err);

    if (st == BAWN_OK) {
        check_snp_plan(plan, &in->cfg);
    } else {
        assert_true(strlen(err->msg) > 0);
        assert_null(plan->owned);
    }
    return st;
}

static void placed(void **state)
{
    static const struct {
        enum bawn_snp_page type;
        uint64_t gpa, size;
    } want[] = {
        { BAWN_SNP_NORMAL, 0x10000, 0x3000 },
        { BAWN_SNP_NORMAL, 0x20000, 0x1000 },
        { BAWN_SNP_NORMAL, 0x50000, 0 },
        { BAWN_SNP_SECRETS, 0x21000, 0x1000 },
        { BAWN_SNP_CPUID, 0x22000, 0x1000 },
        { BAWN_SNP_ZERO, 0x23000, 0x1d000 },
        { BAWN_SNP_UNMEASURED, BZ_LOAD - 0x1000, 0x3000 }, /* with the setup part before it */
        { BAWN_SNP_UNMEASURED, MEMORY - 0x2000, 0x2000 },
        { BAWN_SNP_UNMEASURED, 0x40000, 0x1000 },
    };
    struct input in = make_input();
    struct bawn_snp_launch plan;
    struct bawn_error err = { "" };
    const struct bawn_shim_params *p;

    (void)state;
    assert_int_equal(plan_of(&in, &plan, &err), BAWN_OK);
    assert_int_equal(plan.nr_regions, ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_int_equal(plan.region[i].type, want[i].type);
        assert_int_equal(plan.region[i].gpa, want[i].gpa);
        if (want[i].size)
            assert_int_equal(plan.region[i].size, want[i].size);
    }
    p = (const struct bawn_shim_params *)plan.region[1].data;
    assert_int_equal(p->kernel.gpa, BZ_LOAD - BZ_SETUP);
    assert_int_equal(p->kernel.size, BZ_SIZE);
    assert_int_equal(p->cmdline.size, strlen(in.cfg.cmdline) + 1);
    assert_int_equal(p->rsdp, BAWN_SHIM_ACPI);
    assert_int_equal(p->nr_ram, 2);
    assert_memory_equal(plan.region[2].data, "RSD PTR ", 8);
    /* The tables point into each other at their place. */
    assert_in_range(get_le(plan.region[2].data + 24, 8), BAWN_SHIM_ACPI + 36,
                    BAWN_SHIM_ACPI + plan.region[2].data_len);
    bawn_snp_launch_free(&plan);

    in.cfg.memory = 6ull << 30;
    in.files.initrd = (struct bawn_bytes){ NULL, 0 };
    assert_int_equal(plan_of(&in, &plan, &err), BAWN_OK);
    assert_int_equal(plan.nr_ram, 2);
    p = (const struct bawn_shim_params *)plan.region[1].data;
    assert_int_equal(p->nr_ram, 3);
    assert_int_equal(p->ram[2].gpa, BAWN_HIGH_RAM);
    assert_int_equal(p->ram[2].size, (6ull << 30) - BAWN_HOLE_START);
    assert_int_equal(p->initrd.gpa, 0);
    bawn_snp_launch_free(&plan);
    free_input(&in);
}

/* Against AMD's table and the shim's contract, field by field. */
static void vcpu_state(void **state)
{
    struct input in = make_input();
    struct bawn_snp_launch plan;
    struct bawn_error err = { "" };
    const struct bawn_vmsa *bsp = &plan.vmsa[BAWN_SNP_BSP], *ap = &plan.vmsa[BAWN_SNP_AP];

    (void)state;
    assert_int_equal(plan_of(&in, &plan, &err), BAWN_OK);
    assert_int_equal(bsp->rip, BAWN_SHIM_IMAGE);
    assert_int_equal(bsp->cr0, 0x11);
    assert_int_equal(bsp->cr4, 0x40);
    assert_int_equal(bsp->efer, 0x1000);
    assert_int_equal(bsp->cs.attrib, 0xc9b);
    assert_int_equal(bsp->ss.attrib, 0xc93);
    assert_int_equal(bsp->cs.limit, 0xffffffff);
    assert_int_equal(bsp->cs.base, 0);
    assert_int_equal(bsp->sev_features, 1);
    assert_int_equal(bsp->rflags, 2);
    assert_int_equal(ap->rip, 0xfff0);
    assert_int_equal(ap->cs.base, 0xffff0000);
    assert_int_equal(ap->cs.attrib, 0x9b);
    assert_int_equal(ap->cr0, 0x10);
    assert_int_equal(ap->tr.attrib, 0x8b);
    assert_int_equal(ap->ldtr.attrib, 0x82);
    assert_int_equal(plan.regs[BAWN_SNP_BSP].rip, BAWN_SHIM_IMAGE);
    assert_int_equal(plan.sregs[BAWN_SNP_BSP].apic_base, 0xfee00900);
    bawn_snp_launch_free(&plan);
    free_input(&in);
}

static void get_digest(struct input *in, uint8_t digest[BAWN_SNP_DIGEST_SIZE])
{
    struct bawn_snp_launch plan;
    struct bawn_error err = { "" };

    assert_int_equal(plan_of(in, &plan, &err), BAWN_OK);
    memcpy(digest, plan.digest, BAWN_SNP_DIGEST_SIZE);
    bawn_snp_launch_free(&plan);
}

static void digest_depends(void **state)
{
    enum { NR = 10 };
    uint8_t digest[NR][BAWN_SNP_DIGEST_SIZE], again[BAWN_SNP_DIGEST_SIZE];
    struct input in = make_input();
    uint8_t *kernel = (uint8_t *)in.files.kernel.data;
    unsigned n = 0;

    (void)state;
    get_digest(&in, digest[n++]);
    kernel[BZ_SIZE - 1] ^= 1;
    get_digest(&in, digest[n++]);
    kernel[BZ_SIZE - 1] ^= 1;
    initrd[INITRD_SIZE - 1] ^= 1;
    get_digest(&in, digest[n++]);
    initrd[INITRD_SIZE - 1] ^= 1;
    shim[SHIM_SIZE - 1] ^= 1;
    get_digest(&in, digest[n++]);
    shim[SHIM_SIZE - 1] ^= 1;
    in.cfg.cmdline[0] ^= 1;
    get_digest(&in, digest[n++]);
    in.cfg.cmdline[0] ^= 1;
    for (in.cfg.vcpus = 1; in.cfg.vcpus < 5; in.cfg.vcpus++) {
        if (in.cfg.vcpus != 2)
            get_digest(&in, digest[n++]);
    }
    in.cfg.vcpus = 2;
    in.cfg.memory += BAWN_MEM_ALIGN;
    get_digest(&in, digest[n++]);
    in.cfg.memory -= BAWN_MEM_ALIGN;
    in.cfg.serial.mode = BAWN_STREAM_OFF;
    get_digest(&in, digest[n++]);
    in.cfg.serial.mode = BAWN_STREAM_TTY;
    assert_int_equal(n, NR);
    for (unsigned i = 0; i < NR; i++) {
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(digest[i], digest[k], BAWN_SNP_DIGEST_SIZE);
    }
    /* The report has these beside the measurement; the devices are the host's. */
    in.cfg.snp.policy |= 1ull << 19;
    in.cfg.snp.host_data[0] = 1;
    in.cfg.rng = false;
    get_digest(&in, again);
    assert_memory_equal(again, digest[0], sizeof(again));
    free_input(&in);
}

/* The same list through the digest's own definition (AMD 56860, 8.17.2), written anew here. */
static void add_page_info(uint8_t digest[48], const uint8_t contents[48], enum bawn_snp_page type,
                          uint64_t gpa)
{
    uint8_t info[0x70] = { 0 };

    memcpy(info, digest, 48);
    memcpy(info + 0x30, contents, 48);
    put_le(info + 0x60, 0x70, 2);
    info[0x62] = (uint8_t)type;
    put_le(info + 0x68, gpa, 8);
    assert_int_equal(EVP_Q_digest(NULL, "SHA384", NULL, info, sizeof(info), digest, NULL), 1);
}

static void digest_by_hand(void **state)
{
    static const uint8_t zero[48];
    struct input in = make_input();
    uint8_t digest[48] = { 0 }, contents[48], page[4096];
    struct bawn_snp_launch plan;
    struct bawn_error err = { "" };

    (void)state;
    assert_int_equal(plan_of(&in, &plan, &err), BAWN_OK);
    for (unsigned i = 0; i < plan.nr_regions; i++) {
        const struct bawn_snp_region *r = &plan.region[i];

        for (uint64_t at = 0; at < r->size; at += PAGE) {
            memset(page, 0, sizeof(page));
            if (r->data_len > at)
                memcpy(page, r->data + at, r->data_len - at < PAGE ? r->data_len - at : PAGE);
            EVP_Q_digest(NULL, "SHA384", NULL, page, sizeof(page), contents, NULL);
            add_page_info(digest, r->type == BAWN_SNP_NORMAL ? contents : zero, r->type,
                          r->gpa + at);
        }
    }
    for (unsigned i = 0; i < in.cfg.vcpus; i++) {
        EVP_Q_digest(NULL, "SHA384", NULL, &plan.vmsa[i ? 1 : 0], 4096, contents, NULL);
        add_page_info(digest, contents, BAWN_SNP_VMSA, 0xfffffffff000);
    }
    assert_memory_equal(digest, plan.digest, sizeof(digest));
    bawn_snp_launch_free(&plan);
    free_input(&in);
}

static void refused(void **state)
{
    static const struct {
        unsigned at, n;
        uint64_t value;
        const char *words;
    } cases[] = {
        { 0x202, 4, 0, "must be a bzImage" },
        { 0x206, 2, 0x20b, "2.12" },
        { 0x234, 1, 0, "not relocatable" },
        { 0x236, 2, 0, "64-bit" },
        { 0x211, 1, 0, "loadflags" },
        { 0x230, 4, 3, "power of two" },
        { 0x230, 4, 0x80000000, "power of two" },
        { 0x258, 8, MEMORY, "more memory" },
        { 0x258, 8, ~0ull << 12, "more memory" },
        { 0x258, 8, ~0ull, "more memory" },
        { 0x260, 4, 0xffffffff, "more memory" },
        { 0x260, 4, 100, "init_size" },
        { 0x22c, 4, BZ_LOAD, "initrd of 5000 bytes does not fit" },
        { CMDLINE_SIZE_AT, 4, 3, "takes at most 3" },
        { 0x1f1, 1, 0xff, "no kernel" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct input in = make_input();
        struct bawn_snp_launch plan;
        struct bawn_error err = { "" };

        put_le((uint8_t *)in.files.kernel.data + cases[i].at, cases[i].value, cases[i].n);
        if (plan_of(&in, &plan, &err) == BAWN_OK || !strstr(err.msg, cases[i].words))
            fail_msg("%zu: got \"%s\", want \"%s\"", i, err.msg, cases[i].words);
        free_input(&in);
    }
}

/* Low and odd preferred addresses: the setup part must fit above 1 MiB. */
static void odd_places(void **state)
{
    static const uint64_t preferred[] = { 0, 0x100000, 0x100fff, 0x100a00, 0x1000001 };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(preferred); i++) {
        struct input in = make_input();
        struct bawn_snp_launch plan;
        struct bawn_error err = { "" };

        put_le((uint8_t *)in.files.kernel.data + 0x258, preferred[i], 8);
        assert_int_equal(plan_of(&in, &plan, &err), BAWN_OK);
        assert_non_null(find(&plan, preferred[i] == 0x1000001 ? 0x1200000 : 0x200000));
        bawn_snp_launch_free(&plan);
        free_input(&in);
    }
}

static void sizes(void **state)
{
    static const struct {
        size_t shim, cmdline, initrd;
        const char *words; /* NULL: fits */
    } cases[] = {
        { BAWN_SHIM_IMAGE_MAX, 10, 1, NULL },
        { 0, 10, 1, "the shim has 0 bytes" },
        { BAWN_SHIM_IMAGE_MAX + 1, 10, 1, "the shim has 65537 bytes" },
        { 1, BAWN_SHIM_CMDLINE_MAX - 1, 1, NULL },
        { 1, BAWN_SHIM_CMDLINE_MAX, 1, "at most 65535" },
        /* Refused by number: the bytes are never looked at. */
        { 1, 10, MEMORY - BZ_LOAD, "does not fit" },
        { 1, 10, SIZE_MAX, "does not fit" },
    };
    uint8_t *big = calloc(1, BAWN_SHIM_IMAGE_MAX + 1);

    (void)state;
    assert_non_null(big);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct input in = make_input();
        struct bawn_snp_launch plan;
        struct bawn_error err = { "" };
        enum bawn_status st;

        put_le((uint8_t *)in.files.kernel.data + CMDLINE_SIZE_AT, 1u << 20, 4);
        in.files.shim = (struct bawn_bytes){ big, cases[i].shim };
        in.files.initrd = (struct bawn_bytes){ big, cases[i].initrd };
        free(in.cfg.cmdline);
        in.cfg.cmdline = malloc(cases[i].cmdline + 1);
        assert_non_null(in.cfg.cmdline);
        memset(in.cfg.cmdline, 'x', cases[i].cmdline);
        in.cfg.cmdline[cases[i].cmdline] = '\0';
        st = bawn_snp_launch_plan(&plan, &in.cfg, &in.files, &err);
        if ((st == BAWN_OK) != !cases[i].words || !strstr(err.msg, cases[i].words ?: ""))
            fail_msg("%zu: got \"%s\", want \"%s\"", i, err.msg, cases[i].words ?: "a plan");
        if (st == BAWN_OK)
            bawn_snp_launch_free(&plan);
        free_input(&in);
    }
    free(big);
}

static void hostile_kernels(void **state)
{
    struct bawn_snp_launch plan;

    (void)state;
    for (size_t len = 0; len < BZ_SIZE; len += len < 0x300 ? 1 : 97) {
        struct input in = make_input();
        struct bawn_error err = { "" };
        uint8_t *exact = copy_exact(in.files.kernel.data, len);

        free((void *)in.files.kernel.data);
        in.files.kernel = (struct bawn_bytes){ exact, len };
        if (plan_of(&in, &plan, &err) == BAWN_OK)
            bawn_snp_launch_free(&plan);
        free_input(&in);
    }
    for (unsigned at = 0x1f1; at < BZ_HEADER_END; at++) {
        static const uint8_t with[] = { 0x01, 0x80, 0xff };

        for (size_t k = 0; k < sizeof(with); k++) {
            struct input in = make_input();
            struct bawn_error err = { "" };

            ((uint8_t *)in.files.kernel.data)[at] ^= with[k];
            if (plan_of(&in, &plan, &err) == BAWN_OK)
                bawn_snp_launch_free(&plan);
            free_input(&in);
        }
    }
}

static void cpuid_page(void **state)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[80];
    } c = { .head.nent = 5 };
    struct bawn_psp_cpuid_page page;
    struct bawn_error err = { "" };

    (void)state;
    c.head.entries[0] = (struct kvm_cpuid_entry2){ .function = 0, .index = 9, .eax = 0xd };
    c.head.entries[1] = (struct kvm_cpuid_entry2){
        .function = 0xd, .index = 1, .flags = 1, .eax = 0xf, .ebx = 0x988
    };
    c.head.entries[2] = (struct kvm_cpuid_entry2){
        .function = 0xd, .index = 2, .flags = 1, .eax = 0x100, .ebx = 0x240
    };
    c.head.entries[3] = (struct kvm_cpuid_entry2){ .function = 0x19 }; /* zero: left out */
    c.head.entries[4] = (struct kvm_cpuid_entry2){ .function = 0xd, .index = 0, .flags = 1 };
    assert_int_equal(bawn_snp_cpuid_page(&page, &c.head, &err), BAWN_OK);
    assert_int_equal(page.count, 4);
    assert_int_equal(page.function[0].ecx_in, 0);
    assert_int_equal(page.function[1].ecx_in, 1);
    assert_int_equal(page.function[1].ebx, 0x240);
    assert_int_equal(page.function[1].xcr0_in, 1);
    assert_int_equal(page.function[2].ebx, 0x240);
    assert_int_equal(page.function[2].xcr0_in, 0);
    assert_int_equal(page.function[3].eax_in, 0xd);
    for (unsigned i = 0; i < 65; i++)
        c.head.entries[i] = (struct kvm_cpuid_entry2){ .function = i, .eax = 1 };
    c.head.nent = 64;
    assert_int_equal(bawn_snp_cpuid_page(&page, &c.head, &err), BAWN_OK);
    c.head.nent = 65;
    assert_int_equal(bawn_snp_cpuid_page(&page, &c.head, &err), BAWN_E_UNSUPPORTED);
}

static void identity(void **state)
{
    static const uint8_t digest[BAWN_SNP_DIGEST_SIZE] = { 1, 2, 3 };
    uint8_t text[8192], short_text[8192];
    struct bawn_snp_identity id, again;
    struct bawn_error err = { "" };
    int n;

    (void)state;
    assert_int_equal(bawn_snp_identity_make(&id, digest, 0x30000, &err), BAWN_OK);
    assert_true(id.given && !id.author);
    assert_memory_equal(id.block, digest, sizeof(digest));
    assert_int_equal(get_le(id.block + 0x58, 8), 0x30000);
    assert_int_equal(get_le(id.auth, 4), 1);
    n = EVP_EncodeBlock(text, id.auth, sizeof(id.auth));
    assert_int_equal(bawn_snp_identity_parse(&again, (struct bawn_bytes){ id.block, 96 },
                                             (struct bawn_bytes){ text, (size_t)n }, &err),
                     BAWN_OK);
    assert_memory_equal(again.auth, id.auth, sizeof(id.auth));
    for (int len = 0; len < n; len += 61) {
        memcpy(short_text, text, (size_t)len);
        assert_int_equal(bawn_snp_identity_parse(&again, (struct bawn_bytes){ id.block, 96 },
                                                 (struct bawn_bytes){ short_text, (size_t)len },
                                                 &err),
                         BAWN_E_FORMAT);
    }
    assert_int_equal(bawn_snp_identity_parse(&again, (struct bawn_bytes){ id.block, 95 },
                                             (struct bawn_bytes){ id.auth, 4096 }, &err),
                     BAWN_E_FORMAT);
    id.auth[4] = 1;
    assert_int_equal(bawn_snp_identity_parse(&again, (struct bawn_bytes){ id.block, 96 },
                                             (struct bawn_bytes){ id.auth, 4096 }, &err),
                     BAWN_OK);
    assert_true(again.author);
    memset(text, 'A', sizeof(text));
    assert_int_equal(bawn_snp_identity_parse(&again, (struct bawn_bytes){ id.block, 96 },
                                             (struct bawn_bytes){ text, sizeof(text) }, &err),
                     BAWN_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placed),         cmocka_unit_test(vcpu_state),
        cmocka_unit_test(digest_depends), cmocka_unit_test(digest_by_hand),
        cmocka_unit_test(refused),        cmocka_unit_test(odd_places),
        cmocka_unit_test(sizes),          cmocka_unit_test(hostile_kernels),
        cmocka_unit_test(cpuid_page),     cmocka_unit_test(identity),
    };

    for (size_t i = 0; i < sizeof(shim); i++)
        shim[i] = (uint8_t)(i * 5 + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
