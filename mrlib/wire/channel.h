/* Frames over a stream: the socket pair between an agent and its executor. One thread receives;
 * sends are whole frames under a lock, so several threads may send. */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include <pthread.h>
#include <stdbool.h>

#include "wire/frame.h"

struct channel {
    int fd;
    pthread_mutex_t lock; /* of sending */
    int patience_ms;      /* with a peer that takes nothing; -1: for ever */
    bool broken;          /* it was lost: what is half sent makes the rest useless */
    uint8_t *bytes;       /* received, not yet taken */
    size_t used, capacity;
};

/* Takes over `fd`. The patience is without end until the owner sets another. */
void channel_init(struct channel *channel, int fd);
/* Closes it. */
void channel_done(struct channel *channel);

/* Sends all of a message; blocks while the peer is slow (poll is used, so a non-blocking fd
 * will do). -1 when the peer is gone, or has taken nothing for patience_ms: then the channel is
 * broken, and whoever owns it had better end the peer. */
int channel_send(struct channel *channel, enum frame_type type, const ProtobufCMessage *message,
                 struct error *err);

/* Takes the next message: 1 and *ret_message (free with frame_free), 0 when the peer has
 * closed, -1. With `wait` false it returns 2 when no whole message is there yet. */
int channel_receive(struct channel *channel, bool wait, enum frame_type *ret_type,
                    ProtobufCMessage **ret_message, struct error *err);

#endif
