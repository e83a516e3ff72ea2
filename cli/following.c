#include "cli/following.h"

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "wire/info.h"

enum { INTERRUPTED = 130, SECOND_THOUGHTS_MS = 2000, GOING_ON = -1 };

/* What signals have made of us. */
enum mood { ATTACHED, LEAVING, CANCELLING };

struct state {
    const struct following *what;
    enum mood mood;
    int64_t leave_ms; /* when LEAVING */
};

static int take_finished(const struct state *state, const Mr__Finished *finished)
{
    cleanup_free char *output =
        memory_format("%.*s", (int)finished->output.len, (const char *)finished->output.data);
    int status = report_finished(state->what->report, finished, output);

    return state->mood == CANCELLING && status ? INTERRUPTED : status;
}

/* A coordinator that is there again is asked again. */
static void ask_again(const struct state *state)
{
    Mr__Query query = MR__QUERY__INIT;
    Mr__Cancel cancel = MR__CANCEL__INIT;

    query.question = MR__QUESTION__WAIT_JOB;
    query.job = cancel.job = state->what->job;
    client_send(state->what->client, FRAME_QUERY, &query.base);
    if (state->mood == CANCELLING)
        client_send(state->what->client, FRAME_CANCEL, &cancel.base);
}

/* -1 to go on, else the exit status. */
static int take(const struct state *state, enum frame_type type,
                const ProtobufCMessage *message)
{
    const Mr__Error *error;
    struct error err;

    switch (type) {
    case FRAME_FENCED:
        ask_again(state);
        return GOING_ON;
    case FRAME_PROGRESS:
        report_progress(state->what->report, (const Mr__Progress *)message);
        return GOING_ON;
    case FRAME_FINISHED:
        return take_finished(state, (const Mr__Finished *)message);
    case FRAME_REPLY:
        error = ((const Mr__Reply *)message)->error;
        /* A job that ended before it could be cancelled says so by FINISHED. */
        if (!error || state->mood == CANCELLING)
            return GOING_ON;
        error_set(&err, ERROR_JOB, "%.*s", (int)error->text.len,
                  (const char *)error->text.data);
        return report_error(state->what->report, state->what->verb, &err);
    default:
        return GOING_ON;
    }
}

static int leave(const struct state *state)
{
    if (state->what->report->json) {
        json_t *root = json_object();

        json_object_set_new(root, "job", info_id(state->what->job));
        json_object_set_new(root, "state", json_string("detached"));
        json_object_set_new(root, "error", json_null());
        json_object_set_new(root, "counters", json_object());
        show_json(root);
    }
    return INTERRUPTED;
}

static void cancel(struct state *state)
{
    Mr__Cancel message = MR__CANCEL__INIT;

    message.job = state->what->job;
    client_send(state->what->client, FRAME_CANCEL, &message.base);
    state->mood = CANCELLING;
}

/* -1 to go on, else the exit status. */
static int take_signal(struct state *state, int signal)
{
    char id[SHOW_ID];

    if (signal == SIGINT && state->mood == LEAVING) {
        cancel(state);
        return GOING_ON;
    }
    if (state->mood == CANCELLING)
        return INTERRUPTED;
    show_id(state->what->job, id);
    fprintf(stderr,
            "%sdetached: 'marram wait %s' attaches again, 'marram cancel %s' cancels%s\n",
            state->what->report->terminal ? "\n" : "", id, id,
            signal == SIGINT ? " (Ctrl-C again cancels now)" : "");
    if (signal != SIGINT)
        return leave(state);
    state->mood = LEAVING;
    state->leave_ms = clock_ms() + SECOND_THOUGHTS_MS;
    return GOING_ON;
}

static int take_signals(struct state *state)
{
    int status = GOING_ON, signal;

    while (status == GOING_ON && (signal = signals_take(state->what->signals)))
        status = take_signal(state, signal);
    if (status == GOING_ON && state->mood == LEAVING && clock_ms() >= state->leave_ms)
        status = leave(state);
    return status;
}

int following(const struct following *what)
{
    struct state state = {.what = what};
    int status = GOING_ON;

    while (status == GOING_ON) {
        int64_t left = state.leave_ms - clock_ms();
        ProtobufCMessage *message;
        enum frame_type type;
        struct error err;
        int result = client_receive(what->client, &what->signals, 1,
                                    state.mood != LEAVING ? -1
                                    : left > 0            ? (long)left
                                                          : 0,
                                    &type, &message, &err);

        if (result < 0)
            return report_error(what->report, what->verb, &err);
        if (result) {
            status = take(&state, type, message);
            frame_free(message);
        } else {
            status = take_signals(&state);
        }
    }
    return status;
}
