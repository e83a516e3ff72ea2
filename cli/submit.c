/* marram submit: gives a job to a cluster, and waits for it unless told otherwise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/following.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "cli/submission.h"
#include "cli/submitting.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

enum { INTERRUPTED = 130 };

struct submit {
    struct submission submission;
    struct place place;
    bool detach;
    uint64_t patience_s;
    struct visit visit;
    struct report report;
    int signals;
};

static void add_options(void *into, struct option_table *table)
{
    struct submit *submit = into;
    const struct option_row rows[] = {
        {"detach", 0, OPTION_FLAG, NULL, "do not wait for the job", &submit->detach,
         .once = true},
        visit_patience_row(&submit->patience_s),
    };

    submission_options(&submit->submission, true, table);
    place_options(&submit->place, table);
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static void say_accepted(const struct submit *submit, uint64_t job)
{
    char id[SHOW_ID];

    show_id(job, id);
    if (!submit->submission.json) {
        puts(id);
        fflush(stdout);
    } else if (submit->detach) {
        json_t *root = json_object();

        json_object_set_new(root, "job", info_id(job));
        json_object_set_new(root, "state", json_string("submitted"));
        json_object_set_new(root, "error", json_null());
        json_object_set_new(root, "counters", json_object());
        show_json(root);
    }
    if (submit->detach)
        fprintf(stderr, "next: marram wait %s, marram logs %s, marram cancel %s\n", id, id, id);
}

/* The exit status. */
static int submit(struct submit *submit, const Mr__Submit *message, const char *object)
{
    struct following what = {"submit", submit->visit.client, &submit->report, submit->signals,
                             0};
    struct error err;
    int result =
        submitting(submit->visit.client, message, object, &submit->signals, 1, &what.job, &err);

    if (result < 0)
        return report_error(&submit->report, "submit", &err);
    if (!result) {
        fprintf(stderr, "marram submit: interrupted before there was an answer: 'marram jobs' "
                        "tells whether the job was accepted\n");
        return INTERRUPTED;
    }
    say_accepted(submit, what.job);
    return submit->detach ? 0 : following(&what);
}

static int prepare(struct submit *submit, Mr__Submit **ret, char **ret_object,
                   struct error *err)
{
    Mr__Submit *message;
    char *object;

    if (submission_message(&submit->submission, &message, err))
        return -1;
    message->detach = submit->detach;
    if (getrandom(&message->token, sizeof message->token, 0) != sizeof message->token)
        message->token = (uint64_t)clock_ns();
    object = submission_object(&submit->submission, err);
    submit->signals = object ? signals_open(err) : -1;
    if (submit->signals < 0 || visit_open(&submit->visit, &submit->place, err)) {
        free(object);
        submission_message_free(message);
        return -1;
    }
    client_keep(submit->visit.client, (int64_t)submit->patience_s * 1000);
    *ret = message;
    *ret_object = object;
    return 0;
}

static int run(void *into, const struct option_list *words)
{
    struct submit *all = into;
    Mr__Submit *message = NULL;
    char *object = NULL;
    struct error err = {0};
    int status;

    all->submission.words = words;
    all->signals = -1;
    report_init(&all->report, all->submission.json);
    all->report.replays = true;
    all->report.reasons = true;
    if (prepare(all, &message, &object, &err)) {
        status = report_error(&all->report, "submit", &err);
    } else {
        status = submit(all, message, object);
        submission_message_free(message);
        free(object);
        visit_close(&all->visit);
    }
    memory_cleanup_close(&all->signals);
    return status;
}

const struct verb verb_submit = {
    .name = "submit",
    .summary = "give a job to a cluster, and wait for it",
    .usage = "JOB -i URI... -o URI [options]",
    .about = "Gives a job to a cluster and waits for it. JOB is the path of a job object, or "
             "the name\n"
             "of one that ships. Inputs and output lie where the coordinator and all workers "
             "see them\n"
             "under the same paths. The job's id goes to stdout once it is accepted; from then "
             "on the job\n"
             "needs us no more.",
    .notes = "Ctrl-C detaches: the job goes on. A second one within two seconds cancels it. A "
             "coordinator\n"
             "that goes away while we wait is looked for; one that is back in time is asked "
             "again, and never\n"
             "has the job twice.\n\n"
             "--json prints one object at the end: job, state (done, failed, cancelled, "
             "detached,\n"
             "submitted with --detach, refused), error (null or code and text), output, parts, "
             "map_tasks,\n"
             "reduce_tasks, seconds, counters.\n\n"
             "Exit status: 0 done (with --detach: accepted), 1 the job failed or was "
             "cancelled, 2 wrong\n"
             "usage, 3 no coordinator, 4 refused, 130 interrupted.",
    .size = sizeof(struct submit),
    .options = add_options,
    .run = run,
};
