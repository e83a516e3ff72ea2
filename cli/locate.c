#include "cli/locate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

char *locate_program(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    check(n > 0);
    path[n] = '\0';
    return memory_text(path);
}

static char *program_folder(void)
{
    char *path = locate_program();

    *strrchr(path, '/') = '\0';
    return path;
}

/* The first of two places below the program's folder that exists, or NULL. */
static char *first_of(const char *folder, const char *built, const char *installed,
                      const char *name, const char *suffix)
{
    char *path = memory_format("%s/%s%s%s", folder, built, name, suffix);

    if (!access(path, F_OK))
        return path;
    free(path);
    path = memory_format("%s/%s%s%s", folder, installed, name, suffix);
    if (!access(path, F_OK))
        return path;
    free(path);
    return NULL;
}

char *locate_executor(struct error *err)
{
    cleanup_free char *folder = program_folder();
    char *path = first_of(folder, "", "../libexec/marram/", "marram-executor", "");

    if (!path)
        error_set(err, ERROR_IO,
                  "marram-executor is neither in '%s' nor in its ../libexec/marram", folder);
    return path;
}

char *locate_include(struct error *err)
{
    static const char *const places[] = {"../../mrlib/include", "../include"};
    cleanup_free char *folder = program_folder();

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        cleanup_free char *header = memory_format("%s/%s/mr/job.h", folder, places[i]);
        cleanup_free char *path = memory_format("%s/%s", folder, places[i]);

        if (!access(header, F_OK))
            return realpath(path, NULL);
    }
    error_set(err, ERROR_IO,
              "mr/job.h is not in '%s/../include': install the package marram-dev", folder);
    return NULL;
}

char *locate_job(const char *job, struct error *err)
{
    cleanup_free char *folder = program_folder();
    char *path;

    if (strchr(job, '/'))
        return locate_absolute(job);
    path = first_of(folder, "jobs/", "../lib/marram/jobs/", job, ".so");
    if (path)
        return path;
    if (!access(job, F_OK))
        return locate_absolute(job);
    error_set(err, ERROR_USAGE,
              "no job '%s': give the path of a job object, or the name of one that ships", job);
    return NULL;
}

char *locate_absolute(const char *path)
{
    cleanup_free char *folder = NULL;

    if (path[0] == '/')
        return memory_text(path);
    folder = getcwd(NULL, 0);
    check(folder);
    while (path[0] == '.' && path[1] == '/')
        for (path += 2; *path == '/';)
            path++;
    return strcmp(path, ".") ? memory_format("%s/%s", strcmp(folder, "/") ? folder : "", path)
                             : memory_text(folder);
}
