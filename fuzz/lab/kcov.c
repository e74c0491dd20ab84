// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel reached in an input's calls: KCOV, one trace for each thread, opened once for all
 * inputs, whose processes inherit them. Debian's kernels have none; then there is no coverage, and
 * each input is as good as another.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kcov.h>

#include "lab.h"

#define TRACE 65536ul /* program counters of a thread; what comes after is lost */

static struct {
    int fd;
    uint64_t *trace; /* [0]: how many; NULL: none */
} threads[LAB_TASKS];

bool kcov_open(void)
{
    for (unsigned i = 0; i < LAB_TASKS; i++) {
        int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
        void *at;

        threads[i].trace = NULL;
        if (fd < 0)
            return false;
        threads[i].fd = fcntl(fd, F_DUPFD_CLOEXEC, LAB_FILES);
        close(fd);
        fd = threads[i].fd;
        if (ioctl(fd, KCOV_INIT_TRACE, TRACE))
            return false;
        at = mmap(NULL, TRACE * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED)
            return false;
        threads[i].trace = at;
    }
    return true;
}

void kcov_begin(int task)
{
    if (threads[task].trace && ioctl(threads[task].fd, KCOV_ENABLE, KCOV_TRACE_PC))
        threads[task].trace = NULL;
    if (threads[task].trace)
        __atomic_store_n(&threads[task].trace[0], 0, __ATOMIC_RELAXED);
}

/* Pairs of what came after what, in buckets of how often, as AFL has them. */
void kcov_fold(const uint64_t *pcs, size_t n, uint8_t *map)
{
    uint32_t last = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t pc = (uint32_t)((pcs[i] * 0x9e3779b97f4a7c15ull) >> 40);
        uint8_t *count = &map[(pc ^ last >> 1) & (LAB_MAP - 1)];

        if (*count < 255)
            ++*count;
        last = pc;
    }
}

void kcov_end(int task)
{
    uint64_t *trace = threads[task].trace;
    uint64_t n;

    if (!trace)
        return;
    ioctl(threads[task].fd, KCOV_DISABLE, 0);
    n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
    kcov_fold(trace + 1, n < TRACE - 1 ? n : TRACE - 1, lab_shared->map);
}
