#include "worker/executor/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/resources.h"
#include "store/tree.h"
#include "wire/bytes.h"
#include "wire/culprit.h"
#include "wire/frame.h"
#include "wire/replay_plan.h"
#include "worker/executor/fault.h"

/* Of one thread that nobody else shares the machine with. */
#define MEMORY ((uint64_t)1 << 30)

/* The one replay of this process, for signal handlers. */
static struct executor *running;

/* ---- What is to be done ---- */

static int read_exactly(int fd, void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = read(fd, (char *)bytes + at, size - at);

        if (n == 0 || (n < 0 && errno != EINTR))
            return -1;
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static Mr__Replay *read_task(int fd, struct error *err)
{
    uint8_t header[FRAME_HEADER];
    cleanup_free uint8_t *frame = NULL;
    ProtobufCMessage *message;
    enum frame_type type;
    size_t length;

    if (read_exactly(fd, header, sizeof header)) {
        error_set(err, ERROR_DAMAGE, "the plan ends too early");
        return NULL;
    }
    if (frame_length(header, &length, err))
        return NULL;
    frame = memory_new(sizeof header + length);
    memcpy(frame, header, sizeof header);
    if (read_exactly(fd, frame + sizeof header, length)) {
        error_set(err, ERROR_DAMAGE, "the plan ends too early");
        return NULL;
    }
    if (frame_unpack(frame, sizeof header + length, &type, &message, err))
        return NULL;
    if (type != FRAME_REPLAY || !((Mr__Replay *)message)->open ||
        !((Mr__Replay *)message)->task || !((Mr__Replay *)message)->open->spec) {
        error_set(err, ERROR_DAMAGE, "the plan holds something else");
        frame_free(message);
        return NULL;
    }
    return (Mr__Replay *)message;
}

/* The job as an agent would announce it. The texts live as long as the process. */
static void announce(struct executor *executor, Mr__JobOpen *open, const char *folder)
{
    free(open->staging.data);
    open->staging = bytes_of(memory_text(folder));
    open->scratch = bytes_of(memory_text(folder));
    open->object_path = bytes_of(memory_format("%s/" REPLAY_OBJECT, folder));
    open->threads = 1;
    open->memory = open->memory_share = MEMORY;
    open->direct_reads = true;
    open->spec->sync = false;
    executor->memory = MEMORY;
    executor->host.open = open;
}

/* ---- Where it is ---- */

static ProtobufCBinaryData path_of(const Mr__Assign *task, const struct slot *slot)
{
    for (size_t i = 0; i < task->n_extents; i++)
        if (task->extents[i]->file == slot->file)
            return task->extents[i]->path;
    return (ProtobufCBinaryData){0};
}

/* In a signal handler, as fault.c does: should it hang, an alarm ends the process. */
static void say_place(const struct slot *slot, const char *what)
{
    const Mr__Assign *now = running->replay->now;
    char place[1024];

    culprit_place(slot, now ? path_of(now, slot) : (ProtobufCBinaryData){0}, place,
                  sizeof place);
    dprintf(STDERR_FILENO, "marram replay: %s %s\n%s%s", what, place,
            slot->trace[0] ? "backtrace:\n" : "", slot->trace);
}

static void faulted(const struct slot *slot)
{
    char what[80];

    if (slot->fault == SLOT_EXITED)
        snprintf(what, sizeof what, "the job called exit()");
    else
        snprintf(what, sizeof what, "signal %u (%s)", (unsigned)slot->fault,
                 strsignal((int)slot->fault));
    say_place(slot, what);
}

static void interrupted(int number)
{
    alarm(2);
    say_place(&running->slots->slot[0], "interrupted");
    signal(number, SIG_DFL);
    raise(number);
}

static void say_task(const Mr__Assign *task, const char *why)
{
    static const char *const kinds[] = {[MR__TASK_KIND__MAP] = "map",
                                        [MR__TASK_KIND__REDUCE] = "reduce",
                                        [MR__TASK_KIND__SAMPLE] = "sample",
                                        [MR__TASK_KIND__CHECK] = "check"};

    fprintf(stderr, "marram replay: %s-%u of job %012" PRIx64 "%s\n",
            (unsigned)task->kind <= MR__TASK_KIND__SAMPLE ? kinds[task->kind] : "?", task->task,
            task->job, why);
    for (size_t i = 0; i < task->n_extents && i < 10; i++)
        fprintf(stderr, "  '%.*s' offset %" PRIu64 ", %" PRIu64 " bytes\n",
                (int)task->extents[i]->path.len, (const char *)task->extents[i]->path.data,
                task->extents[i]->offset, task->extents[i]->length);
    if (task->n_extents > 10)
        fprintf(stderr, "  and %zu stretches more\n", task->n_extents - 10);
}

static void say_done(const Mr__TaskDone *done)
{
    fprintf(stderr, "marram replay: done, nothing failed\n");
    for (size_t i = 0; i < done->n_counters; i++)
        if (done->counters[i]->value)
            fprintf(stderr, "  %-28.*s %" PRId64 "\n", (int)done->counters[i]->name.len,
                    (const char *)done->counters[i]->name.data, done->counters[i]->value);
}

void replay_report(struct executor *executor, enum frame_type type,
                   const ProtobufCMessage *message)
{
    struct replay *replay = executor->replay;

    if (type == FRAME_TASK_FAILED) {
        const Mr__Error *error = ((const Mr__TaskFailed *)message)->error;

        replay->failed = true;
        fprintf(stderr, "marram replay: failed: %.*s\n", (int)error->text.len,
                (const char *)error->text.data);
    } else if (type == FRAME_TASK_DONE) {
        const Mr__TaskDone *done = (const Mr__TaskDone *)message;

        if (replay->now == replay->task->task)
            say_done(done);
        else if (done->output)
            work_keep_output(executor, done->output);
    }
}

/* ---- Doing it ---- */

/* One map whose output the reduce task needs; only its part is kept. */
static int make_output(struct executor *executor, int fd, struct error *err)
{
    struct replay *replay = executor->replay;
    Mr__Replay *map = read_task(fd, err);

    if (!map)
        return -1;
    replay->now = map->task;
    map->task->single = true;
    map_run(executor, map->task);
    replay->now = replay->task->task;
    frame_free(&map->base);
    return 0;
}

static int run_task(struct executor *executor, int fd, struct error *err)
{
    struct replay *replay = executor->replay;
    Mr__Assign *task = replay->task->task;

    replay->now = task;
    if (task->kind == MR__TASK_KIND__MAP) {
        map_run(executor, task);
        return 0;
    }
    if (task->kind == MR__TASK_KIND__SAMPLE) {
        sample_run(executor, task);
        return 0;
    }
    executor->only_part = task->task;
    executor->keeps_part = true;
    for (uint32_t i = 0; i < task->maps && !replay->failed; i++)
        if (make_output(executor, fd, err))
            return -1;
    if (!replay->failed)
        reduce_run(executor, &executor->threads[0], task);
    return 0;
}

static int open_task(struct executor *executor, int fd, struct error *err)
{
    struct replay *replay = executor->replay;
    Mr__Replay *task = read_task(fd, err);

    if (!task)
        return -1;
    replay->task = task;
    task->task->single = true;
    announce(executor, task->open, replay->folder);
    say_task(task->task, task->task->kind == MR__TASK_KIND__REDUCE
                             ? ": first all maps, of whose output its part is kept"
                             : "");
    if (task->open->ranges && host_set_ranges(&executor->host, task->open->ranges, err))
        return -1;
    work_make_threads(executor);
    return work_load(executor, task->task, err);
}

static int replay_in(struct executor *executor, struct error *err)
{
    cleanup_free char *path = memory_format("%s/" REPLAY_PLAN, executor->replay->folder);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, ERROR_IO, "open '%s'", path);
    return open_task(executor, fd, err) ? -1 : run_task(executor, fd, err);
}

_Noreturn void replay_main(struct executor *executor, const char *folder)
{
    static struct replay replay;
    struct sigaction stop = {.sa_handler = interrupted};
    struct error err, ignored;

    replay = (struct replay){.folder = folder};
    executor->replay = &replay;
    executor->slots = memory_zeroed(1, sizeof *executor->slots);
    running = executor;
    queue_init(&executor->queue);
    stops_init(&executor->stops);
    pthread_mutex_init(&executor->lock, NULL);
    gather_init(&executor->gather);
    fault_install();
    fault_tell(faulted);
    sigaction(SIGINT, &stop, NULL);
    if (replay_in(executor, &err)) {
        fprintf(stderr, "marram replay: %s\n", err.text);
        replay.failed = true;
    }
    tree_remove(folder, &ignored);
    fflush(NULL);
    _exit(replay.failed);
}
