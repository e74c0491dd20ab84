/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process locks itself in: privileges, limits, Landlock and a seccomp allowlist. What it
 * keeps is each program's own, in tables. Needs no privileges, and nothing can be undone. Trusts
 * the kernel and nothing else. To be called from the only thread.
 */
#ifndef BAWN_COMMON_CONFINE_H
#define BAWN_COMMON_CONFINE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <seccomp.h>

#include <bawn/status.h>

/* All give BAWN_E_IO when the system refuses; the caller must not go on. */

/* Closes the descriptors from 3 on but those, which it sorts. */
void confine_descriptors(int *keep, size_t n);

/* No new privileges, no core dumps, no ptrace by others. */
enum bawn_status confine_privileges(struct bawn_error *err);

/* Drops all capabilities, those over a user namespace of its own too. */
enum bawn_status confine_capabilities(struct bawn_error *err);

struct confine_limit {
    __rlimit_resource_t resource;
    rlim_t most; /* a limit that is lower already stays */
    const char *name;
};
enum bawn_status confine_limits(const struct confine_limit *limits, size_t n,
                                struct bawn_error *err);

/* ---- Landlock ---- */

/* Rights, of Linux's include/uapi/linux/landlock.h; of a file, and of directories. */
#define CONFINE_WRITE_FILE (1u << 1)
#define CONFINE_READ_FILE (1u << 2)
#define CONFINE_READ_DIR (1u << 3)
#define CONFINE_REMOVE_FILE (1u << 5)
#define CONFINE_MAKE_FILE (1u << 8)
#define CONFINE_TRUNCATE (1u << 14)
#define CONFINE_READ (CONFINE_READ_FILE | CONFINE_READ_DIR)
/* Makes, changes and removes files. */
#define CONFINE_CHANGE \
    (CONFINE_READ | CONFINE_WRITE_FILE | CONFINE_REMOVE_FILE | CONFINE_MAKE_FILE | CONFINE_TRUNCATE)

#define CONFINE_NET_CONNECT (1u << 1)

struct confine_path {
    const char *path; /* a file or directory, passed over where there is none; NULL: */
    int dir;          /* this open one */
    unsigned rights;  /* those that the kernel does not know are left out */
};

/* Takes every right that this kernel can take (to files, TCP, devices, signals, abstract sockets)
 * but those of the paths and of keep_net. *landlock: whether the kernel gave it; one that is built
 * or started without is no failure, and the caller says so. */
enum bawn_status confine_landlock(const struct confine_path *paths, size_t n, unsigned keep_net,
                                  bool *landlock, struct bawn_error *err);

/* ---- seccomp (confine_seccomp.c, by libseccomp) ---- */

struct confine_call {
    int call;
    unsigned roles;   /* a bit for each profile that has it */
    int fails_with;   /* errno; 0: the call is served, */
    unsigned nr_args; /* when all these hold */
    struct scmp_arg_cmp arg[2];
};

#define CONFINE_ALL (~0u) /* roles */
#define CALL(name, role)                        \
    {                                           \
        .call = SCMP_SYS(name), .roles = (role) \
    }
#define CALL_IF(name, role, ...)                                                                \
    {                                                                                           \
        .call = SCMP_SYS(name), .roles = (role), .arg = { __VA_ARGS__ },                        \
        .nr_args = sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp) \
    }
#define CALL_FAILS(name, role, error)                                  \
    {                                                                  \
        .call = SCMP_SYS(name), .roles = (role), .fails_with = (error) \
    }

/* Argument n under the mask. */
#define CALL_ARG(n, mask, value)                                                    \
    {                                                                               \
        .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (value) \
    }
/* Of mmap and mprotect, of mmap, and of calls on a descriptor. */
#define CALL_NO_EXEC CALL_ARG(2, PROT_EXEC, 0)
#define CALL_ANONYMOUS CALL_ARG(3, MAP_ANONYMOUS, MAP_ANONYMOUS)
#define CALL_ON(fd) CALL_ARG(0, UINT32_MAX, (fd))

/* Serves the calls that have any of the roles; any other ends the process. *seccomp: as above. */
enum bawn_status confine_seccomp(const struct confine_call *calls, size_t n, unsigned roles,
                                 bool *seccomp, struct bawn_error *err);

#endif
