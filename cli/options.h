/* Options as tables. A verb lists its options once; parsing, `--help`, manual pages,
 * completion, the environment and configuration files all come from the list. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG, /* bool */
    OPTION_TEXT, /* const char *: points to who said it, for as long as the verb runs */
    OPTION_LIST, /* struct option_list: may be repeated; with `greedy`, words that follow belong
                    to it */
    OPTION_SIZE, /* uint64_t, bytes */
    OPTION_COUNT,  /* uint64_t, between min and max */
    OPTION_SWITCH, /* bool, written on or off */
    OPTION_CHOICE, /* const char *: one of `choices` */
};

struct option_list {
    const char **items;
    size_t count, capacity;
};

struct option_row {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum option_kind kind;
    const char *argument; /* what to call it in --help */
    const char *help;     /* without the default, which is shown behind it */
    void *value;          /* where it goes, by kind; what is there at first is the default */
    uint64_t min, max;
    bool greedy;
    bool once;           /* on the command line alone: as a lasting default it would surprise */
    const char *unset;   /* what happens when nobody says anything and there is no default */
    const char *choices; /* "text|raw": all values of a CHOICE, usual ones of others */
};

enum { OPTIONS_MAX = 64, OPTION_ENVIRONMENT = 64, OPTION_WANTED = 120 };

struct option_table {
    struct option_row rows[OPTIONS_MAX];
    size_t count;
};

/* Puts n more rows behind those that are there. */
void options_add(struct option_table *table, const struct option_row *rows, size_t n);
/* The row of that name; NULL when there is none. */
const struct option_row *options_find(const struct option_table *table, const char *name);

/* Stores an argument, of the command line or elsewhere; false when it is not of its kind. */
bool option_store(const struct option_row *row, const char *text);
/* "a number from 1 to 256 is wanted"; returns buffer. */
const char *option_wanted(const struct option_row *row, char buffer[OPTION_WANTED]);

/* The value as text that option_store takes; NULL when there is none. Caller frees. */
char *option_text(const struct option_row *row);

/* Whether it may come from elsewhere than the command line. */
bool option_settable(const struct option_row *row);
/* Its variable: MARRAM_LOG_LEVEL of log-level; returns buffer. */
const char *option_environment(const struct option_row *row, char buffer[OPTION_ENVIRONMENT]);

/* Goes through "text|raw": puts the next choice into *ret and its length into *ret_n; false at
 * the end. *at begins as the choices. */
bool option_choice(const char **at, const char **ret, size_t *ret_n);

void option_list_add(struct option_list *list, const char *item);
void option_list_done(struct option_list *list);

/* "marram run: ..." on stderr; returns 2. */
int usage_error(const char *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
