// SPDX-License-Identifier: Apache-2.0
/*
 * Ports of the fixed platform in launch.h. Values come from the guest; the caller holds
 * the machine's lock.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "launch.h"
#include "platform.h"

#define SLEEP_BITS 0x3c /* ACPI 6.5, section 4.8.3.7: SLP_EN and SLP_TYP */
#define RESET_CPU 0x04  /* port 0xcf9: a rise of this bit resets */

/* pvpanic: which events the device knows, and the guest reports */
#define PANIC_PANICKED 0x01
#define PANIC_CRASH_LOADED 0x02

/* MC146818 registers and bits */
enum {
    CMOS_SECONDS = 0x00,
    CMOS_MINUTES = 0x02,
    CMOS_HOURS = 0x04,
    CMOS_WEEKDAY = 0x06,
    CMOS_DAY = 0x07,
    CMOS_MONTH = 0x08,
    CMOS_YEAR = 0x09,
    CMOS_A = 0x0a,
    CMOS_B = 0x0b,
    CMOS_D = 0x0d,
    CMOS_CENTURY = 0x32,
};

#define CMOS_A_32KHZ 0x26
#define CMOS_B_24H 0x02
#define CMOS_B_SETTABLE 0x89 /* SET, SQWE, DSE: always BCD and 24 h, never an interrupt */
#define CMOS_D_VALID 0x80

static uint64_t power_read(void *opaque, uint64_t off, unsigned len)
{
    (void)opaque, (void)off, (void)len;
    return 0;
}

static void power_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_platform *p = opaque;

    (void)len;
    if (off == 0 && (val & SLEEP_BITS) == BAWN_POWER_OFF)
        p->end(p->opaque, BAWN_END_POWEROFF, "the guest powered off");
}

static void reset_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_platform *p = opaque;

    (void)off, (void)len;
    if (val & RESET_CPU)
        p->end(p->opaque, BAWN_END_RESET, "the guest reset itself");
}

static uint64_t panic_read(void *opaque, uint64_t off, unsigned len)
{
    (void)opaque, (void)off, (void)len;
    return PANIC_PANICKED | PANIC_CRASH_LOADED;
}

static void panic_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_platform *p = opaque;

    (void)off, (void)len;
    if (val & PANIC_PANICKED) {
        p->end(p->opaque, BAWN_END_PANIC, "the guest panicked (pvpanic)");
    } else if ((val & PANIC_CRASH_LOADED) && !p->crash_told) {
        fprintf(stderr, "bawn: the guest panicked and starts its crash kernel\n");
        p->crash_told = true;
    }
}

bool bawn_reset_by_triple_fault(const char *cmdline)
{
    static const char name[] = "reboot=";
    const char *word = cmdline ? cmdline : "";

    for (; *word; word += strcspn(word, " "), word += strspn(word, " ")) {
        if (strncmp(word, name, sizeof(name) - 1))
            continue;
        /* A list of modes and types, each known by its first letter. */
        for (const char *p = word + sizeof(name) - 1; *p && *p != ' '; p++) {
            if (*p == 't' && (p[-1] == '=' || p[-1] == ','))
                return true;
        }
    }
    return false;
}

static uint8_t bcd(int n)
{
    return (n / 10 % 10) << 4 | n % 10;
}

static uint64_t cmos_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_platform *p = opaque;
    time_t now = time(NULL);
    struct tm tm;

    (void)len;
    if (off == 0)
        return p->cmos_index;
    gmtime_r(&now, &tm);
    p->cmos[CMOS_SECONDS] = bcd(tm.tm_sec);
    p->cmos[CMOS_MINUTES] = bcd(tm.tm_min);
    p->cmos[CMOS_HOURS] = bcd(tm.tm_hour);
    p->cmos[CMOS_WEEKDAY] = tm.tm_wday + 1;
    p->cmos[CMOS_DAY] = bcd(tm.tm_mday);
    p->cmos[CMOS_MONTH] = bcd(tm.tm_mon + 1);
    p->cmos[CMOS_YEAR] = bcd(tm.tm_year % 100);
    p->cmos[CMOS_CENTURY] = bcd((tm.tm_year + 1900) / 100);
    return p->cmos[p->cmos_index];
}

static void cmos_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_platform *p = opaque;

    (void)len;
    if (off == 0)
        p->cmos_index = val & 0x7f;
    else if (p->cmos_index == CMOS_B)
        p->cmos[CMOS_B] = (val & CMOS_B_SETTABLE) | CMOS_B_24H;
    else if (p->cmos_index < CMOS_A || p->cmos_index > CMOS_D)
        p->cmos[p->cmos_index] = val; /* setting the clock has no effect: it is the host's */
}

static const struct bawn_bus_ops power_ops = { power_read, power_write };
static const struct bawn_bus_ops reset_ops = { power_read, reset_write };
static const struct bawn_bus_ops panic_ops = { panic_read, panic_write };
static const struct bawn_bus_ops cmos_ops = { cmos_read, cmos_write };

int bawn_platform_init(struct bawn_platform *p, struct bawn_bus *pio,
                       void (*end)(void *, enum bawn_end, const char *), void *opaque)
{
    static const struct {
        uint16_t port;
        uint16_t size;
        const struct bawn_bus_ops *ops;
    } ports[] = {
        { BAWN_POWER_PORT, 2, &power_ops }, /* control, status */
        { BAWN_RESET_PORT, 1, &reset_ops },
        { BAWN_PANIC_PORT, 1, &panic_ops },
        { BAWN_RTC_PORT, 2, &cmos_ops },
    };

    memset(p, 0, sizeof(*p));
    p->end = end;
    p->opaque = opaque;
    p->cmos[CMOS_A] = CMOS_A_32KHZ;
    p->cmos[CMOS_B] = CMOS_B_24H;
    p->cmos[CMOS_D] = CMOS_D_VALID;
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        int rc = bawn_bus_add(pio, ports[i].port, ports[i].size, ports[i].ops, p);

        if (rc)
            return rc;
    }
    return 0;
}

void bawn_platform_save(const struct bawn_platform *p, struct bawn_platform_state *state)
{
    memcpy(state->cmos, p->cmos, sizeof(state->cmos));
    state->cmos_index = p->cmos_index;
    state->crash_told = p->crash_told;
}

void bawn_platform_load(struct bawn_platform *p, const struct bawn_platform_state *state)
{
    memcpy(p->cmos, state->cmos, sizeof(p->cmos));
    p->cmos[CMOS_A] = CMOS_A_32KHZ;
    p->cmos[CMOS_B] = (state->cmos[CMOS_B] & CMOS_B_SETTABLE) | CMOS_B_24H;
    p->cmos[CMOS_D] = CMOS_D_VALID;
    p->cmos_index = state->cmos_index & 0x7f;
    p->crash_told = state->crash_told;
}
