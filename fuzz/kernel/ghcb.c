// SPDX-License-Identifier: Apache-2.0
/*
 * The GHCB's protocols, in the MSR and in the page, of an SNP guest with two vCPUs that was
 * launched; the page changes under the module's eyes, which may read no byte of it twice.
 *
 * Input: one byte for the machine (MACHINE_*), then steps until it ends. A step's first byte has
 * the kind in its low bits; VMM_STEP and RACE_STEP say whose it is.
 *
 * - GUEST_MSR: the request u64. GUEST_SHORT: a request's code u16 (12 bits of it) and data u64, so
 *   that codes are found soon.
 * - GUEST_PAGE: the GHCB is written, then VMGEXIT: exit code u16, fields u8 (PAGE_*), the values
 *   that these announce, info1 and info2 (u64 or u8 each), n u8 and n bytes of the buffer.
 * - GUEST_WRITE: offset u16 and byte u8 of the page, from 0x1000 on of the one for guest messages.
 * - GUEST_FAULT: a nested fault at a page u16, with access u8.
 * - GUEST_PRIVATE: PVALIDATE, RMPADJUST, a write or a read at a page u8, how u8.
 * - GUEST_CREATE: AP creation with the VMSA of the vCPU that asks, in a page u8; request u8.
 * - GUEST_AUTOMATIC: an exit that needs no #VC: which u8, EXITINFO1 u64.
 * - RACE_STEP: two bytes; from now on each read of the page comes with such a change of it.
 * - VMM_*: runs a vCPU, answers a KVM_HC_MAP_GPA_RANGE as asked or otherwise, writes the run page,
 *   punches a hole, sends an interrupt, fails an allocation or a copy, changes attributes.
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

#define MACHINE_IRQCHIP 0x01
#define MACHINE_FILTER 0x02 /* MSR accesses that fail exit to the VMM */
#define MACHINE_CERTS 0x04
#define MACHINE_REGISTERED 0x08 /* the GHCBs of vCPUs that run */
#define MACHINE_OBEYS 0x10      /* the firmware takes any request */
#define MACHINE_LOST 0x20       /* ... or with this, does not answer */

#define VMM_STEP 0x80
#define RACE_STEP 0x40
enum guest_step {
    GUEST_MSR,
    GUEST_SHORT,
    GUEST_PAGE,
    GUEST_WRITE,
    GUEST_FAULT,
    GUEST_PRIVATE,
    GUEST_CREATE,
    GUEST_AUTOMATIC
};
enum vmm_step {
    VMM_RUN,
    VMM_MAP,
    VMM_RUN_PAGE,
    VMM_HOLE,
    VMM_EVENT,
    VMM_FAIL_ALLOC,
    VMM_FAIL_COPY,
    VMM_ATTRIBUTE
};

/* The page's fields: AMD 56421, table 3. */
#define PAGE_SIZE 0x1000u
#define AT_CPL 0x0cb
#define AT_RAX 0x1f8
#define AT_RCX 0x308
#define AT_RDX 0x310
#define AT_RBX 0x318
#define AT_CODE 0x390
#define AT_INFO1 0x398
#define AT_INFO2 0x3a0
#define AT_SCRATCH 0x3a8
#define AT_XCR0 0x3e8
#define AT_BITMAP 0x3f0
#define AT_BUFFER 0x800
#define BUFFER_SIZE 2032u
#define AT_VERSION 0xffa
#define AT_USAGE 0xffc

#define PAGE_RAX 0x01
#define PAGE_RCX 0x02
#define PAGE_RDX 0x04
#define PAGE_RBX 0x08
#define PAGE_CPL 0x10
#define PAGE_SCRATCH 0x20 /* in the buffer; with PAGE_SCRATCH_FAR, u64 */
#define PAGE_SCRATCH_FAR 0x40
#define PAGE_LARGE 0x80 /* info1 and info2 are u64 */

#define REQUEST_GPA (SIM_VM_SHARED + 0x2000ull)
#define GHCB_GPA(vcpu) (SIM_VM_SHARED + (vcpu)*0x1000ull)
#define STEPS_MAX 100u

static struct sim_input in;
static struct sim_vm vm;
static unsigned steps, running;
static uint8_t race[2]; /* what to do, and with which bits */

/* ---- The page ---- */

static uint8_t *ghcb(void)
{
    return sim_vm_at(&vm, GHCB_GPA(running));
}

static void put(uint8_t *page, unsigned at, uint64_t value)
{
    memcpy(page + at, &value, 8);
    page[AT_BITMAP + at / 64] |= 1u << (at / 8 % 8);
}

static uint64_t small_or_large(uint8_t fields)
{
    return fields & PAGE_LARGE ? sim_u64(&in) : sim_u8(&in);
}

/* Bit 15 of the code: the high codes, 8000_0000 to 8000_7fef and 8000_fff0 to 8000_ffff. */
static uint64_t exit_code(void)
{
    uint16_t code = sim_u16(&in), low = code & 0x7fff;

    if (!(code & 0x8000))
        return code;
    return 0x80000000u | low | (low >= 0x7ff0 ? 0x8000 : 0);
}

static void registers(uint8_t *page, uint8_t fields)
{
    static const struct {
        uint8_t bit;
        uint16_t at;
    } list[] = {
        { PAGE_RAX, AT_RAX }, { PAGE_RCX, AT_RCX }, { PAGE_RDX, AT_RDX }, { PAGE_RBX, AT_RBX }
    };

    for (unsigned i = 0; i < 4; i++)
        if (fields & list[i].bit)
            put(page, list[i].at, sim_u64(&in));
    if (fields & PAGE_CPL) {
        put(page, AT_CPL & ~7u, (uint64_t)sim_u8(&in) << 24);
        put(page, AT_XCR0, 7);
    }
    if (fields & PAGE_SCRATCH_FAR)
        put(page, AT_SCRATCH, sim_u64(&in));
    else if (fields & PAGE_SCRATCH)
        put(page, AT_SCRATCH, GHCB_GPA(running) + AT_BUFFER + sim_u8(&in));
}

static bool fill_page(void)
{
    uint8_t *page = ghcb(), fields, n;

    if (!page)
        return false;
    memset(page + AT_BITMAP, 0, 16);
    page[AT_VERSION] = 2;
    page[AT_VERSION + 1] = 0;
    memset(page + AT_USAGE, 0, 4);
    put(page, AT_CODE, exit_code());
    fields = sim_u8(&in);
    registers(page, fields);
    put(page, AT_INFO1, small_or_large(fields));
    put(page, AT_INFO2, small_or_large(fields));
    n = sim_u8(&in);
    sim_bytes(&in, page + AT_BUFFER, n);
    return true;
}

static void race_hook(void *context, uint64_t address, size_t size, bool after)
{
    uint8_t *page = ghcb();

    (void)context, (void)address, (void)size;
    if (!page || !(race[0] & 3) || after != (race[0] & 1))
        return;
    for (unsigned i = 0; i < 8; i++)
        page[(race[0] >> 2) * 64 % PAGE_SIZE + i * 8] ^= race[1];
}

/* ---- The guest ---- */

static void private_step(struct sim_entry *entry)
{
    uint64_t gpa = sim_u8(&in) * 0x1000ull;
    uint8_t how = sim_u8(&in);

    switch (how & 3) {
    case 0:
        sim_snp_validate(entry, gpa, how & 4);
        break;
    case 1:
        sim_snp_adjust(entry, gpa, how & 4);
        break;
    case 2:
        sim_snp_write(entry, gpa, how & 4, &how, 1);
        break;
    default:
        sim_snp_read(entry, gpa, how & 4, &how, 1);
    }
}

/* Makes a VMSA in a private page, then asks for AP creation; an exit in between is tried again. */
static void create(struct sim_entry *entry)
{
    static uint8_t vmsa[PAGE_SIZE];
    uint64_t gpa = sim_u8(&in) * 0x1000ull;
    uint8_t request = sim_u8(&in), *page = ghcb();

    sim_snp_vmsa(entry, vmsa);
    if (sim_snp_validate(entry, gpa, true) < 0 ||
        !sim_snp_write(entry, gpa, true, vmsa, PAGE_SIZE) || sim_snp_adjust(entry, gpa, true) < 0 ||
        !page)
        return;
    memset(page + AT_BITMAP, 0, 16);
    put(page, AT_CODE, 0x80000013);
    put(page, AT_RAX, 1);
    put(page, AT_INFO1, (uint64_t)(request >> 4 & 3) << 32 | (request & 3));
    put(page, AT_INFO2, gpa);
    sim_snp_vmgexit(entry, GHCB_GPA(running));
}

static void fault(struct sim_entry *entry)
{
    struct sim_svm_exit x = { .code = SIM_EXIT_NPF, .info2 = sim_u16(&in) * 0x1000ull };
    uint8_t how = sim_u8(&in);

    x.info1 = (how & 0x1f) | (uint64_t)(how >> 5 & 1) << 31 | (uint64_t)(how >> 6 & 1) << 34 |
              1ull << (32 + (how >> 7));
    sim_svm_leave(entry, &x);
}

/* AMD APM vol. 2, table 15-35, and the traps of 15.35.6. */
static void automatic(struct sim_entry *entry)
{
    static const uint32_t codes[] = { 0x60, 0x61, 0x62, 0x63, 0x64, 0x52, 0x77,
                                      0x78, 0x7f, 0x8f, 0x90, 0x94, 0x98, 0xffffffff };
    struct sim_svm_exit x = { .code = codes[sim_u8(&in) % (sizeof(codes) / sizeof(codes[0]))] };

    x.info1 = sim_u64(&in);
    sim_svm_leave(entry, &x);
}

static void write_byte(void)
{
    uint16_t at = sim_u16(&in);
    uint8_t byte = sim_u8(&in), *page = at & PAGE_SIZE ? sim_vm_at(&vm, REQUEST_GPA) : ghcb();

    if (page)
        page[at % PAGE_SIZE] = byte;
}

/* False: it was no exit, or one that the guest tries again. */
static bool guest_step(struct sim_entry *entry, uint8_t kind)
{
    uint64_t low;

    switch (kind & 7) {
    case GUEST_MSR:
        sim_snp_vmgexit(entry, sim_u64(&in));
        return true;
    case GUEST_SHORT:
        low = sim_u16(&in) & 0xfff;
        sim_snp_vmgexit(entry, low | sim_u64(&in) << 12);
        return true;
    case GUEST_PAGE:
        if (fill_page())
            sim_snp_vmgexit(entry, GHCB_GPA(running));
        return true;
    case GUEST_WRITE:
        write_byte();
        return false;
    case GUEST_FAULT:
        fault(entry);
        return true;
    case GUEST_PRIVATE:
        private_step(entry);
        return true;
    case GUEST_CREATE:
        create(entry);
        return true;
    default:
        automatic(entry);
        return true;
    }
}

static void guest(void *context, struct sim_entry *entry)
{
    (void)context;
    /* Reads of the page are watched from here to the end of the entry. */
    sim_watch(vm.memory + GHCB_GPA(running), PAGE_SIZE);
    while (sim_more(&in) && !(in.data[in.at] & (VMM_STEP | RACE_STEP)) && steps < STEPS_MAX) {
        steps++;
        if (guest_step(entry, sim_u8(&in)))
            return;
    }
    sim_signal(0);
}

/* ---- The VMM ---- */

static void run(unsigned vcpu)
{
    running = vcpu;
    steps = 0;
    sim_vm_run(&vm, vcpu);
}

/* What it was asked, or with how u8, another answer. */
static void map(void)
{
    struct kvm_run *r = vm.run[running];
    uint8_t how = sim_u8(&in);

    if (r->exit_reason != KVM_EXIT_HYPERCALL)
        return;
    if (!(how & 1))
        sim_vm_attribute(&vm, r->hypercall.args[0], r->hypercall.args[1] * 0x1000,
                         r->hypercall.args[2] & 0x10);
    r->hypercall.ret = how >> 1;
}

static void run_page(void)
{
    uint16_t at = sim_u16(&in) % sizeof(struct kvm_run);

    ((uint8_t *)vm.run[running])[at] = sim_u8(&in);
    sim_bytes(&in, vm.pio[running], 8);
}

static void event(uint8_t how)
{
    struct kvm_msi msi = { .address_lo = 0xfee00000 | (how & 1) << 12, .data = 0x40 | how >> 4 };

    switch (how >> 1 & 3) {
    case 0:
        sim_vm_call(&vm, vm.fd, KVM_SIGNAL_MSI, &msi, sizeof(msi));
        break;
    case 1: /* INIT, SIPI */
        msi.data = (how & 8 ? 6 : 5) << 8 | 1 << 14;
        sim_vm_call(&vm, vm.fd, KVM_SIGNAL_MSI, &msi, sizeof(msi));
        break;
    case 2:
        sim_ioctl(vm.vcpu[how & 1], KVM_NMI, 0);
        break;
    default:
        sim_advance(1000000ull << (how >> 4));
    }
}

static void vmm_step(uint8_t kind)
{
    switch (kind & 7) {
    case VMM_RUN:
        run(kind >> 3 & 1);
        break;
    case VMM_MAP:
        map();
        break;
    case VMM_RUN_PAGE:
        run_page();
        break;
    case VMM_HOLE:
        sim_fallocate(vm.gmem, FALLOC_FL_KEEP_SIZE | (kind & 8 ? FALLOC_FL_PUNCH_HOLE : 0),
                      sim_u8(&in) * 0x1000ull, (kind >> 4 & 7) * 0x1000ull);
        break;
    case VMM_EVENT:
        event(sim_u8(&in));
        break;
    case VMM_FAIL_ALLOC:
        sim_fail_alloc(sim_u8(&in));
        break;
    case VMM_FAIL_COPY:
        sim_fail_copy(sim_u16(&in));
        break;
    case VMM_ATTRIBUTE:
        sim_vm_attribute(&vm, sim_u16(&in) % 0x200 * 0x1000ull, (kind >> 4 & 7) * 0x1000ull,
                         kind & 8);
        break;
    }
}

/* ---- The machine ---- */

static void answer(void *context, struct sim_firmware_answer *a)
{
    const uint8_t *machine = context;

    if (a->command != BAWN_PSP_SNP_GUEST_REQUEST)
        return;
    a->status = 0;
    a->lost = *machine & MACHINE_LOST;
}

static bool exit_msrs(void)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { 7 } };

    return !sim_vm_call(&vm, vm.fd, KVM_ENABLE_CAP, &cap, sizeof(cap));
}

static bool give_certs(void)
{
    struct bawn_snp_certs certs = { .addr = vm.scratch + 0x8000, .size = 0x1800 };

    return !sim_vm_call(&vm, vm.fd, BAWN_SNP_SET_CERTS, &certs, sizeof(certs));
}

static void register_page(void *context, struct sim_entry *entry)
{
    (void)context;
    if ((sim_snp_msr(entry) & 0xfff) == 0x013)
        sim_signal(0);
    else
        sim_snp_vmgexit(entry, GHCB_GPA(running) | 0x012);
}

static void register_pages(void)
{
    sim_set_guest(register_page, NULL);
    for (running = 0; running < vm.vcpus; running++)
        sim_vm_run(&vm, running);
}

static bool build(uint8_t machine)
{
    static uint8_t kept;

    if (!sim_vm_create(&vm, KVM_X86_SNP_VM) ||
        (machine & MACHINE_IRQCHIP && !sim_vm_irqchip(&vm)) || !sim_vm_launch(&vm))
        return false;
    if (machine & MACHINE_REGISTERED)
        register_pages();
    if (machine & MACHINE_OBEYS) {
        kept = machine;
        sim_set_firmware(answer, &kept);
    }
    return (!(machine & MACHINE_FILTER) || exit_msrs()) &&
           (!(machine & MACHINE_CERTS) || give_certs());
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct sim_options options = { .backend = SIM_SVM, .snp = true };

    (void)argc, (void)argv;
    sim_start(&options);
    sim_vm_start();
    return 0;
}

static void step(void)
{
    uint8_t next = in.data[in.at];
    size_t at = in.at;

    if (next & VMM_STEP) {
        vmm_step(sim_u8(&in));
    } else if (next & RACE_STEP) {
        sim_u8(&in);
        sim_bytes(&in, race, sizeof(race));
    } else {
        run(running);
        /* A vCPU that cannot run takes no step: the input goes on all the same. */
        if (in.at == at)
            sim_u8(&in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = (struct sim_input){ data, size, 0 };
    memset(race, 0, sizeof(race));
    if (build(sim_u8(&in))) {
        running = 0;
        sim_set_guest(guest, NULL);
        sim_check_always(true);
        sim_set_race(race_hook, NULL);
        while (sim_more(&in))
            step();
    }
    sim_check();
    sim_reset();
    return 0;
}
