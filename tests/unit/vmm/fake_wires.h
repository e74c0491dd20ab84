/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wires that end in counters, and a loop that turns when told to, for tests of interrupt
 * controllers and devices.
 */
#ifndef BAWN_TEST_FAKE_WIRES_H
#define BAWN_TEST_FAKE_WIRES_H

#include <poll.h>
#include <string.h>

#include "loop.h"
#include "wires.h"

static struct {
    unsigned nr_msi;
    uint64_t addr;
    uint32_t data;
    struct {
        bool on;
        uint64_t addr;
        uint32_t data;
        int fd;
    } gsi[BAWN_MAX_GSI];
    unsigned doorbells; /* ioeventfds that are on */
} wired;

static void fake_msi(void *opaque, uint64_t addr, uint32_t data)
{
    (void)opaque;
    wired.nr_msi++;
    wired.addr = addr;
    wired.data = data;
}

static void fake_route(void *opaque, unsigned gsi, bool on, uint64_t addr, uint32_t data)
{
    (void)opaque;
    wired.gsi[gsi].on = on;
    wired.gsi[gsi].addr = addr;
    wired.gsi[gsi].data = data;
}

static int fake_irqfd(void *opaque, unsigned gsi, int fd, bool on)
{
    (void)opaque;
    wired.gsi[gsi].fd = on ? fd : -1;
    return 0;
}

static int fake_ioeventfd(void *opaque, uint64_t gpa, int fd, bool on)
{
    (void)opaque, (void)gpa, (void)fd;
    wired.doorbells += on ? 1 : -1;
    return 0;
}

static const struct bawn_wires_ops fake_ops = { fake_msi, fake_route, fake_irqfd, fake_ioeventfd };

static inline void fake_wires_init(struct bawn_wires *wires)
{
    memset(&wired, 0, sizeof(wired));
    *wires = (struct bawn_wires){ &fake_ops, NULL, BAWN_IOAPIC_PINS };
}

#define TURNS_MAX 8 /* a device may have more to do, time and again */

/* What the machine's and the device's loops do. */
static inline void turn_loop(struct bawn_loop *loop)
{
    struct pollfd fds[BAWN_LOOP_MAX];

    for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
        unsigned nr = loop->nr;

        if (bawn_loop_has_ring(loop)) {
            bawn_loop_turn(loop, false);
            continue;
        }

        for (unsigned i = 0; i < nr; i++)
            fds[i] =
                (struct pollfd){ bawn_loop_heard(loop, i) ? loop->watch[i].fd : -1, POLLIN, 0 };
        if (poll(fds, nr, 0) <= 0)
            return;
        for (unsigned i = 0; i < nr; i++) {
            if (fds[i].revents && bawn_loop_heard(loop, i))
                bawn_loop_call(loop, i);
        }
    }
}

#endif
