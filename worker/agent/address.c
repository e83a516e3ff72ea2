#include "worker/agent/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/memory.h"

enum { HOST_LONGEST = 253 };

static bool is_loopback(struct in_addr address)
{
    return ntohl(address.s_addr) >> 24 == 127;
}

bool address_is_host(const char *text)
{
    struct in_addr address;
    size_t n = strlen(text);

    if (!n || n > HOST_LONGEST || text[0] == '.' || text[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
            return false;
    /* Numbers alone are an address, of which the resolver would take half, too. */
    if (strspn(text, "0123456789.") < n)
        return true;
    return inet_pton(AF_INET, text, &address) == 1 && address.s_addr != htonl(INADDR_ANY);
}

static bool is_local(const char *listening)
{
    return !strncmp(listening, "tcp://127.", 10);
}

/* The first that leads here from where others are; else the first of all. */
static struct in_addr choose(const struct addrinfo *list)
{
    struct in_addr first = ((const struct sockaddr_in *)list->ai_addr)->sin_addr;

    for (; list; list = list->ai_next) {
        struct in_addr address = ((const struct sockaddr_in *)list->ai_addr)->sin_addr;

        if (!is_loopback(address))
            return address;
    }
    return first;
}

int address_of(const char *host, const char *listening, char **ret, struct error *err)
{
    const char *port = strrchr(listening, ':');
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    struct in_addr address;
    char text[INET_ADDRSTRLEN];
    int problem;

    check(port);
    if (inet_pton(AF_INET, host, &address) == 1) {
        *ret = memory_format("tcp://%s%s", host, port);
        return 0;
    }
    problem = getaddrinfo(host, NULL, &hints, &list);
    if (problem)
        return error_set(err, ERROR_USAGE, "--advertise %s: it has no address: %s", host,
                         gai_strerror(problem));
    address = choose(list);
    freeaddrinfo(list);
    inet_ntop(AF_INET, &address, text, sizeof text);
    if (is_loopback(address) && !is_local(listening))
        return error_set(err, ERROR_USAGE,
                         "--advertise %s: here it is %s, which leads nobody else to this "
                         "machine: name the address by which others reach it",
                         host, text);
    *ret = memory_format("tcp://%s%s", text, port);
    return 0;
}
