/* marram coordinator: the daemon that takes jobs and hands out their tasks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/check_journal.h"
#include "cli/client.h"
#include "cli/coordinator_http.h"
#include "cli/daemon.h"
#include "cli/locate.h"
#include "cli/place.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "coordinator/journal.h"
#include "coordinator/serve.h"
#include "store/tree.h"

enum { FILES_LEAST = 1024 };

struct setup {
    struct daemon_options daemon;
    struct coordinator_http http;
    const char *listen, *keys_option, *state_option, *check;
    uint64_t heartbeat_ms, lease_s, retained, remembered, max_running;
    struct scratch scratch; /* when no state folder was given */
    char *state;
    int lock, stop, hangups;
    struct keys *keys, keys_room; /* NULL: there are none */
    struct porter *porter;
    void *context;
    struct coordinator *coordinator;
};

static void add_options(void *into, struct option_table *table)
{
    struct setup *setup = into;
    const struct option_row rows[] = {
        {"listen", 0, OPTION_TEXT, "ENDPOINT", "where it is to be found; port 0: any",
         &setup->listen},
        place_keys_row(&setup->keys_option),
        {"state", 0, OPTION_TEXT, "DIR", "what it keeps", &setup->state_option,
         .unset = "a temporary folder"},
        {"heartbeat", 0, OPTION_COUNT, "MS", "how often workers say that they live",
         &setup->heartbeat_ms, 10, 60000},
        {"lease", 0, OPTION_COUNT, "SECONDS", "who says nothing for so long is lost",
         &setup->lease_s, 1, 3600},
        {"retain", 0, OPTION_COUNT, "N", "finished jobs that it has in memory",
         &setup->retained, 0, 100000},
        {"max-running", 0, OPTION_COUNT, "N", "jobs that run at once; the others wait",
         &setup->max_running, 1, 1000},
        {"history", 0, OPTION_COUNT, "N", "finished jobs in STATE/history.sqlite",
         &setup->remembered, 0, 10000000},
        {"check-journal", 0, OPTION_TEXT, "DIR",
         "only say whether the journal in this state folder is good", &setup->check,
         .once = true},
    };

    setup->listen = DEFAULT_COORDINATOR;
    setup->heartbeat_ms = DEFAULT_HEARTBEAT_MS;
    setup->lease_s = DEFAULT_LEASE_MS / 1000;
    setup->retained = DEFAULT_RETAINED;
    setup->remembered = DEFAULT_REMEMBERED;
    setup->max_running = DEFAULT_RUNNING;
    options_add(table, rows, sizeof rows / sizeof *rows);
    coordinator_http_options(&setup->http, table);
    daemon_options(&setup->daemon, table);
}

static int take_keys(struct setup *setup, struct error *err)
{
    int found = place_keys_to_listen(setup->listen, setup->keys_option, KEY_COORDINATOR,
                                     &setup->keys_room, err);

    if (found > 0) {
        setup->keys = &setup->keys_room;
        setup->hangups = signals_open_hangups(err);
        found = setup->hangups;
    }
    return found < 0 ? -1 : 0;
}

static int check_options(const struct setup *setup, struct error *err)
{
    if (setup->lease_s * 1000 < 2 * setup->heartbeat_ms)
        return error_set(
            err, ERROR_USAGE, "--lease %llu: at least two heartbeats of %llu ms must fit",
            (unsigned long long)setup->lease_s, (unsigned long long)setup->heartbeat_ms);
    if (daemon_files_max() < FILES_LEAST)
        return error_set(err, ERROR_IO,
                         "the hard limit of open files (RLIMIT_NOFILE, 'ulimit -Hn') is %lu: "
                         "at least %d are needed",
                         daemon_files_max(), FILES_LEAST);
    return 0;
}

static int open_state(struct setup *setup, struct error *err)
{
    cleanup_free char *made = NULL;

    if (!setup->state_option) {
        if (daemon_scratch(NULL, "marram-coordinator", &setup->scratch, err))
            return -1;
        setup->state = memory_text(setup->scratch.path);
        return 0;
    }
    setup->state = locate_absolute(setup->state_option);
    if (tree_make(setup->state, &made, err))
        return -1;
    setup->lock = open(setup->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (setup->lock < 0)
        return error_errno(err, ERROR_IO, "open folder '%s'", setup->state);
    if (flock(setup->lock, LOCK_EX | LOCK_NB)) {
        long holder = journal_holder(setup->state);

        return error_set(err, ERROR_IO,
                         holder ? "--state %s: another coordinator uses it (process %ld)"
                                : "--state %s: another coordinator uses it",
                         setup->state, holder);
    }
    return 0;
}

/* Whoever chose port 0 learns the endpoint from there, all of it or nothing. */
static int write_endpoint(const struct setup *setup, struct error *err)
{
    cleanup_free char *path = memory_format("%s/endpoint", setup->state);
    cleanup_free char *draft = memory_format("%s/endpoint.new", setup->state);
    FILE *file = fopen(draft, "we");
    bool good;

    if (!file)
        return error_errno(err, ERROR_IO, "write '%s'", draft);
    good = fprintf(file, "%s\n", serve_endpoint(setup->coordinator)) > 0;
    good = !fclose(file) && good;
    if (!good || rename(draft, path))
        return error_errno(err, ERROR_IO, "write '%s'", path);
    return 0;
}

static void remove_endpoint(const struct setup *setup)
{
    cleanup_free char *path = memory_format("%s/endpoint", setup->state);

    unlink(path);
}

static int serve(struct setup *setup, struct error *err)
{
    struct coordinator_options options = {
        .endpoint = setup->listen,
        .inside = COORDINATOR_INSIDE,
        .heartbeat_ms = (uint32_t)setup->heartbeat_ms,
        .lease_ms = (uint32_t)setup->lease_s * 1000,
        .journal = setup->state_option != NULL,
        .patient = true,
        .retained = (uint32_t)setup->retained,
        .remembered = (uint32_t)setup->remembered,
        .max_running = (uint32_t)setup->max_running,
    };

    int result;

    if (take_keys(setup, err) || check_options(setup, err) ||
        daemon_start(&setup->daemon, &setup->stop, err) || open_state(setup, err))
        return -1;
    setup->context = link_context_new();
    if (!setup->context)
        return error_errno(err, ERROR_IO, "set up ZeroMQ");
    if (setup->keys && porter_open(setup->context, &setup->porter, err))
        return -1;
    options.keys = setup->keys;
    options.porter = setup->porter;
    options.hangups = setup->hangups;
    options.context = setup->context;
    options.state = setup->state;
    if (serve_open(&options, &setup->coordinator, err) ||
        coordinator_http_open(&setup->http, setup->context, setup->state, err) ||
        write_endpoint(setup, err))
        return -1;
    result = serve_run(setup->coordinator, setup->stop, err);
    if (result)
        coordinator_http_fail(&setup->http, err, setup->stop);
    remove_endpoint(setup);
    return result;
}

static int run(void *into, const struct option_list *words)
{
    struct setup *setup = into;
    struct error err;
    int status = 0;

    if (setup->check)
        return check_journal(setup->check);
    setup->scratch = SCRATCH_CLOSED;
    setup->lock = setup->stop = setup->hangups = -1;
    if (visit_no_words(words, &err) || serve(setup, &err))
        status = daemon_fail("coordinator", &err);
    coordinator_http_close(&setup->http, setup->state);
    serve_close(setup->coordinator);
    porter_close(setup->porter);
    link_context_free(setup->context);
    keys_done(&setup->keys_room);
    scratch_close(&setup->scratch);
    memory_cleanup_close(&setup->lock);
    memory_cleanup_close(&setup->stop);
    memory_cleanup_close(&setup->hangups);
    free(setup->state);
    return status;
}

const struct verb verb_coordinator = {
    .name = "coordinator",
    .summary = "run a coordinator in the foreground",
    .usage = "[options]",
    .about =
        "Runs a coordinator in the foreground until SIGINT or SIGTERM. It prints log lines "
        "on stderr.",
    .notes = "The endpoint that it listens on is also written to the file 'endpoint' in the "
             "state folder,\n"
             "the address of HTTP to 'http'. With --keys, SIGHUP has it look at once whom the "
             "folder allows.\n\n"
             "Exit status: 0 ended by a signal, 1 it could not start, 2 wrong usage, 4 "
             "refused.",
    .size = sizeof(struct setup),
    .options = add_options,
    .run = run,
};
