#include "record/format.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/size.h"
#include "record/csv.h"
#include "record/fixed.h"
#include "record/text.h"

static const char plain_name[] = "plain:";

/* Takes the word before the next ':' off *rest, or a ':' that stands alone; false at the end.
 */
static bool next_option(const char **rest, struct mr_bytes *ret)
{
    const char *at = *rest;

    if (*at != ':')
        return false;
    at++;
    *ret = (struct mr_bytes){at, *at == ':' ? 1 : strcspn(at, ":")};
    *rest = at + ret->len;
    return true;
}

static bool is_word(struct mr_bytes option, const char *word)
{
    return option.len == strlen(word) && !memcmp(option.ptr, word, option.len);
}

/* "tab", or the byte itself; 0: it can be none. */
static char separator_of(struct mr_bytes option)
{
    if (is_word(option, "tab"))
        return '\t';
    if (option.len != 1 || strchr("\"\r\n", *option.ptr) || (unsigned char)*option.ptr > 0x7f)
        return 0;
    return *option.ptr;
}

static int parse_fixed(const char *name, const char *options, struct input_format *format,
                       struct error *err)
{
    uint64_t width = 0;

    if (*options != ':' || size_parse_count(options + 1, 1, LIMIT_FIXED, &width))
        return error_set(err, ERROR_USAGE,
                         "input format '%s': the bytes of a record are wanted, from fixed:1 to "
                         "fixed:%d",
                         name, LIMIT_FIXED);
    format->width = (uint32_t)width;
    return 0;
}

static int parse_keyval(const char *name, const char *options, struct input_format *format,
                        struct error *err)
{
    struct mr_bytes option;

    format->separator = '\t';
    if (!next_option(&options, &option))
        return 0;
    format->separator = separator_of(option);
    if (!format->separator || *options)
        return error_set(err, ERROR_USAGE,
                         "input format '%s': one byte is wanted that ends the key, as in "
                         "keyval:, or keyval:tab, and no quote or newline",
                         name);
    return 0;
}

static int parse_csv(const char *name, const char *options, struct input_format *format,
                     struct error *err)
{
    struct mr_bytes option;

    format->separator = ',';
    while (next_option(&options, &option)) {
        char separator = separator_of(option);

        if (is_word(option, "noheader"))
            format->no_header = true;
        else if (is_word(option, "lines"))
            format->lines = true;
        else if (separator)
            format->separator = separator;
        else
            return error_set(
                err, ERROR_USAGE,
                "input format '%s': this version knows csv with :noheader, :lines, "
                ":tab and a separator of one byte that is no quote or newline",
                name);
    }
    return 0;
}

static int parse_bare(const char *name, const char *options, struct input_format *format,
                      struct error *err)
{
    (void)format;
    if (!*options)
        return 0;
    return error_set(err, ERROR_USAGE, "input format '%s': %.*s takes nothing behind it", name,
                     (int)(options - name), name);
}

static const struct {
    const char *name;
    enum input_kind kind;
    int (*parse)(const char *name, const char *options, struct input_format *, struct error *);
} inputs[] = {
    {"lines", INPUT_LINES, parse_bare},     {"fixed", INPUT_FIXED, parse_fixed},
    {"keyval", INPUT_KEYVAL, parse_keyval}, {"csv", INPUT_CSV, parse_csv},
    {"jsonl", INPUT_JSONL, parse_bare},
};

int format_parse_input(const char *name, struct input_format *ret, struct error *err)
{
    bool plain = !strncmp(name, plain_name, sizeof plain_name - 1);
    const char *base = plain ? name + sizeof plain_name - 1 : name;
    size_t length = strcspn(base, ":");

    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct input_format format = {.kind = inputs[i].kind, .plain = plain};

        if (strlen(inputs[i].name) != length || memcmp(inputs[i].name, base, length))
            continue;
        if (inputs[i].parse(base, base + length, &format, err))
            return -1;
        *ret = format;
        return 0;
    }
    return error_set(
        err, ERROR_USAGE,
        "unknown input format '%s': this version knows lines, fixed:N, keyval, csv "
        "and jsonl, and each of them behind plain:",
        name);
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

enum stream_codec format_codec(struct input_format format, const char *path)
{
    return format.plain ? STREAM_PLAIN : stream_codec_of(path);
}

bool format_is_solid(struct input_format format, const char *path)
{
    return format_codec(format, path) != STREAM_PLAIN ||
           (format.kind == INPUT_CSV && !format.lines);
}

int format_fits(struct input_format format, const char *path, uint64_t size, struct error *err)
{
    enum stream_codec codec = format_codec(format, path);

    if (codec && !size)
        return error_set(
            err, ERROR_INPUT,
            "input '%s' is empty, which no %s file is: leave it out, or read it as "
            "it is with --input-format plain:FORMAT",
            path, stream_codec_name(codec));
    if (!codec && format.kind == INPUT_FIXED && size % format.width)
        return error_set(err, ERROR_INPUT,
                         "input '%s' of %" PRIu64
                         " bytes does not consist of records of %u (input format fixed:%u): "
                         "leave it out, or give the right --input-format",
                         path, size, format.width, format.width);
    return 0;
}

bool format_has_fields(struct input_format format)
{
    return format.kind != INPUT_LINES && format.kind != INPUT_FIXED;
}

bool format_is_checked(struct input_format format)
{
    return format.kind == INPUT_CSV || format.kind == INPUT_JSONL;
}

int format_read(struct input_format format, struct lines *buffer, const struct lines_file *file,
                uint64_t offset, uint64_t length, struct mr_bytes *ret_text,
                uint64_t *ret_offset, struct error *err)
{
    if (format.kind != INPUT_FIXED)
        return lines_read(buffer, file, offset, length, ret_text, ret_offset, err);
    /* The plan has seen to it already, but it came from another process. */
    if (format_fits(format, file->path, file->size, err))
        return -1;
    return fixed_read(buffer, file, format.width, offset, length, ret_text, ret_offset, err);
}

size_t format_cut(struct input_format format, struct mr_bytes text)
{
    const char *newline;

    if (format.kind == INPUT_FIXED)
        return text.len - text.len % format.width;
    if (format.kind == INPUT_CSV && !format.lines)
        return csv_cut(text, format.separator);
    newline = text.len ? memrchr(text.ptr, '\n', text.len) : NULL;
    return newline ? (size_t)(newline + 1 - text.ptr) : 0;
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
