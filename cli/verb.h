/* A verb of `marram` as data: what it is called, what it takes, what it does. Running it means
 * to bring its options together: defaults, configuration files, the environment, the command
 * line, the later of these winning. */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include "base/error.h"
#include "cli/options.h"

struct verb {
    const char *name;    /* "run", "cluster up" */
    const char *summary; /* in the list of verbs */
    const char *usage;   /* what follows "marram NAME": "JOB -i URI... -o URI [options]" */
    const char *about;   /* one or more lines */
    const char *notes;   /* printed behind the options, or NULL */
    size_t size;         /* of the struct that `options` and `run` get, all zero at first */
    /* Puts the defaults into the struct and adds rows that point into it. */
    void (*options)(void *into, struct option_table *table);
    /* The exit status: 0 done, 1 the job failed or was cancelled, 2 wrong usage, 3 no
     * coordinator, 4 refused, 130 interrupted. */
    int (*run)(void *into, const struct option_list *words);
};

/* Who said what an option is. */
enum option_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_COMMAND };
struct option_source {
    enum option_origin origin;
    const char *text; /* as it was said */
    const char *file; /* of ORIGIN_FILE */
    unsigned line;
};

/* Arguments with the verb's name first, until the exit status. */
int verb_run(const struct verb *verb, int argc, char **argv);

/* An error that begins with an option ("--lease 1: ...") of the verb that runs is told where
 * that was set, if not on the command line. */
void verb_blame(struct error *err);

/* What files say, as the verb that runs sees it. */
const struct settings *verb_settings(void);

/* Where a value comes from, as in an error; returns buffer. */
enum { VERB_SAID = 600 };
const char *option_said(const struct option_row *row, const struct option_source *source,
                        char buffer[VERB_SAID]);

/* Prints what --help says. */
void verb_help(const struct verb *verb, const struct option_table *table);

#endif
