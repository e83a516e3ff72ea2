/* Counts words, with a combiner, and fails on each that begins with "BAD": in map, combine or
 * reduce, in a way that is chosen. With `marks` it notes each time in a file of that name, with
 * `passes` each time that it maps a word that begins with "FIRST"; with `hold` it waits in
 * reduce until that file is there, and says so with one of that name and ".waits". */
#include <fcntl.h>
#include <mr/job.h>
#include <mr/text.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef INPUT
#define INPUT MR_LINES
#endif

struct params {
    const char *map, *combine, *reduce, *marks, *passes, *hold;
};

static volatile int zero, nowhere;
static int *volatile null;

static void raise_bus(void)
{
    kill(getpid(), SIGBUS);
    pause();
}

/* In the frame of a function with a name, which the backtrace is to show. */
__attribute__((noinline)) static void write_to_nowhere(void)
{
    *null = 1;
}

/* Deeper than any stack, in a way that is not to be turned into a loop. */
__attribute__((noinline)) static int deep(int depth)
{
    volatile char frame[4096];

    frame[0] = (char)depth;
    nowhere = depth < 1 << 30 ? deep(depth + 1) + frame[0] : 0;
    return nowhere;
}

static void note(const char *path)
{
    int file = *path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;

    if (file >= 0 && write(file, "x", 1) == 1)
        close(file);
}

static void misbehave(struct mr_task *task, const char *how)
{
    const struct params *params = mr_params(task);

    note(params->marks);
    if (!strcmp(how, "segv"))
        write_to_nowhere();
    else if (!strcmp(how, "overflow"))
        deep(0);
    else if (!strcmp(how, "fpe"))
        zero = 1000 / zero;
    else if (!strcmp(how, "bus"))
        raise_bus();
    else if (!strcmp(how, "kill"))
        kill(getpid(), SIGKILL), pause();
    else if (!strcmp(how, "abort"))
        abort();
    else if (!strcmp(how, "fail"))
        mr_fail(task, "it is bad");
}

static bool is_bad(struct mr_bytes word)
{
    return word.len >= 3 && !memcmp(word.ptr, "BAD", 3);
}

static bool is_first(struct mr_bytes word)
{
    return word.len >= 5 && !memcmp(word.ptr, "FIRST", 5);
}

static void count_words(struct mr_task *task, struct mr_bytes text)
{
    const struct params *params = mr_params(task);

    for (struct mr_words w = mr_words_in(text); mr_next_word(&w);) {
        if (*params->passes && is_first(w.word))
            note(params->passes);
        if (*params->map && is_bad(w.word))
            misbehave(task, params->map);
        mr_emit(task, w.word, 1);
    }
}

static void add_up(struct mr_task *task, struct mr_bytes word, struct mr_values *counts,
                   const char *how)
{
    int64_t sum = 0, count;

    if (*how && is_bad(word))
        misbehave(task, how);
    while (mr_next_i64(task, counts, &count))
        sum += count;
    mr_emit(task, word, sum);
}

static void combine(struct mr_task *task, struct mr_bytes word, struct mr_values *counts)
{
    const struct params *params = mr_params(task);

    add_up(task, word, counts, params->combine);
}

static void wait_for(const char *path)
{
    char waits[4096];

    snprintf(waits, sizeof waits, "%s.waits", path);
    note(waits);
    while (access(path, F_OK))
        usleep(1000);
}

static void reduce(struct mr_task *task, struct mr_bytes word, struct mr_values *counts)
{
    const struct params *params = mr_params(task);

    if (*params->hold && access(params->hold, F_OK))
        wait_for(params->hold);
    add_up(task, word, counts, params->reduce);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "bad",
    .about = "counts words, and fails on those that begin with BAD",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, map, "", "how to fail in map"),
            MR_PARAM(struct params, combine, "", "how to fail in combine"),
            MR_PARAM(struct params, reduce, "", "how to fail in reduce"),
            MR_PARAM(struct params, marks, "", "a file that gets a byte for each failure"),
            MR_PARAM(struct params, passes, "",
                     "a file that gets a byte for each FIRST mapped"),
            MR_PARAM(struct params, hold, "", "a file that reduce waits for"),
            {0},
        },
    .input = INPUT,
    .value = MR_I64,
    .map = count_words,
    .combine = combine,
    .reduce = reduce,
};
