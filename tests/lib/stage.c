#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/trace.h"

static void note(struct stage *stage, const struct sched_action *action)
{
    size_t used = strlen(stage->trace);

    if (action->type == ACTION_PERSIST) {
        assert_int_equal(action->sequence, stage->asked + 1);
        stage->asked = action->sequence;
        if (stage->saves)
            return;
    }
    assert_true(used + 128 < sizeof stage->trace);
    if (used)
        used += (size_t)sprintf(stage->trace + used, "; ");
    trace_action(action, stage->trace + used, sizeof stage->trace - used);
}

static void step(struct stage *stage, struct sched_event event)
{
    stage->actions.count = 0;
    sched_step(stage->sched, &event, &stage->actions);
    for (size_t i = 0; i < stage->actions.count; i++)
        note(stage, &stage->actions.items[i]);
}

void stage_tell(struct stage *stage, struct sched_event event)
{
    uint64_t before = stage->asked;

    stage->trace[0] = '\0';
    step(stage, event);
    if (stage->saves && stage->asked > before)
        step(stage, (struct sched_event){.type = EVENT_PERSISTED, .sequence = stage->asked});
}

void stage_open(struct stage *stage, bool saves)
{
    *stage = (struct stage){.sched = sched_new(), .saves = saves};
}

void stage_close(struct stage *stage)
{
    sched_free(stage->sched);
    sched_actions_done(&stage->actions);
}

void stage_open_planned(struct stage *stage, uint64_t workers, uint32_t maps, uint32_t reduces)
{
    stage_open_skipping(stage, workers, maps, reduces, 0);
}

void stage_open_skipping(struct stage *stage, uint64_t workers, uint32_t maps, uint32_t reduces,
                         uint32_t skips)
{
    struct sched_event job = submitted(1);

    job.skips = skips;
    stage_open(stage, true);
    for (uint64_t worker = 1; worker <= workers; worker++)
        stage_tell(stage, joined(worker, 1));
    stage_tell(stage, job);
    stage_tell(stage, done(1, check_of(1, 1)));
    stage_tell(stage, planned(1, maps, reduces));
}

struct sched_progress stage_progress(const struct stage *stage)
{
    return sched_progress(stage->sched, 1);
}
