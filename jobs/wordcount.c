/* wordcount: how often does each word occur? A word is what lies between bytes <= ' '.
 *
 *     marram run wordcount -i /usr/share/common-licenses -o words
 *     sort -t "$(printf '\t')" -k2nr words/part-* | head -3
 *     the     9310
 *     of      5161
 *     to      4479
 *
 * It takes whole blocks of lines, which saves a call for each line, and leaves the adding up to
 * the fold: each word has one accumulator, from the first thread to the output. */
#include <mr/job.h>

static void count_words(struct mr_task *task, struct mr_bytes text)
{
    for (struct mr_words w = mr_words_in(text); mr_next_word(&w);)
        mr_emit(task, w.word, 1);
}

const struct mr_job mr_job = {
    MR_HEADER,          .name = "wordcount", .about = "how often does each word occur?",
    .input = MR_BLOCKS, .map = count_words,  .fold = MR_SUM_I64,
};
