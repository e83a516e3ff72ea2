/* marram config: what each option is, and who said so. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/settings.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "wire/info.h"

struct config {
    bool show_origin, json;
};

/* "MARRAM_THREADS", "/etc/marram/marram.conf:3", "default"; returns buffer. */
static const char *name_origin(const struct option_row *row, const struct option_source *source,
                               char buffer[VERB_SAID])
{
    switch (source->origin) {
    case ORIGIN_ENVIRONMENT:
        return option_environment(row, buffer);
    case ORIGIN_FILE:
        snprintf(buffer, VERB_SAID, "%s:%u", source->file, source->line);
        return buffer;
    default:
        return "default";
    }
}

/* A line that a configuration file may have. */
static void print_row(const struct config *config, const struct option_row *row,
                      const struct option_source *source)
{
    cleanup_free char *value = option_text(row);
    cleanup_free char *line =
        value ? memory_format("%s = %s", row->name, value)
              : memory_format("# %s = (%s)", row->name, row->unset ? row->unset : "none");
    char origin[VERB_SAID];

    if (config->show_origin)
        printf("%-45s ; %s\n", line, name_origin(row, source, origin));
    else
        puts(line);
}

static json_t *row_json(const struct option_row *row, const struct option_source *source)
{
    static const char *const origins[] = {"default", "file", "environment", "command"};
    cleanup_free char *value = option_text(row);
    char variable[OPTION_ENVIRONMENT];
    json_t *root = json_object();

    json_object_set_new(root, "option", json_string(row->name));
    json_object_set_new(root, "value", value ? info_text(value, strlen(value)) : json_null());
    json_object_set_new(root, "environment", json_string(option_environment(row, variable)));
    json_object_set_new(root, "origin", json_string(origins[source->origin]));
    json_object_set_new(root, "file",
                        source->file ? info_text(source->file, strlen(source->file))
                                     : json_null());
    json_object_set_new(root, "line", source->file ? json_integer(source->line) : json_null());
    return root;
}

/* One verb as if it were run without options; 0 or -1. */
static int look(const struct config *config, const struct verb *verb, json_t *all, bool first,
                struct error *err)
{
    cleanup_free void *into = memory_zeroed(1, verb->size);
    struct option_table table = {.count = 0};
    struct option_source sources[OPTIONS_MAX];
    json_t *list = json_array();
    bool any = false;

    verb->options(into, &table);
    if (settings_apply(verb_settings(), verb, &table, sources, err)) {
        json_decref(list);
        return -1;
    }
    for (size_t i = 0; i < table.count; i++) {
        if (!option_settable(&table.rows[i]))
            continue;
        if (!any && !config->json)
            printf("%s[%s]\n", first ? "" : "\n", verb->name);
        any = true;
        if (config->json)
            json_array_append_new(list, row_json(&table.rows[i], &sources[i]));
        else
            print_row(config, &table.rows[i], &sources[i]);
    }
    json_object_set_new(all, verb->name, list);
    return 0;
}

static void add_options(void *into, struct option_table *table)
{
    struct config *config = into;
    const struct option_row rows[] = {
        {"show-origin", 0, OPTION_FLAG, NULL, "say where each value comes from",
         &config->show_origin, .once = true},
        {"json", 0, OPTION_FLAG, NULL, "as one JSON object", &config->json, .once = true},
    };

    options_add(table, rows, sizeof rows / sizeof *rows);
}

/* The exit status. */
static int look_at(const struct config *config, const struct verb *only)
{
    json_t *all = json_object();
    struct error err;

    for (int i = 0; verbs[i]; i++)
        if ((!only || only == verbs[i]) && look(config, verbs[i], all, only || !i, &err)) {
            json_decref(all);
            return usage_error(only ? only->name : verbs[i]->name, "%s", err.text);
        }
    if (config->json)
        show_json(all);
    else
        json_decref(all);
    return 0;
}

static int run(void *into, const struct option_list *words)
{
    const struct verb *only = NULL;
    int used = 0;

    if (words->count) {
        only = verbs_find((int)words->count, (char *const *)words->items, &used);
        if (!only)
            return usage_error("config", "'%s' is no verb (see 'marram --help')",
                               words->items[0]);
    }
    if (words->count > (size_t)used)
        return usage_error("config", "'%s' is one word too many", words->items[used]);
    return look_at(into, only);
}

const struct verb verb_config = {
    .name = "config",
    .summary = "say what each option is, and who set it",
    .usage = "[VERB] [options]",
    .about = "Prints what the options of a verb, or of all, are when the command line says "
             "nothing: a default,\n"
             "or what a configuration file or the environment says. What it prints is a "
             "configuration file.",
    .notes = "The option --log-level is log-level in the section of its verb or in [marram], "
             "which is for every\n"
             "verb that has such an option, and MARRAM_LOG_LEVEL in the environment. The "
             "command line wins over\n"
             "the environment, and that over files: --config FILE (or MARRAM_CONFIG) alone, or "
             "else\n"
             "~/.config/marram/config over /etc/marram/marram.conf. A flag is on or off there. "
             "Options that\n"
             "would surprise as a lasting default, such as --overwrite, are not in it.\n\n"
             "--json prints an object with a list for each verb; each option has option, value "
             "(null: none),\n"
             "environment, origin (default, file, environment), file, line.\n\n"
             "Exit status: 0, or 2 when something is set that makes no sense.",
    .size = sizeof(struct config),
    .options = add_options,
    .run = run,
};
