#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "wire/hello.h"

/* Nobody answers for so long: there is nobody. Longer once there was somebody, who may be busy.
 */
enum {
    FIRST_MS = 5000,
    LATER_MS = 30000,
    BEAT_MS = 1000,
    FDS_MAX = 8,
    PROBE_MS = 1000,
    SILENCE_MS = 3000
};

struct client {
    struct link *link;
    void *context;
    const struct keys *keys; /* NULL: none */
    bool welcome;
    bool known; /* was welcome once: what is broken since is no matter of keys */
    bool keeps;                      /* looks for a coordinator that went away */
    bool said;                       /* that it is silent */
    int64_t heartbeat_ms, beaten_ms; /* how often; when last */
    int64_t heard_ms;
    int64_t first_ms, later_ms; /* patience */
};

static int connect_link(struct client *client, const char *endpoint, struct error *err)
{
    struct link_guard guard = {0};

    if (client->keys)
        guard = (struct link_guard){&client->keys->own, NULL, client->keys->coordinator};
    return link_connect_watched(client->context, endpoint, client->keys ? &guard : NULL,
                                &client->link, err);
}

static void say_hello(struct client *client)
{
    Mr__Hello hello;

    hello_fill(&hello, MR__ROLE__CLIENT);
    link_send(client->link, 0, FRAME_HELLO, &hello.base);
}

int client_open(void *context, const char *endpoint, const struct keys *keys,
                struct client **ret, struct error *err)
{
    struct client *client = memory_zeroed(1, sizeof *client);

    client->context = context;
    client->keys = keys;
    if (connect_link(client, endpoint, err)) {
        free(client);
        return -1;
    }
    /* The library would try again and again. */
    if (!strncmp(endpoint, "tcp://", strlen("tcp://")) &&
        link_await(client->link, PROBE_MS) == LINK_REFUSED) {
        link_close(client->link);
        free(client);
        return error_set(err, ERROR_UNREACHABLE, "no coordinator answers at %s", endpoint);
    }
    client->heartbeat_ms = BEAT_MS;
    client->heard_ms = clock_ms();
    client_set_patience(client, FIRST_MS, LATER_MS);
    say_hello(client);
    *ret = client;
    return 0;
}

/* The session is over: begins another. */
static int begin_anew(struct client *client, struct error *err)
{
    cleanup_free char *endpoint = memory_text(link_endpoint(client->link));

    link_close(client->link);
    client->link = NULL;
    client->welcome = false;
    client->first_ms = client->later_ms;
    if (connect_link(client, endpoint, err))
        return -1;
    say_hello(client);
    return 0;
}

void client_keep(struct client *client, int64_t patience_ms)
{
    client->keeps = true;
    client->later_ms = patience_ms;
}

static void tell_of_silence(struct client *client)
{
    int64_t silent_ms = clock_ms() - client->heard_ms;

    if (!client->keeps || client->said || silent_ms < SILENCE_MS ||
        silent_ms > client->later_ms ||
        (!client->welcome && client->first_ms < client->later_ms))
        return;
    client->said = true;
    fprintf(stderr, "%sthe coordinator at %s does not answer: looking for it for %lld s\n",
            isatty(STDERR_FILENO) ? "\n" : "", link_endpoint(client->link),
            (long long)client->later_ms / 1000);
}

void client_set_patience(struct client *client, int64_t first_ms, int64_t later_ms)
{
    client->first_ms = first_ms;
    client->later_ms = later_ms;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    /* Nobody is there to be told otherwise. One that is lost costs the coordinator a lease, so
     * nobody waits for its acknowledgement. */
    if (client->link && client->welcome)
        link_send(client->link, 0, FRAME_GOODBYE, NULL);
    link_close(client->link);
    free(client);
}

void client_send(struct client *client, enum frame_type type, const ProtobufCMessage *message)
{
    link_send(client->link, 0, type, message);
}

static void beat(struct client *client, int64_t now_ms)
{
    Mr__Heartbeat heartbeat = MR__HEARTBEAT__INIT;

    if (!client->welcome || now_ms - client->beaten_ms < client->heartbeat_ms)
        return;
    client->beaten_ms = now_ms;
    heartbeat.sent_ms = (uint64_t)now_ms;
    link_send_once(client->link, 0, FRAME_HEARTBEAT, &heartbeat.base);
}

/* What is between client and coordinator alone; true when the message was such. */
static bool keep_house(struct client *client, enum frame_type type,
                       const ProtobufCMessage *message)
{
    if (type == FRAME_WELCOME) {
        client->welcome = client->known = true;
        if (((const Mr__Welcome *)message)->heartbeat_ms)
            client->heartbeat_ms = ((const Mr__Welcome *)message)->heartbeat_ms;
        return true;
    }
    return type == FRAME_HEARTBEAT_ACK;
}

/* Nothing is there to be read: -1 when nothing will come, or it took too long. */
static int judge_silence(struct client *client, struct error *err)
{
    enum link_reach reach = link_reach(client->link);
    bool given_up =
        clock_ms() - client->heard_ms > (client->welcome ? client->later_ms : client->first_ms);

    if (reach != LINK_DENIED && reach != LINK_MISMATCH && !given_up)
        return 0;
    if ((reach != LINK_BROKEN || !client->known) && link_objection(client->link, err))
        return -1;
    return error_set(err, ERROR_UNREACHABLE,
                     client->welcome ? "lost the coordinator at %s"
                                     : "no coordinator answers at %s",
                     link_endpoint(client->link));
}

/* 1 with a message for the caller, 0 when there is none now, -1. */
static int take(struct client *client, enum frame_type *ret_type,
                ProtobufCMessage **ret_message, struct error *err)
{
    uint64_t peer;

    while (link_receive(client->link, &peer, ret_type, ret_message)) {
        client->heard_ms = clock_ms();
        client->said = false;
        if (*ret_type == FRAME_REFUSED) {
            const Mr__Error *error = ((const Mr__Refused *)*ret_message)->error;

            if (error && error->text.len)
                error_set(err, ERROR_REFUSED, "%.*s", (int)error->text.len,
                          (const char *)error->text.data);
            else
                error_set(err, ERROR_REFUSED, "the coordinator at %s refuses without a word",
                          link_endpoint(client->link));
            frame_free(*ret_message);
            return -1;
        }
        if (*ret_type == FRAME_FENCED) {
            frame_free(*ret_message);
            *ret_message = NULL;
            if (client->keeps)
                return begin_anew(client, err) ? -1 : 1;
            return error_set(err, ERROR_UNREACHABLE, "the coordinator at %s was started anew",
                             link_endpoint(client->link));
        }
        if (!keep_house(client, *ret_type, *ret_message))
            return 1;
        frame_free(*ret_message);
    }
    return judge_silence(client, err);
}

int client_receive(struct client *client, const int *fds, int n, long timeout_ms,
                   enum frame_type *ret_type, ProtobufCMessage **ret_message, struct error *err)
{
    struct link_event events[1 + FDS_MAX] = {{.link = client->link}};
    int64_t end_ms = timeout_ms < 0 ? INT64_MAX : clock_ms() + timeout_ms;

    check(n <= FDS_MAX);
    for (int i = 0; i < n; i++)
        events[1 + i].fd = fds[i];
    for (;;) {
        int result = take(client, ret_type, ret_message, err);
        int64_t now_ms = clock_ms();
        bool ready = false;

        if (result)
            return result;
        for (int i = 0; i < n; i++)
            ready = ready || events[1 + i].ready;
        if (ready || now_ms >= end_ms)
            return 0;
        beat(client, now_ms);
        tell_of_silence(client);
        link_wait(events, 1 + n,
                  link_sooner(link_sooner(link_tend(client->link), client->heartbeat_ms),
                              end_ms == INT64_MAX ? -1 : (long)(end_ms - now_ms)));
    }
}

int client_ask(struct client *client, enum frame_type type, const ProtobufCMessage *question,
               enum frame_type wanted, ProtobufCMessage **ret_answer, struct error *err)
{
    client_send(client, type, question);
    for (;;) {
        ProtobufCMessage *message;
        enum frame_type got;
        int result = client_receive(client, NULL, 0, -1, &got, &message, err);

        if (result < 0)
            return -1;
        if (got == FRAME_REPLY && ((const Mr__Reply *)message)->error) {
            const Mr__Error *error = ((const Mr__Reply *)message)->error;

            error_set(err,
                      error->code && error->code < ERROR_CODES ? (enum error_code)error->code
                                                               : ERROR_INTERNAL,
                      "%.*s", (int)error->text.len, (const char *)error->text.data);
            frame_free(message);
            return -1;
        }
        if (got == wanted) {
            *ret_answer = message;
            return 0;
        }
        frame_free(message);
    }
}
