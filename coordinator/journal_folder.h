/* The folder of a journal: its lock, its generations, and beginning a new one. One thread at a
 * time. */
#ifndef COORDINATOR_JOURNAL_FOLDER_H
#define COORDINATOR_JOURNAL_FOLDER_H

#include "coordinator/journal_format.h"

struct journal_folder {
    char *path;
    int fd, lock; /* -1: not open */
};

/* Opens folder `state`/journal and locks it. With `make` it is made if need be, and the lock
 * names this process; without, it is locked against those that write. */
int journal_folder_open(struct journal_folder *folder, const char *state, bool make,
                        struct error *err);
/* Takes a folder whose opening failed. */
void journal_folder_done(struct journal_folder *folder);

/* "PATH/0000000000000001.log"; caller frees. */
char *journal_folder_name(const struct journal_folder *folder, uint64_t generation,
                          enum journal_file kind);
/* Opens such a file with `flags` of open(2); -1: an error. */
int journal_folder_file(const struct journal_folder *folder, uint64_t generation,
                        enum journal_file kind, int flags, struct error *err);

/* The newest generation that has a snapshot; 0: there is none, and nothing was ever recorded. A
 * log with records whose snapshot is gone is ERROR_DAMAGE. */
int journal_folder_newest(const struct journal_folder *folder, uint64_t *ret,
                          struct error *err);

/* Removes the files of all other generations, and drafts. */
int journal_folder_sweep(const struct journal_folder *folder, uint64_t generation,
                         struct error *err);

/* Begins a generation: `snapshot` is its whole file. On success the log, open for writing, is
 * in *ret_log. All is durable, but for the removal of what was before. */
int journal_folder_begin(const struct journal_folder *folder,
                         const struct journal_header *header,
                         const struct journal_bytes *snapshot, int *ret_log, struct error *err);

/* Writes all bytes at `offset`. */
int journal_folder_write(int fd, const char *name, const void *bytes, size_t n, uint64_t offset,
                         struct error *err);

#endif
