/* marram worker: the daemon that runs tasks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/resources.h"
#include "cli/daemon.h"
#include "cli/locate.h"
#include "cli/place.h"
#include "cli/sandbox.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/visit.h"
#include "wire/link.h"
#include "worker/agent/address.h"
#include "worker/agent/agent.h"

struct setup {
    struct daemon_options daemon;
    struct sandbox_options sandbox;
    struct place place;
    const char *listen, *advertise, *name_option, *scratch_option;
    uint64_t threads, memory, drain_timeout;
    bool direct_reads;
    char *name, *program, *folder;
    struct scratch scratch;
    int stop;
    struct keys *keys, keys_room; /* NULL: there are none */
    struct porter *porter;
    void *context;
};

static void add_options(void *into, struct option_table *table)
{
    struct setup *setup = into;
    const struct option_row rows[] = {
        {"listen", 0, OPTION_TEXT, "ENDPOINT", "where other workers fetch from it",
         &setup->listen},
        {"advertise", 0, OPTION_TEXT, "HOST", "the name or address by which they reach it",
         &setup->advertise, .unset = "that of --listen"},
        {"name", 0, OPTION_TEXT, "TEXT", "what to call it", &setup->name_option,
         .unset = "HOSTNAME-PID"},
        {"threads", 0, OPTION_COUNT, "N", "OpenMP threads", &setup->threads, 1, LIMIT_THREADS,
         .unset = "all processors"},
        {"memory", 0, OPTION_SIZE, "SIZE", "for all that it runs", &setup->memory,
         (uint64_t)8 << 20, .unset = "60 % of what there is"},
        {"scratch", 0, OPTION_TEXT, "DIR", "temporary files", &setup->scratch_option,
         .unset = "TMPDIR, else /tmp"},
        {"direct-reads", 0, OPTION_SWITCH, "on|off",
         "read what other workers made by its path where it is seen", &setup->direct_reads},
        {"drain-timeout", 0, OPTION_COUNT, "SECONDS", "for what runs when it is to leave",
         &setup->drain_timeout, 1, 86400},
    };

    setup->listen = "tcp://127.0.0.1:0";
    setup->direct_reads = true;
    setup->drain_timeout = 300;
    place_options(&setup->place, table);
    options_add(table, rows, sizeof rows / sizeof *rows);
    sandbox_options(&setup->sandbox, table);
    daemon_options(&setup->daemon, table);
}

static int check_advertise(const struct setup *setup, struct error *err)
{
    if (!address_is_host(setup->advertise))
        return error_set(err, ERROR_USAGE,
                         "--advertise '%s': a name or an IPv4 address is wanted, such as "
                         "10.0.0.2, without a port",
                         setup->advertise);
    if (strncmp(setup->listen, "tcp://", 6))
        return error_set(err, ERROR_USAGE, "--advertise needs a --listen tcp://ADDRESS:PORT");
    return 0;
}

/* Others are told this endpoint: it must lead somewhere. */
static int check_listen(const struct setup *setup, struct error *err)
{
    static const char *const wildcards[] = {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"};

    if (place_check_listen(setup->listen, err))
        return -1;
    if (setup->advertise)
        return check_advertise(setup, err);
    for (size_t i = 0; i < sizeof wildcards / sizeof *wildcards; i++)
        if (!strncmp(setup->listen, wildcards[i], strlen(wildcards[i])))
            return error_set(err, ERROR_USAGE,
                             "--listen %s: other workers are told this address, so name the "
                             "one by which they reach this machine, there or with --advertise",
                             setup->listen);
    return 0;
}

/* It is known by the same keys to the coordinator and to other workers. */
static int take_keys(struct setup *setup, struct error *err)
{
    int found = place_keys(&setup->place, KEY_WORKER, &setup->keys_room, err);

    if (found > 0)
        setup->keys = &setup->keys_room;
    if (found)
        return found < 0 ? -1 : 0;
    return place_keys_to_listen(setup->listen, NULL, KEY_WORKER, &setup->keys_room, err);
}

static int choose_name(struct setup *setup, struct error *err)
{
    char host[65] = "";

    if (setup->name_option && (!*setup->name_option || strlen(setup->name_option) > LIMIT_NAME))
        return error_set(err, ERROR_USAGE, "--name '%s': 1 to %d bytes are wanted",
                         setup->name_option, LIMIT_NAME);
    gethostname(host, sizeof host - 1);
    setup->name = setup->name_option ? memory_text(setup->name_option)
                                     : memory_format("%.40s-%d", host, (int)getpid());
    return 0;
}

static int prepare(struct setup *setup, struct error *err)
{
    cleanup_free char *base =
        setup->scratch_option ? locate_absolute(setup->scratch_option) : NULL;

    if (check_listen(setup, err) || take_keys(setup, err) || choose_name(setup, err) ||
        sandbox_export(&setup->sandbox, err))
        return -1;
    setup->program = locate_executor(err);
    if (!setup->program || daemon_start(&setup->daemon, &setup->stop, err) ||
        daemon_scratch(base, "marram-worker", &setup->scratch, err))
        return -1;
    setup->folder = memory_format("%s/worker", setup->scratch.path);
    setup->context = link_context_new();
    if (!setup->context)
        return error_errno(err, ERROR_IO, "set up ZeroMQ");
    return setup->keys ? porter_open(setup->context, &setup->porter, err) : 0;
}

static int work(struct setup *setup, struct error *err)
{
    struct agent_options options = {
        .endpoint = setup->place.endpoint,
        .listen = setup->listen,
        .advertise = setup->advertise,
        .threads = (uint32_t)(setup->threads ? setup->threads : (uint64_t)resources_threads()),
        .memory = setup->memory ? setup->memory : resources_memory() / 10 * 6,
        .direct_reads = setup->direct_reads,
        .far = !place_is_local(setup->listen),
        .keep_spare = true,
    };
    struct agent *agent;
    int result;

    if (prepare(setup, err))
        return -1;
    options.context = setup->context;
    options.keys = setup->keys;
    options.porter = setup->porter;
    options.name = setup->name;
    options.program = setup->program;
    options.scratch = setup->folder;
    if (agent_open(&options, &agent, err))
        return -1;
    result = agent_run(agent, setup->stop, err);
    /* The first signal asks it to leave in order; it may have been asked otherwise. */
    if (!result && signals_take(setup->stop)) {
        agent_drain(agent, (int64_t)setup->drain_timeout * 1000);
        result = agent_run(agent, setup->stop, err);
    }
    agent_close(agent);
    return result;
}

static int run(void *into, const struct option_list *words)
{
    struct setup *setup = into;
    struct error err;
    int status = 0;

    setup->scratch = SCRATCH_CLOSED;
    setup->stop = -1;
    if (visit_no_words(words, &err) || work(setup, &err))
        status = daemon_fail("worker", &err);
    porter_close(setup->porter);
    link_context_free(setup->context);
    keys_done(&setup->keys_room);
    scratch_close(&setup->scratch);
    memory_cleanup_close(&setup->stop);
    free(setup->name);
    free(setup->program);
    free(setup->folder);
    return status;
}

const struct verb verb_worker = {
    .name = "worker",
    .summary = "run a worker in the foreground",
    .usage = "[options]",
    .about = "Runs a worker in the foreground until SIGINT or SIGTERM: then it takes no more "
             "tasks, what runs\n"
             "ends, other workers take over its map outputs, and it leaves. A second signal "
             "ends it at once. It\n"
             "prints log lines on stderr. While no coordinator answers it keeps trying.",
    .notes =
        "A worker of another machine is given --listen tcp://ADDRESS:0 with an address at "
        "which the other\n"
        "machines reach it, and --keys DIR: the folder that 'marram keys' issued for it. One "
        "that has\n"
        "several addresses, or none of its own, listens on tcp://0.0.0.0:0 and names the right "
        "one with\n"
        "--advertise.\n\n"
        "Exit status: 0 ended by a signal, 1 it could not start, 2 wrong usage, 3 no "
        "coordinator\n"
        "answered when it was to leave, and map outputs are lost, 4 refused.",
    .size = sizeof(struct setup),
    .options = add_options,
    .run = run,
};
