/* Who is turned away, by his address, and in how many lines. */
#include "tests/lib/cmocka_all.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/callers.h"
#include "wire/strangers.h"

/* A connection over loopback: fd[0] is the listener's side. */
static void connect_pair(int fd[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd[1], (struct sockaddr *)&address, size), 0);
    fd[0] = accept(listener, NULL, NULL);
    assert_true(fd[0] >= 0);
    close(listener);
}

static void hang_up(const int fd[2])
{
    close(fd[0]);
    close(fd[1]);
}

static void who_fails_is_named_by_his_address(void **state)
{
    struct callers callers = {0};
    char address[CALLER_ADDRESS];
    int fd[2];

    (void)state;
    connect_pair(fd);
    callers_came(&callers, fd[0]);
    callers_went(&callers, fd[0], true, address);
    assert_string_equal(address, "127.0.0.1");
    /* Once. */
    callers_went(&callers, fd[0], true, address);
    assert_string_equal(address, "");
    hang_up(fd);
    callers_done(&callers);
}

static void who_was_let_in_is_not_told_of(void **state)
{
    struct callers callers = {0};
    char address[CALLER_ADDRESS];
    int spoke[2], silent[2], stranger[2];

    (void)state;
    connect_pair(spoke);
    connect_pair(silent);
    connect_pair(stranger);
    callers_came(&callers, spoke[0]);
    callers_came(&callers, silent[0]);
    callers_succeeded(&callers);
    callers_succeeded(&callers);
    callers_came(&callers, stranger[0]);
    callers_spoke(&callers, spoke[0]);
    callers_went(&callers, silent[0], false, address);
    assert_string_equal(address, "");
    callers_went(&callers, stranger[0], false, address);
    assert_string_equal(address, "127.0.0.1");
    callers_went(&callers, spoke[0], false, address);
    assert_string_equal(address, "");
    hang_up(spoke);
    hang_up(silent);
    hang_up(stranger);
    callers_done(&callers);
}

static void who_was_told_of_by_his_key_is_not_told_of_again(void **state)
{
    struct callers callers = {0};
    char address[CALLER_ADDRESS];
    int first[2], second[2];

    (void)state;
    connect_pair(first);
    connect_pair(second);
    callers_came(&callers, first[0]);
    callers_came(&callers, second[0]);
    callers_turned_away(&callers, "127.0.0.1");
    callers_went(&callers, first[0], false, address);
    assert_string_equal(address, "");
    callers_went(&callers, second[0], false, address);
    assert_string_equal(address, "127.0.0.1");
    hang_up(first);
    hang_up(second);
    callers_done(&callers);
}

static void descriptors_that_nobody_knows_are_nobody(void **state)
{
    struct callers callers = {0};
    char address[CALLER_ADDRESS];

    (void)state;
    callers_came(&callers, -1);
    callers_spoke(&callers, -1);
    callers_spoke(&callers, 100000);
    callers_went(&callers, -1, true, address);
    assert_string_equal(address, "");
    callers_went(&callers, 12345, true, address);
    assert_string_equal(address, "");
    callers_came(&callers, 1023); /* closed already: it was somebody */
    callers_went(&callers, 1023, true, address);
    assert_string_equal(address, "unknown");
    callers_done(&callers);
}

static void the_same_is_said_once_and_not_too_many(void **state)
{
    struct strangers strangers = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        strangers_tell(&strangers, "10.0.0.1", "it has no key", "", 1000 + i);
    assert_int_equal(strangers.count, 1);
    assert_int_equal(strangers.unsaid, 99);
    strangers_tell(&strangers, "10.0.0.1", "another reason", "", 1200);
    strangers_tell(&strangers, "10.0.0.2", "it has no key", "", 1200);
    assert_int_equal(strangers.count, 3);
    for (int i = 0; i < 100; i++) {
        char address[16];

        snprintf(address, sizeof address, "10.0.1.%d", i);
        strangers_tell(&strangers, address, "it has no key", "", 1300);
    }
    assert_int_equal(strangers.count, STRANGERS_LINES);
    assert_int_equal(strangers.unsaid, 99 + 100 - (STRANGERS_LINES - 3));
    strangers_tend(&strangers, 1000 + STRANGERS_WINDOW_MS - 1);
    assert_int_equal(strangers.count, STRANGERS_LINES);
    /* Later the same is news again. */
    strangers_tell(&strangers, "10.0.0.1", "it has no key", "", 1000 + STRANGERS_WINDOW_MS);
    assert_int_equal(strangers.count, 1);
    assert_int_equal(strangers.unsaid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_fails_is_named_by_his_address),
        cmocka_unit_test(who_was_let_in_is_not_told_of),
        cmocka_unit_test(who_was_told_of_by_his_key_is_not_told_of_again),
        cmocka_unit_test(descriptors_that_nobody_knows_are_nobody),
        cmocka_unit_test(the_same_is_said_once_and_not_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
