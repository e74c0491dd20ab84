// SPDX-License-Identifier: Apache-2.0
/*
 * Evidence of every kind from session to token: quotes of TDX and SGX made up with a root of their
 * own, quotes of a TPM (swtpm), Azure's report around one of the secure processor's model; init
 * data where each kind has it; reference values from a signed CoRIM. What was recorded on real
 * hardware cannot answer a nonce of today: judge/bind_test.c has it.
 */
#include "tests/unit/vault/swtpm.h"
#include "tests/unit/vault/world.h"

#include <time.h>

#include <openssl/ec.h>
#include <openssl/pem.h>

#include "tests/unit/attest/quote_made.h"

#define INIT_DATA "version = \"0.1.0\"\nalgorithm = \"sha256\"\n"

static const char policy_of_all[] =
    "{\"bawn_policy\":1,\"id\":\"all\",\"version\":\"1\",\"evidence\":[\"snp\",\"tdx\",\"sgx\","
    "\"tpm\",\"azure-snp\",\"azure-tdx\"],\"test_roots\":true,\"rules\":["
    "{\"id\":\"a\",\"evidence\":[\"snp\"],\"claim\":\"snp.policy.debug\",\"equals\":false,"
    "\"reason\":\"a\"},"
    "{\"id\":\"b\",\"evidence\":[\"tdx\",\"azure-tdx\"],\"claim\":\"tdx.tcb_status\","
    "\"equals\":\"UpToDate\",\"reason\":\"b\"},"
    "{\"id\":\"c\",\"evidence\":[\"sgx\"],\"claim\":\"sgx.attributes.debug\",\"equals\":false,"
    "\"reason\":\"c\"},"
    "{\"id\":\"d\",\"evidence\":[\"tpm\",\"azure-snp\",\"azure-tdx\"],\"claim\":\"tpm.pcr_bank\","
    "\"equals\":\"sha256\",\"reason\":\"d\"}]}";

static struct swtpm tpm;

static char *base64_of(struct bawn_bytes bytes)
{
    char *text = malloc(4 * (bytes.len / 3 + 2));

    assert_non_null(text);
    EVP_EncodeBlock((unsigned char *)text, bytes.data, (int)bytes.len);
    return text;
}

static void hex_of(const uint8_t *data, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", data[i]);
}

static json_t *take(char *text)
{
    json_t *json = json_string(text);

    free(text);
    assert_non_null(json);
    return json;
}

/* Sends the evidence (taken over). init_data: NULL for none. */
static int send_evidence(struct world *w, struct guest *g, json_t *runtime, json_t *evidence,
                         const char *init_data)
{
    json_t *body = json_pack("{s:O, s:{s:o, s:s}}", "runtime-data", runtime, "tee-evidence",
                             "primary_evidence", evidence, "additional_evidence", "{}");
    int status;

    assert_non_null(body);
    if (init_data)
        json_object_set_new(body, "init-data",
                            json_pack("{s:s, s:s}", "format", "toml", "body", init_data));
    status = guest_send(w, "blue", g->cookie, body);
    json_decref(body);
    return status;
}

static json_t *last_entry(struct world *w)
{
    json_t *entry = log_entry(w, log_count(w) - 1);

    assert_non_null(entry);
    return entry;
}

/* ---- Intel ---- */

static void date(char out[24], time_t t)
{
    struct tm tm;

    strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
}

/* Its report data is what `bound` hashes to; its MRCONFIGID the init data's digest. The tenant
 * trusts its root from then on. */
static json_t *quote_evidence(struct world *w, struct pki *pki, struct made_spec *spec,
                              const json_t *bound)
{
    json_t *collateral = json_array();
    struct made quote, *made = &quote;
    uint8_t data[64];

    guest_hash(bound, EVP_sha512(), data);
    memcpy(spec->td.base.report_data, data, sizeof(data));
    memcpy(spec->enclave.report_data, data, sizeof(data));
    made_build(pki, spec, made);
    world_trust(w, pki_pem(pki, "CERTIFICATE", made->root_cert->der));
    for (size_t i = 0; i < made->nr_endorsements; i++)
        json_array_append_new(collateral, take(base64_of(made->endorsements[i])));
    return json_pack("{s:o, s:o}", "quote", take(base64_of(made->quote)), "collateral", collateral);
}

static void quotes_of(enum made_kind kind, const char *tee)
{
    struct guest g = guest_create(), h = guest_create();
    struct pki *pki = pki_create();
    struct made_spec spec;
    struct world w;
    char issued[24], next[24];
    json_t *runtime, *other, *entry;
    bool tdx = !strcmp(tee, "tdx");

    date(issued, time(NULL) - 86400);
    date(next, time(NULL) + 86400);
    made_default(&spec, kind);
    spec.issued = issued;
    spec.next_update = next;
    if (tdx)
        EVP_Digest(INIT_DATA, strlen(INIT_DATA), spec.td.base.mr_config_id, NULL, EVP_sha384(),
                   NULL);
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", policy_of_all), 200);
    /* A quote made for another guest's key. */
    guest_session(&w, &g, "blue", tee);
    guest_session(&w, &h, "blue", tee);
    runtime = guest_runtime(&g);
    other = guest_runtime(&h);
    assert_int_equal(send_evidence(&w, &g, runtime, quote_evidence(&w, pki, &spec, other), NULL),
                     401);
    assert_true(says(&w, "is not the hash of the runtime data"));
    json_decref(runtime);
    /* The right one; an enclave has no field for init data that these quotes fill. */
    guest_session(&w, &g, "blue", tee);
    runtime = guest_runtime(&g);
    assert_int_equal(send_evidence(&w, &g, runtime, quote_evidence(&w, pki, &spec, runtime),
                                   tdx ? INIT_DATA : NULL),
                     200);
    entry = last_entry(&w);
    assert_string_equal(text_of(entry, "hash"), "sha512");
    assert_string_equal(text_of(entry, "kind"), tee);
    if (tdx)
        assert_string_equal(text_of(json_object_get(entry, "init_data"), "algorithm"), "sha384");
    json_decref(entry);
    json_decref(runtime);
    /* Other init data than was measured. */
    guest_session(&w, &g, "blue", tee);
    runtime = guest_runtime(&g);
    assert_int_equal(
        send_evidence(&w, &g, runtime, quote_evidence(&w, pki, &spec, runtime), INIT_DATA "#"),
        401);
    assert_true(says(&w, "init data"));
    json_decref(runtime);
    json_decref(other);
    pki_destroy(pki);
    guest_destroy(&g);
    guest_destroy(&h);
    world_destroy(&w);
}

static void tdx(void **state)
{
    (void)state;
    quotes_of(MADE_TDX4, "tdx");
    quotes_of(MADE_TDX5_15, "tdx");
}

static void sgx(void **state)
{
    (void)state;
    quotes_of(MADE_SGX3, "sgx");
}

/* ---- SNP's host data ---- */

static void snp_init_data(void **state)
{
    struct guest g = guest_create();
    json_t *runtime, *body;
    uint8_t digest[64];
    struct world w;

    (void)state;
    EVP_Digest(INIT_DATA, strlen(INIT_DATA), digest, NULL, EVP_sha256(), NULL);
    for (int longer = 0; longer < 2; longer++) {
        if (longer) /* cut to the field */
            EVP_Digest(INIT_DATA, strlen(INIT_DATA), digest, NULL, EVP_sha384(), NULL);
        world_create_for(&w, digest);
        for (int other = 0; other < 2; other++) {
            guest_session(&w, &g, "blue", "snp");
            runtime = guest_runtime(&g);
            body = guest_body(&w, runtime, runtime);
            json_object_set_new(body, "init-data",
                                json_pack("{s:s, s:s}", "format", "toml", "body",
                                          other ? INIT_DATA "#" : INIT_DATA));
            assert_int_equal(guest_send(&w, "blue", g.cookie, body), other ? 401 : 200);
            if (other)
                assert_true(says(&w, "snp.host_data is not the digest of the init data"));
            json_decref(runtime);
            json_decref(body);
        }
        world_destroy(&w);
    }
    guest_destroy(&g);
}

/* ---- TPM ---- */

#define PCRS "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"

/* A key of its own, which only signs what the TPM says. */
static void make_ak(const char *name)
{
    assert_int_equal(
        swtpm_run(&tpm,
                  "tpm2_createprimary -Q -C o -G ecc -c primary && tpm2_flushcontext -t && "
                  "tpm2_create -Q -C primary -G"
                  " rsa2048:rsassa-sha256:null -c %s -a"
                  " 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign' &&"
                  " tpm2_flushcontext -t &&"
                  " tpm2_readpublic -Q -c %s -f pem -o %s.pem && tpm2_flushcontext -t",
                  name, name, name),
        0);
}

/* The PCRs' values, and what the TPM signed about them and the hash of `bound`. */
static json_t *tpm_quote(const char *ak, const json_t *bound, const EVP_MD *md)
{
    uint8_t data[64], message[1024], signature[512], values[24 * 32];
    char hex[2 * sizeof(message) + 1], more[2 * sizeof(signature) + 1];
    json_t *pcrs = json_array();
    size_t len, more_len;

    guest_hash(bound, md, data);
    hex_of(data, (size_t)EVP_MD_get_size(md), hex);
    assert_int_equal(swtpm_run(&tpm,
                               "tpm2_quote -Q -c %s -l sha256:" PCRS " -q %s -m message -s"
                               " signature -f plain -g sha256 && tpm2_pcrread -Q -o values"
                               " sha256:" PCRS " && tpm2_flushcontext -t",
                               ak, hex),
                     0);
    len = swtpm_file(&tpm, "message", message, sizeof(message));
    more_len = swtpm_file(&tpm, "signature", signature, sizeof(signature));
    assert_int_equal(swtpm_file(&tpm, "values", values, sizeof(values)), sizeof(values));
    for (int i = 0; i < 24; i++) {
        hex_of(values + 32 * i, 32, hex);
        json_array_append_new(pcrs, json_string(hex));
    }
    hex_of(message, len, hex);
    hex_of(signature, more_len, more);
    return json_pack("{s:s, s:s, s:o}", "message", hex, "signature", more, "pcrs", pcrs);
}

static size_t ak_pem(const char *name, char *pem, size_t size)
{
    char file[32];
    size_t len;

    snprintf(file, sizeof(file), "%s.pem", name);
    len = swtpm_file(&tpm, file, (uint8_t *)pem, size - 1);
    assert_true(len > 0);
    pem[len] = '\0';
    return len;
}

static json_t *tpm_evidence(const char *ak, const json_t *bound, const EVP_MD *md)
{
    char pem[1024];

    ak_pem(ak, pem, sizeof(pem));
    return json_pack("{s:s, s:o}", "ak_public", pem, "tpm_quote", tpm_quote(ak, bound, md));
}

static int tpm_guest(struct world *w, struct guest *g, const char *ak, const EVP_MD *md,
                     const char *init_data)
{
    json_t *runtime;
    int status;

    guest_session(w, g, "blue", "tpm");
    runtime = guest_runtime(g);
    status = send_evidence(w, g, runtime, tpm_evidence(ak, runtime, md), init_data);
    json_decref(runtime);
    return status;
}

static void tpm_quotes(void **state)
{
    struct guest g = guest_create(), h = guest_create();
    char pem[1024], digest[65];
    json_t *runtime, *other, *entry;
    uint8_t hash[32];
    struct world w;

    (void)state;
    world_create(&w);
    world_trust(&w, (struct bawn_bytes){ (uint8_t *)pem, ak_pem("ak", pem, sizeof(pem)) });
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", policy_of_all), 200);
    assert_int_equal(tpm_guest(&w, &g, "ak", EVP_sha256(), NULL), 200);
    entry = last_entry(&w);
    assert_string_equal(text_of(entry, "kind"), "tpm");
    assert_string_equal(text_of(entry, "hash"), "sha256");
    json_decref(entry);
    assert_int_equal(tpm_guest(&w, &g, "ak", EVP_sha384(), NULL), 200);
    /* A key that no administrator named. */
    assert_int_equal(tpm_guest(&w, &g, "stranger", EVP_sha256(), NULL), 401);
    /* A quote for another guest's session. */
    guest_session(&w, &g, "blue", "tpm");
    guest_session(&w, &h, "blue", "tpm");
    runtime = guest_runtime(&g);
    other = guest_runtime(&h);
    assert_int_equal(send_evidence(&w, &g, runtime, tpm_evidence("ak", other, EVP_sha256()), NULL),
                     401);
    assert_true(says(&w, "tpm.nonce is not the hash of the runtime data"));
    json_decref(runtime);
    json_decref(other);
    /* Init data: before it is in PCR 8, and after. */
    assert_int_equal(tpm_guest(&w, &g, "ak", EVP_sha256(), INIT_DATA), 401);
    assert_true(says(&w, "tpm.pcr[8] is not the digest of the init data"));
    EVP_Digest(INIT_DATA, strlen(INIT_DATA), hash, NULL, EVP_sha256(), NULL);
    hex_of(hash, sizeof(hash), digest);
    assert_int_equal(swtpm_run(&tpm, "tpm2_pcrextend 8:sha256=%s", digest), 0);
    assert_int_equal(tpm_guest(&w, &g, "ak", EVP_sha256(), INIT_DATA), 200);
    assert_int_equal(tpm_guest(&w, &g, "ak", EVP_sha256(), INIT_DATA "#"), 401);
    /* Something more was measured there. */
    assert_int_equal(swtpm_run(&tpm, "tpm2_pcrextend 8:sha256=%s", digest), 0);
    assert_int_equal(tpm_guest(&w, &g, "ak", EVP_sha256(), INIT_DATA), 401);
    guest_destroy(&g);
    guest_destroy(&h);
    world_destroy(&w);
}

/* ---- Azure: its report holds the SNP or TD report, which vouches for the TPM's key ---- */

static void put_le32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> 8 * i);
}

/* Runtime data as the paravisor writes it, with this key. */
static char *hcl_runtime(const char *ak)
{
    char pem[1024], *text;
    size_t len = ak_pem(ak, pem, sizeof(pem));
    EVP_PKEY *key;
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    json_t *jwk, *data;

    key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(key);
    jwk = jwk_from(key, NULL, NULL);
    EVP_PKEY_free(key);
    assert_non_null(jwk);
    json_object_set_new(jwk, "kid", json_string("HCLAkPub"));
    data = json_pack("{s:[o], s:{s:b}}", "keys", jwk, "vm-configuration", "secure-boot", 1);
    text = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    return text;
}

#define HCL_HARDWARE 1184 /* room for the hardware's report */

/* type: 2 SNP, 4 TDX. */
static json_t *hcl_of(const void *report, size_t report_len, unsigned type, const char *runtime)
{
    enum { REPORT = 0x20, DATA = REPORT + HCL_HARDWARE, TEXT = DATA + 20 };
    uint8_t hcl[4096] = { 0 };
    uint32_t len = (uint32_t)strlen(runtime);

    assert_true(len < sizeof(hcl) - TEXT && report_len <= HCL_HARDWARE);
    memcpy(hcl, "HCLA", 4);
    put_le32(hcl + 4, 1);
    put_le32(hcl + 8, TEXT + len);
    put_le32(hcl + 12, 2);
    memcpy(hcl + REPORT, report, report_len);
    put_le32(hcl + DATA, 20 + len);
    put_le32(hcl + DATA + 4, 1);
    put_le32(hcl + DATA + 8, type);
    put_le32(hcl + DATA + 12, 1);
    put_le32(hcl + DATA + 16, len);
    memcpy(hcl + TEXT, runtime, len);
    return take(base64_of((struct bawn_bytes){ hcl, sizeof(hcl) }));
}

static json_t *azure_evidence(struct world *w, const char *vouched, const char *ak,
                              const json_t *bound)
{
    struct bawn_snp_report report;
    char *runtime = hcl_runtime(vouched);
    uint8_t data[64] = { 0 };
    json_t *chain, *hcl;

    EVP_Digest(runtime, strlen(runtime), data, NULL, EVP_sha256(), NULL);
    guest_report(w, data, &report);
    hcl = hcl_of(&report, sizeof(report), 2, runtime);
    free(runtime);
    chain = json_pack("[s%, s%]", w->files[PSP_VCEK].data, w->files[PSP_VCEK].len,
                      w->files[PSP_CERT_CHAIN].data, w->files[PSP_CERT_CHAIN].len);
    return json_pack("{s:i, s:o, s:o, s:o}", "version", 1, "hcl_report", hcl, "tpm_quote",
                     tpm_quote(ak, bound, EVP_sha256()), "collateral", chain);
}

static void azure(void **state)
{
    struct guest g = guest_create(), h = guest_create();
    json_t *runtime, *other, *entry;
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", policy_of_all), 200);
    guest_session(&w, &g, "blue", "az-snp-vtpm");
    runtime = guest_runtime(&g);
    assert_int_equal(send_evidence(&w, &g, runtime, azure_evidence(&w, "ak", "ak", runtime), NULL),
                     200);
    entry = last_entry(&w);
    assert_string_equal(text_of(entry, "kind"), "azure-snp");
    json_decref(entry);
    json_decref(runtime);
    /* A TPM that the report does not vouch for. */
    guest_session(&w, &g, "blue", "az-snp-vtpm");
    runtime = guest_runtime(&g);
    assert_int_equal(
        send_evidence(&w, &g, runtime, azure_evidence(&w, "ak", "stranger", runtime), NULL), 401);
    json_decref(runtime);
    /* Another's session, and the plain TPM's name for it. */
    guest_session(&w, &g, "blue", "az-snp-vtpm");
    guest_session(&w, &h, "blue", "az-snp-vtpm");
    runtime = guest_runtime(&g);
    other = guest_runtime(&h);
    assert_int_equal(send_evidence(&w, &g, runtime, azure_evidence(&w, "ak", "ak", other), NULL),
                     401);
    assert_true(says(&w, "tpm.nonce is not the hash of the runtime data"));
    json_decref(runtime);
    json_decref(other);
    guest_session(&w, &g, "blue", "tpm");
    runtime = guest_runtime(&g);
    assert_int_equal(send_evidence(&w, &g, runtime, azure_evidence(&w, "ak", "ak", runtime), NULL),
                     401);
    assert_true(says(&w, "the session was made for tpm"));
    json_decref(runtime);
    guest_destroy(&g);
    guest_destroy(&h);
    world_destroy(&w);
}

/* The TDREPORT of which that quote is made. */
static void td_report(const struct bawn_td_report10 *quoted, struct bawn_tdreport *report)
{
    *report = (struct bawn_tdreport){ .mac.type = BAWN_TDREPORT_TYPE_TDX };
#define SAME(field, of) memcpy(report->field, quoted->of, sizeof(quoted->of))
    SAME(mac.report_data, report_data);
    SAME(tcb.tee_tcb_svn, tee_tcb_svn);
    SAME(tcb.mr_seam, mr_seam);
    SAME(tcb.mrsigner_seam, mrsigner_seam);
    SAME(tcb.attributes, seam_attributes);
    SAME(td.td_attributes, td_attributes);
    SAME(td.xfam, xfam);
    SAME(td.mr_td, mr_td);
    SAME(td.mr_config_id, mr_config_id);
    SAME(td.mr_owner, mr_owner);
    SAME(td.mr_owner_config, mr_owner_config);
    SAME(td.rtmr, rtmr);
#undef SAME
}

/* What is wrong with it; every quote is signed by the same platform, and rightly. */
enum wrong { NOTHING, RUNTIME_DATA, REPORT_DATA, OTHER_TD, STRANGER, NO_QUOTE };

static json_t *azure_td(struct world *w, struct pki *pki, enum wrong wrong, const json_t *bound)
{
    char issued[24], next[24], *runtime = hcl_runtime("ak");
    json_t *collateral = json_array(), *hcl, *evidence;
    struct bawn_tdreport report;
    struct made_spec spec;
    struct made made;

    date(issued, time(NULL) - 86400);
    date(next, time(NULL) + 86400);
    made_default(&spec, MADE_TDX4);
    spec.issued = issued;
    spec.next_update = next;
    memset(spec.td.base.report_data, 0, sizeof(spec.td.base.report_data));
    EVP_Digest(runtime, strlen(runtime), spec.td.base.report_data, NULL, EVP_sha256(), NULL);
    if (wrong == REPORT_DATA) /* a report and a quote that any program in any TD can have */
        spec.td.base.report_data[0] ^= 1;
    td_report(&spec.td.base, &report);
    if (wrong == OTHER_TD) /* that of another machine, with the same report data */
        spec.td.base.mr_td[0] ^= 1;
    if (wrong == RUNTIME_DATA)
        *strstr(runtime, "secure-boot") = 'S';
    hcl = hcl_of(&report, sizeof(report), 4, runtime);
    free(runtime);
    made_build(pki, &spec, &made);
    world_trust(w, pki_pem(pki, "CERTIFICATE", made.root_cert->der));
    for (size_t i = 0; i < made.nr_endorsements; i++)
        json_array_append_new(collateral, take(base64_of(made.endorsements[i])));
    evidence = json_pack("{s:i, s:o, s:o, s:o, s:o}", "version", 1, "hcl_report", hcl, "td_quote",
                         take(base64_of(made.quote)), "tpm_quote",
                         tpm_quote(wrong == STRANGER ? "stranger" : "ak", bound, EVP_sha256()),
                         "collateral", collateral);
    if (wrong == NO_QUOTE)
        json_object_del(evidence, "td_quote");
    return evidence;
}

static void azure_tdx(void **state)
{
    static const struct {
        enum wrong wrong;
        bool other; /* made for another guest's session */
        const char *tee, *why;
    } cases[] = {
        { NOTHING, false, "az-tdx-vtpm", NULL },
        { RUNTIME_DATA, false, "az-tdx-vtpm", "not bound to the runtime data" },
        { REPORT_DATA, false, "az-tdx-vtpm", "not bound to the runtime data" },
        { OTHER_TD, false, "az-tdx-vtpm", "not of the HCL's TD report: tdx.mrtd" },
        { STRANGER, false, "az-tdx-vtpm", "does not verify with the attestation key" },
        { NO_QUOTE, false, "az-tdx-vtpm", "without a TD quote" },
        { NOTHING, true, "az-tdx-vtpm", "tpm.nonce is not the hash of the runtime data" },
        { NOTHING, false, "tdx", "the session was made for tdx" },
        { NOTHING, false, "az-snp-vtpm", "the session was made for az-snp-vtpm" },
    };
    struct guest g = guest_create(), h = guest_create();
    struct pki *pki = pki_create();
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", policy_of_all), 200);
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *runtime, *other, *entry;
        int status;

        guest_session(&w, &g, "blue", cases[i].tee);
        guest_session(&w, &h, "blue", cases[i].tee);
        runtime = guest_runtime(&g);
        other = guest_runtime(&h);
        status = send_evidence(&w, &g, runtime,
                               azure_td(&w, pki, cases[i].wrong, cases[i].other ? other : runtime),
                               NULL);
        assert_int_equal(status, cases[i].why ? 401 : 200);
        if (cases[i].why)
            assert_true(says(&w, cases[i].why));
        entry = last_entry(&w);
        assert_string_equal(text_of(entry, "kind"), "azure-tdx");
        if (!cases[i].why)
            assert_string_equal(text_of(entry, "hash"), "sha256");
        json_decref(entry);
        json_decref(runtime);
        json_decref(other);
    }
    pki_destroy(pki);
    guest_destroy(&g);
    guest_destroy(&h);
    world_destroy(&w);
}

/* ---- CoRIM ---- */

static size_t cbor_head(uint8_t *to, unsigned major, size_t n)
{
    to[0] = (uint8_t)(major << 5 | (n < 24 ? n : n < 256 ? 24 : 25));
    if (n >= 256) {
        to[1] = (uint8_t)(n >> 8);
        to[2] = (uint8_t)n;
    } else if (n >= 24) {
        to[1] = (uint8_t)n;
    }
    return n < 24 ? 1 : n < 256 ? 2 : 3;
}

static size_t cbor_string(uint8_t *to, unsigned major, const void *data, size_t len)
{
    size_t n = cbor_head(to, major, len);

    memcpy(to + n, data, len);
    return n + len;
}

/* draft-ietf-rats-corim: one CoMID that gives this digest (SHA-384) under the key "good". */
static size_t corim_of(const uint8_t digest[48], uint8_t *out)
{
    static const uint8_t before[] = {
        0xa2, 0x01, 0xa1, 0x00, 0x61, 't',  0x04, 0xa1, 0x00, 0x81, 0x82, 0xa1,
        0x00, 0xa1, 0x01, 0x64, 'A',  'C',  'M',  'E',  0x81, 0xa2, 0x00, 0x64,
        'g',  'o',  'o',  'd',  0x01, 0xa1, 0x02, 0x81, 0x82, 0x07,
    };
    static const uint8_t start[] = { 0xd9, 0x01, 0xf5, 0xa2, 0x00, 0x61,
                                     'c',  0x01, 0x81, 0xd9, 0x01, 0xfa };
    uint8_t comid[256];
    size_t n = sizeof(before);

    memcpy(comid, before, n);
    n += cbor_string(comid + n, 2, digest, 48);
    memcpy(out, start, sizeof(start));
    return sizeof(start) + cbor_string(out + sizeof(start), 2, comid, n);
}

/* COSE_Sign1 (RFC 9052, 4.4) with ES256. */
static size_t cose_of(EVP_PKEY *key, const uint8_t *payload, size_t len, uint8_t *out)
{
    /* {1: -7, 3: "application/rim+cbor"} */
    static const uint8_t protected[] = { 0xa2, 0x01, 0x26, 0x03, 0x74, 'a', 'p', 'p', 'l',
                                         'i',  'c',  'a',  't',  'i',  'o', 'n', '/', 'r',
                                         'i',  'm',  '+',  'c',  'b',  'o', 'r' };
    static const uint8_t context[] = {
        0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1'
    };
    uint8_t tbs[1024], der[128], raw[64];
    const uint8_t *p = der;
    size_t n = sizeof(context), der_len = sizeof(der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig;

    memcpy(tbs, context, n);
    n += cbor_string(tbs + n, 2, protected, sizeof(protected));
    n += cbor_string(tbs + n, 2, "", 0);
    n += cbor_string(tbs + n, 2, payload, len);
    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &der_len, tbs, n), 1);
    EVP_MD_CTX_free(ctx);
    sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32), 32);
    ECDSA_SIG_free(sig);
    out[0] = 0xd2; /* tag 18 */
    out[1] = 0x84;
    n = 2 + cbor_string(out + 2, 2, protected, sizeof(protected));
    out[n++] = 0xa0;
    n += cbor_string(out + n, 2, payload, len);
    return n + cbor_string(out + n, 2, raw, sizeof(raw));
}

static int post_corim(struct world *w, const uint8_t *data, size_t len, const char *type)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "tenant", "blue", "method", "POST", "path",
                  "reference-value", "query", "", "identity", AUTHOR, "type", type);

    return ask(w, serve_admin, json, data, len);
}

static void measurement_of(struct world *w, uint8_t digest[48])
{
    struct bawn_snp_report report;
    static const uint8_t data[64];

    guest_report(w, data, &report);
    memcpy(digest, report.measurement, 48);
}

/* A signed file of reference values allows what it names. */
static void corim(void **state)
{
    static const char known[] =
        "{\"bawn_policy\":1,\"id\":\"known\",\"version\":\"1\",\"evidence\":[\"snp\"],"
        "\"test_roots\":true,\"rules\":[{\"id\":\"good\",\"claim\":\"snp.measurement\","
        "\"in_reference\":\"good\",\"reason\":\"only guests that were released\"}]}";
    EVP_PKEY *signer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    EVP_PKEY *stranger = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    struct guest g = guest_create();
    uint8_t digest[48], file[1024], payload[512];
    BIO *bio = BIO_new(BIO_s_mem());
    struct world w;
    size_t len, inner;
    char *pem, *key, *text;
    json_t *message;

    (void)state;
    world_create(&w);
    assert_int_equal(PEM_write_bio_PUBKEY(bio, signer), 1);
    len = (size_t)BIO_get_mem_data(bio, &pem);
    key = strndup(pem, len);
    BIO_free(bio);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", known), 200);
    measurement_of(&w, digest);
    inner = corim_of(digest, payload);
    len = cose_of(signer, payload, inner, file);
    /* Nobody is a signer yet; then only one is; without a signature it is nobody's. */
    assert_int_equal(post_corim(&w, file, len, "application/rim+cbor"), 400);
    assert_true(says(&w, "reference-value-signer"));
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value-signer/build", key), 200);
    assert_int_equal(post_corim(&w, payload, inner, "application/rim+cbor"), 400);
    len = cose_of(stranger, payload, inner, file);
    assert_int_equal(post_corim(&w, file, len, "application/rim+cbor"), 400);
    assert_int_equal(guest_attest(&w, &g, "blue"), 401);
    assert_int_equal(admin(&w, "blue", AUDITOR, "GET", "reference-value", NULL), 200);
    assert_null(strstr(w.text, "good"));
    len = cose_of(signer, payload, inner, file);
    assert_int_equal(post_corim(&w, file, len, "application/rim+cbor"), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    /* The same in KBS's message, after they were deleted. */
    assert_int_equal(admin(&w, "blue", AUTHOR, "DELETE", "reference-value/good", NULL), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 401);
    message = json_pack("{s:s, s:s, s:o}", "version", "0.1.0", "type", "corim", "payload",
                        take(base64_of((struct bawn_bytes){ file, len })));
    text = json_dumps(message, 0);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value", text), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    free(text);
    free(key);
    json_decref(message);
    EVP_PKEY_free(signer);
    EVP_PKEY_free(stranger);
    guest_destroy(&g);
    world_destroy(&w);
}

/* ---- All ---- */

static int start(void **state)
{
    (void)state;
    if (swtpm_start(&tpm))
        return -1;
    make_ak("ak");
    make_ak("stranger");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return swtpm_stop(&tpm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tdx),        cmocka_unit_test(sgx),   cmocka_unit_test(snp_init_data),
        cmocka_unit_test(tpm_quotes), cmocka_unit_test(azure), cmocka_unit_test(azure_tdx),
        cmocka_unit_test(corim),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
