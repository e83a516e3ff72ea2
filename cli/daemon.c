#include "cli/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/signals.h"
#include "store/tree.h"

void daemon_options(struct daemon_options *options, struct option_table *table)
{
    const struct option_row rows[] = {
        {"log-level", 0, OPTION_CHOICE, "LEVEL", "error, warning, info or detail",
         &options->log_level, .choices = "error|warning|info|detail"},
        {"log-json", 0, OPTION_FLAG, NULL, "log lines as JSON objects", &options->log_json},
    };

    options->log_level = "info";
    options_add(table, rows, sizeof rows / sizeof *rows);
}

/* Each peer costs a descriptor. */
static void raise_files(void)
{
    struct rlimit limit;

    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

unsigned long daemon_files_max(void)
{
    struct rlimit limit = {0};

    return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : (unsigned long)limit.rlim_max;
}

int daemon_start(const struct daemon_options *options, int *ret_stop, struct error *err)
{
    enum log_level level;

    check(log_parse(options->log_level, &level));
    /* Whoever read our log lines may have gone. */
    signal(SIGPIPE, SIG_IGN);
    raise_files();
    *ret_stop = signals_open(err);
    if (*ret_stop < 0)
        return -1;
    log_configure(level, options->log_json);
    return 0;
}

int daemon_fail(const char *verb, struct error *err)
{
    verb_blame(err);
    fprintf(stderr, "marram %s: %s\n", verb, err->text);
    return error_exit_status(err->code);
}

int daemon_scratch(const char *base, const char *prefix, struct scratch *scratch,
                   struct error *err)
{
    const char *folder = base ? base : getenv("TMPDIR");

    if (!folder || !*folder)
        folder = "/tmp";
    if (base) {
        char *made = NULL;

        if (tree_make(folder, &made, err))
            return -1;
        free(made);
    }
    return scratch_open(scratch, folder, prefix, err);
}
