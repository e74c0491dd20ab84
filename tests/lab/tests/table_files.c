/* SPDX-License-Identifier: Apache-2.0 */
/* The ioctl table test: files, eventfds, and files that are closed meanwhile (table.h). */
#define _GNU_SOURCE
#include "table.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>

static void file_ops(const char *object, int fd)
{
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
    static const struct {
        const char *name;
        off_t offset;
        size_t size;
        int prot, flags;
    } maps[] = {
        { "first page", 0, 0x1000, 3, MAP_SHARED },
        { "all pages", 0, 0x3000, 3, MAP_SHARED },
        { "many pages", 0, 0x100000, 3, MAP_SHARED },
        { "page 5", 0x5000, 0x1000, 3, MAP_SHARED },
        { "page 64", 0x40000, 0x1000, 3, MAP_SHARED },
        { "far page", 0x7ffffffff000, 0x1000, 3, MAP_SHARED },
        { "private", 0, 0x1000, 3, MAP_PRIVATE },
        { "to be executed", 0, 0x1000, 7, MAP_SHARED },
        { "read-only", 0, 0x1000, 1, MAP_SHARED },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(maps); i++) {
        void *p1 = mmap(NULL, maps[i].size, maps[i].prot, maps[i].flags, fd, maps[i].offset);

        VALUE(text("%s/mmap/%s", object, maps[i].name), p1 == MAP_FAILED ? -errno : 0);
        if (p1 != MAP_FAILED)
            munmap(p1, maps[i].size);
    }
#define FILE_OP(name, call) VALUE(text("%s/file/" name, object), (int)(call) < 0 ? -errno : 0)
    FILE_OP("read", read(fd, &byte, 1));
    FILE_OP("pread", pread(fd, &byte, 1, 1 << 30));
    FILE_OP("write", write(fd, &byte, 1));
    FILE_OP("readv", readv(fd, &iov, 1));
    FILE_OP("lseek", lseek(fd, 1, SEEK_SET));
    FILE_OP("ftruncate", ftruncate(fd, 0x1000));
    FILE_OP("fsync", fsync(fd));
    FILE_OP("fallocate", fallocate(fd, 0, 0, 0x1000));
    FILE_OP("fchmod", fchmod(fd, 0600));
    FILE_OP("FIONBIO", ioctl(fd, 0x5421, &byte));
    FILE_OP("TCGETS", ioctl(fd, 0x5401, &iov));
    VALUE(text("%s/file/poll", object), poll(&p, 1, 0) < 0 ? -errno : p.revents);
}

void table_files(void)
{
    struct world w = { 0 };
    int fd, twin;

    world_new(&w, RAN);
    file_ops("vm", w.fd[VM]);
    file_ops("vcpu", w.fd[VCPU]);
    fd = open(lab_dev, O_RDONLY);
    VALUE("dev/opened to be read alone/CREATE_VM",
          kvm_callv(fd, KVM_CREATE_VM, 0) < 0 ? -errno : 0);
    close(fd);
    for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
        static uint32_t all[0x1000];
        ssize_t n;

        fd = kvm_callv(w.fd[vcpu ? VCPU : VM], KVM_GET_STATS_FD, 0);
        ASSERT(fd >= 0);
        file_ops(vcpu ? "vcpu stats" : "vm stats", fd);
        n = pread(fd, all, sizeof(all), 0);
        ASSERT(n > 24);
        VALUE(text("stats %u/read past the end", vcpu), pread(fd, all, 8, n) < 0 ? -errno : 0);
        VALUE(text("stats %u/read far", vcpu), pread(fd, all, 8, 1ll << 40) < 0 ? -errno : 0);
        VALUE(text("stats %u/read nothing", vcpu), (int)pread(fd, all, 0, 0));
        VALUE(text("stats %u/read a byte", vcpu), (int)pread(fd, all, 1, 0));
        VALUE(text("stats %u/read across header", vcpu), (int)pread(fd, all, 8, 20));
        VALUE(text("stats %u/bad pointer", vcpu),
              (int)pread(fd, (void *)0x1000, 8, 0) < 0 ? -errno : 0);
        ASSERT(pread(fd, all, 24, 0) == 24); /* struct kvm_stats_header */
        for (unsigned i = 0; i < 6; i += i == 1 ? 2 : 1)
            VALUE(text("stats %u/header at %u", vcpu, 4 * i), (int)all[i]);
        close(fd);
    }
    /* Ends of life: the VM's file goes first. */
    fd = kvm_callv(w.fd[VM], KVM_GET_STATS_FD, 0);
    twin = kvm_callv(w.fd[VM], KVM_CREATE_VCPU, 1);
    close(w.fd[VM]);
    w.vm->fd = -1;
    guest_prepare(w.vcpu, GUEST_ADDR(nop), 0, 0, 0, 0);
    table_run(&w, "after the VM was closed", 0);
    VALUE("vm/closed/ioctl", kvm_callv(w.fd[VM], KVM_CHECK_EXTENSION, 0));
    close(twin);
    VALUE("vcpu/closed/ioctl", kvm_callv(twin, KVM_GET_REGS, 0));
    VALUE("stats/after the VM was closed", (int)pread(fd, &twin, 4, 0));
    close(fd);
    world_free(&w);
}

void table_memfd(void)
{
    static const struct {
        const char *name;
        int mode;
        off_t offset, size;
    } rows[] = {
        { "all", 0, 0, 0x10000 },
        { "one page", 0, 0x1000, 0x1000 },
        { "keep size", FALLOC_FL_KEEP_SIZE, 0, 0x1000 },
        { "past the end", FALLOC_FL_KEEP_SIZE, 0x10000, 0x1000 },
        { "across the end", FALLOC_FL_KEEP_SIZE, 0xf000, 0x2000 },
        { "not aligned", FALLOC_FL_KEEP_SIZE, 0x800, 0x1000 },
        { "size not aligned", FALLOC_FL_KEEP_SIZE, 0, 0x800 },
        { "punch", FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 0x10000 },
        { "punch past the end", FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0x100000, 0x1000 },
        { "punch not aligned", FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0x10, 0x1000 },
        { "punch without keep", FALLOC_FL_PUNCH_HOLE, 0, 0x1000 },
        { "collapse", FALLOC_FL_COLLAPSE_RANGE, 0, 0x1000 },
        { "zero", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 0x1000 },
        { "huge", FALLOC_FL_KEEP_SIZE, 0, 0x7ffffffffffff000 },
        { "nothing", FALLOC_FL_KEEP_SIZE, 0, 0 },
    };
    struct kvm_create_guest_memfd create = { .size = 0x10000 };
    struct kvm_userspace_memory_region2 r = { .slot = 5,
                                              .flags = KVM_MEM_GUEST_MEMFD,
                                              .guest_phys_addr = 0x10000000,
                                              .memory_size = 0x10000 };
    struct world w = { 0 };
    int fd;

    world_new(&w, SPLIT);
    fd = kvm_call(w.fd[VM], KVM_CREATE_GUEST_MEMFD, &create);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        VALUE(text("memfd/fallocate/%s", rows[i].name),
              fallocate(fd, rows[i].mode, rows[i].offset, rows[i].size) < 0 ? -errno : 0);
    file_ops("memfd", fd);
    r.userspace_addr = (uint64_t)w.mem;
    r.guest_memfd = (uint32_t)fd;
    VALUE("memfd/slot of a plain VM", kvm_call(w.fd[VM], KVM_SET_USER_MEMORY_REGION2, &r));
    close(w.fd[VM]);
    w.vm->fd = -1;
    VALUE("memfd/after its VM", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 0x1000) < 0 ? -errno : 0);
    close(fd);
    world_free(&w);
}

/* Files by name, for tables. */
enum file { EVENT, OTHER, PLAIN, A_VM, NO_FILE };

static int file_of(const struct world *w, enum file file)
{
    const int fds[] = { w->eventfd, w->other_eventfd, w->plain_fd, w->fd[VM], 999 };

    return fds[file];
}

static void irqfds(const struct world *w, const char *state)
{
    static const struct {
        const char *name;
        enum file file;
        uint32_t gsi, flags;
    } rows[] = {
        { "assign", EVENT, 5, 0 },
        { "again", EVENT, 5, 0 },
        { "the same file, other GSI", EVENT, 6, 0 },
        { "another file, the same GSI", OTHER, 5, 0 },
        { "deassign other GSI", EVENT, 9, 1 },
        { "deassign, flags", EVENT, 5, 5 },
        { "deassign", EVENT, 5, 1 },
        { "deassign twice", EVENT, 5, 1 },
        { "resample", EVENT, 5, 2 },
        { "no eventfd", PLAIN, 5, 0 },
        { "a VM", A_VM, 5, 0 },
        { "no file", NO_FILE, 5, 0 },
        { "deassign no eventfd", PLAIN, 5, 1 },
        { "deassign no file", NO_FILE, 5, 1 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct kvm_irqfd q = { .fd = (uint32_t)file_of(w, rows[i].file),
                               .gsi = rows[i].gsi,
                               .flags = rows[i].flags,
                               .resamplefd = (uint32_t)w->other_eventfd };

        VALUE(text("vm/IRQFD %s/%s", state, rows[i].name), kvm_call(w->fd[VM], KVM_IRQFD, &q));
    }
}

#define ON KVM_IOEVENTFD_FLAG_DATAMATCH
#define OFF KVM_IOEVENTFD_FLAG_DEASSIGN
static void doorbells(const struct world *w, const char *state)
{
    static const struct {
        const char *name;
        uint64_t addr, value;
        uint32_t len, flags;
        enum file file;
    } rows[] = {
        { "any value", 0xd0000000, 0, 4, 0, EVENT },
        { "any value again", 0xd0000000, 0, 4, 0, EVENT },
        { "a value beside it", 0xd0000000, 7, 4, ON, EVENT },
        { "deassign a value", 0xd0000000, 7, 4, ON | OFF, EVENT },
        { "deassign", 0xd0000000, 0, 4, OFF, EVENT },
        { "deassign twice", 0xd0000000, 0, 4, OFF, EVENT },
        { "a value", 0xd0000000, 7, 4, ON, EVENT },
        { "the same value", 0xd0000000, 7, 4, ON, EVENT },
        { "other value", 0xd0000000, 8, 4, ON, EVENT },
        { "all values", 0xd0000000, 0, 4, 0, EVENT },
        { "other file deassigns", 0xd0000000, 7, 4, ON | OFF, OTHER },
        { "no length with a value", 0xd0000000, 0, 0, ON, EVENT },
        { "no length", 0xd0001000, 0, 0, 0, EVENT },
        { "no length twice", 0xd0001000, 0, 0, 0, EVENT },
        { "length beside no length", 0xd0001000, 0, 2, 0, EVENT },
        { "not aligned", 0xd0002001, 0, 4, 0, EVENT },
        { "wraps", ~1ull, 0, 4, 0, EVENT },
        { "last byte", ~0ull, 0, 1, 0, EVENT },
        { "in memory", 0x1000, 0, 4, 0, EVENT },
        { "port", 0x500, 0, 4, KVM_IOEVENTFD_FLAG_PIO, EVENT },
        { "port past the end", 0xffff, 0, 4, KVM_IOEVENTFD_FLAG_PIO, EVENT },
        { "virtio-ccw", 1, 0, 4, KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY, EVENT },
        { "deassign what is not", 0xe0000000, 0, 4, OFF, EVENT },
        { "deassign, no file", 0xd0000000, 0, 4, OFF, NO_FILE },
        { "no eventfd", 0xd0003000, 0, 4, 0, PLAIN },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct kvm_ioeventfd e = { .datamatch = rows[i].value,
                                   .addr = rows[i].addr,
                                   .len = rows[i].len,
                                   .fd = file_of(w, rows[i].file),
                                   .flags = rows[i].flags };

        VALUE(text("vm/IOEVENTFD %s/%s", state, rows[i].name),
              kvm_call(w->fd[VM], KVM_IOEVENTFD, &e));
    }
}

void table_eventfds(void)
{
    struct world w = { 0 };

    for (unsigned split = 0; split < 2; split++) {
        world_new(&w, split ? SPLIT : NEW);
        irqfds(&w, split ? "split" : "new");
        doorbells(&w, split ? "split" : "new");
    }
    world_free(&w);
}

/* ---- Files closed by another thread ---- */

struct closer {
    pthread_barrier_t *start;
    int fd;
};

static void *close_it(void *argument)
{
    struct closer *c = argument;

    pthread_barrier_wait(c->start);
    close(c->fd);
    return NULL;
}

#define ROUNDS 3
/* Either comes first: what counts is that no answer is another than these two, and what stays. */
void table_concurrent_close(void)
{
    static const struct {
        const char *name;
        enum object object;
        unsigned long nr;
    } calls[] = {
        { "CREATE_VCPU", VM, KVM_CREATE_VCPU },
        { "IRQFD", VM, KVM_IRQFD },
        { "SET_USER_MEMORY_REGION", VM, KVM_SET_USER_MEMORY_REGION },
        { "GET_STATS_FD", VM, KVM_GET_STATS_FD },
        { "RUN", VCPU, KVM_RUN },
        { "GET_REGS", VCPU, KVM_GET_REGS },
        { "GET_LAPIC", VCPU, KVM_GET_LAPIC },
    };
    struct world w = { 0 };

    for (unsigned i = 0; i < ARRAY_SIZE(calls) * ROUNDS; i++) {
        pthread_barrier_t start;
        struct closer c = { .start = &start };
        union {
            struct kvm_irqfd irqfd;
            struct kvm_userspace_memory_region region;
            uint8_t answer[0x1000];
        } arg;
        unsigned long argument = (unsigned long)&arg;
        pthread_t thread;
        int ret;

        world_new(&w, RAN);
        memset(&arg, 0, sizeof(arg));
        if (calls[i / ROUNDS].nr == KVM_IRQFD)
            arg.irqfd = (struct kvm_irqfd){ .fd = (uint32_t)w.eventfd, .gsi = 3 };
        if (calls[i / ROUNDS].nr == KVM_SET_USER_MEMORY_REGION)
            arg.region = (struct kvm_userspace_memory_region){ 5, 0, 0x10000000, TABLE_MEM,
                                                               (uint64_t)w.mem };
        if (calls[i / ROUNDS].nr == KVM_RUN || calls[i / ROUNDS].nr == KVM_GET_STATS_FD)
            argument = 0;
        if (calls[i / ROUNDS].nr == KVM_CREATE_VCPU)
            argument = 3;
        guest_prepare(w.vcpu, GUEST_ADDR(nop), 0, 0, 0, 0);
        c.fd = w.fd[calls[i / ROUNDS].object];
        ASSERT_EQ(pthread_barrier_init(&start, NULL, 2), 0);
        ASSERT_EQ(pthread_create(&thread, NULL, close_it, &c), 0);
        pthread_barrier_wait(&start);
        for (unsigned k = 0; k < i % ROUNDS; k++)
            sched_yield();
        ret = kvm_callv(c.fd, calls[i / ROUNDS].nr, argument);
        pthread_join(thread, NULL);
        *(calls[i / ROUNDS].object == VM ? &w.vm->fd : &w.vcpu->fd) = -1;
        if (ret > 0)
            close(ret);
        if (i % ROUNDS == ROUNDS - 1)
            VALUE(text("%s/%s/closed meanwhile", calls[i / ROUNDS].object == VM ? "vm" : "vcpu",
                       calls[i / ROUNDS].name),
                  ret >= 0 || ret == -EBADF ? 0 : ret);
    }
    world_free(&w);
}
