// SPDX-License-Identifier: Apache-2.0
/*
 * Options as a table; each has one function. Long options only, as --name VALUE or --name=VALUE.
 */
#include "attest/verify/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) .field = offsetof(struct verify_options, name)

/* ---- Times ---- */

/* n digits at *p, moves past them. */
static bool digits(const char **p, unsigned n, int *value)
{
    *value = 0;
    for (unsigned i = 0; i < n; i++, ++*p) {
        if (**p < '0' || **p > '9')
            return false;
        *value = *value * 10 + (**p - '0');
    }
    return true;
}

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool parse_date(const char **p, int64_t *days)
{
    static const unsigned char month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int y, m, d, last;

    if (!digits(p, 4, &y) || *(*p)++ != '-' || !digits(p, 2, &m) || *(*p)++ != '-' ||
        !digits(p, 2, &d) || y < 1970 || m < 1 || m > 12)
        return false;
    last = month_days[m - 1] + (m == 2 && leap(y));
    if (d < 1 || d > last)
        return false;
    *days = d - 1;
    for (int i = 1970; i < y; i++)
        *days += leap(i) ? 366 : 365;
    for (int i = 1; i < m; i++)
        *days += month_days[i - 1] + (i == 2 && leap(y));
    return true;
}

/* "Z" or "+hh:mm": seconds to take off. */
static bool parse_zone(const char **p, int *offset)
{
    char sign = *(*p)++;
    int h, m;

    *offset = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if ((sign != '+' && sign != '-') || !digits(p, 2, &h) || *(*p)++ != ':' || !digits(p, 2, &m) ||
        h > 23 || m > 59)
        return false;
    *offset = (h * 60 + m) * (sign == '+' ? 60 : -60);
    return true;
}

static bool parse_seconds(const char *text, int64_t *time)
{
    *time = 0;
    for (const char *p = text; *p; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*time, 10, time) ||
            __builtin_add_overflow(*time, *p - '0', time))
            return false;
    return *text;
}

bool verify_time_parse(const char *text, int64_t *time)
{
    const char *p = text;
    int64_t days;
    int h, m, s, offset;

    if (*p == '@')
        return parse_seconds(p + 1, time);
    if (!parse_date(&p, &days))
        return false;
    *time = days * 86400;
    if (!*p)
        return true;
    if (*p != 'T' && *p != 't' && *p != ' ')
        return false;
    p++;
    /* A leap second, :60, is taken as the second after. */
    if (!digits(&p, 2, &h) || *p++ != ':' || !digits(&p, 2, &m) || *p++ != ':' ||
        !digits(&p, 2, &s) || h > 23 || m > 59 || s > 60 || !parse_zone(&p, &offset) || *p)
        return false;
    *time += h * 3600 + m * 60 + s - offset;
    return *time >= 0;
}

enum bawn_status verify_set_time(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    struct verify_time *at = option_field(options, self);

    at->given = verify_time_parse(value, &at->seconds);
    if (at->given)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_USAGE,
                     "--%s %s: must be a date (2026-01-02), a date and time "
                     "(2026-01-02T03:04:05Z) or seconds since 1970 (@1767322800)",
                     self->name, value);
}

/* ---- Options ---- */

/* The first operator in the text; two characters before one. */
static const char *find_operator(const char *text, enum bawn_expect_op *op, size_t *len)
{
    static const struct {
        const char *text;
        enum bawn_expect_op op;
    } two[] = {
        { "!=", BAWN_EXPECT_NE },
        { ">=", BAWN_EXPECT_GE },
        { "<=", BAWN_EXPECT_LE },
    };
    const char *p = text + strcspn(text, "=!<>");

    *len = 2;
    for (size_t i = 0; i < sizeof(two) / sizeof(two[0]); i++) {
        *op = two[i].op;
        if (!strncmp(p, two[i].text, 2))
            return p;
    }
    *op = BAWN_EXPECT_EQ;
    *len = 1;
    return *p == '=' ? p : NULL;
}

static enum bawn_status add_expect(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789._-[]";
    struct verify_options *o = options;
    struct bawn_expect *more, e;
    size_t len;
    const char *op = find_operator(value, &e.op, &len);
    char **owned;

    (void)self;
    if (!op || op == value || strspn(value, name_chars) != (size_t)(op - value))
        return bawn_fail(err, BAWN_E_USAGE,
                         "--expect %s: must be FIELD=VALUE, FIELD!=VALUE, FIELD>=VALUE or "
                         "FIELD<=VALUE",
                         value);
    if (!op[len])
        return bawn_fail(err, BAWN_E_USAGE, "--expect %s: the value is empty", value);
    more = realloc(o->expect, (o->nr_expect + 1) * sizeof(*more));
    if (more)
        o->expect = more;
    owned = realloc(o->owned, (o->nr_expect + 1) * sizeof(*owned));
    if (owned)
        o->owned = owned;
    if (!more || !owned || !(owned[o->nr_expect] = strndup(value, (size_t)(op - value))))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    e.claim = owned[o->nr_expect];
    e.value = op + len;
    o->expect[o->nr_expect++] = e;
    return BAWN_OK;
}

/* A quote says only inside, in what is signed, whether it is an enclave's or a TD's. */
static const struct {
    const char *name;
    enum bawn_evidence_kind kind;
    const char *implies;
} kinds[] = {
    { "auto", BAWN_EVIDENCE_ANY, NULL },
    { "snp", BAWN_EVIDENCE_SNP, NULL },
    { "tdx", BAWN_EVIDENCE_QUOTE, "quote.tee=TDX" },
    { "sgx", BAWN_EVIDENCE_QUOTE, "quote.tee=SGX" },
    { "hcl", BAWN_EVIDENCE_HCL, NULL },
    { "tpm", BAWN_EVIDENCE_TPM, NULL },
    { "log", BAWN_EVIDENCE_LOG, NULL },
    { "json", BAWN_EVIDENCE_JSON, NULL },
};

static enum bawn_status set_type(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    struct verify_options *o = options;

    (void)self;
    if (o->ratls)
        return bawn_fail(err, BAWN_E_USAGE, "--type: ratls judges what is in the certificate");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!strcmp(kinds[i].name, value)) {
            o->kind = kinds[i].kind;
            o->kind_implies = kinds[i].implies;
            return BAWN_OK;
        }
    }
    return bawn_fail(err, BAWN_E_USAGE,
                     "--type %s: must be auto, snp, tdx, sgx, hcl, tpm, log or json", value);
}

static const struct option options[] = {
    { "at", "TIME", "judge as of this time: 2026-01-02, 2026-01-02T03:04:05Z or @SECONDS (now)",
      verify_set_time, FIELD(at) },
    { "endorsements", "PATH",
      "a file, or a directory of files: certificates, CRLs, collateral, logs", option_add_text,
      FIELD(endorsements) },
    { "crl", "PATH", "the same; for certificate revocation lists", option_add_text,
      FIELD(endorsements) },
    { "root", "FILE", "trust this root and no compiled-in one (DER or PEM; a TPM's key, too)",
      option_add_text, FIELD(roots) },
    { "expect", "FIELD=VALUE", "refuse unless the claim has this value; also != >= <=", add_expect,
      FIELD(expect) },
    { "strict", NULL, "refuse on warnings", option_set_flag, FIELD(strict) },
    { "explain", NULL, "say how each check was made", option_set_flag, FIELD(explain) },
    { "json", NULL, "print JSON with every claim", option_set_flag, FIELD(json) },
    { "events", NULL, "print the event log", option_set_flag, FIELD(events) },
    { "list-claims", NULL, "print every claim, as --expect takes it", option_set_flag,
      FIELD(list_claims) },
    { "type", "KIND", "what EVIDENCE is: auto, snp, tdx, sgx, hcl, tpm, log or json (auto)",
      set_type, FIELD(kind) },
    { "help", NULL, "print this help", option_set_flag, FIELD(help) },
    { "version", NULL, "print the version", option_set_flag, FIELD(version) },
};

static enum bawn_status set_evidence(void *options, const char *path, struct bawn_error *err)
{
    struct verify_options *o = options;

    if (o->evidence)
        return bawn_fail(err, BAWN_E_USAGE,
                         "%s: one piece of evidence is judged at a time (endorsements go with "
                         "--endorsements)",
                         path);
    o->evidence = path;
    return BAWN_OK;
}

static const struct option_table table = { OPTION_TABLE(options), .argument = set_evidence };

enum bawn_status verify_options_parse(struct verify_options *o, int argc, char **argv,
                                      struct bawn_error *err)
{
    enum bawn_status st;

    *o = (struct verify_options){ .kind = BAWN_EVIDENCE_ANY };
    o->ratls = argc > 1 && !strcmp(argv[1], "ratls");
    if (o->ratls)
        o->kind = BAWN_EVIDENCE_RATLS;
    st = options_read(&table, NULL, argc - 1 - o->ratls, argv + 1 + o->ratls, o, NULL, err);
    if (st == BAWN_OK && !o->evidence && !o->help && !o->version)
        return bawn_fail(err, BAWN_E_USAGE, "which %s? Give a file, or - for stdin",
                         o->ratls ? "certificate" : "evidence");
    if (st == BAWN_OK && o->kind_implies) {
        o->nr_implied = 1;
        st = add_expect(o, NULL, o->kind_implies, err);
    }
    return st;
}

void verify_options_free(struct verify_options *o)
{
    for (size_t i = 0; i < o->nr_expect; i++)
        free(o->owned[i]);
    free(o->owned);
    free(o->expect);
    free(o->endorsements.text);
    free(o->roots.text);
}

void verify_options_help(void)
{
    printf(
        "Usage: bawn-verify [OPTION]... EVIDENCE\n"
        "       bawn-verify ratls [OPTION]... CERTIFICATE\n\n"
        "Judges evidence of a confidential VM (an SEV-SNP report, a TDX or SGX quote, a TPM\n"
        "quote, Azure's vTPM evidence, an event log) and says why. EVIDENCE is a file, or -\n"
        "for stdin: raw, JSON, hex or base64. Reads files only; never asks the network.\n"
        "ratls: judges a TLS certificate with evidence about its key, as bawn-agent ra-tls makes\n"
        "it: DER, PEM, or what openssl s_client prints.\n\n");
    options_print(&table, NULL, 22);
    printf("\nExit status: 0 trusted, 1 not trusted, 2 cannot judge, 64 usage.\n\n"
           "Examples:\n"
           "  bawn-verify --endorsements vcek.der report.bin\n"
           "  bawn-verify --endorsements certs/ --crl milan.crl --strict report.bin\n"
           "  bawn-verify --endorsements collateral.json --explain quote.bin\n"
           "  bawn-verify --at 2026-02-18 --endorsements collateral.json --json quote.bin\n"
           "  bawn-verify --expect snp.report_data=00ff --expect 'snp.guest_svn>=2' report.bin\n"
           "  cat evidence.json | bawn-verify -\n"
           "  openssl s_client -connect 192.0.2.1:443 </dev/null | bawn-verify ratls --root ak.pem "
           "-\n");
}
