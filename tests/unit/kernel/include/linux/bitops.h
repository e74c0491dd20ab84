/* SPDX-License-Identifier: Apache-2.0 */
/* Bit operations of the kernel: the tests' own are in types.h. */
#include <linux/types.h>
