/* Job objects from anyone: the gate says yes or why not. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "store/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("object", MFD_CLOEXEC);
    char path[40];
    struct error err = {0};

    check(fd >= 0);
    check(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (object_check(path, &err))
        check(err.code == ERROR_OBJECT && strstr(err.text, path));
    close(fd);
    return 0;
}
