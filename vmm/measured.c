// SPDX-License-Identifier: Apache-2.0
/*
 * Measured launch (docs/measured-launch.md) from the VMM's side: declare, seal, and compare
 * what the module measured with what the configuration predicts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bawn/uapi.h"
#include "vm.h"

enum bawn_status bawn_measured_begin(struct bawn_vm *vm, struct bawn_error *err)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_BAWN_MEASURE };

    if (vm->parts->accel->measures && ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
        return bawn_fail(err, BAWN_E_IO, "cannot enable the measured launch: %m");
    return BAWN_OK;
}

static enum bawn_status declare(struct bawn_vm *vm, struct bawn_error *err)
{
    const struct bawn_launch_plan *plan = vm->parts->plan;

    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_region *r = &plan->region[i];
        struct bawn_measure_region req = { .gpa = r->gpa, .size = r->size, .type = r->type };

        if (ioctl(vm->fd, BAWN_MEASURE_REGION, &req))
            return bawn_fail(err, BAWN_E_IO, "cannot declare the %#llx bytes at %#llx: %m",
                             (unsigned long long)r->size, (unsigned long long)r->gpa);
    }
    return BAWN_OK;
}

/* Names the first event in which the module's log and the prediction differ. */
static enum bawn_status mismatch(const struct bawn_measure_event *got, unsigned nr,
                                 const struct bawn_measure_log *want, struct bawn_error *err)
{
    unsigned i = 0;

    while (i < nr && i < want->nr_events && !memcmp(&got[i], &want->events[i], sizeof(*got)))
        i++;
    if (i < nr)
        return bawn_fail(err, BAWN_E_DENIED,
                         "the launch digest is not the predicted one: event %u of %u is of type "
                         "%s, gpa %#llx, size %#llx; %s",
                         i, nr, bawn_measure_type_name(got[i].type), (unsigned long long)got[i].gpa,
                         (unsigned long long)got[i].size,
                         i < want->nr_events ? "another was predicted there"
                                             : "none was predicted there");
    return bawn_fail(err, BAWN_E_DENIED,
                     "the launch digest is not the predicted one: %u events were measured, %u "
                     "predicted",
                     nr, want->nr_events);
}

enum bawn_status bawn_measured_seal(struct bawn_vm *vm, struct bawn_error *err)
{
    const struct bawn_measure_log *want = vm->parts->predicted;
    struct bawn_measurement m = { 0 };
    struct bawn_measure_event *log;
    enum bawn_status st;

    if (!vm->parts->accel->measures)
        return BAWN_OK;
    st = declare(vm, err);
    if (st)
        return st;
    if (ioctl(vm->fd, BAWN_MEASURE_SEAL) || ioctl(vm->fd, BAWN_GET_MEASUREMENT, &m))
        return bawn_fail(err, BAWN_E_IO, "cannot seal the launch: %m");
    log = calloc(1, m.log_size ? m.log_size : 1);
    if (!log)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for %u bytes of event log", m.log_size);
    m.log_addr = (uintptr_t)log;
    if (ioctl(vm->fd, BAWN_GET_MEASUREMENT, &m))
        st = bawn_fail(err, BAWN_E_IO, "cannot read the launch's event log: %m");
    else if (memcmp(m.digest, want->digest, sizeof(m.digest)))
        st = mismatch(log, m.log_size / sizeof(*log), want, err);
    memcpy(vm->digest, m.digest, sizeof(vm->digest));
    vm->measured = true;
    free(log);
    return st;
}
