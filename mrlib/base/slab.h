/* Large pieces of memory that go from user to user: mapped once, in huge pages, and kept for
 * the next one who asks for as much. The first touch of a page is what memory costs; a process
 * that maps and unmaps per task pays it again and again.
 *
 * The process has one pool; any thread may take and give. What it holds idle never makes the
 * process larger: a size that is not there is mapped only after as much of what lies idle was
 * unmapped, so that the sum never exceeds the most that was in use at once. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

#define SLAB_SIZE ((size_t)2 << 20) /* of the common slab, and what sizes are rounded up to */

/* The bytes that slab_take(size) takes. */
size_t slab_round(size_t size);

/* At least `size` bytes, aligned to 2 MiB, of any content; NULL with errno when there is no
 * memory. */
void *slab_take(size_t size);

/* Gives back what was taken with this size. Takes NULL. */
void slab_give(void *slab, size_t size);

/* Unmaps what lies idle. */
void slab_trim(void);

/* Bytes that lie idle. */
size_t slab_idle(void);

#endif
