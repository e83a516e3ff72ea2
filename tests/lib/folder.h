/* A temporary folder for one test, and small files in it. cmocka must be included first. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <stddef.h>

/* Makes a fresh folder; the caller passes it to folder_remove, which frees it. */
char *folder_new(void);
void folder_remove(char *folder);

/* Writes a file, making the folders above it. `name` is relative. */
void folder_write(const char *folder, const char *name, const void *bytes, size_t size);
void folder_text(const char *folder, const char *name, const char *text);

/* The whole file, terminated; NULL when there is none. Caller frees; *ret_size may be NULL. */
char *folder_read(const char *folder, const char *name, size_t *ret_size);

/* "folder/name"; caller frees. */
char *folder_path(const char *folder, const char *name);

#endif
