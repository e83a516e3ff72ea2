#include "coordinator/tally.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/ledger.h"
#include "coordinator/skips.h"
#include "wire/bytes.h"

/* In the order in which people see them. */
static const struct {
    const char *name;
    bool exact;
} built_in[] = {
    {"map_input_records", true},
    {"map_input_bytes", true},
    {"map_output_records", true},
    {"reduce_input_groups", true},
    {"reduce_output_records", true},
    {"skipped_records", true},
    {"combine_input_records", false},
    {"combine_output_records", false},
    {"reduce_input_records", false},
    {"spilled_bytes", false},
    {"shuffle_bytes", false},
    {"prefetched_bytes", false}, /* those of the shuffle that were fetched while maps ran */
    {"failed_attempts", false},
    {"speculative_attempts", false},
    {"map_reruns", false},
    {"drain_reruns", false},
    {"drain_restarts", false},
};

/* Travels with the others, but serves the balance alone. */
static const char hidden[] = "reduce_input_pairs";

static struct tally_counter *find(struct tally *tally, const char *name, size_t length)
{
    for (size_t i = 0; i < tally->count; i++)
        if (strlen(tally->items[i].name) == length &&
            (!length || !memcmp(tally->items[i].name, name, length)))
            return &tally->items[i];
    return NULL;
}

/* Jobs count what they like. */
static int64_t wrapping_sum(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* A counter that starts at nothing. */
static void declare(struct tally *tally, const char *name, size_t length, bool exact)
{
    struct tally_counter *counter;

    if (find(tally, name, length))
        return;
    memory_reserve(&tally->items, &tally->capacity, tally->count + 1, sizeof *tally->items);
    counter = &tally->items[tally->count++];
    *counter = (struct tally_counter){.exact = exact};
    snprintf(counter->name, sizeof counter->name, "%.*s", (int)length, name);
}

static void add_tasks(struct tally *tally, Mr__TaskDone *const *tasks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; tasks[i] && k < tasks[i]->n_counters; k++) {
            const Mr__Counter *counter = tasks[i]->counters[k];
            struct tally_counter *sum =
                find(tally, (const char *)counter->name.data, counter->name.len);

            /* What nobody declared does not count: a worker may say anything, and all of
             * it would go into one message. */
            if (sum)
                sum->value = wrapping_sum(sum->value, counter->value);
        }
}

void tally_job(struct tally *tally, const struct job *job,
               const struct sched_progress *progress)
{
    *tally = (struct tally){0};
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        declare(tally, built_in[i].name, strlen(built_in[i].name), built_in[i].exact);
    /* The job's own appear even if no task ran. */
    for (size_t i = 0; job->check && i < job->check->description->n_counters; i++) {
        ProtobufCBinaryData name = job->check->description->counters[i];

        declare(tally, (const char *)name.data, name.len, true);
    }
    add_tasks(tally, job->maps, job->map_count);
    add_tasks(tally, job->parts, job->part_count);
    if (progress) {
        find(tally, "failed_attempts", 15)->value = (int64_t)progress->failed_attempts;
        find(tally, "speculative_attempts", 20)->value =
            (int64_t)progress->speculative_attempts;
        find(tally, "map_reruns", 10)->value = (int64_t)progress->map_reruns;
        find(tally, "drain_reruns", 12)->value = (int64_t)progress->drain_reruns;
        find(tally, "drain_restarts", 14)->value = (int64_t)progress->drain_restarts;
    }
}

void tally_done(struct tally *tally)
{
    free(tally->items);
    *tally = (struct tally){0};
}

int64_t tally_value(const struct tally *tally, const char *name)
{
    for (size_t i = 0; i < tally->count; i++)
        if (!strcmp(tally->items[i].name, name))
            return tally->items[i].value;
    return 0;
}

static int64_t sum_of(Mr__TaskDone *const *tasks, uint32_t n, const char *name)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; tasks[i] && k < tasks[i]->n_counters; k++)
            if (bytes_are(tasks[i]->counters[k]->name, name))
                sum = wrapping_sum(sum, tasks[i]->counters[k]->value);
    return sum;
}

int tally_balance(const struct job *job, struct error *err)
{
    int64_t emitted = sum_of(job->maps, job->map_count, "map_output_records");
    int64_t received = sum_of(job->parts, job->part_count, hidden);
    int64_t read = sum_of(job->maps, job->map_count, "map_input_bytes");

    if (ledger_balance(job, err))
        return -1;
    if (emitted != received)
        return error_set(err, ERROR_INTERNAL,
                         "the counts do not balance: maps emitted %" PRId64
                         " pairs, reducers received %" PRId64
                         " (a bug in Marram; no output was made)",
                         emitted, received);
    if ((uint64_t)read != job->plan.bytes)
        return error_set(err, ERROR_INTERNAL,
                         "the counts do not balance: the input has %" PRIu64
                         " bytes, maps read %" PRId64 " (a bug in Marram; no output was made)",
                         job->plan.bytes, read);
    return 0;
}

char *tally_manifest(const struct job *job)
{
    json_t *root = json_object(), *parts = json_array(), *counters = json_object();
    ProtobufCBinaryData name = job->check->description->name;
    enum output_codec codec = job_output_codec(job);
    struct tally tally;
    char *text;

    for (uint32_t i = 0; i < job->part_count; i++) {
        char part[32], checksum[24];

        snprintf(part, sizeof part, "part-%05" PRIu32 "%s", i, format_suffix(codec));
        snprintf(checksum, sizeof checksum, "xxh3:%016" PRIx64, job->parts[i]->part_checksum);
        json_array_append_new(
            parts, json_pack("{s:s, s:I, s:I, s:I, s:s}", "name", part, "bytes",
                             (json_int_t)job->parts[i]->part_size, "raw_bytes",
                             (json_int_t)job->parts[i]->part_raw_size, "records",
                             (json_int_t)job->parts[i]->part_records, "checksum", checksum));
    }
    tally_job(&tally, job, NULL);
    for (size_t i = 0; i < tally.count; i++)
        if (tally.items[i].exact)
            json_object_set_new(counters, tally.items[i].name,
                                json_integer(tally.items[i].value));
    tally_done(&tally);
    json_object_set_new(root, "marram_manifest", json_integer(1));
    json_object_set_new(root, "job", json_stringn((const char *)name.data, name.len));
    json_object_set_new(root, "codec", json_string(format_codec_name(codec)));
    json_object_set_new(root, "parts", parts);
    json_object_set_new(root, "counters", counters);
    if (job->skip_count)
        json_object_set_new(root, "skipped", skips_json(job));
    text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    check(text);
    return text;
}
