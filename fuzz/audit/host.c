// SPDX-License-Identifier: Apache-2.0
/*
 * Input: what a host's files say, as records: which (a byte), length (two bytes, little endian),
 * bytes; a vulnerability's begins with its name and a line's end. Whatever it is, a finding is
 * printable, has a name, and advice exactly where there is something to do.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/audit/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VULNERABILITY = FACTS, UNITS, IOMMUS, NODES, KINDS };
#define FINDINGS_MAX (HOST_NAMED_MAX + 4096 + 64)

static void must(bool so)
{
    if (!so)
        __builtin_trap();
}

static bool plain(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void judge(void *context, const struct host_finding *f)
{
    unsigned *n = context;

    must(++*n <= FINDINGS_MAX && f->state <= HOST_NONE);
    must(*f->id && strlen(f->id) < 128 && plain(f->id));
    must(strlen(f->found) < 256 && plain(f->found));
    must(strlen(f->advice) < 256 && plain(f->advice));
    must((f->state == HOST_WARN || f->state == HOST_FAIL) == (*f->advice != '\0'));
}

/* Owned, exactly as long; the later of two holds. */
static void keep(struct bawn_bytes *to, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (copy && len)
        memcpy(copy, data, len);
    free((void *)(uintptr_t)to->data);
    to->data = copy;
    to->len = copy ? len : 0;
}

static void vulnerability(struct host_facts *f, const uint8_t *data, size_t len)
{
    const uint8_t *end = memchr(data, '\n', len);
    struct host_named *v;
    size_t n = end ? (size_t)(end - data) : 0;

    if (!n || n >= sizeof(v->name) || memchr(data, 0, n) || f->nr_vulnerabilities == HOST_NAMED_MAX)
        return;
    v = &f->vulnerability[f->nr_vulnerabilities++];
    memcpy(v->name, data, n);
    v->name[n] = '\0';
    keep(&v->text, end + 1, len - n - 1);
}

static void record(struct host_facts *f, unsigned kind, const uint8_t *data, size_t len)
{
    if (kind < FACTS)
        keep(&f->fact[kind], data, len);
    else if (kind == VULNERABILITY)
        vulnerability(f, data, len);
    else if (kind == UNITS)
        keep(&f->units, data, len);
    else if (kind == IOMMUS)
        f->nr_iommus = (unsigned)len;
    else if (len >= 4)
        f->node[data[0] & 1] = (struct host_node){
            .path = data[0] & 1 ? "dev/kvm" : "dev/bawn",
            .there = true,
            .mode = (mode_t)(data[1] | data[2] << 8),
            .uid = data[3],
            .gid = data[3],
        };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct host_facts f;
    unsigned findings = 0;

    f = (struct host_facts){ .root = "/",
                             .node = { { .path = "dev/bawn" }, { .path = "dev/kvm" } } };
    while (size >= 3) {
        size_t len = (size_t)(data[1] | data[2] << 8);

        len = len < size - 3 ? len : size - 3;
        record(&f, data[0] % KINDS, data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    host_check(&f, judge, &findings);
    must(findings > 20);
    host_free(&f);
    return 0;
}
