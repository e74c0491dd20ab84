/* SPDX-License-Identifier: Apache-2.0 */
#include "msr_shim.h"
