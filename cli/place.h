/* Where a coordinator is, and the keys by which one is known there. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"
#include "wire/keys.h"

#define DEFAULT_COORDINATOR "tcp://127.0.0.1:7077"

struct place {
    const char *endpoint;
    const char *keys; /* a folder; NULL: those of the cluster of this machine, or none */
};

/* Adds --coordinator, with its default, and --keys. */
void place_options(struct place *place, struct option_table *table);
/* --keys alone. */
struct option_row place_keys_row(const char **ret_keys);

/* Whether nobody beyond this machine is on the other side: an endpoint of loopback. */
bool place_is_local(const char *endpoint);

/* Loads the keys that a client or worker shows at the place: 1, 0 when there are none and need
 * be none, -1. Beyond this machine they must be; ERROR_REFUSED names the way out. */
int place_keys(const struct place *place, enum key_role role, struct keys *ret,
               struct error *err);

/* Whether that can be an endpoint to listen on. */
int place_check_listen(const char *endpoint, struct error *err);
/* As place_keys, of who listens on `endpoint`. */
int place_keys_to_listen(const char *endpoint, const char *folder, enum key_role role,
                         struct keys *ret, struct error *err);

#endif
