/* Aborts while it is loaded. */
#include <mr/job.h>
#include <stdlib.h>

__attribute__((constructor)) static void end(void)
{
    abort();
}

static void map(struct mr_task *task, struct mr_bytes line)
{
    mr_emit_key(task, line);
}

const struct mr_job mr_job = {MR_HEADER, .name = "abort_constructor", .map = map};
