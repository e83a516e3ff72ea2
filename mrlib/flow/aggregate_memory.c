/* The memory of a thread's table: slots that grow, an arena of long keys and lanes, the log,
 * and the decision whether looking keys up pays at all.
 *
 * First touch of memory is what costs. So a table starts small, goes on with one huge page and
 * doubles from there, and what it has it keeps from task to task: it is cleared, not unmapped.
 *
 * When a table of at least one huge page is full, a look back says what became of the emits
 * since the last such moment. Where more than two in three claimed a new slot, the next ones go
 * to the log, 16 times as many as the table has keys. Then the table doubles and has another
 * try: a stream whose keys repeat again after a while is noticed, and one whose keys never do
 * looks up one emit in 16 at most. */
#include "base/check.h"
#include "base/memory.h"
#include "flow/aggregate_internal.h"

enum { BLOCK_SMALL = 64 << 10, BLOCK = 2 << 20, LOG_SPELL = 16, SPARSE = 16 };

static size_t slot_bytes(size_t capacity)
{
    return capacity * sizeof(struct table_slot);
}

static void set_slots(struct aggregate *table, struct table_slot *slots, size_t capacity)
{
    table->slots = slots;
    table->capacity = capacity;
    table->room = capacity / 8 * 5;
    table->shift = aggregate_shift(capacity);
}

struct aggregate *aggregate_new(const struct fold *fold)
{
    struct aggregate *table = memory_zeroed(1, sizeof *table);
    struct table_slot *slots = memory_map(slot_bytes(AGGREGATE_CAPACITY_MIN));

    check(slots && fold->lanes >= 1 && fold->lanes <= MR_LANES_MAX);
    table->fold = *fold;
    table->limit = SIZE_MAX;
    table->log_until = UINT64_MAX;
    set_slots(table, slots, AGGREGATE_CAPACITY_MIN);
    return table;
}

void aggregate_limit(struct aggregate *table, size_t limit)
{
    table->limit = limit;
}

static void free_blocks(struct aggregate *table, struct aggregate_block **list)
{
    while (*list) {
        struct aggregate_block *block = *list;

        *list = block->next;
        table->block_bytes -= block->size;
        memory_unmap(block, block->size);
    }
}

/* Blocks of the usual size are kept. */
static void spare_blocks(struct aggregate *table, struct aggregate_block **list)
{
    while (*list) {
        struct aggregate_block *block = *list;

        *list = block->next;
        if (block->size == BLOCK) {
            block->next = table->spare;
            table->spare = block;
        } else {
            table->block_bytes -= block->size;
            memory_unmap(block, block->size);
        }
    }
}

static void free_scratch(struct aggregate *table)
{
    memory_unmap(table->scratch, table->scratch_bytes);
    table->scratch = NULL;
    table->scratch_bytes = 0;
}

void aggregate_free(struct aggregate *table)
{
    if (!table)
        return;
    free_blocks(table, &table->arena);
    free_blocks(table, &table->log);
    free_blocks(table, &table->spare);
    check(!table->block_bytes);
    memory_unmap(table->slots, slot_bytes(table->capacity));
    free_scratch(table);
    free(table->carries);
    free(table);
}

/* Gives slots back for as few as a table starts with; those are all empty. */
static bool shrink(struct aggregate *table)
{
    struct table_slot *slots = memory_map(slot_bytes(AGGREGATE_CAPACITY_MIN));

    if (!slots)
        return false;
    memory_unmap(table->slots, slot_bytes(table->capacity));
    set_slots(table, slots, AGGREGATE_CAPACITY_MIN);
    return true;
}

void aggregate_clear(struct aggregate *table)
{
    bool sparse =
        table->capacity > AGGREGATE_CAPACITY_HUGE && table->used < table->capacity / SPARSE;
    size_t used = table->used;

    spare_blocks(table, &table->arena);
    spare_blocks(table, &table->log);
    table->used = table->used_then = table->logged = table->carry_count = 0;
    table->pending_count = 0;
    table->emits = 0;
    table->log_until = UINT64_MAX;
    table->state = AGGREGATE_FILLING;
    /* What is kept leaves at least half of the limit to the next round. */
    if (aggregate_bytes(table) > table->limit / 2) {
        free_blocks(table, &table->spare);
        free_scratch(table);
        sparse |= aggregate_bytes(table) > table->limit / 2;
    }
    if (used && !(sparse && shrink(table)))
        memset(table->slots, 0, slot_bytes(table->capacity));
    table->shift = aggregate_shift(table->capacity);
}

size_t aggregate_bytes(const struct aggregate *table)
{
    size_t flush = (table->used + table->logged) * AGGREGATE_FLUSH_BYTES;

    return slot_bytes(table->capacity) + table->block_bytes +
           table->carry_capacity * sizeof *table->carries +
           (flush > table->scratch_bytes ? flush : table->scratch_bytes);
}

/* ---- Blocks ---- */

static struct aggregate_block *new_block(struct aggregate *table, size_t size)
{
    struct aggregate_block *block = size == BLOCK ? table->spare : NULL;

    if (block) {
        table->spare = block->next;
    } else {
        block = memory_map(size);
        if (!block)
            return NULL;
        block->size = size;
        table->block_bytes += size;
    }
    block->used = 0;
    return block;
}

static size_t block_room(const struct aggregate_block *block)
{
    return block ? block->size - sizeof *block - block->used : 0;
}

/* Takes from the list's first block, or from a new one in front of it. */
static void *take(struct aggregate *table, struct aggregate_block **list, size_t size)
{
    struct aggregate_block *block = *list;
    void *place;

    if (block_room(block) < size) {
        size_t whole = block || table->spare ? BLOCK : BLOCK_SMALL;

        while (whole < sizeof *block + size)
            whole = whole < BLOCK ? BLOCK : sizeof *block + size;
        block = new_block(table, whole);
        if (!block)
            return NULL;
        block->next = *list;
        *list = block;
    }
    place = block->bytes + block->used;
    block->used += size;
    return place;
}

void *aggregate_take(struct aggregate *table, size_t size)
{
    return take(table, &table->arena, (size + 7) & ~(size_t)7);
}

struct table_slot *aggregate_log(struct aggregate *table)
{
    struct table_slot *slot = take(table, &table->log, sizeof *slot);

    if (slot) {
        *slot = (struct table_slot){0};
        table->logged++;
    }
    return slot;
}

void *aggregate_scratch(struct aggregate *table, size_t size)
{
    if (size > table->scratch_bytes) {
        free_scratch(table);
        table->scratch = memory_map(size);
        if (table->scratch)
            table->scratch_bytes = size;
    }
    return table->scratch;
}

/* ---- Growing ---- */

/* Walks through both in the order of hashes. What collisions carried around the end comes
 * first; it fits wherever it is put. */
static void rehash(const struct aggregate *table, struct table_slot *slots, size_t capacity)
{
    unsigned shift = aggregate_shift(capacity);

    for (size_t i = 0; i < table->capacity; i++) {
        const struct table_slot *slot = &table->slots[i];
        size_t at;

        if (!slot->c)
            continue;
        for (at = table_slot_hash(slot) >> shift; slots[at].c;)
            at = at + 1 == capacity ? 0 : at + 1;
        slots[at] = *slot;
    }
}

static bool fits(const struct aggregate *table, size_t capacity)
{
    size_t bytes = aggregate_bytes(table);

    return bytes <= table->limit && slot_bytes(capacity) <= table->limit - bytes;
}

/* false when the limit or the machine says no. */
static bool grow(struct aggregate *table)
{
    size_t capacity = table->capacity * 2;
    struct table_slot *slots;

    if (capacity < AGGREGATE_CAPACITY_HUGE && fits(table, AGGREGATE_CAPACITY_HUGE))
        capacity = AGGREGATE_CAPACITY_HUGE;
    slots = fits(table, capacity) ? memory_map(slot_bytes(capacity)) : NULL;
    if (!slots)
        return false;
    rehash(table, slots, capacity);
    memory_unmap(table->slots, slot_bytes(table->capacity));
    set_slots(table, slots, capacity);
    return true;
}

static bool pays(const struct aggregate *table)
{
    return table->capacity < AGGREGATE_CAPACITY_HUGE ||
           2 * table->emits >= 3 * (uint64_t)(table->used - table->used_then);
}

void aggregate_make_room(struct aggregate *table)
{
    if (table->state != AGGREGATE_FILLING)
        return;
    if (!pays(table)) {
        table->state = AGGREGATE_LOGGING;
        table->log_until = table->emits + LOG_SPELL * (uint64_t)table->used;
        table->shift = 63;
    } else if (!grow(table)) {
        /* No room for another try: what did not pay is left alone until the next flush. */
        table->state = table->used == table->used_then ? AGGREGATE_LOGGING : AGGREGATE_FULL;
        table->shift = table->state == AGGREGATE_LOGGING ? 63 : table->shift;
    } else {
        table->emits = 0;
        table->used_then = table->used;
    }
}

void aggregate_resume(struct aggregate *table)
{
    check(table->state == AGGREGATE_LOGGING);
    table->state = AGGREGATE_FILLING;
    table->shift = aggregate_shift(table->capacity);
    table->log_until = UINT64_MAX;
    table->emits = 0;
    table->used_then = table->used;
}
