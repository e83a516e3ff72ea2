/* Knocks at a port with raw bytes and counts what comes back:
 *
 *     knock ADDRESS PORT HOW
 *
 * prints how many bytes came until the other side closed the connection, or said nothing for
 * two seconds. A greeting goes in pieces, as the answers come, so that no answer is lost with
 * the connection. HOW is
 *
 *     silent    nothing is sent
 *     garbage   bytes of no protocol
 *     http      a request of HTTP
 *     old       a greeting of ZMTP 1.0
 *     plain     the greeting of ZMTP 3 of a peer without keys, and its first command
 *     forged    that of a peer with keys, whose first command was not made with the listener's
 *
 * It knows nothing of ZeroMQ but the bytes of its greeting (RFC 23). */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GREETING = 64, SENT_MAX = 4096, QUIET_MS = 2000, PAUSE_MS = 300, COMMAND = 202 };

static size_t greet(uint8_t *bytes, const char *mechanism)
{
    memset(bytes, 0, GREETING);
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    memcpy(bytes + 12, mechanism, strlen(mechanism));
    return GREETING;
}

/* What to send; SIZE_MAX: there is no such way. */
static size_t make(uint8_t bytes[SENT_MAX], const char *how)
{
    static const char http[] = "GET / HTTP/1.0\r\n\r\n";
    static const uint8_t old[] = {1, 0, 4, 1, 'j', 'o', 'b'};
    static const uint8_t ready[] = "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06"
                                   "DEALER";
    size_t n;

    if (!strcmp(how, "silent"))
        return 0;
    if (!strcmp(how, "garbage")) {
        for (n = 0; n < SENT_MAX; n++)
            bytes[n] = (uint8_t)(n * 167 + 13);
        return n;
    }
    if (!strcmp(how, "http"))
        return (size_t)(stpcpy((char *)bytes, http) - (char *)bytes);
    if (!strcmp(how, "old")) {
        memcpy(bytes, old, sizeof old);
        return sizeof old;
    }
    if (!strcmp(how, "plain")) {
        n = greet(bytes, "NULL");
        memcpy(bytes + n, ready, sizeof ready - 1);
        return n + sizeof ready - 1;
    }
    if (strcmp(how, "forged"))
        return SIZE_MAX;
    n = greet(bytes, "CURVE");
    bytes[n] = 4; /* a command of 200 bytes: HELLO */
    bytes[n + 1] = 200;
    memset(bytes + n + 2, 0x5a, COMMAND - 2);
    memcpy(bytes + n + 2, "\x05HELLO\1", 8);
    return n + COMMAND;
}

static int dial(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to)) {
        perror("knock");
        exit(1);
    }
    return fd;
}

/* Reads what comes until `quiet_ms` pass without any, or the end. Returns how many bytes. */
static size_t hear(int fd, int quiet_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint8_t back[4096];
    size_t got = 0;
    ssize_t n;

    while (poll(&ready, 1, quiet_ms) == 1 && (n = read(fd, back, sizeof back)) > 0)
        got += (size_t)n;
    return got;
}

int main(int argc, char **argv)
{
    static const size_t pieces[] = {10, GREETING, SENT_MAX}; /* signature, greeting, all */
    uint8_t bytes[SENT_MAX];
    size_t size, sent = 0, got = 0;
    int fd;

    size = argc == 4 ? make(bytes, argv[3]) : SIZE_MAX;
    if (size == SIZE_MAX) {
        fprintf(stderr, "usage: knock ADDRESS PORT silent|garbage|http|old|plain|forged\n");
        return 2;
    }
    fd = dial(argv[1], argv[2]);
    got = hear(fd, PAUSE_MS);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces && sent < size; i++) {
        size_t end = pieces[i] < size ? pieces[i] : size;

        /* Who listens may have closed already. */
        if (send(fd, bytes + sent, end - sent, MSG_NOSIGNAL) < 0)
            break;
        sent = end;
        got += hear(fd, PAUSE_MS);
    }
    printf("%zu\n", got + hear(fd, QUIET_MS));
    close(fd);
    return 0;
}
