#include "tests/lib/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "store/tree.h"

char *folder_new(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = memory_format("%s/marram-test-XXXXXX", base && *base ? base : "/tmp");

    check(mkdtemp(folder));
    return folder;
}

void folder_remove(char *folder)
{
    struct error err;

    check(!tree_remove(folder, &err));
    free(folder);
}

char *folder_path(const char *folder, const char *name)
{
    return memory_format("%s/%s", folder, name);
}

void folder_write(const char *folder, const char *name, const void *bytes, size_t size)
{
    cleanup_free char *path = folder_path(folder, name), *above = memory_text(path),
                      *made = NULL;
    struct error err;
    FILE *file;

    *strrchr(above, '/') = '\0';
    check(!tree_make(above, &made, &err));
    file = fopen(path, "we");
    check(file);
    check(fwrite(bytes, 1, size, file) == size);
    check(!fclose(file));
}

void folder_text(const char *folder, const char *name, const char *text)
{
    folder_write(folder, name, text, strlen(text));
}

char *folder_read(const char *folder, const char *name, size_t *ret_size)
{
    cleanup_free char *path = folder_path(folder, name);
    FILE *file = fopen(path, "re");
    size_t used = 0, capacity = 0, n;
    char *bytes = NULL;

    if (!file)
        return NULL;
    do {
        memory_reserve(&bytes, &capacity, used + 65536, 1);
        n = fread(bytes + used, 1, 65535, file);
        used += n;
    } while (n);
    fclose(file);
    bytes[used] = '\0';
    if (ret_size)
        *ret_size = used;
    return bytes;
}
