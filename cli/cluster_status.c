/* marram cluster status: what of the cluster that `up` started runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/coordinator_http.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/info.h"

enum { NO_COORDINATOR = 3 };

/* What the coordinator says of one of our processes; NULL when it does not know it. */
static const Mr__WorkerInfo *find(const Mr__Workers *workers, const struct process *process)
{
    for (size_t i = 0; workers && i < workers->n_workers; i++)
        if (workers->workers[i]->pid == (uint32_t)process->pid)
            return workers->workers[i];
    return NULL;
}

static const char *state_of(const Mr__Workers *workers, const struct process *process,
                            char room[16])
{
    const Mr__WorkerInfo *info = find(workers, process);

    if (!process_lives(process))
        return process->leaves ? "left" : "dead";
    return info ? show_bytes(info->state, room, 16) : "not joined";
}

/* Where the coordinator says that it answers HTTP; "": nowhere. */
static void read_http(const struct cluster *cluster, bool lives,
                      char ret[COORDINATOR_HTTP_SIZE])
{
    cleanup_free char *path = memory_format("%s/state/http", cluster->dir);
    FILE *file = lives ? fopen(path, "re") : NULL;

    if (!file || !fgets(ret, COORDINATOR_HTTP_SIZE, file))
        *ret = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    if (file)
        fclose(file);
}

static void print_json(const struct cluster *cluster, const char *http, bool lives,
                       const Mr__Workers *workers)
{
    json_t *root = json_object(), *coordinator = json_object(), *list = json_array();
    char room[16];

    json_object_set_new(coordinator, "pid", json_integer(cluster->processes[0].pid));
    json_object_set_new(coordinator, "state",
                        json_string(!lives    ? "dead"
                                    : workers ? "up"
                                              : "silent"));
    for (size_t i = 1; i < cluster->count; i++) {
        json_t *worker = json_object();

        json_object_set_new(worker, "name", json_string(cluster->processes[i].name));
        json_object_set_new(worker, "pid", json_integer(cluster->processes[i].pid));
        json_object_set_new(worker, "state",
                            json_string(state_of(workers, &cluster->processes[i], room)));
        json_array_append_new(list, worker);
    }
    json_object_set_new(root, "endpoint", json_string(cluster->endpoint));
    json_object_set_new(root, "http", *http ? json_string(http) : json_null());
    json_object_set_new(root, "dir", info_text(cluster->dir, strlen(cluster->dir)));
    json_object_set_new(root, "coordinator", coordinator);
    json_object_set_new(root, "workers", list);
    show_json(root);
}

static void print_text(const struct cluster *cluster, const char *http, bool lives,
                       const Mr__Workers *workers)
{
    char room[16];

    printf("coordinator  %-10s pid %-8d %s\n",
           !lives    ? "dead"
           : workers ? "up"
                     : "silent",
           (int)cluster->processes[0].pid, cluster->endpoint);
    for (size_t i = 1; i < cluster->count; i++)
        printf("%-12s %-10s pid %d\n", cluster->processes[i].name,
               state_of(workers, &cluster->processes[i], room), (int)cluster->processes[i].pid);
    if (*http)
        printf("HTTP at http://%s\n", http);
    printf("logs in %s\n", cluster->dir);
}

/* The exit status. */
static int print(const struct cluster *cluster, bool json)
{
    Mr__Query question = MR__QUERY__INIT;
    bool lives = process_lives(&cluster->processes[0]), answers;
    char http[COORDINATOR_HTTP_SIZE];
    cleanup_free char *keys = cluster_keys(cluster);
    const struct place place = {cluster->endpoint, keys};
    ProtobufCMessage *answer = NULL;
    struct error err;

    question.question = MR__QUESTION__ALL_WORKERS;
    if (lives && *cluster->endpoint &&
        visit_ask(&place, FRAME_QUERY, &question.base, FRAME_WORKERS, &answer, &err))
        cluster_fail("cluster status", &err);
    read_http(cluster, lives, http);
    (json ? print_json : print_text)(cluster, http, lives, (const Mr__Workers *)answer);
    answers = answer != NULL;
    frame_free(answer);
    return answers ? 0 : NO_COORDINATOR;
}

/* The exit status. */
static int look(const char *dir, bool json)
{
    struct cluster cluster;
    struct error err;
    int status, found = cluster_open(&cluster, dir, CLUSTER_LOOK, &err);

    if (found > 0 && cluster.count) {
        status = print(&cluster, json);
    } else {
        if (found >= 0)
            error_set(&err, ERROR_JOB,
                      "no cluster runs in '%s': 'marram cluster up' starts one", dir);
        status = cluster_fail("cluster status", &err);
    }
    cluster_close(&cluster);
    return status;
}

struct status {
    const char *dir;
    bool json;
};

static void add_options(void *into, struct option_table *table)
{
    struct status *status = into;
    const struct option_row rows[] = {
        cluster_row(&status->dir),
        {"json", 0, OPTION_FLAG, NULL, "as one JSON object", &status->json},
    };

    options_add(table, rows, sizeof rows / sizeof *rows);
}

static int run(void *into, const struct option_list *words)
{
    const struct status *status = into;
    cleanup_free char *dir = cluster_dir(status->dir);
    struct error err;

    return visit_no_words(words, &err) ? cluster_fail("cluster status", &err)
                                       : look(dir, status->json);
}

const struct verb verb_cluster_status = {
    .name = "cluster status",
    .summary = "say what of it runs",
    .usage = "[options]",
    .about = "Says what runs of the cluster that 'marram cluster up' started.",
    .notes =
        "--json prints endpoint, http, dir, coordinator (pid; state: up, silent, dead) and "
        "workers (each with\n"
        "name, pid, state: idle, busy, draining, left, not joined, dead).\n\n"
        "Exit status: 0 the coordinator answers, 1 no cluster was started, 3 it does not "
        "answer.",
    .size = sizeof(struct status),
    .options = add_options,
    .run = run,
};
