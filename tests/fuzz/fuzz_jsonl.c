/* Lines of JSON from anybody. Whatever the bytes, a line is valid if jansson says so (but for
 * its limits), and fields can be read from it by any path. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/fields.h"

static void compare(struct mr_bytes record, bool valid, const struct mr_bytes *field)
{
    json_error_t error;
    json_t *want, *value;

    /* jansson takes a zero for the end. */
    if (record.len && memchr(record.ptr, 0, record.len))
        return;
    want = json_loadb(record.ptr, record.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!want && (json_error_code(&error) == json_error_numeric_overflow ||
                  json_error_code(&error) == json_error_null_byte_in_key))
        return;
    if (!valid && want) { /* its limit of nesting is above ours */
        json_decref(want);
        check(record.len > 500);
        return;
    }
    check(valid == (want != NULL));
    value = valid ? json_object_get(want, "a") : NULL;
    if (value && json_is_string(value))
        check(field->ptr && field->len == json_string_length(value) &&
              !memcmp(field->ptr, json_string_value(value), field->len));
    else if (valid)
        check((field->ptr != NULL) == (value && !json_is_null(value)));
    if (want)
        json_decref(want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input_format format = {.kind = INPUT_JSONL};
    struct fields *fields = fields_new(format, NULL);
    /* A block of its own: what is read beyond it is seen. */
    cleanup_free char *copy = memory_new(size + 1);
    struct mr_bytes rest = {copy, size}, whole, record, field = {NULL, 0}, other;
    struct error err;
    int result;

    memcpy(copy, data, size);
    check(!fields_file(fields, 0, "the file", field, &err));
    while ((result = fields_next(fields, &rest, &whole, &record, &err))) {
        field = (struct mr_bytes){NULL, 0};
        if (result > 0)
            check(!fields_find(fields, "a.b.c", &other, &err) &&
                  !fields_find(fields, "", &other, &err) &&
                  !fields_find(fields, "a", &field, &err));
        compare(record, result > 0, &field);
    }
    fields_free(fields);
    return 0;
}
