/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that wants a guest's private memory: looks for it wherever a VMM can look, and moves,
 * swaps, replays and shares out its pages. What each attack ends in is written at its test: the
 * guest is told (#VC "not validated", PVALIDATE's carry flag), or its access ends at the VMM; in
 * no case does it read other bytes than those that it wrote.
 */
#define _GNU_SOURCE
#include "snp_agent.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define A AGENT_PRIVATE
#define B (AGENT_PRIVATE + 4 * PAGE) /* not beside A, nor of its fault's neighbourhood */
#define NOT_VALIDATED 0x404
#define SECRET_A 0xa11ce0a11ce0a1c3ull /* as code both are RET */
#define SECRET_B 0xb0b0b0b0cafecac3ull
#define DF_VECTOR 8
#define CHUNK 0x10000u

/* ---- Looking for private bytes ---- */

struct canary {
    uint64_t parts[2]; /* the guest makes it of these; here it never stands in one piece */
};

static struct canary canary_new(void)
{
    struct canary c;

    ASSERT_EQ(getrandom(&c, sizeof(c), 0), sizeof(c));
    return c;
}

static unsigned count_in(const uint8_t *p, size_t len, const struct canary *c)
{
    unsigned n = 0;
    uint64_t word;

    for (size_t i = 0; i + 8 <= len; i++) {
        memcpy(&word, p + i, 8);
        n += (word ^ c->parts[0]) == c->parts[1];
    }
    return n;
}

/* Our own memory between two addresses; the buffer is what it is looked at through. */
static unsigned count_in_map(int mem, uint64_t from, uint64_t to, uint8_t *buffer,
                             const struct canary *c, uint64_t *seen)
{
    unsigned n = 0;

    for (; from < to; from += CHUNK) {
        size_t len = to - from < CHUNK + 7 ? to - from : CHUNK + 7; /* words across chunks */
        ssize_t got = pread(mem, buffer, len, (off_t)from);

        if (got <= 0)
            continue;
        *seen += (uint64_t)got;
        n += count_in(buffer, (size_t)got, c);
    }
    return n;
}

/* In all of the VMM's memory: its heap and stacks, shared memory of all slots, kvm_run. */
static unsigned count_everywhere(const struct canary *c, uint64_t *seen)
{
    uint8_t *buffer =
        mmap(NULL, 2 * (size_t)CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long long from, to;
    char line[512];
    unsigned n = 0;

    ASSERT(buffer != MAP_FAILED && mem >= 0 && maps);
    *seen = 0;
    memset(buffer, 0, 2 * (size_t)CHUNK);
    while (fgets(line, sizeof(line), maps)) {
        uint64_t own = (uint64_t)(uintptr_t)buffer;

        if (sscanf(line, "%llx-%llx", &from, &to) != 2 || from >> 63)
            continue;
        if (own < from || own >= to) {
            n += count_in_map(mem, from, to, buffer, c, seen);
            continue;
        }
        /* Around the buffer itself, where the kernel has joined it with others. */
        n += count_in_map(mem, from, own, buffer, c, seen);
        n += count_in_map(mem, own + 2 * (uint64_t)CHUNK, to, buffer, c, seen);
    }
    fclose(maps);
    close(mem);
    munmap(buffer, 2 * (size_t)CHUNK);
    return n;
}

static void test_canary(void)
{
    struct canary private = canary_new(), shared = canary_new();
    struct snp_guest g = agent_create(1);
    uint64_t seen;

    /* What the guest shares is found: 512 words of it. So the search can find. */
    ASSERT_EQ(
        agent_step(&g, AGENT_SECRET, SNP_SHARED + AGENT_DATA, shared.parts[0], shared.parts[1]),
        AGENT_OK);
    EXPECT_EQ(count_everywhere(&shared, &seen), 512);
    EXPECT(seen > GUEST_MEM);
    agent_validate(&g, A);
    ASSERT_EQ(agent_step(&g, AGENT_SECRET, A, private.parts[0], private.parts[1]), AGENT_OK);
    EXPECT_EQ(agent_load(&g, A) ^ private.parts[0], private.parts[1]);
    /* What it read last is in its registers now, and the mailbox has it: the guest's own doing. */
    memset(g.vm->mem + GUEST_MBOX, 0, PAGE);
    EXPECT_EQ(count_everywhere(&private, &seen), 0);
    EXPECT_EQ(count_in(g.vm->mem, GUEST_MEM, &private), 0);
    EXPECT_EQ(count_in(g.vm->mem, GUEST_MEM, &shared), 512);
    agent_expect_alive(&g);
}

/* Converted to shared, the page that the VMM gets is its own, without the guest's bytes. */
static void test_canary_converted(void)
{
    struct canary c = canary_new();
    struct snp_guest g = agent_create(1);
    uint64_t seen;

    agent_validate(&g, A);
    ASSERT_EQ(agent_step(&g, AGENT_SECRET, A, c.parts[0], c.parts[1]), AGENT_OK);
    ASSERT_EQ(snp_attributes(&g, A, PAGE, false), 0);
    ASSERT_EQ(agent_step(&g, AGENT_LOAD, SNP_SHARED + A, 0, 0), AGENT_OK);
    EXPECT_EQ(agent_result(&g, 0), 0);
    EXPECT_EQ(count_everywhere(&c, &seen), 0);
    ASSERT_EQ(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, A, PAGE), 0);
    EXPECT_EQ(count_everywhere(&c, &seen), 0);
}

/* Registers at an exit: not in kvm_run, whatever is asked to be put there, nor by any ioctl. */
static void test_registers(void)
{
    struct canary c = canary_new();
    struct snp_guest g = agent_create(1);
    static uint8_t buffer[0x1000];
    const unsigned long calls[] = { KVM_GET_REGS, KVM_GET_SREGS,      KVM_GET_SREGS2,
                                    KVM_GET_FPU,  KVM_GET_DEBUGREGS,  KVM_GET_XSAVE,
                                    KVM_GET_XCRS, KVM_GET_VCPU_EVENTS };
    uint64_t seen;

    g.v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
    ASSERT_EQ(agent_step(&g, AGENT_REGISTERS, c.parts[0], c.parts[1], 0), AGENT_OK);
    EXPECT_EQ(snp_exceptions(&g), 0);
    g.v->run->kvm_valid_regs = 0;
    EXPECT_EQ(count_everywhere(&c, &seen), 0);
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        memset(buffer, 0, sizeof(buffer));
        kvm_call(g.v->fd, calls[i], buffer);
        EXPECT_EQ(count_in(buffer, sizeof(buffer), &c), 0);
    }
    agent_expect_alive(&g);
}

/* ---- The file of private memory ---- */

static void test_file(void)
{
    struct snp_guest g = agent_create(1);
    uint8_t bytes[64] = { 0 };
    struct iovec v = { bytes, sizeof(bytes) };
    const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC };
    const int flags[] = { MAP_SHARED, MAP_PRIVATE };
    int pipes[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    loff_t at = 0;
    char path[64];

    for (size_t i = 0; i < ARRAY_SIZE(prots); i++)
        for (size_t k = 0; k < ARRAY_SIZE(flags); k++)
            EXPECT(mmap(NULL, PAGE, prots[i], flags[k], g.gmem, 0) == MAP_FAILED);
    EXPECT(read(g.gmem, bytes, sizeof(bytes)) < 0);
    EXPECT(pread(g.gmem, bytes, sizeof(bytes), 0) < 0);
    EXPECT(preadv(g.gmem, &v, 1, 0) < 0);
    EXPECT(write(g.gmem, bytes, sizeof(bytes)) < 0);
    EXPECT(pwrite(g.gmem, bytes, sizeof(bytes), 0) < 0);
    EXPECT(sendfile(null, g.gmem, NULL, PAGE) < 0);
    EXPECT(copy_file_range(g.gmem, &at, null, NULL, PAGE, 0) < 0);
    ASSERT_EQ(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    EXPECT(splice(g.gmem, &at, pipes[1], NULL, PAGE, 0) < 0);
    EXPECT(splice(pipes[0], NULL, g.gmem, &at, PAGE, SPLICE_F_NONBLOCK) < 0);
    EXPECT(ftruncate(g.gmem, 0) < 0);
    EXPECT(ftruncate(g.gmem, 2 * GUEST_MEM) < 0);
    EXPECT(fallocate(g.gmem, 0, 0, PAGE) < 0);
    EXPECT(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_COLLAPSE_RANGE, 0, PAGE) < 0);
    EXPECT(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 1, PAGE) < 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", g.gmem);
    EXPECT(open(path, O_RDWR | O_CLOEXEC) < 0); /* no second open file of it */
    close(pipes[0]);
    close(pipes[1]);
    close(null);
    agent_expect_alive(&g);
}

/* ---- Moving pages ---- */

/* A guest that has A and B validated, with a secret in each. */
static struct snp_guest with_secrets(void)
{
    struct snp_guest g = agent_create(1);

    agent_validate(&g, A);
    agent_validate(&g, B);
    agent_store(&g, A, SECRET_A);
    agent_store(&g, B, SECRET_B);
    return g;
}

static int slot_set(struct snp_guest *g, unsigned slot, uint64_t gpa, uint64_t size, int gmem,
                    uint64_t offset)
{
    struct kvm_userspace_memory_region2 r = {
        .slot = slot,
        .flags = gmem >= 0 ? KVM_MEM_GUEST_MEMFD : 0,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uint64_t)(uintptr_t)g->vm->mem + gpa,
        .guest_memfd = gmem >= 0 ? (uint32_t)gmem : 0,
        .guest_memfd_offset = offset,
    };

    return kvm_call(g->vm->fd, KVM_SET_USER_MEMORY_REGION2, &r);
}

static int new_file(struct snp_guest *g)
{
    struct kvm_create_guest_memfd create = { .size = PAGE };
    int fd = kvm_call(g->vm->fd, KVM_CREATE_GUEST_MEMFD, &create);

    ASSERT(fd >= 0);
    return fd;
}

/* What the slots are made of: pages A and B with these offsets; the rest as it was. */
static void lay_out(struct snp_guest *g, int file_a, uint64_t a, int file_b, uint64_t b)
{
    for (unsigned slot = 0; slot < 5; slot++)
        slot_set(g, slot, 0, 0, -1, 0);
    ASSERT_EQ(slot_set(g, 0, 0, A, g->gmem, 0), 0);
    ASSERT_EQ(slot_set(g, 1, A + PAGE, B - A - PAGE, g->gmem, A + PAGE), 0);
    ASSERT_EQ(slot_set(g, 2, B + PAGE, GUEST_MEM - B - PAGE, g->gmem, B + PAGE), 0);
    ASSERT_EQ(slot_set(g, 3, A, PAGE, file_a, a), 0);
    if (b != ~0ull)
        ASSERT_EQ(slot_set(g, 4, B, PAGE, file_b, b), 0);
}

/* The access ends at the VMM, each time that it is tried. */
static void expect_stuck(struct snp_guest *g, int r, uint64_t gpa)
{
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(r, -EFAULT);
        EXPECT_EQ(g->v->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
        EXPECT_EQ(g->v->run->memory_fault.gpa & ~(PAGE - 1), gpa);
        EXPECT_EQ(g->v->run->memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
        r = agent_go(g);
    }
    EXPECT_EQ(agent_result(g, 0), 0);
}

/* Another page of the file at the same address: the RMP says whose it is. KVM_EXIT_MEMORY_FAULT.
 * Put back, all is as it was. */
static void test_remapped(void)
{
    struct snp_guest g = with_secrets();

    lay_out(&g, g.gmem, B, g.gmem, ~0ull);
    expect_stuck(&g, agent_step(&g, AGENT_LOAD, A, 0, 0), A);
    lay_out(&g, g.gmem, A, g.gmem, B);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_EQ(agent_result(&g, 0), SECRET_A);
    EXPECT_EQ(agent_load(&g, B), SECRET_B);
}

/* A page of another file, in place of the guest's: #VC "not validated". PVALIDATE without carry
 * tells that it is not the one that was validated, and then it is empty. */
static void test_other_file(void)
{
    struct snp_guest g = with_secrets();
    int other = new_file(&g);

    lay_out(&g, other, 0, g.gmem, B);
    ASSERT_EQ(agent_step(&g, AGENT_LOAD, A, 0, 0), AGENT_OK);
    EXPECT(agent_vc(&g, NOT_VALIDATED));
    EXPECT_EQ(agent_result(&g, 0), 0);
    agent_validate(&g, A);
    EXPECT_EQ(agent_load(&g, A), 0);
    EXPECT_EQ(agent_load(&g, B), SECRET_B);
    close(other);
}

/* Reads, writes, PVALIDATE, RMPADJUST and fetches of swapped pages all end at the VMM. */
static void test_swapped(void)
{
    static const struct {
        const char *name;
        unsigned step;
        uint64_t b, c;
    } rows[] = {
        { "load", AGENT_LOAD, 0, 0 },           { "store", AGENT_STORE, 1, 0 },
        { "PVALIDATE", AGENT_PVALIDATE, 0, 1 }, { "PVALIDATE, to rescind", AGENT_PVALIDATE, 0, 0 },
        { "RMPADJUST", AGENT_RMPADJUST, 0, 1 }, { "fetch", AGENT_CALL, 0, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_guest g = with_secrets();

        lab_row(rows[i].name);
        lay_out(&g, g.gmem, B, g.gmem, A);
        expect_stuck(&g, agent_step(&g, rows[i].step, A, rows[i].b, rows[i].c), A);
        lay_out(&g, g.gmem, A, g.gmem, B);
        EXPECT_EQ(agent_go(&g), AGENT_OK);
        EXPECT_EQ(snp_exceptions(&g), 0);
        EXPECT_EQ(agent_load(&g, B), SECRET_B);
        snp_destroy(&g);
    }
    lab_row(NULL);
}

/* One page of the file at two addresses at once: the second slot is refused. */
static void test_double_mapped(void)
{
    struct snp_guest g = with_secrets();

    EXPECT(slot_set(&g, 5, GUEST_MEM, PAGE, g.gmem, A) < 0);
    EXPECT(slot_set(&g, 5, GUEST_MEM, 2 * PAGE, g.gmem, A - PAGE) < 0);
    EXPECT_EQ(agent_load(&g, A), SECRET_A);
}

/* ... and one after the other: at the second address it is not the guest's. Validating it there
 * does not work either, and at the first it is unharmed. */
static void test_moved(void)
{
    struct snp_guest g = with_secrets();
    int other = new_file(&g);

    lay_out(&g, g.gmem, B, g.gmem, ~0ull);
    ASSERT_EQ(slot_set(&g, 4, GUEST_MEM, PAGE, g.gmem, A), 0);
    ASSERT_EQ(snp_attributes(&g, GUEST_MEM, PAGE, true), 0);
    expect_stuck(&g, agent_step(&g, AGENT_PVALIDATE, GUEST_MEM, 0, 1), GUEST_MEM);
    lay_out(&g, g.gmem, A, g.gmem, B);
    /* Only a page that is nobody's lets the guest go on. */
    ASSERT_EQ(slot_set(&g, 5, GUEST_MEM, PAGE, other, 0), 0);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_EQ(agent_load(&g, GUEST_MEM), 0);
    EXPECT_EQ(agent_load(&g, A), SECRET_A);
    close(other);
}

/* ---- Replay ---- */

static void punch(const struct snp_guest *g, uint64_t gpa)
{
    ASSERT_EQ(
        fallocate(g->gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)gpa, (off_t)PAGE), 0);
}

/* Punched out and given again: #VC "not validated". A guest that validates again what it has
 * validated before sees no carry flag, and knows; the page is empty. */
static void test_replayed(void)
{
    struct snp_guest g = with_secrets();

    punch(&g, A);
    ASSERT_EQ(agent_step(&g, AGENT_LOAD, A, 0, 0), AGENT_OK);
    EXPECT(agent_vc(&g, NOT_VALIDATED));
    ASSERT_EQ(agent_step(&g, AGENT_STORE, A, 1, 0), AGENT_OK);
    EXPECT(agent_vc(&g, NOT_VALIDATED));
    ASSERT_EQ(agent_step(&g, AGENT_PVALIDATE, A, 0, 1), AGENT_OK);
    EXPECT_EQ(agent_result(&g, 0), 0);
    EXPECT_EQ(agent_result(&g, 1), 0);
    EXPECT_EQ(agent_load(&g, A), 0);
    ASSERT_EQ(agent_step(&g, AGENT_PVALIDATE, A, 0, 1), AGENT_OK);
    EXPECT_EQ(agent_result(&g, 1), 1); /* validated already: carry */
    EXPECT_EQ(agent_load(&g, B), SECRET_B);
}

/* Shared and back: meanwhile C=1 ends at the VMM, and what the VMM writes is never seen there.
 * Not punched, it is the guest's page with its bytes; punched, it is a new one. */
static void test_converted(void)
{
    struct snp_guest g = with_secrets();

    ASSERT_EQ(snp_attributes(&g, A, PAGE, false), 0);
    memset(g.vm->mem + A, 0xee, PAGE);
    expect_stuck(&g, agent_step(&g, AGENT_LOAD, A, 0, 0), A);
    ASSERT_EQ(snp_attributes(&g, A, PAGE, true), 0);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_EQ(agent_result(&g, 0), SECRET_A);
    ASSERT_EQ(snp_attributes(&g, A, PAGE, false), 0);
    punch(&g, A);
    ASSERT_EQ(snp_attributes(&g, A, PAGE, true), 0);
    ASSERT_EQ(agent_step(&g, AGENT_LOAD, A, 0, 0), AGENT_OK);
    EXPECT(agent_vc(&g, NOT_VALIDATED));
    EXPECT_EQ(agent_load(&g, B), SECRET_B);
}

/* The guest reads what it shares by C=0 as long as it is shared; a page made private under it
 * ends at the VMM and does not show what is private. */
static void test_private_under_shared(void)
{
    struct snp_guest g = with_secrets();
    int r;

    ASSERT_EQ(snp_attributes(&g, AGENT_DATA, PAGE, true), 0);
    r = agent_step(&g, AGENT_LOAD, SNP_SHARED + AGENT_DATA, 0, 0);
    EXPECT_EQ(r, -EFAULT);
    EXPECT_EQ(g.v->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
    EXPECT_EQ(g.v->run->memory_fault.gpa, AGENT_DATA);
    EXPECT_EQ(g.v->run->memory_fault.flags, 0);
    ASSERT_EQ(snp_attributes(&g, AGENT_DATA, PAGE, false), 0);
    EXPECT_EQ(agent_go(&g), AGENT_OK);
    EXPECT_EQ(snp_exceptions(&g), 0);
}

/* A slot without private memory under private pages: the access ends at the VMM. */
static void test_no_file(void)
{
    struct snp_guest g = with_secrets();

    memset(g.vm->mem + A, 0xee, PAGE);
    lay_out(&g, -1, 0, g.gmem, B);
    expect_stuck(&g, agent_step(&g, AGENT_LOAD, A, 0, 0), A);
    EXPECT_EQ(
        count_in(g.vm->mem + GUEST_MBOX, PAGE, &(struct canary){ { 0xeeeeeeeeeeeeeeeeull, 0 } }),
        0);
}

/* A page that firmware refuses at the launch, and the guest validates later, is empty. */
static void test_refused(void)
{
    static uint8_t bytes[PAGE] __attribute__((aligned(PAGE)));
    struct snp_guest g = agent_prepare(1);

    memset(bytes, 0xee, sizeof(bytes)); /* no such count of entries */
    ASSERT_EQ(snp_update(&g, A, bytes, PAGE, KVM_SEV_SNP_PAGE_TYPE_CPUID), -EIO);
    EXPECT(g.fw_error != 0);
    agent_launch(&g);
    agent_validate(&g, A);
    EXPECT_EQ(agent_load(&g, A), 0);
    EXPECT_EQ(agent_load(&g, A + PAGE - 8), 0);
}

/* ---- What the module itself writes to guest memory ---- */

/* Clocks and steal time at a private address: the module finds no memory there, whoever names it
 * and whichever bit of the address says that it is private. */
static void test_clocks(void)
{
    static const struct {
        const char *name;
        uint32_t msr;
        uint64_t enabled;
    } rows[] = {
        { "wall clock", 0x4b564d00, 0 },
        { "system time", 0x4b564d01, 1 },
        { "steal time", 0x4b564d03, 1 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_guest g = with_secrets();
        uint64_t value = A | 1ull << g.cbit | rows[i].enabled;

        lab_row(rows[i].name);
        ghcb_begin(&g);
        ghcb_set(&g, GHCB_RCX, rows[i].msr);
        ghcb_set(&g, GHCB_RAX, (uint32_t)value);
        ghcb_set(&g, GHCB_RDX, value >> 32);
        EXPECT_EQ(ghcb_ask(&g, 0x7c, 1, 0), AGENT_OK); /* MSR, write */
        EXPECT_EQ(vcpu_set_msr(g.v, rows[i].msr, value), 1);
        sched_yield(); /* steal time is written when the thread leaves the processor, too */
        EXPECT_EQ(agent_load(&g, A), SECRET_A);
        for (unsigned at = 8; at < 64; at += 8)
            EXPECT_EQ(agent_load(&g, A + at), 0);
        snp_destroy(&g);
    }
    lab_row(NULL);
}

/* ---- What #VC itself needs ---- */

/* Pages that the delivery of #VC needs are taken away after their translations were used. No part
 * of the frame is written elsewhere. Without a stack it is #DF; without tables the guest ends. */
static void test_under_vc(void)
{
    static const struct {
        const char *name;
        uint64_t gpa;
        bool ends;
    } rows[] = {
        { "the stack", GUEST_STACK + 0x1000, false },
        { "GDT and TSS", GUEST_GDT, true },
        { "IDT", GUEST_IDT, true },
        { "top page table", GUEST_PML4, true },
        { "page directory", SNP_PD_PRIVATE, true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_guest g = agent_create(1);
        unsigned changed = 0;

        lab_row(rows[i].name);
        ASSERT_EQ(agent_step(&g, AGENT_CPUID, 0x8000001f, 0, 0), AGENT_OK);
        EXPECT_EQ(snp_vector(&g), 29);
        punch(&g, rows[i].gpa);
        memset(g.vm->mem + rows[i].gpa, 0xee, PAGE);
        EXPECT_EQ(agent_step(&g, AGENT_CPUID, 0x8000001f, 0, 0),
                  rows[i].ends ? KVM_EXIT_SHUTDOWN : AGENT_OK);
        EXPECT_EQ(snp_vector(&g), rows[i].ends ? 0 : DF_VECTOR);
        for (unsigned k = 0; k < PAGE; k++)
            changed += g.vm->mem[rows[i].gpa + k] != 0xee;
        EXPECT_EQ(changed, 0); /* the VMM's page at that address */
        snp_destroy(&g);
    }
    lab_row(NULL);
}

static const struct lab_test tests[] = {
    { "a canary in private memory", test_canary },
    { "a canary in a page made shared", test_canary_converted },
    { "a canary in registers", test_registers },
    { "the file of private memory", test_file },
    { "another page at the same address", test_remapped },
    { "a page of another file", test_other_file },
    { "swapped pages", test_swapped },
    { "one page at two addresses", test_double_mapped },
    { "one page at another address", test_moved },
    { "a page punched out and given again", test_replayed },
    { "a page made shared and private again", test_converted },
    { "shared memory made private under the guest", test_private_under_shared },
    { "no private memory under private pages", test_no_file },
    { "a page that the launch refused", test_refused },
    { "clocks in private memory", test_clocks },
    { "what #VC needs is taken away", test_under_vc },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
