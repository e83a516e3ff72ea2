/* Command lines from tables. A verb lists its options once; parsing, `--help` and error texts
 * come from the list. Whatever is wrong is said in one line on stderr. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG, /* bool */
    OPTION_TEXT, /* const char *: points into argv */
    OPTION_LIST, /* struct option_list: may be repeated; with `greedy`, words that follow belong
                    to it */
    OPTION_SIZE, /* uint64_t, bytes */
    OPTION_COUNT,  /* uint64_t, between min and max */
    OPTION_SWITCH, /* bool, written on or off */
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
    const char *help;
    void *value; /* where it goes, by kind; keeps its default when the option is absent */
    uint64_t min, max;
    bool greedy;
};

struct option_table {
    const char *usage; /* "marram run JOB -i URI... -o URI [options]" */
    const char *about; /* one or more lines */
    const char *notes; /* printed behind the options, or NULL */
    const struct option_row *rows;
    size_t count;
};

/* Parses; words that are no options go to *words. 0: go on, 1: --help was printed, -1: wrong
 * usage. */
int options_parse(const struct option_table *table, int argc, char **argv,
                  struct option_list *words);

void option_list_add(struct option_list *list, const char *item);
void option_list_done(struct option_list *list);

/* "marram run: ..." on stderr; returns 2. */
int usage_error(const char *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
