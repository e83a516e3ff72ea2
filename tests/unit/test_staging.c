/* What is left of staging folders: those of dead processes go, all others stay. */
#include "tests/lib/cmocka_all.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "coordinator/output.h"
#include "coordinator/staging.h"
#include "tests/lib/folder.h"

static struct output stage(const char *folder, const char *job, bool fleeting)
{
    cleanup_free char *target = folder_path(folder, "out");
    struct output output;
    struct error err = {0};

    if (output_open(&output, target, job, true, false, &err))
        fail_msg("%s", err.text);
    output.fleeting = fleeting;
    if (output_stage(&output, &err))
        fail_msg("%s", err.text);
    return output;
}

/* A process that has staged the output of a job, and holds it until it is killed. */
static pid_t hold(const char *folder, const char *job, bool fleeting)
{
    pid_t holder;
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    holder = fork();
    assert_true(holder >= 0);
    if (!holder) {
        stage(folder, job, fleeting);
        if (write(ready[1], "", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return holder;
}

static void kill_holder(pid_t holder)
{
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

static bool is_there(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);

    return !access(path, F_OK);
}

static void what_a_dead_process_staged_is_removed_by_the_next_job(void **state)
{
    char *folder = folder_new();
    struct output next;

    (void)state;
    kill_holder(hold(folder, "7", true));
    assert_true(is_there(folder, "out.marram-7"));
    next = stage(folder, "8", false);
    assert_false(is_there(folder, "out.marram-7"));
    assert_true(is_there(folder, "out.marram-8"));
    output_abandon(&next);
    output_done(&next);
    folder_remove(folder);
}

static void what_a_living_process_staged_stays(void **state)
{
    char *folder = folder_new();
    pid_t holder = hold(folder, "7", true);
    struct output next = stage(folder, "8", true);

    (void)state;
    assert_true(is_there(folder, "out.marram-7"));
    output_abandon(&next);
    output_done(&next);
    kill_holder(holder);
    folder_remove(folder);
}

static void what_another_life_goes_on_with_stays(void **state)
{
    char *folder = folder_new();
    struct output next;

    (void)state;
    kill_holder(hold(folder, "7", false));
    next = stage(folder, "8", true);
    assert_true(is_there(folder, "out.marram-7"));
    output_abandon(&next);
    output_done(&next);
    folder_remove(folder);
}

static void what_another_machine_staged_stays(void **state)
{
    char *folder = folder_new();
    struct output next;

    (void)state;
    kill_holder(hold(folder, "7", true));
    folder_text(folder, "out.marram-7/.owner", "00000000-0000-0000-0000-000000000000");
    next = stage(folder, "8", true);
    assert_true(is_there(folder, "out.marram-7"));
    output_abandon(&next);
    output_done(&next);
    folder_remove(folder);
}

static void other_outputs_are_not_touched(void **state)
{
    char *folder = folder_new();
    cleanup_free char *other = folder_path(folder, "out2.marram-8");

    (void)state;
    kill_holder(hold(folder, "7", true));
    staging_sweep(other);
    assert_true(is_there(folder, "out.marram-7"));
    folder_remove(folder);
}

static void an_output_is_not_marked(void **state)
{
    char *folder = folder_new();
    struct output output = stage(folder, "7", true);
    struct error err = {0};

    (void)state;
    assert_true(is_there(folder, "out.marram-7/.owner"));
    if (output_commit(&output, NULL, 0, "{}", &err))
        fail_msg("%s", err.text);
    assert_true(is_there(folder, "out/_SUCCESS"));
    assert_false(is_there(folder, "out/.owner"));
    output_abandon(&output);
    output_done(&output);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_dead_process_staged_is_removed_by_the_next_job),
        cmocka_unit_test(what_a_living_process_staged_stays),
        cmocka_unit_test(what_another_life_goes_on_with_stays),
        cmocka_unit_test(what_another_machine_staged_stays),
        cmocka_unit_test(other_outputs_are_not_touched),
        cmocka_unit_test(an_output_is_not_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
