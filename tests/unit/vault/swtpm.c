// SPDX-License-Identifier: Apache-2.0
/* See the header. */
#include "tests/unit/vault/swtpm.h"
#include "tests/unit/temporary.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int swtpm_run(const struct swtpm *tpm, const char *fmt, ...)
{
    char command[8192];
    va_list ap;
    int n = snprintf(command, sizeof(command), "cd %s && export TPM2TOOLS_TCTI=%s && ", tpm->dir,
                     tpm->tcti);

    va_start(ap, fmt);
    vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
    va_end(ap);
    return system(command);
}

/* 0: it listens; -1: it ended, as where somebody else has a port, or says nothing. */
static int start_at(struct swtpm *tpm, int base)
{
    char control[32], server[32], place[80];

    snprintf(control, sizeof(control), "type=tcp,port=%d", base + 1);
    snprintf(server, sizeof(server), "type=tcp,port=%d", base);
    snprintf(place, sizeof(place), "dir=%s", tpm->dir);
    snprintf(tpm->tcti, sizeof(tpm->tcti), "swtpm:host=127.0.0.1,port=%d", base);
    tpm->pid = fork();
    if (!tpm->pid) {
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", place, "--server", server,
               "--ctrl", control, "--flags", "not-need-init,startup-clear", NULL);
        _exit(127);
    }
    for (int i = 0; i < 100; i++) {
        if (waitpid(tpm->pid, NULL, WNOHANG)) {
            tpm->pid = 0;
            return -1;
        }
        if (!swtpm_run(tpm, "tpm2_getrandom --hex 8 >/dev/null 2>&1") &&
            !waitpid(tpm->pid, NULL, WNOHANG)) /* ours answered, not another on its port */
            return 0;
        usleep(50000);
    }
    return -1;
}

#define PORTS 5 /* tries */

int swtpm_start(struct swtpm *tpm)
{
    *tpm = (struct swtpm){ 0 };
    if (!mkdtemp(temporary(tpm->dir, sizeof(tpm->dir), "tpm")))
        return -1;
    for (int i = 0; i < PORTS; i++) {
        if (!start_at(tpm, 20000 + (getpid() + 2011 * i) % 12000))
            return 0;
        if (tpm->pid)
            return -1;
    }
    return -1;
}

int swtpm_stop(struct swtpm *tpm)
{
    char command[96];

    if (tpm->pid > 0) {
        kill(tpm->pid, SIGTERM);
        waitpid(tpm->pid, NULL, 0);
    }
    snprintf(command, sizeof(command), "rm -rf %s", tpm->dir);
    return system(command);
}

size_t swtpm_file(const struct swtpm *tpm, const char *name, uint8_t *data, size_t size)
{
    char path[128];
    size_t len = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", tpm->dir, name);
    f = fopen(path, "rb");
    if (f) {
        len = fread(data, 1, size, f);
        fclose(f);
    }
    return len;
}
