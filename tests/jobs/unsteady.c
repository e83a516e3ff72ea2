/* A map that is not deterministic: it emits what stands in the file SALT at the time. In reduce
 * the key "hold" makes HOLD.reached and waits until HOLD exists. */
#include <mr/job.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct params {
    const char *salt, *hold;
};

static int64_t number_in(const char *path)
{
    FILE *file = fopen(path, "r");
    char text[32] = "";

    if (!file)
        return 0;
    if (!fgets(text, sizeof text, file))
        text[0] = '\0';
    fclose(file);
    return strtoll(text, NULL, 10);
}

static void setup(struct mr_task *task)
{
    const struct params *p = mr_params(task);
    int64_t *salt = malloc(sizeof *salt);

    if (!salt)
        abort();
    *salt = number_in(p->salt);
    task->state = salt;
}

static void teardown(struct mr_task *task)
{
    free(task->state);
}

static void map(struct mr_task *task, struct mr_bytes line)
{
    const int64_t *salt = task->state;

    for (struct mr_words w = mr_words_in(line); mr_next_word(&w);)
        mr_emit(task, w.word, *salt);
}

static void reduce(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    const struct params *p = mr_params(task);
    char path[4096];
    int64_t value, sum = 0;
    FILE *file;

    if (key.len == 4 && !memcmp(key.ptr, "hold", 4) && access(p->hold, F_OK)) {
        snprintf(path, sizeof path, "%s.reached", p->hold);
        file = fopen(path, "w");
        if (file)
            fclose(file);
        while (access(p->hold, F_OK))
            usleep(1000);
    }
    while (mr_next_i64(task, values, &value))
        sum += value;
    mr_emit(task, key, sum);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "unsteady",
    .setup = setup,
    .teardown = teardown,
    .map = map,
    .reduce = reduce,
    .value = MR_I64,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, salt, NULL, "the file with the number to emit"),
            MR_PARAM(struct params, hold, NULL, "the file to wait for"),
            {0},
        },
};
