/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measured launch: which events the module makes of which memory, without filling what is
 * sparse; what it refuses; and what it extends into the host's TPM.
 */
#include "harness.h"

#include <stdarg.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "bawn/measure.h"
#include "bawn/uapi.h"

#define PAGE 4096ull
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define LOG_MAX 200

static struct vm *vm_measured(void)
{
    struct vm *vm = vm_new();
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    struct kvm_enable_cap cap = { .cap = KVM_CAP_BAWN_MEASURE };

    if (!lab_is_bawn)
        lab_skip("only bawn.ko measures");
    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &split), 0);
    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), 0);
    return vm;
}

static uint8_t *map(size_t size, int flags, int fd)
{
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);

    ASSERT(p != MAP_FAILED);
    return p;
}

static int declare(struct vm *vm, uint64_t gpa, uint64_t size, unsigned type)
{
    struct bawn_measure_region r = { .gpa = gpa, .size = size, .type = type };

    return kvm_call(vm->fd, BAWN_MEASURE_REGION, &r);
}

static int seal(struct vm *vm)
{
    return kvm_callv(vm->fd, BAWN_MEASURE_SEAL, 0);
}

/* By way of a buffer: QEMU's TCG loads 32 bytes for VINSERTI128's 16, which libcrypto uses on the
 * last bytes of its input, and here a mapping may end there. */
static void hash_add(EVP_MD_CTX *ctx, const uint8_t *p, size_t n)
{
    static uint8_t buf[PAGE + 256];

    while (n) {
        size_t part = n < PAGE ? n : PAGE;

        memcpy(buf, p, part);
        ASSERT(EVP_DigestUpdate(ctx, buf, part));
        p += part;
        n -= part;
    }
}

static void sha(const EVP_MD *md, const void *a, size_t an, const void *b, size_t bn, void *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    ASSERT(ctx && EVP_DigestInit_ex(ctx, md, NULL));
    hash_add(ctx, a, an);
    hash_add(ctx, b, bn);
    ASSERT(EVP_DigestFinal_ex(ctx, out, NULL));
    EVP_MD_CTX_free(ctx);
}

struct want {
    unsigned type;
    uint64_t gpa, size;
    const void *data; /* size bytes; NULL: not compared */
};

/* The log's memory events are these, in this order, and the digest is the log's chain. */
static void expect_log(struct vm *vm, const struct want *want, unsigned nr)
{
    static struct bawn_measure_event log[LOG_MAX];
    struct bawn_measurement m = { .log_addr = (uintptr_t)log, .log_size = sizeof(log) };
    uint8_t chain[48], digest[48];
    unsigned at = 0;

    ASSERT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), 0);
    EXPECT(m.flags & BAWN_MEASUREMENT_SEALED);
    EXPECT_EQ(m.version, 1);
    ASSERT(m.log_size <= sizeof(log));
    sha(EVP_sha384(), BAWN_MEASURE_MAGIC, 16, NULL, 0, chain);
    for (unsigned i = 0; i < m.log_size / sizeof(log[0]); i++) {
        const struct bawn_measure_event *e = &log[i];

        sha(EVP_sha384(), chain, sizeof(chain), e, sizeof(*e), chain);
        if (e->type == BAWN_MEASURE_CONFIG || e->type == BAWN_MEASURE_VCPU)
            continue;
        if (at >= nr) {
            lab_fail(__FILE__, __LINE__, "event %u: type %#x gpa %#llx size %#llx is one too many", i,
                     e->type, e->gpa, e->size);
            continue;
        }
        EXPECT_EQ(e->type, want[at].type);
        EXPECT_EQ(e->gpa, want[at].gpa);
        EXPECT_EQ(e->size, want[at].size);
        if (e->type == want[at].type && want[at].data) {
            sha(EVP_sha384(), want[at].data,
                e->type == BAWN_MEASURE_SLOT ? 4 : want[at].size, NULL, 0, digest);
            EXPECT(!memcmp(digest, e->digest, sizeof(digest)));
        }
        at++;
    }
    EXPECT_EQ(at, nr);
    EXPECT(!memcmp(chain, m.digest, sizeof(chain)));
}

static long resident_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");

    ASSERT(f);
    while (fgets(line, sizeof(line), f))
        if (!strncmp(line, "VmRSS:", 6))
            kib = atol(line + 6);
    fclose(f);
    return kib;
}

/* Runs, regions, pages of zeros, and 60 GiB of nothing. */
static void test_runs(void)
{
    static const uint32_t no_flags;
    struct vm *vm = vm_measured();
    uint8_t *low = map(64 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    uint8_t *high = map(60 * GIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    const struct want want[] = {
        { BAWN_MEASURE_SLOT, 0, 64 * MIB, &no_flags },
        { BAWN_MEASURE_SLOT, 4 * GIB, 60 * GIB, &no_flags },
        { BAWN_MEASURE_UNDECLARED, 0, PAGE, low },
        { BAWN_MEASURE_UNDECLARED, 3 * PAGE, 2 * PAGE, low + 3 * PAGE },
        { BAWN_MEASURE_UNDECLARED, 6 * PAGE, PAGE, low + 6 * PAGE },
        { BAWN_MEASURE_UNDECLARED, MIB - PAGE, PAGE, low + MIB - PAGE },
        { BAWN_MEASURE_KERNEL, MIB, 3 * PAGE, low + MIB },
        { BAWN_MEASURE_INITRD, MIB + 3 * PAGE, PAGE, low + MIB + 3 * PAGE },
        { BAWN_MEASURE_UNDECLARED, MIB + 4 * PAGE, PAGE, low + MIB + 4 * PAGE },
        { BAWN_MEASURE_DATA, 32 * MIB, 2 * MIB, low + 32 * MIB },
        { BAWN_MEASURE_UNDECLARED, 64 * MIB - PAGE, PAGE, low + 64 * MIB - PAGE },
        { BAWN_MEASURE_UNDECLARED, 4 * GIB + 30 * GIB, PAGE, high + 30 * GIB },
        { BAWN_MEASURE_UNDECLARED, 64 * GIB - PAGE, PAGE, high + 60 * GIB - PAGE },
    };
    uint64_t t;
    long before;

    vm_slot(vm, 1, 0, 4 * GIB, 60 * GIB, high); /* not in the order of addresses */
    vm_slot(vm, 0, 0, 0, 64 * MIB, low);
    low[0] = low[3 * PAGE] = low[5 * PAGE - 1] = low[6 * PAGE] = 1;
    low[5 * PAGE] = 0; /* there, and zero */
    low[MIB - 1] = low[MIB + PAGE] = low[MIB + 4 * PAGE] = 2;
    low[64 * MIB - 1] = high[30 * GIB] = high[60 * GIB - 1] = 3;
    vcpu_raw(vm, 0);
    EXPECT_EQ(declare(vm, 32 * MIB, 2 * MIB, BAWN_MEASURE_DATA), 0);
    EXPECT_EQ(declare(vm, MIB + 3 * PAGE, PAGE, BAWN_MEASURE_INITRD), 0);
    EXPECT_EQ(declare(vm, MIB, 3 * PAGE, BAWN_MEASURE_KERNEL), 0);
    before = resident_kib();
    t = lab_now();
    ASSERT_EQ(seal(vm), 0);
    printf("# sealed 60 GiB of sparse memory in %llu ms\n",
           (unsigned long long)(lab_now() - t) / 1000000);
    EXPECT(resident_kib() - before < 512);
    expect_log(vm, want, ARRAY_SIZE(want));
    EXPECT_EQ(seal(vm), -EPERM);
    EXPECT_EQ(declare(vm, 40 * MIB, PAGE, BAWN_MEASURE_DATA), -EPERM);
    munmap(low, 64 * MIB);
    munmap(high, 60 * GIB);
}

/* A sparse memfd: pages of the file that are not in the page tables count, holes stay holes. */
static void test_memfd(void)
{
    struct vm *vm = vm_measured();
    int fd = memfd_create("ram", MFD_CLOEXEC);
    uint8_t *ram;
    static uint8_t page[PAGE] = "content";
    struct stat before, after;

    ASSERT(fd >= 0 && !ftruncate(fd, 8 * GIB));
    ram = map(8 * GIB, MAP_SHARED, fd);
    ASSERT_EQ(pwrite(fd, page, PAGE, 5 * GIB), PAGE);
    ASSERT_EQ(pwrite(fd, page, PAGE, 5 * GIB + PAGE), PAGE);
    ram[8 * GIB - PAGE] = 7;
    vm_slot(vm, 0, 0, 0, 8 * GIB, ram);
    vcpu_raw(vm, 0);
    EXPECT_EQ(declare(vm, 0, 64 * PAGE, BAWN_MEASURE_KERNEL), 0);
    fstat(fd, &before);
    ASSERT_EQ(seal(vm), 0);
    fstat(fd, &after);
    EXPECT_EQ(after.st_blocks, before.st_blocks);
    expect_log(vm,
               (const struct want[]){
                   { BAWN_MEASURE_SLOT, 0, 8 * GIB, NULL },
                   { BAWN_MEASURE_KERNEL, 0, 64 * PAGE, ram },
                   { BAWN_MEASURE_UNDECLARED, 5 * GIB, 2 * PAGE, ram + 5 * GIB },
                   { BAWN_MEASURE_UNDECLARED, 8 * GIB - PAGE, PAGE, ram + 8 * GIB - PAGE },
               },
               4);
    munmap(ram, 8 * GIB);
    close(fd);
}

/* A private mapping of a file, some of it written; several mappings and slots side by side. */
static void test_mappings(void)
{
    struct vm *vm = vm_measured();
    int fd = memfd_create("image", MFD_CLOEXEC);
    uint8_t *p = map(8 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    static uint8_t page[PAGE] = "image";

    ASSERT(fd >= 0 && !ftruncate(fd, 4 * PAGE));
    ASSERT_EQ(pwrite(fd, page, PAGE, PAGE), PAGE);
    ASSERT(mmap(p + 2 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) !=
           MAP_FAILED);
    p[4 * PAGE] = 1; /* copied on write; the file stays zero there */
    p[6 * PAGE] = 1; /* the next mapping; not one run with the above */
    vm_slot(vm, 0, 0, 0, 7 * PAGE, p);
    vm_slot(vm, 1, KVM_MEM_READONLY, 7 * PAGE, PAGE, p + 6 * PAGE);
    vcpu_raw(vm, 0);
    ASSERT_EQ(seal(vm), 0);
    expect_log(vm,
               (const struct want[]){
                   { BAWN_MEASURE_SLOT, 0, 7 * PAGE, NULL },
                   { BAWN_MEASURE_SLOT, 7 * PAGE, PAGE, &(uint32_t){ KVM_MEM_READONLY } },
                   { BAWN_MEASURE_UNDECLARED, 3 * PAGE, 2 * PAGE, p + 3 * PAGE },
                   { BAWN_MEASURE_UNDECLARED, 6 * PAGE, PAGE, p + 6 * PAGE },
                   { BAWN_MEASURE_UNDECLARED, 7 * PAGE, PAGE, p + 6 * PAGE },
               },
               5);
    munmap(p, 8 * PAGE);
    close(fd);
}

static void test_region_errors(void)
{
    static const struct {
        struct bawn_measure_region r;
        int want;
    } rows[] = {
        { { .gpa = 1, .size = PAGE, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = 0, .size = 0, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = 0, .size = PAGE + 1, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = -PAGE, .size = 2 * PAGE, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = 0, .size = PAGE, .type = BAWN_MEASURE_SLOT }, -EINVAL },
        { { .gpa = 0, .size = PAGE, .type = BAWN_MEASURE_UNDECLARED }, -EINVAL },
        { { .gpa = 0, .size = PAGE, .type = BAWN_MEASURE_DATA + 1 }, -EINVAL },
        { { .gpa = 0, .size = PAGE, .type = BAWN_MEASURE_DATA, .flags = 1 }, -EINVAL },
        { { .gpa = 0, .size = PAGE, .type = BAWN_MEASURE_DATA, .reserved = { 0, 1 } }, -EINVAL },
        { { .gpa = 4 * PAGE, .size = 2 * PAGE, .type = BAWN_MEASURE_DATA }, 0 },
        { { .gpa = 4 * PAGE, .size = 2 * PAGE, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = 3 * PAGE, .size = 2 * PAGE, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = 5 * PAGE, .size = 2 * PAGE, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = 0, .size = 16 * PAGE, .type = BAWN_MEASURE_DATA }, -EINVAL },
        { { .gpa = 3 * PAGE, .size = PAGE, .type = BAWN_MEASURE_DATA }, 0 },
        { { .gpa = 6 * PAGE, .size = PAGE, .type = BAWN_MEASURE_DATA }, 0 },
    };
    struct vm *vm = vm_measured();
    struct bawn_measurement m = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bawn_measure_region r = rows[i].r;

        EXPECT_EQ(kvm_call(vm->fd, BAWN_MEASURE_REGION, &r), rows[i].want);
    }
    for (unsigned i = 3; i < BAWN_MEASURE_MAX_REGIONS; i++)
        EXPECT_EQ(declare(vm, MIB + i * PAGE, PAGE, BAWN_MEASURE_DATA), 0);
    EXPECT_EQ(declare(vm, 0, PAGE, BAWN_MEASURE_DATA), -ENOSPC);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), -EAGAIN);
    vm_destroy(vm);
    vm = vm_new();
    EXPECT_EQ(declare(vm, 0, PAGE, BAWN_MEASURE_DATA), -ENOTTY);
    EXPECT_EQ(seal(vm), -ENOTTY);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), -ENOTTY);
}

/* A seal that fails can be tried again; what it measures then is what stands then. */
static void test_seal_errors(void)
{
    struct vm *vm = vm_measured();
    uint8_t *p = map(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    struct bawn_measurement m = { .log_addr = 0x1000, .log_size = 72 };

    vm_slot(vm, 0, 0, 0, 8 * PAGE, p);
    vcpu_raw(vm, 0);
    EXPECT_EQ(declare(vm, 7 * PAGE, 2 * PAGE, BAWN_MEASURE_DATA), 0);
    EXPECT_EQ(seal(vm), -EINVAL); /* half outside */
    vm_slot(vm, 1, 0, 8 * PAGE, 8 * PAGE, p + 8 * PAGE);
    EXPECT_EQ(seal(vm), -EINVAL); /* in two slots */
    vm_destroy(vm);
    vm = vm_measured();
    vm_slot(vm, 0, 0, 0, 16 * PAGE, p);
    vcpu_raw(vm, 0);
    ASSERT(!mprotect(p + PAGE, PAGE, PROT_NONE));
    EXPECT_EQ(seal(vm), -EFAULT);
    ASSERT(!munmap(p + PAGE, PAGE));
    EXPECT_EQ(seal(vm), -EFAULT);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), -EAGAIN);
    ASSERT(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
           MAP_FAILED);
    EXPECT_EQ(seal(vm), 0);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), -EFAULT);
    m.log_addr = 0;
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), 0);
    EXPECT_EQ(m.log_size, 3 * sizeof(struct bawn_measure_event));
    munmap(p, 16 * PAGE);
}

/* The event log is bounded. */
static void test_too_many_runs(void)
{
    struct vm *vm = vm_measured();
    uint64_t size = 2 * 65540 * PAGE;
    uint8_t *p = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);

    madvise(p, size, MADV_NOHUGEPAGE);
    for (uint64_t at = 0; at < size; at += 2 * PAGE)
        p[at] = 1;
    vm_slot(vm, 0, 0, 0, size, p);
    vcpu_raw(vm, 0);
    EXPECT_EQ(seal(vm), -ENOSPC);
    ASSERT(!madvise(p, size, MADV_DONTNEED));
    EXPECT_EQ(seal(vm), 0);
    munmap(p, size);
}

static int read_pcr(const char *bank, uint8_t *out, unsigned n)
{
    char path[64], text[160] = "";
    FILE *f;

    snprintf(path, sizeof(path), "/sys/class/tpm/tpm0/pcr-%s/13", bank);
    f = fopen(path, "r");
    if (!f)
        return -1;
    if (!fgets(text, sizeof(text), f))
        text[0] = '\0';
    fclose(f);
    for (unsigned i = 0; i < n; i++)
        if (sscanf(text + 2 * i, "%2hhx", &out[i]) != 1)
            return -1;
    return 0;
}

static void test_tpm(void)
{
    struct vm *vm = vm_measured();
    struct bawn_measurement m = { 0 };
    uint8_t old384[48], old256[32], now[48], want[48], hash[32];

    if (read_pcr("sha384", old384, 48) || read_pcr("sha256", old256, 32))
        lab_skip("the host has no TPM");
    vcpu_raw(vm, 0);
    ASSERT_EQ(seal(vm), 0);
    ASSERT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), 0);
    EXPECT_EQ(m.flags, BAWN_MEASUREMENT_SEALED | BAWN_MEASUREMENT_TPM);
    EXPECT_EQ(m.pcr, 13);
    sha(EVP_sha384(), old384, 48, m.digest, 48, want);
    ASSERT_EQ(read_pcr("sha384", now, 48), 0);
    EXPECT(!memcmp(now, want, 48));
    sha(EVP_sha256(), m.digest, 48, NULL, 0, hash);
    sha(EVP_sha256(), old256, 32, hash, 32, want);
    ASSERT_EQ(read_pcr("sha256", now, 32), 0);
    EXPECT(!memcmp(now, want, 32));
}

int main(int argc, char **argv)
{
    static const struct lab_test tests[] = {
        { "runs and regions of sparse memory", test_runs },
        { "a sparse memfd", test_memfd },
        { "mappings and slots side by side", test_mappings },
        { "bad regions", test_region_errors },
        { "seals that fail", test_seal_errors },
        { "too many runs", test_too_many_runs },
        { "the host's TPM", test_tpm },
    };

    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
