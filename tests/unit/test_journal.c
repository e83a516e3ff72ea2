/* What comes back from a journal is what was appended; or a refusal that names file and offset,
 * whatever byte of it is cut or changed. */
#include "tests/lib/cmocka_all.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/journal_format.h"
#include "tests/lib/book.h"
#include "tests/lib/folder.h"

static int setup(void **state)
{
    *state = folder_new();
    return 0;
}

static int teardown(void **state)
{
    folder_remove(*state);
    return 0;
}

#define LOG_1      "journal/0000000000000001.log"
#define SNAPSHOT_1 "journal/0000000000000001.snapshot"
#define LOG_2      "journal/0000000000000002.log"
#define SNAPSHOT_2 "journal/0000000000000002.snapshot"

static bool exists(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);

    return !access(path, F_OK);
}

static void take_away(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);

    assert_int_equal(unlink(path), 0);
}

/* Opening fails so; the text holds the words. */
static void expect_refusal(const char *folder, enum error_code code, const char *words)
{
    struct book book = {.first = 1};
    struct journal *journal;
    struct error err = {0};

    assert_int_equal(journal_open(folder, book_take, &book, &journal, &err), -1);
    if (!strstr(err.text, words))
        fail_msg("'%s' is not in: %s", words, err.text);
    assert_int_equal(err.code, code);
    assert_false(book.strange);
}

static void what_was_appended_comes_back_in_order(void **state)
{
    journal_close(book_open(*state, 1, 0));
    for (uint64_t life = 0; life < 5; life++) {
        struct journal *journal = book_open(*state, 1, life * 20);

        assert_int_equal(book_append(journal, life * 20 + 1, life * 20 + 10), 10);
        book_await(journal, 10);
        assert_int_equal(book_append(journal, life * 20 + 11, life * 20 + 20), 20);
        journal_close(journal);
    }
    journal_close(book_open(*state, 1, 100));
}

static void a_snapshot_stands_for_everything_before_it(void **state)
{
    struct book_range range = {90, 100};
    struct journal *journal = book_open(*state, 1, 0);
    struct error err;

    assert_false(journal_wants_snapshot(journal));
    book_append(journal, 1, 50);
    book_await(journal, 50);
    book_append(journal, 51, 100);
    assert_int_equal(journal_snapshot(journal, book_snapshot, &range, &err), 0);
    assert_int_equal(book_append(journal, 101, 110), 110);
    book_await(journal, 110);
    assert_true(exists(*state, SNAPSHOT_2) && exists(*state, LOG_2));
    assert_false(exists(*state, SNAPSHOT_1) || exists(*state, LOG_1));
    journal_close(journal);
    journal = book_open(*state, 90, 21);
    assert_int_equal(book_append(journal, 111, 120), 10);
    journal_close(journal);
    journal_close(book_open(*state, 90, 31));
}

static void snapshots_may_follow_each_other_at_once_and_hold_nothing(void **state)
{
    struct book_range nothing = {1, 0}, one = {7, 7};
    struct journal *journal = book_open(*state, 1, 0);
    struct error err;

    for (int i = 0; i < 10; i++)
        assert_int_equal(
            journal_snapshot(journal, book_snapshot, i < 9 ? &nothing : &one, &err), 0);
    book_append(journal, 8, 8);
    journal_close(journal);
    journal_close(book_open(*state, 7, 2));
}

static void a_log_wants_a_snapshot_once_it_outgrows_the_last(void **state)
{
    struct journal *journal = book_open(*state, 1, 0);
    struct book_range range = {1, 8};
    cleanup_free char *large = memory_zeroed(1, 1 << 19);
    struct mr_bytes record = {large, 1 << 19};
    struct error err;

    for (int i = 0; i < 2; i++) {
        assert_false(journal_wants_snapshot(journal));
        journal_append(journal, record);
    }
    journal_append(journal, record);
    assert_true(journal_wants_snapshot(journal));
    assert_int_equal(journal_snapshot(journal, book_snapshot, &range, &err), 0);
    assert_false(journal_wants_snapshot(journal));
    journal_close(journal);
    journal_close(book_open(*state, 1, 8));
}

static int refuse_second(void *context, struct mr_bytes record, struct error *err)
{
    (void)record;
    return ++*(int *)context == 2 ? error_set(err, ERROR_JOB, "no, thank you") : 0;
}

static void a_taker_can_refuse(void **state)
{
    struct journal *journal = book_open(*state, 1, 0);
    struct error err;
    int taken = 0;

    book_append(journal, 1, 3);
    journal_close(journal);
    assert_int_equal(journal_open(*state, refuse_second, &taken, &journal, &err), -1);
    assert_int_equal(taken, 2);
    assert_string_equal(err.text, "no, thank you");
    journal_close(book_open(*state, 1, 3));
}

static void a_journal_in_use_is_refused_with_the_holders_pid(void **state)
{
    struct journal *journal = book_open(*state, 1, 0);
    cleanup_free char *words = memory_format("in use by process %ld", (long)getpid());
    struct journal_facts facts;
    struct error err;

    expect_refusal(*state, ERROR_REFUSED, words);
    assert_int_equal(journal_check(*state, &facts, &err), -1);
    assert_non_null(strstr(err.text, words));
    assert_int_equal(journal_holder(*state), getpid());
    journal_close(journal);
    assert_int_equal(journal_check(*state, &facts, &err), 0);
    journal_close(book_open(*state, 1, 0));
}

static void a_newer_version_is_refused_by_name(void **state)
{
    cleanup_free uint8_t *bytes = NULL;
    size_t size;

    journal_close(book_open(*state, 1, 0));
    bytes = (uint8_t *)folder_read(*state, SNAPSHOT_1, &size);
    bytes[8]++;
    folder_write(*state, SNAPSHOT_1, bytes, size);
    expect_refusal(*state, ERROR_REFUSED, "it has version 2, this program knows 1");
    expect_refusal(*state, ERROR_REFUSED, SNAPSHOT_1);
}

static void missing_files_are_damage(void **state)
{
    struct journal *journal = book_open(*state, 1, 0);
    cleanup_free char *log = NULL;
    size_t size;

    book_append(journal, 1, 3);
    journal_close(journal);
    log = folder_read(*state, LOG_1, &size);
    take_away(*state, LOG_1);
    expect_refusal(*state, ERROR_DAMAGE, LOG_1 "' is missing");
    folder_write(*state, LOG_1, log, size);
    journal_close(book_open(*state, 1, 3));
    take_away(*state, SNAPSHOT_1);
    expect_refusal(*state, ERROR_DAMAGE, "0000000000000001.log' has records");
}

static void a_log_of_another_journal_is_damage(void **state)
{
    char *other = folder_new();
    struct journal *journal = book_open(*state, 1, 0);
    cleanup_free char *log = NULL;
    size_t size;

    book_append(journal, 1, 3);
    journal_close(journal);
    journal = book_open(other, 1, 0);
    book_append(journal, 1, 3);
    journal_close(journal);
    log = folder_read(other, LOG_1, &size);
    folder_write(*state, LOG_1, log, size);
    expect_refusal(*state, ERROR_DAMAGE, "it does not belong to the snapshot beside it");
    folder_remove(other);
}

/* A journal with a snapshot of 5 records, and 12 in its log, in batches of 1, 3 and 8. */
enum { KEPT = 5, LOGGED = 12, ALL = KEPT + LOGGED };

static void make_journal(const char *folder)
{
    static const uint64_t batches[] = {1, 3, 8};
    struct book_range range = {1, KEPT};
    struct journal *journal = book_open(folder, 1, 0);
    uint64_t next = KEPT + 1, number = 0;
    struct error err;

    assert_int_equal(journal_snapshot(journal, book_snapshot, &range, &err), 0);
    for (size_t i = 0; i < 3; i++) {
        number += batches[i];
        assert_int_equal(book_append(journal, next, next + batches[i] - 1), number);
        book_await(journal, number);
        next += batches[i];
    }
    journal_close(journal);
}

/* Opens a copy of the journal with these files; what came back is in *book. */
static int try_files(const char *folder, const void *snapshot, size_t snapshot_size,
                     const void *log, size_t log_size, struct book *book, struct error *err)
{
    struct journal *journal;
    int result;

    *book = (struct book){.first = 1};
    folder_write(folder, SNAPSHOT_2, snapshot, snapshot_size);
    folder_write(folder, LOG_2, log, log_size);
    result = journal_open(folder, book_take, book, &journal, err);
    if (!result)
        journal_close(journal);
    assert_false(book->strange);
    return result;
}

static void a_log_cut_anywhere_gives_a_prefix_and_can_go_on(void **state)
{
    cleanup_free char *snapshot = NULL, *log = NULL;
    size_t snapshot_size, size;
    uint64_t before = 0;
    struct book book;
    struct error err;

    make_journal(*state);
    snapshot = folder_read(*state, SNAPSHOT_2, &snapshot_size);
    log = folder_read(*state, LOG_2, &size);
    for (size_t cut = 0; cut <= size; cut++) {
        struct journal *journal;

        assert_int_equal(try_files(*state, snapshot, snapshot_size, log, cut, &book, &err), 0);
        assert_true(book.count == before || book.count == before + 1 || !cut);
        before = book.count;
        if (cut % 13)
            continue;
        journal = book_open(*state, 1, before);
        book_append(journal, before + 1, before + 2);
        journal_close(journal);
        journal_close(book_open(*state, 1, before + 2));
    }
    assert_int_equal(before, ALL);
}

static void a_snapshot_cut_anywhere_is_damage(void **state)
{
    cleanup_free char *snapshot = NULL, *log = NULL;
    size_t snapshot_size, size;
    struct book book;
    struct error err;

    make_journal(*state);
    snapshot = folder_read(*state, SNAPSHOT_2, &snapshot_size);
    log = folder_read(*state, LOG_2, &size);
    for (size_t cut = 0; cut < snapshot_size; cut++) {
        assert_int_equal(try_files(*state, snapshot, cut, log, size, &book, &err), -1);
        assert_int_equal(err.code, ERROR_DAMAGE);
        assert_non_null(strstr(err.text, SNAPSHOT_2));
    }
}

static void every_changed_byte_is_found(void **state)
{
    cleanup_free char *snapshot = NULL, *log = NULL;
    size_t snapshot_size, size, last_mark;
    struct book book;
    struct error err;

    make_journal(*state);
    snapshot = folder_read(*state, SNAPSHOT_2, &snapshot_size);
    log = folder_read(*state, LOG_2, &size);
    last_mark = size - sizeof(struct journal_frame);
    for (size_t at = 0; at < snapshot_size + size; at++) {
        char *byte = at < snapshot_size ? &snapshot[at] : &log[at - snapshot_size];
        int bit = 1 << at % 8, result;

        *byte ^= (char)bit;
        result = try_files(*state, snapshot, snapshot_size, log, size, &book, &err);
        *byte ^= (char)bit;
        if (at >= snapshot_size && at - snapshot_size >= last_mark) {
            /* The mark at the end is no record: without it all are still there. */
            assert_int_equal(result, 0);
            assert_int_equal(book.count, ALL);
        } else {
            assert_int_equal(result, -1);
            assert_true(err.code == ERROR_DAMAGE || err.code == ERROR_REFUSED);
            assert_non_null(strstr(err.text, at < snapshot_size ? SNAPSHOT_2 : LOG_2));
        }
    }
}

/* Where the last batch begins, behind the last mark but one. */
static size_t last_batch(const char *log, size_t size)
{
    size_t marks[2] = {0};

    for (size_t at = sizeof(struct journal_header); at < size;) {
        struct journal_frame frame;

        memcpy(&frame, log + at, sizeof frame);
        at += sizeof frame + frame.length;
        if (frame.kind != JOURNAL_MARK)
            continue;
        marks[0] = marks[1];
        marks[1] = at;
    }
    assert_int_equal(marks[1], size);
    return marks[0];
}

/* Without the mark the last batch may never have been synced: pages come in any order. */
static void a_batch_that_was_never_marked_may_be_torn_in_its_middle(void **state)
{
    cleanup_free char *snapshot = NULL, *log = NULL;
    size_t snapshot_size, size, start;
    struct book book;
    struct error err;
    uint64_t before;

    make_journal(*state);
    snapshot = folder_read(*state, SNAPSHOT_2, &snapshot_size);
    log = folder_read(*state, LOG_2, &size);
    start = last_batch(log, size);
    assert_int_equal(try_files(*state, snapshot, snapshot_size, log, start, &book, &err), 0);
    before = book.count;
    size -= sizeof(struct journal_frame);
    for (size_t at = start; at < size; at++) {
        log[at] ^= 16;
        assert_int_equal(try_files(*state, snapshot, snapshot_size, log, size, &book, &err), 0);
        assert_in_range(book.count, before, ALL - 1);
        log[at] ^= 16;
    }
    log[start - 1] ^= 16; /* the mark before it */
    assert_int_equal(try_files(*state, snapshot, snapshot_size, log, size, &book, &err), 0);
    assert_int_equal(book.count, before);
}

static void a_check_tells_what_there_is_and_changes_nothing(void **state)
{
    cleanup_free char *log = NULL, *after = NULL;
    struct journal_facts facts;
    struct error err;
    size_t size, size_after;

    assert_int_equal(journal_check(*state, &facts, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    make_journal(*state);
    log = folder_read(*state, LOG_2, &size);
    folder_write(*state, LOG_2, log, size - sizeof(struct journal_frame) - 1);
    assert_int_equal(journal_check(*state, &facts, &err), 0);
    assert_int_equal(facts.generation, 2);
    assert_int_equal(facts.snapshot_records, KEPT);
    assert_int_equal(facts.log_records, LOGGED - 1);
    assert_true(facts.torn > 0);
    after = folder_read(*state, LOG_2, &size_after);
    assert_int_equal(size_after, size - sizeof(struct journal_frame) - 1);
    assert_memory_equal(log, after, size_after);
    log[100] ^= 1;
    folder_write(*state, LOG_2, log, size);
    assert_int_equal(journal_check(*state, &facts, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
}

/* A frame of a length that no record has, and one that is not there, cost no memory. */
static void an_absurd_length_is_no_record(void **state)
{
    struct journal_frame frame = {
        .length = JOURNAL_RECORD_MAX + 1, .kind = JOURNAL_RECORD, .sequence = ALL + 1};
    cleanup_free char *log = NULL, *longer = NULL;
    size_t size;

    make_journal(*state);
    log = folder_read(*state, LOG_2, &size);
    longer = memory_new(size + sizeof frame);
    memcpy(longer, log, size);
    memcpy(longer + size, &frame, sizeof frame);
    folder_write(*state, LOG_2, longer, size + sizeof frame);
    journal_close(book_open(*state, 1, ALL));
    frame.length = JOURNAL_RECORD_MAX;
    memcpy(longer + size, &frame, sizeof frame);
    folder_write(*state, LOG_2, longer, size + sizeof frame);
    journal_close(book_open(*state, 1, ALL));
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(what_was_appended_comes_back_in_order),
        test(a_snapshot_stands_for_everything_before_it),
        test(snapshots_may_follow_each_other_at_once_and_hold_nothing),
        test(a_log_wants_a_snapshot_once_it_outgrows_the_last),
        test(a_taker_can_refuse),
        test(a_journal_in_use_is_refused_with_the_holders_pid),
        test(a_newer_version_is_refused_by_name),
        test(missing_files_are_damage),
        test(a_log_of_another_journal_is_damage),
        test(a_log_cut_anywhere_gives_a_prefix_and_can_go_on),
        test(a_snapshot_cut_anywhere_is_damage),
        test(every_changed_byte_is_found),
        test(a_batch_that_was_never_marked_may_be_torn_in_its_middle),
        test(a_check_tells_what_there_is_and_changes_nothing),
        test(an_absurd_length_is_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
