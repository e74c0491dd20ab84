/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks the calling process in before it parses hostile bytes: afterwards it can compute,
 * allocate memory, write to stdout and stderr, and exit. Needs no privileges. Nothing can be
 * undone, so a program reads its inputs and starts its libraries (OpenSSL) first.
 */
#ifndef BAWN_SANDBOX_H
#define BAWN_SANDBOX_H

#include <stdbool.h>

#include <bawn/status.h>

/* In order: no new privileges, no core dumps, no ptrace by others, no new descriptors, a limit
 * on memory and processor time, Landlock without a single rule, and a seccomp allowlist that
 * ends the process at the first call that is not on it.
 *
 * *seccomp and *landlock say which of the two this kernel gave; a kernel built without one is
 * no failure, and the caller says so to its user. BAWN_E_IO: something else failed, and the
 * caller must not go on. Call it once, from the only thread. */
enum bawn_status bawn_sandbox(bool *seccomp, bool *landlock, struct bawn_error *err);

#endif
