/* marram cluster: a coordinator and workers as processes of this machine, in the background. */
#include "cli/cluster.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/verbs.h"

static const struct {
    const char *name, *full;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    {"up", "cluster up", cluster_up, "start a coordinator and workers"},
    {"scale", "cluster scale", cluster_scale, "start more workers, or let some leave"},
    {"status", "cluster status", cluster_status, "say what runs"},
    {"down", "cluster down", cluster_down, "end them"},
};

enum { VERBS = sizeof verbs / sizeof *verbs };

static void print_help(void)
{
    printf("Usage: marram cluster up|scale|status|down [options]\n\n"
           "A cluster of processes on this machine, in the background, for as long as you "
           "like.\n\n");
    for (int i = 0; i < VERBS; i++)
        printf("  %-12s %s\n", verbs[i].name, verbs[i].help);
    printf("\n'marram cluster up --help' tells the options, and so on.\n");
}

int cluster_fail(const char *verb, const struct error *err)
{
    fprintf(stderr, "marram %s: %s\n", verb, err->text);
    return error_exit_status(err->code);
}

int verb_cluster(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : NULL;

    if (!verb)
        return usage_error("cluster", "up, scale, status or down is wanted");
    if (!strcmp(verb, "--help") || !strcmp(verb, "-h")) {
        print_help();
        return 0;
    }
    for (int i = 0; i < VERBS; i++)
        if (!strcmp(verb, verbs[i].name)) {
            argv[1] = (char *)(uintptr_t)verbs[i].full;
            return verbs[i].run(argc - 1, argv + 1);
        }
    return usage_error("cluster", "'%s': up, scale, status or down is wanted", verb);
}
