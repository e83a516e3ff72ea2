#include "coordinator/http/courier.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "wire/hello.h"
#include "wire/link.h"

/* Answers come in the order of the questions: one that came too late is still waited for, and
 * dropped. */
struct question {
    Mr__Query query;
    courier_done *done; /* NULL: given up */
    void *context;
    int64_t until_ms;
};

struct courier {
    void *context; /* of links */
    char *endpoint;
    struct courier_hooks hooks;
    int wake;
    pthread_t thread;
    pthread_mutex_t lock;                     /* of what follows, down to the next comment */
    struct question asked[COURIER_ASKED_MAX]; /* a ring */
    size_t first, count;
    size_t sent; /* of them, the first ones */
    bool closing;
    /* The thread's own. */
    struct link *link;
    bool welcome;
    int64_t beat_ms, beaten_ms, ticked_ms;
};

static struct question *question_at(struct courier *courier, size_t i)
{
    return &courier->asked[(courier->first + i) % COURIER_ASKED_MAX];
}

static void wake(struct courier *courier)
{
    uint64_t one = 1;

    check(write(courier->wake, &one, sizeof one) == sizeof one);
}

bool courier_ask(struct courier *courier, const Mr__Query *query, courier_done *done,
                 void *context)
{
    bool taken;

    pthread_mutex_lock(&courier->lock);
    taken = !courier->closing && courier->count < COURIER_ASKED_MAX;
    if (taken)
        *question_at(courier, courier->count++) =
            (struct question){*query, done, context, clock_ms() + COURIER_PATIENCE_MS};
    pthread_mutex_unlock(&courier->lock);
    if (taken)
        wake(courier);
    return taken;
}

/* Takes the oldest question away; *ret.done is NULL if nobody waits for it. */
static bool take_first(struct courier *courier, struct question *ret)
{
    bool taken;

    pthread_mutex_lock(&courier->lock);
    taken = courier->count > 0;
    if (taken) {
        *ret = *question_at(courier, 0);
        courier->first = (courier->first + 1) % COURIER_ASKED_MAX;
        courier->count--;
        courier->sent -= courier->sent > 0;
    }
    pthread_mutex_unlock(&courier->lock);
    return taken;
}

static void answer_first(struct courier *courier, enum frame_type type,
                         const ProtobufCMessage *answer)
{
    struct question question;

    if (take_first(courier, &question) && question.done)
        question.done(question.context, type, answer);
}

static void send_questions(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    for (; courier->welcome && courier->sent < courier->count; courier->sent++)
        link_send(courier->link, 0, FRAME_QUERY,
                  &question_at(courier, courier->sent)->query.base);
    pthread_mutex_unlock(&courier->lock);
}

/* Gives up what has waited for too long; returns in how many milliseconds the next one has. */
static long give_up(struct courier *courier)
{
    int64_t now_ms = clock_ms();
    long next = -1;

    for (size_t i = 0;; i++) {
        struct question question = {.done = NULL};
        bool more;

        pthread_mutex_lock(&courier->lock);
        more = i < courier->count;
        if (more && question_at(courier, i)->done) {
            if (question_at(courier, i)->until_ms <= now_ms) {
                question = *question_at(courier, i);
                question_at(courier, i)->done = NULL;
            } else if (next < 0) {
                next = (long)(question_at(courier, i)->until_ms - now_ms);
            }
        }
        pthread_mutex_unlock(&courier->lock);
        if (!more)
            return next;
        if (question.done)
            question.done(question.context, FRAME_REPLY, NULL);
    }
}

static int begin(struct courier *courier, struct error *err)
{
    Mr__Hello hello;

    link_close(courier->link);
    courier->link = NULL;
    courier->welcome = false;
    if (link_connect(courier->context, courier->endpoint, &courier->link, err))
        return -1;
    hello_fill(&hello, MR__ROLE__CLIENT);
    link_send(courier->link, 0, FRAME_HELLO, &hello.base);
    courier->beaten_ms = clock_ms();
    return 0;
}

/* A session that is over takes with it what was asked in it. */
static void begin_anew(struct courier *courier)
{
    struct error err;
    size_t lost;

    pthread_mutex_lock(&courier->lock);
    lost = courier->sent;
    pthread_mutex_unlock(&courier->lock);
    while (lost--)
        answer_first(courier, FRAME_REPLY, NULL);
    check(!begin(courier, &err)); /* inproc: what listens once listens as long as we live */
}

static void take(struct courier *courier, enum frame_type type, const ProtobufCMessage *message)
{
    Mr__Query events = MR__QUERY__INIT;

    switch (type) {
    case FRAME_WELCOME:
        courier->welcome = true;
        courier->beat_ms = ((const Mr__Welcome *)message)->heartbeat_ms;
        events.question = MR__QUESTION__EVENTS;
        link_send(courier->link, 0, FRAME_QUERY, &events.base);
        break;
    case FRAME_EVENT:
        courier->hooks.event(courier->hooks.context, (const Mr__Event *)message);
        break;
    case FRAME_HEARTBEAT_ACK:
        break;
    default:
        answer_first(courier, type, message);
        break;
    }
}

static void receive(struct courier *courier)
{
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    for (int i = 0; i < 100 && link_receive(courier->link, &peer, &type, &message); i++) {
        if (type == FRAME_FENCED || type == FRAME_REFUSED) {
            frame_free(message);
            begin_anew(courier);
            return;
        }
        take(courier, type, message);
        frame_free(message);
    }
}

/* Whatever is due; returns for how long nothing is. */
static long tend(struct courier *courier)
{
    int64_t now_ms = clock_ms();
    Mr__Heartbeat beat = MR__HEARTBEAT__INIT;
    long wait = give_up(courier);

    if (now_ms - courier->beaten_ms >= courier->beat_ms) {
        courier->beaten_ms = now_ms;
        beat.sent_ms = (uint64_t)now_ms;
        link_send_once(courier->link, 0, FRAME_HEARTBEAT, &beat.base);
    }
    if (now_ms - courier->ticked_ms >= COURIER_TICK_MS) {
        courier->ticked_ms = now_ms;
        courier->hooks.tick(courier->hooks.context);
    }
    send_questions(courier);
    wait = link_sooner(wait, (long)(courier->ticked_ms + COURIER_TICK_MS - now_ms));
    wait = link_sooner(wait, (long)(courier->beaten_ms + courier->beat_ms - now_ms));
    return link_sooner(wait, link_tend(courier->link));
}

static bool is_closing(struct courier *courier)
{
    bool closing;

    pthread_mutex_lock(&courier->lock);
    closing = courier->closing;
    pthread_mutex_unlock(&courier->lock);
    return closing;
}

static void *run(void *context)
{
    struct courier *courier = context;

    while (!is_closing(courier)) {
        struct link_event events[2] = {{.link = courier->link}, {.fd = courier->wake}};
        uint64_t count;

        link_wait(events, 2, tend(courier));
        if (events[1].ready)
            check(read(courier->wake, &count, sizeof count) == sizeof count);
        if (events[0].ready)
            receive(courier);
    }
    link_send_once(courier->link, 0, FRAME_GOODBYE, NULL);
    return NULL;
}

void courier_free(struct courier *courier)
{
    if (!courier)
        return;
    link_close(courier->link);
    if (courier->wake >= 0)
        close(courier->wake);
    pthread_mutex_destroy(&courier->lock);
    free(courier->endpoint);
    free(courier);
}

int courier_open(void *context, const char *endpoint, const struct courier_hooks *hooks,
                 struct courier **ret, struct error *err)
{
    struct courier *courier = memory_zeroed(1, sizeof *courier);
    int problem;

    courier->context = context;
    courier->endpoint = memory_text(endpoint);
    courier->hooks = *hooks;
    courier->beat_ms = 1000;
    courier->ticked_ms = clock_ms();
    pthread_mutex_init(&courier->lock, NULL);
    courier->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (courier->wake < 0) {
        error_errno(err, ERROR_IO, "eventfd");
        courier_free(courier);
        return -1;
    }
    if (begin(courier, err)) {
        courier_free(courier);
        return -1;
    }
    problem = pthread_create(&courier->thread, NULL, run, courier);
    if (problem) {
        errno = problem;
        error_errno(err, ERROR_IO, "start a thread");
        courier_free(courier);
        return -1;
    }
    *ret = courier;
    return 0;
}

void courier_stop(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    courier->closing = true;
    pthread_mutex_unlock(&courier->lock);
    wake(courier);
    check(!pthread_join(courier->thread, NULL));
    while (courier->count)
        answer_first(courier, FRAME_REPLY, NULL);
}
