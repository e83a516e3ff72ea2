/* Expansion of inputs: files, folders and globs become a list of files, in an order that
 * depends on the names alone. */
#ifndef STORE_EXPAND_H
#define STORE_EXPAND_H

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
 * error that names it. */
int expand_input(struct input_files *files, const char *argument, struct error *err);

void input_files_done(struct input_files *files);

#endif
