/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared harness of the lab's test programs: TAP output, creation of VMs and vCPUs on a device
 * that serves the KVM API, and running pieces of guest code (tests/lab/guests) until they stop.
 * A test is one function and one TAP line; a failed check is told as a diagnostic line.
 *
 * Usage of a test program: NAME_test [device [substring of a test's name]]; the device may also
 * come in the environment as BAWN_DEV.
 */
#ifndef BAWN_TEST_HARNESS_H
#define BAWN_TEST_HARNESS_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../guests/layout.h"

#ifdef __clang__ /* KVM's lists are a header with a flexible array; their entries follow it here \
                  */
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_VCPUS 8
#define BIT(n) (1ull << (n))

struct vcpu {
    struct vm *vm;
    int fd;
    unsigned id;
    struct kvm_run *run;
    struct kvm_regs regs; /* as guest_call() found them when the guest stopped */
    uint64_t rflags;      /* that guest_call() starts with; 2 unless the test changes it */
    pthread_t thread;
    bool threaded;
    volatile bool stop;
    volatile int result; /* what the thread's last vcpu_run() answered */
};

struct vm {
    struct vm *next;
    int fd;
    uint8_t *mem; /* GUEST_MEM bytes at guest address 0, slot 0 */
    struct vcpu *vcpu[MAX_VCPUS];
};

struct lab_test {
    const char *name;
    void (*run)(void);
};

extern int lab_kvm;         /* the device */
extern const char *lab_dev; /* its path */
extern bool lab_is_bawn;
extern unsigned lab_seconds; /* that one test may take */

const char *lab_module(void); /* the device's module */
int lab_users(void);          /* ... and its use count */

int lab_main(int argc, char **argv, const struct lab_test *tests, size_t nr);

/* Marks the running test as failed and tells why; the test goes on. */
void lab_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool lab_failed(void); /* has the running test failed by now? */
/* Ends the running test: after a failure, or because it cannot run here. Main thread only. */
_Noreturn void lab_abort(void);
_Noreturn void lab_skip(const char *why);
/* Names the table row under test in the following failures; NULL ends that. */
void lab_row(const char *name);

#define EXPECT(cond)                                   \
    do {                                               \
        if (!(cond))                                   \
            lab_fail(__FILE__, __LINE__, "%s", #cond); \
    } while (0)
#define ASSERT(cond)                                                     \
    do {                                                                 \
        if (!(cond)) {                                                   \
            lab_fail(__FILE__, __LINE__, "%s (errno %d)", #cond, errno); \
            lab_abort();                                                 \
        }                                                                \
    } while (0)
#define EXPECT_EQ(got, want)                                                                   \
    do {                                                                                       \
        long long got_ = (long long)(got), want_ = (long long)(want);                          \
        if (got_ != want_)                                                                     \
            lab_fail(__FILE__, __LINE__, "%s is %lld (0x%llx), not %lld (0x%llx)", #got, got_, \
                     got_, want_, want_);                                                      \
    } while (0)
#define ASSERT_EQ(got, want)                                                                    \
    do {                                                                                        \
        long long agot_ = (long long)(got), awant_ = (long long)(want);                         \
        if (agot_ != awant_) {                                                                  \
            lab_fail(__FILE__, __LINE__, "%s is %lld (0x%llx), not %lld (0x%llx)", #got, agot_, \
                     agot_, awant_, awant_);                                                    \
            lab_abort();                                                                        \
        }                                                                                       \
    } while (0)

/* ioctl whose failure is its negative errno. */
int kvm_callv(int fd, unsigned long nr, unsigned long arg);
#define kvm_call(fd, nr, pointer) kvm_callv(fd, nr, (unsigned long)(pointer))
int kvm_cap(int fd, long cap);

/* VMs live until vm_destroy() or the end of the test. Creation failures end the test. */
struct vm *vm_typed(unsigned long type); /* no interrupt controller, no memory, no vCPU */
struct vm *vm_new(void);                 /* the same, of the default type */
struct vm *vm_bare(void);                /* with memory and the guest image */
struct vm *vm_split(void);               /* and with a split irqchip of 24 pins */
void vm_add_memory(struct vm *vm);
void vm_destroy(struct vm *vm);
void vm_slot(struct vm *vm, unsigned slot, unsigned flags, uint64_t gpa, uint64_t size, void *mem);

struct vcpu *vcpu_new(struct vm *vm, unsigned id); /* CPUID set, 64-bit state, not yet run */
struct vcpu *vcpu_raw(struct vm *vm, unsigned id); /* as KVM_CREATE_VCPU leaves it */
void vcpu_set_cpuid(struct vcpu *v);
void vcpu_long_mode(struct vcpu *v);
void vcpu_prot_mode(struct vcpu *v); /* 32-bit flat, no paging, no IDT */
void vcpu_real_mode(struct vcpu *v); /* CS.base is GUEST_CODE, the other segments' 0 */
/* One supported CPUID list, as vcpu_set_cpuid() gives it. */
const struct kvm_cpuid2 *lab_cpuid(void);
const struct kvm_cpuid_entry2 *lab_cpuid_find(uint32_t leaf, uint32_t subleaf);

/* KVM_RUN once: the exit reason, or a negative errno. */
int vcpu_run(struct vcpu *v);
/* Runs in a thread until an exit that on_exit refuses (by returning false; NULL refuses all). */
void vcpu_start(struct vcpu *v, bool (*on_exit)(struct vcpu *v, int reason));
void vcpu_join(struct vcpu *v); /* waits for the thread's own end */
void vcpu_kick(struct vcpu *v); /* and this makes it end: at -EINTR */

struct kvm_regs vcpu_regs(struct vcpu *v);
void vcpu_set_regs(struct vcpu *v, const struct kvm_regs *regs);
struct kvm_sregs vcpu_sregs(struct vcpu *v);
int vcpu_set_sregs(struct vcpu *v, const struct kvm_sregs *sregs);
uint64_t vcpu_get_msr(struct vcpu *v, uint32_t index);
int vcpu_set_msr(struct vcpu *v, uint32_t index, uint64_t value); /* 1: accepted */

/* Guest code. */
extern const uint8_t __start_guest[], __stop_guest[];
#define GUEST_FN(name) extern const uint8_t code_##name[]
#define GUEST_ADDR(name) (GUEST_CODE + (uint64_t)(code_##name - __start_guest))
GUEST_FN(vectors);
GUEST_FN(nop);
GUEST_FN(rdmsr);
GUEST_FN(wrmsr);
GUEST_FN(cpuid);
GUEST_FN(load32);
GUEST_FN(store32);
GUEST_FN(load8);
GUEST_FN(store8);
GUEST_FN(read_cr8);
GUEST_FN(write_cr8);
GUEST_FN(window);
GUEST_FN(hlt_irq);
GUEST_FN(hlt);
GUEST_FN(wait_irqs);
GUEST_FN(wait_byte);
GUEST_FN(spin);
GUEST_FN(counter);

/* How guest code stopped. Other exits are told as the exit reason, errors as negative errno. */
#define GUEST_DONE 0x1000
#define GUEST_FAULT 0x1001 /* mailbox: which exception */
#define GUEST_IRQ 0x1002
#define GUEST_STEP 0x1003

/* Points the vCPU at guest code, with a fresh stack, and arguments in rdi, rsi, rdx, rcx. */
void guest_prepare(struct vcpu *v, uint64_t rip, uint64_t rdi, uint64_t rsi, uint64_t rdx,
                   uint64_t rcx);
/* Goes on with what stands in the vCPU's registers; fills v->regs. -EINTR only on immediate_exit.
 */
int guest_resume(struct vcpu *v);
#define guest_call(v, name, rdi, rsi, rdx, rcx) \
    (guest_prepare(v, GUEST_ADDR(name), rdi, rsi, rdx, rcx), guest_resume(v))

/* The most used operations; a fault in them is a failed check unless told by the result. */
int guest_wrmsr(struct vcpu *v, uint32_t index, uint64_t value); /* GUEST_DONE or GUEST_FAULT */
int guest_rdmsr(struct vcpu *v, uint32_t index, uint64_t *value);
void guest_store32(struct vcpu *v, uint64_t addr, uint32_t value);
uint32_t guest_load32(struct vcpu *v, uint64_t addr);

/* The vCPU's mailbox. */
static inline void *mbox(struct vcpu *v, unsigned offset)
{
    return v->vm->mem + GUEST_MBOX + v->id * GUEST_MBOX_SIZE + offset;
}
static inline volatile uint32_t *mbox32(struct vcpu *v, unsigned offset)
{
    return mbox(v, offset);
}
static inline uint8_t mbox_logged(struct vcpu *v, unsigned n)
{
    return ((volatile uint8_t *)mbox(v, MBOX_LOG))[n & 63];
}
void mbox_clear(struct vcpu *v);

uint64_t lab_now(void);    /* nanoseconds, CLOCK_MONOTONIC */
unsigned lab_slower(void); /* how many times as long things may take on this host */
/* Polls a condition for at most 5 s. */
#define WAIT_FOR(cond)                                            \
    ({                                                            \
        uint64_t end_ = lab_now() + 5000000000ull * lab_slower(); \
        while (!(cond) && lab_now() < end_)                       \
            usleep(500);                                          \
        (cond);                                                   \
    })

#endif
