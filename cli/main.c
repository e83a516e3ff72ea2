/* marram: one program, many verbs. */
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    {"run", verb_run, "run a job on a private cluster of this machine"},
    {"describe", verb_describe,
     "say what a job object does: its parameters, counters, formats"},
    {"version", verb_version, "print versions"},
};

enum { VERBS = sizeof verbs / sizeof *verbs };

static void print_help(FILE *out)
{
    fprintf(out, "Marram runs MapReduce jobs that are compiled shared objects.\n\n"
                 "Usage: marram VERB [arguments]\n\n");
    for (int i = 0; i < VERBS; i++)
        fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].help);
    fprintf(out, "\n'marram VERB --help' tells the arguments of a verb.\n"
                 "Try: marram run wordcount -i /usr/share/common-licenses -o /tmp/words\n");
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : NULL;

    if (!verb) {
        print_help(stderr);
        return 2;
    }
    if (!strcmp(verb, "--help") || !strcmp(verb, "-h") || !strcmp(verb, "help")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(verb, "--version"))
        verb = "version";
    for (int i = 0; i < VERBS; i++)
        if (!strcmp(verb, verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
    fprintf(stderr, "marram: no verb '%s' (see 'marram --help')\n", verb);
    return 2;
}
