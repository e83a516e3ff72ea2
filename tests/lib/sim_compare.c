/* What the scheduler says when it is asked, against what the model knows. */
#include <inttypes.h>

#include "base/memory.h"
#include "tests/lib/sim_model_state.h"

/* Who was not touched is looked at now and then. */
enum { LOOKS = 4 };

uint32_t model_seeing(const struct model *model, const struct model_job *job, bool reduces,
                      bool (*such)(const struct model_worker *))
{
    uint32_t n = 0;

    reduces = reduces && job->cut_count;
    if (!job->blind_count && !reduces)
        return !such ? model->living : such == model_is_idle ? model->idle : model->partial;
    for (uint64_t id = 0; id <= model->highest; id++)
        n += model->workers[id].lives && !model_is_barred(&model->workers[id]) &&
             !job->blind[id] && !(reduces && model_is_cut(job, id)) &&
             (!such || such(&model->workers[id]));
    return n;
}

void model_touch(struct model *model, uint64_t worker)
{
    memory_reserve(&model->touched, &model->touched_capacity, model->touched_count + 1,
                   sizeof *model->touched);
    model->touched[model->touched_count++] = worker;
}

struct model_tally model_tally(const struct model *model)
{
    return model->tally;
}

static void compare_progress(struct model *model, const struct sched *sched, uint64_t id)
{
    const struct model_job *job = model->jobs[id];
    struct sched_progress real = sched_progress(sched, id), want = {0};

    if (job)
        want = (struct sched_progress){
            .state = job->state,
            .maps = job->counts[SCHED_MAP],
            .maps_done = job->accepted[SCHED_MAP],
            .reduces = job->counts[SCHED_REDUCE],
            .reduces_done = job->accepted[SCHED_REDUCE],
            .running = job->running,
            .failed_attempts = job->failed_attempts,
            .map_reruns = job->map_reruns,
            .drain_reruns = job->drain_reruns,
            .drain_restarts = job->drain_restarts,
        };
    if (real.state != want.state || real.maps != want.maps ||
        real.maps_done != want.maps_done || real.reduces != want.reduces ||
        real.reduces_done != want.reduces_done || real.running != want.running ||
        real.failed_attempts != want.failed_attempts || real.map_reruns != want.map_reruns ||
        real.drain_reruns != want.drain_reruns || real.drain_restarts != want.drain_restarts)
        model_complain(model,
                       "progress of job %" PRIu64
                       ": state %d, %u of %u maps, %u of %u reduces, %u "
                       "running, should be %d, %u of %u, %u of %u, %u",
                       id, real.state, real.maps_done, real.maps, real.reduces_done,
                       real.reduces, real.running, want.state, want.maps_done, want.maps,
                       want.reduces_done, want.reduces, want.running);
}

enum sched_wait model_wait(const struct model *model, const struct model_job *job)
{
    if (job->running || job->planning || job->committing || job->ended)
        return SCHED_WAITS_NOT;
    if (job->barrier > model->persisted)
        return SCHED_WAITS_NOT;
    if (job->queued)
        return SCHED_WAITS_QUEUE;
    if (!model->living && !model->full)
        return SCHED_WAITS_WORKER;
    if (job->planned && job->unclaimed && job->accepted[SCHED_MAP] == job->counts[SCHED_MAP])
        return SCHED_WAITS_OUTPUTS;
    if (!model->living)
        return SCHED_WAITS_ROOM;
    return model_seeing(model, job, false, NULL) ? SCHED_WAITS_TURN : SCHED_WAITS_SIGHT;
}

static void compare_wait(struct model *model, const struct sched *sched, uint64_t id)
{
    static const char *const words[] = {"nothing",  "a worker",  "sight", "outputs",
                                        "its turn", "its place", "room"};
    struct model_job *job = model->jobs[id];
    enum sched_wait real = sched_waits(sched, id);
    enum sched_wait want = job ? model_wait(model, job) : SCHED_WAITS_NOT;
    uint32_t running;

    if (sched_queued(sched, id, &running) != (job ? model_queued(model, job) : 0))
        model_complain(model, "job %" PRIu64 " is not at place %u of the queue", id,
                       sched_queued(sched, id, &running));
    if (real != want)
        model_complain(model, "job %" PRIu64 " is said to wait for %s, but waits for %s", id,
                       (unsigned)real < 7 ? words[real] : "nonsense", words[want]);
    if (!job || job->wait == want)
        return;
    job->wait = want;
    model->tally.waits[want]++;
}

static void compare_held(struct model *model, const struct sched *sched, uint64_t id)
{
    const struct model_worker *worker = model_worker(model, id);
    uint32_t real = sched_held(sched, id), want = worker ? worker->whole + worker->single : 0;

    if (real != want)
        model_complain(model, "worker %" PRIu64 " is said to hold %u attempts, but holds %u",
                       id, real, want);
}

const char *model_compare(struct model *model, const struct sched *sched)
{
    for (uint64_t id = 0; id < MODEL_JOBS; id++) {
        compare_progress(model, sched, id);
        compare_wait(model, sched, id);
    }
    for (size_t i = 0; i < model->touched_count; i++)
        compare_held(model, sched, model->touched[i]);
    model->touched_count = 0;
    for (int i = 0; i < LOOKS; i++) {
        compare_held(model, sched, model->next_look);
        model->next_look = model->next_look <= model->highest ? model->next_look + 1 : 0;
    }
    return model->complaint[0] ? model->complaint : NULL;
}
