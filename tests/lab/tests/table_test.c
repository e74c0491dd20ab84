/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ioctl table test: what bawn.ko and stock KVM answer to calls with wrong arguments, in wrong
 * states, with pointers at the edges of what is mapped, and to files that are closed meanwhile.
 * differ.sh compares the answers; differences that are meant are in table_differences.txt.
 */
#define _GNU_SOURCE
#include "table.h"

#include <fcntl.h>

/* Of a call that may answer with a new file. */
static const char *closed(int ret)
{
    if (ret < 0)
        return answer_text(ret);
    if (ret > 2 && fcntl(ret, F_GETFD) >= 0) {
        close(ret);
        return "fd";
    }
    return answer_text(ret);
}

/* ---- Every number to every object ---- */

#define NUMBER(name)      \
    {                     \
#name, KVM_##name \
    }
static const struct {
    const char *name;
    unsigned long nr;
} numbers[] = {
    NUMBER(GET_API_VERSION),
    NUMBER(GET_MSR_INDEX_LIST),
    NUMBER(CHECK_EXTENSION),
    NUMBER(GET_VCPU_MMAP_SIZE),
    NUMBER(GET_SUPPORTED_CPUID),
    NUMBER(GET_EMULATED_CPUID),
    NUMBER(GET_MSR_FEATURE_INDEX_LIST),
    NUMBER(GET_DIRTY_LOG),
    NUMBER(SET_NR_MMU_PAGES),
    NUMBER(GET_NR_MMU_PAGES),
    NUMBER(SET_USER_MEMORY_REGION),
    NUMBER(SET_TSS_ADDR),
    NUMBER(SET_IDENTITY_MAP_ADDR),
    NUMBER(SET_USER_MEMORY_REGION2),
    NUMBER(IRQ_LINE),
    NUMBER(GET_IRQCHIP),
    NUMBER(SET_IRQCHIP),
    NUMBER(CREATE_PIT),
    NUMBER(GET_PIT),
    NUMBER(SET_PIT),
    NUMBER(IRQ_LINE_STATUS),
    NUMBER(REGISTER_COALESCED_MMIO),
    NUMBER(UNREGISTER_COALESCED_MMIO),
    NUMBER(SET_GSI_ROUTING),
    NUMBER(REINJECT_CONTROL),
    NUMBER(IRQFD),
    NUMBER(CREATE_PIT2),
    NUMBER(SET_BOOT_CPU_ID),
    NUMBER(IOEVENTFD),
    NUMBER(SET_CLOCK),
    NUMBER(GET_CLOCK),
    NUMBER(GET_PIT2),
    NUMBER(SET_PIT2),
    NUMBER(SET_TSC_KHZ),
    NUMBER(GET_TSC_KHZ),
    NUMBER(SIGNAL_MSI),
    NUMBER(CREATE_DEVICE),
    NUMBER(SET_DEVICE_ATTR),
    NUMBER(GET_DEVICE_ATTR),
    NUMBER(HAS_DEVICE_ATTR),
    NUMBER(SET_PMU_EVENT_FILTER),
    NUMBER(RUN),
    NUMBER(GET_REGS),
    NUMBER(SET_REGS),
    NUMBER(GET_SREGS),
    NUMBER(SET_SREGS),
    NUMBER(TRANSLATE),
    NUMBER(INTERRUPT),
    NUMBER(GET_MSRS),
    NUMBER(SET_MSRS),
    NUMBER(SET_CPUID),
    NUMBER(SET_SIGNAL_MASK),
    NUMBER(GET_FPU),
    NUMBER(SET_FPU),
    NUMBER(GET_LAPIC),
    NUMBER(SET_LAPIC),
    NUMBER(SET_CPUID2),
    NUMBER(GET_CPUID2),
    NUMBER(TPR_ACCESS_REPORTING),
    NUMBER(SET_VAPIC_ADDR),
    NUMBER(GET_MP_STATE),
    NUMBER(SET_MP_STATE),
    NUMBER(NMI),
    NUMBER(SET_GUEST_DEBUG),
    NUMBER(X86_SETUP_MCE),
    NUMBER(X86_GET_MCE_CAP_SUPPORTED),
    NUMBER(X86_SET_MCE),
    NUMBER(GET_VCPU_EVENTS),
    NUMBER(SET_VCPU_EVENTS),
    NUMBER(GET_DEBUGREGS),
    NUMBER(SET_DEBUGREGS),
    NUMBER(ENABLE_CAP),
    NUMBER(GET_XSAVE),
    NUMBER(SET_XSAVE),
    NUMBER(GET_XCRS),
    NUMBER(SET_XCRS),
    NUMBER(GET_ONE_REG),
    NUMBER(SET_ONE_REG),
    NUMBER(KVMCLOCK_CTRL),
    NUMBER(GET_REG_LIST),
    NUMBER(SMI),
    NUMBER(MEMORY_ENCRYPT_OP),
    NUMBER(MEMORY_ENCRYPT_REG_REGION),
    NUMBER(MEMORY_ENCRYPT_UNREG_REGION),
    NUMBER(HYPERV_EVENTFD),
    NUMBER(GET_NESTED_STATE),
    NUMBER(SET_NESTED_STATE),
    NUMBER(CLEAR_DIRTY_LOG),
    NUMBER(GET_SUPPORTED_HV_CPUID),
    NUMBER(X86_SET_MSR_FILTER),
    NUMBER(RESET_DIRTY_RINGS),
    NUMBER(GET_XSAVE2),
    NUMBER(GET_SREGS2),
    NUMBER(SET_SREGS2),
    NUMBER(GET_STATS_FD),
    NUMBER(SET_MEMORY_ATTRIBUTES),
    NUMBER(CREATE_GUEST_MEMFD),
    { "CREATE_IRQCHIP", KVM_CREATE_IRQCHIP },
    { "CREATE_VCPU", KVM_CREATE_VCPU },
    { "CREATE_VM", KVM_CREATE_VM },
    { "number 0xff", _IO(KVMIO, 0xff) },
    { "of another type", _IO('B', 0x80) },
    { "SET_REGS of another size", _IOW(KVMIO, 0x82, char[7]) },
    { "GET_REGS the other way", _IOW(KVMIO, 0x81, struct kvm_regs) },
    { "no number", 0 },
    { "all ones", 0xffffffff },
};

#define ZEROES 0x4000
/* What belongs to no object, or takes no argument, and what is left out elsewhere: refused alike?
 */
static void numbers_to(const char *object, int fd, uint8_t *arg)
{
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (arg)
            memset(arg, 0, ZEROES);
        if (numbers[i].nr != KVM_RUN || strcmp(object, "vcpu"))
            answer(text("%s/%s/as a number%s", object, numbers[i].name, arg ? ", zeroes" : ""),
                   "%s", closed(kvm_call(fd, numbers[i].nr, arg)));
    }
}

static void test_numbers(void)
{
    struct world w = { 0 };
    /* Some of the calls take the address for a number. */
    uint8_t *zeroes = mmap((void *)0x10000000, ZEROES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    ASSERT(zeroes != MAP_FAILED);
    for (unsigned k = 0; k < 2; k++) {
        uint8_t *arg = k ? zeroes : NULL;

        world_new(&w, POPULATED);
        numbers_to("dev", lab_kvm, arg);
        numbers_to("vcpu", w.fd[VCPU], arg);
        numbers_to("vm", w.fd[VM], arg);
        world_new(&w, NEW);
        numbers_to("bare vm", w.fd[VM], arg);
    }
    world_free(&w);
    munmap(zeroes, ZEROES);
}

static void test_capabilities(void)
{
    struct world w = { 0 };

    world_new(&w, SPLIT);
    for (unsigned long cap = 0; cap < 260; cap++) {
        VALUE(text("dev/CHECK_EXTENSION/cap=%lu", cap),
              kvm_callv(lab_kvm, KVM_CHECK_EXTENSION, cap));
        VALUE(text("vm/CHECK_EXTENSION/cap=%lu", cap),
              kvm_callv(w.fd[VM], KVM_CHECK_EXTENSION, cap));
    }
    for (uint32_t cap = 0; cap < 260; cap++) {
        struct kvm_enable_cap all = { .cap = cap, .args = { ~0ull, ~0ull, ~0ull, ~0ull } };

        VALUE(text("vm/ENABLE_CAP/all bits of %u", cap), kvm_call(w.fd[VM], KVM_ENABLE_CAP, &all));
    }
    for (uint32_t cap = 0; cap < 260; cap++) {
        struct kvm_enable_cap none = { .cap = cap };

        int ret = kvm_call(w.fd[VM], KVM_ENABLE_CAP, &none);

        VALUE(text("vm/ENABLE_CAP/no bits of %u", cap), ret);
        if (ret >= 0)
            world_new(&w, SPLIT);
    }
    world_free(&w);
}

/* ---- Slots ---- */

static void test_slots(void)
{
    static const struct {
        const char *name;
        uint32_t slot, flags;
        uint64_t gpa, size, offset;
    } rows[] = {
        { "delete none", 5, 0, 0x10000000, 0, 0 },
        { "first", 5, 0, 0x10000000, 0x4000, 0 },
        { "over slot 0", 6, 0, 0x1000, 0x1000, 0 },
        { "around slot 0", 6, 0, 0, 0x400000, 0 },
        { "end into it", 6, 0, 0xffff000, 0x2000, 0 },
        { "start in it", 6, 0, 0x10003000, 0x2000, 0 },
        { "inside", 6, 0, 0x10001000, 0x1000, 0 },
        { "around", 6, 0, 0xfff0000, 0x20000, 0 },
        { "below", 6, 0, 0xffff000, 0x1000, 0 },
        { "above", 7, 0, 0x10004000, 0x1000, 0x4000 },
        { "moves over", 5, 0, 0x10002000, 0x4000, 0 },
        { "moves into itself", 7, 0, 0x10005000, 0x1000, 0x4000 },
        { "moves", 5, 0, 0x20000000, 0x4000, 0 },
        { "moves back", 5, 0, 0x10000000, 0x4000, 0 },
        { "other memory", 5, 0, 0x10000000, 0x4000, 0x1000 },
        { "grows", 5, 0, 0x10000000, 0x5000, 0 },
        { "shrinks", 5, 0, 0x10000000, 0x3000, 0 },
        { "moves and shrinks", 5, 0, 0x30000000, 0x3000, 0 },
        { "logged", 5, KVM_MEM_LOG_DIRTY_PAGES, 0x10000000, 0x4000, 0 },
        { "logged again", 5, KVM_MEM_LOG_DIRTY_PAGES, 0x10000000, 0x4000, 0 },
        { "logged, moves", 5, KVM_MEM_LOG_DIRTY_PAGES, 0x40000000, 0x4000, 0 },
        { "no log, moves", 5, 0, 0x10000000, 0x4000, 0 },
        { "read-only", 5, KVM_MEM_READONLY, 0x10000000, 0x4000, 0 },
        { "read-only from the start", 8, KVM_MEM_READONLY, 0x50000000, 0x4000, 0 },
        { "read-only, logged", 8, 3, 0x50000000, 0x4000, 0 },
        { "no longer read-only", 8, 1, 0x50000000, 0x4000, 0 },
        { "wraps", 9, 0, 0xfffffffffffff000, 0x2000, 0 },
        { "wraps to 0", 9, 0, 0xfffffffffffff000, 0x1000, 0 },
        { "up to the highest address", 9, 0, 0xffffffffff000, 0x1000, 0 },
        { "up to 48 bits", 9, 0, 0xfffffffff000, 0x1000, 0 },
        { "past 48 bits", 10, 0, 0x1000000000000, 0x1000, 0 },
        { "across 48 bits", 10, 0, 0xffffffffe000, 0x4000, 0 },
        { "2^31 pages", 11, 0, 0x100000000, 0x80000000000, 0 },
        { "2^31 - 1 pages", 11, 0, 0x100000000, 0x7fffffff000, 0 },
        { "user memory wraps", 12, 0, 0x60000000, 0x1000, 0xfffffffffff00000 },
        { "slot 508", 508, 0, 0x70000000, 0x1000, 0 },
        { "slot 511", 511, 0, 0x71000000, 0x1000, 0 },
        { "slot 512", 512, 0, 0x72000000, 0x1000, 0 },
        { "slot 32763", 32763, 0, 0x73000000, 0x1000, 0 },
        { "slot 32764", 32764, 0, 0x74000000, 0x1000, 0 },
        { "slot 65535", 65535, 0, 0x75000000, 0x1000, 0 },
        { "other address space", 0x10001, 0, 0x76000000, 0x1000, 0 },
        { "third address space", 0x20001, 0, 0x76000000, 0x1000, 0 },
        { "delete, with flags", 6, KVM_MEM_LOG_DIRTY_PAGES, 0, 0, 0 },
        { "delete, bad flags", 7, 0x80, 0, 0, 0 },
        { "delete, bad address", 7, 0, 0x123, 0, 0 },
        { "delete", 7, 0, 0, 0, 0 },
        { "delete twice", 7, 0, 0, 0, 0 },
        { "what was deleted", 7, 0, 0x10004000, 0x1000, 0 },
    };
    struct world w = { 0 };

    world_new(&w, SPLIT);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct kvm_userspace_memory_region r = { rows[i].slot, rows[i].flags, rows[i].gpa,
                                                 rows[i].size, (uint64_t)w.mem + rows[i].offset };
        struct kvm_dirty_log log = { .slot = rows[i].slot, .dirty_bitmap = w.mem };

        VALUE(text("vm/slots/%s", rows[i].name),
              kvm_call(w.fd[VM], KVM_SET_USER_MEMORY_REGION, &r));
        VALUE(text("vm/slots/%s, its log", rows[i].name),
              kvm_call(w.fd[VM], KVM_GET_DIRTY_LOG, &log));
    }
    world_free(&w);
}

static void test_dirty_log(void)
{
    static const uint64_t pages[] = { 0, 1, 63, 64, 65, 128, 129, 130, 192, 256, 0x10000, ~0u };
    struct world w = { 0 };
    uint8_t *mem;

    for (unsigned manual = 0; manual < 2; manual++) {
        struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { 1 } };
        struct kvm_dirty_log log = { .slot = 5 };

        world_new(&w, SPLIT);
        if (manual)
            VALUE("vm/CLEAR_DIRTY_LOG/enabled", kvm_call(w.fd[VM], KVM_ENABLE_CAP, &cap));
        mem = mmap(NULL, 130 * 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT(mem != MAP_FAILED);
        vm_slot(w.vm, 5, KVM_MEM_LOG_DIRTY_PAGES, 0x10000000, 130 * 0x1000, mem);
        for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
            for (unsigned k = 0; k < ARRAY_SIZE(pages); k++) {
                struct kvm_clear_dirty_log clear = { .slot = 5,
                                                     .first_page = pages[i],
                                                     .num_pages = (uint32_t)pages[k],
                                                     .dirty_bitmap = w.mem };

                VALUE(text("vm/CLEAR_DIRTY_LOG/%llu pages from %llu%s",
                           (unsigned long long)pages[k], (unsigned long long)pages[i],
                           manual ? ", manual" : ""),
                      kvm_call(w.fd[VM], KVM_CLEAR_DIRTY_LOG, &clear));
            }
        log.dirty_bitmap = w.mem + TABLE_MEM - 24;
        VALUE(text("vm/GET_DIRTY_LOG/up to the end%u", manual),
              kvm_call(w.fd[VM], KVM_GET_DIRTY_LOG, &log));
        log.dirty_bitmap = (void *)0x1000;
        VALUE(text("vm/GET_DIRTY_LOG/unmapped%u", manual),
              kvm_call(w.fd[VM], KVM_GET_DIRTY_LOG, &log));
        world_free(&w);
        munmap(mem, 130 * 0x1000);
    }
}

/* ---- Lists whose end is not there ---- */

static void list_case(int fd, const char *name, unsigned long nr, const void *list, size_t size)
{
    uint8_t *page = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const int over[] = { 0, 1, 8, 16, 40 };

    ASSERT(page != MAP_FAILED);
    munmap(page + 0x1000, 0x1000);
    for (unsigned i = 0; i < ARRAY_SIZE(over); i++) {
        uint8_t *at = page + 0x1000 - size + over[i];

        memcpy(at, list, size - (size_t)over[i]);
        VALUE(text("%s/list %d bytes over", name, over[i]), kvm_call(fd, nr, at));
    }
    munmap(page, 0x1000);
}

static void test_lists(void)
{
    struct world w = { 0 };
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry e[4];
    } msrs = {
        .head.nmsrs = 4,
        .e = { { .index = 0x174 }, { .index = 0x175 }, { .index = 0x176 }, { .index = 0x277 } }
    };
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 e[3];
    } cpuid = { .head.nent = 3,
                .e = {
                    { .function = 0 }, { .function = 0x80000000 }, { .function = 0x40000000 } } };
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry e[3];
    } routes = { .head.nr = 3 };
    struct {
        struct kvm_msr_list head;
        uint32_t e[600];
    } list = { .head.nmsrs = 600 };

    for (unsigned i = 0; i < 3; i++)
        routes.e[i] = (struct kvm_irq_routing_entry){ .gsi = i, .type = KVM_IRQ_ROUTING_MSI };
    world_new(&w, POPULATED);
    list_case(w.fd[VCPU], "vcpu/GET_MSRS", KVM_GET_MSRS, &msrs, sizeof(msrs));
    list_case(w.fd[VCPU], "vcpu/SET_MSRS", KVM_SET_MSRS, &msrs, sizeof(msrs));
    list_case(w.fd[VCPU], "vcpu/SET_CPUID2", KVM_SET_CPUID2, &cpuid, sizeof(cpuid));
    list_case(w.fd[VCPU], "vcpu/GET_CPUID2", KVM_GET_CPUID2, &cpuid, sizeof(cpuid));
    list_case(w.fd[VM], "vm/SET_GSI_ROUTING", KVM_SET_GSI_ROUTING, &routes, sizeof(routes));
    cpuid.head.nent = 3;
    list_case(lab_kvm, "dev/GET_SUPPORTED_CPUID", KVM_GET_SUPPORTED_CPUID, &cpuid, sizeof(cpuid));
    VALUE("dev/GET_MSR_INDEX_LIST/long", kvm_call(lab_kvm, KVM_GET_MSR_INDEX_LIST, &list));
    for (unsigned i = 0; i < 4; i++) { /* how many are done before the one that is not known */
        msrs.e[i].index = 0xdead;
        VALUE(text("vcpu/GET_MSRS/stops at %u", i), kvm_call(w.fd[VCPU], KVM_GET_MSRS, &msrs));
        VALUE(text("vcpu/SET_MSRS/stops at %u", i), kvm_call(w.fd[VCPU], KVM_SET_MSRS, &msrs));
        msrs.e[i].index = 0x174;
    }
    /* The same GSI twice; all types; GSIs up to the end. */
    routes.e[1].gsi = 0;
    VALUE("vm/SET_GSI_ROUTING/two routes of one GSI",
          kvm_call(w.fd[VM], KVM_SET_GSI_ROUTING, &routes));
    for (uint32_t gsi = 1; gsi < 0x4000; gsi = gsi * 2 + 1) {
        routes.e[2].gsi = gsi;
        routes.head.nr = 3;
        routes.e[1].gsi = 1;
        VALUE(text("vm/SET_GSI_ROUTING/last GSI %u", gsi),
              kvm_call(w.fd[VM], KVM_SET_GSI_ROUTING, &routes));
    }
    world_free(&w);
}

/* ---- MSRs, as a VMM sets them ---- */

static void test_msrs(void)
{
    static const uint32_t index[] = {
        0x0,        0x1,        0x10,       0x11,       0x12,       0x17,       0x1b,
        0x2a,       0x2c,       0x34,       0x3a,       0x3b,       0x48,       0x49,
        0x6e0,      0x79,       0x8b,       0xc1,       0xcd,       0xce,       0xe7,
        0xfe,       0x10a,      0x10b,      0x119,      0x122,      0x123,      0x140,
        0x174,      0x175,      0x176,      0x179,      0x17a,      0x17b,      0x186,
        0x198,      0x199,      0x19a,      0x19b,      0x1a0,      0x1d9,      0x1db,
        0x200,      0x201,      0x20f,      0x210,      0x250,      0x26f,      0x277,
        0x2ff,      0x345,      0x38f,      0x400,      0x401,      0x403,      0x480,
        0x800,      0x802,      0x808,      0x80b,      0x83f,      0xda0,      0x40000000,
        0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04, 0x4b564d05, 0x4b564d06,
        0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
        0xc0000102, 0xc0000103, 0xc0000104, 0xc0010000, 0xc0010004, 0xc0010010, 0xc0010015,
        0xc001001a, 0xc001001d, 0xc001001f, 0xc0010020, 0xc0010055, 0xc0010058, 0xc0010064,
        0xc0010114, 0xc0010115, 0xc0010117, 0xc001011f, 0xc0010130, 0xc0010140, 0xc0010141,
        0xc0011020, 0xc0011022, 0xc0011029, 0xc001102a, 0xdead,
    };
    static const uint64_t values[] = { 0,
                                       1,
                                       2,
                                       0x400,
                                       0xfff,
                                       0x0007040600070406,
                                       0x80000000,
                                       0xfffffffff001,
                                       0x8000000000000000,
                                       ~0ull };
    struct world w = { 0 };

    for (unsigned i = 0; i < ARRAY_SIZE(index); i++) {
        if (i % 8 == 0)
            world_new(&w, POPULATED);
        for (unsigned k = 0; k <= ARRAY_SIZE(values); k++) {
            struct {
                struct kvm_msrs head;
                struct kvm_msr_entry e;
            } m = { .head.nmsrs = 1, .e.index = index[i] };
            int set = 1, got;

            if (k) {
                m.e.data = values[k - 1];
                set = kvm_call(w.fd[VCPU], KVM_SET_MSRS, &m);
                m.e.data = 0;
            }
            got = kvm_call(w.fd[VCPU], KVM_GET_MSRS, &m);
            /* Time goes on between the two. */
            if (index[i] == 0x10)
                m.e.data &= ~0xffffffffffull;
            if (k)
                answer(text("vcpu/MSR %x/=%llx", index[i], (unsigned long long)values[k - 1]),
                       "%d, then %d %llx", set, got, (unsigned long long)m.e.data);
            else
                answer(text("vcpu/MSR %x/at first", index[i]), "%d %llx", got,
                       (unsigned long long)m.e.data);
        }
    }
    world_free(&w);
}

/* ---- What the GETs say in each state ---- */

static void words(const char *get, const char *state, const void *data, size_t size)
{
    const uint64_t *q = data;

    for (unsigned i = 0; i < size / 8; i++)
        answer(text("vcpu/%s %s/at %u", get, state, i * 8), "%llx", (unsigned long long)q[i]);
}

static void test_contents(void)
{
    static const struct {
        const char *name;
        unsigned long nr;
        size_t size;
    } gets[] = {
        { "GET_REGS", KVM_GET_REGS, sizeof(struct kvm_regs) },
        { "GET_SREGS", KVM_GET_SREGS, sizeof(struct kvm_sregs) },
        { "GET_SREGS2", KVM_GET_SREGS2, sizeof(struct kvm_sregs2) },
        { "GET_FPU", KVM_GET_FPU, sizeof(struct kvm_fpu) },
        { "GET_XSAVE", KVM_GET_XSAVE, 1024 },
        { "GET_XCRS", KVM_GET_XCRS, 32 },
        { "GET_DEBUGREGS", KVM_GET_DEBUGREGS, sizeof(struct kvm_debugregs) },
        { "GET_VCPU_EVENTS", KVM_GET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events) },
        { "GET_MP_STATE", KVM_GET_MP_STATE, sizeof(struct kvm_mp_state) },
        { "GET_LAPIC", KVM_GET_LAPIC, 1024 },
    };
    uint64_t buffer[512];
    struct world w = { 0 };

    for (unsigned state = 0; state < 5; state++) {
        struct vcpu *v;

        world_new(&w, state == 0 ? NEW : state <= 2 ? SPLIT : state == 3 ? POPULATED : RAN);
        v = w.vcpu;
        if (state == 0)
            v = vcpu_raw(w.vm, 0);
        else if (state <= 2)
            v = vcpu_raw(w.vm, state - 1);
        for (unsigned i = 0; i < ARRAY_SIZE(gets); i++) {
            static const char *const names[] = { "raw", "with APIC", "second", "with CPUID",
                                                 "ran" };

            memset(buffer, 0x5a, sizeof(buffer)); /* what is not written would show */
            if (kvm_call(v->fd, gets[i].nr, buffer) == 0)
                words(gets[i].name, names[state], buffer, gets[i].size);
        }
    }
    world_free(&w);
}

/* ---- KVM_RUN ---- */

static void test_run(void)
{
    struct kvm_guest_debug step = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
    struct kvm_mp_state states[] = { { 0 }, { 1 }, { 2 }, { 3 }, { 4 }, { 9 } };
    struct kvm_regs regs;
    struct world w = { 0 };

    world_new(&w, RAN);
    for (unsigned i = 0; i < 64; i += 7)
        table_run(&w, text("argument bit %u", i), BIT(i));
    w.vcpu->run->immediate_exit = 1;
    table_run(&w, "immediate exit", 0);
    w.vcpu->run->immediate_exit = 0xff;
    table_run(&w, "immediate exit, other value", 0);
    w.vcpu->run->immediate_exit = 0;
    w.vcpu->run->request_interrupt_window = 1;
    guest_prepare(w.vcpu, GUEST_ADDR(nop), 0, 0, 0, 0);
    table_run(&w, "interrupt window", 0);
    w.vcpu->run->request_interrupt_window = 0;
    w.vcpu->run->cr8 = 0xff;
    guest_prepare(w.vcpu, GUEST_ADDR(nop), 0, 0, 0, 0);
    table_run(&w, "CR8 in the run page", 0);
    guest_prepare(w.vcpu, GUEST_ADDR(nop), 0, 0, 0, 0);
    ASSERT_EQ(kvm_call(w.fd[VCPU], KVM_SET_GUEST_DEBUG, &step), 0);
    table_run(&w, "single step", 0);

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) { /* those that do not wait for ever */
        world_new(&w, POPULATED);
        VALUE(text("vcpu/RUN/mp_state %u", states[i].mp_state),
              kvm_call(w.fd[VCPU], KVM_SET_MP_STATE, &states[i]));
        w.vcpu->run->immediate_exit = 1;
        table_run(&w, text("immediate, mp_state %u", states[i].mp_state), 0);
        w.vcpu->run->immediate_exit = 0;
    }
    static const struct {
        const char *name, *again;
        uint64_t rip;
    } places[] = {
        /* With page tables or a stack outside memory KVM does not come back. */
        { "code outside memory", "code outside memory, again", 0x80000000 },
        { "code not mapped", "code not mapped, again", 1ull << 40 },
        { "code not canonical", "code not canonical, again", 1ull << 50 },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        world_new(&w, POPULATED);
        regs = (struct kvm_regs){ .rip = places[i].rip, .rsp = 0x9000, .rflags = 2 };
        vcpu_set_regs(w.vcpu, &regs);
        table_run(&w, places[i].name, 0);
        table_run(&w, places[i].again, 0);
    }
    world_free(&w);
}

static const struct lab_test tests[] = {
    { "states", table_states },
    { "pointers", table_pointers },
    { "fields of the VM's calls", table_vm_fields },
    { "fields of the VM's other calls", table_vm_fields2 },
    { "fields of the vCPU's calls", table_vcpu_fields },
    { "every number", test_numbers },
    { "capabilities", test_capabilities },
    { "slots", test_slots },
    { "dirty log", test_dirty_log },
    { "lists", test_lists },
    { "MSRs", test_msrs },
    { "what GETs say", test_contents },
    { "KVM_RUN", test_run },
    { "files", table_files },
    { "guest_memfd", table_memfd },
    { "eventfds", table_eventfds },
    { "concurrent close", table_concurrent_close },
};

int main(int argc, char **argv)
{
    argc = answers_open(argc, argv);
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
