/* marram workers: who works for the coordinator. */
#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"
#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"

static int prepare(const void *into, const struct option_list *words, Mr__Query *question,
                   struct error *err)
{
    (void)into;
    question->question = MR__QUESTION__ALL_WORKERS;
    return visit_no_words(words, err);
}

static json_t *worker_json(const Mr__WorkerInfo *worker)
{
    json_t *root = json_object();
    char id[20];

    snprintf(id, sizeof id, "%016" PRIx64, worker->worker);
    json_object_set_new(root, "worker", json_string(id));
    json_object_set_new(root, "name", show_json_bytes(worker->name));
    json_object_set_new(root, "state", show_json_bytes(worker->state));
    json_object_set_new(root, "reason", show_json_bytes(worker->reason));
    json_object_set_new(root, "threads", json_integer(worker->threads));
    json_object_set_new(root, "memory", json_integer((json_int_t)worker->memory));
    json_object_set_new(root, "pid", json_integer(worker->pid));
    json_object_set_new(root, "endpoint", show_json_bytes(worker->data_endpoint));
    json_object_set_new(root, "running", json_integer(worker->running));
    json_object_set_new(root, "outputs", json_integer((json_int_t)worker->outputs));
    json_object_set_new(root, "scratch_free", json_integer((json_int_t)worker->scratch_free));
    json_object_set_new(root, "heard", json_real(worker->heard));
    json_object_set_new(root, "age", json_real(worker->age));
    return root;
}

static int print_json(const Mr__Workers *workers)
{
    json_t *root = json_object(), *list = json_array();

    for (size_t i = 0; i < workers->n_workers; i++)
        json_array_append_new(list, worker_json(workers->workers[i]));
    json_object_set_new(root, "workers", list);
    json_object_set_new(root, "lost", json_integer((json_int_t)workers->lost));
    json_object_set_new(root, "refused", json_integer((json_int_t)workers->refused));
    json_object_set_new(root, "damaged", json_integer((json_int_t)workers->damaged));
    show_json(root);
    return 0;
}

static int print(const void *into, const ProtobufCMessage *answer)
{
    const struct asking *asked = into;
    const Mr__Workers *workers = (const Mr__Workers *)answer;

    if (asked->json)
        return print_json(workers);
    printf("%-24s  %-8s  %7s  %7s  %10s  %10s  %7s  %7s  %s\n", "NAME", "STATE", "THREADS",
           "RUNNING", "MEMORY", "DISK FREE", "HEARD", "AGE", "ENDPOINT");
    for (size_t i = 0; i < workers->n_workers; i++) {
        const Mr__WorkerInfo *worker = workers->workers[i];
        char name[32], state[12], memory[32], disk[32], heard[SHOW_TIME], age[SHOW_TIME];
        char endpoint[128], reason[160];

        printf("%-24s  %-8s  %7u  %7u  %10s  %10s  %7s  %7s  %s%s%s\n",
               show_bytes(worker->name, name, sizeof name),
               show_bytes(worker->state, state, sizeof state), worker->threads, worker->running,
               size_format(worker->memory, memory, sizeof memory),
               size_format(worker->scratch_free, disk, sizeof disk),
               show_time(worker->heard, heard), show_time(worker->age, age),
               show_bytes(worker->data_endpoint, endpoint, sizeof endpoint),
               worker->reason.len ? "  " : "",
               show_bytes(worker->reason, reason, sizeof reason));
    }
    if (workers->lost || workers->damaged)
        printf("since the coordinator started: %" PRIu64 " lost, %" PRIu64
               " of their answers refused, %" PRIu64 " damaged frames\n",
               workers->lost, workers->refused, workers->damaged);
    return 0;
}

static void add_options(void *into, struct option_table *table)
{
    asking_options(into, table);
}

static int run(void *into, const struct option_list *words)
{
    static const struct question question = {"workers", FRAME_WORKERS, prepare, print};

    return asking(&question, into, words);
}

const struct verb verb_workers = {
    .name = "workers",
    .summary = "list the workers of a cluster",
    .usage = "[options]",
    .about = "Lists the workers that the coordinator hears of.",
    .notes = "--json prints workers (each with worker, name, state, reason, threads, memory, "
             "pid, endpoint,\n"
             "running, outputs, scratch_free, heard, age) and the counts lost, refused, "
             "damaged since the\n"
             "coordinator started. Sizes are in bytes, times in seconds.",
    .size = sizeof(struct asking),
    .options = add_options,
    .run = run,
};
