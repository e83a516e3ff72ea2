/* What is shown to those who watch: numbers about all that was seen since the start, and events
 * as they happen. Nothing else depends on it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "coordinator/admit.h"
#include "coordinator/core.h"
#include "coordinator/tally.h"
#include "wire/bytes.h"

/* Of one job's progress, an event at most so often. */
enum { PROGRESS_MS = 200 };

/* Seconds: a task takes from milliseconds to hours. */
static const double bounds[DURATION_BOUNDS] = {0.01, 0.03, 0.1, 0.3, 1,    3,
                                               10,   30,   100, 300, 1000, 3000};

static int64_t counter(const Mr__Finished *result, const char *name)
{
    for (size_t i = 0; i < result->n_counters; i++)
        if (bytes_are(result->counters[i]->name, name))
            return result->counters[i]->value;
    return 0;
}

static void add_up(struct public_totals *totals, const struct job *job)
{
    const struct {
        const char *name;
        uint64_t *sum;
    } sums[] = {
        {"speculative_attempts", &totals->attempts_speculative},
        {"map_reruns", &totals->map_reruns},
        {"drain_reruns", &totals->drain_reruns},
        {"map_input_bytes", &totals->map_input_bytes},
        {"shuffle_bytes", &totals->shuffle_bytes},
        {"spilled_bytes", &totals->spilled_bytes},
    };

    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        *sums[i].sum += (uint64_t)counter(job->result, sums[i].name);
    *(job->state == SCHED_DONE        ? &totals->jobs_done
      : job->state == SCHED_CANCELLED ? &totals->jobs_cancelled
                                      : &totals->jobs_failed) += 1;
}

static void tell(struct coordinator *coordinator, const Mr__Event *event)
{
    for (size_t i = 0; i < coordinator->member_count; i++)
        if (coordinator->members[i]->listens)
            core_send(coordinator, coordinator->members[i]->id, FRAME_EVENT, &event->base);
}

static void tell_job(struct coordinator *coordinator, const char *what, const struct job *job)
{
    Mr__Event event = MR__EVENT__INIT;
    char reason[512];
    Mr__JobInfo info;

    if (!coordinator->listener_count)
        return;
    answer_describe(coordinator, job, reason, &info);
    event.what = bytes_of(what);
    event.job = &info;
    tell(coordinator, &event);
}

void public_submitted(struct coordinator *coordinator, const struct job *job)
{
    tell_job(coordinator, "job_submitted", job);
}

void public_progress(struct coordinator *coordinator, struct job *job)
{
    int64_t now_ms = clock_ms();

    if (!coordinator->listener_count || now_ms - job->told_ms < PROGRESS_MS)
        return;
    job->told_ms = now_ms;
    tell_job(coordinator, "job_progress", job);
}

void public_finished(struct coordinator *coordinator, const struct job *job)
{
    add_up(&coordinator->totals, job);
    tell_job(coordinator, "job_finished", job);
}

void public_worker(struct coordinator *coordinator, const char *what,
                   const struct member *member)
{
    Mr__Event event = MR__EVENT__INIT;

    event.what = bytes_of(what);
    event.worker = member->id;
    event.name = member->hello->name;
    tell(coordinator, &event);
}

void public_listen(struct coordinator *coordinator, uint64_t client)
{
    struct member *member = members_find(coordinator, client);

    if (!member->listens)
        coordinator->listener_count++;
    member->listens = true;
}

void public_accepted(struct coordinator *coordinator, enum sched_kind kind, double seconds)
{
    struct durations *durations = kind == SCHED_MAP      ? &coordinator->totals.maps
                                  : kind == SCHED_REDUCE ? &coordinator->totals.reduces
                                                         : NULL;
    size_t i = 0;

    if (!durations || seconds < 0)
        return;
    while (i < DURATION_BOUNDS && seconds > bounds[i])
        i++;
    durations->counts[i]++;
    durations->seconds += seconds;
}

/* It borrows from the totals. */
static void describe_durations(const struct durations *durations, Mr__TaskKind kind,
                               Mr__Durations *message)
{
    mr__durations__init(message);
    message->kind = kind;
    message->bounds = (double *)(uintptr_t)bounds;
    message->n_bounds = DURATION_BOUNDS;
    message->counts = (uint64_t *)(uintptr_t)durations->counts;
    message->n_counts = DURATION_BOUNDS + 1;
    message->seconds = durations->seconds;
}

static void count_members(const struct coordinator *coordinator, Mr__Cluster *cluster)
{
    for (size_t i = 0; i < coordinator->member_count; i++) {
        const struct member *member = coordinator->members[i];

        if (member->hello->role != MR__ROLE__WORKER) {
            cluster->clients++;
            continue;
        }
        cluster->workers++;
        cluster->workers_draining += member->leaving != NULL;
        cluster->threads += member->hello->threads;
        cluster->memory += member->hello->memory;
        cluster->attempts_running += sched_held(coordinator->sched, member->id);
    }
}

static void count_jobs(const struct coordinator *coordinator, Mr__Cluster *cluster)
{
    char reason[512];

    for (size_t i = 0; i < coordinator->job_count; i++) {
        const struct job *job = coordinator->jobs[i];

        if (job->result)
            continue;
        if (*carry_reason(coordinator, job, reason))
            cluster->jobs_waiting++;
        else
            cluster->jobs_running++;
    }
}

void public_answer(struct coordinator *coordinator, uint64_t client)
{
    const struct public_totals *totals = &coordinator->totals;
    struct link_counts counts = link_counts(coordinator->link);
    Mr__Durations maps, reduces, *durations[] = {&maps, &reduces};
    Mr__Cluster cluster = MR__CLUSTER__INIT;

    cluster.endpoint = bytes_of(link_endpoint(coordinator->link));
    cluster.version = bytes_of(MARRAM_VERSION);
    cluster.age = (double)(clock_ms() - coordinator->started_ms) / 1000;
    cluster.jobs_done = totals->jobs_done;
    cluster.jobs_failed = totals->jobs_failed;
    cluster.jobs_cancelled = totals->jobs_cancelled;
    cluster.attempts_done = totals->attempts_done;
    cluster.attempts_failed = totals->attempts_failed;
    cluster.attempts_speculative = totals->attempts_speculative;
    cluster.map_reruns = totals->map_reruns;
    cluster.drain_reruns = totals->drain_reruns;
    cluster.map_input_bytes = totals->map_input_bytes;
    cluster.shuffle_bytes = totals->shuffle_bytes;
    cluster.spilled_bytes = totals->spilled_bytes;
    cluster.workers_joined = totals->workers_joined;
    cluster.peers_refused = totals->peers_refused + admit_refused(coordinator);
    cluster.workers_lost = coordinator->lost;
    cluster.answers_refused = counts.fenced;
    cluster.frames_damaged = counts.damaged;
    cluster.journal = coordinator->journal != NULL;
    cluster.journal_records = totals->journal_records;
    cluster.journal_waiting = coordinator->unsaved_count;
    cluster.jobs_max =
        coordinator->options.max_running ? coordinator->options.max_running : DEFAULT_RUNNING;
    describe_durations(&totals->maps, MR__TASK_KIND__MAP, &maps);
    describe_durations(&totals->reduces, MR__TASK_KIND__REDUCE, &reduces);
    cluster.durations = durations;
    cluster.n_durations = 2;
    cluster.late_heartbeats = totals->late_heartbeats;
    count_members(coordinator, &cluster);
    count_jobs(coordinator, &cluster);
    core_send(coordinator, client, FRAME_CLUSTER, &cluster.base);
}
