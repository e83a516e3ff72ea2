/* Who is to blame for an executor's death: read from its slots, as its threads left them. */
#include "tests/lib/cmocka_all.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "worker/agent/blame.h"

enum { TASKS = 3 };

/* An executor that holds map tasks 0, 1, 2 of one attempt each, all of file 5. */
struct scene {
    struct child *child;
    Mr__Assign tasks[TASKS], *held[TASKS];
    Mr__Extent extent, *extents[1];
    struct verdict verdicts[TASKS];
};

static struct scene *new_scene(void)
{
    struct scene *scene = memory_zeroed(1, sizeof *scene);

    scene->child = memory_zeroed(1, sizeof *scene->child);
    scene->child->slots = memory_zeroed(1, sizeof *scene->child->slots);
    scene->child->ended_slot = -1;
    mr__extent__init(&scene->extent);
    scene->extent.file = 5;
    scene->extent.path =
        (ProtobufCBinaryData){7, (uint8_t *)"/data/x and what is not the path"};
    scene->extents[0] = &scene->extent;
    for (uint32_t i = 0; i < TASKS; i++) {
        mr__assign__init(&scene->tasks[i]);
        scene->tasks[i].kind = MR__TASK_KIND__MAP;
        scene->tasks[i].task = i;
        scene->tasks[i].attempt = 1;
        scene->tasks[i].extents = scene->extents;
        scene->tasks[i].n_extents = 1;
        scene->held[i] = &scene->tasks[i];
    }
    scene->child->held = scene->held;
    scene->child->held_count = TASKS;
    return scene;
}

static void free_scene(struct scene *scene)
{
    free(scene->child->slots);
    free(scene->child);
    free(scene);
}

/* Thread `thread` is in `phase` of map task `task`. */
static struct slot *work(struct scene *scene, int thread, uint32_t task, enum slot_phase phase)
{
    struct slot *slot = &scene->child->slots->slot[thread];

    slot->phase = phase;
    slot->kind = MR__TASK_KIND__MAP;
    slot->task = task;
    slot->attempt = 1;
    slot->file = 5;
    slot->offset = 17;
    slot->length = 400;
    return slot;
}

/* Each task's verdict as a letter: b(lamed), s(uspect), i(nnocent). */
static void expect_verdicts(struct scene *scene, int status, const char *letters)
{
    blame(scene->child, status, scene->verdicts);
    for (int i = 0; i < TASKS; i++) {
        const struct verdict *verdict = &scene->verdicts[i];

        assert_false(verdict->blamed && verdict->suspect);
        assert_int_equal(verdict->blamed ? 'b' : verdict->suspect ? 's' : 'i', letters[i]);
        if (letters[i] == 'i')
            assert_int_equal(verdict->error.code, ERROR_LOST);
    }
}

static void expect_text(const struct scene *scene, int task, enum error_code code,
                        const char *text)
{
    assert_int_equal(scene->verdicts[task].error.code, code);
    assert_string_equal(scene->verdicts[task].error.text, text);
}

static void the_task_of_the_thread_that_raised_the_signal_is_blamed(void **state)
{
    struct scene *scene = new_scene();
    struct slot *slot = work(scene, 9, 1, SLOT_MAP);

    (void)state;
    work(scene, 0, 0, SLOT_MAP);
    work(scene, 1, 2, SLOT_MAP);
    slot->fault = SIGSEGV;
    slot->single = 1;
    expect_verdicts(scene, SIGSEGV, "ibi");
    expect_text(
        scene, 1, ERROR_CRASH,
        "killed by signal 11 (Segmentation fault) in map, record at '/data/x' offset 17");
    slot->single = 0;
    memcpy(slot->status, "at step 3", 10);
    expect_verdicts(scene, SIGKILL, "ibi");
    expect_text(
        scene, 1, ERROR_CRASH,
        "killed by signal 11 (Segmentation fault) in map, block at '/data/x' offset 17 of 400 "
        "bytes (at step 3)");
    free_scene(scene);
}

static void exit_is_called_by_its_name(void **state)
{
    struct scene *scene = new_scene();

    (void)state;
    work(scene, 3, 0, SLOT_SETUP)->fault = SLOT_EXITED;
    expect_verdicts(scene, 3 << 8, "bii");
    expect_text(scene, 0, ERROR_CRASH, "the job called exit(3) in setup");
    free_scene(scene);
}

static void several_tasks_in_user_code_are_suspects(void **state)
{
    struct scene *scene = new_scene();

    (void)state;
    work(scene, 0, 0, SLOT_MAP);
    work(scene, 1, 2, SLOT_FINISH);
    work(scene, 2, 1, SLOT_HOST);
    expect_verdicts(scene, SIGKILL, "sis");
    expect_text(scene, 2, ERROR_CRASH,
                "killed by signal 9 (Killed) in finish, or on another of 2 threads");
    free_scene(scene);
}

static void the_only_task_in_user_code_is_blamed(void **state)
{
    struct scene *scene = new_scene();

    (void)state;
    work(scene, 0, 0, SLOT_HOST);
    work(scene, 1, 1, SLOT_TEARDOWN);
    work(scene, 2, 1, SLOT_MAP); /* two threads of one task are one suspect */
    expect_verdicts(scene, 5 << 8, "ibi");
    expect_text(scene, 1, ERROR_CRASH,
                "the job ended its process with status 5 in teardown, or on another of 2 "
                "threads");
    free_scene(scene);
}

/* The thread that sent it may have gone on to its next chunk: the record of the only one in
 * user code is as good as any. */
static void after_a_signal_to_the_process_no_record_is_certain(void **state)
{
    struct scene *scene = new_scene();
    struct slot *slot = work(scene, 0, 1, SLOT_MAP);

    (void)state;
    slot->single = 1;
    work(scene, 1, 1, SLOT_HOST);
    expect_verdicts(scene, SIGBUS, "ibi");
    expect_text(scene, 1, ERROR_CRASH,
                "killed by signal 7 (Bus error) in map, or on another thread");
    assert_false(scene->verdicts[1].certain);
    /* No other thread is at work, but one may just have ended its part. */
    work(scene, 1, 1, SLOT_IDLE);
    expect_verdicts(scene, SIGBUS, "ibi");
    assert_false(scene->verdicts[1].certain);
    /* SIGKILL lets nobody go on. */
    expect_verdicts(scene, SIGKILL, "ibi");
    assert_true(scene->verdicts[1].certain);
    /* Nor is there anybody else in an attempt of one thread. */
    slot->lone = 1;
    expect_verdicts(scene, SIGBUS, "ibi");
    expect_text(scene, 1, ERROR_CRASH,
                "killed by signal 7 (Bus error) in map, record at '/data/x' offset 17");
    assert_true(scene->verdicts[1].certain);
    free_scene(scene);
}

static void after_a_signal_to_the_process_tasks_in_our_code_are_suspects_too(void **state)
{
    struct scene *scene = new_scene();

    (void)state;
    work(scene, 0, 0, SLOT_REDUCE)->lone = 1;
    scene->child->slots->slot[0].kind = MR__TASK_KIND__REDUCE;
    scene->tasks[0].kind = MR__TASK_KIND__REDUCE;
    expect_verdicts(scene, SIGBUS, "bii");
    assert_true(scene->verdicts[0].certain);
    work(scene, 1, 1, SLOT_HOST);
    scene->child->slots->slot[1].kind = MR__TASK_KIND__REDUCE;
    scene->tasks[1].kind = MR__TASK_KIND__REDUCE;
    expect_verdicts(scene, SIGBUS, "ssi");
    assert_false(scene->verdicts[0].certain || scene->verdicts[1].certain);
    free_scene(scene);
}

/* What is found in a search says where the next one goes on: at the record, or with the records
 * that the key came from. */
static void a_search_tells_how_far_it_got(void **state)
{
    struct scene *scene = new_scene();
    struct slot *slot = work(scene, 0, 1, SLOT_MAP);

    (void)state;
    slot->single = slot->lone = 1;
    expect_verdicts(scene, SIGKILL, "ibi");
    assert_null(scene->verdicts[1].culprit.message.sifted);
    slot->sifts = 1;
    slot->sift_file = 4;
    slot->sift_offset = 11;
    expect_verdicts(scene, SIGKILL, "ibi");
    assert_int_equal(scene->verdicts[1].culprit.message.sifted->file, 5);
    assert_int_equal(scene->verdicts[1].culprit.message.sifted->offset, 17);
    slot->phase = SLOT_COMBINE;
    expect_verdicts(scene, SIGKILL, "ibi");
    assert_int_equal(scene->verdicts[1].culprit.message.sifted->file, 4);
    assert_int_equal(scene->verdicts[1].culprit.message.sifted->offset, 11);
    free_scene(scene);
}

static void without_user_code_running_those_at_work_are_suspects(void **state)
{
    struct scene *scene = new_scene();

    (void)state;
    work(scene, 0, 0, SLOT_HOST);
    work(scene, 1, 1, SLOT_HOST);
    expect_verdicts(scene, SIGKILL, "ssi");
    expect_text(scene, 0, ERROR_CRASH, "killed by signal 9 (Killed) in Marram's own code");
    free_scene(scene);
}

static void slots_of_tasks_that_are_not_held_count_for_nobody(void **state)
{
    struct scene *scene = new_scene();

    (void)state;
    expect_verdicts(scene, SIGKILL, "iii");
    work(scene, 0, 0, SLOT_IDLE);
    work(scene, 1, 7, SLOT_MAP);
    work(scene, 2, 1, SLOT_MAP)->attempt = 2;
    work(scene, 3, 2, SLOT_MAP)->kind = MR__TASK_KIND__REDUCE;
    expect_verdicts(scene, SIGKILL, "iii");
    free_scene(scene);
}

static void a_timeout_is_told_with_the_place_that_stood_still(void **state)
{
    struct scene *scene = new_scene();

    (void)state;
    work(scene, 0, 0, SLOT_MAP);
    work(scene, 1, 1, SLOT_MAP)->single = 1;
    scene->child->ended_slot = 1;
    error_set(&scene->child->ended_by, ERROR_TIMEOUT, "no record finished: ended");
    expect_verdicts(scene, SIGKILL, "ibi");
    expect_text(scene, 1, ERROR_TIMEOUT,
                "no record finished: ended in map, record at '/data/x' offset 17");
    free_scene(scene);
}

/* What blame_place says of a reduce of `key`. */
static void expect_key(const void *key, uint32_t length, const char *expected)
{
    struct scene *scene = new_scene();
    struct slot *slot = work(scene, 0, 0, SLOT_REDUCE);
    char text[1024];

    slot->key_length = length;
    memcpy(slot->key, key, length < SLOT_TEXT ? length : SLOT_TEXT);
    blame_place(scene->child, slot, text, sizeof text);
    assert_string_equal(text, expected);
    free_scene(scene);
}

static void keys_are_shown_as_text(void **state)
{
    char key[300], expected[320];

    (void)state;
    expect_key("", 0, "in reduce, key ''");
    expect_key("the\0key\n\xff", 9, "in reduce, key 'the\\x00key\\x0a\\xff'");
    memset(key, 'k', sizeof key);
    strcpy(expected, "in reduce, key '");
    memset(expected + 16, 'k', SLOT_TEXT);
    strcpy(expected + 16 + SLOT_TEXT, "'");
    expect_key(key, SLOT_TEXT, expected);
    strcpy(expected + 16 + SLOT_TEXT, "...'");
    expect_key(key, sizeof key, expected);
    expect_key(key, UINT32_MAX, expected);
}

static void a_binary_key_that_is_cut_says_so(void **state)
{
    struct scene *scene = new_scene();
    struct slot *slot = work(scene, 0, 0, SLOT_REDUCE);
    char text[1024];

    (void)state;
    slot->key_length = SLOT_TEXT;
    memset(slot->key, 1, SLOT_TEXT);
    blame_place(scene->child, slot, text, sizeof text);
    assert_string_equal(text + strlen(text) - 8, "\\x01...'");
    free_scene(scene);
}

static void slots_that_hold_nonsense_are_survived(void **state)
{
    struct scene *scene = new_scene();
    char *path = memory_zeroed(1, 5000);

    (void)state;
    /* User code can write over all of them. */
    memset(scene->child->slots->slot, 0xff, sizeof scene->child->slots->slot);
    expect_verdicts(scene, SIGKILL, "iii");
    struct slot *slot = work(scene, 2, 0, SLOT_MAP);
    memset(path, 'p', 4999);
    scene->extent.path = (ProtobufCBinaryData){5000, (uint8_t *)path};
    slot->single = 1;
    expect_verdicts(scene, SIGKILL, "iii"); /* slot 0 claims to be the culprit */
    for (int i = 0; i < LIMIT_THREADS; i++)
        scene->child->slots->slot[i].fault = 0;
    expect_verdicts(scene, SIGKILL, "bii");
    assert_true(strlen(scene->verdicts[0].error.text) < sizeof scene->verdicts[0].error.text);
    work(scene, 2, 0, (enum slot_phase)1000);
    expect_verdicts(scene, SIGKILL, "bii");
    free(path);
    free_scene(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_task_of_the_thread_that_raised_the_signal_is_blamed),
        cmocka_unit_test(exit_is_called_by_its_name),
        cmocka_unit_test(several_tasks_in_user_code_are_suspects),
        cmocka_unit_test(the_only_task_in_user_code_is_blamed),
        cmocka_unit_test(after_a_signal_to_the_process_no_record_is_certain),
        cmocka_unit_test(after_a_signal_to_the_process_tasks_in_our_code_are_suspects_too),
        cmocka_unit_test(a_search_tells_how_far_it_got),
        cmocka_unit_test(without_user_code_running_those_at_work_are_suspects),
        cmocka_unit_test(slots_of_tasks_that_are_not_held_count_for_nobody),
        cmocka_unit_test(a_timeout_is_told_with_the_place_that_stood_still),
        cmocka_unit_test(keys_are_shown_as_text),
        cmocka_unit_test(a_binary_key_that_is_cut_says_so),
        cmocka_unit_test(slots_that_hold_nonsense_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
