/* marram drain: lets a worker leave without losing what it has done. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/report.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/bytes.h"
#include "wire/info.h"

enum { LOOK_MS = 100, INTERRUPTED = 130 };

struct drain {
    struct place place;
    const char *worker;
    uint64_t timeout; /* seconds; 0: the usual */
    bool detach, json;
    bool again, gone; /* when it was asked to leave, it had been already; it had left */
    int64_t since_ms;
    char said[256]; /* last */
};

/* The state as one object. */
static void print_json(const struct drain *drain, const Mr__Draining *state)
{
    json_t *root = json_object();
    char id[20];

    snprintf(id, sizeof id, "%016" PRIx64, state->worker);
    json_object_set_new(root, "worker", json_string(id));
    json_object_set_new(root, "name", info_bytes(state->name));
    json_object_set_new(root, "state", info_bytes(state->state));
    json_object_set_new(root, "reason", info_bytes(state->reason));
    json_object_set_new(root, "running", json_integer(state->running));
    json_object_set_new(root, "outputs", json_integer((json_int_t)state->outputs));
    json_object_set_new(root, "bytes", json_integer((json_int_t)state->bytes));
    json_object_set_new(root, "again", json_boolean(drain->again));
    json_object_set_new(root, "seconds",
                        json_real((double)(clock_ms() - drain->since_ms) / 1000));
    show_json(root);
}

static bool is_over(const Mr__Draining *state)
{
    return bytes_are(state->state, "left") || bytes_are(state->state, "lost");
}

/* A line when it is another one than before. */
static void say(struct drain *drain, const Mr__Draining *state)
{
    char name[80], reason[160], line[sizeof drain->said];

    show_bytes(state->name, name, sizeof name);
    show_bytes(state->reason, reason, sizeof reason);
    snprintf(line, sizeof line, "%s: %s", name, reason);
    if (drain->json || !*reason || !strcmp(line, drain->said))
        return;
    strcpy(drain->said, line);
    fprintf(stderr, "%s\n", line);
}

static int ask(const struct drain *drain, const char *worker, bool look, Mr__Draining **ret,
               struct error *err)
{
    Mr__Drain question = MR__DRAIN__INIT;
    ProtobufCMessage *answer;

    question.worker = bytes_of(worker);
    question.timeout_ms = (uint32_t)(drain->timeout * 1000);
    question.look = look;
    if (visit_ask(&drain->place, FRAME_DRAIN, &question.base, FRAME_DRAINING, &answer, err))
        return -1;
    *ret = (Mr__Draining *)answer;
    return 0;
}

/* Takes the last word over; the exit status. */
static int end(const struct drain *drain, Mr__Draining *state, struct report *report)
{
    char name[80];
    struct error err;
    int status = 0;

    show_bytes(state->name, name, sizeof name);
    if (drain->json)
        print_json(drain, state);
    else if (bytes_are(state->state, "left"))
        printf("%s has left%s\n", name, drain->gone ? " already" : "");
    else if (bytes_are(state->state, "draining"))
        printf("%s is to leave%s\n", name, drain->again ? ", as it was already" : "");
    if (bytes_are(state->state, "lost")) {
        status = 1;
        if (!drain->json) {
            error_set(&err, ERROR_JOB,
                      "%s ended before it had handed over all: what was lost is made again",
                      name);
            status = report_error(report, "drain", &err);
        }
    }
    frame_free(&state->base);
    return status;
}

/* Waits until it is gone. The exit status. */
static int follow(struct drain *drain, Mr__Draining *state, struct report *report)
{
    cleanup_close int stop = -1;
    struct error err;
    char id[20];

    snprintf(id, sizeof id, "%016" PRIx64, state->worker);
    drain->again = state->again;
    drain->gone = is_over(state);
    if (drain->again && !drain->gone && !drain->detach && !drain->json)
        fprintf(stderr, "it was to leave already\n");
    stop = signals_open(&err);
    while (!drain->detach && !is_over(state)) {
        struct pollfd signals = {stop, POLLIN, 0};

        say(drain, state);
        if (poll(&signals, 1, LOOK_MS) == 1 && signals_take(stop)) {
            fprintf(stderr, "interrupted: it goes on leaving\n");
            frame_free(&state->base);
            return INTERRUPTED;
        }
        frame_free(&state->base);
        if (ask(drain, id, true, &state, &err))
            return report_error(report, "drain", &err);
    }
    return end(drain, state, report);
}

/* The exit status. */
static int drain_worker(struct drain *drain, const struct option_list *words)
{
    struct report report;
    Mr__Draining *state;
    struct error err;

    report_init(&report, drain->json);
    drain->since_ms = clock_ms();
    if (words->count != 1)
        error_set(&err, ERROR_USAGE,
                  words->count
                      ? "'%s' is one word too many"
                      : "no worker: give a name or number that 'marram workers' shows%s",
                  words->count ? words->items[1] : "");
    if (words->count != 1 || ask(drain, words->items[0], false, &state, &err))
        return report_error(&report, "drain", &err);
    return follow(drain, state, &report);
}

static void add_options(void *into, struct option_table *table)
{
    struct drain *drain = into;
    const struct option_row rows[] = {
        {"timeout", 0, OPTION_COUNT, "SECONDS",
         "then what runs there is stopped and runs elsewhere", &drain->timeout, 1, 86400,
         .unset = "300"},
        {"detach", 0, OPTION_FLAG, NULL, "do not wait until it has left", &drain->detach,
         .once = true},
        {"json", 0, OPTION_FLAG, NULL, "print the end as one JSON object", &drain->json},
    };

    place_options(&drain->place, table);
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static int run(void *into, const struct option_list *words)
{
    return drain_worker(into, words);
}

const struct verb verb_drain = {
    .name = "drain",
    .summary = "let a worker leave without losing its work",
    .usage = "WORKER [options]",
    .about = "Lets a worker leave: it gets no new tasks, what runs there ends, its map outputs "
             "move to other\n"
             "workers, so that none is made again. WORKER is a name or number that 'marram "
             "workers' shows.",
    .notes = "While no other worker is there to take its outputs, or none has room, it waits "
             "and says so.\n"
             "SIGTERM to a worker does the same. --json prints worker, name, state (left, "
             "lost; with --detach\n"
             "draining), reason, running, outputs, bytes, again (it was asked to before), "
             "seconds.\n\n"
             "Exit status: 0 it has left, 1 there is no such worker or it ended before all was "
             "handed over,\n"
             "2 wrong usage, 3 no coordinator, 4 refused, 130 interrupted (it goes on "
             "leaving).",
    .size = sizeof(struct drain),
    .options = add_options,
    .run = run,
};
