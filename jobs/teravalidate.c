/* teravalidate: whether files of 100-byte records, one behind the other, are in the order of
 * their keys, which are the first 10 bytes.
 *
 *     marram run teravalidate -i sorted -o report
 *     cat report/part-*
 *     checksum    4c49607ac53602
 *     duplicates  0
 *     records     10000000
 *
 * A record with a lower key than the one before it fails the job, with its place and both keys.
 * Else the report has the sum of the records' CRC-32s in hexadecimal digits, as valsort and
 * Hadoop's TeraValidate compute it: the sum does not depend on the order, so that input and
 * output of a sort must agree. `duplicates` counts records whose key is that of the one before.
 * Nothing is reported of no records at all.
 *
 * `map` leaves a summary of each block, with the first record that is out of order. All
 * summaries have one key, and the values of one key arrive in input order: file by file as
 * listed, and by offset. So `reduce` has but to look at the borders, wherever the blocks were
 * cut. */
#include <mr/job.h>
#include <stdio.h>
#include <zlib.h>

__extension__ typedef unsigned __int128 uint128;

enum { RECORD = 100, KEY = 10, HEX = 2 * KEY + 1, PATH = 4096 };

/* Two keys that follow one another, the second one of the record at `offset`. */
struct step {
    uint64_t offset;
    char before[KEY], behind[KEY];
};

/* Of consecutive records; the path of their file stands behind it. */
struct summary {
    uint64_t records, duplicates, checksum; /* fewer than 2^32 records: no sum overflows */
    uint64_t offset;                        /* of the first one */
    char first[KEY], last[KEY];
    struct step descent; /* the first one, if `unsorted` */
    bool unsorted;
};

static struct summary summarise(struct mr_bytes records, uint64_t offset)
{
    struct summary sum = {.offset = offset};

    for (struct mr_bytes record; mr_next_record(&records, RECORD, &record); offset += RECORD) {
        int order = sum.records ? memcmp(sum.last, record.ptr, KEY) : -1;

        if (!sum.records)
            memcpy(sum.first, record.ptr, KEY);
        if (order > 0 && !sum.unsorted) {
            sum.unsorted = true;
            sum.descent.offset = offset;
            memcpy(sum.descent.before, sum.last, KEY);
            memcpy(sum.descent.behind, record.ptr, KEY);
        }
        memcpy(sum.last, record.ptr, KEY);
        sum.duplicates += order == 0;
        sum.checksum += crc32(0, (const unsigned char *)record.ptr, RECORD);
        sum.records++;
    }
    return sum;
}

static void check_block(struct mr_task *task, struct mr_bytes records)
{
    struct mr_source source = mr_source(task);
    struct summary sum = summarise(records, source.offset);
    size_t path = strlen(source.path);
    char value[sizeof sum + PATH];

    path = path < PATH ? path : PATH;
    memcpy(value, &sum, sizeof sum);
    memcpy(value + sizeof sum, source.path, path);
    mr_emit(task, mr_text("order"), ((struct mr_bytes){value, sizeof sum + path}));
}

static const char *hex(const char *key, char text[HEX])
{
    for (int i = 0; i < KEY; i++)
        sprintf(text + 2 * i, "%02x", (unsigned char)key[i]);
    return text;
}

static void complain(struct mr_task *task, struct mr_bytes path, const struct step *step)
{
    char before[HEX], behind[HEX];

    mr_fail(task, "'%.*s' is not sorted: the key at offset %llu is %s, the one before it %s",
            (int)path.len, path.ptr, (unsigned long long)step->offset,
            hex(step->behind, behind), hex(step->before, before));
}

static void print(struct mr_task *task, const char *name, uint128 sum, int base)
{
    char text[40], *at = text + sizeof text;

    do
        *--at = "0123456789abcdef"[sum % (unsigned)base];
    while (sum /= (unsigned)base);
    mr_emit(task, mr_text(name), ((struct mr_bytes){at, (size_t)(text + sizeof text - at)}));
}

static void check_borders(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    struct summary sum, last = {.records = 0};
    uint128 records = 0, duplicates = 0, checksum = 0;

    (void)key;
    for (struct mr_bytes value; mr_next(task, values, &value); last = sum) {
        struct mr_bytes path = {value.ptr + sizeof sum, value.len - sizeof sum};
        struct step border;
        int order;

        memcpy(&sum, value.ptr, sizeof sum);
        border.offset = sum.offset;
        memcpy(border.before, last.last, KEY);
        memcpy(border.behind, sum.first, KEY);
        order = last.records ? memcmp(border.before, border.behind, KEY) : -1;
        if (order > 0 || sum.unsorted) {
            complain(task, path, order > 0 ? &border : &sum.descent);
            return;
        }
        records += sum.records;
        duplicates += sum.duplicates + (order == 0);
        checksum += sum.checksum;
    }
    print(task, "checksum", checksum, 16);
    print(task, "duplicates", duplicates, 10);
    print(task, "records", records, 10);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "teravalidate",
    .about = "whether records of 100 bytes are in the order of their first 10",
    .input_format = "fixed:100",
    .input = MR_BLOCKS,
    .map = check_block,
    .reduce = check_borders,
};
