// SPDX-License-Identifier: Apache-2.0
/*
 * See machine.h.
 */
#include "tests/unit/shim/machine.h"

#define ADDRESS 0x000ffffffffff000ull

struct machine machine;

void make_kernel(uint8_t *image)
{
    memset(image, 0, KERNEL_SETUP);
    for (unsigned i = KERNEL_SETUP; i < KERNEL_SIZE; i++)
        image[i] = (uint8_t)(i * 7 + 1);
    image[0x1f1] = KERNEL_SECTS;
    put_le(image + 0x1fe, 0xaa55, 2);
    image[0x200] = 0xeb;
    image[0x201] = KERNEL_HEADER_END - 0x202;
    memcpy(image + 0x202, "HdrS", 4);
    put_le(image + 0x206, 0x20f, 2);
    image[0x211] = 0x81;                   /* loadflags: LOADED_HIGH, CAN_USE_HEAP */
    put_le(image + 0x224, 0x1234, 2);      /* heap_end_ptr */
    put_le(image + 0x22c, 0x7fffffff, 4);  /* initrd_addr_max */
    put_le(image + 0x230, 0x200000, 4);    /* kernel_alignment */
    image[0x234] = 1;                      /* relocatable */
    put_le(image + 0x236, 0x7f, 2);        /* xloadflags */
    put_le(image + 0x238, 2047, 4);        /* cmdline_size */
    put_le(image + 0x258, KERNEL_LOAD, 8); /* pref_address */
    put_le(image + 0x260, KERNEL_INIT_SIZE, 4);
    put_le(image + 0x268, 0x99887766, 4); /* kernel_info_offset: the header's last field */
    put_le(image + 0x26c, 0x55555555, 4); /* not the header's any more */
}

void make_params(struct bawn_shim_params *p)
{
    memset(p, 0, sizeof(*p));
    memcpy(p->magic, BAWN_SHIM_MAGIC, BAWN_SHIM_MAGIC_SIZE);
    p->version = BAWN_SHIM_VERSION;
    p->size = sizeof(*p);
    p->vcpus = 2;
    p->acpi = (struct bawn_shim_range){ BAWN_SHIM_ACPI, ACPI_SIZE };
    p->rsdp = BAWN_SHIM_ACPI;
    p->kernel.gpa = KERNEL_GPA;
    p->kernel.size = KERNEL_SIZE;
    p->initrd.gpa = INITRD_GPA;
    p->initrd.size = INITRD_SIZE;
    p->cmdline.gpa = BAWN_SHIM_CMDLINE;
    p->cmdline.size = sizeof(CMDLINE);
    p->nr_ram = 3;
    p->ram[0] = (struct bawn_shim_range){ 0, BAWN_SHIM_LOW_RAM_END };
    p->ram[1] =
        (struct bawn_shim_range){ BAWN_SHIM_HIGH_RAM_START, RAM_LOW - BAWN_SHIM_HIGH_RAM_START };
    p->ram[2] = (struct bawn_shim_range){ RAM_HIGH_AT, RAM_HIGH };
}

void make_cpuid(uint8_t *page, unsigned cbit)
{
    static const uint32_t fn[] = { 0, 1, 7, 0xd, 0x80000000, 0x80000001, 0x8000001f };

    memset(page, 0, 4096);
    put_le(page, sizeof(fn) / sizeof(fn[0]), 4);
    for (unsigned i = 0; i < sizeof(fn) / sizeof(fn[0]); i++) {
        uint8_t *e = page + 16 + (size_t)i * 48;

        put_le(e, fn[i], 4);
        put_le(e + 24, 0x1000 + i, 4);
        put_le(e + 28, 0x2000 + i, 4);
        put_le(e + 32, 0x3000 + i, 4);
        put_le(e + 36, 0x4000 + i, 4);
        if (fn[i] == 0x8000001f) {
            put_le(e + 24, 0x1a, 4);
            put_le(e + 28, cbit | 1 << 6, 4);
        }
    }
}

uint8_t *machine_state(uint64_t gpa)
{
    static uint8_t absent;

    absent = ABSENT;
    if (gpa < RAM_LOW)
        return &machine.low[gpa / 4096];
    if (gpa >= RAM_HIGH_AT && gpa < RAM_HIGH_AT + RAM_HIGH)
        return &machine.high[(gpa - RAM_HIGH_AT) / 4096];
    return &absent;
}

static void launch(uint64_t gpa, uint64_t size)
{
    for (uint64_t at = gpa & ~4095ull; at < gpa + size; at += 4096)
        *machine_state(at) = VALIDATED;
}

struct bawn_shim_params *machine_params(void)
{
    return (struct bawn_shim_params *)(machine.ram + BAWN_SHIM_PARAMS);
}

void machine_hash(void)
{
    struct bawn_shim_params *p = machine_params();
    struct bawn_shim_blob *blobs[] = { &p->kernel, &p->initrd, &p->cmdline };

    for (unsigned i = 0; i < 3; i++)
        shim_sha256(machine.ram + blobs[i]->gpa, blobs[i]->size, blobs[i]->sha256);
}

void machine_start(unsigned cbit)
{
    struct bawn_shim_params *p;

    memset(&machine, 0, sizeof(machine));
    machine.cbit = cbit;
    machine.sev_status = 7;
    machine.small = ~0ull;
    machine.ram = calloc(1, RAM_LOW);
    machine.low = malloc(RAM_LOW / 4096);
    machine.high = malloc(RAM_HIGH / 4096);
    assert_non_null(machine.ram);
    assert_non_null(machine.low);
    assert_non_null(machine.high);
    memset(machine.low, PRIVATE, RAM_LOW / 4096);
    memset(machine.high, PRIVATE, RAM_HIGH / 4096);
    /* What fresh private memory reads as. */
    memset(machine.ram, 0xee, 0x10000);
    p = machine_params();
    make_params(p);
    make_cpuid(machine.ram + BAWN_SHIM_CPUID, cbit);
    make_kernel(machine.ram + KERNEL_GPA);
    for (unsigned i = 0; i < INITRD_SIZE; i++)
        machine.ram[INITRD_GPA + i] = (uint8_t)(i * 13);
    memcpy(machine.ram + BAWN_SHIM_CMDLINE, CMDLINE, sizeof(CMDLINE));
    machine_hash();
    launch(BAWN_SHIM_IMAGE, IMAGE_END - BAWN_SHIM_IMAGE);
    launch(BAWN_SHIM_PARAMS, BAWN_SHIM_WORK_END - BAWN_SHIM_PARAMS);
    launch(p->acpi.gpa, p->acpi.size);
    launch(p->kernel.gpa, p->kernel.size);
    launch(p->initrd.gpa, p->initrd.size);
    launch(p->cmdline.gpa, p->cmdline.size);
    memset(machine.low + 0xa0, ABSENT, 0x60);
}

void machine_stop(void)
{
    free(machine.ram);
    free(machine.low);
    free(machine.high);
    memset(&machine, 0, sizeof(machine));
}

unsigned machine_boot(struct shim_entry *entry)
{
    static const struct shim_image image = { .code_end = CODE_END, .end = IMAGE_END };

    if (setjmp(machine.failed))
        return machine.reason;
    *entry = shim_boot(machine.cbit, &image);
    return 0;
}

uint64_t machine_walk(uint64_t cr3, uint64_t va, uint64_t *gpa, uint64_t *size)
{
    uint64_t cbit = 1ull << machine.cbit, table = cr3 & ADDRESS & ~cbit;

    for (int level = 4; level >= 1; level--) {
        unsigned shift = 12 + 9 * (unsigned)(level - 1);
        uint64_t entry, mask = (1ull << shift) - 1;

        assert_true(table < RAM_LOW && *machine_state(table) == VALIDATED);
        entry = get_le(machine.ram + table + (va >> shift & 511) * 8, 8);
        if (!(entry & 1))
            return 0;
        if (level == 1 || entry & SHIM_PTE_LARGE) {
            assert_true(level <= 2);
            assert_int_equal(entry & ADDRESS & ~cbit & mask, 0);
            *gpa = (entry & ADDRESS & ~cbit) | (va & mask);
            *size = mask + 1;
            return entry;
        }
        assert_true(entry & cbit);
        table = entry & ADDRESS & ~cbit;
    }
    return 0;
}

/* ---- What guest/shim/cpu.h declares ---- */

/* The only memory that the shim touches is its own, validated, or the shared GHCB. */
void *shim_at(uint64_t gpa)
{
    uint8_t state = *machine_state(gpa);

    assert_true(gpa < RAM_LOW);
    assert_true(state == VALIDATED || (state == SHARED && gpa == SHIM_GHCB));
    if (machine.cr3) {
        uint64_t at, size, entry = machine_walk(machine.cr3, gpa, &at, &size);

        assert_true(entry != 0 && at == gpa);
        assert_int_equal(entry >> machine.cbit & 1, state == VALIDATED);
    }
    return machine.ram + gpa;
}

uint64_t shim_rdmsr(uint32_t msr)
{
    if (msr == SHIM_MSR_SEV_STATUS)
        return machine.sev_status;
    assert_int_equal(msr, SHIM_MSR_GHCB);
    return machine.ghcb_msr;
}

void shim_wrmsr(uint32_t msr, uint64_t value)
{
    assert_int_equal(msr, SHIM_MSR_GHCB);
    machine.ghcb_msr = value;
}

static uint64_t change_state(uint64_t request)
{
    uint64_t gpa = request & 0xffffffffff000ull;
    uint8_t *state = machine_state(gpa);
    uint64_t op = request >> 52;

    /* A page that is validated must not change hands. */
    if ((op != 1 && op != 2) || *state == VALIDATED || *state == ABSENT)
        return 1ull << 63 | 0x15;
    *state = op == 1 ? PRIVATE : SHARED;
    machine.was_shared |= op == 2 && gpa == SHIM_GHCB;
    /* It is another page, with anything in it. */
    memset(machine.ram + gpa, 0xdd, 4096);
    return 0x15;
}

void shim_vmgexit(void)
{
    uint64_t request = machine.ghcb_msr;
    unsigned code = request & 0xfff;

    assert_true(code <= 0x100);
    machine.requests[code]++;
    if (machine.answer_set[code]) {
        machine.ghcb_msr = machine.answer[code];
        return;
    }
    switch (code) {
    case 0x002:
        machine.ghcb_msr = 2ull << 48 | 1ull << 32 | (uint64_t)machine.cbit << 24 | 1;
        break;
    case 0x080:
        machine.ghcb_msr = 3ull << 12 | 0x081;
        break;
    case 0x012:
        machine.registered = request & ~0xfffull;
        machine.ghcb_msr = machine.registered | 0x013;
        break;
    case 0x014:
        machine.ghcb_msr = change_state(request);
        break;
    default:
        fail_msg("request 0x%x", code);
    }
}

void shim_set_cr3(uint64_t cr3)
{
    assert_true(cr3 >> machine.cbit & 1);
    machine.cr3 = cr3;
}

void shim_invlpg(uint64_t va)
{
    assert_int_equal(va, SHIM_GHCB);
}

uint32_t shim_pvalidate(uint64_t va, enum shim_page_size size, bool validate, bool *unchanged)
{
    uint64_t bytes = size == SHIM_2M ? SHIM_SIZE_2M : 4096, gpa = 0, mapped = 0;
    uint64_t entry = machine_walk(machine.cr3, va, &gpa, &mapped);
    unsigned want = validate ? VALIDATED : PRIVATE;

    assert_true(entry >> machine.cbit & 1);
    assert_int_equal(gpa % bytes, 0);
    assert_true(mapped >= bytes || size == SHIM_4K);
    *unchanged = false;
    if (machine.pvalidate)
        return machine.pvalidate;
    /* A large entry of the RMP has one state: pages that differ have small ones. */
    for (uint64_t at = gpa; at < gpa + bytes; at += 4096)
        if (size == SHIM_2M && (machine.small == gpa || *machine_state(at) != *machine_state(gpa)))
            return SHIM_PVALIDATE_SIZEMISMATCH;
    *unchanged = true;
    for (uint64_t at = gpa; at < gpa + bytes; at += 4096) {
        uint8_t *state = machine_state(at);

        if (*state != PRIVATE && *state != VALIDATED)
            return 1; /* FAIL_INPUT */
        if (*state == want)
            continue;
        *unchanged = false;
        *state = (uint8_t)want;
    }
    machine.large += size == SHIM_2M;
    machine.pages += size == SHIM_4K;
    return 0;
}

uint32_t shim_rmpadjust(uint64_t va, enum shim_page_size size, uint64_t attributes)
{
    uint64_t gpa = 0, mapped = 0;

    assert_true(machine_walk(machine.cr3, va, &gpa, &mapped) >> machine.cbit & 1);
    assert_int_equal(*machine_state(gpa), VALIDATED);
    assert_int_equal(size, SHIM_4K);
    assert_int_equal(attributes, 1);
    return machine.rmpadjust;
}

_Noreturn void shim_fail(enum bawn_shim_reason reason)
{
    machine.reason = reason;
    longjmp(machine.failed, 1);
}
