/* The guard: what executors started ends when their agent is killed, and not before; what the
 * agent itself has ended is nobody's business any more. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/agent/guard.h"
#include "worker/agent/strays.h"

enum { DEADLINE_S = 60, POLL_MS = 5 };

/* Shared by all processes of a story. */
static struct scene {
    _Atomic pid_t executor, forked, own_session;
    atomic_bool go;
} * scene;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* Our children are reaped here: a zombie has ended. */
static bool lives(pid_t pid)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return !kill(pid, 0);
}

static void expect_end(pid_t pid)
{
    for (int i = 0; i < DEADLINE_S * 1000 / POLL_MS && lives(pid); i++)
        pause_ms(POLL_MS);
    assert_false(lives(pid));
}

static pid_t sleeper(bool own_session)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    if (own_session)
        setsid();
    alarm(2 * DEADLINE_S);
    for (;;)
        pause();
}

/* An executor that has forked; the kernel kills it with its agent. */
static pid_t start_executor(void *context)
{
    pid_t pid = fork();

    (void)context;
    if (pid)
        return pid;
    close_range(3, ~0U, 0); /* as exec would */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    alarm(2 * DEADLINE_S);
    atomic_store(&scene->forked, sleeper(false));
    atomic_store(&scene->own_session, sleeper(true));
    atomic_store(&scene->executor, getpid());
    for (;;)
        pause();
}

static void await(_Atomic pid_t *pid)
{
    for (int i = 0; i < DEADLINE_S * 1000 / POLL_MS && !atomic_load(pid); i++)
        pause_ms(POLL_MS);
    assert_true(atomic_load(pid) > 0);
}

/* An agent with one executor, which it ends if it is to; then it waits to be killed. */
static pid_t start_agent(const struct cgroup *group, bool ends_it)
{
    pid_t pid;

    memset(scene, 0, sizeof *scene);
    pid = fork();
    if (!pid) {
        struct guard *guard;
        struct error err;
        pid_t executor;

        alarm(2 * DEADLINE_S);
        assert_int_equal(guard_open(&guard, &err), 0);
        executor = strays_start(start_executor, NULL);
        guard_watch(guard, executor, group);
        await(&scene->executor);
        if (ends_it) {
            kill(executor, SIGKILL);
            waitpid(executor, NULL, 0);
            guard_forget(guard, executor);
        }
        atomic_store(&scene->go, true);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    for (int i = 0; i < DEADLINE_S * 1000 / POLL_MS && !atomic_load(&scene->go); i++)
        pause_ms(POLL_MS);
    assert_true(atomic_load(&scene->go));
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    expect_end(pid);
}

static void what_an_executor_forked_ends_with_its_killed_agent(void **state)
{
    pid_t agent = start_agent(NULL, false);

    (void)state;
    assert_true(lives(scene->forked));
    kill(agent, SIGKILL);
    expect_end(agent);
    expect_end(scene->executor);
    expect_end(scene->forked);
    /* Nothing but a control group would hold it. */
    assert_true(lives(scene->own_session));
    end(scene->own_session);
}

static void a_control_group_holds_those_in_sessions_of_their_own(void **state)
{
    struct cgroup_base base;
    struct cgroup *group;
    pid_t agent;
    FILE *procs;
    char path[4200];

    (void)state;
    cgroup_find("/proc/self", &base);
    group = cgroup_new(&base, 100);
    if (!group) {
        cgroup_base_done(&base);
        skip();
    }
    agent = start_agent(group, false);
    const char *const folders[] = {group->pids, group->memory};
    for (int i = 0; i < 2; i++) {
        if (!folders[i])
            continue;
        snprintf(path, sizeof path, "%s/cgroup.procs", folders[i]);
        procs = fopen(path, "we");
        assert_non_null(procs);
        fprintf(procs, "%d", (int)scene->own_session);
        assert_int_equal(fclose(procs), 0);
    }
    kill(agent, SIGKILL);
    expect_end(agent);
    expect_end(scene->forked);
    expect_end(scene->own_session);
    /* And nothing is left of the group itself. */
    for (int i = 0; i < DEADLINE_S * 1000 / POLL_MS &&
                    !access(group->pids ? group->pids : group->memory, F_OK);
         i++)
        pause_ms(POLL_MS);
    assert_int_equal(access(group->pids ? group->pids : group->memory, F_OK), -1);
    cgroup_free(group);
    cgroup_base_done(&base);
}

static void what_the_agent_has_ended_is_not_ended_again(void **state)
{
    pid_t agent = start_agent(NULL, true), forked = scene->forked;

    (void)state;
    /* Its group lives on, as that of somebody who got the number would. */
    kill(agent, SIGKILL);
    /* The agent, and the guard, which comes to us: what it had to do is done then. */
    for (int i = 0; i < 2; i++)
        assert_true(waitpid(-1, NULL, 0) > 0);
    assert_true(lives(forked));
    end(forked);
    end(scene->own_session);
}

static void it_ends_with_an_agent_that_ends_in_order(void **state)
{
    struct guard *guard;
    struct error err;
    int status;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(guard_open(&guard, &err), 0);
        guard_watch(guard, INT32_MAX - 1, NULL);
        guard_forget(guard, INT32_MAX - 1);
        guard_close(guard);
        assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
    }
    guard_close(NULL);
    guard_watch(NULL, 1, NULL);
    guard_forget(NULL, 1);
}

static int set_up(void **state)
{
    (void)state;
    scene =
        mmap(NULL, sizeof *scene, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (scene == MAP_FAILED)
        return -1;
    strays_adopt(); /* orphans of a story come to us */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_with_an_agent_that_ends_in_order),
        cmocka_unit_test(what_an_executor_forked_ends_with_its_killed_agent),
        cmocka_unit_test(a_control_group_holds_those_in_sessions_of_their_own),
        cmocka_unit_test(what_the_agent_has_ended_is_not_ended_again),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
