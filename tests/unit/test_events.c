/* Events over HTTP, with a real server and real sockets: what was pushed arrives once and in
 * order, who was away goes on, who falls behind is cut. */
#include "tests/lib/cmocka_all.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "coordinator/http/events.h"

struct server {
    struct events *events;
    struct MHD_Daemon *daemon;
    uint16_t port;
};

static enum MHD_Result handle(void *context, struct MHD_Connection *connection,
                              const char *path, const char *method, const char *version,
                              const char *upload, size_t *upload_size, void **state)
{
    static int begun;
    struct server *server = context;
    const char *last =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
    struct MHD_Response *response;
    unsigned status = MHD_HTTP_OK;
    enum MHD_Result result;

    (void)path, (void)method, (void)version, (void)upload, (void)upload_size;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    response = events_stream(server->events, connection, last ? strtoull(last, NULL, 10) : 0);
    if (!response) {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    server->events = events_new();
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
        handle, server, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    assert_non_null(server->daemon);
    server->port = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void stop(struct server *server)
{
    events_close(server->events);
    MHD_stop_daemon(server->daemon);
    events_free(server->events);
}

/* A reader whose stream has begun: its connection, and the status. HTTP/1.0: no chunks. */
static FILE *reader(const struct server *server, const char *last, int *ret_status)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[256];
    FILE *stream;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_true(dprintf(fd, "GET / HTTP/1.0\r\n%s%s%s\r\n", last ? "Last-Event-ID: " : "",
                        last ? last : "", last ? "\r\n" : "") > 0);
    stream = fdopen(fd, "r");
    assert_non_null(fgets(line, sizeof line, stream));
    assert_int_equal(sscanf(line, "HTTP/1.%*c %d", ret_status), 1);
    while (strcmp(line, "\r\n"))
        assert_non_null(fgets(line, sizeof line, stream));
    return stream;
}

static FILE *good_reader(const struct server *server, const char *last)
{
    int status;
    FILE *stream = reader(server, last, &status);

    assert_int_equal(status, 200);
    return stream;
}

/* The first comment: from here on the stream is known to be one. */
static void await_begin(FILE *stream)
{
    char line[64];

    assert_non_null(fgets(line, sizeof line, stream));
    assert_int_equal(line[0], ':');
    assert_non_null(fgets(line, sizeof line, stream));
}

static void push(struct server *server, const char *text)
{
    json_t *event = json_object();

    json_object_set_new(event, "event", json_string("job_progress"));
    json_object_set_new(event, "text", json_string(text));
    events_push(server->events, event);
}

/* The number of the next event that comes, 0 at the end of the stream. Its lines must be whole,
 * but for the last one of a stream that was cut. */
static uint64_t next_event(FILE *stream)
{
    char *line = NULL;
    size_t room = 0;
    uint64_t id = 0, number = 0;
    ssize_t n;

    while ((n = getline(&line, &room, stream)) > 0 && line[n - 1] == '\n') {
        if (*line == '\n' && id) {
            number = id;
            break;
        }
        if (!strncmp(line, "id: ", 4))
            id = strtoull(line + 4, NULL, 10);
        else if (!strncmp(line, "event: ", 7))
            assert_string_equal(line, "event: job_progress\n");
        else
            assert_true(*line == '\n' || *line == ':' || !strncmp(line, "data: {", 7));
    }
    free(line);
    return number;
}

static void what_is_pushed_comes_to_all_in_order(void **state)
{
    struct server server;
    FILE *readers[3];

    (void)state;
    start(&server);
    push(&server, "before they came");
    for (size_t i = 0; i < 3; i++) {
        readers[i] = good_reader(&server, NULL);
        await_begin(readers[i]);
    }
    for (size_t i = 0; i < 50; i++)
        push(&server, "a text of\ntwo lines");
    events_ping(server.events);
    for (size_t i = 0; i < 3; i++) {
        for (uint64_t number = 2; number <= 51; number++)
            assert_int_equal(next_event(readers[i]), number);
        fclose(readers[i]);
    }
    stop(&server);
}

static void who_was_away_goes_on_behind_what_it_saw(void **state)
{
    struct server server;
    FILE *stream;

    (void)state;
    start(&server);
    for (size_t i = 0; i < 10; i++)
        push(&server, "x");
    stream = good_reader(&server, "7");
    for (uint64_t number = 8; number <= 10; number++)
        assert_int_equal(next_event(stream), number);
    fclose(stream);
    /* A number from another life of the coordinator, or none: only what comes. */
    for (size_t i = 0; i < 3; i++) {
        static const char *const strange[] = {"999", "nonsense", "99999999999999999999999"};

        stream = good_reader(&server, strange[i]);
        await_begin(stream);
        push(&server, "y");
        assert_int_equal(next_event(stream), 11 + i);
        fclose(stream);
    }
    stop(&server);
}

static void who_was_away_for_too_long_gets_all_that_is_kept(void **state)
{
    struct server server;
    FILE *stream;

    (void)state;
    start(&server);
    for (size_t i = 0; i < EVENTS_KEPT + 100; i++)
        push(&server, "x");
    stream = good_reader(&server, "5");
    for (uint64_t number = 101; number <= EVENTS_KEPT + 100; number++)
        assert_int_equal(next_event(stream), number);
    fclose(stream);
    stop(&server);
}

/* More than all sockets on the way hold, while nobody reads. */
static void a_reader_that_falls_behind_is_cut(void **state)
{
    enum { EVENTS = 3 * EVENTS_KEPT, SIZE = 16384 };
    cleanup_free char *text = memory_new(SIZE);
    struct server server;
    uint64_t number, last = 0;
    FILE *stream;

    (void)state;
    memset(text, 'x', SIZE - 1);
    text[SIZE - 1] = '\0';
    start(&server);
    stream = good_reader(&server, NULL);
    await_begin(stream);
    for (size_t i = 0; i < EVENTS; i++)
        push(&server, text);
    while ((number = next_event(stream))) {
        assert_int_equal(number, last + 1);
        last = number;
    }
    assert_true(feof(stream) && !ferror(stream));
    assert_true(last < EVENTS);
    fclose(stream);
    /* The others go on. */
    stream = good_reader(&server, NULL);
    await_begin(stream);
    push(&server, "x");
    assert_int_equal(next_event(stream), EVENTS + 1);
    fclose(stream);
    stop(&server);
}

static void one_reader_too_many_is_turned_away(void **state)
{
    FILE *readers[EVENTS_STREAMS], *other;
    struct server server;
    int status;

    (void)state;
    start(&server);
    for (size_t i = 0; i < EVENTS_STREAMS; i++) {
        readers[i] = good_reader(&server, NULL);
        await_begin(readers[i]);
    }
    other = reader(&server, NULL, &status);
    assert_int_equal(status, 503);
    fclose(other);
    for (size_t i = 0; i < EVENTS_STREAMS; i++)
        fclose(readers[i]);
    /* A place is free once a write has shown that its reader is gone. */
    do {
        events_ping(server.events);
        other = reader(&server, NULL, &status);
        fclose(other);
    } while (status == 503);
    assert_int_equal(status, 200);
    stop(&server);
}

static void streams_end_when_they_are_closed(void **state)
{
    struct server server;
    FILE *stream;

    (void)state;
    start(&server);
    stream = good_reader(&server, NULL);
    await_begin(stream);
    push(&server, "x");
    assert_int_equal(next_event(stream), 1);
    events_close(server.events);
    assert_int_equal(next_event(stream), 0);
    assert_true(feof(stream) && !ferror(stream));
    fclose(stream);
    stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pushed_comes_to_all_in_order),
        cmocka_unit_test(who_was_away_goes_on_behind_what_it_saw),
        cmocka_unit_test(who_was_away_for_too_long_gets_all_that_is_kept),
        cmocka_unit_test(a_reader_that_falls_behind_is_cut),
        cmocka_unit_test(one_reader_too_many_is_turned_away),
        cmocka_unit_test(streams_end_when_they_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
