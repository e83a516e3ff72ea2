#include "tests/lib/cmocka_all.h"

#include "tests/lib/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static struct mr_bytes copy_of(struct mr_bytes bytes)
{
    char *copy = memory_new(bytes.len);

    if (bytes.len)
        memcpy(copy, bytes.ptr, bytes.len);
    return (struct mr_bytes){copy, bytes.len};
}

void records_add(struct records *records, struct mr_bytes key, struct mr_bytes value)
{
    memory_reserve(&records->items, &records->capacity, records->count + 1,
                   sizeof *records->items);
    records->items[records->count] =
        (struct record){copy_of(key), copy_of(value), records->count};
    records->count++;
}

void records_done(struct records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        free((char *)(uintptr_t)records->items[i].key.ptr);
        free((char *)(uintptr_t)records->items[i].value.ptr);
    }
    free(records->items);
    *records = (struct records){0};
}

int bytes_order(struct mr_bytes a, struct mr_bytes b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        unsigned x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];

        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static int compare_records(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    int order = bytes_order(x->key, y->key);

    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

void records_sort(struct records *records)
{
    if (records->count)
        qsort(records->items, records->count, sizeof *records->items, compare_records);
}

void expect_bytes(struct mr_bytes found, struct mr_bytes expected)
{
    assert_int_equal(found.len, expected.len);
    if (expected.len)
        assert_memory_equal(found.ptr, expected.ptr, expected.len);
}

void expect_records(const struct records *found, const struct records *expected)
{
    assert_int_equal(found->count, expected->count);
    for (size_t i = 0; i < found->count; i++) {
        expect_bytes(found->items[i].key, expected->items[i].key);
        expect_bytes(found->items[i].value, expected->items[i].value);
    }
}

struct mr_bytes made_up_bytes(struct rng *rng, char *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (char)rng_next(rng);
    return (struct mr_bytes){at, size};
}

/* Few different bytes, among them the smallest and the largest. */
static struct mr_bytes from_few(struct rng *rng, char *at, size_t size)
{
    static const char few[] = {'\0', '\1', 'a', '\x7f', '\x80', '\xff'};

    for (size_t i = 0; i < size; i++)
        at[i] = few[rng_below(rng, sizeof few)];
    return (struct mr_bytes){at, size};
}

struct mr_bytes made_up_key(struct rng *rng, char *at)
{
    size_t n;

    switch (rng_below(rng, 8)) {
    case 0:
        n = rng_below(rng, 14);
        memset(at, 0, n);
        return (struct mr_bytes){at, n};
    case 1:
        return from_few(rng, at, rng_below(rng, 4));
    case 2:
        return from_few(rng, at, rng_below(rng, 13));
    case 3: /* equal in the first words */
        n = 7 + rng_below(rng, 5);
        memset(at, 'k', n);
        return (struct mr_bytes){at, n + from_few(rng, at + n, rng_below(rng, 4)).len};
    case 4:
        memset(at, 'x', 17);
        return (struct mr_bytes){at, 17 + from_few(rng, at + 17, rng_below(rng, 6)).len};
    case 5: /* the same few keys again and again */
        at[0] = 'w';
        at[1] = (char)('0' + rng_below(rng, 5));
        return (struct mr_bytes){at, 2};
    case 6:
        n = 20 + rng_below(rng, MADE_UP_KEY - 24);
        memset(at, 'l', n);
        return (struct mr_bytes){at, n + from_few(rng, at + n, rng_below(rng, 3)).len};
    default:
        return made_up_bytes(rng, at, rng_below(rng, 25));
    }
}

void run_of(const char *path, const struct run_shape *shape, const struct records *records)
{
    struct run_builder *builder = run_builder_new(shape->value_width);
    struct run_writer *writer;
    struct error err;
    uint64_t size;

    assert_int_equal(run_create(path, shape, &writer, &err), 0);
    for (size_t i = 0; i < records->count; i++)
        assert_int_equal(
            run_builder_add(builder, records->items[i].key, records->items[i].value, &err), 0);
    run_builder_pairs(builder, records->count);
    assert_int_equal(run_append(writer, 0, 0, builder, true, &err), 0);
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run_builder_free(builder);
}

int read_segment(struct run_file *run, const struct run_segment *segment, struct records *ret,
                 struct error *err)
{
    struct run_cursor *cursor = run_cursor_new(run, segment);
    struct mr_bytes key, value;
    int result;

    while ((result = run_next(cursor, &key, &value, err)) > 0)
        records_add(ret, key, value);
    run_cursor_free(cursor);
    return result;
}
