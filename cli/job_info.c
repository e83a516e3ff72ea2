#include "cli/job_info.h"

#include "cli/show.h"

static const char *kind_of(Mr__TaskKind kind)
{
    return kind == MR__TASK_KIND__MAP      ? "map"
           : kind == MR__TASK_KIND__REDUCE ? "reduce"
           : kind == MR__TASK_KIND__SAMPLE ? "sample"
                                           : "check";
}

static json_t *tasks_json(Mr__TaskInfo *const *tasks, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *task = json_object();

        json_object_set_new(task, "kind", json_string(kind_of(tasks[i]->kind)));
        json_object_set_new(task, "task", json_integer(tasks[i]->task));
        json_object_set_new(task, "attempt", json_integer(tasks[i]->attempt));
        json_object_set_new(task, "worker", show_json_bytes(tasks[i]->worker));
        json_object_set_new(task, "ticks", json_integer((json_int_t)tasks[i]->ticks));
        json_array_append_new(list, task);
    }
    return list;
}

json_t *job_info_json(const Mr__JobInfo *job, bool detail)
{
    json_t *root = json_object();

    json_object_set_new(root, "job", show_json_id(job->job));
    json_object_set_new(root, "name", show_json_bytes(job->name));
    json_object_set_new(root, "object", show_json_bytes(job->object));
    json_object_set_new(root, "state", show_json_bytes(job->state));
    json_object_set_new(root, "reason", show_json_bytes(job->reason));
    json_object_set_new(root, "output", show_json_bytes(job->output));
    json_object_set_new(root, "maps", json_integer(job->maps));
    json_object_set_new(root, "maps_done", json_integer(job->maps_done));
    json_object_set_new(root, "reduces", json_integer(job->reduces));
    json_object_set_new(root, "reduces_done", json_integer(job->reduces_done));
    json_object_set_new(root, "running", json_integer(job->running));
    json_object_set_new(root, "failed_attempts",
                        json_integer((json_int_t)job->failed_attempts));
    json_object_set_new(root, "speculative_attempts",
                        json_integer((json_int_t)job->speculative_attempts));
    json_object_set_new(root, "priority", json_integer(job->priority));
    json_object_set_new(root, "age", json_real(job->age));
    json_object_set_new(root, "seconds", json_real(job->seconds));
    json_object_set_new(root, "error", show_json_error(job->error));
    if (detail) {
        json_object_set_new(root, "unread", show_json_bytes(job->unread));
        json_object_set_new(root, "counters",
                            show_json_counters(job->counters, job->n_counters));
        json_object_set_new(root, "tasks", tasks_json(job->tasks, job->n_tasks));
        json_object_set_new(root, "skipped", show_json_skipped(job->skipped, job->n_skipped));
        json_object_set_new(root, "skipped_count", json_integer(job->skipped_count));
        json_object_set_new(root, "replay",
                            job->replay.len ? show_json_bytes(job->replay) : json_null());
    }
    return root;
}
