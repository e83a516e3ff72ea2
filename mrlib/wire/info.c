/* Text that is not UTF-8 would make no JSON at all: then every byte above 0x7f becomes '?'. */
#include "wire/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

json_t *info_text(const char *bytes, size_t n)
{
    json_t *text = json_stringn(n ? bytes : "", n);
    cleanup_free char *plain = NULL;

    if (text)
        return text;
    plain = memory_new(n + 1);
    for (size_t i = 0; i < n; i++)
        plain[i] = (unsigned char)bytes[i] < 0x80 ? bytes[i] : '?';
    text = json_stringn(plain, n);
    return text ? text : json_null();
}

json_t *info_bytes(ProtobufCBinaryData bytes)
{
    return info_text((const char *)bytes.data, bytes.len);
}

json_t *info_id(uint64_t job)
{
    char id[16];

    snprintf(id, sizeof id, "%012" PRIx64, job & UINT64_C(0xffffffffffff));
    return json_string(id);
}

json_t *info_error(const Mr__Error *error)
{
    json_t *root;
    uint32_t code;

    if (!error)
        return json_null();
    root = json_object();
    code = error->code < ERROR_CODES ? error->code : ERROR_INTERNAL;
    json_object_set_new(root, "code", json_string(error_name(code)));
    json_object_set_new(root, "text", info_bytes(error->text));
    return root;
}

json_t *info_counters(Mr__Counter *const *counters, size_t n)
{
    json_t *root = json_object();

    for (size_t i = 0; i < n; i++) {
        char name[128];

        snprintf(name, sizeof name, "%.*s", (int)counters[i]->name.len,
                 (const char *)counters[i]->name.data);
        json_object_set_new(root, name, json_integer(counters[i]->value));
    }
    return root;
}

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
        json_object_set_new(task, "worker", info_bytes(tasks[i]->worker));
        json_object_set_new(task, "ticks", json_integer((json_int_t)tasks[i]->ticks));
        json_array_append_new(list, task);
    }
    return list;
}

static json_t *culprit_json(const Mr__Culprit *culprit)
{
    json_t *json = json_object();

    json_object_set_new(json, "phase", info_bytes(culprit->phase));
    if (culprit->key_digest.len) {
        json_object_set_new(json, "key", info_bytes(culprit->key));
        json_object_set_new(json, "key_length", json_integer((json_int_t)culprit->key_length));
    } else {
        json_object_set_new(json, "path", info_bytes(culprit->path));
        json_object_set_new(json, "offset", json_integer((json_int_t)culprit->offset));
        json_object_set_new(json, "length", json_integer((json_int_t)culprit->length));
    }
    json_object_set_new(json, "signal",
                        culprit->signal ? json_integer(culprit->signal) : json_null());
    return json;
}

json_t *info_skipped(Mr__Skipped *const *skipped, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *json = skipped[i]->culprit ? culprit_json(skipped[i]->culprit) : json_object();
        char task[40];

        if (skipped[i]->kind == MR__TASK_KIND__MAP || skipped[i]->kind == MR__TASK_KIND__REDUCE)
            snprintf(task, sizeof task, "%s %u", kind_of(skipped[i]->kind), skipped[i]->task);
        else
            snprintf(task, sizeof task, "%s", kind_of(skipped[i]->kind));
        json_object_set_new(json, "task", json_string(task));
        json_object_set_new(json, "error", info_error(skipped[i]->error));
        json_array_append_new(list, json);
    }
    return list;
}

json_t *info_job(const Mr__JobInfo *job, bool detail)
{
    json_t *root = json_object();

    json_object_set_new(root, "job", info_id(job->job));
    json_object_set_new(root, "name", info_bytes(job->name));
    json_object_set_new(root, "object", info_bytes(job->object));
    json_object_set_new(root, "state", info_bytes(job->state));
    json_object_set_new(root, "reason", info_bytes(job->reason));
    json_object_set_new(root, "output", info_bytes(job->output));
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
    json_object_set_new(root, "error", info_error(job->error));
    if (detail) {
        json_object_set_new(root, "unread", info_bytes(job->unread));
        json_object_set_new(root, "counters", info_counters(job->counters, job->n_counters));
        json_object_set_new(root, "tasks", tasks_json(job->tasks, job->n_tasks));
        json_object_set_new(root, "skipped", info_skipped(job->skipped, job->n_skipped));
        json_object_set_new(root, "skipped_count", json_integer(job->skipped_count));
        json_object_set_new(root, "replay",
                            job->replay.len ? info_bytes(job->replay) : json_null());
    }
    return root;
}

static json_t *confinement_json(const Mr__Confinement *confinement)
{
    json_t *root;

    if (!confinement)
        return json_null();
    root = json_object();
    json_object_set_new(root, "rlimits", json_boolean(confinement->limits));
    json_object_set_new(root, "capabilities", json_boolean(confinement->capabilities));
    json_object_set_new(root, "cgroup", info_bytes(confinement->cgroup));
    json_object_set_new(root, "seccomp", info_bytes(confinement->seccomp));
    json_object_set_new(root, "landlock", info_bytes(confinement->landlock));
    return root;
}

json_t *info_worker(const Mr__WorkerInfo *worker)
{
    json_t *root = json_object();
    char id[20];

    snprintf(id, sizeof id, "%016" PRIx64, worker->worker);
    json_object_set_new(root, "worker", json_string(id));
    json_object_set_new(root, "name", info_bytes(worker->name));
    json_object_set_new(root, "state", info_bytes(worker->state));
    json_object_set_new(root, "reason", info_bytes(worker->reason));
    json_object_set_new(root, "threads", json_integer(worker->threads));
    json_object_set_new(root, "memory", json_integer((json_int_t)worker->memory));
    json_object_set_new(root, "pid", json_integer(worker->pid));
    json_object_set_new(root, "endpoint", info_bytes(worker->data_endpoint));
    json_object_set_new(root, "running", json_integer(worker->running));
    json_object_set_new(root, "outputs", json_integer((json_int_t)worker->outputs));
    json_object_set_new(root, "scratch_free", json_integer((json_int_t)worker->scratch_free));
    json_object_set_new(root, "confinement", confinement_json(worker->confinement));
    json_object_set_new(root, "heard", json_real(worker->heard));
    json_object_set_new(root, "age", json_real(worker->age));
    return root;
}

json_t *info_jobs(const Mr__Jobs *jobs)
{
    json_t *root = json_object(), *list = json_array();

    for (size_t i = 0; i < jobs->n_jobs; i++)
        json_array_append_new(list, info_job(jobs->jobs[i], false));
    json_object_set_new(root, "jobs", list);
    json_object_set_new(root, "left_out", json_integer(jobs->left_out));
    return root;
}

json_t *info_workers(const Mr__Workers *workers)
{
    json_t *root = json_object(), *list = json_array();

    for (size_t i = 0; i < workers->n_workers; i++)
        json_array_append_new(list, info_worker(workers->workers[i]));
    json_object_set_new(root, "workers", list);
    json_object_set_new(root, "lost", json_integer((json_int_t)workers->lost));
    json_object_set_new(root, "refused", json_integer((json_int_t)workers->refused));
    json_object_set_new(root, "damaged", json_integer((json_int_t)workers->damaged));
    return root;
}

json_t *info_cluster(const Mr__Cluster *c)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"workers", c->workers},
        {"workers_draining", c->workers_draining},
        {"clients", c->clients},
        {"threads", c->threads},
        {"memory", c->memory},
        {"running", c->attempts_running},
        {"jobs_waiting", c->jobs_waiting},
        {"jobs_running", c->jobs_running},
        {"jobs_max", c->jobs_max},
        {"jobs_done", c->jobs_done},
        {"jobs_failed", c->jobs_failed},
        {"jobs_cancelled", c->jobs_cancelled},
        {"workers_joined", c->workers_joined},
        {"lost", c->workers_lost},
        {"refused", c->answers_refused},
        {"damaged", c->frames_damaged},
    };
    json_t *root = json_object();

    json_object_set_new(root, "endpoint", info_bytes(c->endpoint));
    json_object_set_new(root, "version", info_bytes(c->version));
    json_object_set_new(root, "age", json_real(c->age));
    json_object_set_new(root, "journal", json_boolean(c->journal));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(root, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    return root;
}

json_t *info_event(const Mr__Event *event)
{
    json_t *root = json_object();
    char id[20];

    json_object_set_new(root, "event", info_bytes(event->what));
    if (event->job) {
        json_object_update_new(root, info_job(event->job, false));
        return root;
    }
    snprintf(id, sizeof id, "%016" PRIx64, event->worker);
    json_object_set_new(root, "worker", json_string(id));
    json_object_set_new(root, "name", info_bytes(event->name));
    return root;
}
