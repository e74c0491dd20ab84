// SPDX-License-Identifier: Apache-2.0
/*
 * Reading what may be a file, a pipe or a device, up to a limit. Trusts nothing of it.
 */
#include "common/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum bawn_status bytes_read(int fd, const char *name, size_t most, struct bawn_bytes *out,
                            struct bawn_error *err)
{
    size_t room = 0, len = 0;
    uint8_t *data = NULL, *more;
    ssize_t n;

    do {
        if (len == room) {
            room = room ? room * 2 : 16384;
            if (room > most + 1)
                room = most + 1; /* the byte too many is seen */
            more = realloc(data, room);
            if (!more) {
                free(data);
                return bawn_fail(err, BAWN_E_NOMEM, "%s: no memory", name);
            }
            data = more;
        }
        n = read(fd, data + len, room - len);
        if (n > 0)
            len += (size_t)n;
    } while ((n > 0 && len <= most) || (n < 0 && errno == EINTR));
    if (n < 0 || len > most) {
        free(data);
        return n < 0 ? bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", name)
                     : bawn_fail(err, BAWN_E_FORMAT, "%s: larger than %zu bytes", name, most);
    }
    *out = (struct bawn_bytes){ data, len };
    return BAWN_OK;
}
