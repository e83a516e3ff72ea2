/* ZeroMQ itself: what all links of a process share. */
#include <stdio.h>
#include <zmq.h>

#include "wire/link.h"

void *link_context_new(void)
{
    return zmq_ctx_new();
}

void link_context_free(void *context)
{
    if (context)
        zmq_ctx_term(context);
}

const char *link_library(void)
{
    static char version[32];
    int major, minor, patch;

    zmq_version(&major, &minor, &patch);
    snprintf(version, sizeof version, "%d.%d.%d", major, minor, patch);
    return version;
}
