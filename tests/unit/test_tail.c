/* The tail of an executor's output: its last bytes, and how many came before them. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "worker/agent/tail.h"

/* What tail_text must give for everything that was added, by the definition. */
static void expect_tail(const struct tail *tail, const char *all, size_t size)
{
    size_t kept = size < LIMIT_LOG_TAIL ? size : LIMIT_LOG_TAIL, head = 0;
    cleanup_free char *expected = memory_new(kept + 100), *text = tail_text(tail);

    if (size > kept)
        head = (size_t)sprintf(expected, "[%zu bytes dropped]\n", size - kept);
    memcpy(expected + head, all + size - kept, kept);
    expected[head + kept] = '\0';
    assert_string_equal(text, expected);
    assert_int_equal(tail->length, kept);
    assert_int_equal(tail->dropped, size - kept);
}

static void nothing_gives_the_empty_text(void **state)
{
    struct tail tail = {0};

    (void)state;
    tail_add(&tail, "", 0);
    expect_tail(&tail, "", 0);
}

static void the_last_bytes_are_kept_whatever_the_pieces(void **state)
{
    enum { ALL = 60000 };
    cleanup_free char *all = memory_new(ALL);
    struct rng rng = {5};

    (void)state;
    for (size_t i = 0; i < ALL; i++)
        all[i] = (char)(1 + rng_below(&rng, 255));
    for (int round = 0; round < 60; round++) {
        /* Small pieces, pieces around the ring's size, and pieces much larger. */
        uint64_t piece_max = round % 3 == 0 ? 50 : round % 3 == 1 ? LIMIT_LOG_TAIL + 2 : 30000;
        struct tail tail = {0};

        for (size_t at = 0, n; at < ALL; at += n) {
            n = (size_t)rng_below(&rng, piece_max + 1);
            n = n < ALL - at ? n : ALL - at;
            tail_add(&tail, all + at, n);
            if (rng_below(&rng, 40) == 0 || at + n == ALL)
                expect_tail(&tail, all, at + n);
        }
    }
}

static void a_ring_that_is_exactly_full_has_dropped_nothing(void **state)
{
    cleanup_free char *all = memory_new(LIMIT_LOG_TAIL + 1);
    struct tail tail = {0};

    (void)state;
    memset(all, 'a', LIMIT_LOG_TAIL);
    all[LIMIT_LOG_TAIL] = 'b';
    tail_add(&tail, all, LIMIT_LOG_TAIL);
    expect_tail(&tail, all, LIMIT_LOG_TAIL);
    tail_add(&tail, all + LIMIT_LOG_TAIL, 1);
    expect_tail(&tail, all, LIMIT_LOG_TAIL + 1);
    tail_clear(&tail);
    expect_tail(&tail, all, 0);
}

/* Callers take the tail for a text: what follows a NUL must not be lost, it may say why the job
 * died. */
static void words_behind_a_nul_byte_are_not_lost(void **state)
{
    static const char output[] = "\0\x7f"
                                 "ELF\0\xff\n"
                                 "assertion failed\0";
    struct tail tail = {0};
    cleanup_free char *text = NULL;

    (void)state;
    tail_add(&tail, output, sizeof output);
    text = tail_text(&tail);
    assert_int_equal(strlen(text), sizeof output);
    for (size_t i = 0; i < sizeof output; i++)
        assert_int_equal(text[i], output[i] ? output[i] : '?');
}

static void a_drained_pipe_is_read_to_its_end(void **state)
{
    struct tail tail = {0};
    int pipes[2];

    (void)state;
    assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(tail_drain(&tail, pipes[0]), 1);
    expect_tail(&tail, "", 0);
    assert_int_equal(write(pipes[1], "one ", 4), 4);
    assert_int_equal(tail_drain(&tail, pipes[0]), 1);
    assert_int_equal(write(pipes[1], "two", 3), 3);
    close(pipes[1]);
    while (tail_drain(&tail, pipes[0]))
        ;
    expect_tail(&tail, "one two", 7);
    close(pipes[0]);
    assert_int_equal(tail_drain(&tail, -1), 0);
}

static void a_flood_does_not_hold_its_reader(void **state)
{
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    struct tail tail = {0};

    (void)state;
    assert_true(zero >= 0);
    assert_int_equal(tail_drain(&tail, zero), 1);
    assert_in_range(tail.dropped + tail.length, 65536, 1 << 20);
    close(zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gives_the_empty_text),
        cmocka_unit_test(the_last_bytes_are_kept_whatever_the_pieces),
        cmocka_unit_test(a_ring_that_is_exactly_full_has_dropped_nothing),
        cmocka_unit_test(words_behind_a_nul_byte_are_not_lost),
        cmocka_unit_test(a_drained_pipe_is_read_to_its_end),
        cmocka_unit_test(a_flood_does_not_hold_its_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
