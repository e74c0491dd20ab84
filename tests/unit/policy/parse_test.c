// SPDX-License-Identifier: Apache-2.0
// libs: -lcrypto
/*
 * Policies' texts: what is refused, with which words and at which line and column; includes and
 * their pins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include <bawn/policy.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
/* A policy's beginning, of three lines, so that what follows is in the fourth. */
#define HEAD "{\n\"bawn_policy\": 1, \"id\": \"p\", \"version\": \"1\",\n\"evidence\": [\"snp\"],\n"
#define RULE(body) HEAD "\"rules\": [{\"id\": \"r\", \"reason\": \"why\", " body "}]}"

static struct bawn_bytes bytes_of(const char *text)
{
    return (struct bawn_bytes){ (const uint8_t *)text, strlen(text) };
}

static enum bawn_status create(struct bawn_policy **p, const char *text, struct bawn_error *err)
{
    memset(err, 0, sizeof(*err));
    return bawn_policy_create(p, "p.json", bytes_of(text), NULL, NULL, err);
}

static const struct {
    const char *text, *error;
} refused[] = {
    { "", "p.json:1:1: the text ends" },
    { "{\n \"bawn_policy\" 1}", "p.json:2:17: a colon must follow" },
    { "[]", "p.json:1:1: a policy must be an object, not an array" },
    { "{}", "p.json:1:1: \"bawn_policy\" is missing" },
    { "{\"bawn_policy\": 2}", "p.json:1:17: \"bawn_policy\" must be 1, not 2" },
    { "{\"bawn_policy\": 1}", "p.json:1:1: \"id\" is missing" },
    { "{\"bawn_policy\": 1, \"id\": \"a b\"}", "p.json:1:26: \"id\" may have letters" },
    { "{\"bawn_policy\": 1, \"id\": \"a\"}", "\"version\" is missing" },
    { "{\"bawn_policy\": 1, \"id\": \"a\", \"version\": 1}",
      "p.json:1:42: \"version\" must be a string" },
    { "{\"bawn_policy\": 1, \"id\": \"a\", \"version\": \"1\"}", "\"evidence\" is missing" },
    { HEAD "\"rulez\": []}", "p.json:4:1: a policy has no member \"rulez\"; is rules meant?" },
    { HEAD "\"test_roots\": 1}", "p.json:4:15: \"test_roots\" must be true or false, not 1" },
    { HEAD "\"test_roots\": true}", "p.json:1:1: \"rules\" is missing" },
    { HEAD "\"rules\": {}}", "p.json:4:10: \"rules\" must be an array" },
    { HEAD "\"rules\": [1]}", "p.json:4:11: a rule must be an object, not 1" },
    { HEAD "\"rules\": [{}]}", "p.json:4:11: \"id\" is missing" },
    { HEAD "\"rules\": [{\"id\": \"x\"}]}", "p.json:4:11: \"reason\" is missing" },
    { HEAD "\"rules\": [{\"id\": \"\"}]}", "p.json:4:18: \"id\" must have 1 to 64 bytes" },
    { HEAD "\"rules\": [],\n\"include\": [{\"name\": \"x\"}]}", "p.json:5:13: \"sha256\" must be" },
    { "{\"bawn_policy\": 1, \"id\": \"a\", \"version\": \"1\", \"evidence\": []}",
      "\"evidence\" must be an array of at least one" },
    { "{\"bawn_policy\": 1, \"id\": \"a\", \"version\": \"1\", \"evidence\": [\"sev\"]}",
      "p.json:1:60: \"sev\" is no kind of evidence" },
    { "{\"bawn_policy\": 1, \"id\": \"a\", \"version\": \"1\", \"evidence\": [\"snp\", \"snp\"]}",
      "p.json:1:67: \"snp\" is there twice" },
    /* rules */
    { RULE("\"x\": 1"), "p.json:4:40: a rule has no member \"x\"" },
    { RULE("\"claim\": \"snp.vmpl\", \"equal\": 0"),
      "p.json:4:61: a rule has no member \"equal\"; is equals meant?" },
    { RULE("\"controls\": []"), "p.json:4:11: a rule has one of" },
    { RULE("\"all\": [], \"any\": []"), "and this has more" },
    { RULE("\"claim\": \"snp.vmpl\", \"not\": {}"), "and this has more" },
    { RULE("\"all\": []"), "p.json:4:47: \"all\" must be an array of at least one rule" },
    { RULE("\"any\": {}"), "\"any\" must be an array" },
    { RULE("\"not\": []"), "p.json:4:47: a rule must be an object" },
    { RULE("\"all\": [1], \"equals\": 1"), "\"equals\" is for a rule with \"claim\"" },
    { RULE("\"claim\": 1"), "\"claim\" must be a claim's name, not 1" },
    { RULE("\"claim\": \"snp.polcy.debug\""),
      "p.json:4:49: there is no claim snp.polcy.debug; is snp.policy.debug meant?" },
    { RULE("\"claim\": \"zzzzzzzzzzzzzzzzzzzzz\""), "there is no claim zzzzzzzzzzzzzzzzzzzzz" },
    { RULE("\"claim\": \"tdx.rtmr\""), "tdx.rtmr has several values: say which as tdx.rtmr[0]" },
    { RULE("\"claim\": \"tdx.mrtd[0]\""), "tdx.mrtd has one value" },
    { RULE("\"claim\": \"tdx.rtmr[00]\""), "is not NAME, NAME[NUMBER] or NAME[*]" },
    { RULE("\"claim\": \"tdx.rtmr[x]\""), "is not NAME, NAME[NUMBER] or NAME[*]" },
    { RULE("\"claim\": \"tdx.rtmr[99999999999999]\""), "is not NAME" },
    { RULE("\"claim\": \"tdx.rtmr[]\""), "is not NAME" },
    { RULE("\"claim\": \"tdx.rtmr[0\""), "is not NAME" },
    { RULE("\"claim\": \"tpm..pcr[0]\", \"present\": true"), "there is no claim tpm..pcr" },
    { RULE("\"claim\": \"snp.vmpl\""), "p.json:4:11: the rule says nothing of what snp.vmpl" },
    { RULE("\"claim\": \"snp.vmpl\", \"equals\": 0, \"at_most\": 1"),
      "the rule has both \"equals\" and \"at_most\"" },
    { RULE("\"claim\": \"snp.vmpl\", \"equals\": \"0\""),
      "p.json:4:71: snp.vmpl is compared with a number" },
    { RULE("\"claim\": \"snp.vmpl\", \"equals\": -1"), "snp.vmpl is compared with a number" },
    { RULE("\"claim\": \"snp.vmpl\", \"equals\": 1.5"), "snp.vmpl is compared with a number" },
    { RULE("\"claim\": \"snp.vmpl\", \"equals\": 18446744073709551616"),
      "is compared with a number" },
    { RULE("\"claim\": \"snp.vmpl\", \"equals\": \"0x11112222333344445\""), "is compared with" },
    { RULE("\"claim\": \"snp.vmpl\", \"equals\": \"0xg\""), "is compared with" },
    { RULE("\"claim\": \"snp.policy.debug\", \"equals\": 0"),
      "is compared with true or false, not with 0" },
    { RULE("\"claim\": \"snp.measurement\", \"equals\": \"abc\""),
      "compared with a string of hex digits" },
    { RULE("\"claim\": \"snp.measurement\", \"equals\": null"),
      "compared with a string of hex digits" },
    { RULE("\"claim\": \"snp.product\", \"equals\": true"),
      "is compared with a string, not with true" },
    { RULE("\"claim\": \"snp.product\", \"equals\": \"a\\u0000b\""), "is compared with a string" },
    { RULE("\"claim\": \"snp.vmpl\", \"one_of\": 1"), "\"one_of\" must be an array" },
    { RULE("\"claim\": \"snp.vmpl\", \"one_of\": []"),
      "\"one_of\" must be an array of at least one" },
    { RULE("\"claim\": \"snp.vmpl\", \"one_of\": [1, true]"),
      "p.json:4:75: snp.vmpl is compared with" },
    { RULE("\"claim\": \"snp.policy.debug\", \"at_least\": true"),
      "\"at_least\" is for numbers, security" },
    { RULE("\"claim\": \"snp.measurement\", \"at_least\": \"00\""),
      "snp.measurement has no order" },
    { RULE("\"claim\": \"snp.product\", \"at_most\": \"x\""), "snp.product has no order" },
    { RULE("\"claim\": \"tdx.tcb_date\", \"at_least\": \"2024-01-01\""),
      "is compared with a time as" },
    { RULE("\"claim\": \"snp.product\", \"bits_set\": \"x\""),
      "\"bits_set\" is for numbers and bytes" },
    { RULE("\"claim\": \"snp.policy.debug\", \"bits_clear\": 1"), "\"bits_clear\" is for numbers" },
    { RULE("\"claim\": \"snp.vmpl\", \"absent\": false"), "\"absent\" must be true, not false" },
    { RULE("\"claim\": \"snp.vmpl\", \"present\": 1"), "\"present\" must be true, not 1" },
    { RULE("\"claim\": \"snp.vmpl\", \"in_reference\": 1"), "\"in_reference\" must be a string" },
    { RULE("\"claim\": \"snp.vmpl\", \"in_reference\": \"\""),
      "\"in_reference\" must have 1 to 128" },
    { RULE("\"controls\": 1, \"claim\": \"snp.vmpl\", \"equals\": 0"),
      "\"controls\" must be an array" },
    { RULE("\"controls\": [1], \"claim\": \"snp.vmpl\", \"equals\": 0"),
      "\"controls\" must be a string" },
    { RULE("\"trust\": 1, \"claim\": \"snp.vmpl\", \"equals\": 0"), "\"trust\" must be an object" },
    { RULE("\"trust\": {\"clam\": 1}"), "\"trust\" has no member \"clam\"; is claim meant?" },
    { RULE("\"trust\": {\"claim\": \"hardwear\"}"), "not \"hardwear\"; is hardware meant?" },
    { RULE("\"trust\": {\"pass\": 1}"),
      "\"claim\" must be one of AR4SI's trust claims, not nothing" },
    { RULE("\"trust\": {\"claim\": \"hardware\", \"pass\": 128}"), "from -128 to 127, not 128" },
    { RULE("\"trust\": {\"claim\": \"hardware\", \"fail\": -129}"), "from -128 to 127, not -129" },
    { RULE("\"trust\": {\"claim\": \"hardware\", \"fail\": 1e1}"), "from -128 to 127, not 1e1" },
    { RULE("\"trust\": {\"claim\": \"hardware\", \"fail\": \"2\"}"), "from -128 to 127" },
    { RULE("\"evidence\": [\"tdx\"], \"claim\": \"snp.vmpl\", \"equals\": 0"),
      "p.json:4:52: the rule is about evidence that the policy does not accept" },
    { RULE("\"any\": [{\"id\": \"i\", \"claim\": \"snp.vmpl\", \"equals\": 0, \"trust\": {}}]"),
      "\"trust\" belongs to the outermost rule" },
    { RULE("\"any\": [{\"id\": \"r\", \"claim\": \"snp.vmpl\", \"equals\": 0}]"),
      "another rule has the id r, in line 4" },
    { HEAD "\"rules\": [{\"id\": \"r\", \"reason\": \"a\\nb\"}]}",
      "\"reason\" has a control character" },
    { HEAD "\"rules\": [],\n\"include\": 1}", "p.json:5:12: \"include\" must be an array" },
    { HEAD "\"rules\": [],\n\"include\": [{\"name\": \"../x\", \"sha256\": \"00\"}]}",
      "p.json:5:22: \"name\" may have letters" },
    { HEAD "\"rules\": [],\n\"include\": [{\"name\": \"..\", \"sha256\": \"00\"}]}",
      "\"name\" must not begin with a dot" },
};

static void refusals(void **state)
{
    unsigned bad = 0;

    (void)state;
    for (size_t i = 0; i < N(refused); i++) {
        struct bawn_policy *p;
        struct bawn_error err;
        enum bawn_status st = create(&p, refused[i].text, &err);

        if (st != BAWN_E_FORMAT || p || strncmp(err.msg, "p.json:", 7) != 0 ||
            !strstr(err.msg, refused[i].error))
            print_error("%s\ngave %d: %s\nnot: %s\n", refused[i].text, st, err.msg,
                        refused[i].error),
                bad++;
    }
    assert_int_equal(bad, 0);
}

static void places(void **state)
{
    static const char text[] = HEAD "\"rules\": [\n"
                                    "  { \"id\": \"a\", \"reason\": \"w\",\n"
                                    "    \"claim\": \"snp.vmpl\",\n"
                                    "    \"equals\": true }\n]}";
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    assert_int_equal(create(&p, text, &err), BAWN_E_FORMAT);
    assert_ptr_equal(strstr(err.msg, "p.json:7:15: "), err.msg);
}

static void good(void **state)
{
    struct bawn_policy *p;
    struct bawn_error err;
    uint8_t hash[32];

    (void)state;
    assert_int_equal(create(&p, RULE("\"claim\": \"snp.vmpl\", \"equals\": 0"), &err), BAWN_OK);
    assert_string_equal(bawn_policy_id(p), "p");
    assert_string_equal(bawn_policy_version(p), "1");
    assert_int_equal(bawn_policy_rules(p), 1);
    EVP_Digest(RULE("\"claim\": \"snp.vmpl\", \"equals\": 0"),
               sizeof(RULE("\"claim\": \"snp.vmpl\", \"equals\": 0")) - 1, hash, NULL, EVP_sha256(),
               NULL);
    assert_memory_equal(bawn_policy_hash(p), hash, 32);
    bawn_policy_destroy(p);
    bawn_policy_destroy(NULL);
}

/* Names with a part that is not known before there is evidence. */
static void open_names(void **state)
{
    static const char *const texts[] = {
        RULE("\"claim\": \"tpm.sha384.pcr[7]\", \"present\": true"),
        RULE("\"claim\": \"hcl.vm_configuration.secure_boot\", \"equals\": true"),
        RULE("\"claim\": \"hcl.vm_configuration.x\", \"one_of\": [1, \"a\", false]"),
        RULE("\"claim\": \"tdx.advisory_ids[*]\", \"absent\": true"),
        RULE("\"claim\": \"snp.policy\", \"bits_clear\": \"0xffffffffffffffff\""),
    };

    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        struct bawn_policy *p;
        struct bawn_error err;

        if (create(&p, texts[i], &err))
            fail_msg("%s: %s", texts[i], err.msg);
        bawn_policy_destroy(p);
    }
}

/* ---- Limits ---- */

static char *repeat(const char *before, const char *item, unsigned n, const char *after)
{
    size_t room = strlen(before) + strlen(after) + n * (strlen(item) + 12) + 1;
    const char *mark = strstr(item, "%u"); /* where the number goes */
    char *text = malloc(room), *p = text;

    assert_non_null(text);
    p += sprintf(p, "%s", before);
    for (unsigned i = 0; i < n; i++)
        p += sprintf(p, "%.*s%u%s", (int)(mark - item), item, i, mark + 2);
    sprintf(p, "%s", after);
    return text;
}

static enum bawn_status create_owned(char *text, struct bawn_error *err)
{
    struct bawn_policy *p;
    enum bawn_status st = create(&p, text, err);

    bawn_policy_destroy(p);
    free(text);
    return st;
}

static void too_many(void **state)
{
    static const char before[] =
        HEAD "\"rules\": [{\"id\":\"x\",\"reason\":\"y\",\"claim\":\"snp.vmpl\",\"equals\":0}";
    static const char item[] =
        ",\n{\"id\":\"%u\",\"reason\":\"y\",\"claim\":\"snp.vmpl\",\"equals\":0}";
    struct bawn_error err;

    (void)state;
    assert_int_equal(create_owned(repeat(before, item, 1023, "]}"), &err), BAWN_OK);
    assert_int_equal(create_owned(repeat(before, item, 1024, "]}"), &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "p.json:1028:1: there are more than 1024 rules"));
}

static void too_deep(void **state)
{
    static const char item[] = "\"any\":[{\"id\":\"g%u\",";
    struct bawn_error err;
    char after[128];

    (void)state;
    for (unsigned depth = 11; depth <= 14; depth++) {
        char closing[64] = "";

        for (unsigned i = 0; i < depth; i++)
            strcat(closing, "}]");
        snprintf(after, sizeof(after), "\"claim\":\"snp.vmpl\",\"one_of\":[0]%s}]}", closing);
        assert_int_equal(create_owned(repeat(HEAD "\"rules\":[{\"id\":\"r\",\"reason\":\"w\",",
                                             item, depth, after),
                                      &err),
                         depth <= 12 ? BAWN_OK : BAWN_E_FORMAT);
    }
    assert_non_null(strstr(err.msg, "deeper than 12"));
}

static void too_long(void **state)
{
    struct bawn_policy *p;
    struct bawn_error err;
    char *text = calloc(1, BAWN_POLICY_TEXT_MAX + 2);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', BAWN_POLICY_TEXT_MAX + 1);
    assert_int_equal(create(&p, text, &err), BAWN_E_FORMAT);
    assert_string_equal(err.msg, "p.json:1:1: longer than 1048576 bytes");
    free(text);
}

/* ---- Includes ---- */

struct shelf {
    char text[12][2048];
    unsigned n, loads;
};

static const char *pin(const char *text)
{
    static char hex[65];
    uint8_t hash[32];

    EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++)
        sprintf(hex + 2 * i, "%02x", hash[i]);
    return hex;
}

static enum bawn_status load(void *context, const char *name, struct bawn_bytes *text,
                             struct bawn_error *err)
{
    struct shelf *s = context;
    unsigned i = (unsigned)atoi(name);

    s->loads++;
    if (i >= s->n)
        return bawn_fail(err, BAWN_E_IO, "no such text %s", name);
    *text = bytes_of(s->text[i]);
    return BAWN_OK;
}

/* Each includes the one before it. */
static void fill(struct shelf *s, unsigned n)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < n; i++) {
        char include[128] = "";

        if (i)
            snprintf(include, sizeof(include), "{\"name\":\"%u\",\"sha256\":\"%s\"}", i - 1,
                     pin(s->text[i - 1]));
        snprintf(
            s->text[i], sizeof(s->text[i]),
            "{\"bawn_policy\":1,\"id\":\"p%u\",\"version\":\"1\",\"evidence\":[\"snp\",\"tdx\"],"
            "\"include\":[%s],\"rules\":[{\"id\":\"r\",\"reason\":\"w\",\"claim\":\"snp.vmpl\","
            "\"equals\":%u}]}",
            i, include, i);
        s->n = i + 1;
    }
}

static enum bawn_status create_last(struct shelf *s, unsigned last, struct bawn_policy **p,
                                    struct bawn_error *err)
{
    return bawn_policy_create(p, "top.json", bytes_of(s->text[last]), load, s, err);
}

static void includes(void **state)
{
    static struct shelf s;
    struct bawn_policy_input input = { .evidence = "snp", .verdict = BAWN_TRUSTED };
    struct bawn_policy_result *r = bawn_policy_result_create();
    const struct bawn_trace *trace;
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    fill(&s, 3);
    assert_int_equal(create_last(&s, 2, &p, &err), BAWN_OK);
    assert_int_equal(s.loads, 2);
    bawn_policy_evaluate(p, &input, r);
    assert_int_equal(bawn_policy_result_trace(r, &trace), 3);
    assert_string_equal(trace[0].rule, "p1/p0/r");
    assert_string_equal(trace[1].rule, "p1/r");
    assert_string_equal(trace[2].rule, "r");
    bawn_policy_destroy(p);
    bawn_policy_result_destroy(r);
    /* Without a loader, includes are refused. */
    assert_int_equal(bawn_policy_create(&p, "t", bytes_of(s.text[1]), NULL, NULL, &err),
                     BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "includes are not served here"));
}

static void changed_include(void **state)
{
    static struct shelf s;
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    fill(&s, 2);
    strcat(s.text[0], " ");
    assert_int_equal(create_last(&s, 1, &p, &err), BAWN_E_FORMAT);
    assert_ptr_equal(strstr(err.msg, "top.json:1:"), err.msg);
    assert_non_null(strstr(err.msg, "\"0\" has the SHA-256"));
    assert_non_null(strstr(err.msg, "which is not what is pinned"));
}

static void missing_include(void **state)
{
    static struct shelf s;
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    fill(&s, 2);
    s.n = 0;
    assert_int_equal(create_last(&s, 1, &p, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "cannot include \"0\": no such text 0"));
}

/* An error in what is included names that text. */
static void wrong_include(void **state)
{
    static struct shelf s;
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    fill(&s, 1);
    strcpy(s.text[1], s.text[0]);
    strcpy(s.text[0], "{\n}");
    sprintf(s.text[1], HEAD "\"include\":[{\"name\":\"0\",\"sha256\":\"%s\"}],\"rules\":[]}",
            pin(s.text[0]));
    assert_int_equal(create_last(&s, 1, &p, &err), BAWN_E_FORMAT);
    assert_string_equal(err.msg,
                        "0:1:1: \"bawn_policy\" is missing: the version of the language, 1");
}

static void include_depth(void **state)
{
    static struct shelf s;
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    fill(&s, 10);
    assert_int_equal(create_last(&s, 8, &p, &err), BAWN_OK);
    bawn_policy_destroy(p);
    assert_int_equal(create_last(&s, 9, &p, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "deeper than 8"));
}

/* A text that includes what includes it cannot pin it; one that says so is refused, and a loader
 * that lies does not make it loop. */
static void include_cycle(void **state)
{
    static struct shelf s;
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    s.n = 1;
    sprintf(s.text[0], HEAD "\"include\":[{\"name\":\"0\",\"sha256\":\"%064d\"}],\"rules\":[]}", 0);
    assert_int_equal(create_last(&s, 0, &p, &err), BAWN_E_FORMAT);
    assert_int_equal(s.loads, 1);
}

/* Many small includes: 32 in all. */
static void include_count(void **state)
{
    static struct shelf s;
    static char top[8192];
    struct bawn_policy *p;
    struct bawn_error err;

    (void)state;
    for (unsigned n = 32; n <= 33; n++) {
        char *to = top + sprintf(top, HEAD "\"rules\":[],\"include\":[");

        memset(&s, 0, sizeof(s));
        s.n = 1;
        sprintf(s.text[0], "%s", HEAD "\"rules\":[]}");
        for (unsigned i = 0; i < n; i++)
            to += sprintf(to, "%s{\"name\":\"0\",\"sha256\":\"%s\"}", i ? "," : "", pin(s.text[0]));
        sprintf(to, "]}");
        assert_int_equal(bawn_policy_create(&p, "top", bytes_of(top), load, &s, &err),
                         n == 32 ? BAWN_OK : BAWN_E_FORMAT);
        bawn_policy_destroy(p);
    }
    assert_non_null(strstr(err.msg, "more than 32 texts are included"));
}

/* Any byte of a policy replaced: it is refused, or it is a policy; nothing else happens. */
static void mutations(void **state)
{
    static const char original[] =
        RULE("\"any\": [{\"id\":\"a\",\"claim\":\"tdx.rtmr[0]\",\"one_of\":[\"00ff\",\"11\"]},"
             "{\"id\":\"b\",\"not\":{\"id\":\"c\",\"claim\":\"snp.reported_tcb\",\"at_least\":"
             "\"0102030405060708\"}}],\"controls\":[\"x\"],\"trust\":{\"claim\":\"hardware\","
             "\"pass\":2,\"fail\":-128}");
    static const char with[] = { '"', '{', ']', '\\', '0', (char)0xff, ' ', ',' };
    char text[sizeof(original)];

    (void)state;
    for (size_t i = 0; i < sizeof(original) - 1; i++) {
        for (size_t j = 0; j < sizeof(with); j++) {
            struct bawn_error err = { "" };
            struct bawn_policy *p;
            enum bawn_status st;

            memcpy(text, original, sizeof(text));
            text[i] = with[j];
            st = bawn_policy_create(&p, "m", bytes_of(text), NULL, NULL, &err);
            assert_true(st == BAWN_OK ? p != NULL : !p && st == BAWN_E_FORMAT && *err.msg);
            bawn_policy_destroy(p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),
        cmocka_unit_test(places),
        cmocka_unit_test(good),
        cmocka_unit_test(open_names),
        cmocka_unit_test(too_many),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(too_long),
        cmocka_unit_test(includes),
        cmocka_unit_test(changed_include),
        cmocka_unit_test(missing_include),
        cmocka_unit_test(wrong_include),
        cmocka_unit_test(include_depth),
        cmocka_unit_test(include_cycle),
        cmocka_unit_test(include_count),
        cmocka_unit_test(mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
