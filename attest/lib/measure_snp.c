// SPDX-License-Identifier: Apache-2.0
/*
 * The launch digest of SEV-SNP: the chain over the pages that the VMM gives to
 * SNP_LAUNCH_UPDATE, and the list of them for OVMF. AMD 56860 rev 1.58, SNP_LAUNCH_UPDATE.
 */
#include "attest/lib/measure.h"

#include <bawn/ovmf.h>

#include <assert.h>
#include <string.h>

static_assert(BAWN_SNP_LOADS_MAX >= OVMF_SECTIONS_MAX + 3, "sections, firmware, VMSAs");

/* ---- The chain ---- */

/* SNP_LAUNCH_UPDATE, PAGE_INFO: its digest is the next launch digest. */
#define PAGE_INFO_SIZE 0x70
#define PAGE_INFO_CONTENTS 0x30 /* SHA-384 of the page, or zero where it is not measured */
#define PAGE_INFO_LENGTH 0x60
#define PAGE_INFO_TYPE 0x62 /* then IMI_PAGE and the VMPLs' permissions, zero in KVM's launches */
#define PAGE_INFO_GPA 0x68

/* Where the RMP has a VMSA: all ones, within the bits of an address. */
#define VMSA_GPA 0xfffffffff000ull

static void put_le64(uint8_t *at, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

/* One page: of *data, which moves on, when the type's contents are measured. */
static void add_page(struct hasher *h, uint8_t *info, const struct bawn_snp_load *load,
                     uint64_t gpa, struct bawn_cursor *data)
{
    if (load->type == BAWN_SNP_NORMAL || load->type == BAWN_SNP_VMSA) {
        size_t left = bawn_cursor_left(data), n = left < PAGE_BYTES ? left : PAGE_BYTES;

        hasher_start(h);
        hasher_add(h, bawn_cursor_take(data, n), n);
        hasher_zeros(h, PAGE_BYTES - n);
        hasher_end(h, info + PAGE_INFO_CONTENTS);
    }
    put_le64(info + PAGE_INFO_GPA, gpa);
    hasher_start(h);
    hasher_add(h, info, PAGE_INFO_SIZE);
    hasher_end(h, info); /* the digest so far is its first field */
}

static void add_load(struct hasher *h, uint8_t *info, const struct bawn_snp_load *load)
{
    memset(info + PAGE_INFO_CONTENTS, 0, PAGE_INFO_LENGTH - PAGE_INFO_CONTENTS);
    info[PAGE_INFO_TYPE] = (uint8_t)load->type;
    if (load->type == BAWN_SNP_VMSA) {
        for (uint32_t i = 0; i == 0 || i < load->repeat; i++) {
            struct bawn_cursor data = bawn_cursor_over(load->data.data, load->data.len);

            add_page(h, info, load, VMSA_GPA, &data);
        }
    } else {
        struct bawn_cursor data = bawn_cursor_over(load->data.data, load->data.len);

        for (uint64_t off = 0; off < load->size; off += PAGE_BYTES)
            add_page(h, info, load, load->gpa + off, &data);
    }
}

static enum bawn_status check_load(const struct bawn_snp_load *load, uint64_t *total,
                                   struct bawn_error *err)
{
    bool vmsa = load->type == BAWN_SNP_VMSA;
    enum bawn_status st = launch_bound(total, vmsa ? 0 : load->gpa, load->size, err);

    if (st != BAWN_OK)
        return st;
    if (load->type < BAWN_SNP_NORMAL || load->type > BAWN_SNP_CPUID)
        return bawn_fail(err, BAWN_E_FORMAT, "page type %d is unknown, must be from 1 to 6",
                         (int)load->type);
    if (load->data.len > load->size)
        return bawn_fail(err, BAWN_E_FORMAT, "%zu bytes of contents for 0x%jx bytes of memory",
                         load->data.len, (uintmax_t)load->size);
    if (load->data.len && load->type != BAWN_SNP_NORMAL && !vmsa)
        return bawn_fail(err, BAWN_E_FORMAT, "pages of type %d have no contents of the VMM's",
                         (int)load->type);
    if (vmsa ? load->size != BAWN_VMSA_SIZE || load->repeat > BAWN_SNP_VCPUS_MAX : load->repeat > 1)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "a load of type %d, 0x%jx bytes, %u times: only a VMSA is repeated, and "
                         "it is one page, at most %d times",
                         (int)load->type, (uintmax_t)load->size, load->repeat, BAWN_SNP_VCPUS_MAX);
    return BAWN_OK;
}

enum bawn_status bawn_snp_digest(const uint8_t *start, const struct bawn_snp_load *loads, size_t n,
                                 uint8_t digest[BAWN_SNP_DIGEST_SIZE], struct bawn_error *err)
{
    uint8_t info[PAGE_INFO_SIZE] = { [PAGE_INFO_LENGTH] = PAGE_INFO_SIZE };
    enum bawn_status st = BAWN_OK;
    uint64_t total = 0;
    struct hasher h;

    for (size_t i = 0; st == BAWN_OK && i < n; i++)
        st = check_load(&loads[i], &total, err);
    if (st == BAWN_OK)
        st = hasher_open(&h, "SHA384", err);
    if (st != BAWN_OK)
        return st;
    if (start)
        memcpy(info, start, BAWN_SNP_DIGEST_SIZE);
    for (size_t i = 0; i < n; i++)
        add_load(&h, info, &loads[i]);
    memcpy(digest, info, BAWN_SNP_DIGEST_SIZE);
    return hasher_close(&h, err);
}

/* ---- The list for OVMF ---- */

static struct bawn_snp_load *add(struct bawn_snp_plan *plan, enum bawn_snp_page type, uint64_t gpa,
                                 uint64_t size)
{
    struct bawn_snp_load *load = &plan->loads[plan->n++];

    *load = (struct bawn_snp_load){ .type = type, .gpa = gpa, .size = size };
    return load;
}

static enum bawn_status check_image(struct bawn_bytes image, struct bawn_error *err)
{
    if (!image.len || image.len > BAWN_FIRMWARE_MAX || image.len % PAGE_BYTES)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: %zu bytes, must be a multiple of 4096 and at most 16 MiB",
                         image.len);
    return BAWN_OK;
}

static enum bawn_status add_hashes(struct bawn_snp_plan *plan, const struct bawn_sev_hashes *hashes,
                                   const struct ovmf *o, const struct ovmf_section *s,
                                   struct bawn_error *err)
{
    uint32_t offset = o->hash_table_gpa % PAGE_BYTES;
    struct bawn_snp_load *load;

    if (!hashes) {
        add(plan, BAWN_SNP_ZERO, s->gpa, s->size);
        return BAWN_OK;
    }
    if (!o->hash_table_gpa || o->hash_table_gpa - offset != s->gpa || s->size != PAGE_BYTES ||
        offset > PAGE_BYTES - HASH_TABLE_SIZE)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: the table of kernel hashes at 0x%x is not in the page for it, "
                         "0x%x bytes at 0x%x",
                         o->hash_table_gpa, s->size, s->gpa);
    memset(plan->hashes, 0, sizeof(plan->hashes));
    sev_hash_table(hashes, plan->hashes + offset);
    load = add(plan, BAWN_SNP_NORMAL, s->gpa, s->size);
    load->data = (struct bawn_bytes){ plan->hashes, sizeof(plan->hashes) };
    return BAWN_OK;
}

/* What section types become, but for the table of kernel hashes. */
static const struct section_page {
    uint32_t type;
    enum bawn_snp_page page, gce;
    bool one_page;
} section_pages[] = {
    { BAWN_SEV_SECTION_SEC_MEM, BAWN_SNP_ZERO, BAWN_SNP_UNMEASURED, false },
    { BAWN_SEV_SECTION_SECRETS, BAWN_SNP_SECRETS, BAWN_SNP_SECRETS, true },
    { BAWN_SEV_SECTION_CPUID, BAWN_SNP_CPUID, BAWN_SNP_CPUID, true },
    { BAWN_SEV_SECTION_SVSM_CAA, BAWN_SNP_ZERO, BAWN_SNP_ZERO, false },
};

static enum bawn_status add_section(struct bawn_snp_plan *plan, const struct ovmf_section *s,
                                    enum bawn_vmm vmm, struct bawn_error *err)
{
    for (size_t i = 0; i < sizeof(section_pages) / sizeof(section_pages[0]); i++) {
        const struct section_page *p = &section_pages[i];

        if (p->type != s->type)
            continue;
        if (p->one_page && s->size != PAGE_BYTES)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "firmware: SEV section of type 0x%x with 0x%x bytes, must be 0x1000",
                             s->type, s->size);
        add(plan, vmm == BAWN_VMM_GCE ? p->gce : p->page, s->gpa, s->size);
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_UNSUPPORTED, "firmware: SEV section of unknown type 0x%x",
                     s->type);
}

/* EC2 loads the CPUID page after all others. */
static enum bawn_status add_sections(struct bawn_snp_plan *plan,
                                     const struct bawn_sev_launch *launch, const struct ovmf *o,
                                     struct bawn_error *err)
{
    unsigned passes = launch->vmm == BAWN_VMM_EC2 ? 2 : 1;
    enum bawn_status st = BAWN_OK;
    bool hashes = false;

    for (unsigned pass = 0; pass < passes; pass++) {
        for (size_t i = 0; st == BAWN_OK && i < o->nr_sections; i++) {
            const struct ovmf_section *s = &o->sections[i];

            if (passes == 2 && (s->type == BAWN_SEV_SECTION_CPUID) != (pass == 1))
                continue;
            if (s->type == BAWN_SEV_SECTION_KERNEL_HASHES) {
                st = add_hashes(plan, launch->hashes, o, s, err);
                hashes = true;
            } else {
                st = add_section(plan, s, launch->vmm, err);
            }
        }
    }
    if (st == BAWN_OK && launch->hashes && !hashes)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "firmware: no section for the hashes of a kernel, so it would not check "
                         "the kernel; must be an OVMF built as OvmfPkg/AmdSev");
    return st;
}

static void add_vmsas(struct bawn_snp_plan *plan, uint32_t vcpus)
{
    for (unsigned i = 0; i < 2 && i < vcpus; i++) {
        struct bawn_snp_load *load = add(plan, BAWN_SNP_VMSA, 0, BAWN_VMSA_SIZE);

        load->data = (struct bawn_bytes){ (const uint8_t *)&plan->vmsa[i], BAWN_VMSA_SIZE };
        load->repeat = i ? vcpus - 1 : 1;
    }
}

enum bawn_status bawn_snp_plan(const struct bawn_sev_launch *launch, struct bawn_snp_plan *plan,
                               struct bawn_error *err)
{
    enum bawn_status st = check_image(launch->firmware, err);
    struct ovmf o;

    plan->n = 0;
    if (st == BAWN_OK)
        st = ovmf_parse(&o, launch->firmware, err);
    if (st == BAWN_OK && !o.nr_sections)
        st = bawn_fail(err, BAWN_E_UNSUPPORTED,
                       "firmware: no SEV metadata in its table; must be an OVMF built for SEV-SNP");
    if (st == BAWN_OK)
        st = sev_vmsas(launch, &o, launch->sev_features, plan->vmsa, err);
    if (st != BAWN_OK)
        return st;
    if (!launch->firmware_digest)
        add(plan, BAWN_SNP_NORMAL, o.gpa, launch->firmware.len)->data = launch->firmware;
    st = add_sections(plan, launch, &o, err);
    if (st == BAWN_OK)
        add_vmsas(plan, launch->vcpus);
    return st;
}

enum bawn_status bawn_snp_measure(const struct bawn_sev_launch *launch,
                                  uint8_t digest[BAWN_SNP_DIGEST_SIZE], struct bawn_error *err)
{
    struct bawn_snp_plan plan;
    enum bawn_status st = bawn_snp_plan(launch, &plan, err);

    if (st != BAWN_OK)
        return st;
    return bawn_snp_digest(launch->firmware_digest, plan.loads, plan.n, digest, err);
}

enum bawn_status bawn_snp_firmware_digest(struct bawn_bytes firmware,
                                          uint8_t digest[BAWN_SNP_DIGEST_SIZE],
                                          struct bawn_error *err)
{
    struct bawn_snp_load load = {
        .type = BAWN_SNP_NORMAL,
        .gpa = FOUR_GIB - firmware.len,
        .size = firmware.len,
        .data = firmware,
    };
    enum bawn_status st = check_image(firmware, err);

    return st == BAWN_OK ? bawn_snp_digest(NULL, &load, 1, digest, err) : st;
}
