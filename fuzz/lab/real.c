// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz/sim/sim.h by real system calls on a device node: what the target kernel-ioctl uses of it.
 * Tasks are threads, of which one has the turn; it gives it away for each call, so that the
 * target's own memory is one thread's at a time and the kernel sees all of them at once. What a
 * real kernel does not offer (allocation and copy faults, virtual time, chosen switches) does
 * nothing. KVM_RUN ends by a signal. Trusts nothing: the process may be broken by what it asks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "fuzz/sim/sim.h"

#include "lab.h"

#define RUN_MS 8u     /* of one KVM_RUN, and of what may take as long */
#define FILES_MAX 256 /* the target's tables are for so many */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct lab_shared *lab_shared;
const char *lab_device;

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static __thread int self;
static __thread bool other_process;
static __thread timer_t timer;
static __thread bool have_timer;
static struct {
    pthread_t thread;
    pid_t tid;
    bool used;
    void (*fn)(void *);
    void *argument;
} tasks[LAB_TASKS];
static int first_file;
static uint64_t run_page[FILES_MAX]; /* by descriptor, where it was mapped last */

/* ---- Oracles ---- */

void sim_fault(enum sim_class class, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(lab_shared->fault, sizeof(lab_shared->fault), fmt, args);
    va_end(args);
    fprintf(stderr, "sim: %s: %s\n", class == SIM_STATE ? "STATE" : "WARN", lab_shared->fault);
    _exit(LAB_FOUND);
}

void sim_check(void)
{
}

void sim_check_always(bool always)
{
    (void)always;
}

/* The kernel's own memory is not seen. */
size_t sim_dirty_log(int fd, uint32_t slot, uint64_t *to, size_t n)
{
    (void)fd, (void)slot, (void)to, (void)n;
    return 0;
}

/* ---- What only the simulation can do ---- */

void sim_fail_alloc(uint32_t nth)
{
    (void)nth;
}

void sim_fail_copy(uint32_t nth_byte)
{
    (void)nth_byte;
}

void sim_schedule(const uint8_t *schedule, size_t n)
{
    (void)schedule, (void)n;
}

void sim_advance(uint64_t ns)
{
    (void)ns;
}

/* ---- Calls ---- */

static void woken(int number)
{
    (void)number;
}

void lab_end_after(unsigned ms)
{
    struct itimerspec at = { .it_interval.tv_nsec = ms * 1000000l,
                             .it_value.tv_nsec = ms * 1000000l };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };

    if (!have_timer) {
        event.sigev_notify_thread_id = gettid();
        have_timer = !timer_create(CLOCK_MONOTONIC, &event, &timer);
    }
    if (!have_timer)
        sim_fault(SIM_STATE, "no timer: %s", strerror(errno));
    timer_settime(timer, 0, &at, NULL);
}

/* In a process whose memory is a copy and whose files are the same ones. */
static long call_as_other(long number, long a, long b, long c, long d)
{
    const struct itimerval at = { { 0, RUN_MS * 1000 }, { 0, RUN_MS * 1000 } };
    long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

    if (pid < 0)
        return -1;
    if (!pid) {
        long r;

        setitimer(ITIMER_REAL, &at, NULL);
        r = syscall(number, a, b, c, d);
        lab_shared->other[self] = r < 0 ? -errno : r;
        _exit(0);
    }
    lab_shared->other[self] = -EIO;
    while (waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR)
        ;
    errno = (int)-lab_shared->other[self];
    return lab_shared->other[self] < 0 ? -1 : lab_shared->other[self];
}

long lab_call(long number, long a, long b, long c, long d)
{
    bool other = other_process;
    long r;

    pthread_mutex_unlock(&turn);
    r = other ? call_as_other(number, a, b, c, d) : syscall(number, a, b, c, d);
    r = r < 0 ? -errno : r;
    pthread_mutex_lock(&turn);
    return r;
}

static long timed_call(long number, long a, long b, long c, long d)
{
    long r;

    lab_end_after(RUN_MS);
    r = lab_call(number, a, b, c, d);
    lab_end_after(0);
    return r;
}

/* Where the guest's memory is: what it runs is put there. */
static void note_memory(unsigned long request, uint64_t argument)
{
    struct kvm_userspace_memory_region region = { 0 };

    if ((request == KVM_SET_USER_MEMORY_REGION || request == KVM_SET_USER_MEMORY_REGION2) &&
        sim_peek(argument, &region, sizeof(region)) && !region.guest_phys_addr &&
        region.memory_size && !(region.memory_size & (region.memory_size - 1)) &&
        lab_mapped(region.userspace_addr, region.memory_size, false))
        lab_guest_memory(region.userspace_addr, region.memory_size);
}

static void note_run(int vcpu, long r)
{
    uint32_t reason;

    lab_shared->runs += r == 0 || r == -EINTR;
    if (!r &&
        sim_peek(run_page[vcpu] + offsetof(struct kvm_run, exit_reason), &reason, sizeof(reason)))
        lab_shared->exits[reason < LAB_REASONS ? reason : 0]++;
}

long sim_ioctl(int fd, unsigned long request, uint64_t argument)
{
    long r;

    if (request == KVM_RUN) {
        if (!other_process)
            lab_guest_code(fd);
        r = timed_call(SYS_ioctl, fd, (long)request, (long)argument, 0);
        note_run(fd, r);
    } else {
        r = lab_call(SYS_ioctl, fd, (long)request, (long)argument, 0);
    }
    lab_shared->calls++;
    lab_shared->worked += r >= 0;
    if (r >= 0)
        note_memory(request, argument);
    return r;
}

int sim_open(void)
{
    int fd = open(lab_device, O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int sim_close(int fd)
{
    return fd < first_file ? -EBADF : (int)lab_call(SYS_close, fd, 0, 0, 0);
}

int sim_dup(int fd)
{
    return (int)lab_call(SYS_dup, fd, 0, 0, 0);
}

uint64_t sim_mmap(int fd, size_t size, uint64_t offset)
{
    uint64_t at = fd < first_file || fd >= FILES_MAX ? 0 : lab_map_file(fd, size, offset);

    if (at && !offset)
        run_page[fd] = at;
    return at;
}

long sim_read(int fd, void *to, size_t n)
{
    return timed_call(SYS_read, fd, (long)to, (long)n, 0);
}

long sim_write(int fd, const void *from, size_t n)
{
    return timed_call(SYS_write, fd, (long)from, (long)n, 0);
}

int sim_eventfd(uint64_t count)
{
    int fd = eventfd((unsigned)count, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

long sim_fallocate(int fd, int mode, uint64_t offset, uint64_t size)
{
    return timed_call(SYS_fallocate, fd, mode, (long)offset, (long)size);
}

unsigned sim_poll(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

    return lab_call(SYS_poll, (long)&p, 1, 0, 0) > 0 ? (unsigned)p.revents : 0;
}

void sim_other_process(bool on)
{
    other_process = on;
}

/* ---- Tasks ---- */

int sim_task(void)
{
    return self;
}

static void *task_main(void *number)
{
    int i = (int)(intptr_t)number;

    kcov_begin(i);
    pthread_mutex_lock(&turn);
    self = i;
    tasks[i].tid = gettid();
    tasks[i].fn(tasks[i].argument);
    tasks[i].tid = 0;
    pthread_mutex_unlock(&turn);
    kcov_end(i);
    return NULL;
}

int sim_spawn(void (*fn)(void *), void *argument)
{
    int i;

    for (i = 1; i < LAB_TASKS && tasks[i].used; i++)
        ;
    if (i == LAB_TASKS)
        return -EAGAIN;
    tasks[i].fn = fn;
    tasks[i].argument = argument;
    if (pthread_create(&tasks[i].thread, NULL, task_main, (void *)(intptr_t)i))
        return -EAGAIN;
    tasks[i].used = true;
    return i;
}

void sim_yield(void)
{
    lab_call(SYS_sched_yield, 0, 0, 0, 0);
}

void sim_join_all(void)
{
    for (int i = 1; i < LAB_TASKS; i++) {
        if (!tasks[i].used)
            continue;
        pthread_mutex_unlock(&turn);
        pthread_join(tasks[i].thread, NULL);
        pthread_mutex_lock(&turn);
        tasks[i].used = false;
    }
}

/* Who is not in a call does not notice. */
void sim_signal(int task)
{
    if (task == 0)
        syscall(SYS_tgkill, getpid(), getpid(), SIGALRM);
    else if (task > 0 && task < LAB_TASKS && tasks[task].tid)
        syscall(SYS_tgkill, getpid(), tasks[task].tid, SIGALRM);
}

/* ---- Life ---- */

/* What the program itself has open is below what an input gets. */
void sim_start(const struct sim_options *options)
{
    struct sigaction action = { .sa_handler = woken };
    struct rlimit files = { FILES_MAX, FILES_MAX };

    (void)options;
    sigaction(SIGALRM, &action, NULL);
    first_file = sim_open();
    if (first_file < 0)
        sim_fault(SIM_STATE, "%s: %s", lab_device, strerror(-first_file));
    close(first_file);
    setrlimit(RLIMIT_NOFILE, &files);
    pthread_mutex_lock(&turn);
}

void sim_reset(void)
{
    sim_join_all();
    syscall(SYS_close_range, first_file, LAB_FILES - 1, 0);
    lab_unmap_all();
}
