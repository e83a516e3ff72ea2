/* A daemon whose answers about keys never come: preloaded, it makes
 *
 *     MARRAM_PORTER=absent   the library's questions find nobody
 *     MARRAM_PORTER=mute     they are taken, and not answered
 *
 * The endpoint of such questions is given by RFC 27. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static void *questions;

static int is(const char *how)
{
    const char *wanted = getenv("MARRAM_PORTER");

    return wanted && !strcmp(wanted, how);
}

int zmq_bind(void *socket, const char *endpoint);
EXPORT int zmq_bind(void *socket, const char *endpoint)
{
    int (*real)(void *, const char *);

    *(void **)&real = dlsym(RTLD_NEXT, "zmq_bind");

    if (!strcmp(endpoint, "inproc://zeromq.zap.01")) {
        questions = socket;
        if (is("absent"))
            return 0;
    }
    return real(socket, endpoint);
}

int zmq_send(void *socket, const void *bytes, size_t size, int flags);
EXPORT int zmq_send(void *socket, const void *bytes, size_t size, int flags)
{
    int (*real)(void *, const void *, size_t, int);

    *(void **)&real = dlsym(RTLD_NEXT, "zmq_send");

    if (socket == questions && is("mute"))
        return (int)size;
    return real(socket, bytes, size, flags);
}
