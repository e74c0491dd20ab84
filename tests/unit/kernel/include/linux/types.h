/* SPDX-License-Identifier: Apache-2.0 */
#include_next <linux/types.h>
#include "kernel_shim.h"
