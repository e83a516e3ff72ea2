/* The door: an agent opens what its executor may have, and nothing else. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/lib/folder.h"
#include "wire/bytes.h"
#include "worker/agent/core.h"
#include "worker/agent/door.h"

/* An executor that holds a map task of one input, of a job with one output of map task 3. */
struct house {
    char *folder, *input, *run, *staging;
    Mr__Extent extent, *extents[1];
    Mr__Assign task, *held[1];
    Mr__MapOutput output, *outputs[1];
    Mr__MapOutputs told, *list[1];
    Mr__JobOpen open;
    struct known_job job;
    struct child child;
};

static void set_up(struct house *house)
{
    struct stat st;

    *house = (struct house){.folder = folder_new()};
    folder_text(house->folder, "input", "an input\n");
    folder_text(house->folder, "run", "a run\n");
    folder_text(house->folder, "secret", "a secret\n");
    house->input = folder_path(house->folder, "input");
    house->run = folder_path(house->folder, "run");
    house->staging = folder_path(house->folder, "out.marram-1");
    assert_int_equal(mkdir(house->staging, 0700), 0);
    assert_int_equal(stat(house->input, &st), 0);
    mr__extent__init(&house->extent);
    house->extent.path = bytes_of(house->input);
    house->extent.file_size = (uint64_t)st.st_size;
    house->extent.file_mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    house->extents[0] = &house->extent;
    mr__assign__init(&house->task);
    house->task.extents = house->extents;
    house->task.n_extents = 1;
    house->held[0] = &house->task;
    mr__map_output__init(&house->output);
    house->output.task = 3;
    house->output.path = bytes_of(house->run);
    house->outputs[0] = &house->output;
    mr__map_outputs__init(&house->told);
    house->told.outputs = house->outputs;
    house->told.n_outputs = 1;
    house->list[0] = &house->told;
    mr__job_open__init(&house->open);
    house->open.staging = bytes_of(house->staging);
    house->job.open = &house->open;
    house->job.outputs = house->list;
    house->job.output_count = 1;
    house->child.held = house->held;
    house->child.held_count = 1;
}

static void tear_down(struct house *house)
{
    folder_remove(house->folder);
    free(house->input);
    free(house->run);
    free(house->staging);
}

static int ask(const struct house *house, enum door_kind kind, uint32_t hint, const char *path)
{
    struct door_request request = {.kind = (uint32_t)kind, .hint = hint};
    int files[DOOR_FILES], count;

    strcpy(request.path, path);
    errno = 0;
    count = door_open(&house->child, &house->job, &request, files);
    assert_true(count <= 1);
    return count > 0 ? files[0] : count;
}

static void expect_opened(int fd, const char *text)
{
    char got[64] = "";

    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof got), strlen(text));
    assert_string_equal(got, text);
    close(fd);
}

static void expect_refused(int fd, int error)
{
    assert_int_equal(fd, -1);
    assert_int_equal(errno, error);
}

static void inputs_of_held_tasks_and_told_outputs_are_opened(void **state)
{
    struct house house;

    (void)state;
    set_up(&house);
    expect_opened(ask(&house, DOOR_INPUT, 0, house.input), "an input\n");
    expect_opened(ask(&house, DOOR_RUN, 3, house.run), "a run\n");
    tear_down(&house);
}

/* Many small files are read one behind the other. */
static void the_inputs_behind_it_come_as_well(void **state)
{
    enum { MANY = DOOR_FILES + 10 };
    struct house house;
    struct door_request request = {.kind = DOOR_INPUT, .hint = 5};
    Mr__Extent *extents[MANY], gone = MR__EXTENT__INIT;
    int files[DOOR_FILES], count;

    (void)state;
    set_up(&house);
    strcpy(request.path, house.input);
    for (int i = 0; i < MANY; i++)
        extents[i] = &house.extent;
    house.task.extents = extents;
    house.task.n_extents = MANY;
    count = door_open(&house.child, &house.job, &request, files);
    assert_int_equal(count, DOOR_FILES);
    while (count)
        expect_opened(files[--count], "an input\n");
    request.hint = MANY - 2;
    count = door_open(&house.child, &house.job, &request, files);
    assert_int_equal(count, 2);
    while (count)
        expect_opened(files[--count], "an input\n");
    /* Up to the first that cannot be had. */
    gone.path = bytes_of("/none");
    extents[8] = &gone;
    request.hint = 5;
    count = door_open(&house.child, &house.job, &request, files);
    assert_int_equal(count, 3);
    while (count)
        expect_opened(files[--count], "an input\n");
    tear_down(&house);
}

static void whatever_else_is_asked_for_is_refused(void **state)
{
    struct house house;
    cleanup_free char *secret = NULL;

    (void)state;
    set_up(&house);
    secret = folder_path(house.folder, "secret");
    expect_refused(ask(&house, DOOR_INPUT, 0, secret), EACCES);
    expect_refused(ask(&house, DOOR_INPUT, 1, house.input), EACCES);
    expect_refused(ask(&house, DOOR_INPUT, 0, house.run), EACCES);
    expect_refused(ask(&house, DOOR_RUN, 3, house.input), EACCES);
    expect_refused(ask(&house, DOOR_RUN, 2, house.run), EACCES);
    expect_refused(ask(&house, DOOR_REMOVE, 0, secret), EACCES);
    expect_refused(ask(&house, (enum door_kind)0, 0, house.input), EACCES);
    expect_refused(ask(&house, (enum door_kind)77, 0, house.input), EACCES);
    assert_int_equal(access(secret, F_OK), 0);
    /* When the task is not held any more, its input is not either. */
    house.child.held_count = 0;
    expect_refused(ask(&house, DOOR_INPUT, 0, house.input), EACCES);
    tear_down(&house);
}

/* What user code may have put in the place of a file leads nowhere. */
static void links_and_changed_files_are_refused(void **state)
{
    struct house house;

    (void)state;
    set_up(&house);
    assert_int_equal(unlink(house.run), 0);
    assert_int_equal(symlink("secret", house.run), 0);
    expect_refused(ask(&house, DOOR_RUN, 3, house.run), ELOOP);
    assert_int_equal(unlink(house.run), 0);
    assert_int_equal(mkfifo(house.run, 0600), 0);
    expect_refused(ask(&house, DOOR_RUN, 3, house.run), EACCES);
    assert_int_equal(unlink(house.input), 0);
    assert_int_equal(symlink("secret", house.input), 0);
    expect_refused(ask(&house, DOOR_INPUT, 0, house.input), ESTALE);
    tear_down(&house);
}

static void parts_are_made_right_in_the_staging_folder(void **state)
{
    static const char *const wrong[] = {"/../part-x", "/other", "/part-1/../../secret",
                                        "x/part-1", ""};
    struct house house;
    cleanup_free char *part = NULL;
    int fd;

    (void)state;
    set_up(&house);
    part = memory_format("%s/part-00003.2", house.staging);
    for (int i = 0; i < 2; i++) {
        fd = ask(&house, DOOR_PART, 0, part);
        assert_true(fd >= 0);
        assert_int_equal(lseek(fd, 0, SEEK_END), 0);
        assert_int_equal(write(fd, "x", 1), 1);
        close(fd);
    }
    assert_int_equal(ask(&house, DOOR_REMOVE, 0, part), 0);
    expect_refused(ask(&house, DOOR_REMOVE, 0, part), ENOENT);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cleanup_free char *path = memory_format("%s%s", house.staging, wrong[i]);

        expect_refused(ask(&house, DOOR_PART, 0, path), EACCES);
        expect_refused(ask(&house, DOOR_REMOVE, 0, path), EACCES);
    }
    /* Before the job is planned there is no such folder. */
    house.open.staging = (ProtobufCBinaryData){0};
    expect_refused(ask(&house, DOOR_PART, 0, "/part-1"), EACCES);
    tear_down(&house);
}

/* Both sides over a socket; what makes no sense is noticed, and nothing waits. */
static void requests_travel_and_noise_is_noticed(void **state)
{
    struct house house;
    struct door_request request;
    int pair[2], given[2], taken[DOOR_FILES];

    (void)state;
    set_up(&house);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(door_hear(pair[0], &request), 0);
    /* The answer lies there already when the question is asked. */
    house.child.door = pair[0];
    given[0] = open(house.input, O_RDONLY);
    given[1] = open(house.run, O_RDONLY);
    door_answer(pair[0], given, 2, 0);
    door_answer(pair[0], NULL, 0, EACCES);
    door_answer(pair[0], NULL, 0, 0);
    assert_int_equal(door_ask(pair[1], DOOR_INPUT, 0, house.input, taken), 2);
    expect_opened(taken[0], "an input\n");
    expect_opened(taken[1], "a run\n");
    close(given[0]);
    close(given[1]);
    assert_int_equal(door_ask(pair[1], DOOR_RUN, 9, "/none", taken), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(door_ask(pair[1], DOOR_REMOVE, 9, "/none", taken), 0);
    assert_int_equal(door_hear(pair[0], &request), 1);
    assert_int_equal(request.kind, DOOR_INPUT);
    assert_string_equal(request.path, house.input);
    assert_true(door_serve(&house.child, &house.job));
    assert_int_equal(send(pair[1], "noise", 5, 0), 5);
    assert_false(door_serve(&house.child, &house.job));
    close(pair[1]);
    assert_false(door_serve(&house.child, &house.job));
    close(pair[0]);
    tear_down(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_of_held_tasks_and_told_outputs_are_opened),
        cmocka_unit_test(the_inputs_behind_it_come_as_well),
        cmocka_unit_test(whatever_else_is_asked_for_is_refused),
        cmocka_unit_test(links_and_changed_files_are_refused),
        cmocka_unit_test(parts_are_made_right_in_the_staging_folder),
        cmocka_unit_test(requests_travel_and_noise_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
