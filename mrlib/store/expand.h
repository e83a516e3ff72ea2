/* Expansion of inputs: files, folders and globs become a list of files, in an order that
 * depends on the names alone. */
#ifndef STORE_EXPAND_H
#define STORE_EXPAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct input_file {
    char *path;
    uint64_t size;
    int64_t mtime_ns;
};

struct input_files {
    struct input_file *items;
    size_t count, capacity;
};

/* Appends what `argument` (an absolute path) names:
 *   a file      itself, whatever its name;
 *   a folder    all files below it, symbolic links followed, in bytewise order of their paths;
 * names that begin with '_' or '.' are skipped; a glob      what it matches, in bytewise order,
 * each match as above; a name with *, ? or [ that exists is taken literally; a glob that
 * matches nothing is an error. What is missing, unreadable or neither file nor folder is an
 * error that names it. And a range, below. */
int expand_input(struct input_files *files, const char *argument, struct error *err);

/* Whether an input, or a file of the list, is synthetic: "range:N" stands for the file that
 * would hold the numbers 0 .. N - 1, each in 8 bytes, little-endian (record/fixed.h). It stands
 * in the list under its own name, as large as that file; nothing of it lies on a disk. What
 * else begins so, N above LIMIT_RANGE included, is refused by expand_input. */
bool expand_is_range(const char *path);

void input_files_done(struct input_files *files);

#endif
