// SPDX-License-Identifier: Apache-2.0
/*
 * Collateral in the forms that it comes in: what is found in them, byte for byte, and what is
 * none.
 */
#include "tests/unit/attest/quote_made.h"

#define BUNDLE "tests/vectors/tdx/tdx-v4-00806f050000-c39a3a25.collateral-2025-10-19.json"

static struct made made;

static struct scene scene;

static bool add_json(struct bawn_bytes text)
{
    struct js j;

    return js_parse(&j, scene.v.arena, text) && collateral_add(&scene.v, &j);
}

static bool add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Formats JSON and adds it, to a scene that is empty. */
static bool add(const char *fmt, ...)
{
    static char json[65536];
    struct blob exact;
    struct bawn_bytes kept;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(json, sizeof(json), fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && (size_t)n < sizeof(json));
    scene_again(&scene);
    exact = blob_of(json, (size_t)n);
    kept = pki_bytes(pki, exact.data, exact.len);
    blob_free(&exact);
    return add_json(kept);
}

static const struct signed_json *signed_at(const struct list *l, size_t i)
{
    assert_true(i < l->n);
    return (const struct signed_json *)l->items + i;
}

static void expect_counts(size_t tcb_infos, size_t identities, size_t certs, size_t crls)
{
    if (scene.v.end.tcb_infos.n != tcb_infos || scene.v.end.qe_identities.n != identities ||
        scene.v.end.certs.n != certs || scene.v.end.crls.n != crls) {
        show_findings(scene.r);
        fail_msg("%zu TCB infos, %zu identities, %zu certificates, %zu CRLs",
                 scene.v.end.tcb_infos.n, scene.v.end.qe_identities.n, scene.v.end.certs.n,
                 scene.v.end.crls.n);
    }
}

static const char *hex(struct bawn_bytes b)
{
    char *s = malloc(2 * b.len + 1);
    struct bawn_bytes kept;

    assert_non_null(s);
    for (size_t i = 0; i < b.len; i++)
        snprintf(s + 2 * i, 3, "%02x", b.data[i]);
    s[2 * b.len] = 0;
    kept = pki_bytes(pki, s, 2 * b.len + 1);
    free(s);
    return (const char *)kept.data;
}

static const char *base64(struct bawn_bytes b)
{
    size_t n = 4 * ((b.len + 2) / 3) + 1;
    uint8_t *s = malloc(n);
    struct bawn_bytes kept;

    assert_non_null(s);
    assert_int_equal(EVP_EncodeBlock(s, b.data, (int)b.len), n - 1);
    kept = pki_bytes(pki, s, n);
    free(s);
    return (const char *)kept.data;
}

/* PEM as a JSON string. */
static const char *pem(const char *label, struct bawn_bytes der)
{
    struct bawn_bytes p = pki_pem(pki, label, der), kept;
    char *s = malloc(2 * p.len + 1);
    size_t n = 0;

    assert_non_null(s);
    for (size_t i = 0; i < p.len; i++) {
        if (p.data[i] == '\n') {
            s[n++] = '\\';
            s[n++] = 'n';
        } else {
            s[n++] = (char)p.data[i];
        }
    }
    s[n++] = 0;
    kept = pki_bytes(pki, s, n);
    free(s);
    return (const char *)kept.data;
}

#define BODY "{\"id\":\"TDX\", \"x\":[1 ,2]}" /* blanks are signed too */
#define SIG                                                            \
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" \
    "202122232425262728292a2b2c2d2e2f303132333435363738393A3B3C3D3E3F"

static void expect_body(const struct list *l, const char *want)
{
    const struct signed_json *s = signed_at(l, 0);

    assert_int_equal(s->body.len, strlen(want));
    assert_memory_equal(s->body.data, want, strlen(want));
    assert_int_equal(s->signature.len, 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(s->signature.data[i], i);
}

/* As the PCS sends them. */
static void responses(void **state)
{
    (void)state;
    assert_true(add("{\"tcbInfo\":" BODY ",\"signature\":\"" SIG "\"}"));
    expect_counts(1, 0, 0, 0);
    expect_body(&scene.v.end.tcb_infos, BODY);
    assert_true(add(" {\"signature\" : \"" SIG "\",\n\"enclaveIdentity\": " BODY " }\n"));
    expect_counts(0, 1, 0, 0);
    expect_body(&scene.v.end.qe_identities, BODY);
    assert_int_equal(scene.r->findings.n, 0);
}

/* A body in a string is signed as it reads without the escapes. */
static void escaped_body(void **state)
{
    static const char escaped[] = "{\\\"id\\\":\\\"TDX\\\", \\\"x\\\":[1\\u0020,2]}";
    uint8_t sig[64];

    (void)state;
    for (int i = 0; i < 64; i++)
        sig[i] = (uint8_t)i;
    assert_true(add("{\"tcb_info\":\"%s\",\"tcb_info_signature\":\"" SIG "\"}", escaped));
    expect_body(&scene.v.end.tcb_infos, BODY);
    assert_true(add("{\"tcbInfo\":\"%s\",\"tcbInfoSignature\":\"" SIG "\"}", escaped));
    expect_body(&scene.v.end.tcb_infos, BODY);
    assert_true(add("{\"qeIdentity\":\"%s\",\"qeIdentitySignature\":\"%s\"}", escaped,
                    base64((struct bawn_bytes){ sig, sizeof(sig) })));
    expect_body(&scene.v.end.qe_identities, BODY);
}

/* The whole response in a bundle's member: as text or as an object. */
static void response_in_bundle(void **state)
{
    (void)state;
    assert_true(add("{\"tcb_info\":\"{\\\"tcbInfo\\\":{\\\"id\\\":\\\"TDX\\\", \\\"x\\\":[1 ,2]},"
                    "\\\"signature\\\":\\\"" SIG "\\\"}\"}"));
    expect_body(&scene.v.end.tcb_infos, BODY);
    assert_true(add("{\"TcbInfo\":{\"tcbInfo\":" BODY ",\"signature\":\"" SIG "\"},"
                    "\"qe_identity\":{\"enclaveIdentity\":" BODY ",\"signature\":\"" SIG "\"}}"));
    expect_counts(1, 1, 0, 0);
    expect_body(&scene.v.end.tcb_infos, BODY);
    expect_body(&scene.v.end.qe_identities, BODY);
    assert_true(add("{\"x\":1,\"collateral\":{\"tcbInfo\":" BODY ",\"signature\":\"" SIG "\"}}"));
    expect_body(&scene.v.end.tcb_infos, BODY);
    assert_int_equal(scene.r->findings.n, 0);
}

static void real_bundle(void **state)
{
    struct blob file = file_read(BUNDLE);
    const struct signed_json *s;

    (void)state;
    scene_again(&scene);
    assert_true(add_json(bytes_of(&file)));
    expect_counts(1, 1, 3, 2); /* PCK CA, root, TCB signing, each once */
    s = signed_at(&scene.v.end.tcb_infos, 0);
    assert_memory_equal(s->body.data, "{\"id\":\"TDX\",\"version\":3,", 24);
    assert_int_equal(s->body.data[s->body.len - 1], '}');
    assert_int_equal(scene.r->findings.n, 0);
    blob_free(&file);
}

/* Certificates and CRLs as PEM, percent-escaped PEM, hex, base64, one or a list. */
static void encodings(void **state)
{
    struct bawn_bytes crl = made.endorsements[0], crl2 = made.endorsements[1];
    const char *ca = pem("CERTIFICATE", made.ca->der), *root = pem("CERTIFICATE", made.root);
    char escaped[4096];
    size_t n = 0;

    (void)state;
    assert_true(add("{\"root_ca_crl\":\"%s\",\"pck_crl\":\"%s\"}", hex(crl), hex(crl2)));
    expect_counts(0, 0, 0, 2);
    assert_true(add("{\"rootCaCrl\":\"%s\",\"pckCrl\":\"%s\"}", base64(crl), hex(crl2)));
    expect_counts(0, 0, 0, 2);
    assert_true(add("{\"RootCaCrl\":\"%s\",\"pckCrlIssuerChain\":\"%s%s\"}", pem("X509 CRL", crl),
                    ca, root));
    expect_counts(0, 0, 2, 1);
    assert_true(
        add("{\"pck-crl\":\"%s\",\"tcb-info-issuer-chain\":[\"%s\",\"%s\"]}", hex(crl), ca, root));
    expect_counts(0, 0, 2, 1);
    assert_true(add("{\"pck_crl\":\"%s\",\"rootCa\":\"%s\"}", hex(crl), base64(made.root)));
    expect_counts(0, 0, 1, 1);
    /* %0A and %20 as in the PCS's headers. */
    for (struct bawn_bytes p = pki_pem(pki, "CERTIFICATE", made.ca->der); p.len;
         p.data++, p.len--) {
        if (*p.data == '\n' || *p.data == ' ')
            n += (size_t)snprintf(escaped + n, sizeof(escaped) - n, "%%%02X", *p.data);
        else
            escaped[n++] = (char)*p.data;
        assert_true(n < sizeof(escaped));
    }
    escaped[n] = 0;
    assert_true(
        add("{\"pck_crl\":\"%s\",\"SGX-TCB-Info-Issuer-Chain\":\"%s\"}", hex(crl), escaped));
    expect_counts(0, 0, 1, 1);
    assert_int_equal(scene.r->findings.n, 0);
}

/* What is broken is a warning and does not hide the rest. */
static void broken_parts(void **state)
{
    static const char *const parts[] = {
        "\"tcbInfo\":" BODY,                                          /* no signature */
        "\"tcbInfo\":" BODY ",\"signature\":\"00\"",                  /* short */
        "\"tcbInfo\":" BODY ",\"signature\":7",                       /* no string */
        "\"tcbInfo\":[1],\"signature\":\"" SIG "\"",                  /* no object */
        "\"tcbInfo\":\"{\"",                                          /* no JSON */
        "\"qe_identity\":null,\"qe_identity_signature\":\"" SIG "\"", /* nothing */
        "\"root_ca_crl\":\"zz\"",
        "\"root_ca_crl\":\"3000\"",
        "\"root_ca_crl\":{}",
        "\"root_ca_crl\":[1]",
        "\"pck_crl_issuer_chain\":\"-----BEGIN CERTIFICATE-----\"",
        "\"pck_crl_issuer_chain\":\"%2\"",
        "\"pck_crl_issuer_chain\":\"-----BEGIN%20%\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!add("{%s,\"pck_crl\":\"%s\"}", parts[i], hex(made.endorsements[0])))
            fail_msg("not taken: %s", parts[i]);
        expect_counts(0, 0, 0, 1);
        if (scene.r->findings.n != 1)
            fail_msg("%zu findings for %s", scene.r->findings.n, parts[i]);
        assert_int_equal(((struct bawn_finding *)scene.r->findings.items)[0].level,
                         BAWN_FINDING_WARNING);
    }
}

static void not_collateral(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"tcbInfo\":",
        "[{\"tcbInfo\":{},\"signature\":\"" SIG "\"}]",
        "{\"quote\":\"AAAA\",\"cc_eventlog\":\"AAAA\"}",
        "{\"signature\":\"" SIG "\"}",
        "{\"tcb\":{},\"tcbInfos\":{},\"cbInfo\":{}}",
        "{\"collateral\":[1]}",
        "{\"collateral\":{\"x\":1}}",
        "{\"rootCa\":\"AAAA\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (add("%s", texts[i]))
            fail_msg("taken: %s", texts[i]);
        expect_counts(0, 0, 0, 0);
        assert_int_equal(scene.r->findings.n, 0);
    }
}

/* A bundle cut anywhere, or with bytes flipped here and there: no crash, and what remains is
 * marked. */
static void mutated(void **state)
{
    struct blob file = file_read(BUNDLE);

    (void)state;
    for (size_t n = 0; n < file.len; n += 97) {
        struct blob cut = blob_of(file.data, n);

        scene_again(&scene);
        assert_false(add_json(bytes_of(&cut)));
        blob_free(&cut);
    }
    for (size_t i = 0; i < file.len; i += 41) {
        file.data[i] ^= 0x15;
        scene_again(&scene);
        add_json(bytes_of(&file));
        file.data[i] ^= 0x15;
    }
    blob_free(&file);
}

static int setup(void **state)
{
    struct made_spec spec;

    pki_setup(state);
    made_default(&spec, MADE_TDX4);
    made_build(pki, &spec, &made);
    scene_open(&scene, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    scene_close(&scene);
    return pki_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses),          cmocka_unit_test(escaped_body),
        cmocka_unit_test(response_in_bundle), cmocka_unit_test(real_bundle),
        cmocka_unit_test(encodings),          cmocka_unit_test(broken_parts),
        cmocka_unit_test(not_collateral),     cmocka_unit_test(mutated),
    };

    return cmocka_run_group_tests_name("attest/collateral", tests, setup, teardown);
}
