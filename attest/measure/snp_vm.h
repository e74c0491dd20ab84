/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bawn-measure snp for guests that `bawn run` starts, which are described by a configuration.
 */
#ifndef BAWN_MEASURE_SNP_VM_H
#define BAWN_MEASURE_SNP_VM_H

#include "attest/measure/measure.h"

/* Whether these arguments of `bawn-measure snp` describe one (--config or --firmware), and not a
 * guest with OVMF. */
bool snp_vm_meant(int argc, char **argv);
enum bawn_status snp_vm_run(int argc, char **argv, struct bawn_error *err);

#endif
