/* Counts words without a fold, slowly: a line that begins with MARK takes map_ms, a key that
 * begins with MARK reduce_ms. Each is written into the file LOG as it begins, so that a test
 * knows what ran how often. */
#include <fcntl.h>
#include <mr/job.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct params {
    const char *log;
    int64_t map_ms, reduce_ms;
};

static bool is_mark(struct mr_bytes text)
{
    return text.len >= 4 && !memcmp(text.ptr, "MARK", 4);
}

static void note(const struct params *params, const char *what, struct mr_bytes text)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %.*s\n", what,
                     (int)(text.len < 200 ? text.len : 200), text.ptr);
    int fd = open(params->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0 || write(fd, line, (size_t)n) != n)
        _exit(1);
    close(fd);
}

static void rest(int64_t ms)
{
    usleep((unsigned)(ms * 1000));
}

static void count_words(struct mr_task *task, struct mr_bytes line)
{
    const struct params *params = mr_params(task);

    if (is_mark(line)) {
        note(params, "map", line);
        rest(params->map_ms);
    }
    for (struct mr_words w = mr_words_in(line); mr_next_word(&w);)
        mr_emit(task, w.word, 1);
}

static void add_up(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    const struct params *params = mr_params(task);
    int64_t sum = 0;

    if (is_mark(key)) {
        note(params, "reduce", key);
        rest(params->reduce_ms);
    }
    for (int64_t n; mr_next_i64(task, values, &n);)
        sum += n;
    mr_emit(task, key, sum);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "throttled",
    .map = count_words,
    .reduce = add_up,
    .value = MR_I64,
    .output = MR_I64,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, log, NULL, "the file to write into"),
            MR_PARAM(struct params, map_ms, "0", "a marked line takes so long"),
            MR_PARAM(struct params, reduce_ms, "0", "a marked key takes so long"),
            {0},
        },
};
