#include "worker/agent/take.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "record/run.h"
#include "wire/bytes.h"
#include "wire/link.h"

enum {
    CREDIT = 4 << 20,     /* bytes that the source may send ahead */
    GRANT_MIN = 1 << 20,  /* less credit is not worth a message */
    SILENT_MS = 5000,     /* then the source is asked once more over a new link */
    LOOK_MS = 500,        /* how often silence is looked for */
    COPY_BYTES = 8 << 20, /* before the next look at whether it is still wanted */
    TRIES = 2,
};

struct order {
    struct take_result result;
    char *source, *endpoint, *key;
    bool link_only;
};

struct take {
    pthread_t thread;
    void *context;
    const struct certificate *own; /* NULL: nobody has keys */
    bool direct;
    int wake, ready;      /* eventfds: for the thread, of it */
    _Atomic bool abandon; /* the order at hand */
    struct link *link;    /* the thread's: to ... */
    char *endpoint, *key; /* ... this source; or NULL */
    uint64_t requests;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t moved; /* an order came, or was done */
    bool stop;
    uint64_t working_on; /* job; 0: none */
    struct order *orders;
    size_t order_count, order_capacity;
    struct take_result *results;
    size_t result_count, result_capacity;
};

static void signal_event(int fd)
{
    uint64_t one = 1;

    check(write(fd, &one, sizeof one) == sizeof one || errno == EAGAIN);
}

static void clear_event(int fd)
{
    uint64_t count;

    check(read(fd, &count, sizeof count) == sizeof count || errno == EAGAIN);
}

static void free_order(struct order *order)
{
    free(order->result.path);
    free(order->source);
    free(order->endpoint);
    free(order->key);
}

/* ---- By path ------------------------------------------------------------------------------
 */

static int verify(const struct order *order, struct error *err)
{
    struct run_file *run;
    int result;

    if (run_open(order->result.path, order->result.run_id, &run, err))
        return -1;
    result = run_verify(run, err);
    run_close(run);
    return result;
}

static int create(const struct order *order, struct error *err)
{
    int fd = open(order->result.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    return fd < 0 ? error_errno(err, ERROR_IO, "create '%s'", order->result.path) : fd;
}

static int write_all(int fd, const void *bytes, size_t size, const char *path,
                     struct error *err)
{
    for (const char *at = bytes; size;) {
        ssize_t n = write(fd, at, size);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "write '%s'", path);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static int abandoned(struct error *err)
{
    return error_set(err, ERROR_CANCELLED, "nobody wants it any more");
}

/* What copy_file_range does not do between these two: 1, 0 at the end, -1. */
static int copy_piece(int from, int to, const struct order *order, struct error *err)
{
    cleanup_free char *bytes = memory_new(COPY_BYTES);
    ssize_t n = read(from, bytes, COPY_BYTES);

    if (n < 0)
        return error_errno(err, ERROR_FETCH, "read '%s'", order->source);
    return write_all(to, bytes, (size_t)n, order->result.path, err) ? -1 : n > 0;
}

static int copy_all(struct take *take, int from, int to, const struct order *order,
                    struct error *err)
{
    bool by_kernel = true;

    for (;;) {
        ssize_t n;
        int more;

        if (take->abandon)
            return abandoned(err);
        n = by_kernel ? copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0) : -1;
        if (by_kernel && n < 0 && (errno == ENOSPC || errno == EDQUOT))
            return error_errno(err, ERROR_IO, "write '%s'", order->result.path);
        by_kernel = by_kernel && n > 0;
        if (by_kernel)
            continue;
        more = copy_piece(from, to, order, err);
        if (more <= 0)
            return more;
    }
}

static int copy_run(struct take *take, const struct order *order, struct error *err)
{
    cleanup_close int from = open(order->source, O_RDONLY | O_CLOEXEC);
    cleanup_close int to = -1;

    if (from < 0)
        return error_errno(err, ERROR_FETCH, "open '%s'", order->source);
    to = create(order, err);
    return to < 0 || copy_all(take, from, to, order, err) || verify(order, err) ? -1 : 0;
}

/* 1 when it is here, 0 when its path leads nowhere, -1. */
static int take_by_path(struct take *take, struct order *order, struct error *err)
{
    struct run_file *run;
    struct error ignored;

    if (!take->direct || run_open(order->source, order->result.run_id, &run, &ignored))
        return 0;
    run_close(run);
    order->result.way = TAKE_LINKED;
    if (!link(order->source, order->result.path)) {
        if (run_open(order->result.path, order->result.run_id, &run, err))
            return -1;
        run_close(run);
        return 1;
    }
    if (order->link_only)
        return error_set(err, ERROR_SPACE, "'%s' cannot be linked, and there is no room for it",
                         order->source);
    order->result.way = TAKE_COPIED;
    return copy_run(take, order, err) ? -1 : 1;
}

/* ---- Over the wire ------------------------------------------------------------------------
 */

static void hang_up(struct take *take)
{
    if (take->link) {
        link_send(take->link, 0, FRAME_GOODBYE, NULL);
        link_tend(take->link);
        link_close(take->link);
    }
    take->link = NULL;
    free(take->endpoint);
    free(take->key);
    take->endpoint = take->key = NULL;
}

static int call(struct take *take, const char *endpoint, const char *key, struct error *err)
{
    const struct link_guard guard = {take->own, NULL, key};

    if (take->own && !*key)
        return error_set(err, ERROR_FETCH, "nobody told its key");
    if (take->link && !strcmp(take->endpoint, endpoint) && !strcmp(take->key, key))
        return 0;
    hang_up(take);
    if (link_connect_guarded(take->context, endpoint, take->own ? &guard : NULL, &take->link,
                             err)) {
        err->code = ERROR_FETCH;
        return -1;
    }
    take->endpoint = memory_text(endpoint);
    take->key = memory_text(key);
    return 0;
}

/* A file on its way. */
struct fetching {
    const struct order *order;
    uint64_t request, received, granted;
    int64_t heard_ms;
    int file;
};

static void ask(struct take *take, struct fetching *fetching, bool first)
{
    const struct order *order = fetching->order;
    Mr__Fetch fetch = MR__FETCH__INIT;
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT, *outputs = &output;

    fetching->granted = fetching->received + CREDIT;
    fetch.request = fetching->request;
    fetch.credit = fetching->granted;
    if (first) {
        fetch.job = order->result.job;
        fetch.whole = true;
        output.task = order->result.task;
        output.attempt = order->result.attempt;
        output.run_id = order->result.run_id;
        output.path = bytes_of(order->source);
        fetch.outputs = &outputs;
        fetch.n_outputs = 1;
    }
    link_send(take->link, 0, FRAME_FETCH, &fetch.base);
}

/* Takes in a message: 1 when the file is whole, 0, -1. */
static int take_in(struct take *take, struct fetching *fetching, const Mr__Fetched *message,
                   struct error *err)
{
    if (message->request != fetching->request)
        return 0;
    fetching->heard_ms = clock_ms();
    if (message->error)
        return error_set(err, ERROR_FETCH, "%.*s", (int)message->error->text.len,
                         (const char *)message->error->text.data);
    fetching->received += message->data.len;
    if (fetching->received > fetching->granted)
        return error_set(err, ERROR_FETCH, "it sent more than it may");
    if (write_all(fetching->file, message->data.data, message->data.len,
                  fetching->order->result.path, err))
        return -1;
    if (!message->last && fetching->granted - fetching->received <= CREDIT - GRANT_MIN)
        ask(take, fetching, false);
    return message->last;
}

/* Takes in what came: 1 when the file is whole, 0, -1. */
static int receive(struct take *take, struct fetching *fetching, struct error *err)
{
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;
    int result = 0;

    while (!result && link_receive(take->link, &peer, &type, &message)) {
        if (type == FRAME_FETCHED)
            result = take_in(take, fetching, (const Mr__Fetched *)message, err);
        else if (type == FRAME_FENCED)
            result = error_set(err, ERROR_FETCH, "it does not know us any more");
        frame_free(message);
    }
    return result;
}

static int fetch_file(struct take *take, struct fetching *fetching, struct error *err)
{
    int result;

    ask(take, fetching, true);
    while (!(result = receive(take, fetching, err))) {
        struct link_event events[] = {{.link = take->link}, {.fd = take->wake}};
        long wait = link_tend(take->link);

        if (take->abandon)
            return abandoned(err);
        if (clock_ms() - fetching->heard_ms >= SILENT_MS)
            return error_set(err, ERROR_FETCH, "it does not answer");
        link_wait(events, 2, wait < 0 || wait > LOOK_MS ? LOOK_MS : wait);
        if (events[1].ready)
            clear_event(take->wake);
    }
    return result < 0 ? -1 : 0;
}

static int take_by_wire(struct take *take, struct order *order, struct error *err)
{
    struct fetching fetching = {
        .order = order, .request = ++take->requests, .heard_ms = clock_ms()};
    cleanup_close int file = -1;

    order->result.way = TAKE_FETCHED;
    if (order->link_only)
        return error_set(err, ERROR_SPACE, "there is no room for it");
    if (!*order->endpoint)
        return error_set(err, ERROR_FETCH, "'%s' cannot be read, and nobody sends it",
                         order->source);
    file = create(order, err);
    if (file < 0)
        return -1;
    fetching.file = file;
    if (call(take, order->endpoint, order->key, err) || fetch_file(take, &fetching, err)) {
        hang_up(take);
        return error_wrap(err, "fetch from %s", order->endpoint);
    }
    return verify(order, err);
}

/* ---- The thread ---------------------------------------------------------------------------
 */

static void take_one(struct take *take, struct order *order)
{
    struct take_result *result = &order->result;
    struct run_file *run;

    for (int i = 0; i < TRIES; i++) {
        int done;

        result->error.code = ERROR_NONE;
        unlink(result->path);
        done = take_by_path(take, order, &result->error);
        if (!done)
            done = take_by_wire(take, order, &result->error) ? -1 : 1;
        if (done > 0 && !run_open(result->path, result->run_id, &run, &result->error)) {
            result->size = run_file_size(run);
            run_close(run);
            return;
        }
        if (result->error.code == ERROR_SPACE || result->error.code == ERROR_CANCELLED)
            break;
    }
    unlink(result->path);
}

/* With the lock held. */
static void next_order(struct take *take, struct order *ret)
{
    *ret = take->orders[0];
    take->order_count--;
    memmove(take->orders, take->orders + 1, take->order_count * sizeof *take->orders);
    take->working_on = ret->result.job;
    take->abandon = false;
}

/* With the lock held. */
static void end_order(struct take *take, struct order *order)
{
    take->working_on = 0;
    if (take->abandon) {
        unlink(order->result.path);
    } else {
        memory_reserve(&take->results, &take->result_capacity, take->result_count + 1,
                       sizeof *take->results);
        take->results[take->result_count++] = order->result;
        order->result.path = NULL;
        signal_event(take->ready);
    }
    free_order(order);
    pthread_cond_broadcast(&take->moved);
}

static void *run_take(void *context)
{
    struct take *take = context;
    struct order order;

    pthread_mutex_lock(&take->lock);
    for (;;) {
        while (!take->stop && !take->order_count)
            pthread_cond_wait(&take->moved, &take->lock);
        if (take->stop)
            break;
        next_order(take, &order);
        pthread_mutex_unlock(&take->lock);
        take_one(take, &order);
        pthread_mutex_lock(&take->lock);
        end_order(take, &order);
        if (!take->order_count) {
            pthread_mutex_unlock(&take->lock);
            hang_up(take);
            pthread_mutex_lock(&take->lock);
        }
    }
    pthread_mutex_unlock(&take->lock);
    hang_up(take);
    return NULL;
}

static void take_free(struct take *take)
{
    for (size_t i = 0; i < take->order_count; i++)
        free_order(&take->orders[i]);
    for (size_t i = 0; i < take->result_count; i++) {
        if (!take->results[i].error.code)
            unlink(take->results[i].path);
        free(take->results[i].path);
    }
    free(take->orders);
    free(take->results);
    pthread_cond_destroy(&take->moved);
    pthread_mutex_destroy(&take->lock);
    if (take->wake >= 0)
        close(take->wake);
    if (take->ready >= 0)
        close(take->ready);
    free(take);
}

int take_open(void *context, const struct certificate *own, bool direct, struct take **ret,
              struct error *err)
{
    struct take *take = memory_zeroed(1, sizeof *take);
    int problem;

    take->context = context;
    take->own = own;
    take->direct = direct;
    pthread_mutex_init(&take->lock, NULL);
    pthread_cond_init(&take->moved, NULL);
    take->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    take->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (take->wake < 0 || take->ready < 0) {
        error_errno(err, ERROR_IO, "eventfd");
        take_free(take);
        return -1;
    }
    problem = pthread_create(&take->thread, NULL, run_take, take);
    if (problem) {
        errno = problem;
        error_errno(err, ERROR_IO, "start a thread");
        take_free(take);
        return -1;
    }
    *ret = take;
    return 0;
}

void take_close(struct take *take)
{
    if (!take)
        return;
    pthread_mutex_lock(&take->lock);
    take->stop = true;
    take->abandon = true;
    pthread_cond_broadcast(&take->moved);
    pthread_mutex_unlock(&take->lock);
    signal_event(take->wake);
    check(!pthread_join(take->thread, NULL));
    take_free(take);
}

int take_fd(const struct take *take)
{
    return take->ready;
}

void take_run(struct take *take, uint64_t job, const Mr__MapOutput *output, const char *target,
              bool link_only)
{
    struct order order = {.result = {.job = job,
                                     .task = output->task,
                                     .attempt = output->attempt,
                                     .run_id = output->run_id,
                                     .path = memory_text(target)},
                          .source = bytes_text(output->path),
                          .endpoint = bytes_text(output->endpoint),
                          .key = bytes_text(output->key),
                          .link_only = link_only};

    pthread_mutex_lock(&take->lock);
    memory_reserve(&take->orders, &take->order_capacity, take->order_count + 1,
                   sizeof *take->orders);
    take->orders[take->order_count++] = order;
    pthread_cond_broadcast(&take->moved);
    pthread_mutex_unlock(&take->lock);
}

bool take_next(struct take *take, struct take_result *ret)
{
    bool any;

    pthread_mutex_lock(&take->lock);
    any = take->result_count > 0;
    if (any) {
        *ret = take->results[0];
        take->result_count--;
        memmove(take->results, take->results + 1, take->result_count * sizeof *take->results);
    }
    if (!take->result_count)
        clear_event(take->ready);
    pthread_mutex_unlock(&take->lock);
    return any;
}

/* With the lock held. */
static void drop_waiting(struct take *take, uint64_t job)
{
    size_t kept = 0;

    for (size_t i = 0; i < take->order_count; i++)
        if (take->orders[i].result.job == job)
            free_order(&take->orders[i]);
        else
            take->orders[kept++] = take->orders[i];
    take->order_count = kept;
    kept = 0;
    for (size_t i = 0; i < take->result_count; i++) {
        struct take_result *result = &take->results[i];

        if (result->job != job) {
            take->results[kept++] = *result;
            continue;
        }
        if (!result->error.code)
            unlink(result->path);
        free(result->path);
    }
    take->result_count = kept;
}

void take_drop_job(struct take *take, uint64_t job)
{
    pthread_mutex_lock(&take->lock);
    drop_waiting(take, job);
    while (take->working_on == job) {
        take->abandon = true;
        signal_event(take->wake);
        pthread_cond_wait(&take->moved, &take->lock);
    }
    pthread_mutex_unlock(&take->lock);
}
