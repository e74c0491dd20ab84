/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_ASM_HYPERV_TLFS_H
#define SIM_ASM_HYPERV_TLFS_H
/* The size of the VMCB's part that is software's. */
struct hv_vmcb_enlightenments {
    unsigned char reserved[32];
};
#endif
