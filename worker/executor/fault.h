/* Last words: a thread that raises a signal, or calls exit(), says so in its progress slot,
 * with a backtrace, before the process dies. The agent reads the slot afterwards. Of a signal
 * that is sent to the process (kill(), not raise() or abort()) no slot speaks: nobody knows
 * which thread sent it. */
#ifndef EXECUTOR_FAULT_H
#define EXECUTOR_FAULT_H

#include "wire/slots.h"

/* Once a process, before user code. */
void fault_install(void);

/* Calls `tell`, in the signal handler or at exit(), once the slot says what happened. */
void fault_tell(void (*tell)(const struct slot *slot));

/* On each thread that runs user code, OpenMP's too: where it reports, and a stack for the
 * handler, without which a stack overflow would end the process unexplained. */
void fault_watch(struct slot *slot);

#endif
