#include "tests/lib/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/rng.h"

enum { PAIRS = 32 };

struct pair {
    int fd[2]; /* -1: free */
    uint64_t left;
};

struct proxy {
    int listener, bell;
    uint16_t port, target;
    uint64_t least, most;
    struct rng rng;
    struct pair pairs[PAIRS];
    pthread_t thread;
    atomic_bool stop;
    atomic_uint_fast64_t cuts, seen, passed;
    const void *wanted;
    size_t wanted_size;                 /* 0: nothing is looked for */
    atomic_uint_fast64_t asked, obeyed; /* calls of proxy_cut */
};

static void cut(struct proxy *proxy, struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        setsockopt(pair->fd[i], SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
                   sizeof(struct linger));
        close(pair->fd[i]);
        pair->fd[i] = -1;
    }
    atomic_fetch_add(&proxy->cuts, 1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void take_connection(struct proxy *proxy)
{
    struct sockaddr_in address = loopback(proxy->target);
    int near = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    check(far >= 0);
    for (int i = 0; near >= 0 && i < PAIRS; i++) {
        struct pair *pair = &proxy->pairs[i];

        if (pair->fd[0] >= 0)
            continue;
        if (connect(far, (struct sockaddr *)&address, sizeof address))
            break;
        setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        *pair = (struct pair){{near, far}, UINT64_MAX};
        if (proxy->most)
            pair->left = proxy->least + rng_below(&proxy->rng, proxy->most - proxy->least + 1);
        return;
    }
    close(far);
    if (near >= 0)
        close(near);
}

/* Passes on what one side has; what is beyond the connection's last byte is lost with it. */
static void pass(struct proxy *proxy, struct pair *pair, int from)
{
    char bytes[16384];
    size_t room = pair->left < sizeof bytes ? (size_t)pair->left : sizeof bytes;
    ssize_t n = recv(pair->fd[from], bytes, room, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0 && proxy->wanted_size &&
        memmem(bytes, (size_t)n, proxy->wanted, proxy->wanted_size))
        atomic_fetch_add(&proxy->seen, 1);
    if (n > 0)
        atomic_fetch_add(&proxy->passed, (uint64_t)n);
    if (n <= 0 || send(pair->fd[!from], bytes, (size_t)n, MSG_NOSIGNAL) != n) {
        cut(proxy, pair);
        return;
    }
    pair->left -= (uint64_t)n;
    if (!pair->left)
        cut(proxy, pair);
}

static void obey(struct proxy *proxy)
{
    uint64_t asked = atomic_load(&proxy->asked);

    if (asked == atomic_load(&proxy->obeyed))
        return;
    for (int i = 0; i < PAIRS; i++)
        if (proxy->pairs[i].fd[0] >= 0)
            cut(proxy, &proxy->pairs[i]);
    atomic_store(&proxy->obeyed, asked);
}

static void *serve(void *context)
{
    struct proxy *proxy = context;
    uint64_t rung;

    while (!atomic_load(&proxy->stop)) {
        struct pollfd fds[2 + 2 * PAIRS] = {{proxy->listener, POLLIN, 0},
                                            {proxy->bell, POLLIN, 0}};

        for (int i = 0; i < PAIRS; i++)
            for (int side = 0; side < 2; side++)
                fds[2 + 2 * i + side] = (struct pollfd){proxy->pairs[i].fd[side], POLLIN, 0};
        poll(fds, 2 + 2 * PAIRS, -1);
        if (fds[1].revents)
            check(read(proxy->bell, &rung, sizeof rung) == sizeof rung);
        obey(proxy);
        for (int i = 0; i < PAIRS; i++)
            for (int side = 0; side < 2; side++)
                if (fds[2 + 2 * i + side].revents && proxy->pairs[i].fd[side] >= 0)
                    pass(proxy, &proxy->pairs[i], side);
        if (fds[0].revents)
            take_connection(proxy);
    }
    return NULL;
}

struct proxy *proxy_new(uint16_t port, uint64_t seed, uint64_t least, uint64_t most)
{
    struct proxy *proxy = memory_zeroed(1, sizeof *proxy);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;

    proxy->target = port;
    proxy->rng.state = seed;
    proxy->least = least;
    proxy->most = most;
    for (int i = 0; i < PAIRS; i++)
        proxy->pairs[i].fd[0] = proxy->pairs[i].fd[1] = -1;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(!bind(proxy->listener, (struct sockaddr *)&address, sizeof address));
    check(!listen(proxy->listener, 64));
    check(!getsockname(proxy->listener, (struct sockaddr *)&address, &size));
    proxy->port = ntohs(address.sin_port);
    proxy->bell = eventfd(0, EFD_CLOEXEC);
    check(proxy->bell >= 0);
    check(!pthread_create(&proxy->thread, NULL, serve, proxy));
    return proxy;
}

static void ring(struct proxy *proxy)
{
    uint64_t one = 1;

    check(write(proxy->bell, &one, sizeof one) == sizeof one);
}

void proxy_free(struct proxy *proxy)
{
    atomic_store(&proxy->stop, true);
    ring(proxy);
    pthread_join(proxy->thread, NULL);
    for (int i = 0; i < PAIRS; i++)
        if (proxy->pairs[i].fd[0] >= 0)
            cut(proxy, &proxy->pairs[i]);
    close(proxy->listener);
    close(proxy->bell);
    free(proxy);
}

uint16_t proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}

void proxy_cut(struct proxy *proxy)
{
    uint64_t asked = atomic_fetch_add(&proxy->asked, 1) + 1;

    ring(proxy);
    while (atomic_load(&proxy->obeyed) < asked)
        sched_yield();
}

void proxy_look_for(struct proxy *proxy, const void *bytes, size_t size)
{
    proxy->wanted = bytes;
    proxy->wanted_size = size;
}

uint64_t proxy_seen(const struct proxy *proxy)
{
    return atomic_load(&proxy->seen);
}

uint64_t proxy_passed(const struct proxy *proxy)
{
    return atomic_load(&proxy->passed);
}

uint64_t proxy_cuts(const struct proxy *proxy)
{
    return atomic_load(&proxy->cuts);
}
