/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long options of a command as a table: --name VALUE, --name=VALUE, --name. The command line is
 * the user's own and trusted; what it names is not. Values are borrowed from argv.
 */
#ifndef BAWN_COMMON_OPTIONS_H
#define BAWN_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bawn/status.h>

struct option;
/* BAWN_E_USAGE with the option, its value and what would be right. value is NULL for a flag. */
typedef enum bawn_status option_set_fn(void *options, const struct option *self, const char *value,
                                       struct bawn_error *err);

struct option {
    const char *name;
    const char *arg;  /* what its value is, for people; NULL: takes none */
    const char *help; /* NULL: the help has it not */
    option_set_fn *set;
    size_t field;         /* offset in the options, for the setters below */
    const char *commands; /* that know it, with spaces between; NULL: all */
    unsigned max;         /* for setters of numbers */
    bool first;           /* set before all others, wherever it stands */
};

struct option_table {
    const struct option *option;
    size_t n;
    /* An argument that is no option ("-" is none, nor is what comes behind "--"). NULL: there are
     * none, and each is an unknown option. */
    enum bawn_status (*argument)(void *options, const char *text, struct bawn_error *err);
    /* Fails for an unknown option. NULL: "TEXT: no such option". */
    enum bawn_status (*unknown)(const char *text, const char *command, struct bawn_error *err);
};

#define OPTION_TABLE(array) .option = (array), .n = sizeof(array) / sizeof((array)[0])

/* Sets argv[0] and what follows, in order. command NULL: whatever commands the options are for.
 * *given, if not NULL, gets a bit for each of the table's (at most 64) options that was there. */
enum bawn_status options_read(const struct option_table *table, const char *command, int argc,
                              char **argv, void *options, uint64_t *given, struct bawn_error *err);
bool option_serves(const struct option *option, const char *command);

/* A line for each option that the command knows; command NULL: all, with their commands. The
 * texts begin behind so many columns; 0: as many as the longest option needs. */
void options_print(const struct option_table *table, const char *command, int width);
void option_print(const struct option *option, int indent, int width);

/* ---- Setters, by the field's type ---- */

option_set_fn option_set_flag;  /* bool */
option_set_fn option_set_text;  /* const char * */
option_set_fn option_copy_text; /* char *, which it frees; NULL or of malloc */
option_set_fn option_add_text;  /* struct text_list */

enum bawn_status option_copy(char **to, const char *value, struct bawn_error *err);

struct text_list {
    const char **text; /* free() it */
    size_t n;
};
enum bawn_status text_list_add(struct text_list *list, const char *text, struct bawn_error *err);

static inline void *option_field(void *options, const struct option *self)
{
    return (char *)options + self->field;
}

#endif
