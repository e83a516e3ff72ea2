/* Frames over a stream socket. */
#include "wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

void channel_init(struct channel *channel, int fd)
{
    *channel = (struct channel){.fd = fd, .patience_ms = -1};
    pthread_mutex_init(&channel->lock, NULL);
}

void channel_done(struct channel *channel)
{
    if (channel->fd >= 0)
        close(channel->fd);
    channel->fd = -1;
    pthread_mutex_destroy(&channel->lock);
    free(channel->bytes);
    channel->bytes = NULL;
}

/* Until it takes something; -1: it took nothing for as long as we wait. */
static int await_room(struct channel *channel, struct error *err)
{
    int64_t end_ms = clock_ms() + channel->patience_ms;
    struct pollfd ready = {channel->fd, POLLOUT, 0};

    for (;;) {
        int64_t left_ms = channel->patience_ms < 0 ? -1 : end_ms - clock_ms();
        int n = poll(&ready, 1, left_ms < -1 ? 0 : (int)left_ms);

        if (n > 0 || (n < 0 && errno != EINTR))
            return 0; /* or an error, which send tells */
        if (channel->patience_ms >= 0 && clock_ms() >= end_ms)
            break;
    }
    channel->broken = true;
    return error_set(err, ERROR_TIMEOUT, "send: the peer took no message for %d ms",
                     channel->patience_ms);
}

static int send_all(struct channel *channel, const uint8_t *bytes, size_t size,
                    struct error *err)
{
    if (channel->broken)
        return error_set(err, ERROR_TIMEOUT, "send: the peer takes no messages");
    while (size) {
        ssize_t n = send(channel->fd, bytes, size,
                         MSG_NOSIGNAL | (channel->patience_ms < 0 ? 0 : MSG_DONTWAIT));

        if (n < 0 && errno == EAGAIN) {
            if (await_room(channel, err))
                return -1;
        } else if (n < 0 && errno != EINTR) {
            return error_errno(err, ERROR_LOST, "send");
        } else if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int channel_send(struct channel *channel, enum frame_type type, const ProtobufCMessage *message,
                 struct error *err)
{
    size_t size;
    cleanup_free uint8_t *frame = frame_pack(type, message, &size);
    int result;

    pthread_mutex_lock(&channel->lock);
    result = send_all(channel, frame, size, err);
    pthread_mutex_unlock(&channel->lock);
    return result;
}

/* 1 when the buffer starts with a whole frame, 0 when bytes are missing, -1 when it is no
 * frame. */
static int whole_frame(const struct channel *channel, size_t *ret_size, struct error *err)
{
    size_t length;

    if (channel->used < FRAME_HEADER)
        return 0;
    if (frame_length(channel->bytes, &length, err))
        return -1;
    *ret_size = FRAME_HEADER + length;
    return channel->used >= *ret_size;
}

int channel_receive(struct channel *channel, bool wait, enum frame_type *ret_type,
                    ProtobufCMessage **ret_message, struct error *err)
{
    size_t size;
    int whole;

    while (!(whole = whole_frame(channel, &size, err))) {
        ssize_t n;

        memory_reserve(&channel->bytes, &channel->capacity, channel->used + 65536, 1);
        n = recv(channel->fd, channel->bytes + channel->used, channel->capacity - channel->used,
                 wait ? 0 : MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return 0;
        if (n < 0 && errno == EAGAIN && !wait)
            return 2;
        if (n < 0 && errno == EAGAIN) {
            struct pollfd ready = {channel->fd, POLLIN, 0};

            poll(&ready, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return error_errno(err, ERROR_LOST, "receive");
        } else if (n > 0) {
            channel->used += (size_t)n;
        }
    }
    if (whole < 0 || frame_unpack(channel->bytes, size, ret_type, ret_message, err))
        return -1;
    channel->used -= size;
    memmove(channel->bytes, channel->bytes + size, channel->used);
    return 1;
}
