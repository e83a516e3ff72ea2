/* Opening files that this process may not open by itself: where it is refused, its agent is
 * asked. Any thread. */
#ifndef EXECUTOR_DOOR_H
#define EXECUTOR_DOOR_H

#include <stdint.h>

#include "wire/door.h"

/* Without this call, or with fd -1, there is nobody to ask. */
void door_init(int fd);

/* A descriptor that the caller owns, or -1 with errno. */
int door_read(enum door_kind kind, uint32_t hint, const char *path);

/* Makes a part file anew, and opens it to write: a descriptor, or -1 with errno. */
int door_create(const char *path);
void door_remove(const char *path);

#endif
