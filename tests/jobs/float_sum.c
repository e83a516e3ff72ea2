/* Sums, least and greatest of the numbers behind each word: "word number" a line. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

static void measure(struct mr_task *task, struct mr_bytes line)
{
    struct mr_words words = mr_words_in(line);
    struct mr_bytes key;
    char number[64] = "";
    double value;

    if (!mr_next_word(&words))
        return;
    key = words.word;
    if (!mr_next_word(&words) || words.word.len >= sizeof number)
        return;
    memcpy(number, words.word.ptr, words.word.len);
    value = strtod(number, NULL);
    mr_emit_lanes_f64(task, key, (const double[]){value, value, value}, 3);
}

static void print(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    double lanes[3];
    char text[128];
    int n;

    mr_next_lanes_f64(task, values, lanes, 3);
    n = snprintf(text, sizeof text, "%.17g %.17g %.17g", lanes[0], lanes[1], lanes[2]);
    mr_emit(task, key, ((struct mr_bytes){text, (size_t)n}));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "float_sum",
    .folds = (const enum mr_fold[]){MR_SUM_F64, MR_MIN_F64, MR_MAX_F64, MR_NO_FOLD},
    .value = MR_F64,
    .output = MR_BYTES,
    .map = measure,
    .reduce = print,
};
