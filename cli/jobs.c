/* marram jobs: what the coordinator knows of, the newest first. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

enum { LISTED = 100 };

static bool list_all;

static int prepare(const struct option_list *words, Mr__Query *question, struct error *err)
{
    question->question = MR__QUESTION__ALL_JOBS;
    question->limit = list_all ? 0 : LISTED;
    return visit_no_words(words, err);
}

static void print_percent(uint32_t done, uint32_t all, int width)
{
    char text[16] = "-";

    if (all)
        snprintf(text, sizeof text, "%d%%", show_percent(done, all));
    printf("  %*s", width, text);
}

static void print_row(const Mr__JobInfo *job)
{
    char id[SHOW_ID], age[SHOW_TIME], name[24], state[12], reason[200];

    printf("%-12s  %-20s  %-9s", show_id(job->job, id),
           show_bytes(job->name, name, sizeof name),
           show_bytes(job->state, state, sizeof state));
    print_percent(job->maps_done, job->maps, 4);
    print_percent(job->reduces_done, job->reduces, 6);
    show_bytes(job->error ? job->error->text : job->reason, reason, sizeof reason);
    printf("  %7s%s%s\n", show_time(job->age, age), *reason ? "  " : "", reason);
}

static int print(const ProtobufCMessage *answer, bool json)
{
    const Mr__Jobs *jobs = (const Mr__Jobs *)answer;

    if (json) {
        show_json(info_jobs(jobs));
        return 0;
    }
    printf("%-12s  %-20s  %-9s  %4s  %6s  %7s  %s\n", "JOB", "NAME", "STATE", "MAP", "REDUCE",
           "AGE", "REASON");
    for (size_t i = 0; i < jobs->n_jobs; i++)
        print_row(jobs->jobs[i]);
    if (jobs->left_out)
        printf("(%u older ones are left out%s)\n", jobs->left_out,
               list_all ? "" : "; --all lists them");
    return 0;
}

int verb_jobs(int argc, char **argv)
{
    static const struct asking what = {
        .usage = "marram jobs [options]",
        .about = "Lists the jobs that the coordinator knows of, with how far each is, how long "
                 "ago it was\n"
                 "submitted, and why it waits or failed: those that have not ended, and the "
                 "last that have,\n"
                 "100 in all; those from before its last start are in its history.",
        .notes = "--json prints {\"jobs\": [...], \"left_out\": N}; each job has job, name, "
                 "object, state,\n"
                 "reason, output, maps, maps_done, reduces, reduces_done, running, "
                 "failed_attempts, age,\n"
                 "seconds and error (null or code and text).",
        .own = {"all", 0, OPTION_FLAG, NULL, "as many as fit into an answer (1 MiB)",
                &list_all},
        .wanted = FRAME_JOBS,
        .prepare = prepare,
        .print = print,
    };

    return asking(&what, argc, argv);
}
