/* The shuffle's server before a raw peer: what it sends, and what it holds back. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/lib/folder.h"
#include "tests/lib/shuffle.h"
#include "wire/link.h"
#include "worker/agent/share.h"

enum { DEADLINE_MS = 60000, JOB = 3, MIB = 1 << 20 };

/* A share with a large run (map task 0) and a small one (1), and the link of a peer. */
struct fixture {
    char *folder;
    void *context;
    struct share *share;
    struct link *peer;
    struct wanted large, small;
};

static void add_run(struct fixture *fixture, struct wanted *wanted, uint32_t task,
                    const struct run_plan *plan)
{
    cleanup_free char *name = memory_format("map-%u.run", task),
                      *path = folder_path(fixture->folder, name);

    run_make(path, task, plan);
    wanted_add(wanted, task, run_id_of(task), path, "");
}

static struct fixture open_fixture(void)
{
    struct fixture fixture = {.folder = folder_new(), .context = link_context_new()};
    struct error err;

    add_run(&fixture, &fixture.large, 0, &(struct run_plan){1, 1, 8000, 1000});
    add_run(&fixture, &fixture.small, 1, &(struct run_plan){1, 2, 3, 10});
    assert_int_equal(share_open(fixture.context, "tcp://127.0.0.1:0", NULL, fixture.folder,
                                &fixture.share, &err),
                     0);
    assert_int_equal(
        link_connect(fixture.context, share_endpoint(fixture.share), &fixture.peer, &err), 0);
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    link_close(fixture->peer);
    share_close(fixture->share);
    link_context_free(fixture->context);
    wanted_done(&fixture->large);
    wanted_done(&fixture->small);
    folder_remove(fixture->folder);
}

/* Asks for part 0 of the outputs; NULL: only changes the credit. */
static void send_fetch(struct link *peer, uint64_t request, struct wanted *wanted,
                       uint64_t credit)
{
    Mr__Fetch fetch = MR__FETCH__INIT;

    fetch.request = request;
    fetch.job = JOB;
    fetch.credit = credit;
    if (wanted) {
        wanted_message(wanted, JOB, 0);
        fetch.outputs = wanted->pointers;
        fetch.n_outputs = wanted->count;
    }
    link_send(peer, 0, FRAME_FETCH, &fetch.base);
}

/* The next message for the peer; the caller frees it. */
static Mr__Fetched *next_fetched(struct link *peer)
{
    struct link_event event = {.link = peer};
    int64_t end_ms = clock_ms() + DEADLINE_MS;

    while (clock_ms() < end_ms) {
        long wait = link_tend(peer);
        ProtobufCMessage *message;
        enum frame_type type;
        uint64_t id;

        if (link_receive(peer, &id, &type, &message)) {
            assert_int_equal(type, FRAME_FETCHED);
            return (Mr__Fetched *)message;
        }
        link_wait(&event, 1, wait < 0 || wait > 100 ? 100 : wait);
    }
    fail_msg("the share says nothing");
    return NULL;
}

/* Bytes of data in a message, which keeps to its limit. */
static uint64_t data_in(const Mr__Fetched *message)
{
    uint64_t size = 0;

    for (size_t i = 0; i < message->n_segments; i++)
        size += message->segments[i]->data.len;
    assert_true(size <= SHARE_DATA);
    return size;
}

/* Takes messages in until `request` ends; adds what came for `other` to *sum, if it is not
 * NULL. Returns the bytes of the request. */
static uint64_t read_to_end(struct link *peer, uint64_t request, uint64_t other, uint64_t *sum)
{
    uint64_t size = 0;
    bool last = false;

    while (!last) {
        Mr__Fetched *message = next_fetched(peer);

        assert_null(message->error);
        if (message->request == request) {
            size += data_in(message);
            last = message->last;
        } else {
            assert_non_null(sum);
            assert_int_equal(message->request, other);
            *sum += data_in(message);
        }
        frame_free(&message->base);
    }
    return size;
}

static uint64_t part_size(const struct wanted *wanted)
{
    const Mr__MapOutput *output = &wanted->outputs[0];
    cleanup_free char *path =
        memory_format("%.*s", (int)output->path.len, (const char *)output->path.data);
    const struct run_segment *segments;
    struct run_file *run;
    struct error err;
    uint64_t size = 0;
    size_t count;

    assert_int_equal(run_open(path, output->run_id, &run, &err), 0);
    segments = run_part(run, 0, &count);
    for (size_t i = 0; i < count; i++)
        size += segments[i].size;
    run_close(run);
    return size;
}

/* Until the sum is reached; then twice around the server, which has time to send too much. */
static void expect_stop_at(struct link *peer, uint64_t *sum, uint64_t credit,
                           struct wanted *small)
{
    while (*sum < credit) {
        Mr__Fetched *message = next_fetched(peer);

        assert_int_equal(message->request, 1);
        assert_false(message->last);
        *sum += data_in(message);
        frame_free(&message->base);
    }
    for (uint64_t request = 10; request < 12; request++) {
        send_fetch(peer, request, small, MIB);
        assert_int_equal(read_to_end(peer, request, 1, sum), part_size(small));
    }
    assert_int_equal(*sum, credit);
}

static void no_more_is_sent_than_the_credit(void **state)
{
    struct fixture fixture = open_fixture();
    uint64_t sum = 0, size = part_size(&fixture.large);

    (void)state;
    assert_true(size > 6 * MIB);
    send_fetch(fixture.peer, 1, &fixture.large, MIB + 17);
    expect_stop_at(fixture.peer, &sum, MIB + 17, &fixture.small);
    send_fetch(fixture.peer, 1, NULL, 1000); /* less than before: nothing changes */
    send_fetch(fixture.peer, 1, NULL, 3 * MIB);
    expect_stop_at(fixture.peer, &sum, 3 * MIB, &fixture.small);
    send_fetch(fixture.peer, 1, NULL, UINT64_MAX);
    sum += read_to_end(fixture.peer, 1, 0, NULL);
    assert_int_equal(sum, size);
    close_fixture(&fixture);
}

static void small_segments_share_a_message(void **state)
{
    struct fixture fixture = open_fixture();
    Mr__Fetched *message;

    (void)state;
    for (uint32_t task = 2; task < 40; task++)
        add_run(&fixture, &fixture.small, task, &(struct run_plan){1, 2, 3, 10});
    send_fetch(fixture.peer, 1, &fixture.small, MIB);
    message = next_fetched(fixture.peer);
    assert_true(message->last);
    assert_int_equal(message->n_segments, 39 * 2);
    for (uint32_t i = 0; i < 39 * 2; i++) {
        assert_int_equal(message->segments[i]->task, 1 + i / 2);
        assert_int_equal(message->segments[i]->round, i % 2);
        assert_int_equal(message->segments[i]->size, message->segments[i]->data.len);
    }
    frame_free(&message->base);
    close_fixture(&fixture);
}

static void requests_of_one_peer_are_bounded_and_can_be_ended(void **state)
{
    struct fixture fixture = open_fixture();
    uint64_t extra = SHARE_REQUESTS + 1;
    Mr__Fetched *message;

    (void)state;
    for (uint64_t request = 1; request <= extra; request++)
        send_fetch(fixture.peer, request, &fixture.large, 0);
    message = next_fetched(fixture.peer);
    assert_int_equal(message->request, extra);
    assert_int_equal(message->error->code, ERROR_REFUSED);
    frame_free(&message->base);
    send_fetch(fixture.peer, 5, NULL, 0);
    send_fetch(fixture.peer, extra, &fixture.small, MIB);
    assert_int_equal(read_to_end(fixture.peer, extra, 0, NULL), part_size(&fixture.small));
    send_fetch(fixture.peer, 5, NULL, MIB); /* it has ended: nothing comes */
    send_fetch(fixture.peer, extra, &fixture.small, MIB);
    assert_int_equal(read_to_end(fixture.peer, extra, 0, NULL), part_size(&fixture.small));
    close_fixture(&fixture);
}

/* The one asks for everything and reads nothing: a credit without end does not help it. */
static void a_peer_that_takes_nothing_holds_up_nobody(void **state)
{
    struct fixture fixture = open_fixture();
    struct link *stuck;
    struct error err;

    (void)state;
    assert_int_equal(link_connect(fixture.context, share_endpoint(fixture.share), &stuck, &err),
                     0);
    for (uint64_t request = 1; request < 50; request++)
        send_fetch(stuck, request, &fixture.large, UINT64_MAX);
    link_tend(stuck);
    for (int i = 0; i < 10; i++) {
        send_fetch(fixture.peer, 1, &fixture.large, UINT64_MAX);
        assert_int_equal(read_to_end(fixture.peer, 1, 0, NULL), part_size(&fixture.large));
    }
    link_close(stuck);
    send_fetch(fixture.peer, 1, &fixture.large, UINT64_MAX);
    assert_int_equal(read_to_end(fixture.peer, 1, 0, NULL), part_size(&fixture.large));
    close_fixture(&fixture);
}

static void who_says_goodbye_is_not_known_any_more(void **state)
{
    struct fixture fixture = open_fixture();
    struct link_event event = {.link = fixture.peer};
    int64_t end_ms = clock_ms() + DEADLINE_MS;
    enum frame_type type = FRAME_ACK;
    ProtobufCMessage *message;
    uint64_t id;

    (void)state;
    send_fetch(fixture.peer, 1, &fixture.small, MIB);
    read_to_end(fixture.peer, 1, 0, NULL);
    link_send(fixture.peer, 0, FRAME_GOODBYE, NULL);
    send_fetch(fixture.peer, 2, &fixture.small, MIB);
    while (clock_ms() < end_ms && !link_receive(fixture.peer, &id, &type, &message)) {
        link_tend(fixture.peer);
        link_wait(&event, 1, 10);
    }
    assert_int_equal(type, FRAME_FENCED);
    close_fixture(&fixture);
}

static void what_cannot_be_opened_is_an_error(void **state)
{
    void *context = link_context_new();
    char *folder = folder_new();
    cleanup_free char *missing = folder_path(folder, "missing");
    struct share *share;
    struct error err;

    (void)state;
    assert_int_equal(share_open(context, "tcp://127.0.0.1:0", NULL, missing, &share, &err), -1);
    assert_int_equal(share_open(context, "nonsense", NULL, folder, &share, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    share_close(NULL);
    link_context_free(context);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_is_sent_than_the_credit),
        cmocka_unit_test(small_segments_share_a_message),
        cmocka_unit_test(requests_of_one_peer_are_bounded_and_can_be_ended),
        cmocka_unit_test(a_peer_that_takes_nothing_holds_up_nobody),
        cmocka_unit_test(who_says_goodbye_is_not_known_any_more),
        cmocka_unit_test(what_cannot_be_opened_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
