/* Counts words, but waits in map until the file GATE exists, having made GATE.reached and said
 * so. With `fail` it fails then. */
#include <mr/job.h>
#include <stdio.h>
#include <unistd.h>

struct params {
    const char *gate;
    bool fail;
};

static void reach(const char *gate)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s.reached", gate);
    printf("waiting for %s\n", gate);
    fflush(stdout);
    file = fopen(path, "w");
    if (file)
        fclose(file);
}

static void count_words(struct mr_task *task, struct mr_bytes line)
{
    const struct params *p = mr_params(task);

    if (access(p->gate, F_OK))
        reach(p->gate);
    while (access(p->gate, F_OK))
        usleep(1000);
    if (p->fail)
        mr_fail(task, "as it was told to");
    for (struct mr_words w = mr_words_in(line); mr_next_word(&w);)
        mr_emit(task, w.word, 1);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "gate",
    .map = count_words,
    .fold = MR_SUM_I64,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, gate, NULL, "the file to wait for"),
            MR_PARAM(struct params, fail, "false", "fail then"),
            {0},
        },
};
