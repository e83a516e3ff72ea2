/* Workers that are to leave. The scheduler gives them nothing more and knows which outputs they
 * hold that are still needed; here takers are found for these, each time something may have
 * changed: those that were given the fewest bytes to take over first, if their disk has room. A
 * taker copies the run and says that it holds it; then the scheduler knows one output less, and
 * dismisses the worker with the last. An output that nobody can read is made again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/size.h"
#include "coordinator/core.h"
#include "wire/bytes.h"

enum {
    TIMEOUT_MS = 300 * 1000, /* the usual */
    LOOK_MS = 100,
    RETRY_MS = 200, /* after a failure, and twice as long after each other one */
    FULL_RETRY_MS = 1000,
    FAILURES_MAX = 4,    /* then the output is given up */
    GONE_KEPT = 256,     /* that can still be asked about */
    TAKE_OUTPUTS = 1000, /* in one message */
};
#define SPARE ((uint64_t)16 << 20) /* bytes of a disk that stay free */

struct leaving {
    int64_t since_ms, until_ms;
    bool late, dismissed;
    uint64_t outputs, bytes; /* that have to move */
    char reason[160];
};

struct drained {
    uint64_t id;
    char name[65];
    bool in_order;
};

/* ---- Who leaves ---------------------------------------------------------------------------
 */

void drain_member(struct coordinator *coordinator, struct member *member, uint32_t timeout_ms,
                  bool tell)
{
    struct sched_event event = {.type = EVENT_WORKER_DRAINING, .worker = member->id};
    Mr__Drain drain = MR__DRAIN__INIT;
    struct leaving *leaving;
    char name[65];

    if (member->leaving)
        return;
    leaving = member->leaving = memory_zeroed(1, sizeof *leaving);
    leaving->since_ms = clock_ms();
    leaving->until_ms = leaving->since_ms + (timeout_ms ? timeout_ms : TIMEOUT_MS);
    snprintf(leaving->reason, sizeof leaving->reason, "it was asked to");
    log_event(LOG_INFO, "worker is to leave", LOG_ID("worker", member->id),
              LOG_TEXT("name", members_name(coordinator, member->id, name)));
    if (tell) {
        drain.timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_MS;
        core_send(coordinator, member->id, FRAME_DRAIN, &drain.base);
    }
    core_post(coordinator, &event);
    public_worker(coordinator, "worker_draining", member);
    coordinator->drain_ms = 0;
}

void drain_dismiss(struct coordinator *coordinator, uint64_t worker)
{
    struct member *member = members_find(coordinator, worker);
    Mr__Drain drain = MR__DRAIN__INIT;

    if (!member || !member->leaving)
        return;
    for (size_t i = 0; i < coordinator->job_count; i++)
        announce_moved(coordinator, coordinator->jobs[i]);
    member->leaving->dismissed = true;
    member->leaving->outputs = member->leaving->bytes = 0;
    snprintf(member->leaving->reason, sizeof member->leaving->reason, "it may go");
    drain.leave = true;
    core_send(coordinator, worker, FRAME_DRAIN, &drain.base);
}

void drain_gone(struct coordinator *coordinator, struct member *member)
{
    struct drained *gone;
    char name[65];

    coordinator->drain_ms = 0;
    if (!member->leaving)
        return;
    if (!coordinator->drained)
        coordinator->drained = memory_zeroed(GONE_KEPT, sizeof *coordinator->drained);
    gone = &coordinator->drained[coordinator->drained_count++ % GONE_KEPT];
    *gone = (struct drained){.id = member->id, .in_order = member->leaving->dismissed};
    snprintf(name, sizeof name, "%.*s", (int)member->hello->name.len,
             (const char *)member->hello->name.data);
    memcpy(gone->name, name, sizeof name);
    log_event(gone->in_order ? LOG_INFO : LOG_WARNINGS,
              gone->in_order ? "worker drained" : "worker left too early",
              LOG_ID("worker", member->id), LOG_TEXT("name", name),
              LOG_SECONDS("seconds", (double)(clock_ms() - member->leaving->since_ms) / 1000));
}

const char *drain_reason(const struct member *member)
{
    return member->leaving ? member->leaving->reason : NULL;
}

uint64_t drain_outputs(const struct member *member)
{
    return member->leaving ? member->leaving->outputs : 0;
}

uint32_t drain_count(const struct coordinator *coordinator)
{
    uint32_t count = 0;

    for (size_t i = 0; i < coordinator->member_count; i++)
        count += coordinator->members[i]->leaving != NULL;
    return count;
}

/* ---- What clients ask ---------------------------------------------------------------------
 */

static bool is_called(const struct member *member, const char *word)
{
    char id[20];

    snprintf(id, sizeof id, "%016" PRIx64, member->id);
    return member->hello->role == MR__ROLE__WORKER &&
           (!strcmp(id, word) || bytes_are(member->hello->name, word));
}

/* The one of that name or number; NULL with an error when there are more, without one when
 * there is none. */
static struct member *find_called(const struct coordinator *coordinator, const char *word,
                                  struct error *err)
{
    struct member *found = NULL;

    err->code = ERROR_NONE;
    for (size_t i = 0; i < coordinator->member_count; i++) {
        if (!is_called(coordinator->members[i], word))
            continue;
        if (found) {
            error_set(err, ERROR_JOB,
                      "several workers are called '%s': give the number that 'marram workers "
                      "--json' shows",
                      word);
            return NULL;
        }
        found = coordinator->members[i];
    }
    return found;
}

static const struct drained *find_drained(const struct coordinator *coordinator,
                                          const char *word)
{
    size_t kept =
        coordinator->drained_count < GONE_KEPT ? coordinator->drained_count : GONE_KEPT;

    for (size_t i = 1; i <= kept; i++) {
        const struct drained *gone =
            &coordinator->drained[(coordinator->drained_count - i) % GONE_KEPT];
        char id[20];

        snprintf(id, sizeof id, "%016" PRIx64, gone->id);
        if (!strcmp(gone->name, word) || !strcmp(id, word))
            return gone;
    }
    return NULL;
}

static void tell_gone(struct coordinator *coordinator, uint64_t client, const char *word)
{
    const struct drained *gone = find_drained(coordinator, word);
    Mr__Draining answer = MR__DRAINING__INIT;
    struct error err;

    if (!gone) {
        error_set(&err, ERROR_JOB, "there is no worker '%.80s': see 'marram workers'", word);
        answer_error(coordinator, client, &err);
        return;
    }
    answer.worker = gone->id;
    answer.name = bytes_of(gone->name);
    answer.state = bytes_of(gone->in_order ? "left" : "lost");
    answer.again = true;
    core_send(coordinator, client, FRAME_DRAINING, &answer.base);
}

void drain_asked(struct coordinator *coordinator, uint64_t client, const Mr__Drain *drain)
{
    cleanup_free char *word = bytes_text(drain->worker);
    Mr__Draining answer = MR__DRAINING__INIT;
    struct member *member;
    struct error err;

    member = find_called(coordinator, word, &err);
    if (err.code) {
        answer_error(coordinator, client, &err);
        return;
    }
    if (!member) {
        tell_gone(coordinator, client, word);
        return;
    }
    answer.again = member->leaving != NULL;
    if (!drain->look)
        drain_member(coordinator, member, drain->timeout_ms, true);
    answer.worker = member->id;
    answer.name = member->hello->name;
    answer.state = bytes_of(member->leaving ? "draining" : "working");
    if (member->leaving) {
        answer.reason = bytes_of(member->leaving->reason);
        answer.outputs = member->leaving->outputs;
        answer.bytes = member->leaving->bytes;
    }
    answer.running = sched_held(coordinator->sched, member->id);
    core_send(coordinator, client, FRAME_DRAINING, &answer.base);
}

/* ---- Takers -------------------------------------------------------------------------------
 */

/* One output and who shall take it. */
struct choice {
    struct job *job;
    uint32_t task;
    struct member *taker;
    bool link_only;
};

/* What stands against moving outputs. */
struct obstacle {
    bool nobody, no_room;
};

static bool may_take(const struct member *member)
{
    return member->hello->role == MR__ROLE__WORKER && !member->leaving &&
           !member->hello->draining;
}

static bool has_room(const struct member *member, uint64_t size)
{
    /* One that has just joined has not said yet how much it has. */
    return member->heartbeat && !member->full &&
           member->heartbeat->scratch_free >= member->taking + size + SPARE;
}

/* The one with the fewest bytes given, among those with room if there are any; *ret_room says
 * whether it is one. NULL: nobody can. */
static struct member *choose_taker(const struct coordinator *coordinator,
                                   const struct job_move *move, uint64_t size, bool *ret_room)
{
    struct member *best = NULL;
    bool best_room = false, best_shy = false;

    for (size_t i = 0; i < coordinator->member_count; i++) {
        struct member *member = coordinator->members[i];
        bool room, shy = member->id == move->avoid;

        if (!may_take(member))
            continue;
        room = has_room(member, size);
        if (best && (best_room != room ? best_room
                     : best_shy != shy ? shy
                                       : best->given <= member->given))
            continue;
        best = member;
        best_room = room;
        best_shy = shy;
    }
    *ret_room = best_room;
    return best;
}

static void forget_taker(struct coordinator *coordinator, struct job_move *move)
{
    struct member *taker = move->taker ? members_find(coordinator, move->taker) : NULL;

    if (taker)
        taker->taking -= taker->taking < move->size ? taker->taking : move->size;
    move->taker = 0;
}

static bool is_on_its_way(const struct coordinator *coordinator, const struct job_move *move,
                          uint32_t attempt)
{
    const struct member *taker =
        move->taker && move->attempt == attempt ? members_find(coordinator, move->taker) : NULL;

    return taker && may_take(taker);
}

static int compare_choices(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;

    if (x->taker != y->taker)
        return (uintptr_t)x->taker < (uintptr_t)y->taker ? -1 : 1;
    if (x->job != y->job)
        return (uintptr_t)x->job < (uintptr_t)y->job ? -1 : 1;
    if (x->link_only != y->link_only)
        return x->link_only ? 1 : -1;
    return x->task < y->task ? -1 : x->task > y->task;
}

/* Tells a taker of outputs of one job. */
static void send_take(struct coordinator *coordinator, const struct choice *choices, size_t n)
{
    cleanup_free Mr__MapOutput **outputs = memory_new(n * sizeof(Mr__MapOutput *));
    Mr__Take take = MR__TAKE__INIT;
    size_t size = 0;

    carry_open(coordinator, choices->job, choices->taker->id);
    take.job = choices->job->id;
    take.link_only = choices->link_only;
    take.outputs = outputs;
    for (size_t i = 0; i < n; i++) {
        outputs[take.n_outputs++] = choices->job->maps[choices[i].task]->output;
        size += mr__map_output__get_packed_size(outputs[take.n_outputs - 1]) + 8;
        if (take.n_outputs == TAKE_OUTPUTS || size > LIMIT_MESSAGE / 2 || i + 1 == n) {
            core_send(coordinator, choices->taker->id, FRAME_TAKE, &take.base);
            take.n_outputs = size = 0;
        }
    }
}

static void send_takes(struct coordinator *coordinator, struct choice *choices, size_t n)
{
    size_t from = 0;

    if (n)
        qsort(choices, n, sizeof *choices, compare_choices);
    for (size_t i = 1; i <= n; i++)
        if (i == n || choices[i].taker != choices[from].taker ||
            choices[i].job != choices[from].job ||
            choices[i].link_only != choices[from].link_only) {
            send_take(coordinator, choices + from, i - from);
            from = i;
        }
}

/* Finds a taker for one output, if it has none; false when that is not its time. */
static bool find_taker(struct coordinator *coordinator, struct job *job, uint32_t task,
                       struct choice *ret, struct obstacle *obstacle, int64_t now_ms)
{
    const Mr__TaskDone *done = job->maps[task];
    struct job_move *move = &job->moves[task];
    struct member *taker;
    bool room;

    if (is_on_its_way(coordinator, move, done->attempt) || move->retry_ms > now_ms) {
        obstacle->no_room = obstacle->no_room || move->no_room;
        return false;
    }
    forget_taker(coordinator, move);
    if (move->attempt != done->attempt)
        *move = (struct job_move){.attempt = done->attempt};
    taker = choose_taker(coordinator, move, done->output->size, &room);
    obstacle->nobody = obstacle->nobody || !taker;
    obstacle->no_room = obstacle->no_room || (taker && !room);
    if (!taker || !taker->heartbeat)
        return false;
    *ret = (struct choice){job, task, taker, !room};
    move->taker = taker->id;
    move->size = done->output->size;
    move->no_room = !room;
    taker->given += move->size;
    taker->taking += move->size;
    return true;
}

static void explain(const struct coordinator *coordinator, const struct member *member,
                    const struct obstacle *obstacle)
{
    struct leaving *leaving = member->leaving;
    uint32_t running = sched_held(coordinator->sched, member->id);
    char bytes[32];
    int n = 0;

    size_format(leaving->bytes, bytes, sizeof bytes);
    *leaving->reason = '\0';
    if (running)
        n = snprintf(leaving->reason, sizeof leaving->reason, "%u attempt%s run%s%s", running,
                     running == 1 ? "" : "s", running == 1 ? "s" : "",
                     leaving->outputs ? ", " : "");
    if (leaving->outputs)
        snprintf(leaving->reason + n, sizeof leaving->reason - (size_t)n,
                 "%s %" PRIu64 " map output%s (%s)",
                 obstacle->nobody    ? "no worker to take over"
                 : obstacle->no_room ? "no worker has room for"
                                     : "hands over",
                 leaving->outputs, leaving->outputs == 1 ? "" : "s", bytes);
    else if (!running)
        snprintf(leaving->reason, sizeof leaving->reason, "waits for the journal");
}

/* Looks after the outputs of one worker. */
static void move_outputs(struct coordinator *coordinator, struct member *member, int64_t now_ms)
{
    size_t count = sched_outputs(coordinator->sched, member->id, NULL, 0), chosen = 0;
    cleanup_free struct sched_attempt *list = memory_new((count + 1) * sizeof *list);
    cleanup_free struct choice *choices = memory_new((count + 1) * sizeof *choices);
    struct obstacle obstacle = {.nobody = false};

    sched_outputs(coordinator->sched, member->id, list, count);
    member->leaving->outputs = count;
    member->leaving->bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = core_job(coordinator, list[i].job);
        const Mr__TaskDone *done = job && job->maps ? job->maps[list[i].task] : NULL;

        /* What is not sure to count yet is looked at later. */
        if (!done || done->attempt != list[i].attempt)
            continue;
        member->leaving->bytes += done->output->size;
        if (!job->moves)
            job->moves = memory_zeroed(job->map_count, sizeof *job->moves);
        chosen +=
            find_taker(coordinator, job, list[i].task, &choices[chosen], &obstacle, now_ms);
    }
    send_takes(coordinator, choices, chosen);
    explain(coordinator, member, &obstacle);
}

void drain_adopted(struct coordinator *coordinator, struct job *job,
                   const struct sched_action *action)
{
    struct job_move *move = job->moves ? &job->moves[action->attempt.task] : NULL;

    coordinator->drain_ms = 0;
    if (!move || move->attempt != action->attempt.attempt)
        return;
    if (move->taker == action->worker)
        log_event(LOG_DETAIL, "output moved", LOG_ID("job", job->id),
                  LOG_NUMBER("map", action->attempt.task), LOG_ID("worker", action->worker));
    forget_taker(coordinator, move);
    *move = (struct job_move){0};
}

/* It ended before the worker had anything of it that the scheduler knows of. */
static void close_job(struct coordinator *coordinator, uint64_t worker, uint64_t job)
{
    Mr__JobClose message = MR__JOB_CLOSE__INIT;

    message.job = job;
    core_send(coordinator, worker, FRAME_JOB_CLOSE, &message.base);
}

/* Whoever holds it cannot give it away: it is made again. */
static void give_up(struct coordinator *coordinator, struct job *job, uint32_t task)
{
    struct sched_event event = {
        .type = EVENT_OUTPUT_BROKEN,
        .attempt = {job->id, SCHED_MAP, task, job->moves[task].attempt}};

    for (size_t i = 0; i < coordinator->member_count; i++)
        if (coordinator->members[i]->leaving) {
            event.worker = coordinator->members[i]->id;
            core_post(coordinator, &event);
        }
}

void drain_took(struct coordinator *coordinator, uint64_t worker, const Mr__Took *took)
{
    struct job *job = core_job(coordinator, took->job);
    struct job_move *move;
    int64_t wait_ms = FULL_RETRY_MS;

    if (!job || job->result) {
        close_job(coordinator, worker, took->job);
        return;
    }
    move = job->moves && took->task < job->map_count ? &job->moves[took->task] : NULL;
    if (!move || move->taker != worker || move->attempt != took->attempt)
        return;
    forget_taker(coordinator, move);
    move->avoid = worker;
    coordinator->drain_ms = 0;
    if (!took->error || took->error->code != ERROR_SPACE) {
        wait_ms = (int64_t)RETRY_MS << move->failures;
        move->failures++;
        if (move->failures >= FAILURES_MAX ||
            (took->error && took->error->code == ERROR_DAMAGE)) {
            give_up(coordinator, job, took->task);
            return;
        }
    }
    move->retry_ms = clock_ms() + wait_ms;
}

long drain_tend(struct coordinator *coordinator)
{
    int64_t now_ms = clock_ms();
    long wait = -1;

    if (coordinator->drain_ms && now_ms - coordinator->drain_ms < LOOK_MS)
        return drain_count(coordinator) ? LOOK_MS : -1;
    coordinator->drain_ms = now_ms;
    for (size_t i = 0; i < coordinator->job_count; i++)
        announce_moved(coordinator, coordinator->jobs[i]);
    for (size_t i = 0; i < coordinator->member_count; i++) {
        struct member *member = coordinator->members[i];
        struct sched_event late = {
            .type = EVENT_WORKER_DRAINING, .worker = member->id, .late = true};

        if (!member->leaving)
            continue;
        wait = LOOK_MS;
        if (member->leaving->dismissed)
            continue;
        if (!member->leaving->late && now_ms >= member->leaving->until_ms) {
            member->leaving->late = true;
            core_post(coordinator, &late);
        }
        move_outputs(coordinator, member, now_ms);
    }
    return wait;
}
