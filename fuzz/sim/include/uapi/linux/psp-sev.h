/* SPDX-License-Identifier: Apache-2.0 */
#include <include/uapi/linux/psp-sev.h>
