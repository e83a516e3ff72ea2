/* groupsum: the sum of one field for each value of another one, and of how many records.
 *
 *     marram run groupsum --input-format csv -p by=user -p sum=amount -p decimals=2 -i
 * sales.csv.gz -o sums head -1 sums/part-00000 alice   1290.95 42
 *
 * Any input format with fields will do: csv, jsonl, keyval. Numbers are decimal, with up to
 * `decimals` digits behind the point, and added as integers of the last of these: sums are
 * exact (below 2^63 of them), and the same whatever the order. Records that lack one of the
 * fields are counted, not summed; what is no such number fails, with its place. */
#include <inttypes.h>
#include <mr/job.h>
#include <stdio.h>

struct params {
    const char *by, *sum;
    int64_t decimals;
};

enum { MISSING };
enum { SUM, RECORDS, LANES };
enum { DECIMALS_MAX = 18, DIGITS_MAX = 40 };

/* "-12.5" with two decimals is -1250. False: it has more, or is no number. */
static bool scaled(struct mr_bytes text, int64_t decimals, int64_t *ret)
{
    const char *point = text.len ? memchr(text.ptr, '.', text.len) : NULL;
    size_t whole = point ? (size_t)(point - text.ptr) : text.len;
    size_t behind = point ? text.len - whole - 1 : 0;
    char digits[DIGITS_MAX + DECIMALS_MAX];

    if (behind > (size_t)decimals || whole > DIGITS_MAX || (point && !behind))
        return false;
    memcpy(digits, text.ptr, whole);
    if (point)
        memcpy(digits + whole, point + 1, behind);
    memset(digits + whole + behind, '0', (size_t)decimals - behind);
    /* "-.5" and ".5" are none; a sign behind the point is no digit. */
    if (!whole || text.ptr[whole - 1] < '0' || text.ptr[whole - 1] > '9')
        return false;
    return mr_integer_of((struct mr_bytes){digits, whole + (size_t)decimals}, ret);
}

static void setup(struct mr_task *task)
{
    const struct params *params = mr_params(task);

    if (params->decimals < 0 || params->decimals > DECIMALS_MAX)
        mr_fail(task, "decimals=%" PRId64 ": 0 to %d are possible", params->decimals,
                DECIMALS_MAX);
}

static void map(struct mr_task *task, struct mr_bytes record)
{
    const struct params *params = mr_params(task);
    int64_t lanes[LANES] = {[RECORDS] = 1};
    struct mr_bytes by, sum;

    (void)record;
    if (!mr_find_field(task, params->by, &by) || !mr_find_field(task, params->sum, &sum))
        mr_count(task, MISSING, 1);
    else if (!scaled(sum, params->decimals, &lanes[SUM]))
        mr_fail(task, "%s is '%.*s': no number with up to %" PRId64 " decimals (-p decimals)",
                params->sum, sum.len < 40 ? (int)sum.len : 40, sum.ptr, params->decimals);
    else
        mr_emit_lanes(task, by, lanes, LANES);
}

static void print(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    const struct params *params = mr_params(task);
    int64_t lanes[LANES];
    uint64_t sum, unit = 1;
    char text[80];
    int n;

    mr_next_lanes(task, values, lanes, LANES);
    sum = lanes[SUM] < 0 ? 0 - (uint64_t)lanes[SUM] : (uint64_t)lanes[SUM];
    for (int64_t i = 0; i < params->decimals; i++)
        unit *= 10;
    n = snprintf(text, sizeof text, "%s%" PRIu64, lanes[SUM] < 0 ? "-" : "", sum / unit);
    if (params->decimals)
        n += snprintf(text + n, sizeof text - (size_t)n, ".%0*" PRIu64, (int)params->decimals,
                      sum % unit);
    n += snprintf(text + n, sizeof text - (size_t)n, "\t%" PRId64, lanes[RECORDS]);
    mr_emit(task, key, ((struct mr_bytes){text, (size_t)n}));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "groupsum",
    .about = "the sum of one field for each value of another one",
    .counters = (const char *const[]){[MISSING] = "records_without_field", NULL},
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, by, NULL, "the field whose values are grouped by"),
            MR_PARAM(struct params, sum, NULL, "the field that is added up"),
            MR_PARAM(struct params, decimals, "0", "digits behind the point, at most"),
            {0},
        },
    .input_format = "csv",
    .input = MR_RECORDS,
    .folds = (const enum mr_fold[]){[SUM] = MR_SUM_I64, [RECORDS] = MR_COUNT, MR_NO_FOLD},
    .value = MR_I64,
    .output = MR_BYTES,
    .setup = setup,
    .map = map,
    .reduce = print,
};
