/* The history beside a list of what was put in; and the file beside SQLite alone. */
#include "tests/lib/cmocka_all.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "coordinator/history.h"
#include "tests/lib/folder.h"

enum { KEPT = 20 };

static int setup(void **state)
{
    *state = folder_new();
    return 0;
}

static int teardown(void **state)
{
    folder_remove(*state);
    return 0;
}

static struct history *open_history(const char *folder)
{
    cleanup_free char *path = folder_path(folder, "history.sqlite");
    struct history *history;
    struct error err;

    if (history_open(path, KEPT, &history, &err))
        fail_msg("%s", err.text);
    return history;
}

/* All of the job is made from its number. */
static struct history_job *make(uint64_t id)
{
    struct history_job *job = memory_zeroed(1, sizeof *job);

    job->id = id;
    job->name = memory_format("it's %llu", (unsigned long long)id);
    job->object = memory_text("wordcount.so");
    job->output = memory_text("/out/\xff\xfe");
    job->state = memory_text(id % 2 ? "done" : "failed");
    job->error = memory_text(id % 2 ? "" : "map 3: \"bad\" \xff\n");
    job->submitted = (double)id + 1000.125;
    job->seconds = (double)id / 8;
    job->maps = (uint32_t)id + 1;
    job->maps_done = (uint32_t)id + 2;
    job->reduces = (uint32_t)id + 3;
    job->reduces_done = (uint32_t)id + 4;
    job->parts = (uint32_t)id + 5;
    job->error_code = id % 2 ? 0 : ERROR_JOB;
    job->failed_attempts = id % 3;
    job->priority = id % 10;
    job->counters = memory_zeroed(3, sizeof *job->counters);
    job->counters[0] = (struct history_counter){memory_text("zebras"), INT64_MAX};
    job->counters[1] = (struct history_counter){memory_text("apes"), INT64_MIN};
    job->counters[2] = (struct history_counter){memory_text("ids"), (int64_t)id};
    job->counter_count = 3;
    job->failures = memory_zeroed(3, sizeof *job->failures);
    for (; job->failure_count < id % 3; job->failure_count++)
        job->failures[job->failure_count] =
            (struct history_failure){.kind = 1,
                                     .task = (uint32_t)id,
                                     .attempt = (uint32_t)job->failure_count + 1,
                                     .worker = memory_text("w1"),
                                     .error = memory_text("it \"crashed\""),
                                     .code = ERROR_CRASH};
    return job;
}

static void expect_job(const struct history_job *job, uint64_t id)
{
    struct history_job *wanted = make(id);

    assert_non_null(job);
    assert_true(job->id == id && job->submitted == wanted->submitted);
    assert_true(job->seconds == wanted->seconds);
    assert_string_equal(job->name, wanted->name);
    assert_string_equal(job->object, wanted->object);
    assert_string_equal(job->output, wanted->output);
    assert_string_equal(job->state, wanted->state);
    assert_string_equal(job->error, wanted->error);
    assert_int_equal(job->maps, wanted->maps);
    assert_int_equal(job->maps_done, wanted->maps_done);
    assert_int_equal(job->reduces, wanted->reduces);
    assert_int_equal(job->reduces_done, wanted->reduces_done);
    assert_int_equal(job->parts, wanted->parts);
    assert_int_equal(job->error_code, wanted->error_code);
    assert_int_equal(job->failed_attempts, wanted->failed_attempts);
    assert_int_equal(job->priority, wanted->priority);
    assert_int_equal(job->counter_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(job->counters[i].name, wanted->counters[i].name);
        assert_true(job->counters[i].value == wanted->counters[i].value);
    }
    assert_int_equal(job->failure_count, wanted->failure_count);
    for (size_t i = 0; i < job->failure_count; i++) {
        assert_int_equal(job->failures[i].kind, wanted->failures[i].kind);
        assert_int_equal(job->failures[i].task, wanted->failures[i].task);
        assert_int_equal(job->failures[i].attempt, wanted->failures[i].attempt);
        assert_int_equal(job->failures[i].code, wanted->failures[i].code);
        assert_string_equal(job->failures[i].worker, wanted->failures[i].worker);
        assert_string_equal(job->failures[i].error, wanted->failures[i].error);
    }
    history_job_free(wanted);
}

static void expect_found(struct history *history, uint64_t id)
{
    struct history_job *job = history_find(history, id);

    expect_job(job, id);
    history_job_free(job);
}

static void a_job_comes_back_whole_at_once_and_after_a_restart(void **state)
{
    struct history *history = open_history(*state);

    for (uint64_t id = 1; id <= 6; id++) {
        history_add(history, make(id));
        expect_found(history, id);
    }
    assert_null(history_find(history, 7));
    history_close(history);
    history = open_history(*state);
    for (uint64_t id = 1; id <= 6; id++)
        expect_found(history, id);
    history_close(history);
}

static void the_same_job_twice_is_one(void **state)
{
    struct history *history = open_history(*state);

    history_add(history, make(4));
    history_add(history, make(4));
    history_close(history);
    history = open_history(*state);
    history_add(history, make(4));
    expect_found(history, 4);
    history_close(history);
}

struct visited {
    uint64_t next, until;
};

static bool visit(void *context, const struct history_job *job)
{
    struct visited *visited = context;

    expect_job(job, visited->next);
    return visited->next-- > visited->until;
}

static void the_newest_come_first_and_the_oldest_go(void **state)
{
    struct history *history = open_history(*state);
    struct visited visited = {55, 55 - KEPT + 1}, some = {55, 51};

    for (uint64_t id = 5; id <= 55; id++)
        history_add(history, make(id));
    assert_int_equal(history_each(history, visit, &visited), KEPT);
    assert_int_equal(visited.next, 55 - KEPT);
    assert_int_equal(history_each(history, visit, &some), KEPT);
    assert_int_equal(some.next, 50);
    assert_null(history_find(history, 55 - KEPT));
    history_close(history);
}

static void with_sqlite(const char *folder, const char *sql)
{
    cleanup_free char *path = folder_path(folder, "history.sqlite");
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void expect_refusal(const char *folder, enum error_code code, const char *words)
{
    cleanup_free char *path = folder_path(folder, "history.sqlite");
    struct history *history;
    struct error err;

    assert_int_equal(history_open(path, KEPT, &history, &err), -1);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.text, words));
    assert_non_null(strstr(err.text, path));
}

static void a_newer_schema_is_refused_by_name(void **state)
{
    history_close(open_history(*state));
    with_sqlite(*state, "PRAGMA user_version = 2");
    expect_refusal(*state, ERROR_REFUSED, "has version 2, this program knows 1");
}

static void what_is_no_table_is_refused(void **state)
{
    cleanup_free char *bytes = memory_zeroed(1, 5000);

    memset(bytes, 'x', 5000);
    folder_write(*state, "history.sqlite", bytes, 5000);
    expect_refusal(*state, ERROR_DAMAGE, "not a database");
}

/* What somebody else wrote into the table reads as far as it makes sense. */
static void strange_rows_do_no_harm(void **state)
{
    struct history *history;
    struct history_job *job;

    history_close(open_history(*state));
    with_sqlite(*state,
                "INSERT INTO jobs (id, name, counters, failures) VALUES "
                "(1, NULL, NULL, NULL), (2, 'x', '[1,2]', '{\"a\":1}'), "
                "(3, 'x', '{\"a\":\"b\"}', '[1,null,{\"kind\":\"x\"}]'), (4, 'x', '{', 7)");
    history = open_history(*state);
    for (uint64_t id = 1; id <= 4; id++) {
        job = history_find(history, id);
        assert_non_null(job);
        assert_true(job->name && job->state && job->error);
        history_job_free(job);
    }
    history_close(history);
}

/* The disk takes nothing more: those added are missing, those before are there. */
static void a_failure_to_write_is_survived(void **state)
{
    struct rlimit none = {0, RLIM_INFINITY}, before;
    struct history *history = open_history(*state);

    history_add(history, make(1));
    expect_found(history, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    history_add(history, make(2));
    assert_null(history_find(history, 2));
    expect_found(history, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    history_add(history, make(3));
    expect_found(history, 3);
    expect_found(history, 1);
    history_close(history);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(a_job_comes_back_whole_at_once_and_after_a_restart),
        test(the_same_job_twice_is_one),
        test(the_newest_come_first_and_the_oldest_go),
        test(a_newer_schema_is_refused_by_name),
        test(what_is_no_table_is_refused),
        test(strange_rows_do_no_harm),
        test(a_failure_to_write_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
