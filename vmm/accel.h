/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtualisation module behind a device node: bawn.ko or another KVM.
 */
#ifndef BAWN_VMM_ACCEL_H
#define BAWN_VMM_ACCEL_H

#include <stdbool.h>

#include "bawn/status.h"

enum bawn_accel_kind { BAWN_ACCEL_AUTO, BAWN_ACCEL_BAWN, BAWN_ACCEL_KVM };

struct bawn_accel {
    const char *path; /* borrowed: the device node */
    int fd;
    int vcpu_size;     /* of the mapped struct kvm_run */
    bool measures;     /* KVM_CAP_BAWN_MEASURE */
    bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER */
    bool stats;        /* KVM_CAP_BINARY_STATS_FD */
};

/* Opens device (NULL: as kind says) and refuses what cannot run our machines, by name. */
enum bawn_status bawn_accel_open(struct bawn_accel *accel, enum bawn_accel_kind kind,
                                 const char *device, unsigned vcpus, struct bawn_error *err);
void bawn_accel_close(struct bawn_accel *accel);

#endif
