/* Compressed files from anybody: the first byte chooses the codec, the second how much is read
 * at a time. Whatever the bytes, it ends, in order or with an error that names the file; and
 * however it is read, the text is the same. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/stream.h"

enum { MOST = 1 << 20 /* bytes of text that are looked at: a bomb has more */ };

/* Returns how many bytes came, -1 for an error. */
static long read_all(int fd, size_t size, enum stream_codec codec, size_t piece, char *text)
{
    struct stream *stream = stream_new(fd, "the file", size, codec, 1 << 20);
    struct error err = {0};
    size_t used = 0, n = piece, last = piece;
    int result = 0;

    while (!result && n == last && used < MOST) {
        last = MOST - used < piece ? MOST - used : piece;
        result = stream_read(stream, text + used, last, &n, &err);
        if (!result)
            used += n;
        check(stream_consumed(stream) <= size);
    }
    if (result)
        check((err.code == ERROR_FORMAT) && strstr(err.text, "the file"));
    stream_free(stream);
    return result ? -1 : (long)used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free char *one = memory_new(MOST), *other = memory_new(MOST);
    enum stream_codec codec;
    long found, again;
    int fd;

    if (size < 2)
        return 0;
    codec = (enum stream_codec)(STREAM_GZIP + data[0] % 3);
    fd = memfd_create("stream", MFD_CLOEXEC);
    check(fd >= 0 && write(fd, data + 2, size - 2) == (ssize_t)size - 2);
    found = read_all(fd, size - 2, codec, MOST, one);
    again = read_all(fd, size - 2, codec, 1 + 37 * (size_t)data[1], other);
    /* Who looks at the beginning alone may not meet the damage behind it. */
    check(found == again || found == MOST || again == MOST);
    check(found < 0 || again < 0 || !memcmp(one, other, (size_t)found));
    close(fd);
    return 0;
}
