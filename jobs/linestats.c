/* linestats: how many lines there are for each key, and how long they are.
 *
 *     marram run linestats -p field=1 -i /var/log/syslog -o stats
 *     head -1 stats/part-00000
 *     Jan     lines=4711 bytes=430912 min=38 max=613 mean=91.470
 *
 * The key of a line is its field number `field`, or "all" for field 0. Four lanes of integers
 * are folded on the way, in any order and exactly; the mean, which is not exact, is computed
 * once, from the totals, in `reduce`. Lines without the field are counted, not keyed. */
#include <mr/job.h>
#include <stdio.h>

struct params {
    int64_t field;
};

enum { EMPTY_LINES, LINES_WITHOUT_FIELD };
enum { LINES, BYTES, MIN, MAX, LANES };

/* Field number n of a line, from 1; false when it has fewer. */
static bool find_field(struct mr_bytes line, int64_t n, struct mr_bytes *ret)
{
    for (struct mr_words w = mr_words_in(line); mr_next_word(&w);)
        if (--n == 0) {
            *ret = w.word;
            return true;
        }
    return false;
}

static void measure(struct mr_task *task, struct mr_bytes line)
{
    const struct params *params = mr_params(task);
    const int64_t length = (int64_t)line.len;
    const int64_t lanes[LANES] = {
        [LINES] = 1, [BYTES] = length, [MIN] = length, [MAX] = length};
    struct mr_bytes key = {"all", 3};

    if (!line.len)
        mr_count(task, EMPTY_LINES, 1);
    if (params->field > 0 && !find_field(line, params->field, &key))
        mr_count(task, LINES_WITHOUT_FIELD, 1);
    else
        mr_emit_lanes(task, key, lanes, LANES);
}

static void summarise(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    int64_t lanes[LANES];
    char text[160];
    int n;

    mr_next_lanes(task, values, lanes, LANES);
    n = snprintf(text, sizeof text, "lines=%lld bytes=%lld min=%lld max=%lld mean=%.3f",
                 (long long)lanes[LINES], (long long)lanes[BYTES], (long long)lanes[MIN],
                 (long long)lanes[MAX], (double)lanes[BYTES] / (double)lanes[LINES]);
    mr_emit(task, key, ((struct mr_bytes){text, (size_t)n}));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "linestats",
    .about = "how many lines there are for each key, and how long they are",
    .counters =
        (const char *const[]){
            [EMPTY_LINES] = "empty_lines",
            [LINES_WITHOUT_FIELD] = "lines_without_field",
            NULL,
        },
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, field, "0",
                     "which blank-separated field is the key; 0: one key for all"),
            {0},
        },
    .folds = (const enum mr_fold[]){MR_COUNT, MR_SUM_I64, MR_MIN_I64, MR_MAX_I64, MR_NO_FOLD},
    .value = MR_I64,
    .output = MR_BYTES,
    .map = measure,
    .reduce = summarise,
};
