/* Do the workers see this file? Somebody asks again and again as long as he wants to know; the
 * question goes along with answers to heartbeats and comes back with the next ones, so that a
 * worker of an older kind, which leaves it alone, is none the worse. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "wire/bytes.h"

enum { ASKED_MS = 10000, PATH_MOST = 4096 };

static bool is_asked(const struct probe *probe)
{
    return probe->number && clock_ms() - probe->asked_ms < ASKED_MS;
}

/* The place of a path, new or not; the one that was asked about longest ago goes. */
static struct probe *place(struct coordinator *coordinator, const char *path)
{
    struct probe *oldest = &coordinator->probes[0];

    for (int i = 0; i < PROBES; i++) {
        struct probe *probe = &coordinator->probes[i];

        if (is_asked(probe) && !strcmp(probe->path, path))
            return probe;
        if (probe->asked_ms < oldest->asked_ms)
            oldest = probe;
    }
    free(oldest->path);
    *oldest = (struct probe){++coordinator->probe_count, memory_text(path), 0};
    return oldest;
}

int probe_ask(struct coordinator *coordinator, const Mr__Query *query, int *ret_place,
              struct error *err)
{
    cleanup_free char *path = NULL;
    struct probe *probe;

    if (!query->path.len || query->path.len > PATH_MOST || query->path.data[0] != '/' ||
        memchr(query->path.data, '\0', query->path.len))
        return error_set(err, ERROR_USAGE, "an absolute path is wanted");
    path = memory_format("%.*s", (int)query->path.len, (const char *)query->path.data);
    probe = place(coordinator, path);
    probe->asked_ms = clock_ms();
    *ret_place = (int)(probe - coordinator->probes);
    return 0;
}

void probe_heard(struct coordinator *coordinator, struct member *member,
                 const Mr__Heartbeat *heartbeat)
{
    for (int i = 0; heartbeat->probe && i < PROBES; i++) {
        struct sight *sight = &member->sights[i];

        if (coordinator->probes[i].number != heartbeat->probe)
            continue;
        sight->probe = heartbeat->probe;
        sight->digest = heartbeat->probe_digest;
        snprintf(sight->error, sizeof sight->error, "%.*s", (int)heartbeat->probe_error.len,
                 (const char *)heartbeat->probe_error.data);
    }
}

void probe_tell(const struct coordinator *coordinator, const struct member *member,
                Mr__HeartbeatAck *ack)
{
    for (int i = 0; i < PROBES && !ack->probe; i++) {
        const struct probe *probe = &coordinator->probes[i];

        if (!is_asked(probe) || member->sights[i].probe == probe->number)
            continue;
        ack->probe = probe->number;
        ack->probe_path = bytes_of(probe->path);
    }
}

void probe_describe(const struct coordinator *coordinator, const struct member *member,
                    int place, Mr__WorkerInfo *info)
{
    const struct sight *sight = &member->sights[place];

    info->sight = sight->probe == coordinator->probes[place].number;
    if (!info->sight)
        return;
    info->sight_error = bytes_of(sight->error);
    info->sight_digest = sight->digest;
}

void probe_close(struct coordinator *coordinator)
{
    for (int i = 0; i < PROBES; i++)
        free(coordinator->probes[i].path);
}
