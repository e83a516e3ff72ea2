/* Folders as wholes. */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Removes a file or a folder with all it holds, links not followed. What is not there is fine.
 */
int tree_remove(const char *path, struct error *err);

/* mkdir -p. *ret_made is the topmost folder that was made (caller frees), or NULL. */
int tree_make(const char *path, char **ret_made, struct error *err);

/* Removes empty folders from `path` up to and including `top`, quietly. */
void tree_unmake(const char *path, const char *top);

/* 1 when the folder holds nothing, 0 when it holds something, -1 when it cannot be read. */
int tree_empty(const char *path);

/* fsync of a file or folder by path. */
int tree_sync(const char *path, struct error *err);

/* The same for `n` of them, at once: a journal takes what waits for it in one commit, so all
 * cost about as much as one. In which order they become durable is not said. */
int tree_sync_all(const char *const *paths, size_t n, struct error *err);

#endif
