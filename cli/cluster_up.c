/* marram cluster up: starts the processes and returns when all have found each other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/resources.h"
#include "cli/cluster.h"
#include "cli/daemon.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/visit.h"
#include "store/tree.h"
#include "wire/mr.pb-c.h"

enum { DEADLINE_MS = 20000, LOOK_MS = 10, ARGUMENTS = 16, INTERRUPTED = 130 };

struct up {
    const char *listen, *dir_option;
    uint64_t workers, threads, memory;
    struct cluster cluster;
    int signals;
    int64_t until_ms;
    int status; /* of a process that ended too early */
};

static int parse(struct up *up, struct option_list *words, int argc, char **argv)
{
    const struct option_row rows[] = {
        {"workers", 0, OPTION_COUNT, "N", "workers (default 2)", &up->workers, 1,
         LIMIT_WORKERS_OF_RUN},
        {"threads", 0, OPTION_COUNT, "N",
         "OpenMP threads of each worker (default: processors shared)", &up->threads, 1,
         LIMIT_THREADS},
        {"memory", 0, OPTION_SIZE, "SIZE", "memory of all workers together (default: 60 %)",
         &up->memory, (uint64_t)8 << 20},
        {"listen", 0, OPTION_TEXT, "ENDPOINT", "default " DEFAULT_COORDINATOR "; port 0: any",
         &up->listen},
        {"dir", 0, OPTION_TEXT, "DIR",
         "logs and state (default: ~/.local/state/marram/cluster)", &up->dir_option},
    };
    const struct option_table table = {
        "marram cluster up [options]",
        "Starts a coordinator and workers on this machine, in the background, and returns when "
        "all\n"
        "workers have joined. 'marram cluster down' ends them.",
        "With --listen tcp://127.0.0.1:0 the system chooses a port: 'marram cluster status' "
        "says which.\n"
        "Exit status: 0 it runs, 1 it could not start or runs already, 2 wrong usage, 4 "
        "refused.",
        rows, sizeof rows / sizeof *rows};

    return options_parse(&table, argc, argv, words);
}

/* The child: our own program by another name, with stdout and stderr in its log, in a session
 * of its own. It waits for a byte first, which says that its number was noted; if we die before
 * that, so does it, for nobody would find it any more. */
static void become(const char *log, char **argv, int gate)
{
    int null, file;
    sigset_t none;
    char byte;

    setsid();
    if (read(gate, &byte, 1) != 1)
        _exit(1);
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    file = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (null < 0 || file < 0 || chdir("/"))
        _exit(1);
    sigemptyset(&none);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    dup2(null, 0);
    dup2(file, 1);
    dup2(file, 2);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", argv);
    _exit(1);
}

/* Called while there are no threads. */
static int start(struct up *up, const char *name, char **argv, struct error *err)
{
    cleanup_free char *log = cluster_log(&up->cluster, name);
    int gate[2], result;
    pid_t pid;

    if (pipe2(gate, O_CLOEXEC))
        return error_errno(err, ERROR_IO, "pipe");
    pid = fork();
    if (!pid) {
        close(gate[1]);
        close(up->cluster.lock); /* it would stay locked after our death */
        become(log, argv, gate[0]);
    }
    close(gate[0]);
    result = pid < 0 ? error_errno(err, ERROR_IO, "start %s", name)
                     : cluster_add(&up->cluster, name, pid, err);
    if (!result && write(gate[1], "", 1) != 1)
        result = error_errno(err, ERROR_IO, "start %s", name);
    close(gate[1]);
    return result;
}

static int start_coordinator(struct up *up, struct error *err)
{
    cleanup_free char *state = memory_format("%s/state", up->cluster.dir);
    char *argv[ARGUMENTS] = {(char *)"marram-coordinator", (char *)"--listen",
                             (char *)(uintptr_t)up->listen, (char *)"--state", state};

    return start(up, "coordinator", argv, err);
}

static int start_worker(struct up *up, uint64_t number, struct error *err)
{
    cleanup_free char *name = memory_format("worker-%llu", (unsigned long long)number);
    cleanup_free char *threads = memory_format("%llu", (unsigned long long)up->threads);
    cleanup_free char *memory =
        memory_format("%llu", (unsigned long long)(up->memory / up->workers));
    char *argv[ARGUMENTS] = {(char *)"marram-worker",
                             (char *)"--coordinator",
                             up->cluster.endpoint,
                             (char *)"--name",
                             name,
                             (char *)"--threads",
                             threads,
                             (char *)"--memory",
                             memory};

    return start(up, name, argv, err);
}

/* The last line of a log that says something, without the name of the program before it. */
static void read_last_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;

    snprintf(line, size, "it said nothing");
    while (file && getline(&text, &room, file) > 0) {
        const char *start = text;

        text[strcspn(text, "\n")] = '\0';
        if (!strncmp(text, "marram ", 7) && strstr(text, ": "))
            start = strstr(text, ": ") + 2;
        if (*start)
            snprintf(line, size, "%s", start);
    }
    free(text);
    if (file)
        fclose(file);
}

/* Lets a moment pass. -1 when there is no hope: a process ended, time is up, a signal came. */
static int wait_a_moment(struct up *up, const char *what, struct error *err)
{
    struct pollfd signals = {up->signals, POLLIN, 0};

    for (size_t i = 0; i < up->cluster.count; i++) {
        const struct process *process = &up->cluster.processes[i];
        cleanup_free char *log = cluster_log(&up->cluster, process->name);
        char line[800];
        int status;

        if (waitpid(process->pid, &status, WNOHANG) != process->pid)
            continue;
        read_last_line(log, line, sizeof line);
        up->status = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
        return error_set(err, ERROR_IO, "the %s ended: %s", process->name, line);
    }
    if (clock_ms() > up->until_ms)
        return error_set(err, ERROR_IO, "%s within %d s (logs were in '%s')", what,
                         DEADLINE_MS / 1000, up->cluster.dir);
    if (poll(&signals, 1, LOOK_MS) == 1 && signals_take(up->signals)) {
        up->status = INTERRUPTED;
        return error_set(err, ERROR_CANCELLED, "interrupted: nothing was left running");
    }
    return 0;
}

/* The coordinator says what it listens on in a file of its state folder. */
static int await_endpoint(struct up *up, struct error *err)
{
    cleanup_free char *path = memory_format("%s/state/endpoint", up->cluster.dir);
    FILE *file;
    int n = 0;

    while (!(file = fopen(path, "re")))
        if (wait_a_moment(up, "the coordinator did not listen", err))
            return -1;
    if (fgets(up->cluster.endpoint, sizeof up->cluster.endpoint, file))
        n = (int)strcspn(up->cluster.endpoint, "\n");
    up->cluster.endpoint[n] = '\0';
    fclose(file);
    return cluster_save(&up->cluster, err);
}

static uint64_t count_joined(const struct up *up, const Mr__Workers *workers)
{
    uint64_t joined = 0;

    for (size_t i = 0; i < workers->n_workers; i++)
        for (size_t j = 1; j < up->cluster.count; j++)
            joined += workers->workers[i]->pid == (uint32_t)up->cluster.processes[j].pid;
    return joined;
}

static int await_workers(struct up *up, struct error *err)
{
    Mr__Query question = MR__QUERY__INIT;
    struct visit visit;
    uint64_t joined = 0;
    int result;

    question.question = MR__QUESTION__ALL_WORKERS;
    result = visit_open(&visit, up->cluster.endpoint, err);
    while (!result && joined < up->workers) {
        ProtobufCMessage *answer;

        result =
            client_ask(visit.client, FRAME_QUERY, &question.base, FRAME_WORKERS, &answer, err);
        if (result)
            break;
        joined = count_joined(up, (const Mr__Workers *)answer);
        frame_free(answer);
        if (joined < up->workers)
            result = wait_a_moment(up, "not all workers joined", err);
    }
    visit_close(&visit);
    return result;
}

static int bring_up(struct up *up, struct error *err)
{
    up->until_ms = clock_ms() + DEADLINE_MS;
    if (start_coordinator(up, err) || await_endpoint(up, err))
        return -1;
    for (uint64_t i = 1; i <= up->workers; i++)
        if (start_worker(up, i, err))
            return -1;
    return await_workers(up, err);
}

/* How the folder was given, for commands to type. */
static void say_next(const struct up *up)
{
    bool usual = !strcmp(up->cluster.endpoint, DEFAULT_COORDINATOR);
    cleanup_free char *dir = up->dir_option ? memory_format(" --dir %s", up->dir_option) : NULL;

    printf("%llu worker%s at %s, logs in %s\n\nNext:\n", (unsigned long long)up->workers,
           up->workers == 1 ? "" : "s", up->cluster.endpoint, up->cluster.dir);
    if (!usual)
        printf("  export MARRAM_COORDINATOR=%s\n", up->cluster.endpoint);
    printf("  marram submit wordcount -i /usr/share/common-licenses -o /tmp/words\n"
           "  marram cluster status%s\n  marram cluster down%s\n",
           dir ? dir : "", dir ? dir : "");
}

static bool any_lives(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (process_lives(&cluster->processes[i]))
            return true;
    return false;
}

static void fill_defaults(struct up *up)
{
    uint64_t processors = (uint64_t)resources_threads();

    if (!up->threads)
        up->threads = processors > up->workers ? processors / up->workers : 1;
    if (!up->memory)
        up->memory = resources_memory() / 10 * 6;
}

/* What stands against it, before anything is started. */
static int prepare(struct up *up, struct error *err)
{
    cleanup_free char *dir = cluster_dir(up->dir_option);
    int found;

    if (!daemon_is_local(up->listen) && !strncmp(up->listen, "tcp://", 6))
        return error_set(err, ERROR_REFUSED,
                         "--listen %s: a cluster of this machine listens on loopback; for "
                         "several machines start 'marram coordinator' and 'marram worker' by "
                         "hand",
                         up->listen);
    fill_defaults(up);
    if (up->memory / up->workers < (uint64_t)8 << 20)
        return error_set(err, ERROR_USAGE,
                         "--memory: at least 8 MiB for each worker is wanted");
    found = cluster_open(&up->cluster, dir, CLUSTER_MAKE, err);
    if (found < 0)
        return -1;
    if (any_lives(&up->cluster))
        return error_set(err, ERROR_JOB, "a cluster runs already: marram cluster status%s%s",
                         up->dir_option ? " --dir " : "", up->dir_option ? up->dir_option : "");
    if (!found && !tree_empty(dir))
        return error_set(err, ERROR_USAGE,
                         "--dir %s: it holds other things; a new or empty folder is wanted",
                         dir);
    if (found && cluster_clear(&up->cluster, err))
        return -1;
    /* From here on the folder is ours to clear, whatever happens to us. */
    cluster_close(&up->cluster);
    if (cluster_open(&up->cluster, dir, CLUSTER_MAKE, err) < 0 ||
        cluster_save(&up->cluster, err))
        return -1;
    up->signals = signals_open(err);
    return up->signals < 0 ? -1 : 0;
}

/* The exit status. */
static int up_or_nothing(struct up *up)
{
    struct error err, ignored;
    int status;

    if (prepare(up, &err))
        return cluster_fail("cluster up", &err);
    if (!bring_up(up, &err)) {
        say_next(up);
        return 0;
    }
    cluster_stop(&up->cluster);
    cluster_clear(&up->cluster, &ignored);
    status = cluster_fail("cluster up", &err);
    return up->status ? up->status : status;
}

int cluster_up(int argc, char **argv)
{
    struct up up = {
        .listen = DEFAULT_COORDINATOR, .workers = 2, .cluster = {.lock = -1}, .signals = -1};
    struct option_list words = {0};
    struct error err;
    int status = parse(&up, &words, argc, argv);

    if (!status)
        status = visit_no_words(&words, &err) ? cluster_fail("cluster up", &err)
                                              : up_or_nothing(&up);
    else
        status = status > 0 ? 0 : 2;
    cluster_close(&up.cluster);
    memory_cleanup_close(&up.signals);
    option_list_done(&words);
    return status;
}
