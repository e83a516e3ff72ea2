#include "cli/settings.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

enum { LINE_MAX_BYTES = 4096 };
#define WANTED "'KEY = VALUE' or [SECTION] is wanted"

/* While a file is read. */
struct reading {
    struct settings *settings;
    const struct verb *const *verbs;
    FILE *file;
    const char *path;
    unsigned line;
    struct error *err; /* the first one */
    bool bad;
};

/* Says what is wrong with the line that was read last; 0. */
static int refuse(struct reading *reading, const char *what)
{
    if (!reading->bad)
        error_set(reading->err, ERROR_USAGE, "%s line %u: %s", reading->path, reading->line,
                  what);
    reading->bad = true;
    return 0;
}

static bool is_section(const struct verb *const *verbs, const char *name, size_t n)
{
    for (; *verbs; verbs++)
        if (strlen((*verbs)->name) == n && !memcmp(name, (*verbs)->name, n))
            return true;
    return n == 6 && !memcmp(name, "marram", n);
}

static int check_section(struct reading *reading, const char *line)
{
    const char *end = strchr(line, ']');
    char what[200];

    if (!end)
        return refuse(reading, WANTED);
    if (is_section(reading->verbs, line + 1, (size_t)(end - line - 1)))
        return 1;
    snprintf(what, sizeof what, "%.*s is none of the sections: [marram], or the name of a verb",
             end - line < 60 ? (int)(end - line + 1) : 60, line);
    return refuse(reading, what);
}

/* The parser takes its lines from here, so that we know their numbers. A blank in front would
 * make a line the continuation of the one before, for which nothing here has a use. */
static char *next_line(char *line, int size, void *stream)
{
    struct reading *reading = stream;
    size_t n, blanks;

    if (reading->bad || !fgets(line, size, reading->file))
        return NULL;
    reading->line++;
    n = strlen(line);
    if (n && line[n - 1] != '\n' && !feof(reading->file)) {
        refuse(reading, "the line is too long");
        return NULL;
    }
    blanks = strspn(line, " \t");
    memmove(line, line + blanks, n - blanks + 1);
    return *line != '[' || check_section(reading, line) ? line : NULL;
}

static void make_table(const struct verb *verb, void **ret_into, struct option_table *table)
{
    *ret_into = memory_zeroed(1, verb->size);
    *table = (struct option_table){.count = 0};
    verb->options(*ret_into, table);
}

/* NULL: the key may stand there; otherwise what is wrong with it. */
static const char *judge(const struct verb *const *verbs, const char *section, const char *key)
{
    bool everywhere = !strcmp(section, "marram"), found = false;

    for (; *verbs; verbs++) {
        cleanup_free void *into = NULL;
        struct option_table table;
        const struct option_row *row;

        if (!everywhere && strcmp(section, (*verbs)->name))
            continue;
        make_table(*verbs, &into, &table);
        row = options_find(&table, key);
        if (row && option_settable(row))
            return NULL;
        found = found || row;
    }
    return found ? "is for the command line alone" : "there is no such option";
}

static int take(void *user, const char *section, const char *key, const char *value)
{
    struct reading *reading = user;
    struct settings *settings = reading->settings;
    const char *wrong;
    char what[300];

    if (!*section)
        return refuse(reading, "a section such as [marram] or [worker] must come first");
    wrong = judge(reading->verbs, section, key);
    if (wrong) {
        snprintf(what, sizeof what, "%s in [%s]: %s ('marram config' lists all)", key, section,
                 wrong);
        return refuse(reading, what);
    }
    memory_reserve(&settings->items, &settings->capacity, settings->count + 1,
                   sizeof *settings->items);
    settings->items[settings->count++] =
        (struct setting){memory_text(section), memory_text(key), memory_text(value),
                         reading->path,        reading->line,    settings->file_count};
    return 1;
}

int settings_read(struct settings *settings, const char *file, bool needed,
                  const struct verb *const *verbs, struct error *err)
{
    struct reading reading = {.settings = settings, .verbs = verbs, .err = err};
    struct stat st;
    int line;

    reading.file = fopen(file, "re");
    if (!reading.file) {
        if (!needed && (errno == ENOENT || errno == ENOTDIR))
            return 0;
        return error_errno(err, ERROR_USAGE, "read the configuration file '%s'", file);
    }
    if (!fstat(fileno(reading.file), &st) && S_ISDIR(st.st_mode)) {
        fclose(reading.file);
        return error_set(err, ERROR_USAGE, "the configuration file '%s' is a folder", file);
    }
    settings->files[settings->file_count] = memory_text(file);
    reading.path = settings->files[settings->file_count];
    ini_use_stack = false;
    ini_max_line = ini_initial_alloc = LINE_MAX_BYTES;
    line = ini_parse_stream(next_line, &reading, take, &reading);
    if (line && !reading.bad) {
        reading.line = (unsigned)line;
        refuse(&reading, WANTED);
    }
    fclose(reading.file);
    settings->file_count++;
    return reading.bad ? -1 : 0;
}

char *settings_own_file(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (config && *config == '/')
        return memory_format("%s/marram/config", config);
    return home && *home == '/' ? memory_format("%s/.config/marram/config", home) : NULL;
}

int settings_load(struct settings *settings, const char *file, const struct verb *const *verbs,
                  struct error *err)
{
    cleanup_free char *own = NULL;

    if (file)
        return settings_read(settings, file, true, verbs, err);
    own = settings_own_file();
    if (settings_read(settings, SETTINGS_SYSTEM_FILE, false, verbs, err))
        return -1;
    return own ? settings_read(settings, own, false, verbs, err) : 0;
}

void settings_done(struct settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->items[i].section);
        free(settings->items[i].key);
        free(settings->items[i].value);
    }
    for (size_t i = 0; i < settings->file_count; i++)
        free(settings->files[i]);
    free(settings->items);
    *settings = (struct settings){.count = 0};
}

/* Of what is set for an option the file that counts more wins, then the verb's own section,
 * then the later line. */
static const struct setting *find(const struct settings *settings, const struct verb *verb,
                                  const struct option_row *row)
{
    const struct setting *best = NULL;
    size_t best_rank = 0;

    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *item = &settings->items[i];
        bool own = !strcmp(item->section, verb->name);
        size_t rank = 2 * item->rank + own;

        if (strcmp(item->key, row->name) || (!own && strcmp(item->section, "marram")) ||
            (best && rank < best_rank))
            continue;
        best = item;
        best_rank = rank;
    }
    return best;
}

/* Where row's value comes from, the command line aside. */
static void look(const struct settings *settings, const struct verb *verb,
                 const struct option_row *row, struct option_source *source)
{
    char variable[OPTION_ENVIRONMENT];
    const char *text = getenv(option_environment(row, variable));
    const struct setting *setting;

    if (text && *text) {
        *source = (struct option_source){ORIGIN_ENVIRONMENT, text, NULL, 0};
        return;
    }
    setting = find(settings, verb, row);
    if (setting)
        *source =
            (struct option_source){ORIGIN_FILE, setting->value, setting->file, setting->line};
}

int settings_apply(const struct settings *settings, const struct verb *verb,
                   const struct option_table *table, struct option_source *sources,
                   struct error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        char said[VERB_SAID], wanted[OPTION_WANTED];

        sources[i] = (struct option_source){.origin = ORIGIN_DEFAULT};
        if (!option_settable(row))
            continue;
        look(settings, verb, row, &sources[i]);
        if (sources[i].origin != ORIGIN_DEFAULT && !option_store(row, sources[i].text))
            return error_set(err, ERROR_USAGE, "%s: %s", option_said(row, &sources[i], said),
                             option_wanted(row, wanted));
    }
    return 0;
}
