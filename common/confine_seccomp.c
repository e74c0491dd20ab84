// SPDX-License-Identifier: Apache-2.0
/*
 * A seccomp allowlist of a table, by libseccomp. Trusts the kernel and the table.
 */
#include "common/confine.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum bawn_status confine_seccomp(const struct confine_call *calls, size_t n, unsigned roles,
                                 bool *seccomp, struct bawn_error *err)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    scmp_filter_ctx ctx;
    int r = 0;

    /* ENOSYS, EINVAL, EOPNOTSUPP: filters are not built in, or a sandbox around does not serve
     * them. */
    *seccomp = !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    if (!*seccomp)
        return BAWN_OK;
    ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!ctx)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the seccomp filter");
    for (size_t i = 0; !r && i < n; i++)
        if (calls[i].roles & roles)
            r = seccomp_rule_add_array(ctx,
                                       calls[i].fails_with
                                           ? SCMP_ACT_ERRNO((uint32_t)calls[i].fails_with)
                                           : SCMP_ACT_ALLOW,
                                       calls[i].call, calls[i].nr_args, calls[i].arg);
    if (!r)
        r = seccomp_load(ctx);
    seccomp_release(ctx);
    *seccomp = !r;
    return r ? bawn_fail(err, BAWN_E_IO, "cannot enter the seccomp filter: %s", strerror(-r))
             : BAWN_OK;
}
