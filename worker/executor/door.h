/* Opening files that this process may not open by itself: where it is refused, its agent is
 * asked. Any thread. */
#ifndef EXECUTOR_DOOR_H
#define EXECUTOR_DOOR_H

#include <stdint.h>

#include "wire/mr.pb-c.h"

/* Without this call, or with fd -1, there is nobody to ask. */
void door_init(int fd);

/* Each returns a descriptor that the caller owns, or -1 with errno: the file of extent number
 * `index`, whose path is `path`; ... */
int door_input(Mr__Extent *const *extents, uint32_t index, const char *path);
/* ... the run of a map task; ... */
int door_run(uint32_t map, const char *path);
/* ... a part, made anew, to write. */
int door_create(const char *path);

void door_remove(const char *path);

#endif
