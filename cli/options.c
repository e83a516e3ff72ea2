#include "cli/options.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/size.h"

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

void options_add(struct option_table *table, const struct option_row *rows, size_t n)
{
    check(table->count + n <= OPTIONS_MAX);
    memcpy(table->rows + table->count, rows, n * sizeof *rows);
    table->count += n;
}

const struct option_row *options_find(const struct option_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (!strcmp(table->rows[i].name, name))
            return &table->rows[i];
    return NULL;
}

bool option_choice(const char **at, const char **ret, size_t *ret_n)
{
    if (!*at || !**at)
        return false;
    *ret = *at;
    *ret_n = strcspn(*at, "|");
    *at += *ret_n + ((*at)[*ret_n] == '|');
    return true;
}

static bool is_choice(const char *choices, const char *text)
{
    const char *choice;
    size_t n;

    while (option_choice(&choices, &choice, &n))
        if (strlen(text) == n && !memcmp(text, choice, n))
            return true;
    return false;
}

static bool store_switch(bool *value, const char *text)
{
    if (!is_choice("on|off", text))
        return false;
    *value = !strcmp(text, "on");
    return true;
}

bool option_store(const struct option_row *row, const char *text)
{
    uint64_t number;

    switch (row->kind) {
    case OPTION_TEXT:
        *(const char **)row->value = text;
        return true;
    case OPTION_LIST:
        option_list_add(row->value, text);
        return true;
    case OPTION_SIZE:
        if (size_parse(text, &number) || number < row->min || (row->max && number > row->max))
            return false;
        *(uint64_t *)row->value = number;
        return true;
    case OPTION_COUNT:
        return !size_parse_count(text, row->min, row->max, row->value);
    case OPTION_FLAG:
    case OPTION_SWITCH:
        return store_switch(row->value, text);
    case OPTION_CHOICE:
        if (!is_choice(row->choices, text))
            return false;
        *(const char **)row->value = text;
        return true;
    }
    return false;
}

/* "error, warning, info or detail" */
static void list_choices(const char *choices, char *buffer, size_t size)
{
    const char *choice;
    size_t length, n = 0;

    *buffer = '\0';
    while (n < size && option_choice(&choices, &choice, &length))
        n += (size_t)snprintf(buffer + n, size - n, "%s%.*s",
                              !n         ? ""
                              : *choices ? ", "
                                         : " or ",
                              (int)length, choice);
}

const char *option_wanted(const struct option_row *row, char buffer[OPTION_WANTED])
{
    char least[32], most[32], choices[OPTION_WANTED - 16];

    switch (row->kind) {
    case OPTION_COUNT:
        snprintf(buffer, OPTION_WANTED, "a number from %" PRIu64 " to %" PRIu64 " is wanted",
                 row->min, row->max);
        break;
    case OPTION_SIZE:
        size_format(row->min, least, sizeof least);
        size_format(row->max, most, sizeof most);
        if (row->max)
            snprintf(buffer, OPTION_WANTED, "a size from %s to %s is wanted, such as 64M",
                     least, most);
        else
            snprintf(buffer, OPTION_WANTED, "a size of at least %s is wanted, such as 512M",
                     least);
        break;
    default:
        list_choices(row->kind == OPTION_CHOICE ? row->choices : "on|off", choices,
                     sizeof choices);
        snprintf(buffer, OPTION_WANTED, "%s is wanted", choices);
    }
    return buffer;
}

/* As short as it goes without losing a byte. */
static char *size_text(uint64_t bytes)
{
    static const char units[] = {'K', 'M', 'G'};
    int unit = -1;

    while (unit < 2 && bytes && !(bytes & 1023)) {
        bytes >>= 10;
        unit++;
    }
    return unit < 0 ? memory_format("%" PRIu64, bytes)
                    : memory_format("%" PRIu64 "%c", bytes, units[unit]);
}

char *option_text(const struct option_row *row)
{
    const char *text;
    uint64_t number;

    switch (row->kind) {
    case OPTION_TEXT:
    case OPTION_CHOICE:
        text = *(const char **)row->value;
        return text ? memory_text(text) : NULL;
    case OPTION_SIZE:
    case OPTION_COUNT:
        number = *(const uint64_t *)row->value;
        if (!number && (row->min || row->unset))
            return NULL;
        return row->kind == OPTION_SIZE ? size_text(number) : memory_format("%" PRIu64, number);
    case OPTION_FLAG:
    case OPTION_SWITCH:
        return memory_text(*(const bool *)row->value ? "on" : "off");
    case OPTION_LIST:
        break;
    }
    return NULL;
}

bool option_settable(const struct option_row *row)
{
    return !row->once && row->kind != OPTION_LIST;
}

const char *option_environment(const struct option_row *row, char buffer[OPTION_ENVIRONMENT])
{
    int n = snprintf(buffer, OPTION_ENVIRONMENT, "MARRAM_");

    for (const char *c = row->name; *c && n < OPTION_ENVIRONMENT - 1; c++)
        buffer[n++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    buffer[n] = '\0';
    return buffer;
}
