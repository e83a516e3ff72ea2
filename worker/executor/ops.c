/* The calls that a job makes, and the life of a thread's part in an attempt. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "flow/aggregate_emit.h"
#include "record/limit.h"
#include "wire/culprit.h"
#include "worker/executor/fault.h"
#include "worker/executor/thread.h"

enum { TEXT_PIECE = 256 << 10 }; /* bytes of text in one record of a map-only run */

static struct thread *thread_of(const struct mr_task *task)
{
    return (struct thread *)(uintptr_t)task; /* its first member */
}

/* ---- Failing
 * ------------------------------------------------------------------------------------- */

static void place_of(const struct thread *thread, char *text, size_t size)
{
    const struct slot *slot = thread->slot;

    if (slot->phase == SLOT_MAP)
        snprintf(text, size, "'%s' offset %" PRIu64 "%s: ", thread->source.path,
                 (uint64_t)slot->offset, slot->unpacked ? " of its decompressed text" : "");
    else if (slot->phase == SLOT_REDUCE || slot->phase == SLOT_COMBINE)
        snprintf(text, size, "key '%.*s'%s: ",
                 (int)(slot->key_length < SLOT_TEXT ? slot->key_length : SLOT_TEXT), slot->key,
                 slot->key_length > SLOT_TEXT ? "..." : "");
    else
        text[0] = '\0';
}

static void fail(struct thread *thread, enum error_code code, const char *format, va_list args)
{
    size_t used;

    if (thread->failed)
        return;
    thread->failed = true;
    thread->failed_in = (enum slot_phase)thread->slot->phase;
    thread->error.code = code;
    place_of(thread, thread->error.text, sizeof thread->error.text);
    used = strlen(thread->error.text);
    vsnprintf(thread->error.text + used, sizeof thread->error.text - used, format, args);
}

void thread_fail(struct thread *thread, enum error_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail(thread, code, format, args);
    va_end(args);
}

static void op_fail(struct mr_task *task, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail(thread_of(task), ERROR_JOB, format, args);
    va_end(args);
}

/* ---- Emitting
 * ------------------------------------------------------------------------------------ */

static const char *type_name(enum mr_type type)
{
    return type == MR_I64 ? "MR_I64" : type == MR_F64 ? "MR_F64" : "MR_BYTES";
}

static void no_memory(struct thread *thread)
{
    thread_fail(thread, ERROR_MEMORY, "no memory left for emitted pairs");
}

static void too_long(struct thread *thread, struct mr_bytes key, struct mr_bytes value)
{
    uint64_t limit = thread->host->record_limit;
    bool is_key = key.len > limit;
    struct error err;

    record_too_long(&err, ERROR_MEMORY, limit, "a %s of %zu bytes that was emitted",
                    is_key ? "key" : "value", is_key ? key.len : value.len);
    thread_fail(thread, err.code, "%s", err.text);
}

/* Whether key and value are within the limit of a record; else the attempt has failed. */
static inline bool is_short(struct thread *thread, struct mr_bytes key, struct mr_bytes value)
{
    uint64_t limit = thread->host->record_limit;

    if (__builtin_expect(key.len <= limit && value.len <= limit, 1))
        return true;
    too_long(thread, key, value);
    return false;
}

void thread_flush_text(struct thread *thread)
{
    const struct mr_bytes none = {NULL, 0};

    if (!thread->out_used)
        return;
    if (pairs_add_many(thread->pairs, thread->assign->part,
                       (struct mr_bytes){thread->out, thread->out_used}, none,
                       thread->out_records, thread->out_digest))
        no_memory(thread);
    thread->out_used = 0;
    thread->out_records = thread->out_digest = 0;
}

static void emit_text(struct thread *thread, struct mr_bytes key, struct mr_bytes value)
{
    enum output_format format = thread->host->output_format;
    size_t need = format_room(format, key, value, thread->host->value);

    if (!is_short(thread, key, value))
        return;
    if (thread->out_used && thread->out_used + need > TEXT_PIECE)
        thread_flush_text(thread);
    memory_reserve(&thread->out, &thread->out_capacity, thread->out_used + need, 1);
    need = format_pair(format, thread->out + thread->out_used, key, value, thread->host->value);
    thread->out_digest += XXH3_64bits(thread->out + thread->out_used, need);
    thread->out_used += need;
    thread->out_records++;
    thread->output_records++;
}

int thread_group(struct thread *thread, struct mr_bytes key, struct mr_bytes *ret_prefix)
{
    const struct mr_job *job = &thread->host->job;
    size_t length = job->group ? job->group(&thread->task, key) : key.len;

    if (length > key.len)
        thread_fail(thread, ERROR_JOB, "group returned %zu for a key of %zu bytes", length,
                    key.len);
    *ret_prefix = (struct mr_bytes){key.ptr, length};
    return thread->failed ? -1 : 0;
}

static inline void emit_pair(struct thread *thread, struct mr_bytes key, struct mr_bytes value)
{
    struct mr_bytes prefix = key;
    uint32_t part;

    if (!is_short(thread, key, value) ||
        (thread->host->job.group && thread_group(thread, key, &prefix)))
        return;
    part = partitioner_pick(&thread->partitioner, prefix);
    if (part >= thread->partitioner.parts)
        thread_fail(thread, ERROR_JOB, "partition returned %u, the job has parts 0 to %u", part,
                    thread->partitioner.parts - 1);
    else if (pairs_add(thread->pairs, part, key, value))
        no_memory(thread);
    else
        thread->output_records++;
}

/* Keys inside the input in hand have readable bytes behind them. */
static inline bool is_padded(const struct thread *thread, struct mr_bytes key)
{
    return (uintptr_t)key.ptr - (uintptr_t)thread->text < thread->text_size;
}

static void emit_fold(struct thread *thread, struct mr_bytes key, struct mr_bytes value)
{
    if (value.len != 8 * (size_t)thread->host->fold.lanes)
        thread_fail(thread, ERROR_JOB, "a value of %zu lanes was emitted, the job folds %u",
                    value.len / 8, thread->host->fold.lanes);
    else if (is_short(thread, key, value) &&
             aggregate_add(thread->table, key, is_padded(thread, key), value.ptr))
        no_memory(thread);
}

/* An emit of the one lane that the job folds: the path that a billion words take. */
static inline void emit_lane(struct thread *thread, struct mr_bytes key, int64_t value)
{
    if (is_short(thread, key, (struct mr_bytes){NULL, 0}) &&
        aggregate_emit(thread->table, key, is_padded(thread, key), value))
        no_memory(thread);
}

static void emit(struct thread *thread, struct mr_bytes key, struct mr_bytes value,
                 enum mr_type type)
{
    enum mr_type wanted =
        thread->sink == SINK_PART ? thread->host->output : thread->host->value;
    struct error err;

    if (thread->failed)
        return;
    if (type != wanted) {
        thread_fail(thread, ERROR_JOB, "a value of type %s was emitted, the job declares %s",
                    type_name(type), type_name(wanted));
        return;
    }
    switch (thread->sink) {
    case SINK_NONE:
        thread_fail(thread, ERROR_JOB, "emit is not possible here");
        break;
    case SINK_FOLD:
    case SINK_FOLD_I64:
    case SINK_FOLD_F64:
        emit_fold(thread, key, value);
        break;
    case SINK_PAIRS:
        emit_pair(thread, key, value);
        break;
    case SINK_TEXT:
        emit_text(thread, key, value);
        break;
    case SINK_SAMPLE:
        sample_add(thread->sample, key);
        break;
    case SINK_COMBINE:
        if (key.len != thread->values->key.len ||
            (key.len && memcmp(key.ptr, thread->values->key.ptr, key.len)))
            thread_fail(thread, ERROR_JOB, "combine emitted another key than it was given");
        else if (is_short(thread, key, value) &&
                 pairs_group_emit(thread->values->group, value, &err))
            thread_fail(thread, err.code, "%s", err.text);
        break;
    case SINK_PART:
        if (part_pair(thread->part, key, value, type, &err))
            thread_fail(thread, err.code, "%s", err.text);
        thread->output_records++;
        break;
    }
}

static void op_emit_bytes(struct mr_task *task, struct mr_bytes key, struct mr_bytes value)
{
    struct thread *thread = thread_of(task);

    /* The one path that a sort's records take. */
    if (thread->sink == SINK_PAIRS && thread->host->value == MR_BYTES && !thread->failed) {
        emit_pair(thread, key, value);
        return;
    }
    emit(thread_of(task), key, value, MR_BYTES);
}

static void op_emit_i64(struct mr_task *task, struct mr_bytes key, int64_t value)
{
    struct thread *thread = thread_of(task);

    if (__builtin_expect(thread->sink == SINK_FOLD_I64 && !thread->failed, 1)) {
        emit_lane(thread, key, value);
        return;
    }
    emit(thread, key, (struct mr_bytes){(const char *)&value, sizeof value}, MR_I64);
}

static void op_emit_f64(struct mr_task *task, struct mr_bytes key, double value)
{
    struct thread *thread = thread_of(task);
    int64_t lane;

    if (thread->sink == SINK_FOLD_F64 && !thread->failed) {
        memcpy(&lane, &value, sizeof lane);
        emit_lane(thread, key, lane);
        return;
    }
    emit(thread, key, (struct mr_bytes){(const char *)&value, sizeof value}, MR_F64);
}

static void emit_lanes(struct thread *thread, struct mr_bytes key, const void *lanes,
                       uint32_t n, enum mr_type type)
{
    bool any = thread->sink == SINK_TEXT || thread->sink == SINK_PART ||
               thread->sink == SINK_SAMPLE ||
               (thread->sink >= SINK_FOLD && thread->sink <= SINK_FOLD_F64);

    if (!n || n > MR_LANES_MAX || (n > 1 && !any))
        thread_fail(thread, ERROR_JOB, "a value of %u lanes cannot be emitted here", n);
    else
        emit(thread, key, (struct mr_bytes){lanes, 8 * (size_t)n}, type);
}

static void op_emit_lanes_i64(struct mr_task *task, struct mr_bytes key, const int64_t *lanes,
                              uint32_t n)
{
    emit_lanes(thread_of(task), key, lanes, n, MR_I64);
}

static void op_emit_lanes_f64(struct mr_task *task, struct mr_bytes key, const double *lanes,
                              uint32_t n)
{
    emit_lanes(thread_of(task), key, lanes, n, MR_F64);
}

static void op_emit_to(struct mr_task *task, uint32_t output, struct mr_bytes key,
                       struct mr_bytes value)
{
    (void)key;
    (void)value;
    thread_fail(thread_of(task), ERROR_JOB,
                "mr_emit_to (output %u) is not supported by this version", output);
}

/* ---- Reading values
 * ------------------------------------------------------------------------------- */

/* Whether the key that the merge gave last belongs to the group that is being read. */
static bool is_of_group(struct mr_values *values, struct mr_bytes key)
{
    struct thread *thread = values->thread;
    struct mr_bytes prefix;

    if (!thread->host->job.group)
        return merge_same(thread->merge);
    if (thread_group(thread, key, &prefix) || prefix.len != values->key.len ||
        (prefix.len && memcmp(prefix.ptr, values->key.ptr, prefix.len)))
        return false;
    values->whole = key;
    return true;
}

static bool next_of_merge(struct mr_values *values, struct mr_bytes *ret_value)
{
    struct thread *thread = values->thread;
    struct mr_bytes key;
    struct error err;
    int result = merge_next(thread->merge, &key, ret_value, &err);

    if (result > 0 && is_of_group(values, key))
        return true;
    values->ended = true;
    values->whole = values->key;
    thread->has_next = result > 0;
    thread->next_key = key;
    thread->next_value = *ret_value;
    if (result < 0)
        thread_fail(thread, err.code, "%s", err.text);
    return false;
}

static bool op_next(struct mr_values *values, struct mr_bytes *ret_value)
{
    if (values->ended)
        return false;
    slot_tick(values->thread->slot);
    if (values->group)
        return pairs_group_next(values->group, ret_value);
    if (values->has_first) {
        values->has_first = false;
        *ret_value = values->first;
        return true;
    }
    return next_of_merge(values, ret_value);
}

/* Values lie whole in memory up to their limit: each is one piece. */
static bool op_value_part(struct mr_values *values, struct mr_bytes *ret_piece, bool *ret_last)
{
    *ret_last = true;
    return op_next(values, ret_piece);
}

static struct mr_bytes op_value_key(const struct mr_values *values)
{
    return values->whole;
}

/* ---- Everything else
 * ------------------------------------------------------------------------------ */

static struct mr_source op_source(const struct mr_task *task)
{
    struct thread *thread = thread_of(task);

    if (thread->slot->phase != SLOT_MAP) {
        thread_fail(thread, ERROR_JOB, "mr_source is for map alone");
        return (struct mr_source){.path = ""};
    }
    return thread->source;
}

static void op_count(struct mr_task *task, uint32_t counter, int64_t n)
{
    struct thread *thread = thread_of(task);

    if (counter >= thread->host->counter_count)
        thread_fail(thread, ERROR_JOB, "counter %u does not exist, the job declares %u",
                    counter, thread->host->counter_count);
    else if (thread->sink == SINK_COMBINE)
        thread_fail(thread, ERROR_JOB, "mr_count in combine: it may run any number of times");
    else if (!thread->failed)
        thread->counters[counter] =
            (int64_t)((uint64_t)thread->counters[counter] + (uint64_t)n);
}

static const char *op_side_file(struct mr_task *task, const char *name)
{
    thread_fail(thread_of(task), ERROR_JOB,
                "mr_side_file ('%s') is not supported by this version", name);
    return NULL;
}

static void op_status(struct mr_task *task, const char *text)
{
    struct slot *slot = thread_of(task)->slot;

    snprintf(slot->status, sizeof slot->status, "%s", text);
}

/* The current record's; NULL where there is none, and the attempt has failed. */
static struct fields *fields_of(struct thread *thread)
{
    if (thread->slot->phase != SLOT_MAP || thread->host->job.input != MR_RECORDS)
        thread_fail(thread, ERROR_JOB, "fields are for the map of a job with MR_RECORDS");
    else if (!thread->fields)
        thread_fail(thread, ERROR_JOB,
                    "records of this input format have no fields: --input-format keyval, csv "
                    "and jsonl have");
    else
        return thread->fields;
    return NULL;
}

static struct mr_bytes op_field(struct mr_task *task, uint32_t i)
{
    struct thread *thread = thread_of(task);
    struct fields *fields = fields_of(thread);

    if (fields && i < fields_count(fields))
        return fields_get(fields, i);
    thread_fail(thread, ERROR_JOB, "field %u was asked for, the job's .fields names %u", i,
                fields ? fields_count(fields) : 0);
    return (struct mr_bytes){NULL, 0};
}

static bool op_find_field(struct mr_task *task, const char *name, struct mr_bytes *ret)
{
    struct thread *thread = thread_of(task);
    struct fields *fields = fields_of(thread);
    struct error err;

    *ret = (struct mr_bytes){NULL, 0};
    if (fields && fields_find(fields, name, ret, &err))
        thread_fail(thread, err.code, "%s", err.text);
    return ret->ptr != NULL;
}

static const struct mr_task_ops ops = {
    .emit_bytes = op_emit_bytes,
    .emit_i64 = op_emit_i64,
    .emit_f64 = op_emit_f64,
    .emit_lanes_i64 = op_emit_lanes_i64,
    .emit_lanes_f64 = op_emit_lanes_f64,
    .emit_to = op_emit_to,
    .next = op_next,
    .value_part = op_value_part,
    .value_key = op_value_key,
    .source = op_source,
    .count = op_count,
    .fail = op_fail,
    .side_file = op_side_file,
    .status = op_status,
    .field = op_field,
    .find_field = op_find_field,
};

/* The job's partition. While tables are written, what happens in it is not our own code's
 * doing.
 */
static uint32_t pick_part(struct mr_task *task, struct mr_bytes key, uint32_t parts)
{
    struct thread *thread = thread_of(task);
    uint32_t part;

    if (thread->slot->phase != SLOT_HOST)
        return thread->host->job.partition(task, key, parts);
    culprit_show_key(thread->slot, key.ptr, key.len, key.len);
    thread_phase(thread, SLOT_PARTITION);
    part = thread->host->job.partition(task, key, parts);
    slot_tick(thread->slot);
    thread_phase(thread, SLOT_HOST);
    return part;
}

void thread_begin(struct thread *thread, const struct host *host, const Mr__Assign *assign)
{
    struct slot *slot = thread->slot;

    thread->task = (struct mr_task){.ops = &ops, .params = host->params};
    thread->host = host;
    thread->assign = assign;
    thread->skips = NULL;
    thread->sink = SINK_NONE;
    thread->stops = 0;
    thread->set_up = thread->failed = thread->has_next = false;
    thread->source = (struct mr_source){.path = ""};
    thread->text = NULL;
    thread->text_size = 0;
    thread->partitioner = (struct partitioner){
        host->open->parts, host->job.partition ? pick_part : NULL, &thread->task, host->range};
    memset(thread->counters, 0, sizeof thread->counters);
    thread->input_records = thread->input_bytes = thread->output_records = thread->groups = 0;
    thread->skipped = 0;
    thread->out_used = 0;
    thread->out_records = 0;
    slot->kind = (uint32_t)assign->kind;
    slot->task = assign->task;
    slot->attempt = assign->attempt;
    slot->file = slot->single = slot->unpacked = 0;
    slot->offset = slot->length = 0;
    slot->key_length = slot->group_length = 0;
    slot->lone = assign->single || assign->kind == MR__TASK_KIND__REDUCE;
    slot->sifts = 0;
    slot->status[0] = '\0';
}

void thread_take_records(struct thread *thread)
{
    const struct host *host = thread->host;

    thread_drop_records(thread);
    thread->lines.limit = host->record_limit;
    if (format_is_checked(host->input_format) ||
        (host->job.input == MR_RECORDS && format_has_fields(host->input_format)))
        thread->fields = fields_new(host->input_format, host->job.fields);
}

void thread_drop_records(struct thread *thread)
{
    fields_free(thread->fields);
    thread->fields = NULL;
}

void thread_phase(struct thread *thread, enum slot_phase phase)
{
    fault_watch(thread->slot);
    slot_set_phase(thread->slot, phase);
}

void thread_set_up(struct thread *thread)
{
    enum sink sink = thread->sink;

    if (thread->set_up)
        return;
    thread->set_up = true;
    if (!thread->host->job.setup)
        return;
    thread->sink = SINK_NONE;
    thread_phase(thread, SLOT_SETUP);
    thread->host->job.setup(&thread->task);
    thread_phase(thread, SLOT_HOST);
    thread->sink = sink;
}

void thread_tear_down(struct thread *thread)
{
    if (!thread->set_up)
        return;
    thread->set_up = false;
    thread->sink = SINK_NONE;
    if (thread->host->job.teardown) {
        thread_phase(thread, SLOT_TEARDOWN);
        thread->host->job.teardown(&thread->task);
    }
    thread->task.state = NULL;
    thread_phase(thread, SLOT_HOST);
}
