/* A scheduler on a stage: a story's events in few words, and what it answers as text
 * (tests/lib/trace.h). cmocka must be included first. */
#ifndef TESTS_STAGE_H
#define TESTS_STAGE_H

#include "coordinator/sched/sched.h"

struct stage {
    struct sched *sched;
    struct sched_actions actions;
    char trace[4096];
    uint64_t asked; /* the last record that the scheduler wanted on disk */
    bool saves;     /* each record is on disk at once, and is not mentioned */
};

/* With `saves`, records are on disk at once. */
void stage_open(struct stage *stage, bool saves);
void stage_close(struct stage *stage);

/* Workers 1..n with one thread each, and job 1 as it stands when its tasks have just been
 * handed out: the first went to worker 2, for worker 1 did the check. */
void stage_open_planned(struct stage *stage, uint64_t workers, uint32_t maps, uint32_t reduces);
/* As above, of a job that does without so many bad records. */
void stage_open_skipping(struct stage *stage, uint64_t workers, uint32_t maps, uint32_t reduces,
                         uint32_t skips);

/* Makes the step for one event; `trace` then tells its actions. */
void stage_tell(struct stage *stage, struct sched_event event);

/* The event leads to these actions, in this order. */
#define follows(stage, event, text)                \
    do {                                           \
        stage_tell(stage, event);                  \
        assert_string_equal((stage)->trace, text); \
    } while (0)

/* Of job 1. */
struct sched_progress stage_progress(const struct stage *stage);

/* What there is to tell. */
static inline struct sched_event about(enum sched_event_type type, uint64_t job)
{
    return (struct sched_event){.type = type, .job = job};
}

static inline struct sched_event submitted(uint64_t job)
{
    return about(EVENT_JOB_SUBMITTED, job);
}

static inline struct sched_event planned(uint64_t job, uint32_t maps, uint32_t reduces)
{
    return (struct sched_event){
        .type = EVENT_JOB_PLANNED, .job = job, .maps = maps, .reduces = reduces};
}

/* A plan that asks for a sample first. */
static inline struct sched_event planned_with_sample(uint64_t job, uint32_t maps,
                                                     uint32_t reduces)
{
    struct sched_event event = planned(job, maps, reduces);

    event.sample = true;
    return event;
}

static inline struct sched_event broken(uint64_t job, enum error_code code)
{
    return (struct sched_event){.type = EVENT_JOB_BROKEN, .job = job, .code = code};
}

static inline struct sched_event committed(uint64_t job)
{
    return about(EVENT_JOB_COMMITTED, job);
}

static inline struct sched_event cancelled(uint64_t job)
{
    return about(EVENT_JOB_CANCELLED, job);
}

static inline struct sched_event joined(uint64_t worker, uint32_t threads)
{
    return (struct sched_event){
        .type = EVENT_WORKER_JOINED, .worker = worker, .threads = threads};
}

static inline struct sched_event lost(uint64_t worker)
{
    return (struct sched_event){.type = EVENT_WORKER_LOST, .worker = worker};
}

static inline struct sched_event persisted(uint64_t sequence)
{
    return (struct sched_event){.type = EVENT_PERSISTED, .sequence = sequence};
}

static inline struct sched_attempt check_of(uint64_t job, uint32_t attempt)
{
    return (struct sched_attempt){job, SCHED_CHECK, 0, attempt};
}

static inline struct sched_attempt sample_of(uint64_t job, uint32_t attempt)
{
    return (struct sched_attempt){job, SCHED_SAMPLE, 0, attempt};
}

static inline struct sched_attempt map_of(uint64_t job, uint32_t task, uint32_t attempt)
{
    return (struct sched_attempt){job, SCHED_MAP, task, attempt};
}

static inline struct sched_attempt reduce_of(uint64_t job, uint32_t task, uint32_t attempt)
{
    return (struct sched_attempt){job, SCHED_REDUCE, task, attempt};
}

static inline struct sched_event done(uint64_t worker, struct sched_attempt attempt)
{
    return (struct sched_event){.type = EVENT_TASK_DONE, .worker = worker, .attempt = attempt};
}

static inline struct sched_event held(uint64_t worker, struct sched_attempt attempt)
{
    return (struct sched_event){
        .type = EVENT_OUTPUT_HELD, .worker = worker, .attempt = attempt};
}

static inline struct sched_event draining(uint64_t worker, bool late)
{
    return (struct sched_event){.type = EVENT_WORKER_DRAINING, .worker = worker, .late = late};
}

/* A failure that is nobody's fault. */
static inline struct sched_event failed(uint64_t worker, struct sched_attempt attempt,
                                        enum error_code code)
{
    return (struct sched_event){
        .type = EVENT_TASK_FAILED, .worker = worker, .attempt = attempt, .code = code};
}

static inline struct sched_event blamed(uint64_t worker, struct sched_attempt attempt,
                                        enum error_code code)
{
    struct sched_event event = failed(worker, attempt, code);

    event.blamed = true;
    return event;
}

static inline struct sched_event suspected(uint64_t worker, struct sched_attempt attempt)
{
    struct sched_event event = failed(worker, attempt, ERROR_CRASH);

    event.suspect = true;
    return event;
}

static inline struct sched_event unread(uint64_t worker, struct sched_attempt attempt,
                                        uint32_t map)
{
    struct sched_event event = failed(worker, attempt, ERROR_FETCH);

    event.lost_map = map;
    return event;
}

/* The reducer's worker does not reach the one that holds the map's output. */
static inline struct sched_event unreached(uint64_t worker, struct sched_attempt attempt,
                                           uint32_t map)
{
    struct sched_event event = failed(worker, attempt, ERROR_CUT);

    event.lost_map = map;
    return event;
}

#endif
