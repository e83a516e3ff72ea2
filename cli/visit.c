#include "cli/visit.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"

enum { ID_DIGITS = 12, PATIENCE_S = 60 };

struct option_row visit_patience_row(uint64_t *ret_seconds)
{
    *ret_seconds = PATIENCE_S;
    return (struct option_row){"patience",
                               0,
                               OPTION_COUNT,
                               "SECONDS",
                               "how long to look for a coordinator that went away",
                               ret_seconds,
                               5,
                               86400};
}

/* Loads what keys there are. */
static int take_keys(struct visit *visit, const struct place *place, struct error *err)
{
    struct keys keys;
    int found = place_keys(place, KEY_CLIENT, &keys, err);

    if (found > 0) {
        visit->keys = memory_new(sizeof keys);
        *visit->keys = keys;
    }
    return found < 0 ? -1 : 0;
}

int visit_open(struct visit *visit, const struct place *place, struct error *err)
{
    *visit = (struct visit){0};
    if (take_keys(visit, place, err))
        return -1;
    visit->context = link_context_new();
    if (!visit->context) {
        visit_close(visit);
        return error_errno(err, ERROR_IO, "set up ZeroMQ");
    }
    if (!client_open(visit->context, place->endpoint, visit->keys, &visit->client, err))
        return 0;
    visit_close(visit);
    if (err->code == ERROR_UNREACHABLE)
        return -1;
    err->code = ERROR_USAGE;
    return error_wrap(err,
                      "--coordinator %s: an endpoint such as " DEFAULT_COORDINATOR " is wanted",
                      place->endpoint);
}

void visit_close(struct visit *visit)
{
    client_close(visit->client);
    link_context_free(visit->context);
    if (visit->keys)
        keys_done(visit->keys);
    free(visit->keys);
    *visit = (struct visit){0};
}

int visit_ask(const struct place *place, enum frame_type type, const ProtobufCMessage *question,
              enum frame_type wanted, ProtobufCMessage **ret_answer, struct error *err)
{
    struct visit visit;
    int result;

    if (visit_open(&visit, place, err))
        return -1;
    result = client_ask(visit.client, type, question, wanted, ret_answer, err);
    /* What does not exist is no wrong usage: the command was right. */
    if (result && error_exit_status(err->code) == 2)
        err->code = ERROR_JOB;
    visit_close(&visit);
    return result;
}

int visit_no_words(const struct option_list *words, struct error *err)
{
    return words->count ? error_set(err, ERROR_USAGE, "'%s' is one word too many",
                                    words->items[words->count - 1])
                        : 0;
}

int visit_parse_job(const char *word, uint64_t *ret_job, struct error *err)
{
    uint64_t job = strtoull(word, NULL, 16);

    if (strlen(word) != ID_DIGITS || strspn(word, "0123456789abcdef") != ID_DIGITS || !job)
        return error_set(err, ERROR_USAGE,
                         "'%s' is no job id: 12 hexadecimal digits are wanted, as 'marram "
                         "jobs' shows them",
                         word);
    *ret_job = job;
    return 0;
}

int visit_job(const struct option_list *words, uint64_t *ret_job, struct error *err)
{
    if (!words->count)
        return error_set(err, ERROR_USAGE, "no job: give the id that 'marram jobs' shows");
    if (words->count > 1)
        return error_set(err, ERROR_USAGE, "'%s' is one word too many", words->items[1]);
    return visit_parse_job(words->items[0], ret_job, err);
}

int visit_parse_task(const char *what, const char *text, Mr__TaskKind *ret_kind,
                     uint32_t *ret_task, struct error *err)
{
    static const struct {
        const char *name;
        Mr__TaskKind kind;
    } kinds[] = {{"map", MR__TASK_KIND__MAP},
                 {"reduce", MR__TASK_KIND__REDUCE},
                 {"sample", MR__TASK_KIND__SAMPLE}};
    const char *dash = strrchr(text, '-');
    uint64_t number;

    for (size_t i = 0; dash && i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].name) == (size_t)(dash - text) &&
            !strncmp(kinds[i].name, text, (size_t)(dash - text)) &&
            !size_parse_count(dash + 1, 0, UINT32_MAX, &number)) {
            *ret_kind = kinds[i].kind;
            *ret_task = (uint32_t)number;
            return 0;
        }
    return error_set(err, ERROR_USAGE, "%s'%s': map-N or reduce-N is wanted", what, text);
}
