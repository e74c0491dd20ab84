// SPDX-License-Identifier: Apache-2.0
/*
 * Streams of bytes between a guest's port and the outside, and the terminal's raw mode.
 * The guest's bytes are passed on as they are; what a terminal makes of them is its affair.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "stream.h"

#define ESCAPE 0x01 /* Ctrl-A */

static const char escape_help[] = "\r\n"
                                  "Ctrl-A x       stop the virtual machine\r\n"
                                  "Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n"
                                  "Ctrl-A h       this help\r\n";

static const char panic_text[] = "Kernel panic - not syncing";

static struct termios saved_termios;
static volatile sig_atomic_t term_is_raw;

/* A terminal of the host, on which the guest's bytes go through as they are. */
static enum bawn_status open_pty(struct bawn_stream *s, const char *what, struct bawn_error *err)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios raw;

    if (fd >= 0 && !grantpt(fd) && !unlockpt(fd) && !ptsname_r(fd, s->pty, sizeof(s->pty)))
        s->pty_fd = open(s->pty, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->pty_fd >= 0 && !tcgetattr(s->pty_fd, &raw)) {
        cfmakeraw(&raw);
        if (!tcsetattr(s->pty_fd, TCSANOW, &raw)) {
            s->in_fd = s->out_fd = fd;
            s->owned = s->impatient = true;
            return BAWN_OK;
        }
    }
    bawn_fail(err, BAWN_E_IO, "cannot make a pty for the %s: %m", what);
    if (s->pty_fd >= 0)
        close(s->pty_fd);
    if (fd >= 0)
        close(fd);
    s->pty[0] = '\0';
    return BAWN_E_IO;
}

enum bawn_status bawn_stream_open(struct bawn_stream *s, const struct bawn_stream_config *cfg,
                                  const char *what, struct bawn_error *err)
{
    memset(s, 0, sizeof(*s));
    s->in_fd = s->out_fd = s->pty_fd = -1;
    s->tail =
        mmap(NULL, sizeof(*s->tail), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->tail == MAP_FAILED) {
        s->tail = NULL;
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the %s", what);
    }
    if (cfg->mode == BAWN_STREAM_TTY) {
        s->in_fd = STDIN_FILENO;
        s->out_fd = STDOUT_FILENO;
        s->raw = isatty(STDIN_FILENO);
    } else if (cfg->mode == BAWN_STREAM_FILE) {
        s->out_fd = open(cfg->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0600);
        if (s->out_fd < 0)
            return bawn_fail(err, BAWN_E_IO, "cannot open %s for the %s: %m", cfg->path, what);
        s->owned = true;
    } else if (cfg->mode == BAWN_STREAM_PTY) {
        return open_pty(s, what, err);
    } else if (cfg->mode == BAWN_STREAM_SOCKET) {
        enum bawn_status st = bawn_relay_open(&s->relay, cfg->socket, &s->in_fd, err);

        s->out_fd = s->in_fd;
        s->owned = s->impatient = !st;
        return st;
    }
    return BAWN_OK;
}

void bawn_stream_close(struct bawn_stream *s)
{
    bawn_relay_close(s->relay);
    s->relay = NULL;
    if (s->owned)
        close(s->out_fd);
    if (s->pty[0])
        close(s->pty_fd);
    s->pty[0] = '\0';
    if (s->tail)
        munmap(s->tail, sizeof(*s->tail));
    s->tail = NULL;
    s->in_fd = s->out_fd = -1;
    s->owned = false;
}

static void remember(struct bawn_stream_tail *tail, const char *p, size_t len)
{
    if (!tail)
        return;
    for (size_t i = len > BAWN_STREAM_TAIL ? len - BAWN_STREAM_TAIL : 0; i < len; i++)
        tail->text[(tail->total + i) % BAWN_STREAM_TAIL] = p[i];
    tail->total += len;
}

/* Whether there may be room for output. */
static bool wait_for_room(struct bawn_stream *s)
{
    static const struct timespec patience = { 0, 200000000 };
    struct pollfd fd = { s->out_fd, POLLOUT, 0 };

    if (s->stalled)
        return false;
    s->stalled = !ppoll(&fd, 1, s->impatient ? &patience : NULL, NULL) && s->impatient;
    return !s->stalled;
}

void bawn_stream_write(struct bawn_stream *s, const void *buf, size_t len)
{
    const char *p = buf;

    remember(s->tail, p, len);
    while (s->out_fd >= 0 && len && !__atomic_load_n(&s->cut, __ATOMIC_SEQ_CST)) {
        ssize_t n = write(s->out_fd, p, len);

        if (n > 0) {
            p += n;
            len -= n;
            s->stalled = false;
        } else if (n < 0 && errno == EAGAIN) {
            if (!wait_for_room(s))
                return;
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

void bawn_stream_cut(struct bawn_stream *s, bool cut)
{
    __atomic_store_n(&s->cut, cut, __ATOMIC_SEQ_CST);
}

/* Takes the escape sequences out of buf in place; returns what is left for the guest. */
static size_t filter_escapes(struct bawn_stream *s, unsigned char *buf, size_t len, bool *quit)
{
    size_t out = 0;

    for (size_t i = 0; i < len; i++) {
        if (!s->escape) {
            if (buf[i] == ESCAPE)
                s->escape = true;
            else
                buf[out++] = buf[i];
            continue;
        }
        s->escape = false;
        if (buf[i] == ESCAPE)
            buf[out++] = ESCAPE;
        else if (buf[i] == 'x')
            *quit = true;
        else if (buf[i] == 'h')
            (void)!write(s->out_fd, escape_help, sizeof(escape_help) - 1);
    }
    return out;
}

ssize_t bawn_stream_read(struct bawn_stream *s, void *buf, size_t len, bool *quit)
{
    ssize_t n = read(s->in_fd, buf, len);

    *quit = false;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    return s->raw ? filter_escapes(s, buf, n, quit) : (size_t)n;
}

/* Whether line is "[   12.345678] Kernel panic - not syncing...", the brackets optional. */
static bool is_panic_line(const char *line)
{
    while (*line == '[') { /* the time, and on some kernels the caller */
        line += strcspn(line, "]\n");
        if (*line++ != ']')
            return false;
        line += *line == ' ';
    }
    return !strncmp(line, panic_text, sizeof(panic_text) - 1);
}

bool bawn_stream_panicked(const struct bawn_stream *s)
{
    size_t total = s->tail ? s->tail->total : 0;
    size_t len = total < BAWN_STREAM_TAIL ? total : BAWN_STREAM_TAIL;
    char text[BAWN_STREAM_TAIL + 1];
    const char *line = text;

    for (size_t i = 0; i < len; i++) {
        text[i] = s->tail->text[(total - len + i) % BAWN_STREAM_TAIL];
        if (!text[i])
            text[i] = ' ';
    }
    text[len] = '\0';
    while (line) {
        if (is_panic_line(line))
            return true;
        line = strchr(line, '\n');
        if (line)
            line++;
    }
    return false;
}

void bawn_term_restore(void)
{
    if (!term_is_raw)
        return;
    term_is_raw = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &saved_termios);
}

static void on_fatal_signal(int sig)
{
    bawn_term_restore();
    raise(sig); /* SA_RESETHAND: now with its default action */
}

static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGQUIT };

void bawn_term_forget(void)
{
    if (!term_is_raw)
        return;
    term_is_raw = 0;
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        signal(fatal[i], SIG_DFL);
}

enum bawn_status bawn_term_raw(struct bawn_error *err)
{
    struct sigaction sa = { .sa_handler = on_fatal_signal, .sa_flags = SA_RESETHAND };
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &saved_termios))
        return bawn_fail(err, BAWN_E_IO, "cannot read the terminal's mode: %m");
    raw = saved_termios;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST | ONLCR; /* so that the VMM's own lines stay readable */
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        sigaction(fatal[i], &sa, NULL);
    atexit(bawn_term_restore);
    term_is_raw = 1; /* before it is true, for a signal in between */
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
        return bawn_fail(err, BAWN_E_IO, "cannot set the terminal to raw mode: %m");
    return BAWN_OK;
}
