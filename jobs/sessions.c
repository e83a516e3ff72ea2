/* sessions: the events of each user in the order of time, cut where it was quiet.
 *
 *     marram run sessions -p gap=1800 -i events -o sessions
 *     head -3 sessions/part-00000
 *     ada     1       1700000000      opened the page
 *     ada     1       1700000060      bought a book
 *     ada     2       1700086400      opened the page
 *
 * A line is `user TAB time TAB text`, the time in whole seconds. Each line of the output has
 * the number of its session in front of the time: a new one begins when the last event is more
 * than `gap` seconds ago. Events of the same time stay in input order.
 *
 * A secondary sort: the key is the user and the time, so that the events arrive sorted by both;
 * `group` says that the user alone makes the group, and where it is reduced. So a session of
 * any length streams by, and nothing is sorted or kept here. The TAB ends the user's name:
 * without it the group of "al" would be a beginning of that of "alice". */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

struct params {
    int64_t gap;
};

enum { BAD_LINES };
enum { TIME = 8 }; /* bytes of the time in a key, in an order that is that of the numbers */

static void put_time(char *at, int64_t time)
{
    uint64_t ordered = __builtin_bswap64((uint64_t)time ^ UINT64_C(1) << 63);

    memcpy(at, &ordered, sizeof ordered);
}

static int64_t get_time(struct mr_bytes key)
{
    uint64_t ordered;

    memcpy(&ordered, key.ptr + key.len - TIME, sizeof ordered);
    return (int64_t)(__builtin_bswap64(ordered) ^ UINT64_C(1) << 63);
}

/* A whole number of at most 18 digits, all of `text`. */
static bool parse_time(struct mr_bytes text, int64_t *ret)
{
    bool negative = text.len && text.ptr[0] == '-';
    int64_t time = 0;

    if (text.len <= negative || text.len > 18)
        return false;
    for (size_t i = negative; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        time = 10 * time + (text.ptr[i] - '0');
    }
    *ret = negative ? -time : time;
    return true;
}

/* The bytes of *rest up to a TAB, which is taken too. */
static bool next_field(struct mr_bytes *rest, struct mr_bytes *ret)
{
    const char *tab = memchr(rest->ptr, '\t', rest->len);

    if (!tab)
        return false;
    *ret = (struct mr_bytes){rest->ptr, (size_t)(tab - rest->ptr)};
    *rest = (struct mr_bytes){tab + 1, rest->len - ret->len - 1};
    return true;
}

static void read_event(struct mr_task *task, struct mr_bytes line)
{
    struct mr_bytes user, time, text = line;
    char key[256 + 1 + TIME];
    int64_t seconds;

    if (!next_field(&text, &user) || !next_field(&text, &time) || user.len > 256 ||
        !parse_time(time, &seconds)) {
        mr_count(task, BAD_LINES, 1);
        return;
    }
    memcpy(key, user.ptr, user.len);
    key[user.len] = '\t';
    put_time(key + user.len + 1, seconds);
    mr_emit(task, ((struct mr_bytes){key, user.len + 1 + TIME}), text);
}

/* The user and the TAB. */
static size_t user_of(struct mr_task *task, struct mr_bytes key)
{
    (void)task;
    return key.len - TIME;
}

static void number_sessions(struct mr_task *task, struct mr_bytes group,
                            struct mr_values *events)
{
    const struct params *params = mr_params(task);
    struct mr_bytes user = {group.ptr, group.len - 1}, text;
    int64_t session = 0, last = 0;
    size_t size = 0;
    char *line = NULL;

    while (mr_next(task, events, &text)) {
        int64_t time = get_time(mr_value_key(task, events));
        size_t used;

        if (text.len + 64 > size) {
            free(line);
            size = 2 * text.len + 64;
            line = malloc(size);
            if (!line) {
                mr_fail(task, "out of memory");
                return;
            }
        }
        session += !session || time - last > params->gap;
        last = time;
        used = (size_t)sprintf(line, "%lld\t%lld\t", (long long)session, (long long)time);
        memcpy(line + used, text.ptr, text.len);
        mr_emit(task, user, ((struct mr_bytes){line, used + text.len}));
    }
    free(line);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "sessions",
    .about = "the events of each user in the order of time, cut where it was quiet",
    .counters = (const char *const[]){[BAD_LINES] = "bad_lines", NULL},
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, gap, "1800", "seconds without an event that end a session"),
            {0},
        },
    .map = read_event,
    .reduce = number_sessions,
    .group = user_of,
};
