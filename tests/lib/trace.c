#include "tests/lib/trace.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const kinds[SCHED_KINDS] = {"check", "map", "reduce", "sample"};
static const char *const states[] = {"running", "done", "failed", "cancelled"};
static const char *const records[] = {
    "submitted", "planned",    "accepted",
    "lost",      "committing", "finished",
    "failed",    "started",    [SCHED_RECORD_SKIPPED] = "skipped",
};

struct attempt_text {
    char text[64];
};

static struct attempt_text words(const struct sched_attempt *attempt)
{
    struct attempt_text out;
    const char *kind =
        (unsigned)attempt->kind < SCHED_KINDS ? kinds[attempt->kind] : "nonsense";

    snprintf(out.text, sizeof out.text, "%" PRIu64 "/%s%" PRIu32 ".%" PRIu32, attempt->job,
             kind, attempt->task, attempt->attempt);
    return out;
}

static void trace_persist(const struct sched_action *action, char *text, size_t size)
{
    bool keyed = action->record == SCHED_RECORD_ACCEPTED ||
                 action->record == SCHED_RECORD_LOST || action->record == SCHED_RECORD_FAILED ||
                 action->record == SCHED_RECORD_SKIPPED;

    if (keyed)
        snprintf(text, size, "persist %" PRIu64 " %s %s", action->sequence,
                 records[action->record], words(&action->attempt).text);
    else
        snprintf(text, size, "persist %" PRIu64 " %s %" PRIu64, action->sequence,
                 records[action->record], action->job);
}

static void trace_finished(const struct sched_action *action, char *text, size_t size)
{
    int n = snprintf(text, size, "finished %" PRIu64 " %s", action->job, states[action->state]);

    if (action->state == SCHED_FAILED && n >= 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, " %s", error_name(action->code));
    if (action->cause.attempt && n >= 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, " cause %s", words(&action->cause).text);
}

void trace_action(const struct sched_action *action, char *text, size_t size)
{
    static const char *const names[] = {
        [ACTION_ADMITTED] = "admitted",   [ACTION_PLAN] = "plan",
        [ACTION_ASSIGN] = "assign",       [ACTION_REVOKE] = "revoke",
        [ACTION_REFUSE] = "refuse",       [ACTION_REPEATED] = "repeated",
        [ACTION_ACCEPTED] = "accepted",   [ACTION_FAILURE] = "failure",
        [ACTION_MAP_AGAIN] = "map again", [ACTION_MAPS_DONE] = "maps done",
        [ACTION_COMMIT] = "commit",       [ACTION_RELEASE] = "release",
        [ACTION_DISMISS] = "dismiss",     [ACTION_ADOPTED] = "adopted",
        [ACTION_DROP] = "drop",
    };

    switch (action->type) {
    case ACTION_PERSIST:
        trace_persist(action, text, size);
        break;
    case ACTION_FINISHED:
        trace_finished(action, text, size);
        break;
    case ACTION_MAP_AGAIN:
        snprintf(text, size, "map again %s", words(&action->attempt).text);
        break;
    case ACTION_RELEASE:
        snprintf(text, size, "release w%" PRIu64 " %" PRIu64, action->worker, action->job);
        break;
    case ACTION_DISMISS:
        snprintf(text, size, "dismiss w%" PRIu64, action->worker);
        break;
    case ACTION_ADMITTED:
    case ACTION_PLAN:
    case ACTION_MAPS_DONE:
    case ACTION_COMMIT:
        snprintf(text, size, "%s %" PRIu64, names[action->type], action->job);
        break;
    default:
        snprintf(text, size, "%s w%" PRIu64 " %s%s%s%s", names[action->type], action->worker,
                 words(&action->attempt).text, action->alone ? " alone" : "",
                 action->single ? " single" : "", action->copy ? " copy" : "");
    }
}

static void trace_failed(const struct sched_event *event, char *text, size_t size)
{
    int n = snprintf(text, size, "failed w%" PRIu64 " %s %s%s%s", event->worker,
                     words(&event->attempt).text, error_name(event->code),
                     event->blamed ? " blamed" : "", event->suspect ? " suspect" : "");

    if ((event->code == ERROR_FETCH || event->code == ERROR_CUT) && n >= 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, " lost map %" PRIu32, event->lost_map);
}

void trace_event(const struct sched_event *event, char *text, size_t size)
{
    switch (event->type) {
    case EVENT_JOB_SUBMITTED:
        snprintf(text, size, "submitted %" PRIu64 " with priority %" PRIu32, event->job,
                 event->priority);
        break;
    case EVENT_JOB_PLANNED:
        snprintf(text, size, "planned %" PRIu64 ": %s%" PRIu32 " maps, %" PRIu32 " reduces",
                 event->job, event->sample ? "a sample, " : "", event->maps, event->reduces);
        break;
    case EVENT_JOB_BROKEN:
        snprintf(text, size, "broken %" PRIu64 " %s", event->job, error_name(event->code));
        break;
    case EVENT_JOB_COMMITTED:
        snprintf(text, size, "committed %" PRIu64, event->job);
        break;
    case EVENT_JOB_CANCELLED:
        snprintf(text, size, "cancelled %" PRIu64, event->job);
        break;
    case EVENT_WORKER_JOINED:
        snprintf(text, size, "joined w%" PRIu64 " with %" PRIu32 "%s", event->worker,
                 event->threads, event->draining ? " to leave" : "");
        break;
    case EVENT_WORKER_LOST:
        snprintf(text, size, "lost w%" PRIu64, event->worker);
        break;
    case EVENT_TASK_DONE:
        snprintf(text, size, "done w%" PRIu64 " %s", event->worker,
                 words(&event->attempt).text);
        break;
    case EVENT_TASK_FAILED:
        trace_failed(event, text, size);
        break;
    case EVENT_STRAGGLER:
        snprintf(text, size, "straggler %s", words(&event->attempt).text);
        break;
    case EVENT_PERSISTED:
        snprintf(text, size, "persisted %" PRIu64, event->sequence);
        break;
    case EVENT_OUTPUT_HELD:
        snprintf(text, size, "w%" PRIu64 " holds %s", event->worker,
                 words(&event->attempt).text);
        break;
    case EVENT_WORKER_DRAINING:
        snprintf(text, size, "draining w%" PRIu64 "%s", event->worker,
                 event->late ? " late" : "");
        break;
    case EVENT_OUTPUT_BROKEN:
        snprintf(text, size, "w%" PRIu64 " cannot give %s", event->worker,
                 words(&event->attempt).text);
        break;
    case EVENT_WORKER_ROOM:
        snprintf(text, size, "w%" PRIu64 " has room", event->worker);
        break;
    case EVENT_NO_ROOM:
        snprintf(text, size, "no room %" PRIu64, event->job);
        break;
    case EVENT_RESTORED:
        snprintf(text, size, "restored");
        break;
    case EVENT_OUTPUTS_UNCLAIMED:
        snprintf(text, size, "unclaimed");
        break;
    }
}
