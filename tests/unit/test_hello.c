/* HELLO: who may work together. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wire/hello.h"

static ProtobufCBinaryData text(char *bytes)
{
    return (ProtobufCBinaryData){strlen(bytes), (uint8_t *)bytes};
}

static int judge(uint32_t major, uint32_t minor, struct error *err)
{
    Mr__Hello hello;

    hello_fill(&hello, MR__ROLE__CLIENT);
    hello.major = major;
    hello.minor = minor;
    return hello_check(&hello, err);
}

static void processes_of_one_build_accept_each_other(void **state)
{
    struct error err;
    Mr__Hello hello;

    (void)state;
    for (int role = MR__ROLE__WORKER; role <= MR__ROLE__CLIENT; role++) {
        hello_fill(&hello, (Mr__Role)role);
        assert_int_equal(hello.role, role);
        assert_int_equal(hello.pid, getpid());
        assert_true(hello.arch.len > 0 && hello.libc.len > 0);
        assert_int_equal(hello_check(&hello, &err), 0);
    }
}

static void another_major_is_refused_and_both_are_named(void **state)
{
    static const uint32_t others[] = {0, PROTOCOL_MAJOR + 1, PROTOCOL_MAJOR + 256, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct error err = {0};
        char theirs[32], ours[32];

        assert_int_equal(judge(others[i], PROTOCOL_MINOR, &err), -1);
        assert_int_equal(err.code, ERROR_REFUSED);
        snprintf(theirs, sizeof theirs, "%u.%d", others[i], PROTOCOL_MINOR);
        snprintf(ours, sizeof ours, "%d.%d", PROTOCOL_MAJOR, PROTOCOL_MINOR);
        assert_non_null(strstr(err.text, theirs));
        assert_non_null(strstr(err.text, ours));
    }
}

static void minors_may_differ_by_one(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(judge(PROTOCOL_MAJOR, PROTOCOL_MINOR + 1, &err), 0);
    assert_int_equal(judge(PROTOCOL_MAJOR, PROTOCOL_MINOR + 2, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_int_equal(judge(PROTOCOL_MAJOR, UINT32_MAX, &err), -1);
    assert_int_equal(judge(PROTOCOL_MAJOR, (uint32_t)INT32_MAX + 1, &err), -1);
}

static void a_worker_of_another_machine_is_refused_a_client_is_not(void **state)
{
    static char other[] = "pdp11", longer[] = "x86_64_and_more", shorter[] = "x86_6",
                none[] = "";
    char *const kinds[] = {other, longer, shorter, none};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct error err = {0};
        Mr__Hello hello;

        hello_fill(&hello, MR__ROLE__WORKER);
        hello.arch = text(kinds[i]);
        assert_int_equal(hello_check(&hello, &err), -1);
        assert_int_equal(err.code, ERROR_REFUSED);
        assert_non_null(strstr(err.text, kinds[i]));
        hello.role = MR__ROLE__CLIENT;
        assert_int_equal(hello_check(&hello, &err), 0);
    }
}

static void an_empty_hello_is_refused_not_feared(void **state)
{
    Mr__Hello hello = MR__HELLO__INIT;
    struct error err = {0};

    (void)state;
    assert_int_equal(hello_check(&hello, &err), -1);
    hello.major = PROTOCOL_MAJOR;
    hello.minor = PROTOCOL_MINOR;
    assert_int_equal(hello_check(&hello, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_of_one_build_accept_each_other),
        cmocka_unit_test(another_major_is_refused_and_both_are_named),
        cmocka_unit_test(minors_may_differ_by_one),
        cmocka_unit_test(a_worker_of_another_machine_is_refused_a_client_is_not),
        cmocka_unit_test(an_empty_hello_is_refused_not_feared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
