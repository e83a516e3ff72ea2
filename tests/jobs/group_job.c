/* Lines `user rest` as keys, grouped by the user: how many different ones there are, how many
 * in all, and the first and the last. With `first` the values behind the first are left unread.
 */
#include <mr/job.h>
#include <stdio.h>

#ifndef FLAGS
#define FLAGS 0
#endif

struct params {
    bool first;
    bool too_long;
};

static void emit_line(struct mr_task *task, struct mr_bytes line)
{
    mr_emit(task, line, 1);
}

static size_t user_of(struct mr_task *task, struct mr_bytes key)
{
    const struct params *params = mr_params(task);
    const char *blank = memchr(key.ptr, ' ', key.len);

    return blank && !params->too_long ? (size_t)(blank - key.ptr) + 1 : key.len + 1;
}

#ifdef COMBINE
static void add_up(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    int64_t sum = 0;

    for (int64_t n; mr_next_i64(task, values, &n);)
        sum += n;
    mr_emit(task, key, sum);
}
#endif

struct kept {
    char text[256];
    size_t len;
};

static void keep(struct kept *kept, struct mr_bytes key)
{
    kept->len = key.len < sizeof kept->text ? key.len : sizeof kept->text;
    memcpy(kept->text, key.ptr, kept->len);
}

static bool is_kept(const struct kept *kept, struct mr_bytes key)
{
    return kept->len == key.len && !memcmp(kept->text, key.ptr, key.len);
}

static void measure(struct mr_task *task, struct mr_bytes group, struct mr_values *values)
{
    const struct params *params = mr_params(task);
    struct kept first, last = {.len = 0};
    int64_t all = 0, different = 0;
    char text[600];
    int used;

    keep(&first, mr_value_key(task, values));
    for (int64_t n; mr_next_i64(task, values, &n); all += n) {
        struct mr_bytes key = mr_value_key(task, values);

        different += !different || !is_kept(&last, key);
        keep(&last, key);
        if (params->first)
            break;
    }
    if (!params->first && mr_value_key(task, values).len != group.len)
        mr_fail(task, "behind the last value there is a key");
    used = snprintf(text, sizeof text, "%lld %lld %.*s|%.*s", (long long)different,
                    (long long)all, (int)first.len, first.text, (int)last.len, last.text);
    mr_emit(task, group, ((struct mr_bytes){text, (size_t)used}));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .flags = FLAGS,
    .name = "group",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, first, "no", "whether to read the first value alone"),
            MR_PARAM(struct params, too_long, "no", "whether to return nonsense"),
            {0}},
    .value = MR_I64,
    .output = MR_BYTES,
    .map = emit_line,
#ifdef COMBINE
    .combine = add_up,
#endif
    .reduce = measure,
    .group = user_of,
};
