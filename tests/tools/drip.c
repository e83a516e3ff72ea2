/* Peers that are slow, many at a time, against a port of loopback.
 *
 *     drip silent PORT N          connections that never say anything
 *     drip greeting PORT N MS     that greet as a peer would, a byte every MS
 *     drip http PORT N MS         that ask by HTTP, a byte every MS, and never come to the end
 *     drip deaf PORT N QUESTIONS  that join as clients, ask, and read nothing of the answers
 *
 * prints "there N" once all that can be are connected, "all cut" when the last of them was cut
 * off, and at the end of its input one line:
 * how many were connected, how many of them were cut off, how many bytes they said. */
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

#include "base/check.h"
#include "base/memory.h"
#include "tests/tools/loopback.h"
#include "wire/bytes.h"
#include "wire/frame.h"
#include "wire/hello.h"

enum {
    LONG_FRAME = 9,
    GREETING = 64,
    UNREAD = 4096, /* bytes: what is not read stays with who sends it */
};

struct drop {
    int fd; /* -1: it could not connect, or was cut off */
    size_t at;
};

struct text {
    uint8_t *bytes;
    size_t size, capacity;
};

static void add(struct text *text, const void *bytes, size_t n)
{
    memory_reserve(&text->bytes, &text->capacity, text->size + n, 1);
    memcpy(text->bytes + text->size, bytes, n);
    text->size += n;
}

static void add_frame(struct text *text, uint8_t flags, const void *body, size_t n)
{
    uint8_t head[LONG_FRAME] = {flags | 2};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    add(text, head, sizeof head);
    add(text, body, n);
}

/* A peer's greeting and READY, as a DEALER with the identity. */
static void add_greeting(struct text *text, const uint8_t identity[8])
{
    uint8_t greeting[GREETING] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
    struct text ready = {0};

    add(text, greeting, sizeof greeting);
    add(&ready, "\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0\10", 6 + 12 + 10 + 9 + 4);
    add(&ready, identity, 8);
    add_frame(text, 4, ready.bytes, ready.size);
    free(ready.bytes);
}

static void add_message(struct text *text, enum frame_type type,
                        const ProtobufCMessage *message, uint64_t sequence)
{
    size_t size;
    uint8_t *frame = frame_pack(type, message, &size);

    frame_set_stamp(frame, size, &(struct frame_stamp){.sequence = sequence});
    add_frame(text, 0, frame, size);
    free(frame);
}

static void add_questions(struct text *text, uint64_t count)
{
    Mr__Query query = MR__QUERY__INIT;
    Mr__Hello hello;

    hello_fill(&hello, MR__ROLE__CLIENT);
    hello.name = bytes_of("deaf");
    add_message(text, FRAME_HELLO, &hello.base, 1);
    query.question = MR__QUESTION__ALL_JOBS;
    for (uint64_t i = 0; i < count; i++)
        add_message(text, FRAME_QUERY, &query.base, 2 + i);
}

/* Says the next n bytes of its text, as far as they are taken. */
static size_t say(struct drop *drop, const struct text *text, size_t n)
{
    size_t left = text->size - drop->at;
    ssize_t said = send(drop->fd, text->bytes + drop->at, n < left ? n : left,
                        MSG_NOSIGNAL | MSG_DONTWAIT);

    if (said > 0)
        drop->at += (size_t)said;
    return said > 0 ? (size_t)said : 0;
}

/* Whether the other side has hung up; what it said is looked at, not read. */
static bool is_cut(const struct drop *drop)
{
    struct pollfd look = {.fd = drop->fd, .events = POLLRDHUP};

    return poll(&look, 1, 0) > 0 && look.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static struct text text_for(const char *what, uint16_t port, uint64_t number, int index)
{
    struct text text = {0};
    uint8_t identity[8] = "drip";

    memcpy(identity + 4, &index, 4);
    if (!strcmp(what, "http")) {
        cleanup_free char *line =
            memory_format("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX-Slow: ", port);

        add(&text, line, strlen(line));
        for (int i = 0; i < 4000; i++)
            add(&text, "x", 1);
    } else if (strcmp(what, "silent")) {
        add_greeting(&text, identity);
        if (!strcmp(what, "deaf"))
            add_questions(&text, number);
    }
    return text;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    uint16_t port = argc > 2 ? (uint16_t)atoi(argv[2]) : 0;
    int n = argc > 3 ? atoi(argv[3]) : 0, there = 0, cut = 0;
    uint64_t number = argc > 4 ? strtoull(argv[4], NULL, 10) : 1000, said = 0;
    bool slow = !strcmp(what, "greeting") || !strcmp(what, "http"),
         deaf = !strcmp(what, "deaf");
    struct pollfd input = {.fd = 0, .events = POLLIN};
    struct drop *drops;
    struct text *texts;

    if (n < 1 || !(slow || deaf || !strcmp(what, "silent"))) {
        fprintf(stderr, "usage: drip silent|greeting|http|deaf PORT N [MS or QUESTIONS]\n");
        return 2;
    }
    drops = memory_zeroed((size_t)n, sizeof *drops);
    texts = memory_zeroed((size_t)n, sizeof *texts);
    for (int i = 0; i < n; i++) {
        drops[i].fd = loopback_connect(port, UNREAD);
        there += drops[i].fd >= 0;
        texts[i] = text_for(what, port, number, i);
    }
    printf("there %d\n", there);
    fflush(stdout);
    do {
        for (int i = 0; i < n; i++) {
            if (drops[i].fd < 0)
                continue;
            said += say(&drops[i], &texts[i], slow ? 1 : SIZE_MAX);
            if (!is_cut(&drops[i]))
                continue;
            close(drops[i].fd);
            drops[i].fd = -1;
            if (++cut == there) {
                puts("all cut");
                fflush(stdout);
            }
        }
    } while (poll(&input, 1, slow ? (int)number : 20) == 0);
    printf("connected %d cut %d bytes %llu\n", there, cut, (unsigned long long)said);
    for (int i = 0; i < n; i++) {
        if (drops[i].fd >= 0)
            close(drops[i].fd);
        free(texts[i].bytes);
    }
    free(drops);
    free(texts);
    return 0;
}
