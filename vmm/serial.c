// SPDX-License-Identifier: Apache-2.0
/*
 * The UART's registers. Register values come from the guest; the caller holds the
 * machine's lock.
 */
#include <string.h>

#include "serial.h"

/* Register offsets (PC16550D, table II) */
enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RX 0x01
#define IER_THRE 0x02
#define IER_LINE 0x04
#define IER_MASK 0x0f

#define IIR_NONE 0x01
#define IIR_THRE 0x02
#define IIR_RX 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO 0xc0

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_TRIGGER_SHIFT 6

#define LCR_DLAB 0x80

#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DATA 0x01
#define LSR_OVERRUN 0x02
#define LSR_THR_EMPTY 0x20
#define LSR_IDLE 0x40

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80

static unsigned rx_size(const struct bawn_serial *s)
{
    return s->fcr & FCR_ENABLE ? BAWN_SERIAL_FIFO : 1;
}

static uint8_t pending(const struct bawn_serial *s)
{
    static const uint8_t trigger[] = { 1, 4, 8, 14 };

    if ((s->ier & IER_LINE) && s->overrun)
        return IIR_LINE;
    if ((s->ier & IER_RX) && s->rx_len) {
        /* Fewer bytes than the trigger level: more would have come by now, so time out. */
        if ((s->fcr & FCR_ENABLE) && s->rx_len < trigger[s->fcr >> FCR_TRIGGER_SHIFT])
            return IIR_TIMEOUT;
        return IIR_RX;
    }
    if ((s->ier & IER_THRE) && s->thr_empty)
        return IIR_THRE;
    return IIR_NONE;
}

static void update_irq(struct bawn_serial *s)
{
    s->ops->irq(s->opaque, pending(s) != IIR_NONE);
}

void bawn_serial_init(struct bawn_serial *s, const struct bawn_serial_ops *ops, void *opaque)
{
    memset(s, 0, sizeof(*s));
    s->ops = ops;
    s->opaque = opaque;
    s->dll = 1; /* 115200 baud */
}

unsigned bawn_serial_room(const struct bawn_serial *s)
{
    unsigned size = rx_size(s);

    if (!(s->ier & IER_RX) || (s->mcr & MCR_LOOP) || s->rx_len >= size)
        return 0;
    return size - s->rx_len;
}

static void push(struct bawn_serial *s, uint8_t byte)
{
    if (s->rx_len >= rx_size(s)) {
        s->overrun = true;
        return;
    }
    s->rx[(s->rx_head + s->rx_len++) % BAWN_SERIAL_FIFO] = byte;
}

void bawn_serial_receive(struct bawn_serial *s, const uint8_t *buf, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        push(s, buf[i]);
    update_irq(s);
}

static uint8_t read_rbr(struct bawn_serial *s)
{
    uint8_t byte;

    if (!s->rx_len)
        return 0;
    byte = s->rx[s->rx_head];
    s->rx_head = (s->rx_head + 1) % BAWN_SERIAL_FIFO;
    s->rx_len--;
    update_irq(s);
    if (!s->rx_len)
        s->ops->want_input(s->opaque);
    return byte;
}

static uint8_t read_iir(struct bawn_serial *s)
{
    uint8_t iir = pending(s);

    if (iir == IIR_THRE) {
        s->thr_empty = false;
        update_irq(s);
    }
    return iir | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct bawn_serial *s)
{
    uint8_t lsr = LSR_THR_EMPTY | LSR_IDLE;

    if (s->rx_len)
        lsr |= LSR_DATA;
    if (s->overrun) {
        lsr |= LSR_OVERRUN;
        s->overrun = false;
        update_irq(s);
    }
    return lsr;
}

static uint8_t read_msr(const struct bawn_serial *s)
{
    if (!(s->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    /* Loopback: DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD. */
    return (s->mcr & 1 ? MSR_DSR : 0) | (s->mcr & 2 ? MSR_CTS : 0) | (s->mcr & 4 ? MSR_RI : 0) |
           (s->mcr & 8 ? MSR_DCD : 0);
}

static uint64_t serial_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_serial *s = opaque;

    (void)len;
    switch (off) {
    case RBR_THR:
        return s->lcr & LCR_DLAB ? s->dll : read_rbr(s);
    case IER:
        return s->lcr & LCR_DLAB ? s->dlm : s->ier;
    case IIR_FCR:
        return read_iir(s);
    case LCR:
        return s->lcr;
    case MCR:
        return s->mcr;
    case LSR:
        return read_lsr(s);
    case MSR:
        return read_msr(s);
    default:
        return s->scratch;
    }
}

static void write_thr(struct bawn_serial *s, uint8_t byte)
{
    /* Drop the line first: its next rise is the edge that the I/O APIC sees. */
    s->thr_empty = false;
    update_irq(s);
    if (s->mcr & MCR_LOOP)
        push(s, byte);
    else
        s->ops->transmit(s->opaque, byte);
    s->thr_empty = true;
    update_irq(s);
}

static void write_ier(struct bawn_serial *s, uint8_t val)
{
    uint8_t rose = val & ~s->ier;

    s->ier = val & IER_MASK;
    if (rose & IER_THRE)
        s->thr_empty = true;
    update_irq(s);
    if (rose & IER_RX)
        s->ops->want_input(s->opaque);
}

static void write_fcr(struct bawn_serial *s, uint8_t val)
{
    if (val & FCR_CLEAR_RX)
        s->rx_len = 0;
    s->fcr = val & (FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT);
    update_irq(s);
    s->ops->want_input(s->opaque);
}

static void serial_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_serial *s = opaque;

    (void)len;
    switch (off) {
    case RBR_THR:
        if (s->lcr & LCR_DLAB)
            s->dll = val;
        else
            write_thr(s, val);
        break;
    case IER:
        if (s->lcr & LCR_DLAB)
            s->dlm = val;
        else
            write_ier(s, val);
        break;
    case IIR_FCR:
        write_fcr(s, val);
        break;
    case LCR:
        s->lcr = val;
        break;
    case MCR:
        s->mcr = val & MCR_MASK;
        s->ops->want_input(s->opaque);
        break;
    case SCR:
        s->scratch = val;
        break;
    }
}

void bawn_serial_save(const struct bawn_serial *s, struct bawn_serial_state *state)
{
    *state = (struct bawn_serial_state){
        .ier = s->ier,
        .fcr = s->fcr,
        .lcr = s->lcr,
        .mcr = s->mcr,
        .scratch = s->scratch,
        .dll = s->dll,
        .dlm = s->dlm,
        .thr_empty = s->thr_empty,
        .overrun = s->overrun,
        .rx_len = (uint8_t)s->rx_len,
    };
    for (unsigned i = 0; i < s->rx_len; i++)
        state->rx[i] = s->rx[(s->rx_head + i) % BAWN_SERIAL_FIFO];
}

bool bawn_serial_load(struct bawn_serial *s, const struct bawn_serial_state *state)
{
    s->ier = state->ier & IER_MASK;
    s->fcr = state->fcr & (FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT);
    s->lcr = state->lcr;
    s->mcr = state->mcr & MCR_MASK;
    s->scratch = state->scratch;
    s->dll = state->dll;
    s->dlm = state->dlm;
    s->thr_empty = state->thr_empty;
    s->overrun = state->overrun;
    if (state->rx_len > BAWN_SERIAL_FIFO)
        return false;
    memcpy(s->rx, state->rx, sizeof(s->rx));
    s->rx_head = 0;
    s->rx_len = state->rx_len;
    return true;
}

const struct bawn_bus_ops bawn_serial_bus_ops = { serial_read, serial_write };
