#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "tests/lib/folder.h"
#include "tests/lib/peer.h"
#include "wire/hello.h"

static const char OBJECT[] = "not an object, but known by its hash";

/* ---- The coordinator -------------------------------------------------------------------- */

struct house_thread {
    pthread_t thread;
    struct coordinator *coordinator;
    int stop[2];
};

static void *serve(void *context)
{
    struct house_thread *thread = context;
    struct error err;

    check(!serve_run(thread->coordinator, thread->stop[0], &err));
    return NULL;
}

struct coordinator_options house_usual(void)
{
    return (struct coordinator_options){
        .heartbeat_ms = 1000, .lease_ms = 60000, .patient = true, .retained = 100};
}

static void begin(struct house *house)
{
    struct house_thread *thread = memory_zeroed(1, sizeof *thread);
    struct error err;

    house->thread = thread;
    if (serve_open(&house->options, &house->coordinator, &err))
        fail_msg("%s", err.text);
    thread->coordinator = house->coordinator;
    check(!pipe(thread->stop));
    check(!pthread_create(&thread->thread, NULL, serve, thread));
}

static struct house *build(const struct coordinator_options *wanted, bool guarded)
{
    struct coordinator_options options = wanted ? *wanted : house_usual();
    struct house *house = memory_zeroed(1, sizeof *house);
    struct error err;

    house->folder = folder_new();
    house->context = link_context_new();
    options.context = house->context;
    options.endpoint = "tcp://127.0.0.1:0";
    options.state = house->folder;
    if (guarded)
        check(!porter_open(house->context, &options.porter, &err));
    house->options = options;
    begin(house);
    return house;
}

struct house *house_open(const struct coordinator_options *wanted)
{
    return build(wanted, false);
}

struct house *house_open_guarded(const struct coordinator_options *wanted,
                                 struct porter **ret_porter)
{
    struct house *house = build(wanted, true);

    *ret_porter = house->options.porter;
    return house;
}

void house_stop(struct house *house)
{
    struct house_thread *thread = house->thread;

    if (!thread)
        return;
    check(write(thread->stop[1], "x", 1) == 1);
    check(!pthread_join(thread->thread, NULL));
    close(thread->stop[0]);
    close(thread->stop[1]);
    free(thread);
    house->thread = NULL;
}

void house_restart(struct house *house)
{
    assert_null(house->peers);
    house_stop(house);
    serve_close(house->coordinator);
    begin(house);
}

void house_close(struct house *house)
{
    house_stop(house);
    serve_close(house->coordinator);
    porter_close(house->options.porter);
    link_context_free(house->context);
    folder_remove(house->folder);
    free(house);
}

/* ---- Peers ------------------------------------------------------------------------------ */

static struct peer *connect_peer(struct house *house, const struct link_guard *guard)
{
    struct peer *peer = memory_zeroed(1, sizeof *peer);
    struct error err;

    peer->house = house;
    peer->next = house->peers;
    house->peers = peer;
    if (link_connect_guarded(house->context, serve_endpoint(house->coordinator), guard,
                             &peer->link, &err))
        fail_msg("%s", err.text);
    return peer;
}

struct peer *peer_connect(struct house *house)
{
    return connect_peer(house, NULL);
}

struct peer *peer_connect_guarded(struct house *house, const struct certificate *own,
                                  const char *server)
{
    return connect_peer(house, &(struct link_guard){own, NULL, server});
}

void peer_say(struct peer *peer, enum frame_type type, const ProtobufCMessage *message)
{
    link_send(peer->link, 0, type, message);
    link_tend(peer->link);
}

void peer_greet(struct peer *peer, Mr__Role role, const char *name)
{
    Mr__Hello hello;

    hello_fill(&hello, role);
    snprintf(peer->name, sizeof peer->name, "%s", name);
    hello.name = BYTES(peer->name);
    hello.threads = 1;
    peer_say(peer, FRAME_HELLO, &hello.base);
}

struct peer *peer_join(struct house *house, Mr__Role role, const char *name)
{
    struct peer *peer = peer_connect(house);
    Mr__Welcome *welcome;

    peer_greet(peer, role, name);
    welcome = peer_hears(peer, FRAME_WELCOME);
    peer->id = welcome->worker;
    frame_free(&welcome->base);
    return peer;
}

void peer_close(struct peer *peer)
{
    struct peer **place;

    if (!peer)
        return;
    for (place = &peer->house->peers; *place != peer; place = &(*place)->next)
        ;
    *place = peer->next;
    link_close(peer->link);
    for (size_t i = 0; i < PEER_JOBS; i++)
        free(peer->jobs[i].staging);
    free(peer);
}

void peer_beat(struct peer *peer, uint64_t sent_ms)
{
    Mr__Heartbeat heartbeat = MR__HEARTBEAT__INIT;

    heartbeat.sent_ms = sent_ms;
    link_send_once(peer->link, 0, FRAME_HEARTBEAT, &heartbeat.base);
}

static void note_job(struct peer *peer, const Mr__JobOpen *open)
{
    size_t place = peer->job_count++ % PEER_JOBS;

    free(peer->jobs[place].staging);
    peer->jobs[place].id = open->job;
    peer->jobs[place].staging =
        memory_format("%.*s", (int)open->staging.len, (const char *)open->staging.data);
}

bool peer_glance(struct peer *peer, enum frame_type *ret_type, ProtobufCMessage **ret_message)
{
    uint64_t from;

    link_tend(peer->link);
    if (!link_receive(peer->link, &from, ret_type, ret_message))
        return false;
    link_tend(peer->link);
    if (*ret_type == FRAME_JOB_OPEN)
        note_job(peer, (const Mr__JobOpen *)*ret_message);
    return true;
}

/* How long to wait until the next beat, or -1. */
static long beat_all(struct house *house)
{
    static int64_t beaten_ms;
    int64_t now_ms = clock_ms();
    bool due = now_ms - beaten_ms >= PEER_BEAT_MS, any = false;

    for (struct peer *peer = house->peers; peer; peer = peer->next) {
        any = any || peer->beats;
        if (peer->beats && due)
            peer_beat(peer, (uint64_t)now_ms);
    }
    if (due)
        beaten_ms = now_ms;
    return any ? PEER_BEAT_MS : -1;
}

enum frame_type peer_next(struct peer *peer, ProtobufCMessage **ret_message)
{
    int64_t end_ms = clock_ms() + PEER_PATIENCE_MS;
    struct link_event event = {.link = peer->link};
    enum frame_type type = FRAME_ACK;

    while (!peer_glance(peer, &type, ret_message)) {
        long left = (long)(end_ms - clock_ms());

        if (left <= 0)
            fail_msg("%s was told nothing for %d ms", peer->name, PEER_PATIENCE_MS);
        link_wait(&event, 1,
                  link_sooner(link_sooner(beat_all(peer->house), link_tend(peer->link)), left));
    }
    return type;
}

void *peer_hears(struct peer *peer, enum frame_type type)
{
    int64_t end_ms = clock_ms() + PEER_PATIENCE_MS;
    ProtobufCMessage *message;

    for (;;) {
        enum frame_type got = peer_next(peer, &message);

        if (got == type)
            return message;
        frame_free(message);
        if (got == FRAME_FENCED || clock_ms() > end_ms)
            fail_msg("%s waited for a message of type %d, and was told %d", peer->name, type,
                     got);
    }
}

void peer_settle(struct peer *peer)
{
    Mr__BlobGet wanted = MR__BLOB_GET__INIT;
    Mr__Blob *piece;

    peer_say(peer, FRAME_BLOB_GET, &wanted.base);
    piece = peer_hears(peer, FRAME_BLOB);
    assert_int_equal(piece->total, 0);
    frame_free(&piece->base);
}

/* ---- Workers ---------------------------------------------------------------------------- */

Mr__Assign *peer_task(struct peer *peer, Mr__TaskKind kind)
{
    Mr__Assign *assign = peer_hears(peer, FRAME_ASSIGN);

    assert_int_equal(assign->kind, kind);
    return assign;
}

static const char *staging_of(const struct peer *peer, uint64_t job)
{
    for (size_t i = 0; i < PEER_JOBS; i++)
        if (peer->jobs[i].staging && peer->jobs[i].id == job)
            return peer->jobs[i].staging;
    fail_msg("%s was given a task of a job that was not opened", peer->name);
    return NULL;
}

static void count(struct answer *answer, const char *name, uint64_t value)
{
    Mr__Counter *counter = &answer->counters[answer->done.n_counters];

    mr__counter__init(counter);
    counter->name = BYTES(name);
    counter->value = (int64_t)value;
    answer->pointers[answer->done.n_counters++] = counter;
}

static size_t part_text(const struct peer *peer, uint32_t part, char text[64])
{
    return (size_t)snprintf(text, 64, "%s made part %u\n", peer->name, part);
}

void answer_fill(struct answer *answer, struct peer *peer, const Mr__Assign *assign)
{
    Mr__TaskDone *done = &answer->done;
    char text[64];

    mr__task_done__init(done);
    done->job = assign->job;
    done->kind = assign->kind;
    done->task = assign->task;
    done->attempt = assign->attempt;
    done->counters = answer->pointers;
    if (assign->kind == MR__TASK_KIND__CHECK) {
        mr__description__init(&answer->description);
        answer->description.name = BYTES("played");
        done->description = &answer->description;
    } else if (assign->kind == MR__TASK_KIND__MAP) {
        uint64_t size = 0;

        for (size_t i = 0; i < assign->n_extents; i++)
            size += assign->extents[i]->length;
        mr__map_output__init(&answer->output);
        answer->output.task = assign->task;
        answer->output.attempt = assign->attempt;
        answer->output.path = BYTES("/nowhere/run");
        done->output = &answer->output;
        count(answer, "map_input_bytes", size);
        count(answer, "map_output_records", 1);
    } else {
        done->part_size = part_text(peer, assign->task, text);
        count(answer, "reduce_input_pairs", assign->task ? 0 : assign->maps);
    }
}

void peer_writes(struct peer *peer, const Mr__Assign *assign)
{
    char name[32], text[64];

    snprintf(name, sizeof name, "part-%05u.%u", assign->task, assign->attempt);
    folder_write(staging_of(peer, assign->job), name, text,
                 part_text(peer, assign->task, text));
}

void peer_does(struct peer *peer, const Mr__Assign *assign)
{
    struct answer answer;

    answer_fill(&answer, peer, assign);
    if (assign->kind == MR__TASK_KIND__REDUCE)
        peer_writes(peer, assign);
    peer_say(peer, FRAME_TASK_DONE, &answer.done.base);
}

void peer_fails(struct peer *peer, const Mr__Assign *assign, enum error_code code, bool blamed,
                const char *text)
{
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Error error = MR__ERROR__INIT;

    failed.job = assign->job;
    failed.kind = assign->kind;
    failed.task = assign->task;
    failed.attempt = assign->attempt;
    failed.blamed = blamed;
    failed.error = &error;
    error.code = code;
    error.text = BYTES(text);
    peer_say(peer, FRAME_TASK_FAILED, &failed.base);
}

void peer_works(struct peer *peer, uint64_t job)
{
    for (;;) {
        ProtobufCMessage *message;
        enum frame_type type = peer_next(peer, &message);
        bool last = type == FRAME_JOB_CLOSE && ((const Mr__JobClose *)message)->job == job;

        if (type == FRAME_ASSIGN)
            peer_does(peer, (const Mr__Assign *)message);
        frame_free(message);
        if (last)
            return;
        assert_int_not_equal(type, FRAME_FENCED);
    }
}

/* ---- Clients ---------------------------------------------------------------------------- */

bool bytes_contain(ProtobufCBinaryData bytes, const char *word)
{
    return bytes.len && memmem(bytes.data, bytes.len, word, strlen(word));
}

void order_fill(struct order *order, const struct house *house, const char *output)
{
    folder_text(house->folder, "input", "a few\nlines\n");
    mr__submit__init(&order->submit);
    mr__job_spec__init(&order->spec);
    mr__blob_ref__init(&order->blob);
    order->submit.spec = &order->spec;
    order->spec.blobs = order->blobs;
    order->spec.n_blobs = 1;
    order->blobs[0] = &order->blob;
    crypto_hash_sha256(order->hash, (const uint8_t *)OBJECT, sizeof OBJECT);
    order->blob.name = BYTES("played.so");
    order->blob.sha256 = (ProtobufCBinaryData){sizeof order->hash, order->hash};
    order->blob.size = sizeof OBJECT;
    snprintf(order->input, sizeof order->input, "%s/input", house->folder);
    snprintf(order->output, sizeof order->output, "%s/%s", house->folder, output);
    order->inputs[0] = BYTES(order->input);
    order->spec.inputs = order->inputs;
    order->spec.n_inputs = 1;
    order->spec.output = BYTES(order->output);
    order->spec.reducers = 1;
}

/* Submits, and sends the object if it is asked for. */
static Mr__Submitted *submit(struct peer *client, const struct order *order)
{
    Mr__Blob piece = MR__BLOB__INIT;
    Mr__Submitted *answer;

    peer_say(client, FRAME_SUBMIT, &order->submit.base);
    answer = peer_hears(client, FRAME_SUBMITTED);
    if (!answer->n_needs)
        return answer;
    assert_int_equal(answer->n_needs, 1);
    assert_int_equal(answer->job, 0);
    assert_memory_equal(answer->needs[0].data, order->hash, sizeof order->hash);
    frame_free(&answer->base);
    piece.sha256 = order->blob.sha256;
    piece.total = sizeof OBJECT;
    piece.data = (ProtobufCBinaryData){sizeof OBJECT, (uint8_t *)(uintptr_t)OBJECT};
    peer_say(client, FRAME_BLOB, &piece.base);
    peer_say(client, FRAME_SUBMIT, &order->submit.base);
    return peer_hears(client, FRAME_SUBMITTED);
}

uint64_t peer_submits(struct peer *client, const struct order *order)
{
    Mr__Submitted *answer = submit(client, order);
    uint64_t job = answer->job;

    if (answer->error)
        fail_msg("%.*s", (int)answer->error->text.len, (char *)answer->error->text.data);
    assert_int_equal(answer->n_needs, 0);
    assert_int_not_equal(job, 0);
    frame_free(&answer->base);
    return job;
}

static void expect_error(const Mr__Error *error, enum error_code code, const char *word)
{
    assert_non_null(error);
    if (error->code != (uint32_t)code || !bytes_contain(error->text, word))
        fail_msg("%s '%s' was expected, not %s '%.*s'", error_name(code), word,
                 error->code < ERROR_CODES ? error_name((enum error_code)error->code) : "?",
                 (int)error->text.len, (const char *)error->text.data);
}

void peer_refused(struct peer *client, const struct order *order, enum error_code code,
                  const char *word)
{
    Mr__Submitted *answer = submit(client, order);

    assert_int_equal(answer->job, 0);
    expect_error(answer->error, code, word);
    frame_free(&answer->base);
}

void *peer_asks(struct peer *client, Mr__Question question, uint64_t job,
                enum frame_type wanted)
{
    Mr__Query query = MR__QUERY__INIT;

    query.question = question;
    query.job = job;
    peer_say(client, FRAME_QUERY, &query.base);
    return peer_hears(client, wanted);
}

Mr__Finished *peer_sees_end(struct peer *client, uint64_t job, const char *state)
{
    Mr__Finished *end = peer_hears(client, FRAME_FINISHED);

    assert_int_equal(end->job, job);
    if (!bytes_are(end->state, state))
        fail_msg("%s was expected, not %.*s: %.*s", state, (int)end->state.len,
                 (char *)end->state.data, end->error ? (int)end->error->text.len : 0,
                 end->error ? (char *)end->error->text.data : "");
    return end;
}

void peer_hears_error(struct peer *client, enum error_code code, const char *word)
{
    Mr__Reply *reply = peer_hears(client, FRAME_REPLY);

    expect_error(reply->error, code, word);
    frame_free(&reply->base);
}
