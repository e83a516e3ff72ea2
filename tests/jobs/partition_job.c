/* Words by their first byte: part p holds those whose first byte is p modulo the parts, `off`
 * parts further. */
#include <mr/job.h>

struct params {
    long off;
};

static void count_words(struct mr_task *task, struct mr_bytes text)
{
    for (struct mr_words w = mr_words_in(text); mr_next_word(&w);)
        mr_emit(task, w.word, 1);
}

static uint32_t by_first_byte(struct mr_task *task, struct mr_bytes key, uint32_t parts)
{
    const struct params *params = mr_params(task);

    return (unsigned char)key.ptr[0] % parts + (uint32_t)params->off;
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "partition_job",
    .input = MR_BLOCKS,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){MR_PARAM(struct params, off, "0", "added to the part"), {0}},
    .map = count_words,
    .partition = by_first_byte,
    .fold = MR_SUM_I64,
};
