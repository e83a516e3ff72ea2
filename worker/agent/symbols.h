/* Names for the frames of a backtrace, by marram-symbols, which stands beside the executor. */
#ifndef AGENT_SYMBOLS_H
#define AGENT_SYMBOLS_H

/* The trace with what is known of frames in the object `name`, whose file is `object`; as it is
 * where that cannot be had within SYMBOLS_MS. `executor`: the path of that program. Caller
 * frees. Called on the thread that starts executors. */
char *symbols_name(const char *executor, const char *trace, const char *object,
                   const char *name);

enum { SYMBOLS_MS = 2000 };

#endif
