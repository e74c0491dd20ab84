/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work of which the supervisor wants the result and not what it leaves behind: libcrypto (late.c)
 * would be memory of every process that is forked later.
 */
#ifndef BAWN_VMM_APART_H
#define BAWN_VMM_APART_H

#include "launch.h"

/* As bawn_launch_measure(), by a process that ends with it. */
enum bawn_status bawn_apart_measure(const struct bawn_vm_config *cfg,
                                    const struct bawn_launch_plan *plan,
                                    struct bawn_measure_log *log, struct bawn_error *err);

#endif
