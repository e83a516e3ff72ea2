#include "worker/agent/strays.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

/* A fork bomb grows while it is killed: each round kills what stands, the bound ends a lost
 * race. */
enum { ROUNDS_MAX = 200 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t *known;
static size_t known_count, known_capacity;

void strays_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

pid_t strays_start(pid_t (*start)(void *), void *context)
{
    pid_t pid;

    pthread_mutex_lock(&lock);
    pid = start(context);
    if (pid > 0) {
        memory_reserve(&known, &known_capacity, known_count + 1, sizeof *known);
        known[known_count++] = pid;
    }
    pthread_mutex_unlock(&lock);
    return pid;
}

void strays_forget(pid_t pid)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < known_count; i++)
        if (known[i] == pid) {
            known[i] = known[--known_count];
            break;
        }
    if (!known_count) {
        free(known);
        known = NULL;
        known_capacity = 0;
    }
    pthread_mutex_unlock(&lock);
}

static bool is_known(pid_t pid)
{
    for (size_t i = 0; i < known_count; i++)
        if (known[i] == pid)
            return true;
    return false;
}

/* Kills the strays among the children of one of our threads; returns how many there were. */
static int kill_children_of(const char *thread)
{
    char path[64];
    FILE *file;
    int pid, count = 0;

    snprintf(path, sizeof path, "/proc/self/task/%.20s/children", thread);
    file = fopen(path, "re");
    while (file && fscanf(file, "%d", &pid) == 1) {
        if (is_known(pid))
            continue;
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        count++;
    }
    if (file)
        fclose(file);
    return count;
}

static int kill_round(void)
{
    DIR *threads = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    while (threads && (entry = readdir(threads)))
        if (entry->d_name[0] != '.')
            count += kill_children_of(entry->d_name);
    if (threads)
        closedir(threads);
    return count;
}

void strays_kill(void)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < ROUNDS_MAX && kill_round(); i++)
        ;
    pthread_mutex_unlock(&lock);
}
