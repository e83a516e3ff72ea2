/* marram cancel: ends a job. */
#include "cli/report.h"
#include "cli/verbs.h"
#include "cli/visit.h"

static int cancel(const struct place *place, const struct option_list *words, struct error *err)
{
    Mr__Cancel question = MR__CANCEL__INIT;
    ProtobufCMessage *answer;

    if (visit_job(words, &question.job, err) ||
        visit_ask(place, FRAME_CANCEL, &question.base, FRAME_REPLY, &answer, err))
        return -1;
    frame_free(answer);
    return 0;
}

static void add_options(void *into, struct option_table *table)
{
    place_options(into, table);
}

static int run(void *into, const struct option_list *words)
{
    const struct place *place = into;
    struct report report;
    struct error err;

    report_init(&report, false);
    return cancel(place, words, &err) ? report_error(&report, "cancel", &err) : 0;
}

const struct verb verb_cancel = {
    .name = "cancel",
    .summary = "end a job",
    .usage = "ID [options]",
    .about = "Cancels a job: its tasks are ended, its output does not appear. Prints nothing.",
    .notes = "Exit status: 0 cancelled, 1 there is no such job or it had ended, 2 wrong usage, "
             "3 no\n"
             "coordinator, 4 refused.",
    .size = sizeof(struct place),
    .options = add_options,
    .run = run,
};
