/* SPDX-License-Identifier: Apache-2.0 */
/* The real commands and buffers. */
#include <sim/kernel.h>
#include <include/linux/psp-sev.h>
