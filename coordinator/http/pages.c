#include "coordinator/http/pages.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/http/metrics.h"
#include "wire/bytes.h"
#include "wire/info.h"

#define JSON_TYPE    "application/json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PLAIN_TYPE   "text/plain; charset=utf-8"

enum { ID_DIGITS = 12 };

/* "ID" or "ID/tasks" behind /api/v1/jobs/ */
static struct page page_of_job(const char *path)
{
    struct page page = {PAGE_NONE, 0};
    const char *rest;

    if (strspn(path, "0123456789abcdef") != ID_DIGITS)
        return page;
    rest = path + ID_DIGITS;
    if (!strcmp(rest, ""))
        page.kind = PAGE_JOB;
    else if (!strcmp(rest, "/tasks"))
        page.kind = PAGE_TASKS;
    page.job = strtoull(path, NULL, 16);
    return page;
}

struct page page_at(const char *path)
{
    static const char jobs[] = "/api/v1/jobs/";
    static const struct {
        const char *path;
        enum page_kind kind;
    } pages[] = {
        {"/healthz", PAGE_HEALTH},         {"/metrics", PAGE_METRICS},
        {"/api/v1/cluster", PAGE_CLUSTER}, {"/api/v1/jobs", PAGE_JOBS},
        {"/api/v1/workers", PAGE_WORKERS}, {"/api/v1/events", PAGE_EVENTS},
    };

    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (!strcmp(path, pages[i].path))
            return (struct page){pages[i].kind, 0};
    if (!strncmp(path, jobs, sizeof jobs - 1))
        return page_of_job(path + sizeof jobs - 1);
    return (struct page){PAGE_NONE, 0};
}

bool page_filter(const char *state, const char *limit, struct page_filter *ret)
{
    char *end;
    unsigned long long number = 0;

    *ret = (struct page_filter){0};
    if (state && strlen(state) >= sizeof ret->state)
        return false;
    if (state)
        strcpy(ret->state, state);
    if (!limit)
        return true;
    number = strtoull(limit, &end, 10);
    if (*limit < '0' || *limit > '9' || *end || !number || number > UINT32_MAX)
        return false;
    ret->limit = (uint32_t)number;
    return true;
}

void page_question(const struct page *page, const struct page_filter *filter, Mr__Query *ret)
{
    mr__query__init(ret);
    ret->job = page->job;
    switch (page->kind) {
    case PAGE_JOBS:
        ret->question = MR__QUESTION__ALL_JOBS;
        ret->limit = *filter->state ? 0 : filter->limit;
        break;
    case PAGE_JOB:
    case PAGE_TASKS:
        ret->question = MR__QUESTION__ONE_JOB;
        break;
    case PAGE_WORKERS:
        ret->question = MR__QUESTION__ALL_WORKERS;
        break;
    case PAGE_HEALTH:
    case PAGE_METRICS:
    case PAGE_CLUSTER:
    case PAGE_EVENTS:
    case PAGE_NONE:
        ret->question = MR__QUESTION__CLUSTER;
        break;
    }
}

static struct page_body json_body(unsigned status, json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(2));
    struct page_body body = {status, JSON_TYPE, NULL};

    check(text);
    body.text = memory_format("%s\n", text);
    free(text);
    json_decref(root);
    return body;
}

struct page_body page_error(unsigned status, const char *code, const char *text)
{
    json_t *root = json_object(), *error = json_object();

    json_object_set_new(error, "code", json_string(code));
    json_object_set_new(error, "text", info_text(text, strlen(text)));
    json_object_set_new(root, "error", error);
    return json_body(status, root);
}

static bool is_wanted(const Mr__JobInfo *job, const struct page_filter *filter)
{
    return !*filter->state || bytes_are(job->state, filter->state);
}

static struct page_body jobs_body(const Mr__Jobs *jobs, const struct page_filter *filter)
{
    cleanup_free Mr__JobInfo **wanted = memory_new((jobs->n_jobs + 1) * sizeof *wanted);
    Mr__Jobs listed = *jobs;

    listed.jobs = wanted;
    listed.n_jobs = 0;
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        if (!is_wanted(jobs->jobs[i], filter))
            continue;
        if (*filter->state && filter->limit && listed.n_jobs == filter->limit)
            listed.left_out++;
        else
            wanted[listed.n_jobs++] = jobs->jobs[i];
    }
    return json_body(MHD_HTTP_OK, info_jobs(&listed));
}

static struct page_body tasks_body(const Mr__JobInfo *job)
{
    static const char *const kept[] = {
        "job",          "state",           "maps", "maps_done", "reduces",
        "reduces_done", "failed_attempts", "tasks"};
    json_t *all = info_job(job, true), *root = json_object();

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        json_object_set(root, kept[i], json_object_get(all, kept[i]));
    json_decref(all);
    return json_body(MHD_HTTP_OK, root);
}

static struct page_body no_job(const ProtobufCMessage *answer)
{
    const Mr__Error *error = ((const Mr__Reply *)answer)->error;
    cleanup_free char *text = memory_format("%.*s", error ? (int)error->text.len : 0,
                                            error ? (const char *)error->text.data : "");

    return page_error(MHD_HTTP_NOT_FOUND, "not_found", *text ? text : "there is no such job");
}

static struct page_body page_of_jobs(const struct page *page, const struct page_filter *filter,
                                     const Mr__Jobs *jobs)
{
    if (page->kind == PAGE_JOBS)
        return jobs_body(jobs, filter);
    if (!jobs->n_jobs)
        return page_error(MHD_HTTP_NOT_FOUND, "not_found", "there is no such job");
    if (page->kind == PAGE_TASKS)
        return tasks_body(jobs->jobs[0]);
    return json_body(MHD_HTTP_OK, info_job(jobs->jobs[0], true));
}

static struct page_body page_of_cluster(const struct page *page, const Mr__Cluster *cluster)
{
    if (page->kind == PAGE_HEALTH)
        return (struct page_body){MHD_HTTP_OK, PLAIN_TYPE, memory_text("ok\n")};
    if (page->kind == PAGE_METRICS)
        return (struct page_body){MHD_HTTP_OK, METRICS_TYPE, metrics_text(cluster)};
    return json_body(MHD_HTTP_OK, info_cluster(cluster));
}

struct page_body page_made(const struct page *page, const struct page_filter *filter,
                           enum frame_type type, const ProtobufCMessage *answer)
{
    if (!answer)
        return page_error(MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable",
                          "the coordinator does not answer in time");
    switch (type) {
    case FRAME_JOBS:
        return page_of_jobs(page, filter, (const Mr__Jobs *)answer);
    case FRAME_WORKERS:
        return json_body(MHD_HTTP_OK, info_workers((const Mr__Workers *)answer));
    case FRAME_CLUSTER:
        return page_of_cluster(page, (const Mr__Cluster *)answer);
    case FRAME_REPLY:
        return no_job(answer);
    default:
        return page_error(MHD_HTTP_INTERNAL_SERVER_ERROR, "internal",
                          "the coordinator gave an answer of another kind");
    }
}
