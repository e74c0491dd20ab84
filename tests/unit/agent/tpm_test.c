// SPDX-License-Identifier: Apache-2.0
/*
 * The TPM's answers, as swtpm gave them to bawn-agent (tests/vectors/tpm/agent-*.answers), and as a
 * hostile TPM or host would: cut, longer, altered, about something else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bawn/tpm.h>

#include "guest/agent/tpm.h"

enum { ANSWERS = 8, HEADER = 10, PERSISTENT = 0x81010002 };

/* What one recording holds, and where the script stands. */
struct script {
    uint8_t *answer[ANSWERS];
    size_t len[ANSWERS];
    unsigned n, at;
    uint8_t last[256]; /* the last command */
    size_t last_len;
};

static const char *const made = "tests/vectors/tpm/agent-made-p256.answers";
static const char *const persistent = "tests/vectors/tpm/agent-persistent-rsa.answers";

static struct script load(const char *path)
{
    struct script s = { .n = 0 };
    uint8_t size[2];
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    while (fread(size, 1, 2, f) == 2) {
        size_t len = (size_t)(size[0] << 8 | size[1]);

        assert_true(s.n < ANSWERS);
        s.answer[s.n] = malloc(len);
        s.len[s.n] = len;
        assert_int_equal(fread(s.answer[s.n++], 1, len, f), len);
    }
    fclose(f);
    return s;
}

static void unload(struct script *s)
{
    for (unsigned i = 0; i < s->n; i++)
        free(s->answer[i]);
}

static enum bawn_status talk(void *to, const uint8_t *command, size_t len,
                             uint8_t answer[TPM_ANSWER_MAX], size_t *answer_len,
                             struct bawn_error *err)
{
    struct script *s = to;

    assert_true(len <= sizeof(s->last));
    memcpy(s->last, command, len);
    s->last_len = len;
    if (s->at == s->n)
        return bawn_fail(err, BAWN_E_IO, "no more answers");
    memcpy(answer, s->answer[s->at], s->len[s->at]);
    *answer_len = s->len[s->at++];
    return BAWN_OK;
}

/* The key, then the quote, about the data of the recording. */
static enum bawn_status play(struct script *s, uint32_t handle, struct tpm_quote *q,
                             struct bawn_error *err)
{
    struct tpm t = { .talk = talk, .to = s };
    struct tpm_key key;
    uint8_t data[64];
    enum bawn_status status;

    s->at = 0;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    status = tpm_key_open(&t, handle, &key, err);
    if (status != BAWN_OK)
        return status;
    status = tpm_quote_make(&t, &key, (struct bawn_bytes){ data, sizeof(data) }, q, err);
    tpm_key_close(&t, &key);
    return status;
}

static void recorded(void **state)
{
    struct script s = load(made);
    struct bawn_error err = { "" };
    struct tpm_quote q;

    (void)state;
    assert_int_equal(play(&s, 0, &q, &err), BAWN_OK);
    assert_int_equal(s.at, s.n); /* flushed */
    assert_int_equal(q.pcr_len, 32);
    assert_int_equal(q.pcr[17][0], 0xff); /* what a start without DRTM leaves there */
    assert_int_equal(q.pcr[16][0], 0);
    unload(&s);
    s = load(persistent); /* among its answers one that asks for the command again */
    assert_int_equal(play(&s, PERSISTENT, &q, &err), BAWN_OK);
    assert_int_equal(q.signature_len, 6 + 256);
    unload(&s);
}

/* Without the answer that asks for the command again, which costs a pause. */
static void without_pause(struct script *s)
{
    for (unsigned i = 0; i + 1 < s->n; i++) {
        if (s->len[i] != HEADER)
            continue;
        free(s->answer[i]);
        s->n--;
        memmove(s->answer + i, s->answer + i + 1, (s->n - i) * sizeof(*s->answer));
        memmove(s->len + i, s->len + i + 1, (s->n - i) * sizeof(*s->len));
    }
}

/* Each answer cut at each length, with the size in its header as it was and as it is. */
static void cut(void **state)
{
    static const struct {
        const char *path;
        uint32_t handle;
    } of[] = { { made, 0 }, { persistent, PERSISTENT } };

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct script s = load(of[k].path);
        struct bawn_error err;
        struct tpm_quote q;

        without_pause(&s);
        for (unsigned i = 0; i < s.n; i++) {
            size_t len = s.len[i];
            uint8_t *whole = s.answer[i];

            if (len == HEADER)
                continue;
            for (size_t to = 0; to < len; to++) {
                s.answer[i] = memcpy(malloc(to + !to), whole, to);
                s.len[i] = to;
                assert_int_not_equal(play(&s, of[k].handle, &q, &err), BAWN_OK);
                if (to >= HEADER) {
                    s.answer[i][4] = (uint8_t)(to >> 8);
                    s.answer[i][5] = (uint8_t)to;
                    assert_int_not_equal(play(&s, of[k].handle, &q, &err), BAWN_OK);
                }
                free(s.answer[i]);
            }
            s.answer[i] = whole;
            s.len[i] = len;
        }
        unload(&s);
    }
}

static void oversize(void **state)
{
    struct script s = load(made);
    struct bawn_error err;
    struct tpm_quote q;

    (void)state;
    for (unsigned i = 0; i + 1 < s.n; i++) {
        size_t len = s.len[i];

        s.answer[i] = realloc(s.answer[i], TPM_ANSWER_MAX);
        for (size_t more = 1; len + more <= TPM_ANSWER_MAX; more += 997) {
            memset(s.answer[i] + len, 0, more);
            s.len[i] = len + more;
            s.answer[i][4] = (uint8_t)(s.len[i] >> 8);
            s.answer[i][5] = (uint8_t)s.len[i];
            assert_int_equal(play(&s, 0, &q, &err), BAWN_E_FORMAT);
            s.answer[i][2] = 0xff; /* a size of gigabytes */
            assert_int_equal(play(&s, 0, &q, &err), BAWN_E_FORMAT);
            s.answer[i][2] = 0;
        }
        s.len[i] = len;
        s.answer[i][4] = (uint8_t)(len >> 8);
        s.answer[i][5] = (uint8_t)len;
    }
    unload(&s);
}

/* Each byte of each answer inverted, and set to what lengths like least. Nothing but the quote's
 * signature, the firmware's version and the like may be another and be taken. */
static void altered(void **state)
{
    static const uint8_t masks[] = { 0xff, 0x80, 0x01 };
    struct script s = load(made);
    unsigned taken = 0, refused = 0;
    struct bawn_error err;
    struct tpm_quote q;

    (void)state;
    for (unsigned i = 0; i < s.n; i++)
        for (size_t at = 0; at < s.len[i]; at++)
            for (size_t m = 0; m < sizeof(masks); m++) {
                s.answer[i][at] ^= masks[m];
                if (play(&s, 0, &q, &err) == BAWN_OK)
                    taken++;
                else
                    refused++;
                s.answer[i][at] ^= masks[m];
            }
    assert_true(refused > 2000);
    assert_true(taken > 100); /* signatures and names are for the verifier */
    unload(&s);
}

/* The message's fields that must be what was asked for, by offset in the answer to TPM2_Quote:
 * header, size of parameters, size of message. */
static void another_quote(void **state)
{
    enum { MESSAGE = HEADER + 4 + 2, SIGNER = 34, EXTRA = MESSAGE + 6 + 2 + SIGNER };
    static const struct {
        size_t at;
        const char *what;
    } fields[] = {
        { MESSAGE, "magic" },
        { MESSAGE + 5, "type" },
        { EXTRA + 2, "nonce" },
        { EXTRA + 2 + 63, "nonce's end" },
        { EXTRA + 2 + 64 + 25 + 5, "bank" },
        { EXTRA + 2 + 64 + 25 + 7, "PCRs" },
    };
    struct script s = load(made);
    struct bawn_error err;
    struct tpm_quote q;

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        s.answer[4][fields[i].at] ^= 1;
        print_message("%s\n", fields[i].what);
        assert_int_equal(play(&s, 0, &q, &err), BAWN_E_FORMAT);
        assert_non_null(strstr(err.msg, "not about what it was asked for"));
        s.answer[4][fields[i].at] ^= 1;
    }
    unload(&s);
}

/* A PCR that is not the quoted one, four times: who quotes is asked again, and then it has an end.
 */
static void changing_pcrs(void **state)
{
    struct script one = load(made), s = { .n = 0 };
    struct tpm t = { .talk = talk, .to = &s };
    struct bawn_error err;
    struct tpm_quote q;
    struct tpm_key key;
    uint8_t data[64];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    s.answer[0] = one.answer[0];
    s.len[0] = one.len[0];
    s.n = 1;
    assert_int_equal(tpm_key_open(&t, 0, &key, &err), BAWN_OK);
    one.answer[1][one.len[1] - 1] ^= 1;
    for (unsigned tries = 0; tries < 2; tries++) {
        memcpy(s.answer + 4 * tries, one.answer + 1, 4 * sizeof(*s.answer));
        memcpy(s.len + 4 * tries, one.len + 1, 4 * sizeof(*s.len));
    }
    s.n = 8;
    s.at = 0;
    assert_int_equal(tpm_quote_make(&t, &key, (struct bawn_bytes){ data, 64 }, &q, &err),
                     BAWN_E_IO); /* the answers end while it still tries */
    assert_int_equal(s.at, 8);
    assert_string_equal(err.msg, "no more answers");
    /* Right the second time. */
    s.answer[4] = memcpy(malloc(one.len[1]), one.answer[1], one.len[1]);
    s.answer[4][one.len[1] - 1] ^= 1;
    s.at = 0;
    assert_int_equal(tpm_quote_make(&t, &key, (struct bawn_bytes){ data, 64 }, &q, &err), BAWN_OK);
    free(s.answer[4]);
    unload(&one);
}

static uint8_t *answer(struct script *s, const void *data, size_t len)
{
    s->answer[0] = memcpy(malloc(len), data, len);
    s->len[0] = len;
    s->n = 1;
    return s->answer[0];
}

static void refusals(void **state)
{
    static const struct {
        uint8_t answer[HEADER];
        const char *words;
    } cases[] = {
        { { 0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x8b }, "0x18b (there is no key" },
        { { 0x80, 1, 0, 0, 0, 10, 0, 0, 9, 2 }, "0x902 (it has no room" },
        { { 0x80, 1, 0, 0, 0, 10, 0, 0, 0, 1 }, "answered 0x1" },
        { { 0x80, 2, 0, 0, 0, 10, 0, 0, 1, 0x8b }, "malformed" },
        { { 0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 30 }, "TPM 1.2" },
        { { 0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0 }, "malformed" },
        { { 0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0 }, "malformed" },
        { { 0 }, "malformed" },
    };
    struct bawn_error err;
    struct tpm_quote q;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct script s = { .n = 0 };

        answer(&s, cases[i].answer, HEADER);
        assert_int_not_equal(play(&s, PERSISTENT, &q, &err), BAWN_OK);
        if (!strstr(err.msg, cases[i].words))
            fail_msg("%s", err.msg);
        unload(&s);
    }
}

/* A key that signs anything would sign forged quotes; one that is none is refused with its
 * attributes, which are the 32 bits behind type and name algorithm. */
static void other_keys(void **state)
{
    static const uint32_t bits[] = { TPMA_OBJECT_FIXEDTPM, TPMA_OBJECT_FIXEDPARENT,
                                     TPMA_OBJECT_RESTRICTED, TPMA_OBJECT_SIGN_ENCRYPT,
                                     TPMA_OBJECT_DECRYPT };
    enum { ATTRIBUTES = HEADER + 2 + 4 };
    struct script s = load(persistent);
    struct bawn_error err;
    struct tpm_quote q;

    (void)state;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        for (unsigned b = 0; b < 4; b++)
            s.answer[0][ATTRIBUTES + b] ^= (uint8_t)(bits[i] >> (24 - 8 * b));
        assert_int_equal(play(&s, PERSISTENT, &q, &err), BAWN_E_CONFIG);
        assert_non_null(strstr(err.msg, "no attestation key"));
        for (unsigned b = 0; b < 4; b++)
            s.answer[0][ATTRIBUTES + b] ^= (uint8_t)(bits[i] >> (24 - 8 * b));
    }
    unload(&s);
}

/* TPMs whose largest digest is shorter say so of the first parameter: what is quoted then is the
 * data without the zeros behind it, never less. */
static void short_digests(void **state)
{
    static const uint8_t size_1[] = { 0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0xd5 };
    static const struct {
        size_t digest;
        unsigned refusals; /* that it takes to give up */
        size_t last;       /* what was asked for then */
    } cases[] = { { 32, 3, 32 }, { 33, 2, 48 }, { 48, 2, 48 }, { 49, 1, 64 }, { 64, 1, 64 } };
    struct script one = load(made);
    struct bawn_error err;
    struct tpm_quote q;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct script s = { .n = 0 };
        struct tpm t = { .talk = talk, .to = &s };
        uint8_t data[64] = { 0 };
        struct tpm_key key;

        memset(data, 0xa5, cases[i].digest);
        memcpy(s.answer, one.answer, 4 * sizeof(*s.answer));
        memcpy(s.len, one.len, 4 * sizeof(*s.len));
        for (s.n = 4; s.n < ANSWERS; s.n++) {
            s.answer[s.n] = (uint8_t *)(uintptr_t)size_1;
            s.len[s.n] = sizeof(size_1);
        }
        assert_int_equal(tpm_key_open(&t, 0, &key, &err), BAWN_OK);
        assert_int_equal(tpm_quote_make(&t, &key, (struct bawn_bytes){ data, 64 }, &q, &err),
                         BAWN_E_CONFIG);
        assert_int_equal(s.at, 4 + cases[i].refusals);
        /* header, handle, session, then the size of the data */
        assert_int_equal(s.last[HEADER + 4 + 13 + 1], cases[i].last);
    }
    unload(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),      cmocka_unit_test(cut),
        cmocka_unit_test(oversize),      cmocka_unit_test(altered),
        cmocka_unit_test(another_quote), cmocka_unit_test(changing_pcrs),
        cmocka_unit_test(refusals),      cmocka_unit_test(other_keys),
        cmocka_unit_test(short_digests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
