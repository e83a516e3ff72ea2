/* A fetch before a source that fails: it goes silent, dies, forgets us, or talks nonsense. The
 * source is the test's own, and plays one role after the other. */
#include "tests/lib/cmocka_all.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/lib/folder.h"
#include "tests/lib/shuffle.h"
#include "wire/link.h"
#include "worker/agent/fetch.h"

enum { DEADLINE_MS = 60000, JOB = 5, TASK = 4, SIZE = 1000, SILENT_MS = 5000 };

struct fixture {
    char *folder, *bundle;
    void *context;
    struct link *source;
    char endpoint[64];
    struct fetch *fetch;
    struct wanted wanted;
    struct run_segment segment; /* of the run, and its bytes */
    struct run_shape shape;
    char *bytes;
    int asked; /* how often */
};

static struct fixture open_fixture(void)
{
    struct fixture fixture = {.folder = folder_new(), .context = link_context_new()};
    cleanup_free char *path = folder_path(fixture.folder, "run");
    struct run_file *run;
    struct error err;
    size_t count;

    fixture.bundle = folder_path(fixture.folder, "bundle");
    assert_int_equal(link_listen(fixture.context, "tcp://127.0.0.1:0", &fixture.source, &err),
                     0);
    strcpy(fixture.endpoint, link_endpoint(fixture.source));
    assert_int_equal(fetch_open(fixture.context, NULL, &fixture.fetch, &err), 0);
    run_make(path, TASK, &(struct run_plan){1, 1, 20, SIZE});
    wanted_add(&fixture.wanted, TASK, run_id_of(TASK), path, fixture.endpoint);
    assert_int_equal(run_open(path, run_id_of(TASK), &run, &err), 0);
    fixture.segment = *run_part(run, 0, &count);
    fixture.shape = *run_shape(run);
    fixture.bytes = memory_new(fixture.segment.size);
    assert_int_equal(
        run_read(run, &fixture.segment, 0, fixture.bytes, fixture.segment.size, &err), 0);
    run_close(run);
    fetch_part(fixture.fetch, wanted_message(&fixture.wanted, JOB, 0), fixture.bundle);
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    fetch_close(fixture->fetch);
    link_close(fixture->source);
    link_context_free(fixture->context);
    wanted_done(&fixture->wanted);
    free(fixture->bytes);
    free(fixture->bundle);
    folder_remove(fixture->folder);
}

/* Serves the source's link until it is asked for the part, or there is a result. */
static bool wait_for_request(struct fixture *fixture, uint64_t *ret_peer, uint64_t *ret_request)
{
    int64_t end_ms = clock_ms() + DEADLINE_MS;

    while (clock_ms() < end_ms) {
        struct link_event events[] = {{.link = fixture->source},
                                      {.fd = fetch_fd(fixture->fetch)}};
        ProtobufCMessage *message;
        enum frame_type type;

        link_tend(fixture->source);
        while (link_receive(fixture->source, ret_peer, &type, &message)) {
            const Mr__Fetch *fetch = (const Mr__Fetch *)message;
            bool begins = type == FRAME_FETCH && fetch->n_outputs;

            if (begins) {
                assert_int_equal(fetch->job, JOB);
                assert_int_equal(fetch->n_outputs, 1);
                assert_true(fetch->credit && fetch->credit <= FETCH_CREDIT_EACH);
                *ret_request = fetch->request;
                fixture->asked++;
            }
            frame_free(message);
            if (begins)
                return true;
        }
        link_wait(events, 2, 50);
        if (events[1].ready)
            return false;
    }
    fail_msg("nothing happened");
    return false;
}

/* The whole segment, as a message would carry it. */
static Mr__Segment whole(const struct fixture *fixture)
{
    Mr__Segment segment = MR__SEGMENT__INIT;

    segment.task = TASK;
    segment.round = fixture->segment.round;
    segment.records = fixture->segment.records;
    segment.pairs = fixture->segment.pairs;
    segment.digest = fixture->segment.digest;
    segment.flags = fixture->segment.flags;
    segment.size = fixture->segment.size;
    segment.data =
        (ProtobufCBinaryData){fixture->segment.size, (uint8_t *)(uintptr_t)fixture->bytes};
    return segment;
}

static void reply(struct fixture *fixture, uint64_t peer, uint64_t request,
                  Mr__Segment *segment, bool last)
{
    Mr__Fetched message = MR__FETCHED__INIT;

    message.request = request;
    message.segments = &segment;
    message.n_segments = 1;
    message.last = last;
    message.value_width = fixture->shape.value_width;
    link_send(fixture->source, peer, FRAME_FETCHED, &message.base);
    link_tend(fixture->source);
}

static void reply_half(struct fixture *fixture, uint64_t peer, uint64_t request)
{
    Mr__Segment segment = whole(fixture);

    segment.data.len /= 2;
    reply(fixture, peer, request, &segment, false);
}

static void reply_all(struct fixture *fixture, uint64_t peer, uint64_t request)
{
    Mr__Segment segment = whole(fixture);

    reply(fixture, peer, request, &segment, true);
}

static struct fetch_result next_result(struct fixture *fixture)
{
    struct pollfd ready = {fetch_fd(fixture->fetch), POLLIN, 0};
    int64_t end_ms = clock_ms() + DEADLINE_MS;
    struct fetch_result result;

    while (!fetch_take(fixture->fetch, &result)) {
        if (clock_ms() > end_ms)
            fail_msg("no result came");
        link_tend(fixture->source);
        poll(&ready, 1, 20);
    }
    return result;
}

static void expect_whole(struct fixture *fixture)
{
    struct fetch_result result = next_result(fixture);

    assert_string_equal(result.error.text, "");
    expect_bundle(result.path, &fixture->wanted, 0);
    free(result.path);
}

static void expect_lost(struct fixture *fixture, enum error_code code, const char *why)
{
    struct fetch_result result = next_result(fixture);

    assert_int_equal(result.error.code, code);
    assert_int_equal(result.lost_map, TASK);
    if (!strstr(result.error.text, why))
        fail_msg("'%s' does not say '%s'", result.error.text, why);
    assert_int_equal(access(result.path, F_OK), -1);
    free(result.path);
}

static void a_source_that_dies_in_the_middle_is_given_up(void **state)
{
    struct fixture fixture = open_fixture();
    int64_t began_ms = clock_ms();
    uint64_t peer, request;
    struct error err;

    (void)state;
    assert_true(wait_for_request(&fixture, &peer, &request));
    reply_half(&fixture, peer, request);
    link_close(fixture.source);
    /* So that the fixture has a link, at another port. */
    assert_int_equal(link_listen(fixture.context, "tcp://127.0.0.1:0", &fixture.source, &err),
                     0);
    expect_lost(&fixture, ERROR_CUT, "does not answer");
    assert_true(clock_ms() - began_ms >= 2 * SILENT_MS);
    assert_true(clock_ms() - began_ms < 6 * SILENT_MS);
    close_fixture(&fixture);
}

static void a_silent_source_is_asked_once_more(void **state)
{
    struct fixture fixture = open_fixture();
    int64_t began_ms = clock_ms();
    uint64_t peer, request, first;

    (void)state;
    assert_true(wait_for_request(&fixture, &first, &request));
    reply_half(&fixture, first, request);
    assert_true(wait_for_request(&fixture, &peer, &request));
    assert_true(clock_ms() - began_ms >= SILENT_MS);
    assert_true(peer != first);
    reply_all(&fixture, peer, request);
    expect_whole(&fixture);
    assert_int_equal(fixture.asked, 2);
    close_fixture(&fixture);
}

/* A source that was started anew refuses the old session: no need to wait for its silence. */
static void a_source_that_forgot_us_is_asked_at_once(void **state)
{
    struct fixture fixture = open_fixture();
    uint64_t peer, request;

    (void)state;
    assert_true(wait_for_request(&fixture, &peer, &request));
    reply_half(&fixture, peer, request);
    link_send_once(fixture.source, peer, FRAME_FENCED, NULL);
    assert_true(wait_for_request(&fixture, &peer, &request));
    reply_all(&fixture, peer, request);
    expect_whole(&fixture);
    assert_int_equal(fixture.asked, 2);
    close_fixture(&fixture);
}

static void a_source_that_forgets_us_thrice_is_given_up(void **state)
{
    struct fixture fixture = open_fixture();
    uint64_t peer, request;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(wait_for_request(&fixture, &peer, &request));
        reply_half(&fixture, peer, request);
        link_send_once(fixture.source, peer, FRAME_FENCED, NULL);
    }
    expect_lost(&fixture, ERROR_FETCH, "does not know us");
    assert_int_equal(fixture.asked, 3);
    close_fixture(&fixture);
}

/* It is neither asked again nor waited for. */
static void a_source_whose_worker_is_lost_is_given_up_at_once(void **state)
{
    struct fixture fixture = open_fixture();
    uint64_t peer, request;

    (void)state;
    assert_true(wait_for_request(&fixture, &peer, &request));
    reply_half(&fixture, peer, request);
    fetch_gone(fixture.fetch, "tcp://127.0.0.1:1"); /* another one */
    fetch_gone(fixture.fetch, fixture.endpoint);
    expect_lost(&fixture, ERROR_FETCH, "has given its worker up");
    assert_int_equal(fixture.asked, 1);
    close_fixture(&fixture);
}

static void an_endpoint_that_makes_no_sense_is_an_error(void **state)
{
    struct fixture fixture = open_fixture();
    cleanup_free char *path = folder_path(fixture.folder, "other");
    struct wanted wanted = {.count = 0};
    struct fetch_result result;

    (void)state;
    wanted_add(&wanted, 9, 1, "/run", "no endpoint");
    fetch_part(fixture.fetch, wanted_message(&wanted, JOB, 1), path);
    result = next_result(&fixture);
    assert_int_equal(result.part, 1);
    assert_int_equal(result.error.code, ERROR_FETCH);
    assert_int_equal(result.lost_map, 9);
    free(result.path);
    wanted_done(&wanted);
    close_fixture(&fixture);
}

/* ---- Nonsense ---- */

static void of_another_task(Mr__Segment *segment)
{
    segment->task++;
}
static void longer_than_it_says(Mr__Segment *segment)
{
    segment->size--;
}
static void cut(Mr__Segment *segment)
{
    segment->data.len--;
}
static void without_end(Mr__Segment *segment)
{
    segment->size = UINT64_MAX;
}

static void nonsense_ends_the_part(void **state)
{
    static const struct {
        void (*change)(Mr__Segment *);
        const char *why;
    } cases[] = {{of_another_task, "what nobody asked for"},
                 {longer_than_it_says, "longer than it says"},
                 {cut, "in the middle of a segment"},
                 {without_end, "more bytes than there can be"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture fixture = open_fixture();
        Mr__Segment segment = whole(&fixture);
        uint64_t peer, request;

        cases[i].change(&segment);
        assert_true(wait_for_request(&fixture, &peer, &request));
        reply(&fixture, peer, request, &segment, true);
        expect_lost(&fixture, ERROR_FETCH, cases[i].why);
        close_fixture(&fixture);
    }
}

static void a_segment_in_another_ends_the_part(void **state)
{
    struct fixture fixture = open_fixture();
    Mr__Segment segment = whole(&fixture);
    uint64_t peer, request;

    (void)state;
    segment.round++;
    assert_true(wait_for_request(&fixture, &peer, &request));
    reply_half(&fixture, peer, request);
    reply(&fixture, peer, request, &segment, true);
    expect_lost(&fixture, ERROR_FETCH, "before the last was whole");
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_that_dies_in_the_middle_is_given_up),
        cmocka_unit_test(a_silent_source_is_asked_once_more),
        cmocka_unit_test(a_source_that_forgot_us_is_asked_at_once),
        cmocka_unit_test(a_source_that_forgets_us_thrice_is_given_up),
        cmocka_unit_test(a_source_whose_worker_is_lost_is_given_up_at_once),
        cmocka_unit_test(an_endpoint_that_makes_no_sense_is_an_error),
        cmocka_unit_test(nonsense_ends_the_part),
        cmocka_unit_test(a_segment_in_another_ends_the_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
