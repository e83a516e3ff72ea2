#include "coordinator/checked.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

/* All of the submission that a CHECK task looks at, packed. Caller frees. */
static uint8_t *question_of(const Mr__JobSpec *spec, size_t *ret_size)
{
    Mr__JobSpec question = MR__JOB_SPEC__INIT;
    uint8_t *packed;

    question.blobs = spec->blobs;
    question.n_blobs = spec->n_blobs;
    question.params = spec->params;
    question.n_params = spec->n_params;
    question.input_format = spec->input_format;
    question.output_format = spec->output_format;
    packed = memory_new(mr__job_spec__get_packed_size(&question) + 1);
    *ret_size = mr__job_spec__pack(&question, packed);
    return packed;
}

static const struct checked_entry *find(const struct checked *checked, const uint8_t *question,
                                        size_t size)
{
    for (size_t i = 0; i < CHECKED_MAX; i++) {
        const struct checked_entry *entry = &checked->entries[i];

        if (entry->question && entry->question_size == size &&
            !memcmp(entry->question, question, size))
            return entry;
    }
    return NULL;
}

static void drop(struct checked_entry *entry)
{
    free(entry->question);
    free(entry->answer);
    *entry = (struct checked_entry){0};
}

void checked_put(struct checked *checked, const Mr__JobSpec *spec,
                 const Mr__Description *description)
{
    struct checked_entry *entry = &checked->entries[checked->next];
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    size_t size;
    uint8_t *question = question_of(spec, &size);

    if (find(checked, question, size)) {
        free(question);
        return;
    }
    drop(entry);
    done.description = (Mr__Description *)(uintptr_t)description;
    entry->question = question;
    entry->question_size = size;
    entry->answer = memory_new(mr__task_done__get_packed_size(&done) + 1);
    entry->answer_size = mr__task_done__pack(&done, entry->answer);
    checked->next = (checked->next + 1) % CHECKED_MAX;
}

Mr__TaskDone *checked_get(const struct checked *checked, const Mr__JobSpec *spec)
{
    size_t size;
    cleanup_free uint8_t *question = question_of(spec, &size);
    const struct checked_entry *entry = find(checked, question, size);
    Mr__TaskDone *done;

    if (!entry)
        return NULL;
    done = mr__task_done__unpack(NULL, entry->answer_size, entry->answer);
    check(done && done->description);
    return done;
}

void checked_done(struct checked *checked)
{
    for (size_t i = 0; i < CHECKED_MAX; i++)
        drop(&checked->entries[i]);
}
