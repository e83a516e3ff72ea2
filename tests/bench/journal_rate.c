/* How fast records become durable.
 *
 *     journal_rate journal FOLDER RECORDS OUTSTANDING   through the journal, so many not yet
 * durable journal_rate plain FOLDER RECORDS                 write and fdatasync, one after the
 * other journal_rate check FOLDER RECORDS                 whether the journal holds so many
 *
 * A record has 200 bytes. FOLDER exists, and is empty but for `check`. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/journal.h"

static char bytes[200];

static int count(void *context, struct mr_bytes record, struct error *err)
{
    (void)record, (void)err;
    ++*(uint64_t *)context;
    return 0;
}

static struct journal *open_journal(const char *folder, uint64_t *ret_records)
{
    struct journal *journal;
    struct error err;

    *ret_records = 0;
    if (journal_open(folder, count, ret_records, &journal, &err)) {
        fprintf(stderr, "journal_rate: %s\n", err.text);
        exit(1);
    }
    return journal;
}

static void through_journal(const char *folder, uint64_t records, uint64_t outstanding)
{
    const struct mr_bytes record = {bytes, sizeof bytes};
    uint64_t before, durable = 0, appended = 0;
    struct journal *journal = open_journal(folder, &before);
    struct error err;

    while (durable < records) {
        struct pollfd wait = {.fd = journal_fd(journal), .events = POLLIN};

        while (appended < records && appended - durable < outstanding)
            appended = journal_append(journal, record);
        check(poll(&wait, 1, -1) == 1);
        check(!journal_durable(journal, &durable, &err));
    }
    journal_close(journal);
}

static void plain(const char *folder, uint64_t records)
{
    cleanup_free char *path = memory_format("%s/plain", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    check(fd >= 0);
    for (uint64_t i = 0; i < records; i++)
        check(write(fd, bytes, sizeof bytes) == sizeof bytes && !fdatasync(fd));
    close(fd);
}

int main(int argc, char **argv)
{
    uint64_t records = argc > 3 ? strtoull(argv[3], NULL, 10) : 0, found;

    memset(bytes, 'r', sizeof bytes);
    if (argc == 5 && !strcmp(argv[1], "journal")) {
        through_journal(argv[2], records, strtoull(argv[4], NULL, 10));
    } else if (argc == 4 && !strcmp(argv[1], "plain")) {
        plain(argv[2], records);
    } else if (argc == 4 && !strcmp(argv[1], "check")) {
        journal_close(open_journal(argv[2], &found));
        return found != records;
    } else {
        fprintf(stderr,
                "usage: journal_rate journal|plain|check FOLDER RECORDS [OUTSTANDING]\n");
        return 2;
    }
    return 0;
}
