// SPDX-License-Identifier: Apache-2.0
/*
 * What the CPU says to writes of SVM's MSRs that are wrong: on hardware #GP in the kernel, here a
 * finding. And SVM's part of the machine's life. AMD APM vol. 2, 15.4, 15.30.
 */
#include "internal.h"

#include "svm/svm.h"

#include "hw.h"

void sim_svm_check_msr(u32 index, u64 value)
{
    switch (index) {
    case MSR_EFER:
        if ((value ^ sim_rdmsr(MSR_EFER)) & ~(u64)EFER_SVME)
            sim_fault(SIM_HARDWARE, "EFER 0x%llx", (unsigned long long)value);
        break;
    case MSR_VM_HSAVE_PA:
        if (value)
            sim_svm_memory(value, PAGE_SIZE, "VM_HSAVE_PA");
        break;
    case MSR_AMD64_TSC_RATIO:
        if (value & SVM_TSC_RATIO_RSVD)
            sim_fault(SIM_HARDWARE, "TSC_RATIO 0x%llx", (unsigned long long)value);
        break;
    }
}

void sim_svm_start(void)
{
    if (sim_options.backend == SIM_SVM)
        sim_backend_ops = sim_svm_promise_start();
    else if (sim_options.snp)
        sim_fault(SIM_STATE, "SNP guests are SVM's: .backend must be SIM_SVM");
}

/* ASIDs are given out anew, so that an input runs the same after any other. */
void sim_svm_reset(void)
{
    bawn_svm_cpu.next_asid = bawn_svm_cpu.max_asid + 1;
    bawn_svm_cpu.last = bawn_svm_cpu.es_last = NULL;
    sim_svm_promise_reset();
}
