/* Watching an executor: what stands still is ended, what moves or is our own work is not. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "worker/agent/watch.h"

enum { TIMEOUT_S = 30, PLENTY = 1 << 30 };

/* An executor with one task; it is this process itself, so that its memory can be read. */
static struct child *new_child(void)
{
    struct child *child = memory_zeroed(1, sizeof *child);

    child->slots = memory_zeroed(1, sizeof *child->slots);
    child->pid = getpid();
    child->held_count = 1;
    child->task_timeout = TIMEOUT_S;
    child->ended_slot = -1;
    return child;
}

static void free_child(struct child *child)
{
    free(child->slots);
    free(child);
}

/* Lets the watch of all slots believe that time has passed. */
static void pass(struct child *child, int64_t ms)
{
    for (int i = 0; i < LIMIT_THREADS; i++)
        child->watch[i].since_ms -= ms;
}

static void a_thread_that_finishes_nothing_for_so_long_is_named(void **state)
{
    struct child *child = new_child();

    (void)state;
    child->slots->slot[6].phase = SLOT_MAP;
    assert_false(watch_child(child, PLENTY));
    pass(child, TIMEOUT_S * 1000 - 5000);
    assert_false(watch_child(child, PLENTY));
    assert_int_equal(child->ended_by.code, ERROR_NONE);
    pass(child, 5000);
    assert_true(watch_child(child, PLENTY));
    assert_int_equal(child->ended_by.code, ERROR_TIMEOUT);
    assert_int_equal(child->ended_slot, 6);
    assert_non_null(strstr(child->ended_by.text, "task timeout of 30 s"));
    free_child(child);
}

static void whatever_moves_starts_the_time_anew(void **state)
{
    struct child *child = new_child();
    struct slot *slot = &child->slots->slot[0];

    (void)state;
    slot->phase = SLOT_REDUCE;
    for (int i = 0; i < 40; i++) {
        assert_false(watch_child(child, PLENTY));
        pass(child, TIMEOUT_S * 1000 + 1);
        if (i % 4 == 0)
            slot->ticks++;
        else if (i % 4 == 1)
            slot->task++;
        else if (i % 4 == 2)
            slot->attempt++;
        else
            slot->phase = slot->phase == SLOT_REDUCE ? SLOT_TEARDOWN : SLOT_REDUCE;
    }
    free_child(child);
}

static void our_own_work_and_waiting_are_not_timed(void **state)
{
    struct child *child = new_child();

    (void)state;
    child->slots->slot[0].phase = SLOT_HOST;
    assert_false(watch_child(child, PLENTY));
    pass(child, INT64_C(1000000000));
    assert_false(watch_child(child, PLENTY));
    /* What user code takes up again has its whole time. */
    child->slots->slot[0].phase = SLOT_MAP;
    assert_false(watch_child(child, PLENTY));
    assert_false(watch_child(child, PLENTY));
    free_child(child);
}

static void an_executor_without_tasks_is_left_alone(void **state)
{
    struct child *child = new_child();

    (void)state;
    child->slots->slot[0].phase = SLOT_MAP;
    watch_child(child, PLENTY);
    pass(child, TIMEOUT_S * 1000 + 1);
    child->held_count = 0;
    assert_false(watch_child(child, 0));
    free_child(child);
}

static void an_executor_that_outgrows_its_memory_is_ended(void **state)
{
    enum { PIECE = 8 << 20, PIECES = 80 };
    int fd = memfd_create("memory", MFD_CLOEXEC);
    struct child *child = new_child();
    void *maps[PIECES];

    (void)state;
    assert_false(watch_child(child, PLENTY));
    assert_int_equal(ftruncate(fd, PIECE), 0);
    /* The same memory many times over: resident is what is mapped, not what is taken. */
    for (int i = 0; i < PIECES; i++) {
        maps[i] = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
        assert_true(maps[i] != MAP_FAILED);
    }
    assert_true(child_resident(child) >= (uint64_t)PIECE * PIECES);
    assert_false(watch_child(child, (uint64_t)PLENTY * 16));
    assert_true(watch_child(child, 1 << 20));
    assert_int_equal(child->ended_by.code, ERROR_MEMORY);
    assert_int_equal(child->ended_slot, -1);
    assert_non_null(strstr(child->ended_by.text, "more than the 513 MiB that it may use"));
    for (int i = 0; i < PIECES; i++)
        munmap(maps[i], PIECE);
    close(fd);
    free_child(child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_finishes_nothing_for_so_long_is_named),
        cmocka_unit_test(whatever_moves_starts_the_time_anew),
        cmocka_unit_test(our_own_work_and_waiting_are_not_timed),
        cmocka_unit_test(an_executor_without_tasks_is_left_alone),
        cmocka_unit_test(an_executor_that_outgrows_its_memory_is_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
