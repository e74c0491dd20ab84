// SPDX-License-Identifier: Apache-2.0
/*
 * What the module promises from one entry to the next, which no single VMCB shows: an interrupt or
 * NMI whose delivery an exit broke off is injected again, and a vCPU is entered after another with
 * a branch prediction barrier between. AMD APM vol. 2, 15.20.
 */
#include "internal.h"

#include "svm/svm.h"

#include "hw.h"

#define EVENT (SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_MASK | SVM_EVTINJ_VEC_MASK)

bool sim_ibpb; /* since the last VMRUN */
static const struct bawn_vcpu *last;
static const struct bawn_vcpu *owed_to;
static u32 owed;
static u64 owed_entry; /* userspace may do away with an event between two */
static struct bawn_cpu_ops ops;

/* INIT and shutdown do away with it, too. */
static void vcpu_reset(struct bawn_vcpu *vcpu)
{
    owed_to = NULL;
    bawn_svm_ops.vcpu_reset(vcpu);
}

const struct bawn_cpu_ops *sim_svm_promise_start(void)
{
    ops = bawn_svm_ops;
    ops.vcpu_reset = vcpu_reset;
    return &ops;
}

void sim_svm_promise_reset(void)
{
    last = owed_to = NULL;
    sim_ibpb = false;
}

void sim_svm_promise_enter(const struct bawn_vcpu *vcpu, u32 event)
{
    if (last && last != vcpu && !sim_ibpb)
        sim_fault(SIM_HARDWARE, "a vCPU is entered after another without a barrier (IBPB)");
    last = vcpu;
    sim_ibpb = false;
    sim_cpu_entered();
    if (owed_to == vcpu && owed_entry == sim_counts.entries && (event & EVENT) != owed)
        sim_fault(SIM_STATE, "event 0x%x was not delivered, and is lost (now 0x%x)", owed, event);
    owed_to = NULL;
}

void sim_svm_promise_exit(const struct bawn_vcpu *vcpu, u32 event)
{
    u32 type = event & SVM_EVTINJ_TYPE_MASK;

    if (!(event & SVM_EVTINJ_VALID) ||
        (type != SVM_EVTINJ_TYPE_INTR && type != SVM_EVTINJ_TYPE_NMI))
        return;
    owed_to = vcpu;
    owed = type == SVM_EVTINJ_TYPE_NMI ? SVM_EVTINJ_VALID | type : event & EVENT;
    owed_entry = sim_counts.entries;
}
