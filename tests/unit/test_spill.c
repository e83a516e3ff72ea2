/* Spills: runs without a name that live as long as their merge; where one cannot be read again,
 * that is told from a fault of what was merged. */
#include "tests/lib/cmocka_all.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow/spill.h"
#include "tests/lib/folder.h"

enum { SPILLS = 3, RECORDS = 1000 };

struct fixture {
    char *folder, *scratch;
    struct spills spills;
};

static struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->folder = folder_new();
    fixture->scratch = folder_path(fixture->folder, "reduce.spill");
    fixture->spills.scratch = fixture->scratch;
    for (int i = 0; i < SPILLS; i++) {
        struct merge_source source;
        struct spill spill;
        struct error err;

        assert_int_equal(spill_open(&fixture->spills, 0, &spill, &err), 0);
        for (int k = 0; k < RECORDS; k++) {
            char key[16];
            int length = snprintf(key, sizeof key, "key%06d", k);

            assert_int_equal(spill_add(&spill, (struct mr_bytes){key, (size_t)length},
                                       (struct mr_bytes){"value", 5}, &err),
                             0);
        }
        assert_int_equal(spill_close(&fixture->spills, &spill, true, &source, &err), 0);
        assert_int_equal(source.segment->records, RECORDS);
    }
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    spills_done(&fixture->spills);
    folder_remove(fixture->folder);
    free(fixture->scratch);
    free(fixture);
}

/* Flips a byte in the middle of the spill of that number, which is open somewhere. */
static void damage(const struct fixture *fixture, int number)
{
    DIR *folder = opendir("/proc/self/fd");
    char name[PATH_MAX];
    int found = 0;

    assert_non_null(folder);
    snprintf(name, sizeof name, "%s.%d ", fixture->scratch, number);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char link[PATH_MAX] = "", path[300], byte;
        int fd;

        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, link, sizeof link - 1) < 0 || !strstr(link, name))
            continue;
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        off_t at = lseek(fd, 0, SEEK_END) / 2;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 16;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        found++;
    }
    closedir(folder);
    assert_int_equal(found, 1);
}

static void no_name_is_left_of_them(void **state)
{
    struct fixture *fixture = fixture_new();
    DIR *folder = opendir(fixture->folder);

    (void)state;
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        assert_int_equal(entry->d_name[0], '.');
    closedir(folder);
    fixture_free(fixture);
}

static void a_damaged_one_is_found_and_named(void **state)
{
    struct fixture *fixture = fixture_new();
    struct error err;

    (void)state;
    damage(fixture, 1);
    for (int code = ERROR_IO; code <= ERROR_DAMAGE; code++) {
        error_set(&err, (enum error_code)code, "something cannot be read");
        spills_judge(&fixture->spills, &err);
        assert_int_equal(err.code, ERROR_FETCH);
        assert_int_equal(error_policy(err.code), POLICY_REFETCH); /* costs no attempt */
        assert_non_null(strstr(err.text, "what was spilled here: "));
        assert_non_null(strstr(err.text, ".spill.1"));
    }
    fixture_free(fixture);
}

static void what_is_no_fault_of_theirs_stays_as_it_is(void **state)
{
    struct fixture *fixture = fixture_new();
    struct error err;

    (void)state;
    error_set(&err, ERROR_DAMAGE, "run 'x' is damaged");
    spills_judge(&fixture->spills, &err);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_string_equal(err.text, "run 'x' is damaged");
    damage(fixture, 0);
    error_set(&err, ERROR_SPACE, "no room");
    spills_judge(&fixture->spills, &err);
    assert_int_equal(err.code, ERROR_SPACE);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_name_is_left_of_them),
        cmocka_unit_test(a_damaged_one_is_found_and_named),
        cmocka_unit_test(what_is_no_fault_of_theirs_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
