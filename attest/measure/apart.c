// SPDX-License-Identifier: Apache-2.0
/*
 * Where hostile bytes are parsed: a process that can compute and do nothing else. The parent,
 * which writes the user's files, takes from it only numbers and a line of text.
 */
#include "attest/measure/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "attest/common/sandbox.h"

/* Shared by parent and child. */
struct shared {
    enum bawn_status status;
    struct bawn_error err;
    _Alignas(16) uint8_t out[];
};

static enum bawn_status enter(struct bawn_error *err)
{
    bool seccomp, landlock;
    enum bawn_status st = bawn_sandbox(&seccomp, &landlock, err);

    if (st == BAWN_OK && (!seccomp || !landlock))
        fprintf(stderr,
                "bawn-measure: warning: this kernel has no %s: the inputs are parsed "
                "without it\n",
                !seccomp ? landlock ? "seccomp" : "seccomp and no Landlock" : "Landlock");
    return st;
}

/* What OpenSSL and jansson read from files (configuration, the seed of hash tables), they read
 * now. */
static void warm_up(void)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    json_object_seed(0);
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
    EVP_Q_digest(NULL, "SHA384", NULL, "", 0, digest, NULL);
}

enum bawn_status confine(struct bawn_error *err)
{
    warm_up();
    return enter(err);
}

static bool known(enum bawn_status st)
{
    return (unsigned)st <= BAWN_E_INTERNAL;
}

static enum bawn_status wait_for(pid_t child, struct bawn_error *err)
{
    int status;

    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return bawn_fail(err, BAWN_E_IO, "cannot wait for the sandboxed process: %m");
    }
    if (WIFSIGNALED(status))
        return bawn_fail(err, BAWN_E_INTERNAL, "the sandboxed process was ended by signal %d (%s)",
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status))
        return bawn_fail(err, BAWN_E_INTERNAL, "the sandboxed process ended with status %d",
                         WEXITSTATUS(status));
    return BAWN_OK;
}

enum bawn_status parse_apart(parse_fn *parse, const void *in, void *out, size_t out_size,
                             struct bawn_error *err)
{
    size_t size = sizeof(struct shared) + out_size;
    struct shared *shared =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    enum bawn_status st;
    pid_t child;

    if (shared == MAP_FAILED)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    warm_up();
    fflush(NULL);
    child = fork();
    if (!child) {
        shared->status = enter(&shared->err);
        if (shared->status == BAWN_OK)
            shared->status = parse(in, shared->out, &shared->err);
        _exit(0);
    }
    st = child > 0 ? wait_for(child, err) : bawn_fail(err, BAWN_E_IO, "cannot fork: %m");
    if (st == BAWN_OK) {
        st = known(shared->status) ? shared->status : BAWN_E_INTERNAL;
        if (st == BAWN_OK)
            memcpy(out, shared->out, out_size);
        else if (err)
            bawn_fail(err, st, "%.*s", (int)sizeof(shared->err.msg) - 1, shared->err.msg);
    }
    munmap(shared, size);
    return st;
}
