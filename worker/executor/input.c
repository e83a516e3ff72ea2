#include "worker/executor/input.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/expand.h"
#include "wire/bytes.h"
#include "worker/executor/door.h"

static int changed(const struct input *input, struct error *err)
{
    return error_set(err, ERROR_INPUT, "input '%s' changed while the job ran", input->path);
}

int input_check(const struct input *input, const Mr__Extent *extent, struct error *err)
{
    struct stat st;

    if (input->fd < 0)
        return 0;
    if (fstat(input->fd, &st))
        return error_errno(err, ERROR_INPUT, "input '%s'", input->path);
    if ((uint64_t)st.st_size != extent->file_size ||
        (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != extent->file_mtime_ns)
        return changed(input, err);
    return 0;
}

int input_open(struct input *input, Mr__Extent *const *extents, uint32_t index,
               struct error *err)
{
    if (input->fd >= 0 && input->extent == index)
        return 0;
    input_close(input);
    input_name(input, extents, index);
    if (expand_is_range(input->path))
        return 0;
    input->fd = door_input(extents, index, input->path);
    if (input->fd < 0 && errno == ESTALE)
        return changed(input, err);
    if (input->fd < 0)
        return error_errno(err, ERROR_INPUT, "input '%s'", input->path);
    return input_check(input, extents[index], err);
}

void input_name(struct input *input, Mr__Extent *const *extents, uint32_t index)
{
    if (input->path && input->extent == index)
        return;
    input_close(input);
    input->extent = index;
    input->path = bytes_text(extents[index]->path);
}

void input_close(struct input *input)
{
    if (input->fd >= 0)
        close(input->fd);
    free(input->path);
    *input = (struct input){.fd = -1};
}
