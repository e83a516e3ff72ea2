/* Formats, by the names that jobs and people give them: how input files are cut into records,
 * and what the pairs of an output look like. A format more is a row in format.c, a case below,
 * and a file of its own beside lines and fixed.
 *
 * Some files are *solid*: cut by one reader, from their beginning, and never torn into splits
 * (record/solid.h). Compressed ones are, in any format, and those of a format whose records can
 * only be told from the file's beginning. */
#ifndef RECORD_FORMAT_H
#define RECORD_FORMAT_H

#include <mr/job.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "record/lines.h"
#include "record/stream.h"

enum input_kind {
    INPUT_LINES,  /* "lines": record/lines.h */
    INPUT_FIXED,  /* "fixed:N": record/fixed.h */
    INPUT_KEYVAL, /* "keyval": lines with the fields key and value */
    INPUT_CSV,    /* "csv": record/csv.h */
    INPUT_JSONL,  /* "jsonl": lines of one JSON value each, record/json.h */
};

struct input_format {
    enum input_kind kind;
    uint32_t width; /* of a fixed record, in bytes: 1 .. LIMIT_FIXED */
    char separator; /* of keyval and csv */
    bool no_header; /* of csv: columns are called 1, 2, 3 ... */
    bool lines;     /* of csv: no field holds a newline, so that files may be torn */
    bool plain;     /* what compressed files are called means nothing */
};

enum output_format {
    OUTPUT_TEXT, /* "text": record/text.h */
    OUTPUT_RAW,  /* "raw": key and value one behind the other, with nothing added */
};

/* What becomes of the bytes of a part: record/encoder.h. */
enum output_codec {
    OUTPUT_PLAIN,
    OUTPUT_GZIP, /* "text:gzip" */
    OUTPUT_ZSTD, /* "text:zstd" */
};

/* From their names. ERROR_USAGE names what is unknown and what is known. */
int format_parse_input(const char *name, struct input_format *ret, struct error *err);
int format_parse_output(const char *name, enum output_format *ret, enum output_codec *ret_codec,
                        struct error *err);

/* What the names of an output's parts end with, "" if they are plain; what a codec is called.
 */
const char *format_suffix(enum output_codec codec);
const char *format_codec_name(enum output_codec codec);

/* How the bytes of a file lie in it, and whether it is solid. */
enum stream_codec format_codec(struct input_format format, const char *path);
bool format_is_solid(struct input_format format, const char *path);

/* Whether a file of `size` bytes can be of this format; ERROR_INPUT names file, size and the
 * way out. */
int format_fits(struct input_format format, const char *path, uint64_t size, struct error *err);

/* Whether its records have fields: record/fields.h. */
bool format_has_fields(struct input_format format);

/* Whether its records are rows that are looked at one by one, whatever the job asks for:
 * record/fields.h. */
bool format_is_checked(struct input_format format);

/* Reads the records that begin in a range of a file that is not solid: see lines_read, whose
 * contract it shares. */
int format_read(struct input_format format, struct lines *buffer, const struct lines_file *file,
                uint64_t offset, uint64_t length, struct mr_bytes *ret_text,
                uint64_t *ret_offset, struct error *err);

/* How many bytes of a text that begins with a record are whole records. */
size_t format_cut(struct input_format format, struct mr_bytes text);

/* How many records a text of whole ones holds, in a format that is not checked. */
uint64_t format_count(struct input_format format, struct mr_bytes text);

/* Bytes that format_pair may write at most; writes a pair and returns how many it took. A value
 * of MR_I64 or MR_F64 is value.len / 8 lanes; value.ptr NULL: no value. */
size_t format_room(enum output_format format, struct mr_bytes key, struct mr_bytes value,
                   enum mr_type type);
size_t format_pair(enum output_format format, char *at, struct mr_bytes key,
                   struct mr_bytes value, enum mr_type type);

#endif
