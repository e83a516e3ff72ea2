/* marram logs: what a job printed, as far as it is kept. */
#include <stdio.h>

#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

struct logs {
    struct asking asking;
    const char *task;
};

static int prepare(const void *into, const struct option_list *words, Mr__Query *question,
                   struct error *err)
{
    const struct logs *logs = into;

    question->question = MR__QUESTION__JOB_LOGS;
    if (visit_job(words, &question->job, err))
        return -1;
    question->one_task = logs->task != NULL;
    return logs->task
               ? visit_parse_task("--task ", logs->task, &question->kind, &question->task, err)
               : 0;
}

static int print_json(const Mr__Logs *logs)
{
    json_t *root = json_object(), *list = json_array();

    for (size_t i = 0; i < logs->n_entries; i++) {
        const Mr__LogEntry *entry = logs->entries[i];
        json_t *item = json_object();
        char task[SHOW_NAME];

        json_object_set_new(item, "task",
                            entry->attempt
                                ? json_string(show_task(entry->kind, entry->task, task))
                                : json_null());
        json_object_set_new(item, "attempt", json_integer(entry->attempt));
        json_object_set_new(item, "worker", info_bytes(entry->worker));
        json_object_set_new(item, "error", info_error(entry->error));
        json_object_set_new(item, "text", info_bytes(entry->text));
        json_array_append_new(list, item);
    }
    json_object_set_new(root, "entries", list);
    show_json(root);
    return 0;
}

static void print_entry(const Mr__LogEntry *entry)
{
    char task[SHOW_NAME], worker[80], error[1200];

    show_bytes(entry->worker, worker, sizeof worker);
    if (entry->attempt)
        printf("--- %s, attempt %u on %s: %s ---\n", show_task(entry->kind, entry->task, task),
               entry->attempt, worker,
               entry->error ? show_bytes(entry->error->text, error, sizeof error) : "failed");
    else
        printf("--- last output on %s ---\n", worker);
    if (entry->text.len)
        fwrite(entry->text.data, 1, entry->text.len, stdout);
    if (entry->text.len && entry->text.data[entry->text.len - 1] != '\n')
        putchar('\n');
}

static int print(const void *into, const ProtobufCMessage *answer)
{
    const struct logs *options = into;
    const Mr__Logs *logs = (const Mr__Logs *)answer;

    if (options->asking.json)
        return print_json(logs);
    for (size_t i = 0; i < logs->n_entries; i++)
        print_entry(logs->entries[i]);
    return 0;
}

static void add_options(void *into, struct option_table *table)
{
    struct logs *logs = into;
    const struct option_row row = {
        "task",      0,           OPTION_TEXT, "map-N|reduce-N", "of one task alone",
        &logs->task, .once = true};

    asking_options(&logs->asking, table);
    options_add(table, &row, 1);
}

static int run(void *into, const struct option_list *words)
{
    static const struct question question = {"logs", FRAME_LOGS, prepare, print};

    return asking(&question, into, words);
}

const struct verb verb_logs = {
    .name = "logs",
    .summary = "print what a job printed last",
    .usage = "ID [options]",
    .about = "Prints what the job's processes printed last: with each failed attempt, and at "
             "the end of\n"
             "each worker's part in it. The last 8 KiB of each are kept.",
    .notes = "--json prints {\"entries\": [...]}, each with task (\"map 3\", null for the end "
             "of a worker's\n"
             "part), attempt, worker, error (null or code and text) and text.\n\n"
             "Exit status: 0, also when nothing was printed; 1 there is no such job.",
    .size = sizeof(struct logs),
    .options = add_options,
    .run = run,
};
