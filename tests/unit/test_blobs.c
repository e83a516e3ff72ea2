/* Blobs: whole and right, or not there. */
#include "tests/lib/cmocka_all.h"

#include <dirent.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "store/blobs.h"
#include "tests/lib/folder.h"

/* A store in a folder of its own, and a blob to put there. */
struct scene {
    char *folder, *path;
    struct blobs *blobs;
    uint8_t *bytes, hash[BLOB_HASH];
    size_t size;
};

static struct scene *scene_open(size_t size)
{
    struct scene *s = memory_zeroed(1, sizeof *s);
    struct rng rng = {size + 1};
    struct error err;

    s->folder = folder_new();
    s->path = folder_path(s->folder, "blobs");
    assert_int_equal(blobs_open(s->path, false, &s->blobs, &err), 0);
    s->size = size;
    s->bytes = memory_new(size + 1);
    for (size_t i = 0; i < size; i++)
        s->bytes[i] = (uint8_t)rng_next(&rng);
    crypto_hash_sha256(s->hash, s->bytes, size);
    return s;
}

static void scene_close(struct scene *s)
{
    blobs_close(s->blobs);
    folder_remove(s->folder);
    free(s->path);
    free(s->bytes);
    free(s);
}

/* How many files are there, whole or not. */
static size_t files(const struct scene *s)
{
    DIR *folder = opendir(s->path);
    const struct dirent *entry;
    size_t n = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)))
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static int add(struct scene *s, uint64_t source, size_t offset, size_t size, struct error *err)
{
    return blobs_add(s->blobs, source, s->hash, offset, s->size, s->bytes + offset, size, err);
}

static void expect_added(struct scene *s, uint64_t source, size_t offset, size_t size,
                         int result)
{
    struct error err;

    if (add(s, source, offset, size, &err) != result)
        fail_msg("%zu bytes at %zu of source %d", size, offset, (int)source);
}

/* That piece is refused, with this code. */
static void expect_refused(struct scene *s, uint64_t source, size_t offset, size_t size,
                           enum error_code code)
{
    struct error err = {0};

    assert_int_equal(add(s, source, offset, size, &err), -1);
    assert_int_equal(err.code, code);
    assert_true(*err.text);
}

/* From the offset on to the end, in pieces. */
static void add_from(struct scene *s, uint64_t source, size_t offset)
{
    while (offset < s->size) {
        size_t left = s->size - offset, size = left < BLOB_PIECE ? left : BLOB_PIECE;

        expect_added(s, source, offset, size, size == left);
        offset += size;
    }
}

static void expect_whole(struct scene *s)
{
    cleanup_free char *path = blobs_path(s->blobs, s->hash);
    cleanup_free uint8_t *piece = memory_new(BLOB_PIECE);
    size_t offset = 0;

    assert_non_null(path);
    do {
        uint64_t total;
        size_t size;
        struct error err;

        assert_int_equal(blobs_read(s->blobs, s->hash, offset, piece, &size, &total, &err), 0);
        assert_int_equal(total, s->size);
        assert_int_equal(size, s->size - offset < BLOB_PIECE ? s->size - offset : BLOB_PIECE);
        assert_memory_equal(piece, s->bytes + offset, size);
        offset += size;
    } while (offset < s->size);
}

static void expect_nothing(struct scene *s)
{
    assert_null(blobs_path(s->blobs, s->hash));
    assert_int_equal(files(s), 0);
}

static void pieces_in_order_make_a_blob_of_any_size(void **state)
{
    static const size_t sizes[] = {
        0, 1, 100, BLOB_PIECE - 1, BLOB_PIECE, BLOB_PIECE + 1, 3 * BLOB_PIECE, 1000003};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct scene *s = scene_open(sizes[i]);

        expect_nothing(s);
        if (!sizes[i])
            expect_added(s, 1, 0, 0, 1);
        add_from(s, 1, 0);
        expect_whole(s);
        assert_int_equal(files(s), 1);
        scene_close(s);
    }
}

static void a_blob_is_not_there_before_its_last_byte(void **state)
{
    struct scene *s = scene_open(1000);

    (void)state;
    for (size_t i = 0; i < 999; i++) {
        expect_added(s, 1, i, 1, 0);
        if (i % 100 == 0)
            assert_null(blobs_path(s->blobs, s->hash));
    }
    expect_added(s, 1, 999, 1, 1);
    expect_whole(s);
    scene_close(s);
}

static void a_piece_out_of_order_drops_what_was_begun(void **state)
{
    static const size_t offsets[] = {50, 99, 101, 150, 200, 1000};
    struct scene *s = scene_open(1000);

    (void)state;
    expect_refused(s, 1, 100, 100, ERROR_DAMAGE); /* nothing was begun */
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        expect_added(s, 1, 0, 100, 0);
        expect_refused(s, 1, offsets[i], offsets[i] == 1000 ? 0 : 10, ERROR_DAMAGE);
        expect_nothing(s);
        expect_refused(s, 1, 100, 900, ERROR_DAMAGE);
    }
    add_from(s, 1, 0);
    expect_whole(s);
    scene_close(s);
}

static void several_sources_send_at_once_and_none_disturbs_the_others(void **state)
{
    struct scene *s = scene_open(4000), *other = scene_open(3000);
    struct error err;

    (void)state;
    for (size_t offset = 0; offset < 3000; offset += 1000) {
        expect_added(s, 1, offset, 1000, 0);
        expect_added(s, 2, offset, 1000, 0);
        /* Another blob of the first source. */
        assert_int_equal(blobs_add(s->blobs, 1, other->hash, offset, 3000,
                                   other->bytes + offset, 1000, &err),
                         offset == 2000);
    }
    assert_int_equal(files(s), 3);
    blobs_forget(s->blobs, 2);
    assert_int_equal(files(s), 2);
    expect_added(s, 1, 3000, 1000, 1);
    expect_whole(s);
    /* Who comes later sends the same again. */
    expect_refused(s, 2, 3000, 1000, ERROR_DAMAGE);
    add_from(s, 2, 0);
    expect_whole(s);
    assert_int_equal(files(s), 2);
    scene_close(other);
    scene_close(s);
}

static void a_piece_from_offset_0_begins_anew(void **state)
{
    struct scene *s = scene_open(1000);
    uint8_t right = s->bytes[7];

    (void)state;
    s->bytes[7] = (uint8_t)~right;
    expect_added(s, 1, 0, 600, 0);
    s->bytes[7] = right;
    expect_added(s, 1, 0, 300, 0);
    expect_added(s, 1, 300, 700, 1);
    expect_whole(s);
    assert_int_equal(files(s), 1);
    scene_close(s);
}

static void bytes_of_another_hash_are_no_blob(void **state)
{
    struct scene *s = scene_open(1000);

    (void)state;
    s->bytes[999] ^= 1;
    expect_added(s, 1, 0, 500, 0);
    expect_refused(s, 1, 500, 500, ERROR_DAMAGE);
    expect_nothing(s);
    s->bytes[999] ^= 1;
    add_from(s, 1, 0);
    expect_whole(s);
    /* Nor do they replace the right ones. */
    s->bytes[999] ^= 1;
    expect_refused(s, 2, 0, 1000, ERROR_DAMAGE);
    s->bytes[999] ^= 1;
    expect_whole(s);
    assert_int_equal(files(s), 1);
    scene_close(s);
}

static void a_total_that_changes_drops_what_was_begun(void **state)
{
    struct scene *s = scene_open(1000);

    (void)state;
    expect_added(s, 1, 0, 500, 0);
    s->size = 999;
    expect_refused(s, 1, 500, 100, ERROR_DAMAGE);
    s->size = 1000;
    expect_nothing(s);
    expect_refused(s, 1, 500, 100, ERROR_DAMAGE);
    scene_close(s);
}

static void what_is_too_large_is_refused(void **state)
{
    struct scene *s = scene_open(2 * BLOB_PIECE);
    uint64_t totals[] = {LIMIT_OBJECT + 1, UINT64_MAX};
    struct error err;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(blobs_add(s->blobs, 1, s->hash, 0, totals[i], s->bytes, 100, &err),
                         -1);
        assert_int_equal(err.code, ERROR_REFUSED);
    }
    expect_refused(s, 1, 0, BLOB_PIECE + 1, ERROR_REFUSED);
    /* Beyond its own end, and around the corner of the numbers. */
    assert_int_equal(blobs_add(s->blobs, 1, s->hash, 0, 99, s->bytes, 100, &err), -1);
    expect_added(s, 1, 0, 100, 0);
    assert_int_equal(
        blobs_add(s->blobs, 1, s->hash, UINT64_MAX - 10, s->size, s->bytes, 100, &err), -1);
    expect_nothing(s);
    assert_int_equal(blobs_add(s->blobs, 1, s->hash, 0, LIMIT_OBJECT, s->bytes, 100, &err), 0);
    scene_close(s);
}

/* Each holds a file open. */
static void a_source_has_no_more_on_their_way_than_a_job_may_have(void **state)
{
    struct scene *s = scene_open(1000);
    uint8_t hash[BLOB_HASH] = {0};
    struct error err;

    (void)state;
    for (int i = 0; i < LIMIT_BLOBS; i++) {
        hash[0] = (uint8_t)i;
        assert_int_equal(blobs_add(s->blobs, 1, hash, 0, 1000, s->bytes, 100, &err), 0);
    }
    expect_refused(s, 1, 0, 100, ERROR_REFUSED);
    expect_added(s, 2, 0, 1000, 1);
    /* One that begins anew is none more. */
    assert_int_equal(blobs_add(s->blobs, 1, hash, 0, 1000, s->bytes, 100, &err), 0);
    blobs_forget(s->blobs, 1);
    assert_int_equal(files(s), 1);
    scene_close(s);
}

static void closing_leaves_what_is_whole_alone(void **state)
{
    struct scene *s = scene_open(1000);
    uint8_t hash[BLOB_HASH] = {0};
    struct error err;

    (void)state;
    add_from(s, 1, 0);
    assert_int_equal(blobs_add(s->blobs, 1, hash, 0, 1000, s->bytes, 100, &err), 0);
    assert_int_equal(files(s), 2);
    blobs_close(s->blobs);
    assert_int_equal(files(s), 1);
    assert_int_equal(blobs_open(s->path, false, &s->blobs, &err), 0);
    expect_whole(s);
    blobs_close(NULL);
    scene_close(s);
}

/* A coordinator that is killed closes nothing. */
static void what_a_killed_process_left_half_done_goes_at_the_next_start(void **state)
{
    struct scene *s = scene_open(1000), *dead = scene_open(500);
    struct error err;

    (void)state;
    add_from(s, 1, 0);
    expect_added(dead, 1, 0, 100, 0);
    {
        cleanup_free char *command = memory_format("cp '%s'/* '%s'/", dead->path, s->path);

        assert_int_equal(system(command), 0);
    }
    assert_int_equal(files(s), 2);
    blobs_close(s->blobs);
    assert_int_equal(blobs_open(s->path, false, &s->blobs, &err), 0);
    assert_int_equal(files(s), 1);
    expect_whole(s);
    scene_close(dead);
    scene_close(s);
}

static void reading_beyond_the_end_is_empty_and_of_nothing_an_error(void **state)
{
    struct scene *s = scene_open(1000);
    cleanup_free uint8_t *piece = memory_new(BLOB_PIECE);
    uint64_t total = 7;
    size_t size = 7;
    struct error err;

    (void)state;
    assert_int_equal(blobs_read(s->blobs, s->hash, 0, piece, &size, &total, &err), -1);
    assert_int_equal(err.code, ERROR_OBJECT);
    assert_int_equal(size, 7);
    assert_int_equal(total, 7);
    add_from(s, 1, 0);
    assert_int_equal(blobs_read(s->blobs, s->hash, 999, piece, &size, &total, &err), 0);
    assert_int_equal(size, 1);
    assert_int_equal(*piece, s->bytes[999]);
    assert_int_equal(blobs_read(s->blobs, s->hash, 1000, piece, &size, &total, &err), 0);
    assert_int_equal(size, 0);
    assert_int_equal(total, 1000);
    assert_int_equal(blobs_read(s->blobs, s->hash, 1ULL << 40, piece, &size, &total, &err), 0);
    assert_int_equal(size, 0);
    assert_int_equal(blobs_read(s->blobs, s->hash, UINT64_MAX, piece, &size, &total, &err), -1);
    scene_close(s);
}

static void a_full_disk_is_an_error_and_leaves_room(void **state)
{
    struct scene *s = scene_open(4 * BLOB_PIECE), *small = scene_open(1000);
    struct error err = {0};
    size_t offset = 0;

    (void)state;
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("small", s->path, "tmpfs", 0, "size=600k")) {
        printf("skipped: a full disk: this process may not mount\n");
        scene_close(s);
        scene_close(small);
        skip();
    }
    while (!add(s, 1, offset, BLOB_PIECE, &err))
        offset += BLOB_PIECE;
    assert_int_equal(offset, 2 * BLOB_PIECE);
    assert_int_equal(err.code, ERROR_SPACE);
    expect_nothing(s);
    /* The room is there for another. */
    assert_int_equal(blobs_add(s->blobs, 1, small->hash, 0, 1000, small->bytes, 1000, &err), 1);
    assert_int_equal(umount2(s->path, MNT_DETACH), 0);
    scene_close(small);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_in_order_make_a_blob_of_any_size),
        cmocka_unit_test(a_blob_is_not_there_before_its_last_byte),
        cmocka_unit_test(a_piece_out_of_order_drops_what_was_begun),
        cmocka_unit_test(several_sources_send_at_once_and_none_disturbs_the_others),
        cmocka_unit_test(a_piece_from_offset_0_begins_anew),
        cmocka_unit_test(bytes_of_another_hash_are_no_blob),
        cmocka_unit_test(a_total_that_changes_drops_what_was_begun),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(a_source_has_no_more_on_their_way_than_a_job_may_have),
        cmocka_unit_test(closing_leaves_what_is_whole_alone),
        cmocka_unit_test(what_a_killed_process_left_half_done_goes_at_the_next_start),
        cmocka_unit_test(reading_beyond_the_end_is_empty_and_of_nothing_an_error),
        cmocka_unit_test(a_full_disk_is_an_error_and_leaves_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
