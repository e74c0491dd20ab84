/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of the simulated kernel that the module sees. The headers with the kernel's names lead here,
 * but for those that are the real ones' constants.
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include <sim/base.h>
#include <sim/lock.h>
#include <sim/sched.h>
#include <sim/mm.h>
#include <sim/file.h>
#include <sim/x86.h>

#endif
