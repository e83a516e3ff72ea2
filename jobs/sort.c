/* sort: lines in bytewise order.
 *
 *     marram run sort -i /usr/share/common-licenses -o sorted
 *     cat sorted/part-*
 *
 * What `LC_ALL=C sort` prints, in parts that are consecutive ranges of lines. The line is the
 * key, without a value. */
#include <mr/job.h>

static void emit_lines(struct mr_task *task, struct mr_bytes text)
{
    for (struct mr_bytes line; mr_next_line(&text, &line);)
        mr_emit_key(task, line);
}

const struct mr_job mr_job = {
    MR_HEADER,          .flags = MR_TOTAL_ORDER,
    .name = "sort",     .about = "lines in bytewise order",
    .input = MR_BLOCKS, .map = emit_lines,
};
