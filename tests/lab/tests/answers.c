/* SPDX-License-Identifier: Apache-2.0 */
/* The answers file of a test program that runs on two devices (answers.h). */
#define _GNU_SOURCE
#include "answers.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int answers = -1;

int answers_open(int argc, char **argv)
{
    if (argc < 3 || (answers = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644)) < 0) {
        printf("Bail out! usage: %s DEVICE ANSWERS [ARGUMENT]\n", argv[0]);
        exit(2);
    }
    memmove(argv + 2, argv + 3, (size_t)(argc - 2) * sizeof(*argv));
    return argc - 1;
}

void answer(const char *name, const char *fmt, ...)
{
    char line[1024];
    int n = snprintf(line, sizeof(line), "%s: ", name), m;
    va_list ap;

    va_start(ap, fmt);
    m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    n += m < (int)sizeof(line) - n - 1 ? m : (int)sizeof(line) - n - 2;
    line[n++] = '\n';
    if (write(answers, line, (size_t)n) != n)
        abort();
}

const char *answer_text(int ret)
{
    static char number[16];
    const char *name = ret < 0 ? strerrorname_np(-ret) : NULL;

    if (name)
        return name;
    snprintf(number, sizeof(number), "%d", ret);
    return number;
}
