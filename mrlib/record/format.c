#include "record/format.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/size.h"
#include "record/fixed.h"
#include "record/text.h"

static const char fixed_name[] = "fixed:";

int format_parse_input(const char *name, struct input_format *ret, struct error *err)
{
    const size_t prefix = sizeof fixed_name - 1;
    uint64_t width;

    if (!strcmp(name, "lines")) {
        *ret = (struct input_format){INPUT_LINES, 0};
        return 0;
    }
    if (strncmp(name, fixed_name, prefix))
        return error_set(err, ERROR_USAGE,
                         "unknown input format '%s': this version knows lines and fixed:N",
                         name);
    if (size_parse_count(name + prefix, 1, LIMIT_FIXED, &width))
        return error_set(err, ERROR_USAGE,
                         "input format '%s': the bytes of a record are wanted, from fixed:1 to "
                         "fixed:%d",
                         name, LIMIT_FIXED);
    *ret = (struct input_format){INPUT_FIXED, (uint32_t)width};
    return 0;
}

static const struct {
    const char *name, *suffix;
} output_codecs[] = {
    [OUTPUT_PLAIN] = {"none", ""},
    [OUTPUT_GZIP] = {"gzip", ".gz"},
    [OUTPUT_ZSTD] = {"zstd", ".zst"},
};

int format_parse_output(const char *name, enum output_format *ret, enum output_codec *ret_codec,
                        struct error *err)
{
    static const char *const formats[] = {[OUTPUT_TEXT] = "text", [OUTPUT_RAW] = "raw"};

    for (int format = OUTPUT_TEXT; format <= OUTPUT_RAW; format++) {
        size_t length = strlen(formats[format]);

        if (strncmp(name, formats[format], length))
            continue;
        for (int codec = OUTPUT_PLAIN; codec <= OUTPUT_ZSTD; codec++)
            if (codec == OUTPUT_PLAIN
                    ? !name[length]
                    : name[length] == ':' &&
                          !strcmp(name + length + 1, output_codecs[codec].name)) {
                *ret = (enum output_format)format;
                *ret_codec = (enum output_codec)codec;
                return 0;
            }
    }
    return error_set(err, ERROR_USAGE,
                     "unknown output format '%s': this version knows text and raw, alone or "
                     "with :gzip or :zstd",
                     name);
}

const char *format_suffix(enum output_codec codec)
{
    return output_codecs[codec].suffix;
}

const char *format_codec_name(enum output_codec codec)
{
    return output_codecs[codec].name;
}

int format_fits(struct input_format format, const char *path, uint64_t size, struct error *err)
{
    if (format.kind == INPUT_FIXED && size % format.width)
        return error_set(err, ERROR_INPUT,
                         "input '%s' of %" PRIu64
                         " bytes does not consist of records of %u (input format fixed:%u): "
                         "leave it out, or give the right --input-format",
                         path, size, format.width, format.width);
    return 0;
}

int format_read(struct input_format format, struct lines *buffer, const struct lines_file *file,
                uint64_t offset, uint64_t length, struct mr_bytes *ret_text,
                uint64_t *ret_offset, struct error *err)
{
    if (format.kind == INPUT_LINES)
        return lines_read(buffer, file, offset, length, ret_text, ret_offset, err);
    /* The plan has seen to it already, but it came from another process. */
    if (format_fits(format, file->path, file->size, err))
        return -1;
    return fixed_read(buffer, file, format.width, offset, length, ret_text, ret_offset, err);
}

uint64_t format_count(struct input_format format, struct mr_bytes text)
{
    return format.kind == INPUT_FIXED ? text.len / format.width : lines_count(text);
}

size_t format_room(enum output_format format, struct mr_bytes key, struct mr_bytes value,
                   enum mr_type type)
{
    return format == OUTPUT_RAW ? key.len + value.len : text_room(key, value, type);
}

size_t format_pair(enum output_format format, char *at, struct mr_bytes key,
                   struct mr_bytes value, enum mr_type type)
{
    if (format == OUTPUT_TEXT)
        return text_pair(at, key, value, type);
    if (key.len)
        memcpy(at, key.ptr, key.len);
    if (value.len)
        memcpy(at + key.len, value.ptr, value.len);
    return key.len + value.len;
}
