/* marram wait: attaches to a job that was submitted before. */
#include "base/memory.h"
#include "cli/following.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/visit.h"

/* The exit status. */
static int await(struct report *report, const char *endpoint, uint64_t job, uint64_t patience_s)
{
    struct following what = {"wait", NULL, report, -1, job};
    Mr__Query query = MR__QUERY__INIT;
    struct visit visit = {0};
    struct error err;
    int status;

    what.signals = signals_open(&err);
    if (what.signals < 0 || visit_open(&visit, endpoint, &err)) {
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

int verb_wait(int argc, char **argv)
{
    const char *coordinator = NULL;
    uint64_t patience_s = VISIT_PATIENCE_S;
    bool json = false;
    const struct option_row rows[] = {
        visit_row(&coordinator),
        visit_patience_row(&patience_s),
        {"json", 0, OPTION_FLAG, NULL, "print the result on stdout as one JSON object", &json},
    };
    const struct option_table table = {
        "marram wait ID [options]",
        "Waits for a job and says how it ended, as the 'submit' that it came from would have.",
        "Ctrl-C detaches: the job goes on. A second one within two seconds cancels it. --json "
        "prints\n"
        "what 'marram submit --json' prints.\n\n"
        "Exit status: 0 done, 1 the job failed or was cancelled, or there is no such job, 2 "
        "wrong\n"
        "usage, 3 no coordinator, 4 refused, 130 interrupted.",
        rows, sizeof rows / sizeof *rows};
    struct option_list words = {0};
    struct report report;
    struct error err;
    uint64_t job;
    int status = options_parse(&table, argc, argv, &words);

    if (!status) {
        report_init(&report, json);
        report.replays = true;
        report.reasons = true;
        /* Whatever ended a job that was accepted is the job's end, not a wrong command line. */
        report.planned = true;
        status = visit_job(&words, &job, &err)
                     ? report_error(&report, "wait", &err)
                     : await(&report, visit_endpoint(coordinator), job, patience_s);
    } else {
        status = status > 0 ? 0 : 2;
    }
    option_list_done(&words);
    return status;
}
