/* marram job: all about one job. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

enum { LINE = 1200 };

static int prepare(const void *into, const struct option_list *words, Mr__Query *question,
                   struct error *err)
{
    (void)into;
    question->question = MR__QUESTION__ONE_JOB;
    return visit_job(words, &question->job, err);
}

static void print_line(const char *name, ProtobufCBinaryData bytes)
{
    char text[LINE];

    if (bytes.len)
        printf("  %-10s %s\n", name, show_bytes(bytes, text, sizeof text));
}

static void print_head(const Mr__JobInfo *job)
{
    char id[SHOW_ID], text[LINE];

    printf("job %s", show_id(job->job, id));
    printf(" %s\n", show_bytes(job->name, text, sizeof text));
    print_line("object", job->object);
    print_line("state", job->state);
    print_line("reason", job->reason);
    if (job->error)
        print_line("error", job->error->text);
    if (job->replay.len)
        printf("  %-10s marram replay %s %s\n", "replay", id,
               show_bytes(job->replay, text, sizeof text));
    print_line("output", job->output);
    print_line("unread", job->unread);
    if (job->maps)
        printf("  %-10s %u of %u done\n", "maps", job->maps_done, job->maps);
    if (job->reduces)
        printf("  %-10s %u of %u done\n", "reduces", job->reduces_done, job->reduces);
    printf("  %-10s %u running, %" PRIu64 " failed\n", "attempts", job->running,
           job->failed_attempts);
    printf("  %-10s %s\n", "age", show_time(job->age, text));
    printf("  %-10s %.3f s\n", "took", job->seconds);
}

static void print_text(const Mr__JobInfo *job)
{
    char name[LINE];

    print_head(job);
    for (size_t i = 0; i < job->n_tasks; i++) {
        const Mr__TaskInfo *task = job->tasks[i];
        char kind[SHOW_NAME];

        printf("%s  %-12s attempt %u on %s, %" PRIu64 " records or values done\n",
               i ? "" : "\nrunning:\n", show_task(task->kind, task->task, kind), task->attempt,
               show_bytes(task->worker, name, sizeof name), task->ticks);
    }
    for (size_t i = 0; i < job->n_counters; i++)
        printf("%s  %-28s %" PRId64 "\n", i ? "" : "\ncounters:\n",
               show_bytes(job->counters[i]->name, name, sizeof name), job->counters[i]->value);
    show_skipped(stdout, job->skipped, job->n_skipped, job->skipped_count);
}

static int print(const void *into, const ProtobufCMessage *answer)
{
    const struct asking *asked = into;
    const Mr__Jobs *jobs = (const Mr__Jobs *)answer;

    if (!jobs->n_jobs) {
        fprintf(stderr, "marram job: the coordinator knows no such job\n");
        return 1;
    }
    if (asked->json)
        show_json(info_job(jobs->jobs[0], true));
    else
        print_text(jobs->jobs[0]);
    return 0;
}

static void add_options(void *into, struct option_table *table)
{
    asking_options(into, table);
}

static int run(void *into, const struct option_list *words)
{
    static const struct question question = {"job", FRAME_JOBS, prepare, print};

    return asking(&question, into, words);
}

const struct verb verb_job = {
    .name = "job",
    .summary = "tell all about one job",
    .usage = "ID [options]",
    .about = "Tells all about one job: state, progress, what runs now, its first error, its "
             "counters.",
    .notes =
        "--json prints one object: what 'marram jobs --json' has for each job, and "
        "counters (once\n"
        "it ended) and tasks, those that run now, each with kind, task, attempt, worker, "
        "ticks; skipped\n"
        "(records and keys that were left out, at most 1000 of them), skipped_count, replay "
        "(the task that\n"
        "it failed in, for 'marram replay', or null).\n\n"
        "Exit status: 0, whatever the job's state; 1 there is no such job.",
    .size = sizeof(struct asking),
    .options = add_options,
    .run = run,
};
