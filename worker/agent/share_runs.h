/* The runs below one folder that other workers may read, kept open for a while. What is asked
 * for comes from a peer: only regular files inside the folder are opened, through no link and
 * no "..", and only if they are the runs that they are said to be. The share's thread owns it.
 */
#ifndef AGENT_SHARE_RUNS_H
#define AGENT_SHARE_RUNS_H

#include <stdint.h>

#include "base/error.h"
#include "record/run.h"

struct share_runs;
int share_runs_open(const char *folder, struct share_runs **ret, struct error *err);
/* Takes NULL. */
void share_runs_close(struct share_runs *runs);

/* The run at `path`, which is absolute. *ret stays open until the next call of any of these. */
int share_runs_get(struct share_runs *runs, struct mr_bytes path, uint64_t id,
                   struct run_file **ret, struct error *err);

/* Closes what was not asked for since 5 s, so that removed files do not fill the disk. */
void share_runs_tend(struct share_runs *runs, int64_t now_ms);

#endif
