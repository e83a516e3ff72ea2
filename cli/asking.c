#include "cli/asking.h"

#include "cli/report.h"
#include "cli/visit.h"

enum { ROWS = 3 };

/* The exit status. */
static int ask(const struct asking *what, const char *verb, const char *endpoint,
               const struct option_list *words, bool json)
{
    Mr__Query question = MR__QUERY__INIT;
    ProtobufCMessage *answer;
    struct report report;
    struct error err;
    int status;

    report_init(&report, json);
    if (what->prepare(words, &question, &err) ||
        visit_ask(endpoint, FRAME_QUERY, &question.base, what->wanted, &answer, &err))
        return report_error(&report, verb, &err);
    status = what->print(answer, json);
    frame_free(answer);
    return status;
}

int asking(const struct asking *what, int argc, char **argv)
{
    const char *coordinator = NULL;
    bool json = false;
    const struct option_row rows[ROWS] = {
        visit_row(&coordinator),
        {"json", 0, OPTION_FLAG, NULL, "print the answer as one JSON object", &json},
        what->own,
    };
    const struct option_table table = {what->usage, what->about, what->notes, rows,
                                       what->own.name ? ROWS : ROWS - 1};
    struct option_list words = {0};
    int status = options_parse(&table, argc, argv, &words);

    if (!status)
        status = ask(what, argv[0], visit_endpoint(coordinator), &words, json);
    else
        status = status > 0 ? 0 : 2;
    option_list_done(&words);
    return status;
}
