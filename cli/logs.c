/* marram logs: what a job printed, as far as it is kept. */
#include <stdio.h>

#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"

static const char *task_text;

static int prepare(const struct option_list *words, Mr__Query *question, struct error *err)
{
    question->question = MR__QUESTION__JOB_LOGS;
    if (visit_job(words, &question->job, err))
        return -1;
    question->one_task = task_text != NULL;
    return task_text
               ? visit_parse_task("--task ", task_text, &question->kind, &question->task, err)
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
        json_object_set_new(item, "worker", show_json_bytes(entry->worker));
        json_object_set_new(item, "error", show_json_error(entry->error));
        json_object_set_new(item, "text", show_json_bytes(entry->text));
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

static int print(const ProtobufCMessage *answer, bool json)
{
    const Mr__Logs *logs = (const Mr__Logs *)answer;

    if (json)
        return print_json(logs);
    for (size_t i = 0; i < logs->n_entries; i++)
        print_entry(logs->entries[i]);
    return 0;
}

int verb_logs(int argc, char **argv)
{
    static const struct asking what = {
        .usage = "marram logs ID [options]",
        .about = "Prints what the job's processes printed last: with each failed attempt, and "
                 "at the end of\n"
                 "each worker's part in it. The last 8 KiB of each are kept.",
        .notes = "--json prints {\"entries\": [...]}, each with task (\"map 3\", null for the "
                 "end of a worker's\n"
                 "part), attempt, worker, error (null or code and text) and text.\n\n"
                 "Exit status: 0, also when nothing was printed; 1 there is no such job.",
        .own = {"task", 0, OPTION_TEXT, "map-N|reduce-N", "of one task alone", &task_text},
        .wanted = FRAME_LOGS,
        .prepare = prepare,
        .print = print,
    };

    return asking(&what, argc, argv);
}
