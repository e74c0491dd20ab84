/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases for tests: a temporary directory, and in it a real PostgreSQL server of the test's own
 * that listens on a Unix socket only and ends with the test. Trusts everything.
 */
#ifndef BAWN_TEST_SERVER_H
#define BAWN_TEST_SERVER_H

#include <stdbool.h>

/* A new directory that anyone may enter; removed with what is in it by test_cleanup. */
const char *test_directory(void);
/* "sqlite:DIR/name" and the file's path, of the test's directory; static buffers. */
const char *test_sqlite_url(const char *name);
const char *test_path(const char *name);

/* Makes a cluster and starts the server, as the user postgres when the test is root's. */
void test_server_start(void);
/* Ends it as a crash would (SIGQUIT) and starts it anew. */
void test_server_restart(void);
void test_server_crash(void);
/* A fresh, empty database; its URL in a static buffer. */
const char *test_server_database(void);
void test_cleanup(void);

#endif
