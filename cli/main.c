/* marram: one program, many verbs; the daemons also by names of their own. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/verbs.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    {"run", verb_run, "run a job on a private cluster of this machine"},
    {"submit", verb_submit, "give a job to a cluster, and wait for it"},
    {"jobs", verb_jobs, "list the jobs of a cluster"},
    {"job", verb_job, "tell all about one job"},
    {"wait", verb_wait, "wait for a job that was submitted before"},
    {"cancel", verb_cancel, "end a job"},
    {"logs", verb_logs, "print what a job printed last"},
    {"replay", verb_replay, "run one task of a job again, by hand: for debuggers"},
    {"workers", verb_workers, "list the workers of a cluster"},
    {"drain", verb_drain, "let a worker leave without losing its work"},
    {"cluster", verb_cluster, "start, look at and stop a cluster of processes here"},
    {"coordinator", verb_coordinator, "run a coordinator in the foreground"},
    {"worker", verb_worker, "run a worker in the foreground"},
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

/* marram-worker is `marram worker`. */
static int run_as(const char *verb, int argc, char **argv)
{
    for (int i = 0; i < VERBS; i++)
        if (!strcmp(verb, verbs[i].name)) {
            argv[0] = (char *)(uintptr_t)verbs[i].name;
            return verbs[i].run(argc, argv);
        }
    fprintf(stderr, "marram: no verb '%s' (see 'marram --help')\n", verb);
    return 2;
}

int main(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    const char *program = slash ? slash + 1 : argc ? argv[0] : "";
    const char *verb = argc > 1 ? argv[1] : NULL;

    memory_keep();
    if (!strcmp(program, "marram-coordinator") || !strcmp(program, "marram-worker"))
        return run_as(program + strlen("marram-"), argc, argv);
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
    return run_as(verb, argc - 1, argv + 1);
}
