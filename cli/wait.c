/* marram wait: attaches to a job that was submitted before. */
#include "base/memory.h"
#include "cli/following.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/visit.h"

/* The exit status. */
static int await(struct report *report, const struct place *place, uint64_t job,
                 uint64_t patience_s)
{
    struct following what = {"wait", NULL, report, -1, job};
    Mr__Query query = MR__QUERY__INIT;
    struct visit visit = {0};
    struct error err;
    int status;

    what.signals = signals_open(&err);
    if (what.signals < 0 || visit_open(&visit, place, &err)) {
        memory_cleanup_close(&what.signals);
        return report_error(report, "wait", &err);
    }
    what.client = visit.client;
    client_keep(visit.client, (int64_t)patience_s * 1000);
    query.question = MR__QUESTION__WAIT_JOB;
    query.job = job;
    client_send(visit.client, FRAME_QUERY, &query.base);
    status = following(&what);
    visit_close(&visit);
    memory_cleanup_close(&what.signals);
    return status;
}

struct wait {
    struct place place;
    uint64_t patience_s;
    bool json;
};

static void add_options(void *into, struct option_table *table)
{
    struct wait *wait = into;
    const struct option_row rows[] = {
        visit_patience_row(&wait->patience_s),
        {"json", 0, OPTION_FLAG, NULL, "print the result on stdout as one JSON object",
         &wait->json},
    };

    place_options(&wait->place, table);
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static int run(void *into, const struct option_list *words)
{
    const struct wait *wait = into;
    struct report report;
    struct error err;
    uint64_t job;

    report_init(&report, wait->json);
    report.replays = true;
    report.reasons = true;
    /* Whatever ended a job that was accepted is the job's end, not a wrong command line. */
    report.planned = true;
    return visit_job(words, &job, &err) ? report_error(&report, "wait", &err)
                                        : await(&report, &wait->place, job, wait->patience_s);
}

const struct verb verb_wait = {
    .name = "wait",
    .summary = "wait for a job that was submitted before",
    .usage = "ID [options]",
    .about = "Waits for a job and says how it ended, as the 'submit' that it came from would "
             "have.",
    .notes = "Ctrl-C detaches: the job goes on. A second one within two seconds cancels it. "
             "--json prints\n"
             "what 'marram submit --json' prints.\n\n"
             "Exit status: 0 done, 1 the job failed or was cancelled, or there is no such job, "
             "2 wrong\n"
             "usage, 3 no coordinator, 4 refused, 130 interrupted.",
    .size = sizeof(struct wait),
    .options = add_options,
    .run = run,
};
