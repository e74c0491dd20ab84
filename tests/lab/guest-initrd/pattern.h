/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of bytes that guest and lab host both know, to send and to expect.
 */
#ifndef BAWN_LAB_PATTERN_H
#define BAWN_LAB_PATTERN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATTERN_BYTES (16u << 20)
#define PATTERN_STEP 65536u

/* Who listens where: the host for the guest's data and verdict, nobody, the guest for an echo. */
#define PORT_DATA 1000
#define PORT_NOBODY 1001
#define PORT_ECHO 2000

struct pattern {
    uint64_t state;
};

/* The next step of the stream (xorshift64, Marsaglia 2003). */
static inline void pattern_next(struct pattern *p, uint8_t *to)
{
    for (unsigned i = 0; i < PATTERN_STEP; i += 8) {
        p->state ^= p->state << 13;
        p->state ^= p->state >> 7;
        p->state ^= p->state << 17;
        memcpy(to + i, &p->state, 8);
    }
}

static inline bool send_all(int fd, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, (const uint8_t *)data + done, len - done, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static inline bool receive_all(int fd, void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (uint8_t *)data + done, len - done);

        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static inline bool pattern_send(int fd, uint64_t seed)
{
    static uint8_t buf[PATTERN_STEP];
    struct pattern p = { seed };

    for (unsigned done = 0; done < PATTERN_BYTES; done += PATTERN_STEP) {
        pattern_next(&p, buf);
        if (!send_all(fd, buf, sizeof(buf)))
            return false;
    }
    return true;
}

static inline bool pattern_receive(int fd, uint64_t seed)
{
    static uint8_t buf[PATTERN_STEP], want[PATTERN_STEP];
    struct pattern p = { seed };

    for (unsigned done = 0; done < PATTERN_BYTES; done += PATTERN_STEP) {
        pattern_next(&p, want);
        if (!receive_all(fd, buf, sizeof(buf)) || memcmp(buf, want, sizeof(buf)))
            return false;
    }
    return true;
}

#endif
