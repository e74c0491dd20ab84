// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-verify: judges evidence from confidential virtual machines. Reads its files, starts
 * OpenSSL, locks itself in, and only then looks at a byte of what it read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "attest/common/sandbox.h"
#include "attest/verify/files.h"
#include "attest/verify/options.h"
#include "attest/verify/output.h"

/* 0 to 2 are enum bawn_verdict. */
#define EXIT_USAGE 64 /* sysexits.h, EX_USAGE */

static int fail(const struct bawn_error *err, enum bawn_status st)
{
    fprintf(stderr, "bawn-verify: %s%s\n", err->msg,
            st == BAWN_E_USAGE ? "; see bawn-verify --help" : "");
    return st == BAWN_E_USAGE ? EXIT_USAGE : BAWN_CANNOT_JUDGE;
}

/* Colours only for a person who did not refuse them (no-color.org). */
static bool want_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* Everything that needs the system: OpenSSL's configuration and error texts, stdout's buffer,
 * and the time zone, which the C library reads even for UTC. */
static enum bawn_status start(struct verify_report *report, struct bawn_error *err)
{
    static char buffer[1 << 16];

    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    report->colour = want_colour();
    tzset();
    if (!OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL))
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not start");
    return bawn_sandbox(&report->seccomp, &report->landlock, err);
}

static enum bawn_verdict judge(const struct verify_options *o, const struct verify_inputs *in,
                               const struct bawn_trust *trust, struct bawn_attest_result *result)
{
    const struct bawn_attest_input input = {
        .evidence = in->evidence,
        .kind = o->kind,
        .endorsements = in->endorsements.file,
        .nr_endorsements = in->endorsements.n,
        .expect = o->expect,
        .nr_expect = o->nr_expect,
        .at = o->at.seconds,
        .flags = (o->strict ? BAWN_ATTEST_STRICT : 0u) | (o->explain ? BAWN_ATTEST_EXPLAIN : 0u),
    };

    return bawn_attest_verify(trust, NULL, &input, result);
}

static int run(const struct verify_options *o, struct bawn_error *err)
{
    struct verify_report report = {
        .at = o->at.seconds,
        .nr_expect = o->nr_expect - o->nr_implied,
        .strict = o->strict,
        .explain = o->explain,
        .events = o->events,
        .list_claims = o->list_claims,
    };
    struct bawn_attest_result *result = bawn_attest_result_create();
    enum bawn_verdict verdict = BAWN_CANNOT_JUDGE;
    struct bawn_trust *trust = NULL;
    struct verify_inputs in;
    enum bawn_status st = verify_inputs_read(&in, o, err);

    if (st == BAWN_OK)
        st = start(&report, err);
    if (st == BAWN_OK && !result)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (st == BAWN_OK)
        st = bawn_trust_create(&trust, in.roots.file, in.roots.n, err);
    if (st == BAWN_OK) {
        verdict = judge(o, &in, trust, result);
        report.result = result;
        report.endorsements = in.endorsements.name;
        report.nr_endorsements = in.endorsements.n;
        (o->json ? verify_print_json : verify_print_human)(&report);
    }
    bawn_attest_result_destroy(result);
    bawn_trust_destroy(trust);
    verify_inputs_free(&in);
    if (st != BAWN_OK && o->json)
        verify_print_json_failure(&report, err->msg);
    return st == BAWN_OK ? (int)verdict : fail(err, st);
}

int main(int argc, char **argv)
{
    struct bawn_error err = { "" };
    struct verify_options o;
    enum bawn_status st = verify_options_parse(&o, argc, argv, &err);
    int code = 0;

    if (st != BAWN_OK) {
        code = fail(&err, st);
    } else if (o.help) {
        verify_options_help();
    } else if (o.version) {
        printf("bawn-verify %s\n", bawn_attest_version());
    } else {
        if (!o.at.given)
            o.at.seconds = time(NULL);
        code = run(&o, &err);
    }
    verify_options_free(&o);
    /* An answer that nobody got is none. */
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "bawn-verify: cannot write the answer: %m\n");
        code = BAWN_CANNOT_JUDGE;
    }
    return code;
}
