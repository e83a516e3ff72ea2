/* What a daemon may listen on without being told that the network is safe. */
#include "tests/lib/cmocka_all.h"

#include <string.h>

#include "cli/daemon.h"

static void loopback_and_sockets_of_this_machine_are_local(void **state)
{
    static const char *const endpoints[] = {
        "tcp://127.0.0.1:7077", "tcp://127.0.0.1:0", "tcp://127.255.3.4:1",
        "tcp://[::1]:7077",     "ipc:///tmp/socket", "inproc://x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        assert_true(daemon_is_local(endpoints[i]));
}

static void everything_else_is_not(void **state)
{
    static const char *const endpoints[] = {
        "tcp://0.0.0.0:7077",
        "tcp://*:7077",
        "tcp://[::]:7077",
        "tcp://128.0.0.1:7077",
        "tcp://10.0.0.127:7077",
        "tcp://127.0.0.1.example.org:7077",
        "tcp://127.1:7077",
        "tcp://0127.0.0.1:7077",
        "tcp://[::1]x:7077",
        "tcp://[::ffff:127.0.0.1]:7077",
        "tcp://eth0:7077",
        "tcp://localhost:7077",
        "tcp://eth0;127.0.0.1:7077",
        "tcp://127.0.0.1",
        "tcp://:7077",
        "tcp://",
        "udp://127.0.0.1:7077",
        "127.0.0.1:7077",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        assert_false(daemon_is_local(endpoints[i]));
}

static void what_is_not_local_needs_to_be_allowed(void **state)
{
    struct daemon_options options = {.insecure = false};
    struct error err = {0};

    (void)state;
    assert_int_equal(daemon_check_listen(&options, "tcp://127.0.0.1:0", &err), 0);
    assert_int_equal(daemon_check_listen(&options, "tcp://0.0.0.0:7077", &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_non_null(strstr(err.text, "tcp://0.0.0.0:7077"));
    options.insecure = true;
    assert_int_equal(daemon_check_listen(&options, "tcp://0.0.0.0:7077", &err), 0);
    /* Within a process nobody else would find it. */
    assert_int_equal(daemon_check_listen(&options, "inproc://x", &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_and_sockets_of_this_machine_are_local),
        cmocka_unit_test(everything_else_is_not),
        cmocka_unit_test(what_is_not_local_needs_to_be_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
