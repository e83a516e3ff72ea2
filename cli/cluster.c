/* marram cluster: a coordinator and workers as processes of this machine, in the background. */
#include "cli/cluster.h"

#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"

static void print_help(void)
{
    printf("Usage: marram cluster up|scale|status|down [options]\n\n"
           "A cluster of processes on this machine, in the background, for as long as you "
           "like.\n\n");
    for (int i = 0; verbs[i]; i++)
        if (!strncmp(verbs[i]->name, "cluster ", 8))
            printf("  %-12s %s\n", verbs[i]->name + 8, verbs[i]->summary);
    printf("\n'marram cluster up --help' tells the options, and so on.\n");
}

int cluster_fail(const char *verb, struct error *err)
{
    verb_blame(err);
    fprintf(stderr, "marram %s: %s\n", verb, err->text);
    return error_exit_status(err->code);
}

struct option_row cluster_row(const char **ret_dir)
{
    return (struct option_row){"dir",
                               0,
                               OPTION_TEXT,
                               "DIR",
                               "the folder that was given to 'up'",
                               ret_dir,
                               .unset = CLUSTER_DIR};
}

int cluster_no_verb(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : NULL;

    if (!verb)
        return usage_error("cluster", "up, scale, status or down is wanted");
    if (!strcmp(verb, "--help") || !strcmp(verb, "-h")) {
        print_help();
        return 0;
    }
    return usage_error("cluster", "'%s': up, scale, status or down is wanted", verb);
}
