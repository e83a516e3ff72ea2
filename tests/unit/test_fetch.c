/* The shuffle over the wire: a fetch and shares on loopback. What arrives is what was written,
 * or there is an error that names a map task. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/lib/folder.h"
#include "tests/lib/shuffle.h"
#include "wire/link.h"
#include "worker/agent/fetch.h"
#include "worker/agent/share.h"

enum { SHARES = 2, DEADLINE_MS = 60000, JOB = 7 };

/* Shares with a scratch folder each, and one fetch. */
struct cluster {
    char *folder;
    char *scratch[SHARES];
    void *context;
    struct share *share[SHARES];
    struct fetch *fetch;
    struct wanted wanted;
};

static struct cluster open_cluster(void)
{
    struct cluster cluster = {.folder = folder_new(), .context = link_context_new()};
    struct error err;

    assert_non_null(cluster.context);
    for (int i = 0; i < SHARES; i++) {
        cleanup_free char *name = memory_format("worker-%d", i);

        cluster.scratch[i] = folder_path(cluster.folder, name);
        assert_int_equal(mkdir(cluster.scratch[i], 0700), 0);
        assert_int_equal(share_open(cluster.context, "tcp://127.0.0.1:0", NULL,
                                    cluster.scratch[i], &cluster.share[i], &err),
                         0);
    }
    assert_int_equal(fetch_open(cluster.context, NULL, &cluster.fetch, &err), 0);
    return cluster;
}

static void close_cluster(struct cluster *cluster)
{
    fetch_close(cluster->fetch);
    for (int i = 0; i < SHARES; i++) {
        share_close(cluster->share[i]);
        free(cluster->scratch[i]);
    }
    link_context_free(cluster->context);
    wanted_done(&cluster->wanted);
    folder_remove(cluster->folder);
}

static char *run_path(const struct cluster *cluster, uint32_t task)
{
    return memory_format("%s/map-%u.run", cluster->scratch[task % SHARES], task);
}

/* Runs of `maps` tasks, in turns on all shares. */
static void add_runs(struct cluster *cluster, uint32_t maps, const struct run_plan *plan)
{
    for (uint32_t task = 0; task < maps; task++) {
        cleanup_free char *path = run_path(cluster, task);

        run_make(path, task, plan);
        wanted_add(&cluster->wanted, task, run_id_of(task), path,
                   share_endpoint(cluster->share[task % SHARES]));
    }
}

static char *bundle_path(const struct cluster *cluster, uint32_t part)
{
    return memory_format("%s/%u.bundle", cluster->folder, part);
}

static void ask(struct cluster *cluster, uint32_t part)
{
    cleanup_free char *path = bundle_path(cluster, part);

    fetch_part(cluster->fetch, wanted_message(&cluster->wanted, JOB, part), path);
}

static struct fetch_result next_result(struct fetch *fetch)
{
    struct pollfd ready = {fetch_fd(fetch), POLLIN, 0};
    struct fetch_result result;

    do {
        if (poll(&ready, 1, DEADLINE_MS) != 1)
            fail_msg("no result came");
    } while (!fetch_take(fetch, &result));
    return result;
}

/* Asks for a part and expects all of it. */
static void expect_part(struct cluster *cluster, uint32_t part)
{
    struct fetch_result result;

    ask(cluster, part);
    result = next_result(cluster->fetch);
    assert_string_equal(result.error.text, "");
    assert_int_equal(result.error.code, ERROR_NONE);
    assert_int_equal(result.job, JOB);
    assert_int_equal(result.part, part);
    expect_bundle(result.path, &cluster->wanted, part);
    assert_int_equal(unlink(result.path), 0);
    free(result.path);
}

/* Asks for a part and expects that it fails, with no file left. */
static struct fetch_result expect_failure(struct cluster *cluster, uint32_t part,
                                          enum error_code code)
{
    struct fetch_result result;

    ask(cluster, part);
    result = next_result(cluster->fetch);
    assert_int_equal(result.error.code, code);
    assert_true(result.error.text[0]);
    assert_int_equal(result.part, part);
    assert_int_equal(access(result.path, F_OK), -1);
    free(result.path);
    result.path = NULL;
    return result;
}

static void expect_lost(struct cluster *cluster, uint32_t lost_map, const char *why)
{
    struct fetch_result result = expect_failure(cluster, 0, ERROR_FETCH);

    assert_int_equal(result.lost_map, lost_map);
    assert_non_null(strstr(result.error.text, why));
}

/* ---- What arrives ---- */

static void thousands_of_small_segments_arrive(void **state)
{
    struct cluster cluster = open_cluster();

    (void)state;
    add_runs(&cluster, 40, &(struct run_plan){2, 100, 3, 10});
    expect_part(&cluster, 0);
    expect_part(&cluster, 1);
    close_cluster(&cluster);
}

static void a_large_segment_arrives(void **state)
{
    struct cluster cluster = open_cluster();
    cleanup_free char *path = run_path(&cluster, 0);
    struct stat st;

    (void)state;
    add_runs(&cluster, 3, &(struct run_plan){1, 1, 52000, 1000});
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 50 << 20);
    expect_part(&cluster, 0);
    close_cluster(&cluster);
}

static void a_block_larger_than_a_message_arrives(void **state)
{
    struct cluster cluster = open_cluster();

    (void)state;
    add_runs(&cluster, 2, &(struct run_plan){1, 2, 2, 3 << 20});
    expect_part(&cluster, 0);
    close_cluster(&cluster);
}

static void runs_without_the_part_and_empty_segments_are_fine(void **state)
{
    struct cluster cluster = open_cluster();

    (void)state;
    add_runs(&cluster, 4, &(struct run_plan){1, 2, 0, 0});
    expect_part(&cluster, 0);
    expect_part(&cluster, 1);
    wanted_done(&cluster.wanted);
    expect_part(&cluster, 0); /* of nothing at all */
    close_cluster(&cluster);
}

static void many_parts_at_once_arrive(void **state)
{
    enum { PARTS = 100 };
    struct cluster cluster = open_cluster();
    bool seen[PARTS] = {false};

    (void)state;
    add_runs(&cluster, 20, &(struct run_plan){PARTS, 1, 50, 100});
    for (uint32_t part = 0; part < PARTS; part++)
        ask(&cluster, part);
    for (int i = 0; i < PARTS; i++) {
        struct fetch_result result = next_result(cluster.fetch);

        assert_int_equal(result.error.code, ERROR_NONE);
        assert_true(result.part < PARTS && !seen[result.part]);
        seen[result.part] = true;
        expect_bundle(result.path, &cluster.wanted, result.part);
        free(result.path);
    }
    close_cluster(&cluster);
}

/* ---- What may not be had ---- */

static void another_run_id_is_refused(void **state)
{
    struct cluster cluster = open_cluster();

    (void)state;
    add_runs(&cluster, 5, &(struct run_plan){1, 1, 10, 10});
    expect_part(&cluster, 0);
    cluster.wanted.outputs[3].run_id++;
    expect_lost(&cluster, 3, "is another's");
    close_cluster(&cluster);
}

static void a_run_that_is_gone_is_named(void **state)
{
    struct cluster cluster = open_cluster();
    cleanup_free char *path = run_path(&cluster, 2);

    (void)state;
    add_runs(&cluster, 5, &(struct run_plan){1, 1, 10, 10});
    assert_int_equal(unlink(path), 0);
    expect_lost(&cluster, 2, "No such file");
    close_cluster(&cluster);
}

static void set_path(struct cluster *cluster, const char *path)
{
    ProtobufCBinaryData *bytes = &cluster->wanted.outputs[0].path;

    free(bytes->data);
    *bytes = (ProtobufCBinaryData){strlen(path), (uint8_t *)memory_text(path)};
}

/* The same run everywhere: only where it lies makes the difference. */
static void files_outside_the_scratch_folder_are_refused(void **state)
{
    struct run_plan plan = {1, 1, 10, 10};
    struct cluster cluster = open_cluster();
    const char *scratch = cluster.scratch[0];
    cleanup_free char *outside = folder_path(cluster.folder, "outside.run"),
                      *within = folder_path(scratch, "deep/er/0.run"),
                      *up = folder_path(scratch, "../outside.run"),
                      *round_about = folder_path(scratch, "deep/../deep/er/0.run"),
                      *link = folder_path(scratch, "link.run"),
                      *folder_link = folder_path(scratch, "linked"),
                      *through = folder_path(scratch, "linked/outside.run"),
                      *fifo = folder_path(scratch, "fifo"),
                      *folder = folder_path(scratch, "deep"),
                      *longer = memory_format("%s-not/0.run", scratch);

    (void)state;
    folder_text(scratch, "deep/er/x", "");
    run_make(outside, 0, &plan);
    run_make(within, 0, &plan);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(symlink(cluster.folder, folder_link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    wanted_add(&cluster.wanted, 0, run_id_of(0), within, share_endpoint(cluster.share[0]));
    expect_part(&cluster, 0);
    set_path(&cluster, outside);
    expect_lost(&cluster, 0, "not in the folder of runs");
    set_path(&cluster, longer);
    expect_lost(&cluster, 0, "not in the folder of runs");
    set_path(&cluster, up);
    expect_lost(&cluster, 0, "Invalid argument");
    set_path(&cluster, round_about);
    expect_lost(&cluster, 0, "Invalid argument");
    assert_int_equal(access(link, R_OK), 0);
    set_path(&cluster, link);
    expect_lost(&cluster, 0, "symbolic links");
    assert_int_equal(access(through, R_OK), 0);
    set_path(&cluster, through);
    expect_lost(&cluster, 0, "Not a directory");
    set_path(&cluster, fifo);
    expect_lost(&cluster, 0, "is not a file");
    set_path(&cluster, folder);
    expect_lost(&cluster, 0, "is not a file");
    set_path(&cluster, within);
    expect_part(&cluster, 0);
    close_cluster(&cluster);
}

static void a_flipped_byte_is_found_where_it_is(void **state)
{
    struct cluster cluster = open_cluster();
    cleanup_free char *path = run_path(&cluster, 1);
    char byte;
    int fd;

    (void)state;
    add_runs(&cluster, 3, &(struct run_plan){1, 1, 10000, 100});
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, 700000), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, 700000), 1);
    expect_lost(&cluster, 1, "checksum differs");
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, 700000), 1);
    expect_part(&cluster, 0);
    close(fd);
    close_cluster(&cluster);
}

/* ---- Our own side ---- */

static void a_dropped_job_leaves_nothing(void **state)
{
    struct cluster cluster = open_cluster();
    cleanup_free char *taken = bundle_path(&cluster, 0), *path = bundle_path(&cluster, 1);
    struct pollfd ready = {fetch_fd(cluster.fetch), POLLIN, 0};
    struct fetch_result result;
    int64_t end_ms = clock_ms() + DEADLINE_MS;

    (void)state;
    add_runs(&cluster, 2, &(struct run_plan){2, 1, 5000, 1000});
    ask(&cluster, 0);
    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1); /* a result that nobody takes */
    assert_int_equal(access(taken, F_OK), 0);
    ask(&cluster, 1);
    assert_int_equal(access(path, F_OK), 0);
    fetch_drop_job(cluster.fetch, JOB);
    assert_false(fetch_take(cluster.fetch, &result));
    assert_int_equal(access(taken, F_OK), -1);
    while (!access(path, F_OK) && clock_ms() < end_ms)
        poll(NULL, 0, 1);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(fetch_take(cluster.fetch, &result));
    expect_part(&cluster, 1);
    close_cluster(&cluster);
}

static void a_bundle_that_cannot_be_created_is_an_error(void **state)
{
    struct cluster cluster = open_cluster();
    cleanup_free char *path = bundle_path(&cluster, 0);
    struct fetch_result result;

    (void)state;
    add_runs(&cluster, 1, &(struct run_plan){1, 1, 1, 1});
    assert_int_equal(mkdir(path, 0700), 0);
    ask(&cluster, 0);
    result = next_result(cluster.fetch);
    assert_int_equal(result.error.code, ERROR_IO);
    free(result.path);
    close_cluster(&cluster);
}

/* Bundles go to a file system of 1 MiB, in a mount namespace of its own where one is allowed:
 * before the threads begin, so that it is theirs too. */
static void a_full_disk_is_told_apart(void **state)
{
    char *disk = folder_new(), *path;
    struct fetch_result result;
    struct cluster cluster;

    (void)state;
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", disk, "tmpfs", 0, "size=1m")) {
        folder_remove(disk);
        print_message("skipped: mounting a file system is not allowed here\n");
        skip();
    }
    cluster = open_cluster();
    add_runs(&cluster, 4, &(struct run_plan){2, 1, 500, 1000});
    path = folder_path(disk, "bundle");
    fetch_part(cluster.fetch, wanted_message(&cluster.wanted, JOB, 0), path);
    result = next_result(cluster.fetch);
    assert_int_equal(result.error.code, ERROR_SPACE);
    assert_int_equal(access(path, F_OK), -1);
    free(result.path);
    expect_part(&cluster, 0); /* where there is room */
    free(path);
    close_cluster(&cluster);
    assert_int_equal(umount(disk), 0);
    folder_remove(disk);
}

/* ---- Ahead ---- */

static struct fetch_result ahead(struct cluster *cluster, uint32_t part)
{
    cleanup_free char *path = bundle_path(cluster, part);

    fetch_ahead(cluster->fetch, wanted_message(&cluster->wanted, JOB, part), path);
    return next_result(cluster->fetch);
}

static void what_is_fetched_ahead_stays_within_its_limit(void **state)
{
    struct cluster cluster = open_cluster();
    struct fetch_result first, second;

    (void)state;
    add_runs(&cluster, 2, &(struct run_plan){2, 1, 500, 1000});
    first = ahead(&cluster, 0);
    assert_int_equal(first.error.code, ERROR_SPACE); /* the limit is 0 */
    free(first.path);
    fetch_ahead_limit(cluster.fetch, 1500000);
    first = ahead(&cluster, 0);
    assert_int_equal(first.error.code, ERROR_NONE);
    assert_true(first.ahead);
    assert_true(first.bytes >= 1000000);
    assert_int_equal(fetch_ahead_held(cluster.fetch), first.bytes);
    expect_bundle(first.path, &cluster.wanted, 0);
    second = ahead(&cluster, 1);
    assert_int_equal(second.error.code, ERROR_SPACE);
    assert_int_equal(access(second.path, F_OK), -1);
    assert_int_equal(fetch_ahead_held(cluster.fetch), first.bytes);
    free(second.path);
    expect_part(&cluster, 1); /* which a reducer waits for: there is no limit */
    fetch_ahead_return(cluster.fetch, first.bytes);
    second = ahead(&cluster, 1);
    assert_int_equal(second.error.code, ERROR_NONE);
    assert_int_equal(unlink(first.path), 0);
    assert_int_equal(unlink(second.path), 0);
    free(first.path);
    free(second.path);
    close_cluster(&cluster);
}

static void what_is_fetched_ahead_of_one_part_is_dropped_alone(void **state)
{
    struct cluster cluster = open_cluster();
    cleanup_free char *dropped = folder_path(cluster.folder, "dropped");
    struct fetch_result result;
    int64_t end_ms = clock_ms() + DEADLINE_MS;

    (void)state;
    add_runs(&cluster, 2, &(struct run_plan){2, 1, 5000, 1000});
    fetch_ahead_limit(cluster.fetch, 1 << 30);
    fetch_ahead(cluster.fetch, wanted_message(&cluster.wanted, JOB, 0), dropped);
    ask(&cluster, 0);
    fetch_drop_ahead(cluster.fetch, JOB, 1);
    fetch_drop_ahead(cluster.fetch, JOB, 0);
    result = next_result(cluster.fetch);
    assert_int_equal(result.error.code, ERROR_NONE);
    assert_false(result.ahead);
    expect_bundle(result.path, &cluster.wanted, 0);
    unlink(result.path);
    free(result.path);
    /* And the other way round. */
    result = ahead(&cluster, 1);
    fetch_drop_waited(cluster.fetch, JOB);
    assert_int_equal(access(result.path, F_OK), 0);
    fetch_ahead_return(cluster.fetch, result.bytes);
    unlink(result.path);
    free(result.path);
    while ((!access(dropped, F_OK) || fetch_ahead_held(cluster.fetch)) && clock_ms() < end_ms)
        poll(NULL, 0, 1);
    assert_int_equal(access(dropped, F_OK), -1);
    assert_int_equal(fetch_ahead_held(cluster.fetch), 0);
    assert_false(fetch_take(cluster.fetch, &result));
    close_cluster(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_of_small_segments_arrive),
        cmocka_unit_test(a_large_segment_arrives),
        cmocka_unit_test(a_block_larger_than_a_message_arrives),
        cmocka_unit_test(runs_without_the_part_and_empty_segments_are_fine),
        cmocka_unit_test(many_parts_at_once_arrive),
        cmocka_unit_test(another_run_id_is_refused),
        cmocka_unit_test(a_run_that_is_gone_is_named),
        cmocka_unit_test(files_outside_the_scratch_folder_are_refused),
        cmocka_unit_test(a_flipped_byte_is_found_where_it_is),
        cmocka_unit_test(a_dropped_job_leaves_nothing),
        cmocka_unit_test(a_bundle_that_cannot_be_created_is_an_error),
        cmocka_unit_test(a_full_disk_is_told_apart),
        cmocka_unit_test(what_is_fetched_ahead_stays_within_its_limit),
        cmocka_unit_test(what_is_fetched_ahead_of_one_part_is_dropped_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
