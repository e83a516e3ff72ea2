#include "cli/private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "cli/locate.h"
#include "coordinator/serve.h"
#include "store/scratch.h"
#include "worker/agent/agent.h"

static const char endpoint[] = "inproc://coordinator";

/* Nobody of one process is lost alone: the lease is long, for machines that are very busy. */
enum { LEASE_MS = 60000 };

struct worker {
    struct private_cluster *cluster;
    struct agent_options options;
    pthread_t thread;
    char name[24];
    char *scratch;
    struct error error;
};

struct private_cluster {
    void *context;
    struct scratch scratch;
    char *program;
    struct coordinator *coordinator;
    pthread_t thread; /* the coordinator's */
    struct worker *workers;
    uint32_t worker_count, started;
    int stop_coordinator, stop_workers, failed;
    struct client *client;
};

static void raise_event(int fd)
{
    check(!eventfd_write(fd, 1));
}

static void *coordinate(void *context)
{
    struct private_cluster *cluster = context;
    struct error impossible; /* there is no journal that could fail */

    serve_run(cluster->coordinator, cluster->stop_coordinator, &impossible);
    return NULL;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct agent *agent;

    if (agent_open(&worker->options, &agent, &worker->error)) {
        raise_event(worker->cluster->failed);
        return NULL;
    }
    if (agent_run(agent, worker->cluster->stop_workers, &worker->error))
        raise_event(worker->cluster->failed);
    agent_close(agent);
    return NULL;
}

static int make_folder(struct private_cluster *cluster, struct error *err)
{
    const char *base = getenv("TMPDIR");

    return scratch_open(&cluster->scratch, base && *base ? base : "/tmp", "marram-run", err);
}

static void start_workers(struct private_cluster *cluster,
                          const struct private_options *options)
{
    cluster->worker_count = options->workers;
    cluster->workers = memory_zeroed(options->workers, sizeof *cluster->workers);
    for (uint32_t i = 0; i < options->workers; i++) {
        struct worker *worker = &cluster->workers[i];

        worker->cluster = cluster;
        worker->scratch = memory_format("%s/worker-%u", cluster->scratch.path, i);
        snprintf(worker->name, sizeof worker->name, "worker-%u", i);
        worker->options = (struct agent_options){
            .context = cluster->context,
            .endpoint = endpoint,
            .name = worker->name,
            .program = cluster->program,
            .scratch = worker->scratch,
            .threads = options->threads,
            .memory = options->memory / options->workers,
            .direct_reads = true,
        };
        check(!pthread_create(&worker->thread, NULL, work, worker));
        cluster->started++;
    }
}

static int start_coordinator(struct private_cluster *cluster, struct error *err)
{
    struct coordinator_options options = {
        .context = cluster->context,
        .endpoint = endpoint,
        .state = cluster->scratch.path,
        .heartbeat_ms = DEFAULT_HEARTBEAT_MS,
        .lease_ms = LEASE_MS,
    };

    return serve_open(&options, &cluster->coordinator, err);
}

int private_start(const struct private_options *options, struct private_cluster **ret,
                  struct error *err)
{
    struct private_cluster *cluster = memory_zeroed(1, sizeof *cluster);

    cluster->scratch = SCRATCH_CLOSED;
    cluster->stop_coordinator = eventfd(0, EFD_CLOEXEC);
    cluster->stop_workers = eventfd(0, EFD_CLOEXEC);
    cluster->failed = eventfd(0, EFD_CLOEXEC);
    check(cluster->stop_coordinator >= 0 && cluster->stop_workers >= 0 && cluster->failed >= 0);
    cluster->context = link_context_new();
    check(cluster->context);
    cluster->program = locate_executor(err);
    if (!cluster->program || make_folder(cluster, err) || start_coordinator(cluster, err)) {
        private_stop(cluster);
        return -1;
    }
    start_workers(cluster, options);
    check(!pthread_create(&cluster->thread, NULL, coordinate, cluster));
    if (client_open(cluster->context, endpoint, NULL, &cluster->client, err)) {
        private_stop(cluster);
        return -1;
    }
    *ret = cluster;
    return 0;
}

struct client *private_client(struct private_cluster *cluster)
{
    return cluster->client;
}

int private_failed_fd(const struct private_cluster *cluster)
{
    return cluster->failed;
}

const struct error *private_failure(struct private_cluster *cluster)
{
    /* The event was raised after the error was written. */
    for (uint32_t i = 0; i < cluster->worker_count; i++)
        if (cluster->workers[i].error.code)
            return &cluster->workers[i].error;
    return NULL;
}

void private_stop(struct private_cluster *cluster)
{
    if (!cluster)
        return;
    client_close(cluster->client);
    raise_event(cluster->stop_workers);
    for (uint32_t i = 0; i < cluster->started; i++)
        pthread_join(cluster->workers[i].thread, NULL);
    raise_event(cluster->stop_coordinator);
    if (cluster->thread)
        pthread_join(cluster->thread, NULL);
    serve_close(cluster->coordinator);
    link_context_free(cluster->context);
    scratch_close(&cluster->scratch);
    for (uint32_t i = 0; i < cluster->worker_count; i++)
        free(cluster->workers[i].scratch);
    free(cluster->workers);
    free(cluster->program);
    close(cluster->stop_coordinator);
    close(cluster->stop_workers);
    close(cluster->failed);
    free(cluster);
}
