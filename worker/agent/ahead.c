#include "worker/agent/ahead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/memory.h"
#include "record/run.h"
#include "wire/bytes.h"
#include "worker/agent/core.h"

enum {
    ASKED_MAX = 8,   /* requests at a time: each keeps a file open */
    MEMORY_SHARE = 4 /* at most a quarter of the memory, and of the free disk, is filled */
};

/* One announcement: the outputs that are to be fetched stand first. */
struct batch {
    Mr__MapOutputs *message;
    size_t count;
};

struct piece {
    uint32_t part;
    size_t batch;
    char *path;
    uint64_t bytes;
    bool here;
};

/* Whether another worker's runs can be read by their paths. */
struct peer {
    char *endpoint;
    bool open;
};

struct ahead {
    uint32_t home, homes, parts;
    struct batch *batches;
    size_t batch_count, batch_capacity;
    size_t next_batch; /* what is asked for next */
    uint32_t next_part;
    struct piece *pieces; /* asked for, or here */
    size_t piece_count, piece_capacity;
    size_t asked;
    bool *given; /* by part: its reducer has been told */
    bool full;   /* no more of this job */
    struct peer *peers;
    size_t peer_count, peer_capacity;
};

/* ---- What is to be fetched ---- */

static bool opens(const Mr__MapOutput *output)
{
    cleanup_free char *path = bytes_text(output->path);
    struct run_file *run;
    struct error ignored;

    if (run_open(path, output->run_id, &run, &ignored))
        return false;
    run_close(run);
    return true;
}

/* As an executor will find it; the first output of a worker stands for all of them. */
static bool is_near(const struct agent *agent, struct ahead *ahead, const Mr__MapOutput *output)
{
    cleanup_free char *endpoint = bytes_text(output->endpoint);
    struct peer *peer;

    if (!*endpoint || (agent->share && !strcmp(endpoint, share_endpoint(agent->share))))
        return true;
    if (!agent->options.direct_reads)
        return false;
    for (size_t i = 0; i < ahead->peer_count; i++)
        if (!strcmp(ahead->peers[i].endpoint, endpoint))
            return ahead->peers[i].open;
    memory_reserve(&ahead->peers, &ahead->peer_capacity, ahead->peer_count + 1,
                   sizeof *ahead->peers);
    peer = &ahead->peers[ahead->peer_count++];
    *peer = (struct peer){memory_text(endpoint), opens(output)};
    return peer->open;
}

/* Moves those that are to be fetched to the front. */
static size_t sort_out(const struct agent *agent, struct ahead *ahead, Mr__MapOutputs *message)
{
    size_t count = 0;

    for (size_t i = 0; i < message->n_outputs; i++) {
        Mr__MapOutput *output = message->outputs[i];

        if (is_near(agent, ahead, output))
            continue;
        message->outputs[i] = message->outputs[count];
        message->outputs[count++] = output;
    }
    return count;
}

/* ---- Asking ---- */

static void set_limit(const struct agent *agent)
{
    struct statvfs st;
    uint64_t limit = agent->options.memory / MEMORY_SHARE, space = 0;

    if (!statvfs(agent->options.scratch, &st))
        space = (uint64_t)st.f_bavail * st.f_frsize / MEMORY_SHARE;
    fetch_ahead_limit(agent->fetch, limit < space ? limit : space);
}

static void ask_for(struct agent *agent, struct known_job *job, uint32_t part, size_t batch)
{
    struct ahead *ahead = job->ahead;
    cleanup_free char *folder = jobs_folder(agent, job->id);
    char *path = memory_format("%s/ahead-%" PRIu64, folder, agent->bundles++);
    Mr__PartWanted wanted = MR__PART_WANTED__INIT;

    memory_reserve(&ahead->pieces, &ahead->piece_capacity, ahead->piece_count + 1,
                   sizeof *ahead->pieces);
    ahead->pieces[ahead->piece_count++] =
        (struct piece){.part = part, .batch = batch, .path = path};
    ahead->asked++;
    wanted.job = job->id;
    wanted.part = part;
    wanted.outputs = ahead->batches[batch].message->outputs;
    wanted.n_outputs = ahead->batches[batch].count;
    mkdir(folder, 0700); /* else the request fails */
    fetch_ahead(agent->fetch, &wanted, path);
}

static void ask_more(struct agent *agent, struct known_job *job)
{
    struct ahead *ahead = job->ahead;

    while (!ahead->full && ahead->asked < ASKED_MAX && ahead->next_batch < ahead->batch_count) {
        uint32_t part = ahead->next_part;

        if (part >= ahead->parts || !ahead->batches[ahead->next_batch].count) {
            ahead->next_part = ahead->home;
            ahead->next_batch++;
            continue;
        }
        /* No overflow: homes are no more than parts. */
        ahead->next_part =
            ahead->parts - part > ahead->homes ? part + ahead->homes : ahead->parts;
        if (!ahead->given[part])
            ask_for(agent, job, part, ahead->next_batch);
    }
}

/* False when the announcement makes no sense. */
static bool begin(struct agent *agent, struct known_job *job, const Mr__MapOutputs *outputs)
{
    struct error ignored;
    uint32_t parts = job->open->parts;

    if (outputs->homes > parts || outputs->home >= outputs->homes)
        return false;
    if (!agent->fetch &&
        fetch_open(agent->options.context, agent_own(agent), &agent->fetch, &ignored))
        return false;
    if (!job->ahead) {
        job->ahead = memory_zeroed(1, sizeof *job->ahead);
        job->ahead->home = job->ahead->next_part = outputs->home;
        job->ahead->homes = outputs->homes;
        job->ahead->parts = parts;
        job->ahead->given = memory_zeroed(parts, sizeof *job->ahead->given);
    }
    return job->ahead->home == outputs->home && job->ahead->homes == outputs->homes;
}

void ahead_announced(struct agent *agent, struct known_job *job, Mr__MapOutputs *outputs)
{
    struct ahead *ahead;

    if (!begin(agent, job, outputs)) {
        frame_free(&outputs->base);
        return;
    }
    ahead = job->ahead;
    memory_reserve(&ahead->batches, &ahead->batch_capacity, ahead->batch_count + 1,
                   sizeof *ahead->batches);
    ahead->batches[ahead->batch_count++] =
        (struct batch){outputs, sort_out(agent, ahead, outputs)};
    set_limit(agent);
    ask_more(agent, job);
}

/* ---- What comes of it ---- */

static void remove_piece(struct ahead *ahead, size_t index)
{
    free(ahead->pieces[index].path);
    ahead->pieces[index] = ahead->pieces[--ahead->piece_count];
}

void ahead_arrived(struct agent *agent, const struct fetch_result *result)
{
    struct known_job *job = jobs_find(agent, result->job);
    struct ahead *ahead = job ? job->ahead : NULL;

    for (size_t i = 0; ahead && i < ahead->piece_count; i++) {
        struct piece *piece = &ahead->pieces[i];

        if (piece->here || strcmp(piece->path, result->path))
            continue;
        ahead->asked--;
        if (result->error.code) {
            /* A worker that cannot be reached is one thing; a full disk is enough. */
            ahead->full = ahead->full || result->error.code != ERROR_FETCH;
            remove_piece(ahead, i);
        } else {
            piece->here = true;
            piece->bytes = result->bytes;
        }
        ask_more(agent, job);
        return;
    }
    if (!result->error.code)
        unlink(result->path);
    fetch_ahead_return(agent->fetch, result->bytes);
}

/* Tells an executor of a bundle; the names of runs are enough. */
static void tell(const struct known_job *job, const struct piece *piece, struct child *child)
{
    const struct batch *batch = &job->ahead->batches[piece->batch];
    cleanup_free Mr__MapOutput *outputs = memory_new(batch->count * sizeof *outputs);
    cleanup_free Mr__MapOutput **pointers = memory_new(batch->count * sizeof(Mr__MapOutput *));
    Mr__PartFetched message = MR__PART_FETCHED__INIT;
    struct error ignored;

    for (size_t i = 0; i < batch->count; i++) {
        mr__map_output__init(&outputs[i]);
        outputs[i].task = batch->message->outputs[i]->task;
        outputs[i].attempt = batch->message->outputs[i]->attempt;
        outputs[i].run_id = batch->message->outputs[i]->run_id;
        pointers[i] = &outputs[i];
    }
    message.job = job->id;
    message.part = piece->part;
    message.path = bytes_of(piece->path);
    message.outputs = pointers;
    message.n_outputs = batch->count;
    channel_send(&child->channel, FRAME_PART_FETCHED, &message.base, &ignored);
}

void ahead_hand_over(struct agent *agent, struct known_job *job, uint32_t part,
                     struct child *child)
{
    struct ahead *ahead = job->ahead;

    if (!ahead || part >= ahead->parts || ahead->given[part])
        return;
    ahead->given[part] = true;
    fetch_drop_ahead(agent->fetch, job->id, part);
    for (size_t i = ahead->piece_count; i-- > 0;) {
        const struct piece *piece = &ahead->pieces[i];

        if (piece->part != part)
            continue;
        if (piece->here) {
            tell(job, piece, child);
            fetch_ahead_return(agent->fetch, piece->bytes);
        } else {
            ahead->asked--;
        }
        remove_piece(ahead, i);
    }
    ask_more(agent, job);
}

void ahead_forget(struct agent *agent, struct known_job *job)
{
    struct ahead *ahead = job->ahead;

    if (!ahead)
        return;
    for (size_t i = 0; i < ahead->piece_count; i++) {
        fetch_ahead_return(agent->fetch, ahead->pieces[i].bytes);
        free(ahead->pieces[i].path);
    }
    for (size_t i = 0; i < ahead->batch_count; i++)
        frame_free(&ahead->batches[i].message->base);
    for (size_t i = 0; i < ahead->peer_count; i++)
        free(ahead->peers[i].endpoint);
    free(ahead->peers);
    free(ahead->pieces);
    free(ahead->batches);
    free(ahead->given);
    free(ahead);
    job->ahead = NULL;
}
