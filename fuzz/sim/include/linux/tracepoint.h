/* SPDX-License-Identifier: Apache-2.0 */
/* Tracepoints that are off. */
#ifndef SIM_LINUX_TRACEPOINT_H
#define SIM_LINUX_TRACEPOINT_H

#include <sim/base.h>

#define TP_PROTO(...) __VA_ARGS__
#define TP_ARGS(...)
#define TP_STRUCT__entry(...)
#define TP_fast_assign(...)
#define TP_printk(...)
#define TRACE_EVENT(name, proto, args, fields, assign, print) \
    static inline void trace_##name(proto)                    \
    {                                                         \
    }                                                         \
    static inline bool trace_##name##_enabled(void)           \
    {                                                         \
        return false;                                         \
    }

#endif
