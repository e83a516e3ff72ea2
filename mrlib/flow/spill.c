#include "flow/spill.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

#define SPILL_ID UINT64_C(0x7370696c6c000000) /* "spill" and a number */

enum { APPEND_SIZE = 1 << 20 };

void spills_done(struct spills *spills)
{
    for (size_t i = 0; i < spills->run_count; i++)
        run_close(spills->runs[i]);
    free(spills->runs);
}

void spills_judge(const struct spills *spills, struct error *err)
{
    struct error found;

    if (err->code != ERROR_DAMAGE && err->code != ERROR_IO)
        return;
    for (size_t i = 0; i < spills->run_count; i++) {
        if (!run_verify(spills->runs[i], &found))
            continue;
        *err = found;
        err->code = ERROR_FETCH;
        error_wrap(err, "what was spilled here");
        return;
    }
}

int spill_open(struct spills *spills, uint32_t value_width, struct spill *spill,
               struct error *err)
{
    struct run_shape shape = {1, RUN_SORTED, value_width, SPILL_ID + spills->count,
                              spills->compression};

    *spill = (struct spill){.id = shape.id};
    spill->path = memory_format("%s.%u", spills->scratch, spills->count++);
    spill->builder = run_builder_new(value_width);
    return run_create(spill->path, &shape, &spill->writer, err);
}

int spill_add(struct spill *spill, struct mr_bytes key, struct mr_bytes value,
              struct error *err)
{
    if (run_builder_add(spill->builder, key, value, err))
        return -1;
    if (run_builder_bytes(spill->builder) < APPEND_SIZE)
        return 0;
    return run_append(spill->writer, 0, 0, spill->builder, false, err);
}

/* Opens a finished run, and removes its name. */
static int adopt(struct spills *spills, const struct spill *spill, struct merge_source *ret,
                 struct error *err)
{
    struct run_file *run;
    size_t count;

    if (run_open(spill->path, spill->id, &run, err))
        return -1;
    unlink(spill->path);
    memory_reserve(&spills->runs, &spills->run_capacity, spills->run_count + 1,
                   sizeof(struct run_file *));
    spills->runs[spills->run_count++] = run;
    ret->run = run;
    ret->segment = run_segments(run, &count);
    check(count == 1);
    return 0;
}

int spill_close(struct spills *spills, struct spill *spill, bool good, struct merge_source *ret,
                struct error *err)
{
    uint64_t size;
    int result = good ? run_append(spill->writer, 0, 0, spill->builder, true, err) : -1;

    if (result) {
        run_abandon(spill->writer);
    } else if (!(result = run_finish(spill->writer, false, &size, err))) {
        spills->bytes += size;
        result = adopt(spills, spill, ret, err);
    }
    run_builder_free(spill->builder);
    free(spill->path);
    return result;
}
