/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch policies: whether what is about to run may. Before anything of the guest runs.
 */
#ifndef BAWN_VMM_POLICY_H
#define BAWN_VMM_POLICY_H

#include "launch/launch.h"

/* What a launch is made of; borrowed. */
struct bawn_launch_facts {
    const struct bawn_vm_config *cfg;
    const struct bawn_file *kernel, *initrd, *shim; /* shim may be NULL */
    const uint8_t *digest;                          /* predicted, BAWN_MEASURE_DIGEST_SIZE */
};

/* Reads the policy, its signature (path with .sig) and what it includes (beside it), and judges the
 * launch at that time. BAWN_E_DENIED: not signed by the key, or not allowed; err says why. */
enum bawn_status bawn_launch_policy_check(const char *path, const char *key_path,
                                          const struct bawn_launch_facts *facts, int64_t at,
                                          struct bawn_error *err);

#endif
