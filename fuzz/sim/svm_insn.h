/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SVM's instructions in kernel/svm, for the assembler: macros that work on the model instead of
 * the CPU. Included before kernel/svm's files, which stay as they are. Nothing here is trusted
 * with anything: VMRUN's model looks at what they leave.
 */
#ifndef SIM_SVM_INSN_H
#define SIM_SVM_INSN_H

extern unsigned char sim_svm_gif;
extern unsigned long long sim_svm_saved_pa;

/* Flags stay as they are, as with the instructions. */
__asm__(".macro clgi\n\tmovb $0, sim_svm_gif(%rip)\n.endm\n"
        ".macro stgi\n\tmovb $1, sim_svm_gif(%rip)\n.endm\n"
        ".macro vmsave reg\n\tmovq \\reg, sim_svm_saved_pa(%rip)\n.endm\n");

#endif
