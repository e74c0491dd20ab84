// SPDX-License-Identifier: Apache-2.0
/*
 * KVM's SEV-SNP launch, the same on mainline's /dev/kvm and on bawn.ko. Trusts the module. What a
 * guest asks for while it runs is checked against its RAM before anything is converted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/kvm_para.h>

#include "bawn/uapi.h"
#include "vm.h"

#define SEV_DEVICE "/dev/sev"
#define GHCB_VERSION 2
#define PAGE 4096ull
#define BOUNCE (2ull << 20) /* pages are handed over so many bytes at a time */
#define TRIES 1000          /* of a step that says EAGAIN */

/* ---- commands ---- */

/* 0, or -1 with errno and the firmware's status. */
static int command(const struct bawn_vm *vm, unsigned id, void *data, unsigned *status)
{
    struct kvm_sev_cmd cmd = {
        .id = id,
        .data = (uintptr_t)data,
        .sev_fd = (unsigned)vm->snp.sev_fd,
    };
    int rc = ioctl(vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

    *status = rc ? cmd.error : 0;
    return rc;
}

static enum bawn_status refused(const char *what, unsigned status, struct bawn_error *err)
{
    if (status)
        return bawn_fail(err, BAWN_E_DENIED, "%s: the SEV firmware refuses it, status %#x: %s",
                         what, status, strerror(errno));
    if (errno == ENODEV || errno == ENXIO)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "%s: %m; on the software platform, is bawn-platformd running?", what);
    return bawn_fail(err, BAWN_E_IO, "%s: %m", what);
}

enum bawn_status bawn_snp_check(const char *path, int fd, bool is_bawn, struct bawn_error *err)
{
    static const struct {
        unsigned cap;
        const char *name;
    } needed[] = {
        { KVM_CAP_GUEST_MEMFD, "KVM_CAP_GUEST_MEMFD" },
        { KVM_CAP_MEMORY_ATTRIBUTES, "KVM_CAP_MEMORY_ATTRIBUTES" },
        { KVM_CAP_USER_MEMORY2, "KVM_CAP_USER_MEMORY2" },
    };
    int types = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES);

    if (types <= 0 || !(types & 1 << KVM_X86_SNP_VM))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "%s runs no SEV-SNP guests: %s", path,
                         is_bawn
                             ? "this machine needs an EPYC with SEV-SNP enabled, or the software "
                               "platform (insmod bawn_platform.ko, then start bawn-platformd)"
                             : "this machine needs an EPYC with SEV-SNP enabled and Linux 6.11 "
                               "or later");
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
            return bawn_fail(err, BAWN_E_UNSUPPORTED, "%s lacks %s, which SNP guests need", path,
                             needed[i].name);
    }
    return BAWN_OK;
}

/* ---- life ---- */

void bawn_snp_vm_init(struct bawn_snp_vm *s)
{
    s->sev_fd = -1;
    for (unsigned i = 0; i < BAWN_MEM_MAX_RANGES; i++)
        s->gmem[i] = -1;
}

enum bawn_status bawn_snp_begin(struct bawn_vm *vm, struct bawn_error *err)
{
    struct kvm_enable_cap exits = {
        .cap = KVM_CAP_EXIT_HYPERCALL,
        .args = { 1 << KVM_HC_MAP_GPA_RANGE },
    };
    struct kvm_sev_init init = { .ghcb_version = GHCB_VERSION };
    struct kvm_sev_snp_launch_start start = { .policy = vm->parts->cfg->snp.policy };
    unsigned status;

    /* Mainline reaches the firmware through it; bawn.ko does by itself. */
    vm->snp.sev_fd = open(SEV_DEVICE, O_RDWR | O_CLOEXEC);
    if (vm->snp.sev_fd < 0 && !vm->parts->accel->measures)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", SEV_DEVICE);
    if (ioctl(vm->fd, KVM_ENABLE_CAP, &exits))
        return bawn_fail(err, BAWN_E_IO, "cannot have page state changes told: %m");
    if (command(vm, KVM_SEV_INIT2, &init, &status))
        return refused("KVM_SEV_INIT2", status, err);
    if (command(vm, KVM_SEV_SNP_LAUNCH_START, &start, &status))
        return refused("KVM_SEV_SNP_LAUNCH_START", status, err);
    return BAWN_OK;
}

/* ---- memory ---- */

static int set_private(const struct bawn_vm *vm, uint64_t gpa, uint64_t size, bool private)
{
    struct kvm_memory_attributes attr = {
        .address = gpa,
        .size = size,
        .attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
    };

    return ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attr);
}

enum bawn_status bawn_snp_add_memory(struct bawn_vm *vm, unsigned range, struct bawn_error *err)
{
    const struct bawn_mem_range *r = &vm->parts->mem->range[range];
    struct kvm_create_guest_memfd gmem = { .size = r->size };
    struct kvm_userspace_memory_region2 slot = {
        .slot = range,
        .flags = KVM_MEM_GUEST_MEMFD,
        .guest_phys_addr = r->gpa,
        .memory_size = r->size,
        .userspace_addr = (uintptr_t)r->host,
    };
    int fd = ioctl(vm->fd, KVM_CREATE_GUEST_MEMFD, &gmem);

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make %" PRIu64 " MiB of private memory: %m",
                         r->size >> 20);
    vm->snp.gmem[range] = fd;
    slot.guest_memfd = (unsigned)fd;
    if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION2, &slot))
        return bawn_fail(err, BAWN_E_IO, "memory slot %u, %#" PRIx64 " bytes at %#" PRIx64 ": %m",
                         range, r->size, r->gpa);
    if (set_private(vm, r->gpa, r->size, true))
        return bawn_fail(err, BAWN_E_IO, "cannot make memory at %#" PRIx64 " private: %m", r->gpa);
    return BAWN_OK;
}

/* ---- pages ---- */

static const struct {
    enum bawn_snp_page type;
    uint8_t kvm;
} page_types[] = {
    { BAWN_SNP_NORMAL, KVM_SEV_SNP_PAGE_TYPE_NORMAL },
    { BAWN_SNP_ZERO, KVM_SEV_SNP_PAGE_TYPE_ZERO },
    { BAWN_SNP_UNMEASURED, KVM_SEV_SNP_PAGE_TYPE_UNMEASURED },
    { BAWN_SNP_SECRETS, KVM_SEV_SNP_PAGE_TYPE_SECRETS },
    { BAWN_SNP_CPUID, KVM_SEV_SNP_PAGE_TYPE_CPUID },
};

/* One KVM_SEV_SNP_LAUNCH_UPDATE, however many calls it takes. page: whole pages, or NULL. */
static int update(const struct bawn_vm *vm, enum bawn_snp_page type, uint64_t gpa, uint64_t size,
                  const void *page, unsigned *status)
{
    struct kvm_sev_snp_launch_update u = {
        .gfn_start = gpa / PAGE,
        .uaddr = (uintptr_t)page,
        .len = size,
    };
    unsigned tries = 0;

    for (size_t i = 0; i < sizeof(page_types) / sizeof(page_types[0]); i++) {
        if (page_types[i].type == type)
            u.type = page_types[i].kvm;
    }
    while (u.len) {
        uint64_t before = u.len;
        int rc = command(vm, KVM_SEV_SNP_LAUNCH_UPDATE, &u, status);

        if (rc && errno != EAGAIN && errno != EINTR)
            return rc;
        tries = u.len < before ? 0 : tries + 1; /* the call moves the fields on */
        if (tries == TRIES)
            return -1;
    }
    return 0;
}

/* Copies the bytes of a region that stand in [off, off + len) of it; the rest is zero. */
static void gather(const struct bawn_snp_region *r, uint64_t off, uint64_t len, uint8_t *to)
{
    uint64_t start = off > r->data_at ? off : r->data_at;
    uint64_t end = r->data_at + r->data_len;

    end = end < off + len ? end : off + len;
    memset(to, 0, len);
    if (start < end)
        memcpy(to + (start - off), r->data + (start - r->data_at), end - start);
}

static enum bawn_status update_failed(const struct bawn_snp_region *r, unsigned status,
                                      struct bawn_error *err)
{
    char what[96];

    snprintf(what, sizeof(what), "SNP launch pages of type %d at %#" PRIx64, (int)r->type, r->gpa);
    return refused(what, status, err);
}

static enum bawn_status update_region(const struct bawn_vm *vm, const struct bawn_snp_region *r,
                                      uint8_t *bounce, struct bawn_error *err)
{
    unsigned status = 0;

    for (uint64_t off = 0; off < r->size; off += BOUNCE) {
        uint64_t len = r->size - off < BOUNCE ? r->size - off : BOUNCE;

        gather(r, off, len, bounce);
        if (update(vm, r->type, r->gpa + off, len, bounce, &status))
            return update_failed(r, status, err);
    }
    return BAWN_OK;
}

/*
 * The firmware compares each leaf with what the processor has. Where ours says more, it gives the
 * page back with what it would accept (56860, 8.17.2.6), which promises less: that is taken, once.
 */
static enum bawn_status update_cpuid(struct bawn_vm *vm, const struct bawn_snp_region *r,
                                     uint8_t *bounce, struct bawn_error *err)
{
    struct bawn_psp_cpuid_page page;
    unsigned status = 0;
    enum bawn_status st = bawn_cpuid_page(&vm->vcpu[0], &page, err);

    if (st)
        return st;
    memcpy(bounce, &page, sizeof(page));
    if (!update(vm, r->type, r->gpa, r->size, bounce, &status))
        return BAWN_OK;
    if (status != BAWN_PSP_INVALID_PARAM || !memcmp(bounce, &page, sizeof(page)) ||
        update(vm, r->type, r->gpa, r->size, bounce, &status))
        return update_failed(r, status, err);
    return BAWN_OK;
}

static enum bawn_status update_all(struct bawn_vm *vm, struct bawn_error *err)
{
    const struct bawn_snp_launch *launch = &vm->parts->snp->launch;
    uint8_t *bounce =
        mmap(NULL, BOUNCE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    enum bawn_status st = BAWN_OK;

    if (bounce == MAP_FAILED)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the launch");
    for (unsigned i = 0; !st && i < launch->nr_regions; i++) {
        const struct bawn_snp_region *r = &launch->region[i];

        st = r->type == BAWN_SNP_CPUID ? update_cpuid(vm, r, bounce, err)
                                       : update_region(vm, r, bounce, err);
    }
    munmap(bounce, BOUNCE);
    return st;
}

/* ---- vCPUs and the end of the launch ---- */

enum bawn_status bawn_snp_set_vcpu(const struct bawn_vcpu *vcpu, struct bawn_error *err)
{
    const struct bawn_snp_launch *launch = &vcpu->vm->parts->snp->launch;
    unsigned kind = vcpu->id ? BAWN_SNP_AP : BAWN_SNP_BSP;

    if (ioctl(vcpu->fd, KVM_SET_SREGS, &launch->sregs[kind]))
        return bawn_fail(err, BAWN_E_IO, "vCPU %u: KVM_SET_SREGS: %m", vcpu->id);
    if (ioctl(vcpu->fd, KVM_SET_REGS, &launch->regs[kind]))
        return bawn_fail(err, BAWN_E_IO, "vCPU %u: KVM_SET_REGS: %m", vcpu->id);
    return BAWN_OK;
}

static enum bawn_status set_certs(const struct bawn_vm *vm, struct bawn_error *err)
{
#ifdef BAWN_SNP_SET_CERTS
    const struct bawn_file *file = &vm->parts->snp->certs;
    struct bawn_snp_certs certs = { .addr = (uintptr_t)file->data, .size = (uint32_t)file->len };

    if (file->len && ioctl(vm->fd, BAWN_SNP_SET_CERTS, &certs))
        return bawn_fail(err, BAWN_E_IO, "%s does not take the certificates: %m",
                         vm->parts->accel->path);
#else
    (void)vm, (void)err;
#endif
    return BAWN_OK;
}

enum bawn_status bawn_snp_finish(struct bawn_vm *vm, struct bawn_error *err)
{
    const struct bawn_snp_identity *id = &vm->parts->snp->id;
    struct kvm_sev_snp_launch_finish finish = {
        .id_block_en = id->given,
        .auth_key_en = id->author,
        .id_block_uaddr = id->given ? (uintptr_t)id->block : 0,
        .id_auth_uaddr = id->given ? (uintptr_t)id->auth : 0,
    };
    enum bawn_status st = update_all(vm, err);
    unsigned status;

    if (!st)
        st = set_certs(vm, err);
    if (st)
        return st;
    memcpy(finish.host_data, vm->parts->cfg->snp.host_data, sizeof(finish.host_data));
    if (!command(vm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, &status)) {
        memcpy(vm->digest, vm->parts->snp->launch.digest, sizeof(vm->digest));
        return BAWN_OK;
    }
    if (status == BAWN_PSP_BAD_MEASUREMENT)
        return bawn_fail(err, BAWN_E_DENIED,
                         "the firmware measured another launch than the ID block names; this "
                         "launch's digest is %s",
                         bawn_digest_hex(vm->parts->snp->launch.digest).text);
    if (status == BAWN_PSP_BAD_SIGNATURE || status == BAWN_PSP_POLICY_FAILURE)
        return bawn_fail(err, BAWN_E_DENIED, "the firmware refuses the ID block: %s",
                         status == BAWN_PSP_BAD_SIGNATURE ? "a signature is not good"
                                                          : "its policy is not the guest's");
    return refused("KVM_SEV_SNP_LAUNCH_FINISH", status, err);
}

/* ---- exits ---- */

/* The bytes at gpa change hands; what the other side held of them is given back to the host. */
static int convert(struct bawn_vm *vm, uint64_t gpa, uint64_t size, bool private)
{
    for (unsigned i = 0; i < vm->parts->mem->nr; i++) {
        const struct bawn_mem_range *r = &vm->parts->mem->range[i];
        uint64_t off = gpa - r->gpa;

        if (gpa < r->gpa || off >= r->size || size > r->size - off)
            continue;
        if (set_private(vm, gpa, size, private))
            return -1;
        if (private)
            return bawn_mem_punch(r, off, size);
        return fallocate(vm->snp.gmem[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
                         (off_t)size);
    }
    errno = EINVAL;
    return -1;
}

void bawn_snp_hypercall(struct bawn_vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    uint64_t gpa = run->hypercall.args[0], pages = run->hypercall.args[1];
    bool private = run->hypercall.args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED;

    run->hypercall.ret = (uint64_t)-EINVAL;
    if (!vcpu->vm->parts->snp || run->hypercall.nr != KVM_HC_MAP_GPA_RANGE || gpa % PAGE ||
        !pages || pages > UINT64_MAX / PAGE)
        return;
    if (!convert(vcpu->vm, gpa, pages * PAGE, private))
        run->hypercall.ret = 0;
}

void bawn_snp_memory_fault(struct bawn_vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    uint64_t gpa = run->memory_fault.gpa;
    bool private = run->memory_fault.flags & KVM_MEMORY_EXIT_FLAG_PRIVATE;

    if (!bawn_mem_at(vcpu->vm->parts->mem, gpa, 1))
        bawn_vm_end(vcpu->vm, BAWN_END_CRASH, "vCPU %u: there is no memory at %#" PRIx64, vcpu->id,
                    gpa);
    else
        bawn_vm_end(vcpu->vm, BAWN_END_CRASH,
                    "vCPU %u used memory at %#" PRIx64 " as %s memory, which it is not", vcpu->id,
                    gpa, private ? "private" : "shared");
}

/* The GHCB MSR's value (AMD 56421, 2.3.1): set in bits 15:12, code in bits 23:16. */
void bawn_snp_terminated(struct bawn_vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    uint64_t msr = run->system_event.ndata ? run->system_event.data[0] : 0;
    unsigned set = msr >> 12 & 0xf, code = msr >> 16 & 0xff;
    const char *text = bawn_snp_reason(set, code);

    bawn_vm_end(vcpu->vm, BAWN_END_CRASH, "vCPU %u: the guest ended itself: %s (reason %u:0x%02x)",
                vcpu->id, text ? text : "unknown reason", set, code);
}
