// SPDX-License-Identifier: Apache-2.0
/*
 * The instructions that C has no words for, and the few library functions that compilers call.
 */
#include <stddef.h>

#include "guest/shim/cpu.h"
#include "guest/shim/ghcb.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
_Noreturn void __stack_chk_fail(void);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    void *d = to;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memset(void *to, int c, size_t n)
{
    void *d = to;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

_Noreturn void __stack_chk_fail(void)
{
    shim_fail(BAWN_SHIM_FAIL_CANARY);
}

void *shim_at(uint64_t gpa)
{
    return (void *)(uintptr_t)gpa;
}

uint64_t shim_rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
    return (uint64_t)hi << 32 | lo;
}

void shim_wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

void shim_vmgexit(void)
{
    __asm__ volatile("rep; vmmcall" : : : "memory");
}

void shim_set_cr3(uint64_t cr3)
{
    __asm__ volatile("mov %0, %%cr3" : : "a"(cr3) : "memory");
}

void shim_invlpg(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" : : "D"(va) : "memory");
}

uint32_t shim_pvalidate(uint64_t va, enum shim_page_size size, bool validate, bool *unchanged)
{
    uint64_t result;

    __asm__ volatile("pvalidate"
                     : "=a"(result), "=@ccc"(*unchanged)
                     : "a"(va), "c"((uint64_t)size), "d"((uint64_t)validate)
                     : "memory");
    return (uint32_t)result;
}

uint32_t shim_rmpadjust(uint64_t va, enum shim_page_size size, uint64_t attributes)
{
    uint64_t result;

    __asm__ volatile("rmpadjust"
                     : "=a"(result)
                     : "a"(va), "c"((uint64_t)size), "d"(attributes)
                     : "memory", "cc");
    return (uint32_t)result;
}

_Noreturn void shim_fail(enum bawn_shim_reason reason)
{
    for (;;) {
        shim_wrmsr(SHIM_MSR_GHCB, shim_ghcb_terminate(BAWN_SHIM_REASON_SET, reason));
        shim_vmgexit();
        __asm__ volatile("hlt");
    }
}
