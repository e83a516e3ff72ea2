/* marram workers: who works for the coordinator. */
#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"
#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

static int prepare(const struct option_list *words, Mr__Query *question, struct error *err)
{
    question->question = MR__QUESTION__ALL_WORKERS;
    return visit_no_words(words, err);
}

static int print(const ProtobufCMessage *answer, bool json)
{
    const Mr__Workers *workers = (const Mr__Workers *)answer;

    if (json) {
        show_json(info_workers(workers));
        return 0;
    }
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

int verb_workers(int argc, char **argv)
{
    static const struct asking what = {
        .usage = "marram workers [options]",
        .about = "Lists the workers that the coordinator hears of.",
        .notes =
            "--json prints workers (each with worker, name, state, reason, threads, memory, "
            "pid, endpoint,\n"
            "running, outputs, scratch_free, heard, age) and the counts lost, refused, damaged "
            "since the\n"
            "coordinator started. Sizes are in bytes, times in seconds.",
        .wanted = FRAME_WORKERS,
        .prepare = prepare,
        .print = print,
    };

    return asking(&what, argc, argv);
}
