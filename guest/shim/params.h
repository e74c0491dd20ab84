/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameter page. It was measured, so it says what the owner wants; the checks here find
 * mistakes of whoever built the launch, before they become faults that nobody can read.
 */
#ifndef SHIM_PARAMS_H
#define SHIM_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "bawn/shim.h"

/* What was validated at launch, in whole pages, by ascending address. */
struct shim_launched {
    struct bawn_shim_range range[6];
    unsigned count;
};

/* image_size: bytes of the image. Returns 0, or the reason to fail with. */
unsigned shim_params_check(const struct bawn_shim_params *p, uint64_t image_size, unsigned cbit,
                           struct shim_launched *launched);

/* Whether [gpa, gpa + size) lies in one range of the RAM map. */
bool shim_params_in_ram(const struct bawn_shim_params *p, uint64_t gpa, uint64_t size);

#endif
