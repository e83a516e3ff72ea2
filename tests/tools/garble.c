/* Rubbish for a port of loopback, from pure noise to real messages that were spoiled.
 *
 *     garble record PORT FILE              listens on a free port, prints it, passes
 * connections on to PORT, and keeps each message that clients send garble noise PORT
 * CONNECTIONS SEED   random bytes; some begin as HTTP or as a peer would garble http PORT
 * REQUESTS SEED       real requests, spoiled garble frames PORT MESSAGES SEED     random
 * messages of peers that greet as they should garble mutate PORT MESSAGES SEED FILE... recorded
 * messages with some bytes changed: half of them with checksums made right, in sessions of
 * clients
 *
 * All but `record`, which ends with its input, print what they sent and heard in one line. What
 * could ask for something real, a job or the end of one, is spoiled so that its checksum shows
 * it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tests/tools/loopback.h"
#include "wire/bytes.h"
#include "wire/frame.h"
#include "wire/hello.h"

enum {
    PAIRS = 64,
    PIECE = 65536,
    GREETING = 64,     /* of ZMTP 3 */
    A_SESSION = 50,    /* messages before a peer begins anew */
    PATIENCE_MS = 200, /* for an answer, before it does */
    RECORDS_MAX = 4096,
};

struct record {
    uint8_t *bytes;
    size_t size;
};

struct totals {
    uint64_t connections, messages, bytes, answers;
};

static void fill(struct rng *rng, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)rng_next(rng);
}

/* ---- Recording -------------------------------------------------------------------------- */

/* What a client of ZMTP sends: a greeting, then frames. */
struct stream {
    uint8_t *bytes;
    size_t used, capacity;
    bool greeted;
};

struct pair {
    int client, server; /* -1: free */
    struct stream said;
};

/* The next frame: its flags, body and whole size; false if it is not here yet. */
static bool next_frame(const struct stream *s, uint8_t *ret_flags, size_t *ret_head,
                       size_t *ret_size)
{
    uint64_t size = 0;
    size_t head = 2;

    if (s->used < 2)
        return false;
    *ret_flags = s->bytes[0];
    size = s->bytes[1];
    if (*ret_flags & 2) { /* long */
        head = 9;
        if (s->used < head)
            return false;
        size = 0;
        for (size_t i = 1; i < head; i++)
            size = size << 8 | s->bytes[i];
    }
    *ret_head = head;
    *ret_size = (size_t)size;
    return s->used - head >= size;
}

static void drop(struct stream *s, size_t n)
{
    s->used -= n;
    memmove(s->bytes, s->bytes + n, s->used);
}

/* Writes the messages among the frames into the file, each behind its length. */
static void keep(struct stream *s, const uint8_t *bytes, size_t n, FILE *out)
{
    uint8_t flags;
    size_t head, size;

    memory_reserve(&s->bytes, &s->capacity, s->used + n, 1);
    memcpy(s->bytes + s->used, bytes, n);
    s->used += n;
    if (!s->greeted && s->used < GREETING)
        return;
    if (!s->greeted)
        drop(s, GREETING);
    s->greeted = true;
    while (next_frame(s, &flags, &head, &size)) {
        uint32_t length = (uint32_t)size;

        if (!(flags & 4)) { /* no command */
            fwrite(&length, sizeof length, 1, out);
            fwrite(s->bytes + head, 1, size, out);
        }
        drop(s, head + size);
    }
    fflush(out);
}

static bool send_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void close_pair(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
    free(pair->said.bytes);
    *pair = (struct pair){-1, -1, {0}};
}

static void pass(struct pair *pair, bool from_client, FILE *out)
{
    static uint8_t bytes[PIECE];
    ssize_t n = recv(from_client ? pair->client : pair->server, bytes, sizeof bytes, 0);

    if (n > 0 && from_client)
        keep(&pair->said, bytes, (size_t)n, out);
    if (n <= 0 || !send_all(from_client ? pair->server : pair->client, bytes, (size_t)n))
        close_pair(pair);
}

static void accept_one(struct pair *pairs, int listener, uint16_t port)
{
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC),
        server = loopback_connect(port, 0);

    for (int i = 0; i < PAIRS && client >= 0 && server >= 0; i++)
        if (pairs[i].client < 0) {
            pairs[i] = (struct pair){client, server, {0}};
            return;
        }
    close(client);
    close(server);
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    check(fd >= 0 && !bind(fd, (struct sockaddr *)&address, size) && !listen(fd, 64) &&
          !getsockname(fd, (struct sockaddr *)&address, &size));
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static int record(uint16_t port, const char *path)
{
    struct pair pairs[PAIRS];
    struct pollfd fds[2 + 2 * PAIRS];
    FILE *out = fopen(path, "we");
    int listener = listen_somewhere();

    check(out);
    for (int i = 0; i < PAIRS; i++)
        pairs[i] = (struct pair){-1, -1, {0}};
    do {
        fds[0] = (struct pollfd){.fd = 0, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < PAIRS; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = pairs[i].client, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = pairs[i].server, .events = POLLIN};
        }
        check(poll(fds, 2 + 2 * PAIRS, -1) >= 0 || errno == EINTR);
        for (int i = 0; i < PAIRS; i++) {
            if (fds[2 + 2 * i].revents)
                pass(&pairs[i], true, out);
            if (pairs[i].client >= 0 && fds[3 + 2 * i].revents)
                pass(&pairs[i], false, out);
        }
        if (fds[1].revents)
            accept_one(pairs, listener, port);
    } while (!fds[0].revents);
    for (int i = 0; i < PAIRS; i++)
        if (pairs[i].client >= 0)
            close_pair(&pairs[i]);
    return fclose(out) ? 1 : 0;
}

/* ---- Bytes ------------------------------------------------------------------------------ */

/* Sends, and counts what was taken; then whether it is answered before it is cut off. */
static void pour(uint16_t port, const uint8_t *bytes, size_t n, struct totals *totals)
{
    int fd = loopback_connect(port, 0);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint8_t answer[4096];
    ssize_t sent;

    if (fd < 0)
        return;
    totals->connections++;
    totals->messages++;
    sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    totals->bytes += sent > 0 ? (uint64_t)sent : 0;
    if (poll(&ready, 1, 20) > 0 && recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
        totals->answers++;
    close(fd);
}

static void noise(uint16_t port, uint64_t count, struct rng *rng, struct totals *totals)
{
    static const uint8_t peer[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
    static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    static uint8_t bytes[100000];

    for (uint64_t i = 0; i < count; i++) {
        size_t n = 1 + (size_t)rng_below(rng, i % 8 ? 3000 : sizeof bytes);

        fill(rng, bytes, n);
        if (i % 3 == 0 && n > GREETING) {
            memset(bytes, 0, GREETING);
            memcpy(bytes, peer, sizeof peer);
        } else if (i % 3 == 1 && n > sizeof http) {
            memcpy(bytes, http, sizeof http - 1);
        }
        pour(port, bytes, n, totals);
    }
}

/* Changes up to eight bytes, or leaves some out, or says some twice. */
static size_t spoil(struct rng *rng, uint8_t *bytes, size_t n, size_t from)
{
    uint64_t how = rng_below(rng, 4);
    size_t at = from + (size_t)rng_below(rng, n - from), rest = n - at;

    if (how == 0 && rest > 1) {
        size_t gap = 1 + (size_t)rng_below(rng, rest < 16 ? rest : 16);

        memmove(bytes + at, bytes + at + gap, rest - gap);
        return n - gap;
    }
    for (uint64_t k = 1 + rng_below(rng, 8); k--;) {
        at = from + (size_t)rng_below(rng, n - from);
        bytes[at] = how == 1 ? (uint8_t)rng_next(rng) : bytes[at] ^ (uint8_t)(1u << k);
    }
    return n;
}

static void http(uint16_t port, uint64_t count, struct rng *rng, struct totals *totals)
{
    static const char *const paths[] = {"/healthz",     "/metrics",       "/api/v1/jobs",
                                        "/api/v1/jobs", "/api/v1/events", "/api/v1/workers"};

    for (uint64_t i = 0; i < count; i++) {
        char text[400];
        int n =
            snprintf(text, sizeof text,
                     "%s %s?limit=%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: "
                     "%u\r\nAuthorization: Bearer x\r\n\r\n",
                     i % 5 ? "GET" : "POST", paths[i % 6], (unsigned)i, port, i % 7 ? 0 : 9);

        n = (int)spoil(rng, (uint8_t *)text, (size_t)n, 0);
        pour(port, (uint8_t *)text, (size_t)n, totals);
    }
}

/* ---- Messages --------------------------------------------------------------------------- */

static void *peer_open(void *context, uint16_t port, struct rng *rng)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    cleanup_free char *endpoint = memory_format("tcp://127.0.0.1:%u", port);
    uint8_t identity[8];

    fill(rng, identity, sizeof identity);
    identity[0] |= 1;
    check(socket && !zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, sizeof identity) &&
          !zmq_setsockopt(socket, ZMQ_LINGER, &(int){1000}, sizeof(int)) &&
          !zmq_connect(socket, endpoint));
    return socket;
}

static void put(void *socket, const void *bytes, size_t n, int flags, struct totals *totals)
{
    if (zmq_send(socket, bytes, n, flags) != (int)n)
        return;
    totals->messages += flags == 0;
    totals->bytes += n;
}

static void hear(void *socket, struct totals *totals)
{
    uint8_t bytes[4096];

    while (zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT) >= 0)
        totals->answers++;
}

/* Hears what there is to hear, and hangs up. */
static void peer_close(void *socket, struct totals *totals)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};

    if (!socket)
        return;
    if (zmq_poll(&item, 1, PATIENCE_MS) > 0)
        hear(socket, totals);
    zmq_close(socket);
}

/* Some begin as ours do; some come in parts. */
static void frames(uint16_t port, uint64_t count, struct rng *rng, struct totals *totals)
{
    void *context = zmq_ctx_new(), *socket = NULL;
    static uint8_t bytes[70000];

    for (uint64_t i = 0; i < count; i++) {
        size_t n = (size_t)rng_below(rng, i % 50 ? 300 : sizeof bytes);

        if (i % A_SESSION == 0) {
            peer_close(socket, totals);
            socket = peer_open(context, port, rng);
            totals->connections++;
        }
        fill(rng, bytes, n);
        if (i % 2 && n >= FRAME_HEADER) {
            memcpy(bytes, "MRM1\2\0", 6);
            bytes[6] = (uint8_t)rng_below(rng, 100);
            bytes[7] = 0;
            memcpy(bytes + 8, &(uint64_t){n - FRAME_HEADER}, 8);
        }
        for (uint64_t parts = rng_below(rng, 4); parts > 1; parts--)
            put(socket, bytes, n / parts, ZMQ_SNDMORE, totals);
        put(socket, bytes, n, 0, totals);
        hear(socket, totals);
    }
    peer_close(socket, totals);
    zmq_ctx_term(context);
}

static size_t load(char *const *paths, int n, struct record *records)
{
    size_t count = 0;

    for (int i = 0; i < n; i++) {
        FILE *in = fopen(paths[i], "re");
        uint32_t length;

        check(in);
        while (count < RECORDS_MAX && fread(&length, sizeof length, 1, in) == 1) {
            struct record *record = &records[count++];

            *record = (struct record){memory_new(length + 1), length};
            check(fread(record->bytes, 1, length, in) == length);
        }
        fclose(in);
    }
    return count;
}

static void greet(void *socket, struct totals *totals)
{
    Mr__Hello hello;
    size_t size;
    uint8_t *frame;

    hello_fill(&hello, MR__ROLE__CLIENT);
    hello.name = bytes_of("garble");
    frame = frame_pack(FRAME_HELLO, &hello.base, &size);
    frame_set_stamp(frame, size, &(struct frame_stamp){.sequence = 1});
    put(socket, frame, size, 0, totals);
    free(frame);
}

/* Whether it would be obeyed. */
static bool is_serious(const uint8_t *frame, size_t size)
{
    unsigned type = size >= FRAME_HEADER ? (unsigned)frame[6] | (unsigned)frame[7] << 8 : 0;

    return type == FRAME_SUBMIT || type == FRAME_CANCEL || type == FRAME_DRAIN ||
           type == FRAME_GOODBYE || type == FRAME_HELLO;
}

static void mutate_one(void *socket, const struct record *record, uint64_t sequence,
                       struct rng *rng, struct totals *totals)
{
    cleanup_free uint8_t *bytes = memory_new(record->size + 1);
    size_t n = record->size;
    bool right = rng_below(rng, 2) && n > FRAME_HEADER;

    memcpy(bytes, record->bytes, n);
    n = spoil(rng, bytes, n, right ? FRAME_HEADER : 0);
    if (right && !is_serious(bytes, n)) {
        memcpy(bytes + 8, &(uint32_t){(uint32_t)(n - FRAME_HEADER)}, 4);
        frame_set_stamp(bytes, n, &(struct frame_stamp){.sequence = sequence});
    }
    put(socket, bytes, n, 0, totals);
}

static void mutate(uint16_t port, uint64_t count, char *const *paths, int n, struct rng *rng,
                   struct totals *totals)
{
    static struct record records[RECORDS_MAX];
    size_t known = load(paths, n, records);
    void *context = zmq_ctx_new(), *socket = NULL;

    check(known);
    for (uint64_t i = 0; i < count; i++) {
        const struct record *record = &records[rng_below(rng, known)];

        if (i % A_SESSION == 0) {
            peer_close(socket, totals);
            socket = peer_open(context, port, rng);
            totals->connections++;
            greet(socket, totals);
        }
        if (record->size)
            mutate_one(socket, record, 2 + i % A_SESSION, rng, totals);
        hear(socket, totals);
    }
    peer_close(socket, totals);
    zmq_ctx_term(context);
    while (known)
        free(records[--known].bytes);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    uint16_t port = argc > 2 ? (uint16_t)atoi(argv[2]) : 0;
    uint64_t count = argc > 4 ? strtoull(argv[3], NULL, 10) : 0;
    struct rng rng = {argc > 4 ? strtoull(argv[4], NULL, 10) : 0};
    struct totals totals = {0};

    if (!strcmp(what, "record") && argc == 4)
        return record(port, argv[3]);
    if (!strcmp(what, "noise") && argc == 5) {
        noise(port, count, &rng, &totals);
    } else if (!strcmp(what, "http") && argc == 5) {
        http(port, count, &rng, &totals);
    } else if (!strcmp(what, "frames") && argc == 5) {
        frames(port, count, &rng, &totals);
    } else if (!strcmp(what, "mutate") && argc > 5) {
        mutate(port, count, argv + 5, argc - 5, &rng, &totals);
    } else {
        fprintf(stderr, "usage: garble record|noise|http|frames|mutate PORT ...\n");
        return 2;
    }
    printf("connections %llu messages %llu bytes %llu answers %llu\n",
           (unsigned long long)totals.connections, (unsigned long long)totals.messages,
           (unsigned long long)totals.bytes, (unsigned long long)totals.answers);
    return 0;
}
