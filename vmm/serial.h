/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A UART (National Semiconductor PC16550D) as COM1, without the line's speed.
 */
#ifndef BAWN_VMM_SERIAL_H
#define BAWN_VMM_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"

#define BAWN_SERIAL_FIFO 16
#define BAWN_SERIAL_SIZE 8 /* I/O ports */

struct bawn_serial_ops {
    void (*transmit)(void *opaque, uint8_t byte);
    void (*irq)(void *opaque, bool level);
    /* The guest took bytes or opened the port: bawn_serial_room() grew. */
    void (*want_input)(void *opaque);
};

struct bawn_serial {
    const struct bawn_serial_ops *ops;
    void *opaque; /* borrowed, passed to the ops */
    uint8_t ier, fcr, lcr, mcr, scratch, dll, dlm;
    bool thr_empty; /* the transmitter-empty interrupt is pending */
    bool overrun;
    uint8_t rx[BAWN_SERIAL_FIFO];
    unsigned rx_head, rx_len;
};

/* In a snapshot (state.h). */
struct bawn_serial_state {
    uint8_t ier, fcr, lcr, mcr, scratch, dll, dlm;
    uint8_t thr_empty, overrun;
    uint8_t rx[BAWN_SERIAL_FIFO]; /* the first comes first */
    uint8_t rx_len;
};

extern const struct bawn_bus_ops bawn_serial_bus_ops;

void bawn_serial_init(struct bawn_serial *s, const struct bawn_serial_ops *ops, void *opaque);
/* How many bytes bawn_serial_receive() would take; 0 until the guest listens, so that
 * input which comes early waits outside instead of being flushed by the guest's driver. */
unsigned bawn_serial_room(const struct bawn_serial *s);
void bawn_serial_receive(struct bawn_serial *s, const uint8_t *buf, unsigned len);
void bawn_serial_save(const struct bawn_serial *s, struct bawn_serial_state *state);
/* Drives nothing. False: there is no such state. */
bool bawn_serial_load(struct bawn_serial *s, const struct bawn_serial_state *state);

#endif
