/* marram cluster scale: more workers, or fewer. What is decided is noted in the folder before
 * it is done, and the folder is free while workers take their time to leave: whoever interrupts
 * this command finds a cluster that `status`, `scale` and `down` understand. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/visit.h"

enum { LOOK_MS = 200, INTERRUPTED = 130 };

struct scale {
    const char *dir_option, *dir;
    uint64_t workers;
    struct cluster cluster;
    struct cluster_patience patience;
};

/* Forgets workers that have ended, however they did. */
static void forget_ended(struct cluster *cluster)
{
    for (size_t i = cluster->count; i-- > 1;)
        if (!process_lives(&cluster->processes[i]))
            cluster_remove(cluster, i);
}

static uint64_t count_working(const struct cluster *cluster)
{
    uint64_t count = 0;

    for (size_t i = 1; i < cluster->count; i++)
        count += !cluster->processes[i].leaves;
    return count;
}

static uint64_t highest_number(const struct cluster *cluster)
{
    uint64_t highest = 0, number;

    for (size_t i = 1; i < cluster->count; i++) {
        number = strtoull(cluster->processes[i].name + strlen("worker-"), NULL, 10);
        highest = number > highest ? number : highest;
    }
    return highest;
}

static int open_cluster(struct scale *scale, struct error *err)
{
    cleanup_free char *keys = NULL;
    int found = cluster_open(&scale->cluster, scale->dir, CLUSTER_CHANGE, err);

    if (found < 0)
        return -1;
    if (!found || !scale->cluster.count || !process_lives(&scale->cluster.processes[0]))
        return error_set(err, ERROR_JOB,
                         "no cluster runs in '%s': 'marram cluster up' starts one", scale->dir);
    keys = cluster_keys(&scale->cluster);
    if (!scale->cluster.threads || !scale->cluster.memory || access(keys, F_OK))
        return error_set(
            err, ERROR_JOB,
            "the cluster in '%s' was started by an older version: end it and start "
            "it anew",
            scale->dir);
    forget_ended(&scale->cluster);
    return cluster_save(&scale->cluster, err);
}

static int start_more(struct scale *scale, uint64_t more, struct error *err)
{
    struct cluster *cluster = &scale->cluster;
    uint64_t number = highest_number(cluster);

    scale->patience.until_ms = clock_ms() + CLUSTER_PATIENCE_MS;
    while (more--)
        if (cluster_start_worker(cluster, ++number, err))
            return -1;
    return cluster_await_workers(&scale->patience, cluster, scale->workers, err);
}

/* Notes that the newest are to leave, then asks them to. */
static int ask_to_leave(struct scale *scale, uint64_t fewer, struct error *err)
{
    struct cluster *cluster = &scale->cluster;
    cleanup_free bool *chosen = memory_zeroed(cluster->count, sizeof *chosen);

    for (size_t i = cluster->count; fewer && i-- > 1;)
        if (!cluster->processes[i].leaves) {
            chosen[i] = cluster->processes[i].leaves = true;
            fewer--;
        }
    if (cluster_save(cluster, err))
        return -1;
    for (size_t i = 1; i < cluster->count; i++) {
        cleanup_close int pidfd = chosen[i] ? process_open(&cluster->processes[i]) : -1;

        if (pidfd >= 0)
            syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
    }
    return 0;
}

static uint64_t count_leaving(const struct cluster *cluster)
{
    uint64_t count = 0;

    for (size_t i = 1; i < cluster->count; i++)
        count += cluster->processes[i].leaves && process_lives(&cluster->processes[i]);
    return count;
}

/* What those wait for that are to leave, when it is another thing than before. */
static void say_reasons(const struct scale *scale, char said[256])
{
    cleanup_free char *keys = cluster_keys(&scale->cluster);
    const struct place place = {scale->cluster.endpoint, keys};
    Mr__Query question = MR__QUERY__INIT;
    ProtobufCMessage *answer;
    struct error ignored;
    char line[256] = "", name[80], reason[160];

    question.question = MR__QUESTION__ALL_WORKERS;
    if (visit_ask(&place, FRAME_QUERY, &question.base, FRAME_WORKERS, &answer, &ignored))
        return;
    for (size_t i = 0; i < ((const Mr__Workers *)answer)->n_workers && !*line; i++) {
        const Mr__WorkerInfo *worker = ((const Mr__Workers *)answer)->workers[i];

        if (worker->reason.len)
            snprintf(line, sizeof line, "%s: %s", show_bytes(worker->name, name, sizeof name),
                     show_bytes(worker->reason, reason, sizeof reason));
    }
    frame_free(answer);
    if (*line && strcmp(line, said))
        fprintf(stderr, "%s\n", line);
    strcpy(said, line);
}

/* The folder is nobody's meanwhile. */
static int await_leaving(struct scale *scale, struct error *err)
{
    struct pollfd signals = {scale->patience.signals, POLLIN, 0};
    char said[256] = "";

    memory_cleanup_close(&scale->cluster.lock);
    scale->cluster.lock = -1;
    while (count_leaving(&scale->cluster)) {
        say_reasons(scale, said);
        if (poll(&signals, 1, LOOK_MS) == 1 && signals_take(signals.fd)) {
            scale->patience.status = INTERRUPTED;
            return error_set(err, ERROR_CANCELLED, "interrupted: they go on leaving");
        }
    }
    cluster_close(&scale->cluster);
    return open_cluster(scale, err);
}

static int change(struct scale *scale, struct error *err)
{
    uint64_t now;

    if (open_cluster(scale, err))
        return -1;
    scale->patience.signals = signals_open(err);
    if (scale->patience.signals < 0)
        return -1;
    now = count_working(&scale->cluster);
    if (now < scale->workers)
        return start_more(scale, scale->workers - now, err);
    if (now > scale->workers && ask_to_leave(scale, now - scale->workers, err))
        return -1;
    return count_leaving(&scale->cluster) ? await_leaving(scale, err) : 0;
}

/* The exit status. */
static int scale_or_tell(struct scale *scale)
{
    struct error err;
    int status;

    if (!change(scale, &err)) {
        printf("%llu worker%s\n", (unsigned long long)scale->workers,
               scale->workers == 1 ? "" : "s");
        return 0;
    }
    status = cluster_fail("cluster scale", &err);
    return scale->patience.status ? scale->patience.status : status;
}

static int take_number(struct scale *scale, const struct option_list *words, struct error *err)
{
    char *end = NULL;

    if (words->count > 1)
        return error_set(err, ERROR_USAGE, "'%s' is one word too many", words->items[1]);
    if (words->count)
        scale->workers = strtoull(words->items[0], &end, 10);
    if (!words->count || !*words->items[0] || *end || !scale->workers ||
        scale->workers > LIMIT_WORKERS_OF_RUN || *words->items[0] == '-')
        return error_set(err, ERROR_USAGE, "how many workers? 1 to %d are possible",
                         LIMIT_WORKERS_OF_RUN);
    return 0;
}

static void add_options(void *into, struct option_table *table)
{
    struct scale *scale = into;
    const struct option_row row = cluster_row(&scale->dir_option);

    options_add(table, &row, 1);
}

static int run(void *into, const struct option_list *words)
{
    struct scale *scale = into;
    cleanup_free char *dir = cluster_dir(scale->dir_option);
    struct error err;
    int status;

    scale->dir = dir;
    scale->cluster.lock = scale->patience.signals = -1;
    status = take_number(scale, words, &err) ? cluster_fail("cluster scale", &err)
                                             : scale_or_tell(scale);
    cluster_close(&scale->cluster);
    memory_cleanup_close(&scale->patience.signals);
    return status;
}

const struct verb verb_cluster_scale = {
    .name = "cluster scale",
    .summary = "start more of its workers, or let some leave",
    .usage = "N [options]",
    .about = "Starts workers, or lets the newest leave, until there are N. Jobs go on; what a "
             "worker has done\n"
             "is handed over before it ends. Returns when all have joined, or left.",
    .notes = "Interrupted, it leaves everything in order: workers that are to leave go on "
             "leaving.\n\n"
             "Exit status: 0 there are N, 1 there is no cluster or a worker could not start, 2 "
             "wrong usage,\n"
             "130 interrupted.",
    .size = sizeof(struct scale),
    .options = add_options,
    .run = run,
};
