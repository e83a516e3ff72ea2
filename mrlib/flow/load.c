#include "flow/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "flow/sort.h"

#define ARENA_SIZE ((size_t)8 << 20)
#define SPILL_ID   UINT64_C(0x7370696c6c000000) /* "spill" and a number */

enum { APPEND_SIZE = 1 << 20 };

/* Payloads of blocks, copied one behind the other. */
struct arena {
    struct arena *next;
    size_t used, size; /* of the mapping, this struct included */
};

struct load_list {
    uint32_t value_width;
    struct arena *arenas;
    size_t bytes; /* of all arenas */
    struct sort_entry *entries;
    size_t count, capacity, next;
};

void load_init(struct load *load, const char *scratch)
{
    *load = (struct load){.scratch = scratch};
}

static void list_empty(struct load_list *list)
{
    while (list->arenas) {
        struct arena *next = list->arenas->next;

        memory_unmap(list->arenas, list->arenas->size);
        list->arenas = next;
    }
    list->bytes = list->count = list->next = 0;
}

static void list_free(struct load_list *list)
{
    if (!list)
        return;
    list_empty(list);
    free(list->entries);
    free(list);
}

void load_done(struct load *load)
{
    /* Each spill's file is removed as soon as it is open. */
    for (size_t i = 0; i < load->run_count; i++)
        run_close(load->runs[i]);
    free(load->runs);
    free(load->spilled);
    list_free(load->list);
}

int load_list_next(struct load_list *list, struct mr_bytes *ret_key, struct mr_bytes *ret_value)
{
    struct mr_bytes rest = {NULL, SIZE_MAX / 2};

    if (list->next == list->count)
        return 0;
    if (list->next + 8 < list->count)
        __builtin_prefetch(sort_place(&list->entries[list->next + 8]));
    rest.ptr = sort_place(&list->entries[list->next++]);
    check(run_decode(&rest, list->value_width, ret_key, ret_value) == 1);
    return 1;
}

uint64_t load_list_records(const struct load_list *list)
{
    return list->count;
}

/* Room for `size` bytes in an arena; NULL without memory. */
static char *list_take(struct load_list *list, size_t size)
{
    struct arena *arena = list->arenas;
    char *place;

    if (!arena || arena->size - arena->used < size) {
        size_t whole = size + sizeof *arena > ARENA_SIZE ? size + sizeof *arena : ARENA_SIZE;

        arena = memory_map(whole);
        if (!arena)
            return NULL;
        *arena = (struct arena){list->arenas, sizeof *arena, whole};
        list->arenas = arena;
        list->bytes += whole;
    }
    place = (char *)arena + arena->used;
    arena->used += size;
    return place;
}

/* Copies a verified block and makes an entry for each of its records. */
static int list_add_block(struct load_list *list, struct mr_bytes payload, uint32_t records,
                          struct error *err)
{
    char *copy = list_take(list, payload.len);
    struct mr_bytes rest = {copy, payload.len}, key, value;
    uint32_t n = 0;

    if (!copy)
        return error_set(err, ERROR_MEMORY, "no memory for %zu bytes of values", payload.len);
    memcpy(copy, payload.ptr, payload.len);
    memory_reserve(&list->entries, &list->capacity, list->count + records,
                   sizeof *list->entries);
    for (;; n++) {
        const char *place = rest.ptr;
        int result = run_decode(&rest, list->value_width, &key, &value);

        if (result < 0 || (result && n == records) || (!result && n < records))
            return error_set(err, ERROR_DAMAGE, "a block's records make no sense");
        if (!result)
            return 0;
        list->entries[list->count++] = sort_entry_of(key, place);
    }
}

static size_t list_cost(const struct load_list *list)
{
    /* Sorting needs a second array of entries. */
    return list->bytes + 2 * list->count * sizeof *list->entries;
}

static void list_sort(struct load_list *list)
{
    size_t size = list->count * sizeof *list->entries + 1;
    struct sort_entry *scratch = memory_map(size);

    check(scratch);
    sort_entries(list->entries, scratch, list->count,
                 &(struct sort_keys){sort_record_key, list->value_width});
    memory_unmap(scratch, size);
}

int load_spill_open(struct load *load, uint32_t value_width, struct load_spill *spill,
                    struct error *err)
{
    struct run_shape shape = {1, RUN_SORTED, value_width, SPILL_ID + load->spill_count};

    *spill = (struct load_spill){.id = shape.id};
    spill->path = memory_format("%s.%u", load->scratch, load->spill_count++);
    spill->builder = run_builder_new(value_width);
    return run_create(spill->path, &shape, &spill->writer, err);
}

int load_spill_add(struct load_spill *spill, struct mr_bytes key, struct mr_bytes value,
                   struct error *err)
{
    if (run_builder_add(spill->builder, key, value, err))
        return -1;
    if (run_builder_bytes(spill->builder) < APPEND_SIZE)
        return 0;
    return run_append(spill->writer, 0, 0, spill->builder, false, err);
}

/* Opens a finished spill, and removes its name: it lives as long as it is open. */
static int adopt(struct load *load, const struct load_spill *spill, struct merge_source *ret,
                 struct error *err)
{
    struct run_file *run;
    size_t count;

    if (run_open(spill->path, spill->id, &run, err))
        return -1;
    unlink(spill->path);
    memory_reserve(&load->runs, &load->run_capacity, load->run_count + 1, sizeof *load->runs);
    load->runs[load->run_count++] = run;
    ret->run = run;
    ret->segment = run_segments(run, &count);
    check(count == 1);
    return 0;
}

int load_spill_close(struct load *load, struct load_spill *spill, bool good,
                     struct merge_source *ret, struct error *err)
{
    uint64_t size;
    int result = good ? 0 : -1;

    if (!result)
        result = run_append(spill->writer, 0, 0, spill->builder, true, err);
    if (result) {
        run_abandon(spill->writer);
    } else if (!(result = run_finish(spill->writer, false, &size, err))) {
        load->spilled_bytes += size;
        result = adopt(load, spill, ret, err);
    }
    run_builder_free(spill->builder);
    free(spill->path);
    return result;
}

static int spill_list(struct load *load, struct load_list *list, struct error *err)
{
    struct load_spill spill;
    struct merge_source source;
    struct mr_bytes key, value;
    int result;

    list_sort(list);
    result = load_spill_open(load, list->value_width, &spill, err);
    while (!result && load_list_next(list, &key, &value))
        result = load_spill_add(&spill, key, value, err);
    if (load_spill_close(load, &spill, !result, &source, err))
        return -1;
    memory_reserve(&load->spilled, &load->spilled_capacity, load->spilled_count + 1,
                   sizeof *load->spilled);
    load->spilled[load->spilled_count++] = source;
    list_empty(list);
    return 0;
}

static int load_source(struct load *load, struct load_list *list,
                       const struct merge_source *source, size_t memory, struct error *err)
{
    struct run_cursor *cursor = run_cursor_new(source->run, source->segment);
    struct mr_bytes payload;
    uint32_t records;
    int result;

    while ((result = run_next_block(cursor, &payload, &records, err)) > 0) {
        result = list_add_block(list, payload, records, err);
        if (!result && list_cost(list) > memory)
            result = spill_list(load, list, err);
        if (result)
            break;
    }
    run_cursor_free(cursor);
    return result;
}

int load_sources(struct load *load, const struct merge_source *sources, size_t n, size_t memory,
                 struct error *err)
{
    struct load_list *list = memory_zeroed(1, sizeof *list);
    int result = 0;

    list->value_width = n ? run_shape(sources[0].run)->value_width : 0;
    for (size_t i = 0; i < n && !result; i++)
        result = load_source(load, list, &sources[i], memory, err);
    if (!result && load->spilled_count && list->count)
        result = spill_list(load, list, err);
    if (result || load->spilled_count) {
        list_free(list);
        return result;
    }
    list_sort(list);
    load->list = list;
    return 0;
}
