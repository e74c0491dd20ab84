/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where running machines are found: a directory of their owner's alone, with the API's socket of
 * each under the machine's name. And unix sockets by path, for both of its sides.
 */
#ifndef BAWN_VMM_RUNTIME_H
#define BAWN_VMM_RUNTIME_H

#include <stdbool.h>
#include <sys/un.h>

#include "bawn/status.h"

#define BAWN_NAME_MAX 48

/* Letters, digits, and . _ - but not at the beginning. */
bool bawn_name_valid(const char *name);
/* The directory: BAWN_RUNTIME_DIR, /run/bawn of root, else XDG_RUNTIME_DIR/bawn; made if `make`,
 * with mode 0700. One that others can write to is refused. */
enum bawn_status bawn_runtime_dir(char *path, size_t room, bool make, struct bawn_error *err);
/* The path of a machine's socket. */
enum bawn_status bawn_runtime_path(const char *name, char *path, size_t room, bool make,
                                   struct bawn_error *err);

/* Listens at a path with mode 0600. A socket there that nobody listens on is removed first; any
 * other file is refused. Returns the descriptor, or -1. */
int bawn_socket_listen(const char *path, struct bawn_error *err);
/* Connects, or gives -1 and errno. */
int bawn_socket_connect(const char *path);

/* "fd=N": that descriptor. Else -1, and *where is behind "path=", if it begins so. */
int bawn_runtime_fd(const char **where);

#endif
