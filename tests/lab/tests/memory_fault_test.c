/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that the guest takes and the host cannot answer at once, or at all: userfaultfd in its
 * three modes, poisoned pages, memory that is a device's.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/userfaultfd.h>

#define SIZE (16 * PAGE)
#define AT (5 * PAGE)

/* ---- userfaultfd ---- */

static int uffd_new(uint64_t features, void *mem, uint64_t mode)
{
    struct uffdio_api api = { .api = UFFD_API, .features = features };
    struct uffdio_register reg = { .range = { (uint64_t)mem, SIZE }, .mode = mode };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

    ASSERT(fd >= 0);
    ASSERT_EQ(kvm_call(fd, UFFDIO_API, &api), 0);
    ASSERT_EQ(kvm_call(fd, UFFDIO_REGISTER, &reg), 0);
    return fd;
}

/* Waits for the guest's fault at mem + AT; its flags. */
static uint64_t uffd_event(int fd, const uint8_t *mem)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct uffd_msg msg = { 0 };

    ASSERT_EQ(poll(&p, 1, 5000), 1);
    ASSERT_EQ(read(fd, &msg, sizeof(msg)), sizeof(msg));
    EXPECT_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
    EXPECT_EQ(msg.arg.pagefault.address & ~(PAGE - 1), (uint64_t)mem + AT);
    return msg.arg.pagefault.flags;
}

static void uffd_copy(int fd, uint8_t *mem, uint32_t value)
{
    uint8_t *page = memory_new(PAGE);
    struct uffdio_copy copy = { .dst = (uint64_t)mem + AT, .src = (uint64_t)page, .len = PAGE };

    memory_fill(page, PAGE, value);
    ASSERT_EQ(kvm_call(fd, UFFDIO_COPY, &copy), 0);
    munmap(page, PAGE);
}

/* A vCPU in its thread: done when it has left guest code. */
static void start_call(struct vcpu *v, uint64_t rip, uint64_t rsi)
{
    guest_prepare(v, rip, HIGH + AT, rsi, 0, 0);
    vcpu_start(v, NULL);
}

static void expect_done(struct vcpu *v)
{
    vcpu_join(v);
    EXPECT_EQ(v->result, KVM_EXIT_IO);
    EXPECT_EQ(v->run->io.port, PORT_DONE);
    v->regs = vcpu_regs(v);
}

static struct vcpu *empty_vm(uint8_t **mem)
{
    struct vm *vm = vm_bare();

    *mem = memory_new(SIZE);
    vm_slot(vm, 1, 0, HIGH, SIZE, *mem);
    return vcpu_new(vm, 0);
}

static void test_missing(void)
{
    uint8_t *mem;
    struct vcpu *v = empty_vm(&mem);
    int fd = uffd_new(0, mem, UFFDIO_REGISTER_MODE_MISSING);

    start_call(v, GUEST_ADDR(load32), 0);
    EXPECT_EQ(uffd_event(fd, mem) & UFFD_PAGEFAULT_FLAG_WRITE, 0);
    usleep(20000);
    EXPECT_EQ(v->result, 0); /* still in KVM_RUN */
    uffd_copy(fd, mem, 0x1234);
    expect_done(v);
    EXPECT_EQ((uint32_t)v->regs.rax, 0x1234);
    /* Discarded, it is missing again; this time a write wants it. */
    ASSERT_EQ(madvise(mem + AT, PAGE, MADV_DONTNEED), 0);
    start_call(v, GUEST_ADDR(store32), 0x99);
    EXPECT_EQ(uffd_event(fd, mem) & UFFD_PAGEFAULT_FLAG_WRITE, UFFD_PAGEFAULT_FLAG_WRITE);
    uffd_copy(fd, mem, 0x5678);
    expect_done(v);
    EXPECT_EQ(*(uint32_t *)(mem + AT), 0x99);
    EXPECT_EQ(*(uint32_t *)(mem + AT + 4), 0x5678);
    close(fd);
}

/* A vCPU that waits for a page comes back for a signal, and waits again. */
static void test_interrupted(void)
{
    uint8_t *mem;
    struct vcpu *v = empty_vm(&mem);
    int fd = uffd_new(0, mem, UFFDIO_REGISTER_MODE_MISSING);

    start_call(v, GUEST_ADDR(load32), 0);
    for (unsigned i = 0; i < 3; i++) {
        uffd_event(fd, mem);
        vcpu_kick(v);
        EXPECT_EQ(v->result, -EINTR);
        EXPECT_EQ(v->run->exit_reason, KVM_EXIT_INTR);
        vcpu_start(v, NULL);
    }
    uffd_event(fd, mem);
    uffd_copy(fd, mem, 0x4321);
    expect_done(v);
    EXPECT_EQ((uint32_t)v->regs.rax, 0x4321);
    close(fd);
}

/* The handler goes away: what it left is the kernel's again. */
static void test_handler_gone(void)
{
    uint8_t *mem;
    struct vcpu *v = empty_vm(&mem);
    int fd = uffd_new(0, mem, UFFDIO_REGISTER_MODE_MISSING);

    start_call(v, GUEST_ADDR(load32), 0);
    uffd_event(fd, mem);
    close(fd);
    expect_done(v);
    EXPECT_EQ((uint32_t)v->regs.rax, 0);
}

static void test_killed_waiting(void)
{
    int ready[2], status = 0;
    pid_t child;
    char c = 0;

    ASSERT_EQ(pipe(ready), 0);
    child = fork();
    ASSERT(child >= 0);
    if (!child) { /* nobody ever answers */
        uint8_t *mem;
        struct vcpu *v = empty_vm(&mem);
        int fd = uffd_new(0, mem, UFFDIO_REGISTER_MODE_MISSING);

        start_call(v, GUEST_ADDR(load32), 0);
        uffd_event(fd, mem);
        if (write(ready[1], &c, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT(WIFSIGNALED(status));
}

static int protect(int fd, uint8_t *mem, uint64_t mode)
{
    struct uffdio_writeprotect wp = { .range = { (uint64_t)mem, SIZE }, .mode = mode };

    return kvm_call(fd, UFFDIO_WRITEPROTECT, &wp);
}

static void test_write_protected(void)
{
    uint8_t *mem;
    struct vcpu *v = empty_vm(&mem);
    int fd;

    memory_fill(mem, SIZE, 0x11);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + SIZE, PAGE, 0x11), GUEST_DONE); /* writable */
    fd = uffd_new(UFFD_FEATURE_PAGEFAULT_FLAG_WP, mem, UFFDIO_REGISTER_MODE_WP);
    for (unsigned i = 0; i < 2; i++) {
        ASSERT_EQ(protect(fd, mem, UFFDIO_WRITEPROTECT_MODE_WP), 0);
        if (i) /* a read in between must not make it writable */
            EXPECT_EQ(guest_load32(v, HIGH + AT), 0x20);
        start_call(v, GUEST_ADDR(store32), 0x20 + i);
        EXPECT_EQ(uffd_event(fd, mem) & UFFD_PAGEFAULT_FLAG_WP, UFFD_PAGEFAULT_FLAG_WP);
        EXPECT_EQ(v->result, 0);
        EXPECT_EQ(*(uint32_t *)(mem + AT), i ? 0x20 : 0x11); /* a snapshot may be taken */
        ASSERT_EQ(protect(fd, mem, 0), 0);
        expect_done(v);
        EXPECT_EQ(*(uint32_t *)(mem + AT), 0x20 + i);
    }
    close(fd);
}

static void test_minor(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    int memfd = memfd_create("guest", MFD_CLOEXEC), fd;
    struct uffdio_continue go;
    uint8_t *mem, *other;

    ASSERT(memfd >= 0 && ftruncate(memfd, SIZE) == 0);
    mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    ASSERT(mem != MAP_FAILED && other != MAP_FAILED);
    vm_slot(vm, 1, 0, HIGH, SIZE, mem);
    fd = uffd_new(UFFD_FEATURE_MINOR_SHMEM, mem, UFFDIO_REGISTER_MODE_MINOR);
    memory_fill(other, SIZE, 0x77); /* in the page cache, not in mem's page tables */
    start_call(v, GUEST_ADDR(load32), 0);
    EXPECT_EQ(uffd_event(fd, mem) & UFFD_PAGEFAULT_FLAG_MINOR, UFFD_PAGEFAULT_FLAG_MINOR);
    EXPECT_EQ(v->result, 0);
    memory_fill(other + AT, PAGE, 0x78); /* the handler brings it up to date */
    go = (struct uffdio_continue){ .range = { (uint64_t)mem + AT, PAGE } };
    ASSERT_EQ(kvm_call(fd, UFFDIO_CONTINUE, &go), 0);
    expect_done(v);
    EXPECT_EQ((uint32_t)v->regs.rax, 0x78);
    close(fd);
    munmap(mem, SIZE);
    munmap(other, SIZE);
    close(memfd);
}

/* ---- poisoned pages ---- */

static volatile uintptr_t bus_address;
static volatile int bus_code;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    bus_address = (uintptr_t)info->si_addr;
    bus_code = info->si_code;
}

static void test_poisoned(void)
{
    struct sigaction bus = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO }, old;
    uint8_t *mem;
    struct vcpu *v = empty_vm(&mem);

    madvise(mem, SIZE, MADV_NOHUGEPAGE);
    memory_fill(mem, SIZE, 0x11);
    EXPECT_EQ(guest_call(v, touch, HIGH, HIGH + SIZE, PAGE, 0x22), GUEST_DONE);
    sigaction(SIGBUS, &bus, &old);
    if (madvise(mem + AT, PAGE, MADV_HWPOISON)) {
        sigaction(SIGBUS, &old, NULL);
        lab_skip("no poison here");
    }
    /* The guest's access is its owner's: a signal that says where, and KVM_RUN ends. */
    for (unsigned i = 0; i < 2; i++) {
        bus_address = 0;
        bus_code = 0;
        if (i)
            guest_prepare(v, GUEST_ADDR(store32), HIGH + AT + 8, 5, 0, 0);
        else
            guest_prepare(v, GUEST_ADDR(load32), HIGH + AT + 8, 0, 0, 0);
        EXPECT_EQ(vcpu_run(v), -EINTR);
        EXPECT_EQ(bus_address & ~(PAGE - 1), (uintptr_t)mem + AT);
        EXPECT_EQ(bus_code, BUS_MCEERR_AR);
    }
    EXPECT_EQ(guest_load32(v, HIGH + AT - PAGE), 0x22);
    /* The owner puts another page there. */
    ASSERT(mmap(mem + AT, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == mem + AT);
    guest_store32(v, HIGH + AT + 8, 6);
    EXPECT_EQ(*(uint32_t *)(mem + AT + 8), 6);
    sigaction(SIGBUS, &old, NULL);
}

/* ---- a device's memory ---- */

static void test_device_memory(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    void *mem = MAP_FAILED;
    glob_t found;

    if (!lab_is_bawn)
        lab_skip("KVM maps it (docs/kvm-api.md)");
    glob("/sys/bus/pci/devices/*/resource[0-9]", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc && mem == MAP_FAILED; i++) {
        int fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);

        mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    globfree(&found);
    if (mem == MAP_FAILED)
        lab_skip("no device whose memory can be mapped");
    vm_slot(vm, 1, 0, HIGH, PAGE, mem);
    EXPECT_EQ(guest_call(v, load32, HIGH, 0, 0, 0), -EFAULT);
    EXPECT_EQ(v->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
    EXPECT_EQ(guest_call(v, store32, HIGH, 0, 0, 0), -EFAULT);
    munmap(mem, PAGE);
}

static const struct lab_test tests[] = {
    { "userfaultfd: missing", test_missing },
    { "userfaultfd: a signal while waiting", test_interrupted },
    { "userfaultfd: the handler goes away", test_handler_gone },
    { "userfaultfd: killed while waiting", test_killed_waiting },
    { "userfaultfd: write-protected", test_write_protected },
    { "userfaultfd: minor", test_minor },
    { "poisoned page", test_poisoned },
    { "a device's memory is refused", test_device_memory },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
