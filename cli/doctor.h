/* The checks of `marram doctor`. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/finding.h"
#include "cli/place.h"

struct doctor {
    struct place place;
    const char *scratch, *path;
    bool json;
};

/* Facts of the kernel and of limits, read below `root`, "" but in tests. */
void doctor_kernel(struct findings *findings, const char *root);
/* A folder for temporary files; NULL: the usual one. */
void doctor_scratch(struct findings *findings, const char *folder);
/* Whether the keys are whole, secrets are secret, and it is known there. */
void doctor_keys(struct findings *findings, const struct place *place);
/* Our own pieces: libraries, executor, jobs. */
void doctor_pieces(struct findings *findings);
/* The coordinator, and with `path` what each of its workers sees. */
void doctor_cluster(struct findings *findings, const struct place *place, const char *path);

#endif
