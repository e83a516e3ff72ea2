/* Where map outputs are: all of them before a worker's first reducer, and while other maps
 * still run, to the workers that are homes of the job's parts: they fetch ahead what they will
 * reduce. Nothing depends on the latter. */
#include "base/check.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/memory.h"
#include "coordinator/core.h"

enum {
    OUTPUTS_A_MESSAGE = 2000,
    BATCH_MIN = 16,   /* outputs are announced when so many are new ... */
    BATCH_SHARE = 16, /* ... and one of so many of all */
};

/* The output, if that attempt still is the one that counts. */
static Mr__MapOutput *output_of(const struct job *job, const struct job_news *news)
{
    const Mr__TaskDone *done = job->maps[news->task];

    return done && done->attempt == news->attempt ? done->output : NULL;
}

/* A message of outputs in the making, sent whenever it is full. */
struct outputs {
    Mr__MapOutputs message;
    Mr__MapOutput *items[OUTPUTS_A_MESSAGE];
    size_t size;
};

static void send_outputs(struct coordinator *coordinator, uint64_t worker,
                         struct outputs *outputs)
{
    if (outputs->message.n_outputs)
        core_send(coordinator, worker, FRAME_MAP_OUTPUTS, &outputs->message.base);
    outputs->message.n_outputs = outputs->size = 0;
}

static void add_output(struct coordinator *coordinator, uint64_t worker,
                       struct outputs *outputs, Mr__MapOutput *output)
{
    outputs->message.outputs = outputs->items;
    outputs->items[outputs->message.n_outputs++] = output;
    outputs->size += mr__map_output__get_packed_size(output) + 8;
    if (outputs->message.n_outputs == OUTPUTS_A_MESSAGE || outputs->size > LIMIT_MESSAGE / 2)
        send_outputs(coordinator, worker, outputs);
}

void announce_all(struct coordinator *coordinator, struct job *job, uint64_t worker)
{
    struct outputs outputs = {.message = MR__MAP_OUTPUTS__INIT};

    announce_moved(coordinator, job);
    if (!job_note_worker(&job->fed, &job->fed_count, &job->fed_capacity, worker))
        return;
    outputs.message.job = job->id;
    for (uint32_t i = 0; i < job->map_count; i++) {
        check(job->maps[i]);
        add_output(coordinator, worker, &outputs, job->maps[i]->output);
    }
    send_outputs(coordinator, worker, &outputs);
}

void announce_moved(struct coordinator *coordinator, struct job *job)
{
    for (size_t w = 0; w < job->fed_count && job->moved_count; w++) {
        struct outputs outputs = {.message = MR__MAP_OUTPUTS__INIT};

        outputs.message.job = job->id;
        for (size_t i = 0; i < job->moved_count; i++)
            if (job->maps[job->moved[i]])
                add_output(coordinator, job->fed[w], &outputs,
                           job->maps[job->moved[i]]->output);
        send_outputs(coordinator, job->fed[w], &outputs);
    }
    job->moved_count = 0;
}

static void tell_gone(struct coordinator *coordinator, uint64_t worker,
                      ProtobufCBinaryData *endpoints, size_t n)
{
    Mr__MapOutputs message = MR__MAP_OUTPUTS__INIT;

    for (size_t from = 0; from < n; from += OUTPUTS_A_MESSAGE) {
        message.gone = endpoints + from;
        message.n_gone = n - from < OUTPUTS_A_MESSAGE ? n - from : OUTPUTS_A_MESSAGE;
        core_send(coordinator, worker, FRAME_MAP_OUTPUTS, &message.base);
    }
}

void announce_gone(struct coordinator *coordinator, ProtobufCBinaryData *endpoints, size_t n)
{
    struct map told = {0};

    for (size_t i = 0; i < coordinator->job_count && n; i++) {
        const struct job *job = coordinator->jobs[i];

        for (size_t w = 0; w < job->fed_count; w++) {
            if (map_get(&told, job->fed[w]))
                continue;
            map_put(&told, job->fed[w], coordinator);
            tell_gone(coordinator, job->fed[w], endpoints, n);
        }
    }
    map_done(&told);
}

static void tell(struct coordinator *coordinator, struct job *job, uint64_t worker,
                 uint32_t home)
{
    struct outputs outputs = {.message = MR__MAP_OUTPUTS__INIT};

    outputs.message.job = job->id;
    outputs.message.home = home;
    outputs.message.homes = sched_homes(coordinator->sched, job->id);
    while (job->told[home] < job->news_count) {
        Mr__MapOutput *output = output_of(job, &job->news[job->told[home]++]);

        if (output)
            add_output(coordinator, worker, &outputs, output);
    }
    send_outputs(coordinator, worker, &outputs);
}

/* A worker that was given no task of the job does not know it, and would not hear of its end.
 */
static bool knows(const struct job *job, uint64_t worker)
{
    for (size_t i = 0; i < job->worker_count; i++)
        if (job->workers[i] == worker)
            return true;
    return false;
}

static void announce(struct coordinator *coordinator, struct job *job)
{
    uint32_t homes = sched_homes(coordinator->sched, job->id);

    if (!homes)
        return;
    if (!job->told)
        job->told = memory_zeroed(homes + 1UL, sizeof *job->told);
    for (uint32_t home = 0; home < homes; home++) {
        /* The first parts are the homes' own. */
        uint64_t worker = sched_home(coordinator->sched, job->id, home);

        if (worker && knows(job, worker))
            tell(coordinator, job, worker, home);
    }
    job->announced = job->news_count;
}

void announce_output(struct coordinator *coordinator, struct job *job,
                     const struct sched_attempt *attempt)
{
    const Mr__MapOutput *output = job->maps[attempt->task]->output;
    size_t batch = job->map_count / BATCH_SHARE;
    struct sched_progress progress;

    if (!output || !output->endpoint.len)
        return; /* nobody can fetch it */
    memory_reserve(&job->news, &job->news_capacity, job->news_count + 1, sizeof *job->news);
    job->news[job->news_count++] = (struct job_news){attempt->task, attempt->attempt};
    if (batch < BATCH_MIN)
        batch = BATCH_MIN;
    if (job->news_count - job->announced < batch)
        return;
    progress = sched_progress(coordinator->sched, job->id);
    if (progress.maps_done < progress.maps) /* else reducers begin at once */
        announce(coordinator, job);
}
