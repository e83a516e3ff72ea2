#include "tests/lib/book.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/rng.h"
#include "coordinator/journal_format.h"

struct mr_bytes book_record(uint64_t n)
{
    struct rng rng = {n};
    uint64_t size = rng_below(&rng, n % 25 == 24 ? 9000 : 60);
    char *bytes = memory_new(17 + size);

    if (n % 7 == 6)
        return (struct mr_bytes){bytes, 0};
    snprintf(bytes, 17, "%016llx", (unsigned long long)n);
    for (uint64_t i = 0; i < size; i++)
        bytes[16 + i] = (char)rng_next(&rng);
    if (size >= sizeof(struct journal_frame)) {
        struct journal_frame bait = {.kind = JOURNAL_MARK, .sequence = n + 1};

        bait.checksum = journal_frame_sum(&bait, NULL, 0);
        memcpy(bytes + 16, &bait, sizeof bait);
    }
    return (struct mr_bytes){bytes, 16 + size};
}

int book_take(void *context, struct mr_bytes record, struct error *err)
{
    struct book *book = context;
    struct mr_bytes wanted;

    (void)err;
    if (!book->count++ && !book->first) {
        char digits[17] = "";

        memcpy(digits, record.ptr, record.len < 16 ? record.len : 16);
        book->first = strtoull(digits, NULL, 16);
    }
    wanted = book_record(book->first + book->count - 1);
    if (wanted.len != record.len || memcmp(wanted.ptr, record.ptr, wanted.len))
        book->strange = true;
    free((char *)wanted.ptr);
    return 0;
}

struct journal *book_open(const char *state, uint64_t first, uint64_t count)
{
    struct book book = {.first = first};
    struct journal *journal;
    struct error err;

    if (journal_open(state, book_take, &book, &journal, &err)) {
        fprintf(stderr, "%s\n", err.text);
        check(!"the journal opens");
    }
    check(!book.strange && book.count == count);
    return journal;
}

uint64_t book_append(struct journal *journal, uint64_t first, uint64_t last)
{
    uint64_t number = 0;

    for (uint64_t n = first; n <= last; n++) {
        struct mr_bytes record = book_record(n);

        number = journal_append(journal, record);
        free((char *)record.ptr);
    }
    return number;
}

void book_await(struct journal *journal, uint64_t number)
{
    uint64_t durable;
    struct error err;

    for (;;) {
        struct pollfd wait = {.fd = journal_fd(journal), .events = POLLIN};

        check(!journal_durable(journal, &durable, &err));
        if (durable >= number)
            return;
        check(poll(&wait, 1, 60000) == 1);
    }
}

void book_snapshot(void *context, struct journal_snapshot *to)
{
    const struct book_range *range = context;

    for (uint64_t n = range->first; n <= range->last; n++) {
        struct mr_bytes record = book_record(n);

        journal_snapshot_add(to, record);
        free((char *)record.ptr);
    }
}
