/* SPDX-License-Identifier: Apache-2.0 */
#include_next <asm/svm.h>
#include "ghcb_shim.h"
