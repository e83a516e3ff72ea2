/* JSON texts (RFC 8259), one value each: whether they are valid, and where the members of an
 * object lie. Strict: UTF-8, no lone surrogates, no comments, no trailing commas; numbers of
 * any size, which are kept as text. Of members with equal names the last one counts. */
#ifndef RECORD_JSON_H
#define RECORD_JSON_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH = 512 }; /* arrays and objects within each other */

struct json_member {
    struct mr_bytes name;  /* without quotes, escapes as they are */
    struct mr_bytes value; /* its raw text; of a string without its quotes */
    bool name_escaped, string, escaped;
};

struct json_object {
    struct json_member *members;
    size_t count, capacity;
    const char *problem; /* NULL: the text is valid */
    const char *place;   /* where it is not */
};

/* Frees the members. */
void json_object_done(struct json_object *object);

/* Looks at a text, which may stand between blanks; collects the members of the outermost
 * object, none if the value is no object. False: `problem` and `place` tell why. Slices of the
 * text. */
bool json_scan(struct json_object *object, struct mr_bytes text);

/* The last member of that name; NULL: none. */
const struct json_member *json_find(const struct json_object *object, struct mr_bytes name);

/* Copies the text of a valid string, without its quotes, with its escapes undone, as UTF-8; at
 * most text.len bytes. Returns how many. */
size_t json_unescape(char *to, struct mr_bytes text);

#endif
