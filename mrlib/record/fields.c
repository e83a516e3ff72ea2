#include "record/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "record/csv.h"
#include "record/json.h"

enum { BLOCK = 4 << 10, NO_COLUMN = -1, NAMES_SHOWN = 300 };

/* Decoded fields lie in blocks that do not move, until the next record. */
struct block {
    struct block *next;
    size_t used, size;
    char bytes[];
};

struct fields {
    struct input_format format;
    const char *const *wanted;
    uint32_t count;
    struct block *blocks; /* the one in use first */
    /* of the current record */
    struct mr_bytes record;
    struct csv_row row;
    struct json_object object, inner;
    /* of the file, for csv */
    bool bound;
    uint32_t file;
    char *path, *first; /* its first row */
    struct csv_row header;
    struct block *names;
    struct mr_bytes *columns; /* their names, decoded */
    long *wanted_columns;
};

/* ---- Decoding
 * ------------------------------------------------------------------------------------ */

static char *block_take(struct block **blocks, size_t size)
{
    struct block *block = *blocks;
    char *at;

    if (!block || block->size - block->used < size) {
        size_t room = size < BLOCK ? BLOCK : size;

        block = memory_new(sizeof *block + room);
        *block = (struct block){.next = *blocks, .size = room};
        *blocks = block;
    }
    at = block->bytes + block->used;
    block->used += size;
    return at;
}

/* Empties all blocks; keeps one. */
static void blocks_clear(struct block **blocks)
{
    struct block *block = *blocks;

    while (block && block->next) {
        struct block *next = block->next;

        block->next = next->next;
        free(next);
    }
    if (block && block->size > BLOCK) {
        free(block);
        *blocks = NULL;
    } else if (block) {
        block->used = 0;
    }
}

static void blocks_free(struct block **blocks)
{
    blocks_clear(blocks);
    free(*blocks);
    *blocks = NULL;
}

static struct mr_bytes decode_csv(struct block **blocks, const struct csv_field *field)
{
    char *plain;

    if (!field->doubled)
        return field->text;
    plain = block_take(blocks, field->text.len);
    return (struct mr_bytes){plain, csv_undouble(plain, field->text)};
}

static struct mr_bytes decode_json(struct fields *fields, const struct json_member *member)
{
    struct mr_bytes value = member->value;
    char *plain;

    if (!member->string)
        return value.len == 4 && !memcmp(value.ptr, "null", 4) ? (struct mr_bytes){NULL, 0}
                                                               : value;
    if (!member->escaped)
        return value;
    plain = block_take(&fields->blocks, value.len);
    return (struct mr_bytes){plain, json_unescape(plain, value)};
}

/* ---- Life
 * --------------------------------------------------------------------------------------- */

/* The number of a column that has no name; 0: it is none. */
static uint64_t column_number(const char *name)
{
    uint64_t number = 0;

    if (*name < '1' || *name > '9' || strlen(name) > 9)
        return 0;
    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (uint64_t)(*name - '0');
    return *name ? 0 : number;
}

static int check_name(struct input_format format, const char *name, struct error *err)
{
    if (format.kind == INPUT_KEYVAL && strcmp(name, "key") && strcmp(name, "value"))
        return error_set(err, ERROR_USAGE,
                         "there is no field '%s' in the input format keyval: it has key and "
                         "value",
                         name);
    if (format.kind == INPUT_CSV && format.no_header && !column_number(name))
        return error_set(err, ERROR_USAGE,
                         "there is no field '%s' in the input format csv:noheader: columns are "
                         "called 1, 2, 3 ...",
                         name);
    if (!format_has_fields(format))
        return error_set(err, ERROR_USAGE,
                         "there is no field '%s' in the input format %s, whose records have "
                         "none: --input-format keyval, csv and jsonl have",
                         name, format.kind == INPUT_LINES ? "lines" : "fixed");
    return 0;
}

int fields_check(struct input_format format, const char *const *wanted, struct error *err)
{
    for (size_t i = 0; wanted && wanted[i]; i++) {
        if (i == LIMIT_FIELDS)
            return error_set(err, ERROR_USAGE, "the job reads more than %d fields",
                             LIMIT_FIELDS);
        if (!*wanted[i])
            return error_set(err, ERROR_USAGE, "the job reads a field without a name");
        if (check_name(format, wanted[i], err))
            return -1;
    }
    return 0;
}

struct fields *fields_new(struct input_format format, const char *const *wanted)
{
    struct fields *fields = memory_zeroed(1, sizeof *fields);

    fields->format = format;
    fields->wanted = wanted;
    while (wanted && wanted[fields->count])
        fields->count++;
    fields->wanted_columns = memory_zeroed(fields->count + 1, sizeof *fields->wanted_columns);
    return fields;
}

static void unbind(struct fields *fields)
{
    fields->bound = false;
    blocks_free(&fields->names);
    free(fields->columns);
    free(fields->first);
    free(fields->path);
    fields->columns = NULL;
    fields->first = fields->path = NULL;
}

void fields_free(struct fields *fields)
{
    if (!fields)
        return;
    unbind(fields);
    blocks_free(&fields->blocks);
    csv_row_done(&fields->row);
    csv_row_done(&fields->header);
    json_object_done(&fields->object);
    json_object_done(&fields->inner);
    free(fields->wanted_columns);
    free(fields);
}

/* ---- Files
 * -------------------------------------------------------------------------------------- */

size_t fields_preamble(struct input_format format, struct mr_bytes text,
                       struct mr_bytes *ret_first)
{
    size_t skipped = csv_mark(text), cut;
    struct mr_bytes rest = {text.ptr + skipped, text.len - skipped};
    const char *end = rest.ptr + rest.len, *newline;
    struct csv_row row = {0};

    if (format.lines && rest.len && (newline = memchr(rest.ptr, '\n', rest.len)))
        end = newline + 1;
    cut =
        rest.len ? (size_t)(csv_row_take(&row, rest.ptr, end, format.separator) - rest.ptr) : 0;
    csv_row_done(&row);
    *ret_first = (struct mr_bytes){rest.ptr, cut};
    return skipped + (format.no_header ? 0 : cut);
}

/* "user, amount, 2 more": what a file calls its columns. */
static void list_columns(const struct fields *fields, char text[NAMES_SHOWN + 40])
{
    size_t used = 0, i;

    for (i = 0; i < fields->header.count && used < NAMES_SHOWN; i++)
        used += (size_t)snprintf(text + used, NAMES_SHOWN + 40 - used, "%s%.*s", i ? ", " : "",
                                 fields->columns[i].len < 32 ? (int)fields->columns[i].len : 32,
                                 fields->columns[i].ptr);
    if (i < fields->header.count)
        snprintf(text + used, NAMES_SHOWN + 40 - used, " and %zu more",
                 fields->header.count - i);
}

/* -1 with an error if there is none of that name, or several. */
static long find_column(const struct fields *fields, const char *name, struct error *err)
{
    const char *what = fields->format.no_header ? "it has 1 to" : "its header names";
    char names[NAMES_SHOWN + 40];
    struct mr_bytes wanted = mr_text(name);
    long found = NO_COLUMN;

    if (fields->format.no_header) {
        uint64_t number = column_number(name);

        if (number && number <= fields->header.count)
            return (long)number - 1;
        snprintf(names, sizeof names, "%zu", fields->header.count);
    } else {
        for (size_t i = 0; i < fields->header.count; i++) {
            if (fields->columns[i].len != wanted.len ||
                memcmp(fields->columns[i].ptr, wanted.ptr, wanted.len))
                continue;
            if (found != NO_COLUMN)
                return error_set(err, ERROR_FORMAT, "input '%s' has two columns '%s'",
                                 fields->path, name);
            found = (long)i;
        }
        if (found != NO_COLUMN)
            return found;
        list_columns(fields, names);
    }
    return error_set(err, ERROR_FORMAT, "input '%s' has no column '%s': %s %s", fields->path,
                     name, what, names);
}

static int bind_columns(struct fields *fields, struct mr_bytes first, struct error *err)
{
    struct csv_row *header = &fields->header;

    fields->first = memory_new(first.len + 1);
    memcpy(fields->first, first.ptr, first.len);
    csv_row_take(header, fields->first, fields->first + first.len, fields->format.separator);
    /* The first row of a file without a header is judged as a record, where it comes. */
    if (header->problem && !fields->format.no_header)
        return error_set(err, ERROR_FORMAT, "the header of input '%s' has %s (byte %zu of it)",
                         fields->path, header->problem,
                         (size_t)(header->place - fields->first));
    fields->columns = memory_new((header->count + 1) * sizeof *fields->columns);
    for (size_t i = 0; i < header->count; i++)
        fields->columns[i] = decode_csv(&fields->names, &header->fields[i]);
    for (uint32_t i = 0; i < fields->count; i++) {
        fields->wanted_columns[i] = find_column(fields, fields->wanted[i], err);
        if (fields->wanted_columns[i] < 0)
            return -1;
    }
    return 0;
}

int fields_file(struct fields *fields, uint32_t number, const char *path, struct mr_bytes first,
                struct error *err)
{
    unbind(fields);
    fields->path = memory_text(path);
    fields->file = number;
    if (fields->format.kind == INPUT_CSV && bind_columns(fields, first, err))
        return -1;
    fields->bound = true;
    return 0;
}

bool fields_is_of(const struct fields *fields, uint32_t number)
{
    return fields->bound && fields->file == number;
}

/* ---- Records
 * ------------------------------------------------------------------------------------ */

static int bad(const struct fields *fields, const char *problem, const char *place,
               struct error *err)
{
    return error_set(err, ERROR_JOB, "this record is no %s: it has %s (byte %zu of it)",
                     fields->format.kind == INPUT_CSV ? "row of csv" : "JSON", problem,
                     (size_t)(place - fields->record.ptr));
}

static int next_row(struct fields *fields, const char *at, const char *end,
                    const char **ret_next, struct error *err)
{
    struct csv_row *row = &fields->row;
    const char *stop = end, *newline;

    if (fields->format.lines && (newline = memchr(at, '\n', (size_t)(end - at))))
        stop = newline + 1;
    *ret_next = csv_row_take(row, at, stop, fields->format.separator);
    fields->record = row->text;
    if (row->problem)
        return bad(fields, row->problem, row->place, err);
    if (row->count != fields->header.count)
        return error_set(err, ERROR_JOB,
                         "this row has %zu field%s, the first one of the file has %zu",
                         row->count, row->count == 1 ? "" : "s", fields->header.count);
    return 0;
}

static int next_line(struct fields *fields, const char *at, const char *end,
                     const char **ret_next, struct error *err)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));

    *ret_next = newline ? newline + 1 : end;
    fields->record = (struct mr_bytes){at, (size_t)((newline ? newline : end) - at)};
    if (fields->format.kind == INPUT_JSONL && !json_scan(&fields->object, fields->record))
        return bad(fields, fields->object.problem, fields->object.place, err);
    return 0;
}

int fields_next(struct fields *fields, struct mr_bytes *rest, struct mr_bytes *ret_whole,
                struct mr_bytes *ret_record, struct error *err)
{
    const char *at = rest->ptr, *end = at + rest->len, *next;
    int result;

    if (!rest->len)
        return 0;
    check(fields->bound);
    blocks_clear(&fields->blocks);
    result = fields->format.kind == INPUT_CSV ? next_row(fields, at, end, &next, err)
                                              : next_line(fields, at, end, &next, err);
    *ret_whole = (struct mr_bytes){at, (size_t)(next - at)};
    *ret_record = fields->record;
    *rest = (struct mr_bytes){next, (size_t)(end - next)};
    return result ? -1 : 1;
}

/* ---- Fields
 * ------------------------------------------------------------------------------------- */

static struct mr_bytes keyval_field(const struct fields *fields, bool key)
{
    struct mr_bytes record = fields->record;
    const char *separator = memchr(record.ptr, fields->format.separator, record.len);
    size_t length = separator ? (size_t)(separator - record.ptr) : record.len;

    if (key)
        return (struct mr_bytes){record.ptr, length};
    return separator ? (struct mr_bytes){separator + 1, record.len - length - 1}
                     : (struct mr_bytes){NULL, 0};
}

/* The member that a path names, from the outermost object inwards. */
static struct mr_bytes json_field(struct fields *fields, const char *name)
{
    const struct json_object *object = &fields->object;
    struct mr_bytes path = mr_text(name);

    for (;;) {
        const struct json_member *member = json_find(object, path);
        const char *dot;

        if (member)
            return decode_json(fields, member);
        dot = memchr(path.ptr, '.', path.len);
        if (dot)
            member = json_find(object, (struct mr_bytes){path.ptr, (size_t)(dot - path.ptr)});
        if (!member || member->string || !json_scan(&fields->inner, member->value))
            return (struct mr_bytes){NULL, 0};
        object = &fields->inner;
        path.len -= (size_t)(dot + 1 - path.ptr);
        path.ptr = dot + 1;
    }
}

uint32_t fields_count(const struct fields *fields)
{
    return fields->count;
}

struct mr_bytes fields_get(struct fields *fields, uint32_t i)
{
    if (fields->format.kind == INPUT_CSV)
        return decode_csv(&fields->blocks, &fields->row.fields[fields->wanted_columns[i]]);
    if (fields->format.kind == INPUT_JSONL)
        return json_field(fields, fields->wanted[i]);
    return keyval_field(fields, !strcmp(fields->wanted[i], "key"));
}

int fields_find(struct fields *fields, const char *name, struct mr_bytes *ret,
                struct error *err)
{
    long column;

    if (fields->format.kind == INPUT_JSONL) {
        *ret = json_field(fields, name);
        return 0;
    }
    if (fields->format.kind == INPUT_CSV) {
        column = find_column(fields, name, err);
        if (column >= 0)
            *ret = decode_csv(&fields->blocks, &fields->row.fields[column]);
        return column < 0 ? -1 : 0;
    }
    if (check_name(fields->format, name, err)) {
        err->code = ERROR_FORMAT;
        return -1;
    }
    *ret = keyval_field(fields, !strcmp(name, "key"));
    return 0;
}
