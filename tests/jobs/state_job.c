/* How often each byte occurs: counted in the threads' states, joined in merge, emitted once in
 * finish. */
#include <mr/job.h>
#include <stdlib.h>

struct histogram {
    int64_t count[256];
};

static void setup(struct mr_task *task)
{
    task->state = calloc(1, sizeof(struct histogram));
    if (!task->state)
        mr_fail(task, "out of memory");
}

static void teardown(struct mr_task *task)
{
    free(task->state);
}

static void count_bytes(struct mr_task *task, struct mr_bytes text)
{
    struct histogram *histogram = task->state;

    for (size_t i = 0; i < text.len; i++)
        histogram->count[(unsigned char)text.ptr[i]]++;
}

static void merge(struct mr_task *into, struct mr_task *from)
{
    struct histogram *a = into->state;
    const struct histogram *b = from->state;

    for (int i = 0; i < 256; i++)
        a->count[i] += b->count[i];
}

static void finish(struct mr_task *task)
{
    static const char digits[] = "0123456789abcdef";
    const struct histogram *histogram = task->state;

    for (int i = 0; i < 256; i++) {
        char key[2] = {digits[i >> 4], digits[i & 15]};

        if (histogram->count[i])
            mr_emit(task, ((struct mr_bytes){key, 2}), histogram->count[i]);
    }
}

const struct mr_job mr_job = {
    MR_HEADER,      .name = "state_job",  .input = MR_BLOCKS,
    .setup = setup, .teardown = teardown, .map = count_bytes,
    .merge = merge, .finish = finish,     .fold = MR_SUM_I64,
};
