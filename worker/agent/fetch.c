#include "worker/agent/fetch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "worker/agent/pull.h"

enum { PATH_LONGEST = 4096, ENDPOINT_LONGEST = 255 };

/* For the thread: a part, or an endpoint that is gone, or what is to be dropped. */
struct command {
    struct pull_part *part; /* or NULL */
    char *gone;             /* or NULL */
    struct pull_scope drop;
};

static bool is_drop(const struct command *command)
{
    return !command->part && !command->gone;
}

struct fetch {
    pthread_t thread;
    int wake, ready; /* eventfds */
    struct pull *pull;
    struct pull_budget ahead;
    pthread_mutex_t lock; /* of what follows */
    bool stop;
    struct command *commands;
    size_t command_count, command_capacity;
    struct fetch_result *results;
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

/* With the lock held. Takes the part's path, and what it holds of the budget. */
static void put_result(struct fetch *fetch, struct pull_part *part, const struct error *error,
                       uint32_t lost_map)
{
    struct fetch_result *result;

    memory_reserve(&fetch->results, &fetch->result_capacity, fetch->result_count + 1,
                   sizeof *fetch->results);
    result = &fetch->results[fetch->result_count++];
    *result = (struct fetch_result){.job = part->wanted->job,
                                    .part = part->wanted->part,
                                    .path = part->path,
                                    .lost_map = lost_map,
                                    .ahead = part->ahead};
    if (error) {
        result->error = *error;
        fetch->ahead.held -= part->held;
    } else {
        result->bytes = part->held;
    }
    part->held = 0;
    part->path = NULL;
    signal_event(fetch->ready);
}

/* The thread's: a part that was dropped after the thread had looked last is no result. */
static void deliver(void *context, struct pull_part *part, const struct error *error,
                    uint32_t lost_map)
{
    struct fetch *fetch = context;
    bool dropped = false;

    pthread_mutex_lock(&fetch->lock);
    for (size_t i = 0; i < fetch->command_count; i++)
        dropped = dropped || (is_drop(&fetch->commands[i]) &&
                              pull_covers(&fetch->commands[i].drop, part->wanted->job,
                                          part->wanted->part, part->ahead));
    if (!dropped)
        put_result(fetch, part, error, lost_map);
    else if (!error)
        unlink(part->path);
    pthread_mutex_unlock(&fetch->lock);
    pull_part_free(part);
}

/* The thread's: does what was asked; false when it was to stop. */
static bool obey(struct fetch *fetch)
{
    struct command *commands;
    size_t count;
    bool stop;

    clear_event(fetch->wake);
    pthread_mutex_lock(&fetch->lock);
    commands = fetch->commands;
    count = fetch->command_count;
    stop = fetch->stop;
    /* Drops are looked for by deliver, which this thread alone calls. */
    fetch->commands = NULL;
    fetch->command_count = fetch->command_capacity = 0;
    pthread_mutex_unlock(&fetch->lock);
    for (size_t i = 0; i < count; i++)
        if (is_drop(&commands[i]))
            pull_drop(fetch->pull, &commands[i].drop);
    for (size_t i = 0; i < count; i++)
        if (commands[i].part)
            pull_add(fetch->pull, commands[i].part);
        else if (commands[i].gone)
            pull_gone(fetch->pull, commands[i].gone);
    for (size_t i = 0; i < count; i++)
        free(commands[i].gone);
    free(commands);
    return !stop;
}

static void *run_fetch(void *context)
{
    struct fetch *fetch = context;
    struct link_event events[PULL_LINKS + 1];

    while (obey(fetch)) {
        long wait = pull_tend(fetch->pull);
        int count = pull_events(fetch->pull, events);

        events[count] = (struct link_event){.fd = fetch->wake};
        link_wait(events, count + 1, wait);
        pull_receive(fetch->pull);
    }
    return NULL;
}

static void fetch_free(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->command_count; i++) {
        pull_part_free(fetch->commands[i].part);
        free(fetch->commands[i].gone);
    }
    free(fetch->commands);
    for (size_t i = 0; i < fetch->result_count; i++) {
        if (!fetch->results[i].error.code)
            unlink(fetch->results[i].path);
        free(fetch->results[i].path);
    }
    free(fetch->results);
    pull_free(fetch->pull);
    pthread_mutex_destroy(&fetch->lock);
    if (fetch->wake >= 0)
        close(fetch->wake);
    if (fetch->ready >= 0)
        close(fetch->ready);
    free(fetch);
}

int fetch_open(void *context, const struct certificate *own, struct fetch **ret,
               struct error *err)
{
    struct fetch *fetch = memory_zeroed(1, sizeof *fetch);
    int problem;

    pthread_mutex_init(&fetch->lock, NULL);
    fetch->pull = pull_new(context, own, deliver, fetch);
    fetch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fetch->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fetch->wake < 0 || fetch->ready < 0) {
        error_errno(err, ERROR_IO, "eventfd");
        fetch_free(fetch);
        return -1;
    }
    problem = pthread_create(&fetch->thread, NULL, run_fetch, fetch);
    if (problem) {
        errno = problem;
        error_errno(err, ERROR_IO, "start a thread");
        fetch_free(fetch);
        return -1;
    }
    *ret = fetch;
    return 0;
}

void fetch_close(struct fetch *fetch)
{
    if (!fetch)
        return;
    pthread_mutex_lock(&fetch->lock);
    fetch->stop = true;
    pthread_mutex_unlock(&fetch->lock);
    signal_event(fetch->wake);
    check(!pthread_join(fetch->thread, NULL));
    fetch_free(fetch);
}

int fetch_fd(const struct fetch *fetch)
{
    return fetch->ready;
}

static Mr__PartWanted *copy_of(const Mr__PartWanted *wanted)
{
    size_t size = mr__part_wanted__get_packed_size(wanted);
    cleanup_free uint8_t *bytes = memory_new(size);
    Mr__PartWanted *copy;

    mr__part_wanted__pack(wanted, bytes);
    copy = mr__part_wanted__unpack(NULL, size, bytes);
    check(copy);
    return copy;
}

/* It comes from an executor, where user code runs. */
static int check_wanted(const Mr__PartWanted *wanted, struct error *err)
{
    for (size_t i = 0; i < wanted->n_outputs; i++)
        if (!wanted->outputs[i]->endpoint.len ||
            wanted->outputs[i]->endpoint.len > ENDPOINT_LONGEST ||
            wanted->outputs[i]->path.len > PATH_LONGEST)
            return error_set(err, ERROR_INTERNAL,
                             "an endpoint or a path of map task %u makes no sense",
                             wanted->outputs[i]->task);
    return 0;
}

static uint64_t id_of(const Mr__PartWanted *wanted)
{
    cleanup_free uint64_t *ids = memory_new(wanted->n_outputs * sizeof *ids);

    for (size_t i = 0; i < wanted->n_outputs; i++)
        ids[i] = wanted->outputs[i]->run_id;
    return bundle_id(ids, wanted->n_outputs);
}

static void add_part(struct fetch *fetch, const Mr__PartWanted *wanted, const char *bundle_path,
                     struct pull_budget *ahead)
{
    struct pull_part *part = memory_zeroed(1, sizeof *part);
    struct error err;
    int result;

    part->wanted = copy_of(wanted);
    part->path = memory_text(bundle_path);
    part->ahead = ahead;
    result = check_wanted(wanted, &err);
    if (!result)
        result = bundle_create(bundle_path, wanted->part, id_of(wanted), &part->bundle, &err);
    pthread_mutex_lock(&fetch->lock);
    if (result) {
        put_result(fetch, part, &err, 0);
    } else {
        memory_reserve(&fetch->commands, &fetch->command_capacity, fetch->command_count + 1,
                       sizeof *fetch->commands);
        fetch->commands[fetch->command_count++] = (struct command){.part = part};
    }
    pthread_mutex_unlock(&fetch->lock);
    if (result)
        pull_part_free(part);
    else
        signal_event(fetch->wake);
}

void fetch_part(struct fetch *fetch, const Mr__PartWanted *wanted, const char *bundle_path)
{
    add_part(fetch, wanted, bundle_path, NULL);
}

void fetch_ahead(struct fetch *fetch, const Mr__PartWanted *wanted, const char *bundle_path)
{
    add_part(fetch, wanted, bundle_path, &fetch->ahead);
}

void fetch_ahead_limit(struct fetch *fetch, uint64_t bytes)
{
    fetch->ahead.limit = bytes;
}

uint64_t fetch_ahead_held(const struct fetch *fetch)
{
    return fetch->ahead.held;
}

void fetch_ahead_return(struct fetch *fetch, uint64_t bytes)
{
    fetch->ahead.held -= bytes;
}

bool fetch_take(struct fetch *fetch, struct fetch_result *ret)
{
    bool any;

    pthread_mutex_lock(&fetch->lock);
    any = fetch->result_count > 0;
    if (any) {
        *ret = fetch->results[0];
        fetch->result_count--;
        memmove(fetch->results, fetch->results + 1,
                fetch->result_count * sizeof *fetch->results);
    }
    if (!fetch->result_count)
        clear_event(fetch->ready);
    pthread_mutex_unlock(&fetch->lock);
    return any;
}

/* With the lock held: what the thread has not seen yet, and what it is done with. */
static void drop_waiting(struct fetch *fetch, const struct pull_scope *scope)
{
    size_t kept = 0;

    for (size_t i = 0; i < fetch->command_count; i++) {
        struct command command = fetch->commands[i];

        if (command.part && pull_covers(scope, command.part->wanted->job,
                                        command.part->wanted->part, command.part->ahead))
            pull_part_free(command.part);
        else
            fetch->commands[kept++] = command;
    }
    fetch->command_count = kept;
    kept = 0;
    for (size_t i = 0; i < fetch->result_count; i++) {
        struct fetch_result *result = &fetch->results[i];

        if (!pull_covers(scope, result->job, result->part, result->ahead)) {
            fetch->results[kept++] = *result;
            continue;
        }
        if (!result->error.code)
            unlink(result->path);
        fetch->ahead.held -= result->bytes;
        free(result->path);
    }
    fetch->result_count = kept;
}

static void drop(struct fetch *fetch, const struct pull_scope *scope)
{
    pthread_mutex_lock(&fetch->lock);
    drop_waiting(fetch, scope);
    memory_reserve(&fetch->commands, &fetch->command_capacity, fetch->command_count + 1,
                   sizeof *fetch->commands);
    fetch->commands[fetch->command_count++] = (struct command){.drop = *scope};
    pthread_mutex_unlock(&fetch->lock);
    signal_event(fetch->wake);
}

void fetch_gone(struct fetch *fetch, const char *endpoint)
{
    pthread_mutex_lock(&fetch->lock);
    memory_reserve(&fetch->commands, &fetch->command_capacity, fetch->command_count + 1,
                   sizeof *fetch->commands);
    fetch->commands[fetch->command_count++] = (struct command){.gone = memory_text(endpoint)};
    pthread_mutex_unlock(&fetch->lock);
    signal_event(fetch->wake);
}

void fetch_drop_job(struct fetch *fetch, uint64_t job)
{
    drop(fetch, &(struct pull_scope){.job = job, .what = PULL_ALL});
}

void fetch_drop_waited(struct fetch *fetch, uint64_t job)
{
    drop(fetch, &(struct pull_scope){.job = job, .what = PULL_WAITED});
}

void fetch_drop_ahead(struct fetch *fetch, uint64_t job, uint32_t part)
{
    drop(fetch, &(struct pull_scope){.job = job, .what = PULL_AHEAD, .part = part});
}
