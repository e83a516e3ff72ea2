#include "cli/asking.h"

#include "cli/report.h"
#include "cli/visit.h"

void asking_options(struct asking *asking, struct option_table *table)
{
    const struct option_row rows[] = {
        {"json", 0, OPTION_FLAG, NULL, "print the answer as one JSON object", &asking->json},
    };

    place_options(&asking->place, table);
    options_add(table, rows, sizeof rows / sizeof *rows);
}

int asking(const struct question *question, const void *into, const struct option_list *words)
{
    const struct asking *options = into;
    Mr__Query query = MR__QUERY__INIT;
    ProtobufCMessage *answer;
    struct report report;
    struct error err;
    int status;

    report_init(&report, options->json);
    if (question->prepare(into, words, &query, &err) ||
        visit_ask(&options->place, FRAME_QUERY, &query.base, question->wanted, &answer, &err))
        return report_error(&report, question->verb, &err);
    status = question->print(into, answer);
    frame_free(answer);
    return status;
}
