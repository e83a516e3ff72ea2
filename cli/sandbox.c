#include "cli/sandbox.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/locate.h"

void sandbox_options(struct sandbox_options *options, struct option_table *table)
{
    const struct option_row rows[] = {
        {"job-reads", 0, OPTION_TEXT, "PATH:PATH...", "what jobs may read beside their inputs",
         &options->reads, .unset = "nothing"},
        {"job-writes", 0, OPTION_TEXT, "PATH:PATH...",
         "what jobs may write beside their output", &options->writes, .unset = "nothing"},
        {"sandbox", 0, OPTION_SWITCH, "on|off", "confine what jobs open and call",
         &options->on},
    };

    *options = (struct sandbox_options){.on = true};
    options_add(table, rows, sizeof rows / sizeof *rows);
}

/* A list with all paths absolute; NULL with an error. Caller frees. */
static char *make_absolute(const char *option, const char *list, struct error *err)
{
    cleanup_free char *words = memory_text(list);
    char *all = memory_text(""), *rest = NULL;

    for (char *path = strtok_r(words, ":", &rest); path; path = strtok_r(NULL, ":", &rest)) {
        cleanup_free char *absolute = locate_absolute(path);
        char *longer;

        if (access(absolute, F_OK)) {
            error_errno(err, ERROR_USAGE, "--%s '%s'", option, path);
            free(all);
            return NULL;
        }
        longer = memory_format("%s%s%s", all, *all ? ":" : "", absolute);
        free(all);
        all = longer;
    }
    return all;
}

static int export(const char *option, const char *name, const char *list, struct error *err)
{
    cleanup_free char *paths = make_absolute(option, list ? list : "", err);

    if (paths)
        setenv(name, paths, 1);
    return paths ? 0 : -1;
}

int sandbox_export(const struct sandbox_options *options, struct error *err)
{
    setenv("MARRAM_SANDBOX", options->on ? "on" : "off", 1);
    return export("job-reads", "MARRAM_JOB_READS", options->reads, err) ||
                   export("job-writes", "MARRAM_JOB_WRITES", options->writes, err)
               ? -1
               : 0;
}
