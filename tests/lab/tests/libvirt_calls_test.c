// SPDX-License-Identifier: Apache-2.0
/*
 * What libvirt's ch driver says to its hypervisor, byte for byte as it was recorded
 * (libvirt_calls.h), said to Bawn: the machine that virsh would have had lives as it would have,
 * and the events are those that the driver waits for. make libvirt-test is the same with libvirt
 * itself.
 */
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "libvirt_calls.h"

#define DIR "/tmp/libvirt"
#define LIMIT 200 /* seconds for a guest's boot */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static pid_t vmm;
static bool failed;
static int events_fd, tap_fd, api[3];
static char answer[65536], events[8192], console[65536];

__attribute__((format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
    va_list ap;

    failed = true;
    va_start(ap, fmt);
    printf("# ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
}

static bool too_late(time_t since)
{
    const char *text = getenv("LAB_SLOWER");

    return time(NULL) - since > LIMIT * (text ? atoi(text) : 1);
}

/* ---- the program, as libvirt starts it ---- */

static void begin(void)
{
    const struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = DIR "/one-socket" };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    char number[16];

    unlink(at.sun_path);
    unlink(DIR "/events");
    if (bind(listener, (const struct sockaddr *)&at, sizeof(at)) || listen(listener, 1) ||
        mkfifo(DIR "/events", 0600))
        fail("%s: %m", DIR);
    snprintf(number, sizeof(number), "fd=%d", listener);
    vmm = fork();
    if (!vmm) {
        int log = open(DIR "/log", O_WRONLY | O_CREAT | O_APPEND, 0600);

        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        execl("/bin/bawn", "cloud-hypervisor", "--api-socket", number, "--event-monitor",
              "path=" DIR "/events", NULL);
        _exit(127);
    }
    close(listener);
    events_fd = open(DIR "/events", O_RDONLY);
    fcntl(events_fd, F_SETFL, O_NONBLOCK);
    events[0] = '\0';
    for (unsigned i = 0; i < ARRAY_SIZE(api); i++)
        api[i] = -1;
}

/* The driver kills nothing: it removes what it made. */
static void end(void)
{
    int status;

    unlink(DIR "/events");
    waitpid(vmm, &status, 0);
    close(events_fd);
    for (unsigned i = 0; i < ARRAY_SIZE(api); i++) {
        if (api[i] >= 0)
            close(api[i]);
    }
}

/* "source:event " of each that came. */
static void hear_events(void)
{
    static char text[8192];
    ssize_t n = read(events_fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    for (char *at = text; (at = strstr(at, "\"source\":\"")); at++) {
        char source[16], event[32];
        size_t len = strlen(events);

        if (sscanf(at, "\"source\":\"%15[a-z]\",\"event\":\"%31[a-z]\"", source, event) == 2)
            snprintf(events + len, sizeof(events) - len, "%s:%s ", source, event);
    }
}

static void wait_event(const char *event)
{
    time_t since = time(NULL);

    while (hear_events(), !strstr(events, event)) {
        if (too_late(since)) {
            fail("no event %s in: %s", event, events);
            return;
        }
        usleep(20000);
    }
}

/* ---- requests ---- */

static int connection(unsigned number)
{
    const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = DIR "/one-socket" };

    if (api[number] < 0) {
        api[number] = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(api[number], (const struct sockaddr *)&to, sizeof(to)))
            fail("connect: %m");
    }
    return api[number];
}

static void send_with_tap(int fd, const char *text, bool tap)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } files = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec v = { (char *)text, strlen(text) };
    struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

    memcpy(CMSG_DATA(&files.head), &tap_fd, sizeof(tap_fd));
    if (tap) {
        msg.msg_control = &files;
        msg.msg_controllen = sizeof(files);
    }
    if (sendmsg(fd, &msg, MSG_NOSIGNAL) != (ssize_t)v.iov_len)
        fail("sendmsg: %m");
}

static void read_answer(int fd)
{
    size_t n = 0, want = 1;

    while (n < want) {
        ssize_t part = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);
        char *body, *length;

        if (part <= 0)
            break;
        n += (size_t)part;
        answer[n] = '\0';
        body = strstr(answer, "\r\n\r\n");
        length = strstr(answer, "Content-Length: ");
        want = !body ? n + 1
                     : (size_t)(body + 4 - answer) + (length ? strtoul(length + 16, NULL, 10) : 0);
    }
    answer[n] = '\0';
}

static void play(enum libvirt_step step)
{
    for (size_t i = 0; i < ARRAY_SIZE(libvirt_calls); i++) {
        const struct libvirt_call *c = &libvirt_calls[i];
        int fd;

        if (c->step != step)
            continue;
        fd = connection(c->connection);
        send_with_tap(fd, c->text, c->tap);
        read_answer(fd);
        if (strncmp(answer, "HTTP/1.1 20", 11))
            fail("%.40s: %.300s", c->text, answer);
    }
}

/* ---- the guest ---- */

/* The terminal that vm.info names, as the driver finds it. */
static int open_pty(void)
{
    char *serial = strstr(answer, "\"serial\":"),
         *file = serial ? strstr(serial, "\"file\":") : NULL;
    char path[64] = "";
    int fd;

    if (file)
        sscanf(file, "\"file\": \"%63[^\"]", path);
    fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        fail("the serial port is at \"%s\": %m; vm.info: %.500s", path, answer);
    console[0] = '\0';
    return fd;
}

static bool sees(int fd, const char *words)
{
    time_t since = time(NULL);

    for (;;) {
        size_t len = strlen(console);
        ssize_t n = read(fd, console + len, sizeof(console) - 1 - len);

        console[len + (n > 0 ? (size_t)n : 0)] = '\0';
        if (strstr(console, words))
            return true;
        if (too_late(since))
            return false;
        usleep(20000);
    }
}

static bool is_quiet(int fd)
{
    char text[4096];

    sleep(1);
    while (read(fd, text, sizeof(text)) > 0)
        ;
    sleep(4);
    return read(fd, text, sizeof(text)) <= 0;
}

/* ---- what virsh does ---- */

static int pty;

static void test_start(void)
{
    begin();
    play(LIBVIRT_START);
    pty = open_pty();
    if (!strstr(answer, "\"state\":\"Running\"") || !strstr(answer, "\"console\":"))
        fail("vm.info: %.500s", answer);
    if (!sees(pty, "guest: button waits"))
        fail("the guest does not come up: ...%s", console);
}

static void test_suspend_resume(void)
{
    play(LIBVIRT_SUSPEND);
    if (!is_quiet(pty))
        fail("the guest goes on");
    play(LIBVIRT_RESUME);
    console[0] = '\0';
    if (!sees(pty, "guest: tick"))
        fail("the guest does not go on");
}

static void test_reboot(void)
{
    console[0] = '\0';
    play(LIBVIRT_REBOOT);
    wait_event("vm:rebooted");
    play(LIBVIRT_REBOOTED);
    if (!sees(pty, "guest: button waits"))
        fail("the guest does not come up again: ...%s", console);
}

/* The second process goes on where the first was. */
static void test_save_restore(void)
{
    mkdir(DIR "/saved", 0770);
    play(LIBVIRT_SAVE);
    close(pty);
    end();
    begin();
    play(LIBVIRT_RESTORE);
    pty = open_pty();
    if (!strstr(answer, "\"state\":\"Paused\""))
        fail("vm.info: %.500s", answer);
    play(LIBVIRT_RESTORED);
    if (!sees(pty, "guest: tick"))
        fail("the guest does not go on: ...%s", console);
    if (strstr(console, "guest: up"))
        fail("the guest was booted");
}

static void test_shutdown(void)
{
    hear_events();
    play(LIBVIRT_SHUTDOWN);
    wait_event("vm:shutdown");
    close(pty);
    end();
    if (strcmp(events, "vmm:starting vm:restoring vm:booting vm:restored vm:paused vm:resuming "
                       "vm:resumed vm:shutdown "))
        fail("events: %s", events);
}

static bool prepare(void)
{
    static char block[1 << 20];
    struct ifreq ifr = { .ifr_name = "lab0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    int disk, key;

    mkdir(DIR, 0700);
    key = open(DIR "/key", O_WRONLY | O_CREAT, 0600);
    disk = open(DIR "/disk", O_WRONLY | O_CREAT, 0600);
    tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    setenv("BAWN_SNAPSHOT_KEY", DIR "/key", 1);
    if (key < 0 || write(key, block, 32) != 32 || disk < 0 ||
        write(disk, block, sizeof(block)) != sizeof(block) || tap_fd < 0 ||
        ioctl(tap_fd, TUNSETIFF, &ifr)) {
        printf("Bail out! disk or tap: %m\n");
        return false;
    }
    close(key);
    close(disk);
    return true;
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        { "start: create, add-net with a tap, boot, info", test_start },
        { "suspend and resume", test_suspend_resume },
        { "reboot", test_reboot },
        { "save and restore", test_save_restore },
        { "shutdown", test_shutdown },
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%zu\n", ARRAY_SIZE(tests));
    if (!prepare())
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        failed = false;
        tests[i].run();
        printf("%sok %zu - %s\n", failed ? "not " : "", i + 1, tests[i].name);
    }
    if (system("sed 's/^/# bawn: /' " DIR "/log"))
        return 1;
    return 0;
}
