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

struct jobs {
    struct asking asking;
    bool all;
};

static int prepare(const void *into, const struct option_list *words, Mr__Query *question,
                   struct error *err)
{
    const struct jobs *jobs = into;

    question->question = MR__QUESTION__ALL_JOBS;
    question->limit = jobs->all ? 0 : LISTED;
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

static int print(const void *into, const ProtobufCMessage *answer)
{
    const struct jobs *options = into;
    const Mr__Jobs *jobs = (const Mr__Jobs *)answer;

    if (options->asking.json) {
        show_json(info_jobs(jobs));
        return 0;
    }
    printf("%-12s  %-20s  %-9s  %4s  %6s  %7s  %s\n", "JOB", "NAME", "STATE", "MAP", "REDUCE",
           "AGE", "REASON");
    for (size_t i = 0; i < jobs->n_jobs; i++)
        print_row(jobs->jobs[i]);
    if (jobs->left_out)
        printf("(%u older ones are left out%s)\n", jobs->left_out,
               options->all ? "" : "; --all lists them");
    return 0;
}

static void add_options(void *into, struct option_table *table)
{
    struct jobs *jobs = into;
    const struct option_row row = {
        "all", 0, OPTION_FLAG, NULL, "as many as fit into an answer (1 MiB)", &jobs->all};

    asking_options(&jobs->asking, table);
    options_add(table, &row, 1);
}

static int run(void *into, const struct option_list *words)
{
    static const struct question question = {"jobs", FRAME_JOBS, prepare, print};

    return asking(&question, into, words);
}

const struct verb verb_jobs = {
    .name = "jobs",
    .summary = "list the jobs of a cluster",
    .usage = "[options]",
    .about = "Lists the jobs that the coordinator knows of, with how far each is, how long ago "
             "it was\n"
             "submitted, and why it waits or failed: those that have not ended, and the last "
             "that have,\n"
             "100 in all; those from before its last start are in its history.",
    .notes = "--json prints {\"jobs\": [...], \"left_out\": N}; each job has job, name, "
             "object, state,\n"
             "reason, output, maps, maps_done, reduces, reduces_done, running, "
             "failed_attempts, age,\n"
             "seconds and error (null or code and text).",
    .size = sizeof(struct jobs),
    .options = add_options,
    .run = run,
};
