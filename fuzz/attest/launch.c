// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a firmware image or a kernel, chosen by the first byte. The lists for OVMF and TDVF are
 * made but not measured where they are long; PE images are measured.
 */
#include "fuzz/attest/common.h"

#include <bawn/measure_launch.h>

#define SMALL ((uint64_t)1 << 20)

static void firmware(struct bawn_bytes image)
{
    static const struct bawn_sev_hashes hashes;
    struct bawn_sev_launch launch = { .firmware = image, .vcpus = 2, .sev_features = 1 };
    struct bawn_error err;
    struct bawn_tdx_plan tdx;
    struct bawn_snp_plan snp;
    uint64_t total = 0;
    uint8_t digest[48];

    bawn_sev_measure(&launch, true, NULL, digest, &err);
    for (unsigned vmm = 0; vmm < BAWN_VMMS; vmm++) {
        launch.vmm = (enum bawn_vmm)vmm;
        launch.hashes = vmm % 2 ? &hashes : NULL;
        if (bawn_snp_plan(&launch, &snp, &err) != BAWN_OK)
            continue;
        for (size_t i = 0; i < snp.n; i++)
            total += snp.loads[i].size;
        if (total < SMALL && bawn_snp_digest(NULL, snp.loads, snp.n, digest, &err) != BAWN_OK)
            __builtin_trap();
    }
    if (bawn_tdx_plan(image, &tdx, &err) != BAWN_OK)
        return;
    total = 0;
    for (size_t i = 0; i < tdx.n; i++)
        total += tdx.loads[i].size;
    if (total < SMALL &&
        bawn_tdx_digest(tdx.loads, tdx.n, BAWN_TDX_TWO_PASS, digest, &err) != BAWN_OK)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_bytes image = { data + 1, size - 1 };
    struct bawn_tdx_boot boot = { .kernel = image, .initrd_size = 4096, .cmdline = "quiet" };
    struct bawn_tdx_prediction p;
    struct bawn_error err;

    if (!size)
        return 0;
    if (data[0] % 2) {
        boot.memory = (uint64_t)data[0] << 26;
        bawn_tdx_predict(&boot, &p, &err);
        boot.memory = 0;
        bawn_tdx_predict(&boot, &p, &err);
    } else {
        firmware(image);
    }
    return 0;
}
