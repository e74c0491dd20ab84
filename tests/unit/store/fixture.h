/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of what stands on the database: the error of the last call, a database of one of the
 * two kinds, and the server that a program's tests share.
 */
#ifndef BAWN_TEST_STORE_FIXTURE_H
#define BAWN_TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/store/db.h"
#include "tests/unit/store/server.h"

static struct bawn_error err;

#define ok(call)                     \
    do {                             \
        *err.msg = '\0';             \
        if ((call) != BAWN_OK)       \
            fail_msg("%s", err.msg); \
    } while (0)

/* The URL of an empty database of the test's kind. */
static inline const char *fresh_url(void **state)
{
    static unsigned n;
    char name[32];

    if (!strcmp(*state, "postgres"))
        return test_server_database();
    snprintf(name, sizeof(name), "t%u.db", ++n);
    return test_sqlite_url(name);
}

static inline struct db *open_db(const char *url)
{
    struct db *db = NULL;

    if (db_open(&db, url, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    return db;
}

/* The only column of the only row. */
static inline bool take_int(void *context, const struct db_value *columns, int n)
{
    assert_int_equal(n, 1);
    assert_int_equal(columns[0].type, DB_INT);
    *(int64_t *)context = columns[0].i;
    return true;
}

/* A test with each kind. */
#define BOTH(test)                                               \
    { "sqlite: " #test, test, NULL, NULL, (void *)"sqlite" },    \
    {                                                            \
        "postgres: " #test, test, NULL, NULL, (void *)"postgres" \
    }

static inline int start(void **state)
{
    (void)state;
    test_server_start();
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    test_cleanup();
    return 0;
}

#endif
