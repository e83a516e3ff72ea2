#include "wire/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

struct kept {
    uint8_t *frame;
    size_t size;
};

struct session {
    struct kept *kept; /* kept[head .. count): sequence numbers from `oldest` on */
    size_t head, count, capacity, bytes;
    uint64_t oldest;   /* sequence of the oldest message that is not acknowledged */
    uint64_t unsent;   /* sequence of the first that waits to be sent, or sent again */
    uint64_t fresh;    /* sequence of the first that was never sent */
    uint64_t taken;    /* of the peer's: all up to this were taken */
    bool owed;         /* an acknowledgement */
    size_t on_the_way; /* bytes between oldest and unsent */
    size_t window;     /* more waits once so many are on their way */
    int64_t sent_ms;   /* when the oldest was sent last */
    int64_t wait_ms;
    int64_t blocked_ms; /* the socket took nothing: not to be tried before */
};

enum { BLOCKED_MS = 50 };

struct session *session_new(void)
{
    struct session *session = memory_zeroed(1, sizeof *session);

    session->oldest = session->unsent = session->fresh = 1;
    session->window = SESSION_WINDOW;
    session->wait_ms = SESSION_RESEND_MS;
    return session;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    for (size_t i = session->head; i < session->count; i++)
        free(session->kept[i].frame);
    free(session->kept);
    free(session);
}

void session_put(struct session *session, uint8_t *frame, size_t size)
{
    if (session->head && session->count == session->capacity) {
        session->count -= session->head;
        memmove(session->kept, session->kept + session->head,
                session->count * sizeof *session->kept);
        session->head = 0;
    }
    memory_reserve(&session->kept, &session->capacity, session->count + 1,
                   sizeof *session->kept);
    session->kept[session->count++] = (struct kept){frame, size};
    session->bytes += size;
}

static struct kept *at(const struct session *session, uint64_t sequence)
{
    check(sequence >= session->oldest &&
          sequence - session->oldest < session->count - session->head);
    return &session->kept[session->head + (sequence - session->oldest)];
}

/* One past the last message. */
static uint64_t end(const struct session *session)
{
    return session->oldest + (session->count - session->head);
}

static void drop_oldest(struct session *session)
{
    struct kept *kept = at(session, session->oldest);

    if (session->unsent > session->oldest)
        session->on_the_way -= kept->size;
    else
        session->unsent++; /* acknowledged while it waited to be sent again */
    session->bytes -= kept->size;
    free(kept->frame);
    session->head++;
    session->oldest++;
    if (session->head == session->count)
        session->head = session->count = 0;
}

/* A number that we never sent is nonsense, and changes nothing. */
static void acknowledge(struct session *session, uint64_t acknowledged)
{
    if (acknowledged < session->oldest || acknowledged >= session->fresh)
        return;
    while (session->oldest <= acknowledged)
        drop_oldest(session);
    session->window = SESSION_WINDOW;
    session->wait_ms = SESSION_RESEND_MS;
    session->sent_ms = INT64_MAX; /* until the next tend: the clock begins anew */
}

bool session_take(struct session *session, const struct frame_stamp *stamp)
{
    acknowledge(session, stamp->acknowledged);
    if (!stamp->sequence)
        return true;
    session->owed = true;
    if (stamp->sequence != session->taken + 1)
        return false;
    session->taken++;
    return true;
}

struct frame_stamp session_stamp(const struct session *session, uint64_t epoch)
{
    return (struct frame_stamp){.epoch = epoch, .acknowledged = session->taken};
}

static void go_back(struct session *session, int64_t now_ms)
{
    if (session->unsent == session->oldest)
        return;
    if (session->sent_ms == INT64_MAX)
        session->sent_ms = now_ms;
    if (now_ms - session->sent_ms < session->wait_ms)
        return;
    session->unsent = session->oldest;
    session->on_the_way = 0;
    /* One message until it is confirmed: the peer may only stand still, and then it has the
     * rest; a queue below us would otherwise fill with one window after the other. */
    session->window = 1;
    session->wait_ms *= 2;
    if (session->wait_ms > SESSION_RESEND_MAX_MS)
        session->wait_ms = SESSION_RESEND_MAX_MS;
}

void session_tend(struct session *session, uint64_t epoch, int64_t now_ms, session_sender *send,
                  void *context)
{
    struct frame_stamp stamp = session_stamp(session, epoch);

    if (now_ms < session->blocked_ms)
        return;
    go_back(session, now_ms);
    while (session->unsent < end(session) && session->on_the_way < session->window) {
        struct kept *kept = at(session, session->unsent);

        stamp.sequence = session->unsent;
        frame_set_stamp(kept->frame, kept->size, &stamp);
        if (session->unsent == session->oldest)
            session->sent_ms = now_ms;
        if (!send(context, kept->frame, kept->size)) {
            session->blocked_ms = now_ms + BLOCKED_MS;
            return;
        }
        session->owed = false;
        session->on_the_way += kept->size;
        session->unsent++;
        if (session->fresh < session->unsent)
            session->fresh = session->unsent;
    }
    if (session->owed) {
        size_t size;
        cleanup_free uint8_t *frame = frame_pack(FRAME_ACK, NULL, &size);

        stamp.sequence = 0;
        frame_set_stamp(frame, size, &stamp);
        session->owed = !send(context, frame, size);
        if (session->owed)
            session->blocked_ms = now_ms + BLOCKED_MS;
    }
}

int64_t session_due(const struct session *session, int64_t now_ms)
{
    bool window = session->on_the_way < session->window;
    int64_t due = INT64_MAX;

    if (session->owed || (session->unsent < end(session) && window))
        due = now_ms;
    else if (session->unsent != session->oldest)
        due = session->wait_ms + (session->sent_ms == INT64_MAX ? now_ms : session->sent_ms);
    if (due < session->blocked_ms)
        due = session->blocked_ms;
    return due < now_ms ? now_ms : due;
}

size_t session_bytes(const struct session *session)
{
    return session->bytes;
}
