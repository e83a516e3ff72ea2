#include "coordinator/plan.h"

#include <inttypes.h>
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
    PATHS_A_SPLIT = 512 << 10, /* ... and so do their paths: bytes */
    SAMPLE_PIECE = 16 << 10,
    SAMPLE_PIECES_A_PART = 16,
    SAMPLE_PIECES_MIN = 64,
    SAMPLE_PIECES_MAX = 2048
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

int plan_format(struct plan *plan, const char *name, struct error *err)
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
    plan->format = format;
    return 0;
}

static bool is_solid(const struct plan *plan, uint32_t file)
{
    const char *path = plan->files.items[file].path;

    return !expand_is_range(path) && format_is_solid(plan->format, path);
}

static uint64_t adaptive_size(uint64_t bytes, uint32_t workers)
{
    uint64_t tasks = workers > 1 ? (uint64_t)workers * SPLITS_A_WORKER : 1;
    uint64_t size = (bytes + tasks - 1) / tasks;

    if (size > LIMIT_SPLIT)
        return LIMIT_SPLIT;
    return size < SPLIT_MIN ? SPLIT_MIN : size;
}

/* Bytes that a file's path takes in a message. */
static size_t path_size(const struct plan *plan, uint32_t file)
{
    return strlen(plan->files.items[file].path) + 32;
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

static void add_extent(struct cutter *cutter, uint32_t file, uint64_t offset, uint64_t length)
{
    struct plan *plan = cutter->plan;
    size_t path = path_size(plan, file);

    memory_reserve(&plan->extents, &plan->extent_capacity, plan->extent_count + 1,
                   sizeof *plan->extents);
    plan->extents[plan->extent_count++] = (struct extent){file, offset, length};
    plan->splits[plan->split_count - 1].count++;
    cutter->left = cutter->left > length ? cutter->left - length : 0;
    cutter->extents_left--;
    cutter->paths_left = cutter->paths_left > path ? cutter->paths_left - path : 0;
}

static bool is_full(const struct cutter *cutter, uint32_t file)
{
    return !cutter->left || !cutter->extents_left ||
           cutter->paths_left < path_size(cutter->plan, file);
}

/* Adds the file range to the open split and to as many new ones as it needs. */
static void cut_range(struct cutter *cutter, uint32_t file, uint64_t offset, uint64_t length)
{
    while (length && cutter->plan->split_count <= LIMIT_MAPS) {
        uint64_t take;

        if (is_full(cutter, file))
            open_split(cutter);
        take = length < cutter->left ? length : cutter->left;
        add_extent(cutter, file, offset, take);
        offset += take;
        length -= take;
    }
}

/* Adds a whole file, to a split of its own if it is larger than what the open one lacks. */
static void cut_whole(struct cutter *cutter, uint32_t file)
{
    uint64_t size = cutter->plan->files.items[file].size;

    if (is_full(cutter, file) || (size > cutter->left && cutter->left < cutter->size))
        open_split(cutter);
    add_extent(cutter, file, 0, size);
}

/* floor(bytes * k / n) without overflow. */
static uint64_t share(uint64_t bytes, uint64_t k, uint64_t n)
{
    return bytes / n * k + bytes % n * k / n;
}

/* First byte of part k of the whole input. */
static uint64_t part_start(const struct plan *plan, uint32_t k)
{
    return share(plan->bytes, k, plan->parts);
}

void plan_splits(struct plan *plan, uint64_t split_size, uint32_t workers, bool map_only)
{
    struct cutter cutter = {
        plan, split_size ? split_size : adaptive_size(plan->bytes, workers), 0, 0, 0, 0};
    uint64_t position = 0; /* in the concatenation of all files */

    check(plan->split_count == 0);
    for (uint32_t file = 0; file < plan->files.count; file++) {
        uint64_t offset = 0, size = plan->files.items[file].size;
        bool solid = is_solid(plan, file);

        while (offset < size && plan->split_count <= LIMIT_MAPS) {
            uint64_t length = size - offset;

            if (map_only) {
                while (part_start(plan, cutter.part + 1) <= position) {
                    cutter.part++;
                    cutter.left = 0;
                }
                if (!solid && length > part_start(plan, cutter.part + 1) - position)
                    length = part_start(plan, cutter.part + 1) - position;
            }
            if (solid)
                cut_whole(&cutter, file);
            else
                cut_range(&cutter, file, offset, length);
            offset += length;
            position += length;
        }
    }
}

int plan_check(const struct plan *plan, uint64_t split_size, struct error *err)
{
    if (plan->split_count <= LIMIT_MAPS)
        return 0;
    if (!split_size)
        return error_set(err, ERROR_INPUT,
                         "its %" PRIu64
                         " bytes of input make more than %d map tasks, the limit: "
                         "give it less at a time",
                         plan->bytes, LIMIT_MAPS);
    return error_set(
        err, ERROR_USAGE,
        "with --split-size %" PRIu64 " its %" PRIu64
        " bytes of input make more than %d map tasks, the limit: give a size of at "
        "least %" PRIu64 ", or none",
        split_size, plan->bytes, LIMIT_MAPS, plan->bytes / (LIMIT_MAPS / 2) + 1);
}

/* So many that each may have an extent, whatever its file's path. */
static uint64_t sample_pieces(const struct plan *plan)
{
    uint64_t pieces = (uint64_t)plan->parts * SAMPLE_PIECES_A_PART, most;
    size_t longest = 1;

    for (uint32_t file = 0; file < plan->files.count; file++)
        if (path_size(plan, file) > longest)
            longest = path_size(plan, file);
    most = PATHS_A_SPLIT / longest;
    if (pieces < SAMPLE_PIECES_MIN)
        pieces = SAMPLE_PIECES_MIN;
    if (pieces > SAMPLE_PIECES_MAX)
        pieces = SAMPLE_PIECES_MAX;
    return pieces < most ? pieces : most ? most : 1;
}

/* Adds one piece: bytes [position, position + length) of the whole input, of which the given
 * file begins at *start; moves on to the file where it ends. */
static void sample_piece(struct plan *plan, uint32_t *file, uint64_t *start, uint64_t position,
                         uint64_t length, uint64_t pieces)
{
    size_t extents = EXTENTS_A_SPLIT / pieces, paths = PATHS_A_SPLIT / pieces;

    while (length) {
        uint64_t size = plan->files.items[*file].size, offset = position - *start, take;

        if (offset >= size) {
            *start += size;
            ++*file;
            continue;
        }
        take = length < size - offset ? length : size - offset;
        if (is_solid(plan, *file) && plan->sample_count &&
            plan->sample[plan->sample_count - 1].file == *file) {
            plan->sample[plan->sample_count - 1].length += take;
        } else if (extents && paths >= path_size(plan, *file)) {
            if (is_solid(plan, *file))
                offset = 0;
            plan->sample[plan->sample_count++] = (struct extent){*file, offset, take};
            paths -= path_size(plan, *file);
            extents--;
        }
        position += take;
        length -= take;
    }
}

void plan_sample(struct plan *plan)
{
    uint64_t pieces = sample_pieces(plan), start = 0;
    bool whole = plan->bytes < 2 * pieces * SAMPLE_PIECE;
    uint32_t file = 0;

    check(!plan->sample);
    plan->sample = memory_zeroed(EXTENTS_A_SPLIT, sizeof *plan->sample);
    for (uint64_t k = 0; k < pieces; k++) {
        uint64_t position = share(plan->bytes, k, pieces);
        uint64_t length = share(plan->bytes, k + 1, pieces) - position;

        if (!whole && length > SAMPLE_PIECE)
            length = SAMPLE_PIECE;
        sample_piece(plan, &file, &start, position, length, pieces);
    }
}

void plan_drop(struct plan *plan)
{
    free(plan->extents);
    free(plan->splits);
    free(plan->sample);
    plan->extents = plan->sample = NULL;
    plan->splits = NULL;
    plan->extent_count = plan->extent_capacity = 0;
    plan->split_count = plan->split_capacity = plan->sample_count = 0;
}

void plan_done(struct plan *plan)
{
    input_files_done(&plan->files);
    plan_drop(plan);
    *plan = (struct plan){0};
}
