#include "worker/agent/blame.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const char *const phases[] = {
    [SLOT_IDLE] = "waiting",         [SLOT_HOST] = "in Marram's own code",
    [SLOT_SETUP] = "in setup",       [SLOT_MAP] = "in map",
    [SLOT_COMBINE] = "in combine",   [SLOT_MERGE] = "in merge",
    [SLOT_FINISH] = "in finish",     [SLOT_REDUCE] = "in reduce",
    [SLOT_TEARDOWN] = "in teardown", [SLOT_LOAD] = "while the job object was loaded",
};

static bool in_user_code(const struct slot *slot)
{
    return slot->phase > SLOT_HOST && slot->phase < sizeof phases / sizeof *phases;
}

static bool works_on(const struct slot *slot, const Mr__Assign *task)
{
    return slot->phase != SLOT_IDLE && slot->kind == (uint32_t)task->kind &&
           slot->task == task->task && slot->attempt == task->attempt;
}

static const Mr__Assign *task_of(const struct child *child, const struct slot *slot)
{
    for (size_t i = 0; i < child->held_count; i++)
        if (works_on(slot, child->held[i]))
            return child->held[i];
    return NULL;
}

/* The key as text: printable bytes as they are, others as \xHH. */
static void print_key(const struct slot *slot, char *text, size_t size)
{
    uint32_t length = slot->key_length, shown = length < SLOT_TEXT ? length : SLOT_TEXT;
    size_t used = 0;
    uint32_t i;

    /* A byte takes up to four, and so do the dots behind the last. */
    for (i = 0; i < shown && used + 8 < size; i++) {
        unsigned char c = (unsigned char)slot->key[i];

        used += (size_t)snprintf(text + used, size - used, isprint(c) ? "%c" : "\\x%02x", c);
    }
    if (length > i)
        snprintf(text + used, size - used, "...");
}

void blame_place(const struct child *child, const struct slot *slot, char *text, size_t size)
{
    const Mr__Assign *task = task_of(child, slot);
    const char *phase =
        slot->phase < sizeof phases / sizeof *phases ? phases[slot->phase] : "?";
    const char *of = slot->unpacked ? " of its decompressed text" : "";
    const Mr__Extent *extent = NULL;
    char key[2 * SLOT_TEXT] = "";

    for (size_t i = 0; task && i < task->n_extents; i++)
        if (task->extents[i]->file == slot->file)
            extent = task->extents[i];
    print_key(slot, key, sizeof key);
    if (slot->phase == SLOT_MAP && extent && slot->single)
        snprintf(text, size, "%s, record at '%.*s' offset %" PRIu64 "%s", phase,
                 (int)extent->path.len, (const char *)extent->path.data, (uint64_t)slot->offset,
                 of);
    else if (slot->phase == SLOT_MAP && extent)
        snprintf(text, size, "%s, block at '%.*s' offset %" PRIu64 "%s of %" PRIu64 " bytes",
                 phase, (int)extent->path.len, (const char *)extent->path.data,
                 (uint64_t)slot->offset, *of ? " of its decompressed text," : "",
                 (uint64_t)slot->length);
    else if (slot->phase == SLOT_REDUCE || slot->phase == SLOT_COMBINE)
        snprintf(text, size, "%s, key '%s'", phase, key);
    else
        snprintf(text, size, "%s", phase);
}

/* What ended the process, in words. */
static void describe_end(const struct child *child, const struct slot *slot, int status,
                         struct error *error)
{
    int number = slot && slot->fault && slot->fault != SLOT_EXITED ? (int)slot->fault
                 : WIFSIGNALED(status)                             ? WTERMSIG(status)
                                                                   : 0;

    if (child->ended_by.code)
        *error = child->ended_by;
    else if (slot && slot->fault == SLOT_EXITED)
        error_set(error, ERROR_CRASH, "the job called exit(%d)", WEXITSTATUS(status));
    else if (number)
        error_set(error, ERROR_CRASH, "killed by signal %d (%s)", number, strsignal(number));
    else
        error_set(error, ERROR_CRASH, "the job ended its process with status %d",
                  WEXITSTATUS(status));
}

static void accuse(const struct child *child, const struct slot *slot, int status,
                   struct verdict *verdict)
{
    char place[1024];
    size_t used;

    blame_place(child, slot, place, sizeof place);
    describe_end(child, slot, status, &verdict->error);
    used = strlen(verdict->error.text);
    snprintf(verdict->error.text + used, sizeof verdict->error.text - used, " %s", place);
    if (slot->status[0]) {
        used = strlen(verdict->error.text);
        snprintf(verdict->error.text + used, sizeof verdict->error.text - used, " (%.*s)",
                 SLOT_TEXT, slot->status);
    }
}

/* The slot that is certainly the cause, or NULL. */
static const struct slot *culprit(const struct child *child)
{
    if (child->ended_slot >= 0)
        return &child->slots->slot[child->ended_slot];
    for (int i = 0; i < LIMIT_THREADS; i++)
        if (child->slots->slot[i].fault)
            return &child->slots->slot[i];
    return NULL;
}

void blame(const struct child *child, int status, struct verdict *verdicts)
{
    const struct slot *cause = culprit(child);
    size_t suspects = 0;
    bool user = false;

    for (int i = 0; i < LIMIT_THREADS; i++)
        user = user ||
               (in_user_code(&child->slots->slot[i]) && task_of(child, &child->slots->slot[i]));
    for (size_t k = 0; k < child->held_count; k++) {
        verdicts[k] = (struct verdict){0};
        error_set(&verdicts[k].error, ERROR_LOST, "its executor died of another task's fault");
        for (int i = 0; i < LIMIT_THREADS; i++) {
            const struct slot *slot = &child->slots->slot[i];

            if (!works_on(slot, child->held[k]))
                continue;
            if (cause ? slot != cause : user && !in_user_code(slot))
                continue;
            accuse(child, slot, status, &verdicts[k]);
            verdicts[k].suspect = true;
            suspects++;
            break;
        }
    }
    for (size_t k = 0; k < child->held_count; k++)
        if (verdicts[k].suspect && (cause || suspects == 1)) {
            verdicts[k].blamed = true;
            verdicts[k].suspect = false;
        }
}
