#include "wire/callers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"

void callers_done(struct callers *callers)
{
    free(callers->by_fd);
    *callers = (struct callers){0};
}

static struct caller *at(struct callers *callers, int fd)
{
    return fd >= 0 && (size_t)fd < callers->capacity ? &callers->by_fd[fd] : NULL;
}

/* He may have gone already; then nobody knows who it was. */
static void read_address(int fd, char ret[CALLER_ADDRESS])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;

    snprintf(ret, CALLER_ADDRESS, "unknown");
    if (getpeername(fd, (struct sockaddr *)&address, &size))
        return;
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&address)->sin_addr, ret,
                  CALLER_ADDRESS);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&address)->sin6_addr, ret,
                  CALLER_ADDRESS);
    /* As the library writes it where it tells of keys. */
    if (!strncmp(ret, "::ffff:", 7))
        memmove(ret, ret + 7, strlen(ret + 7) + 1);
}

void callers_came(struct callers *callers, int fd)
{
    size_t before = callers->capacity;

    if (fd < 0)
        return;
    memory_reserve(&callers->by_fd, &callers->capacity, (size_t)fd + 1, sizeof *callers->by_fd);
    if (callers->capacity > before)
        memset(callers->by_fd + before, 0,
               (callers->capacity - before) * sizeof *callers->by_fd);
    read_address(fd, callers->by_fd[fd].address);
    callers->by_fd[fd].known = false;
}

void callers_succeeded(struct callers *callers)
{
    callers->silent++;
}

void callers_spoke(struct callers *callers, int fd)
{
    struct caller *caller = at(callers, fd);

    if (!caller || caller->known)
        return;
    caller->known = true;
    callers->silent -= callers->silent > 0;
}

void callers_turned_away(struct callers *callers, const char *address)
{
    size_t n = sizeof callers->told / sizeof *callers->told, free_one = n;

    for (size_t i = 0; i < n; i++) {
        if (!callers->told[i].count)
            free_one = i;
        else if (!strcmp(callers->told[i].address, address)) {
            callers->told[i].count++;
            return;
        }
    }
    if (free_one == n)
        return;
    snprintf(callers->told[free_one].address, CALLER_ADDRESS, "%s", address);
    callers->told[free_one].count = 1;
}

static bool was_told(struct callers *callers, const char *address)
{
    for (size_t i = 0; i < sizeof callers->told / sizeof *callers->told; i++)
        if (callers->told[i].count && !strcmp(callers->told[i].address, address)) {
            callers->told[i].count--;
            return true;
        }
    return false;
}

void callers_went(struct callers *callers, int fd, bool failed, char ret[CALLER_ADDRESS])
{
    struct caller *caller = at(callers, fd);

    *ret = '\0';
    if (!caller || !*caller->address)
        return;
    if (failed) {
        memcpy(ret, caller->address, CALLER_ADDRESS);
    } else if (!caller->known && callers->silent) {
        callers->silent--; /* most likely he: let in, and gone without a word */
    } else if (!caller->known && !was_told(callers, caller->address)) {
        memcpy(ret, caller->address, CALLER_ADDRESS);
    }
    *caller = (struct caller){.known = false};
}
