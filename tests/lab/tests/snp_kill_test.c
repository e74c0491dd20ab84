/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests, their VMM and the platform's daemon killed at any moment: nothing of them stays, in the
 * firmware or in the reverse map table, and the next guest is launched as if nothing had been.
 * Needs the software platform; bawn-platformd is in $PATH.
 */
#define _GNU_SOURCE
#include "snp_guest.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define STATE "/sys/kernel/debug/bawn_platform/state"
#define DAEMON_STATE "/run/platform"
#define KILLS 50
#define DAEMON_EVERY 10 /* so often it is the daemon that dies */
#define LONGEST 60000   /* microseconds that a guest has before it is killed */
#define PATIENCE 100    /* tenths of a second */

static uint32_t random_state = 2463534242u;

/* The same moments in every run, as far as the machine goes. */
static unsigned random_below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % n;
}

static void sleep_us(unsigned us)
{
    struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

    nanosleep(&t, NULL);
}

static bool named(const char *pid, const char *name)
{
    char path[300], comm[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    file = fopen(path, "r");
    if (!file)
        return false;
    if (!fgets(comm, sizeof(comm), file))
        comm[0] = 0;
    fclose(file);
    comm[strcspn(comm, "\n")] = 0;
    return !strcmp(comm, name);
}

static pid_t daemon_pid(void)
{
    DIR *proc = opendir("/proc");
    struct dirent *e;
    pid_t pid = 0;

    ASSERT(proc);
    while (!pid && (e = readdir(proc)))
        if (named(e->d_name, "bawn-platformd"))
            pid = atoi(e->d_name);
    closedir(proc);
    return pid;
}

/* Killed, the daemon's process is there until init reaped it, and the device with it. */
static void daemon_restart(int signal)
{
    pid_t pid = daemon_pid();

    if (pid)
        kill(pid, signal);
    for (int i = 0; i < PATIENCE && daemon_pid(); i++)
        sleep_us(100000);
    for (int i = 0; i < PATIENCE; i++) {
        if (!system("bawn-platformd --state " DAEMON_STATE " 2>/dev/null"))
            return;
        sleep_us(100000);
    }
    EXPECT(!"the daemon starts again");
}

/* All counters of what exists are zero; as told if not. */
static bool nothing_left(char *told, size_t size)
{
    FILE *file = fopen(STATE, "r");
    char line[64];
    bool zero = true;

    ASSERT(file);
    told[0] = 0;
    while (fgets(line, sizeof(line), file)) {
        char *value = strchr(line, ' ');

        if (value && strcmp(value, " 0\n")) {
            zero = false;
            snprintf(told + strlen(told), size - strlen(told), "%s", line);
        }
    }
    fclose(file);
    return zero;
}

static unsigned daemon_contexts(void)
{
    DIR *dir = opendir(DAEMON_STATE);
    struct dirent *e;
    unsigned n = 0;

    ASSERT(dir);
    while ((e = readdir(dir)))
        n += !strncmp(e->d_name, "guest-", 6);
    closedir(dir);
    return n;
}

static void expect_nothing_left(void)
{
    char told[512];

    for (int i = 0; i < PATIENCE; i++) {
        if (nothing_left(told, sizeof(told)) && !daemon_contexts())
            return;
        sleep_us(100000);
    }
    EXPECT(nothing_left(told, sizeof(told)));
    for (char *line = strtok(told, "\n"); line; line = strtok(NULL, "\n"))
        printf("# left: %s\n", line);
    EXPECT_EQ(daemon_contexts(), 0);
}

static void expect_guest_runs(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_cpuid, 0x8000001f, 0, 0, &g), GUEST_DONE);
    snp_destroy(&g);
}

/* A VMM of its own, until it is killed: this program with GUEST. A launch that fails, because the
 * daemon has just died, is its end. */
#define GUEST "--guest"

static void run_guest(void)
{
    struct snp_guest g = snp_prepare(GUEST_ADDR(snp_validate_forever), SNP_LAUNCHED, 0, 0);

    snp_run(&g);
}

static pid_t start_vmm(void)
{
    pid_t pid = fork();

    ASSERT(pid >= 0);
    if (pid)
        return pid;
    if (freopen("/dev/null", "w", stdout))
        execl("/proc/self/exe", "snp_kill", lab_dev, GUEST, NULL);
    _exit(1);
}

static void test_vmm_killed(void)
{
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = start_vmm();

        sleep_us(random_below(LONGEST));
        if (i % DAEMON_EVERY == DAEMON_EVERY - 1)
            daemon_restart(SIGKILL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    expect_nothing_left();
    expect_guest_runs();
}

/* Without a daemon a launch fails at once, and what there was of it goes. */
static void test_no_daemon(void)
{
    struct snp_guest g = snp_create();
    uint64_t begun;

    kill(daemon_pid(), SIGKILL);
    for (int i = 0; i < PATIENCE && daemon_pid(); i++)
        sleep_us(100000);
    sleep_us(200000);
    begun = lab_now();
    EXPECT_EQ(snp_update(&g, 0, g.image, 0x1000, 1), -ENODEV);
    EXPECT(lab_now() - begun < 1000000000ull);
    snp_destroy(&g);
    daemon_restart(0);
    expect_nothing_left();
    expect_guest_runs();
}

static void write_parameter(const char *value)
{
    FILE *file = fopen("/sys/module/bawn_platform/parameters/command_timeout", "w");

    ASSERT(file);
    fputs(value, file);
    fclose(file);
}

/* A daemon that does not answer is given up; it must come anew. */
static void test_hung_daemon(void)
{
    struct snp_guest g = snp_create();
    pid_t pid = daemon_pid();
    uint64_t begun = lab_now();

    write_parameter("2");
    kill(pid, SIGSTOP);
    EXPECT_EQ(snp_update(&g, 0, g.image, 0x1000, 1), -ENODEV);
    EXPECT(lab_now() - begun > 1900000000ull);
    EXPECT(lab_now() - begun < 8000000000ull);
    begun = lab_now();
    EXPECT_EQ(snp_update(&g, 0x1000, g.image, 0x1000, 1), -ENODEV);
    EXPECT(lab_now() - begun < 1000000000ull); /* nobody waits for it again */
    write_parameter("30");
    kill(pid, SIGCONT);
    snp_destroy(&g);
    daemon_restart(SIGKILL);
    expect_nothing_left();
    expect_guest_runs();
}

/* A guest that runs needs no daemon, and is served again by the next one. */
static void test_daemon_restarted_under_guest(void)
{
    struct snp_guest g = snp_prepare(GUEST_ADDR(snp_cpuid), 0x8000001f, 0, 0);

    daemon_restart(SIGKILL);
    EXPECT_EQ(daemon_contexts(), 1);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    snp_destroy(&g);
    expect_nothing_left();
}

static const struct lab_test tests[] = {
    { "kills of VMM and daemon, 1 to 50", test_vmm_killed },
    { "51 to 100", test_vmm_killed },
    { "101 to 150", test_vmm_killed },
    { "151 to 200", test_vmm_killed },
    { "no daemon", test_no_daemon },
    { "a daemon that hangs", test_hung_daemon },
    { "a daemon restarted under a guest", test_daemon_restarted_under_guest },
};

int main(int argc, char **argv)
{
    static const struct lab_test guest = { "a guest", run_guest };

    if (argc > 2 && !strcmp(argv[2], GUEST))
        return lab_main(2, argv, &guest, 1);
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
