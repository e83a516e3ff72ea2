/* Workers without room on their scratch disk. A failed attempt says that a disk is full; the
 * worker's heartbeats say when that is over.
 *
 * What the failed attempt had written is removed, and that alone is no room: the next one would
 * fail as well. So the attempt says how much is free then, and there is room again when that
 * has grown by as much again, 1 MiB at least, 64 MiB at most; or when that job has
 * ended, for others may need less. A disk that fails has none until
 * its worker joins anew.
 *
 * When all workers are full and nothing runs, one job fails, the last one submitted of those
 * that wait: its runs leave room to the others. Where workers come and go they get a lease's
 * time before that, in which somebody may clean up or another worker join. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/size.h"
#include "coordinator/core.h"

enum {
    MORE_MIN = 1 << 20,
    MORE_MAX = 64 << 20,
    NAMED_MAX = 4, /* workers in an error */
    LOOK_MS = 500,
};

static const uint64_t space_max = UINT64_C(1) << 60; /* whatever a worker says */

/* What is known of a full disk. */
struct full {
    bool broken;
    uint64_t job;    /* whose attempt failed there last */
    uint64_t enough; /* free bytes that count as room */
    char why[512];
};

static uint64_t enough_from(uint64_t free_bytes)
{
    uint64_t more = free_bytes < MORE_MIN ? MORE_MIN : free_bytes;

    return free_bytes + (more > MORE_MAX ? MORE_MAX : more);
}

void room_gone_at(struct coordinator *coordinator, uint64_t worker, uint64_t job,
                  uint64_t free_bytes, const struct error *error)
{
    struct member *member = members_find(coordinator, worker);
    char name[65];

    if (!member)
        return;
    if (!member->full) {
        member->full = memory_zeroed(1, sizeof *member->full);
        snprintf(member->full->why, sizeof member->full->why, "%.511s", error->text);
        log_event(LOG_WARNINGS, "worker has no room", LOG_ID("worker", worker),
                  LOG_TEXT("name", members_name(coordinator, worker, name)),
                  LOG_TEXT("why", error->text));
    }
    member->full->job = job;
    if (free_bytes > space_max)
        free_bytes = space_max;
    if (member->full->enough < enough_from(free_bytes))
        member->full->enough = enough_from(free_bytes);
    member->full->broken = member->full->broken || error->code == ERROR_DISK;
}

static void has_room(struct coordinator *coordinator, struct member *member)
{
    struct sched_event event = {.type = EVENT_WORKER_ROOM, .worker = member->id};
    char name[65];

    free(member->full);
    member->full = NULL;
    log_event(LOG_INFO, "worker has room again", LOG_ID("worker", member->id),
              LOG_TEXT("name", members_name(coordinator, member->id, name)));
    core_post(coordinator, &event);
}

void room_heard(struct coordinator *coordinator, struct member *member)
{
    if (member->full && !member->full->broken &&
        member->heartbeat->scratch_free >= member->full->enough)
        has_room(coordinator, member);
}

void room_job_ended(struct coordinator *coordinator, uint64_t job)
{
    for (size_t i = 0; i < coordinator->member_count; i++) {
        struct member *member = coordinator->members[i];

        if (member->full && !member->full->broken && member->full->job == job)
            has_room(coordinator, member);
    }
}

const char *room_reason(const struct member *member)
{
    return member->full ? member->full->why : NULL;
}

/* ---- When there is none anywhere ---- */

static void add_folder(const struct member *member, char *text, size_t size)
{
    size_t used = strlen(text);
    char free_bytes[32];

    size_format(member->heartbeat ? member->heartbeat->scratch_free : 0, free_bytes,
                sizeof free_bytes);
    snprintf(text + used, size - used, "%s%.*s '%.*s' (%s free%s)", used ? ", " : "",
             (int)member->hello->name.len, (const char *)member->hello->name.data,
             (int)member->hello->scratch.len, (const char *)member->hello->scratch.data,
             free_bytes, member->full->broken ? ", it fails" : "");
}

/* What the outputs of its maps take, as far as that is known. */
static void add_need(const struct job *job, char *text, size_t size)
{
    uint64_t bytes = 0, done = 0;
    char amount[32];

    for (uint32_t i = 0; job->maps && i < job->map_count; i++)
        if (job->maps[i]) {
            bytes += job->maps[i]->output->size;
            done++;
        }
    if (done)
        snprintf(text, size, "the outputs of its maps take about %s in all",
                 size_format((uint64_t)((double)bytes / (double)done * job->map_count), amount,
                             sizeof amount));
    else
        snprintf(text, size, "its input has %s",
                 size_format(job->plan.bytes, amount, sizeof amount));
}

static void describe(const struct coordinator *coordinator, const struct job *job,
                     struct error *ret)
{
    char folders[320] = "", need[80], more[32] = "";
    const char *why = "";
    size_t full = 0;

    for (size_t i = 0; i < coordinator->member_count; i++) {
        const struct member *member = coordinator->members[i];

        if (!member->full)
            continue;
        why = member->full->why;
        if (full++ < NAMED_MAX)
            add_folder(member, folders, sizeof folders);
    }
    if (full > NAMED_MAX)
        snprintf(more, sizeof more, " and %zu more", full - NAMED_MAX);
    add_need(job, need, sizeof need);
    error_set(ret, ERROR_SPACE,
              "no worker has room on its scratch disk: %s%s; %s: make room there, or start "
              "workers with a larger --scratch (%s)",
              folders, more, need, why);
}

void room_waits(const struct coordinator *coordinator, char text[512])
{
    const char *why = "";

    for (size_t i = 0; i < coordinator->member_count; i++)
        if (coordinator->members[i]->full)
            why = coordinator->members[i]->full->why;
    snprintf(text, 512, "no worker has room on its scratch disk: %.460s", why);
}

/* The last of the jobs that wait for room; NULL: none does, or something runs that may end. */
static struct job *last_waiting(const struct coordinator *coordinator)
{
    struct job *last = NULL;

    for (size_t i = 0; i < coordinator->job_count; i++) {
        struct job *job = coordinator->jobs[i];

        if (job->result)
            continue;
        if (sched_progress(coordinator->sched, job->id).running)
            return NULL;
        if (sched_waits(coordinator->sched, job->id) == SCHED_WAITS_ROOM)
            last = job;
    }
    return last;
}

long room_tend(struct coordinator *coordinator)
{
    struct job *job = last_waiting(coordinator);
    int64_t now_ms = clock_ms();
    int64_t wait_ms = coordinator->options.patient ? coordinator->options.lease_ms : 0;
    struct sched_event event = {.type = EVENT_NO_ROOM};

    if (!job) {
        coordinator->no_room_ms = 0;
        return -1;
    }
    if (!coordinator->no_room_ms)
        coordinator->no_room_ms = now_ms;
    if (now_ms - coordinator->no_room_ms < wait_ms)
        return LOOK_MS;
    coordinator->no_room_ms = 0;
    describe(coordinator, job, &job->broken);
    event.job = job->id;
    core_post(coordinator, &event);
    return LOOK_MS;
}
