/* What a verb that talks to a coordinator does first and last. */
#ifndef CLI_VISIT_H
#define CLI_VISIT_H

#include "base/error.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/place.h"
#include "wire/mr.pb-c.h"

struct visit {
    void *context;
    struct client *client;
    struct keys *keys; /* that are shown; NULL: none */
};

/* An endpoint that makes no sense is ERROR_USAGE; that nobody answers shows later. */
int visit_open(struct visit *visit, const struct place *place, struct error *err);
/* A row for --patience; *ret_seconds becomes the default. */
struct option_row visit_patience_row(uint64_t *ret_seconds);

/* Takes one that was never opened, all zero. */
void visit_close(struct visit *visit);

/* A whole visit for one question: see client_ask. */
int visit_ask(const struct place *place, enum frame_type type, const ProtobufCMessage *question,
              enum frame_type wanted, ProtobufCMessage **ret_answer, struct error *err);

/* Takes the words of a verb that wants a job's id and nothing else. */
int visit_job(const struct option_list *words, uint64_t *ret_job, struct error *err);
/* The same of one word. */
int visit_parse_job(const char *word, uint64_t *ret_job, struct error *err);
/* "map-3", "reduce-7", "sample-0"; `what` is said of it in an error. */
int visit_parse_task(const char *what, const char *text, Mr__TaskKind *ret_kind,
                     uint32_t *ret_task, struct error *err);
/* As above, of a verb that wants no words. */
int visit_no_words(const struct option_list *words, struct error *err);

#endif
