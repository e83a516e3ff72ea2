/* marram logs: what a job printed, as far as it is kept. */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

static const char *task_text;

/* "map-3", "reduce-7". */
static int parse_task(const char *text, Mr__Query *question, struct error *err)
{
    const char *dash = strrchr(text, '-');
    size_t n = dash ? (size_t)(dash - text) : 0;
    uint64_t number;

    question->one_task = true;
    if (n == 3 && !strncmp(text, "map", n))
        question->kind = MR__TASK_KIND__MAP;
    else if (n == 6 && !strncmp(text, "reduce", n))
        question->kind = MR__TASK_KIND__REDUCE;
    else
        n = 0;
    if (!n || size_parse_count(dash + 1, 0, UINT32_MAX, &number))
        return error_set(err, ERROR_USAGE, "--task '%s': map-N or reduce-N is wanted", text);
    question->task = (uint32_t)number;
    return 0;
}

static int prepare(const struct option_list *words, Mr__Query *question, struct error *err)
{
    question->question = MR__QUESTION__JOB_LOGS;
    if (visit_job(words, &question->job, err))
        return -1;
    return task_text ? parse_task(task_text, question, err) : 0;
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
