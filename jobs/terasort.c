/* terasort: records of 100 bytes in the order of their keys, which are their first 10.
 *
 *     marram run teragen -i range:10000000 -o tera
 *     marram run terasort -i tera -o sorted
 *     marram run teravalidate -i sorted -o report
 *
 * MR_TOTAL_ORDER makes the parts consecutive ranges of keys: one behind the other they are the
 * sorted file, for any number of them. Without `reduce` the sorted pairs are the output, and
 * raw output puts each record together again. Records with equal keys stay in input order. */
#include <mr/job.h>

enum { RECORD = 100, KEY = 10 };

static void cut(struct mr_task *task, struct mr_bytes records)
{
    for (struct mr_bytes record; mr_next_record(&records, RECORD, &record);) {
        struct mr_bytes key = {record.ptr, KEY}, value = {record.ptr + KEY, RECORD - KEY};

        mr_emit(task, key, value);
    }
}

const struct mr_job mr_job = {
    MR_HEADER,
    .flags = MR_TOTAL_ORDER,
    .name = "terasort",
    .about = "records of 100 bytes in the order of their first 10",
    .input_format = "fixed:100",
    .output_format = "raw",
    .input = MR_BLOCKS,
    .map = cut,
};
