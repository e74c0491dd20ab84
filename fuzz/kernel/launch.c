// SPDX-License-Identifier: Apache-2.0
/*
 * The launch of SNP guests, with both sides the input's: the VMM's calls and the firmware's
 * answers.
 *
 * Input: n u8 and n bytes of answers, one for each command in turn (ANSWER_*; none left: the
 * model's own), then steps until it ends. A step's first byte has the kind in its low 4 bits, a
 * small number for the step in its high ones.
 *
 * - STEP_SEV: command u8 (0x80 and above: one of those that are served), and as many changes of a
 *   byte of its argument as the number says: offset u8, value u8 each.
 * - STEP_GO_ON: the next call of a launch, as it should be.
 * - STEP_UPDATE: LAUNCH_UPDATE of pages: first u8, how many u8, type u8.
 * - STEP_VCPU: creates one. STEP_RUN: runs one, whose guest leaves as a u8 says.
 * - STEP_REGS: a byte of KVM_SET_SREGS' argument: offset u16, value u8.
 * - STEP_MEMORY, STEP_ATTRIBUTE, STEP_HOLE: attributes or fallocate: first page u8, how many u8.
 * - STEP_SLOT: a memory slot comes, changes or goes. STEP_CLOSE: one of the files.
 * - STEP_SECOND: another VM, launched beside the first; or back to that.
 * - STEP_FAIL_ALLOC: u8; STEP_FAIL_COPY: u16. STEP_CERTS: size u32, u8. STEP_SIGNAL.
 */
#include <string.h>

#include <linux/falloc.h>
#include <linux/kvm.h>

#include "bawn/psp.h"
#include "bawn/uapi.h"
#include "fuzz/sim/sim.h"
#include "fuzz/sim/snp.h"
#include "fuzz/sim/svm.h"
#include "fuzz/sim/vm.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
    STEP_SEV,
    STEP_GO_ON,
    STEP_VCPU,
    STEP_RUN,
    STEP_REGS,
    STEP_MEMORY,
    STEP_HOLE,
    STEP_SLOT,
    STEP_CLOSE,
    STEP_SECOND,
    STEP_FAIL_ALLOC,
    STEP_FAIL_COPY,
    STEP_CERTS,
    STEP_ATTRIBUTE,
    STEP_SIGNAL,
    STEP_UPDATE
};

/* Of the firmware: what is not named is the model's answer. */
#define ANSWER_STATUS 0x40  /* the low bits are the status */
#define ANSWER_LOST 0x80    /* there is none */
#define ANSWER_GARBAGE 0xc0 /* the pages that it writes are filled with the low bits */
#define ANSWER_BUSY 0x3f

static struct sim_input in, answers;
static struct sim_vm vms[2], *vm;
static unsigned progress[2];

/* ---- The firmware ---- */

static void answer(void *context, struct sim_firmware_answer *a)
{
    uint8_t how = sim_more(&answers) ? sim_u8(&answers) : 0;

    (void)context;
    switch (how & 0xc0) {
    case ANSWER_STATUS:
        a->status = how & 0x3f;
        break;
    case ANSWER_LOST:
        a->lost = true;
        break;
    case ANSWER_GARBAGE:
        for (unsigned i = 0; i < 3 && a->pages[i]; i++)
            memset(a->pages[i], how, 4096);
        if (a->len)
            memset(a->buffer, how, a->len);
        break;
    default:
        if (how == ANSWER_BUSY)
            a->status = 0x80000001u;
    }
}

/* ---- The guest ---- */

static void guest(void *context, struct sim_entry *entry)
{
    struct sim_svm_exit x = { .code = SIM_EXIT_NPF };
    uint8_t how = sim_u8(&in);

    (void)context;
    if (how & 0x80) {
        sim_snp_vmgexit(entry, how & 0x40 ? sim_u64(&in) : 0x100000 | (how & 0x3f));
    } else {
        x.info1 = 1ull << 32 | (uint64_t)(how & 1) << 34 | (how & 2);
        x.info2 = (how >> 2) * 0x1000ull;
        sim_svm_leave(entry, &x);
    }
    sim_signal(0);
}

/* ---- The VMM ---- */

/* What each command should be given. */
union argument {
    struct kvm_sev_init init;
    struct kvm_sev_snp_launch_start start;
    struct kvm_sev_snp_launch_update update;
    struct kvm_sev_snp_launch_finish finish;
    uint8_t bytes[128];
};

static void prepare(union argument *a, uint32_t command)
{
    memset(a, 0, sizeof(*a));
    if (command == KVM_SEV_SNP_LAUNCH_START)
        a->start.policy = SIM_VM_POLICY;
    if (command == KVM_SEV_SNP_LAUNCH_UPDATE)
        a->update = (struct kvm_sev_snp_launch_update){
            .gfn_start = 1, .uaddr = vm->memory, .len = 0x1000, .type = KVM_SEV_SNP_PAGE_TYPE_NORMAL
        };
    if (command == KVM_SEV_SNP_LAUNCH_FINISH)
        a->finish = (struct kvm_sev_snp_launch_finish){ .id_block_uaddr = vm->memory,
                                                        .id_auth_uaddr = vm->memory + 0x1000 };
}

/* Where the command itself stands, the guest's pages are not: the module reads both, and may. */
static void keep_off(__u64 *address, uint64_t n)
{
    if (*address < vm->scratch + SIM_VM_SCRATCH &&
        (*address >= vm->scratch || n > vm->scratch - *address))
        *address = vm->memory;
}

static void sev(uint32_t command, unsigned changes)
{
    union argument a;

    prepare(&a, command);
    for (; changes; changes--) {
        uint8_t at = sim_u8(&in) % sizeof(a);

        a.bytes[at] = sim_u8(&in);
    }
    if (command == KVM_SEV_SNP_LAUNCH_UPDATE)
        keep_off(&a.update.uaddr, a.update.len);
    if (command == KVM_SEV_SNP_LAUNCH_FINISH) {
        keep_off(&a.finish.id_block_uaddr, 0x1000);
        keep_off(&a.finish.id_auth_uaddr, 0x1000);
    }
    sim_vm_sev(vm, command, &a, sizeof(a), NULL);
}

/* INIT2, a vCPU, START, two pages, FINISH. */
static void go_on(void)
{
    switch (progress[vm - vms]++) {
    case 0:
        sev(KVM_SEV_INIT2, 0);
        break;
    case 1:
        sim_vm_add_vcpu(vm);
        break;
    case 2:
        sim_vm_launch_start(vm);
        break;
    case 3:
        sim_vm_launch_page(vm, SIM_VM_CODE, KVM_SEV_SNP_PAGE_TYPE_NORMAL, NULL);
        break;
    case 4:
        sim_vm_launch_page(vm, SIM_VM_SECRETS, KVM_SEV_SNP_PAGE_TYPE_SECRETS, NULL);
        break;
    default:
        sim_vm_launch_finish(vm);
        progress[vm - vms] = 2;
    }
}

/* A range of pages: first, how many, type. */
static void update(void)
{
    union argument a;

    prepare(&a, KVM_SEV_SNP_LAUNCH_UPDATE);
    a.update.gfn_start = sim_u8(&in);
    a.update.len = sim_u8(&in) * 0x1000ull;
    a.update.type = sim_u8(&in) % 8;
    sim_vm_sev(vm, KVM_SEV_SNP_LAUNCH_UPDATE, &a, sizeof(a.update), NULL);
}

static void set_registers(void)
{
    struct kvm_sregs s;
    uint16_t at;

    if (!vm->vcpus)
        return;
    memset(&s, 0, sizeof(s));
    sim_vm_call(vm, vm->vcpu[0], KVM_GET_SREGS, &s, sizeof(s));
    at = sim_u16(&in) % sizeof(s);
    ((uint8_t *)&s)[at] = sim_u8(&in);
    sim_vm_call(vm, vm->vcpu[0], KVM_SET_SREGS, &s, sizeof(s));
}

static void slot(uint8_t how)
{
    struct kvm_userspace_memory_region2 region = { .flags = how & 1 ? KVM_MEM_GUEST_MEMFD : 0,
                                                   .memory_size = how & 2 ? SIM_VM_MEMORY : 0,
                                                   .userspace_addr = vm->memory,
                                                   .slot = how >> 2 & 1,
                                                   .guest_memfd = (uint32_t)vm->gmem };

    region.guest_phys_addr = region.slot * SIM_VM_MEMORY;
    region.guest_memfd_offset = (how >> 3 & 1) * 0x1000ull;
    sim_vm_call(vm, vm->fd, KVM_SET_USER_MEMORY_REGION2, &region, sizeof(region));
}

static void close_one(uint8_t how)
{
    const int fds[] = { vm->gmem, vm->fd, vm->vcpu[0], vm->vcpu[1] };

    sim_close(fds[how & 3]);
}

static void certificates(void)
{
    struct bawn_snp_certs certs = { .addr = vm->memory,
                                    .size = sim_u32(&in),
                                    .reserved = sim_u8(&in) >> 7 };

    sim_vm_call(vm, vm->fd, BAWN_SNP_SET_CERTS, &certs, sizeof(certs));
}

static void range_step(bool attributes, uint8_t how)
{
    uint64_t first = sim_u8(&in) * 0x1000ull, size = sim_u8(&in) * 0x1000ull;

    if (attributes)
        sim_vm_attribute(vm, first, size, how & 0x10);
    else
        sim_fallocate(vm->gmem, FALLOC_FL_KEEP_SIZE | (how & 0x10 ? FALLOC_FL_PUNCH_HOLE : 0),
                      first, size);
}

static void step(uint8_t kind)
{
    static const uint8_t known[] = { KVM_SEV_INIT2, KVM_SEV_SNP_LAUNCH_START,
                                     KVM_SEV_SNP_LAUNCH_UPDATE, KVM_SEV_SNP_LAUNCH_FINISH };
    uint8_t command;

    switch (kind & 15) {
    case STEP_SEV:
        command = sim_u8(&in);
        sev(command & 0x80 ? known[command & 3] : command, kind >> 4);
        break;
    case STEP_GO_ON:
        go_on();
        break;
    case STEP_VCPU:
        sim_vm_add_vcpu(vm);
        break;
    case STEP_RUN:
        if (vm->vcpus)
            sim_vm_run(vm, (kind >> 4) % vm->vcpus);
        break;
    case STEP_REGS:
        set_registers();
        break;
    case STEP_MEMORY:
    case STEP_ATTRIBUTE:
        range_step(true, kind);
        break;
    case STEP_HOLE:
        range_step(false, kind);
        break;
    case STEP_SLOT:
        slot(kind >> 4);
        break;
    case STEP_CLOSE:
        close_one(kind >> 4);
        break;
    case STEP_SECOND:
        if (vm == vms && sim_vm_create(&vms[1], KVM_X86_SNP_VM))
            vm = &vms[1];
        else
            vm = vms;
        break;
    case STEP_FAIL_ALLOC:
        sim_fail_alloc(sim_u8(&in));
        break;
    case STEP_FAIL_COPY:
        sim_fail_copy(sim_u16(&in));
        break;
    case STEP_CERTS:
        certificates();
        break;
    case STEP_SIGNAL:
        sim_signal(0);
        break;
    case STEP_UPDATE:
        update();
        break;
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct sim_options options = { .backend = SIM_SVM, .snp = true };

    (void)argc, (void)argv;
    sim_start(&options);
    sim_vm_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size ? data[0] : 0;

    if (!size)
        return 0;
    if (n > size - 1)
        n = size - 1;
    answers = (struct sim_input){ data + 1, n, 0 };
    in = (struct sim_input){ data + 1 + n, size - 1 - n, 0 };
    memset(progress, 0, sizeof(progress));
    memset(vms, 0, sizeof(vms));
    vm = vms;
    if (n)
        sim_set_firmware(answer, NULL);
    sim_set_guest(guest, NULL);
    sim_check_always(true);
    if (sim_vm_create(vm, KVM_X86_SNP_VM))
        while (sim_more(&in))
            step(sim_u8(&in));
    sim_check();
    sim_reset();
    return 0;
}
