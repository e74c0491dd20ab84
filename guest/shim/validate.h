/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation of all RAM that was not validated at launch, each page exactly once: a page that
 * turns out to be validated already was swapped or mapped twice by the host.
 */
#ifndef SHIM_VALIDATE_H
#define SHIM_VALIDATE_H

#include "guest/shim/paging.h"
#include "guest/shim/params.h"

/* t: the tables in use, cr3 what they are loaded with. Fails where a page does not validate. */
void shim_validate_ram(struct shim_tables *t, uint64_t cr3, const struct bawn_shim_params *p,
                       const struct shim_launched *launched);

#endif
