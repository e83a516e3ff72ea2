/* marram cluster down: ends what `up` started. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/verbs.h"
#include "cli/visit.h"

enum { GRACE_MS = 10000, KILL_MS = 5000 };

static void send_signal(int pidfd, int signal)
{
    if (pidfd >= 0)
        syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* Waits until all have ended or the time has come; true if all have. */
static bool await_end(const int *pidfds, size_t n, int64_t until_ms)
{
    for (size_t i = 0; i < n; i++) {
        struct pollfd ended = {pidfds[i], POLLIN, 0};
        int64_t left = until_ms - clock_ms();

        if (pidfds[i] >= 0 && poll(&ended, 1, left > 0 ? (int)left : 0) != 1)
            return false;
    }
    return true;
}

static void stop(const struct process *processes, size_t n)
{
    int *pidfds = memory_new(n * sizeof *pidfds);

    for (size_t i = 0; i < n; i++) {
        pidfds[i] = process_open(&processes[i]);
        send_signal(pidfds[i], SIGTERM);
        send_signal(pidfds[i], SIGINT); /* a worker need not hand over anything first */
    }
    if (!await_end(pidfds, n, clock_ms() + GRACE_MS)) {
        for (size_t i = 0; i < n; i++)
            send_signal(pidfds[i], SIGKILL);
        await_end(pidfds, n, clock_ms() + KILL_MS);
    }
    for (size_t i = 0; i < n; i++)
        if (pidfds[i] >= 0)
            close(pidfds[i]);
    free(pidfds);
}

void cluster_stop(const struct cluster *cluster)
{
    if (cluster->count > 1)
        stop(cluster->processes + 1, cluster->count - 1);
    if (cluster->count)
        stop(cluster->processes, 1);
}

/* The exit status. */
static int down(const char *dir)
{
    struct cluster cluster;
    struct error err;
    int status = 0, found = cluster_open(&cluster, dir, CLUSTER_CHANGE, &err);

    if (!found) {
        error_set(&err, ERROR_JOB, "no cluster runs in '%s'", dir);
        status = cluster_fail("cluster down", &err);
    } else {
        if (found > 0)
            cluster_stop(&cluster);
        if (found < 0 || cluster_clear(&cluster, &err))
            status = cluster_fail("cluster down", &err);
    }
    cluster_close(&cluster);
    return status;
}

static void add_options(void *into, struct option_table *table)
{
    const struct option_row row = cluster_row(into);

    options_add(table, &row, 1);
}

static int run(void *into, const struct option_list *words)
{
    const char *const *option = into;
    cleanup_free char *dir = cluster_dir(*option);
    struct error err;

    return visit_no_words(words, &err) ? cluster_fail("cluster down", &err) : down(dir);
}

const struct verb verb_cluster_down = {
    .name = "cluster down",
    .summary = "end it",
    .usage = "[options]",
    .about = "Ends the cluster that 'marram cluster up' started, and removes its logs and "
             "state.",
    .notes = "Jobs that are not finished are lost.\n\n"
             "Exit status: 0, or 1 when there is no cluster.",
    .size = sizeof(const char *),
    .options = add_options,
    .run = run,
};
