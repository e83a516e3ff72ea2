/* marram run: a whole cluster for one job, in this process and its executors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/resources.h"
#include "cli/private.h"
#include "cli/report.h"
#include "cli/sandbox.h"
#include "cli/signals.h"
#include "cli/submission.h"
#include "cli/submitting.h"
#include "cli/verbs.h"
#include "wire/frame.h"

enum { INTERRUPTED = 130 };

struct run {
    struct submission submission;
    struct sandbox_options sandbox;
    uint64_t workers, threads, memory;
    struct private_cluster *cluster;
    struct client *client;
    struct report report;
    uint64_t job; /* 0 until admitted */
    int signals;  /* a signalfd */
    bool interrupted;
    char *output; /* absolute, for people */
};

static void add_options(void *into, struct option_table *table)
{
    struct run *run = into;
    const struct option_row rows[] = {
        {"workers", 0, OPTION_COUNT, "N", "workers, each with an executor of its own",
         &run->workers, 1, LIMIT_WORKERS_OF_RUN},
        {"threads", 0, OPTION_COUNT, "N", "OpenMP threads of each worker", &run->threads, 1,
         LIMIT_THREADS, .unset = "all processors, shared"},
        {"memory", 0, OPTION_SIZE, "SIZE", "memory of all workers together", &run->memory,
         (uint64_t)8 << 20, .unset = "60 % of what there is"},
    };

    run->workers = 1;
    submission_options(&run->submission, false, table);
    options_add(table, rows, sizeof rows / sizeof *rows);
    sandbox_options(&run->sandbox, table);
}

static void fill_defaults(struct run *run)
{
    uint64_t processors = (uint64_t)resources_threads();

    if (!run->threads)
        run->threads = processors > run->workers ? processors / run->workers : 1;
    if (!run->memory)
        run->memory = resources_memory() / 10 * 6;
}

static void interrupt(struct run *run)
{
    Mr__Cancel cancel = MR__CANCEL__INIT;

    while (signals_take(run->signals))
        ;
    run->interrupted = true;
    cancel.job = run->job;
    if (run->job)
        client_send(run->client, FRAME_CANCEL, &cancel.base);
}

/* One message from the coordinator: -1 to go on, else the exit status. */
static int receive(struct run *run, enum frame_type type, const ProtobufCMessage *message)
{
    switch (type) {
    case FRAME_PROGRESS:
        report_progress(&run->report, (const Mr__Progress *)message);
        return -1;
    case FRAME_FINISHED:
        return report_finished(&run->report, (const Mr__Finished *)message, run->output);
    default:
        return -1;
    }
}

/* Waits for the job; the exit status. */
static int await(struct run *run)
{
    const int fds[] = {run->signals, private_failed_fd(run->cluster)};
    const struct error *failure;
    int status = -1;

    while (status < 0) {
        ProtobufCMessage *message;
        enum frame_type type;
        struct error err;
        int result = client_receive(run->client, fds, 2, -1, &type, &message, &err);

        if (result < 0)
            return report_error(&run->report, "run", &err);
        if (result) {
            status = receive(run, type, message);
            frame_free(message);
            continue;
        }
        failure = private_failure(run->cluster);
        if (failure)
            return report_error(&run->report, "run", failure);
        interrupt(run);
    }
    return run->interrupted && status ? INTERRUPTED : status;
}

/* Starts the cluster and submits: 1, 0 when interrupted before there was a job, -1. */
static int start(struct run *run, struct error *err)
{
    struct private_options options = {(uint32_t)run->workers, (uint32_t)run->threads,
                                      run->memory};
    cleanup_free char *object = submission_object(&run->submission, err);
    Mr__Submit *message;
    int result;

    if (!object || sandbox_export(&run->sandbox, err) ||
        submission_message(&run->submission, &message, err))
        return -1;
    run->output = memory_format("%.*s", (int)message->spec->output.len,
                                (const char *)message->spec->output.data);
    run->signals = signals_open(err);
    result = run->signals < 0 ? -1 : private_start(&options, &run->cluster, err);
    if (!result) {
        run->client = private_client(run->cluster);
        result = submitting(run->client, message, object, &run->signals, 1, &run->job, err);
    }
    submission_message_free(message);
    return result;
}

static int run_job(void *into, const struct option_list *words)
{
    struct run *run = into;
    struct error err = {0};
    int status;

    run->submission.words = words;
    run->signals = -1;
    fill_defaults(run);
    report_init(&run->report, run->submission.json);
    status = start(run, &err);
    status = status > 0    ? await(run)
             : status == 0 ? INTERRUPTED
                           : report_error(&run->report, "run", &err);
    private_stop(run->cluster);
    memory_cleanup_close(&run->signals);
    free(run->output);
    return status;
}

const struct verb verb_run_job = {
    .name = "run",
    .summary = "run a job on a private cluster of this machine",
    .usage = "JOB -i URI... -o URI [options]",
    .about = "Runs a job on a private cluster of this machine and waits for it. JOB is the "
             "path of a\n"
             "job object, or the name of one that ships (wordcount, grep, sort, terasort "
             "...).",
    .notes = "Exit status: 0 done, 1 the job failed or was cancelled, 2 wrong usage or "
             "refused before\n"
             "any work, 130 interrupted. SIZE takes K, M, G (powers of 1024).\n\n"
             "Example: marram run wordcount -i /usr/share/common-licenses -o /tmp/words",
    .size = sizeof(struct run),
    .options = add_options,
    .run = run_job,
};
