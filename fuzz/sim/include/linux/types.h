/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LINUX_TYPES_H
#define SIM_LINUX_TYPES_H

#include_next <linux/types.h>

#include <sim/base.h>

#endif
