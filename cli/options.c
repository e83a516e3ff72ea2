#include "cli/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/size.h"

enum { ROWS_MAX = 40, LONG_BASE = 1000, HELP_COLUMN = 28 };

void option_list_add(struct option_list *list, const char *item)
{
    memory_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items);
    list->items[list->count++] = item;
}

void option_list_done(struct option_list *list)
{
    free(list->items);
    *list = (struct option_list){0};
}

int usage_error(const char *verb, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "marram %s: ", verb);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return 2;
}

static void print_row(const struct option_row *row)
{
    char left[64];
    int n = 0;

    n += snprintf(left + n, sizeof left - (size_t)n, "  ");
    if (row->letter)
        n += snprintf(left + n, sizeof left - (size_t)n, "-%c, ", row->letter);
    else
        n += snprintf(left + n, sizeof left - (size_t)n, "    ");
    n += snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", row->name,
                  row->argument ? " " : "", row->argument ? row->argument : "");
    printf("%-*s %s\n", HELP_COLUMN, left, row->help);
}

static void print_help(const struct option_table *table)
{
    printf("Usage: %s\n\n%s\n\nOptions:\n", table->usage, table->about);
    for (size_t i = 0; i < table->count; i++)
        print_row(&table->rows[i]);
    printf("%-*s %s\n", HELP_COLUMN, "  -h, --help", "show this");
    if (table->notes)
        printf("\n%s\n", table->notes);
}

/* Stores one option's argument; false when it is not of its kind. */
static bool store(const struct option_row *row, const char *text)
{
    uint64_t *number = row->value;

    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)row->value = true;
        return true;
    case OPTION_TEXT:
        *(const char **)row->value = text;
        return true;
    case OPTION_LIST:
        option_list_add(row->value, text);
        return true;
    case OPTION_SIZE:
        return !size_parse(text, number) && *number >= row->min &&
               (!row->max || *number <= row->max);
    case OPTION_COUNT:
        return !size_parse_count(text, row->min, row->max, number);
    case OPTION_SWITCH:
        *(bool *)row->value = !strcmp(text, "on");
        return !strcmp(text, "on") || !strcmp(text, "off");
    }
    return false;
}

static int wrong_argument(const char *verb, const struct option_row *row, const char *text)
{
    char least[32], most[32];

    if (row->kind == OPTION_COUNT)
        usage_error(verb, "--%s '%s': a number from %llu to %llu is wanted", row->name, text,
                    (unsigned long long)row->min, (unsigned long long)row->max);
    else if (row->kind == OPTION_SIZE && row->max)
        usage_error(verb, "--%s '%s': a size from %s to %s is wanted, such as 64M", row->name,
                    text, size_format(row->min, least, sizeof least),
                    size_format(row->max, most, sizeof most));
    else if (row->kind == OPTION_SIZE)
        usage_error(verb, "--%s '%s': a size of at least %s is wanted, such as 512M", row->name,
                    text, size_format(row->min, least, sizeof least));
    else
        usage_error(verb, "--%s '%s': on or off is wanted", row->name, text);
    return -1;
}

/* getopt's two tables from ours. The leading '-' makes words come in order, as option 1; ':'
 * silences it. */
static void make_tables(const struct option_table *table, struct option *longs, char *letters)
{
    size_t n = 0;

    letters[n++] = '-';
    letters[n++] = ':';
    letters[n++] = 'h';
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        int argument = row->kind != OPTION_FLAG;

        longs[i] = (struct option){row->name, argument, NULL, LONG_BASE + (int)i};
        if (row->letter) {
            letters[n++] = row->letter;
            if (argument)
                letters[n++] = ':';
        }
    }
    letters[n] = '\0';
    longs[table->count] = (struct option){"help", 0, NULL, 'h'};
    longs[table->count + 1] = (struct option){0};
}

static const struct option_row *find_row(const struct option_table *table, int code)
{
    if (code >= LONG_BASE)
        return &table->rows[code - LONG_BASE];
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].letter && table->rows[i].letter == code)
            return &table->rows[i];
    return NULL;
}

/* `word` is where getopt stopped: it may hold several letters, of which optopt is meant. */
static int wrong_option(const char *verb, const char *word, int code)
{
    char letter[3] = {'-', (char)optopt, '\0'};

    if (strncmp(word, "--", 2) && isprint((unsigned char)optopt))
        word = letter;
    if (code == ':')
        usage_error(verb, "%s: an argument is missing (see 'marram %s --help')", word, verb);
    else if (!strncmp(word, "--", 2) && optopt)
        usage_error(verb, "%.*s takes no argument (see 'marram %s --help')",
                    (int)strcspn(word, "="), word, verb);
    else
        usage_error(verb, "unknown option %s (see 'marram %s --help')", word, verb);
    return -1;
}

int options_parse(const struct option_table *table, int argc, char **argv,
                  struct option_list *words)
{
    struct option longs[ROWS_MAX + 2];
    char letters[2 * ROWS_MAX + 4];
    const struct option_row *row, *greedy = NULL;
    int code, at = 1; /* the word being read */

    check(table->count <= ROWS_MAX);
    make_tables(table, longs, letters);
    optind = 0;
    for (; (code = getopt_long(argc, argv, letters, longs, NULL)) != -1; at = optind) {
        if (code == 'h') {
            print_help(table);
            return 1;
        }
        if (code == 1) {
            option_list_add(greedy ? greedy->value : words, optarg);
            continue;
        }
        row = code == '?' || code == ':' ? NULL : find_row(table, code);
        if (!row)
            return wrong_option(argv[0], argv[at], code);
        if (!store(row, optarg))
            return wrong_argument(argv[0], row, optarg);
        greedy = row->greedy ? row : NULL;
    }
    for (int i = optind; i < argc; i++)
        option_list_add(words, argv[i]);
    return 0;
}
