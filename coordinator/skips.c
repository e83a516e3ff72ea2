#include "coordinator/skips.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "wire/culprit.h"
#include "wire/frame.h"

enum {
    SHOWN_MAX = 1000,        /* in one message ... */
    SHOWN_BYTES = 256 << 10, /* ... and their bytes */
    CAUSES_TOLD = 3
};

/* Whether it can be what an attempt of that kind failed on. */
static bool makes_sense(const struct job *job, const struct sched_attempt *attempt,
                        const Mr__Culprit *culprit)
{
    bool maps = attempt->kind == SCHED_MAP;

    if (bytes_are(culprit->phase, "map"))
        return (maps || attempt->kind == SCHED_SAMPLE) &&
               culprit->file < job->plan.files.count &&
               (culprit->unpacked ||
                culprit->offset < job->plan.files.items[culprit->file].size);
    return culprit->key_digest.len == SLOT_DIGEST && culprit->key.len <= SLOT_TEXT &&
           culprit->key.len <= culprit->key_length &&
           bytes_are(culprit->phase, maps ? "combine" : "reduce") &&
           (maps || attempt->kind == SCHED_REDUCE);
}

Mr__Culprit *skips_culprit(const struct job *job, const struct sched_attempt *attempt,
                           const Mr__TaskFailed *failed)
{
    Mr__Culprit culprit;

    if (!failed->culprit || !makes_sense(job, attempt, failed->culprit))
        return NULL;
    culprit = *failed->culprit;
    culprit.sifted = NULL; /* of no use to others than the scheduler */
    if (bytes_are(culprit.phase, "map")) {
        culprit.path = bytes_of(job->plan.files.items[culprit.file].path);
        culprit.key = culprit.key_digest = (ProtobufCBinaryData){0};
        culprit.key_length = 0;
    } else {
        culprit.path = (ProtobufCBinaryData){0};
        culprit.block = false;
    }
    return (Mr__Culprit *)frame_copy(&culprit.base);
}

struct sched_culprit skips_identity(const Mr__Culprit *culprit)
{
    struct sched_culprit identity = {.type = CULPRIT_NONE};

    if (!culprit)
        return identity;
    if (bytes_are(culprit->phase, "map"))
        return (struct sched_culprit){culprit->block ? CULPRIT_BLOCK : CULPRIT_RECORD,
                                      culprit->file, culprit->offset,
                                      culprit->block ? culprit->length : 0};
    if (culprit->key_digest.len != SLOT_DIGEST)
        return identity;
    identity.type = CULPRIT_KEY;
    memcpy(&identity.low, culprit->key_digest.data, sizeof identity.low);
    memcpy(&identity.high, culprit->key_digest.data + sizeof identity.low,
           sizeof identity.high);
    return identity;
}

struct sched_place skips_sifted(const struct job *job, const Mr__TaskFailed *failed)
{
    const Mr__Place *place = failed->culprit ? failed->culprit->sifted : NULL;

    if (!place || place->file >= job->plan.files.count)
        return (struct sched_place){.known = false};
    return (struct sched_place){true, place->file, place->offset};
}

void skips_note(struct job *job, const struct sched_attempt *attempt)
{
    const struct job_failure *failure = job_cause(job, attempt);
    Mr__Skipped skipped = MR__SKIPPED__INIT;
    Mr__Error error = MR__ERROR__INIT;

    if (!failure || !failure->culprit)
        return;
    error.code = failure->error.code;
    error.text = bytes_of(failure->error.text);
    skipped.culprit = failure->culprit;
    skipped.kind = (Mr__TaskKind)attempt->kind;
    skipped.task = attempt->task;
    skipped.attempt = attempt->attempt;
    skipped.error = &error;
    memory_reserve(&job->skips, &job->skip_capacity, job->skip_count + 1,
                   sizeof(Mr__Skipped *));
    job->skips[job->skip_count++] = (Mr__Skipped *)frame_copy(&skipped.base);
}

void skips_done(struct job *job)
{
    for (size_t i = 0; i < job->skip_count; i++)
        frame_free(&job->skips[i]->base);
    free(job->skips);
    job->skips = NULL;
    job->skip_count = job->skip_capacity = 0;
}

bool skips_has(const struct job *job, const Mr__Culprit *culprit)
{
    struct sched_culprit it = skips_identity(culprit);

    for (size_t i = 0; i < job->skip_count; i++) {
        struct sched_culprit other = skips_identity(job->skips[i]->culprit);

        if (it.type == other.type && it.file == other.file && it.low == other.low &&
            it.high == other.high)
            return true;
    }
    return false;
}

bool skips_overflowed(const struct job *job, const struct job_failure *failure, char **ret_text)
{
    uint32_t most = job->submit->spec->skip_bad_records;
    char *text;

    if (!most || job->skip_count < most || !failure->culprit || failure->culprit->block ||
        skips_has(job, failure->culprit))
        return false;
    text = memory_format("more than %u bad record%s (--skip-bad-records %u): ", most,
                         most == 1 ? "" : "s", most);
    for (size_t i = 0; i < job->skip_count && i < CAUSES_TOLD; i++) {
        const Mr__Error *error = job->skips[i]->error;
        char *longer = memory_format("%s%.*s; ", text, (int)error->text.len,
                                     (const char *)error->text.data);

        free(text);
        text = longer;
    }
    *ret_text = memory_format("%s%s%s", text,
                              job->skip_count > CAUSES_TOLD ? "... and now " : "and now ",
                              failure->error.text);
    free(text);
    return true;
}

/* ---- Telling attempts ----
 */

/* Whether the attempt meets the record. What a sample reads on for is not known here. */
static bool is_in_reach(const Mr__Assign *message, const Mr__Culprit *record)
{
    for (size_t i = 0; i < message->n_extents; i++) {
        const Mr__Extent *extent = message->extents[i];

        if (extent->file == record->file &&
            (message->kind == MR__TASK_KIND__SAMPLE || record->unpacked ||
             (record->offset >= extent->offset &&
              record->offset - extent->offset < extent->length)))
            return true;
    }
    return false;
}

static void tell_skips(const struct job *job, Mr__Assign *message, struct skips_told *told)
{
    bool keyed = message->kind == MR__TASK_KIND__REDUCE || message->kind == MR__TASK_KIND__MAP;
    size_t records = 0, keys = 0;

    told->records = memory_new((2 * job->skip_count + 1) * sizeof *told->records);
    told->keys = memory_new(SLOT_DIGEST * job->skip_count + 1);
    for (size_t i = 0; i < job->skip_count; i++) {
        const Mr__Culprit *culprit = job->skips[i]->culprit;

        if (culprit->key_digest.len == SLOT_DIGEST && keyed) {
            memcpy(told->keys + SLOT_DIGEST * keys++, culprit->key_digest.data, SLOT_DIGEST);
        } else if (!culprit->key_digest.len && is_in_reach(message, culprit)) {
            told->records[2 * records] = culprit->file;
            told->records[2 * records++ + 1] = culprit->offset;
        }
    }
    message->skip_records = told->records;
    message->n_skip_records = 2 * records;
    message->skip_keys = (ProtobufCBinaryData){SLOT_DIGEST * keys, told->keys};
}

void skips_tell(const struct sched *sched, const struct job *job,
                const struct sched_attempt *attempt, Mr__Assign *message,
                struct skips_told *told)
{
    size_t n;
    const struct sched_culprit *blocks = sched_narrowed(sched, attempt, &n);
    struct sched_place from;

    *told = (struct skips_told){0};
    if (job->skip_count)
        tell_skips(job, message, told);
    told->narrow = memory_new((3 * n + 1) * sizeof *told->narrow);
    for (size_t i = 0; i < n; i++) {
        told->narrow[3 * i] = blocks[i].file;
        told->narrow[3 * i + 1] = blocks[i].low;
        told->narrow[3 * i + 2] = blocks[i].high;
    }
    message->narrow = told->narrow;
    message->n_narrow = 3 * n;
    if (!sched_sifts(sched, attempt, &from))
        return;
    mr__place__init(&told->sift);
    told->sift.file = from.file;
    told->sift.offset = from.offset;
    message->sift = &told->sift;
}

void skips_told_done(struct skips_told *told)
{
    free(told->records);
    free(told->narrow);
    free(told->keys);
}

/* ---- Telling people ----
 */

size_t skips_shown(const struct job *job)
{
    size_t n = 0, bytes = 0;

    for (; n < job->skip_count && n < SHOWN_MAX; n++) {
        bytes += mr__skipped__get_packed_size(job->skips[n]) + 8;
        if (bytes > SHOWN_BYTES)
            break;
    }
    return n;
}

/* Records before keys, these in order, those by place. */
static int compare(const void *a, const void *b)
{
    const Mr__Culprit *x = (*(Mr__Skipped *const *)a)->culprit,
                      *y = (*(Mr__Skipped *const *)b)->culprit;
    size_t least = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order;

    if (!x->key_digest.len != !y->key_digest.len)
        return x->key_digest.len ? 1 : -1;
    if (!x->key_digest.len) {
        if (x->file != y->file)
            return x->file < y->file ? -1 : 1;
        return x->offset < y->offset ? -1 : x->offset > y->offset;
    }
    order = least ? memcmp(x->key.data, y->key.data, least) : 0;
    if (!order && x->key_length != y->key_length)
        return x->key_length < y->key_length ? -1 : 1;
    return order ? order : memcmp(x->key_digest.data, y->key_digest.data, SLOT_DIGEST);
}

/* Bytes as a text that JSON can hold. */
static json_t *plain_json(ProtobufCBinaryData bytes)
{
    json_t *json = json_stringn((const char *)bytes.data, bytes.len);
    cleanup_free char *plain = NULL;

    if (json)
        return json;
    plain = memory_new(bytes.len + 1);
    for (size_t i = 0; i < bytes.len; i++)
        plain[i] = (char)(bytes.data[i] & 0x80 || !bytes.data[i] ? '?' : bytes.data[i]);
    return json_stringn(plain, bytes.len);
}

static json_t *one_json(const Mr__Culprit *culprit)
{
    json_t *json = json_object();
    char digest[2 * SLOT_DIGEST + 1] = "";

    if (culprit->key_digest.len != SLOT_DIGEST) {
        json_object_set_new(json, "path", plain_json(culprit->path));
        json_object_set_new(json, "offset", json_integer((json_int_t)culprit->offset));
        return json;
    }
    for (size_t i = 0; i < SLOT_DIGEST; i++)
        snprintf(digest + 2 * i, 3, "%02x", culprit->key_digest.data[i]);
    json_object_set_new(json, "key", plain_json(culprit->key));
    json_object_set_new(json, "key_length", json_integer((json_int_t)culprit->key_length));
    json_object_set_new(json, "key_digest", json_string(digest));
    return json;
}

json_t *skips_json(const struct job *job)
{
    json_t *list = json_array();
    cleanup_free Mr__Skipped **sorted = memory_new((job->skip_count + 1) * sizeof *sorted);

    for (size_t i = 0; i < job->skip_count; i++)
        sorted[i] = job->skips[i];
    qsort(sorted, job->skip_count, sizeof(Mr__Skipped *), compare);
    for (size_t i = 0; i < job->skip_count; i++)
        json_array_append_new(list, one_json(sorted[i]->culprit));
    return list;
}
