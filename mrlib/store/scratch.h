/* A temporary folder of one process, locked as long as that lives. What a killed process left
 * is removed by the next one that opens a folder of the same prefix. Any thread. */
#ifndef STORE_SCRATCH_H
#define STORE_SCRATCH_H

#include "base/error.h"

struct scratch {
    char *path;
    int lock; /* the folder itself, held with flock(2) */
};

/* A scratch that is not open, for scratch_close. */
#define SCRATCH_CLOSED ((struct scratch){NULL, -1})

/* Makes folder BASE/PREFIX-XXXXXX, which only the user may enter. */
int scratch_open(struct scratch *scratch, const char *base, const char *prefix,
                 struct error *err);

/* Removes the folder with all that it holds; takes a closed one. */
void scratch_close(struct scratch *scratch);

#endif
