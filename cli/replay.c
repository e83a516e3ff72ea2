/* marram replay: one task of a job once more, here and now, in a process that a debugger can
 * follow. What the task's worker was told is asked for and put into a temporary folder; then
 * this process becomes an executor that does the task by itself (worker/executor/replay.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/locate.h"
#include "cli/report.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "store/blobs.h"
#include "store/scratch.h"
#include "wire/frame.h"
#include "wire/replay_plan.h"

struct replaying {
    struct visit visit;
    struct scratch scratch;
    uint64_t job;
    int plan;
};

static int write_all(int fd, const void *bytes, size_t size, struct error *err)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = write(fd, (const char *)bytes + at, size - at);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "write to the temporary folder");
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int create(const struct replaying *replaying, const char *name, struct error *err)
{
    cleanup_free char *path = memory_format("%s/%s", replaying->scratch.path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    return fd < 0 ? error_errno(err, ERROR_IO, "create '%s'", path) : fd;
}

/* What the worker of a task was told goes into the plan; free *ret with frame_free. */
static int ask_task(struct replaying *replaying, Mr__TaskKind kind, uint32_t task,
                    Mr__Replay **ret, struct error *err)
{
    Mr__Query query = MR__QUERY__INIT;
    cleanup_free uint8_t *frame = NULL;
    ProtobufCMessage *answer;
    size_t size;

    query.question = MR__QUESTION__REPLAY_TASK;
    query.job = replaying->job;
    query.one_task = true;
    query.kind = kind;
    query.task = task;
    if (client_ask(replaying->visit.client, FRAME_QUERY, &query.base, FRAME_REPLAY, &answer,
                   err))
        return -1;
    frame = frame_pack(FRAME_REPLAY, answer, &size);
    *ret = (Mr__Replay *)answer;
    if ((*ret)->open && (*ret)->task && (*ret)->open->spec && (*ret)->open->spec->n_blobs)
        return write_all(replaying->plan, frame, size, err);
    return error_set(err, ERROR_DAMAGE, "the coordinator's answer makes no sense");
}

static int copy_object(struct replaying *replaying, const Mr__BlobRef *blob, struct error *err)
{
    cleanup_close int fd = create(replaying, REPLAY_OBJECT, err);
    Mr__BlobGet wanted = MR__BLOB_GET__INIT;
    uint64_t total = 1;

    if (fd < 0)
        return -1;
    wanted.sha256 = blob->sha256;
    while (wanted.offset < total) {
        ProtobufCMessage *answer;
        const Mr__Blob *piece;
        int result;

        if (client_ask(replaying->visit.client, FRAME_BLOB_GET, &wanted.base, FRAME_BLOB,
                       &answer, err))
            return -1;
        piece = (const Mr__Blob *)answer;
        total = piece->total;
        wanted.offset += piece->data.len;
        result = piece->data.len ? write_all(fd, piece->data.data, piece->data.len, err)
                                 : error_set(err, ERROR_OBJECT,
                                             "the coordinator has not got the job object");
        frame_free(answer);
        if (result)
            return -1;
    }
    return 0;
}

/* All that an executor needs. */
static int prepare(struct replaying *replaying, const struct place *place, Mr__TaskKind kind,
                   uint32_t number, struct error *err)
{
    const char *base = getenv("TMPDIR");
    Mr__Replay *task = NULL, *map = NULL;
    int result =
        scratch_open(&replaying->scratch, base && *base ? base : "/tmp", "marram-replay", err);

    if (result || visit_open(&replaying->visit, place, err))
        return -1;
    replaying->plan = create(replaying, REPLAY_PLAN, err);
    if (replaying->plan < 0)
        return -1;
    result = ask_task(replaying, kind, number, &task, err);
    if (!result)
        result = copy_object(replaying, task->open->spec->blobs[0], err);
    for (uint32_t i = 0; !result && kind == MR__TASK_KIND__REDUCE && i < task->task->maps;
         i++) {
        result = ask_task(replaying, MR__TASK_KIND__MAP, i, &map, err);
        if (map)
            frame_free(&map->base);
        map = NULL;
    }
    if (task)
        frame_free(&task->base);
    return result;
}

/* Becomes an executor; returns only if that fails. The folder's lock goes along: as long as the
 * process lives nobody sweeps it away. */
static void become_executor(struct replaying *replaying, struct error *err)
{
    cleanup_free char *program = locate_executor(err);
    char *argv[] = {(char *)"marram-executor", (char *)"--replay", replaying->scratch.path,
                    NULL};

    if (!program)
        return;
    setenv("OMP_NUM_THREADS", "1", 1);
    fcntl(replaying->scratch.lock, F_SETFD, 0);
    fflush(NULL);
    execv(program, argv);
    error_errno(err, ERROR_IO, "start '%s'", program);
}

static int replay(const struct place *place, const struct option_list *words)
{
    struct replaying replaying = {.scratch = SCRATCH_CLOSED, .plan = -1};
    struct report report;
    Mr__TaskKind kind;
    uint32_t task;
    struct error err;

    report_init(&report, false);
    if (words->count != 2)
        error_set(&err, ERROR_USAGE,
                  "a job and a task are wanted: marram replay ID map-N or reduce-N");
    else if (!visit_parse_job(words->items[0], &replaying.job, &err) &&
             !visit_parse_task("", words->items[1], &kind, &task, &err) &&
             !prepare(&replaying, place, kind, task, &err)) {
        visit_close(&replaying.visit);
        become_executor(&replaying, &err);
    }
    visit_close(&replaying.visit);
    memory_cleanup_close(&replaying.plan);
    scratch_close(&replaying.scratch);
    return report_error(&report, "replay", &err);
}

struct replay {
    struct place place;
};

static void add_options(void *into, struct option_table *table)
{
    struct replay *all = into;

    place_options(&all->place, table);
}

static int run(void *into, const struct option_list *words)
{
    const struct replay *all = into;

    return replay(&all->place, words);
}

const struct verb verb_replay = {
    .name = "replay",
    .summary = "run one task of a job again, by hand: for debuggers",
    .usage = "ID TASK [options]",
    .about = "Runs one task of a job again, here and in the foreground: the same object, "
             "parameters,\n"
             "input and skipped records, on one thread, record by record. TASK is map-N or "
             "reduce-N,\n"
             "as 'marram logs' names them. Nothing of it counts.",
    .notes = "For debuggers: gdb --args marram replay ID map-3, then run. The process becomes\n"
             "marram-executor, which gdb follows by itself, and valgrind with "
             "--trace-children=yes.\n"
             "A reduce task needs what the maps made of its part: they all run again first, "
             "here.\n"
             "A job that runs can be replayed, and one that failed: the coordinator keeps the "
             "plans\n"
             "of the last 16 of these.\n\n"
             "Exit status: 0 the task came to its end, 1 it failed, or there is nothing to "
             "replay;\n"
             "2 wrong usage, 3 no coordinator; what a crash leaves is the signal's.",
    .size = sizeof(struct replay),
    .options = add_options,
    .run = run,
};
