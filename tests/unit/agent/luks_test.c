// SPDX-License-Identifier: Apache-2.0
/* Headers of LUKS volumes as a host may write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/agent/agent.h"

#define SIZE (64u << 10)
#define SLOT "\"0\":{\"type\":\"luks2\",\"area\":{\"encryption\":\"aes-xts-plain64\"}}"
#define SEGMENT "\"type\":\"crypt\",\"offset\":\"32768\",\"encryption\":\"aes-xts-plain64\""
#define LUKS2(slots, segments, config) \
    "{\"keyslots\":{" slots "},\"segments\":{\"0\":{" segments "}},\"config\":{" config "}}"

/* Both copies, of 16 KiB each. */
static uint8_t *luks2(const char *json)
{
    uint8_t *data = calloc(1, SIZE);

    assert_non_null(data);
    for (size_t at = 0; at <= 16384; at += 16384) {
        memcpy(data + at, at ? "SKUL\xba\xbe\0\2" : "LUKS\xba\xbe\0\2", 8);
        data[at + 14] = 0x40; /* 16384 */
        memcpy(data + at + 4096, json, strlen(json));
    }
    return data;
}

static enum bawn_status check2(const char *json)
{
    struct bawn_error err = { "" };
    uint8_t *data = luks2(json);
    size_t size = 0;
    enum bawn_status status = luks_check(data, SIZE, &size, &err);

    if (status == BAWN_OK) {
        assert_int_equal(size, 32768);
        assert_memory_not_equal(data + 16384, "SKUL", 4);
    } else {
        assert_non_null(strstr(err.msg, "not opened"));
    }
    free(data);
    return status;
}

static void version_2(void **state)
{
    static const char *const bad[] = {
        "",
        "[",
        "{}",
        LUKS2(SLOT, "\"type\":\"crypt\",\"offset\":\"32768\",\"encryption\":\"cipher_null-ecb\"",
              ""),
        LUKS2(SLOT, "\"type\":\"crypt\",\"offset\":\"32768\",\"encryption\":\"aes-ctr-null\"", ""),
        LUKS2(SLOT, "\"type\":\"crypt\",\"offset\":\"32768\"", ""),
        LUKS2(SLOT, "\"type\":\"linear\",\"offset\":\"32768\"", ""),
        LUKS2(SLOT, "\"type\":\"crypt\",\"offset\":\"0\",\"encryption\":\"aes-xts-plain64\"", ""),
        LUKS2(SLOT, "\"type\":\"crypt\",\"offset\":\"65537\",\"encryption\":\"aes-xts-plain64\"",
              ""),
        LUKS2(SLOT,
              "\"type\":\"crypt\",\"offset\":\"99999999999999999999\","
              "\"encryption\":\"aes-xts-plain64\"",
              ""),
        LUKS2(SLOT, SEGMENT ",\"encryption\":\"cipher_null-ecb\"", ""),
        LUKS2("\"0\":{\"type\":\"luks2\",\"area\":{\"encryption\":\"cipher_null-ecb\"}}", SEGMENT,
              ""),
        LUKS2("\"0\":{\"type\":\"reencrypt\"}", SEGMENT, ""),
        LUKS2(SLOT, SEGMENT, "\"requirements\":{\"mandatory\":[\"online-reencrypt\"]}"),
    };

    (void)state;
    assert_int_equal(check2(LUKS2(SLOT, SEGMENT, "")), BAWN_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (check2(bad[i]) != BAWN_E_DENIED)
            fail_msg("taken: %s", bad[i]);
}

static enum bawn_status check1(const char *cipher, const char *mode, size_t len, unsigned payload)
{
    struct bawn_error err = { "" };
    uint8_t *data = calloc(1, len);
    size_t size = 0;
    enum bawn_status status;

    assert_non_null(data);
    memcpy(data, "LUKS\xba\xbe\0\1", 8);
    strncpy((char *)data + 8, cipher, 32);
    strncpy((char *)data + 40, mode, 32);
    data[106] = (uint8_t)(payload >> 8);
    data[107] = (uint8_t)payload;
    status = luks_check(data, len, &size, &err);
    if (status == BAWN_OK)
        assert_int_equal(size, 512 * payload);
    free(data);
    return status;
}

static void version_1(void **state)
{
    (void)state;
    assert_int_equal(check1("aes", "xts-plain64", SIZE, 64), BAWN_OK);
    assert_int_equal(check1("cipher_null", "ecb", SIZE, 64), BAWN_E_DENIED);
    assert_int_equal(check1("aes", "ecb", SIZE, 64), BAWN_E_DENIED);
    assert_int_equal(
        check1("aes-xts-plain64aes-xts-plain64ab", "xts-plain64aes-xts-plain64aes-xt", SIZE, 64),
        BAWN_E_DENIED);
    assert_int_equal(check1("aes", "xts-plain64", SIZE, 0), BAWN_E_DENIED);
    assert_int_equal(check1("aes", "xts-plain64", SIZE, 129), BAWN_E_DENIED);
    assert_int_equal(check1("aes", "xts-plain64", 600, 1), BAWN_E_DENIED);
}

static void no_header(void **state)
{
    struct bawn_error err;
    uint8_t data[8192];
    size_t size;

    (void)state;
    memset(data, 0, sizeof(data));
    for (size_t len = 0; len <= sizeof(data); len += 8)
        assert_int_equal(luks_check(data, len, &size, &err), BAWN_E_DENIED);
    memcpy(data, "LUKS\xba\xbe\0\3", 8);
    assert_int_equal(luks_check(data, sizeof(data), &size, &err), BAWN_E_DENIED);
    data[7] = 2; /* version 2, without room for what it says */
    assert_int_equal(luks_check(data, sizeof(data), &size, &err), BAWN_E_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2),
        cmocka_unit_test(version_1),
        cmocka_unit_test(no_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
