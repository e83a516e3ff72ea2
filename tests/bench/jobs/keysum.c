/* keysum: for each key of lines `key TAB number`, how many values it has and their sum. A plain
 * reduce, without a fold or a combiner: each value travels. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void split_lines(struct mr_task *task, struct mr_bytes text)
{
    struct mr_bytes line;

    while (mr_next_line(&text, &line)) {
        const char *tab = memchr(line.ptr, '\t', line.len);

        if (!tab) {
            mr_fail(task, "no TAB in this line");
            return;
        }
        mr_emit(task, ((struct mr_bytes){line.ptr, (size_t)(tab - line.ptr)}),
                ((struct mr_bytes){tab + 1, (size_t)(line.ptr + line.len - tab - 1)}));
    }
}

static void add_up(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    unsigned long long count = 0, sum = 0;
    struct mr_bytes value;
    char text[64];

    while (mr_next(task, values, &value)) {
        unsigned number = 0;

        for (size_t i = 0; i < value.len; i++)
            number = number * 10 + (unsigned)(value.ptr[i] - '0');
        count++;
        sum += number;
    }
    snprintf(text, sizeof text, "%llu %llu", count, sum);
    mr_emit(task, key, ((struct mr_bytes){text, strlen(text)}));
}

const struct mr_job mr_job = {
    MR_HEADER,          .name = "keysum",   .about = "number and sum of the values of each key",
    .input = MR_BLOCKS, .map = split_lines, .value = MR_BYTES,
    .reduce = add_up,
};
