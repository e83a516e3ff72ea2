/* A configuration file that somebody wrote: it is refused with its name and the line, or taken.
 * What was taken and is written down again is the same; and each verb takes its options from
 * it, or says which line is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "cli/settings.h"
#include "cli/verbs.h"

struct file {
    int fd;
    char path[40];
};

static struct file file_of(const void *bytes, size_t size)
{
    struct file file = {memfd_create("settings", MFD_CLOEXEC)};

    check(file.fd >= 0 && write(file.fd, bytes, size) == (ssize_t)size);
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

/* It names the file and a line of it. */
static void check_words(const struct error *err, const char *path)
{
    check(err->code == ERROR_USAGE);
    check(strstr(err->text, path) && strstr(err->text, " line "));
}

static void apply(const struct settings *settings, const char *path)
{
    for (const struct verb *const *verb = verbs; *verb; verb++) {
        cleanup_free void *into = memory_zeroed(1, (*verb)->size + 1);
        struct option_source sources[OPTIONS_MAX];
        struct option_table table = {.count = 0};
        struct error err = {0};

        (*verb)->options(into, &table);
        if (settings_apply(settings, *verb, &table, sources, &err))
            check_words(&err, path);
    }
}

static void write_again(const struct settings *settings, FILE *out)
{
    for (size_t i = 0; i < settings->count; i++)
        fprintf(out, "[%s]\n%s = %s\n", settings->items[i].section, settings->items[i].key,
                settings->items[i].value);
}

/* A value in quotes, or with what begins a comment, reads as something else the second time. */
static bool is_plain(const struct settings *settings)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strpbrk(settings->items[i].value, ";#"))
            return false;
    return true;
}

static void check_again(const struct settings *settings)
{
    struct settings again = {0};
    struct error err = {0};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct file file;

    write_again(settings, out);
    check(!fclose(out));
    file = file_of(text, size);
    check(!settings_read(&again, file.path, true, verbs, &err));
    check(again.count == settings->count);
    for (size_t i = 0; i < again.count; i++) {
        check(!strcmp(again.items[i].section, settings->items[i].section));
        check(!strcmp(again.items[i].key, settings->items[i].key));
        check(!strcmp(again.items[i].value, settings->items[i].value));
        check(again.items[i].line == 2 * i + 2);
    }
    settings_done(&again);
    close(file.fd);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings settings = {0};
    struct file file = file_of(data, size);
    struct error err = {0};

    if (settings_read(&settings, file.path, true, verbs, &err)) {
        check_words(&err, file.path);
    } else {
        apply(&settings, file.path);
        if (is_plain(&settings))
            check_again(&settings);
    }
    settings_done(&settings);
    close(file.fd);
    return 0;
}
