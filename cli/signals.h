/* The signals that end a command, as a descriptor. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include "base/error.h"

/* Blocks SIGINT, SIGTERM and SIGHUP, but for those that whoever started us wants ignored, as
 * nohup does, and returns a signalfd of them; -1 on failure. Call it before there are threads.
 */
int signals_open(struct error *err);

/* SIGHUP alone, for who does something else about it. Before signals_open, which then leaves it
 * to this one. */
int signals_open_hangups(struct error *err);

/* The next signal that came, or 0. */
int signals_take(int fd);

#endif
