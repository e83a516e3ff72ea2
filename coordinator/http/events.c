#include "coordinator/http/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct stream {
    struct events *events;
    struct MHD_Connection *connection;
    uint64_t next; /* number of the event to send next */
    size_t sent;   /* of its text */
    bool suspended, ping;
};

struct events {
    pthread_mutex_t lock;
    char *kept[EVENTS_KEPT]; /* event N as it is sent, at N % EVENTS_KEPT */
    uint64_t next;           /* number of the next one, from 1 */
    struct stream *streams[EVENTS_STREAMS];
    bool closing;
};

struct events *events_new(void)
{
    struct events *events = memory_zeroed(1, sizeof *events);

    pthread_mutex_init(&events->lock, NULL);
    events->next = 1;
    return events;
}

static void wake_all(struct events *events)
{
    for (size_t i = 0; i < EVENTS_STREAMS; i++) {
        struct stream *stream = events->streams[i];

        if (!stream || !stream->suspended)
            continue;
        stream->suspended = false;
        MHD_resume_connection(stream->connection);
    }
}

void events_close(struct events *events)
{
    pthread_mutex_lock(&events->lock);
    events->closing = true;
    wake_all(events);
    pthread_mutex_unlock(&events->lock);
}

void events_free(struct events *events)
{
    if (!events)
        return;
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        free(events->kept[i]);
    pthread_mutex_destroy(&events->lock);
    free(events);
}

void events_push(struct events *events, json_t *event)
{
    const char *what = json_string_value(json_object_get(event, "event"));
    char *text = json_dumps(event, JSON_COMPACT);
    char **place;

    pthread_mutex_lock(&events->lock);
    place = &events->kept[events->next % EVENTS_KEPT];
    free(*place);
    *place = memory_format("id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", events->next,
                           what ? what : "unknown", text ? text : "{}");
    events->next++;
    wake_all(events);
    pthread_mutex_unlock(&events->lock);
    free(text);
    json_decref(event);
}

void events_ping(struct events *events)
{
    pthread_mutex_lock(&events->lock);
    for (size_t i = 0; i < EVENTS_STREAMS; i++)
        if (events->streams[i])
            events->streams[i]->ping = true;
    wake_all(events);
    pthread_mutex_unlock(&events->lock);
}

/* ---- A reader ---------------------------------------------------------------------------- */

static bool is_kept(const struct events *events, uint64_t number)
{
    return number + EVENTS_KEPT >= events->next;
}

/* More of the event that is next for the stream. */
static ssize_t copy(struct stream *stream, char *buffer, size_t size)
{
    const char *text = stream->events->kept[stream->next % EVENTS_KEPT] + stream->sent;
    size_t left = strlen(text), n = left < size ? left : size;

    memcpy(buffer, text, n);
    stream->sent += n;
    if (n == left) {
        stream->sent = 0;
        stream->next++;
    }
    return (ssize_t)n;
}

static ssize_t read_stream(void *context, uint64_t position, char *buffer, size_t size)
{
    static const char ping[] = ": still here\n\n";
    struct stream *stream = context;
    struct events *events = stream->events;
    ssize_t n = 0;

    (void)position;
    pthread_mutex_lock(&events->lock);
    if (events->closing || !is_kept(events, stream->next)) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (stream->next < events->next) {
        n = copy(stream, buffer, size);
    } else if (stream->ping && size >= sizeof ping) {
        stream->ping = false;
        n = sizeof ping - 1;
        memcpy(buffer, ping, (size_t)n);
    } else {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&events->lock);
    return n;
}

static void free_stream(void *context)
{
    struct stream *stream = context;
    struct events *events = stream->events;

    pthread_mutex_lock(&events->lock);
    for (size_t i = 0; i < EVENTS_STREAMS; i++)
        if (events->streams[i] == stream)
            events->streams[i] = NULL;
    pthread_mutex_unlock(&events->lock);
    free(stream);
}

struct MHD_Response *events_stream(struct events *events, struct MHD_Connection *connection,
                                   uint64_t last)
{
    struct stream *stream = NULL;
    struct MHD_Response *response;

    pthread_mutex_lock(&events->lock);
    for (size_t i = 0; i < EVENTS_STREAMS && !stream && !events->closing; i++) {
        if (events->streams[i])
            continue;
        stream = events->streams[i] = memory_zeroed(1, sizeof *stream);
        stream->events = events;
        stream->connection = connection;
        stream->next = last && last < events->next ? last + 1 : events->next;
        /* Who was away for too long goes on with what there is. */
        if (!is_kept(events, stream->next))
            stream->next = events->next - EVENTS_KEPT;
        stream->ping = true; /* headers leave with the first bytes */
    }
    pthread_mutex_unlock(&events->lock);
    if (!stream)
        return NULL;
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, stream,
                                                 free_stream);
    if (!response)
        free_stream(stream);
    return response;
}
