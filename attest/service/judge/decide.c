// SPDX-License-Identifier: Apache-2.0
/*
 * From a request to the message DECIDE: verification by libbawn-attest under the roots compiled in
 * and the tenant's own; binding; policy. What is not trusted and bound is denied, whatever a policy
 * says.
 */
#include "attest/service/judge/judge.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "attest/service/judge/claims.h"

#define CACHE_ENTRIES 4096
#define ENDORSEMENTS_MAX 4096

struct judge {
    struct judge_snapshot *snapshot;
    struct bawn_trust *builtin;
    struct bawn_attest_cache *cache;
    struct bawn_attest_result *result, *foreign_result;
    struct bawn_policy_result *policy_result;
    struct bawn_bytes *endorsements; /* ENDORSEMENTS_MAX */
};

struct judge *judge_create(void)
{
    struct judge *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->cache = bawn_attest_cache_create(CACHE_ENTRIES);
    j->result = bawn_attest_result_create();
    j->foreign_result = bawn_attest_result_create();
    j->policy_result = bawn_policy_result_create();
    j->endorsements = calloc(ENDORSEMENTS_MAX, sizeof(*j->endorsements));
    if (bawn_trust_create(&j->builtin, NULL, 0, NULL) != BAWN_OK)
        j->builtin = NULL;
    if (j->cache && j->result && j->foreign_result && j->policy_result && j->endorsements &&
        j->builtin)
        return j;
    judge_destroy(j);
    return NULL;
}

void judge_destroy(struct judge *j)
{
    if (!j)
        return;
    judge_snapshot_destroy(j->snapshot);
    bawn_trust_destroy(j->builtin);
    bawn_attest_cache_destroy(j->cache);
    bawn_attest_result_destroy(j->result);
    bawn_attest_result_destroy(j->foreign_result);
    bawn_policy_result_destroy(j->policy_result);
    free(j->endorsements);
    free(j);
}

bool judge_is_ready(const struct judge *j)
{
    return j->snapshot;
}

enum bawn_status judge_take_snapshot(struct judge *j, const json_t *json, uint8_t *blobs,
                                     size_t len, struct bawn_error *err)
{
    struct judge_snapshot *fresh;
    enum bawn_status st = judge_snapshot_read(&fresh, json, blobs, len, err);

    if (st != BAWN_OK)
        return st;
    judge_snapshot_destroy(j->snapshot);
    j->snapshot = fresh;
    return BAWN_OK;
}

/* ---- Verification ---- */

/* "<hwid>/..." or "<hwid>": Turin's have 8 bytes, which zeros follow in the report. */
static bool names_chip(const char *name, const char *chip)
{
    size_t len = strspn(name, "0123456789abcdef");

    return len >= 16 && len <= strlen(chip) && !strncmp(name, chip, len) &&
           strspn(chip + len, "0") == strlen(chip + len);
}

/* What the store has for the tenant: of all, or of that chip (lower-case hex) alone, so that a
 * store of many chips costs a verification nothing. Then what came with the evidence, of which too
 * much hides nothing of the store's. */
static size_t gather(struct judge *j, const struct judge_tenant *t, const struct judge_request *r,
                     const char *chip)
{
    size_t n = 0;

    for (size_t i = 0; i < j->snapshot->nr_blobs && n < ENDORSEMENTS_MAX - r->nr_given; i++) {
        const struct judge_blob *b = &j->snapshot->blob[i];
        bool of_chip = !strncmp(b->name, "vcek/", 5);

        if (b->tenant_len &&
            (strlen(t->name) != b->tenant_len || memcmp(b->tenant, t->name, b->tenant_len) != 0))
            continue;
        if (!of_chip || (chip && *chip && names_chip(b->name + 5, chip)))
            j->endorsements[n++] = b->data;
    }
    for (size_t i = 0; i < r->nr_given; i++)
        j->endorsements[n++] = (struct bawn_bytes){ r->given[i], r->given_len[i] };
    return n;
}

static bool chip_of(const struct bawn_attest_result *result, char chip[129])
{
    const struct bawn_claim *claim = bawn_attest_result_claim(result, "snp.chip_id");

    return claim && claim->kind == BAWN_CLAIM_BYTES && claim->bytes.len <= 64 &&
           bawn_claim_print(claim, chip, 129) > 0;
}

static bool has_chip_blobs(const struct judge_snapshot *s)
{
    for (size_t i = 0; i < s->nr_blobs; i++)
        if (!strncmp(s->blob[i].name, "vcek/", 5))
            return true;
    return false;
}

static enum bawn_verdict verify_under(struct judge *j, const struct bawn_trust *trust,
                                      const struct judge_tenant *t, const struct judge_request *r,
                                      int64_t now, struct bawn_attest_result *result)
{
    struct bawn_attest_input input = {
        .evidence = { r->evidence, r->evidence_len },
        .kind = r->kind,
        .endorsements = j->endorsements,
        .nr_endorsements = gather(j, t, r, NULL),
        .at = now,
    };
    enum bawn_verdict verdict = bawn_attest_verify(trust, j->cache, &input, result);
    char chip[129];

    if (verdict != BAWN_CANNOT_JUDGE || !has_chip_blobs(j->snapshot) || !chip_of(result, chip))
        return verdict;
    input.nr_endorsements = gather(j, t, r, chip);
    return bawn_attest_verify(trust, j->cache, &input, result);
}

/* The result that counts. Where the tenant's roots are only for TPM keys, all else is judged
 * without them. */
static struct bawn_attest_result *verify(struct judge *j, const struct judge_tenant *t,
                                         const struct judge_request *r, int64_t now)
{
    const char *evidence;

    if (t->foreign && t->foreign_allowed) {
        verify_under(j, t->foreign, t, r, now, j->result);
        return j->result;
    }
    if (verify_under(j, j->builtin, t, r, now, j->result) == BAWN_TRUSTED || !t->foreign)
        return j->result;
    verify_under(j, t->foreign, t, r, now, j->foreign_result);
    evidence = bawn_policy_evidence_of(j->foreign_result);
    if (!bawn_attest_result_foreign_root(j->foreign_result) || !evidence ||
        strcmp(evidence, "tpm") != 0)
        return j->result;
    return j->foreign_result;
}

/* ---- The message ---- */

static const char *const verdict_names[] = {
    [BAWN_TRUSTED] = "trusted",
    [BAWN_NOT_TRUSTED] = "not trusted",
    [BAWN_CANNOT_JUDGE] = "cannot judge",
};

static const char *const level_names[] = {
    [BAWN_FINDING_PASS] = "pass",
    [BAWN_FINDING_WARNING] = "warning",
    [BAWN_FINDING_MISSING] = "missing",
    [BAWN_FINDING_REFUSED] = "refused",
};

static const char *const outcome_names[] = {
    [BAWN_RULE_PASSED] = "passed",
    [BAWN_RULE_FAILED] = "failed",
    [BAWN_RULE_SKIPPED] = "skipped",
};

static void add_finding(json_t *list, const char *level, const char *check, const char *text,
                        const char *advice)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "level", level, "check", check,
                                          "text", text, "advice", advice));
}

/* Bytes of findings in a decision: a guest could give endorsements that are wrong by the thousand,
 * and the log would have a sentence for each. What speaks against it has more room. */
static const size_t findings_max[] = {
    [BAWN_FINDING_PASS] = 64 << 10,
    [BAWN_FINDING_WARNING] = 64 << 10,
    [BAWN_FINDING_MISSING] = 128 << 10,
    [BAWN_FINDING_REFUSED] = 128 << 10,
};

static json_t *findings_of(const struct bawn_attest_result *result, const struct judge_request *r,
                           const struct judge_binding *b)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(result, &f), used = 0, left_out = 0;
    json_t *list = json_array();
    char text[64];

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(f[i].check) + strlen(f[i].text) + strlen(f[i].advice) + 64;

        if (len > findings_max[f[i].level] || used > findings_max[f[i].level] - len) {
            left_out++;
            continue;
        }
        used += len;
        add_finding(list, level_names[f[i].level], f[i].check, f[i].text, f[i].advice);
    }
    snprintf(text, sizeof(text), "%zu more findings are left out", left_out);
    if (left_out)
        add_finding(list, "warning", "evidence.findings", text, "");
    if (*b->why)
        add_finding(list, "refused", "session.binding", b->why,
                    "start again with POST auth, and make the evidence for the nonce it gives");
    if (r->additional)
        add_finding(list, "warning", "evidence.additional",
                    "evidence of additional devices was given and not judged", "");
    return list;
}

static json_t *trace_of(const struct bawn_policy_result *result)
{
    const struct bawn_trace *t;
    size_t n = bawn_policy_result_trace(result, &t);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *controls = json_array();

        for (size_t k = 0; k < t[i].nr_controls; k++)
            json_array_append_new(controls, json_string(t[i].controls[k]));
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "rule",
                                        t[i].rule, "depth", (int)t[i].depth, "group", t[i].group,
                                        "outcome", outcome_names[t[i].outcome], "claim", t[i].claim,
                                        "requirement", t[i].requirement, "found", t[i].found,
                                        "reason", t[i].reason, "controls", controls));
    }
    return list;
}

static json_t *vector_of(const struct bawn_policy_result *result)
{
    const int8_t *v = bawn_policy_result_vector(result);
    json_t *vector = json_object();

    for (size_t i = 0; v && i < BAWN_TV_CLAIMS; i++)
        json_object_set_new(vector, bawn_trust_claim_names[i], json_integer(v[i]));
    return vector;
}

static json_t *hash_text(const uint8_t *hash, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char text[128];

    for (size_t i = 0; i < 2 * len && i < sizeof(text); i++)
        text[i] = digits[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
    return json_stringn(text, 2 * len < sizeof(text) ? 2 * len : sizeof(text));
}

static json_t *evidence_hash(const struct judge_request *r)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_Digest(r->evidence, r->evidence_len, hash, &len, EVP_sha384(), NULL) != 1)
        return NULL;
    return hash_text(hash, len);
}

/* The refused checks are reasons, before those of the policy, which would only say that the
 * evidence is not trusted. */
static json_t *reasons_of(json_t *findings, const struct judge_tenant *t, bool evaluated,
                          const struct bawn_policy_result *result)
{
    json_t *reasons = json_array(), *finding;
    const char *const *text;
    size_t i, n;

    json_array_foreach(findings, i, finding)
    {
        const char *level = json_string_value(json_object_get(finding, "level"));

        if (level && (!strcmp(level, "refused") || !strcmp(level, "missing")))
            json_array_append(reasons, json_object_get(finding, "text"));
    }
    if (!evaluated) {
        json_array_append_new(reasons,
                              json_sprintf("tenant %s has no attestation policy: an administrator "
                                           "must set one",
                                           t->name));
        return reasons;
    }
    n = bawn_policy_result_reasons(result, &text);
    for (i = 0; i < n; i++)
        json_array_append_new(reasons, json_string(text[i]));
    if (!json_array_size(reasons))
        json_array_append_new(reasons, json_string("the evidence is not trusted"));
    return reasons;
}

static json_t *policy_of(const struct judge_tenant *t)
{
    if (!t->policy)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:o}", "name", t->policy_name, "id",
                     bawn_policy_id(t->policy), "version", bawn_policy_version(t->policy), "sha256",
                     hash_text(bawn_policy_hash(t->policy), BAWN_POLICY_HASH_SIZE));
}

static bool evaluate(struct judge *j, const struct judge_tenant *t,
                     const struct bawn_attest_result *result, bool bound, int64_t now)
{
    struct bawn_policy_input input = {
        .evidence = bawn_policy_evidence_of(result),
        .verdict = bawn_attest_result_verdict(result),
        .foreign_root = bawn_attest_result_foreign_root(result),
        .refs = t->refs,
        .at = now,
    };
    bool allowed;

    if (!t->policy)
        return false;
    if (!bound && input.verdict == BAWN_TRUSTED)
        input.verdict = BAWN_NOT_TRUSTED;
    input.nr_claims = bawn_attest_result_claims(result, &input.claims);
    allowed = bawn_policy_evaluate(t->policy, &input, j->policy_result);
    return allowed && bound && input.verdict == BAWN_TRUSTED;
}

/* ---- What a mirror of AMD's key server could add ---- */

static bool has_finding(const struct bawn_attest_result *result, const char *check)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(result, &f);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(f[i].check, check) &&
            (f[i].level == BAWN_FINDING_MISSING || f[i].level == BAWN_FINDING_WARNING))
            return true;
    return false;
}

static void claim_number(json_t *object, const struct bawn_attest_result *result, const char *part)
{
    const struct bawn_claim *c;
    char name[64];

    snprintf(name, sizeof(name), "snp.reported_tcb.%s", part);
    c = bawn_attest_result_claim(result, name);
    if (c && c->kind == BAWN_CLAIM_UINT && c->uint < 256)
        json_object_set_new(object, part, json_integer((json_int_t)c->uint));
}

/* The VCEK of which chip and levels, the CRL of which product; NULL: nothing, or nobody knows. */
static json_t *missing_of(const struct bawn_attest_result *result)
{
    static const char *const parts[] = { "fmc", "boot_loader", "tee", "snp", "microcode" };
    const struct bawn_claim *product = bawn_attest_result_claim(result, "snp.product");
    const struct bawn_claim *kind = bawn_attest_result_claim(result, "snp.signing_key");
    bool crl = has_finding(result, "snp.revocation");
    bool vcek = bawn_attest_result_verdict(result) == BAWN_CANNOT_JUDGE &&
                has_finding(result, "snp.certificate");
    json_t *missing, *tcb;
    char chip[129];

    if (!product || product->kind != BAWN_CLAIM_TEXT || !kind || kind->kind != BAWN_CLAIM_TEXT ||
        strcmp(kind->text, "VCEK") != 0 || !chip_of(result, chip) || (!crl && !vcek))
        return NULL;
    tcb = json_object();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        claim_number(tcb, result, parts[i]);
    missing = json_pack("{s:b, s:b, s:s, s:s, s:o}", "vcek", vcek, "crl", crl, "product",
                        product->text, "hwid", chip, "tcb", tcb);
    return missing;
}

static void set_text(json_t *object, const char *name, const char *text)
{
    if (text)
        json_object_set_new(object, name, json_string(text));
}

static json_t *message(struct judge *j, const struct judge_tenant *t, const char *cookie,
                       const struct judge_request *r, const struct bawn_attest_result *result,
                       int64_t now)
{
    const char *evidence = bawn_policy_evidence_of(result);
    enum bawn_verdict verdict = bawn_attest_result_verdict(result);
    struct judge_binding binding;
    json_t *d = json_object(), *findings, *kinds;
    const struct bawn_claim *claims;
    size_t nr_claims;
    bool allowed;

    judge_bind(r, evidence, result, &binding);
    if (*binding.why && verdict == BAWN_TRUSTED)
        verdict = BAWN_NOT_TRUSTED;
    allowed = evaluate(j, t, result, !*binding.why, now);
    findings = findings_of(result, r, &binding);
    set_text(d, "tenant", t->name);
    set_text(d, "cookie", cookie);
    set_text(d, "tee", judge_tee_of(evidence));
    set_text(d, "nonce", r->nonce);
    set_text(d, "kind", evidence);
    set_text(d, "hash", binding.hash);
    set_text(d, "subject", bawn_attest_result_subject(result));
    set_text(d, "verdict", verdict_names[verdict]);
    set_text(d, "foreign_root", bawn_attest_result_foreign_root(result));
    json_object_set(d, "tee_pubkey", (json_t *)(uintptr_t)r->tee_pubkey);
    json_object_set(d, "runtime_data", (json_t *)(uintptr_t)r->runtime_data);
    if (binding.init_hash)
        json_object_set_new(d, "init_data",
                            json_pack("{s:s, s:s, s:s}", "digest", binding.init_digest, "algorithm",
                                      binding.init_hash, "format", r->init_format));
    json_object_set_new(d, "evidence_sha384", evidence_hash(r));
    nr_claims = bawn_attest_result_claims(result, &claims);
    json_object_set_new(d, "claims", claims_write(claims, nr_claims, &kinds));
    json_object_set_new(d, "claim_kinds", kinds);
    json_object_set_new(d, "policy", policy_of(t));
    json_object_set_new(d, "allowed", json_boolean(allowed));
    json_object_set_new(d, "reasons",
                        allowed ? json_array()
                                : reasons_of(findings, t, t->policy, j->policy_result));
    json_object_set_new(d, "findings", findings);
    json_object_set_new(d, "trace", t->policy ? trace_of(j->policy_result) : json_array());
    json_object_set_new(d, "vector", t->policy ? vector_of(j->policy_result) : json_object());
    if (!*binding.why) /* for evidence that answers this session alone */
        json_object_set_new(d, "missing", missing_of(result));
    set_text(d, "status",
             t->policy ? bawn_policy_result_status(j->policy_result) : "contraindicated");
    return d;
}

enum bawn_status judge_body(struct judge *j, const char *tenant, const char *cookie,
                            struct bawn_bytes body, int64_t now, json_t **decision,
                            struct bawn_error *err)
{
    const struct judge_tenant *t = judge_snapshot_tenant(j->snapshot, tenant);
    struct judge_request r;
    enum bawn_status st;

    if (!t)
        return bawn_fail(err, BAWN_E_FORMAT, "there is no tenant of this name");
    st = judge_request_read(&r, body, err);
    if (st != BAWN_OK)
        return st;
    *decision = message(j, t, cookie, &r, verify(j, t, &r, now), now);
    judge_request_clear(&r);
    return *decision ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory for a decision");
}
