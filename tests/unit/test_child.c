/* Executors as processes: started, killed with all that they left behind, and the tasks that
 * they hold. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/lib/folder.h"
#include "worker/agent/child.h"
#include "worker/agent/strays.h"

enum { PATIENCE_MS = 10000 };

/* Starts a shell script in the executor's place. */
static struct child *spawn(const char *folder, const char *script)
{
    cleanup_free char *text = memory_format("#!/bin/sh\n%s\n", script);
    cleanup_free char *path = folder_path(folder, "executor");
    struct error err = {0};
    struct child *child;

    folder_text(folder, "executor", text);
    assert_int_equal(chmod(path, 0700), 0);
    if (child_spawn(path, 3, NULL, &child, &err))
        fail_msg("%s", err.text);
    return child;
}

/* Waits until the executor says a line, and returns its number. */
static int await_number(struct child *child)
{
    char text[32];
    size_t used = 0;

    while (used + 1 < sizeof text && (!used || text[used - 1] != '\n')) {
        struct pollfd ready = {child->output, POLLIN, 0};

        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        assert_int_equal(read(child->output, text + used, 1), 1);
        used++;
    }
    text[used] = '\0';
    return atoi(text);
}

static void await_end(const struct child *child)
{
    struct pollfd ready = {child->pidfd, POLLIN, 0};

    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

static void expect_gone(pid_t pid)
{
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void the_exit_status_and_the_last_words_are_kept(void **state)
{
    char *folder = folder_new();
    struct child *child = spawn(folder, "echo out; echo err >&2; exit 7");
    cleanup_free char *text = NULL;
    int status;

    (void)state;
    await_end(child);
    child_kill(child, &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    while (tail_drain(&child->tail, child->output))
        ;
    text = tail_text(&child->tail);
    assert_string_equal(text, "out\nerr\n");
    child_free(child);
    folder_remove(folder);
}

static void an_executor_finds_its_channel_slots_and_settings(void **state)
{
    char *folder = folder_new();
    struct child *child;
    cleanup_free char *text = NULL;

    (void)state;
    setenv("OMP_NUM_THREADS", "99", 1);
    setenv("OMP_SCHEDULE", "dynamic", 1);
    child = spawn(folder, "for n in 0 1 2 3 4 5 6 7 8 9; do "
                          "[ -e /proc/$$/fd/$n ] && printf '%s ' $n; done; "
                          "[ -S /proc/$$/fd/3 ] && echo channel; "
                          "env | grep ^OMP_ | sort; "
                          "[ $MARRAM_AGENT_PID = $PPID ] && echo parent");
    await_end(child);
    child_kill(child, NULL);
    while (tail_drain(&child->tail, child->output))
        ;
    text = tail_text(&child->tail);
    assert_string_equal(text, "0 1 2 3 4 5 channel\nOMP_DYNAMIC=false\nOMP_NUM_THREADS=3\n"
                              "OMP_STACKSIZE=8M\nOMP_WAIT_POLICY=passive\nparent\n");
    assert_int_equal(child->slots->version, SLOTS_VERSION);
    child_free(child);
    folder_remove(folder);
}

static void a_program_that_is_missing_is_named(void **state)
{
    struct error err = {0};
    struct child *child = NULL;

    (void)state;
    assert_int_equal(child_spawn("/none/executor", 1, NULL, &child, &err), -1);
    assert_null(child);
    assert_non_null(strstr(err.text, "start '/none/executor': No such file or directory"));
    child_free(NULL);
    child_kill(NULL, NULL);
}

static void killing_an_executor_kills_what_it_started(void **state)
{
    char *folder = folder_new();
    struct child *child = spawn(folder, "sleep 1000 & echo $!; wait");
    pid_t below = await_number(child);
    int status;

    (void)state;
    child_kill(child, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect_gone(below);
    child_free(child);
    folder_remove(folder);
}

static void strays_in_sessions_of_their_own_are_found(void **state)
{
    char *folder = folder_new();
    struct child *child, *other;
    pid_t stray, bystander;

    (void)state;
    other = spawn(folder, "echo $$; exec sleep 1000");
    bystander = await_number(other);
    child = spawn(folder, "setsid sh -c 'echo $$; exec sleep 1000' & exit 0");
    stray = await_number(child);
    await_end(child);
    assert_int_equal(kill(stray, 0), 0);
    child_kill(child, NULL);
    expect_gone(stray);
    /* Another executor of the same agent is no stray. */
    assert_int_equal(bystander, other->pid);
    assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
    child_kill(other, NULL);
    expect_gone(bystander);
    child_free(child);
    child_free(other);
    folder_remove(folder);
}

static Mr__Assign *new_task(Mr__TaskKind kind, uint32_t task, uint32_t attempt)
{
    Mr__Assign *assign = memory_new(sizeof *assign);

    mr__assign__init(assign);
    assign->kind = kind;
    assign->task = task;
    assign->attempt = attempt;
    return assign;
}

static void held_tasks_are_dropped_by_kind_number_and_attempt(void **state)
{
    char *folder = folder_new();
    struct child *child = spawn(folder, "exec sleep 1000");

    (void)state;
    for (uint32_t task = 0; task < 20; task++) {
        child_hold(child, new_task(MR__TASK_KIND__MAP, task, 1));
        child_hold(child, new_task(MR__TASK_KIND__REDUCE, task, 1));
    }
    assert_false(child_drop(child, MR__TASK_KIND__MAP, 3, 2));
    assert_false(child_drop(child, MR__TASK_KIND__CHECK, 3, 1));
    assert_true(child_drop(child, MR__TASK_KIND__MAP, 3, 1));
    assert_false(child_drop(child, MR__TASK_KIND__MAP, 3, 1));
    assert_int_equal(child->held_count, 39);
    /* The others keep their order of arrival. */
    for (size_t i = 0; i < child->held_count; i++) {
        size_t k = i < 6 ? i : i + 1;

        assert_int_equal(child->held[i]->task, k / 2);
        assert_int_equal(child->held[i]->kind,
                         k % 2 ? MR__TASK_KIND__REDUCE : MR__TASK_KIND__MAP);
    }
    assert_true(child_resident(child) > 0);
    child_kill(child, NULL);
    child_free(child);
    folder_remove(folder);
}

static int adopt(void **state)
{
    (void)state;
    strays_adopt();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_and_the_last_words_are_kept),
        cmocka_unit_test(an_executor_finds_its_channel_slots_and_settings),
        cmocka_unit_test(a_program_that_is_missing_is_named),
        cmocka_unit_test(killing_an_executor_kills_what_it_started),
        cmocka_unit_test(strays_in_sessions_of_their_own_are_found),
        cmocka_unit_test(held_tasks_are_dropped_by_kind_number_and_attempt),
    };

    return cmocka_run_group_tests(tests, adopt, NULL);
}
