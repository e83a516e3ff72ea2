/* In total order, with keys that a thread keeps and emits when it has 1,000 of them, or at the
 * end of the split: when it emits a key depends on what else it read. */
#include <mr/job.h>
#include <stdlib.h>

enum { KEY = 32, FULL = 1000 };

struct kept {
    char (*keys)[KEY];
    size_t count, capacity;
};

static void set_up(struct mr_task *task)
{
    task->state = calloc(1, sizeof(struct kept));
}

static void tear_down(struct mr_task *task)
{
    struct kept *kept = task->state;

    free(kept->keys);
    free(kept);
}

static void keep(struct kept *kept, const char *key)
{
    if (kept->count == kept->capacity) {
        kept->capacity = 2 * kept->capacity + FULL;
        kept->keys = realloc(kept->keys, kept->capacity * sizeof *kept->keys);
    }
    memcpy(kept->keys[kept->count++], key, KEY);
}

static void emit_all(struct mr_task *task)
{
    struct kept *kept = task->state;

    for (size_t i = 0; i < kept->count; i++)
        mr_emit(task, mr_text(kept->keys[i]), 1);
    kept->count = 0;
}

static void map_line(struct mr_task *task, struct mr_bytes line)
{
    struct kept *kept = task->state;
    char key[KEY] = "";

    memcpy(key, line.ptr, line.len < KEY - 1 ? line.len : KEY - 1);
    keep(kept, key);
    if (kept->count >= FULL)
        emit_all(task);
}

static void join(struct mr_task *into, struct mr_task *from)
{
    struct kept *kept = from->state;

    for (size_t i = 0; i < kept->count; i++)
        keep(into->state, kept->keys[i]);
    kept->count = 0;
}

const struct mr_job mr_job = {
    MR_HEADER,       .flags = MR_TOTAL_ORDER, .name = "order_state",
    .setup = set_up, .teardown = tear_down,   .map = map_line,
    .merge = join,   .finish = emit_all,      .fold = MR_SUM_I64,
};
