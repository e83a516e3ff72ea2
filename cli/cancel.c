/* marram cancel: ends a job. */
#include "cli/report.h"
#include "cli/verbs.h"
#include "cli/visit.h"

static int cancel(const char *endpoint, const struct option_list *words, struct error *err)
{
    Mr__Cancel question = MR__CANCEL__INIT;
    ProtobufCMessage *answer;

    if (visit_job(words, &question.job, err) ||
        visit_ask(endpoint, FRAME_CANCEL, &question.base, FRAME_REPLY, &answer, err))
        return -1;
    frame_free(answer);
    return 0;
}

int verb_cancel(int argc, char **argv)
{
    const char *coordinator = NULL;
    const struct option_row rows[] = {visit_row(&coordinator)};
    const struct option_table table = {
        "marram cancel ID [options]",
        "Cancels a job: its tasks are ended, its output does not appear. Prints nothing.",
        "Exit status: 0 cancelled, 1 there is no such job or it had ended, 2 wrong usage, 3 "
        "no\n"
        "coordinator, 4 refused.",
        rows, sizeof rows / sizeof *rows};
    struct option_list words = {0};
    struct report report;
    struct error err;
    int status = options_parse(&table, argc, argv, &words);

    if (!status) {
        report_init(&report, false);
        if (cancel(visit_endpoint(coordinator), &words, &err))
            status = report_error(&report, "cancel", &err);
    } else {
        status = status > 0 ? 0 : 2;
    }
    option_list_done(&words);
    return status;
}
