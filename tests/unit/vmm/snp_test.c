// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/snp*.c without a module: CPUID of an SNP guest, reasons of an end, and conversions that a
 * guest has no right to.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/kvm_para.h>

#include "vm.h"

#define ROOM 8
#define RAM_SIZE (4ull << 20)

struct list {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[ROOM];
};

static void add(struct list *l, uint32_t function, uint32_t index, const uint32_t reg[4])
{
    l->head.entries[l->head.nent++] = (struct kvm_cpuid_entry2){
        .function = function,
        .index = index,
        .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        .eax = reg[0],
        .ebx = reg[1],
        .ecx = reg[2],
        .edx = reg[3],
    };
}

static const struct kvm_cpuid_entry2 *find(const struct list *l, uint32_t function)
{
    for (unsigned i = 0; i < l->head.nent; i++)
        if (l->head.entries[i].function == function)
            return &l->head.entries[i];
    return NULL;
}

static struct list make(uint32_t xsave_1_eax)
{
    static const uint32_t all[4] = { ~0u, ~0u, ~0u, ~0u }, basic[4] = { 0x1f, 1, 2, 3 };
    const uint32_t compaction[4] = { xsave_1_eax, 0, 0, 0 };
    struct list l = { .head.nent = 0 };

    add(&l, 0, 0, basic);
    add(&l, 1, 0, all);
    add(&l, 7, 0, all);
    add(&l, 0xd, 0, all);
    add(&l, 0xd, 1, compaction);
    add(&l, 0x14, 0, all);
    add(&l, 0x80000001, 0, all);
    return l;
}

static void test_cpuid_without_compaction(void **state)
{
    struct list l = make(1); /* XSAVEOPT alone */

    (void)state;
    assert_int_equal(bawn_snp_fix_cpuid(&l.head, ROOM, NULL), BAWN_OK);
    assert_int_equal(find(&l, 0)->eax, 0xc);
    assert_null(find(&l, 0xd));
    assert_null(find(&l, 0x14)); /* beyond what leaf 0 says */
    assert_int_equal(find(&l, 1)->ecx & (1u << 26 | 1u << 27 | 1u << 28), 0);
    assert_int_equal(find(&l, 1)->ecx & 1u << 30, 1u << 30); /* RDRAND stays */
    assert_int_equal(find(&l, 7)->ebx & (1u << 5 | 1u << 16), 0);
    assert_int_equal(find(&l, 0x80000001)->ecx & 1u << 11, 0);
    assert_int_equal(find(&l, 0x8000001f)->eax, 0x1a);
}

static void test_cpuid_with_compaction(void **state)
{
    struct list l = make(1u << 1);
    struct kvm_cpuid_entry2 sev = { .function = 0x8000001f, .ebx = 51 | 1 << 6 | 4 << 12 };

    (void)state;
    l.head.entries[l.head.nent++] = sev;
    assert_int_equal(bawn_snp_fix_cpuid(&l.head, ROOM, NULL), BAWN_OK);
    assert_int_equal(l.head.nent, ROOM);
    assert_int_equal(find(&l, 0)->eax, 0x1f);
    assert_non_null(find(&l, 0xd));
    assert_int_equal(find(&l, 1)->ecx, ~0u);
    /* The module's C-bit; the number of VMPLs is not the guest's. */
    assert_int_equal(find(&l, 0x8000001f)->ebx, 51 | 1 << 6);
    assert_int_equal(find(&l, 0x8000001f)->eax, 0x1a);
}

static void test_cpuid_full(void **state)
{
    struct list l = make(1u << 1);
    struct bawn_error err;

    (void)state;
    add(&l, 0x80000002, 0, (const uint32_t[4]){ 1, 1, 1, 1 });
    assert_int_equal(bawn_snp_fix_cpuid(&l.head, ROOM, &err), BAWN_E_UNSUPPORTED);
}

static void test_reasons(void **state)
{
    (void)state;
    assert_non_null(strstr(bawn_snp_reason(1, 0x4f), "kernel is not the measured one"));
    assert_non_null(strstr(bawn_snp_reason(1, 2), "cannot be validated"));
    assert_non_null(strstr(bawn_snp_reason(0, 1), "GHCB protocol version"));
    assert_null(bawn_snp_reason(1, 0xff));
    assert_null(bawn_snp_reason(2, 0x4f));
    assert_null(bawn_snp_reason(0, 0x4f));
}

/* No module is asked: what lies outside RAM is refused before. */
static void test_conversions(void **state)
{
    static const struct {
        uint64_t nr, gpa, pages;
    } bad[] = {
        { KVM_HC_MAP_GPA_RANGE, 0x1001, 1 },    { KVM_HC_MAP_GPA_RANGE, 0x1000, 0 },
        { KVM_HC_MAP_GPA_RANGE, RAM_SIZE, 1 },  { KVM_HC_MAP_GPA_RANGE, RAM_SIZE - 0x1000, 2 },
        { KVM_HC_MAP_GPA_RANGE, 0, ~0ull },     { KVM_HC_MAP_GPA_RANGE, 0, 1ull << 52 },
        { KVM_HC_MAP_GPA_RANGE, ~0xfffull, 1 }, { KVM_HC_MAP_GPA_RANGE, ~0xfffull, 2 },
        { KVM_HC_MAP_GPA_RANGE, 0x2000, 1 }, /* in RAM, but there is no VM behind it */
        { KVM_HC_KICK_CPU, 0x1000, 1 },
    };
    static struct bawn_vm vm;
    static struct bawn_snp_input input;
    const struct bawn_ram ram = { 0, RAM_SIZE };
    struct bawn_mem mem;
    struct bawn_vm_parts parts = { .snp = &input, .mem = &mem };
    struct kvm_run run;
    struct bawn_vcpu vcpu = { .vm = &vm, .run = &run };

    (void)state;
    vm.fd = -1;
    vm.parts = &parts;
    bawn_snp_vm_init(&vm.snp);
    assert_int_equal(bawn_mem_create(&mem, &ram, 1, false, NULL), BAWN_OK);
    memset(mem.range[0].host, 0x5a, RAM_SIZE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned private = 0; private < 2; private ++) {
            memset(&run, 0, sizeof(run));
            run.hypercall.nr = bad[i].nr;
            run.hypercall.args[0] = bad[i].gpa;
            run.hypercall.args[1] = bad[i].pages;
            run.hypercall.args[2] = private ? KVM_MAP_GPA_RANGE_ENCRYPTED : 0;
            bawn_snp_hypercall(&vcpu);
            assert_int_not_equal(run.hypercall.ret, 0);
        }
    }
    for (uint64_t i = 0; i < RAM_SIZE; i += 512)
        assert_int_equal(mem.range[0].host[i], 0x5a);
    bawn_mem_destroy(&mem);
}

static void test_end_messages(void **state)
{
    static struct bawn_vm vm;
    struct kvm_run run = { .system_event = { .type = KVM_SYSTEM_EVENT_SEV_TERM, .ndata = 1 } };
    struct bawn_vcpu vcpu = { .vm = &vm, .run = &run };

    (void)state;
    run.system_event.data[0] = 0x100 | 1 << 12 | 0x50 << 16;
    vm.loop.wake_fd = -1;
    bawn_snp_terminated(&vcpu);
    assert_int_equal(vm.end, BAWN_END_CRASH);
    assert_string_equal(vm.end_msg,
                        "vCPU 0: the guest ended itself: the initrd is not the measured "
                        "one (reason 1:0x50)");
    vm.end = BAWN_END_NONE;
    run.system_event.ndata = 0; /* an older KVM */
    bawn_snp_terminated(&vcpu);
    assert_non_null(strstr(vm.end_msg, "reason 0:0x00"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpuid_without_compaction),
        cmocka_unit_test(test_cpuid_with_compaction),
        cmocka_unit_test(test_cpuid_full),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_end_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
