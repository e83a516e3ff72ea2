#include "worker/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/tree.h"
#include "worker/agent/core.h"
#include "worker/agent/sight.h"
#include "worker/agent/strays.h"

void agent_tell(struct agent *agent, enum frame_type type, const ProtobufCMessage *message)
{
    link_send(agent->link, 0, type, message);
}

const struct certificate *agent_own(const struct agent *agent)
{
    return agent->options.keys ? &agent->options.keys->own : NULL;
}

static int connect_coordinator(struct agent *agent, struct error *err)
{
    struct link_guard guard = {0};

    if (agent->options.keys)
        guard = (struct link_guard){agent_own(agent), NULL, agent->options.keys->coordinator};
    return link_connect_watched(agent->options.context, agent->options.endpoint,
                                agent->options.keys ? &guard : NULL, &agent->link, err);
}

/* Serves our runs. */
static int open_share(struct agent *agent, struct error *err)
{
    const struct agent_options *options = &agent->options;
    const struct link_guard guard = {agent_own(agent), options->porter, NULL};

    if (!options->listen)
        return 0;
    if (share_open(options->context, options->listen, options->keys ? &guard : NULL,
                   options->scratch, &agent->share, err))
        return -1;
    return options->advertise ? share_advertise(agent->share, options->advertise, err) : 0;
}

/* Given up by the coordinator, or cut off from it for a lease: what runs here may run elsewhere
 * by now. */
int agent_begin_anew(struct agent *agent, const char *why, struct error *err)
{
    log_event(LOG_WARNINGS, "begins anew", LOG_TEXT("why", why));
    jobs_suspend(agent);
    /* If the coordinator is there after all, it need not wait for the lease of who we were. */
    if (!agent->lost)
        agent_tell(agent, FRAME_GOODBYE, NULL);
    link_close(agent->link);
    agent->link = NULL;
    agent->lost = agent->moved = agent->welcome = agent->dismissed = false;
    if (connect_coordinator(agent, err) || !children_start(agent, err))
        return -1;
    lease_hello(agent);
    return 0;
}

static void from_coordinator(struct agent *agent, enum frame_type type,
                             ProtobufCMessage *message)
{
    switch (type) {
    case FRAME_JOB_OPEN:
        jobs_open(agent, (Mr__JobOpen *)message);
        return;
    case FRAME_MAP_OUTPUTS:
        jobs_outputs(agent, (Mr__MapOutputs *)message);
        return;
    case FRAME_ASSIGN:
        jobs_assign(agent, (Mr__Assign *)message);
        return;
    case FRAME_JOB_CLOSE:
        jobs_close(agent, ((const Mr__JobClose *)message)->job);
        break;
    case FRAME_REVOKE:
        jobs_withdraw(agent, (const Mr__Revoke *)message);
        break;
    case FRAME_BLOB:
        jobs_piece(agent, (const Mr__Blob *)message);
        break;
    case FRAME_DRAIN:
        drain_told(agent, (const Mr__Drain *)message);
        break;
    case FRAME_TAKE:
        drain_take(agent, (const Mr__Take *)message);
        break;
    case FRAME_WELCOME:
        lease_welcomed(agent, (const Mr__Welcome *)message);
        break;
    case FRAME_HEARTBEAT_ACK:
        lease_confirmed(agent, (const Mr__HeartbeatAck *)message);
        break;
    case FRAME_REFUSED:
        lease_refused(agent, (const Mr__Refused *)message);
        break;
    case FRAME_ROSTER:
        lease_roster(agent, (const Mr__Roster *)message);
        break;
    case FRAME_FENCED:
        agent->lost = true;
        break;
    default:
        break;
    }
    frame_free(message);
}

/* Until there is something to do by the clock. */
static long may_wait(struct agent *agent)
{
    long wait = link_tend(agent->link), beat = -1;

    if (agent->welcome)
        beat = (long)(agent->beaten_ms + agent->heartbeat_ms - clock_ms());
    if (agent->welcome && beat < 0)
        beat = 0;
    wait = link_sooner(wait, drain_may_wait(agent));
    return link_sooner(link_sooner(wait, beat), children_busy(agent) ? WATCH_MS : -1);
}

/* One round of the loop: 1, 0 when it is time to stop, -1. */
static int serve_once(struct agent *agent, int stop_fd, struct error *err)
{
    struct link_event events[4 + EVENTS_A_CHILD * CHILDREN_MAX];
    struct child *children[CHILDREN_MAX];
    int counts[CHILDREN_MAX], child_count = agent->child_count, first = 2, n;
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    events[0] = (struct link_event){.link = agent->link};
    events[1] = (struct link_event){.fd = stop_fd};
    if (agent->fetch)
        events[first++] = (struct link_event){.fd = fetch_fd(agent->fetch)};
    if (agent->take)
        events[first++] = (struct link_event){.fd = take_fd(agent->take)};
    n = first;
    for (int i = 0; i < child_count; i++) {
        children[i] = agent->children[i];
        counts[i] = children_events(children[i], &events[n]);
        n += counts[i];
    }
    link_wait(events, n, may_wait(agent));
    if (events[1].ready)
        return 0;
    n = first;
    for (int i = 0; i < child_count; n += counts[i++])
        children_serve(agent, children[i], &events[n], counts[i]);
    children_fetched(agent);
    drain_taken(agent);
    while (!agent->lost && link_receive(agent->link, &peer, &type, &message))
        from_coordinator(agent, type, message);
    children_watch(agent);
    children_keep_spare(agent);
    if (lease_keep(agent, err))
        return -1;
    if (drain_over(agent))
        return 0;
    return drain_keep(agent, err) ? -1 : 1;
}

int agent_open(const struct agent_options *options, struct agent **ret, struct error *err)
{
    struct agent *agent = memory_zeroed(1, sizeof *agent);
    cleanup_free char *blobs = memory_format("%s/objects", options->scratch);

    agent->options = *options;
    if (mkdir(options->scratch, 0700) && errno != EEXIST) {
        error_errno(err, ERROR_IO, "make scratch folder '%s'", options->scratch);
        agent_close(agent);
        return -1;
    }
    strays_adopt();
    cgroup_find("/proc/self", &agent->groups);
    if (blobs_open(blobs, false, &agent->blobs, err) || guard_open(&agent->guard, err) ||
        !children_start(agent, err) || open_share(agent, err) ||
        connect_coordinator(agent, err)) {
        agent_close(agent);
        return -1;
    }
    lease_hello(agent);
    *ret = agent;
    return 0;
}

int agent_run(struct agent *agent, int stop_fd, struct error *err)
{
    int result;

    while ((result = serve_once(agent, stop_fd, err)) > 0)
        ;
    return result;
}

void agent_close(struct agent *agent)
{
    struct error ignored;

    if (!agent)
        return;
    jobs_stop(agent);
    free(agent->jobs);
    if (agent->link) {
        agent_tell(agent, FRAME_GOODBYE, NULL);
        link_drain(agent->link, GOODBYE_MS);
        link_close(agent->link);
    }
    share_close(agent->share);
    fetch_close(agent->fetch);
    take_close(agent->take);
    sight_close(agent->sight);
    sources_done(&agent->sources);
    blobs_close(agent->blobs);
    guard_close(agent->guard);
    cgroup_base_done(&agent->groups);
    tree_remove(agent->options.scratch, &ignored);
    free(agent);
}
