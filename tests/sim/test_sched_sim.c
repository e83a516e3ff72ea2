/* The scheduler in simulated clusters. MARRAM_SIM_SEEDS=N tries N seeds, MARRAM_SIM_SEED=S just
 * one. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sim.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifdef SANITIZED
enum { SEEDS = 300 };
#else
enum { SEEDS = 2000 };
#endif

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void try_seed(uint64_t seed, uint64_t *counts)
{
    struct sim_report report;

    sim_run(seed, NULL, NULL, &report);
    for (int i = 0; i < SIM_COUNTS; i++)
        counts[i] += report.counts[i];
    if (report.failure) {
        /* cmocka's own printing cuts texts at 1,024 bytes. */
        fprintf(stderr, "seed %" PRIu64 ": %sreplay: MARRAM_SIM_SEED=%" PRIu64 " %s\n", seed,
                report.failure, seed, program_invocation_name);
        free(report.failure);
        fail();
    }
}

static void every_job_comes_to_the_end_it_deserves_whatever_fails(void **state)
{
    uint64_t counts[SIM_COUNTS] = {0}, seeds = number_from("MARRAM_SIM_SEEDS", SEEDS);
    const char *one = getenv("MARRAM_SIM_SEED");

    (void)state;
    if (one && *one) {
        try_seed(number_from("MARRAM_SIM_SEED", 0), counts);
        seeds = 0;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++)
        try_seed(seed, counts);
    for (int i = 0; i < SIM_COUNTS; i++)
        print_message("%12" PRIu64 " %s\n", counts[i], sim_count_words((enum sim_count)i));
    /* A simulation in which something never happened says nothing about it. The rarest, a
     * commit that is made again after a restart, takes a thousand seeds. */
    for (int i = 0; i < SIM_COUNTS && seeds >= 2000; i++)
        if (!counts[i])
            fail_msg("no %s", sim_count_words((enum sim_count)i));
}

static void one_seed_is_one_story(void **state)
{
    struct sim_report first, again, other;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        sim_run(seed, NULL, NULL, &first);
        sim_run(seed, NULL, NULL, &again);
        sim_run(seed + 1000, NULL, NULL, &other);
        assert_null(first.failure);
        assert_true(first.hash == again.hash);
        assert_true(first.hash != other.hash);
        assert_memory_equal(first.counts, again.counts, sizeof first.counts);
    }
}

/* A lie about one step: what a faulty scheduler might have done instead. */
struct lie {
    const char *words;           /* what the model must say of it */
    enum sched_action_type type; /* told at the first action of this type that `fits` */
    bool (*fits)(const struct sched_action *action);
    enum { DROP, REPEAT, CHANGE, ADD, HEAP, BLIND, LEAVER, FULL, LOSER } how;
    void (*change)(struct sched_action *action); /* the action, or a copy of it that is added */
    uint64_t living;        /* a worker that the scheduler knows; 0: none yet */
    uint64_t leaver;        /* one that is to leave; 0: none yet */
    uint64_t full;          /* one whose disk is full; 0: none now */
    uint64_t blind, hidden; /* one that does not see the files of a job; 0: none yet */
    bool told;
};

static bool is_map(const struct sched_action *action)
{
    return action->attempt.kind == SCHED_MAP;
}

static bool is_sample(const struct sched_action *action)
{
    return action->attempt.kind == SCHED_SAMPLE;
}

static bool is_sampled(const struct sched_action *action)
{
    return action->record == SCHED_RECORD_ACCEPTED && is_sample(action);
}

static bool is_first_map(const struct sched_action *action)
{
    return is_map(action) && action->attempt.attempt == 1;
}

static bool is_second(const struct sched_action *action)
{
    return action->attempt.attempt == 2;
}

static bool is_copy(const struct sched_action *action)
{
    return action->copy;
}

static void to_plain(struct sched_action *action)
{
    action->copy = false;
}

static bool is_alone(const struct sched_action *action)
{
    return action->alone;
}

static bool is_submission(const struct sched_action *action)
{
    return action->record == SCHED_RECORD_SUBMITTED;
}

static bool is_plan(const struct sched_action *action)
{
    return action->record == SCHED_RECORD_PLANNED;
}

static bool is_acceptance(const struct sched_action *action)
{
    return action->record == SCHED_RECORD_ACCEPTED;
}

static bool is_commit(const struct sched_action *action)
{
    return action->record == SCHED_RECORD_COMMITTING;
}

static bool is_done(const struct sched_action *action)
{
    return action->state == SCHED_DONE;
}

static void to_admitted(struct sched_action *action)
{
    *action = (struct sched_action){.type = ACTION_ADMITTED, .job = action->job};
}

static void to_commit(struct sched_action *action)
{
    *action = (struct sched_action){.type = ACTION_COMMIT, .job = action->job};
}

static void to_accepted(struct sched_action *action)
{
    *action = (struct sched_action){.type = ACTION_ACCEPTED,
                                    .job = action->job,
                                    .worker = action->worker,
                                    .attempt = action->attempt};
}

static void to_first_reduce(struct sched_action *action)
{
    *action = (struct sched_action){.type = ACTION_ASSIGN,
                                    .job = action->job,
                                    .attempt = {action->job, SCHED_REDUCE, 0, 1}};
}

static void to_first_check(struct sched_action *action)
{
    *action = (struct sched_action){
        .type = ACTION_ASSIGN, .job = action->job, .attempt = {action->job, SCHED_CHECK, 0, 1}};
}

static void to_first_map(struct sched_action *action)
{
    *action = (struct sched_action){.type = ACTION_ASSIGN,
                                    .job = action->job,
                                    .worker = action->worker,
                                    .attempt = {action->job, SCHED_MAP, 0, 1}};
}

static void to_reduce(struct sched_action *action)
{
    action->attempt = (struct sched_attempt){action->job, SCHED_REDUCE, 0, 1};
}

static void to_revoke(struct sched_action *action)
{
    action->type = ACTION_REVOKE;
}

static void to_dismiss(struct sched_action *action)
{
    action->type = ACTION_DISMISS;
}

static void to_refuse(struct sched_action *action)
{
    action->type = ACTION_REFUSE;
}

static void to_adopted(struct sched_action *action)
{
    action->type = ACTION_ADOPTED;
}

static void to_drop(struct sched_action *action)
{
    action->type = ACTION_DROP;
}

static void to_nobody(struct sched_action *action)
{
    action->worker = 2000;
}

static void to_lower_attempt(struct sched_action *action)
{
    action->attempt.attempt--;
}

static void to_higher_attempt(struct sched_action *action)
{
    action->attempt.attempt++;
}

static void to_shared(struct sched_action *action)
{
    action->alone = false;
}

static void to_failed(struct sched_action *action)
{
    action->state = SCHED_FAILED;
}

static void to_higher_sequence(struct sched_action *action)
{
    action->sequence++;
}

/* Gives three whole tasks to one worker. */
static bool heap_up(struct sched_actions *actions)
{
    uint64_t worker = 0;
    int n = 0;

    for (size_t i = 0; i < actions->count; i++)
        n += actions->items[i].type == ACTION_ASSIGN && is_map(&actions->items[i]);
    if (n < 3)
        return false;
    for (size_t i = 0; i < actions->count; i++) {
        struct sched_action *action = &actions->items[i];

        if (action->type != ACTION_ASSIGN || !is_map(action))
            continue;
        if (!worker)
            worker = action->worker;
        action->worker = worker;
    }
    return true;
}

/* Whether the step refused the answer that it was told. */
static bool is_refused(const struct sched_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items[i].type == ACTION_REFUSE)
            return true;
    return false;
}

static void note_workers(struct lie *lie, const struct sched_event *event,
                         const struct sched_actions *actions)
{
    if (event->type == EVENT_WORKER_JOINED) {
        if (event->draining)
            lie->leaver = event->worker;
        else
            lie->living = event->worker;
    } else if (event->type == EVENT_WORKER_DRAINING) {
        if (event->worker == lie->living)
            lie->living = 0;
        if (event->worker == lie->full)
            lie->full = 0;
    } else if (event->type == EVENT_WORKER_ROOM && event->worker == lie->full) {
        lie->full = 0;
    } else if (event->type == EVENT_WORKER_LOST) {
        if (event->worker == lie->living)
            lie->living = 0;
        if (event->worker == lie->blind)
            lie->blind = 0;
        if (event->worker == lie->leaver)
            lie->leaver = 0;
        if (event->worker == lie->full)
            lie->full = 0;
    } else if (event->type == EVENT_TASK_FAILED && event->code == ERROR_UNSEEN &&
               !is_refused(actions)) {
        lie->blind = event->worker;
        lie->hidden = event->attempt.job;
    } else if (event->type == EVENT_TASK_FAILED && event->code == ERROR_SPACE &&
               event->worker != lie->leaver && !is_refused(actions)) {
        lie->full = event->worker;
    }
}

/* Forgets to stop the slower attempt of the task that is done. */
static bool let_loser_run(const struct sched_event *event, struct sched_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        const struct sched_action *action = &actions->items[i];

        if (event->type != EVENT_TASK_DONE || action->type != ACTION_REVOKE ||
            action->job != event->attempt.job || action->attempt.kind != event->attempt.kind ||
            action->attempt.task != event->attempt.task)
            continue;
        for (actions->count--; i < actions->count; i++)
            actions->items[i] = actions->items[i + 1];
        return true;
    }
    return false;
}

/* What must run alone would be spoken of first. */
static bool is_alone_given(const struct sched_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items[i].type == ACTION_ASSIGN && actions->items[i].alone)
            return true;
    return false;
}

/* Gives what another was given to one that does not see it. */
static bool lead_to_the_blind(const struct lie *lie, struct sched_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items[i].type == ACTION_ASSIGN && actions->items[i].job == lie->hidden &&
            lie->blind) {
            actions->items[i].worker = lie->blind;
            return true;
        }
    return false;
}

static void tell_lie(void *context, const struct sched_event *event,
                     struct sched_actions *actions)
{
    struct lie *lie = context;
    size_t at = 0;

    note_workers(lie, event, actions);
    if (lie->told || !lie->living)
        return;
    while (at < actions->count && (actions->items[at].type != lie->type ||
                                   (lie->fits && !lie->fits(&actions->items[at]))))
        at++;
    if (at == actions->count)
        return;
    lie->told = true;
    switch (lie->how) {
    case DROP:
        for (actions->count--; at < actions->count; at++)
            actions->items[at] = actions->items[at + 1];
        break;
    case CHANGE:
        lie->change(&actions->items[at]);
        break;
    case REPEAT:
    case ADD:
        actions->items[actions->count] = actions->items[at];
        if (lie->how == ADD)
            lie->change(&actions->items[actions->count]);
        if (actions->items[actions->count].type == ACTION_ASSIGN)
            actions->items[actions->count].worker = lie->living;
        actions->count++;
        break;
    case HEAP:
        lie->told = heap_up(actions);
        break;
    case LEAVER:
        lie->told = lie->leaver != 0;
        if (lie->leaver)
            actions->items[at].worker = lie->leaver;
        break;
    case FULL:
        lie->told = lie->full != 0;
        if (lie->full)
            actions->items[at].worker = lie->full;
        break;
    case BLIND:
        lie->told = lead_to_the_blind(lie, actions);
        break;
    case LOSER:
        lie->told = !is_alone_given(actions) && let_loser_run(event, actions);
    }
}

static void expect_complaint(struct lie lie)
{
    struct sim_report report = {0};

    for (uint64_t seed = 1; seed <= 300 && !lie.told; seed++) {
        lie.living = lie.blind = lie.leaver = lie.full = 0;
        sim_run(seed, tell_lie, &lie, &report);
    }
    if (!lie.told)
        fail_msg("there was no chance to tell this lie: %s", lie.words);
    if (!report.failure)
        fail_msg("believed: %s", lie.words);
    report.failure[strcspn(report.failure, "\n")] = '\0';
    if (!strstr(report.failure, lie.words))
        fail_msg("the model should speak of '%s', not of '%s'", lie.words, report.failure);
    free(report.failure);
}

static void the_model_sees_through_false_assignments(void **state)
{
    static const struct lie lies[] = {
        {"the task runs already: assign", ACTION_ASSIGN, NULL, REPEAT, NULL},
        {"idle while", ACTION_ASSIGN, NULL, DROP, NULL},
        {"the worker is unknown or lost: assign", ACTION_ASSIGN, NULL, CHANGE, to_nobody},
        {"number is not the next: assign", ACTION_ASSIGN, is_second, CHANGE, to_lower_attempt},
        {"number is not the next: assign", ACTION_ASSIGN, NULL, CHANGE, to_higher_attempt},
        {"alone or single", ACTION_ASSIGN, is_alone, CHANGE, to_shared},
        {"a map is missing: assign", ACTION_ASSIGN, is_first_map, CHANGE, to_reduce},
        {"the submission is not on disk: assign", ACTION_PERSIST, is_submission, ADD,
         to_first_check},
        {"the plan is not on disk: assign", ACTION_PERSIST, is_plan, ADD, to_first_reduce},
        {"the sample is missing: assign", ACTION_ASSIGN, is_sample, CHANGE, to_first_map},
        {"the acceptance of the sample is not on disk: assign", ACTION_PERSIST, is_sampled, ADD,
         to_first_map},
        {"the task runs already: assign", ACTION_ASSIGN, is_sample, REPEAT, NULL},
        {"assign w", ACTION_FINISHED, is_done, ADD, to_first_check},
        {"in hand", ACTION_ASSIGN, is_map, HEAP, NULL},
        {"the worker's disk is full: assign", ACTION_ASSIGN, NULL, FULL, NULL},
        {"the worker does not see the job's files: assign", ACTION_ASSIGN, NULL, BLIND, NULL},
        {"to leave: assign", ACTION_ASSIGN, is_first_map, LEAVER, NULL},
        {"it is still needed: revoke", ACTION_ASSIGN, NULL, ADD, to_revoke},
        {"copy is not what it is: assign", ACTION_ASSIGN, is_copy, CHANGE, to_plain},
        {"copy", ACTION_ASSIGN, is_copy, REPEAT, NULL},
        {"the slower attempt of a task that is done was not revoked", ACTION_REVOKE, NULL,
         LOSER, NULL},
        /* Said of the attempt, or of what is given to its worker next. */
        {"", ACTION_REVOKE, NULL, DROP, NULL},
        {"it does not run: revoke", ACTION_REVOKE, NULL, REPEAT, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        expect_complaint(lies[i]);
}

static void the_model_sees_through_false_holders(void **state)
{
    static const struct lie lies[] = {
        {"no reason for it: adopted", ACTION_DROP, NULL, CHANGE, to_adopted},
        {"no reason for it: drop", ACTION_ADOPTED, NULL, CHANGE, to_drop},
        {"no reason for it: adopted", ACTION_ADOPTED, NULL, REPEAT, NULL},
        {"missing: adopted", ACTION_ADOPTED, NULL, DROP, NULL},
        {"missing: drop", ACTION_DROP, NULL, DROP, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        expect_complaint(lies[i]);
}

static void the_model_sees_through_what_leaves_too_early_or_twice(void **state)
{
    static const struct lie lies[] = {
        {"its record is not on disk: admitted", ACTION_PERSIST, is_submission, ADD,
         to_admitted},
        {"its record is not on disk: accepted", ACTION_PERSIST, is_acceptance, ADD,
         to_accepted},
        {"its record is not on disk: commit", ACTION_PERSIST, is_commit, ADD, to_commit},
        {"no reason for it: commit", ACTION_MAPS_DONE, NULL, ADD, to_commit},
        {"no reason for it: commit", ACTION_COMMIT, NULL, REPEAT, NULL},
        {"no reason for it: accepted", ACTION_ACCEPTED, NULL, REPEAT, NULL},
        {"no reason for it: finished", ACTION_FINISHED, NULL, REPEAT, NULL},
        {"no reason for it: finished", ACTION_FINISHED, is_done, CHANGE, to_failed},
        {"no reason for it: plan", ACTION_PLAN, NULL, REPEAT, NULL},
        {"no reason for it: dismiss", ACTION_DISMISS, NULL, REPEAT, NULL},
        {"no reason for it: dismiss", ACTION_ASSIGN, NULL, ADD, to_dismiss},
        {"no reason for it: release", ACTION_RELEASE, NULL, REPEAT, NULL},
        {"no reason for it: accepted", ACTION_REFUSE, NULL, CHANGE, to_accepted},
        {"no reason for it: refuse", ACTION_REPEATED, NULL, CHANGE, to_refuse},
        {"out of sequence: persist", ACTION_PERSIST, NULL, CHANGE, to_higher_sequence},
        {"out of sequence: persist", ACTION_PERSIST, NULL, REPEAT, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        expect_complaint(lies[i]);
}

static void the_model_misses_what_was_left_out(void **state)
{
    static const struct lie lies[] = {
        {"missing (whatever its number): persist", ACTION_PERSIST, NULL, DROP, NULL},
        {"missing: admitted", ACTION_ADMITTED, NULL, DROP, NULL},
        {"missing: plan", ACTION_PLAN, NULL, DROP, NULL},
        {"missing: refuse", ACTION_REFUSE, NULL, DROP, NULL},
        {"missing: repeated", ACTION_REPEATED, NULL, DROP, NULL},
        {"missing: accepted", ACTION_ACCEPTED, NULL, DROP, NULL},
        {"missing: failure", ACTION_FAILURE, NULL, DROP, NULL},
        {"missing: map again", ACTION_MAP_AGAIN, NULL, DROP, NULL},
        {"missing: accepted", ACTION_ACCEPTED, is_sample, DROP, NULL},
        {"missing: maps done", ACTION_MAPS_DONE, NULL, DROP, NULL},
        {"missing: commit", ACTION_COMMIT, NULL, DROP, NULL},
        {"missing: dismiss", ACTION_DISMISS, NULL, DROP, NULL},
        {"missing: finished", ACTION_FINISHED, NULL, DROP, NULL},
        {"missing: release", ACTION_RELEASE, NULL, DROP, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        expect_complaint(lies[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_comes_to_the_end_it_deserves_whatever_fails),
        cmocka_unit_test(one_seed_is_one_story),
        cmocka_unit_test(the_model_sees_through_false_assignments),
        cmocka_unit_test(the_model_sees_through_false_holders),
        cmocka_unit_test(the_model_sees_through_what_leaves_too_early_or_twice),
        cmocka_unit_test(the_model_misses_what_was_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
