// SPDX-License-Identifier: Apache-2.0
/*
 * XArrays: a radix tree of 64 entries a node. And other data structures and small functions of the
 * kernel's library. Trusts its callers.
 */
#include "internal.h"

#define SHIFT 6
#define SLOTS (1u << SHIFT)

struct sim_xa_node {
    void *slot[SLOTS];
};

void xa_init(struct xarray *xa)
{
    xa->root = NULL;
    xa->height = 0;
}

static bool within(const struct xarray *xa, unsigned long index)
{
    return xa->height * SHIFT >= 64 || !(index >> (xa->height * SHIFT));
}

static unsigned int at(unsigned long index, int level)
{
    return (index >> ((level - 1) * SHIFT)) & (SLOTS - 1);
}

/* The place of an entry; make: 0 when there is no memory. */
static void **find(struct xarray *xa, unsigned long index, bool make, gfp_t gfp)
{
    struct sim_xa_node *node;
    int level;

    while (make && (!xa->root || !within(xa, index))) {
        node = sim_kmalloc(sizeof(*node), gfp | __GFP_ZERO);
        if (!node)
            return NULL;
        node->slot[0] = xa->root;
        xa->root = node;
        xa->height++;
    }
    if (!xa->root || !within(xa, index))
        return NULL;
    node = xa->root;
    for (level = xa->height; level > 1; level--) {
        void **slot = &node->slot[at(index, level)];

        if (!*slot && make)
            *slot = sim_kmalloc(sizeof(*node), gfp | __GFP_ZERO);
        if (!*slot)
            return NULL;
        node = *slot;
    }
    return &node->slot[at(index, 1)];
}

void *xa_load(struct xarray *xa, unsigned long index)
{
    void **slot = find(xa, index, false, 0);

    sim_step();
    return slot && *slot != XA_ZERO ? *slot : NULL;
}

/* What was there; NULL is stored without allocation. An error entry is XA_ZERO's sibling. */
void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
    void **slot, *old;

    sim_step();
    slot = find(xa, index, entry != NULL, gfp);
    if (!slot)
        return entry ? ERR_PTR(-ENOMEM) : NULL;
    old = *slot;
    *slot = entry;
    return old == XA_ZERO ? NULL : old;
}

int xa_reserve(struct xarray *xa, unsigned long index, gfp_t gfp)
{
    void **slot;

    sim_step();
    slot = find(xa, index, true, gfp);
    if (!slot)
        return -ENOMEM;
    if (!*slot)
        *slot = XA_ZERO;
    return 0;
}

void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, unsigned int filter)
{
    (void)filter;
    for (; *index <= max && within(xa, *index); ++*index) {
        void *entry = xa_load(xa, *index);

        if (entry)
            return entry;
    }
    return NULL;
}

static void destroy(struct sim_xa_node *node, int level)
{
    unsigned int i;

    for (i = 0; i < SLOTS && level > 1; i++)
        if (node->slot[i])
            destroy(node->slot[i], level - 1);
    kfree(node);
}

void xa_destroy(struct xarray *xa)
{
    if (xa->root)
        destroy(xa->root, xa->height);
    xa_init(xa);
}

/* ---- Bits ---- */

unsigned long find_next_bit(const unsigned long *p, unsigned long n, unsigned long from)
{
    unsigned long word;

    while (from < n) {
        word = p[from / BITS_PER_LONG] >> from % BITS_PER_LONG;
        if (word)
            return min(from + __ffs(word), n);
        from = (from / BITS_PER_LONG + 1) * BITS_PER_LONG;
    }
    return n;
}

unsigned long find_first_bit(const unsigned long *p, unsigned long n)
{
    unsigned long i;

    for (i = 0; i < BITS_TO_LONGS(n); i++)
        if (p[i])
            return min(i * BITS_PER_LONG + __ffs(p[i]), n);
    return n;
}

unsigned long find_first_zero_bit(const unsigned long *p, unsigned long n)
{
    unsigned long i;

    for (i = 0; i < BITS_TO_LONGS(n); i++)
        if (~p[i])
            return min(i * BITS_PER_LONG + __ffs(~p[i]), n);
    return n;
}

void bitmap_set(unsigned long *p, unsigned int from, unsigned int n)
{
    while (n--)
        set_bit(from++, p);
}

void bitmap_clear(unsigned long *p, unsigned int from, unsigned int n)
{
    while (n--)
        clear_bit(from++, p);
}

bool bitmap_andnot(unsigned long *to, const unsigned long *a, const unsigned long *b,
                   unsigned int n)
{
    unsigned int i;
    bool any = false;

    for (i = 0; i < BITS_TO_LONGS(n); i++) {
        to[i] = a[i] & ~b[i];
        any |= to[i] != 0;
    }
    return any;
}

/* ---- Strings ---- */

ssize_t strscpy(char *to, const char *from, size_t size)
{
    size_t n = strnlen(from, size);

    if (!size)
        return -E2BIG;
    if (n == size) {
        memcpy(to, from, size - 1);
        to[size - 1] = 0;
        return -E2BIG;
    }
    memcpy(to, from, n + 1);
    return (ssize_t)n;
}

void *memchr_inv(const void *p, int c, size_t n)
{
    const u8 *b = p;
    u64 all = 0x0101010101010101ull * (u8)c, word;

    for (; n >= sizeof(word); b += sizeof(word), n -= sizeof(word)) {
        memcpy(&word, b, sizeof(word));
        if (word != all)
            break;
    }
    for (; n; b++, n--)
        if (*b != (u8)c)
            return (void *)b;
    return NULL;
}
