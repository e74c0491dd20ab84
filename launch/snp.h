/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a VM's configuration to an SEV-SNP launch through guest/shim: the ordered pages, the vCPUs'
 * first state, and the launch digest of just these. The VMM launches what stands here and
 * bawn-measure prints its digest, so that prediction and launch cannot differ. Pure and
 * deterministic; trusts nothing of configuration, shim, kernel or initrd.
 */
#ifndef BAWN_LAUNCH_SNP_H
#define BAWN_LAUNCH_SNP_H

#include "bawn/measure_launch.h"
#include "bawn/psp.h"
#include "launch/launch.h"

/* The largest shim image is BAWN_SHIM_IMAGE_MAX (bawn/shim.h). */
#ifndef BAWN_SHIM_PATH
#define BAWN_SHIM_PATH "/usr/local/share/bawn/shim.bin"
#endif

/* One run of pages of one type, in launch order. */
struct bawn_snp_region {
    enum bawn_snp_page type; /* never VMSA: those follow all regions */
    uint64_t gpa, size;      /* whole pages, inside RAM */
    /* What stands data_at bytes from gpa; the rest is zero. Of the plan, or borrowed from the
     * caller's files; NULL for the pages that firmware fills. */
    const uint8_t *data;
    uint64_t data_at, data_len;
};

#define BAWN_SNP_REGIONS_MAX 9

enum { BAWN_SNP_BSP, BAWN_SNP_AP, BAWN_SNP_VCPU_KINDS };

struct bawn_snp_launch {
    struct bawn_ram ram[2]; /* memory slots */
    unsigned nr_ram;
    struct bawn_snp_region region[BAWN_SNP_REGIONS_MAX];
    unsigned nr_regions;
    unsigned vcpus;
    /* Of vCPU 0, and of each other, which a guest starts by AP creation only. */
    struct kvm_regs regs[BAWN_SNP_VCPU_KINDS];
    struct kvm_sregs sregs[BAWN_SNP_VCPU_KINDS];
    struct bawn_vmsa vmsa[BAWN_SNP_VCPU_KINDS]; /* as KVM makes them of these */
    uint8_t digest[BAWN_SNP_DIGEST_SIZE];
    void *owned; /* private */
};

/* The files' contents must outlive the plan; initrd.len is 0 when there is none. */
struct bawn_snp_files {
    struct bawn_bytes shim, kernel, initrd;
};

enum bawn_status bawn_snp_launch_plan(struct bawn_snp_launch *plan,
                                      const struct bawn_vm_config *cfg,
                                      const struct bawn_snp_files *files, struct bawn_error *err);
void bawn_snp_launch_free(struct bawn_snp_launch *plan);
/* Its pages as a table, in launch order. */
void bawn_snp_launch_print(FILE *out, const struct bawn_snp_launch *plan);

/* The table of SNP_LAUNCH_UPDATE's CPUID page, of what vCPU 0 was given. It is not measured
 * (AMD 56860, 8.17.2): the firmware checks it against the processor. c_bit is the number of the
 * encryption bit in guest page tables. */
enum bawn_status bawn_snp_cpuid_page(struct bawn_psp_cpuid_page *page,
                                     const struct kvm_cpuid2 *cpuid, struct bawn_error *err);

/* snp_id.c: what SNP_LAUNCH_FINISH is given beside the policy. */
struct bawn_snp_identity {
    bool given;
    uint8_t block[BAWN_SNP_ID_BLOCK_SIZE];
    uint8_t auth[BAWN_SNP_ID_AUTH_SIZE];
    bool author; /* auth has an author key */
};

/* Of two files' contents, each raw or base64. Refuses what the firmware would for its size. */
enum bawn_status bawn_snp_identity_parse(struct bawn_snp_identity *id, struct bawn_bytes block,
                                         struct bawn_bytes auth, struct bawn_error *err);
/* One of this digest and policy, signed with a key that is thrown away: with it, the firmware
 * refuses any other launch. */
enum bawn_status bawn_snp_identity_make(struct bawn_snp_identity *id,
                                        const uint8_t digest[BAWN_SNP_DIGEST_SIZE], uint64_t policy,
                                        struct bawn_error *err);

#endif
