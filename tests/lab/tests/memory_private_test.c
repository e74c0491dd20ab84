/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private memory: guest_memfd files, their bindings to slots, and memory attributes. Needs a
 * device that offers KVM_X86_SW_PROTECTED_VM; KVM does when it is built for that.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>

#define SIZE (8 * PAGE)

static struct vm *protected_vm(void)
{
    if (!(kvm_cap(lab_kvm, KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM)))
        lab_skip("no VM type with private memory");
    return vm_typed(KVM_X86_SW_PROTECTED_VM);
}

static int gmem_create(struct vm *vm, uint64_t size, uint64_t flags)
{
    struct kvm_create_guest_memfd args = { .size = size, .flags = flags };

    return kvm_call(vm->fd, KVM_CREATE_GUEST_MEMFD, &args);
}

static int slot2(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
                 void *mem, int fd, uint64_t offset)
{
    struct kvm_userspace_memory_region2 r = {
        .slot = slot,
        .flags = flags,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uint64_t)mem,
        .guest_memfd_offset = offset,
        .guest_memfd = (uint32_t)fd,
    };

    return kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION2, &r);
}

static int attributes(struct vm *vm, uint64_t gpa, uint64_t size, uint64_t attrs)
{
    struct kvm_memory_attributes args = { .address = gpa, .size = size, .attributes = attrs };

    return kvm_call(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &args);
}

/* A protected VM with shared memory and code, and a slot at HIGH that has both kinds. */
static struct vcpu *private_vm(uint8_t **shared)
{
    struct vm *vm = protected_vm();
    int fd;

    vm_add_memory(vm);
    fd = gmem_create(vm, SIZE, 0);
    ASSERT(fd >= 0);
    *shared = memory_new(SIZE);
    memory_fill(*shared, SIZE, 0x11);
    ASSERT_EQ(slot2(vm, 1, KVM_MEM_GUEST_MEMFD, HIGH, SIZE, *shared, fd, 0), 0);
    close(fd); /* the slot holds the file */
    return vcpu_new(vm, 0);
}

static void test_default_vm(void)
{
    struct vm *vm = vm_new();
    uint8_t *mem = memory_new(SIZE);

    EXPECT_EQ(kvm_cap(vm->fd, KVM_CAP_GUEST_MEMFD), 0);
    EXPECT_EQ(slot2(vm, 1, KVM_MEM_GUEST_MEMFD, HIGH, SIZE, mem, 0, 0), -EINVAL);
    EXPECT_EQ(slot2(vm, 1, 0, HIGH, SIZE, mem, 0, 0), 0); /* as the old call */
    EXPECT(attributes(vm, HIGH, PAGE, KVM_MEMORY_ATTRIBUTE_PRIVATE) < 0);
}

static void test_create_refused(void)
{
    struct vm *vm = protected_vm();

    EXPECT_EQ(gmem_create(vm, 0, 0), -EINVAL);
    EXPECT_EQ(gmem_create(vm, 100, 0), -EINVAL);
    EXPECT_EQ(gmem_create(vm, ~0xfffull, 0), -EINVAL);
    EXPECT_EQ(gmem_create(vm, PAGE, BIT(60)), -EINVAL);
    EXPECT_EQ(kvm_callv(vm->fd, KVM_CREATE_GUEST_MEMFD, 0), -EFAULT);
}

/* A file descriptor that was made is told, also where nothing could be written back. */
static void test_create_from_readonly(void)
{
    const struct kvm_create_guest_memfd args = { .size = SIZE };
    struct vm *vm = protected_vm();
    void *page = memory_new(PAGE);
    int fd;

    memcpy(page, &args, sizeof(args));
    ASSERT_EQ(mprotect(page, PAGE, PROT_READ), 0);
    fd = kvm_call(vm->fd, KVM_CREATE_GUEST_MEMFD, page);
    EXPECT(fd >= 0);
    close(fd);
}

static void test_file(void)
{
    struct vm *vm = protected_vm();
    int fd = gmem_create(vm, SIZE, 0);
    char byte = 0;

    ASSERT(fd >= 0);
    EXPECT(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
    EXPECT(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
    EXPECT(pread(fd, &byte, 1, 0) < 0);
    EXPECT(pwrite(fd, &byte, 1, 0) < 0);
    EXPECT(ftruncate(fd, PAGE) < 0);
    EXPECT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE), 0);
    EXPECT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, PAGE), 0);
    EXPECT_EQ(fallocate(fd, 0, 0, PAGE) ? -errno : 0, -EOPNOTSUPP);
    EXPECT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100) ? -errno : 0, -EINVAL);
    EXPECT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, SIZE, PAGE) ? -errno : 0, -EINVAL);
    close(fd);
}

static void test_bind_refused(void)
{
    struct vm *vm = protected_vm(), *other = protected_vm();
    uint8_t *mem = memory_new(SIZE);
    int fd = gmem_create(vm, SIZE, 0), foreign = gmem_create(other, SIZE, 0);
    const uint32_t flag = KVM_MEM_GUEST_MEMFD;
    const struct {
        const char *name;
        uint32_t flags;
        int fd;
        uint64_t size, offset;
        int want;
    } rows[] = {
        { "no file", flag, -1, SIZE, 0, -EBADF },
        { "another kind of file", flag, lab_kvm, SIZE, 0, -EINVAL },
        { "another VM's file", flag, foreign, SIZE, 0, -EINVAL },
        { "offset not aligned", flag, fd, PAGE, 100, -EINVAL },
        { "beyond the file", flag, fd, SIZE, PAGE, -EINVAL },
        { "around the end", flag, fd, SIZE, ~0xfffull, -EINVAL },
        { "read-only", flag | KVM_MEM_READONLY, fd, SIZE, 0, -EINVAL },
        { "dirty log", flag | KVM_MEM_LOG_DIRTY_PAGES, fd, SIZE, 0, -EINVAL },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(slot2(vm, 1, rows[i].flags, HIGH, rows[i].size, mem, rows[i].fd, rows[i].offset),
                  rows[i].want);
    }
    lab_row(NULL);
    EXPECT_EQ(slot2(vm, 1, flag, HIGH, 4 * PAGE, mem, fd, 0), 0);
    EXPECT_EQ(slot2(vm, 2, flag, 2 * HIGH, 4 * PAGE, mem, fd, 2 * PAGE), -EINVAL); /* in use */
    EXPECT_EQ(slot2(vm, 2, flag, 2 * HIGH, 4 * PAGE, mem, fd, 4 * PAGE), 0);
    EXPECT_EQ(slot2(vm, 1, flag, 3 * HIGH, 4 * PAGE, mem, fd, 0), -EINVAL); /* does not move */
    EXPECT_EQ(slot2(vm, 1, 0, 0, 0, NULL, 0, 0), 0);
    EXPECT_EQ(slot2(vm, 3, flag, 3 * HIGH, 4 * PAGE, mem, fd, 0), 0);
    close(fd);
    close(foreign);
}

static void test_attributes_refused(void)
{
    struct vm *vm = protected_vm();
    const uint64_t private = KVM_MEMORY_ATTRIBUTE_PRIVATE;
    struct kvm_memory_attributes flags = { .address = HIGH, .size = PAGE, .flags = 1 };

    EXPECT_EQ(kvm_cap(vm->fd, KVM_CAP_MEMORY_ATTRIBUTES), private);
    EXPECT_EQ(kvm_call(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &flags), -EINVAL);
    EXPECT_EQ(attributes(vm, HIGH, PAGE, BIT(0)), -EINVAL);
    EXPECT_EQ(attributes(vm, HIGH + 1, PAGE, private), -EINVAL);
    EXPECT_EQ(attributes(vm, HIGH, PAGE + 1, private), -EINVAL);
    EXPECT_EQ(attributes(vm, HIGH, 0, private), -EINVAL);
    EXPECT_EQ(attributes(vm, ~0xfffull, 2 * PAGE, private), -EINVAL);
    EXPECT_EQ(attributes(vm, HIGH, PAGE, private), 0); /* no slot is needed for it */
    EXPECT_EQ(attributes(vm, HIGH, PAGE, 0), 0);
}

static void test_two_kinds(void)
{
    uint8_t *shared;
    struct vcpu *v = private_vm(&shared);

    EXPECT_EQ(guest_load32(v, HIGH + PAGE), 0x11);
    ASSERT_EQ(attributes(v->vm, HIGH + PAGE, 2 * PAGE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    EXPECT_EQ(guest_load32(v, HIGH + PAGE), 0); /* private memory starts as zeros */
    guest_store32(v, HIGH + PAGE, 0x22);
    guest_store32(v, HIGH + 3 * PAGE, 0x33);       /* the page after it is still shared */
    EXPECT_EQ(*(uint32_t *)(shared + PAGE), 0x11); /* the VMM does not see it */
    EXPECT_EQ(*(uint32_t *)(shared + 3 * PAGE), 0x33);
    EXPECT_EQ(guest_load32(v, HIGH + PAGE), 0x22);
    /* Both kinds keep their content. */
    ASSERT_EQ(attributes(v->vm, HIGH + PAGE, PAGE, 0), 0);
    EXPECT_EQ(guest_load32(v, HIGH + PAGE), 0x11);
    ASSERT_EQ(attributes(v->vm, HIGH + PAGE, PAGE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    EXPECT_EQ(guest_load32(v, HIGH + PAGE), 0x22);
}

/* Shared memory has large pages where all of it is shared, and gets them back. */
static void test_large(void)
{
    uint8_t *shared = memory_new(2 * HUGE);
    struct vm *vm = protected_vm();
    struct vcpu *v;
    int fd;

    madvise(shared, 2 * HUGE, MADV_HUGEPAGE);
    memory_fill(shared, 2 * HUGE, 0x11);
    vm_add_memory(vm);
    fd = gmem_create(vm, 2 * HUGE, 0);
    ASSERT_EQ(slot2(vm, 1, KVM_MEM_GUEST_MEMFD, HIGH, 2 * HUGE, shared, fd, 0), 0);
    close(fd);
    v = vcpu_new(vm, 0);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE); /* the guest's own slot is in use */
    for (unsigned i = 0; i < 2; i++) {
        uint64_t base = memory_stat(vm, "pages_2m");

        EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + 2 * HUGE, HUGE, 0x22), GUEST_DONE);
        if (memory_stat(vm, "pages_2m") - base < 2)
            lab_skip("the host gave no large pages");
        ASSERT_EQ(attributes(vm, HIGH + 9 * PAGE, PAGE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
        EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + 2 * HUGE, PAGE, 0), GUEST_DONE);
        EXPECT_EQ(memory_stat(vm, "pages_2m") - base, 1);
        EXPECT_EQ(guest_load32(v, HIGH + 8 * PAGE), 0x11);
        guest_store32(v, HIGH + 9 * PAGE, 0x33);
        EXPECT_EQ(*(uint32_t *)(shared + 9 * PAGE), 0x11);
        ASSERT_EQ(attributes(vm, HIGH + 9 * PAGE, PAGE, 0), 0);
        EXPECT_EQ(guest_load32(v, HIGH + 9 * PAGE), 0x11);
        EXPECT_EQ(memory_stat(vm, "pages_2m") - base, 2);
        ASSERT_EQ(attributes(vm, HIGH, 2 * HUGE, 0), 0);
    }
}

static void test_punch(void)
{
    struct vm *vm = protected_vm();
    uint8_t *shared = memory_new(SIZE);
    struct vcpu *v;
    int fd;

    vm_add_memory(vm);
    fd = gmem_create(vm, SIZE, 0);
    ASSERT_EQ(slot2(vm, 1, KVM_MEM_GUEST_MEMFD, HIGH, SIZE, shared, fd, 0), 0);
    ASSERT_EQ(attributes(vm, HIGH, SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    v = vcpu_new(vm, 0);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + SIZE, PAGE, 7), GUEST_DONE);
    ASSERT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, PAGE, 2 * PAGE), 0);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + SIZE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 7 * (SIZE / PAGE - 2));
    close(fd);
}

static void test_memory_fault(void)
{
    struct vm *vm = protected_vm();
    uint8_t *shared = memory_new(SIZE);
    struct vcpu *v;

    /* Private by its attribute, but the slot has no private memory. */
    vm_add_memory(vm);
    vm_slot(vm, 1, 0, HIGH, SIZE, shared);
    ASSERT_EQ(attributes(vm, HIGH + PAGE, PAGE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    v = vcpu_new(vm, 0);
    EXPECT_EQ(guest_call(v, store32, HIGH + PAGE + 8, 1, 0, 0), -EFAULT);
    EXPECT_EQ(v->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
    EXPECT_EQ(v->run->memory_fault.gpa, HIGH + PAGE);
    EXPECT_EQ(v->run->memory_fault.size, PAGE);
    EXPECT_EQ(v->run->memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
    ASSERT_EQ(attributes(vm, HIGH + PAGE, PAGE, 0), 0); /* converted: it goes on */
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(*(uint32_t *)(shared + PAGE + 8), 1);
}

/* ---- a page that goes bad ---- */

#define KPF_UNEVICTABLE 18 /* Documentation/admin-guide/mm/pagemap.rst */

/* Notes in map, a bit for each, which pages are unevictable: of private memory, or of few others.
 */
static size_t unevictable(uint8_t *map, size_t size)
{
    static uint64_t flags[8192];
    int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    size_t pfn = 0;
    ssize_t n;

    ASSERT(fd >= 0 &&
           memory_set("/proc/sys/vm/compact_memory", "1")); /* drains what is in flight */
    while ((n = read(fd, flags, sizeof(flags))) > 0)
        for (ssize_t i = 0; i < n / 8 && pfn < size * 8; i++, pfn++)
            map[pfn / 8] = (uint8_t)(map[pfn / 8] & ~(1 << pfn % 8)) |
                           (uint8_t)((flags[i] >> KPF_UNEVICTABLE & 1) << pfn % 8);
    close(fd);
    return pfn;
}

#define BAD(how) "/sys/devices/system/memory/" how "_offline_page"

/* The frame of the page that the guest's first access to gpa takes. */
static size_t frame_of(struct vcpu *v, uint64_t gpa)
{
    static uint8_t before[1 << 18], after[1 << 18]; /* 8 GiB */
    size_t nr, frame = 0;
    unsigned found = 0;

    unevictable(before, sizeof(before));
    guest_store32(v, gpa, 0x33);
    nr = unevictable(after, sizeof(after));
    for (size_t pfn = 0; pfn < nr; pfn++) {
        if (after[pfn / 8] & ~before[pfn / 8] & 1 << pfn % 8) {
            frame = pfn;
            found++;
        }
    }
    ASSERT_EQ(found, 1);
    return frame;
}

static void test_poisoned(void)
{
    uint8_t *shared = memory_new(SIZE);
    struct vm *vm = protected_vm();
    struct vcpu *v;
    char text[32];
    int fd;

    if (access(BAD("hard"), W_OK) || access(BAD("soft"), W_OK))
        lab_skip("no poison here");
    vm_add_memory(vm);
    v = vcpu_new(vm, 0);
    fd = gmem_create(vm, SIZE, 0);
    ASSERT_EQ(slot2(vm, 1, KVM_MEM_GUEST_MEMFD, HIGH, SIZE, shared, fd, 0), 0);
    ASSERT_EQ(attributes(vm, HIGH, SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    snprintf(text, sizeof(text), "0x%zx", frame_of(v, HIGH + 3 * PAGE) * PAGE);
    guest_store32(v, HIGH + 4 * PAGE, 0x44);
    /* A page under suspicion cannot be replaced, and stays as it is. */
    EXPECT(!memory_set(BAD("soft"), text));
    ASSERT_EQ(attributes(vm, HIGH, SIZE, 0), 0);
    ASSERT_EQ(attributes(vm, HIGH, SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    EXPECT_EQ(guest_load32(v, HIGH + 3 * PAGE), 0x33);
    /* One that is lost is not lost silently, and nothing else is seen in its place. */
    memory_set(BAD("hard"), text);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(guest_call(v, load32, HIGH + 3 * PAGE, 0, 0, 0), -EHWPOISON);
        EXPECT_EQ(v->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
        EXPECT_EQ(v->run->memory_fault.gpa, HIGH + 3 * PAGE);
        EXPECT_EQ(v->run->memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
    }
    EXPECT_EQ(guest_load32(v, HIGH + 4 * PAGE), 0x44);
    ASSERT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 3 * PAGE, PAGE), 0);
    EXPECT_EQ(guest_load32(v, HIGH + 3 * PAGE), 0); /* a new page */
    close(fd);
}

/* ---- under a running guest ---- */

static void test_punch_storm(void)
{
    uint8_t *shared = memory_new(SIZE);
    struct vm *vm = protected_vm();
    struct vcpu *v[2];
    int fd;

    vm_add_memory(vm);
    fd = gmem_create(vm, SIZE, 0);
    ASSERT_EQ(slot2(vm, 1, KVM_MEM_GUEST_MEMFD, HIGH, SIZE, shared, fd, 0), 0);
    ASSERT_EQ(attributes(vm, HIGH, SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    for (unsigned i = 0; i < 2; i++) {
        v[i] = vcpu_new(vm, i);
        guest_prepare(v[i], GUEST_ADDR(scatter), HIGH, 77 + i, SIZE, COPY + i * 0x100);
        vcpu_start(v[i], NULL);
    }
    for (unsigned i = 0; i < 200; i++) {
        off_t at = (off_t)(i % 7 * PAGE);
        int mode = FALLOC_FL_KEEP_SIZE | (i % 3 ? FALLOC_FL_PUNCH_HOLE : 0);

        ASSERT_EQ(fallocate(fd, mode, at, 2 * PAGE), 0);
        if (i % 20 == 0) {
            volatile uint32_t *count = memory_copy(v[0]);
            uint32_t sum = count[0] + count[0x40];

            EXPECT(WAIT_FOR(count[0] + count[0x40] > sum + 20));
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        vcpu_kick(v[i]);
        EXPECT_EQ(v[i]->result, -EINTR);
    }
    ASSERT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, SIZE), 0);
    EXPECT_EQ(guest_call(v[0], read_all, HIGH, HIGH + SIZE, 64, 0), GUEST_DONE);
    EXPECT_EQ(v[0]->regs.rax, 0); /* nothing of it is left */
    close(fd);
}

static void test_conversion_storm(void)
{
    uint8_t *shared;
    struct vcpu *v = private_vm(&shared);

    guest_prepare(v, GUEST_ADDR(write_loop), HIGH + PAGE, COPY, 0, 0);
    vcpu_start(v, NULL);
    for (unsigned i = 0; i < 100; i++)
        ASSERT_EQ(attributes(v->vm, HIGH, SIZE, i & 1 ? 0 : KVM_MEMORY_ATTRIBUTE_PRIVATE), 0);
    EXPECT(WAIT_FOR(*(volatile uint32_t *)(shared + PAGE) > 0x11));
    vcpu_kick(v);
    EXPECT_EQ(v->result, -EINTR);
}

static const struct lab_test tests[] = {
    { "the default VM type has none", test_default_vm },
    { "guest_memfd refused", test_create_refused },
    { "guest_memfd made from read-only arguments", test_create_from_readonly },
    { "guest_memfd is no file to read", test_file },
    { "bindings refused", test_bind_refused },
    { "attributes refused", test_attributes_refused },
    { "private and shared side by side", test_two_kinds },
    { "large pages beside private ones", test_large },
    { "hole punched", test_punch },
    { "KVM_EXIT_MEMORY_FAULT", test_memory_fault },
    { "page gone bad", test_poisoned },
    { "holes punched under two vCPUs", test_punch_storm },
    { "conversions under a running guest", test_conversion_storm },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
