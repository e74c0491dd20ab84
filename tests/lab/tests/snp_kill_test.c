/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMMs, the platform's daemon and its module taken away at any moment: nothing of a guest stays, in
 * the firmware, in the reverse map table, in the modules or in memory, and the next guest is
 * launched as if nothing had been. The VMMs are `bawn run`, whose guest is Debian's kernel, and
 * this program with a guest of two vCPUs that never stop asking for something. The moments are
 * random: BAWN_SEED=N in the environment repeats those of an earlier run. Needs the software
 * platform; bawn and bawn-platformd are in $PATH.
 */
#define _GNU_SOURCE
#include "snp_guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define PLATFORM "/sys/kernel/debug/bawn_platform/"
#define MODULE "/lab/bawn_platform.ko"
#define DAEMON_STATE "/run/platform"
#define KILLS 44          /* of this program's guests, four times */
#define BAWN_KILLS 4      /* of `bawn run`, six times */
#define EARLY_EVERY 3     /* so often it is one of the first moments */
#define DAEMON_EVERY 8    /* so often it is the daemon that dies first */
#define UNLOAD_EVERY 3    /* so often the module is asked to go */
#define PATIENCE 100      /* tenths of a second */
#define MEMORY_SLACK 8192 /* KiB that the kernel may keep for itself: 200 guests have far more */

static uint32_t random_state;

static unsigned random_below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % n;
}

static void random_seed(void)
{
    const char *text = getenv("BAWN_SEED");

    random_state = text ? (uint32_t)strtoul(text, NULL, 0) : (uint32_t)lab_now();
    random_state += !random_state;
    printf("# BAWN_SEED=%u\n", random_state);
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

static long number_in(const char *path)
{
    FILE *file = fopen(path, "r");
    long n = -1;

    if (file) {
        if (fscanf(file, "%ld", &n) != 1)
            n = -1;
        fclose(file);
    }
    return n;
}

/* A line "name value" of a file; 0 if it is not there. */
static long counter(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    char line[128];
    long n = 0;

    ASSERT(file);
    while (fgets(line, sizeof(line), file))
        if (!strncmp(line, name, strlen(name)))
            n = atol(line + strlen(name));
    fclose(file);
    return n;
}

/* All counters of what exists are zero; as told if not. */
static bool nothing_left(char *told, size_t size)
{
    FILE *file = fopen(PLATFORM "state", "r");
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

/* ---- What is killed ---- */

#define GUEST "--guest"

static struct snp_guest busy;

/* EINTR comes without a signal too (docs/kvm-api.md). */
static void *serve(void *vcpu)
{
    int r;

    do
        r = vcpu_run(vcpu);
    while (r == -EINTR || snp_served(&busy, vcpu, r));
    return NULL;
}

/* A VMM of its own, until it is killed: this program with GUEST. A launch that fails, because the
 * daemon has just died, is its end. */
static void run_guest(void)
{
    pthread_t threads[2];

    busy = snp_create();
    busy.vm->vcpu[1] = vcpu_raw(busy.vm, 1);
    vcpu_set_cpuid(busy.vm->vcpu[1]);
    ASSERT_EQ(kvm_call(busy.vm->vcpu[1]->fd, KVM_SET_MP_STATE,
                       &(struct kvm_mp_state){ KVM_MP_STATE_RUNNABLE }),
              0);
    for (unsigned i = 0; i < 2; i++) {
        snp_add_ghcb(&busy, i);
        snp_set_vcpu_state(busy.vm->vcpu[i], busy.cbit, GUEST_ADDR(snp_busy), SNP_GHCB_PAGE(i), 0,
                           0);
    }
    snp_launch(&busy);
    for (unsigned i = 0; i < 2; i++)
        ASSERT_EQ(pthread_create(&threads[i], NULL, serve, busy.vm->vcpu[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void exec_own(void)
{
    execl("/proc/self/exe", "snp_kill", lab_dev, GUEST, NULL);
}

static void exec_bawn(void)
{
    execlp("bawn", "bawn", "run", "--device", lab_dev, "--tee", "snp", "--firmware",
           "/lab/shim.bin", "--kernel", "/lab/guest/vmlinuz", "--memory", "128M", "--cpus", "2",
           "--serial", "null", NULL);
}

static pid_t start_vmm(void (*exec)(void))
{
    pid_t pid = fork();

    ASSERT(pid >= 0);
    if (pid)
        return pid;
    if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
        exec();
    _exit(1);
}

/* ---- How far a VMM has come, by what the firmware was asked for since then ---- */

enum stage { BEFORE_LAUNCH, IN_LAUNCH, RUNNING, NR_STAGES };

struct progress {
    long starts, finishes, exits;
};

static struct progress progress_now(void)
{
    return (struct progress){ counter(PLATFORM "events", "command_0xa0 "),
                              counter(PLATFORM "events", "command_0xa2 "),
                              counter(PLATFORM "events", "vmgexit ") };
}

static enum stage stage_since(struct progress p)
{
    struct progress now = progress_now();

    if (now.finishes != p.finishes)
        return RUNNING;
    return now.starts != p.starts ? IN_LAUNCH : BEFORE_LAUNCH;
}

/* Microseconds until a VMM's guest runs. */
static unsigned time_to_run(void (*exec)(void))
{
    struct progress p = progress_now();
    uint64_t begun = lab_now();
    pid_t pid = start_vmm(exec);
    unsigned us;

    for (int i = 0; i < PATIENCE * 100 && progress_now().exits == p.exits; i++)
        sleep_us(1000);
    EXPECT(progress_now().exits != p.exits);
    us = (unsigned)((lab_now() - begun) / 1000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return us;
}

/* The module goes only where nothing needs it: then it comes back. */
static bool unload_platform(void)
{
    int fd;

    if (syscall(SYS_delete_module, "bawn_platform", O_NONBLOCK))
        return false;
    fd = open(MODULE, O_RDONLY | O_CLOEXEC);
    ASSERT(fd >= 0);
    ASSERT_EQ(syscall(SYS_finit_module, fd, "i_understand_this_is_not_secure=1", 0), 0);
    close(fd);
    return true;
}

static void expect_busy(const char *module)
{
    EXPECT_EQ(syscall(SYS_delete_module, module, O_NONBLOCK), -1);
    EXPECT(errno == EAGAIN || errno == EBUSY || errno == EWOULDBLOCK);
}

static unsigned killed[NR_STAGES], unloads;

static void kill_daemon(pid_t daemon, enum stage stage)
{
    kill(daemon, SIGKILL);
    for (int i = 0; i < PATIENCE && daemon_pid(); i++)
        sleep_us(20000);
    if (stage == RUNNING)
        expect_busy("bawn_platform"); /* the guest has it */
    else
        unloads += unload_platform();
    daemon_restart(0);
}

static void kill_one(void (*exec)(void), unsigned longest)
{
    static unsigned i;
    struct progress p = progress_now();
    pid_t pid, daemon = daemon_pid();
    unsigned moment = random_below(i % EARLY_EVERY ? longest : longest / 8);
    enum stage stage;

    pid = start_vmm(exec);
    sleep_us(moment);
    stage = stage_since(p);
    killed[stage]++;
    expect_busy("bawn");
    if (i % UNLOAD_EVERY == 0)
        expect_busy("bawn_platform"); /* the daemon has it open */
    if (i % DAEMON_EVERY == DAEMON_EVERY - 1) {
        kill_daemon(daemon, stage);
        sleep_us(random_below(longest / 4));
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    i++;
}

static void kill_many(void (*exec)(void), unsigned kills, unsigned longest)
{
    for (unsigned i = 0; i < kills; i++)
        kill_one(exec, longest);
    printf("# within %u us; until now %u killed before the launch, %u in it, %u running\n", longest,
           killed[BEFORE_LAUNCH], killed[IN_LAUNCH], killed[RUNNING]);
    expect_nothing_left();
    expect_guest_runs();
}

static unsigned bawn_longest;

static void test_own_killed(void)
{
    kill_many(exec_own, KILLS, time_to_run(exec_own) * 3 / 2);
}

static void test_bawn_killed(void)
{
    kill_many(exec_bawn, BAWN_KILLS, bawn_longest);
}

/* ---- What all of it leaves: compared with how it was after the first guest ---- */

struct left {
    long memory, bawn, platform;
};

static struct left left_now(void)
{
    return (struct left){ counter("/proc/meminfo", "MemFree:"),
                          number_in("/sys/module/bawn/refcnt"),
                          number_in("/sys/module/bawn_platform/refcnt") };
}

static void drop_caches(void)
{
    FILE *file = fopen("/proc/sys/vm/drop_caches", "w");

    ASSERT(file);
    fputs("3", file);
    fclose(file);
}

static struct left first;

static void test_first(void)
{
    random_seed();
    time_to_run(exec_own);
    bawn_longest = time_to_run(exec_bawn) * 5 / 4;
    expect_guest_runs();
    expect_nothing_left();
    drop_caches();
    first = left_now();
}

/* The kernel frees in its own time. */
static void test_all_is_as_before(void)
{
    struct left now = { 0 };

    for (int i = 0; i < PATIENCE; i++) {
        drop_caches();
        now = left_now();
        if (now.memory > first.memory - MEMORY_SLACK && now.bawn == first.bawn &&
            now.platform == first.platform)
            break;
        sleep_us(100000);
    }
    printf("# free memory %ld KiB, then %ld; the module went %u times\n", first.memory, now.memory,
           unloads);
    for (unsigned i = 0; i < NR_STAGES; i++)
        EXPECT(killed[i]);
    EXPECT(now.memory > first.memory - MEMORY_SLACK);
    EXPECT_EQ(now.bawn, first.bawn);
    EXPECT_EQ(now.platform, first.platform);
    expect_nothing_left();
}

/* ---- The daemon ---- */

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
    { "a guest of each kind", test_first },
    { "kills at random moments, 1 to 44", test_own_killed },
    { "45 to 88", test_own_killed },
    { "89 to 132", test_own_killed },
    { "133 to 176", test_own_killed },
    { "bawn run killed, 177 to 180", test_bawn_killed },
    { "181 to 184", test_bawn_killed },
    { "185 to 188", test_bawn_killed },
    { "189 to 192", test_bawn_killed },
    { "193 to 196", test_bawn_killed },
    { "197 to 200", test_bawn_killed },
    { "no daemon", test_no_daemon },
    { "a daemon that hangs", test_hung_daemon },
    { "a daemon restarted under a guest", test_daemon_restarted_under_guest },
    { "memory and references are as before", test_all_is_as_before },
};

int main(int argc, char **argv)
{
    static const struct lab_test guest = { "a guest", run_guest };

    if (argc > 2 && !strcmp(argv[2], GUEST))
        return lab_main(2, argv, &guest, 1);
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
