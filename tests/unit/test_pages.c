/* Pages of HTTP: paths, filters, and what is said of the coordinator's answers. */
#include "tests/lib/cmocka_all.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coordinator/http/pages.h"
#include "wire/bytes.h"

static void each_path_has_its_page(void **state)
{
    static const struct {
        const char *path;
        enum page_kind kind;
        uint64_t job;
    } known[] = {
        {"/healthz", PAGE_HEALTH, 0},
        {"/metrics", PAGE_METRICS, 0},
        {"/api/v1/cluster", PAGE_CLUSTER, 0},
        {"/api/v1/jobs", PAGE_JOBS, 0},
        {"/api/v1/workers", PAGE_WORKERS, 0},
        {"/api/v1/events", PAGE_EVENTS, 0},
        {"/api/v1/jobs/00000000002a", PAGE_JOB, 42},
        {"/api/v1/jobs/ffffffffffff", PAGE_JOB, 0xffffffffffff},
        {"/api/v1/jobs/00000000002a/tasks", PAGE_TASKS, 42},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct page page = page_at(known[i].path);

        assert_int_equal(page.kind, known[i].kind);
        assert_int_equal(page.job, known[i].job);
    }
}

static void no_other_path_has_one(void **state)
{
    static const char *const unknown[] = {
        "",
        "/",
        "healthz",
        "/healthz/",
        "/HEALTHZ",
        "//healthz",
        "/api/v1",
        "/api/v2/jobs",
        "/api/v1/jobs/",
        "/api/v1/jobs/2a",
        "/api/v1/jobs/00000000002",
        "/api/v1/jobs/00000000002A",
        "/api/v1/jobs/00000000002a0",
        "/api/v1/jobs/0x000000002a",
        "/api/v1/jobs/00000000002a/",
        "/api/v1/jobs/00000000002a/task",
        "/api/v1/jobs/00000000002a/tasks/",
        "/api/v1/jobs/../metrics",
    };

    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (page_at(unknown[i]).kind != PAGE_NONE)
            fail_msg("'%s' has a page", unknown[i]);
}

static void a_limit_is_a_number_from_one(void **state)
{
    static const char *const bad[] = {
        "", "0", "-1", "+1", " 1", "1x", "4294967296", "99999999999999999999", "1.5", "x"};
    struct page_filter filter;

    (void)state;
    assert_true(page_filter(NULL, NULL, &filter));
    assert_string_equal(filter.state, "");
    assert_int_equal(filter.limit, 0);
    assert_true(page_filter("running", "4294967295", &filter));
    assert_string_equal(filter.state, "running");
    assert_int_equal(filter.limit, UINT32_MAX);
    assert_true(page_filter("elevenchars", "7", &filter));
    assert_false(page_filter("twelve chars", "7", &filter));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (page_filter(NULL, bad[i], &filter))
            fail_msg("'%s' is a limit", bad[i]);
}

/* The page for an answer, as JSON; frees what it was made from. */
static json_t *made(struct page page, const struct page_filter *filter, enum frame_type type,
                    const ProtobufCMessage *answer, unsigned status)
{
    struct page_body body = page_made(&page, filter, type, answer);
    json_error_t error;
    json_t *root = json_loads(body.text, 0, &error);

    assert_non_null(root);
    assert_string_equal(body.type, "application/json");
    assert_int_equal(body.status, status);
    free(body.text);
    return root;
}

static const char *error_code(const json_t *root)
{
    const json_t *error = json_object_get(root, "error");

    assert_true(*json_string_value(json_object_get(error, "text")));
    return json_string_value(json_object_get(error, "code"));
}

static void jobs_are_listed_by_state_and_the_rest_is_counted(void **state)
{
    static const char *const states[] = {"running", "done", "running", "failed", "running"};
    Mr__JobInfo infos[5], *list[5];
    Mr__Jobs jobs = MR__JOBS__INIT;
    struct page page = page_at("/api/v1/jobs");
    struct page_filter filter;
    json_t *root;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        mr__job_info__init(&infos[i]);
        infos[i].job = i + 1;
        infos[i].state = bytes_of(states[i]);
        list[i] = &infos[i];
    }
    jobs.jobs = list;
    jobs.n_jobs = 5;
    assert_true(page_filter("running", "2", &filter));
    root = made(page, &filter, FRAME_JOBS, &jobs.base, 200);
    assert_int_equal(json_array_size(json_object_get(root, "jobs")), 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(json_string_value(json_object_get(
                                json_array_get(json_object_get(root, "jobs"), i), "state")),
                            "running");
    assert_int_equal(json_integer_value(json_object_get(root, "left_out")), 1);
    json_decref(root);
    assert_true(page_filter("runnin", NULL, &filter)); /* not by a beginning */
    root = made(page, &filter, FRAME_JOBS, &jobs.base, 200);
    assert_int_equal(json_array_size(json_object_get(root, "jobs")), 0);
    json_decref(root);
}

/* With a state the coordinator must not cut the list before it is looked through. */
static void the_coordinator_is_asked_for_as_many_as_are_needed(void **state)
{
    struct page page = page_at("/api/v1/jobs");
    struct page_filter filter;
    Mr__Query query;

    (void)state;
    assert_true(page_filter(NULL, "3", &filter));
    page_question(&page, &filter, &query);
    assert_int_equal(query.question, MR__QUESTION__ALL_JOBS);
    assert_int_equal(query.limit, 3);
    assert_true(page_filter("done", "3", &filter));
    page_question(&page, &filter, &query);
    assert_int_equal(query.limit, 0);
    page = page_at("/api/v1/jobs/00000000002a/tasks");
    page_question(&page, &filter, &query);
    assert_int_equal(query.question, MR__QUESTION__ONE_JOB);
    assert_int_equal(query.job, 42);
}

static void what_went_wrong_is_said_as_an_error(void **state)
{
    struct page page = page_at("/api/v1/jobs/00000000002a");
    struct page_filter filter = {0};
    Mr__Jobs none = MR__JOBS__INIT;
    Mr__Reply reply = MR__REPLY__INIT;
    json_t *root;

    (void)state;
    root = made(page, &filter, FRAME_REPLY, NULL, 503);
    assert_string_equal(error_code(root), "unavailable");
    json_decref(root);
    root = made(page, &filter, FRAME_JOBS, &none.base, 404);
    assert_string_equal(error_code(root), "not_found");
    json_decref(root);
    root = made(page, &filter, FRAME_REPLY, &reply.base, 404);
    assert_string_equal(error_code(root), "not_found");
    json_decref(root);
    root = made(page, &filter, FRAME_WELCOME, &reply.base, 500);
    assert_string_equal(error_code(root), "internal");
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_has_its_page),
        cmocka_unit_test(no_other_path_has_one),
        cmocka_unit_test(a_limit_is_a_number_from_one),
        cmocka_unit_test(jobs_are_listed_by_state_and_the_rest_is_counted),
        cmocka_unit_test(the_coordinator_is_asked_for_as_many_as_are_needed),
        cmocka_unit_test(what_went_wrong_is_said_as_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
