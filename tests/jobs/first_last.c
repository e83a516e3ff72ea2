/* Lines `key TAB value`: for each key the first and the last value and how many there were.
 * What it says depends on the order of the values, so nothing can be folded or combined. */
#include <mr/job.h>
#include <stdio.h>

static void map(struct mr_task *task, struct mr_bytes line)
{
    const char *tab = memchr(line.ptr, '\t', line.len);
    struct mr_bytes key = {line.ptr, tab ? (size_t)(tab - line.ptr) : line.len};
    struct mr_bytes value = {key.ptr + key.len + 1, line.len - key.len - 1};

    if (!tab)
        mr_fail(task, "a line without a TAB");
    else
        mr_emit(task, key, value);
}

static void reduce(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    char first[24] = "", last[24] = "", text[80];
    struct mr_bytes value;
    long long n = 0;

    for (; mr_next(task, values, &value); n++) {
        snprintf(last, sizeof last, "%.*s", (int)value.len, value.ptr);
        if (!n)
            memcpy(first, last, sizeof first);
    }
    snprintf(text, sizeof text, "%s %s %lld", first, last, n);
    mr_emit(task, key, mr_text(text));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "first_last",
    .map = map,
    .reduce = reduce,
};
