// SPDX-License-Identifier: Apache-2.0
/*
 * The hostile guest: every attack on every device, and after each all devices must serve. Says a
 * line for each attack that the machine outlived ("hostile: ok" or "hostile: FAIL" and its name),
 * and powers off.
 */
#include "hostile.h"

void hostile(void);

#define POWER_PORT 0x600
#define POWER_OFF 0x34

/* The compiler makes calls of its own to these. */
void *memset(void *to, int val, unsigned long len);
void *memcpy(void *to, const void *from, unsigned long len);

void *memset(void *to, int val, unsigned long len)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(val) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, unsigned long len)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
    return to;
}

static void attack(const struct attack *a)
{
    const struct dev *failed = 0;

    for (unsigned i = 0; i < nr_devs; i++) {
        a->on(&devs[i]);
        put_all_back();
    }
    for (unsigned i = 0; i < nr_devs && !failed; i++) {
        if (!serves(&devs[i]))
            failed = &devs[i];
    }
    say(failed ? "hostile: FAIL " : "hostile: ok ");
    say(a->text);
    if (failed) {
        say(", then the device in slot ");
        say_number(failed->slot);
        say(" does not serve");
    }
    say("\n");
}

void hostile(void)
{
    find_devices();
    say("hostile: devices ");
    say_number(nr_devs);
    say("\n");
    for (const struct attack *a = register_attacks; a->on; a++)
        attack(a);
    for (const struct attack *a = ring_attacks; a->on; a++)
        attack(a);
    out8(POWER_PORT, POWER_OFF);
}
