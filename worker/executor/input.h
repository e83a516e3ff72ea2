/* The file that a thread reads; consecutive pieces are mostly of one. */
#ifndef EXECUTOR_INPUT_H
#define EXECUTOR_INPUT_H

#include <stdint.h>

#include "base/error.h"
#include "wire/mr.pb-c.h"

struct input {
    int fd; /* -1: none, or known by its name alone, as a range of numbers always is */
    char *path;
    uint32_t extent;
};

/* Opens the file of extent number `index`, if it is not the one that is open. ERROR_INPUT if it
 * is not as it was planned. */
int input_open(struct input *input, Mr__Extent *const *extents, uint32_t index,
               struct error *err);
/* ERROR_INPUT if the open file is no longer as it was planned: what was read of it since it was
 * opened may be of two states. */
int input_check(const struct input *input, const Mr__Extent *extent, struct error *err);
/* As input_open, but only for its name: somebody else reads it. */
void input_name(struct input *input, Mr__Extent *const *extents, uint32_t index);
void input_close(struct input *input);

#endif
