/* A client and a coordinator that the test plays: whoever answers, or nobody, the client gets
 * an answer or an error with words. */
#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/client.h"
#include "cli/submitting.h"
#include "tests/lib/folder.h"
#include "wire/mr.pb-c.h"

#define BYTES(text) ((ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)(text)})

/* A coordinator in a thread that does with each message what the test says. */
struct fake;
typedef void fake_deed(struct fake *fake, uint64_t peer, enum frame_type type,
                       const ProtobufCMessage *message);
struct fake {
    void *context;
    struct link *link;
    fake_deed *deed;
    char endpoint[64];
    pthread_t thread;
    int stop[2];
    uint32_t heartbeat_ms;             /* that it asks for */
    const char *words;                 /* for its errors */
    uint32_t code;                     /* of them */
    atomic_int beats, goodbyes, asked; /* that it heard */
    size_t bytes;                      /* of blobs */
};

static void *play(void *context)
{
    struct fake *fake = context;
    struct link_event events[] = {{.link = fake->link}, {.fd = fake->stop[0]}};
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    while (!events[1].ready) {
        link_wait(events, 2, link_tend(fake->link));
        while (link_receive(fake->link, &peer, &type, &message)) {
            fake->beats += type == FRAME_HEARTBEAT;
            fake->goodbyes += type == FRAME_GOODBYE;
            fake->asked += type == FRAME_QUERY || type == FRAME_SUBMIT;
            fake->deed(fake, peer, type, message);
            frame_free(message);
        }
    }
    return NULL;
}

static void start(struct fake *fake, const char *endpoint)
{
    int64_t end_ms = clock_ms() + 10000;
    struct error err;

    /* The library lets go of a port some time after it was closed. */
    while (link_listen(fake->context, endpoint, &fake->link, &err))
        if (clock_ms() > end_ms)
            fail_msg("%s", err.text);
    strcpy(fake->endpoint, link_endpoint(fake->link));
    check(!pipe(fake->stop));
    check(!pthread_create(&fake->thread, NULL, play, fake));
}

/* It asks for heartbeats so often, and gives this code and these words for its errors. */
static struct fake *fake_open_as(fake_deed *deed, uint32_t heartbeat_ms, uint32_t code,
                                 const char *words)
{
    struct fake *fake = memory_zeroed(1, sizeof *fake);

    fake->context = link_context_new();
    fake->deed = deed;
    fake->heartbeat_ms = heartbeat_ms;
    fake->code = code;
    fake->words = words;
    start(fake, "tcp://127.0.0.1:0");
    return fake;
}

static struct fake *fake_open(fake_deed *deed)
{
    return fake_open_as(deed, 1000, 0, NULL);
}

static void fake_stop(struct fake *fake)
{
    if (!fake->link)
        return;
    check(write(fake->stop[1], "x", 1) == 1);
    check(!pthread_join(fake->thread, NULL));
    close(fake->stop[0]);
    close(fake->stop[1]);
    link_close(fake->link);
    fake->link = NULL;
}

static void fake_close(struct fake *fake)
{
    fake_stop(fake);
    link_context_free(fake->context);
    free(fake);
}

static struct client *open_client(struct fake *fake)
{
    struct client *client;
    struct error err;

    if (client_open(fake->context, fake->endpoint, NULL, &client, &err))
        fail_msg("%s", err.text);
    return client;
}

/* Asks for all jobs; 0, or -1 with *err. */
static int ask(struct client *client, struct error *err)
{
    Mr__Query query = MR__QUERY__INIT;
    ProtobufCMessage *answer;

    if (client_ask(client, FRAME_QUERY, &query.base, FRAME_JOBS, &answer, err))
        return -1;
    assert_ptr_equal(answer->descriptor, &mr__jobs__descriptor);
    frame_free(answer);
    return 0;
}

static void expect_error(struct client *client, enum error_code code, const char *words)
{
    struct error err = {0};

    assert_int_equal(ask(client, &err), -1);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, words))
        fail_msg("'%s' is not in '%s'", words, err.text);
}

/* ---- What a coordinator may do ---------------------------------------------------------- */

static void welcome(struct fake *fake, uint64_t peer)
{
    Mr__Welcome message = MR__WELCOME__INIT;

    message.heartbeat_ms = fake->heartbeat_ms;
    message.lease_ms = 10000;
    link_send(fake->link, peer, FRAME_WELCOME, &message.base);
}

static void say_jobs(struct fake *fake, uint64_t peer)
{
    Mr__Jobs jobs = MR__JOBS__INIT;

    link_send(fake->link, peer, FRAME_JOBS, &jobs.base);
}

static void say_error(struct fake *fake, uint64_t peer, enum frame_type type)
{
    Mr__Error error = MR__ERROR__INIT;
    Mr__Reply reply = MR__REPLY__INIT;
    Mr__Refused refused = MR__REFUSED__INIT;
    Mr__Submitted submitted = MR__SUBMITTED__INIT;

    error.code = fake->code;
    if (fake->words)
        error.text = BYTES(fake->words);
    reply.error = refused.error = submitted.error = &error;
    link_send(fake->link, peer, type,
              type == FRAME_REPLY     ? &reply.base
              : type == FRAME_REFUSED ? &refused.base
                                      : &submitted.base);
}

static void answer_all(struct fake *fake, uint64_t peer, enum frame_type type,
                       const ProtobufCMessage *message)
{
    (void)message;
    if (type == FRAME_HELLO)
        welcome(fake, peer);
    else if (type == FRAME_QUERY)
        say_jobs(fake, peer);
}

static void refuse(struct fake *fake, uint64_t peer, enum frame_type type,
                   const ProtobufCMessage *message)
{
    (void)message;
    if (type == FRAME_HELLO && fake->words)
        say_error(fake, peer, FRAME_REFUSED);
    else if (type == FRAME_HELLO)
        link_send(fake->link, peer, FRAME_REFUSED, &(Mr__Refused)MR__REFUSED__INIT.base);
}

static void welcome_only(struct fake *fake, uint64_t peer, enum frame_type type,
                         const ProtobufCMessage *message)
{
    (void)message;
    if (type == FRAME_HELLO)
        welcome(fake, peer);
}

static void reply_error(struct fake *fake, uint64_t peer, enum frame_type type,
                        const ProtobufCMessage *message)
{
    (void)message;
    if (type == FRAME_HELLO)
        welcome(fake, peer);
    else if (type == FRAME_QUERY)
        say_error(fake, peer, FRAME_REPLY);
}

static void forget_who_asks(struct fake *fake, uint64_t peer, enum frame_type type,
                            const ProtobufCMessage *message)
{
    (void)message;
    if (type == FRAME_HELLO) {
        welcome(fake, peer);
    } else if (type == FRAME_QUERY) {
        link_tend(fake->link); /* WELCOME, if it is not gone yet */
        link_forget(fake->link, peer);
    }
}

static void digress(struct fake *fake, uint64_t peer, enum frame_type type,
                    const ProtobufCMessage *message)
{
    Mr__Progress progress = MR__PROGRESS__INIT;
    Mr__Reply reply = MR__REPLY__INIT;
    Mr__Finished finished = MR__FINISHED__INIT;
    Mr__HeartbeatAck ack = MR__HEARTBEAT_ACK__INIT;

    (void)message;
    if (type == FRAME_HELLO)
        welcome(fake, peer);
    if (type != FRAME_QUERY)
        return;
    for (int i = 0; i < 100; i++) {
        link_send(fake->link, peer, FRAME_PROGRESS, &progress.base);
        link_send(fake->link, peer, FRAME_REPLY, &reply.base);
        link_send(fake->link, peer, FRAME_FINISHED, &finished.base);
        link_send(fake->link, peer, FRAME_GOODBYE, NULL);
        link_send_once(fake->link, peer, FRAME_HEARTBEAT_ACK, &ack.base);
        welcome(fake, peer);
    }
    say_jobs(fake, peer);
}

/* The question is answered after so many heartbeats. */
enum { BEATS_WANTED = 5 };

static void answer_after_beats(struct fake *fake, uint64_t peer, enum frame_type type,
                               const ProtobufCMessage *message)
{
    (void)message;
    if (type == FRAME_HELLO)
        welcome(fake, peer);
    else if (type == FRAME_HEARTBEAT && fake->beats == BEATS_WANTED)
        say_jobs(fake, peer);
}

/* ---- The stories ------------------------------------------------------------------------ */

static void an_answer_is_handed_over(void **state)
{
    struct fake *fake = fake_open(answer_all);
    struct client *client = open_client(fake);
    struct error err;

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask(client, &err), 0);
    client_close(client);
    for (int i = 0; i < 60000 && !fake->goodbyes; i++)
        usleep(1000);
    assert_int_equal(fake->goodbyes, 1);
    assert_int_equal(fake->asked, 100);
    fake_close(fake);
}

static void say_nothing(struct fake *fake, uint64_t peer, enum frame_type type,
                        const ProtobufCMessage *message)
{
    (void)fake, (void)peer, (void)type, (void)message;
}

static void who_says_nothing_is_no_coordinator(void **state)
{
    struct fake *fake = fake_open(say_nothing);
    struct client *client;
    int64_t begin_ms;

    (void)state;
    client = open_client(fake);
    client_set_patience(client, 300, 600000);
    begin_ms = clock_ms();
    expect_error(client, ERROR_UNREACHABLE, "no coordinator answers at tcp://127.0.0.1:");
    assert_true(clock_ms() - begin_ms >= 300);
    begin_ms = clock_ms();
    client_close(client);
    assert_true(clock_ms() - begin_ms < 3000);
    fake_close(fake);
}

static void what_is_no_endpoint_cannot_be_opened(void **state)
{
    void *context = link_context_new();
    struct client *client = NULL;
    struct error err;

    (void)state;
    assert_int_equal(client_open(context, "nonsense", NULL, &client, &err), -1);
    assert_non_null(strstr(err.text, "nonsense"));
    assert_null(client);
    client_close(NULL);
    link_context_free(context);
}

static void who_is_refused_is_told_in_the_coordinators_words(void **state)
{
    static const char *const words[] = {"not you, 'friend'", NULL};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fake *fake = fake_open_as(refuse, 1000, ERROR_INTERNAL, words[i]);
        struct client *client = open_client(fake);

        expect_error(client, ERROR_REFUSED, words[i] ? words[i] : "without a word");
        client_close(client);
        fake_close(fake);
    }
}

static void who_is_fenced_learns_that_the_coordinator_is_another(void **state)
{
    struct fake *fake = fake_open(forget_who_asks);
    struct client *client = open_client(fake);

    (void)state;
    expect_error(client, ERROR_UNREACHABLE, "was started anew");
    client_close(client);
    fake_close(fake);
}

static void a_coordinator_that_was_started_anew_knows_no_client(void **state)
{
    struct fake *fake = fake_open(answer_all);
    struct client *client = open_client(fake);
    char endpoint[64];
    struct error err;

    (void)state;
    assert_int_equal(ask(client, &err), 0);
    fake_stop(fake);
    strcpy(endpoint, fake->endpoint);
    start(fake, endpoint);
    expect_error(client, ERROR_UNREACHABLE, "was started anew");
    client_close(client);
    fake_close(fake);
}

static void a_coordinator_that_falls_silent_is_lost(void **state)
{
    struct fake *fake = fake_open(welcome_only);
    struct client *client = open_client(fake);
    int64_t begin_ms = clock_ms();

    (void)state;
    client_set_patience(client, 600000, 300);
    expect_error(client, ERROR_UNREACHABLE, "lost the coordinator at tcp://127.0.0.1:");
    assert_true(clock_ms() - begin_ms >= 300);
    client_close(client);
    fake_close(fake);
}

static void the_error_of_a_reply_becomes_the_askers(void **state)
{
    static const struct {
        uint32_t said;
        enum error_code heard;
    } codes[] = {{ERROR_STALE, ERROR_STALE},    {ERROR_USAGE, ERROR_USAGE},
                 {ERROR_NONE, ERROR_INTERNAL}, /* or a command would end in success */
                 {ERROR_CODES, ERROR_INTERNAL}, {9999, ERROR_INTERNAL},
                 {UINT32_MAX, ERROR_INTERNAL}};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct fake *fake = fake_open_as(reply_error, 1000, codes[i].said, "no such thing");
        struct client *client = open_client(fake);

        expect_error(client, codes[i].heard, "no such thing");
        client_close(client);
        fake_close(fake);
    }
}

static void answers_of_other_types_are_passed_over(void **state)
{
    struct fake *fake = fake_open(digress);
    struct client *client = open_client(fake);
    struct error err;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(client, &err), 0);
    client_close(client);
    fake_close(fake);
}

static void a_client_that_waits_says_that_it_lives(void **state)
{
    struct fake *fake = fake_open_as(answer_after_beats, 50, 0, NULL);
    struct client *client = open_client(fake);
    int64_t begin_ms = clock_ms();
    struct error err;

    (void)state;
    assert_int_equal(ask(client, &err), 0);
    assert_true(clock_ms() - begin_ms >= (BEATS_WANTED - 1) * 50);
    client_close(client);
    fake_close(fake);
}

static void a_client_never_beats_without_a_pause(void **state)
{
    struct fake *fake = fake_open_as(welcome_only, 0, 0, NULL);
    struct client *client = open_client(fake);
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    (void)state;
    assert_int_equal(client_receive(client, NULL, 0, 300, &type, &message, &err), 0);
    client_close(client);
    assert_true(fake->beats < 5);
    fake_close(fake);
}

static void waiting_ends_with_time_or_a_descriptor(void **state)
{
    struct fake *fake = fake_open(welcome_only);
    struct client *client = open_client(fake);
    int64_t begin_ms = clock_ms();
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(client_receive(client, ends, 1, 100, &type, &message, &err), 0);
    assert_true(clock_ms() - begin_ms >= 100);
    assert_int_equal(client_receive(client, ends, 1, 0, &type, &message, &err), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(client_receive(client, ends, 1, -1, &type, &message, &err), 0);
    close(ends[0]);
    close(ends[1]);
    client_close(client);
    fake_close(fake);
}

/* ---- Submitting ------------------------------------------------------------------------- */

enum { OBJECT = 5 << 20 };

/* Lacks the object until it was sent; with a code: refuses; with words alone: never has enough.
 */
static void take_submission(struct fake *fake, uint64_t peer, enum frame_type type,
                            const ProtobufCMessage *message)
{
    Mr__Submitted answer = MR__SUBMITTED__INIT;
    ProtobufCBinaryData needs[1];

    if (type == FRAME_HELLO) {
        welcome(fake, peer);
    } else if (type == FRAME_BLOB) {
        const Mr__Blob *piece = (const Mr__Blob *)message;

        check(piece->offset == fake->bytes % OBJECT && piece->total == OBJECT);
        for (size_t i = 0; i < piece->data.len; i++)
            check(piece->data.data[i] == (uint8_t)((piece->offset + i) * 7));
        fake->bytes += piece->data.len;
    } else if (type == FRAME_SUBMIT && fake->code) {
        say_error(fake, peer, FRAME_SUBMITTED);
    } else if (type == FRAME_SUBMIT) {
        answer.needs = needs;
        if (fake->words || fake->bytes < OBJECT)
            needs[answer.n_needs++] = ((const Mr__Submit *)message)->spec->blobs[0]->sha256;
        else
            answer.job = 4711;
        link_send(fake->link, peer, FRAME_SUBMITTED, &answer.base);
    }
}

/* Submits to a coordinator that is like this: 0 with the job's number, or -1. */
static int submit(uint32_t code, const char *words, size_t *ret_bytes, uint64_t *ret_job,
                  struct error *err)
{
    struct fake *fake = fake_open_as(take_submission, 1000, code, words);
    char *folder = folder_new(), *path = folder_path(folder, "object");
    cleanup_free uint8_t *bytes = memory_new(OBJECT);
    uint8_t hash[32] = {1};
    Mr__Submit message = MR__SUBMIT__INIT;
    Mr__JobSpec spec = MR__JOB_SPEC__INIT;
    Mr__BlobRef blob = MR__BLOB_REF__INIT, *blobs[1] = {&blob};
    struct client *client;
    int result;

    for (size_t i = 0; i < OBJECT; i++)
        bytes[i] = (uint8_t)(i * 7);
    folder_write(folder, "object", bytes, OBJECT);
    blob.sha256 = (ProtobufCBinaryData){32, hash};
    blob.size = OBJECT;
    spec.blobs = blobs;
    spec.n_blobs = 1;
    message.spec = &spec;
    client = open_client(fake);
    result = submitting(client, &message, path, NULL, 0, ret_job, err);
    client_close(client);
    fake_stop(fake);
    *ret_bytes = fake->bytes;
    fake_close(fake);
    folder_remove(folder);
    free(path);
    return result;
}

static void an_object_is_sent_once_it_is_asked_for(void **state)
{
    struct error err;
    uint64_t job;
    size_t bytes;

    (void)state;
    assert_int_equal(submit(0, NULL, &bytes, &job, &err), 1);
    assert_int_equal(bytes, OBJECT);
    assert_int_equal(job, 4711);
}

static void a_coordinator_that_keeps_nothing_is_given_up(void **state)
{
    uint64_t job = 1;
    struct error err;
    size_t bytes;

    (void)state;
    assert_int_equal(submit(0, "more!", &bytes, &job, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_int_equal(job, 1);
    /* As often as it says. */
    assert_int_equal(bytes, 2 * (size_t)OBJECT);
    assert_non_null(strstr(err.text, "sent 2 times"));
}

static void a_submission_is_refused_with_code_and_words(void **state)
{
    uint64_t job = 1;
    struct error err;
    size_t bytes;

    (void)state;
    assert_int_equal(submit(ERROR_OUTPUT, "it exists", &bytes, &job, &err), -1);
    assert_int_equal(err.code, ERROR_OUTPUT);
    assert_string_equal(err.text, "it exists");
    assert_int_equal(submit(9999, "what?", &bytes, &job, &err), -1);
    assert_int_equal(err.code, ERROR_INTERNAL);
    assert_int_equal(job, 1);
    assert_int_equal(bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_handed_over),
        cmocka_unit_test(who_says_nothing_is_no_coordinator),
        cmocka_unit_test(what_is_no_endpoint_cannot_be_opened),
        cmocka_unit_test(who_is_refused_is_told_in_the_coordinators_words),
        cmocka_unit_test(who_is_fenced_learns_that_the_coordinator_is_another),
        cmocka_unit_test(a_coordinator_that_was_started_anew_knows_no_client),
        cmocka_unit_test(a_coordinator_that_falls_silent_is_lost),
        cmocka_unit_test(the_error_of_a_reply_becomes_the_askers),
        cmocka_unit_test(answers_of_other_types_are_passed_over),
        cmocka_unit_test(a_client_that_waits_says_that_it_lives),
        cmocka_unit_test(a_client_never_beats_without_a_pause),
        cmocka_unit_test(waiting_ends_with_time_or_a_descriptor),
        cmocka_unit_test(an_object_is_sent_once_it_is_asked_for),
        cmocka_unit_test(a_coordinator_that_keeps_nothing_is_given_up),
        cmocka_unit_test(a_submission_is_refused_with_code_and_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
