/* `marram VERB --help`. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/verb.h"

enum { HELP_COLUMN = 29, HELP_WIDTH = 96 };

/* Words from `text` in lines that begin at HELP_COLUMN, where we are. */
static void print_wrapped(const char *text)
{
    size_t at = HELP_COLUMN;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (at > HELP_COLUMN && at + 1 + n > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        } else if (at > HELP_COLUMN) {
            putchar(' ');
            at++;
        }
        printf("%.*s", (int)n, text);
        at += n;
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option(char letter, const char *name, const char *argument, const char *text)
{
    char left[120], short_form[8] = "    ";
    int n;

    if (letter)
        snprintf(short_form, sizeof short_form, "-%c, ", letter);
    n = snprintf(left, sizeof left, "  %s--%s%s%s", short_form, name, argument ? " " : "",
                 argument ? argument : "");
    if (n < HELP_COLUMN)
        printf("%-*s", HELP_COLUMN, left);
    else
        printf("%s\n%*s", left, HELP_COLUMN, "");
    print_wrapped(text);
}

static void print_row(const struct option_row *row)
{
    cleanup_free char *value = row->kind == OPTION_FLAG ? NULL : option_text(row);
    const char *standard = value && *value ? value : row->unset;
    cleanup_free char *text = standard ? memory_format("%s (default: %s)", row->help, standard)
                                       : memory_text(row->help);

    print_option(row->letter, row->name, row->argument, text);
}

void verb_help(const struct verb *verb, const struct option_table *table)
{
    printf("Usage: marram %s%s%s\n\n%s\n\nOptions:\n", verb->name, *verb->usage ? " " : "",
           verb->usage, verb->about);
    for (size_t i = 0; i < table->count; i++)
        print_row(&table->rows[i]);
    print_option(0, "config", "FILE", "read this configuration file and no other");
    print_option('h', "help", NULL, "show this");
    if (verb->notes)
        printf("\n%s\n", verb->notes);
}
