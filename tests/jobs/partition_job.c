/* Words by their first byte: part p holds those whose first byte is p modulo the parts, `off`
 * parts further. With `crash` the part of the word BAD is looked up where nothing is. */
#include <mr/job.h>
#include <string.h>

struct params {
    long off;
    bool crash;
};

static const volatile uint32_t *volatile nowhere;

static void count_words(struct mr_task *task, struct mr_bytes text)
{
    for (struct mr_words w = mr_words_in(text); mr_next_word(&w);)
        mr_emit(task, w.word, 1);
}

static uint32_t by_first_byte(struct mr_task *task, struct mr_bytes key, uint32_t parts)
{
    const struct params *params = mr_params(task);

    if (params->crash && key.len == 3 && !memcmp(key.ptr, "BAD", 3))
        return *nowhere;
    return (unsigned char)key.ptr[0] % parts + (uint32_t)params->off;
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "partition_job",
    .input = MR_BLOCKS,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){MR_PARAM(struct params, off, "0", "added to the part"),
                                  MR_PARAM(struct params, crash, "false", "at the word BAD"),
                                  {0}},
    .map = count_words,
    .partition = by_first_byte,
    .fold = MR_SUM_I64,
};
