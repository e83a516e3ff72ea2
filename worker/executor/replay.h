/* A task done again by hand: this process alone, without agent or coordinator, on one thread,
 * record by record, in a folder that `marram replay` prepared. Made for debuggers: what the job
 * prints goes to the terminal, and a crash is a crash. */
#ifndef EXECUTOR_REPLAY_H
#define EXECUTOR_REPLAY_H

#include "worker/executor/work.h"

/* What the replay takes over from what would go to an agent. */
struct replay {
    const char *folder;
    Mr__Replay *task;      /* what is replayed */
    const Mr__Assign *now; /* what runs: that, or a map whose output it needs */
    bool failed;
};

/* Replays what lies in `folder` (REPLAY_OBJECT, REPLAY_PLAN), which is removed at the end
 * unless the process dies. Ends with the exit status. */
_Noreturn void replay_main(struct executor *executor, const char *folder);

/* A report of the attempt that runs. */
void replay_report(struct executor *executor, enum frame_type type,
                   const ProtobufCMessage *message);

#endif
