// SPDX-License-Identifier: Apache-2.0
/* A small havoc: the same seed gives the same inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

/* xorshift64* */
uint32_t lab_random(struct lab_random *r, uint32_t below)
{
    uint64_t x = r->state ? r->state : 1;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->state = x;
    x = (x * 0x2545f4914f6cdd1dull) >> 32;
    return below ? (uint32_t)(x % below) : 0;
}

struct change {
    struct lab_random *r;
    uint8_t *data;
    size_t len;
    const struct lab_input *other, *words;
    size_t nr_words;
};

static size_t somewhere(struct change *c)
{
    return lab_random(c->r, (uint32_t)c->len);
}

static void flip(struct change *c)
{
    if (c->len)
        c->data[somewhere(c)] ^= (uint8_t)(1u << lab_random(c->r, 8));
}

static void set(struct change *c)
{
    if (c->len)
        c->data[somewhere(c)] = (uint8_t)lab_random(c->r, 256);
}

static void step(struct change *c)
{
    if (c->len)
        c->data[somewhere(c)] += (uint8_t)(lab_random(c->r, 33) - 16);
}

static void insert(struct change *c, const uint8_t *from, size_t n)
{
    size_t at = lab_random(c->r, (uint32_t)c->len + 1);

    if (n > LAB_INPUT_MAX - c->len)
        return;
    memmove(c->data + at + n, c->data + at, c->len - at);
    memcpy(c->data + at, from, n);
    c->len += n;
}

static void insert_random(struct change *c)
{
    uint8_t bytes[16];
    size_t n = 1 + lab_random(c->r, sizeof(bytes));

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)lab_random(c->r, 256);
    insert(c, bytes, n);
}

static void insert_word(struct change *c)
{
    const struct lab_input *w;

    if (!c->nr_words)
        return;
    w = &c->words[lab_random(c->r, (uint32_t)c->nr_words)];
    insert(c, w->data, w->len);
}

static void put_word(struct change *c)
{
    const struct lab_input *w;

    if (!c->nr_words)
        return;
    w = &c->words[lab_random(c->r, (uint32_t)c->nr_words)];
    if (w->len <= c->len)
        memcpy(c->data + lab_random(c->r, (uint32_t)(c->len - w->len + 1)), w->data, w->len);
}

static void repeat(struct change *c)
{
    uint8_t bytes[64];
    size_t at = somewhere(c), n = c->len - at;

    if (!n)
        return;
    n = 1 + lab_random(c->r, (uint32_t)(n < sizeof(bytes) ? n : sizeof(bytes)));
    n = n < c->len - at ? n : c->len - at;
    memcpy(bytes, c->data + at, n);
    insert(c, bytes, n);
}

static void cut(struct change *c)
{
    size_t at = somewhere(c), n;

    if (c->len < 2)
        return;
    n = 1 + lab_random(c->r, (uint32_t)(c->len - at));
    n = n < c->len - at ? n : c->len - at;
    memmove(c->data + at, c->data + at + n, c->len - at - n);
    c->len -= n;
}

/* The other input's end behind this one's beginning. */
static void splice(struct change *c)
{
    size_t at = somewhere(c), from = lab_random(c->r, (uint32_t)c->other->len);
    size_t n = c->other->len - from;

    if (n > LAB_INPUT_MAX - at)
        n = LAB_INPUT_MAX - at;
    memcpy(c->data + at, c->other->data + from, n);
    c->len = at + n;
}

size_t lab_mutate(struct lab_random *r, uint8_t *data, size_t len, const struct lab_input *other,
                  const struct lab_input *words, size_t nr_words)
{
    static void (*const changes[])(
        struct change *) = { flip, set, step, insert_random, insert_word, put_word, repeat, cut };
    struct change c = { r, data, len, other, words, nr_words };

    if (other && !lab_random(r, 4))
        splice(&c);
    for (unsigned n = 1u << lab_random(r, 5); n; n--)
        changes[lab_random(r, sizeof(changes) / sizeof(changes[0]))](&c);
    return c.len;
}

/* ---- Dictionary ---- */

/* The text between the quotes, \xNN, \\ and \" in it. How many bytes; -1: it is not one. */
static long unquote(const char *text, uint8_t *to, size_t room)
{
    size_t n = 0;

    for (; *text != '"'; n++) {
        char hex[3] = { 0 }, *end = hex;

        if (!*text || n == room)
            return -1;
        if (*text != '\\') {
            to[n] = (uint8_t)*text++;
        } else if (text[1] == 'x' && text[2] && text[3]) {
            memcpy(hex, text + 2, 2);
            to[n] = (uint8_t)strtoul(hex, &end, 16);
            if (*end)
                return -1;
            text += 4;
        } else {
            to[n] = (uint8_t)text[1];
            text += 2;
        }
    }
    return (long)n;
}

bool lab_words(const char *path, struct lab_input *words, size_t *n, size_t most)
{
    FILE *f = fopen(path, "re");
    char line[512];
    bool ok = f;

    *n = 0;
    while (ok && *n < most && fgets(line, sizeof(line), f)) {
        const char *quote = strchr(line, '"');
        uint8_t bytes[64];
        long len;

        if (line[0] == '#' || line[0] == '\n')
            continue;
        len = quote ? unquote(quote + 1, bytes, sizeof(bytes)) : -1;
        words[*n].data = len > 0 ? malloc((size_t)len) : NULL;
        ok = words[*n].data;
        if (!ok)
            break;
        memcpy(words[*n].data, bytes, (size_t)len);
        words[(*n)++].len = (size_t)len;
    }
    if (f)
        fclose(f);
    return ok;
}
