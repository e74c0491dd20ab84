// SPDX-License-Identifier: Apache-2.0
/* A VM as a VMM makes one; see the header. */
#include "vm.h"

#include <errno.h>
#include <string.h>

#include "bawn/uapi.h"

#define PAGE 0x1000u

long sim_vm_call(struct sim_vm *vm, int fd, unsigned long request, void *argument, size_t n)
{
    long r;

    if (n > SIM_VM_SCRATCH || !sim_poke(vm->scratch, argument, n))
        return -EFAULT;
    r = sim_ioctl(fd, request, vm->scratch);
    sim_peek(vm->scratch, argument, n);
    return r;
}

bool sim_vm_put(struct sim_vm *vm, uint64_t gpa, const void *from, size_t n)
{
    return gpa <= SIM_VM_MEMORY && n <= SIM_VM_MEMORY - gpa && sim_poke(vm->memory + gpa, from, n);
}

void *sim_vm_at(struct sim_vm *vm, uint64_t gpa)
{
    return gpa < SIM_VM_MEMORY ? sim_user(vm->memory + gpa) : NULL;
}

/* ---- Life ---- */

long sim_vm_attribute(struct sim_vm *vm, uint64_t gpa, uint64_t size, bool private)
{
    struct kvm_memory_attributes a = { .address = gpa,
                                       .size = size,
                                       .attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0 };

    return sim_vm_call(vm, vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &a, sizeof(a));
}

static bool private_memory(struct sim_vm *vm)
{
    struct kvm_create_guest_memfd create = { .size = SIM_VM_MEMORY };
    struct kvm_userspace_memory_region2 region = { .flags = KVM_MEM_GUEST_MEMFD,
                                                   .memory_size = SIM_VM_MEMORY,
                                                   .userspace_addr = vm->memory };

    vm->gmem = (int)sim_vm_call(vm, vm->fd, KVM_CREATE_GUEST_MEMFD, &create, sizeof(create));
    if (vm->gmem < 0)
        return false;
    region.guest_memfd = (uint32_t)vm->gmem;
    return !sim_vm_call(vm, vm->fd, KVM_SET_USER_MEMORY_REGION2, &region, sizeof(region)) &&
           !sim_vm_attribute(vm, 0, SIM_VM_SHARED, true);
}

static bool shared_memory(struct sim_vm *vm)
{
    struct kvm_userspace_memory_region region = { .memory_size = SIM_VM_MEMORY,
                                                  .userspace_addr = vm->memory };

    return !sim_vm_call(vm, vm->fd, KVM_SET_USER_MEMORY_REGION, &region, sizeof(region));
}

bool sim_vm_create(struct sim_vm *vm, unsigned type)
{
    *vm = (struct sim_vm){ .gmem = -1 };
    vm->scratch = sim_map(SIM_VM_SCRATCH);
    vm->memory = sim_map(SIM_VM_MEMORY);
    vm->dev = sim_open();
    if (!vm->scratch || !vm->memory || vm->dev < 0)
        return false;
    vm->fd = (int)sim_ioctl(vm->dev, KVM_CREATE_VM, type);
    if (vm->fd < 0)
        return false;
    return type == KVM_X86_SNP_VM ? private_memory(vm) : shared_memory(vm);
}

bool sim_vm_irqchip(struct sim_vm *vm)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };

    return !sim_vm_call(vm, vm->fd, KVM_ENABLE_CAP, &cap, sizeof(cap));
}

#define CPUID_MAX 100

/* What is offered is the same for all VMs of a process: asked for once. */
static bool offer_cpuid(struct sim_vm *vm, int vcpu)
{
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[CPUID_MAX];
    } c;
    size_t size;

    if (!c.head.nent) {
        c.head.nent = CPUID_MAX;
        if (sim_vm_call(vm, vm->dev, KVM_GET_SUPPORTED_CPUID, &c, sizeof(c))) {
            c.head.nent = 0;
            return false;
        }
    }
    size = sizeof(c.head) + c.head.nent * sizeof(c.entry[0]);
    return sim_poke(vm->scratch, &c, size) && !sim_ioctl(vcpu, KVM_SET_CPUID2, vm->scratch);
}

void sim_vm_start(void)
{
    struct sim_vm vm;

    if (!sim_vm_create(&vm, KVM_X86_DEFAULT_VM) || !sim_vm_add_vcpu(&vm))
        sim_fault(SIM_STATE, "a VM with a vCPU cannot be made");
    sim_reset();
}

bool sim_vm_add_vcpu(struct sim_vm *vm)
{
    unsigned i = vm->vcpus;
    uint64_t run;

    if (i == SIM_VM_MAX_VCPUS)
        return false;
    vm->vcpu[i] = (int)sim_ioctl(vm->fd, KVM_CREATE_VCPU, i);
    if (vm->vcpu[i] < 0 || !offer_cpuid(vm, vm->vcpu[i]))
        return false;
    run = sim_mmap(vm->vcpu[i], (size_t)sim_ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0), 0);
    if (!run)
        return false;
    vm->run[i] = sim_user(run);
    vm->pio[i] = sim_user(run + PAGE * KVM_PIO_PAGE_OFFSET);
    vm->vcpus++;
    return vm->run[i] && vm->pio[i];
}

/* ---- Modes ---- */

static const struct kvm_segment flat_code = {
    .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1, .g = 1
};
static const struct kvm_segment flat_data = {
    .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
};

static bool set_mode(struct sim_vm *vm, unsigned vcpu, void (*change)(struct kvm_sregs *s))
{
    struct kvm_regs regs = { .rip = SIM_VM_CODE, .rsp = 0x8000, .rflags = 2 };
    struct kvm_sregs s;

    memset(&s, 0, sizeof(s));
    if (sim_vm_call(vm, vm->vcpu[vcpu], KVM_GET_SREGS, &s, sizeof(s)))
        return false;
    s.cs = flat_code;
    s.ds = s.es = s.fs = s.gs = s.ss = flat_data;
    change(&s);
    return !sim_vm_call(vm, vm->vcpu[vcpu], KVM_SET_SREGS, &s, sizeof(s)) &&
           !sim_vm_call(vm, vm->vcpu[vcpu], KVM_SET_REGS, &regs, sizeof(regs));
}

static void to_protected(struct kvm_sregs *s)
{
    s->cr0 = 0x31; /* PE, ET, NE */
}

static void to_long(struct kvm_sregs *s)
{
    s->cr0 = 0x80000031;
    s->cr3 = SIM_VM_TABLES;
    s->cr4 = 0x620;  /* PAE, OSFXSR, OSXMMEXCPT */
    s->efer = 0x500; /* LME, LMA */
    s->cs.db = 0;
    s->cs.l = 1;
}

bool sim_vm_protected_mode(struct sim_vm *vm, unsigned vcpu)
{
    return set_mode(vm, vcpu, to_protected);
}

/* Present, writable, user; the last one of 2 MiB. */
bool sim_vm_long_mode(struct sim_vm *vm, unsigned vcpu)
{
    const uint64_t entry[] = { (SIM_VM_TABLES + PAGE) | 7, (SIM_VM_TABLES + 2 * PAGE) | 7, 0x87 };

    for (unsigned i = 0; i < 3; i++)
        if (!sim_vm_put(vm, SIM_VM_TABLES + i * PAGE, &entry[i], sizeof(entry[i])))
            return false;
    return set_mode(vm, vcpu, to_long);
}

long sim_vm_run(struct sim_vm *vm, unsigned vcpu)
{
    return sim_ioctl(vm->vcpu[vcpu], KVM_RUN, 0);
}

/* ---- SNP ---- */

/* The command stands at scratch, what it points to behind it. */
long sim_vm_sev(struct sim_vm *vm, uint32_t id, void *data, size_t n, uint32_t *error)
{
    uint64_t at = vm->scratch + PAGE;
    struct kvm_sev_cmd cmd = { .id = id, .data = at, .sev_fd = (uint32_t)vm->dev };
    long r;

    if (n > PAGE || !sim_poke(at, data, n))
        return -EFAULT;
    r = sim_vm_call(vm, vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd, sizeof(cmd));
    sim_peek(at, data, n);
    if (error)
        *error = cmd.error;
    return r;
}

long sim_vm_launch_start(struct sim_vm *vm)
{
    struct kvm_sev_snp_launch_start start = { .policy = SIM_VM_POLICY };

    return sim_vm_sev(vm, KVM_SEV_SNP_LAUNCH_START, &start, sizeof(start), NULL);
}

long sim_vm_launch_page(struct sim_vm *vm, uint64_t gpa, uint8_t type, const void *page)
{
    uint64_t at = vm->scratch + 2 * PAGE;
    struct kvm_sev_snp_launch_update update = {
        .gfn_start = gpa / PAGE, .uaddr = at, .len = PAGE, .type = type
    };

    if (page && !sim_poke(at, page, PAGE))
        return -EFAULT;
    return sim_vm_sev(vm, KVM_SEV_SNP_LAUNCH_UPDATE, &update, sizeof(update), NULL);
}

long sim_vm_launch_finish(struct sim_vm *vm)
{
    struct kvm_sev_snp_launch_finish finish = { 0 };

    return sim_vm_sev(vm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, sizeof(finish), NULL);
}

bool sim_vm_launch(struct sim_vm *vm)
{
    static const uint8_t code[PAGE] = { 0xf4 };
    struct kvm_sev_init init = { 0 };
    struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_HYPERCALL,
                                  .args = { 1u << 12 } }; /* KVM_HC_MAP_GPA_RANGE */
    bool ok = !sim_vm_sev(vm, KVM_SEV_INIT2, &init, sizeof(init), NULL);

    while (ok && vm->vcpus < SIM_VM_VCPUS)
        ok = sim_vm_add_vcpu(vm);
    return ok && !sim_vm_call(vm, vm->fd, KVM_ENABLE_CAP, &cap, sizeof(cap)) &&
           !sim_vm_launch_start(vm) &&
           !sim_vm_launch_page(vm, SIM_VM_CODE, KVM_SEV_SNP_PAGE_TYPE_NORMAL, code) &&
           !sim_vm_launch_page(vm, SIM_VM_SECRETS, KVM_SEV_SNP_PAGE_TYPE_SECRETS, NULL) &&
           !sim_vm_launch_finish(vm);
}
