// SPDX-License-Identifier: Apache-2.0
/*
 * The launch digest of SEV and SEV-ES: SHA-256 over what the VMM gives to LAUNCH_UPDATE_DATA and
 * LAUNCH_UPDATE_VMSA, in order (AMD 55766 rev 3.24, 6.3 and 6.4); and the table of kernel hashes
 * that SEV-SNP has too.
 */
#include "attest/lib/measure.h"

#include <string.h>

/* QEMU, target/i386/sev.c: a header, then the command line's, the RAM disk's and the kernel's
 * entries, each a GUID, a 16-bit length with GUID and length in it, and SHA-256; then zeros up
 * to a multiple of 16. OVMF looks entries up by GUID. */
#define GUID_SIZE 16
#define TABLE_LENGTH 168
#define ENTRY_LENGTH 50

static const uint8_t header_guid[GUID_SIZE] = { /* 9438d606-4f22-4cc9-b479-a793d411fd21 */
                                                0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c,
                                                0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21
};

static const struct hash_entry {
    uint8_t guid[GUID_SIZE];
    size_t hash;
} hash_entries[] = {
    { { /* 97d02dd8-bd20-4c94-aa78-e7714d36ab2a */
        0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab,
        0x2a },
      offsetof(struct bawn_sev_hashes, cmdline) },
    { { /* 44baf731-3a2f-4bd7-9af1-41e29169781d */
        0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78,
        0x1d },
      offsetof(struct bawn_sev_hashes, initrd) },
    { { /* 4de79437-abd2-427f-b835-d5b172d2045b */
        0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04,
        0x5b },
      offsetof(struct bawn_sev_hashes, kernel) },
};

void sev_hash_table(const struct bawn_sev_hashes *hashes, uint8_t table[HASH_TABLE_SIZE])
{
    uint8_t *at = table;

    memset(table, 0, HASH_TABLE_SIZE);
    memcpy(at, header_guid, GUID_SIZE);
    at[GUID_SIZE] = TABLE_LENGTH;
    at += GUID_SIZE + 2;
    for (size_t i = 0; i < sizeof(hash_entries) / sizeof(hash_entries[0]); i++) {
        memcpy(at, hash_entries[i].guid, GUID_SIZE);
        at[GUID_SIZE] = ENTRY_LENGTH;
        memcpy(at + GUID_SIZE + 2, (const uint8_t *)hashes + hash_entries[i].hash, 32);
        at += ENTRY_LENGTH;
    }
}

static enum bawn_status check(const struct bawn_sev_launch *launch, const struct ovmf *o,
                              struct bawn_error *err)
{
    if (launch->firmware_digest)
        return bawn_fail(err, BAWN_E_USAGE,
                         "the digest of the firmware's pages is for SEV-SNP only");
    if (launch->hashes && !(o->has_hash_table && o->hash_table_gpa))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "firmware: no table for the hashes of a kernel, so it would not check the "
                         "kernel; must be an OVMF built as OvmfPkg/AmdSev");
    return BAWN_OK;
}

enum bawn_status bawn_sev_measure(const struct bawn_sev_launch *launch, bool es,
                                  struct bawn_vmsa vmsa[2], uint8_t digest[BAWN_SEV_DIGEST_SIZE],
                                  struct bawn_error *err)
{
    uint8_t table[HASH_TABLE_SIZE];
    struct bawn_vmsa own[2];
    struct hasher h;
    struct ovmf o;
    enum bawn_status st = ovmf_parse(&o, launch->firmware, err);

    if (st == BAWN_OK)
        st = check(launch, &o, err);
    vmsa = vmsa ? vmsa : own;
    if (st == BAWN_OK && es)
        st = sev_vmsas(launch, &o, 0, vmsa, err); /* SEV_FEATURES is of SEV-SNP */
    if (st == BAWN_OK)
        st = hasher_open(&h, "SHA256", err);
    if (st != BAWN_OK)
        return st;
    hasher_start(&h);
    hasher_add(&h, launch->firmware.data, launch->firmware.len);
    if (launch->hashes) {
        sev_hash_table(launch->hashes, table);
        hasher_add(&h, table, sizeof(table));
    }
    for (uint32_t i = 0; es && i < launch->vcpus; i++)
        hasher_add(&h, &vmsa[i ? 1 : 0], sizeof(vmsa[0]));
    hasher_end(&h, digest);
    return hasher_close(&h, err);
}
