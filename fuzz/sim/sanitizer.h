/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sanitizers' interfaces for code under the simulated kernel's headers, and memory that is the
 * process's own. Nothing without the sanitizer.
 */
#ifndef SIM_SANITIZER_H
#define SIM_SANITIZER_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#undef SIM_ASAN
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef SIM_ASAN
#define SIM_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#undef SIM_MSAN
#define SIM_MSAN 1
#endif
#endif

#ifdef SIM_ASAN
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define sim_poison(p, n) __asan_poison_memory_region(p, n)
#define sim_unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define sim_poison(p, n) ((void)(p), (void)(n))
#define sim_unpoison(p, n) ((void)(p), (void)(n))
#endif

#ifdef SIM_MSAN
void __msan_unpoison(const volatile void *addr, size_t size);
void __msan_scoped_disable_interceptor_checks(void);
void __msan_scoped_enable_interceptor_checks(void);
#define sim_initialised(p, n) __msan_unpoison(p, n)
/* Around code that is compiled without MSan and calls the C library. */
#define sim_unseen_begin() __msan_scoped_disable_interceptor_checks()
#define sim_unseen_end() __msan_scoped_enable_interceptor_checks()
#else
#define sim_initialised(p, n) ((void)(p), (void)(n))
#define sim_unseen_begin() ((void)0)
#define sim_unseen_end() ((void)0)
#endif

/* Bytes that a guest or the firmware moves, whose memory it is: nothing looks. */
static inline void sim_copy_unseen(void *to, const void *from, size_t n)
{
    sim_initialised(to, n);
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/* From the process's own heap, zeroed; there is always some. firmware.c */
void *sim_host_zalloc(size_t n);

#endif
