#include "cli/command.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { LONG_BASE = 1000, CONFIG_CODE = 2 };

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
    longs[table->count] = (struct option){"config", 1, NULL, CONFIG_CODE};
    longs[table->count + 1] = (struct option){"help", 0, NULL, 'h'};
    longs[table->count + 2] = (struct option){0};
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
    if (!strncmp(word, "--insecure", strlen("--insecure")))
        usage_error(verb,
                    "--insecure is no more: 'marram keys DIR' makes keys, then add --keys DIR");
    else if (code == ':')
        usage_error(verb, "%s: an argument is missing (see 'marram %s --help')", word, verb);
    else if (!strncmp(word, "--", 2) && optopt)
        usage_error(verb, "%.*s takes no argument (see 'marram %s --help')",
                    (int)strcspn(word, "="), word, verb);
    else
        usage_error(verb, "unknown option %s (see 'marram %s --help')", word, verb);
    return -1;
}

static void add_argument(struct command *command, const struct option_row *row)
{
    memory_reserve(&command->arguments, &command->capacity, command->count + 1,
                   sizeof *command->arguments);
    command->arguments[command->count++] =
        (struct argument){row, row->kind == OPTION_FLAG ? "on" : optarg};
}

int command_parse(struct command *command, const struct option_table *table, int argc,
                  char **argv)
{
    struct option longs[OPTIONS_MAX + 3];
    char letters[2 * OPTIONS_MAX + 4];
    const struct option_row *row, *greedy = NULL;
    int code, at = 1; /* the word being read */

    make_tables(table, longs, letters);
    optind = 0;
    for (; (code = getopt_long(argc, argv, letters, longs, NULL)) != -1; at = optind) {
        if (code == 'h') {
            command->help = true;
            return 0;
        }
        if (code == CONFIG_CODE) {
            command->config = optarg;
            greedy = NULL;
            continue;
        }
        if (code == 1) {
            if (greedy)
                add_argument(command, greedy);
            else
                option_list_add(&command->words, optarg);
            continue;
        }
        row = code == '?' || code == ':' ? NULL : find_row(table, code);
        if (!row)
            return wrong_option(argv[0], argv[at], code);
        add_argument(command, row);
        greedy = row->greedy ? row : NULL;
    }
    for (int i = optind; i < argc; i++)
        option_list_add(&command->words, argv[i]);
    return 0;
}

int command_apply(const struct command *command, const char *verb,
                  const struct option_table *table, struct option_source *sources)
{
    char wanted[OPTION_WANTED];

    for (size_t i = 0; i < command->count; i++) {
        const struct option_row *row = command->arguments[i].row;
        const char *text = command->arguments[i].text;

        if (!option_store(row, text)) {
            usage_error(verb, "--%s '%s': %s", row->name, text, option_wanted(row, wanted));
            return -1;
        }
        sources[row - table->rows] = (struct option_source){ORIGIN_COMMAND, text, NULL, 0};
    }
    return 0;
}

void command_done(struct command *command)
{
    option_list_done(&command->words);
    free(command->arguments);
    *command = (struct command){.count = 0};
}
