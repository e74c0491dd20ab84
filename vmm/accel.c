// SPDX-License-Identifier: Apache-2.0
/*
 * Finds the module and checks what it offers. Trusts the module, which is the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "accel.h"
#include "bawn/uapi.h"

#define BAWN_DEVICE "/dev/bawn"
#define KVM_DEVICE "/dev/kvm"

static const struct {
    unsigned cap;
    const char *name;
} required[] = {
    { KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
    { KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP" },
    { KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
    { KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
    { KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
    { KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI" },
    { KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
    { KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

static int cap(const struct bawn_accel *accel, unsigned long n)
{
    return ioctl(accel->fd, KVM_CHECK_EXTENSION, n);
}

static enum bawn_status check(struct bawn_accel *accel, unsigned vcpus, struct bawn_error *err)
{
    int version = ioctl(accel->fd, KVM_GET_API_VERSION, 0);
    int max;

    if (version != KVM_API_VERSION)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "%s answers KVM API version %d, not %d",
                         accel->path, version, KVM_API_VERSION);
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (cap(accel, required[i].cap) <= 0)
            return bawn_fail(err, BAWN_E_UNSUPPORTED, "%s lacks %s, which bawn needs", accel->path,
                             required[i].name);
    }
    max = cap(accel, KVM_CAP_MAX_VCPUS);
    if (max > 0 && (unsigned)max < vcpus)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "%u vCPUs: %s serves at most %d", vcpus,
                         accel->path, max);
    accel->vcpu_size = ioctl(accel->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (accel->vcpu_size < (int)sizeof(struct kvm_run))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "%s gives a run page of %d bytes", accel->path,
                         accel->vcpu_size);
    accel->measures = cap(accel, KVM_CAP_BAWN_MEASURE) > 0;
    accel->tsc_deadline = cap(accel, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    accel->stats = cap(accel, KVM_CAP_BINARY_STATS_FD) > 0;
    return BAWN_OK;
}

enum bawn_status bawn_accel_open(struct bawn_accel *accel, enum bawn_accel_kind kind,
                                 const char *device, unsigned vcpus, struct bawn_error *err)
{
    enum bawn_status st;

    memset(accel, 0, sizeof(*accel));
    accel->path = device ? device : kind == BAWN_ACCEL_KVM ? KVM_DEVICE : BAWN_DEVICE;
    accel->fd = open(accel->path, O_RDWR | O_CLOEXEC);
    if (accel->fd < 0 && errno == ENOENT && !device && kind != BAWN_ACCEL_KVM) {
        accel->path = KVM_DEVICE; /* bawn.ko with device=kvm, or another KVM */
        accel->fd = open(accel->path, O_RDWR | O_CLOEXEC);
    }
    if (accel->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m%s", accel->path,
                         errno == ENOENT ? "; load bawn.ko or kvm.ko" : "");
    st = check(accel, vcpus, err);
    if (!st && kind == BAWN_ACCEL_BAWN && !accel->measures)
        st = bawn_fail(err, BAWN_E_UNSUPPORTED,
                       "%s is not bawn.ko (it lacks KVM_CAP_BAWN_MEASURE); load bawn.ko or say "
                       "--accel kvm",
                       accel->path);
    if (st)
        bawn_accel_close(accel);
    return st;
}

void bawn_accel_close(struct bawn_accel *accel)
{
    if (accel->fd >= 0)
        close(accel->fd);
    accel->fd = -1;
}
