/* Cutting off is shutdown(): whoever owns the socket notices, and closes it. */
#include "coordinator/http/connections.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/memory.h"

struct connection {
    int fd;
    bool asked, lasting, cut;
    int64_t since_ms; /* when that began */
    size_t index;
};

struct connections {
    pthread_mutex_t lock;
    struct connection **list;
    size_t count, capacity, most;
};

struct connections *connections_new(size_t most)
{
    struct connections *connections = memory_zeroed(1, sizeof *connections);

    connections->most = most;
    pthread_mutex_init(&connections->lock, NULL);
    return connections;
}

void connections_free(struct connections *connections)
{
    if (!connections)
        return;
    pthread_mutex_destroy(&connections->lock);
    free(connections->list);
    free(connections);
}

static void cut(struct connection *connection)
{
    connection->cut = true;
    shutdown(connection->fd, SHUT_RDWR);
}

/* Makes room: of those that ask for nothing the one that has done so for the longest goes. */
static void push_out(struct connections *connections)
{
    struct connection *idle = NULL;
    size_t here = 0;

    for (size_t i = 0; i < connections->count; i++) {
        struct connection *other = connections->list[i];

        here += !other->cut;
        if (!other->cut && !other->asked && (!idle || other->since_ms < idle->since_ms))
            idle = other;
    }
    if (here >= connections->most && idle)
        cut(idle);
}

struct connection *connections_open(struct connections *connections, int fd, int64_t now_ms)
{
    struct connection *connection = memory_zeroed(1, sizeof *connection);

    *connection = (struct connection){.fd = fd, .since_ms = now_ms};
    pthread_mutex_lock(&connections->lock);
    push_out(connections);
    memory_reserve(&connections->list, &connections->capacity, connections->count + 1,
                   sizeof *connections->list);
    connection->index = connections->count;
    connections->list[connections->count++] = connection;
    pthread_mutex_unlock(&connections->lock);
    return connection;
}

void connections_close(struct connections *connections, struct connection *connection)
{
    pthread_mutex_lock(&connections->lock);
    connections->list[connection->index] = connections->list[--connections->count];
    connections->list[connection->index]->index = connection->index;
    pthread_mutex_unlock(&connections->lock);
    free(connection);
}

static void set(struct connections *connections, struct connection *connection, bool asked,
                bool lasting, int64_t now_ms)
{
    pthread_mutex_lock(&connections->lock);
    connection->asked = asked;
    connection->lasting = lasting;
    connection->since_ms = now_ms;
    pthread_mutex_unlock(&connections->lock);
}

void connections_asked(struct connections *connections, struct connection *connection,
                       bool lasting, int64_t now_ms)
{
    set(connections, connection, true, lasting, now_ms);
}

void connections_answered(struct connections *connections, struct connection *connection,
                          int64_t now_ms)
{
    set(connections, connection, false, false, now_ms);
}

size_t connections_tend(struct connections *connections, int64_t now_ms)
{
    size_t n = 0;

    pthread_mutex_lock(&connections->lock);
    for (size_t i = 0; i < connections->count; i++) {
        struct connection *connection = connections->list[i];
        int64_t most_ms = connection->asked ? CONNECTIONS_ANSWER_MS : CONNECTIONS_REQUEST_MS;

        if (connection->cut || connection->lasting || now_ms - connection->since_ms < most_ms)
            continue;
        cut(connection);
        n++;
    }
    pthread_mutex_unlock(&connections->lock);
    return n;
}
