/* Files of csv from anybody: the first byte chooses options, the second how much is read at a
 * time. Whatever the bytes, records are the same however the file is cut into texts, and each
 * byte is in one of them. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/fields.h"
#include "record/solid.h"

struct found {
    size_t records, bad, bytes, fields;
};

/* Takes the records of a text, and looks at a field of each. */
static void take(struct fields *fields, struct mr_bytes text, struct found *found)
{
    struct mr_bytes rest = text, whole, record, field;
    struct error err;
    int result;

    while ((result = fields_next(fields, &rest, &whole, &record, &err))) {
        check(whole.ptr >= text.ptr && whole.ptr + whole.len <= text.ptr + text.len);
        check(record.ptr == whole.ptr && record.len <= whole.len && whole.len);
        found->bytes += whole.len;
        found->records++;
        found->bad += result < 0;
        if (result < 0) {
            check(err.code == ERROR_JOB && err.text[0]);
            continue;
        }
        if (!fields_find(fields, "1", &field, &err))
            for (size_t i = 0; i < field.len; i++)
                found->fields = found->fields * 31 + (unsigned char)field.ptr[i];
    }
}

static struct found read_file(struct input_format format, int fd, size_t size, size_t most)
{
    struct lines_file file = {fd, "the file", size};
    struct solid *solid = solid_new(format, &file, 1 << 20);
    struct fields *fields = fields_new(format, NULL);
    struct found found = {0};
    uint64_t offset, used;
    struct lines buffer;
    struct mr_bytes text;
    struct error err;

    lines_init(&buffer);
    while (!solid_next(solid, &buffer, most, &text, &offset, &used, &err) && text.len) {
        if (!fields_is_of(fields, 0) &&
            fields_file(fields, 0, "the file", solid_first_row(solid), &err))
            break;
        take(fields, text, &found);
        check(offset + text.len <= size);
    }
    lines_done(&buffer);
    fields_free(fields);
    solid_free(solid);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input_format format = {.kind = INPUT_CSV, .separator = ',', .plain = true};
    struct found one, other;
    int fd;

    if (size < 2)
        return 0;
    format.no_header = data[0] & 1;
    format.lines = data[0] & 2;
    format.separator = data[0] & 4 ? ';' : ',';
    fd = memfd_create("csv", MFD_CLOEXEC);
    check(fd >= 0 && write(fd, data + 2, size - 2) == (ssize_t)size - 2);
    one = read_file(format, fd, size - 2, 1 << 16);
    other = read_file(format, fd, size - 2, 1 + (size_t)data[1]);
    check(!memcmp(&one, &other, sizeof one));
    close(fd);
    return 0;
}
