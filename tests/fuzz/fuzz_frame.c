/* Frames from a hostile peer. The input is tried as it is, and as the payload of a frame with a
 * right checksum, since no fuzzer guesses checksums: its first byte is then the type. */
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "tests/fuzz/lib/inputs.h"
#include "wire/frame.h"

/* Unpacks, and packs again what came out: that is canonical, so once more must give the same
 * bytes. */
static void try_frame(const uint8_t *frame, size_t size)
{
    ProtobufCMessage *message = NULL, *again = NULL;
    enum frame_type type;
    struct error err;
    size_t packed_size, again_size;

    if (frame_unpack(frame, size, &type, &message, &err)) {
        check(err.code == ERROR_DAMAGE && err.text[0]);
        return;
    }
    cleanup_free uint8_t *packed = frame_pack(type, message, &packed_size);
    frame_free(message);
    if (!frame_unpack(packed, packed_size, &type, &again, &err)) {
        cleanup_free uint8_t *twice = frame_pack(type, again, &again_size);

        frame_free(again);
        check(again_size == packed_size && !memcmp(twice, packed, packed_size));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_stamp stamp = {size, size - 1, data && size ? data[0] : 0}, got;
    size_t framed;

    /* Of exactly the input's size, so that the sanitizer sees a byte too far. */
    try_frame(data, size);
    if (!size || size > LIMIT_MESSAGE / 2)
        return 0;
    cleanup_free uint8_t *frame = inputs_frame(data[0], data + 1, size - 1, &framed);
    frame_set_stamp(frame, framed, &stamp);
    got = frame_get_stamp(frame);
    check(!memcmp(&got, &stamp, sizeof stamp));
    try_frame(frame, framed);
    return 0;
}
