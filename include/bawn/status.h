/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How userspace code of the project reports failure: a status and one line for a person,
 * which says what was wrong, with which value, and what would be right.
 */
#ifndef BAWN_STATUS_H
#define BAWN_STATUS_H

#include <stdarg.h>
#include <stdio.h>

enum bawn_status {
	BAWN_OK = 0,
	BAWN_E_USAGE,       /* the command line */
	BAWN_E_CONFIG,      /* a configuration's value */
	BAWN_E_FORMAT,      /* a malformed file or message */
	BAWN_E_IO,          /* the system refused: file, device, ioctl */
	BAWN_E_NOMEM,
	BAWN_E_UNSUPPORTED, /* right, but not served here */
	BAWN_E_DENIED,      /* policy or sealed state */
	BAWN_E_INTERNAL,
};

struct bawn_error {
	char msg[512];
};

/* Writes the message (err may be NULL) and returns status, so that callers can
 * `return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path)`. */
__attribute__((format(printf, 3, 4))) static inline enum bawn_status
bawn_fail(struct bawn_error *err, enum bawn_status status, const char *fmt, ...)
{
	if (err) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
	}
	return status;
}

#endif
