/* SPDX-License-Identifier: Apache-2.0 */
/* The real API, as the kernel itself sees it. */
#ifndef SIM_LINUX_KVM_H
#define SIM_LINUX_KVM_H

#include <sim/base.h>

#define KVM_STATS_NAME_SIZE 48 /* <linux/kvm_types.h> */

#define __KERNEL__
#include <include/uapi/linux/kvm.h>
#undef __KERNEL__

#endif
