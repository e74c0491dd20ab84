/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work of which the supervisor wants the result and not what it leaves behind: libcrypto (late.c)
 * would be memory of every process that is forked later.
 */
#ifndef BAWN_VMM_APART_H
#define BAWN_VMM_APART_H

#include "launch.h"

/* Has a process do it that ends with it; what it writes is seen here if that memory is shared. */
enum bawn_status bawn_apart(enum bawn_status (*work)(void *opaque, struct bawn_error *err),
                            void *opaque, struct bawn_error *err);

/* As bawn_launch_measure(), apart. */
enum bawn_status bawn_apart_measure(const struct bawn_vm_config *cfg,
                                    const struct bawn_launch_plan *plan,
                                    struct bawn_measure_log *log, struct bawn_error *err);

#endif
