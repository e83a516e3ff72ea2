/* Membership: the worker lives as long as its heartbeats are answered. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "wire/hello.h"
#include "wire/session.h"
#include "worker/agent/core.h"
#include "worker/agent/sight.h"

/* The address of a name may have changed since it was looked up last. */
static bool look_up_again(struct agent *agent)
{
    cleanup_free char *before = NULL;
    struct error err;

    if (!agent->options.advertise)
        return false;
    before = memory_text(share_endpoint(agent->share));
    if (share_advertise(agent->share, agent->options.advertise, &err))
        log_event(LOG_WARNINGS, "address unknown", LOG_TEXT("why", err.text),
                  LOG_TEXT("instead", before));
    return strcmp(before, share_endpoint(agent->share)) != 0;
}

void lease_welcomed(struct agent *agent, const Mr__Welcome *welcome)
{
    agent->welcome = true;
    agent->heartbeat_ms = welcome->heartbeat_ms ? welcome->heartbeat_ms : 1000;
    agent->lease_ms = welcome->lease_ms ? welcome->lease_ms : 10000;
    /* The coordinator counts from when it heard our HELLO, which is not before it was said, or
     * said again. */
    agent->confirmed_ms = clock_ms() - SESSION_RESEND_MAX_MS;
    if (agent->confirmed_ms < agent->hello_ms)
        agent->confirmed_ms = agent->hello_ms;
    /* HELLO may have waited until a network was there, with another address than before. */
    agent->moved = look_up_again(agent);
    if (agent->moved)
        return;
    kept_say(agent);
    log_event(LOG_INFO, "joined", LOG_ID("worker", welcome->worker),
              LOG_TEXT("coordinator", agent->options.endpoint));
    drain_say(agent);
}

/* The lease counts from when the heartbeat was sent, not from when it was answered. */
void lease_confirmed(struct agent *agent, const Mr__HeartbeatAck *ack)
{
    if ((int64_t)ack->sent_ms > agent->confirmed_ms && (int64_t)ack->sent_ms <= clock_ms())
        agent->confirmed_ms = (int64_t)ack->sent_ms;
    sight_look(&agent->sight, ack);
}

void lease_refused(struct agent *agent, const Mr__Refused *message)
{
    const Mr__Error *error = message->error;

    error_set(&agent->refused, ERROR_REFUSED, "the coordinator at %s refuses: %.*s",
              agent->options.endpoint, error ? (int)error->text.len : 0,
              error ? (const char *)error->text.data : "");
}

void lease_roster(struct agent *agent, const Mr__Roster *roster)
{
    cleanup_free struct porter_key *keys =
        memory_zeroed(roster->n_keys + 1, sizeof(struct porter_key));

    if (!agent->options.porter)
        return;
    for (size_t i = 0; i < roster->n_keys; i++) {
        keys[i].role = KEY_WORKER;
        snprintf(keys[i].key, KEY_TEXT, "%.*s", (int)roster->keys[i].len,
                 (const char *)roster->keys[i].data);
    }
    porter_admit(agent->options.porter, keys, roster->n_keys);
}

/* Who is not let in will not be, however often he tries; but one whose coordinator only seems
 * to be another, or is just ending, may be. */
static bool is_denied(struct agent *agent, struct error *err)
{
    struct error objection;
    enum link_reach reach = link_reach(agent->link);

    if (reach != LINK_BROKEN)
        agent->objected = false;
    if (!link_objection(agent->link, &objection))
        return false;
    if (reach == LINK_BROKEN) {
        if (!agent->objected)
            log_event(LOG_WARNINGS, "cannot join", LOG_TEXT("why", objection.text));
        agent->objected = true;
        return false;
    }
    *err = objection;
    return true;
}

uint64_t lease_scratch_free(const struct agent *agent)
{
    struct statvfs st;

    return statvfs(agent->options.scratch, &st) ? 0 : (uint64_t)st.f_bavail * st.f_frsize;
}

/* What the threads of an executor have done on a task. */
static uint64_t ticks_on(const struct child *child, const Mr__Assign *task)
{
    uint64_t ticks = 0;

    for (int i = 0; i < LIMIT_THREADS; i++) {
        const struct slot *slot = &child->slots->slot[i];

        if (slot->phase != SLOT_IDLE && slot->kind == (uint32_t)task->kind &&
            slot->task == task->task && slot->attempt == task->attempt)
            ticks += slot->ticks;
    }
    return ticks;
}

static size_t fill_progress(const struct agent *agent, Mr__TaskProgress *list, size_t max)
{
    size_t n = 0;

    for (int i = 0; i < agent->child_count; i++)
        for (size_t k = 0; k < agent->children[i]->held_count && n < max; k++) {
            const Mr__Assign *task = agent->children[i]->held[k];

            mr__task_progress__init(&list[n]);
            list[n].job = task->job;
            list[n].kind = task->kind;
            list[n].task = task->task;
            list[n].attempt = task->attempt;
            list[n].ticks = ticks_on(agent->children[i], task);
            n++;
        }
    return n;
}

static void beat(struct agent *agent, int64_t now_ms)
{
    Mr__Heartbeat heartbeat = MR__HEARTBEAT__INIT;
    Mr__TaskProgress progress[PROGRESS_MAX], *pointers[PROGRESS_MAX];
    Mr__Confinement confinement;

    if (!agent->welcome || now_ms - agent->beaten_ms < agent->heartbeat_ms)
        return;
    agent->beaten_ms = now_ms;
    heartbeat.sent_ms = (uint64_t)now_ms;
    heartbeat.scratch_free = lease_scratch_free(agent);
    fences_describe(&agent->fences, &confinement);
    if (agent->fences.known)
        heartbeat.confinement = &confinement;
    heartbeat.n_tasks = fill_progress(agent, progress, PROGRESS_MAX);
    heartbeat.tasks = pointers;
    for (size_t i = 0; i < heartbeat.n_tasks; i++)
        pointers[i] = &progress[i];
    sight_tell(agent->sight, &heartbeat);
    link_send_once(agent->link, 0, FRAME_HEARTBEAT, &heartbeat.base);
}

void lease_hello(struct agent *agent)
{
    Mr__Hello hello;

    look_up_again(agent);
    hello_fill(&hello, MR__ROLE__WORKER);
    hello.name = bytes_of(agent->options.name);
    hello.threads = agent->options.threads;
    if (agent->share) {
        const char *endpoint = share_endpoint(agent->share);

        hello.data_endpoint = bytes_of(endpoint);
    }
    hello.memory = agent->options.memory;
    hello.draining = agent->draining;
    hello.scratch = bytes_of(agent->options.scratch);
    agent->hello_ms = clock_ms();
    agent_tell(agent, FRAME_HELLO, &hello.base);
}

int lease_keep(struct agent *agent, struct error *err)
{
    int64_t now_ms = clock_ms();

    if (is_denied(agent, err))
        return -1;
    if (agent->refused.code) {
        *err = agent->refused;
        return -1;
    }
    if (agent->lost)
        return agent_begin_anew(agent, "the coordinator has given this worker up", err);
    if (agent->moved)
        return agent_begin_anew(agent, "its address has changed", err);
    if (agent->welcome && now_ms - agent->confirmed_ms > agent->lease_ms)
        return agent_begin_anew(agent, "no answer of the coordinator for a lease", err);
    beat(agent, now_ms);
    return 0;
}
