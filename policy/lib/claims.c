// SPDX-License-Identifier: Apache-2.0
/*
 * Looking up claims by name, and guessing what a wrong name was meant to be. The names are the
 * policy author's: bounded, not trusted.
 */
#include "policy/lib/claims.h"

#include <string.h>

/* Longer names are of no claim and are not compared with any. */
#define NAME_MAX_LEN 96u

bool claim_split(struct bawn_bytes text, size_t *len, int *index)
{
    const uint8_t *open = text.len ? memchr(text.data, '[', text.len) : NULL;
    size_t at;
    unsigned n = 0;

    *index = INDEX_NONE;
    *len = open ? (size_t)(open - text.data) : text.len;
    if (!open)
        return true;
    if (text.len - *len < 3 || text.data[text.len - 1] != ']')
        return false;
    if (text.len - *len == 3 && open[1] == '*') {
        *index = INDEX_EACH;
        return true;
    }
    for (at = *len + 1; at < text.len - 1; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        n = n * 10 + (unsigned)(text.data[at] - '0');
        if (n > INDEX_MAX)
            return false;
    }
    if (open[1] == '0' && text.len - *len > 3)
        return false; /* one name for one claim */
    *index = (int)n;
    return true;
}

static bool part_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* A pattern has at most one <...>, which stands for letters, digits and underscores. */
static bool matches(const char *pattern, struct bawn_bytes name)
{
    const char *open = strchr(pattern, '<');
    size_t len = strlen(pattern), head, tail;
    const char *close;

    if (!open)
        return len == name.len && !memcmp(pattern, name.data, len);
    close = strchr(open, '>') + 1;
    head = (size_t)(open - pattern);
    tail = len - (size_t)(close - pattern);
    if (name.len <= head + tail || memcmp(pattern, name.data, head) != 0 ||
        memcmp(close, name.data + name.len - tail, tail) != 0)
        return false;
    for (size_t i = head; i < name.len - tail; i++)
        if (!part_char(name.data[i]))
            return false;
    return true;
}

const struct known_claim *claim_find(struct bawn_bytes name)
{
    for (size_t i = 0; name.len && i < nr_known_claims; i++)
        if (matches(known_claims[i].name, name))
            return &known_claims[i];
    return NULL;
}

/* Levenshtein's distance, one row at a time. */
static unsigned distance(struct bawn_bytes a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t m = strlen(b);

    if (a.len > NAME_MAX_LEN || m > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (unsigned j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 0; i < a.len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < m; j++) {
            unsigned change = diagonal + (a.data[i] != (uint8_t)b[j]);
            unsigned least = row[j] < row[j + 1] ? row[j] + 1 : row[j + 1] + 1;

            diagonal = row[j + 1];
            row[j + 1] = change < least ? change : least;
        }
    }
    return row[m];
}

/* A third of its length may be wrong, or it is another word. */
static bool nearer(struct bawn_bytes text, const char *word, unsigned *best)
{
    unsigned d = distance(text, word);

    if (d >= *best || d > 1 + text.len / 3)
        return false;
    *best = d;
    return true;
}

const char *claim_suggest(struct bawn_bytes name)
{
    const char *found = NULL;
    unsigned best = NAME_MAX_LEN;

    for (size_t i = 0; i < nr_known_claims; i++)
        if (nearer(name, known_claims[i].name, &best))
            found = known_claims[i].name;
    return found;
}

const char *nearest_word(struct bawn_bytes text, const char *const *words, size_t n)
{
    const char *found = NULL;
    unsigned best = NAME_MAX_LEN;

    for (size_t i = 0; i < n; i++)
        if (nearer(text, words[i], &best))
            found = words[i];
    return found;
}

static bool ends_with(const char *name, size_t len, const char *end)
{
    size_t tail = strlen(end);

    return len > tail && !memcmp(name + len - tail, end, tail);
}

/* The same names as libbawn-attest's expectations know (attest/lib/expect.c). */
bool claim_is_versions(const char *name, size_t len)
{
    return ends_with(name, len, "_tcb") || ends_with(name, len, "_svn") ||
           ends_with(name, len, "_svn_2");
}

bool claim_is_time(const char *name, size_t len)
{
    return ends_with(name, len, "_date");
}
