/* Writes manual pages and completion into a folder, for `make man`. Linked with the verbs, none
 * of which runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/verbs.h"
#include "manual/completion.h"
#include "manual/pages.h"

static const char *folder;

static FILE *begin(const char *name)
{
    cleanup_free char *path = memory_format("%s/%s", folder, name);
    FILE *out = fopen(path, "we");

    if (!out) {
        perror(path);
        exit(1);
    }
    return out;
}

static void end(FILE *out)
{
    if (fclose(out)) {
        perror(folder);
        exit(1);
    }
}

static void write_page(const char *name, void (*print)(FILE *out))
{
    FILE *out = begin(name);

    print(out);
    end(out);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: manual FOLDER\n");
        return 2;
    }
    folder = argv[1];
    for (int i = 0; verbs[i]; i++) {
        cleanup_free char *name = memory_format("man/man1/marram-%s.1", verbs[i]->name);
        char *blank = strchr(name, ' ');
        FILE *out;

        if (blank)
            *blank = '-';
        out = begin(name);
        pages_verb(out, verbs[i]);
        end(out);
    }
    write_page("man/man1/marram.1", pages_overview);
    write_page("man/man5/marram.conf.5", pages_configuration);
    write_page("bash-completion/completions/marram", completion_bash);
    return 0;
}
