/* What others are told instead of the address that is listened on. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "worker/agent/address.h"

static void names_and_addresses_are_hosts(void **state)
{
    static const char *const hosts[] = {"10.0.0.2",       "127.0.0.2",    "worker-1",
                                        "a.example.org",  "3f2a91c0de77", "x_y",
                                        "1.2.3.4.example"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        assert_true(address_is_host(hosts[i]));
}

static void everything_else_is_none(void **state)
{
    static const char *const texts[] = {
        "",           "0.0.0.0",   "*",           "10.0.0",   "1",
        "10.0.0.256", "a:7077",    "[::1]",       "::1",      "tcp://10.0.0.2:0",
        "10.0.0.2:0", "two words", "a/b",         "-h",       ".",
        "..",         "a\nb",      "caf\xc3\xa9", "1.2.3.4.", "010.0.0.2",
    };
    char longest[300];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(address_is_host(texts[i]));
    memset(longest, 'a', sizeof longest);
    longest[253] = '\0';
    assert_true(address_is_host(longest));
    longest[253] = 'a';
    longest[254] = '\0';
    assert_false(address_is_host(longest));
}

static void expect(const char *host, const char *listening, const char *wanted)
{
    cleanup_free char *endpoint = NULL;
    struct error err;

    assert_int_equal(address_of(host, listening, &endpoint, &err), 0);
    assert_string_equal(endpoint, wanted);
}

static void the_port_stays_and_the_address_is_what_was_named(void **state)
{
    (void)state;
    expect("10.1.2.3", "tcp://0.0.0.0:40001", "tcp://10.1.2.3:40001");
    expect("127.0.0.2", "tcp://0.0.0.0:1", "tcp://127.0.0.2:1");
    expect("localhost", "tcp://127.0.0.2:7", "tcp://127.0.0.1:7");
}

static void a_name_that_leads_nobody_here_is_refused(void **state)
{
    char *endpoint = NULL;
    struct error err;

    (void)state;
    assert_int_equal(address_of("localhost", "tcp://0.0.0.0:7", &endpoint, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, "localhost: here it is 127.0.0.1"));
    assert_null(endpoint);
}

static void a_name_without_address_is_refused(void **state)
{
    char *endpoint = NULL;
    struct error err;

    (void)state;
    assert_int_equal(address_of("nobody.invalid", "tcp://0.0.0.0:7", &endpoint, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, "nobody.invalid: it has no address"));
    assert_null(endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_addresses_are_hosts),
        cmocka_unit_test(everything_else_is_none),
        cmocka_unit_test(the_port_stays_and_the_address_is_what_was_named),
        cmocka_unit_test(a_name_that_leads_nobody_here_is_refused),
        cmocka_unit_test(a_name_without_address_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
