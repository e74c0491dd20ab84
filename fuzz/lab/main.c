// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes the loaded module by the target kernel-ioctl: first argument the device node, then
 * options. Each input runs in a process of its own with a time limit; before that it is printed, so
 * that after a panic the log's last lines are the last inputs. The same seed gives the same inputs
 * where there is no coverage. Prints TAP; exits 1 for a find. Trusts the corpus no more than the
 * module.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CORPUS_MAX 4096u
#define WORDS_MAX 256u
#define SOME_INPUTS 50
#define INPUT_SECONDS 10 /* of a machine that is emulated and busy */

static struct {
    const char *corpus, *words;
    unsigned long execs, seconds, seed;
} options = { .execs = ULONG_MAX, .seed = 1 };

static struct lab_input corpus[CORPUS_MAX], words[WORDS_MAX];
static size_t nr_corpus, nr_words;
static uint8_t reached[LAB_MAP];
static bool have_kcov;
static unsigned long slower = 1; /* as the host says of itself */
static unsigned long execs, finds, stuck, broken;

/* ---- Corpus ---- */

static bool keep(const uint8_t *data, size_t len)
{
    struct lab_input *to = &corpus[nr_corpus];

    if (nr_corpus == CORPUS_MAX || len > LAB_INPUT_MAX)
        return false;
    to->data = malloc(len + 1);
    if (!to->data)
        return false;
    memcpy(to->data, data, len);
    to->len = len;
    nr_corpus++;
    return true;
}

static bool read_corpus(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        uint8_t data[LAB_INPUT_MAX];
        char path[PATH_MAX];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        f = entries[i]->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (f) {
            keep(data, fread(data, 1, sizeof(data), f));
            fclose(f);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return nr_corpus > 0;
}

/* ---- One input ---- */

static void print_input(const char *what, const uint8_t *data, size_t len)
{
    printf("# %s %lu: ", what, execs);
    for (size_t i = 0; i < len; i++)
        printf("%02x", data[i]);
    putchar('\n');
    fflush(stdout);
}

static void wake(int number)
{
    (void)number;
}

static void limit(int seconds)
{
    const struct itimerval at = { { seconds, 0 }, { seconds, 0 } };

    setitimer(ITIMER_REAL, &at, NULL);
}

/* What waitpid() says; -1: it does not end within the time. */
static int wait_for(pid_t pid)
{
    int status = 0, r;

    limit(INPUT_SECONDS * (int)slower);
    r = waitpid(pid, &status, 0);
    limit(0);
    return r == pid ? status : -1;
}

static void child(const uint8_t *data, size_t len)
{
    struct sigaction none = { .sa_handler = wake };

    setpgid(0, 0);
    sigaction(SIGALRM, &none, NULL);
    kcov_begin(0);
    LLVMFuzzerTestOneInput(data, len);
    kcov_end(0);
    _exit(0);
}

static bool new_coverage(void)
{
    bool new = false;

    for (size_t i = 0; i < LAB_MAP; i++) {
        uint8_t n = lab_shared->map[i];
        /* By powers of two. */
        uint8_t bucket = n ? (uint8_t)(1u << (31 - __builtin_clz(n))) : 0;

        new |= bucket & ~reached[i];
        reached[i] |= bucket;
    }
    return new;
}

static void find(const char *what, const uint8_t *data, size_t len)
{
    finds++;
    printf("# find: %s\n", what);
    print_input("found by", data, len);
}

/* False: there is no sense in going on. */
static bool run(const uint8_t *data, size_t len)
{
    int status;
    pid_t pid;

    execs++;
    print_input("input", data, len);
    memset(lab_shared->map, 0, sizeof(lab_shared->map));
    pid = fork();
    if (!pid)
        child(data, len);
    status = pid < 0 ? -1 : wait_for(pid);
    if (pid > 0)
        kill(-pid, SIGKILL);
    if (status == -1) {
        stuck++;
        find(pid < 0 ? "fork() fails" : "it is not done in time", data, len);
        if (pid < 0 || wait_for(pid) == -1) {
            printf("# it cannot be killed either\n");
            return false;
        }
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == LAB_FOUND) {
        find(lab_shared->fault, data, len);
    } else if (!WIFEXITED(status)) {
        broken++; /* by what it asked the kernel to write to its own memory */
    }
    return true;
}

/* ---- The whole ---- */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void progress(double begun)
{
    unsigned long bits = 0;

    for (size_t i = 0; i < LAB_MAP; i++)
        bits += (unsigned)__builtin_popcount(reached[i]);
    printf("# %lu executions in %.0f s, %llu calls, %llu worked, %llu runs, %zu in the corpus, "
           "%lu bits of coverage%s, %lu finds, %lu stuck, %lu broke themselves\n",
           execs, now() - begun, (unsigned long long)lab_shared->calls,
           (unsigned long long)lab_shared->worked, (unsigned long long)lab_shared->runs, nr_corpus,
           bits, have_kcov ? "" : " (no KCOV)", finds, stuck, broken);
    fflush(stdout);
}

/* By KVM_EXIT_*. */
static void print_exits(void)
{
    printf("# exits to userspace:");
    for (unsigned i = 0; i < LAB_REASONS; i++)
        if (lab_shared->exits[i])
            printf(" %u: %llu", i, (unsigned long long)lab_shared->exits[i]);
    putchar('\n');
}

static bool run_corpus(void)
{
    size_t n = nr_corpus;

    for (size_t i = 0; i < n; i++) {
        if (!run(corpus[i].data, corpus[i].len))
            return false;
        new_coverage();
    }
    return true;
}

static bool run_mutated(double begun)
{
    struct lab_random random = { options.seed * 0x9e3779b97f4a7c15ull + 1 };
    uint8_t data[LAB_INPUT_MAX];
    double told = now();

    for (unsigned long i = 0; i < options.execs; i++) {
        const struct lab_input *from = &corpus[lab_random(&random, (uint32_t)nr_corpus)];
        const struct lab_input *other = &corpus[lab_random(&random, (uint32_t)nr_corpus)];
        size_t len = from->len;

        if (options.seconds && now() - begun >= (double)options.seconds)
            break;
        memcpy(data, from->data, len);
        len = lab_mutate(&random, data, len, other, words, nr_words);
        if (!run(data, len))
            return false;
        if (have_kcov && new_coverage())
            keep(data, len);
        if (now() - told >= 10) {
            told = now();
            progress(begun);
        }
    }
    return true;
}

static int point(unsigned number, bool ok, const char *text)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", number, text);
    fflush(stdout);
    return !ok;
}

static int fuzz(void)
{
    double begun = now();
    unsigned long before;
    bool going, reaches;
    int bad;

    printf("1..3\n");
    going = run_corpus();
    bad = point(1, going && !finds, "the corpus");
    before = finds;
    going = going && run_mutated(begun);
    bad |= point(2, going && finds == before, "mutated inputs");
    progress(begun);
    print_exits();
    /* A part of what seeds ask for is refused by design, never nearly all; a few inputs that
     * somebody gave may be anything. */
    reaches =
        execs < SOME_INPUTS || (lab_shared->runs && lab_shared->worked > lab_shared->calls / 10);
    bad |= point(3, reaches, "calls reach the module, and guests run");
    return bad;
}

/* ---- Beginning ---- */

static int usage(const char *what)
{
    fprintf(stderr,
            "fuzz_ioctl: %s\nusage: fuzz_ioctl DEVICE --corpus DIR [--dict FILE] [--execs N] "
            "[--time SECONDS] [--seed N]\n--execs: mutated inputs, after the corpus; without it "
            "and --time: until it is stopped\n",
            what);
    return 2;
}

static bool number(const char *text, unsigned long *to)
{
    char *end;

    errno = 0;
    *to = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool option(const char *name, const char *value)
{
    if (!value)
        return false;
    if (!strcmp(name, "--corpus"))
        options.corpus = value;
    else if (!strcmp(name, "--dict"))
        options.words = value;
    else if (!strcmp(name, "--execs"))
        return number(value, &options.execs);
    else if (!strcmp(name, "--time"))
        return number(value, &options.seconds);
    else if (!strcmp(name, "--seed"))
        return number(value, &options.seed);
    else
        return false;
    return true;
}

/* The same addresses each time, and the simulation's: from a new start of the program. */
static void fix_addresses(char **argv)
{
    int have = personality(0xffffffff);

    if (have == -1 || have & ADDR_NO_RANDOMIZE ||
        personality((unsigned)have | ADDR_NO_RANDOMIZE) == -1)
        return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = wake };
    const char *times;
    int no_args = 0;

    if (argc < 2)
        return usage("no device is given");
    for (int i = 2; i < argc; i += 2)
        if (!option(argv[i], argv[i + 1]))
            return usage(argv[i]);
    if (!options.corpus)
        return usage("--corpus is missing");
    fix_addresses(argv);
    if (!read_corpus(options.corpus))
        return usage("the corpus is empty, or no folder");
    if (options.words && !lab_words(options.words, words, &nr_words, WORDS_MAX))
        return usage("the dictionary is none");
    lab_device = argv[1];
    lab_shared =
        mmap(NULL, sizeof(*lab_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lab_shared == MAP_FAILED)
        return usage("no memory");
    have_kcov = kcov_open();
    times = getenv("LAB_SLOWER");
    if (times && (!number(times, &slower) || slower > 100))
        return usage("LAB_SLOWER is no number of times");
    LLVMFuzzerInitialize(&no_args, &argv);
    sigaction(SIGALRM, &action, NULL);
    return fuzz();
}
