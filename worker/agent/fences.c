#include "worker/agent/fences.h"

#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/size.h"
#include "wire/bytes.h"
#include "worker/agent/cgroup.h"
#include "worker/agent/core.h"
#include "worker/agent/watch.h"

/* One as it starts, one when it knows its job: both before it runs code of anybody else. */
enum { REPORTS_MAX = 2 };

static void copy(char *to, size_t size, ProtobufCBinaryData from)
{
    snprintf(to, size, "%.*s", (int)from.len, (const char *)from.data);
}

/* Once as the worker starts, and whenever something changes. */
static void log_fences(const struct fences *fences)
{
    log_event(LOG_INFO, "executors are confined",
              LOG_TEXT("limits", fences->limits ? "on" : "off"),
              LOG_TEXT("capabilities", fences->capabilities ? "dropped" : "kept"),
              LOG_TEXT("cgroup", fences->cgroup), LOG_TEXT("seccomp", fences->seccomp),
              LOG_TEXT("landlock", fences->landlock));
}

void fences_told(struct agent *agent, struct child *child, const Mr__Confinement *said)
{
    struct fences fences = {
        .known = true, .limits = said->limits, .capabilities = said->capabilities};
    size_t used;

    if (child->reports++ >= REPORTS_MAX)
        return;
    copy(fences.cgroup, sizeof fences.cgroup, said->cgroup);
    copy(fences.seccomp, sizeof fences.seccomp, said->seccomp);
    copy(fences.landlock, sizeof fences.landlock, said->landlock);
    used = strlen(fences.cgroup);
    if (child->job && child->group && child->group->memory && !child->group->limit)
        snprintf(fences.cgroup + used, sizeof fences.cgroup - used,
                 ", memory not limited: files of the job lie in memory");
    if (!memcmp(&agent->fences, &fences, sizeof fences))
        return;
    agent->fences = fences;
    log_fences(&fences);
}

/* Whether files there are memory, and count as the executor's. What does not exist yet will be
 * made in what does. */
static bool is_memory(const char *path)
{
    cleanup_free char *folder = memory_text(path);
    struct statfs st;

    while (statfs(folder, &st)) {
        char *slash = strrchr(folder, '/');

        if (!slash || slash == folder)
            return false;
        *slash = '\0';
    }
    return st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC;
}

void fences_bind(const struct agent *agent, struct child *child, ProtobufCBinaryData staging)
{
    cleanup_free char *path = bytes_text(staging);

    if (!is_memory(agent->options.scratch) && !is_memory(path))
        cgroup_limit_memory(child->group, watch_limit(agent->options.memory));
}

void fences_judge(struct child *child, int status)
{
    char allowed[32];

    if (child->ended_by.code || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ||
        !cgroup_oom_kills(child->group))
        return;
    error_set(&child->ended_by, ERROR_MEMORY,
              "the executor needed more than the %s that it may use: ended by the kernel",
              size_format(child->group->limit, allowed, sizeof allowed));
}

void fences_describe(const struct fences *fences, Mr__Confinement *ret)
{
    mr__confinement__init(ret);
    ret->limits = fences->limits;
    ret->capabilities = fences->capabilities;
    ret->cgroup = bytes_of(fences->cgroup);
    ret->seccomp = bytes_of(fences->seccomp);
    ret->landlock = bytes_of(fences->landlock);
}
