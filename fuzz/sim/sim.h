/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated backend: bawn.ko's own sources, compiled unchanged for userspace, on a small
 * kernel of our own that is built to find faults. This is what targets and unit tests see; the
 * kernel's sources see include/. Trusts the target, not its input.
 *
 * One host CPU, one clock, no real concurrency: tasks are fibers, switched where a real kernel
 * could switch, as the input says. The same input gives the same run, instruction by instruction.
 */
#ifndef BAWN_SIM_H
#define BAWN_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Oracles ---- */

/*
 * A finding ends the process (abort(), after "sim: CLASS: what" on stderr with a back trace), so
 * that every fuzzer sees it as a crash. The classes, for triage:
 */
enum sim_class {
    SIM_LEAK,         /* memory, a page, a file, a reference, a timer is left at teardown */
    SIM_LOCK,         /* order, recursion, sleeping while atomic, held on return to userspace */
    SIM_DOUBLE_FETCH, /* a byte of shared memory was read twice in one entry */
    SIM_OWNERSHIP,    /* a private page in a user mapping or a shared table; an RMP rule */
    SIM_UNBOUNDED,    /* more work in one entry than its bound, without a place to yield */
    SIM_DEADLOCK,     /* every task waits for another */
    SIM_WARN,         /* WARN_ON, BUG_ON, a refcount that saturates */
    SIM_COPY_OUT,     /* uninitialised bytes to userspace or the guest (MSan builds) */
    SIM_STATE,        /* state differs after snapshot and restore, or other broken promise */
    SIM_HARDWARE,     /* the module asked the hardware for what it must not: a VMCB that VMRUN
                         refuses, a wild physical address, an MSR that is not there */
    SIM_CLASSES
};
__attribute__((noreturn, format(printf, 2, 3))) void sim_fault(enum sim_class class,
                                                               const char *fmt, ...);

/* ---- A machine ---- */

enum sim_backend {
    SIM_NEUTRAL, /* the sim's own struct bawn_cpu_ops: exits come decoded */
    SIM_SVM,     /* kernel/svm on a model of VMRUN: exits come in a VMCB */
};

struct sim_options {
    enum sim_backend backend;
    bool snp;           /* the firmware model of platform/firmware is the SNP platform */
    size_t memory;      /* bytes of physical memory; 0: 64 MiB */
    uint64_t max_steps; /* per entry, SIM_UNBOUNDED beyond; 0: 200,000 */
};

/* Loads the module (module_init) on a new machine. Once in a process; sim_reset() between inputs
 * brings everything back to here (files closed, tasks ended, memory checked and equal). */
void sim_start(const struct sim_options *options);
/* A kernel without the module, for tests of single files of it; there is no way back. */
void sim_bare(const struct sim_options *options);
/* Closes what the input left open, runs deferred work and RCU, then SIM_LEAK if anything is left
 * beyond what the loaded module holds. Time, randomness and fault plans start anew. */
void sim_reset(void);
/* module_exit and the same check against nothing at all. For tests. */
void sim_stop(void);

/* ---- The input's say in what happens ---- */

/* The input's bytes in order; zero when they end. Never NULL-checked by callers. */
struct sim_input {
    const uint8_t *data;
    size_t len, at;
};
uint8_t sim_u8(struct sim_input *in);
uint16_t sim_u16(struct sim_input *in);
uint32_t sim_u32(struct sim_input *in);
uint64_t sim_u64(struct sim_input *in);
/* n bytes, zeroes when they end. */
void sim_bytes(struct sim_input *in, void *to, size_t n);
static inline bool sim_more(const struct sim_input *in)
{
    return in->at < in->len;
}

/* Plans, counted from the call; UINT32_MAX is never. */
void sim_fail_alloc(uint32_t nth);     /* the n-th allocation (0: the next) fails, once */
void sim_fail_copy(uint32_t nth_byte); /* the n-th byte copied from or to user memory faults */
/* schedule[i] decides at the i-th place where a switch can be (0: none; else modulo the runnable
 * others). Not copied: stays until sim_reset(). */
void sim_schedule(const uint8_t *schedule, size_t n);

/* ---- Userspace: one process of the machine, its memory and its calls ---- */

/* User addresses. sim_map returns a new range of zeroed memory (page-aligned; 0: none left);
 * sim_unmap and sim_protect call the MMU notifiers as mm does (sim_protect on all of each mapping
 * that it touches). Pages are made at first use. */
uint64_t sim_map(size_t size);
/* At this page-aligned address, below 1 << 46, not yet mapped. */
bool sim_map_at(uint64_t address, size_t size);
void sim_unmap(uint64_t address, size_t size);
void sim_protect(uint64_t address, size_t size, bool writable);
/* Gives another page behind an address, as migration, KSM and swap do. */
void sim_migrate(uint64_t address);
/* Makes one page of 2 MiB behind the address, as khugepaged does. False: not there, not aligned,
 * somebody holds one of its pages, no memory. */
bool sim_collapse(uint64_t address);
/* Asks whether guests used the range, as reclaim does; true: one did. */
enum sim_age { SIM_AGE_TEST, SIM_AGE_CLEAR, SIM_AGE_CLEAR_FLUSH };
bool sim_age(uint64_t address, size_t size, enum sim_age how);
/* The bytes behind a user address, as the process sees them; NULL outside its memory. Up to the
 * next page's border. */
void *sim_user(uint64_t address);
/* Copies in and out for the target itself: no oracle looks. False: not all of it is mapped. */
bool sim_poke(uint64_t address, const void *from, size_t n);
bool sim_peek(uint64_t address, void *to, size_t n);

/* System calls of the process: what they return is a negative errno or the value. Each is an
 * entry: bound on work, double fetches and locks are judged at its end. */
int sim_open(void); /* /dev/bawn */
long sim_ioctl(int fd, unsigned long request, uint64_t argument);
int sim_close(int fd);
int sim_dup(int fd);
uint64_t sim_mmap(int fd, size_t size, uint64_t offset); /* vCPU files; 0: refused */
long sim_read(int fd, void *to, size_t n);
long sim_write(int fd, const void *from, size_t n);
int sim_eventfd(uint64_t count);
long sim_fallocate(int fd, int mode, uint64_t offset, uint64_t size); /* guest_memfd */
unsigned sim_poll(int fd);                                            /* EPOLL* */
/* KVM_RUN and others by a second process with another address space. */
void sim_other_process(bool on);

/* ---- Tasks ---- */

/* Runs fn as another task of the same process; it ends with its function. -EAGAIN: too many. */
int sim_spawn(void (*fn)(void *), void *argument);
int sim_task(void);     /* the calling task's number; the first has 0 */
void sim_yield(void); /* a place to switch, always taken when another can run */
void sim_join_all(void);
/* What is to get a task's time by yield_to() does not: as of another scheduling class. */
void sim_refuse_yields(bool on);
/* A signal for the calling task (or by number, as sim_spawn returned it): pending until taken. */
void sim_signal(int task);

/* ---- Time ---- */

uint64_t sim_now(void); /* ns; the TSC runs at SIM_TSC_KHZ */
#define SIM_TSC_KHZ 2000000u
/* Advances; timers that are due fire, in order. */
void sim_advance(uint64_t ns);

/* ---- Guests ---- */

/*
 * What a vCPU does when it is entered. Called with the vCPU as the module has it: `hw` is a
 * struct sim_entry. It may change guest memory (sim_guest), registers, and must leave an exit.
 * The default runs nothing and leaves a host interrupt.
 */
struct bawn_vcpu;
struct bawn_exit;
struct vmcb;
struct sim_entry {
    struct bawn_vcpu *vcpu;
    struct bawn_exit *exit; /* SIM_NEUTRAL: to be filled; NULL otherwise */
    struct vmcb *vmcb;      /* SIM_SVM: control.exit_code and so on to be filled; NULL otherwise */
    uint64_t *gpr;          /* VCPU_NR_GPR */
};
typedef void (*sim_guest_fn)(void *context, struct sim_entry *entry);
void sim_set_guest(sim_guest_fn fn, void *context);
/* The host page behind a guest-physical address by the nested table, as the CPU would see it
 * (write: with that right; private: at the private alias); NULL: it would be a nested fault. */
void *sim_guest(struct bawn_vcpu *vcpu, uint64_t gpa, bool write, bool private);

/* ---- Shared memory that must be read once ---- */

/* From now to the end of the entry, a byte in this user range that the module reads a second
 * time is a SIM_DOUBLE_FETCH. ioctl arguments are watched by themselves. */
void sim_watch(uint64_t address, size_t size);
/* The hook is called at each read of watched memory, before (first) and after it: another CPU's
 * chance to change it. NULL: none. */
typedef void (*sim_race_fn)(void *context, uint64_t address, size_t size, bool after);
void sim_set_race(sim_race_fn fn, void *context);

/* ---- Judging a live machine ---- */

/* Ownership and RMP rules of all VMs; called by itself at the end of each entry when `always`. */
void sim_check(void);
void sim_check_always(bool always);

/* The module's own dirty log of a slot, by a VM's descriptor: up to n words; how many, 0: none. */
size_t sim_dirty_log(int fd, uint32_t slot, uint64_t *to, size_t n);

/* Coverage-free counters, for reports: entries, exits handled, allocations, switches. */
struct sim_stats {
    uint64_t entries, exits, allocations, switches, yields;
};
const struct sim_stats *sim_stats(void);

#endif
