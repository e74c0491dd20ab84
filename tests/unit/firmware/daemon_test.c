// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-platformd itself, as it is shipped, over a socket in the device's place: start, clean and
 * unclean end, restart under running guests, a second instance, faults, and what it leaves on
 * the disk.
 */
#include "tests/unit/firmware/rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bawn/attest.h>

#define PROGRAM "build/bin/bawn-platformd"
#define PATIENCE_MS 20000

struct daemon {
    char state[64];
    pid_t pid;
    bool background;
    struct rig rig;
    char said[1024]; /* on stderr, once it has ended */
    int errors;
};

/* ---- Files ---- */

static void write_file(const char *dir, const char *name, const uint8_t *data, size_t len)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static struct bawn_bytes read_file(const char *dir, const char *name)
{
    uint8_t *data = malloc(1 << 16);
    char path[128];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDONLY);
    assert_true(data && fd >= 0);
    n = read(fd, data, 1 << 16);
    assert_true(n > 0);
    close(fd);
    return (struct bawn_bytes){ data, (size_t)n };
}

static unsigned count_files(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    unsigned n = 0;

    assert_non_null(d);
    while ((entry = readdir(d)))
        n += !strncmp(entry->d_name, prefix, strlen(prefix));
    closedir(d);
    return n;
}

/* A state directory with keys that take no minute to make. */
static void make_state(struct daemon *d)
{
    struct psp_identity *identity = rig_identity(PSP_MILAN);
    struct bawn_error err = { "" };

    memset(d, 0, sizeof(*d));
    snprintf(d->state, sizeof(d->state), "/tmp/bawn-platformd-test-XXXXXX");
    assert_non_null(mkdtemp(d->state));
    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++) {
        struct psp_blob blob;

        assert_int_equal(psp_identity_export(identity, (enum psp_identity_part)i, &blob, &err),
                         BAWN_OK);
        write_file(d->state, psp_identity_files[i].name, blob.data, blob.len);
        psp_blob_free(&blob);
    }
    psp_identity_destroy(identity);
}

static void remove_state(struct daemon *d)
{
    DIR *dir = opendir(d->state);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    assert_int_equal(rmdir(d->state), 0);
}

/* ---- The process ---- */

#define ARGS 8

/* Runs the program with these arguments; the socket's other end becomes d->rig's when has_rig. */
static void spawn(struct daemon *d, const char *const *extra, bool has_rig)
{
    const char *argv[ARGS + 6] = { PROGRAM, "--state", d->state };
    char device[16] = "";
    int ends[2], errors[2], n = 3;

    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    if (!d->background)
        argv[n++] = "--foreground";
    if (has_rig) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
        assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
        snprintf(device, sizeof(device), "fd:%d", ends[1]);
        argv[n++] = "--device";
        argv[n++] = device;
    }
    for (unsigned i = 0; extra && extra[i]; i++) {
        assert_true(i < ARGS - 1);
        argv[n++] = extra[i];
    }
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (!d->pid) {
        dup2(errors[1], STDERR_FILENO);
        dup2(errors[1], STDOUT_FILENO);
        close(errors[0]);
        execv(PROGRAM, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(errors[1]);
    d->errors = errors[0];
    if (has_rig) {
        close(ends[1]);
        rig_connect(&d->rig, ends[0]);
    }
}

/* Reads what it says until the end or the text. */
static void listen_for(struct daemon *d, const char *text)
{
    size_t len = strlen(d->said);
    struct pollfd p = { .fd = d->errors, .events = POLLIN };

    while (!text || !strstr(d->said, text)) {
        ssize_t n;

        if (poll(&p, 1, PATIENCE_MS) != 1)
            fail_msg("it says nothing for long, after: %s", d->said);
        n = read(d->errors, d->said + len, sizeof(d->said) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        d->said[len] = 0;
    }
    if (text && !strstr(d->said, text))
        fail_msg("it does not say \"%s\" but: %s", text, d->said);
}

/* Its exit status, or 256 and the signal. */
static int finish(struct daemon *d)
{
    int status;

    listen_for(d, NULL);
    assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
    close(d->errors);
    d->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void begin(struct daemon *d, const char *const *extra)
{
    memset(d->said, 0, sizeof(d->said));
    spawn(d, extra, true);
    listen_for(d, "ready");
}

static void end(struct daemon *d, int signal_number)
{
    int status;

    kill(d->pid, signal_number);
    status = finish(d);
    if (status != (signal_number == SIGKILL ? 256 + SIGKILL : 0))
        fail_msg("it ended with %d, saying: %s", status, d->said);
    rig_destroy(&d->rig);
}

/* In the background: the command ends, says all it has to say, and the daemon serves. */
static void background(void **state)
{
    const struct timespec moment = { .tv_nsec = 10000000 };
    struct bawn_bytes log;
    char path[128];
    struct daemon d;
    struct stat st;

    (void)state;
    make_state(&d);
    d.background = true;
    spawn(&d, NULL, true);
    assert_int_equal(finish(&d), 0);
    assert_non_null(strstr(d.said, "ready on fd:"));
    rig_init(&d.rig);
    rig_launch(&d.rig, GCTX, 1);
    assert_int_equal(send(d.rig.fd, "0123456789", 10, 0), 10);
    assert_int_equal(recv(d.rig.fd, d.rig.reply, 1, 0), 0); /* it has ended */
    snprintf(path, sizeof(path), "%s/log", d.state);
    for (unsigned i = 0; i < 1000 && !stat(path, &st) && !st.st_size; i++)
        nanosleep(&moment, NULL);
    log = read_file(d.state, "log");
    assert_non_null(memmem(log.data, log.len, "cannot take a request", 21));
    free((void *)(uintptr_t)log.data);
    rig_destroy(&d.rig);
    remove_state(&d);
}

/* What a reader of the command line's answer sees; no device is needed. */
static int run(struct daemon *d, const char *const *extra)
{
    memset(d->said, 0, sizeof(d->said));
    spawn(d, extra, false);
    return finish(d);
}

/* ---- Tests ---- */

static void assert_trusted(struct daemon *d, const struct bawn_snp_report *report,
                           enum bawn_verdict expected)
{
    struct bawn_bytes root = read_file(d->state, "ark.pem");
    struct bawn_bytes files[] = { read_file(d->state, "certs.bin"),
                                  read_file(d->state, "crl.der") };
    const struct bawn_attest_input input = {
        .evidence = { (const uint8_t *)report, sizeof(*report) },
        .kind = BAWN_EVIDENCE_SNP,
        .endorsements = files,
        .nr_endorsements = COUNT(files),
        .at = time(NULL),
    };
    struct bawn_attest_result *result = bawn_attest_result_create();
    struct bawn_error err = { "" };
    struct bawn_trust *trust;

    assert_int_equal(bawn_trust_create(&trust, &root, 1, &err), BAWN_OK);
    assert_int_equal(bawn_attest_verify(trust, NULL, &input, result), expected);
    bawn_attest_result_destroy(result);
    bawn_trust_destroy(trust);
    free((void *)(uintptr_t)root.data);
    free((void *)(uintptr_t)files[0].data);
    free((void *)(uintptr_t)files[1].data);
}

static void guests_survive(void **state)
{
    const uint64_t context = page(GCTX);
    struct bawn_snp_report report, again;
    struct driver driver;
    struct daemon d;

    (void)state;
    make_state(&d);
    begin(&d, NULL);
    rig_init(&d.rig);
    rig_launch(&d.rig, GCTX, 1);
    driver_create(&driver, &d.rig, GCTX, 0);
    assert_int_equal(driver_report(&driver, 0, &report), BAWN_PSP_SUCCESS);
    assert_trusted(&d, &report, BAWN_TRUSTED);
    assert_int_equal(count_files(d.state, "guest-"), 1);
    for (unsigned i = 0; i < 2; i++) {
        end(&d, i ? SIGTERM : SIGKILL);
        begin(&d, NULL);
        assert_int_equal(rig_hello(&d.rig, 0, &context, 1), BAWN_PSP_SUCCESS);
        assert_int_equal(driver_report(&driver, 0, &again), BAWN_PSP_SUCCESS);
        assert_memory_equal(&report, &again, BAWN_SNP_REPORT_SIGNED);
        assert_trusted(&d, &again, BAWN_TRUSTED);
    }
    assert_int_equal(decommission(&d.rig, GCTX), BAWN_PSP_SUCCESS);
    assert_int_equal(count_files(d.state, "guest-"), 0);
    end(&d, SIGINT);
    remove_state(&d);
}

/* Killed while it wrote: the half is no record, and does not stay. */
static void half_written(void **state)
{
    static const uint8_t half[] = "half of a record";
    struct daemon d;

    (void)state;
    make_state(&d);
    write_file(d.state, "guest-0000000000001000.new", half, sizeof(half));
    write_file(d.state, "platform.new", half, sizeof(half));
    begin(&d, NULL);
    assert_int_equal(count_files(d.state, "guest-"), 0);
    rig_init(&d.rig);
    assert_int_equal(count_files(d.state, "platform"), 1);
    end(&d, SIGINT);
    remove_state(&d);
}

/* The device's end is a clean end too. */
static void device_goes(void **state)
{
    struct daemon d;

    (void)state;
    make_state(&d);
    begin(&d, NULL);
    rig_init(&d.rig);
    shutdown(d.rig.fd, SHUT_RDWR);
    assert_int_equal(finish(&d), 0);
    rig_destroy(&d.rig);
    remove_state(&d);
}

static void malformed_message(void **state)
{
    struct daemon d;

    (void)state;
    make_state(&d);
    begin(&d, NULL);
    assert_int_equal(send(d.rig.fd, "0123456789", 10, 0), 10);
    assert_int_equal(finish(&d), 1);
    assert_non_null(strstr(d.said, "cannot take a request of 10 bytes"));
    rig_destroy(&d.rig);
    remove_state(&d);
}

static void second_instance(void **state)
{
    struct daemon first, second;
    char pid[32];

    (void)state;
    make_state(&first);
    begin(&first, NULL);
    memset(&second, 0, sizeof(second));
    memcpy(second.state, first.state, sizeof(second.state));
    assert_int_equal(run(&second, NULL), 1);
    snprintf(pid, sizeof(pid), "(process %d)", (int)first.pid);
    assert_non_null(strstr(second.said, "in use by another bawn-platformd"));
    assert_non_null(strstr(second.said, pid));
    end(&first, SIGTERM);
    begin(&first, NULL); /* and the lock is gone with it */
    end(&first, SIGTERM);
    remove_state(&first);
}

static void modes(void **state)
{
    static const char *const files[] = { "chip.bin", "ark.key",   "ask.key", "platform",
                                         "vcek.pem", "certs.bin", "crl.der", "cert_chain.pem" };
    const char *const setup[] = { "--setup", NULL };
    struct daemon d;
    struct stat st;

    (void)state;
    make_state(&d);
    assert_int_equal(run(&d, setup), 0);
    for (unsigned i = 0; i < COUNT(files); i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", d.state, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(chmod(d.state, 0750), 0);
    assert_int_equal(run(&d, setup), 1);
    assert_non_null(strstr(d.said, "with mode 700"));
    assert_int_equal(chmod(d.state, 0700), 0);
    remove_state(&d);
}

static void faults(void **state)
{
    static const struct {
        const char *name;
        enum bawn_verdict verdict;
    } cases[] = {
        { "wrong-tcb", BAWN_NOT_TRUSTED },
        { "revoked-vcek", BAWN_NOT_TRUSTED },
        { "invalid-signature", BAWN_NOT_TRUSTED },
        { "stale-crl", BAWN_TRUSTED },
    };
    struct bawn_snp_report report;
    struct driver driver;
    struct daemon d;

    (void)state;
    make_state(&d);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        const char *const extra[] = { "--fault", cases[i].name, "--report-version=3", NULL };

        begin(&d, extra);
        rig_init(&d.rig);
        rig_launch(&d.rig, GCTX, 1);
        driver_create(&driver, &d.rig, GCTX, 0);
        assert_int_equal(driver_report(&driver, 0, &report), BAWN_PSP_SUCCESS);
        assert_int_equal(report.version, 3);
        assert_trusted(&d, &report, cases[i].verdict);
        end(&d, SIGTERM);
    }
    remove_state(&d);
}

static void busy_and_lost(void **state)
{
    const char *const busy[] = { "--fault=busy", NULL };
    const char *const lost[] = { "--fault=lost-command", NULL };
    const struct bawn_psp_report_req in = { .vmpl = 0 };
    const struct bawn_psp_guest_request request = { page(GCTX), page(REQUEST), page(RESPONSE) };
    struct driver driver;
    struct daemon d;
    struct pollfd p;
    size_t len;

    (void)state;
    make_state(&d);
    begin(&d, busy);
    rig_init(&d.rig);
    rig_launch(&d.rig, GCTX, 1);
    driver_create(&driver, &d.rig, GCTX, 0);
    driver_seal(&driver, BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in));
    assert_true(driver_send(&driver) == BAWN_PLATFORM_BUSY);
    assert_true(driver_send(&driver) == BAWN_PLATFORM_BUSY);
    assert_int_equal(driver_send(&driver), BAWN_PSP_SUCCESS);
    end(&d, SIGTERM);
    begin(&d, lost);
    rig_init(&d.rig);
    rig_launch(&d.rig, GCTX, 1);
    driver_create(&driver, &d.rig, GCTX, 0);
    driver_seal(&driver, BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in));
    len = rig_message(&d.rig, BAWN_PSP_SNP_GUEST_REQUEST, &request, sizeof(request));
    assert_int_equal(send(d.rig.fd, d.rig.request, len, 0), len);
    p = (struct pollfd){ .fd = d.rig.fd, .events = POLLIN };
    assert_int_equal(poll(&p, 1, 200), 0);
    assert_int_equal(guest_state(&d.rig, GCTX), BAWN_PSP_GUEST_RUNNING); /* others are */
    end(&d, SIGTERM);
    remove_state(&d);
}

/* A new reported TCB has new certificates before the command is answered. */
static void new_tcb(void **state)
{
    const struct bawn_psp_config config = { .reported_tcb = 0xda18000000000004 };
    struct bawn_snp_report report;
    struct driver driver;
    struct daemon d;

    (void)state;
    make_state(&d);
    begin(&d, NULL);
    rig_init(&d.rig);
    rig_launch(&d.rig, GCTX, 1);
    driver_create(&driver, &d.rig, GCTX, 0);
    assert_int_equal(rig_command(&d.rig, BAWN_PSP_SNP_CONFIG, &config, sizeof(config)),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(driver_report(&driver, 0, &report), BAWN_PSP_SUCCESS);
    assert_int_equal(report.reported_tcb[7], 0xda);
    assert_trusted(&d, &report, BAWN_TRUSTED);
    end(&d, SIGTERM);
    remove_state(&d);
}

static void command_lines(void **state)
{
    static const struct {
        const char *args[4];
        int status;
        const char *says;
    } cases[] = {
        { { "--help", NULL }, 0, "Usage: bawn-platformd --state DIR" },
        { { "--fault", "nothing", NULL }, 64, "must be one of wrong-tcb, revoked-vcek" },
        { { "--report-version", "4", NULL }, 64, "must be 2, 3 or 5" },
        { { "--product", "Rome", NULL }, 64, "must be Milan, Genoa or Turin" },
        { { "--product", "Turin", NULL }, 64, "holds the keys of a Milan" },
        { { "--nothing", NULL }, 64, "there is no such option" },
        { { "--setup=1", NULL }, 64, "takes no value" },
        { { "--device", NULL }, 64, "needs a value" },
        { { "--device", "fd:x", NULL }, 64, "must be fd: and a number" },
        { { "--device", "fd:999", NULL }, 64, "there is no such descriptor" },
        { { "--device", "/nonexistent/device", NULL }, 1, "cannot open /nonexistent/device" },
        { { "--state=", NULL }, 64, "must name a directory" },
        { { "--state", "/nonexistent/state", NULL }, 1, "cannot make the state directory" },
    };
    struct daemon d;

    (void)state;
    make_state(&d);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        if (run(&d, cases[i].args) != cases[i].status || !strstr(d.said, cases[i].says))
            fail_msg("case %u: %s", i, d.said);
    }
    remove_state(&d);
}

/* A state directory that is broken is refused with the file's name. */
static void broken_state(void **state)
{
    const char *const setup[] = { "--setup", NULL };
    struct daemon d;
    char path[128];

    (void)state;
    make_state(&d);
    assert_int_equal(run(&d, setup), 0);
    write_file(d.state, "guest-0000000000001000", (const uint8_t *)"torn", 4);
    assert_int_equal(run(&d, setup), 1);
    assert_non_null(strstr(d.said, "guest-0000000000001000"));
    /* What a write that was cut off left behind is no record. */
    snprintf(path, sizeof(path), "%s/guest-0000000000001000", d.state);
    unlink(path);
    write_file(d.state, "guest-0000000000001000.new", (const uint8_t *)"torn", 4);
    assert_int_equal(run(&d, setup), 0);
    snprintf(path, sizeof(path), "%s/ask.key", d.state);
    unlink(path);
    assert_int_equal(run(&d, setup), 1);
    assert_non_null(strstr(d.said, "ask.key is missing"));
    remove_state(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_survive),
        cmocka_unit_test(background),
        cmocka_unit_test(half_written),
        cmocka_unit_test(device_goes),
        cmocka_unit_test(malformed_message),
        cmocka_unit_test(second_instance),
        cmocka_unit_test(modes),
        cmocka_unit_test(faults),
        cmocka_unit_test(busy_and_lost),
        cmocka_unit_test(new_tcb),
        cmocka_unit_test(command_lines),
        cmocka_unit_test(broken_state),
    };

    return cmocka_run_group_tests_name("firmware: bawn-platformd", tests, NULL, NULL);
}
