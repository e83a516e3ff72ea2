/* Which files this process may open, by Landlock. */
#ifndef EXECUTOR_LANDLOCK_H
#define EXECUTOR_LANDLOCK_H

#include <stddef.h>

/* Writes what the kernel offers, "abi N" or "none: why". */
void landlock_look(char *ret, size_t size);

/* Restricts this thread and all that it starts: the system is read, `scratch` is written,
 * `object` is read, and so are the paths in MARRAM_JOB_READS and, written as well, those in
 * MARRAM_JOB_WRITES (separated by colons). Signals and abstract sockets stay inside where the
 * kernel knows how. Writes what is in force, "abi N" or "none: why". */
void landlock_apply(const char *scratch, const char *object, char *ret, size_t size);

#endif
