/* What a request of HTTP says of itself, from anybody: a Host header, an Authorization header,
 * a path, ?state= and ?limit=, one a line. Whatever they are, what is let in is exactly what
 * the documentation says. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/http/guard.h"
#include "coordinator/http/pages.h"

#define TOKEN "0123456789abcdef"

static void check_host(const char *host)
{
    static const char *const added[] = {"mine.example"};
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]", "mine.example"};
    bool known = false;

    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(names[i]);

        known |= !strncasecmp(host, names[i], n) &&
                 (!host[n] || (host[n] == ':' &&
                               strspn(host + n + 1, "0123456789") == strlen(host + n + 1)));
    }
    check(guard_host(host, added, 1) == known);
}

static void check_token(const char *authorization)
{
    check(guard_token(authorization, TOKEN) ==
          (!strncasecmp(authorization, "Bearer ", 7) && !strcmp(authorization + 7, TOKEN)));
}

/* A job's page is at one path alone: the one that its number is written as. */
static void check_page(const char *path)
{
    struct page page = page_at(path);
    char again[64];

    if (page.kind != PAGE_JOB && page.kind != PAGE_TASKS)
        return;
    snprintf(again, sizeof again, "/api/v1/jobs/%012llx%s", (unsigned long long)page.job,
             page.kind == PAGE_TASKS ? "/tasks" : "");
    check(!strcmp(path, again));
}

static void check_filter(const char *state, const char *limit)
{
    struct page_filter filter;
    struct page page = page_at("/api/v1/jobs");
    Mr__Query query;

    if (!page_filter(state, limit, &filter))
        return;
    check(!strcmp(filter.state, state) && isdigit((unsigned char)*limit));
    check(filter.limit == strtoull(limit, NULL, 10) && filter.limit);
    page_question(&page, &filter, &query);
    check(query.limit == (*state ? 0 : filter.limit));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *part[5];
    cleanup_free char *copy = memory_new(size + 1);
    char *rest = copy;

    memcpy(copy, data, size);
    copy[size] = '\0';
    for (size_t i = 0; i < 5; i++) {
        char *line = strsep(&rest, "\n");

        part[i] = memory_text(line ? line : ""); /* a block of its own */
    }
    check_host(part[0]);
    check_token(part[1]);
    check_page(part[2]);
    check_filter(part[3], part[4]);
    for (size_t i = 0; i < 5; i++)
        free(part[i]);
    return 0;
}
