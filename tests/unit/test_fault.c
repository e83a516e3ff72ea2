/* Last words: a thread that fails says so in its slot; of a signal that was meant for the whole
 * process no thread says that it was its own. */
#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/executor/fault.c"

enum { DEADLINE_S = 60 };

/* Shared with the process that dies. */
struct scene {
    struct slot busy, failing; /* the main thread's, and another one's */
    atomic_bool ready;
};

static struct scene *scene;
static int *volatile nowhere;

__attribute__((no_sanitize("undefined"))) static void divide(void)
{
    static volatile int zero;

    zero = 1000 / zero;
}

static void write_to_nowhere(void)
{
    *nowhere = 1;
}

static void raise_bus(void)
{
    raise(SIGBUS);
}

static void kill_with_bus(void)
{
    kill(getpid(), SIGBUS);
}

static void queue_bus(void)
{
    sigqueue(getpid(), SIGBUS, (union sigval){0});
}

static void leave(void)
{
    exit(0);
}

static void *fail_aside(void *how)
{
    fault_watch(&scene->failing);
    while (!atomic_load(&scene->ready))
        ;
    (*(void (**)(void))how)();
    pause();
    return NULL;
}

/* A process in which the main thread is at work and another one fails; returns its end. The
 * kernel gives what is meant for the process to the main thread, if that takes it. */
static int die_of(void (*how)(void))
{
    const struct rlimit none = {0, 0};
    pthread_t thread;
    int status = 0;
    pid_t pid;

    memset(scene, 0, sizeof *scene);
    nowhere = mmap(NULL, sizeof *nowhere, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        setrlimit(RLIMIT_CORE, &none);
        alarm(DEADLINE_S);
        fault_install();
        fault_watch(&scene->busy);
        slot_set_phase(&scene->busy, SLOT_MAP);
        slot_set_phase(&scene->failing, SLOT_MAP);
        pthread_create(&thread, NULL, fail_aside, &how);
        atomic_store(&scene->ready, true);
        for (;;)
            slot_tick(&scene->busy);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    munmap(nowhere, sizeof *nowhere);
    return status;
}

static void a_thread_that_raises_a_signal_says_so(void **state)
{
    const struct {
        void (*how)(void);
        int signal;
    } ways[] = {
        {write_to_nowhere, SIGSEGV}, {divide, SIGFPE}, {raise_bus, SIGBUS}, {abort, SIGABRT}};

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int status = die_of(ways[i].how);

        assert_int_equal(scene->failing.fault, ways[i].signal);
        assert_true(scene->failing.trace[0]);
        assert_int_equal(scene->busy.fault, 0);
        assert_true(scene->busy.ticks > 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ways[i].signal);
    }
}

static void one_that_calls_exit_says_so(void **state)
{
    (void)state;
    die_of(leave);
    assert_int_equal(scene->failing.fault, SLOT_EXITED);
    assert_int_equal(scene->busy.fault, 0);
}

/* Whoever happened to take it was at work on a record that is as good as any. */
static void nobody_takes_a_signal_to_the_process_as_its_own(void **state)
{
    void (*const ways[])(void) = {kill_with_bus, queue_bus};

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int status = die_of(ways[i]);

        assert_int_equal(scene->busy.fault, 0);
        assert_int_equal(scene->failing.fault, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    }
}

static int set_up(void **state)
{
    (void)state;
    scene =
        mmap(NULL, sizeof *scene, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return scene == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_raises_a_signal_says_so),
        cmocka_unit_test(one_that_calls_exit_says_so),
        cmocka_unit_test(nobody_takes_a_signal_to_the_process_as_its_own),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
