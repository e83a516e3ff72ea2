/* The shuffle's server: sends parts of this worker's runs to who asks with FETCH. It has a
 * thread and a link of its own, so that neither a disk nor a slow peer holds up the agent.
 *
 * Peers are served in turn, a message each; none is sent more than the credit it gave, nor kept
 * more than it has confirmed lately. One that takes nothing for a minute is forgotten. Each
 * block's checksum is verified before its last byte leaves: a damaged run ends the request with
 * an error that names its map task, so that the reader never sees it. Whole files, for workers
 * that take over a run, go as they lie: who takes one verifies it. */
#ifndef AGENT_SHARE_H
#define AGENT_SHARE_H

#include <stdint.h>

#include "base/error.h"
#include "wire/link.h"

enum {
    SHARE_DATA = 256 << 10, /* bytes of data in one message, at most */
    SHARE_REQUESTS = 256,   /* of one peer at a time; more are refused */
};

struct share;
/* Listens on `endpoint` (port 0 takes a free one) and serves runs below `scratch`, a folder
 * that exists; `context` is link_context_new's. `guard` says to whom, NULL: to all. */
int share_open(void *context, const char *endpoint, const struct link_guard *guard,
               const char *scratch, struct share **ret, struct error *err);
/* From now on others are told this host, a name or an address, instead of that of the endpoint;
 * of a name they are told the address that it has now. ERROR_USAGE when it has none that leads
 * others here; then it stays as it was. The thread of share_endpoint. */
int share_advertise(struct share *share, const char *host, struct error *err);
/* By what others reach it: what it listens on, or was told to advertise, with the port. */
const char *share_endpoint(const struct share *share);
/* What it listens on, which leads from here to it whatever others are told. */
const char *share_listens(const struct share *share);
/* For how many milliseconds nobody has had anything to get from it. Any thread. */
int64_t share_idle_ms(const struct share *share);
/* Ends its thread; requests are left as they are. Takes NULL. */
void share_close(struct share *share);

#endif
