/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the launch measurement share: OVMF taken apart, running digests, and the
 * bound on what a launch may load. Firmware is hostile.
 */
#ifndef BAWN_ATTEST_MEASURE_H
#define BAWN_ATTEST_MEASURE_H

#include <openssl/evp.h>

#include <bawn/cursor.h>
#include <bawn/measure_launch.h>

#define PAGE_BYTES 4096u
#define FOUR_GIB ((uint64_t)1 << 32)

/* ---- Running digests: one context for millions of small messages ---- */

struct hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
    bool failed; /* sticky */
};

/* name is "SHA384" or "SHA256". */
enum bawn_status hasher_open(struct hasher *h, const char *name, struct bawn_error *err);
void hasher_start(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t len);
void hasher_zeros(struct hasher *h, size_t len);
void hasher_end(struct hasher *h, uint8_t *digest);
/* Frees; BAWN_E_INTERNAL when OpenSSL failed at any step. */
enum bawn_status hasher_close(struct hasher *h, struct bawn_error *err);

/* ---- Bounds ---- */

/* Adds a load of size bytes at gpa to *total. Refuses what is not of whole pages, empty, past the
 * end of addresses, or beyond BAWN_LAUNCH_BYTES_MAX in all; with total NULL, of any size. */
enum bawn_status launch_bound(uint64_t *total, uint64_t gpa, uint64_t size, struct bawn_error *err);

struct range {
    uint64_t start, size;
};

/* Whether one overlaps the n others. Their ends do not wrap: launch_bound() saw to that. */
bool range_overlaps(const struct range *others, size_t n, struct range one);

/* ---- OVMF ---- */

#define OVMF_SECTIONS_MAX 64

struct ovmf_section {
    uint32_t gpa, size, type; /* enum bawn_sev_section */
};

struct ovmf {
    struct bawn_bytes image;
    uint64_t gpa; /* the image ends at 4 GiB */
    bool has_hash_table, has_reset_eip, has_sev, has_tdx;
    uint32_t hash_table_gpa;
    uint32_t reset_eip;
    uint32_t sev_offset, tdx_offset; /* of the lists, from the image's end */
    struct ovmf_section sections[OVMF_SECTIONS_MAX];
    size_t nr_sections;
};

/* The GUIDed table, and SEV's sections where there are any. An image without a table is none of
 * OVMF, and refused. */
enum bawn_status ovmf_parse(struct ovmf *o, struct bawn_bytes image, struct bawn_error *err);

struct tdvf_section {
    uint32_t offset, raw_size; /* in the image */
    uint64_t gpa, size;        /* in memory */
    uint32_t type, attributes;
};

/* TDX's sections; n is the room on entry and their number on return. */
enum bawn_status ovmf_tdx_sections(const struct ovmf *o, struct tdvf_section *sections, size_t *n,
                                   struct bawn_error *err);

/* The table of kernel hashes that the VMM builds: QEMU, target/i386/sev.c. */
#define HASH_TABLE_SIZE 176
void sev_hash_table(const struct bawn_sev_hashes *hashes, uint8_t table[HASH_TABLE_SIZE]);

/* The vCPUs' states, vCPU 0's first. Refuses a number of vCPUs that cannot be. */
enum bawn_status sev_vmsas(const struct bawn_sev_launch *launch, const struct ovmf *o,
                           uint64_t sev_features, struct bawn_vmsa vmsa[2], struct bawn_error *err);

#endif
