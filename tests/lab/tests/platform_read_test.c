/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software platform's device, whose daemon has its request put where a page is that never
 * comes: nobody but the daemon waits for that, and what it could not take it may take again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (1u << 16)
#define DEVICE "/dev/bawn-platform"

static int device, faults;
static void *memory, *nowhere;
static unsigned points;

static void check(int ok, const char *text)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", ++points, text);
}

static void *read_it(void *opaque)
{
    ssize_t *n = opaque;

    *n = read(device, memory, SIZE);
    return NULL;
}

static void make_memory(void)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register all = { .range.len = SIZE, .mode = UFFDIO_REGISTER_MODE_MISSING };
    int from = open("/dev/userfaultfd", O_RDWR);

    memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    nowhere = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    all.range.start = (unsigned long)memory;
    faults = from < 0 ? -1 : ioctl(from, USERFAULTFD_IOC_NEW, O_CLOEXEC);
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api) || ioctl(faults, UFFDIO_REGISTER, &all)) {
        perror("userfaultfd");
        exit(1);
    }
}

/* A second daemon is told at once that there is one. */
static int second_is_refused(void)
{
    pid_t pid = fork();
    int status, tries = 0;

    if (!pid)
        _exit(open(DEVICE, O_RDWR) < 0 && errno == EBUSY ? 0 : 1);
    while (!waitpid(pid, &status, WNOHANG) && tries++ < 100)
        usleep(50000);
    return tries < 100 && WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(void)
{
    struct uffdio_range all = { .len = SIZE };
    struct uffd_msg msg;
    pthread_t reader;
    ssize_t n = 0;

    printf("1..5\n");
    if (system("insmod /lab/bawn.ko && "
               "insmod /lab/bawn_platform.ko i_understand_this_is_not_secure=1"))
        return 1;
    make_memory();
    device = open(DEVICE, O_RDWR);
    check(device >= 0, "the device is opened");
    check(read(device, nowhere, SIZE) == -1 && errno == EFAULT,
          "nowhere is no place for a request");
    pthread_create(&reader, NULL, read_it, &n);
    check(read(faults, &msg, sizeof(msg)) == sizeof(msg), "a request waits for its page");
    check(second_is_refused(), "and nobody waits for it");
    all.start = (unsigned long)memory;
    ioctl(faults, UFFDIO_UNREGISTER, &all);
    pthread_join(reader, NULL);
    check(n > 0, "which was there again, and comes when the page does");
    close(device);
    return system("rmmod bawn_platform && rmmod bawn") ? 1 : 0;
}
