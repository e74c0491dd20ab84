// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit export and key.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attest/audit/audit.h"

struct writing {
    FILE *to;
    uint64_t entries; /* as the first line says; what came later is left for the next export */
    bool failed;
};

static bool take_item(void *context, uint64_t seq, const struct log_item *item)
{
    struct writing *w = context;

    if (item->kind == LOG_ITEM_CHECKPOINT) {
        char *line = log_export_checkpoint(item->text);

        w->failed = !line || fputs(line, w->to) < 0;
        free(line);
        return !w->failed;
    }
    if (seq == w->entries)
        return false;
    w->failed = fwrite(item->text.data, 1, item->text.len, w->to) != item->text.len ||
                fputc('\n', w->to) == EOF;
    return !w->failed;
}

static enum bawn_status write_all(struct audit *a, FILE *to, const char *name,
                                  struct bawn_error *err)
{
    struct writing w = { .to = to, .entries = a->log.claimed };
    char *head = log_export_head(a->log.claimed, a->log.key);
    enum bawn_status st = BAWN_OK;

    if (!head || fputs(head, to) < 0)
        w.failed = true;
    else
        st = audit_each(&a->log, 0, take_item, &w, err);
    free(head);
    if (st == BAWN_OK && (w.failed || fflush(to)))
        st = bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", name);
    return st;
}

/* Under another name until it is whole. */
static enum bawn_status write_file(struct audit *a, const char *name, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    char *part = NULL;
    FILE *to = NULL;
    int fd;

    if (asprintf(&part, "%s.part", name) < 0)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !(to = fdopen(fd, "w"))) {
        st = bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", part);
        if (fd >= 0)
            close(fd);
        free(part);
        return st;
    }
    st = write_all(a, to, part, err);
    if (st == BAWN_OK && fsync(fd))
        st = bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", part);
    if (fclose(to) && st == BAWN_OK)
        st = bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", part);
    if (st == BAWN_OK && rename(part, name))
        st = bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", name);
    if (st != BAWN_OK)
        unlink(part);
    free(part);
    return st;
}

int audit_export(struct audit *a, struct bawn_error *err)
{
    const char *name = a->o->arg[1];
    enum bawn_status st;

    if (!a->log.db)
        st = bawn_fail(err, BAWN_E_USAGE, "%s: only a database can be exported", a->o->arg[0]);
    else if (!strcmp(name, "-"))
        st = write_all(a, stdout, "stdout", err);
    else
        st = write_file(a, name, err);
    return st == BAWN_OK ? AUDIT_GOOD : -1;
}

int audit_show_key(struct audit *a, struct bawn_error *err)
{
    if (!a->log.key) {
        bawn_fail(err, BAWN_E_USAGE, "the log names no key: it has no checkpoint yet");
        return -1;
    }
    if (a->o->json) {
        audit_print_json(json_pack("{s:s}", "key", a->log.key));
    } else {
        audit_print(a->log.key);
        putchar('\n');
    }
    fprintf(stderr, "bawn-audit: this is what the log says; compare it with what the service's "
                    "operator published elsewhere\n");
    return AUDIT_GOOD;
}
