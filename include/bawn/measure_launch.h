/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Part of libbawn-attest: what the hardware will report of a launch, from the bytes that the VMM
 * loads. Pure functions: bytes in, digest out. Firmware and kernels are hostile.
 *
 * A launch is an ordered list of loads, each with its address, kind and contents; the digest is
 * made of that list. The builders here make the list for OVMF; any other image can be described
 * by a list of its own.
 */
#ifndef BAWN_MEASURE_LAUNCH_H
#define BAWN_MEASURE_LAUNCH_H

#include <bawn/attest.h>
#include <bawn/vmsa.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BAWN_SNP_DIGEST_SIZE 48 /* MEASUREMENT of an attestation report */
#define BAWN_SEV_DIGEST_SIZE 32
#define BAWN_TDX_DIGEST_SIZE 48 /* MRTD, RTMR */

/* The largest firmware image, and what one launch may load in all, zero pages included. Beyond
 * these a launch is refused as BAWN_E_UNSUPPORTED, so that a forged size costs seconds at most. */
#define BAWN_FIRMWARE_MAX ((size_t)16 << 20)
#define BAWN_LAUNCH_BYTES_MAX ((uint64_t)4 << 30)

/* ---- SEV-SNP: the model. AMD 56860 rev 1.58, SNP_LAUNCH_UPDATE ---- */

enum bawn_snp_page {
    BAWN_SNP_NORMAL = 1,
    BAWN_SNP_VMSA = 2,
    BAWN_SNP_ZERO = 3,
    BAWN_SNP_UNMEASURED = 4,
    BAWN_SNP_SECRETS = 5,
    BAWN_SNP_CPUID = 6,
};

/* SNP_LAUNCH_UPDATE of consecutive pages of one type. */
struct bawn_snp_load {
    enum bawn_snp_page type;
    uint64_t gpa;           /* page-aligned; of no meaning for a VMSA */
    uint64_t size;          /* bytes, a multiple of 4096, not 0; 4096 for a VMSA */
    struct bawn_bytes data; /* NORMAL, VMSA: at most size bytes, the rest is zero; else empty */
    uint32_t repeat;        /* VMSA: so many vCPUs with these contents (0 is 1); else 0 or 1 */
};

/* The launch digest after these loads, in this order. start is the digest before them, NULL at
 * the beginning of a launch. */
BAWN_ATTEST_API enum bawn_status bawn_snp_digest(const uint8_t *start,
                                                 const struct bawn_snp_load *loads, size_t n,
                                                 uint8_t digest[BAWN_SNP_DIGEST_SIZE],
                                                 struct bawn_error *err);

/* ---- SEV, SEV-ES and SEV-SNP with OVMF ---- */

/* VMMs differ in the vCPUs' first state and in the order of pages. */
enum bawn_vmm {
    BAWN_VMM_QEMU,
    BAWN_VMM_EC2,
    BAWN_VMM_KRUN,
    BAWN_VMM_GCE,
    BAWN_VMMS,
};

BAWN_ATTEST_API const char *bawn_vmm_name(enum bawn_vmm vmm); /* "QEMU", "ec2", "KRUN", "gce" */
/* Case does not matter. */
BAWN_ATTEST_API bool bawn_vmm_find(const char *name, enum bawn_vmm *vmm);

/* CPUID Fn0000_0001_EAX of a vCPU: of a CPU model as QEMU names it, or of its numbers. */
BAWN_ATTEST_API bool bawn_cpu_find(const char *model, uint32_t *signature);
BAWN_ATTEST_API const char *bawn_cpu_model(unsigned i); /* the i-th known model, NULL at the end */
BAWN_ATTEST_API uint32_t bawn_cpu_signature(unsigned family, unsigned model, unsigned stepping);

/* What the VMM writes for OVMF to check: SHA-256 of the kernel file, of the initial RAM disk
 * (of nothing, without one), of the command line with its NUL. */
struct bawn_sev_hashes {
    uint8_t kernel[32], initrd[32], cmdline[32];
};

#define BAWN_SNP_VCPUS_MAX 512

struct bawn_sev_launch {
    struct bawn_bytes firmware;
    /* SNP: the digest after the firmware's pages, in place of the image's own contents; or NULL */
    const uint8_t *firmware_digest;
    const struct bawn_sev_hashes *hashes; /* NULL: the VMM gives no kernel to the firmware */
    enum bawn_vmm vmm;
    uint32_t vcpus;          /* 1 to 512; SEV: of no meaning */
    uint32_t vcpu_signature; /* QEMU: of each vCPU */
    uint64_t sev_features;   /* SNP: SEV_FEATURES of each VMSA, BAWN_SEV_SNP_ACTIVE and others */
};

#define BAWN_SNP_LOADS_MAX 72

/* The list for OVMF. The loads borrow from here and from the firmware: do not move it. */
struct bawn_snp_plan {
    struct bawn_snp_load loads[BAWN_SNP_LOADS_MAX];
    size_t n;
    uint8_t hashes[4096];
    struct bawn_vmsa vmsa[2]; /* of vCPU 0, and of each other */
};

BAWN_ATTEST_API enum bawn_status bawn_snp_plan(const struct bawn_sev_launch *launch,
                                               struct bawn_snp_plan *plan, struct bawn_error *err);
/* Both steps. */
BAWN_ATTEST_API enum bawn_status bawn_snp_measure(const struct bawn_sev_launch *launch,
                                                  uint8_t digest[BAWN_SNP_DIGEST_SIZE],
                                                  struct bawn_error *err);
/* The digest after the firmware's pages alone: what firmware_digest takes. */
BAWN_ATTEST_API enum bawn_status bawn_snp_firmware_digest(struct bawn_bytes firmware,
                                                          uint8_t digest[BAWN_SNP_DIGEST_SIZE],
                                                          struct bawn_error *err);

/* The launch digest of SEV (es false) or SEV-ES: GCTX.LD in AMD 55766 rev 3.24, 6.5. vmsa: NULL,
 * or where SEV-ES's two states go. */
BAWN_ATTEST_API enum bawn_status bawn_sev_measure(const struct bawn_sev_launch *launch, bool es,
                                                  struct bawn_vmsa vmsa[2],
                                                  uint8_t digest[BAWN_SEV_DIGEST_SIZE],
                                                  struct bawn_error *err);

/* A vCPU's first state: that of vCPU 0 with eip BAWN_RESET_EIP, of the others at OVMF's. */
#define BAWN_RESET_EIP 0xfffffff0u
BAWN_ATTEST_API void bawn_vmsa_init(struct bawn_vmsa *vmsa, enum bawn_vmm vmm, uint32_t eip,
                                    uint32_t vcpu_signature, uint64_t sev_features);

/* ---- SEV-SNP ID block. AMD 56860 rev 1.58, SNP_LAUNCH_FINISH and chapter 10 ---- */

struct bawn_snp_id {
    uint8_t launch_digest[BAWN_SNP_DIGEST_SIZE];
    uint8_t family_id[16], image_id[16];
    uint32_t guest_svn;
    uint64_t policy; /* of SNP_LAUNCH_START; bit 17 is always set */
};

#define BAWN_SNP_POLICY_DEFAULT 0x30000u /* bit 17, and SMT allowed */
#define BAWN_SNP_ID_BLOCK_SIZE 96
#define BAWN_SNP_ID_AUTH_SIZE 4096

struct bawn_snp_id_signed {
    uint8_t block[BAWN_SNP_ID_BLOCK_SIZE];
    uint8_t auth[BAWN_SNP_ID_AUTH_SIZE];
    uint8_t id_key_digest[48], author_key_digest[48]; /* as an attestation report has them */
};

/* Signs with ECDSA P-384 keys, PEM or DER, not encrypted. author_key may be empty: the ID key is
 * then vouched for by nobody, and author_key_digest is zero. Takes random numbers from OpenSSL. */
BAWN_ATTEST_API enum bawn_status bawn_snp_id_sign(const struct bawn_snp_id *id,
                                                  struct bawn_bytes id_key,
                                                  struct bawn_bytes author_key,
                                                  struct bawn_snp_id_signed *out,
                                                  struct bawn_error *err);

/* ---- TDX: the model. Intel 348549, TDX Module Base Architecture Specification, 12.2 ---- */

/* TDH.MEM.PAGE.ADD of consecutive pages, each measured by TDH.MR.EXTEND or not. */
struct bawn_tdx_load {
    uint64_t gpa, size;     /* multiples of 4096; size is not 0 */
    struct bawn_bytes data; /* at most size bytes, the rest is zero; read where extend is set */
    bool extend;
};

enum bawn_tdx_order {
    BAWN_TDX_SINGLE_PASS, /* a page is added, then measured, then the next: KVM */
    BAWN_TDX_TWO_PASS,    /* all pages of a load are added, then all measured: QEMU 8 for TDX */
};

BAWN_ATTEST_API enum bawn_status bawn_tdx_digest(const struct bawn_tdx_load *loads, size_t n,
                                                 enum bawn_tdx_order order,
                                                 uint8_t mrtd[BAWN_TDX_DIGEST_SIZE],
                                                 struct bawn_error *err);

/* The list for a TDVF image (OVMF, td-shim). The loads borrow from the firmware. */
#define BAWN_TDX_LOADS_MAX 64

struct bawn_tdx_plan {
    struct bawn_tdx_load loads[BAWN_TDX_LOADS_MAX];
    size_t n;
};

BAWN_ATTEST_API enum bawn_status bawn_tdx_plan(struct bawn_bytes firmware,
                                               struct bawn_tdx_plan *plan, struct bawn_error *err);
BAWN_ATTEST_API enum bawn_status bawn_tdx_measure(struct bawn_bytes firmware,
                                                  enum bawn_tdx_order order,
                                                  uint8_t mrtd[BAWN_TDX_DIGEST_SIZE],
                                                  struct bawn_error *err);

/* ---- TDX: run-time registers of a kernel that TDVF starts directly ---- */

/* RTMR0 (memory map, variables, ACPI tables) is the VMM's and the host's; RTMR3 is the guest's:
 * neither is predicted. */
struct bawn_tdx_boot {
    struct bawn_bytes kernel;                    /* PE image with an EFI stub: a bzImage */
    uint64_t initrd_size;                        /* 0: none */
    uint8_t initrd_digest[BAWN_TDX_DIGEST_SIZE]; /* SHA-384 of it */
    const char *cmdline; /* NULL: none; without the " initrd=initrd" that TDVF adds */
    /* Memory of the guest when the VMM is a QEMU that writes its load addresses into the kernel
     * (before 10.0, or with firmware that does not ask for the untouched one); else 0. */
    uint64_t memory;
};

struct bawn_tdx_event {
    unsigned rtmr;
    uint32_t type; /* EV_* of the TCG PC Client platform firmware profile */
    const char *what;
    uint8_t digest[BAWN_TDX_DIGEST_SIZE];
};

#define BAWN_TDX_EVENTS_MAX 8

struct bawn_tdx_prediction {
    struct bawn_tdx_event events[BAWN_TDX_EVENTS_MAX];
    size_t n;
    uint8_t rtmr[4][BAWN_TDX_DIGEST_SIZE]; /* 1 and 2 are set, the others zero */
};

BAWN_ATTEST_API enum bawn_status bawn_tdx_predict(const struct bawn_tdx_boot *boot,
                                                  struct bawn_tdx_prediction *out,
                                                  struct bawn_error *err);

/* SHA-384 of a PE image as Authenticode defines it: without its checksum and signatures.
 * Microsoft, Windows Authenticode Portable Executable Signature Format, as edk2 does it. */
BAWN_ATTEST_API enum bawn_status bawn_pe_digest(struct bawn_bytes image,
                                                uint8_t digest[BAWN_TDX_DIGEST_SIZE],
                                                struct bawn_error *err);

#ifdef __cplusplus
}
#endif

#endif
