/* A TCP proxy that spoils what goes through it.
 *
 *     proxy PORT < commands
 *
 * listens on a free port of loopback, prints that port, and passes connections on to PORT of
 * loopback. Commands come as lines and are answered with "ok" when they hold:
 *
 *     pass          as if it were not there (at first)
 *     delay MS      each byte takes so long, either way
 *     rate BYTES    so many bytes a second, of each direction of each connection; 0: any
 *     flip BYTES    of so many bytes that pass in a direction one bit is turned over; 0: none
 *     keep FILE     what passes is written there, too, as it comes
 *     stall         nothing passes, connections stay (a cut cable); `pass` lets go what was
 * held cut           connections are reset, new ones are reset as well
 *
 * It ends with its input. One thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"

enum { PAIRS = 256, PIECE = 16384, KEPT_MAX = 4 << 20, LINE = 4096 + 16 };

/* Bytes on their way in one direction. */
struct piece {
    struct piece *next;
    int64_t due_ms;
    size_t at, size;
    char bytes[PIECE];
};

struct direction {
    struct piece *first, *last;
    size_t kept;
    int64_t free_ms;  /* when the next byte may leave, at the rate */
    bool ended;       /* its source says no more */
    size_t unspoiled; /* bytes since the last one that was spoiled */
};

struct pair {
    int fd[2]; /* -1: free */
    struct direction from[2];
};

static struct pair pairs[PAIRS];
static int64_t delay_ms;
static double rate;
static size_t flip;
static FILE *kept_in; /* or NULL */
static bool stalled, cutting;

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void reset(int fd)
{
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd);
}

static void cut(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        while (pair->from[i].first) {
            struct piece *piece = pair->from[i].first;

            pair->from[i].first = piece->next;
            free(piece);
        }
        reset(pair->fd[i]);
        pair->from[i] = (struct direction){0};
        pair->fd[i] = -1;
    }
}

static void take_connection(int listener, uint16_t target)
{
    struct sockaddr_in address = loopback(target);
    int near = accept4(listener, NULL, NULL, SOCK_CLOEXEC), far;

    if (near < 0)
        return;
    far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(far >= 0);
    for (int i = 0; !cutting && i < PAIRS; i++) {
        if (pairs[i].fd[0] >= 0)
            continue;
        if (connect(far, (struct sockaddr *)&address, sizeof address))
            break;
        setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        pairs[i] = (struct pair){.fd = {near, far}};
        return;
    }
    reset(near);
    reset(far);
}

static void take_bytes(struct pair *pair, int from)
{
    struct direction *way = &pair->from[from];
    struct piece *piece = memory_new(sizeof *piece);
    ssize_t n = recv(pair->fd[from], piece->bytes, PIECE, MSG_DONTWAIT);
    int64_t now_ms = clock_ms();

    if (n <= 0) {
        free(piece);
        if (n < 0 && errno != EAGAIN)
            cut(pair);
        else if (!n)
            way->ended = true;
        return;
    }
    if (kept_in)
        check(fwrite(piece->bytes, 1, (size_t)n, kept_in) == (size_t)n && !fflush(kept_in));
    for (ssize_t i = 0; flip && i < n; i++)
        if (++way->unspoiled >= flip) {
            piece->bytes[i] ^= 0x10;
            way->unspoiled = 0;
        }
    piece->next = NULL;
    piece->at = 0;
    piece->size = (size_t)n;
    piece->due_ms = now_ms + delay_ms;
    if (rate > 0) {
        if (way->free_ms < now_ms)
            way->free_ms = now_ms;
        way->free_ms += (int64_t)((double)n * 1000 / rate);
        if (piece->due_ms < way->free_ms)
            piece->due_ms = way->free_ms;
    }
    *(way->last ? &way->last->next : &way->first) = piece;
    way->last = piece;
    way->kept += (size_t)n;
}

/* Passes on what is due; returns in how many milliseconds to look again, -1: not before bytes
 * come. */
static long pass_bytes(struct pair *pair, int from)
{
    struct direction *way = &pair->from[from];

    while (!stalled && way->first) {
        struct piece *piece = way->first;
        int64_t wait = piece->due_ms - clock_ms();
        ssize_t n;

        if (wait > 0)
            return (long)wait;
        n = send(pair->fd[!from], piece->bytes + piece->at, piece->size - piece->at,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return 5;
        if (n < 0) {
            cut(pair);
            return -1;
        }
        piece->at += (size_t)n;
        way->kept -= (size_t)n;
        if (piece->at < piece->size)
            continue;
        way->first = piece->next;
        if (!way->first)
            way->last = NULL;
        free(piece);
    }
    if (way->ended && !way->first && !stalled)
        cut(pair);
    return -1;
}

static void obey(const char *line)
{
    long long number;

    if (sscanf(line, "delay %lld", &number) == 1)
        delay_ms = number;
    else if (sscanf(line, "rate %lld", &number) == 1)
        rate = (double)number;
    else if (sscanf(line, "flip %lld", &number) == 1)
        flip = (size_t)number;
    else if (!strncmp(line, "keep ", 5))
        check(kept_in = fopen(line + 5, "we"));
    else if (!strcmp(line, "stall"))
        stalled = true;
    else if (!strcmp(line, "cut"))
        cutting = true;
    else if (!strcmp(line, "pass"))
        stalled = cutting = false;
    for (int i = 0; cutting && i < PAIRS; i++)
        if (pairs[i].fd[0] >= 0)
            cut(&pairs[i]);
    puts("ok");
    fflush(stdout);
}

/* False at the end of the input. */
static bool read_commands(void)
{
    static char line[LINE];
    static size_t used;
    ssize_t n = read(STDIN_FILENO, line + used, sizeof line - 1 - used);
    char *end;

    if (n <= 0)
        return false;
    used += (size_t)n;
    line[used] = '\0';
    while ((end = strchr(line, '\n'))) {
        *end++ = '\0';
        obey(line);
        used -= (size_t)(end - line);
        memmove(line, end, used + 1);
    }
    return used < sizeof line - 1;
}

static void serve(int listener, uint16_t target)
{
    for (;;) {
        struct pollfd fds[2 + 2 * PAIRS] = {{STDIN_FILENO, POLLIN, 0}, {listener, POLLIN, 0}};
        long wait = -1;

        for (int i = 0; i < 2 * PAIRS; i++) {
            struct pair *pair = &pairs[i / 2];
            int from = i % 2;
            long due = pair->fd[0] < 0 ? -1 : pass_bytes(pair, from);
            bool takes = pair->fd[0] >= 0 && !stalled && !pair->from[from].ended &&
                         pair->from[from].kept < KEPT_MAX;

            if (due >= 0 && (wait < 0 || due < wait))
                wait = due;
            fds[2 + i] = (struct pollfd){takes ? pair->fd[from] : -1, POLLIN, 0};
        }
        poll(fds, 2 + 2 * PAIRS, (int)wait);
        if (fds[0].revents && !read_commands())
            return;
        for (int i = 0; i < 2 * PAIRS; i++)
            if (fds[2 + i].revents && pairs[i / 2].fd[0] >= 0)
                take_bytes(&pairs[i / 2], i % 2);
        if (fds[1].revents)
            take_connection(listener, target);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (argc != 2) {
        fprintf(stderr, "usage: proxy PORT < commands\n");
        return 2;
    }
    for (int i = 0; i < PAIRS; i++)
        pairs[i].fd[0] = pairs[i].fd[1] = -1;
    check(!bind(listener, (struct sockaddr *)&address, sizeof address));
    check(!listen(listener, 64));
    check(!getsockname(listener, (struct sockaddr *)&address, &size));
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    serve(listener, (uint16_t)atoi(argv[1]));
    for (int i = 0; i < PAIRS; i++)
        if (pairs[i].fd[0] >= 0)
            cut(&pairs[i]);
    return 0;
}
