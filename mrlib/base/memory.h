/* Memory that cannot fail (small), memory in huge pages (large), and scope-bound release.
 *
 * Small allocations abort the process when the machine has none left: a coordinator or an
 * executor cannot do anything sensible then, and both are restartable by design. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* malloc, zeroed calloc, realloc, strdup that never return NULL. The caller frees with free().
 */
void *memory_new(size_t size) __attribute__((malloc, returns_nonnull));
void *memory_zeroed(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *memory_resized(void *old, size_t size) __attribute__((returns_nonnull));
char *memory_text(const char *text) __attribute__((malloc, returns_nonnull));
char *memory_format(const char *format, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* Grows the array *items (elements of `size` bytes) so that it holds at least `need` elements;
 * *capacity is in elements. Growth is geometric. */
void memory_reserve(void *items, size_t *capacity, size_t need, size_t size);

/* Has malloc keep what was freed, up to 64 MiB, and use it again for pieces of up to 32 MiB: by
 * default each piece above 128 KiB is mapped, touched page by page, and unmapped, which made up
 * a fifth of the time of workers that exchange runs. Called once, by main. */
void memory_keep(void);

/* A zeroed private mapping of `size` bytes, aligned to 2 MiB and advised to use huge pages when
 * it is at least that large; NULL with errno when there is no memory. Release with
 * memory_unmap. */
void *memory_map(size_t size);
void memory_unmap(void *map, size_t size);

/* For locals: `cleanup_free char *path = ...`; `cleanup_close int fd = ...`. */
#define cleanup_free  __attribute__((cleanup(memory_cleanup_free)))
#define cleanup_close __attribute__((cleanup(memory_cleanup_close)))
void memory_cleanup_free(void *pointer);
void memory_cleanup_close(int *fd);

#endif
