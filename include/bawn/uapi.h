/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Bawn's additions to the KVM user API, shared by the kernel module and its callers.
 * Everything else that /dev/bawn serves is declared by <linux/kvm.h>.
 * Found at run time by KVM_CHECK_EXTENSION; absent on any other KVM.
 */
#ifndef BAWN_UAPI_H
#define BAWN_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Measured launch. KVM_CHECK_EXTENSION answers the version of the encoding in measure.h (1).
 * KVM_ENABLE_CAP on the VM, before its first vCPU, makes the VM a measured one.
 */
#define KVM_CAP_BAWN_MEASURE 0x42570001

#define BAWN_IO 0xBA

/*
 * Names the content of [gpa, gpa + size): the event log then shows it under this type.
 * Memory that is not declared is measured all the same, as BAWN_MEASURE_UNDECLARED.
 * gpa and size are multiples of 4096; type is a BAWN_MEASURE_* of the declared range
 * (measure.h); flags and reserved are 0.
 * Errors: ENOTTY not a measured VM, EINVAL bad field or overlap, ENOSPC too many,
 * EPERM already sealed.
 */
struct bawn_measure_region {
	__u64 gpa;
	__u64 size;
	__u32 type;
	__u32 flags;
	__u64 reserved[2];
};

#define BAWN_MEASUREMENT_SEALED 1u /* flags: the digest is final */
#define BAWN_MEASUREMENT_TPM 2u    /* flags: it was extended into the host's PCR pcr */

/*
 * Reads the digest and, when log_addr is not 0, at most log_size bytes of the event log
 * (an array of struct bawn_measure_event). On return log_size is the log's whole size.
 * Errors: ENOTTY not a measured VM, EAGAIN not sealed yet, EFAULT.
 */
struct bawn_measurement {
	__u32 version;
	__u32 flags;
	__u32 pcr;
	__u32 log_size;
	__u64 log_addr;
	__u8 digest[48];
	__u64 reserved[4];
};

#define BAWN_MEASURE_REGION _IOW(BAWN_IO, 0x01, struct bawn_measure_region)
#define BAWN_GET_MEASUREMENT _IOWR(BAWN_IO, 0x02, struct bawn_measurement)
/* Seals now what the first KVM_RUN would seal; a second call is refused with EPERM. */
#define BAWN_MEASURE_SEAL _IO(BAWN_IO, 0x03)


/*
 * SNP guests. The certificate table (AMD 56421, 4.1.8.1) that extended guest requests hand to
 * the guest beside its report: size bytes at addr, replacing the one before; size 0 takes it
 * away. KVM_CHECK_EXTENSION answers the largest size that is taken.
 * Errors: ENOTTY not an SNP VM, EINVAL too large or a reserved field is set, EFAULT, ENOMEM.
 */
#define KVM_CAP_BAWN_SNP_CERTS 0x42570002

struct bawn_snp_certs {
	__u64 addr;
	__u32 size;
	__u32 reserved;
};

#define BAWN_SNP_SET_CERTS _IOW(BAWN_IO, 0x04, struct bawn_snp_certs)

#endif
