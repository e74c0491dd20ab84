// SPDX-License-Identifier: Apache-2.0
/*
 * Starts and ends PostgreSQL for tests. Needs initdb and postgres, in $BAWN_PG_BIN or where Debian
 * has them.
 */
#include "tests/unit/store/server.h"
#include "tests/unit/temporary.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ftw.h>
#include <postgresql/libpq-fe.h>

static char directory[64];
static pid_t server;
static pid_t owner;
static unsigned databases;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    test_cleanup();
    exit(99);
}

const char *test_directory(void)
{
    if (!*directory) {
        temporary(directory, sizeof(directory), "store");
        if (!mkdtemp(directory) || chmod(directory, 0755)) {
            perror(directory);
            exit(99);
        }
        owner = getpid();
    }
    return directory;
}

const char *test_path(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", test_directory(), name);
    return path;
}

const char *test_sqlite_url(const char *name)
{
    static char url[160];

    snprintf(url, sizeof(url), "sqlite:%s", test_path(name));
    return url;
}

/* ---- The server ---- */

static const char *program(const char *name)
{
    static char path[256];
    const char *bin = getenv("BAWN_PG_BIN");

    snprintf(path, sizeof(path), "%s/%s", bin ? bin : "/usr/lib/postgresql/15/bin", name);
    return path;
}

/* Runs argv as the server's user, with its output in a file, and ends with this process. */
static pid_t spawn(char *const argv[], const char *log)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        die("fork: %m");
    if (pid > 0)
        return pid;
    if (geteuid() == 0) {
        const struct passwd *user = getpwnam("postgres");

        if (!user || setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid))
            _exit(98);
    }
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent || chdir("/") || !freopen(log, "a", stderr) || dup2(2, 1) < 0)
        _exit(97);
    unsetenv("LD_PRELOAD");
    execv(argv[0], argv);
    _exit(96);
}

static void show_log(const char *log)
{
    char line[512];
    FILE *f = fopen(log, "r");

    while (f && fgets(line, sizeof(line), f))
        fprintf(stderr, "# %s", line);
    if (f)
        fclose(f);
}

static void data_path(char *path, size_t size)
{
    snprintf(path, size, "%s/pg", test_directory());
}

static bool answers(void)
{
    char url[200];
    PGPing said;

    snprintf(url, sizeof(url), "postgresql://postgres@/postgres?host=%s/pg", test_directory());
    said = PQping(url);
    return said == PQPING_OK;
}

static void launch(void)
{
    char data[128], sockets[160], log[160];
    char postgres[256];

    data_path(data, sizeof(data));
    snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", data);
    snprintf(log, sizeof(log), "%s/server.log", data);
    snprintf(postgres, sizeof(postgres), "%s", program("postgres"));
    /* Without fsync: these tests end servers and programs, not machines. */
    server = spawn((char *[]){ postgres, "-D", data, "-c", sockets, "-c", "listen_addresses=", "-c",
                               "fsync=off", "-c", "max_connections=30", NULL },
                   log);
    for (int i = 0; i < 600 && !answers(); i++) {
        if (waitpid(server, NULL, WNOHANG) == server)
            break;
        usleep(50000);
    }
    if (!answers()) {
        show_log(log);
        die("PostgreSQL does not start");
    }
}

void test_server_start(void)
{
    char data[128], initdb[256];
    int status = 0;
    pid_t pid;

    data_path(data, sizeof(data));
    snprintf(initdb, sizeof(initdb), "%s", program("initdb"));
    if (access(initdb, X_OK))
        die("%s is not there: install postgresql-15, or set BAWN_PG_BIN", initdb);
    if (mkdir(data, 0700) ||
        (geteuid() == 0 && chown(data, getpwnam("postgres")->pw_uid, getpwnam("postgres")->pw_gid)))
        die("%s: %m", data);
    pid = spawn((char *[]){ initdb, "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
                            "--locale=C.UTF-8", NULL },
                "/dev/null");
    if (waitpid(pid, &status, 0) != pid || status)
        die("initdb failed with status %d", status);
    launch();
}

void test_server_crash(void)
{
    if (server > 0) {
        kill(server, SIGQUIT);
        waitpid(server, NULL, 0);
        server = 0;
    }
}

void test_server_restart(void)
{
    test_server_crash();
    launch();
}

const char *test_server_database(void)
{
    static char url[200];
    char sql[64];
    PGconn *connection;
    PGresult *result;

    snprintf(url, sizeof(url), "postgresql://postgres@/postgres?host=%s/pg", test_directory());
    connection = PQconnectdb(url);
    snprintf(sql, sizeof(sql), "CREATE DATABASE t%u", ++databases);
    result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die("%s: %s", sql, PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
    snprintf(url, sizeof(url), "postgresql://postgres@/t%u?host=%s/pg", databases,
             test_directory());
    return url;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

void test_cleanup(void)
{
    /* A child of the test has the same variables and none of the duty. */
    if (!*directory || owner != getpid())
        return;
    test_server_crash();
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    *directory = '\0';
}
