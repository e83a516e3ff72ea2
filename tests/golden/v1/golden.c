/* Built against the first <mr/job.h>, frozen beside it, and loaded by every Marram from then
 * on. It uses most of what that header offers; the output says whether each call still does
 * what it did. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

struct params {
    long times;
    double scale;
    bool shout;
    const char *word;
};

enum { LINES_SEEN, GROUPS_SEEN };

static void setup(struct mr_task *task)
{
    task->state = calloc(1, sizeof(int64_t));
}

static void teardown(struct mr_task *task)
{
    free(task->state);
}

static void map(struct mr_task *task, struct mr_bytes text)
{
    const struct params *params = mr_params(task);
    struct mr_source source = mr_source(task);
    int64_t *lines = task->state;

    mr_status(task, "reading");
    for (struct mr_bytes line; mr_next_line(&text, &line);) {
        ++*lines;
        mr_count(task, LINES_SEEN, 1);
        for (struct mr_words w = mr_words_bounded(line); mr_next_word(&w);)
            for (long i = 0; i < params->times; i++)
                mr_emit(task, w.word, mr_text(params->word));
    }
    mr_emit(task, mr_text("#path"), mr_text(strrchr(source.path, '/') + 1));
}

static void merge(struct mr_task *into, struct mr_task *from)
{
    *(int64_t *)into->state += *(int64_t *)from->state;
}

static void finish(struct mr_task *task)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", (long long)*(int64_t *)task->state);

    mr_emit(task, mr_text("#lines"), ((struct mr_bytes){text, (size_t)n}));
}

static uint32_t partition(struct mr_task *task, struct mr_bytes key, uint32_t parts)
{
    (void)task;
    return key.ptr[0] == '#' ? 0 : parts - 1;
}

static void combine(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes value;

    while (mr_next(task, values, &value))
        mr_emit_bytes(task, key, value);
}

static void reduce(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    const struct params *params = mr_params(task);
    struct mr_bytes piece, same = mr_value_key(task, values);
    char text[256];
    size_t bytes = 0, n = 0;
    bool last;

    mr_count(task, GROUPS_SEEN, 1);
    while (mr_value_part(task, values, &piece, &last)) {
        bytes += piece.len;
        n += last;
    }
    if (same.len != key.len)
        mr_fail(task, "the key of the values is not the key");
    snprintf(text, sizeof text, "n=%zu bytes=%zu scaled=%.2f%s", n, bytes,
             (double)n * params->scale, params->shout ? "!" : "");
    mr_emit(task, key, mr_text(text));
    if (key.len == 6 && !memcmp(key.ptr, "#lines", 6))
        mr_emit_key(task, mr_text("#end"));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "golden",
    .about = "what the first header offered",
    .counters = (const char *const[]){"lines_seen", "groups_seen", NULL},
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, times, "2", "how often a word is emitted"),
            MR_PARAM(struct params, scale, "0.5", "what the number of values is multiplied by"),
            MR_PARAM(struct params, shout, "false", "whether to shout"),
            MR_PARAM(struct params, word, NULL, "the value of a word"),
            {0},
        },
    .input = MR_BLOCKS,
    .value = MR_BYTES,
    .output = MR_BYTES,
    .setup = setup,
    .teardown = teardown,
    .map = map,
    .merge = merge,
    .finish = finish,
    .combine = combine,
    .reduce = reduce,
    .partition = partition,
};
