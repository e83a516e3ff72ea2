/* marram workers: who works for the coordinator. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cli/asking.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

static int prepare(const void *into, const struct option_list *words, Mr__Query *question,
                   struct error *err)
{
    (void)into;
    question->question = MR__QUESTION__ALL_WORKERS;
    return visit_no_words(words, err);
}

static void add_missing(char *text, size_t size, bool missing, const char *name)
{
    size_t used = strlen(text);

    if (missing)
        snprintf(text + used, size - used, "%s%s", used ? "," : "no ", name);
}

static bool is_none(ProtobufCBinaryData bytes)
{
    return bytes.len < 4 || !memcmp(bytes.data, "none", 4);
}

/* "yes", or which fences are missing; "?" before the worker has said. */
static const char *confined(const Mr__Confinement *confinement, char *text, size_t size)
{
    *text = '\0';
    if (!confinement)
        return "?";
    add_missing(text, size, !confinement->limits, "rlimits");
    add_missing(text, size, !confinement->capabilities, "capabilities");
    add_missing(text, size, is_none(confinement->cgroup), "cgroup");
    add_missing(text, size, is_none(confinement->seccomp), "seccomp");
    add_missing(text, size, is_none(confinement->landlock), "landlock");
    return *text ? text : "yes";
}

static int print(const void *into, const ProtobufCMessage *answer)
{
    const struct asking *asked = into;
    const Mr__Workers *workers = (const Mr__Workers *)answer;

    if (asked->json) {
        show_json(info_workers(workers));
        return 0;
    }
    printf("%-24s  %-8s  %7s  %7s  %10s  %10s  %7s  %7s  %-8s  %s\n", "NAME", "STATE",
           "THREADS", "RUNNING", "MEMORY", "DISK FREE", "HEARD", "AGE", "CONFINED", "ENDPOINT");
    for (size_t i = 0; i < workers->n_workers; i++) {
        const Mr__WorkerInfo *worker = workers->workers[i];
        char name[32], state[12], memory[32], disk[32], heard[SHOW_TIME], age[SHOW_TIME];
        char endpoint[128], reason[160], fences[80];

        printf("%-24s  %-8s  %7u  %7u  %10s  %10s  %7s  %7s  %-8s  %s%s%s\n",
               show_bytes(worker->name, name, sizeof name),
               show_bytes(worker->state, state, sizeof state), worker->threads, worker->running,
               size_format(worker->memory, memory, sizeof memory),
               size_format(worker->scratch_free, disk, sizeof disk),
               show_time(worker->heard, heard), show_time(worker->age, age),
               confined(worker->confinement, fences, sizeof fences),
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
             "running, outputs, scratch_free, confinement, heard, age) and the counts lost, "
             "refused,\n"
             "damaged since the coordinator started. Sizes are in bytes, times in seconds.",
    .size = sizeof(struct asking),
    .options = add_options,
    .run = run,
};
