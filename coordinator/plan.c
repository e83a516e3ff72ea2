#include "coordinator/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "record/fixed.h"
#include "record/format.h"

#define BYTES_A_PART ((uint64_t)64 << 20)
#define SPLIT_MIN    ((uint64_t)1 << 20)

enum {
    PARTS_DEFAULT_MAX = 1024,
    SPLITS_A_WORKER = 4,    /* so that a slow worker leaves little for the others to wait for */
    EXTENTS_A_SPLIT = 4096, /* a split's extents travel in one message ... */
    PATHS_A_SPLIT = 512 << 10 /* ... and so do their paths: bytes */
};

int plan_inputs(struct plan *plan, const char *const *inputs, size_t n, uint32_t reducers,
                struct error *err)
{
    uint64_t parts;

    for (size_t i = 0; i < n; i++)
        if (expand_input(&plan->files, inputs[i], err))
            return -1;
    plan->bytes = 0;
    for (size_t i = 0; i < plan->files.count; i++)
        plan->bytes += plan->files.items[i].size;
    parts = (plan->bytes + BYTES_A_PART - 1) / BYTES_A_PART;
    parts = parts < 1 ? 1 : parts > PARTS_DEFAULT_MAX ? PARTS_DEFAULT_MAX : parts;
    plan->parts = reducers ? reducers : (uint32_t)parts;
    return 0;
}

int plan_format(const struct plan *plan, const char *name, struct error *err)
{
    struct input_format format;

    if (format_parse_input(*name ? name : "lines", &format, err))
        return -1;
    for (size_t i = 0; i < plan->files.count; i++) {
        const struct input_file *file = &plan->files.items[i];

        if (expand_is_range(file->path) && format.width != FIXED_NUMBER)
            return error_set(err, ERROR_INPUT,
                             "input '%s' gives records of the input format fixed:%d, the job "
                             "reads %s: give it a file, or take a job for numbers",
                             file->path, FIXED_NUMBER, *name ? name : "lines");
        if (format_fits(format, file->path, file->size, err))
            return -1;
    }
    return 0;
}

static uint64_t adaptive_size(uint64_t bytes, uint32_t workers)
{
    uint64_t tasks = workers > 1 ? (uint64_t)workers * SPLITS_A_WORKER : 1;
    uint64_t size = (bytes + tasks - 1) / tasks;

    if (size > LIMIT_SPLIT)
        return LIMIT_SPLIT;
    return size < SPLIT_MIN ? SPLIT_MIN : size;
}

/* The split in the making: room is counted down in bytes of input, of paths, and in extents. */
struct cutter {
    struct plan *plan;
    uint64_t size, left;
    size_t extents_left, paths_left;
    uint32_t part;
};

static void open_split(struct cutter *cutter)
{
    struct plan *plan = cutter->plan;

    memory_reserve(&plan->splits, &plan->split_capacity, plan->split_count + 1,
                   sizeof *plan->splits);
    plan->splits[plan->split_count++] =
        (struct split){(uint32_t)plan->extent_count, 0, cutter->part};
    cutter->left = cutter->size;
    cutter->extents_left = EXTENTS_A_SPLIT;
    cutter->paths_left = PATHS_A_SPLIT;
}

/* Adds the file range to the open split and to as many new ones as it needs. */
static void cut_range(struct cutter *cutter, uint32_t file, uint64_t offset, uint64_t length)
{
    struct plan *plan = cutter->plan;
    size_t path = strlen(plan->files.items[file].path) + 32;

    while (length) {
        uint64_t take;

        if (!cutter->left || !cutter->extents_left || cutter->paths_left < path)
            open_split(cutter);
        take = length < cutter->left ? length : cutter->left;
        memory_reserve(&plan->extents, &plan->extent_capacity, plan->extent_count + 1,
                       sizeof *plan->extents);
        plan->extents[plan->extent_count++] = (struct extent){file, offset, take};
        plan->splits[plan->split_count - 1].count++;
        cutter->left -= take;
        cutter->extents_left--;
        cutter->paths_left = cutter->paths_left > path ? cutter->paths_left - path : 0;
        offset += take;
        length -= take;
    }
}

/* First byte of part k of the whole input: floor(bytes * k / parts) without overflow. */
static uint64_t part_start(const struct plan *plan, uint32_t k)
{
    return plan->bytes / plan->parts * k + plan->bytes % plan->parts * k / plan->parts;
}

void plan_splits(struct plan *plan, uint64_t split_size, uint32_t workers, bool map_only)
{
    struct cutter cutter = {
        plan, split_size ? split_size : adaptive_size(plan->bytes, workers), 0, 0, 0, 0};
    uint64_t position = 0; /* in the concatenation of all files */

    check(plan->split_count == 0);
    for (uint32_t file = 0; file < plan->files.count; file++) {
        uint64_t offset = 0, size = plan->files.items[file].size;

        while (offset < size) {
            uint64_t length = size - offset;

            if (map_only) {
                while (part_start(plan, cutter.part + 1) <= position) {
                    cutter.part++;
                    cutter.left = 0;
                }
                if (length > part_start(plan, cutter.part + 1) - position)
                    length = part_start(plan, cutter.part + 1) - position;
            }
            cut_range(&cutter, file, offset, length);
            offset += length;
            position += length;
        }
    }
}

void plan_done(struct plan *plan)
{
    input_files_done(&plan->files);
    free(plan->extents);
    free(plan->splits);
    *plan = (struct plan){0};
}
