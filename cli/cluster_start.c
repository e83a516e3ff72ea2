/* Starting processes of a local cluster, and waiting until they are there. */
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
#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/place.h"
#include "cli/signals.h"
#include "cli/visit.h"
#include "wire/mr.pb-c.h"

enum { LOOK_MS = 10, INTERRUPTED = 130, WORKER_ARGUMENTS = 14 };

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

int cluster_start(struct cluster *cluster, const char *name, char **argv, struct error *err)
{
    cleanup_free char *log = cluster_log(cluster, name);
    int gate[2], result;
    pid_t pid;

    if (pipe2(gate, O_CLOEXEC))
        return error_errno(err, ERROR_IO, "pipe");
    pid = fork();
    if (!pid) {
        close(gate[1]);
        close(cluster->lock); /* it would stay locked after our death */
        become(log, argv, gate[0]);
    }
    close(gate[0]);
    result = pid < 0 ? error_errno(err, ERROR_IO, "start %s", name)
                     : cluster_add(cluster, name, pid, err);
    if (!result && write(gate[1], "", 1) != 1)
        result = error_errno(err, ERROR_IO, "start %s", name);
    close(gate[1]);
    return result;
}

int cluster_start_worker(struct cluster *cluster, uint64_t number, struct error *err)
{
    cleanup_free char *name = memory_format("worker-%llu", (unsigned long long)number);
    cleanup_free char *threads = memory_format("%llu", (unsigned long long)cluster->threads);
    cleanup_free char *memory = memory_format("%llu", (unsigned long long)cluster->memory);
    cleanup_free char *keys = cluster_keys(cluster);
    char *argv[WORKER_ARGUMENTS] = {(char *)"marram-worker",
                                    (char *)"--coordinator",
                                    cluster->endpoint,
                                    (char *)"--keys",
                                    keys,
                                    (char *)"--name",
                                    name,
                                    (char *)"--threads",
                                    threads,
                                    (char *)"--memory",
                                    memory,
                                    (char *)"--listen",
                                    (char *)"tcp://127.0.0.1:0"};

    return cluster_start(cluster, name, argv, err);
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

int cluster_wait(struct cluster_patience *patience, const struct cluster *cluster,
                 const char *what, struct error *err)
{
    struct pollfd signals = {patience->signals, POLLIN, 0};

    for (size_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        cleanup_free char *log = cluster_log(cluster, process->name);
        char line[800];
        int status;

        if (waitpid(process->pid, &status, WNOHANG) != process->pid)
            continue;
        read_last_line(log, line, sizeof line);
        patience->status = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
        return error_set(err, ERROR_IO, "the %s ended: %s", process->name, line);
    }
    if (clock_ms() > patience->until_ms)
        return error_set(err, ERROR_IO, "%s within %d s (logs were in '%s')", what,
                         CLUSTER_PATIENCE_MS / 1000, cluster->dir);
    if (poll(&signals, 1, LOOK_MS) == 1 && signals_take(patience->signals)) {
        patience->status = INTERRUPTED;
        return error_set(err, ERROR_CANCELLED, "interrupted");
    }
    return 0;
}

static uint64_t count_joined(const struct cluster *cluster, const Mr__Workers *workers)
{
    uint64_t joined = 0;

    for (size_t i = 0; i < workers->n_workers; i++)
        for (size_t j = 1; j < cluster->count; j++)
            joined += !cluster->processes[j].leaves &&
                      workers->workers[i]->pid == (uint32_t)cluster->processes[j].pid;
    return joined;
}

int cluster_await_workers(struct cluster_patience *patience, const struct cluster *cluster,
                          uint64_t wanted, struct error *err)
{
    cleanup_free char *keys = cluster_keys(cluster);
    const struct place place = {cluster->endpoint, keys};
    Mr__Query question = MR__QUERY__INIT;
    struct visit visit;
    uint64_t joined = 0;
    int result;

    question.question = MR__QUESTION__ALL_WORKERS;
    result = visit_open(&visit, &place, err);
    while (!result && joined < wanted) {
        ProtobufCMessage *answer;

        result =
            client_ask(visit.client, FRAME_QUERY, &question.base, FRAME_WORKERS, &answer, err);
        if (result)
            break;
        joined = count_joined(cluster, (const Mr__Workers *)answer);
        frame_free(answer);
        if (joined < wanted)
            result = cluster_wait(patience, cluster, "not all workers joined", err);
    }
    visit_close(&visit);
    return result;
}
