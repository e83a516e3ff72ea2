/* marram: one program, many verbs; the daemons also by names of their own. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/verbs.h"

static void print_help(FILE *out)
{
    fprintf(out, "Marram runs MapReduce jobs that are compiled shared objects.\n\n"
                 "Usage: marram VERB [arguments]\n\n");
    for (int i = 0; verbs[i]; i++)
        fprintf(out, "  %-15s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(out, "\n'marram VERB --help' tells the arguments of a verb.\n"
                 "Try: marram run wordcount -i /usr/share/common-licenses -o /tmp/words\n");
}

/* The verb's name takes the place of the last of its own words. */
static int run(int argc, char **argv)
{
    const struct verb *verb;
    int used;

    verb = verbs_find(argc, argv, &used);
    if (!verb && !strcmp(argv[0], "cluster"))
        return cluster_no_verb(argc, argv);
    if (!verb) {
        fprintf(stderr, "marram: no verb '%s' (see 'marram --help')\n", argv[0]);
        return 2;
    }
    argv[used - 1] = (char *)(uintptr_t)verb->name;
    return verb_run(verb, argc - used + 1, argv + used - 1);
}

int main(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    const char *program = slash ? slash + 1 : argc ? argv[0] : "";
    const char *word = argc > 1 ? argv[1] : NULL;

    memory_keep();
    if (!strcmp(program, "marram-coordinator") || !strcmp(program, "marram-worker")) {
        argv[0] = (char *)(uintptr_t)(program + strlen("marram-"));
        return run(argc, argv);
    }
    if (!word) {
        print_help(stderr);
        return 2;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(word, "--version"))
        argv[1] = (char *)(uintptr_t) "version";
    return run(argc - 1, argv + 1);
}
