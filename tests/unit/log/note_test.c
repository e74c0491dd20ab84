// SPDX-License-Identifier: Apache-2.0
/*
 * Checkpoints: the form that C2SP's documents give, and every way to spoil one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/log/log.h"

#define ORIGIN "example.com/attest"

static EVP_PKEY *key, *other;
static struct bawn_error err;
static struct log_tree tree;
static uint8_t root[LOG_HASH];

static int make(void **state)
{
    uint8_t leaf[LOG_HASH];

    (void)state;
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (int i = 0; i < 5; i++) {
        log_leaf(&i, sizeof(i), leaf);
        log_tree_add(&tree, leaf);
    }
    log_tree_root(&tree, root);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static char *signed_note(EVP_PKEY *by, const char *origin)
{
    char *note = NULL;

    if (log_checkpoint_sign(by, origin, &tree, &note, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    return note;
}

static enum bawn_status check(EVP_PKEY *with, const char *origin, const char *note)
{
    uint8_t got[LOG_HASH];
    uint64_t size;
    /* A copy of the very length, so that reading behind it is seen. */
    size_t len = strlen(note);
    char *copy = malloc(len ? len : 1);
    enum bawn_status st;

    memcpy(copy, note, len);
    st = log_checkpoint_verify(with, origin, copy, len, &size, got, &err);
    free(copy);
    if (st == BAWN_OK) {
        assert_int_equal(size, 5);
        assert_memory_equal(got, root, LOG_HASH);
    }
    return st;
}

static void own_checkpoint_verifies(void **state)
{
    char *note = signed_note(key, ORIGIN), *origin = NULL;
    uint8_t got[LOG_HASH];
    uint64_t size = 0;

    (void)state;
    assert_memory_equal(note, ORIGIN "\n5\n", strlen(ORIGIN "\n5\n"));
    assert_non_null(strstr(note, "=\n\n\xe2\x80\x94 " ORIGIN " "));
    assert_int_equal(check(key, ORIGIN, note), BAWN_OK);
    assert_int_equal(check(key, NULL, note), BAWN_OK);
    assert_int_equal(check(key, "example.com/other", note), BAWN_E_FORMAT);
    assert_int_equal(check(other, ORIGIN, note), BAWN_E_DENIED);
    assert_int_equal(log_checkpoint_read(note, strlen(note), &origin, &size, got, &err), BAWN_OK);
    assert_string_equal(origin, ORIGIN);
    assert_int_equal(size, 5);
    assert_memory_equal(got, root, LOG_HASH);
    free(origin);
    free(note);
}

/* The Go checksum database's, from cmd/go/internal/modfetch/key.go. */
static void other_implementations_key_is_read(void **state)
{
    static const char text[] =
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    char *origin = NULL, *again;
    EVP_PKEY *read = NULL;

    (void)state;
    assert_int_equal(log_key_read(text, &origin, &read, &err), BAWN_OK);
    assert_string_equal(origin, "sum.golang.org");
    again = log_key_text(read, origin);
    assert_string_equal(again, text);
    free(again);
    free(origin);
    EVP_PKEY_free(read);
}

static void keys_that_are_none(void **state)
{
    static const char *const texts[] = {
        "",
        "+",
        "a+b+c",
        "sum.golang.org",
        "sum.golang.org+033de0ae",
        "sum.golang.org+033de0ae+",
        "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", /* key id */
        "sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", /* name */
        "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033de0ae+As4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", /* type 2 */
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8=",
        "sum golang+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    };
    char *origin;
    EVP_PKEY *read;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(log_key_read(texts[i], &origin, &read, &err), BAWN_E_FORMAT);
        assert_null(origin);
        assert_null(read);
    }
}

static void every_changed_byte_is_refused(void **state)
{
    char *note = signed_note(key, ORIGIN);

    (void)state;
    for (size_t i = 0; note[i]; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            note[i] ^= (char)(1u << bit);
            assert_int_not_equal(check(key, NULL, note), BAWN_OK);
            note[i] ^= (char)(1u << bit);
        }
    }
    for (size_t len = strlen(note); len--;) {
        note[len] = '\0';
        assert_int_not_equal(check(key, NULL, note), BAWN_OK);
    }
    free(note);
}

/* The signature line by a witness beside the log's, before or behind it. */
static void witnesses_are_ignored(void **state)
{
    static const char witness[] = "\xe2\x80\x94 witness.example AAAAAAEC\n";
    char *note = signed_note(key, ORIGIN), *text;
    size_t head = (size_t)(strstr(note, "\n\n") - note) + 2;

    (void)state;
    assert_true(asprintf(&text, "%s%s", note, witness) > 0);
    assert_int_equal(check(key, ORIGIN, text), BAWN_OK);
    free(text);
    assert_true(asprintf(&text, "%.*s%s%s", (int)head, note, witness, note + head) > 0);
    assert_int_equal(check(key, ORIGIN, text), BAWN_OK);
    free(text);
    /* Alone it signs nothing. */
    assert_true(asprintf(&text, "%.*s%s", (int)head, note, witness) > 0);
    assert_int_equal(check(key, ORIGIN, text), BAWN_E_DENIED);
    free(text);
    /* Another key under our name is not ours. */
    free(note);
    note = signed_note(other, ORIGIN);
    assert_int_equal(check(key, ORIGIN, note), BAWN_E_DENIED);
    free(note);
}

static void forms_that_are_none(void **state)
{
    static const char *const notes[] = {
        "",
        "\n",
        "\n\n",
        "\n\n\n",
        "a\n\n\xe2\x80\x94 a b\n",
        "a\n05\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n",
        "a\n-5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n",
        "a\n18446744073709551616\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a "
        "b\n",
        "a\n9223372036854775808\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a "
        "b\n",
        "a\n5\nAAAA\n\n\xe2\x80\x94 a b\n",
        "a\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n\n\xe2\x80\x94 a b\n",
        "a b\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n",
        "a\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nno signature\n",
        "a\n5\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
        assert_int_equal(check(key, NULL, notes[i]), BAWN_E_FORMAT);
}

static void origins_that_cannot_be(void **state)
{
    static const char *const origins[] = { "", "a b", "a+b", "a\nb", "\xc3\xa9" };
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    char *note;

    (void)state;
    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++)
        assert_int_equal(log_checkpoint_sign(key, origins[i], &tree, &note, &err), BAWN_E_CONFIG);
    assert_int_equal(log_checkpoint_sign(rsa, ORIGIN, &tree, &note, &err), BAWN_E_CONFIG);
    assert_null(note);
    EVP_PKEY_free(rsa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_checkpoint_verifies),
        cmocka_unit_test(other_implementations_key_is_read),
        cmocka_unit_test(keys_that_are_none),
        cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(witnesses_are_ignored),
        cmocka_unit_test(forms_that_are_none),
        cmocka_unit_test(origins_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
