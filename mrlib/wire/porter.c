#include "wire/porter.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "wire/callers.h"
#include "wire/monitor.h"
#include "wire/strangers.h"

enum {
    WATCHES = 8, /* guarded sockets of a process */
    TEND_MS = 1000,
    FRAMES = 7, /* of a question */
    FRAME_LONGEST = 256,
    EVENTS_A_TURN = 1000,
};

struct watch {
    void *socket; /* NULL: it is going to be closed, or there is none */
    void *reader; /* of the porter's thread; or NULL */
};

struct porter {
    void *context, *questions;
    pthread_t thread;
    int wake; /* eventfd */
    atomic_bool stop;
    atomic_ulong version, refused;
    pthread_mutex_t lock;             /* of what follows */
    struct porter_key *keys, *former; /* sorted; former ones are not let in any more */
    size_t key_count, former_count;
    struct watch watches[WATCHES];
    struct callers callers;
    struct strangers strangers; /* the thread's own, as are these: */
    struct monitor_failure failure;
};

/* ---- The set ---------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct porter_key *)a)->key, ((const struct porter_key *)b)->key);
}

static const struct porter_key *find(const struct porter_key *keys, size_t n, const char *key)
{
    struct porter_key wanted;

    snprintf(wanted.key, KEY_TEXT, "%s", key);
    return n ? bsearch(&wanted, keys, n, sizeof *keys, compare) : NULL;
}

/* With the lock held: what was let in once and is not any more is remembered, so that he who
 * comes with it can be told from one who never was. */
static void remember_former(struct porter *porter, const struct porter_key *keys, size_t n)
{
    struct porter_key *former =
        memory_new((porter->key_count + porter->former_count + 1) * sizeof *former);
    size_t count = 0;

    for (size_t i = 0; i < porter->key_count; i++)
        if (!find(keys, n, porter->keys[i].key))
            former[count++] = porter->keys[i];
    for (size_t i = 0; i < porter->former_count; i++)
        if (!find(keys, n, porter->former[i].key) &&
            !find(porter->keys, porter->key_count, porter->former[i].key))
            former[count++] = porter->former[i];
    qsort(former, count, sizeof *former, compare);
    free(porter->former);
    porter->former = former;
    porter->former_count = count;
}

void porter_admit(struct porter *porter, const struct porter_key *keys, size_t n)
{
    struct porter_key *copy = memory_new((n + 1) * sizeof *copy);

    if (n)
        memcpy(copy, keys, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, compare);
    pthread_mutex_lock(&porter->lock);
    remember_former(porter, copy, n);
    free(porter->keys);
    porter->keys = copy;
    porter->key_count = n;
    pthread_mutex_unlock(&porter->lock);
    atomic_fetch_add(&porter->version, 1);
}

uint64_t porter_version(const struct porter *porter)
{
    return atomic_load(&porter->version);
}

bool porter_admits(struct porter *porter, const char *key, struct porter_key *ret)
{
    const struct porter_key *found;

    pthread_mutex_lock(&porter->lock);
    found = find(porter->keys, porter->key_count, key);
    if (found && ret)
        *ret = *found;
    pthread_mutex_unlock(&porter->lock);
    return found;
}

uint64_t porter_refused(const struct porter *porter)
{
    return atomic_load(&porter->refused);
}

/* ---- Questions -------------------------------------------------------------------------- */

struct question {
    char id[FRAME_LONGEST], address[FRAME_LONGEST], mechanism[FRAME_LONGEST];
    size_t id_size;
    uint8_t key[KEY_BYTES];
    bool good;
};

static void copy_text(char to[FRAME_LONGEST], const void *from, size_t size)
{
    memcpy(to, from, size);
    to[size] = '\0';
}

/* Version, id, domain, address, identity, mechanism, key. The library alone asks, but what it
 * repeats comes from strangers. */
static void take_frame(struct question *question, int index, const void *data, size_t size)
{
    if (size >= FRAME_LONGEST) {
        question->good = false;
    } else if (index == 0) {
        question->good = size == 3 && !memcmp(data, "1.0", 3);
    } else if (index == 1) {
        memcpy(question->id, data, size);
        question->id_size = size;
    } else if (index == 3) {
        copy_text(question->address, data, size);
    } else if (index == 5) {
        copy_text(question->mechanism, data, size);
    } else if (index == 6) {
        question->good = question->good && size == KEY_BYTES;
        if (size == KEY_BYTES)
            memcpy(question->key, data, size);
    }
}

/* False when there is none. */
static bool read_question(void *socket, struct question *question)
{
    zmq_msg_t part;
    bool more = true;
    int index = 0;

    *question = (struct question){0};
    zmq_msg_init(&part);
    for (; more; index++) {
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0)
            break;
        more = zmq_msg_more(&part);
        take_frame(question, index, zmq_msg_data(&part), zmq_msg_size(&part));
    }
    zmq_msg_close(&part);
    question->good = question->good && index == FRAMES && !strcmp(question->mechanism, "CURVE");
    return index > 0;
}

/* Version, id, status, text, user, metadata. */
static void answer(void *socket, const struct question *question, const char *user)
{
    const char *status = user ? "200" : "400", *text = user ? "OK" : "not let in";

    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, question->id, question->id_size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, status, 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, text, strlen(text), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, user ? user : "", user ? strlen(user) : 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, "", 0, ZMQ_DONTWAIT);
}

/* With the lock held. */
static void turn_away(struct porter *porter, const struct question *question, const char *key)
{
    const struct porter_key *former = find(porter->former, porter->former_count, key);
    char why[96];

    if (former && *former->name)
        snprintf(why, sizeof why, "the key of '%s' was revoked", former->name);
    else
        snprintf(why, sizeof why, "%s",
                 former ? "its key was revoked" : "its key is none that is allowed");
    atomic_fetch_add(&porter->refused, 1);
    callers_turned_away(&porter->callers, question->address);
    strangers_tell(&porter->strangers, question->address, why, key, clock_ms());
}

static void answer_all(struct porter *porter)
{
    struct question question;

    while (read_question(porter->questions, &question)) {
        char key[KEY_TEXT] = "";
        bool admitted = false;

        if (question.good && zmq_z85_encode(key, question.key, KEY_BYTES)) {
            pthread_mutex_lock(&porter->lock);
            admitted = find(porter->keys, porter->key_count, key);
            if (!admitted)
                turn_away(porter, &question, key);
            pthread_mutex_unlock(&porter->lock);
        }
        answer(porter->questions, &question, admitted ? key : NULL);
    }
}

/* ---- Strangers -------------------------------------------------------------------------- */

enum {
    WATCHED = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
};

/* The library tells why, then that the connection is closed, one right behind the other. */
static void take_event(struct porter *porter, int event, uint32_t value)
{
    char address[CALLER_ADDRESS] = "";

    pthread_mutex_lock(&porter->lock);
    if (event == ZMQ_EVENT_ACCEPTED) {
        callers_came(&porter->callers, (int)value);
    } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        callers_succeeded(&porter->callers);
    } else if (event == ZMQ_EVENT_DISCONNECTED) {
        callers_went(&porter->callers, (int)value, porter->failure.event != 0, address);
        if (*address) {
            atomic_fetch_add(&porter->refused, 1);
            strangers_tell(&porter->strangers, address, monitor_reason(&porter->failure), "",
                           clock_ms());
        }
        porter->failure = (struct monitor_failure){0};
    } else {
        monitor_failed(&porter->failure, event, value);
    }
    pthread_mutex_unlock(&porter->lock);
}

void porter_known(struct porter *porter, int fd)
{
    pthread_mutex_lock(&porter->lock);
    callers_spoke(&porter->callers, fd);
    pthread_mutex_unlock(&porter->lock);
}

static void wake(struct porter *porter)
{
    uint64_t one = 1;

    check(write(porter->wake, &one, sizeof one) == sizeof one || errno == EAGAIN);
}

int porter_watch(struct porter *porter, void *socket, struct error *err)
{
    void *reader = monitor_open(porter->context, socket, WATCHED);
    bool placed = false;

    if (!reader)
        return error_set(err, ERROR_IO, "watch a socket: %s", zmq_strerror(errno));
    pthread_mutex_lock(&porter->lock);
    for (int i = 0; i < WATCHES && !placed; i++)
        if (!porter->watches[i].reader) {
            porter->watches[i] = (struct watch){socket, reader};
            placed = true;
        }
    pthread_mutex_unlock(&porter->lock);
    check(placed);
    wake(porter);
    return 0;
}

/* The reader goes by the porter's thread, which may be reading it just now. */
void porter_unwatch(struct porter *porter, void *socket)
{
    monitor_stop(socket);
    pthread_mutex_lock(&porter->lock);
    for (int i = 0; i < WATCHES; i++)
        if (porter->watches[i].socket == socket)
            porter->watches[i].socket = NULL;
    pthread_mutex_unlock(&porter->lock);
    wake(porter);
}

/* ---- The thread ------------------------------------------------------------------------- */

/* Closes what nobody needs any more, and fills in what to wait for: readers at `ret_readers`.
 * Returns how many. */
static int collect(struct porter *porter, zmq_pollitem_t *items, void **ret_readers)
{
    int n = 0;

    items[n++] = (zmq_pollitem_t){.fd = porter->wake, .events = ZMQ_POLLIN};
    items[n++] = (zmq_pollitem_t){.socket = porter->questions, .events = ZMQ_POLLIN};
    pthread_mutex_lock(&porter->lock);
    for (int i = 0; i < WATCHES; i++) {
        struct watch *watch = &porter->watches[i];

        if (watch->reader && !watch->socket) {
            monitor_close(watch->reader);
            watch->reader = NULL;
        }
        if (!watch->reader)
            continue;
        ret_readers[n] = watch->reader;
        items[n++] = (zmq_pollitem_t){.socket = watch->reader, .events = ZMQ_POLLIN};
    }
    pthread_mutex_unlock(&porter->lock);
    return n;
}

static void *run_porter(void *context)
{
    struct porter *porter = context;
    zmq_pollitem_t items[2 + WATCHES];
    void *readers[2 + WATCHES];
    uint64_t count;

    while (!atomic_load(&porter->stop)) {
        int n = collect(porter, items, readers);

        if (zmq_poll(items, n, TEND_MS) < 0)
            continue; /* a signal */
        if (items[0].revents)
            check(read(porter->wake, &count, sizeof count) == sizeof count || errno == EAGAIN);
        /* First who came, so that whoever is turned away has an address. */
        for (int i = 2; i < n; i++) {
            uint32_t value;
            int event;

            for (int k = 0; k < EVENTS_A_TURN && monitor_next(readers[i], &event, &value); k++)
                take_event(porter, event, value);
        }
        answer_all(porter);
        strangers_tend(&porter->strangers, clock_ms());
    }
    return NULL;
}

static void porter_free(struct porter *porter)
{
    for (int i = 0; i < WATCHES; i++)
        monitor_close(porter->watches[i].reader);
    if (porter->questions)
        zmq_close(porter->questions);
    if (porter->wake >= 0)
        close(porter->wake);
    callers_done(&porter->callers);
    free(porter->keys);
    free(porter->former);
    pthread_mutex_destroy(&porter->lock);
    free(porter);
}

int porter_open(void *context, struct porter **ret, struct error *err)
{
    struct porter *porter = memory_zeroed(1, sizeof *porter);
    int none = 0, problem;

    porter->context = context;
    pthread_mutex_init(&porter->lock, NULL);
    porter->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    porter->questions = zmq_socket(context, ZMQ_REP);
    if (porter->wake < 0 || !porter->questions ||
        zmq_setsockopt(porter->questions, ZMQ_LINGER, &none, sizeof none) ||
        zmq_bind(porter->questions, "inproc://zeromq.zap.01")) {
        error_set(err, ERROR_IO, "open a porter: %s", zmq_strerror(errno));
        porter_free(porter);
        return -1;
    }
    problem = pthread_create(&porter->thread, NULL, run_porter, porter);
    if (problem) {
        errno = problem;
        error_errno(err, ERROR_IO, "start a thread");
        porter_free(porter);
        return -1;
    }
    *ret = porter;
    return 0;
}

void porter_close(struct porter *porter)
{
    if (!porter)
        return;
    atomic_store(&porter->stop, true);
    wake(porter);
    check(!pthread_join(porter->thread, NULL));
    porter_free(porter);
}
