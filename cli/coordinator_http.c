#include "cli/coordinator_http.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "coordinator/http/guard.h"
#include "coordinator/http/http.h"

enum { FAILED_MS = 3000 }; /* for those who look every second or two */

void coordinator_http_options(struct coordinator_http *http, struct option_table *table)
{
    const struct option_row rows[] = {
        {"http", 0, OPTION_TEXT, "ADDR:PORT", "read-only HTTP, or none; port 0: any",
         &http->address, .unset = COORDINATOR_HTTP ", if it is free",
         .choices = "none|" COORDINATOR_HTTP},
        {"http-token", 0, OPTION_TEXT, "FILE",
         "whoever asks must know what stands in it; needed beyond loopback", &http->token_file},
        {"http-host", 0, OPTION_LIST, "NAME", "one more name that a Host header may have",
         &http->hosts},
    };

    options_add(table, rows, sizeof rows / sizeof *rows);
}

static int write_address(const struct coordinator_http *http, const char *state,
                         struct error *err)
{
    cleanup_free char *path = memory_format("%s/http", state);
    cleanup_free char *draft = memory_format("%s/http.new", state);
    FILE *file = fopen(draft, "we");
    bool good;

    if (!file)
        return error_errno(err, ERROR_IO, "write '%s'", draft);
    good = fprintf(file, "%s\n", http_address(http->server)) > 0;
    good = !fclose(file) && good;
    if (!good || rename(draft, path))
        return error_errno(err, ERROR_IO, "write '%s'", path);
    return 0;
}

int coordinator_http_open(struct coordinator_http *http, void *context, const char *state,
                          struct error *err)
{
    cleanup_free char *path = memory_format("%s/http", state);
    struct http_options options = {.context = context,
                                   .coordinator = COORDINATOR_INSIDE,
                                   .address = http->address ? http->address : COORDINATOR_HTTP,
                                   .hosts = http->hosts.items,
                                   .host_count = http->hosts.count};

    unlink(path); /* of a coordinator that was killed */
    if (!strcmp(options.address, "none"))
        return 0;
    if (http->token_file && guard_load(http->token_file, &http->token, err))
        return error_wrap(err, "--http-token");
    options.token = http->token;
    if (http_open(&options, &http->server, err)) {
        if (http->address || err->code != ERROR_IO)
            return -1;
        log_event(LOG_WARNINGS, "no HTTP", LOG_TEXT("why", err->text));
        return 0;
    }
    log_event(LOG_INFO, "HTTP", LOG_TEXT("address", http_address(http->server)));
    return write_address(http, state, err);
}

void coordinator_http_fail(const struct coordinator_http *http, const struct error *why,
                           int stop_fd)
{
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

    if (!http->server)
        return;
    http_fail(http->server, why->text);
    poll(&stop, 1, FAILED_MS);
}

void coordinator_http_close(struct coordinator_http *http, const char *state)
{
    cleanup_free char *path = memory_format("%s/http", state ? state : "");

    if (http->server)
        unlink(path);
    http_close(http->server);
    free(http->token);
}
