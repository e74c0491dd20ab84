// SPDX-License-Identifier: Apache-2.0
/*
 * Input: what a TPM answers to the commands of a quote, each answer behind a 16-bit big-endian
 * length; if the first byte of all is odd, to those with a persistent key. What is taken for a
 * quote must hold what was asked for.
 */
#include <string.h>

#include <bawn/cursor.h>

#include "guest/agent/tpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWERS = 16 }; /* more would only be pauses between a command's repetitions */

struct script {
    struct bawn_cursor c;
    unsigned n;
};

static enum bawn_status talk(void *to, const uint8_t *command, size_t len,
                             uint8_t answer[TPM_ANSWER_MAX], size_t *answer_len,
                             struct bawn_error *err)
{
    struct script *s = to;
    size_t size = (size_t)bawn_cursor_be(&s->c, 2);
    const uint8_t *bytes;

    if (len < 10 || command[0] != 0x80 || (size_t)(command[4] << 8 | command[5]) != len)
        __builtin_trap();
    if (size > TPM_ANSWER_MAX)
        size = TPM_ANSWER_MAX;
    if (size > bawn_cursor_left(&s->c))
        size = bawn_cursor_left(&s->c);
    bytes = bawn_cursor_take(&s->c, size);
    if (!bytes || s->n++ == ANSWERS)
        return bawn_fail(err, BAWN_E_IO, "no more answers");
    memcpy(answer, bytes, size);
    *answer_len = size;
    return BAWN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { PERSISTENT = 0x81010002 };
    struct script s = { .n = 0 };
    struct tpm t = { .talk = talk, .to = &s };
    uint8_t asked[64];
    struct bawn_error err;
    struct tpm_quote q;
    struct tpm_key key;

    if (!size)
        return 0;
    for (size_t i = 0; i < sizeof(asked); i++)
        asked[i] = (uint8_t)i;
    s.c = bawn_cursor_over(data + 1, size - 1);
    if (tpm_key_open(&t, data[0] & 1 ? PERSISTENT : 0, &key, &err) != BAWN_OK)
        return 0;
    if (!key.public_len || key.public_len > sizeof(key.public))
        __builtin_trap();
    if (tpm_quote_make(&t, &key, (struct bawn_bytes){ asked, sizeof(asked) }, &q, &err) ==
            BAWN_OK &&
        (!memmem(q.message, q.message_len, asked, sizeof(asked)) || !q.signature_len))
        __builtin_trap();
    tpm_key_close(&t, &key);
    return 0;
}
