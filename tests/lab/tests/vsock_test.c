// SPDX-License-Identifier: Apache-2.0
/*
 * vsock DEVICE [OPTION...]: virtio sockets of an unmodified Debian guest under `bawn run`, with 16 MiB
 * in each direction over a connection of either side's making. The options go to bawn run.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../guest-initrd/pattern.h"

#define SOCKET "/tmp/lab.vsock"
#define OUTPUT "/tmp/lab.vsock.out"
#define TEXT_MAX 65536
#define ARGS_MAX 48

static unsigned points;
static pid_t vmm;

static bool check(bool good, const char *what)
{
    printf("%sok %u - %s\n", good ? "" : "not ", ++points, what);
    fflush(stdout);
    return good;
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    return a;
}

static int listen_on(const char *path)
{
    const struct sockaddr_un at = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlink(path);
    return bind(fd, (const struct sockaddr *)&at, sizeof(at)) || listen(fd, 1) ? -1 : fd;
}

/* To the guest's port; -1 if nobody there takes it. */
static int reach(unsigned port)
{
    const struct sockaddr_un to = address(SOCKET);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[64];
    size_t n = (size_t)snprintf(line, sizeof(line), "CONNECT %u\n", port);

    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) || !send_all(fd, line, n)) {
        close(fd);
        return -1;
    }
    for (n = 0; n < sizeof(line) && read(fd, &line[n], 1) == 1 && line[n] != '\n'; n++)
        ;
    if (n < 4 || n == sizeof(line) || memcmp(line, "OK ", 3)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The host says how slow it is. */
static unsigned slower(void)
{
    const char *times = getenv("LAB_SLOWER");

    return times ? (unsigned)atoi(times) : 1;
}

static void start(const char *device, int nr, char **options)
{
    char seconds[16];
    char *args[ARGS_MAX] = { "bawn", "run", "--device", (char *)device, "--kernel",
                             "/lab/guest/vmlinuz", "--initrd", "/lab/guest/initrd", "--memory",
                             "256M", "--timeout", seconds, "--vsock", "cid=3,socket=" SOCKET,
                             "--cmdline", "console=ttyS0 panic=-1 bawn.test=vsock" };
    int n = 0;

    snprintf(seconds, sizeof(seconds), "%u", 140 * slower());
    while (args[n])
        n++;
    for (int i = 0; i < nr && n < ARGS_MAX - 1; i++)
        args[n++] = options[i];
    vmm = fork();
    if (vmm)
        return;
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    dup2(1, 2);
    execvp(args[0], args);
    _exit(127);
}

static bool guest_says(const char *text)
{
    static char out[TEXT_MAX];
    ssize_t n;
    int fd = open(OUTPUT, O_RDONLY);

    n = fd < 0 ? 0 : read(fd, out, sizeof(out) - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return strstr(out, text);
}

static void *send_echo(void *fd)
{
    bool good = pattern_send(*(int *)fd, 3) && !shutdown(*(int *)fd, SHUT_WR);

    return good ? fd : NULL;
}

static void show_output(void)
{
    if (system("grep -v '^$' " OUTPUT " | tail -n 12 | tr -d '\\r' | sed 's/^/# /'"))
        return;
}

int main(int argc, char **argv)
{
    int listener = listen_on(SOCKET "_1000"), status = -1, fd;
    pthread_t sender;
    void *sent = NULL;

    printf("1..8\n");
    signal(SIGPIPE, SIG_IGN);
    alarm((argc > 2 ? 590 : 145) * slower());
    unlink(SOCKET);
    start(argv[1], argc - 2, argv + 2);
    fd = accept(listener, NULL, NULL);
    check(fd >= 0, "the guest connects to the host");
    check(pattern_send(fd, 1), "16 MiB go to the guest");
    check(pattern_receive(fd, 2), "16 MiB come from the guest");
    check(read(fd, &(char){ 0 }, 1) == 0, "and then the guest's end of the stream");
    close(fd);
    check(reach(PORT_NOBODY) < 0, "nobody listens on another port of the guest");
    fd = reach(PORT_ECHO);
    pthread_create(&sender, NULL, send_echo, &fd);
    check(fd >= 0 && pattern_receive(fd, 3), "16 MiB come back over the host's connection");
    pthread_join(sender, &sent);
    check(sent && read(fd, &(char){ 0 }, 1) == 0, "and then the end of the stream");
    close(fd);
    waitpid(vmm, &status, 0);
    check(status == 0 && guest_says("guest: vsock ok both ways") && access(SOCKET, F_OK),
          "the guest is content; the socket has gone");
    show_output();
    return 0;
}
