#include "tests/fuzz/lib/inputs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/tree.h"
#include "wire/frame.h"

static char folder[64];

static void leave(void)
{
    struct error ignored;

    tree_remove(folder, &ignored);
}

const char *inputs_folder(void)
{
    struct error ignored;

    if (!*folder) {
        strcpy(folder, access("/dev/shm", W_OK) ? "/tmp/marram-fuzz-XXXXXX"
                                                : "/dev/shm/marram-fuzz-XXXXXX");
        check(mkdtemp(folder));
        atexit(leave);
        log_configure(LOG_NOTHING, false);
    }
    tree_remove(folder, &ignored);
    check(!mkdir(folder, 0700));
    return folder;
}

uint8_t *inputs_frame(unsigned type, const uint8_t *payload, size_t size, size_t *ret_size)
{
    size_t empty;
    cleanup_free uint8_t *header = frame_pack(FRAME_GOODBYE, NULL, &empty);
    uint8_t *frame = memory_new(empty + size);
    uint16_t number = (uint16_t)type;
    uint32_t length = (uint32_t)size;

    memcpy(frame, header, empty);
    if (size)
        memcpy(frame + empty, payload, size);
    memcpy(frame + 6, &number, sizeof number);
    memcpy(frame + 8, &length, sizeof length);
    /* Which also makes the checksum right. */
    frame_set_stamp(frame, empty + size, &(struct frame_stamp){0});
    *ret_size = empty + size;
    return frame;
}
