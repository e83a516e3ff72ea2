/* Many workers on real sockets in few threads, which do nothing and say that they did it.
 *
 *     crowd ENDPOINT WORKERS [THREADS] < a pipe that stays open
 *
 * Each joins the coordinator, beats when it must, and answers every task at once: a map says
 * that it read its split and emitted one pair, a reduce writes an empty part. A line says when
 * all were admitted or refused. At the end of its input it leaves and prints what it counted as
 * one JSON object. A heartbeat is late if its answer has not come when the next one is due. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "wire/hello.h"
#include "wire/link.h"
#include "wire/mr.pb-c.h"

enum { THREADS_MAX = 16, A_THREAD_MAX = 1000, LOOK_MS = 20, NAME = 24, REASON = 300 };

struct worker {
    struct link *link;
    char name[NAME];
    uint64_t job; /* the last that it was told of */
    char *staging;
    bool welcome, refused, unanswered;
    int64_t beat_ms, sent_ms, heartbeat_ms;
};

struct crowd {
    pthread_t thread;
    const char *endpoint;
    struct worker *workers;
    int first, count;
};

static atomic_bool stop;
static atomic_int admitted, refused;
static atomic_uint_fast64_t beats, late, fenced, tasks, first_ms, last_ms;
static char reason[REASON];

static Mr__Counter *count_of(Mr__Counter *counter, const char *name, uint64_t value)
{
    mr__counter__init(counter);
    counter->name = bytes_of(name);
    counter->value = (int64_t)value;
    return counter;
}

static void write_part(const struct worker *worker, const Mr__Assign *assign)
{
    cleanup_free char *path =
        memory_format("%s/part-%05u.%u", worker->staging, assign->task, assign->attempt);
    FILE *file = fopen(path, "w");

    if (file)
        fclose(file);
}

static void do_task(struct worker *worker, const Mr__Assign *assign)
{
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    Mr__Description description = MR__DESCRIPTION__INIT;
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT;
    Mr__Counter counters[2], *pointers[2];
    uint64_t size = 0, now_ms = (uint64_t)clock_ms(), none = 0;

    for (size_t i = 0; i < assign->n_extents; i++)
        size += assign->extents[i]->length;
    done.job = assign->job;
    done.kind = assign->kind;
    done.task = assign->task;
    done.attempt = assign->attempt;
    done.counters = pointers;
    if (assign->kind == MR__TASK_KIND__CHECK) {
        description.name = bytes_of("nothing");
        done.description = &description;
    } else if (assign->kind == MR__TASK_KIND__MAP) {
        output.task = assign->task;
        output.attempt = assign->attempt;
        output.path = bytes_of("/nowhere/run");
        done.output = &output;
        pointers[0] = count_of(&counters[0], "map_input_bytes", size);
        pointers[1] = count_of(&counters[1], "map_output_records", 1);
        done.n_counters = 2;
    } else {
        write_part(worker, assign);
        pointers[0] =
            count_of(&counters[0], "reduce_input_pairs", assign->task ? 0 : assign->maps);
        done.n_counters = 1;
    }
    link_send(worker->link, 0, FRAME_TASK_DONE, &done.base);
    atomic_fetch_add(&tasks, 1);
    atomic_compare_exchange_strong(&first_ms, &none, now_ms);
    atomic_store(&last_ms, now_ms);
}

static void note_job(struct worker *worker, const Mr__JobOpen *open)
{
    free(worker->staging);
    worker->job = open->job;
    worker->staging =
        memory_format("%.*s", (int)open->staging.len, (const char *)open->staging.data);
}

static void hear(struct worker *worker, enum frame_type type, const ProtobufCMessage *message)
{
    const Mr__Refused *no = (const Mr__Refused *)message;

    if (type == FRAME_WELCOME) {
        worker->heartbeat_ms = ((const Mr__Welcome *)message)->heartbeat_ms;
        worker->welcome = true;
        atomic_fetch_add(&admitted, 1);
    } else if (type == FRAME_REFUSED && !worker->refused) {
        worker->refused = true;
        snprintf(reason, sizeof reason, "%.*s", no->error ? (int)no->error->text.len : 0,
                 no->error ? (const char *)no->error->text.data : "");
        atomic_fetch_add(&refused, 1);
    } else if (type == FRAME_HEARTBEAT_ACK) {
        if ((int64_t)((const Mr__HeartbeatAck *)message)->sent_ms == worker->sent_ms)
            worker->unanswered = false;
    } else if (type == FRAME_JOB_OPEN) {
        note_job(worker, (const Mr__JobOpen *)message);
    } else if (type == FRAME_ASSIGN) {
        do_task(worker, (const Mr__Assign *)message);
    } else if (type == FRAME_FENCED) {
        worker->refused = true;
        atomic_fetch_add(&fenced, 1);
    }
}

static void beat(struct worker *worker)
{
    Mr__Heartbeat heartbeat = MR__HEARTBEAT__INIT;
    int64_t now_ms = clock_ms();

    if (!worker->welcome || worker->refused || now_ms - worker->beat_ms < worker->heartbeat_ms)
        return;
    atomic_fetch_add(&beats, 1);
    atomic_fetch_add(&late, worker->unanswered);
    worker->beat_ms = worker->sent_ms = now_ms;
    worker->unanswered = true;
    heartbeat.sent_ms = (uint64_t)now_ms;
    link_send_once(worker->link, 0, FRAME_HEARTBEAT, &heartbeat.base);
}

/* Whoever was refused hangs up. */
static void serve(struct worker *worker)
{
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t from;

    if (!worker->link)
        return;
    while (link_receive(worker->link, &from, &type, &message)) {
        hear(worker, type, message);
        frame_free(message);
    }
    beat(worker);
    link_tend(worker->link);
    if (worker->refused) {
        link_close(worker->link);
        worker->link = NULL;
    }
}

static void greet(struct crowd *crowd, void *context, int number)
{
    struct worker *worker = &crowd->workers[number];
    Mr__Hello hello;
    struct error err;

    if (link_connect(context, crowd->endpoint, &worker->link, &err)) {
        fprintf(stderr, "crowd: %s\n", err.text);
        exit(1);
    }
    snprintf(worker->name, sizeof worker->name, "crowd-%d", crowd->first + number);
    hello_fill(&hello, MR__ROLE__WORKER);
    hello.name = bytes_of(worker->name);
    hello.threads = 1;
    link_send(worker->link, 0, FRAME_HELLO, &hello.base);
    link_tend(worker->link);
}

static void *run(void *argument)
{
    struct crowd *crowd = argument;
    struct link_event events[A_THREAD_MAX];
    void *context = link_context_new();

    check(context);
    crowd->workers = memory_zeroed((size_t)crowd->count, sizeof *crowd->workers);
    for (int i = 0; i < crowd->count; i++)
        greet(crowd, context, i);
    while (!atomic_load(&stop)) {
        int n = 0;

        for (int i = 0; i < crowd->count; i++) {
            serve(&crowd->workers[i]);
            if (crowd->workers[i].link)
                events[n++] = (struct link_event){.link = crowd->workers[i].link};
        }
        link_wait(events, n, LOOK_MS);
    }
    for (int i = 0; i < crowd->count; i++) {
        if (crowd->workers[i].link)
            link_send(crowd->workers[i].link, 0, FRAME_GOODBYE, NULL);
        link_close(crowd->workers[i].link);
        free(crowd->workers[i].staging);
    }
    free(crowd->workers);
    link_context_free(context);
    return NULL;
}

static void wait_until_all_are_in(int wanted)
{
    struct pollfd in = {STDIN_FILENO, POLLIN, 0};
    int64_t began_ms = clock_ms();

    while (atomic_load(&admitted) + atomic_load(&refused) < wanted && !poll(&in, 1, 5))
        ;
    printf("admitted %d refused %d in %" PRId64 " ms%s%s\n", atomic_load(&admitted),
           atomic_load(&refused), clock_ms() - began_ms, *reason ? ": " : "", reason);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct crowd crowds[THREADS_MAX];
    int wanted = argc > 2 ? atoi(argv[2]) : 0, threads = argc > 3 ? atoi(argv[3]) : 2, next = 0;
    char byte;

    if (argc < 3 || wanted < 1 || threads < 1 || threads > THREADS_MAX ||
        wanted > threads * A_THREAD_MAX) {
        fprintf(stderr, "usage: crowd ENDPOINT WORKERS [THREADS], 1000 a thread at most\n");
        return 2;
    }
    for (int i = 0; i < threads; i++) {
        crowds[i] = (struct crowd){
            .endpoint = argv[1], .first = next, .count = wanted * (i + 1) / threads - next};
        next += crowds[i].count;
        check(!pthread_create(&crowds[i].thread, NULL, run, &crowds[i]));
    }
    wait_until_all_are_in(wanted);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    atomic_store(&stop, true);
    for (int i = 0; i < threads; i++)
        pthread_join(crowds[i].thread, NULL);
    printf("{\"admitted\": %d, \"refused\": %d, \"fenced\": %" PRIu64 ", \"beats\": %" PRIu64
           ", \"late\": %" PRIu64 ", \"tasks\": %" PRIu64 ", \"ms\": %" PRIu64 "}\n",
           atomic_load(&admitted), atomic_load(&refused), (uint64_t)fenced, (uint64_t)beats,
           (uint64_t)late, (uint64_t)tasks, (uint64_t)(last_ms - first_ms));
    return 0;
}
