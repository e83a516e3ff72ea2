/* marram-executor: the process that runs user code, for one job. Its agent starts it with the
 * channel as descriptor 3 and the progress slots as 4, and expects it to die. It listens on one
 * thread and works on the main one, which is where OpenMP's regions begin. */
#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/slab.h"
#include "wire/bytes.h"
#include "wire/culprit.h"
#include "wire/frame.h"
#include "worker/executor/confine.h"
#include "worker/executor/door.h"
#include "worker/executor/fault.h"
#include "worker/executor/replay.h"
#include "worker/executor/work.h"

enum { CHANNEL_FD = 3, SLOTS_FD = 4, DOOR_FD = 5 };

void counter_add(struct counter_list *list, const char *name, int64_t value)
{
    Mr__Counter *counter = &list->items[list->count];

    check(list->count < sizeof list->items / sizeof *list->items);
    mr__counter__init(counter);
    counter->name = bytes_of(name);
    counter->value = value;
    list->pointers[list->count++] = counter;
}

uint64_t work_run_id(uint64_t job, uint32_t task, uint32_t attempt)
{
    uint64_t words[3] = {job, task, attempt};

    return XXH3_64bits(words, sizeof words);
}

/* Without its agent an executor has nothing to live for. */
void work_send(struct executor *executor, enum frame_type type, const ProtobufCMessage *message)
{
    struct error err;

    if (executor->replay)
        replay_report(executor, type, message);
    else if (channel_send(&executor->channel, type, message, &err))
        _exit(1);
}

/* The record, block or key that a thread failed on; NULL: none is known. */
static Mr__Culprit *culprit_in(const Mr__Assign *assign, const struct thread *failed,
                               struct culprit *ret)
{
    if (!failed || !culprit_of(failed->slot, failed->failed_in, ret))
        return NULL;
    for (size_t i = 0; failed->failed_in == SLOT_MAP && i < assign->n_extents; i++)
        if (assign->extents[i]->file == ret->message.file)
            ret->message.path = assign->extents[i]->path;
    return &ret->message;
}

void work_failed(struct executor *executor, const Mr__Assign *assign, const struct error *error,
                 const struct thread *failed, uint32_t lost_map)
{
    Mr__TaskFailed report = MR__TASK_FAILED__INIT;
    Mr__Error message = MR__ERROR__INIT;
    struct culprit culprit;

    message.code = error->code;
    message.text = bytes_of(error->text);
    report.job = assign->job;
    report.kind = assign->kind;
    report.task = assign->task;
    report.attempt = assign->attempt;
    report.error = &message;
    report.blamed = error->code != ERROR_FETCH && error->code != ERROR_CUT &&
                    error_policy(error->code) != POLICY_NO_ROOM;
    report.culprit = culprit_in(assign, failed, &culprit);
    report.lost_map = lost_map;
    work_send(executor, FRAME_TASK_FAILED, &report.base);
}

void work_done(struct executor *executor, Mr__TaskDone *done, const Mr__Assign *assign)
{
    done->job = assign->job;
    done->kind = assign->kind;
    done->task = assign->task;
    done->attempt = assign->attempt;
    work_send(executor, FRAME_TASK_DONE, &done->base);
}

void work_make_threads(struct executor *executor)
{
    uint32_t wanted = executor->host.open->threads;

    executor->thread_count = (int)(wanted < 1               ? 1
                                   : wanted > LIMIT_THREADS ? LIMIT_THREADS
                                                            : wanted);
    executor->threads =
        memory_zeroed((size_t)executor->thread_count, sizeof *executor->threads);
    for (int i = 0; i < executor->thread_count; i++) {
        executor->threads[i].slot = &executor->slots->slot[i];
        lines_init(&executor->threads[i].lines);
    }
}

int work_load(struct executor *executor, const Mr__Assign *assign, struct error *err)
{
    struct thread *thread = &executor->threads[0];
    int result;

    if (executor->host.loaded)
        return 0;
    thread_begin(thread, &executor->host, assign);
    thread_phase(thread, SLOT_LOAD);
    result = host_load(&executor->host, err);
    thread_phase(thread, SLOT_IDLE);
    return result;
}

static void check_run(struct executor *executor, const Mr__Assign *assign)
{
    Mr__TaskDone done = MR__TASK_DONE__INIT;

    done.description = host_describe(&executor->host);
    work_done(executor, &done, assign);
    mr__description__free_unpacked(done.description, NULL);
}

/* Each thread takes reduce tasks until another kind of task is next. */
static void run_reduces(struct executor *executor, Mr__Assign *first)
{
#pragma omp parallel num_threads(executor->thread_count)
    {
        struct thread *thread = &executor->threads[omp_get_thread_num()];
        Mr__Assign *task = omp_get_thread_num() ? queue_take_reduce(&executor->queue) : first;

        /* The memory is the reducers' now. */
        aggregate_free(thread->table);
        thread->table = NULL;
        for (; task; task = queue_take_reduce(&executor->queue)) {
            reduce_run(executor, thread, task);
            frame_free(&task->base);
        }
    }
}

/* Without the ranges that the others go by the parts would not fit together. */
static int check_ranges(const struct host *host, struct error *err)
{
    size_t points = host->open->parts - 1UL;

    if (!(host->job.flags & MR_TOTAL_ORDER) || !points)
        return 0;
    if (!host->range || range_points(host->range) != points)
        return error_set(err, ERROR_INTERNAL, "the ranges of the parts were not told");
    return 0;
}

/* The threads of OpenMP's pool start before there is work for them. */
static void warm_up(void)
{
#pragma omp parallel
    {
    }
}

static void work(struct executor *executor)
{
    warm_up();
    for (;;) {
        Mr__Assign *task = queue_take(&executor->queue);
        struct error err;

        if (!executor->threads)
            work_make_threads(executor);
        if (work_load(executor, task, &err)) {
            work_failed(executor, task, &err, NULL, 0);
        } else if (task->kind == MR__TASK_KIND__REDUCE) {
            run_reduces(executor, task);
            continue;
        } else if (task->kind == MR__TASK_KIND__MAP) {
            if (check_ranges(&executor->host, &err))
                work_failed(executor, task, &err, NULL, 0);
            else
                map_run(executor, task);
        } else if (task->kind == MR__TASK_KIND__SAMPLE) {
            sample_run(executor, task);
        } else {
            check_run(executor, task);
        }
        frame_free(&task->base);
    }
}

/* ---- Listening
 * ------------------------------------------------------------------------------------ */

/* Whether a run that is known is where it was. */
static bool is_at(const struct map_output *output, const Mr__MapOutput *message)
{
    return bytes_are(message->path, output->path) &&
           bytes_are(message->endpoint, output->endpoint);
}

void work_keep_output(struct executor *executor, const Mr__MapOutput *message)
{
    struct map_output *output;
    struct run_file *run = NULL;
    size_t before = executor->output_count;

    memory_reserve(&executor->outputs, &executor->output_capacity, (size_t)message->task + 1,
                   sizeof *executor->outputs);
    if (message->task >= before) {
        executor->output_count = (size_t)message->task + 1;
        memset(&executor->outputs[before], 0,
               (executor->output_count - before) * sizeof *executor->outputs);
    }
    output = &executor->outputs[message->task];
    if (output->attempt == message->attempt && is_at(output, message))
        return;
    /* An older run may be in use by a reducer: it stays open until the process ends. The same
     * run at another place is as good open as it is. */
    if (output->attempt == message->attempt && output->run_id == message->run_id)
        run = output->run;
    free(output->path);
    free(output->endpoint);
    *output = (struct map_output){
        .attempt = message->attempt,
        .run_id = message->run_id,
        .run = run,
        .path = memory_format("%.*s", (int)message->path.len, (char *)message->path.data),
        .endpoint =
            memory_format("%.*s", (int)message->endpoint.len, (char *)message->endpoint.data)};
}

static void keep_outputs(struct executor *executor, const Mr__MapOutputs *message)
{
    pthread_mutex_lock(&executor->lock);
    for (size_t i = 0; i < message->n_outputs; i++)
        work_keep_output(executor, message->outputs[i]);
    pthread_mutex_unlock(&executor->lock);
}

/* The first announcement is kept whole; a later one changes the share of the memory, and the
 * one that comes with the ranges adds them. Tasks that follow an announcement see it: both go
 * through the queue's lock. */
static void opened(struct executor *executor, Mr__JobOpen *open)
{
    struct host *host = &executor->host;
    struct error err;

    if (open->memory_share < atomic_exchange(&executor->memory, open->memory_share))
        slab_trim();
    /* Ranges that make no sense are missed by the first map. */
    if (open->ranges && !host->range)
        host_set_ranges(host, open->ranges, &err);
    if (host->open)
        frame_free(&open->base);
    else
        host->open = open;
}

static void receive(struct executor *executor, enum frame_type type, ProtobufCMessage *message)
{
    switch (type) {
    case FRAME_JOB_OPEN:
        opened(executor, (Mr__JobOpen *)message);
        return;
    case FRAME_ASSIGN:
        queue_put(&executor->queue, (Mr__Assign *)message);
        return;
    case FRAME_REVOKE:
        stops_note(&executor->stops, (const Mr__Revoke *)message);
        queue_withdraw(&executor->queue, (const Mr__Revoke *)message);
        break;
    case FRAME_MAP_OUTPUTS:
        keep_outputs(executor, (const Mr__MapOutputs *)message);
        break;
    case FRAME_PART_FETCHED:
        gather_answer(&executor->gather, (Mr__PartFetched *)message);
        return;
    case FRAME_JOB_CLOSE:
        _exit(0);
    default:
        break;
    }
    frame_free(message);
}

static void *listen_to_agent(void *context)
{
    struct executor *executor = context;
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    while (channel_receive(&executor->channel, true, &type, &message, &err) == 1)
        receive(executor, type, message);
    _exit(0);
}

/* ---- Starting
 * ------------------------------------------------------------------------------------- */

static bool was_started_by_agent(void)
{
    int type = 0;
    socklen_t size = sizeof type;

    return !getsockopt(CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_STREAM;
}

static void report(struct executor *executor, struct confinement *confinement)
{
    Mr__Confinement message;

    confine_describe(confinement, &message);
    work_send(executor, FRAME_CONFINED, &message.base);
}

/* What confines files depends on the job, and only threads that start later inherit it: this is
 * the one thread until the job is known. */
static void await_job(struct executor *executor, struct confinement *confinement)
{
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    while (!executor->host.open) {
        if (channel_receive(&executor->channel, true, &type, &message, &err) != 1)
            _exit(0);
        receive(executor, type, message);
    }
    /* OpenMP's runtime begins, but no thread of it: that of LLVM wants a file in /dev/shm. */
    (void)omp_get_max_threads();
    confine_job(confinement, executor->host.open);
    report(executor, confinement);
}

int main(int argc, char **argv)
{
    static struct executor executor;
    static struct confinement confinement;
    pthread_t listener;

    if (argc == 3 && !strcmp(argv[1], "--replay"))
        replay_main(&executor, argv[2]);
    if (!was_started_by_agent()) {
        fputs("marram-executor is started by a worker or by 'marram replay', not by hand\n",
              stderr);
        return 2;
    }
    confine_start(&confinement);
    memory_keep();
    door_init(DOOR_FD);
    channel_init(&executor.channel, CHANNEL_FD);
    executor.slots =
        mmap(NULL, sizeof *executor.slots, PROT_READ | PROT_WRITE, MAP_SHARED, SLOTS_FD, 0);
    check(executor.slots != MAP_FAILED && executor.slots->version == SLOTS_VERSION);
    close(SLOTS_FD);
    queue_init(&executor.queue);
    stops_init(&executor.stops);
    pthread_mutex_init(&executor.lock, NULL);
    gather_init(&executor.gather);
    fault_install();
    report(&executor, &confinement);
    await_job(&executor, &confinement);
    check(!pthread_create(&listener, NULL, listen_to_agent, &executor));
    work(&executor);
}
