/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every ioctl that the module serves, one line each: object, number, handler, flags. The
 * dispatcher (ioctl.c) copies the argument in once and out again by the number's own direction
 * and size; handlers see the copy alone.
 */
#ifndef BAWN_IOCTL_H
#define BAWN_IOCTL_H

#include "bawn.h"

#define BAWN_RUN_PAGES 2 /* kvm_run and the port I/O data */

struct bawn_call {
	struct bawn_vm *vm;
	struct bawn_vcpu *vcpu;
	void *arg;	   /* the copied argument; zeroed for _IOR */
	unsigned long raw; /* the argument as given */
};

#define CALL_RAW BIT(0)	  /* the argument is a number, or the handler copies it itself */
#define CALL_STATE BIT(1) /* changes a vCPU's state: EPERM between the seal and its first run */
#define CALL_FREE BIT(2)  /* without vcpu->mutex */
#define CALL_LOCK BIT(3)  /* under vm->lock */
#define CALL_SLOTS BIT(4) /* under vm->slots_lock */
#define CALL_EARLY BIT(5) /* before the first vCPU: EINVAL after */
#define CALL_LOADED BIT(6) /* with the vCPU loaded on this CPU and srcu held */
#define CALL_APIC BIT(7)   /* needs the local APIC: EINVAL without */
#define CALL_REGS BIT(9) /* what a confidential guest keeps to itself: EINVAL once launched */
#define CALL_IRQCHIP BIT(8) /* needs the split irqchip: ENXIO without */
#define CALL_MEASURED BIT(11) /* of a measured VM: ENOTTY for others */
#define CALL_IN BIT(10) /* the argument is not written back, whatever the number's direction */

#define BAWN_IOCTLS(X)                                                                     \
	X(DEV, KVM_GET_API_VERSION, api_version, CALL_RAW)                                 \
	X(DEV, KVM_CREATE_VM, create_vm, CALL_RAW)                                         \
	X(DEV, KVM_CHECK_EXTENSION, check_extension, CALL_RAW)                             \
	X(DEV, KVM_GET_VCPU_MMAP_SIZE, vcpu_mmap_size, CALL_RAW)                           \
	X(DEV, KVM_GET_SUPPORTED_CPUID, supported_cpuid, CALL_RAW)                         \
	X(DEV, KVM_GET_MSR_INDEX_LIST, msr_index_list, CALL_RAW)                           \
	X(DEV, KVM_GET_MSR_FEATURE_INDEX_LIST, msr_feature_list, CALL_RAW)                 \
	X(DEV, KVM_GET_MSRS, feature_msrs, CALL_RAW)                                       \
	X(DEV, KVM_X86_GET_MCE_CAP_SUPPORTED, mce_cap, 0)                                  \
	X(VM, KVM_CHECK_EXTENSION, check_extension, CALL_RAW)                              \
	X(VM, KVM_CREATE_VCPU, create_vcpu, CALL_RAW | CALL_LOCK)                          \
	X(VM, KVM_ENABLE_CAP, vm_enable_cap, CALL_LOCK)                                    \
	X(VM, KVM_SET_USER_MEMORY_REGION, set_memory_region, CALL_SLOTS)                   \
	X(VM, KVM_SET_USER_MEMORY_REGION2, set_memory_region2, CALL_SLOTS)                 \
	X(VM, KVM_GET_DIRTY_LOG, get_dirty_log, CALL_SLOTS)                                \
	X(VM, KVM_CLEAR_DIRTY_LOG, clear_dirty_log, CALL_SLOTS)                            \
	X(VM, KVM_CREATE_GUEST_MEMFD, create_guest_memfd, CALL_IN)                         \
	X(VM, KVM_SET_MEMORY_ATTRIBUTES, set_attributes, CALL_SLOTS)                       \
	X(VM, KVM_MEMORY_ENCRYPT_OP, memory_encrypt_op, CALL_RAW | CALL_LOCK)              \
	X(VM, KVM_SET_TSS_ADDR, set_tss_addr, CALL_RAW)                                    \
	X(VM, KVM_SET_IDENTITY_MAP_ADDR, set_identity_addr, CALL_LOCK | CALL_EARLY)        \
	X(VM, KVM_SET_GSI_ROUTING, set_routing, CALL_RAW)                                  \
	X(VM, KVM_SIGNAL_MSI, signal_msi, 0)                                               \
	X(VM, KVM_IRQ_LINE, irq_line, CALL_IRQCHIP)                                        \
	X(VM, KVM_IRQ_LINE_STATUS, irq_line, CALL_IRQCHIP)                                 \
	X(VM, KVM_IRQFD, irqfd, 0)                                                         \
	X(VM, KVM_IOEVENTFD, ioeventfd, 0)                                                 \
	X(VM, KVM_GET_CLOCK, get_clock, 0)                                                 \
	X(VM, KVM_SET_CLOCK, set_clock, 0)                                                 \
	X(VM, KVM_SET_TSC_KHZ, vm_set_tsc_khz, CALL_RAW | CALL_LOCK | CALL_EARLY)          \
	X(VM, KVM_GET_TSC_KHZ, vm_get_tsc_khz, CALL_RAW)                                   \
	X(VM, KVM_SET_BOOT_CPU_ID, set_boot_cpu, CALL_RAW | CALL_LOCK)                     \
	X(VM, KVM_X86_SET_MSR_FILTER, set_msr_filter, CALL_RAW)                            \
	X(VM, KVM_GET_STATS_FD, vm_stats_fd, CALL_RAW)                                     \
	X(VM, BAWN_MEASURE_REGION, measure_region, CALL_MEASURED | CALL_LOCK)              \
	X(VM, BAWN_GET_MEASUREMENT, get_measurement, CALL_MEASURED | CALL_RAW | CALL_LOCK) \
	X(VM, BAWN_SNP_SET_CERTS, snp_set_certs, 0)                                        \
	X(VM, BAWN_MEASURE_SEAL, measure_seal, CALL_MEASURED | CALL_RAW)                   \
	X(VCPU, KVM_RUN, run, CALL_RAW | CALL_FREE)                                                \
	X(VCPU, KVM_GET_REGS, get_regs, CALL_REGS)                                                 \
	X(VCPU, KVM_SET_REGS, set_regs, CALL_STATE | CALL_REGS)                                    \
	X(VCPU, KVM_GET_SREGS, get_sregs, CALL_LOADED | CALL_REGS)                                 \
	X(VCPU, KVM_SET_SREGS, set_sregs, CALL_STATE | CALL_LOADED | CALL_REGS)                    \
	X(VCPU, KVM_GET_SREGS2, get_sregs2, CALL_LOADED | CALL_REGS)                               \
	X(VCPU, KVM_SET_SREGS2, set_sregs2, CALL_STATE | CALL_LOADED | CALL_REGS)                  \
	X(VCPU, KVM_GET_FPU, get_fpu, CALL_REGS)                                                   \
	X(VCPU, KVM_SET_FPU, set_fpu, CALL_STATE | CALL_REGS)                                      \
	X(VCPU, KVM_GET_XSAVE, get_xsave, CALL_REGS)                                               \
	X(VCPU, KVM_SET_XSAVE, set_xsave, CALL_STATE | CALL_REGS)                                  \
	X(VCPU, KVM_GET_XCRS, get_xcrs, CALL_REGS)                                                 \
	X(VCPU, KVM_SET_XCRS, set_xcrs, CALL_STATE | CALL_REGS)                                    \
	X(VCPU, KVM_GET_DEBUGREGS, get_debugregs, CALL_REGS)                                       \
	X(VCPU, KVM_SET_DEBUGREGS, set_debugregs, CALL_STATE | CALL_REGS)                          \
	X(VCPU, KVM_SET_GUEST_DEBUG, set_guest_debug, CALL_STATE | CALL_REGS)                      \
	X(VCPU, KVM_GET_VCPU_EVENTS, get_events, 0)                                                \
	X(VCPU, KVM_SET_VCPU_EVENTS, set_events, CALL_STATE)                                       \
	X(VCPU, KVM_GET_MP_STATE, get_mp_state, CALL_LOADED)                               \
	X(VCPU, KVM_SET_MP_STATE, set_mp_state, CALL_STATE)                                \
	X(VCPU, KVM_GET_LAPIC, get_lapic, CALL_APIC | CALL_LOADED)                         \
	X(VCPU, KVM_SET_LAPIC, set_lapic, CALL_STATE | CALL_APIC | CALL_LOADED)            \
	X(VCPU, KVM_SET_CPUID2, set_cpuid2, CALL_RAW | CALL_STATE | CALL_LOADED)           \
	X(VCPU, KVM_GET_CPUID2, get_cpuid2, CALL_RAW)                                      \
	X(VCPU, KVM_GET_MSRS, get_msrs, CALL_RAW | CALL_LOADED)                            \
	X(VCPU, KVM_SET_MSRS, set_msrs, CALL_RAW | CALL_STATE | CALL_LOADED)             \
	X(VCPU, KVM_X86_SETUP_MCE, setup_mce, CALL_STATE)                                  \
	X(VCPU, KVM_SET_VAPIC_ADDR, set_vapic_addr, CALL_APIC)                             \
	X(VCPU, KVM_NMI, nmi, CALL_RAW)                                                    \
	X(VCPU, KVM_SET_TSC_KHZ, set_tsc_khz, CALL_RAW | CALL_LOADED)                      \
	X(VCPU, KVM_GET_TSC_KHZ, get_tsc_khz, CALL_RAW)                                    \
	X(VCPU, KVM_KVMCLOCK_CTRL, kvmclock_ctrl, CALL_RAW | CALL_LOADED)                  \
	X(VCPU, KVM_GET_STATS_FD, vcpu_stats_fd, CALL_RAW | CALL_FREE)

#define BAWN_IOCTL_PROTO(object, number, fn, flags) long bawn_call_##fn(struct bawn_call *call);
BAWN_IOCTLS(BAWN_IOCTL_PROTO)
#undef BAWN_IOCTL_PROTO

enum bawn_object { BAWN_OBJ_DEV, BAWN_OBJ_VM, BAWN_OBJ_VCPU, BAWN_OBJ_NR };
void bawn_ioctl_setup(void); /* once, at load */
long bawn_dispatch(enum bawn_object object, struct bawn_call *call, unsigned int nr);

int bawn_vcpu_run(struct bawn_vcpu *vcpu);

#endif
