// SPDX-License-Identifier: Apache-2.0
/*
 * What the shim proves before Linux runs, in order. The host may be lying in every answer and
 * every unmeasured byte; the measured image and parameter page, the CPUID page (checked by the
 * firmware) and the processor are trusted.
 */
#include <string.h>

#include "guest/shim/boot.h"
#include "guest/shim/cpu.h"
#include "guest/shim/cpuid.h"
#include "guest/shim/ghcb.h"
#include "guest/shim/linux.h"
#include "guest/shim/sha256.h"
#include "guest/shim/validate.h"

/* SEV_STATUS (AMD APM vol. 2, 15.34.10): SEV, SEV-ES and SNP are on; with VTOM the C-bit would
 * have another meaning. */
#define SEV_STATUS_MASK 0xfull
#define SEV_STATUS_SNP 0x7ull

/* RMPADJUST: VMPL 1 gets no permission. Only VMPL 0 may say so. */
#define RMPADJUST_VMPL1_NONE 1

static void check(unsigned reason)
{
    if (reason)
        shim_fail((enum bawn_shim_reason)reason);
}

static void prove_snp(unsigned cbit)
{
    if (shim_cpuid_cbit(shim_at(BAWN_SHIM_CPUID)) != cbit)
        shim_fail(BAWN_SHIM_FAIL_CBIT);
    if ((shim_rdmsr(SHIM_MSR_SEV_STATUS) & SEV_STATUS_MASK) != SEV_STATUS_SNP)
        shim_fail(BAWN_SHIM_FAIL_NO_SNP);
    if (shim_rmpadjust(SHIM_VARS, SHIM_4K, RMPADJUST_VMPL1_NONE) != 0)
        shim_fail(BAWN_SHIM_FAIL_NOT_VMPL0);
}

static void prove_hash(const struct bawn_shim_blob *blob, enum bawn_shim_reason reason)
{
    uint8_t digest[SHIM_SHA256_SIZE];

    shim_sha256(shim_at(blob->gpa), blob->size, digest);
    if (!shim_sha256_equal(digest, blob->sha256))
        shim_fail(reason);
}

/* The rest of its first and last page was launched with it, unmeasured, and hashed by nobody. */
static void wipe_around(const struct bawn_shim_blob *blob)
{
    uint64_t end = blob->gpa + blob->size;

    memset(shim_at(blob->gpa - blob->gpa % SHIM_PAGE), 0, blob->gpa % SHIM_PAGE);
    memset(shim_at(end), 0, -end % SHIM_PAGE);
}

static void prove_cmdline(const struct bawn_shim_params *p, const struct shim_kernel *k)
{
    const char *cmdline = shim_at(p->cmdline.gpa);

    if (cmdline[p->cmdline.size - 1] != '\0' || p->cmdline.size - 1 > k->cmdline_max)
        shim_fail(BAWN_SHIM_FAIL_CMDLINE);
}

struct shim_entry shim_boot(unsigned cbit, const struct shim_image *image)
{
    const struct bawn_shim_params *p = shim_at(BAWN_SHIM_PARAMS);
    uint64_t mask = 1ull << cbit, cr3;
    struct shim_launched launched;
    struct shim_tables tables;
    struct shim_kernel kernel;

    check(shim_params_check(p, image->end - BAWN_SHIM_IMAGE, cbit, &launched));
    cr3 = shim_tables_own(&tables, mask, p, image->code_end, image->end);
    shim_set_cr3(cr3);
    prove_snp(cbit);
    shim_ghcb_negotiate(p->vcpus);
    shim_ghcb_open(shim_tables_entry(&tables, SHIM_GHCB), mask);
    shim_validate_ram(&tables, cr3, p, &launched);

    prove_hash(&p->kernel, BAWN_SHIM_FAIL_KERNEL_HASH);
    prove_hash(&p->initrd, BAWN_SHIM_FAIL_INITRD_HASH);
    prove_hash(&p->cmdline, BAWN_SHIM_FAIL_CMDLINE_HASH);
    wipe_around(&p->kernel);
    wipe_around(&p->initrd);
    wipe_around(&p->cmdline);
    check(shim_kernel_read(&kernel, shim_at(p->kernel.gpa), p, &launched));
    prove_cmdline(p, &kernel);

    shim_zero_page(shim_at(BAWN_SHIM_ZERO_PAGE), &kernel, p);
    shim_setup_data(shim_at(BAWN_SHIM_SETUP_DATA));
    /* Linux reads what PC firmware leaves here; fresh private memory holds anything. */
    if (shim_params_in_ram(p, 0, SHIM_PAGE))
        memset(shim_at(0), 0, SHIM_PAGE);
    shim_ghcb_close(shim_tables_entry(&tables, SHIM_GHCB), mask);
    return (struct shim_entry){
        .rip = kernel.load + SHIM_ENTRY64,
        .zero_page = BAWN_SHIM_ZERO_PAGE,
        .cr3 = shim_tables_linux(&tables, mask, p),
    };
}
