/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The one way hostile bytes are read: a bounds-checked cursor with a sticky error. A read past
 * the end yields 0 and marks the cursor failed, so a parser reads a whole structure and asks
 * once. Borrows the bytes; allocates nothing.
 */
#ifndef BAWN_CURSOR_H
#define BAWN_CURSOR_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

struct bawn_cursor {
	const uint8_t *start;
	const uint8_t *pos;
	const uint8_t *end;
	bool failed;
};

static inline struct bawn_cursor bawn_cursor_over(const void *data, size_t len)
{
	struct bawn_cursor c = { .start = data, .pos = data, .failed = false };

	c.end = len ? c.start + len : c.start;
	return c;
}

static inline size_t bawn_cursor_left(const struct bawn_cursor *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->pos);
}

/* The next n bytes, or NULL (and the cursor failed) when there are fewer. */
static inline const uint8_t *bawn_cursor_take(struct bawn_cursor *c, uint64_t n)
{
	const uint8_t *p = c->pos;

	if (c->failed || n > (uint64_t)(c->end - c->pos)) {
		c->failed = true;
		return NULL;
	}
	if (n)
		c->pos += n;
	return p;
}

/* The next byte without moving, -1 when there is none. */
static inline int bawn_cursor_peek(const struct bawn_cursor *c)
{
	return bawn_cursor_left(c) ? *c->pos : -1;
}

/* Moves to offset off from the first byte. */
static inline void bawn_cursor_seek(struct bawn_cursor *c, uint64_t off)
{
	if (c->failed || off > (uint64_t)(c->end - c->start))
		c->failed = true;
	else if (off)
		c->pos = c->start + off;
	else
		c->pos = c->start;
}

/* A cursor over [off, off + len) of what c covers; failed when that is not inside. */
static inline struct bawn_cursor bawn_cursor_slice(const struct bawn_cursor *c, uint64_t off,
						   uint64_t len)
{
	struct bawn_cursor s = *c;
	const uint8_t *p;

	bawn_cursor_seek(&s, off);
	p = bawn_cursor_take(&s, len);
	if (p) {
		s.start = p;
		s.end = s.pos;
		s.pos = p;
	}
	return s;
}

/* An unsigned little-endian integer of n bytes, n at most 8; 0 on failure. */
static inline uint64_t bawn_cursor_le(struct bawn_cursor *c, unsigned int n)
{
	const uint8_t *p = bawn_cursor_take(c, n);
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; p && i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* An unsigned big-endian integer of n bytes, n at most 8; 0 on failure. */
static inline uint64_t bawn_cursor_be(struct bawn_cursor *c, unsigned int n)
{
	const uint8_t *p = bawn_cursor_take(c, n);
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Passes n bytes and says whether they were there and all zero (for reserved fields). */
static inline bool bawn_cursor_zeros(struct bawn_cursor *c, uint64_t n)
{
	const uint8_t *p = bawn_cursor_take(c, n);
	uint8_t any = 0;
	uint64_t i;

	for (i = 0; p && i < n; i++)
		any |= p[i];
	return p && !any;
}

static inline uint8_t bawn_cursor_u8(struct bawn_cursor *c)
{
	return (uint8_t)bawn_cursor_le(c, 1);
}

static inline uint16_t bawn_cursor_u16(struct bawn_cursor *c)
{
	return (uint16_t)bawn_cursor_le(c, 2);
}

static inline uint32_t bawn_cursor_u32(struct bawn_cursor *c)
{
	return (uint32_t)bawn_cursor_le(c, 4);
}

static inline uint64_t bawn_cursor_u64(struct bawn_cursor *c)
{
	return bawn_cursor_le(c, 8);
}

#endif
