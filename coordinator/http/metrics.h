/* The coordinator's numbers in the text format of Prometheus (version 0.0.4). */
#ifndef HTTP_METRICS_H
#define HTTP_METRICS_H

#include "wire/mr.pb-c.h"

/* All of it, those of this process included. Caller frees. */
char *metrics_text(const Mr__Cluster *cluster);

#endif
