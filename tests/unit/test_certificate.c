/* Certificates: what was written is read, nothing is ever replaced, what is none is refused. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tests/lib/folder.h"
#include "wire/certificate.h"
#include "wire/keys.h"

static struct certificate made(enum key_role role, const char *name)
{
    struct certificate pair;
    struct error err;

    if (certificate_make(&pair, role, name, &err))
        fail_msg("%s", err.text);
    return pair;
}

static void what_was_written_is_read(void **state)
{
    char *folder = folder_new();
    cleanup_free char *secret = folder_path(folder, "s"), *public = folder_path(folder, "p");
    struct certificate pair = made(KEY_WORKER, "rack-1.west_2"), read = {0};
    struct error err;
    char derived[KEY_TEXT];
    struct stat st;

    (void)state;
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(certificate_write(&pair, secret, true, &err), 0);
    assert_int_equal(certificate_write(&pair, public, false, &err), 0);
    assert_int_equal(stat(secret, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(certificate_read(&read, secret, true, &err), 0);
    assert_memory_equal(&read, &pair, sizeof pair);
    /* Another's word for it. */
    assert_int_equal(zmq_curve_public(derived, read.secret_key), 0);
    assert_string_equal(derived, pair.public_key);
    assert_int_equal(certificate_read(&read, public, false, &err), 0);
    assert_string_equal(read.public_key, pair.public_key);
    assert_string_equal(read.secret_key, "");
    assert_string_equal(read.name, "rack-1.west_2");
    assert_int_equal(read.role, KEY_WORKER);
    /* A public half is no pair. */
    assert_int_equal(chmod(public, 0600), 0);
    assert_int_equal(certificate_read(&read, public, true, &err), -1);
    folder_remove(folder);
}

static void no_file_is_ever_replaced(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "there");
    struct certificate pair = made(KEY_CLIENT, "one");
    cleanup_free char *text = NULL;
    struct error err;

    (void)state;
    folder_text(folder, "there", "mine\n");
    assert_int_equal(certificate_write(&pair, path, false, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    text = folder_read(folder, "there", NULL);
    assert_string_equal(text, "mine\n");
    folder_remove(folder);
}

static void names_are_names_of_files(void **state)
{
    static const char *const good[] = {"a", "worker", "rack-1", "A.b_c-9"};
    static const char *const bad[] = {"", ".", "..", ".a", "-a", "a/b", "a b", "ä", "a\n"};
    char longest[KEY_NAME + 1];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(key_name_fits(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(key_name_fits(bad[i]));
    memset(longest, 'x', sizeof longest);
    longest[KEY_NAME] = '\0';
    assert_false(key_name_fits(longest));
    longest[KEY_NAME - 1] = '\0';
    assert_true(key_name_fits(longest));
}

/* Each byte of a good one changed, cut or doubled: it is refused, or says the same key. */
static void spoiled_files_are_refused_or_harmless(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "cert"), *good = NULL;
    struct certificate pair = made(KEY_WORKER, "spoiled"), read;
    struct error err;
    struct rng rng = {11};
    size_t size, refused = 0, rounds = 2000;

    (void)state;
    assert_int_equal(certificate_write(&pair, path, false, &err), 0);
    good = folder_read(folder, "cert", &size);
    for (size_t i = 0; i < rounds; i++) {
        cleanup_free char *bad = memory_new(2 * size);
        size_t at = rng_below(&rng, size), n = size;

        memcpy(bad, good, size);
        if (i % 3 == 0)
            bad[at] = (char)rng_below(&rng, 256);
        else if (i % 3 == 1)
            n = at;
        else
            memcpy(bad + at, good, size - at);
        folder_write(folder, "cert", bad, n);
        if (certificate_read(&read, path, false, &err)) {
            refused++;
            continue;
        }
        assert_int_equal(strlen(read.public_key), KEY_TEXT - 1);
        assert_true(key_name_fits(read.name));
    }
    assert_true(refused > rounds / 3);
    folder_remove(folder);
}

static void metadata_that_is_too_long_is_refused(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "cert");
    char text[3000];
    struct certificate read;
    struct error err;

    (void)state;
    snprintf(text, sizeof text, "metadata\n    name = \"%s", "x");
    memset(text + strlen(text), 'x', 2000);
    strcpy(text + 2020, "\"\n    role = \"worker\"\ncurve\n    public-key = \"\"\n");
    folder_text(folder, "cert", text);
    assert_int_equal(certificate_read(&read, path, false, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(no_file_is_ever_replaced),
        cmocka_unit_test(names_are_names_of_files),
        cmocka_unit_test(spoiled_files_are_refused_or_harmless),
        cmocka_unit_test(metadata_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
