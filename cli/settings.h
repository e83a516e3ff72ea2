/* What is set outside the command line: configuration files in the form of INI, sections by
 * verb, [marram] for every verb that has such an option; and variables of the environment. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "base/error.h"
#include "cli/verb.h"

struct setting {
    char *section, *key, *value;
    const char *file; /* one of `files` */
    unsigned line;
    size_t rank; /* of its file: the higher wins */
};

struct settings {
    struct setting *items;
    size_t count, capacity;
    char *files[2];
    size_t file_count;
};

/* The file of one's own, $XDG_CONFIG_HOME/marram/config or ~/.config/marram/config; NULL where
 * there is no home. Caller frees. */
char *settings_own_file(void);
#define SETTINGS_SYSTEM_FILE "/etc/marram/marram.conf"

/* Reads one file; `needed`: that it does not exist is an error. What none of the verbs (ending
 * with NULL) knows is refused by name. */
int settings_read(struct settings *settings, const char *file, bool needed,
                  const struct verb *const *verbs, struct error *err);

/* Reads `file` alone, or when it is NULL the system's and then one's own, if they exist. */
int settings_load(struct settings *settings, const char *file, const struct verb *const *verbs,
                  struct error *err);
void settings_done(struct settings *settings);

/* Fills in the options of a verb from files and environment; sources[i] says where row i is
 * from. ERROR_USAGE names the origin of what is wrong. The texts live as long as `settings`. */
int settings_apply(const struct settings *settings, const struct verb *verb,
                   const struct option_table *table, struct option_source *sources,
                   struct error *err);

#endif
