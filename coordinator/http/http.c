#include "coordinator/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "coordinator/http/connections.h"
#include "coordinator/http/courier.h"
#include "coordinator/http/events.h"
#include "coordinator/http/guard.h"
#include "coordinator/http/pages.h"
#include "wire/info.h"

enum { PING_MS = 10000 }; /* readers of events are given a sign of life so often */

struct http {
    struct http_options options;
    const char **hosts; /* the options' and the address that is listened on */
    size_t host_count;
    char *own_host, *address;
    struct MHD_Daemon *daemon;
    struct connections *connections;
    int64_t pinged_ms;
    struct courier *courier;
    struct events *events;
    _Atomic(char *) failed; /* why there is no coordinator any more; NULL: there is one */
};

/* One request, from its first line to its end. While the coordinator is asked its connection is
 * suspended, and the courier's thread has it. */
struct request {
    struct http *http;
    struct MHD_Connection *connection;
    struct page page;
    struct page_filter filter;
    bool begun, asked;
    struct page_body body; /* once it is known */
};

/* ---- Answering --------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *response, const char *type)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
}

/* What notice() opened for it; or NULL. */
static struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* Its request is whole, and being answered. */
static void note_asked(const struct http *http, struct MHD_Connection *connection, bool lasting)
{
    struct connection *known = connection_of(connection);

    if (known)
        connections_asked(http->connections, known, lasting, clock_ms());
}

/* Takes the body's text over. */
static enum MHD_Result answer(struct MHD_Connection *connection, struct page_body *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body->text), body->text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    body->text = NULL;
    add_headers(response, body->type);
    if (body->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (body->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    result = MHD_queue_response(connection, body->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result stream_events(struct http *http, struct MHD_Connection *connection)
{
    const char *last =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
    struct MHD_Response *response =
        events_stream(http->events, connection, last ? strtoull(last, NULL, 10) : 0);
    struct page_body busy;
    enum MHD_Result result;

    if (!response) {
        busy = page_error(MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable",
                          "too many read events already: try again later");
        return answer(connection, &busy);
    }
    note_asked(http, connection, true);
    add_headers(response, "text/event-stream");
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static struct page_body failed_page(const char *why)
{
    return page_error(MHD_HTTP_SERVICE_UNAVAILABLE, "failed", why);
}

/* On the courier's thread: the connection's own takes it from here. */
static void answered(void *context, enum frame_type type, const ProtobufCMessage *message)
{
    struct request *request = context;
    const char *failed = request->http->failed;

    request->body = failed && !message
                        ? failed_page(failed)
                        : page_made(&request->page, &request->filter, type, message);
    MHD_resume_connection(request->connection);
}

static enum MHD_Result ask(struct http *http, struct request *request)
{
    Mr__Query query;

    page_question(&request->page, &request->filter, &query);
    request->asked = true;
    MHD_suspend_connection(request->connection);
    if (courier_ask(http->courier, &query, answered, request))
        return MHD_YES;
    request->body = page_error(MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable",
                               "too many questions wait already: try again later");
    MHD_resume_connection(request->connection);
    return MHD_YES;
}

/* ---- Requests ---------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static const char *argument(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

/* What is wrong with a request, before anything is looked up: the body to answer with. */
static bool refuse(const struct http *http, struct MHD_Connection *connection,
                   const char *method, struct page_body *ret)
{
    if (!guard_host(header(connection, MHD_HTTP_HEADER_HOST), http->hosts, http->host_count))
        *ret = page_error(MHD_HTTP_MISDIRECTED_REQUEST, "misdirected",
                          "this server is not known by that Host: --http-host adds a name");
    else if (http->options.token &&
             !guard_token(header(connection, MHD_HTTP_HEADER_AUTHORIZATION),
                          http->options.token))
        *ret = page_error(MHD_HTTP_UNAUTHORIZED, "unauthorized",
                          "a header 'Authorization: Bearer TOKEN' is wanted");
    else if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
        *ret = page_error(MHD_HTTP_METHOD_NOT_ALLOWED, "read_only",
                          "only GET and HEAD: nothing can be changed by HTTP");
    else
        return false;
    return true;
}

static enum MHD_Result serve(struct http *http, struct request *request, const char *path,
                             const char *method)
{
    struct MHD_Connection *connection = request->connection;
    struct page_body body;

    note_asked(http, connection, false);
    if (refuse(http, connection, method, &body))
        return answer(connection, &body);
    request->page = page_at(path);
    if (request->page.kind == PAGE_NONE) {
        body = page_error(MHD_HTTP_NOT_FOUND, "not_found", "there is nothing at this path");
        return answer(connection, &body);
    }
    if (!page_filter(argument(connection, "state"), argument(connection, "limit"),
                     &request->filter)) {
        body = page_error(MHD_HTTP_BAD_REQUEST, "bad_request",
                          "?state= takes the name of a state, ?limit= a number from 1");
        return answer(connection, &body);
    }
    if (http->failed) {
        body = failed_page(http->failed);
        return answer(connection, &body);
    }
    if (request->page.kind == PAGE_EVENTS)
        return stream_events(http, connection);
    return ask(http, request);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection,
                              const char *path, const char *method, const char *version,
                              const char *upload, size_t *upload_size, void **state)
{
    struct request *request = *state;

    (void)version;
    (void)upload;
    if (!request)
        return MHD_NO; /* begin() had no chance */
    request->connection = connection;
    if (!request->begun) {
        request->begun = true; /* the headers: nothing may be answered yet */
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0; /* whatever it is, nobody wants it */
        return MHD_YES;
    }
    if (request->body.text)
        return answer(connection, &request->body);
    if (request->asked)
        return MHD_YES; /* suspended */
    return serve(context, request, path, method);
}

static void *begin(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct request *request = memory_zeroed(1, sizeof *request);

    (void)uri;
    request->http = context;
    request->connection = connection;
    return request;
}

static void end(void *context, struct MHD_Connection *connection, void **state,
                enum MHD_RequestTerminationCode why)
{
    struct request *request = *state;
    const struct http *http = context;
    struct connection *known = connection_of(connection);

    (void)why;
    if (known)
        connections_answered(http->connections, known, clock_ms());
    if (request)
        free(request->body.text);
    free(request);
    *state = NULL;
}

/* A connection begins or ends. */
static void notice(void *context, struct MHD_Connection *connection, void **socket_context,
                   enum MHD_ConnectionNotificationCode what)
{
    const struct http *http = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (what == MHD_CONNECTION_NOTIFY_STARTED && info) {
        *socket_context = connections_open(http->connections, info->connect_fd, clock_ms());
    } else if (what == MHD_CONNECTION_NOTIFY_CLOSED && *socket_context) {
        connections_close(http->connections, *socket_context);
        *socket_context = NULL;
    }
}

/* What clients do wrong is not for our log. */
static void say_nothing(void *context, const char *format, va_list args)
{
    (void)context;
    (void)format;
    (void)args;
}

/* ---- Listening --------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int parse(const char *text, union address *ret, char **ret_host, struct error *err)
{
    const char *colon = strrchr(text, ':');
    cleanup_free char *host = memory_format("%.*s", colon ? (int)(colon - text) : 0, text);
    size_t length = strlen(host);
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;
    bool good = colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
                port < 65536;

    memset(ret, 0, sizeof *ret);
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)port);
        good = good && inet_pton(AF_INET6, host + 1, &ret->v6.sin6_addr) == 1;
    } else {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)port);
        good = good && inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1",
                                 &ret->v4.sin_addr) == 1;
    }
    if (!good)
        return error_set(
            err, ERROR_USAGE,
            "--http '%s': an address and a port such as 127.0.0.1:7080 are wanted, "
            "or none",
            text);
    *ret_host = memory_format("%.*s", (int)(colon - text), text);
    return 0;
}

static bool is_local(const union address *address)
{
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

static int listen_at(struct http *http, const union address *address, struct error *err)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG;

    if (address->any.sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    http->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, http, MHD_OPTION_SOCK_ADDR, &address->any,
        MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_URI_LOG_CALLBACK, begin, http,
        MHD_OPTION_NOTIFY_COMPLETED, end, http, MHD_OPTION_NOTIFY_CONNECTION, notice, http,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(HTTP_CONNECTIONS + HTTP_SPARE),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_REQUEST, MHD_OPTION_END);
    if (!http->daemon)
        return error_set(err, ERROR_IO, "--http %s: %s", http->options.address,
                         errno ? strerror(errno) : "the HTTP server did not start");
    return 0;
}

static void note_address(struct http *http)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);

    http->address = memory_format("%s:%u", http->own_host, info ? info->port : 0);
}

static void take_event(void *context, const Mr__Event *event)
{
    struct http *http = context;

    events_push(http->events, info_event(event));
}

static void tick(void *context)
{
    struct http *http = context;
    int64_t now_ms = clock_ms();

    connections_tend(http->connections, now_ms);
    if (now_ms - http->pinged_ms < PING_MS)
        return;
    http->pinged_ms = now_ms;
    events_ping(http->events);
}

static int open_all(struct http *http, struct error *err)
{
    struct courier_hooks hooks = {take_event, tick, http};
    union address address;

    if (parse(http->options.address, &address, &http->own_host, err))
        return -1;
    if (!is_local(&address) && !http->options.token)
        return error_set(
            err, ERROR_REFUSED,
            "--http %s would tell anyone who reaches it: make a token with 'umask 077; "
            "openssl rand -hex 32 >FILE' and add --http-token FILE",
            http->options.address);
    http->hosts = memory_new((http->options.host_count + 1) * sizeof *http->hosts);
    for (size_t i = 0; i < http->options.host_count; i++)
        http->hosts[http->host_count++] = http->options.hosts[i];
    http->hosts[http->host_count++] = http->own_host;
    http->connections = connections_new(HTTP_CONNECTIONS);
    http->events = events_new();
    if (courier_open(http->options.context, http->options.coordinator, &hooks, &http->courier,
                     err) ||
        listen_at(http, &address, err))
        return -1;
    note_address(http);
    return 0;
}

int http_open(const struct http_options *options, struct http **ret, struct error *err)
{
    struct http *http = memory_zeroed(1, sizeof *http);

    http->options = *options;
    if (open_all(http, err)) {
        http_close(http);
        return -1;
    }
    *ret = http;
    return 0;
}

void http_fail(struct http *http, const char *why)
{
    http->failed = memory_text(why);
    courier_stop(http->courier);
}

const char *http_address(const struct http *http)
{
    return http->address;
}

void http_close(struct http *http)
{
    if (!http)
        return;
    /* Whatever is suspended must be resumed before the server stops, and nobody may resume it
     * after that. */
    if (http->courier && !http->failed)
        courier_stop(http->courier);
    if (http->events)
        events_close(http->events);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    courier_free(http->courier);
    events_free(http->events);
    connections_free(http->connections);
    free(http->failed);
    free(http->hosts);
    free(http->own_host);
    free(http->address);
    free(http);
}
