/* Who is there. A member is a worker or a client that said HELLO; it lives as long as something
 * is heard of it at least once a lease. A worker that is given up loses its session with its
 * attempts: what it still sends is answered with FENCED by the link, and it begins anew as
 * another member. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/admit.h"
#include "coordinator/core.h"
#include "wire/bytes.h"
#include "wire/hello.h"

enum {
    FILES_SPARE = 256,         /* descriptors for all but members */
    HELLO_MOST = 8 << 10,      /* bytes; each is kept as long as its member is here */
    HEARTBEAT_MOST = 64 << 10, /* and so is the last of these */
};

/* Each costs a descriptor, and at the limit of those the library spins instead of failing. */
static size_t members_most(void)
{
    struct rlimit limit = {0};

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur <= 2 * FILES_SPARE)
        return FILES_SPARE;
    return limit.rlim_cur - FILES_SPARE < LIMIT_MEMBERS ? limit.rlim_cur - FILES_SPARE
                                                        : LIMIT_MEMBERS;
}

struct member *members_find(const struct coordinator *coordinator, uint64_t id)
{
    for (size_t i = 0; i < coordinator->member_count; i++)
        if (coordinator->members[i]->id == id)
            return coordinator->members[i];
    return NULL;
}

static bool is_worker(const struct member *member)
{
    return member->hello->role == MR__ROLE__WORKER;
}

static void name_of(const struct member *member, char text[65])
{
    snprintf(text, 65, "%.*s", (int)member->hello->name.len,
             (const char *)member->hello->name.data);
}

const char *members_name(const struct coordinator *coordinator, uint64_t id, char text[65])
{
    const struct member *member = members_find(coordinator, id);

    snprintf(text, 65, "?");
    if (member)
        name_of(member, text);
    return text;
}

struct job_holder members_holder(const struct coordinator *coordinator, uint64_t id)
{
    const struct member *member = members_find(coordinator, id);

    if (!member)
        return (struct job_holder){0};
    return (struct job_holder){member->hello->data_endpoint,
                               bytes_of(link_peer_key(coordinator->link, id))};
}

/* Outside the session, which ends now or soon: else those that try again and again would fill
 * the link's table. If this is lost, HELLO comes again. */
static void tell_refused(const struct coordinator *coordinator, uint64_t peer,
                         const struct error *error)
{
    Mr__Refused refused = MR__REFUSED__INIT;
    Mr__Error message;

    core_error(&message, error);
    refused.error = &message;
    link_send_once(coordinator->link, peer, FRAME_REFUSED, &refused.base);
}

static void refuse(struct coordinator *coordinator, uint64_t peer, const struct error *error)
{
    tell_refused(coordinator, peer, error);
    coordinator->totals.peers_refused++;
    log_event(LOG_WARNINGS, "peer refused", LOG_ID("peer", peer),
              LOG_TEXT("address", link_peer_address(coordinator->link, peer)),
              LOG_TEXT("why", error->text));
    link_forget(coordinator->link, peer);
}

/* What a worker says of itself is repeated in answers, and its endpoint with each of its map
 * outputs: they must have room. */
static int check_size(const Mr__Hello *hello, struct error *err)
{
    if (hello->name.len > LIMIT_NAME)
        return error_set(err, ERROR_REFUSED, "a name of %zu bytes is above the limit of %d",
                         hello->name.len, LIMIT_NAME);
    if (hello->data_endpoint.len > LIMIT_ENDPOINT)
        return error_set(err, ERROR_REFUSED,
                         "an endpoint of %zu bytes is above the limit of %d",
                         hello->data_endpoint.len, LIMIT_ENDPOINT);
    if (hello->scratch.len >= PATH_MAX)
        return error_set(err, ERROR_REFUSED, "a path of %zu bytes is above the limit of %d",
                         hello->scratch.len, PATH_MAX - 1);
    if (hello->threads > LIMIT_THREADS)
        return error_set(err, ERROR_REFUSED,
                         "%u threads of a worker are above the limit of %d: give it fewer "
                         "(--threads), or run several",
                         hello->threads, LIMIT_THREADS);
    if (mr__hello__get_packed_size(hello) > HELLO_MOST)
        return error_set(err, ERROR_REFUSED, "a HELLO of %zu bytes is above the limit of %d",
                         mr__hello__get_packed_size(hello), HELLO_MOST);
    return 0;
}

/* None above the limits of members and open files. */
static int check_room(const struct coordinator *coordinator, struct error *err)
{
    size_t most = members_most();

    if (coordinator->member_count < most)
        return 0;
    if (most == LIMIT_MEMBERS)
        return error_set(err, ERROR_REFUSED,
                         "the coordinator has %zu members, as many as it "
                         "takes",
                         coordinator->member_count);
    return error_set(err, ERROR_REFUSED,
                     "the coordinator has %zu members, the most that its limit of open files "
                     "allows: raise it (ulimit -n) where the coordinator starts",
                     coordinator->member_count);
}

void members_join(struct coordinator *coordinator, uint64_t peer, Mr__Hello *hello)
{
    Mr__Welcome welcome = MR__WELCOME__INIT;
    struct sched_event event = {.type = EVENT_WORKER_JOINED,
                                .worker = peer,
                                .threads = hello->threads ? hello->threads : 1,
                                .draining = hello->draining};
    struct member *member;
    struct error err;
    char name[65];

    if (members_find(coordinator, peer)) {
        frame_free(&hello->base);
        return;
    }
    if (hello_check(hello, &err) || check_size(hello, &err) ||
        admit_check(coordinator, peer, hello->role, &err) || check_room(coordinator, &err)) {
        refuse(coordinator, peer, &err);
        frame_free(&hello->base);
        return;
    }
    member = memory_zeroed(1, sizeof *member);
    member->id = peer;
    member->hello = hello;
    member->joined_ms = member->heard_ms = clock_ms();
    memory_reserve(&coordinator->members, &coordinator->member_capacity,
                   coordinator->member_count + 1, sizeof *coordinator->members);
    coordinator->members[coordinator->member_count++] = member;
    welcome.worker = peer;
    welcome.heartbeat_ms = coordinator->options.heartbeat_ms;
    welcome.lease_ms = coordinator->options.lease_ms;
    core_send(coordinator, peer, FRAME_WELCOME, &welcome.base);
    if (!is_worker(member)) {
        link_bound(coordinator->link, peer, LIMIT_UNREAD);
        return;
    }
    admit_roster(coordinator, peer);
    coordinator->worker_count++;
    name_of(member, name);
    log_event(LOG_INFO, "worker joined", LOG_ID("worker", peer), LOG_TEXT("name", name),
              LOG_NUMBER("threads", event.threads), LOG_NUMBER("pid", hello->pid));
    core_post(coordinator, &event);
    coordinator->totals.workers_joined++;
    public_worker(coordinator, "worker_joined", member);
    coordinator->drain_ms = 0;
}

static void free_member(struct member *member)
{
    free(member->leaving);
    free(member->full);
    frame_free(&member->hello->base);
    if (member->heartbeat)
        frame_free(&member->heartbeat->base);
    free(member);
}

/* Nobody is told any more what becomes of its jobs. */
static void stop_waiting(struct coordinator *coordinator, uint64_t client)
{
    for (size_t i = 0; i < coordinator->job_count; i++)
        job_unwatch(coordinator->jobs[i], client);
}

static void remove_member(struct coordinator *coordinator, size_t index, const char *why)
{
    struct member *member = coordinator->members[index];
    struct sched_event event = {.type = EVENT_WORKER_LOST, .worker = member->id};
    bool lost = !strcmp(why, "worker lost");
    char name[65];

    coordinator->members[index] = coordinator->members[--coordinator->member_count];
    blobs_forget(coordinator->blobs, member->id);
    /* A last acknowledgement, so that who leaves in order need not wait for it. */
    link_tend(coordinator->link);
    link_forget(coordinator->link, member->id);
    if (is_worker(member)) {
        coordinator->worker_count--;
        drain_gone(coordinator, member);
        name_of(member, name);
        log_event(LOG_INFO, why, LOG_ID("worker", member->id), LOG_TEXT("name", name));
        public_worker(coordinator, lost ? "worker_lost" : "worker_left", member);
        core_post(coordinator, &event);
    } else {
        coordinator->listener_count -= member->listens;
        stop_waiting(coordinator, member->id);
    }
    free_member(member);
}

/* Where those served their outputs that go now. */
struct gone {
    ProtobufCBinaryData *endpoints;
    size_t count, capacity;
};

static void note_gone(struct gone *gone, const struct member *member)
{
    const ProtobufCBinaryData *endpoint = &member->hello->data_endpoint;

    if (!is_worker(member) || !endpoint->len)
        return;
    memory_reserve(&gone->endpoints, &gone->capacity, gone->count + 1, sizeof *gone->endpoints);
    gone->endpoints[gone->count++] =
        (ProtobufCBinaryData){endpoint->len, (uint8_t *)bytes_text(*endpoint)};
}

static void tell_gone(struct coordinator *coordinator, struct gone *gone)
{
    announce_gone(coordinator, gone->endpoints, gone->count);
    while (gone->count)
        free(gone->endpoints[--gone->count].data);
    free(gone->endpoints);
}

void members_leave(struct coordinator *coordinator, uint64_t peer, const char *why)
{
    struct gone gone = {0};

    for (size_t i = 0; i < coordinator->member_count; i++)
        if (coordinator->members[i]->id == peer) {
            note_gone(&gone, coordinator->members[i]);
            remove_member(coordinator, i, why);
            tell_gone(coordinator, &gone);
            return;
        }
    link_forget(coordinator->link, peer);
}

void members_cut(struct coordinator *coordinator, uint64_t peer, const struct error *why)
{
    const struct member *member = members_find(coordinator, peer);

    log_event(LOG_WARNINGS, "member cut off", LOG_ID("peer", peer),
              LOG_TEXT("address", link_peer_address(coordinator->link, peer)),
              LOG_TEXT("role", is_worker(member) ? "worker" : "client"),
              LOG_TEXT("why", why->text));
    tell_refused(coordinator, peer, why);
    coordinator->lost += is_worker(member);
    members_leave(coordinator, peer, "worker lost");
}

void members_beat(struct coordinator *coordinator, uint64_t peer, Mr__Heartbeat *heartbeat)
{
    struct member *member = members_find(coordinator, peer);
    Mr__HeartbeatAck ack = MR__HEARTBEAT_ACK__INIT;
    int64_t now_ms;

    if (!member || mr__heartbeat__get_packed_size(heartbeat) > HEARTBEAT_MOST) {
        frame_free(&heartbeat->base);
        return;
    }
    now_ms = clock_ms();
    if (is_worker(member) &&
        now_ms - member->heard_ms > 2 * (int64_t)coordinator->options.heartbeat_ms)
        coordinator->totals.late_heartbeats++;
    member->heard_ms = now_ms;
    ack.sent_ms = heartbeat->sent_ms;
    probe_heard(coordinator, member, heartbeat);
    probe_tell(coordinator, member, &ack);
    link_send_once(coordinator->link, peer, FRAME_HEARTBEAT_ACK, &ack.base);
    if (member->heartbeat)
        frame_free(&member->heartbeat->base);
    member->heartbeat = heartbeat;
    room_heard(coordinator, member);
    slow_heard(coordinator, heartbeat);
}

/* While we were stopped ourselves, nobody could be heard: what they sent waits to be read
 * first. */
static bool was_away(struct coordinator *coordinator, int64_t now_ms)
{
    int64_t since_ms = now_ms - coordinator->expired_ms;
    bool away =
        coordinator->expired_ms && since_ms > (int64_t)coordinator->options.lease_ms / 2;

    coordinator->expired_ms = now_ms;
    if (!away)
        return false;
    for (size_t i = 0; i < coordinator->member_count; i++)
        coordinator->members[i]->heard_ms = now_ms;
    return true;
}

long members_expire(struct coordinator *coordinator)
{
    int64_t lease_ms = coordinator->options.lease_ms, now_ms = clock_ms(),
            next_ms = lease_ms / 4 + 1;
    struct gone gone = {0};

    if (was_away(coordinator, now_ms))
        return (long)next_ms;
    for (size_t i = coordinator->member_count; i-- > 0;) {
        if (now_ms - coordinator->members[i]->heard_ms <= lease_ms)
            continue;
        coordinator->lost += is_worker(coordinator->members[i]);
        note_gone(&gone, coordinator->members[i]);
        remove_member(coordinator, i, "worker lost");
    }
    tell_gone(coordinator, &gone);
    if (coordinator->member_count)
        return (long)next_ms;
    coordinator->expired_ms = 0;
    return -1;
}

void members_done(struct coordinator *coordinator)
{
    for (size_t i = 0; i < coordinator->member_count; i++)
        free_member(coordinator->members[i]);
    free(coordinator->members);
}
