/* Runs of maps that are done: they outlive the session in which they were made. A coordinator
 * that was started anew, or that had given us up, is told what there is, and says what of it
 * can go. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "worker/agent/core.h"

enum { OUTPUTS_A_MESSAGE = 1000 };

void kept_note(struct known_job *job, const Mr__MapOutput *output)
{
    memory_reserve(&job->kept, &job->kept_capacity, job->kept_count + 1, sizeof *job->kept);
    job->kept[job->kept_count++] =
        (struct kept){output->task, output->attempt, output->run_id, bytes_text(output->path)};
}

bool kept_drop(struct known_job *job, const Mr__Revoke *revoke)
{
    for (size_t i = 0; revoke->kind == MR__TASK_KIND__MAP && i < job->kept_count; i++) {
        struct kept run = job->kept[i];

        if (run.task != revoke->task || run.attempt != revoke->attempt)
            continue;
        job->kept[i] = job->kept[--job->kept_count];
        unlink(run.path);
        free(run.path);
        return true;
    }
    return false;
}

void kept_done(struct known_job *job)
{
    for (size_t i = 0; i < job->kept_count; i++)
        free(job->kept[i].path);
    free(job->kept);
    job->kept = NULL;
    job->kept_count = job->kept_capacity = 0;
}

static bool is_kept(const struct known_job *job, const char *folder, const char *name)
{
    size_t length = strlen(folder);

    for (size_t i = 0; i < job->kept_count; i++)
        if (!strncmp(job->kept[i].path, folder, length) && job->kept[i].path[length] == '/' &&
            !strcmp(job->kept[i].path + length + 1, name))
            return true;
    return false;
}

void kept_sweep(const struct agent *agent, const struct known_job *job)
{
    cleanup_free char *path = jobs_folder(agent, job->id);
    DIR *folder = opendir(path);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        if (!is_kept(job, path, entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

/* Tells of runs first .. first + n - 1. */
static void say_some(struct agent *agent, const struct known_job *job, size_t first, size_t n)
{
    Mr__Held held = MR__HELD__INIT;
    cleanup_free Mr__MapOutput *outputs = memory_new(n * sizeof *outputs);
    cleanup_free Mr__MapOutput **pointers = memory_new(n * sizeof *pointers);

    held.job = job->id;
    held.outputs = pointers;
    held.n_outputs = n;
    for (size_t i = 0; i < n; i++) {
        const struct kept *run = &job->kept[first + i];

        mr__map_output__init(&outputs[i]);
        outputs[i].task = run->task;
        outputs[i].attempt = run->attempt;
        outputs[i].run_id = run->id;
        outputs[i].path = bytes_of(run->path);
        pointers[i] = &outputs[i];
    }
    agent_tell(agent, FRAME_HELD, &held.base);
}

/* How many runs from `first` on fit into a message. */
static size_t fitting(const struct known_job *job, size_t first)
{
    size_t n = 0, size = 0;

    while (first + n < job->kept_count && n < OUTPUTS_A_MESSAGE && size < LIMIT_MESSAGE / 2)
        size += strlen(job->kept[first + n++].path) + 40;
    return n;
}

void kept_say(struct agent *agent)
{
    for (size_t i = 0; i < agent->job_count; i++) {
        const struct known_job *job = &agent->jobs[i];

        for (size_t at = 0, n; (n = fitting(job, at)); at += n)
            say_some(agent, job, at, n);
    }
}
