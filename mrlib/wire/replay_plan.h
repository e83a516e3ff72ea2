/* The folder that `marram replay` hands to an executor: the job object, and REPLAY messages,
 * each in a frame: the task's own, then, for a reduce, those of all maps in order. */
#ifndef WIRE_REPLAY_PLAN_H
#define WIRE_REPLAY_PLAN_H

#define REPLAY_OBJECT "object"
#define REPLAY_PLAN   "plan"

#endif
