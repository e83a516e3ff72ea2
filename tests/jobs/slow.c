/* Counts words, slowly: each line and each word takes a while, so that a test can do something
 * to the cluster meanwhile. The sums are made in reduce, so that all pairs travel. */
#include <mr/job.h>
#include <stdio.h>
#include <time.h>

struct params {
    int64_t map_us, reduce_us;
};

static void pause_us(int64_t us)
{
    struct timespec wait = {us / 1000000, us % 1000000 * 1000};

    if (us)
        nanosleep(&wait, NULL);
}

static void emit_words(struct mr_task *task, struct mr_bytes line)
{
    const struct params *params = mr_params(task);

    pause_us(params->map_us);
    for (struct mr_words words = mr_words_in(line); mr_next_word(&words);)
        mr_emit(task, words.word, ((struct mr_bytes){"1", 1}));
}

static void count(struct mr_task *task, struct mr_bytes word, struct mr_values *values)
{
    const struct params *params = mr_params(task);
    struct mr_bytes value;
    int64_t sum = 0;
    char text[24];

    pause_us(params->reduce_us);
    while (mr_next(task, values, &value))
        sum++;
    mr_emit(
        task, word,
        ((struct mr_bytes){text, (size_t)snprintf(text, sizeof text, "%lld", (long long)sum)}));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "slow",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, map_us, "0", "microseconds for each line"),
            MR_PARAM(struct params, reduce_us, "0", "microseconds for each word"),
            {0},
        },
    .map = emit_words,
    .reduce = count,
};
