#include "worker/agent/share.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "wire/link.h"
#include "wire/mr.pb-c.h"
#include "worker/agent/address.h"
#include "worker/agent/share_runs.h"

enum {
    SEGMENTS_MAX = 2048,      /* in one message */
    RUNS_A_TURN = 64,         /* looked into before others have their turn */
    REQUESTS_MAX = 16384,     /* of all peers */
    MESSAGES_A_ROUND = 256,   /* taken in before peers are served again */
    AHEAD_MAX = 2 << 20,      /* bytes kept for one peer, that it has not confirmed ... */
    AHEAD_OF_ALL = 256 << 20, /* ... and for all of them */
    QUIET_MS = 60000,         /* a peer that takes nothing for so long is gone */
    SIGN_MS = 1000,           /* a request that sends nothing for so long says that it lives */
    TEND_MS = 1000,
    TOLD_MS = 5000, /* between two lines of the log about refused frames */
};

struct request {
    Mr__Fetch *fetch; /* owned */
    size_t output;    /* the one at hand */
    size_t segment;   /* of the part, in that output's run */
    bool in_segment;  /* some of it may have been sent */
    struct run_segment current;
    uint64_t done; /* bytes of it */
    struct run_audit *audit;
    uint64_t sent;
    int64_t sign_ms; /* when the last message left */
};

struct peer {
    uint64_t id;
    struct request **requests;
    size_t count, capacity, turn;
    int64_t moved_ms; /* when it last asked, or had room for more */
};

/* A message in the making. */
struct reply {
    Mr__Fetched message;
    Mr__Segment segments[SEGMENTS_MAX];
    Mr__Segment *pointers[SEGMENTS_MAX];
    size_t used; /* of `bytes` */
    uint8_t bytes[SHARE_DATA];
};

struct share {
    pthread_t thread;
    int stop;       /* eventfd */
    char *endpoint; /* that others are told */
    struct link *link;
    struct porter *porter;   /* NULL: all may fetch */
    uint64_t porter_version; /* when peers were looked at last */
    struct share_runs *runs;
    struct map by_id; /* -> struct peer */
    struct peer **peers;
    size_t count, capacity, request_count;
    struct reply *reply;
    uint64_t told_damaged;   /* frames that the log has told of ... */
    int64_t told_ms;         /* ... when it did last */
    _Atomic int64_t busy_ms; /* when somebody last had something to get */
};

/* ---- Peers and requests -------------------------------------------------------------------
 */

static struct peer *peer_of(struct share *share, uint64_t id)
{
    struct peer *peer = map_get(&share->by_id, id);

    if (peer)
        return peer;
    peer = memory_zeroed(1, sizeof *peer);
    peer->id = id;
    map_put(&share->by_id, id, peer);
    memory_reserve(&share->peers, &share->capacity, share->count + 1, sizeof *share->peers);
    share->peers[share->count++] = peer;
    return peer;
}

static void end_request(struct share *share, struct peer *peer, size_t index)
{
    struct request *request = peer->requests[index];

    peer->requests[index] = peer->requests[--peer->count];
    share->request_count--;
    run_audit_free(request->audit);
    frame_free(&request->fetch->base);
    free(request);
}

static void forget_peer(struct share *share, size_t index)
{
    struct peer *peer = share->peers[index];

    while (peer->count)
        end_request(share, peer, 0);
    link_forget(share->link, peer->id);
    map_remove(&share->by_id, peer->id);
    share->peers[index] = share->peers[--share->count];
    free(peer->requests);
    free(peer);
}

static void send_error(struct share *share, uint64_t peer, uint64_t request, uint32_t map,
                       const struct error *error)
{
    Mr__Fetched message = MR__FETCHED__INIT;
    Mr__Error text = MR__ERROR__INIT;

    text.code = error->code;
    text.text = bytes_of(error->text);
    message.request = request;
    message.error = &text;
    message.lost_map = map;
    link_send(share->link, peer, FRAME_FETCHED, &message.base);
}

/* Takes `fetch` over. */
static void begin_request(struct share *share, struct peer *peer, Mr__Fetch *fetch)
{
    struct request *request;

    if (peer->count == SHARE_REQUESTS || share->request_count == REQUESTS_MAX) {
        struct error err;

        error_set(&err, ERROR_REFUSED, "too many requests at a time");
        send_error(share, peer->id, fetch->request, fetch->outputs[0]->task, &err);
        frame_free(&fetch->base);
        return;
    }
    request = memory_zeroed(1, sizeof *request);
    request->fetch = fetch;
    request->sign_ms = clock_ms();
    memory_reserve(&peer->requests, &peer->capacity, peer->count + 1, sizeof *peer->requests);
    peer->requests[peer->count++] = request;
    share->request_count++;
}

/* More credit, or none for good; takes `fetch` over. */
static void change_request(struct share *share, struct peer *peer, size_t index,
                           Mr__Fetch *fetch)
{
    Mr__Fetch *known = peer->requests[index]->fetch;

    if (fetch->credit > known->credit)
        known->credit = fetch->credit;
    if (!fetch->credit && !fetch->n_outputs)
        end_request(share, peer, index);
    frame_free(&fetch->base);
}

static void take_fetch(struct share *share, uint64_t id, Mr__Fetch *fetch)
{
    struct peer *peer = peer_of(share, id);
    size_t index = 0;

    peer->moved_ms = clock_ms();
    while (index < peer->count && peer->requests[index]->fetch->request != fetch->request)
        index++;
    if (index < peer->count)
        change_request(share, peer, index, fetch);
    else if (fetch->n_outputs)
        begin_request(share, peer, fetch);
    else
        frame_free(&fetch->base); /* it has ended meanwhile */
}

static void receive(struct share *share)
{
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t id;

    for (int i = 0; i < MESSAGES_A_ROUND && link_receive(share->link, &id, &type, &message);
         i++) {
        if (type == FRAME_FETCH) {
            take_fetch(share, id, (Mr__Fetch *)message);
            continue;
        }
        /* Who says anything else, GOODBYE among it, has no business here. */
        frame_free(message);
        link_forget(share->link, id);
        for (size_t k = share->count; k-- > 0;)
            if (share->peers[k]->id == id)
                forget_peer(share, k);
    }
}

/* ---- Serving ------------------------------------------------------------------------------
 */

static void begin_reply(struct reply *reply, uint64_t request)
{
    mr__fetched__init(&reply->message);
    reply->message.request = request;
    reply->message.segments = reply->pointers;
    reply->used = 0;
}

static void put_segment(struct reply *reply, uint32_t task, const struct run_segment *segment,
                        size_t size)
{
    size_t index = reply->message.n_segments++;
    Mr__Segment *out = &reply->segments[index];

    mr__segment__init(out);
    out->task = task;
    out->round = segment->round;
    out->records = segment->records;
    out->pairs = segment->pairs;
    out->digest = segment->digest;
    out->flags = segment->flags;
    out->raw_size = segment->raw_size == segment->size ? 0 : segment->raw_size;
    out->size = segment->size;
    out->data = (ProtobufCBinaryData){size, reply->bytes + reply->used};
    reply->pointers[index] = out;
    reply->used += size;
}

/* Puts as much of the current segment into the reply as fits and may be sent. 1 when that was
 * its end, 0 when it was not, -1. */
static int send_current(struct request *request, struct run_file *run, struct reply *reply,
                        struct error *err)
{
    uint64_t left = request->current.size - request->done, size = SHARE_DATA - reply->used,
             credit = request->fetch->credit - request->sent;

    size = size < left ? size : left;
    size = size < credit ? size : credit;
    if (reply->message.n_segments == SEGMENTS_MAX || (left && !size))
        return 0;
    if (run_read(run, &request->current, request->done, reply->bytes + reply->used, size, err))
        return -1;
    if (run_audit_feed(request->audit, reply->bytes + reply->used, size, err))
        return error_wrap(err, "read from disk, run '%s'", run_file_path(run));
    put_segment(reply, request->fetch->outputs[request->output]->task, &request->current, size);
    request->done += size;
    request->sent += size;
    return size == left;
}

/* The part's segments of one run: 1 when all of them are in the reply now or were sent before,
 * 0, -1. */
static int send_run(struct request *request, struct run_file *run, struct reply *reply,
                    struct error *err)
{
    size_t count;
    const struct run_segment *segments = run_part(run, request->fetch->part, &count);

    for (; request->segment < count; request->segment++) {
        int result;

        if (!request->in_segment) {
            request->in_segment = true;
            request->current = segments[request->segment];
            request->done = 0;
            request->audit = run_audit_new(&request->current);
        }
        result = send_current(request, run, reply, err);
        if (result <= 0)
            return result;
        run_audit_free(request->audit);
        request->audit = NULL;
        request->in_segment = false;
    }
    return 1;
}

/* Whether segments of this run may travel in the reply: a message has one width. */
static bool fits(struct reply *reply, const struct run_file *run)
{
    const struct run_shape *shape = run_shape(run);

    if (reply->message.n_segments && reply->message.value_width != shape->value_width)
        return false;
    reply->message.value_width = shape->value_width;
    return true;
}

/* The next piece of a whole file. */
static int fill_whole(struct share *share, struct request *request, struct reply *reply,
                      struct error *err)
{
    const Mr__MapOutput *output = request->fetch->outputs[0];
    struct mr_bytes path = {(const char *)output->path.data, output->path.len};
    uint64_t size = SHARE_DATA, credit = request->fetch->credit - request->sent, left;
    struct run_file *run;

    if (share_runs_get(share->runs, path, output->run_id, &run, err))
        return -1;
    left = run_file_size(run) - request->sent;
    size = size < left ? size : left;
    size = size < credit ? size : credit;
    if (run_file_read(run, request->sent, reply->bytes, size, err))
        return -1;
    request->in_segment = true; /* it needs credit to go on */
    request->sent += size;
    reply->message.data = (ProtobufCBinaryData){size, reply->bytes};
    reply->message.last = size == left;
    return 0;
}

/* Fills the reply with what comes next. */
static int fill(struct share *share, struct request *request, struct reply *reply,
                struct error *err)
{
    for (int i = 0; i < RUNS_A_TURN && request->output < request->fetch->n_outputs; i++) {
        const Mr__MapOutput *output = request->fetch->outputs[request->output];
        struct mr_bytes path = {(const char *)output->path.data, output->path.len};
        struct run_file *run;
        int result;

        if (share_runs_get(share->runs, path, output->run_id, &run, err))
            return -1;
        if (!fits(reply, run))
            return 0;
        result = send_run(request, run, reply, err);
        if (result <= 0)
            return result;
        request->output++;
        request->segment = 0;
    }
    reply->message.last = request->output == request->fetch->n_outputs;
    return 0;
}

/* One message of one request. */
static void serve_request(struct share *share, struct peer *peer, size_t index, int64_t now_ms)
{
    struct request *request = peer->requests[index];
    struct reply *reply = share->reply;
    struct error err;

    begin_reply(reply, request->fetch->request);
    if (request->fetch->whole ? fill_whole(share, request, reply, &err)
                              : fill(share, request, reply, &err)) {
        uint32_t map = request->fetch->outputs[request->output]->task;

        err.code = ERROR_FETCH;
        error_wrap(&err, "the output of map task %u", map);
        send_error(share, peer->id, request->fetch->request, map, &err);
        end_request(share, peer, index);
        return;
    }
    if (reply->message.n_segments || reply->message.data.len || reply->message.last ||
        now_ms - request->sign_ms >= SIGN_MS) {
        link_send(share->link, peer->id, FRAME_FETCHED, &reply->message.base);
        request->sign_ms = now_ms;
    }
    if (reply->message.last)
        end_request(share, peer, index);
}

static bool may_go_on(const struct request *request)
{
    return !request->in_segment || request->sent < request->fetch->credit;
}

/* Whether the peer had something coming, and room for it. */
static bool serve_peer(struct share *share, struct peer *peer, size_t ahead, int64_t now_ms)
{
    if (link_kept(share->link, peer->id) >= ahead)
        return false;
    for (size_t i = 0; i < peer->count; i++) {
        size_t index = (peer->turn + i) % peer->count;

        if (may_go_on(peer->requests[index])) {
            peer->turn = index + 1;
            peer->moved_ms = now_ms;
            serve_request(share, peer, index, now_ms);
            return true;
        }
    }
    return false;
}

/* A message for each peer; false when nobody could take one. */
static bool serve(struct share *share)
{
    size_t ahead = AHEAD_OF_ALL / (share->count + 1);
    int64_t now_ms = clock_ms();
    bool any = false;

    if (ahead > AHEAD_MAX)
        ahead = AHEAD_MAX;
    for (size_t i = 0; i < share->count; i++)
        any = serve_peer(share, share->peers[i], ahead, now_ms) || any;
    return any;
}

/* ---- The thread ---------------------------------------------------------------------------
 */

static void forget_the_quiet(struct share *share, int64_t now_ms)
{
    for (size_t i = share->count; i-- > 0;)
        if (now_ms - share->peers[i]->moved_ms >= QUIET_MS)
            forget_peer(share, i);
}

/* In one line a while: whoever sends such may send many. */
static void tell_refused(struct share *share, int64_t now_ms)
{
    uint64_t damaged = link_counts(share->link).damaged - share->told_damaged;

    if (!damaged || (share->told_ms && now_ms - share->told_ms < TOLD_MS))
        return;
    share->told_damaged += damaged;
    share->told_ms = now_ms;
    log_event(LOG_WARNINGS, "frames refused on the port for data",
              LOG_NUMBER("damaged", (int64_t)damaged));
}

/* Whoever is not let in any more gets nothing from now on. */
static void forget_the_revoked(struct share *share)
{
    uint64_t version = share->porter ? porter_version(share->porter) : 0;

    if (version == share->porter_version)
        return;
    share->porter_version = version;
    link_prune(share->link);
    for (size_t i = share->count; i-- > 0;)
        if (!link_in_session(share->link, share->peers[i]->id))
            forget_peer(share, i);
}

static void *run_share(void *context)
{
    struct share *share = context;
    struct link_event events[] = {{.link = share->link}, {.fd = share->stop}};
    int64_t tended_ms = clock_ms();
    bool busy = false;

    while (!events[1].ready) {
        long wait = link_tend(share->link);
        int64_t now_ms = clock_ms();

        link_wait(events, 2, busy ? 0 : wait < 0 || wait > TEND_MS ? TEND_MS : wait);
        forget_the_revoked(share);
        receive(share);
        if (share->request_count)
            share->busy_ms = now_ms;
        busy = serve(share);
        if (now_ms - tended_ms >= TEND_MS) {
            tended_ms = now_ms;
            forget_the_quiet(share, now_ms);
            share_runs_tend(share->runs, now_ms);
            tell_refused(share, now_ms);
        }
    }
    return NULL;
}

static void share_free(struct share *share)
{
    while (share->count)
        forget_peer(share, share->count - 1);
    free(share->peers);
    map_done(&share->by_id);
    link_close(share->link);
    share_runs_close(share->runs);
    if (share->stop >= 0)
        close(share->stop);
    free(share->reply);
    free(share->endpoint);
    free(share);
}

int share_open(void *context, const char *endpoint, const struct link_guard *guard,
               const char *scratch, struct share **ret, struct error *err)
{
    struct share *share = memory_zeroed(1, sizeof *share);
    int problem;

    share->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (share->stop < 0)
        error_errno(err, ERROR_IO, "eventfd");
    if (share->stop < 0 || share_runs_open(scratch, &share->runs, err) ||
        link_listen_guarded(context, endpoint, guard, &share->link, err)) {
        share_free(share);
        return -1;
    }
    share->porter = guard ? guard->porter : NULL;
    share->endpoint = memory_text(link_endpoint(share->link));
    share->reply = memory_new(sizeof *share->reply);
    problem = pthread_create(&share->thread, NULL, run_share, share);
    if (problem) {
        errno = problem;
        error_errno(err, ERROR_IO, "start a thread");
        share_free(share);
        return -1;
    }
    *ret = share;
    return 0;
}

int share_advertise(struct share *share, const char *host, struct error *err)
{
    char *endpoint;

    if (address_of(host, link_endpoint(share->link), &endpoint, err))
        return -1;
    free(share->endpoint);
    share->endpoint = endpoint;
    return 0;
}

const char *share_listens(const struct share *share)
{
    return link_endpoint(share->link);
}

const char *share_endpoint(const struct share *share)
{
    return share->endpoint;
}

int64_t share_idle_ms(const struct share *share)
{
    return clock_ms() - share->busy_ms;
}

void share_close(struct share *share)
{
    uint64_t one = 1;

    if (!share)
        return;
    check(write(share->stop, &one, sizeof one) == sizeof one);
    check(!pthread_join(share->thread, NULL));
    share_free(share);
}
