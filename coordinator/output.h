/* The output folder of a job: staged beside its target, committed by one rename.
 *
 * Parts are written by attempts into the staging folder as part-00003.2 (part 3, attempt 2).
 * The commit gives the accepted ones their final names, part-00003 or part-00003.gz, removes
 * all others, writes `_SUCCESS` and renames the folder onto its target. Where the target is a
 * mount point the parts are renamed into it one by one, and
 * `_SUCCESS`, last, marks completeness. */
#ifndef COORDINATOR_OUTPUT_H
#define COORDINATOR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct output {
    char *target;
    char *staging;
    char *made;   /* the topmost parent folder that we made, or NULL */
    bool mounted; /* the target is a mount point: staging lies inside it */
    bool overwrite;
    bool sync;
    bool fleeting;      /* nobody goes on with it when this process is dead */
    int owned;          /* such a one's descriptor from staging_claim, -1: none */
    bool staged;        /* the staging folder exists */
    bool again;         /* restored: the commit may have been made already, all or some of it */
    const char *suffix; /* of the parts' names; set before the commit, "" until then */
    uint64_t folder;    /* inode of the staging folder, which it keeps as the output */
};

struct output_part {
    uint32_t attempt;
    uint64_t size, records, checksum;
    bool unsynced; /* its writer left that to the commit */
};

/* Checks the target (an absolute path) and names the staging folder; touches nothing. Refuses a
 * target that is no folder, or not empty unless `overwrite`. */
int output_open(struct output *output, const char *target, const char *job, bool overwrite,
                bool sync, struct error *err);

/* As output_open, of a job that was accepted in a former life: looks at nothing. */
void output_restore(struct output *output, const char *target, const char *job,
                    const struct output *like);

/* Makes parent folders and the staging folder; removes those that dead processes have left of
 * the same output. */
int output_stage(struct output *output, struct error *err);

/* Commits `n` parts. `manifest` is the text of _SUCCESS. On failure the target is as before,
 * except that a mount point may hold some parts, without _SUCCESS. Of a restored output what
 * was done already is left as it is. */
int output_commit(struct output *output, const struct output_part *parts, uint32_t n,
                  const char *manifest, struct error *err);

/* Removes what was staged and not committed, and the folders made for it. */
void output_abandon(struct output *output);
/* Leaves all as it is, for another life to go on with. */
void output_leave(struct output *output);
void output_done(struct output *output);

#endif
