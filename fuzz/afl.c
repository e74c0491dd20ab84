// SPDX-License-Identifier: Apache-2.0
/*
 * AFL++'s side of a target: its fork server (AFL++ 4.04c, include/types.h, FORKSRV_FD and
 * FS_OPT_*), with the persistent child itself answering the fuzzer. AFL++'s own has a parent
 * between the two, which stops and continues the child: twice the task switches for each execution.
 * Here the parent waits for the child's end alone, and tells what it was. Without AFL++, the
 * arguments are files to run. Trusts the fuzzer.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdbool.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* By these words in the program the fuzzer knows what it does: inputs in shared memory, again and
 * again in one process, and no fork server of AFL++'s run-time library. */
static const char persistent[] = "##SIG_AFL_PERSISTENT##";
static const char deferred[] = "##SIG_AFL_DEFER_FORKSRV##";
extern int __afl_sharedmem_fuzzing;
int __afl_sharedmem_fuzzing = 1;

/* Of AFL++'s run-time library. */
extern uint8_t *__afl_area_ptr;
extern uint32_t __afl_map_size;

#define COMMANDS 198
#define ANSWERS 199
#define HELLO_ENABLED 0x80000001u
#define HELLO_MAP_SIZE 0x40000000u
#define HELLO_CMPLOG 0x02000000u
#define HELLO_SHARED 0x01000000u
#define RUNS 100000                   /* of one child */
#define STOPPED (SIGSTOP << 8 | 0x7f) /* as wait() says of a child that may be continued */
#define LARGEST (1u << 20)

static struct {
    uint32_t size;
    uint8_t data[LARGEST];
} * input;
static volatile bool *running; /* the child's, seen by the parent too */

static bool get(uint32_t *word)
{
    return read(COMMANDS, word, sizeof(*word)) == sizeof(*word);
}

static void put(uint32_t word)
{
    if (write(ANSWERS, &word, sizeof(word)) != sizeof(word))
        _exit(1);
}

/* In memory of its own, so that a read beyond the end is seen. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void too_long(int number)
{
    if (!*running)
        return;
    signal(number, SIG_DFL);
    raise(number);
}

/* The parent has taken the first command. */
static __attribute__((noreturn)) void serve(void)
{
    const struct sigaction action = { .sa_handler = too_long, .sa_flags = SA_NODEFER | SA_RESTART };
    uint32_t word, me = (uint32_t)getpid();

    sigaction(SIGTERM, &action, NULL);
    for (unsigned i = 0; i < RUNS; i++) {
        if (i && !get(&word))
            break;
        *running = true;
        put(me);
        __afl_area_ptr[0] = 1; /* some is always there */
        run(input->data, input->size < LARGEST ? input->size : LARGEST);
        *running = false;
        put(STOPPED);
    }
    _exit(0);
}

/* Who ends while it does not run has answered already. */
static void watch(void)
{
    uint32_t word;
    int status;
    pid_t pid;

    while (get(&word)) {
        *running = true;
        pid = fork();
        if (!pid)
            serve();
        if (pid < 0)
            _exit(1);
        if (waitpid(pid, &status, 0) != pid)
            _exit(1);
        if (*running)
            put((uint32_t)status);
    }
}

static bool greet(const char *shared)
{
    uint32_t word =
        HELLO_ENABLED | HELLO_MAP_SIZE | HELLO_CMPLOG | HELLO_SHARED | (__afl_map_size - 1) << 1;

    if (write(ANSWERS, &word, sizeof(word)) != sizeof(word) || !get(&word) ||
        (word & (HELLO_ENABLED | HELLO_SHARED)) != (HELLO_ENABLED | HELLO_SHARED))
        return false;
    input = shmat((int)strtol(shared, NULL, 10), NULL, 0);
    running =
        mmap(NULL, sizeof(*running), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return input != (void *)-1 && running != MAP_FAILED;
}

static int run_file(const char *path)
{
    static uint8_t data[LARGEST];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        perror(path);
        return 1;
    }
    n = fread(data, 1, sizeof(data), f);
    fclose(f);
    run(data, n);
    return 0;
}

int main(int argc, char **argv)
{
    const char *shared = getenv("__AFL_SHM_FUZZ_ID");
    int r = 0;

    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    if (!shared) {
        for (int i = 1; i < argc; i++)
            r |= run_file(argv[i]);
        return r;
    }
    __asm__ volatile("" ::"r"(persistent), "r"(deferred));
    /* What the first run makes for all is no coverage of any. */
    run((const uint8_t *)"0", 1);
    if (!greet(shared)) {
        fprintf(stderr, "fuzz: no fuzzer that gives inputs in shared memory\n");
        return 1;
    }
    watch();
    return 0;
}
