#include "worker/executor/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "wire/bytes.h"
#include "worker/executor/landlock.h"
#include "worker/executor/syscalls.h"

enum {
    TASKS_SPARE = 1024, /* what a user may start beyond all that runs */
    OOM_SCORE = 500,    /* the kernel, out of memory, takes executors before their agents */
};

static bool set_limit(int what, rlim_t value)
{
    struct rlimit now, limit = {value, value};

    if (getrlimit(what, &now))
        return false;
    if (now.rlim_max < value)
        limit.rlim_cur = limit.rlim_max = now.rlim_max;
    return !setrlimit(what, &limit);
}

/* All tasks of this system, as /proc/loadavg tells: "0.10 0.20 0.30 2/345 6789". */
static rlim_t count_tasks(void)
{
    unsigned long long count = 0;
    FILE *file = fopen("/proc/loadavg", "re");

    if (file && fscanf(file, "%*s %*s %*s %*u/%llu", &count) != 1)
        count = 0;
    if (file)
        fclose(file);
    return count;
}

/* The limit of processes counts all that the user has, so it is above what runs already. The
 * kernel does not hold root to it. */
static bool limit_processes(void)
{
    rlim_t running = count_tasks();

    return !getuid() || !running || set_limit(RLIMIT_NPROC, running + TASKS_SPARE);
}

static bool set_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files))
        return false;
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && set_limit(RLIMIT_CORE, 0) &&
           set_limit(RLIMIT_NOFILE, files.rlim_max) && set_limit(RLIMIT_MSGQUEUE, 0) &&
           set_limit(RLIMIT_RTPRIO, 0) && limit_processes();
}

static void set_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    char text[16];
    int n = snprintf(text, sizeof text, "%d", OOM_SCORE);

    /* Without it all processes are alike. */
    if (fd >= 0 && write(fd, text, (size_t)n) < 0)
        (void)errno;
    if (fd >= 0)
        close(fd);
}

/* Of root's powers only that to read and write whatever the files' modes say: inputs may be
 * anybody's. */
static bool drop_capabilities(void)
{
    const uint32_t kept = 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH;
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    /* Who may not drop it has none to lose. */
    for (unsigned long i = 0; i <= CAP_LAST_CAP; i++)
        if (i != CAP_DAC_OVERRIDE && i != CAP_DAC_READ_SEARCH)
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &header, data))
        return false;
    data[0].permitted &= kept;
    data[0].effective = data[0].permitted;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){0};
    return !syscall(SYS_capset, &header, data);
}

/* Joins one group. Version 1 lets a thread join by itself, which waits for nobody; the threads
 * to come follow it. */
static bool join_group(const char *folder, bool second_version)
{
    cleanup_free char *path =
        memory_format("%s/%s", folder, second_version ? "cgroup.procs" : "tasks");
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, "0", 1) == 1;
}

/* The agent made the groups, and names them: "v1 FOLDER FOLDER", or "none: why". */
static void join_groups(char *ret, size_t size)
{
    const char *told = getenv("MARRAM_CGROUP");
    cleanup_free char *words = memory_text(told ? told : "none: no worker started it");
    char *rest = NULL, *version, *folder;

    snprintf(ret, size, "%s", words);
    if (!strncmp(words, "none", 4))
        return;
    version = strtok_r(words, "\n", &rest);
    snprintf(ret, size, "%s", version);
    while ((folder = strtok_r(NULL, "\n", &rest)))
        if (!join_group(folder, !strncmp(version, "v2", 2))) {
            snprintf(ret, size, "none: '%.80s' cannot be joined: %s", folder, strerror(errno));
            return;
        }
}

void confine_start(struct confinement *confinement)
{
    const char *agent = getenv("MARRAM_AGENT_PID"), *sandbox = getenv("MARRAM_SANDBOX");
    int agent_pid = agent ? atoi(agent) : 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (agent && agent_pid != (int)getppid())
        _exit(1);
    confinement->on = !sandbox || strcmp(sandbox, "off") != 0;
    set_oom_score();
    join_groups(confinement->cgroup, sizeof confinement->cgroup);
    confinement->limits = set_limits();
    if (confinement->on) {
        confinement->capabilities = drop_capabilities();
        syscalls_forbid(agent_pid, confinement->seccomp, sizeof confinement->seccomp);
        landlock_look(confinement->landlock, sizeof confinement->landlock);
    } else {
        snprintf(confinement->seccomp, sizeof confinement->seccomp, "none: --sandbox off");
        snprintf(confinement->landlock, sizeof confinement->landlock, "none: --sandbox off");
    }
}

void confine_job(struct confinement *confinement, const Mr__JobOpen *open)
{
    cleanup_free char *scratch = bytes_text(open->scratch);
    cleanup_free char *object = bytes_text(open->object_path);
    cleanup_free char *temporary = memory_format("%s/tmp", scratch);

    /* Whoever needs it and has none is told by its own call. */
    if (mkdir(temporary, 0700) && errno != EEXIST)
        (void)errno;
    setenv("TMPDIR", temporary, 1);
    if (confinement->on)
        landlock_apply(scratch, object, confinement->landlock, sizeof confinement->landlock);
}

void confine_describe(struct confinement *confinement, Mr__Confinement *ret)
{
    mr__confinement__init(ret);
    ret->limits = confinement->limits;
    ret->capabilities = confinement->capabilities;
    ret->cgroup = bytes_of(confinement->cgroup);
    ret->seccomp = bytes_of(confinement->seccomp);
    ret->landlock = bytes_of(confinement->landlock);
}
