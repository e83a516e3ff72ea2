#include "cli/daemon.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/memory.h"
#include "cli/signals.h"
#include "store/tree.h"

void daemon_rows(struct daemon_options *options, struct option_row rows[DAEMON_ROWS])
{
    const struct option_row table[DAEMON_ROWS] = {
        {"insecure", 0, OPTION_FLAG, NULL, "allow --listen beyond this machine, to anybody",
         &options->insecure},
        {"log-level", 0, OPTION_TEXT, "LEVEL", "error, warning, info (default) or detail",
         &options->log_level},
        {"log-json", 0, OPTION_FLAG, NULL, "log lines as JSON objects", &options->log_json},
    };

    memcpy(rows, table, sizeof table);
}

bool daemon_is_local(const char *endpoint)
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

int daemon_check_listen(const struct daemon_options *options, const char *endpoint,
                        struct error *err)
{
    if (strncmp(endpoint, "tcp://", 6) && strncmp(endpoint, "ipc://", 6))
        return error_set(err, ERROR_USAGE,
                         "--listen '%s': an endpoint such as tcp://127.0.0.1:7077 is wanted",
                         endpoint);
    if (options->insecure || daemon_is_local(endpoint))
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "listening on %s would let anyone in who reaches it: add --insecure if "
                     "the network is yours alone",
                     endpoint);
}

/* Each peer costs a descriptor. */
static void raise_files(void)
{
    struct rlimit limit;

    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

unsigned long daemon_files_max(void)
{
    struct rlimit limit = {0};

    return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : (unsigned long)limit.rlim_max;
}

int daemon_start(const struct daemon_options *options, int *ret_stop, struct error *err)
{
    enum log_level level = LOG_INFO;

    if (options->log_level && !log_parse(options->log_level, &level))
        return error_set(err, ERROR_USAGE,
                         "--log-level '%s': error, warning, info or detail is wanted",
                         options->log_level);
    /* Whoever read our log lines may have gone. */
    signal(SIGPIPE, SIG_IGN);
    raise_files();
    *ret_stop = signals_open(err);
    if (*ret_stop < 0)
        return -1;
    log_configure(level, options->log_json);
    return 0;
}

int daemon_scratch(const char *base, const char *prefix, struct scratch *scratch,
                   struct error *err)
{
    const char *folder = base ? base : getenv("TMPDIR");

    if (!folder || !*folder)
        folder = "/tmp";
    if (base) {
        char *made = NULL;

        if (tree_make(folder, &made, err))
            return -1;
        free(made);
    }
    return scratch_open(scratch, folder, prefix, err);
}
