#include "cli/place.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cluster_state.h"
#include "cli/locate.h"

#define LOCALHOST "tcp://localhost:"

struct option_row place_keys_row(const char **ret_keys)
{
    return (struct option_row){"keys",
                               0,
                               OPTION_TEXT,
                               "DIR",
                               "a folder of keys, of 'marram keys'",
                               ret_keys,
                               .unset = "none, on this machine alone"};
}

void place_options(struct place *place, struct option_table *table)
{
    const struct option_row rows[] = {
        {"coordinator", 0, OPTION_TEXT, "ENDPOINT", "where it is", &place->endpoint},
        place_keys_row(&place->keys),
    };

    place->endpoint = DEFAULT_COORDINATOR;
    options_add(table, rows, sizeof rows / sizeof *rows);
}

bool place_is_local(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    struct in_addr address;
    char host[INET_ADDRSTRLEN];
    size_t n;

    if (!strncmp(endpoint, "ipc://", 6) || !strncmp(endpoint, "inproc://", 9))
        return true;
    if (strncmp(endpoint, "tcp://", 6))
        return false;
    endpoint += 6;
    if (!strncmp(endpoint, "[::1]:", 6))
        return true;
    n = colon > endpoint ? (size_t)(colon - endpoint) : 0;
    if (!n || n >= sizeof host)
        return false;
    memcpy(host, endpoint, n);
    host[n] = '\0';
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static int load(const char *folder, enum key_role role, struct keys *ret, struct error *err)
{
    cleanup_free char *absolute = locate_absolute(folder);

    return keys_load(ret, absolute, role, err) ? error_wrap(err, "--keys %s", folder) : 1;
}

/* The keys of the cluster that `marram cluster up` started here, if it is the one at the
 * endpoint; else NULL. Caller frees. */
static char *keys_of_cluster(const char *endpoint)
{
    cleanup_free char *dir = cluster_dir(NULL);
    struct cluster cluster;
    struct error ignored;
    char *found = NULL;

    if (cluster_open(&cluster, dir, CLUSTER_PEEK, &ignored) > 0 &&
        !strcmp(cluster.endpoint, endpoint) && cluster.count &&
        process_lives(&cluster.processes[0]))
        found = cluster_keys(&cluster);
    cluster_close(&cluster);
    return found;
}

int place_keys(const struct place *place, enum key_role role, struct keys *ret,
               struct error *err)
{
    cleanup_free char *found = NULL;

    if (place->keys)
        return load(place->keys, role, ret, err);
    /* To listen on a name may mean any address; to connect to this one means this machine. */
    if (!place_is_local(place->endpoint) &&
        strncmp(place->endpoint, LOCALHOST, strlen(LOCALHOST)))
        return strncmp(place->endpoint, "tcp://", 6)
                   ? 0 /* it makes no sense, as will be found */
                   : error_set(err, ERROR_REFUSED,
                               "--coordinator %s is on another machine, which needs keys: add "
                               "--keys DIR, a folder that 'marram keys DIR' made on its host",
                               place->endpoint);
    found = keys_of_cluster(place->endpoint);
    return found ? load(found, role, ret, err) : 0;
}

int place_check_listen(const char *endpoint, struct error *err)
{
    if (strncmp(endpoint, "tcp://", 6) && strncmp(endpoint, "ipc://", 6))
        return error_set(err, ERROR_USAGE,
                         "--listen '%s': an endpoint such as tcp://127.0.0.1:7077 is wanted",
                         endpoint);
    return 0;
}

int place_keys_to_listen(const char *endpoint, const char *folder, enum key_role role,
                         struct keys *ret, struct error *err)
{
    if (place_check_listen(endpoint, err))
        return -1;
    if (folder)
        return load(folder, role, ret, err);
    if (place_is_local(endpoint))
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "--listen %s would let anyone in who reaches it: 'marram keys DIR' makes "
                     "keys, then add --keys DIR",
                     endpoint);
}
