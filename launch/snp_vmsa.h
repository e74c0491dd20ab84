/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPUs' first state in an SNP launch.
 */
#ifndef BAWN_LAUNCH_SNP_VMSA_H
#define BAWN_LAUNCH_SNP_VMSA_H

#include "launch/snp.h"

/* Sets registers and save areas of both kinds of vCPU. */
void snp_vmsa_plan(struct bawn_snp_launch *plan);

#endif
