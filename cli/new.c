/* marram new: begins a job of one's own, with all that it takes to build, try and test it. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/locate.h"
#include "cli/project.h"
#include "cli/verbs.h"

struct begin {
    const char *folder, *language;
};

static void add_options(void *into, struct option_table *table)
{
    struct begin *begin = into;
    const struct option_row rows[] = {
        {"dir", 0, OPTION_TEXT, "DIR", "folder to make", &begin->folder, .once = true,
         .unset = "NAME"},
        {"language", 0, OPTION_CHOICE, "c|c++", "of the job", &begin->language,
         .choices = "c|c++"},
    };

    begin->language = "c";
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static int make(const struct begin *begin, const char *name, struct error *err)
{
    cleanup_free char *include = NULL, *program = locate_program();
    struct project project = {
        .name = name,
        .folder = begin->folder ? begin->folder : name,
        .language = strcmp(begin->language, "c") ? TEMPLATE_CXX : TEMPLATE_C,
        .program = program,
    };

    if (project_name_good(name, err))
        return -1;
    project.include = include = locate_include(err);
    if (!include || project_make(&project, err))
        return -1;
    printf("made '%s': 'make test' there builds it and runs its test\n", project.folder);
    return 0;
}

static int run(void *into, const struct option_list *words)
{
    struct error err = {0};

    if (words->count != 1)
        return usage_error("new",
                           words->count ? "'%s' is one word too many"
                                        : "name the job (see 'marram new --help')%s",
                           words->count ? words->items[1] : "");
    if (make(into, words->items[0], &err))
        return usage_error("new", "%s", err.text);
    return 0;
}

const struct verb verb_new = {
    .name = "new",
    .summary = "begin a job of your own",
    .usage = "NAME [options]",
    .about = "Makes a folder with a job that works: its source, Makefile and CMakeLists.txt, "
             "sample input,\n"
             "and a test that compares what it does with awk. NAME is a letter, then letters, "
             "digits, '-', '_'.",
    .notes = "A folder that exists is left alone. 'make test' in the new one builds the job "
             "and runs its test;\n"
             "pkg-config and PATH say where Marram is, else it is where this program was.\n\n"
             "Exit status: 0 done, 2 wrong usage, a name that is none, a folder that exists.",
    .size = sizeof(struct begin),
    .options = add_options,
    .run = run,
};
