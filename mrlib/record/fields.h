/* The records of a text, one by one, and their fields by name: keyval, csv and jsonl.
 *
 *     keyval  key, value: before and behind the first separator; no value without one
 *     csv     the columns, called as the file's first row says; 1, 2, 3 ... without a header
 *     jsonl   the members of the line's object; a.b is member b of member a, if there is none
 *             that is called a.b
 *
 * Fields come decoded: without the quotes of csv and JSON, numbers, true and false as they
 * stand, arrays and objects as raw JSON, null like a member that is not there: ptr NULL. A
 * record that is not valid is refused, and the next one can be had. One thread owns the reader.
 */
#ifndef RECORD_FIELDS_H
#define RECORD_FIELDS_H

#include <mr/job.h>
#include <stdint.h>

#include "base/error.h"
#include "record/format.h"

/* Whether a job can read these fields (NULL: none; ended by NULL) in this format: ERROR_USAGE
 * names one that it cannot, and what there is. Column names are found out later. */
int fields_check(struct input_format format, const char *const *wanted, struct error *err);

/* A reader; `wanted`, which passed the check, is borrowed. */
struct fields *fields_new(struct input_format format, const char *const *wanted);
/* Takes NULL. */
void fields_free(struct fields *fields);

/* Bytes at the beginning of a file of csv that belong to no record, of a text of whole records
 * from there: a byte order mark, and the header. *ret_first is the first row. */
size_t fields_preamble(struct input_format format, struct mr_bytes text,
                       struct mr_bytes *ret_first);

/* What follows is of this file (`number` is its index in the job's inputs); of csv its first
 * row must be told. ERROR_FORMAT for a row that is none, and for a wanted column that it does
 * not name, or names twice. `path` is copied. */
int fields_file(struct fields *fields, uint32_t number, const char *path, struct mr_bytes first,
                struct error *err);
/* Whether the reader was told that file last. */
bool fields_is_of(const struct fields *fields, uint32_t number);

/* Takes the next record off *rest: *ret_whole with its newline, *ret_record without. 1, or 0 at
 * the end, or -1 with ERROR_JOB for one that is not valid, which is taken all the same. */
int fields_next(struct fields *fields, struct mr_bytes *rest, struct mr_bytes *ret_whole,
                struct mr_bytes *ret_record, struct error *err);

/* How many fields are wanted; and field i of these of the current record, valid until the next
 * one. */
uint32_t fields_count(const struct fields *fields);
struct mr_bytes fields_get(struct fields *fields, uint32_t i);

/* A field by its name. -1 with ERROR_FORMAT for a name that no record of this file can have. */
int fields_find(struct fields *fields, const char *name, struct mr_bytes *ret,
                struct error *err);

#endif
