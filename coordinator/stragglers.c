#include "coordinator/stragglers.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

enum { DONE_MIN = 3 };
#define SLOW_TIME 1.5 /* times the median */
#define SLOW_RATE 0.5

static uint64_t key_of(const struct sched_attempt *attempt)
{
    return (uint64_t)attempt->kind << 62 | (uint64_t)(attempt->attempt & 0x3fffffff) << 32 |
           attempt->task;
}

void stragglers_done(struct stragglers *stragglers)
{
    for (size_t i = 0; i < stragglers->running.capacity; i++)
        free(stragglers->running.slots[i].value);
    map_done(&stragglers->running);
    map_done(&stragglers->mapped);
    free(stragglers->pace);
    *stragglers = (struct stragglers){0};
}

void stragglers_began(struct stragglers *stragglers, uint64_t worker,
                      const struct sched_attempt *attempt, int64_t now_ms)
{
    struct timed *timed;

    if (attempt->kind != SCHED_MAP && attempt->kind != SCHED_REDUCE)
        return;
    stragglers_forget(stragglers, attempt);
    timed = memory_zeroed(1, sizeof *timed);
    *timed = (struct timed){.attempt = *attempt, .worker = worker, .since_ms = now_ms};
    map_put(&stragglers->running, key_of(attempt), timed);
}

void stragglers_ticked(struct stragglers *stragglers, const struct sched_attempt *attempt,
                       uint64_t ticks, int64_t now_ms)
{
    struct timed *timed = map_get(&stragglers->running, key_of(attempt));

    if (!timed)
        return;
    timed->ticks = ticks;
    timed->ticks_ms = now_ms;
}

void stragglers_forget(struct stragglers *stragglers, const struct sched_attempt *attempt)
{
    free(map_remove(&stragglers->running, key_of(attempt)));
}

/* When the attempt began, which may have waited in its worker's hands. */
static int64_t since(const struct stragglers *stragglers, const struct timed *timed)
{
    int64_t mapped_ms = timed->attempt.kind == SCHED_MAP
                            ? (int64_t)(intptr_t)map_get(&stragglers->mapped, timed->worker)
                            : 0;

    return mapped_ms > timed->since_ms ? mapped_ms : timed->since_ms;
}

static double seconds_of(int64_t ms)
{
    return ms > 0 ? (double)ms / 1000 : 0.001;
}

/* Ticks a second; 0: not known. */
static double rate_of(const struct timed *timed, int64_t since_ms)
{
    return timed->ticks_ms > since_ms && timed->ticks
               ? (double)timed->ticks / seconds_of(timed->ticks_ms - since_ms)
               : 0;
}

double stragglers_ended(struct stragglers *stragglers, const struct sched_attempt *attempt,
                        int64_t now_ms)
{
    struct timed *timed = map_get(&stragglers->running, key_of(attempt));
    struct pace *pace;
    int64_t since_ms;
    double rate, seconds;

    if (!timed)
        return -1;
    since_ms = since(stragglers, timed);
    if (attempt->kind == SCHED_MAP && now_ms > 0)
        map_put(&stragglers->mapped, timed->worker, (void *)(intptr_t)now_ms);
    if (!stragglers->pace)
        stragglers->pace = memory_zeroed(2, sizeof *stragglers->pace);
    pace = &stragglers->pace[attempt->kind == SCHED_REDUCE];
    seconds = seconds_of(now_ms - since_ms);
    pace->seconds[pace->count++ % STRAGGLERS_KEPT] = seconds;
    rate = rate_of(timed, since_ms);
    if (rate > 0)
        pace->rate[pace->rates++ % STRAGGLERS_KEPT] = rate;
    stragglers_forget(stragglers, attempt);
    return seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(const double *values, uint32_t count)
{
    uint32_t n = count < STRAGGLERS_KEPT ? count : STRAGGLERS_KEPT;
    double sorted[STRAGGLERS_KEPT];

    if (!n)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = values[i];
    qsort(sorted, n, sizeof *sorted, compare);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Seconds that the attempt will still take, INFINITY when nobody knows; negative: not slow. */
static double left(const struct timed *timed, int64_t since_ms,
                   const struct stragglers_rule *rule, double usual_seconds, double usual_rate)
{
    double elapsed, rate, rest;

    if (rule->now_ms - since_ms < rule->least_ms)
        return -1;
    elapsed = seconds_of(rule->now_ms - since_ms);
    rate = rate_of(timed, since_ms);
    rest = rate > 0 && usual_rate > 0
               ? fmax(0, (usual_seconds * usual_rate - (double)timed->ticks) / rate)
               : INFINITY;
    if (elapsed > SLOW_TIME * usual_seconds)
        return rest;
    return rate > 0 && rate < SLOW_RATE * usual_rate && rest > usual_seconds ? rest : -1;
}

size_t stragglers_find(const struct stragglers *stragglers, const struct stragglers_rule *rule,
                       struct sched_attempt *ret, size_t max)
{
    const struct pace *pace =
        stragglers->pace ? &stragglers->pace[rule->kind == SCHED_REDUCE] : NULL;
    cleanup_free double *ends = memory_zeroed(max, sizeof *ends);
    double usual_seconds, usual_rate;
    size_t n = 0;

    if (!pace || (pace->count < DONE_MIN && 2 * pace->count < rule->tasks))
        return 0;
    usual_seconds = median(pace->seconds, pace->count);
    usual_rate = pace->rates >= DONE_MIN ? median(pace->rate, pace->rates) : 0;
    for (size_t i = 0; i < stragglers->running.capacity; i++) {
        const struct timed *timed = stragglers->running.slots[i].value;
        double end;
        size_t at;

        if (!timed || timed->attempt.kind != rule->kind ||
            (end = left(timed, since(stragglers, timed), rule, usual_seconds, usual_rate)) <
                0 ||
            !rule->runs(rule->context, timed))
            continue;
        for (at = n < max ? n++ : n; at && ends[at - 1] < end; at--)
            if (at < max) {
                ends[at] = ends[at - 1];
                ret[at] = ret[at - 1];
            }
        if (at < max) {
            ends[at] = end;
            ret[at] = timed->attempt;
        }
    }
    return n;
}
