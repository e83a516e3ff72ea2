/* A sample attempt: where the parts of a job with MR_TOTAL_ORDER begin. The job's map runs on
 * pieces of the input, and of what it emits the keys are kept and cut at equal ranks; nothing
 * else of it counts. Each piece is the work of one thread, so that which thread took it cannot
 * be seen in the points: a job that gathers in its state and emits at the end of its split is
 * set up, finished and torn down for each piece. */
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"
#include "worker/executor/fault.h"
#include "worker/executor/feed.h"
#include "worker/executor/supply.h"
#include "worker/executor/work.h"

struct sample_task {
    struct executor *executor;
    const Mr__Assign *assign;
    atomic_size_t next; /* extent */
    atomic_bool failed;
};

/* How far a piece may be read on for a record that begins in it: to where the next one begins,
 * or the file ends, but not for ever. */
static uint64_t reach(const Mr__Assign *assign, size_t i)
{
    const Mr__Extent *piece = assign->extents[i],
                     *next = i + 1 < assign->n_extents ? assign->extents[i + 1] : NULL;
    uint64_t end = next && next->file == piece->file ? next->offset : piece->file_size;
    uint64_t most = end > piece->offset ? end - piece->offset : 0;

    return most > LIMIT_CHUNK ? LIMIT_CHUNK : most;
}

/* Where no record begins, as happens where they are long, the piece grows until one does. */
static void feed_piece(struct sample_task *sample, struct thread *thread, struct input *input,
                       size_t i)
{
    const Mr__Extent *piece = sample->assign->extents[i];
    uint64_t length = piece->length, most = reach(sample->assign, i);

    while (
        !feed_map(thread, input, sample->assign->extents, (uint32_t)i, piece->offset, length) &&
        !thread->failed && length < most)
        length = 2 * length < most ? 2 * length : most;
}

/* Of a solid file its beginning, as much of its text as the piece is long. */
static void feed_solid(struct sample_task *sample, struct thread *thread, struct input *input,
                       uint32_t index)
{
    Mr__Extent *const *extents = sample->assign->extents;
    uint64_t left = extents[index]->length, offset, used;
    struct solid *solid = NULL;
    struct mr_bytes text;
    struct error err;

    if (supply_open(thread->host, input, extents, index, &solid, &err))
        thread_fail(thread, err.code, "%s", err.text);
    while (left && !thread->failed) {
        size_t most = left < LIMIT_PIECE ? (size_t)left : LIMIT_PIECE;

        if (solid_next(solid, &thread->lines, most, &text, &offset, &used, &err) ||
            (text.len && supply_bind(thread, solid, input, extents[index], &err)))
            thread_fail(thread, err.code, "%s", err.text);
        else if (!text.len)
            break;
        else
            feed_text(thread, input, extents, index, text, offset);
        if (!thread->failed)
            left -= text.len < left ? text.len : left;
    }
    solid_free(solid);
}

static void finish_piece(struct thread *thread)
{
    if (!thread->host->job.finish)
        return;
    if (!thread->failed) {
        thread_phase(thread, SLOT_FINISH);
        thread->host->job.finish(&thread->task);
        thread_phase(thread, SLOT_HOST);
    }
    thread_tear_down(thread);
    thread->sink = SINK_SAMPLE;
}

static void sample_pieces(struct sample_task *sample, struct thread *thread)
{
    struct input input = {.fd = -1};

    while (!atomic_load(&sample->failed)) {
        size_t i = atomic_fetch_add(&sample->next, 1);

        if (i >= sample->assign->n_extents)
            break;
        sample_piece(thread->sample, sample->assign->n_extents);
        thread_set_up(thread);
        if (!thread->failed &&
            chunks_is_solid(thread->host->input_format, sample->assign->extents[i]))
            feed_solid(sample, thread, &input, (uint32_t)i);
        else if (!thread->failed)
            feed_piece(sample, thread, &input, i);
        finish_piece(thread);
        if (thread->failed)
            atomic_store(&sample->failed, true);
    }
    thread_phase(thread, SLOT_IDLE);
    input_close(&input);
    thread->source.path = "";
}

/* *ret_failed: the thread that tells why. */
static int run_all(struct sample_task *sample, const struct thread **ret_failed,
                   struct error *err)
{
    struct executor *executor = sample->executor;

#pragma omp parallel num_threads(sample->assign->single ? 1 : executor->thread_count)
    sample_pieces(sample, &executor->threads[omp_get_thread_num()]);
    fault_watch(executor->threads[0].slot);
    for (int i = 0; i < executor->thread_count; i++)
        thread_tear_down(&executor->threads[i]);
    for (int i = 0; i < executor->thread_count; i++)
        if (executor->threads[i].failed) {
            *ret_failed = &executor->threads[i];
            *err = executor->threads[i].error;
            return -1;
        }
    return 0;
}

static ProtobufCBinaryData slice(struct mr_bytes bytes)
{
    return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
}

static void report(struct sample_task *sample)
{
    struct executor *executor = sample->executor;
    cleanup_free struct sample **all = memory_new((size_t)executor->thread_count * sizeof *all);
    cleanup_free ProtobufCBinaryData *points = NULL;
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    Mr__Ranges ranges = MR__RANGES__INIT;
    struct sample_points cut;

    for (int i = 0; i < executor->thread_count; i++)
        all[i] = executor->threads[i].sample;
    sample_cut(all, executor->thread_count, executor->host.open->parts, &cut);
    points = memory_new((cut.count + 1) * sizeof *points);
    for (size_t i = 0; i < cut.count; i++)
        points[i] = slice(cut.points[i]);
    ranges.prefix = slice(cut.prefix);
    ranges.points = points;
    ranges.n_points = cut.count;
    done.ranges = &ranges;
    work_done(executor, &done, sample->assign);
    free(cut.points);
}

void sample_run(struct executor *executor, const Mr__Assign *assign)
{
    struct sample_task sample = {.executor = executor, .assign = assign};
    const struct thread *failed = NULL;
    struct skips skips;
    struct error err;

    skips_open(&skips, assign);
    for (int i = 0; i < executor->thread_count; i++) {
        thread_begin(&executor->threads[i], &executor->host, assign);
        thread_take_records(&executor->threads[i]);
        executor->threads[i].skips = &skips;
        executor->threads[i].sink = SINK_SAMPLE;
        executor->threads[i].sample = sample_new();
    }
    if (run_all(&sample, &failed, &err))
        work_failed(executor, assign, &err, failed, 0);
    else
        report(&sample);
    for (int i = 0; i < executor->thread_count; i++) {
        sample_free(executor->threads[i].sample);
        executor->threads[i].sample = NULL;
        thread_drop_records(&executor->threads[i]);
        thread_phase(&executor->threads[i], SLOT_IDLE);
    }
    skips_close(&skips);
}
