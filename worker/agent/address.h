/* The endpoint that others are told, where it is not simply the one that is listened on. */
#ifndef AGENT_ADDRESS_H
#define AGENT_ADDRESS_H

#include <stdbool.h>

#include "base/error.h"

/* Whether it looks like a name or an IPv4 address, without a port, that can lead somewhere. */
bool address_is_host(const char *text);

/* The endpoint with the port of `listening` ("tcp://ADDRESS:PORT") and the IPv4 address that
 * `host` has now. A name for this machine alone, as a host often has for itself, is ERROR_USAGE
 * when `listening` can be reached from elsewhere. Looks the name up, which may take seconds.
 * Caller frees. */
int address_of(const char *host, const char *listening, char **ret, struct error *err);

#endif
