#include "worker/agent/blame.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* More than one, it is not known which. */
#define ANY_THREAD SIZE_MAX

static bool in_user_code(const struct slot *slot)
{
    return slot->phase > SLOT_HOST && slot->phase <= SLOT_LOAD;
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

/* The path of the slot's file, as its task has it. */
static ProtobufCBinaryData path_in(const Mr__Assign *task, const struct slot *slot)
{
    for (size_t i = 0; task && i < task->n_extents; i++)
        if (task->extents[i]->file == slot->file)
            return task->extents[i]->path;
    return (ProtobufCBinaryData){0};
}

void blame_place(const struct child *child, const struct slot *slot, char *text, size_t size)
{
    culprit_place(slot, path_in(task_of(child, slot), slot), text, size);
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

/* `threads` of them may have done it, or any: the place of one is no better than that of
 * another. */
static void accuse(const struct child *child, const struct slot *slot, int status,
                   size_t threads, struct verdict *verdict)
{
    const char *phase = culprit_phase(in_user_code(slot) ? slot->phase : SLOT_HOST);
    char place[1024];
    size_t used;

    if (threads == ANY_THREAD)
        snprintf(place, sizeof place, "%s, or on another thread", phase);
    else if (threads > 1)
        snprintf(place, sizeof place, "%s, or on another of %zu threads", phase, threads);
    else
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

static void name_culprit(const Mr__Assign *task, const struct slot *slot, int status,
                         struct verdict *verdict)
{
    struct culprit *culprit = &verdict->culprit;

    verdict->certain = culprit_of(slot, (enum slot_phase)slot->phase, culprit);
    if (!verdict->certain)
        return;
    if (!slot->fault && WIFSIGNALED(status))
        culprit->message.signal = (uint32_t)WTERMSIG(status);
    if (slot->phase == SLOT_MAP)
        culprit->message.path = path_in(task, slot);
}

/* The first thread of the task that may be the cause, or NULL. */
static const struct slot *suspect(const struct child *child, const Mr__Assign *task,
                                  const struct slot *cause, bool user)
{
    for (int i = 0; i < LIMIT_THREADS; i++) {
        const struct slot *slot = &child->slots->slot[i];

        if (works_on(slot, task) && (cause ? slot == cause : !user || in_user_code(slot)))
            return slot;
    }
    return NULL;
}

/* A signal to the process, but for SIGKILL, may end it when the thread that sent it has gone on
 * with other work: of those that are in user code none need be it. */
static bool came_late(const struct slot *cause, int status)
{
    return !cause && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL;
}

/* How many threads may have done it; ANY_THREAD: that is not known. */
static size_t threads_of(const struct child *child, const struct slot *cause, bool late)
{
    const struct slot *last = NULL;
    size_t n = 0;

    if (cause)
        return 1;
    for (int i = 0; i < LIMIT_THREADS; i++) {
        const struct slot *slot = &child->slots->slot[i];

        if (!task_of(child, slot) || !(late || in_user_code(slot)))
            continue;
        last = slot;
        n++;
    }
    /* Where there is one thread: who else would have gone on? */
    return !late || (n == 1 && last->lone) ? n : ANY_THREAD;
}

void blame(const struct child *child, int status, struct verdict *verdicts)
{
    const struct slot *cause = culprit(child);
    bool late = came_late(cause, status);
    size_t suspects = 0, threads = threads_of(child, cause, late);

    for (size_t k = 0; k < child->held_count; k++) {
        const struct slot *slot = suspect(child, child->held[k], cause, threads > 0 && !late);

        verdicts[k] = (struct verdict){0};
        if (child->channel.broken)
            error_set(&verdicts[k].error, ERROR_LOST, "%s", child->ended_by.text);
        else
            error_set(&verdicts[k].error, ERROR_LOST,
                      "its executor died of another task's fault");
        if (!slot)
            continue;
        accuse(child, slot, status, threads, &verdicts[k]);
        if (threads == 1)
            name_culprit(child->held[k], slot, status, &verdicts[k]);
        verdicts[k].suspect = true;
        suspects++;
    }
    for (size_t k = 0; k < child->held_count; k++)
        if (verdicts[k].suspect && (cause || suspects == 1)) {
            verdicts[k].blamed = true;
            verdicts[k].suspect = false;
        }
}
