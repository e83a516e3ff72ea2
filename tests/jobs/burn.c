/* Counts words, and spends so many microseconds of processor time on each line in map, and on
 * each word in reduce. */
#include <mr/job.h>
#include <time.h>

struct params {
    long map, reduce;
};

static long used_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void burn(long us)
{
    long end = used_us() + us;

    while (us && used_us() < end)
        ;
}

static void count_words(struct mr_task *task, struct mr_bytes line)
{
    const struct params *p = mr_params(task);

    burn(p->map);
    for (struct mr_words w = mr_words_in(line); mr_next_word(&w);)
        mr_emit(task, w.word, 1);
}

static void sum(struct mr_task *task, struct mr_bytes word, struct mr_values *counts)
{
    const struct params *p = mr_params(task);
    int64_t count = 0;

    burn(p->reduce);
    mr_next_i64(task, counts, &count);
    mr_emit(task, word, count);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "burn",
    .about = "counts words slowly",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, map, "0", "microseconds for each line"),
            MR_PARAM(struct params, reduce, "0", "microseconds for each word"),
            {0},
        },
    .map = count_words,
    .fold = MR_SUM_I64,
    .reduce = sum,
};
