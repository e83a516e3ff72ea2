/* Where keys are needed, and which are found. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/keyring.h"
#include "cli/place.h"
#include "tests/lib/folder.h"

static void loopback_and_sockets_of_this_machine_are_local(void **state)
{
    static const char *const endpoints[] = {
        "tcp://127.0.0.1:7077", "tcp://127.0.0.1:0", "tcp://127.255.3.4:1",
        "tcp://[::1]:7077",     "ipc:///tmp/socket", "inproc://x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        assert_true(place_is_local(endpoints[i]));
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
        assert_false(place_is_local(endpoints[i]));
}

static char *keyring(void)
{
    char *folder = folder_new();
    char *keys = memory_format("%s/keys", folder);
    struct error err;

    assert_int_equal(keyring_make(keys, &err), 0);
    free(folder);
    return keys;
}

static void keyring_remove(char *keys)
{
    *strrchr(keys, '/') = '\0';
    folder_remove(keys);
}

static void whoever_listens_to_others_needs_keys(void **state)
{
    char *folder = keyring();
    struct keys keys;
    struct error err = {0};

    (void)state;
    assert_int_equal(
        place_keys_to_listen("tcp://127.0.0.1:0", NULL, KEY_COORDINATOR, &keys, &err), 0);
    assert_int_equal(
        place_keys_to_listen("tcp://0.0.0.0:7077", NULL, KEY_COORDINATOR, &keys, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_non_null(strstr(err.text, "tcp://0.0.0.0:7077"));
    assert_non_null(strstr(err.text, "marram keys DIR"));
    assert_int_equal(
        place_keys_to_listen("tcp://0.0.0.0:7077", folder, KEY_COORDINATOR, &keys, &err), 1);
    assert_int_equal(keys.own.role, KEY_COORDINATOR);
    keys_done(&keys);
    /* Within a process nobody else would find it. */
    assert_int_equal(place_keys_to_listen("inproc://x", folder, KEY_COORDINATOR, &keys, &err),
                     -1);
    assert_int_equal(err.code, ERROR_USAGE);
    keyring_remove(folder);
}

static void whoever_goes_to_another_machine_needs_keys(void **state)
{
    char *folder = keyring();
    struct place place = {.endpoint = "tcp://10.0.0.1:7077"};
    struct keys keys;
    struct error err = {0};

    (void)state;
    setenv("XDG_STATE_HOME", folder, 1); /* no cluster was started there */
    assert_int_equal(place_keys(&place, KEY_CLIENT, &keys, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_non_null(strstr(err.text, "--keys DIR"));
    place.endpoint = "tcp://marram.example.org:7077";
    assert_int_equal(place_keys(&place, KEY_WORKER, &keys, &err), -1);
    place.endpoint = "tcp://localhost:7077";
    assert_int_equal(place_keys(&place, KEY_WORKER, &keys, &err), 0);
    place = (struct place){"tcp://10.0.0.1:7077", folder};
    assert_int_equal(place_keys(&place, KEY_CLIENT, &keys, &err), 1);
    assert_int_equal(keys.own.role, KEY_CLIENT);
    keys_done(&keys);
    place.keys = "/nowhere/at/all";
    assert_int_equal(place_keys(&place, KEY_CLIENT, &keys, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_non_null(strstr(err.text, "--keys /nowhere/at/all"));
    assert_non_null(strstr(err.text, "'marram keys /nowhere/at/all'"));
    keyring_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_and_sockets_of_this_machine_are_local),
        cmocka_unit_test(everything_else_is_not),
        cmocka_unit_test(whoever_listens_to_others_needs_keys),
        cmocka_unit_test(whoever_goes_to_another_machine_needs_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
