// SPDX-License-Identifier: Apache-2.0
/*
 * Opens what a command names. Files are read or mapped before the process locks itself in; after
 * that their bytes are looked at. A database cannot be read from inside the sandbox, and is
 * parsed by its engine alone.
 */
#include "attest/audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/pem.h>

#include "attest/common/sandbox.h"

#define FILE_MAX ((size_t)1 << 20) /* a key, a checkpoint; a proof is an entry and hashes */
#define CHECKPOINTS_AHEAD 64
#define WINDOW ((size_t)32 << 20) /* of a file, in memory at once */

/* ---- Files ---- */

static enum bawn_status read_small(const char *path, struct bawn_bytes *out, struct bawn_error *err)
{
    const size_t most = 4 * FILE_MAX;
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : dup(STDIN_FILENO);
    enum bawn_status st;

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", path);
    st = bytes_read(fd, path, most, out, err);
    close(fd);
    return st != BAWN_E_FORMAT
               ? st
               : bawn_fail(err, BAWN_E_IO, "%s: larger than %zu MiB, which it cannot be", path,
                           most >> 20);
}

/* The file grew shorter while it was read. */
static void cut(int signal)
{
    static const char text[] = "bawn-audit: the log file was cut while it was read\n";

    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(AUDIT_USAGE);
}

static enum bawn_status map_file(struct audit_source *log, struct bawn_error *err)
{
    int fd = open(log->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum bawn_status st = BAWN_OK;
    struct stat stat;
    void *map;

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", log->name);
    if (fstat(fd, &stat)) {
        st = bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", log->name);
    } else if (!S_ISREG(stat.st_mode)) {
        st = bawn_fail(err, BAWN_E_IO, "%s must be a file, sqlite:PATH or postgresql://...",
                       log->name);
    } else if (stat.st_size) {
        map = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            st = bawn_fail(err, BAWN_E_IO, "cannot map %s: %m", log->name);
        } else {
            madvise(map, (size_t)stat.st_size, MADV_SEQUENTIAL);
            log->map = (struct bawn_bytes){ map, (size_t)stat.st_size };
            signal(SIGBUS, cut);
        }
    }
    close(fd);
    return st;
}

static enum bawn_status open_log(struct audit_source *log, const char *name, struct bawn_error *err)
{
    char *checkpoint = NULL;
    enum bawn_status st;

    log->name = name;
    if (strncmp(name, "sqlite:", 7) && !strstr(name, "://"))
        return map_file(log, err);
    st = db_open_readonly(&log->db, name, err);
    if (st == BAWN_OK)
        st = log_size(log->db, &log->claimed, err);
    /* Before the key, which comes with the first one. */
    if (st == BAWN_OK)
        st = log_last_checkpoint(log->db, &checkpoint, err);
    log->no_checkpoint = !checkpoint;
    free(checkpoint);
    if (st == BAWN_OK)
        st = log_last_key(log->db, &log->key, err);
    return st;
}

/* What the file's first line says; inside the sandbox. */
enum bawn_status audit_read_head(struct audit_source *log, struct bawn_error *err)
{
    struct log_export x;
    enum bawn_status st = log_export_open(&x, log->map, err);

    log->claimed = x.entries;
    if (st == BAWN_OK && x.key && !(log->key = strdup(x.key)))
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    log_export_close(&x);
    return st;
}

/* ---- Keys ---- */

static enum bawn_status add_key(struct audit *a, char *origin, EVP_PKEY *key,
                                struct bawn_error *err)
{
    if (a->nr_keys < LOG_KEYS_MAX) {
        a->keys[a->nr_keys++] = (struct audit_key){ origin, key };
        return BAWN_OK;
    }
    free(origin);
    EVP_PKEY_free(key);
    return bawn_fail(err, BAWN_E_USAGE, "more than %d keys", LOG_KEYS_MAX);
}

static enum bawn_status read_pem(struct audit *a, const char *path, struct bawn_error *err)
{
    struct bawn_bytes text = { NULL, 0 };
    enum bawn_status st = read_small(path, &text, err);
    EVP_PKEY *key = NULL;
    BIO *bio;

    if (st != BAWN_OK)
        return st;
    bio = BIO_new_mem_buf(text.data, (int)text.len);
    if (bio)
        key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    free((void *)(uintptr_t)text.data);
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return add_key(a, NULL, key, err);
    EVP_PKEY_free(key);
    return bawn_fail(err, BAWN_E_USAGE,
                     "%s: must be an Ed25519 public key in PEM (-----BEGIN PUBLIC KEY-----)", path);
}

static enum bawn_status add_pinned(struct audit *a, const char *text, struct bawn_error *err)
{
    EVP_PKEY *key;
    char *origin;
    enum bawn_status st = log_key_read(text, &origin, &key, err);

    return st == BAWN_OK ? add_key(a, origin, key, err) : st;
}

enum bawn_status audit_read_keys(struct audit *a, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < a->o->keys.n; i++)
        st = read_pem(a, a->o->keys.text[i], err);
    for (size_t i = 0; st == BAWN_OK && i < a->o->pins.n; i++) {
        st = add_pinned(a, a->o->pins.text[i], err);
        if (st == BAWN_E_FORMAT)
            st = BAWN_E_USAGE;
    }
    for (size_t i = 0; st == BAWN_OK && i < a->o->checkpoints.n; i++) {
        struct audit_file *f = &a->checkpoints[i];

        f->name = a->o->checkpoints.text[i];
        st = read_small(f->name, &f->bytes, err);
        a->nr_checkpoints = i + 1;
    }
    return st;
}

enum bawn_status audit_check_note(const struct audit *a, struct bawn_bytes note, uint64_t *size,
                                  uint8_t root[LOG_HASH], struct bawn_error *err)
{
    enum bawn_status st = bawn_fail(err, BAWN_E_DENIED, "there is no key to check it with");

    for (size_t i = 0; i < a->nr_keys; i++) {
        st = log_checkpoint_verify(a->keys[i].key, a->keys[i].origin, (const char *)note.data,
                                   note.len, size, root, err);
        if (st == BAWN_OK)
            break;
    }
    return st;
}

/* ---- All ---- */

/* Everything that needs the system: OpenSSL's configuration and algorithms, jansson's seed, the
 * time zone, stdout's buffer. */
enum bawn_status audit_lock_in(struct audit *a, struct bawn_error *err)
{
    static char buffer[1 << 16];
    bool seccomp, landlock;

    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    tzset();
    json_object_seed(0);
    if (!OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL))
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not start");
    a->sandboxed = true;
    return bawn_sandbox(&seccomp, &landlock, err);
}

enum bawn_status audit_open(struct audit *a, const struct audit_options *o, struct bawn_error *err)
{
    bool proof = o->command->run == audit_check_proof;
    enum bawn_status st;

    *a = (struct audit){ .o = o };
    if (o->command->run == audit_host || o->command->run == audit_report ||
        o->command->run == audit_check_report)
        return BAWN_OK;
    st = audit_read_keys(a, err);
    if (st == BAWN_OK && proof) {
        a->proof.name = o->arg[0];
        st = read_small(o->arg[0], &a->proof.bytes, err);
    } else if (st == BAWN_OK) {
        st = open_log(&a->log, o->arg[0], err);
    }
    if (st == BAWN_OK && !a->log.db)
        st = audit_lock_in(a, err);
    if (st == BAWN_OK && !a->log.db && !proof)
        st = audit_read_head(&a->log, err);
    return st;
}

void audit_close(struct audit *a)
{
    db_close(a->log.db);
    free(a->log.key);
    if (a->log.map.len)
        munmap((void *)(uintptr_t)a->log.map.data, a->log.map.len);
    for (size_t i = 0; i < a->nr_keys; i++) {
        free(a->keys[i].origin);
        EVP_PKEY_free(a->keys[i].key);
    }
    for (size_t i = 0; i < a->nr_checkpoints; i++)
        free((void *)(uintptr_t)a->checkpoints[i].bytes.data);
    free((void *)(uintptr_t)a->proof.bytes.data);
}

/* ---- Items of a file ---- */

/* What is behind is not needed again: a log may be larger than the memory. */
static void forget(const struct audit_source *log, const struct log_export *x, size_t *forgotten)
{
    size_t done = (size_t)(x->rest.data - log->map.data);

    if (done - *forgotten < 2 * WINDOW)
        return;
    madvise((void *)(uintptr_t)(log->map.data + *forgotten), WINDOW, MADV_DONTNEED);
    *forgotten += WINDOW;
}

static enum bawn_status each_of_file(struct audit_source *log, uint64_t from, audit_item_fn fn,
                                     void *context, struct bawn_error *err)
{
    struct log_export x;
    struct log_item item;
    size_t forgotten = 0;
    uint64_t seq = 0;
    enum bawn_status st = log_export_open(&x, log->map, err);

    while (st == BAWN_OK && (st = log_export_next(&x, &item, err)) == BAWN_OK &&
           item.kind != LOG_ITEM_END) {
        if (seq >= from && !fn(context, seq, &item))
            break;
        seq += item.kind == LOG_ITEM_ENTRY;
        forget(log, &x, &forgotten);
    }
    log_export_close(&x);
    return st;
}

/* ---- Items of a database ---- */

struct walk {
    struct audit_source *log;
    audit_item_fn fn;
    void *context;
    uint64_t seq;  /* entries that came before */
    uint64_t next; /* the number to read from: another, when some are missing */
    bool stopped;
    /* Checkpoints of entries to come, a few at a time. */
    struct {
        uint64_t size;
        struct bawn_bytes note;
    } ahead[CHECKPOINTS_AHEAD];
    size_t first, nr;
    uint64_t asked; /* all below are taken */
    bool none_left;
    enum bawn_status st;
    struct bawn_error *err;
};

static bool take_checkpoint(void *context, uint64_t size, struct bawn_bytes note)
{
    struct walk *w = context;
    uint8_t *copy = malloc(note.len + 1);

    if (!copy) {
        w->st = bawn_fail(w->err, BAWN_E_NOMEM, "no memory");
        return false;
    }
    memcpy(copy, note.data, note.len);
    w->ahead[w->nr].size = size;
    w->ahead[w->nr].note.data = copy;
    w->ahead[w->nr++].note.len = note.len;
    w->asked = size + 1;
    return w->nr < CHECKPOINTS_AHEAD;
}

static void drop_first(struct walk *w)
{
    free((void *)(uintptr_t)w->ahead[w->first++].note.data);
}

static bool look_ahead(struct walk *w)
{
    if (w->first == w->nr && !w->none_left && !w->log->no_checkpoint) {
        w->first = w->nr = 0;
        if (w->st == BAWN_OK)
            w->st = log_checkpoints(w->log->db, w->asked, INT64_MAX, take_checkpoint, w, w->err);
        w->none_left = !w->nr;
    }
    return w->st == BAWN_OK && w->first < w->nr;
}

/* Those of at most so many entries. */
static bool give_checkpoints(struct walk *w, uint64_t size)
{
    while (!w->stopped && look_ahead(w) && w->ahead[w->first].size <= size) {
        const struct log_item item = { LOG_ITEM_CHECKPOINT, w->ahead[w->first].note };

        w->stopped = !w->fn(w->context, w->seq, &item);
        drop_first(w);
    }
    return !w->stopped && w->st == BAWN_OK;
}

static bool take_entry(void *context, uint64_t seq, struct bawn_bytes entry)
{
    const struct log_item item = { LOG_ITEM_ENTRY, entry };
    struct walk *w = context;

    w->next = seq + 1;
    if (!give_checkpoints(w, w->seq))
        return false;
    w->stopped = !w->fn(w->context, w->seq, &item);
    w->seq++;
    return !w->stopped;
}

/* In passes, each up to the size that the log has at its beginning: all checkpoints below that are
 * there by then, so none comes late for the place that it belongs to. A checkpoint of more entries
 * that is seen in a pass means another pass; when that finds nothing new, the log was cut, and what
 * may stand behind its end is read, too. */
static enum bawn_status each_of_db(struct audit_source *log, uint64_t from, audit_item_fn fn,
                                   void *context, struct bawn_error *err)
{
    struct walk w = { .log = log,
                      .fn = fn,
                      .context = context,
                      .seq = from,
                      .next = from,
                      .asked = from,
                      .err = err };
    bool first = true, found = true;
    enum bawn_status st = BAWN_OK;

    while (found && st == BAWN_OK && w.st == BAWN_OK && !w.stopped && (first || look_ahead(&w))) {
        uint64_t before = w.next, size = 0;

        st = log_size(log->db, &size, err);
        if (st == BAWN_OK)
            st = log_read(log->db, w.next, size, take_entry, &w, err);
        if (st == BAWN_OK && !first && w.next == before) {
            st = log_read(log->db, w.next, INT64_MAX, take_entry, &w, err);
            found = false;
        }
        w.none_left = false;
        if (st == BAWN_OK && w.st == BAWN_OK)
            give_checkpoints(&w, w.seq);
        first = false;
    }
    if (st == BAWN_OK && w.st == BAWN_OK)
        give_checkpoints(&w, UINT64_MAX);
    while (w.first < w.nr)
        drop_first(&w);
    return st == BAWN_OK ? w.st : st;
}

enum bawn_status audit_each(struct audit_source *log, uint64_t from, audit_item_fn fn,
                            void *context, struct bawn_error *err)
{
    return log->db ? each_of_db(log, from, fn, context, err)
                   : each_of_file(log, from, fn, context, err);
}
