/* <mr/job.h>: everything a Marram job includes.
 *
 * A job is a shared object that exports one constant, `mr_job`. It needs no symbol of ours and
 * registers nothing: the executor loads the object, reads the constant and calls the functions
 * that it names.
 *
 *     #include <mr/job.h>
 *
 *     static void count_words(struct mr_task *task, struct mr_bytes text)
 *     {
 *         for (struct mr_words w = mr_words_in(text); mr_next_word(&w);)
 *             mr_emit(task, w.word, 1);
 *     }
 *
 *     const struct mr_job mr_job = {
 *         MR_HEADER,
 *         .name = "wordcount",
 *         .input = MR_BLOCKS,
 *         .map = count_words,
 *         .fold = MR_SUM_I64,
 *     };
 *
 *     cc -O2 -fPIC -shared -o wordcount.so wordcount.c && marram run ./wordcount.so -i text/ -o
 * out/
 *
 * Threads. `map` and `reduce` run on several OpenMP threads at once. Each thread has a `struct
 * mr_task` of its own; a job keeps what it needs per thread in `task->state` and has no mutable
 * globals.
 *
 * Determinism. The output is that of one thread reading the input in order, whatever fails or
 * runs twice. `map` depends only on its record, the parameters and side files; `combine` and
 * folds are exact and commutative. Floating-point sums (MR_SUM_F64) are not: their last digits
 * may differ.
 *
 * Lifetimes. What a callback is given (text, key, values) is valid until it returns; a value
 * until the next mr_next(). What a callback passes to us is copied before the call returns.
 */
#ifndef MR_JOB_H
#define MR_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mr/text.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_EXPORT __attribute__((visibility("default")))

/* Lanes of one value at most: see mr_job.folds. */
#define MR_LANES_MAX 16

enum mr_type {
    MR_DEFAULT, /* of `value`: MR_I64 or MR_F64 as the fold says, else MR_BYTES; of `output`: as
                   `value` */
    MR_BYTES,
    MR_I64,
    MR_F64,
    MR_BOOL, /* of parameters only */
    MR_TEXT, /* of parameters only: const char *, terminated */
};

enum mr_input {
    MR_LINES,   /* `map` is given one record; by default a line without its '\n' */
    MR_BLOCKS,  /* `map` is given many whole records, one behind the other; lines with their
                   '\n', which the last may lack */
    MR_RECORDS, /* `map` is given one record, as MR_LINES, and asks for its fields: mr_field */
};

/* How values of one key become one, wherever they meet. The result does not depend on the
 * order, but for MR_SUM_F64, which is outside the promise of identical bytes. Integer sums wrap
 * at 64 bits. */
enum mr_fold {
    MR_NO_FOLD,
    MR_SUM_I64,
    MR_MIN_I64,
    MR_MAX_I64,
    MR_COUNT, /* integer: the number of values, whatever they are */
    MR_SUM_F64,
    MR_MIN_F64,
    MR_MAX_F64,
};

/* mr_job.flags. An unknown flag is refused. MR_TOTAL_ORDER: parts are consecutive ranges of
 * keys, cut where a run of `map` on a sample of the input says; not with `partition`. */
#define MR_TOTAL_ORDER UINT64_C(1)

struct mr_task;
struct mr_values;

/* Where the text that `map` was given comes from. */
struct mr_source {
    uint32_t input;   /* index into mr_job.inputs; 0 without */
    uint32_t file;    /* index of the file in the expanded input list */
    const char *path; /* of the file, terminated */
    uint64_t offset;  /* of the text's first byte in the file; if that is compressed, in what
                         it decompresses to */
};

/* What the executor offers. The table only grows, at its end; a job says in `ops_size` how much
 * of it it was built against, and an executor that has less refuses the job. Use the wrappers
 * below. */
struct mr_task_ops {
    void (*emit_bytes)(struct mr_task *, struct mr_bytes key, struct mr_bytes value);
    void (*emit_i64)(struct mr_task *, struct mr_bytes key, int64_t value);
    void (*emit_f64)(struct mr_task *, struct mr_bytes key, double value);
    void (*emit_lanes_i64)(struct mr_task *, struct mr_bytes key, const int64_t *lanes,
                           uint32_t n);
    void (*emit_lanes_f64)(struct mr_task *, struct mr_bytes key, const double *lanes,
                           uint32_t n);
    void (*emit_to)(struct mr_task *, uint32_t output, struct mr_bytes key,
                    struct mr_bytes value);
    bool (*next)(struct mr_values *, struct mr_bytes *ret_value);
    bool (*value_part)(struct mr_values *, struct mr_bytes *ret_piece, bool *ret_last);
    struct mr_bytes (*value_key)(const struct mr_values *);
    struct mr_source (*source)(const struct mr_task *);
    void (*count)(struct mr_task *, uint32_t counter, int64_t n);
    void (*fail)(struct mr_task *, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
    const char *(*side_file)(struct mr_task *, const char *name);
    void (*status)(struct mr_task *, const char *text);
    struct mr_bytes (*field)(struct mr_task *, uint32_t i);
    bool (*find_field)(struct mr_task *, const char *name, struct mr_bytes *ret_field);
};

/* One thread's view of the task it works on. The executor owns it; `state` is the job's. */
struct mr_task {
    const struct mr_task_ops *ops;
    const void *params;
    void *state;
};

/* One row of mr_job.params; write rows with MR_PARAM and end the table with {0}. */
struct mr_param {
    const char *name;
    enum mr_type type;
    uint32_t offset;   /* in the job's parameter struct */
    const char *value; /* default, as text; NULL: the parameter must be given */
    const char *help;
};

/* One input of a join. Reserved: a job that sets `inputs` is refused for now. */
struct mr_input_spec {
    const char *name;
    const char *format;
    void (*map)(struct mr_task *, struct mr_bytes input);
};

/* A job. Zero (NULL) means "not used" in every field but `map`. */
struct mr_job {
    uint64_t abi;        /* abi, ops_size and param_size are set by MR_HEADER */
    uint32_t ops_size;   /* bytes of struct mr_task_ops that the job knows */
    uint32_t param_size; /* stride of `params` in bytes */
    uint64_t flags;
    const char *name;
    const char *about;             /* one line, for `marram describe` */
    const char *const *counters;   /* names of the job's own counters, ended by NULL */
    const struct mr_param *params; /* ended by {0} */
    size_t params_size;            /* bytes of the job's parameter struct */
    const char *const *side_files; /* reserved */
    const char *const *outputs;    /* reserved: names for emit_to, ended by NULL */

    /* Defaults for --input-format: "lines" (NULL), "fixed:N", records of N bytes, "keyval",
     * "csv", "jsonl" (docs/job-api.md tells their options); and for
     * --output-format: "text" (NULL), key TAB value NEWLINE, or "raw", the bytes of key and
     * value with nothing between or behind, numbers as 8 bytes, little-endian. */
    const char *input_format;
    const char *output_format;
    enum mr_input input;
    enum mr_type key;    /* of a mapped pair: MR_BYTES; others are reserved */
    enum mr_type value;  /* of a mapped pair */
    enum mr_type output; /* of a reduced pair's value */
    enum mr_fold fold;
    const enum mr_fold *folds; /* one a lane, ended by MR_NO_FOLD, for values of several lanes
                                  (emit with mr_emit_lanes); all integer or all floating */
    const struct mr_input_spec *inputs; /* reserved */

    /* Once per thread and attempt, before anything else there: may set task->state. */
    void (*setup)(struct mr_task *);
    /* Once for each setup, last: frees task->state. */
    void (*teardown)(struct mr_task *);
    /* A record or a block of records: emits pairs. */
    void (*map)(struct mr_task *, struct mr_bytes input);
    /* At the end of a split, joins the threads' states in unspecified order ... */
    void (*merge)(struct mr_task *into, struct mr_task *from);
    /* ... and then runs once, and may emit. Output must not depend on where splits end. */
    void (*finish)(struct mr_task *);
    /* Optional, 0 to n times on any grouping: emits pairs of the same key, of the map's value
     * type. */
    void (*combine)(struct mr_task *, struct mr_bytes key, struct mr_values *);
    /* One key with all its values, in input order (with `group`: in the order of their keys);
     * keys come in bytewise order within a part.
     * With a fold there is exactly one value. Without `reduce` and fold the job is map-only:
     * what `map` emits is the output, in input order (with MR_TOTAL_ORDER: by key). With a fold
     * and no `reduce` the folded values are the output. */
    void (*reduce)(struct mr_task *, struct mr_bytes key, struct mr_values *);
    /* The part (0 to parts-1) that a key goes to; depends on nothing but the key and
     * parameters. */
    uint32_t (*partition)(struct mr_task *, struct mr_bytes key, uint32_t parts);
    /* Secondary sort: the length of the key's prefix that groups it. Keys of equal prefixes go
     * to the same part and are reduced together: `reduce` gets the prefix as its key, and the
     * values in the order of their whole keys, which mr_value_key gives. `partition` is given
     * the prefix too; `combine` gets whole keys. No prefix may be the beginning of another
     * group's: end it with a separator, or give all the same length. Depends on nothing but the
     * key and parameters. For a `reduce` without a fold. */
    size_t (*group)(struct mr_task *, struct mr_bytes key);
    /* With MR_RECORDS: the fields that `map` reads with mr_field, ended by NULL. The input
     * format says what they are; a field that no record of a file can have fails the job. */
    const char *const *fields;
};

extern MR_EXPORT const struct mr_job mr_job;

/* 'MR', the ABI's version, and the struct's size in one word. A shorter struct, from an older
 * header, is zero-filled; a longer one is accepted while its unknown tail is zero. */
#define MR_ABI_VERSION 1
#define MR_ABI_WORD \
    (UINT64_C(0x4d52) << 48 | (uint64_t)MR_ABI_VERSION << 32 | sizeof(struct mr_job))
#define MR_HEADER                                               \
    .abi = MR_ABI_WORD, .ops_size = sizeof(struct mr_task_ops), \
    .param_size = sizeof(struct mr_param)

/* What `readelf -n` shows of a job object: owner "Marram", and the version of the ABI. */
static const struct {
    uint32_t owner_size, version_size, type;
    char owner[8];
    uint32_t version;
} mr_note __attribute__((section(".note.marram"), used, aligned(4))) = {7, 4, 1, "Marram",
                                                                        MR_ABI_VERSION};

/* ---- Parameters
 * ------------------------------------------------------------------------------- */

/* Binds `-p field=TEXT` to a field of struct T; `text` is its default, NULL if it must be
 * given. */
#define MR_PARAM(T, field, text, about_)                                            \
    {                                                                               \
        .name = #field, .type = MR_TYPE_OF(T, field), .offset = offsetof(T, field), \
        .value = (text), .help = (about_)                                           \
    }
#ifdef __cplusplus
} /* overloads live outside extern "C" */
constexpr enum mr_type mr_type_of(const long *)
{
    return MR_I64;
}
constexpr enum mr_type mr_type_of(const long long *)
{
    return MR_I64;
}
constexpr enum mr_type mr_type_of(const double *)
{
    return MR_F64;
}
constexpr enum mr_type mr_type_of(const bool *)
{
    return MR_BOOL;
}
constexpr enum mr_type mr_type_of(const char *const *)
{
    return MR_TEXT;
}
#define MR_TYPE_OF(T, field) mr_type_of(static_cast<decltype(T::field) *>(nullptr))
extern "C" {
#else
#define MR_TYPE_OF(T, field) \
    _Generic(((T *)0)->field, long: MR_I64, long long: MR_I64, double: MR_F64, bool: MR_BOOL,      \
             const char *: MR_TEXT)
#endif

/* The job's parameter struct, filled from defaults and -p; valid as long as the task. */
static inline const void *mr_params(const struct mr_task *task)
{
    return task->params;
}

/* ---- Emitting
 * --------------------------------------------------------------------------------- */

static inline void mr_emit_bytes(struct mr_task *task, struct mr_bytes key,
                                 struct mr_bytes value)
{
    task->ops->emit_bytes(task, key, value);
}

static inline void mr_emit_i64(struct mr_task *task, struct mr_bytes key, int64_t value)
{
    task->ops->emit_i64(task, key, value);
}

static inline void mr_emit_f64(struct mr_task *task, struct mr_bytes key, double value)
{
    task->ops->emit_f64(task, key, value);
}

/* A key without a value: the text output prints no TAB behind it. */
static inline void mr_emit_key(struct mr_task *task, struct mr_bytes key)
{
    struct mr_bytes none = {NULL, 0};

    task->ops->emit_bytes(task, key, none);
}

/* A value of n lanes, as many as mr_job.folds names. */
static inline void mr_emit_lanes(struct mr_task *task, struct mr_bytes key,
                                 const int64_t *lanes, uint32_t n)
{
    task->ops->emit_lanes_i64(task, key, lanes, n);
}

static inline void mr_emit_lanes_f64(struct mr_task *task, struct mr_bytes key,
                                     const double *lanes, uint32_t n)
{
    task->ops->emit_lanes_f64(task, key, lanes, n);
}

/* To output number `output` of mr_job.outputs. Reserved. */
static inline void mr_emit_to(struct mr_task *task, uint32_t output, struct mr_bytes key,
                              struct mr_bytes value)
{
    task->ops->emit_to(task, output, key, value);
}

/* mr_emit(task, key, value): the value is any integer, float, double or struct mr_bytes. A
 * value that contradicts the declared type fails the attempt. Unsigned 64-bit values are taken
 * as signed. */
#ifdef __cplusplus
}
#define MR_EMIT_OVERLOAD(type, call, cast)                                            \
    static inline void mr_emit(struct mr_task *task, struct mr_bytes key, type value) \
    {                                                                                 \
        call(task, key, static_cast<cast>(value));                                    \
    }
MR_EMIT_OVERLOAD(bool, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(char, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(signed char, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(unsigned char, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(short, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(unsigned short, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(int, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(unsigned, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(long, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(unsigned long, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(long long, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(unsigned long long, mr_emit_i64, int64_t)
MR_EMIT_OVERLOAD(float, mr_emit_f64, double)
MR_EMIT_OVERLOAD(double, mr_emit_f64, double)
#undef MR_EMIT_OVERLOAD
static inline void mr_emit(struct mr_task *task, struct mr_bytes key, struct mr_bytes value)
{
    mr_emit_bytes(task, key, value);
}
extern "C" {
#else
#define mr_emit(task, key, value)              \
    _Generic((value), bool                     \
             : mr_emit_i64, char               \
             : mr_emit_i64, signed char        \
             : mr_emit_i64, unsigned char      \
             : mr_emit_i64, short              \
             : mr_emit_i64, unsigned short     \
             : mr_emit_i64, int                \
             : mr_emit_i64, unsigned           \
             : mr_emit_i64, long               \
             : mr_emit_i64, unsigned long      \
             : mr_emit_i64, long long          \
             : mr_emit_i64, unsigned long long \
             : mr_emit_i64, float              \
             : mr_emit_f64, double             \
             : mr_emit_f64, struct mr_bytes    \
             : mr_emit_bytes)((task), (key), (value))
#endif

/* ---- Reading values, in reduce and combine
 * ------------------------------------------------------ */

/* The next value of the key, valid until the next call; false when there is none left. Integers
 * and floats are 8 bytes in the machine's order: use the typed forms. */
static inline bool mr_next(struct mr_task *task, struct mr_values *values,
                           struct mr_bytes *ret_value)
{
    return task->ops->next(values, ret_value);
}

static inline bool mr_next_i64(struct mr_task *task, struct mr_values *values,
                               int64_t *ret_value)
{
    struct mr_bytes v;

    if (!task->ops->next(values, &v))
        return false;
    memcpy(ret_value, v.ptr, sizeof *ret_value);
    return true;
}

static inline bool mr_next_f64(struct mr_task *task, struct mr_values *values,
                               double *ret_value)
{
    struct mr_bytes v;

    if (!task->ops->next(values, &v))
        return false;
    memcpy(ret_value, v.ptr, sizeof *ret_value);
    return true;
}

/* The next value's n lanes. */
static inline bool mr_next_lanes(struct mr_task *task, struct mr_values *values,
                                 int64_t *ret_lanes, uint32_t n)
{
    struct mr_bytes v;

    if (!task->ops->next(values, &v))
        return false;
    memcpy(ret_lanes, v.ptr, n * sizeof *ret_lanes);
    return true;
}

static inline bool mr_next_lanes_f64(struct mr_task *task, struct mr_values *values,
                                     double *ret_lanes, uint32_t n)
{
    struct mr_bytes v;

    if (!task->ops->next(values, &v))
        return false;
    memcpy(ret_lanes, v.ptr, n * sizeof *ret_lanes);
    return true;
}

/* As mr_next, but a long value may come in pieces; *ret_last is set with its last piece. */
static inline bool mr_value_part(struct mr_task *task, struct mr_values *values,
                                 struct mr_bytes *ret_piece, bool *ret_last)
{
    return task->ops->value_part(values, ret_piece, ret_last);
}

/* The whole key of the value that mr_next returned last, valid as long as that value; before
 * the first one its key, behind the last one `key` again. It differs from `key` only under
 * `group`.
 */
static inline struct mr_bytes mr_value_key(struct mr_task *task, const struct mr_values *values)
{
    return task->ops->value_key(values);
}

/* ---- Fields of a record, in map with MR_RECORDS
 * -------------------------------------------------- */

/* Field number i of mr_job.fields in the current record, decoded: without quotes and escapes.
 * ptr NULL: this record does not have it. */
static inline struct mr_bytes mr_field(struct mr_task *task, uint32_t i)
{
    return task->ops->field(task, i);
}

/* The same by a name that is known at run time; false if this record does not have it. It takes
 * longer than mr_field. A name that no record of the file can have fails the attempt. */
static inline bool mr_find_field(struct mr_task *task, const char *name,
                                 struct mr_bytes *ret_field)
{
    return task->ops->find_field(task, name, ret_field);
}

/* The integer that a text is, in decimal, with a sign perhaps, and nothing around it; false: it
 * is none, or has more than 64 bits. */
static inline bool mr_integer_of(struct mr_bytes text, int64_t *ret)
{
    bool minus = text.len && *text.ptr == '-';
    size_t i = minus || (text.len && *text.ptr == '+');
    uint64_t value = 0;

    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + minus)
        return false;
    *ret = minus ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* The same for a number with a point or an exponent. */
static inline bool mr_double_of(struct mr_bytes text, double *ret)
{
    char copy[128], *end;

    if (!text.len || text.len >= sizeof copy || (unsigned char)*text.ptr <= ' ')
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret = strtod(copy, &end);
    return end == copy + text.len;
}

/* ---- Everything else
 * ---------------------------------------------------------------------------- */

/* Where the text that `map` was given comes from. In map only. */
#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wshadow" /* C++ minds that the function is called as its struct */
#endif
static inline struct mr_source mr_source(struct mr_task *task)
{
    return task->ops->source(task);
}
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

/* Adds n to counter number `counter` of mr_job.counters. In map, finish and reduce; in combine,
 * which may run any number of times, it fails the attempt. */
static inline void mr_count(struct mr_task *task, uint32_t counter, int64_t n)
{
    task->ops->count(task, counter, n);
}

/* Fails the attempt with a printf-like message. It returns: later emits of this attempt are
 * dropped. */
#define mr_fail(task, ...) ((task)->ops->fail((task), __VA_ARGS__))

/* The local path of side file `name`. Reserved. */
static inline const char *mr_side_file(struct mr_task *task, const char *name)
{
    return task->ops->side_file(task, name);
}

/* A short text that says what the task is doing, shown beside its progress and in a crash
 * report. */
static inline void mr_status(struct mr_task *task, const char *text)
{
    task->ops->status(task, text);
}

#ifdef __cplusplus
}
#endif
#endif
