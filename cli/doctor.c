/* marram doctor: what usually breaks, and how to mend it. */
#include "cli/doctor.h"

#include "cli/verbs.h"
#include "cli/visit.h"

static void add_options(void *into, struct option_table *table)
{
    struct doctor *doctor = into;
    const struct option_row rows[] = {
        {"scratch", 0, OPTION_TEXT, "DIR", "where a worker's temporary files would be",
         &doctor->scratch, .unset = "TMPDIR, else /tmp"},
        {"path", 0, OPTION_TEXT, "DIR",
         "ask all workers whether they see this folder of inputs or outputs", &doctor->path,
         .once = true},
        {"json", 0, OPTION_FLAG, NULL, "as one JSON object", &doctor->json},
    };

    place_options(&doctor->place, table);
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static int run(void *into, const struct option_list *words)
{
    const struct doctor *doctor = into;
    struct findings findings = {.count = 0};
    struct error err;
    int status;

    if (visit_no_words(words, &err))
        return usage_error("doctor", "%s", err.text);
    doctor_pieces(&findings);
    doctor_kernel(&findings, "");
    doctor_scratch(&findings, doctor->scratch);
    doctor_keys(&findings, &doctor->place);
    doctor_cluster(&findings, &doctor->place, doctor->path);
    findings_print(&findings, doctor->json);
    status = findings_count(&findings, FINDING_FAILED) ? 1 : 0;
    findings_done(&findings);
    return status;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .summary = "look for what usually breaks, and say how to mend it",
    .usage = "[options]",
    .about = "Checks this machine and the cluster: a line a check, with 'ok', 'warning' or "
             "'FAILED', and what\n"
             "to do about it. With --path it puts a small file into a folder for a moment, and "
             "asks each worker\n"
             "whether it sees the same.",
    .notes = "--json prints checks (each with check, state: ok, warning, failed; text; mend: "
             "null or what to\n"
             "do), and the counts warnings and failed.\n\n"
             "Exit status: 0 nothing failed, 1 something did, 2 wrong usage.",
    .size = sizeof(struct doctor),
    .options = add_options,
    .run = run,
};
