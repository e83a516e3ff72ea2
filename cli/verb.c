#include "cli/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/command.h"
#include "cli/locate.h"
#include "cli/settings.h"
#include "cli/verbs.h"

/* Of the verb that runs: a process runs one. Any thread may read them. */
static struct option_table table;
static struct option_source sources[OPTIONS_MAX];
static struct settings settings;

const char *option_said(const struct option_row *row, const struct option_source *source,
                        char buffer[VERB_SAID])
{
    char variable[OPTION_ENVIRONMENT];

    switch (source->origin) {
    case ORIGIN_COMMAND:
        snprintf(buffer, VERB_SAID, "--%s%s%s", row->name, row->argument ? " " : "",
                 row->argument ? source->text : "");
        break;
    case ORIGIN_ENVIRONMENT:
        snprintf(buffer, VERB_SAID, "%s=%s", option_environment(row, variable), source->text);
        break;
    case ORIGIN_FILE:
        snprintf(buffer, VERB_SAID, "%s = %s in %s line %u", row->name, source->text,
                 source->file, source->line);
        break;
    case ORIGIN_DEFAULT:
        *buffer = '\0';
    }
    return buffer;
}

void verb_blame(struct error *err)
{
    const char *name = err->text + 2;
    char variable[OPTION_ENVIRONMENT];
    size_t n = strlen(err->text);

    for (size_t i = 0; i < table.count && !strncmp(err->text, "--", 2); i++) {
        const struct option_row *row = &table.rows[i];

        if (strlen(row->name) != strcspn(name, " :") ||
            strncmp(name, row->name, strlen(row->name)))
            continue;
        if (sources[i].origin == ORIGIN_ENVIRONMENT)
            snprintf(err->text + n, sizeof err->text - n, " (set by %s)",
                     option_environment(row, variable));
        else if (sources[i].origin == ORIGIN_FILE)
            snprintf(err->text + n, sizeof err->text - n, " (set in %s line %u)",
                     sources[i].file, sources[i].line);
        return;
    }
}

const struct settings *verb_settings(void)
{
    return &settings;
}

/* What a verb starts, wherever that works, shall read the same file. */
static void pass_on(const char *config)
{
    cleanup_free char *path = locate_absolute(config);

    setenv("MARRAM_CONFIG", path, 1);
}

/* Everything but the command line, then the command line; -1: wrong usage, which was told. */
static int fill(const struct verb *verb, const struct command *command)
{
    const char *config = command->config ? command->config : getenv("MARRAM_CONFIG");
    struct error err;

    if (command->config)
        pass_on(command->config);
    if (settings_load(&settings, config && *config ? config : NULL, verbs, &err) ||
        settings_apply(&settings, verb, &table, sources, &err)) {
        usage_error(verb->name, "%s", err.text);
        return -1;
    }
    return command_apply(command, verb->name, &table, sources);
}

static void free_lists(void)
{
    for (size_t i = 0; i < table.count; i++)
        if (table.rows[i].kind == OPTION_LIST)
            option_list_done(table.rows[i].value);
}

int verb_run(const struct verb *verb, int argc, char **argv)
{
    cleanup_free void *into = memory_zeroed(1, verb->size);
    struct command command = {.count = 0};
    int status = 2;

    table = (struct option_table){.count = 0};
    verb->options(into, &table);
    if (!command_parse(&command, &table, argc, argv)) {
        if (command.help) {
            verb_help(verb, &table);
            status = 0;
        } else if (!fill(verb, &command)) {
            status = verb->run(into, &command.words);
        }
    }
    free_lists();
    table.count = 0;
    settings_done(&settings);
    command_done(&command);
    return status;
}
