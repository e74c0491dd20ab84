// SPDX-License-Identifier: Apache-2.0
/*
 * The pages of an SNP launch through guest/shim, as include/bawn/shim.h has them, and the digest
 * of just this list. Trusts nothing of the files: the kernel's header is checked before it places
 * anything, and that no two runs of pages meet is checked once more at the end.
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include <openssl/evp.h>

#include "bawn/shim.h"
#include "launch/internal.h"
#include "launch/snp.h"
#include "launch/snp_vmsa.h"

#define LOW_4G (1ull << 32)
/* From where PCs have ROMs on, memory is validated as well: without EFI, Linux looks for an iBFT
 * there (drivers/firmware/iscsi_ibft_find.c), and takes it out of its RAM in any case. */
#define ROMS_START 0xc0000ull

static uint64_t page_down(uint64_t n)
{
    return n & ~(PAGE - 1);
}

/* What the steps of a plan work on. */
struct work {
    struct bawn_snp_launch *plan;
    struct boot_input in;
    struct bawn_bytes shim;
    struct bzimage image;
    struct bawn_shim_params *params; /* the plan's */
    struct bawn_error *err;
};

/* Appends whole pages around the bytes at gpa. */
static void add(struct work *w, enum bawn_snp_page type, uint64_t gpa, uint64_t size,
                const void *data)
{
    uint64_t start = page_down(gpa);

    w->plan->region[w->plan->nr_regions++] = (struct bawn_snp_region){
        .type = type,
        .gpa = start,
        .size = page_up(gpa + size) - start,
        .data = data,
        .data_at = gpa - start,
        .data_len = data ? size : 0,
    };
}

static enum bawn_status add_shim(struct work *w)
{
    if (!w->shim.len || w->shim.len > BAWN_SHIM_IMAGE_MAX)
        return bawn_fail(w->err, BAWN_E_FORMAT, "the shim has %zu bytes: must be 1 to %d",
                         w->shim.len, BAWN_SHIM_IMAGE_MAX);
    add(w, BAWN_SNP_NORMAL, BAWN_SHIM_IMAGE, w->shim.len, w->shim.data);
    return BAWN_OK;
}

/* ---- the parameter page ---- */

static enum bawn_status set_blob(struct work *w, struct bawn_shim_blob *blob, uint64_t gpa,
                                 const void *data, size_t len)
{
    blob->gpa = htole64(gpa);
    blob->size = htole64(len);
    if (!EVP_Q_digest(NULL, "SHA256", NULL, data, len, blob->sha256, NULL))
        return bawn_fail(w->err, BAWN_E_INTERNAL, "libcrypto does not compute SHA-256");
    return BAWN_OK;
}

static void add_ram(struct bawn_shim_params *p, uint64_t start, uint64_t end)
{
    uint32_t n = le32toh(p->nr_ram);

    p->ram[n] = (struct bawn_shim_range){ htole64(start), htole64(end - start) };
    p->nr_ram = htole32(n + 1);
}

static void add_params(struct work *w, unsigned vcpus)
{
    const struct bawn_snp_launch *plan = w->plan;
    struct bawn_shim_params *p = w->params;

    memcpy(p->magic, BAWN_SHIM_MAGIC, BAWN_SHIM_MAGIC_SIZE);
    p->version = htole32(BAWN_SHIM_VERSION);
    p->size = htole32(sizeof(*p));
    p->vcpus = htole32(vcpus);
    add_ram(p, 0, BAWN_SHIM_LOW_RAM_END);
    add_ram(p, ROMS_START, plan->ram[0].size);
    if (plan->nr_ram > 1)
        add_ram(p, plan->ram[1].gpa, plan->ram[1].gpa + plan->ram[1].size);
    add(w, BAWN_SNP_NORMAL, BAWN_SHIM_PARAMS, sizeof(*p), p);
}

static enum bawn_status add_acpi(struct work *w, const struct bawn_vm_config *cfg)
{
    uint8_t *buf = owned_alloc(&w->plan->owned, BAWN_SHIM_ACPI_MAX);
    size_t len = 0;
    enum bawn_status st;

    if (!buf)
        return bawn_fail(w->err, BAWN_E_NOMEM, "out of memory");
    st = acpi_build(buf, BAWN_SHIM_ACPI_MAX, BAWN_SHIM_ACPI, cfg, &len, w->err);
    if (st != BAWN_OK)
        return st;
    add(w, BAWN_SNP_NORMAL, BAWN_SHIM_ACPI, len, buf);
    w->params->rsdp = htole64(BAWN_SHIM_ACPI);
    w->params->acpi = (struct bawn_shim_range){ htole64(BAWN_SHIM_ACPI), htole64(page_up(len)) };
    return BAWN_OK;
}

static void add_fixed(struct work *w)
{
    add(w, BAWN_SNP_SECRETS, BAWN_SHIM_SECRETS, PAGE, NULL);
    add(w, BAWN_SNP_CPUID, BAWN_SHIM_CPUID, PAGE, NULL);
    add(w, BAWN_SNP_ZERO, BAWN_SHIM_WORK, BAWN_SHIM_WORK_END - BAWN_SHIM_WORK, NULL);
}

/* ---- kernel, initrd, command line ---- */

/*
 * The whole file goes where its protected-mode part stands at the preferred address, or at the
 * first aligned one above it that leaves room for the setup part.
 */
static enum bawn_status add_kernel(struct work *w, uint64_t *end)
{
    const struct setup_header *h = &w->image.hdr;
    uint64_t ram = w->plan->ram[0].size, load = h->pref_address;
    uint64_t lowest = BAWN_SHIM_HIGH_RAM_START + w->image.setup_size;

    if (!h->relocatable_kernel)
        return bawn_fail(w->err, BAWN_E_UNSUPPORTED, "the kernel is not relocatable");
    if (load < lowest || load % PAGE) {
        load = load < lowest ? lowest : load;
        if (load <= ram)
            load = (load + h->kernel_alignment - 1) & ~((uint64_t)h->kernel_alignment - 1);
    }
    if (load > ram || h->init_size > ram - load)
        return bawn_fail(w->err, BAWN_E_CONFIG,
                         "kernel needs 0x%x bytes at 0x%" PRIx64 ", RAM ends at 0x%" PRIx64
                         ": give the VM more memory",
                         h->init_size, load, ram);
    add(w, BAWN_SNP_UNMEASURED, load - w->image.setup_size, w->in.kernel_len, w->in.kernel);
    *end = page_up(load + h->init_size);
    return set_blob(w, &w->params->kernel, load - w->image.setup_size, w->in.kernel,
                    w->in.kernel_len);
}

/* As high as kernel and RAM allow. */
static enum bawn_status add_initrd(struct work *w, uint64_t floor)
{
    uint64_t limit = (uint64_t)w->image.hdr.initrd_addr_max + 1;
    uint64_t gpa;

    if (!w->in.initrd_len)
        return set_blob(w, &w->params->initrd, 0, "", 0);
    limit = page_down(limit < w->plan->ram[0].size ? limit : w->plan->ram[0].size);
    /* Compared before rounding up, which could wrap. */
    if (floor > limit || w->in.initrd_len > limit - floor ||
        page_up(w->in.initrd_len) > limit - floor)
        return bawn_fail(w->err, BAWN_E_CONFIG,
                         "initrd of %zu bytes does not fit between the kernel's end, 0x%" PRIx64
                         ", and 0x%" PRIx64 ": give the VM more memory",
                         w->in.initrd_len, floor, limit);
    gpa = limit - page_up(w->in.initrd_len);
    add(w, BAWN_SNP_UNMEASURED, gpa, w->in.initrd_len, w->in.initrd);
    return set_blob(w, &w->params->initrd, gpa, w->in.initrd, w->in.initrd_len);
}

static enum bawn_status add_cmdline(struct work *w)
{
    size_t size = w->in.cmdline_len + 1; /* the NUL counts */
    uint8_t *copy;

    if (size > BAWN_SHIM_CMDLINE_MAX)
        return bawn_fail(w->err, BAWN_E_CONFIG, "command line of %zu bytes: at most %d",
                         w->in.cmdline_len, BAWN_SHIM_CMDLINE_MAX - 1);
    copy = owned_alloc(&w->plan->owned, size);
    if (!copy)
        return bawn_fail(w->err, BAWN_E_NOMEM, "out of memory");
    memcpy(copy, w->in.cmdline, w->in.cmdline_len);
    add(w, BAWN_SNP_UNMEASURED, BAWN_SHIM_CMDLINE, size, copy);
    return set_blob(w, &w->params->cmdline, BAWN_SHIM_CMDLINE, copy, size);
}

/* ---- the whole ---- */

static bool meet(const struct bawn_snp_region *a, const struct bawn_snp_region *b)
{
    return a->gpa < b->gpa + b->size && b->gpa < a->gpa + a->size;
}

/* Holds whatever the steps' own checks missed. */
static enum bawn_status verify(const struct work *w)
{
    const struct bawn_snp_launch *plan = w->plan;

    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_snp_region *r = &plan->region[i];
        uint64_t end;
        bool good = !__builtin_add_overflow(r->gpa, r->size, &end) && r->size &&
                    end <= plan->ram[0].size && end <= LOW_4G && r->data_at <= r->size &&
                    r->data_len <= r->size - r->data_at &&
                    (end <= BAWN_SHIM_LOW_RAM_END || r->gpa >= BAWN_SHIM_HIGH_RAM_START);

        for (unsigned k = 0; good && k < i; k++)
            good = !meet(r, &plan->region[k]);
        if (!good)
            return bawn_fail(w->err, BAWN_E_FORMAT,
                             "launch pages of type %d at 0x%" PRIx64 ", size 0x%" PRIx64
                             ": overlap others or leave RAM",
                             (int)r->type, r->gpa, r->size);
    }
    return BAWN_OK;
}

static enum bawn_status measure(struct work *w)
{
    struct bawn_snp_launch *plan = w->plan;
    size_t n = 0, max = BAWN_SNP_REGIONS_MAX + BAWN_SNP_VCPU_KINDS;
    struct bawn_snp_load *load =
        (struct bawn_snp_load *)owned_alloc(&plan->owned, max * sizeof(*load));

    if (!load)
        return bawn_fail(w->err, BAWN_E_NOMEM, "out of memory");

    for (; n < plan->nr_regions; n++) {
        const struct bawn_snp_region *r = &plan->region[n];

        load[n] = (struct bawn_snp_load){ .type = r->type, .gpa = r->gpa, .size = r->size };
        if (r->type == BAWN_SNP_NORMAL) /* all of which begin on a page */
            load[n].data = (struct bawn_bytes){ r->data, r->data_len };
    }
    for (unsigned kind = 0; kind < BAWN_SNP_VCPU_KINDS && kind < plan->vcpus; kind++)
        load[n++] = (struct bawn_snp_load){
            .type = BAWN_SNP_VMSA,
            .size = BAWN_VMSA_SIZE,
            .data = { (const uint8_t *)&plan->vmsa[kind], BAWN_VMSA_SIZE },
            .repeat = kind == BAWN_SNP_BSP ? 1 : plan->vcpus - 1,
        };
    return bawn_snp_digest(NULL, load, n, plan->digest, w->err);
}

static enum bawn_status plan_pages(struct work *w, const struct bawn_vm_config *cfg)
{
    uint64_t kernel_end = 0;
    enum bawn_status st;

    st = bzimage_read(&w->image, &w->in, w->err);
    if (st == BAWN_OK)
        st = add_shim(w);
    if (st != BAWN_OK)
        return st;
    add_params(w, cfg->vcpus);
    st = add_acpi(w, cfg);
    if (st == BAWN_OK)
        add_fixed(w);
    if (st == BAWN_OK)
        st = add_kernel(w, &kernel_end);
    if (st == BAWN_OK)
        st = add_initrd(w, kernel_end);
    return st == BAWN_OK ? add_cmdline(w) : st;
}

enum bawn_status bawn_snp_launch_plan(struct bawn_snp_launch *plan,
                                      const struct bawn_vm_config *cfg,
                                      const struct bawn_snp_files *files, struct bawn_error *err)
{
    struct work w = {
        .plan = plan,
        .shim = files->shim,
        .in = {
            .kernel = files->kernel.data,
            .kernel_len = files->kernel.len,
            .initrd = files->initrd.data,
            .initrd_len = files->initrd.len,
            .cmdline = cfg->cmdline ? cfg->cmdline : "",
        },
        .err = err,
    };
    enum bawn_status st;

    memset(plan, 0, sizeof(*plan));
    w.in.cmdline_len = strlen(w.in.cmdline);
    st = bawn_vm_config_check(cfg, err);
    if (st != BAWN_OK)
        return st;
    if (!bzimage_match(w.in.kernel, w.in.kernel_len))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "the kernel of an SEV-SNP guest must be a bzImage, which this is not");
    w.params = (struct bawn_shim_params *)owned_alloc(&plan->owned, sizeof(*w.params));
    if (!w.params) {
        bawn_fail(err, BAWN_E_NOMEM, "out of memory");
        return BAWN_E_NOMEM;
    }
    plan->nr_ram = plan_ram(plan->ram, cfg->memory);
    plan->vcpus = cfg->vcpus;
    st = plan_pages(&w, cfg);
    if (st == BAWN_OK)
        st = verify(&w);
    if (st == BAWN_OK) {
        snp_vmsa_plan(plan);
        st = measure(&w);
    }
    if (st != BAWN_OK)
        bawn_snp_launch_free(plan);
    return st;
}

void bawn_snp_launch_free(struct bawn_snp_launch *plan)
{
    owned_free(plan->owned);
    memset(plan, 0, sizeof(*plan));
}

void bawn_snp_launch_print(FILE *out, const struct bawn_snp_launch *plan)
{
    static const char *const names[] = {
        [BAWN_SNP_NORMAL] = "normal",         [BAWN_SNP_ZERO] = "zero",
        [BAWN_SNP_UNMEASURED] = "unmeasured", [BAWN_SNP_SECRETS] = "secrets",
        [BAWN_SNP_CPUID] = "cpuid",
    };

    fprintf(out, "%-10s %18s %18s\n", "type", "gpa", "size");
    for (unsigned i = 0; i < plan->nr_regions; i++)
        fprintf(out, "%-10s 0x%016" PRIx64 " 0x%016" PRIx64 "\n", names[plan->region[i].type],
                plan->region[i].gpa, plan->region[i].size);
    fprintf(out, "%-10s %u\n", "vmsa", plan->vcpus);
}
