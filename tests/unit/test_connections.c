/* Places of an HTTP server: who is pushed out, who is cut off, and who is not. Time is given.
 */
#include "tests/lib/cmocka_all.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/http/connections.h"

enum { MOST = 4, PAIRS = 8 };

struct scene {
    struct connections *connections;
    struct connection *each[PAIRS];
    int ours[PAIRS], theirs[PAIRS];
    int count;
};

static void open_scene(struct scene *s)
{
    *s = (struct scene){.connections = connections_new(MOST)};
}

static int arrive(struct scene *s, int64_t now_ms)
{
    int pair[2], i = s->count++;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    s->ours[i] = pair[0];
    s->theirs[i] = pair[1];
    s->each[i] = connections_open(s->connections, pair[0], now_ms);
    return i;
}

static void close_scene(struct scene *s)
{
    for (int i = 0; i < s->count; i++) {
        connections_close(s->connections, s->each[i]);
        close(s->ours[i]);
        close(s->theirs[i]);
    }
    connections_free(s->connections);
}

/* What the client sees. */
static bool is_cut(const struct scene *s, int i)
{
    struct pollfd look = {.fd = s->theirs[i], .events = POLLIN | POLLRDHUP};

    return poll(&look, 1, 0) == 1 && look.revents & (POLLRDHUP | POLLHUP);
}

static void expect_cut(const struct scene *s, const char *which)
{
    for (int i = 0; i < s->count; i++)
        assert_int_equal(is_cut(s, i), which[i] == 'x');
}

static void the_idlest_makes_room_for_who_comes(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    for (int i = 0; i < MOST; i++)
        arrive(&s, i);
    connections_asked(s.connections, s.each[0], false, 10);
    connections_answered(s.connections, s.each[0], 11);
    expect_cut(&s, "....");
    arrive(&s, 20);
    expect_cut(&s, ".x...");
    arrive(&s, 21);
    expect_cut(&s, ".xx...");
    connections_asked(s.connections, s.each[3], false, 22);
    arrive(&s, 23);
    expect_cut(&s, "xxx....");
    close_scene(&s);
}

static void who_is_being_answered_is_not_pushed_out(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    for (int i = 0; i < MOST; i++) {
        arrive(&s, 0);
        connections_asked(s.connections, s.each[i], i % 2, 1);
    }
    arrive(&s, 2);
    arrive(&s, 3);
    expect_cut(&s, "....x.");
    close_scene(&s);
}

static void a_request_that_drips_is_cut_off(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    arrive(&s, 0);
    arrive(&s, 1);
    assert_int_equal(connections_tend(s.connections, CONNECTIONS_REQUEST_MS - 1), 0);
    assert_int_equal(connections_tend(s.connections, CONNECTIONS_REQUEST_MS), 1);
    expect_cut(&s, "x.");
    assert_int_equal(connections_tend(s.connections, CONNECTIONS_REQUEST_MS), 0);
    /* One that has asked before has as long for the next. */
    connections_asked(s.connections, s.each[1], false, 100);
    connections_answered(s.connections, s.each[1], 200);
    assert_int_equal(connections_tend(s.connections, CONNECTIONS_REQUEST_MS + 199), 0);
    assert_int_equal(connections_tend(s.connections, CONNECTIONS_REQUEST_MS + 200), 1);
    close_scene(&s);
}

static void an_answer_that_is_not_read_is_cut_off_but_one_that_lasts(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    arrive(&s, 0);
    arrive(&s, 0);
    connections_asked(s.connections, s.each[0], false, 5);
    connections_asked(s.connections, s.each[1], true, 5);
    assert_int_equal(connections_tend(s.connections, 5 + CONNECTIONS_ANSWER_MS - 1), 0);
    assert_int_equal(connections_tend(s.connections, 5 + CONNECTIONS_ANSWER_MS), 1);
    expect_cut(&s, "x.");
    assert_int_equal(connections_tend(s.connections, INT64_MAX / 2), 0);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_idlest_makes_room_for_who_comes),
        cmocka_unit_test(who_is_being_answered_is_not_pushed_out),
        cmocka_unit_test(a_request_that_drips_is_cut_off),
        cmocka_unit_test(an_answer_that_is_not_read_is_cut_off_but_one_that_lasts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
