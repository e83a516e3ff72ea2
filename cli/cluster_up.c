/* marram cluster up: starts the processes and returns when all have found each other. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/resources.h"
#include "cli/cluster.h"
#include "cli/coordinator_http.h"
#include "cli/keyring.h"
#include "cli/place.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "store/tree.h"

enum { ARGUMENTS = 10 };

struct up {
    const char *listen, *http, *dir_option;
    uint64_t workers, threads, memory;
    struct cluster cluster;
    struct cluster_patience patience;
};

static void add_options(void *into, struct option_table *table)
{
    struct up *up = into;
    const struct option_row rows[] = {
        {"workers", 0, OPTION_COUNT, "N", "workers", &up->workers, 1, LIMIT_WORKERS_OF_RUN},
        {"threads", 0, OPTION_COUNT, "N", "OpenMP threads of each worker", &up->threads, 1,
         LIMIT_THREADS, .unset = "all processors, shared"},
        {"memory", 0, OPTION_SIZE, "SIZE", "memory of all workers together", &up->memory,
         (uint64_t)8 << 20, .unset = "60 % of what there is"},
        {"listen", 0, OPTION_TEXT, "ENDPOINT", "where the coordinator is; port 0: any",
         &up->listen},
        {"http", 0, OPTION_TEXT, "ADDR:PORT", "read-only HTTP, or none; port 0: any", &up->http,
         .unset = COORDINATOR_HTTP ", or a free port", .choices = "none|" COORDINATOR_HTTP},
        {"dir", 0, OPTION_TEXT, "DIR", "logs and state", &up->dir_option, .unset = CLUSTER_DIR},
    };

    up->workers = 2;
    up->listen = DEFAULT_COORDINATOR;
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static bool is_free(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    /* As the server will: what only waits for its end does not hold the port. */
    return fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) &&
           !bind(fd, (const struct sockaddr *)&address, sizeof address);
}

/* What to tell the coordinator; NULL: nothing, the usual port is free. */
static const char *http_of(const struct up *up)
{
    if (up->http)
        return up->http;
    return is_free(COORDINATOR_HTTP_PORT) ? NULL : "127.0.0.1:0";
}

static int start_coordinator(struct up *up, struct error *err)
{
    cleanup_free char *state = memory_format("%s/state", up->cluster.dir);
    cleanup_free char *keys = cluster_keys(&up->cluster);
    const char *http = http_of(up);
    char *argv[ARGUMENTS] = {(char *)"marram-coordinator",
                             (char *)"--listen",
                             (char *)(uintptr_t)up->listen,
                             (char *)"--state",
                             state,
                             (char *)"--keys",
                             keys,
                             http ? (char *)"--http" : NULL,
                             (char *)(uintptr_t)http};

    return cluster_start(&up->cluster, "coordinator", argv, err);
}

/* The coordinator says what it listens on in a file of its state folder. */
static int await_endpoint(struct up *up, struct error *err)
{
    cleanup_free char *path = memory_format("%s/state/endpoint", up->cluster.dir);
    FILE *file;
    int n = 0;

    while (!(file = fopen(path, "re")))
        if (cluster_wait(&up->patience, &up->cluster, "the coordinator did not listen", err))
            return -1;
    if (fgets(up->cluster.endpoint, sizeof up->cluster.endpoint, file))
        n = (int)strcspn(up->cluster.endpoint, "\n");
    up->cluster.endpoint[n] = '\0';
    fclose(file);
    return cluster_save(&up->cluster, err);
}

static int bring_up(struct up *up, struct error *err)
{
    cleanup_free char *keys = cluster_keys(&up->cluster);

    up->patience.until_ms = clock_ms() + CLUSTER_PATIENCE_MS;
    if (keyring_make(keys, err) || start_coordinator(up, err) || await_endpoint(up, err))
        return -1;
    for (uint64_t i = 1; i <= up->workers; i++)
        if (cluster_start_worker(&up->cluster, i, err))
            return -1;
    return cluster_await_workers(&up->patience, &up->cluster, up->workers, err);
}

/* How the folder was given, for commands to type. */
static void say_next(const struct up *up)
{
    bool usual = !strcmp(up->cluster.endpoint, DEFAULT_COORDINATOR);
    cleanup_free char *dir = up->dir_option ? memory_format(" --dir %s", up->dir_option) : NULL;

    printf("%llu worker%s at %s, logs in %s\n\nNext:\n", (unsigned long long)up->workers,
           up->workers == 1 ? "" : "s", up->cluster.endpoint, up->cluster.dir);
    if (!usual)
        printf("  export MARRAM_COORDINATOR=%s\n", up->cluster.endpoint);
    /* Those of the usual folder are found. */
    if (dir)
        printf("  export MARRAM_KEYS=%s/keys\n", up->cluster.dir);
    printf("  marram submit wordcount -i /usr/share/common-licenses -o /tmp/words\n"
           "  marram cluster status%s\n  marram cluster down%s\n",
           dir ? dir : "", dir ? dir : "");
}

static bool any_lives(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (process_lives(&cluster->processes[i]))
            return true;
    return false;
}

static void fill_defaults(struct up *up)
{
    uint64_t processors = (uint64_t)resources_threads();

    if (!up->threads)
        up->threads = processors > up->workers ? processors / up->workers : 1;
    if (!up->memory)
        up->memory = resources_memory() / 10 * 6;
}

/* What stands against it, before anything is started. */
static int prepare(struct up *up, struct error *err)
{
    cleanup_free char *dir = cluster_dir(up->dir_option);
    int found;

    if (!place_is_local(up->listen) && !strncmp(up->listen, "tcp://", 6))
        return error_set(err, ERROR_REFUSED,
                         "--listen %s: a cluster of this machine listens on loopback; for "
                         "several machines make keys ('marram keys DIR') and start 'marram "
                         "coordinator' and 'marram worker' by hand",
                         up->listen);
    fill_defaults(up);
    if (up->memory / up->workers < (uint64_t)8 << 20)
        return error_set(err, ERROR_USAGE,
                         "--memory: at least 8 MiB for each worker is wanted");
    found = cluster_open(&up->cluster, dir, CLUSTER_MAKE, err);
    if (found < 0)
        return -1;
    if (any_lives(&up->cluster))
        return error_set(err, ERROR_JOB, "a cluster runs already: marram cluster status%s%s",
                         up->dir_option ? " --dir " : "", up->dir_option ? up->dir_option : "");
    if (!found && !tree_empty(dir))
        return error_set(err, ERROR_USAGE,
                         "--dir %s: it holds other things; a new or empty folder is wanted",
                         dir);
    if (found && cluster_clear(&up->cluster, err))
        return -1;
    /* From here on the folder is ours to clear, whatever happens to us. */
    cluster_close(&up->cluster);
    if (cluster_open(&up->cluster, dir, CLUSTER_MAKE, err) < 0)
        return -1;
    up->cluster.threads = up->threads;
    up->cluster.memory = up->memory / up->workers;
    if (cluster_save(&up->cluster, err))
        return -1;
    up->patience.signals = signals_open(err);
    return up->patience.signals < 0 ? -1 : 0;
}

/* The exit status. */
static int up_or_nothing(struct up *up)
{
    struct error err, ignored;
    int status;

    if (prepare(up, &err))
        return cluster_fail("cluster up", &err);
    if (!bring_up(up, &err)) {
        say_next(up);
        return 0;
    }
    cluster_stop(&up->cluster);
    if (err.code == ERROR_CANCELLED)
        error_set(&err, ERROR_CANCELLED, "interrupted: nothing was left running");
    cluster_clear(&up->cluster, &ignored);
    status = cluster_fail("cluster up", &err);
    return up->patience.status ? up->patience.status : status;
}

static int run(void *into, const struct option_list *words)
{
    struct up *up = into;
    struct error err;
    int status;

    up->cluster.lock = up->patience.signals = -1;
    status = visit_no_words(words, &err) ? cluster_fail("cluster up", &err) : up_or_nothing(up);
    cluster_close(&up->cluster);
    memory_cleanup_close(&up->patience.signals);
    return status;
}

const struct verb verb_cluster_up = {
    .name = "cluster up",
    .summary = "start a coordinator and workers here, in the background",
    .usage = "[options]",
    .about =
        "Starts a coordinator and workers on this machine, in the background, with keys of "
        "their own, and\n"
        "returns when all workers have joined. 'marram cluster down' ends them.",
    .notes = "With --listen tcp://127.0.0.1:0 the system chooses a port: 'marram cluster "
             "status' says which.\n\n"
             "Exit status: 0 it runs, 1 it could not start or runs already, 2 wrong usage, 4 "
             "refused.",
    .size = sizeof(struct up),
    .options = add_options,
    .run = run,
};
