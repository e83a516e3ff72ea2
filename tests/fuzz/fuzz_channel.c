/* A stream from an executor whose job writes into the channel. The input is cut into pieces,
 * each a length byte and its bytes; what is received must be what the whole stream holds,
 * wherever it was cut. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "wire/channel.h"

struct heard {
    int messages;
    size_t bytes;
};

/* Takes all that is there; the last result. */
static int drain(struct channel *channel, struct heard *heard)
{
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;
    int result;

    while ((result = channel_receive(channel, false, &type, &message, &err)) == 1) {
        heard->messages++;
        heard->bytes += message ? protobuf_c_message_get_packed_size(message) : 0;
        frame_free(message);
    }
    check(result >= 0 || err.text[0]);
    return result;
}

static void open_pair(struct channel *channel, int *ret_peer)
{
    int pair[2];

    check(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    channel_init(channel, pair[0]);
    *ret_peer = pair[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free uint8_t *all = memory_new(size);
    struct heard pieces = {0}, whole = {0};
    struct channel channel;
    size_t used = 0;
    int peer, cut = 2, uncut;

    if (size > 32768)
        return 0;
    open_pair(&channel, &peer);
    for (size_t at = 0, n; at < size; at += n) {
        n = data[at++];
        n = n < size - at ? n : size - at;
        memcpy(all + used, data + at, n);
        used += n;
        if (n && cut == 2) {
            check(send(peer, data + at, n, MSG_NOSIGNAL) == (ssize_t)n);
            cut = drain(&channel, &pieces);
        }
    }
    close(peer);
    channel_done(&channel);

    open_pair(&channel, &peer);
    check(send(peer, all, used, MSG_NOSIGNAL) == (ssize_t)used);
    uncut = drain(&channel, &whole);
    close(peer);
    channel_done(&channel);
    check(cut == uncut && pieces.messages == whole.messages && pieces.bytes == whole.bytes);
    return 0;
}
