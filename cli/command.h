/* The command line of a verb, taken apart by its table and not stored yet: what was set
 * elsewhere comes first. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/verb.h"

struct argument {
    const struct option_row *row;
    const char *text;
};

struct command {
    struct argument *arguments; /* in order */
    size_t count, capacity;
    struct option_list words; /* that are no options */
    const char *config;       /* --config; NULL: not given */
    bool help;                /* --help; nothing behind it was looked at */
};

/* -1: wrong usage, which was told on stderr. */
int command_parse(struct command *command, const struct option_table *table, int argc,
                  char **argv);
/* Stores what was said; sources[i] says so for row i. -1 as above. */
int command_apply(const struct command *command, const char *verb,
                  const struct option_table *table, struct option_source *sources);
void command_done(struct command *command);

#endif
