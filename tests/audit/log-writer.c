// SPDX-License-Identifier: Apache-2.0
/*
 * Writes logs for the tests of bawn-audit: log-writer URL KEY.pem ORIGIN COUNT EVERY [START],
 * where KEY.pem is a private key and a checkpoint is signed after EVERY entries (0: none;
 * a COUNT of 0 signs what is there).
 * Entries have the shapes that the service writes.
 */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

#include "attest/log/log.h"

#define BATCH 1000
#define NOW 1767322800000 /* 2026-01-02T03:00:00Z */

static const char *const types[] = { "attest", "release", "admin", "revoke", "service" };
static struct bawn_error err;

static void must(enum bawn_status st)
{
    if (st == BAWN_OK)
        return;
    fprintf(stderr, "log-writer: %s\n", err.msg);
    exit(1);
}

static json_t *judged(long n)
{
    int allowed = n % 10 != 0;

    return json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:s, s:b, s:[s*], s:[{s:s, s:i, s:s, s:s, s:s, s:s,"
        " s:s, s:s, s:[s], s:i}], s:{s:s, s:s}, s:{s:i}, s:s}",
        "type", "attest", "tenant", n % 2 ? "shop" : "bank", "evidence_sha384",
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f148"
        "9"
        "8b95b",
        "policy", "id", "strict", "version", "3", "sha256",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "verdict",
        allowed ? "trusted" : "not trusted", "allowed", allowed, "reasons",
        allowed ? NULL : "the microcode is older than 209", "trace", "rule", "tcb/microcode",
        "depth", 1, "group", "", "outcome", allowed ? "passed" : "failed", "claim",
        "snp.reported_tcb.microcode", "requirement", "at least 209", "found",
        allowed ? "209" : "115", "reason", "CVE-2024-56161 is fixed there", "controls",
        "NIST-800-53:SI-2", "line", 12, "claims", "snp.reported_tcb.microcode",
        allowed ? "209" : "115", "snp.policy.debug", "false", "vector", "hardware",
        allowed ? 2 : 96, "jti", "0f3c");
}

static json_t *entry_of(long n)
{
    if (n % 5 == 0)
        return judged(n);
    return json_pack("{s:s, s:s, s:b, s:s, s:s}", "type", types[n % 5], "tenant",
                     n % 2 ? "shop" : "bank", "allowed", 1, "resource", "default/disk/key",
                     "identity", "admin \x1b[31mred");
}

int main(int argc, char **argv)
{
    long count, every, start = argc > 6 ? atol(argv[6]) : 0;
    EVP_PKEY *key = NULL;
    struct db *db;
    uint64_t seq;
    FILE *f;

    if (argc < 6 || !(f = fopen(argv[2], "r")))
        return 2;
    key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    count = atol(argv[4]);
    every = atol(argv[5]);
    must(db_open(&db, argv[1], &err));
    for (long n = 0; n < count;) {
        must(db_begin(db, &err));
        for (long i = 0; i < BATCH && n < count; i++) {
            json_t *entry = entry_of(start + n);

            must(log_append(db, entry, NOW + (start + n) * 1000, &seq, &err));
            json_decref(entry);
            if (every && ++n % every == 0)
                break;
            n += !every;
        }
        must(db_commit(db, &err));
        if (every && n % every == 0)
            must(log_checkpoint(db, key, argv[3], &err));
    }
    if (!count && every)
        must(log_checkpoint(db, key, argv[3], &err));
    db_close(db);
    EVP_PKEY_free(key);
    return 0;
}
