/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory follows the VMM's page tables: unmapping, replacing, discarding, moving,
 * protecting and copying on write, under a running guest; huge pages, memfd, files.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define SIZE (16 * PAGE)
#define AT (5 * PAGE) /* the page that is pulled away */

/* A VM with a slot of anonymous memory full of value, and a guest that mirrors a word of it. */
static struct vcpu *mirror_vm(uint8_t **mem, uint32_t value)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);

    *mem = memory_new(SIZE);
    memory_fill(*mem, SIZE, value);
    vm_slot(vm, 1, 0, HIGH, SIZE, *mem);
    memory_mirror(v, HIGH + AT, NULL);
    EXPECT(WAIT_FOR(*memory_copy(v) == value));
    return v;
}

static void test_replace(void)
{
    uint8_t *mem;
    struct vcpu *v = mirror_vm(&mem, 0x11);
    uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memory_fill(page, PAGE, 0x22);
    ASSERT(mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, mem + AT) == mem + AT);
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x22));
    /* And the other way: the page keeps its content elsewhere, the guest gets a new one. */
    ASSERT(mmap(mem + AT, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == mem + AT);
    EXPECT(WAIT_FOR(*memory_copy(v) == 0));
    vcpu_kick(v);
    EXPECT_EQ(guest_load32(v, HIGH + AT - PAGE), 0x11); /* the neighbours stayed */
    EXPECT_EQ(guest_load32(v, HIGH + AT + PAGE), 0x11);
}

static void test_discard(void)
{
    uint8_t *mem;
    struct vcpu *v = mirror_vm(&mem, 0x11);

    for (unsigned i = 0; i < 10; i++) {
        ASSERT_EQ(madvise(mem + AT, PAGE, MADV_DONTNEED), 0);
        EXPECT(WAIT_FOR(*memory_copy(v) == 0));
        *(volatile uint32_t *)(mem + AT) = 0x1000 + i;
        EXPECT(WAIT_FOR(*memory_copy(v) == 0x1000 + i));
    }
    vcpu_kick(v);
}

static void test_unmap(void)
{
    uint8_t *mem;
    struct vcpu *v = mirror_vm(&mem, 0x11);

    ASSERT_EQ(munmap(mem + AT, PAGE), 0);
    vcpu_join(v);
    EXPECT_EQ(v->result, -EFAULT);
    EXPECT_EQ(vcpu_run(v), -EFAULT); /* as often as one tries */
    ASSERT(mmap(mem + AT, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == mem + AT);
    *(uint32_t *)(mem + AT) = 0x33;
    vcpu_start(v, NULL);
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x33));
    vcpu_kick(v);
}

static void test_protect(void)
{
    uint8_t *mem;
    struct vcpu *v = mirror_vm(&mem, 0x11);

    ASSERT_EQ(mprotect(mem + AT, PAGE, PROT_READ), 0);
    *memory_copy(v) = 0;
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x11)); /* reads go on */
    vcpu_kick(v);
    EXPECT_EQ(guest_call(v, store32, HIGH + AT, 0x44, 0, 0), -EFAULT);
    EXPECT_EQ(*(uint32_t *)(mem + AT), 0x11);
    ASSERT_EQ(mprotect(mem + AT, PAGE, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(*(uint32_t *)(mem + AT), 0x44);
    ASSERT_EQ(mprotect(mem + AT, PAGE, PROT_NONE), 0);
    EXPECT_EQ(guest_call(v, load32, HIGH + AT, 0, 0, 0), -EFAULT);
    ASSERT_EQ(mprotect(mem + AT, PAGE, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ((uint32_t)v->regs.rax, 0x44);
}

static void test_copy_on_write(void)
{
    uint8_t *mem;
    struct vcpu *v = mirror_vm(&mem, 0x11);
    int go[2], status = 0;
    pid_t child;
    char c;

    vcpu_kick(v);
    ASSERT_EQ(pipe(go), 0);
    child = fork();
    ASSERT(child >= 0);
    if (!child) { /* has the memory as it was at the fork, whatever the guest does */
        bool same;

        close(go[1]);
        same = read(go[0], &c, 1) == 0 && *(uint32_t *)(mem + AT) == 0x11 &&
               *(uint32_t *)(mem + AT + PAGE) == 0x11;
        _exit(same ? 0 : 1);
    }
    close(go[0]);
    vcpu_start(v, NULL);
    *(volatile uint32_t *)(mem + AT) = 0x22; /* copied: the guest belongs to this process */
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x22));
    vcpu_kick(v);
    guest_store32(v, HIGH + AT + PAGE, 0x33); /* the guest's write copies too */
    EXPECT_EQ(*(uint32_t *)(mem + AT + PAGE), 0x33);
    close(go[1]);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

static void test_zero_page(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(SIZE);

    /* Read first: the kernel's shared page of zeros, which a later write must replace. */
    vm_slot(vm, 1, 0, HIGH, SIZE, mem);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + SIZE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + SIZE, PAGE, 1), GUEST_DONE);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + SIZE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, SIZE / PAGE);
    EXPECT_EQ(mem[3 * PAGE], 1);
}

/* ---- huge pages ---- */

static void test_huge(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(2 * HUGE);

    madvise(mem, 2 * HUGE, MADV_HUGEPAGE);
    memory_fill(mem, 2 * HUGE, 0x01010101);
    vm_slot(vm, 1, 0, HIGH, 2 * HUGE, mem);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + 2 * HUGE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 2 * HUGE / PAGE);
    /* One page of the first is replaced: the rest stays, through the split. */
    ASSERT(mmap(mem + 77 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + 2 * HUGE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 2 * HUGE / PAGE - 1);
    ASSERT_EQ(madvise(mem + HUGE, HUGE, MADV_DONTNEED), 0);
    EXPECT_EQ(guest_call(v, read_all, HIGH, HIGH + 2 * HUGE, PAGE, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, HUGE / PAGE - 1);
}

static void test_huge_unaligned(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(2 * HUGE);

    /* Guest and host addresses are not congruent: no huge mapping can be right. */
    madvise(mem, 2 * HUGE, MADV_HUGEPAGE);
    for (size_t i = 0; i < 2 * HUGE; i += PAGE)
        *(uint32_t *)(mem + i) = (uint32_t)(i / PAGE);
    vm_slot(vm, 1, 0, HIGH + 3 * PAGE, HUGE + 5 * PAGE, mem + PAGE);
    for (unsigned i = 0; i < HUGE / PAGE + 5; i += 37)
        EXPECT_EQ(guest_load32(v, HIGH + (3 + i) * PAGE), i + 1);
    EXPECT_EQ(guest_call(v, load32, HIGH + 2 * PAGE, 0, 0, 0), KVM_EXIT_MMIO);
    guest_resume(v);
    EXPECT_EQ(guest_call(v, load32, HIGH + HUGE + 8 * PAGE, 0, 0, 0), KVM_EXIT_MMIO);
}

static void test_slot_inside_huge(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(HUGE);

    /* A slot that ends inside a huge page of the host: the guest gets no more than the slot. */
    madvise(mem, HUGE, MADV_HUGEPAGE);
    memory_fill(mem, HUGE, 0x99);
    vm_slot(vm, 1, 0, HIGH, HUGE / 2, mem);
    EXPECT_EQ(guest_load32(v, HIGH), 0x99);
    EXPECT_EQ(guest_call(v, store32, HIGH + HUGE / 2, 1, 0, 0), KVM_EXIT_MMIO);
    guest_resume(v);
    EXPECT_EQ(*(uint32_t *)(mem + HUGE / 2), 0x99);
}

static void test_hugetlb(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem =
        mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

    if (mem == MAP_FAILED)
        lab_skip("no hugetlb pages reserved");
    vm_slot(vm, 1, 0, HIGH, HUGE, mem);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + HUGE, PAGE, 1), GUEST_DONE);
    for (size_t i = 0; i < HUGE; i += PAGE)
        EXPECT_EQ(mem[i], 1);
    ASSERT_EQ(munmap(mem, HUGE), 0);
    EXPECT_EQ(guest_call(v, load32, HIGH, 0, 0, 0), -EFAULT);
}

/* ---- memory with a file behind it ---- */

static void test_memfd(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    int fd = memfd_create("guest", MFD_CLOEXEC);
    uint8_t *mem, *other;

    ASSERT(fd >= 0 && ftruncate(fd, SIZE) == 0);
    mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT(mem != MAP_FAILED && other != MAP_FAILED);
    vm_slot(vm, 1, 0, HIGH, SIZE, mem);
    memory_fill(other, SIZE, 0x55);
    memory_mirror(v, HIGH + AT, NULL);
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x55));
    *(volatile uint32_t *)(other + AT) = 0x56; /* another process's view */
    EXPECT(WAIT_FOR(*memory_copy(v) == 0x56));
    ASSERT_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)AT, (off_t)PAGE), 0);
    EXPECT(WAIT_FOR(*memory_copy(v) == 0));
    ASSERT_EQ(ftruncate(fd, (off_t)AT), 0); /* cut off under the guest */
    vcpu_join(v);
    EXPECT_EQ(v->result, -EFAULT);
    EXPECT_EQ(guest_load32(v, HIGH + AT - PAGE), 0x55);
    munmap(mem, SIZE);
    munmap(other, SIZE);
    close(fd);
}

static void test_file(void)
{
    char path[] = "/tmp/bawn-test.XXXXXX";
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint32_t word = 0x66, back = 0;
    int fd = mkstemp(path);
    uint8_t *mem;

    ASSERT(fd >= 0 && ftruncate(fd, SIZE) == 0);
    unlink(path);
    ASSERT_EQ(pwrite(fd, &word, sizeof(word), 0), (ssize_t)sizeof(word));
    mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ASSERT(mem != MAP_FAILED);
    vm_slot(vm, 1, 0, HIGH, SIZE, mem);
    EXPECT_EQ(guest_load32(v, HIGH), 0x66);
    guest_store32(v, HIGH, 0x67); /* private: the file does not change */
    EXPECT_EQ(pread(fd, &back, sizeof(back), 0), (ssize_t)sizeof(back));
    EXPECT_EQ(back, 0x66);
    EXPECT_EQ(guest_load32(v, HIGH), 0x67);
    munmap(mem, SIZE);

    /* A read-only mapping serves a read-only slot. */
    mem = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT(mem != MAP_FAILED);
    vm_slot(vm, 2, KVM_MEM_READONLY, 2 * HIGH, SIZE, mem);
    EXPECT_EQ(guest_load32(v, 2 * HIGH), 0x66);
    EXPECT_EQ(guest_call(v, store32, 2 * HIGH, 1, 0, 0), KVM_EXIT_MMIO);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    munmap(mem, SIZE);
    close(fd);
}

static void test_nothing_there(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = memory_new(SIZE);

    ASSERT_EQ(munmap(mem, SIZE), 0);
    vm_slot(vm, 1, 0, HIGH, SIZE, mem); /* not an error until it is used */
    EXPECT_EQ(guest_call(v, load32, HIGH, 0, 0, 0), -EFAULT);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

/* A slot that ends where guest-physical addresses do. */
static void test_last_address(void)
{
    const struct kvm_cpuid_entry2 *sizes = lab_cpuid_find(0x80000008, 0);
    uint64_t end = BIT(sizes->eax & 0xff), gpa = end - HUGE;
    const uint64_t linear = BIT(39); /* of the PML4's second entry */
    uint8_t *mem = memory_new(HUGE);
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    struct kvm_userspace_memory_region beyond = {
        .slot = 2, .guest_phys_addr = end, .memory_size = PAGE, .userspace_addr = (uint64_t)mem
    };

    vm_slot(vm, 1, 0, gpa, HUGE, mem);
    EXPECT_EQ(kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &beyond), -EINVAL);
    beyond.guest_phys_addr = ~(PAGE - 1);
    EXPECT_EQ(kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &beyond), -EINVAL);
    ((uint64_t *)(vm->mem + GUEST_PML4))[1] = GUEST_DATA | 3;
    ((uint64_t *)(vm->mem + GUEST_DATA))[0] = (end - (1 << 30)) | 0x83;
    for (unsigned i = 0; i < HUGE / PAGE; i += 73)
        guest_store32(v, linear + (1 << 30) - HUGE + i * PAGE, 0x1000 + i);
    for (unsigned i = 0; i < HUGE / PAGE; i += 73)
        EXPECT_EQ(*(uint32_t *)(mem + i * PAGE), 0x1000 + i);
    guest_store32(v, linear + (1 << 30) - 4, 0x4321);
    EXPECT_EQ(*(uint32_t *)(mem + HUGE - 4), 0x4321);
    EXPECT_EQ(guest_call(v, load32, linear, 0, 0, 0), KVM_EXIT_MMIO);
    EXPECT_EQ(v->run->mmio.phys_addr, end - (1 << 30));
}

/* ---- both sides at once ---- */

static bool again(struct vcpu *v, int reason)
{
    (void)v;
    return reason >= 0;
}

static void test_storm(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v[2] = { vcpu_new(vm, 0), vcpu_new(vm, 1) };
    uint8_t *mem = memory_new(2 * HUGE);
    volatile uint32_t *copy[2] = { (volatile uint32_t *)(vm->mem + COPY),
                                   (volatile uint32_t *)(vm->mem + COPY + 0x100) };

    madvise(mem, 2 * HUGE, MADV_HUGEPAGE);
    vm_slot(vm, 1, 0, HIGH, 2 * HUGE, mem);
    for (unsigned i = 0; i < 2; i++) {
        guest_prepare(v[i], GUEST_ADDR(write_loop), HIGH + i * HUGE + 9 * PAGE, COPY + i * 0x100, 0,
                      0);
        vcpu_start(v[i], again);
    }
    for (unsigned i = 0; i < 300; i++) {
        madvise(mem + (i % 2) * HUGE, HUGE / 4, MADV_DONTNEED);
        mem[(i * 11 % 512) * PAGE] = (uint8_t)i;
        if (i % 50 == 0)
            madvise(mem, 2 * HUGE, i % 100 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    for (unsigned i = 0; i < 2; i++) {
        uint32_t before = *copy[i];

        EXPECT(WAIT_FOR(*copy[i] != before)); /* still alive */
        vcpu_kick(v[i]);
        EXPECT_EQ(v[i]->result, -EINTR);
    }
}

static const struct lab_test tests[] = {
    { "page replaced", test_replace },
    { "page discarded", test_discard },
    { "page unmapped", test_unmap },
    { "page protected", test_protect },
    { "copy on write after a fork", test_copy_on_write },
    { "page of zeros, then written", test_zero_page },
    { "huge pages split", test_huge },
    { "huge pages, addresses not congruent", test_huge_unaligned },
    { "slot ends inside a huge page", test_slot_inside_huge },
    { "hugetlb", test_hugetlb },
    { "memfd: shared, punched, cut", test_memfd },
    { "file: private and read-only", test_file },
    { "slot without memory", test_nothing_there },
    { "slot at the last addresses", test_last_address },
    { "discarding while two vCPUs write", test_storm },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
