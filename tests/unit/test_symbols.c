/* Names for backtraces: frames of the object get function, file and line, all others pass; and
 * whatever becomes of the program that knows them, there is a trace in time. */
#include "tests/lib/cmocka_all.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/lib/folder.h"
#include "worker/agent/symbols.h"

static volatile int sink;

/* What is to be named: this program is the object. */
enum { FIRST_LINE = __LINE__ + 1, LAST_LINE = FIRST_LINE + 3 };
__attribute__((noinline, used)) static void a_function_of_this_object(void)
{
    sink++;
}

static char *self(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    assert_true(n > 0);
    path[n] = '\0';
    return memory_text(path);
}

/* Where the programs are: this one is two folders below them. */
static char *executor(void)
{
    cleanup_free char *path = self();

    for (int i = 0; i < 3; i++)
        *strrchr(path, '/') = '\0';
    return memory_format("%s/marram-executor", path);
}

static size_t address(void)
{
    Dl_info info;

    assert_int_not_equal(dladdr((void *)(uintptr_t)a_function_of_this_object, &info), 0);
    return (size_t)((uintptr_t)a_function_of_this_object - (uintptr_t)info.dli_fbase);
}

static void no_process_is_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void frames_of_the_object_are_named_and_others_pass(void **state)
{
    cleanup_free char *object = self(), *program = executor();
    cleanup_free char *trace = memory_format("  #0 (test_symbols+0x%zx)\n"
                                             "  #1 (libc.so.6+0x3c050)\n"
                                             "  #2 qsort+0x1b (libc.so.6+0x3d01a)\n"
                                             "  #3 (test_symbols_of_others+0x%zx)\n"
                                             "  no frame at all\n",
                                             address(), address());
    cleanup_free char *named = symbols_name(program, trace, object, "test_symbols");
    int line = 0;

    (void)state;
    (void)sink;
    if (sscanf(named,
               "  #0 a_function_of_this_object+0x0 at test_symbols.c:%d (test_symbols+0x",
               &line) != 1)
        fail_msg("%s", named);
    assert_in_range(line, FIRST_LINE, LAST_LINE);
    assert_string_equal(strchr(named, '\n'), strchr(trace, '\n'));
    no_process_is_left();
}

/* But for the first, a frame's address is behind the call: at a function's begin it is in the
 * one before. */
static void a_return_address_belongs_to_the_call_before_it(void **state)
{
    cleanup_free char *object = self(), *program = executor();
    cleanup_free char *trace = memory_format("  #1 (test_symbols+0x%zx)\n", address());
    cleanup_free char *behind = memory_format("  #1 (test_symbols+0x%zx)\n", address() + 1);
    cleanup_free char *named = symbols_name(program, trace, object, "test_symbols");
    cleanup_free char *inside = symbols_name(program, behind, object, "test_symbols");

    (void)state;
    assert_null(strstr(named, "a_function_of_this_object"));
    assert_non_null(strstr(inside, "#1 a_function_of_this_object+0x1 "));
}

static void what_cannot_be_read_leaves_the_trace_as_it_is(void **state)
{
    static const char trace[] = "  #0 (x.so+0x1190)\n";
    char *folder = folder_new();
    cleanup_free char *program = executor(), *text = folder_path(folder, "x.so");
    cleanup_free char *of_text = NULL, *of_none = NULL, *by_none = NULL;

    (void)state;
    folder_text(folder, "x.so", "no object");
    of_text = symbols_name(program, trace, text, "x.so");
    of_none = symbols_name(program, trace, "/nowhere/x.so", "x.so");
    by_none = symbols_name("/nowhere/marram-executor", trace, text, "x.so");
    assert_string_equal(of_text, trace);
    assert_string_equal(of_none, trace);
    assert_string_equal(by_none, trace);
    no_process_is_left();
    folder_remove(folder);
}

/* What stands beside the executor may be anything: it may hang, print without end, or die. */
static void a_program_that_misbehaves_is_ended(void **state)
{
    static const char *const scripts[] = {
        "#!/bin/sh\nexec sleep 1000\n",
        "#!/bin/sh\nexec yes\n",
        "#!/bin/sh\necho nonsense\nexit 1\n",
        "#!/bin/sh\necho nonsense\nkill -9 $$\n",
        "#!/bin/sh\nexit 0\n",
    };
    static const char trace[] = "  #0 (x.so+0x1190)\n";

    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        char *folder = folder_new();
        cleanup_free char *beside = folder_path(folder, "marram-executor");
        cleanup_free char *program = folder_path(folder, "marram-symbols");
        cleanup_free char *named = NULL;

        folder_text(folder, "marram-symbols", scripts[i]);
        assert_int_equal(chmod(program, 0700), 0);
        named = symbols_name(beside, trace, "/nowhere/x.so", "x.so");
        assert_string_equal(named, trace);
        no_process_is_left();
        folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_the_object_are_named_and_others_pass),
        cmocka_unit_test(a_return_address_belongs_to_the_call_before_it),
        cmocka_unit_test(what_cannot_be_read_leaves_the_trace_as_it_is),
        cmocka_unit_test(a_program_that_misbehaves_is_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
