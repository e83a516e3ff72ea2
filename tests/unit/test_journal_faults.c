/* The journal on a disk that fails, and in a process that dies: at each of its system calls,
 * and at any moment. What was told to be durable is there; what is there is right. The linker
 * turns the calls to the wrappers below. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tests/lib/book.h"
#include "tests/lib/folder.h"

enum fault {
    FAULT_NONE,
    FAULT_ERROR,      /* the call fails, a write after half of it */
    FAULT_DIE_BEFORE, /* the process dies: what was written stays */
    FAULT_DIE_AFTER,  /* of a write, behind half of it */
    FAULT_POWER,      /* and the machine: what was not synced is gone */
    FAULT_POWER_TORN, /* the end of it is there, its beginning is not */
    FAULTS
};

enum { DESCRIPTORS = 256, DIED = 42 };

static enum fault fault;
static int fault_at, fault_errno; /* which call; with which error */
static atomic_int calls, calls_failed;
static off_t synced[DESCRIPTORS]; /* bytes that are on the disk */
static char renamed[2][4096];     /* from, to; not on the disk yet */

/* Ends the process as a kill does: without what the library or a sanitizer does at an exit. */
static _Noreturn void end(int status)
{
    for (;;)
        syscall(SYS_exit_group, status);
}

/* What a disk would hold that lost its power. The process is about to die. */
static void lose_power(bool torn)
{
    for (int fd = 3; fd < DESCRIPTORS; fd++) {
        cleanup_free char *link = memory_format("/proc/self/fd/%d", fd);
        char path[4096] = "", zeros[64] = {0};
        struct stat st;
        off_t half;

        if (readlink(link, path, sizeof path - 1) < 0 || !strstr(path, "/journal/0") ||
            fstat(fd, &st) || st.st_size <= synced[fd])
            continue;
        half = synced[fd] + (st.st_size - synced[fd]) / 2;
        if (!torn)
            check(!truncate(link, synced[fd]));
        for (off_t at = synced[fd]; torn && at < half; at += (off_t)sizeof zeros)
            check(lseek(fd, at, SEEK_SET) == at &&
                  write(fd, zeros,
                        half - at < (off_t)sizeof zeros ? (size_t)(half - at) : sizeof zeros) >
                      0);
    }
    if (*renamed[0] && !torn)
        check(!link(renamed[1], renamed[0]) && !unlink(renamed[1]));
}

/* Whether this call is to fail; or the process dies here. */
static bool strikes(void)
{
    if (fault == FAULT_NONE || atomic_fetch_add(&calls, 1) + 1 != fault_at)
        return false;
    if (fault == FAULT_POWER || fault == FAULT_POWER_TORN)
        lose_power(fault == FAULT_POWER_TORN);
    if (fault != FAULT_ERROR && fault != FAULT_DIE_AFTER)
        end(DIED);
    return true;
}

/* The call was made, or half of it; what becomes of it. */
static int struck(void)
{
    if (fault == FAULT_DIE_AFTER)
        end(DIED);
    atomic_fetch_add(&calls_failed, 1);
    errno = fault_errno;
    return -1;
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    if (!offset)
        synced[fd] = 0;
    if (strikes()) {
        check(__real_pwrite(fd, bytes, n / 2, offset) == (ssize_t)(n / 2));
        return struck();
    }
    return __real_pwrite(fd, bytes, n, offset);
}

static int sync_with(int (*real)(int), int fd)
{
    struct stat st;
    bool hit = strikes();
    int result;

    if (hit && fault == FAULT_ERROR)
        return struck();
    result = real(fd);
    check(!fstat(fd, &st));
    synced[fd] = st.st_size;
    if (S_ISDIR(st.st_mode))
        *renamed[0] = '\0';
    return hit ? struck() : result;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    return sync_with(__real_fdatasync, fd);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return sync_with(__real_fsync, fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    bool hit = strikes();
    int result;

    if (hit && fault == FAULT_ERROR)
        return struck();
    result = __real_rename(from, to);
    strcpy(renamed[0], from);
    strcpy(renamed[1], to);
    return hit ? struck() : result;
}

int __real_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags)
{
    bool hit = strikes();

    if (hit && fault == FAULT_ERROR)
        return struck();
    hit = __real_unlinkat(folder, name, flags) || hit;
    return hit ? struck() : 0;
}

/* ---- What happens to a journal, in a process of its own
 * ---------------------------------------
 */

struct told {
    int pipe;
    uint64_t base; /* the record before the first of this life */
};

/* Waits until record n is durable and says so; false: the journal failed. */
static bool tell_durable(struct journal *journal, const struct told *told, uint64_t number)
{
    uint64_t durable;
    struct error err;

    for (;;) {
        struct pollfd wait = {.fd = journal_fd(journal), .events = POLLIN};

        if (journal_durable(journal, &durable, &err)) {
            check(strstr(err.text, "/journal"));
            check(err.code == (fault_errno == ENOSPC ? ERROR_SPACE : ERROR_IO));
            return false;
        }
        durable += told->base;
        check(write(told->pipe, &durable, sizeof durable) == sizeof durable);
        if (durable >= told->base + number)
            return true;
        check(poll(&wait, 1, 60000) == 1);
    }
}

/* Records 1 .. 60 with snapshots of 11 .. 20 and 31 .. 40 in between. False: it failed. */
static bool live(struct journal *journal, const struct told *told)
{
    struct error err;

    for (uint64_t at = 0; at < 60; at += 20) {
        struct book_range range = {at + 11, at + 20};
        uint64_t number;

        book_append(journal, at + 1, at + 5);
        if (!tell_durable(journal, told, at + 1))
            return false;
        number = book_append(journal, at + 6, at + 20);
        if (at == 40)
            return tell_durable(journal, told, number);
        if (journal_snapshot(journal, book_snapshot, &range, &err) ||
            !tell_durable(journal, told, number))
            return false;
    }
    return true;
}

/* After a failure nothing is written, synced or promised any more, but callers may go on. */
static void expect_silence(struct journal *journal)
{
    struct book_range range = {1, 2};
    struct error err, again;
    uint64_t number, durable = 0;
    int before = atomic_load(&calls);

    number = book_append(journal, 1, 1);
    check(book_append(journal, 2, 2) == number + 1);
    check(!journal_wants_snapshot(journal));
    check(journal_snapshot(journal, book_snapshot, &range, &err));
    check(journal_durable(journal, &durable, &again) && !durable);
    check(!strcmp(err.text, again.text));
    journal_close(journal);
    check(atomic_load(&calls) == before);
}

static _Noreturn void life(const char *folder, int pipe)
{
    struct told told = {.pipe = pipe};
    struct book book = {.first = 1};
    struct journal *journal;
    struct error err;

    if (journal_open(folder, book_take, &book, &journal, &err)) {
        check(fault == FAULT_ERROR && atomic_load(&calls_failed) == 1);
        end(0);
    }
    if (live(journal, &told)) {
        journal_close(journal);
        check(!atomic_load(&calls_failed) || fault_at == atomic_load(&calls));
    } else {
        check(atomic_load(&calls_failed) == 1);
        expect_silence(journal);
    }
    end(atomic_load(&calls) < fault_at ? 1 : 0); /* 1: it has ended before */
}

/* Runs the child; the last number it told is in *ret_durable, its status is returned. */
static int run(void (*child)(const char *folder, int pipe), const char *folder,
               uint64_t *ret_durable)
{
    int pipes[2], status;
    uint64_t durable;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        close(pipes[0]);
        child(folder, pipes[1]);
        end(1);
    }
    close(pipes[1]);
    *ret_durable = 0;
    while (read(pipes[0], &durable, sizeof durable) == sizeof durable) {
        assert_true(durable >= *ret_durable);
        *ret_durable = durable;
    }
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fail_msg("fault %d at call %d: the child ended with %#x", fault, fault_at, status);
    return WEXITSTATUS(status);
}

/* What came back is a state that there was: from the beginning or from a snapshot, without a
 * gap, up to what was durable or later. Then the journal goes on. */
static void expect_whole(const char *folder, uint64_t durable)
{
    struct book book = {0};
    struct journal *journal;
    struct error err;
    uint64_t last;

    if (journal_open(folder, book_take, &book, &journal, &err))
        fail_msg("fault %d at call %d: %s", fault, fault_at, err.text);
    assert_false(book.strange);
    last = book.count ? book.first + book.count - 1 : 0;
    assert_true(!book.count || book.first == 1 || book.first == 11 || book.first == 31);
    assert_true(last >= durable && (book.first == 1 || last >= book.first + 9 || !last));
    book_append(journal, last + 1, last + 3);
    journal_close(journal);
    journal_close(book_open(folder, book.count ? book.first : 1, book.count + 3));
}

/* At each call in turn. */
static void strike_everywhere(enum fault what, int with)
{
    int died = 0, ended = 0;

    for (int at = 1; !ended; at++) {
        char *folder = folder_new();
        uint64_t durable;
        int status;

        fault = what;
        fault_at = at;
        fault_errno = with;
        status = run(life, folder, &durable);
        fault = FAULT_NONE;
        expect_whole(folder, durable);
        if (status == 1) {
            ended = 1;
            assert_true(durable == 60);
        } else {
            assert_int_equal(status, what == FAULT_ERROR ? 0 : DIED);
            died++;
        }
        folder_remove(folder);
    }
    assert_true(died > 20); /* so many calls there are at least */
}

static void a_process_that_dies_at_any_call_loses_nothing_durable(void **state)
{
    (void)state;
    strike_everywhere(FAULT_DIE_BEFORE, 0);
    strike_everywhere(FAULT_DIE_AFTER, 0);
}

static void a_machine_that_loses_power_at_any_call_loses_nothing_durable(void **state)
{
    (void)state;
    strike_everywhere(FAULT_POWER, 0);
    strike_everywhere(FAULT_POWER_TORN, 0);
}

static void any_call_that_fails_ends_the_journal_by_name(void **state)
{
    (void)state;
    strike_everywhere(FAULT_ERROR, EIO);
    strike_everywhere(FAULT_ERROR, ENOSPC);
}

/* ---- A full disk, and kill -9
 * -----------------------------------------------------------------
 */

static _Noreturn void fill(const char *folder, int pipe)
{
    struct told told = {.pipe = pipe};
    struct journal *journal = book_open(folder, 1, 0);
    struct rlimit limit = {5000, 5000};
    uint64_t n = 0;

    fault_errno = EFBIG;
    signal(SIGXFSZ, SIG_IGN);
    check(!setrlimit(RLIMIT_FSIZE, &limit));
    do {
        n++;
        check(n < 5000);
    } while (tell_durable(journal, &told, book_append(journal, n, n)));
    expect_silence(journal);
    end(0);
}

static void a_full_file_ends_the_journal_and_what_fitted_is_there(void **state)
{
    char *folder = folder_new();
    struct book book = {.first = 1};
    struct journal *journal;
    struct error err;
    uint64_t durable;

    (void)state;
    assert_int_equal(run(fill, folder, &durable), 0);
    assert_true(durable > 10);
    assert_int_equal(journal_open(folder, book_take, &book, &journal, &err), 0);
    assert_true(!book.strange && book.count >= durable);
    journal_close(journal);
    folder_remove(folder);
}

/* Goes on for ever from where the journal stands, with a snapshot of the last 20 records now
 * and then. */
static _Noreturn void go_on(const char *folder, int pipe)
{
    struct told told = {.pipe = pipe};
    struct book book = {0};
    struct journal *journal;
    struct error err;
    struct rng rng;

    check(!journal_open(folder, book_take, &book, &journal, &err) && !book.strange);
    told.base = book.count ? book.first + book.count - 1 : 0;
    rng.state = told.base;
    for (uint64_t next = told.base + 1;;) {
        uint64_t last = next + rng_below(&rng, 30);
        struct book_range range = {last > 20 ? last - 19 : 1, last};
        uint64_t number = book_append(journal, next, last);

        range.first += range.first % 7 == 6; /* an empty record would not tell its number */
        if (!rng_below(&rng, 6))
            check(!journal_snapshot(journal, book_snapshot, &range, &err));
        if (rng_below(&rng, 3))
            check(tell_durable(journal, &told, number));
        next = last + 1;
    }
}

static void kill_9_at_any_moment_loses_nothing_durable(void **state)
{
    char *folder = folder_new();
    struct rng rng = {9};
    uint64_t durable = 0;

    (void)state;
    for (int round = 0; round < 30; round++) {
        uint64_t reports = 1 + rng_below(&rng, 40);
        struct book book = {0};
        struct journal *journal;
        struct error err;
        int pipes[2], status;
        pid_t pid;

        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        if (!pid)
            go_on(folder, pipes[1]);
        close(pipes[1]);
        for (uint64_t i = 0; i < reports; i++)
            assert_int_equal(read(pipes[0], &durable, sizeof durable), sizeof durable);
        kill(pid, SIGKILL);
        while (read(pipes[0], &durable, sizeof durable) == sizeof durable)
            ;
        close(pipes[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (journal_open(folder, book_take, &book, &journal, &err))
            fail_msg("%s", err.text);
        assert_false(book.strange);
        assert_true(book.count && book.first + book.count - 1 >= durable);
        journal_close(journal);
    }
    assert_true(durable > 1000);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_dies_at_any_call_loses_nothing_durable),
        cmocka_unit_test(a_machine_that_loses_power_at_any_call_loses_nothing_durable),
        cmocka_unit_test(any_call_that_fails_ends_the_journal_by_name),
        cmocka_unit_test(a_full_file_ends_the_journal_and_what_fitted_is_there),
        cmocka_unit_test(kill_9_at_any_moment_loses_nothing_durable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
